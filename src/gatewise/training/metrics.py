"""Metrics: means over positions of something a person can read. Names are Keras's."""

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, ShapeError

__all__ = ["Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "MeanAbsoluteError", "MeanSquaredError", "Metric",
           "SparseCategoricalAccuracy", "get", "serialize"]


class Metric:
    """A weighted mean of a value at each position, over as many batches as are given.

    Parameters
    ----------
    name : str, optional
    """

    default_name = None
    sparse = False  # targets are class numbers, without the class axis

    def __init__(self, name=None):
        self.name = self.default_name if name is None else checks.text(name, "name")
        self.reset_state()

    def reset_state(self):
        """Forget all batches."""
        self._total = self._weight = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add one batch: y_true, y_pred (..., outputs), weights of their positions or None.

        Targets of one output, and class numbers, may lack the last axis.

        Raises
        ------
        DTypeError, ShapeError
        """
        values = self._positions(*self._matched(np.asarray(y_true), np.asarray(y_pred)))
        if sample_weight is None:
            self._total += float(values.sum(dtype=np.float64))
            self._weight += values.size
        else:
            weights = np.broadcast_to(np.asarray(sample_weight, np.float64), values.shape)
            self._total += float((values * weights).sum())
            self._weight += float(weights.sum())

    def get_state(self):
        return {"total": self._total, "weight": self._weight}

    def set_state(self, state):
        self._total, self._weight = state["total"], state["weight"]

    def result(self):
        """The mean so far, a float; 0.0 before any batch."""
        return self._total / self._weight if self._weight else 0.0

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The mean of one batch alone."""
        self.reset_state()
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def _matched(self, y_true, y_pred):
        """Targets and predictions of shapes that belong together: nothing is broadcast."""
        for name, array in (("y_true", y_true), ("y_pred", y_pred)):
            if array.dtype.kind not in "buif":
                raise DTypeError(f"{name} holds {array.dtype} values; metric {self.name} expects numbers")
        if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
            y_pred = y_pred[..., None]
        classes, outputs = y_pred.shape[:-1], y_pred.shape[-1] if y_pred.ndim else 0
        if self.sparse and y_true.shape == (*classes, 1):
            y_true = y_true[..., 0]
        elif not self.sparse and outputs == 1 and y_true.shape == classes:
            y_true = y_true[..., None]
        if y_pred.ndim == 0 or y_true.shape != (classes if self.sparse else y_pred.shape):
            raise ShapeError(f"y_true has shape {y_true.shape}, y_pred {y_pred.shape}; metric {self.name} expects "
                             f"{'a class number for each row of outputs' if self.sparse else 'the same shape'}")
        return y_true, y_pred

    def _positions(self, y_true, y_pred):
        raise TypeError(f"{type(self).__name__} defines no formula")

    def get_config(self):
        """The arguments, as JSON values."""
        return {"name": self.name}


class MeanSquaredError(Metric):
    """Mean over the last axis of ``(y_pred - y_true)^2``."""

    default_name = "mean_squared_error"

    def _positions(self, y_true, y_pred):
        return np.square(y_pred - y_true, dtype=np.float64).mean(axis=-1)


class MeanAbsoluteError(Metric):
    """Mean over the last axis of ``|y_pred - y_true|``."""

    default_name = "mean_absolute_error"

    def _positions(self, y_true, y_pred):
        return np.abs(np.subtract(y_pred, y_true, dtype=np.float64)).mean(axis=-1)


class Accuracy(Metric):
    """Part of outputs that equal the target."""

    default_name = "accuracy"

    def _positions(self, y_true, y_pred):
        return (y_pred == y_true).mean(axis=-1)


class BinaryAccuracy(Metric):
    """Part of outputs on the target's side of the threshold.

    Parameters
    ----------
    threshold : float
    """

    default_name = "binary_accuracy"

    def __init__(self, name=None, threshold=0.5):
        super().__init__(name)
        self.threshold = checks.number(threshold, "threshold")

    def _positions(self, y_true, y_pred):
        return ((y_pred > self.threshold) == y_true).mean(axis=-1)

    def get_config(self):
        return super().get_config() | {"threshold": self.threshold}


class CategoricalAccuracy(Metric):
    """Part of positions whose largest output is the class of the one-hot target."""

    default_name = "categorical_accuracy"

    def _positions(self, y_true, y_pred):
        return (y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)).astype(np.float64)


class SparseCategoricalAccuracy(Metric):
    """Part of positions whose largest output is the class with the target's number."""

    default_name = "sparse_categorical_accuracy"
    sparse = True

    def _positions(self, y_true, y_pred):
        return (y_true == y_pred.argmax(axis=-1)).astype(np.float64)


_CLASSES = (Accuracy, BinaryAccuracy, CategoricalAccuracy, MeanAbsoluteError, MeanSquaredError,
            SparseCategoricalAccuracy)
_BY_NAME = {"mse": MeanSquaredError, "mae": MeanAbsoluteError, "MSE": MeanSquaredError, "MAE": MeanAbsoluteError}
_BY_NAME |= {cls.default_name: cls for cls in _CLASSES} | {cls.__name__: cls for cls in _CLASSES}


def get(identifier, loss=None, outputs=None):
    """A metric from a name, a saved configuration, a class or a metric.

    "accuracy" and "acc" mean the accuracy that fits the loss and the number of outputs, as in Keras.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, str):
        if identifier in ("accuracy", "acc"):
            if loss is not None and loss.sparse:
                cls = SparseCategoricalAccuracy
            elif outputs == 1:
                cls = BinaryAccuracy
            else:
                cls = CategoricalAccuracy
            return cls(name=identifier)
        if identifier not in _BY_NAME:
            raise ConfigError(f"metric {identifier!r} is not known; choose one of acc, {', '.join(sorted(_BY_NAME))}")
        return _BY_NAME[identifier](name=None if identifier == _BY_NAME[identifier].__name__ else identifier)
    if isinstance(identifier, dict):
        return checks.from_config(_BY_NAME, identifier, "metric", "metrics")
    raise DTypeError(f"metric is {identifier!r}; expected a name or a gatewise.metrics object")


def serialize(metric):
    """What :func:`get` reads back, as JSON values."""
    return {"class_name": type(metric).__name__, "config": metric.get_config()}
