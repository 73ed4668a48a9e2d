"""Input: the shape of one sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError

from .base import Layer
from .symbol import input_symbol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import DTypeLike

    from gatewise._typing import Array
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.symbol import Symbol
    from gatewise.layers.tape import Batch, Tape


def Input(
    shape: int | Sequence[int | None] | None = None,
    batch_shape: int | Sequence[int | None] | None = None,
    *,
    batch_size: int | None = None,
    dtype: DTypeLike | None = None,
    name: str | None = None,
) -> Symbol:
    """Describe one sample: the first entry of a Sequential, or an input of a Model.

    The model is then built without seeing data. Give either `shape` or `batch_shape`.

    Parameters
    ----------
    shape : tuple of int or None, optional
        Shape of one sample, for example (steps, features). None for an axis of any size.
    batch_shape : tuple of int or None, optional
        The same with the batch size in front. The batch size is ignored: a model takes batches of
        any size.
    batch_size : int, optional
        From 1. It is checked and otherwise ignored.
    dtype : {"float32", "float64"}, optional
        What the model computes in. None, or a type of integers as in front of an Embedding: the
        model's own choice.
    name : str, optional
        Name of the input. None: made from the class of its layer.

    Returns
    -------
    Symbol
        An array to come, which layers are called with.

    Raises
    ------
    ConfigError
        Neither `shape` nor `batch_shape` is given, or both are; or `batch_size` is given together
        with `batch_shape`.

    Examples
    --------
    >>> from gatewise import Sequential
    >>> from gatewise.layers import LSTM, Input
    >>> Sequential([Input((None, 3)), LSTM(4)]).output_shape
    (None, 4)
    """
    if batch_size is not None:
        checks.whole_number(batch_size, "batch_size")
        if batch_shape is not None:
            raise ConfigError(
                "batch_size is given together with batch_shape, which holds it already; leave one"
                " of them out"
            )
    if dtype is not None and checks.is_integer_type(dtype):
        dtype = None
    if (shape is None) == (batch_shape is None):
        raise ConfigError(
            "Input needs either shape, that of one sample, or batch_shape, with the batch size in"
            " front"
        )
    shape = (
        checks.shape_tuple(batch_shape, "batch_shape")[1:]
        if shape is None
        else checks.shape_tuple(shape, "shape")
    )
    return input_symbol(InputLayer(input_shape=shape, dtype=dtype, name=name), shape)


class InputLayer(Layer):
    """The layer behind :func:`Input`: it has the shape of one sample, and returns its input.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`, above all `input_shape`.

    Examples
    --------
    >>> from gatewise import Sequential
    >>> from gatewise.layers import LSTM, InputLayer
    >>> Sequential([InputLayer(input_shape=(None, 3)), LSTM(4)]).output_shape
    (None, 4)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        return inputs

    def _step_ops(self) -> list[StepOp]:
        return []

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        return gradients
