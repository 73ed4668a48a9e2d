"""Cross-entropies: of yes or no, and of one class among several."""

import numpy as np

from gatewise import checks
from gatewise.errors import DTypeError, ShapeError

from .. import outputs
from ..targets import Distribution, YesOrNo
from .base import EPSILON, Loss


class _Crossentropy(Loss):
    """With ``from_logits`` the model's output is scores, whatever its activation.

    ``label_smoothing`` in [0, 1] is the part of each target that is spread evenly over all classes.
    """

    def __init__(self, from_logits=False, label_smoothing=0.0, **others):
        super().__init__(**others)
        self.from_logits = checks.flag(from_logits, "from_logits")
        self.label_smoothing = checks.number(label_smoothing, "label_smoothing", 0.0, 1.0)

    def value_and_gradient(
        self, y_true, y_pred, weights=None, normalizer=None, *, scores=False, want_gradient=True
    ):
        return super().value_and_gradient(
            self._smooth(y_true, y_pred.shape[-1]),
            y_pred,
            weights,
            normalizer,
            scores=scores or self.from_logits,
            want_gradient=want_gradient,
        )

    def _smooth(self, y_true, classes):
        """Targets of which a part is spread over the classes."""
        if self.label_smoothing == 0:
            return y_true
        return y_true * y_true.dtype.type(1 - self.label_smoothing) + y_true.dtype.type(
            self.label_smoothing / classes
        )

    def get_config(self):
        return {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        } | self._name_given()


class BinaryCrossentropy(_Crossentropy):
    """Mean over the last axis of ``-y log p - (1 - y) log(1 - p)``.

    Parameters
    ----------
    from_logits : bool
        The model's output is scores, whatever its activation.
    label_smoothing : float in [0, 1]
        Targets are ``y (1 - label_smoothing) + label_smoothing / 2``.
    """

    name = "binary_crossentropy"
    by_target = True
    fuses = "sigmoid"
    takes = YesOrNo()
    needs = staticmethod(outputs.probabilities)
    _kernel = "binary_crossentropy"

    def _smooth(self, y_true, classes):
        return super()._smooth(y_true, 2)

    def _positions(self, y_true, y_pred, want_gradient):
        p = np.clip(y_pred, EPSILON, 1 - EPSILON)
        values = -(y_true * np.log(p) + (1 - y_true) * np.log1p(-p)).mean(axis=-1)
        if not want_gradient:
            return values, None
        inside = (y_pred > EPSILON) & (y_pred < 1 - EPSILON)
        return values, np.where(inside, (p - y_true) / (p * (1 - p)), 0).astype(
            p.dtype
        ) * p.dtype.type(1 / p.shape[-1])


class CategoricalCrossentropy(_Crossentropy):
    """``-sum y log p`` over the classes of the last axis; y holds one-hot rows or probabilities.

    Parameters
    ----------
    from_logits : bool
        The model's output is scores, whatever its activation.
    label_smoothing : float in [0, 1]
        Targets are ``y (1 - label_smoothing) + label_smoothing / classes``.
    """

    name = "categorical_crossentropy"
    fuses = "softmax"
    takes = Distribution()
    needs = staticmethod(outputs.classes)
    _kernel = "categorical_crossentropy"
    one_hot = True

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
    """``-log p[y]`` over the classes of the last axis; y holds class numbers.

    Parameters
    ----------
    from_logits : bool
        The model's output is scores, whatever its activation.
    ignore_class : int, optional
        Positions with this class, which may be any number, count in nothing: neither in the loss
        nor in its mean, and in a model not in the metrics (Keras's metrics know nothing of it).
    label_smoothing : float in [0, 1]
        What :class:`CategoricalCrossentropy` makes of it, and ``torch.nn.CrossEntropyLoss``; Keras
        has none here.
    """

    name = "sparse_categorical_crossentropy"
    fuses = "softmax"
    _kernel = "sparse_crossentropy"
    needs = staticmethod(outputs.classes)
    sparse = True

    def __init__(self, from_logits=False, ignore_class=None, label_smoothing=0.0, **others):
        super().__init__(from_logits, label_smoothing, **others)
        if ignore_class is not None:
            ignore_class = checks.whole_number(ignore_class, "ignore_class", -checks.MAX_EXTENT)
        self.ignore_class = ignore_class

    @property
    def _option(self):
        return self.label_smoothing

    def _smooth(self, y_true, classes):
        return y_true  # class numbers stay whole: the formulas do it

    def prepare(self, y_true, shape, dtype):
        """Class numbers, -1 where they are ignored: see :meth:`Loss.prepare`."""
        y = np.asarray(y_true)
        if y.dtype.kind == "b":
            y = y.astype(np.int64)
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            checks.finite(np.ascontiguousarray(y, np.float64), "y")
        if y.dtype.kind == "f" and np.array_equal(y, np.floor(y)):
            y = y.astype(np.int64)
        if y.dtype.kind not in "ui":
            found = f"{y[y != np.floor(y)][0]:g}" if y.dtype.kind == "f" else f"{y.dtype} values"
            raise DTypeError(f"y holds {found}; loss {self.name} expects class numbers")
        if y.ndim == len(shape) and y.shape[-1] == 1:
            y = y[..., 0]
        if y.shape != tuple(shape[:-1]):
            raise ShapeError(
                f"y has shape {y.shape}, the model's output has {tuple(shape)}; loss {self.name}"
                f" expects class numbers of shape {tuple(shape[:-1])}"
                + (
                    "; of rows with a column for each class take loss 'categorical_crossentropy',"
                    " or y.argmax(axis=-1)"
                    if y.shape == tuple(shape)
                    else ""
                )
            )
        classes = y
        if self.ignore_class is not None:
            ignored = y == self.ignore_class
            classes, y = y[~ignored], np.where(ignored, -1, y.astype(np.int64))
        if classes.size and not (0 <= classes.min() and classes.max() < shape[-1]):
            bad = classes.min() if classes.min() < 0 else classes.max()
            raise ShapeError(
                f"y holds class {bad}; the model's output has {shape[-1]} classes, 0 to"
                f" {shape[-1] - 1}: number the classes from 0, or give the last layer more columns"
            )
        return y.astype(np.intp)

    def counted(self, y_true):
        return None if self.ignore_class is None else y_true >= 0

    def value_and_gradient(
        self, y_true, y_pred, weights=None, normalizer=None, *, scores=False, want_gradient=True
    ):
        counted = self.counted(y_true)
        if counted is not None:
            weights = (
                counted.astype(np.float64) if weights is None else np.where(counted, weights, 0)
            )
            normalizer = int(counted.sum()) if normalizer is None else normalizer
            y_true = np.where(counted, y_true, 0)
        return super().value_and_gradient(
            y_true, y_pred, weights, normalizer, scores=scores, want_gradient=want_gradient
        )

    def _positions(self, y_true, y_pred, want_gradient):
        if self.label_smoothing:
            return self._smoothed_positions(y_true, y_pred, want_gradient)
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

    def _smoothed_positions(self, y_true, y_pred, want_gradient):
        """As with one-hot rows, which every class has a part in."""
        dense = CategoricalCrossentropy(label_smoothing=self.label_smoothing)
        rows = np.zeros_like(y_pred)
        np.put_along_axis(rows, y_true[..., None], 1, -1)
        return dense._positions(dense._smooth(rows, y_pred.shape[-1]), y_pred, want_gradient)

    def get_config(self):
        return super().get_config() | {"ignore_class": self.ignore_class}
