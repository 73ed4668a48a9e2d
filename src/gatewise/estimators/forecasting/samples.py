"""The windows and targets that a forecaster's network is trained on and validated with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gatewise import checks
from gatewise.data.missing import feature_means
from gatewise.errors import ShapeError

from .rollout import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .heads import Head
    from .history import History
    from .preparation import Preparation


@dataclass(frozen=True)
class ValidationPart:
    """The steps at the end of each series that are held out.

    Attributes
    ----------
    fraction : float
        Part of the steps that is held out; 0: nothing is.
    least : int
        Least number of steps to hold out.
    """

    fraction: float
    least: int

    def steps(self, history: History) -> int:
        """Return the number of steps of a series that are held out."""
        return max(round(self.fraction * len(history)), self.least) if self.fraction else 0

    def before(self, history: History) -> History:
        """Return the part of a series before those steps."""
        return history.first(len(history) - self.steps(history))


class Samples(NamedTuple):
    """Windows with their targets.

    Attributes
    ----------
    windows : ndarray of shape (n, window, features)
    targets : ndarray of shape (n, horizon * k)
    held_out : int
        The number of windows at the end that are for validation.
    """

    windows: np.ndarray
    targets: np.ndarray
    held_out: int


@dataclass(frozen=True)
class WindowCutter:
    """Cuts series into windows to train on and windows to validate with.

    Attributes
    ----------
    preparation : Preparation
    head : Head
        Reads the targets.
    validation : ValidationPart
    stride : int
        Steps from one window to the next.
    complete : callable(windows) -> windows
        Replaces missing values.
    """

    preparation: Preparation
    head: Head
    validation: ValidationPart
    stride: int
    complete: Callable[[np.ndarray], np.ndarray]

    def samples(self, histories: Sequence[History], dtype_of: Callable[[int], str]) -> Samples:
        """Return all samples, those to train on first.

        Parameters
        ----------
        histories : list of History
        dtype_of : callable(int) -> str
            Given the number of windows to train on, returns the dtype of the network.

        Raises
        ------
        ShapeError
            There is no window to train on, or none to validate with although a part is held out.
        SizeError
            The windows do not fit into memory.
        """
        train: list[np.ndarray] = []
        validate: list[np.ndarray] = []
        for number, history in enumerate(histories):
            for part, origins in zip((train, validate), self._origins(number, history)):
                part.append(origins)
        count, held_out = (sum(map(len, part)) for part in (train, validate))
        if not count or (self.validation.fraction and not held_out):
            raise ShapeError(
                f"{count} windows to train on and {held_out} to validate with are followed by"
                f" {self.preparation.horizon} steps without missing values; expected at least one"
                " such window: fill gaps in y, or shorten horizon"
            )
        dtype = dtype_of(count)
        windows: np.ndarray | None = None
        at = 0
        targets = []
        for part in (train, validate):
            for number, (history, origins) in enumerate(zip(histories, part)):
                if not len(origins):
                    continue
                for made in self._windows(number, history, origins, dtype):
                    if windows is None:
                        windows = _room_for(count + held_out, made)
                    windows[at : at + len(made)] = made
                    at += len(made)
                targets.append(self.head.read(self.preparation, number, history.y, origins))
        assert windows is not None  # there is a window to train on
        return Samples(windows, np.concatenate(targets), held_out)

    def _origins(self, number: int, history: History) -> list[np.ndarray]:
        """Return the origins of a series to train on, and those to validate with.

        All targets of an origin are in the same part, and none of them is missing.
        """
        preparation = self.preparation
        steps = len(history)
        edge = steps - self.validation.steps(history)
        train = np.arange(preparation.context - 1, edge - preparation.horizon, self.stride)
        validate = np.arange(edge - 1, steps - preparation.horizon, self.stride)
        return [
            origins[~np.isnan(self.head.read(preparation, number, history.y, origins)).any(axis=1)]
            for origins in (train, validate)
        ]

    def _windows(
        self, number: int, history: History, origins: np.ndarray, dtype: str
    ) -> Iterator[np.ndarray]:
        """Yield the windows of a series, a few at a time: all of them are in memory only once."""
        preparation = self.preparation
        known = preparation.known(history.calendar, history.x)
        rows = preparation.rows(number, history.y, history.x, known).astype(dtype)
        for first in range(0, len(origins), AT_ONCE):
            yield self.complete(preparation.windows(rows, origins[first : first + AT_ONCE], dtype))


def _room_for(count: int, windows: np.ndarray) -> np.ndarray:
    """Return an empty array for `count` windows like those given."""
    shape = (count, *windows.shape[1:])
    checks.fits_memory(math.prod(shape), windows.dtype, f"an array of {count} windows")
    return np.empty(shape, windows.dtype)


def means_of_rows(
    histories: Sequence[History], preparation: Preparation, validation: ValidationPart
) -> np.ndarray:
    """Return the means of what the network reads in the training part.

    Returns
    -------
    ndarray of shape (features,)
        Missing values are left out.
    """
    rows = []
    for number, history in enumerate(histories):
        part = validation.before(history)
        known = preparation.known(part.calendar, part.x)
        rows.append(preparation.rows(number, part.y, part.x, known))
    return feature_means(np.concatenate(rows)[None])
