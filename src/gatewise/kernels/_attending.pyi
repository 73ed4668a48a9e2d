from gatewise._typing import Array

class Attending:
    memory: Array
    keys: Array
    lengths: Array | None
    scale: Array
    query: Array
    weights: Array
    queries: Array
    read: int
    d_memory: Array
    d_keys: Array
    d_scale: Array
    d_query: Array
    def __init__(
        self,
        memory: Array,
        keys: Array,
        lengths: Array | None,
        scale: Array,
        query: Array,
        steps: int,
        read: int,
    ) -> None: ...
    def begin_backward(self, d_contexts: Array | None) -> None: ...
