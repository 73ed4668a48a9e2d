from gatewise._typing import Array

def scratch_size(steps: int, labels: int, columns: int, want_gradient: bool) -> int: ...
def values(
    z: Array,
    labels: Array,
    counts: Array,
    lengths: Array | None = None,
    weights: Array | None = None,
    blank: int = 0,
    zero_infinity: bool = False,
    scale: float = 1.0,
    gradient: Array | None = None,
    threads: int = 1,
) -> Array: ...
