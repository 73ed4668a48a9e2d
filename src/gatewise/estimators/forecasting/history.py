"""History: the last steps of one series, and how their labels continue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gatewise.errors import ShapeError

from .calendar import calendar_features
from .series.labels import moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .series.advice import Labels
    from .series.reading import Form, Series
    from .series.timeline import Timeline


@dataclass(frozen=True)
class History:
    """Steps of one series; the last of them is the latest that is known.

    Attributes
    ----------
    y : ndarray of shape (T, k), float64
    x : ndarray of shape (T, f), float64, or None
    calendar : ndarray of shape (T, c), float64, or None
    timeline : Timeline or None
        None: the steps have no labels.
    form : Form
    """

    y: np.ndarray
    x: np.ndarray | None
    calendar: np.ndarray | None
    timeline: Timeline | None
    form: Form

    def __len__(self) -> int:
        return len(self.y)

    @classmethod
    def of(cls, series: Series, x: np.ndarray | None, names: Sequence[str]) -> History:
        """Return all of a series, with its features and the calendar features of these names."""
        calendar = calendar_features(moments(series.index), names) if names else None
        return cls(series.values, x, calendar, series.timeline, series.form)

    def first(self, steps: int) -> History:
        """Return the first steps; the arrays are views."""
        return replace(
            self,
            y=self.y[:steps],
            x=None if self.x is None else self.x[:steps],
            calendar=None if self.calendar is None else self.calendar[:steps],
        )

    def last(self, steps: int) -> History:
        """Return the last steps, copied so that the user's arrays can be freed."""
        last = slice(max(0, len(self) - steps), None)
        return replace(
            self,
            y=self.y[last].copy(),
            x=None if self.x is None else self.x[last].copy(),
            calendar=None if self.calendar is None else self.calendar[last].copy(),
        )

    def check_columns(self, series: Series, x: np.ndarray | None, what: str) -> None:
        """Refuse a series with other variables or features, or with the same in another order.

        Parameters
        ----------
        series : Series
        x : ndarray of shape (T, f), or None
        what : str
            The argument, for messages.

        Raises
        ------
        ShapeError
        """
        if series.values.shape[1] != self.y.shape[1]:
            raise ShapeError(
                f"{what} has {series.values.shape[1]} features, but SequenceForecaster is expecting"
                f" {self.y.shape[1]} features as input"
            )
        names, given = self.form.names, series.form.names
        if names is not None and given is not None and given != names:
            raise ShapeError(
                f"{what} has the columns {list(given)}; expected {list(names)}, as in fit"
            )
        width, found = (0 if columns is None else columns.shape[1] for columns in (self.x, x))
        if found != width:
            raise ShapeError(f"X has {found} columns for {what}; expected {width}, as in fit")

    def check_spacing(self, series: Series) -> None:
        """Refuse labels whose spacing differs from that of this history.

        Raises
        ------
        ShapeError
        """
        if series.index is None:
            return
        if self.timeline is None:
            series.check_even()
        else:
            flat = series.form.kind == "flat"
            self.timeline.check_spacing(series.index, series.name, series.fix, flat)

    def extended(
        self, series: Series, x: np.ndarray | None, names: Sequence[str], what: str
    ) -> History:
        """Return this history and the steps of a series that comes right after it.

        Parameters
        ----------
        series : Series
        x : ndarray of shape (T, f), or None
            The features of the new steps.
        names : list of str
            The calendar features.
        what : str
            The argument, for messages.

        Raises
        ------
        ShapeError
            The series does not come next, or has other variables or features.
        """
        self.check_columns(series, x, what)
        timeline, labels = self._continued(series, names)
        calendar = None
        if labels is not None and self.calendar is not None:
            new = calendar_features(moments(labels), names)
            calendar = np.concatenate([self.calendar, new])
        return History(
            np.concatenate([self.y, series.values]),
            None if x is None or self.x is None else np.concatenate([self.x, x]),
            calendar,
            timeline,
            self.form,
        )

    def _continued(
        self, series: Series, names: Sequence[str]
    ) -> tuple[Timeline | None, Labels | None]:
        """Return the timeline with the steps of a series, and their labels if calendar needs them.

        A series without an index has labels that are spaced as those before.
        """
        if self.timeline is None:
            return None, None
        if series.index is not None:
            return self.timeline.followed_by(series.index), series.index if names else None
        labels = self.timeline.after(len(series)) if names else None
        if self.timeline.freq is None:
            return self.timeline, labels
        return self.timeline.advanced(len(series)), labels

    def calendar_ahead(self, names: Sequence[str], steps: int) -> np.ndarray | None:
        """Return the calendar features of these steps and of the next ones; None without names.

        Parameters
        ----------
        names : list of str
        steps : int
            How many next steps.

        Returns
        -------
        ndarray of shape (T + steps, c), or None
        """
        if not names or self.timeline is None or self.calendar is None:
            return None
        new = calendar_features(moments(self.timeline.after(steps)), names)
        return np.concatenate([self.calendar, new])
