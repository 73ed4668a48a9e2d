"""Sequential: building, weights in one buffer, inputs, predict."""

import copy
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import gatewise
from gatewise import callbacks, layers, optimizers
from gatewise.errors import ConfigError, GatewiseError, ShapeError, StateError
from gatewise.layers import GRU, LSTM, Activation, Dense, Dropout, Flatten, Input, SimpleRNN
from gatewise.models import Sequential

from .small import bits, compiled, forecaster

# ---- building


def test_add_and_the_constructor_make_the_same_model(xy):
    one = Sequential(
        [LSTM(4, return_sequences=True, input_shape=(6, 2)), Dropout(0.5), GRU(3), Dense(1)], seed=5
    )
    two = Sequential(seed=5)
    for layer in (
        LSTM(4, return_sequences=True, input_shape=(6, 2)),
        Dropout(0.5),
        GRU(3),
        Dense(1),
    ):
        assert two.add(layer) is None
    assert (
        [type(layer) for layer in one.layers]
        == [type(layer) for layer in two.layers]
        == [LSTM, Dropout, GRU, Dense]
    )
    assert one.input_shape == two.input_shape == (None, 6, 2)
    assert one.output_shape == two.output_shape == (None, 1)
    assert [w.shape for w in one.get_weights()] == [w.shape for w in two.get_weights()]
    assert bits(Sequential([Dense(3, input_shape=(2,))], seed=9).get_weights()) == bits(
        Sequential([Dense(3, input_shape=(2,))], seed=9).get_weights()
    )


@pytest.mark.parametrize(
    "first",
    [
        lambda: [Input((6, 2)), LSTM(4)],
        lambda: [Input(shape=(6, 2)), LSTM(4)],
        lambda: [Input(batch_shape=(9, 6, 2)), LSTM(4)],
        lambda: [LSTM(4, input_shape=(6, 2))],
        lambda: [LSTM(4, batch_input_shape=(9, 6, 2))],
        lambda: [Dropout(0.1, input_shape=(6, 2)), LSTM(4)],
        lambda: [Input((None, 2)), LSTM(4)],
    ],
    ids=[
        "Input",
        "shape=",
        "batch_shape=",
        "input_shape",
        "batch_input_shape",
        "Dropout first",
        "free steps",
    ],
)
def test_every_way_to_say_the_input_shape(first, xy):
    model = Sequential([*first(), Dense(1)])
    assert model.built
    assert model.input_shape in ((None, 6, 2), (None, None, 2))
    assert model.predict(xy[0]).shape == (20, 1)
    assert not any(isinstance(layer, layers.InputLayer) for layer in model.layers)


def test_no_input_shape_builds_on_the_first_data(xy):
    for use in (
        lambda m: m.fit(*xy, verbose=0),
        lambda m: m.predict(xy[0]),
        lambda m: m.evaluate(*xy, verbose=0),
        lambda m: m.train_on_batch(*xy),
        lambda m: m(xy[0]),
    ):
        model = compiled(LSTM(4), Dense(1))
        assert not model.built
        assert model.input_shape is None
        use(model)
        assert model.built
        assert model.input_shape == (None, 6, 2)
        assert [w.shape for w in model.get_weights()] == [(2, 16), (4, 16), (16,), (4, 1), (1,)]


def test_build():
    model = Sequential([LSTM(4), Dense(1)])
    model.build((None, None, 3))
    assert model.built
    assert model.get_weights()[0].shape == (3, 16)
    assert model.predict(np.zeros((2, 7, 3))).shape == (2, 1)
    assert model.predict(np.zeros((2, 9, 3))).shape == (2, 1)


def test_adding_later_keeps_the_weights_there(xy):
    model = Sequential([LSTM(4, input_shape=(6, 2))], seed=1)
    before = model.get_weights()
    model.add(Dense(1))
    assert bits(model.get_weights()[:3]) == bits(before)
    model.build((None, 9, 2))  # other steps, same features
    assert bits(model.get_weights()[:3]) == bits(before)
    model.pop()
    assert [layer.units for layer in model.layers] == [4]
    assert model.output_shape == (None, 4)
    assert bits(model.get_weights()) == bits(before)
    assert model.predict(xy[0]).shape == (20, 4)
    with pytest.raises(StateError, match="there is no layer to remove"):
        Sequential().pop()


