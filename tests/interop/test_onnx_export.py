"""Models as ONNX files: runtimes compute what predict computes."""

import re

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxruntime", reason="exported models are run by ONNX Runtime")

from gatewise import Model, Sequential, layers  # noqa: E402
from gatewise.errors import CheckpointError, ConfigError, DTypeError, StateError  # noqa: E402
from gatewise.interop.onnx import export_model  # noqa: E402
from gatewise.models import Seq2Seq  # noqa: E402

from .onnx_runs import backend, largest_difference, onnx_runtime, reference, shaken  # noqa: E402

LENGTHS = np.array([7, 1, 4, 3])
X = np.random.default_rng(1).normal(size=(4, 7, 3)).astype("float32")
HOLES = X.copy()
HOLES[1, 2:4] = HOLES[2, 0] = HOLES[3, 4:] = 0
TOKENS = np.array([[1, 2, 3, 1, 2, 3, 1], [0, 0, 1, 0, 2, 0, 0], [3, 3, 0, 0, 0, 0, 0], [2] * 7])
IMAGES = np.random.default_rng(2).normal(size=(3, 9, 8, 2)).astype("float32")

LSTMS = [
    {"peepholes": True, "clip": 0.7},
    {"coupled": True, "peepholes": True},
    {"cell_clip": 0.3, "projection": 3},
    {"zoneout": (0.1, 0.2), "output_gate_inside": True},
    {"layer_normalization": True},
    {"input_gate": False, "learned_initial_state": True},
    {"forget_gate": False, "output_gate": False},
    {"activation": "softsign", "recurrent_activation": "hard_sigmoid", "use_bias": False},
    {
        "recurrent_activation": ("hard_sigmoid", 0.2, 0.4),
        "activation": ("scaled_tanh", 1.1, 0.8),
        "output_activation": ("affine", 0.5, 0.2),
    },
]
GRUS = [
    {"reset_after": False},
    {"update": "chung", "clip": 0.4},
    {"candidate": "complement", "reset_after": False},
    {"candidate": "split"},
    {"candidate": "input", "zoneout": 0.2},
    {"output_activation": "sigmoid"},
    {"layer_normalization": True},
    {"activation": ("leaky_relu", 0.1), "recurrent_activation": "hard_sigmoid"},
]
RNNS = [{"activation": "relu"}, {"clip": 0.3}, {"layer_normalization": True}, {"zoneout": 0.1}]
CELLS = [
    *((layers.LSTM, options) for options in [{}, *LSTMS]),
    *((layers.GRU, options) for options in [{}, *GRUS]),
    *((layers.SimpleRNN, options) for options in [{}, *RNNS]),
    *((cls, {}) for cls in (layers.MinLSTM, layers.MinGRU)),
]


def made(parts, x=X, seed=0):
    model = Sequential(parts, seed=seed)
    model.build((None, *x.shape[1:]))
    return shaken(model, seed)


def compare(model, x, lengths=None, opset=17, runs=(onnx_runtime,)):
    proto = export_model(model, None, opset, lengths=lengths is not None)
    feeds, given = {model._input_names[0]: x}, {}
    if lengths is not None:
        feeds["lengths"] = given["lengths"] = lengths
    expected = model.predict(x, verbose=0, **given)
    expected = expected if isinstance(expected, list) else [expected]
    for run in runs:
        assert largest_difference(expected, run(proto, feeds)) < 1e-5, run.__name__
    return proto


