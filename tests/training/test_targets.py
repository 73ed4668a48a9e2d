"""Targets that a loss cannot have are refused where they count, with values, positions and a cure.

Others only warned of.
"""

import warnings

import numpy as np
import pytest

from gatewise import losses, metrics
from gatewise.errors import ConfigError, TrainingWarning
from gatewise.layers import LSTM, Dense, Input, TimeDistributed
from gatewise.models import Sequential

EVERY = [
    name
    for name in losses.__all__
    if name not in ("Loss", "get", "serialize", "CTC", "SparseCategoricalCrossentropy")
]
# Of each loss targets of two columns that it takes without a word, and targets that it refuses with
# part of its message.
ONE_HOT = [[0.0, 1], [1, 0]]
TAKES = {
    "BinaryCrossentropy": [ONE_HOT, [[0.1, 0.9], [0.5, 0.0]]],
    "CategoricalCrossentropy": [ONE_HOT, [[0.3, 0.7], [0.995, 0.0]]],
    "CategoricalHinge": [ONE_HOT, [[0.3, 0.7], [1, 0]]],
    "Hinge": [ONE_HOT, [[-1.0, 1], [1, -1]]],
    "SquaredHinge": [ONE_HOT, [[-1.0, 1], [1, -1]]],
    "KLDivergence": [ONE_HOT, [[0.3, 0.7], [1, 0]]],
    "Poisson": [[[0.0, 3], [2.5, 1000]]],
    "MeanSquaredLogarithmicError": [[[0.0, 3], [2.5, 1000]]],
    "MeanAbsolutePercentageError": [[[-1.0, 3], [2.5, 1000]]],
}
ANY = [[0.0, -300], [2.5, 1000]]
REFUSES = {
    "BinaryCrossentropy": [
        (
            [[0.0, 2], [2, 0]],
            (
                "y holds 2 at index (0, 1) (2 of 4 targets); loss binary_crossentropy expects 0, 1"
                " or numbers between: make them 0 and 1, y = (y == 2)"
            ),
        ),
        ([[-1.0, 1], [1, -1]], "y = (y == 1)"),
        ([[1.0, 2], [2, 1]], "y = (y == 2)"),
        ([[0.0, 255], [255, 0]], "y = (y == 255)"),
        ([[0.0, 255], [17, 0]], "y = y / 255"),
        ([[1.0, 2], [3, 4]], "sparse_categorical_crossentropy"),
        ([[0.5, 1.7], [0, 1]], "scale them to 0 to 1"),
        ([[0.0, -0.1], [0, 1]], "-0.1 at index (0, 1) (1 of 4"),
    ],
    "CategoricalCrossentropy": [
        (
            [[0.0, -1], [2, 0]],
            (
                "-1 at index (0, 1) (1 of 4 targets); loss categorical_crossentropy expects "
                "a probability, 0 or more, for each class: give one-hot rows"
            ),
        )
    ],
    "CategoricalHinge": [
        ([[0.0, 2], [1, 0]], "to_categorical"),
        ([[0.0, -1], [1, 0]], "from 0 to 1"),
    ],
    "Hinge": [
        ([[3.0, 7], [3, 7]], "y = where(y == 7, 1, -1)"),
        ([[0.5, 1], [1, 0]], "0.5 at index (0, 0)"),
        ([[1.0, 2], [3, 3]], "categorical_hinge"),
    ],
    "SquaredHinge": [
        (
            [[-1.0, 0], [1, 0]],
            (
                "y holds -1, 0 and perhaps 1; loss squared_hinge expects labels -1 and 1, or 0 and"
                " 1, since"
            ),
        ),
        ([[3.0, 7], [3, 7]], "3 at index (0, 0), 7 at index (0, 1) (4 of 4 targets)"),
    ],
    "KLDivergence": [
        ([[0.3, 1.7], [1, 0]], "1.7 at index (0, 1)"),
        ([[0.3, -0.7], [1, 0]], "-0.7"),
    ],
    "Poisson": [
        (
            [[0.0, -1], [2, 0]],
            (
                "-1 at index (0, 1) (1 of 4 targets); loss poisson expects numbers from 0 up:"
                " targets are counts"
            ),
        )
    ],
    "MeanSquaredLogarithmicError": [
        ([[0.0, -1], [2, 0]], "numbers from 0 up"),
        ([[0.0, -0.5], [2, 0]], "shift them"),
    ],
}
WARNS = {
    "CategoricalCrossentropy": [
        ([[0.0, 0], [1, 0]], "all zero"),
        ([[1.0, 1], [1, 0]], "do not sum to 1"),
    ],
    "CategoricalHinge": [([[0.0, 0], [1, 0]], "all zero")],
    "KLDivergence": [([[0.3, 0.3], [1, 0]], "do not sum to 1")],
    "MeanAbsolutePercentageError": [([[0.0, 5], [1, 2]], "y holds 0, which counts as 1e-7")],
}
P = np.array([[0.4, 0.6], [0.7, 0.3]])


