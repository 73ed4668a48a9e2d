"""Batches, epochs and data sets in which nothing counts.

Masked, of weight 0, ignored by the loss.
"""

import itertools
import math

import numpy as np
import pytest
from seeds import generator

from gatewise import optimizers
from gatewise.callbacks import EarlyStopping, LambdaCallback, ModelCheckpoint
from gatewise.errors import ConfigError
from gatewise.layers import GRU, LSTM, BatchNormalization, Dense, Input
from gatewise.losses import SparseCategoricalCrossentropy
from gatewise.models import Sequential

rng = generator(3)
X = rng.normal(size=(6, 4, 2))
Y = rng.integers(0, 3, (6, 4))
NOWHERE = np.zeros((6, 4), bool)
WAYS = {
    "mask": {"mask": NOWHERE},
    "lengths": {"lengths": np.zeros(6, int)},
    "sample_weight": {"sample_weight": np.zeros(6)},
    "weights of steps": {"sample_weight": np.zeros((6, 4))},
    "ignored": {},
}


def model_of(optimizer="adam", **options):
    model = Sequential(
        [Input((None, 2)), GRU(4, return_sequences=True, **options), Dense(3, "softmax")], seed=0
    )
    model.compile(optimizer, SparseCategoricalCrossentropy(ignore_class=9), ["accuracy"])
    return model


def targets(way):
    return np.full((6, 4), 9) if way == "ignored" else Y


def batch(way):
    """A batch of a generator in which nothing counts."""
    return X, targets(way), *(WAYS[way].get(name) for name in ("sample_weight", "lengths", "mask"))


def state_of(model):
    return [model._flat_weights(), *model.optimizer.slots().values(), model.optimizer.iterations]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_data_in_which_nothing_counts_are_refused(way):
    model = model_of()
    before = state_of(model)
    with pytest.raises(ConfigError, match="nothing in x counts"):
        model.fit(X, targets(way), verbose=0, **WAYS[way])
    with pytest.raises(ConfigError, match="nothing in x counts"):
        model.evaluate(X, targets(way), verbose=0, **WAYS[way])
    with pytest.raises(ConfigError, match="nothing in validation_data counts"):
        model.fit(X, Y, verbose=0, validation_data=batch(way))
    assert equal(state_of(model), before)


@pytest.mark.parametrize("way", WAYS)
def test_an_epoch_in_which_nothing_counts_is_refused(way):
    model = model_of()
    before = state_of(model)
    with pytest.raises(
        ConfigError,
        match=(
            "nothing in epoch 1 of x counts: .*check mask, lengths, sample_weight and ignore_class"
        ),
    ):
        model.fit(itertools.repeat(batch(way)), steps_per_epoch=2, verbose=0)
    assert equal(state_of(model), before)
    with pytest.raises(ConfigError, match="nothing in validation_data counts"):
        model.fit(X, Y, verbose=0, validation_data=itertools.repeat(batch(way)), validation_steps=2)
    with pytest.raises(ConfigError, match="nothing in x counts"):
        model.evaluate(itertools.repeat(batch(way)), steps=2, verbose=0)


@pytest.mark.parametrize("way", ["mask", "lengths"])
def test_sequences_that_are_all_empty(way):
    model = Sequential([Input((None, 2)), LSTM(4), Dense(1)], seed=0)
    model.compile("adam", "mse")
    with pytest.raises(
        ConfigError, match="nothing in x counts: every row has 0 steps; check lengths and mask"
    ):
        model.fit(X, np.ones(6), verbose=0, **WAYS[way])
    with pytest.raises(ConfigError, match="nothing in x counts"):
        model.evaluate(X, np.ones(6), verbose=0, **WAYS[way])


def test_weights_of_a_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    for way in WAYS:
        with pytest.raises(ConfigError, match="nothing in .*x counts"):
            model_of().fit(x, targets(way), verbose=0, **WAYS[way])


def test_class_weights_of_zero():
    with pytest.raises(
        ConfigError, match="every weight is 0; check sample_weight and class_weight"
    ):
        model_of().fit(X, Y, verbose=0, class_weight={0: 0, 1: 0, 2: 0})


OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.01),
    "mean": lambda: optimizers.Adam(0.01, use_ema=True),
    "accumulated": lambda: optimizers.SGD(0.01, gradient_accumulation_steps=2),
    "decay": lambda: optimizers.AdamW(0.01, weight_decay=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("way", WAYS)
def test_a_single_such_batch_makes_no_step(way, name):
    one, other, logs = model_of(OPTIMIZERS[name]()), model_of(OPTIMIZERS[name]()), []
    good = [(X[:3], Y[:3]), (X[3:], Y[3:])]
    history = one.fit(
        itertools.cycle([batch(way), good[0], batch(way), good[1]]),
        steps_per_epoch=4,
        epochs=2,
        verbose=0,
        callbacks=LambdaCallback(on_train_batch_end=lambda number, seen: logs.append(dict(seen))),
    )
    expected = other.fit(itertools.cycle(good), steps_per_epoch=2, epochs=2, verbose=0)
    assert equal(state_of(one), state_of(other))
    if "weight" not in way:  # rows of weight 0 are rows of the mean, as ever
        assert history.history == expected.history
        assert logs[0] == {}
        assert logs[1] == logs[2]


@pytest.mark.parametrize("way", ["mask", "lengths", "ignored"])
def test_it_counts_in_no_mean_of_an_evaluation(way):
    model = model_of()
    both = model.evaluate(iter([batch(way), (X, Y), batch(way)]), verbose=0)
    assert both == model.evaluate(X, Y, verbose=0)


def test_weights_of_zero_do_not_make_an_evaluation_depend_on_the_batches():
    model, weights = model_of(), np.array([0, 0, 0, 1, 0, 1.0])
    whole = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert model.evaluate(X, Y, sample_weight=weights, batch_size=1, verbose=0) == pytest.approx(
        whole, rel=1e-6
    )


@pytest.mark.parametrize("way", WAYS)
def test_on_one_batch(way):
    model = model_of()
    model.train_on_batch(X, Y)
    before = state_of(model)
    got = model.train_on_batch(X, targets(way), **WAYS[way])
    assert equal(state_of(model), before)
    also = model.test_on_batch(X, targets(way), **WAYS[way])
    if "weight" not in way:
        assert all(map(math.isnan, [*got, *also]))
        assert model.test_on_batch(X, targets(way), return_dict=True, **WAYS[way]).keys() == {
            "loss",
            "accuracy",
        }


def test_early_stopping_does_not_take_it_for_the_best():
    stopping = EarlyStopping("val_loss", patience=9, restore_best_weights=True)
    empty = batch("mask")
    history = model_of().fit(
        X,
        Y,
        epochs=3,
        verbose=0,
        callbacks=stopping,
        validation_data=iter([(X, Y), empty, (X, Y), empty, (X, Y), empty]),
        validation_steps=2,
    )
    assert min(history.history["val_loss"]) > 0
    assert stopping.best == min(history.history["val_loss"])


def test_states_go_on_over_parts_that_the_loss_ignores():
    """The second part of three is not looked at: the third starts from the state behind it."""
    ignored = Y.copy()
    ignored[:, 1:3] = 9
    one, other = model_of("sgd"), model_of("sgd", stateful=True)
    one.fit(X, ignored, tbptt_steps=1, epochs=1, verbose=0, shuffle=False)
    for step in range(4):
        other.train_on_batch(X[:, step : step + 1], ignored[:, step : step + 1])
    assert one.optimizer.iterations == other.optimizer.iterations == 2
    np.testing.assert_allclose(one._flat_weights(), other._flat_weights(), rtol=1e-6)


def test_moving_averages_stay():
    model = Sequential(
        [Input((None, 2)), BatchNormalization(), GRU(3, return_sequences=True), Dense(1)], seed=0
    )
    model.compile("adam", "mse")
    model.train_on_batch(X, Y / 2)
    before = state_of(model)
    model.train_on_batch(X, Y / 2, mask=NOWHERE)
    assert equal(state_of(model), before)
    model.train_on_batch(X, Y / 2)
    assert np.isfinite(model._flat_weights()).all()


def test_a_run_goes_on_from_a_file_between_such_batches(tmp_path):
    def run(seed, **options):
        model = Sequential(
            [Input((None, 2)), GRU(4, return_sequences=True, dropout=0.3), Dense(3, "softmax")],
            seed=seed,
        )
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        items = itertools.cycle(
            [batch("mask"), batch("sample_weight"), (X, Y), batch("mask"), (X, Y)]
        )
        history = model.fit(
            items,
            steps_per_epoch=5,
            epochs=2,
            verbose=0,
            callbacks=ModelCheckpoint(str(tmp_path / "{epoch}-{batch}"), save_freq=1),
            **options,
        )
        return model, history

    whole, history = run(0)
    for at in ("1-1", "1-2", "2-4"):
        again, resumed = run(9, resume_from=tmp_path / at)
        assert np.array_equal(again._flat_weights(), whole._flat_weights())
        assert resumed.history == history.history
