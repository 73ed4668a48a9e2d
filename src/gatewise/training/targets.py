"""Which targets a loss or a metric can have.

A loss names its rule in ``takes``. A rule first looks at all values at once, which is cheap; only
if some do not fit does it ask which of them count: padded steps and steps of weight 0 may hold
anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.layers.masks import Places


SHOWN = 3  # different values that a message gives
ROUNDING = 1e-6  # how far rounding may bring a target beyond a limit, such as 1.0000001 or -1e-9
FAR = 1e-2  # how far from 1 the sum of a row of probabilities may be before a warning


class Rule:
    """Base of the rules, which allows everything.

    Attributes
    ----------
    expects : str
        What is allowed, for messages.
    cure : str
        What to do about other values.
    """

    expects = ""
    cure = ""

    def fits(self, y: Array) -> bool:
        """Whether all values are allowed. NaN is not, where something is not."""
        return True

    def settled(self, y: Array) -> bool:
        """Whether y needs no error and no warning, whatever its weights are."""
        return not y.size or self.fits(y)

    def wrong(self, y: Array) -> Array:
        """Return a bool ndarray like y: values that are not allowed."""
        return np.zeros(y.shape, bool)

    def absent(self, y: Array) -> Array:
        """Return a bool ndarray like y: what means that there is no target, if its weight is 0."""
        return self.wrong(y)

    def cure_of(self, values: Array) -> str:
        """Say what to do, for all values of y that count, each once, float ndarray."""
        return self.cure

    def check(
        self, y: Array, weights: Array | None, name: str, owner: str, places: Places | None = None
    ) -> None:
        """:meth:`refuse`, then :meth:`warn`."""
        if not self.settled(y):
            self.refuse(y, weights, name, owner, places)
            self.warn(y, weights, name, owner)

    def warn(self, y: Array, weights: Array | None, name: str, owner: str) -> None:
        """Warn of targets that are allowed and yet not what they should be, where they count.

        The text is the same for every batch, so that Python shows it once.
        """

    def refuse(
        self, y: Array, weights: Array | None, name: str, owner: str, places: Places | None = None
    ) -> None:
        """Refuse targets that are not allowed where they count.

        Parameters
        ----------
        y : ndarray (..., columns)
        weights : ndarray of y.shape[:-1] or y.shape, optional
            What has a weight of 0 does not count.
        name : str
            What the user calls the targets.
        owner : str
            The loss or metric, for the message.
        places : Places, optional
            Where steps were before a mask moved them to the front of their rows: the message gives
            those positions.

        Raises
        ------
        ConfigError
        """
        if not y.size or self.fits(y):
            return
        counted = _counted(y, weights)
        wrong = self.wrong(y) & counted
        if wrong.any():
            shown = (
                _shown(y, wrong) if places is None else _shown(places.back(y), places.back(wrong))
            )
            raise ConfigError(
                f"{name} holds {shown} ({wrong.sum()} of {counted.sum()} targets); {owner} expects "
                f"{self.expects}: {self.cure_of(np.unique(y[counted]))}"
            )


def _counted(y: Array, weights: Array | None) -> Array:
    """Return a bool ndarray like y: targets whose weight is not 0."""
    if weights is None:
        return np.ones(y.shape, bool)
    return np.broadcast_to(
        weights != 0 if weights.ndim == y.ndim else (weights != 0)[..., None], y.shape
    )


def _shown(y: Array, wrong: Array) -> str:
    """Return a few different values with the first position of each, as text."""
    values, first = np.unique(y[wrong], return_index=True)
    at = np.argwhere(wrong)[np.sort(first)[:SHOWN]]
    text = ", ".join(f"{y[tuple(index)]:g} at index {tuple(int(i) for i in index)}" for index in at)
    return text + (", ..." if len(values) > SHOWN else "")


@dataclass(frozen=True)
class AtLeast(Rule):
    """Numbers from `low` up."""

    low: float
    cure: str

    @property
    def expects(self) -> str:
        return f"numbers from {self.low:g} up"

    def fits(self, y: Array) -> bool:
        return bool(y.min() >= self.low - ROUNDING)

    def wrong(self, y: Array) -> Array:
        return ~(y >= self.low - ROUNDING)


@dataclass(frozen=True)
class YesOrNo(Rule):
    """Numbers from 0 to 1; with `soft` False only the two."""

    soft: bool = True

    @property
    def expects(self) -> str:
        return "0, 1 or numbers between" if self.soft else "0 or 1"

    def fits(self, y: Array) -> bool:
        if y.dtype.kind == "b":
            return True
        return (
            bool(y.min() >= -ROUNDING and y.max() <= 1 + ROUNDING)
            if self.soft
            else not self.wrong(y).any()
        )

    def wrong(self, y: Array) -> Array:
        return ~((y >= -ROUNDING) & (y <= 1 + ROUNDING)) if self.soft else _other_than(y, 0, 1)

    def cure_of(self, values: Array) -> str:
        values = values[np.isfinite(values)]
        if not self.soft and len(values) and values.min() >= 0 and values.max() <= 1:
            return (
                "make them 0 and 1, y = (y > 0.5); smooth labels in the loss,"
                " BinaryCrossentropy(label_smoothing=...), or leave the metric out"
            )
        if len(values) == 2:
            return f"make them 0 and 1, y = (y == {values[1]:g})"
        if (values == np.round(values)).all():
            if values.min() >= 0 and (len(values) > 20 or values.max() >= 100):
                return f"scale them, y = y / {values.max():g}, or take a loss of numbers, 'mse'"
            return (
                "class numbers go with loss 'sparse_categorical_crossentropy' and softmax over as"
                " many columns; of yes and no make 1 and 0"
            )
        return "scale them to 0 to 1, or take a loss and metrics of numbers, 'mse'"


@dataclass(frozen=True)
class MissedUnlessYesOrNo(Rule):
    """Any number; a warning of those that are neither 0 nor 1, which are never met."""

    def settled(self, y: Array) -> bool:
        return not y.size or not _other_than(y, 0, 1).any()

    def warn(self, y: Array, weights: Array | None, name: str, owner: str) -> None:
        if (_other_than(y, 0, 1) & _counted(y, weights)).any():
            checks.warn(
                f"{name} holds numbers other than 0 and 1, and {owner} counts each of them as"
                " missed: make labels 0 and 1; smooth them in the loss,"
                " BinaryCrossentropy(label_smoothing=...); for numbers use the metric 'mae'"
            )


@dataclass(frozen=True)
class Signs(Rule):
    """Labels -1 and 1, or 0 and 1."""

    expects = "labels -1 and 1, or 0 and 1"

    def fits(self, y: Array) -> bool:
        return not self.wrong(y).any()

    def wrong(self, y: Array) -> Array:
        return _other_than(y, -1, 0, 1)

    def settled(self, y: Array) -> bool:
        return not y.size or (self.fits(y) and not ((np.abs(y) < 0.5).any() and (y < -0.5).any()))

    def refuse(
        self, y: Array, weights: Array | None, name: str, owner: str, places: Places | None = None
    ) -> None:
        super().refuse(y, weights, name, owner, places)
        values = y[_counted(y, weights)]
        if (np.abs(values) < 0.5).any() and (values < -0.5).any():
            raise ConfigError(
                f"{name} holds -1, 0 and perhaps 1; {owner} expects {self.expects}, since 0 stands"
                f" for -1: {self.cure_of(np.array([-1.0, 0, 1]))}"
            )

    def cure_of(self, values: Array) -> str:
        if len(values) == 2:
            return f"make them -1 and 1, y = where(y == {values[1]:g}, 1, -1)"
        return (
            "make one -1 and the other 1; of more than two classes take 'categorical_hinge' and"
            " one-hot rows"
        )


@dataclass(frozen=True)
class Distribution(Rule):
    """Rows of probabilities: never negative, with a warning if they do not sum to 1.

    `limited` refuses values above 1, too.
    """

    limited: bool = False

    @property
    def expects(self) -> str:
        return f"a probability{' from 0 to 1' if self.limited else ', 0 or more,'} for each class"

    def fits(self, y: Array) -> bool:
        return bool(y.min() >= -ROUNDING and (not self.limited or y.max() <= 1 + ROUNDING))

    def wrong(self, y: Array) -> Array:
        return ~((y >= -ROUNDING) & (y <= 1 + ROUNDING)) if self.limited else ~(y >= -ROUNDING)

    def absent(self, y: Array) -> Array:
        return self.wrong(y) | (y == 0).all(axis=-1, keepdims=True)

    def cure_of(self, values: Array) -> str:
        return (
            "give one-hot rows (gatewise.utils.to_categorical) or rows of probabilities; numbers"
            " that are no probabilities go with a loss of numbers, 'mse'"
        )

    def settled(self, y: Array) -> bool:
        return not y.size or (self.fits(y) and bool((np.abs(_sums(y) - 1) <= FAR).all()))

    def warn(self, y: Array, weights: Array | None, name: str, owner: str) -> None:
        sums = _sums(y)
        off = ~(np.abs(sums - 1) <= FAR) & _counted(y, weights).any(axis=-1)
        if (sums[off] == 0).any():
            checks.warn(
                f"{name} has rows that are all zero, at positions that count: they add nothing to"
                f" {owner}; give every row its class, or a weight of 0"
            )
        if (sums[off] != 0).any():
            checks.warn(
                f"{name} has rows that do not sum to 1, at positions that count: {owner} expects"
                " one-hot rows or probabilities; of several labels a row make sigmoid outputs and"
                " loss 'binary_crossentropy'"
            )


def _other_than(y: Array, *labels: float) -> Array:
    """Return a bool ndarray like y: numbers that are none of these, except for rounding."""
    wrong = np.logical_and.reduce([y != label for label in labels])
    if y.dtype.kind == "f" and wrong.any():  # the usual labels are exact, and need no second look
        wrong &= np.logical_and.reduce([~(np.abs(y - label) <= ROUNDING) for label in labels])
    return wrong


def _sums(y: Array) -> Array:
    """Return the sums of rows, float64."""
    return np.einsum("...i->...", y, dtype=np.float64)


@dataclass(frozen=True)
class OneLargest(Rule):
    """Rows with one largest value; others give a warning, and have the class of the first one.

    Probabilities may tie, such as 0.5 and 0.5 where two people disagree: their sum is 1.
    """

    def settled(self, y: Array) -> bool:
        return not y.size or not self._ties(y).any()

    def warn(self, y: Array, weights: Array | None, name: str, owner: str) -> None:
        if (self._ties(y) & _counted(y, weights).any(axis=-1)).any():
            checks.warn(
                f"{name} has rows with no single largest value, all zero or with several labels:"
                f" {owner} takes the first for the class; of several labels a row take"
                " 'binary_accuracy', or give such rows a weight of 0"
            )

    def _ties(self, y: Array) -> Array:
        ties = np.count_nonzero(y == y.max(axis=-1, keepdims=True), axis=-1) > 1
        return ties & ~(np.abs(_sums(y) - 1) <= FAR) if ties.any() else ties


@dataclass(frozen=True)
class NotZero(Rule):
    """Any number; a warning of zeros, by which an error is divided."""

    def settled(self, y: Array) -> bool:
        return not y.size or bool((np.abs(y) >= 1e-7).all())

    def warn(self, y: Array, weights: Array | None, name: str, owner: str) -> None:
        if ((np.abs(y) < 1e-7) & _counted(y, weights)).any():
            checks.warn(
                f"{name} holds 0, which counts as 1e-7 in the divisor of {owner}: a small error"
                " there outweighs all others; take 'mae' or the metric 'smape', or give such"
                " positions a weight of 0"
            )