def loss_of(name):
    return losses.Quantile([0.5]) if name == "Quantile" else getattr(losses, name)()


def predictions(name):
    return np.tile(P, 2) if name == "GaussianNLL" else P


def cases(table):
    return [
        pytest.param(name, y, message, id=f"{name}-{number}")
        for name, rows in table.items()
        for number, (y, message) in enumerate(rows)
    ]


@pytest.mark.parametrize("name", EVERY)
def test_takes(name):
    for y in TAKES.get(name, [ANY]):
        assert np.isfinite(loss_of(name)(y, predictions(name)))


def test_every_rule_is_tried():
    assert {name for name in EVERY if loss_of(name)._takes is not None} == set(REFUSES) | set(WARNS)


@pytest.mark.parametrize(("name", "y", "message"), cases(REFUSES))
def test_refuses(name, y, message):
    with pytest.raises(ConfigError) as caught:
        loss_of(name)(y, P)
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "y", "message"), cases(WARNS))
def test_warns_at_the_line_of_the_caller(name, y, message):
    with pytest.warns(TrainingWarning, match=message) as caught:
        loss_of(name)(y, P)
    assert [each.filename for each in caught] == [__file__]


@pytest.mark.parametrize(("name", "y", "message"), cases(REFUSES) + cases(WARNS))
def test_what_has_no_weight_may_be_anything(name, y, message):
    y = [TAKES[name][0][0], *y]
    assert np.isfinite(loss_of(name)(y, [P[0], *P], [1, 0, 0]))


def test_only_some_values_are_shown():
    with pytest.raises(
        ConfigError,
        match=r"-5 at index .*, -4 at index .*, -3 at index \(2, 0\), ... \(6 of 6 targets\)",
    ):
        losses.Poisson()([-5, -4, -3, -2, -1, -5], np.ones((6, 1)))


def test_a_formula_of_ones_own_takes_what_it_likes():
    class Own(losses.BinaryCrossentropy):
        def _positions(self, y_true, y_pred, want_gradient):
            return (y_true - y_pred).sum(axis=-1), -np.ones_like(y_pred)

    assert Own()._takes is None
    assert Own()([[2.0]], [[1.0]]) == 1.0


# ---- in a model


def binary(steps=False):
    layers = (
        [LSTM(2, return_sequences=True), TimeDistributed(Dense(1, "sigmoid"))]
        if steps
        else [LSTM(2), Dense(1, "sigmoid")]
    )
    model = Sequential([Input((None, 2)), *layers], seed=0)
    model.compile("adam", "binary_crossentropy")
    return model


WRONG = np.array([0.0, 2, 0, 2])[:, None]


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x, y: model.fit(x, y, verbose=0),
        lambda model, x, y: model.fit(iter([(x, y)]), verbose=0),
        lambda model, x, y: model.fit(x, y * 0, validation_data=(x, y), verbose=0),
        lambda model, x, y: model.evaluate(x, y, verbose=0),
        lambda model, x, y: model.train_on_batch(x, y),
        lambda model, x, y: model.test_on_batch(x, y),
    ],
)
def test_a_model_refuses_before_it_trains(call, rng):
    model = binary()
    before = model.get_weights()
    with pytest.raises(ConfigError, match=r"y holds 2 at index \(1, 0\)"):
        call(model, rng.normal(size=(4, 3, 2)), WRONG)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_a_memory_mapped_array_is_looked_at_batch_by_batch(rng, tmp_path):
    np.save(tmp_path / "x.npy", rng.normal(size=(6, 3, 2)).astype(np.float32))
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), np.array([0, 1, 0, 1, 0, 2.0])
    with pytest.raises(ConfigError, match=r"y holds 2 at index \(1, 0\) \(1 of 2 targets\)"):
        binary().fit(x, y, batch_size=2, shuffle=False, verbose=0)


