"""Windows of a long series: the input of a forecaster, and its targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatewise.checks import finite, fits_memory, whole_number
from gatewise.errors import ConfigError, ShapeError
from gatewise.memory import names_memory

from .sequences import real_array

if TYPE_CHECKING:
    from gatewise._typing import Array, ArrayLike

__all__ = ["Cutting", "cut", "one_series", "windows"]


@names_memory
def windows(
    series: ArrayLike,
    input_steps: int,
    horizon: int = 1,
    stride: int = 1,
    *,
    sampling_rate: int = 1,
    skip: int = 0,
    labels: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Cut a series into windows of past steps and the targets that belong to them.

    Row ``i`` starts at step ``s = i * stride``. ``x[i]`` is the steps ``s``, ``s + sampling_rate``,
    ..., ``input_steps`` of them; the last one is step ``e``. ``y[i]`` is the steps
    ``e + skip + 1`` to ``e + skip + horizon``, or with ``horizon=0`` the label of step ``e``.
    Steps left over at the end give no row.

    Parameters
    ----------
    series : array_like of shape (T,) or (T, features)
        Steps in order of time. float32 and float64 are kept, float16 becomes float32, whole
        numbers and lists float64. Never changed.
    input_steps : int
        Steps of the past in each window.
    horizon : int, default 1
        Steps after each window that are its target. 0: the target is the label of the window's own
        last step, as for a network that labels a stream; needs ``labels``.
    stride : int, default 1
        Steps from the start of one window to the start of the next.
    sampling_rate : int, default 1
        A window takes every step (1), every second step (2), and so on. Targets are
        consecutive steps.
    skip : int, default 0
        Steps after a window that are left out before its targets.
    labels : array_like of shape (T,) or (T, ...), optional
        What targets are taken from, of any dtype. ``None``: the series itself.

    Returns
    -------
    x : ndarray of shape (n, input_steps, features)
        ``n = (T - (input_steps - 1) * sampling_rate - 1 - skip - horizon) // stride + 1``; a 1-D
        series has one feature.
    y : ndarray of shape (n, horizon), or (n, horizon, ...) if a step has several values
        With ``horizon=0``: (n,) or (n, ...). Both are C-contiguous copies: ``fit`` takes them as
        they are, and changing one window changes no other.

    Raises
    ------
    ShapeError
        The series has another rank, no features, or too few steps for one window, or there is
        another number of labels than steps. The index of a pandas object has dates that are not in
        order, or levels that label several series.
    ConfigError
        A number of steps is too small; ``horizon=0`` without labels or with ``skip``.
    DTypeError
        A number of steps is not whole, or the series holds something other than real numbers
        that float64 can represent.
    NonFiniteError
        The series, or labels that are numbers, hold NaN or infinity.
    SizeError
        The windows do not fit into memory.

    Examples
    --------
    >>> x, y = windows([0.0, 1.0, 2.0, 3.0, 4.0], input_steps=3)
    >>> x[:, :, 0]
    array([[0., 1., 2.],
           [1., 2., 3.]])
    >>> y
    array([[3.],
           [4.]])

    The label of each window's last step, and every second step:

    >>> x, y = windows([0.0, 1.0, 2.0, 3.0, 4.0], input_steps=2, horizon=0, sampling_rate=2,
    ...                labels=["a", "b", "c", "d", "e"])
    >>> x[:, :, 0]
    array([[0., 2.],
           [1., 3.],
           [2., 4.]])
    >>> y
    array(['c', 'd', 'e'], dtype='<U1')
    """
    cutting = Cutting.of(input_steps, horizon, stride, sampling_rate, skip, "input_steps")
    numbers = _series(series)
    targets = _labels(labels, numbers, cutting.horizon)

    steps, n_features = len(numbers), numbers[:1].size
    if steps < cutting.needed:
        raise ShapeError(
            f"series has {steps} steps; {cutting.options_text('input_steps')} need at least "
            f"{cutting.needed}: give a "
            "longer series or shorter windows"
        )
    rows = cutting.count(steps)
    fits_memory(
        rows * (cutting.window + cutting.horizon) * n_features,
        numbers.dtype,
        f"an array of {rows} windows",
    )

    return cutting.windows(numbers.reshape(steps, n_features), rows), cutting.targets(targets, rows)


