"""Checks of user-defined layers: hooks get inputs to read only, and what they return is checked."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.attributes import _is_ours
from gatewise.errors import ConfigError, DTypeError, ShapeError

from .specs import ParameterSpec
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from gatewise._typing import Shape

    from .tape import Tape


def check_hooks(cls: type) -> None:
    """Check what `run` and `run_backward` return, if user code defines them for this class."""
    for name, checked in (("run", _checked_run), ("run_backward", _checked_run_backward)):
        hook = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
        if (
            type(hook) is types.FunctionType
            and not _is_ours(hook.__module__)
            and not hasattr(hook, "_returns_checked")
        ):
            wrapped = checked(hook)
            wrapped._returns_checked = True  # type: ignore[attr-defined]
            setattr(cls, name, wrapped)


def checked_specs(layer: Any, specs: Any) -> list[ParameterSpec]:
    """What `parameter_specs` returned, as a list."""
    what = f"parameter_specs of layer {layer.name!r}"
    if not isinstance(specs, list | tuple):
        raise DTypeError(f"{what} returned {_kind(specs)}; expected a list of ParameterSpec")
    names = set()
    for spec in specs:
        if not isinstance(spec, ParameterSpec):
            raise DTypeError(
                f"{what} returned a list with {_kind(spec)}; expected a list of ParameterSpec"
            )
        if not isinstance(spec.shape, tuple) or not all(
            isinstance(extent, int | np.integer) for extent in spec.shape
        ):
            raise ShapeError(
                f"{what} gives {spec.name!r} the shape {spec.shape}; expected a tuple of whole"
                " numbers"
            )
        if spec.name in names:
            raise ConfigError(f"{what} names {spec.name!r} twice; give each its own name")
        names.add(spec.name)
    return list(specs)


def checked_output_shape(layer: Any, shape: Any, input_shape: Any) -> Any:
    """What `compute_output_shape` returned: a shape, or a list of shapes of several outputs."""
    several = isinstance(shape, list) and len(shape) > 0
    first: Any = input_shape[0] if isinstance(input_shape, list) else input_shape
    for each in shape if several else [shape]:
        if not isinstance(each, tuple) or not all(
            extent is None or isinstance(extent, int | np.integer) for extent in each
        ):
            raise DTypeError(
                f"compute_output_shape of layer {layer.name!r} returned {each!r:.200}; expected a"
                " tuple of whole numbers or None, or a list of such tuples"
            )
        if not each or each[0] not in (None, first[0]):
            raise ShapeError(
                f"compute_output_shape of layer {layer.name!r} returned {each} for the input shape"
                f" {input_shape}; expected (None, ...), with the batch in front"
            )
    return shape


def _to_read(batch: Batch) -> Batch:
    """The batch with values that cannot be written to: they may be the arrays of the caller."""
    values = batch.values.view()
    values.flags.writeable = False
    return batch.with_values(values)


def _checked_run(hook: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(hook)
    def run(self: Any, inputs: Any, tape: Tape | None, node: Hashable) -> Any:
        parts = inputs if isinstance(inputs, list) else [inputs]
        shapes = [part.values.shape for part in parts]
        given = [_to_read(part) for part in parts]
        outputs = hook(self, given if isinstance(inputs, list) else given[0], tape, node)
        what = f"run of layer {self.name!r} returned"
        listed = outputs if isinstance(outputs, list) else [outputs]
        for output in listed:
            if not isinstance(output, Batch):
                raise DTypeError(f"{what} {_kind(output)}; expected {_EXPECTED}")
            output.values = _checked_array(output.values, self.dtype, what)
        # those after the first may be the initial state of a recurrent layer
        several = self.several_inputs and isinstance(inputs, list)
        expected = self.compute_output_shape(shapes if several else shapes[0])
        expected = expected if isinstance(expected, list) else [expected]
        if len(listed) != len(expected) and not self._returns_list:
            raise ShapeError(
                f"{what} {len(listed)} outputs; compute_output_shape gives {len(expected)}"
            )
        for output, shape in zip(listed, expected):
            if not _agrees(output.values.shape, shape):
                raise ShapeError(
                    f"{what} an array of shape {output.values.shape}; compute_output_shape says"
                    f" {shape}"
                )
        if tape is not None:
            tape.keep((node, "input shapes"), shapes)
        return outputs

    return run


def _checked_run_backward(hook: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(hook)
    def run_backward(self: Any, gradients: Any, tape: Tape, node: Hashable, wanted: bool) -> Any:
        found = hook(self, gradients, tape, node, wanted)
        if not wanted:
            return found
        what = f"run_backward of layer {self.name!r} returned"
        if found is None:
            if tape.hands_out:
                return None
            raise DTypeError(
                f"{what} None; expected the gradient of the inputs, zeros if there is none"
            )
        kept = (node, "input shapes")
        shapes = tape.look(kept) if tape.holds(kept) else None
        parts = found if isinstance(found, list) else [found]
        if shapes is not None and len(parts) != len(shapes):
            raise ShapeError(f"{what} {len(parts)} gradients; expected {len(shapes)}")
        for k, part in enumerate(parts):
            if part is None:
                continue
            part = parts[k] = _checked_array(part, self.dtype, what)
            if shapes is not None and part.shape != shapes[k]:
                raise ShapeError(
                    f"{what} a gradient of shape {part.shape}; expected {shapes[k]}, the input's"
                )
        return parts if isinstance(found, list) else parts[0]

    return run_backward


_EXPECTED = "a Batch, such as inputs.with_values(y), or a list of them"


def _checked_array(array: Any, dtype: Any, what: str) -> Any:
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"{what} {_kind(array)}; expected an ndarray")
    if array.dtype != dtype:
        raise DTypeError(f"{what} {array.dtype}; expected {dtype}, the dtype of the layer")
    return np.ascontiguousarray(array)


def _agrees(shape: Shape, expected: Any) -> bool:
    return (
        isinstance(expected, tuple)
        and len(shape) == len(expected)
        and all(b is None or a == b for a, b in zip(shape, expected))
    )


def _kind(value: Any) -> str:
    return "None" if value is None else f"an object of class {type(value).__name__}"
