"""The next symbols of a sequence: drawn, or searched for."""

from .beams import beam_search
from .sampling import greedy, sample

__all__ = ["beam_search", "greedy", "sample"]
