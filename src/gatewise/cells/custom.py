"""Base of user-defined cells in NumPy, which :class:`gatewise.layers.RNN` runs step by step."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewise._typing import Array, Config


class RNNCell(Guarded, abc.ABC):
    """Base of user-defined cells, written in NumPy.

    A subclass sets :attr:`units` or :attr:`state_size`, stores each argument of its constructor
    in an attribute of the same name, and defines :meth:`parameter_shapes`, :meth:`step` and
    :meth:`step_backward`. A cell holds no weights and no state. docs/custom-cells.md builds one.

    Attributes
    ----------
    units : int or None
        Number of units of the state, if there is one state.
    state_size : int, list of int or None
        Width of each state. None: `units`.
    output_size : int or None
        Width of the output. None: the output is the first state.
    initializers : dict of str to str or Initializer
        Initializers of parameters by name. Of the other parameters, those whose names begin with
        "recurrent" start orthogonal, other matrices Glorot uniform, and vectors at zero.
    regularizers, constraints : dict of str to str or Regularizer, Constraint
        Regularizers and constraints of parameters by name.

    Examples
    --------
    >>> from gatewise.cells import RNNCell
    >>> from gatewise.layers import RNN
    >>> class Sum(RNNCell):
    ...     units = 2
    ...     def parameter_shapes(self, inputs):
    ...         return {}
    ...     def step(self, x, states, parameters):
    ...         h = states[0] + x
    ...         return h, [h], None
    ...     def step_backward(self, d_output, d_states, saved, parameters, gradients):
    ...         d_h = d_output + d_states[0]
    ...         return d_h, [d_h]
    >>> RNN(Sum()).forward([[[1, 2], [3, 4]]])
    array([[4., 6.]], dtype=float32)
    """

    _settable: ClassVar[frozenset[str]] = frozenset({"initializers", "regularizers", "constraints"})
    units: Any = None  # an int; None: state_size is set
    state_size: int | Sequence[int] | None = None
    output_size: int | None = None
    # Replaced by subclasses and users, never written to.
    initializers: Mapping[str, Any] = {}
    regularizers: Mapping[str, Any] = {}
    constraints: Mapping[str, Any] = {}

    @property
    def trainable(self) -> bool:
        """Always True: a cell has no weights. Freeze its layer, ``RNN(cell, trainable=False)``."""
        return True

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if not checks.flag(value, "trainable"):
            raise ConfigError(
                f"{type(self).__name__}: a cell holds no weights; set trainable of the RNN layer"
                " around it"
            )

    @classmethod
    def _advice_on_hooks(cls) -> str:
        return ": docs/custom-cells.md"

    # ---- what a subclass defines

    @abc.abstractmethod
    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name, in the order of ``get_weights``.

        Parameters
        ----------
        inputs : int
            Number of features of x.

        Returns
        -------
        dict of str to tuple of int
            Shapes by name, in the order of the weights.
        """

    @abc.abstractmethod
    def step(
        self, x: Array, states: list[Array], parameters: dict[str, Array]
    ) -> tuple[Array, list[Array], Any]:
        """One step of several rows. The arguments must not be changed.

        Parameters
        ----------
        x : ndarray of shape (rows, inputs)
            Inputs of the step, in the layer's dtype.
        states : list of ndarray of shape (rows, size)
            States before the step.
        parameters : dict of str to ndarray
            Parameters by name.

        Returns
        -------
        output : ndarray of shape (rows, output size)
            Output of the step.
        states : list of ndarray of shape (rows, size)
            States after the step.
        saved : object
            Whatever :meth:`step_backward` needs.
        """

    @abc.abstractmethod
    def step_backward(
        self,
        d_output: Array,
        d_states: list[Array],
        saved: Any,
        parameters: dict[str, Array],
        gradients: dict[str, Array],
    ) -> tuple[Array, list[Array]]:
        """The backward pass of one step. The arguments must not be changed, except `gradients`.

        Parameters
        ----------
        d_output : ndarray of shape (rows, output size)
            Gradient of the output.
        d_states : list of ndarray of shape (rows, size)
            Gradients of the states that the step returned, from later steps. If the output is a
            state, that state's whole gradient is ``d_output + d_states[k]``.
        saved : object
            What the step saved.
        parameters : dict of str to ndarray
            Parameters by name.
        gradients : dict of str to ndarray
            The step's gradients are to be ADDED to these, in place.

        Returns
        -------
        d_x : ndarray of shape (rows, inputs)
            Gradient of x.
        d_states : list of ndarray of shape (rows, size)
            Gradients of the states before the step.
        """

    # ---- what is derived from it

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state."""
        given = self.units if self.state_size is None else self.state_size
        sizes = given if isinstance(given, list | tuple) else [given]
        if not sizes:
            raise ConfigError(
                f"{type(self).__name__}.state_size is {given!r}; expected at least one state"
            )
        return tuple(
            checks.whole_number(size, f"{type(self).__name__}.state_size") for size in sizes
        )

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states: "h", or "state_0", "state_1" and so on if there are several."""
        count = len(self.state_sizes)
        return ("h",) if count == 1 else tuple(f"state_{k}" for k in range(count))

    @property
    def output_width(self) -> int:
        """Width of the output."""
        sizes = self.state_sizes
        if self.output_size is None:
            return sizes[0]
        return checks.whole_number(self.output_size, f"{type(self).__name__}.output_size")

    def get_config(self) -> Config:
        """Return the constructor's arguments, read from the attributes of the same names.

        Returns
        -------
        dict
            Arguments by name, as JSON values.
        """
        return kept_arguments(self)

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make a cell from its configuration.

        Parameters
        ----------
        config : dict
            What :meth:`get_config` has returned.

        Returns
        -------
        RNNCell
            An object of the class that the method is called on.
        """
        return cls(**config)
