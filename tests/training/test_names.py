"""Names that losses, optimizers, metrics and schedules are given.

Kept, in files, never thrown away.
"""

import pytest

from gatewise import losses, metrics, optimizers, schedules
from gatewise.errors import ArgumentError, ConfigError, DTypeError
from gatewise.layers import Dense, Input
from gatewise.models import Sequential, load_model

LOSSES = [
    getattr(losses, name) for name in losses.__all__ if name not in ("Loss", "get", "serialize")
]
OPTIMIZERS = [
    getattr(optimizers, name)
    for name in optimizers.__all__
    if name not in ("Optimizer", "get", "serialize")
]


@pytest.mark.parametrize("cls", LOSSES)
def test_losses_keep_their_name(cls):
    assert cls().name == cls.name
    named = cls(name="mine")
    assert named.name == "mine"
    assert losses.get(losses.serialize(named)).name == "mine"
    assert vars(losses.get(losses.serialize(cls()))) == vars(cls())
    with pytest.raises(DTypeError, match="name is 3; expected text"):
        cls(name=3)


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_optimizers_keep_their_name(cls):
    assert cls().name == ("SGD" if cls is optimizers.SGD else cls.__name__.lower())
    named = cls(name="mine")
    assert named.name == "mine"
    assert optimizers.get(optimizers.serialize(named)).name == "mine"
    assert "name" not in optimizers.serialize(cls())["config"]
    with pytest.raises(DTypeError, match="name is 3; expected text"):
        cls(name=3)


@pytest.mark.parametrize(
    "cls",
    [getattr(metrics, name) for name in metrics.__all__ if name[0].isupper() and name != "Metric"],
)
def test_metrics_keep_their_name(cls):
    assert metrics.get(metrics.serialize(cls(name="mine"))).name == "mine"


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.ExponentialDecay(0.1, 5, 0.5, name="mine"),
        schedules.InverseTimeDecay(0.1, 5, 0.5, name="mine"),
        schedules.PiecewiseConstantDecay([1], [0.1, 0.2], name="mine"),
        schedules.PolynomialDecay(0.1, 5, name="mine"),
        schedules.CosineDecay(0.1, 5, name="mine"),
        schedules.CosineDecayRestarts(0.1, 5, name="mine"),
    ],
)
def test_schedules_keep_their_name(schedule):
    assert schedules.get(schedules.serialize(schedule)).name == "mine"


def test_names_come_back_from_a_file(tmp_path):
    model = Sequential([Input((2,)), Dense(1)])
    model.compile(
        optimizers.Adam(name="slow"),
        losses.MeanSquaredError(name="square"),
        metrics=[metrics.R2Score(name="r2")],
    )
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert (again.optimizer.name, again.loss.name, again.metrics[0].name) == (
        "slow",
        "square",
        "r2",
    )


class Own(losses.Loss):
    def __init__(self, factor):
        super().__init__(name="own")
        self.factor = factor

    def position_values(self, y_true, y_pred, want_gradient):
        return y_pred[..., 0] * self.factor, None


def test_a_name_that_a_constructor_does_not_take_is_not_written():
    assert losses.serialize(Own(2)) == {"class_name": "Own", "config": {"factor": 2}}
    assert type("Plain", (losses.Loss,), {"position_values": None})().name == "Plain"


@pytest.mark.parametrize("cls", [*LOSSES, *OPTIMIZERS])
def test_other_arguments_are_refused(cls):
    with pytest.raises(ArgumentError, match=f"{cls.__name__} takes no argument 'nane'"):
        cls(nane="mine")


@pytest.mark.parametrize(
    "arguments", [{"jit_compile": "maybe"}, {"jit_compile": 7}, {"auto_scale_loss": "maybe"}]
)
def test_compile_takes_no_nonsense(arguments):
    model = Sequential([Input((2,)), Dense(1)])
    with pytest.raises(ConfigError, match="does not exist in gatewise; leave it out"):
        model.compile("sgd", "mse", **arguments)
    model.compile("sgd", "mse", jit_compile="auto", auto_scale_loss=True)
    model.compile("sgd", "mse", jit_compile=False, auto_scale_loss=False)
