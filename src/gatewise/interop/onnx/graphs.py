"""A graph of ONNX as plain objects: calls of operators between named values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gatewise.errors import CheckpointError, ConfigError

from .tensors import DTYPES, array_of, type_name

if TYPE_CHECKING:
    from pathlib import Path

    from gatewise._typing import Array

OLDEST, NEWEST = 7, 28  # versions of the operator set whose meaning is known here
# Operators that mean the same since version 1.
_UNCHANGED = {"Constant", "Identity", "Not", "Shape", "Squeeze", "Transpose", "Unsqueeze"}
_DOMAINS = ("", "ai.onnx")
_FLOAT, _INT, _STRING, _TENSOR, _GRAPH, _FLOATS, _INTS, _STRINGS = range(1, 9)
_DEEPEST = 8  # graphs inside graphs
MAX_NODES = 50_000


@dataclass(slots=True, eq=False)
class Call:
    """One node: an operator, the names of what it reads and makes, and its attributes."""

    op: str
    name: str
    inputs: list[str]  # "" for an input that is left out
    outputs: list[str]
    attributes: dict[str, Any]
    version: int  # of the operator set
    kept: dict[str, Any] = field(default_factory=dict)  # what an operator prepares once

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or the default if it is left out.

        Raises
        ------
        ConfigError
            The attribute is of another type than the default.
        """
        value = self.attributes.get(name, default)
        if default is not None and type(value) is not type(default):
            if not (isinstance(default, float) and isinstance(value, int)):
                raise ConfigError(
                    f"attribute {name!r} is {value!r:.60}; expected {type(default).__name__}"
                )
        return value

    @property
    def bodies(self) -> list[Graph]:
        """The graphs inside the node, list of Graph."""
        return [value for value in self.attributes.values() if isinstance(value, Graph)]

    def reads(self) -> set[str]:
        """Return the names of all values that the node and the graphs inside it read."""
        names = {name for name in self.inputs if name}
        for body in self.bodies:
            names |= body.reads()
        return names

    def title(self) -> str:
        """Return the node's name and operator, for messages."""
        outputs = ", ".join(name for name in self.outputs[:4] if name)
        return f"node {self.name or outputs!s:.80} ({self.op[:80]})"


@dataclass(slots=True)
class Port:
    """An input or output of a graph. An extent is a number, a name, or None if nothing is said."""

    name: str
    dtype: str | None  # None in graphs inside nodes that do not tell
    shape: list[int | str | None] | None


@dataclass(slots=True)
class Graph:
    """What a model computes."""

    inputs: list[Port]
    outputs: list[Port]
    calls: list[Call]
    constants: dict[str, Array]
    producer: str = ""
    last_uses: dict[int, list[str]] | None = None  # see control.py

    def reads(self) -> set[str]:
        """Return the names of the values of other graphs that this one reads."""
        made = {*self.constants, *(port.name for port in self.inputs)}
        found: set[str] = set()
        for call in self.calls:
            found |= call.reads() - made
            made |= {name for name in call.outputs if name}
        return found | ({port.name for port in self.outputs} - made)


def read_graph(model: Any, folder: Path | None = None) -> Graph:
    """Return the graph of a ModelProto, its structure checked.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.
    folder : Path or None
        Where its external data are.

    Raises
    ------
    CheckpointError
        The model is damaged: values that nothing makes, or that two nodes make, tensors whose size
        does not match their shape.
    ConfigError
        It needs what is not supported here: operators of other domains, local functions, sparse
        tensors.
    """
    try:
        return _read(model, folder)
    except UnicodeDecodeError as error:  # protobuf reads names when they are asked for
        raise CheckpointError(f"the model is damaged: a name is no text ({error})") from error


def _read(model: Any, folder: Path | None) -> Graph:
    version = _version(model)
    if model.functions:
        raise ConfigError(
            f"the model has local functions ({model.functions[0].name[:80]!r}); write it again with"
            " onnx.inliner.inline_local_functions"
        )
    scope = Scope(version, folder)
    graph = scope.graph(model.graph)
    graph.producer = str(model.producer_name)
    return graph


