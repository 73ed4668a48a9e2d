"""Models of graphs: passes beside NumPy, gradients beside differences, views, models in models."""

import copy
import pickle

import numpy as np
import pytest

from gatewise import Model, Sequential, checkpoint, layers, load_model
from gatewise.errors import CheckpointError, ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    Add,
    Bidirectional,
    Concatenate,
    Dense,
    Embedding,
    Input,
    Masking,
    TimeDistributed,
)
from gatewise.models import clone_model, plot_model
from gatewise.testing import check_gradients


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def gradients_agree(model, x, y, **given):
    """Whether gradients of all parameters are those of central differences, in float64."""
    model.compile("sgd", "mse")
    model.compute_gradients(x, y, **given)
    found = model.flat_gradients.copy()
    flat = model.flat_parameters
    for at in np.random.default_rng(1).permutation(flat.size)[:60]:
        before, losses = flat[at], []
        for step in (1e-6, -1e-6):
            flat[at] = before + step
            losses.append(model.compute_gradients(x, y, **given))
        flat[at] = before
        expected = (losses[0] - losses[1]) / 2e-6
        assert abs(found[at] - expected) < 1e-7 + 1e-5 * abs(expected), at


def two_inputs(seed=0):
    """Shared and residual layers, an initial state and two outputs."""
    words = Input((None, 3), dtype="float64", name="words")
    size = Input((4,), name="size")
    shared = Dense(5, activation="tanh", name="shared")
    start = shared(size)
    steps = GRU(5, return_sequences=True, name="gru")(words, initial_state=start)
    steps = Add(name="add")([steps, Dense(5, name="skip")(words)])
    last = LSTM(5, name="lstm")(steps)
    both = Concatenate(name="both")([last, shared(size) * 2.0 - last])
    return Model(
        [words, size], [Dense(2, name="tags")(steps), Dense(1, name="score")(both)], seed=seed
    )


def data(rows=3, steps=4):
    return [draw(rows, steps, 3), draw(rows, 4)], [draw(rows, steps, 2), draw(rows, 1)]


def test_forward_is_what_numpy_says():
    model = two_inputs()
    (words, size), _ = data()
    tags, score = model.predict([words, size])
    weights = {layer.name: layer.get_weights() for layer in model.layers}

    def dense(x, name):
        kernel, bias = weights[name]
        return x @ kernel + bias

    start = np.tanh(dense(size, "shared"))
    gru = model.get_layer("gru")
    alone = GRU(5, return_sequences=True, dtype="float64")
    alone.build((None, None, 3))
    alone.set_weights(gru.get_weights())
    steps = alone.forward(words, initial_state=[start]) + dense(words, "skip")
    np.testing.assert_allclose(tags, dense(steps, "tags"), rtol=1e-12)
    lstm = LSTM(5, dtype="float64")
    lstm.build((None, None, 5))
    lstm.set_weights(model.get_layer("lstm").get_weights())
    last = lstm.forward(steps)
    both = np.concatenate([last, start * 2 - last], axis=1)
    np.testing.assert_allclose(score, dense(both, "score"), rtol=1e-11)


@pytest.mark.parametrize("lengths", [None, [[4, 0, 2], None]])
@pytest.mark.parametrize("rows", [1, 3])
def test_gradients_are_those_of_differences(rows, lengths):
    x, y = data(rows)
    if lengths is not None:
        lengths = [np.array(lengths[0][:rows]), None]
    gradients_agree(two_inputs(), x, y, lengths=lengths)


def test_rows_do_not_depend_on_their_neighbours():
    model = two_inputs()
    x, _ = data(7)
    together = model.predict(x)
    for row in range(7):
        for all_rows, alone in zip(together, model.predict([part[row : row + 1] for part in x])):
            np.testing.assert_array_equal(all_rows[row : row + 1], alone)


def test_a_straight_graph_is_a_sequential():
    x = Input((None, 3), name="x")
    graph = Model(x, Dense(2)(LSTM(4)(x)), seed=3)
    model = Sequential([Input((None, 3)), LSTM(4), Dense(2)], seed=3)
    given = draw(6, 5, 3)
    for each in (graph, model):
        each.compile("adam", "mse")
        each.fit(given, draw(6, 2), epochs=3, verbose=0)
    np.testing.assert_array_equal(graph.predict(given), model.predict(given))
    assert isinstance(model, Model)


