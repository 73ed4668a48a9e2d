"""Robust, relative, hinge and probabilistic losses, label smoothing, ignored classes.

Beside formulas, torch and Keras.
"""

import numpy as np
import pytest
from differences import central_differences

from gatewise import Sequential, layers, losses
from gatewise.errors import ArgumentError, ConfigError, DTypeError, ShapeError
from gatewise.training.losses import position_weights

from .loss_cases import keras_losses

QUANTILES = [0.1, 0.5, 0.8]


def signs(y):
    return np.where(y > 0, 1.0, -1.0)


def pinball(y, p):
    e = y[..., None, :] - p.reshape(*y.shape[:-1], len(QUANTILES), y.shape[-1])
    tau = np.array(QUANTILES)[:, None]
    return np.maximum(tau * e, (tau - 1) * e).mean(axis=(-2, -1))


def gaussian(y, p, full=False):
    mean, v = p[..., : y.shape[-1]], np.exp(p[..., y.shape[-1] :])
    return ((np.log(v) + (y - mean) ** 2 / v) / 2 + full * np.log(2 * np.pi) / 2).mean(axis=-1)


def one_hot(y):
    return np.eye(y.shape[-1])[y.argmax(axis=-1)]


def simplex(z):
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


def keep(z):
    return z


# loss: (targets from normal draws, outputs from normal draws, outputs a target, formula of the
# positions)
CASES = {
    "huber": (
        losses.Huber(),
        keep,
        keep,
        1,
        lambda y, p: np.where(abs(p - y) <= 1, (p - y) ** 2 / 2, abs(p - y) - 0.5).mean(axis=-1),
    ),
    "huber 0.3": (
        losses.Huber(delta=0.3),
        keep,
        keep,
        1,
        lambda y, p: np.where(abs(p - y) <= 0.3, (p - y) ** 2 / 2, 0.3 * abs(p - y) - 0.045).mean(
            axis=-1
        ),
    ),
    "log_cosh": (
        losses.LogCosh(),
        keep,
        keep,
        1,
        lambda y, p: np.log(np.cosh(p - y)).mean(axis=-1),
    ),
    "mape": (
        losses.MeanAbsolutePercentageError(),
        keep,
        keep,
        1,
        lambda y, p: 100 * abs((y - p) / y).mean(axis=-1),
    ),
    "msle": (
        losses.MeanSquaredLogarithmicError(),
        np.exp,
        np.exp,
        1,
        lambda y, p: ((np.log(1 + y) - np.log(1 + p)) ** 2).mean(axis=-1),
    ),
    "hinge": (losses.Hinge(), signs, keep, 1, lambda y, p: np.maximum(1 - y * p, 0).mean(axis=-1)),
    "squared_hinge": (
        losses.SquaredHinge(),
        signs,
        keep,
        1,
        lambda y, p: (np.maximum(1 - y * p, 0) ** 2).mean(axis=-1),
    ),
    "categorical_hinge": (
        losses.CategoricalHinge(),
        one_hot,
        keep,
        1,
        lambda y, p: np.maximum(((1 - y) * p).max(axis=-1) - (y * p).sum(axis=-1) + 1, 0),
    ),
    "poisson": (
        losses.Poisson(),
        np.exp,
        np.exp,
        1,
        lambda y, p: (p - y * np.log(p + 1e-7)).mean(axis=-1),
    ),
    "kld": (
        losses.KLDivergence(),
        simplex,
        lambda z: 0.9 * simplex(z),
        1,
        lambda y, p: (y * np.log(y / p)).sum(axis=-1),
    ),
    "gaussian": (losses.GaussianNLL(), keep, keep, 2, gaussian),
    "gaussian full": (
        losses.GaussianNLL(full=True),
        keep,
        keep,
        2,
        lambda y, p: gaussian(y, p, True),
    ),
    "quantile": (losses.Quantile(QUANTILES), keep, keep, len(QUANTILES), pinball),
}
SHAPES = [(5, 3), (1, 1), (2, 4, 3), (2, 3, 2, 2)]  # of the targets


