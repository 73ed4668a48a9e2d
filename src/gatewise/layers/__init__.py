"""Layers: objects with parameters and state, forward and backward."""

from .base import Layer
from .bidirectional import Bidirectional
from .core import Activation, Dense, Dropout, Flatten, Input, InputLayer, RepeatVector, SpatialDropout1D
from .custom import RNN
from .embedding import Embedding
from .grud import GRUD
from .masking import Masking
from .pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from .recurrent import GRU, LSTM, Recurrent, SimpleRNN
from .wrappers import TimeDistributed

__all__ = ["GRU", "GRUD", "LSTM", "RNN", "Activation", "Bidirectional", "Dense", "Dropout", "Embedding", "Flatten",
           "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Input", "InputLayer", "Layer", "Masking", "Recurrent", "RepeatVector",
           "SimpleRNN", "SpatialDropout1D", "TimeDistributed"]
