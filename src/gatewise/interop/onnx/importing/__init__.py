"""ONNX graphs as models of gatewise that can be trained."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError
from gatewise.interop.onnx.graphs import Graph, Port
from gatewise.interop.onnx.reading import graph_of
from gatewise.layers import Activation, Input
from gatewise.models import Model

from . import arithmetic, lengths, recurrent, shapes, windows
from .builder import Builder, Lengths, Refused, fold_constants
from .loops import replace_loops
from .patterns import simplify
from .sizes import Size
from .views import Atom, Tensor

if TYPE_CHECKING:
    from gatewise._typing import PathLike

_HANDLERS = {
    **shapes.HANDLERS,
    **arithmetic.HANDLERS,
    **windows.HANDLERS,
    **recurrent.HANDLERS,
    **lengths.HANDLERS,
}
_MOST_READINGS = 16
_MOST_WORK = 200_000  # nodes that all readings look at
_FREE_PARAMETERS = 1_000_000  # gains of one number in the file, for instance
_WHOLE = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}


def import_model(path: PathLike | bytes | Any) -> Model:
    """Read an ONNX model as a model of gatewise, with its weights.

    Nodes become layers: RNN, GRU and LSTM with all of their attributes; products with a matrix
    (Dense), tables of vectors (Embedding), convolution, pooling, normalization, activations,
    sums, products and joined arrays. Arithmetic with shapes is computed, and transpositions are
    absorbed. The model can be compiled and trained, streamed, saved and exported.

    Parameters
    ----------
    path : path, bytes or onnx.ModelProto
        The model. External data are read from the folder of a file, and from nowhere else.

    Returns
    -------
    Model
        A built model, not compiled. **Its arrays begin with the batch**: an input (steps, batch,
        features), which is usual for PyTorch, becomes (batch, steps, features), and so do outputs.
        Axes of extent 1 that the graph inserts are left out of outputs. An input that is only the
        ``sequence_lens`` of recurrent nodes is no input of the model: give ``lengths=`` to ``fit``
        and ``predict``. The names of the inputs are those of the graph.

    Raises
    ------
    CheckpointError
        The file is damaged, or no ONNX model.
    ConfigError
        The graph needs what gatewise has no layer for: the message names the node, its operator
        and the reason. :class:`Backend` may run such a model, without training.
    MissingPackageError
        The package onnx is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import TensorProto, helper, numpy_helper
    >>> from gatewise.interop.onnx import import_model
    >>> w = numpy_helper.from_array(np.float32([[1, 2], [3, 4], [5, 6]]), "w")
    >>> node = helper.make_node("MatMul", ["x", "w"], ["y"])
    >>> x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])
    >>> y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
    >>> graph = helper.make_graph([node], "dense", [x], [y], [w])
    >>> proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    >>> model = import_model(proto)
    >>> model.predict(np.float32([[1, 0, 0]])).tolist()
    [[1.0, 2.0]]
    >>> model.compile("adam", "mse")
    """
    graph = graph_of(path)
    fold_constants(graph)
    replace_loops(graph)
    simplify(graph)
    refusal: Refused | None = None
    for reading in _readings(graph):
        made = _model(graph, reading)
        if isinstance(made, Model):
            return made
        if refusal is None or made.place > refusal.place:
            refusal = made
    if refusal is None:
        raise ConfigError("the model has no input")
    raise ConfigError(
        f"the ONNX model cannot be a gatewise model: {refusal.error}. To run it as it is, without"
        " training: gatewise.interop.onnx.Backend.prepare(path).run(inputs)"
    ) from refusal.error


def _is_lengths(port: Port) -> bool:
    """Return whether an input can only be the lengths of the rows."""
    return port.dtype in _WHOLE and port.shape is not None and len(port.shape) == 1


def _readings(graph: Graph) -> list[dict[str, int]]:
    """Return which axis of each input may be the batch, the likeliest first."""
    choices: list[list[int]] = []
    names: list[str] = []
    for port in graph.inputs:
        if _is_lengths(port):
            continue
        if port.shape is None or not port.shape:
            raise ConfigError(
                f"input {port.name!r} has no shape, or no axes; gatewise needs the number of axes"
                " and of features"
            )
        named = [
            axis
            for axis, extent in enumerate(port.shape)
            if isinstance(extent, str) and re.search(r"batch|^n$|^b$", extent.lower())
        ]
        names.append(port.name)
        choices.append(named[:2] or list(range(min(len(port.shape), 2))))
    count = max(min(_MOST_READINGS, _MOST_WORK // (len(graph.calls) + 1)), 1)
    found = itertools.islice(itertools.product(*choices), count)
    return [dict(zip(names, axes)) for axes in found]


def _model(graph: Graph, reading: dict[str, int]) -> Model | Refused:
    """Return the model for one reading of the axes, or why there is none."""
    plan = None
    for _ in range(2):  # the first time to see which outputs of recurrent nodes are used
        try:
            builder = Builder(graph, _HANDLERS, plan)
            inputs = _inputs(builder, reading)
        except (ConfigError, ShapeError) as error:
            return Refused(error, -1)
        builder.run()
        outputs = []
        for port in graph.outputs:
            value = builder.values[port.name]
            if isinstance(value, Refused):
                return value
            if not isinstance(value, Tensor) or value.whole:
                error = ConfigError(f"output {port.name!r} does not depend on the inputs' numbers")
                return Refused(error, len(graph.calls))
            try:
                outputs.append(shapes.settled(builder.use(value)))
            except (ConfigError, ShapeError) as error:
                told = ConfigError(f"output {port.name!r}: {error}")
                return Refused(told, len(graph.calls))
        plan = {number: set(used) for number, used in builder.used.items()}
    return _with_weights(builder, inputs, outputs)


def _with_weights(builder: Builder, inputs: list[Any], outputs: list[Tensor]) -> Model | Refused:
    symbols = []
    for output in outputs:
        symbol = output.symbol
        if any(symbol is each for each in (*inputs, *symbols)):
            symbol = Activation("linear")(symbol)
        symbols.append(symbol)
    try:
        used = _reached(symbols)
        if any(each not in used for each in map(id, inputs)):
            return Refused(ConfigError("an input of the model is not used"), len(symbols))
        _refuse_growth(builder, symbols)
        model = Model(
            inputs[0] if len(inputs) == 1 else inputs,
            symbols[0] if len(symbols) == 1 else symbols,
        )
    except (ConfigError, ShapeError) as error:
        return Refused(error, len(builder.graph.calls))
    for layer in model.layers:
        if id(layer) in builder.weights:
            layer.set_weights(builder.weights[id(layer)][1])
    return model


def _refuse_growth(builder: Builder, symbols: list[Any]) -> None:
    """Refuse layers that need much more memory than the file's constants."""
    held = sum(array.nbytes for array in builder.graph.constants.values())
    waiting, seen, layers = list(symbols), set(), {}
    while waiting:
        node = waiting.pop().node
        if id(node) not in seen:
            seen.add(id(node))
            layers[id(node.layer)] = sum(math.prod(spec.shape) for spec in node.specs)
            waiting += node.inputs
    count = sum(layers.values())
    if count > held + _FREE_PARAMETERS:
        raise ConfigError(f"its layers would have {count} parameters, the file holds {held} bytes")


