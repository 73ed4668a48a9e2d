"""Normalization: equations, gradients, padding; only training passes move the averages."""

import copy
import pickle

import numpy as np
import pytest
from cases import (
    assert_all_close,
    assert_all_same_bits,
    assert_close,
    assert_same_bits,
    randomize,
    run,
    sequences,
)

from gatewise.callbacks import EarlyStopping, LambdaCallback
from gatewise.errors import ConfigError, NonFiniteError, ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Dense,
    Input,
    LayerNormalization,
    SimpleRNN,
    TimeDistributed,
)
from gatewise.models import Sequential, load_model
from gatewise.optimizers import Adam, AdamW, Lion
from gatewise.testing import check_gradients

BOTH = [BatchNormalization, LayerNormalization]
SHAPES = [
    ((7, 3), None),
    ((4, 5, 3), None),
    ((4, 5, 3), [5, 0, 2, 3]),
    ((2, 3, 2, 4), None),
    ((1, 1), None),
    ((3, 2, 2), [0, 0, 0]),
]


def layer_of(cls, shape, rng, dtype="float64", **options):
    layer = cls(dtype=dtype, **options)
    layer.build((None, *shape[1:]))
    layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return layer


def wanted(layer, x, lengths=None, training=False):
    """(output, moving mean and variance afterwards) by the equations."""
    p = {name: array.astype(np.float64) for name, array in layer.parameters.items()}
    x = x.astype(np.float64)
    counted = (
        np.ones(x.shape[:-1], bool)
        if lengths is None
        else np.arange(x.shape[1]) < np.array(lengths)[:, None]
    )
    averages = [p.get("moving_mean"), p.get("moving_variance")]
    if isinstance(layer, LayerNormalization):
        mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    elif training:
        mean, variance = x[counted].mean(axis=0), x[counted].var(axis=0)
        averages = [
            layer.momentum * old + (1 - layer.momentum) * new
            for old, new in zip(averages, (mean, variance))
        ]
    else:
        mean, variance = averages
    y = p.get("gamma", 1) * (x - mean) / np.sqrt(variance + layer.epsilon) + p.get("beta", 0)
    return np.where(counted[..., None], y, 0), averages


@pytest.mark.parametrize(
    "options", [{}, {"center": False}, {"scale": False, "epsilon": 0.1}], ids=str
)
@pytest.mark.parametrize("cls", BOTH)
def test_forward(cls, options, dtype, tolerance, rng):
    for shape, lengths in SHAPES[:-1]:
        layer = layer_of(cls, shape, rng, dtype, **options)
        x = rng.normal(2, 3, shape).astype(dtype)
        for training in (True, False):
            expected, averages = wanted(layer, x, lengths, training)
            assert_close(
                layer.forward(x, lengths=lengths, training=training), expected, tolerance.forward
            )
            if cls is BatchNormalization:
                for got, average in zip(layer.get_weights()[-2:], averages):
                    assert_close(got, average, tolerance.forward)


@pytest.mark.parametrize(
    "options", [{}, {"center": False}, {"scale": False}, {"center": False, "scale": False}], ids=str
)
@pytest.mark.parametrize("cls", BOTH)
def test_backward(cls, options, rng):
    for shape, lengths in SHAPES:
        layer = layer_of(cls, shape, rng, **options)
        before = layer.get_weights()
        report = check_gradients(layer, rng.normal(size=shape), max_entries=30, lengths=lengths)
        assert set(report.errors) == {"x", *layer.gradients}
        assert set(report.unchecked) == {"moving_mean", "moving_variance"} & layer.parameters.keys()
        assert_all_same_bits(layer.get_weights(), before)


def test_a_batch_without_a_step_leaves_the_averages(rng):
    layer = layer_of(BatchNormalization, (3, 2, 2), rng)
    before = layer.get_weights()
    y = layer.forward(rng.normal(size=(3, 2, 2)), lengths=[0, 0, 0], training=True)
    assert not y.any() and not layer.backward(np.ones_like(y)).any()
    assert_all_same_bits(layer.get_weights(), before)


@pytest.mark.parametrize("cls", BOTH)
def test_threads_give_the_same_bits(cls, dtype, rng, forced_threads):
    layer, x = layer_of(cls, (30, 20, 17), rng, dtype), sequences(rng, 30, 20, 17, dtype)
    weights, results = layer.get_weights(), []
    for count in (1, 3):
        forced_threads.set_num_threads(count)
        layer.set_weights(weights)
        results.append(run(layer, x) | dict(enumerate(layer.get_weights())))
    assert_all_same_bits(results[1], results[0])


