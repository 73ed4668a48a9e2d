"""Sequential.fit over two epochs, in all its ways."""

import numpy as np

from gatewise.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Embedding,
    Flatten,
    Input,
    LayerNormalization,
    Masking,
    MaxPooling1D,
    RepeatVector,
    TimeDistributed,
)
from gatewise.models import Sequential
from gatewise.optimizers import SGD, Adam
from gatewise.schedules import CosineDecay

from .registry import case
from .small_models import classes, classifier, numbers, regressor, trained, weights

LENGTHS = np.random.default_rng(7).integers(1, 7, 20)
MASK = np.random.default_rng(8).random((20, 6)) < 0.7
RESETS = np.random.default_rng(9).random((20, 6)) < 0.2
WEIGHTS = np.random.default_rng(10).uniform(0, 2, 20)
PLAIN = {
    "plain": {},
    "unshuffled": {"shuffle": False},
    "validation split": {"validation_split": 0.25},
    "validation data": {"validation_data": numbers(8, seed=3)},
    "validation freq": {"validation_split": 0.25, "validation_freq": 2, "epochs": 3},
    "sample weight": {"sample_weight": WEIGHTS, "validation_split": 0.25},
    "lengths": {"lengths": LENGTHS},
    "lengths, no bucketing": {"lengths": LENGTHS, "bucketing": False},
    "mask": {"mask": MASK | (np.arange(6) == 2)},
    "resets": {"resets": RESETS},
    "initial epoch": {"initial_epoch": 1, "epochs": 3},
    "whole batch": {"batch_size": 20},
}
for _what, _options in PLAIN.items():
    for _dtype in ("float32", "float64"):
        case(
            f"training/{_what}/{_dtype}",
            lambda o=_options, d=_dtype: trained(regressor(d, metrics=["mae"]), *numbers(), **o),
            "training",
        )


def of_training(name):
    """A case of training."""
    return lambda function: case(f"training/{name}", function, "training")


@of_training("class weight")
def _class_weight():
    return trained(
        classifier(metrics=["accuracy"]),
        *classes(),
        class_weight={0: 1.0, 1: 2.0, 2: 0.5},
        validation_split=0.2,
    )


@of_training("dropout")
def _dropout():
    return trained(classifier(), *classes(), epochs=3)


@of_training("one hot")
def _one_hot():
    x, y = classes()
    model = classifier(
        loss="categorical_crossentropy", metrics=["accuracy", "auc", "f1_score", "precision"]
    )
    return trained(model, x, np.eye(3)[y])


@of_training("several labels")
def _several_labels():
    x, _ = numbers()
    model = classifier("sigmoid", "binary_crossentropy", ["accuracy", "recall"])
    return trained(model, x, (x[:, -1] > 0) * 1.0)


@of_training("scores")
def _scores():
    x, y = numbers()
    model = regressor(loss="huber", optimizer=SGD(CosineDecay(0.1, 8), momentum=0.9))
    return trained(model, x, y)


def _per_step(**lstm):
    layers = [Input((None, 3)), LSTM(4, return_sequences=True, **lstm), Dense(2)]
    model = Sequential(layers, seed=2)
    model.compile(Adam(0.02), "mse", metrics=["mae"])
    x, _ = numbers()
    return model, x, x[:, :, :2].cumsum(axis=1)


@of_training("steps")
def _steps():
    model, x, y = _per_step()
    rows = np.random.default_rng(4).uniform(0, 1, (20, 6))
    return trained(model, x, y, lengths=LENGTHS, sample_weight=rows)


@of_training("steps, tbptt and lengths")
def _tbptt():
    model, x, y = _per_step()
    return trained(model, x, y, lengths=LENGTHS, tbptt_steps=4)


@of_training("steps, weights of outputs")
def _output_weights():
    model, x, y = _per_step()
    rows = (np.random.default_rng(4).random((20, 6, 2)) < 0.8) * 1.0
    return trained(model, x, np.where(rows == 0, np.nan, y), sample_weight=rows)


@of_training("stateful")
def _stateful():
    model, x, y = _per_step(stateful=True)
    found = trained(model, x, y, batch_size=None, validation_data=(x[:5], y[:5]))
    again = model.predict(x, verbose=0)
    model.reset_state()
    return found | {"again": again, "reset": model.predict(x, verbose=0)}


