"""What all metrics share: targets and predictions that belong together, positions that count, sums over batches."""

import copy

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.checkpoint.codec import is_numeric, is_storable, storable
from gatewise.configuration import kept_arguments
from gatewise.errors import CheckpointError, ConfigError, DTypeError, ShapeError, did_you_mean
from gatewise.memory import names_memory

from ..losses import position_weights
from .variables import Variable, lasting, new_variable


class Metric(Guarded):
    """Base of all metrics: sums over as many batches as are given, and a result of them.

    A user-defined metric defines ``update_state``, ``result`` and, unless all that it has summed is
    in variables of :meth:`add_variable`, ``reset_state``, as in Keras. Its variables, and
    attributes that are numbers and arrays, go into checkpoints; one that has anything else defines
    ``get_state`` and ``set_state``, too: docs/losses-and-metrics.md.

    Parameters
    ----------
    name : str, optional

    Attributes
    ----------
    direction : {"up", "down"} or None
        What is better; None: not known.
    """

    default_name = None
    dtype = "float64"  # of sums and variables
    direction = None
    # True: targets are class numbers, without the class axis; None: those, or one-hot
    sparse = False
    # a rule of training/targets.py for targets that are no class numbers; None: any number
    takes = None
    # each output is a value of its own: n predictions in one row are n positions of one output
    elementwise = False
    _parts = ()

    _and_then = ", and compile the model with it"
    _variables = ()  # of add_variable: pairs of a Variable and the number that it begins with

    def __init__(self, name=None, **others):
        checks.refuse_unknown_arguments(others, "metric", type(self).__name__, self._argument_names)
        default = type(self).__name__.lower() if self.default_name is None else self.default_name
        self.name = default if name is None else checks.text(name, "name")
        self._variables = []
        self._sums = dict.fromkeys(self._parts, 0.0)
        try:
            self.reset_state()
        except AttributeError:
            if not self._is_ones_own():
                raise  # a user-defined one may reset what its constructor has yet to make

    def add_variable(self, shape=(), initializer="zeros", dtype=None, name=None):
        """A sum of a user-defined metric, as in Keras: it has ``assign``, ``assign_add`` and ``value``.

        ``reset_state`` takes it back to where it began, and checkpoints hold it.

        Parameters
        ----------
        shape : tuple of int
        initializer : {"zeros", "ones"} or float
        dtype : None or str
            Variables are float64 whatever it is.
        name : str, optional
            For the reader; nothing depends on it.

        Returns
        -------
        Variable
            An ndarray of `shape`.

        Raises
        ------
        ConfigError, DTypeError
        """
        if name is not None:
            checks.text(name, "name")
        variable = new_variable(shape, initializer, dtype)
        self._variables.append((variable, variable.flat[0] if variable.size else 0.0))
        return variable

    def add_weight(self, shape=(), initializer="zeros", dtype=None, name=None):
        """:meth:`add_variable` by its other name."""
        return self.add_variable(shape, initializer, dtype, name)

    @property
    def variables(self):
        """list of Variable: those of :meth:`add_variable`."""
        return [variable for variable, _ in self._variables]

    def reset_state(self):
        """Forget all batches."""
        self._sums = dict.fromkeys(self._parts, 0.0)
        for variable, start in self._variables:
            variable.assign(start)

    @names_memory
    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add one batch.

        Parameters
        ----------
        y_true, y_pred : array_like (..., outputs)
            Targets of one output, and class numbers, may lack the last axis.
        sample_weight : array_like, optional
            A weight for each sample or each position. What stands at positions of weight 0 does not
            matter.

        Raises
        ------
        DTypeError, ShapeError, NonFiniteError
        """
        y_true, y_pred = self._matched(_array(y_true, "y_true"), _array(y_pred, "y_pred"))
        if (
            self.takes is not None
            and y_true.shape == y_pred.shape
            and not self.takes.settled(y_true)
        ):
            weights = (
                None
                if sample_weight is None
                else position_weights(sample_weight, y_pred.shape[:-1], None)
            )
            self.takes.check(y_true, weights, "y_true", f"metric {self.name}")
        self._add(*counted_rows(y_true, y_pred, sample_weight))

    def _add(self, y_true, y_pred, weights):
        """Add positions that count: y_true (n, outputs) or class numbers (n,), y_pred (n, outputs), weights (n,) or None."""
        raise DTypeError(_undefined(self, "update_state(self, y_true, y_pred, sample_weight=None)"))

    def _accumulate(self, **parts):
        """Add to sums; arrays have one shape from the first batch on."""
        for name, value in parts.items():
            if np.ndim(self._sums[name]) and np.shape(self._sums[name]) != np.shape(value):
                raise ShapeError(
                    f"metric {self.name} has seen batches whose sums have shape"
                    f" {np.shape(self._sums[name])}, this one gives {np.shape(value)}; expected as"
                    " many outputs as before: call reset_state() first"
                )
        for name, value in parts.items():
            self._sums[name] = self._sums[name] + value

    def result(self):
        """The metric of all batches so far: a float, or an ndarray where there is a value for each of several; 0.0 before any."""
        raise DTypeError(_undefined(self, "result(self)"))

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The result of one batch alone."""
        self.reset_state()
        self.update_state(y_true, y_pred, sample_weight)
        return lasting(self.result())

    def _matched(self, y_true, y_pred):
        """Targets and predictions of shapes that belong together: nothing is broadcast."""
        for name, array in (("y_true", y_true), ("y_pred", y_pred)):
            if array.dtype.kind not in "buif":
                raise DTypeError(
                    f"{name} holds {array.dtype} values; metric {self.name} expects numbers"
                )
        if self.elementwise and y_true.ndim == y_pred.ndim == 1:
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
            y_pred = y_pred[..., None]
        classes, outputs = y_pred.shape[:-1], y_pred.shape[-1] if y_pred.ndim else 0
        sparse = self.sparse
        if sparse is None:
            sparse = y_true.shape != y_pred.shape and outputs > 1
        if sparse and y_true.shape == (*classes, 1):
            y_true = y_true[..., 0]
        elif not sparse and outputs == 1 and y_true.shape == classes:
            y_true = y_true[..., None]
        if outputs == 0 or y_true.shape != (classes if sparse else y_pred.shape):
            raise ShapeError(
                f"y_true has shape {y_true.shape}, y_pred {y_pred.shape}; metric {self.name}"
                " expects"
                f" {'a class number for each row of outputs' if sparse else 'the same shape'}"
            )
        return y_true, y_pred

    def get_state(self):
        """The sums so far, dict of str to float or ndarray of float64: what :meth:`set_state` continues from.

        Raises
        ------
        ConfigError
            A metric of one's own keeps what no file can hold.
        """
        sums = {
            name: value.copy() if isinstance(value, np.ndarray) else value
            for name, value in self._sums.items()
        }
        if not self._is_ones_own():
            return sums
        variables = (
            {"variables": [np.array(variable) for variable in self.variables]}
            if self._variables
            else {}
        )
        return {"sums": sums, "attributes": self._attributes(), **variables}

    def set_state(self, state):
        """Continue from what :meth:`get_state` gave, perhaps in another process.

        Raises
        ------
        CheckpointError
            These are not the sums of such a metric; nothing has changed.
        """
        attributes, variables = {}, []
        if self._is_ones_own():
            parts = {"sums", "attributes", *(("variables",) if self._variables else ())}
            if not (
                isinstance(state, dict)
                and state.keys() == parts
                and isinstance(state["attributes"], dict)
            ):
                raise CheckpointError(
                    f"state of metric {self.name} is {state!r:.80}; expected"
                    f" {', '.join(sorted(parts))}"
                )
            variables = self._read_variables(state.get("variables", []))
            state, attributes = state["sums"], state["attributes"]
            self._check_attributes(attributes)
        if not isinstance(state, dict) or set(state) != set(self._parts):
            held = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise CheckpointError(
                f"state of metric {self.name} holds {held}; expected {sorted(self._parts)}"
            )
        sums = {name: self._read_sum(value, name) for name, value in state.items()}
        if not self._state_fits(sums):
            raise CheckpointError(
                f"state of metric {self.name} has arrays of shapes"
                f" { ({name: np.shape(value) for name, value in sums.items()}) }, which do not fit"
                " its arguments"
            )
        self._sums = sums
        vars(self).update(attributes)
        for variable, value in zip(self.variables, variables):
            variable.assign(value)

    def _read_variables(self, saved):
        shapes = [variable.shape for variable in self.variables]
        good = isinstance(saved, list) and all(
            isinstance(value, np.ndarray) and value.dtype == np.float64 for value in saved
        )
        if not good or [value.shape for value in saved] != shapes:
            raise CheckpointError(
                f"state of metric {self.name} has variables {saved!r:.80}; expected float64 of"
                f" shapes {shapes}"
            )
        return saved

    # ---- metrics of one's own, which may keep anything in attributes

    def _is_ones_own(self):
        return not type(self).__module__.startswith("gatewise.")

    def _attributes(self):
        """dict of name to value of what a file can hold: numbers, text, arrays."""
        kept, changed = {}, None
        for name, value in vars(self).items():
            if name in ("name", "_sums", "_variables") or isinstance(value, Variable):
                continue
            if is_storable(value):
                kept[name] = storable(value)
                continue
            changed = self._changed_by_reset() if changed is None else changed
            if name in changed:
                raise ConfigError(
                    f"metric {self.name} keeps {name}, a {type(value).__name__}, which no"
                    " checkpoint can hold in the middle of an epoch; keep numbers and arrays, or"
                    " define get_state and set_state"
                )
        return kept

    def _changed_by_reset(self):
        """Names of the attributes that are what has been seen, rather than arguments."""
        fresh = copy.deepcopy(self)
        before = dict(vars(fresh))
        fresh.reset_state()
        return {name for name, value in vars(fresh).items() if value is not before.get(name)}

    def _check_attributes(self, saved):
        here = vars(self)
        for name, value in saved.items():
            now = here.get(name)
            alike = (
                is_numeric(value) and value.dtype.kind == now.dtype.kind
                if isinstance(now, np.ndarray)
                else (
                    isinstance(value, str)
                    if isinstance(now, str)
                    else now is None
                    or (
                        isinstance(now, bool | int | float | np.generic)
                        and isinstance(value, int | float)
                    )
                )
            )
            kept_elsewhere = name in ("name", "_sums", "_variables") or isinstance(now, Variable)
            if name not in here or kept_elsewhere or not (alike or value is None):
                raise CheckpointError(
                    f"state of metric {self.name}: {name} is {value!r:.80}, which stands where"
                    f" reset_state puts {now!r:.80}"
                )

    def _read_sum(self, value, name):
        if isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim:
            return value.copy()
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                pass
        raise CheckpointError(
            f"state of metric {self.name}: {name} is a"
            f" {type(value).__name__}{f' of {value.dtype}' if isinstance(value, np.ndarray) else ''};"
            " expected float64 numbers"
        )

    def _state_fits(self, sums):
        """Whether sums of a file have the shapes that this metric's sums have."""
        return all(np.ndim(value) == 0 for value in sums.values())

    def get_config(self):
        """The arguments, as JSON values: of a class of one's own, the attributes that are called like them."""
        return (
            kept_arguments(self)
            if type(self).get_config is Metric.get_config
            else {"name": self.name}
        )