def _reached(symbols: list[Any]) -> set[int]:
    """Return the ids of the symbols on which others depend."""
    waiting, found = list(symbols), set()
    while waiting:
        symbol = waiting.pop()
        if id(symbol) not in found:
            found.add(id(symbol))
            waiting += symbol.node.inputs
    return found


def _inputs(builder: Builder, reading: dict[str, int]) -> list[Any]:
    """Make the inputs of the model: return their symbols."""
    ports = builder.graph.inputs
    kinds = {port.dtype for port in ports if port.dtype not in _WHOLE}
    if not kinds <= {"float32", "float64"} or len(kinds) > 1:
        raise ConfigError(f"inputs of {', '.join(sorted(kinds))}; expected float32 or float64")
    builder.dtype = kinds.pop() if kinds else _dtype_of(builder.graph)
    symbols: list[Any] = []
    taken: set[str] = set()
    for port in ports:
        if port.name not in reading:
            builder.values[port.name] = Lengths()
            continue
        batch, extents = reading[port.name], list(port.shape or [])
        rest = [k for k in range(len(extents)) if k != batch]
        if not rest:
            raise ConfigError(f"input {port.name!r} has one axis; gatewise reads (batch, ...)")
        atoms: list[Any] = [None] * len(extents)
        for axis, extent in enumerate(extents):
            if axis == batch:
                size = extent if isinstance(extent, int) and extent else Size.of("batch")
                atoms[axis] = builder.shared.setdefault(("batch", size), Atom(size, True))
            else:
                name = extent if isinstance(extent, str) else f"{port.name} {axis}"
                atoms[axis] = Atom(extent if isinstance(extent, int) and extent else Size.of(name))
        shape = tuple(None if isinstance(atoms[k].size, Size) else int(atoms[k].size) for k in rest)
        safe = re.sub(r"[^A-Za-z0-9_]", "_", port.name[:60]).strip("_") or "input"
        while safe in taken:
            safe += "_"
        taken.add(safe)
        symbol = Input(shape, name=safe, dtype=None if port.dtype in _WHOLE else builder.dtype)
        axes = ((atoms[batch],), *((atoms[k],) for k in rest))
        view = tuple((atom,) for atom in atoms)
        builder.values[port.name] = Tensor(
            symbol, axes, view, whole=port.dtype in _WHOLE, natural=port.dtype in _WHOLE
        )
        symbols.append(symbol)
    return symbols


def _dtype_of(graph: Graph) -> str:
    wide = any(array.dtype == np.float64 and array.ndim > 1 for array in graph.constants.values())
    return "float64" if wide else "float32"


__all__ = ["import_model"]
