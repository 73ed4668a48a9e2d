"""What streams remember: state, rows that come and go, weights that change, copies."""

import copy
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError, StateError
from gatewise.models import Stream

STEPS = 13


def deep(end=True, strides=1):
    """A model that remembers in every way."""
    return Sequential(
        [
            layers.Input((None, 3)),
            layers.Conv1D(4, 3, padding="causal", dilation_rate=2, strides=strides),
            layers.DepthwiseConv1D(2, padding="causal", depth_multiplier=2),
            layers.LSTM(5, return_sequences=True, learned_initial_state=True),
            layers.MinGRU(4, return_sequences=True),
            layers.MaxPooling1D(2, strides=1, padding="valid" if strides > 1 else "same")
            if strides > 1
            else layers.Dropout(0.5),
            layers.GRU(6, return_sequences=True, layer_normalization=True),
            layers.GlobalAveragePooling1D() if end else layers.Dense(2),
        ],
        name="deep",
        seed=0,
    )


@pytest.fixture
def x(rng):
    return rng.normal(size=(4, STEPS, 3)).astype("float32")


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("strides", [1, 2])
def test_random_blocks_are_one_block(rows, end, strides, x, rng):
    stream = deep(end, strides).stream(rows)
    given = x if rows > 1 else x[0]
    whole = stream.process(given)
    for _ in range(5):
        stream.reset()
        cuts = [0, *np.sort(rng.integers(0, STEPS, size=3)), STEPS]
        parts = [stream.process(given[..., a:b, :]) for a, b in itertools.pairwise(cuts)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=-2), whole)


@pytest.mark.parametrize("strides", [1, 2])
def test_a_state_continues_elsewhere(strides, x):
    model = deep(strides=strides)
    stream = model.stream(4)
    whole = stream.process(x)
    for cut in range(1, STEPS):
        stream.reset()
        before = stream.process(x[:, :cut])
        state = pickle.loads(pickle.dumps(stream.state))
        other = model.stream(4)
        other.process(-x)
        other.state = state
        after = other.process(x[:, cut:])
        np.testing.assert_array_equal(np.concatenate([before, after], axis=1), whole)


def test_names_and_shapes_of_a_state():
    stream = deep().stream(2)
    shapes = {name: array.shape for name, array in stream.state.items()}
    kinds = ["window", "window", "h", "c", "h", "h", "sum", "steps"]
    assert [name.split("/")[-1] for name in shapes] == kinds
    assert sorted(shapes.values()) == sorted(
        [(2, 4, 3), (2, 1, 4), (2, 5), (2, 5), (2, 4), (2, 6), (2, 6), (2,)]
    )
    next(iter(stream.state.values()))[:] = 1  # a copy
    assert not next(iter(stream.state.values())).any()


def test_a_state_that_does_not_fit_is_refused_and_nothing_changes(x):
    stream = deep().stream(4)
    stream.process(x)
    before = stream.state
    name = next(name for name in before if name.endswith("/h"))
    count = next(name for name in before if name.endswith("/steps"))
    for change, error, message in (
        ({name: before[name][:2]}, ShapeError, "shape"),
        ({name: np.full_like(before[name], np.nan)}, NonFiniteError, "nan"),
        ({name: before[name].astype(complex)}, DTypeError, "complex"),
        ({"other": 1}, ShapeError, "other"),
        ({count: before[count] - 1000}, ShapeError, "0 or more"),
    ):
        with pytest.raises(error, match=message):
            stream.state = before | change
    with pytest.raises(DTypeError, match="expected a dict"):
        stream.state = [1]
    with pytest.raises(ShapeError, match="no arrays"):
        stream.state = {}
    for key, array in stream.state.items():
        np.testing.assert_array_equal(array, before[key])


def test_some_rows_begin_again(x):
    stream = deep(end=False).stream(4)
    whole = stream.process(x)
    stream.reset([1, 3])
    again = stream.process(x)
    np.testing.assert_array_equal(again[[1, 3]], whole[[1, 3]])
    stream.reset()
    stream.process(np.concatenate([x, x], axis=1)[:, :STEPS])
    np.testing.assert_array_equal(again[[0, 2]], stream.process(x)[[0, 2]])
    stream.reset(2)
    stream.reset([])
    for rows, error in (
        ([4], ShapeError),
        (-1, ShapeError),
        ([0.5], DTypeError),
        ("a", DTypeError),
    ):
        with pytest.raises(error):
            stream.reset(rows)


def test_rows_come_and_go(x):
    model = deep(end=False)
    alone = [model.stream() for _ in range(6)]
    stream = model.stream(2)
    members = [0, 1]

    def step(t):
        given = np.stack([x[k % 4, t] * (1 + k) for k in members])
        wanted = np.stack([alone[k].step(row) for k, row in zip(members, given)])
        np.testing.assert_array_equal(stream.step(given), wanted)

    step(0), step(1)
    assert list(stream.add(3)) == [2, 3, 4] and stream.rows == 5
    members += [2, 3, 4]
    step(2)
    stream.drop([0, 3])
    members = [1, 2, 4]
    step(3), step(4)
    assert list(stream.add()) == [3]
    members += [5]
    step(5)
    stream.drop([0, 1, 2])
    members = [5]
    step(6)
    assert stream.rows == 1
    with pytest.raises(ShapeError, match="none of 1 rows would remain"):
        stream.drop(0)
    with pytest.raises(ShapeError, match="no row 7"):
        stream.drop(7)


