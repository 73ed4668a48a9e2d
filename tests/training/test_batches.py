"""What may be given as a batch, resets above all, and what looks like batches and is none."""

import functools

import numpy as np
import pytest
from seeds import generator

from gatewise.errors import ConfigError, DTypeError
from gatewise.layers import GRU, LSTM, Bidirectional, Dense, Input
from gatewise.models import Sequential

rng = generator(8)
X, Y = rng.normal(size=(4, 6, 2)), rng.normal(size=(4, 6, 1))
RESETS = rng.random((4, 6)) < 0.3
LENGTHS = np.array([6, 3, 5, 1])
MASK = rng.random((4, 6)) < 0.8


def model_of():
    model = Sequential(
        [
            Input((None, 2)),
            Bidirectional(LSTM(3, return_sequences=True)),
            GRU(3, return_sequences=True),
            Dense(1),
        ],
        seed=0,
    )
    model.compile("sgd", "mse", ["mae"])
    return model


def trained(**options):
    model = model_of()
    history = model.fit(epochs=2, verbose=0, **options)
    return [*model.get_weights(), history.history["loss"]]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "others", [{}, {"lengths": LENGTHS}, {"mask": MASK}], ids=["full", "lengths", "mask"]
)
def test_resets_in_batches(others):
    whole = trained(x=X, y=Y, resets=RESETS, shuffle=False, **others)
    assert not same(whole, trained(x=X, y=Y, shuffle=False, **others))
    by_place = (X, Y, None, others.get("lengths"), others.get("mask"), RESETS)
    by_name = {"x": X, "y": Y, "resets": RESETS} | others
    for item in (by_place, by_name):
        assert same(whole, trained(x=iter([item, item]), steps_per_epoch=1))
    model = model_of()
    expected = model.evaluate(X, Y, resets=RESETS, verbose=0, **others)
    outputs = model.predict(X, resets=RESETS, **others)
    for item in (by_place, by_name):
        assert model.evaluate(iter([item]), verbose=0) == expected
        assert np.array_equal(model.predict(iter([item])), outputs)
    without_y = {name: part for name, part in by_name.items() if name != "y"}
    assert np.array_equal(model.predict(iter([without_y])), outputs)


@pytest.mark.parametrize(
    "others", [{}, {"lengths": LENGTHS}, {"mask": MASK}], ids=["full", "lengths", "mask"]
)
def test_resets_in_validation_data(others):
    model = model_of()
    data = {"x": X, "y": Y, "resets": RESETS} | others
    first = model.fit(X, Y, verbose=0, validation_data=data).history
    expected = model.evaluate(X, Y, resets=RESETS, verbose=0, **others)
    assert [first["val_loss"][0], first["val_mae"][0]] == expected
    again = model_of().fit(
        X,
        Y,
        verbose=0,
        validation_data=(X, Y, None, others.get("lengths"), others.get("mask"), RESETS),
    )
    assert again.history == first
    as_batches = model_of().fit(X, Y, verbose=0, validation_data=iter([data]), validation_steps=1)
    assert as_batches.history == first


def test_resets_on_one_batch():
    one, other = model_of(), model_of()
    other.fit(X, Y, resets=RESETS, verbose=0, shuffle=False)
    one.train_on_batch(X, Y, resets=RESETS)
    assert same(one.get_weights(), other.get_weights())
    assert one.test_on_batch(X, Y, resets=RESETS) == one.evaluate(X, Y, resets=RESETS, verbose=0)
    outputs = one.predict(X, resets=RESETS)
    assert np.array_equal(one.predict_on_batch(X, resets=RESETS), outputs)
    assert np.array_equal(one(X, resets=RESETS), outputs)
    assert not np.array_equal(one(X), outputs)
    value = one.compute_gradients(X, Y, resets=RESETS)
    assert value == pytest.approx(one.evaluate(X, Y, resets=RESETS, verbose=0)[0])


def test_resets_of_streams_that_go_on():
    """A stateful model, part by part.

    A reset at the first step of a part clears what the part before left.
    """
    whole, parts = (
        Sequential([Input((None, 2)), GRU(3, return_sequences=True, stateful=stateful)], seed=1)
        for stateful in (False, True)
    )
    outputs = whole.predict(X, resets=RESETS)
    got = parts.predict(
        {"x": X[:, at : at + 2], "resets": RESETS[:, at : at + 2]} for at in (0, 2, 4)
    )
    np.testing.assert_allclose(
        np.concatenate(np.split(got, 3), axis=1), outputs, rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"x": X, "target": Y},
            (
                "a batch that x gave has the key 'target'; a dict has the keys x, y, sample_weight,"
                " lengths, mask"
            ),
        ),
        ({"x": X}, "a batch that x gave lacks the key 'y'"),
        ((X, Y, None, None, None, np.zeros((4, 5))), "resets"),
        ((X,), "has 1 part; expected"),
        ((X, Y) * 4, "has 8 parts; expected"),
    ],
)
def test_batches_that_cannot_be_read(item, message):
    with pytest.raises((ConfigError, DTypeError), match=message):
        model_of().fit(iter([item]), verbose=0)


# ---- what looks like batches


def batches():
    yield X, Y


class Batches:
    def __len__(self):
        return 1

    def __getitem__(self, number):
        return X, Y

    def make(self):
        return batches()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (batches, r"is a function that was not called; pass what it gives: call batches\(\)"),
        (lambda: batches(), "is a function that was not called; pass what it gives: call it"),
        (functools.partial(batches), "is a function that was not called"),
        (Batches().make, r"is a function that was not called.*call make\(\)"),
        (Batches, r"is the class Batches; pass an object of it: Batches\(...\)"),
    ],
)
def test_what_was_not_called(x, message):
    model = model_of()
    for name, call in (
        ("x", model.fit),
        ("x", model.evaluate),
        ("x", model.predict),
        ("validation_data", lambda data: model.fit(X, Y, validation_data=data)),
    ):
        with pytest.raises(DTypeError, match=f"{name} {message}"):
            call(x)


def test_a_list_of_pairs():
    model = model_of()
    pairs = [(X, Y)] * 3
    message = r"is a list of 3 tuples \(x, y\); for batches .*iter\(.*for single samples .*zip"
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(DTypeError, match=f"x {message}"):
            call(pairs)
    with pytest.raises(DTypeError, match=f"validation_data {message}"):
        model.fit(X, Y, validation_data=pairs)
    singles = [(x, y) for x, y in zip(X, Y)]
    with pytest.raises(DTypeError, match=r"list of 4 tuples \(x, y\)"):
        model.fit(singles)
    x, y = zip(*singles)
    assert same(trained(x=x, y=y), trained(x=X, y=Y))
    assert same(trained(x=iter(pairs), steps_per_epoch=1), trained(x=X, y=Y, shuffle=False))
    assert model.fit(X, Y, verbose=0, validation_data=[X, Y]).history["val_loss"]
