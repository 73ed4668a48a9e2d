"""scikit-learn's scorers for forecasters, and for estimators whose targets stand beside steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer as get_sklearn_scorer
from sklearn.pipeline import Pipeline

from gatewise.errors import ConfigError, DTypeError

from .base import TargetEstimator
from .forecasting.forecaster import SequenceForecaster
from .targets.labels import ClassTarget

if TYPE_CHECKING:
    from .targets.steps import StepEntries


def get_scorer(scoring):
    """A scorer by its name in scikit-learn, for every estimator of gatewise.

    scikit-learn's own scorer of that name compares what ``predict`` gives with y, a sequence an
    entry. Of a :class:`SequenceTagger`, or a :class:`SequenceRegressor` with ``per_step=True``, it
    can make nothing, or takes steps for labels of one sample; a :class:`SequenceForecaster` has no
    y beside X. This one compares all steps, those of one sequence behind those of another; and of a
    forecaster the forecasts of the steps that come after those seen, as its ``score`` does, which
    is given y (and X) as in ``fit``. With other estimators it is scikit-learn's.

    Parameters
    ----------
    scoring : str or scikit-learn scorer
        ``"f1_macro"``, ``"neg_mean_absolute_error"``, ..., or what
        :func:`sklearn.metrics.make_scorer` made.

    Returns
    -------
    callable(estimator, X, y=None, sample_weight=None) -> float
        For ``scoring=`` of ``cross_val_score``, ``GridSearchCV`` and the like.

    Raises
    ------
    ConfigError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import TimeSeriesSplit, cross_val_score
    >>> from gatewise import SequenceForecaster
    >>> from gatewise.estimators import get_scorer
    >>> forecaster = SequenceForecaster(window=5, units=4, tol=1, max_iter=50, random_state=0)
    >>> y = np.sin(np.arange(60) / 5)
    >>> cross_val_score(forecaster, y, cv=TimeSeriesSplit(2), scoring=get_scorer("neg_mean_absolute_error")).shape
    (2,)
    """
    return SequenceScorer(scoring)


class SequenceScorer:
    """What :func:`get_scorer` gives."""

    def __init__(self, scoring):
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

    def __repr__(self):
        return f"get_scorer({self.scorer!r})"

    def __call__(self, estimator, X, y=None, sample_weight=None):
        """The score, a float; higher is better."""
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
        if isinstance(last, SequenceForecaster):
            if sample_weight is not None:
                raise ConfigError("sample_weight was given; forecasts have no weights")
            X = X if last is estimator else estimator[:-1].transform(X)
            truth, forecasts = last.forecasts_beside(X, y)
            return float(self.scorer(_Said(forecasts), forecasts, truth))
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


class _Said(RegressorMixin, BaseEstimator):
    """Predicts what it was made with."""

    def __init__(self, said):
        self.said = said

    def predict(self, X):
        return self.said


class _Flat(BaseEstimator):
    """An estimator whose answers are those of all steps, one sequence behind the other."""

    def __init__(self, estimator):
        self.estimator = estimator

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return np.concatenate(list(self.estimator.predict(X)))


class _Regressor(RegressorMixin, _Flat):
    """Of numbers."""


class _Classifier(ClassifierMixin, _Flat):
    """Of labels."""

    @property
    def classes_(self):
        return self.estimator.classes_

    def predict_proba(self, X):
        return np.concatenate(list(self.estimator.predict_proba(X)))

    def decision_function(self, X):
        return np.concatenate(list(self.estimator.decision_function(X)))
