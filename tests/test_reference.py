"""The reference is itself held to PyTorch and to identities that follow from the equations."""

import math

import numpy as np
import pytest
import reference
from seeds import generator

TOLERANCE = 1e-12
B, T, INPUTS, H = 4, 7, 3, 5
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
LENGTHS = np.array([7, 3, 1, 5])


@pytest.fixture
def rng():
    return generator(20)


def problem(rng, family, units=H, two_biases=True):
    """x and a caller ``run(x, states, **options) -> (sequences, states)`` over random weights."""
    G = GATES[family]
    weights = {
        "kernel": rng.normal(size=(INPUTS, G * units)),
        "recurrent_kernel": rng.normal(size=(units, G * units)),
        "bias": rng.normal(size=(2, 3 * units) if family == "gru" and two_biases else G * units),
    }
    states = [rng.normal(size=(B, units)) for _ in range(2 if family == "lstm" else 1)]

    def run(x, states, **options):
        return getattr(reference, family)(x, *weights.values(), *states, **options)

    return rng.normal(size=(B, T, INPUTS)), states, weights, run


def assert_same(got, expected, tolerance=TOLERANCE):
    (y, states), (expected_y, expected_states) = got, expected
    np.testing.assert_allclose(y, expected_y, rtol=0, atol=tolerance)
    assert len(states) == len(expected_states)
    for state, expected_state in zip(states, expected_states, strict=True):
        np.testing.assert_allclose(state, expected_state, rtol=0, atol=tolerance)


def torch_module(family, weights, bidirectional=False, nonlinearity="tanh"):
    """A float64 torch.nn module; both directions hold the same weights."""
    torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch")
    options = {"nonlinearity": nonlinearity} if family == "rnn" else {}
    module = getattr(torch.nn, family.upper())(
        INPUTS, H, batch_first=True, bidirectional=bidirectional, dtype=torch.float64, **options
    )
    bias = weights["bias"]
    if bias.ndim == 1:  # PyTorch adds its two biases: an uneven split shows that both count
        bias = np.stack([0.25 * bias, 0.75 * bias])

    def turned(array):
        """Gates first, and a GRU's ``z r n`` made PyTorch's ``r z n``."""
        blocks = np.split(array.T, GATES[family])
        if family == "gru":
            blocks = [blocks[k] for k in (1, 0, 2)]
        return torch.from_numpy(np.concatenate(blocks))

    with torch.no_grad():
        for suffix in ["", "_reverse"][: 1 + bidirectional]:
            getattr(module, "weight_ih_l0" + suffix).copy_(turned(weights["kernel"]))
            getattr(module, "weight_hh_l0" + suffix).copy_(turned(weights["recurrent_kernel"]))
            getattr(module, "bias_ih_l0" + suffix).copy_(turned(bias[0]))
            getattr(module, "bias_hh_l0" + suffix).copy_(turned(bias[1]))
    return torch, module


def torch_run(torch, module, x, states, lengths=None):
    """Sequences, and one list of states a direction."""
    x = torch.from_numpy(x)
    if lengths is not None:
        x = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
        )
    directions = 2 if module.bidirectional else 1
    states = tuple(torch.from_numpy(np.stack([s] * directions)) for s in states)
    with torch.no_grad():
        y, last = module(x, states if len(states) == 2 else states[0])
    if lengths is not None:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=T)
    last = last if isinstance(last, tuple) else (last,)
    return y.numpy(), [[s[d].numpy() for s in last] for d in range(directions)]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("family", GATES)
def test_agrees_with_torch(rng, family, lengths):
    x, states, weights, run = problem(rng, family)
    y, (last,) = torch_run(*torch_module(family, weights), x, states, lengths)
    assert_same(run(x, states, lengths=lengths), (y, last))


def test_relu_rnn_agrees_with_torch(rng):
    x, states, weights, run = problem(rng, "rnn")
    weights["recurrent_kernel"] *= 0.3  # relu does not saturate: keep the numbers near one
    y, (last,) = torch_run(*torch_module("rnn", weights, nonlinearity="relu"), x, states)
    assert_same(run(x, states, activation="relu"), (y, last))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("family", GATES)
