"""What a call is given, and the samples and batches that come of it."""

import numpy as np
import pytest
from samples import arrays_of, raw_samples, samples_of

from gatewise import layers, losses
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.models import Sequential
from gatewise.training.class_weights import add_class_weight
from gatewise.training.data import batch_bounds
from gatewise.training.reading import split_off_validation


def model_of(*stack, loss="mse"):
    model = Sequential(list(stack), seed=0)
    model.compile("sgd", loss)
    return model


@pytest.fixture
def forecaster():
    return model_of(layers.LSTM(3, input_shape=(5, 1)), layers.Dense(1))


@pytest.fixture
def tagger():
    return model_of(layers.GRU(3, return_sequences=True, input_shape=(None, 2)), layers.Dense(2))


# ---- samples


def test_take_follows_every_array():
    samples = raw_samples(
        np.arange(6).reshape(3, 2),
        np.arange(3),
        np.arange(3) * 0.5,
        np.array([2, 1, 2]),
        np.eye(3, 2),
    )
    part = samples.take(np.array([2, 0]))
    assert len(part) == 2
    taken, whole = arrays_of(part), arrays_of(samples)
    for name in ("x", "y", "weights", "lengths", "resets"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(whole, name)[[2, 0]])
    assert arrays_of(raw_samples(np.zeros((4, 1))).take(slice(1, 3))).y is None


@pytest.mark.parametrize(
    ("count", "batch_size", "expected"),
    [
        (0, 3, []),
        (1, 3, [(0, 1)]),
        (3, 3, [(0, 3)]),
        (7, 3, [(0, 3), (3, 6), (6, 7)]),
        (2, 10**9, [(0, 2)]),
        (3, 1, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_batch_bounds(count, batch_size, expected):
    assert batch_bounds(count, batch_size) == expected


def test_validation_is_the_last_part():
    samples = raw_samples(np.arange(10), np.arange(10) * 2, np.arange(10) * 3.0)
    training, validation = split_off_validation(samples, 0.3)
    training, validation = arrays_of(training), arrays_of(validation)
    assert training.x.tolist() == list(range(7))
    assert validation.y.tolist() == [14, 16, 18]
    assert validation.weights.tolist() == [21, 24, 27]


@pytest.mark.parametrize(
    "fraction", [0.05, 0.1, 0.15, 0.2, 0.25, 0.29, 0.3, 1 / 3, 0.4, 0.5, 0.66, 0.9]
)
def test_the_cut_is_where_keras_cuts(fraction):
    for count in range(2, 120):
        at = int(np.floor(count * (1.0 - fraction)))  # keras: train_validation_split
        if 0 < at < count:
            training, validation = split_off_validation(raw_samples(np.arange(count)), fraction)
            assert (len(training), len(validation)) == (at, count - at)


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.5), (2, 0.9), (0, 0.5)])
def test_a_split_that_leaves_a_side_empty_is_refused(count, fraction):
    with pytest.raises(
        ShapeError, match=f"validation_split {fraction} of {count} samples leaves one side empty"
    ):
        split_off_validation(raw_samples(np.arange(count)), fraction)


@pytest.mark.parametrize("fraction", [1.0, -0.1, np.nan, 2])
def test_a_split_outside_its_range_is_refused(fraction):
    with pytest.raises(ConfigError, match="validation_split is"):
        split_off_validation(raw_samples(np.arange(4)), fraction)


# ---- what a model is given


@pytest.mark.parametrize(
    "x",
    [
        np.arange(20).reshape(4, 5),
        np.arange(20, dtype=np.uint8).reshape(4, 5, 1),
        np.arange(20.0).reshape(4, 5),
        np.arange(20.0).reshape(4, 5, 1).tolist(),
        [list(range(5 * i, 5 * i + 5)) for i in range(4)],
        np.arange(20, dtype=">f8").reshape(4, 5),
        np.asfortranarray(np.arange(20, dtype=np.float32).reshape(4, 5)),
        np.arange(20, dtype=np.float16).reshape(4, 5),
        np.arange(40, dtype=np.int64)[::2].reshape(4, 5) // 2,
    ],
    ids=[
        "int",
        "uint8",
        "rank 2",
        "list",
        "list of ints",
        "big-endian",
        "fortran",
        "float16",
        "strided",
    ],
)
def test_inputs_that_people_have(x, forecaster):
    before = np.array(x)
    samples = samples_of(forecaster, x, [0, 1, 2, 3])
    samples = arrays_of(samples)
    assert samples.x.shape == (4, 5, 1)
    assert samples.x.dtype == np.float32
    assert samples.x.flags.c_contiguous
    assert samples.x.ravel().tolist() == list(range(20))
    assert samples.y.shape == (4, 1)
    assert samples.weights is None
    np.testing.assert_array_equal(np.array(x), before)


