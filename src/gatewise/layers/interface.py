"""What a class of layers defines: flags, shapes, parameters, forward and backward computation."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from gatewise import checks, seeds
from gatewise.attributes import Guarded, checked
from gatewise.errors import ConfigError, DTypeError
from gatewise.kernels._null_context import NULL_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Hashable
    from contextlib import AbstractContextManager
    from typing import Self

    from gatewise._typing import Array, DType, Shape

    from .specs import ParameterSpec
    from .step_ops import StepOp
    from .tape import Batch, Tape


class LayerInterface(Guarded, abc.ABC):
    """The attributes and methods that models and the rest of :class:`Layer` use."""

    rng: Any = checked(seeds.checked_generator)
    model: Any = None  # the Sequential that the layer belongs to
    _holder: Any = None  # the layer that contains this one
    _rank: int | None = None  # number of axes of the input, if it is fixed
    _axes: str = "(batch, ..., features)"  # the input's axes, for messages

    # Properties of the layer, so that models need not know its class. Those of type Any are class
    # attributes in some subclasses and properties in others.
    reads_steps: Any = False  # x needs a time axis with at least one step
    # Step t of the output belongs to step t of the input: lengths, masks and resets still apply.
    keeps_steps: Any = True
    takes_any_length: Any = True  # x may have another number of steps than the layer was built for
    # Step t of the output depends on no later step, so that truncated back-propagation through time
    # may split the sequence.
    causal: Any = True
    _first_only: Any = False  # reads values that only the input of a model can have
    _masks_steps: Any = False  # finds in the values of x which steps count
    _has_state: bool = False  # takes initial_state and resets
    state_names: Any = ()  # names of the arrays of its state
    stateful: Any = False  # keeps its state from call to call
    # At a step that does not count, the output repeats the last step that counts, instead of zeros.
    _holds_outputs: Any = False
    _returns_list: Any = False  # returns several outputs, or states after its output
    _keeps_limits: Any = False  # if all inputs are within limits, so are the outputs
    # Name of the activation that computes the outputs. None: there is none, or it is not known.
    _limiting_activation: Any = None
    _output_count: Any = 1  # number of outputs before the states
    several_inputs: bool = False  # also takes a list of arrays
    # Every input may have the time axis of the output, not the first one alone.
    _merges_steps: Any = False
    # Dtype for padding rows of different lengths. None: the layer's own.
    _padded_dtype: str | None = None

    _specs: Any = ()  # of its parameters, once it is described
    _nodes: Any = ()  # the calls with symbols
    _tape: Tape | None = None  # of a layer used alone, after training
    _trains: AbstractContextManager[None] = NULL_CONTEXT  # entered when a layer alone is trained
    _trainable: bool = True  # for copies and pickles of versions without this attribute

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls.__abstractmethods__:
            raise DTypeError(_undefined(cls))
        return super().__new__(cls)

    @property
    def name(self) -> str:
        """Name of the layer in summaries and files, str; it is unique in a model.

        Raises
        ------
        ConfigError
            The new name is not a string, is empty, or belongs to another layer of the model.
        """
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str) or not value:
            raise ConfigError(f"name is {value!r}; expected a string of at least one character")
        if self.model is not None and self._holder is None:
            paths = [value + path.removeprefix(self._name) for path in self._paths()]
            if not {
                path for other in self.model._layers if other is not self for path in other._paths()
            }.isdisjoint(paths):
                raise ConfigError(
                    f"two layers of model {self.model.name!r} would be named {value!r}; give each"
                    " its own name"
                )
        self._name = value

    @property
    def dtype(self) -> DType:
        """Dtype of parameters and outputs: "float32" or "float64"."""
        return self._dtype

    @property
    def built(self) -> bool:
        """Whether the shape of the input is known and the parameters exist, bool."""
        return self.input_shape is not None

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        """Describe the parameters for inputs of a shape.

        Parameters
        ----------
        input_shape : tuple of int or None, or list of tuple
            Shape (batch, ..., features), None for axes of any extent. A list of shapes if the layer
            has several inputs.

        Returns
        -------
        list of ParameterSpec
            The parameters in the order of :meth:`get_weights`. Empty unless a class overrides this
            method.

        Raises
        ------
        ShapeError
            The layer cannot read inputs of this shape.
        """
        return []

    def compute_output_shape(self, input_shape: Any) -> Shape | Any:
        """Compute the shape of the output for inputs of a shape.

        Parameters
        ----------
        input_shape : tuple of int or None, or list of tuple
            Shape (batch, ..., features), None for axes of any extent. A list of shapes if the layer
            has several inputs.

        Returns
        -------
        tuple of int or None, or list of tuple
            Shape of the output: that of the (first) input unless a class overrides this method. A
            list if the layer has several outputs.
        """
        return input_shape[0] if isinstance(input_shape, list) else input_shape

    @abc.abstractmethod
    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch | Any:
        """Compute the outputs of a forward pass.

        :meth:`forward` and models call it with inputs that have been checked.

        Parameters
        ----------
        inputs : Batch, or list of Batch
            A list if the layer has several inputs, or if a recurrent layer receives its initial
            state with them: ``[x, h]`` or ``[x, h, c]``.
        tape : Tape or None
            Where the layer saves what :meth:`run_backward` needs, under `node`. None: inference;
            nothing is saved, and dropout does nothing.
        node : hashable
            Identifies this call in the pass.

        Returns
        -------
        Batch, or list of Batch
            Outputs. Their values are new arrays, or those of the inputs, unchanged.
        """

    @abc.abstractmethod
    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
        """Compute the gradients of the inputs, and add those of the parameters to their arrays.

        Parameters
        ----------
        gradients : ndarray, or list of ndarray or None
            Gradients of the loss with respect to the outputs: a list if :meth:`run` returned one,
            in which None means zeros.
        tape : Tape
            The tape that :meth:`run` received.
        node : hashable
            The node that :meth:`run` received.
        wanted : bool
            False: the gradients of the inputs are not used, and need not be computed.

        Returns
        -------
        ndarray, list of ndarray, or None
            Gradients of the inputs; a list if `inputs` was one. None if they are not wanted, or if
            the input has no gradient because it holds whole numbers.
        """

    def advance(self, inputs: Batch, state: list[Array] | None) -> tuple[Batch, list[Array]]:
        """Compute the next steps of sequences, at inference, from the state that they ended in.

        :class:`gatewise.models.Stepper` calls it; neither the layer nor its own state changes. A
        layer that looks at other steps than its own, and at none that are later, overrides it.

        Parameters
        ----------
        inputs : Batch
            The next steps of each sequence, one or more; a row whose length is 0 stays as it is.
        state : list of ndarray of shape (batch, ...), or None
            What the last call returned, perhaps with its rows in another order. None: the sequences
            begin.

        Returns
        -------
        outputs : Batch
            As :meth:`run` returns it.
        state : list of ndarray of shape (batch, ...)
            New arrays, with a row for each sequence. Empty if the layer looks at single steps only.
        """
        return self.run(inputs, None, None), []

    @property
    def _cannot_advance(self) -> str | None:
        """Why the next step cannot be computed from a state; None: it can."""
        if not self.causal:
            return "its output at a step depends on later steps"
        if type(self).advance is not LayerInterface.advance:
            return None
        if not (self.keeps_steps and self.takes_any_length):
            return "it needs all steps of a sequence at once"
        if self.reads_steps and not self._first_only:
            return "it looks at several steps and does not define advance"
        return None

    def _step_ops(self) -> list[StepOp]:
        """Return what the built layer computes at one step, one operation after the other.

        Empty if it changes nothing at inference. The arrays are those of the layer.
        """
        raise NotImplementedError

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        if type(self)._step_ops is LayerInterface._step_ops:
            return "it does not say what it computes at one step (_step_ops)"
        return None

    def output_lengths(self, lengths: Array) -> Array | None:
        """Compute the number of steps of each row of the output.

        Parameters
        ----------
        lengths : ndarray of shape (batch,), intp
            Number of steps of each row of the input.

        Returns
        -------
        ndarray of shape (batch,), intp, or None
            None: the output has no time axis, or another one.
        """
        return lengths if self.keeps_steps else None

    def compute_mask(self, x: Array) -> Array | None:
        """Compute which steps count, for layers that find it in the values, such as Masking.

        Parameters
        ----------
        x : ndarray of shape (batch, steps, ...)
            Inputs.

        Returns
        -------
        ndarray of shape (batch, steps), bool, or None
            True where a step counts. None: the layer does not mask steps.
        """
        return None

    @property
    def _gives_scores(self) -> bool:
        """Whether a pass can end before the activation of the output, in ``_run_to_scores``."""
        return hasattr(self, "_run_to_scores")

    def _input_ports(self, position: int) -> list[Any]:
        """Return the layers that read input number `position`: this one, unless it is a model."""
        return [self]

    def _followed(self, index: int) -> int | None:
        """Return the number of the input whose time axis output `index` has, or None."""
        return 0 if self.keeps_steps and index < self._output_count else None

    def _behind(self, outputs: set[int]) -> tuple[set[str], set[int] | None]:
        """Return what outputs, by number, depend on: names of parameters, and numbers of inputs.

        None: all inputs.
        """
        return {spec.name for spec in self._specs}, None

    def _read_input(self, x: Any, dtype: DType, convert: bool) -> Array:
        """Convert x, as a user gave it, to an ndarray; :meth:`_check_values` checks its values."""
        return checks.float_array(x, "x", dtype, convert=convert)

    def _check_values(self, x: Array) -> Array:
        """Refuse values that the layer cannot use; x comes from :meth:`_read_input`."""
        return checks.finite(x, "x")


def _undefined(cls: type[LayerInterface]) -> str:
    """Return the message about a class that does not define all abstract methods."""
    missing = [
        method
        for method in (
            "run(self, inputs, tape, node)",
            "run_backward(self, gradients, tape, node, wanted)",
        )
        if method.partition("(")[0] in cls.__abstractmethods__
    ]
    hint = "; Keras's call computes no gradient" if hasattr(cls, "call") else ""
    return (
        f"layer {cls.__name__} defines no {' and no '.join(missing)}, which every layer"
        f" needs{hint}: docs/custom-layers.md. A recurrent layer is easier to write as a cell"
        " for RNN: docs/custom-cells.md"
    )
