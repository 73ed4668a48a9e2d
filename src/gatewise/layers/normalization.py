"""Normalization over the batch, and over the features of each position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, initializers, threads
from gatewise.attributes import checked
from gatewise.errors import ConfigError, NonFiniteError, ShapeError
from gatewise.kernels import arrays

from .base import Layer
from .masks import counted_steps
from .options import fixed
from .specs import ParameterSpec
from .step_ops import AffineOp, NormalizationOp
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, BoolArray, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape

    from .weights import ConstraintLike, InitializerLike, RegularizerLike


class _Normalization(Layer):
    """Base of the normalizations: gamma and beta over the last axis."""

    center: bool = fixed(checks.flag)
    scale: bool = fixed(checks.flag)
    epsilon: float = checked(checks.number, low=0.0, open_low=True)

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike = None,
        gamma_regularizer: RegularizerLike = None,
        beta_constraint: ConstraintLike = None,
        gamma_constraint: ConstraintLike = None,
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

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch, ...,"
                " features) with a known number of features"
            )
        names = [name for name, wanted in (("gamma", self.scale), ("beta", self.center)) if wanted]
        return [self._weight_options[name].spec(name, (input_shape[-1],)) for name in names]

    def _scaled(self, normalized: Array) -> Array:
        """gamma normalized + beta, a new array."""
        y = normalized * self._parameters["gamma"] if self.scale else normalized.copy()
        if self.center:
            y += self._parameters["beta"]
        return y

    def _scaled_backward(self, normalized: Array, dy: Array) -> Array:
        """Add the gradients of gamma and beta, and return that of `normalized`.

        Arrays have shape (n, features). Sums are in float64.
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
    """Normalize each feature by its mean and variance over the batch (Ioffe and Szegedy 2015).

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``. In training, mean and variance are
    those of the batch, over all axes except the last, and moving averages follow them. At inference
    the moving averages are used. Names and defaults are those of Keras.

    Parameters
    ----------
    axis : int, default -1
        The axis of the features; -1 is the only choice.
    momentum : float, default 0.99
        Share of a moving average that stays at each training pass, in [0, 1].
    epsilon : float, default 1e-3
        Added to the variance, above 0.
    center : bool, default True
        Whether there is a beta.
    scale : bool, default True
        Whether there is a gamma.
    beta_initializer, gamma_initializer : str, dict or Initializer, default "zeros" and "ones"
        How the initial beta and gamma are made.
    moving_mean_initializer, moving_variance_initializer : str, dict or Initializer
        How the initial moving averages are made: "zeros" and "ones" unless given.
    **kwargs
        `beta_regularizer`, `gamma_regularizer`, `beta_constraint` and `gamma_constraint` as in
        :class:`LayerNormalization`, and options of :class:`Layer`.

    Notes
    -----
    Weights, in order: gamma, beta, moving_mean, moving_variance, each (features,). The last two
    have no gradient, and no optimizer changes them.

    A step past its row's length is part of neither mean nor variance, and its output is zero. Sums
    are in float64, in an order that does not depend on the number of threads. A frozen layer
    (``trainable=False``) uses the moving averages in training too, and does not change them.

    Examples
    --------
    >>> from gatewise.layers import BatchNormalization
    >>> layer = BatchNormalization(epsilon=1e-7)
    >>> layer.forward([[1.0], [3.0]], training=True).round(3).tolist()
    [[-1.0], [1.0]]
    """

    momentum: float = checked(checks.number, low=0.0, high=1.0)

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
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

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
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
        if tape is not None and tape.training and self._trainable:
            y, saved = self._of_batch(rows, tape)
        else:
            p = self._parameters
            inverse = 1 / np.sqrt(p["moving_variance"] + x.dtype.type(self.epsilon))
            centered = (rows - p["moving_mean"]) * inverse
            y = self._scaled(centered)
            if not self._trainable:
                centered = None
            saved = {"normalized": None, "centered": centered, "inverse": inverse}
        if tape is not None:
            tape.keep(node, saved | {"counted": counted})
        return inputs.with_values(_put_rows(y, counted, x.shape))

    def _step_ops(self) -> list[StepOp]:
        p, width = self._parameters, self.input_shape[-1]
        variance = p["moving_variance"]
        inverse = 1 / np.sqrt(variance + variance.dtype.type(self.epsilon))
        ops: list[StepOp] = [
            AffineOp(
                name=self.name,
                inputs=width,
                width=width,
                mean=p["moving_mean"],
                scale=inverse,
                shift=None,
            )
        ]
        if self.scale or self.center:
            ops.append(
                AffineOp(
                    name=self.name,
                    inputs=width,
                    width=width,
                    mean=None,
                    scale=p.get("gamma"),
                    shift=p.get("beta"),
                )
            )
        return ops

    def _of_batch(self, rows: Array, tape: Tape) -> tuple[Array, dict[str, Any]]:
        """Normalize rows by their own mean and variance, in training.

        The moving averages are updated when the pass is over.

        Returns
        -------
        y : ndarray (n, features)
            The output.
        saved : dict
            What the backward pass needs.
        """
        if len(rows) == 0:
            return rows.copy(), {"normalized": rows, "inverse": None}
        with np.errstate(over="ignore", invalid="ignore"):
            mean = rows.mean(axis=0, dtype=np.float64)
            normalized = rows - mean.astype(rows.dtype)
            variance = np.square(normalized).mean(axis=0, dtype=np.float64)
        self._refuse_overflow(rows, variance)
        inverse = (1 / np.sqrt(variance + self.epsilon)).astype(rows.dtype)
        normalized *= inverse
        # Only after the pass: the pass of another thread must not read one average from before
        # the update and the other one from after it.
        tape.afterwards(lambda: self._move({"moving_mean": mean, "moving_variance": variance}))
        return self._scaled(normalized), {"normalized": normalized, "inverse": inverse}

    def _refuse_overflow(self, rows: Array, variance: Array) -> None:
        """Refuse finite numbers with a variance that the moving average cannot hold.

        Inference would not compute what training did.
        """
        for feature in np.flatnonzero(~np.isfinite(variance)):
            if np.isfinite(rows[:, feature]).all():
                raise NonFiniteError(
                    f"layer {self.name!r}: feature {feature} goes from {rows[:, feature].min()} to"
                    f" {rows[:, feature].max()}, whose variance overflows {self.dtype}; scale the"
                    " inputs of the layer"
                    f"{', or compute in float64' if self.dtype == 'float32' else ''}"
                )

    def _move(self, of_batch: dict[str, Array]) -> None:
        """Move each moving average, by name, towards the value of a batch."""
        for name, value in of_batch.items():
            average = self._parameters[name]
            average[...] = average * self.momentum + value * (1 - self.momentum)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved, dy = tape.take(node), gradients
        counted, normalized = saved["counted"], saved["normalized"]
        rows = dy.reshape(-1, dy.shape[-1]) if counted is None else dy[counted]
        if normalized is None:  # the moving averages, which are constants
            if saved["centered"] is not None:
                self._scaled_backward(saved["centered"], rows)
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
    """Normalize each position by the mean and variance of its features (Ba et al. 2016).

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, in training as at inference. No
    position depends on another. Names and defaults are those of Keras.

    Parameters
    ----------
    axis : int, default -1
        The axis of the features; -1 is the only choice.
    epsilon : float, default 1e-3
        Added to the variance, above 0.
    center : bool, default True
        Whether there is a beta.
    scale : bool, default True
        Whether there is a gamma.
    beta_initializer, gamma_initializer : str, dict or Initializer, default "zeros" and "ones"
        How the initial beta and gamma are made.
    beta_regularizer, gamma_regularizer : str, dict or Regularizer, optional
        Penalty on beta and on gamma, added to the loss in training. None: no penalty.
    beta_constraint, gamma_constraint : str, dict or Constraint, optional
        Applied to beta and to gamma after each step of the optimizer. None: no constraint.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    Weights, in order: gamma, beta, each (features,).

    Examples
    --------
    >>> from gatewise.layers import LayerNormalization
    >>> LayerNormalization(epsilon=1e-7)([[1.0, 3.0]]).round(3).tolist()
    [[-1.0, 1.0]]
    """

    def _step_ops(self) -> list[StepOp]:
        width = self.input_shape[-1]
        return [
            NormalizationOp(
                name=self.name,
                inputs=width,
                width=width,
                epsilon=self.epsilon,
                gamma=self._parameters.get("gamma"),
                beta=self._parameters.get("beta"),
            )
        ]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        rows = x.reshape(-1, x.shape[-1])
        normalized, inverse = np.empty_like(rows), np.empty(len(rows), x.dtype)
        work = threads.threads_for(4 * rows.size)
        arrays.normalize(rows, normalized, inverse, self.epsilon, work)
        if tape is not None:
            tape.keep(node, {"normalized": normalized, "inverse": inverse[:, None]})
        return inputs.with_values(self._scaled(normalized).reshape(x.shape))

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
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


def _put_rows(rows: Array, counted: BoolArray | None, shape: tuple[int, ...]) -> Array:
    """An array of this shape with the rows at the positions that count, and zeros elsewhere.

    `counted` has shape (batch, steps); None: every position counts.
    """
    if counted is None:
        return rows.reshape(shape)
    y = np.zeros(shape, rows.dtype)
    y[counted] = rows
    return y
