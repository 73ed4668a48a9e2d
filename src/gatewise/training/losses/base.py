"""What every loss shares: its mean over positions, weights, and the way into the kernels."""

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import Guarded
from gatewise.configuration import accepts, kept_arguments
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels import losses
from gatewise.memory import names_memory

EPSILON = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras


class Loss(Guarded):
    """Base of all losses: subclasses define ``_positions``, or name a compiled ``_kernel``, which goes first.

    A subclass of a finished loss that defines ``_positions`` starts from predictions, by that
    formula alone.
    """

    name = None
    fuses = None  # the activation whose scores `from_scores` takes
    sparse = False  # targets are class numbers, without the class axis
    one_hot = False  # targets are a column a class, 1 at the class of the row
    takes = None  # a rule of training/targets.py: which targets there can be; None: any number
    # a rule of training/outputs.py: which last activations and columns it can learn from; None: any
    needs = None
    # targets, values and weights are one a row of the batch, whatever its steps are
    per_sequence = False
    _kernel = None  # in kernels/losses.pyx: for scores where the loss fuses, else for predictions
    _option = 0.0  # the kernel's number beside the arrays
    # The value of a position is the mean of a value of each target, so that each target can have a
    # weight of its own. Outputs are the targets, or n times as many of them: all targets' first
    # output, then their second, ...
    by_target = False

    def __init_subclass__(cls, **kwargs):
        """A formula of its own puts out of force what it inherits: kernels that compute another one."""
        super().__init_subclass__(**kwargs)
        if cls.name is None:
            cls.name = cls.__name__
        line = [vars(base) for base in cls.__mro__]
        inherited = {
            "_kernel": None,
            "fuses": None,
            "by_target": False,
            "takes": None,
            "needs": None,
        }
        first = {
            name: next(i for i, names in enumerate(line) if name in names)
            for name in ("_positions", *inherited)
        }
        for name, without in inherited.items():
            if first["_positions"] < first[name]:
                setattr(cls, name, without)

    _and_then = ", and compile the model with it"

    def __init__(self, name=None, **others):
        checks.refuse_unknown_arguments(others, "loss", type(self).__name__, self._argument_names)
        if name is not None and name != type(self).name:
            self.name = checks.text(name, "name")

    @names_memory
    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss, a float.

        Parameters
        ----------
        y_true, y_pred : array_like
        sample_weight : array_like, optional
            A weight for each sample or position, or, of a loss that is a mean over targets, for
            each target.
        """
        return self._value_of(y_true, y_pred, sample_weight)

    def _value_of(self, y_true, y_pred, sample_weight, **call):
        """The loss of what a user gave; `call` goes on to value_and_gradient."""
        y_pred = np.require(y_pred, requirements="A")
        if y_pred.dtype.kind not in "buif":
            raise DTypeError(
                f"y_pred holds {y_pred.dtype} values; loss {self.name} expects numbers"
            )
        if y_pred.ndim == 0:
            raise ShapeError(f"y_pred is a single number; loss {self.name} expects (..., outputs)")
        if y_pred.dtype not in (np.float32, np.float64):
            y_pred = y_pred.astype(np.float64)
        if y_pred.ndim == 1 and sample_weight is not None:
            if not self.by_target or np.shape(y_true) not in (y_pred.shape, (*y_pred.shape, 1)):
                raise ShapeError(
                    f"y_pred has shape {y_pred.shape}, which is one row of outputs; with"
                    f" sample_weight loss {self.name} expects (samples, outputs)"
                )
            y_pred = y_pred[:, None]  # samples of one output, of which each can have a weight
        y_true = self.prepare(y_true, y_pred.shape, y_pred.dtype)
        shape = y_pred.shape[:1] if self.per_sequence else y_pred.shape[:-1]
        weights = (
            None
            if sample_weight is None
            else position_weights(sample_weight, shape, None, self, y_pred.shape[-1])
        )
        self.check_targets(y_true, weights)
        return self.value_and_gradient(y_true, y_pred, weights, want_gradient=False, **call)[0]

    def prepare(self, y_true, shape, dtype):
        """Targets as an array that fits predictions of `shape`.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
        """
        y = checks.finite(checks.float_array(y_true, "y", dtype, convert=True), "y")
        expected = (*shape[:-1], self._targets(shape[-1]))
        if y.ndim == len(shape) - 1 and expected[-1] == 1:
            y = y[..., None]
        if y.shape != expected:
            raise ShapeError(
                f"y has shape {y.shape}, the model's output has {tuple(shape)}; loss {self.name}"
                " expects "
                f"{'the same shape' if expected == tuple(shape) else f'targets of shape {expected}'}"
                + self._class_numbers_hint(y, shape)
            )
        return y

    def _class_numbers_hint(self, y, shape):
        """What to do about targets that look like class numbers where rows are expected."""
        alone = y.shape in (tuple(shape[:-1]), (*shape[:-1], 1))
        if not (self.one_hot and alone and y.size and (y == np.round(y)).all() and y.min() >= 0):
            return ""
        return (
            ". y looks like class numbers: take loss 'sparse_categorical_crossentropy', or make"
            f" rows of them, gatewise.utils.to_categorical(y, {shape[-1]})"
        )

    def check_targets(self, y_true, weights=None, places=None):
        """Refuse prepared targets that this loss cannot have, at positions that count; see :mod:`gatewise.training.targets`.

        Raises
        ------
        ConfigError
        """
        if self.takes is not None:
            self.takes.check(y_true, weights, "y", f"loss {self.name}", places)

    def _targets(self, outputs):
        """Columns of the targets for so many outputs."""
        return outputs

    def counted(self, y_true):
        """Where prepared targets count, bool ndarray of their positions; None: everywhere."""
        return None

    def value_and_gradient(
        self, y_true, y_pred, weights=None, normalizer=None, *, scores=False, want_gradient=True
    ):
        """The loss, and its gradient with respect to the predictions or scores.

        Parameters
        ----------
        y_true : ndarray, from :meth:`prepare`
        y_pred : ndarray (..., outputs)
            Predictions, or with ``scores=True`` what stands before the activation that the loss
            fuses.
        weights : ndarray of y_pred.shape[:-1], optional
            Where it is 0, predictions may be anything: they are not counted, and have a gradient of
            0. Of a loss that is `by_target` also of y_true.shape, a weight for each target.
        normalizer : float, optional
            None: the number of positions.

        Returns
        -------
        value : float
        gradient : ndarray like y_pred, or None
        """
        if scores and self.fuses is None:
            raise ConfigError(
                f"loss {self.name} starts from predictions; it fuses with no activation"
            )
        if weights is not None and weights.ndim == y_pred.ndim:
            return self._of_each_target(y_true, y_pred, weights, normalizer, scores, want_gradient)
        positions = y_pred.size // y_pred.shape[-1] if y_pred.shape[-1] else 0
        if normalizer is None:
            normalizer = positions
        if normalizer == 0 or positions == 0:  # an empty batch, or every step padded
            return 0.0, np.zeros_like(y_pred) if want_gradient else None
        kernel = self._kernel if scores == (self.fuses is not None) else None
        if kernel is not None:
            gradient = np.empty(y_pred.shape, y_pred.dtype) if want_gradient else None
            rows = (positions, y_pred.shape[-1])
            total = losses.total(
                kernel,
                y_true.reshape(-1) if self.sparse else np.ascontiguousarray(y_true).reshape(rows),
                np.ascontiguousarray(y_pred).reshape(rows),
                None if weights is None else np.ascontiguousarray(weights, np.float64).reshape(-1),
                1 / normalizer,
                gradient.reshape(rows) if want_gradient else None,
                threads.threads_for(20 * y_pred.size),
                self._option,
            )
            return total / normalizer, gradient
        # what is not finite shows in the loss, and past a row's end it is no matter
        with np.errstate(all="ignore"):
            values, gradient = self._positions(y_true, y_pred, want_gradient)
            if weights is not None:
                values = np.where(weights == 0, 0, np.multiply(values, weights, dtype=np.float64))
                if want_gradient:
                    gradient = np.where(
                        (weights == 0)[..., None],
                        0,
                        gradient * weights[..., None].astype(y_pred.dtype),
                    )
            if want_gradient:
                gradient *= y_pred.dtype.type(1 / normalizer)
        return float(values.sum(dtype=np.float64) / normalizer), gradient

    def _of_each_target(self, y_true, y_pred, weights, normalizer, scores, want_gradient):
        """The same with a weight for each target: each target becomes a position of its own."""
        targets = y_true.shape[-1]
        each = y_pred.shape[-1] // targets
        apart = np.ascontiguousarray(
            y_pred.reshape(*y_pred.shape[:-1], each, targets).swapaxes(-1, -2)
        )
        value, gradient = Loss.value_and_gradient(
            self,
            y_true[..., None],
            apart,
            weights,
            None if normalizer is None else normalizer * targets,
            scores=scores,
            want_gradient=want_gradient,
        )
        return value, None if gradient is None else gradient.swapaxes(-1, -2).reshape(y_pred.shape)

    def _positions(self, y_true, y_pred, want_gradient):
        """(value at each position, gradient of their sum or None)."""
        has_call = (
            "; its call(y_true, y_pred), Keras's, gives no gradient"
            if hasattr(self, "call")
            else ""
        )
        raise DTypeError(
            f"loss {type(self).__name__} defines no _positions(self, y_true, y_pred,"
            " want_gradient), which gives the value at each position and its gradient:"
            f" docs/losses-and-metrics.md shows a user-defined loss{has_call}"
        )

    def get_config(self):
        """The arguments, as JSON values: of a user-defined class, the attributes that have their names."""
        kept = kept_arguments(self)
        return kept | self._name_given() if accepts(type(self), "name") else kept

    def _name_given(self):
        """{"name": name} if the loss was given one, for :meth:`get_config`."""
        return {"name": self.name} if "name" in vars(self) else {}


def position_weights(sample_weight, shape, lengths, loss=None, outputs=0):
    """Weights of `shape` (batch, ...) from weights of samples or of positions, zero past each row's length.

    With a loss that is `by_target`, and the number of outputs of the model, a weight for each
    target is accepted as well.

    Returns
    -------
    ndarray of float64 of `shape`, or with a last axis of targets; None where every position counts
    once
    """
    weights = None
    if sample_weight is not None:
        weights = checks.finite(
            checks.float_array(sample_weight, "sample_weight", "float64", convert=True),
            "sample_weight",
        )
        checks.summable(weights, "sample_weight")
        if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        each_output = (
            loss is not None and not loss.per_sequence and weights.shape[:-1] == tuple(shape)
        )
        weights = (
            _target_weights(weights, loss, outputs) if each_output else _spread(weights, shape)
        )
    if lengths is not None and len(shape) > 1:
        valid = (np.arange(shape[1]) < lengths[:, None]).astype(np.float64)
        valid = np.broadcast_to(valid.reshape(valid.shape + (1,) * (len(shape) - 2)), shape)
        weights = valid if weights is None else weights * valid
    return weights


def _spread(weights, shape):
    """Weights of samples or positions as weights of all positions."""
    if weights.shape != tuple(shape[: weights.ndim]) or weights.ndim == 0:
        raise ShapeError(
            f"sample_weight has shape {weights.shape}; expected ({shape[0]},), a weight a sample"
            + (f", or {tuple(shape)}, a weight a step" if len(shape) > 1 else "")
        )
    return np.broadcast_to(
        weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape
    )


def _target_weights(weights, loss, outputs):
    """A weight for each target."""
    if not loss.by_target:
        raise ShapeError(
            f"sample_weight has shape {weights.shape}, a weight for each output; loss {loss.name}"
            f" is no mean over outputs: give a weight a position, of shape {weights.shape[:-1]}"
        )
    targets = loss._targets(outputs)
    if weights.shape[-1] != targets:
        raise ShapeError(
            f"sample_weight has shape {weights.shape}; expected {(*weights.shape[:-1], targets)}, a"
            f" weight for each target, or {weights.shape[:-1]}"
        )
    return weights
