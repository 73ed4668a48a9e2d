"""Sequential: building, weights in one buffer, running, training."""

import copy
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

import gatewise
from gatewise import callbacks, layers, losses, optimizers, regularizers, testing, threads
from gatewise.errors import ConfigError, GatewiseError, ShapeError, StateError
from gatewise.layers import GRU, LSTM, Activation, Dense, Dropout, Flatten, Input, SimpleRNN
from gatewise.models import Sequential


def compiled(*stack, optimizer="sgd", loss="mse", metrics=None, seed=0):
    model = Sequential(list(stack), seed=seed)
    model.compile(optimizer, loss, metrics)
    return model


def forecaster(**options):
    return compiled(LSTM(4, input_shape=(6, 2)), Dense(1), **options)


@pytest.fixture
def xy(rng):
    return rng.normal(size=(20, 6, 2)), rng.normal(size=(20, 1))


def bits(arrays):
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


# ---- building --------------------------------------------------------------------------------------


def test_add_and_the_constructor_make_the_same_model(xy):
    one = Sequential([LSTM(4, return_sequences=True, input_shape=(6, 2)), Dropout(0.5), GRU(3), Dense(1)], seed=5)
    two = Sequential(seed=5)
    for layer in (LSTM(4, return_sequences=True, input_shape=(6, 2)), Dropout(0.5), GRU(3), Dense(1)):
        assert two.add(layer) is None
    assert [type(layer) for layer in one.layers] == [type(layer) for layer in two.layers] == [LSTM, Dropout, GRU, Dense]
    assert one.input_shape == two.input_shape == (None, 6, 2)
    assert one.output_shape == two.output_shape == (None, 1)
    assert [w.shape for w in one.get_weights()] == [w.shape for w in two.get_weights()]
    assert bits(Sequential([Dense(3, input_shape=(2,))], seed=9).get_weights()) == bits(
        Sequential([Dense(3, input_shape=(2,))], seed=9).get_weights())


@pytest.mark.parametrize("first", [
    lambda: [Input((6, 2)), LSTM(4)], lambda: [Input(shape=(6, 2)), LSTM(4)],
    lambda: [Input(batch_shape=(9, 6, 2)), LSTM(4)], lambda: [LSTM(4, input_shape=(6, 2))],
    lambda: [LSTM(4, batch_input_shape=(9, 6, 2))],
    lambda: [Dropout(0.1, input_shape=(6, 2)), LSTM(4)], lambda: [Input((None, 2)), LSTM(4)],
], ids=["Input", "shape=", "batch_shape=", "input_shape", "batch_input_shape", "Dropout first", "free steps"])
def test_every_way_to_say_the_input_shape(first, xy):
    model = Sequential([*first(), Dense(1)])
    assert model.built
    assert model.input_shape in ((None, 6, 2), (None, None, 2))
    assert model.predict(xy[0]).shape == (20, 1)
    assert not any(isinstance(layer, layers.InputLayer) for layer in model.layers)


def test_no_input_shape_builds_on_the_first_data(xy):
    for use in (lambda m: m.fit(*xy, verbose=0), lambda m: m.predict(xy[0]), lambda m: m.evaluate(*xy, verbose=0),
                lambda m: m.train_on_batch(*xy), lambda m: m(xy[0])):
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
    with pytest.raises(ConfigError, match="layer 'shared' belongs to another model; make a new layer"):
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
    with pytest.raises(ConfigError, match=r"layers have dtypes \['float32', 'float64'\]; give all layers"):
        Sequential([LSTM(3, dtype="float64"), Dense(1, dtype="float32")])
    assert Sequential([LSTM(3, input_shape=(6, 2))]).predict(xy[0]).dtype == np.float32


def test_a_dtype_that_comes_with_a_later_layer_makes_the_model(xy):
    model = Sequential([LSTM(3, input_shape=(6, 2)), Dense(1, dtype="float64")])
    assert model.dtype == "float64"
    assert all(w.dtype == np.float64 for w in model.get_weights())
    assert model.predict(xy[0]).dtype == np.float64


def test_summary(xy, capsys):
    model = Sequential([LSTM(4, input_shape=(6, 2), name="first"), Dropout(0.2), Dense(1, name="last")], name="net")
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


# ---- one flat buffer -------------------------------------------------------------------------------


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
    "deep": lambda: [GRU(3, return_sequences=True, input_shape=(6, 2)), Dropout(0.3), SimpleRNN(5), Dense(4, "tanh"),
                     Dense(1)],
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
        lambda: model.fit(*xy, epochs=2, verbose=0, validation_split=0.2,
                          callbacks=[callbacks.EarlyStopping("loss", restore_best_weights=True)]),
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
    model.weights_changed()
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
    assert [w.shape for w in model.get_weights()] == [(2, 16), (4, 16), (16,), (4, 5), (5,), (5, 1), (1,)]
    gru = Sequential([GRU(3, input_shape=(None, 2))])
    assert [w.shape for w in gru.get_weights()] == [(2, 9), (3, 9), (2, 9)]
    before = Sequential([GRU(3, reset_after=False, input_shape=(None, 2))])
    assert [w.shape for w in before.get_weights()] == [(2, 9), (3, 9), (9,)]
    np.testing.assert_array_equal(model.get_weights()[2], np.repeat([0, 1, 0, 0], 4))  # forget bias


