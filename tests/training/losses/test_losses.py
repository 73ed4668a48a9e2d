"""Losses: values, gradients, weights, padding, extremes.

Beside plain formulas, PyTorch and Keras.
"""

import numpy as np
import pytest
from differences import central_differences

from gatewise import losses
from gatewise.errors import ConfigError, NonFiniteError, ShapeError
from gatewise.training.losses import position_weights

from .loss_cases import NAMES, keras_losses, torch_losses

CROSSENTROPIES = NAMES[2:]

PATHS = [
    (name, scores)
    for name in NAMES
    for scores in (False, True)
    if losses.get(name)._fuses or not scores
]

SHAPES = [(1, 1), (4, 1), (5, 3), (2, 3, 4), (3, 1, 2), (2, 2, 3, 2)]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def activation_of(name):
    return {"sigmoid": sigmoid, "softmax": softmax, None: lambda z: z}[losses.get(name)._fuses]


def targets_for(name, shape, rng):
    """(targets as a person gives them, the same as a float array of `shape`)."""
    if name == "binary_crossentropy":
        y = rng.integers(0, 2, shape)
        return y, y.astype(float)
    if "categorical" in name:
        classes = rng.integers(0, shape[-1], shape[:-1])
        one_hot = np.eye(shape[-1])[classes]
        return (classes if name.startswith("sparse") else one_hot), one_hot
    y = rng.normal(size=shape)
    return y, y


def formula(name, y, p):
    """The values at all positions, written down from the definition, without any clipping."""
    if name == "mean_squared_error":
        return ((p - y) ** 2).mean(axis=-1)
    if name == "mean_absolute_error":
        return abs(p - y).mean(axis=-1)
    if name == "binary_crossentropy":
        return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=-1)
    return -(y * np.log(p / p.sum(axis=-1, keepdims=True))).sum(axis=-1)


def predictions_for(name, shape, rng):
    return activation_of(name)(rng.normal(size=shape) * 2)


# ---- values


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_value_is_the_mean_of_the_formula(name, shape, rng):
    given, y = targets_for(name, shape, rng)
    p = predictions_for(name, shape, rng)
    value = losses.get(name)(given, p)
    assert type(value) is float
    # one class has probability 1, clipped as Keras clips it
    if shape[-1] == 1 and "categorical" in name:
        assert value == pytest.approx(-np.log(1 - 1e-7), rel=1e-9)
        return
    assert value == pytest.approx(formula(name, y, p).mean(), rel=1e-12)


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_rows_that_do_not_sum_to_one_are_scaled(name, rng):
    given, y = targets_for(name, (6, 4), rng)
    p = rng.uniform(0.1, 3, (6, 4))
    assert losses.get(name)(given, p) == pytest.approx(formula(name, y, p).mean(), rel=1e-12)
    assert losses.get(name)(given, p) == pytest.approx(losses.get(name)(given, 7 * p), rel=1e-12)


def test_lists_and_integers_are_read():
    assert losses.MeanSquaredError()([[1], [2]], [[3], [5]]) == 6.5
    assert losses.MeanAbsoluteError()([1, 2], [[3], [5]]) == 2.5
    assert losses.BinaryCrossentropy()([1, 0], [0.5, 0.5]) == pytest.approx(np.log(2))
    assert losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]) == pytest.approx(np.log(2))
    assert losses.CategoricalCrossentropy()([[0, 1]], [[0.75, 0.25]]) == pytest.approx(np.log(4))


# ---- gradients


