"""SequenceClassifier: one label, or several, a sequence."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import _check_partial_fit_first_call

from gatewise.errors import ConfigError
from gatewise.training import losses

from .base import SequenceEstimator, store
from .documentation import documented
from .reading import inputs
from .targets.class_weights import class_weights
from .targets.outputs import decided, probabilities
from .targets.reading import check_classes, class_numbers, read_labels


@documented
class SequenceClassifier(ClassifierMixin, SequenceEstimator):
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
        cell="lstm",
        units=64,
        *,
        num_layers=1,
        bidirectional=False,
        pooling="max",
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
        """Fit to sequences and their labels.

        Parameters
        ----------
        X : array_like (n, time) or (n, time, features), list of (time_i, features) or (time_i,), or frame
            See docs/estimators.md.
        y : array_like (n,), or (n, labels) of 0 and 1
            A label a sequence; or which of several labels it has.
        sample_weight : array_like (n,), optional
            Not negative. Weight k is the same as k copies, exactly where a batch holds all samples.
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
            All labels there will be. Needed in the first call.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, groups, time, incremental=True, classes=classes)

    # ---- fitting

    _needed = (*SequenceEstimator._needed, "classes_", "_several")

    def _take_classes(self, classes):
        with inputs.checked_by_sklearn():
            _check_partial_fit_first_call(self, classes)

    def _read_targets(self, y, sequences, reset, incremental=False, weights=None):
        labels, several = read_labels(y, len(sequences))
        if reset:
            self._several = several
            if not incremental:
                self.classes_ = np.arange(labels.shape[1]) if several else np.unique(labels)
        if several != self._several or (several and labels.shape[1] != len(self.classes_)):
            raise ConfigError(
                f"y has {'several labels' if several else 'one label'} a sample, of shape"
                f" {labels.shape}; expected what the first call gave, with {len(self.classes_)}"
                " classes"
            )
        if several:
            return labels
        if not reset:
            check_classes(labels, self.classes_, warm=not incremental)
        return class_numbers(labels, self.classes_)

    def _with_class_weight(self, weights, targets, sequences, incremental):
        if self.class_weight is None:
            return weights
        if incremental and isinstance(self.class_weight, str):
            raise ConfigError(
                "class_weight='balanced' needs all samples at once; give partial_fit a dict of"
                " weights"
            )
        labels = targets if self._several else self.classes_[targets]
        by_class = class_weights(self.class_weight, labels, weights)
        return by_class if weights is None else weights * by_class

    def _output(self, targets):
        if self._several:
            return losses.BinaryCrossentropy(), len(self.classes_), "sigmoid"
        # one column says how probable the second class is, of one class that there is another
        if len(self.classes_) <= 2:
            return losses.BinaryCrossentropy(), 1, "sigmoid"
        return losses.SparseCategoricalCrossentropy(), len(self.classes_), "softmax"

    def _stratify_by(self, targets):
        return None if self._several else targets

    _score_name = "accuracy"

    def _score_of(self, targets, scores, sample_weight):
        return accuracy_score(
            targets, decided(scores, len(self.classes_), self._several), sample_weight=sample_weight
        )

    # ---- predicting

    def predict(self, X, groups=None, time=None):
        """Labels of sequences.

        Parameters
        ----------
        X, groups, time
            See :meth:`fit`.

        Returns
        -------
        ndarray (n,), or (n, labels) of 0 and 1

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        chosen = decided(
            self._scores(self._read_to_predict(X, groups, time)), len(self.classes_), self._several
        )
        return chosen if self._several else self.classes_[chosen]

    def decision_function(self, X, groups=None, time=None):
        """Output before its activation: (n,) of two classes, else (n, n_classes)."""
        scores = self._scores(self._read_to_predict(X, groups, time))
        return scores[:, 0] if len(self.classes_) == 2 and not self._several else scores

    def predict_proba(self, X, groups=None, time=None):
        """Probability of each class, or of each of several labels: ndarray (n, n_classes)."""
        return probabilities(
            self._scores(self._read_to_predict(X, groups, time)), len(self.classes_), self._several
        )

    def predict_log_proba(self, X, groups=None, time=None):
        """Logarithm of :meth:`predict_proba`, which does not underflow."""
        return probabilities(
            self._scores(self._read_to_predict(X, groups, time)),
            len(self.classes_),
            self._several,
            log=True,
        )

    def score(self, X, y, sample_weight=None, groups=None, time=None):
        """Accuracy: the share of sequences whose labels are right."""
        predicted = self.predict(X, groups, time)
        y, sample_weight = self._of_sequences(X, groups, y, sample_weight)
        if self._several:
            y = read_labels(y, len(predicted))[0]
        return accuracy_score(y, predicted, sample_weight=inputs.summable(sample_weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
