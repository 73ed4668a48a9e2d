"""Layers that operators of symbols make: arithmetic with a number, and parts of an array."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, ShapeError

from .base import Layer
from .masks import counted_steps
from .merging import Add, Multiply, Subtract
from .options import fixed
from .step_ops import AffineOp, QuotientOp, SelectOp
from .symbol import OPERATORS, Symbol

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Self

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape

_FUNCTIONS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.true_divide,
}


class Arithmetic(Layer):
    """Add, subtract, multiply or divide by a number: what ``1 - x`` of a symbol makes.

    Parameters
    ----------
    operation : {"add", "subtract", "multiply", "divide"}
        What is computed.
    number : float
        The other operand.
    number_first : bool, default False
        Whether the number is the left operand.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers.operators import Arithmetic
    >>> Arithmetic("subtract", 1, number_first=True)([[0.25, 1.0]]).tolist()
    [[0.75, 0.0]]
    """

    operation: str = fixed("_checked_operation")
    number: float = fixed(checks.number)
    number_first: bool = fixed(checks.flag)

    def __init__(
        self, operation: str, number: float, number_first: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.operation, self.number, self.number_first = operation, number, number_first
        if operation == "divide" and not number_first and number == 0:
            raise ConfigError("a symbol is divided by 0")

    def _checked_operation(self, value: Any) -> str:
        if value not in _FUNCTIONS:
            raise ConfigError(f"operation is {value!r}; expected one of {', '.join(_FUNCTIONS)}")
        return value

    def _step_ops(self) -> list[StepOp]:
        width, number = self.input_shape[-1], self.number
        if self.operation == "divide":
            return [
                QuotientOp(
                    name=self.name,
                    inputs=width,
                    width=width,
                    number=number,
                    number_first=self.number_first,
                )
            ]
        mean = scale = shift = None
        if self.operation == "multiply":
            scale = number
        elif self.operation == "add":
            shift = number
        elif self.number_first:
            scale, shift = -1.0, number
        else:
            mean = number
        mean, scale, shift = (
            None if value is None else np.full(width, value, self.dtype)
            for value in (mean, scale, shift)
        )
        return [
            AffineOp(name=self.name, inputs=width, width=width, mean=mean, scale=scale, shift=shift)
        ]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x, number = inputs.values, inputs.values.dtype.type(self.number)
        function = _FUNCTIONS[self.operation]
        if not self.number_first:
            return inputs.with_values(function(x, number))
        if self.operation != "divide":
            return inputs.with_values(function(number, x))
        if inputs.lengths is not None:  # padding is 0
            x = np.where(counted_steps(inputs.lengths, x.shape), x, x.dtype.type(1))
        if tape is not None:
            tape.keep(node, x)
        return inputs.with_values(number / x)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        number = gradients.dtype.type(self.number)
        if self.operation == "multiply":
            return gradients * number
        if self.operation == "divide":
            if not self.number_first:
                return gradients / number
            x = tape.take(node)
            return -gradients * number / (x * x)
        negative = self.operation == "subtract" and self.number_first
        return -gradients if negative else gradients

    def get_config(self) -> Config:
        return super().get_config() | {
            "operation": self.operation,
            "number": self.number,
            "number_first": self.number_first,
        }


class Slice(Layer):
    """Take a part of each sample: what ``x[:, -1]`` of a symbol makes.

    Parameters
    ----------
    key : tuple
        As between the brackets of an ndarray: whole numbers, slices, ``...`` and None. The first
        entry is ``:``, since a layer takes all rows.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers.operators import Slice
    >>> Slice((slice(None), -1))(np.array([[[1.0], [2.0]]], "float32")).tolist()
    [[2.0]]
    """

    _keeps_limits = True
    key: Any = fixed("_checked_key")

    def __init__(self, key: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key

    @staticmethod
    def _checked_key(value: Any) -> tuple[Any, ...]:
        key = value if isinstance(value, tuple) else (value,)
        for entry in key:
            parts = (entry.start, entry.stop, entry.step) if isinstance(entry, slice) else (entry,)
            if not all(
                part is None
                or part is Ellipsis
                or (isinstance(part, int | np.integer) and not isinstance(part, bool))
                for part in parts
            ):
                raise DTypeError(
                    f"a symbol is indexed with {entry!r:.80}; expected whole numbers, slices, ..."
                    " and None"
                )
        if sum(entry is Ellipsis for entry in key) > 1:
            raise ConfigError("a symbol is indexed with ... twice")
        if not (key[0] is Ellipsis or key[0] == slice(None)):
            raise ConfigError(
                f"a symbol is indexed with {key[0]!r} on the axis of the batch; a model takes all"
                " rows: begin with [:, ...]"
            )
        return key

    def _whole_key(self, rank: int) -> list[Any]:
        """Return the key with an entry for each axis of x, and None for new ones."""
        key = list(self.key)
        missing = rank - sum(entry is not None and entry is not Ellipsis for entry in key)
        if missing < 0:
            raise ShapeError(
                f"layer {self.name!r} takes {self._key_text()} of an array of {rank} axes"
            )
        at = key.index(Ellipsis) if Ellipsis in key else len(key)
        key[at : at + 1] = [slice(None)] * missing
        if key[0] != slice(None):
            raise ConfigError(
                f"layer {self.name!r} takes {self._key_text()}, a part of the batch; a model takes"
                " all rows"
            )
        return key

    def _key_text(self) -> str:
        return f"[{', '.join(map(_entry_text, self.key))}]"

    @property
    def keeps_steps(self) -> bool:
        """Whether all steps are taken, as the second axis."""
        second = self.key[1] if len(self.key) > 1 else Ellipsis
        if self.key[0] is Ellipsis:  # the axes are counted from the end
            rank = 0 if self.input_shape is None else len(self.input_shape)
            second = self._whole_key(rank)[1] if rank > 1 else slice(None)
        return second is Ellipsis or second == slice(None)

    def _step_key(self) -> tuple[Any, Any] | None:
        """(which steps, which features) of (batch, steps, features); None: of other arrays."""
        rank = len(self.input_shape)
        if len(self.output_shape) < 2 or None in self.key:
            return None
        key = self._whole_key(rank)
        if rank == 2:
            return slice(None), key[1]
        return (key[1], key[2]) if rank == 3 and isinstance(key[2], slice) else None

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        key = self._step_key()
        if key is None or not (key[0] == slice(None) or key[0] == -1):
            return f"it takes {self._key_text()}, which is not made of the last step alone"
        return None

    def _step_ops(self) -> list[StepOp]:
        key = self._step_key()
        width = self.input_shape[-1]
        columns = np.arange(width)[slice(None) if key is None else key[1]].astype(np.intp)
        if len(columns) == width and (columns == np.arange(width)).all():
            return []
        return [SelectOp(name=self.name, inputs=width, width=len(columns), columns=columns)]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape: list[int | None] = []
        axes = iter(input_shape)
        for entry in self._whole_key(len(input_shape)):
            if entry is None:
                shape.append(1)
                continue
            extent = next(axes)
            if isinstance(entry, slice):
                shape.append(None if extent is None else len(range(extent)[entry]))
                if shape[-1] == 0:
                    raise ShapeError(
                        f"layer {self.name!r} takes {self._key_text()} of shape {input_shape}:"
                        " nothing"
                    )
            elif extent is not None and not -extent <= entry < extent:
                raise ShapeError(
                    f"layer {self.name!r} takes {self._key_text()} of shape {input_shape}, which"
                    f" has no number {entry} on that axis"
                )
        return tuple(shape)

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        key = self._whole_key(x.ndim)
        self._refuse_missing(key, x.shape)
        keeps = len(key) < 2 or key[1] == slice(None)
        if not keeps and inputs.lengths is not None:
            raise ConfigError(
                f"layer {self.name!r} takes {self._key_text()} of rows with lengths or a mask, in"
                " which the steps that count are others for each row; take a recurrent layer with"
                " return_sequences=False, a pooling layer, or rows of one length"
            )
        if tape is not None:
            tape.keep(node, x.shape)
        y = np.array(x[tuple(key)], order="C")
        return inputs.with_values(y) if keeps else type(inputs)(y)

    def _refuse_missing(self, key: list[Any], shape: tuple[int, ...]) -> None:
        entries = [entry for entry in key if entry is not None]
        for entry, extent in zip(entries, shape):
            if not isinstance(entry, slice) and not -extent <= entry < extent:
                raise ShapeError(
                    f"layer {self.name!r} takes {self._key_text()} of an array of shape {shape},"
                    f" which has no number {entry} on that axis"
                )

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        shape = tape.take(node)
        dx = np.zeros(shape, gradients.dtype)
        dx[tuple(self._whole_key(len(shape)))] = gradients
        return dx

    def get_config(self) -> Config:
        return super().get_config() | {"key": [_to_json(entry) for entry in self.key]}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**config | {"key": tuple(_of_json(entry) for entry in config["key"])})


def _entry_text(entry: Any) -> str:
    if not isinstance(entry, slice):
        return "..." if entry is Ellipsis else str(entry)
    parts = ["" if part is None else str(part) for part in (entry.start, entry.stop)]
    return ":".join(parts if entry.step is None else [*parts, str(entry.step)])


def _to_json(entry: Any) -> Any:
    if isinstance(entry, slice):
        return [
            None if part is None else int(part) for part in (entry.start, entry.stop, entry.step)
        ]
    return "..." if entry is Ellipsis else None if entry is None else int(entry)


def _of_json(entry: Any) -> Any:
    return slice(*entry) if isinstance(entry, list) else Ellipsis if entry == "..." else entry


def _combined(operation: str, left: Any, right: Any) -> Any:
    """Return the symbol of an operator with a symbol on at least one side."""
    symbols = [isinstance(side, Symbol) for side in (left, right)]
    if all(symbols):
        if operation == "divide":
            return OPERATORS["multiply"](left, Arithmetic("divide", 1.0, number_first=True)(right))
        return OPERATORS[operation](left, right)
    number = right if symbols[0] else left
    if not isinstance(number, numbers.Real) or isinstance(number, bool):
        raise DTypeError(
            f"a symbol and {type(number).__name__} cannot be combined; give a symbol of the same"
            " shape, or a number. An array that is always the same belongs into an Input"
        )
    symbol = left if symbols[0] else right
    return Arithmetic(operation, float(number), number_first=symbols[1])(symbol)


OPERATORS["combine"] = _combined
OPERATORS["add"] = lambda left, right: Add()([left, right])
OPERATORS["subtract"] = lambda left, right: Subtract()([left, right])
OPERATORS["multiply"] = lambda left, right: Multiply()([left, right])
OPERATORS["slice"] = lambda symbol, key: Slice(key)(symbol)
