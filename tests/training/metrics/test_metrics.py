"""Metrics: formulas, weights, batches; the meaning of "accuracy"; beside Keras."""

import numpy as np
import pytest

from gatewise import losses, metrics
from gatewise.errors import ConfigError, DTypeError, TrainingWarning

CLASSES = [
    "MeanSquaredError",
    "MeanAbsoluteError",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
]


def data_for(name, shape, rng):
    """(y_true, y_pred) that suit the metric and give a value between its extremes."""
    if name.startswith("Mean"):
        return rng.normal(size=shape), rng.normal(size=shape)
    if name == "Accuracy":
        return rng.integers(0, 3, shape).astype(float), rng.integers(0, 3, shape).astype(float)
    if name == "BinaryAccuracy":
        return rng.integers(0, 2, shape), rng.uniform(size=shape)
    classes = rng.integers(0, shape[-1], shape[:-1])
    return (classes if name.startswith("Sparse") else np.eye(shape[-1])[classes]), rng.uniform(
        size=shape
    )


def formula(name, y, p):
    """The value at each position, one after the other."""
    if name == "SparseCategoricalAccuracy":
        positions = [
            (np.argmax(row) == label, row, label)
            for row, label in zip(p.reshape(-1, p.shape[-1]), y.ravel())
        ]
        return np.array([hit for hit, _, _ in positions], float).reshape(p.shape[:-1])
    values = np.empty(p.shape[:-1])
    for index in np.ndindex(values.shape):
        a, b = np.asarray(y[index], float), p[index]
        values[index] = {
            "MeanSquaredError": lambda a=a, b=b: np.mean((a - b) ** 2),
            "MeanAbsoluteError": lambda a=a, b=b: np.mean(abs(a - b)),
            "Accuracy": lambda a=a, b=b: np.mean(a == b),
            "BinaryAccuracy": lambda a=a, b=b: np.mean((b > 0.5) == (a == 1)),
            "CategoricalAccuracy": lambda a=a, b=b: float(np.argmax(a) == np.argmax(b)),
        }[name]()
    return values