@of_training("stateful, tbptt")
def _stateful_tbptt():
    model, x, y = _per_step(stateful=True)
    return trained(model, x, y, batch_size=None, tbptt_steps=3)


@of_training("lists")
def _lists():
    x, y = numbers()
    return trained(regressor(), [row[:n] for row, n in zip(x, LENGTHS, strict=True)], y)


@of_training("batches of a generator")
def _generator():
    x, y = numbers()

    def batches():
        while True:
            for at in range(0, 20, 5):
                part = slice(at, at + 5)
                yield {"x": x[part], "y": y[part], "lengths": LENGTHS[part]}

    return trained(regressor(), batches(), steps_per_epoch=3, batch_size=None, predict=x)


@of_training("ctc")
def _ctc():
    rng = np.random.default_rng(0)
    labels = [rng.permutation([1, 2, 3])[:n].tolist() for n in rng.integers(1, 4, 12)]
    x = [
        np.repeat(np.eye(4)[row], 3, axis=0) + 0.1 * rng.normal(size=(3 * len(row), 4))
        for row in labels
    ]
    layers = [Input((None, 4)), GRU(6, return_sequences=True), Dense(4, "softmax")]
    model = Sequential(layers, seed=0)
    model.compile(Adam(0.02), "ctc", metrics=["label_error_rate"])
    return trained(model, x, labels)


@of_training("words")
def _words():
    rng = np.random.default_rng(0)
    words = rng.integers(1, 9, (20, 6)) * (np.arange(6) >= rng.integers(0, 5, (20, 1)))
    layers = [Embedding(9, 4, mask_zero=True), Bidirectional(LSTM(3)), Dense(1, "sigmoid")]
    model = Sequential(layers, seed=0)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return trained(model, words, (words == 3).any(axis=1))


@of_training("many layers")
def _many_layers():
    layers = [
        Input((6, 3)),
        Conv1D(4, 3, padding="causal", activation="relu"),
        BatchNormalization(),
        MaxPooling1D(2),
        Bidirectional(GRU(3, return_sequences=True, kernel_regularizer="l2")),
        LayerNormalization(),
        TimeDistributed(Dense(2, "tanh")),
        Flatten(),
        RepeatVector(3),
        LSTM(4, recurrent_constraint="max_norm"),
        Dense(1),
    ]
    model = Sequential(layers, seed=3)
    model.compile("nadam", "log_cosh")
    return trained(model, *numbers())


@of_training("masking layer")
def _masking():
    x, y = numbers()
    x[~MASK] = 0
    x[:, 0] = 1
    model = Sequential([Masking(input_shape=(None, 3)), GRU(4), Dense(1)], seed=3)
    model.compile("adam", "mae")
    return trained(model, x, y)


@of_training("frozen")
def _frozen():
    model = regressor(optimizer=Adam(weight_decay=0.1, global_clipnorm=0.1, use_ema=True))
    x, y = numbers()
    model.get_layer("lstm").trainable = False
    first = trained(model, x, y)
    model.trainable = True
    model.optimizer.learning_rate = 1e-2
    return {"frozen": first, "all": trained(model, x, y, epochs=3, initial_epoch=2)}


@of_training("a new head")
def _new_head():
    model = regressor()
    x, y = numbers()
    trained(model, x, y)
    model.pop()
    model.trainable = False
    model.add(Dense(2, seed=4))
    model.compile("sgd", "mse")
    return trained(model, x, np.hstack([y, -y]))


@of_training("by hand")
def _by_hand():
    model = regressor(metrics=["mae"])
    x, y = numbers()
    found = {"loss": model.compute_gradients(x, y, lengths=LENGTHS)}
    found["gradients"] = model.flat_gradients.copy()
    found["train"] = model.train_on_batch(x, y, sample_weight=WEIGHTS, lengths=LENGTHS)
    found["test"] = model.test_on_batch(x, y, mask=MASK, return_dict=True)
    found["predict"] = model.predict_on_batch(x, resets=RESETS)
    found["nothing counts"] = model.train_on_batch(x, y, sample_weight=np.zeros(20))
    return found | {"weights": weights(model)}


@of_training("a large one")
def _large():
    x, y = numbers(64, 40, 3)
    model = Sequential(
        [Input((None, 3)), LSTM(64, return_sequences=True), GRU(48), Dense(1)], seed=0
    )
    model.compile("adam", "mse")
    return trained(model, x, y, batch_size=32)
