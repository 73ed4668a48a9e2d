"""SequenceForecaster: what comes next in one series or several."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.metrics import r2_score

from gatewise import checks
from gatewise.data.missing import feature_means
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.estimators import parameters
from gatewise.estimators.base import SequenceEstimator
from gatewise.estimators.documentation import documented
from gatewise.estimators.fitted import transaction_of
from gatewise.estimators.reading import inputs
from gatewise.estimators.reading.missing import MISSING, completed

from .backtest import run_backtest
from .calendar import calendar_names
from .columns import check_labels, column_names, column_numbers
from .heads import GaussianHead, head_of
from .history import History
from .labels import moments
from .preparation import Preparation, checked_scaling
from .rollout import AT_ONCE, Forecasting, Past
from .series import is_several, per_series, read_features, read_target
from .state import state_of, take_state
from .table import read_table
from .unfold import unfold, unfold_future

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewise.layers import Layer
    from gatewise.training.losses import Loss
    from gatewise.training.optimizers import Optimizer

STRATEGIES = ("direct", "recursive")


class Interval(NamedTuple):
    """Bounds between which a forecast comes true; each has the form that ``predict`` gives."""

    lower: object
    upper: object


@documented
class SequenceForecaster(SequenceEstimator):
    """Forecasts of one series or several, with a recurrent network.

    The network reads the last `window` steps. Differences and scales are taken inside, learnt from
    the training part alone, and undone in what comes out.

    Parameters
    ----------
    window : int
        Steps that a forecast is made from.
    horizon : int
        Steps that are forecast at once (``strategy="direct"``), and that :meth:`predict` gives if
        not told otherwise.
    strategy : {"direct", "recursive"}
        "direct": one network says all steps up to `horizon`. "recursive": a network says one step,
        which it then reads as the last of its window, and so on: any number of steps.
    loss : str or Loss
        Of scaled numbers: "mse", "mae", "huber", ...; not with `quantiles` or `distribution`, which
        have their own.
    differencing : int
        0: none. 1: the network reads changes from step to step, and says how far later steps lie
        above the last. A season, 24 for example: the same with changes from the season before.
    scaling : {"standard", "robust", "minmax"} or None
        Of each series' differences, and of each column of X.
    quantiles : list of float, optional
        Forecast these quantiles, 0.5 among them (Koenker and Bassett 1978); needs
        ``strategy="direct"``. See :meth:`predict_quantiles` and :meth:`predict_interval`.
    distribution : {"gaussian"}, optional
        Forecast a normal distribution (Nix and Weigend 1994).
    calendar : None, "auto", or list of str
        Features of the date of the step to come, as sine and cosine: "minute", "hour", "weekday",
        "monthday", "month", "quarter", "yearday". "auto": the cycles longer than a step that the
        series went through twice.
    future_features : None, "all", or list of column names or numbers
        The columns of X that are known ahead, so that :meth:`predict` is given them as
        ``X_future``. The others are known up to now.
    stride : int
        Steps between the windows that the network is trained on.
    missing : {"error", "forward_fill", "mean", "indicator", "decay"}
        What is done about NaN in y and in X: as in :class:`SequenceClassifier`, in scaled numbers,
        for each window by itself. Nothing takes the place of a value that is to be forecast:
        windows followed by a missing one are not trained on.
    {PARAMETERS}
    {POOLING}
    {ARCHITECTURE}

    Attributes
    ----------
    calendar_ : list of str
        The calendar features in use.
    {ATTRIBUTES}

    Notes
    -----
    A sample is a window. With `early_stopping` the last part of each series is held out,
    `validation_fraction` of its steps and at least `horizon`; what is learnt, scales included,
    comes from the steps before it, and the score is minus the loss. `n_features_in_` are the
    variables of a series.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import SequenceForecaster
    >>> y = np.sin(np.arange(300) / 5)
    >>> forecaster = SequenceForecaster(window=20, horizon=10, units=16, max_iter=30, random_state=0).fit(y)
    >>> forecaster.predict().shape
    (10,)
    """

    def __init__(
        self,
        window: int = 10,
        horizon: int = 1,
        strategy: str = "direct",
        cell: str = "lstm",
        units: int = 64,
        *,
        num_layers: int = 1,
        loss: str | Loss = "mse",
        differencing: int = 0,
        scaling: str | None = "standard",
        quantiles: Sequence[float] | None = None,
        distribution: str | None = None,
        calendar: str | Sequence[str] | None = None,
        future_features: Sequence[int | str] | str | None = None,
        stride: int = 1,
        missing: str = "error",
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        architecture: str | Callable[..., list[Layer]] | None = None,
        alpha: float = 0.0,
        optimizer: str | Optimizer = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        clipnorm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        dtype: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        n_jobs: int | None = None,
    ) -> None:
        self.window = window
        self.horizon = horizon
        self.strategy = strategy
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.loss = loss
        self.differencing = differencing
        self.scaling = scaling
        self.quantiles = quantiles
        self.distribution = distribution
        self.calendar = calendar
        self.future_features = future_features
        self.stride = stride
        self.missing = missing
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.architecture = architecture
        self.alpha = alpha
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.clipnorm = clipnorm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    # ---- files

    _needed = ("n_features_in_", "n_outputs_", "out_activation_", "t_", "n_iter_", "loss_curve_")
    _own_state = (
        "_target",
        "_preparation",
        "calendar_",
        "_automatic_calendar",
        "_recursive",
        "_several",
        "_most_steps",
        "_x_names",
        "_histories",
        "_panel",
    )
    _panel = None  # of forecasters that were pickled before there were panels

    def _get_state(self):
        return state_of(self)

    def _set_state(self, state):
        take_state(self, state)

    # ---- fitting

    def fit(self, y, X=None, times=None, *, groups=None, time=None):
        """Fit to one series or several.

        Parameters
        ----------
        y : array_like (T,) or (T, k), pandas Series or DataFrame, or list of these
            Steps in order of time. The k variables of a table are forecast together. A list of
            arrays, Series or frames is several series that one network learns from, each with its
            own scale. An index holds dates or whole numbers that rise and are evenly spaced. Dates
            with a time zone are converted to the zone of the first `fit` in later calls.
        X : array_like (T, f) or frame, or list of these, optional
            Features that stand beside the steps of y. Frames are held to their columns' names in
            later calls, and an index of their own to that of y.
        times : array_like (T,), datetime64, dates or ISO 8601 text, or pandas index, or list of these, optional
            Of the steps, for `calendar`, if y has no index.
        groups, time : label, optional
            y is a long table (pandas or polars): the names of the column that says which series a
            row belongs to, and of the column of times. Rows may be in any order: each series is
            sorted by time, and a time may not come twice. `time` alone: one series. The same
            columns are then expected in later calls, and in X if it has them.

        Returns
        -------
        self

        Notes
        -----
        Several series may also come as a pandas object whose index has levels, one of them time, or
        as a dict. Forecasts have the same form, and later calls the same series, in any order.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        goes_on = hasattr(self, "model_") and checks.flag(self.warm_start, "warm_start")
        with transaction_of(self, with_model=goes_on):
            self._fit_series(y, X, times, goes_on, groups, time)
        return self

    def _fit_series(self, y, X, times, goes_on, groups, time):
        recursive = parameters.chosen(self.strategy, "strategy", STRATEGIES) == "recursive"
        head = head_of(self.loss, self.quantiles, self.distribution, recursive)
        if goes_on:
            self._check_options(head, recursive)
        self._begin(goes_on, incremental=False)
        y, X, panel = self._unfolded(y, X, times, goes_on, groups, time)
        series, features, self._several = self._read_steps(y, X, times, goes_on)
        self._panel = panel
        if goes_on:
            histories = self._histories_of(series, features)
        else:
            self._recursive = recursive
            histories = self._prepare(series, features, X)
        self._target = head
        self._most_steps = checks.whole_number(self.horizon, "horizon")
        windows, targets, self._held_out = self._samples(histories)
        with self._using_threads():
            self._train(windows, targets, None, goes_on, False)
        del self._held_out
        self._histories = [history.tail(self._preparation.context) for history in histories]

    def _unfolded(self, y, X, times, goes_on=True, groups=None, time=None, names=("y", "X")):
        """(y, X, panel): series one by one, if they are given as a panel."""
        fitted = self._panel if goes_on else None
        y, X, panel = unfold(y, X, fitted, groups, time, names)
        if panel is not None and times is not None:
            raise ConfigError(
                f"times was given beside a panel; leave times out: {names[0]} has "
                "the times of its steps itself"
            )
        if goes_on and fitted is None and panel is not None:
            raise ShapeError(
                f"{names[0]} is a panel of {len(panel.keys)} series; the forecaster "
                "was fitted to "
                f"{'a list of series' if self._several else 'one series'}: give "
                f"{names[0]} in the form of the y that "
                "it was fitted to"
            )
        return y, X, panel

    def _read_steps(self, y, X, times, goes_on=True):
        """(series, features, whether y is a list of series); with `goes_on` they are to be like those of fit."""
        if not goes_on and self.missing == "mask":
            raise ConfigError(
                "missing is 'mask'; the steps of a window are evenly spaced, and "
                "would not be with some left "
                "out: give 'forward_fill', 'mean', 'indicator' or 'decay'"
            )
        missing = (
            self._preparation.missing
            if goes_on
            else parameters.chosen(self.missing, "missing", MISSING)
        )
        series, several = read_target(y, times, missing=missing != "error")
        if goes_on:
            series = self._in_same_zone(series)
        else:
            for one in series:
                one.check_even()
        names = self._x_names if goes_on else None
        return series, read_features(X, series, several, names, missing=missing != "error"), several

    def _in_same_zone(self, series):
        """Series with their dates in the time zones of those fitted."""
        if len(series) != len(self._histories):
            return series  # which is refused later
        return [one.in_zone_of(history.timeline) for one, history in zip(series, self._histories)]

    def _prepare(self, series, features, X):
        """Learn everything that is not the network; the histories of the series."""
        self._automatic_calendar = isinstance(self.calendar, str)
        self.calendar_ = (
            []
            if self.calendar is None
            else calendar_names(moments(self._longest_index(series)), self.calendar)
        )
        histories = [
            History.of(one, None if features is None else features[number], self.calendar_)
            for number, one in enumerate(series)
        ]
        self._remember_columns(series[0], X)
        self._preparation = self._prepared(histories)
        vars(self).pop("feature_means_", None)
        if self.missing != "error":
            self.feature_means_ = self._means_of_rows(histories, self._preparation)
        return histories

    @staticmethod
    def _longest_index(series):
        longest = max(series, key=len)
        if longest.index is None:
            raise ConfigError(
                "calendar features need dates: give y with a DatetimeIndex, or "
                "times= (an array of datetime64)"
            )
        return longest.index

    def _prepared(self, histories):
        """Scales and the like, of the training part of the series."""
        window = checks.whole_number(self.window, "window")
        horizon = 1 if self._recursive else checks.whole_number(self.horizon, "horizon")
        lag = checks.whole_number(self.differencing, "differencing", 0)
        least = window + lag + horizon
        kept = [len(history) - self._validation_steps(len(history)) for history in histories]
        if min(kept) < least:
            short = int(np.argmin(kept))
            which = (
                f" in the series {self._panel.keys[short]!r}"
                if self._panel is not None and self._panel.keys
                else ""
            )
            held = " to train on, beside the validation part" if self.early_stopping else ""
            raise ShapeError(
                f"y has {min(map(len, histories))} steps "
                f"(n_samples={min(map(len, histories))}){which}; window={window}, "
                f"differencing={lag} and horizon={horizon} need at least "
                f"{least}{held}: give a longer series or a "
                "shorter window"
            )
        features = (
            None
            if histories[0].x is None
            else [history.x[:count] for history, count in zip(histories, kept)]
        )
        columns = 0 if features is None else features[0].shape[1]
        ahead = column_numbers(self.future_features, self._x_names, columns, "future_features")
        if self.future_features is not None and features is None:
            raise ConfigError("future_features names columns of X, and X was not given")
        return Preparation.fit(
            window,
            horizon,
            lag,
            checked_scaling(self.scaling),
            self.missing,
            [history.y[:count] for history, count in zip(histories, kept)],
            features,
            ahead,
        )

    def _means_of_rows(self, histories, preparation):
        """Means of what the network reads in the training part, where it was seen."""
        rows = []
        for number, history in enumerate(histories):
            part = history.head(len(history) - self._validation_steps(len(history)))
            rows.append(
                preparation.rows(number, part.y, part.x, preparation.known(part.calendar, part.x))
            )
        return feature_means(np.concatenate(rows)[None])

    def _completed(self, windows):
        """Windows as the network reads them, without NaN."""
        if self._preparation.missing == "error":
            return windows
        return completed(
            inputs.Sequences(windows), self._preparation.missing, self.feature_means_
        ).values

    def _validation_steps(self, steps):
        """Steps at the end of a series that are held out."""
        if not checks.flag(self.early_stopping, "early_stopping"):
            return 0
        fraction = checks.number(
            self.validation_fraction, "validation_fraction", 0.0, 1.0, open_low=True, open_high=True
        )
        return max(round(fraction * steps), self.horizon)

    def _samples(self, histories):
        """(windows, targets, how many of them are held out): those held out come last."""
        preparation = self._preparation
        origins = [
            self._origins(number, history, preparation) for number, history in enumerate(histories)
        ]
        count, held_out = (sum(map(len, part)) for part in zip(*origins))
        if not count or (self.early_stopping and not held_out):
            raise ShapeError(
                f"after {count} windows to train on and {held_out} to validate on "
                "nothing is missing for "
                f"{preparation.horizon} steps; expected one such window at least: "
                "fill gaps in y, or shorten horizon"
            )
        dtype = parameters.dtype_of(
            self.dtype, parameters.batch_size_of(self.batch_size, count) == count
        )
        windows, at, targets = None, 0, []
        for part in (0, 1):
            for number, (history, chosen) in enumerate(zip(histories, origins)):
                if not len(chosen[part]):
                    continue
                rows = preparation.rows(
                    number, history.y, history.x, preparation.known(history.calendar, history.x)
                ).astype(dtype)
                # a few at a time: all of them are in memory once
                for first in range(0, len(chosen[part]), AT_ONCE):
                    made = self._completed(
                        preparation.windows(rows, chosen[part][first : first + AT_ONCE], dtype)
                    )
                    if windows is None:
                        shape = (count + held_out, *made.shape[1:])
                        checks.fits_memory(
                            math.prod(shape), made.dtype, f"an array of {shape[0]} windows"
                        )
                        windows = np.empty(shape, made.dtype)
                    windows[at : at + len(made)] = made
                    at += len(made)
                targets.append(preparation.targets(number, history.y, chosen[part]))
        return inputs.Sequences(windows), np.concatenate(targets), held_out

    def _origins(self, number, history, preparation):
        """Origins of a series to train on, and to validate on: those whose targets all lie in the one part or the other, and are
        known."""
        stride = checks.whole_number(self.stride, "stride")
        steps = len(history)
        edge = steps - self._validation_steps(steps)
        train = np.arange(preparation.context - 1, edge - preparation.horizon, stride)
        return [
            origins[~np.isnan(preparation.targets(number, history.y, origins)).any(axis=1)]
            for origins in (train, np.arange(edge - 1, steps - preparation.horizon, stride))
        ]

    def _split(self, sequences, targets, weights):
        train, held_out = np.split(np.arange(len(sequences)), [len(sequences) - self._held_out])
        return (
            sequences.take(train),
            targets[train],
            None,
            (sequences.take(held_out), targets[held_out], None),
        )

    def _check_options(self, head, recursive):
        """Refuse to go on with another network than the one fitted, or with other data for it."""
        fitted = self._preparation
        ahead = column_numbers(
            self.future_features, self._x_names, len(fitted.x_center), "future_features"
        )
        calendar = [] if self.calendar is None else list(self.calendar)
        same = {
            "window": self.window == fitted.window,
            "horizon": recursive or self.horizon == fitted.horizon,
            "strategy": recursive == self._recursive,
            "differencing": self.differencing == fitted.lag,
            "scaling": self.scaling == fitted.scaling,
            "future_features": ahead == fitted.ahead,
            "missing": self.missing == fitted.missing,
            "calendar": (
                self._automatic_calendar if self.calendar == "auto" else calendar == self.calendar_
            ),
            "quantiles": np.array_equal(head.quantiles, self._target.quantiles),
            "distribution": isinstance(head, GaussianHead)
            == isinstance(self._target, GaussianHead),
        }
        changed = [name for name, is_same in same.items() if not is_same]
        if changed:
            raise ConfigError(
                "warm_start=True goes on with the network of the last fit, and"
                f" {', '.join(changed)} changed since; set warm_start=False, or set"
                f" {'them' if len(changed) > 1 else 'it'} back"
            )

    def _remember_columns(self, series, X):
        self.n_features_in_ = series.values.shape[1]
        vars(self).pop("feature_names_in_", None)
        if series.form.kind == "frame" and all(isinstance(name, str) for name in series.form.names):
            self.feature_names_in_ = np.array(series.form.names, object)
        self._x_names = column_names(X[0] if is_several(X) else X)

    # ---- forecasting

    def predict(self, horizon=None, X_future=None):
        """The steps that come after those seen.

        Parameters
        ----------
        horizon : int, optional
            Steps. None: as many as the constructor says. Not more than that with
            ``strategy="direct"``.
        X_future : array_like (horizon, f) or frame, or list of these, optional
            The columns of X that are known ahead, in the steps to come; all columns of X will do.
            With ``strategy="direct"`` as many steps as the constructor's horizon.

        Returns
        -------
        ndarray (horizon,) or (horizon, k), Series or DataFrame, or list of these
            In the form of y; indices go on.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        return self._written(self._points(horizon, X_future))

    def _points(self, horizon, X_future):
        """The forecast of each series, ndarray (steps, k)."""
        steps, pasts = self._pasts(horizon, X_future)
        return [self._forecasting().point(past, steps)[0] for past in pasts]

    def predict_interval(self, horizon=None, coverage=0.9, X_future=None, n_paths=1000):
        """Bounds between which each of the steps to come lies with a probability of `coverage`.

        Parameters
        ----------
        horizon, X_future
            See :meth:`predict`.
        coverage : float in (0, 1)
            With quantiles a and 1 - a, 1 - 2a can be asked for; with a normal distribution
            anything.
        n_paths : int
            With ``strategy="recursive"``: paths to draw, from `random_state`.

        Returns
        -------
        Interval
            (lower, upper), each in the form of y.
        """
        bounds = self._bounds(horizon, coverage, X_future, n_paths)
        return Interval(*(self._written([pair[side] for pair in bounds]) for side in (0, 1)))

    def _bounds(self, horizon, coverage, X_future, n_paths):
        """(lower, upper) for each series, ndarray (steps, k)."""
        coverage = checks.number(coverage, "coverage", 0.0, 1.0, open_low=True, open_high=True)
        n_paths = checks.whole_number(n_paths, "n_paths", 2)
        steps, pasts = self._pasts(horizon, X_future)
        rng = np.random.default_rng(parameters.seed_of(self.random_state))
        bounds = [self._forecasting().bounds(past, steps, coverage, n_paths, rng) for past in pasts]
        return [(lower[0], upper[0]) for lower, upper in bounds]

    def predict_quantiles(self, horizon=None, quantiles=None, X_future=None, n_paths=1000):
        """Quantiles of each of the steps to come.

        Parameters
        ----------
        horizon, X_future
            See :meth:`predict`.
        quantiles : float in (0, 1), list of float, or None
            Which ones. None: all that the forecaster was built with. A forecaster with `quantiles`
            gives these only, and one with a normal distribution any, which must be named.
        n_paths : int
            With ``strategy="recursive"``: paths to draw, from `random_state`.

        Returns
        -------
        dict of float to forecast, or one forecast
            For each quantile, in the order asked for, a forecast in the form that :meth:`predict`
            gives. If `quantiles` is one number: that forecast alone. A higher quantile is nowhere
            below a lower one, and 0.5 is what :meth:`predict` gives, if it does not come from
            paths.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        self._need_fitted()
        levels = self._levels(quantiles)
        n_paths = checks.whole_number(n_paths, "n_paths", 2)
        steps, pasts = self._pasts(horizon, X_future)
        rng = np.random.default_rng(parameters.seed_of(self.random_state))
        found = [self._forecasting().quantiles(past, steps, levels, n_paths, rng) for past in pasts]
        written = [
            self._written([one[number][0] for one in found]) for number in range(len(levels))
        ]
        return dict(zip(levels, written)) if quantiles is None or np.ndim(quantiles) else written[0]

    def _levels(self, quantiles):
        """The quantiles that a caller asks for, checked: list of float."""
        if quantiles is None:
            if not len(self._target.quantiles):
                self._target.check_levels([])  # a network that gives single numbers refuses
                raise ConfigError(
                    "quantiles is None, and the forecaster was built with "
                    "distribution='gaussian', which gives any: "
                    "name them, for example quantiles=[0.1, 0.5, 0.9]"
                )
            return [float(level) for level in self._target.quantiles]
        given = (
            [quantiles]
            if np.ndim(quantiles) == 0
            else checks.listed(quantiles, "quantiles", "numbers between 0 and 1")
        )
        levels = [
            checks.number(level, "quantiles", 0.0, 1.0, open_low=True, open_high=True)
            for level in given
        ]
        if not levels or len(set(levels)) < len(levels):
            raise ConfigError(
                f"quantiles is {quantiles!r}; expected one quantile or more, each once"
            )
        self._target.check_levels(levels)
        return levels

    def update(self, y_new, X_new=None, times=None):
        """Go on from later steps, without training.

        What is carried on is the end of the series and its labels. The network's state is not: each
        forecast reads the last window from a state of zeros, as in training.

        Parameters
        ----------
        y_new : like y in :meth:`fit`
            The steps that came after those seen; of each series, where there are several.
        X_new : like X, for those steps, optional
        times : like times, optional
            None: at the distances of those before.

        Returns
        -------
        self
        """
        self._need_fitted()
        with transaction_of(self, with_model=False):
            series, features = self._read_more(y_new, X_new, times)
            self._histories = [
                history.tail(self._preparation.context)
                for history in self._followed(series, features, "y_new")
            ]
        return self

    def score(self, y, X=None, times=None):
        """R squared of forecasts of the steps that come after those seen, `horizon` of them from each step on.

        A forecast is made from all that is known by then: first the steps seen in :meth:`fit` and
        :meth:`update`, then those of y as they come. Nothing is trained, and the forecaster stays
        where it is.

        Parameters
        ----------
        y, X, times
            As in :meth:`update`.

        Returns
        -------
        float
            The mean over variables; 1 is best, and 0 is as good as the mean of y. Steps with a
            missing value are left out.
        """
        return float(r2_score(*self.forecasts_beside(y, X, times)))

    def forecasts_beside(self, y, X=None, times=None):
        """What :meth:`score` compares: the steps of y, and the forecasts of them.

        Parameters
        ----------
        y, X, times
            As in :meth:`update`.

        Returns
        -------
        truth, forecasts : ndarray (n, k)
            For each step of y from which a whole forecast can be made, the `horizon` steps after
            it, of all series. Steps with a missing value are left out.
        """
        self._need_fitted()
        steps = self._most_steps
        series, features = self._read_more(y, X, times)
        truths, forecasts = [], []
        for number, (one, history) in enumerate(zip(series, self._followed(series, features, "y"))):
            if len(one) < max(2, steps):
                raise ShapeError(
                    f"y has {len(one)} steps; a score needs at least {max(2, steps)}, "
                    "for a whole forecast"
                )
            before = len(history) - len(one)
            origins = np.arange(before - 1, len(history) - steps)
            forecast = self._forecasts_from(number, history, origins, steps)
            truth = history.y[origins[:, None] + np.arange(1, steps + 1)]
            seen = ~np.isnan(truth).any(axis=2)
            truths.append(truth[seen])
            forecasts.append(forecast[seen])
        return np.concatenate(truths), np.concatenate(forecasts)

    def backtest(
        self,
        y,
        X=None,
        times=None,
        *,
        initial=None,
        horizon=None,
        step=1,
        refit=False,
        groups=None,
        time=None,
    ):
        """Forecasts from one origin after the other, each from what was known by then.

        Parameters
        ----------
        y, X, times
            As in :meth:`fit`. NaN may stand where no forecast looks. Of X the columns that are
            known ahead are looked at up to `horizon` steps after an origin; nothing else is.
        initial : int, optional
            Steps before the first forecast. A clone is fitted to them. None: this forecaster, as it
            was fitted, begins as soon as y has the steps that a forecast is made from.
        horizon : int, optional
            Steps of each forecast. None: as many as the constructor says.
        step : int
            Steps from one origin to the next.
        refit : bool
            Fit a clone to all steps before each origin, not only before the first.
        groups, time : label, optional
            As in :meth:`fit`; only needed with `initial`.

        Returns
        -------
        Backtest, or list of Backtest if y is a list of series, or dict of Backtest by label if it
        is a panel
            ``origins``, ``forecasts``, ``actuals``, ``mae``, ``rmse``, ... of each step ahead;
            ``to_frame()``, ``by_step()``.
        """
        return run_backtest(self, y, X, times, initial, horizon, step, refit, groups, time)

    # ---- what forecasts start from

    def _steps(self, horizon):
        """Steps of a forecast: those asked for, or as many as the constructor said."""
        if hasattr(horizon, "__len__"):
            raise DTypeError(
                f"horizon is a {type(horizon).__name__}; expected a number of steps. predict goes"
                " on from the steps seen in fit and update, and takes no data; if a scorer of"
                " scikit-learn gave it some, use"
                " scoring=gatewise.estimators.get_scorer('neg_mean_absolute_error'), or no scoring"
            )
        steps = self._most_steps if horizon is None else checks.whole_number(horizon, "horizon")
        if steps > self._most_steps and not self._recursive:
            raise ConfigError(
                f"horizon is {steps}; strategy='direct' forecasts the "
                f"{self._most_steps} steps that it was fitted "
                f"for: fit with horizon={steps}, or with strategy='recursive', which "
                "forecasts any number"
            )
        return steps

    def _pasts(self, horizon, X_future):
        """(steps, where the forecast of each series starts)."""
        self._need_fitted()
        steps = self._steps(horizon)
        self._check_recursion(steps)
        futures = self._futures(X_future, self._steps_known_ahead(steps))
        pasts = []
        for number, (history, future) in enumerate(zip(self._histories, futures)):
            x = history.x if future is None else np.concatenate([history.x, future])
            known = self._preparation.known(history.calendar_ahead(self.calendar_, steps), x)
            pasts.append(Past(number, history.y, history.x, known, np.array([len(history) - 1])))
        return steps, pasts

    def _check_recursion(self, steps):
        if self._recursive and steps > 1 and self._preparation.past:
            raise ConfigError(
                f"horizon is {steps}; strategy='recursive' goes on to a second step "
                "only where all columns of X are "
                "known ahead: name them in future_features, or use "
                "strategy='direct'"
            )

    def _futures(self, X_future, needed):
        """What is known ahead, for each series: ndarray (needed, columns of X), or None."""
        ahead, width = self._preparation.ahead, len(self._preparation.x_center)
        if not ahead:
            if X_future is not None:
                raise ConfigError(
                    "X_future was given, and no column of X is known ahead: name "
                    "them in future_features"
                )
            return [None] * len(self._histories)
        if X_future is None:
            raise ConfigError(
                f"predict needs X_future, {needed} steps of the {len(ahead)} columns "
                "of X that are known ahead "
                f"(future_features={self.future_features!r})"
            )
        parts = per_series(
            unfold_future(X_future, self._panel), len(self._histories), self._several, "X_future"
        )
        for part, history in zip(parts, self._histories):
            if history.timeline is not None and history.timeline.freq is not None:
                check_labels(part, history.timeline.after(needed), "X_future")
        return [self._future(part, needed, width) for part in parts]

    def _future(self, given, needed, width):
        ahead = self._preparation.ahead
        if hasattr(given, "columns") and self._x_names is not None:
            names = [self._x_names[column] for column in ahead]
            missing = [name for name in names if name not in list(given.columns)]
            if missing:
                raise ShapeError(
                    f"X_future lacks the columns {missing}; it has {list(given.columns)}"
                )
            given = given[names]
        values = read_table(given, "X_future", self._preparation.missing != "error")
        if values.shape == (needed, width):
            return values
        if values.shape != (needed, len(ahead)):
            raise ShapeError(
                f"X_future has shape {values.shape}; expected ({needed}, "
                f"{len(ahead)}): {needed} steps of the columns "
                "of X that are known ahead"
            )
        whole = np.full((needed, width), np.nan)  # the other columns are not looked at
        whole[:, ahead] = values
        return whole

    def _steps_known_ahead(self, steps):
        """How many steps of X_future a forecast of `steps` needs; 0 where nothing is known ahead."""
        if not self._preparation.ahead:
            return 0
        return steps if self._recursive else self._preparation.horizon

    def _forecasts_from(self, number, history, origins, steps):
        """Forecasts after steps of a history that goes on beyond them: (n, steps, k)."""
        self._check_recursion(steps)
        known = self._preparation.known(history.calendar, history.x)
        return self._forecasting().point(Past(number, history.y, history.x, known, origins), steps)

    def _histories_of(self, series, features):
        """Histories of series that need not go on from those seen."""
        if len(series) != len(self._histories):
            raise ShapeError(
                f"y has {len(series)} series; the forecaster was fitted on {len(self._histories)}"
            )
        for number, (one, history) in enumerate(zip(series, self._histories)):
            history.check_columns(one, None if features is None else features[number], "y")
            history.check_spacing(one)
        if self.calendar_:
            self._longest_index(series)
        return [
            History.of(one, None if features is None else features[number], self.calendar_)
            for number, one in enumerate(series)
        ]

    def _read_more(self, y, X, times):
        """(series, features) of later steps."""
        y, X, _ = self._unfolded(y, X, times)
        series, features, several = self._read_steps(y, X, times)
        if several != self._several or len(series) != len(self._histories):
            raise ShapeError(
                f"{len(series)} series were given{' in a list' if several else ''}; expected"
                f" {f'a list of {len(self._histories)}' if self._several else 'one, not in a list'},"
                " as in fit"
            )
        return series, features

    def _followed(self, series, features, what):
        return [
            history.extended(
                one, None if features is None else features[number], self.calendar_, what
            )
            for number, (history, one) in enumerate(zip(self._histories, series))
        ]

    def _written(self, forecasts):
        """Forecasts (steps, k) in the form of the series."""
        written = [
            history.form.write(values, history.timeline)
            for history, values in zip(self._histories, forecasts)
        ]
        if self._panel is not None:
            return self._panel.write(written)
        return written if self._several else written[0]

    def _forecasting(self):
        return Forecasting(
            self._outputs_of,
            self._preparation,
            self._target,
            self._recursive,
            self.model_.dtype,
            None if self._preparation.missing == "error" else self._completed,
            self.model_.unchanged,
        )

    def _outputs_of(self, windows):
        """The network's outputs (n, outputs), float64."""
        return self._run(inputs.Sequences(windows), -1).astype(np.float64)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # rows of y are steps, not samples to predict
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = False
        tags.input_tags.one_d_array = True
        return tags