def test_steps_that_do_not_count_may_be_anything(rng):
    x, y = rng.normal(size=(2, 4, 2)), np.zeros((2, 4, 1))
    y[0, 1:], y[1, 3] = 9, -1
    weights = np.ones((2, 4))
    weights[0, 1:], weights[1, 3] = 0, 0
    for given in ({"lengths": [1, 3]}, {"sample_weight": weights}, {"mask": weights > 0}):
        binary(True).fit(x, y, verbose=0, **given)


def test_positions_are_those_of_the_given_array(rng):
    """A mask moves steps to the front of their rows."""
    x, y = rng.normal(size=(2, 4, 2)), np.zeros((2, 4, 1))
    y[1, 3], y[1, 0] = 7, 5
    mask = np.ones((2, 4), bool)
    mask[1, :2] = False
    with pytest.raises(ConfigError, match=r"y holds 7 at index \(1, 3, 0\) \(1 of 6 targets\)"):
        binary(True).fit(x, y, mask=mask, verbose=0)


def test_one_warning_for_many_batches(rng):
    model = Sequential([Input((3, 2)), LSTM(2), Dense(2, "softmax")], seed=0)
    model.compile("adam", "categorical_crossentropy")
    x = rng.normal(size=(6, 3, 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        model.fit(((x[[n]], [[0.5 * n, 2.0]]) for n in range(6)), verbose=0)
    assert len(caught) == 1


# ---- rounding, and what stands for no target

ROUNDED = {
    "BinaryCrossentropy": [-1e-9, 1 + 1e-7],
    "CategoricalCrossentropy": [-1e-9, 1 + 1e-7],
    "CategoricalHinge": [-1e-9, 1 + 1e-7],
    "KLDivergence": [-1e-9, 1 + 1e-7],
    "Hinge": [-1e-9, 1 + 1e-7],
    "SquaredHinge": [-1 - 1e-7, 1 - 1e-7],
    "Poisson": [-1e-9, 3],
    "MeanSquaredLogarithmicError": [-1e-9, 3],
}


@pytest.mark.parametrize("name", ROUNDED)
def test_rounding_is_no_reason_to_refuse(name):
    loss, y = getattr(losses, name)(), np.array([ROUNDED[name]])
    assert loss(y, P[:1]) == pytest.approx(loss(np.round(y), P[:1]), rel=1e-5)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.AUC(),
        metrics.Precision(),
        metrics.Recall(),
        metrics.F1Score(threshold=0.5),
        metrics.BinaryAccuracy(),
    ],
)
def test_metrics_read_rounded_labels_as_whole_ones(metric, rng):
    y, p = rng.integers(0, 2, (50, 1)), rng.random((50, 1))
    assert metric(y + rng.uniform(-1e-7, 1e-7, y.shape), p) == pytest.approx(metric(y, p), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "activation", "metric", "fill"),
    [
        ("bce", "sigmoid", "accuracy", -1),
        ("bce", "sigmoid", "auc", -1),
        ("poisson", "exponential", "mae", -1),
        ("msle", "softplus", "msle", -100),
        ("hinge", "tanh", "mae", 7),
    ],
)
def test_what_is_no_target_and_weighs_nothing_counts_in_no_metric(
    loss, activation, metric, fill, rng
):
    model = Sequential(
        [Input((4, 2)), LSTM(3, return_sequences=True), Dense(1, activation)], seed=0
    )
    model.compile("sgd", loss, metrics=[metric])
    x, y = rng.normal(size=(20, 4, 2)), rng.integers(0, 2, (20, 4, 1)).astype(float)
    weights = np.ones((20, 4))
    weights[:, 3] = 0
    filled, unknown = np.where(weights[..., None], y, fill), np.where(weights[..., None], y, np.nan)
    assert model.evaluate(x, filled, sample_weight=weights, verbose=0) == model.evaluate(
        x, unknown, sample_weight=weights, verbose=0
    )
    model.fit(x, filled, sample_weight=weights, verbose=0)