def test_a_popped_layer_may_go_elsewhere():
    first = Sequential([Dense(3, input_shape=(2,)), Dense(4)])
    layer = first.layers[1]
    first.pop()
    second = Sequential([Dense(3, input_shape=(5,)), layer])
    assert second.layers[1] is layer
    first.predict(np.ones((1, 2)))
    before = bits(first.get_weights())
    second.flat_parameters[...] = 0
    assert bits(first.get_weights()) == before


def test_a_layer_belongs_to_one_model():
    layer = Dense(3, input_shape=(2,), name="shared")
    Sequential([layer])
    with pytest.raises(
        ConfigError, match="layer 'shared' belongs to another model; make a new layer"
    ):
        Sequential([layer])


def test_names():
    with pytest.raises(ConfigError, match="two layers are named 'd'; give each its own name"):
        Sequential([Dense(3, name="d"), Dense(4, name="d")])
    model = Sequential([Dense(3), Dense(3), Dense(3, name="mine")], name="net")
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == 3
    assert re.fullmatch(r"dense(_\d+)?", names[0])
    assert model.name == "net"
    assert model.get_layer("mine") is model.layers[2]
    assert model.get_layer(name=names[1]) is model.layers[1]
    assert model.get_layer(index=0) is model.layers[0]
    assert model.get_layer(index=-1) is model.layers[2]
    with pytest.raises(ConfigError, match=r"no layer is named 'other'; there are dense.*, mine"):
        model.get_layer("other")


def test_a_layer_that_does_not_fit_is_not_added(xy):
    model = Sequential([LSTM(4, input_shape=(6, 2))])
    with pytest.raises(ShapeError, match=r"expected \(batch, steps, features\)"):
        model.add(GRU(3))  # return_sequences was forgotten
    assert len(model.layers) == 1
    assert model.predict(xy[0]).shape == (20, 4)


def test_dtypes(xy):
    model = Sequential([LSTM(3, dtype="float64", input_shape=(6, 2)), Dense(1)])
    assert model.dtype == "float64"
    assert model.predict(xy[0]).dtype == np.float64
    assert all(w.dtype == np.float64 for w in model.get_weights())
    assert model.flat_parameters.dtype == model.flat_gradients.dtype == np.float64
    assert Sequential([Input((6, 2), dtype="float64"), LSTM(3)]).dtype == "float64"
    with pytest.raises(
        ConfigError, match=r"layers have dtypes \['float32', 'float64'\]; give all layers"
    ):
        Sequential([LSTM(3, dtype="float64"), Dense(1, dtype="float32")])
    assert Sequential([LSTM(3, input_shape=(6, 2))]).predict(xy[0]).dtype == np.float32


def test_a_dtype_that_comes_with_a_later_layer_makes_the_model(xy):
    model = Sequential([LSTM(3, input_shape=(6, 2)), Dense(1, dtype="float64")])
    assert model.dtype == "float64"
    assert all(w.dtype == np.float64 for w in model.get_weights())
    assert model.predict(xy[0]).dtype == np.float64


def test_summary(xy, capsys):
    model = Sequential(
        [LSTM(4, input_shape=(6, 2), name="first"), Dropout(0.2), Dense(1, name="last")], name="net"
    )
    assert model.summary() is None
    text = capsys.readouterr().out
    assert "net" in text
    assert re.search(r"first \(LSTM\)\s+\(None, 4\)\s+112", text)
    assert re.search(r"last \(Dense\)\s+\(None, 1\)\s+5", text)
    assert re.search(r"117 parameters, 468 bytes in float32", text)
    lines = []
    model.summary(print_fn=lines.append)
    assert "\n".join(lines) + "\n" == text
    unbuilt = Sequential([LSTM(4), Dense(1)])
    unbuilt.summary()
    assert "not built" in capsys.readouterr().out
    assert model.count_params() == 117


