"""Initial values whose variance follows from the shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError

from .base import Initializer
from .plain import truncated_normal

if TYPE_CHECKING:
    from gatewise._typing import Array


class _Scaled(Initializer):
    """Variance ``scale / n``, with n the inputs or outputs of a unit, or their mean."""

    scale: float = 1.0
    mode: str = "fan_in"
    _normal: bool = False

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def _is_normal(self) -> bool:
        return self._normal

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        if len(shape) < 2:
            fan_in = fan_out = shape[0] if shape else 1
        else:
            field = int(np.prod(shape[:-2]))
            fan_in, fan_out = shape[-2] * field, shape[-1] * field
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        variance = self.scale / max(1.0, fans[self.mode])
        if not self._is_normal():
            limit = np.sqrt(3 * variance)
            return rng.uniform(-limit, limit, shape)
        # truncation shrinks the deviation by the constant
        return truncated_normal(shape, rng) * (np.sqrt(variance) / 0.87962566103423978)


class VarianceScaling(_Scaled):
    """Variance `scale` / n, with n the fan_in, the fan_out or their mean.

    The fan_in of a matrix (inputs, units) is its number of inputs, the fan_out that of units.

    Parameters
    ----------
    scale : float, default 1.0
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}, default "fan_in"
        Which number n is.
    distribution : {"truncated_normal", "uniform"}, default "truncated_normal"
        The distribution, of this variance.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import VarianceScaling
    >>> values = VarianceScaling(3.0, "fan_in", "uniform", seed=0)((9, 100))
    >>> bool((abs(values) <= 1).all())
    True
    """

    seed: int | None
    scale: float

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        self.scale = checks.number(scale, "scale", 0.0, open_low=True)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ConfigError(f"mode is {mode!r}; expected 'fan_in', 'fan_out' or 'fan_avg'")
        if distribution not in ("truncated_normal", "uniform"):
            raise ConfigError(
                f"distribution is {distribution!r}; expected 'truncated_normal' or 'uniform'"
            )
        self.mode, self.distribution, self.seed = mode, distribution, seed

    def _is_normal(self) -> bool:
        return self.distribution != "uniform"


class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010).

    Parameters
    ----------
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import GlorotUniform
    >>> values = GlorotUniform(seed=0)((6, 6))
    >>> values.shape, bool((abs(values) < 0.71).all())
    ((6, 6), True)
    """

    mode = "fan_avg"


class GlorotNormal(GlorotUniform):
    """Truncated normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010).

    Parameters
    ----------
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import GlorotNormal
    >>> values = GlorotNormal(seed=0)((6, 6))
    >>> values.shape, bool((abs(values) < 0.93).all())
    ((6, 6), True)
    """

    _normal = True


class HeUniform(_Scaled):
    """Uniform, variance 2 / fan_in (He et al. 2015).

    Parameters
    ----------
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import HeUniform
    >>> values = HeUniform(seed=0)((6, 6))
    >>> values.shape, bool((abs(values) < 1.01).all())
    ((6, 6), True)
    """

    scale: float = 2.0


class HeNormal(HeUniform):
    """Truncated normal, variance 2 / fan_in (He et al. 2015).

    Parameters
    ----------
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import HeNormal
    >>> values = HeNormal(seed=0)((6, 6))
    >>> values.shape, bool((abs(values) < 1.32).all())
    ((6, 6), True)
    """

    _normal = True


class LecunUniform(_Scaled):
    """Uniform, variance 1 / fan_in (LeCun et al. 1998).

    Parameters
    ----------
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import LecunUniform
    >>> values = LecunUniform(seed=0)((6, 6))
    >>> values.shape, bool((abs(values) < 0.71).all())
    ((6, 6), True)
    """


class LecunNormal(LecunUniform):
    """Truncated normal, variance 1 / fan_in (LeCun et al. 1998).

    Parameters
    ----------
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import LecunNormal
    >>> values = LecunNormal(seed=0)((6, 6))
    >>> values.shape, bool((abs(values) < 0.93).all())
    ((6, 6), True)
    """

    _normal = True