def test_booleans_are_numbers(forecaster):
    assert arrays_of(samples_of(forecaster, np.ones((2, 5), bool), need_y=False)).x.sum() == 10


def test_rank_2_gets_its_axis_only_where_one_feature_is_asked_for():
    model = model_of(layers.LSTM(3, input_shape=(5, 2)), layers.Dense(1))
    with pytest.raises(
        ShapeError, match=r"x has shape \(4, 5\); the model expects \(samples, 5, 2\)"
    ):
        samples_of(model, np.zeros((4, 5)), np.zeros(4))
    dense = model_of(layers.Dense(1, input_shape=(5,)))
    assert arrays_of(samples_of(dense, np.zeros((4, 5)), np.zeros(4))).x.shape == (4, 5)
    assert arrays_of(
        samples_of(model_of(layers.Dense(1)), np.zeros((4, 5)), np.zeros(4))
    ).x.shape == (
        4,
        5,
    )
    free = model_of(layers.LSTM(2))
    assert arrays_of(samples_of(free, np.zeros((4, 5)), np.zeros((4, 2)))).x.shape == (4, 5, 1)
    assert free.input_shape == (None, 5, 1)


def test_sample_weights_and_lengths_meet(tagger):
    x, y = np.zeros((2, 3, 2)), np.zeros((2, 3, 2))
    assert arrays_of(samples_of(tagger, x, y)).weights is None
    samples = samples_of(tagger, x, y, sample_weight=[2, 3], lengths=[3, 1])
    samples = arrays_of(samples)
    assert samples.weights.tolist() == [[2, 2, 2], [3, 0, 0]]
    assert samples.lengths.tolist() == [3, 1]


def test_a_column_of_sample_weights(forecaster):
    """df[["weight"]].to_numpy(), as it comes out of a table."""
    samples = samples_of(forecaster, np.zeros((3, 5)), np.zeros(3), sample_weight=[[1], [2], [3]])
    assert arrays_of(samples).weights.tolist() == [1, 2, 3]


# ---- class weights


def weighed(model, x, y, class_weight=None, **options):
    samples = samples_of(model, x, y, **options)
    add_class_weight(model, samples, class_weight)
    return arrays_of(samples)


@pytest.mark.parametrize(
    ("loss", "units", "y", "expected"),
    [
        ("sparse_categorical_crossentropy", 3, [0, 1, 2, 1], [1, 5, 0.5, 5]),
        ("sparse_categorical_crossentropy", 3, [[0], [1], [2], [1]], [1, 5, 0.5, 5]),
        ("categorical_crossentropy", 3, np.eye(3)[[0, 1, 2, 1]], [1, 5, 0.5, 5]),
        ("binary_crossentropy", 1, [0, 1, 1, 0], [1, 5, 5, 1]),
        ("binary_crossentropy", 1, [[0.0], [1.0], [1.0], [0.0]], [1, 5, 5, 1]),
    ],
)
def test_class_weights_become_sample_weights(loss, units, y, expected):
    activation = "sigmoid" if units == 1 else "softmax"
    model = model_of(layers.Dense(units, activation=activation, input_shape=(2,)), loss=loss)
    x = np.zeros((4, 2))
    weights = {1: 5.0, np.int64(2): 0.5} if units > 1 else {1: 5.0}
    assert weighed(model, x, y, class_weight=weights).weights.tolist() == expected
    both = weighed(model, x, y, sample_weight=[1, 2, 3, 4], class_weight=weights).weights
    assert both.tolist() == (np.array(expected) * [1, 2, 3, 4]).tolist()


def test_class_weights_per_step():
    dense = layers.Dense(3, activation="softmax", input_shape=(None, 2))
    model = model_of(dense, loss="sparse_categorical_crossentropy")
    samples = weighed(
        model, np.zeros((2, 3, 2)), [[0, 1, 2], [2, 2, 0]], class_weight={2: 4}, lengths=[3, 2]
    )
    assert samples.weights.tolist() == [[1, 1, 4], [4, 4, 0]]


@pytest.mark.parametrize(
    ("class_weight", "error", "words"),
    [
        (
            [1, 2],
            DTypeError,
            r"class_weight is \[1, 2\]; expected a dict of class number to weight",
        ),
        ("balanced", DTypeError, "class_weight is 'balanced'; expected a dict"),
        ({0: -1}, ConfigError, r"class_weight\[0\] is -1.0"),
        ({0: "a"}, DTypeError, r"class_weight\[0\] is 'a'; expected a number"),
        ({0: np.nan}, ConfigError, r"class_weight\[0\] is nan"),
    ],
)
def test_bad_class_weights(class_weight, error, words):
    model = model_of(
        layers.Dense(1, activation="sigmoid", input_shape=(2,)), loss="binary_crossentropy"
    )
    with pytest.raises(error, match=words):
        weighed(model, np.zeros((2, 2)), [0, 1], class_weight=class_weight)


