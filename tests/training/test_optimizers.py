"""Optimizers: 30 steps beside plain formulas, torch and Keras; clipping; state; threads."""

import itertools

import numpy as np
import pytest

from gatewise import optimizers, threads
from gatewise.errors import CheckpointError, ConfigError, DTypeError, GatewiseError

STEPS = 30
SHAPES = [(3, 5), (5,), (1,), (2, 3, 4)]  # 45 numbers in four arrays
SIZES = [int(np.prod(shape)) for shape in SHAPES]
ENDS = np.cumsum([0, *SIZES])
PIECES = [slice(int(a), int(b)) for a, b in itertools.pairwise(ENDS)]
TOTAL = int(ENDS[-1])

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
    ("AdamW", {}),
    ("AdamW", {"learning_rate": 0.03, "weight_decay": 0.3, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    ("AdamW", {"weight_decay": 0.0}),
    *[(name, {clip: limit}) for name in ("SGD", "Adam", "RMSprop", "AdamW")
      for clip, limit in (("clipnorm", 1.0), ("clipvalue", 0.5), ("global_clipnorm", 2.0))],
    ("SGD", {"momentum": 0.9, "clipnorm": 0.3}),
    ("SGD", {"clipnorm": 1e6}),
    ("SGD", {"global_clipnorm": 1e6}),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in options.items())}" for name, options in OPTIONS]


@pytest.fixture
def problem(rng):
    """(start, gradients of each step): sizes from 1e-4 to 10, some exactly zero."""
    gradients = rng.normal(size=(STEPS, TOTAL)) * 10.0 ** rng.uniform(-4, 1, TOTAL)
    gradients[3] = 0
    gradients[:, 7] = 0
    return rng.normal(size=TOTAL), gradients


def ours(name, options, start, gradients, dtype="float64", rates=None):
    """Parameters after each step."""
    optimizer = getattr(optimizers, name)(**options)
    p, path = start.astype(dtype), []
    for step, g in enumerate(gradients):
        if rates is not None:
            optimizer.learning_rate = rates[step]
        optimizer.step(p, g.astype(dtype), PIECES)
        path.append(p.copy())
    assert optimizer.iterations == len(gradients)
    return np.array(path)


def clipped(g, clipnorm=None, clipvalue=None, global_clipnorm=None):
    g = g.copy()
    if clipvalue is not None:
        g = np.clip(g, -clipvalue, clipvalue)
    if clipnorm is not None:
        for piece in PIECES:
            g[piece] *= min(1, clipnorm / max(np.linalg.norm(g[piece]), 1e-300))
    if global_clipnorm is not None:
        g *= min(1, global_clipnorm / max(np.linalg.norm(g), 1e-300))
    return g


def formulas(name, options, start, gradients):
    """The same path, from the formulas of CONVENTIONS.md: Keras's."""
    defaults = {"SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
                "RMSprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
                "Adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "weight_decay": 0.0},
                "AdamW": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7,
                          "weight_decay": 0.004}}[name]
    o = defaults | options
    clips = {key: o.pop(key) for key in ("clipnorm", "clipvalue", "global_clipnorm") if key in o}
    lr, p, path = o["learning_rate"], start.copy(), []
    a, b, c = np.zeros(TOTAL), np.zeros(TOTAL), np.zeros(TOTAL)
    for t, g in enumerate(gradients, 1):
        g = clipped(g, **clips)
        if name == "SGD":
            a = o["momentum"] * a - lr * g
            p = p + (o["momentum"] * a - lr * g if o["nesterov"] else a)
        elif name == "RMSprop":
            a = o["rho"] * a + (1 - o["rho"]) * g * g
            b = o["rho"] * b + (1 - o["rho"]) * g
            c = o["momentum"] * c + lr * g / np.sqrt(a - b * b * o["centered"] + o["epsilon"])
            p = p - c
        else:
            p = p - lr * o["weight_decay"] * p
            a = o["beta_1"] * a + (1 - o["beta_1"]) * g
            b = o["beta_2"] * b + (1 - o["beta_2"]) * g * g
            rate = lr * np.sqrt(1 - o["beta_2"] ** t) / (1 - o["beta_1"] ** t)
            p = p - rate * a / (np.sqrt(b) + o["epsilon"])
        path.append(p)
    return np.array(path)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_thirty_steps_follow_the_formula(name, options, problem):
    start, gradients = problem
    expected = formulas(name, options, start, gradients)
    np.testing.assert_allclose(ours(name, options, start, gradients), expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(ours(name, options, start, gradients, "float32"), expected, rtol=2e-5, atol=2e-6)
    assert abs(expected[-1] - start).max() > 1e-4  # something moved


# ---- beside torch and Keras ------------------------------------------------------------------------


def torch_paths(start, gradients, cases):
    import numpy as np
    import torch

    paths = []
    for name, options in cases:
        p = torch.nn.Parameter(torch.tensor(start))
        optimizer = getattr(torch.optim, name)([p], **options)
        path = []
        for g in gradients:
            p.grad = torch.tensor(g)
            optimizer.step()
            path.append(p.detach().numpy().copy())
        paths.append(np.array(path))
    return paths


# Where the formulas agree: a constant learning rate, and an epsilon too small to matter, since torch adds it at
# another place (outside the root for RMSprop, after the bias correction for Adam). Gradients are then never zero.
TORCH = [
    ("SGD", {"lr": 0.01}, {}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}, {"learning_rate": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True},
     {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": 1e-30}, {"learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-30}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.8, "eps": 1e-30, "momentum": 0.9},
     {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-30, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.8, "eps": 1e-30, "centered": True},
     {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-30, "centered": True}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-30},
     {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-30}),
    ("AdamW", {"lr": 0.02, "betas": (0.9, 0.999), "eps": 1e-30, "weight_decay": 0.1},
     {"learning_rate": 0.02, "epsilon": 1e-30, "weight_decay": 0.1}),
]


