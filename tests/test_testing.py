"""check_gradients passes a right backward, and names the place where one is wrong."""

import numpy as np
import pytest
from seeds import generator

from gatewise.errors import ConfigError, DTypeError, GatewiseError
from gatewise.layers import (
    GRU,
    LSTM,
    AdditiveAttention,
    Attention,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
)
from gatewise.models import Sequential
from gatewise.testing import GradientError, check_gradients, compare_gradients


class TinyRNN:
    """h = act(x W + h' U + b) in NumPy, with every option that check_gradients hands on.

    ``bug`` is a function that spoils the gradients: ``bug(layer, dx) -> dx``, called at the end of
    backward.
    """

    def __init__(
        self, units=4, dtype="float64", return_state=False, dropout=0.0, act="tanh", bug=None
    ):
        self.units, self.dtype, self.return_state, self.dropout = (
            units,
            dtype,
            return_state,
            dropout,
        )
        self.act, self.bug = act, bug
        self.rng = generator(5)
        self.built = False

    def build(self, input_shape):
        inputs, H = input_shape[-1], self.units
        # Parameters are views into one vector, as the layers of gatewise have them.
        flat = self.rng.normal(size=inputs * H + H * H + H).astype(self.dtype) * 0.5
        flat_gradient = np.full_like(flat, 123.0)  # left over: the check must clear it

        def views(vector):
            kernel, recurrent_kernel, bias = np.split(vector, [inputs * H, inputs * H + H * H])
            return {
                "kernel": kernel.reshape(inputs, H),
                "recurrent_kernel": recurrent_kernel.reshape(H, H),
                "bias": bias,
            }

        self.parameters, self.gradients = views(flat), views(flat_gradient)
        self.built = True

    def forward(self, x, lengths=None, initial_state=None, resets=None, training=False):
        B, T, _ = x.shape
        p, H = self.parameters, self.units
        h = np.zeros((B, H), self.dtype) if initial_state is None else initial_state[0].copy()
        mask = np.ones(x.shape, self.dtype)
        if training and self.dropout:
            mask = (self.rng.random(x.shape) >= self.dropout) / (1 - self.dropout)
        y = np.zeros((B, T, H), self.dtype)
        self.saved = []
        for t in range(T):
            keep = np.ones((B, 1)) if resets is None else 1.0 - resets[:, t : t + 1]
            valid = np.ones((B, 1)) if lengths is None else (t < np.asarray(lengths))[:, None] * 1.0
            x_t, h_in = x[:, t] * mask[:, t], h * keep
            a = x_t @ p["kernel"] + h_in @ p["recurrent_kernel"] + p["bias"]
            new = np.tanh(a) if self.act == "tanh" else np.maximum(a, 0)
            slope = 1 - new**2 if self.act == "tanh" else (a > 0) * 1.0
            self.saved.append((x_t, h_in, slope, keep, valid, mask[:, t]))
            h = np.where(valid > 0, new, h).astype(self.dtype)
            y[:, t] = new * valid
        return [y, h] if self.return_state else y

    def backward(self, dy):
        dy, dh = dy if self.return_state else (dy, 0.0)
        p, g = self.parameters, self.gradients
        dh = np.zeros_like(dy[:, 0]) + dh
        dx = np.zeros((*dy.shape[:2], p["kernel"].shape[0]))
        for t in reversed(range(dy.shape[1])):
            x_t, h_in, slope, keep, valid, mask = self.saved[t]
            da = (dy[:, t] + dh) * slope * valid
            g["kernel"] += x_t.T @ da
            g["recurrent_kernel"] += h_in.T @ da
            g["bias"] += da.sum(axis=0)
            dx[:, t] = da @ p["kernel"].T * mask
            dh = (da @ p["recurrent_kernel"].T) * keep + dh * (1 - valid)
        self.initial_state_gradient = [dh]
        return dx if self.bug is None else self.bug(self, dx)


@pytest.fixture
def x():
    return generator(1).normal(size=(3, 5, 2))


@pytest.fixture
def h0():
    return generator(2).normal(size=(3, 4))


ALL = {"kernel", "recurrent_kernel", "bias", "x", "initial_state[0]"}


@pytest.mark.parametrize("return_state", [False, True])
def test_a_right_backward_passes(x, h0, return_state):
    resets = np.zeros((3, 5), dtype=bool)
    resets[1, 2] = True
    layer = TinyRNN(return_state=return_state)
    report = check_gradients(layer, x, lengths=[5, 4, 0], initial_state=[h0], resets=resets)
    assert set(report.errors) == ALL
    assert max(report.errors.values()) < 1e-8
    assert report.passed
    assert report.entries == {
        "kernel": 8,
        "recurrent_kernel": 16,
        "bias": 4,
        "x": 30,
        "initial_state[0]": 12,
    }
    assert "gradients agree" in str(report) and "recurrent_kernel" in str(report)


