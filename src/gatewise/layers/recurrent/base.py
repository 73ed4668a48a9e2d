"""The base of recurrent layers: they own parameters and state; a kernel computes the steps."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, initializers, threads
from gatewise.attributes import checked
from gatewise.cells import Cell, RNNCell
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels import activations, arrays
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.kernels._products import uses_blas
from gatewise.kernels.recurrent import RecurrentKernel
from gatewise.layers.options import fixed
from gatewise.layers.specs import ParameterSpec
from gatewise.layers.step_ops import RecurrentOp
from gatewise.layers.tape import Batch, draws
from gatewise.layers.weights import WeightOptions

from .state import HasState
from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from gatewise._typing import Array, Config
    from gatewise.kernels._attending import Attending
    from gatewise.kernels._workspace import Workspace
    from gatewise.layers.step_ops import StepOp
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


class Recurrent(HasState):
    """Base of the recurrent layers, with the arguments that all of them take.

    Parameters
    ----------
    cell : gatewise.cells.Cell
        Computes one step.
    kernel_initializer : str or Initializer, default "glorot_uniform"
        Initializer of the kernel.
    recurrent_initializer : str or Initializer, default "orthogonal"
        Initializer of the recurrent kernel.
    bias_initializer : str or Initializer, default "zeros"
        Initializer of the bias.
    kernel_regularizer : str or Regularizer, optional
        Regularizer of the kernel. None: no penalty.
    recurrent_regularizer : str or Regularizer, optional
        Regularizer of the recurrent kernel. None: no penalty.
    bias_regularizer : str or Regularizer, optional
        Regularizer of the bias. None: no penalty.
    kernel_constraint : str or Constraint, optional
        Constraint on the kernel, applied after each step of an optimizer. None: none.
    recurrent_constraint : str or Constraint, optional
        Constraint on the recurrent kernel, applied after each step of an optimizer. None: none.
    bias_constraint : str or Constraint, optional
        Constraint on the bias, applied after each step of an optimizer. None: none.
    dropout : float in [0, 1), default 0.0
        Fraction of the inputs that is set to zero in training. One mask is drawn for all steps of
        a sequence; the remaining values are scaled by 1 / (1 - rate) (Gal and Ghahramani 2016).
    recurrent_dropout : float in [0, 1), default 0.0
        The same for h' in the recurrent product.
    return_sequences : bool, default False
        Return the outputs of all steps (batch, steps, units), zeros past a row's end, instead of
        the last output (batch, units).
    return_state : bool, default False
        Return ``[output, h]`` or ``[output, h, c]``.
    go_backwards : bool, default False
        Visit the steps of each row from last to first; the outputs are in that order.
    stateful : bool, default False
        A call starts from the final state of the last call, row by row; docs/training.md describes
        what this means in a model.
    learned_initial_state : bool, default False
        Rows without an initial state start from parameters ``initial_h`` (and ``initial_c``),
        which start at zero, instead of from zeros. A reset still clears the state to zeros.
    zero_output_for_mask : bool, optional
        With ``return_sequences``, the output at steps that do not count, because they are masked or
        past the row's end. None and True: zeros. False, Keras's default: the output of the last
        step that counts, repeated; zeros before the first one. Without ``return_sequences``, a row
        without steps has the output of its initial state.
    seed : int, optional
        Seed of initial weights and dropout of a layer used alone. None: a random one.
    **kwargs
        Arguments of :class:`Layer`.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or the layer does not have it.
    DTypeError
        `cell` is not a cell.

    Examples
    --------
    >>> from gatewise.layers import GRU, Recurrent
    >>> isinstance(GRU(4), Recurrent)
    True
    """

    _never: Mapping[str, str] = MappingProxyType({})  # options that are refused, and why
    _kernel: Any  # the compiled kernel; None before the layer is built
    _named: Any  # parameters by the kernel's names
    _named_gradients: Any  # their gradients
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
        # Last: _setting_cure takes attributes of the cell that the layer lacks for its options.
        self.cell = cell

    def _setting_cure(self, name: str) -> str | None:
        if not hasattr(type(self), name) and hasattr(vars(self).get("cell"), name):
            return "it is an option of its cell and cannot be changed; make a new layer"
        return super()._setting_cure(name)

    def _kind(self) -> str | None:
        return self.cell._kind()

    @property
    def units(self) -> int:
        """Number of units, int."""
        return self.cell.units

    @property
    def output_width(self) -> int:
        """Width of the output, int."""
        return self.cell.output_width

    @property
    def _limiting_activation(self) -> str | None:
        """ "tanh" if it computes the output of the cell; None: not known."""
        activation = getattr(self.cell, "_output_activation", lambda: None)()
        return (
            "tanh"
            if activation == "tanh" and getattr(self.cell, "projection", None) is None
            else None
        )

    @property
    def keeps_steps(self) -> bool:
        """Whether the output has a vector for each step, bool."""
        return self.return_sequences

    @property
    def _holds_outputs(self) -> bool:
        """Whether the output repeats the last step that counts at those that do not."""
        return self.return_sequences and self.zero_output_for_mask is False

    @property
    def causal(self) -> bool:
        """Whether step t of the output depends on no later step, bool."""
        return not self.go_backwards

    @property
    def _returns_list(self) -> bool:
        """Whether the final states are returned after the output."""
        return self.return_state

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
        """Describe a parameter.

        A projection starts like the kernel, gains at one, peepholes and initial states at zero.
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
        """Store the arrays by the kernel's names, so that a step need not look for them."""
        self._named = self.cell._kernel_arrays(self._parameters)
        self._named_gradients = self.cell._kernel_arrays(self._gradients)
        # read by each call
        self._has_c = len(self.cell.states) > 1
        self._operations = self.cell._operations(self.input_shape[-1])  # of one step of one row
        of_state = self.cell._activation_of_state()
        self._of_state = None if of_state is None else activations.code(of_state)
        self._is_plain = not (
            self._of_state is not None
            or self.go_backwards
            or self.learned_initial_state
            or self.stateful
            or self.return_state
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, or a layer from a pickle.

        The copies of views are not views of the copied arrays, so that they are made again.
        """
        super().__setstate__(state)
        if self.built:
            self._name_arrays()

    def _refuse(self, options: Mapping[str, Any]) -> None:
        """Refuse options that this kind of layer cannot have, with the reason."""
        for option in options.keys() & self._never:
            raise ConfigError(
                f"{type(self).__name__} has no option {option!r}: {self._never[option]}"
            )

    def _weights_changed(self) -> None:
        self._packed.forget()

    def _pack_now(self) -> Array:
        return self._kernel.pack_forward(self._named)

    # ---- running

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

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "it begins at the last step: go_backwards=True" if self.go_backwards else None

    def _step_ops(self) -> list[StepOp]:
        return [
            RecurrentOp(
                name=self.name,
                inputs=self.input_shape[-1],
                width=self.cell.output_width,
                kernel=self._kernel,
                weights=dict(self._named),
                state_names=tuple(self.cell.states),
                initial=tuple(state[0] for state in self._first_state((1,))),
            )
        ]

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
