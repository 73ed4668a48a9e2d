"""Activations with constants or trained slopes as layers: ReLU, LeakyReLU, PReLU and ELU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .activation import ActivationLayer
from .base import Layer
from .options import fixed
from .step_ops import RectifierOp, SlopesOp
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape
    from gatewise.layers.weights import ConstraintLike, InitializerLike, RegularizerLike


def _limit(value: Any, name: str) -> float | None:
    return None if value is None else checks.number(value, name, low=0)


class ReLU(ActivationLayer):
    """Keep x above a threshold, up to a largest value; below, a slope times (x - threshold).

    Parameters
    ----------
    max_value : float, optional
        The largest output, from 0. None: there is none.
    negative_slope : float, default 0.0
        The slope below the threshold, from 0.
    threshold : float, default 0.0
        Where the output begins to be x itself, from 0.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import ReLU
    >>> ReLU(max_value=6)([[-1.0, 2.0, 9.0]]).tolist()
    [[0.0, 2.0, 6.0]]
    """

    max_value: float | None = fixed(_limit)
    negative_slope: float = fixed(checks.number, low=0)
    threshold: float = fixed(checks.number, low=0)

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_value, self.negative_slope = max_value, negative_slope
        self.threshold = threshold

    @property
    def activation(self) -> Any:
        """The activation that the kernels compute; None: it has a threshold or a largest value."""
        if self.max_value is not None or self.threshold:
            return None
        return ("leaky_relu", self.negative_slope) if self.negative_slope else "relu"

    @property
    def _limiting_activation(self) -> str | None:
        return self.activation and super()._limiting_activation

    @property
    def _gives_scores(self) -> bool:
        return self.activation is not None

    def _step_ops(self) -> list[StepOp]:
        if self.activation is not None:
            return super()._step_ops()
        width = self.input_shape[-1]
        most = math.inf if self.max_value is None else self.max_value
        return [
            RectifierOp(
                name=self.name,
                inputs=width,
                width=width,
                threshold=self.threshold,
                slope=self.negative_slope,
                most=most,
            )
        ]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        if self.activation is not None:
            return super().run(inputs, tape, node)
        x = inputs.values
        if tape is not None:
            tape.keep(node, x)
        threshold, slope, most = self._constants(x)
        below = slope * (x - threshold) if slope else slope
        return inputs.with_values(np.where(x > threshold, np.minimum(x, most), below))

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        if self.activation is not None:
            return super().run_backward(gradients, tape, node, wanted)
        x = tape.take(node)
        threshold, slope, most = self._constants(x)
        return gradients * np.where(x > threshold, (x < most).astype(x.dtype), slope)

    def _constants(self, x: Array) -> tuple[Any, Any, Any]:
        """The threshold, the slope and the largest output, in the dtype of x."""
        most = math.inf if self.max_value is None else self.max_value
        return x.dtype.type(self.threshold), x.dtype.type(self.negative_slope), x.dtype.type(most)

    def get_config(self) -> Config:
        return super().get_config() | {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(ActivationLayer):
    """Keep x from 0 up, and multiply it by a slope below.

    Parameters
    ----------
    negative_slope : float, default 0.3
        The slope below 0, from 0.
    alpha : float, optional
        Keras 2's name of `negative_slope`. Give one of them.
    **kwargs
        Options of :class:`Layer`.

    Raises
    ------
    ConfigError
        Both are given, and differ.

    Examples
    --------
    >>> from gatewise.layers import LeakyReLU
    >>> LeakyReLU(0.5)([[-1.0, 2.0]]).tolist()
    [[-0.5, 2.0]]
    """

    negative_slope: float = fixed(checks.number, low=0)

    def __init__(
        self, negative_slope: float = 0.3, *, alpha: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if alpha is not None:
            if negative_slope not in (0.3, alpha):
                raise ConfigError(
                    f"negative_slope is {negative_slope}, and alpha, which is its name in Keras 2,"
                    f" is {alpha}; give negative_slope alone"
                )
            negative_slope = checks.number(alpha, "alpha", low=0)
        self.negative_slope = negative_slope

    @property
    def activation(self) -> Any:
        """The activation that the kernels compute."""
        return ("leaky_relu", self.negative_slope)

    def get_config(self) -> Config:
        return super().get_config() | {"negative_slope": self.negative_slope}


class PReLU(Layer):
    """Keep x from 0 up, and multiply it by a trained slope below (He et al. 2015).

    Parameters
    ----------
    alpha_initializer : str, dict or Initializer, default "zeros"
        How the initial slopes are made.
    alpha_regularizer : str, dict or Regularizer, optional
        Penalty on the slopes, added to the loss in training. None: no penalty.
    alpha_constraint : str, dict or Constraint, optional
        Applied to the slopes after each step of the optimizer. None: no constraint.
    shared_axes : list of int, optional
        Axes over which one slope is used, from 1: those whose extent is not known must be among
        them, ``[1]`` for sequences of any length. None: each number of a sample has its own.
    **kwargs
        Options of :class:`Layer`.

    Raises
    ------
    ConfigError
        `shared_axes` holds something else than axes from 1.

    Notes
    -----
    One weight: alpha, of the shape of a sample, with 1 for each shared axis.

    Examples
    --------
    >>> from gatewise.layers import PReLU
    >>> PReLU(alpha_initializer="ones")([[-1.0, 2.0]]).tolist()
    [[-1.0, 2.0]]
    """

    def __init__(
        self,
        alpha_initializer: InitializerLike = "zeros",
        alpha_regularizer: RegularizerLike = None,
        alpha_constraint: ConstraintLike = None,
        shared_axes: Sequence[int] | int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._options = WeightOptions(
            "alpha", alpha_initializer, alpha_regularizer, alpha_constraint
        )
        given = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        self.shared_axes: list[int] | None = None
        if given is not None:
            axes = checks.listed(given, "shared_axes", "axes")
            self.shared_axes = [checks.whole_number(axis, "shared_axes") for axis in axes]

    @property
    def takes_any_length(self) -> bool:
        """Whether x may have another number of steps than the layer was built for, bool."""
        return 1 in (self.shared_axes or ()) or len(self.input_shape or (0, 0)) < 3

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if axis > len(shape):
                raise ShapeError(
                    f"layer {self.name!r} has shared_axes {self.shared_axes}; its input"
                    f" {input_shape} has axes up to {len(shape)}"
                )
            shape[axis - 1] = 1
        if None in shape:
            axis = shape.index(None) + 1
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}: axis {axis} has no known"
                f" extent; share its slopes, shared_axes=[{axis}], or give Input the extent"
            )
        return [self._options.spec("alpha", tuple(shape))]

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        alpha = self._parameters["alpha"]
        if any(extent > 1 for extent in alpha.shape[:-1]):
            return "its slopes differ from step to step; share them: shared_axes=[1]"
        return None

    def _step_ops(self) -> list[StepOp]:
        width = self.input_shape[-1]
        slopes = np.ascontiguousarray(np.broadcast_to(self._parameters["alpha"].ravel(), width))
        return [SlopesOp(name=self.name, inputs=width, width=width, slopes=slopes)]

    def _check_shape(self, x: Array) -> None:
        super()._check_shape(x)
        shape = self._parameters["alpha"].shape
        if any(extent not in (1, given) for extent, given in zip(shape, x.shape[1:])):
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} has slopes {shape}, with 1 for a"
                " shared axis"
            )

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        if tape is not None:
            tape.keep(node, x)
        y = np.minimum(x, 0)
        y *= self._parameters["alpha"]
        y += np.maximum(x, 0)
        return inputs.with_values(y)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        x, alpha = tape.take(node), self._parameters["alpha"]
        if self._trainable:
            products = gradients * np.minimum(x, 0)
            axes = (0, *(axis for axis, extent in enumerate(alpha.shape, 1) if extent == 1))
            sums = products.sum(axis=axes, dtype=np.float64)
            self._gradients["alpha"] += sums.reshape(alpha.shape)
        return gradients * np.where(x < 0, alpha, (x > 0).astype(x.dtype)) if wanted else None

    def get_config(self) -> Config:
        return super().get_config() | self._options.get_config() | {"shared_axes": self.shared_axes}


class ELU(ActivationLayer):
    """Keep x from 0 up; below, it becomes ``alpha * (exp(x) - 1)`` (Clevert et al. 2016).

    Parameters
    ----------
    alpha : float, default 1.0
        Minus the limit for very negative x, from 0.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import ELU
    >>> ELU(2.0)([[-100.0, 2.0]]).tolist()
    [[-2.0, 2.0]]
    """

    alpha: float = fixed(checks.number, low=0)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    @property
    def activation(self) -> Any:
        """The activation that the kernels compute."""
        return ("elu", self.alpha)

    def get_config(self) -> Config:
        return super().get_config() | {"alpha": self.alpha}