def test_set_weights_is_all_or_nothing():
    model = forecaster()
    before, good = bits(model.get_weights()), [w + 1 for w in model.get_weights()]
    for at, wrong in ((4, np.zeros(2)), (3, np.full((4, 1), np.nan)), (4, "text"), (2, np.zeros((16, 1)))):
        with pytest.raises(GatewiseError):
            model.set_weights([*good[:at], wrong, *good[at + 1:]])
        assert bits(model.get_weights()) == before
    with pytest.raises(ShapeError, match="the model has 5 weight arrays, got 4"):
        model.set_weights(good[:4])


# ---- inputs ----------------------------------------------------------------------------------------


def test_rank_2_integers_and_float64_are_taken():
    model = compiled(LSTM(4, input_shape=(6, 1)), Dense(1))
    x = np.arange(18).reshape(3, 6)
    expected = model.predict(x[..., None].astype(np.float32))
    for given in (x, x.astype(np.uint8), x.astype(np.float64), x[..., None], x.tolist(), x[..., None].tolist()):
        np.testing.assert_array_equal(model.predict(given), expected)
    history = model.fit(x, [1, 2, 3], verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_nothing_given_is_changed(xy):
    x, y = (array.astype(np.float32) for array in xy)
    weights, lengths = np.ones(20), np.full(20, 5)
    keep = [array.copy() for array in (x, y, weights, lengths)]
    model = compiled(LSTM(4, dropout=0.2, return_sequences=True, input_shape=(6, 2)), Dropout(0.3), GRU(2), Dense(1))
    for array in (x, y, weights, lengths):
        array.flags.writeable = False
    model.fit(x, y, epochs=2, sample_weight=weights, lengths=lengths, verbose=0)
    model.evaluate(x, y, sample_weight=weights, lengths=lengths, verbose=0)
    model.predict(x, lengths=lengths)
    model.train_on_batch(x, y, sample_weight=weights)
    for array, before in zip((x, y, weights, lengths), keep):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("stack", [lambda: [Dropout(0.3)], lambda: [Flatten()]], ids=["Dropout", "Flatten"])
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
    """Build, train, predict, save, load: no scikit-learn, matplotlib, pandas or framework is imported."""
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
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=100,
                          check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
                         ids=["deepcopy", "pickle"])
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


# ---- predict ---------------------------------------------------------------------------------------

