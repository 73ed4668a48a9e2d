"""Optimizers with each of their options, a problem to run them on, and formulas in NumPy."""

import itertools
import json

import numpy as np

from gatewise import optimizers

STEPS = 50
SHAPES = [(3, 5), (5,), (1,), (2, 3, 4)]  # 45 numbers in four arrays
ENDS = np.cumsum([0, *(int(np.prod(shape)) for shape in SHAPES)])
PIECES = [slice(int(a), int(b)) for a, b in itertools.pairwise(ENDS)]
TOTAL = int(ENDS[-1])

COSINE = {
    "class_name": "CosineDecay",
    "config": {
        "initial_learning_rate": 0.001,
        "decay_steps": 30,
        "alpha": 0.1,
        "warmup_target": 0.02,
        "warmup_steps": 7,
    },
}
STAIRS = {
    "class_name": "ExponentialDecay",
    "config": {
        "initial_learning_rate": 0.02,
        "decay_steps": 8,
        "decay_rate": 0.5,
        "staircase": True,
    },
}
EMA = {"use_ema": True, "ema_momentum": 0.8}

OPTIONS = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    ("SGD", {"nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.7}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True, "rho": 0.95}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "epsilon": 1e-3}),
    ("RMSprop", {"epsilon": 0.5}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95}),
    ("Adam", {"epsilon": 0.1}),
    ("Adam", {"beta_1": 0.0}),
    ("Adam", {"amsgrad": True, "beta_2": 0.8}),
    ("AdamW", {}),
    (
        "AdamW",
        {"learning_rate": 0.03, "weight_decay": 0.3, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
    ),
    ("AdamW", {"weight_decay": 0.0}),
    ("AdamW", {"amsgrad": True, "beta_2": 0.9, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.0, "epsilon": 1e-3}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 2.0}),
    ("Nadam", {}),
    ("Nadam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}),
    ("Lion", {}),
    ("Lion", {"learning_rate": 0.02, "beta_1": 0.6, "beta_2": 0.8}),
    ("Lion", {"beta_1": 1.0}),
    *[
        (name, {clip: limit})
        for name in ("SGD", "Adam", "RMSprop", "AdamW", "Lion")
        for clip, limit in (("clipnorm", 1.0), ("clipvalue", 0.5), ("global_clipnorm", 2.0))
    ],
    ("SGD", {"momentum": 0.9, "clipnorm": 0.3}),
    ("SGD", {"clipnorm": 1e6}),
    ("SGD", {"global_clipnorm": 1e6}),
    *[
        (name, {"weight_decay": 0.2})
        for name in ("SGD", "RMSprop", "Adam", "Adagrad", "Nadam", "Lion")
    ],
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    *[(name, EMA) for name in ("SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Nadam", "Lion")],
    ("SGD", {**EMA, "ema_overwrite_frequency": 7, "learning_rate": 0.1}),
    ("Adam", {**EMA, "ema_overwrite_frequency": 1, "learning_rate": 0.1}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.0}),
    ("Adam", {"use_ema": True, "ema_momentum": 1.0}),
    *[
        (name, {"gradient_accumulation_steps": 3})
        for name in ("SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Nadam", "Lion")
    ],
    (
        "Adam",
        {"gradient_accumulation_steps": 4, "clipnorm": 0.5, "amsgrad": True, "weight_decay": 0.1},
    ),
    ("Nadam", {"gradient_accumulation_steps": 2, **EMA}),
    (
        "SGD",
        {
            "gradient_accumulation_steps": 3,
            **EMA,
            "ema_overwrite_frequency": 2,
            "learning_rate": 0.1,
        },
    ),
    ("Adam", {"gradient_accumulation_steps": 100}),
    *[(name, {"learning_rate": COSINE}) for name in ("SGD", "Adam", "Nadam", "Lion")],
    ("RMSprop", {"learning_rate": STAIRS, "weight_decay": 0.2}),
    ("AdamW", {"learning_rate": STAIRS, "weight_decay": 0.2, "gradient_accumulation_steps": 3}),
    ("SGD", {"learning_rate": COSINE, "momentum": 0.9, "gradient_accumulation_steps": 4, **EMA}),
]


def case_id(name, options):
    plain = {
        key: value["class_name"] if isinstance(value, dict) else value
        for key, value in options.items()
    }
    return f"{name}-{'-'.join(f'{key}={value}' for key, value in plain.items())}"


IDS = [case_id(*case) for case in OPTIONS]


def make(name, options):
    return getattr(optimizers, name)(**options)


def make_problem(rng):
    """(start, gradients of each step): sizes from 1e-4 to 10, some exactly zero."""
    gradients = rng.normal(size=(STEPS, TOTAL)) * 10.0 ** rng.uniform(-4, 1, TOTAL)
    gradients[3] = 0
    gradients[:, 7] = 0
    return rng.normal(size=TOTAL), gradients


def ours(name, options, start, gradients, dtype="float64", rates=None):
    """(parameters, their running mean or nothing) after each step."""
    optimizer = make(name, options)
    p, path, means = start.astype(dtype), [], []
    for step, g in enumerate(gradients):
        if rates is not None:
            optimizer.learning_rate = rates[step]
        optimizer.step(p, g.astype(dtype), PIECES)
        path.append(p.copy())
        means += [] if optimizer.average is None else [optimizer.average.copy()]
    assert optimizer.iterations == len(gradients) // (
        options.get("gradient_accumulation_steps") or 1
    )
    return np.array(path), np.array(means)


# ---- the formulas