def check_gradient(loss, y, at, weights, normalizer, scores):
    value, gradient = loss.value_and_gradient(y, at.copy(), weights, normalizer, scores=scores)
    assert gradient.shape == at.shape
    assert gradient.dtype == at.dtype
    only, none = loss.value_and_gradient(
        y, at.copy(), weights, normalizer, scores=scores, want_gradient=False
    )
    assert none is None
    assert only == value
    numeric = central_differences(
        lambda p: loss.value_and_gradient(y, p, weights, normalizer, scores=scores)[0], at
    )
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-9 * max(1, abs(numeric).max()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_predictions(name, shape, weighted, rng):
    loss = losses.get(name)
    given, _ = targets_for(name, shape, rng)
    y = loss.prepare(given, shape, "float64")
    # 1/p far out is too steep for differences
    p = activation_of(name)(rng.uniform(-1.5, 1.5, shape))
    if "categorical" in name:
        # rows that do not sum to one have a gradient too
        p *= rng.uniform(0.5, 2, (*shape[:-1], 1))
    weights = rng.uniform(0, 2, shape[:-1]) if weighted else None
    check_gradient(loss, y, p, weights, 3.7 if weighted else None, False)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CROSSENTROPIES)
def test_gradient_of_scores(name, shape, weighted, rng):
    loss = losses.get(name)
    given, _ = targets_for(name, shape, rng)
    y = loss.prepare(given, shape, "float64")
    z = rng.normal(size=shape) * 3
    weights = rng.uniform(0, 2, shape[:-1]) if weighted else None
    check_gradient(loss, y, z, weights, 3.7 if weighted else None, True)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy"])
def test_gradient_with_soft_targets(name, scores, rng):
    """Probabilities as targets, and rows that sum to less or more than one."""
    y = rng.uniform(0, 0.6, (5, 3))
    y[0] = 0
    at = rng.normal(size=(5, 3))
    check_gradient(
        losses.get(name), y, at if scores else activation_of(name)(at), None, None, scores
    )


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        # with softmax one class has probability 1, which is clipped without scores
        ("binary_crossentropy", (6, 1)),
        *[(name, shape) for name in CROSSENTROPIES for shape in ((5, 3), (2, 3, 4))],
    ],
)
def test_from_scores_is_the_same_function_as_through_the_activation(name, shape, rng):
    loss = losses.get(name)
    y = loss.prepare(targets_for(name, shape, rng)[0], shape, "float64")
    z = rng.normal(size=shape) * 2
    p = activation_of(name)(z)
    value, gradient = loss.value_and_gradient(y, z, scores=True)
    value_p, dp = loss.value_and_gradient(y, p)
    assert value == pytest.approx(value_p, rel=1e-12)
    dz = (
        dp * p * (1 - p)
        if loss._fuses == "sigmoid"
        else p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    )
    np.testing.assert_allclose(gradient, dz, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_and_agrees_with_float64(name, rng):
    loss, shape = losses.get(name), (7, 5)
    given, _ = targets_for(name, shape, rng)
    p = predictions_for(name, shape, rng)
    wide, wide_gradient = loss.value_and_gradient(loss.prepare(given, shape, "float64"), p)
    small, small_gradient = loss.value_and_gradient(
        loss.prepare(given, shape, "float32"), p.astype(np.float32), np.ones(7)
    )
    assert small_gradient.dtype == np.float32
    assert small == pytest.approx(wide, rel=1e-5)
    np.testing.assert_allclose(small_gradient, wide_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "scores"), PATHS)
def test_nothing_given_is_changed(name, scores, rng):
    loss, shape = losses.get(name), (4, 3)
    y = loss.prepare(targets_for(name, shape, rng)[0], shape, "float64")
    p, weights = predictions_for(name, shape, rng), rng.uniform(size=4)
    for array in (y, p, weights):
        array.flags.writeable = False
    loss.value_and_gradient(y, p, weights, scores=scores)
    if not scores:
        loss(y, p, weights)


