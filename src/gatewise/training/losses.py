"""Losses. Names, formulas and defaults are Keras's.

A loss is the mean, over batch and steps, of a value at each position; a position is all axes but the
last. With weights it is the sum of weight times value over `normalizer`, by default the number of
positions that count (Keras's ``sum_over_batch_size``).

A loss that ``fuses`` with an activation can start from the scores in front of it: that is exact where
the probabilities themselves have already rounded to 0 or 1.
"""

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels import losses

__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "Loss", "MeanAbsoluteError", "MeanSquaredError",
           "SparseCategoricalCrossentropy", "get", "serialize"]

EPSILON = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras


class Loss:
    """Base of all losses: subclasses define ``_positions``, or name a compiled ``_kernel``, which goes first."""

    name = None
    fuses = None    # the activation whose scores `from_scores` takes
    sparse = False  # targets are class numbers, without the class axis
    needs_whole_sequences = False
    _kernel = None  # in kernels/losses.pyx: for scores where the loss fuses, else for predictions

    def __init__(self, **others):
        checks.neutral(others, "loss", type(self).__name__)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss, a float.

        Parameters
        ----------
        y_true, y_pred : array_like
        sample_weight : array_like, optional
            A weight for each sample or position.
        """
        y_pred = np.require(y_pred, requirements="A")
        if y_pred.dtype.kind not in "buif":
            raise DTypeError(f"y_pred holds {y_pred.dtype} values; loss {self.name} expects numbers")
        if y_pred.ndim == 0:
            raise ShapeError(f"y_pred is a single number; loss {self.name} expects (..., outputs)")
        if y_pred.dtype not in (np.float32, np.float64):
            y_pred = y_pred.astype(np.float64)
        y_true = self.prepare(y_true, y_pred.shape, y_pred.dtype)
        weights = None if sample_weight is None else position_weights(sample_weight, y_pred.shape[:-1], None)
        return self.value_and_gradient(y_true, y_pred, weights, want_gradient=False)[0]

    def prepare(self, y_true, shape, dtype):
        """Targets as an array that fits predictions of `shape`.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
        """
        y = checks.finite(checks.float_array(y_true, "y", dtype, convert=True), "y")
        if y.ndim == len(shape) - 1 and shape[-1] == 1:
            y = y[..., None]
        if y.shape != tuple(shape):
            raise ShapeError(f"y has shape {y.shape}, the model's output has {tuple(shape)}; loss {self.name} expects "
                             f"the same shape")
        return y

    def value_and_gradient(self, y_true, y_pred, weights=None, normalizer=None, *, scores=False, want_gradient=True):
        """The loss, and its gradient with respect to the predictions or scores.

        Parameters
        ----------
        y_true : ndarray, from :meth:`prepare`
        y_pred : ndarray (..., outputs)
            Predictions, or with ``scores=True`` what stands before the activation that the loss fuses.
        weights : ndarray of y_pred.shape[:-1], optional
        normalizer : float, optional
            None: the number of positions.

        Returns
        -------
        value : float
        gradient : ndarray like y_pred, or None
        """
        if scores and self.fuses is None:
            raise ConfigError(f"loss {self.name} starts from predictions; it fuses with no activation")
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
                kernel, y_true.reshape(-1) if self.sparse else np.ascontiguousarray(y_true).reshape(rows),
                np.ascontiguousarray(y_pred).reshape(rows),
                None if weights is None else np.ascontiguousarray(weights, np.float64).reshape(-1), 1 / normalizer,
                gradient.reshape(rows) if want_gradient else None, threads.threads_for(20 * y_pred.size))
            return total / normalizer, gradient
        values, gradient = self._positions(y_true, y_pred, want_gradient)
        if weights is None:
            total = values.sum(dtype=np.float64)
        else:
            total = np.multiply(values, weights, dtype=np.float64).sum()
            if want_gradient:
                gradient *= weights[..., None].astype(y_pred.dtype)
        if want_gradient:
            gradient *= y_pred.dtype.type(1 / normalizer)
        return float(total / normalizer), gradient

    def _positions(self, y_true, y_pred, want_gradient):
        """(value at each position, gradient of their sum or None)."""
        raise TypeError(f"{type(self).__name__} defines no formula")

    def get_config(self):
        """The arguments, as JSON values."""
        return {}


class MeanSquaredError(Loss):
    """Mean over the last axis of ``(y_pred - y_true)^2``."""

    name = "mean_squared_error"
    _kernel = "squared_error"


class MeanAbsoluteError(Loss):
    """Mean over the last axis of ``|y_pred - y_true|``."""

    name = "mean_absolute_error"
    _kernel = "absolute_error"


class _Crossentropy(Loss):
    """With ``from_logits`` the model's output is scores, whatever its activation."""

    def __init__(self, from_logits=False, **others):
        super().__init__(**others)
        self.from_logits = checks.flag(from_logits, "from_logits")

    def value_and_gradient(self, y_true, y_pred, weights=None, normalizer=None, *, scores=False, want_gradient=True):
        return super().value_and_gradient(y_true, y_pred, weights, normalizer, scores=scores or self.from_logits,
                                          want_gradient=want_gradient)

    def get_config(self):
        return {"from_logits": self.from_logits}