@pytest.mark.parametrize("cls", BOTH)
def test_a_row_does_not_depend_on_its_neighbours(cls, dtype, rng):
    layer, x = layer_of(cls, (13, 5, 37), rng, dtype), sequences(rng, 13, 5, 37, dtype)
    whole = layer.forward(x)
    for row in range(13):
        assert_same_bits(layer.forward(x[row : row + 1]), whole[row : row + 1])


def test_large_means_lose_no_digits(rng):
    x = (1000 + rng.normal(size=(20_000, 2))).astype("float32")
    for cls in BOTH[:1]:
        layer = cls()
        y = layer.forward(x, training=True)
        assert_close(y, wanted(layer, x, training=True)[0], 2e-4)  # x itself has no more digits
    assert layer.get_weights()[2] == pytest.approx(
        0.01 * x.mean(axis=0, dtype=np.float64), rel=1e-6
    )


def test_layer_normalization_of_rows_of_one_huge_number(dtype, rng):
    """The sum overflows, and there is no variance to divide by."""
    layer = layer_of(LayerNormalization, (2, 4), rng, dtype)
    rows = np.stack([np.full(4, np.finfo(dtype).max), rng.normal(size=4)]).astype(dtype)
    y = layer.forward(rows, training=True)
    np.testing.assert_array_equal(y[0], layer.parameters["beta"])
    dy = rng.normal(size=(2, 4)).astype(dtype)
    dx = layer.backward(dy)
    layer.forward(np.stack([np.ones(4), rows[1]]).astype(dtype), training=True)
    assert_close(dx, layer.backward(dy), 1e-6)


SCALES = {"float32": [1e15, 1e30, 3e38], "float64": [1e150, 1e300, 1.7e308]}


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("features", [1, 2, 5, 64])
def test_layer_normalization_of_huge_numbers(part, features, dtype, tolerance, rng):
    """Scaled before the variance, which would overflow; other rows beside them keep their bits."""
    scale = SCALES[dtype][part]
    rows = rng.uniform(-1, 1, (3, features)).astype(dtype)
    rows[0, 0] = 1
    huge = rows.copy()
    huge[0] *= np.dtype(dtype).type(scale)
    layer = layer_of(LayerNormalization, (3, features), rng, dtype)
    got, usual = run(layer, huge), run(layer, rows)
    exact = huge[0].astype(np.longdouble) - huge[0].astype(np.longdouble).mean()
    exact = exact / np.sqrt((exact * exact).mean() + 1e-3)
    gamma, beta = layer.get_weights()
    assert_close(
        got["output 0"][0], (exact * gamma + beta).astype(np.float64), 20 * tolerance.forward
    )
    assert_same_bits(got["output 0"][1:], usual["output 0"][1:])
    assert_same_bits(got["x"][1:], usual["x"][1:])
    assert all(np.isfinite(array).all() for array in got.values())
    # dx is that of a thousandth of the row, a thousandth of it: epsilon is nothing to either
    small = huge.copy()
    small[0] /= 1000
    unit = np.dtype(dtype).type(scale / 1000)
    if part < 2:  # the gradient for the largest is no normal number
        assert_close(
            got["x"][0] * (1000 * unit), run(layer, small)["x"][0] * unit, 100 * tolerance.forward
        )


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU], ids=lambda cls: cls.__name__)
def test_recurrent_layer_normalization_of_one_huge_sum(cls, dtype):
    """All sums of a step are the same: their norm is zero, however large they are."""
    layer = cls(
        5,
        layer_normalization=True,
        return_sequences=True,
        kernel_initializer="ones",
        dtype=dtype,
        seed=3,
    )
    usual, huge = (run(layer, np.full((1, 2, 1), x, dtype)) for x in (1, np.finfo(dtype).max))
    assert_same_bits(huge["output 0"], usual["output 0"])
    assert all(np.isfinite(array).all() for array in huge.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU], ids=lambda cls: cls.__name__)
