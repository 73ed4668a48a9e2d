"""Sequential without fit: predictions, evaluation, files, copies, configurations."""

import copy
import pickle
import tempfile
from pathlib import Path

import numpy as np

from gatewise.layers import LSTM, Dense, Input
from gatewise.models import Sequential, load_model
from gatewise.utils import pad_sequences, set_random_seed, to_categorical

from .registry import case
from .small_models import classes, classifier, numbers, regressor, trained, weights

LENGTHS = np.random.default_rng(7).integers(0, 7, 20)
MASK = np.random.default_rng(8).random((20, 6)) < 0.7


def of_models(name):
    """A case of models."""
    return lambda function: case(f"models/{name}", function, "training")


@of_models("predict")
def _predict():
    model, (x, _) = regressor(), numbers()
    return {
        "plain": model.predict(x, verbose=0),
        "batches": model.predict(x, batch_size=7, verbose=0),
        "lengths": model.predict(x, lengths=LENGTHS, verbose=0),
        "mask": model.predict(x, mask=MASK, verbose=0),
        "resets": model.predict(x, resets=~MASK, verbose=0),
        "call": model(x, training=True),
        "list": model.predict([row[: n + 1] for row, n in zip(x, LENGTHS, strict=True)], verbose=0),
    }


@of_models("evaluate")
def _evaluate():
    model, (x, y) = classifier(metrics=["accuracy", "perplexity"]), classes()
    return {
        "plain": model.evaluate(x, y, verbose=0),
        "lengths": model.evaluate(x, y, lengths=LENGTHS, batch_size=6, verbose=0),
        "weights": model.evaluate(x, y, sample_weight=np.arange(20.0), verbose=0),
        "dict": model.evaluate(x, y, mask=MASK | (np.arange(6) == 1), return_dict=True, verbose=0),
    }


@of_models("save and go on")
def _save():
    model, (x, y) = classifier(metrics=["accuracy"]), classes()
    trained(model, x, y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gatewise"
        model.save(path)
        again = load_model(path)
        model.save_weights(path)
        other = classifier()
        other.load_weights(path)
    return {
        "weights": weights(again),
        "only weights": weights(other),
        "trained further": trained(again, x, y),
    }


@of_models("stateful file")
def _stateful_file():
    x, _ = numbers()
    layers = [Input((None, 3)), LSTM(4, return_sequences=True, stateful=True), Dense(2)]
    model = Sequential(layers, seed=0)
    model.compile("adam", "mse")
    first = model.predict(x, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.gatewise")
        again = load_model(Path(folder) / "model.gatewise")
    return {"first": first, "second": again.predict(x, verbose=0)}


@of_models("copies")
def _copies():
    model, (x, y) = classifier(), classes()
    trained(model, x, y)
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    return [trained(twin, x, y) for twin in twins]


@of_models("sizes")
def _sizes():
    model = classifier()
    return {
        "params": model.count_params(),
        "shapes": str([array.shape for array in model.get_weights()]),
        "output": str(model.output_shape),
        "names": str(model.metrics_names),
    }


@of_models("seeds of the program")
def _seeds():
    set_random_seed(5)
    model = Sequential([Input((None, 3)), LSTM(4), Dense(1)])
    return {"weights": weights(model)}


@of_models("utilities")
def _utilities():
    rows = [[1, 2, 3], [4], [], [5, 6]]
    return {
        "padded": pad_sequences(rows),
        "post": pad_sequences(rows, maxlen=2, padding="post", truncating="post", value=9),
        "floats": pad_sequences([[0.5, 1], [2]], dtype="float32"),
        "one hot": to_categorical([0, 2, 1]),
        "wide": to_categorical([[0], [2]], 4),
    }
