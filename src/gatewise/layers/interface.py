"""What a layer's class defines: flags, shapes, parameters, and how it runs forward and backward."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from gatewise import checks, seeds
from gatewise.attributes import Guarded, checked
from gatewise.errors import ConfigError
from gatewise.kernels._null_context import NULL_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Hashable
    from contextlib import AbstractContextManager

    from gatewise._typing import Array, DType

    from .specs import ParameterSpec
    from .tape import Tape


class LayerInterface(Guarded, abc.ABC):
    """What models and the rest of :class:`Layer` read from a layer's class."""

    rng: Any = checked(seeds.checked_generator)
    model: Any = None  # the Sequential that the layer belongs to
    _holder: Any = None  # the layer that it is inside of
    _rank: int | None = None  # axes of the input, if they are fixed
    _axes: str = "(batch, ..., features)"  # what messages call them

    # What a layer says of itself, so that models need not know its class.
    # steps are more than features to it: x has a time axis, of at least one step
    reads_steps: Any = False
    # step t of the output stands for step t of the input: lengths, masks and resets still apply to
    # it
    keeps_steps: Any = True
    takes_any_length: Any = True  # x may have another number of steps than the layer was built for
    # what it does at step t depends on no later one: truncated back-propagation may carry on from
    # it
    causal: Any = True
    _first_only: bool = False  # it reads what only a model's input can be
    _has_state: bool = False  # it takes initial_state and resets
    state_names: Any = ()  # of the arrays of its state
    stateful: Any = False  # it keeps its state from call to call
    # its output at a step that does not count is that of the last one that does, not zeros
    _holds_outputs: Any = False
    _returns_list: Any = False  # of outputs, and states after them
    _keeps_limits: Any = False  # its outputs lie within the limits of its inputs
    # name of the activation that its outputs come out of; None: of none, or not known
    _limiting_activation: Any = None
    _output_count: Any = 1  # how many there are before the states
    several_inputs: bool = False  # it takes a list of arrays, too
    _padded_dtype: str | None = (
        None  # what rows of different lengths are padded in; None: the layer's own
    )

    _tape: Tape | None = None  # of a layer used alone, once it has been trained
    _trains: AbstractContextManager[None] = (
        NULL_CONTEXT  # context manager of training a layer used alone
    )
    _trainable = True  # of copies and pickles that were made before there was this choice

    @property
    def name(self) -> str:
        """What summaries show and files know the layer by; each layer of a model has its own."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str) or not value:
            raise ConfigError(f"name is {value!r}; expected a string of at least one character")
        if self.model is not None and self._holder is None:
            paths = [value + path.removeprefix(self._name) for path in self._paths()]
            if not {
                path for other in self.model.layers if other is not self for path in other._paths()
            }.isdisjoint(paths):
                raise ConfigError(
                    f"two layers of model {self.model.name!r} would be named {value!r}; give each"
                    " its own name"
                )
        self._name = value

    @property
    def dtype(self) -> DType:
        """ "float32" or "float64"."""
        return self._dtype

    @property
    def built(self) -> bool:
        """Whether the input size is known and the parameters exist."""
        return self.input_shape is not None

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        """The layer's parameters for inputs of this shape, in the order of :meth:`get_weights`.

        Parameters
        ----------
        input_shape : tuple
            (batch, ..., features), None for axes of any extent. A list of them if the layer has
            several inputs.

        Returns
        -------
        list of ParameterSpec
            Empty unless the class defines others.

        Raises
        ------
        ShapeError
            The layer cannot read inputs of this shape.
        """
        return []

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for inputs of this shape.

        Parameters
        ----------
        input_shape : tuple
            (batch, ..., features), None for axes of any extent. A list of them if the layer has
            several inputs.

        Returns
        -------
        tuple, or a list of them if the layer has several outputs
            The shape of the (first) input unless the class defines another.
        """
        return input_shape[0] if isinstance(input_shape, list) else input_shape

    @abc.abstractmethod
    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Any:
        """Compute the outputs: what a layer does in a forward pass.

        Called with inputs that are checked, by :meth:`forward` and by models.

        Parameters
        ----------
        inputs : Batch, or list of Batch
            A list if the layer has several inputs; of a recurrent layer, if its initial state comes
            with them: ``[x, h]`` or ``[x, h, c]``.
        tape : Tape or None
            What :meth:`run_backward` needs is kept there, under `node`. None: inference, nothing is
            kept, and dropout does nothing.
        node : hashable
            The place of this call in the pass.

        Returns
        -------
        Batch, or list of Batch
            Values are new arrays, or those of the inputs, unchanged.
        """

    @abc.abstractmethod
    def run_backward(self, gradients: Any, tape: Tape, node: Hashable, wanted: bool) -> Any:
        """Compute the gradients of the inputs, and add those of the parameters to the layer's.

        Parameters
        ----------
        gradients : ndarray, or list of ndarray
            Of the loss with respect to the outputs; a list if :meth:`run` returned one, in which
            None stands for zeros.
        tape : Tape
            With what :meth:`run` kept.
        node : hashable
            As :meth:`run` was given it.
        wanted : bool
            False: nobody reads the gradients of the inputs.

        Returns
        -------
        ndarray, list of ndarray, or None
            Gradients of the inputs; a list if the inputs were one. None if they are not wanted, or
            if an input has no gradient, such as whole numbers.
        """

    def output_lengths(self, lengths: Array) -> Array | None:
        """Steps in each row of the output, for these of the input.

        None where the output has no such steps.
        """
        return lengths if self.keeps_steps else None

    def compute_mask(self, x: Array) -> Array | None:
        """Which steps of x count, bool ndarray (batch, steps), where the layer knows; else None."""
        return None

    def _read_input(self, x: Any, dtype: DType, convert: bool) -> Array:
        """What the layer reads of an x that a user gave: an ndarray.

        Its values are for :meth:`check_values`.
        """
        return checks.float_array(x, "x", dtype, convert=convert)

    def _check_values(self, x: Array) -> Array:
        """Refuse values that the layer cannot compute with; x comes from :meth:`read_input`."""
        return checks.finite(x, "x")
