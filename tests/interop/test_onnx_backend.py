"""The backend for ONNX models: random recurrent nodes, and what it refuses."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="the backend needs onnx")

from onnx import TensorProto, helper  # noqa: E402

from gatewise.errors import (  # noqa: E402
    CheckpointError,
    ConfigError,
    DTypeError,
    ShapeError,
    SizeError,
)
from gatewise.interop.onnx import Backend  # noqa: E402

from .onnx_models import model_of, node_of  # noqa: E402


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


def floats(*names):
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]


def test_if_and_loop():
    """2 x, or x + 1 three times."""
    flag = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go", "on")]
    count = helper.make_tensor_value_info("round", TensorProto.INT64, [])
    double = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["d"])], "then", [], floats("d")
    )
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "one"], ["next"]),
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Identity", ["next"], ["seen"]),
        ],
        "body",
        [count, flag[0], *floats("state")],
        [flag[1], *floats("next", "seen")],
    )
    loop = helper.make_node("Loop", ["rounds", "", "x"], ["last", "all"], body=body)
    counted = helper.make_graph([loop], "else", [], floats("last"))
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=double, else_branch=counted)],
        "both",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
        ],
        floats("y"),
        [
            helper.make_tensor("rounds", TensorProto.INT64, [], [3]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1]),
        ],
    )
    prepared = Backend.prepare(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    )
    x = np.float32([1, 5])
    assert prepared.run([np.array(True), x]).y.tolist() == [2, 10]
    assert prepared.run([np.array(False), x]).y.tolist() == [4, 8]


def test_one_node():
    node = helper.make_node("Clip", ["x", "", "high"], ["y"])
    (y,) = Backend.run_node(node, [np.float32([1, 5]), None, np.float32(3)])
    assert y.tolist() == [1, 3]
    with pytest.raises(ConfigError, match="no options"):
        Backend.run_node(node, [np.float32([1])], fast=True)