def test_rows_of_windows_with_strides_begin_together(x):
    stream = deep(strides=2).stream(2)
    stream.add()
    stream.process(x[:3])
    for change in (lambda: stream.reset(1), lambda: stream.reset([0, 2]), stream.add):
        with pytest.raises(ConfigError, match="begin together"):
            change()
    stream.reset([0, 1, 2])
    stream.drop(1)
    model = Sequential(
        [layers.Input((None, 3)), layers.Masking(), layers.Conv1D(2, 2), layers.LSTM(2)]
    )
    model.stream()
    with pytest.raises(ConfigError, match="masks steps"):
        model.stream(2)


def test_weights_are_those_of_the_last_refresh(x):
    model = deep(end=False)
    stream, other = model.stream(4), model.stream(4)
    stream.process(x[:, :4]), other.process(x[:, :4])
    model.set_weights([0.5 * array for array in model.get_weights()])
    wanted = model.stream(4)
    wanted.state = stream.state
    old, new = other.process(x[:, 4:]), wanted.process(x[:, 4:])
    assert not np.array_equal(old, new)
    stream.refresh()
    np.testing.assert_array_equal(stream.process(x[:, 4:]), new)


def test_another_architecture_is_refused_without_losing_the_state(x):
    model = deep(end=False)
    stream = model.stream(4)
    before = stream.process(x[:, :4])
    state = stream.state
    others = [
        deep(),
        Sequential([layers.Input((None, 3)), layers.LSTM(5)]),
        Sequential([layers.Input((None, 3)), layers.Bidirectional(layers.LSTM(5))]),
    ]
    for other in others:
        with pytest.raises(ConfigError):
            stream.refresh(other)
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, state[name])
    stream.reset()
    np.testing.assert_array_equal(stream.process(x[:, :4]), before)
    grown = Sequential([layers.Input((None, 3)), layers.LSTM(5)], seed=0)
    stream = grown.stream()
    grown.add(layers.Dense(2))
    with pytest.raises(ConfigError, match="operations are cell, dense"):
        stream.refresh()


@pytest.mark.parametrize("other", [None, "a name", layers.LSTM(3), np.ones(3)])
def test_what_is_no_model_is_refused(other):
    model = Sequential([layers.Input((None, 3)), layers.LSTM(5)])
    with pytest.raises(ConfigError, match="expected a Sequential or a Model"):
        Stream(other)
    if other is not None:
        with pytest.raises(ConfigError, match="expected a Sequential or a Model"):
            model.stream().refresh(other)


def test_streams_of_one_model_share_their_weights():
    model = deep()
    a, b = model.stream(), model.stream(3)
    assert a._prepared is b._prepared is copy.copy(a)._prepared
    model.set_weights([0.5 * array for array in model.get_weights()])
    assert model.stream()._prepared is not a._prepared


def test_copies_and_pickles_continue(x):
    model = deep(end=False)
    stream = model.stream(4)
    stream.process(x[:, :5])
    made = [copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    wanted = stream.process(x[:, 5:])
    for other in made:
        np.testing.assert_array_equal(other.process(x[:, 5:]), wanted)
    with pytest.raises(StateError, match="from a pickle"):
        made[2].refresh()
    made[2].refresh(model)
    copy.deepcopy(model), pickle.dumps(model)


CONTINUE = """
import pickle, sys
stream, state, x = pickle.load(open(sys.argv[1], "rb"))
first = stream.process(x)
stream.state = state
pickle.dump((first, stream.process(x)), open(sys.argv[2], "wb"))
"""


def test_a_stream_continues_in_another_process(x, tmp_path):
    stream = deep(end=False).stream(4)
    state = stream.state
    stream.process(x[:, :5])
    (tmp_path / "in").write_bytes(pickle.dumps((stream, state, x)))
    subprocess.run(
        [sys.executable, "-c", CONTINUE, tmp_path / "in", tmp_path / "out"], check=True, timeout=120
    )
    first, again = pickle.loads((tmp_path / "out").read_bytes())
    np.testing.assert_array_equal(first, stream.process(x))
    stream.reset()
    np.testing.assert_array_equal(again, stream.process(x))


def test_what_a_stream_shows():
    model = Sequential([layers.Input((None, 3)), layers.LSTM(5)], name="tone")
    assert repr(model.stream()) == "<Stream of model 'tone', 1 row, float32>"
    assert repr(model.stream(3)) == "<Stream of model 'tone', 3 rows, float32>"


def test_arguments_of_a_stream():
    model = Sequential([layers.Input((None, 3)), layers.LSTM(5)])
    model.stream(weights="float32")
    for arguments, message in (
        ({"batch": 0}, "batch"),
        ({"batch": 1.5}, "batch"),
        ({"weights": "float64"}, "weights"),
        ({"matmul_precision": "medium"}, "matmul_precision"),
    ):
        with pytest.raises((ConfigError, DTypeError), match=message):
            model.stream(**arguments)
    with pytest.raises(StateError):
        Sequential([layers.LSTM(3)]).stream()
    x = layers.Input((None, 3))
    assert Model(x, layers.GRU(2)(x)).stream().step(np.ones(3)).shape == (2,)
