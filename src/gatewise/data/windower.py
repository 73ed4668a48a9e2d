"""Windows of long series, as a scikit-learn transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.checks import fits_memory
from gatewise.errors import ConfigError, ShapeError

from .sequences import read_sequences
from .transformer import SequenceTransformer
from .windows import Cutting, one_series

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from gatewise._typing import Array, IntArray

    from .sequences import Sequences

__all__ = ["Windower"]


class Windower(SequenceTransformer):
    """Cut long series into windows, and into the targets that follow them.

    A row of a table is a step here: X is one series ``(steps, features)``, several of one length
    ``(n, steps, features)``, or a list, tuple or object array of ``(steps_i, features)`` or
    ``(steps_i,)``. No window contains steps of two series.

    Parameters
    ----------
    window : int, default 10
        Number of steps of each window.
    horizon : int, default 1
        Steps after each window that are its target. 0: the target is the label of the window's own
        last step, as for a network that labels a stream; :meth:`pairs` then needs y.
    stride : int, default 1
        Steps from the start of one window to the start of the next.
    sampling_rate : int, default 1
        A window takes every step (1), every second step (2), and so on. Targets are
        consecutive steps.
    skip : int, default 0
        Steps after a window that are left out before its targets.

    Attributes
    ----------
    n_features_in_ : int
        Features of a step.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `fit` was given a frame whose column names are strings.

    Notes
    -----
    It cannot be in a pipeline before an estimator that needs y: there are fewer windows than steps,
    and scikit-learn does not change y. Call :meth:`pairs` first, and give windows to the pipeline.

    Windows overlap in time, so neighbours must not be divided between training and test as if they
    were independent. ``TimeSeriesSplit(gap=windower.gap)`` keeps the order of time and leaves out
    the windows whose targets were not yet known when the first test window ended. Scale inside the
    split, on the training windows alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import TimeSeriesSplit
    >>> series = np.arange(12.0)[:, np.newaxis]
    >>> windower = Windower(window=3, horizon=2)
    >>> x, y = windower.pairs(series)
    >>> x.shape, y.shape
    ((8, 3, 1), (8, 2, 1))
    >>> for train, test in TimeSeriesSplit(n_splits=2, gap=windower.gap).split(x):
    ...     print(y[train].max(), "is known at", x[test[0], -1, 0])
    6.0 is known at 6.0
    8.0 is known at 8.0
    """

    def __init__(
        self,
        window: int = 10,
        horizon: int = 1,
        stride: int = 1,
        sampling_rate: int = 1,
        skip: int = 0,
    ) -> None:
        self.window = window
        self.horizon = horizon
        self.stride = stride
        self.sampling_rate = sampling_rate
        self.skip = skip

    @property
    def gap(self) -> int:
        """Number of windows that ``TimeSeriesSplit(gap=...)`` leaves out between training and test.

        ``ceil((skip + horizon) / stride) - 1``, at least 0, for all windows of one series in their
        order. With this gap, all targets of the training windows are in the past when the first
        test window ends; with a smaller gap, the last target is not.
        """
        cutting = self._cutting(targets=True)
        return max(0, -(-(cutting.skip + cutting.horizon) // cutting.stride) - 1)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the number of features.

        Parameters
        ----------
        X : array_like or list of series
            See the class.
        y : ignored
            Only for the interface of scikit-learn.

        Returns
        -------
        self
            The transformer, fitted.

        Raises
        ------
        ConfigError, DTypeError
            An option has a value that cannot be used.
        ShapeError, DTypeError, NonFiniteError
            X is not made of series of real numbers, or holds infinity.
        """
        self._cutting(targets=True)
        self._read(X, first=True)
        return self

    def transform(self, X: Any) -> Array:
        """Return all windows, also those at the end whose targets are not known yet.

        Parameters
        ----------
        X : array_like or list of series
            See the class. NaN is allowed.

        Returns
        -------
        ndarray of shape (windows, window, features), float32 or float64
            A copy: those of the first series in order of time, then those of the next.

        Raises
        ------
        NotFittedError, ConfigError, DTypeError, NonFiniteError
        ShapeError
            X does not fit, or a series is shorter than a window.
        SizeError
            The windows do not fit into memory.
        """
        self._fitted()
        sequences = self._read(X, first=False)
        cutting = self._cutting(targets=False)
        return _cut_each(
            sequences.rows(),
            cutting.windows,
            cutting.window,
            self._counts(sequences.lengths, targets=False),
        )

    def pairs(self, X: Any, y: Any = None) -> tuple[Array, Array]:
        """Return windows and their targets; no `fit` is needed.

        Parameters
        ----------
        X : array_like or list of series
            See the class. NaN is allowed.
        y : array_like or list, optional
            The values to forecast, of any dtype: a value, or an array of them, for each step of
            each series of X. ``None``: X itself, unless ``horizon=0``.

        Returns
        -------
        x : ndarray of shape (windows, window, features), float32 or float64
            As :meth:`transform` returns them, without windows whose targets are not known.
        y : ndarray of shape (windows, horizon, ...)
            The `horizon` steps after each window; a regressor of many outputs takes
            ``y.reshape(len(y), -1)``. With ``horizon=0``: (windows, ...), each window's last step.

        Raises
        ------
        ConfigError, DTypeError, NonFiniteError
        ShapeError
            X and y do not fit together, or a series is too short for one window and its targets.
        SizeError
            The windows do not fit into memory.
        """
        cutting = self._cutting(targets=True)
        if y is None and not cutting.horizon:
            raise ConfigError(
                "horizon is 0, the label of a window's own last step, and y is None; "
                "give y, a label for each "
                "step, or a horizon of at least 1"
            )
        sequences = self._sequences(X)
        rows, counts = sequences.rows(), self._counts(sequences.lengths, targets=True)
        targets = rows if y is None else _targets(y, sequences)
        return (
            _cut_each(rows, cutting.windows, cutting.window, counts),
            _cut_each(targets, cutting.targets, max(1, cutting.horizon), counts),
        )

    def positions(self, X: Any, *, targets: bool = False) -> IntArray:
        """Return where each window ends; no `fit` is needed.

        Parameters
        ----------
        X : array_like or list of series
            See the class.
        targets : bool, default False
            False: the windows of `transform`. True: those of `pairs`, which have all their targets.

        Returns
        -------
        ndarray of shape (windows, 2), int
            Number of the series, and of the window's last step in it. Its targets are the steps
            after that one and `skip` more, or with ``horizon=0`` that step.

        Raises
        ------
        ConfigError, DTypeError, NonFiniteError, ShapeError
        """
        counts = self._counts(self._sequences(X).lengths, targets=targets)
        cutting = self._cutting(targets=targets)
        return np.concatenate(
            [
                np.stack(
                    [np.full(count, number), np.arange(count) * cutting.stride + cutting.span - 1],
                    axis=1,
                )
                for number, count in enumerate(counts)
            ]
        )

    def _sequences(self, X: Any) -> Sequences:
        if isinstance(X, list | tuple):
            for number, part in enumerate(X):
                one_series(part, f"X[{number}]")
        return read_sequences(one_series(X, "X"), one_series=True)

    def _cutting(self, *, targets: bool) -> Cutting:
        """The options, checked; without `targets` those of windows alone."""
        cutting = Cutting.of(
            self.window, self.horizon, self.stride, self.sampling_rate, self.skip, "window"
        )
        return cutting if targets else cutting.without_targets()

    def _counts(self, lengths: IntArray, *, targets: bool) -> list[int]:
        """Number of windows of each series."""
        cutting = self._cutting(targets=targets)
        short = np.flatnonzero(lengths < cutting.needed)
        if short.size:
            need = (
                f"{cutting.options_text('window')} need"
                if targets
                else f"window={cutting.window} needs"
            )
            raise ShapeError(
                f"series {short[0]} of X has {lengths[short[0]]} steps; {need} at "
                f"least {cutting.needed}: leave "
                "that series out, or take shorter windows"
            )
        return cutting.count(lengths).tolist()


def _cut_each(
    rows: list[Array], cut: Callable[[Array, int], Array], length: int, counts: list[int]
) -> Array:
    """The results of `cut` for all rows, one after another: arrays of `length` steps."""
    fits_memory(
        sum(counts) * length * int(np.prod(rows[0].shape[1:])), rows[0].dtype, "an array of windows"
    )
    parts = [cut(row, count) for row, count in zip(rows, counts)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _targets(y: Any, sequences: Sequences) -> list[Array]:
    """y as an array for each series, with an entry for each step."""
    try:
        rows = [np.asarray(row) for row in ([y] if sequences.form == "series" else y)]
    except (TypeError, ValueError) as error:
        raise ShapeError(
            "y is not a list of arrays, or holds values of different shapes; expected one value, or"
            " one array of the same shape, for each step of each series"
        ) from error
    lengths = [row.shape[0] if row.ndim else 0 for row in rows]
    if lengths != sequences.lengths.tolist() or len({row.shape[1:] for row in rows}) != 1:
        raise ShapeError(
            f"y has the shapes {[row.shape for row in rows]}, X series of "
            f"{sequences.lengths.tolist()} steps; "
            "expected one value, or one array of the same shape, for each step of each series"
        )
    return rows
