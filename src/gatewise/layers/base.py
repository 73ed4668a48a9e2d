"""What every layer is: a name, a dtype, parameters that live in one flat buffer, forward and backward."""

import abc
import copy
import itertools
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewise import checks, constraints, initializers, regularizers, seeds
from gatewise.attributes import Checked, Guarded, _is_ours
from gatewise.configuration import argument_names
from gatewise.errors import ConfigError, DTypeError, ShapeError, StateError
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.memory import cover, names_memory
from gatewise.sharing import WeightsGuard

from . import masks
from .tape import Batch, Steps, Tape

# Nodes of the tape of a layer used alone: the layer, and what is known of its outputs.
LAYER, OUTPUTS = "layer", "outputs"

_counters = {}


def _automatic_name(cls):
    base = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", cls.__name__).lower()
    number = next(_counters.setdefault(base, itertools.count()))
    return base if number == 0 else f"{base}_{number}"


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a layer, before it exists.

    Parameters
    ----------
    name : str
        Its key in ``layer.parameters``, and in files.
    shape : tuple of int
    initializer : str or Initializer
        What it starts with.
    regularizer : str or Regularizer, optional
        Adds a penalty to the loss in training.
    constraint : str or Constraint, optional
        Applied after each step of an optimizer.
    trained : bool, default True
        False: no optimizer moves it, and it has no gradient, such as a moving average.

    Examples
    --------
    >>> from gatewise.layers import ParameterSpec
    >>> ParameterSpec("scale", (3,), "ones").size
    3
    """

    name: str
    shape: tuple[int, ...]
    initializer: Any = "zeros"
    regularizer: Any = None
    constraint: Any = None
    trained: bool = True

    def __post_init__(self):
        found = {
            "initializer": initializers.get(self.initializer, f"{self.name}: initializer"),
            "regularizer": regularizers.get(self.regularizer, f"{self.name}: regularizer"),
            "constraint": constraints.get(self.constraint, f"{self.name}: constraint"),
        }
        for option, value in found.items():
            object.__setattr__(self, option, value)

    @property
    def size(self):
        """Number of elements."""
        return math.prod(self.shape)


class Fixed:
    """An option that shapes and kernels are made from: it cannot be set once its layer is built, or inside another layer.

    Before, it may be set to what a check lets through: ``check(value, name, **limits)`` gives what
    is kept, in the constructor too. A check may be the name of one of the layer's methods,
    ``method(value)``. Without a ``__get__`` Python reads the option from the instance like any
    attribute.
    """

    def __init__(self, check, **limits):
        self._check, self._limits = check, limits

    def __set_name__(self, owner, name):
        self._name = name

    def __set__(self, layer, value):
        if vars(layer).get("input_shape") is not None:
            raise StateError(
                f"layer {layer.name!r} is built: {self._name} cannot change any more; make a new"
                " layer"
            )
        if layer._holder is not None:
            raise StateError(
                f"layer {layer.name!r} is inside {layer._holder.name!r}: {self._name} cannot change"
                " any more; make both anew"
            )
        if isinstance(self._check, str):
            vars(layer)[self._name] = getattr(layer, self._check)(value)
        else:
            vars(layer)[self._name] = self._check(value, self._name, **self._limits)


_PARAMETER_NAMES = (
    "kernel",
    "recurrent_kernel",
    "bias",
    "embeddings",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
)


class Layer(Guarded, abc.ABC):
    """Base of all layers.

    A layer alone owns its parameters; in a model it owns views into the model's flat buffer.

    Parameters
    ----------
    name : str, optional
        Shown in summaries and used in files; made from the class otherwise.
    dtype : {"float32", "float64"}, optional
        What the layer computes in. None: its model's dtype; float32 for a layer alone.
    input_shape : tuple, optional
        Shape of one sample, None for free axes; builds a model without seeing data.
    trainable : bool
        False: the layer is frozen, see :attr:`trainable`.
    """

    rng = Checked(seeds.checked_generator)  # the model's generator, for layers that draw
    model = None  # the Sequential that the layer belongs to
    _holder = None  # the layer that it is inside of
    _rank, _axes = None, "(batch, ..., features)"  # of the input

    # What a layer says of itself, so that models need not know its class.
    # steps are more than features to it: x has a time axis, of at least one step
    reads_steps = False
    # step t of the output stands for step t of the input: lengths, masks and resets still apply to
    # it
    keeps_steps = True
    takes_any_length = True  # x may have another number of steps than the layer was built for
    # what it does at step t depends on no later one: truncated back-propagation may carry on from
    # it
    causal = True
    _first_only = False  # it reads what only a model's input can be
    _has_state = False  # it takes initial_state and resets
    state_names = ()  # of the arrays of its state
    stateful = False  # it keeps its state from call to call
    # its output at a step that does not count is that of the last one that does, not zeros
    _holds_outputs = False
    _returns_list = False  # of outputs, and states after them
    _keeps_limits = False  # its outputs lie within the limits of its inputs
    # name of the activation that its outputs come out of; None: of none, or not known
    _limiting_activation = None
    _output_count = 1  # how many there are before the states
    several_inputs = False  # it takes a list of arrays, too
    _padded_dtype = None  # what rows of different lengths are padded in; None: the layer's own

    _tape = None  # of a layer used alone, once it has been trained
    _trains = NULL_CONTEXT  # context manager of training a layer used alone
    _trainable = True  # of copies and pickles that were made before there was this choice

    def __new__(cls, *args, **kwargs):
        if cls.__abstractmethods__:
            raise DTypeError(_undefined(cls))
        return super().__new__(cls, *args, **kwargs)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cover(cls, ("forward", "backward", "set_weights"))

    def __init__(
        self,
        *,
        name=None,
        dtype=None,
        input_shape=None,
        batch_input_shape=None,
        input_dim=None,
        trainable=True,
        **others,
    ):
        checks.refuse_unknown_arguments(others, "layer", type(self).__name__, self._argument_names)
        self.name = _automatic_name(type(self)) if name in (None, "") else name
        self._named_by_user = bool(name)  # by the user
        self._trainable = checks.flag(trainable, "trainable")
        self._dtype_given = None if dtype is None else checks.dtype_name(dtype)
        self._dtype = self._dtype_given or "float32"
        shapes = (
            {}
            if input_shape is None
            else {"input_shape": checks.shape_tuple(input_shape, "input_shape")}
        )
        if input_dim is not None:  # Keras 2's way to say how many features there are
            shapes["input_dim"] = self._shape_of_features(
                checks.whole_number(input_dim, "input_dim")
            )
        if batch_input_shape is not None:
            shapes["batch_input_shape"] = checks.shape_tuple(
                batch_input_shape, "batch_input_shape"
            )[1:]
        self._given_input_shape = one_shape(shapes)
        self.input_shape = None  # (batch, ...) once built
        self.output_shape = None
        self.rng = None
        self._specs = []
        self._penalized = []  # those with a regularizer
        self._constrained = []  # those with a constraint
        self._parameters = {}
        self._gradients = {}
        self._views_given = False  # someone outside may write into our parameters at any time
        self._guard = WeightsGuard()  # of a layer in a model: the model's

    @property
    def name(self):
        """What summaries show and files know the layer by; each layer of a model has its own."""
        return self._name

    @name.setter
    def name(self, value):
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

    @staticmethod
    def _shape_of_features(features):
        return (features,)

    def _title(self):
        return f"layer {self.name!r}"

    def _setting_cure(self, name):
        if name in (
            "weights",
            "variables",
            *(
                f"{kind}_{what}"
                for kind in ("trainable", "non_trainable")
                for what in ("weights", "variables")
            ),
        ):
            return "set_weights(arrays) takes values of all parameters"
        if name in self._parameters or name in _PARAMETER_NAMES:
            return (
                f"write to the array, layer.parameters[{name!r}][...] = values, or call"
                " set_weights(arrays)"
            )
        if name in ("states", "initial_state"):
            return "set state, of a layer that is stateful, or give initial_state to the call"
        return None

    # ---- freezing

    @property
    def trainable(self):
        """Whether training changes the parameters, bool. May be set at any time but while ``fit`` runs.

        A frozen layer (False) computes what it computed before; its parameters stay as they are,
        and its gradients are zero. The optimizer leaves it out of its step, of weight decay, of the
        norm that ``global_clipnorm`` looks at and of the running mean; what the optimizer has
        accumulated for it is kept. Its regularizers and constraints rest. A frozen
        :class:`BatchNormalization` uses its moving averages in training too, and these stay as they
        are. Dropout still drops.

        In a model, a change holds from the next call of ``fit``, ``train_on_batch`` or
        ``compute_gradients`` on. It need not be compiled again.

        Raises
        ------
        StateError
            Set while the model's ``fit`` runs.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        value = checks.flag(value, "trainable")
        if value == self._trainable:
            return
        if self.model is not None:
            self.model._trainable_changes()
        self._trainable = value

    def _is_trained(self, name):
        """Whether training changes the parameter of this name, one that optimizers move where they may."""
        return self._trainable

    def _trained_names(self):
        """Names of the parameters that training changes, list of str."""
        return [spec.name for spec in self._specs if spec.trained and self._is_trained(spec.name)]

    def _clear_frozen_gradients(self):
        """Set the gradients of parameters that are frozen to zero."""
        for name, gradient in self._gradients.items():
            if not self._is_trained(name):
                gradient.fill(0)

    # ---- building

    @property
    def dtype(self):
        """ "float32" or "float64"."""
        return self._dtype

    @property
    def built(self):
        """Whether the input size is known and the parameters exist."""
        return self.input_shape is not None

    @names_memory
    def build(self, input_shape):
        """Make the parameters for inputs of this shape, (batch, ..., features) with None for free axes."""
        with self._guard.writing:
            if self.built:
                raise StateError(
                    f"layer {self.name!r} is built already, for input shape {self.input_shape}"
                )
            drawn = None if self.rng is None else self.rng.bit_generator.state
            try:
                self._describe(input_shape)
                count = self._flat_size()
                checks.fits_memory(2 * count, self.dtype, f"layer {self.name!r}")
                self._adopt(np.zeros(count, self.dtype), np.zeros(count, self.dtype))
                self._initialize(self.random_generator())
            except BaseException:  # as if nothing had been tried
                self._unbuild()
                if drawn is None:
                    self.rng = None
                else:
                    self.rng.bit_generator.state = drawn
                raise

    def _unbuild(self):
        """Forget the shapes and the parameters of a build that failed."""
        self.input_shape = self.output_shape = None
        self._specs, self._parameters, self._gradients = [], {}, {}

    def _describe(self, input_shape):
        """First half of building: check the shape, list the parameters, set the output shape."""
        if isinstance(input_shape, list) and self.several_inputs:
            shape = [checks.shape_tuple(part, "input_shape") for part in input_shape]
        else:
            shape = checks.shape_tuple(input_shape, "input_shape")
        self._specs = list(self.parameter_specs(shape))
        self._penalized = [spec for spec in self._specs if spec.regularizer]
        self._constrained = [spec for spec in self._specs if spec.constraint]
        self.output_shape = self.compute_output_shape(shape)
        self.input_shape = shape

    def _adopt(self, parameters, gradients):
        """Second half: take this part of a flat buffer, and of its gradients, as the place of the parameters."""
        before, self._parameters, self._gradients, at = self._parameters, {}, {}, 0
        for spec in self._specs:
            if not spec.trained:
                self._parameters[spec.name] = self._kept_array(spec, before.get(spec.name))
                continue
            piece = slice(at, at + spec.size)
            self._parameters[spec.name] = parameters[piece].reshape(spec.shape)
            self._gradients[spec.name] = gradients[piece].reshape(spec.shape)
            at += spec.size
        self._weights_changed()

    def _kept_array(self, spec, before):
        """The array of a parameter that is not trained: the one from before where it fits."""
        fits = before is not None and before.shape == spec.shape and before.dtype == self.dtype
        return before if fits else np.zeros(spec.shape, self.dtype)

    def _initialize(self, rng):
        """Draw the initial values."""
        for spec in self._specs:
            self._parameters[spec.name][...] = self._of_shape(
                spec, "initializer", spec.initializer(spec.shape, rng, self.dtype)
            )
        self._weights_changed()

    def _share_guard(self, guard):
        """Be read and changed together with whatever else has this guard (:mod:`gatewise.sharing`)."""
        self._guard = guard

    def _set_dtype(self, dtype):
        """Take the model's dtype; an explicit other one is refused."""
        if self._dtype_given not in (None, dtype):
            raise ConfigError(
                f"layer {self.name!r} has dtype {self._dtype_given}, its model has {dtype}; "
                "give all layers of a model one dtype"
            )
        self._dtype = dtype

    def _kind(self):
        """What the parameters are those of, as text for files, if shapes do not say it; else None."""
        return None

    def _paths(self):
        """Names that files know it by: its own and those of layers that it holds."""
        return [self.name]

    def random_generator(self):
        """The generator to draw from, numpy.random.Generator: the model's, or that of the layer used alone."""
        if self.rng is None:
            self.rng = seeds.generator(getattr(self, "seed", None))
        return self.rng

    # What a layer's class defines.

    def parameter_specs(self, input_shape):
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

    def compute_output_shape(self, input_shape):
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
    def run(self, inputs, tape, node):
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
    def run_backward(self, gradients, tape, node, wanted):
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

    def output_lengths(self, lengths):
        """Steps in each row of the output, for these of the input; None where the output has no such steps."""
        return lengths if self.keeps_steps else None

    def _read_input(self, x, dtype, convert):
        """What the layer reads of an x that a user gave: an ndarray; its values are for :meth:`check_values`."""
        return checks.float_array(x, "x", dtype, convert=convert)

    def _check_values(self, x):
        """Refuse values that the layer cannot compute with; x comes from :meth:`read_input`."""
        return checks.finite(x, "x")

    def compute_mask(self, x):
        """Which steps of x count, bool ndarray (batch, steps), where the layer knows; else None."""
        return None

    # ---- parameters

    @property
    def parameters(self):
        """dict name -> ndarray: views that may be written to."""
        self._expose()
        return dict(self._parameters)

    def _expose(self):
        """Someone outside may write to the parameters from now on: nothing derived from them is kept."""
        self._views_given = True
        self._weights_changed()

    @property
    def gradients(self):
        """dict name -> ndarray: views; backward ADDS to them, :meth:`zero_gradients` clears them."""
        return dict(self._gradients)

    def zero_gradients(self):
        """Set every gradient to zero."""
        for gradient in self._gradients.values():
            gradient.fill(0)

    def count_params(self, trainable=None):
        """Number of parameters.

        Parameters
        ----------
        trainable : bool, optional
            True: only those that training changes. False: only the others, frozen ones and moving
            averages. None: all of them.
        """
        if trainable is None:
            return sum(spec.size for spec in self._specs)
        wanted = checks.flag(trainable, "trainable")
        return sum(
            spec.size
            for spec in self._specs
            if (spec.trained and self._is_trained(spec.name)) == wanted
        )

    def _flat_size(self):
        """Number of parameters that optimizers move: what the layer takes of a model's flat buffer."""
        return sum(spec.size for spec in self._specs if spec.trained)

    def _kept_arrays(self):
        """The parameters that no optimizer moves, list of ndarray: the arrays themselves."""
        return [self._parameters[spec.name] for spec in self._specs if not spec.trained]

    @property
    def weights(self):
        """Views of the parameters, list of ndarray; they may be written to. :meth:`set_weights` takes others."""
        return list(self.parameters.values())

    @property
    def trainable_weights(self):
        """Views of the parameters that training changes, list of ndarray."""
        chosen = set(self._trained_names())
        return [array for name, array in self.parameters.items() if name in chosen]

    @property
    def non_trainable_weights(self):
        """Views of the parameters that training leaves as they are: of a frozen layer, and moving averages."""
        chosen = set(self._trained_names())
        return [array for name, array in self.parameters.items() if name not in chosen]

    # Keras's other names
    variables, trainable_variables, non_trainable_variables = (
        weights,
        trainable_weights,
        non_trainable_weights,
    )

    @names_memory
    def get_weights(self):
        """Copies of the parameters, in Keras's order."""
        with self._guard:
            return [array.copy() for array in self._parameters.values()]

    @names_memory
    def set_weights(self, weights):
        """Copy values into the parameters.

        Arrays are checked by their number, shapes and values. What they mean they do not say: the
        weights of a GRU without bias fit one with another ``reset_after`` or ``update``, and those
        of an LSTM without one gate fit one without another.

        Raises
        ------
        StateError
            The layer is not built.
        ShapeError, DTypeError, NonFiniteError
            The arrays do not fit.
        """
        if not self.built:
            raise StateError(
                f"layer {self.name!r} is not built: call build(input_shape) before set_weights"
            )
        weights = checks.listed(weights, "weights", "arrays")
        if len(weights) != len(self._parameters):
            raise ShapeError(
                f"layer {self.name!r} has {len(self._parameters)} weight arrays "
                f"({', '.join(self._parameters) or 'none'}), got {len(weights)}"
            )
        self._check_weights(weights)
        values = []
        for (name, place), given in zip(self._parameters.items(), weights):
            value = checks.float_array(given, f"{self.name}/{name}", self.dtype, convert=True)
            if value.shape != place.shape:
                raise ShapeError(
                    f"{self.name}/{name} has shape {value.shape}; expected {place.shape}"
                )
            values.append(checks.finite(value, f"{self.name}/{name}"))
        with self._guard.writing:
            for place, value in zip(self._parameters.values(), values):
                place[...] = value
            self._weights_changed()

    def _check_weights(self, weights):
        """Refuse weights, as many as there are parameters, of which the layer knows better than by shapes what is wrong."""

    def _weights_changed(self):
        """Forget what was derived from the weights."""

    def penalty(self):
        """Sum of the regularizers' penalties, of what is trained."""
        return sum(
            [
                spec.regularizer(self._parameters[spec.name])
                for spec in self._penalized
                if self._is_trained(spec.name)
            ]
        )

    def _add_penalty_gradients(self):
        """Add the regularizers' gradients."""
        for spec in self._penalized:
            if not self._is_trained(spec.name):
                continue
            spec.regularizer.add_gradient(self._parameters[spec.name], self._gradients[spec.name])

    def _constrain(self):
        """Bring parameters with a constraint back to what it allows: after every step of an optimizer."""
        for spec in self._constrained:
            if not self._is_trained(spec.name):
                continue
            array = self._parameters[spec.name]
            array[...] = self._of_shape(spec, "constraint", spec.constraint(array))

    def _of_shape(self, spec, what, values):
        """What an initializer or constraint gave, perhaps one of a user's own."""
        if np.shape(values) != spec.shape:
            raise ShapeError(
                f"{self.name}/{spec.name}: {what} {type(getattr(spec, what)).__name__} gave shape"
                f" {np.shape(values)}; expected {spec.shape}"
            )
        return values

    # ---- running

    def __call__(self, x, *args, **kwargs):
        return self.forward(x, *args, **kwargs)

    @names_memory
    def forward(self, x, lengths=None, initial_state=None, resets=None, training=False, mask=None):
        """Compute the layer's output.

        Parameters
        ----------
        x : array_like (batch, ..., features), or (batch, steps, features)
            Must have the layer's dtype or convert to it without loss. Not changed; in training, not
            to be changed by the caller before :meth:`backward`, which reads it again.
        lengths : array_like (batch,), int, optional
            Steps in each row, 0 to steps: outputs past the end are zero, and the final state of a
            recurrent layer is that of the row's last true step. None: every row has all steps.
        initial_state : list of array_like (batch, units), optional
            Of a recurrent layer: ``[h]`` or ``[h, c]``. None: the kept state of a stateful layer,
            else zeros.
        resets : array_like (batch, steps), bool, optional
            Of a recurrent layer: where true, the state is cleared before that step.
        training : bool
            Keep what :meth:`backward` needs, and apply dropout.
        mask : array_like (batch, steps), bool, optional
            False where a step is as if it were not there: the state stays as it is, and the output
            of that step is zero (of a recurrent layer with ``zero_output_for_mask=False``, the last
            output again). A reset there clears the state before the next step that counts, which
            for a stateful layer may be one of the next call. None: all steps count.

        Returns
        -------
        ndarray, or a list of them where the layer has several outputs

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError, SizeError
        """
        inputs, places, counted = self._read(x, lengths, initial_state, resets, mask)
        tape = self._begin_pass() if training else None
        with self._alone(), self._guard, self._trains if training else NULL_CONTEXT:
            outputs = self.run(inputs, tape, LAYER)
        values = (
            [output.values for output in outputs] if isinstance(outputs, list) else outputs.values
        )
        if training:
            shapes = [part.shape for part in (values if isinstance(values, list) else [values])]
            tape.keep(OUTPUTS, _Outputs(shapes, isinstance(outputs, list), places, counted))
            if tape.has_actions:
                with self._guard.writing:
                    tape.settle()
        if places is not None:
            values = self._each_step_of(values, places.back)
        if counted is not None:
            values = self._each_step_of(values, lambda part: masks.held(part, counted))
        if isinstance(values, list):
            return values
        for batch in inputs if isinstance(inputs, list) else [inputs]:
            values = apart(values, batch.values)
        return values

    def _begin_pass(self):
        """The tape of the layer used alone, for another pass."""
        if self._tape is None:
            self._tape = Tape(hands_out=True)
        self._tape.begin()
        return self._tape

    def _alone(self):
        """Context manager of what uses the kept state: one thread at a time, of a layer that keeps one.

        Raises
        ------
        StateError
            On entering it while another thread is inside.
        """
        return self._one_stream if self.stateful else NULL_CONTEXT

    def _read(self, x, lengths, initial_state, resets, mask):
        """What :meth:`forward` was given, checked: (inputs of :meth:`run`, places, counted).

        `places` says where steps of the outputs belong, `counted` which of them count, each None if
        they are right as they are. See :mod:`gatewise.layers.masks`.
        """
        if self.several_inputs and self._is_several(x):
            self._refuse_state(initial_state, resets)
            if mask is not None:
                raise ConfigError(
                    f"layer {self.name!r} takes a mask beside one input, not beside {len(x)}; give"
                    " lengths"
                )
            return self._read_several(x, lengths), None, None
        x = self._checked_input(x)
        if lengths is not None:
            lengths = checks.sequence_lengths(lengths, x.shape[0], x.shape[1])
        if initial_state is not None or resets is not None:
            if not self._has_state:
                self._refuse_state(initial_state, resets)
            if resets is not None:
                resets = checks.reset_flags(resets, *x.shape[:2])
            if initial_state is not None:
                initial_state = self._checked_state(initial_state, x.shape[0], "initial_state")
        places = counted = None
        if mask is not None or (
            lengths is not None and (self._holds_outputs or not self._has_state)
        ):
            batch, places, counted = self._masked(x, lengths, resets, mask)
        elif lengths is None and resets is None:
            batch = Batch(x)
        else:
            batch = Batch(x, Steps(lengths, resets))
        if initial_state is None:
            return batch, places, counted
        return [batch, *(Batch(state) for state in initial_state)], places, counted

    def _refuse_state(self, initial_state, resets):
        if initial_state is not None or resets is not None:
            raise ConfigError(
                f"layer {self.name!r} keeps no state: initial_state and resets are for recurrent"
                " layers"
            )

    @staticmethod
    def _is_several(x):
        """Whether x is a list of arrays, one for each input, rather than one array as a list."""
        return (
            isinstance(x, list | tuple)
            and len(x) > 1
            and all(isinstance(part, np.ndarray) and part.ndim > 1 for part in x)
        )

    def _build_for(self, arrays):
        """Build the layer for several inputs like these."""
        self.build([(None, *part.shape[1:]) for part in arrays])

    def _read_several(self, x, lengths):
        """A list of several inputs, checked; lengths is a list with those of each, or None."""
        arrays = [
            checks.finite(
                checks.float_array(part, f"x[{k}]", self._dtype, convert=False), f"x[{k}]"
            )
            for k, part in enumerate(x)
        ]
        if len({len(part) for part in arrays}) > 1:
            raise ShapeError(
                f"x holds arrays of shapes {', '.join(str(part.shape) for part in arrays)};"
                " expected as many rows in each"
            )
        if not self.built:
            with self._guard.writing:
                if not self.built:
                    self._build_for(arrays)
        given = [None] * len(x) if lengths is None else checks.listed(lengths, "lengths", "arrays")
        if len(given) != len(arrays):
            raise ShapeError(
                f"lengths has {len(given)} entries; expected {len(arrays)}, an array or None for"
                " each input"
            )
        batches = []
        for part, ends in zip(arrays, given):
            ends = None if ends is None else checks.sequence_lengths(ends, *part.shape[:2])
            batches.append(Batch(part, None if ends is None else Steps(ends)))
        return batches

    def _masked(self, x, lengths, resets, mask):
        """(Batch whose steps that count are at the front, places, counted); see :meth:`_read`."""
        places = back = cleared = None
        if x.ndim < 3 and not self.reads_steps:
            raise ShapeError(
                f"{'lengths were' if mask is None else 'mask was'} given beside an x of shape"
                f" {x.shape}, which has no steps; leave {'them' if mask is None else 'it'} out"
            )
        if mask is not None:
            mask = masks.step_mask(mask, x.shape)
        counted = masks.counted_mask(mask, lengths, x.shape) if self._holds_outputs else None
        if mask is not None:
            if resets is not None:
                resets, back, cleared = masks.moved_resets(mask, resets, lengths)
            lengths, places = masks.lengths_and_places(mask, lengths)
        steps = Steps(lengths, resets, back, places, cleared)
        if places is not None:
            x = places.to_front(x)
        # whose outputs are zero there, and gradients not read
        elif lengths is not None and not self._has_state:
            x, places = masks.cleared_ends(x, lengths), masks.ends(lengths, x.shape[1])
        return Batch(x, steps), places, counted

    def _each_step_of(self, y, moved):
        """Outputs, or their gradients, with those that have steps moved."""
        if not self.keeps_steps:
            return y
        if not isinstance(y, list):
            return moved(y)
        return [
            moved(part) if part is not None and k < self._output_count else part
            for k, part in enumerate(y)
        ]

    @names_memory
    def backward(self, dy):
        """Gradients of the last ``forward(..., training=True)``.

        Parameters
        ----------
        dy : array_like, or a list of them if the layer returns one
            Gradient of the loss with respect to the output, of its shape; with ``return_state``
            then of the final h, and of the final c. None in a list stands for zeros.

        Returns
        -------
        ndarray, or a list of them if x was one
            Gradient with respect to x. Those of the parameters are added to :attr:`gradients`.

        Raises
        ------
        StateError
            There was no training forward pass, or its backward pass has been already.
        """
        tape = self._tape
        if tape is None or not tape.holds(OUTPUTS):
            raise StateError(
                f"layer {self.name!r} has nothing to go back over: call forward(x, training=True)"
                " first"
            )
        outputs = tape.look(OUTPUTS)
        dy = self._checked_gradients(dy, outputs)
        places, counted = outputs.places, outputs.counted
        if counted is not None:
            dy = self._each_step_of(dy, lambda part: masks.held_backward(part, counted))
        if places is not None:
            dy = self._each_step_of(dy, places.to_front)
        with self._trains, self._guard:
            tape.take(OUTPUTS)
            dx = self.run_backward(dy, tape, LAYER, True)
            self._clear_frozen_gradients()
        if isinstance(dx, list):
            if self.several_inputs:
                return dx
            dx = dx[0]  # those of the states that came with x are in initial_state_gradient
        if dx is None:
            return None
        for part in dy if isinstance(dy, list) else [dy]:
            dx = dx if part is None else apart(dx, part)
        return dx if places is None else places.back(dx)

    def _checked_gradients(self, dy, outputs):
        """What :meth:`backward` was given, for these :class:`_Outputs`."""
        shapes = outputs.shapes
        if not outputs.listed:
            return self._checked_gradient(dy, "dy", shapes[0])
        parts = checks.listed(dy, "dy", "arrays")
        if len(parts) != len(shapes):
            raise ShapeError(
                f"dy has {len(parts)} arrays; layer {self.name!r} returns {len(shapes)}"
            )
        return [
            None if part is None else self._checked_gradient(part, f"dy[{i}]", shape)
            for i, (part, shape) in enumerate(zip(parts, shapes))
        ]

    def _checked_input(self, x):
        x = self._read_input(x, self._dtype, False)
        if self.input_shape is None:
            if x.ndim < 2 or (self._rank and x.ndim != self._rank) or 0 in x.shape[1:]:
                raise ShapeError(
                    f"x has shape {x.shape}; layer {self.name!r} expects {self._axes}, each axis"
                    " but the first at least 1 long"
                )
            with self._guard.writing:
                if self.input_shape is None:  # another thread may have built it meanwhile
                    self.build((None, *x.shape[1:]))
        self._check_shape(x)
        return self._check_values(x)

    def _check_shape(self, x):
        if x.ndim != len(self.input_shape):
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} expects {len(self.input_shape)} axes, "
                f"{_shape_text(self.input_shape)}"
            )
        if self.input_shape[-1] not in (None, x.shape[-1]):
            checks.features(x, "x", self.input_shape[-1], f"layer {self.name!r}")

    def _checked_gradient(self, dy, name, shape):
        dy = checks.float_array(dy, name, self.dtype, convert=False)
        if dy.shape != shape:
            raise ShapeError(f"{name} has shape {dy.shape}; expected {shape}, the output's")
        return dy

    # ---- saving

    def __getstate__(self):
        """What copies and pickles hold.

        Not the layer's model or holder, which take their own layers back themselves. The
        parameters are those of this moment: a pickle reads arrays later.
        """
        state = {
            name: value for name, value in vars(self).items() if name not in ("model", "_holder")
        }
        with self._guard:
            state["_parameters"] = {name: array.copy() for name, array in self._parameters.items()}
        return state

    def __setstate__(self, state):
        """A copy, or a layer out of a pickle."""
        vars(self).update(state)
        if self.rng is not None:
            seeds.forkable(self.rng)

    def __deepcopy__(self, memo):
        """Of the weights at one moment, whatever other threads do."""
        made = memo[id(self)] = type(self).__new__(type(self))
        with self._alone(), self._guard:
            state = copy.deepcopy(self.__getstate__(), memo)
        made.__setstate__(state)
        return made

    def __copy__(self):
        """A layer of its own: two that share their weights would not know of each other's changes."""
        return copy.deepcopy(self)

    def get_config(self):
        """The constructor's arguments as JSON values, dict: what :meth:`from_config` reads.

        For a user-defined class, the arguments of its own constructor are read from the attributes
        of the same names. If it does not keep them so, it defines this method.

        Raises
        ------
        ConfigError
            A user-defined class keeps no attribute of an argument's name.
        """
        config = {"name": self.name, "dtype": self._dtype_given}
        if self._given_input_shape is not None:
            config["input_shape"] = list(self._given_input_shape)
        if not self.trainable:
            config["trainable"] = False
        return config | self._user_arguments(config)

    def _user_arguments(self, known):
        """Arguments that constructors of user-defined classes add to those that are known."""
        found = {}
        for cls in type(self).__mro__:
            if _is_ours(cls.__module__):
                break
            if "__init__" not in vars(cls):
                continue
            for name in argument_names(cls):
                if name in known or name in found:
                    continue
                if not hasattr(self, name):
                    raise ConfigError(
                        f"{cls.__name__} keeps no attribute {name!r} for the argument of its"
                        " constructor; keep it, or define get_config"
                    )
                found[name] = getattr(self, name)
        return found

    @classmethod
    def from_config(cls, config):
        """A new layer from :meth:`get_config`."""
        return cls(**config)

    def _description(self):
        parts = [f"{type(self).__name__} {self.name!r}"]
        if self.built:
            parts += [f"output {self.output_shape}", f"{self.count_params():,} parameters"]
        else:
            parts.append("not built")
        return f"<{', '.join(parts)}{'' if self.trainable else ', frozen'}>"


