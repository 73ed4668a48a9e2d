"""Models for one step as ONNX files: step after step, they compute what predict computes."""

import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxruntime", reason="exported models are run by ONNX Runtime")

from gatewise import Sequential, layers  # noqa: E402
from gatewise.errors import ConfigError  # noqa: E402
from gatewise.interop.onnx import export_model  # noqa: E402

from .onnx_runs import onnx_runtime, reference, shaken  # noqa: E402

X = np.random.default_rng(1).normal(size=(3, 7, 3)).astype("float32")
PARTS = {
    "lstm": [layers.LSTM(4, peepholes=True, projection=3, return_sequences=True)],
    "gru": [layers.GRU(4, reset_after=False), layers.Dense(2, "softmax")],
    "learned": [layers.GRU(4, learned_initial_state=True)],
    "normalized": [layers.LSTM(4, layer_normalization=True), layers.Dense(2, "tanh")],
    "rnn": [layers.SimpleRNN(4, return_sequences=True), layers.GlobalMaxPooling1D()],
    "minimal": [layers.MinLSTM(4, return_sequences=True), layers.MinGRU(3)],
    "stack": [layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)])],
    "windows": [
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu"),
        layers.DepthwiseConv1D(2, padding="causal", depth_multiplier=2),
        layers.SeparableConv1D(3, 2, padding="causal"),
        layers.GlobalAveragePooling1D(),
    ],
}


def steps_of(proto, x, run):
    """The output after each step, from the states that the metadata name."""
    notes = {each.key: each.value for each in proto.metadata_props}
    first, *others = proto.graph.input
    states = {}
    for value in others:
        shape = [each.dim_value for each in value.type.tensor_type.shape.dim][1:]
        start = np.asarray(json.loads(notes["gatewise.states"])[value.name], "float32")
        states[value.name] = np.broadcast_to(start, (len(x), *shape)).copy()
    names = [value.name.removesuffix("/next") for value in proto.graph.output[1:]]
    found = []
    for t in range(x.shape[1]):
        y, *after = run(proto, {first.name: x[:, t], **states})
        states = dict(zip(names, after))
        found.append(y)
    return np.stack(found, axis=1)


@pytest.mark.parametrize("run", [onnx_runtime, reference])
@pytest.mark.parametrize("name", PARTS)
def test_steps(name, run):
    model = Sequential([type(part).from_config(part.get_config()) for part in PARTS[name]], seed=0)
    model.build((None, None, 3))
    shaken(model)
    found = steps_of(export_model(model, None, step=True), X, run)
    expected = model.predict(X, verbose=0)
    assert np.abs((found if expected.ndim == 3 else found[:, -1]) - expected).max() < 1e-5


def test_tokens():
    model = shaken(Sequential([layers.Input((None,)), layers.Embedding(9, 4), layers.GRU(3)]))
    x = np.random.default_rng(0).integers(0, 9, (3, 7))
    found = steps_of(export_model(model, None, step=True), x, onnx_runtime)
    assert np.abs(found[:, -1] - model.predict(x, verbose=0)).max() < 1e-5


WINDOWS = {
    "valid": [layers.Conv1D(4, 3, dilation_rate=2), layers.GRU(3, return_sequences=True)],
    "strides": [
        layers.Conv1D(4, 3, strides=2, padding="causal", activation="relu"),
        layers.LSTM(3, return_sequences=True),
        layers.MaxPooling1D(2),
        layers.GRU(2, return_sequences=True),
    ],
    "pooled": [layers.AveragePooling1D(3, 1), layers.Dense(2)],
    "answer": [layers.Conv1D(4, 2, strides=2), layers.GRU(3), layers.Dense(2, "softmax")],
}


@pytest.mark.parametrize("run", [onnx_runtime, reference])
@pytest.mark.parametrize("name", WINDOWS)
def test_outputs_that_are_not_due_at_each_step(name, run):
    parts = [type(part).from_config(part.get_config()) for part in WINDOWS[name]]
    model = Sequential(parts, seed=0)
    model.build((None, None, 3))
    shaken(model)
    x = np.random.default_rng(1).normal(size=(3, 14, 3)).astype("float32")
    proto = export_model(model, None, step=True)
    names = [value.name for value in proto.graph.output]
    assert names[1].endswith("/due")
    states = {"steps": np.zeros((3, 1), "int64")}
    for value in proto.graph.input[1:]:
        shape = [each.dim_value for each in value.type.tensor_type.shape.dim][1:]
        states.setdefault(value.name, np.zeros((3, *shape), "float32"))
    found = []
    for t in range(x.shape[1]):
        y, due, *after = run(proto, {proto.graph.input[0].name: x[:, t], **states})
        states = {name.removesuffix("/next"): each for name, each in zip(names[2:], after)}
        assert due.all() or not (due.any() or y.any())
        found += [y] if due.all() else []
    expected = model.predict(x, verbose=0)
    if expected.ndim == 2:
        assert np.abs(found[-1] - expected).max() < 1e-5
    else:
        assert len(found) == expected.shape[1]
        assert np.abs(np.stack(found, axis=1) - expected).max() < 1e-5


def test_what_needs_later_steps_is_refused():
    model = Sequential([layers.Input((None, 3)), layers.Bidirectional(layers.GRU(3))])
    with pytest.raises(ConfigError, match="last step of a sequence"):
        export_model(model, None, step=True)