def test_recurrent_layer_normalization_of_huge_numbers(cls, dtype, rng):
    """What it makes of huge sums is what it makes of large ones.

    Before, it was that of no input at all.
    """
    large, factor, tolerance = {
        "float32": (2.0**40, 2.0**55, 1e-5),
        "float64": (2.0**300, 2.0**600, 1e-13),
    }[dtype]
    layer = cls(
        19, layer_normalization=True, return_sequences=True, return_state=True, dtype=dtype, seed=3
    )
    layer.build((None, None, 3))
    randomize(layer, rng)
    x, starts = (
        rng.normal(size=(2, 3, 3)).astype(dtype),
        [rng.normal(size=(2, 19)) for _ in layer.cell.states],
    )
    dy, results = None, []
    for scale in (large, large * factor):
        state = [array.astype(dtype) for array in starts]
        if cls is LSTM:
            state[1] *= np.dtype(dtype).type(scale)
        given = x * np.dtype(dtype).type(scale)
        dy = dy or [
            rng.normal(size=shape).astype(dtype) for shape in [(2, 3, 19), *[(2, 19)] * len(starts)]
        ]
        if cls is LSTM:  # that of the final c would drown all others, as c is so large
            dy[2][...] = 0
        results.append(run(layer, given, dy, initial_state=state))
        results[-1] = {name: array.astype(np.float64) for name, array in results[-1].items()}
    usual, huge = results
    for name in ("x", "state 1"):
        if name in huge:
            huge[name] *= factor
            usual[name], huge[name] = usual[name] * large, huge[name] * large
    if cls is LSTM:
        huge["output 2"] /= factor
        usual["output 2"], huge["output 2"] = usual["output 2"] / large, huge["output 2"] / large
    assert_all_close(huge, usual, tolerance)
    assert np.abs(usual["x"]).max() > 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_normalization_refuses_a_variance_that_overflows(dtype):
    layer = BatchNormalization(dtype=dtype)
    x = np.array([[1, SCALES[dtype][1]], [2, -SCALES[dtype][1]]], dtype)
    with pytest.raises(
        NonFiniteError, match=f"feature 1 goes from .*, whose variance overflows {dtype}"
    ):
        layer.forward(x, training=True)
    assert all(np.isfinite(array).all() for array in layer.get_weights())
    assert (layer.get_weights()[2] == 0).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: BatchNormalization(axis=1),
            ConfigError,
            "BatchNormalization: axis is 1; expected -1",
        ),
        (lambda: LayerNormalization(axis=[1, 2]), ConfigError, "axis is .1, 2."),
        (lambda: BatchNormalization(momentum=1.5), ConfigError, "momentum is 1.5"),
        (lambda: LayerNormalization(epsilon=0), ConfigError, "epsilon is 0"),
        (lambda: LayerNormalization().build((None, None)), ShapeError, "known number of features"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_negative_variance(rng):
    layer = layer_of(BatchNormalization, (2, 3), rng)
    with pytest.raises(
        ConfigError, match="moving_variance holds -0.5; a variance is never negative"
    ):
        layer.set_weights([*layer.get_weights()[:-1], [1, -0.5, 0]])


def test_inside_a_time_distributed(rng):
    """Every step counts alike, so that the results are those of the layer alone.

    And the averages are one and the same.
    """
    x = rng.normal(size=(4, 5, 3))
    inside, alone = (
        TimeDistributed(BatchNormalization(dtype="float64")),
        BatchNormalization(dtype="float64"),
    )
    model = Sequential([Input((5, 3)), inside, Dense(1)], seed=0)
    assert_close(inside.forward(x, training=True), alone.forward(x, training=True), 1e-14)
    assert_all_same_bits(inside.get_weights(), alone.get_weights())
    assert model.flat_parameters.size == model.count_params() - 6
    twin = pickle.loads(pickle.dumps(model))
    twin.set_weights([w + 1 for w in model.get_weights()])
    for one, other in zip(twin.layers[0]._kept_arrays(), twin.layers[0].layer._kept_arrays()):
        assert one is other
    assert_all_same_bits(inside.get_weights(), alone.get_weights())


def test_a_built_layer_is_fixed(rng):
    layer = layer_of(LayerNormalization, (2, 3), rng)
    with pytest.raises(RuntimeError, match="center cannot change"):
        layer.center = False


# ---- in models


def model_of(optimizer="adam"):
    model = Sequential(
        [
            Input((None, 2)),
            LSTM(4, return_sequences=True),
            BatchNormalization(momentum=0.8),
            LSTM(3),
            BatchNormalization(momentum=0.8, name="last"),
            Dense(1),
        ],
        seed=0,
    )
    model.compile(optimizer, "mse")
    return model


@pytest.fixture
def data(rng):
    x = rng.normal(3, 2, (24, 6, 2))
    return x, x.mean(axis=(1, 2)), np.arange(24) % 6 + 1


def averages(model):
    return [array.copy() for layer in model.layers for array in layer._kept_arrays()]


def test_counts_and_order(data):
    model = model_of()
    assert [len(layer.get_weights()) for layer in model.layers] == [3, 4, 3, 4, 2]
    assert model.count_params() == sum(w.size for w in model.get_weights())
    assert (
        model.flat_parameters.size
        == model.count_params() - 2 * 4 - 2 * 3
        == model.flat_gradients.size
    )
    assert [w.shape for w in model.layers[3].get_weights()] == [(3,)] * 4
    assert len(averages(model)) == 4


@pytest.mark.parametrize(
    "optimizer",
    [
        AdamW(0.1, weight_decay=0.5),
        Lion(0.1, weight_decay=0.5),
        Adam(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_optimizer_moves_the_averages(optimizer, data):
    """One training pass on one batch gives them whatever the optimizer does with all else."""
    x, y, _ = data
    plain, model = model_of("sgd"), model_of(optimizer)
    for one in (plain, model):
        one.compute_gradients(x, y)
    before = averages(plain)
    model.optimizer.step(model._flat_parameters, model.flat_gradients, model._array_pieces)
    model._end_training()
    assert_all_same_bits(averages(model), before)
    assert any((average != 0).any() for average in before)


def test_padding_counts_in_no_average(data):
    x, y, lengths = data
    other = x.copy()
    other[np.arange(6) >= lengths[:, None]] = 100
    results = []
    for given in (x, other):
        model = model_of()
        model.fit(given, y, lengths=lengths, epochs=2, batch_size=8, verbose=0)
        results.append([*model.get_weights(), model.predict(given, lengths=lengths)])
    assert_all_same_bits(*results)


def test_training_goes_on_from_a_file_to_the_bit(data, tmp_path):
    x, y, lengths = data

    def watch():
        return [EarlyStopping("loss", patience=9, restore_best_weights=True)]

    whole, cut, again = model_of(), model_of(), model_of()
    whole.fit(x, y, epochs=4, batch_size=8, lengths=lengths, verbose=0, callbacks=watch())
    cut.fit(x, y, epochs=2, batch_size=8, lengths=lengths, verbose=0, callbacks=watch())
    cut.save(tmp_path / "half")
    assert_all_same_bits(load_model(tmp_path / "half").get_weights(), cut.get_weights())
    again.fit(
        x,
        y,
        epochs=4,
        batch_size=8,
        lengths=lengths,
        verbose=0,
        callbacks=watch(),
        resume_from=tmp_path / "half",
    )
    assert_all_same_bits(again.get_weights(), whole.get_weights())


def test_a_run_whose_best_weights_came_back_goes_on_from_its_last_ones(data, tmp_path):
    """The averages of the last step, not those of the best epoch."""
    x, y, _ = data

    def watch():
        scores = iter([1.0, 2.0, 3.0, 4.0])
        return [
            LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(score=next(scores))),
            EarlyStopping("score", mode="min", patience=9, restore_best_weights=True),
        ]

    at_end = {}
    keep = LambdaCallback(
        on_epoch_end=lambda epoch, logs: at_end.update({epoch: whole.get_weights()})
    )
    whole, cut = model_of(), model_of()
    whole.fit(x, y, epochs=4, batch_size=8, verbose=0, callbacks=[keep, *watch()])
    assert_all_same_bits(whole.get_weights(), at_end[0])
    cut.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=watch())
    cut.save(tmp_path / "half")
    again, found = model_of(), []
    last = LambdaCallback(on_epoch_end=lambda epoch, logs: found.append(again.get_weights()))
    again.fit(
        x,
        y,
        epochs=4,
        batch_size=8,
        verbose=0,
        callbacks=[*watch(), last],
        resume_from=tmp_path / "half",
    )
    assert_all_same_bits(found[-1], at_end[3])


def test_broken_training_goes_back_to_good_averages(data):
    x, y, _ = data
    model = model_of("sgd")
    model.fit(x, y, epochs=1, verbose=0)
    before = model._snapshot()
    weights = model.get_weights()
    model.fit(x, y, epochs=2, verbose=0)
    assert (averages(model)[0] != weights[5]).any()
    before.restore()
    assert_all_same_bits(model.get_weights(), weights)


def test_copies_are_apart_and_weights_go_together(data):
    x, y, _ = data
    model = model_of()
    model.fit(x, y, epochs=1, verbose=0)
    weights = model.get_weights()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_all_same_bits(twin.get_weights(), weights)
        twin.fit(x, y, epochs=1, verbose=0)
        assert all((a != b).any() for a, b in zip(averages(twin), averages(model)))
    assert_all_same_bits(model.get_weights(), weights)
    wrong = [*weights[:-1], np.zeros((9, 9))]  # the averages that fitted are put back
    wrong[5] = wrong[5] + 1
    with pytest.raises(ShapeError):
        model.set_weights(wrong)
    assert_all_same_bits(model.get_weights(), weights)


def test_gradients_of_a_model(rng):
    model = Sequential(
        [
            Input((None, 2)),
            LSTM(3, return_sequences=True, dtype="float64"),
            BatchNormalization(),
            LayerNormalization(),
            LSTM(2),
            Dense(1),
        ],
        seed=0,
    )
    x, y = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 1))
    model.build((None, None, 2))
    before = model.get_weights()
    assert check_gradients(model, x, y=y, loss="mse", lengths=[5, 2, 1, 4], max_entries=10).passed
    assert_all_same_bits(model.get_weights(), before)


def test_a_model_that_grows_keeps_its_averages(data):
    model = model_of()
    model.compute_gradients(data[0], data[1])
    before = averages(model)
    model.add(Dense(2))
    assert_all_same_bits(averages(model), before)
