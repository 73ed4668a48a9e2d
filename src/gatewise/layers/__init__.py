"""Layers: objects with parameters and state, forward and backward."""

from .base import Layer
from .core import Activation, Dense, Dropout, Flatten, Input, InputLayer, RepeatVector
from .minimal import MinGRU, MinLSTM
from .recurrent import GRU, LSTM, Recurrent, SimpleRNN

__all__ = ["GRU", "LSTM", "Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer", "MinGRU",
           "MinLSTM", "Recurrent", "RepeatVector", "SimpleRNN"]