def test_optional_arguments_are_not_passed_when_absent(x):
    class Plain(TinyRNN):
        def forward(self, x, training=False):
            assert training
            return super().forward(x, training=training)

    assert set(check_gradients(Plain(), x).errors) == ALL - {"initial_state[0]"}


def add_to(name, index, amount):
    def bug(layer, dx):
        array = {"x": dx, "initial_state[0]": layer.initial_state_gradient[0], **layer.gradients}[
            name
        ]
        array[index] += amount
        return dx

    return bug


@pytest.mark.parametrize("amount", [1.0, 1e-5, np.nan, np.inf])
@pytest.mark.parametrize(
    "name, index",
    [
        ("kernel", (1, 2)),
        ("recurrent_kernel", (3, 0)),
        ("bias", (2,)),
        ("x", (2, 4, 1)),
        ("initial_state[0]", (0, 3)),
    ],
)
def test_a_wrong_entry_is_named(x, h0, name, index, amount):
    with pytest.raises(GradientError) as caught:
        check_gradients(TinyRNN(bug=add_to(name, index, amount)), x, initial_state=[h0])
    message = str(caught.value)
    assert f"gradient of {name}[{', '.join(map(str, index))}]: analytic " in message
    assert "numeric" in message and "1 of the" in message
    assert caught.value.report.worst == name
    assert [n for n, e in caught.value.report.errors.items() if e > 1e-7] == [name]
    assert isinstance(caught.value, GatewiseError) and isinstance(caught.value, AssertionError)


def test_a_gradient_left_at_zero_is_found(x):
    def bug(layer, dx):
        layer.gradients["bias"][...] = 0
        return dx

    with pytest.raises(GradientError, match=r"gradient of bias\[\d\]: analytic 0, numeric"):
        check_gradients(TinyRNN(bug=bug), x)


class LastStep(TinyRNN):
    """Returns the last step alone, so that h0 acts through the whole chain."""

    def forward(self, x, **options):
        y = super().forward(x, **options)
        self.shape = y.shape
        return y[:, -1]

    def backward(self, dy):
        full = np.zeros(self.shape)
        full[:, -1] = dy
        return super().backward(full)


@pytest.mark.parametrize("steps", [10, 20, 40, 80])
def test_a_vanishing_gradient_passes_when_right(steps):
    rng = generator(steps)
    layer = LastStep()
    layer.build((None, None, 2))
    layer.parameters["recurrent_kernel"] *= 0.7
    x, h0 = rng.normal(size=(2, steps, 2)), rng.normal(size=(2, 4))
    assert check_gradients(layer, x, initial_state=[h0], max_entries=20).passed


def test_a_vanishing_gradient_fails_when_wrong():
    rng = generator(0)
    x, h0 = 0.1 * rng.normal(size=(2, 10, 2)), 0.1 * rng.normal(size=(2, 4))

    def bug(layer, dx):
        assert 1e-8 < np.abs(layer.initial_state_gradient[0]).max() < 1e-3
        layer.initial_state_gradient[0] *= 1.01
        return dx

    layer = LastStep(bug=bug)
    layer.build((None, None, 2))
    layer.parameters["bias"][...] = 0
    layer.parameters["recurrent_kernel"][...] = 0.4 * np.eye(4)  # 0.4^10 = 1e-4 is left of h0
    with pytest.raises(GradientError, match=r"gradient of initial_state\[0\]\["):
        check_gradients(layer, x, initial_state=[h0])


def test_a_kink_near_by_passes(x):
    layer = TinyRNN(act="relu")
    layer.build((None, None, 2))
    layer.parameters["recurrent_kernel"][...] = 0
    # Puts one pre-activation 3e-6 above zero: the first step, 1e-5, reaches over the kink.
    layer.parameters["bias"][0] = 3e-6 - x[0, 0] @ layer.parameters["kernel"][:, 0]
    assert check_gradients(layer, x).passed


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_scale_of_the_inputs_does_not_matter(x, scale):
    layer = TinyRNN()
    layer.build((None, None, 2))
    layer.parameters["kernel"] /= scale
    assert check_gradients(layer, x * scale).passed


def test_dropout_is_drawn_alike_in_every_pass(x):
    layer = TinyRNN(dropout=0.5)
    layer.build((None, None, 2))
    state = layer.rng.bit_generator.state
    assert check_gradients(layer, x).passed
    assert layer.rng.bit_generator.state == state


def test_generators_of_wrapped_layers_are_found(x):
    class Wrapper:
        dtype, built = "float64", True

        def __init__(self, inner):
            self.layers = [inner]
            self.parameters, self.gradients = inner.parameters, inner.gradients
            self.forward, self.backward = inner.forward, inner.backward

    inner = TinyRNN(dropout=0.3)
    inner.build((None, None, 2))
    assert check_gradients(Wrapper(inner), x).passed


