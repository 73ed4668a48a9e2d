"""Callbacks, and runs that go on from a file."""

import tempfile
from pathlib import Path

from gatewise import callbacks
from gatewise.optimizers import Adam

from .registry import case
from .small_models import classes, classifier, numbers, regressor, trained, weights


def of_callbacks(name):
    """A case of training."""
    return lambda function: case(f"callbacks/{name}", function, "training")


@of_callbacks("EarlyStopping")
def _early_stopping():
    watch = callbacks.EarlyStopping(patience=1, restore_best_weights=True)
    model = regressor(optimizer=Adam(0.3))
    found = trained(model, *numbers(), epochs=12, validation_split=0.3, callbacks=[watch])
    return found | {"stopped": watch.stopped_epoch}


@of_callbacks("ReduceLROnPlateau")
def _plateau():
    watch = callbacks.ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5, min_delta=0.5)
    return trained(regressor(), *numbers(), epochs=5, callbacks=[watch])


@of_callbacks("LearningRateScheduler")
def _scheduler():
    watch = callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 / (1 + epoch))
    return trained(regressor(), *numbers(), epochs=3, callbacks=[watch])


@of_callbacks("SwapEMAWeights")
def _swap():
    model = regressor(optimizer=Adam(0.05, use_ema=True, ema_momentum=0.8))
    watch = [callbacks.SwapEMAWeights(swap_on_epoch=True)]
    return trained(model, *numbers(), validation_split=0.2, callbacks=watch)


@of_callbacks("use_ema")
def _ema():
    return trained(regressor(optimizer=Adam(0.05, use_ema=True, ema_momentum=0.8)), *numbers())


@of_callbacks("LambdaCallback")
def _lambda():
    told = []
    watch = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: told.append(f"begin {epoch}"),
        on_train_end=lambda logs: told.append(f"end {sorted(logs or {})}"),
        on_epoch_end=lambda epoch, logs: told.append(f"{epoch} {sorted(logs)}"),
    )
    trained(regressor(), *numbers(), validation_split=0.2, callbacks=[watch])
    return {"told": "; ".join(told)}


def _numbers_of(line):
    return [float(value) for value in line.split(",") if value != "NA"]


@of_callbacks("CSVLogger")
def _csv():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        trained(regressor(), *numbers(), callbacks=[callbacks.CSVLogger(str(path))])
        lines = path.read_text(encoding="utf-8").splitlines()
    return {"head": lines[0], "rows": [_numbers_of(line) for line in lines[1:]]}


@of_callbacks("TerminateOnNaN")
def _nan():
    model = regressor(optimizer=Adam(1e30), loss="mse")
    return trained(model, *numbers(), epochs=3, callbacks=[callbacks.TerminateOnNaN()])


def _resumed(save_freq, epochs):
    def fit(path, epochs, resume=None):
        model = classifier(metrics=["accuracy"])
        watch = [
            callbacks.EarlyStopping(patience=5),
            callbacks.ModelCheckpoint(path, save_freq=save_freq),
        ]
        return trained(
            model,
            *classes(),
            epochs=epochs,
            validation_split=0.2,
            callbacks=watch,
            resume_from=resume,
        )

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "run.gatewise")
        fit(path, epochs)
        return fit(path, 4, path)


@of_callbacks("resume after an epoch")
def _resume():
    return _resumed("epoch", 2)


@of_callbacks("resume after a batch")
def _resume_batch():
    return _resumed(2, 2)


@of_callbacks("save the best")
def _best():
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "best.gatewise")
        watch = callbacks.ModelCheckpoint(
            path, monitor="loss", save_best_only=True, save_weights_only=True
        )
        trained(regressor(), *numbers(), callbacks=[watch])
        model = regressor()
        model.load_weights(path)
        return {"weights": weights(model)}
