"""The files of the version that results.json is of; later versions must read them."""

from sklearn.pipeline import make_pipeline

import gatewise
from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceRegressor,
    SequenceTagger,
    callbacks,
)
from gatewise.data import (
    FrameStacker,
    SequencePadder,
    SequenceScaler,
    Vocabulary,
    Windower,
)

from .cases_forecaster import made
from .series import QUICK, block, ends, lists, names, wave
from .small_models import classes, classifier, numbers, regressor, trained

TEXTS = ["the cat sat", "a dog, too"]


def checkpoint_run(epochs, watch, resume=None):
    """A run with dropout, validation and early stopping."""
    return trained(
        classifier(metrics=["accuracy"]),
        *classes(),
        epochs=epochs,
        validation_split=0.2,
        callbacks=[callbacks.EarlyStopping(patience=5), *watch],
        resume_from=resume,
    )


def write_files(folder):
    """Write all of them into a folder."""
    X, Y = lists(), block()
    estimators = {
        "classifier": SequenceClassifier(**QUICK, pooling="mean").fit(X, names(X)),
        "labels": SequenceClassifier("gru", **QUICK).fit(Y, (Y[:, -1] > 0).astype(int)),
        "regressor": SequenceRegressor("gru", **QUICK, early_stopping=True).fit(X, ends(X)),
        "tagger": SequenceTagger(**QUICK, bidirectional=True).fit(X, [x[:, 0] > 0 for x in X]),
        "encoder": SequenceEncoder(**QUICK, n_components=2).fit(X),
        "forecaster": made(quantiles=[0.1, 0.5, 0.9]).fit(wave(k=2)),
        "recursive": made(strategy="recursive", differencing=1).fit(
            {"north": wave(50), "south": wave(60, seed=1)}
        ),
        "pipeline": make_pipeline(SequenceScaler(), SequenceRegressor("rnn", **QUICK)).fit(
            X, ends(X)
        ),
        "scaler": SequenceScaler("robust").fit(X),
        "padder": SequencePadder().fit(X),
        "stacker": FrameStacker(3).fit(X),
        "windower": Windower(4, 2).fit(wave(k=2)),
        "vocabulary": Vocabulary("words", start="<s>").fit(TEXTS),
    }
    for name, estimator in estimators.items():
        gatewise.save_estimator(estimator, folder / f"{name}.gatewise")
    model = regressor(optimizer="adamw", metrics=["mae"], peepholes=True, kernel_regularizer="l2")
    trained(model, *numbers())
    model.save(folder / "model.gatewise")
    model.save_weights(folder / "weights.gatewise")
    for name, save_freq in {"epoch": "epoch", "batch": 4}.items():
        watch = callbacks.ModelCheckpoint(folder / f"run-{name}.gatewise", save_freq=save_freq)
        checkpoint_run(2, [watch])
