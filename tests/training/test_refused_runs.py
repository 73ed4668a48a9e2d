"""What a saved run may say.

Whatever is refused leaves the model, its optimizer, random draws and states as they were.
"""

import itertools

import numpy as np
import pytest
from readers import SUBJECTS, X, Y, fingerprint

from gatewise import checkpoint
from gatewise.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint
from gatewise.errors import CheckpointError, ConfigError, ShapeError, TrainingWarning
from gatewise.layers import LSTM, Dense, Input
from gatewise.models import Sequential, load_model


# whose files are from between epochs
@pytest.fixture(params=[name for name in SUBJECTS if name != "Told"])
def saved(request, tmp_path):
    """(how it is trained, file from the middle of its second epoch)."""
    subject = SUBJECTS[request.param]
    subject.saved(tmp_path / "good", 7 if request.param == "Truncated" else 3)
    return subject, tmp_path / "good"


def change(path, what):
    """The same file after a change of (tensors, header)."""
    tensors, header = checkpoint.read(path)
    what(tensors, header)
    checkpoint.write(path, tensors, header)


def assert_refused(subject, path, words, error=CheckpointError, more=()):
    model = subject.model()
    subject.fit(model)
    model.reset_state()
    outputs = model.predict(X)  # leaves states
    before = fingerprint(model)
    with pytest.raises(error, match=words) as caught:
        subject.fit(model, more=more, resume_from=path)
    assert fingerprint(model) == before
    model.reset_state()
    assert np.array_equal(model.predict(X), outputs)  # packed weights too
    return caught.value


def state(tensors, header, name):
    return header["run"]["callbacks"][name][0]


