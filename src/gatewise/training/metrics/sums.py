"""Metrics that are sums over positions, and what they share: rows that belong together, ratios."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, DTypeError, ShapeError, did_you_mean
from gatewise.memory import names_memory

from ..losses import position_weights
from .base import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, ArrayLike


class SummedMetric(Metric):
    """Base of the library's metrics: sums over the rows of outputs at positions that count."""

    @names_memory
    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add one batch.

        Parameters
        ----------
        y_true, y_pred : array_like (..., outputs)
            Targets of one output, and class numbers, may lack the last axis.
        sample_weight : array_like, optional
            A weight for each sample or each position. Positions of weight 0 may hold anything.

        Raises
        ------
        DTypeError, ShapeError, NonFiniteError
        """
        true, pred = self._matched(_array(y_true, "y_true"), _array(y_pred, "y_pred"))
        if self._takes is not None and true.shape == pred.shape and not self._takes.settled(true):
            weights = (
                None
                if sample_weight is None
                else position_weights(sample_weight, pred.shape[:-1], None)
            )
            self._takes.check(true, weights, "y_true", f"metric {self.name}")
        self._add(*counted_rows(true, pred, sample_weight))

    @abc.abstractmethod
    def _add(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Add positions that count.

        `y_true` is (n, outputs), or class numbers (n,), `y_pred` (n, outputs); `weights` (n,) is
        None if all count once.
        """

    def _matched(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Targets and predictions of shapes that belong together: nothing is broadcast."""
        for name, array in (("y_true", y_true), ("y_pred", y_pred)):
            if array.dtype.kind not in "buif":
                raise DTypeError(
                    f"{name} holds {array.dtype} values; metric {self.name} expects numbers"
                )
        if self._elementwise and y_true.ndim == y_pred.ndim == 1:
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
            y_pred = y_pred[..., None]
        classes, outputs = y_pred.shape[:-1], y_pred.shape[-1] if y_pred.ndim else 0
        sparse = self._sparse
        if sparse is None:
            sparse = y_true.shape != y_pred.shape and outputs > 1
        if sparse and y_true.shape == (*classes, 1):
            y_true = y_true[..., 0]
        elif not sparse and outputs == 1 and y_true.shape == classes:
            y_true = y_true[..., None]
        if outputs == 0 or y_true.shape != (classes if sparse else y_pred.shape):
            raise ShapeError(
                f"y_true has shape {y_true.shape}, y_pred {y_pred.shape}; metric {self.name}"
                " expects"
                f" {'a class number for each row of outputs' if sparse else 'the same shape'}"
            )
        return y_true, y_pred


class MeanMetric(SummedMetric):
    """A weighted mean of a value at each position, which subclasses define."""

    _parts = ("total", "weight")

    @property
    def _is_mean_over_outputs(self) -> bool:
        """Whether the value of a position is a mean over outputs: single ones can be left out."""
        return self._elementwise

    def _add(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        values = self._positions(y_true, y_pred)
        if weights is None:
            self._accumulate(total=float(values.sum(dtype=np.float64)), weight=float(values.size))
        else:
            self._accumulate(total=float((values * weights).sum()), weight=float(weights.sum()))

    @abc.abstractmethod
    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        """The value at each position, ndarray (n,)."""

    def result(self) -> float:
        """The mean so far; 0.0 before any batch."""
        return ratio(self._sums["total"], self._sums["weight"])


def counted_rows(
    y_true: Array, y_pred: Array, sample_weight: ArrayLike | None
) -> tuple[Array, Array, Array | None]:
    """Targets, predictions and weights, one row a position, without those of weight 0.

    Padding must not count even where it holds NaN, which no multiplication by 0 would remove.
    """
    shape, outputs = y_pred.shape[:-1], y_pred.shape[-1]
    weights = None if sample_weight is None else position_weights(sample_weight, shape, None)
    count = y_pred.size // outputs
    y_true = y_true.reshape((count, *y_true.shape[len(shape) :]))
    y_pred = y_pred.reshape(count, outputs)
    if weights is None:
        return y_true, y_pred, None
    weights = weights.reshape(count)
    counted = weights != 0
    return (
        (y_true, y_pred, weights)
        if counted.all()
        else (y_true[counted], y_pred[counted], weights[counted])
    )


def ratio(part: Any, whole: Any) -> Any:
    """part / whole, and 0 if whole is 0: a float of floats, an ndarray of ndarrays."""
    if np.ndim(whole) == 0 and np.ndim(part) == 0:
        return float(part / whole) if whole else 0.0
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole != 0)


def one_hot(classes: Array, outputs: int, name: str) -> Array:
    """Rows of zeros with a one at the class number, float64 (n, outputs).

    Raises
    ------
    ShapeError
    """
    numbers = class_numbers(classes, outputs, name)
    rows = np.zeros((len(numbers), outputs))
    rows[np.arange(len(numbers)), numbers] = 1
    return rows


def class_numbers(classes: Array, outputs: int, name: str) -> Array:
    """Class numbers as intp (n,), each in [0, outputs)."""
    with np.errstate(invalid="ignore"):
        numbers = classes.astype(np.intp)
    bad = np.flatnonzero((numbers < 0) | (numbers >= outputs) | (numbers != classes))
    if bad.size:
        raise ShapeError(
            f"y_true holds {classes[bad[0]]}; metric {name} expects class numbers from 0 to"
            f" {outputs - 1}"
        )
    return numbers


def chosen(value: Any, name: str, choices: Sequence[Any]) -> Any:
    """`value`, which must be one of the choices."""
    if not any(
        value is choice or (isinstance(value, str) and value == choice) for choice in choices
    ):
        raise ConfigError(
            f"{name} is {value!r}; expected one of"
            f" {', '.join(map(repr, choices))}{did_you_mean(value, choices)}"
        )
    return value


def _array(values: ArrayLike, name: str) -> Array:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{name} has rows of different lengths; pad them, and give the padding a weight of 0"
        ) from error
