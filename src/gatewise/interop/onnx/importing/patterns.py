"""Groups of nodes that exporters write for one operator, as that operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.interop.onnx.graphs import Call

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Graph


def simplify(graph: Graph) -> None:
    """Replace layer normalizations that are written as their arithmetic."""
    if not all(map(_is_whole, graph.calls)):
        return  # a damaged file; the walk over the nodes says where
    search = _Search(graph)
    for call in list(graph.calls):
        if call.op == "Sub":
            search.centred(call)
    graph.calls = search.calls()


_INPUTS = {"Sub": 2, "Mul": 2, "Pow": 2, "Add": 2, "Div": 2, "Sqrt": 1, "Reciprocal": 1, "Neg": 1}
_INPUTS |= {"GlobalAveragePool": 1}


def _is_whole(call: Call) -> bool:
    """Return whether a node has the inputs and the output that its operator has."""
    if call.op == "ReduceMean":
        return len(call.inputs) in (1, 2) and len(call.outputs) == 1
    count = _INPUTS.get(call.op)
    return count is None or (len(call.inputs) == count and len(call.outputs) == 1)


class _Search:
    """Who makes and who reads each value of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = {name: call for call in graph.calls for name in call.outputs if name}
        self.readers: dict[str, list[Call]] = {}
        for call in graph.calls:
            for name in call.inputs:
                self.readers.setdefault(name, []).append(call)
        self.outputs = {port.name for port in graph.outputs}
        self.new: dict[int, Call] = {}  # what takes the place of the last node of a group

    def calls(self) -> list[Call]:
        """Return the nodes with the last one of each group replaced.

        The others stay: no output needs them any more, unless a node outside the group does.
        """
        return [self.new.get(id(call), call) for call in self.graph.calls]

    def constant(self, name: str) -> Array | None:
        """Return the constant of this name."""
        return self.graph.constants.get(name)

    def number(self, name: str) -> float | None:
        """Return a constant of one number."""
        array = self.constant(name)
        return float(array.reshape(())) if array is not None and array.size == 1 else None

    def one(self, name: str, op: str) -> Call | None:
        """Return the one reader of a value, if it is of this operator."""
        readers = self.readers.get(name, [])
        if len(readers) == 1 and readers[0].op == op and name not in self.outputs:
            return readers[0]
        return None

    def mean_of(self, name: str) -> str | None:
        """Return what a value is the mean of, over the last axis of three."""
        maker = self.makers.get(name)
        if maker is None:
            return None
        if maker.op == "GlobalAveragePool":  # of (batch, steps, features)
            return maker.inputs[0]
        if maker.op != "ReduceMean" or not maker.get("keepdims", 1):
            return None
        axes: Any = maker.get("axes")
        if axes is None and len(maker.inputs) > 1:
            array = self.constant(maker.inputs[1])
            axes = None if array is None else array.reshape(-1).tolist()
        return maker.inputs[0] if axes in ([-1], [2]) else None

    def centred(self, sub: Call) -> None:
        """Replace the group that begins with ``x - mean(x)``."""
        x, mean = sub.inputs
        if self.mean_of(mean) != x:
            return
        for square in self.readers.get(sub.outputs[0], []):
            twice = square.op == "Mul" and square.inputs == [sub.outputs[0]] * 2
            power = square.op == "Pow" and self.number(square.inputs[1]) == 2
            if not (twice or power):
                continue
            for pooled in self.readers.get(square.outputs[0], []):
                if self.mean_of(pooled.outputs[0]) != square.outputs[0]:
                    continue
                add = self.one(pooled.outputs[0], "Add")
                if add is None:
                    continue
                numbers = [self.number(name) for name in add.inputs]
                epsilon = next((number for number in numbers if number is not None), None)
                root = self.one(add.outputs[0], "Sqrt")
                if epsilon is None or root is None:
                    continue
                if not self._divided(sub, root, x, epsilon):
                    self._scaled(sub, root, x, mean, epsilon)

    def _divided(self, sub: Call, root: Call, x: str, epsilon: float) -> bool:
        """Replace ``(x - mean) / root [* gain] [+ shift]``, as PyTorch writes it."""
        for div in self.readers.get(root.outputs[0], []):
            if div.op != "Div" or div.inputs[1] != root.outputs[0]:
                continue
            maker = self.makers.get(div.inputs[0])  # sub, or the same difference once more
            if maker is None or maker.op != "Sub" or maker.inputs != sub.inputs:
                continue
            last, gain, shift = div, "", ""
            mul = self.one(div.outputs[0], "Mul")
            if mul is not None and (name := self._vector(mul, div.outputs[0])):
                last, gain = mul, name
                add = self.one(mul.outputs[0], "Add")
                if add is not None and (name := self._vector(add, mul.outputs[0])):
                    last, shift = add, name
            self._replace(last, x, gain, shift, epsilon)
            return True
        return False

    def _vector(self, call: Call, other: str) -> str:
        """Return the name of the constant vector that a node reads beside another value."""
        for name in call.inputs:
            array = self.constant(name)
            if name != other and array is not None and array.ndim:
                if array.size == array.shape[-1]:
                    return name
        return ""

    def _scaled(self, sub: Call, root: Call, x: str, mean: str, epsilon: float) -> None:
        """Replace ``x s + (shift - mean s)`` with ``s = gain / root``, as tf2onnx writes it."""
        inverse = self.one(root.outputs[0], "Reciprocal")
        if inverse is None:
            return
        scale, gain = inverse, ""
        mul = self.one(inverse.outputs[0], "Mul")
        if mul is not None and (name := self._vector(mul, inverse.outputs[0])):
            scale, gain = mul, name
        products = [call for call in self.readers.get(scale.outputs[0], []) if call.op == "Mul"]
        of_x = [call for call in products if x in call.inputs]
        rest = [call for call in products if x not in call.inputs]
        if len(of_x) != 1 or len(rest) != 1:
            return
        (other,) = [name for name in rest[0].inputs if name != scale.outputs[0]] or [""]
        maker = self.makers.get(other)
        negative = maker is not None and maker.op == "Neg" and maker.inputs == [mean]
        end, shift = rest[0], ""
        if not negative:
            if other != mean:
                return
            difference = self.one(rest[0].outputs[0], "Sub")
            if difference is None or difference.inputs[1] != rest[0].outputs[0]:
                return
            end, shift = difference, self._vector(difference, rest[0].outputs[0])
            if not shift:
                return
        add = self.one(end.outputs[0], "Add")
        if add is None or set(add.inputs) != {of_x[0].outputs[0], end.outputs[0]}:
            return
        last = add
        if negative:
            after = self.one(add.outputs[0], "Add")
            if after is not None and (name := self._vector(after, add.outputs[0])):
                last, shift = after, name
        self._replace(last, x, gain, shift, epsilon)

    def _replace(self, last: Call, x: str, gain: str, shift: str, epsilon: float) -> None:
        scale = gain
        if not scale:
            scale = f"{last.outputs[0]}/ones"
            self.graph.constants[scale] = np.ones(1, np.float32)
        self.new[id(last)] = Call(
            op="LayerNormalization",
            name=last.name,
            inputs=[x, scale, shift] if shift else [x, scale],
            outputs=last.outputs[:1],
            attributes={"axis": -1, "epsilon": epsilon},
            version=max(last.version, 17),
        )
