"""Initial values of weights. Names, formulas and defaults are Keras's.

An initializer is called with ``(shape, rng, dtype)``. It draws from the generator of the model or
layer that it serves, or, if it has a ``seed``, from a generator of its own.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import ConfigError, ShapeError
from gatewise.memory import numpy_products
from gatewise.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

    from gatewise._typing import Array, Config

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


class Initializer(Guarded, abc.ABC):
    """Base of all initializers.

    A user-defined initializer defines :meth:`draw` and keeps the arguments of its constructor as
    attributes of the same names, so that files can hold them.

    Attributes
    ----------
    seed : int or None
        None: draws come from the generator that the call is given.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.initializers import Initializer
    >>> class Alternating(Initializer):
    ...     def draw(self, shape, rng):
    ...         return (-1.0) ** np.arange(np.prod(shape)).reshape(shape)
    >>> Alternating()((2, 2))
    array([[ 1., -1.],
           [ 1., -1.]], dtype=float32)
    """

    seed: int | None = None
    _settable = frozenset({"seed"})  # read, and checked, at every call
    _renamed_hooks: ClassVar[Mapping[str, str]] = {"draw": "_draw"}
    _callers_of_hooks: ClassVar[Mapping[str, str]] = {"draw": "__call__"}

    def __call__(
        self,
        shape: Sequence[int],
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = "float32",
    ) -> Array:
        """Draw an array.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        rng : numpy.random.Generator, optional
            What to draw from if the initializer has no seed. None: a new one without a seed.
        dtype : dtype, default "float32"
            Type of the array.

        Returns
        -------
        ndarray of `shape` and `dtype`

        Raises
        ------
        ConfigError
            The dtype cannot hold the values.
        ShapeError
            The initializer cannot fill such a shape.
        """
        if self.seed is not None or rng is None:
            rng = np.random.default_rng(checks.seed(self.seed))
        with np.errstate(over="ignore"):
            values = np.asarray(self.draw(tuple(shape), rng), dtype)
        if not np.isfinite(values).all():
            raise ConfigError(
                f"{type(self).__name__} with {vars(self)} gives values that {dtype} cannot hold;"
                " choose smaller ones"
            )
        return values

    @abc.abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Draw values in float64: for subclasses to define.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        rng : numpy.random.Generator
            The generator to draw from.

        Returns
        -------
        ndarray of `shape`, float64
            The values; the caller converts and checks them.
        """

    def get_config(self) -> Config:
        """The arguments of the constructor as JSON values.

        Returns
        -------
        dict
            The arguments by name.
        """
        return kept_arguments(self)


class Zeros(Initializer):
    """All values are 0.

    Examples
    --------
    >>> from gatewise.initializers import Zeros
    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All values are 1.

    Examples
    --------
    >>> from gatewise.initializers import Ones
    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """All values are `value`.

    Parameters
    ----------
    value : float, default 0.0
        The value of every weight.

    Examples
    --------
    >>> from gatewise.initializers import Constant
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    value: float

    def __init__(self, value: float = 0.0) -> None:
        self.value = checks.number(value, "value")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.full(shape, self.value)


class RandomNormal(Initializer):
    """A normal distribution with `mean` and `stddev`.

    Parameters
    ----------
    mean : float, default 0.0
        The mean of the distribution.
    stddev : float, default 0.05
        From 0.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import RandomNormal
    >>> RandomNormal(mean=1.0, stddev=0.0)((2,))
    array([1., 1.], dtype=float32)
    """

    mean: float
    stddev: float

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = checks.number(mean, "mean")
        self.stddev = checks.number(stddev, "stddev", 0.0)
        self.seed = seed

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.stddev, shape)


class RandomUniform(Initializer):
    """A uniform distribution over [minval, maxval).

    Parameters
    ----------
    minval : float, default -0.05
        The least value.
    maxval : float, default 0.05
        From `minval`.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import RandomUniform
    >>> values = RandomUniform(0, 1, seed=0)((100,))
    >>> bool((values >= 0).all() and (values < 1).all())
    True
    """

    maxval: float
    minval: float

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        self.minval = checks.number(minval, "minval")
        self.maxval = checks.number(maxval, "maxval", self.minval)
        self.seed = seed
        checks.number(self.maxval - self.minval, "maxval - minval")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.uniform(self.minval, self.maxval, shape)


