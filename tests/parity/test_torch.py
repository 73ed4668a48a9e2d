"""Forward passes and every gradient against PyTorch."""

import numpy as np
import pytest
from cases import assert_close, make, sequences, states_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rivals import installed
from tolerances import TOLERANCES

pytestmark = pytest.mark.skipif(not installed("torch"), reason="parity with PyTorch needs torch")

# Ours by PyTorch's name. reset_after is the only GRU that PyTorch has.
CELLS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
# which of our blocks comes where: r z n from z r n
GATES = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}
SHAPES = [
    (1, 1, 1, 1),
    (4, 7, 3, 5),
    (13, 5, 10, 33),
    (2, 40, 3, 16),
    (50, 12, 16, 64),
    (3, 5, 520, 7),
    (2, 3, 4, 520),
    (2, 20, 5, 130),
]  # batch, steps, inputs, units


@pytest.fixture(scope="module", autouse=True)
def pytorch():
    """Import PyTorch in the process that runs these tests, not in all that collect them."""
    global torch
    import torch


def to_torch(array, cell):
    """Our weights (inputs, gates*units), or a bias, in PyTorch's order and orientation."""
    blocks = np.split(array, len(GATES[cell]), axis=-1)
    return torch.from_numpy(
        np.ascontiguousarray(np.concatenate([blocks[k] for k in GATES[cell]], axis=-1).T)
    )


def to_ours(tensor, cell):
    """The way back, for gradients; the blocks' order is its own inverse."""
    blocks = np.split(tensor.detach().numpy().T, len(GATES[cell]), axis=-1)
    return np.concatenate([blocks[k] for k in GATES[cell]], axis=-1)


def module_like(layer, cell, nonlinearity="tanh"):
    """A torch module with the layer's weights."""
    options = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
    weights = dict(zip(("kernel", "recurrent_kernel", "bias"), layer.get_weights()))
    module = getattr(torch.nn, CELLS[cell])(
        weights["kernel"].shape[0],
        layer.units,
        batch_first=True,
        bias="bias" in weights,
        dtype=getattr(torch, layer.dtype),
        **options,
    )
    with torch.no_grad():
        module.weight_ih_l0.copy_(to_torch(weights["kernel"], cell))
        module.weight_hh_l0.copy_(to_torch(weights["recurrent_kernel"], cell))
        if "bias" in weights:
            bias = weights["bias"]
            if cell != "gru":  # PyTorch has two and adds them
                bias = np.stack([bias - 0.25, np.full_like(bias, 0.25)])
            module.bias_ih_l0.copy_(to_torch(bias[0], cell))
            module.bias_hh_l0.copy_(to_torch(bias[1], cell))
    return module


