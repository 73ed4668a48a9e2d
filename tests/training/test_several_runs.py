"""Runs of models with several inputs and outputs: resumed, truncated, stateful, from files."""

import numpy as np
import pytest

from gatewise import callbacks, load_model
from gatewise.errors import ConfigError
from gatewise.layers import LSTM, Add, Dense, Input
from gatewise.models import Model

from .feed_cases import Again
from .several import LOGS, LOSSES, METRICS, compiled, same_weights, samples

EPOCHS = 4


@pytest.fixture
def data(rng):
    return samples(rng)


class SaveAt(callbacks.Callback):
    """Saves the model after a batch of an epoch; batch None: at the epoch's end."""

    runs_last = True

    def __init__(self, path, epoch, batch):
        self.path, self.at = path, (epoch, batch)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.model.save(self.path)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, None) == self.at:
            self.model.save(self.path)


def continues_to_the_bit(make_model, fit, at, path):
    """Train through; train to `at`, and from there in another model: all bits are the same."""
    whole, again = make_model(), make_model(seed=9)
    history = fit(whole, callbacks=[SaveAt(path, *at)]).history
    resumed = fit(again, callbacks=[], resume_from=path).history
    assert repr(resumed) == repr(history)  # NaN is NaN
    assert same_weights(whole, again)
    assert whole.rng.bit_generator.state == again.rng.bit_generator.state
    for name, slot in whole.optimizer.slots().items():
        assert np.array_equal(slot, again.optimizer.slots()[name])


# ---- resumed


@pytest.mark.parametrize("at", [(1, None), (0, 0), (2, 3)], ids=str)
@pytest.mark.parametrize("kind", ["ragged", "validated", "weighted", "batches", "no loss"])
def test_resume(kind, at, data, tmp_path):
    x, y = data
    options = {
        "ragged": {},
        "validated": {"validation_split": 0.2},
        "weighted": {"sample_weight": {"score": np.linspace(0, 1, 22)}},
        "batches": {},
        "no loss": {},
    }[kind]
    loss = LOSSES | {"score": None} if kind == "no loss" else LOSSES
    rows = [slice(first, first + 5) for first in range(0, 22, 5)]
    given = (x, y)
    if kind == "batches":
        given = (
            Again(
                [
                    ({name: part[r] for name, part in x.items()}, {n: p[r] for n, p in y.items()})
                    for r in rows
                ]
            ),
        )

    def make_model(seed=0):
        return compiled(
            seed=seed, loss=loss, metrics=METRICS, loss_weights={"spam": 0.5}, dropout=0.3
        )

    def fit(model, **others):
        batch = {} if kind == "batches" else {"batch_size": 5}
        return model.fit(*given, epochs=EPOCHS, verbose=0, **batch, **options, **others)

    continues_to_the_bit(make_model, fit, at, tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": LOSSES | {"score": "mae"}}, "loss"),
        ({"loss_weights": {"score": 2.0}}, "loss_weights"),
        ({"metrics": {"tag": ["accuracy"]}}, "metrics"),
    ],
)
def test_another_objective_is_another_run(options, words, data, tmp_path):
    path = tmp_path / "run"
    compiled().fit(*data, epochs=2, verbose=0, callbacks=[SaveAt(path, 0, None)])
    with pytest.raises(ConfigError, match=f"another model than this one: its {words}"):
        compiled(**options).fit(*data, epochs=2, resume_from=path)


# ---- truncated back-propagation


def tagger(seed=0, dropout=0.0, loss=("mse", "mse"), **options):
    """Two outputs with the steps of two inputs."""
    a, b = Input((None, 2), name="a"), Input((None, 3), name="b")
    first = LSTM(3, return_sequences=True, dropout=dropout, **options)(a)
    second = LSTM(3, return_sequences=True, **options)(b)
    both = Add()([first, second])
    outputs = [Dense(1, name="level")(both), Dense(2, name="turns")(first)]
    model = Model([a, b], outputs, seed=seed)
    model.compile("adam", list(loss))
    return model


def steps(rng, count=8, extents=(9, 9)):
    x = [rng.normal(size=(count, extents[0], 2)), rng.normal(size=(count, extents[1], 3))]
    return x, [rng.normal(size=(count, extents[0], 1)), rng.normal(size=(count, extents[0], 2))]


def test_states_are_carried_from_part_to_part(rng):
    """The losses are those of whole sequences if nothing is learned."""
    x, y = steps(rng)
    model = tagger()
    model.optimizer.learning_rate = 0.0
    whole = model.evaluate(x, y, verbose=0, return_dict=True)
    logs = model.fit(x, y, tbptt_steps=4, verbose=0).history
    for name, value in whole.items():
        assert logs[name] == [pytest.approx(value, rel=1e-6)]


