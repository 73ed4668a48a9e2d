"""Symbols: arrays to come, which layers are called with to put a graph together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise.errors import ConfigError, DTypeError, ShapeError

from .returned import checked_output_shape, checked_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewise._typing import Array, Shape

    from .specs import ParameterSpec

# What operators call: layers/operators.py fills it, since its layers stand on this module.
OPERATORS: dict[str, Callable[..., Any]] = {}

_UFUNCS = {
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.true_divide: "divide",
}


class Symbol:
    """An array that a model will compute: what ``Input`` and a layer called with symbols return.

    It has a shape and no values. ``+``, ``-``, ``*`` and ``/`` with another symbol or a number, a
    minus sign and ``[...]`` give new symbols.

    Parameters
    ----------
    shape : tuple of int or None
        Shape (None, ...), None for axes of any extent; the first is the batch.
    node : Node
        The call that makes it.
    index : int
        Its number among the outputs of the call.

    Examples
    --------
    >>> from gatewise.layers import Dense, Input
    >>> x = Input((3,), name="x")
    >>> Dense(2)(x).shape
    (None, 2)
    """

    __slots__ = ("index", "node", "shape")

    def __init__(self, shape: Shape, node: Node, index: int = 0) -> None:
        self.shape: Shape = shape
        self.node: Node = node
        self.index: int = index

    @property
    def ndim(self) -> int:
        """Number of axes, that of the batch included."""
        return len(self.shape)

    @property
    def dtype(self) -> str:
        """What the layer that makes it computes in, "float32" or "float64"."""
        return self.node.layer.dtype

    @property
    def name(self) -> str:
        """Name of the layer that makes it."""
        return self.node.layer.name

    def __repr__(self) -> str:
        return f"<Symbol {self.shape}, of {self.node.layer._title()}>"

    # ---- operators

    @staticmethod
    def _combine(operation: str, left: Any, right: Any) -> Symbol:
        return OPERATORS["combine"](operation, left, right)

    def __add__(self, other: Any) -> Symbol:
        return self._combine("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self._combine("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self._combine("subtract", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self._combine("subtract", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self._combine("multiply", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self._combine("multiply", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self._combine("divide", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._combine("divide", other, self)

    def __neg__(self) -> Symbol:
        return self._combine("multiply", self, -1)

    def __pos__(self) -> Symbol:
        return self

    def __getitem__(self, key: Any) -> Symbol:
        return OPERATORS["slice"](self, key)

    # ---- what only arrays can do

    def __bool__(self) -> NoReturn:
        self._refuse("has no truth value")

    def __len__(self) -> NoReturn:
        self._refuse("has no length; its shape says what is known")

    def __iter__(self) -> NoReturn:
        self._refuse("cannot be iterated over; take parts of it with [...]")

    def __float__(self) -> NoReturn:
        self._refuse("is no number")

    def __int__(self) -> NoReturn:
        self.__float__()

    def __index__(self) -> NoReturn:
        self.__float__()

    def __complex__(self) -> NoReturn:
        self.__float__()

    def __array__(self, *args: Any, **kwargs: Any) -> Array:
        self._refuse("cannot become an array")

    def __array_function__(self, function: Any, *args: Any) -> Any:
        self._refuse(f"cannot be given to numpy.{function.__name__}: take a layer")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and ufunc in _UFUNCS:
            return self._combine(_UFUNCS[ufunc], *inputs)
        self._refuse(f"cannot be given to numpy.{ufunc.__name__}: take a layer")

    def _refuse(self, what: str) -> NoReturn:
        raise DTypeError(
            f"a symbol, such as the output {self.shape} of {self.node.layer._title()}, {what}; it"
            " has no values: make a Model of it and call that with arrays"
        )


class Node:
    """One call of a layer with symbols.

    Parameters
    ----------
    layer : Layer
        What is called.
    inputs : list of Symbol
        What it reads. After the first one there may be the initial states of a recurrent layer.
    listed : bool
        Whether :meth:`Layer.run` receives a list.
    training : bool or None, default None
        False: the layer computes in training what it computes at inference.

    Attributes
    ----------
    outputs : list of Symbol
        What it makes.
    specs : list of ParameterSpec
        The parameters that the layer needs for these inputs.
    """

    __slots__ = ("inputs", "layer", "listed", "outputs", "specs", "training")

    def __init__(
        self,
        layer: Any,
        inputs: Sequence[Symbol] = (),
        listed: bool = False,
        training: bool | None = None,
    ) -> None:
        self.training: bool | None = training
        self.layer: Any = layer
        self.inputs: list[Symbol] = list(inputs)
        self.listed: bool = listed
        self.outputs: list[Symbol] = []
        self.specs: list[ParameterSpec] = []

    @property
    def input_shape(self) -> Any:
        """What the layer is described for: a shape, or a list of shapes of several inputs."""
        if self.listed and self.layer.several_inputs:
            return [symbol.shape for symbol in self.inputs]
        return self.inputs[0].shape


def holds_symbols(x: Any) -> bool:
    """Return whether x is a symbol, or a list or dict that holds one."""
    if isinstance(x, list | tuple):
        return any(isinstance(part, Symbol) for part in x)
    return isinstance(x, Symbol) or (isinstance(x, dict) and holds_symbols([*x.values()]))


def input_symbol(layer: Any, shape: Shape) -> Symbol:
    """Return the symbol of an input layer, for one sample of this shape."""
    node = Node(layer)
    node.outputs = [Symbol((None, *shape), node)]
    layer._nodes.append(node)
    return node.outputs[0]


def connect(
    layer: Any, inputs: Sequence[Any], listed: bool, training: bool | None = None
) -> Symbol | list[Symbol]:
    """Call a layer with symbols: return those of its outputs, a list if it returns a list.

    Raises
    ------
    ConfigError, DTypeError, ShapeError
        The layer cannot read them, or what it has read before was of other features.
    """
    _check_inputs(layer, inputs)
    node = Node(layer, inputs, listed, training)
    states = inputs[1:] if listed and layer._has_state else []
    if states:
        _check_states(layer, states, inputs[0].shape)
    node.specs, shape = _described(layer, node.input_shape)
    before = layer._nodes[-1].specs if layer._nodes else layer._specs if layer.built else None
    if before is not None:
        _refuse_other_shapes(layer, before, node)
    several = isinstance(shape, list)
    shapes = list(shape) if several else [shape]
    if getattr(layer, "return_state", False):
        several = True
        shapes += layer._shapes_of_states(inputs[0].shape)
    node.outputs = [Symbol((None, *each[1:]), node, k) for k, each in enumerate(shapes)]
    layer._nodes.append(node)
    return node.outputs if several else node.outputs[0]


def _check_inputs(layer: Any, inputs: Sequence[Any]) -> None:
    for part in inputs:
        if not isinstance(part, Symbol):
            raise DTypeError(
                f"{layer._title()} is called with symbols and {type(part).__name__} together; give"
                " symbols only, of an Input for what comes as an array, or arrays only"
            )
    if layer._holder is not None:
        raise ConfigError(
            f"{layer._title()} is inside {layer._holder.name!r}; call that one with the symbol"
        )
    for position, symbol in enumerate(inputs):
        for port in layer._input_ports(position) if symbol.node.inputs else ():
            if port._first_only:
                raise ConfigError(
                    f"{port._title()} reads values that only an Input has; here it is called with"
                    f" the output of {symbol.node.layer._title()}"
                )


def _check_states(layer: Any, states: Sequence[Symbol], shape: Shape) -> None:
    expected = layer._shapes_of_states(shape)
    given = [symbol.shape for symbol in states]
    if len(given) != len(expected) or any(
        len(a) != len(b) or any(None not in pair and pair[0] != pair[1] for pair in zip(a, b))
        for a, b in zip(given, expected)
    ):
        raise ShapeError(
            f"the initial state of {layer._title()} has shapes {given}; expected {expected}"
        )


def _described(layer: Any, shape: Any) -> tuple[list[ParameterSpec], Any]:
    """Return the parameters and the output shape of a layer for inputs of this shape.

    The layer stays as it is: its model makes the parameters.
    """
    if not layer.built:
        try:
            layer._describe(shape)
            return layer._specs, layer.output_shape
        finally:
            layer._unbuild()
    before = layer.input_shape
    try:
        specs = checked_specs(layer, layer.parameter_specs(shape))
        return specs, checked_output_shape(layer, layer.compute_output_shape(shape), shape)
    finally:
        layer._describe(before)


def _refuse_other_shapes(layer: Any, before: list[ParameterSpec], node: Node) -> None:
    """Refuse inputs that need other parameters than those of an earlier call."""
    for old, new in zip(before, node.specs):
        if old.shape != new.shape:
            raise ShapeError(
                f"{layer._title()} is called with shape {node.input_shape}, for which its"
                f" {new.name} would be {new.shape}; it is {old.shape} since an earlier call: a"
                " shared layer needs the same features everywhere"
            )
