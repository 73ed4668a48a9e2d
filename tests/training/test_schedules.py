"""Schedules: beside Keras's, PyTorch's and plain formulas; edges; configurations."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatewise
from gatewise import schedules
from gatewise.errors import ConfigError, DTypeError, GatewiseError
from gatewise.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    StepDecay,
)

STEPS = [*range(60), 99, 100, 101, 1000, 12345, 10**6]

KERAS = [
    (ExponentialDecay, {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    (
        ExponentialDecay,
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ),
    (ExponentialDecay, {"initial_learning_rate": 0.1, "decay_steps": 20, "decay_rate": 1.0}),
    (InverseTimeDecay, {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    (
        InverseTimeDecay,
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 2.5, "staircase": True},
    ),
    (PiecewiseConstantDecay, {"boundaries": [3], "values": [1.0, 0.5]}),
    (PiecewiseConstantDecay, {"boundaries": [3, 10, 50], "values": [1.0, 0.5, 0.7, 0.0]}),
    (PolynomialDecay, {"initial_learning_rate": 0.1, "decay_steps": 25}),
    (
        PolynomialDecay,
        {"initial_learning_rate": 0.1, "decay_steps": 25, "end_learning_rate": 0.01, "power": 0.5},
    ),
    (
        PolynomialDecay,
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 10,
            "end_learning_rate": 0.01,
            "power": 2.0,
            "cycle": True,
        },
    ),
    (
        PolynomialDecay,
        {"initial_learning_rate": 0.01, "decay_steps": 10, "end_learning_rate": 0.1, "power": 3.0},
    ),
    (CosineDecay, {"initial_learning_rate": 0.1, "decay_steps": 40}),
    (CosineDecay, {"initial_learning_rate": 0.1, "decay_steps": 40, "alpha": 0.2}),
    (
        CosineDecay,
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 30,
            "alpha": 0.1,
            "warmup_target": 0.2,
            "warmup_steps": 12,
        },
    ),
    (
        CosineDecay,
        {"initial_learning_rate": 0.3, "decay_steps": 30, "warmup_target": 0.2, "warmup_steps": 5},
    ),
    (CosineDecay, {"initial_learning_rate": 0.3, "decay_steps": 30, "warmup_target": 0.2}),
    (CosineDecayRestarts, {"initial_learning_rate": 0.1, "first_decay_steps": 8}),
    (
        CosineDecayRestarts,
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 8,
            "t_mul": 1.0,
            "m_mul": 0.8,
            "alpha": 0.1,
        },
    ),
    (
        CosineDecayRestarts,
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 7,
            "t_mul": 1.5,
            "m_mul": 0.5,
            "alpha": 0.3,
        },
    ),
    (
        CosineDecayRestarts,
        {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 3.0, "m_mul": 1.1},
    ),
]
TORCH = [
    (StepDecay, {"step_size": 7}),
    (StepDecay, {"step_size": 1, "gamma": 0.9}),
    (StepDecay, {"step_size": 1000}),
    (StepDecay, {"step_size": 3, "gamma": 1.5}),
    *[
        (OneCycle, {"max_lr": 0.5, "total_steps": total, **more})
        for total in (50, 7, 2, 1)
        for more in (
            {},
            {"pct_start": 0.1, "div_factor": 4.0, "final_div_factor": 10.0},
            {"anneal_strategy": "linear"},
            {"three_phase": True, "pct_start": 0.4},
            {"three_phase": True, "anneal_strategy": "linear"},
            {"pct_start": 0.0},
            {"pct_start": 1.0},
            {"three_phase": True, "pct_start": 0.0},
            {"three_phase": True, "pct_start": 0.7},
        )
    ],
]
CASES = [
    *KERAS,
    *(
        (cls, {"initial_learning_rate": 0.1} | options if cls is StepDecay else options)
        for cls, options in TORCH
    ),
]


def rates(cls, options, steps):
    schedule = cls(**options)
    return [schedule(step) for step in steps]


# ---- beside the others


def keras_rates(cases, steps):
    import keras

    keras.backend.set_floatx("float64")
    try:
        found = []
        for name, options in cases:
            schedule = getattr(keras.optimizers.schedules, name)(**options)
            found.append(([float(schedule(step)) for step in steps], schedule.get_config()))
        return found
    finally:
        keras.backend.set_floatx("float32")


def test_beside_keras(keras_rival):
    found = keras_rival.run(keras_rates, [(cls.__name__, options) for cls, options in KERAS], STEPS)
    for (cls, options), (wanted, config) in zip(KERAS, found, strict=True):
        got = rates(cls, options, STEPS)
        assert cls(**options).get_config() == config
        np.testing.assert_allclose(
            got, wanted, rtol=1e-9, atol=1e-12, err_msg=f"{cls.__name__} {options}"
        )


def torch_rates(cases):
    import warnings

    import torch

    found = []
    for name, options in cases:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        more = {"cycle_momentum": False} if name == "OneCycleLR" else {}
        steps = options.get("total_steps", 60)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the optimizer makes no step
            try:
                schedule, path = (
                    getattr(torch.optim.lr_scheduler, name)(optimizer, **options, **more),
                    [],
                )
                for step in range(steps):
                    path.append(optimizer.param_groups[0]["lr"])
                    if step + 1 < steps:
                        schedule.step()
            except ZeroDivisionError:  # a phase of no steps
                path = None
        found.append(path)
    return found


def test_beside_torch(torch_rival):
    names = {StepDecay: "StepLR", OneCycle: "OneCycleLR"}
    found = torch_rival.run(torch_rates, [(names[cls], options) for cls, options in TORCH])
    assert sum(path is not None for path in found) > len(TORCH) - 6
    for (cls, options), wanted in zip(CASES[len(KERAS) :], found, strict=True):
        if wanted is not None:
            got = rates(cls, options, range(len(wanted)))
            np.testing.assert_allclose(
                got, wanted, rtol=1e-12, atol=1e-15, err_msg=f"{cls.__name__} {options}"
            )


# ---- known values


def test_known_values():
    for schedule, steps, wanted in [
        (ExponentialDecay(1.0, 2, 0.25), [0, 1, 2], [1, 0.5, 0.25]),
        (InverseTimeDecay(1.0, 2, 2), [0, 1, 3], [1, 0.5, 0.25]),
        (PiecewiseConstantDecay([2, 3], [1, 2, 3]), range(6), [1, 1, 1, 2, 3, 3]),
        (PiecewiseConstantDecay([], [0.3]), [0, 9], [0.3, 0.3]),
        (StepDecay(1, 2, 0.5), range(5), [1, 1, 0.5, 0.5, 0.25]),
    ]:
        assert [schedule(step) for step in steps] == wanted
    cosine = CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=4)
    assert [cosine(step) for step in (0, 1, 4, 9, 14, 15, 10**9)] == pytest.approx(
        [0, 0.25, 1, 0.5, 0, 0, 0]
    )


def test_every_restart_begins_at_the_top():
    """Where logarithms come out just below a whole number, too."""
    for t_mul in (1, 2, 3, 5, 7, 10):
        schedule, start, length = CosineDecayRestarts(1.0, 3, t_mul=t_mul, m_mul=0.5), 0, 3
        for restart in range(12):
            assert schedule(start) == pytest.approx(0.5**restart), (t_mul, restart)
            assert schedule(start + length / 2) == pytest.approx(0.5 ** (restart + 1)), (
                t_mul,
                restart,
            )
            start, length = start + length, length * t_mul


def test_one_cycle_stays_where_it_ends():
    schedule = OneCycle(1.0, 20)
    assert schedule(0) == pytest.approx(1 / 25)
    assert max(schedule(step) for step in range(20)) == pytest.approx(1.0)
    assert schedule(19) == schedule(20) == schedule(10**12) == pytest.approx(1 / 25e4)


# ---- edges


@pytest.mark.parametrize(("cls", "options"), CASES)
def test_rates_are_finite_for_any_step(cls, options):
    schedule = cls(**options)
    for step in (0, 1, 2**31, 2**53 + 1, 2**62, 1e18, np.int64(5), np.float32(5), 0.5):
        try:
            rate = schedule(step)
        except ConfigError:  # what grows without end
            assert options.get("gamma", 0) > 1 or options.get("m_mul", 0) > 1
            continue
        assert type(rate) is float
        assert 0 <= rate < math.inf


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_arguments_give_a_rate_or_a_clear_error(data):
    numbers = st.one_of(
        st.floats(),
        st.integers(-5, 10**20),
        st.sampled_from([None, "x", True, [], 0, 1, 1e308, 5e-324]),
    )
    cls, options = data.draw(st.sampled_from(CASES))
    changed = {
        key: data.draw(numbers) if data.draw(st.booleans()) else value
        for key, value in options.items()
    }
    try:
        schedule = cls(**changed)
        rate = schedule(data.draw(numbers))
    except GatewiseError:
        return
    assert type(rate) is float
    assert 0 <= rate < math.inf


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "3", None, True, 10**400])
def test_a_step_that_is_none(wrong):
    with pytest.raises(GatewiseError, match="step is"):
        StepDecay(0.1, 3)(wrong)


@pytest.mark.parametrize(
    ("cls", "arguments", "error", "words"),
    [
        *[
            (
                cls,
                (0.1, wrong, *more),
                ConfigError,
                f"decay_steps is {float(wrong)}; expected a number in \\(0.0",
            )
            for cls, more in (
                (ExponentialDecay, (0.9,)),
                (InverseTimeDecay, (0.9,)),
                (PolynomialDecay, ()),
                (CosineDecay, ()),
                (CosineDecayRestarts, ()),
            )
            for wrong in (0, -3, math.nan, math.inf)
        ],
        (ExponentialDecay, (-0.1, 10, 0.9), ConfigError, "initial_learning_rate is -0.1"),
        (ExponentialDecay, (0.1, 10, "0.9"), DTypeError, "decay_rate is '0.9'"),
        (ExponentialDecay, (0.1, 10, 0.9, 1), DTypeError, "staircase is 1"),
        (ExponentialDecay, (0.1, 10, 0.9, False, 3), DTypeError, "name is 3"),
        (
            PiecewiseConstantDecay,
            ([1, 2], [0.1, 0.2]),
            ConfigError,
            "2 boundaries part 3 learning rates; got 2 values",
        ),
        (PiecewiseConstantDecay, ([2, 2], [0.1, 0.2, 0.3]), ConfigError, "strictly increasing"),
        (PiecewiseConstantDecay, (3, [0.1, 0.2]), DTypeError, "boundaries is int; expected a list"),
        (PiecewiseConstantDecay, ([1], "ab"), DTypeError, "values is str; expected a list"),
        (PiecewiseConstantDecay, ([1], [0.1, -0.2]), ConfigError, "a value is -0.2"),
        (PiecewiseConstantDecay, ([math.nan], [0.1, 0.2]), ConfigError, "a boundary is nan"),
        (PolynomialDecay, (0.1, 10, 0.0, -1.0), ConfigError, "power is -1.0"),
        (CosineDecay, (0.1, 10, -0.1), ConfigError, "alpha is -0.1"),
        (
            CosineDecay,
            (0.1, 10, 0.0, "c", None, 5),
            ConfigError,
            "warmup_steps is 5 and warmup_target None; give the rate",
        ),
        (CosineDecay, (0.1, 10, 0.0, "c", 0.2, -5), ConfigError, "warmup_steps is -5.0"),
        (CosineDecayRestarts, (0.1, 10, 0.5), ConfigError, "t_mul is 0.5"),
        (StepDecay, (0.1, 0), ConfigError, "step_size is 0; expected 1 to"),
        (StepDecay, (0.1, 2.5), DTypeError, "step_size is 2.5; expected a whole number"),
        (OneCycle, (0.1, 0), ConfigError, "total_steps is 0"),
        (OneCycle, (0.1, 10, 1.5), ConfigError, "pct_start is 1.5"),
        (
            OneCycle,
            (0.1, 10, 0.3, "cosine"),
            ConfigError,
            "anneal_strategy is 'cosine'; expected 'cos' or 'linear'",
        ),
        (OneCycle, (0.1, 10, 0.3, ["cos"]), ConfigError, "anneal_strategy is"),
        (OneCycle, (0.1, 10, 0.3, "cos", 0), ConfigError, "div_factor is 0.0"),
        (OneCycle, (0.1, 10, 0.3, "cos", 25, 0), ConfigError, "final_div_factor is 0.0"),
        (OneCycle, (0.1, 10, 0.3, "cos", 25, 1e4, 1), DTypeError, "three_phase is 1"),
    ],
)
def test_bad_arguments(cls, arguments, error, words):
    with pytest.raises(error, match=words):
        cls(*arguments)


# ---- configurations


@pytest.mark.parametrize(("cls", "options"), CASES)
def test_configurations_go_round(cls, options):
    schedule = cls(**options)
    again = schedules.get(json.loads(json.dumps(schedules.serialize(schedule))))
    assert type(again) is cls
    assert (
        again.get_config()
        == schedule.get_config()
        == cls.from_config(schedule.get_config()).get_config()
    )
    assert rates(cls, options, STEPS[:50]) == [again(step) for step in STEPS[:50]]
    assert schedules.get(schedule) is schedule


def test_a_configuration_is_a_copy():
    schedule = PiecewiseConstantDecay([1], [0.1, 0.2])
    schedule.get_config()["values"].clear()
    assert schedule(0) == 0.1


def test_what_is_no_schedule():
    for wrong in (0.1, "cosine", None, CosineDecay, {"class_name": ["x"]}, {}):
        with pytest.raises(DTypeError, match="learning rate schedule (class )?is"):
            schedules.get(wrong)
    with pytest.raises(
        ConfigError, match="learning rate schedule class 'LearningRateSchedule' is not known"
    ):
        schedules.get({"class_name": "LearningRateSchedule"})
    with pytest.raises(ConfigError, match="StepDecay has a configuration that does not fit"):
        schedules.get({"class_name": "StepDecay", "config": [1, 2]})
    with pytest.raises(TypeError, match="LearningRateSchedule defines no __call__"):
        schedules.LearningRateSchedule()(0)


def test_a_schedule_named_like_ours_is_not_ours():
    mine = type(
        "StepDecay", (schedules.LearningRateSchedule,), {"__call__": lambda self, step: 0.1}
    )
    with pytest.raises(
        ConfigError, match="a schedule of class StepDecay cannot be written to a file"
    ):
        schedules.serialize(mine())


def test_public_names():
    assert gatewise.schedules.CosineDecay is CosineDecay
    assert gatewise.optimizers.schedules.CosineDecay is CosineDecay  # Keras's place
