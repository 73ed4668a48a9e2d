"""Sequential: training, weights of samples, regularizers, divergence, changes after training."""

import copy
import re
import warnings

import numpy as np
import pytest
from seeds import generator

from gatewise import losses, optimizers, regularizers, threads
from gatewise.errors import GatewiseError, StateError
from gatewise.layers import GRU, LSTM, Dense, Dropout
from gatewise.models import Sequential, load_model

from .small import compiled, forecaster

# ---- training


def test_fit_is_the_steps_written_out(xy):
    """Batches in order, mean gradients, one optimizer step each: nothing more."""
    x, y = (array.astype(np.float32) for array in xy)
    fitted, by_hand = (
        forecaster(optimizer=optimizers.SGD(0.1)),
        forecaster(optimizer=optimizers.SGD(0.1)),
    )
    history = fitted.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    for epoch in range(2):
        total = 0.0
        for rows in (slice(0, 8), slice(8, 16), slice(16, 20)):
            loss = by_hand.compute_gradients(x[rows], y[rows])
            total += loss * len(x[rows])
            by_hand.flat_parameters[...] -= np.float32(0.1) * by_hand.flat_gradients
            by_hand._weights_changed()
        assert history[epoch] == pytest.approx(total / 20, rel=1e-6)
    np.testing.assert_allclose(
        fitted.flat_parameters, by_hand.flat_parameters, rtol=1e-5, atol=1e-6
    )


def test_train_on_batch_is_fit_on_one_batch(xy):
    one, two = (
        forecaster(optimizer="adam", metrics=["mae"]),
        forecaster(optimizer="adam", metrics=["mae"]),
    )
    history = one.fit(*xy, batch_size=20, epochs=3, shuffle=False, verbose=0).history
    for epoch in range(3):
        loss, mae = two.train_on_batch(*xy)
        assert loss == history["loss"][epoch]
        assert mae == history["mae"][epoch]
    assert two.flat_parameters.tobytes() == one.flat_parameters.tobytes()
    assert type(forecaster().train_on_batch(*xy)) is float
    assert set(two.train_on_batch(*xy, return_dict=True)) == {"loss", "mae"}


def test_evaluate(xy):
    model = forecaster(metrics=["mae", "mse"])
    before = model.flat_parameters.tobytes()
    loss, mae, mse = model.evaluate(*xy, verbose=0)
    predictions = model.predict(xy[0])
    assert loss == pytest.approx(((predictions - xy[1]) ** 2).mean(), rel=1e-5)
    assert mse == pytest.approx(loss, rel=1e-6)
    assert mae == pytest.approx(abs(predictions - xy[1]).mean(), rel=1e-5)
    assert model.evaluate(*xy, batch_size=3, verbose=0) == pytest.approx([loss, mae, mse], rel=1e-6)
    assert model.evaluate(*xy, return_dict=True, verbose=0) == {
        "loss": loss,
        "mae": mae,
        "mse": mse,
    }
    assert model.test_on_batch(*xy) == pytest.approx([loss, mae, mse], rel=1e-6)
    assert model.metrics_names == ["loss", "mae", "mse"]
    assert type(forecaster().evaluate(*xy, verbose=0)) is float
    assert model.flat_parameters.tobytes() == before
    assert model.optimizer.iterations == 0


def test_dropout_is_off_in_validation_and_evaluation(xy):
    model = compiled(
        LSTM(4, dropout=0.5, recurrent_dropout=0.5, input_shape=(6, 2)),
        Dropout(0.5),
        Dense(1),
        optimizer=optimizers.SGD(0.0),
    )
    history = model.fit(*xy, epochs=3, validation_data=xy, verbose=0, shuffle=False).history
    assert len(set(history["val_loss"])) == 1
    assert history["val_loss"][0] == model.evaluate(*xy, verbose=0)
    assert len(set(history["loss"])) == 3


