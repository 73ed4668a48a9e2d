"""Making an ONNX graph: nodes, weights and values with their steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise.errors import ConfigError
from gatewise.interop.onnx.reading import onnx_package

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array

    from .masks import Places

OPSETS = range(14, 25)


@dataclass(frozen=True, slots=True)
class Timing:
    """Which steps of an array count; all layers see rows whose steps are at the front.

    Parameters
    ----------
    lengths : str
        Number of steps of each row, int64 (batch,).
    places : Places or None
        Where the steps were, if a mask moved them.
    """

    lengths: str
    places: Places | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """An array of the graph.

    Parameters
    ----------
    name : str
        In the graph.
    shape : tuple
        (batch, ...) with None for what is not known.
    timing : Timing or None
        None: all steps count, or there are none.
    """

    name: str
    shape: tuple[Any, ...]
    timing: Timing | None = None

    def made(self, name: str, shape: Any) -> Value:
        """An array with the same steps."""
        return replace(self, name=name, shape=tuple(shape))


class Builder:
    """The nodes and constants of a graph.

    Parameters
    ----------
    opset : int
        Version of the operators.
    prefix : str
        Names of values begin with it.
    """

    def __init__(self, opset: int, prefix: str = "") -> None:
        self.onnx: Any = onnx_package()
        self.opset: int = opset
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = prefix
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}
        self._known: dict[tuple[Any, ...], str] = {}
        self._subgraphs = 0

    def name(self, wanted: str) -> str:
        """A name that no other value has."""
        wanted = self._prefix + wanted
        found = wanted
        while found in self._taken:
            self._counts[wanted] = self._counts.get(wanted, 1) + 1
            found = f"{wanted}:{self._counts[wanted]}"
        self._taken.add(found)
        return found

    def body(self) -> Builder:
        """A builder of a subgraph, whose names are different from those here."""
        self._subgraphs += 1
        return Builder(self.opset, f"{self._prefix}body{self._subgraphs}/")

    def constant(self, values: Any, dtype: Any = None, name: str = "constant") -> str:
        """The name of an array of the graph; equal arrays are stored once."""
        array: Array = np.ascontiguousarray(np.array(values, dtype=dtype))
        array = array.reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.name(name)
            self.constants.append(self.onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def ints(self, *values: int) -> str:
        """The name of a vector of whole numbers."""
        return self.constant(values, np.int64, "ints")

    def number(self, value: float) -> str:
        """The name of a number."""
        return self.constant(value, np.float32, "number")

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return that one's name."""
        return self.ops(kind, 1, *inputs, name=name, **attributes)[0]

    def ops(
        self, kind: str, count: int, *inputs: str, name: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs, and return their names."""
        outputs = [self.name(name or kind) for _ in range(count)]
        self.nodes.append(
            self.onnx.helper.make_node(
                kind, list(inputs), outputs, name=f"{outputs[0]}/{kind}", **attributes
            )
        )
        return outputs

    def chain(self, x: str, *steps: tuple[Any, ...]) -> str:
        """Apply operators one after the other: each is (kind, further inputs...)."""
        for kind, *others in steps:
            x = self.op(kind, x, *others)
        return x

    # ---- operators whose form depends on their version

    def reduce(self, kind: str, x: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """A reduction over axes: an attribute before version 18, then an input."""
        if kind == "ReduceSum" or self.opset >= 18:
            return self.op(kind, x, self.ints(*axes), keepdims=int(keepdims))
        return self.op(kind, x, axes=list(axes), keepdims=int(keepdims))

    def transpose(self, x: str, *order: int) -> str:
        """The axes in another order."""
        return self.op("Transpose", x, perm=list(order))

    def extent(self, x: str, axis: int) -> str:
        """An extent of an array, int64 (1,)."""
        return (
            self.op("Shape", x, start=axis, end=axis + 1)
            if self.opset >= 15
            else self.op("Gather", self.op("Shape", x), self.ints(axis), axis=0)
        )

    def message(self, name: str, inputs: list[Any], outputs: list[Any], doc: str = "") -> Any:
        """The graph as a GraphProto."""
        return self.onnx.helper.make_graph(
            self.nodes, name, inputs, outputs, initializer=self.constants, doc_string=doc
        )


def refuse(layer: Any, reason: str) -> NoReturn:
    """Refuse to export a layer.

    Raises
    ------
    ConfigError
    """
    raise ConfigError(
        f"layer {layer.name!r} ({type(layer).__name__}) cannot be exported to ONNX: {reason}"
    )
