"""What y may be, and what comes out of it."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import r2_score
from small_sequences import SMALL, fitted, ragged, signs

from gatewise import SequenceClassifier, SequenceEncoder, SequenceRegressor, losses
from gatewise.errors import ConfigError, NonFiniteError, ShapeError
from gatewise.estimators.targets.numbers import LOSSES_OF_NUMBERS

TRAINED = {"units": 12, "max_iter": 150, "learning_rate_init": 0.02, "random_state": 0}


def test_two_labels(rng):
    X = ragged(rng, 40)
    y = signs(X)
    estimator = fitted(SequenceClassifier(**TRAINED), X, y)
    assert list(estimator.classes_) == ["above", "below"]
    assert estimator.score(X, y) > 0.9
    p, scores = estimator.predict_proba(X), estimator.decision_function(X)
    assert p.shape == (40, 2) and scores.shape == (40,)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-scores.astype(float))))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(estimator.predict_log_proba(X)), p)
    np.testing.assert_array_equal(
        estimator.predict(X), estimator.classes_[(scores > 0).astype(int)]
    )
    np.testing.assert_allclose(estimator.model_.predict(X)[:, 0], p[:, 1], rtol=1e-5)


def test_several_labels_to_choose_from(rng):
    X = ragged(rng, 60)
    y = np.digitize([row[:, 0].mean() for row in X], [-0.3, 0.3]) * 10
    estimator = fitted(SequenceClassifier(**TRAINED), X, y)
    assert list(estimator.classes_) == [0, 10, 20]
    assert (estimator.n_outputs_, estimator.out_activation_) == (3, "softmax")
    assert estimator.score(X, y) > 0.9
    p, scores = estimator.predict_proba(X), estimator.decision_function(X)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(p, e / e.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(estimator.predict(X), estimator.classes_[scores.argmax(axis=1)])


def test_several_labels_at_once(rng):
    X = ragged(rng, 40)
    y = np.array([[row[:, 0].mean() > 0, row[:, 1].mean() > 0, row[0, 2] > 0] for row in X]).astype(
        int
    )
    estimator = fitted(SequenceClassifier(**TRAINED), X, y)
    assert estimator.out_activation_ == "logistic" and list(estimator.classes_) == [0, 1, 2]
    assert estimator.predict(X).shape == estimator.predict_proba(X).shape == (40, 3)
    assert estimator.score(X, y) > 0.8
    with pytest.raises(ConfigError, match="expected what the first call gave"):
        estimator.set_params(warm_start=True).fit(X, y[:, :2])


MATRIX = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]] * 4)


@pytest.mark.parametrize("cls", [SequenceClassifier, SequenceEncoder])
@pytest.mark.parametrize(
    "y",
    [
        2 * MATRIX,
        2 * MATRIX - 1,
        MATRIX + 1,
        MATRIX + 1.0,
        (255 * MATRIX).astype(np.uint8),
        np.full((12, 3), 2),
        (2 * MATRIX).tolist(),
        sparse.csr_array(2 * MATRIX),
    ],
)
def test_several_labels_are_zeros_and_ones(cls, y, rng):
    """type_of_target calls any integer matrix of two values several labels.

    The network would learn their numbers.
    """
    X = ragged(rng, 12)
    with pytest.raises(
        ConfigError, match=r"y of shape \(12, 3\) holds .*; a matrix with a column .* holds 1 if"
    ):
        cls(**SMALL).fit(X, y)
    fit_once = cls(**SMALL)
    with pytest.raises(ConfigError, match="a matrix with a column"):
        fit_once.partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize(
    "y",
    [MATRIX, MATRIX.astype(float), MATRIX.astype(bool), MATRIX.tolist(), sparse.csr_array(MATRIX)],
)
def test_what_holds_zeros_and_ones_is_several_labels(y, rng):
    X = ragged(rng, 12)
    first, same = (fitted(SequenceClassifier(**SMALL), X, labels) for labels in (MATRIX, y))
    np.testing.assert_array_equal(same.predict_proba(X), first.predict_proba(X))
    assert same.predict(X).dtype == np.int64 and same.score(X, y) == first.score(X, MATRIX)
    # a score against them would be wrong as well
    with pytest.raises(ConfigError, match="y of shape .* holds 0 and 2"):
        same.score(X, 2 * MATRIX)


@pytest.mark.parametrize("cls", [SequenceClassifier, SequenceEncoder])
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([0, 2], [0, 2]),
        ([-1, 1], [-1, 1]),
        ([1.0, 2.0], [1, 2]),
        ([False, True], [False, True]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_one_column_is_one_label_a_sample_of_any_kind(cls, labels, classes, rng):
    X, y = ragged(rng, 12), np.array(labels * 6)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        estimator = fitted(cls(**SMALL), X, y[:, None])
    assert list(estimator._target.classes) == classes and estimator.n_outputs_ == 1


def test_one_label(rng):
    X = ragged(rng, 10)
    estimator = fitted(SequenceClassifier(**SMALL), X, ["only"] * 10)
    assert list(estimator.predict(X)) == ["only"] * 10
    np.testing.assert_array_equal(estimator.predict_proba(X), np.ones((10, 1)))


def test_probabilities_do_not_underflow(rng):
    X = ragged(rng, 12)
    estimator = fitted(SequenceClassifier(**SMALL), X, signs(X))
    weights = estimator.model_.get_weights()
    estimator.model_.set_weights([*weights[:-1], np.array([-800.0])])
    log_p = estimator.predict_log_proba(X)
    assert np.isfinite(log_p).all() and (log_p[:, 1] < -750).all()


def test_one_number_and_several(rng):
    X = ragged(rng, 40)
    y = np.array([[row[:, 0].sum(), row[-1, 1]] for row in X])
    estimator = fitted(SequenceRegressor(**TRAINED), X, y)
    assert estimator.predict(X).shape == (40, 2)
    assert (
        estimator.score(X, y) == pytest.approx(r2_score(y, estimator.predict(X)))
        and estimator.score(X, y) > 0.8
    )
    one = fitted(SequenceRegressor(**SMALL), X, y[:, 0])
    assert one.predict(X).shape == (40,)
    with pytest.raises(ShapeError, match="y has 2 columns; expected 1"):
        one.partial_fit(X, y)


@pytest.mark.filterwarnings("ignore:y holds 0, which counts as 1e-7")
def test_losses_of_numbers(rng):
    X = ragged(rng, 40)
    y = rng.poisson(np.exp([row[:, 0].mean() for row in X])) + 1  # 0 has no percentage
    estimator = fitted(SequenceRegressor(loss="poisson", **SMALL), X, y)
    assert estimator.out_activation_ == "exponential"
    assert (estimator.predict(X) > 0).all()
    np.testing.assert_allclose(estimator.predict(X), estimator.model_.predict(X)[:, 0], rtol=1e-5)
    for loss in ("poisson", "Poisson", losses.Poisson()):
        with pytest.raises(ConfigError, match="loss 'poisson' expects numbers from 0 up"):
            SequenceRegressor(loss=loss).fit(X, y - 10)
    for loss in (*LOSSES_OF_NUMBERS, losses.Huber(2.0), Cubes()):
        wanted = "exponential" if loss == "poisson" else "identity"
        assert fitted(SequenceRegressor(loss=loss, **SMALL), X, y).out_activation_ == wanted


class Cubes(losses.Loss):
    """A loss of one's own."""

    name = "cubes"

    def _positions(self, y_true, y_pred, want_gradient):
        off = y_pred - y_true
        return np.abs(off**3).mean(axis=-1), (
            3 * off * np.abs(off) / off.shape[-1] if want_gradient else None
        )


