"""Models: layers put together."""

from .cloning import clone_model
from .graph import Model
from .loading import load_model
from .plotting import plot_model
from .seq2seq import Seq2Seq
from .sequential import Sequential
from .stream import Stream

__all__ = ["Model", "Seq2Seq", "Sequential", "Stream", "clone_model", "load_model", "plot_model"]
