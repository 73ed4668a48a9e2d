from gatewise._typing import Array

def forward(
    query: Array,
    value: Array,
    key: Array,
    y: Array,
    weights: Array | None = None,
    *,
    query_lengths: Array | None = None,
    value_lengths: Array | None = None,
    additive: Array | None = None,
    scale: float = 1,
    causal: bool = False,
    mask: Array | None = None,
    scores: Array | None = None,
    threads: int = 1,
) -> None: ...
def backward(
    query: Array,
    value: Array,
    key: Array,
    weights: Array,
    dy: Array,
    d_query: Array,
    d_value: Array,
    d_key: Array,
    *,
    query_lengths: Array | None = None,
    value_lengths: Array | None = None,
    additive: Array | None = None,
    scale: float = 1,
    mask: Array | None = None,
    d_kept: Array | None = None,
    d_additive: Array | None = None,
    d_scale: Array | None = None,
    threads: int = 1,
) -> None: ...
def spread(
    weights: Array, query_lengths: Array | None = None, value_lengths: Array | None = None
) -> None: ...