def one_shape(shapes):
    """The shape of one sample that several arguments say, a dict of their names to tuples; None of an empty one.

    Raises
    ------
    ConfigError
        They say different things.
    """
    merged = None
    for shape in shapes.values():
        known = shape if merged is None else merged
        if len(known) != len(shape) or any(
            None not in pair and pair[0] != pair[1] for pair in zip(known, shape)
        ):
            said = " and ".join(f"{name} says {_shape_text(each)}" for name, each in shapes.items())
            raise ConfigError(f"of one sample {said}; give one of them")
        merged = tuple(a if b is None else b for a, b in zip(known, shape))
    return merged


@dataclass(slots=True)
class _Outputs:
    """What the backward pass of a layer used alone needs to know of its outputs."""

    shapes: list
    listed: bool  # the outputs are a list
    places: masks.Places | masks.Ends | None
    counted: np.ndarray | None


def _undefined(cls):
    missing = [
        method
        for method in (
            "run(self, inputs, tape, node)",
            "run_backward(self, gradients, tape, node, wanted)",
        )
        if method.partition("(")[0] in cls.__abstractmethods__
    ]
    hint = "; Keras's call gives no gradient" if hasattr(cls, "call") else ""
    return (
        f"layer {cls.__name__} defines no {' and no '.join(missing)}, which every layer needs{hint}:"
        " docs/custom-layers.md. A recurrent layer is more easily written as a cell for RNN:"
        " docs/custom-cells.md"
    )


def _shape_text(shape):
    return "(" + ", ".join("any" if extent is None else str(extent) for extent in shape) + ")"


def apart(y, x):
    """y (ndarray), or a copy of it if it may share memory with x."""
    if y.base is None and y is not x and x.base is not y:  # the usual case, in a tenth of the time
        return y
    return y.copy() if np.may_share_memory(y, x) else y
