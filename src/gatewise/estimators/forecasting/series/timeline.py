"""Timeline: where the labels of a series end and how they continue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import CheckpointError, ConfigError, DTypeError, ShapeError

from . import stored_timeline
from .frequency import check_even, check_rising, even_distance, frequency_of
from .labels import check_zones, is_dates

if TYPE_CHECKING:
    from .advice import Fix, Labels


class Timeline:
    """The last label of a series and the distance to the next.

    Parameters
    ----------
    last : pandas.Index or ndarray of datetime64, of one label
    freq : pandas offset, numpy.timedelta64, int, or None
        None: the labels are not evenly spaced, and what comes next is not known.
    """

    def __init__(self, last: Labels, freq: Any) -> None:
        self.last = last
        self.freq = freq

    @classmethod
    def of(cls, index: Labels, name: str = "y", fix: Fix | None = None) -> Timeline:
        """Return the timeline of a whole index.

        Parameters
        ----------
        index : pandas.Index, or ndarray of datetime64, of shape (T,)
        name, fix
            For messages, see :func:`gatewise.estimators.forecasting.series.frequency.check_rising`.

        Raises
        ------
        ShapeError
            Dates or numbers do not rise.
        """
        check_rising(index, name, fix)
        if isinstance(index, np.ndarray) and len(index) > 2 and even_distance(index) is None:
            index = _with_frequency(index)
        return cls(index[-1:], frequency_of(index))

    def after(self, steps: int) -> Labels:
        """Return the labels of the next steps.

        Parameters
        ----------
        steps : int

        Returns
        -------
        pandas.Index or ndarray of datetime64, of shape (steps,)

        Raises
        ------
        ConfigError
            The labels are not evenly spaced.
        """
        last, freq = self.last, self.freq
        if freq is None:
            raise ConfigError(
                f"the index, which ends in {last[0]!r}, has no frequency that shows what comes"
                " next: set one (for example y.asfreq('D')), or give y as an array"
            )
        if isinstance(last, np.ndarray):
            return last + freq * np.arange(1, steps + 1)
        import pandas

        if isinstance(last, pandas.PeriodIndex):
            return pandas.period_range(last[0] + freq, periods=steps, freq=freq, name=last.name)
        if isinstance(last, pandas.TimedeltaIndex):
            return pandas.timedelta_range(
                last[0] + freq, periods=steps, freq=freq, name=last.name, unit=last.unit
            )
        if isinstance(last, pandas.DatetimeIndex):
            labels = pandas.date_range(
                last[0], periods=steps + 1, freq=freq, name=last.name, unit=last.unit
            )
            return labels[labels > last[0]][:steps]
        return pandas.RangeIndex(last[0] + freq, last[0] + freq * (steps + 1), freq, name=last.name)

    def until(self, steps: int) -> Labels:
        """Return the labels of the last steps."""
        last, freq = self.last, self.freq
        if isinstance(last, np.ndarray):
            return last - freq * np.arange(steps - 1, -1, -1)
        import pandas

        if isinstance(last, pandas.PeriodIndex):
            return pandas.period_range(end=last[0], periods=steps, freq=freq)
        if isinstance(last, pandas.TimedeltaIndex):
            return pandas.timedelta_range(end=last[0], periods=steps, freq=freq, unit=last.unit)
        if isinstance(last, pandas.DatetimeIndex):
            return pandas.date_range(end=last[0], periods=steps, freq=freq, unit=last.unit)
        return pandas.RangeIndex(last[0] - freq * (steps - 1), last[0] + freq, freq)

    def advanced(self, steps: int) -> Timeline:
        """Return the timeline that ends this many steps later."""
        return Timeline(self.after(steps)[-1:], self.freq) if steps else self

    # ---- later series, compared with this one

    def in_same_zone(self, index: Labels | None, name: str = "y", fix: Fix | None = None) -> Labels:
        """Convert the labels of a later call to the time zone of this timeline.

        The hours of the day then mean the same as in fit.

        Parameters
        ----------
        index : pandas.Index or ndarray of datetime64, or None
        name, fix
            For messages, see :func:`gatewise.estimators.forecasting.series.frequency.check_rising`.

        Raises
        ------
        ShapeError
            One of the two has a time zone, and the other has none.
        """
        if index is None or not (is_dates(self.last) and is_dates(index)):
            return index
        expected, found = getattr(self.last, "tz", None), getattr(index, "tz", None)
        check_zones(
            expected, found, name, "the forecaster was fitted", fix, isinstance(index, np.ndarray)
        )
        same = expected is None or str(expected) == str(found)
        return index if same else index.tz_convert(expected)

    def check_spacing(
        self, index: Labels, name: str = "y", fix: Fix | None = None, flat: bool = True
    ) -> None:
        """Refuse labels whose spacing differs from that of this timeline.

        They may begin anywhere. Labels of another kind, numbers instead of dates for example, are
        refused only if they are not evenly spaced.

        Parameters
        ----------
        index, name, fix, flat
            See :func:`gatewise.estimators.forecasting.series.frequency.check_even`.

        Raises
        ------
        ShapeError
        """
        first = self._converted(index[:1])
        comparable = self.freq is not None and first is not None and len(index) > 1
        if comparable:
            expected = Timeline(first, self.freq).after(len(index) - 1)
            if np.array_equal(np.asarray(expected), np.asarray(index[1:])):
                return
        check_rising(index, name, fix)
        check_even(index, name, fix, flat)
        if comparable:
            raise ShapeError(
                f"the steps of {name} are {_written(frequency_of(index))} apart, from {index[0]!r}"
                f" to {index[1]!r} for example; the forecaster was fitted to steps that are"
                f" {_written(self.freq)} apart: give such steps"
            )

    def _converted(self, labels: Labels) -> Labels | None:
        """Convert labels to the kind of `last`; None if they are of another kind."""
        if isinstance(self.last, np.ndarray):
            return np.asarray(labels).astype(self.last.dtype) if is_dates(labels) else None
        import pandas

        if isinstance(self.last, pandas.DatetimeIndex):
            return pandas.DatetimeIndex(labels) if is_dates(labels) else None
        same = type(self.last) is type(labels) or self.last.dtype.kind == labels.dtype.kind == "i"
        return labels if same and self.last.dtype == labels.dtype else None

    def followed_by(self, index: Labels) -> Timeline:
        """Return the timeline of this series continued by steps that are labelled `index`.

        Raises
        ------
        ShapeError
            The index does not begin right after this series ends.
        """
        if not len(index):
            return self
        if self.freq is None:
            self._check_later(index)
        else:
            expected = self.after(len(index))
            if not np.array_equal(np.asarray(expected), np.asarray(index)):
                at = int(np.argmin(np.asarray(expected) == np.asarray(index)))
                raise ShapeError(
                    f"the new steps are labelled {index[at]!r} at position {at}; the series"
                    f" continues with {expected[at]!r}: give every step that comes next, once and"
                    " in order"
                )
        last = self._converted(index[-1:])
        return Timeline(index[-1:] if last is None else last, self.freq)

    def _check_later(self, index: Labels) -> None:
        """Refuse dates and numbers that are not after the last one.

        Only files of older versions hold a timeline of several labels without a frequency.
        """
        check_rising(index, "the new steps")
        ordered = index.dtype.kind in "iufmM" or hasattr(index, "to_timestamp")
        if ordered and index.dtype.kind == self.last.dtype.kind and not index[0] > self.last[0]:
            raise ShapeError(
                f"the new steps begin with {index[0]!r}; the series ends with {self.last[0]!r}:"
                " give the steps that come after it"
            )

    # ---- files

    def get_config(self) -> dict[str, Any]:
        """Return what a file holds of the timeline: JSON values.

        Raises
        ------
        DTypeError
            They would not be complete: the time zone has no name, or the frequency has holidays.
        """
        config = stored_timeline.config_of(self.last, self.freq)
        try:
            same = Timeline.from_config(config).freq == self.freq
        except CheckpointError:
            same = False
        if not same:
            raise DTypeError(
                f"files cannot hold the index of a series, which ends in {self.last[0]!r} and has"
                f" the frequency {self.freq!r}: give y with an index of a common frequency and time"
                " zone"
            )
        return config

    @classmethod
    def from_config(cls, config: Any) -> Timeline:
        """Return the timeline of :meth:`get_config`; the values come from a file of any origin.

        Raises
        ------
        CheckpointError
        """
        return cls(*stored_timeline.read(config))


def _written(freq: Any) -> str:
    """Return a frequency as messages show it."""
    return repr(getattr(freq, "freqstr", None) or str(freq))


def _with_frequency(times: np.ndarray) -> Labels:
    """Convert an array of dates to a pandas index if pandas knows its frequency.

    NumPy cannot continue month ends or business days, which are not evenly spaced.
    """
    try:
        import pandas
    except ImportError:
        return times
    index = pandas.DatetimeIndex(times)
    return index if frequency_of(index) is not None else times
