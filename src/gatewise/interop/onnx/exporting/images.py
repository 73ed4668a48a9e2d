"""Layers that read images; ONNX has the channels before rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import layers

from .graph import Value
from .sequences import pads_of

if TYPE_CHECKING:
    from .network import Exporter


def _windows(layer: Any) -> dict[str, Any]:
    return {
        "kernel_shape": list(layer.window),
        "strides": list(layer.strides),
        **pads_of(layer._window_axes),
    }


def convolution(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    b, (x,) = e.b, sources
    weights = layer._parameters
    kernel = np.ascontiguousarray(weights["kernel"].transpose(3, 2, 0, 1))
    inputs = [b.transpose(x.name, 0, 3, 1, 2), b.constant(kernel, np.float32, f"{name}/kernel")]
    if "bias" in weights:
        inputs.append(b.constant(weights["bias"], np.float32, f"{name}/bias"))
    y = b.op("Conv", *inputs, name=name, dilations=list(layer.dilation), **_windows(layer))
    y = e.activation(layer, b.transpose(y, 0, 2, 3, 1), name)
    return [Value(y, layer.compute_output_shape(x.shape))]


def pooling(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    b, (x,) = e.b, sources
    kind = "MaxPool" if layer._maximum else "AveragePool"
    options = _windows(layer) | ({} if layer._maximum else {"count_include_pad": 0})
    y = b.op(kind, b.transpose(x.name, 0, 3, 1, 2), name=name, **options)
    return [Value(b.transpose(y, 0, 2, 3, 1), layer.compute_output_shape(x.shape))]


def global_pooling(e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    (x,) = sources
    kind = "ReduceMax" if isinstance(layer, layers.GlobalMaxPooling2D) else "ReduceMean"
    shape = layer.compute_output_shape(x.shape)
    y = e.b.reduce(kind, x.name, [1, 2], keepdims=len(shape) == len(x.shape))
    return [Value(y, shape)]


HANDLERS: dict[type, Any] = {
    layers.Conv2D: convolution,
    layers.MaxPooling2D: pooling,
    layers.AveragePooling2D: pooling,
    layers.GlobalMaxPooling2D: global_pooling,
    layers.GlobalAveragePooling2D: global_pooling,
}