def test_backwards_agrees_with_torch(rng, family, lengths):
    x, states, weights, run = problem(rng, family)
    y, (_, last) = torch_run(*torch_module(family, weights, bidirectional=True), x, states, lengths)
    expected = np.zeros((B, T, H))  # PyTorch gives time order, the reference the order processed
    for b, valid in enumerate(np.full(B, T) if lengths is None else lengths):
        expected[b, :valid] = y[b, :valid, H:][::-1]
    assert_same(run(x, states, lengths=lengths, go_backwards=True), (expected, last))


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("family", GATES)
def test_lengths_trim_each_row(rng, family, go_backwards):
    x, states, _, run = problem(rng, family)
    lengths = np.array([0, 4, 7, 1])
    x[0, 0], x[1, 4:] = np.nan, np.nan  # padding must not be read
    y, last = run(x, states, lengths=lengths, go_backwards=go_backwards)
    for b, valid in enumerate(lengths):
        row = slice(b, b + 1)
        alone = run(x[row, :valid], [s[row] for s in states], go_backwards=go_backwards)
        assert_same((y[row, :valid], [s[row] for s in last]), alone, tolerance=0)
        assert not y[b, valid:].any()
    for state, initial in zip(last, states, strict=True):
        np.testing.assert_array_equal(state[0], initial[0])


@pytest.mark.parametrize("family", GATES)
def test_resets_split_the_row(rng, family):
    x, states, _, run = problem(rng, family)
    resets = np.zeros((B, T), dtype=bool)
    resets[0, 3] = resets[1, 0] = resets[2, 6] = resets[3, 5] = True
    lengths = np.array([T, T, T, 5])  # the last row's reset lies past its end: no effect
    y, last = run(x, states, lengths=lengths, resets=resets)
    zeros = [np.zeros_like(s) for s in states]
    for b, t in [(0, 3), (1, 0), (2, 6)]:
        before, _ = run(x[:, :t], states)
        after, after_states = run(x[:, t:], zeros)
        np.testing.assert_array_equal(y[b, :t], before[b])
        np.testing.assert_array_equal(y[b, t:], after[b])
        for state, expected in zip(last, after_states, strict=True):
            np.testing.assert_array_equal(state[b], expected[b])
    np.testing.assert_array_equal(y[3, :5], run(x[:, :5], states)[0][3])


@pytest.mark.parametrize("family", GATES)
def test_backwards_resets_at_the_position_in_x(rng, family):
    x, states, _, run = problem(rng, family)
    resets = rng.random((B, T)) < 0.4
    got = run(x, states, resets=resets, go_backwards=True)
    assert_same(got, run(x[:, ::-1], states, resets=resets[:, ::-1]), tolerance=0)


@pytest.mark.parametrize("family", GATES)
def test_absent_bias_and_states_are_zero(rng, family):
    x, states, weights, run = problem(rng, family)
    zeros = [np.zeros_like(s) for s in states]
    weights["bias"][...] = 0
    expected = run(x, zeros)
    weights["bias"] = None
    assert_same(run(x, [None] * len(states)), expected, tolerance=0)


def test_inputs_are_not_written(rng):
    x, states, weights, run = problem(rng, "lstm")
    arrays = [x, *states, *weights.values()]
    copies = [a.copy() for a in arrays]
    run(x, states, lengths=LENGTHS, resets=np.ones((B, T), dtype=bool))
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("reset_after", [True, False])
def test_chung_is_cho_with_the_update_gate_negated(rng, reset_after):
    x, states, weights, run = problem(rng, "gru", two_biases=reset_after)
    cho = run(x, states, reset_after=reset_after, update="cho")
    for array in weights.values():
        array[..., :H] *= -1  # sigm(-a) = 1 - sigm(a)
    assert_same(run(x, states, reset_after=reset_after, update="chung"), cho)


def test_reset_before_and_after_agree_where_they_must(rng):
    x, states, weights, run = problem(rng, "gru", two_biases=False)
    after = run(x, states, reset_after=True)
    assert np.abs(after[0] - run(x, states, reset_after=False)[0]).max() > 1e-3
    # (r*h') U = r*(h' U) when the candidate's part of U is diagonal
    weights["recurrent_kernel"][:, 2 * H :] *= np.eye(H)
    assert_same(run(x, states, reset_after=False), run(x, states, reset_after=True))


