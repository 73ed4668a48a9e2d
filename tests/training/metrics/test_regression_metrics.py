"""Metrics of numbers and of probabilities: formulas, weights, batches.

Beside Keras and scikit-learn.
"""

import numpy as np
import pytest

from gatewise import metrics
from gatewise.errors import ConfigError, DTypeError, ShapeError

CASES = [
    ("RootMeanSquaredError", {}),
    ("MeanAbsolutePercentageError", {}),
    ("MeanSquaredLogarithmicError", {}),
    ("CosineSimilarity", {}),
    ("R2Score", {}),
    ("R2Score", {"class_aggregation": None}),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}),
    ("R2Score", {"num_regressors": 2}),
]
OURS = [
    *CASES,
    ("SymmetricMeanAbsolutePercentageError", {}),
    ("MeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
]


def data(rng, shape, name=""):
    y = rng.normal(1, 2, shape).astype(np.float32)
    if "Logarithmic" in name:
        y = np.abs(y)
    return y, (y + rng.normal(0, 1, shape)).astype(np.float32), rng.uniform(0.1, 2, shape[:-1])


def made(name, arguments):
    return getattr(metrics, name)(**arguments)


def keras_results(cases):
    import keras

    results = []
    for name, arguments, batches in cases:
        metric = getattr(keras.metrics, name)(**arguments)
        for y, p, weights in batches:
            # Keras weighs each element of this one, so a weight of a position needs an axis more.
            if name == "RootMeanSquaredError" and weights is not None:
                weights = weights[:, None].repeat(p.shape[-1], 1)
            metric.update_state(y, p, sample_weight=weights)
        results.append(keras.ops.convert_to_numpy(metric.result()))
    return results


def test_beside_keras(rng, keras_rival):
    cases = []
    for name, arguments in CASES:
        for weighted in (False, True):
            # Keras counts each output of a sample
            outputs = 1 if "num_regressors" in arguments else 3
            batches = [data(rng, (8, outputs), name) for _ in range(3)]
            cases.append(
                (
                    name,
                    arguments,
                    [(y, p, weights if weighted else None) for y, p, weights in batches],
                )
            )
    for (name, arguments, batches), value in zip(
        cases, keras_rival.run(keras_results, cases), strict=True
    ):
        metric = made(name, arguments)
        for batch in batches:
            metric.update_state(*batch)
        np.testing.assert_allclose(
            metric.result(), value, rtol=3e-5, atol=1e-6, err_msg=f"{name} {arguments}"
        )


@pytest.mark.parametrize(("name", "arguments"), OURS)
def test_batches_and_ragged_steps(name, arguments, rng):
    y, p, weights = data(rng, (9, 6, 2), name)
    valid = np.arange(6) < rng.integers(1, 7, 9)[:, None]
    whole = made(name, arguments)(y[valid], p[valid], weights[valid])
    padded = made(name, arguments)
    y[~valid], p[~valid] = np.nan, np.inf
    for rows in (slice(0, 1), slice(1, 1), slice(1, 6), slice(6, 9)):
        padded.update_state(y[rows], p[rows], (weights * valid)[rows])
    np.testing.assert_allclose(padded.result(), whole, rtol=1e-9)
    if arguments != {"class_aggregation": None}:
        assert type(padded.result()) is float
    padded.reset_state()
    assert padded.result() == 0.0
    padded.update_state(y, p, np.zeros((9, 6)))
    assert padded.result() == 0.0


@pytest.mark.parametrize(("name", "arguments"), OURS)
def test_configuration_round_trip(name, arguments, rng):
    metric = getattr(metrics, name)(**arguments, name="mine")
    again = metrics.get(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    batch = data(rng, (5, 2), name)
    np.testing.assert_array_equal(again(*batch), metric(*batch))


def test_beside_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    y, p, weights = (array.astype(np.float64) for array in data(rng, (30, 3)))
    for ours, theirs in (
        ("uniform_average", "uniform_average"),
        ("variance_weighted_average", "variance_weighted"),
        (None, "raw_values"),
    ):
        np.testing.assert_allclose(
            metrics.R2Score(ours)(y, p, weights),
            sklearn.r2_score(y, p, sample_weight=weights, multioutput=theirs),
            rtol=1e-10,
        )
    assert metrics.RootMeanSquaredError()(y[:, :1], p[:, :1], weights) == pytest.approx(
        sklearn.root_mean_squared_error(y[:, 0], p[:, 0], sample_weight=weights)
    )
    assert metrics.MeanAbsolutePercentageError()(y, p) == pytest.approx(
        100 * sklearn.mean_absolute_percentage_error(y, p)
    )
    y, p = np.abs(y), np.abs(p)
    assert metrics.MeanSquaredLogarithmicError()(y, p) == pytest.approx(
        sklearn.mean_squared_log_error(y, p)
    )


def test_r2_of_constant_targets_and_of_far_ones(rng):
    assert metrics.R2Score()(np.full(7, 0.1), np.full(7, 0.1)) == 1.0
    assert metrics.R2Score()(np.full(7, 0.1), np.full(7, 0.2)) == 0.0
    np.testing.assert_array_equal(
        metrics.R2Score(None)([[1, 2.0], [1, 4.0]], [[1, 2.0], [1, 4.0]]), [1, 1]
    )
    near = rng.normal(size=50)
    noise = rng.normal(0, 0.5, 50)
    far = np.round(near * 1024) / 1024 + 2.0**30  # exact in float64
    metric = metrics.R2Score()
    for rows in (slice(0, 10), slice(10, 50)):
        metric.update_state(far[rows], far[rows] + noise[rows])
    assert metric.result() == pytest.approx(metrics.R2Score()(near, near + noise), rel=1e-3)
    assert metrics.R2Score(num_regressors=6)([1, 2, 3.0], [1, 2, 2.5]) == metrics.R2Score()(
        [1, 2, 3.0], [1, 2, 2.5]
    )


def test_smape():
    metric = metrics.SymmetricMeanAbsolutePercentageError()
    assert metric([[0.0], [2.0], [1.0]], [[0.0], [1.0], [-1.0]]) == pytest.approx(
        (0 + 200 / 3 + 200) / 3
    )
    assert metrics.get("smape").name == "smape"


def test_unsigned_integers_do_not_wrap():
    y, p = np.array([[1]], np.uint8), np.array([[3]], np.uint8)
    for name, value in (
        ("MeanSquaredError", 4),
        ("MeanAbsoluteError", 2),
        ("RootMeanSquaredError", 2),
        ("MeanSquaredError", 4),
    ):
        assert made(name, {})(p, y) == made(name, {})(y, p) == value
    assert metrics.R2Score()(np.array([0, 200], np.uint8), np.array([200, 0], np.uint8)) == -3


# ---- perplexity


def keras_crossentropies(y, p, scores, weights):
    import keras
    import numpy as np

    one_hot = np.eye(p.shape[-1])[y]
    results = []
    for name, targets in (
        ("SparseCategoricalCrossentropy", y),
        ("CategoricalCrossentropy", one_hot),
    ):
        for values, logits in ((p, False), (scores, True)):
            metric = getattr(keras.metrics, name)(from_logits=logits)
            metric.update_state(targets, values, sample_weight=weights)
            results.append(float(metric.result()))
    return results


def test_perplexity_is_exp_of_the_crossentropy_of_keras(rng, keras_rival):
    scores = rng.normal(0, 3, (5, 4, 6)).astype(np.float32)
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    y, weights = rng.integers(0, 6, (5, 4)), rng.uniform(0, 2, (5, 4))
    expected = np.exp(keras_rival.run(keras_crossentropies, y, p, scores, weights))
    got = [
        metrics.Perplexity(from_logits=logits)(targets, values, weights)
        for targets in (y, np.eye(6)[y])
        for values, logits in ((p, False), (scores, True))
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_perplexity_of_a_guess_is_the_number_of_classes(rng):
    metric = metrics.Perplexity()
    assert metric.result() == 0.0
    y = rng.integers(0, 7, (3, 8))
    wild = np.full((3, 8, 7), 1 / 7)
    wild[:, 5:] = np.nan
    y[:, 5:] = 1000
    assert metric(y, wild, np.arange(8) < 5 + np.zeros((3, 1))) == pytest.approx(7)
    assert metrics.Perplexity(from_logits=True)([0], [[-1e4, 1e4]]) == np.inf
    assert metrics.Perplexity()([0], [[0.0, 1.0]]) == pytest.approx(1e7)
    with pytest.raises(
        ShapeError, match="y_true holds 2.5; metric perplexity expects class numbers from 0 to 2"
    ):
        metric([2.5], [[0.2, 0.3, 0.5]])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: metrics.Perplexity(from_logits=1), DTypeError, "from_logits is 1"),
        (lambda: metrics.R2Score("mean"), ConfigError, "class_aggregation is 'mean'"),
        (lambda: metrics.R2Score(num_regressors=-1), ConfigError, "num_regressors is -1"),
        (lambda: metrics.RootMeanSquaredError(name=3), DTypeError, "name is 3"),
        (
            lambda: metrics.R2Score()(np.zeros((4, 2)), np.zeros((4, 3))),
            ShapeError,
            "expects the same shape",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_r2_keeps_its_outputs():
    metric = metrics.R2Score()
    metric.update_state(np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="expected as many outputs as before"):
        metric.update_state(np.zeros((4, 3)), np.zeros((4, 3)))