@pytest.mark.parametrize("sequences", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize(("cls", "options"), CELLS)
def test_every_cell_with_its_options(cls, options, sequences):
    model = made([layers.Bidirectional(cls(5, return_sequences=sequences, **options))])
    compare(model, X)
    compare(model, X, LENGTHS)
    model = made([cls(5, return_sequences=sequences, go_backwards=True, **options)])
    compare(model, X, LENGTHS)


@pytest.mark.parametrize("cls", [layers.LSTM, layers.GRU, layers.SimpleRNN, layers.MinGRU])
def test_the_reference_evaluator_and_our_backend_agree(cls):
    model = made(
        [layers.Bidirectional(cls(5, return_sequences=True)), cls(4), layers.Dense(2, "softmax")]
    )
    compare(model, X, runs=(onnx_runtime, reference))
    if cls is not layers.MinGRU:  # which is a Scan
        compare(model, X, LENGTHS, runs=(onnx_runtime, backend))


@pytest.mark.parametrize("cls", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_plain_cells_are_nodes(cls):
    proto = export_model(made([layers.Bidirectional(cls(5))]), None)
    (node,) = [node for node in proto.graph.node if node.op_type in ("LSTM", "GRU", "RNN")]
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    assert attributes["direction"] == b"bidirectional"
    assert "layout" not in attributes


CONVOLUTIONS = [
    (padding, strides, dilation)
    for padding in ("valid", "same", "causal")
    for strides, dilation in ((1, 1), (2, 1), (1, 2))
]


@pytest.mark.parametrize(("padding", "strides", "dilation"), CONVOLUTIONS)
def test_convolutions(padding, strides, dilation):
    options = {"padding": padding, "strides": strides, "dilation_rate": dilation}
    model = made(
        [
            layers.Conv1D(4, 3, activation="relu", **options),
            layers.DepthwiseConv1D(2, depth_multiplier=2, padding=padding),
            layers.SeparableConv1D(3, 1, depth_multiplier=2, activation="softmax"),
        ]
    )
    if padding == "same" and strides > 1:
        compare(model, X)
        with pytest.raises(ConfigError, match="depends on the length of each row"):
            export_model(model, None, lengths=True)
    else:
        lengths = np.array([7, 6, 7, 6])
        compare(model, X, lengths)


PARTS = {
    "pooling": [layers.MaxPooling1D(2), layers.AveragePooling1D(2, 1, "same"), layers.GRU(2)],
    "same": [layers.MaxPooling1D(3, 1, "same"), layers.LSTM(3, return_sequences=True)],
    "global maximum": [layers.GlobalMaxPooling1D(), layers.Dense(2)],
    "global mean": [layers.GlobalAveragePooling1D(), layers.Dense(2)],
    "flatten": [layers.GRU(4, return_sequences=True), layers.Flatten(), layers.Dense(2)],
    "repeat": [
        layers.GRU(4),
        layers.RepeatVector(3),
        layers.LSTM(2, return_sequences=True),
        layers.TimeDistributed(layers.Dense(2)),
    ],
    "vectors": [
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.Dropout(0.3),
        layers.GaussianNoise(0.1),
        layers.Dense(4, "tanh"),
        layers.ReLU(1.0, 0.1, 0.2),
        layers.LeakyReLU(),
        layers.ELU(0.5),
        layers.PReLU(shared_axes=[1]),
        layers.Activation(("hard_sigmoid", 0.2, 0.5)),
        layers.Activation(("thresholded_relu", 0.3)),
        layers.LSTM(2),
    ],
    "reshape": [layers.Reshape((-1, 3, 1)), layers.Reshape((7, 3)), layers.GRU(4)],
    "axes": [layers.GRU(4), layers.Reshape((2, 2)), layers.Permute((2, 1)), layers.Flatten()],
    "softmax over steps": [layers.Softmax(1), layers.GRU(2)],
    "zeros": [layers.ZeroPadding1D((2, 1)), layers.GRU(2, return_sequences=True)],
    "steps": [layers.Cropping1D((1, 0)), layers.UpSampling1D(2), layers.GRU(2)],
    "stack": [
        layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True),
        layers.Bidirectional(
            layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], return_sequences=True)
        ),
    ],
    "attention": [layers.GRU(4, return_sequences=True), layers.Attention(use_causal_mask=True)],
    "masking": [layers.Masking(), layers.Bidirectional(layers.LSTM(3, return_sequences=True))],
    "mask, last": [layers.Masking(), layers.GRU(3, return_sequences=True), layers.GRU(2)],
    "mask, flat": [layers.Masking(), layers.GRU(4, return_sequences=True), layers.Flatten()],
}


@pytest.mark.parametrize("name", PARTS)
def test_layers(name):
    parts = [type(part).from_config(part.get_config()) for part in PARTS[name]]
    model = made(parts, HOLES)
    compare(model, HOLES)
    compare(model, HOLES, LENGTHS)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
def test_merge_modes(mode):
    part = layers.LSTM(3, return_sequences=True)
    compare(made([layers.Bidirectional(part, merge_mode=mode)]), X, LENGTHS)


def test_two_different_directions():
    back = layers.GRU(3, return_sequences=True, go_backwards=True)
    part = layers.LSTM(3, return_sequences=True)
    compare(made([layers.Bidirectional(part, backward_layer=back)]), X, LENGTHS)