def test_training_learns(rng):
    """Which of two sequences is the rising one.

    The sum of a sequence: both must really be learned.
    """
    x = rng.normal(size=(400, 8, 1))
    y = (x[:, -1, 0] > x[:, 0, 0]).astype(int)
    for last, loss in (
        (Dense(1, "sigmoid"), "binary_crossentropy"),
        (Dense(2, "softmax"), "sparse_categorical_crossentropy"),
    ):
        model = compiled(
            GRU(12, input_shape=(8, 1)),
            last,
            optimizer=optimizers.Adam(0.02),
            loss=loss,
            metrics=["accuracy"],
        )
        model.fit(x[:300], y[:300], epochs=25, verbose=0)
        assert model.evaluate(x[300:], y[300:], verbose=0)[1] > 0.8
    model = compiled(LSTM(12, input_shape=(8, 1)), Dense(1), optimizer=optimizers.Adam(0.02))
    y = x.sum(axis=(1, 2))
    model.fit(x[:300], y[:300], epochs=25, verbose=0)
    assert model.evaluate(x[300:], y[300:], verbose=0) < 0.15 * y[300:].var()


@pytest.mark.parametrize(
    "optimizer", ["adam", optimizers.RMSprop(0.01, centered=True, clipnorm=0.1)]
)
def test_same_seed_same_bits_for_any_number_of_threads(optimizer, rng):
    x, y = rng.normal(size=(90, 20, 8)), rng.normal(size=(90, 3))
    results = {}
    for count in (1, 2, 3, 5, 2):
        with threads.num_threads(count):
            model = compiled(
                LSTM(
                    48,
                    dropout=0.1,
                    recurrent_dropout=0.1,
                    return_sequences=True,
                    input_shape=(20, 8),
                ),
                Dropout(0.2),
                GRU(40, kernel_regularizer="l2"),
                Dense(64, "relu"),
                Dense(3),
                seed=7,
                optimizer=optimizers.get(optimizers.serialize(optimizers.get(optimizer))),
            )
            history = model.fit(
                x, y, epochs=2, batch_size=33, validation_split=0.2, verbose=0
            ).history
            result = (model.flat_parameters.tobytes(), model.predict(x).tobytes(), str(history))
            results.setdefault(result, []).append(count)
    assert list(results.values()) == [[1, 2, 3, 5, 2]]
    other = compiled(LSTM(48, input_shape=(20, 8)), Dense(3), seed=8)
    assert not np.array_equal(
        other.predict(x), compiled(LSTM(48, input_shape=(20, 8)), Dense(3), seed=7).predict(x)
    )


def test_a_model_without_a_seed_draws_anew(xy):
    assert not np.array_equal(
        forecaster(seed=None).predict(xy[0]), forecaster(seed=None).predict(xy[0])
    )


def test_layer_seed_alone_does_not_tie_layers(xy):
    model = Sequential([Dense(3, input_shape=(3,)), Dense(3)], seed=0)
    first, second = model.layers
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])


def test_shuffle_draws_a_new_order_each_epoch_and_sees_every_sample_once():
    seen = []

    class Spy(Sequential):
        def _train_step(self, samples):
            x, targets = samples.inputs[0].values, samples.targets[0]
            seen.append(x[:, 0].copy())
            np.testing.assert_array_equal(targets.y[:, 0], x[:, 0] * 2)
            np.testing.assert_array_equal(targets.weights, x[:, 0] * 3)
            return super()._train_step(samples)

    def orders(**options):
        seen.clear()
        model = Spy([Dense(1, input_shape=(1,))], seed=1)
        model.compile(optimizers.SGD(1e-9), "mse")
        x = np.arange(50.0)[:, None]
        model.fit(x, x * 2, sample_weight=x[:, 0] * 3, batch_size=8, epochs=3, verbose=0, **options)
        assert [len(batch) for batch in seen] == [8, 8, 8, 8, 8, 8, 2] * 3
        return np.concatenate(seen).reshape(3, 50)

    shuffled = orders()
    for epoch in shuffled:
        assert sorted(epoch) == list(range(50))
        assert list(epoch) != list(range(50))
    assert not np.array_equal(shuffled[0], shuffled[1])
    np.testing.assert_array_equal(shuffled, orders())  # the seed's
    np.testing.assert_array_equal(orders(shuffle=False), [np.arange(50)] * 3)


