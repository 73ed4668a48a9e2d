"""Sequential: lengths, resets and state in training."""

import numpy as np
import pytest

from gatewise import optimizers
from gatewise.errors import ShapeError
from gatewise.layers import GRU, LSTM, Dense
from gatewise.models import Sequential

from .small import compiled

# ---- lengths


@pytest.mark.parametrize("every_step", [False, True])
def test_lengths_are_the_rows_without_their_padding(every_step, rng):
    model = compiled(
        LSTM(3, dtype="float64", return_sequences=True, input_shape=(None, 2)),
        Dense(4, "tanh"),
        GRU(3, return_sequences=every_step),
        Dense(1),
    )
    lengths = np.array([6, 1, 4, 3])
    x = rng.normal(size=(4, 6, 2))
    y = rng.normal(size=(4, 6, 1) if every_step else (4, 1))
    value, gradient = model.compute_gradients(x, y, lengths=lengths), model.flat_gradients.copy()
    total, total_gradient, count = 0.0, 0.0, lengths.sum() if every_step else 4
    outputs = model.predict(x, lengths=lengths)
    for row, length in enumerate(lengths):
        part = slice(row, row + 1)
        target = y[part, :length] if every_step else y[part]
        weight = length if every_step else 1
        total += weight * model.compute_gradients(x[part, :length], target)
        total_gradient = total_gradient + weight * model.flat_gradients
        alone = model.predict(x[part, :length])
        got = outputs[part, :length] if every_step else outputs[part]
        np.testing.assert_allclose(got, alone, rtol=1e-13)
    assert value == pytest.approx(total / count, rel=1e-12)
    np.testing.assert_allclose(gradient, total_gradient / count, rtol=1e-10, atol=1e-14)


def test_what_lies_in_the_padding_changes_nothing(rng):
    lengths = np.array([6, 1, 0, 3])
    x, y = rng.normal(size=(4, 6, 2)), rng.normal(size=(4, 6, 1))
    other_x, other_y = x.copy(), y.copy()
    padded = np.arange(6) >= lengths[:, None]
    other_x[padded] = 1e6
    other_y[padded] = -1e6
    results = []
    for data in ((x, y), (other_x, other_y)):
        model = compiled(
            LSTM(3, return_sequences=True, input_shape=(None, 2)),
            GRU(4, return_sequences=True),
            Dense(1),
            optimizer="adam",
            metrics=["mae"],
        )
        history = model.fit(*data, lengths=lengths, epochs=3, batch_size=2, verbose=0).history
        scores = model.evaluate(*data, lengths=lengths, verbose=0)
        results.append((model.flat_parameters.tobytes(), str(history), str(scores)))
    assert results[0] == results[1]


def test_metrics_do_not_count_padded_steps(rng):
    model = compiled(
        LSTM(3, return_sequences=True, input_shape=(None, 2)), Dense(1), metrics=["mae"]
    )
    x, y, lengths = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 1)), np.array([5, 2, 1])
    valid = np.arange(5) < lengths[:, None]
    expected = abs(model.predict(x, lengths=lengths) - y)[valid].mean()
    assert model.evaluate(x, y, lengths=lengths, verbose=0)[1] == pytest.approx(expected, rel=1e-5)


def test_evaluate_with_lengths_does_not_depend_on_batch_size(rng):
    model = compiled(
        LSTM(3, return_sequences=True, input_shape=(None, 2)), Dense(1), metrics=["mse"]
    )
    x, y, lengths = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 1)), np.array([5, 5, 1, 1])
    whole = model.evaluate(x, y, lengths=lengths, batch_size=4, verbose=0)
    parts = model.evaluate(x, y, lengths=lengths, batch_size=2, verbose=0)
    assert parts[1] == pytest.approx(whole[1], rel=1e-6)  # the metric does it right
    assert parts[0] == pytest.approx(whole[0], rel=1e-6)


def test_resets_cut_sequences(rng):
    model = Sequential(
        [
            LSTM(3, dtype="float64", return_sequences=True, input_shape=(None, 2)),
            GRU(2, return_sequences=True),
        ]
    )
    x = rng.normal(size=(1, 7, 2))
    resets = np.zeros((1, 7), bool)
    resets[0, 4] = True
    whole = model.predict(x, resets=resets)
    parts = np.concatenate([model.predict(x[:, :4]), model.predict(x[:, 4:])], axis=1)
    np.testing.assert_allclose(whole, parts, rtol=1e-13)


# ---- state


def test_stateful_models_go_on_where_they_stopped(rng):
    x = rng.normal(size=(3, 12, 2)).astype(np.float32)
    plain = Sequential(
        [LSTM(4, return_sequences=True, input_shape=(None, 2)), GRU(3, return_sequences=True)],
        seed=1,
    )
    model = Sequential(
        [
            LSTM(4, return_sequences=True, stateful=True, input_shape=(None, 2)),
            GRU(3, return_sequences=True, stateful=True),
        ],
        seed=1,
    )
    whole = plain.predict(x)
    parts = np.concatenate([model.predict(x[:, a:b]) for a, b in ((0, 5), (5, 6), (6, 12))], axis=1)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    again = model.predict(x[:, :5])
    assert abs(again - whole[:, :5]).max() > 1e-3
    model.reset_states()
    np.testing.assert_allclose(model.predict(x[:, :5]), whole[:, :5], rtol=1e-5, atol=1e-6)
    model.reset_state()
    assert model.predict(x[:1, :5]).shape == (1, 5, 3)  # another batch size after a reset
    with pytest.raises(
        ShapeError, match=r"keeps the state of 1 rows, x has 3; call reset_state\(\)"
    ):
        model.predict(x)


def test_stateful_training_by_hand(rng):
    """The second chunk starts from the first one's state, a constant for its gradient."""
    x, y = rng.normal(size=(2, 8, 1)), rng.normal(size=(2, 4))
    model = compiled(
        LSTM(4, stateful=True, dtype="float64", input_shape=(None, 1)),
        optimizer=optimizers.SGD(0.0),
    )
    model.train_on_batch(x[:, :4], y)
    h, c = model.layers[0].state
    value = model.compute_gradients(x[:, 4:], y)
    gradient = model.flat_gradients.copy()
    layer = LSTM(4, dtype="float64")
    layer.build((None, None, 1))
    layer.set_weights(model.get_weights())
    out = layer.forward(x[:, 4:], initial_state=[h, c], training=True)
    assert value == pytest.approx(((out - y) ** 2).mean(), rel=1e-12)
    layer.backward(2 * (out - y) / out.size)
    np.testing.assert_allclose(
        gradient,
        np.concatenate([g.ravel() for g in layer.gradients.values()]),
        rtol=1e-9,
        atol=1e-14,
    )
