"""Initializers, regularizers and constraints."""

import numpy as np

from gatewise import constraints, initializers, regularizers

from .layer_calls import drawn
from .registry import case

INITIALIZERS = {
    "Constant": [{"value": 0.3}],
    "GlorotNormal": [{}],
    "GlorotUniform": [{}],
    "HeNormal": [{}],
    "HeUniform": [{}],
    "Identity": [{}, {"gain": 0.5}],
    "LecunNormal": [{}],
    "LecunUniform": [{}],
    "Ones": [{}],
    "Orthogonal": [{}, {"gain": 1.5}],
    "RandomNormal": [{}, {"mean": 1.0, "stddev": 2.0}],
    "RandomUniform": [{}, {"minval": 0.0, "maxval": 2.0}],
    "TruncatedNormal": [{}, {"mean": 1.0, "stddev": 2.0}],
    "VarianceScaling": [
        {},
        {"scale": 2.0, "mode": "fan_out"},
        {"mode": "fan_avg", "distribution": "uniform"},
    ],
    "Zeros": [{}],
}
REGULARIZERS = {
    "L1": [{}, {"l1": 0.3}],
    "L2": [{}, {"l2": 0.3}],
    "L1L2": [{"l1": 0.1, "l2": 0.2}],
}
CONSTRAINTS = {
    "MaxNorm": [{}, {"max_value": 0.7, "axis": 1}],
    "MinMaxNorm": [{"min_value": 0.5, "max_value": 0.9}, {"rate": 0.5, "axis": [0, 1]}],
    "NonNeg": [{}],
    "UnitNorm": [{}, {"axis": 1}],
}


def _initial(name, options):
    found = {}
    for dtype in ("float32", "float64"):
        initializer = getattr(initializers, name)(**options)
        for shape in ((5, 5), (4, 7)) if name != "Identity" else ((5, 5),):
            found[f"{dtype} {shape}"] = initializer(shape, np.random.default_rng(3), dtype)
    if "seed" in getattr(initializer, "get_config", dict)():
        seeded = getattr(initializers, name)(seed=5, **options)
        found["seeded"] = [seeded((5, 5)), seeded((5, 5))]
    return found


def _penalty(name, options):
    found = {}
    for dtype in ("float32", "float64"):
        regularizer, w = getattr(regularizers, name)(**options), drawn((4, 5), dtype)
        gradient = drawn((4, 5), dtype, 1)
        regularizer.add_gradient(w, gradient)
        found[dtype] = [regularizer(w), gradient]
    return found


def _held(name, options):
    constraint = getattr(constraints, name)(**options)
    return {dtype: constraint(drawn((4, 5), dtype)) for dtype in ("float32", "float64")}


for _kinds, _run in ((INITIALIZERS, _initial), (REGULARIZERS, _penalty), (CONSTRAINTS, _held)):
    for _name, _choices in _kinds.items():
        for _number, _options in enumerate(_choices):
            case(f"weights/{_name}/{_number}", lambda r=_run, n=_name, o=_options: r(n, o))