def test_validation_split_is_the_last_part_before_shuffling(xy):
    x, y = xy
    one, two = forecaster(optimizer="adam"), forecaster(optimizer="adam")
    first = one.fit(x, y, validation_split=0.25, epochs=3, verbose=0).history
    second = two.fit(x[:15], y[:15], validation_data=(x[15:], y[15:]), epochs=3, verbose=0).history
    assert first == second
    assert one.flat_parameters.tobytes() == two.flat_parameters.tobytes()
    both = forecaster(optimizer="adam")
    third = both.fit(
        x[:15], y[:15], validation_split=0.9, validation_data=(x[15:], y[15:]), epochs=3, verbose=0
    )
    assert third.history == second  # validation_data wins, as in Keras
    weighted = forecaster(optimizer="adam").fit(
        x, y, validation_split=0.25, sample_weight=np.arange(20), verbose=0
    )
    other = forecaster(optimizer="adam").fit(
        x[:15],
        y[:15],
        sample_weight=np.arange(15),
        verbose=0,
        validation_data=(x[15:], y[15:], np.arange(15, 20)),
    )
    assert weighted.history == other.history


def test_class_weights_are_for_training_only(rng):
    x, y = rng.normal(size=(20, 3)), np.arange(20) % 2

    def run(**options):
        model = compiled(Dense(1, "sigmoid", input_shape=(3,)), loss="binary_crossentropy")
        return model.fit(
            x[:10],
            y[:10],
            shuffle=False,
            verbose=0,
            class_weight={0: 10.0, 1: 5.0},
            validation_data=(x[10:], y[10:]),
            **options,
        ).history["val_loss"]

    model = compiled(Dense(1, "sigmoid", input_shape=(3,)), loss="binary_crossentropy")
    split = model.fit(
        x, y, shuffle=False, verbose=0, class_weight={0: 10.0, 1: 5.0}, validation_split=0.5
    ).history
    assert split["val_loss"] == run()


# ---- weights of samples


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (lambda: Dense(1), "mse"),
        (lambda: Dense(1), "mae"),
        (lambda: Dense(1, "sigmoid"), "binary_crossentropy"),
        (lambda: Dense(3, "softmax"), "sparse_categorical_crossentropy"),
        (lambda: Dense(3), losses.SparseCategoricalCrossentropy(from_logits=True)),
    ],
)
def test_weight_k_is_k_copies(last, loss, rng):
    def gradients(x, y, **options):
        model = compiled(LSTM(3, dtype="float64", input_shape=(4, 2)), last(), loss=loss)
        value = model.compute_gradients(x, y, **options)
        return value * len(x), model.flat_gradients * len(x)

    x = rng.normal(size=(6, 4, 2))
    y = rng.normal(size=6) if loss in ("mse", "mae") else rng.integers(0, 2, 6)
    copies = np.array([1, 3, 0, 2, 1, 4])
    value, gradient = gradients(x, y, sample_weight=copies)
    repeated, repeated_gradient = gradients(np.repeat(x, copies, axis=0), np.repeat(y, copies))
    assert value == pytest.approx(repeated, rel=1e-12)
    np.testing.assert_allclose(gradient, repeated_gradient, rtol=1e-10, atol=1e-13)


def test_class_weight_is_sample_weight(rng):
    x, y = rng.normal(size=(30, 4, 2)), rng.integers(0, 3, 30)
    weights = {0: 0.5, 1: 3.0}
    results = []
    for options in ({"class_weight": weights}, {"sample_weight": np.array([0.5, 3.0, 1.0])[y]}):
        for loss, targets in (
            ("sparse_categorical_crossentropy", y),
            ("categorical_crossentropy", np.eye(3)[y]),
        ):
            model = compiled(
                GRU(3, input_shape=(4, 2)), Dense(3, "softmax"), loss=loss, optimizer="adam"
            )
            model.fit(x, targets, epochs=2, verbose=0, **options)
            results.append(model.flat_parameters.copy())
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-4, atol=1e-6)
    plain = compiled(
        GRU(3, input_shape=(4, 2)),
        Dense(3, "softmax"),
        loss="sparse_categorical_crossentropy",
        optimizer="adam",
    )
    plain.fit(x, y, epochs=2, verbose=0)
    assert not np.allclose(plain.flat_parameters, results[0], atol=1e-4)


