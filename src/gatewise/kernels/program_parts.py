"""What a program's operations remember, and their weights: the parts that need no compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.kernels import dense
from gatewise.kernels._cell import CompiledCell
from gatewise.kernels._memory import aligned_empty
from gatewise.kernels.narrow import NarrowSums

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike

    from gatewise._typing import Array


class StateMemory:
    """The states of a recurrent operation, an array for each name."""

    def __init__(self, op: Any, states: tuple[Array, ...]) -> None:
        self.op: Any = op
        self.states: tuple[Array, ...] = states

    def now(self, program: Any) -> tuple[Array, ...]:
        """The arrays that hold the states."""
        return self.states

    def arrays(self, program: Any) -> Iterable[tuple[str, Array, Array]]:
        """(name, array, initial value) of each state."""
        names = [f"{self.op.name}/{name}" for name in self.op.state_names]
        return zip(names, self.now(program), self.op.initial)

    def reset(self, program: Any, rows: Any) -> None:
        """Let rows begin again."""
        for _, array, initial in self.arrays(program):
            array[rows] = initial

    def read(self, program: Any) -> dict[str, Array]:
        """Copies of the arrays, by name."""
        return {name: array.copy() for name, array, _ in self.arrays(program)}

    def write(self, program: Any, state: dict[str, Array]) -> None:
        """The inverse of :meth:`read`."""
        for name, array, _ in self.arrays(program):
            array[...] = state[name]


class CellMemory(StateMemory):
    """The states of a cell; h has two places, which take turns."""

    def __init__(self, k: int, op: Any, h: Array, c: Array | None) -> None:
        super().__init__(op, () if c is None else (c,))
        self.k: int = k
        self.h: Array = h

    def now(self, program: Any) -> tuple[Array, ...]:
        """The arrays that hold the states."""
        return self.h[program._odd(self.k)], *self.states


class WindowMemory:
    """The last steps of a window, the oldest first (gw_ring of program.h)."""

    def __init__(self, op: Any, ring: Array, at: Array) -> None:
        self.op: Any = op
        self.ring: Array = ring
        self.at: Array = at
        self.reach: int = (op.window - 1) * op.dilation
        self.repeats: int = ring.shape[3] // op.inputs
        self.name: str = f"{op.name}/window"

    def place(self, k: int) -> tuple[Array, Array, Array]:
        """Index of the step number k of those that are remembered, of each row."""
        t = self.at - (self.reach - k)
        return np.arange(len(t)), t % self.op.dilation, t // self.op.dilation % self.op.window

    def reset(self, program: Any, rows: Any) -> None:
        """Let rows begin again."""
        self.ring[rows], self.at[rows] = 0, 0

    def read(self, program: Any) -> dict[str, Array]:
        """Copies of the arrays, by name."""
        if self.reach == 0:
            return {}
        steps = [self.ring[self.place(k)][:, :: self.repeats] for k in range(self.reach)]
        return {self.name: np.stack(steps, axis=1)}

    def write(self, program: Any, state: dict[str, Array]) -> None:
        """The inverse of :meth:`read`."""
        self.ring[...], self.at[...] = 0, 0
        for k in range(self.reach):
            row, turn, place = self.place(k)
            step = np.repeat(state[self.name][:, k], self.repeats, axis=1)
            self.ring[row, turn, place] = self.ring[row, turn, place + self.op.window] = step


class RunningMemory:
    """The maximum or the sum of all steps so far, and their number."""

    def __init__(self, op: Any, values: Array, count: Array) -> None:
        self.arrays: dict[str, Array] = {
            f"{op.name}/{'maximum' if op.maximum else 'sum'}": values,
            f"{op.name}/steps": count,
        }

    def reset(self, program: Any, rows: Any) -> None:
        """Let rows begin again."""
        for array in self.arrays.values():
            array[rows] = 0

    def read(self, program: Any) -> dict[str, Array]:
        """Copies of the arrays, by name."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def write(self, program: Any, state: dict[str, Array]) -> None:
        """The inverse of :meth:`read`."""
        for name, array in self.arrays.items():
            array[...] = state[name]


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return an aligned array of zeros."""
    array = aligned_empty(shape, dtype)
    array.fill(0)
    return array


def pack(op: Any, storage: str) -> Array | NarrowSums | tuple[Array, ...] | None:
    """Return the weights of an operation as a step reads them; None if it has none to pack.

    Parameters
    ----------
    op : StepOp
        An operation of layers/step_ops.py.
    storage : {"float32", "float64", "bfloat16", "int8"}
        Type of the weights of its products.
    """
    if storage in ("bfloat16", "int8"):
        return _pack_narrow(op, storage)
    if op.operation == "cell":
        return op.kernel.pack_forward(op.weights)
    if op.operation == "decayed":
        w, units = op.weights, op.width
        return (
            dense.pack(w["kernel"], w["bias"]),
            dense.pack(w["mask_kernel"]),
            dense.pack(w["hidden_decay_kernel"], w["hidden_decay_bias"]),
            dense.pack(np.ascontiguousarray(w["recurrent_kernel"][:, : 2 * units])),
            dense.pack(np.ascontiguousarray(w["recurrent_kernel"][:, 2 * units :])),
        )
    if op.operation == "dense":
        return dense.pack(op.kernel, op.bias)
    if op.operation == "convolution":
        return dense.pack(op.kernel.reshape(-1, op.width), op.bias)
    return None


def why_not_narrow(op: Any) -> str:
    """Return why the weights of an operation cannot be narrower than float32; "": they can."""
    if op.operation == "decayed":
        return "it has products of other vectors than x and h"
    if op.operation != "cell" or not isinstance(op.kernel, CompiledCell):
        return ""
    options = op.kernel.options
    if options.layer_normalization:
        return "its sums are normalized one by one"
    if options.projection is not None:
        return "it projects its state"
    if op.kernel.family == "gru" and not options.reset_after and options.candidate != "input":
        return "its reset gate comes before the product (reset_after=False)"
    return ""


def matrices_of(op: Any) -> dict[str, Array]:
    """Return the matrices of an operation's products, (inputs, columns), by name."""
    if op.operation == "cell":
        names = ("kernel", "recurrent_kernel")
        return {name: op.weights[name] for name in names if op.weights.get(name) is not None}
    if op.operation in ("dense", "convolution"):
        return {"kernel": op.kernel.reshape(-1, op.kernel.shape[-1])}
    return {}


