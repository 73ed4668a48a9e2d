"""Normalisation: over the batch, with moving averages for inference, and over the features of
each position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, initializers
from gatewise.attributes import checked
from gatewise.errors import ConfigError, NonFiniteError, ShapeError

from .base import Layer
from .masks import counted_steps
from .options import fixed
from .specs import ParameterSpec
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config
    from gatewise.layers.tape import Batch, Tape


class _Normalization(Layer):
    """What the normalisations share: gamma and beta over the last axis."""

    center: bool = fixed(checks.flag)
    scale: bool = fixed(checks.flag)
    epsilon: float = checked(checks.number, low=0.0, open_low=True)

    def __init__(
        self,
        axis: Any = -1,
        epsilon: Any = 1e-3,
        center: bool = True,
        scale: Any = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple) and len(axis) == 1:
            axis = axis[0]
        if axis != -1:
            raise ConfigError(
                f"{type(self).__name__}: axis is {axis!r}; expected -1: the last axis holds the"
                " features"
            )
        self.epsilon = epsilon
        self.center, self.scale = center, scale
        self._weight_options = {
            "gamma": WeightOptions("gamma", gamma_initializer, gamma_regularizer, gamma_constraint),
            "beta": WeightOptions("beta", beta_initializer, beta_regularizer, beta_constraint),
        }

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch, ...,"
                " features) with a known number of features"
            )
        names = [name for name, wanted in (("gamma", self.scale), ("beta", self.center)) if wanted]
        return [self._weight_options[name].spec(name, (input_shape[-1],)) for name in names]

    def _scaled(self, normalized: Any) -> Any:
        """gamma x + beta, a new array."""
        y = normalized * self._parameters["gamma"] if self.scale else normalized.copy()
        if self.center:
            y += self._parameters["beta"]
        return y

    def _scaled_backward(self, normalized: Any, dy: Array) -> Any:
        """Gradient of what was scaled; those of gamma and beta are added.

        Rows (n, features); sums in float64.
        """
        if self.scale and self._trainable:
            self._gradients["gamma"] += (dy * normalized).sum(axis=0, dtype=np.float64)
        if self.center and self._trainable:
            self._gradients["beta"] += dy.sum(axis=0, dtype=np.float64)
        return dy * self._parameters["gamma"] if self.scale else dy

    def get_config(self) -> Config:
        config = super().get_config() | {
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
        }
        for options in self._weight_options.values():
            config |= options.get_config()
        return config


class BatchNormalization(_Normalization):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` of each feature (Ioffe and
    Szegedy 2015).

    In training mean and variance are those of the batch, over all axes but the last, and moving
    averages follow them; at inference the averages are used. Names and defaults are Keras's. A step
    past its row's length counts in neither, and its output is zero. Sums are in float64, in one
    order whatever the number of threads. A frozen layer (``trainable=False``) uses the averages in
    training too, and leaves them as they are.

    Parameters
    ----------
    axis : -1
        The features; no other axis can be chosen.
    momentum : float in [0, 1]
        What the averages keep of themselves in each training pass.
    epsilon : float
    center, scale : bool
        Whether there is beta; gamma.
    beta_initializer, gamma_initializer : str or Initializer
    moving_mean_initializer, moving_variance_initializer : str or Initializer
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional

    Weights in order: gamma, beta, moving_mean, moving_variance, each (features,). The last two have
    no gradient, and no optimizer moves them.
    """

    momentum: float = checked(checks.number, low=0.0, high=1.0)

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: Any = 1e-3,
        center: bool = True,
        scale: Any = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis, epsilon, center, scale, beta_initializer, gamma_initializer, **kwargs
        )
        self.momentum = momentum
        self.moving_initializers: dict[str, initializers.Initializer] = {
            "moving_mean": initializers.get(moving_mean_initializer, "moving_mean_initializer"),
            "moving_variance": initializers.get(
                moving_variance_initializer, "moving_variance_initializer"
            ),
        }

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        return [
            *super().parameter_specs(input_shape),
            *(
                ParameterSpec(name, (input_shape[-1],), initializer, trained=False)
                for name, initializer in self.moving_initializers.items()
            ),
        ]

    def set_weights(self, weights: Sequence[Any]) -> None:
        weights = checks.listed(weights, "weights", "arrays")
        variance = (
            checks.float_array(
                weights[-1], f"{self.name}/moving_variance", self.dtype, convert=True
            )
            if weights
            else None
        )
        if variance is not None and (variance < 0).any():
            raise ConfigError(
                f"{self.name}/moving_variance holds {variance.min()}; a variance is never negative"
            )
        super().set_weights(weights)

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x, lengths = inputs.values, inputs.lengths
        counted = None if lengths is None or x.ndim < 3 else counted_steps(lengths, x.shape[:2])
        rows = x.reshape(-1, x.shape[-1]) if counted is None else x[counted]
        if tape is not None and self._trainable:
            y, saved = self._of_batch(rows, tape)
        else:
            p = self._parameters
            inverse = 1 / np.sqrt(p["moving_variance"] + x.dtype.type(self.epsilon))
            y = self._scaled((rows - p["moving_mean"]) * inverse)
            saved = {"normalized": None, "inverse": inverse}
        if tape is not None:
            tape.keep(node, saved | {"counted": counted})
        return inputs.with_values(_put_rows(y, counted, x.shape))

    def _of_batch(self, rows: Array, tape: Tape) -> Any:
        """Output, and what backward needs; the averages move on when the pass is over."""
        if len(rows) == 0:
            return rows.copy(), {"normalized": rows, "inverse": None}
        with np.errstate(over="ignore", invalid="ignore"):
            mean = rows.mean(axis=0, dtype=np.float64)
            normalized = rows - mean.astype(rows.dtype)
            variance = np.square(normalized).mean(axis=0, dtype=np.float64)
        self._refuse_overflow(rows, variance)
        inverse = (1 / np.sqrt(variance + self.epsilon)).astype(rows.dtype)
        normalized *= inverse
        # after the pass, so that another thread's pass never reads one of before and one of after
        tape.afterwards(lambda: self._move({"moving_mean": mean, "moving_variance": variance}))
        return self._scaled(normalized), {"normalized": normalized, "inverse": inverse}

    def _refuse_overflow(self, rows: Array, variance: Any) -> None:
        """Refuse finite numbers whose variance the moving average cannot hold: inference would
        not be what training was.
        """
        for feature in np.flatnonzero(~np.isfinite(variance)):
            if np.isfinite(rows[:, feature]).all():
                raise NonFiniteError(
                    f"layer {self.name!r}: feature {feature} goes from {rows[:, feature].min()} to"
                    f" {rows[:, feature].max()}, whose variance overflows {self.dtype}; scale what"
                    " the layer"
                    f" reads{', or compute in float64' if self.dtype == 'float32' else ''}"
                )

    def _move(self, found: Any) -> None:
        """Move the averages towards those of a batch, dict of name to ndarray."""
        for name, value in found.items():
            average = self._parameters[name]
            average[...] = average * self.momentum + value * (1 - self.momentum)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        saved, dy = tape.take(node), gradients
        counted, normalized = saved["counted"], saved["normalized"]
        rows = dy.reshape(-1, dy.shape[-1]) if counted is None else dy[counted]
        if normalized is None:  # by the averages, of a frozen layer
            d = rows * (
                self._parameters["gamma"] * saved["inverse"] if self.scale else saved["inverse"]
            )
            return _put_rows(d, counted, dy.shape) if wanted else None
        d = self._scaled_backward(normalized, rows)
        if not wanted:
            return None
        if len(rows):
            mean, slope = (
                d.mean(axis=0, dtype=np.float64),
                (d * normalized).mean(axis=0, dtype=np.float64),
            )
            d = (d - mean.astype(d.dtype) - normalized * slope.astype(d.dtype)) * saved["inverse"]
        return _put_rows(d, counted, dy.shape)

    def get_config(self) -> Config:
        config = super().get_config() | {"momentum": self.momentum}
        for name, initializer in self.moving_initializers.items():
            config[f"{name}_initializer"] = initializers.serialize(initializer)
        return config


