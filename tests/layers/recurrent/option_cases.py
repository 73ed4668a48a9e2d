"""The cells with each of their options, which several test files share."""

from cases import (
    make,
)

from gatewise.cells import greff

# (cell, options) by a short name. Clips are tight, so that they bite.
OPTIONS = {
    "peepholes": ("lstm", {"peepholes": True}),
    "coupled": ("lstm", {"coupled": True}),
    "coupled with peepholes": ("lstm", {"coupled": True, "peepholes": True}),
    **{f"{name} of Greff": ("lstm", greff(name)) for name in ("NIG", "NFG", "NOG", "NIAF", "NOAF")},
    "only g": (
        "lstm",
        {"input_gate": False, "forget_gate": False, "output_gate": False, "activation": "softsign"},
    ),
    "only f": ("lstm", {"input_gate": False, "output_gate": False, "peepholes": True}),
    "activations": (
        "lstm",
        {
            "activation": ("scaled_tanh", 1.5, 0.7),
            "output_activation": ("leaky_relu", 0.1),
            "recurrent_activation": ("hard_sigmoid", 0.3, 0.4),
        },
    ),
    "clip": ("lstm", {"clip": 0.4, "peepholes": True}),
    "cell clip": ("lstm", {"cell_clip": 0.3}),
    "projection": ("lstm", {"projection": 3}),
    "projection of everything": (
        "lstm",
        {"projection": 4, "peepholes": True, "coupled": True, "clip": 0.8, "cell_clip": 0.6},
    ),
    "normalised": ("lstm", {"layer_normalization": True}),
    "normalised, other functions": (
        "lstm",
        {
            "layer_normalization": True,
            "activation": "softsign",
            "output_activation": "elu",
            "recurrent_activation": ("hard_sigmoid", 0.3, 0.5),
        },
    ),
    "rnn normalised": ("rnn", {"layer_normalization": True, "activation": "softplus"}),
    "gru normalised": (
        "gru",
        {
            "layer_normalization": True,
            "activation": "elu",
            "recurrent_activation": ("affine", 0.6, 0.2),
        },
    ),
    "gru_chung normalised": ("gru_chung", {"layer_normalization": True}),
    "rnn clip": ("rnn", {"clip": 0.5, "activation": ("affine", 0.7, 0.1)}),
    "gru clip": ("gru", {"clip": 0.4}),
    "gru_before clip": ("gru_before", {"clip": 0.4, "activation": "relu"}),
    "gate inside": ("lstm", {"output_gate_inside": True}),
    "gate inside everything": (
        "lstm",
        {
            "output_gate_inside": True,
            "peepholes": True,
            "coupled": True,
            "projection": 4,
            "clip": 0.8,
            "cell_clip": 0.6,
            "output_activation": "softsign",
        },
    ),
    "complement": ("gru", {"candidate": "complement"}),
    "complement before": ("gru_before", {"candidate": "complement", "clip": 0.9}),
    "split": ("gru", {"candidate": "split"}),
    "split chung": ("gru_chung", {"candidate": "split", "clip": 0.5}),
    "input": ("gru", {"candidate": "input"}),
    "input with output": (
        "gru_chung",
        {"candidate": "input", "output_activation": "sigmoid", "clip": 0.7},
    ),
    "gru output": ("gru", {"output_activation": ("affine", 0.7, 0.2)}),
    "gru_before output": ("gru_before", {"output_activation": "tanh"}),
}

ZONED = {
    "rnn": ("rnn", {"zoneout": 0.3}),
    "gru": ("gru", {"zoneout": 0.3}),
    "gru_before_chung": ("gru_before_chung", {"zoneout": 0.4}),
    "lstm": ("lstm", {"zoneout": (0.4, 0.2)}),
    "lstm h": ("lstm", {"zoneout": (0.0, 0.5)}),
    "lstm c of everything": (
        "lstm",
        {
            "zoneout": (0.5, 0.0),
            "peepholes": True,
            "cell_clip": 0.4,
            "clip": 0.7,
            "input_gate": False,
        },
    ),
    "gru split": ("gru", {"zoneout": 0.3, "candidate": "split", "output_activation": "sigmoid"}),
    "gru input": ("gru_chung", {"zoneout": 0.3, "candidate": "input"}),
    "lstm gate inside": ("lstm", {"zoneout": (0.4, 0.2), "output_gate_inside": True}),
    "lstm projected": ("lstm", {"zoneout": (0.3, 0.3), "projection": 4, "coupled": True}),
}


def build(name, units, inputs, rng, dtype="float64", **options):
    cell, chosen = (OPTIONS | {f"zoneout {key}": value for key, value in ZONED.items()})[name]
    return make(cell, units, inputs, rng, dtype, **(chosen | options))
