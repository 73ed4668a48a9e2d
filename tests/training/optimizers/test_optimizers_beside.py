"""Optimizers: 50 steps beside those of Keras and PyTorch, from the same start and gradients."""

import numpy as np
import pytest

from .optimizer_cases import OPTIONS, PIECES, SHAPES, STEPS, TOTAL, make, ours

# ---- Keras


def keras_paths(start, gradients, shapes, cases, rates):
    import keras
    import numpy as np

    keras.backend.set_floatx("float64")
    try:
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        cut = lambda flat: [flat[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes)]  # noqa: E731
        flat = lambda variables: np.concatenate(  # noqa: E731
            [keras.ops.convert_to_numpy(v.value).ravel() for v in variables]
        )
        paths = []
        for name, options in cases:
            rate = options.get("learning_rate")
            if isinstance(rate, dict):
                schedule = getattr(keras.optimizers.schedules, rate["class_name"])(**rate["config"])
                options = options | {"learning_rate": schedule}
            optimizer = getattr(keras.optimizers, name)(**options)
            variables = [keras.Variable(piece, dtype="float64") for piece in cut(start)]
            optimizer.build(variables)
            path, means = [], []
            for step, g in enumerate(gradients):
                if rates is not None:
                    optimizer.learning_rate = rates[step]
                optimizer.apply([keras.ops.convert_to_tensor(piece) for piece in cut(g)], variables)
                path.append(flat(variables))
                if optimizer.use_ema:
                    means.append(flat(optimizer._model_variables_moving_average))
            paths.append((np.array(path), np.array(means)))
        return paths
    finally:
        keras.backend.set_floatx("float32")


def agree(cases, paths, start, gradients, rates=None):
    for (name, options), theirs in zip(cases, paths, strict=True):
        # Keras's norms carry float32's rounding.
        tight = (
            {"rtol": 1e-6, "atol": 1e-8}
            if "norm" in str(options)
            else {"rtol": 1e-9, "atol": 1e-12}
        )
        for got, wanted in zip(
            ours(name, options, start, gradients, rates=rates), theirs, strict=True
        ):
            np.testing.assert_allclose(got, wanted, **tight, err_msg=f"{name} {options}")


@pytest.mark.long
def test_beside_keras(problem, keras_rival):
    paths = keras_rival.run(keras_paths, *problem, SHAPES, OPTIONS, None)
    agree(OPTIONS, paths, *problem)


def test_a_learning_rate_that_changes_beside_keras(problem, keras_rival):
    rates = np.geomspace(0.05, 0.001, STEPS).tolist()
    cases = [
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("RMSprop", {"momentum": 0.9}),
        ("Adam", {}),
        ("AdamW", {}),
        ("Adagrad", {}),
        ("Nadam", {}),
        ("Lion", {}),
    ]
    agree(cases, keras_rival.run(keras_paths, *problem, SHAPES, cases, rates), *problem, rates)


def keras_excluding(start, gradients, shapes, names, optimizer, excluded):
    import keras
    import numpy as np

    keras.backend.set_floatx("float64")
    try:
        optimizer = getattr(keras.optimizers, optimizer)(0.05, weight_decay=0.3)
        optimizer.exclude_from_weight_decay(var_names=excluded)
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        cut = lambda flat: [flat[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes)]  # noqa: E731
        variables = [
            keras.Variable(piece, dtype="float64", name=name)
            for piece, name in zip(cut(start), names)
        ]
        for g in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(piece) for piece in cut(g)], variables)
        return np.concatenate([keras.ops.convert_to_numpy(v.value).ravel() for v in variables])
    finally:
        keras.backend.set_floatx("float32")


@pytest.mark.parametrize(
    "excluded",
    [["bias"], ["^kernel", "gamma"], ["recurrent", "b.*s$"], ["kernel|gamma"], ["nothing"]],
)
def test_arrays_without_weight_decay_beside_keras(excluded, problem, keras_rival):
    start, gradients = problem
    names = ["kernel", "recurrent_kernel", "bias", "gamma"]
    for name in ("SGD", "AdamW"):
        theirs = keras_rival.run(keras_excluding, start, gradients, SHAPES, names, name, excluded)
        optimizer = make(name, {"learning_rate": 0.05, "weight_decay": 0.3})
        optimizer.exclude_from_weight_decay(var_names=excluded)
        p = start.copy()
        for g in gradients:
            optimizer.step(p, g.copy(), PIECES, names)
        np.testing.assert_allclose(p, theirs, rtol=1e-9, atol=1e-12)


def keras_defaults(names):
    import keras

    return {name: getattr(keras.optimizers, name)().get_config() for name in names}


def test_names_and_defaults_are_keras(keras_rival):
    names = ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Nadam", "Lion"]
    for name, theirs in keras_rival.run(keras_defaults, names).items():
        mine = make(name, {}).get_config()
        assert theirs.keys() - mine.keys() == {"name", "loss_scale_factor"}
        theirs["learning_rate"] = round(theirs["learning_rate"], 9)  # it comes back from float32
        assert mine == {key: theirs[key] for key in mine}


