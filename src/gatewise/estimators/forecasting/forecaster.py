"""SequenceForecaster: forecasts of one time series or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.metrics import r2_score

from gatewise import checks
from gatewise.estimators.fitted import transaction_of

from .backtesting import forecasts_beside, run_backtest
from .heads import levels_of
from .running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from gatewise._typing import Array
    from gatewise.layers import Layer
    from gatewise.training.losses import Loss
    from gatewise.training.optimizers import Optimizer

    from .backtest import Backtest


class Interval(NamedTuple):
    """Lower and upper bounds of forecasts, each in the form that ``predict`` returns."""

    lower: Any
    upper: Any


class SequenceForecaster(Running):
    """Forecasts of one time series or several, with a recurrent network.

    The network reads the last `window` steps. The forecaster differences and scales the series
    itself, with scales learned from the training part only, and returns forecasts in the units of
    the series.

    Parameters
    ----------
    window : int, default 10
        Steps that a forecast is made from.
    horizon : int, default 1
        Steps that are forecast at once (``strategy="direct"``), and that :meth:`predict` returns by
        default.
    strategy : {"direct", "recursive"}, default "direct"
        "direct": one network forecasts all steps up to `horizon`. "recursive": a network forecasts
        one step, which it then reads as the last of its window, and so on, for any number of steps.
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Kind of the recurrent layers: LSTM, GRU or SimpleRNN.
    units : int, default 64
        Number of units in each recurrent layer.
    num_layers : int, default 1
        Number of recurrent layers, each on top of the one before.
    loss : str or Loss, default "mse"
        Loss of scaled numbers: "mse", "mae", "huber", ...; not with `quantiles` or `distribution`,
        which have their own.
    differencing : int, default 0
        Steps between the values of a difference. 0: no differences. 1: the network reads changes
        from step to step, and forecasts how far later steps are above the last. A season, 24 for
        example: the same with changes since the season before.
    scaling : {"standard", "robust", "minmax"} or None, default "standard"
        How each series' differences, and each column of X, are scaled.
    quantiles : list of float in (0, 1), default None
        Forecast these quantiles, 0.5 among them (Koenker and Bassett 1978); needs
        ``strategy="direct"``. See :meth:`predict_quantiles` and :meth:`predict_interval`.
    distribution : {"gaussian"}, default None
        Forecast a normal distribution (Nix and Weigend 1994).
    calendar : None, "auto", or list of str, default None
        Features of the date of the next step, as sine and cosine: "minute", "hour", "weekday",
        "monthday", "month", "quarter", "yearday". "auto": the cycles that are longer than a step
        and that the series contains at least twice.
    future_features : None, "all", or list of column names or numbers, default None
        The columns of X that are known ahead; :meth:`predict` receives them as ``X_future``. The
        other columns are known up to the last step.
    stride : int, default 1
        Steps between the windows that the network is trained on.
    missing : {"error", "forward_fill", "mean", "indicator", "decay"}, default "error"
        How NaN in y and in X is replaced: as in :class:`SequenceClassifier`, in scaled numbers, in
        each window separately. A value that is to be forecast is never replaced: windows that are
        followed by a missing value are not trained on.
    bidirectional : bool, default False
        Whether each recurrent layer reads its sequence in both directions.
    pooling : {"last", "mean", "max"}, default "last"
        How the steps of the last layer become one vector: its output at the last step, or the mean
        or maximum over all steps. docs/estimators.md says when to use which.
    dropout : float in [0, 1), default 0.0
        Share of the outputs of each recurrent layer that are set to zero in training.
    recurrent_dropout : float in [0, 1), default 0.0
        Share of the state that is set to zero in the recurrent product in training; the same units
        for all steps of a sequence.
    architecture : str, callable or None, default None
        Layers around the recurrent ones. None or "recurrent": those that the parameters describe.
        "convolution": before them a convolution over 5 steps. "attention": after them attention of
        each step to all others (Luong et al. 2015), then the mean, or maximum, over the steps.
        "normalization": after each of them layer normalization (Ba et al. 2016). A function makes
        all layers itself: it is called with n_steps, n_features and n_outputs and returns a list of
        :mod:`gatewise.layers` objects that ends in n_outputs scores; the activation of the output
        is added. With `embedding`, an Embedding is put before them, and n_features is the size of
        its vectors. The other parameters that describe layers, and `alpha`, have no effect then.
    alpha : float, default 0.0
        L2 penalty on kernels: ``alpha / 2`` times the sum of their squares, divided by the number
        of samples in a batch, is added to the loss.
    optimizer : str or Optimizer, default "adam"
        A name in :mod:`gatewise.optimizers`, or an optimizer, of which a copy is used;
        `learning_rate_init` and `clipnorm` have no effect on the latter.
    learning_rate : {"constant", "cosine", "adaptive"}, default "constant"
        How the learning rate changes. "cosine": it falls along half a cosine over `max_iter`
        passes, all of which are run unless `early_stopping` ends them. "adaptive": it is divided by
        5 each time that training would end. `partial_fit` uses a constant rate with "cosine".
    learning_rate_init : float, default 0.001
        Learning rate of the first step.
    clipnorm : float or None, default 1.0
        Largest norm of the whole gradient; a larger gradient is scaled down to it. None: no limit.
    batch_size : int or "auto", default "auto"
        Samples in a batch. "auto": all samples if there are up to 32; else as many that a pass
        makes 16 steps, but at least 8 and at most 32.
    max_iter : int, default 100
        Largest number of passes over the samples.
    shuffle : bool, default True
        Whether each pass takes the samples in a new random order.
    early_stopping : bool, default False
        Whether to hold out part of the samples, end training when their score no longer rises, and
        keep the weights that had the best score.
    validation_fraction : float in (0, 1), default 0.1
        Share of the samples that `early_stopping` holds out.
    n_iter_no_change : int, default 10
        Training ends after more than this number of passes in a row without an improvement by
        `tol`.
    tol : float, default 0.0001
        Least improvement of the loss, or with `early_stopping` of the score, that counts as one.
    warm_start : bool, default False
        Whether `fit` continues from the weights of the last fit.
    dtype : {"auto", "float32", "float64"}, default "auto"
        Precision of the network. "auto": float64 if a batch holds all samples, else float32.
    random_state : int, RandomState or None, default None
        Seed of all random draws: initial weights, held-out samples, order, dropout. None: other
        draws in each call.
    verbose : bool, 0, 1 or 2, default False
        True or 1: print a line for each pass, and in a terminal or notebook show a bar with the
        time left. 2: lines only. False or 0: nothing.
    n_jobs : int or None, default None
        Number of threads. None: :func:`gatewise.get_num_threads`; -1: all processors. The results
        have the same bits for any number.

    Attributes
    ----------
    calendar_ : list of str
        The calendar features in use.
    model_ : Sequential
        The network.
    feature_means_ : ndarray (n_features,) of float64
        Mean of each feature in training. Only if `missing` is not "error".
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        Activation of the output: "identity", "logistic", "softmax" or "exponential".
    loss_ : float
        Loss of the last pass.
    loss_curve_ : list of float
        Loss of each pass.
    best_loss_ : float or None
        Lowest loss of a pass; None with `early_stopping`.
    validation_scores_ : list of float or None
        Score of the held-out samples after each pass, with `early_stopping`; else None.
    best_validation_score_ : float or None
        Highest of these scores, whose weights are kept; None without `early_stopping`.
    n_iter_ : int
        Number of passes of the last fit.
    t_ : int
        Number of samples seen in training, each pass counted.

    Notes
    -----
    A sample is a window. With `early_stopping` the last part of each series is held out,
    `validation_fraction` of its steps and at least `horizon`. Everything that is learned, scales
    included, comes from the steps before it, and the score is minus the loss. `n_features_in_` is
    the number of variables of a series.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import SequenceForecaster
    >>> y = np.sin(np.arange(300) / 5)
    >>> options = {"learning_rate": "cosine", "max_iter": 30, "random_state": 0}
    >>> forecaster = SequenceForecaster(window=20, horizon=10, units=16, **options)
    >>> forecaster.fit(y).predict().shape
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

    # ---- fitting

    def fit(
        self, y: Any, X: Any = None, times: Any = None, *, groups: Any = None, time: Any = None
    ) -> Self:
        """Fit to one series or several.

        Parameters
        ----------
        y : array_like (T,) or (T, k), pandas Series or DataFrame, or list of these
            Steps in order of time. The k variables of a table are forecast together. A list of
            arrays, Series or frames is several series that one network learns from, each with its
            own scale. An index holds dates or whole numbers that rise and are evenly spaced. Dates
            with a time zone are converted to the zone of the first `fit` in later calls.
        X : array_like (T, f) or frame, or list of these, optional
            Features of the steps of y. The columns of a frame are checked against those of the
            first `fit` in later calls, and its index against that of y.
        times : array_like (T,) or pandas index, or list of these, optional
            The times of the steps (datetime64, dates or ISO 8601 text), for `calendar`, if y has no
            index.
        groups, time : label, optional
            The columns of labels, one for each series, and of times, if y is a long table (a frame
            of pandas or polars). Rows may be in any order: each series is sorted by
            time, and a time must not come twice. `time` alone: one series. The same columns are
            then expected in later calls, and in X if it has them.

        Returns
        -------
        SequenceForecaster
            The forecaster itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            A parameter or an argument is not valid. The forecaster is then as it was before.

        Notes
        -----
        Several series may also come as a pandas object whose index has levels, one of them time, or
        as a dict. Forecasts have the same form, and later calls the same series, in any order.
        """
        goes_on = hasattr(self, "model_") and checks.flag(self.warm_start, "warm_start")
        with transaction_of(self, with_model=goes_on):
            self._fit_series(y, X, times, groups, time, goes_on=goes_on)
        return self

    # ---- forecasting

    def predict(self, horizon: int | None = None, X_future: Any = None) -> Any:
        """Forecast the steps that come after those seen.

        Parameters
        ----------
        horizon : int, optional
            Steps to forecast. None: `horizon` of the constructor. Not more than that with
            ``strategy="direct"``.
        X_future : array_like (horizon, f) or frame, or list of these, optional
            The columns of X that are known ahead, in the next steps; all columns of X are accepted
            too. With ``strategy="direct"`` as many steps as the constructor's horizon.

        Returns
        -------
        ndarray (horizon,) or (horizon, k), Series or DataFrame, or list of these
            In the form of y; an index continues that of y.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError

        Examples
        --------
        >>> import numpy as np
        >>> y = np.sin(np.arange(100) / 5)
        >>> options = {"learning_rate": "cosine", "max_iter": 5}
        >>> forecaster = SequenceForecaster(strategy="recursive", **options)
        >>> forecaster.fit(y).predict(horizon=4).shape
        (4,)
        """
        return self._seen_series().write(self._points(horizon, X_future))

    def predict_interval(
        self,
        horizon: int | None = None,
        coverage: float = 0.9,
        X_future: Any = None,
        n_paths: int = 1000,
    ) -> Interval:
        """Forecast bounds that each of the next steps lies between with probability `coverage`.

        Parameters
        ----------
        horizon : int, optional
            See :meth:`predict`.
        coverage : float in (0, 1), default 0.9
            With quantiles a and 1 - a it may be 1 - 2a; with a normal distribution any number.
        X_future : array_like, frame, or list of these, optional
            See :meth:`predict`.
        n_paths : int, default 1000
            With ``strategy="recursive"``: paths to draw, from `random_state`.

        Returns
        -------
        Interval
            (lower, upper), each in the form of y.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        bounds = self._bounds(horizon, coverage, X_future, n_paths)
        lower, upper = (self._seen.write([pair[side] for pair in bounds]) for side in (0, 1))
        return Interval(lower, upper)

    def predict_quantiles(
        self,
        horizon: int | None = None,
        quantiles: float | Sequence[float] | None = None,
        X_future: Any = None,
        n_paths: int = 1000,
    ) -> Any:
        """Forecast quantiles of each of the next steps.

        Parameters
        ----------
        horizon : int, optional
            See :meth:`predict`.
        quantiles : float in (0, 1), list of float, or None, default None
            The quantiles to forecast. None: all that the forecaster was built with. A forecaster
            with `quantiles` has only these; one with a normal distribution has any, which must be
            named.
        X_future : array_like, frame, or list of these, optional
            See :meth:`predict`.
        n_paths : int, default 1000
            With ``strategy="recursive"``: paths to draw, from `random_state`.

        Returns
        -------
        dict of float to forecast, or one forecast
            For each quantile, in the order asked for, a forecast in the form that :meth:`predict`
            returns. If `quantiles` is one number: that forecast alone. A higher quantile is nowhere
            below a lower one, and 0.5 is what :meth:`predict` returns, if it does not come from
            paths.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError

        Examples
        --------
        >>> import numpy as np
        >>> y = np.sin(np.arange(100) / 5)
        >>> options = {"learning_rate": "cosine", "max_iter": 5}
        >>> forecaster = SequenceForecaster(quantiles=[0.1, 0.5, 0.9], **options)
        >>> list(forecaster.fit(y).predict_quantiles())
        [0.1, 0.5, 0.9]
        """
        seen = self._seen_series()
        levels = levels_of(quantiles, self._target)
        forecasts = self._quantiles(horizon, levels, X_future, n_paths)
        written = [seen.write(one) for one in forecasts]
        return dict(zip(levels, written)) if quantiles is None or np.ndim(quantiles) else written[0]

    def update(self, y_new: Any, X_new: Any = None, times: Any = None) -> Self:
        """Continue from later steps, without training.

        The end of the series and its labels move on. The network has no state to carry on: each
        forecast reads the last window from a state of zeros, as in training.

        Parameters
        ----------
        y_new : array_like, Series or DataFrame, or list of these
            The steps that came after those seen, of each series, in the form of y in :meth:`fit`.
        X_new : array_like or frame, or list of these, optional
            X of these steps.
        times : array_like or pandas index, or list of these, optional
            The times of these steps. None: they are spaced as those before.

        Returns
        -------
        SequenceForecaster
            The forecaster itself.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
            The forecaster is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> y = np.sin(np.arange(100) / 5)
        >>> forecaster = SequenceForecaster(max_iter=5, learning_rate="cosine").fit(y[:90])
        >>> forecaster.update(y[90:]).predict().shape
        (1,)
        """
        seen = self._seen_series().extended(y_new, X_new, times, "y_new")
        self._seen = seen.last(self._preparation.context)
        return self

    def score(self, y: Any, X: Any = None, times: Any = None) -> float:
        """Return R squared of forecasts of the steps that come after those seen.

        `horizon` steps are forecast from each step on, from all that is known by then: first the
        steps seen in :meth:`fit` and :meth:`update`, then those of y as they come. Nothing is
        trained, and the forecaster does not change.

        Parameters
        ----------
        y : array_like, Series or DataFrame, or list of these
            See `y_new` in :meth:`update`.
        X : array_like or frame, or list of these, optional
            X of these steps.
        times : array_like or pandas index, or list of these, optional
            The times of these steps.

        Returns
        -------
        float
            The mean over variables; 1 is best, and 0 is as good as the mean of y. Steps with a
            missing value are left out.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        return float(r2_score(*self.forecasts_beside(y, X, times)))

    def forecasts_beside(self, y: Any, X: Any = None, times: Any = None) -> tuple[Array, Array]:
        """Return what :meth:`score` compares: steps of y, and the forecasts of them.

        Parameters
        ----------
        y, X, times : array_like
            As in :meth:`score`.

        Returns
        -------
        truth : ndarray (n, k)
            For each step of y from which a whole forecast can be made, the `horizon` steps after
            it, of all series. Steps with a missing value are left out.
        forecasts : ndarray (n, k)
            The forecasts of these steps.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        self._need_fitted()
        return forecasts_beside(self, y, X, times)

    def backtest(
        self,
        y: Any,
        X: Any = None,
        times: Any = None,
        *,
        initial: int | None = None,
        horizon: int | None = None,
        step: int = 1,
        refit: bool = False,
        groups: Any = None,
        time: Any = None,
    ) -> Backtest | list[Backtest] | dict[Any, Backtest]:
        """Forecast from one origin after another, each time from what was known by then.

        Parameters
        ----------
        y, X, times : array_like, frame, or list of these
            As in :meth:`fit`. NaN is accepted where no forecast needs a value. Of X the columns
            that are known ahead are used up to `horizon` steps after an origin; nothing else is.
        initial : int, optional
            Steps before the first forecast; a clone is fitted to them. None: this forecaster is
            used as it is, and begins when y has the steps that a forecast is made from.
        horizon : int, optional
            Steps of each forecast. None: `horizon` of the constructor.
        step : int, default 1
            Steps from one origin to the next.
        refit : bool, default False
            Fit a clone to all steps before each origin, not only before the first.
        groups, time : label, optional
            As in :meth:`fit`; needed only with `initial`.

        Returns
        -------
        Backtest, list of Backtest, or dict of Backtest
            A list if y is a list of series, a dict by label if it is a panel. Each has ``origins``,
            ``forecasts``, ``actuals``, and ``mae``, ``rmse``, ... of each step ahead;
            ``to_frame()`` and ``by_step()`` are tables.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError

        Examples
        --------
        >>> import numpy as np
        >>> y = np.sin(np.arange(100) / 5)
        >>> forecaster = SequenceForecaster(horizon=2, max_iter=5, learning_rate="cosine")
        >>> forecaster.backtest(y, initial=80, step=5).forecasts.shape
        (4, 2, 1)
        """
        return run_backtest(
            self,
            y,
            X,
            times,
            initial=initial,
            horizon=horizon,
            step=step,
            refit=refit,
            groups=groups,
            time=time,
        )
