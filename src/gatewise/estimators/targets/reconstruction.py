"""The target of an autoencoder: the sequences themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from gatewise.errors import ShapeError
from gatewise.training import losses

from .base import Output, SequenceTarget

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.estimators.reading.sequences import Sequences


class Reconstruction(SequenceTarget):
    """The values of X, which the network gives back; y is not looked at.

    Parameters
    ----------
    features : int
        Number of features of a step that are given back. Those that tell which values were missing
        come after them in X and are not given back.
    vocabulary_size : int or None
        Number of tokens, each of which has a score at each step. None: X holds numbers.
    steps : int or None
        See the attribute.

    Attributes
    ----------
    steps : int or None
        Number of steps that the network gives back: that of the longest sequence in the first X.
        None until it is read.
    """

    score_name = "score (minus the loss)"

    def __init__(
        self, features: int, vocabulary_size: int | None, steps: int | None = None
    ) -> None:
        self._features, self._vocabulary_size = features, vocabulary_size
        self.steps: int | None = steps

    def read(
        self, y: Any, sequences: Sequences, weights: Array | None, *, all_classes: bool = True
    ) -> Array:
        """Values (n, steps, features) or tokens (n, steps), padded with zeros, see the base."""
        steps = sequences.values.shape[1]
        if self.steps is None:
            self.steps = steps
        elif steps > self.steps:
            raise ShapeError(
                f"X has {steps} steps; the network gives back up to {self.steps}, as many"
                " as X had in the first call: fit with warm_start=False"
            )
        values = sequences.values
        if self._vocabulary_size is None:
            values = values[..., : self._features]
        return np.pad(values, [(0, 0), (0, self.steps - steps)] + [(0, 0)] * (values.ndim - 2))

    def output(self, targets: Array) -> Output:
        """Loss, outputs and activation, see the base."""
        if self._vocabulary_size is not None:
            loss = losses.SparseCategoricalCrossentropy()
            return Output(loss, self._vocabulary_size, "softmax")
        return Output(losses.MeanSquaredError(), targets.shape[-1], "linear")

    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """Minus the loss."""
        assert sample_weight is not None
        given_back = scores
        if self._vocabulary_size is not None:
            given_back = softmax(scores.astype(np.float64), axis=-1)
        weights = sample_weight * (sample_weight.size / sample_weight.sum())
        return -self.output(targets).loss(targets, given_back, weights)

    def normalized(self, weights: Array | None, sequences: Sequences) -> Array:
        """Weights of the steps to give back, 0 at padding, whose mean is 1."""
        weights = self._of_steps(weights, sequences)
        return weights * (weights.size / weights.sum())

    def validation_weights(self, weights: Array | None, sequences: Sequences) -> Array:
        """Weights of the steps to give back, 0 at padding."""
        return self._of_steps(weights, sequences)

    def _of_steps(self, weights: Array | None, sequences: Sequences) -> Array:
        """(n, steps) of weights (n,) of sequences, or of None."""
        assert self.steps is not None
        valid = np.arange(self.steps) < sequences.each_length[:, None]
        return valid * (1.0 if weights is None else weights[:, None])

    def stored(self) -> dict[str, Any]:
        """See the base."""
        return {"_decoded_steps": self.steps}
