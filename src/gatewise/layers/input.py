"""Input: what one sample looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError

from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array
    from gatewise.layers.tape import Batch, Tape


def Input(
    shape: Any = None,
    batch_shape: Any = None,
    *,
    batch_size: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> InputLayer:
    """The shape of one sample, as the first entry of a Sequential.

    Parameters
    ----------
    shape : tuple, optional
        (steps, features) or whatever one sample has; None for free axes.
    batch_shape : tuple, optional
        The same with the batch in front, as an alternative. The batch size itself is never fixed.
    batch_size : int, optional
        Not needed: a model takes batches of any size. A number is checked, and changes nothing.
    dtype : {"float32", "float64"}, optional
        Of the model. An integer type, in front of an Embedding, says nothing about that.
    """
    if batch_size is not None:
        checks.whole_number(batch_size, "batch_size")
        if batch_shape is not None:
            raise ConfigError(
                "batch_size is given beside batch_shape, which holds it already; leave one of"
                " them out"
            )
    if dtype is not None and checks.is_integer_type(dtype):
        dtype = None
    if (shape is None) == (batch_shape is None):
        raise ConfigError(
            "Input needs either shape, of one sample, or batch_shape, with the batch in front"
        )
    shape = (
        checks.shape_tuple(batch_shape, "batch_shape")[1:]
        if shape is None
        else checks.shape_tuple(shape, "shape")
    )
    return InputLayer(input_shape=shape, dtype=dtype, name=name)


class InputLayer(Layer):
    """Says what one sample looks like and passes it on."""

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        return inputs

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        return gradients
