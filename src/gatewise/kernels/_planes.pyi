class Plane:
    size: tuple[int, int]
    count: tuple[int, int]
    features: int
    inputs: int
    padded: int
    def __init__(
        self,
        size: tuple[int, int],
        features: int,
        window: tuple[int, int],
        strides: tuple[int, int],
        dilation: tuple[int, int],
        front: tuple[int, int],
        count: tuple[int, int],
        spread: tuple[int, int],
    ) -> None: ...