# ---- PyTorch


def torch_paths(start, gradients, cases, ema):
    import numpy as np
    import torch

    paths = []
    for name, options in cases:
        model = torch.nn.Module()
        model.p = torch.nn.Parameter(torch.tensor(start))
        mean = (
            torch.optim.swa_utils.AveragedModel(
                model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(ema)
            )
            if ema
            else None
        )
        optimizer = getattr(torch.optim, name)([model.p], **options)
        path = []
        for g in gradients:
            model.p.grad = torch.tensor(g)
            optimizer.step()
            if mean is not None:
                mean.update_parameters(model)
            path.append((model if mean is None else mean.module).p.detach().numpy().copy())
        paths.append(np.array(path))
    return paths


# Where the formulas agree: a constant learning rate, and an epsilon too small to matter, since
# torch adds it at another place (outside the root for RMSprop and Adagrad, after the bias
# correction for Adam; Nadam's is Keras's). Gradients are then never zero. Weight decay is decoupled
# in AdamW, in NAdam on demand, and in plain SGD, where lr (g + decay p) is the same. NAdam's
# momentum follows 0.96^t at momentum_decay 1; torch's own default is 0.004.
TORCH = [
    ("SGD", {"lr": 0.01}, {}),
    ("SGD", {"lr": 0.01, "weight_decay": 0.3}, {"weight_decay": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}, {"learning_rate": 0.05, "momentum": 0.9}),
    (
        "SGD",
        {"lr": 0.05, "momentum": 0.8, "nesterov": True},
        {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True},
    ),
    (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "eps": 1e-30},
        {"learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-30},
    ),
    (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.8, "eps": 1e-30, "momentum": 0.9},
        {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-30, "momentum": 0.9},
    ),
    (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.8, "eps": 1e-30, "centered": True},
        {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-30, "centered": True},
    ),
    (
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-30},
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-30},
    ),
    (
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.6), "eps": 1e-30, "amsgrad": True},
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.6, "epsilon": 1e-30, "amsgrad": True},
    ),
    (
        "AdamW",
        {"lr": 0.02, "betas": (0.9, 0.999), "eps": 1e-30, "weight_decay": 0.1},
        {"learning_rate": 0.02, "epsilon": 1e-30, "weight_decay": 0.1},
    ),
    (
        "AdamW",
        {"lr": 0.02, "betas": (0.9, 0.7), "eps": 1e-30, "weight_decay": 0.1, "amsgrad": True},
        {
            "learning_rate": 0.02,
            "beta_2": 0.7,
            "epsilon": 1e-30,
            "weight_decay": 0.1,
            "amsgrad": True,
        },
    ),
    (
        "Adagrad",
        {"lr": 0.1, "eps": 1e-30, "initial_accumulator_value": 0.5},
        {"learning_rate": 0.1, "epsilon": 1e-30, "initial_accumulator_value": 0.5},
    ),
    (
        "NAdam",
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "momentum_decay": 1.0},
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
    ),
    (
        "NAdam",
        {
            "lr": 0.02,
            "eps": 1e-3,
            "momentum_decay": 1.0,
            "weight_decay": 0.1,
            "decoupled_weight_decay": True,
        },
        {"learning_rate": 0.02, "epsilon": 1e-3, "weight_decay": 0.1},
    ),
]


@pytest.mark.parametrize("ema", [None, 0.9])
def test_beside_torch(ema, rng, torch_rival):
    start, gradients = rng.normal(size=TOTAL), rng.normal(size=(STEPS, TOTAL))
    paths = torch_rival.run(
        torch_paths, start, gradients, [(name, theirs) for name, theirs, _ in TORCH], ema
    )
    for (name, _, options), wanted in zip(TORCH, paths, strict=True):
        mean = {} if ema is None else {"use_ema": True, "ema_momentum": ema}
        path, means = ours({"NAdam": "Nadam"}.get(name, name), options | mean, start, gradients)
        # torch keeps the product of NAdam's momenta in float32.
        tight = {"rtol": 1e-6, "atol": 1e-8} if name == "NAdam" else {"rtol": 1e-9, "atol": 1e-11}
        np.testing.assert_allclose(
            means if ema else path, wanted, **tight, err_msg=f"{name} {options}"
        )


def adam_with_moving_epsilon(start, gradients):
    """Steps of torch's Adam with the epsilon that is Keras's.

    Its own times the root of the bias correction.
    """
    import numpy as np
    import torch

    p = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.Adam([p], lr=0.02, eps=0.0)
    path = []
    for t, g in enumerate(gradients, 1):
        optimizer.param_groups[0]["eps"] = 1e-2 / (1 - 0.999**t) ** 0.5
        p.grad = torch.tensor(g)
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return np.array(path)


def test_an_epsilon_that_matters_beside_torch(problem, torch_rival):
    path, _ = ours("Adam", {"learning_rate": 0.02, "epsilon": 1e-2}, *problem)
    np.testing.assert_allclose(
        path, torch_rival.run(adam_with_moving_epsilon, *problem), rtol=1e-9, atol=1e-11
    )
