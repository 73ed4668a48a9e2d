"""Layers: objects with parameters and state, forward and backward."""

from .activation import Activation
from .attention import AdditiveAttention, Attention
from .base import Layer
from .concatenating import Concatenate
from .convolution import Conv1D
from .dense import Dense
from .depthwise import DepthwiseConv1D, SeparableConv1D
from .dropout import Dropout, SpatialDropout1D
from .embedding import Embedding
from .encoder_decoder import EncoderDecoder
from .image_convolution import Conv2D
from .image_pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from .input import Input, InputLayer
from .masking import Masking
from .merge_functions import (
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from .multi_head import MultiHeadAttention
from .noise import GaussianDropout, GaussianNoise
from .normalization import BatchNormalization, LayerNormalization
from .operators import Arithmetic, Slice
from .pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from .products import Dot
from .rectifiers import ELU, LeakyReLU, PReLU, ReLU
from .recurrent.base import Recurrent
from .recurrent.bidirectional import Bidirectional
from .recurrent.cells import GRUCell, LSTMCell, SimpleRNNCell
from .recurrent.conv_lstm import ConvLSTM1D, ConvLSTM2D
from .recurrent.gru import GRU
from .recurrent.grud import GRUD
from .recurrent.lstm import LSTM
from .recurrent.minimal import MinGRU, MinLSTM
from .recurrent.rnn import RNN
from .recurrent.simple_rnn import SimpleRNN
from .recurrent.stacked import StackedRNN, StackedRNNCells
from .refused import Lambda as Lambda  # no layer: it says what to do instead
from .registry import register as _register
from .reshaping import Permute, Reshape
from .resizing import Cropping1D, UpSampling1D, ZeroPadding1D
from .shaping import Flatten, RepeatVector
from .softmax import Softmax
from .specs import ParameterSpec
from .symbol import Symbol
from .tape import Batch, Steps, Tape
from .window_pooling import AveragePooling1D, MaxPooling1D
from .wrapper import Wrapper
from .wrappers import TimeDistributed

__all__ = [
    "ELU",
    "GRU",
    "GRUD",
    "LSTM",
    "RNN",
    "Activation",
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "Batch",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "Cropping1D",
    "Dense",
    "DepthwiseConv1D",
    "Dot",
    "Dropout",
    "Embedding",
    "EncoderDecoder",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "MinGRU",
    "MinLSTM",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "PReLU",
    "ParameterSpec",
    "Permute",
    "ReLU",
    "Recurrent",
    "RepeatVector",
    "Reshape",
    "SeparableConv1D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNN",
    "StackedRNNCells",
    "Steps",
    "Subtract",
    "Symbol",
    "Tape",
    "TimeDistributed",
    "UpSampling1D",
    "Wrapper",
    "ZeroPadding1D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

# Configurations may name all layers except base classes, the input, cells, and what layers
# exchange; names in small letters are functions.
_NOT_IN_FILES = {
    "Batch",
    "GRUCell",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Layer",
    "ParameterSpec",
    "Recurrent",
    "SimpleRNNCell",
    "StackedRNNCells",
    "Steps",
    "Symbol",
    "Tape",
    "Wrapper",
}
_register(
    *(globals()[name] for name in __all__ if name not in _NOT_IN_FILES and not name.islower())
)
_register(Arithmetic, Slice)  # which operators of symbols make