PREDICTORS = {
    "lstm": lambda: [LSTM(17, return_sequences=True, input_shape=(None, 3)), LSTM(9), Dense(4, "softmax")],
    "gru": lambda: [GRU(33, return_sequences=True, input_shape=(None, 3)), Dense(70, "relu"), Dense(5, "sigmoid")],
    "gru before": lambda: [GRU(20, reset_after=False, go_backwards=True, input_shape=(None, 3)), Dense(2)],
    "rnn": lambda: [SimpleRNN(31, "relu", return_sequences=True, input_shape=(None, 3)), Activation("softmax")],
    "float64": lambda: [LSTM(10, dtype="float64", return_sequences=True, input_shape=(None, 3)), Dense(3)],
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
        assert model.predict(x, batch_size=batch_size, lengths=lengths).tobytes() == whole.tobytes(), batch_size
    order = rng.permutation(101)
    some = model.predict(x[order], lengths=None if lengths is None else lengths[order])
    assert some.tobytes() == whole[order].tobytes()
    for row in (0, 93, 100):
        alone = model.predict(x[row:row + 1], lengths=None if lengths is None else lengths[row:row + 1])
        assert alone.tobytes() == whole[row:row + 1].tobytes()
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


# ---- training --------------------------------------------------------------------------------------


def test_fit_is_the_steps_written_out(xy):
    """Batches in order, mean gradients, one optimizer step each: nothing more."""
    x, y = (array.astype(np.float32) for array in xy)
    fitted, by_hand = forecaster(optimizer=optimizers.SGD(0.1)), forecaster(optimizer=optimizers.SGD(0.1))
    history = fitted.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    for epoch in range(2):
        total = 0.0
        for rows in (slice(0, 8), slice(8, 16), slice(16, 20)):
            loss = by_hand.compute_gradients(x[rows], y[rows])
            total += loss * len(x[rows])
            by_hand.flat_parameters[...] -= np.float32(0.1) * by_hand.flat_gradients
            by_hand.weights_changed()
        assert history[epoch] == pytest.approx(total / 20, rel=1e-6)
    np.testing.assert_allclose(fitted.flat_parameters, by_hand.flat_parameters, rtol=1e-5, atol=1e-6)


def test_train_on_batch_is_fit_on_one_batch(xy):
    one, two = forecaster(optimizer="adam", metrics=["mae"]), forecaster(optimizer="adam", metrics=["mae"])
    history = one.fit(*xy, batch_size=20, epochs=3, shuffle=False, verbose=0).history
    for epoch in range(3):
        loss, mae = two.train_on_batch(*xy)
        assert loss == history["loss"][epoch]
        assert mae == history["mae"][epoch]
    assert two.flat_parameters.tobytes() == one.flat_parameters.tobytes()
    assert type(forecaster().train_on_batch(*xy)) is float
    assert set(two.train_on_batch(*xy, return_dict=True)) == {"loss", "mae"}


def test_evaluate(xy):
    model = forecaster(metrics=["mae", "mse"])
    before = model.flat_parameters.tobytes()
    loss, mae, mse = model.evaluate(*xy, verbose=0)
    predictions = model.predict(xy[0])
    assert loss == pytest.approx(((predictions - xy[1]) ** 2).mean(), rel=1e-5)
    assert mse == pytest.approx(loss, rel=1e-6)
    assert mae == pytest.approx(abs(predictions - xy[1]).mean(), rel=1e-5)
    assert model.evaluate(*xy, batch_size=3, verbose=0) == pytest.approx([loss, mae, mse], rel=1e-6)
    assert model.evaluate(*xy, return_dict=True, verbose=0) == {"loss": loss, "mae": mae, "mse": mse}
    assert model.test_on_batch(*xy) == pytest.approx([loss, mae, mse], rel=1e-6)
    assert model.metrics_names == ["loss", "mae", "mse"]
    assert type(forecaster().evaluate(*xy, verbose=0)) is float
    assert model.flat_parameters.tobytes() == before
    assert model.optimizer.iterations == 0


def test_dropout_is_off_in_validation_and_evaluation(xy):
    model = compiled(LSTM(4, dropout=0.5, recurrent_dropout=0.5, input_shape=(6, 2)), Dropout(0.5), Dense(1),
                     optimizer=optimizers.SGD(0.0))
    history = model.fit(*xy, epochs=3, validation_data=xy, verbose=0, shuffle=False).history
    assert len(set(history["val_loss"])) == 1
    assert history["val_loss"][0] == model.evaluate(*xy, verbose=0)
    assert len(set(history["loss"])) == 3


def test_training_learns(rng):
    """Which of two sequences is the rising one; the sum of a sequence: both must really be learned."""
    x = rng.normal(size=(400, 8, 1))
    y = (x[:, -1, 0] > x[:, 0, 0]).astype(int)
    for last, loss in ((Dense(1, "sigmoid"), "binary_crossentropy"),
                       (Dense(2, "softmax"), "sparse_categorical_crossentropy")):
        model = compiled(GRU(12, input_shape=(8, 1)), last, optimizer=optimizers.Adam(0.02), loss=loss,
                         metrics=["accuracy"])
        model.fit(x[:300], y[:300], epochs=15, verbose=0)
        assert model.evaluate(x[300:], y[300:], verbose=0)[1] > 0.9
    model = compiled(LSTM(12, input_shape=(8, 1)), Dense(1), optimizer=optimizers.Adam(0.02))
    y = x.sum(axis=(1, 2))
    model.fit(x[:300], y[:300], epochs=25, verbose=0)
    assert model.evaluate(x[300:], y[300:], verbose=0) < 0.15 * y[300:].var()


@pytest.mark.parametrize("optimizer", ["adam", optimizers.RMSprop(0.01, centered=True, clipnorm=0.1)])
def test_same_seed_same_bits_for_any_number_of_threads(optimizer, rng):
    x, y = rng.normal(size=(90, 20, 8)), rng.normal(size=(90, 3))
    results = {}
    for count in (1, 2, 3, 5, 2):
        with threads.num_threads(count):
            model = compiled(LSTM(48, dropout=0.1, recurrent_dropout=0.1, return_sequences=True, input_shape=(20, 8)),
                             Dropout(0.2), GRU(40, kernel_regularizer="l2"), Dense(64, "relu"), Dense(3), seed=7,
                             optimizer=optimizers.get(optimizers.serialize(optimizers.get(optimizer))))
            history = model.fit(x, y, epochs=2, batch_size=33, validation_split=0.2, verbose=0).history
            result = (model.flat_parameters.tobytes(), model.predict(x).tobytes(), str(history))
            results.setdefault(result, []).append(count)
    assert list(results.values()) == [[1, 2, 3, 5, 2]]
    other = compiled(LSTM(48, input_shape=(20, 8)), Dense(3), seed=8)
    assert not np.array_equal(other.predict(x), compiled(LSTM(48, input_shape=(20, 8)), Dense(3), seed=7).predict(x))


def test_a_model_without_a_seed_draws_anew(xy):
    assert not np.array_equal(forecaster(seed=None).predict(xy[0]), forecaster(seed=None).predict(xy[0]))


def test_layer_seed_alone_does_not_tie_layers(xy):
    model = Sequential([Dense(3, input_shape=(3,)), Dense(3)], seed=0)
    first, second = model.layers
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])


