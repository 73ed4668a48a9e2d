"""Files of models with a valid checksum and false contents are refused."""

import copy
import json
import math
import os
import sys
import tracemalloc
import warnings

import forgery
import numpy as np
import pytest
from effort import Effort
from seeds import generator, plain_generator

import gatewise
from gatewise import (
    checkpoint,
    layers,
    optimizers,
)
from gatewise.errors import CheckpointError, TrainingWarning
from gatewise.layers import (
    GRU,
    LSTM,
    Dense,
    Dropout,
)
from gatewise.layers.merging import Merging
from gatewise.models import Sequential, load_model

from .saved_models import STACKS, model_of


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """(tensors, header) of a good file: three kinds of layers, trained with Adam."""
    path = tmp_path_factory.mktemp("honest") / "m"
    model = Sequential(
        [
            LSTM(4, dropout=0.1, return_sequences=True, name="lstm", input_shape=(6, 2)),
            GRU(3, name="gru", kernel_regularizer="l2"),
            Dropout(0.5, name="dropout"),
            Dense(2, "softmax", name="dense"),
        ],
        name="net",
        seed=3,
    )
    model.compile(optimizers.Adam(0.01, clipnorm=1.0), "categorical_crossentropy", ["accuracy"])
    rng = generator(0)
    model.fit(rng.normal(size=(8, 6, 2)), np.eye(2)[rng.integers(0, 2, 8)], verbose=0)
    model.save(path)
    return checkpoint.read(path)


@pytest.fixture
def forge(honest, tmp_path, monkeypatch):
    """Write a valid safetensors file from a changed copy of the contents of a valid model file."""
    # thousands of files that nobody needs tomorrow
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def write(change):
        tensors, header = dict(honest[0]), copy.deepcopy(honest[1])
        answer = change(tensors, header)
        checkpoint.write(tmp_path / "forged", tensors, header if answer is None else answer)
        return tmp_path / "forged"

    return write


def entry(header, name):
    return next(
        e["config"] for e in header["architecture"]["layers"] if e["config"]["name"] == name
    )


