from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from gatewise._typing import Array
from gatewise.kernels.activations import ActivationCode

LINEAR: ActivationCode

class ScanKernel:
    has_zoneout: ClassVar[bool]
    family: str
    dtype: np.dtype[Any]
    inputs: int
    units: int
    act: ActivationCode
    width: int
    saved: int
    def __init__(
        self, family: str, dtype: DTypeLike, inputs: int, units: int, act: ActivationCode
    ) -> None: ...
    def workspace(self) -> ScanWorkspace: ...
    def pack_forward(self, weights: dict[str, Array | None]) -> Array: ...
    def pack_backward(self, weights: dict[str, Array | None]) -> None: ...
    def forward(
        self,
        packed: Array,
        x: Array,
        final_h: Array,
        final_c: Array | None = None,
        *,
        order: Array | None = None,
        lengths: Array | None = None,
        resets: Array | None = None,
        initial_h: Array | None = None,
        mask: Array | None = None,
        zoneout_key: int | None = None,
        y: Array | None = None,
        workspace: ScanWorkspace | None = None,
        threads: int = 1,
    ) -> None: ...
    def backward(
        self,
        packed: Array | None,
        x: Array,
        weights: dict[str, Array | None],
        workspace: ScanWorkspace,
        dh: Array,
        dc: Array | None = None,
        *,
        order: Array | None = None,
        lengths: Array | None = None,
        resets: Array | None = None,
        mask: Array | None = None,
        zoneout_key: int | None = None,
        dy: Array | None = None,
        gradients: dict[str, Array | None],
        dx: Array | None = None,
        threads: int = 1,
    ) -> None: ...

class ScanWorkspace:
    g: Array | None
    a: Array | None
    h: Array | None
    initial_h: Array | None
    def prepare(
        self, kernel: ScanKernel, batch: int, steps: int, masked: bool, with_h: bool = True
    ) -> None: ...
