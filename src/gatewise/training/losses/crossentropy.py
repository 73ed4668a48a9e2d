"""Cross-entropies: of yes or no, and of one class among several."""

import numpy as np

from gatewise import checks
from gatewise.errors import DTypeError, ShapeError

from .base import EPSILON, Loss


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