# ---- masks and lengths


def test_a_mask_of_an_input_follows_it():
    tokens = Input((None,), name="tokens")
    steps = Bidirectional(LSTM(3, return_sequences=True))(Embedding(9, 4, mask_zero=True)(tokens))
    model = Model(tokens, [steps, LSTM(2)(steps)], seed=0)
    padded, short = np.array([[3, 4, 0, 0], [1, 0, 2, 5]]), np.array([[3, 4]])
    whole, last = model.predict(padded)
    alone, alone_last = model.predict(short)
    np.testing.assert_array_equal(whole[:1, :2], alone)
    np.testing.assert_array_equal(last[:1], alone_last)
    assert not whole[0, 2:].any()
    assert not whole[1, 1].any()


def test_targets_follow_the_input_that_has_lengths():
    a, b = Input((None, 3), name="a"), Input((None, 3), name="b")
    model = Model([a, b], Dense(1)(Add()([a, b])), seed=0)
    model.compile("sgd", "mse")
    x, y = [draw(2, 4, 3), draw(2, 4, 3, seed=1)], draw(2, 4, 1)
    lengths = [None, np.array([2, 4])]
    loss = model.evaluate(x, y, lengths=lengths, verbose=0)
    error = (model.predict(x, lengths=lengths) - y) ** 2
    assert loss == pytest.approx(float(np.r_[error[0, :2], error[1]].mean()), rel=1e-5)


def test_branches_with_different_masks_are_refused():
    x = Input((None, 3), name="x")
    model = Model(x, [LSTM(2)(Masking()(x)), LSTM(2)(x)])
    given = draw(2, 4, 3)
    assert len(model.predict(given)) == 2  # nothing is masked
    given[0, 1] = 0
    with pytest.raises(ValueError, match="different masks"):
        model.predict(given)


# ---- views


@pytest.mark.parametrize("change", ["fit", "train_on_batch", "set_weights"])
def test_a_run_is_not_continued_from_weights_that_another_model_changed(change, tmp_path):
    x = Input((4, 3), name="x")
    inner = Model(x, GRU(4, name="gru")(x), name="inner")
    outer_x = Input((4, 3), name="outer_x")
    model = Model(outer_x, Dense(2, name="dense")(inner(outer_x)), seed=0)
    view = Model(model.inputs, model.output)
    given, wanted = draw(5, 4, 3), draw(5, 2)
    for each in (view, inner, model):
        each.compile("adam", "mse")
    model.fit(given, wanted, epochs=1, verbose=0)
    model.save(tmp_path / "before")
    assert "run" in checkpoint.read(tmp_path / "before")[1]
    for each, y in ((view, wanted), (inner, draw(5, 4))):
        model.fit(given, wanted, epochs=1, verbose=0)
        if change == "fit":
            each.fit(given, y, epochs=1, verbose=0)
        elif change == "train_on_batch":
            each.train_on_batch(given, y)
        else:
            each.set_weights(each.get_weights())
        model.save(tmp_path / "after")
        assert "run" not in checkpoint.read(tmp_path / "after")[1]


def test_a_view_shares_weights_and_trains_its_part():
    x = Input((None, 3), name="x")
    hidden = LSTM(4, return_sequences=True, name="lstm")(x)
    model = Model(x, Dense(2, name="dense")(hidden), seed=0)
    view = Model(model.inputs, model.get_layer("lstm").output)
    given = draw(5, 6, 3)
    view.compile("adam", "mse")
    before = model.get_layer("dense").get_weights(), model.get_layer("lstm").get_weights()
    view.fit(given, draw(5, 6, 4), epochs=1, verbose=0)
    np.testing.assert_array_equal(model.get_layer("dense").get_weights()[0], before[0][0])
    assert (model.get_layer("lstm").get_weights()[0] != before[1][0]).all()
    kernel = model.get_layer("lstm").get_weights()[0]
    np.testing.assert_array_equal(view.get_weights()[0], kernel)


