"""Every metric on several outputs, of samples and of steps, against scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics as sk

from gatewise import metrics
from gatewise.metrics import R2Score

SHAPES = [(40, 3), (12, 5, 3)]


def rows(array):
    return array.reshape(-1, array.shape[-1])


def numbers(rng, shape):
    y = rng.gamma(2, 2, shape)
    return y, np.abs(y + rng.normal(size=shape)) + 0.1


def yes_or_no(rng, shape):
    return rng.integers(0, 2, shape).astype(float), rng.uniform(size=shape)


def classes(rng, shape):
    return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])], rng.dirichlet(
        np.ones(shape[-1]), shape[:-1]
    )


def symmetric(y, p, sample_weight=None):
    return np.average((200 * abs(y - p) / (y + p)).mean(axis=-1), weights=sample_weight)


def cosine(y, p, sample_weight=None):
    return np.average(1 - sk.pairwise.paired_cosine_distances(y, p), weights=sample_weight)


def flat(score, **more):
    """A score of all outputs as samples of one, with the weight of their row."""

    def value(y, p, sample_weight=None):
        weights = None if sample_weight is None else np.repeat(sample_weight, y.shape[-1])
        return score(y.ravel(), p.ravel(), sample_weight=weights, **more)

    return value


def decided(score, **more):
    return lambda y, p, sample_weight=None: score(
        y, p > 0.5, sample_weight=sample_weight, zero_division=0, **more
    )


def largest(score, **more):
    return lambda y, p, sample_weight=None: score(
        y.argmax(-1), p.argmax(-1), sample_weight=sample_weight, **more
    )


def perplexity(y, p, sample_weight=None):
    return np.exp(
        sk.log_loss(y.argmax(-1), p, sample_weight=sample_weight, labels=np.arange(y.shape[-1]))
    )


CASES = {
    "MeanSquaredError": (numbers, {}, sk.mean_squared_error),
    "RootMeanSquaredError": (
        numbers,
        {},
        lambda y, p, sample_weight=None: (
            sk.mean_squared_error(y, p, sample_weight=sample_weight) ** 0.5
        ),
    ),
    "MeanAbsoluteError": (numbers, {}, sk.mean_absolute_error),
    "MeanAbsolutePercentageError": (
        numbers,
        {},
        lambda y, p, sample_weight=None: (
            100 * sk.mean_absolute_percentage_error(y, p, sample_weight=sample_weight)
        ),
    ),
    "MeanSquaredLogarithmicError": (numbers, {}, sk.mean_squared_log_error),
    "SymmetricMeanAbsolutePercentageError": (numbers, {}, symmetric),
    "CosineSimilarity": (numbers, {}, cosine),
    "R2Score": (numbers, {}, sk.r2_score),
    "R2Score of each": (
        numbers,
        {"class_aggregation": None},
        lambda y, p, sample_weight=None: sk.r2_score(
            y, p, sample_weight=sample_weight, multioutput="raw_values"
        ),
    ),
    "R2Score by variance": (
        numbers,
        {"class_aggregation": "variance_weighted_average"},
        lambda y, p, sample_weight=None: (sk.r2_score)(
            y, p, sample_weight=sample_weight, multioutput="variance_weighted"
        ),
    ),
    "Accuracy": (
        lambda rng, shape: tuple(rng.integers(0, 3, (2, *shape)).astype(float)),
        {},
        flat(sk.accuracy_score),
    ),
    "BinaryAccuracy": (
        yes_or_no,
        {},
        lambda y, p, sample_weight=None: flat(sk.accuracy_score)(y, (p > 0.5) * 1.0, sample_weight),
    ),
    "CategoricalAccuracy": (classes, {}, largest(sk.accuracy_score)),
    "TopKCategoricalAccuracy": (
        classes,
        {"k": 2},
        lambda y, p, sample_weight=None: sk.top_k_accuracy_score(
            y.argmax(-1), p, k=2, sample_weight=sample_weight, labels=np.arange(3)
        ),
    ),
    "Precision": (yes_or_no, {}, decided(sk.precision_score, average="micro")),
    "Recall": (yes_or_no, {}, decided(sk.recall_score, average="micro")),
    "F1Score": (yes_or_no, {"threshold": 0.5}, decided(sk.f1_score, average=None)),
    "F1Score micro": (
        yes_or_no,
        {"threshold": 0.5, "average": "micro"},
        decided(sk.f1_score, average="micro"),
    ),
    "F1Score macro": (classes, {"average": "macro"}, largest(sk.f1_score, average="macro")),
    "FBetaScore": (
        classes,
        {"average": "weighted", "beta": 2.0},
        largest(sk.fbeta_score, average="weighted", beta=2.0),
    ),
    "AUC": (yes_or_no, {"num_thresholds": None}, flat(sk.roc_auc_score)),
    "AUC of each": (
        yes_or_no,
        {"num_thresholds": 20001, "multi_label": True},
        lambda y, p, sample_weight=None: sk.roc_auc_score(
            y, p, sample_weight=sample_weight, average="macro"
        ),
    ),
    "Perplexity": (classes, {}, perplexity),
    "SparseCategoricalAccuracy": (classes, {}, largest(sk.accuracy_score)),
    "SparseTopKCategoricalAccuracy": (
        classes,
        {"k": 2},
        lambda y, p, sample_weight=None: sk.top_k_accuracy_score(
            y.argmax(-1), p, k=2, sample_weight=sample_weight, labels=np.arange(3)
        ),
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", CASES)
def test_beside_scikit_learn(case, shape, weighted, rng):
    make, arguments, score = CASES[case]
    y, p = make(rng, shape)
    weights = rng.uniform(0.1, 3, shape[:-1]) if weighted else None
    expected = score(rows(y), rows(p), **({"sample_weight": weights.ravel()} if weighted else {}))
    metric = getattr(metrics, case.split()[0])(**arguments)
    given = y.argmax(-1) if metric._sparse else y
    half = shape[0] // 2
    for part in (slice(None, half), slice(half, None)):
        metric.update_state(given[part], p[part], None if weights is None else weights[part])
    np.testing.assert_allclose(
        metric.result(), expected, rtol=1e-9, atol=2e-3 if case == "AUC of each" else 1e-12
    )


def test_every_metric_is_compared():
    classes = {name for name in metrics.__all__ if name[0].isupper()}
    assert {case.split()[0] for case in CASES} >= classes - {"Metric", "LabelErrorRate"}


def test_adjusted_r2_counts_samples():
    """It counted elements: three outputs made three samples of each."""
    y = np.eye(3)[::-1]
    p = [[0.4, 0.5, 0.6], [0.1, 0.2, 0.3], [0.5, 0.8, 0.2]]
    value = R2Score(class_aggregation=None, num_regressors=1)(y, p)
    np.testing.assert_allclose(value, [-0.26, -3.59, 0.13], atol=5e-3)
    plain = sk.r2_score(y, p, multioutput="raw_values")
    np.testing.assert_allclose(value, 1 - (1 - plain) * 2 / 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_adjusted_r2_of_steps_and_weights(shape, rng):
    y, p = numbers(rng, shape)
    # what has no weight is no sample
    weights = rng.integers(0, 2, shape[:-1]) * rng.uniform(0.5, 2, shape[:-1])
    n, regressors = int((weights != 0).sum()), 4
    plain = sk.r2_score(rows(y), rows(p), sample_weight=weights.ravel(), multioutput="raw_values")
    adjusted = R2Score(class_aggregation=None, num_regressors=regressors)(y, p, weights)
    np.testing.assert_allclose(
        adjusted, 1 - (1 - plain) * (n - 1) / (n - regressors - 1), rtol=1e-9
    )
