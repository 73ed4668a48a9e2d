"""Options of ONNX's RNN, GRU and LSTM operators, against ONNX Runtime and ONNX's reference."""

import numpy as np
import pytest
from cases import assert_close, make, sequences, states_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="parity with ONNX's operators needs onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from gatewise.interop.onnx import Backend  # noqa: E402

# Our blocks in ONNX's order.
BLOCKS = {"rnn": "h", "gru": "zrh", "lstm": "iofg"}
OPERATORS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
ONNX_NAMES = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "linear": "Affine",
    "hard_sigmoid": "HardSigmoid",
    "softsign": "Softsign",
    "softplus": "Softplus",
    "elu": "Elu",
    "leaky_relu": "LeakyRelu",
    "affine": "Affine",
    "thresholded_relu": "ThresholdedRelu",
    "scaled_tanh": "ScaledTanh",
}
TAKES_BETA = {"hard_sigmoid", "affine", "scaled_tanh", "linear"}


def blocks_of(array, cell, axis=-1):
    """Our blocks along an axis, by name; gates that are left out are missing."""
    return dict(zip(cell.gates, np.split(array, len(cell.gates), axis=axis)))


def in_onnx_order(array, cell):
    """(gates*units, rows) from (rows, gates*units); zeros for a gate without weights."""
    blocks = blocks_of(array, cell)
    some = next(iter(blocks.values()))
    return np.concatenate(
        [blocks.get(name, np.zeros_like(some)) for name in BLOCKS[cell.family]], axis=-1
    ).T


def attributes(cell):
    """Of the ONNX node."""
    if cell.family == "rnn":
        given = [cell.activation]
    elif cell.family == "gru":
        given = [cell.recurrent_activation, cell.activation]
    else:
        given = [cell.recurrent_activation, cell.activation, cell._output_activation()]
    names, alphas, betas = [], [], []
    for activation in given:
        name, *constants = (activation,) if isinstance(activation, str) else activation
        if name == "linear":
            constants = [1.0, 0.0]
        names.append(ONNX_NAMES[name])
        if constants:
            alphas.append(constants[0])
            if name in TAKES_BETA:
                betas.append(constants[1])
    found = {"activations": names, "hidden_size": cell.units}
    if alphas:
        found["activation_alpha"] = alphas
    if betas:
        found["activation_beta"] = betas
    if cell.clip is not None:
        found["clip"] = cell.clip
    if cell.family == "gru":
        found["linear_before_reset"] = int(cell.reset_after)
    if cell.family == "lstm" and cell.coupled:
        found["input_forget"] = 1
    return found


def onnx_model(layer, x, start, lengths):
    """(model, feeds): one node with the layer's weights."""
    cell, p = layer.cell, {name: array.copy() for name, array in layer._parameters.items()}
    bias = (
        p["bias"]
        if cell.family == "gru" and cell.reset_after
        else np.stack([p["bias"], np.zeros_like(p["bias"])])
    )
    tensors = {
        "W": in_onnx_order(p["kernel"], cell)[None],
        "R": in_onnx_order(p["recurrent_kernel"], cell)[None],
        "B": np.concatenate([in_onnx_order(row, cell) for row in bias])[None],
    }
    feeds = {"X": x.transpose(1, 0, 2), "h0": start[0][None]}
    inputs = ["X", "W", "R", "B", "", "h0"]
    if lengths is not None:
        feeds["lengths"], inputs[4] = np.asarray(lengths, np.int32), "lengths"
    outputs = ["Y", "Y_h"]
    if cell.family == "lstm":
        feeds["c0"] = start[1][None]
        inputs.append("c0")
        outputs.append("Y_c")
        if cell.peepholes:
            rows = dict(zip(cell.peephole_gates, p["peephole"]))
            tensors["P"] = np.concatenate(
                [rows.get(name, np.zeros(cell.units, x.dtype)) for name in "iof"]
            )[None]
            inputs.append("P")
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    node = helper.make_node(OPERATORS[cell.family], inputs, outputs, **attributes(cell))
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(
                name, TensorProto.INT32 if name == "lengths" else kind, array.shape
            )
            for name, array in feeds.items()
        ],
        [
            helper.make_tensor_value_info(name, kind, [None] * (4 if name == "Y" else 3))
            for name in outputs
        ],
        [
            numpy_helper.from_array(np.ascontiguousarray(array), name)
            for name, array in tensors.items()
        ],
    )
    return (
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=10),
        feeds,
    )