def test_a_larger_model_takes_the_layers_over():
    x = Input((None, 3), name="x")
    encoder = Model(x, LSTM(4, name="lstm")(x), name="encoder", seed=0)
    encoder.compile("adam", "mse")
    given = draw(5, 6, 3)
    encoder.fit(given, draw(5, 4), verbose=0)
    before = encoder.get_weights()
    whole = Model(x, Dense(2)(encoder.output), seed=1)
    for a, b in zip(before, encoder.get_weights()):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(RuntimeError, match="compile it with a new optimizer"):
        encoder.fit(given, draw(5, 4), verbose=0)
    whole.compile("adam", "mse")
    whole.fit(given, draw(5, 2), verbose=0)
    np.testing.assert_array_equal(whole.get_weights()[0], encoder.get_weights()[0])


def test_part_of_another_model_is_refused():
    x = Input((None, 3))
    hidden = LSTM(4, name="shared")(x)
    first = Model(x, Dense(2, name="head")(hidden), name="first")
    with pytest.raises(ValueError, match=r"'shared' of model 'first', but not its layer 'head'"):
        Model(x, Dense(3)(hidden))
    assert first.predict(draw(1, 2, 3)).shape == (1, 2)


# ---- models in models


def inner(seed=0):
    x = Input((None, 3), dtype="float64", name="x")
    steps = LSTM(4, return_sequences=True)(x)
    return Model(x, Dense(3)(steps) + x, name="block", seed=seed)


def test_a_model_called_twice_shares_its_weights():
    block = inner()
    alone = block.predict(block.predict(draw(2, 5, 3)))
    x = Input((5, 3))
    outer = Model(x, block(block(x)), seed=1)
    np.testing.assert_array_equal(outer.predict(draw(2, 5, 3)), alone)
    assert outer.layers[1] is block
    gradients_agree(outer, draw(2, 5, 3), draw(2, 5, 3), lengths=np.array([5, 2]))
    outer.fit(draw(2, 5, 3), draw(2, 5, 3), verbose=0)
    np.testing.assert_array_equal(outer.get_weights()[0], block.get_weights()[0])


def with_models_inside(recurrent=LSTM):
    """Layers inside models are named anew each time: lstm_7, dense_9, dense_10."""
    x, film, step = Input((None, 3)), Input((None, 4, 3)), Input((4, 3))
    inner = Bidirectional(recurrent(2, return_sequences=True))(x)
    for _ in range(11):
        inner = Dense(3)(inner)
    reader = Model(step, Dense(2)(Bidirectional(recurrent(2))(step)))
    outputs = [Model(x, inner)(x), layers.TimeDistributed(reader)(film)]
    model = Model([x, film], outputs, seed=0)
    model.compile("adam", "mse")
    return model


def test_weights_and_runs_are_read_whatever_layers_inside_are_named(tmp_path):
    x, y = [draw(4, 5, 3), draw(4, 5, 4, 3)], [draw(4, 5, 3), draw(4, 5, 2)]
    model, whole, resumed = (with_models_inside() for _ in range(3))
    whole.set_weights(model.get_weights())  # models inside have no seed
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "run")
    model.save_weights(tmp_path / "weights")
    for name in ("run", "weights"):
        again = with_models_inside()
        again.load_weights(tmp_path / name)
        for ours, theirs in zip(again.get_weights(), model.get_weights()):
            np.testing.assert_array_equal(ours, theirs)
    whole.fit(x, y, epochs=2, verbose=0)
    resumed.fit(x, y, epochs=2, verbose=0, resume_from=tmp_path / "run")
    assert resumed.flat_parameters.tobytes() == whole.flat_parameters.tobytes()
    with pytest.raises(CheckpointError, match="weights are those of another model"):
        with_models_inside(GRU).load_weights(tmp_path / "weights")


