"""Weights of single targets, and targets that nobody knows."""

import numpy as np
import pytest

from gatewise import Sequential, layers, losses
from gatewise.errors import ConfigError, NonFiniteError, ShapeError

# (loss, outputs for a target, activation of the output)
BY_TARGET = [
    ("mse", 1, "linear"),
    ("mae", 1, "linear"),
    ("huber", 1, "linear"),
    ("log_cosh", 1, "linear"),
    ("mape", 1, "linear"),
    ("msle", 1, "softplus"),
    ("poisson", 1, "exponential"),
    ("binary_crossentropy", 1, "sigmoid"),
    ("hinge", 1, "linear"),
    ("squared_hinge", 1, "linear"),
    (losses.BinaryCrossentropy(label_smoothing=0.1), 1, "sigmoid"),
    ("gaussian_nll", 2, "linear"),
    ("quantile", 3, "linear"),
]
TARGETS = 3

# of the percentage
pytestmark = pytest.mark.filterwarnings("ignore:y holds 0, which counts as 1e-7")


def model_of(loss, each=1, activation="linear", steps=False, metrics=None, dtype="float64"):
    model = Sequential(
        [
            layers.Input((4, 2), dtype=dtype),
            layers.GRU(3, return_sequences=steps),
            layers.Dense(each * TARGETS, activation=activation),
        ],
        seed=1,
    )
    model.compile("sgd", loss, metrics)
    return model


def data_of(rng, steps=False, rows=6):
    shape = (rows, 4, TARGETS) if steps else (rows, TARGETS)
    weights = rng.uniform(0.5, 2, shape)
    weights[rng.random(shape) < 0.3] = 0
    return rng.normal(size=(rows, 4, 2)), rng.integers(1, 3, shape) - 1.0, weights


def without_unknown(y, weights):
    return np.where(weights == 0, np.nan, y)


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize(("loss", "each", "activation"), BY_TARGET)
def test_the_loss_is_the_weighted_mean_over_targets(loss, each, activation, steps, rng):
    model = model_of(loss, each, activation, steps)
    x, y, weights = data_of(rng, steps)
    outputs = model.predict(x).reshape(-1, each, TARGETS)
    alone = losses.get(loss)
    values = np.array(
        [
            [
                alone(y.reshape(-1, TARGETS)[[row], [j]][None], outputs[[row], :, j])
                for j in range(TARGETS)
            ]
            for row in range(len(outputs))
        ]
    )
    wanted = (values * weights.reshape(values.shape)).mean()
    for targets in (y, without_unknown(y, weights)):
        assert model.compute_gradients(x, targets, weights) == pytest.approx(wanted, rel=1e-12)
        assert model.evaluate(x, targets, sample_weight=weights, verbose=0) == pytest.approx(
            wanted, rel=1e-12
        )
    assert losses.get(loss)(y, model.predict(x), weights) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize(("loss", "each", "activation"), BY_TARGET)
