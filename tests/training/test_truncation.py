"""Truncated back-propagation: long sequences in chunks."""

import numpy as np
import pytest

from gatewise.callbacks import LambdaCallback
from gatewise.errors import ConfigError
from gatewise.layers import GRU, LSTM, Dense, Dropout, Input, TimeDistributed
from gatewise.models import Sequential
from gatewise.training.feeds import BatchFeed, chunks

from .feed_cases import Again, fitted, forecaster, same_weights, tagger

# ---- truncated back-propagation


@pytest.mark.parametrize(
    ("steps", "size", "expected"),
    [(7, 3, [(0, 3), (3, 6), (6, 7)]), (4, None, [(0, 4)]), (3, 9, [(0, 3)])],
)
def test_chunks(steps, size, expected):
    assert [(part.start, part.stop) for part in chunks(steps, size)] == expected


def by_hand(model, x, y, size, lengths=None, epochs=2):
    """Parts in order through stateful layers, a step each: what tbptt_steps does."""
    for _ in range(epochs):
        model.reset_state()
        for part in chunks(x.shape[1], size):
            rest = (
                None
                if lengths is None
                else np.clip(lengths - part.start, 0, part.stop - part.start)
            )
            if rest is None or rest.any():
                model.train_on_batch(x[:, part], y[:, part], lengths=rest)
    return model


@pytest.mark.parametrize("lengths", [None, [9, 0, 4, 6, 9]], ids=["full", "ragged"])
@pytest.mark.parametrize("size", [1, 4, 9, 20])
def test_states_are_carried_and_gradients_are_not(size, lengths, rng):
    x, y = rng.normal(size=(5, 9, 2)), rng.normal(size=(5, 9, 1))
    lengths = None if lengths is None else np.array(lengths)
    model, other = tagger(), tagger(stateful=True)
    history, _ = fitted(model, x, y, lengths=lengths, epochs=2, tbptt_steps=size, shuffle=False)
    by_hand(other, x, y, size, lengths)
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_a_sequence_inside_a_step_begins_anew(rng):
    """TimeDistributed(LSTM) reads whole sequences: nothing is carried from part to part."""

    def model():
        stack = [TimeDistributed(LSTM(3)), Dense(1)]
        made = Sequential([Input((None, 4, 2)), *stack], seed=0)
        made.compile("sgd", "mse")
        return made

    x, y = rng.normal(size=(5, 9, 4, 2)), rng.normal(size=(5, 9, 1))
    lengths = np.array([9, 0, 4, 6, 9])
    one, other = model(), model()
    fitted(one, x, y, lengths=lengths, epochs=2, tbptt_steps=4, shuffle=False)
    by_hand(other, x, y, 4, lengths)
    assert same_weights(one, other)


def test_parts_of_all_steps_are_plain_training(rng):
    x, y = rng.normal(size=(5, 9, 2)), rng.normal(size=(5, 9, 1))
    one, other = tagger(), tagger()
    first, _ = fitted(one, x, y, batch_size=2)
    second, _ = fitted(other, x, y, batch_size=2, tbptt_steps=9)
    assert same_weights(one, other)
    assert first.history == second.history


def test_two_layers_carry_theirs_and_predictions_between_disturb_nothing(rng):

    x, y = rng.normal(size=(4, 12, 2)), rng.normal(size=(4, 12, 1))
    weights = []
    for disturbed in (False, True):
        model = Sequential(
            [
                Input((None, 2)),
                LSTM(4, return_sequences=True),
                Dropout(0.3),
                GRU(3, return_sequences=True),
                Dense(1),
            ],
            seed=0,
        )
        model.compile("adam", "mse", metrics=["mae"])
        look = (
            LambdaCallback(
                on_train_batch_end=lambda batch, logs: model.evaluate(x[:2], y[:2], verbose=0)
            )
            if disturbed
            else None
        )
        history = model.fit(
            x,
            y,
            tbptt_steps=5,
            batch_size=2,
            epochs=2,
            verbose=0,
            callbacks=look,
            validation_data=(x, y),
        )
        weights.append([history.history, *model.get_weights()])
    assert weights[0][0] == weights[1][0]
    assert all(np.array_equal(a, b) for a, b in zip(weights[0][1:], weights[1][1:]))


def test_a_stateful_series_goes_on_from_batch_to_batch(rng):
    x, y = rng.normal(size=(2, 12, 2)), rng.normal(size=(2, 12, 1))
    one, other = tagger(stateful=True), tagger(stateful=True)
    fitted(one, Again([(x[:, :6], y[:, :6]), (x[:, 6:], y[:, 6:])]), tbptt_steps=3, epochs=1)
    by_hand(other, x, y, 3, epochs=1)
    assert same_weights(one, other)


def test_long_series_in_a_file(rng, tmp_path):
    x, y = rng.normal(size=(2, 500, 2)), rng.normal(size=(2, 500, 1))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    one, other = tagger(), tagger()
    fitted(one, x, y, tbptt_steps=64)
    fitted(
        other, *(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy"), tbptt_steps=64
    )
    assert same_weights(one, other)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: forecaster(), "return_sequences=True"),
        (lambda: tagger(go_backwards=True), "looks at steps of other parts"),
    ],
)
def test_truncation_that_cannot_be(model, words, rng):
    y = rng.normal(size=(2, 6, 1)) if "other parts" in words else np.zeros((2, 1))
    with pytest.raises(ConfigError, match=words):
        model().fit(rng.normal(size=(2, 6, 2)), y, tbptt_steps=3)


def test_a_feed_of_batches_can_be_cut_too(rng):
    x, y = rng.normal(size=(4, 9, 2)), rng.normal(size=(4, 9, 1))
    one, other = tagger(), tagger()
    fitted(one, x, y, tbptt_steps=4, batch_size=4, shuffle=False)
    fitted(other, Again([(x, y)]), tbptt_steps=4)
    assert same_weights(one, other)
    feed = BatchFeed(one, Again([(x, y)]), tbptt_steps=4)
    assert [begins for _, begins in feed.batches(None)] == [True, False, False]
    assert [batch.inputs[0].values.shape[1] for batch, _ in feed.batches(None, 1)] == [4, 1]
