"""Models with several outputs: losses, weights and metrics of each, logs and callbacks."""

import csv

import numpy as np
import pytest

from gatewise import callbacks, load_model, optimizers
from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import GRU, LSTM, Bidirectional, Dense, GlobalAveragePooling1D, Input
from gatewise.losses import SparseCategoricalCrossentropy
from gatewise.models import Model, Sequential

from .several import LOGS, LOSSES, METRICS, compiled, padded, reader, same_weights, samples


@pytest.fixture
def data(rng):
    return samples(rng)


# ---- logs


def test_names_of_logs(data):
    model = compiled(metrics=METRICS)
    history = model.fit(*data, epochs=2, validation_split=0.3, verbose=0).history
    assert list(history) == [*LOGS, *(f"val_{name}" for name in LOGS)]
    assert {len(values) for values in history.values()} == {2}
    assert model.metrics_names == LOGS
    values = model.evaluate(*data, verbose=0)
    assert dict(zip(LOGS, values)) == model.evaluate(*data, verbose=0, return_dict=True)
    assert list(model.train_on_batch(*data, return_dict=True)) == LOGS
    assert len(model.test_on_batch(*data)) == len(LOGS)


def test_the_loss_is_the_weighted_sum_of_means_over_what_counts(data):
    x, y = data
    weights = {"score": 0.25, "spam": 3.0}
    model = compiled(loss_weights=weights)
    found = model.evaluate(x, y, batch_size=5, verbose=0, return_dict=True)
    tag, score, spam = model.predict(x, verbose=0)
    right = [row[range(len(t)), t] for row, t in zip(tag, y["tag"])]
    expected = {
        "tag_loss": -np.log(np.concatenate(right)).mean(),
        "score_loss": ((score[:, 0] - y["score"]) ** 2).mean(),
        "spam_loss": -np.log(np.where(y["spam"], spam[:, 0], 1 - spam[:, 0])).mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5)
    whole = found["tag_loss"] + 0.25 * found["score_loss"] + 3 * found["spam_loss"]
    assert found["loss"] == pytest.approx(whole, rel=1e-12)


def test_metrics_leave_padding_out(data):
    x, y = data
    model = compiled(metrics=METRICS)
    found = model.evaluate(x, y, batch_size=5, verbose=0, return_dict=True)
    tag, _, spam = model.predict(x, verbose=0)
    hits = [row[: len(t)].argmax(-1) == t for row, t in zip(tag, y["tag"])]
    assert found["tag_accuracy"] == pytest.approx(np.concatenate(hits).mean())
    assert found["spam_mae"] == pytest.approx(np.abs(spam[:, 0] - y["spam"]).mean(), rel=1e-5)


def heads_and_trunk(**options):
    """A model of a trunk and two heads; the second head is the one without a loss below."""
    x = Input((None, 3), name="x")
    trunk, h, _ = LSTM(4, return_state=True, return_sequences=True, name="trunk")(x)
    first = Dense(1, name="first")(trunk)
    inner = Input((4,))
    second = Dense(2, name="second", **options)(Dense(3, name="way")(inner))
    return Model(x, [first, Model(inner, second, name="head", seed=1)(h)], seed=0)


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.AdamW(0.1, weight_decay=0.5),
        optimizers.SGD(0.1, weight_decay=0.5, use_ema=True, ema_overwrite_frequency=2),
        optimizers.Lion(0.1, weight_decay=0.5, gradient_accumulation_steps=2),
        optimizers.Adam(0.1, weight_decay=0.5, global_clipnorm=0.1),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_what_no_loss_depends_on_stays(optimizer, rng):
    """As in Keras, where it has no gradient: no decay, no running mean, no constraint."""
    model = heads_and_trunk(kernel_constraint="unit_norm")
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.compile(optimizer, ["mse", None])
    x = rng.normal(size=(8, 5, 3))
    model.fit(x, [rng.normal(size=(8, 5, 1)), None], batch_size=2, epochs=2, verbose=0)
    changed = {
        layer.name: any((a != b).any() for a, b in zip(layer.get_weights(), before[layer.name]))
        for layer in model.layers
        if layer.get_weights()
    }
    assert changed == {"trunk": True, "first": True, "head": False}
    # compiled with both losses, all of it is trained
    model.compile("adam", ["mse", "mse"])
    model.fit(x, [np.zeros((8, 5, 1)), np.zeros((8, 2))], verbose=0)
    for name, weights in before.items():
        for a, b in zip(model.get_layer(name).get_weights(), weights):
            assert (a != b).any()


