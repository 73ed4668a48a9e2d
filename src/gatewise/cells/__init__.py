"""What a recurrent cell computes: its gates, options and shapes. The kernels do the arithmetic."""

from .base import Cell
from .custom import RNNCell
from .gru import GRUCell
from .grud import GRUDCell
from .lstm import LSTMCell, greff
from .minimal import MinGRUCell, MinLSTMCell
from .published import FullGateLSTMCell
from .simple_rnn import SimpleRNNCell

__all__ = [
    "Cell",
    "FullGateLSTMCell",
    "GRUCell",
    "GRUDCell",
    "LSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "RNNCell",
    "SimpleRNNCell",
    "greff",
]
