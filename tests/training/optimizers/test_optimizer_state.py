"""State of optimizers: restored to the bit, copied, and refused if it does not fit."""

import copy

import numpy as np
import pytest

from gatewise import optimizers, schedules
from gatewise.errors import (
    CheckpointError,
)

from .optimizer_cases import (
    IDS,
    OPTIONS,
    make,
    ours,
    run,
    state_of,
    through_json,
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_restored_state_continues_bit_for_bit(name, options, dtype, problem):
    """From step 13, which is in the middle of an accumulation; and from step 1."""
    start, gradients = problem
    whole, means = ours(name, options, start, gradients, dtype)
    for cut in (1, 13):
        first, p = make(name, options), start.astype(dtype)
        run(first, p, gradients[:cut])
        second = through_json(first)
        saved = {key: array.copy() for key, array in first.slots().items()}
        assert all(array.shape in (p.shape, ()) for array in saved.values())
        second._load_slots(first.iterations, saved, p)
        assert second.learning_rate == first.learning_rate
        for array in saved.values():
            array.fill(np.nan)  # the optimizer keeps its own
        run(second, p, gradients[cut:])
        assert p.tobytes() == whole[-1].tobytes()
        assert second.average is None or second.average.tobytes() == means[-1].tobytes()


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)
def test_a_snapshot_may_be_restored_more_than_once(name, options, problem):
    start, gradients = problem
    optimizer, p, ends = make(name, options), start.astype("float32"), set()
    run(optimizer, p, gradients[:7])
    weights, snapshot = p.copy(), optimizer._snapshot()
    for _ in range(3):
        p[...] = weights
        optimizer._restore(snapshot)
        run(optimizer, p, gradients[7:20])
        ends.add((p.tobytes(), optimizer.iterations, optimizer.learning_rate))
    assert len(ends) == 1


def test_a_copy_goes_its_own_way(problem):
    start, gradients = problem
    one, p = (
        optimizers.Nadam(
            learning_rate=schedules.StepDecay(0.1, 5), gradient_accumulation_steps=2, use_ema=True
        ),
        start.copy(),
    )
    run(one, p, gradients[:9])
    two, q = copy.deepcopy(one), p.copy()
    run(one, p, gradients[9:])
    run(two, q, gradients[9:])
    assert p.tobytes() == q.tobytes()
    assert not np.shares_memory(one.average, two.average)


FULL = {"gradient_accumulation_steps": 4, "use_ema": True}


@pytest.mark.parametrize(
    ("make_one", "lie", "words"),
    [
        (optimizers.Adam, lambda s: s.clear(), "optimizer state holds"),
        (optimizers.Adam, lambda s: s.pop("velocity"), "optimizer state holds"),
        (optimizers.Adam, lambda s: s.update(other=s["velocity"]), "optimizer state holds"),
        (
            optimizers.Adam,
            lambda s: s.update(velocity=np.zeros(5, np.float32)),
            "velocity is float32",
        ),
        (optimizers.Adam, lambda s: s.update(velocity=np.zeros(4)), "velocity is float64"),
        (optimizers.Adam, lambda s: s.update(velocity=np.float32(3)), "velocity is"),
        (optimizers.Adam, lambda s: s.update(velocity=[0, 0, 0, 0]), "velocity is"),
        (optimizers.Adam, lambda s: s.update(velocity=None), "velocity is None"),
        (optimizers.Adam, lambda s: s["velocity"].fill(-1), "never negative"),
        (optimizers.Adam, lambda s: s["momentum"].fill(np.nan), "optimizer/momentum holds nan"),
        (
            optimizers.Adagrad,
            lambda s: s["accumulator"].fill(np.inf),
            "optimizer/accumulator holds inf",
        ),
        (
            lambda: optimizers.Adam(amsgrad=True),
            lambda s: s.pop("velocity_hat"),
            "optimizer state holds",
        ),
        (
            lambda: optimizers.Adam(amsgrad=True),
            lambda s: s["velocity_hat"].fill(-1),
            "never negative",
        ),
        (lambda: optimizers.SGD(use_ema=True), lambda s: s.clear(), "optimizer state holds"),
        (lambda: optimizers.SGD(**FULL), lambda s: s.pop("accumulated"), "optimizer state holds"),
        *[
            (
                lambda: optimizers.SGD(**FULL),
                lambda s, value=value: s.update(accumulated=np.array(value)),
                "accumulated",
            )
            for value in (4.0, -1.0, 0.5, 1e300, np.nan, np.inf, 3, [1.0], True)
        ],
        *[
            (
                optimizers.Nadam,
                lambda s, value=value: s.update(momentum_product=np.array(value)),
                "momentum_product",
            )
            for value in (-0.1, 1.1, np.nan, np.float32(0.5), [0.5])
        ],
    ],
)
def test_restore_refuses_what_does_not_fit(make_one, lie, words):
    iterations, slots, p = state_of(make_one())
    lie(slots)
    optimizer = make_one()
    with pytest.raises(CheckpointError, match=words):
        optimizer._load_slots(max(iterations, 1), slots, p)
    assert optimizer.iterations == 0
    assert optimizer.slots() == {}


def test_restore_refuses_wrong_counts_of_steps():
    iterations, slots, p = state_of(optimizers.Adam())
    for wrong in (-1, 1.5, True, "3", 2**63, None, np.nan):
        with pytest.raises(CheckpointError, match="iterations"):
            optimizers.Adam()._load_slots(wrong, slots, p)
    with pytest.raises(CheckpointError, match="optimizer state holds"):
        optimizers.Adam()._load_slots(0, slots, p)
    optimizers.Adam()._load_slots(0, {}, p)
    # no step yet, three gradients held
    optimizers.SGD(**FULL)._load_slots(0, state_of(optimizers.SGD(**FULL))[1], p)