@dataclass(frozen=True)
class Cutting:
    """Where windows and their targets are in a series, in steps.

    Attributes
    ----------
    window, horizon, stride, rate, skip : int
        See :func:`windows`.
    """

    window: int
    horizon: int
    stride: int
    rate: int
    skip: int

    @classmethod
    def of(cls, window: int, horizon: int, stride: int, rate: int, skip: int, name: str) -> Cutting:
        """Check the options of a user; `name` is that of the parameter for `window`.

        Raises
        ------
        ConfigError, DTypeError
        """
        cutting = cls(
            whole_number(window, name),
            whole_number(horizon, "horizon", 0),
            whole_number(stride, "stride"),
            whole_number(rate, "sampling_rate"),
            whole_number(skip, "skip", 0),
        )
        if cutting.skip and not cutting.horizon:
            raise ConfigError(
                "horizon is 0, the label of a window's own last step, and skip is "
                f"{cutting.skip}; there "
                "is no step between them: give skip=0, or a horizon of at least 1"
            )
        return cutting

    @property
    def span(self) -> int:
        """Steps from the first to the last of a window."""
        return (self.window - 1) * self.rate + 1

    @property
    def needed(self) -> int:
        """Steps that a series needs for one window and its targets."""
        return self.span + self.skip + self.horizon

    def without_targets(self) -> Cutting:
        """Return the same windows without targets."""
        return Cutting(self.window, 0, self.stride, self.rate, 0)

    def count(self, steps: Any) -> Any:
        """Number of windows with targets in a number of steps; 0 or less if there are too few."""
        return (steps - self.needed) // self.stride + 1

    def windows(self, series: Array, rows: int) -> Array:
        """Return copies of the first `rows` windows of an array (T, ...): (rows, window, ...)."""
        return cut(series, self.window, self.stride, rows, self.rate)

    def targets(self, series: Array, rows: int) -> Array:
        """Return copies of the targets of the first `rows` windows.

        (rows, horizon, ...), or (rows, ...) of last steps.
        """
        if not self.horizon:
            return series[self.span - 1 :: self.stride][:rows].copy(order="C")
        return cut(series[self.span + self.skip :], self.horizon, self.stride, rows)

    def options_text(self, name: str) -> str:
        """Return the options that determine how many steps are needed, for messages."""
        return (
            f"{name}={self.window}"
            + "".join(
                f", {word}={value}"
                for word, value, default in (
                    ("sampling_rate", self.rate, 1),
                    ("skip", self.skip, 0),
                )
                if value != default
            )
            + f" and horizon={self.horizon}"
        )


def _labels(labels: Any, series: Array, horizon: int) -> Array:
    """The source of targets: the series, or an array with an entry for each of its steps."""
    if labels is None:
        if not horizon:
            raise ConfigError(
                "horizon is 0, the label of a window's own last step, and labels is "
                "None; give labels, or a "
                "horizon of at least 1"
            )
        return series
    labels = np.asarray(labels)
    if labels.ndim == 0 or len(labels) != len(series):
        raise ShapeError(
            f"labels has shape {labels.shape}, series has {len(series)} steps; "
            "expected a label for each step"
        )
    if labels.dtype.kind != "f" or not labels.size:
        return labels
    return finite(np.ascontiguousarray(labels), "labels")


def one_series(given: Any, name: str) -> Any:
    """Return `given`, unless its pandas index shows that it is not one series in order of time.

    Raises
    ------
    ShapeError
        The index has levels that label several series, or its dates are not in order.
    """
    index: Any = getattr(given, "index", None)
    if _is_dated(index) and not index.is_monotonic_increasing:
        raise ShapeError(
            f"the dates in the index of {name} are not in order of time; windows read "
            f"rows as they are: {name}.sort_index(), or one series at a time if there "
            "are several"
        )
    if getattr(index, "nlevels", 1) > 1:
        dated = [level for level, values in enumerate(index.levels) if values.dtype.kind in "mM"]
        time = dated[0] if len(dated) == 1 else index.nlevels - 1
        others = [level for level in range(index.nlevels) if level != time]
        if index.droplevel(time).nunique() > 1:
            raise ShapeError(
                f"{name} has an index of {index.nlevels} levels, which labels several series; no"
                " window may contain steps of two: cut them one at a time, for _, part in"
                f" {name}.groupby(level={others[0] if len(others) == 1 else others}, sort=False)"
            )
    return given


def _is_dated(index: Any) -> bool:
    """Whether an index holds dates or periods."""
    return hasattr(index, "tz_localize") or hasattr(index, "to_timestamp")


def _series(series: Any) -> Array:
    """The series as a finite, C-contiguous float array of rank 1 or 2."""
    given = real_array(one_series(series, "series"), "series")
    if given.ndim not in (1, 2):
        raise ShapeError(
            f"series has shape {given.shape}; expected (steps,) or (steps, features): "
            "cut one series at a time, so that no window contains steps of two"
        )
    if given.ndim == 2 and given.shape[1] == 0:
        raise ShapeError(f"series has no features (shape {given.shape}); expected at least one")
    return finite(given, "series") if given.size else given


def cut(series: Array, length: int, stride: int, rows: int, rate: int = 1) -> Array:
    """Return copies of the first `rows` windows of a series (T, ...): (rows, length, ...).

    A window takes every `rate`-th step; the next one begins `stride` steps later.
    """
    span = (length - 1) * rate + 1
    stretches = sliding_window_view(series, span, axis=0)[::stride][:rows][..., ::rate]
    return np.moveaxis(stretches, -1, 1).copy(order="C")
