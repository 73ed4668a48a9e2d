"""Layers: objects with parameters and state, forward and backward."""

from .attention import AdditiveAttention, Attention
from .base import Layer
from .bidirectional import Bidirectional
from .convolution import Conv1D
from .core import (
    Activation,
    Dense,
    Dropout,
    Flatten,
    Input,
    InputLayer,
    RepeatVector,
    SpatialDropout1D,
)
from .custom import RNN
from .embedding import Embedding
from .grud import GRUD
from .masking import Masking
from .minimal import MinGRU, MinLSTM
from .normalization import BatchNormalization, LayerNormalization
from .pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from .recurrent import GRU, LSTM, Recurrent, SimpleRNN
from .window_pooling import AveragePooling1D, MaxPooling1D
from .wrappers import TimeDistributed

__all__ = [
    "GRU",
    "GRUD",
    "LSTM",
    "RNN",
    "Activation",
    "AdditiveAttention",
    "Attention",
    "AveragePooling1D",
    "BatchNormalization",
    "Bidirectional",
    "Conv1D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPooling1D",
    "MinGRU",
    "MinLSTM",
    "Recurrent",
    "RepeatVector",
    "SimpleRNN",
    "SpatialDropout1D",
    "TimeDistributed",
]
