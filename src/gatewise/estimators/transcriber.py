"""SequenceTranscriber: a row of labels for each sequence, by CTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from .base import TargetEstimator
from .targets.label_rows import LabelRowEntries, LabelRows, label_error_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from gatewise._typing import Array, ArrayLike
    from gatewise.layers import Layer
    from gatewise.training.optimizers import Optimizer

    from .reading.sequences import Sequences
    from .targets.base import SequenceTarget

# A score so far below that of the blank that the blank is certain.
IMPOSSIBLE = -1e4


class SequenceTranscriber(TargetEstimator):
    """Read rows of labels from sequences: words from sound, letters from strokes of a pen.

    The labels of a row are in the order in which they occur, and nothing says where: a recurrent
    network is trained by connectionist temporal classification (Graves et al. 2006). A sequence
    needs at least a step for each label, and one between equal neighbours.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Kind of the recurrent layers: LSTM, GRU or SimpleRNN.
    units : int, default 64
        Number of units in each recurrent layer.
    num_layers : int, default 1
        Number of recurrent layers, each on top of the one before.
    bidirectional : bool, default True
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
    >>> from gatewise import SequenceTranscriber
    >>> rng = np.random.default_rng(0)
    >>> y = ["".join(rng.choice(list("abc"), 3)) for _ in range(200)]
    >>> X = [np.repeat(np.eye(3)[["abc".index(c) for c in text]], 4, axis=0) for text in y]
    >>> X = [frames + rng.normal(0, 0.1, frames.shape) for frames in X]
    >>> X = [np.insert(frames, [4, 8], 0, axis=0) for frames in X]  # silence between the letters
    >>> options = {"learning_rate": "cosine", "learning_rate_init": 0.02, "max_iter": 20}
    >>> transcriber = SequenceTranscriber("gru", 16, random_state=0, **options)
    >>> transcriber.fit(X[:150], y[:150]).predict(X[150:151]) == y[150:151]
    True
    >>> transcriber.score(X[150:], y[150:]) > 0.95
    True
    """

    def __init__(
        self,
        cell: str = "lstm",
        units: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = True,
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
        """Fit to sequences and their rows of labels.

        Parameters
        ----------
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : list of str, or list of array_like (labels_i,)
            A row of labels for each sequence: a text, whose characters are the labels; or labels
            that are all text or all whole numbers. A row may be empty.
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
        SequenceTranscriber
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described, or a sequence has too few steps for its
            labels; the estimator is as it was before.
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
        y : list of str, or list of array_like (labels_i,)
            As in :meth:`fit`. It may lack some of the labels.
        classes : array_like (n_classes,), default None
            All labels that there will be. None: those of the first call.
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
        SequenceTranscriber
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described, or a sequence has too few steps for its
            labels; the estimator is as it was before.
        """
        return self._fit(X, y, sample_weight, groups, time, incremental=True, classes=classes)

    # ---- fitting

    classes_: Array
    _target: LabelRows
    _needed = (*TargetEstimator._needed, "classes_", "_texts")

    def _entries(self) -> LabelRowEntries:
        return LabelRowEntries()

    def _new_target(self, y: Any, sequences: Sequences, classes: Any) -> SequenceTarget:
        return LabelRows(classes)

    def _take_target(self, target: Any) -> None:
        self._target, self.classes_ = target, target.known

    def _restore_target(self, held: dict[str, Any]) -> None:
        target = LabelRows()
        target.classes, target.texts = held["classes_"], held["_texts"]
        self._take_target(target)

    def _outputs_for(self, classes: int) -> set[int]:
        return {1 + classes}

    # ---- predicting

    def _scores(self, sequences: Sequences) -> Array:
        """Scores (n, steps, outputs); past the end of a sequence they say that nothing follows."""
        scores = super()._scores(sequences)
        lengths = self.model_._output_lengths([sequences.lengths])[0]
        if lengths is not None:
            past = np.arange(scores.shape[1]) >= lengths[:, None]
            scores[past] = IMPOSSIBLE
            scores[past, 0] = 0.0
        return scores

    def predict(
        self,
        X: Any,
        beam: int = 1,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> list[Any]:
        """Return the rows of labels.

        Parameters
        ----------
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        beam : int, default 1
            1: the likeliest label of each step is read. More: a beam search over rows of labels,
            which keeps this many after each step (Hannun et al. 2014); it is slower.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.

        Returns
        -------
        list of str, or list of list
            A text for each sequence if the transcriber was fitted with texts, else its labels.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`, or beam is not a whole number from 1.
        """
        beam = checks.whole_number(beam, "beam")
        scores = self._scores(self._read_to_predict(X, groups, time))
        return self._target.as_given(self._target.labels_in_rows(scores, beam))

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
        beam: int = 1,
    ) -> float:
        """Return 1 - label error rate: 1 if all labels are right, and less than 0 at worst.

        The label error rate is the sum of the edit distances between what is predicted and y,
        divided by the number of labels in y.

        Parameters
        ----------
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : list of str, or list of array_like (labels_i,)
            A row of labels for each sequence: a text, whose characters are the labels; or labels
            that are all text or all whole numbers. A row may be empty.
        sample_weight : array_like (n,), default None
            Weights of the sequences, not negative. Weight k is the same as k copies, exactly if a
            batch holds all samples. None: all are 1.
        groups : array_like (rows,), or name of a column of X, default None
            Label of the sequence that each row of a long table belongs to. None: X is no long
            table.
        time : array_like (rows,), or name of a column of X, default None
            With `groups`: time of each row of the long table, by which the rows of a sequence are
            sorted. None: they are in order.
        beam : int, default 1
            As in :meth:`predict`.

        Returns
        -------
        float
            At most 1.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`, y has other labels than rows of them, or beam is
            not a whole number from 1.
        """
        beam = checks.whole_number(beam, "beam")
        sequences = self._read_to_predict(X, groups, time)
        entries = self._entries()
        if sequences.groups is not None:
            y = entries.by_sequence(y, sequences.groups, "y")
            sample_weight = entries.by_sequence(sample_weight, sequences.groups, "sample_weight")
        true = self._target.rows_of(y, len(sequences))
        predicted = self._target.labels_in_rows(self._scores(sequences), beam)
        return 1.0 - label_error_rate(
            true, predicted, entries.read_weights(sample_weight, sequences)
        )
