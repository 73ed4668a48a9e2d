"""Cross-entropies: of yes or no, and of one class among several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import DTypeError, ShapeError

from .. import outputs
from ..targets import Distribution, YesOrNo
from .base import EPSILON, Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, ArrayLike, BoolArray, Config


class _Crossentropy(Loss):
    """What cross-entropies share: scores as predictions, and smoothed targets.

    Parameters
    ----------
    from_logits : bool, default False
        Whether the model's output is scores, whatever its activation.
    label_smoothing : float, default 0.0
        In [0, 1]: part of each target that is spread evenly over all classes.
    """

    from_logits: bool
    label_smoothing: float

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, **others: Any
    ) -> None:
        super().__init__(**others)
        self.from_logits = checks.flag(from_logits, "from_logits")
        self.label_smoothing = checks.number(label_smoothing, "label_smoothing", 0.0, 1.0)

    def value_and_gradient(
        self,
        y_true: Array,
        y_pred: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        *,
        scores: bool = False,
        want_gradient: bool = True,
    ) -> tuple[float, Array | None]:
        return super().value_and_gradient(
            self._smooth(y_true, y_pred.shape[-1]),
            y_pred,
            weights,
            normalizer,
            scores=scores or self.from_logits,
            want_gradient=want_gradient,
        )

    def _smooth(self, y_true: Array, classes: int) -> Array:
        """Targets of which a part is spread over the classes."""
        if self.label_smoothing == 0:
            return y_true
        return y_true * y_true.dtype.type(1 - self.label_smoothing) + y_true.dtype.type(
            self.label_smoothing / classes
        )

    def get_config(self) -> Config:
        return {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        } | self._name_given()


class BinaryCrossentropy(_Crossentropy):
    """Mean over the last axis of ``-y log p - (1 - y) log(1 - p)``.

    Parameters
    ----------
    from_logits : bool, default False
        Whether the model's output is scores, whatever its activation.
    label_smoothing : float, default 0.0
        In [0, 1]: targets become ``y (1 - label_smoothing) + label_smoothing / 2``.
    **others
        ``name``, and arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import BinaryCrossentropy
    >>> round(BinaryCrossentropy()([[1.0]], [[0.5]]), 4)
    0.6931
    """

    name = "binary_crossentropy"
    _by_target = True
    _fuses = "sigmoid"
    _takes = YesOrNo()
    _needs = staticmethod(outputs.probabilities)
    _kernel = "binary_crossentropy"

    def _smooth(self, y_true: Array, classes: int) -> Array:
        return super()._smooth(y_true, 2)

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
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
    from_logits : bool, default False
        Whether the model's output is scores, whatever its activation.
    label_smoothing : float, default 0.0
        In [0, 1]: targets become ``y (1 - label_smoothing) + label_smoothing / classes``.
    **others
        ``name``, and arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import CategoricalCrossentropy
    >>> round(CategoricalCrossentropy()([[1.0, 0.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    name = "categorical_crossentropy"
    _fuses = "softmax"
    _takes = Distribution()
    _needs = staticmethod(outputs.classes)
    _kernel = "categorical_crossentropy"
    _one_hot = True

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
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
    from_logits : bool, default False
        Whether the model's output is scores, whatever its activation.
    ignore_class : int, optional
        Positions with this class, which may be any number, do not count: neither in the loss nor in
        its mean, and in a model not in the metrics (Keras's metrics count them).
    label_smoothing : float, default 0.0
        In [0, 1]: as in :class:`CategoricalCrossentropy` and ``torch.nn.CrossEntropyLoss``; Keras
        has none here.
    **others
        ``name``, and arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import SparseCategoricalCrossentropy
    >>> round(SparseCategoricalCrossentropy()([0], [[0.5, 0.5]]), 4)
    0.6931
    """

    name = "sparse_categorical_crossentropy"
    _fuses = "softmax"
    _kernel = "sparse_crossentropy"
    _needs = staticmethod(outputs.classes)
    _sparse = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        label_smoothing: float = 0.0,
        **others: Any,
    ) -> None:
        super().__init__(from_logits, label_smoothing, **others)
        if ignore_class is not None:
            ignore_class = checks.whole_number(ignore_class, "ignore_class", -checks.MAX_EXTENT)
        self.ignore_class = ignore_class

    @property
    def _option(self) -> float:
        return self.label_smoothing

    def _smooth(self, y_true: Array, classes: int) -> Array:
        return y_true  # class numbers stay whole: the formulas do it

    def prepare(self, y_true: ArrayLike, shape: Sequence[int], dtype: Any) -> Array:
        """Class numbers, -1 if they are ignored: see :meth:`Loss.prepare`.

        Parameters
        ----------
        y_true : array_like of int
            Class numbers, with a last axis of extent 1 or without.
        shape : tuple of int
            That of the predictions.
        dtype : dtype
            Ignored: class numbers are integers.

        Returns
        -------
        intp ndarray of shape[:-1]
            What :meth:`value_and_gradient` takes.
        """
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

    def _counted(self, y_true: Array) -> BoolArray | None:
        return None if self.ignore_class is None else y_true >= 0

    def value_and_gradient(
        self,
        y_true: Array,
        y_pred: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        *,
        scores: bool = False,
        want_gradient: bool = True,
    ) -> tuple[float, Array | None]:
        counted = self._counted(y_true)
        if counted is not None:
            weights = (
                counted.astype(np.float64) if weights is None else np.where(counted, weights, 0)
            )
            normalizer = int(counted.sum()) if normalizer is None else normalizer
            y_true = np.where(counted, y_true, 0)
        return super().value_and_gradient(
            y_true, y_pred, weights, normalizer, scores=scores, want_gradient=want_gradient
        )

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        if self.label_smoothing:
            return self._smoothed_values(y_true, y_pred, want_gradient)
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

    def _smoothed_values(self, y_true, y_pred, want_gradient):
        """As for one-hot rows, of which every class has a part."""
        dense = CategoricalCrossentropy(label_smoothing=self.label_smoothing)
        rows = np.zeros_like(y_pred)
        np.put_along_axis(rows, y_true[..., None], 1, -1)
        return dense.position_values(dense._smooth(rows, y_pred.shape[-1]), y_pred, want_gradient)

    def get_config(self) -> Config:
        return super().get_config() | {"ignore_class": self.ignore_class}
