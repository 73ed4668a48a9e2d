"""Activations with constants as layers: ReLU, LeakyReLU and ELU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from .activation import ActivationLayer
from .options import fixed
from .step_ops import RectifierOp

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape


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
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import LeakyReLU
    >>> LeakyReLU(0.5)([[-1.0, 2.0]]).tolist()
    [[-0.5, 2.0]]
    """

    negative_slope: float = fixed(checks.number, low=0)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    @property
    def activation(self) -> Any:
        """The activation that the kernels compute."""
        return ("leaky_relu", self.negative_slope)

    def get_config(self) -> Config:
        return super().get_config() | {"negative_slope": self.negative_slope}


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
