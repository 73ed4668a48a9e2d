from gatewise._typing import Array

class NarrowMatrix:
    storage: str
    inputs: int
    columns: int
    def __init__(self, w: Array, storage: str) -> None: ...
    @property
    def nbytes(self) -> int: ...
    def add_product(self, x: Array, z: Array, backwards: bool = False) -> None: ...
