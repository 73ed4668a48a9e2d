"""Dense layers behind a flattened convolution: the order of what they read.

After a convolution, channels are the last axis here and the second in PyTorch, so that `Flatten`
puts the same numbers into another order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import layers
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.layers import Layer

_ORDERS = ("channels_first", "channels_last")
_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D)
_MIX = (layers.Dense, layers.LSTM, layers.GRU, layers.SimpleRNN, layers.Bidirectional)


def flattened_shapes(model: Any, flatten: str | None) -> dict[Layer, tuple[int, ...]]:
    """Return what was flattened in front of dense layers whose rows need another order.

    Parameters
    ----------
    model : Sequential or Model
        Its layers are looked through in order.
    flatten : {"channels_first", "channels_last"} or None
        The order in which the module of PyTorch flattens.

    Raises
    ------
    ConfigError
        There is such a layer, and `flatten` does not tell the order.
    """
    if flatten is not None:
        if flatten not in _ORDERS:
            raise ConfigError(f"flatten is {flatten!r}; expected {' or '.join(map(repr, _ORDERS))}")
    found: dict[Layer, tuple[int, ...]] = {}
    shape: tuple[int, ...] | None = (
        None  # of the last Flatten behind a convolution, without the batch
    )
    convolved = False
    for layer in model._layers:
        if isinstance(layer, _CONVOLUTIONS):
            convolved = True
        elif isinstance(layer, layers.Flatten) and convolved and len(layer.input_shape) > 2:
            shape = tuple(layer.input_shape[1:])
        elif isinstance(layer, _MIX):
            if shape is not None and isinstance(layer, layers.Dense):
                found[layer] = shape
            shape, convolved = None, False
    if found and flatten is None:
        name = next(iter(found)).name
        raise ConfigError(
            f"layer {name!r} reads a flattened convolution: PyTorch has its channels before its"
            ' steps, gatewise behind them. Give flatten="channels_first" if the module flattens'
            ' what its convolution returns, or "channels_last" if it moves the channels to the end'
            " first"
        )
    return found if flatten == "channels_first" else {}


def rows_to_ours(kernel: Array, shape: tuple[int, ...]) -> Array:
    """Return the kernel (inputs, units) of a dense layer with its rows in our order."""
    *places, channels = shape
    blocks = kernel.reshape(channels, *places, -1)
    return blocks.transpose(*range(1, len(shape)), 0, len(shape)).reshape(kernel.shape)


def rows_to_torch(kernel: Array, shape: tuple[int, ...]) -> Array:
    """Return the kernel (inputs, units) of a dense layer with its rows in PyTorch's order."""
    blocks = kernel.reshape(*shape, -1)
    axes = (len(shape) - 1, *range(len(shape) - 1), len(shape))
    return blocks.transpose(axes).reshape(kernel.shape)
