"""What streams are given: bad steps are refused and the state stays; out; memory; threads."""

import re
import threading
import time
import tracemalloc

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    ShapeError,
    StateError,
)


@pytest.fixture
def model():
    return Sequential([layers.Input((None, 3)), layers.LSTM(5), layers.Dense(2)], name="tone")


BAD = [
    (np.ones(4, "f"), ShapeError, r"shape \(4,\).*expects \(3,\) or \(1, 3\)"),
    (np.ones((2, 3), "f"), ShapeError, "shape"),
    (np.ones((1, 1, 3), "f"), ShapeError, "shape"),
    (1.0, ShapeError, "shape"),
    ([1, np.nan, 3], NonFiniteError, r"nan at index"),
    (np.array([1, np.inf, 3], "f"), NonFiniteError, "inf"),
    (np.array([1, 1e300, 3]), NonFiniteError, "1e"),
    (np.ones(3, complex), DTypeError, "complex"),
    (np.array(["a", "b", "c"]), DTypeError, "expected numbers"),
    ([1, None, 3], DTypeError, "object"),
    (None, GatewiseError, "x"),
]


@pytest.mark.parametrize(("x", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_steps_are_refused_and_the_state_stays(x, error, message, model):
    stream = model.stream()
    stream.step(np.ones(3))
    before = stream.state
    with pytest.raises(error, match=message):
        stream.step(x)
    if not np.isscalar(x) and x is not None:
        with pytest.raises(error):
            stream.process([x, x])
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "x",
    [
        np.ones(3, ">f4"),
        np.ones(6, "f")[::2],
        np.ones(3, int),
        np.ones(3, bool),
        np.ones(3, "float16"),
        np.frombuffer(b"\0" + np.ones(3, "f").tobytes(), "u1")[1:].view("f"),
        np.ones((1, 3)),
        [1, 1, 1],
        np.ma.ones(3),
    ],
    ids=str,
)
def test_other_forms_of_a_step_are_converted(x, model):
    wanted = model.stream().step(np.ones(3, "f"))
    found = model.stream().step(x)
    assert found.shape == (2,) if np.ndim(x) == 1 else (1, 2)
    np.testing.assert_array_equal(found.ravel(), wanted)


def test_the_output_is_written_where_it_is_wanted(model):
    wanted = model.stream().step(np.ones(3))
    for given, out in (
        (np.ones(3, "f"), np.empty(2, "f")),
        (np.ones((1, 3), "f"), np.empty((1, 2), "f")),
        ([1, 1, 1], np.empty(2, "f")),
    ):
        assert model.stream().step(given, out=out) is out
        np.testing.assert_array_equal(out.ravel(), wanted)
    same = Sequential([layers.Input((None, 3)), layers.Dense(3)], seed=0)
    x = np.ones(3, "f")
    wanted = same.stream().step(x)
    np.testing.assert_array_equal(same.stream().step(x, out=x), wanted)
    np.testing.assert_array_equal(x, wanted)


def test_an_out_that_does_not_fit_is_refused_and_the_state_stays(model):
    stream = model.stream()
    before = stream.state
    fixed = np.empty(2, "f")
    fixed.flags.writeable = False
    for out, error in (
        (np.empty(3, "f"), ShapeError),
        (np.empty((1, 2), "f"), ShapeError),
        (np.empty(2), DTypeError),
        (np.empty(4, "f")[::2], ShapeError),
        (fixed, DTypeError),
        ([0, 0], DTypeError),
    ):
        with pytest.raises(error, match="out"):
            stream.step(np.ones(3, "f"), out=out)
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("features", [1, 3])
def test_a_number_that_is_not_finite_is_named_by_its_index_in_what_was_given(features, single):
    model = Sequential([layers.Input((None, features)), layers.LSTM(2)])
    rows = 1 if single else 2
    stream = model.stream(rows)
    step, block = np.ones((rows, features), "f"), np.ones((rows, 4, features), "f")
    step[-1, -1] = block[-1, 2, -1] = np.nan
    for call, x in ((stream.step, step), (stream.process, block)):
        given = [x[0], x] if single else [x]
        given += [np.asfortranarray(each) for each in given]
        given += [each[..., 0] for each in given if features == 1]
        for each in given:
            index = tuple(int(axis[0]) for axis in np.nonzero(np.isnan(np.atleast_1d(each))))
            index = index if each.ndim else ()
            with pytest.raises(NonFiniteError, match=re.escape(f"nan at index {index};")):
                call(each)


def test_a_dict_without_arrays(model):
    with pytest.raises(ConfigError, match="out has no arrays; model 'tone' has"):
        model.stream().step(np.ones(3, "f"), out={})


def test_a_new_array_belongs_to_the_caller(model):
    stream = model.stream()
    first = stream.step(np.ones(3, "f"))
    kept = first.copy()
    assert stream.step(np.zeros(3, "f")) is not first
    np.testing.assert_array_equal(first, kept)


def test_whole_numbers_of_a_vocabulary():
    model = Sequential([layers.Input((None,)), layers.Embedding(7, 4), layers.GRU(3)], seed=0)
    stream = model.stream()
    y = stream.step(3)
    for x in (np.int64(3), np.array(3), np.array([3]), np.array(3, "u1"), 3.0, [3]):
        stream.reset()
        np.testing.assert_array_equal(np.ravel(stream.step(x)), y)
    for x, error in ((7, ShapeError), (-1, ShapeError), (2.5, DTypeError), ("a", DTypeError)):
        with pytest.raises(error):
            stream.step(x)
    with pytest.raises(ShapeError):
        model.stream(2).step(np.array([1, 9]))
    assert model.stream(2).step(np.array([1, 6])).shape == (2, 3)
    assert stream.process([1, 2, 3]).shape == (3, 3)
    assert stream.process(np.zeros(0, int)).shape == (0, 3)


def test_one_feature_needs_no_axis():
    model = Sequential([layers.Input((None, 1)), layers.LSTM(3)], seed=0)
    wanted = model.predict(np.ones((1, 4, 1)))[0]
    stream = model.stream()
    for _ in range(4):
        y = stream.step(1.0)
    np.testing.assert_array_equal(y, wanted)
    stream.reset()
    np.testing.assert_array_equal(stream.process(np.ones(4))[-1], wanted)
    assert model.stream(2).step(np.ones(2)).shape == (2, 3)


def test_blocks_of_the_wrong_form(model):
    stream = model.stream()
    assert stream.process(np.ones((0, 3))).shape == (0, 2)
    assert stream.process(np.ones((1, 4, 3))).shape == (1, 4, 2)
    for block in (np.ones((4, 2)), np.ones((2, 4, 3)), np.ones(3), np.ones((1, 1, 4, 3))):
        with pytest.raises(ShapeError, match=r"expects \(steps, 3\) or \(1, steps, 3\)"):
            stream.process(block)
    with pytest.raises(ShapeError, match=r"expects \(2, steps, 3\)"):
        model.stream(2).process(np.ones((4, 3)))


def test_several_inputs_by_position_or_name():
    a, b = layers.Input((None, 2), name="a"), layers.Input((None, 3), name="b")
    model = Model([a, b], layers.LSTM(3)(layers.Concatenate()([a, b])), seed=0)
    stream, one = model.stream(), [np.ones(2), np.ones(3)]
    y = stream.step(one)
    stream.reset()
    np.testing.assert_array_equal(stream.step({"b": one[1], "a": one[0]}), y)
    with pytest.raises(ShapeError, match="list of 2 arrays"):
        stream.step(np.ones(5))
    with pytest.raises(ShapeError, match="list of 2 arrays"):
        stream.step(one[:1])
    with pytest.raises(ConfigError, match="a, b"):
        stream.step({"a": one[0]})
    with pytest.raises(ShapeError, match="input 'b'"):
        stream.step([one[0], one[0]])
    with pytest.raises(ShapeError, match="4, 5 steps"):
        stream.process([np.ones((4, 2)), np.ones((5, 3))])


def of_several(outputs):
    """A model of three inputs, one without steps and one of whole numbers, and its steps."""
    a, b = layers.Input((None, 2), name="a"), layers.Input((3,), name="b")
    c = layers.Input((None,), name="c")
    each = layers.Concatenate()([a, layers.Embedding(7, 2)(c)])
    h = layers.Add()([layers.LSTM(3, return_sequences=True)(each), layers.Dense(3)(b)])
    y = {
        "one": lambda: layers.Dense(4)(h),
        "list": lambda: [layers.Dense(4)(h), layers.GRU(2)(h)],
        "dict": lambda: {"p": layers.Dense(4)(h), "q": layers.GRU(2)(h)},
    }[outputs]()
    return Model([a, b, c], y, seed=0)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("outputs", ["one", "list", "dict"])
def test_several_arrays_are_read_as_they_are_or_converted(outputs, rows, rng):
    model = of_several(outputs)
    quick, slow = model.stream(rows), model.stream(rows)
    assert quick.several and not quick.plain
    for _ in range(5):
        a, b = rng.normal(size=(rows, 2)).astype("f"), rng.normal(size=(rows, 3)).astype("f")
        c = rng.integers(0, 7, rows)
        wanted = slow.step([a.tolist(), b.tolist(), c.tolist()])
        wanted = list(wanted.values()) if outputs == "dict" else wanted
        wanted = wanted if outputs != "one" else [wanted]
        y = [np.empty((rows, 4), "f"), np.empty((rows, 2), "f")][: len(wanted)]
        given = [{"c": c, "a": a.astype(float), "b": b}, (a, b, c)][rng.integers(2)]
        out = {"one": y[0], "list": y, "dict": {"q": y[-1], "p": y[0]}}[outputs]
        found = quick.step(given, out=out)
        assert found is out
        for array, target in zip(wanted, y):
            np.testing.assert_array_equal(target, array)


def test_a_whole_number_among_several_inputs():
    stream, other = of_several("list").stream(), of_several("list").stream()
    a, b = np.ones(2, "f"), np.ones(3, "f")
    for found, wanted in zip(stream.step([a, b, 5]), other.step([[a], [b], [5]])):
        np.testing.assert_array_equal(found, wanted[0])


@pytest.mark.parametrize(
    ("k", "value", "error"),
    [
        (0, np.ones(3, "f"), ShapeError),
        (0, np.array([1, np.nan], "f"), NonFiniteError),
        (0, np.array([1, np.inf]), NonFiniteError),
        (1, np.array(["x", "y", "z"]), DTypeError),
        (1, np.ones((2, 3), "f"), ShapeError),
        (2, 7, ShapeError),
        (2, np.array([-1]), ShapeError),
        (2, 0.5, DTypeError),
    ],
)
def test_one_bad_array_of_several_is_refused_and_the_state_stays(k, value, error):
    stream = of_several("list").stream()
    good = [np.ones(2, "f"), np.ones(3, "f"), np.array(3)]
    stream.step(good)
    before, copy = stream.state, stream.__copy__()
    bad = list(good)
    bad[k] = value
    with pytest.raises(error):
        stream.step(bad)
    for wrong in (
        [np.empty(3, "f"), np.empty(2, "f")],
        [np.empty(4, "f")],
        [np.empty(4, "f"), np.empty(2)],
        {"p": np.empty(4, "f")},
    ):
        with pytest.raises(GatewiseError):
            stream.step(good, out=wrong)
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])
    for found, wanted in zip(stream.step(good), copy.step(good)):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_bad_step_behind_a_mask_is_refused_and_the_state_stays(rows):
    model = Sequential([layers.Input((None, 3)), layers.Masking(), layers.GRU(4)], seed=0)
    stream, other = model.stream(rows), model.stream(rows)
    good, masked = np.ones((rows, 3), "f"), np.zeros((rows, 3), "f")
    assert stream.several
    stream.step(good)
    other.step(good.tolist())
    bad = good.copy()
    bad[-1, 1] = np.nan
    for wrong, error in ((bad, NonFiniteError), (good[:, :2], ShapeError), (["a"], DTypeError)):
        with pytest.raises(error):
            stream.step(wrong)
    for step in (masked, good, masked):
        np.testing.assert_array_equal(stream.step(step), other.step(step.tolist()))
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, other.state[name])