def check(layer, x, start, tolerance, run, lengths=None):
    y, *last = layer.forward(x, lengths=lengths, initial_state=start)
    model, feeds = onnx_model(layer, x, start, lengths)
    onnx.checker.check_model(model)
    wanted, *wanted_last = run(model, feeds)
    assert_close(y, wanted[:, 0].transpose(1, 0, 2), tolerance, "y")
    for got, theirs in zip(last, wanted_last, strict=True):
        assert_close(got, theirs[0], tolerance, "state")
    for got, theirs in zip(Backend.run_model(model, feeds), [wanted, *wanted_last], strict=True):
        assert_close(got, theirs, tolerance, "of the backend")


def in_runtime(model, feeds):
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    return runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    ).run(None, feeds)


KINDS = [
    "tanh",
    "sigmoid",
    "relu",
    "linear",
    "softsign",
    "softplus",
    ("leaky_relu", 0.1),
    ("elu", 0.5),
    ("hard_sigmoid", 0.2, 0.5),
    ("thresholded_relu", 0.3),
    ("scaled_tanh", 1.2, 0.7),
    ("affine", 0.6, 0.1),
]


@st.composite
def problems(draw):
    cell = draw(st.sampled_from(["rnn", "gru", "gru_before", "lstm", "lstm", "lstm"]))
    kinds = st.sampled_from(KINDS)
    options = {"activation": draw(kinds), "clip": draw(st.sampled_from([None, 0.5, 1.5]))}
    if cell != "rnn":
        options["recurrent_activation"] = draw(kinds)
    if cell == "lstm":
        options |= {
            "output_activation": draw(kinds),
            "peepholes": draw(st.booleans()),
            "coupled": draw(st.booleans()),
        }
    sizes = [draw(st.integers(1, high)) for high in (6, 6, 4, 20)]
    return cell, options, sizes, draw(st.booleans()), draw(st.integers(0, 2**32 - 1))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_onnx_runtime(problem):
    cell, options, (batch, steps, inputs, units), ragged, seed = problem
    rng = np.random.default_rng(seed)
    layer = make(
        cell, units, inputs, rng, "float32", return_sequences=True, return_state=True, **options
    )
    x, start = sequences(rng, batch, steps, inputs, "float32"), states_for(layer, batch, rng)
    lengths = rng.integers(1, steps + 1, batch) if ragged else None
    check(
        layer,
        x,
        start,
        1e-4 if options["activation"] in ("relu", "linear") else 2e-5,
        in_runtime,
        lengths,
    )


def in_reference(model, feeds):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, feeds)


# The reference has neither clip nor input_forget, and of activations the usual ones, or Affine for
# RNN.
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {"peepholes": True}),
        ("lstm", {}),
        ("gru", {}),
        ("gru_before", {}),
        ("rnn", {}),
        (
            "rnn",
            {"activation": ("affine", 0.625, 0.125)},
        ),  # attributes are float32: these are exact
    ],
    ids=str,
)
def test_onnx_reference(cell, options, rng):
    for batch, steps, inputs, units in [(1, 1, 1, 1), (5, 7, 3, 17)]:
        layer = make(cell, units, inputs, rng, return_sequences=True, return_state=True, **options)
        x, start = sequences(rng, batch, steps, inputs), states_for(layer, batch, rng)
        check(layer, x, start, 1e-10, in_reference)
