"""The tape of a pass: one layer at two nodes, tapes of several passes, a layer used alone."""

import copy
import pickle
import threading

import numpy as np
import pytest
from cases import as_list, assert_all_same_bits

from gatewise import layers
from gatewise.cells import FullGateLSTMCell
from gatewise.errors import StateError
from gatewise.layers import Batch, Steps, Tape

PUBLIC = [getattr(layers, name) for name in layers.__all__]
CLASSES = [cls for cls in PUBLIC if isinstance(cls, type) and issubclass(cls, layers.Layer)]

# Class: (a function that makes the layer, shape of one sample, or of one of each input).
MADE = {
    layers.Activation: (lambda: layers.Activation("tanh"), (4, 3)),
    layers.Add: (layers.Add, [(4, 3), (4, 3), (3,)]),
    layers.AdditiveAttention: (lambda: layers.AdditiveAttention(dropout=0.2), (4, 3)),
    layers.Attention: (lambda: layers.Attention(use_scale=True), (4, 3)),
    layers.Average: (layers.Average, [(4, 3), (4, 1)]),
    layers.AveragePooling1D: (lambda: layers.AveragePooling1D(2), (4, 3)),
    layers.AveragePooling2D: (lambda: layers.AveragePooling2D(2), (4, 4, 2)),
    layers.BatchNormalization: (layers.BatchNormalization, (4, 3)),
    layers.Bidirectional: (
        lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="mul"),
        (4, 3),
    ),
    layers.Concatenate: (layers.Concatenate, [(4, 3), (4, 2)]),
    layers.Conv1D: (lambda: layers.Conv1D(2, 3, padding="causal", activation="tanh"), (4, 3)),
    layers.Conv2D: (lambda: layers.Conv2D(2, 3, activation="tanh"), (4, 4, 2)),
    layers.ConvLSTM1D: (lambda: layers.ConvLSTM1D(2, 2, dropout=0.2), (3, 4, 2)),
    layers.ConvLSTM2D: (
        lambda: layers.ConvLSTM2D(2, 2, recurrent_dropout=0.2, return_sequences=True),
        (3, 3, 4, 2),
    ),
    layers.Cropping1D: (lambda: layers.Cropping1D((1, 0)), (4, 3)),
    layers.Dense: (lambda: layers.Dense(2, activation="softmax"), (4, 3)),
    layers.DepthwiseConv1D: (lambda: layers.DepthwiseConv1D(2, depth_multiplier=2), (4, 3)),
    layers.Dot: (lambda: layers.Dot(1), [(4, 3), (4, 2)]),
    layers.Dropout: (lambda: layers.Dropout(0.5), (4, 3)),
    layers.ELU: (lambda: layers.ELU(0.5), (4, 3)),
    layers.Embedding: (lambda: layers.Embedding(5, 3), (4,)),
    layers.Flatten: (layers.Flatten, (4, 3)),
    layers.GRU: (lambda: layers.GRU(5, go_backwards=True, dropout=0.2), (4, 3)),
    layers.GRUD: (lambda: layers.GRUD(4, return_sequences=True), (4, 6)),
    layers.GaussianDropout: (lambda: layers.GaussianDropout(0.3), (4, 3)),
    layers.GaussianNoise: (lambda: layers.GaussianNoise(0.3), (4, 3)),
    layers.GlobalAveragePooling1D: (layers.GlobalAveragePooling1D, (4, 3)),
    layers.GlobalAveragePooling2D: (layers.GlobalAveragePooling2D, (4, 4, 2)),
    layers.GlobalMaxPooling1D: (layers.GlobalMaxPooling1D, (4, 3)),
    layers.GlobalMaxPooling2D: (layers.GlobalMaxPooling2D, (4, 4, 2)),
    layers.InputLayer: (lambda: layers.InputLayer(input_shape=(4, 3)), (4, 3)),
    layers.LeakyReLU: (layers.LeakyReLU, (4, 3)),
    layers.LSTM: (lambda: layers.LSTM(5, return_sequences=True, recurrent_dropout=0.2), (4, 3)),
    layers.LayerNormalization: (layers.LayerNormalization, (4, 3)),
    layers.Masking: (layers.Masking, (4, 3)),
    layers.MaxPooling1D: (lambda: layers.MaxPooling1D(2), (4, 3)),
    layers.MaxPooling2D: (lambda: layers.MaxPooling2D(2), (4, 4, 2)),
    layers.Maximum: (layers.Maximum, [(4, 3), (4, 3)]),
    layers.MinGRU: (lambda: layers.MinGRU(4), (4, 3)),
    layers.MinLSTM: (lambda: layers.MinLSTM(4, return_sequences=True), (4, 3)),
    layers.Minimum: (layers.Minimum, [(4, 3), (4, 3)]),
    layers.MultiHeadAttention: (
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.2),
        [(4, 3), (4, 2)],
    ),
    layers.Multiply: (layers.Multiply, [(4, 3), (4, 3), (4, 3)]),
    layers.PReLU: (lambda: layers.PReLU("normal", shared_axes=[1]), (4, 3)),
    layers.Permute: (lambda: layers.Permute((1, 3, 2)), (4, 3, 2)),
    layers.ReLU: (lambda: layers.ReLU(0.5, 0.1, 0.2), (4, 3)),
    layers.RNN: (lambda: layers.RNN(FullGateLSTMCell(4), return_sequences=True), (4, 3)),
    layers.StackedRNN: (
        lambda: layers.RNN([layers.GRUCell(3), layers.LSTMCell(4)], return_sequences=True),
        (4, 3),
    ),
    layers.RepeatVector: (lambda: layers.RepeatVector(3), (3,)),
    layers.Reshape: (lambda: layers.Reshape((-1, 3, 1)), (4, 3)),
    layers.SeparableConv1D: (lambda: layers.SeparableConv1D(2, 3, padding="causal"), (4, 3)),
    layers.SimpleRNN: (lambda: layers.SimpleRNN(4, learned_initial_state=True), (4, 3)),
    layers.Softmax: (lambda: layers.Softmax(axis=1), (4, 3)),
    layers.SpatialDropout1D: (lambda: layers.SpatialDropout1D(0.5), (4, 3)),
    layers.Subtract: (layers.Subtract, [(4, 3), (3,)]),
    layers.UpSampling1D: (layers.UpSampling1D, (4, 3)),
    layers.ZeroPadding1D: (lambda: layers.ZeroPadding1D((2, 1)), (4, 3)),
    layers.TimeDistributed: (lambda: layers.TimeDistributed(layers.Dense(2)), (4, 3)),
}


