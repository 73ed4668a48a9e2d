"""Layers: objects with parameters and state, forward and backward."""

from .base import Layer
from .core import Activation, Dense, Dropout, Flatten, Input, InputLayer, RepeatVector
from .custom import RNN
from .grud import GRUD
from .recurrent import GRU, LSTM, Recurrent, SimpleRNN

__all__ = ["GRU", "GRUD", "LSTM", "RNN", "Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer", "Recurrent",
           "RepeatVector", "SimpleRNN"]
