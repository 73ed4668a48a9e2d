"""A model for one step: the operations of its plan as nodes, states as inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise.errors import ConfigError
from gatewise.layers import step_ops

from .cells import cell_step
from .vectors import VECTOR_OPS, activated, merged, weight

if TYPE_CHECKING:
    from gatewise._typing import Array

    from .graph import Builder


class StepExporter:
    """Prints the operations of a step.

    Parameters
    ----------
    b : Builder
        Receives the nodes.
    plan : StepPlan
        What the model computes at one step.

    Attributes
    ----------
    states : dict of str to (ndarray, str)
        By name: the value before the first step, without the batch, and the value after the step.
    """

    def __init__(self, b: Builder, plan: Any) -> None:
        self.b: Builder = b
        self.plan: Any = plan
        self.states: dict[str, tuple[Array, str]] = {}
        self._due: dict[tuple[int, int], str] = {}
        self._counter = ""  # the state that counts steps, if a vector is not due at each of them
        self._of_inputs = ""  # whether what an operation reads is due, "" if it always is

    def run(self, inputs: list[str]) -> list[str]:
        """All operations; `inputs` are (batch, width), whole numbers (batch,)."""
        names = {each.vector: name for each, name in zip(self.plan.inputs, inputs)}
        for planned in self.plan.ops:
            self._of_inputs = self.due(planned.sources[0])
            names[planned.result] = self._op(planned.op, [names[k] for k in planned.sources])
        found = []
        for each in self.plan.outputs:
            name, due = names[each.vector], self.due(each.vector)
            found.append(self.b.op("Where", due, name, self.b.number(0)) if due else name)
        if self._due:
            after = self.b.op("Add", self._counter, self.b.constant(1, np.int64))
            self.states[self._counter] = np.zeros(1, np.int64), after
        return found

    def due(self, vector: int) -> str:
        """Whether a vector is written at this step, bool (batch, 1); "" if it is at each step."""
        b, about = self.b, self.plan.vectors[vector]
        if not about.first and about.every == 1:
            return ""
        key = about.first, about.every
        if key not in self._due:
            self._counter = self._counter or b.name("steps")
            past = b.op("Sub", self._counter, b.constant(about.first, np.int64))
            begun = b.op("GreaterOrEqual", past, b.constant(0, np.int64))
            rest = b.op("Mod", past, b.constant(about.every, np.int64))
            self._due[key] = b.op("And", begun, b.op("Equal", rest, b.constant(0, np.int64)))
        return self._due[key]

    def _refuse(self, op: Any, reason: str) -> NoReturn:
        raise ConfigError(
            f"operation {op.name!r} ({op.operation}) of model {self.plan.model!r} cannot be"
            f" exported to ONNX for one step: {reason}; export_c and stream() can run it"
        )

    def _state(self, name: str, start: Array) -> str:
        self.states[name] = start, ""
        return name

    def _keep(self, name: str, value: str) -> None:
        """Set the value of a state after the step, if what the operation reads was due."""
        b, start, due = self.b, self.states[name][0], self._of_inputs
        if due:
            wide = b.op("Unsqueeze", due, b.ints(2)) if start.ndim > 1 else due
            value = b.op("Where", wide, value, name)
        self.states[name] = start, value

    def _op(self, op: Any, sources: list[str]) -> str:
        b, x = self.b, sources[0]
        if type(op) in VECTOR_OPS:
            return VECTOR_OPS[type(op)](b, op, x)
        if isinstance(op, step_ops.RecurrentOp):
            return self._cell(op, x)
        if isinstance(op, step_ops.LookupOp):
            return b.op("Gather", weight(b, op, "embeddings", op.table), x, axis=0)
        if isinstance(op, step_ops.MergeOp):
            return merged(b, op.kind, sources)
        if isinstance(op, step_ops.RunningOp):
            return self._running(op, x)
        if isinstance(op, step_ops.ConvolutionOp):
            return self._convolution(op, x)
        if isinstance(op, step_ops.DepthwiseOp):
            return self._depthwise(op, x)
        if isinstance(op, step_ops.PoolingOp):
            return self._pooling(op, x)
        self._refuse(op, "there are no nodes for it")

    def _cell(self, op: Any, x: str) -> str:
        names = [f"{op.name}/{state}" for state in op.state_names]
        for name, start in zip(names, op.initial):
            self._state(name, start)
        y, states = cell_step(self.b, op, x, names)
        for name, value in zip(names, states):
            self._keep(name, value)
        return y

    def _running(self, op: Any, x: str) -> str:
        b = self.b
        if op.maximum:
            low = np.full(op.inputs, np.finfo(np.float32).min, np.float32)
            before = self._state(f"{op.name}/maximum", low)
            y = b.op("Max", x, before)
            self._keep(before, y)
            return y
        total = self._state(f"{op.name}/sum", np.zeros(op.inputs, np.float32))
        count = self._state(f"{op.name}/count", np.zeros(1, np.float32))
        after, steps = b.op("Add", total, x), b.op("Add", count, b.number(1))
        self._keep(total, after)
        self._keep(count, steps)
        return b.op("Div", after, steps)

    def _window(self, op: Any, x: str) -> list[str]:
        """The steps of the window, from the earliest one to x."""
        b, reach = self.b, (op.window - 1) * op.dilation
        if not reach:
            return [x]
        before = self._state(f"{op.name}/window", np.zeros((reach, op.inputs), np.float32))
        steps = b.op("Concat", before, b.op("Unsqueeze", x, b.ints(1)), axis=1)
        self._keep(before, b.op("Slice", steps, b.ints(1), b.ints(2**31 - 1), b.ints(1)))
        return [
            b.op("Gather", steps, b.constant(k * op.dilation, np.int64), axis=1)
            for k in range(op.window)
        ]

    def _convolution(self, op: Any, x: str) -> str:
        b = self.b
        row = self._window(op, x)
        dense = step_ops.DenseOp(
            name=op.name,
            inputs=op.window * op.inputs,
            width=op.width,
            kernel=op.kernel.reshape(-1, op.width),
            bias=op.bias,
            activation=op.activation,
        )
        joined = row[0] if len(row) == 1 else b.op("Concat", *row, axis=1)
        return VECTOR_OPS[step_ops.DenseOp](b, dense, joined)

    def _pooling(self, op: Any, x: str) -> str:
        if op.padded:
            self._refuse(op, "its first windows have steps that do not count")
        return merged(self.b, "maximum" if op.maximum else "average", self._window(op, x))

    def _depthwise(self, op: Any, x: str) -> str:
        b = self.b
        multiplier = op.width // op.inputs
        total = ""
        for k, step in enumerate(self._window(op, x)):
            columns = np.repeat(np.arange(op.inputs), multiplier)
            wide = b.op("Gather", step, b.constant(columns, np.int64, "columns"), axis=1)
            part = b.op("Mul", wide, weight(b, op, "kernel", op.kernel[k].reshape(-1)))
            total = b.op("Add", total, part) if total else part
        if op.bias is not None:
            total = b.op("Add", total, weight(b, op, "bias", op.bias))
        return activated(b, total, op.activation)
