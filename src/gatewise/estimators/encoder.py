"""SequenceEncoder: sequences to vectors of features."""

import numpy as np
from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import Dense, RepeatVector
from gatewise.training import losses

from . import networks, parameters
from .base import SequenceEstimator, store
from .classifier import SequenceClassifier
from .documentation import documented
from .reading import inputs
from .regressor import SequenceRegressor
from .targets.outputs import probabilities


@documented
class SequenceEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SequenceEstimator):
    """Makes a vector of features of each sequence, with a recurrent network.

    Without y the network is an autoencoder: a second one reads the vector at every step and gives
    the sequence back (Srivastava et al. 2015); the difference is what training makes small. With y
    the vector is what a classifier or regressor of these labels or numbers ends in, before its
    head.

    Parameters
    ----------
    {PARAMETERS}
    n_components : int, optional
        Features that come out, by a linear layer. None: the outputs of the last recurrent layer.
    objective : {"auto", "reconstruction"}
        "auto": y where it is given; "reconstruction": the sequences, whatever y is, as in a
        pipeline that ends in a classifier.
    {POOLING}
    {READING}
    {NAMED_ARCHITECTURE}

    Attributes
    ----------
    {ATTRIBUTES}

    References
    ----------
    N. Srivastava, E. Mansimov, R. Salakhutdinov. Unsupervised learning of video representations
    using LSTMs. ICML 2015.
    """

    def __init__(
        self,
        cell="lstm",
        units=64,
        *,
        n_components=None,
        objective="auto",
        num_layers=1,
        bidirectional=False,
        pooling="last",
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
        warm_start=False,
        dtype="auto",
        random_state=None,
        verbose=False,
        n_jobs=None,
    ):
        store(self, locals())

    def fit(self, X, y=None, sample_weight=None, groups=None, time=None):
        """Fit to sequences, or to sequences and their labels or numbers.

        Parameters
        ----------
        X : array_like (n, time) or (n, time, features), list of (time_i, features) or (time_i,), or frame
            See docs/estimators.md.
        y : array_like (n,), (n, labels) of 0 and 1, or (n, outputs), optional
            Labels, unless there are numbers with fractions.
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

    def partial_fit(self, X, y=None, classes=None, sample_weight=None, groups=None, time=None):
        """One pass over these samples, from where training stands.

        Parameters
        ----------
        X, y, sample_weight, groups, time
            See :meth:`fit`. The first call says whether there is a y, of which kind, and how long a
            sequence is that the network gives back.
        classes : array_like (n_classes,), optional
            All labels there will be. None: those of the first call.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, groups, time, incremental=True, classes=classes)

    def fit_transform(self, X, y=None, sample_weight=None, groups=None, time=None):
        """:meth:`fit`, then :meth:`transform`."""
        return self.fit(X, y, sample_weight, groups, time).transform(X, groups, time)

    def transform(self, X, groups=None, time=None):
        """Features of sequences.

        Parameters
        ----------
        X, groups, time
            See :meth:`fit`.

        Returns
        -------
        ndarray (n, n_components)
            A frame where scikit-learn is set to one (``set_output``); with groups, its index holds
            their labels.

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        sequences = self._read_to_predict(X, groups, time)
        return self._labelled(self._run(sequences, self._encoding_layers), sequences.groups)

    def _labelled(self, features, groups):
        """Features; as a frame with the labels of the groups for its index where scikit-learn is set to pandas.

        scikit-learn would give it the index of X, which has a row a step.
        """
        own = getattr(self, "_sklearn_output_config", {})
        if groups is None or own.get("transform", get_config()["transform_output"]) != "pandas":
            return features
        import pandas

        return pandas.DataFrame(features, index=groups.labels, columns=self.get_feature_names_out())

    @property
    def _n_features_out(self):
        return self.model_.layers[self._encoding_layers - 1].output_shape[-1]

    # ---- fitting

    _needed = (*SequenceEstimator._needed, "_reader", "_encoding_layers", "_decoded_steps")

    def _take_classes(self, classes):
        if classes is None:
            return
        if not hasattr(self, "_reader"):
            self._reader = SequenceClassifier()
        if not isinstance(self._reader, SequenceClassifier):
            raise ConfigError(
                "classes says which labels y may hold, and this encoder learns from no labels;"
                " leave classes out"
            )
        self._reader._take_classes(classes)

    def _read_targets(self, y, sequences, reset, incremental=False, weights=None):
        # by classes, or by an earlier call
        told = incremental and getattr(self, "_reader", None) is not None
        if reset:
            by_y = (
                parameters.chosen(self.objective, "objective", ("auto", "reconstruction")) == "auto"
                and y is not None
            )
            if told and not by_y:
                raise ConfigError(
                    "classes says which labels y may hold, and y is not given or left aside; leave"
                    " classes out"
                )
            self._reader = None if not by_y else self._reader if told else _reader_of(y)
            self._decoded_steps = sequences.values.shape[1]
        if self._reader is not None:
            return self._reader._read_targets(y, sequences, reset, told, weights)
        steps = sequences.values.shape[1]
        if steps > self._decoded_steps:
            raise ShapeError(
                f"X has {steps} steps; the network gives back up to {self._decoded_steps}, as many"
                " as X had in the first call: fit with warm_start=False"
            )
        targets = (
            sequences.values
            if self._in_use("embedding") is not None
            else sequences.values[..., : self._step_features]
        )
        return np.pad(
            targets, [(0, 0), (0, self._decoded_steps - steps)] + [(0, 0)] * (targets.ndim - 2)
        )

    def _normalized(self, weights, sequences):
        if self._reader is not None:
            return super()._normalized(weights, sequences)
        weights = self._of_steps(weights, sequences)
        return weights * (weights.size / weights.sum())

    def _split(self, sequences, targets, weights):
        *training, (held_out, wanted, weights) = super()._split(sequences, targets, weights)
        return *training, (
            held_out,
            wanted,
            weights if self._reader is not None else self._of_steps(weights, held_out),
        )

    def _of_steps(self, weights, sequences):
        """Weights (n, steps to give back) of those of sequences, or of None; 0 at padding."""
        valid = np.arange(self._decoded_steps) < sequences.each_length[:, None]
        return valid * (1.0 if weights is None else weights[:, None])

    def _output(self, targets):
        if self._reader is not None:
            return self._reader._output(targets)
        if self._in_use("embedding") is not None:
            return losses.SparseCategoricalCrossentropy(), self.vocabulary_size_, "softmax"
        return losses.MeanSquaredError(), targets.shape[-1], "linear"

    def _layers(self, shape, outputs, activation, penalty):
        made = networks.encoder_layers(self, penalty)
        if self.n_components is not None:
            made.append(
                Dense(
                    checks.whole_number(self.n_components, "n_components"),
                    kernel_regularizer=penalty,
                )
            )
        self._encoding_layers = len(made)
        if self._reader is None:
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

    def _stratify_by(self, targets):
        return None if self._reader is None else self._reader._stratify_by(targets)

    @property
    def _score_name(self):
        return "score (minus the loss)" if self._reader is None else self._reader._score_name

    def _score_of(self, targets, scores, sample_weight):
        """Of a reader's kind; of reconstructions the loss, turned round."""
        if self._reader is not None:
            return self._reader._score_of(targets, scores, sample_weight)
        given_back = scores if self._in_use("embedding") is None else probabilities(scores, 0)
        return -self._output(targets)[0](
            targets, given_back, sample_weight * (sample_weight.size / sample_weight.sum())
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


def _reader_of(y):
    """The estimator that reads such targets."""
    with inputs.checked_by_sklearn():
        kind = type_of_target(y, input_name="y")
    return SequenceRegressor() if kind.startswith("continuous") else SequenceClassifier()
