"""The part of a forecaster that learns from series: scales, means and the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError
from gatewise.estimators import parameters
from gatewise.estimators.base import SequenceEstimator
from gatewise.estimators.reading.missing import MISSING, completed
from gatewise.estimators.reading.sequences import Sequences
from gatewise.estimators.targets.base import Examples

from .heads import GaussianHead, Head, head_of
from .preparation import Preparation
from .samples import ValidationPart, WindowCutter, means_of_rows
from .scaling import checked_scaling
from .seen import SeenSeries
from .series.columns import column_numbers
from .state import state_of, take_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array
    from gatewise.training.losses import Loss

    from .history import History

STRATEGIES = ("direct", "recursive")


class Fitting(SequenceEstimator):
    """Fits a forecaster, and holds what was learned."""

    # Parameters, see SequenceForecaster.
    window: int
    horizon: int
    strategy: str
    loss: str | Loss
    differencing: int
    scaling: str | None
    quantiles: Sequence[float] | None
    distribution: str | None
    calendar: str | Sequence[str] | None
    future_features: Sequence[int | str] | str | None
    stride: int

    n_features_in_: int
    feature_names_in_: Array
    feature_means_: Array
    calendar_: list[str]
    _target: Head
    _preparation: Preparation
    _seen: SeenSeries
    _recursive: bool
    _most_steps: int
    _automatic_calendar: bool
    _held_out: int  # during fit: the number of windows at the end that are for validation

    # ---- files

    _needed = ("n_features_in_", "n_outputs_", "out_activation_", "t_", "n_iter_", "loss_curve_")
    _own_state = (
        "_target",
        "_preparation",
        "_seen",
        "calendar_",
        "_automatic_calendar",
        "_recursive",
        "_most_steps",
    )

    def _get_state(self) -> dict[str, Any]:
        return state_of(self)

    def _set_state(self, state: dict[str, Any]) -> None:
        take_state(self, state)

    # ---- fitting

    def _fit_series(
        self, y: Any, X: Any, times: Any, groups: Any, time: Any, *, goes_on: bool
    ) -> None:
        """Fit from the start, or with `goes_on` continue with the network of the last fit."""
        recursive = parameters.chosen(self.strategy, "strategy", STRATEGIES) == "recursive"
        head = head_of(self.loss, self.quantiles, self.distribution, recursive)
        if goes_on:
            self._refuse_changes(head, recursive)
        self._begin(goes_on, incremental=False)
        if goes_on:
            seen = self._seen.replaced(y, X, times, groups, time)
        else:
            seen = SeenSeries.read(
                y, X, times, groups, time, calendar=self.calendar, missing=self._accepts_nan()
            )
            self._recursive = recursive
            self._learn(seen)
        self._target = head
        self._most_steps = checks.whole_number(self.horizon, "horizon")
        self._train_on(seen, goes_on)
        self._seen = seen.last(self._preparation.context)

    def _accepts_nan(self) -> bool:
        """Return whether the parameter `missing` accepts NaN."""
        if self.missing == "mask":
            raise ConfigError(
                "missing is 'mask', which leaves steps out, and the steps of a window are evenly"
                " spaced: give 'forward_fill', 'mean', 'indicator' or 'decay'"
            )
        return parameters.chosen(self.missing, "missing", MISSING) != "error"

    def _learn(self, seen: SeenSeries) -> None:
        """Learn everything that is not the network."""
        self.calendar_ = seen.calendar
        self._automatic_calendar = isinstance(self.calendar, str)
        form = seen.histories[0].form
        self.n_features_in_ = seen.histories[0].y.shape[1]
        self.__dict__.pop("feature_names_in_", None)
        if form.kind == "frame" and all(isinstance(name, str) for name in form.names or ()):
            self.feature_names_in_ = np.array(form.names, object)
        self._preparation = self._prepared(seen)
        self.__dict__.pop("feature_means_", None)
        if self._preparation.fills_gaps:
            self.feature_means_ = means_of_rows(
                seen.histories, self._preparation, self._validation()
            )

    def _validation(self) -> ValidationPart:
        """Return which part of the series is held out."""
        if not checks.flag(self.early_stopping, "early_stopping"):
            return ValidationPart(0.0, 0)
        fraction = checks.number(
            self.validation_fraction, "validation_fraction", 0.0, 1.0, open_low=True, open_high=True
        )
        return ValidationPart(fraction, checks.whole_number(self.horizon, "horizon"))

    def _prepared(self, seen: SeenSeries) -> Preparation:
        """Return differences and scales, learned from the training part of the series."""
        window = checks.whole_number(self.window, "window")
        horizon = 1 if self._recursive else checks.whole_number(self.horizon, "horizon")
        lag = checks.whole_number(self.differencing, "differencing", 0)
        validation = self._validation()
        parts = [validation.before(history) for history in seen.histories]
        if min(map(len, parts)) < window + lag + horizon:
            self._refuse_short(seen, parts, window, lag, horizon)
        features = [part.x for part in parts if part.x is not None]
        if self.future_features is not None and not features:
            raise ConfigError("future_features names columns of X, and X was not given")
        width = features[0].shape[1] if features else 0
        return Preparation.fit(
            [part.y for part in parts],
            features or None,
            window=window,
            horizon=horizon,
            lag=lag,
            ahead=column_numbers(self.future_features, seen.x_names, width, "future_features"),
            scaling=checked_scaling(self.scaling),
            missing=self.missing,
        )

    def _refuse_short(
        self, seen: SeenSeries, parts: Sequence[History], window: int, lag: int, horizon: int
    ) -> NoReturn:
        """Refuse series that are too short to train on."""
        steps = min(map(len, seen.histories))
        number = int(np.argmin([len(part) for part in parts]))
        which = ""
        if seen.panel is not None and seen.panel.keys:
            which = f" in the series {seen.panel.keys[number]!r}"
        held = " to train on, before the validation part" if self.early_stopping else ""
        raise ShapeError(
            f"y has {steps} steps (n_samples={steps}){which}; window={window}, differencing={lag}"
            f" and horizon={horizon} need at least {window + lag + horizon}{held}: give a longer"
            " series or a shorter window"
        )

    def _train_on(self, seen: SeenSeries, goes_on: bool) -> None:
        """Train the network on windows of the series."""
        cutter = WindowCutter(
            self._preparation,
            self._target,
            self._validation(),
            checks.whole_number(self.stride, "stride"),
            self._completed,
        )
        samples = cutter.samples(seen.histories, self._dtype_for)
        self._held_out = samples.held_out
        with self._using_threads():
            self._train(
                Examples(Sequences(samples.windows), samples.targets),
                goes_on=goes_on,
                incremental=False,
            )
        del self._held_out

    def _dtype_for(self, count: int) -> str:
        """Return what the network computes in if it is trained on `count` windows."""
        whole = parameters.batch_size_of(self.batch_size, count) == count
        return parameters.dtype_of(self.dtype, whole)

    def _completed(self, windows: Array) -> Array:
        """Return windows as the network reads them, without NaN."""
        if not self._preparation.fills_gaps:
            return windows
        return completed(Sequences(windows), self._preparation.missing, self.feature_means_).values

    def _split(self, examples: Examples) -> tuple[Examples, Examples]:
        """Split off the windows that are held out, which are the last ones."""
        count = len(examples.sequences)
        train, held_out = np.split(np.arange(count), [count - self._held_out])
        return examples.take(train), examples.take(held_out)

    def _refuse_changes(self, head: Head, recursive: bool) -> None:
        """Refuse to continue with a network that the parameters no longer describe."""
        fitted = self._preparation
        ahead = column_numbers(
            self.future_features, self._seen.x_names, len(fitted.x_center), "future_features"
        )
        calendar = [] if self.calendar is None else list(self.calendar)
        automatic = isinstance(self.calendar, str) and self.calendar == "auto"
        same = {
            "window": self.window == fitted.window,
            "horizon": recursive or self.horizon == fitted.horizon,
            "strategy": recursive == self._recursive,
            "differencing": self.differencing == fitted.lag,
            "scaling": self.scaling == fitted.scaling,
            "future_features": ahead == fitted.ahead,
            "missing": self.missing == fitted.missing,
            "calendar": self._automatic_calendar if automatic else calendar == self.calendar_,
            "quantiles": np.array_equal(head.quantiles, self._target.quantiles),
            "distribution": isinstance(head, GaussianHead)
            == isinstance(self._target, GaussianHead),
        }
        changed = [name for name, is_same in same.items() if not is_same]
        if changed:
            raise ConfigError(
                "warm_start=True continues with the network of the last fit, and"
                f" {', '.join(changed)} changed since; set warm_start=False, or set"
                f" {'them' if len(changed) > 1 else 'it'} back"
            )