class MeanMetric(Metric):
    """A weighted mean of a value at each position: subclasses define ``_positions``."""

    _parts = ("total", "weight")

    @property
    def is_mean_over_outputs(self):
        """Whether the value of a position is the mean of those of its outputs, so that single ones can be left out."""
        return self.elementwise

    def _add(self, y_true, y_pred, weights):
        values = self._positions(y_true, y_pred)
        if weights is None:
            self._accumulate(total=float(values.sum(dtype=np.float64)), weight=float(values.size))
        else:
            self._accumulate(total=float((values * weights).sum()), weight=float(weights.sum()))

    def _positions(self, y_true, y_pred):
        """The value at each position, ndarray (n,)."""
        raise DTypeError(_undefined(self, "_positions(self, y_true, y_pred)"))

    def result(self):
        """The mean so far, a float; 0.0 before any batch."""
        return ratio(self._sums["total"], self._sums["weight"])


def _undefined(metric, method):
    return (
        f"metric {type(metric).__name__} defines no {method}, which every metric needs:"
        " docs/losses-and-metrics.md shows a user-defined one"
    )


def counted_rows(y_true, y_pred, sample_weight):
    """Targets, predictions and weights, one row a position, without those of weight 0.

    Padding must not count even where it holds NaN, which no multiplication by 0 would remove.
    """
    shape, outputs = y_pred.shape[:-1], y_pred.shape[-1]
    weights = None if sample_weight is None else position_weights(sample_weight, shape, None)
    count = y_pred.size // outputs
    y_true = y_true.reshape((count, *y_true.shape[len(shape) :]))
    y_pred = y_pred.reshape(count, outputs)
    if weights is None:
        return y_true, y_pred, None
    weights = weights.reshape(count)
    counted = weights != 0
    return (
        (y_true, y_pred, weights)
        if counted.all()
        else (y_true[counted], y_pred[counted], weights[counted])
    )