def test_an_input_may_be_that_of_a_model_inside(tmp_path):
    x = Input((3,))
    encoder = Model(x, Dense(2)(x), name="encoder", seed=0)
    code = Input((2,))
    decoder = Model(code, Dense(3)(code), name="decoder", seed=1)
    whole = Model(x, [decoder(encoder(x)), Dense(1)(x)], seed=2)
    given = draw(4, 3)
    expected = decoder.predict(encoder.predict(given))
    whole.save(tmp_path / "whole")
    for model in (whole, load_model(tmp_path / "whole"), copy.deepcopy(whole)):
        np.testing.assert_array_equal(model.predict(given)[0], expected)
    assert encoder.input is x


def test_models_inside_wrappers_and_sequentials():
    features = Sequential(
        [Input((4,), dtype="float64"), Dense(3, activation="relu"), Dense(2)], seed=0
    )
    weights = features.get_weights()
    frames = Input((None, 4), dtype="float64")
    model = Model(frames, LSTM(2)(TimeDistributed(features)(frames)), seed=1)
    for before, after in zip(weights, features.get_weights()):
        np.testing.assert_array_equal(before, after)
    gradients_agree(model, draw(2, 3, 4), draw(2, 2))
    stack = Sequential([inner(), Dense(2)], seed=0)
    assert stack.predict(draw(2, 4, 3)).shape == (2, 4, 2)
    gradients_agree(stack, draw(2, 4, 3), draw(2, 4, 2))


# ---- copies and files


@pytest.mark.parametrize("way", ["copy", "pickle", "file"])
@pytest.mark.parametrize("kind", ["two", "nested", "view"])
def test_copies_compute_the_same_and_train_apart(kind, way, tmp_path):
    if kind == "two":
        model = two_inputs()
    elif kind == "nested":
        x = Input((5, 3))
        model = Model(x, Dense(2)(inner()(x)), seed=1)
    else:
        whole = two_inputs()
        model = Model(whole.inputs[1], whole.get_layer("shared")(whole.inputs[1]))
    x = {"two": data()[0], "nested": draw(2, 5, 3), "view": draw(2, 4)}[kind]
    if way == "copy":
        made = copy.deepcopy(model)
    elif way == "pickle":
        made = pickle.loads(pickle.dumps(model))
    else:
        model.save(tmp_path / "model")
        made = load_model(tmp_path / "model")
    before = [part.copy() for part in model.get_weights()]
    expected = model.predict(x)
    found = made.predict(x)
    for a, b in zip(*([each] if kind != "two" else each for each in (expected, found))):
        np.testing.assert_array_equal(a, b)
    made.compile("sgd", "mse")
    made.fit(x, found, verbose=0)
    made.set_weights([part + 1 for part in made.get_weights()])
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_resumed_training_is_an_uninterrupted_one(tmp_path):
    from gatewise.callbacks import ModelCheckpoint

    x, y = data(8)
    whole, part, again = two_inputs(), two_inputs(), two_inputs()
    for model in (whole, part, again):
        model.compile("adam", "mse")
    whole.fit(x, y, epochs=4, batch_size=3, verbose=0)
    part.fit(x, y, epochs=2, batch_size=3, verbose=0, callbacks=ModelCheckpoint(tmp_path / "run"))
    saves = ModelCheckpoint(tmp_path / "more")
    again.fit(
        x, y, epochs=4, batch_size=3, verbose=0, callbacks=saves, resume_from=tmp_path / "run"
    )
    np.testing.assert_array_equal(whole.flat_parameters, again.flat_parameters)


# ---- wrong graphs


def test_wrong_graphs_are_refused_by_name():
    x, y = Input((4,), name="x"), Input((4,), name="y")
    total = Dense(2, name="dense")(Add()([x, y]))
    with pytest.raises(ValueError, match="depends on input 'y', which is not among the inputs"):
        Model(x, total)
    extra = Input((1,), name="extra")
    with pytest.raises(ValueError, match="no output depends on input 'extra'"):
        Model([x, y, extra], total)
    with pytest.raises(TypeError, match="expected symbols"):
        Model(x, np.ones((2, 2)))
    with pytest.raises(ValueError, match="twice"):
        Model([x, x], total)
    with pytest.raises(ValueError, match=r"layer 'gru'.*\(None, 4\)"):
        GRU(3, name="gru")(x)
    with pytest.raises(TypeError, match="symbols and ndarray together"):
        Add()([x, np.ones((2, 4))])
    with pytest.raises(ValueError, match="shared layer needs the same features"):
        total.node.layer(Input((7,)))
    with pytest.raises(ValueError, match="only an Input has"):
        Embedding(5, 2, name="words")(total)
    with pytest.raises(TypeError, match="has no values"):
        Model([x, y], total).predict([x, y])