@pytest.mark.parametrize("mask", [True, False])
def test_tokens(mask):
    parts = [layers.Embedding(9, 4, mask_zero=mask), layers.Bidirectional(layers.GRU(3))]
    model = made([*parts, layers.Dense(2, "softmax")], TOKENS)
    compare(model, TOKENS)
    compare(model, TOKENS, LENGTHS)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_images(padding):
    model = made(
        [
            layers.Conv2D(4, (3, 2), strides=(2, 1), padding=padding, activation="relu"),
            layers.MaxPooling2D(2, padding=padding),
            layers.Conv2D(3, 2, dilation_rate=2, padding="same"),
            layers.AveragePooling2D((2, 3), strides=1, padding="same"),
            layers.Flatten(),
        ],
        IMAGES,
    )
    compare(model, IMAGES)


@pytest.mark.parametrize(
    "opset",
    [
        pytest.param(each, marks=() if each in (14, 18, 24) else pytest.mark.long)
        for each in range(14, 25)
    ],
)
def test_every_version_of_the_operators(opset):
    model = made(
        [
            layers.Masking(),
            layers.LayerNormalization(),
            layers.LSTM(4, return_sequences=True, layer_normalization=True),
            layers.Bidirectional(layers.GRU(3, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, "softmax"),
        ],
        HOLES,
    )
    proto = compare(model, HOLES, opset=opset)
    assert [each.version for each in proto.opset_import] == [opset]


def test_graph_with_states_and_attention():
    x = layers.Input((None, 3))
    h, *states = layers.LSTM(5, return_sequences=True, return_state=True)(x)
    y = layers.LSTM(5, return_sequences=True)(x, initial_state=states)
    attended = layers.AdditiveAttention()([h, y])
    heads = layers.MultiHeadAttention(2, 3, value_dim=4)(h, y)
    outputs = [
        layers.Dense(2)(attended),
        states[1],
        (h + y) * 0.5 - 1 / (y + 3.0),
        heads,
        layers.Concatenate()([h, y]),
        layers.Add()([h, states[0]]),
        h[:, -1],
        layers.Dot(-1, normalize=True)(states),
    ]
    compare(shaken(Model(x, outputs)), X)


@pytest.mark.parametrize("mode", ["dot", "concat"])
def test_attention_with_lengths(mode):
    x = layers.Input((None, 3))
    h, y = layers.GRU(4, return_sequences=True)(x), layers.LSTM(4, return_sequences=True)(x)
    attended = layers.Attention(score_mode=mode, use_scale=True)([y, h])
    heads = layers.MultiHeadAttention(2, 3, use_causal_mask=True)(attended, attended)
    compare(shaken(Model(x, [attended, heads])), X, LENGTHS)


def test_attention_scores():
    x = layers.Input((None, 3))
    heads = layers.MultiHeadAttention(2, 3, return_attention_scores=True)(x, x)
    weighed = layers.Attention(return_attention_scores=True)([x, heads[0]])
    model = shaken(Model(x, [*heads, *weighed]))
    compare(model, X)
    with pytest.raises(ConfigError, match="return_attention_scores=True, and rows"):
        export_model(model, None, lengths=True)


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "bahdanau"},
        {"attention": "bahdanau", "cell": "gru", "bidirectional": False, "num_layers": 2},
        {"attention": "luong", "tie_embeddings": True},
        {"attention": None, "cell": "rnn"},
    ],
)
def test_encoder_and_decoder_with_a_given_target(options):
    model = shaken(Seq2Seq(10, 12, units=4, embedding=3, seed=0, **options))
    sources, targets = [[3, 4, 5, 6], [7], [8, 9]], [[3], [4, 5, 6, 7, 11], [9, 10]]
    (target, source), _, lengths = model._given(sources, targets)
    proto = export_model(model, None, lengths=True)
    feeds = {"target": target.astype("int64"), "source": source.astype("int64")}
    for name, each in zip(model.input_names, lengths):
        feeds[f"lengths_{name}"] = np.asarray(each, "int64")
    expected = model.predict(sources, targets, verbose=0)
    assert largest_difference([expected], onnx_runtime(proto, feeds)) < 1e-5
    with pytest.raises(ConfigError, match="its encoder begins anew"):
        export_model(model, None, states=True)


def test_sequences_of_sequences_of_tokens():
    each = layers.TimeDistributed(layers.Embedding(9, 3))
    x = np.random.default_rng(0).integers(0, 9, (4, 7, 5))
    model = made([each, layers.TimeDistributed(layers.GRU(3)), layers.LSTM(2)], x)
    compare(model, x, LENGTHS)


