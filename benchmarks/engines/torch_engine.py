"""PyTorch, eager, as its users call it."""

import torch

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
