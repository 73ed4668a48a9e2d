"""The long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

from .base import Cell


class LSTMCell(Cell):
    """``i, f, o = gate(x W + h' U + b); g = act(x W + h' U + b); c = f c' + i g; h = o act(c)``."""

    family = "lstm"
    gates = ("i", "f", "g", "o")
    states = ("h", "c")
