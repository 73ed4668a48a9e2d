"""A walk over a graph's nodes that makes layers, for one reading of which axis is the batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, GatewiseError, ShapeError, SizeError
from gatewise.interop.onnx.operators import run_call

from .sizes import Size, simplified
from .views import Tensor, few

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call, Graph

MOST_BYTES = 2**26  # of a constant that the graph computes
_MOST_EXTENTS = 10_000
_MOST_BYTES_OF_ALL = 2**30


@dataclass(frozen=True, slots=True)
class Expanded:
    """One number in every place of an array whose extents are not all known."""

    number: Any  # a NumPy scalar
    shape: tuple[Any, ...]  # int or Size

    def __post_init__(self) -> None:
        few(self.shape)


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that cannot be expressed. It is an error only if an output needs it."""

    error: GatewiseError
    place: int  # number of the node


@dataclass(frozen=True, slots=True)
class Lengths:
    """An input of the graph that is the lengths of the rows: in gatewise it comes with the call."""


@dataclass(frozen=True, slots=True)
class Places:
    """The numbers 0, 1, ... of the steps."""

    steps: Any  # int or Size


@dataclass(frozen=True, slots=True)
class Counted:
    """Which steps are before the end of each row."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A constant array that is the same for all rows, and extents that are not all known."""

    array: Any
    shape: tuple[Any, ...]


# What no exporter writes for constants, and what could take long.
NOT_FOLDED = frozenset(
    {
        *("AveragePool", "Conv", "Dropout", "Einsum", "GRU", "GlobalAveragePool", "GlobalMaxPool"),
        *("LSTM", "MaxPool", "RNN"),
    }
)
# What makes the outputs of a node of its inputs.
Handler = Callable[["Builder", "Call", list[Any]], list[Any]]


