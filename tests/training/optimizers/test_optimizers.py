"""Optimizers: 50 steps beside plain formulas; clipping; threads; decay; accumulation.

Frozen parts.
"""

import itertools

import numpy as np
import pytest
from seeds import generator

from gatewise import Sequential, layers, load_model, optimizers, schedules, threads
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    StateError,
)

from .optimizer_cases import (
    ALL,
    EMA,
    IDS,
    OPTIONS,
    PIECES,
    STEPS,
    TOTAL,
    formulas,
    make,
    ours,
    run,
    state_of,
    through_json,
)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_fifty_steps_follow_the_formula(name, options, problem):
    start, gradients = problem
    expected = formulas(name, options, start, gradients)
    for dtype, tolerance in (
        ("float64", {"rtol": 1e-11, "atol": 1e-13}),
        ("float32", {"rtol": 2e-5, "atol": 4e-6}),
    ):
        for got, wanted in zip(ours(name, options, start, gradients, dtype), expected, strict=True):
            np.testing.assert_allclose(got, wanted, **tolerance)
    steps = STEPS // (options.get("gradient_accumulation_steps") or 1)
    assert (abs(expected[0][-1] - start).max() > 1e-4) == (steps > 0)  # something moved


# ---- clipping


def after_one_step(options, g):
    g = np.array(g, np.float64)
    p = np.zeros_like(g)
    optimizers.SGD(1.0, **options).step(p, g, [slice(0, 2), slice(2, 4)])
    return (-p).tolist()


def test_clipping_of_each_kind():
    g = [3.0, 4.0, 0.3, 0.4]  # norms 5 and 0.5
    assert after_one_step({"clipnorm": 1.0}, g) == pytest.approx([0.6, 0.8, 0.3, 0.4])
    assert after_one_step({"clipvalue": 0.35}, g) == pytest.approx([0.35, 0.35, 0.3, 0.35])
    assert after_one_step({"clipvalue": 1.0}, [-3.0, 4, -0.3, 0.4]) == pytest.approx(
        [-1, 1, -0.3, 0.4]
    )
    assert after_one_step({"global_clipnorm": 1.0}, g) == pytest.approx(
        np.array(g) / np.linalg.norm(g)
    )
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        assert after_one_step({name: 1e3}, g) == g
        assert after_one_step({name: 1.0}, [0.0] * 4) == [0.0] * 4
    assert after_one_step({"clipnorm": 5.0}, g) == g


def test_norms_do_not_overflow_in_float32():
    g = np.full(4, 1e30, np.float32)  # whose squares are infinite in float32
    p = np.zeros(4, np.float32)
    optimizers.SGD(1.0, global_clipnorm=2.0).step(p, g, [slice(0, 4)])
    np.testing.assert_allclose(p, -1.0, rtol=1e-6)


# ---- edges


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_zero_gradients_move_nothing(name, dtype):
    for options in (
        {},
        EMA,
        {"gradient_accumulation_steps": 2},
        {"momentum": 0.9} if name in ("SGD", "RMSprop") else {},
    ):
        p, optimizer = (
            np.arange(5, dtype=dtype),
            make(name, options | ({"weight_decay": 0.0} if name == "AdamW" else {})),
        )
        for _ in range(4):
            optimizer.step(p, np.zeros(5, dtype), [slice(0, 5)])
        np.testing.assert_array_equal(p, np.arange(5))


@pytest.mark.parametrize("name", ALL)
def test_weight_decay_alone_shrinks(name):
    p, optimizer = np.arange(5.0), make(name, {"learning_rate": 0.5, "weight_decay": 0.1})
    optimizer.step(p, np.zeros(5), [slice(0, 5)])
    np.testing.assert_allclose(p, 0.95 * np.arange(5.0))


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_a_model_without_parameters(name, options):
    optimizer, p = make(name, options), np.empty(0, np.float32)
    for _ in range(5):
        optimizer.step(p, np.empty(0, np.float32), [])
    again = through_json(optimizer)
    again._load_slots(optimizer.iterations, optimizer.slots(), p)
    assert again.slots().keys() == optimizer.slots().keys()


def test_many_steps_do_not_overflow():
    for name in ALL:
        optimizer = make(name, {})
        iterations, slots, p = state_of(optimizer)
        optimizer._load_slots(2**53, slots, p)
        optimizer.step(p, np.ones_like(p), [slice(0, 4)])
        assert np.isfinite(p).all()
        assert optimizer.iterations == 2**53 + 1


def test_an_optimizer_used_with_another_size_says_so():
    for options in ({}, {"use_ema": True}, {"gradient_accumulation_steps": 2}):
        optimizer = optimizers.Adam(**options)
        optimizer.step(np.zeros(5), np.ones(5), [slice(0, 5)])
        for other in (np.zeros(6), np.zeros(5, np.float32)):
            with pytest.raises(
                StateError, match=f"cannot go on with {other.size} parameters of {other.dtype}"
            ):
                optimizer.step(other, np.ones_like(other), [slice(0, other.size)])


