"""Names of types that annotations share."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "ArrayLike",
    "Arrays",
    "BoolArray",
    "Config",
    "DType",
    "IntArray",
    "Model",
    "PathLike",
    "Shape",
]

Array = NDArray[Any]  # of whatever dtype: the docstring names it
# an array, or a list or dict with one for each input or output of a model
Arrays = ArrayLike | Sequence[Any] | Mapping[str, Any]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Config = dict[str, Any]  # arguments as JSON values
# A gatewise.models.Sequential, for the rooms below models, which know its methods, not its class.
Model = Any
DType = Literal["float32", "float64"]
PathLike = str | os.PathLike[str]
Shape = tuple[int | None, ...]  # None for an axis of any extent