def test_a_regularizer_trains_what_no_loss_depends_on(rng):
    model = heads_and_trunk(kernel_regularizer="l2")
    model.compile("sgd", ["mse", None])
    before = [w.copy() for w in model.get_weights()]
    model.fit(rng.normal(size=(4, 5, 3)), [rng.normal(size=(4, 5, 1)), None], verbose=0)
    moved = {w.shape: bool((w != b).any()) for w, b in zip(model.get_weights()[3:], before[3:])}
    assert moved == {
        (4, 1): True,
        (1,): True,
        (4, 3): False,
        (3,): False,
        (3, 2): True,
        (2,): False,
    }


@pytest.mark.parametrize("merge_mode", ["concat", None])
def test_a_direction_that_no_loss_depends_on_stays(merge_mode, rng):
    x = Input((None, 3))
    layer = Bidirectional(GRU(2, return_state=True), merge_mode=merge_mode)
    states = layer(x)
    model = Model(x, Dense(1)(states[-2]), seed=0)  # the forward layer's
    model.compile(optimizers.AdamW(0.1, weight_decay=0.5), "mse")
    before = layer.get_weights()
    model.fit(rng.normal(size=(4, 5, 3)), rng.normal(size=4), verbose=0)
    moved = [bool((a != b).any()) for a, b in zip(layer.get_weights(), before)]
    assert moved == [True] * 3 + [False] * 3


def test_a_run_with_an_output_without_a_loss_continues_to_the_bit(tmp_path, rng):
    x, y = rng.normal(size=(8, 5, 3)), [rng.normal(size=(8, 5, 1)), None]
    run = {"batch_size": 3, "verbose": 0}

    def new():
        model = heads_and_trunk()
        model.compile(optimizers.AdamW(0.1, weight_decay=0.5, use_ema=True), ["mse", None])
        return model

    whole, part, resumed = new(), new(), new()
    whole.fit(x, y, epochs=4, **run)
    path = tmp_path / "run.safetensors"
    part.fit(x, y, epochs=2, callbacks=callbacks.ModelCheckpoint(path), **run)
    again = callbacks.ModelCheckpoint(tmp_path / "again.safetensors")
    resumed.fit(x, y, epochs=4, resume_from=path, callbacks=again, **run)
    assert resumed.flat_parameters.tobytes() == whole.flat_parameters.tobytes()


def test_a_penalty_is_in_the_loss_and_in_no_part_of_it(rng):
    def model_of(regularizer):
        x = Input((3,))
        outputs = [Dense(1, kernel_regularizer=regularizer, name=name)(x) for name in "ab"]
        model = Model(x, outputs, seed=0)
        model.compile("sgd", "mse")
        return model

    x, y = rng.normal(size=(10, 3)), [rng.normal(size=10)] * 2
    plain, penalized = (
        model_of(kind).evaluate(x, y, batch_size=4, verbose=0) for kind in (None, "l2")
    )
    assert penalized[1:] == plain[1:]
    assert penalized[0] == pytest.approx(sum(plain[1:]) + model_of("l2")._penalty())


# ---- forms of arguments


def test_forms_of_losses_metrics_and_weights_mean_the_same(data):
    lists = list(LOSSES.values())
    models = [
        compiled(loss=LOSSES, metrics=METRICS, loss_weights={"score": 0.5}),
        compiled(
            loss=lists,
            metrics=["accuracy", None, ["accuracy", "mae"]],
            loss_weights=[None, 0.5, 1],
        ),
        compiled(
            loss=tuple(lists),
            metrics=[["accuracy"], [], METRICS["spam"]],
            loss_weights=(1, 0.5, 1.0),
        ),
    ]
    histories = [model.fit(*data, epochs=2, verbose=0).history for model in models]
    assert histories[0] == histories[1] == histories[2]
    assert same_weights(*models)
    assert [metric.name for metric in models[0].metrics] == ["accuracy", "accuracy", "mae"]


