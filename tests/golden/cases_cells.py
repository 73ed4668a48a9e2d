"""Every recurrent layer with the options of its cell, in both dtypes."""

from gatewise import layers
from gatewise.cells import FullGateLSTMCell, greff

from .layer_calls import drawn, passes
from .registry import case

OF_ALL = {
    "plain": {},
    "relu": {"activation": "relu"},
    "leaky": {"activation": ("leaky_relu", 0.1)},
    "no bias": {"use_bias": False},
    "clip": {"clip": 0.4},
    "zoneout": {"zoneout": 0.3},
    "normalized": {"layer_normalization": True},
}
GATED = OF_ALL | {
    "hard gates": {"recurrent_activation": "hard_sigmoid"},
    "softsign": {"activation": "softsign"},
}
OPTIONS = {
    "SimpleRNN": OF_ALL,
    "GRU": GATED
    | {
        "before": {"reset_after": False},
        "before, no bias": {"reset_after": False, "use_bias": False},
        "chung": {"update": "chung"},
        "before, zoneout": {"reset_after": False, "zoneout": 0.2},
    },
    "LSTM": GATED
    | {
        "no forget bias": {"unit_forget_bias": False},
        "output": {"output_activation": "linear"},
        "peepholes": {"peepholes": True},
        "coupled": {"coupled": True},
        "no input gate": {"input_gate": False},
        "no forget gate": {"forget_gate": False},
        "no output gate": {"output_gate": False},
        "cell clip": {"cell_clip": 0.3},
        "projection": {"projection": 3},
        "projection, peepholes": {"projection": 3, "peepholes": True, "cell_clip": 0.5},
        "coupled, zoneout": {"coupled": True, "zoneout": 0.2},
    },
    "MinGRU": {"plain": {}, "tanh": {"activation": "tanh"}, "no bias": {"use_bias": False}},
    "MinLSTM": {"plain": {}, "tanh": {"activation": "tanh"}, "no bias": {"use_bias": False}},
    "GRUD": {
        "plain": {},
        "means": {"means": [0.5, -0.25]},
        "no bias": {"use_bias": False},
        "relu": {"activation": "relu"},
    },
}
VARIANTS = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP")


def _data(kind, dtype):
    x = drawn((4, 6, 6 if kind == "GRUD" else 3), dtype)
    if kind == "GRUD":
        x[..., 2:4] = x[..., 2:4] > 0
        x[..., 4:] = abs(x[..., 4:])
    return x


def _run(kind, options, dtype):
    layer = getattr(layers, kind)(5, return_sequences=True, dtype=dtype, seed=3, **options)
    return passes(layer, _data(kind, dtype))


def _variant(name):
    return passes(layers.LSTM.variant(name, 5, seed=3), drawn((4, 6, 3)))


def _full_gates(dtype):
    layer = layers.RNN(FullGateLSTMCell(4), return_sequences=True, dtype=dtype, seed=3)
    return passes(layer, drawn((3, 5, 2), dtype), lengths=[5, 2, 4])


for _kind, _all in OPTIONS.items():
    for _what, _options in _all.items():
        for _dtype in ("float32", "float64"):
            case(
                f"cells/{_kind}/{_what}/{_dtype}",
                lambda k=_kind, o=_options, d=_dtype: _run(k, o, d),
            )
for _name in (*VARIANTS, "FGR"):
    case(f"cells/variant/{_name}", lambda n=_name: _variant(n))
for _dtype in ("float32", "float64"):
    case(f"cells/RNN/full gates/{_dtype}", lambda d=_dtype: _full_gates(d))


@case("cells/greff")
def _greff():
    return {name: str(sorted(greff(name).items())) for name in VARIANTS}