COMMON = {
    "weight_decay": 0.0,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
}
DEFAULTS = {
    "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "RMSprop": {
        "learning_rate": 0.001,
        "rho": 0.9,
        "momentum": 0.0,
        "epsilon": 1e-7,
        "centered": False,
    },
    "Adam": {
        "learning_rate": 0.001,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
    },
    "AdamW": {
        "learning_rate": 0.001,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
        "weight_decay": 0.004,
    },
    "Adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "Nadam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "Lion": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99},
}


def sgd_step(o, s, g, lr, t):
    s["m"] = o["momentum"] * s["m"] - lr * g
    return o["momentum"] * s["m"] - lr * g if o["nesterov"] else s["m"]


def rmsprop_step(o, s, g, lr, t):
    s["v"] = o["rho"] * s["v"] + (1 - o["rho"]) * g * g
    s["c"] = o["rho"] * s["c"] + (1 - o["rho"]) * g
    s["m"] = o["momentum"] * s["m"] + lr * g / np.sqrt(
        s["v"] - s["c"] ** 2 * o["centered"] + o["epsilon"]
    )
    return -s["m"]


def move_moments(o, s, g):
    s["m"] = o["beta_1"] * s["m"] + (1 - o["beta_1"]) * g
    s["v"] = o["beta_2"] * s["v"] + (1 - o["beta_2"]) * g * g


def adam_step(o, s, g, lr, t):
    move_moments(o, s, g)
    s["top"] = np.maximum(s["top"], s["v"])
    rate = lr * np.sqrt(1 - o["beta_2"] ** t) / (1 - o["beta_1"] ** t)
    return -rate * s["m"] / (np.sqrt(s["top"] if o["amsgrad"] else s["v"]) + o["epsilon"])


def nadam_step(o, s, g, lr, t):
    move_moments(o, s, g)
    u = [o["beta_1"] * (1 - 0.5 * 0.96**k) for k in range(1, t + 2)]
    m = u[t] * s["m"] / (1 - np.prod(u)) + (1 - u[t - 1]) * g / (1 - np.prod(u[:t]))
    return -lr * m / (np.sqrt(s["v"] / (1 - o["beta_2"] ** t)) + o["epsilon"])


def adagrad_step(o, s, g, lr, t):
    s["v"] = (o["initial_accumulator_value"] if t == 1 else s["v"]) + g * g
    return -lr * g / np.sqrt(s["v"] + o["epsilon"])


def lion_step(o, s, g, lr, t):
    step = -lr * np.sign(o["beta_1"] * s["m"] + (1 - o["beta_1"]) * g)
    s["m"] = o["beta_2"] * s["m"] + (1 - o["beta_2"]) * g
    return step


FORMULAS = {
    "SGD": sgd_step,
    "RMSprop": rmsprop_step,
    "Adam": adam_step,
    "AdamW": adam_step,
    "Adagrad": adagrad_step,
    "Nadam": nadam_step,
    "Lion": lion_step,
}


def clipped(g, o):
    if o["clipvalue"] is not None:
        g = np.clip(g, -o["clipvalue"], o["clipvalue"])
    if o["clipnorm"] is not None:
        g = np.concatenate(
            [
                g[piece] * min(1, o["clipnorm"] / max(np.linalg.norm(g[piece]), 1e-300))
                for piece in PIECES
            ]
        )
    if o["global_clipnorm"] is not None:
        g = g * min(1, o["global_clipnorm"] / max(np.linalg.norm(g), 1e-300))
    return g


def rate_at(rate, call):
    if rate is COSINE:
        return (
            0.001 + (0.02 - 0.001) * call / 7
            if call < 7
            else 0.02 * (0.9 * 0.5 * (1 + np.cos(np.pi * min(call - 7, 30) / 30)) + 0.1)
        )
    return 0.02 * 0.5 ** (call // 8) if rate is STAIRS else rate


def formulas(name, options, start, gradients):
    """(parameters, their running mean or nothing) after each step, in Keras's order of things."""
    o = COMMON | DEFAULTS[name] | options
    count, frequency = o["gradient_accumulation_steps"] or 1, o["ema_overwrite_frequency"]
    p, state, path, means = start, dict.fromkeys(("m", "v", "c", "top"), np.zeros(TOTAL)), [], []
    mean = held = np.zeros(TOTAL)
    for call, g in enumerate(gradients):
        before, held = call // count, held + g
        if call % count == count - 1:
            lr = rate_at(o["learning_rate"], call)
            step = FORMULAS[name](o, state, clipped(held / count, o), lr, before + 1)
            p, held = p - lr * o["weight_decay"] * p + step, np.zeros(TOTAL)
        if o["use_ema"]:
            momentum = o["ema_momentum"] if before else 0
            mean = momentum * mean + (1 - momentum) * p
            p = mean if frequency and (before + 1) % frequency == 0 else p
            means.append(mean)
        path.append(p)
    return np.array(path), np.array(means)


def run(optimizer, p, gradients):
    for g in gradients:
        optimizer.step(p, g.astype(p.dtype), PIECES)


def through_json(optimizer):
    """Another one of the same configuration, as a file would give it back."""
    again = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert type(again) is type(optimizer)
    assert optimizers.serialize(again) == optimizers.serialize(optimizer)
    return again


def state_of(optimizer, steps=3):
    """(iterations, slots, parameters) after some steps."""
    p = np.linspace(-1, 1, 4, dtype=np.float32)
    for _ in range(steps):
        optimizer.step(p, np.ones(4, np.float32), [slice(0, 4)])
    return (
        optimizer.iterations,
        {name: array.copy() for name, array in optimizer.slots().items()},
        p,
    )


ALL = ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Nadam", "Lion"]
