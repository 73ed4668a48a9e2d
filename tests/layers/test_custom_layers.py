"""User-defined layers train, are checked, copied, saved and wrapped: docs/custom-layers.md."""

import copy
import inspect
import pickle

import numpy as np
import pytest

from gatewise import layers
from gatewise.errors import CheckpointError, ConfigError, DTypeError, ShapeError
from gatewise.layers import Batch, Dense, Input, Layer, ParameterSpec, TimeDistributed
from gatewise.models import Sequential, load_model
from gatewise.testing import GradientError, check_gradients
from gatewise.utils import custom_object_scope


class Scale(Layer):
    """Each feature times a number that is trained."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def parameter_specs(self, input_shape):
        return [ParameterSpec("scale", (input_shape[-1],), "ones", "l2")]

    def run(self, inputs, tape, node):
        if tape is not None:
            tape.keep(node, inputs.values)
        return inputs.with_values(self.start * self.parameters["scale"] * inputs.values)

    def run_backward(self, gradients, tape, node, wanted):
        x = tape.take(node)
        rows = (self.start * gradients * x).reshape(-1, x.shape[-1])
        self.gradients["scale"][...] += rows.sum(axis=0)
        return self.start * self.parameters["scale"] * gradients


class RunningSum(Layer):
    """The sum of all steps so far: each of its steps depends on those before."""

    reads_steps = True

    def run(self, inputs, tape, node):
        return inputs.with_values(np.cumsum(inputs.values, axis=1, dtype=inputs.values.dtype))

    def run_backward(self, gradients, tape, node, wanted):
        return np.cumsum(gradients[:, ::-1], axis=1)[:, ::-1]


class Centred(Layer):
    """x less a running mean, which no optimizer moves."""

    def parameter_specs(self, input_shape):
        return [ParameterSpec("mean", (input_shape[-1],), trained=False)]

    def run(self, inputs, tape, node):
        x, mean = inputs.values, self.parameters["mean"]
        if tape is not None:
            found = x.reshape(-1, x.shape[-1]).mean(axis=0)

            def move():
                mean[...] = 0.5 * mean + 0.5 * found

            tape.afterwards(move)
        return inputs.with_values(x - mean)

    def run_backward(self, gradients, tape, node, wanted):
        return gradients


class Product(Layer):
    """Two inputs, multiplied; and their sum as a second output."""

    several_inputs = True

    def compute_output_shape(self, input_shape):
        return [input_shape[0], input_shape[0]]

    def run(self, inputs, tape, node):
        a, b = inputs
        if tape is not None:
            tape.keep(node, (a.values, b.values))
        return [a.with_values(a.values * b.values), Batch(a.values + b.values)]

    def run_backward(self, gradients, tape, node, wanted):
        a, b = tape.take(node)
        d_product, d_sum = (0 if part is None else part for part in gradients)
        return [d_product * b + d_sum, d_product * a + d_sum]


class Noise(Layer):
    """Adds draws of the model's generator in training."""

    def run(self, inputs, tape, node):
        if tape is None:
            return inputs
        x = inputs.values
        draws = self.random_generator().standard_normal(x.shape, np.float32)
        return inputs.with_values((x + draws).astype(x.dtype))

    def run_backward(self, gradients, tape, node, wanted):
        return gradients


OWN = {cls.__name__: cls for cls in (Scale, RunningSum, Centred, Noise)}


def model_of(*stack, loss="mse", inputs=(None, 3)):
    model = Sequential([Input(inputs), *stack, layers.GRU(4), Dense(1)], seed=0)
    model.compile("adam", loss)
    return model


@pytest.fixture
def xy(rng):
    return rng.normal(size=(24, 6, 3)).astype("float32"), rng.normal(size=(24, 1))


@pytest.mark.parametrize(
    "make", [lambda: Scale(0.5, dtype="float64"), lambda: RunningSum(dtype="float64")]
)
def test_gradients(make, rng):
    x = rng.normal(size=(3, 6, 2))
    for lengths in (None, [6, 0, 4]):
        given = {} if lengths is None else {"lengths": lengths}
        assert check_gradients(make(), x, **given).passed


def test_a_wrong_gradient_is_found(rng):
    class Wrong(Scale):
        def run_backward(self, gradients, tape, node, wanted):
            return 2 * super().run_backward(gradients, tape, node, wanted)

    with pytest.raises(GradientError, match="gradient of x"):
        check_gradients(Wrong(dtype="float64"), rng.normal(size=(3, 2)))


