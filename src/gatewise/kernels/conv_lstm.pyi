from typing import Any

from numpy.typing import DTypeLike

from gatewise._typing import Array
from gatewise.kernels._planes import Plane
from gatewise.kernels.activations import ActivationCode

class ConvLSTMWorkspace:
    gates: Array | None
    c: Array | None
    h: Array | None
    fits: tuple[Any, ...] | None
    def prepare(
        self, batch: int, steps: int, h_plane: Plane, filters: int, dtype: DTypeLike
    ) -> None: ...

def pack(kernel: Array, recurrent_kernel: Array, bias: Array | None) -> Array: ...
def forward(
    x: Array,
    x_plane: Plane,
    h_plane: Plane,
    packed: Array,
    h: Array,
    c: Array,
    activations: tuple[ActivationCode, ActivationCode, ActivationCode],
    *,
    y: Array | None = None,
    lengths: Array | None = None,
    resets: Array | None = None,
    mask: Array | None = None,
    workspace: ConvLSTMWorkspace | None = None,
    threads: int = 1,
) -> None: ...
def backward(
    x: Array,
    x_plane: Plane,
    h_plane: Plane,
    dx_plane: Plane | None,
    dh_plane: Plane,
    turned_x: Array | None,
    turned_h: Array,
    workspace: ConvLSTMWorkspace,
    dh: Array,
    dc: Array,
    activations: tuple[ActivationCode, ActivationCode, ActivationCode],
    d_kernel: Array,
    d_recurrent: Array,
    d_bias: Array | None,
    *,
    dy: Array | None = None,
    dx: Array | None = None,
    lengths: Array | None = None,
    resets: Array | None = None,
    mask: Array | None = None,
    threads: int = 1,
) -> None: ...