# ---- arrays that do not decay


def test_excluded_arrays_keep_what_they_are(tmp_path):
    """Names are those within a layer; a saved model trains on with the same arrays left out."""

    def made():
        optimizer = optimizers.AdamW(0.1, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
        model = Sequential(
            [
                layers.Bidirectional(layers.GRU(2), input_shape=(3, 2)),
                layers.LayerNormalization(),
                layers.Dense(1, bias_initializer="ones"),
            ],
            seed=0,
        )
        model.compile(optimizer, "mse")
        return model

    x, y = np.ones((4, 3, 2), np.float32), np.zeros((4, 1))
    model = made()
    model.optimizer.step(
        model.flat_parameters,
        np.zeros_like(model.flat_gradients),
        model._array_pieces,
        model._array_names,
    )
    assert model.layers[-1].get_weights()[1] == 1
    np.testing.assert_array_equal(model.layers[1].get_weights()[0], 1.0)  # gamma
    np.testing.assert_allclose(
        model.layers[0].get_weights()[0], 0.95 * made().layers[0].get_weights()[0], rtol=1e-6
    )

    whole, half = made(), made()
    whole.fit(x, y, epochs=4, verbose=0)
    half.fit(x, y, epochs=2, verbose=0)
    half.save(tmp_path / "half")
    rest = load_model(tmp_path / "half")
    rest.fit(x, y, epochs=4, verbose=0, resume_from=tmp_path / "half")
    np.testing.assert_array_equal(rest.flat_parameters, whole.flat_parameters)
    assert rest.optimizer.get_config() == whole.optimizer.get_config()


def test_what_cannot_be_excluded():
    optimizer = optimizers.AdamW()
    for names, error, words in [
        ("bias", DTypeError, "var_names"),
        ([3], DTypeError, "var_names is 3"),
        (["*"], ConfigError, "no regular expression"),
        (["(a+)+"], ConfigError, "letters, digits"),
        (["a*" * 9], ConfigError, "at most three"),
        (None, ConfigError, "give names of arrays"),
    ]:
        with pytest.raises(error, match=words):
            optimizer.exclude_from_weight_decay(var_names=names)
    optimizer.exclude_from_weight_decay(var_names=["a"])
    assert optimizer.get_config()["exclude_from_weight_decay"] == ["a"]
    with pytest.raises(ConfigError, match="no regular expression"):
        optimizers.get(
            optimizers.serialize(optimizer) | {"config": {"exclude_from_weight_decay": ["["]}}
        )
    optimizer.step(np.zeros(1), np.ones(1), [slice(0, 1)], ["b"])
    with pytest.raises(StateError, match="weight decay has begun"):
        optimizer.exclude_from_weight_decay(var_names=["b"])


# ---- the running mean, accumulation, schedules


def test_the_mean_becomes_the_parameters_at_the_end(problem):
    start, gradients = problem
    optimizer, p = optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5), start.copy()
    assert optimizer.average is None
    optimizer.finalize(p)
    np.testing.assert_array_equal(p, start)  # nothing was trained
    run(optimizer, p, gradients)
    mean, last = optimizer.average.copy(), p.copy()
    assert abs(mean - last).max() > 1e-4
    optimizer.finalize(p)
    np.testing.assert_array_equal(p, mean)
    np.testing.assert_array_equal(optimizer.average, mean)
    plain, q = optimizers.Adam(0.1), start.copy()
    run(plain, q, gradients)
    plain.finalize(q)
    np.testing.assert_array_equal(q, last)
    assert plain.average is None


def test_accumulated_steps_are_steps_with_the_mean(problem):
    start, gradients = problem
    many, few = optimizers.Adam(0.1, gradient_accumulation_steps=5), optimizers.Adam(0.1)
    p, q = start.copy(), start.copy()
    for k in range(0, STEPS, 5):
        before = p.copy()
        run(many, p, gradients[k : k + 4])
        np.testing.assert_array_equal(p, before)
        run(many, p, gradients[k + 4 : k + 5])
        run(few, q, gradients[k : k + 5].mean(0, keepdims=True))
    assert many.iterations == few.iterations == STEPS // 5
    np.testing.assert_allclose(p, q, rtol=1e-12)


def test_the_learning_rate_of_a_schedule():
    schedule = schedules.PolynomialDecay(1.0, 4, end_learning_rate=0.0)
    optimizer, p, rates = optimizers.SGD(schedule), np.zeros(1), []
    for _ in range(6):
        rates.append(optimizer.learning_rate)
        optimizer.step(p, np.ones(1), [slice(0, 1)])
    assert rates == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert p[0] == -2.5
    with pytest.raises(
        ConfigError,
        match=r"learning_rate is set to 0.1, and a PolynomialDecay schedule rules it; give the "
        r"optimizer a number as learning_rate, or set another schedule",
    ):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = schedules.StepDecay(0.5, 3)
    assert optimizer.learning_rate == pytest.approx(0.005)  # six steps taken
    fixed = optimizers.SGD(0.1)
    fixed.learning_rate = schedule
    assert fixed.learning_rate == 1.0


