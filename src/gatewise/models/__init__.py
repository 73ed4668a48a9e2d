"""Models: layers put together."""

from .graph import Model
from .loading import load_model
from .seq2seq import Seq2Seq
from .sequential import Sequential

__all__ = ["Model", "Seq2Seq", "Sequential", "load_model"]