def test_shuffle_draws_a_new_order_each_epoch_and_sees_every_sample_once():
    seen = []

    class Spy(Sequential):
        def train_step(self, samples):
            seen.append(samples.x[:, 0].copy())
            np.testing.assert_array_equal(samples.y[:, 0], samples.x[:, 0] * 2)
            np.testing.assert_array_equal(samples.weights, samples.x[:, 0] * 3)
            return super().train_step(samples)

    def orders(**options):
        seen.clear()
        model = Spy([Dense(1, input_shape=(1,))], seed=1)
        model.compile(optimizers.SGD(1e-9), "mse")
        x = np.arange(50.0)[:, None]
        model.fit(x, x * 2, sample_weight=x[:, 0] * 3, batch_size=8, epochs=3, verbose=0, **options)
        assert [len(batch) for batch in seen] == [8, 8, 8, 8, 8, 8, 2] * 3
        return np.concatenate(seen).reshape(3, 50)

    shuffled = orders()
    for epoch in shuffled:
        assert sorted(epoch) == list(range(50))
        assert list(epoch) != list(range(50))
    assert not np.array_equal(shuffled[0], shuffled[1])
    np.testing.assert_array_equal(shuffled, orders())  # the seed's
    np.testing.assert_array_equal(orders(shuffle=False), [np.arange(50)] * 3)


def test_validation_split_is_the_last_part_before_shuffling(xy):
    x, y = xy
    one, two = forecaster(optimizer="adam"), forecaster(optimizer="adam")
    first = one.fit(x, y, validation_split=0.25, epochs=3, verbose=0).history
    second = two.fit(x[:15], y[:15], validation_data=(x[15:], y[15:]), epochs=3, verbose=0).history
    assert first == second
    assert one.flat_parameters.tobytes() == two.flat_parameters.tobytes()
    both = forecaster(optimizer="adam")
    third = both.fit(x[:15], y[:15], validation_split=0.9, validation_data=(x[15:], y[15:]), epochs=3, verbose=0)
    assert third.history == second  # validation_data wins, as in Keras
    weighted = forecaster(optimizer="adam").fit(x, y, validation_split=0.25, sample_weight=np.arange(20), verbose=0)
    other = forecaster(optimizer="adam").fit(x[:15], y[:15], sample_weight=np.arange(15), verbose=0,
                                             validation_data=(x[15:], y[15:], np.arange(15, 20)))
    assert weighted.history == other.history


def test_class_weights_are_for_training_only(rng):
    x, y = rng.normal(size=(20, 3)), np.arange(20) % 2

    def run(**options):
        model = compiled(Dense(1, "sigmoid", input_shape=(3,)), loss="binary_crossentropy")
        return model.fit(x[:10], y[:10], shuffle=False, verbose=0, class_weight={0: 10.0, 1: 5.0},
                         validation_data=(x[10:], y[10:]), **options).history["val_loss"]

    model = compiled(Dense(1, "sigmoid", input_shape=(3,)), loss="binary_crossentropy")
    split = model.fit(x, y, shuffle=False, verbose=0, class_weight={0: 10.0, 1: 5.0}, validation_split=0.5).history
    assert split["val_loss"] == run()


# ---- weights of samples ----------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "loss"), [
    (lambda: Dense(1), "mse"), (lambda: Dense(1), "mae"), (lambda: Dense(1, "sigmoid"), "binary_crossentropy"),
    (lambda: Dense(3, "softmax"), "sparse_categorical_crossentropy"),
    (lambda: Dense(3), losses.SparseCategoricalCrossentropy(from_logits=True)),
])
def test_weight_k_is_k_copies(last, loss, rng):
    def gradients(x, y, **options):
        model = compiled(LSTM(3, dtype="float64", input_shape=(4, 2)), last(), loss=loss)
        value = model.compute_gradients(x, y, **options)
        return value * len(x), model.flat_gradients * len(x)

    x = rng.normal(size=(6, 4, 2))
    y = rng.normal(size=6) if loss in ("mse", "mae") else rng.integers(0, 2, 6)
    copies = np.array([1, 3, 0, 2, 1, 4])
    value, gradient = gradients(x, y, sample_weight=copies)
    repeated, repeated_gradient = gradients(np.repeat(x, copies, axis=0), np.repeat(y, copies))
    assert value == pytest.approx(repeated, rel=1e-12)
    np.testing.assert_allclose(gradient, repeated_gradient, rtol=1e-10, atol=1e-13)


