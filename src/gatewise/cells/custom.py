"""A user's own cell, written in NumPy: what :class:`gatewise.layers.RNN` walks through time."""

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import ConfigError, DTypeError


class RNNCell(Guarded):
    """Base of cells written in NumPy.

    A subclass sets :attr:`units` or :attr:`state_size`, keeps each argument of its constructor
    under the argument's own name, and defines :meth:`parameter_shapes`, :meth:`step` and
    :meth:`step_backward`. A cell holds no weights and no state. docs/custom-cells.md builds one.

    Attributes
    ----------
    units : int or None
        Width of the one state.
    state_size : int, list of int or None
        Width of each state. None: `units`.
    output_size : int or None
        Width of the output. None: the output is the first state.
    initializers : dict of str to str or Initializer
        Of parameters by name. Of the others, those whose names begin with "recurrent" start
        orthogonal, other matrices Glorot uniform, and vectors at zero.
    regularizers, constraints : dict of str to str or Regularizer, Constraint
        Of parameters by name.
    """

    _settable = frozenset({"initializers", "regularizers", "constraints"})
    units = None
    state_size = None
    output_size = None
    initializers = {}  # noqa: RUF012  replaced, never written to
    regularizers = {}  # noqa: RUF012
    constraints = {}  # noqa: RUF012

    @property
    def trainable(self):
        """True: a cell holds no weights. The layer around it is frozen, ``RNN(cell, trainable=False)``."""
        return True

    @trainable.setter
    def trainable(self, value):
        if not checks.flag(value, "trainable"):
            raise ConfigError(
                f"{type(self).__name__}: a cell holds no weights; set trainable of the RNN layer"
                " around it"
            )

    # ---- what a subclass defines

    def parameter_shapes(self, inputs):
        """dict name -> shape of each parameter, for x with `inputs` features."""
        raise DTypeError(
            f"cell {type(self).__name__} defines no parameter_shapes, which every cell needs:"
            " docs/custom-cells.md"
        )

    def step(self, x, states, parameters):
        """One step of several rows.

        Nothing that is given may be changed.

        Parameters
        ----------
        x : ndarray (rows, inputs)
        states : list of ndarray (rows, size)
        parameters : dict of str to ndarray

        Returns
        -------
        output : ndarray (rows, output size)
        states : list of ndarray (rows, size)
        saved
            Whatever :meth:`step_backward` needs.
        """
        raise DTypeError(
            f"cell {type(self).__name__} defines no step, which every cell needs:"
            " docs/custom-cells.md"
        )

    def step_backward(self, d_output, d_states, saved, parameters, gradients):
        """Go back over one step.

        Nothing that is given may be changed, but for the gradients.

        Parameters
        ----------
        d_output : ndarray (rows, output size)
            Gradient of the output.
        d_states : list of ndarray (rows, size)
            Gradients of the states that the step returned, from what came later. Where the output
            is a state, that state's whole gradient is ``d_output + d_states[k]``.
        saved
            What the step saved.
        parameters : dict of str to ndarray
        gradients : dict of str to ndarray
            The step's gradients are to be ADDED to these, in place.

        Returns
        -------
        d_x : ndarray (rows, inputs)
        d_states : list of ndarray (rows, size)
            Gradients of the states that the step was given.
        """
        raise DTypeError(
            f"cell {type(self).__name__} defines no step_backward, which every cell needs:"
            " docs/custom-cells.md"
        )

    # ---- what follows from it

    @property
    def state_sizes(self):
        """Width of each state, a tuple of int."""
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
    def states(self):
        """Names of the states: "h", or "state_0", "state_1" and so on where there are several."""
        count = len(self.state_sizes)
        return ("h",) if count == 1 else tuple(f"state_{k}" for k in range(count))

    @property
    def output_width(self):
        """Width of the output."""
        sizes = self.state_sizes
        if self.output_size is None:
            return sizes[0]
        return checks.whole_number(self.output_size, f"{type(self).__name__}.output_size")

    def get_config(self):
        """The constructor's arguments, as JSON values: the attributes of the same names."""
        return kept_arguments(self)

    @classmethod
    def from_config(cls, config):
        """A new cell from :meth:`get_config`."""
        return cls(**config)
