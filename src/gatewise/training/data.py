"""The samples of a call: arrays that fit the model, and batches of them."""

from dataclasses import dataclass

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, ShapeError

from .losses import position_weights


@dataclass
class Samples:
    """Checked arrays with one row a sample; None where not given."""

    x: np.ndarray
    y: np.ndarray | None = None
    weights: np.ndarray | None = None
    lengths: np.ndarray | None = None
    resets: np.ndarray | None = None
    valid: np.ndarray | None = None     # 1 at positions that count, 0 at padding: what metrics weigh by

    def __len__(self):
        return len(self.x)

    def take(self, rows):
        """The samples of an index array or slice."""
        return Samples(*(None if array is None else array[rows]
                         for array in (self.x, self.y, self.weights, self.lengths, self.resets, self.valid)))


def prepare_samples(model, x, y=None, sample_weight=None, lengths=None, resets=None, need_y=True):
    """Check what a call of a model was given, and bring it to the model's dtype and shapes.

    x of rank 2 gets the last axis of 1 that a recurrent model of one feature asks for. The model is built
    if it was not.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ConfigError
    """
    x = checks.float_array(x, "x", model.dtype, convert=True)
    if x.ndim == 0:
        raise ShapeError(f"x is a single number; expected (samples, ...), as the model's input {model.input_shape}")
    x = model.match_input(x)
    checks.finite(x, "x")
    for name, value in (("lengths", lengths), ("resets", resets)):
        if value is not None and not model.reads_sequences():
            raise ConfigError(f"{name} was given to a model with no recurrent layer and no steps in its output; leave it out")
    lengths = checks.sequence_lengths(lengths, x.shape[0], x.shape[1] if x.ndim > 1 else 0)
    resets = checks.reset_flags(resets, *x.shape[:2]) if resets is not None else None
    if y is None:
        if need_y:
            raise ConfigError("y is missing: give the targets")
        return Samples(x, lengths=lengths, resets=resets)
    shape = model.compute_output_shape(x.shape)
    _check_rows(y, x)
    y = model.loss.prepare(y, shape, model.dtype)
    counted = lengths if model.keeps_steps() else None
    if model.loss.per_sequence:
        return Samples(x, y, position_weights(sample_weight, shape[:1], None), lengths, resets)
    weights, valid = position_weights(sample_weight, shape[:-1], counted), position_weights(None, shape[:-1], counted)
    looked_at = model.loss.counted(y)
    if looked_at is not None:
        weights, valid = (looked_at * (1.0 if array is None else array) for array in (weights, valid))
    return Samples(x, y, weights, lengths, resets, valid)


def add_class_weight(samples, class_weight, loss, outputs):
    """Multiply the weights of the samples by those of their classes; None changes nothing."""
    if class_weight is not None:
        by_class = _class_weights(class_weight, samples.y, loss, outputs)
        samples.weights = by_class if samples.weights is None else samples.weights * by_class


def _check_rows(y, x):
    rows = len(y) if hasattr(y, "__len__") and getattr(y, "ndim", 1) else None
    if rows != len(x):
        raise ShapeError(f"y has {rows} rows, x has {len(x)}; expected one target a sample")


def _class_weights(class_weight, y, loss, outputs):
    if not isinstance(class_weight, dict):
        raise DTypeError(f"class_weight is {class_weight!r}; expected a dict of class number to weight")
    if loss.per_sequence:
        raise ConfigError(f"class_weight needs a class a position; loss {loss.name} has rows of labels: give sample_weight")
    if loss.sparse:
        classes = y
    elif loss.one_hot:
        classes = y.argmax(axis=-1)
    elif y.shape[-1] == 1:
        classes = y[..., 0].astype(np.intp)
    else:
        raise ConfigError(f"class_weight needs class targets; loss {loss.name} has {y.shape[-1]} outputs")
    weights = np.ones(classes.shape)
    for label, weight in class_weight.items():
        checks.whole_number(label, "a class of class_weight", 0, max(2, outputs) - 1)
        weights[classes == label] = checks.number(weight, f"class_weight[{label}]", 0.0)
    return weights


def split_off_validation(samples, fraction):
    """(training, validation): the last part of the samples, as Keras does, before any shuffling."""
    fraction = checks.fraction(fraction, "validation_split")
    at = int(len(samples) * (1 - fraction))
    if at == 0 or at == len(samples):
        raise ShapeError(f"validation_split {fraction} of {len(samples)} samples leaves one side empty")
    return samples.take(slice(None, at)), samples.take(slice(at, None))


def batch_bounds(count, batch_size):
    """(first, last) of each batch."""
    return [(first, min(first + batch_size, count)) for first in range(0, count, batch_size)]