def test_a_forward_pass_that_does_not_repeat_itself(x):
    class Random(TinyRNN):
        def forward(self, x, **options):
            return super().forward(x, **options) + np.random.default_rng().normal()

    with pytest.raises(GradientError, match="does not repeat itself"):
        check_gradients(Random(), x)


def test_a_stateful_layer_starts_each_pass_anew(x):
    class Stateful(TinyRNN):
        stateful, state = True, None

        def reset_state(self):
            self.state = None

        def forward(self, x, **options):
            y = super().forward(x, initial_state=self.state, **options)
            self.state = [y[:, -1]]
            return y

    assert check_gradients(Stateful(), x).passed


def test_everything_is_left_as_it_was(x, h0):
    layer = TinyRNN(bug=add_to("bias", 0, 1.0))
    layer.build((None, None, 2))
    arrays = [x, h0, *layer.parameters.values(), *layer.gradients.values()]
    before = [a.copy() for a in arrays]
    with pytest.raises(GradientError):
        check_gradients(layer, x, initial_state=[h0])
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(3, stateful=True, dropout=0.2, dtype="float64"),
        lambda: Bidirectional(GRU(2, stateful=True, dtype="float64")),
    ],
)
def test_a_layer_is_left_in_the_middle_of_what_it_was_doing(make, x):
    layer, other = make(), make()
    for one in (layer, other):
        one.build((None, None, 2))
        one.rng.bit_generator.state = np.random.PCG64(3).state
    other.set_weights(layer.get_weights())
    for one in (layer, other):
        one(x)
        one.forward(2 * x, training=True)
        if one is layer:
            assert check_gradients(layer, -x).passed
        dx = one.backward(np.ones((3, one.output_shape[-1])))
        one._last = [dx, *one.gradients.values(), *one.state, one(x), one.forward(x, training=True)]
    assert not layer._views_given
    for a, b in zip(layer._last, other._last, strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_layer_that_is_not_built_stays_so(x):
    layer = LSTM(3, dtype="float64")
    assert check_gradients(layer, x).passed and not layer.built and layer.state is None


@pytest.mark.parametrize("built", [False, True])
def test_a_model_is_left_as_it_was(built, x):
    model = Sequential([LSTM(2, dtype="float64", stateful=True), Dropout(0.2), Dense(1)], seed=0)
    model.compile("adam", "mse")
    y = np.ones((3, 1))
    if built:
        model.build((None, None, 2))
        model.compute_gradients(x, y)
        before = [model.flat_gradients.copy(), model._flat_weights(), *model.layers[0].state]
    random_state = model.rng.bit_generator.state
    assert check_gradients(model, 2 * x, y=y).passed
    assert check_gradients(model, 2 * x, y=y, loss="log_cosh").passed
    assert model.built is built and model.rng.bit_generator.state == random_state
    assert type(model.loss).__name__ == "MeanSquaredError"
    if built:
        assert not model.layers[0]._views_given
        for a, b in zip(
            [model.flat_gradients, model._flat_weights(), *model.layers[0].state],
            before,
            strict=True,
        ):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Attention(dropout=0.3, dtype="float64"),
        lambda: Attention(True, "concat", dtype="float64"),
        lambda: AdditiveAttention(dtype="float64"),
    ],
)
def test_a_layer_of_several_inputs(make, x):
    value, key = x[:, :4] + 1, 2 * x[:, 1:]
    for inputs, lengths in [([x, value], None), ((x, value, key), [[5, 0, 2], [4, 3, 1]])]:
        report = check_gradients(make(), inputs, lengths=lengths)
        assert report.passed and {f"x[{k}]" for k in range(len(inputs))} <= report.errors.keys()

    class Forgetful(Attention):
        def backward(self, dy):
            return super().backward(dy)[:1]

    with pytest.raises(GradientError, match="backward returned 1 arrays for 2 inputs"):
        check_gradients(Forgetful(dtype="float64"), [x, value])
    with pytest.raises(DTypeError, match=r"x\[1\] is float32"):
        check_gradients(make(), [x, value.astype("f")])


def test_floats_that_a_layer_reads_as_whole_numbers():
    for x in (np.array([[0.0, 2, 2], [1, 0, 3]]), np.array([[0, 2, 2], [1, 0, 3]])):
        assert set(check_gradients(Embedding(4, 2, dtype="float64"), x).errors) == {"embeddings"}
    with pytest.raises(DTypeError, match="whole numbers"):
        check_gradients(Embedding(4, 2, dtype="float64"), np.array([[0.5]]))
    assert "x" in check_gradients(Dense(2, dtype="float64"), np.array([[1.0, 2.0]])).errors