def made(cls, rng):
    """(a built layer, function that draws an input)."""
    make, shape = MADE[cls]
    layer = make()
    several = isinstance(shape, list)
    layer.build([(None, *each) for each in shape] if several else (None, *shape))
    layer.rng = np.random.default_rng(5)

    def draw(rows=3):
        if several:
            return [rng.normal(size=(rows, *each)).astype("float32") for each in shape]
        if cls is layers.Embedding:
            return rng.integers(0, 5, (rows, *shape)).astype("int32")
        x = rng.normal(size=(rows, *shape)).astype("float32")
        if cls is layers.GRUD:
            x[..., 2:4] = rng.integers(0, 2, (rows, 4, 2))
            x[..., 4:] = np.abs(x[..., 4:])
        return x

    return layer, draw


def inputs_of(x, with_lengths):
    if isinstance(x, list):
        return [inputs_of(part, with_lengths) for part in x]
    has_steps = x.ndim == 3 or x.dtype.kind == "i"
    if not (with_lengths and has_steps):
        return Batch(x)
    return Batch(x, Steps(np.array([4, 1, 2], np.intp)[: len(x)]))


def test_every_layer_is_tried():
    # EncoderDecoder reads two rows of tokens: test_encoder_decoder.py
    abstract = {layers.Layer, layers.Recurrent, layers.Wrapper}
    assert set(CLASSES) - set(MADE) == {layers.EncoderDecoder} | abstract


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__name__)
def test_a_layer_at_two_nodes_is_two_copies(cls, with_lengths, rng):
    """All is as of two copies, except gradients of parameters: they are the sum of theirs."""
    layer, draw = made(cls, rng)
    first, second = copy.deepcopy(layer), copy.deepcopy(layer)
    second.rng = first.rng = layer.rng  # whatever is dropped comes from one generator
    for part in (first, second):
        part.zero_gradients()
    inputs = [inputs_of(draw(3), with_lengths), inputs_of(draw(2), with_lengths)]
    drawn = layer.rng.bit_generator.state
    tape = Tape()
    outputs = [layer.run(batch, tape, node) for node, batch in enumerate(inputs)]
    dy = [rng.normal(size=y.values.shape).astype("float32") for y in outputs]
    found = [None, None]
    for node in (1, 0):
        found[node] = layer.run_backward(dy[node].copy(), tape, node, True)
        if found[node] is not None:
            found[node] = [part.copy() for part in as_list(found[node])]
    layer.rng.bit_generator.state = drawn
    for part, batch, y, d, dx in zip((first, second), inputs, outputs, dy, found):
        own = Tape()
        wanted = part.run(batch, own, "only")
        np.testing.assert_array_equal(y.values, wanted.values)
        d_wanted = part.run_backward(d.copy(), own, "only", True)
        if d_wanted is None:
            assert dx is None
        else:
            assert_all_same_bits(dx, as_list(d_wanted))
    for name, gradient in layer.gradients.items():
        np.testing.assert_allclose(
            gradient, first.gradients[name] + second.gradients[name], rtol=1e-4, atol=1e-5
        )
    assert not any(tape.holds(node) for node in (0, 1))