def check(
    layer,
    cell,
    rng,
    batch,
    steps,
    inputs,
    tolerance,
    lengths=None,
    nonlinearity="tanh",
    with_state=True,
):
    """Outputs, final state and all gradients of sum(y * dy) + sum(h * dh) + sum(c * dc)."""
    dtype, count = layer.dtype, len(layer.cell.states)
    x = sequences(rng, batch, steps, inputs, dtype)
    start = (
        states_for(layer, batch, rng)
        if with_state
        else [np.zeros((batch, layer.units), dtype)] * count
    )
    dy = rng.normal(size=(batch, steps, layer.units)).astype(dtype)
    d_last = [rng.normal(size=(batch, layer.units)).astype(dtype) for _ in range(count)]

    module = module_like(layer, cell, nonlinearity)
    x_t = torch.from_numpy(x).requires_grad_()
    start_t = [torch.from_numpy(state.copy()).requires_grad_() for state in start]
    given = x_t
    if lengths is not None:
        given = torch.nn.utils.rnn.pack_padded_sequence(
            x_t, torch.from_numpy(np.asarray(lengths)), batch_first=True, enforce_sorted=False
        )
    state = tuple(s[None] for s in start_t)
    y_t, last_t = module(given, state if count == 2 else state[0])
    if lengths is not None:
        y_t, _ = torch.nn.utils.rnn.pad_packed_sequence(y_t, batch_first=True, total_length=steps)
    last_t = last_t if isinstance(last_t, tuple) else (last_t,)
    total = (y_t * torch.from_numpy(dy)).sum()
    for part, gradient in zip(last_t, d_last):
        total = total + (part[0] * torch.from_numpy(gradient)).sum()
    total.backward()

    arguments = {"lengths": lengths, "initial_state": start if with_state else None}
    for training in (False, True):
        y, *last = layer.forward(x, training=training, **arguments)
        assert_close(y, y_t.detach().numpy(), tolerance.forward, "y")
        for name, got, wanted in zip("hc", last, last_t):
            assert_close(got, wanted[0].detach().numpy(), tolerance.forward, f"final {name}")
    layer.zero_gradients()
    dx = layer.backward([dy, *d_last])
    assert_close(dx, x_t.grad.numpy(), tolerance.backward, "dx")
    for name, got, wanted in zip("hc", layer.initial_state_gradient, start_t):
        assert_close(got, wanted.grad.numpy(), tolerance.backward, f"d{name}0")
    wanted = {
        "kernel": to_ours(module.weight_ih_l0.grad, cell),
        "recurrent_kernel": to_ours(module.weight_hh_l0.grad, cell),
    }
    if "bias" in layer.gradients:
        d_input, d_recurrent = (
            to_ours(p.grad, cell) for p in (module.bias_ih_l0, module.bias_hh_l0)
        )
        if cell == "gru":
            wanted["bias"] = np.stack([d_input, d_recurrent])
        else:
            assert_close(d_input, d_recurrent, tolerance.backward)
            wanted["bias"] = d_input
    assert layer.gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert_close(layer.gradients[name], gradient, tolerance.backward, f"d {name}")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_and_gradients(cell, shape, dtype, tolerance, rng):
    batch, steps, inputs, units = shape
    layer = make(cell, units, inputs, rng, dtype, return_sequences=True, return_state=True)
    check(layer, cell, rng, batch, steps, inputs, tolerance)
    check(layer, cell, rng, batch, steps, inputs, tolerance, with_state=False)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cell=st.sampled_from(list(CELLS)),
    relu=st.booleans(),
    use_bias=st.booleans(),
    ragged=st.booleans(),
    with_state=st.booleans(),
    batch=st.integers(1, 20),
    steps=st.integers(1, 9),
    inputs=st.integers(1, 9),
    units=st.integers(1, 40),
    dtype=st.sampled_from(list(TOLERANCES)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_combination(
    cell, relu, use_bias, ragged, with_state, batch, steps, inputs, units, dtype, seed
):
    rng, nonlinearity = np.random.default_rng(seed), "relu" if relu and cell == "rnn" else "tanh"
    layer = make(
        cell,
        units,
        inputs,
        rng,
        dtype,
        activation=nonlinearity,
        use_bias=use_bias,
        return_sequences=True,
        return_state=True,
    )
    lengths = rng.integers(1, steps + 1, batch) if ragged else None
    check(
        layer, cell, rng, batch, steps, inputs, TOLERANCES[dtype], lengths, nonlinearity, with_state
    )


@pytest.mark.parametrize("cell", CELLS)
def test_packed_sequences(cell, dtype, tolerance, rng):
    for batch, steps, units in [(1, 4, 3), (6, 7, 17), (40, 11, 33)]:
        lengths = rng.integers(1, steps + 1, batch)  # PyTorch refuses empty rows
        layer = make(cell, units, 3, rng, dtype, return_sequences=True, return_state=True)
        check(layer, cell, rng, batch, steps, 3, tolerance, lengths=lengths)


@pytest.mark.parametrize("cell", CELLS)
def test_without_bias(cell, dtype, tolerance, rng):
    layer = make(cell, 10, 3, rng, dtype, use_bias=False, return_sequences=True, return_state=True)
    check(layer, cell, rng, 5, 6, 3, tolerance)


def test_relu(dtype, tolerance, rng):
    layer = make(
        "rnn", 10, 3, rng, dtype, activation="relu", return_sequences=True, return_state=True
    )
    check(layer, "rnn", rng, 5, 6, 3, tolerance, nonlinearity="relu")


@pytest.mark.parametrize("cell", CELLS)
def test_backwards_is_the_reverse_direction(cell, dtype, tolerance, rng):
    """PyTorch returns the reverse direction in the order of time, gatewise in the order visited."""
    batch, steps, inputs, units = 6, 7, 3, 5
    layer = make(
        cell, units, inputs, rng, dtype, return_sequences=True, return_state=True, go_backwards=True
    )
    one_way = module_like(layer, cell)
    module = getattr(torch.nn, CELLS[cell])(
        inputs, units, batch_first=True, bidirectional=True, dtype=getattr(torch, dtype)
    )
    module.load_state_dict(
        {
            f"{name}{suffix}": value
            for name, value in one_way.state_dict().items()
            for suffix in ("", "_reverse")
        }
    )
    x, lengths = sequences(rng, batch, steps, inputs, dtype), rng.integers(1, steps + 1, batch)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(x), torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        y_t, last_t = module(packed)
        y_t, _ = torch.nn.utils.rnn.pad_packed_sequence(y_t, batch_first=True, total_length=steps)
    y, *last = layer.forward(x, lengths=lengths)
    for row, length in enumerate(lengths):
        assert_close(y[row, :length], y_t[row, :length, units:].numpy()[::-1], tolerance.forward)
    for got, wanted in zip(last, last_t if isinstance(last_t, tuple) else (last_t,)):
        assert_close(got, wanted[1].numpy(), tolerance.forward)


@pytest.mark.parametrize("steps", [200])
@pytest.mark.parametrize("cell", CELLS)
def test_long_sequences(cell, steps, tolerance, dtype, rng):
    layer = make(cell, 33, 8, rng, dtype, return_sequences=True, return_state=True)
    check(layer, cell, rng, 3, steps, 8, tolerance)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    ("batch", "steps", "inputs", "units", "projection"),
    [(1, 1, 1, 2, 1), (4, 7, 3, 17, 5), (2, 20, 5, 130, 33), (3, 4, 2, 520, 7)],
)
def test_projection(batch, steps, inputs, units, projection, dtype, tolerance, rng):
    """PyTorch's proj_size: outputs, final states, and every gradient."""
    layer = make(
        "lstm",
        units,
        inputs,
        rng,
        dtype,
        projection=projection,
        return_sequences=True,
        return_state=True,
    )
    p = dict(zip(layer.parameters, layer.get_weights()))
    module = torch.nn.LSTM(
        inputs, units, batch_first=True, proj_size=projection, dtype=getattr(torch, dtype)
    )
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.from_numpy(p["kernel"].T.copy()))
        module.weight_hh_l0.copy_(torch.from_numpy(p["recurrent_kernel"].T.copy()))
        module.weight_hr_l0.copy_(torch.from_numpy(p["projection_kernel"].T.copy()))
        module.bias_ih_l0.copy_(torch.from_numpy(p["bias"]))
        module.bias_hh_l0.zero_()
    x, start = sequences(rng, batch, steps, inputs, dtype), states_for(layer, batch, rng)
    x_t, *start_t = (torch.from_numpy(array.copy()).requires_grad_() for array in (x, *start))
    y_t, last_t = module(x_t, tuple(s[None] for s in start_t))
    outputs_t = [y_t, *(part[0] for part in last_t)]
    dy = [rng.normal(size=part.shape).astype(dtype) for part in outputs_t]
    sum((part * torch.from_numpy(d)).sum() for part, d in zip(outputs_t, dy)).backward()
    for got, wanted in zip(
        layer.forward(x, initial_state=start, training=True), outputs_t, strict=True
    ):
        assert_close(got, wanted.detach().numpy(), tolerance.forward)
    layer.zero_gradients()
    assert_close(layer.backward(dy), x_t.grad.numpy(), tolerance.backward, "dx")
    for got, wanted in zip(layer.initial_state_gradient, start_t, strict=True):
        assert_close(got, wanted.grad.numpy(), tolerance.backward, "state gradient")
    names = {
        "kernel": "weight_ih_l0",
        "recurrent_kernel": "weight_hh_l0",
        "projection_kernel": "weight_hr_l0",
        "bias": "bias_ih_l0",
    }
    for ours, theirs in names.items():
        assert_close(
            layer.gradients[ours], getattr(module, theirs).grad.numpy().T, tolerance.backward, ours
        )
