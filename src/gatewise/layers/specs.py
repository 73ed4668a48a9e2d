"""One parameter of a layer, before it exists."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gatewise import constraints, initializers, regularizers


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a layer, before it exists.

    Parameters
    ----------
    name : str
        Its key in ``layer.parameters``, and in files.
    shape : tuple of int
    initializer : str or Initializer
        What it starts with.
    regularizer : str or Regularizer, optional
        Adds a penalty to the loss in training.
    constraint : str or Constraint, optional
        Applied after each step of an optimizer.
    trained : bool, default True
        False: no optimizer moves it, and it has no gradient, such as a moving average.

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
        """Number of elements."""
        return math.prod(self.shape)