@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__name__)
def test_inference_keeps_nothing(cls, rng):
    """No attribute of a layer changes in a call, and parallel threads get what one gets alone."""
    layer, draw = made(cls, rng)
    xs = [draw() for _ in range(4)]
    alone = [layer.forward(x) for x in xs]
    before = {name: id(value) for name, value in vars(layer).items()}
    results = [None] * 4

    def work(k):
        for _ in range(20):
            results[k] = layer.run(inputs_of(xs[k], False), None, None).values

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for y, wanted in zip(results, alone):
        np.testing.assert_array_equal(y, wanted)
    assert {name: id(value) for name, value in vars(layer).items()} == before


@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_has_no_pass_under_way_and_trains(again, cls, rng):
    layer, draw = made(cls, rng)
    layer.forward(draw(), training=True)
    copied = again(layer)
    assert copied._tape is None or not copied._tape.holds("layer")
    dy = np.ones_like(copied.forward(draw()))
    with pytest.raises(StateError, match="call forward"):
        copied.backward(dy)
    x = draw()
    y = copied.forward(x, training=True)
    copied.backward(np.ones_like(y))
    with pytest.raises(StateError, match="call forward"):
        copied.backward(np.ones_like(y))
    layer.backward(dy)  # the original's own pass is still there


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU", "Bidirectional", "RNN"])
def test_states_that_come_from_another_layer(name, rng):
    """Inputs [x, h] or [x, h, c] set the initial state; each has its gradient, as x has."""
    make = {
        "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(4), dtype="float64"),
        "RNN": lambda: layers.RNN(FullGateLSTMCell(4), dtype="float64"),
    }.get(name, lambda: getattr(layers, name)(4, dtype="float64"))
    layer = make()
    layer.build((None, None, 3))
    x = rng.normal(size=(2, 5, 3))
    sizes = getattr(layer, "state_sizes", None) or (4,) * len(layer.state_names)
    states = [rng.normal(size=(2, size)) for size in sizes]
    y = layer.forward(x, initial_state=states, training=True)
    dy = rng.normal(size=y.shape)
    dx = layer.backward(dy)
    wanted = [dx, *layer.initial_state_gradient]
    tape = Tape()
    inputs = [Batch(x), *(Batch(state) for state in states)]
    np.testing.assert_array_equal(layer.run(inputs, tape, "a").values, y)
    found = layer.run_backward(dy, tape, "a", True)
    assert len(found) == 1 + len(states)
    for got, expected in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(layer.run(inputs, None, None).values, y)


def test_several_outputs_are_a_list(rng):
    layer = layers.LSTM(3, return_state=True, return_sequences=True)
    layer.build((None, None, 2))
    x = Batch(rng.normal(size=(2, 4, 2)).astype("float32"), Steps(np.array([4, 2], np.intp)))
    y, h, c = layer.run(x, None, None)
    assert y.steps is x.steps and h.steps is None and c.steps is None
    np.testing.assert_array_equal(y.values[1, 1], h.values[1])
    both = layers.Bidirectional(layers.GRU(3), merge_mode=None)
    both.build((None, None, 2))
    assert [part.values.shape for part in both.run(x, None, None)] == [(2, 3), (2, 3)]


def test_moving_averages_follow_both_nodes(rng):
    """BatchNormalization twice on one tape moves it as two passes one after the other."""
    layer, draw = made(layers.BatchNormalization, rng)
    other = copy.deepcopy(layer)
    xs, tape = [draw(), draw()], Tape()
    before = layer.get_weights()
    for node, x in enumerate(xs):
        layer.run(Batch(x), tape, node)
    for a, b in zip(layer.get_weights(), before):
        np.testing.assert_array_equal(a, b)
    assert tape.has_actions
    tape.settle()
    assert not tape.has_actions
    for x in xs:
        other.forward(x, training=True)
    for a, b in zip(layer.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_tape_gives_what_was_kept_once():
    tape = Tape()
    with pytest.raises(StateError, match="holds nothing for node 3"):
        tape.take(3)
    tape.keep(3, "kept")
    assert tape.holds(3) and tape.look(3) == "kept" and tape.take(3) == "kept"
    with pytest.raises(StateError, match="each forward pass has one backward pass"):
        tape.take(3)
    tape.keep(3, "kept")
    workspace = tape.workspace(3, list)
    tape.begin()
    assert not tape.holds(3) and tape.workspace(3, list) is workspace


def test_passes_of_threads_have_a_tape_each(rng):
    """model(x, training=True) of several threads at once: dropout differs, nothing else does."""
    from gatewise import Sequential

    model = Sequential([layers.LSTM(4, input_shape=(5, 3)), layers.Dense(2)], seed=0)
    x = rng.normal(size=(3, 5, 3)).astype("float32")
    wanted, met = model(x, training=True), []

    def work():
        for _ in range(20):
            met.append(np.array_equal(model(x, training=True), wanted))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == [True] * 60
