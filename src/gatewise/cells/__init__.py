"""What a recurrent cell computes: gates, options, parameter shapes. The kernels do it."""

from .base import Cell
from .gru import GRUCell
from .lstm import LSTMCell, greff
from .minimal import MinGRUCell, MinLSTMCell
from .simple_rnn import SimpleRNNCell

__all__ = ["Cell", "GRUCell", "LSTMCell", "MinGRUCell", "MinLSTMCell", "SimpleRNNCell", "greff"]
