"""Metrics of classes and decisions: formulas, weights, batches; beside Keras and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise import layers, metrics
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.models import Sequential

# (class, arguments, kind of targets)
CASES = [
    ("TopKCategoricalAccuracy", {}, "one-hot"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "sparse"),
    ("Precision", {}, "labels"),
    ("Precision", {"thresholds": 0.3}, "labels"),
    ("Precision", {"class_id": 2}, "labels"),
    ("Precision", {"thresholds": [0.2, 0.55, 0.9]}, "labels"),
    ("Precision", {"top_k": 2}, "labels"),
    ("Precision", {"top_k": 3, "class_id": 1}, "labels"),
    ("Precision", {"top_k": 2, "thresholds": 0.8}, "labels"),
    ("Recall", {}, "labels"),
    ("Recall", {"thresholds": [0.2, 0.5]}, "labels"),
    ("Recall", {"class_id": 0}, "labels"),
    ("Recall", {"top_k": 2}, "labels"),
    ("F1Score", {}, "one-hot"),
    ("F1Score", {"average": "micro"}, "one-hot"),
    ("F1Score", {"average": "macro"}, "one-hot"),
    ("F1Score", {"average": "weighted"}, "one-hot"),
    ("F1Score", {"threshold": 0.4}, "labels"),
    ("F1Score", {"threshold": 0.4, "average": "weighted"}, "labels"),
    ("FBetaScore", {"beta": 2.0, "average": "macro", "threshold": 0.6}, "labels"),
    ("AUC", {}, "labels"),
    ("AUC", {"curve": "PR"}, "labels"),
    ("AUC", {"num_thresholds": 20}, "labels"),
    ("AUC", {"summation_method": "minoring"}, "labels"),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, "labels"),
    ("AUC", {"thresholds": [0.1, 0.35, 0.8]}, "labels"),
    ("AUC", {"multi_label": True}, "labels"),
    ("AUC", {"multi_label": True, "curve": "PR", "label_weights": [1.0, 2, 0, 3, 1]}, "labels"),
    ("AUC", {"from_logits": True}, "logits"),
]
IDS = [
    f"{name}-{','.join(f'{key}={value}' for key, value in arguments.items())}"
    for name, arguments, _ in CASES
]


def batches_of(kind, rng, shape=(14,), outputs=5, weighted=True, count=3):
    """A few batches (y_true, y_pred, weights) of the same data in float32."""
    for _ in range(count):
        classes = rng.integers(0, outputs, shape)
        y = {"sparse": classes, "one-hot": np.eye(outputs)[classes]}.get(
            kind, rng.integers(0, 2, (*shape, outputs))
        )
        p = (
            rng.normal(size=(*shape, outputs))
            if kind == "logits"
            else rng.uniform(size=(*shape, outputs))
        )
        yield y, p.astype(np.float32), rng.uniform(0, 2, shape) if weighted else None


def keras_results(cases):
    import keras

    results = []
    for name, arguments, batches in cases:
        metric = getattr(keras.metrics, name)(**arguments)
        for y, p, weights in batches:
            metric.update_state(y, p, sample_weight=weights)
        results.append(keras.ops.convert_to_numpy(metric.result()))
    return results


def test_beside_keras(rng, keras_rival):
    cases = [
        (name, arguments, list(batches_of(kind, rng, weighted=weighted)))
        for name, arguments, kind in CASES
        for weighted in (False, True)
    ]
    for (name, arguments, batches), value in zip(
        cases, keras_rival.run(keras_results, cases), strict=True
    ):
        metric = getattr(metrics, name)(**arguments)
        for batch in batches:
            metric.update_state(*batch)
        np.testing.assert_allclose(
            metric.result(), value, rtol=2e-5, atol=1e-6, err_msg=f"{name} {arguments}"
        )


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=IDS)
def test_batches_and_ragged_steps(name, arguments, kind, rng):
    """Any cut into batches gives the whole; padding does not count, whatever it holds."""
    ((y, p, weights),) = batches_of(kind, rng, shape=(9, 6), count=1)
    valid = np.arange(6) < rng.integers(0, 7, 9)[:, None]
    whole = getattr(metrics, name)(**arguments)
    whole.update_state(y[valid], p[valid], weights[valid])
    padded = getattr(metrics, name)(**arguments)
    wild_y, wild_p = np.array(y, float), p.copy()
    wild_y[~valid], wild_p[~valid] = np.inf, np.nan
    for rows in (slice(0, 4), slice(4, 4), slice(4, 5), slice(5, 9)):
        padded.update_state(wild_y[rows], wild_p[rows], (weights * valid)[rows])
    np.testing.assert_allclose(padded.result(), whole.result(), rtol=1e-12)
    assert np.isfinite(padded.result()).all()
    assert isinstance(whole.result(), float | np.ndarray)
    assert not np.allclose(whole.result(), 0)


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=IDS)
@pytest.mark.filterwarnings("ignore:.*no single largest value")
def test_empty_batches_and_one_class(name, arguments, kind, rng):
    metric = getattr(metrics, name)(**arguments)
    assert np.all(metric.result() == 0)
    ((y, p, weights),) = batches_of(kind, rng, count=1)
    metric.update_state(y[:0], p[:0], weights[:0])
    assert np.all(np.equal(metric.result(), 0))
    for constant in (0, 1):
        metric.reset_state()
        metric.update_state(np.full_like(y, constant), p, np.zeros(14))
        assert np.all(np.equal(metric.result(), 0))
        metric.update_state(np.full_like(y, constant), p)
        assert np.isfinite(metric.result()).all()


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=IDS)
def test_configuration_round_trip(name, arguments, kind, rng):
    metric = getattr(metrics, name)(**arguments, name="mine")
    again = metrics.get(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    (batch,) = batches_of(kind, rng, count=1)
    np.testing.assert_array_equal(metric(*batch), again(*batch))


# ---- beside scikit-learn


def test_precision_recall_and_f_beside_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    y, p, weights = rng.integers(0, 2, 40), rng.uniform(size=40), rng.uniform(0, 2, 40)
    for name, function in (
        ("Precision", sklearn.precision_score),
        ("Recall", sklearn.recall_score),
    ):
        assert getattr(metrics, name)()(y, p, weights) == pytest.approx(
            function(y, p > 0.5, sample_weight=weights), rel=1e-12
        )
    classes, scores = rng.integers(0, 4, 60), rng.uniform(size=(60, 4))
    weights = rng.uniform(0, 2, 60)
    for average in (None, "micro", "macro", "weighted"):
        expected = sklearn.f1_score(
            classes, scores.argmax(1), average=average, sample_weight=weights
        )
        np.testing.assert_allclose(
            metrics.F1Score(average=average)(np.eye(4)[classes], scores, weights),
            expected,
            rtol=1e-12,
        )
        np.testing.assert_allclose(
            metrics.F1Score(average=average)(classes, scores, weights), expected, rtol=1e-12
        )
        expected = sklearn.fbeta_score(classes, scores.argmax(1), beta=0.5, average=average)
        np.testing.assert_allclose(
            metrics.FBetaScore(average, beta=0.5)(classes, scores), expected, rtol=1e-12
        )
    assert metrics.TopKCategoricalAccuracy(k=2)(np.eye(4)[classes], scores) == pytest.approx(
        sklearn.top_k_accuracy_score(classes, scores, k=2)
    )


@pytest.mark.parametrize("ties", [False, True])
def test_exact_area_beside_scikit_learn(ties, rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    y, p, weights = rng.integers(0, 2, 300), rng.normal(size=300), rng.uniform(0, 2, 300)
    if ties:
        p = np.round(p, 1)
    exact, lower, upper = (
        metrics.AUC(None, curve=curve, summation_method=method)
        for curve, method in (("ROC", "interpolation"), ("PR", "minoring"), ("PR", "majoring"))
    )
    for rows in (slice(0, 1), slice(1, 120), slice(120, 300)):
        for metric in (exact, lower, upper):
            metric.update_state(y[rows], p[rows], weights[rows])
    assert exact.result() == pytest.approx(
        sklearn.roc_auc_score(y, p, sample_weight=weights), rel=1e-12
    )
    precision = sklearn.average_precision_score(y, p, sample_weight=weights)
    between = metrics.AUC(None, curve="PR")(y, p, weights)
    for value in (precision, between):
        assert lower.result() - 1e-12 <= value <= upper.result() + 1e-12
    assert between == pytest.approx(precision, abs=0.02)


def test_area_with_thresholds_comes_near_the_exact_one(rng):
    y = rng.integers(0, 2, 2000)
    p = np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.15, 2000), 0, 1)
    for curve in ("ROC", "PR"):
        assert metrics.AUC(curve=curve)(y, p) == pytest.approx(
            metrics.AUC(None, curve=curve)(y, p), abs=2e-3
        )
    assert metrics.AUC()(y, y) == 1.0
    assert metrics.AUC()(y, 1 - y) == 0.0
    assert metrics.AUC(None)(y, np.full(2000, 0.3)) == 0.5
    assert metrics.AUC(from_logits=True)([0, 1, 1], [-1e4, 1e4, 50]) == 1.0


# ---- meanings


def test_ties_at_the_k_th_place_count():
    p = [[0.3, 0.3, 0.3, 0.1]]
    assert [metrics.SparseTopKCategoricalAccuracy(k=1)([label], p) for label in range(4)] == [
        1,
        1,
        1,
        0,
    ]
    assert metrics.SparseTopKCategoricalAccuracy(k=9)([3], p) == 1
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([0], [[np.nan, 0.5, 0.2, 0.1]]) == 0
    assert (
        metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)(
            [2, 2], [[1, 2, 0], [1, 0, 2]]
        )
        == 0.5
    )


def test_class_numbers_stand_for_one_hot_rows(rng):
    ((classes, p, weights),) = batches_of("sparse", rng, shape=(4, 7), count=1)
    for metric in (
        metrics.Precision(top_k=1),
        metrics.Recall(class_id=1),
        metrics.F1Score("macro"),
        metrics.AUC(multi_label=True),
    ):
        assert metric(classes, p, weights) == metric(np.eye(5)[classes], p, weights)
    with pytest.raises(
        ShapeError, match=r"y_true holds 5; metric precision expects class numbers from 0 to 4"
    ):
        metrics.Precision()(np.where(classes == classes[0, 0], 5, classes), p)


def test_weights_of_samples_hold_for_their_steps(rng):
    ((y, p, _),) = batches_of("labels", rng, shape=(6, 3), count=1)
    weights = rng.uniform(size=6)
    for metric in (metrics.Precision(), metrics.AUC(), metrics.BinaryAccuracy()):
        assert metric(y, p, weights) == pytest.approx(
            metric(y, p, np.repeat(weights[:, None], 3, 1)), rel=1e-12
        )
    with pytest.raises(ShapeError, match="sample_weight has shape"):
        metrics.Precision()(y, p, np.ones((3, 6)))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: metrics.Precision(thresholds=1.5), ConfigError, "thresholds is 1.5"),
        (lambda: metrics.Precision(thresholds=[]), ConfigError, "thresholds is"),
        (lambda: metrics.Recall(thresholds="a"), DTypeError, "thresholds is 'a'"),
        (lambda: metrics.Recall(top_k=0), ConfigError, "top_k is 0"),
        (lambda: metrics.Recall(class_id=-1), ConfigError, "class_id is -1"),
        (
            lambda: metrics.F1Score(average="mean"),
            ConfigError,
            "average is 'mean'; expected one of None, 'micro'",
        ),
        (lambda: metrics.F1Score(threshold=0), ConfigError, "threshold is 0.0"),
        (lambda: metrics.FBetaScore(beta=np.nan), ConfigError, "beta is nan"),
        (lambda: metrics.AUC(num_thresholds=1), ConfigError, "num_thresholds is 1"),
        (
            lambda: metrics.AUC(curve="PRGAIN"),
            ConfigError,
            "curve is 'PRGAIN'; expected one of 'ROC', 'PR'",
        ),
        (lambda: metrics.AUC(num_labels=3), ConfigError, "num_labels is given without multi_label"),
        (
            lambda: metrics.AUC(None, multi_label=True),
            ConfigError,
            "num_thresholds is None and multi_label is True",
        ),
        (lambda: metrics.AUC(label_weights=[1, np.inf]), ConfigError, "label_weights is inf"),
        (lambda: metrics.TopKCategoricalAccuracy(k=2.5), DTypeError, "k is 2.5"),
        (
            lambda: metrics.Precision(class_id=3)([[1, 0, 1]], [[0.2, 0.1, 0.4]]),
            ShapeError,
            "class_id=3, and there are 3 outputs",
        ),
        (
            lambda: metrics.Recall(top_k=4)([[1, 0, 1]], [[0.2, 0.1, 0.4]]),
            ShapeError,
            "top_k=4, and there are 3 outputs",
        ),
        (
            lambda: metrics.AUC(label_weights=[1, 2])([[1, 0, 1]], [[0.2, 0.1, 0.4]]),
            ShapeError,
            "made for 2 outputs, y_pred has 3",
        ),
        (lambda: metrics.Precision()([["a"]], [[0.5]]), DTypeError, "y_true holds <U1"),
        (
            lambda: metrics.Precision()([[1], [1, 0]], [[0.5]]),
            ShapeError,
            "y_true has rows of different lengths",
        ),
        (
            lambda: metrics.Precision()(np.zeros((3, 0)), np.zeros((3, 0))),
            ShapeError,
            "expects the same shape",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_outputs_stay_as_many_as_they_were():
    metric = metrics.F1Score()
    metric.update_state([[1, 0, 0]], [[0.2, 0.1, 0.4]])
    with pytest.raises(ShapeError, match=r"expected as many outputs as before: call reset_state"):
        metric.update_state([[1, 0]], [[0.2, 0.1]])
    metric.reset_state()
    metric.update_state([[1, 0]], [[0.2, 0.1]])
    np.testing.assert_array_equal(metric.result(), [1, 0])


# ---- in a model


@pytest.mark.parametrize(
    ("loss", "last"),
    [
        ("sparse_categorical_crossentropy", "softmax"),
        ("categorical_crossentropy", "softmax"),
        ("binary_crossentropy", "sigmoid"),
    ],
)
def test_evaluation_is_that_of_the_steps_that_count(loss, last, rng):
    x, lengths = rng.normal(size=(11, 6, 2)), rng.integers(1, 7, 11)
    classes = rng.integers(0, 3, (11, 6))
    y = classes if loss.startswith("sparse") else np.eye(3)[classes]
    valid = np.arange(6) < lengths[:, None]
    chosen = [
        metrics.Precision(),
        metrics.Recall([0.3, 0.4]),
        metrics.F1Score(),
        metrics.AUC(),
        metrics.AUC(None, name="exact"),
    ]
    if last == "softmax":
        chosen += [metrics.Perplexity()]
    model = Sequential(
        [layers.LSTM(4, return_sequences=True, input_shape=(6, 2)), layers.Dense(3, last)], seed=1
    )
    model.compile("adam", loss, metrics=chosen)
    history = model.fit(
        x,
        y,
        lengths=lengths,
        epochs=2,
        batch_size=4,
        verbose=0,
        validation_data=(x, y, None, lengths),
    )
    results = model.evaluate(x, y, lengths=lengths, batch_size=5, verbose=0, return_dict=True)
    assert list(results) == ["loss", *(metric.name for metric in chosen)]
    p = model.predict(x, lengths=lengths, verbose=0)
    for metric in chosen:
        expected = metrics.get(metrics.serialize(metric))(y[valid], p[valid])
        np.testing.assert_allclose(results[metric.name], expected, rtol=1e-6)
        np.testing.assert_allclose(
            history.history[f"val_{metric.name}"][-1], results[metric.name], rtol=1e-6
        )
    if last == "softmax":
        assert results["perplexity"] == pytest.approx(np.exp(results["loss"]), rel=1e-4)
    assert results["f1_score"].shape == (3,)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-3, 3), st.sampled_from([0, 0.5, 1, 2])),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_exact_area_is_the_chance_to_rank_a_pair_right(rows, size):
    truth, scores, weights = (np.array(column, float) for column in zip(*rows))
    metric = metrics.AUC(num_thresholds=None)
    for first in range(0, len(rows), size):
        metric.update_state(
            truth[first : first + size], scores[first : first + size], weights[first : first + size]
        )
    pairs = np.outer(weights * truth, weights * (1 - truth))
    difference = scores[:, None] - scores
    right = (pairs * ((difference > 0) + 0.5 * (difference == 0))).sum()
    assert metric.result() == pytest.approx(
        right / pairs.sum() if pairs.sum() else 0, rel=1e-12, abs=1e-12
    )


def test_auc_of_nan_is_that_of_the_lowest_score():
    """NaN is above no threshold: it is no find."""
    truth = [[1.0], [0.0], [1.0]]
    for options in ({}, {"num_thresholds": None}, {"curve": "PR"}):
        with_nan, lowest = (
            metrics.AUC(**options)(truth, [[value], [0.9], [0.95]]) for value in (np.nan, 0.0)
        )
        assert with_nan == lowest < 1
    with pytest.raises(ConfigError, match="label_weights is empty"):
        metrics.AUC(multi_label=True, label_weights=[])
    with pytest.raises(DTypeError, match="thresholds is ndarray; expected a list"):
        metrics.AUC(thresholds=np.array(0.5))
