"""One pass of a recurrent layer over its steps, forward and backward, by a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ShapeError
from gatewise.kernels import arrays
from gatewise.kernels._products import uses_blas
from gatewise.kernels.recurrent import RecurrentKernel
from gatewise.layers.tape import Batch, draws

from .state import HasState
from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array
    from gatewise.kernels._attending import Attending
    from gatewise.kernels._packed_weights import PackedWeights
    from gatewise.kernels._workspace import Workspace
    from gatewise.layers.tape import Lookup, Tape


@dataclass(slots=True)
class _Walk:
    """One run over the steps: the arguments of the kernel, and what the backward pass needs."""

    x: Array  # as the kernel reads it
    options: dict[str, Any]  # arguments of the kernel, forward and backward
    operations: int  # floating-point operations of the forward pass
    source: slice | Array | None  # the order of the steps, if the layer goes backwards
    input_mask: Array | None  # of dropout
    lookup: Lookup | None  # if x is read from a table
    workspace: Workspace | None = None  # in training
    last_output: Array | None = None  # if only this is returned, and is not h
    learned: bool = False  # the initial state consists of parameters
    states_given: bool = False  # the initial state came with the inputs


class Passes(HasState):
    """The part of a recurrent layer that runs; :class:`Recurrent` has the arguments and weights.

    The annotated attributes are those of the subclass that a pass reads.
    """

    dropout: Any
    recurrent_dropout: Any
    return_sequences: Any
    return_state: Any
    learned_initial_state: Any
    _kernel: Any
    _packed: PackedWeights
    _named: dict[str, Array]
    _named_gradients: dict[str, Array]
    _has_c: bool
    _operations: int
    _of_state: Any
    _is_plain: bool

    def _check_shape(self, x: Array) -> None:
        shape = x.shape
        if len(shape) == 3 and shape[1] and shape[2] == self.input_shape[2]:
            return
        super()._check_shape(x)

    def _check_steps(self, lengths: Array | None, resets: Array | None, steps: int) -> None:
        """Check that lengths and resets fit the steps of x.

        In a model they belong to the steps of its input; a RepeatVector makes other steps.
        """
        if lengths is not None and lengths.max(initial=0) > steps:
            raise ShapeError(
                f"lengths go up to {lengths.max()}, layer {self.name!r} reads {steps} steps;"
                " lengths count the steps of the model's input: omit them if a RepeatVector"
                " makes the steps"
            )
        if resets is not None and resets.shape[1] != steps:
            raise ShapeError(
                f"resets has flags for {resets.shape[1]} steps, layer {self.name!r} reads {steps};"
                " resets belong to the steps of the model's input: omit them if a RepeatVector"
                " makes the steps"
            )

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch | Any:
        # A single step of a small layer takes as long as a few lines of Python, so that the most
        # frequent call has a path of its own.
        if tape is None and self._is_plain and type(inputs) is Batch and inputs.steps is None:
            return Batch(self._infer(inputs))
        inputs, *states = inputs if isinstance(inputs, list) else [inputs]
        output, final = self._run_from(inputs, states, tape, node)
        if self.stateful or (tape is not None and tape.carried is not None):
            self._leave(final, inputs.steps, tape, node)
        return [output, *(Batch(array.copy()) for array in final)] if self.return_state else output

    def advance(self, inputs: Batch, state: list[Array] | None) -> tuple[Batch, list[Array]]:
        if state is None:
            state = self._first_state(inputs.values.shape)
        return self._run_from(inputs, [Batch(array) for array in state], None, None)

    def _first_state(self, shape: tuple[int, ...]) -> list[Array]:
        """Return the state in which an x of this shape begins, whatever the layer's own state."""
        if self.learned_initial_state:
            return self._learned_state(shape[0])
        return [np.zeros((shape[0], size), self.dtype) for size in self.state_sizes]

    def _learned_state(self, batch: int) -> list[Array]:
        return [
            np.repeat(self._parameters[f"initial_{state}"][None], batch, axis=0)
            for state in self.cell.states
        ]

    def _run_from(
        self,
        inputs: Batch,
        states: list[Batch],
        tape: Tape | None,
        node: Hashable,
        attention: Attending | None = None,
    ) -> tuple[Batch, list[Array]]:
        """Return (output, final states) of a pass; `states` may be empty.

        With `attention`, each step attends first, and writes into the inputs what it finds.
        """
        walk, start, learned = self._prepare_walk(inputs, states, tape, node)
        if attention is not None:
            walk.options["attention"] = attention
        y, final = self._new_outputs(walk.x.shape[0], walk.x.shape[1])
        if len(final) > 1:  # the kernel reads the initial c here
            final[1][...] = 0 if start is None else start[1]
        if tape is not None:
            walk.workspace = tape.workspace(node, self._kernel.workspace)
            walk.workspace.prepare(
                self._kernel, *walk.x.shape[:2], walk.options["mask"] is not None
            )
            walk.learned, walk.states_given = learned, bool(states)
            tape.keep(node, walk)
        packed, looked_up = self._packed.of(self), {}
        if walk.lookup is not None:
            looked_up["table"] = self._projected(walk.lookup, packed)
        self._kernel.forward(
            packed,
            walk.x,
            *final,
            y=y,
            initial_h=None if start is None else start[0],
            workspace=walk.workspace,
            threads=threads.threads_for_products(walk.operations),
            **walk.options,
            **looked_up,
        )
        if y is not None:
            return Batch(y, inputs.steps), final
        if self._of_state is None:
            return Batch(final[0]), final
        h = final[0]
        walk.last_output = np.empty_like(h)
        arrays.activate(h, walk.last_output, self._of_state, threads.threads_for(4 * h.size))
        return Batch(walk.last_output), final

    def _infer(self, inputs: Batch) -> Array:
        """Return the output for whole sequences that start from zeros, forwards, at inference."""
        x, lookup = inputs.values, inputs.lookup
        batch, steps, _ = x.shape
        if batch * steps > checks.MAX_EXTENT:
            self._refuse_extent(x.shape)
        y, final = self._new_outputs(batch, steps)
        if len(final) > 1:
            final[1].fill(0)
        packed, looked_up = self._packed.of(self), {}
        if lookup is not None and self._reads(lookup):
            looked_up = {"numbers": lookup.numbers, "table": self._projected(lookup, packed)}
        self._kernel.forward(
            packed,
            x,
            *final,
            y=y,
            threads=threads.threads_for_products(batch * steps * self._operations),
            **looked_up,
        )
        return final[0] if y is None else y

    def _reads(self, lookup: Lookup) -> bool:
        """Whether x W + b is computed for the rows of a table, and not for each step."""
        kernel = self._kernel
        return lookup.repeats and isinstance(kernel, RecurrentKernel) and not kernel.normalized

    def _projected(self, lookup: Lookup, packed: Array) -> Array:
        """Return x W + b for the rows of a table."""
        table = lookup.table
        work = threads.threads_for_products(len(table) * self._operations)
        return self._kernel.project(packed, table, work)

    @staticmethod
    def _refuse_extent(shape: tuple[int, ...]) -> None:
        raise ShapeError(
            f"x has shape {shape}: {shape[0] * shape[1]} steps in all, at most {checks.MAX_EXTENT}"
            " run in one call; use smaller batches"
        )

    def _new_outputs(self, batch: int, steps: int) -> tuple[Array | None, list[Array]]:
        """Return (array for the outputs of all steps or None, arrays for the final states).

        Their contents are undefined.
        """
        kernel = self._kernel
        width, dtype = kernel.width, kernel.dtype
        y = None
        if self.return_sequences:
            what = "the output of layer"
            checks.fits_memory(batch * steps * width, self._dtype, what, self._name)
            y = np.empty((batch, steps, width), dtype)
        final = [np.empty((batch, width), dtype)]
        if self._has_c:
            final.append(np.empty((batch, kernel.units), dtype))
        return y, final

    def _prepare_walk(
        self, inputs: Batch, states: list[Batch], tape: Tape | None, node: Hashable
    ) -> tuple[_Walk, list[Array] | None, bool]:
        """Return (walk, initial state or None for zeros, whether it is learned) of a pass."""
        x, kernel, lengths, resets = inputs.values, self._kernel, None, None
        batch, steps, features = x.shape
        if batch * steps > checks.MAX_EXTENT:
            self._refuse_extent(x.shape)
        if inputs.steps is not None:
            lengths, resets = inputs.steps.lengths, inputs.steps.resets_of(self.go_backwards)
            self._check_steps(lengths, resets, steps)
        start = self._start(states, tape, node, batch)
        learned = start is None and self.learned_initial_state
        if learned:
            start = self._learned_state(batch)
        options: dict[str, Any] = dict.fromkeys(
            ("order", "lengths", "resets", "mask", "zoneout_key")
        )
        if lengths is not None:
            options["order"] = np.argsort(-lengths, kind="stable")
            options["lengths"] = lengths[options["order"]]
        source = None
        lookup = inputs.lookup
        if lookup is not None and ((tape is not None and self.dropout) or not self._reads(lookup)):
            lookup = None
        if lookup is not None:
            options["numbers"] = lookup.numbers
        if self.go_backwards:
            source = backward_order(steps, lengths)
            if lookup is None:
                x = take_steps(x, source)
            else:
                options["numbers"] = take_steps(lookup.numbers, source)
            resets = None if resets is None else take_steps(resets, source)
        options["resets"] = resets
        input_mask = None
        if tape is not None:
            checks.fits_memory(
                batch * steps * (kernel.saved + 3) * self.cell.units,
                self._dtype,
                "a batch in training in layer",
                self._name,
            )
        if draws(tape):
            if self.dropout:
                input_mask = self._draw_mask(self.dropout, (batch, 1, features))
                x = x * input_mask
            if self.recurrent_dropout:
                options["mask"] = self._draw_mask(self.recurrent_dropout, (batch, kernel.width))
            if kernel.has_zoneout:
                options["zoneout_key"] = int(self.random_generator().integers(2**32))
        walk = _Walk(x, options, batch * steps * self._operations, source, input_mask, lookup)
        return walk, start, learned

    def _draw_mask(self, rate: float, shape: tuple[int, ...]) -> Array:
        drawn = self.random_generator().random(shape, np.float32)
        return arrays.dropout_mask(drawn, rate, self.dtype, threads.threads_for(4 * drawn.size))

    # ---- the backward pass

    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
        walk = tape.take(node)
        x = walk.x
        d_output, d_states = (gradients[0], gradients[1:]) if self.return_state else (gradients, [])
        d_start = [np.zeros((x.shape[0], size), self._dtype) for size in self.cell.state_sizes]
        for place, given in zip(d_start, d_states):
            if given is not None:
                place += given
        if not self.return_sequences and d_output is not None:
            if walk.last_output is not None:
                d_output = d_output.copy()
                arrays.activate_backward(walk.last_output, d_output, d_output, self._of_state)
            d_start[0] += d_output
        dx, d_table, looked_up = None, None, {}
        if walk.lookup is not None:
            if wanted and walk.lookup.collects:
                d_table = np.empty_like(walk.lookup.table)
            looked_up = {"table": walk.lookup.table, "d_table": d_table}
        if wanted and d_table is None:
            attention = walk.options.get("attention")
            features = x.shape[2] if attention is None else attention.read
            dx = tape.scratch(node, (*x.shape[:2], features), self._dtype)
        with threads.single_threaded_blas(uses_blas(x.shape[2], self.units)):
            self._kernel.backward(
                self._kernel.pack_backward(self._named),
                x,
                self._named,
                walk.workspace,
                *d_start,
                dy=d_output if self.return_sequences else None,
                dx=dx,
                threads=threads.threads_for_products(2 * walk.operations),
                gradients=self._named_gradients,
                **walk.options,
                **looked_up,
            )
        tape.state_gradients[node] = d_start
        if walk.learned:
            for state, gradient in zip(self.cell.states, d_start):
                self._gradients[f"initial_{state}"] += gradient.sum(axis=0)
        if walk.lookup is not None and d_table is not None:
            walk.lookup.add(d_table)
        if dx is not None:
            if walk.input_mask is not None:
                dx *= walk.input_mask
            if walk.source is not None:
                dx = take_steps(dx, walk.source)  # the order is its own inverse
        return [dx, *d_start] if walk.states_given else dx
