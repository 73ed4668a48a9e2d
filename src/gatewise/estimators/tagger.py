"""SequenceTagger: a label for each step."""

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import _check_partial_fit_first_call

from gatewise.errors import ConfigError, ShapeError
from gatewise.training import losses

from .base import store
from .documentation import documented
from .reading import inputs
from .targets.class_weights import class_weights
from .targets.labelled_steps import as_given, has_steps, in_one, spread
from .targets.outputs import decided, probabilities
from .targets.reading import check_classes, class_numbers, read_labels
from .targets.step_targets import StepTargets


@documented
class SequenceTagger(StepTargets):
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

    _per_step = True

    def __init__(
        self,
        cell="lstm",
        units=64,
        *,
        num_layers=1,
        bidirectional=False,
        dropout=0.0,
        recurrent_dropout=0.0,
        embedding=None,
        vocabulary_size=None,
        missing="error",
        architecture=None,
        alpha=0.0,
        optimizer="adam",
        learning_rate="constant",
        learning_rate_init=1e-3,
        clipnorm=1.0,
        batch_size="auto",
        max_iter=100,
        shuffle=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        class_weight=None,
        warm_start=False,
        dtype="auto",
        random_state=None,
        verbose=False,
        n_jobs=None,
    ):
        store(self, locals())

    def fit(self, X, y, sample_weight=None, groups=None, time=None):
        """Fit to sequences and the labels of their steps.

        Parameters
        ----------
        X : array_like (n, time) or (n, time, features), list of (time_i, features) or (time_i,), or frame
            See docs/estimators.md.
        y : array_like (n, time), list of (time_i,), or array_like (n,)
            A label a step; or a label a row, which stands for all its steps. With groups, a label a
            row of X.
        sample_weight : array_like (n,) or (n, time), or list of (time_i,), optional
            Not negative. Weights of sequences or of steps; a step of weight 0 counts in nothing.
            With groups, a weight a row of X.
        groups : array_like (rows,) or name of a column of X, optional
            X is a long table, a row a step; rows of one group are one sequence.
        time : array_like (rows,) or name of a column of X, optional
            With groups: when each row was. Rows are put in this order within their group. None:
            they are in order.

        Returns
        -------
        self

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        return self._fit(X, y, sample_weight, groups, time)

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None, time=None):
        """One pass over these samples, from where training stands.

        Parameters
        ----------
        X, y, sample_weight, groups, time
            See :meth:`fit`.
        classes : array_like (n_classes,), optional
            All labels there will be. None: those of the first call.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, groups, time, incremental=True, classes=classes)

    # ---- fitting

    _needed = (*StepTargets._needed, "classes_", "_label_a_row")

    def _take_classes(self, classes):
        if classes is not None:
            with inputs.checked_by_sklearn():
                _check_partial_fit_first_call(self, classes)

    def _read_targets(self, y, sequences, reset, incremental=False, weights=None):
        lengths = sequences.all_lengths
        a_row = not has_steps(y, lengths.max())
        if a_row:
            labels, several = read_labels(y, len(lengths))
            if several:
                raise ConfigError(
                    "y is a sparse matrix, which says which of several labels a row has; expected"
                    " one label a step, as an array or a list of arrays (y.toarray()), or one label"
                    " a row"
                )
            flat = np.repeat(labels, lengths)
        else:
            flat = in_one(y, sequences, "y")
        # A label at a step that counts in nothing may be anything, and makes no class.
        counted = self._counted(sequences, weights)
        if not counted.any():
            raise ShapeError(
                "X holds no step that counts: every one is left out or has a weight of 0"
            )
        labels = flat[spread(np.arange(len(flat)), sequences)[counted]]
        labels, _ = read_labels(labels, len(labels))
        if reset:
            self._label_a_row = a_row
            if not (incremental and hasattr(self, "classes_")):
                self.classes_ = np.unique(labels)
        elif a_row != self._label_a_row:
            raise ConfigError(
                f"y has a label a {'row' if a_row else 'step'}; the first call gave one a "
                f"{'step' if a_row else 'row'}"
            )
        if not reset:
            check_classes(labels, self.classes_, warm=not incremental)
        numbers = np.zeros(counted.shape, np.intp)
        numbers[counted] = class_numbers(labels, self.classes_)
        return numbers

    @staticmethod
    def _counted(sequences, weights):
        """Which steps count, bool ndarray (n, steps)."""
        if weights is None:
            return sequences.valid
        return sequences.valid & ((weights if weights.ndim == 2 else weights[:, None]) > 0)

    def _with_class_weight(self, weights, targets, sequences, incremental):
        if self._label_a_row and weights is not None and weights.ndim > 1:
            raise ShapeError(
                f"sample_weight has a weight a step, shape {weights.shape}, and y a label a row;"
                " give a weight a row"
            )
        if self.class_weight is None:
            return weights
        if incremental and isinstance(self.class_weight, str):
            raise ConfigError(
                "class_weight='balanced' needs all samples at once; give partial_fit a dict of"
                " weights"
            )
        by_class, counted = np.zeros(targets.shape), self._counted(sequences, weights)
        if weights is not None:
            weights = np.broadcast_to(
                weights if weights.ndim == 2 else weights[:, None], targets.shape
            )
        by_class[counted] = class_weights(
            self.class_weight,
            self.classes_[targets[counted]],
            None if weights is None else weights[counted],
        )
        return by_class if weights is None else by_class * weights

    def _output(self, targets):
        # one column says how probable the second class is, of one class that there is another
        if len(self.classes_) <= 2:
            return losses.BinaryCrossentropy(), 1, "sigmoid"
        return losses.SparseCategoricalCrossentropy(), len(self.classes_), "softmax"

    def _stratify_by(self, targets):
        return targets[:, 0] if self._label_a_row else None

    _score_name = "accuracy"

    def _score_of(self, targets, scores, sample_weight):
        return accuracy_score(
            targets.ravel(),
            decided(scores, len(self.classes_)).ravel(),
            sample_weight=sample_weight.ravel(),
        )

    # ---- predicting

    @property
    def _predicts_steps(self):
        return not self._label_a_row

    def predict(self, X, groups=None, time=None):
        """Labels of steps.

        Parameters
        ----------
        X, groups, time
            See :meth:`fit`.

        Returns
        -------
        ndarray (n, time) for an array or table; list of ndarray (time_i,) for a list; ndarray
        (rows,) with groups
            ndarray (n,) where the tagger was fitted with a label a row.

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        sequences = self._read_to_predict(X, groups, time)
        scores = self._scores(sequences)
        if self._label_a_row:
            return self.classes_[self._row_means(scores, sequences).argmax(axis=1)]
        return as_given(self.classes_[decided(scores, len(self.classes_))], X, sequences)

    def predict_proba(self, X, groups=None, time=None):
        """Probability of each class at each step: as :meth:`predict`, with a last axis of classes."""
        return self._probabilities(X, groups, time, log=False)

    def predict_log_proba(self, X, groups=None, time=None):
        """Logarithm of :meth:`predict_proba`, which does not underflow."""
        return self._probabilities(X, groups, time, log=True)

    def decision_function(self, X, groups=None, time=None):
        """Output before its activation: as :meth:`predict` of two classes, else with a last axis of classes.

        Where the tagger was fitted with a label a row, that of the mean probability: its log-odds,
        or logarithms.
        """
        sequences = self._read_to_predict(X, groups, time)
        scores = self._scores(sequences)
        if self._label_a_row:
            scores = self._row_means(scores, sequences, log=True)
            return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores
        return as_given(scores[..., 0] if len(self.classes_) == 2 else scores, X, sequences)

    def _probabilities(self, X, groups, time, log):
        sequences = self._read_to_predict(X, groups, time)
        scores = self._scores(sequences)
        if self._label_a_row:
            return self._row_means(scores, sequences, log)
        return as_given(probabilities(scores, len(self.classes_), log=log), X, sequences)

    def _row_means(self, scores, sequences, log=False):
        """Mean of the probabilities over the steps of each row, (n, n_classes), or its logarithm.

        Of a row without steps all are equal.
        """
        each = probabilities(scores, len(self.classes_), log=True)
        steps, valid = sequences.each_length, sequences.valid
        each[steps == 0] = -np.log(len(self.classes_))
        valid[steps == 0, 0] = True
        means = (
            logsumexp(np.where(valid[..., None], each, -np.inf), axis=1)
            - np.log(np.maximum(steps, 1))[:, None]
        )
        return means if log else np.exp(means)

    def score(self, X, y, sample_weight=None, groups=None, time=None):
        """Accuracy: the share of steps, or of rows where a label stands for a row, that are right."""
        predicted = self.predict(X, groups, time)
        if self._label_a_row:
            y, sample_weight = self._of_sequences(X, groups, y, sample_weight)
        else:
            y, predicted, sample_weight = self._side_by_side(y, predicted, sample_weight, groups)
        return accuracy_score(y, predicted, sample_weight=inputs.summable(sample_weight))
