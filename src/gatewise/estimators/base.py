"""What all estimators share: reading X, building the model, training it, and what is known afterwards."""

import contextlib

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_array

from gatewise import checks, errors, layers, threads
from gatewise.data.columns import check_feature_names, check_kind, names_of
from gatewise.data.missing import feature_means
from gatewise.data.sequences import container_of
from gatewise.described import KnownArguments
from gatewise.errors import CheckpointError, ConfigError, PredictionWarning, ShapeError
from gatewise.memory import cover
from gatewise.models import Sequential
from gatewise.training import feeds, loop
from gatewise.training.callbacks import ProgressBar, check_verbose

from . import networks, parameters, saving
from .fitted import OF_TRAINING, parameters_in_use, refuse_changes, transaction_of
from .progress import Progress
from .reading import inputs
from .reading.missing import MISSING, completed

PREDICTED_AT_ONCE = 128  # samples; it changes the memory that is used, not a bit of the result


def store(estimator, arguments):
    """Set the parameters of a constructor, whose ``locals()`` are given, as they are."""
    for name in estimator._get_param_names():
        setattr(estimator, name, arguments[name])


# Methods that say for what there was no memory.
_PUBLIC = (
    "fit",
    "partial_fit",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "score",
    "predict_interval",
    "predict_quantiles",
    "update",
    "backtest",
)


