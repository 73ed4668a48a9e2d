"""The description of a parameter, from which a layer makes it when it is built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gatewise import constraints, initializers, regularizers


@dataclass(frozen=True)
class ParameterSpec:
    """Description of one parameter, from which a layer makes it when it is built.

    Parameters
    ----------
    name : str
        Key of the parameter in ``layer.parameters`` and in files.
    shape : tuple of int
        Shape of the array.
    initializer : str or Initializer, default "zeros"
        Makes the initial values.
    regularizer : str or Regularizer, optional
        Adds a penalty to the loss in training. None: no penalty.
    constraint : str or Constraint, optional
        Applied to the values after each step of an optimizer. None: no constraint.
    trained : bool, default True
        False: the parameter has no gradient and no optimizer changes it, for example a moving
        average.

    Examples
    --------
    >>> from gatewise.layers import ParameterSpec
    >>> ParameterSpec("scale", (3,), "ones").size
    3
    """

    name: str
    shape: tuple[int, ...]
    initializer: Any = "zeros"
    regularizer: Any = None
    constraint: Any = None
    trained: bool = True

    def __post_init__(self) -> None:
        found = {
            "initializer": initializers.get(self.initializer, f"{self.name}: initializer"),
            "regularizer": regularizers.get(self.regularizer, f"{self.name}: regularizer"),
            "constraint": constraints.get(self.constraint, f"{self.name}: constraint"),
        }
        for option, value in found.items():
            object.__setattr__(self, option, value)

    @property
    def size(self) -> int:
        """Number of elements, int."""
        return math.prod(self.shape)