def test_one_loss_is_that_of_all_outputs(rng):
    x = Input((2,))
    model = Model(x, [Dense(1, name="a")(x), Dense(2, name="b")(x)], seed=0)
    model.compile("sgd", "mae")
    assert [type(loss).__name__ for loss in model.loss] == ["MeanAbsoluteError"] * 2
    assert model.metrics_names == ["loss", "a_loss", "b_loss"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": ["mse", "mse"]}, "loss has 2 entries; the model has 3 outputs, 'tag', 'score'"),
        ({"loss": {"tags": "mse"}}, "loss has the key 'tags'.*did you mean 'tag'"),
        ({"loss": [None, None, None]}, "compile needs a loss"),
        ({"metrics": ["mae"]}, "metrics has 1 entry; the model has 3 outputs"),
        ({"metrics": "mae"}, "metrics is 'mae'; expected a list"),
        ({"metrics": {"spm": "mae"}}, "metrics has the key 'spm'.*did you mean 'spam'"),
        ({"metrics": {"spam": ["mae", "mae"]}}, "give each its own"),
        ({"loss_weights": 2.0}, "loss_weights is 2.0; the model has 3 outputs"),
        ({"loss_weights": [1, 2]}, "loss_weights has 2 entries"),
        ({"loss_weights": {"tag": -1}}, "the weight of loss 'tag' is -1"),
        (
            {"loss": ["mse", None, None], "loss_weights": {"spam": 2}},
            "loss_weights has a weight for output 'spam', which has no loss",
        ),
        (
            {"loss": ["mse", None, None], "metrics": {"spam": "mae"}},
            "output 'spam' has metrics and no loss",
        ),
        ({"loss": {"tag": "ctc", "score": "mse", "spam": "mse"}, "metrics": {"tag": "mae"}}, "mae"),
        ({"loss": ["mse", "ctc", "mse"]}, "output 'score': loss ctc behind one column"),
    ],
)
def test_what_compile_refuses(options, words):
    model = reader()
    with pytest.raises((ConfigError, TypeError), match=words):
        compiled(model, **options)
    assert model.optimizer is None


# ---- gradients


def gradient_of(data, loss, **options):
    model = compiled(loss=loss, dtype="float64", **options)
    value = model.compute_gradients(*data)
    return value, model.flat_gradients.copy()


def test_the_gradient_is_the_weighted_sum_of_those_of_each_output(data):
    weights = {"tag": 0.5, "score": 2.0, "spam": 1.0}
    value, gradient = gradient_of(data, LOSSES, loss_weights=weights)
    parts = {
        name: gradient_of(data, {each: LOSSES[each] if each == name else None for each in LOSSES})
        for name in LOSSES
    }
    assert value == pytest.approx(sum(weights[name] * parts[name][0] for name in LOSSES))
    expected = sum(weights[name] * parts[name][1] for name in LOSSES)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15)


def test_each_loss_starts_from_the_scores_of_its_output():
    assert [objective.fused for objective in compiled()._objectives] == [True, False, True]