def ratio(part, whole):
    """part / whole, and 0 where whole is 0: a float of floats, an ndarray of ndarrays."""
    if np.ndim(whole) == 0 and np.ndim(part) == 0:
        return float(part / whole) if whole else 0.0
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole != 0)


def one_hot(classes, outputs, name):
    """Rows of zeros with a one at the class number, float64 (n, outputs).

    Raises
    ------
    ShapeError
    """
    numbers = class_numbers(classes, outputs, name)
    rows = np.zeros((len(numbers), outputs))
    rows[np.arange(len(numbers)), numbers] = 1
    return rows


def class_numbers(classes, outputs, name):
    """Class numbers as intp (n,), each in [0, outputs)."""
    with np.errstate(invalid="ignore"):
        numbers = classes.astype(np.intp)
    bad = np.flatnonzero((numbers < 0) | (numbers >= outputs) | (numbers != classes))
    if bad.size:
        raise ShapeError(
            f"y_true holds {classes[bad[0]]}; metric {name} expects class numbers from 0 to"
            f" {outputs - 1}"
        )
    return numbers


def chosen(value, name, choices):
    """`value`, which must be one of the choices."""
    if not any(
        value is choice or (isinstance(value, str) and value == choice) for choice in choices
    ):
        raise ConfigError(
            f"{name} is {value!r}; expected one of"
            f" {', '.join(map(repr, choices))}{did_you_mean(value, choices)}"
        )
    return value


def _array(values, name):
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{name} has rows of different lengths; pad them, and give the padding a weight of 0"
        ) from error