def test_weights_of_steps(rng):
    x, y, weights = (
        rng.normal(size=(4, 5, 2)),
        rng.normal(size=(4, 5, 1)),
        rng.uniform(0, 2, (4, 5)),
    )
    model = compiled(LSTM(3, dtype="float64", return_sequences=True, input_shape=(5, 2)), Dense(1))
    expected = (((model.predict(x) - y) ** 2)[..., 0] * weights).sum() / 20
    assert model.evaluate(x, y, sample_weight=weights, verbose=0) == pytest.approx(
        expected, rel=1e-10
    )


# ---- regularizers


def test_penalties_are_in_the_loss_and_the_gradient(xy):
    def model_with(**options):
        named = {f"{name}_regularizer": value for name, value in options.items()}
        return compiled(
            LSTM(3, dtype="float64", input_shape=(6, 2), **named),
            Dense(1, kernel_regularizer=options.get("kernel")),
            seed=2,
        )

    plain = model_with()
    base, base_gradient = plain.compute_gradients(*xy), plain.flat_gradients.copy()
    kernel, recurrent, bias, dense, _ = plain.get_weights()
    model = model_with(
        kernel=regularizers.l2(0.1),
        recurrent=regularizers.L1(0.2),
        bias=regularizers.L1L2(0.3, 0.4),
    )
    value = model.compute_gradients(*xy)
    penalty = (
        0.1 * (kernel**2).sum()
        + 0.1 * (dense**2).sum()
        + 0.2 * abs(recurrent).sum()
        + 0.3 * abs(bias).sum()
        + 0.4 * (bias**2).sum()
    )
    assert value == pytest.approx(base + penalty, rel=1e-12)
    expected = [
        0.2 * kernel,
        0.2 * np.sign(recurrent),
        0.3 * np.sign(bias) + 0.8 * bias,
        0.2 * dense,
        np.zeros(1),
    ]
    np.testing.assert_allclose(
        model.flat_gradients - base_gradient,
        np.concatenate([e.ravel() for e in expected]),
        rtol=1e-10,
        atol=1e-12,
    )
    assert model.evaluate(*xy, verbose=0) == pytest.approx(base + penalty, rel=1e-12)
    assert model.fit(*xy, batch_size=20, verbose=0).history["loss"][0] == pytest.approx(
        base + penalty, rel=1e-12
    )


# ---- when training goes wrong


