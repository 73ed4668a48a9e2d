"""SeenSeries: the series that a forecaster has seen, and the form they had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError, ShapeError

from .calendar import calendar_names
from .history import History
from .series.columns import column_names
from .series.labels import moments
from .series.reading import Series, is_several, read_features, read_target
from .series.unfold import Unfolded, unfold

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from .series.advice import Labels
    from .series.panel import Panel


@dataclass(frozen=True)
class SeenSeries:
    """The series that a forecaster was fitted to or updated with, and the form they had.

    Attributes
    ----------
    histories : list of History
    several : bool
        Whether y was a list of series, or a panel.
    panel : Panel or None
        The form of y, if it was a panel.
    x_names : sequence or None
        The columns of X, if they have names.
    calendar : list of str
        The calendar features in use.
    missing : bool
        Whether NaN is accepted.
    """

    histories: Sequence[History]
    several: bool
    panel: Panel | None
    x_names: Sequence[Any] | None
    calendar: list[str]
    missing: bool

    @classmethod
    def read(
        cls, y: Any, X: Any, times: Any, groups: Any, time: Any, *, calendar: Any, missing: bool
    ) -> SeenSeries:
        """Read the series of a first fit.

        Parameters
        ----------
        y, X, times, groups, time
            See :meth:`SequenceForecaster.fit`.
        calendar : None, "auto", or list of str
            The parameter of the forecaster.
        missing : bool
            Whether NaN is accepted.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        y, X, panel = unfold(y, X, None, groups, time)
        refuse_times_of_panel(panel, times)
        series, several = read_target(y, times, missing=missing)
        for one in series:
            one.check_even()
        features = read_features(X, series, several, missing=missing)
        names = [] if calendar is None else calendar_names(_longest_dates(series), calendar)
        return cls(
            _histories(series, features, names),
            several=several,
            panel=panel,
            x_names=column_names(X[0] if is_several(X) else X),
            calendar=names,
            missing=missing,
        )

    def __len__(self) -> int:
        return len(self.histories)

    def last(self, steps: int) -> SeenSeries:
        """Return the last steps of each series, as copies."""
        return replace(self, histories=[history.last(steps) for history in self.histories])

    # ---- reading later series

    def unfold(self, y: Any, X: Any, times: Any, groups: Any = None, time: Any = None) -> Unfolded:
        """Take a panel apart, which must have the form of the series seen.

        Raises
        ------
        ConfigError, ShapeError, DTypeError
        """
        unfolded = unfold(y, X, self.panel, groups, time)
        refuse_times_of_panel(unfolded.panel, times)
        if self.panel is None and unfolded.panel is not None:
            form = "a list of series" if self.several else "one series"
            raise ShapeError(
                f"y is a panel of {len(unfolded.panel.keys)} series; the forecaster was fitted to"
                f" {form}: give y in the form of the y that it was fitted to"
            )
        return unfolded

    def replaced(self, y: Any, X: Any, times: Any, groups: Any, time: Any) -> SeenSeries:
        """Read other series of the same form, which need not follow those seen.

        Parameters
        ----------
        y, X, times, groups, time
            See :meth:`SequenceForecaster.fit`.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        y, X, panel = self.unfold(y, X, times, groups, time)
        series, several = read_target(y, times, missing=self.missing)
        series = self.in_same_zones(series)
        features = read_features(X, series, several, self.x_names, missing=self.missing)
        return replace(
            self, histories=self.histories_of(series, features), several=several, panel=panel
        )

    def histories_of(
        self, series: Sequence[Series], features: Sequence[np.ndarray] | None
    ) -> list[History]:
        """Return histories of other series, checked to have the form of those seen.

        Raises
        ------
        ConfigError, ShapeError
        """
        if len(series) != len(self):
            raise ShapeError(
                f"y has {len(series)} series; the forecaster was fitted on {len(self)}"
            )
        for number, (one, history) in enumerate(zip(series, self.histories)):
            history.check_columns(one, None if features is None else features[number], "y")
            history.check_spacing(one)
        if self.calendar:
            _longest_dates(series)
        return _histories(series, features, self.calendar)

    def extended(self, y: Any, X: Any, times: Any, what: str) -> SeenSeries:
        """Return these series continued by later steps.

        Parameters
        ----------
        y, X, times
            See :meth:`SequenceForecaster.update`.
        what : str
            How messages call y.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        y, X, _ = self.unfold(y, X, times)
        series, several = read_target(y, times, missing=self.missing)
        series = self.in_same_zones(series)
        features = read_features(X, series, several, self.x_names, missing=self.missing)
        if several != self.several or len(series) != len(self):
            expected = f"a list of {len(self)}" if self.several else "one, not in a list"
            raise ShapeError(
                f"{len(series)} series were given{' in a list' if several else ''}; expected"
                f" {expected}, as in fit"
            )
        histories = [
            history.extended(
                one, None if features is None else features[number], self.calendar, what
            )
            for number, (history, one) in enumerate(zip(self.histories, series))
        ]
        return replace(self, histories=histories)

    def in_same_zones(self, series: list[Series]) -> list[Series]:
        """Return series with their dates in the time zones of those seen.

        Raises
        ------
        ShapeError
            One has a time zone, and the other has none.
        """
        if len(series) != len(self):
            return series  # refused later, with a message on the number of series
        return [one.in_zone_of(history.timeline) for one, history in zip(series, self.histories)]

    # ---- writing forecasts

    def write(self, forecasts: Sequence[np.ndarray]) -> Any:
        """Return forecasts in the form of the series.

        Parameters
        ----------
        forecasts : list of ndarray of shape (steps, k)
            The steps after the end of each series.

        Returns
        -------
        ndarray, Series or DataFrame, or list of these, or the form of a panel
        """
        written = [
            history.form.write(values, history.timeline)
            for history, values in zip(self.histories, forecasts)
        ]
        if self.panel is not None:
            return self.panel.write(written)
        return written if self.several else written[0]


def refuse_times_of_panel(panel: Panel | None, times: Any) -> None:
    """Refuse `times` for a panel, which has the times of its steps itself.

    Raises
    ------
    ConfigError
    """
    if panel is not None and times is not None:
        raise ConfigError(
            "times was given, and y is a panel; leave times out: y has the times of its steps"
            " itself"
        )


def _histories(
    series: Sequence[Series], features: Sequence[np.ndarray] | None, calendar: Sequence[str]
) -> list[History]:
    return [
        History.of(one, None if features is None else features[number], calendar)
        for number, one in enumerate(series)
    ]


def _longest_dates(series: Sequence[Series]) -> Labels:
    """Return the dates of the longest series.

    Raises
    ------
    ConfigError
        A series has no labels.
    """
    for one in series:
        if one.index is None:
            raise ConfigError(
                "calendar features need dates: give y with a DatetimeIndex, or times= (an array of"
                " datetime64)"
            )
    return moments(max(series, key=len).index)