def test_names_that_do_not_exist_are_refused(model):
    stream = model.stream()
    with pytest.raises(GatewiseError):
        stream.sate = {}
    with pytest.raises(AttributeError):
        stream.rows = 4


@pytest.mark.parametrize("steps", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_a_step_with_out_allocates_nothing(steps, model):
    stream, x, out = model.stream(), np.ones(3, "f"), np.empty(2, "f")
    for _ in range(100):
        stream.step(x, out=out)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(steps):
        stream.step(x, out=out)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1000 and peak - before < 2000


@pytest.mark.long
def test_many_threads_each_with_its_stream(rng):
    model = Sequential(
        [layers.Input((None, 40)), layers.LSTM(150, return_sequences=True), layers.GRU(20)], seed=0
    )
    x = rng.normal(size=(6, 50, 40)).astype("float32")
    wanted = model.predict(x)
    found: list = [None] * 6

    def run(k):
        stream = model.stream()
        stream.process(x[k, :10])
        for step in x[k, 10:]:
            found[k] = stream.step(step)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.long
def test_two_threads_in_one_stream_are_refused_not_wrong(rng):
    model = Sequential([layers.Input((None, 40)), layers.LSTM(150)], seed=0)
    x = rng.normal(size=(5000, 40)).astype("float32")
    wanted = model.stream().process(x)
    stream, found = model.stream(), []
    thread = threading.Thread(target=lambda: found.append(stream.process(x)))
    thread.start()
    refused = 0
    while thread.is_alive():
        for call in (
            lambda: stream.step(x[0]),
            lambda: stream.step([*x[0]]),
            lambda: stream.process(x[:2]),
            stream.reset,
            lambda: stream.state,
            stream.add,
            stream.refresh,
        ):
            if not thread.is_alive():
                break
            try:
                call()
                break  # the thread had not begun, or had ended
            except StateError as error:
                assert "two threads use one stream of model" in str(error)
                refused += 1
        time.sleep(0.001)
        if not refused:
            break
    thread.join()
    if refused:  # else the machine was so busy that the threads did not meet
        np.testing.assert_array_equal(found[0], wanted)
    stream.reset()


def test_a_thread_that_holds_the_stream_keeps_others_out(model):
    stream = model.stream()
    before = stream.state
    stream._enter()
    for call in (
        lambda: stream.step(np.ones(3, "f")),
        lambda: stream.step([1, 1, 1]),
        lambda: stream.process(np.ones((2, 3))),
        stream.reset,
        lambda: stream.state,
        stream.add,
        lambda: stream.__copy__(),
        stream.refresh,
    ):
        with pytest.raises(StateError, match="two threads"):
            call()
    stream._leave()
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])