class BinaryCrossentropy(_Crossentropy):
    """Mean over the last axis of ``-y log p - (1 - y) log(1 - p)``."""

    name = "binary_crossentropy"
    fuses = "sigmoid"
    _kernel = "binary_crossentropy"

    def _positions(self, y_true, y_pred, want_gradient):
        p = np.clip(y_pred, EPSILON, 1 - EPSILON)
        values = -(y_true * np.log(p) + (1 - y_true) * np.log1p(-p)).mean(axis=-1)
        if not want_gradient:
            return values, None
        inside = (y_pred > EPSILON) & (y_pred < 1 - EPSILON)
        return values, np.where(inside, (p - y_true) / (p * (1 - p)), 0).astype(p.dtype) * p.dtype.type(1 / p.shape[-1])


class CategoricalCrossentropy(_Crossentropy):
    """``-sum y log p`` over the classes of the last axis; y holds one-hot rows or probabilities."""

    name = "categorical_crossentropy"
    fuses = "softmax"
    _kernel = "categorical_crossentropy"

    def _positions(self, y_true, y_pred, want_gradient):
        total = y_pred.sum(axis=-1, keepdims=True)  # Keras scales rows to sum to 1
        q = y_pred / total
        p = np.clip(q, EPSILON, 1 - EPSILON)
        values = -(y_true * np.log(p)).sum(axis=-1)
        if not want_gradient:
            return values, None
        dq = np.where((q > EPSILON) & (q < 1 - EPSILON), -y_true / p, 0)
        return values, ((dq - (dq * q).sum(axis=-1, keepdims=True)) / total).astype(p.dtype)


class SparseCategoricalCrossentropy(_Crossentropy):
    """``-log p[y]`` over the classes of the last axis; y holds class numbers."""

    name = "sparse_categorical_crossentropy"
    fuses = "softmax"
    _kernel = "sparse_crossentropy"
    sparse = True

    def prepare(self, y_true, shape, dtype):
        y = np.asarray(y_true)
        if y.dtype.kind == "b":
            y = y.astype(np.int64)
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            checks.finite(np.ascontiguousarray(y, np.float64), "y")
        if y.dtype.kind == "f" and np.array_equal(y, np.floor(y)):
            y = y.astype(np.int64)
        if y.dtype.kind not in "ui":
            raise DTypeError(f"y holds {y.dtype} values; loss {self.name} expects class numbers")
        if y.ndim == len(shape) and y.shape[-1] == 1:
            y = y[..., 0]
        if y.shape != tuple(shape[:-1]):
            raise ShapeError(f"y has shape {y.shape}, the model's output has {tuple(shape)}; loss {self.name} expects "
                             f"class numbers of shape {tuple(shape[:-1])}")
        if y.size and not (0 <= y.min() and y.max() < shape[-1]):
            bad = y.min() if y.min() < 0 else y.max()
            raise ShapeError(f"y holds class {bad}; the model's output has {shape[-1]} classes, 0 to {shape[-1] - 1}")
        return y.astype(np.intp)

    def _positions(self, y_true, y_pred, want_gradient):
        total = y_pred.sum(axis=-1)
        q = np.take_along_axis(y_pred, y_true[..., None], -1)[..., 0] / total
        p = np.clip(q, EPSILON, 1 - EPSILON)
        if not want_gradient:
            return -np.log(p), None
        inside = (q > EPSILON) & (q < 1 - EPSILON)
        gradient = np.broadcast_to((inside / total)[..., None], y_pred.shape).astype(y_pred.dtype)
        at = np.where(inside, (1 - 1 / p) / total, 0)
        np.put_along_axis(gradient, y_true[..., None], at[..., None].astype(y_pred.dtype), -1)
        return -np.log(p), gradient


def position_weights(sample_weight, shape, lengths):
    """Weights of `shape` (batch, ...) from weights of samples or of positions, zero past each row's length.

    Returns
    -------
    ndarray of float64, or None where every position counts once
    """
    weights = None
    if sample_weight is not None:
        weights = checks.finite(checks.float_array(sample_weight, "sample_weight", "float64", convert=True), "sample_weight")
        if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        if weights.shape != tuple(shape[:weights.ndim]) or weights.ndim == 0:
            raise ShapeError(f"sample_weight has shape {weights.shape}; expected ({shape[0]},), a weight a sample"
                             + (f", or {tuple(shape)}, a weight a step" if len(shape) > 1 else ""))
        weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape)
    if lengths is not None and len(shape) > 1:
        valid = (np.arange(shape[1]) < lengths[:, None]).astype(np.float64)
        valid = np.broadcast_to(valid.reshape(valid.shape + (1,) * (len(shape) - 2)), shape)
        weights = valid if weights is None else weights * valid
    return weights


_BY_NAME = {"mse": MeanSquaredError, "mae": MeanAbsoluteError, "bce": BinaryCrossentropy}
_BY_NAME |= {name.upper(): cls for name, cls in _BY_NAME.items()}
_CLASSES = (MeanSquaredError, MeanAbsoluteError, BinaryCrossentropy, CategoricalCrossentropy,
            SparseCategoricalCrossentropy)
_BY_NAME |= {cls.name: cls for cls in _CLASSES} | {cls.__name__: cls for cls in _CLASSES}


def get(identifier):
    """A loss from a name, a saved configuration, a class or a loss."""
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise ConfigError(f"loss {identifier!r} is not known; choose one of {', '.join(sorted(_BY_NAME))}")
        return _BY_NAME[identifier]()
    if isinstance(identifier, dict):
        return checks.from_config(_BY_NAME, identifier, "loss", "losses")
    raise DTypeError(f"loss is {identifier!r}; expected a name or a gatewise.losses object")


def serialize(loss):
    """What :func:`get` reads back, as JSON values."""
    return {"class_name": type(loss).__name__, "config": loss.get_config()}