# ---- one flat buffer


def assert_views(model):
    """Every parameter and gradient lies where it should in the two flat buffers, in order."""
    at = 0
    for layer in model.layers:
        assert layer.parameters.keys() == layer.gradients.keys()
        for name, array in layer.parameters.items():
            gradient = layer.gradients[name]
            for view, flat in ((array, model.flat_parameters), (gradient, model.flat_gradients)):
                assert np.shares_memory(view, flat)
                assert view.ctypes.data == flat.ctypes.data + at * flat.itemsize
                assert view.flags.writeable
                assert view.dtype == model.dtype
            at += array.size
    assert at == model.flat_parameters.size == model.flat_gradients.size == model.count_params()
    assert model.flat_parameters.ctypes.data % 64 == model.flat_gradients.ctypes.data % 64 == 0


STACKS = {
    "lstm": lambda: [LSTM(4, input_shape=(6, 2)), Dense(1)],
    "deep": lambda: [
        GRU(3, return_sequences=True, input_shape=(6, 2)),
        Dropout(0.3),
        SimpleRNN(5),
        Dense(4, "tanh"),
        Dense(1),
    ],
    "no bias": lambda: [LSTM(3, use_bias=False, input_shape=(6, 2)), Dense(1, use_bias=False)],
    "flat": lambda: [LSTM(3, return_sequences=True, input_shape=(6, 2)), Flatten(), Dense(1)],
}


@pytest.mark.parametrize("stack", STACKS)
def test_views_stay_views_after_everything(stack, xy, tmp_path):
    model = compiled(*STACKS[stack](), optimizer=optimizers.Adam(0.01, clipnorm=1.0))
    flat, flat_gradients = model.flat_parameters, model.flat_gradients
    assert_views(model)
    steps = [
        lambda: model.predict(xy[0]),
        lambda: model.fit(
            *xy,
            epochs=2,
            verbose=0,
            validation_split=0.2,
            callbacks=[callbacks.EarlyStopping("loss", restore_best_weights=True)],
        ),
        lambda: model.evaluate(*xy, verbose=0),
        lambda: model.train_on_batch(*xy),
        lambda: model.set_weights([w * 0.5 for w in model.get_weights()]),
        lambda: model.layers[0].set_weights(model.layers[0].get_weights()),
        lambda: model.compile("rmsprop", "mae"),
        lambda: model.fit(*xy, verbose=0),
        lambda: model.save(tmp_path / "model"),
        lambda: model.compute_gradients(*xy),
        lambda: model.summary(print_fn=lambda line: None),
    ]
    for step in steps:
        step()
        assert model.flat_parameters is flat
        assert model.flat_gradients is flat_gradients
        assert_views(model)
    assert_views(gatewise.load_model(tmp_path / "model"))
    model.build(model.input_shape)
    assert_views(model)


def test_writing_to_a_layers_parameters_changes_the_outputs(xy):
    for stack in STACKS.values():
        model = Sequential(stack(), seed=0)
        held = [array for layer in model.layers for array in layer.parameters.values()]
        for array in held:
            before = model.predict(xy[0])
            array += 0.25
            assert not np.array_equal(model.predict(xy[0]), before)
        for array in model.weights:
            array[...] = 0
        assert not model.flat_parameters.any()
        assert not model.predict(xy[0]).any()


def test_writing_to_the_flat_buffer_and_saying_so_changes_the_outputs(xy):
    model = forecaster()
    model.predict(xy[0])
    model.flat_parameters[...] = 0
    model._weights_changed()
    assert not model.predict(xy[0]).any()
    assert not any(w.any() for w in model.get_weights())


def test_writing_to_the_flat_buffer_changes_the_outputs(xy):
    model = forecaster()
    model.predict(xy[0])
    model.flat_parameters[...] = 0
    assert not model.predict(xy[0]).any()