def test_beside_torch(rng, torch_rival):
    start, gradients = rng.normal(size=TOTAL), rng.normal(size=(STEPS, TOTAL))
    paths = torch_rival.run(torch_paths, start, gradients, [(name, theirs) for name, theirs, _ in TORCH])
    for (name, _, options), path in zip(TORCH, paths, strict=True):
        np.testing.assert_allclose(ours(name, options, start, gradients), path, rtol=1e-9, atol=1e-11,
                                   err_msg=f"{name} {options}")


def keras_paths(start, gradients, shapes, cases, rates):
    import keras
    import numpy as np

    keras.backend.set_floatx("float64")
    try:
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        cut = lambda flat: [flat[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes)]  # noqa: E731
        paths = []
        for name, options in cases:
            optimizer = getattr(keras.optimizers, name)(**options)
            variables = [keras.Variable(piece, dtype="float64") for piece in cut(start)]
            optimizer.build(variables)
            path = []
            for step, g in enumerate(gradients):
                if rates is not None:
                    optimizer.learning_rate = rates[step]
                optimizer.apply([keras.ops.convert_to_tensor(piece) for piece in cut(g)], variables)
                path.append(np.concatenate([keras.ops.convert_to_numpy(v.value).ravel() for v in variables]))
            paths.append(np.array(path))
        return paths
    finally:
        keras.backend.set_floatx("float32")


def test_beside_keras(problem, keras_rival):
    start, gradients = problem
    paths = keras_rival.run(keras_paths, start, gradients, SHAPES, OPTIONS, None)
    for (name, options), path in zip(OPTIONS, paths, strict=True):
        # Keras's norms carry float32's rounding
        tight = {"rtol": 1e-6, "atol": 1e-8} if "norm" in str(options) else {"rtol": 1e-9, "atol": 1e-12}
        np.testing.assert_allclose(ours(name, options, start, gradients), path, **tight, err_msg=f"{name} {options}")


