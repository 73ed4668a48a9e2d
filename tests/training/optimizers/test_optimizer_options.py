"""Names and options of optimizers."""

import numpy as np
import pytest

from gatewise import optimizers, schedules
from gatewise.errors import (
    ArgumentError,
    ConfigError,
    DTypeError,
)

from .optimizer_cases import (
    ALL,
    make,
)

# ---- arguments


def test_names_and_classes():
    for identifier in (
        "adam",
        "Adam",
        "ADAM",
        optimizers.Adam,
        {"class_name": "adam", "config": {}},
    ):
        assert type(optimizers.get(identifier)) is optimizers.Adam
    same = optimizers.SGD()
    assert optimizers.get(same) is same
    for name in ALL:
        assert type(optimizers.get(name.lower())).__name__ == name
        assert optimizers.get(name.lower()).get_config() == make(name, {}).get_config()
        assert (
            make(name, {}).from_config(make(name, {}).get_config()).get_config()
            == make(name, {}).get_config()
        )
    with pytest.raises(
        ConfigError,
        match="optimizer 'adamax' is not known; choose one of adagrad, adam, adamw, lion, ",
    ):
        optimizers.get("adamax")
    with pytest.raises(
        ConfigError, match=r"optimizer class 'x' is not known: give it, .*custom_objects"
    ):
        optimizers.get({"class_name": "x"})
    for wrong in (3, None):
        with pytest.raises(DTypeError, match=r"expected a name or a gatewise.optimizers object"):
            optimizers.get(wrong)


@pytest.mark.parametrize(
    ("cls", "options", "error", "words"),
    [
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
        ("AdamW", {"weight_decay": None}, DTypeError, "weight_decay is None; expected a number"),
        ("Adam", {"weight_decay": np.nan}, ConfigError, "weight_decay is nan"),
        ("Adam", {"weight_decay": True}, DTypeError, "weight_decay is True"),
        ("Adam", {"amsgrad": 1}, DTypeError, "amsgrad is 1; expected True or False"),
        ("Nadam", {"beta_1": 1}, ConfigError, "beta_1 is 1.0"),
        ("Nadam", {"epsilon": np.inf}, ConfigError, "epsilon is inf"),
        ("Nadam", {"amsgrad": True}, ArgumentError, "Nadam takes no argument 'amsgrad'"),
        (
            "Adagrad",
            {"initial_accumulator_value": -0.1},
            ConfigError,
            "initial_accumulator_value is -0.1",
        ),
        (
            "Adagrad",
            {"initial_accumulator_value": None},
            DTypeError,
            "initial_accumulator_value is None",
        ),
        ("Adagrad", {"epsilon": "small"}, DTypeError, "epsilon is 'small'"),
        ("Lion", {"beta_1": 0}, ConfigError, r"beta_1 is 0.0; expected a number in \(0.0, 1.0\]"),
        ("Lion", {"beta_2": 1}, ConfigError, "beta_2 is 1.0"),
        ("SGD", {"use_ema": 1}, DTypeError, "use_ema is 1; expected True or False"),
        ("SGD", {"use_ema": True, "ema_momentum": 1.1}, ConfigError, "ema_momentum is 1.1"),
        ("SGD", {"use_ema": True, "ema_momentum": np.nan}, ConfigError, "ema_momentum is nan"),
        (
            "SGD",
            {"use_ema": True, "ema_overwrite_frequency": 0},
            ConfigError,
            "ema_overwrite_frequency is 0; expected 1 to",
        ),
        (
            "SGD",
            {"use_ema": True, "ema_overwrite_frequency": 2.0},
            DTypeError,
            "ema_overwrite_frequency is 2.0",
        ),
        (
            "SGD",
            {"ema_overwrite_frequency": 5},
            ConfigError,
            "ema_overwrite_frequency is 5, .* give use_ema=True too",
        ),
        (
            "SGD",
            {"gradient_accumulation_steps": 1},
            ConfigError,
            "gradient_accumulation_steps is 1; expected 2 to",
        ),
        (
            "SGD",
            {"gradient_accumulation_steps": 10**30},
            ConfigError,
            "gradient_accumulation_steps is 10",
        ),
        (
            "SGD",
            {"gradient_accumulation_steps": 2.5},
            DTypeError,
            "gradient_accumulation_steps is 2.5",
        ),
        (
            "SGD",
            {"loss_scale_factor": 2.0},
            ConfigError,
            "loss_scale_factor=2.0 does not exist in gatewise",
        ),
        ("SGD", {"learning_rate": 10**400}, ConfigError, "learning_rate is 1000"),
        ("SGD", {"learning_rate": None}, DTypeError, "learning_rate is None; expected a number"),
        (
            "SGD",
            {"learning_rate": lambda: 0.1},
            DTypeError,
            "expected a number or a gatewise.schedules object",
        ),
        (
            "SGD",
            {"learning_rate": schedules.StepDecay},
            DTypeError,
            "expected a number or a gatewise.schedules object",
        ),
        (
            "SGD",
            {"learning_rate": {"class_name": "Cosine", "config": {}}},
            ConfigError,
            "learning rate schedule class 'Cosine' is not",
        ),
        (
            "SGD",
            {"learning_rate": {"class_name": "StepDecay", "config": {"step": 1}}},
            ConfigError,
            "StepDecay has a config",
        ),
        ("SGD", {"clipnorm": 0}, ConfigError, "clipnorm is 0.0"),
        ("SGD", {"clipvalue": -1}, ConfigError, "clipvalue is -1.0"),
        ("SGD", {"global_clipnorm": np.inf}, ConfigError, "global_clipnorm is inf"),
        (
            "SGD",
            {"clipnorm": 1, "clipvalue": 1},
            ConfigError,
            "give at most one of clipnorm, clipvalue and global",
        ),
    ],
)
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