def test_rows_of_zeros_that_weigh_nothing_are_no_class(rng):
    model = Sequential([Input((4, 2)), LSTM(3, return_sequences=True), Dense(3, "softmax")], seed=0)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y, weights = (
        rng.normal(size=(20, 4, 2)),
        np.eye(3)[rng.integers(0, 3, (20, 4))],
        np.ones((20, 4)),
    )
    weights[:, 3] = 0
    y[:, 3] = 0
    shorter = model.evaluate(x[:, :3], y[:, :3], return_dict=True, verbose=0)
    assert (
        model.evaluate(x, y, sample_weight=weights, return_dict=True, verbose=0)["accuracy"]
        == shorter["accuracy"]
    )


def test_probabilities_may_tie():
    assert metrics.CategoricalAccuracy()([[0.5, 0.5], [0, 1]], P) == 0.0


# ---- metrics


@pytest.mark.parametrize("name", ["Precision", "Recall", "AUC", "F1Score", "FBetaScore"])
@pytest.mark.parametrize(
    ("y", "cure"),
    [
        ([[0], [2]], "y = (y == 2)"),
        ([[-1], [1]], "y = (y == 1)"),
        ([[0.05], [0.95]], "y = (y > 0.5)"),
        ([[0], [255]], "y = (y == 255)"),
        ([[0.1], [0.5], [0.9]], "y = (y > 0.5)"),
    ],
)
def test_decisions_are_of_zeros_and_ones(name, y, cure):
    p = np.linspace(0.2, 0.8, len(y))[:, None]
    metric = getattr(metrics, name)(**({"threshold": 0.5} if "Score" in name else {}))
    with pytest.raises(ConfigError) as caught:
        metric(y, p)
    assert "expects 0 or 1: make them 0 and 1, " + cure in str(caught.value)
    assert f"y_true holds {y[0][0] or y[1][0]:g} at index" in str(caught.value)
    metric([*y, [1]], [*p, [0.7]], [0] * len(y) + [1])


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("BinaryAccuracy", [[-1], [1]], "counts each of them as missed"),
        ("BinaryAccuracy", [[0.1], [0.9]], "label_smoothing"),
        ("CategoricalAccuracy", [[0, 0], [0, 1]], "no single largest value"),
        ("CategoricalAccuracy", [[1, 1], [0, 1]], "binary_accuracy"),
        ("TopKCategoricalAccuracy", [[1, 1], [0, 1]], "no single largest value"),
        ("Perplexity", [[0, 0], [0, 1]], "all zero"),
        ("Perplexity", [[1, 1], [0, 1]], "do not sum to 1"),
    ],
)
def test_metrics_that_warn(name, y, message):
    p = np.array([[0.3, 0.7], [0.6, 0.4]])[:, : len(y[0])]
    metric = getattr(metrics, name)()
    with pytest.warns(TrainingWarning, match=message):
        value = metric(y, p)
    assert np.isfinite(value)
    metric([*y, [1, 0][: len(y[0])]], [*p, p[0]], [0, 0, 1])


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("Perplexity", [[-1.0, 2], [0, 1]], r"-1 at index \(0, 0\)"),
        ("MeanSquaredLogarithmicError", [[-1.0, 2], [0, 1]], "from 0 up"),
        ("SparseCategoricalAccuracy", [0, 2], "y_true holds 2; .* class numbers from 0 to 1"),
        ("SparseCategoricalAccuracy", [0.5, 1], "y_true holds 0.5"),
        ("SparseCategoricalAccuracy", [0, -1], "y_true holds -1"),
    ],
)
def test_metrics_that_refuse(name, y, message):
    metric = getattr(metrics, name)()
    with pytest.raises(ValueError, match=message):
        metric(y, P)
    metric([*y, TAKES["BinaryCrossentropy"][0][0] if np.ndim(y) > 1 else 1], [*P, P[0]], [0, 0, 1])


def test_auc_of_scores_is_warned_of():
    y, scores = [0, 1, 0, 1], [-3.0, 0.3, 0.2, 5.0]
    with pytest.warns(TrainingWarning, match="from_logits=True"):
        metrics.AUC()(y, scores)
    metrics.AUC(from_logits=True)(y, scores)
    assert metrics.AUC(num_thresholds=None)(y, scores) == 1.0