def test_states_inside_a_nested_model_are_carried(rng, tmp_path):
    def nested(seed=0, dropout=0.2):
        symbol = Input((None, 2))
        inner = Model(
            symbol,
            LSTM(3, return_sequences=True, dropout=dropout, name="cell")(symbol),
            name="inner",
        )
        x = Input((None, 2), name="a")
        states = inner(Dense(2)(x))
        model = Model(
            x, [Dense(1, name="level")(states), Dense(2, name="turns")(states)], seed=seed
        )
        model.compile("adam", "mse")
        return model

    (x, _), y = steps(rng)
    model = nested(dropout=0.0)
    model.optimizer.learning_rate = 0.0
    whole = model.evaluate(x, y, verbose=0)
    logs = model.fit(x, y, tbptt_steps=4, verbose=0).history
    assert [logs[name][0] for name in logs] == pytest.approx(whole, rel=1e-6)

    def fit(model, **options):
        return model.fit(x, y, batch_size=4, tbptt_steps=4, epochs=3, verbose=0, **options)

    continues_to_the_bit(nested, fit, (1, 1), tmp_path / "run")


def test_parts_of_a_batch_are_steps_of_the_optimizer(rng):
    x, y = steps(rng)
    model = tagger()
    model.fit(x, y, tbptt_steps=4, batch_size=4, verbose=0)
    assert model.optimizer.iterations == 2 * 3
    ragged = tagger()
    ragged.fit(x, y, tbptt_steps=4, lengths=[[9, 9, 3, 2, 1, 1, 1, 1]] * 2, verbose=0)
    assert ragged.optimizer.iterations == 3


@pytest.mark.parametrize("at", [(0, 1), (1, 2), (1, None)], ids=str)
def test_truncated_runs_continue_to_the_bit(at, rng, tmp_path):
    x, y = steps(rng)

    def fit(model, **options):
        return model.fit(x, y, batch_size=4, tbptt_steps=4, epochs=3, verbose=0, **options)

    continues_to_the_bit(lambda seed=0: tagger(seed, dropout=0.2), fit, at, tmp_path / "run")


def test_truncation_that_cannot_be(rng):
    a, b = Input((None, 2), name="a"), Input((None, 3), name="b")
    outputs = [Dense(1)(LSTM(2, return_sequences=True)(each)) for each in (a, b)]
    apart = Model([a, b], outputs)
    apart.compile("sgd", "mse")
    x, y = steps(rng, extents=(9, 7))
    with pytest.raises(ConfigError, match="they have 9, 7 steps"):
        apart.fit(x, [y[0], y[0][:, :7]], tbptt_steps=3)
    with pytest.raises(ConfigError, match="needs an output and a target at each step"):
        compiled().fit(*samples(rng), tbptt_steps=3)
    a, b = Input((None, 2), name="a"), Input((None, 3), name="b")
    _, h, c = LSTM(3, return_state=True)(b)
    start = LSTM(3, return_sequences=True, name="decoder")(a, initial_state=[h, c])
    model = Model([a, b], Dense(1)(start))
    model.compile("sgd", "mse")
    x, y = steps(rng)
    with pytest.raises(ConfigError, match="layer 'decoder' receives its initial state"):
        model.fit(x, y[0], tbptt_steps=3)


# ---- stateful


def test_stateful_models_continue_from_call_to_call(rng):
    x, y = steps(rng)
    model, whole = tagger(stateful=True), tagger()
    first = model.predict([part[:, :5] for part in x], verbose=0)
    second = model.predict([part[:, 5:] for part in x], verbose=0)
    for expected, *parts in zip(whole.predict(x, verbose=0), first, second):
        np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="is stateful"):
        model.fit(x, y, batch_size=4)


# ---- files


def test_a_file_holds_what_each_output_is_trained_with(data, tmp_path):
    model = compiled(metrics=METRICS, loss_weights={"score": 0.5})
    model.fit(*data, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.metrics_names == LOGS
    assert again.evaluate(*data, verbose=0) == model.evaluate(*data, verbose=0)
    for each in (model, again):
        each.fit(*data, epochs=1, verbose=0)
    assert same_weights(model, again)


def test_a_file_holds_that_an_output_is_not_trained(data, tmp_path):
    x, y = data
    model = compiled(loss=LOSSES | {"score": None}, metrics=METRICS)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.loss[1] is None
    assert again.evaluate(x, [y["tag"], y["spam"]], verbose=0) == model.evaluate(*data, verbose=0)
