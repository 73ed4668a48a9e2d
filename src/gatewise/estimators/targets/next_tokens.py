"""The target of a generator: the next token at each step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gatewise.training.losses import SparseCategoricalCrossentropy

from .base import Output, Target

if TYPE_CHECKING:
    from gatewise._typing import Array


class NextTokens(Target):
    """One of a number of tokens at each step.

    Parameters
    ----------
    tokens : int
        How many there are.
    """

    score_name = "-perplexity"
    per_step = True

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def output(self, targets: Array) -> Output:
        """Loss, number of outputs and activation, see the base."""
        return Output(SparseCategoricalCrossentropy(), self.tokens, "softmax")

    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """Minus the perplexity.

        Parameters
        ----------
        targets : ndarray of shape (n,), int
            Number of tokens of each text.
        scores : ndarray of shape (n,), float64
            Logarithm of the probability of each text.
        sample_weight : ndarray of shape (n,) or None
            Weights of the texts.
        """
        weights = np.ones(len(scores)) if sample_weight is None else sample_weight
        mean = float((weights * scores).sum() / (weights * targets).sum())
        return -math.exp(-mean) if mean > -700 else -math.inf
