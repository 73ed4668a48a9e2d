"""Windows with a sampling rate, steps that are skipped, and the label of the last step."""

import itertools

import numpy as np
import pandas
import pytest
from sklearn.model_selection import TimeSeriesSplit

from gatewise.data import Windower, stack_frames, windows
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError

SIZES = [
    one
    for one in itertools.product((1, 2, 4), (0, 1, 3), (1, 2, 5), (1, 2, 3), (0, 1, 4))
    if one[1] or not one[4]
]


def by_hand(series, labels, window, horizon, stride, rate, skip):
    """The definition, one window at a time."""
    x, y, start = [], [], 0
    while (last := start + (window - 1) * rate) + skip + horizon < len(series):
        x.append([series[start + step * rate] for step in range(window)])
        y.append(
            [labels[last + skip + ahead] for ahead in range(1, horizon + 1)]
            if horizon
            else labels[last]
        )
        start += stride
    return np.array(x), np.array(y)


@pytest.mark.parametrize("features", [None, 2])
def test_against_the_definition(rng, features):
    for steps in (14, 23):
        series = rng.normal(size=steps if features is None else (steps, features))
        labels = np.array(list("abcdefghijklmnopqrstuvwxyz")[:steps])
        for window, horizon, stride, rate, skip in SIZES:
            if (window - 1) * rate + 1 + skip + horizon > steps:
                continue
            options = {"sampling_rate": rate, "skip": skip}
            expected, texts = by_hand(series, labels, window, horizon, stride, rate, skip)
            x, y = windows(series, window, horizon, stride, labels=labels, **options)
            np.testing.assert_array_equal(x, expected[:, :, None] if features is None else expected)
            np.testing.assert_array_equal(y, texts)
            assert x.flags.c_contiguous and y.flags.c_contiguous and y.base is None
            if horizon:
                np.testing.assert_array_equal(
                    windows(series, window, horizon, stride, **options)[1],
                    by_hand(series, series, window, horizon, stride, rate, skip)[1],
                )
            windower = Windower(window, horizon, stride, rate, skip)
            table = series if features else series[:, None]
            for given, wanted in zip(windower.pairs(table, labels), (x, y)):
                np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("size", SIZES[::11])
def test_windower_over_several_series(rng, size):
    window, horizon, _, rate, skip = size
    several = [rng.normal(size=(n, 2)) for n in (17, 21, 18)]
    labels = [rng.integers(9, size=len(series)) for series in several]
    windower = Windower(*size).fit(several)
    x, y = windower.pairs(several, labels)
    expected = [
        windows(series, *size[:3], sampling_rate=rate, skip=skip, labels=label)
        for series, label in zip(several, labels)
    ]
    np.testing.assert_array_equal(x, np.concatenate([pair[0] for pair in expected]))
    np.testing.assert_array_equal(y, np.concatenate([pair[1] for pair in expected]))
    for (series, end), seen, target in zip(
        windower.positions(several, targets=True), x, y, strict=True
    ):
        np.testing.assert_array_equal(
            several[series][end - (window - 1) * rate : end + 1 : rate], seen
        )
        first = end + skip + 1
        np.testing.assert_array_equal(
            labels[series][first : first + horizon] if horizon else labels[series][end], target
        )
    every = windower.transform(several)
    for (series, end), seen in zip(windower.positions(several), every, strict=True):
        np.testing.assert_array_equal(
            several[series][end - (window - 1) * rate : end + 1 : rate], seen
        )


@pytest.mark.parametrize(
    "size", [(3, 2, 1, 2, 3), (3, 2, 4, 1, 3), (2, 1, 2, 3, 0), (3, 0, 1, 2, 0), (3, 0, 3, 1, 0)]
)
def test_no_target_of_training_is_unknown_when_testing_begins(size):
    series = np.arange(80.0)[:, None]
    windower = Windower(*size)
    x, y = windower.pairs(series, series)
    for train, test in TimeSeriesSplit(n_splits=2, gap=windower.gap).split(x):
        assert y[train].max() <= x[test[0], -1, 0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_stream_with_labels(rng):
    """Many to one: a network reads the last steps and says the label of the last of them."""
    from gatewise import SequenceClassifier

    stream = rng.normal(size=(300, 1))
    # of this step and the one before
    labels = np.where(np.convolve(stream[:, 0], [1, 1])[:300] > 0, "up", "down")
    x, y = windows(stream, 3, horizon=0, labels=labels)
    assert x.shape == (298, 3, 1) and y.shape == (298,) and y[0] == labels[2]
    options = {
        "cell": "rnn",
        "units": 8,
        "max_iter": 60,
        "learning_rate_init": 0.02,
        "pooling": "last",
        "tol": 1e-3,
    }
    classifier = SequenceClassifier(**options, random_state=0).fit(x[:200], y[:200])
    assert classifier.score(x[200:], y[200:]) > 0.9


def from_keras(series, labels, cases):
    """Keras's own function, which needs TensorFlow or Grain to hold what it cuts.

    Here a list does.
    """
    import types

    import numpy as np
    from keras.src.utils import timeseries_dataset_utils as module

    class Pairs(list):
        def to_iter_dataset(self):
            return self

    data = types.SimpleNamespace(source=Pairs)
    zipped = types.SimpleNamespace(ZipMapDataset=lambda parts: Pairs(zip(*parts)))
    module.grain = types.SimpleNamespace(MapDataset=data, experimental=zipped)
    found = []
    for length, stride, rate, offset in cases:
        targets = labels[offset:]
        end = len(series) - max(0, offset - (length - 1) * rate)  # windows whose targets exist
        pairs = list(
            module.timeseries_dataset_from_array(
                series[:end],
                targets,
                sequence_length=length,
                sequence_stride=stride,
                sampling_rate=rate,
                batch_size=None,
                format="grain",
            )
        )
        found.append((np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])))
    return found


