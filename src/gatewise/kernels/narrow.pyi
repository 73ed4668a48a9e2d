from gatewise._typing import Array

class NarrowSums:
    count: int
    columns: int
    given: int
    bias: Array
    floats: Array | None
    def __init__(self, parts: list[tuple[Array, bool, int]], bias: Array, storage: str) -> None: ...
    @property
    def nbytes(self) -> int: ...

class NarrowMatrix:
    storage: str
    inputs: int
    columns: int
    def __init__(self, w: Array, storage: str) -> None: ...
    @property
    def nbytes(self) -> int: ...
    def add_product(self, x: Array, z: Array, backwards: bool = False) -> None: ...