class LayerNormalization(_Normalization):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` over the features of each
    position (Ba et al. 2016).

    Names and defaults are Keras's. The same in training and at inference, and no position depends
    on another.

    Parameters
    ----------
    axis : -1
        The features; no other axis can be chosen.
    epsilon : float
    center, scale : bool
        Whether there is beta; gamma.
    beta_initializer, gamma_initializer : str or Initializer
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional
    """

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        normalized, inverse = _normalized_rows(
            x.reshape(-1, x.shape[-1]), x.dtype.type(self.epsilon)
        )
        if tape is not None:
            tape.keep(node, {"normalized": normalized, "inverse": inverse})
        return inputs.with_values(self._scaled(normalized).reshape(x.shape))

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        saved, dy = tape.take(node), gradients
        normalized = saved["normalized"]
        d = self._scaled_backward(normalized, dy.reshape(-1, dy.shape[-1]))
        if not wanted:
            return None
        d = (
            d
            - d.mean(axis=1, keepdims=True)
            - normalized * (d * normalized).mean(axis=1, keepdims=True)
        )
        return (d * saved["inverse"]).reshape(dy.shape)


def _normalized_rows(rows: Array, epsilon: Any) -> Any:
    """((x - mean) / sqrt(variance + epsilon), 1 / sqrt(variance + epsilon)) of each row (n,
    features).

    Rows whose sum or variance overflows are divided by a power of two first.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        normalized = rows - rows.mean(axis=1, keepdims=True)
        variance = np.square(normalized).mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt(variance + epsilon)
    large = np.flatnonzero(~np.isfinite(variance))
    if not large.size:
        normalized *= inverse
        return normalized, inverse
    shrink = np.ones_like(variance)
    _, exponents = np.frexp(np.abs(rows[large]).max(axis=1, keepdims=True))
    shrink[large] = np.ldexp(rows.dtype.type(1), 2 - exponents)  # a normal number, whatever x holds
    with np.errstate(invalid="ignore"):  # of infinity, which stays no number
        small = rows * shrink
        normalized = small - small.mean(axis=1, keepdims=True)
        variance = np.square(normalized).mean(axis=1, keepdims=True)
        equal = variance == 0  # rows of one number, as epsilon * shrink * shrink may be 0, too
        inverse = 1 / np.sqrt(np.where(equal, epsilon, variance + epsilon * shrink * shrink))
        return normalized * inverse, np.where(equal, inverse, inverse * shrink)


def _put_rows(rows: Array, counted: Array | None, shape: tuple[int, ...]) -> Any:
    """Rows at the positions that count (batch, steps), None for all, zeros elsewhere, in the
    shape of x.
    """
    if counted is None:
        return rows.reshape(shape)
    y = np.zeros(shape, rows.dtype)
    y[counted] = rows
    return y
