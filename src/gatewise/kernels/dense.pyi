from gatewise._typing import Array
from gatewise.kernels.activations import ActivationCode

def pack(w: Array, b: Array | None = None) -> Array: ...
def forward(
    x: Array, packed: Array, y: Array, activation: ActivationCode, threads: int = 1
) -> None: ...
def backward(
    x: Array,
    w: Array,
    dz: Array,
    d_w: Array,
    d_b: Array | None = None,
    dx: Array | None = None,
    threads: int = 1,
) -> None: ...