def test_a_learning_rate_that_changes_beside_keras(problem, keras_rival):
    start, gradients = problem
    rates = np.geomspace(0.05, 0.001, STEPS).tolist()
    cases = [("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "nesterov": True}), ("RMSprop", {"momentum": 0.9}),
             ("Adam", {}), ("AdamW", {})]
    paths = keras_rival.run(keras_paths, start, gradients, SHAPES, cases, rates)
    for (name, options), path in zip(cases, paths, strict=True):
        np.testing.assert_allclose(ours(name, options, start, gradients, rates=rates), path, rtol=1e-9, atol=1e-12,
                                   err_msg=f"{name} {options}")


# ---- clipping --------------------------------------------------------------------------------------


def after_one_step(options, g):
    g = np.array(g, np.float64)
    p = np.zeros_like(g)
    optimizers.SGD(1.0, **options).step(p, g, [slice(0, 2), slice(2, 4)])
    return (-p).tolist()


def test_clipping_of_each_kind():
    g = [3.0, 4.0, 0.3, 0.4]  # norms 5 and 0.5
    assert after_one_step({"clipnorm": 1.0}, g) == pytest.approx([0.6, 0.8, 0.3, 0.4])
    assert after_one_step({"clipvalue": 0.35}, g) == pytest.approx([0.35, 0.35, 0.3, 0.35])
    assert after_one_step({"clipvalue": 1.0}, [-3.0, 4, -0.3, 0.4]) == pytest.approx([-1, 1, -0.3, 0.4])
    assert after_one_step({"global_clipnorm": 1.0}, g) == pytest.approx(np.array(g) / np.linalg.norm(g))
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        assert after_one_step({name: 1e3}, g) == g
        assert after_one_step({name: 1.0}, [0.0] * 4) == [0.0] * 4
    assert after_one_step({"clipnorm": 5.0}, g) == g


def test_norms_do_not_overflow_in_float32():
    g = np.full(4, 1e30, np.float32)  # whose squares are infinite in float32
    p = np.zeros(4, np.float32)
    optimizers.SGD(1.0, global_clipnorm=2.0).step(p, g, [slice(0, 4)])
    np.testing.assert_allclose(p, -1.0, rtol=1e-6)


# ---- state -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_restored_state_continues_bit_for_bit(name, options, dtype, problem):
    start, gradients = problem
    whole = ours(name, options, start, gradients, dtype)
    first = getattr(optimizers, name)(**options)
    p = start.astype(dtype)
    for g in gradients[:13]:
        first.step(p, g.astype(dtype), PIECES)
    second = optimizers.get(optimizers.serialize(first))
    assert type(second) is type(first)
    assert second.get_config() == first.get_config()
    saved = {key: array.copy() for key, array in first.slots().items()}
    second.restore(first.iterations, saved, p)
    for array in saved.values():
        array.fill(np.nan)  # the optimizer keeps its own
    for g in gradients[13:]:
        second.step(p, g.astype(dtype), PIECES)
    assert p.tobytes() == whole[-1].tobytes()


def test_restore_refuses_what_does_not_fit():
    like = np.zeros(4, np.float32)
    good = {"momentum": like, "velocity": like}
    for iterations, slots, words in [
        (3, {}, "optimizer state holds"), (3, {"momentum": like}, "optimizer state holds"),
        (3, good | {"other": like}, "optimizer state holds"), (0, good, "optimizer state holds"),
        (3, good | {"velocity": np.zeros(5, np.float32)}, "velocity is float32"),
        (3, good | {"velocity": np.zeros(4)}, "velocity is float64"),
    ]:
        with pytest.raises(CheckpointError, match=words):
            optimizers.Adam().restore(iterations, slots, like)
    for iterations in (-1, 1.5, True, "3", 2**63):
        with pytest.raises(GatewiseError, match="iterations"):
            optimizers.Adam().restore(iterations, good, like)


@pytest.mark.parametrize("option", [{}, {"momentum": 0.9}])
def test_zero_gradients_move_nothing(option):
    for cls in (optimizers.SGD, optimizers.RMSprop):
        p = np.arange(5.0)
        cls(**option).step(p, np.zeros(5), [slice(0, 5)])
        np.testing.assert_array_equal(p, np.arange(5.0))
    p = np.arange(5.0)
    optimizers.Adam().step(p, np.zeros(5), [slice(0, 5)])
    np.testing.assert_array_equal(p, np.arange(5.0))


def test_an_optimizer_used_with_another_size_says_so():
    optimizer = optimizers.Adam()
    optimizer.step(np.zeros(5), np.ones(5), [slice(0, 5)])
    with pytest.raises(GatewiseError, match="optimizer"):
        optimizer.step(np.zeros(6), np.ones(6), [slice(0, 6)])


# ---- every element alike, any number of threads ----------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), [case for case in OPTIONS if "clip" not in str(case)])
def test_every_place_in_the_buffer_computes_alike(name, options, dtype):
    """Vectors, their tails and the edges of chunks: equal numbers stay equal, bit for bit."""
    reference = None
    for size in (1, 7, 8, 9, 33, 16383, 16385, 50001):
        p, optimizer = np.full(size, 0.7, dtype), getattr(optimizers, name)(**options)
        for g in (0.3, -1.7, 2e-4):
            optimizer.step(p, np.full(size, g, dtype), [slice(0, size)])
        reference = p[0] if reference is None else reference
        assert (p == reference).all(), size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("RMSprop", {"centered": True}),
                                               ("Adam", {"global_clipnorm": 1.0}), ("AdamW", {"clipnorm": 1.0})])
