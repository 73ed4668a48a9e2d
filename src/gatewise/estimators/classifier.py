"""SequenceClassifier: one label, or several, for each sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from gatewise.errors import ConfigError

from .base import TargetEstimator, by_sequence
from .reading.inputs import summable
from .targets.classes import read_labels
from .targets.labels import Labels, labels_target, stored_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from gatewise._typing import Array, ArrayLike
    from gatewise.layers import Layer
    from gatewise.training.optimizers import Optimizer

    from .reading.inputs import Sequences
    from .targets.base import SequenceTarget


class SequenceClassifier(ClassifierMixin, TargetEstimator):
    """A recurrent network that gives sequences one of several labels, or several of them.

    Parameters
    ----------
    {PARAMETERS}
    {POOLING}
    {READING}
    {ARCHITECTURE}
    class_weight : dict, "balanced" or None
        Weights of the classes, which those of samples are multiplied by. "balanced": such that all
        classes weigh the same, samples counted by their weights.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        The labels; numbers of columns where a sample may have several.
    {ATTRIBUTES}

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import SequenceClassifier
    >>> X = [np.arange(n) * slope for n in (3, 5, 4, 6) for slope in (1.0, -1.0)]
    >>> classifier = SequenceClassifier("gru", units=8, max_iter=5, tol=1, n_iter_no_change=2, random_state=0)
    >>> classifier.fit(X, ["up", "down"] * 4).predict([np.array([0.0, 2.0, 4.0, 6.0])]).shape
    (1,)
    """

    def __init__(
        self,
        cell: str = "lstm",
        units: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "max",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        embedding: int | None = None,
        vocabulary_size: int | None = None,
        missing: str = "error",
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
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        warm_start: bool = False,
        dtype: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        n_jobs: int | None = None,
    ) -> None:
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.embedding = embedding
        self.vocabulary_size = vocabulary_size
        self.missing = missing
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
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Fit to sequences and their labels.

        Parameters
        ----------
        X
        y : array_like (n,), or (n, labels) of 0 and 1
            One label for each sequence, text or numbers; or, for several labels, 1 if the sequence
            has the label of the column and 0 if not. With groups, also one a row of X.
        sample_weight
        groups
        time

        Returns
        -------
        SequenceClassifier
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self._fit(X, y, sample_weight, groups, time)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Train for one pass over these samples, from the weights that there are.

        Parameters
        ----------
        X
        y : array_like (n,), or (n, labels) of 0 and 1
            As in :meth:`fit`. It may lack some of the classes.
        classes : array_like (n_classes,), optional
            All labels that there will be. Needed in the first call.
        sample_weight
        groups
        time

        Returns
        -------
        SequenceClassifier
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        if classes is None and not hasattr(self, "model_"):
            raise ConfigError("classes must be passed on the first call to partial_fit.")
        return self._fit(X, y, sample_weight, groups, time, incremental=True, classes=classes)

    # ---- fitting

    classes_: Array
    _target: Labels
    _needed = (*TargetEstimator._needed, "classes_", "_several")

    def _new_target(self, y: Any, sequences: Sequences, classes: Any) -> SequenceTarget:
        return labels_target(y, len(sequences), classes)

    def _take_target(self, target: Labels) -> None:
        self._target, self.classes_ = target, target.known

    def _restore_target(self, held: dict[str, Any]) -> None:
        self._take_target(stored_labels(held))

    # ---- predicting

    def predict(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Array:
        """Return the labels of sequences.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n,), or (n, labels) of 0 and 1
            The most probable label of each sequence; of several labels, those that are more
            probable than not.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        scores = self._scores(self._read_to_predict(X, groups, time))
        return self._target.labels(scores)

    def decision_function(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Array:
        """Return the output of the network before its activation.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n,) for two classes, else (n, n_classes)
            Log-odds of the second class or of each of several labels; else the logarithm of each
            probability, up to a constant.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        scores = self._scores(self._read_to_predict(X, groups, time))
        return self._target.decisions(scores)

    def predict_proba(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Array:
        """Return the probability of each class, or of each of several labels.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n, n_classes) of float64
            Columns in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        scores = self._scores(self._read_to_predict(X, groups, time))
        return self._target.probabilities(scores)

    def predict_log_proba(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Array:
        """Return the logarithms of :meth:`predict_proba`, which do not underflow.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n, n_classes) of float64
            Columns in the order of ``classes_``.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        scores = self._scores(self._read_to_predict(X, groups, time))
        return self._target.probabilities(scores, log=True)

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> float:
        """Return the accuracy: the share of sequences whose labels are right.

        Parameters
        ----------
        X
        y : array_like (n,), or (n, labels) of 0 and 1
            As in :meth:`fit`.
        sample_weight : array_like (n,), optional
            Weights of the sequences in the mean. None: all are 1.
        groups
        time

        Returns
        -------
        float
            Between 0 and 1. Several labels of a sequence must all be right.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        predicted = self.predict(X, groups, time)
        y, sample_weight = by_sequence(X, groups, y, sample_weight)
        if predicted.ndim == 2:
            y = read_labels(y, len(predicted))[0]
        return accuracy_score(y, predicted, sample_weight=summable(sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