def draw(case, shape, rng):
    """(loss, prepared targets, outputs, values at the positions)."""
    loss, of_y, of_p, times, formula = CASES[case]
    y, p = of_y(rng.normal(size=shape)), of_p(rng.normal(size=(*shape[:-1], times * shape[-1])))
    return loss, loss.prepare(y, p.shape, "float64"), p, formula(y, p)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case, shape, rng):
    loss, y, p, values = draw(case, shape, rng)
    assert loss(y, p) == pytest.approx(values.mean(), rel=1e-12, abs=1e-15)
    weights = rng.uniform(0, 2, shape[:-1])
    assert loss(y, p, weights) == pytest.approx((values * weights).mean(), rel=1e-12, abs=1e-15)
    value, gradient = loss.value_and_gradient(y, p, weights, 3.7)
    assert value == pytest.approx((values * weights).sum() / 3.7, rel=1e-12, abs=1e-15)
    assert loss.value_and_gradient(y, p, weights, 3.7, want_gradient=False) == (value, None)
    numeric = central_differences(lambda p: loss.value_and_gradient(y, p, weights, 3.7)[0], p, 1e-5)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8 * max(1, abs(numeric).max()))


@pytest.mark.parametrize("case", CASES)
def test_padded_steps_count_in_nothing_whatever_they_hold(case, rng):
    loss, y, p, values = draw(case, (3, 5, 2), rng)
    lengths = np.array([5, 2, 0])
    valid = np.arange(5) < lengths[:, None]
    weights = position_weights(None, (3, 5), lengths)
    value, gradient = loss.value_and_gradient(y, p, weights, lengths.sum())
    assert value == pytest.approx(values[valid].mean(), rel=1e-12)
    assert gradient[valid].any() and not gradient[~valid].any()
    for wild in (np.nan, np.inf, -np.inf, 1e300, -1.0, 0.0):
        other = p.copy()
        other[~valid] = wild
        again, again_gradient = loss.value_and_gradient(y, other, weights, lengths.sum())
        assert again == value and np.array_equal(again_gradient, gradient)


@pytest.mark.parametrize("case", CASES)
def test_float32_stays_float32_and_nothing_given_is_changed(case, rng):
    loss, y, p, values = draw(case, (6, 4), rng)
    _, wide = loss.value_and_gradient(y, p)
    y, p, weights = y.astype(np.float32), p.astype(np.float32), np.ones(6)
    for array in (y, p, weights):
        array.flags.writeable = False
    for given in (None, weights):
        value, gradient = loss.value_and_gradient(y, p, given)
        assert gradient.dtype == np.float32 and type(value) is float
        assert value == pytest.approx(values.mean(), rel=1e-5)
        np.testing.assert_allclose(gradient, wide, rtol=1e-4, atol=1e-5 * abs(wide).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("case", "targets", "outputs"),
    [
        ("huber", [0, 0], [1e6, -1e18]),
        ("log_cosh", [0, 0], [1e6, -1e18]),
        ("mape", [0, 1e-30], [1, -1]),
        ("msle", [0, 1e6], [-5, 1e18]),
        ("poisson", [0, 3], [0, 0]),
        ("poisson", [1e3, 0], [1e-30, 1e18]),
        ("kld", [1, 0], [0, 1]),
        ("kld", [0.5, 0.5], [1, 0]),
        ("hinge", [-1, 1], [1e18, -1e18]),
        ("gaussian", [0, 0], [1, 1e3, 1e4, 1e3]),
        ("gaussian", [0, 0], [1, 1e3, -1e4, -1e3]),
        ("gaussian", [0, 0], [1e18, 0, 100, 0]),
    ],
)
def test_extremes_stay_finite(case, targets, outputs, dtype):
    loss = CASES[case][0]
    p = np.array([outputs], dtype)
    value, gradient = loss.value_and_gradient(loss.prepare([targets], p.shape, dtype), p)
    assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize("case", CASES)
def test_a_prediction_that_is_no_number_shows(case, rng):
    loss, y, p, _ = draw(case, (3, 2), rng)
    p[1, 0] = np.nan
    value, gradient = loss.value_and_gradient(y, p)
    assert np.isnan(value)
    with pytest.raises(ConfigError, match="fuses with no activation"):
        loss.value_and_gradient(y, p, scores=True)


