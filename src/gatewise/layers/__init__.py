"""Layers: objects with parameters and state, forward and backward."""

from .base import Layer
from .core import Activation, Dense, Dropout, Flatten, Input, InputLayer, RepeatVector
from .custom import RNN
from .grud import GRUD
from .normalization import BatchNormalization, LayerNormalization
from .recurrent import GRU, LSTM, Recurrent, SimpleRNN

__all__ = [
    "GRU",
    "GRUD",
    "LSTM",
    "RNN",
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "Recurrent",
    "RepeatVector",
    "SimpleRNN",
]