@pytest.mark.parametrize("shape", [(7, 1), (6, 3), (4, 5, 3)])
@pytest.mark.parametrize("name", CLASSES)
def test_value_is_the_mean_of_the_formula(name, shape, rng):
    y, p = data_for(name, shape, rng)
    metric = getattr(metrics, name)()
    value = metric(y, p)
    assert type(value) is float
    assert value == pytest.approx(formula(name, y, p).mean(), rel=1e-12)
    assert metric(y, p.astype(np.float32)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("name", CLASSES)
def test_weights_and_batches(name, rng):
    y, p = data_for(name, (12, 4, 3), rng)
    weights = rng.uniform(0, 2, (12, 4))
    values = formula(name, y, p)
    metric = getattr(metrics, name)()
    assert metric.result() == 0.0
    for rows in (slice(0, 5), slice(5, 6), slice(6, 6), slice(6, 12)):
        metric.update_state(y[rows], p[rows], weights[rows])
    assert metric.result() == pytest.approx((values * weights).sum() / weights.sum(), rel=1e-12)
    assert metric.result() == metric.result()
    metric.reset_state()
    assert metric.result() == 0.0
    metric.update_state(y, p, np.zeros((12, 4)))
    assert metric.result() == 0.0
    metric.update_state(y[:1], p[:1])
    assert metric.result() == pytest.approx(values[:1].mean())
    assert metric(y, p) == pytest.approx(values.mean())  # a call begins anew


def test_targets_without_the_last_axis_of_one(rng):
    p = rng.uniform(size=(6, 1))
    y = rng.integers(0, 2, 6)
    for name in ("MeanSquaredError", "MeanAbsoluteError", "BinaryAccuracy", "Accuracy"):
        metric = getattr(metrics, name)()
        assert metric(y, p) == metric(y[:, None], p)
    scores, classes = rng.uniform(size=(6, 3)), rng.integers(0, 3, 6)
    metric = metrics.SparseCategoricalAccuracy()
    assert metric(classes, scores) == metric(classes[:, None], scores)


def test_binary_accuracy_threshold():
    p = [[0.5], [0.50001], [0.2], [0.9]]
    y = [[0], [1], [0], [0]]
    assert metrics.BinaryAccuracy()(y, p) == 0.75  # 0.5 itself is class 0
    assert metrics.BinaryAccuracy(threshold=0.1)(y, p) == 0.25
    assert metrics.BinaryAccuracy(threshold=0.95)(y, p) == 0.75
    with pytest.raises(DTypeError, match="threshold is 'a'; expected a number"):
        metrics.BinaryAccuracy(threshold="a")


def test_the_first_of_equal_outputs_wins():
    p = [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]
    assert metrics.SparseCategoricalAccuracy()([0, 2], p) == 0.5
    assert metrics.CategoricalAccuracy()([[1, 0, 0], [0, 0, 1]], p) == 0.5


# ---- names


@pytest.mark.parametrize(
    ("identifier", "cls", "name"),
    [
        ("mse", "MeanSquaredError", "mse"),
        ("mae", "MeanAbsoluteError", "mae"),
        ("mean_squared_error", "MeanSquaredError", "mean_squared_error"),
        ("binary_accuracy", "BinaryAccuracy", "binary_accuracy"),
        (metrics.BinaryAccuracy, "BinaryAccuracy", "binary_accuracy"),
        (metrics.MeanSquaredError(name="mine"), "MeanSquaredError", "mine"),
        (
            {"class_name": "BinaryAccuracy", "config": {"name": "b", "threshold": 0.3}},
            "BinaryAccuracy",
            "b",
        ),
    ],
)
def test_every_way_to_name_a_metric(identifier, cls, name):
    metric = metrics.get(identifier)
    assert type(metric).__name__ == cls
    assert metric.name == name


@pytest.mark.parametrize("name", ["MSE", "MAE"])
def test_keras_capital_names(name):
    assert metrics.get(name).name == name


@pytest.mark.parametrize("word", ["accuracy", "acc"])
@pytest.mark.parametrize(
    ("loss", "outputs", "cls"),
    [
        ("sparse_categorical_crossentropy", 3, "SparseCategoricalAccuracy"),
        ("categorical_crossentropy", 3, "CategoricalAccuracy"),
        ("binary_crossentropy", 1, "BinaryAccuracy"),
        ("mse", 1, "BinaryAccuracy"),
        ("mse", 3, "CategoricalAccuracy"),
    ],
)
def test_accuracy_fits_the_loss(word, loss, outputs, cls):
    metric = metrics.get(word, losses.get(loss), outputs)
    assert type(metric).__name__ == cls
    assert metric.name == word


def test_unknown_metrics_are_refused():
    with pytest.raises(
        ConfigError, match=r"metric 'f1' is not known; choose one of accuracy, .*mse"
    ):
        metrics.get("f1")
    with pytest.raises(
        ConfigError, match=r"metric class 'Nothing' is not known: give it, .*custom_objects"
    ):
        metrics.get({"class_name": "Nothing"})
    for wrong in (3, None, [], len):
        with pytest.raises(DTypeError, match=r"expected a name or a gatewise.metrics object"):
            metrics.get(wrong)


@pytest.mark.parametrize("name", CLASSES)
def test_serialize_round_trip(name):
    metric = getattr(metrics, name)(name="mine")
    if name == "BinaryAccuracy":
        metric = metrics.BinaryAccuracy(name="mine", threshold=0.25)
    again = metrics.get(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


# ---- beside Keras


def keras_metrics(cases):
    import keras

    results = []
    for name, batches in cases:
        metric = getattr(keras.metrics, name)()
        for y, p, weights in batches:
            metric.update_state(y, p, sample_weight=weights)
        results.append(float(metric.result()))
    return results


def test_beside_keras(rng, keras_rival):
    cases = []
    for name in CLASSES:
        for shape in ((8, 1), (6, 3), (4, 5, 3)):
            if name == "CategoricalAccuracy" and shape[-1] == 1:
                continue
            weight_shape = shape[:1] if len(shape) == 2 else shape[:2]
            for weighted in (False, True):
                if weighted and name in ("Accuracy", "BinaryAccuracy") and shape[-1] > 1:
                    continue  # Keras has one value an element there, and takes no weight a position
                batches = [
                    (
                        *data_for(name, shape, rng),
                        rng.uniform(0, 2, weight_shape) if weighted else None,
                    )
                    for _ in range(3)
                ]
                cases.append((name, batches))
    for (name, batches), value in zip(cases, keras_rival.run(keras_metrics, cases), strict=True):
        metric = getattr(metrics, name)()
        for y, p, weights in batches:
            metric.update_state(y, p, weights)
        assert metric.result() == pytest.approx(value, rel=1e-5), (name, batches[0][1].shape)


def test_binary_accuracy_of_a_regression_beside_keras(rng, keras_rival):
    """metrics=["accuracy"] on a forecast, as many blogs have it: Keras says 0, and so should we."""
    y, p = rng.uniform(0.1, 0.9, (8, 1)), rng.uniform(size=(8, 1))
    with pytest.warns(TrainingWarning, match="counts each of them as missed: make labels 0 and 1"):
        value = metrics.BinaryAccuracy()(y, p)
    assert value == keras_rival.run(keras_metrics, [("BinaryAccuracy", [(y, p, None)])])[0]


def keras_meaning_of_accuracy(cases):
    import keras

    names = []
    for loss, activation, outputs, y in cases:
        model = keras.Sequential(
            [keras.layers.Input((2,)), keras.layers.Dense(outputs, activation=activation)]
        )
        model.compile("sgd", loss, metrics=["accuracy"])
        import numpy as np

        model.evaluate(np.zeros((len(y), 2)), y, verbose=0)
        names.append(type(model.metrics[1].metrics[0]).__name__)
    return names


ACCURACIES = [
    pytest.param("binary_crossentropy", "sigmoid", 1, np.zeros((4, 1)), id="binary"),
    pytest.param("mse", "linear", 1, np.zeros((4, 1)), id="regression"),
    pytest.param("mse", "linear", 3, np.zeros((4, 3)), id="regression of 3"),
    pytest.param("categorical_crossentropy", "softmax", 3, np.eye(3)[[0, 1, 2, 0]], id="one-hot"),
    pytest.param(
        "sparse_categorical_crossentropy", "softmax", 3, np.array([0, 1, 2, 0]), id="sparse"
    ),
    pytest.param("binary_crossentropy", "sigmoid", 3, np.zeros((4, 3)), id="multi-label"),
    pytest.param("binary_crossentropy", "softmax", 2, np.eye(2)[[0, 1, 1, 0]], id="two classes"),
]


@pytest.mark.parametrize(("loss", "activation", "outputs", "y"), ACCURACIES)
def test_accuracy_means_what_keras_means(loss, activation, outputs, y, keras_rival):
    cases = [case.values for case in ACCURACIES]
    found = dict(zip([case.id for case in ACCURACIES], _accuracies(keras_rival, cases)))
    name = next(case.id for case in ACCURACIES if case.values[0] == loss and case.values[3] is y)
    assert type(metrics.get("accuracy", losses.get(loss), outputs)).__name__ == found[name]


_found = []


def _accuracies(rival, cases):
    if not _found:
        _found.extend(rival.run(keras_meaning_of_accuracy, cases))
    return _found
