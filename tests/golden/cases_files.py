"""What the files in files/ give."""

from pathlib import Path

from gatewise import load_estimator, load_model

from .registry import case
from .series import block, lists, names, wave
from .small_models import numbers, regressor, trained, weights
from .writers import TEXTS, checkpoint_run

FOLDER = Path(__file__).parent / "files"


def of_files(name):
    """A case of files."""
    return lambda function: case(f"files/{name}", function, "training")


def _read(name):
    return load_estimator(FOLDER / f"{name}.gatewise")


@of_files("model")
def _model():
    model, (x, y) = load_model(FOLDER / "model.gatewise"), numbers()
    found = {"weights": weights(model), "predict": model.predict(x, verbose=0)}
    return found | {"evaluate": model.evaluate(x, y, verbose=0), "further": trained(model, x, y)}


@of_files("weights")
def _weights():
    model = regressor(peepholes=True)
    model.load_weights(FOLDER / "weights.gatewise")
    return {"weights": weights(model)}


@of_files("resume after an epoch")
def _run_of_epochs():
    return checkpoint_run(4, [], FOLDER / "run-epoch.gatewise")


@of_files("resume after a batch")
def _run_of_batches():
    return checkpoint_run(4, [], FOLDER / "run-batch.gatewise")


@of_files("classifier")
def _classifier():
    read = _read("classifier")
    found = {"probabilities": read.predict_proba(lists()), "labels": read.predict(lists())}
    return found | {"further": read.partial_fit(lists(), names(lists())).predict_proba(lists())}


@of_files("labels")
def _labels():
    read = _read("labels")
    return {"probabilities": read.predict_proba(block()), "labels": read.predict(block())}


@of_files("regressor")
def _regressor():
    read = _read("regressor")
    return {
        "predict": read.predict(lists()),
        "parameters": str(sorted(map(str, read.get_params()))),
    }


@of_files("tagger")
def _tagger():
    read = _read("tagger")
    return {"probabilities": read.predict_proba(lists()), "labels": read.predict(lists())}


@of_files("encoder")
def _encoder():
    return _read("encoder").transform(lists())


@of_files("forecaster")
def _forecaster():
    read = _read("forecaster")
    found = {"forecast": read.predict(), "quantiles": list(read.predict_quantiles().values())}
    return found | {"updated": read.update(wave(5, 2)).predict()}


@of_files("recursive")
def _recursive():
    forecast = _read("recursive").predict(6)
    return {key: forecast[key] for key in ("north", "south")}


@of_files("pipeline")
def _pipeline():
    return _read("pipeline").predict(lists())


@of_files("transformers")
def _transformers():
    return {
        "scaler": _read("scaler").transform(lists(seed=3)),
        "padder": _read("padder").transform(lists()),
        "stacker": _read("stacker").transform(lists()),
        "windower": list(_read("windower").transform(wave(k=2))),
        "vocabulary": _read("vocabulary").transform(TEXTS),
    }
