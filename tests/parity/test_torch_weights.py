"""Weights from PyTorch and back: the outputs of both libraries, over random networks."""

import numpy as np
import pytest
from rivals import installed

from gatewise import Model, Sequential, layers, optimizers
from gatewise.interop import torch as interop

pytestmark = [
    pytest.mark.skipif(not installed("torch"), reason="parity with PyTorch needs torch"),
    pytest.mark.filterwarnings("ignore:a state_dict does not determine:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def pytorch():
    """Import PyTorch in the process that runs these tests, not in all that collect them."""
    global torch
    import torch


def assert_same(ours, theirs, atol=1e-5):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=atol)


def fill(module, draw):
    """Every tensor gets numbers that no two have in common, running variances positive ones."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            low = 0.5 if "running_var" in name else -0.7
            tensor.copy_(torch.from_numpy(draw.uniform(low, 0.9, tensor.shape)))


def stack_of(kinds, width, draw):
    """A module that runs its parts one after the other, and the width that it returns."""
    nn = torch.nn

    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList()

        def forward(self, x):
            for part in self.parts:
                if isinstance(part, nn.BatchNorm1d):
                    x = part(x.transpose(1, 2)).transpose(1, 2)
                    continue
                x = part(x)
                x = x[0] if isinstance(x, tuple) else x
            return x

    stack = Stack()
    for kind in kinds:
        units = int(draw.integers(2, 9))
        two, bias = bool(draw.integers(2)), bool(draw.integers(2))
        depth = int(draw.integers(1, 3))
        if kind in ("LSTM", "GRU", "RNN"):
            options = {"num_layers": depth, "bidirectional": two, "bias": bias}
            part = getattr(nn, kind)(width, units, batch_first=True, **options)
            width = units * (2 if two else 1)
        elif kind == "projected":
            part = nn.LSTM(width, units + 1, batch_first=True, proj_size=units, bidirectional=two)
            width = units * (2 if two else 1)
        elif kind == "Linear":
            part, width = nn.Linear(width, units, bias=True), units
        else:
            part = getattr(nn, kind)(width)
        stack.parts.append(part)
    return stack.eval()


KINDS = ["LSTM", "GRU", "RNN", "projected", "Linear", "LayerNorm", "BatchNorm1d"]


def check_stack(seed):
    draw = np.random.default_rng(seed)
    width = int(draw.integers(1, 8))
    kinds = [draw.choice(KINDS[:4]), *draw.choice(KINDS, draw.integers(5))]
    module = stack_of(draw.permutation(kinds), width, draw)
    with torch.no_grad():
        fill(module, draw)
    x = draw.normal(size=(3, 6, width)).astype("float32")
    theirs = module(torch.from_numpy(x))
    model = interop.from_state_dict(module.state_dict())
    # a LayerNorm of two units that are nearly equal multiplies what both libraries round
    assert_same(model.predict(x, verbose=0), theirs, atol=3e-5)
    # the way back, into a module with other weights
    back = interop.state_dict(model, like=module)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.zero_()
    module.load_state_dict(back, strict=True)
    assert_same(model.predict(x, verbose=0), module(torch.from_numpy(x)), atol=3e-5)


@pytest.mark.parametrize("seed", range(12))
def test_random_stacks(seed):
    check_stack(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 350))
def test_more_random_stacks(seed):
    check_stack(seed)


def test_cells():
    for name, layer in (
        ("LSTMCell", layers.LSTM(4, return_sequences=True)),
        ("GRUCell", layers.GRU(4, return_sequences=True)),
        ("RNNCell", layers.SimpleRNN(4, return_sequences=True)),
    ):
        cell = getattr(torch.nn, name)(3, 4)
        model = Sequential([layers.Input((None, 3)), layer])
        interop.load_state_dict(model, cell)
        x, state = torch.randn(2, 5, 3), None
        outputs = []
        for t in range(5):
            state = cell(x[:, t], state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        assert_same(model.predict(x.numpy(), verbose=0), torch.stack(outputs, 1))
        cell.load_state_dict(interop.state_dict(model, like=cell))


@pytest.mark.parametrize("separate", [False, True])
def test_attention(separate):
    sizes = {"kdim": 5, "vdim": 6} if separate else {}
    module = torch.nn.MultiheadAttention(8, 2, batch_first=True, **sizes)
    with torch.no_grad():
        fill(module, np.random.default_rng(0))
    query = layers.Input((4, 8))
    key = layers.Input((7, 5 if separate else 8))
    value = layers.Input((7, 6 if separate else 8))
    model = Model([query, key, value], layers.MultiHeadAttention(2, 4)(query, value, key))
    interop.load_state_dict(model, module)
    given = [torch.randn(3, *x.shape[1:]) for x in (query, key, value)]
    theirs, _ = module(*given)
    assert_same(model.predict([x.numpy() for x in given], verbose=0), theirs)
    module.load_state_dict(interop.state_dict(model, like=module), strict=True)
    assert_same(model.predict([x.numpy() for x in given], verbose=0), module(*given)[0])


def test_a_convolution_that_is_flattened():
    nn = torch.nn
    module = nn.Sequential(nn.Conv1d(3, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    model = Sequential(
        [
            layers.Input((5, 3)),
            layers.Conv1D(4, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    interop.load_state_dict(model, module, flatten="channels_first")
    x = torch.randn(6, 5, 3)
    assert_same(model.predict(x.numpy(), verbose=0), module(x.transpose(1, 2)))
    module.load_state_dict(interop.state_dict(model, like=module, flatten="channels_first"))
    assert_same(model.predict(x.numpy(), verbose=0), module(x.transpose(1, 2)))


def test_images():
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(3, 4, (2, 3)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 2))
    model = Sequential(
        [
            layers.Input((7, 6, 3)),
            layers.Conv2D(4, (2, 3)),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    interop.load_state_dict(model, module, flatten="channels_first")
    x = torch.randn(2, 7, 6, 3)
    assert_same(model.predict(x.numpy(), verbose=0), module(x.permute(0, 3, 1, 2)))


@pytest.mark.long
@pytest.mark.parametrize("amsgrad", [False, True])
def test_training_goes_on(amsgrad):
    """A GRU, whose two biases are ours: the losses of both libraries stay together."""
    draw = np.random.default_rng(0)
    nn = torch.nn
    gru, out = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 1)
    module = nn.ModuleList([gru, out])
    adam = torch.optim.Adam(module.parameters(), 0.01, eps=1e-12, amsgrad=amsgrad)
    x = draw.normal(size=(32, 7, 4)).astype("float32")
    y = draw.normal(size=(32, 1)).astype("float32")

    def step():
        adam.zero_grad()
        loss = (out(gru(torch.from_numpy(x))[0][:, -1]) - torch.from_numpy(y)).square().mean()
        loss.backward()
        adam.step()
        return loss.item()

    for _ in range(5):
        step()
    model = Sequential([layers.Input((7, 4)), layers.GRU(6), layers.Dense(1)])
    model.compile(optimizers.Adam(0.01, epsilon=1e-12, amsgrad=amsgrad), "mse")
    interop.load_state_dict(model, module, optimizer=adam)
    for _ in range(20):
        assert model.train_on_batch(x, y) == pytest.approx(step(), rel=1e-4)