def test_losses_of_other_things(rng):
    """Each loss of gatewise is one of numbers, or refused."""
    X, y = ragged(rng, 12), np.arange(12) % 2
    others = [
        name
        for name in losses.__all__
        if name not in ("Loss", "get", "serialize")
        and losses.get(name).name
        not in ("mean_squared_error", "mean_absolute_error", *LOSSES_OF_NUMBERS)
    ]
    assert len(others) == 10
    for name in others:
        with pytest.raises(
            ConfigError, match="which is none of numbers; expected one of 'squared_error'"
        ):
            SequenceRegressor(loss=name, **SMALL).fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "y", "error", "message"),
    [
        (SequenceClassifier, None, ConfigError, "requires y to be passed"),
        (SequenceClassifier, np.linspace(0, 1, 12), ConfigError, "Unknown label type"),
        (
            SequenceClassifier,
            np.tile([0, 1, 2], (12, 1)),
            ConfigError,
            "(?i)multioutput|several columns",
        ),
        (SequenceClassifier, ["a"] * 11, ShapeError, "y has 11 entries, X has 12"),
        (SequenceRegressor, np.full(12, np.nan), NonFiniteError, "y contains NaN"),
        (SequenceRegressor, np.zeros((12, 2, 2)), ShapeError, "y holds numbers of steps"),
        (SequenceRegressor, ["a"] * 12, ConfigError, "could not convert"),
    ],
)
def test_what_y_may_not_be(estimator, y, error, message, rng):
    with pytest.raises(error, match=message):
        estimator(**SMALL).fit(ragged(rng, 12), y)
