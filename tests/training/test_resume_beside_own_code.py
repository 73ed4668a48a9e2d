"""Resumed runs in which users' own callbacks, metrics and data take part.

To the bit, as all others.
"""

import dataclasses
import pickle

import numpy as np
import pytest

from gatewise import Sequential, callbacks, layers, metrics, optimizers
from gatewise.errors import CheckpointError, ConfigError, TrainingWarning


@pytest.fixture
def data(rng):
    return rng.normal(size=(20, 6, 2)), rng.normal(size=(20, 1))


def model_of(optimizer="adam", stateful=False, **options):
    model = Sequential(
        [layers.Input((None, 2)), layers.GRU(4, stateful=stateful), layers.Dense(1)], seed=1
    )
    model.compile(optimizer, "mse", **options)
    return model


def same(one, other):
    return (
        one.history.history == other.history.history
        and list(one.history.history) == list(other.history.history)
        and one.history.epoch == other.history.epoch
        and np.array_equal(one._flat_weights(), other._flat_weights())
    )


# ---- the end of an epoch


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("epoch", range(4))
def test_saved_by_a_callback_at_the_end_of_an_epoch(data, tmp_path, first, epoch):
    """The file is from before the others heard of it: on resuming they do."""

    def run(folder, resume=None):
        model = model_of(optimizers.SGD(0.1))
        folder.mkdir()
        saver = callbacks.LambdaCallback(
            on_epoch_end=lambda number, logs: model.save(folder / str(number))
        )
        others = [
            callbacks.EarlyStopping("loss", patience=3, min_delta=0.05, restore_best_weights=True),
            callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.05),
            callbacks.ModelCheckpoint(folder / "m"),
        ]
        model.fit(
            *data,
            epochs=4,
            batch_size=8,
            verbose=0,
            resume_from=resume,
            callbacks=[saver, *others] if first else [*others, saver],
        )
        return model

    whole = run(tmp_path / "whole")
    assert len(whole.history.epoch) == 4
    assert same(run(tmp_path / "rest", tmp_path / "whole" / str(epoch)), whole)
    assert (tmp_path / "rest" / "m").exists()


def test_a_callback_that_fails_at_the_end_of_an_epoch_loses_nobody_the_epoch(data, tmp_path):
    def fail(number, logs):
        if number == 1:
            raise KeyboardInterrupt

    model = model_of()
    with pytest.warns(
        TrainingWarning, match="interrupted after epoch 2: weights and history are kept"
    ):
        model.fit(
            *data,
            epochs=4,
            verbose=0,
            callbacks=[
                callbacks.LambdaCallback(on_epoch_end=fail),
                callbacks.EarlyStopping("loss"),
            ],
        )
    assert model.history.epoch == [0, 1]
    model.save(tmp_path / "m")
    rest, whole = model_of(), model_of()
    rest.fit(
        *data,
        epochs=4,
        verbose=0,
        callbacks=[callbacks.EarlyStopping("loss", patience=9)],
        resume_from=tmp_path / "m",
    )
    whole.fit(*data, epochs=4, verbose=0)
    assert same(rest, whole)


@pytest.mark.parametrize(
    "lie",
    [
        3,
        {},
        {"logs": {}},
        {"logs": {}, "waiting": []},
        {"logs": [3], "waiting": []},
        {"logs": [], "waiting": [["History"]]},
        {"logs": [], "waiting": [], "more": 1},
        {"logs": [["loss", "x"]], "waiting": []},
        {"logs": [["loss", 10**400]], "waiting": []},
        {"logs": [["a", 1], ["a", 2]], "waiting": []},
        {"logs": [["a", {}]], "waiting": []},
        {"logs": [], "waiting": [["History", 0.0]]},
        {"logs": [], "waiting": [["History", np.zeros(2)]]},
    ],
)
def test_an_epochs_end_that_lies(data, tmp_path, lie):
    model = model_of()
    model.fit(*data, verbose=0)
    model._training_run["epoch_end"] = lie
    model.save(tmp_path / "m")
    with pytest.raises(CheckpointError, match="epoch_end"):
        model_of().fit(*data, epochs=2, verbose=0, resume_from=tmp_path / "m")


# ---- the beginning