@pytest.mark.long
def test_against_keras(rng, keras_rival):
    """Against timeseries_dataset_from_array, whose targets are single steps at a fixed distance."""
    series, labels = rng.normal(size=(40, 2)), rng.normal(size=40)
    sizes = [
        (length, stride, rate, skip)
        for length in (1, 3, 5)
        for stride in (1, 4)
        for rate in (1, 3)
        for skip in (None, 0, 2)
    ]  # None: the label of the last step
    offsets = [
        (length, stride, rate, (length - 1) * rate + (0 if skip is None else skip + 1))
        for length, stride, rate, skip in sizes
    ]
    try:
        answers = keras_rival.run(from_keras, series, labels, offsets)
    except RuntimeError as error:
        if "timeseries_dataset_from_array() got an unexpected keyword" not in str(error):
            raise
        pytest.skip("this Keras needs TensorFlow to cut windows")
    for (length, stride, rate, skip), (x, y) in zip(sizes, answers, strict=True):
        ours = windows(
            series,
            length,
            0 if skip is None else 1,
            stride,
            sampling_rate=rate,
            skip=skip or 0,
            labels=labels,
        )
        np.testing.assert_array_equal(ours[0], x)
        np.testing.assert_array_equal(ours[1] if skip is None else ours[1][:, 0], y)


@pytest.mark.parametrize("swapped", [False, True])
def test_no_window_runs_from_one_series_of_a_panel_into_the_next(rng, swapped):
    index = pandas.MultiIndex.from_product(
        [["b", "a"], pandas.date_range("2024-01-01", periods=6)], names=["store", "day"]
    )
    frame = pandas.DataFrame(rng.normal(size=(12, 2)), index)
    frame = frame.swaplevel() if swapped else frame
    for call, name in (
        (lambda: windows(frame, 3), "series"),
        (lambda: Windower(3).fit(frame), "X"),
        (lambda: Windower(3).pairs(frame), "X"),
        (lambda: stack_frames(frame, 2), "sequence"),
    ):
        with pytest.raises(
            ShapeError,
            match=f"{name} has an index of 2 levels.*cut them one at a time, for _, part in",
        ) as caught:
            call()
    cure = str(caught.value).split("cut them one at a time, ")[1]
    parts = eval(f"[part {cure}]", {"sequence": frame})
    assert [len(windows(part, 3)[0]) for part in parts] == [3, 3]
    assert len(Windower(3).pairs(parts)[0]) == 6 and stack_frames(parts[1], 2).shape == (6, 4)


def test_windows_that_cannot_be():
    series = np.arange(10.0)
    for options, kind, words in (
        ({"horizon": 0}, ConfigError, "horizon is 0.*labels is None; give labels"),
        (
            {"horizon": 0, "skip": 1, "labels": series},
            ConfigError,
            "horizon is 0.*skip is 1.*give skip=0",
        ),
        ({"horizon": -1}, ConfigError, "horizon is -1; expected 0"),
        ({"skip": -1}, ConfigError, "skip is -1"),
        ({"sampling_rate": 0}, ConfigError, "sampling_rate is 0"),
        ({"skip": 1.5}, DTypeError, "skip is 1.5"),
        ({"labels": series[1:]}, ShapeError, r"labels has shape \(9,\), series has 10 steps"),
        ({"labels": 3.0}, ShapeError, r"labels has shape \(\)"),
        ({"labels": np.full(10, np.nan)}, NonFiniteError, "labels"),
        (
            {"sampling_rate": 4, "skip": 2},
            ShapeError,
            r"10 steps; input_steps=3, sampling_rate=4, skip=2 and horizon=1 need at least 12",
        ),
    ):
        with pytest.raises(kind, match=words):
            windows(series, 3, **options)
    with pytest.raises(ConfigError, match="horizon is 0.*y is None; give y"):
        Windower(3, 0).pairs(series[:, None])
    with pytest.raises(
        ShapeError,
        match=(
            "series 0 of X has 10 steps; window=3, sampling_rate=5 and horizon=1 need at least 12"
        ),
    ):
        Windower(3, sampling_rate=5).pairs(series[:, None])
    with pytest.raises(ShapeError, match="horizon"):
        Windower(3, 9).pairs(series[:, None])


def test_dates_that_are_not_in_order_are_refused():
    days = pandas.date_range("2024-01-01", periods=9)
    for index in (days[::-1], pandas.PeriodIndex(days[::-1], freq="D"), days[[0, 1, 2] * 3]):
        series = pandas.Series(np.arange(9.0), index)
        for cutting in (
            lambda part: windows(part, 3),
            lambda part: stack_frames(part, 2),
            lambda part: Windower(3).fit_transform(part.to_frame()),
            lambda part: Windower(3).fit_transform([part]),
        ):
            with pytest.raises(ShapeError, match="not in order of time.*sort_index"):
                cutting(series)
    hour_twice = days[[0, 1, 2, 2, 3, 4, 5, 6, 7]]  # clocks that are set back
    assert len(windows(pandas.Series(np.arange(9.0), hour_twice), 3)[0]) == 6
    assert len(windows(pandas.Series(np.arange(9.0), np.arange(9)[::-1]), 3)[0]) == 6


def test_labels_in_any_layout(rng):
    table = rng.normal(size=(20, 3))
    for dtype in (np.float32, np.float64):
        labels = table.astype(dtype)
        _, expected = windows(table, 5, labels=labels)
        for same in (
            np.asfortranarray(labels),
            pandas.DataFrame(labels),
            np.repeat(labels, 2, axis=1)[:, ::2],
        ):
            np.testing.assert_array_equal(windows(table, 5, labels=same)[1], expected)
