"""What wrong use raises: the type, whatever the message says."""

import tempfile
from pathlib import Path

import numpy as np

import gatewise
from gatewise import data, layers, losses, metrics, optimizers, schedules
from gatewise.models import Sequential, load_model

from .registry import case
from .small_models import numbers, regressor

X, Y = numbers()


def _bad_file():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gatewise"
        path.write_bytes(b"nothing of ours")
        load_model(path)


def _fit(**options):
    regressor().fit(X, Y, verbose=0, **options)


def _set(owner, name, value):
    setattr(owner, name, value)


ERRORS = {
    "activation": lambda: layers.LSTM(4, activation="nonsense"),
    "option of another cell": lambda: layers.GRU(4, peepholes=True),
    "unknown argument": lambda: layers.Dense(4, unit=3),
    "units": lambda: layers.LSTM(0),
    "units of text": lambda: layers.LSTM("four"),
    "rate": lambda: layers.Dropout(1.5),
    "axes": lambda: layers.LSTM(4).forward(np.zeros((3, 4), "float32")),
    "precision": lambda: layers.LSTM(4).forward(np.full((3, 4, 2), np.pi)),
    "nan": lambda: layers.LSTM(4).forward(np.full((3, 4, 2), np.nan, "float32")),
    "objects": lambda: layers.LSTM(4).forward([[["a"]]]),
    "lengths": lambda: layers.LSTM(4).forward(np.zeros((1, 4, 2), "float32"), lengths=[9]),
    "backward first": lambda: layers.LSTM(4).backward(np.zeros((3, 4), "float32")),
    "state": lambda: layers.Dense(4).forward(np.zeros((3, 4, 2), "float32"), resets=[[1]]),
    "weights": lambda: layers.Dense(4).set_weights([]),
    "gates with fixed shape": lambda: _set(layers.LSTM(4), "kernel_regularizer", "l2"),
    "merge mode": lambda: layers.Bidirectional(layers.LSTM(4), merge_mode="max"),
    "not compiled": lambda: Sequential([layers.Dense(1)]).fit(X, Y),
    "no layers": lambda: Sequential().predict(X),
    "not a layer": lambda: Sequential(["lstm"]),
    "loss": lambda: losses.get("msee"),
    "metric": lambda: metrics.get("acuracy"),
    "optimizer": lambda: optimizers.get("adamm"),
    "clips": lambda: optimizers.Adam(clipnorm=1, clipvalue=1),
    "attribute": lambda: _set(optimizers.Adam(), "lr", 0.1),
    "schedule": lambda: schedules.StepDecay(-1, 3),
    "targets": lambda: losses.BinaryCrossentropy()([[2.0]], [[0.5]]),
    "rows": lambda: regressor().fit(X, Y[:3], verbose=0),
    "nan in x": lambda: regressor().fit(X * np.nan, Y, verbose=0),
    "split": lambda: _fit(validation_split=1.5),
    "epochs": lambda: _fit(epochs=-1),
    "stateful batches": lambda: regressor(stateful=True).fit(X, Y, batch_size=3, verbose=0),
    "all frozen": lambda: _set_and_fit(),
    "no file": lambda: load_model("/nowhere/model.gatewise"),
    "damaged file": _bad_file,
    "resume from nothing": lambda: _fit(resume_from="/nowhere/run.gatewise"),
    "threads": lambda: gatewise.set_num_threads(0),
    "not fitted": lambda: gatewise.SequenceClassifier().predict(X),
    "cell of an estimator": lambda: gatewise.SequenceClassifier(cell="lstn").fit(X, Y[:, 0] > 0),
    "nan of an estimator": lambda: gatewise.SequenceRegressor().fit(X * np.nan, Y[:, 0]),
    "horizon": lambda: gatewise.SequenceForecaster(horizon=0).fit(np.arange(50.0)),
    "short series": lambda: gatewise.SequenceForecaster(window=10).fit(np.arange(5.0)),
    "windows": lambda: data.windows(np.arange(5.0), 0),
    "vocabulary": lambda: data.Vocabulary().transform(["text"]),
}


def _set_and_fit():
    model = regressor()
    model.trainable = False
    model.fit(X, Y, verbose=0)


def _type_of(wrong):
    try:
        wrong()
    except Exception as error:
        ours = [
            base.__name__ for base in type(error).__mro__ if base not in (object, BaseException)
        ]
        return {"type": " ".join(ours)}
    return {"type": "none"}


for _name, _wrong in ERRORS.items():
    case(f"errors/{_name}", lambda w=_wrong: _type_of(w))
