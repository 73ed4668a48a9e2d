"""The base of recurrent layers: they own parameters and state; a kernel computes the steps."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gatewise import checks, initializers, threads
from gatewise.attributes import checked
from gatewise.cells import Cell, RNNCell
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels import activations
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.layers.options import fixed
from gatewise.layers.specs import ParameterSpec
from gatewise.layers.step_ops import RecurrentOp
from gatewise.layers.weights import WeightOptions

from .passes import Passes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array, Config
    from gatewise.layers.step_ops import StepOp


class Recurrent(Passes):
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

    # ---- streams

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
