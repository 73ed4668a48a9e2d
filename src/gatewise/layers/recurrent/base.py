"""What recurrent layers share: they own parameters and state; a kernel does the work."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, initializers, threads
from gatewise.attributes import checked
from gatewise.cells import Cell, RNNCell
from gatewise.errors import ConfigError, DTypeError, ShapeError, StateError
from gatewise.kernels import activations, arrays
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.kernels._products import uses_blas
from gatewise.layers.alone import LAYER
from gatewise.layers.options import fixed
from gatewise.layers.sequences import SequenceLayer
from gatewise.layers.specs import ParameterSpec
from gatewise.layers.tape import Batch
from gatewise.layers.weights import WeightOptions

from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config
    from gatewise.kernels._workspace import Workspace
    from gatewise.layers.tape import Tape

# Options of one kind of cell that another cannot have, and why.
_OF_THE_CELL_STATE = {
    **dict.fromkeys(
        ("peepholes", "cell_clip", "output_activation"),
        "there is no cell state beside h; an LSTM has one",
    ),
    **dict.fromkeys(
        ("coupled", "input_gate", "forget_gate", "output_gate", "unit_forget_bias"),
        "it has no input, forget and output gates; an LSTM has them",
    ),
    "projection": (
        "h is its only state; an LSTM projects h beside its c. A Dense behind the layer makes its"
        " output narrower"
    ),
}
_OF_GATES = dict.fromkeys(("recurrent_activation", "reset_after", "update"), "it has no gates")


@dataclass(slots=True)
class _Walk:
    """One walk through time: what the kernel is given, and what the backward pass needs."""

    x: Array  # as the kernel reads it
    options: dict[str, Any]  # arguments of the kernel, forward and backward
    operations: int
    source: slice | Array | None  # which step of x comes when, of a layer that goes backwards
    input_mask: Array | None  # of dropout
    workspace: Workspace | None = None
    learned: bool = False  # the initial state is made of parameters
    states_given: bool = False  # the initial state came with the inputs


class Recurrent(SequenceLayer):
    """What the recurrent layers share.

    Parameters
    ----------
    cell : gatewise.cells.Cell
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or Regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : str or Constraint, optional
        What the weights are brought back to after each step of an optimizer.
    dropout, recurrent_dropout : float in [0, 1)
        Part of the inputs, and of h' in the recurrent product, set to zero in training: one draw a
        sequence, the rest scaled by 1 / (1 - rate) (Gal and Ghahramani 2016).
    return_sequences : bool
        Output (batch, steps, units), zeros past a row's end, instead of the last (batch, units).
    return_state : bool
        Return ``[output, h]`` or ``[output, h, c]``.
    go_backwards : bool
        Visit each row's true steps from last to first; outputs come in that order.
    stateful : bool
        A call starts from the state that the last one left, row by row; docs/training.md says what
        a model does with it.
    learned_initial_state : bool
        Rows that are given no state start from parameters ``initial_h`` (and ``initial_c``), zeros
        at first, instead of zeros. A reset still clears the state to zeros.
    zero_output_for_mask : bool, optional
        With ``return_sequences``, what the output is at steps that do not count, masked or past the
        row's end. None, the default, and True: zeros. False, Keras's default: the output of the
        last step that counts, again; zeros in front of the first one.
    seed : int, optional
        Of the initial weights and dropout of a layer used alone.
    """

    _has_state = True
    _never = MappingProxyType({})  # options that are refused, and why
    return_sequences: bool = fixed(checks.flag)
    return_state: bool = fixed(checks.flag)
    go_backwards: bool = fixed(checks.flag)
    stateful: bool = fixed(checks.flag)
    learned_initial_state: bool = fixed(checks.flag)
    dropout: float = checked(checks.fraction)
    recurrent_dropout: float = checked(checks.fraction)
    zero_output_for_mask: bool | None = checked(checks.optional_flag)

    def __init__(
        self,
        cell: Any,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        learned_initial_state: bool = False,
        zero_output_for_mask: bool | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(cell, Cell | RNNCell):
            raise DTypeError(f"cell is {cell!r}; expected an object of gatewise.cells")
        self._refuse(kwargs)
        kwargs = checks.without_neutral(kwargs, "recurrent layer", type(self).__name__)
        super().__init__(**kwargs)
        self._weight_options = {
            "kernel": WeightOptions(
                "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
            ),
            "recurrent_kernel": WeightOptions(
                "recurrent", recurrent_initializer, recurrent_regularizer, recurrent_constraint
            ),
            "bias": WeightOptions("bias", bias_initializer, bias_regularizer, bias_constraint),
        }
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.learned_initial_state = learned_initial_state
        self.zero_output_for_mask = zero_output_for_mask
        self.seed: int | None = checks.seed(seed)
        self._state = None
        self._kernel = None
        self._packed = PackedWeights()
        self._named = self._named_gradients = None
        self._is_plain = False
        self._trains = threads.OneAtATime(
            f"two threads train layer {self.name!r} at once; give each thread a layer of its own"
        )
        self._one_stream = threads.one_stream(f"layer {self.name!r}")
        # last: what the layer has not by now, and the cell has, is the cell's alone
        self.cell = cell

    def _setting_cure(self, name: str) -> str | None:
        if not hasattr(type(self), name) and hasattr(vars(self).get("cell"), name):
            return "it is an option of its cell and cannot change any more; make a new layer"
        return super()._setting_cure(name)

    def _kind(self) -> str | None:
        return self.cell._kind()

    @property
    def units(self) -> int:
        """Number of units."""
        return self.cell.units

    @property
    def _limiting_activation(self) -> Any:
        """ "tanh" of a cell whose output it is; None: not known."""
        activation = getattr(self.cell, "_output_activation", lambda: None)()
        return (
            "tanh"
            if activation == "tanh" and getattr(self.cell, "projection", None) is None
            else None
        )

    @property
    def keeps_steps(self) -> bool:
        """Whether the output has a vector for each step."""
        return self.return_sequences

    @property
    def _holds_outputs(self) -> bool:
        """Whether the output at a step that does not count is that of the last one that does."""
        return self.return_sequences and self.zero_output_for_mask is False

    @property
    def causal(self) -> bool:
        """Whether its state can be carried forward in time."""
        return not self.go_backwards

    @property
    def _returns_list(self) -> bool:
        """Whether states are returned too."""
        return self.return_state

    @property
    def state_names(self) -> tuple[str, ...]:
        """("h",) or ("h", "c")."""
        return self.cell.states

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state, a tuple of int."""
        return self.cell.state_sizes

    # ---- building

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        shapes = self.cell.parameter_shapes(input_shape[-1])
        if self.learned_initial_state:
            shapes |= {
                f"initial_{state}": (size,)
                for state, size in zip(self.cell.states, self.cell.state_sizes)
            }
        for name, shape in shapes.items():
            if shape[-1] > checks.MAX_EXTENT:
                raise ShapeError(
                    f"{self.name}/{name} has shape {shape}; an extent may be at most"
                    f" {checks.MAX_EXTENT}"
                )
        return [self._spec(name, shape) for name, shape in shapes.items()]

    def _spec(self, name: str, shape: tuple[int, ...]) -> ParameterSpec:
        """A projection starts as a kernel does, gains as ones, peepholes and initial states as
        zeros.
        """
        if name in self._weight_options:
            return self._weight_options[name].spec(name, shape)
        if name == "projection_kernel":
            return ParameterSpec(name, shape, self._weight_options["kernel"].initializer)
        return ParameterSpec(
            name, shape, initializers.Ones() if name.endswith("_gain") else initializers.Zeros()
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, steps = input_shape[:2]
        return (
            (batch, steps, self.cell.output_width)
            if self.return_sequences
            else (batch, self.cell.output_width)
        )

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        super()._adopt(parameters, gradients)
        self._kernel = self.cell._build_kernel(self.input_shape[-1], self.dtype)
        self._name_arrays()

    def _name_arrays(self) -> None:
        """Arrays by the kernel's names, so that a step need not look for them."""
        self._named = self.cell._kernel_arrays(self._parameters)
        self._named_gradients = self.cell._kernel_arrays(self._gradients)
        # what each call asks for
        self._has_c = len(self.cell.states) > 1
        self._operations = self.cell._operations(self.input_shape[-1])  # of one row's step
        self._is_plain = not (
            self.go_backwards or self.learned_initial_state or self.stateful or self.return_state
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or a layer out of a pickle: part of an array is not part of its copy."""
        super().__setstate__(state)
        if self.built:
            self._name_arrays()

    def _refuse(self, options: Any) -> None:
        """Say why one of these options cannot be."""
        for option in options.keys() & self._never:
            raise ConfigError(
                f"{type(self).__name__} has no option {option!r}: {self._never[option]}"
            )

    def _weights_changed(self) -> None:
        self._packed.forget()

    def _pack_now(self) -> Array:
        return self._kernel.pack_forward(self._named)

    # ---- state

    @property
    def state(self) -> list[Array] | None:
        """State that the next call starts from: list of ndarray (batch, units), ``[h]`` or
        ``[h, c]``; or None.

        Setting it takes any batch size; None is the same as :meth:`reset_state`. Only a layer built
        with ``stateful=True`` keeps state between calls.
        """
        return None if self._state is None else [array.copy() for array in self._state]

    @state.setter
    def state(self, value: Any) -> None:
        if not self.stateful:
            raise StateError(
                f"layer {self.name!r} keeps no state: build it with stateful=True, or pass"
                " initial_state"
            )
        state = None if value is None else self._checked_state(value, None, "state")
        with self._alone():
            self._state = state

    def reset_state(self) -> None:
        """Forget the state: the next call starts from zeros, for any batch size."""
        with self._alone():
            self._state = None

    reset_states = reset_state  # Keras 2's name

    def _checked_state(self, value: Any, batch: int, name: str) -> list[Array]:
        """A list of copies that fit: any number of rows where batch is None."""
        arrays = (
            [value]
            if isinstance(value, np.ndarray) and value.ndim == 2
            else checks.listed(value, name, "arrays")
        )
        names, sizes = self.cell.states, self.state_sizes
        if len(arrays) != len(names):
            raise ShapeError(
                f"{name} has {len(arrays)} arrays; layer {self.name!r} expects {len(names)}:"
                f" {', '.join(names)}, of shapes {', '.join(f'(batch, {size})' for size in sizes)}"
            )
        checked = []
        for part, size, given in zip(names, sizes, arrays):
            array = checks.float_array(given, f"{name} {part}", self.dtype, convert=False)
            rows = array.shape[0] if batch is None and array.ndim == 2 else batch
            if array.shape != (rows, size):
                raise ShapeError(
                    f"{name} {part} has shape {array.shape}; expected "
                    f"({'batch' if rows is None else rows}, {size})"
                )
            batch = rows
            checked.append(checks.finite(array, f"{name} {part}").copy())
        return checked

    # ---- running

    def _check_shape(self, x: Array) -> None:
        shape = x.shape
        if len(shape) == 3 and shape[1] and shape[2] == self.input_shape[2]:
            return
        super()._check_shape(x)

    def _check_steps(self, lengths: Array | None, resets: Array | None, steps: int) -> None:
        """In a model, lengths and resets are those of its input.

        What a RepeatVector made has other steps.
        """
        if lengths is not None and lengths.max(initial=0) > steps:
            raise ShapeError(
                f"lengths go up to {lengths.max()}, layer {self.name!r} reads {steps} steps;"
                " lengths count the steps of the model's input: leave them out where a"
                " RepeatVector makes the steps"
            )
        if resets is not None and resets.shape[1] != steps:
            raise ShapeError(
                f"resets has flags for {resets.shape[1]} steps, layer {self.name!r} reads {steps};"
                " resets belong to the steps of the model's input: leave them out where a"
                " RepeatVector makes the steps"
            )

    def _start(self, states: Any, tape: Tape | None, node: Hashable, batch: int) -> Any:
        """The initial state of a pass, list of ndarray, or None for zeros.

        It comes with the inputs, as `states`; or is carried from another batch, or from another
        call.
        """
        if states:
            start = [state.values for state in states]
        elif tape is not None and tape.carried is not None:
            start = tape.carried.get(node)
            if start is None:
                return self._checked_rows_of_state(batch)
        else:
            return self._checked_rows_of_state(batch)
        if start[0].shape[0] != batch:
            raise ShapeError(
                f"layer {self.name!r} goes on from the state of {start[0].shape[0]} rows, x has"
                f" {batch}"
            )
        return start

    def _checked_rows_of_state(self, batch: int) -> Any:
        """The state of the last call, or None."""
        if self._state is not None and self._state[0].shape[0] != batch:
            raise ShapeError(
                f"layer {self.name!r} keeps the state of {self._state[0].shape[0]} rows, x has"
                f" {batch}; call reset_state() before another batch"
            )
        return self._state

    def _leave(self, final: Any, steps: int, tape: Tape | None, node: Hashable) -> None:
        """Keep final states, list of ndarray, for the next call or part of the sequences."""
        if self.stateful:
            cleared = None if steps is None else steps.cleared
            if cleared is None:
                self._state = [state.copy() for state in final]
            else:
                rows = cleared[:, int(self.go_backwards), None]
                self._state = [np.where(rows, state.dtype.type(0), state) for state in final]
        if tape is not None and tape.carried is not None:
            tape.carried[node] = [state.copy() for state in final]

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Any:
        # A single step of a small layer takes as long as a few lines of Python, so that the usual
        # call has a path of its own.
        if tape is None and self._is_plain and type(inputs) is Batch and inputs.steps is None:
            return Batch(self._infer(inputs.values))
        inputs, *states = inputs if isinstance(inputs, list) else [inputs]
        walk, start, learned = self._prepare_walk(inputs, states, tape, node)
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
        self._kernel.forward(
            self._packed.of(self),
            walk.x,
            *final,
            y=y,
            initial_h=None if start is None else start[0],
            workspace=walk.workspace,
            threads=threads.threads_for_products(walk.operations),
            **walk.options,
        )
        if self.stateful or (tape is not None and tape.carried is not None):
            self._leave(final, inputs.steps, tape, node)
        output = Batch(final[0]) if y is None else Batch(y, inputs.steps)
        if not self.return_state:
            return output
        return [output, *(Batch(array.copy()) for array in final)]

    def _infer(self, x: Array) -> Array:
        """The output for whole sequences that start from zeros, ndarray.

        Forwards, and without a tape.
        """
        batch, steps, _ = x.shape
        if batch * steps > checks.MAX_EXTENT:
            self._refuse_extent(x.shape)
        y, final = self._new_outputs(batch, steps)
        if len(final) > 1:
            final[1].fill(0)
        self._kernel.forward(
            self._packed.of(self),
            x,
            *final,
            y=y,
            threads=threads.threads_for_products(batch * steps * self._operations),
        )
        return final[0] if y is None else y

    @staticmethod
    def _refuse_extent(shape: tuple[int, ...]) -> None:
        raise ShapeError(
            f"x has shape {shape}: {shape[0] * shape[1]} steps in all, at most {checks.MAX_EXTENT}"
            " run in one call; use smaller batches"
        )

    def _new_outputs(self, batch: int, steps: int) -> Any:
        """(array for the outputs of all steps, or None.

        List of arrays for the final states): contents are undefined.
        """
        kernel = self._kernel
        width, dtype = kernel.width, kernel.dtype
        y = None
        if self.return_sequences:
            checks.fits_memory(batch * steps * width, self._dtype, "the output of layer", self.name)
            y = np.empty((batch, steps, width), dtype)
        final = [np.empty((batch, width), dtype)]
        if self._has_c:
            final.append(np.empty((batch, kernel.units), dtype))
        return y, final

    def _prepare_walk(self, inputs: Batch, states: Any, tape: Tape | None, node: Hashable) -> Any:
        """(a :class:`_Walk`, the initial state or None for zeros, whether it is learned) of a
        pass.
        """
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
            start = [
                np.repeat(self._parameters[f"initial_{state}"][None], batch, axis=0)
                for state in self.cell.states
            ]
        options = dict.fromkeys(("order", "lengths", "resets", "mask", "zoneout_key"))
        if lengths is not None:
            options["order"] = np.argsort(-lengths, kind="stable")
            options["lengths"] = lengths[options["order"]]
        source = None
        if self.go_backwards:
            source = backward_order(steps, lengths)
            x = take_steps(x, source)
            resets = None if resets is None else take_steps(resets, source)
        options["resets"] = resets
        input_mask = None
        if tape is not None:
            checks.fits_memory(
                batch * steps * (kernel.saved + 3) * self.cell.units,
                self._dtype,
                "a batch in training in layer",
                self.name,
            )
            if self.dropout:
                input_mask = self._draw_mask(self.dropout, (batch, 1, features))
                x = x * input_mask
            if self.recurrent_dropout:
                options["mask"] = self._draw_mask(self.recurrent_dropout, (batch, kernel.width))
            if kernel.has_zoneout:
                options["zoneout_key"] = int(self.random_generator().integers(2**32))
        walk = _Walk(x, options, batch * steps * self._operations, source, input_mask)
        return walk, start, learned

    def _draw_mask(self, rate: float, shape: tuple[int, ...]) -> Array:
        draws = self.random_generator().random(shape, np.float32)
        return arrays.dropout_mask(draws, rate, self.dtype, threads.threads_for(4 * draws.size))

    # ---- the backward pass

    @property
    def initial_state_gradient(self) -> list[Array] | None:
        """Gradients of the initial state after :meth:`backward`, list of ndarray; None before."""
        return None if self._tape is None else self._tape.state_gradients.get(LAYER)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        walk = tape.take(node)
        x = walk.x
        d_output, d_states = (gradients[0], gradients[1:]) if self.return_state else (gradients, [])
        d_start = [np.zeros((x.shape[0], size), self.dtype) for size in self.cell.state_sizes]
        for place, given in zip(d_start, d_states):
            if given is not None:
                place += given
        if not self.return_sequences and d_output is not None:
            d_start[0] += d_output
        dx = tape.scratch(node, x.shape, self.dtype) if wanted else None
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
            )
        tape.state_gradients[node] = d_start
        if walk.learned:
            for state, gradient in zip(self.cell.states, d_start):
                self._gradients[f"initial_{state}"] += gradient.sum(axis=0)
        if wanted:
            if walk.input_mask is not None:
                dx *= walk.input_mask
            if walk.source is not None:
                dx = take_steps(dx, walk.source)  # the order is its own inverse
        return [dx, *d_start] if walk.states_given else dx

    # ---- saving

    def get_config(self) -> Config:
        config = super().get_config() | {"units": self.units, "use_bias": self.cell.use_bias}
        for options in self._weight_options.values():
            config |= options.get_config()
        for option in (
            "dropout",
            "recurrent_dropout",
            "return_sequences",
            "return_state",
            "go_backwards",
            "stateful",
            "seed",
        ):
            config[option] = getattr(self, option)
        config["activation"] = activations.config(self.cell.activation)
        if self.learned_initial_state:
            config["learned_initial_state"] = True
        if self.zero_output_for_mask is not None:
            config["zero_output_for_mask"] = self.zero_output_for_mask
        return config | self.cell._chosen_options()
