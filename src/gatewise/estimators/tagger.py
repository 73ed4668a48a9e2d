"""SequenceTagger: a label for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import accuracy_score

from .base import TargetEstimator, by_sequence
from .reading.inputs import summable
from .targets.step_labels import StepLabels
from .targets.steps import StepEntries, as_given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from gatewise._typing import Array, ArrayLike
    from gatewise.layers import Layer
    from gatewise.training.optimizers import Optimizer

    from .reading.inputs import Sequences
    from .targets.base import SequenceTarget


class SequenceTagger(TargetEstimator):
    """A recurrent network that gives each step of a sequence one of several labels.

    A label a row, y of shape (n,), stands for all steps of that row. The tagger then predicts one
    label a row, too: the one whose probability, in the mean over the steps, is highest.

    Parameters
    ----------
    {PARAMETERS}
    {READING}
    {ARCHITECTURE}
    class_weight : dict, "balanced" or None
        Weights of the classes, which those of steps are multiplied by. "balanced": such that all
        classes weigh the same, steps counted by their weights.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        The labels.
    {ATTRIBUTES}
    """

    def __init__(
        self,
        cell: str = "lstm",
        units: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
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
        y: Any,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Fit to sequences and the labels of their steps.

        Parameters
        ----------
        X
        y : array_like (n, time), list of (time_i,), or array_like (n,)
            A label a step; or a label a row, which all its steps have. With groups, a label a row
            of X.
        sample_weight : array_like (n,) or (n, time), or list of (time_i,), optional
            Not negative. Weights of sequences or of steps; a step of weight 0 counts in nothing.
            With groups, a weight a row of X. None: all are 1.
        groups
        time

        Returns
        -------
        SequenceTagger
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
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Train for one pass over these samples, from the weights that there are.

        Parameters
        ----------
        X
        y : array_like (n, time), list of (time_i,), or array_like (n,)
            As in :meth:`fit`. It may lack some of the classes.
        classes : array_like (n_classes,), optional
            All labels that there will be. None: those of the first call.
        sample_weight : array_like (n,) or (n, time), or list of (time_i,), optional
            As in :meth:`fit`.
        groups
        time

        Returns
        -------
        SequenceTagger
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self._fit(X, y, sample_weight, groups, time, incremental=True, classes=classes)

    # ---- fitting

    classes_: Array
    _target: StepLabels
    _needed = (*TargetEstimator._needed, "classes_", "_label_a_row")

    def _entries(self) -> StepEntries:
        return StepEntries()

    def _new_target(self, y: Any, sequences: Sequences, classes: Any) -> SequenceTarget:
        return StepLabels(classes)

    def _take_target(self, target: StepLabels) -> None:
        self._target, self.classes_ = target, target.known

    def _restore_target(self, held: dict[str, Any]) -> None:
        target = StepLabels()
        target.classes, target.label_a_row = held["classes_"], held["_label_a_row"]
        self._take_target(target)

    # ---- predicting

    def predict(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Any:
        """Return the labels of steps.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n, time) for an array or table
            list of ndarray (time_i,) for a list, and ndarray (rows) with groups. ndarray
            (n,) if the tagger was fitted with a label a row.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        sequences = self._read_to_predict(X, groups, time)
        scores = self._scores(sequences)
        if self._target.label_a_row:
            return self.classes_[self._target.row_means(scores, sequences).argmax(axis=1)]
        return as_given(self._target.labels(scores), X, sequences)

    def predict_proba(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Any:
        """Return the probability of each class at each step.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n, time, n_classes) for an array or table
            list of ndarray (time_i, n_classes) for a list, and ndarray (rows, n_classes) with groups. ndarray
            (n, n_classes) if the tagger was fitted with a label a row.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        return self._probabilities(X, groups, time, log=False)

    def predict_log_proba(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Any:
        """Return the logarithms of :meth:`predict_proba`, which do not underflow.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n, time, n_classes) for an array or table
            list of ndarray (time_i, n_classes) for a list, and ndarray (rows, n_classes) with groups. ndarray
            (n, n_classes) if the tagger was fitted with a label a row.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        return self._probabilities(X, groups, time, log=True)

    def decision_function(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Any:
        """Return the output of the network before its activation, at each step.

        If the tagger was fitted with a label a row, that of the mean probability: its log-odds, or
        logarithms.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray or list of ndarray
            As :meth:`predict` for two classes, else with a last axis of classes.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        sequences = self._read_to_predict(X, groups, time)
        scores = self._scores(sequences)
        if self._target.label_a_row:
            scores = self._target.row_means(scores, sequences, log=True)
            return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores
        return as_given(self._target.decisions(scores), X, sequences)

    def _probabilities(self, X: Any, groups: Any, time: Any, log: bool) -> Any:
        sequences = self._read_to_predict(X, groups, time)
        scores = self._scores(sequences)
        if self._target.label_a_row:
            return self._target.row_means(scores, sequences, log=log)
        return as_given(self._target.probabilities(scores, log=log), X, sequences)

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> float:
        """Return the accuracy: the share of steps, or of rows with a label each, that are right.

        Parameters
        ----------
        X
        y : array_like (n, time), list of (time_i,), or array_like (n,)
            As in :meth:`fit`.
        sample_weight : array_like (n,) or (n, time), or list of (time_i,), optional
            As in :meth:`fit`.
        groups
        time

        Returns
        -------
        float
            Between 0 and 1.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        predicted = self.predict(X, groups, time)
        if self._target.label_a_row:
            y, sample_weight = by_sequence(X, groups, y, sample_weight)
        elif groups is None:
            y, predicted, sample_weight = self._entries().side_by_side(y, predicted, sample_weight)
        return accuracy_score(y, predicted, sample_weight=summable(sample_weight))
