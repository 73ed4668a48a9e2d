"""Where batches come from."""

import numpy as np
import pytest
from seeds import generator

from gatewise.callbacks import EarlyStopping, LambdaCallback, ModelCheckpoint, ReduceLROnPlateau
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError, TrainingWarning
from gatewise.layers import GRU, LSTM, Dense, Dropout, Flatten, Input
from gatewise.models import Sequential
from gatewise.training.data import Samples
from gatewise.training.feeds import BatchFeed, RowFeed, chunks


def forecaster(features=2, dtype="float32", **options):
    model = Sequential([Input((None, features), dtype=dtype), LSTM(5, **options), Dense(1)], seed=0)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def tagger(dtype="float64", **options):
    model = Sequential(
        [Input((None, 2), dtype=dtype), GRU(5, return_sequences=True, **options), Dense(1)], seed=0
    )
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def data(rng):
    x = rng.normal(size=(22, 9, 2))
    return x, x.sum(axis=(1, 2))[:, None]


def same_weights(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights()))


def fitted(model, *args, epochs=3, **options):
    return model.fit(*args, epochs=epochs, verbose=0, **options), model


# ---- rows


def test_every_row_comes_once_whatever_the_plan(rng):
    lengths = rng.integers(0, 30, 101)
    samples = Samples(np.arange(101.0).reshape(-1, 1, 1).repeat(30, 1), lengths=lengths)
    for options in ({}, {"shuffle": True}, {"shuffle": True, "bucketing": True}):
        feed = RowFeed(samples, 8, **options)
        batches = [batch for batch, begins in feed.batches(feed.plan(generator(1)))]
        assert sorted(np.concatenate([batch.x[:, 0, 0] for batch in batches])) == list(range(101))
        assert feed.steps == len(batches) == 13


