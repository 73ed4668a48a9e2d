from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from gatewise.kernels.activations import ActivationCode

VECTORS: dict[str, dict[str, int]]

class CompiledCell:
    family: str
    dtype: np.dtype[Any]
    inputs: int
    units: int
    width: int
    x_gates: int
    saved: int
    zoned: bool
    normalized: bool
    zeros: np.ndarray[Any, Any]
    arguments: tuple[Any, ...]
    inner: frozenset[str]
    def __new__(
        cls,
        family: str,
        dtype: DTypeLike,
        inputs: int,
        units: int,
        act: ActivationCode,
        gate: ActivationCode,
        out: ActivationCode,
        reset_after: bool = False,
        chung: bool = False,
        gates: tuple[str, ...] = ("i", "f", "g", "o"),
        coupled: bool = False,
        peepholes: tuple[str, ...] = (),
        clip: float = 0.0,
        cell_clip: float = 0.0,
        projection: int | None = None,
        zoneout: tuple[float, float] = (0.0, 0.0),
        normalized: bool = False,
    ) -> CompiledCell: ...