def test_class_weight_is_sample_weight(rng):
    x, y = rng.normal(size=(30, 4, 2)), rng.integers(0, 3, 30)
    weights = {0: 0.5, 1: 3.0}
    results = []
    for options in ({"class_weight": weights}, {"sample_weight": np.array([0.5, 3.0, 1.0])[y]}):
        for loss, targets in (("sparse_categorical_crossentropy", y), ("categorical_crossentropy", np.eye(3)[y])):
            model = compiled(GRU(3, input_shape=(4, 2)), Dense(3, "softmax"), loss=loss, optimizer="adam")
            model.fit(x, targets, epochs=2, verbose=0, **options)
            results.append(model.flat_parameters.copy())
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-4, atol=1e-6)
    plain = compiled(GRU(3, input_shape=(4, 2)), Dense(3, "softmax"), loss="sparse_categorical_crossentropy",
                     optimizer="adam")
    plain.fit(x, y, epochs=2, verbose=0)
    assert not np.allclose(plain.flat_parameters, results[0], atol=1e-4)


def test_weights_of_steps(rng):
    x, y, weights = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 1)), rng.uniform(0, 2, (4, 5))
    model = compiled(LSTM(3, dtype="float64", return_sequences=True, input_shape=(5, 2)), Dense(1))
    expected = (((model.predict(x) - y) ** 2)[..., 0] * weights).sum() / 20
    assert model.evaluate(x, y, sample_weight=weights, verbose=0) == pytest.approx(expected, rel=1e-10)


# ---- regularizers ----------------------------------------------------------------------------------


def test_penalties_are_in_the_loss_and_the_gradient(xy):
    def model_with(**options):
        named = {f"{name}_regularizer": value for name, value in options.items()}
        return compiled(LSTM(3, dtype="float64", input_shape=(6, 2), **named),
                        Dense(1, kernel_regularizer=options.get("kernel")), seed=2)

    plain = model_with()
    base, base_gradient = plain.compute_gradients(*xy), plain.flat_gradients.copy()
    kernel, recurrent, bias, dense, _ = plain.get_weights()
    model = model_with(kernel=regularizers.l2(0.1), recurrent=regularizers.L1(0.2), bias=regularizers.L1L2(0.3, 0.4))
    value = model.compute_gradients(*xy)
    penalty = (0.1 * (kernel ** 2).sum() + 0.1 * (dense ** 2).sum() + 0.2 * abs(recurrent).sum()
               + 0.3 * abs(bias).sum() + 0.4 * (bias ** 2).sum())
    assert value == pytest.approx(base + penalty, rel=1e-12)
    expected = [0.2 * kernel, 0.2 * np.sign(recurrent), 0.3 * np.sign(bias) + 0.8 * bias, 0.2 * dense, np.zeros(1)]
    np.testing.assert_allclose(model.flat_gradients - base_gradient, np.concatenate([e.ravel() for e in expected]),
                               rtol=1e-10, atol=1e-12)
    assert model.evaluate(*xy, verbose=0) == pytest.approx(base + penalty, rel=1e-12)
    assert model.fit(*xy, batch_size=20, verbose=0).history["loss"][0] == pytest.approx(base + penalty, rel=1e-12)


# ---- gradients of whole models ---------------------------------------------------------------------

MODELS = {
    "lstm, mse": ([lambda: LSTM(3), lambda: Dense(2)], "mse"),
    "two lstm, mae": ([lambda: LSTM(3, return_sequences=True), lambda: LSTM(2), lambda: Dense(2)], "mae"),
    "gru, binary fused": ([lambda: GRU(3), lambda: Dense(2, "sigmoid")], "binary_crossentropy"),
    "gru, binary logits": ([lambda: GRU(3), lambda: Dense(2)], losses.BinaryCrossentropy(from_logits=True)),
    "gru, binary through an Activation": ([lambda: GRU(3), lambda: Dense(2), lambda: Activation("sigmoid")],
                                          "binary_crossentropy"),
    "binary, not fused": ([lambda: GRU(3), lambda: Dense(2, "sigmoid"), lambda: Flatten()], "binary_crossentropy"),
    "rnn, softmax fused": ([lambda: SimpleRNN(4), lambda: Dense(3, "softmax")], "sparse_categorical_crossentropy"),
    "softmax not fused": ([lambda: SimpleRNN(4), lambda: Dense(3, "softmax"), lambda: Flatten()],
                          "sparse_categorical_crossentropy"),
    "one-hot fused": ([lambda: LSTM(3, return_sequences=True), lambda: GRU(3, go_backwards=True),
                       lambda: Dense(3), lambda: Activation("softmax")], "categorical_crossentropy"),
    "one-hot not fused": ([lambda: LSTM(3), lambda: Dense(3, "softmax"), lambda: Flatten()],
                          "categorical_crossentropy"),
    "softmax under mse": ([lambda: LSTM(3), lambda: Dense(3, "softmax")], "mse"),
    "sigmoid under one-hot": ([lambda: LSTM(3), lambda: Dense(3, "sigmoid")], "categorical_crossentropy"),
    "every step": ([lambda: GRU(3, reset_after=False, return_sequences=True), lambda: Dense(4, "tanh"),
                    lambda: Dense(3, "softmax")], "sparse_categorical_crossentropy"),
    "flatten": ([lambda: LSTM(2, return_sequences=True), lambda: Flatten(), lambda: Dense(5, "softplus"),
                 lambda: Dense(2)], "mse"),
    "dropout": ([lambda: LSTM(3, dropout=0.3, recurrent_dropout=0.3, return_sequences=True), lambda: Dropout(0.4),
                 lambda: GRU(3, recurrent_dropout=0.2), lambda: Dense(2)], "mse"),
    "penalties": ([lambda: LSTM(3, kernel_regularizer="l2", recurrent_regularizer="l1"),
                   lambda: Dense(2, bias_regularizer="l1_l2")], "mse"),
    "recurrent last": ([lambda: LSTM(3, return_sequences=True), lambda: SimpleRNN(2)], "mse"),
    "no recurrence": ([lambda: Dense(4, "elu"), lambda: Dense(3)], "mse"),
}


