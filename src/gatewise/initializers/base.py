"""The base of initializers."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

    from gatewise._typing import Array, Config


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
