"""SequenceEncoder: sequences to vectors of features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.layers import Dense, RepeatVector

from . import networks, parameters
from .base import TargetEstimator
from .classifier import SequenceClassifier
from .reading.checking import checked_by_sklearn
from .regressor import SequenceRegressor
from .targets.labels import labels_target, stored_labels
from .targets.numbers import Numbers
from .targets.reconstruction import Reconstruction

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from gatewise._typing import Array, ArrayLike
    from gatewise.layers import Layer
    from gatewise.regularizers import Regularizer
    from gatewise.training.optimizers import Optimizer

    from .reading.groups import Groups
    from .reading.sequences import Sequences
    from .targets.base import SequenceTarget


class SequenceEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TargetEstimator):
    """Turn each sequence into a vector of features, with a recurrent network.

    Without y the network is an autoencoder: a second recurrent layer reads the vector at every step
    and gives the sequence back (Srivastava et al. 2015); the loss is the difference. With y the
    network is a classifier or regressor of these labels or numbers, and the vector is the input of
    its last layer.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Kind of the recurrent layers: LSTM, GRU or SimpleRNN.
    units : int, default 64
        Number of units in each recurrent layer.
    n_components : int or None, default None
        Number of features, the outputs of a linear layer. None: the features are the outputs of the
        last recurrent layer.
    objective : {"auto", "reconstruction"}, default "auto"
        What the network learns. "auto": y if it is given, else the sequences. "reconstruction": the
        sequences, even if there is a y, as in a pipeline that ends in a classifier.
    num_layers : int, default 1
        Number of recurrent layers, each on top of the one before.
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
    architecture : {"recurrent", "convolution", "attention", "normalization"} or None, default None
        Layers around the recurrent ones. None or "recurrent": those that the parameters describe.
        "convolution": before them a convolution over 5 steps. "attention": after them attention of
        each step to all others (Luong et al. 2015), then the mean, or maximum, over the steps.
        "normalization": after each of them layer normalization (Ba et al. 2016).
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

    References
    ----------
    N. Srivastava, E. Mansimov, R. Salakhutdinov. Unsupervised learning of video representations
    using LSTMs. ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import SequenceEncoder
    >>> X = [np.sin(np.arange(n) / 3) for n in (8, 12, 10, 9)]
    >>> encoder = SequenceEncoder("gru", 8, n_components=2, learning_rate="cosine", max_iter=9)
    >>> encoder.fit_transform(X).shape
    (4, 2)
    """

    def __init__(
        self,
        cell: str = "lstm",
        units: int = 64,
        *,
        n_components: int | None = None,
        objective: str = "auto",
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
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
        self.n_components = n_components
        self.objective = objective
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
        self.warm_start = warm_start
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Fit to sequences, or to sequences and their labels or numbers.

        Parameters
        ----------
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n,), (n, labels) of 0 and 1, or (n, outputs), default None
            Labels, unless there are numbers with fractions. None: the network learns to give back
            the sequences.
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
        SequenceEncoder
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
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Train for one pass over these samples, from the weights that there are.

        The first call decides whether there is a y, of which kind, and how many steps the network
        gives back.

        Parameters
        ----------
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n,), (n, labels) of 0 and 1, or (n, outputs), default None
            As in :meth:`fit`. It may lack some of the classes.
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
        SequenceEncoder
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self._fit(X, y, sample_weight, groups, time, incremental=True, classes=classes)

    def fit_transform(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Any:
        """Fit, then return the features of the same sequences.

        Parameters
        ----------
        X : array_like (n, time), (n, time, features), or list of array_like (time_i, features)
            Sequences: rows of a table, blocks of steps, or one by one with lengths of their own,
            (time_i,) if there is one feature; with `groups`, a long table (rows, features) with a
            step in each row. docs/estimators.md has all forms. It is not changed.
        y : array_like (n,), (n, labels) of 0 and 1, or (n, outputs), default None
            As in :meth:`fit`.
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
        ndarray (n, n_components)
            As :meth:`transform`.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self.fit(X, y, sample_weight, groups, time).transform(X, groups, time)

    def transform(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Any:
        """Return the features of sequences.

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
        ndarray (n, n_components)
            A frame if scikit-learn is set to one (``set_output``); with groups, its index holds
            their labels.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        sequences = self._read_to_predict(X, groups, time)
        return self._labelled(self._run(sequences, self._encoding_layers), sequences.groups)

    def _labelled(self, features: Array, groups: Groups | None) -> Any:
        """Features; a frame indexed by the labels of the groups if scikit-learn is set to pandas.

        scikit-learn would give it the index of X, which has a row a step.
        """
        own = getattr(self, "_sklearn_output_config", {})
        if groups is None or own.get("transform", get_config()["transform_output"]) != "pandas":
            return features
        import pandas

        return pandas.DataFrame(features, index=groups.labels, columns=self.get_feature_names_out())

    @property
    def _n_features_out(self) -> int:
        return self.model_.layers[self._encoding_layers - 1].output_shape[-1]

    # ---- fitting

    _encoding_layers: int  # layers from the input to the features
    _needed = (*TargetEstimator._needed, "_reader", "_encoding_layers")

    def _new_target(self, y: Any, sequences: Sequences, classes: Any) -> SequenceTarget:
        learns_y = (
            parameters.chosen(self.objective, "objective", ("auto", "reconstruction")) == "auto"
            and y is not None
        )
        if classes is not None and not learns_y:
            raise ConfigError(
                "classes says which labels y may hold, and y is not given or left aside; leave"
                " classes out"
            )
        if not learns_y:
            return self._reconstruction()
        with checked_by_sklearn():
            kind = type_of_target(y, input_name="y")
        if classes is None and kind.startswith("continuous"):
            return Numbers()
        return labels_target(y, len(sequences), classes)

    def _reconstruction(self, steps: int | None = None) -> Reconstruction:
        tokens = self._in_use("embedding") is not None
        return Reconstruction(self._step_features, self.vocabulary_size_ if tokens else None, steps)

    def _layers(
        self,
        shape: tuple[int, ...],
        outputs: int,
        activation: str,
        penalty: Regularizer | None,
    ) -> list[Layer]:
        made = networks.encoder_layers(self, penalty)
        if self.n_components is not None:
            made.append(
                Dense(
                    checks.whole_number(self.n_components, "n_components"),
                    kernel_regularizer=penalty,
                )
            )
        self._encoding_layers = len(made)
        if isinstance(self._target, Reconstruction):
            cell = parameters.CELLS[self.cell]
            made += [
                RepeatVector(shape[0]),
                cell(
                    self.units,
                    return_sequences=True,
                    kernel_regularizer=penalty,
                    recurrent_regularizer=penalty,
                ),
            ]
        return [*made, *networks.head_layers(outputs, activation, penalty)]

    # ---- files

    def _stored_target(self) -> dict[str, Any]:
        held = self._target.stored()
        if isinstance(self._target, Reconstruction):
            return held | {"_reader": None}
        # In the file format a classifier or regressor holds what is known of y.
        reader = SequenceRegressor() if isinstance(self._target, Numbers) else SequenceClassifier()
        vars(reader).update(held)
        return {"_reader": reader, "_decoded_steps": 0}

    def _restore_target(self, held: dict[str, Any]) -> None:
        reader = held["_reader"]
        if reader is None:
            self._target = self._reconstruction(held["_decoded_steps"])
        elif "classes_" in reader:
            self._target = stored_labels(reader)
        else:
            self._target = Numbers().restore(reader)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