def test_large_arrays_are_sampled_alike_for_one_seed(x):
    reports = [check_gradients(TinyRNN(), x, max_entries=7, seed=seed) for seed in (3, 3)]
    assert reports[0].entries == {"kernel": 7, "recurrent_kernel": 7, "bias": 4, "x": 7}
    assert reports[0] == reports[1]


def test_integer_inputs_have_no_gradient():
    class Embedding:
        dtype, built = "float64", True

        def __init__(self):
            self.parameters = {
                "table": generator(0).normal(size=(6, 3)),
                "moving": np.ones(2),
            }
            self.gradients = {"table": np.zeros((6, 3))}

        def forward(self, x, training=False):
            self.x = x
            return self.parameters["table"][x]

        def backward(self, dy):
            np.add.at(self.gradients["table"], self.x, dy)

    report = check_gradients(Embedding(), np.array([[0, 3, 3], [5, 1, 0]]))
    assert set(report.errors) == {"table"}
    assert report.unchecked == ("moving",)
    assert "not checked" in str(report)


def test_missing_or_misshapen_gradients(x, h0):
    with pytest.raises(GradientError, match="backward returned None"):
        check_gradients(TinyRNN(bug=lambda layer, dx: None), x)
    with pytest.raises(
        GradientError, match=r"gradient of x has shape \(3, 5, 1\), x has \(3, 5, 2\)"
    ):
        check_gradients(TinyRNN(bug=lambda layer, dx: dx[..., :1]), x)

    def forget(layer, dx):
        layer.initial_state_gradient = None
        return dx

    with pytest.raises(GradientError, match="initial_state_gradient is not set"):
        check_gradients(TinyRNN(bug=forget), x, initial_state=[h0])

    def too_many(layer, dx):
        layer.initial_state_gradient *= 2
        return dx

    with pytest.raises(GradientError, match="2 arrays for 1 initial states"):
        check_gradients(TinyRNN(bug=too_many), x, initial_state=[h0])


def test_only_float64(x, h0):
    with pytest.raises(DTypeError, match=r"TinyRNN is float32.*dtype='float64'"):
        check_gradients(TinyRNN(dtype="float32"), x)
    with pytest.raises(DTypeError, match="x is float32"):
        check_gradients(TinyRNN(), x.astype(np.float32))
    with pytest.raises(DTypeError, match=r"initial_state\[0\] is float32"):
        check_gradients(TinyRNN(), x, initial_state=[h0.astype(np.float32)])

    class Narrow(TinyRNN):
        def forward(self, x, **options):
            return super().forward(x, **options).astype(np.float32)

    with pytest.raises(DTypeError, match="output 0 is float32"):
        check_gradients(Narrow(), x)


def test_bad_arguments(x):
    for options in (
        {"eps": 0},
        {"tolerance": -1.0},
        {"max_entries": 0},
        {"max_entries": 2.5},
        {"eps": None},
    ):
        with pytest.raises(ConfigError, match=f"{next(iter(options))} is"):
            check_gradients(TinyRNN(), x, **options)
    with pytest.raises(ConfigError, match="y and loss"):
        check_gradients(TinyRNN(), x, y=x)
    with pytest.raises(DTypeError, match="expected a layer"):
        check_gradients(object(), x)


def test_a_forward_pass_that_is_not_finite(x):
    x[0, 0, 0] = np.nan
    with pytest.raises(GradientError, match="forward pass gives nan"):
        check_gradients(TinyRNN(), x)


class TestCompareGradients:
    def test_a_function_of_ones_own(self):
        a, b = np.array([0.3, -1.2]), np.array(2.0)
        pairs = {"a": (a, np.exp(a) * b), "b": (b, np.exp(a).sum())}
        report = compare_gradients(lambda: np.exp(a).sum() * b, pairs)
        assert report.passed and report.entries == {"a": 2, "b": 1}
        with pytest.raises(GradientError, match=r"gradient of b\[\]: analytic 1,"):
            compare_gradients(lambda: np.exp(a).sum() * b, {**pairs, "b": (b, np.array(1.0))})

    def test_no_slope_and_no_entries(self):
        a, empty = np.ones(3), np.ones((0, 2))
        report = compare_gradients(
            lambda: 1.0, {"a": (a, np.zeros(3)), "empty": (empty, np.zeros((0, 2)))}
        )
        assert report.errors == {"a": 0.0, "empty": 0.0}

    def test_nothing_to_compare(self):
        with pytest.raises(ConfigError, match="nothing to compare"):
            compare_gradients(lambda: 1.0, {})

    def test_a_raising_function_leaves_the_array(self):
        a = np.ones(2)

        def scalar():
            if a[0] != 1:
                raise RuntimeError("stop")
            return 0.0

        with pytest.raises(RuntimeError, match="stop"):
            compare_gradients(scalar, {"a": (a, np.zeros(2))})
        assert a.tolist() == [1, 1]
