"""From symbols to a graph: the calls between inputs and outputs, in an order in which they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError, DTypeError
from gatewise.layers import Input, InputLayer, Symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Shape
    from gatewise.layers import Layer
    from gatewise.layers.symbol import Node


@dataclass(slots=True, eq=False)
class Call:
    """One call of a layer in a pass; arrays have numbers, those of the inputs first.

    Attributes
    ----------
    layer : Layer
        What is called.
    node : Node
        The call with symbols that this repeats.
    sources : list of int
        Numbers of the arrays that it reads.
    outputs : list of int
        Numbers of the arrays that it makes.
    """

    layer: Layer
    node: Node
    sources: list[int]
    outputs: list[int]

    @property
    def several(self) -> bool:
        """Whether the layer returns a list."""
        return len(self.outputs) > 1 or self.layer._returns_list


@dataclass(slots=True, eq=False)
class Graph:
    """The calls between inputs and outputs.

    Attributes
    ----------
    inputs, outputs : list of Symbol
        What the graph was traced from.
    calls : list of Call
        In an order in which they run.
    layers : list of Layer
        Each once, in Keras's order: by depth. Those of the inputs are among them.
    shapes : list of tuple
        Shape of each array.
    results : list of int
        Number of the array of each output.
    input_layers : list of Layer
        That of each input.
    """

    inputs: list[Symbol]
    outputs: list[Symbol]
    calls: list[Call] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    input_layers: list[Layer] = field(default_factory=list)


def trace(inputs: Sequence[Any], outputs: Sequence[Any], name: str) -> Graph:
    """Return the graph between symbols; `name` is that of the model, for messages.

    Raises
    ------
    DTypeError
        There is something else than symbols.
    ConfigError
        An output needs an input that is not given, an input is not used or given twice, or a call
        reads what it makes.
    """
    for what, symbols in (("inputs", inputs), ("outputs", outputs)):
        for symbol in symbols:
            if not isinstance(symbol, Symbol):
                raise DTypeError(
                    f"Model: {what} holds {symbol!r:.80}; expected symbols: what Input, or a layer"
                    " called with symbols, returns"
                )
        if not symbols:
            raise ConfigError(f"Model: {what} holds no symbol")
    if len(set(inputs)) < len(inputs):
        raise ConfigError("Model: inputs holds a symbol twice; give each once")
    graph = Graph(list(inputs), list(outputs), shapes=[symbol.shape for symbol in inputs])
    order, numbers = _ordered_nodes(inputs, outputs)
    arrays = {symbol: k for k, symbol in enumerate(inputs)}
    used: set[Symbol] = set(outputs)
    for node in order:
        used.update(node.inputs)
        sources = [arrays[symbol] for symbol in node.inputs]
        made = list(range(len(graph.shapes), len(graph.shapes) + len(node.outputs)))
        for symbol, number in zip(node.outputs, made):
            arrays.setdefault(symbol, number)  # an input of the model keeps its number
        graph.shapes += [symbol.shape for symbol in node.outputs]
        graph.calls.append(Call(node.layer, node, sources, made))
    for symbol in inputs:
        if symbol not in used:
            raise ConfigError(
                f"model {name!r}: no output depends on input {symbol.name!r}; leave it out"
            )
    graph.results = [arrays[symbol] for symbol in outputs]
    graph.input_layers = [_input_layer(symbol) for symbol in inputs]
    graph.layers = _by_depth(graph, order, numbers)
    return graph


def _input_layer(symbol: Symbol) -> Layer:
    """Return the layer of an Input, or a new one for a symbol inside a graph."""
    if isinstance(symbol.node.layer, InputLayer):
        return symbol.node.layer
    return Input(symbol.shape[1:]).node.layer


def _ordered_nodes(
    inputs: Sequence[Symbol], outputs: Sequence[Symbol]
) -> tuple[list[Node], dict[Any, int]]:
    """Return the calls that outputs need, and a number for each layer, as it is met.

    The walk does not call itself, since a graph may be as deep as memory allows.
    """
    known = set(inputs)
    order: list[Node] = []
    begun: set[Node] = set()
    done: set[Node] = set()
    numbers: dict[Any, int] = {}
    waiting: list[tuple[Symbol, bool]] = [(symbol, False) for symbol in reversed(outputs)]
    while waiting:
        symbol, finished = waiting.pop()
        node = symbol.node
        if finished:
            done.add(node)
            order.append(node)
            continue
        if symbol in known:
            numbers.setdefault(node.layer, len(numbers))
            continue
        if node in done:
            continue
        if node in begun:
            raise ConfigError(
                f"{node.layer._title()} reads what it makes itself: the graph has a cycle"
            )
        if not node.inputs:
            raise ConfigError(
                f"an output depends on input {symbol.name!r}, which is not among the inputs of the"
                f" model ({', '.join(repr(each.name) for each in inputs)}); add it, or make all"
                " symbols from the model's own inputs"
            )
        begun.add(node)
        numbers.setdefault(node.layer, len(numbers))
        waiting.append((symbol, True))
        waiting += [(each, False) for each in reversed(node.inputs)]
    return order, numbers


def _by_depth(graph: Graph, order: list[Node], numbers: dict[Any, int]) -> list[Layer]:
    """Return the layers as Keras orders them: by their distance from the outputs, then as met."""
    inner = set(order)
    depths: dict[Node, int] = {}
    of_layers: dict[Any, int] = {}
    known = set(graph.inputs)
    of_inputs: dict[Symbol, int] = {}
    for node in reversed(order):
        depth = max(depths.get(node, 0), of_layers.get(node.layer, 0))
        of_layers[node.layer] = depths[node] = depth
        for symbol in node.inputs:
            if symbol in known:
                of_inputs[symbol] = max(depth + 1, of_inputs.get(symbol, 0))
            elif symbol.node in inner:
                depths[symbol.node] = max(depth + 1, depths.get(symbol.node, 0))
    for symbol, layer in zip(graph.inputs, graph.input_layers):
        of_layers[layer] = of_inputs.get(symbol, 0)
        numbers.setdefault(layer, numbers.get(symbol.node.layer, len(numbers)))
    return sorted(of_layers, key=lambda layer: (-of_layers[layer], numbers[layer]))