def targets_for(model, shape, rng):
    if model.loss.sparse:
        return rng.integers(0, shape[-1], shape[:-1])
    if model.loss.fuses == "softmax":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if model.loss.fuses == "sigmoid":
        return rng.integers(0, 2, shape)
    return rng.normal(size=shape)


@pytest.mark.parametrize("variant", ["plain", "weights", "lengths"])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_whole_models(name, variant, rng):
    stack, loss = MODELS[name]
    model = compiled(Input((5, 2), dtype="float64"), *(make() for make in stack), loss=loss)
    for array in model.weights:  # biases that are not zero, weights that are not small
        array += rng.normal(size=array.shape) * 0.3
    x = rng.normal(size=(4, 5, 2))
    y = targets_for(model, model.compute_output_shape(x.shape), rng)
    options = {}
    if variant == "weights":
        options["sample_weight"] = np.array([0.5, 0, 2, 1.5])
    if variant == "lengths":
        options["lengths"] = np.array([5, 1, 3, 2])
    start = model.rng.bit_generator.state

    def scalar():
        model.rng.bit_generator.state = start  # the same dropout
        return model.compute_gradients(x, y, **options)

    scalar()
    pairs = {f"{layer.name}/{key}": (layer.parameters[key], layer.gradients[key].copy())
             for layer in model.layers for key in layer.parameters}
    report = testing.compare_gradients(scalar, pairs, max_entries=12)
    assert report.passed
    assert max(abs(gradient).max() for _, gradient in pairs.values()) > 1e-3


def test_the_loss_of_a_step_is_the_loss_of_a_test_step(xy):
    for stack, loss in MODELS.values():
        if "dropout" in str(stack):
            continue
        model = compiled(Input((6, 2)), *(make() for make in stack), loss=loss)
        if any(getattr(layer, "dropout", getattr(layer, "rate", 0)) for layer in model.layers):
            continue
        y = targets_for(model, model.compute_output_shape(xy[0].shape), np.random.default_rng(0))
        assert model.test_on_batch(xy[0], y) == pytest.approx(model.compute_gradients(xy[0], y), rel=1e-5)


def test_fused_and_unfused_losses_train_alike(rng):
    x, y = rng.normal(size=(16, 4, 2)), rng.integers(0, 3, 16)
    paths = []
    for tail in ([lambda: Dense(3, "softmax")], [lambda: Dense(3), lambda: Activation("softmax")],
                 [lambda: Dense(3, "softmax"), lambda: Flatten()]):
        model = compiled(LSTM(3, dtype="float64", input_shape=(4, 2)), *(make() for make in tail), seed=4,
                         loss="sparse_categorical_crossentropy", metrics=["accuracy"], optimizer="adam")
        history = model.fit(x, y, epochs=4, batch_size=5, verbose=0).history
        paths.append((history["loss"], history["accuracy"]))
    for loss, accuracy in paths[1:]:
        assert loss == pytest.approx(paths[0][0], rel=1e-9)
        assert accuracy == paths[0][1]


def test_losses_of_confident_models_stay_finite():
    """Scores of 1000 in float32, where probabilities are exactly 0 and 1: the right gradient, no warning."""
    for units, activation, loss, y in ((1, "sigmoid", "binary_crossentropy", [0]),
                                       (2, "softmax", "sparse_categorical_crossentropy", [1])):
        model = compiled(Dense(units, activation, input_shape=(1,)), loss=loss, metrics=["accuracy"],
                         optimizer=optimizers.SGD(1.0))
        model.set_weights([np.array([[1000.0] + [-1000.0] * (units - 1)]), np.zeros(units)])
        loss_value, accuracy = model.train_on_batch([[1.0]], y)
        assert loss_value == pytest.approx(1000.0 * units)
        assert accuracy == 0
        assert model.get_weights()[1][0] == -1