def test_several_inputs_and_outputs(rng):
    layer = Product(dtype="float64")
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    product, total = layer.forward([a, b])
    np.testing.assert_array_equal(product, a * b)
    np.testing.assert_array_equal(total, a + b)
    assert layer.input_shape == [(None, 3), (None, 3)] == layer.output_shape
    assert check_gradients(layer, [a, b]).passed
    layer.forward([a, b], training=True)
    d_a, d_b = layer.backward([np.ones((4, 3)), None])  # None stands for zeros
    np.testing.assert_array_equal(d_a, b)
    np.testing.assert_array_equal(d_b, a)
    with pytest.raises(ShapeError, match="the same number of rows in each"):
        layer.forward([a, b[:2]])
    with pytest.raises(ShapeError, match="lengths has 1 entries; expected 2"):
        layer.forward([a, b], lengths=[None])


def test_it_trains_and_learns_by_the_optimizer(xy):
    model = model_of(Scale(2.0))
    before = model.layers[0].get_weights()[0]
    losses = model.fit(*xy, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert (model.layers[0].get_weights()[0] != before).all()
    assert (
        model.count_params() == 3 + model.layers[1].count_params() + model.layers[2].count_params()
    )
    assert model.layers[0].penalty() > 0


def test_gradients_of_a_model(xy):
    stack = [Scale(0.5, dtype="float64"), RunningSum()]
    model = Sequential([Input((6, 3), dtype="float64"), *stack, layers.LSTM(3), Dense(1)], seed=0)
    x, y = (part.astype("float64") for part in xy)
    assert check_gradients(model, x, y=y, loss="mse", lengths=[6, 2, 3] * 8).passed


def test_a_frozen_layer_stays(xy):
    model = model_of(Scale(trainable=False))
    before = model.layers[0].get_weights()[0]
    model.fit(*xy, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], before)


def test_what_no_optimizer_moves_changes_after_the_pass(xy):
    model = model_of(Centred())
    x, y = xy
    model.train_on_batch(x, y)
    (mean,) = model.layers[0].get_weights()
    np.testing.assert_allclose(mean, 0.5 * x.reshape(-1, 3).mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(model.predict(x), model.predict(x))
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], mean)


def test_draws_follow_from_the_seed(xy):
    first, second = model_of(Noise()), model_of(Noise())
    for model in (first, second):
        model.fit(*xy, epochs=2, verbose=0)
    for a, b in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_array_equal(a, b)
    x = xy[0]
    assert not np.array_equal(first(x, training=True), first(x, training=True))


def test_steps_that_do_not_count(xy):
    """Rows with lengths and with masks give what they give alone."""
    model, x = model_of(Scale(2.0), RunningSum()), xy[0]
    lengths = np.array([6, 3, 1] * 8)
    together = model.predict(x, lengths=lengths)
    for row in (0, 1, 2):
        alone = model.predict(x[row : row + 1, : lengths[row]])
        np.testing.assert_array_equal(together[row], alone[0])
    mask = np.ones((24, 6), bool)
    mask[:, 2] = False
    np.testing.assert_array_equal(
        model.predict(x, mask=mask), model.predict(np.delete(x, 2, axis=1))
    )


def test_files(xy, tmp_path):
    model = model_of(Scale(2.0), RunningSum(), Centred(), TimeDistributed(Scale(0.5)))
    model.fit(*xy, epochs=1, verbose=0)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model", custom_objects=OWN)
    np.testing.assert_array_equal(again.predict(xy[0]), model.predict(xy[0]))
    assert again.layers[0].start == 2.0 and again.layers[3].layer.start == 0.5
    again.fit(*xy, epochs=1, verbose=0)
    model.fit(*xy, epochs=1, verbose=0)
    for a, b in zip(again.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(a, b)
    with custom_object_scope(OWN):
        assert isinstance(load_model(tmp_path / "model").layers[1], RunningSum)


def test_files_that_name_a_class_that_is_not_given(tmp_path):
    model_of(Scale()).save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="layer class 'Scale' is not known.*custom_objects"):
        load_model(tmp_path / "model")
    with pytest.raises(CheckpointError, match="expected a class that derives from Layer"):
        load_model(tmp_path / "model", custom_objects={"Scale": dict})