def test_what_callbacks_do_at_the_beginning_is_done_once(data, tmp_path):
    def run(name, resume=None):
        model = model_of(optimizers.SGD(0.5), stateful=True)

        def begin(logs):
            model.optimizer.learning_rate = 0.1
            model.reset_state()

        def halve(epoch, logs):
            model.optimizer.learning_rate /= 2

        model.fit(
            *data,
            epochs=4,
            verbose=0,
            resume_from=resume,
            callbacks=[
                callbacks.LambdaCallback(on_train_begin=begin, on_epoch_end=halve),
                callbacks.ModelCheckpoint(str(tmp_path / name) + "{epoch}"),
            ],
        )
        return model

    whole, rest = run("a"), run("b", tmp_path / "a2")
    assert whole.optimizer.learning_rate == rest.optimizer.learning_rate == 0.1 / 16
    assert same(whole, rest)


def test_a_fit_that_fails_at_once_leaves_the_run_before(data, tmp_path):
    model = model_of()
    model.fit(*data, verbose=0)
    history = model.history
    with pytest.raises(ConfigError, match="use_ema"):
        model.fit(*data, verbose=0, callbacks=[callbacks.SwapEMAWeights()])
    assert model.history is history
    model.save(tmp_path / "m")
    rest, whole = model_of(), model_of()
    rest.fit(*data, epochs=2, verbose=0, resume_from=tmp_path / "m")
    whole.fit(*data, epochs=2, verbose=0)
    assert same(rest, whole)


# ---- after the end


@pytest.mark.parametrize(
    "change",
    [
        lambda model, data: model.set_weights(model.get_weights()),
        lambda model, data: model.train_on_batch(*data),
        lambda model, data: model.compile("sgd", "mae"),
    ],
    ids=["weights", "a batch", "compile"],
)
def test_a_model_that_was_changed_after_fit_holds_no_run(data, tmp_path, change):
    model = model_of()
    model.fit(*data, verbose=0)
    change(model, data)
    model.save(tmp_path / "m")
    with pytest.raises(CheckpointError, match="no run to continue: .* or had been changed since"):
        model.fit(*data, epochs=2, verbose=0, resume_from=tmp_path / "m")


