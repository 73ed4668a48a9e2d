"""Numbers that a dtype does not hold, and weights whose sum it does not hold.

Refused, with what holds them.
"""

import numpy as np
import pytest
from seeds import generator

from gatewise.errors import ConfigError, DTypeError, NonFiniteError
from gatewise.layers import GRU, LSTM, Attention, Dense, Input
from gatewise.losses import MeanSquaredError
from gatewise.metrics import MeanAbsoluteError
from gatewise.models import Sequential

HUGE = 1e39  # of float64; infinite in float32
FITS = (
    r"holds 1e\+39 at index \({}\), which overflows float32: .*; use dtype='float64', which"
    r" holds it"
)


def model(activation=None, loss="mse", dtype="float32"):
    made = Sequential([Input((None, 2), dtype=dtype), GRU(3), Dense(1, activation)], seed=0)
    made.compile("sgd", loss)
    return made


def with_one(shape, at, value=HUGE):
    array = np.ones(shape)
    array[at] = value
    return array


@pytest.mark.parametrize(
    "given", [lambda x: x, lambda x: x.tolist(), list], ids=["array", "lists", "list of arrays"]
)
def test_x(given):
    x, one = given(with_one((4, 3, 2), (2, 1, 0))), model()
    for call in (
        lambda: one.predict(x),
        lambda: one.fit(x, np.ones((4, 1)), verbose=0),
        lambda: one.evaluate(x, np.ones((4, 1)), verbose=0),
        lambda: one.predict_on_batch(x),
    ):
        with pytest.raises(NonFiniteError, match="x " + FITS.format("2, 1, 0")):
            call()
    assert np.isfinite(model(dtype="float64").predict(x)).all()


def test_y_weights_and_states():
    one, x = model(), np.ones((4, 3, 2))
    with pytest.raises(NonFiniteError, match="y " + FITS.format("3, 0")):
        one.fit(x, with_one((4, 1), (3, 0)), verbose=0)
    weights = [array.astype("float64") for array in one.get_weights()]
    weights[1][0, 2] = -HUGE
    before = one.get_weights()
    with pytest.raises(
        NonFiniteError,
        match=r"gru.*/recurrent_kernel holds -1e\+39 at index \(0, 2\), which overflows float32",
    ):
        one.set_weights(weights)
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), before))
    layer = LSTM(2)
    with pytest.raises(NonFiniteError, match="initial_state c " + FITS.format("1, 0")):
        layer.forward(
            np.ones((2, 1, 1), "float32"),
            initial_state=[np.ones((2, 2), "float32"), [[0, 0], [HUGE, 0]]],
        )
    with pytest.raises(NonFiniteError, match=r"x holds 1e\+39"):
        Attention().forward([[[HUGE, 1.0]]])


def test_what_no_dtype_holds():
    wide = np.full((1, 1, 2), np.longdouble("1e400"))
    if np.finfo(wide.dtype).max <= np.finfo("float64").max:
        pytest.skip("long double is float64 here")
    with pytest.raises(
        NonFiniteError,
        match=r"x holds 1e\+400 at index \(0, 0, 0\), which overflows float32: .*; scale it",
    ):
        model().predict(wide)
    with pytest.raises(DTypeError, match=r"pass x.astype\('float64'\)$"):
        LSTM(2, dtype="float64").forward(wide)


def test_infinity_is_still_infinity():
    with pytest.raises(NonFiniteError, match="x holds inf at index"):
        model().predict(with_one((1, 2, 2), (0, 1, 1), np.inf))


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 1e38), ("float64", 1e308)])
def test_weights_whose_sum_overflows(dtype, largest):
    one, x, y = (
        model("sigmoid", "binary_crossentropy", dtype),
        np.ones((4, 3, 2)),
        np.array([0, 1, 0, 1]),
    )
    weights, classes = np.full(4, largest), {0: largest, 1: largest}
    for call in (
        lambda: one.fit(x, y, sample_weight=weights, verbose=0),
        lambda: one.train_on_batch(x, y, weights),
        lambda: one.evaluate(x, y, sample_weight=weights, verbose=0),
    ):
        with pytest.raises(
            ConfigError, match=f"sample_weight: the sum of the weights overflows {dtype}"
        ):
            call()
    with pytest.raises(
        ConfigError, match=f"class_weight: the sum of the weights overflows {dtype}"
    ):
        one.fit(x, y, class_weight=classes, verbose=0)
    with pytest.raises(ConfigError, match="class_weight and sample_weight: the sum"):
        one.fit(
            x,
            y,
            class_weight=dict.fromkeys(classes, largest / 10),
            sample_weight=weights / 10,
            verbose=0,
        )
    one.fit(x, y, sample_weight=weights / largest, class_weight={0: 1.0, 1: 2.0}, verbose=0)


@pytest.mark.parametrize(
    "of", [MeanSquaredError(), MeanAbsoluteError().update_state], ids=["loss", "metric"]
)
def test_losses_and_metrics_by_hand(of):
    with pytest.raises(ConfigError, match="the sum of the weights overflows float64"):
        of(np.ones((4, 1)), np.ones((4, 1)), np.full(4, 1e308))


def test_weights_of_estimators():
    pytest.importorskip("sklearn")
    from gatewise import SequenceClassifier, SequenceRegressor, SequenceTagger

    x, y, weights = (
        generator(0).normal(size=(4, 3, 2)),
        np.array([0, 1, 0, 1]),
        np.full(4, 1e308),
    )
    for make, targets in (
        (SequenceClassifier, y),
        (SequenceRegressor, y + 0.5),
        (SequenceTagger, np.repeat(y[:, None], 3, 1)),
    ):
        with pytest.raises(ConfigError, match="sample_weight: the sum of the weights overflows"):
            make(max_iter=1).fit(x, targets, sample_weight=weights)
        fitted = make(units=2, max_iter=1)
        with pytest.warns(match="has not converged"):
            fitted.fit(x, targets, sample_weight=weights / 1e308)
        with pytest.raises(ConfigError, match="sample_weight: the sum of the weights overflows"):
            fitted.score(x, targets, sample_weight=weights)
    with pytest.raises(ConfigError, match="class_weight: the sum of the weights overflows"):
        SequenceClassifier(class_weight={0: 1e308, 1: 1e308}).fit(x, y)
    with pytest.raises(ConfigError, match="class_weight and sample_weight: the sum"):
        SequenceClassifier(class_weight={0: 1e200, 1: 1e200}).fit(
            x, y, sample_weight=np.full(4, 1e200)
        )