def test_a_cycle_is_refused():
    x = Input((4,))
    first = Dense(4, name="first")(x)
    second = Dense(4)(first)
    first.node.inputs[0] = second
    with pytest.raises(ValueError, match="reads what it makes itself: .*a cycle"):
        Model(x, second)


def test_subclasses_and_base_classes_are_refused_with_the_way_to_do_it():
    with pytest.raises(ValueError, match="call layers with symbols and make Model"):

        class Custom(Model):
            def call(self, x):
                return x

    with pytest.raises(ValueError, match="needs inputs and outputs"):
        Model()
    with pytest.raises(ValueError, match="custom-layers"):
        layers.Lambda(lambda x: x)


def test_layers_of_a_sequential_have_symbols():
    model = Sequential([Input((None, 3), name="x"), LSTM(4), Dense(2)], seed=0)
    features = Model(model.inputs, [layer.output for layer in model.layers])
    given = draw(2, 5, 3)
    np.testing.assert_array_equal(features.predict(given)[1], model.predict(given))
    assert model.input.name == "x"
    x = Input((5, 3))
    outer = Model(x, Dense(1)(model(x)))
    assert outer.get_layer(model.name) is model
    with pytest.raises(RuntimeError, match="pop: the layers of model"):
        model.pop()


def test_a_clone_has_weights_of_its_own():
    model = two_inputs()
    made = clone_model(model)
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]
    made.set_weights(model.get_weights())
    x, _ = data()
    for a, b in zip(model.predict(x), made.predict(x)):
        np.testing.assert_array_equal(a, b)
    block = clone_model(inner())
    assert block.predict(draw(1, 2, 3)).shape == (1, 2, 3)


def test_summary_names_what_a_layer_reads():
    lines = []
    two_inputs().summary(print_fn=lines.append)
    assert next(line for line in lines if line.startswith("gru")).endswith("words, shared")


def test_a_picture_has_a_box_for_each_call(tmp_path):
    pytest.importorskip("graphviz")
    source = plot_model(two_inputs(), to_file=None, show_shapes=True).source
    assert source.count("shared") == 2
    assert "(None, None, 5)" in source
    with pytest.raises(ValueError, match="ends in png, svg or pdf"):
        plot_model(two_inputs(), to_file=tmp_path / "model.txt")


def test_deep_graphs_are_copied_and_saved(tmp_path):
    x = Input((2,))
    y = x
    for _ in range(400):
        y = Dense(2)(y)
    model = Model(x, y, seed=0)
    model.save(tmp_path / "model")
    given = draw(1, 2)
    for made in (copy.deepcopy(model), load_model(tmp_path / "model")):
        np.testing.assert_array_equal(made.predict(given), model.predict(given))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("calls", 0, "reads"), [99]),
        (("calls", 0, "layer"), 99),
        (("calls", 1, "list"), "no"),
        (("outputs",), [-1]),
        (("outputs",), []),
        (("inputs", 0, "shape"), [None, 7]),
        (("layers", 0), None),
    ],
)
def test_damaged_graphs_are_refused(place, value, tmp_path):
    two_inputs().save(tmp_path / "model")
    tensors, header = checkpoint.read(tmp_path / "model")
    entry = header["architecture"]
    for key in place[:-1]:
        entry = entry[key]
    entry[place[-1]] = value
    checkpoint.write(tmp_path / "damaged", dict(tensors), header)
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "damaged")


