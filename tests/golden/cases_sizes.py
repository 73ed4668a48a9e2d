"""Layers of many sizes: the edges of tiles and vectors, and work for several threads."""

from gatewise import layers

from .layer_calls import drawn, passes
from .registry import case

SIZES = (
    (1, 1, 1, 1),
    (2, 7, 5, 8),
    (3, 4, 17, 17),
    (33, 5, 8, 40),
    (1, 30, 4, 65),
    (16, 20, 32, 96),
)
KINDS = ("SimpleRNN", "LSTM", "GRU", "MinGRU", "MinLSTM")


def _run(kind, size, dtype):
    batch, steps, inputs, units = size
    layer = getattr(layers, kind)(units, return_sequences=True, dtype=dtype, seed=3)
    return passes(layer, drawn((batch, steps, inputs), dtype))


def _lengths(kind):
    layer = getattr(layers, kind)(64, return_sequences=True, seed=3)
    lengths = [(7 * row) % 31 for row in range(40)]
    return passes(layer, drawn((40, 30, 16)), lengths=lengths)


def _dense(rows, inputs, units, dtype):
    layer = layers.Dense(units, activation="tanh", dtype=dtype, seed=3)
    return passes(layer, drawn((rows, inputs), dtype))


for _kind in KINDS:
    for _size in SIZES:
        for _dtype in ("float32", "float64"):
            case(
                f"sizes/{_kind}/{'x'.join(map(str, _size))}/{_dtype}",
                lambda k=_kind, s=_size, d=_dtype: _run(k, s, d),
            )
    case(f"sizes/{_kind}/many lengths", lambda k=_kind: _lengths(k))
for _rows, _inputs, _units in ((1, 1, 1), (7, 9, 17), (50, 33, 24), (300, 128, 100)):
    for _dtype in ("float32", "float64"):
        case(
            f"sizes/Dense/{_rows}x{_inputs}x{_units}/{_dtype}",
            lambda r=_rows, i=_inputs, u=_units, d=_dtype: _dense(r, i, u, d),
        )