def test_hinges_read_0_as_minus_1(rng):
    y, p = signs(rng.normal(size=(6, 3))), rng.normal(size=(6, 3))
    for loss in (losses.Hinge(), losses.SquaredHinge()):
        assert loss(y > 0, p) == loss(y, p)


def test_quantiles_lie_quantile_by_quantile():
    """Two targets, three quantiles: outputs 0 and 1 are the first quantile of both."""
    loss = losses.Quantile(QUANTILES)
    y, p = np.array([[10.0, 20.0]]), np.array([[9.0, 19.0, 10.0, 20.0, 12.0, 23.0]])
    assert loss(y, p) == pytest.approx((0.1 * 1 + 0.1 * 1 + 0 + 0 + 0.2 * 2 + 0.2 * 3) / 6)
    _, gradient = loss.value_and_gradient(y, p)
    np.testing.assert_allclose(gradient * 6, [[-0.1, -0.1, 0, 0, 0.2, 0.2]])


def test_targets_of_losses_with_several_outputs_a_target():
    gaussian, quantile = losses.GaussianNLL(), losses.Quantile()
    assert gaussian.prepare([1, 2, 3], (3, 2), "float32").shape == (3, 1)
    assert quantile.prepare(np.ones((2, 4)), (2, 4, 3), "float32").shape == (2, 4, 1)
    for loss, shape, words in (
        (gaussian, (3, 3), "the model has 3 outputs; loss gaussian_nll expects an even number"),
        (
            quantile,
            (3, 4),
            "the model has 4 outputs; loss quantile with 3 quantiles expects 3 for each target",
        ),
        (
            gaussian,
            (3, 4),
            r"y has shape \(3, 6\), the model's output has \(3, 4\); .* targets of shape \(3, 2\)",
        ),
        (
            quantile,
            (3, 6),
            r"y has shape \(3, 6\), the model's output has \(3, 6\); .* targets of shape \(3, 2\)",
        ),
    ):
        with pytest.raises(ShapeError, match=words):
            loss.prepare(np.ones((3, 6)), shape, "float32")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: losses.Huber(delta=0), ConfigError, "delta is 0.0"),
        (lambda: losses.Huber(np.nan), ConfigError, "delta is nan"),
        (lambda: losses.Huber("1"), DTypeError, "delta is '1'; expected a number"),
        (lambda: losses.GaussianNLL(eps=-1), ConfigError, "eps is -1.0"),
        (lambda: losses.GaussianNLL(full=1), DTypeError, "full is 1"),
        (lambda: losses.Quantile([]), ConfigError, "quantiles is empty"),
        (lambda: losses.Quantile([0.1, 1.0]), ConfigError, r"quantiles\[1\] is 1.0"),
        (
            lambda: losses.Quantile(0.5),
            DTypeError,
            "quantiles is float; expected a list of numbers between 0 and 1",
        ),
        (
            lambda: losses.BinaryCrossentropy(label_smoothing=1.5),
            ConfigError,
            "label_smoothing is 1.5",
        ),
        (
            lambda: losses.CategoricalCrossentropy(label_smoothing="x"),
            DTypeError,
            "label_smoothing is 'x'",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy(ignore_class=0.5),
            DTypeError,
            "ignore_class is 0.5",
        ),
        (
            lambda: losses.Huber(label_smoothing=0.0),
            ArgumentError,
            "Huber takes no argument 'label_smoothing'",
        ),
    ],
)
def test_arguments_that_do_not_fit(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "loss",
    [case[0] for case in CASES.values()]
    + [
        losses.BinaryCrossentropy(label_smoothing=0.1),
        losses.CategoricalCrossentropy(True, 0.1),
        losses.SparseCategoricalCrossentropy(True, -1, 0.1),
    ],
)
def test_serialize_round_trip(loss):
    import json

    again = losses.get(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again) is type(loss) and vars(again) == vars(loss)