def test_a_run_that_a_callback_stopped_says_so(data, tmp_path):
    class Limit(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model_of().fit(
        *data, epochs=6, verbose=0, callbacks=[Limit(), callbacks.ModelCheckpoint(tmp_path / "m")]
    )
    with pytest.warns(TrainingWarning, match="stopped after epoch 2: nothing is trained"):
        again = model_of().fit(
            *data,
            epochs=6,
            verbose=0,
            resume_from=tmp_path / "m",
            callbacks=[callbacks.ModelCheckpoint(tmp_path / "m")],
        )
    assert again.epoch == [0, 1]


def test_of_two_that_stopped_a_run_both_need_more_patience(data, tmp_path):
    def run(patience, other, resume=None):
        stops = [
            callbacks.EarlyStopping("loss", min_delta=1e9, patience=value)
            for value in (patience, other)
        ]
        return len(
            model_of()
            .fit(
                *data,
                epochs=12,
                verbose=0,
                resume_from=resume,
                callbacks=[*stops, callbacks.ModelCheckpoint(tmp_path / "m")],
            )
            .epoch
        )

    assert run(2, 2) == 3
    for patience, other in ((2, 4), (4, 2)):
        with pytest.warns(TrainingWarning, match="nothing is trained"):
            assert run(patience, other, tmp_path / "m") == 3
    assert run(4, 5, tmp_path / "m") == 5


# ---- metrics of one's own, as in Keras


class Largest(metrics.Metric):
    """The largest error; counts what it has seen."""

    def __init__(self, name="largest"):
        super().__init__(name)

    def reset_state(self):
        self.worst, self.by_output, self.batches = 0.0, np.zeros(1), 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.by_output = np.maximum(self.by_output, abs(y_true - y_pred).max(axis=0).astype(float))
        self.worst = max(self.worst, self.by_output.max())
        self.batches += 1

    def result(self):
        return float(self.worst + self.batches)


class Remembers(Largest):
    def reset_state(self):
        super().reset_state()
        self.seen = []


def measured(metric, data, path, resume=None):
    """A model trained with a file after each batch, named by epoch and batch."""
    model = model_of(metrics=[metric])
    model.fit(
        *data,
        epochs=2,
        batch_size=4,
        verbose=0,
        resume_from=resume,
        callbacks=[callbacks.ModelCheckpoint(str(path) + "{epoch}.{batch}", save_freq=1)],
    )
    return model


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_a_metric_of_ones_own_goes_on_in_the_middle_of_an_epoch(data, tmp_path, batch):
    whole = measured(Largest(), data, tmp_path / "a")
    assert same(measured(Largest(), data, tmp_path / "b", tmp_path / f"a1.{batch}"), whole)
    with (
        pytest.raises(
            ConfigError, match="metric largest keeps seen, a list, which no checkpoint can hold"
        ),
        pytest.warns(TrainingWarning, match="cannot go on to the bit"),
    ):
        measured(Remembers(), data, tmp_path / "c")


@pytest.mark.parametrize(
    "lie",
    [
        3,
        {},
        {"sums": {}},
        {"sums": {}, "attributes": 3},
        {"sums": {}, "attributes": {"worst": "much"}},
        {"sums": {}, "attributes": {"by_output": 3.0}},
        {"sums": {}, "attributes": {"name": "x"}},
        {"sums": {}, "attributes": {"update_state": 3}},
        {"sums": {"total": 1.0}, "attributes": {}},
    ],
)
def test_the_state_of_a_metric_of_ones_own_is_checked(lie):
    metric = Largest()
    before = repr(vars(metric))
    with pytest.raises(CheckpointError, match="state of metric largest"):
        metric.set_state(lie)
    assert repr(vars(metric)) == before


class Worst(metrics.MeanSquaredError):
    """Sums of the class it derives from, and its own attributes.

    None, a list of arguments, an array that grows.
    """

    def __init__(self, name="worst", words=("a", "b")):
        self.words = list(words)
        super().__init__(name)

    def reset_state(self):
        super().reset_state()
        self.worst, self.all = None, np.zeros(0)

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred, sample_weight)
        self.all = np.append(self.all, super().result())
        self.worst = max(self.worst or 0.0, self.all.max())

    def result(self):
        return super().result() + (self.worst or 0.0) + self.all.sum()


@pytest.mark.parametrize("batch", [1, 4])
def test_a_metric_that_builds_on_another_goes_on_too(data, tmp_path, batch):
    whole = measured(Worst(), data, tmp_path / "a")
    assert same(measured(Worst(), data, tmp_path / "b", tmp_path / f"a1.{batch}"), whole)


def test_a_metric_that_no_file_can_hold_hides_nothing(data, tmp_path):
    """What ended the training is what one hears of."""

    def end(error):
        def raise_it(batch, logs):
            if batch == 2:
                raise error

        return callbacks.LambdaCallback(on_train_batch_end=raise_it)

    model = model_of(metrics=[Remembers()])
    with pytest.warns(TrainingWarning) as caught:
        history = model.fit(
            *data, epochs=2, batch_size=4, verbose=0, callbacks=[end(KeyboardInterrupt())]
        )
    assert [str(one.message)[:16] for one in caught] == ["interrupted in e", "a file saved now"]
    assert history.epoch == []
    with (
        pytest.raises(LookupError),
        pytest.warns(TrainingWarning, match="cannot go on to the bit: metric largest keeps seen"),
    ):
        model.fit(*data, epochs=2, batch_size=4, verbose=0, callbacks=[end(LookupError())])


# ---- the rest


def test_a_fitted_model_and_what_watched_it_are_pickled(data):
    model, stop = model_of(), callbacks.EarlyStopping(patience=3)
    model.fit(*data, verbose=0, validation_split=0.2, callbacks=[stop])
    again = pickle.loads(pickle.dumps([model, stop, model.history]))
    np.testing.assert_array_equal(again[0]._flat_weights(), model._flat_weights())
    assert again[2].history == model.history.history


