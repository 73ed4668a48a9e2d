"""ONNX files of PyTorch, Keras and tf2onnx as models, and random recurrent nodes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="importing needs onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from gatewise import load_model  # noqa: E402
from gatewise.errors import ConfigError  # noqa: E402
from gatewise.interop.onnx import Backend, import_model  # noqa: E402

from .onnx_models import model_of, node_of  # noqa: E402

FILES = Path(__file__).parents[1] / "files" / "interop"
KINDS = ("_script", "_fixed", "_dynamo")


def names():
    return sorted(path.stem for path in FILES.glob("*.onnx"))


def arrays_of(name):
    """(inputs, outputs) of the framework that made a file."""
    for kind in KINDS:
        name = name.removesuffix(kind)
    with np.load(FILES / f"{name}.npz") as file:
        return tuple(
            [file[key] for key in sorted(file.files) if key.startswith(letter)] for letter in "xy"
        )


def batch_first(name, arrays):
    return [array.swapaxes(0, 1) for array in arrays] if "time_major" in name else arrays


def listed(found):
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("name", names())
def test_files(name):
    inputs, outputs = arrays_of(name)
    for ours, theirs in zip(Backend.run_model(FILES / f"{name}.onnx", inputs), outputs):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    model = import_model(FILES / f"{name}.onnx")
    found = listed(model.predict(*batch_first(name, inputs)))
    for ours, theirs in zip(found, batch_first(name, outputs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    # a batch of another size
    (x,) = batch_first(name, inputs)
    again = listed(model.predict(np.concatenate([x, x, x])))
    for ours, theirs in zip(again, found):
        np.testing.assert_array_equal(ours[-len(theirs) :], theirs)


def layers_of(name):
    return [type(layer).__name__ for layer in import_model(FILES / f"{name}.onnx").layers[1:]]


@pytest.mark.parametrize("kind", ["script", "fixed", "dynamo"])
def test_layers_are_what_was_meant(kind):
    assert layers_of(f"torch_tagger_{kind}") == [
        *["Embedding", "Bidirectional", "Bidirectional", "Dense", "Activation"],
    ]
    assert layers_of(f"torch_last_step_{kind}") == [
        *["GRU", "GRU", "Dense", "Activation", "Dense", "Activation"],
    ]
    assert layers_of(f"torch_final_state_{kind}") == ["Bidirectional", "Dense"]
    assert layers_of(f"torch_keywords_{kind}") == [
        *["Conv1D", "Activation", "MaxPooling1D", "GRU", "GlobalAveragePooling1D", "Dense"],
    ]


def test_weights_are_the_same_to_the_bit():
    graph = onnx.load(FILES / "torch_last_step_script.onnx").graph
    theirs = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    model = import_model(FILES / "torch_last_step_script.onnx")
    dense = model.layers[3].get_weights()
    np.testing.assert_array_equal(dense[0], theirs["hidden.weight"].T)
    np.testing.assert_array_equal(dense[1], theirs["hidden.bias"])


def test_loops_of_tf2onnx_are_layers():
    """Keras's SimpleRNN and GRU, in both forms."""
    assert layers_of("tensorflow_text")[:2] == ["Embedding", "SimpleRNN"]
    assert layers_of("tensorflow_gru") == [
        *["GRU", "LayerNormalization", "GRU", "Dense", "Activation"],
    ]
    model = import_model(FILES / "tensorflow_gru.onnx")
    assert [layer.cell.reset_after for layer in model.layers if hasattr(layer, "cell")] == [
        True,
        False,
    ]
    assert layers_of("tensorflow_functional")[:2] == ["LSTM", "Bidirectional"]


