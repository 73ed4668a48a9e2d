"""Sequences of batches that grow and shrink from epoch to epoch, in training and in validation."""

import numpy as np
import pytest
from seeds import generator

from gatewise import checkpoint
from gatewise.callbacks import Callback, LambdaCallback, ModelCheckpoint
from gatewise.errors import ConfigError, ShapeError, TrainingWarning
from gatewise.layers import GRU, Dense, Dropout, Input
from gatewise.models import Sequential


def model_of(seed=0):
    model = Sequential([Input((None, 2)), GRU(3), Dropout(0.2), Dense(1)], seed=seed)
    model.compile("adam", "mse")
    return model


class Batches:
    """`sizes` says how many batches each epoch has."""

    def __init__(self, *sizes):
        self.sizes, self.epoch, self.log = sizes, 0, []
        draws = generator(1)
        self.items = [(draws.normal(size=(3, 4, 2)), draws.normal(size=(3, 1))) for _ in range(9)]

    def __len__(self):
        return self.sizes[min(self.epoch, len(self.sizes) - 1)]

    def __getitem__(self, number):
        if number >= len(self):
            raise IndexError(f"batch {number} of {len(self)}")
        self.log.append(number)
        return self.items[number]

    def on_epoch_end(self):
        self.log.append("end")
        self.epoch += 1


class PyDataset(Batches):
    """As Keras's: num_batches beside len, and a moment before each epoch."""

    @property
    def num_batches(self):
        return len(self)

    def on_epoch_begin(self):
        self.log.append("begin")


def test_growth_is_used_and_shrinking_is_fine():
    source, steps = Batches(2, 4, 1), []
    model = model_of()
    watch = Callback()
    watch.on_train_batch_end = lambda batch, logs=None: steps.append(watch.params["steps"])
    model.fit(source, shuffle=False, epochs=3, verbose=0, callbacks=watch)
    assert source.log == [0, 1, "end", 0, 1, 2, 3, "end", 0, "end"]
    assert steps == [2, 2, 4, 4, 4, 4, 1]
    assert model.optimizer.iterations == 7


def test_shuffled_batches_grow_as_well():
    source = Batches(2, 5)
    model_of().fit(source, epochs=2, verbose=0)
    assert sorted(source.log[3:8]) == [0, 1, 2, 3, 4]


def test_data_of_validation_grow_and_shrink():
    source = Batches(3, 1, 4)
    model_of().fit(Batches(1), validation_data=source, epochs=3, verbose=0)
    assert source.log == [0, 1, 2, "end", 0, "end", 0, 1, 2, 3, "end"]


def test_a_callback_can_make_them_grow():
    source = Batches(1)
    model = model_of()
    model.fit(
        source,
        epochs=3,
        verbose=0,
        callbacks=LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(source, "sizes", (epoch + 1,))
        ),
    )
    assert model.optimizer.iterations == 6


def test_the_moments_of_a_dataset():
    source, other = PyDataset(1, 2), PyDataset(1)
    model = model_of()
    model.fit(source, shuffle=False, epochs=2, verbose=0, validation_data=other)
    assert source.log == ["begin", 0, "end", "begin", 0, 1, "end"]
    assert other.log == ["begin", 0, "end"] * 2
    other.log.clear()
    model.evaluate(other, verbose=0)
    model.predict(other, verbose=0)
    assert other.log == ["begin", 0, "end"] * 2


def test_a_dataset_without_end():
    class Endless:
        num_batches = None

        def __init__(self):
            self.log = []

        def __getitem__(self, number):
            self.log.append(number)
            return Batches(1).items[number % 9]

    source = Endless()
    model_of().fit(source, steps_per_epoch=2, epochs=3, verbose=0)
    assert source.log == list(range(6))
    with pytest.raises(ConfigError, match="x makes batches without end .*steps_per_epoch how many"):
        model_of().fit(Endless(), verbose=0)
    with pytest.raises(ConfigError, match="validation_steps how many"):
        model_of().fit(Batches(1), validation_data=Endless(), verbose=0)


