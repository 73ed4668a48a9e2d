"""Optimizers: weights after a few steps of a small model."""

import numpy as np

from gatewise import optimizers, schedules
from gatewise.layers import LSTM, Dense, Input
from gatewise.models import Sequential

from .registry import case

KINDS = ("SGD", "Adagrad", "Adam", "AdamW", "Lion", "Nadam", "RMSprop")
OF_ALL = {
    "plain": {},
    "decay": {"weight_decay": 0.05},
    "clipnorm": {"clipnorm": 0.1},
    "accumulation": {"gradient_accumulation_steps": 2},
}
OF_ONE = {
    "SGD": {
        "momentum": {"momentum": 0.8},
        "nesterov": {"momentum": 0.8, "nesterov": True},
        "clipvalue": {"clipvalue": 0.05},
        "global clipnorm": {"global_clipnorm": 0.2, "momentum": 0.5},
        "schedule": {"learning_rate": schedules.CosineDecay(0.1, 6)},
        "mean": {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3},
    },
    "Adagrad": {"accumulator": {"initial_accumulator_value": 0.5, "epsilon": 1e-3}},
    "Adam": {
        "amsgrad": {"amsgrad": True},
        "betas": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-4},
        "schedule": {"learning_rate": schedules.ExponentialDecay(0.1, 3, 0.5)},
        "mean": {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3},
        "clipvalue": {"clipvalue": 0.05},
        "global clipnorm": {"global_clipnorm": 0.2},
    },
    "AdamW": {"amsgrad": {"amsgrad": True, "weight_decay": 0.1}},
    "Lion": {"betas": {"beta_1": 0.5, "beta_2": 0.9}},
    "Nadam": {"betas": {"beta_1": 0.5, "beta_2": 0.9}},
    "RMSprop": {
        "momentum": {"momentum": 0.6, "rho": 0.7},
        "centered": {"centered": True},
        "centered momentum": {"centered": True, "momentum": 0.6},
    },
}


def _run(kind, options, dtype):
    rng = np.random.default_rng(0)
    layers = [
        Input((None, 3)),
        LSTM(5, recurrent_constraint="unit_norm", kernel_regularizer="l2", dtype=dtype),
        Dense(2, dtype=dtype),
    ]
    model = Sequential(layers, seed=0)
    optimizer = getattr(optimizers, kind)(**({"learning_rate": 0.05} | options))
    if "weight_decay" in options:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "mse")
    steps = [
        model.train_on_batch(rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 2))) for _ in range(7)
    ]
    return {
        "losses": steps,
        "weights": np.concatenate([w.ravel() for w in model.get_weights()]),
        "steps": optimizer.iterations,
        "rate": optimizer.learning_rate,
    }


for _kind in KINDS:
    for _what, _options in (OF_ALL | OF_ONE[_kind]).items():
        for _dtype in ("float32", "float64"):
            case(
                f"optimizers/{_kind}/{_what}/{_dtype}",
                lambda k=_kind, o=_options, d=_dtype: _run(k, o, d),
                "training",
            )