LIES = {
    "unknown layer": (
        lambda t, h: h["architecture"]["layers"][0].update(class_name="Conv2D"),
        "Conv2D",
    ),
    "a layer that is no layer": (
        lambda t, h: h["architecture"]["layers"][0].update(class_name="Layer"),
        "Layer",
    ),
    "unknown model": (lambda t, h: h["architecture"].update(class_name="Functional"), "Functional"),
    "no architecture": (lambda t, h: h.pop("architecture"), "architecture"),
    "no generator": (lambda t, h: h.pop("rng"), "rng"),
    "empty header": (lambda t, h: {}, "architecture"),
    "no layers": (lambda t, h: h["architecture"].update(layers=[]), ""),
    "more units": (lambda t, h: entry(h, "lstm").update(units=5), "weights/"),
    "units of 2**31 - 1": (lambda t, h: entry(h, "lstm").update(units=2**31 - 1), "lstm"),
    "units of 10**100": (lambda t, h: entry(h, "dense").update(units=10**100), "units"),
    "no units": (lambda t, h: entry(h, "lstm").update(units=0), "units"),
    "units as text": (lambda t, h: entry(h, "lstm").update(units="4"), "units"),
    "units as a float": (lambda t, h: entry(h, "lstm").update(units=4.0), "units"),
    "other input": (lambda t, h: h["architecture"].update(input_shape=[6, 3]), "lstm/kernel"),
    "huge input": (lambda t, h: h["architecture"].update(input_shape=[6, 10**15]), ""),
    "input of another rank": (lambda t, h: h["architecture"].update(input_shape=[2]), ""),
    "missing weight": (lambda t, h: t.pop("weights/gru/bias"), "weights/gru/bias"),
    "extra weight": (
        lambda t, h: t.update({"weights/other/kernel": np.zeros(3, np.float32)}),
        "weights/other/kernel",
    ),
    "transposed weight": (
        lambda t, h: t.update({"weights/dense/kernel": t["weights/dense/kernel"].T.copy()}),
        "weights/dense/kernel",
    ),
    "weight of another dtype": (
        lambda t, h: t.update({"weights/dense/bias": np.zeros(2)}),
        "float64",
    ),
    "model of another dtype": (lambda t, h: h["architecture"].update(dtype="float64"), "float32"),
    "dtype that is none": (lambda t, h: h["architecture"].update(dtype="float16"), "float16"),
    "NaN weight": (
        lambda t, h: t.update({"weights/dense/bias": np.array([0, np.nan], np.float32)}),
        "nan",
    ),
    "missing slot": (lambda t, h: t.pop("optimizer/velocity"), "optimizer"),
    "short slot": (
        lambda t, h: t.update({"optimizer/velocity": np.zeros(3, np.float32)}),
        "velocity",
    ),
    "slot of another dtype": (
        lambda t, h: t.update({"optimizer/velocity": t["optimizer/velocity"].astype(float)}),
        "velocity",
    ),
    "unknown optimizer": (
        lambda t, h: h["training"]["optimizer"].update(class_name="Adadelta"),
        "Adadelta",
    ),
    "wrong optimizer": (
        lambda t, h: h["training"].update(optimizer={"class_name": "SGD", "config": {}}),
        "SGD",
    ),
    "learning rate as text": (
        lambda t, h: h["training"]["optimizer"]["config"].update(learning_rate="x"),
        "learning_rate",
    ),
    "unknown option": (
        lambda t, h: h["training"]["optimizer"]["config"].update(__class__="x"),
        "__class__",
    ),
    "negative steps": (lambda t, h: h["training"].update(iterations=-1), "iterations"),
    "steps as text": (lambda t, h: h["training"].update(iterations="many"), "iterations"),
    "unknown loss": (lambda t, h: h["training"]["loss"].update(class_name="hinge"), "hinge"),
    "unknown metric": (lambda t, h: h["training"]["metrics"].append("f1"), "f1"),
    "other generator": (lambda t, h: h["rng"].update(bit_generator="MT19937"), "MT19937"),
    "generator without state": (lambda t, h: h["rng"].pop("state"), "state"),
    "generator state as text": (lambda t, h: h["rng"]["state"].update(state="x"), ""),
    "layers with one name": (lambda t, h: entry(h, "dropout").update(name="dense"), "dense"),
    "layer without a name": (lambda t, h: entry(h, "lstm").update(name=None), "weights/"),
    "name as a list": (lambda t, h: entry(h, "lstm").update(name=["lstm"]), "name"),
    "return_state": (lambda t, h: entry(h, "lstm").update(return_state=True), "return_state"),
    "forgotten return_sequences": (
        lambda t, h: entry(h, "lstm").update(return_sequences=False),
        "gru",
    ),
    "unknown activation": (lambda t, h: entry(h, "lstm").update(activation="swish"), "swish"),
    "unknown initializer": (
        lambda t, h: entry(h, "lstm").update(kernel_initializer={"class_name": "X"}),
        "",
    ),
    "rate of one": (lambda t, h: entry(h, "dropout").update(rate=1.0), "rate"),
    "rate of NaN": (lambda t, h: entry(h, "dropout").update(rate=float("nan")), "rate"),
    "unknown argument": (lambda t, h: entry(h, "lstm").update(os="system"), "os"),
    "a layer that is text": (lambda t, h: h["architecture"].update(layers=["LSTM"]), ""),
    "layers that are a dict": (lambda t, h: h["architecture"].update(layers={"a": 1}), ""),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies(lie, forge):
    change, words = LIES[lie]
    path = forge(change if lie == "empty header" else lambda t, h: [change(t, h), None][1])
    tracemalloc.start()
    try:
        with Effort() as effort, pytest.raises(CheckpointError) as caught:
            load_model(path)
        assert effort.calls < MOST_CALLS
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda t, name: t.pop(name),
        lambda t, name: t.update({name + "x": t.pop(name)}),
        lambda t, name: t.update({name: t[name].reshape(1, -1)}),
        lambda t, name: t.update({name: t[name].ravel()[:-1]}),
        lambda t, name: t.update({name: t[name].astype(np.int32)}),
        lambda t, name: t.update({name: t[name].astype(">f8")}),
        lambda t, name: t.update({name: np.zeros((0, 3), np.float32)}),
    ],
    ids=["dropped", "renamed", "an axis more", "an element less", "int32", "float64", "empty"],
)
def test_every_array_is_checked(change, forge, honest):
    for name in honest[0]:
        if name.startswith("run/"):
            continue  # looked at by who goes on with the run: test_resume.py
        path = forge(lambda t, h, name=name: [change(t, name), None][1])
        with pytest.raises(CheckpointError, match=name.rpartition("/")[2]):
            load_model(path)


@pytest.mark.parametrize("name", ["", None, 5, ["a"], {"a": 1}, True])
def test_a_model_name_that_is_no_name(name, forge):
    """Whatever is taken is a string."""
    path = forge(lambda t, h: h["architecture"].update(name=name))
    try:
        assert isinstance(load_model(path).name, str)
    except CheckpointError as error:
        assert "name" in str(error)


# ---- fuzzing

