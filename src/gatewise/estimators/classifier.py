"""SequenceClassifier: one label, or several, for each sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from gatewise.errors import ConfigError

from .base import TargetEstimator, by_sequence
from .reading.checking import summable
from .streaming import Streaming
from .targets.classes import read_labels
from .targets.labels import Labels, labels_target, stored_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from gatewise._typing import Array, ArrayLike
    from gatewise.layers import Layer
    from gatewise.training.optimizers import Optimizer

    from .reading.sequences import Sequences
    from .targets.base import SequenceTarget


class SequenceClassifier(ClassifierMixin, Streaming, TargetEstimator):
    """Classify sequences with a recurrent network: one label for each, or several.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Kind of the recurrent layers: LSTM, GRU or SimpleRNN.
    units : int, default 64
        Number of units in each recurrent layer.
    num_layers : int, default 1
        Number of recurrent layers, each on top of the one before.
    bidirectional : bool, default False
        Whether each recurrent layer reads its sequence in both directions.
    pooling : {"last", "mean", "max"}, default "max"
        How the steps of the last layer become one vector: its output at the last step, or the mean
        or maximum over all steps. docs/estimators.md says when to use which.
    dropout : float in [0, 1), default 0.0
        Share of the outputs of each recurrent layer that are set to zero in training.
    recurrent_dropout : float in [0, 1), default 0.0
        Share of the state that is set to zero in the recurrent product in training; the same units
        for all steps of a sequence.
    embedding : int or None, default None
        Size of the vectors that tokens become; they are learned. X then holds whole numbers, the
        tokens, from 0 up. None: X holds numbers.
    vocabulary_size : int or None, default None
        Number of tokens, with `embedding`. None: the largest token in `fit`, plus 1.
    missing : {"error", "forward_fill", "mean", "mask", "indicator", "decay"}, default "error"
        What to do about NaN in X. "error": refuse it. "forward_fill": put the last value seen in
        its place. "mean": put the mean of the feature in training. "mask": leave out steps with a
        missing value. "indicator": give the network, beside each value, whether it was seen and how
        many steps ago. "decay", with ``cell="gru"``: make the first layer a GRU-D (Che et al.
        2018), which learns how fast values lose their meaning.
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
    class_weight : dict, list of dict, "balanced" or None, default None
        Weights of the classes, by which those of samples are multiplied. "balanced": all classes
        have the same total weight, samples counted by their weights. A list has a dict for each of
        several labels. None: all are 1.
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
    classes_ : ndarray (n_classes,)
        The labels, sorted; if a sample may have several of them, the numbers of the columns of y.
    model_ : Sequential
        The network.
    n_features_in_ : int
        Number of columns if X is a table with a sequence in each row, else of features of a step.
    feature_names_in_ : ndarray of str
        Names of the columns of X. Only if all of them are strings.
    feature_means_ : ndarray (n_features,) of float64
        Mean of each feature in training. Only if `missing` is not "error".
    vocabulary_size_ : int
        Number of tokens. Only with `embedding`.
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

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import SequenceClassifier
    >>> X = [np.arange(n) * slope for n in (3, 5, 4, 6) for slope in (1.0, -1.0)]
    >>> options = {"learning_rate": "cosine", "learning_rate_init": 0.02, "max_iter": 40}
    >>> classifier = SequenceClassifier("gru", units=8, random_state=0, **options)
    >>> classifier = classifier.fit(X, ["up", "down"] * 4)
    >>> classifier.predict([np.array([0.0, 2.0, 4.0, 6.0]), np.array([0.0, -3.0, -6.0])])
    array(['up', 'down'], dtype='<U4')
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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n,), or (n, labels) of 0 and 1
            One label for each sequence, text or numbers; or, for several labels, 1 if the sequence
            has the label of the column and 0 if not. With groups, also one a row of X.
        sample_weight : array_like (n,), default None
            Weights of the sequences, not negative. Weight k is the same as k copies, exactly if a
            batch holds all samples. None: all are 1.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n,), or (n, labels) of 0 and 1
            As in :meth:`fit`. It may lack some of the classes.
        classes : array_like (n_classes,), default None
            All labels that there will be. Needed in the first call.
        sample_weight : array_like (n,), default None
            Weights of the sequences, not negative. Weight k is the same as k copies, exactly if a
            batch holds all samples. None: all are 1.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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

    def _take_target(self, target: Any) -> None:
        self._target, self.classes_ = target, target.known

    def _restore_target(self, held: dict[str, Any]) -> None:
        self._take_target(stored_labels(held))

    # ---- predicting

    def _streamed_answer(self, scores: Array) -> Array:
        return self._target.probabilities(scores)

    def predict(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Array:
        """Return the labels of sequences.

        Parameters
        ----------
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n,), or (n, labels) of 0 and 1
            As in :meth:`fit`.
        sample_weight : array_like (n,), default None
            Weights of the sequences in the mean. None: all are 1.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
