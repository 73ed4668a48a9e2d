"""Target: what y means to an estimator: how its network ends and how its results are scored."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.data.columns import is_frame
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from gatewise._typing import Array, BoolArray
    from gatewise.estimators.reading.sequences import Sequences
    from gatewise.training.losses import Loss


class Output(NamedTuple):
    """What a network needs at its end to learn a target.

    Attributes
    ----------
    loss : Loss
        What training makes small.
    outputs : int
        Number of outputs of the last layer.
    activation : str
        Of the last layer, a name that :class:`gatewise.layers.Activation` knows.
    """

    loss: Loss
    outputs: int
    activation: str


class Examples(NamedTuple):
    """Sequences with what a network is to learn of them.

    Attributes
    ----------
    sequences : Sequences
    targets : ndarray
        As the loss takes them.
    weights : ndarray or None
        Of sequences, steps or outputs. None: all count the same.
    """

    sequences: Sequences
    targets: Array
    weights: Array | None = None

    def take(self, rows: Array) -> Examples:
        """Return some of them; `rows` is an array of indices."""
        weights = None if self.weights is None else self.weights[rows]
        return Examples(self.sequences.take(rows), self.targets[rows], weights)


class Target(abc.ABC):
    """What the outputs of a network stand for: the part of an estimator that training needs.

    An estimator is a reader of X, a target and a network. *Scores* are the outputs of the network
    before its last activation.
    """

    score_name = "score"  # what :meth:`score` returns, for plots
    per_step = False  # whether the network has an output for each step, not for each sequence

    @property
    def predicts_steps(self) -> bool:
        """Whether each step has a prediction, so that a sequence without steps has none."""
        return self.per_step

    @abc.abstractmethod
    def output(self, targets: Array) -> Output:
        """Loss, number of outputs and activation for targets that were read."""

    @abc.abstractmethod
    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """How good the network's scores are; higher is better."""

    def stratify_by(self, targets: Array) -> Array | None:
        """Classes (n,) in whose proportions a validation part is drawn; None: in any."""
        return None

    def normalized(self, weights: Array | None, sequences: Sequences) -> Array | None:
        """Weights whose mean is 1, so that weight k is the same as k copies of the sample."""
        return None if weights is None else weights * (weights.size / weights.sum())

    def validation_weights(self, weights: Array | None, sequences: Sequences) -> Array | None:
        """Weights of held-out samples as :meth:`score` takes them."""
        return weights


class SequenceTarget(Target):
    """Target of an estimator that is given y beside X.

    The first :meth:`read` after it was made learns from y what later calls must bring: classes, or
    the number of columns. It is made anew for each fit from the start and does not change after its
    first `read`.
    """

    def expect_classes(self, classes: Any) -> None:
        """Check the `classes` that a later call of ``partial_fit`` was given.

        Raises
        ------
        ConfigError
            They are not the classes of the first call, or the target has none.
        """
        raise ConfigError(
            "classes says which labels y may hold, and this estimator learns from no labels; leave"
            " classes out"
        )

    @abc.abstractmethod
    def read(
        self, y: Any, sequences: Sequences, weights: Array | None, *, all_classes: bool = True
    ) -> Array:
        """The targets as the loss takes them.

        Parameters
        ----------
        y : array_like
            What the user gave, with an entry for each sequence or each step.
        sequences : Sequences
            X as it was read.
        weights : ndarray or None
            Of sequences, steps or outputs. A target of weight 0 may be anything.
        all_classes : bool
            y holds all classes, as in ``fit``, rather than some of them, as in ``partial_fit``.

        Returns
        -------
        ndarray

        Raises
        ------
        ConfigError, ShapeError, NonFiniteError
        """

    def with_class_weight(
        self,
        weights: Array | None,
        targets: Array,
        sequences: Sequences,
        class_weight: Any,
        all_classes: bool,
    ) -> Array | None:
        """Weights multiplied by those of the classes.

        Parameters
        ----------
        weights : ndarray or None
            Of sequences or of steps.
        targets : ndarray
            What :meth:`read` returned.
        sequences : Sequences
        class_weight : dict, "balanced" or None
        all_classes : bool
            See :meth:`read`. "balanced" needs all of them.
        """
        return weights

    @abc.abstractmethod
    def stored(self) -> dict[str, Any]:
        """What files hold of the target: values by the names that they have in files."""


def counted_rows(weights: Array) -> BoolArray:
    """Which samples have a weight above 0, (n,), of weights (n,), (n, steps) or more axes."""
    return np.any(weights > 0, axis=tuple(range(1, weights.ndim)))


def without_rows(y: Any, kept: BoolArray) -> Any:
    """The entries of a list, frame or array for which `kept` is true; None stays None."""
    if y is None:
        return None
    if hasattr(y, "iloc"):
        return y.iloc[np.flatnonzero(kept)]
    if isinstance(y, np.ndarray) or is_frame(y):
        return np.asarray(y)[kept]
    return [row for row, keep in zip(y, kept) if keep]
