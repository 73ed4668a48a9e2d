"""The orders of gates in weights, ours and those of other frameworks: one table.

A matrix of weights has one block of ``units`` for each gate. Which gate each block belongs to
differs between frameworks, and no check of shapes finds a wrong order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gatewise.errors import ShapeError

if TYPE_CHECKING:
    from gatewise._typing import Array

# Keras has our orders. g is the LSTM's candidate (Keras and ONNX call it c), n the GRU's (Keras
# and ONNX call it h), h the only block of a simple RNN.
GATES = {
    "gatewise": {"lstm": "ifgo", "gru": "zrn", "rnn": "h"},
    "torch": {"lstm": "ifgo", "gru": "rzn", "rnn": "h"},
    "onnx": {"lstm": "iofg", "gru": "zrn", "rnn": "h"},
}
# The peepholes of ONNX; ours are i f o.
PEEPHOLES = {"gatewise": "ifo", "onnx": "iof"}


class Biases(NamedTuple):
    """The bias of the inputs' product and that of the states' product, each (gates * units,)."""

    inputs: Array
    states: Array


def reorder(blocks: Array, source: str, target: str) -> Array:
    """Return an array with its blocks along the last axis in another order.

    Parameters
    ----------
    blocks : ndarray of shape (..., gates * units)
        One block of units for each gate.
    source, target : str
        The gates of the blocks, a letter each, as in :data:`GATES`: now, and in the result.

    Returns
    -------
    ndarray of shape (..., gates * units)
        A copy, or `blocks` itself if the orders are equal.

    Raises
    ------
    ShapeError
        The last axis does not divide into blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.interop.gates import reorder
    >>> reorder(np.array([1, 1, 2, 2, 3, 3]), "rzn", "zrn")
    array([2, 2, 1, 1, 3, 3])
    """
    if blocks.shape[-1] % len(source):
        raise ShapeError(
            f"an array of shape {blocks.shape} does not divide into the {len(source)} gates"
            f" {' '.join(source)}"
        )
    if source == target:
        return blocks
    parts = np.split(blocks, len(source), axis=-1)
    return np.concatenate([parts[source.index(gate)] for gate in target], axis=-1)


def joined_bias(biases: Biases) -> Array:
    """Return the one bias of an LSTM, a simple RNN or a GRU that resets before the product.

    In these, both biases are added to the same sums.
    """
    return biases.inputs + biases.states


def separate_biases(bias: Array) -> Biases:
    """Return two biases for a framework that has two: zeros for the states if there is one here.

    Parameters
    ----------
    bias : ndarray of shape (gates * units,), or (2, gates * units) of a GRU with ``reset_after``
        In any order of the gates.
    """
    if bias.ndim == 2:
        return Biases(bias[0], bias[1])
    return Biases(bias, np.zeros_like(bias))