def test_get_weights_are_copies_and_set_weights_takes_copies(xy):
    model = forecaster()
    weights = model.get_weights()
    before = bits(weights)
    for w in weights:
        assert not np.shares_memory(w, model.flat_parameters)
        w += 1
    assert bits(model.get_weights()) == before
    model.set_weights(weights)
    expected = bits(weights)
    assert bits(model.get_weights()) == expected
    weights[0][...] = 7
    assert bits(model.get_weights()) == expected


def test_weights_in_keras_order():
    model = Sequential([LSTM(4, input_shape=(6, 2)), Dense(5), Dense(1)])
    assert [w.shape for w in model.get_weights()] == [
        (2, 16),
        (4, 16),
        (16,),
        (4, 5),
        (5,),
        (5, 1),
        (1,),
    ]
    gru = Sequential([GRU(3, input_shape=(None, 2))])
    assert [w.shape for w in gru.get_weights()] == [(2, 9), (3, 9), (2, 9)]
    before = Sequential([GRU(3, reset_after=False, input_shape=(None, 2))])
    assert [w.shape for w in before.get_weights()] == [(2, 9), (3, 9), (9,)]
    np.testing.assert_array_equal(model.get_weights()[2], np.repeat([0, 1, 0, 0], 4))  # forget bias


def test_set_weights_is_all_or_nothing():
    model = forecaster()
    before, good = bits(model.get_weights()), [w + 1 for w in model.get_weights()]
    for at, wrong in (
        (4, np.zeros(2)),
        (3, np.full((4, 1), np.nan)),
        (4, "text"),
        (2, np.zeros((16, 1))),
    ):
        with pytest.raises(GatewiseError):
            model.set_weights([*good[:at], wrong, *good[at + 1 :]])
        assert bits(model.get_weights()) == before
    with pytest.raises(ShapeError, match="the model has 5 weight arrays, got 4"):
        model.set_weights(good[:4])


# ---- inputs


