"""ONNX Runtime: inference, float32, its own layout (steps first)."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

NAME = "ONNX Runtime"
_threads = 1


def version():
    """Version."""
    return onnxruntime.__version__


def set_threads(count):
    """Threads for all that follows."""
    global _threads
    _threads = count


def prepare(case):
    """A function that runs the case once; None where this engine has no such thing."""
    if case.mode != "inference" or case.dtype != "float32":
        return None
    rng = np.random.default_rng(0)
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[case.kind]
    limit = 1 / np.sqrt(case.units)

    def weight(name, *shape):
        return numpy_helper.from_array(rng.uniform(-limit, limit, shape).astype("float32"), name)

    attributes = {"hidden_size": case.units} | (
        {"linear_before_reset": 1} if case.kind == "gru" else {}
    )
    node = helper.make_node(case.kind.upper(), ["X", "W", "R", "B"], ["Y"], **attributes)
    graph = helper.make_graph(
        [node],
        "case",
        [
            helper.make_tensor_value_info(
                "X", TensorProto.FLOAT, [case.steps, case.batch, case.inputs]
            )
        ],
        [
            helper.make_tensor_value_info(
                "Y", TensorProto.FLOAT, [case.steps, 1, case.batch, case.units]
            )
        ],
        [
            weight("W", 1, gates * case.units, case.inputs),
            weight("R", 1, gates * case.units, case.units),
            weight("B", 1, 2 * gates * case.units),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = rng.standard_normal((case.steps, case.batch, case.inputs)).astype("float32")
    return lambda: session.run(None, {"X": x})