def test_a_class_that_files_cannot_hold(tmp_path):
    class Forgetful(Scale):
        def __init__(self, exponent, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(ConfigError, match="Forgetful has no attribute 'exponent'"):
        model_of(Forgetful(2)).save(tmp_path / "model")

    namesake = type("Dense", (Scale,), {})
    with pytest.raises(ConfigError, match="has the name of a class of gatewise"):
        model_of(namesake()).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(again, xy):
    model = model_of(Scale(2.0), RunningSum())
    model.fit(*xy, epochs=1, verbose=0)
    copied = again(model)
    for each in (model, copied):
        each.fit(*xy, epochs=1, verbose=0)
    for a, b in zip(model.get_weights(), copied.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_from_config():
    layer = Scale(3.0, name="mine", input_shape=(2,), trainable=False)
    config = layer.get_config()
    assert config == {
        "name": "mine",
        "dtype": None,
        "input_shape": [2],
        "trainable": False,
        "start": 3.0,
    }
    again = Scale.from_config(config)
    assert again.get_config() == config


@pytest.mark.parametrize(
    ("methods", "missing"),
    [
        ((), r"no run\(.*and no run_backward"),
        (("run",), r"no run_backward\("),
        (("run_backward",), r"no run\("),
    ],
)
def test_missing_methods_are_named_when_the_class_is_used(methods, missing):
    cls = type("Half", (Layer,), {name: getattr(Scale, name) for name in methods})
    with pytest.raises(DTypeError, match=f"layer Half defines {missing}.*docs/custom-layers.md"):
        cls()
    with pytest.raises(TypeError):
        cls()


def test_kerass_way_gets_a_hint():
    class KerasLayer(Layer):
        def call(self, x):
            return x

    with pytest.raises(DTypeError, match="Keras's call computes no gradient"):
        KerasLayer()


def test_parameter_specs_take_names_of_initializers():
    spec = ParameterSpec("kernel", (2, 3), "glorot_uniform", "l2", "non_neg")
    assert spec.size == 6 and spec.trained
    assert type(spec.initializer).__name__ == "GlorotUniform"
    with pytest.raises(ConfigError, match="kernel: initializer 'glorot' is not known"):
        ParameterSpec("kernel", (2, 3), "glorot")
    with pytest.raises(DTypeError, match="kernel: initializer"):
        ParameterSpec("kernel", (2, 3), 3)


def returning(method, function):
    """A class like Scale, with one method that is wrong."""
    return type("Wrong", (Scale,), {method: lambda self, *given: function(self, *given)})


def forward_with(change):
    def run(self, inputs, tape, node):
        outputs = Scale.run(self, inputs, tape, node)
        return inputs.with_values(change(outputs.values))

    return run


def backward_with(change):
    def run_backward(self, gradients, tape, node, wanted):
        return change(Scale.run_backward(self, gradients, tape, node, wanted))

    return run_backward


WRONG = {
    "array": (
        "run",
        lambda self, inputs, tape, node: inputs.values,
        "run of layer 'wrong' returned an object of class ndarray; expected a Batch",
    ),
    "nothing": ("run", lambda *given: None, "returned None; expected a Batch"),
    "features": (
        "run",
        forward_with(lambda y: y[..., :1]),
        r"run of layer 'wrong' .* shape \(8, 5, 1\); compute_output_shape says \(8, 5, 3\)",
    ),
    "rows": ("run", forward_with(lambda y: y[1:]), r"shape \(7, 5, 3\); compute_output_shape"),
    "dtype": ("run", forward_with(lambda y: y.astype("float64")), "float64; expected float32"),
    "no gradient": (
        "run_backward",
        backward_with(lambda dx: None),
        "run_backward of layer 'wrong' returned None; expected the gradient",
    ),
    "shape of gradient": (
        "run_backward",
        backward_with(lambda dx: dx[:, :2]),
        r"a gradient of shape \(8, 2, 3\); expected \(8, 5, 3\), the input's",
    ),
    "dtype of gradient": (
        "run_backward",
        backward_with(lambda dx: dx.astype("float64")),
        "run_backward of layer 'wrong' returned float64; expected float32",
    ),
    "dict of parameters": (
        "parameter_specs",
        lambda self, shape: {"scale": shape[-1:]},
        "parameter_specs of layer 'wrong' returned .* dict; expected a list of ParameterSpec",
    ),
    "tuples": ("parameter_specs", lambda self, shape: [("scale", shape)], "class tuple; expected"),
    "unknown extent": (
        "parameter_specs",
        lambda self, shape: [ParameterSpec("scale", (None,))],
        r"the shape \(None,\); expected a tuple of whole numbers",
    ),
    "an extent for a shape": (
        "parameter_specs",
        lambda self, shape: [ParameterSpec("scale", 3)],
        "the shape 3; expected a tuple of whole numbers",
    ),
    "no output shape": (
        "compute_output_shape",
        lambda self, shape: None,
        "compute_output_shape of layer 'wrong' returned None; expected a tuple",
    ),
    "output without a batch": (
        "compute_output_shape",
        lambda self, shape: (2,),
        r"returned \(2,\) for the input shape .*the batch in front",
    ),
    "several outputs in a Sequential": (
        "compute_output_shape",
        lambda self, shape: [shape, shape],
        "layer 'wrong' has 2 outputs; a Sequential passes on one output",
    ),
    "more outputs than shapes": (
        "run",
        lambda self, inputs, tape, node: [inputs, inputs],
        "returned 2 outputs; compute_output_shape gives 1",
    ),
    "one name twice": (
        "parameter_specs",
        lambda self, shape: 2 * [ParameterSpec("scale", shape[-1:])],
        "names 'scale' twice",
    ),
}


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.replace(" ", "_"))
def test_what_hooks_return_is_checked(case, rng):
    """Kernels stated sizes that the layer's author did not know, or computed with zeros."""
    method, function, message = WRONG[case]
    with pytest.raises((DTypeError, ShapeError, ConfigError), match=message):
        model = model_of(
            layers.GRU(3, return_sequences=True), returning(method, function)(name="wrong")
        )
        model.train_on_batch(rng.normal(size=(8, 5, 3)), np.zeros((8, 1)))


def test_outputs_and_gradients_in_another_order_of_memory(rng):
    """Transposed arrays, such as those of einsum, were refused by the kernels."""

    class Transposed(Scale):
        def run(self, inputs, tape, node):
            outputs = super().run(inputs, tape, node)
            return inputs.with_values(np.asfortranarray(outputs.values))

        def run_backward(self, gradients, tape, node, wanted):
            return np.asfortranarray(super().run_backward(gradients, tape, node, wanted))

    x, weights = rng.normal(size=(8, 5, 3)), []
    for cls in (Scale, Transposed):
        model = model_of(layers.GRU(3, return_sequences=True), cls())
        model.train_on_batch(x, x.mean(axis=(1, 2)))
        weights.append(model.get_weights())
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)