class Scope:
    """Reads a graph, and the graphs inside its nodes, which may read its values.

    Parameters
    ----------
    version : int
        The operator set.
    folder : Path or None
        Where external data are.
    """

    def __init__(self, version: int, folder: Path | None) -> None:
        self.version: int = version
        self.folder: Path | None = folder
        self._known: list[set[str]] = []  # names of each graph, from the outermost
        self._left = MAX_NODES

    def graph(self, proto: Any) -> Graph:
        """Return a graph.

        Raises
        ------
        CheckpointError, ConfigError
            See :func:`read_graph`.
        """
        if len(self._known) >= _DEEPEST:
            raise ConfigError(f"graphs inside graphs, more than {_DEEPEST} deep")
        if proto.sparse_initializer:
            raise ConfigError("the model has sparse tensors; write them as plain tensors")
        self._left -= len(proto.node)
        if self._left < 0:
            raise ConfigError(f"the model has more than {MAX_NODES} nodes")
        known: set[str] = set()
        self._known.append(known)
        constants: dict[str, Array] = {}
        for tensor in proto.initializer:
            if text_of(tensor.name) in constants or not tensor.name:
                raise CheckpointError(f"the model has two initializers {tensor.name[:80]!r}")
            constants[tensor.name] = array_of(tensor, self.folder)
        known.update(constants)
        inner = len(self._known) > 1
        inputs = [_port(value, inner) for value in proto.input if value.name not in constants]
        outputs = [_port(value, inner) for value in proto.output]
        for port in inputs:
            if port.name in known or not port.name:
                raise CheckpointError(f"the model has two inputs {port.name[:80]!r}")
            known.add(port.name)
        calls = [self._call(node, known) for node in proto.node]
        for port in outputs:
            if not self._is_known(port.name):
                raise CheckpointError(f"the model returns {port.name[:80]!r}, which no node makes")
        if not outputs:
            raise CheckpointError("the model returns nothing")
        self._known.pop()
        return Graph(inputs, outputs, calls, constants)

    def _is_known(self, name: str) -> bool:
        return any(name in names for names in self._known)

    def _call(self, node: Any, known: set[str]) -> Call:
        call = read_call(node, self.version, self.folder, self)
        for name in call.inputs:
            if name and not self._is_known(name):
                raise CheckpointError(
                    f"{call.title()} reads {name[:80]!r}, which no node before it makes: the model"
                    " is damaged, has a circle, or its nodes are not in order"
                )
        for name in call.outputs:
            if name and name in known:
                raise CheckpointError(f"{call.title()} makes {name[:80]!r}, which is there already")
            known.add(name)
        return call


def _version(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    if not versions:
        raise CheckpointError("the model names no version of ONNX's operators: no ONNX model")
    version = int(versions[0])
    if not OLDEST <= version <= NEWEST and not (
        0 < version < OLDEST and {node.op_type for node in model.graph.node} <= _UNCHANGED
    ):
        raise ConfigError(
            f"the model is of operator set {version}; {OLDEST} to {NEWEST} are supported: convert"
            " it with onnx.version_converter"
        )
    return version


def _port(value: Any, inner: bool = False) -> Port:
    text_of(value.name)
    kind = value.type.WhichOneof("value")
    if inner and (kind is None or (kind == "tensor_type" and not value.type.tensor_type.elem_type)):
        return Port(value.name, None, None)  # graphs inside nodes need not tell
    if kind != "tensor_type":
        raise ConfigError(f"{value.name[:80]!r} is a {kind or 'value without type'}, not a tensor")
    tensor = value.type.tensor_type
    number = tensor.elem_type
    if number not in DTYPES:
        raise ConfigError(
            f"{value.name[:80]!r} is a tensor of {type_name(number)}; expected floats, whole"
            " numbers or booleans"
        )
    shape: list[int | str | None] | None = None
    if tensor.HasField("shape"):
        shape = [
            int(extent.dim_value) if extent.HasField("dim_value") else (extent.dim_param or None)
            for extent in tensor.shape.dim
        ]
        if any(isinstance(extent, int) and extent < 0 for extent in shape):
            raise CheckpointError(f"{value.name[:80]!r} has shape {shape}")
    return Port(value.name, DTYPES[number][0].name, shape)


def text_of(value: Any) -> str:
    """Return a name of a message.

    Raises
    ------
    CheckpointError
        It is no text; protobuf then returns bytes, or raises when it is asked for.
    """
    if not isinstance(value, str):
        raise CheckpointError(f"the model is damaged: the name {value!r:.80} is no text")
    return value


def read_call(
    node: Any, version: int, folder: Path | None = None, scope: Scope | None = None
) -> Call:
    """Return the call of a NodeProto.

    Raises
    ------
    CheckpointError, ConfigError
        See :func:`read_graph`.
    """
    call = Call(
        op=text_of(node.op_type),
        name=text_of(node.name),
        inputs=[text_of(name) for name in node.input],
        outputs=[text_of(name) for name in node.output],
        attributes={},
        version=version,
    )
    if node.domain not in _DOMAINS:
        raise ConfigError(
            f"{call.title()} is an operator of {node.domain[:80]!r}; only ONNX's own operators are"
            " supported"
        )
    for attribute in node.attribute:
        if text_of(attribute.name) in call.attributes:
            raise CheckpointError(f"{call.title()} has two attributes {attribute.name[:80]!r}")
        if attribute.type == _GRAPH and scope is not None:
            call.attributes[attribute.name] = scope.graph(attribute.g)
        else:
            call.attributes[attribute.name] = _value(attribute, call, folder)
    return call


def _value(attribute: Any, call: Call, folder: Path | None) -> Any:
    kind = attribute.type
    if kind == _FLOAT:
        return float(attribute.f)
    if kind == _INT:
        return int(attribute.i)
    if kind == _STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == _TENSOR:
        return array_of(attribute.t, folder)
    if kind == _FLOATS:
        return [float(value) for value in attribute.floats]
    if kind == _INTS:
        return [int(value) for value in attribute.ints]
    if kind == _STRINGS:
        return [value.decode("utf-8", "replace") for value in attribute.strings]
    raise ConfigError(
        f"{call.title()} has an attribute {attribute.name[:80]!r} that is a list of graphs, a"
        " sparse tensor or a type, which is not supported"
    )