def test_an_output_that_another_layer_reads_is_not_fused(rng):
    x = Input((None, 2))
    classes = Dense(3, "softmax", name="classes")(x)
    share = Dense(1, name="share")(GlobalAveragePooling1D()(classes))
    model = Model(x, [classes, share], seed=0)
    model.compile("sgd", ["categorical_crossentropy", "mse"], metrics=[["accuracy"], None])
    assert [objective.fused for objective in model._objectives] == [False, False]
    y = [np.eye(3)[rng.integers(0, 3, (6, 4))], rng.normal(size=6)]
    losses = model.fit(rng.normal(size=(6, 4, 2)), y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


# ---- outputs without a loss


def test_an_output_without_a_loss_is_not_trained(data):
    x, y = data
    loss = LOSSES | {"score": None}
    histories, models = [], []
    for targets in (
        y,
        {name: y[name] for name in ("tag", "spam")},
        [y["tag"], None, y["spam"]],
        [y["tag"], y["spam"]],
    ):
        model = compiled(loss=loss)
        before = [array.copy() for array in model.get_layer("score").get_weights()]
        histories.append(model.fit(x, targets, epochs=2, verbose=0).history)
        for old, new in zip(before, model.get_layer("score").get_weights()):
            assert np.array_equal(old, new)
        models.append(model)
    assert same_weights(*models)
    assert list(histories[0]) == ["loss", "tag_loss", "spam_loss"]
    assert all(history == histories[0] for history in histories)
    assert len(models[0].predict(x, verbose=0)) == 3


def test_with_one_loss_there_is_one_log(data):
    x, y = data
    model = compiled(loss=LOSSES | {"score": None, "tag": None}, metrics={"spam": ["accuracy"]})
    assert list(model.fit(x, y["spam"], verbose=0).history) == ["loss", "spam_accuracy"]


def test_targets_of_an_output_with_a_loss_are_needed(data):
    x, y = data
    with pytest.raises(ConfigError, match="y has no targets for output 'score', which has a loss"):
        compiled().fit(x, [y["tag"], None, y["spam"]])
    with pytest.raises(ConfigError, match="y is missing: give the targets"):
        compiled().fit(x)


# ---- weights


def test_sample_weight_of_each_output(data):
    x, y = data
    rows = np.linspace(0, 2, len(y["score"]))
    models = [compiled() for _ in range(3)]
    models[0].fit(x, y, sample_weight={"score": rows}, verbose=0)
    models[1].fit(x, y, sample_weight=[None, rows, None], verbose=0)
    assert same_weights(*models[:2])
    models[2].fit(x, y, sample_weight={"score": np.ones(len(rows))}, verbose=0)
    assert not same_weights(*models[1:])
    found = models[0].evaluate(x, y, sample_weight={"score": rows}, return_dict=True, verbose=0)
    score = models[0].predict(x, verbose=0)[1][:, 0]
    expected = (rows * (score - y["score"]) ** 2).mean()
    assert found["score_loss"] == pytest.approx(expected, rel=1e-5)


def test_one_array_of_weights_is_that_of_all_outputs(data):
    x, y = data
    rows = np.linspace(0, 2, len(y["score"]))
    one, other = compiled(), compiled()
    one.fit(x, y, sample_weight=rows, verbose=0)
    other.fit(x, y, sample_weight=dict.fromkeys(LOSSES, rows), verbose=0)
    assert same_weights(one, other)


def test_weights_of_steps(data):
    x, y, lengths = padded(*data)
    ragged = [np.linspace(0, 1, length) for length in lengths]
    steps = np.zeros(y["tag"].shape)
    for row, weights in enumerate(ragged):
        steps[row, : len(weights)] = weights
    one, other = compiled(), compiled()
    one.fit(*data, sample_weight={"tag": ragged}, verbose=0)
    other.fit(x, y, sample_weight={"tag": steps}, lengths=lengths, verbose=0)
    assert same_weights(one, other)


def test_class_weight_is_refused_with_the_way_to_do_it(data):
    x, y = data
    for train in (
        lambda model, **options: model.fit(x, y, verbose=0, **options),
        lambda model, **options: model.train_on_batch(x, y, **options),
    ):
        with pytest.raises(ConfigError, match="3 outputs.*give sample_weight instead"):
            train(compiled(), class_weight={0: 2.0})


def test_an_output_whose_weights_are_all_zero(data):
    x, y = data
    weights = {"tag": np.zeros(len(y["score"]))}
    model = compiled(metrics=METRICS)
    found = model.test_on_batch(x, y, sample_weight=weights, return_dict=True)
    assert found["tag_loss"] == 0
    assert found["loss"] == pytest.approx(found["score_loss"] + found["spam_loss"])
    with pytest.raises(ConfigError, match="every weight is 0"):
        model.fit(x, y, sample_weight=np.zeros(len(y["score"])), verbose=0)


def test_an_output_in_which_nothing_counts(rng):
    """Its loss and its metrics are NaN, and nothing else is."""
    x = Input((None, 2), name="x")
    states = LSTM(3, return_sequences=True)(x)
    loss = SparseCategoricalCrossentropy(ignore_class=-1)
    model = Model(x, [Dense(2, "softmax", name=name)(states) for name in "ab"], seed=0)
    model.compile("sgd", [loss, loss], metrics=[["accuracy"]] * 2)
    y = rng.integers(0, 2, (4, 3))
    found = model.test_on_batch(rng.normal(size=(4, 3, 2)), [y, y * 0 - 1], return_dict=True)
    assert np.isnan([found["b_loss"], found["b_accuracy"]]).all()
    assert found["loss"] == pytest.approx(found["a_loss"])


# ---- a loss of whole rows beside others


def test_ctc_beside_a_loss_of_rows(rng):
    x = Input((None, 3), name="frames")
    states = LSTM(6, return_sequences=True)(x)
    speaker = Dense(1, "sigmoid", name="speaker")(GlobalAveragePooling1D()(states))
    model = Model(x, [Dense(4, "softmax", name="letters")(states), speaker], seed=0)
    model.compile(
        "adam",
        {"letters": "ctc", "speaker": "binary_crossentropy"},
        {"letters": ["label_error_rate"]},
    )
    frames = [rng.normal(size=(length, 3)) for length in (9, 6, 8, 7, 12)]
    letters = [[1, 2], [3], [1], [2, 2], [1, 2, 3]]
    y = {"letters": letters, "speaker": [0, 1, 1, 0, 1]}
    logs = model.fit(frames, y, epochs=3, batch_size=2, validation_data=(frames, y), verbose=0)
    assert list(logs.history)[:4] == [
        *("loss", "letters_loss", "speaker_loss", "letters_label_error_rate")
    ]
    assert model.predict(frames, verbose=0)[0].shape == (5, 12, 4)


# ---- predictions


def test_predictions_are_given_as_the_outputs_were(data):
    x, _ = data
    tag, score, spam = reader().predict(x, verbose=0)
    assert (tag.shape, score.shape, spam.shape) == ((22, 7, 3), (22, 1), (22, 1))
    model = reader(as_dict=True)  # whose layers are in another order
    for layer in reader().layers:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    named = model.predict(x, batch_size=5, verbose=0)
    assert sorted(named) == ["score", "spam", "tag"]
    for name, array in {"tag": tag, "score": score, "spam": spam}.items():
        assert np.array_equal(named[name], array)
    lengths = np.array([len(row) for row in x["words"]])
    at_once = reader()(padded(*data)[0], lengths={"words": lengths})
    for whole, here in zip((tag, score, spam), at_once):
        assert np.array_equal(whole, here)


def test_callbacks_of_predict_see_the_outputs(data):
    seen = []
    watcher = callbacks.LambdaCallback(
        on_predict_batch_end=lambda number, logs: seen.append(logs["outputs"])
    )
    reader(as_dict=True).predict(data[0], batch_size=16, verbose=0, callbacks=[watcher])
    assert [part["score"].shape for part in seen] == [(16, 1), (6, 1)]


# ---- callbacks


def test_callbacks_watch_single_outputs(data, tmp_path):
    model = compiled(metrics=METRICS)
    path = tmp_path / "log.csv"
    best = callbacks.ModelCheckpoint(
        tmp_path / "best", monitor="val_spam_accuracy", save_best_only=True
    )
    stopping = callbacks.EarlyStopping(monitor="val_tag_loss", patience=2, min_delta=10.0)
    rate = callbacks.ReduceLROnPlateau(monitor="val_tag_accuracy", patience=50)
    model.fit(
        *data,
        epochs=20,
        validation_split=0.3,
        verbose=0,
        callbacks=[stopping, best, rate, callbacks.CSVLogger(path)],
    )
    assert len(model.history.epoch) == 3
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) >= {*LOGS, "val_tag_loss"}
    assert float(rows[1]["spam_loss"]) == model.history.history["spam_loss"][1]
    assert (tmp_path / "best").exists()
    assert best._wants_more() and rate._wants_more() and not stopping._wants_more()


