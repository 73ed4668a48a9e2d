from numpy.typing import DTypeLike

from gatewise._typing import Array

ALIGNMENT: int
BLAS_BUFFER: int

def reserve(size: int) -> None: ...
def aligned_empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array: ...
