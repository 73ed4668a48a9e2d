"""What a forecaster remembers of a series: as many steps as a forecast depends on, and how their labels go on."""

from dataclasses import dataclass, replace

import numpy as np

from gatewise.errors import ShapeError

from .calendar import calendar_features
from .labels import moments
from .series import Form
from .timeline import Timeline


@dataclass
class History:
    """Some steps of one series, the last of them now.

    Attributes
    ----------
    y : ndarray (T, k), float64
    x : ndarray (T, f), float64, or None
    calendar : ndarray (T, c), or None
    timeline : Timeline or None
    form : Form
    """

    y: np.ndarray
    x: np.ndarray | None
    calendar: np.ndarray | None
    timeline: Timeline | None
    form: Form

    def __len__(self):
        return len(self.y)

    @classmethod
    def of(cls, series, x, names):
        """All of a :class:`Series`, beside its features and with the calendar features named."""
        calendar = calendar_features(moments(series.index), names) if names else None
        return cls(series.values, x, calendar, series.timeline, series.form)

    def head(self, steps):
        """The first `steps`."""
        return replace(
            self,
            y=self.y[:steps],
            x=None if self.x is None else self.x[:steps],
            calendar=None if self.calendar is None else self.calendar[:steps],
        )

    def tail(self, steps):
        """The last `steps`, as copies: the arrays that a user gave are let go."""
        last = slice(max(0, len(self) - steps), None)
        return replace(
            self,
            y=self.y[last].copy(),
            x=None if self.x is None else self.x[last].copy(),
            calendar=None if self.calendar is None else self.calendar[last].copy(),
        )

    def check_columns(self, series, x, what):
        """Refuse a series that has other variables or features, or has them in another order.

        Raises
        ------
        ShapeError
        """
        if series.values.shape[1] != self.y.shape[1]:
            raise ShapeError(
                f"{what} has {series.values.shape[1]} features, but SequenceForecaster is expecting"
                f" {self.y.shape[1]} features as input"
            )
        if (
            self.form.names is not None
            and series.form.names is not None
            and series.form.names != self.form.names
        ):
            raise ShapeError(
                f"{what} has the columns {list(series.form.names)}; expected"
                f" {list(self.form.names)}, as in fit"
            )
        width, given = (0 if columns is None else columns.shape[1] for columns in (self.x, x))
        if given != width:
            raise ShapeError(
                f"{given} columns of X stand beside {what}; expected {width}, as in fit"
            )

    def check_spacing(self, series):
        """Refuse labels that are not spaced as those of this history.

        Raises
        ------
        ShapeError
        """
        if series.index is None:
            return
        if self.timeline is None:
            series.check_even()
        else:
            self.timeline.check_spacing(
                series.index, series.name, series.fix, series.form.kind == "flat"
            )

    def extended(self, series, x, names, what):
        """This history and the steps of `series`, which come next.

        Raises
        ------
        ShapeError
            They do not, or have other variables or features.
        """
        self.check_columns(series, x, what)
        timeline, calendar = self._goes_on(series, names)
        return History(
            np.concatenate([self.y, series.values]),
            None if x is None else np.concatenate([self.x, x]),
            calendar,
            timeline,
            self.form,
        )

    def _goes_on(self, series, names):
        """(timeline, calendar) with the steps of `series`, by its index, or without one as evenly as before."""
        if self.timeline is None:
            return None, None
        if series.index is None:
            labels = self.timeline.after(len(series)) if names else None
            timeline = (
                self.timeline.advanced(len(series))
                if self.timeline.freq is not None
                else self.timeline
            )
        else:
            labels, timeline = series.index, self.timeline.followed_by(series.index)
        if not names:
            return timeline, None
        return timeline, np.concatenate([self.calendar, calendar_features(moments(labels), names)])

    def calendar_ahead(self, names, steps):
        """Calendar features of these steps and of so many to come; None without names."""
        if not names:
            return None
        return np.concatenate(
            [self.calendar, calendar_features(moments(self.timeline.after(steps)), names)]
        )
