"""The backend for ONNX models: random recurrent nodes, and what it refuses."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="the backend needs onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from gatewise.errors import (  # noqa: E402
    CheckpointError,
    ConfigError,
    DTypeError,
    ShapeError,
    SizeError,
)
from gatewise.interop.onnx import Backend  # noqa: E402

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
COUNTS = {"RNN": 1, "GRU": 2, "LSTM": 3}
CONSTANTS = {"Affine": 2, "LeakyRelu": 1, "ThresholdedRelu": 1, "ScaledTanh": 2}
CONSTANTS |= {"HardSigmoid": 2, "Elu": 1}
BOUNDED = ["Tanh", "Sigmoid", "Softsign", "HardSigmoid", "ScaledTanh"]
OTHERS = ["Relu", "Affine", "LeakyRelu", "ThresholdedRelu", "Elu", "Softplus"]


def node_of(seed):
    """(operator, attributes, inputs by name) of a random node."""
    rng = np.random.default_rng(seed)
    op = str(rng.choice(list(GATES)))
    ways = int(rng.integers(1, 3))
    direction = "bidirectional" if ways == 2 else str(rng.choice(["forward", "reverse"]))
    rows, steps, inputs, units = (int(rng.integers(1, 6)) for _ in range(4))

    def draw(*shape):
        return (0.5 * rng.standard_normal(shape)).astype(np.float32)

    gates = GATES[op] * units
    feeds = {"X": draw(steps, rows, inputs), "W": draw(ways, gates, inputs)}
    feeds["R"] = draw(ways, gates, units)
    options = {"B": draw(ways, 2 * gates), "lengths": rng.integers(0, steps + 1, rows, np.int32)}
    options["h0"] = draw(ways, rows, units)
    attributes = {"hidden_size": units, "direction": direction}
    if op == "LSTM":
        options |= {"c0": draw(ways, rows, units), "P": draw(ways, 3 * units)}
        attributes["input_forget"] = int(rng.random() < 0.3)
    if op == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    feeds |= {name: array for name, array in options.items() if rng.random() < 0.6}
    if rng.random() < 0.3:
        attributes["clip"] = float(rng.choice([0.3, 1.0]))
    if rng.random() < 0.6:
        # gates are bounded, so that nothing overflows
        names = [
            str(rng.choice(BOUNDED if k % COUNTS[op] == 0 and op != "RNN" else BOUNDED + OTHERS))
            for k in range(COUNTS[op] * ways)
        ]
        attributes["activations"] = names
        drawn = [rng.uniform(0.1, 0.6, CONSTANTS.get(name, 0)).tolist() for name in names]
        alphas, betas = [d[0] for d in drawn if d], [d[1] for d in drawn if len(d) > 1]
        attributes |= {"activation_alpha": alphas} if alphas else {}
        attributes |= {"activation_beta": betas} if betas else {}
    return op, attributes, feeds


def model_of(op, attributes, feeds, version=14, constants=()):
    """One node as a model."""
    order = ["X", "W", "R", "B", "lengths", "h0", *(["c0", "P"] if op == "LSTM" else [])]
    outputs = ["Y", "Y_h", *(["Y_c"] if op == "LSTM" else [])]
    node = helper.make_node(
        op, [name if name in feeds else "" for name in order], outputs, **attributes
    )
    kinds = {name: helper.np_dtype_to_tensor_dtype(a.dtype) for name, a in feeds.items()}
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(name, kinds[name], array.shape)
            for name, array in feeds.items()
            if name not in constants
        ],
        [helper.make_tensor_value_info(name, kinds["X"], None) for name in outputs],
        [numpy_helper.from_array(feeds[name], name) for name in constants],
    )
    imports = [helper.make_opsetid("", version)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def turned(feeds, found):
    """The same node's inputs, and outputs, with layout=1."""
    feeds = dict(feeds, X=feeds["X"].transpose(1, 0, 2))
    feeds |= {name: feeds[name].transpose(1, 0, 2) for name in ("h0", "c0") if name in feeds}
    y, *states = found
    return feeds, [y.transpose(2, 0, 1, 3), *(state.transpose(1, 0, 2) for state in states)]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 14]))