def test_hooks_of_a_mixin_and_of_a_subclass_of_a_layer_are_checked(rng):
    class Shorter:
        def run(self, inputs, tape, node):
            return Batch(super().run(inputs, tape, node)[0].values[:1])

    x = rng.normal(size=(2, 4, 3)).astype("float32")
    layer = type("Mixed", (Shorter, layers.LSTM), {})(5, return_state=True, name="mixed")
    with pytest.raises(ShapeError, match=r"layer 'mixed' .* shape \(1, 5\)"):
        layer.forward(x, initial_state=[np.zeros((2, 5), "float32")] * 2)


def test_signatures_are_those_of_constructors():
    assert {"name", "dtype", "input_shape"} <= inspect.signature(Layer).parameters.keys()
    assert "start" in inspect.signature(Scale).parameters


def test_inputs_of_a_user_layer_can_only_be_read(rng):
    """They are the caller's arrays, or outputs that the layer below still needs."""

    class InPlace(Scale):
        def run(self, inputs, tape, node):
            inputs.values[...] = 0
            return inputs

    x = rng.normal(size=(2, 4, 3)).astype("float32")
    before = x.copy()
    with pytest.raises(ValueError, match="read-only"):
        InPlace()(x)
    np.testing.assert_array_equal(x, before)


def test_a_user_layer_that_returns_its_input_gives_an_array_of_the_callers(rng):
    class Same(Layer):
        def run(self, inputs, tape, node):
            return inputs

        def run_backward(self, gradients, tape, node, wanted):
            return gradients

    x = rng.normal(size=(2, 4, 3)).astype("float32")
    y = Same()(x)
    assert y.flags.writeable
    assert not np.may_share_memory(y, x)