def diverging(optimizer, **fit_options):
    x = generator(0).normal(size=(12, 2))
    model = compiled(Dense(1, input_shape=(2,)), optimizer=optimizer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(x, np.full(12, 1e3), verbose=0, shuffle=False, **fit_options)
    return model, history, caught


def test_a_loss_that_is_not_finite_stops_training():
    model, history, caught = diverging(optimizers.SGD(1e30), epochs=8, batch_size=4)
    assert [type(w.message).__name__ for w in caught] == ["TrainingWarning"]
    assert re.search(
        r"the loss became (inf|nan) in epoch 1: training stopped.*smaller learning rate",
        str(caught[0].message),
    )
    assert len(history.epoch) == 1
    start = compiled(Dense(1, input_shape=(2,)))
    np.testing.assert_array_equal(model.flat_parameters, start.flat_parameters)
    assert model.stop_training


def test_the_weights_kept_are_the_last_good_ones():
    model, history, _ = diverging(optimizers.SGD(1e25), epochs=8, batch_size=32)
    assert len(history.epoch) == 2
    x = generator(0).normal(size=(12, 2))
    assert np.isfinite(model.evaluate(x, np.full(12, 1e3), verbose=0))


def test_training_can_go_on_with_a_smaller_learning_rate():
    model, _, _ = diverging(optimizers.Adam(1e25), epochs=8, batch_size=4)
    model.optimizer.learning_rate = 1e-3
    x = generator(0).normal(size=(12, 2))
    history = model.fit(x, np.ones(12), epochs=3, verbose=0)
    assert len(history.epoch) == 3


# ---- changes after training


def test_a_new_head_needs_a_new_optimizer(xy, tmp_path):
    """Keras's order: pop, add, compile.

    Heads of one size do not share what the optimizer has accumulated.
    """
    model = compiled(LSTM(4, input_shape=(6, 2)), Dense(3), Dense(1), optimizer="adam")
    model.fit(*xy, verbose=0)
    optimizer = model.optimizer
    model.pop()
    model.save(tmp_path / "body")
    np.testing.assert_array_equal(
        load_model(tmp_path / "body").predict(xy[0]), model.predict(xy[0])
    )
    model.add(Dense(1))
    model.save(tmp_path / "new")
    loaded = load_model(tmp_path / "new")
    assert (loaded.optimizer.iterations, loaded.optimizer.slots()) == (0, {})
    for use in (
        lambda: model.fit(*xy, verbose=0),
        lambda: model.train_on_batch(*xy),
        lambda: model.compile(optimizer, "mse"),
        lambda: copy.deepcopy(model).fit(*xy, verbose=0),
    ):
        with pytest.raises(
            StateError,
            match="the layers have changed since the model was trained.*compile it with a new opt",
        ):
            use()
    model.evaluate(*xy, verbose=0)
    model.compile("adam", "mse")
    model.fit(*xy, verbose=0)
    loaded.fit(*xy, verbose=0)
    np.testing.assert_array_equal(loaded._flat_weights(), model._flat_weights())


def test_an_optimizer_that_accumulates_nothing_fits_any_layers(xy):
    model = compiled(LSTM(4, input_shape=(6, 2)), Dense(1), Dense(1), optimizer="sgd")
    model.fit(*xy, verbose=0)
    model.pop()
    model.fit(*xy, verbose=0)
    model.add(Dense(1))
    model.fit(*xy, verbose=0)


def test_a_layer_without_parameters_may_go(xy, tmp_path):
    model = compiled(LSTM(4, input_shape=(6, 2)), Dense(1), Dropout(0.1), optimizer="adam")
    model.fit(*xy, verbose=0)
    model.pop()
    steps = model.optimizer.iterations
    model.save(tmp_path / "file")
    for going_on in (model, load_model(tmp_path / "file")):
        going_on.fit(*xy, verbose=0)
        assert going_on.optimizer.iterations == 2 * steps


@pytest.mark.parametrize("change", ["pop", "build", "other model"])
def test_an_optimizer_whose_model_changed(change, xy):
    """Either it works, or it says what to do: compile again."""
    model = compiled(LSTM(4, input_shape=(6, 2)), Dense(3), Dense(1), optimizer="adam")
    model.fit(*xy, verbose=0)
    x, y = xy
    try:
        if change == "pop":
            model.pop()
            model.fit(x, np.ones((20, 3)), verbose=0)
        elif change == "build":
            model.build((None, 6, 5))
            model.fit(np.ones((20, 6, 5)), y, verbose=0)
        else:
            compiled(LSTM(9, input_shape=(6, 2)), Dense(1), optimizer=model.optimizer).fit(
                x, y, verbose=0
            )
    except GatewiseError as error:
        assert "compile" in str(error)


def test_compile_again_starts_the_optimizer_anew(xy):
    model = forecaster(optimizer="adam")
    model.fit(*xy, verbose=0)
    kept = model.flat_parameters.copy()
    model.compile("adam", "mae", metrics=["mse"])
    np.testing.assert_array_equal(model.flat_parameters, kept)
    assert model.optimizer.iterations == 0
    assert set(model.fit(*xy, verbose=0).history) == {"loss", "mse"}