def test_other_loops_are_refused():
    model = onnx.load(FILES / "tensorflow_text.onnx")
    (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
    (body,) = [attribute.g for attribute in loop.attribute]
    for inner in body.node:
        if inner.op_type == "Tanh":
            inner.op_type = "Softsign"
    with pytest.raises(ConfigError, match=r"\(Loop\): there is no layer"):
        import_model(model)


@pytest.mark.parametrize("name", ["torch_tagger_script", "torch_keywords_dynamo", "keras_lstm"])
def test_training_goes_on(name, tmp_path, rng):
    (x,), (y,) = arrays_of(name)
    model = import_model(FILES / f"{name}.onnx")
    before = model.get_weights()
    model.compile("adam", "mse")
    targets = rng.standard_normal(y.shape).astype(np.float32)
    history = model.fit(x, targets, epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert any((a != b).any() for a, b in zip(before, model.get_weights()))
    model.save(tmp_path / "model.safetensors")
    same = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(same.predict(x), model.predict(x))


def given_to(model, feeds, batch_axis):
    """(x or list of x, lengths) for the imported model of a node."""
    ordered = [
        feeds[name].swapaxes(0, 1) if batch_axis else feeds[name]
        for name in ("X", "h0", "c0")
        if name in feeds
    ]
    return ordered[0] if len(ordered) == 1 else ordered, feeds.get("lengths")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_random_recurrent_nodes(seed):
    op, attributes, feeds = node_of(seed)
    rng = np.random.default_rng(seed)
    feeds["lengths"] = rng.integers(1, len(feeds["X"]) + 1, feeds["X"].shape[1], np.int32)
    if op == "LSTM" and ("h0" in feeds) != ("c0" in feeds):
        start = feeds.get("h0", feeds.get("c0"))
        feeds |= {"h0": start, "c0": start}
    if attributes["direction"] == "reverse":  # its outputs are turned round, which needs all steps
        del feeds["lengths"]
    constants = [name for name in ("W", "R", "B", "P") if name in feeds]
    proto = model_of(op, attributes, feeds, 14, constants)
    wanted = Backend.run_model(proto, {n: a for n, a in feeds.items() if n not in constants})
    model = import_model(proto)
    x, lengths = given_to(model, feeds, True)
    y, *states = model.predict(x, lengths=lengths)
    theirs, *last = wanted
    expected = [theirs.transpose(2, 0, 1, 3), *(state.transpose(1, 0, 2) for state in last)]
    if attributes["direction"] != "bidirectional":
        expected = [array.squeeze(-2) for array in expected]
    for ours, array in zip([y, *states], expected, strict=True):
        np.testing.assert_allclose(ours, array, atol=1e-5, rtol=1e-4)


def chain(nodes, shape, constants=(), outputs=("y",), kind=TensorProto.FLOAT, version=17):
    """A model of some nodes from x to y."""
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [
            numpy_helper.from_array(np.asarray(array), name)
            for name, array in dict(constants).items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])


def node(op, *inputs, to="y", **attributes):
    return helper.make_node(op, list(inputs), [to], name=f"the_{op}", **attributes)


def weights(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


ONE_NODE = {
    "Conv, same": (node("Conv", "x", "w", pads=[1, 1]), ["n", 3, 6], weights(4, 3, 3)),
    "Conv, other pads": (node("Conv", "x", "w", pads=[2, 1]), ["n", 3, 6], weights(4, 3, 3)),
    "Conv, strides": (
        node("Conv", "x", "w", strides=[2], dilations=[1]),
        ["n", 3, 9],
        weights(4, 3, 3),
    ),
    "Conv, dilated": (node("Conv", "x", "w", dilations=[2]), ["n", 3, 9], weights(4, 3, 3)),
    "Conv, depthwise": (node("Conv", "x", "w", group=3), ["n", 3, 9], weights(6, 1, 3)),
    "Conv, images": (node("Conv", "x", "w"), ["n", 3, 6, 5], weights(4, 3, 3, 2)),
    "Mul": (node("Mul", "x", "w"), ["n", 4, 3], weights(3)),
    "Add": (node("Add", "x", "w"), ["n", 4, 3], weights(3)),
    "Sub": (node("Sub", "w", "x"), ["n", 4, 3], weights(3)),
    "Div": (node("Div", "x", "w"), ["n", 3], weights(3)),
    "Add, other axis": (node("Add", "x", "w"), ["n", 4, 3], weights(4, 1)),
    "PRelu": (node("PRelu", "x", "w"), ["n", 4, 3], weights(3)),
    "MatMul": (node("MatMul", "x", "w"), ["n", 4, 3], weights(3, 5)),
    "MatMul, from the left": (node("MatMul", "w", "x"), ["n", 4, 3], weights(5, 4)),
    "Gemm": (node("Gemm", "x", "w", transB=1, alpha=0.5), ["n", 4], weights(5, 4)),
    "LayerNormalization": (node("LayerNormalization", "x", "w"), ["n", 4, 3], weights(3)),
    "Softmax": (node("Softmax", "x", axis=1), ["n", 4, 3], None),
    "ReduceMean": (node("ReduceMean", "x", axes=[1], keepdims=0), ["n", 4, 3], None),
    "ReduceMean, features": (node("ReduceMean", "x", axes=[2]), ["n", 4, 3], None),
    "ReduceMax": (node("ReduceMax", "x", axes=[1], keepdims=0), ["n", 4, 3], None),
    "GlobalAveragePool": (node("GlobalAveragePool", "x"), ["n", 4, 3, 2], None),
    "AveragePool": (node("AveragePool", "x", kernel_shape=[2], strides=[2]), ["n", 4, 6], None),
    "MaxPool": (
        node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 1]),
        ["n", 2, 6, 5],
        None,
    ),
    "Clip": (node("Clip", "x", "w"), ["n", 3], np.float32(0)),
    "Flatten": (node("Flatten", "x"), ["n", 4, 3], None),
    "Transpose": (node("Transpose", "x", perm=[0, 2, 1]), ["n", 4, 3], None),
    "Gather": (node("Gather", "x", "w", axis=1), ["n", 4, 3], np.array([2, 1])),
    "Gather, one": (node("Gather", "x", "w", axis=2), ["n", 4, 3], np.array(1)),
    "Tile": (node("Tile", "x", "w"), ["n", 1, 3], np.array([1, 4, 1])),
    "Elu": (node("Elu", "x", alpha=0.5), ["n", 3], None),
    "HardSwish": (node("HardSwish", "x"), ["n", 3], None),
    "Pow": (node("Pow", "x", "w"), ["n", 3], np.float32(2)),
    "Reciprocal": (node("Reciprocal", "x"), ["n", 3], None),
}


