from gatewise._typing import Array

KINDS: dict[str, int]

def total(
    kind: str,
    y: Array,
    p: Array,
    weights: Array | None = None,
    scale: float = 1.0,
    gradient: Array | None = None,
    threads: int = 1,
    option: float = 0.0,
) -> float: ...