def test_rank_2_integers_and_float64_are_taken():
    model = compiled(LSTM(4, input_shape=(6, 1)), Dense(1))
    x = np.arange(18).reshape(3, 6)
    expected = model.predict(x[..., None].astype(np.float32))
    for given in (
        x,
        x.astype(np.uint8),
        x.astype(np.float64),
        x[..., None],
        x.tolist(),
        x[..., None].tolist(),
    ):
        np.testing.assert_array_equal(model.predict(given), expected)
    history = model.fit(x, [1, 2, 3], verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_nothing_given_is_changed(xy):
    x, y = (array.astype(np.float32) for array in xy)
    weights, lengths = np.ones(20), np.full(20, 5)
    keep = [array.copy() for array in (x, y, weights, lengths)]
    model = compiled(
        LSTM(4, dropout=0.2, return_sequences=True, input_shape=(6, 2)),
        Dropout(0.3),
        GRU(2),
        Dense(1),
    )
    for array in (x, y, weights, lengths):
        array.flags.writeable = False
    model.fit(x, y, epochs=2, sample_weight=weights, lengths=lengths, verbose=0)
    model.evaluate(x, y, sample_weight=weights, lengths=lengths, verbose=0)
    model.predict(x, lengths=lengths)
    model.train_on_batch(x, y, sample_weight=weights)
    for array, before in zip((x, y, weights, lengths), keep):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(
    "stack", [lambda: [Dropout(0.3)], lambda: [Flatten()]], ids=["Dropout", "Flatten"]
)
def test_predictions_are_not_the_callers_array(stack):
    x = np.ones((3, 4), np.float32)
    for run in (lambda m: m.predict(x), lambda m: m(x)):
        out = run(Sequential(stack()))
        assert not np.shares_memory(out, x)


def test_two_calls_give_two_arrays(xy):
    model = forecaster()
    first = model.predict(xy[0])
    kept = first.copy()
    model.predict(xy[0] * 2)
    model.fit(*xy, verbose=0)
    np.testing.assert_array_equal(first, kept)


def test_no_other_library_is_needed(tmp_path):
    """Build, train, predict, save, load.

    No scikit-learn, matplotlib, pandas or framework is imported.
    """
    program = f"""
import sys
import numpy as np
import gatewise
from gatewise import layers, models
model = models.Sequential([layers.LSTM(2, input_shape=(4, 1)), layers.Dense(1)])
model.compile("adam", "mse", ["mae"])
model.fit(np.ones((8, 4)), np.ones(8), epochs=2, validation_split=0.25)
model.predict(np.ones((8, 4)))
model.save({str(tmp_path / "model")!r})
gatewise.load_model({str(tmp_path / "model")!r}).evaluate(np.ones((8, 4)), np.ones(8))
others = "sklearn", "matplotlib", "pandas", "torch", "keras", "tensorflow", "h5py", "onnx", "tqdm"
print([name for name in others if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "how",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "pickle"],
)
def test_copies_and_pickles(how, xy):
    """As Keras's models, and as scikit-learn's clone, joblib and GridSearchCV will ask of ours."""
    model = forecaster(optimizer="adam")
    model.fit(*xy, verbose=0)
    other = how(model)
    assert_views(other)
    assert not np.shares_memory(other.flat_parameters, model.flat_parameters)
    for one in (model, other):
        one.fit(*xy, epochs=2, verbose=0)
    assert other.flat_parameters.tobytes() == model.flat_parameters.tobytes()


# ---- predict

PREDICTORS = {
    "lstm": lambda: [
        LSTM(17, return_sequences=True, input_shape=(None, 3)),
        LSTM(9),
        Dense(4, "softmax"),
    ],
    "gru": lambda: [
        GRU(33, return_sequences=True, input_shape=(None, 3)),
        Dense(70, "relu"),
        Dense(5, "sigmoid"),
    ],
    "gru before": lambda: [
        GRU(20, reset_after=False, go_backwards=True, input_shape=(None, 3)),
        Dense(2),
    ],
    "rnn": lambda: [
        SimpleRNN(31, "relu", return_sequences=True, input_shape=(None, 3)),
        Activation("softmax"),
    ],
    "float64": lambda: [
        LSTM(10, dtype="float64", return_sequences=True, input_shape=(None, 3)),
        Dense(3),
    ],
    "flatten": lambda: [GRU(5, return_sequences=True, input_shape=(12, 3)), Flatten(), Dense(7)],
}


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("stack", PREDICTORS)
def test_predict_bits_depend_neither_on_batch_size_nor_on_neighbours(stack, with_lengths, rng):
    model = Sequential(PREDICTORS[stack](), seed=3)
    x = rng.normal(size=(101, 12, 3))
    lengths = rng.integers(0, 13, 101) if with_lengths else None
    whole = model.predict(x, batch_size=101, lengths=lengths)
    for batch_size in (1, 2, 7, 32, 100, 1000):
        assert (
            model.predict(x, batch_size=batch_size, lengths=lengths).tobytes() == whole.tobytes()
        ), batch_size
    order = rng.permutation(101)
    some = model.predict(x[order], lengths=None if lengths is None else lengths[order])
    assert some.tobytes() == whole[order].tobytes()
    for row in (0, 93, 100):
        alone = model.predict(
            x[row : row + 1], lengths=None if lengths is None else lengths[row : row + 1]
        )
        assert alone.tobytes() == whole[row : row + 1].tobytes()
    assert model(x, lengths).tobytes() == whole.tobytes()
    assert model.predict_on_batch(x, lengths).tobytes() == whole.tobytes()


def test_predict_of_no_rows():
    assert forecaster().predict(np.zeros((0, 6, 2))).shape == (0, 1)
    model = Sequential([LSTM(4, return_sequences=True, input_shape=(6, 2)), Dense(3)])
    out = model.predict(np.zeros((0, 6, 2)))
    assert out.shape == (0, 6, 3)
    assert out.dtype == np.float32


def test_call_with_training_applies_dropout(rng):
    model = Sequential([Dropout(0.5, input_shape=(1000,))], seed=0)
    x = np.ones((2, 1000))
    np.testing.assert_array_equal(model(x), x)
    out = model(x, training=True)
    assert set(np.unique(out)) == {0, 2}
    assert 0.4 < (out == 0).mean() < 0.6