@pytest.mark.parametrize("class_weight", [{"1": 2.0}, {7: 2.0}, {0.5: 2.0}, {-1: 2.0}])
def test_class_weights_of_no_class(class_weight):
    """A key that matches nothing is a mistake: the weights would be left out without a word."""
    model = model_of(
        layers.Dense(3, activation="softmax", input_shape=(2,)),
        loss="sparse_categorical_crossentropy",
    )
    with pytest.raises((ConfigError, DTypeError, ShapeError), match="class_weight"):
        weighed(model, np.zeros((2, 2)), [0, 1], class_weight=class_weight)


def test_class_weights_need_classes():
    model = model_of(layers.Dense(3, input_shape=(2,)), loss="mse")
    with pytest.raises(
        ConfigError, match="class_weight needs class targets; loss mean_squared_error has 3 outputs"
    ):
        weighed(model, np.zeros((2, 2)), np.zeros((2, 3)), class_weight={0: 1.0})


# ---- refusals


def test_positions_of_what_is_not_finite(forecaster):
    x, y = np.zeros((4, 5, 1)), np.zeros(4)
    x[2, 3, 0] = np.inf
    with pytest.raises(
        NonFiniteError, match=r"x holds inf at index \(2, 3, 0\); expected finite numbers"
    ):
        samples_of(forecaster, x, y)
    y[1] = np.nan
    with pytest.raises(NonFiniteError, match=r"y holds nan at index \(1,"):
        samples_of(forecaster, np.zeros((4, 5, 1)), y)
    weights = np.ones(4)
    weights[3] = -np.inf
    with pytest.raises(NonFiniteError, match=r"sample_weight holds -inf at index \(3,"):
        samples_of(forecaster, np.zeros((4, 5, 1)), np.zeros(4), weights)


def test_too_large_for_float32_is_refused_not_rounded_to_infinity(forecaster):
    with pytest.raises(
        NonFiniteError, match=r"x holds 1e\+300 at index \(0, 0\), which overflows float32"
    ):
        samples_of(forecaster, np.full((1, 5), 1e300), need_y=False)


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (None, ConfigError, "y is missing: give the targets"),
        (np.zeros(3), ShapeError, "y has 3 rows, x has 4; expected one target a sample"),
        (np.zeros((4, 2)), ShapeError, r"y has shape \(4, 2\), the model's output has \(4, 1\)"),
        (["a"] * 4, DTypeError, "y holds .* values; expected numbers"),
        ([1, [2], 3, 4], ShapeError, "y has rows of different lengths"),
        (np.zeros(4, complex), DTypeError, "y holds complex128 values"),
        (np.array([None] * 4), DTypeError, "y holds object values"),
    ],
)
def test_bad_targets(y, error, words, forecaster):
    with pytest.raises(error, match=words):
        samples_of(forecaster, np.zeros((4, 5)), y)


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([5, 5, 5], ShapeError, r"lengths has shape \(3,\); expected \(4,\), one length a row"),
        ([5, 6, 5, 5], ShapeError, r"lengths\[1\] is 6; expected 0 to 5"),
        ([5, 5, -1, 5], ShapeError, r"lengths\[2\] is -1; expected 0 to 5"),
        ([1.0, 2.0, 3.0, 4.0], DTypeError, "lengths holds float64 values; expected whole numbers"),
        ([True] * 4, DTypeError, "lengths holds bool values"),
    ],
)
def test_bad_lengths(lengths, error, words, forecaster):
    with pytest.raises(error, match=words):
        samples_of(forecaster, np.zeros((4, 5)), np.zeros(4), lengths=lengths)


@pytest.mark.parametrize(
    ("resets", "error", "words"),
    [
        (np.zeros((4, 5)), DTypeError, "resets holds float64 values; expected booleans"),
        (
            np.zeros((4, 4), bool),
            ShapeError,
            r"resets has shape \(4, 4\); expected \(4, 5\), one flag a step",
        ),
    ],
)
def test_bad_resets(resets, error, words, forecaster):
    with pytest.raises(error, match=words):
        samples_of(forecaster, np.zeros((4, 5)), np.zeros(4), resets=resets)


def test_losses_are_not_changed_by_preparing(rng):
    """Targets are copied or read, never written to."""
    y = rng.normal(size=(4, 1)).astype(np.float32)
    y.flags.writeable = False
    assert losses.MeanSquaredError().prepare(y, (4, 1), "float32").tolist() == y.tolist()
