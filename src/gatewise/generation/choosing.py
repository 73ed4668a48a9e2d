"""Which symbol comes next: temperature, top-k and nucleus, and draws by inverse cumulative sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

if TYPE_CHECKING:
    from gatewise._typing import Array, IntArray


@dataclass(frozen=True)
class Choice:
    """How a symbol is drawn: the scores are divided by the temperature, then top-k, then top-p.

    Parameters
    ----------
    temperature : float
        0: the symbol with the highest score.
    top_k : int or None
        Only this number of the highest scores, and those equal to the lowest of them.
    top_p : float or None
        Only the fewest symbols whose probabilities sum to at least top_p.
    """

    temperature: float
    top_k: int | None
    top_p: float | None

    @classmethod
    def checked(cls, temperature: Any, top_k: Any, top_p: Any) -> Choice:
        """Make one of what a user gave.

        Raises
        ------
        ConfigError, DTypeError
        """
        return cls(
            checks.number(temperature, "temperature", 0.0),
            checks.optional_number(top_k, "top_k"),
            None if top_p is None else checks.number(top_p, "top_p", 0.0, 1.0, open_low=True),
        )

    def pick(self, scores: Array, uniform: Array) -> IntArray:
        """Return a symbol for each row.

        Parameters
        ----------
        scores : ndarray of shape (rows, symbols), float64
            Logarithms of probabilities.
        uniform : ndarray of shape (rows,), float64
            Draws from [0, 1).
        """
        if self.temperature == 0:
            return scores.argmax(axis=1)
        sums = np.add.accumulate(np.exp(self._warped(scores)), axis=1)
        totals = sums[:, -1]
        # below the total, so that a symbol with a probability of zero is never found
        draws = np.minimum(uniform * totals, np.nextafter(totals, 0))
        return np.add.reduce(sums <= draws[:, None], axis=1)

    def _warped(self, scores: Array) -> Array:
        """Return the scores of the symbols that may be drawn, minus infinity for the others."""
        with np.errstate(over="ignore"):  # minus infinity is right there
            scores = (scores - np.maximum.reduce(scores, axis=1, keepdims=True)) / self.temperature
        symbols = scores.shape[1]
        if self.top_k is not None and self.top_k < symbols:
            lowest = np.partition(scores, symbols - self.top_k, axis=1)[:, -self.top_k, None]
            scores[scores < lowest] = -np.inf
        if self.top_p is not None and self.top_p < 1:
            order = np.argsort(scores, axis=1, kind="stable")
            sums = np.cumsum(np.exp(np.take_along_axis(scores, order, axis=1)), axis=1)
            left_out = sums <= (1 - self.top_p) * sums[:, -1:]
            left_out[:, -1] = False
            dropped = np.zeros_like(left_out)
            np.put_along_axis(dropped, order, left_out, axis=1)
            scores[dropped] = -np.inf
        return scores
