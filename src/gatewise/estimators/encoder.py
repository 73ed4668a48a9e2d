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
from .reading.inputs import checked_by_sklearn
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

    from .reading.inputs import Groups, Sequences
    from .targets.base import SequenceTarget


class SequenceEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TargetEstimator):
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
        X
        y : array_like (n,), (n, labels) of 0 and 1, or (n, outputs), optional
            Labels, unless there are numbers with fractions. None: the network learns to give back
            the sequences.
        sample_weight
        groups
        time

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
        X
        y : array_like (n,), (n, labels) of 0 and 1, or (n, outputs), optional
            As in :meth:`fit`. It may lack some of the classes.
        classes : array_like (n_classes,), optional
            All labels that there will be. None: those of the first call.
        sample_weight
        groups
        time

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
        X
        y : array_like (n,), (n, labels) of 0 and 1, or (n, outputs), optional
            As in :meth:`fit`.
        sample_weight
        groups
        time

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
        X
        groups
        time

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

    def _reconstruction(self) -> Reconstruction:
        tokens = self._in_use("embedding") is not None
        return Reconstruction(self._step_features, self.vocabulary_size_ if tokens else None)

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
        return {"_reader": held}

    def _restore_target(self, held: dict[str, Any]) -> None:
        reader = held["_reader"]
        if reader is None:
            target = self._reconstruction()
            target.steps = held["_decoded_steps"]
        elif "classes_" in reader:
            target = stored_labels(reader)
        else:
            target = Numbers().restore(reader)
        self._target = target

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
