"""Convolution, pooling and normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.interop.onnx.operators.helpers import axis_of
from gatewise.interop.onnx.operators.windows import paddings
from gatewise.layers import (
    AveragePooling1D,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    DepthwiseConv1D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    LayerNormalization,
    MaxPooling1D,
    MaxPooling2D,
)

from .arithmetic import computed
from .builder import Builder, Handler, constant
from .shapes import padded
from .sizes import Size
from .views import Atom, Tensor, arranged, same, with_last

if TYPE_CHECKING:
    from gatewise.interop.onnx.graphs import Call


def _images(builder: Builder, x: Any) -> Tensor:
    """Return an array (batch, channels, ...) whose symbol has the channels last."""
    x = computed(builder, x)
    if len(x.view) < 3 or not same(x.view[0], x.axes[0]):
        raise ConfigError(f"an array of shape {x.shape}, whose first axis is not the batch")
    return x


class _Window:
    """A window that moves over the axes of space, those left out on which it does nothing."""

    def __init__(self, call: Call, x: Tensor, sizes: list[int]) -> None:
        count = len(x.view) - 2
        self.sizes = sizes
        self.strides = list(call.get("strides") or [1] * count)
        self.dilations = list(call.get("dilations") or [1] * count)
        if not len(self.sizes) == len(self.strides) == len(self.dilations) == count:
            raise ConfigError(f"a window of {sizes} over an array of shape {x.shape}")
        extents = [0 if isinstance(size, Size) else int(size) for size in x.shape[2:]]
        mode = call.get("auto_pad", "NOTSET")
        if mode.startswith("SAME") and any(isinstance(size, Size) for size in x.shape[2:]):
            if any(stride != 1 for stride in self.strides):
                raise ConfigError("auto_pad of an axis of unknown extent, with strides")
        self.pads = paddings(call, extents, self.sizes, self.strides, self.dilations)
        self.axes = [
            k
            for k in range(count)
            if not (x.shape[2 + k] == 1 and self.sizes[k] == 1 and self.pads[k] == (0, 0))
        ]
        if not self.axes:
            self.axes = [count - 1]
        self.extents = [x.shape[2 + k] for k in self.axes]
        self.sizes, self.strides, self.dilations, self.pads = (
            [each[k] for k in self.axes]  # type: ignore[misc]
            for each in (self.sizes, self.strides, self.dilations, self.pads)
        )

    def padding(self) -> str | None:
        """Return "valid" or "same" if that is what the pads are, else None."""
        if all(ends == (0, 0) for ends in self.pads):
            return "valid"
        for extent, size, stride, dilation, ends in zip(
            self.extents, self.sizes, self.strides, self.dilations, self.pads
        ):
            reach = (size - 1) * dilation
            if stride == 1:
                total = reach
            elif isinstance(extent, Size):
                return None
            else:
                total = max((-(-extent // stride) - 1) * stride + reach + 1 - extent, 0)
            if ends != (total // 2, total - total // 2):
                return None
        return "same"

    def outputs(self, builder: Builder) -> list[Atom]:
        """Return the axes of what the windows make."""
        found = []
        for extent, size, stride, dilation, ends in zip(
            self.extents, self.sizes, self.strides, self.dilations, self.pads
        ):
            reach = (size - 1) * dilation
            if isinstance(extent, Size):
                free = stride == 1 and sum(ends) == reach
                found.append(Atom(extent if free else builder.fresh()))
            else:
                found.append(Atom((extent + sum(ends) - reach - 1) // stride + 1))
        return found


def _arranged(x: Tensor, window: _Window) -> Tensor:
    """Return the array with a symbol (batch, ...axes of the window, channels)."""
    return arranged(x, [x.axes[0], *(x.view[2 + k] for k in window.axes), x.view[1]])


def _conv(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, w = _images(builder, inputs[0]), inputs[1]
    bias = inputs[2] if len(inputs) > 2 else None
    if not constant(w) or not (bias is None or constant(bias)) or w.ndim != len(x.view):
        raise ConfigError("a convolution with weights that are computed")
    groups, channels = call.get("group", 1), x.shape[1]
    if isinstance(channels, Size) or groups < 1 or w.shape[1] * groups != channels:
        raise ConfigError(f"{channels} channels, group={groups}, W has shape {w.shape}")
    window = _Window(call, x, list(w.shape[2:]))
    x, padding = _one_end(builder, x, window)
    w = w.reshape(*w.shape[:2], *window.sizes)
    options = {"strides": window.strides, "dilation_rate": window.dilations}
    options |= {"padding": padding, "use_bias": bias is not None}
    after = () if bias is None else (bias,)
    if len(window.axes) == 1:
        options = {
            key: value[0] if isinstance(value, list) else value for key, value in options.items()
        }
    elif len(window.axes) != 2:
        raise ConfigError(f"a convolution over {len(window.axes)} axes; there are layers for 1, 2")
    outputs, layer = window.outputs(builder), None
    if groups == 1:
        make: Any = Conv1D if len(window.axes) == 1 else Conv2D
        kernel = np.moveaxis(w, (0, 1), (-1, -2))
        layer = make(w.shape[0], tuple(window.sizes), **options)
    elif len(window.axes) == 1 and groups == channels:
        kernel = w.reshape(channels, -1, window.sizes[0]).transpose(2, 0, 1)
        layer = DepthwiseConv1D(window.sizes[0], depth_multiplier=w.shape[0] // channels, **options)
    else:
        raise ConfigError(f"group={groups}; expected 1, or one for each of {channels} channels")
    builder.keep(layer, [kernel, *after])
    return [_windowed(_arranged(x, window), window, layer, outputs, Atom(w.shape[0]))]


def _one_end(builder: Builder, x: Tensor, window: _Window) -> tuple[Tensor, str]:
    """Return the array and the padding of a layer; zeros are added where no layer has such."""
    padding = window.padding()
    if padding is not None:
        return x, padding
    if len(window.axes) > 1:
        raise ConfigError(f"pads={window.pads}, which are neither 'valid' nor 'same'")
    ends = window.pads[0]
    reach = (window.sizes[0] - 1) * window.dilations[0]
    if ends == (reach, 0) and window.strides[0] == 1:
        return x, "causal"
    x = padded(builder, x, 2 + window.axes[0], ends)
    window.extents, window.pads = [x.shape[2 + window.axes[0]]], [(0, 0)]
    return x, "valid"


def _windowed(
    x: Tensor, window: _Window, layer: Any, outputs: list[Atom], channels: Atom | None
) -> Tensor:
    last = x.axes[-1] if channels is None else (channels,)
    view: list[tuple[Atom, ...]] = [x.view[0], last]
    places = dict(zip(window.axes, outputs))
    view += [(places[k],) if k in places else () for k in range(len(x.view) - 2)]
    axes = (x.axes[0], *((atom,) for atom in outputs), last)
    return x.made(layer(x.symbol), axes=axes, view=tuple(view))


def _pooling(one: Any, two: Any) -> Handler:
    """Return the handler of a pooling with layers over one and two axes."""

    def run(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
        x = _images(builder, inputs[0])
        window = _Window(call, x, list(call.get("kernel_shape") or []))
        padding = window.padding()
        if padding is None or any(dilation != 1 for dilation in window.dilations):
            raise ConfigError(f"pads={window.pads}, dilations={window.dilations}")
        if padding == "same" and call.op == "AveragePool" and call.get("count_include_pad", 0):
            raise ConfigError("count_include_pad=1")
        if call.get("ceil_mode", 0):
            for extent, size, stride in zip(window.extents, window.sizes, window.strides):
                if isinstance(extent, Size) or padding != "valid" or (extent - size) % stride:
                    raise ConfigError("ceil_mode=1")
        if len(window.axes) > 2:
            raise ConfigError(f"a pooling over {len(window.axes)} axes; there are layers for 1, 2")
        make = one if len(window.axes) == 1 else two
        sizes, strides = tuple(window.sizes), tuple(window.strides)
        if len(window.axes) == 1:
            layer = make(sizes[0], strides[0], padding)
        else:
            layer = make(sizes, strides, padding)
        return [_windowed(_arranged(x, window), window, layer, window.outputs(builder), None)]

    return run


def _global(one: Any, two: Any) -> Handler:
    """Return the handler of a pooling of whole sequences or images."""

    def run(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
        x = _images(builder, inputs[0])
        if len(x.view) > 4:
            raise ConfigError(f"a pooling over {len(x.view) - 2} axes; there are layers for 1, 2")
        moved = arranged(x, [x.axes[0], *x.view[2:], x.view[1]])
        layer = one() if len(x.view) == 3 else two()
        view = (x.view[0], x.view[1], *[()] * (len(x.view) - 2))
        return [moved.made(layer(moved.symbol), axes=(x.axes[0], x.view[1]), view=view)]

    return run


def _batch_normalization(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, parameters = computed(builder, inputs[0]), inputs[1:5]
    if len(x.view) < 2 or not all(constant(each) and each.ndim == 1 for each in parameters):
        raise ConfigError("parameters that are computed")
    if call.get("training_mode", 0):
        raise ConfigError("training_mode=1: export the model for inference")
    moved = with_last(x.seen([*x.view[:1], *x.view[2:], x.view[1]]))
    layer = BatchNormalization(
        momentum=float(call.get("momentum", 0.9)), epsilon=float(call.get("epsilon", 1e-5))
    )
    builder.keep(layer, parameters)
    return [moved.seen(x.view).made(layer(moved.symbol))]


def _layer_normalization(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, scale = computed(builder, inputs[0]), inputs[1]
    shift = inputs[2] if len(inputs) > 2 else None
    axis = axis_of(call.get("axis", -1), len(x.view))
    merged = tuple(atom for group in x.view[axis:] for atom in group)
    moved = with_last(x.seen([*x.view[:axis], merged]))
    if not constant(scale) or not (shift is None or constant(shift)):
        raise ConfigError("parameters that are computed")
    width = moved.shape[-1]
    if scale.size not in (1, width) or not (shift is None or shift.size in (1, width)):
        raise ConfigError(f"scale of shape {scale.shape} for {width} features")
    layer = LayerNormalization(epsilon=float(call.get("epsilon", 1e-5)), center=shift is not None)
    weights = [
        np.broadcast_to(each.reshape(-1), (width,)) for each in (scale, shift) if each is not None
    ]
    builder.keep(layer, weights)
    return [moved.seen(x.view).made(layer(moved.symbol))]


HANDLERS: dict[str, Handler] = {
    "AveragePool": _pooling(AveragePooling1D, AveragePooling2D),
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "GlobalAveragePool": _global(GlobalAveragePooling1D, GlobalAveragePooling2D),
    "GlobalMaxPool": _global(GlobalMaxPooling1D, GlobalMaxPooling2D),
    "LayerNormalization": _layer_normalization,
    "MaxPool": _pooling(MaxPooling1D, MaxPooling2D),
}
