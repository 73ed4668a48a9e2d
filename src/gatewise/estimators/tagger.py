"""SequenceTagger: a label for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import accuracy_score

from .base import TargetEstimator, by_sequence
from .reading.checking import summable
from .streaming import Streaming
from .targets.step_labels import StepLabels
from .targets.steps import StepEntries, as_given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from gatewise._typing import Array, ArrayLike
    from gatewise.layers import Layer
    from gatewise.training.optimizers import Optimizer

    from .reading.sequences import Sequences
    from .targets.base import SequenceTarget


class SequenceTagger(Streaming, TargetEstimator):
    """Classify each step of a sequence with a recurrent network.

    If y has one label for each row, of shape (n,), it is the label of all steps of the row. The
    tagger then predicts one label for each row, too: the one with the highest mean probability over
    the steps.

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
    class_weight : dict, "balanced" or None, default None
        Weights of the classes, by which those of steps are multiplied. "balanced": all classes have
        the same total weight, steps counted by their weights. None: all are 1.
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
        The labels, sorted.
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
    >>> from gatewise import SequenceTagger
    >>> X = np.random.default_rng(0).normal(size=(16, 5))
    >>> options = {"learning_rate": "cosine", "learning_rate_init": 0.02, "max_iter": 40}
    >>> tagger = SequenceTagger("gru", units=8, random_state=0, **options).fit(X, X > 0)
    >>> tagger.predict([np.array([1.0, -1.0, 2.0])])
    [array([ True, False,  True])]
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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n, time), list of (time_i,), or array_like (n,)
            A label a step; or a label a row, which all its steps have. With groups, a label a row
            of X.
        sample_weight : array_like (n,) or (n, time), or list of (time_i,), default None
            Not negative. Weights of sequences or of steps; a step of weight 0 counts in nothing.
            With groups, a weight a row of X. None: all are 1.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n, time), list of (time_i,), or array_like (n,)
            As in :meth:`fit`. It may lack some of the classes.
        classes : array_like (n_classes,), default None
            All labels that there will be. None: those of the first call.
        sample_weight : array_like (n,) or (n, time), or list of (time_i,), default None
            As in :meth:`fit`.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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

    def _take_target(self, target: Any) -> None:
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
        ndarray (n, time) for an array or table
            For a list, list of ndarray (time_i,); with groups, ndarray (rows,). If the tagger was
            fitted with a label a row, ndarray (n,).

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
        ndarray (n, time, n_classes) for an array or table
            For a list, list of ndarray (time_i, n_classes); with groups, ndarray (rows, n_classes).
            If the tagger was fitted with a label a row, ndarray (n, n_classes).

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
        ndarray (n, time, n_classes) for an array or table
            For a list, list of ndarray (time_i, n_classes); with groups, ndarray (rows, n_classes).
            If the tagger was fitted with a label a row, ndarray (n, n_classes).

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

    @property
    def _cannot_stream(self) -> str | None:
        """Why the estimator cannot predict step by step, its network aside; None: it can."""
        if self._target.label_a_row:
            return "it was fitted with a label for each row, not for each step"
        return None

    def _streamed_answer(self, scores: Array) -> Array:
        return self._target.probabilities(scores[:, None])[:, 0]

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
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n, time), list of (time_i,), or array_like (n,)
            As in :meth:`fit`.
        sample_weight : array_like (n,) or (n, time), or list of (time_i,), default None
            As in :meth:`fit`.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

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
