"""scikit-learn's scorers for forecasters, and for estimators that predict each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer as get_sklearn_scorer
from sklearn.pipeline import Pipeline

from gatewise.errors import ConfigError, DTypeError

from .base import TargetEstimator
from .forecasting.forecaster import SequenceForecaster
from .targets.labels import ClassTarget

if TYPE_CHECKING:
    from gatewise._typing import Array, ArrayLike

    from .targets.steps import StepEntries


def get_scorer(scoring: Any) -> SequenceScorer:
    """Return a scikit-learn scorer that works for every estimator of gatewise.

    scikit-learn's own scorers compare what ``predict`` returns with y, one entry for each sequence.
    They fail, or are wrong, for a :class:`SequenceTagger`, for a :class:`SequenceRegressor` with
    ``per_step=True``, and for a :class:`SequenceForecaster`, which has no y beside X. This one
    compares all steps, those of one sequence after those of another. For a forecaster it compares
    the forecasts of the steps that come after those seen, as the forecaster's ``score`` does, and
    receives y (and X) as in ``fit``. For other estimators it is scikit-learn's.

    Parameters
    ----------
    scoring : str or scikit-learn scorer
        Name of a scorer, ``"f1_macro"`` or ``"neg_mean_absolute_error"`` for example, or what
        :func:`sklearn.metrics.make_scorer` returned.

    Returns
    -------
    callable(estimator, X, y=None, sample_weight=None) -> float
        The scorer, for the argument ``scoring`` of ``cross_val_score``, ``GridSearchCV`` and the
        like.

    Raises
    ------
    ConfigError
        The name is not known.
    DTypeError
        `scoring` is neither a name nor a scorer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import TimeSeriesSplit, cross_val_score
    >>> from gatewise import SequenceForecaster
    >>> from gatewise.estimators import get_scorer
    >>> forecaster = SequenceForecaster(window=5, units=4, tol=1, max_iter=50, random_state=0)
    >>> y = np.sin(np.arange(60) / 5)
    >>> scorer = get_scorer("neg_mean_absolute_error")
    >>> cross_val_score(forecaster, y, cv=TimeSeriesSplit(2), scoring=scorer).shape
    (2,)
    """
    return SequenceScorer(scoring)


class SequenceScorer:
    """Scorer that :func:`get_scorer` returns.

    Parameters
    ----------
    scoring : str or scikit-learn scorer
        See :func:`get_scorer`.

    Attributes
    ----------
    scorer : scikit-learn scorer
        The scorer of single values.
    """

    scorer: Any

    def __init__(self, scoring: Any) -> None:
        try:
            self.scorer = get_sklearn_scorer(scoring)
        except ValueError as error:
            raise ConfigError(
                f"scoring is {scoring!r:.80}; expected one of the names of "
                "sklearn.metrics.get_scorer_names()"
            ) from error
        if not hasattr(self.scorer, "_score_func"):
            raise DTypeError(
                f"scoring is {scoring!r:.80}; expected a name, or what sklearn.metrics.make_scorer"
                " made"
            )

    def __repr__(self) -> str:
        return f"get_scorer({self.scorer!r})"

    def __call__(
        self, estimator: Any, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the score of a fitted estimator; higher is better.

        Parameters
        ----------
        estimator : estimator of gatewise, or Pipeline that ends in one
        X : array_like
            Sequences; for a forecaster, the steps y.
        y : array_like, default None
            As in ``fit``; for a forecaster, the features X.
        sample_weight : array_like, default None
            Weights of sequences or steps. A forecaster takes none.

        Returns
        -------
        float

        Raises
        ------
        ConfigError
            A forecaster was given weights.
        """
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
        if isinstance(last, SequenceForecaster):
            if sample_weight is not None:
                raise ConfigError("sample_weight was given; forecasts have no weights")
            X = X if last is estimator else estimator[:-1].transform(X)
            truth, forecasts = last.forecasts_beside(X, y)
            return float(self.scorer(_Constant(forecasts), forecasts, truth))
        if not (isinstance(last, TargetEstimator) and _predicts_steps(last)):
            return self.scorer(estimator, X, y, **weights)
        predicted = estimator.predict(X)
        entries = cast("StepEntries", last._entries())
        truth, _, sample_weight = entries.side_by_side(y, predicted, sample_weight)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        kind = _Classifier if isinstance(last._target, ClassTarget) else _Regressor
        return float(self.scorer(kind(estimator), X, truth, **weights))


def _predicts_steps(estimator: TargetEstimator) -> bool:
    """Whether a fitted estimator has a prediction for each step."""
    return hasattr(estimator, "model_") and estimator._target.predicts_steps


class _Constant(RegressorMixin, BaseEstimator):
    """Predicts what it was made with."""

    def __init__(self, predicted: Array) -> None:
        self.predicted = predicted

    def predict(self, X: Any) -> Array:
        return self.predicted


class _Flat(BaseEstimator):
    """An estimator that predicts all steps in one array, one sequence after the other."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Array:
        return np.concatenate(list(self.estimator.predict(X)))


class _Regressor(RegressorMixin, _Flat):
    """A flat estimator that predicts numbers."""


class _Classifier(ClassifierMixin, _Flat):
    """A flat estimator that predicts labels."""

    @property
    def classes_(self) -> Array:
        return self.estimator.classes_

    def predict_proba(self, X: Any) -> Array:
        return np.concatenate(list(self.estimator.predict_proba(X)))

    def decision_function(self, X: Any) -> Array:
        return np.concatenate(list(self.estimator.decision_function(X)))