def test_steps_that_are_no_longer_there():
    with pytest.warns(
        TrainingWarning, match="x makes 2 batches now, and steps_per_epoch asks for 3"
    ):
        model = model_of()
        model.fit(Batches(4, 2), steps_per_epoch=3, epochs=2, verbose=0)
    assert model.optimizer.iterations == 5
    with pytest.raises(ConfigError, match="steps_per_epoch is 5, and x makes 4 batches"):
        model_of().fit(Batches(4), steps_per_epoch=5, verbose=0)


def test_nothing_left():
    with pytest.raises(ShapeError, match="x gave no batch"):
        model_of().fit(Batches(2, 0), epochs=2, verbose=0)
    with pytest.raises(ShapeError, match="0 samples"):
        model_of().fit(Batches(2), validation_data=Batches(2, 0), epochs=2, verbose=0)


@pytest.mark.parametrize("at", [(0, None), (1, None), (1, 1), (2, 4)], ids=str)
@pytest.mark.parametrize("kind", [Batches, PyDataset])
def test_a_resumed_run_sees_them_grow(kind, at, tmp_path):
    epoch, batch = at
    name = "{epoch}" if batch is None else "{epoch}-{batch}"

    def run(seed, **options):
        model = model_of(seed)
        watch = ModelCheckpoint(str(tmp_path / name), save_freq="epoch" if batch is None else 1)
        history = model.fit(
            kind(2, 3, 5, 4),
            epochs=4,
            verbose=0,
            callbacks=watch,
            validation_data=kind(1, 3, 2),
            **options,
        )
        return model, history

    whole, history = run(0)
    path = tmp_path / name.format(epoch=epoch + 1, batch=batch)
    again, resumed = run(9, resume_from=path)
    assert np.array_equal(again._flat_weights(), whole._flat_weights())
    assert resumed.history == history.history


def test_an_epoch_under_way_needs_as_many_batches(tmp_path):
    watch = ModelCheckpoint(str(tmp_path / "{epoch}-{batch}"), save_freq=1)
    model_of().fit(Batches(3, 5), epochs=2, verbose=0, callbacks=watch)
    model, before = model_of(), model_of().get_weights()
    with pytest.raises(
        ConfigError, match="x makes 4 batches, and made 5 in the epoch in which the run was saved"
    ):
        model.fit(Batches(3, 4), epochs=2, verbose=0, callbacks=watch, resume_from=tmp_path / "2-2")
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before))
    model.fit(Batches(3, 5), epochs=2, verbose=0, callbacks=watch, resume_from=tmp_path / "2-2")


def test_a_file_that_holds_the_length_as_steps_goes_on(tmp_path):
    """As files did before the length was read in each epoch."""
    whole, model, again = model_of(), model_of(), model_of(9)
    whole.fit(Batches(3), epochs=2, verbose=0)
    model.fit(Batches(3), epochs=1, verbose=0)
    model.save(tmp_path / "m")
    tensors, header = checkpoint.read(tmp_path / "m")
    assert header["run"]["feed"]["steps_per_epoch"] is None
    header["run"]["feed"]["steps_per_epoch"] = 3
    checkpoint.write(tmp_path / "m", tensors, header)
    again.fit(Batches(3), epochs=2, verbose=0, resume_from=tmp_path / "m")
    assert np.array_equal(again._flat_weights(), whole._flat_weights())
    with pytest.raises(ConfigError, match="the saved run had steps_per_epoch 3, this one has None"):
        model_of().fit(Batches(4), epochs=2, verbose=0, resume_from=tmp_path / "m")


def test_an_iterator_of_validation_goes_on_where_it_was(tmp_path):
    def batches():
        draws = generator(4)
        while True:
            yield draws.normal(size=(3, 4, 2)), draws.normal(size=(3, 1))

    def run(model, **options):
        return model.fit(
            Batches(2),
            epochs=4,
            verbose=0,
            validation_data=batches(),
            validation_steps=2,
            validation_freq=2,
            callbacks=ModelCheckpoint(str(tmp_path / "{epoch}")),
            **options,
        )

    history = run(model_of())
    assert run(model_of(9), resume_from=tmp_path / "3").history == history.history