def test_a_plan_follows_from_the_generator(rng):
    samples = Samples(rng.normal(size=(40, 6, 1)), lengths=rng.integers(1, 7, 40))
    feed = RowFeed(samples, 4, shuffle=True, bucketing=True)
    first, again, other = (feed.plan(generator(seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, other))
    rest = list(feed.batches(first, 7))
    assert len(rest) == 3
    np.testing.assert_array_equal(rest[0][0].x, samples.x[first[7][0], first[7][1]])


def test_buckets_hold_rows_of_about_one_length(rng):
    lengths = rng.integers(1, 200, 640)
    samples = Samples(np.zeros((640, 200, 1)), lengths=lengths)
    padding = {}
    for bucketing in (False, True):
        feed = RowFeed(samples, 16, shuffle=True, bucketing=bucketing)
        batches = [batch for batch, begins in feed.batches(feed.plan(generator(0)))]
        padding[bucketing] = sum(batch.x.shape[0] * batch.x.shape[1] for batch in batches)
    assert padding[True] < 1.15 * lengths.sum()
    assert padding[False] > 1.8 * lengths.sum()


def test_a_batch_is_as_long_as_its_longest_row(rng):
    lengths = np.array([3, 0, 5, 0, 0, 1])
    samples = Samples(
        rng.normal(size=(6, 9, 2)),
        rng.normal(size=(6, 9, 1)),
        rng.random((6, 9)),
        lengths,
        rng.random((6, 9)) < 0.5,
        np.ones((6, 9)),
        per_step=True,
    )
    feed = RowFeed(samples, 2, shuffle=True, bucketing=True)
    for batch, _ in feed.batches(feed.plan(rng)):
        steps = max(1, batch.lengths.max())
        assert {
            a.shape[1] for a in (batch.x, batch.y, batch.weights, batch.resets, batch.valid)
        } == {steps}
        assert batch.x.flags.c_contiguous


def test_bucketing_changes_no_gradient(rng):
    """One batch of all rows: shuffled, sorted and cut, its step is that of the rows as they were, up to rounding."""
    x, lengths = rng.normal(size=(12, 9, 2)), rng.integers(1, 7, 12)
    y = rng.normal(size=(12, 9, 1))
    models = [tagger() for _ in range(2)]
    for model, bucketing in zip(models, (True, False)):
        fitted(model, x, y, lengths=lengths, batch_size=12, bucketing=bucketing)
    for a, b in zip(models[0].get_weights(), models[1].get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "options",
    [{"shuffle": False, "lengths": [1] * 22}, {}, {"lengths": [1] * 22, "stateful": True}],
)
def test_bucketing_that_cannot_be(options, data):
    model = forecaster(stateful=options.pop("stateful", False))
    with pytest.raises(ConfigError, match="bucketing sorts shuffled rows by their lengths"):
        model.fit(*data, bucketing=True, **options)
    with pytest.raises(ConfigError, match="expected True, False or 'auto'"):
        model.fit(*data, bucketing="yes")


def test_a_flatten_needs_its_steps(rng):
    model = Sequential([Input((6, 2)), GRU(3, return_sequences=True), Flatten(), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(8, 6, 2)), rng.normal(size=(8, 1))
    model.fit(x, y, lengths=[2] * 8, verbose=0)
    with pytest.raises(ConfigError, match="no Flatten"):
        model.fit(x, y, lengths=[2] * 8, bucketing=True)


# ---- sequences of different lengths


def ragged(rng, count=10):
    return [rng.normal(size=(int(steps), 2)) for steps in rng.integers(0, 8, count)]


@pytest.mark.parametrize(
    "container", [list, tuple, lambda rows: np.array([*rows, None], dtype=object)[:-1]]
)
def test_a_list_of_sequences_is_an_array_with_lengths(container, rng):
    rows = ragged(rng)
    lengths = [len(row) for row in rows]
    padded = np.zeros((10, max(lengths), 2))
    for place, row in zip(padded, rows):
        place[: len(row)] = row
    y = rng.normal(size=(10, 1))
    one, other = forecaster(), forecaster()
    fitted(one, container(rows), y)
    fitted(other, padded, y, lengths=lengths)
    assert same_weights(one, other)
    assert np.array_equal(one.predict(container(rows)), other.predict(padded, lengths=lengths))
    assert one.evaluate(container(rows), y, verbose=0) == other.evaluate(
        padded, y, lengths=lengths, verbose=0
    )


def test_targets_and_weights_a_step_may_be_ragged_too(rng):
    rows = [rng.normal(size=(steps, 2)) for steps in (3, 1, 5)]
    y = [rng.normal(size=(len(row), 1)) for row in rows]
    weights = [rng.random(len(row)) for row in rows]
    one, other = tagger(), tagger()
    fitted(one, rows, y, sample_weight=weights)

    def pad(parts):
        return np.stack([np.pad(p, [(0, 5 - len(p))] + [(0, 0)] * (p.ndim - 1)) for p in parts])

    fitted(other, pad(rows), pad(y), sample_weight=pad(weights), lengths=[3, 1, 5])
    assert same_weights(one, other)
    with pytest.raises(ShapeError, match=r"y\[1\] has 2 steps, x\[1\] has 1"):
        one.fit(rows, [y[0], np.zeros((2, 1)), y[2]])


def test_sequences_and_their_labels_for_ctc(rng):
    rows, labels = [rng.normal(size=(steps, 2)) for steps in (6, 3, 9)], [[1, 2], [], [2, 2, 1]]
    models = []
    for _ in range(2):
        models.append(
            Sequential([Input((None, 2)), GRU(5, return_sequences=True), Dense(3)], seed=0)
        )
        models[-1].compile("adam", "ctc")
    fitted(models[0], rows, labels)
    padded = np.stack([np.pad(row, [(0, 9 - len(row)), (0, 0)]) for row in rows])
    fitted(models[1], padded, np.array([[1, 2, -1], [-1, -1, -1], [2, 2, 1]]), lengths=[6, 3, 9])
    assert same_weights(*models)


def test_sequences_of_one_feature(rng):
    model = Sequential([Input((None, 1)), LSTM(3), Dense(1)], seed=0)
    assert model.predict([[1.0, 2.0], [3.0], [1, 2, 3]]).shape == (3, 1)
    same = model.predict(np.array([[1, 2, 0], [3, 0, 0], [1, 2, 3]]), lengths=[2, 1, 3])
    np.testing.assert_array_equal(model.predict([[1.0, 2.0], [3.0], [1, 2, 3]]), same)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([np.zeros((3, 2)), np.zeros((2, 3))], r"\(3,\)"),
        ([np.zeros((3, 2)), np.zeros((2, 2, 2))], r"\(2, 2\)"),
        ([np.zeros((3, 2)), np.full((2, 2), np.nan)], "x holds nan at index"),
        ([np.zeros((3, 2)), [["a", "b"]]], "numbers"),
    ],
)
def test_sequences_that_do_not_go_together(rows, words):
    with pytest.raises((ShapeError, DTypeError, ValueError), match=words):
        forecaster().predict(rows)


