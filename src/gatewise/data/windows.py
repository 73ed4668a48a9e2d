"""Windows of a long series: what a forecaster sees, and what it has to say."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatewise.checks import finite, fits_memory, whole_number
from gatewise.errors import ConfigError, ShapeError
from gatewise.memory import names_memory

from .sequences import real_array

__all__ = ["Cutting", "cut", "one_series", "windows"]


@names_memory
def windows(series, input_steps, horizon=1, stride=1, *, sampling_rate=1, skip=0, labels=None):
    """Cut a series into windows of past steps and the targets that belong to them.

    Row ``i`` starts at step ``s = i * stride``. ``x[i]`` is the steps ``s``, ``s + sampling_rate``,
    ..., ``input_steps`` of them, the last of which is step ``e``. ``y[i]`` is the steps
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
        A window takes every step (1), every second step (2), and so on. Targets are steps that
        follow each other.
    skip : int, default 0
        Steps after a window that are left out before its targets.
    labels : array_like of shape (T,) or (T, ...), optional
        What targets are taken from, of any type. ``None``: the series itself.

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
    series = _series(series)
    targets = _labels(labels, series, cutting.horizon)

    steps, n_features = len(series), series[:1].size
    if steps < cutting.needed:
        raise ShapeError(
            f"series has {steps} steps; {cutting.said('input_steps')} need at least "
            f"{cutting.needed}: give a "
            "longer series or shorter windows"
        )
    rows = cutting.count(steps)
    fits_memory(
        rows * (cutting.window + cutting.horizon) * n_features,
        series.dtype,
        f"an array of {rows} windows",
    )

    return cutting.windows(series.reshape(steps, n_features), rows), cutting.targets(targets, rows)


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
    def of(cls, window, horizon, stride, rate, skip, name):
        """Of what a user gives, checked; `name` is that of the window's parameter.

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
                f"{cutting.skip}; no "
                "step lies between them: give skip=0, or a horizon of at least 1"
            )
        return cutting

    @property
    def span(self):
        """Steps from the first to the last of a window."""
        return (self.window - 1) * self.rate + 1

    @property
    def needed(self):
        """Steps that a series needs for one window and its targets."""
        return self.span + self.skip + self.horizon

    def without_targets(self):
        """The same for windows whose targets are not asked for."""
        return Cutting(self.window, 0, self.stride, self.rate, 0)

    def count(self, steps):
        """How many windows with targets there are in so many steps; 0 or less if there are too few."""
        return (steps - self.needed) // self.stride + 1

    def windows(self, series, rows):
        """Copies of the first `rows` windows of an array (T, ...): (rows, window, ...)."""
        return cut(series, self.window, self.stride, rows, self.rate)

    def targets(self, series, rows):
        """Copies of the targets of the first `rows` windows: (rows, horizon, ...), or (rows, ...) of last steps."""
        if not self.horizon:
            return series[self.span - 1 :: self.stride][:rows].copy(order="C")
        return cut(series[self.span + self.skip :], self.horizon, self.stride, rows)

    def said(self, name):
        """The options that decide how many steps are needed, for messages."""
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


def _labels(labels, series, horizon):
    """What targets are taken from: the series, or an array with an entry for each of its steps."""
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


def one_series(given, name):
    """`given`, unless it is a pandas object whose index says that it is not one series in order of time.

    Raises
    ------
    ShapeError
        The index has levels that label several series, or its dates go back.
    """
    index = getattr(given, "index", None)
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
                " window may run from one into the next: cut them one at a time, for _, part in"
                f" {name}.groupby(level={others[0] if len(others) == 1 else others}, sort=False)"
            )
    return given


def _is_dated(index):
    """Whether an index holds dates or periods."""
    return hasattr(index, "tz_localize") or hasattr(index, "to_timestamp")


def _series(series):
    """The series as a finite, C-contiguous float array of rank 1 or 2."""
    given = real_array(one_series(series, "series"), "series")
    if given.ndim not in (1, 2):
        raise ShapeError(
            f"series has shape {given.shape}; expected (steps,) or (steps, features): "
            "cut one "
            "series at a time, so that no window runs from one into the next"
        )
    if given.ndim == 2 and given.shape[1] == 0:
        raise ShapeError(f"series has no features (shape {given.shape}); expected at least one")
    return finite(given, "series") if given.size else given


def cut(series, length, stride, rows, rate=1):
    """Copies of `rows` stretches of `length` steps, every `rate`-th; further axes stay behind them."""
    span = (length - 1) * rate + 1
    stretches = sliding_window_view(series, span, axis=0)[::stride][:rows][..., ::rate]
    return np.moveaxis(stretches, -1, 1).copy(order="C")
