"""Targets by themselves, without an estimator or a network."""

import numpy as np
import pytest

from gatewise.errors import ConfigError, ShapeError
from gatewise.estimators.reading.sequences import Sequences
from gatewise.estimators.targets.base import Target, counted_rows, without_rows
from gatewise.estimators.targets.labels import Labels, SeveralLabels, labels_target, stored_labels
from gatewise.estimators.targets.numbers import Numbers, StepNumbers
from gatewise.estimators.targets.reconstruction import Reconstruction
from gatewise.estimators.targets.step_labels import StepLabels

LENGTHS = np.array([3, 1, 2, 3])


@pytest.fixture
def sequences(rng):
    return Sequences(rng.normal(size=(4, 3, 2)), LENGTHS)


# A target, what it reads, and the outputs, loss and activation of its network.
CASES = {
    "two labels": (Labels, ["b", "a", "b", "b"], (1, "binary_crossentropy", "sigmoid")),
    "labels": (Labels, [3, 1, 7, 1], (3, "sparse_categorical_crossentropy", "softmax")),
    "several labels": (
        SeveralLabels,
        [[0, 1], [1, 1], [1, 0], [0, 0]],
        (2, "binary_crossentropy", "sigmoid"),
    ),
    "numbers": (Numbers, [0.5, 1.5, -1.0, 2.0], (1, "mean_squared_error", "linear")),
    "several numbers": (Numbers, np.eye(4)[:, :3], (3, "mean_squared_error", "linear")),
    "counts": (lambda: Numbers("poisson"), [0, 2, 1, 5], (1, "poisson", "exponential")),
    "numbers of steps": (
        StepNumbers,
        [np.arange(n) / 2 for n in LENGTHS],
        (1, "mean_squared_error", "linear"),
    ),
    "labels of steps": (
        StepLabels,
        [["x", "y", "z"], ["z"], ["y", "y"], ["x", "x", "z"]],
        (3, "sparse_categorical_crossentropy", "softmax"),
    ),
    "a label a row": (StepLabels, ["x", "y", "y", "x"], (1, "binary_crossentropy", "sigmoid")),
    "reconstruction": (
        lambda: Reconstruction(2, None),
        None,
        (2, "mean_squared_error", "linear"),
    ),
}


def scores_of(target, targets, outputs):
    """Scores of a network that is right everywhere."""
    if target.score_name == "accuracy":
        if outputs > 1 and targets.dtype.kind == "i" and not isinstance(target, SeveralLabels):
            return 5.0 * np.eye(outputs)[targets]
        return 10.0 * targets.reshape(*targets.shape[: 1 + target.per_step], -1) - 5
    if target.output(targets).activation == "exponential":
        return np.log(np.maximum(targets, 1e-12))
    return targets


@pytest.mark.parametrize("case", CASES)
def test_what_the_network_ends_in_and_the_score_of_right_scores(case, sequences):
    make, y, (outputs, loss, activation) = CASES[case]
    target = make()
    targets = target.read(y, sequences, None)
    made = target.output(targets)
    assert (made.outputs, made.loss.name, made.activation) == (outputs, loss, activation)
    weights = target.validation_weights(None, sequences)
    best = 0.0 if case == "reconstruction" else 1.0
    right = scores_of(target, targets, outputs)
    assert target.score(targets, right, weights) == pytest.approx(best)
    assert target.score(targets, -right - 1, weights) < best


@pytest.mark.parametrize("case", CASES)
def test_a_target_does_not_change_after_its_first_y(case, sequences):
    """So that a call that fails needs to restore no part of it."""
    make, y, _ = CASES[case]
    target = make()
    target.read(y, sequences, None)
    before = dict(vars(target))
    target.read(y, sequences, None)
    with pytest.raises((ConfigError, ShapeError)):
        longer = Sequences(np.zeros((4, 5, 2)))
        target.read([[1.5, 2.5, 0.0, 1.0]] * 4 if y is not None else None, longer, None)
    assert vars(target) == before


@pytest.mark.parametrize("case", CASES)
def test_the_mean_weight_is_1(case, sequences):
    """A weight of k is then the same as k copies, whatever the other weights are."""
    make, y, _ = CASES[case]
    target = make()
    target.read(y, sequences, None)
    weights = np.array([1.0, 4.0, 0.5, 2.0])
    normalized = target.normalized(weights, sequences)
    counted = normalized.size if not target.per_step else LENGTHS.sum()
    assert normalized.sum() == pytest.approx(counted)
    np.testing.assert_allclose(target.normalized(7 * weights, sequences), normalized)


@pytest.mark.parametrize("kind", [Labels, SeveralLabels])
def test_labels_come_back_from_what_is_stored(kind, rng):
    y = ["b", "a", "c"] if kind is Labels else [[0, 1], [1, 1], [1, 0]]
    target = labels_target(y, 3)
    assert type(target) is kind
    target.read(y, Sequences(np.zeros((3, 2, 1))), None)
    again, scores = stored_labels(target.stored()), rng.normal(size=(5, len(target.classes)))
    assert type(again) is kind
    np.testing.assert_array_equal(again.labels(scores), target.labels(scores))
    np.testing.assert_array_equal(again.probabilities(scores), target.probabilities(scores))


def test_another_loss_for_the_same_numbers(sequences):
    target = Numbers()
    target.read(np.ones((4, 2)), sequences, None)
    other = target.with_loss("poisson")
    assert other.columns == 2 and other.loss.name == "poisson"
    assert target.loss.name == "mean_squared_error"
    with pytest.raises(ConfigError, match="expects numbers from 0 up"):
        other.read(-np.ones((4, 2)), sequences, None)


def test_rows_of_weight_0_are_left_out():
    weights = np.array([[0.0, 1.0], [0.0, 0.0], [2.0, 0.0]])
    kept = counted_rows(weights)
    assert kept.tolist() == [True, False, True]
    assert without_rows(["a", "b", "c"], kept) == ["a", "c"]
    assert without_rows(np.arange(3), kept).tolist() == [0, 2]
    assert without_rows(None, kept) is None


def test_a_target_must_say_what_the_network_ends_in():
    class Half(Target):
        def score(self, targets, scores, sample_weight):
            return 0.0

    with pytest.raises(TypeError, match="abstract"):
        Half()