def _pack_narrow(op: Any, storage: str) -> NarrowSums | None:
    matrices = matrices_of(op)
    if not matrices:
        return None
    kernel, recurrent = matrices["kernel"], matrices.get("recurrent_kernel")
    given = op.weights.get("bias") if op.operation == "cell" else op.bias
    bias = np.zeros(kernel.shape[1], np.float32) if given is None else given.copy()
    parts = [(kernel, False, 0)]
    if recurrent is not None and op.kernel.family == "gru" and op.kernel.options.reset_after:
        # z and r have one sum each, n has two: x W_n + b_n, then h' U_n + b_r
        units = op.kernel.units
        inner = op.weights.get("recurrent_bias")
        inner = np.zeros(3 * units, np.float32) if inner is None else inner
        with np.errstate(over="ignore"):  # such a sum is infinite, as in the kernels
            bias[: 2 * units] += inner[: 2 * units]
        bias = np.concatenate([bias, inner[2 * units :]])
        parts += [
            (recurrent[:, : 2 * units], True, 0),
            (recurrent[:, 2 * units :], True, 3 * units),
        ]
    elif recurrent is not None:
        parts.append((recurrent, True, 0))
    sums = NarrowSums(parts, bias, storage)
    if recurrent is not None:
        packed = op.kernel.pack_forward(op.weights)
        # only peepholes are read: other memory is never touched, and the system gives none
        sums.floats = packed if op.kernel.options.peepholes else aligned_empty(packed.shape, "f4")
    return sums


def work_of(op: Any) -> int:
    """Return about how many floating-point operations a step of one row takes."""
    if op.operation in ("cell", "decayed"):
        return 2 * sum(array.size for array in op.weights.values() if array is not None)
    if op.operation in ("dense", "convolution", "depthwise"):
        return 2 * op.kernel.size
    return 4 * op.width