LIES = {
    "callbacks are a list": (lambda t, h: h["run"].update(callbacks=[]), "callbacks"),
    "a state of EarlyStopping that is none": (
        lambda t, h: state(t, h, "EarlyStopping").update(wait=-1),
        "EarlyStopping.*wait",
    ),
    "a curve without values": (
        lambda t, h: state(t, h, "History")["history"]["loss"].update(values=5),
        "belongs to nothing",
    ),
    "an epoch of -1": (lambda t, h: h["run"].update(epoch=-1), "epoch -1"),
    "an epoch of 2**70": (
        lambda t, h: h["run"].update(epoch=2**70),
        "epoch 1180591620717411303424",
    ),
    "no means": (lambda t, h: h["run"].update(means=None), "has means None"),
    "means of NaN": (lambda t, h: h["run"]["means"].update(total=float("nan")), "sum of losses"),
    "metrics of another number": (
        lambda t, h: h["run"]["means"]["metrics"].append({}),
        "saved run has an entry",
    ),
    "between epochs, with means": (
        lambda t, h: h["run"].update(batch=0),
        "at batch 0 of an epoch and has rng",
    ),
    "another generator before the plan": (
        lambda t, h: h["run"]["rng_before_plan"].update(bit_generator="MT19937"),
        "MT19937",
    ),
    "a generator that is none": (lambda t, h: h["rng"].update(more=7), "generator's state"),
    "an optimizer's slots of another size": (
        lambda t, h: t.update({"optimizer/momentum": np.zeros(3, np.float32)}),
        "optimizer",
    ),
    "a tensor of nobody": (
        lambda t, h: t.update({"run/more": np.zeros(1)}),
        "'run/more' belongs to nothing",
    ),
    "a state of nobody": (
        lambda t, h: t.update({"state/x/h": np.zeros(1)}),
        "'state/x/h' belongs to nothing",
    ),
    "a tensor twice": (
        lambda t, h: h["run"]["callbacks"].update(more=[state(t, h, "History")["epoch"]]),
        "belongs to something else",
    ),
    "a tensor of the weights": (
        lambda t, h: state(t, h, "History")["epoch"].update({"$tensor": "weights/dense/bias"}),
        "'weights/dense/bias' is missing, or belongs to something else",
    ),
    "a tensor that is missing": (
        lambda t, h: t.pop("run/callbacks/History/0/epoch"),
        "belongs to something else",
    ),
    "a part more": (lambda t, h: h["run"].update(more=1), "expected a dict of"),
    "more batches than there are": (
        lambda t, h: h["run"].update(batch=1000),
        "has done 1000 batches of an epoch",
    ),
    "weights of NaN": (lambda t, h: t["weights/dense/bias"].fill(np.nan), "nan"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(lie, saved):
    subject, path = saved
    what, words = LIES[lie]
    change(path, what)
    assert str(path) in str(assert_refused(subject, path, words))


def test_carried_states_of_other_rows(tmp_path):
    subject, path = SUBJECTS["Truncated"], tmp_path / "good"
    subject.saved(path, 7)
    change(
        path,
        lambda tensors, header: tensors.update({"run/carried/2/0": np.zeros((7, 2), np.float32)}),
    )
    assert_refused(subject, path, "carried state")
    subject.saved(path, 7)
    change(
        path,
        lambda tensors, header: [
            header["run"]["carried"].__setitem__(2, None),
            tensors.pop("run/carried/2/0"),
        ],
    )
    assert_refused(subject, path, "carries on the states of other layers")


def test_carried_states_of_other_rows_than_a_batch_that_x_makes(rng):
    """Nobody knows the rows before the batch comes: the layer looks."""
    layer = LSTM(3, input_shape=(5, 2))
    model = Sequential([layer, Dense(1)])
    model.compile("sgd", "mse")
    from samples import samples_of

    samples = samples_of(model, rng.normal(size=(4, 5, 2)), np.zeros((4, 1)))
    with pytest.raises(ShapeError, match="state of 7 rows, x has 4"):
        model._train_step(samples, {0: [np.zeros((7, 3), np.float32)] * 2})


def test_an_iterator_is_not_emptied_by_a_file(tmp_path):
    """A run that says it took 10**12 batches would keep us waiting for ever."""
    subject, path = SUBJECTS["Averaged"], tmp_path / "good"
    subject.saved(path, 3)
    change(path, lambda tensors, header: header["run"].update(drawn=10**12))
    assert_refused(subject, path, "took 1000000000000 batches from x in 1 epochs")


def test_an_iterator_and_a_list_are_two_runs(tmp_path):
    subject, path = SUBJECTS["Averaged"], tmp_path / "good"
    subject.saved(path, 3)
    model = subject.model()

    class Iterable:
        def __iter__(self):
            return itertools.cycle([(X[:4], Y[:4, 0])])

    with pytest.raises(ConfigError, match="iterator True, this one has False"):
        model.fit(
            Iterable(),
            steps_per_epoch=4,
            epochs=3,
            verbose=0,
            callbacks=subject.callbacks(),
            resume_from=path,
        )


class Hostile(Callback):
    """Does to the model all that a callback can, then refuses."""

    ended = 0

    def get_state(self):
        return {"a": 1}

    def set_state(self, state):
        self.model.set_weights([array + 1 for array in self.model.get_weights()])
        self.model.rng.random()
        self.model.stop_training = True
        if not isinstance(self.model.optimizer.get_config()["learning_rate"], dict):
            self.model.optimizer.learning_rate = 7.0
        raise CheckpointError("no")

    def on_train_end(self, logs=None):
        self.ended += 1


def test_a_callback_that_refuses(saved):
    subject, path = saved
    hostile = Hostile()
    change(path, lambda tensors, header: header["run"]["callbacks"].update(Hostile=[{"a": 1}]))
    assert_refused(subject, path, "good: no", more=[hostile])
    assert hostile.ended == 1  # bars are closed


def test_an_error_of_a_callback_is_not_blamed_on_the_file(saved):
    subject, path = saved

    def fail(*_):
        raise ConfigError("my own mistake")

    for moment in ("on_train_begin", "on_epoch_begin"):
        error = assert_refused(
            subject, path, "^my own mistake$", ConfigError, [LambdaCallback(**{moment: fail})]
        )
        assert not isinstance(error, CheckpointError)


def test_an_interrupt_while_resuming(saved):
    subject, path = saved

    def interrupt(*_):
        raise KeyboardInterrupt

    assert_refused(
        subject, path, None, KeyboardInterrupt, [LambdaCallback(on_epoch_begin=interrupt)]
    )


def test_draws_of_a_callback_at_the_begin_of_an_epoch_are_not_drawn_again(tmp_path):
    subject = SUBJECTS["Truncated"]

    def draws():
        return LambdaCallback(on_epoch_begin=lambda epoch, logs: model.rng.random())

    class Save(Callback):
        runs_last = True

        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 7:
                self.model.save(tmp_path / "m")

    model = whole = subject.model()
    subject.fit(model, more=[draws(), Save()])
    model = subject.model()
    subject.fit(model, more=[draws()], resume_from=tmp_path / "m")
    assert model.flat_parameters.tobytes() == whole.flat_parameters.tobytes()


def test_a_model_that_its_first_batch_would_build(tmp_path, rng):
    def make():
        model = Sequential([LSTM(3), Dense(1)])
        model.compile("sgd", "mse")
        return model

    def batches():
        return iter([(rng.normal(size=(4, 5, 2)), np.zeros((4, 1)))] * 10)

    first = make()
    first.fit(batches(), steps_per_epoch=2, epochs=2, verbose=0)
    first.save(tmp_path / "m")
    assert first.optimizer.iterations == 4
    assert make().fit(
        batches(), steps_per_epoch=2, epochs=3, verbose=0, resume_from=tmp_path / "m"
    ).epoch == [0, 1, 2]
    with pytest.raises(ShapeError, match="x gave no batch"):
        make().fit(iter([]), verbose=0)


def test_keys_that_look_like_ours(tmp_path, rng):
    """A callback may keep any names."""
    kept = {
        "$tensor": "weights/dense/bias",
        "$": {"$float": np.arange(3.0)},
        "a/b": np.zeros(1),
        "a": {"b": np.ones(1)},
    }
    seen = []

    class Keeper(Callback):
        def get_state(self):
            return kept

        def set_state(self, state):
            seen.append(state)

    model = Sequential([Input((5, 2)), LSTM(3), Dense(1, name="dense")])
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(4, 5, 2)), np.zeros(4)
    model.fit(x, y, verbose=0, callbacks=[Keeper()])
    model.save(tmp_path / "m")
    load_model(tmp_path / "m")
    model.fit(x, y, verbose=0, callbacks=[Keeper()], resume_from=tmp_path / "m")
    assert repr(seen[0]) == repr({key: kept[key] for key in sorted(kept)})


def test_a_layer_whose_name_holds_slashes(tmp_path):
    one, two = (
        Sequential([Input((5, 2)), LSTM(3, name=name), Dense(1)]) for name in ("a/b/c", "d")
    )
    one.save(tmp_path / "model")
    one.save_weights(tmp_path / "weights")
    for path in ("model", "weights"):
        two.set_weights([np.zeros_like(array) for array in two.get_weights()])
        two.load_weights(tmp_path / path)
        assert np.array_equal(one.flat_parameters, two.flat_parameters)


@pytest.mark.parametrize("names", [[], 5, None, [1], ["weights/x/kernel"], "all twice", ["run/x"]])
def test_a_list_of_weights_that_lies(names, tmp_path):
    model = Sequential([Input((5, 2)), LSTM(3), Dense(1)])
    model.save_weights(tmp_path / "w")
    before = model.get_weights()
    change(
        tmp_path / "w",
        lambda tensors, header: header.update(
            weights=header["weights"] * 2 if names == "all twice" else names
        ),
    )
    with pytest.raises(CheckpointError, match="w: "):
        model.load_weights(tmp_path / "w")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_weights_alone_are_no_model(tmp_path):
    Sequential([Input((5, 2)), LSTM(3), Dense(1)]).save_weights(tmp_path / "w")
    with pytest.raises(
        CheckpointError, match="weights alone: make the model and call its load_weights"
    ):
        load_model(tmp_path / "w")


def test_early_stopping_with_more_patience_goes_on(tmp_path, rng):
    """It said so, and the saved run's own word won."""
    x, y = rng.normal(size=(8, 5, 2)), rng.normal(size=(8, 1))

    def fit(patience, **more):
        model = Sequential([Input((5, 2)), LSTM(3), Dense(1)], seed=0)
        model.compile("sgd", "mse")
        return model.fit(
            x,
            y,
            verbose=0,
            epochs=6,
            **more,
            callbacks=[
                EarlyStopping("loss", min_delta=1e9, patience=patience),
                ModelCheckpoint(tmp_path / "m"),
            ],
        )

    stopped = fit(2).epoch
    assert stopped == [0, 1, 2]
    with pytest.warns(
        TrainingWarning,
        match="stopped after epoch 3: nothing is trained; give EarlyStopping more patience",
    ):
        assert fit(2, resume_from=tmp_path / "m").epoch == stopped
    assert fit(4, resume_from=tmp_path / "m").epoch == [0, 1, 2, 3, 4]
