"""Schedules of learning rates."""

from gatewise import schedules

from .registry import case

SCHEDULES = {
    "CosineDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1},
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 20,
            "warmup_target": 0.1,
            "warmup_steps": 7,
        },
    ],
    "CosineDecayRestarts": [
        {"initial_learning_rate": 0.1, "first_decay_steps": 7, "t_mul": 1.5, "m_mul": 0.8}
    ],
    "ExponentialDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5},
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ],
    "InverseTimeDecay": [{"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}],
    "OneCycle": [
        {"max_lr": 0.1, "total_steps": 50},
        {"max_lr": 0.1, "total_steps": 50, "anneal_strategy": "linear", "three_phase": True},
    ],
    "PiecewiseConstantDecay": [{"boundaries": [5, 11], "values": [0.1, 0.05, 0.01]}],
    "PolynomialDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 20, "power": 2.0},
        {"initial_learning_rate": 0.1, "decay_steps": 7, "cycle": True},
    ],
    "StepDecay": [{"initial_learning_rate": 0.1, "step_size": 6, "gamma": 0.3}],
}


def _run(name, options):
    schedule = getattr(schedules, name)(**options)
    again = schedules.get(schedules.serialize(schedule))
    return {
        "rates": [float(schedule(step)) for step in range(50)],
        "again": [float(again(step)) for step in range(0, 50, 7)],
    }


for _name, _choices in SCHEDULES.items():
    for _number, _options in enumerate(_choices):
        case(f"rates/{_name}/{_number}", lambda n=_name, o=_options: _run(n, o))
