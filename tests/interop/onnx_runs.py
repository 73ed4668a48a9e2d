"""Running exported models: ONNX Runtime, ONNX's reference evaluator, and gatewise's backend."""

import numpy as np
import onnxruntime
from onnx.reference import ReferenceEvaluator

from gatewise.interop.onnx import Backend


def onnx_runtime(proto, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def reference(proto, feeds):
    return ReferenceEvaluator(proto).run(None, feeds)


def backend(proto, feeds):
    names = [value.name for value in proto.graph.input]
    return list(Backend.prepare(proto).run([feeds[name] for name in names]))


def largest_difference(expected, found):
    assert len(expected) == len(found)
    assert all(a.shape == b.shape for a, b in zip(expected, found))
    return max(
        float((np.abs(a - b) / np.maximum(np.abs(a), 1)).max(initial=0))
        for a, b in zip(expected, found)
    )


def shaken(model, seed=0):
    """The model with weights that are neither symmetric nor zero, and variances above zero."""
    draw = np.random.default_rng(seed)
    weights = []
    for array in model.get_weights():
        noise = draw.normal(size=array.shape) * 0.3
        noise = np.abs(noise) if (array == 1).all() else noise
        weights.append((array + noise).astype("float32"))
    model.set_weights(weights)
    return model
