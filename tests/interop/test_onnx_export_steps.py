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


def test_what_is_not_due_at_each_step_is_refused():
    model = Sequential([layers.Input((None, 3)), layers.Conv1D(4, 3), layers.GRU(3)], name="tone")
    with pytest.raises(ConfigError, match="not due at each step"):
        export_model(model, None, step=True)
    model = Sequential([layers.Input((None, 3)), layers.Bidirectional(layers.GRU(3))])
    with pytest.raises(ConfigError, match="last step of a sequence"):
        export_model(model, None, step=True)