def keras_names():
    import keras
    from keras.src.losses import ALL_OBJECTS_DICT

    return [
        name
        for name in ALL_OBJECTS_DICT
        if name.lower() not in ("loss", "lossfunctionwrapper") and keras.losses.get(name)
    ]


def test_names_are_keras_s(keras_rival):
    left_out = ("focal", "dice", "tversky", "circle", "cosine")
    for name in keras_rival.run(keras_names):
        if not any(word in name.lower() for word in left_out):
            assert isinstance(losses.get(name), losses.Loss)


# ---- label smoothing, ignored classes

SMOOTHED = ["BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"]


def classes_for(name, shape, rng):
    if name == "BinaryCrossentropy":
        return rng.integers(0, 2, shape).astype(float)
    classes = rng.integers(0, shape[-1], shape[:-1])
    return classes if name.startswith("Sparse") else np.eye(shape[-1])[classes]


def activated(name, z):
    return 1 / (1 + np.exp(-z)) if name == "BinaryCrossentropy" else simplex(z)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
@pytest.mark.parametrize("name", SMOOTHED)
def test_smoothed_labels(name, smoothing, scores, rng):
    """Equal to targets smoothed by hand, with the gradient, from scores and from probabilities."""
    z = rng.uniform(-1.5, 1.5, (2, 4, 3))
    given, loss = classes_for(name, z.shape, rng), getattr(losses, name)(label_smoothing=smoothing)
    y, p = loss.prepare(given, z.shape, "float64"), activated(name, z)
    at = z if scores else p
    soft = np.eye(3)[given] if name.startswith("Sparse") else given
    soft = soft * (1 - smoothing) + (smoothing / 2 if name.startswith("Binary") else smoothing / 3)
    plain = (
        losses.BinaryCrossentropy()
        if name.startswith("Binary")
        else losses.CategoricalCrossentropy()
    )
    assert loss(given, p) == pytest.approx(plain(soft, p), rel=1e-12)
    weights = rng.uniform(0, 2, (2, 4))
    value, gradient = loss.value_and_gradient(y, at, weights, 3.0, scores=scores)
    assert value == pytest.approx(plain.value_and_gradient(soft, p, weights, 3.0)[0], rel=1e-12)
    numeric = central_differences(
        lambda at: loss.value_and_gradient(y, at, weights, 3.0, scores=scores)[0], at
    )
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SMOOTHED)
def test_smoothed_labels_of_extreme_scores(name, dtype):
    """Far out, the part of the target that is elsewhere costs a score's height each."""
    z = np.array([[1000, -1000]], dtype)
    loss = getattr(losses, name)(label_smoothing=0.2)
    y = loss.prepare([0] if name.startswith("Sparse") else [[1.0, 0.0]], (1, 2), dtype)
    value, gradient = loss.value_and_gradient(y, z, scores=True)
    assert value == pytest.approx(100 if name.startswith("Binary") else 200, rel=1e-5)
    np.testing.assert_allclose(
        gradient, [[0.05, -0.05]] if name.startswith("Binary") else [[0.1, -0.1]], rtol=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ignored", [-1, 255, 1])
def test_ignored_classes_count_in_nothing(ignored, smoothing, rng):
    loss = losses.SparseCategoricalCrossentropy(ignore_class=ignored, label_smoothing=smoothing)
    z, y = rng.normal(size=(2, 5, 3)), rng.choice([0, 2], (2, 5))
    y[0, 1] = y[1, 3] = y[1, 4] = ignored
    weights = rng.uniform(0, 2, (2, 5))
    prepared, kept = loss.prepare(y, z.shape, "float64"), y != ignored
    plain = losses.SparseCategoricalCrossentropy(label_smoothing=smoothing)
    for given, of_kept in ((None, None), (weights, weights[kept])):
        value, gradient = loss.value_and_gradient(prepared, z, given, scores=True)
        alone, alone_gradient = plain.value_and_gradient(y[kept], z[kept], of_kept, scores=True)
        assert value == pytest.approx(alone, rel=1e-12)
        np.testing.assert_allclose(gradient[kept], alone_gradient, rtol=1e-12)
        assert not gradient[~kept].any()
    assert loss(np.full((2, 5), ignored), simplex(z)) == 0
    with pytest.raises(ShapeError, match="y holds class 7; the model's output has 3 classes"):
        loss.prepare(np.full((2, 5), 7), z.shape, "float64")


def test_a_model_counts_ignored_steps_in_nothing(rng):
    """Nor in its metrics, nor in the means over batches; lengths and weights come on top."""
    x, y = rng.normal(size=(6, 5, 2)), rng.integers(0, 3, (6, 5))
    hidden = y.copy()
    hidden[rng.random((6, 5)) < 0.4] = -1
    lengths, weights = np.array([5, 3, 4, 1, 5, 2]), rng.uniform(0, 2, (6, 5))
    made = Sequential(
        [layers.Input((None, 2)), layers.GRU(3, return_sequences=True), layers.Dense(3, "softmax")],
        seed=1,
    )
    made.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=-1), metrics=["accuracy"])
    valid = (hidden >= 0) & (np.arange(5) < lengths[:, None])
    p = made.predict(x, lengths=lengths)
    chances = np.take_along_axis(p, y[..., None], -1)[..., 0]
    for batch_size in (2, 6):
        loss, accuracy = made.evaluate(x, hidden, lengths=lengths, batch_size=batch_size, verbose=0)
        assert loss == pytest.approx(-np.log(chances[valid]).mean(), rel=1e-5)
        assert accuracy == pytest.approx((p.argmax(axis=-1) == y)[valid].mean(), rel=1e-12)
    loss, _ = made.test_on_batch(x, hidden, weights, lengths)
    assert loss == pytest.approx(-(weights[valid] * np.log(chances[valid])).mean(), rel=1e-5)
    assert made.compute_gradients(x, hidden, weights, lengths) == pytest.approx(loss, rel=1e-6)