@pytest.mark.parametrize("first", ["Embedding", "Masking"])
@pytest.mark.parametrize("inner", ["Sequential", "Model"])
def test_a_model_at_the_beginning_reads_what_its_first_layer_reads(first, inner):
    """Whole numbers, and which steps count."""
    stack = [Embedding(9, 4, mask_zero=True)] if first == "Embedding" else [Masking(0.0)]
    stack += [GRU(4, return_sequences=True)]
    shape = (None,) if first == "Embedding" else (None, 4)
    if inner == "Sequential":
        begins = Sequential([Input(shape), *stack], name="begins")
    else:
        x = Input(shape)
        begins = Model(x, stack[1](stack[0](x)), name="begins")
    plain = Sequential([*copy.deepcopy(stack), LSTM(3)], seed=0)
    plain.build((None, *shape))
    model = Sequential([begins, LSTM(3)], seed=0)
    model.set_weights(plain.get_weights())
    x = np.array([[3, 0, 5, 0], [0, 1, 8, 2], [4, 0, 0, 0]])
    given = x if first == "Embedding" else np.repeat(x[..., None], 4, axis=2).astype("float32")
    np.testing.assert_array_equal(model.predict(given), plain.predict(given))
    if first == "Embedding":
        ragged = [[3, 5], [1, 8, 2], [4]]
        np.testing.assert_array_equal(model.predict(ragged), plain.predict(ragged))
        with pytest.raises(ShapeError, match="expects 0 to 8"):
            model.predict(given + 5)


def test_a_model_inside_may_be_called_with_its_own_input():
    x = Input((3,))
    encoder = Model(x, Dense(2, "tanh")(x), seed=0)
    code = Input((2,))
    decoder = Model(code, Dense(3)(code), seed=1)
    autoencoder = Model(x, decoder(encoder(x)))
    values = draw(4, 3)
    expected = decoder.predict(encoder.predict(values))
    np.testing.assert_allclose(autoencoder.predict(values), expected, rtol=1e-6)
    assert copy.deepcopy(autoencoder).count_params() == 17
    assert clone_model(autoencoder).count_params() == 17


def test_a_frozen_model_inside_another_stays_as_it_is():
    block = Sequential([Input((3,)), Dense(2, name="a/b")], seed=0)
    x = Input((3,))
    model = Model(x, Dense(1)(block(x)), seed=0)
    model.compile("adam", "mse")
    before = [part.copy() for part in model.get_weights()]
    block.trainable = False
    model.fit(draw(4, 3), draw(4), verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[2] != after[2]).any()


def ends_inside(kind, activation):
    """A model that ends in a model with an activation that its loss can include."""
    x = Input((None, 3), dtype="float64")
    inner = Input((None, 4), dtype="float64")
    scores = Dense(3)(GRU(4, return_sequences=True)(inner))
    if kind == "Model":
        last = Model(inner, layers.Activation(activation)(scores), seed=1)
    else:
        last = Sequential([inner, GRU(4, return_sequences=True), Dense(3, activation)], seed=1)
    if kind == "TimeDistributed":
        one = Sequential([Input((4,), dtype="float64"), Dense(3, activation)], seed=1)
        return Model(x, TimeDistributed(one)(Dense(4)(x)), seed=0)
    return Model(x, last(Dense(4)(x)), seed=0)


@pytest.mark.parametrize("kind", ["Model", "Sequential", "TimeDistributed"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_loss_starts_from_the_scores_of_a_model_inside(kind, activation):
    model, x = ends_inside(kind, activation), draw(4, 5, 3)
    softmax = activation == "softmax"
    loss = "sparse_categorical_crossentropy" if softmax else "binary_crossentropy"
    y = np.random.default_rng(2).integers(0, 3 if softmax else 2, (4, 5) if softmax else (4, 5, 3))
    model.compile("sgd", loss, metrics=["accuracy" if softmax else "mae"])
    assert model._fused == [True]
    check_gradients(model, x, y=y, lengths=[5, 2, 4, 1], max_entries=8)
    plain = copy.deepcopy(model)
    plain._objectives[0].fused, plain._fused = False, [False]
    for each in (model, plain):
        each.compute_gradients(x, y)
    np.testing.assert_allclose(model.flat_gradients, plain.flat_gradients, atol=1e-8)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain.evaluate(x, y, verbose=0))
    # far from where probabilities can be told from 0 and 1
    model.set_weights([array * 1000 for array in model.get_weights()])
    assert model.evaluate(x, y, verbose=0)[0] > 100