def _truncated_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Standard normal values, drawn again if they lie more than two deviations from 0."""
    draw = rng.standard_normal(shape)
    while (outside := np.abs(draw) > 2).any():
        draw[outside] = rng.standard_normal(int(outside.sum()))
    return draw


class TruncatedNormal(Initializer):
    """A normal distribution, drawn again if a value lies more than two deviations from the mean.

    Parameters
    ----------
    mean : float, default 0.0
        The mean of the distribution.
    stddev : float, default 0.05
        From 0; that of the distribution before values are drawn again.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import TruncatedNormal
    >>> bool((abs(TruncatedNormal(stddev=0.5, seed=0)((1000,))) <= 1).all())
    True
    """

    stddev: float
    mean: float

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = checks.number(mean, "mean")
        self.stddev = checks.number(stddev, "stddev", 0.0)
        self.seed = seed

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.mean + self.stddev * _truncated_normal(shape, rng)


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
        return _truncated_normal(shape, rng) * (np.sqrt(variance) / 0.87962566103423978)


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


class Orthogonal(Initializer):
    """Orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al. 2014).

    Parameters
    ----------
    gain : float, default 1.0
        What the values are multiplied by.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import Orthogonal
    >>> q = Orthogonal(seed=0)((3, 3))
    >>> bool(abs(q @ q.T - [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).max() < 1e-6)
    True
    """

    seed: int | None
    gain: float

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = checks.number(gain, "gain"), seed

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal weights need two axes, got shape {shape}")
        rows, columns = int(np.prod(shape[:-1])), shape[-1]
        numpy_products(8 * 4 * rows * columns)
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # makes the distribution uniform
        return self.gain * (q.T if rows < columns else q).reshape(shape)


class Identity(Initializer):
    """The identity matrix times `gain` (Le et al. 2015); a wide matrix repeats it for each gate.

    Parameters
    ----------
    gain : float, default 1.0
        What the values are multiplied by.

    Examples
    --------
    >>> from gatewise.initializers import Identity
    >>> Identity()((2, 4))
    array([[1., 0., 1., 0.],
           [0., 1., 0., 1.]], dtype=float32)
    """

    gain: float

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = checks.number(gain, "gain")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        if len(shape) != 2 or shape[1] % shape[0]:
            raise ShapeError(f"identity weights need shape (n, k*n), got {shape}")
        return self.gain * np.tile(np.eye(shape[0]), shape[1] // shape[0])


_ALIASES: dict[str, type[Initializer]] = {
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
INITIALIZERS: Registry[Initializer] = Registry(
    "initializer",
    Initializer,
    _ALIASES.values(),
    _ALIASES,
    namespace="gatewise.initializers",
)


def get(
    identifier: str | Config | type[Initializer] | Initializer, name: str = "initializer"
) -> Initializer:
    """An initializer from a name, a class, a saved configuration or an initializer.

    Parameters
    ----------
    identifier : str, dict, type or Initializer
        A name such as ``"glorot_uniform"`` or ``"GlorotUniform"``; what :func:`serialize` returned;
        a class, which is made with its defaults; or an initializer, which is returned itself.
    name : str, default "initializer"
        What messages call it.

    Returns
    -------
    Initializer
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The name is not known, or the configuration does not fit.
    DTypeError
        It is none of these.

    Examples
    --------
    >>> from gatewise import initializers
    >>> initializers.get("he_normal")
    HeNormal()
    """
    return INITIALIZERS.get(identifier, name)


def serialize(initializer: Initializer) -> Config:
    """The class and arguments of an initializer as JSON values, which :func:`get` reads.

    Parameters
    ----------
    initializer : Initializer
        The initializer to describe.

    Returns
    -------
    dict
        What :func:`get` reads.

    Raises
    ------
    ConfigError
        A user-defined class has the name of one of the library's, or lacks an argument.

    Examples
    --------
    >>> from gatewise import initializers
    >>> initializers.serialize(initializers.Constant(0.5))
    {'class_name': 'Constant', 'config': {'value': 0.5}}
    """
    return INITIALIZERS.serialize(initializer)
