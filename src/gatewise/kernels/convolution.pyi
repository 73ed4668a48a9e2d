from gatewise._typing import Array
from gatewise.kernels._planes import Plane
from gatewise.kernels.activations import ActivationCode

def correlate(
    x: Array,
    plane: Plane,
    packed: Array,
    y: Array,
    activation: ActivationCode,
    threads: int = 1,
) -> None: ...
def weight_gradient(
    x: Array, plane: Plane, dz: Array, d_w: Array, d_b: Array | None = None, threads: int = 1
) -> None: ...
def depthwise(
    x: Array,
    w: Array,
    b: Array | None,
    y: Array,
    stride: int,
    dilation: int,
    threads: int = 1,
) -> None: ...
def depthwise_backward(
    x: Array,
    w: Array,
    dz: Array,
    d_w: Array,
    dx: Array | None,
    stride: int,
    dilation: int,
    threads: int = 1,
) -> None: ...
def shares_of(parts: int, sums: int) -> int: ...
