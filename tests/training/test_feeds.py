"""Where batches come from: rows, sequences of different lengths, mapped files."""

import numpy as np
import pytest
from samples import arrays_of, raw_samples
from seeds import generator

from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import GRU, LSTM, Dense, Flatten, Input
from gatewise.models import Sequential
from gatewise.training.feeds import RowFeed

from .feed_cases import fitted, forecaster, ragged, same_weights, tagger

# ---- rows


def test_every_row_comes_once_whatever_the_plan(rng):
    lengths = rng.integers(0, 30, 101)
    samples = raw_samples(np.arange(101.0).reshape(-1, 1, 1).repeat(30, 1), lengths=lengths)
    for options in ({}, {"shuffle": True}, {"shuffle": True, "bucketing": True}):
        feed = RowFeed(samples, 8, **options)
        batches = [arrays_of(batch) for batch, begins in feed.batches(feed.plan(generator(1)))]
        assert sorted(np.concatenate([batch.x[:, 0, 0] for batch in batches])) == list(range(101))
        assert feed.steps == len(batches) == 13


def test_a_plan_follows_from_the_generator(rng):
    samples = raw_samples(rng.normal(size=(40, 6, 1)), lengths=rng.integers(1, 7, 40))
    feed = RowFeed(samples, 4, shuffle=True, bucketing=True)
    first, again, other = (feed.plan(generator(seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, other))
    rest = list(feed.batches(first, 7))
    assert len(rest) == 3
    np.testing.assert_array_equal(
        arrays_of(rest[0][0]).x, arrays_of(samples).x[first[7][0], first[7][1]]
    )


def test_buckets_hold_rows_of_about_one_length(rng):
    lengths = rng.integers(1, 200, 640)
    samples = raw_samples(np.zeros((640, 200, 1)), lengths=lengths)
    padding = {}
    for bucketing in (False, True):
        feed = RowFeed(samples, 16, shuffle=True, bucketing=bucketing)
        batches = [arrays_of(batch) for batch, begins in feed.batches(feed.plan(generator(0)))]
        padding[bucketing] = sum(batch.x.shape[0] * batch.x.shape[1] for batch in batches)
    assert padding[True] < 1.15 * lengths.sum()
    assert padding[False] > 1.8 * lengths.sum()


def test_a_batch_is_as_long_as_its_longest_row(rng):
    lengths = np.array([3, 0, 5, 0, 0, 1])
    samples = raw_samples(
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
        batch = arrays_of(batch)
        steps = max(1, batch.lengths.max())
        assert {
            a.shape[1] for a in (batch.x, batch.y, batch.weights, batch.resets, batch.valid)
        } == {steps}
        assert batch.x.flags.c_contiguous


def test_bucketing_changes_no_gradient(rng):
    """One batch of all rows.

    Shuffled, sorted and cut, its step is that of the rows as they were, up to rounding.
    """
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
    from gatewise.training import mapped as module

    original = module.prepare_placed
    monkeypatch.setattr(
        module,
        "prepare_placed",
        lambda model, given, *rest: [rows.append(len(given.x[0])), original(model, given, *rest)][
            1
        ],
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
