"""Classes of a user's own, data from files and sequences, objects out of configurations."""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from gatewise import SequenceClassifier, layers, load_model, losses, metrics, optimizers
from gatewise.layers import GRU, RNN, Dense, Input
from gatewise.models import Sequential
from gatewise.testing import check_gradients
from gatewise.utils import custom_object_scope

from .layer_calls import drawn, passes
from .own_classes import Asymmetric, Batches, Bias, LeakyCell, Ramp
from .registry import case
from .series import QUICK, lists, names
from .small_models import numbers, regressor, trained


def of_custom(name):
    """A case of custom things."""
    return lambda function: case(f"custom/{name}", function, "training")


@of_custom("cell")
def _cell():
    start = [drawn((3, 4), seed=5)]
    layer = RNN(LeakyCell(4), return_sequences=True, return_state=True, seed=3)
    found = passes(layer, drawn((3, 6, 2)), lengths=[6, 2, 4], initial_state=start)
    both = layers.Bidirectional(RNN(LeakyCell(3), return_sequences=True), seed=3)
    return {"one way": found, "both ways": passes(both, drawn((3, 6, 2)), lengths=[6, 2, 4])}


@of_custom("model and its file")
def _model():
    made = [Input((None, 3)), RNN(LeakyCell(4)), Dense(1, kernel_initializer=Ramp())]
    model = Sequential(made, seed=0)
    model.compile("adam", Asymmetric(5.0), metrics=[Bias(), "mae"])
    x, y = numbers()
    first = trained(model, x, y, lengths=np.arange(20) % 6 + 1)
    own = {kind.__name__: kind for kind in (LeakyCell, Ramp, Asymmetric, Bias)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.gatewise"
        model.save(path)
        again = load_model(path, custom_objects=own)
        with custom_object_scope(own):
            scoped = load_model(path)
    return {
        "first": first,
        "again": trained(again, x, y),
        "scoped": scoped.predict(x, verbose=0),
        "factor": again.loss.factor,
    }


@of_custom("sequence of batches")
def _batches():
    x, y = numbers()
    data = Batches(x, y)
    return trained(regressor(), data, batch_size=None, validation_data=data, predict=x)


@of_custom("memory-mapped")
def _mapped():
    x, y = numbers()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, x.astype("float32"))
        return trained(regressor(), np.load(path, mmap_mode="r"), y)


@of_custom("configurations")
def _configurations():
    made = {
        "LSTM": layers.LSTM(4, peepholes=True, dropout=0.2, seed=1),
        "GRU": GRU(4, reset_after=False, kernel_regularizer="l2"),
        "Bidirectional": layers.Bidirectional(layers.LSTM(3), merge_mode="sum", seed=2),
        "Conv1D": layers.Conv1D(4, 3, padding="same", seed=1),
    }
    found = {}
    for name, layer in made.items():
        config = layer.get_config() | {"name": "layer"}
        if name == "GRU":
            config["seed"] = 4
        found[name] = passes(type(layer).from_config(config), drawn((3, 5, 2)))
    served = {
        "loss": losses.serialize(losses.Huber(0.3)),
        "metric": metrics.serialize(metrics.Precision(0.3)),
        "optimizer": optimizers.serialize(optimizers.AdamW(0.1, clipnorm=1.0)),
    }
    return found | {name: str(value) for name, value in served.items()}


@of_custom("checked gradients")
def _checked():
    report = check_gradients(layers.LSTM(3, dtype="float64", seed=1), drawn((2, 4, 2), "float64"))
    return {"type": type(report).__name__}


@of_custom("clones and cross validation")
def _validation():
    X = lists()
    classifier = clone(SequenceClassifier(cell="gru", **QUICK))
    return {"scores": cross_val_score(classifier, X, names(X), cv=3)}