def test_gru_reset_before_by_hand():
    # One input, one unit, one step: every number can be followed.
    kernel, recurrent_kernel, bias = [[0.1, 0.2, 0.3]], [[0.4, 0.5, 0.6]], [0.7, -0.8, 0.9]
    x, h = 1.5, -0.25
    z = 1 / (1 + math.exp(-(0.1 * x + 0.4 * h + 0.7)))
    r = 1 / (1 + math.exp(-(0.2 * x + 0.5 * h - 0.8)))
    n = math.tanh(0.3 * x + 0.6 * (r * h) + 0.9)
    y, _ = reference.gru([[[x]]], kernel, recurrent_kernel, bias, [[h]], reset_after=False)
    assert y.item() == pytest.approx(z * h + (1 - z) * n, abs=TOLERANCE)


@pytest.mark.parametrize(
    "name, torch_name",
    [
        ("tanh", "tanh"),
        ("sigmoid", "sigmoid"),
        ("relu", "relu"),
        ("softsign", "softsign"),
        ("softplus", "softplus"),
        ("elu", "elu"),
        ("leaky_relu", "leaky_relu"),
        ("exponential", "exp"),
        ("softmax", "softmax"),
        ("hard_sigmoid", "hardsigmoid"),
    ],
)
def test_activations_agree_with_torch(rng, name, torch_name):
    torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch")
    options = {"softmax": {"dim": -1}, "leaky_relu": {"negative_slope": 0.2}}.get(name, {})
    space = torch if torch_name == "exp" else torch.nn.functional
    x = np.concatenate([rng.normal(size=(2, 9)) * 4, [np.linspace(-40, 40, 9)]])
    expected = getattr(space, torch_name)(torch.from_numpy(x), **options).numpy()
    # torch's softplus is linear above 20, where exp(-20) = 2e-9 is what it drops
    tolerance = 3e-9 if name == "softplus" else TOLERANCE
    np.testing.assert_allclose(
        reference.ACTIVATIONS[name](x), expected, rtol=tolerance, atol=tolerance
    )


def test_dense(rng):
    x, kernel, bias = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    y = reference.dense(x, kernel, bias, "relu")
    assert y.shape == (2, 3, 5)
    expected = sum(x[1, 2, i] * kernel[i, 3] for i in range(4)) + bias[3]
    assert y[1, 2, 3] == pytest.approx(max(expected, 0), abs=TOLERANCE)
    np.testing.assert_array_equal(reference.dense(x, kernel), x @ kernel)


def test_losses_agree_with_torch(rng):
    torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch")
    F = torch.nn.functional
    y, p = rng.random((6, 4, 3)), rng.random((6, 4, 3)) * 0.9 + 0.05
    labels = rng.integers(0, 3, size=(6, 4))
    logits = rng.normal(size=(6, 4, 3)) * 3
    t = torch.from_numpy
    assert reference.mse(y, p) == pytest.approx(F.mse_loss(t(p), t(y)).item(), abs=TOLERANCE)
    assert reference.mae(y, p) == pytest.approx(F.l1_loss(t(p), t(y)).item(), abs=TOLERANCE)
    bce = F.binary_cross_entropy(t(p), t(y)).item()
    assert reference.binary_crossentropy(y, p) == pytest.approx(bce, abs=TOLERANCE)
    bce = F.binary_cross_entropy_with_logits(t(logits), t(y)).item()
    assert reference.binary_crossentropy(y, logits, from_logits=True) == pytest.approx(
        bce, abs=TOLERANCE
    )

    ce = F.cross_entropy(t(logits).flatten(0, 1), t(labels).flatten()).item()
    softmax, one_hot = reference.softmax(logits), np.eye(3)[labels]
    sparse, full = reference.sparse_categorical_crossentropy, reference.categorical_crossentropy
    assert sparse(labels, logits, from_logits=True) == pytest.approx(ce, abs=TOLERANCE)
    assert sparse(labels[..., None], softmax) == pytest.approx(ce, abs=TOLERANCE)
    assert full(one_hot, softmax) == pytest.approx(ce, abs=TOLERANCE)
    # probabilities that do not add up to one are scaled first, as Keras does
    assert full(one_hot, 7 * softmax) == pytest.approx(ce, abs=TOLERANCE)


def test_losses_clip_certainties():
    expected = -math.log(1e-7)
    assert reference.binary_crossentropy([[1.0]], [[0.0]]) == pytest.approx(expected)
    assert reference.categorical_crossentropy([[1.0, 0.0]], [[0.0, 1.0]]) == pytest.approx(expected)
    assert reference.sparse_categorical_crossentropy([0], [[0.0, 1.0]]) == pytest.approx(expected)