def test_class_weights_of_one_hot_targets(rng):
    """Whatever the loss computes of them: a hinge, or a formula of the user's."""

    class Mine(losses.CategoricalCrossentropy):
        def _positions(self, y_true, y_pred, want_gradient):
            return (y_true * y_pred).sum(axis=-1), y_true.copy()

    x, y = rng.normal(size=(30, 4)), np.eye(3)[rng.integers(0, 3, 30)]
    for loss in (losses.CategoricalHinge(), Mine()):
        made = Sequential([layers.Input((4,)), layers.Dense(3, "softmax")], seed=1)
        made.compile("sgd", loss)
        values = np.array([loss(y[i : i + 1], made.predict(x[i : i + 1])) for i in range(30)])
        weighted = made.train_on_batch(x, y, class_weight={0: 2.0, 1: 0.5, 2: 0.0})
        assert weighted == pytest.approx((values * (y @ [2, 0.5, 0])).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "units", "targets"),
    [
        (losses.GaussianNLL(), 4, 2),
        (losses.Quantile([0.2, 0.8]), 4, 2),
        ("huber", 2, 2),
        ("poisson", 2, 2),
    ],
)
def test_models_train_with_them(loss, units, targets, rng):
    x = rng.normal(size=(40, 6, 2))
    y = abs(x.cumsum(axis=1)[..., :targets])
    made = Sequential(
        [
            layers.Input((None, 2)),
            layers.LSTM(8, return_sequences=True),
            layers.Dense(units, "softplus" if loss == "poisson" else "linear"),
        ],
        seed=1,
    )
    made.compile("adam", loss)
    seen = made.fit(x, y, lengths=rng.integers(1, 7, 40), epochs=12, verbose=0).history["loss"]
    assert seen[-1] < seen[0] and np.isfinite(seen).all()


# ---- beside torch and Keras


def torch_losses(cases):
    import torch
    import torch.nn.functional as F

    results = []
    for name, options, y, p in cases:
        p = torch.tensor(p, requires_grad=True)
        y = torch.tensor(y)
        if name == "gaussian":
            mean, s = p.chunk(2, -1)
            value = F.gaussian_nll_loss(mean, y, torch.exp(s), **options)
        else:
            value = getattr(F, name)(p, y, **options)
        value.backward()
        results.append((value.item(), p.grad.numpy()))
    return results