def test_a_schedule_of_ones_own():
    class Warm(schedules.LearningRateSchedule):
        def __call__(self, step):
            return [0.5, np.float32(0.25), -1.0, np.nan, "fast"][step]

    optimizer, p = optimizers.SGD(Warm()), np.zeros(1)
    optimizer.step(p, np.ones(1), [slice(0, 1)])
    optimizer.step(p, np.ones(1), [slice(0, 1)])
    assert p[0] == -0.75
    for wrong in ("-1.0", "nan", "'fast'"):
        with pytest.raises(
            GatewiseError, match=f"the learning rate of the schedule is {wrong}; expected a number"
        ):
            optimizer.step(p, np.ones(1), [slice(0, 1)])
        assert p[0] == -0.75
        optimizer.iterations += 1
    with pytest.raises(ConfigError, match="a schedule of class Warm cannot be written to a file"):
        optimizers.serialize(optimizer)


def test_a_schedule_that_fails_leaves_everything_as_it_was():
    optimizer, p = (
        optimizers.SGD(schedules.ExponentialDecay(1.0, 1, 1e200), gradient_accumulation_steps=2),
        np.zeros(1),
    )
    optimizer.step(p, np.ones(1), [slice(0, 1)])
    optimizer.step(p, np.ones(1), [slice(0, 1)])
    with pytest.raises(
        ConfigError, match="ExponentialDecay gives a learning rate of inf at step 2"
    ):
        optimizer.step(p, np.ones(1), [slice(0, 1)])
    assert optimizer.iterations == 1
    assert optimizer.slots()["accumulated"] == 0


# ---- every element alike, any number of threads


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), [case for case in OPTIONS if "clip" not in str(case)])
def test_every_place_in_the_buffer_computes_alike(name, options, dtype):
    """Vectors, their tails and the edges of chunks: equal numbers stay equal, bit for bit."""
    reference = None
    for size in (1, 7, 8, 9, 33, 16383, 16385, 50001):
        p, optimizer = np.full(size, 0.7, dtype), make(name, options)
        for g in (0.3, -1.7, 2e-4):
            optimizer.step(p, np.full(size, g, dtype), [slice(0, size)])
        reference = p[0] if reference is None else reference
        assert (p == reference).all(), size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9}),
        ("RMSprop", {"centered": True}),
        ("Adam", {"global_clipnorm": 1.0}),
        ("AdamW", {"clipnorm": 1.0, "amsgrad": True}),
        ("Adagrad", {}),
        ("Nadam", {"weight_decay": 0.1}),
        ("Lion", {}),
        ("SGD", {"use_ema": True, "ema_overwrite_frequency": 2}),
        ("Lion", {"gradient_accumulation_steps": 2, "use_ema": True}),
    ],
)
def test_threads_do_not_change_a_bit(name, options, dtype, rng):
    size = 100_003
    assert 40 * size > threads.SMALL_WORK  # large enough to be spread
    start, gradients = rng.normal(size=size).astype(dtype), rng.normal(size=(3, size)).astype(dtype)
    pieces = [slice(0, 33_333), slice(33_333, size)]
    results = []
    for count in (1, 2, 3, 5):
        with threads.num_threads(count):
            p, optimizer = start.copy(), make(name, options)
            for g in gradients:
                optimizer.step(p, g.copy(), pieces)
        results.append(p.tobytes())
    assert len(set(results)) == 1


# ---- frozen parts


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_frozen_parts_are_left_out_of_every_step(name, options):
    """What is trained moves as if the rest were not there.

    The rest does not move, nor what is kept for it.
    """
    rng = generator(3)
    pieces = [PIECES[0], PIECES[2], PIECES[3]]
    parts, at = (
        [PIECES[0], slice(PIECES[2].start, PIECES[3].stop)],
        np.r_[PIECES[0], PIECES[2], PIECES[3]],
    )
    ends = np.cumsum([0, *(piece.stop - piece.start for piece in pieces)])
    p = rng.normal(size=TOTAL)
    before, small = p.copy(), p[at]
    whole, alone = make(name, options), make(name, options)
    for _ in range(9):
        g = rng.normal(size=TOTAL)
        alone.step(small, g[at], [slice(a, b) for a, b in itertools.pairwise(ends)])
        whole.step(p, g, pieces, (), parts)
    alone.finalize(small)
    whole.finalize(p, parts)
    np.testing.assert_allclose(p[at], small, rtol=1e-13, atol=1e-15)
    assert np.array_equal(p[PIECES[1]], before[PIECES[1]]) and whole.iterations == alone.iterations
    starts = whole._array_slots() | {"average": before[PIECES[1]]}
    for slot, array in whole.slots().items():
        np.testing.assert_allclose(
            array[at] if array.ndim else array, alone.slots()[slot], rtol=1e-13, atol=1e-15
        )
        assert not array.ndim or (array[PIECES[1]] == starts[slot]).all()