class SequenceEstimator(KnownArguments, BaseEstimator):
    """Base of all estimators: see :class:`SequenceClassifier` for the parameters.

    A subclass says what its targets are (`_read_targets`), which loss it has and what its head is
    (`_output`), and how good predictions are (`_score_of`).
    """

    _per_step = False  # an output for each step rather than each sequence
    _fitted_parameters = None  # those that the network was made with, a dict: see fitted.py
    # What an estimator without these parameters has.
    pooling, embedding, vocabulary_size, missing, architecture = "last", None, None, "error", None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cover(cls, _PUBLIC)

    # ---- what a subclass defines

    def _read_targets(self, y, sequences, reset, incremental=False, weights=None):
        """Targets as the loss expects them, ndarray; with `reset`, what they may be from now on.

        `weights` are those of samples, steps or outputs: a target of weight 0 may be anything.
        """
        raise TypeError(f"{type(self).__name__} defines no targets")

    def _output(self, targets):
        """(loss, number of outputs, activation of the head), known once the targets are read."""
        raise TypeError(f"{type(self).__name__} defines no output")

    def _score_of(self, targets, scores, sample_weight):
        """How good `scores`, the output before its activation, are: a float, higher is better."""
        raise TypeError(f"{type(self).__name__} defines no score")

    def _stratify_by(self, targets):
        """What a validation part is stratified by, None: nothing."""
        return None

    # ---- reading X

    def _read_X(self, X, groups=None, time=None, reset=False):
        """Sequences of X; with `reset`, what the estimator expects from now on."""
        if not reset:
            self._need_fitted()
        X, groups = inputs.split_groups(inputs.unmasked(X), groups, time)
        missing, embedding = self._in_use("missing"), self._in_use("embedding")
        parameters.chosen(missing, "missing", MISSING)
        if embedding is not None and missing != "error":
            raise ConfigError(
                f"missing is {missing!r}; with embedding X holds whole numbers, of which none can"
                " be missing"
            )
        dtype = inputs.FLOATS if embedding is None else None
        check_kind(X, "X")
        one_by_one = groups is None and (container_of(X) is not None or inputs.axes_of(X) > 2)
        if one_by_one:
            sequences = inputs.read_each(X)
        else:
            sequences = self._read_rows(X, groups, dtype, reset)
        # The columns of a table are steps, those of other frames are features.
        if reset or sequences.table == self._fitted_on_table:
            check_feature_names(self, sequences.names, reset=reset)
        if missing == "error":
            inputs.refuse_missing(
                sequences,
                type(self).__name__,
                (
                    None
                    if embedding is not None
                    else ", ".join(map(repr, MISSING[1:-1])) + f" or {MISSING[-1]!r}"
                ),
            )
        if embedding is not None:
            return self._checked_tokens(sequences, reset)
        self._check_features(sequences, reset)
        if missing == "error":
            return sequences
        if reset:
            self.feature_means_ = feature_means(sequences.values, sequences.lengths)
        return completed(sequences, missing, self.feature_means_)

    def _in_use(self, parameter):
        """A parameter as the last fit, or the one under way, used it: one that was set since means nothing before the next."""
        fitted = self._fitted_parameters
        return (
            fitted[parameter]
            if fitted is not None and parameter in fitted
            else getattr(self, parameter)
        )

    def _read_rows(self, X, groups, dtype, reset):
        """Sequences of a table, one a row; or of a long table with groups."""
        with inputs.checked_by_sklearn():
            rows = check_array(
                X,
                order="C" if groups is None else None,
                dtype=dtype,
                ensure_all_finite="allow-nan",
                input_name="X",
                estimator=self,
            )
        if not reset and (self._fitted_on_table if groups is None else not self._fitted_on_table):
            expected = self.n_features_in_
            if rows.shape[1] != expected:
                raise ShapeError(
                    f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting"
                    f" {expected} features as input"
                )
        if groups is None:
            tokens = self._in_use("embedding") is not None
            return inputs.Sequences(
                rows if tokens else rows[..., None], table=True, names=names_of(X)
            )
        sequences = inputs.padded(rows[groups.order], groups.lengths)
        sequences.groups, sequences.names = groups, names_of(X)
        return sequences

    def _remember_input(self, sequences, features):
        self._fitted_on_table, self._step_features = sequences.table, features
        self.n_features_in_ = sequences.values.shape[1] if sequences.table else features

    def _checked_tokens(self, sequences, reset):
        """Sequences of whole numbers below the size of the vocabulary."""
        sequences.values = inputs.whole_numbers(sequences.values)
        largest = int(sequences.values.max(initial=0))
        if reset:
            self._remember_input(sequences, 1)
            given = self.vocabulary_size
            self.vocabulary_size_ = (
                largest + 1 if given is None else checks.whole_number(given, "vocabulary_size")
            )
        if largest >= self.vocabulary_size_:
            raise ConfigError(
                f"X holds the number {largest}; the vocabulary has {self.vocabulary_size_}, 0 to"
                f" {self.vocabulary_size_ - 1}: give vocabulary_size, or a number that stands for"
                " what is unknown"
            )
        return sequences

    def _check_features(self, sequences, reset):
        features = sequences.values.shape[-1]
        if reset:
            self._remember_input(sequences, features)
        elif features != self._step_features:
            hint = ""
            if sequences.table and not self._fitted_on_table:
                hint = (
                    ": each row of a table is a sequence of one feature; put a single sequence into"
                    " a list, [X]"
                )
            elif sequences.values.shape[1] == self._step_features:
                hint = (
                    ": steps come before features, (n, time, features), which X.transpose(0, 2, 1)"
                    " gives"
                )
            raise ShapeError(
                f"X has {features} features a step, but {type(self).__name__} is expecting"
                f" {self._step_features} features a step as input{hint}"
            )

    def _need_fitted(self):
        if not hasattr(self, "model_"):
            raise errors.NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with"
                " appropriate arguments before using this estimator."
            )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    # ---- fitting

    def _fit(self, X, y, sample_weight, groups, time, incremental=False, classes=None):
        """Fit from the start, or go on: with `incremental` for one pass, else where warm_start says so."""
        if incremental and self.early_stopping:
            raise ConfigError("partial_fit does not support early_stopping=True")
        goes_on = hasattr(self, "model_") and (
            incremental or checks.flag(self.warm_start, "warm_start")
        )
        with transaction_of(self, with_model=goes_on):
            self._begin(goes_on, incremental)
            if incremental:
                self._take_classes(classes)
            self._read_and_train(X, y, sample_weight, groups, time, goes_on, incremental)
        return self

    def _begin(self, goes_on, incremental):
        """From here on a new fit has the parameters as they are now; one that goes on must have those of before."""
        if goes_on:
            refuse_changes(self, self._fitted_parameters, incremental)
        else:
            self._fitted_parameters = parameters_in_use(self)

    def _take_classes(self, classes):
        """What partial_fit is told of the labels to come."""

    def _read_and_train(self, X, y, sample_weight, groups, time, goes_on, incremental):
        if not goes_on:
            for attribute in ("feature_means_", "vocabulary_size_"):  # of another X
                vars(self).pop(attribute, None)
        sequences = self._read_X(X, groups, time, reset=not goes_on)
        if not sequences.all_lengths.any():
            raise ShapeError(
                "X holds no steps: every sequence is empty; expected at least one time step"
            )
        if sequences.groups is not None:
            y, sample_weight = self._of_groups(y, sample_weight, sequences.groups)
        weights = self._read_weights(sample_weight, sequences)
        if weights is not None:  # a weight of zero says: not there
            kept = self._kept_rows(weights)
            if not kept.all():
                sequences, weights, y = sequences.take(kept), weights[kept], _rows_of(y, kept)
        targets = self._read_targets(y, sequences, not goes_on, incremental, weights)
        with np.errstate(over="ignore"):
            weights = self._with_class_weight(weights, targets, sequences, incremental)
        if weights is not None:
            checks.summable(
                weights,
                "class_weight" if sample_weight is None else "class_weight and sample_weight",
            )
        if weights is not None and not (weights.min() >= 0 and weights.sum() > 0):
            raise ConfigError(
                "class_weight leaves weights below zero, or none above zero; expected at least one"
                " sample that counts"
            )
        with self._using_threads():
            self._train(sequences, targets, weights, goes_on, incremental)

    def _of_groups(self, y, sample_weight, groups):
        return groups.one_each(y, "y"), groups.one_each(sample_weight, "sample_weight")

    def _of_sequences(self, X, groups, y, sample_weight):
        """(y, sample_weight) with an entry a sequence, for a score."""
        if groups is None:
            return y, sample_weight
        return SequenceEstimator._of_groups(
            self, y, sample_weight, inputs.split_groups(X, groups)[1]
        )

    def _read_weights(self, sample_weight, sequences):
        """ndarray (n,) of float64; None stays None."""
        if sample_weight is None:
            return None
        inputs.unmasked(sample_weight, "sample_weight")
        with inputs.checked_by_sklearn():
            weights = _check_sample_weight(
                sample_weight, sequences.values, dtype=np.float64, ensure_non_negative=True
            )
        return check_weights(weights)

    @staticmethod
    def _kept_rows(weights):
        """Which samples count: bool ndarray (n,)."""
        return (weights > 0).any(axis=tuple(range(1, weights.ndim)))

    def _with_class_weight(self, weights, targets, sequences, incremental):
        return weights

    def _train(self, sequences, targets, weights, goes_on, incremental):
        validation = None
        if self.early_stopping:
            sequences, targets, weights, validation = self._split(sequences, targets, weights)
        count = len(sequences)
        batch_size = parameters.batch_size_of(self.batch_size, count)
        most = checks.whole_number(self.max_iter, "max_iter")
        epochs = 1 if incremental else most
        shuffle = checks.flag(self.shuffle, "shuffle")
        check_verbose(self.verbose)
        progress = Progress(self, validation, count, incremental, goes_on)
        if not goes_on:
            self._build(sequences, targets, weights, batch_size)
        if not (goes_on and incremental):
            self._compile(targets, -(-count // batch_size) * most, incremental)
            self.n_iter_ = 0
        else:
            self._end_schedule()
        self.model_.fit(
            sequences.values,
            targets,
            sample_weight=self._normalized(weights, sequences),
            lengths=sequences.lengths,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=shuffle,
            verbose=0,
            callbacks=[progress, ProgressBar(self.verbose)],
        )
        if progress.undone:
            raise KeyboardInterrupt(
                "interrupted before the first pass had ended: the estimator is as it was"
            )
        self.model_._training_run = None  # it belongs to files that go on with an interrupted fit
        if (
            not incremental
            and self.learning_rate != "cosine"
            and not progress.converged
            and self.n_iter_ == epochs
        ):
            checks.warn(
                f"training ended at max_iter={epochs} passes and has not converged yet: raise"
                " max_iter, or learning_rate_init",
                ConvergenceWarning,
            )

    def _normalized(self, weights, sequences):
        """Weights whose mean is 1, so that the loss is a mean weighted by them: weight k is k copies."""
        return None if weights is None else weights * (weights.size / weights.sum())

    def _split(self, sequences, targets, weights):
        """(sequences, targets, weights) to train on, and the same to validate on as a tuple."""
        with inputs.checked_by_sklearn():
            train, held_out = train_test_split(
                np.arange(len(sequences)),
                test_size=self.validation_fraction,
                random_state=check_random_state(self.random_state),
                stratify=self._stratify_by(targets),
            )
        if len(held_out) < 2:
            raise ConfigError(
                f"validation_fraction is {self.validation_fraction}: {len(held_out)} of"
                f" {len(sequences)} samples are too few to validate on; raise it, or give more"
                " samples"
            )
        parts = [
            (sequences.take(rows), targets[rows], None if weights is None else weights[rows])
            for rows in (train, held_out)
        ]
        return *parts[0], parts[1]

    def _build(self, sequences, targets, weights, batch_size):
        """A new model, and nothing known yet."""
        per_batch = batch_size if weights is None else batch_size * float(weights.mean())
        loss, outputs, activation = self._output(targets)
        shape = sequences.values.shape[1:]
        self.n_outputs_ = outputs
        self.out_activation_ = self._name_of(activation)
        made = self._layers(
            shape, outputs, activation, parameters.penalty_of(self.alpha, per_batch)
        )
        dtype = parameters.dtype_of(self.dtype, batch_size == len(sequences))
        self.model_ = Sequential(
            [layers.Input(shape, dtype=dtype), *made],
            name=type(self).__name__,
            seed=parameters.seed_of(self.random_state),
        )
        if self.model_.output_shape[-1] != outputs:
            raise ConfigError(
                f"architecture gave layers with {self.model_.output_shape[-1]} outputs; expected"
                f" {outputs}"
            )
        self.t_ = 0
        self.loss_curve_ = []

    def _layers(self, shape, outputs, activation, penalty):
        """list of Layer from sequences of `shape`, the steps of the longest and the features of one, to the output."""
        if self.architecture is None or isinstance(self.architecture, str):
            return [
                *networks.encoder_layers(self, penalty, self._per_step),
                *networks.head_layers(outputs, activation, penalty),
            ]
        read = (shape[0], shape[1] if self.embedding is None else self.embedding)
        return networks.own_layers(
            self.architecture, read, outputs, activation, networks.embedding_layers(self)
        )

    def _compile(self, targets, steps, incremental):
        """A new optimizer. Nobody knows how many calls of partial_fit there will be, over which a rate could fall."""
        rate = "constant" if incremental and self.learning_rate == "cosine" else self.learning_rate
        optimizer = parameters.optimizer_of(
            self.optimizer, rate, self.learning_rate_init, self.clipnorm, steps
        )
        loss, _, activation = self._output(targets)
        if self._name_of(activation) != self.out_activation_:
            raise ConfigError(
                f"loss {loss.name!r} needs an output that is {self._name_of(activation)}, and the"
                f" network of the last fit has one that is {self.out_activation_}; set"
                " warm_start=False to make a new one"
            )
        # one label gives one column
        self.model_._choose_training(optimizer, loss, None, fitting=True)
        now = parameters_in_use(self)
        self._fitted_parameters = self._fitted_parameters | {
            name: now[name] for name in OF_TRAINING if name in now
        }

    @staticmethod
    def _name_of(activation):
        """scikit-learn's name of the output's activation."""
        return {"linear": "identity", "sigmoid": "logistic"}.get(activation, activation)

    def _end_schedule(self):
        """The rate of partial_fit is constant, also after a fit along a cosine, at whose end it is 0."""
        before = self.model_.optimizer
        if isinstance(self.optimizer, str) and isinstance(
            before.get_config()["learning_rate"], dict
        ):
            rate = checks.number(self.learning_rate_init, "learning_rate_init", 0.0, open_low=True)
            after = type(before).from_config(before.get_config() | {"learning_rate": rate})
            after._restore(before._snapshot())
            self.model_._choose_training(after, self.model_.loss, None, fitting=True)

    # ---- files

    # Fitted attributes that a file must hold, beside those that it may: see saving.py.
    _needed = (
        "n_features_in_",
        "_fitted_on_table",
        "_step_features",
        "n_outputs_",
        "out_activation_",
        "t_",
        "n_iter_",
        "loss_curve_",
    )
    # Those that are packed by the estimator itself.
    _own_state = ()

    def _get_state(self):
        """dict of what files keep beside attributes, as :mod:`packing` takes it."""
        return {}

    def _set_state(self, state):
        """Take what :meth:`_get_state` gave; called when everything else is there."""
        if state:
            raise CheckpointError(
                f"the state of a {type(self).__name__} is {state!r:.80}; expected none"
            )

    def save(self, path):
        """Write parameters, fitted attributes and the model to one file, atomically: what :func:`load_estimator` reads.

        Nothing in it is pickled. A function given as ``architecture`` is not kept, the layers that
        it made are. Requests for metadata are not kept.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        NotFittedError
        CheckpointError
            The file could not be written; an older file of that name is still whole.
        DTypeError
            A parameter or label is of a kind that files cannot hold.
        """
        self._need_fitted()
        saving.save_estimator(self, path)

    # ---- using the model

    def _read_to_predict(self, X, groups, time=None):
        """Sequences of X, with a warning if there are some of which nothing can be said."""
        sequences = self._read_X(X, groups, time)
        empty = self._empty_rows(sequences)
        if len(empty):
            several = len(empty) > 1
            named = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
            checks.warn(
                f"{'sequences' if several else 'sequence'} {named} of X"
                f" {'have' if several else 'has'} no step that counts ({len(empty)} of"
                f" {len(sequences)}): what is predicted for {'them' if several else 'it'} says"
                f" nothing about {'them' if several else 'it'}; leave such sequences out",
                PredictionWarning,
            )
        return sequences

    def _empty_rows(self, sequences):
        """Numbers of the sequences that get a prediction though no step of them counts, ndarray."""
        counted = sequences.each_length
        # of an architecture that masks steps itself
        mask = self.model_._compute_mask(sequences.values)
        if mask is not None:
            counted = (mask & sequences.valid).sum(axis=1)
        # Where steps have predictions, a sequence without steps has none.
        return np.flatnonzero(
            (counted == 0) & ((sequences.all_lengths > 0) | (not self._predicts_steps))
        )

    @property
    def _predicts_steps(self):
        return self._per_step

    def _scores(self, sequences):
        """Output of the model before its last activation, (n, outputs) or (n, steps, outputs)."""
        return self._run(sequences, -1)

    def _run(self, sequences, stop):
        """Output of the layers before number `stop`, ndarray."""
        feed = feeds.feed_of(
            self.model_,
            sequences.values,
            lengths=sequences.lengths,
            batch_size=PREDICTED_AT_ONCE,
            need_y=False,
        )
        with self._using_threads(), self.model_.unchanged():
            return loop.predict_feed(self.model_, feed, stop=stop)

    @contextlib.contextmanager
    def _using_threads(self):
        count = parameters.threads_of(self.n_jobs)
        with contextlib.nullcontext() if count is None else threads.num_threads(count):
            yield

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error" and self.embedding is None
        return tags


def check_weights(weights):
    """Weights, none of them negative and not all of them 0.

    Raises
    ------
    ConfigError
    """
    if not weights.size or weights.min() < 0 or not weights.any():
        found = (
            f"the smallest weight is {weights.min()}, the largest {weights.max()}"
            if weights.size
            else "there is none"
        )
        raise ConfigError(
            f"sample_weight: {found}; expected no negative one, and not every weight zero"
        )
    return checks.summable(weights, "sample_weight")


def _rows_of(y, kept):
    """The rows of a list, frame or array where `kept` is true."""
    if y is None:
        return None
    if hasattr(y, "iloc"):
        return y.iloc[np.flatnonzero(kept)]
    if isinstance(y, np.ndarray) or inputs.is_frame(y):
        return np.asarray(y)[kept]
    return [row for row, keep in zip(y, kept) if keep]
