"""Targets that are numbers: one or several for each sequence, or for each step."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_array, column_or_1d

from gatewise.data.sequences import container_of
from gatewise.errors import ConfigError, NonFiniteError, ShapeError
from gatewise.estimators.reading.checking import axes_of, checked_by_sklearn
from gatewise.training import losses

from .base import Output, SequenceTarget
from .entries import check_given
from .r_squared import weighted_r2
from .steps import StepTarget, in_one, spread

if TYPE_CHECKING:
    from typing import Self

    from gatewise._typing import Array
    from gatewise.estimators.reading.sequences import Sequences
    from gatewise.training.losses import Loss

# scikit-learn's names of losses, and ours.
LOSSES = {"squared_error": "mse", "absolute_error": "mae", "poisson": "poisson"}
LOSSES_OF_NUMBERS = (
    "squared_error",
    "absolute_error",
    "poisson",
    "huber",
    "log_cosh",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
)
# Losses of classes, of distributions, and of several outputs for a number: training would make
# something else small, or fail.
OTHER_LOSSES = (
    losses.BinaryCrossentropy,
    losses.CategoricalCrossentropy,
    losses.SparseCategoricalCrossentropy,
    losses.Hinge,
    losses.SquaredHinge,
    losses.CategoricalHinge,
    losses.KLDivergence,
    losses.GaussianNLL,
    losses.Quantile,
    losses.CTC,
)


class Numbers(SequenceTarget):
    """One number for each sequence, or several.

    Parameters
    ----------
    loss : str or Loss
        What training makes small. It is looked up when it is needed, so that a wrong name is
        refused by ``fit``.

    Attributes
    ----------
    columns : int or None
        Numbers for each sequence; None until the first y is read.
    flat : bool
        y was (n,), and so are predictions.
    """

    score_name = "R²"

    def __init__(self, loss: str | Loss = "squared_error") -> None:
        self._loss = loss
        self.columns: int | None = None
        self.flat: bool = False

    def with_loss(self, loss: str | Loss) -> Self:
        """The same target with another loss, for a ``fit`` that continues."""
        target = copy.copy(self)
        target._loss = loss
        return target

    @property
    def loss(self) -> Loss:
        """The loss.

        Raises
        ------
        ConfigError
            It is not known, or is no loss of numbers.
        """
        name = self._loss
        loss = losses.get(LOSSES.get(name, name) if isinstance(name, str) else name)
        if isinstance(loss, OTHER_LOSSES):
            raise ConfigError(
                f"loss is {loss.name!r}, which is none of numbers; expected one of "
                f"{', '.join(map(repr, LOSSES_OF_NUMBERS))}, or a custom gatewise.losses.Loss"
            )
        return loss

    def read(
        self, y: Any, sequences: Sequences, weights: Array | None, *, all_classes: bool = True
    ) -> Array:
        """Numbers (n, columns) or (n, steps, columns), float64, see the base."""
        # NaN may stand for what counts in nothing: at weights of 0, and at steps that
        # missing="mask" leaves out.
        unknown = weights is not None or sequences.counted is not None
        numbers = self._numbers(y, sequences, unknown)
        columns = 1 if numbers.ndim == 1 else numbers.shape[1]
        if self.columns is None:
            self.flat, self.columns = numbers.ndim == 1, columns
        elif columns != self.columns:
            raise ShapeError(
                f"y has {columns} columns; expected {self.columns}, as in the first call"
            )
        numbers = self._laid_out(numbers.reshape(len(numbers), columns), sequences)
        if unknown:
            weights = np.ones(numbers.shape[:-1]) if weights is None else weights
            if weights.ndim == numbers.ndim and weights.shape[-1] != columns:
                raise ShapeError(
                    f"sample_weight has {weights.shape[-1]} columns, y has {columns}; expected a"
                    " weight for each output, or one for all of them"
                )
            numbers = without_unknown(numbers, weights)
        if isinstance(self.loss, losses.Poisson) and numbers.min() < 0:
            raise ConfigError(f"y holds {numbers.min()}; loss 'poisson' expects numbers from 0 up")
        return numbers

    def _numbers(self, y: Any, sequences: Sequences, unknown: bool) -> Array:
        """(n,) or (n, columns)."""
        if _is_by_step(y):
            raise ShapeError(
                "y holds numbers of steps; expected those of sequences, (n,) or (n, outputs):"
                " set per_step=True to learn those of steps"
            )
        return read_numbers(y, len(sequences), unknown=unknown)

    def _laid_out(self, numbers: Array, sequences: Sequences) -> Array:
        return numbers

    def output(self, targets: Array) -> Output:
        """Loss, outputs and activation, see the base."""
        loss = self.loss
        poisson = isinstance(loss, losses.Poisson)
        return Output(loss, targets.shape[-1], "exponential" if poisson else "linear")

    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """R squared, the mean over the columns."""
        numbers = np.exp(scores) if isinstance(self.loss, losses.Poisson) else scores
        return weighted_r2(targets, numbers, sample_weight)

    def stored(self) -> dict[str, Any]:
        """See the base."""
        return {"_column": self.flat, "_columns": self.columns}

    def restore(self, held: dict[str, Any]) -> Self:
        """Take what :meth:`stored` returned."""
        self.flat, self.columns = held["_column"], held["_columns"]
        return self


class StepNumbers(StepTarget, Numbers):
    """One number for each step, or several."""

    def _numbers(self, y: Any, sequences: Sequences, unknown: bool) -> Array:
        """(steps,) or (steps, columns) of all sequences, one behind the other."""
        if y is None:
            return read_numbers(y, len(sequences), unknown=unknown)
        flat = in_one(y, sequences, "y", columns=True)
        return read_numbers(flat, sequences.all_lengths.sum(), column=True, unknown=unknown)

    def _laid_out(self, numbers: Array, sequences: Sequences) -> Array:
        return spread(numbers, sequences)

    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """R squared over all steps, the mean over the columns."""
        targets, scores = (part.reshape(-1, part.shape[-1]) for part in (targets, scores))
        if sample_weight is not None:
            steps = len(targets)
            shape = (steps,) if sample_weight.size == steps else (steps, -1)
            sample_weight = sample_weight.reshape(shape)
        return super().score(targets, scores, sample_weight)


def _is_by_step(y: Any) -> bool:
    """Whether y can be nothing else than numbers of steps."""
    try:
        return axes_of(y) > 2 or container_of(y) == "objects"
    except ValueError:  # rows of different lengths
        return True


def read_numbers(y: Any, count: int, *, column: bool = False, unknown: bool = False) -> Array:
    """Numbers of y as float64.

    Parameters
    ----------
    y : array_like (n,) or (n, outputs)
    count : int
        n, the number of samples in X.
    column : bool
        A y of one column stays (n, 1). False: it becomes (n,), with a warning.
    unknown : bool
        NaN may be among the numbers.

    Returns
    -------
    ndarray (n,) or (n, outputs)

    Raises
    ------
    ConfigError, ShapeError, NonFiniteError
    """
    check_given(y, count)
    with checked_by_sklearn():
        y = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            input_name="y",
            ensure_all_finite="allow-nan" if unknown else True,
        )
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 and not column else y


def without_unknown(numbers: Array, weights: Array) -> Array:
    """Numbers with 0 in place of each NaN, which must have the weight 0.

    Parameters
    ----------
    numbers : ndarray (..., outputs)
    weights : ndarray of the first axes of `numbers`, or of all of them

    Returns
    -------
    ndarray of the shape of `numbers`

    Raises
    ------
    NonFiniteError
    """
    unknown = np.isnan(numbers)
    if not unknown.any():
        return numbers
    counted = np.reshape(weights > 0, weights.shape + (1,) * (numbers.ndim - weights.ndim))
    bad = np.argwhere(unknown & counted)
    if len(bad):
        at = tuple(bad[0].tolist())
        raise NonFiniteError(
            f"y contains NaN, at {at[:-1] if numbers.shape[-1] == 1 else at} for example; expected"
            " a number, or a sample_weight of 0 for what is not known"
        )
    return np.where(unknown, 0.0, numbers)