CASES = 2000
MOST_CALLS = 150_000  # of functions, to read one file; ten times what was seen
CALLS_A_LAYER = 1000


def use(model):
    """What anybody would do with a model that loaded.

    Nothing of it may fail but by a GatewiseError.
    """
    shape = (2, *(3 if extent is None else extent for extent in model.input_shape[1:]))
    if math.prod(shape) > 10_000:
        return
    x = np.zeros(shape)
    model.summary(print_fn=lambda line: None)
    assert isinstance(model.name, str)
    out = model.predict(x)
    assert out.dtype == model.dtype
    if model.loss is not None:
        y = np.zeros(out.shape[:-1], int) if model.loss._sparse else np.ones(out.shape)
        with np.errstate(all="ignore"):
            model.evaluate(x, y, verbose=0, return_dict=True)
            model.train_on_batch(x, y)


def fuzz(seeds, forge, tmp_path):
    """(number that loaded, {what went wrong: its cases}).

    Calls are counted, not seconds: the machine may be busy.
    """
    loaded, failures = 0, {}
    for seed in seeds:

        def change(tensors, header, seed=seed):
            forgery.change_header(header, plain_generator(seed))
            return header

        path = forge(change)
        model, effort = None, Effort()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with effort:
                    model = load_model(path)
        except CheckpointError as error:
            if str(path) not in str(error):
                failures.setdefault("message without the path", []).append((seed, str(error)[:200]))
        except BaseException as error:
            failures.setdefault(f"load: {type(error).__name__}: {str(error)[:70]}", []).append(seed)
        if effort.calls > MOST_CALLS:
            failures.setdefault("effort", []).append(seed)
        if model is not None:
            loaded += 1
            try:
                with warnings.catch_warnings():
                    # the data may not fit a forged loss
                    warnings.simplefilter("ignore", TrainingWarning)
                    use(model)
                if not np.isfinite(model.flat_parameters).all():
                    continue  # a forged rate; such weights are not read again
                model.save(tmp_path / "again")
                load_model(tmp_path / "again")
            except gatewise.GatewiseError as error:
                if isinstance(error, CheckpointError):
                    failures.setdefault(f"saved again: {str(error)[:150]}", []).append(seed)
            except Exception as error:
                failures.setdefault(f"use: {type(error).__name__}: {str(error)[:70]}", []).append(
                    seed
                )
    return loaded, failures


@pytest.mark.long
def test_two_thousand_forged_headers(forge, tmp_path):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded, failures = fuzz(range(CASES), forge, tmp_path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if sys.platform == "linux":
        assert grown < 100_000  # KiB
    text = json.dumps({what: [len(cases), cases[:3]] for what, cases in failures.items()}, indent=1)
    assert not failures, text
    assert loaded < CASES / 2  # most changes are lies; a new seed or rate is none


@pytest.mark.parametrize("stack", ["both ways", "words", "masked"])
def test_forged_headers_of_layers_in_layers(stack, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    model_of(stack).save(tmp_path / "honest")
    tensors, header = checkpoint.read(tmp_path / "honest")

    def forge(change):
        checkpoint.write(tmp_path / "forged", tensors, change(dict(tensors), copy.deepcopy(header)))
        return tmp_path / "forged"

    loaded, failures = fuzz(range(100), forge, tmp_path)
    assert not failures
    assert loaded < 50


def test_many_layers_load_quickly(forge):
    """A file of 70 kB is no reason to wait."""

    def change(tensors, header):
        entries = header["architecture"]["layers"]
        for number in range(600):
            entries.insert(
                2,
                {"class_name": "Dropout", "config": entries[2]["config"] | {"name": f"d{number}"}},
            )

    path = forge(change)
    with Effort() as effort:
        assert len(load_model(path).layers) == 604
    assert effort.calls < 604 * CALLS_A_LAYER


def test_layers_is_what_the_tests_know():
    """A new kind of layer must be added to the round trips."""
    offered = {name: getattr(layers, name) for name in layers.__all__}
    kinds = {
        name
        for name, value in offered.items()
        if isinstance(value, type)
        and issubclass(value, layers.Layer)
        and not issubclass(value, Merging)  # no straight model has one
    }
    stacked = [layer for stack in STACKS.values() for layer in stack()]
    inside = [layer.layer for layer in stacked if isinstance(layer, layers.TimeDistributed)]
    used = {type(layer).__name__ for layer in [*stacked, *inside]}
    # an EncoderDecoder reads two sequences: test_seq2seq.py
    assert kinds - {"InputLayer", "Layer", "Recurrent", "Wrapper", "EncoderDecoder"} <= used