# ---- refusals of data


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda y: [y["tag"], y["score"]], ShapeError, "y is 2 entries; the model has 3 outputs"),
        (lambda y: y["score"], ShapeError, r"y is an array of shape \(22,\); the model has 3"),
        (lambda y: y | {"spams": 1}, ConfigError, "y has the key 'spams'.*did you mean 'spam'"),
        (lambda y: {"tag": y["tag"]}, ConfigError, "y lacks the key"),
        (lambda y: y | {"score": y["score"][:5]}, ShapeError, "output 'score': y has 5 rows"),
        (lambda y: y | {"spam": y["spam"] + 3}, ConfigError, "output 'spam': y holds"),
        (
            lambda y: y | {"score": np.zeros((22, 4))},
            ShapeError,
            r"output 'score': y has shape \(22, 4\), the model's output has \(22, 1\)",
        ),
        (
            lambda y: y | {"tag": [row[:-1] for row in y["tag"]]},
            ShapeError,
            r"output 'tag': y\[0\] has 6 steps, x\[0\] has 7",
        ),
    ],
)
def test_wrong_targets_are_named(change, error, words, data):
    x, y = data
    model = compiled()
    before = model.flat_parameters.copy()
    for call in (model.fit, model.evaluate, model.train_on_batch, model.compute_gradients):
        with pytest.raises(error, match=words):
            call(x, change(y))
    assert np.array_equal(before, model.flat_parameters)