@pytest.mark.parametrize("name", ONE_NODE)
def test_one_node(name, rng):
    made, shape, constant = ONE_NODE[name]
    proto = chain([made], shape, {} if constant is None else {"w": constant})
    x = (2 + rng.random([2, *shape[1:]])).astype(np.float32)
    (wanted,) = Backend.run_model(proto, x)
    found = import_model(proto).predict(x)
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("made", "shape", "constant", "reason"),
    [
        (node("Sin", "x"), ["n", 3], None, r"the_Sin \(Sin\): there is no layer"),
        (node("LogSoftmax", "x"), ["n", 3], None, "no layer"),
        (node("Add", "x", "w"), ["n", 4, 3], weights(4, 3), r"constant of shape \(4, 3\)"),
        (node("Gather", "x", "w", axis=1), ["n", 4, 3], np.array([0, 3, 1]), "no slice"),
        (node("Slice", "x", "w", "w"), ["n", 4, 3], np.array([1]), "part of the batch"),
        (node("ReduceMean", "x", axes=[0]), ["n", 4], None, "rows of the batch"),
        (node("Conv", "x", "w", group=2), ["n", 4, 9], weights(4, 2, 3), "group=2"),
        (node("Conv", "x", "w"), ["n", 2, 4, 4, 4], weights(4, 2, 2, 2, 2), "3 axes"),
        (node("MatMul", "x", "x"), ["n", 3, 3, 3], None, "product of arrays"),
    ],
)
def test_what_is_refused(made, shape, constant, reason):
    proto = chain([made], shape, {} if constant is None else {"w": constant})
    with pytest.raises(ConfigError, match=reason) as caught:
        import_model(proto)
    assert "Backend.prepare(path)" in str(caught.value)
    assert f"the_{made.op_type} ({made.op_type})" in str(caught.value)


def test_what_no_output_needs_is_not_refused():
    nodes = [node("Sin", "x", to="unused"), node("Relu", "x")]
    assert import_model(chain(nodes, ["n", 3])).predict(np.float32([[-1, 0, 2]])).tolist() == [
        [0, 0, 2]
    ]


def test_shared_weights_are_one_layer(rng):
    nodes = [
        node("MatMul", "x", "w", to="a"),
        node("Tanh", "a", to="b"),
        node("MatMul", "b", "w"),
    ]
    model = import_model(chain(nodes, ["n", 3], {"w": weights(3, 3)}))
    assert len(model.get_weights()) == 1


def test_float64(rng):
    w = rng.standard_normal((3, 2))
    graph = helper.make_graph(
        [node("MatMul", "x", "w")],
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(w, "w")],
    )
    model = import_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    x = rng.standard_normal((4, 3))
    np.testing.assert_allclose(model.predict(x), x @ w, rtol=1e-12)


def test_dropout_is_for_training():
    model = import_model(chain([node("Dropout", "x")], ["n", 3]))
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model.predict(x), x)
    assert model.layers[1].rate == 0.5


def test_an_initial_state_that_is_a_constant():
    op, attributes = "GRU", {"hidden_size": 2}
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in {"X": (4, 3, 2), "W": (1, 6, 2), "R": (1, 6, 2)}.items()
    }
    feeds["h0"] = np.repeat(np.float32([[[0.5, -0.25]]]), 3, axis=1)
    proto = model_of(op, attributes, feeds, 14, ["W", "R", "h0"])
    wanted = Backend.run_model(proto, feeds["X"])
    model = import_model(proto)
    y, h = model.predict(feeds["X"].swapaxes(0, 1))
    np.testing.assert_allclose(h, wanted[1][0], atol=1e-6)
    np.testing.assert_allclose(y, wanted[0][:, 0].swapaxes(0, 1), atol=1e-6)
