"""Initial values of weights. Names, formulas and defaults are Keras's.

An initializer is called with ``(shape, rng, dtype)``. Where it is not told otherwise it draws from
the generator of the model or layer that it serves; with ``seed`` it draws from one of its own.
"""

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.memory import numpy_products
from gatewise.registry import Registry

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]


class Initializer(Guarded):
    """Base: subclasses define ``_draw(shape, rng)`` in float64 and keep their arguments as attributes of the same names."""

    seed = None
    _settable = frozenset({"seed"})  # read, and checked, at every call

    def __call__(self, shape, rng=None, dtype="float32"):
        """ndarray of `shape` and `dtype`, drawn from `rng` (or from this initializer's own seed).

        Raises
        ------
        ConfigError
            The dtype cannot hold the values.
        """
        if self.seed is not None or rng is None:
            rng = np.random.default_rng(checks.seed(self.seed))
        with np.errstate(over="ignore"):
            values = np.asarray(self._draw(tuple(shape), rng), dtype)
        if not np.isfinite(values).all():
            raise ConfigError(
                f"{type(self).__name__} with {vars(self)} gives values that {dtype} cannot hold;"
                " choose smaller ones"
            )
        return values

    def _draw(self, shape, rng):
        raise DTypeError(f"{type(self).__name__} defines no _draw(shape, rng)")

    def get_config(self):
        """The arguments, as JSON values."""
        return kept_arguments(self)


class Zeros(Initializer):
    """All 0."""

    def _draw(self, shape, rng):
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def _draw(self, shape, rng):
        return np.ones(shape)


class Constant(Initializer):
    """All `value`."""

    def __init__(self, value=0.0):
        self.value = checks.number(value, "value")

    def _draw(self, shape, rng):
        return np.full(shape, self.value)


class RandomNormal(Initializer):
    """Normal with `mean` and `stddev`."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = (
            checks.number(mean, "mean"),
            checks.number(stddev, "stddev", 0.0),
            seed,
        )

    def _draw(self, shape, rng):
        return rng.normal(self.mean, self.stddev, shape)


class RandomUniform(Initializer):
    """Uniform in [minval, maxval)."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval = checks.number(minval, "minval")
        self.maxval, self.seed = checks.number(maxval, "maxval", self.minval), seed
        checks.number(self.maxval - self.minval, "maxval - minval")

    def _draw(self, shape, rng):
        return rng.uniform(self.minval, self.maxval, shape)


def _truncated_normal(shape, rng):
    """Standard normal, drawn again beyond two deviations."""
    draw = rng.standard_normal(shape)
    while (outside := np.abs(draw) > 2).any():
        draw[outside] = rng.standard_normal(int(outside.sum()))
    return draw


class TruncatedNormal(Initializer):
    """Normal with `mean` and `stddev`, drawn again beyond two of these deviations from the mean."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = (
            checks.number(mean, "mean"),
            checks.number(stddev, "stddev", 0.0),
            seed,
        )

    def _draw(self, shape, rng):
        return self.mean + self.stddev * _truncated_normal(shape, rng)


class _Scaled(Initializer):
    scale, mode, normal = 1.0, "fan_in", False

    def __init__(self, seed=None):
        self.seed = seed

    def _draw(self, shape, rng):
        if len(shape) < 2:
            fan_in = fan_out = shape[0] if shape else 1
        else:
            field = int(np.prod(shape[:-2]))
            fan_in, fan_out = shape[-2] * field, shape[-1] * field
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        variance = self.scale / max(1.0, fans[self.mode])
        if not self.normal:
            limit = np.sqrt(3 * variance)
            return rng.uniform(-limit, limit, shape)
        # truncation shrinks the deviation by the constant
        return _truncated_normal(shape, rng) * (np.sqrt(variance) / 0.87962566103423978)


class VarianceScaling(_Scaled):
    """Variance `scale` / n, n the fan_in, fan_out or their mean ("fan_avg") as `mode` says.

    Parameters
    ----------
    scale : float above 0
    mode : {"fan_in", "fan_out", "fan_avg"}
    distribution : {"truncated_normal", "uniform"}
    seed : int, optional
    """

    def __init__(self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None):
        self.scale = checks.number(scale, "scale", 0.0, open_low=True)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ConfigError(f"mode is {mode!r}; expected 'fan_in', 'fan_out' or 'fan_avg'")
        if distribution not in ("truncated_normal", "uniform"):
            raise ConfigError(
                f"distribution is {distribution!r}; expected 'truncated_normal' or 'uniform'"
            )
        self.mode, self.distribution, self.seed = mode, distribution, seed

    @property
    def normal(self):
        """Whether the distribution is not uniform."""
        return self.distribution != "uniform"


class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""

    mode = "fan_avg"


class GlorotNormal(GlorotUniform):
    """Truncated normal, variance 2 / (fan_in + fan_out)."""

    normal = True


class HeUniform(_Scaled):
    """Uniform, variance 2 / fan_in (He et al. 2015)."""

    scale = 2.0


class HeNormal(HeUniform):
    """Truncated normal, variance 2 / fan_in."""

    normal = True


class LecunUniform(_Scaled):
    """Uniform, variance 1 / fan_in (LeCun et al. 1998)."""


class LecunNormal(LecunUniform):
    """Truncated normal, variance 1 / fan_in."""

    normal = True


class Orthogonal(Initializer):
    """Orthonormal rows or columns, whichever are fewer (Saxe et al. 2014), times `gain`."""

    def __init__(self, gain=1.0, seed=None):
        self.gain, self.seed = checks.number(gain, "gain"), seed

    def _draw(self, shape, rng):
        if len(shape) < 2:
            raise ShapeError(f"orthogonal weights need two axes, got shape {shape}")
        rows, columns = int(np.prod(shape[:-1])), shape[-1]
        numpy_products(8 * 4 * rows * columns)
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # makes the distribution uniform
        return self.gain * (q.T if rows < columns else q).reshape(shape)


class Identity(Initializer):
    """The identity times `gain` (IRNN: Le et al. 2015); a wide matrix repeats it for each gate."""

    def __init__(self, gain=1.0):
        self.gain = checks.number(gain, "gain")

    def _draw(self, shape, rng):
        if len(shape) != 2 or shape[1] % shape[0]:
            raise ShapeError(f"identity weights need shape (n, k*n), got {shape}")
        return self.gain * np.tile(np.eye(shape[0]), shape[1] // shape[0])


_ALIASES = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
    "identity": Identity,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
}
INITIALIZERS = Registry(
    "initializer",
    Initializer,
    _ALIASES.values(),
    _ALIASES,
    namespace="gatewise.initializers",
)


def get(identifier, name="initializer"):
    """An initializer from a name, a class name, a saved configuration or an initializer."""
    return INITIALIZERS.get(identifier, name)


def serialize(initializer):
    """What :func:`get` reads back, as JSON values."""
    return INITIALIZERS.serialize(initializer)