def test_wrong_weights_are_named(data):
    x, y = data
    model = compiled(loss=LOSSES | {"score": None})
    rows = np.ones(22)
    for weights, words in (
        ({"score": rows}, "sample_weight has weights for output 'score', which has no loss"),
        ([rows, rows], "sample_weight has 2 entries; the model has 3 outputs"),
        ({"spam": rows[:4]}, "output 'spam': sample_weight has shape"),
        ({"spms": rows}, "did you mean 'spam'"),
    ):
        with pytest.raises((ConfigError, ShapeError), match=words):
            model.fit(x, y, sample_weight=weights)


# ---- weighted metrics


def test_weighted_metrics(data):
    x, y = data
    rows = np.linspace(0, 2, len(y["score"]))
    model = reader()
    model.compile(
        "sgd",
        LOSSES,
        {"spam": ["mae"]},
        weighted_metrics={"spam": ["mae", "mse"], "tag": "accuracy"},
    )
    found = model.evaluate(x, y, sample_weight=rows, batch_size=7, verbose=0, return_dict=True)
    assert list(found)[4:] == ["tag_accuracy", "spam_mae", "spam_weighted_mae", "spam_mse"]
    errors = np.abs(model.predict(x, verbose=0)[2][:, 0] - y["spam"])
    assert found["spam_mae"] == pytest.approx(errors.mean(), rel=1e-5)
    assert found["spam_weighted_mae"] == pytest.approx(np.average(errors, weights=rows), rel=1e-5)
    assert found["spam_mse"] == pytest.approx(np.average(errors**2, weights=rows), rel=1e-5)
    tag = model.predict(x, verbose=0)[0]
    hits = np.concatenate([row[: len(t)].argmax(-1) == t for row, t in zip(tag, y["tag"])])
    steps = np.repeat(rows, [len(t) for t in y["tag"]])
    assert found["tag_accuracy"] == pytest.approx(np.average(hits, weights=steps), rel=1e-5)


def test_weighted_metrics_of_one_output(rng, tmp_path):
    model = Sequential([Input((2,)), Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "binary_crossentropy", ["accuracy"], weighted_metrics=["accuracy", "mae"])
    x, y = rng.normal(size=(9, 2)), rng.integers(0, 2, 9)
    rows = np.arange(9.0)
    found = model.evaluate(x, y, sample_weight=rows, verbose=0, return_dict=True)
    assert list(found) == ["loss", "accuracy", "weighted_accuracy", "mae"]
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.evaluate(x, y, sample_weight=rows, verbose=0, return_dict=True) == found
    model.compile("sgd", "binary_crossentropy", weighted_metrics=["accuracy"])
    assert model.metrics_names == ["loss", "accuracy"]