def test_beside_torch(rng, torch_rival):
    y, p = rng.normal(size=(6, 3)), 2 * rng.normal(size=(6, 3))
    # log-variances on both sides of log eps
    outputs = np.concatenate([p, 8 * rng.normal(size=(6, 3))], axis=-1)
    outputs[0, 3:] = -30, -14, -13
    classes, some = rng.integers(0, 3, 6), np.array([0, 2, -1, 1, -1, 2])
    cases = [
        (losses.Huber(0.7), y, p, ("huber_loss", {"delta": 0.7}, y, p)),
        (losses.GaussianNLL(), y, outputs, ("gaussian", {}, y, outputs)),
        (
            losses.GaussianNLL(True, 0.1),
            y,
            outputs,
            ("gaussian", {"full": True, "eps": 0.1}, y, outputs),
        ),
        (
            losses.SparseCategoricalCrossentropy(True, label_smoothing=0.3),
            classes,
            p,
            ("cross_entropy", {"label_smoothing": 0.3}, classes, p),
        ),
        (
            losses.SparseCategoricalCrossentropy(True, -1),
            some,
            p,
            ("cross_entropy", {"ignore_index": -1}, some, p),
        ),
        (
            losses.CategoricalCrossentropy(True, 0.3),
            np.eye(3)[classes],
            p,
            ("cross_entropy", {"label_smoothing": 0.3}, np.eye(3)[classes], p),
        ),
    ]
    for (loss, given, at, _), (value, gradient) in zip(
        cases, torch_rival.run(torch_losses, [case[3] for case in cases])
    ):
        ours, ours_gradient = loss.value_and_gradient(loss.prepare(given, at.shape, "float64"), at)
        assert ours == pytest.approx(value, rel=1e-12), loss
        np.testing.assert_allclose(
            ours_gradient, gradient, rtol=1e-10, atol=1e-14, err_msg=str(loss)
        )


def test_beside_keras(rng, keras_rival):
    cases = []
    for case, (loss, of_y, of_p, times, _) in CASES.items():
        if times == 1:
            y, p = of_y(rng.normal(size=(2, 4, 3))), of_p(rng.normal(size=(2, 4, 3)))
            cases += [(loss, y, p, None), (loss, y, p, rng.uniform(0, 2, (2, 4)))]
            if "hinge" in case:
                cases.append((loss, (y > 0).astype(float), p, None))
            if case in ("msle", "kld"):  # held at the ends
                cases.append(
                    (
                        loss,
                        np.array([[0, 1.0], [0.5, 0.5]]),
                        np.array([[0.5, 1e-9], [-1, 0.3]]),
                        None,
                    )
                )
    for name in SMOOTHED:
        z = rng.normal(size=(2, 4, 3))
        y = classes_for(name, z.shape, rng)
        options = {"ignore_class": 2} if name.startswith("Sparse") else {"label_smoothing": 0.3}
        for from_logits in (False, True):
            loss = getattr(losses, name)(from_logits=from_logits, **options)
            for weights in (None, rng.uniform(0, 2, (2, 4))):
                cases.append((loss, y, z if from_logits else activated(name, z), weights))
    sent = []
    for loss, y, p, weights in cases:
        config = {
            k: v
            for k, v in loss.get_config().items()
            if not (k == "label_smoothing" and hasattr(loss, "ignore_class"))
        }
        sent.append((type(loss).__name__, config, y, p, weights))
    for (loss, y, p, weights), (value, gradient) in zip(
        cases, keras_rival.run(keras_losses, sent), strict=True
    ):
        # Keras on torch takes the mean, and log-cosh's log 2, in float32
        assert loss(y, p, weights) == pytest.approx(value, rel=1e-5, abs=1e-7), loss
        _, ours = loss.value_and_gradient(loss.prepare(y, p.shape, "float64"), p, weights)
        np.testing.assert_allclose(
            ours, gradient, rtol=1e-5, atol=1e-7, err_msg=type(loss).__name__
        )