def test_threads_do_not_change_a_bit(name, options, dtype, rng):
    size = 100_003
    assert 40 * size > threads.SMALL_WORK  # large enough to be spread
    start, gradients = rng.normal(size=size).astype(dtype), rng.normal(size=(3, size)).astype(dtype)
    pieces = [slice(0, 33_333), slice(33_333, size)]
    results = []
    for count in (1, 2, 3, 5):
        with threads.num_threads(count):
            p, optimizer = start.copy(), getattr(optimizers, name)(**options)
            for g in gradients:
                optimizer.step(p, g.copy(), pieces)
        results.append(p.tobytes())
    assert len(set(results)) == 1


# ---- arguments -------------------------------------------------------------------------------------


def test_names_and_classes():
    for identifier in ("adam", "Adam", "ADAM", optimizers.Adam, {"class_name": "adam", "config": {}}):
        assert type(optimizers.get(identifier)) is optimizers.Adam
    same = optimizers.SGD()
    assert optimizers.get(same) is same
    for name in ("sgd", "rmsprop", "adam", "adamw"):
        assert type(optimizers.get(name)).__name__.lower() == name
    with pytest.raises(ConfigError, match="optimizer 'adamax' is not known; choose one of sgd, rmsprop, adam, adamw"):
        optimizers.get("adamax")
    for wrong in (3, None, {"class_name": "x"}):
        with pytest.raises(DTypeError, match=r"expected a name or a gatewise.optimizers object"):
            optimizers.get(wrong)


def test_defaults_are_keras():
    assert optimizers.SGD().get_config() == {
        "learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "clipnorm": None, "clipvalue": None,
        "global_clipnorm": None}
    adam = optimizers.Adam()
    assert (adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon) == (0.001, 0.9, 0.999, 1e-7)
    adamw = optimizers.AdamW()
    assert (adamw.learning_rate, adamw.weight_decay) == (0.001, 0.004)
    rmsprop = optimizers.RMSprop()
    assert (rmsprop.learning_rate, rmsprop.rho, rmsprop.epsilon, rmsprop.centered) == (0.001, 0.9, 1e-7, False)


@pytest.mark.parametrize(("cls", "options", "error", "words"), [
    ("Adam", {"learning_rate": -1}, ConfigError, "learning_rate is -1.0; expected a number in"),
    ("Adam", {"learning_rate": np.nan}, ConfigError, "learning_rate is nan"),
    ("Adam", {"learning_rate": "0.1"}, DTypeError, "learning_rate is '0.1'; expected a number"),
    ("Adam", {"beta_1": 1.0}, ConfigError, "beta_1 is 1.0"),
    ("Adam", {"beta_2": -0.1}, ConfigError, "beta_2 is -0.1"),
    ("Adam", {"epsilon": -1e-7}, ConfigError, "epsilon is -1e-07"),
    ("SGD", {"momentum": 1.5}, ConfigError, "momentum is 1.5"),
    ("SGD", {"nesterov": 1}, DTypeError, "nesterov is 1; expected True or False"),
    ("RMSprop", {"rho": 1}, ConfigError, "rho is 1.0"),
    ("RMSprop", {"centered": "yes"}, DTypeError, "centered is 'yes'"),
    ("AdamW", {"weight_decay": -1}, ConfigError, "weight_decay is -1.0"),
    ("SGD", {"clipnorm": 0}, ConfigError, "clipnorm is 0.0"),
    ("SGD", {"clipvalue": -1}, ConfigError, "clipvalue is -1.0"),
    ("SGD", {"global_clipnorm": np.inf}, ConfigError, "global_clipnorm is inf"),
    ("SGD", {"clipnorm": 1, "clipvalue": 1}, ConfigError, "give at most one of clipnorm, clipvalue and global"),
])
def test_bad_options(cls, options, error, words):
    with pytest.raises(error, match=words):
        getattr(optimizers, cls)(**options)


def test_learning_rate_can_be_set_between_steps():
    optimizer = optimizers.SGD(0.5)
    p = np.zeros(1)
    optimizer.step(p, np.ones(1), [slice(0, 1)])
    optimizer.learning_rate = 0.25
    optimizer.step(p, np.ones(1), [slice(0, 1)])
    assert p[0] == -0.75
    assert optimizer.get_config()["learning_rate"] == 0.25
    with pytest.raises(ConfigError, match="learning_rate is -1"):
        optimizer.learning_rate = -1