def test_a_model_refuses_what_its_metrics_cannot_have_before_it_trains(rng):
    model = Sequential([Input((3, 2)), LSTM(2), Dense(1, "sigmoid")], seed=0)
    model.compile("adam", "binary_crossentropy", metrics=["precision"])
    before = model.get_weights()
    with pytest.raises(
        ConfigError, match=r"y holds 0.1 at index \(0, 0\).*metric precision expects 0 or 1"
    ):
        model.fit(rng.normal(size=(2, 3, 2)), [0.1, 0.9], verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


@pytest.mark.parametrize(
    ("loss", "y"), [("hinge", [-1, 1]), ("binary_crossentropy", [0.1, 0.9]), ("mse", [0.5, 1])]
)
def test_class_weights_need_classes(loss, y, rng):
    """-1 had the weight 1, and 0.9 that of class 0."""
    model = Sequential([Input((3, 2)), LSTM(2), Dense(1)], seed=0)
    model.compile(
        "adam", losses.BinaryCrossentropy(from_logits=True) if loss.startswith("binary") else loss
    )
    x = rng.normal(size=(3, 3, 2))
    with pytest.raises(
        ConfigError,
        match=rf"class_weight needs the classes 0 and 1, y holds {y[0]}; make y whole numbers",
    ):
        model.fit(x, [*y, 1], class_weight={0: 2.0, 1: 1.0}, verbose=0)
    model.fit(x, [*y, 1], sample_weight=[0, y[1] == 1, 1], class_weight={0: 2.0}, verbose=0)


@pytest.mark.parametrize(
    "loss",
    ["sparse_categorical_crossentropy", losses.SparseCategoricalCrossentropy(ignore_class=7)],
)
@pytest.mark.parametrize("given", ["lengths", "mask", "sample_weight"])
def test_class_numbers_of_padding_may_be_anything(given, loss, rng):
    """-1 is what many fill up with. Metrics leave such steps out, too."""
    x, y = rng.normal(size=(3, 4, 2)), rng.integers(0, 3, (3, 4))
    counted = np.arange(4) < np.array([4, 2, 3])[:, None]
    value = {"lengths": [4, 2, 3], "mask": counted, "sample_weight": counted.astype(float)}[given]
    model = Sequential(
        [Input((None, 2)), LSTM(3, return_sequences=True), Dense(3, "softmax")], seed=0
    )
    model.compile("adam", loss, metrics=["accuracy"])
    results = {}
    for filled in (-1, 99, np.nan):
        targets = np.where(counted, y, filled)
        if np.isnan(filled) and given != "sample_weight":
            continue
        results[filled] = model.evaluate(x, targets, verbose=0, **{given: value})
    assert len({tuple(each) for each in results.values()}) == 1
    assert results[-1][1] == pytest.approx((model.predict(x).argmax(-1) == y)[counted].mean())
    model.fit(x, np.where(counted, y, -1), verbose=0, **{given: value})
    with pytest.raises(ValueError, match="y holds class -1; the model's output has 3 classes"):
        model.fit(x, np.where(np.arange(4) == 0, -1, y), verbose=0, **{given: value})


def test_f_scores_of_one_output_need_a_threshold():
    """The only output is always the largest."""
    for cls in (metrics.F1Score, metrics.FBetaScore):
        with pytest.warns(
            TrainingWarning, match=rf"give a threshold, {cls.__name__}\(threshold=0.5\)"
        ):
            cls()([[0], [1]], [[0.2], [0.7]])
        assert cls(threshold=0.5)([[0], [1]], [[0.2], [0.7]]) == 1.0


def test_class_numbers_and_rows_are_told_apart():
    loss = losses.SparseCategoricalCrossentropy()
    with pytest.raises(
        ValueError, match=r"take loss 'categorical_crossentropy', or y.argmax\(axis=-1\)"
    ):
        loss(np.eye(2), P)
    with pytest.raises(
        ValueError, match="0 to 1: number the classes from 0, or give the last layer more columns"
    ):
        loss([1, 2], P)
    with pytest.raises(TypeError, match="y holds 0.5; loss"):
        loss([1, 0.5], P)


def test_class_weights_of_rounded_labels(rng):
    model = Sequential([Input((3, 2)), LSTM(2), Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "bce")
    x, y = rng.normal(size=(4, 3, 2)), np.array([0, 1, 1, 0])
    model.optimizer.learning_rate = 0.0
    exact, rounded = (
        model.fit(x, targets, class_weight={0: 2.0, 1: 0.0}, verbose=0).history["loss"]
        for targets in (y, y + rng.uniform(-1e-7, 1e-7, 4))
    )
    np.testing.assert_allclose(rounded, exact, rtol=1e-5)