@pytest.mark.parametrize("moment", ["on_train_batch_begin", "on_epoch_begin", "interrupt"])
def test_saved_before_the_first_batch_of_an_epoch(data, tmp_path, moment):
    """The order that was drawn for the epoch is drawn again."""

    def save(number, logs):
        if len(model.history.epoch) == 1 and number == (moment == "on_epoch_begin"):
            if moment == "interrupt":
                raise KeyboardInterrupt
            model.save(tmp_path / "m")

    model, whole, rest = model_of(), model_of(), model_of()
    whole.fit(*data, epochs=3, batch_size=4, verbose=0)
    watch = [
        callbacks.LambdaCallback(
            **{"on_train_batch_begin" if moment == "interrupt" else moment: save}
        )
    ]
    if moment == "interrupt":
        with pytest.warns(TrainingWarning, match="interrupted after epoch 1"):
            model.fit(*data, epochs=3, batch_size=4, verbose=0, callbacks=watch)
        model.save(tmp_path / "m")
    else:
        model.fit(*data, epochs=3, batch_size=4, verbose=0, callbacks=watch)
    rest.fit(*data, epochs=3, batch_size=4, verbose=0, resume_from=tmp_path / "m")
    assert same(rest, whole)


def test_one_callback_may_stand_twice_and_have_no_hash(data, tmp_path):
    @dataclasses.dataclass
    class Halve(callbacks.Callback):
        factor: float = 0.5

        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate *= self.factor

    def run(name, resume=None):
        model, halve = model_of(optimizers.SGD(0.1)), Halve()
        saver = callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: model.save(tmp_path / f"{name}{epoch}")
        )
        nested = callbacks.CallbackList([halve, saver])
        model.fit(*data, epochs=3, verbose=0, resume_from=resume, callbacks=[nested, halve])
        return model

    whole = run("a")
    assert whole.optimizer.learning_rate == pytest.approx(0.1 * 0.5**6)
    assert same(run("b", tmp_path / "a1"), whole)


def test_batches_that_are_fewer_than_asked_for_go_on(data, tmp_path):
    class Again:
        def __iter__(self):
            return iter([(data[0][:10], data[1][:10]), (data[0][10:], data[1][10:])])

    def run(epochs, resume=None):
        model = model_of()
        with pytest.warns(TrainingWarning, match="steps_per_epoch asks for 5"):
            model.fit(Again(), steps_per_epoch=5, epochs=epochs, verbose=0, resume_from=resume)
        return model

    run(1).save(tmp_path / "m")
    assert same(run(2, tmp_path / "m"), run(2))


def test_an_epoch_of_one_batch_goes_back_to_where_it_began(data):
    """The end of the epoch before was looked at: its weights were good."""

    def spoil(epoch, logs):
        if epoch == 2:
            model.flat_parameters[:] = np.nan

    model, expected = model_of(), model_of()
    expected.fit(*data, epochs=3, verbose=0)
    with pytest.warns(TrainingWarning, match="in epoch 4"):
        model.fit(
            *data,
            epochs=6,
            verbose=0,
            callbacks=[
                callbacks.LambdaCallback(
                    on_train_batch_end=lambda batch, logs: spoil(len(model.history.epoch) - 1, logs)
                )
            ],
        )
    np.testing.assert_array_equal(model._flat_weights(), expected._flat_weights())


# ---- data


def test_data_that_change_after_each_epoch(data, tmp_path):
    """Keras's PyDataset is told; on resuming as often as epochs have ended."""
    x, y = data

    class Rolled:
        def __init__(self):
            self.epochs = 0

        def __len__(self):
            return 4

        def __getitem__(self, number):
            rows = slice(5 * number, 5 * number + 5)
            return np.roll(x, self.epochs, axis=0)[rows], np.roll(y, self.epochs, axis=0)[rows]

        def on_epoch_end(self):
            self.epochs += 1

    def run(name, epochs, resume=None):
        model = model_of()
        model.fit(
            Rolled(),
            epochs=epochs,
            verbose=0,
            resume_from=resume,
            callbacks=[callbacks.ModelCheckpoint(tmp_path / name)],
        )
        return model

    whole = run("a", 3)
    run("b", 2)
    assert same(run("c", 3, tmp_path / "b"), whole)
    plain = model_of()
    plain.fit(
        [(x[5 * n : 5 * n + 5], y[5 * n : 5 * n + 5]) for n in range(4)].__iter__(),
        epochs=1,
        verbose=0,
    )
    assert not np.array_equal(plain._flat_weights(), whole._flat_weights())