def test_random_nodes(seed, version):
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    op, attributes, feeds = node_of(seed)
    model = model_of(op, attributes, feeds, version)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    wanted = session.run(None, feeds)
    found = Backend.run_model(model, feeds)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    # layout=1 and float64, which ONNX Runtime refuses; weights as constants of the model
    theirs, expected = turned(feeds, found)
    model = model_of(op, attributes | {"layout": 1}, theirs, 22, constants=("W", "R"))
    rest = {name: array for name, array in theirs.items() if name not in ("W", "R")}
    for _ in range(2):
        for ours, same in zip(Backend.prepare(model).run(rest), expected, strict=True):
            np.testing.assert_array_equal(ours, same)
    wide = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in feeds.items()}
    found = Backend.run_model(model_of(op, attributes, wide, 22), wide)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def one(op, inputs=("x",), kind=TensorProto.FLOAT, shape=(2, 3), version=17, **attributes):
    """A model of one node with one output."""
    node = helper.make_node(op, list(inputs), ["y"], name="the_node", **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: one("NonMaxSuppression"), ConfigError, r"the_node \(NonMaxSuppression\)"),
        (lambda: one("Relus"), ConfigError, "did you mean 'Relu'"),
        (lambda: one("Relu", kind=TensorProto.STRING), ConfigError, "tensor of string"),
        (lambda: one("Relu", kind=TensorProto.BFLOAT16), ConfigError, "tensor of bfloat16"),
        (lambda: one("Cast", to=TensorProto.BFLOAT16), ConfigError, "bfloat16"),
        (lambda: one("Relu", version=6), ConfigError, "operator set 6"),
        (lambda: one("Relu", version=99), ConfigError, "operator set 99"),
        (lambda: one("RNN", activations=["Foo"]), ConfigError, "'Foo'"),
        (lambda: one("RNN", direction="up"), ConfigError, "direction='up'"),
        (lambda: b"\x08\x08 not a model", CheckpointError, "no ONNX model"),
        (lambda: b"", CheckpointError, "no ONNX model"),
        (lambda: "/no/such/file.onnx", CheckpointError, "cannot be read"),
        (lambda: 3, DTypeError, "int"),
    ],
)
def test_what_is_refused(model, error, message):
    model = model()
    assert not Backend.is_compatible(model)
    with pytest.raises(error, match=message):
        Backend.prepare(model)


def test_inputs_are_checked():
    prepared = Backend.prepare(one("Relu"))
    with pytest.raises(ShapeError, match=r"'x' has shape \(3, 2\)"):
        prepared.run(np.zeros((3, 2), np.float32))
    with pytest.raises(DTypeError, match="float64"):
        prepared.run(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="given 2"):
        prepared.run([np.zeros((2, 3), np.float32)] * 2)
    with pytest.raises(ShapeError, match="given z"):
        prepared.run({"z": np.zeros((2, 3), np.float32)})
    with pytest.raises(ConfigError, match="no options"):
        prepared.run([np.zeros((2, 3), np.float32)], fast=True)
    assert not Backend.supports_device("CUDA")
    with pytest.raises(ConfigError, match="CUDA"):
        Backend.prepare(one("Relu"), "CUDA")


def test_errors_name_the_node():
    with pytest.raises(ShapeError, match=r"the_node \(Add\)"):
        Backend.run_model(
            one("Add", ("x", "z"), shape=None),
            [np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32)],
        )
    huge = one("ConstantOfShape", kind=TensorProto.INT64, shape=(2,))
    with pytest.raises(SizeError, match="the_node"):
        Backend.run_model(huge, np.array([2**31, 2**31]))


def test_one_node():
    node = helper.make_node("Clip", ["x", "", "high"], ["y"])
    (y,) = Backend.run_node(node, [np.float32([1, 5]), None, np.float32(3)])
    assert y.tolist() == [1, 3]
    with pytest.raises(ConfigError, match="no options"):
        Backend.run_node(node, [np.float32([1])], fast=True)