# ---- extremes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_from_extreme_scores_is_exact(dtype):
    z = np.array([[1000], [1000], [-1000], [-1000], [0], [88.8], [-88.8]], dtype)
    y = np.array([[1], [0], [1], [0], [1], [0], [1]], dtype)
    expected = np.array([0, 1000, 1000, 0, np.log(2), 88.8, 88.8])
    for row, want in enumerate(expected):
        value, gradient = losses.BinaryCrossentropy().value_and_gradient(
            y[row : row + 1], z[row : row + 1], scores=True
        )
        assert value == pytest.approx(want, rel=1e-6, abs=1e-30)
        assert gradient[0, 0] == pytest.approx(
            np.clip(want, 0, 1) * (-1 if y[row] else 1) if want > 1 or want == 0 else -0.5, abs=1e-6
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_softmax_from_extreme_scores_is_exact(name, dtype):
    z = np.tile(np.array([1000, -1000, 0], dtype), (3, 1))
    y = np.arange(3) if name.startswith("sparse") else np.eye(3)
    loss = losses.get(name)
    for row, want in enumerate((0, 2000, 1000)):
        prepared = loss.prepare(y[row : row + 1], (1, 3), dtype)
        value, gradient = loss.value_and_gradient(prepared, z[row : row + 1], scores=True)
        assert value == want
        expected = np.array([1, 0, 0]) - np.eye(3)[row]
        np.testing.assert_allclose(gradient[0], expected, atol=1e-30)


@pytest.mark.parametrize("name", CROSSENTROPIES)
def test_predictions_of_exactly_zero_and_one_give_finite_losses(name):
    """Without scores, probabilities are kept 1e-7 away from 0 and 1, as in Keras."""
    loss = losses.get(name)
    p = np.array([[0.0, 1.0], [1.0, 0.0]])
    wrong = np.array([0, 1]) if loss._sparse else np.eye(2)
    value, gradient = loss.value_and_gradient(loss.prepare(wrong, p.shape, "float64"), p)
    assert value == pytest.approx(-np.log(1e-7), rel=1e-6)
    assert np.isfinite(gradient).all()
    right = np.array([1, 0]) if loss._sparse else np.eye(2)[::-1]
    assert loss(right, p) == pytest.approx(1e-7, rel=1e-6)


@pytest.mark.parametrize("name", CROSSENTROPIES)
def test_large_scores_keep_their_difference_where_probabilities_have_rounded(name):
    """float32: sigmoid(30) is 1, and the fused loss still tells 30 from 40."""
    loss = losses.get(name)
    for z in (30.0, 40.0):
        scores = np.array([[z]] if loss._fuses == "sigmoid" else [[z, 0]], np.float32)
        wrong = [[0]] if loss._fuses == "sigmoid" else [1] if loss._sparse else [[0, 1]]
        y = loss.prepare(wrong, scores.shape, "float32")
        assert loss.value_and_gradient(y, scores, scores=True)[0] == pytest.approx(z, rel=1e-6)


# ---- weights, padding, empty batches


@pytest.mark.parametrize("name", NAMES)
def test_weights_multiply_values_and_the_mean_counts_positions(name, rng):
    loss, shape = losses.get(name), (5, 4, 3)
    given, y = targets_for(name, shape, rng)
    p = predictions_for(name, shape, rng)
    per_sample, per_step = rng.uniform(0, 3, 5), rng.uniform(0, 3, (5, 4))
    values = formula(name, y, p)
    assert loss(given, p, per_sample) == pytest.approx(
        (values * per_sample[:, None]).sum() / 20, rel=1e-12
    )
    assert loss(given, p, per_step) == pytest.approx((values * per_step).sum() / 20, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_weight_zero_takes_a_row_out_of_the_gradient(name, rng):
    loss, shape = losses.get(name), (4, 3)
    y = loss.prepare(targets_for(name, shape, rng)[0], shape, "float64")
    p = predictions_for(name, shape, rng)
    _, gradient = loss.value_and_gradient(y, p, np.array([1.0, 0, 2, 0]))
    assert not gradient[[1, 3]].any()
    assert gradient[[0, 2]].any(axis=-1).all()


@pytest.mark.parametrize(("name", "scores"), PATHS)
def test_padded_steps_count_in_nothing(name, scores, rng):
    loss, shape = losses.get(name), (4, 5, 3)
    lengths = np.array([5, 2, 0, 1])
    y = loss.prepare(targets_for(name, shape, rng)[0], shape, "float64")
    p = rng.normal(size=shape) * 2 if scores else predictions_for(name, shape, rng)
    weights = position_weights(None, shape[:-1], lengths)
    value, gradient = loss.value_and_gradient(y, p, weights, lengths.sum(), scores=scores)
    valid = np.arange(5) < lengths[:, None]
    flat, flat_gradient = loss.value_and_gradient(y[valid], p[valid], scores=scores)
    assert value == pytest.approx(flat, rel=1e-12)
    np.testing.assert_allclose(gradient[valid], flat_gradient, rtol=1e-12)
    assert not gradient[~valid].any()
    other = p.copy()
    other[~valid] = (
        activation_of(name)(rng.normal(size=other[~valid].shape)) if not scores else 1000.0
    )
    again, again_gradient = loss.value_and_gradient(y, other, weights, lengths.sum(), scores=scores)
    assert again == value
    np.testing.assert_array_equal(again_gradient, gradient)


def test_position_weights_of_every_shape():
    assert position_weights(None, (2, 3), None) is None
    # one output a row: lengths say nothing
    assert position_weights(None, (2,), np.array([3, 1])) is None
    np.testing.assert_array_equal(position_weights([1, 2], (2, 3), None), [[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(
        position_weights([1, 2], (2, 3), np.array([3, 1])), [[1, 1, 1], [2, 0, 0]]
    )
    np.testing.assert_array_equal(
        position_weights([[1, 2, 3], [4, 5, 6]], (2, 3), np.array([2, 0])), [[1, 2, 0], [0, 0, 0]]
    )
    assert position_weights([1, 2], (2, 3, 4), np.array([3, 1])).shape == (2, 3, 4)
    for wrong in ([1, 2, 3], 1.0, [[1, 2], [3, 4]]):
        with pytest.raises(
            ShapeError, match=r"sample_weight has shape .*; expected \(2,\), a weight a sample"
        ):
            position_weights(wrong, (2, 3), None)
    with pytest.raises(NonFiniteError, match=r"sample_weight holds nan at index \(1,\)"):
        position_weights([1, np.nan], (2, 3), None)


@pytest.mark.parametrize("shape", [(0, 3), (0, 4, 3), (2, 0, 3)])
@pytest.mark.parametrize(("name", "scores"), PATHS)
def test_no_positions_give_zero(name, shape, scores, rng):
    loss = losses.get(name)
    y = loss.prepare(
        np.zeros(shape[:-1], int) if loss._sparse else np.zeros(shape), shape, "float32"
    )
    value, gradient = loss.value_and_gradient(y, np.zeros(shape, np.float32), scores=scores)
    assert value == 0.0
    assert gradient.shape == shape
    assert gradient.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_in_which_every_step_is_padded_gives_zero(name, rng):
    loss, shape = losses.get(name), (2, 3, 4)
    y = loss.prepare(targets_for(name, shape, rng)[0], shape, "float64")
    weights = position_weights(None, (2, 3), np.zeros(2, int))
    value, gradient = loss.value_and_gradient(y, predictions_for(name, shape, rng), weights, 0)
    assert value == 0.0
    assert not gradient.any()


# ---- from_logits


@pytest.mark.parametrize("name", CROSSENTROPIES)
def test_from_logits_applies_the_activation(name, rng):
    shape = (5, 3)
    given, _ = targets_for(name, shape, rng)
    z = rng.normal(size=shape)
    plain, logits = losses.get(name), type(losses.get(name))(from_logits=True)
    assert logits(given, z) == pytest.approx(plain(given, activation_of(name)(z)), rel=1e-12)
    assert logits(given, z) != pytest.approx(plain(given, abs(z) / 10 + 0.1))
    y = logits.prepare(given, shape, "float64")
    check_gradient(logits, y, z, None, None, False)
    assert np.isfinite(logits(given, 1000 * z))


# ---- beside torch and Keras


def test_beside_torch(rng, torch_rival):
    cases = []
    for name in NAMES:
        for shape in ((6, 1), (5, 3), (2, 3, 4)):
            for scores in (False, True) if losses.get(name)._fuses else (False,):
                if shape[-1] == 1 and "categorical" in name and not scores:
                    continue
                given, _ = targets_for(name, shape, rng)
                z = rng.normal(size=shape) * 2
                cases.append(
                    (name, scores, np.asarray(given), z if scores else activation_of(name)(z))
                )
    for (name, scores, given, p), (value, gradient) in zip(
        cases, torch_rival.run(torch_losses, cases), strict=True
    ):
        loss = losses.get(name)
        ours, ours_gradient = loss.value_and_gradient(
            loss.prepare(given, p.shape, "float64"), p, scores=scores
        )
        assert ours == pytest.approx(value, rel=1e-12), (name, p.shape, scores)
        if "categorical" in name and not scores:
            # ours, as Keras, divides by the row's sum: the same on the simplex, not off it
            gradient = gradient - (gradient * p).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(
            ours_gradient, gradient, rtol=1e-10, atol=1e-14, err_msg=f"{name} {scores}"
        )


def test_beside_keras(rng, keras_rival):
    cases = []
    for name in NAMES:
        cls = type(losses.get(name)).__name__
        for shape in ((6, 1), (5, 3), (2, 3, 4)):
            for from_logits in (False, True) if losses.get(name)._fuses else (None,):
                config = {} if from_logits is None else {"from_logits": from_logits}
                given, _ = targets_for(name, shape, rng)
                z = rng.normal(size=shape) * 2
                p = z if from_logits else activation_of(name)(z)
                for weights in (None, rng.uniform(0, 2, shape[0]), rng.uniform(0, 2, shape[:-1])):
                    if weights is not None and len(shape) == 3 and weights.ndim == 1:
                        # Keras takes no weight a sample here
                        weights = np.repeat(weights[:, None], shape[1], axis=1)
                    cases.append((cls, config, np.asarray(given), p, weights))
        if losses.get(name)._fuses:  # clipping
            p = np.array([[0, 1.0], [1, 0], [1e-9, 1 - 1e-9]])
            wrong = np.array([0, 1, 0]) if losses.get(name)._sparse else np.eye(2)[[0, 1, 0]]
            cases.append((cls, {"from_logits": False}, wrong, p, None))
    for (cls, config, given, p, weights), (value, gradient) in zip(
        cases, keras_rival.run(keras_losses, cases), strict=True
    ):
        loss = getattr(losses, cls)(**config)
        # Keras on torch takes the mean in float32, whatever floatx is
        assert loss(given, p, weights) == pytest.approx(value, rel=1e-6), (cls, config, p.shape)
        spread = None if weights is None else position_weights(weights, p.shape[:-1], None)
        _, ours = loss.value_and_gradient(loss.prepare(given, p.shape, "float64"), p, spread)
        np.testing.assert_allclose(
            ours, gradient, rtol=1e-6, atol=1e-12, err_msg=f"{cls} {config} {p.shape}"
        )


# ---- losses of the user


def doubled(base):
    """`base` with a formula of its own: twice the sum of the predictions."""

    class Doubled(base):
        def _positions(self, y_true, y_pred, want_gradient):
            return 2 * y_pred.sum(axis=-1), np.full_like(y_pred, 2) if want_gradient else None

    return Doubled()


@pytest.mark.parametrize("name", NAMES)
def test_a_subclass_with_its_own_formula_is_not_bypassed(name, rng):
    given, _ = targets_for(name, (4, 3), rng)
    p = predictions_for(name, (4, 3), rng)
    loss = doubled(type(losses.get(name)))
    assert loss(given, p) == pytest.approx(2 * p.sum() / 4, rel=1e-12)
    assert loss._fuses is None  # its formula is one of predictions
    with pytest.raises(ConfigError, match="starts from predictions"):
        loss.value_and_gradient(loss.prepare(given, p.shape, "float64"), p, scores=True)


def test_a_formula_that_is_mixed_in_is_not_bypassed_either():
    class Zero:
        def _positions(self, y_true, y_pred, want_gradient):
            return np.zeros(y_pred.shape[:-1]), np.zeros_like(y_pred)

    class Mixed(Zero, losses.MeanSquaredError):
        pass

    class Renamed(losses.MeanSquaredError):  # no formula of its own: the kernel stays
        name = "renamed"

    assert Mixed()([[1.0]], [[3.0]]) == 0
    assert Renamed._kernel is not None and Renamed()([[1.0]], [[3.0]]) == 4