class Builder:
    """The values of a graph, one after the other.

    Parameters
    ----------
    graph : Graph
        The graph, its constants folded.
    handlers : dict of str to Handler
        What makes layers of the nodes of each operator.
    plan : dict of int to set of str, optional
        What is used of each recurrent node, by its number: "steps", "h", "c". None: not known yet.
    """

    def __init__(
        self, graph: Graph, handlers: dict[str, Handler], plan: dict[int, set[str]] | None
    ) -> None:
        self.graph: Graph = graph
        self.handlers: dict[str, Handler] = handlers
        self.plan: dict[int, set[str]] | None = plan
        self.used: dict[int, set[str]] = {}
        self.values: dict[str, Any] = dict(graph.constants)
        self.weights: dict[int, tuple[Any, list[Array]]] = {}  # by layer
        self.shared: dict[Any, Any] = {}  # layers by their constants
        self.fused: dict[str, Any] = {}  # outputs that an earlier node has made
        self.readers: dict[str, list[Call]] = {}
        self.dtype: str = "float32"
        self._fresh = 0
        self.numbers: dict[int, int] = {id(call): k for k, call in enumerate(graph.calls)}
        for call in graph.calls:
            for name in (*call.inputs, *(call.reads() if call.bodies else ())):
                self.readers.setdefault(name, []).append(call)
        self.outputs: set[str] = {port.name for port in graph.outputs}

    # ---- what handlers use

    def use(self, tensor: Tensor) -> Tensor:
        """Return a tensor that a layer will read; all steps of a recurrent node are then needed."""
        if tensor.run is None:
            return tensor
        self.used.setdefault(tensor.run.number, set()).add("steps")
        return tensor.run.cut(self, tensor)

    def fresh(self) -> Size:
        """Return an extent that is not known, another one than all others."""
        self._fresh += 1
        return Size.of(f"extent {self._fresh}")

    def keep(self, layer: Any, weights: list[Array]) -> Any:
        """Return a layer whose weights will be these."""
        self.weights[id(layer)] = (layer, [np.asarray(each, self.dtype) for each in weights])
        return layer

    def only_reader(self, name: str) -> Call | None:
        """Return the one node that reads a value, or None if there are others, or an output."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    # ---- the walk

    def run(self) -> None:
        """Make the outputs of all nodes."""
        for number, call in enumerate(self.graph.calls):
            if call.outputs and call.outputs[0] in self.fused:
                self.values[call.outputs[0]] = self.fused[call.outputs[0]]
                continue
            inputs = [self.values[name] if name else None for name in call.inputs]
            try:
                found = self._made(call, inputs)
            except (ConfigError, ShapeError, SizeError) as error:
                found = [Refused(_told(call, error), number)] * len(call.outputs)
            except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
                told = _told(call, ConfigError(f"its inputs do not fit: {error}"))
                found = [Refused(told, number)] * len(call.outputs)
            missing = len(call.outputs) - len(found)
            found += [
                Refused(_told(call, ConfigError("this output is not known")), number)
            ] * missing
            self.values.update((name, value) for name, value in zip(call.outputs, found) if name)

    def _made(self, call: Call, inputs: list[Any]) -> list[Any]:
        """Return the outputs of a node."""
        chosen = self._decided(call, inputs)
        if chosen is not None:
            return [chosen]
        for value in inputs:
            if isinstance(value, Refused):
                return [value] * len(call.outputs)
        arrays = [value for value in inputs if value is not None]
        known = all(isinstance(value, np.ndarray) for value in arrays)
        if known and not any(value.dtype == object for value in arrays):
            if call.op in NOT_FOLDED:
                raise ConfigError("it reads constants only")
            call.kept["limit"] = MOST_BYTES
            return run_call(call, inputs)
        if any(isinstance(value, Lengths | Counted) for value in arrays):
            lengthwise = self.handlers.get(f"{call.op} of lengths")
            if lengthwise is None:
                raise ConfigError("lengths of rows are computed with")
            return lengthwise(self, call, inputs)
        handler = self.handlers.get(call.op)
        if handler is None:
            raise ConfigError("there is no layer for this operator")
        return handler(self, call, inputs)

    @staticmethod
    def _decided(call: Call, inputs: list[Any]) -> Any:
        """Return the output if it does not depend on all inputs, or None.

        0 times whole numbers is 0, and Where may have a condition that is known: so exporters
        write that numbers below 0 count from the end of a table.
        """
        if call.op == "Mul":
            for value in inputs:
                if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "iu":
                    if not value.any():
                        return value
        if call.op == "Where" and len(inputs) == 3 and constant(inputs[0]):
            condition = inputs[0].reshape(-1)
            if condition.size and (condition == condition[0]).all():
                found = inputs[1] if condition[0] else inputs[2]
                return found if isinstance(found, Tensor) else None
        return None


def _told(call: Call, error: GatewiseError) -> GatewiseError:
    title = call.title()
    text = str(error)
    return type(error)(text if text.startswith(title) else f"{title}: {text}")


def fold_constants(graph: Graph) -> None:
    """Compute, once, what depends on no input, and leave out the nodes.

    Raises
    ------
    SizeError
        The constants need too much memory.
    """
    constants, calls, total = graph.constants, [], 0
    for call in graph.calls:
        known = all(name in constants for name in call.inputs if name)
        if known and call.op not in NOT_FOLDED and not call.bodies:
            call.kept["limit"] = MOST_BYTES
            try:
                found = run_call(call, [constants[name] if name else None for name in call.inputs])
            except ConfigError:  # an error only if an output needs it
                calls.append(call)
                continue
            read = sum(constants[name].nbytes for name in call.inputs if name)
            total += max(sum(array.nbytes for array in found) - read, 0)
            if total > _MOST_BYTES_OF_ALL:
                raise SizeError(f"the model's constants need more than {_MOST_BYTES_OF_ALL} bytes")
            constants.update((name, array) for name, array in zip(call.outputs, found) if name)
        else:
            calls.append(call)
    graph.calls = calls


def is_extents(value: Any) -> bool:
    """Return whether a value is an array of extents that are not all known."""
    return isinstance(value, np.ndarray) and value.dtype == object


def extents_of(value: Any, what: str) -> list[Any]:
    """Return extents that an operator reads, int or Size.

    Raises
    ------
    ConfigError
        They depend on data.
    """
    if not isinstance(value, np.ndarray):
        raise ConfigError(f"{what} depends on data")
    return [each if isinstance(each, Size) else int(each) for each in value.reshape(-1)]


def numbers_of(call: Call, inputs: list[Any], place: int, attribute: str) -> list[int] | None:
    """Return whole numbers of an input or attribute that must be known."""
    value = inputs[place] if len(inputs) > place else None
    if value is None:
        given = call.get(attribute)
        return None if given is None else [int(each) for each in given]
    found = extents_of(value, attribute)
    if any(isinstance(each, Size) for each in found):
        raise ConfigError(f"{attribute} depends on an extent that is not known")
    return found


def number_of(value: Any) -> float | None:
    """Return the number of a constant of one number, of any rank, or None."""
    if isinstance(value, np.ndarray) and value.dtype != object and value.size == 1:
        found = float(value.reshape(()))
        return found if math.isfinite(found) else None
    return None


def constant(value: Any) -> bool:
    """Return whether a value is a known array of numbers."""
    return isinstance(value, np.ndarray) and value.dtype != object


def evaluated(call: Call, inputs: list[Any]) -> list[Any]:
    """Return the outputs of an operator that arranges extents.

    Raises
    ------
    ConfigError
        There are more extents than a graph needs.
    """
    if sum(x.size for x in inputs if x is not None) > _MOST_EXTENTS:
        raise ConfigError("too many extents are arranged")
    return [simplified(np.asarray(each)) for each in run_call(call, inputs)]
