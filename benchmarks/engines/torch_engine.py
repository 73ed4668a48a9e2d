"""PyTorch, eager, as its users call it."""

import numpy as np
import torch

from benchmarks.jobs import LEARNING_RATE

NAME = "PyTorch"


def version():
    """Version."""
    return torch.__version__


def set_threads(count):
    """Threads for all that follows."""
    torch.set_num_threads(count)


def prepare(case):
    """A function that runs the case once."""
    torch.manual_seed(0)
    dtype = getattr(torch, case.dtype)
    cls = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[case.kind]
    layer = cls(case.inputs, case.units, batch_first=True, dtype=dtype)
    x = torch.randn(case.batch, case.steps, case.inputs, dtype=dtype)
    if case.mode == "inference":
        layer.eval()

        def infer():
            with torch.inference_mode():
                return layer(x)

        return infer
    dy = torch.randn(case.batch, case.steps, case.units, dtype=dtype)
    x.requires_grad_(True)

    def step():
        layer.zero_grad()
        x.grad = None
        layer(x)[0].backward(dy)

    return step


def prepare_tiny_step():
    """A full training step of a tiny net: batch 32, 10 steps, 1 input, LSTM 10, Linear 1, Adam."""
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(1, 10, batch_first=True)
            self.dense = torch.nn.Linear(10, 1)

        def forward(self, x):
            return self.dense(self.lstm(x)[0][:, -1])

    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    loss = torch.nn.MSELoss()
    x, y = torch.randn(32, 10, 1), torch.randn(32, 1)

    def step():
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.item()

    return step


def prepare_translation(case):
    """A training step of an encoder and decoder."""
    from benchmarks.engines.torch_seq2seq import prepare_step

    return prepare_step(case)


class Regressor(torch.nn.Module):
    """A recurrent layer, its last output, one linear output."""

    def __init__(self, kind, inputs, units):
        super().__init__()
        self.recurrent = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](
            inputs, units, batch_first=True
        )
        self.output = torch.nn.Linear(units, 1)

    def forward(self, x):
        """(rows, 1)."""
        return self.output(self.recurrent(x)[0][:, -1])


def fit(job, x, y, weights):
    """Train; a function that predicts."""
    model = Regressor(job.kind, job.inputs, job.units)
    set_weights(model, job.kind, weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loss = torch.nn.MSELoss()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    model.train()
    for _ in range(job.epochs):
        order = torch.randperm(len(x))
        for rows in order.split(job.batch):
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
    model.eval()

    def predict(x):
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return predict


def set_weights(model, kind, weights):
    """Copy weights of Keras's layout: an LSTM's gates keep their order, a GRU's become r z n."""
    kernel, recurrent, bias, output, output_bias = weights
    gates = (1, 0, 2) if kind == "gru" else (0, 1, 2, 3)

    def turned(array):
        parts = np.split(array, len(gates), axis=-1)
        return torch.from_numpy(np.concatenate([parts[gate] for gate in gates], axis=-1).T.copy())

    biases = bias if kind == "gru" else (bias, np.zeros_like(bias))
    layer = model.recurrent
    with torch.no_grad():
        layer.weight_ih_l0.copy_(turned(kernel))
        layer.weight_hh_l0.copy_(turned(recurrent))
        layer.bias_ih_l0.copy_(turned(biases[0]))
        layer.bias_hh_l0.copy_(turned(biases[1]))
        model.output.weight.copy_(torch.from_numpy(output.T.copy()))
        model.output.bias.copy_(torch.from_numpy(output_bias))