# ---- lengths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_step", [False, True])
def test_lengths_are_the_rows_without_their_padding(every_step, rng):
    model = compiled(LSTM(3, dtype="float64", return_sequences=True, input_shape=(None, 2)), Dense(4, "tanh"),
                     GRU(3, return_sequences=every_step), Dense(1))
    lengths = np.array([6, 1, 4, 3])
    x = rng.normal(size=(4, 6, 2))
    y = rng.normal(size=(4, 6, 1) if every_step else (4, 1))
    value, gradient = model.compute_gradients(x, y, lengths=lengths), model.flat_gradients.copy()
    total, total_gradient, count = 0.0, 0.0, lengths.sum() if every_step else 4
    outputs = model.predict(x, lengths=lengths)
    for row, length in enumerate(lengths):
        part = slice(row, row + 1)
        target = y[part, :length] if every_step else y[part]
        weight = length if every_step else 1
        total += weight * model.compute_gradients(x[part, :length], target)
        total_gradient = total_gradient + weight * model.flat_gradients
        alone = model.predict(x[part, :length])
        got = outputs[part, :length] if every_step else outputs[part]
        np.testing.assert_allclose(got, alone, rtol=1e-13)
    assert value == pytest.approx(total / count, rel=1e-12)
    np.testing.assert_allclose(gradient, total_gradient / count, rtol=1e-10, atol=1e-14)


def test_what_lies_in_the_padding_changes_nothing(rng):
    lengths = np.array([6, 1, 0, 3])
    x, y = rng.normal(size=(4, 6, 2)), rng.normal(size=(4, 6, 1))
    other_x, other_y = x.copy(), y.copy()
    padded = np.arange(6) >= lengths[:, None]
    other_x[padded] = 1e6
    other_y[padded] = -1e6
    results = []
    for data in ((x, y), (other_x, other_y)):
        model = compiled(LSTM(3, return_sequences=True, input_shape=(None, 2)), GRU(4, return_sequences=True), Dense(1),
                         optimizer="adam", metrics=["mae"])
        history = model.fit(*data, lengths=lengths, epochs=3, batch_size=2, verbose=0).history
        scores = model.evaluate(*data, lengths=lengths, verbose=0)
        results.append((model.flat_parameters.tobytes(), str(history), str(scores)))
    assert results[0] == results[1]


def test_metrics_do_not_count_padded_steps(rng):
    model = compiled(LSTM(3, return_sequences=True, input_shape=(None, 2)), Dense(1), metrics=["mae"])
    x, y, lengths = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 1)), np.array([5, 2, 1])
    valid = np.arange(5) < lengths[:, None]
    expected = abs(model.predict(x, lengths=lengths) - y)[valid].mean()
    assert model.evaluate(x, y, lengths=lengths, verbose=0)[1] == pytest.approx(expected, rel=1e-5)


def test_evaluate_with_lengths_does_not_depend_on_batch_size(rng):
    model = compiled(LSTM(3, return_sequences=True, input_shape=(None, 2)), Dense(1), metrics=["mse"])
    x, y, lengths = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 1)), np.array([5, 5, 1, 1])
    whole = model.evaluate(x, y, lengths=lengths, batch_size=4, verbose=0)
    parts = model.evaluate(x, y, lengths=lengths, batch_size=2, verbose=0)
    assert parts[1] == pytest.approx(whole[1], rel=1e-6)  # the metric does it right
    assert parts[0] == pytest.approx(whole[0], rel=1e-6)


def test_resets_cut_sequences(rng):
    model = Sequential([LSTM(3, dtype="float64", return_sequences=True, input_shape=(None, 2)),
                        GRU(2, return_sequences=True)])
    x = rng.normal(size=(1, 7, 2))
    resets = np.zeros((1, 7), bool)
    resets[0, 4] = True
    whole = model.predict(x, resets=resets)
    parts = np.concatenate([model.predict(x[:, :4]), model.predict(x[:, 4:])], axis=1)
    np.testing.assert_allclose(whole, parts, rtol=1e-13)


# ---- state -----------------------------------------------------------------------------------------


def test_stateful_models_go_on_where_they_stopped(rng):
    x = rng.normal(size=(3, 12, 2)).astype(np.float32)
    plain = Sequential([LSTM(4, return_sequences=True, input_shape=(None, 2)), GRU(3, return_sequences=True)], seed=1)
    model = Sequential([LSTM(4, return_sequences=True, stateful=True, input_shape=(None, 2)),
                        GRU(3, return_sequences=True, stateful=True)], seed=1)
    whole = plain.predict(x)
    parts = np.concatenate([model.predict(x[:, a:b]) for a, b in ((0, 5), (5, 6), (6, 12))], axis=1)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    again = model.predict(x[:, :5])
    assert abs(again - whole[:, :5]).max() > 1e-3
    model.reset_states()
    np.testing.assert_allclose(model.predict(x[:, :5]), whole[:, :5], rtol=1e-5, atol=1e-6)
    model.reset_state()
    assert model.predict(x[:1, :5]).shape == (1, 5, 3)  # another batch size after a reset
    with pytest.raises(ShapeError, match=r"keeps the state of 1 rows, x has 3; call reset_state\(\)"):
        model.predict(x)


