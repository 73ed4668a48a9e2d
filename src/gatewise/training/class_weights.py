"""Weights of classes, which become weights of positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError

from .preparing import weighted
from .targets import ROUNDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array, Model

    from .data import Samples
    from .losses import Loss


def add_class_weight(
    model: Model, samples: Samples, class_weight: Mapping[int, float] | None
) -> None:
    """Multiply the weights of the samples by those of their classes; None changes nothing.

    Raises
    ------
    ConfigError, DTypeError
    """
    if class_weight is None:
        return
    if len(samples.targets) > 1:
        raise ConfigError(
            f"class_weight was given to a model with {len(samples.targets)} outputs, whose classes"
            " are others; give sample_weight instead, a dict or list with a weight for each target"
            " of an output: sample_weight={"
            f"{model._output_names[0]!r}: weights[y]}}"
        )
    targets: Any = samples.targets[0]
    loss = model._objectives[0].loss
    by_class = _class_weights(
        class_weight, targets.y, loss, model.output_shape[-1], targets.weights
    )
    with np.errstate(over="ignore"):
        weights = by_class if targets.weights is None else weighted(targets.weights, by_class)
    dtype = "float64" if np.float64 in (model.dtype, targets.y.dtype) else "float32"
    targets.weights = checks.summable(
        weights,
        "class_weight" if targets.weights is None else "class_weight and sample_weight",
        dtype,
    )


def _class_weights(
    class_weight: Mapping[int, float] | None,
    y: Any,
    loss: Loss,
    outputs: int,
    weights: Array | None = None,
) -> Array:
    if not isinstance(class_weight, dict):
        raise DTypeError(
            f"class_weight is {class_weight!r}; expected a dict of class number to weight"
        )
    if loss._per_sequence:
        raise ConfigError(
            f"class_weight needs a class a position; loss {loss.name} has rows of labels: give"
            " sample_weight"
        )
    if loss._sparse:
        classes = y
    elif loss._one_hot:
        classes = y.argmax(axis=-1)
    elif y.shape[-1] == 1:
        classes = np.round(y[..., 0])
        wrong = ~(np.abs(y[..., 0] - classes) <= ROUNDING) | (classes < 0)
        if weights is not None:
            wrong &= weights.reshape(classes.shape) != 0
        if wrong.any():
            raise ConfigError(
                f"class_weight needs the classes 0 and 1, y holds {y[..., 0][wrong][0]:g}; make y"
                " whole numbers from 0 up, or give sample_weight, a weight for each target"
            )
    else:
        raise ConfigError(
            f"class_weight needs class targets; loss {loss.name} has {y.shape[-1]} outputs"
        )
    weights = np.ones(classes.shape)
    for label, weight in class_weight.items():
        checks.whole_number(label, "a class of class_weight", 0, max(2, outputs) - 1)
        weights[classes == label] = checks.number(weight, f"class_weight[{label}]", 0.0)
    return weights
