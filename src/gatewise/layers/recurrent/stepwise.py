"""Recurrent layers whose loop over time is in Python: each step computes all running rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.attributes import checked
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers.base import Layer
from gatewise.layers.options import fixed
from gatewise.layers.tape import Batch
from gatewise.memory import numpy_products

from .base import Recurrent
from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array
    from gatewise.layers.tape import Tape


class Stepwise(Recurrent):
    """Base of :class:`RNN` and :class:`GRUD`.

    :meth:`_before` and :meth:`_after` compute what does not depend on the state, for all steps at
    once, before the loop and after it.
    """

    # These options must be off.
    dropout: float = checked(checks.number, low=0.0, high=0.0)
    recurrent_dropout: float = checked(checks.number, low=0.0, high=0.0)
    learned_initial_state: bool = fixed("_no_learned_state")

    def _no_learned_state(self, value: Any) -> Any:
        if checks.flag(value, "learned_initial_state"):
            raise ConfigError(
                f"{type(self).__name__} has no learned initial state: learned_initial_state is"
                " True; expected False"
            )
        return False

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        Layer._adopt(self, parameters, gradients)

    def _name_arrays(self) -> None:
        """Do nothing: a cell in NumPy takes its parameters by name."""

    def _new_cell(self) -> Any:
        """Return the RNNCell for one pass."""
        return self.cell

    def _before(self, x: Array, start: Any, resets: Array | None) -> Any:
        """Return (input of the cell, its initial states, anything that the hooks below need).

        The input has the shape (batch, steps, width).
        """
        return x, start, None

    def _after(self, states: Any, extra: Any, lengths: Array | None) -> Any:
        """Return the layer's final states, from the cell's."""
        return states

    def _before_back(self, d_states: Any, extra: Any) -> Any:
        """Return the gradients of the cell's final states, from those of the layer's."""
        return d_states

    def _after_back(self, d_inputs: Any, d_start: Any, extra: Any, cell: Any, want_dx: bool) -> Any:
        """Return (dx or None, gradients of the layer's initial states).

        `d_inputs` and `d_start` are the gradients of what :meth:`_before` returned.
        """
        return d_inputs, d_start

    def _run_from(
        self, inputs: Batch, states: list[Batch], tape: Tape | None, node: Hashable
    ) -> tuple[Batch, list[Array]]:
        x, steps_of_x = inputs.values, inputs.steps
        batch, steps = x.shape[:2]
        lengths = resets = None
        if steps_of_x is not None:
            lengths, resets = steps_of_x.lengths, steps_of_x.resets_of(self.go_backwards)
            self._check_steps(lengths, resets, steps)
        start = self._start(states, tape, node, batch)
        if start is None:
            start = [np.zeros((batch, size), self.dtype) for size in self.state_sizes]
        source = backward_order(steps, lengths) if self.go_backwards else None
        if source is not None:
            x = take_steps(x, source)
            resets = None if resets is None else take_steps(resets, source)
        checks.fits_memory(batch * steps * self.units, self.dtype, "the output of layer", self.name)
        read, cell_start, extra = self._before(x, start, resets)
        walk = _Walk(self._new_cell(), self.return_sequences, read.shape, lengths, resets)
        y, cell_final = walk.forward(read, cell_start, self._parameters, tape is not None)
        final = self._after(cell_final, extra, lengths)
        if tape is not None:
            tape.keep(
                node,
                {
                    "walk": walk,
                    "extra": extra,
                    "source": source,
                    "rows": batch,
                    "output_shape": y.shape,
                    "states_given": bool(states),
                },
            )
        return Batch(y, steps_of_x if self.return_sequences else None), final

    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
        saved = tape.take(node)
        d_output, *d_states = (
            gradients if self.return_state else (gradients, *(None for _ in self.cell.states))
        )
        d_states = [
            np.zeros((saved["rows"], size), self.dtype) if given is None else given
            for size, given in zip(self.state_sizes, d_states)
        ]
        if d_output is None:
            d_output = np.zeros(saved["output_shape"], self.dtype)
        d_inputs, d_start = saved["walk"].backward(
            d_output,
            self._before_back(d_states, saved["extra"]),
            self._parameters,
            self._gradients,
        )
        dx, d_start = self._after_back(
            d_inputs, d_start, saved["extra"], saved["walk"].cell, wanted
        )
        tape.state_gradients[node] = d_start
        if not wanted:
            dx = None
        elif saved["source"] is not None:
            dx = take_steps(dx, saved["source"])  # the order is its own inverse
        return [dx, *d_start] if saved["states_given"] else dx


LARGE_PRODUCTS = 100_000  # multiplications; OpenBLAS uses several threads from twice as many on


class _Walk:
    """The forward pass of a cell over all steps, and its backward pass.

    Rows are sorted by falling length, so that the rows that still run come first.
    """

    def __init__(
        self,
        cell: Any,
        sequences: Any,
        shape: tuple[int, ...],
        lengths: Array | None,
        resets: Array | None,
    ) -> None:
        self.cell, self.sequences, self.shape = cell, sequences, shape
        self.sizes, self.width = cell.state_sizes, cell.output_width
        batch, steps, _ = shape
        self.order = None if lengths is None else np.argsort(-lengths, kind="stable")
        # Number of rows that have a step t.
        self.counts = (
            [batch] * steps
            if lengths is None
            else (lengths[:, None] > np.arange(steps)).sum(axis=0).tolist()
        )
        self.resets = None if resets is None else self._in_time(resets).view(np.bool_)[..., None]
        self.saved = []  # of each step
        self.ready = False

    def _ready(self, parameters: dict[str, Array]) -> None:
        """Provide the memory that the products of the next step need.

        Small products run in one thread and need none after the first step.
        """
        batch = self.shape[0]
        if (
            not self.ready
            or batch * sum(array.size for array in parameters.values()) > LARGE_PRODUCTS
        ):
            self.ready = True
            numpy_products(16 * 8 * batch * max(self.width, *self.sizes))

    def forward(
        self, x: Array, start: list[Array], parameters: dict[str, Array], training: bool
    ) -> tuple[Array, list[Array]]:
        """Return (output, final states) for x of shape (batch, steps, width)."""
        cell, (batch, steps, _), dtype = self.cell, self.shape, x.dtype
        x, parameters = (
            _read_only(self._in_time(x)),
            {name: _read_only(array) for name, array in parameters.items()},
        )
        final = [self._in_order(state) for state in start]
        states = [
            state.copy() for state in final
        ]  # a step may save them, and `final` is written to
        y = np.zeros((steps, batch, self.width) if self.sequences else (batch, self.width), dtype)
        if not self.sequences and cell.output_size is None:  # rows without a step
            y[...] = final[0]
        for t, count in enumerate(self.counts):
            if count == 0:
                break
            states = [state[:count] for state in states]
            if self._resets(t, count):
                states = [
                    np.where(self.resets[t, :count], dtype.type(0), state) for state in states
                ]
            self._ready(parameters)
            output, states, saved = self._parts(
                cell.step(x[t, :count], [_read_only(state) for state in states], parameters),
                3,
                "step",
            )
            self._check(output, (count, self.width), dtype, t, "step: output")
            self._check_states(states, count, dtype, t, "step: states")
            (y[t] if self.sequences else y)[:count] = output
            for place, state in zip(final, states) if count > self._next_count(t) else ():
                place[self._next_count(t) : count] = state[self._next_count(t) :]
            if training:
                self.saved.append(saved)
        return self._in_batch(y), [self._back_in_order(state) for state in final]

    def backward(
        self,
        d_output: Array,
        d_final: list[Array],
        parameters: dict[str, Array],
        gradients: dict[str, Array],
    ) -> tuple[Array, list[Array]]:
        """Return (gradient of x, gradients of the initial states).

        The gradients of the parameters are added to `gradients`.
        """
        cell, (batch, steps, width), dtype = self.cell, self.shape, d_output.dtype
        parameters = {name: _read_only(array) for name, array in parameters.items()}
        d_final = [self._in_order(d_state) for d_state in d_final]
        d_output = self._in_time(d_output) if self.sequences else self._in_order(d_output)
        d_x, d_states, running = (
            np.zeros((steps, batch, width), dtype),
            [d_state[:0] for d_state in d_final],
            0,
        )
        for t in range(len(self.saved) - 1, -1, -1):
            count = self.counts[t]
            if count > running:  # rows that end here
                d_states = [
                    np.concatenate([d_state, last[running:count]])
                    for d_state, last in zip(d_states, d_final)
                ]
            if self.sequences:
                d_y = d_output[t, :count]
            else:
                d_y = np.zeros((count, self.width), dtype)
                d_y[running:] = d_output[running:count]
            self._ready(parameters)
            d_read, d_states = self._parts(
                cell.step_backward(
                    _read_only(d_y),
                    [_read_only(d_state) for d_state in d_states],
                    self.saved[t],
                    parameters,
                    gradients,
                ),
                2,
                "step_backward",
            )
            self._check(d_read, (count, width), dtype, t, "step_backward: d_x")
            self._check_states(d_states, count, dtype, t, "step_backward: d_states")
            d_x[t, :count] = d_read
            if self._resets(t, count):
                d_states = [
                    np.where(self.resets[t, :count], dtype.type(0), d_state) for d_state in d_states
                ]
            running = count
        d_start = [
            np.concatenate([d_state, last[running:]]) for d_state, last in zip(d_states, d_final)
        ]
        if not self.sequences and cell.output_size is None:
            d_start[0][running:] += d_output[running:]
        return self._back_in_batch(d_x), [self._back_in_order(d_state) for d_state in d_start]

    def _next_count(self, t: int) -> int:
        return self.counts[t + 1] if t + 1 < len(self.counts) else 0

    def _resets(self, t: int, count: int) -> Any:
        return self.resets is not None and self.resets[t, :count].any()

    # ---- rows and steps: (batch, steps, ...) outside, (steps, rows by falling length, ...) inside

    def _in_order(self, rows: Array) -> Array:
        return rows.copy() if self.order is None else rows[self.order]

    def _back_in_order(self, rows: Array) -> Array:
        if self.order is None:
            return rows
        result = np.empty_like(rows)
        result[self.order] = rows
        return result

    def _in_time(self, array: Array) -> Array:
        turned = array.swapaxes(0, 1)
        return (
            np.ascontiguousarray(turned)
            if self.order is None
            else np.take(turned, self.order, axis=1)
        )

    def _back_in_batch(self, array: Array) -> Array:
        return self._back_in_order(np.ascontiguousarray(array.swapaxes(0, 1)))

    def _in_batch(self, y: Array) -> Array:
        return self._back_in_batch(y) if self.sequences else self._back_in_order(y)

    # ---- checks of what a cell returned

    def _parts(self, result: Any, count: int, method: str) -> Any:
        if not isinstance(result, tuple) or len(result) != count:
            what = (
                f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
            )
            raise ShapeError(
                f"{type(self.cell).__name__}.{method} returned {what}; expected a tuple of {count}"
            )
        return result

    def _check_states(
        self, states: Any, count: int, dtype: np.dtype[Any], t: int, what: str
    ) -> None:
        sizes = self.sizes
        if not isinstance(states, list | tuple) or len(states) != len(sizes):
            what = f"{type(self.cell).__name__}.{what} are {type(states).__name__}"
            raise ShapeError(f"{what}; expected a list of {len(sizes)} arrays")
        for k, (state, size) in enumerate(zip(states, sizes)):
            self._check(state, (count, size), dtype, t, f"{what}[{k}]")

    def _check(
        self, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any], t: int, what: str
    ) -> None:
        if not isinstance(array, np.ndarray) or array.shape != shape:
            given = (
                f"has shape {array.shape}"
                if isinstance(array, np.ndarray)
                else f"is {type(array).__name__}"
            )
            raise ShapeError(
                f"{type(self.cell).__name__}.{what} {given} at step {t}; expected an array of shape"
                f" {shape}"
            )
        if array.dtype != dtype:
            raise DTypeError(
                f"{type(self.cell).__name__}.{what} is {array.dtype} at step {t}; expected {dtype},"
                " that of x"
            )


def _read_only(array: Array) -> Array:
    """Return a view that a cell cannot change by mistake."""
    view = array.view()
    view.flags.writeable = False
    return view