def test_lengths_beside_sequences_that_have_theirs():
    with pytest.raises(ConfigError, match="has its own"):
        forecaster().predict([np.zeros((3, 2)), np.zeros((2, 2))], lengths=[1, 1])


# ---- files


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize(
    "options",
    [{}, {"lengths": True, "class": False}, {"validation_split": 0.25}, {"shuffle": False}],
)
def test_a_mapped_array_trains_like_one_in_memory(dtype, options, data, tmp_path, rng):
    x, y = (10 * data[0]).astype(dtype), data[1]
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    options = dict(options)
    options.pop("class", None)
    if options.pop("lengths", False):
        options["lengths"] = rng.integers(0, 10, 22)
    one, other = forecaster(), forecaster()
    first, _ = fitted(one, x, y, batch_size=5, **options)
    second, _ = fitted(
        other,
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        np.load(tmp_path / "y.npy", mmap_mode="r"),
        batch_size=5,
        **options,
    )
    assert same_weights(one, other)
    assert first.history == second.history
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(other.predict(mapped, batch_size=4), one.predict(x))
    assert other.evaluate(mapped, y, verbose=0) == one.evaluate(x, y, verbose=0)


def test_a_mapped_array_is_read_a_batch_at_a_time(data, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", data[0])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    rows = []
    from gatewise.training import data as module

    original = module.prepare_samples
    monkeypatch.setattr(
        module,
        "prepare_samples",
        lambda model, x, *rest: [rows.append(len(x)), original(model, x, *rest)][1],
    )
    forecaster().fit(mapped, data[1], batch_size=6, verbose=0)
    assert max(rows) == 6


def test_class_weights_with_a_mapped_array(data, tmp_path):
    np.save(tmp_path / "x.npy", data[0])
    labels = (data[1][:, 0] > 0).astype(int)
    models = []
    for x in (data[0], np.load(tmp_path / "x.npy", mmap_mode="r")):
        model = Sequential([Input((None, 2)), LSTM(4), Dense(2, activation="softmax")], seed=0)
        model.compile("adam", "sparse_categorical_crossentropy")
        models.append(fitted(model, x, labels, class_weight={0: 3.0, 1: 0.5}, batch_size=5)[1])
    assert same_weights(*models)


def test_bad_numbers_in_a_mapped_array_are_named(data, tmp_path):
    x = data[0].copy()
    x[17, 3, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ValueError, match="x holds nan"):
        forecaster().fit(np.load(tmp_path / "x.npy", mmap_mode="r"), data[1], verbose=0)
    with pytest.raises(ShapeError, match="y has 3 rows, x has 22"):
        forecaster().fit(np.load(tmp_path / "x.npy", mmap_mode="r"), data[1][:3], verbose=0)


# ---- batches that x makes


def batches_of(x, y, size=6):
    return [(x[a : a + size], y[a : a + size]) for a in range(0, len(x), size)]


class Again:
    """Can be gone over again, and has no length."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


class Indexed:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


def forever(items):
    while True:
        yield from items


@pytest.mark.parametrize(
    "make",
    [
        lambda items: (Again(items), {}),
        lambda items: (Indexed(items), {"shuffle": False}),
        lambda items: (forever(items), {"steps_per_epoch": len(items)}),
        lambda items: (iter(items * 3), {"steps_per_epoch": len(items)}),
    ],
    ids=["iterable", "indexed", "generator", "iterator"],
)
def test_batches_train_like_the_rows_they_are_made_of(make, data):
    one, other = forecaster(), forecaster()
    first, _ = fitted(one, *data, batch_size=6, shuffle=False)
    x, options = make(batches_of(*data))
    second, _ = fitted(other, x, **options)
    assert same_weights(one, other)
    assert first.history == second.history


def test_indexed_batches_are_shuffled(data):
    seen = []

    class Watched(Indexed):
        def __getitem__(self, number):
            seen.append(number)
            return self.items[number]

    forecaster().fit(Watched(batches_of(*data, size=2)), epochs=2, verbose=0)
    assert sorted(seen[:11]) == sorted(seen[11:]) == list(range(11))
    assert seen[:11] != seen[11:]
    assert len(seen) == 22


def test_an_iterator_that_ends_ends_training(data):
    with pytest.warns(TrainingWarning, match="x gave no more batches in epoch 2"):
        history = forecaster().fit(
            iter(batches_of(*data, size=4)), steps_per_epoch=4, epochs=9, verbose=0
        )
    assert history.epoch == [0, 1]


def test_weights_and_lengths_of_batches(data, rng):
    weights, lengths = rng.random(22), rng.integers(0, 10, 22)
    one, other = forecaster(), forecaster()
    fitted(one, *data, sample_weight=weights, lengths=lengths, batch_size=22, shuffle=False)
    fitted(other, Again([(*data, weights, lengths)]))
    assert same_weights(one, other)


@pytest.mark.parametrize("option", ["y", "sample_weight", "lengths", "resets", "validation_split"])
def test_nothing_goes_beside_batches(option, data):
    value = 0.5 if option == "validation_split" else np.zeros(22)
    with pytest.raises(ConfigError, match=f"{option} was given beside an x that makes batches"):
        forecaster().fit(Again(batches_of(*data)), **{option: value})


@pytest.mark.parametrize(
    ("items", "error", "words"),
    [
        ([], ShapeError, "x gave no batch"),
        ([np.zeros((2, 3, 2))], DTypeError, "a batch that x gave has 1 part"),
        ([(np.zeros((0, 3, 2)), np.zeros((0, 1)))], ShapeError, "a batch of 0 samples"),
        ([(np.zeros((2, 3, 4)), np.zeros((2, 1)))], ShapeError, "the model expects"),
        ([(1, 2, 3, 4, 5, 6, 7)], DTypeError, "7 parts"),
    ],
)
def test_batches_that_are_none(items, error, words):
    with pytest.raises(error, match=words):
        forecaster().fit(Again(items), verbose=0)


def test_steps_belong_to_batches(data):
    with pytest.raises(ConfigError, match="steps_per_epoch counts batches that x makes itself"):
        forecaster().fit(*data, steps_per_epoch=3)
    with pytest.raises(ConfigError, match="validation_steps counts batches"):
        forecaster().fit(*data, validation_data=data, validation_steps=3)
    with pytest.raises(ConfigError, match="say with validation_steps"):
        forecaster().fit(*data, validation_data=iter(batches_of(*data)))


@pytest.mark.parametrize(
    "make",
    [Again, Indexed, lambda items: forever(items)],
    ids=["iterable", "indexed", "generator"],
)
def test_validation_on_batches(make, data):
    one, other = forecaster(), forecaster()
    first, _ = fitted(one, *data, batch_size=6, validation_data=data)
    options = {"validation_steps": 4} if make not in (Again, Indexed) else {}
    second, _ = fitted(
        other, *data, batch_size=6, validation_data=make(batches_of(*data)), **options
    )
    assert first.history == second.history


def test_evaluate_and_predict_on_batches(data):
    model = forecaster()
    items = batches_of(*data)
    assert model.evaluate(Again(items), verbose=0) == model.evaluate(*data, batch_size=6, verbose=0)
    assert np.array_equal(model.predict(Indexed([x for x, _ in items])), model.predict(data[0]))
    assert np.array_equal(model.predict(forever(items), steps=2), model.predict(data[0][:12]))


def test_validation_now_and_then(data):
    model = forecaster()
    history, _ = fitted(model, *data, epochs=5, validation_data=data, validation_freq=2)
    assert len(history.history["loss"]) == 5
    assert len(history.history["val_loss"]) == 2


@pytest.mark.filterwarnings("error")
def test_callbacks_wait_for_validation_that_comes_now_and_then(data, tmp_path):
    """Epochs without validation are no news: nothing is warned of, and the file of the best weights stays as it is."""
    model = forecaster()
    best = ModelCheckpoint(tmp_path / "{epoch}.gatewise", save_best_only=True)
    stop = EarlyStopping(patience=5)
    fitted(
        model,
        *data,
        epochs=5,
        validation_data=data,
        validation_freq=2,
        callbacks=[best, stop, ReduceLROnPlateau()],
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.gatewise", "4.gatewise"]
    assert stop.best == best.best == min(model.history.history["val_loss"])
    with pytest.raises(TrainingWarning, match="watches 'val_f1' and the logs hold .*'val_loss'"):
        fitted(
            model,
            *data,
            epochs=2,
            validation_data=data,
            validation_freq=2,
            callbacks=[EarlyStopping("val_f1", mode="max")],
        )


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


def test_parts_of_all_steps_are_plain_training(rng):
    x, y = rng.normal(size=(5, 9, 2)), rng.normal(size=(5, 9, 1))
    one, other = tagger(), tagger()
    first, _ = fitted(one, x, y, batch_size=2)
    second, _ = fitted(other, x, y, batch_size=2, tbptt_steps=9)
    assert same_weights(one, other)
    assert first.history == second.history


def test_two_layers_carry_theirs_and_predictions_between_disturb_nothing(rng):
    from gatewise.callbacks import LambdaCallback

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
    assert [batch.x.shape[1] for batch, _ in feed.batches(None, 1)] == [4, 1]


# ---- what cannot be, before an epoch is spent


def test_a_list_is_x_where_nothing_else_is_needed(rng):
    """A batch of sequences of different lengths, not x, y, weights, ...; a tuple is those."""
    model = forecaster(features=1)
    rows = [rng.normal(size=(steps, 1)) for steps in (5, 3, 4)]
    expected = model.predict(rows)
    np.testing.assert_array_equal(model.predict(iter([rows])), expected)
    np.testing.assert_array_equal(
        model.predict(Again([rows, (rows[:2], None, None)])),
        np.concatenate([expected, expected[:2]]),
    )


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"steps_per_epoch": 9}, ConfigError, "steps_per_epoch is 9, and x makes 4 batches"),
        ({"steps_per_epoch": 0}, ConfigError, "steps_per_epoch is 0"),
        ({"bucketing": "abc"}, ConfigError, "bucketing is 'abc'"),
        ({"bucketing": True}, ConfigError, "bucketing sorts shuffled rows"),
        (
            {"validation_data": "same", "validation_steps": 7},
            ConfigError,
            "validation_steps is 7, and x makes 4 batches",
        ),
        ({"validation_split": 2}, ConfigError, "validation_split is 2"),
    ],
)
def test_options_that_do_not_fit_batches(options, error, words, data):
    batches = Indexed(batches_of(*data))
    if "validation_data" in options:
        options = options | {"validation_data": batches}
    with pytest.raises(error, match=words):
        forecaster().fit(batches, verbose=0, **options)


def test_options_that_are_junk_beside_others_are_looked_at(data):
    with pytest.raises(DTypeError, match="validation_split is 'junk'"):
        forecaster().fit(*data, validation_data=data, validation_split="junk")
    with pytest.raises(DTypeError, match="an epoch of validation_freq is 0.5"):
        forecaster().fit(*data, validation_data=data, validation_freq=[0.5])


def test_fewer_batches_than_steps_say_so(data):
    with pytest.warns(TrainingWarning, match="x gave 4 batches, and steps_per_epoch asks for 6"):
        history, _ = fitted(forecaster(), Again(batches_of(*data)), epochs=2, steps_per_epoch=6)
    assert history.epoch == [0, 1]


@pytest.mark.parametrize("chosen", [[1, 4], np.array([4, 1]), frozenset({1, 4}), range(1, 5, 3)])
def test_validation_after_chosen_epochs(data, chosen, tmp_path):
    seen = []
    model = forecaster()
    fitted(
        model,
        *data,
        epochs=5,
        validation_data=data,
        validation_freq=chosen,
        callbacks=[
            LambdaCallback(on_test_begin=lambda logs: seen.append(len(model.history.epoch))),
            ModelCheckpoint(str(tmp_path / "{epoch}-{val_loss:.1e}")),
        ],
    )
    assert seen == [0, 3]
    assert sorted(path.name[:2] for path in tmp_path.iterdir()) == ["1-", "4-"]


def test_validation_that_never_comes_says_so(data):
    with pytest.warns(
        TrainingWarning, match="validation_freq is 9, and none of the epochs up to 4 is validated"
    ):
        history, _ = fitted(
            forecaster(),
            *data,
            epochs=4,
            validation_data=data,
            validation_freq=9,
            callbacks=EarlyStopping(),
        )
    assert list(history.history) == ["loss", "mae"]
    history, _ = fitted(forecaster(), *data, epochs=2, initial_epoch=2, validation_data=data)
    assert history.epoch == []


def test_the_rows_of_a_file_are_named(data, tmp_path):
    x, y = data
    x = x.copy()
    x[17, 3, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(
        NonFiniteError, match=r"whose rows are \[.*\b17\b.*\] of the memory-mapped array"
    ):
        fitted(forecaster(), np.load(tmp_path / "x.npy", mmap_mode="r"), y, batch_size=8)