def test_several_inputs_have_lengths_of_their_own():
    a, b = layers.Input((None, 3), name="a"), layers.Input((None, 3), name="b")
    c = layers.Input((3,), name="lengths")
    model = Model([a, b, c], layers.Concatenate()([layers.LSTM(3)(a), layers.GRU(3)(b), c]))
    feeds = {"a": X, "b": X[:, ::-1].copy(), "lengths": X[:, 0].copy()}
    lengths = {"a": LENGTHS, "b": LENGTHS[::-1].copy()}
    expected = shaken(model).predict(feeds, verbose=0, lengths=lengths)
    proto = export_model(model, None, lengths=True)
    feeds |= {f"lengths_{name}": each for name, each in lengths.items()}
    assert largest_difference([expected], onnx_runtime(proto, feeds)) < 1e-5


def test_models_inside_and_layers_called_twice():
    inner = Sequential([layers.GRU(4, return_sequences=True), layers.Dense(3)])
    each = Sequential([layers.Dense(6, "relu"), layers.Dense(3)])
    x = layers.Input((None, 3))
    model = shaken(Model(x, layers.TimeDistributed(each)(inner(inner(x)))))
    compare(model, X, LENGTHS)


def test_states_are_inputs_and_outputs():
    model = made([layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True)])
    proto = export_model(model, None, states=True)
    names = [value.name for value in proto.graph.output]
    feeds = {
        value.name: np.zeros((4, value.type.tensor_type.shape.dim[1].dim_value), "float32")
        for value in proto.graph.input[1:]
    }
    assert sorted(f"{name}/next" for name in feeds) == sorted(names[1:])
    found = []
    for block in (X[:, :3], X[:, 3:]):
        y, *states = onnx_runtime(proto, {model._input_names[0]: block, **feeds})
        found.append(y)
        feeds = {name.removesuffix("/next"): each for name, each in zip(names[1:], states)}
    assert largest_difference([model.predict(X, verbose=0)], [np.concatenate(found, 1)]) < 1e-5


def test_names_shapes_and_producer():
    model = Sequential(
        [layers.Input((None, 3)), layers.LSTM(4, return_sequences=True)], name="tagger"
    )
    proto = export_model(model, None, lengths=True)
    assert (proto.producer_name, proto.graph.name) == ("gatewise", "tagger")
    shapes = [
        [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    ]
    assert shapes == [["batch", "time", 3], ["batch"], ["batch", "time", 4]]
    short = X[:1, :2]
    y = onnx_runtime(proto, {model._input_names[0]: short, "lengths": np.array([2])})
    assert largest_difference([model.predict(short, verbose=0)], y) < 1e-5


def test_a_file_is_written_as_a_whole(tmp_path):
    model = made([layers.GRU(4)])
    path = tmp_path / "tone.onnx"
    proto = export_model(model, path)
    assert path.read_bytes() == proto.SerializeToString()
    bad = Sequential([layers.Input((None, 3)), layers.GRUD(4)])
    with pytest.raises(ConfigError, match="GRUD"):
        export_model(bad, path)
    assert path.read_bytes() == proto.SerializeToString()
    with pytest.raises(CheckpointError):
        export_model(model, tmp_path / "no folder" / "tone.onnx")


REFUSED = {
    "GRUD": [layers.GRUD(4)],
    "ConvLSTM1D": [layers.Reshape((7, 3, 1)), layers.ConvLSTM1D(2, 2)],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_onnx_has_not_is_refused_by_name(name):
    with pytest.raises(ConfigError, match=re.escape(f"({name}) cannot be exported to ONNX: ")):
        export_model(made(REFUSED[name]), None)


def test_refused_arguments():
    model = made([layers.GRU(4)])
    for opset in (13, 25):
        with pytest.raises(ConfigError, match="from 14 to 24"):
            export_model(model, None, opset)
    with pytest.raises(ConfigError, match="one step"):
        export_model(model, None, step=True, lengths=True)
    with pytest.raises(ConfigError, match="float64"):
        export_model(Sequential([layers.Input((None, 3)), layers.GRU(4, dtype="float64")]), None)
    with pytest.raises(StateError, match="built"):
        export_model(Sequential([layers.GRU(4)]), None)
    with pytest.raises(DTypeError, match="expected a Sequential, a Model"):
        export_model(layers.GRU(4), None)
    held = made([layers.GRU(4, return_sequences=True, zero_output_for_mask=False)])
    export_model(held, None)
    with pytest.raises(ConfigError, match="zero_output_for_mask"):
        export_model(held, None, lengths=True)