def test_stateful_training_by_hand(rng):
    """Train on chunks: the second chunk starts from the first one's state, which is a constant for its gradient."""
    x, y = rng.normal(size=(2, 8, 1)), rng.normal(size=(2, 4))
    model = compiled(LSTM(4, stateful=True, dtype="float64", input_shape=(None, 1)), optimizer=optimizers.SGD(0.0))
    model.train_on_batch(x[:, :4], y)
    h, c = model.layers[0].state
    value = model.compute_gradients(x[:, 4:], y)
    gradient = model.flat_gradients.copy()
    layer = LSTM(4, dtype="float64")
    layer.build((None, None, 1))
    layer.set_weights(model.get_weights())
    out = layer.forward(x[:, 4:], initial_state=[h, c], training=True)
    assert value == pytest.approx(((out - y) ** 2).mean(), rel=1e-12)
    layer.backward(2 * (out - y) / out.size)
    np.testing.assert_allclose(gradient, np.concatenate([g.ravel() for g in layer.gradients.values()]), rtol=1e-9,
                               atol=1e-14)


# ---- when training goes wrong ----------------------------------------------------------------------


def diverging(optimizer, **fit_options):
    x = np.random.default_rng(0).normal(size=(12, 2))
    model = compiled(Dense(1, input_shape=(2,)), optimizer=optimizer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(x, np.full(12, 1e3), verbose=0, shuffle=False, **fit_options)
    return model, history, caught


def test_a_loss_that_is_not_finite_stops_training():
    model, history, caught = diverging(optimizers.SGD(1e30), epochs=8, batch_size=4)
    assert [type(w.message).__name__ for w in caught] == ["TrainingWarning"]
    assert re.search(r"the loss became (inf|nan) in epoch 1: training stopped.*smaller learning rate",
                     str(caught[0].message))
    assert len(history.epoch) == 1
    start = compiled(Dense(1, input_shape=(2,)))
    np.testing.assert_array_equal(model.flat_parameters, start.flat_parameters)
    assert model.stop_training


def test_the_weights_kept_are_the_last_good_ones():
    model, history, _ = diverging(optimizers.SGD(1e25), epochs=8, batch_size=32)
    assert len(history.epoch) == 2
    x = np.random.default_rng(0).normal(size=(12, 2))
    assert np.isfinite(model.evaluate(x, np.full(12, 1e3), verbose=0))


def test_training_can_go_on_with_a_smaller_learning_rate():
    model, _, _ = diverging(optimizers.Adam(1e25), epochs=8, batch_size=4)
    model.optimizer.learning_rate = 1e-3
    x = np.random.default_rng(0).normal(size=(12, 2))
    history = model.fit(x, np.ones(12), epochs=3, verbose=0)
    assert len(history.epoch) == 3


# ---- changes after training ------------------------------------------------------------------------


def test_no_layers_are_added_to_a_trained_model(xy):
    model = forecaster()
    model.fit(*xy, verbose=0)
    with pytest.raises(StateError, match="layers cannot be added to a model that has been trained"):
        model.add(Dense(1))


@pytest.mark.parametrize("change", ["pop", "build", "other model"])
def test_an_optimizer_whose_model_changed(change, xy):
    """Either it works, or it says what to do: compile again."""
    model = compiled(LSTM(4, input_shape=(6, 2)), Dense(3), Dense(1), optimizer="adam")
    model.fit(*xy, verbose=0)
    x, y = xy
    try:
        if change == "pop":
            model.pop()
            model.fit(x, np.ones((20, 3)), verbose=0)
        elif change == "build":
            model.build((None, 6, 5))
            model.fit(np.ones((20, 6, 5)), y, verbose=0)
        else:
            compiled(LSTM(9, input_shape=(6, 2)), Dense(1), optimizer=model.optimizer).fit(x, y, verbose=0)
    except GatewiseError as error:
        assert "compile" in str(error)


def test_compile_again_starts_the_optimizer_anew(xy):
    model = forecaster(optimizer="adam")
    model.fit(*xy, verbose=0)
    kept = model.flat_parameters.copy()
    model.compile("adam", "mae", metrics=["mse"])
    np.testing.assert_array_equal(model.flat_parameters, kept)
    assert model.optimizer.iterations == 0
    assert set(model.fit(*xy, verbose=0).history) == {"loss", "mse"}