def test_gradients_are_central_differences_and_never_look_at_what_is_unknown(
    loss, each, activation, steps, rng
):
    model = model_of(loss, each, activation, steps)
    x, y, weights = data_of(rng, steps)
    model.compute_gradients(x, y, weights)
    with_numbers = model.flat_gradients.copy()
    y = without_unknown(y, weights)
    model.compute_gradients(x, y, weights)
    gradient, start = model.flat_gradients.copy(), model._flat_weights()
    np.testing.assert_array_equal(gradient, with_numbers)
    direction = rng.normal(size=start.shape)

    def loss_at(distance):
        model._set_flat_weights(start + distance * direction)
        return model.compute_gradients(x, y, weights)

    assert (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6 == pytest.approx(gradient @ direction, rel=1e-5)


@pytest.mark.parametrize("steps", [False, True])
def test_equal_weights_of_the_targets_are_those_of_the_position(steps, rng):
    x, y, weights = data_of(rng, steps)
    positions = weights[..., 0]
    results = []
    for given in (positions, np.repeat(positions[..., None], TARGETS, axis=-1)):
        model = model_of("mse", steps=steps)
        model.fit(x, y, sample_weight=given, epochs=3, verbose=0)
        results.append(model._flat_weights())
    np.testing.assert_allclose(*results, rtol=1e-13)


def test_targets_of_weight_zero_may_be_unknown_everywhere(rng):
    """fit with validation, batches, lists of sequences, lengths, masks and metrics.

    As with any number in their place.
    """
    x, y, weights = data_of(rng, steps=True, rows=8)
    lengths, mask = [4, 3, 2, 4, 4, 1, 4, 4], rng.random((8, 4)) < 0.8
    ragged = [[each[:n] for each, n in zip(part, lengths)] for part in (x, y, weights)]

    def trained(y, ragged_y):
        model = model_of("mse", steps=True, metrics=["mse", "mae"])
        logs = [
            model.fit(
                x,
                y,
                sample_weight=weights,
                validation_data=(x, y, weights),
                epochs=2,
                verbose=0,
                batch_size=3,
                mask=mask,
            ).history
        ]
        logs += [
            model.fit(ragged[0], ragged_y, sample_weight=ragged[2], batch_size=4, verbose=0).history
        ]
        logs += [
            model.fit(
                x, y, sample_weight=weights, batch_size=8, tbptt_steps=2, verbose=0, shuffle=False
            ).history
        ]
        logs += [model.fit([(x, y, weights, lengths)].__iter__(), verbose=0).history]
        logs += [model.train_on_batch(x, y, weights), model.test_on_batch(x, y, weights)]
        return model._flat_weights(), logs

    known = weights != 0
    numbers, logs = trained(y, ragged[1])
    unknown, unknown_logs = trained(
        without_unknown(y, weights), [without_unknown(*pair) for pair in zip(ragged[1], ragged[2])]
    )
    np.testing.assert_array_equal(numbers, unknown)
    assert logs[0]["loss"] == unknown_logs[0]["loss"]
    model = model_of("mse", steps=True, metrics=["mse"])
    model._set_flat_weights(unknown)
    squared = np.square(model.predict(x) - y)[known].mean()  # of what is known
    assert model.evaluate(x, without_unknown(y, weights), sample_weight=weights, verbose=0)[
        1
    ] == pytest.approx(squared)
    batches = [(x[:3], without_unknown(y, weights)[:3], weights[:3]), (x[3:], y[3:], weights[3:])]
    both = np.square(model.predict(x) - y)
    expected = (both[:3][known[:3]].sum() + both[3:].sum()) / (known[:3].sum() + both[3:].size)
    assert model.evaluate(batches.__iter__(), verbose=0)[1] == pytest.approx(expected)


def test_a_memory_mapped_x(rng, tmp_path):
    x, y, weights = data_of(rng, rows=7)
    np.save(tmp_path / "x.npy", x)
    results = []
    for given, targets in (
        (x, y),
        (np.load(tmp_path / "x.npy", mmap_mode="r"), without_unknown(y, weights)),
    ):
        model = model_of("mse")
        model.fit(given, targets, sample_weight=weights, batch_size=3, epochs=2, verbose=0)
        results.append(model._flat_weights())
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_whole_positions_may_be_unknown_for_any_loss(shape, rng):
    x, weights = rng.normal(size=(6, 4, 2)), np.array([1, 0, 1, 1, 0, 1.0])
    y = np.array([0, np.nan, 2, 1, np.nan, 2]).reshape(shape)
    model = model_of("sparse_categorical_crossentropy", activation="softmax", metrics=["accuracy"])
    logs = model.evaluate(x, y, sample_weight=weights, verbose=0)
    kept = weights > 0
    right = model.predict(x)[kept].argmax(axis=1) == y.ravel()[kept]
    assert logs[1] == pytest.approx(right.mean())
    assert logs[0] == model.evaluate(x, np.nan_to_num(y), sample_weight=weights, verbose=0)[0]


def test_what_is_refused(rng):
    x, y, weights = data_of(rng)
    model = model_of("categorical_crossentropy", activation="softmax")
    with pytest.raises(
        ShapeError,
        match=r"a weight for each output; loss categorical_crossentropy is no mean over outputs",
    ):
        model.fit(x, np.eye(3)[[0, 1, 2] * 2], sample_weight=weights, verbose=0)
    with pytest.raises(
        ShapeError,
        match=r"sample_weight has shape \(6, 2\); expected \(6, 3\), a weight for each target",
    ):
        model_of("mse").fit(x, y, sample_weight=weights[:, :2], verbose=0)
    with pytest.raises(NonFiniteError, match="y holds nan"):  # a weight above 0
        model_of("mse").fit(
            x, without_unknown(y, weights), sample_weight=np.ones((6, 3)), verbose=0
        )
    with pytest.raises(ConfigError, match="metric r2_score needs all targets of a position"):
        model_of("mse", metrics=["r2_score"]).fit(
            x, without_unknown(y, weights), sample_weight=weights, verbose=0
        )


def test_a_formula_of_ones_own_is_no_mean_over_outputs_unless_it_says_so(rng):
    class Sums(losses.MeanSquaredError):
        name = "sums"

        def _positions(self, y_true, y_pred, want_gradient):
            off = y_pred - y_true
            return np.square(off.sum(axis=-1)), None

    assert losses.MeanSquaredError._by_target and not Sums._by_target
    x, y, weights = data_of(rng)
    with pytest.raises(ShapeError, match="loss sums is no mean over outputs"):
        model_of(Sums()).evaluate(x, y, sample_weight=weights, verbose=0)
