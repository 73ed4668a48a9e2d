"""What is measured: kinds, shapes and modes, and the arithmetic in each."""

from dataclasses import asdict, dataclass

KINDS = ("lstm", "gru", "rnn")
MODES = ("inference", "training")
GATES = {"lstm": 4, "gru": 3, "rnn": 1}

# (batch, steps, inputs, units)
GRID = [
    (1, 1, 64, 128),
    (1, 100, 64, 128),
    (4, 100, 64, 128),
    (8, 100, 64, 128),
    (20, 20, 200, 200),
    (32, 10, 1, 10),
    (32, 100, 1, 50),
    (32, 100, 64, 128),
    (32, 50, 256, 256),
    (64, 24, 7, 128),
    (64, 256, 32, 96),
    (64, 35, 650, 650),
    (128, 50, 64, 64),
    (256, 12, 3, 24),
]
ODD = [
    (3, 20, 5, 37),
    (100, 30, 40, 150),
    (16, 40, 300, 300),
    (64, 1, 128, 256),
    (1, 200, 16, 37),
    (2, 50, 64, 512),
]


@dataclass(frozen=True)
class Case:
    """One cell of the table."""

    kind: str
    batch: int
    steps: int
    inputs: int
    units: int
    mode: str
    dtype: str = "float32"

    def operations(self):
        """Operations of the matrix products: forward, or forward + dx + dh + both weights."""
        forward = (
            2 * self.batch * self.steps * GATES[self.kind] * self.units * (self.inputs + self.units)
        )
        return forward if self.mode == "inference" else 3 * forward

    def label(self):
        """(batch, steps, inputs, units) as text."""
        return f"{self.batch},{self.steps},{self.inputs},{self.units}"

    def to_dict(self):
        """JSON values."""
        return asdict(self)


def cases(kinds=KINDS, shapes=None, modes=MODES, dtype="float32"):
    """All cases, mode by mode, kind by kind."""
    return [
        Case(kind, *shape, mode, dtype)
        for mode in modes
        for kind in kinds
        for shape in shapes or GRID
    ]
