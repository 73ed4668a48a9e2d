"""Training on batches that x makes: generators, iterables, indexed sequences."""

import numpy as np
import pytest

from gatewise.callbacks import EarlyStopping, LambdaCallback, ModelCheckpoint, ReduceLROnPlateau
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError, TrainingWarning

from .feed_cases import Again, fitted, forecaster, same_weights

# ---- batches that x makes


def batches_of(x, y, size=6):
    return [(x[a : a + size], y[a : a + size]) for a in range(0, len(x), size)]


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
    with pytest.raises(ConfigError, match="give validation_steps"):
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
    """Epochs without validation are no news.

    Nothing is warned of, and the file of the best weights stays as it is.
    """
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
