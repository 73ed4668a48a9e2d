"""Metrics that go on in another process: their sums, and files that hold something else.

Names; what is better.
"""

import json

import numpy as np
import pytest

from gatewise import metrics
from gatewise.errors import CheckpointError

EVERY = [name for name in metrics.__all__ if name[0].isupper() and name != "Metric"]
VARIANTS = [(name, {}) for name in EVERY] + [
    ("Precision", {"thresholds": [0.2, 0.6]}),
    ("AUC", {"num_thresholds": None}),
    ("AUC", {"multi_label": True}),
    ("AUC", {"num_thresholds": None, "curve": "PR"}),
    ("R2Score", {"class_aggregation": None}),
]


def data(rng, metric):
    if getattr(metric, "_per_sequence", False):
        return rng.integers(1, 4, (30, 3)), rng.uniform(size=(30, 6, 4)), rng.uniform(0, 2, 30)
    p = rng.uniform(size=(30, 4))
    y = rng.integers(0, 4, 30) if metric._sparse else np.eye(4)[rng.integers(0, 4, 30)]
    return y, p, rng.uniform(0, 2, 30)


def through_a_file(state):
    """Numbers as JSON text, arrays as they are: what a checkpoint does."""
    return {
        name: value if isinstance(value, np.ndarray) else json.loads(json.dumps(value))
        for name, value in state.items()
    }


@pytest.mark.parametrize(("name", "arguments"), VARIANTS)
def test_interrupted_is_uninterrupted(name, arguments, rng):
    whole = getattr(metrics, name)(**arguments)
    y, p, weights = data(rng, whole)
    for rows in (slice(0, 11), slice(11, 20), slice(20, 30)):
        whole.update_state(y[rows], p[rows], weights[rows])
    first, second = getattr(metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    second.set_state(through_a_file(first.get_state()))  # before any batch, too
    first.update_state(y[:0], p[:0], weights[:0])
    second.set_state(through_a_file(first.get_state()))
    first.update_state(y[:11], p[:11], weights[:11])
    state = first.get_state()
    first.update_state(y[11:], p[11:], weights[11:])  # must not reach into what was handed out
    second.set_state(through_a_file(state))
    for rows in (slice(11, 20), slice(20, 30)):
        second.update_state(y[rows], p[rows], weights[rows])
    np.testing.assert_array_equal(second.result(), whole.result())  # to the bit


@pytest.mark.parametrize(("name", "arguments"), VARIANTS)
def test_states_that_do_not_fit(name, arguments, rng):
    metric = getattr(metrics, name)(**arguments)
    metric.update_state(*data(rng, metric))
    good, before = metric.get_state(), metric.result()
    part = next(iter(good))
    for wrong in (
        None,
        [],
        {},
        good | {"more": 1.0},
        {key: good[key] for key in good if key != part},
        good | {part: "1"},
        good | {part: None},
        good | {part: True},
        good | {part: 10**400},
        good | {part: [1.0]},
        good | {3: 1.0},
        good | {part: np.ones(4, np.float32)},
        good | {part: np.ones((2, 3, 4))},
        good | {part: np.array(["a"])},
        good | {part: np.array(1.0)},
        {key: np.ones((3, 5)) for key in good},
    ):
        with pytest.raises(CheckpointError, match=f"state of metric {metric.name}"):
            metric.set_state(wrong)
        np.testing.assert_array_equal(metric.result(), before)
    metric.set_state(good)
    np.testing.assert_array_equal(metric.result(), before)


def test_scores_of_an_exact_area_must_be_sorted():
    metric = metrics.AUC(num_thresholds=None)
    ones = np.ones(3)
    with pytest.raises(CheckpointError, match="do not fit its arguments"):
        metric.set_state(
            {"scores": np.array([1.0, 0.5, 2.0]), "positives": ones, "negatives": ones}
        )


def keras_names(known):
    import keras
    from keras.src.metrics import ALL_OBJECTS_DICT

    found = {name: cls.__name__ for name, cls in ALL_OBJECTS_DICT.items()}
    directions = {}
    for name in known:
        if name in found:
            directions[found[name]] = getattr(
                getattr(keras.metrics, found[name])(), "_direction", None
            )
    return found, directions


def test_names_and_directions_are_those_of_keras(keras_rival):
    from gatewise.training.metrics import METRICS, direction_of

    found, directions = keras_rival.run(keras_names, EVERY)
    ours = {name: cls.__name__ for name, cls in METRICS.names.items()}
    assert {name: cls for name, cls in found.items() if cls in EVERY} == {
        name: ours[name] for name in ours if name in found
    }
    # Keras has no Perplexity, no sMAPE and no label error rate
    assert len(directions) == len(EVERY) - 3
    for name, direction in directions.items():
        if name != "MeanSquaredLogarithmicError" or direction:
            assert direction_of(name) == direction, name
    assert {direction_of(name) for name in EVERY} == {"up", "down"}
    assert direction_of("acc") == "up"
    assert direction_of("nothing") is None


def test_a_metric_of_ones_own():
    class Bias(metrics.Metric):
        default_name = "bias"

        def reset_state(self):
            self.seen = []

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.seen.append(float(np.mean(np.subtract(y_pred, y_true))))

        def result(self):
            return sum(self.seen)

    assert Bias()([1.0], [3.0]) == 2.0
    assert metrics.get(Bias).name == "bias"
