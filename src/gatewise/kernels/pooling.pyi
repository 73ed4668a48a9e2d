from gatewise._typing import Array

def pool(
    x: Array,
    y: Array,
    maximum: bool,
    window: tuple[int, int],
    strides: tuple[int, int],
    front: tuple[int, int],
    threads: int = 1,
) -> None: ...
def pool_backward(
    x: Array,
    dy: Array,
    dx: Array,
    maximum: bool,
    window: tuple[int, int],
    strides: tuple[int, int],
    front: tuple[int, int],
    threads: int = 1,
) -> None: ...
