"""Random architectures and options: gatewise to ONNX Runtime, and to ONNX and back."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxruntime", reason="exported models are run by ONNX Runtime")

from gatewise import Model, layers  # noqa: E402
from gatewise.interop.onnx import export_model, import_model  # noqa: E402

from .onnx_runs import largest_difference, onnx_runtime, shaken  # noqa: E402

ACTIVATIONS = ["tanh", "sigmoid", "softsign", "hard_sigmoid", ("elu", 0.7), ("leaky_relu", 0.1)]


class Draw:
    """Random choices of one architecture; `nodes`: without what becomes a Scan or a mask."""

    def __init__(self, seed, nodes=False):
        self.rng = np.random.default_rng(seed)
        self.nodes = nodes

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def rarely(self, share):
        """Whether an option is chosen that nodes do not have."""
        return self.chance(share) and not self.nodes

    def chance(self, share=0.5):
        return bool(self.rng.random() < share)

    def cell(self, sequences):
        kinds = ("lstm", "gru", "rnn", "stack", "minimal")
        kind = self.one_of(*kinds[: 4 if self.nodes else 5])
        units = int(self.rng.integers(1, 6))
        options = {
            "return_sequences": sequences,
            "go_backwards": self.rarely(0.2),
            "use_bias": self.chance(0.8),
            "activation": self.one_of(*ACTIVATIONS),
        }
        if kind in ("lstm", "gru") and self.chance():
            options["recurrent_activation"] = self.one_of("sigmoid", "hard_sigmoid")
        if kind == "minimal":
            options.pop("activation")
            return self.one_of(layers.MinLSTM, layers.MinGRU)(units, **options)
        if kind == "stack":
            cells = [layers.GRUCell(units), layers.LSTMCell(3), layers.SimpleRNNCell(2)]
            return layers.RNN(cells[: self.rng.integers(1, 4)], return_sequences=sequences)
        if self.rarely(0.2):
            return self.normalized(kind, units, options)
        options |= {"clip": 0.8} if self.chance(0.3) else {}
        options |= {"zoneout": 0.2} if self.rarely(0.2) else {}
        options |= {"learned_initial_state": True} if self.rarely(0.2) else {}
        if kind == "rnn":
            return layers.SimpleRNN(units, **options)
        if kind == "gru":
            options |= {
                "reset_after": self.chance(),
                "update": "chung" if self.rarely(0.5) else "cho",
            }
            return layers.GRU(units, **options)
        options |= {"peepholes": self.chance(), "coupled": self.chance(0.3)}
        options |= {"cell_clip": 0.7} if self.rarely(0.2) else {}
        return layers.LSTM(units, **options)

    def normalized(self, kind, units, options):
        options = {**options, "layer_normalization": True}
        if kind == "rnn":
            return layers.SimpleRNN(units, **options)
        return (layers.LSTM if kind == "lstm" else layers.GRU)(units, **options)

    def recurrent(self, sequences):
        cell = self.cell(sequences)
        if self.chance(0.4) and not getattr(cell, "go_backwards", False):
            return layers.Bidirectional(cell, merge_mode=self.one_of("concat", "sum", "mul", "ave"))
        return cell

    def over_steps(self, x):
        """A symbol (batch, steps, features) made of another one."""
        kind = self.rng.integers(9)
        if kind < 4:
            return self.recurrent(True)(x)
        if kind == 4:
            padding = self.one_of("same", "causal")
            return layers.Conv1D(3, 3, padding=padding, dilation_rate=self.one_of(1, 2))(x)
        if kind == 5:
            return layers.LayerNormalization()(layers.Dense(4, self.one_of("relu", "tanh"))(x))
        if kind == 6:
            return layers.BatchNormalization()(layers.TimeDistributed(layers.Dense(3))(x))
        if kind == 7:
            return layers.Concatenate()([x, layers.Dense(2)(x)])
        return x * 0.5 + layers.Dense(x.shape[-1])(x)

    def end(self, x):
        kind = self.rng.integers(5)
        if kind == 0:
            return layers.Dense(3, "softmax")(x)
        if kind == 1:
            return layers.GlobalMaxPooling1D()(x)
        if kind == 2:
            return layers.Dense(2)(layers.GlobalAveragePooling1D()(x))
        return layers.Dense(2, "sigmoid")(self.recurrent(False)(x))


def model_of(draw):
    kind = draw.one_of("numbers", "numbers", "tokens", "masked" if not draw.nodes else "tokens")
    if kind == "tokens":
        first = layers.Input((None,), name="x")
        x = layers.Embedding(7, 3, mask_zero=draw.rarely(0.5))(first)
    else:
        first = layers.Input((None, 3), name="x")
        x = layers.Masking()(first) if kind == "masked" else first
    for _ in range(draw.rng.integers(0, 4)):
        x = draw.over_steps(x)
    return Model(first, [draw.end(x) for _ in range(draw.rng.integers(1, 3))]), kind


def inputs_of(draw, kind, rows, steps):
    if kind == "tokens":
        return draw.rng.integers(0, 7, (rows, steps))
    x = draw.rng.normal(size=(rows, steps, 3)).astype("float32")
    if kind == "masked":
        x[draw.rng.random((rows, steps)) < 0.3] = 0
        x[:, 0] = 1
    return x


def outputs_of(model, x, **given):
    found = model.predict(x, verbose=0, **given)
    return found if isinstance(found, list) else [found]


SEEDS = [*range(12), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(12, 200))]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_models(seed):
    draw = Draw(seed)
    model, kind = model_of(draw)
    shaken(model, seed)
    has_lengths = draw.chance()
    opset = int(draw.rng.integers(14, 25))
    proto = export_model(model, None, opset, lengths=has_lengths)
    for rows, steps in ((3, 6), (1, 1), (2, 9)):
        x, feeds, given = inputs_of(draw, kind, rows, steps), {}, {}
        if has_lengths:
            given["lengths"] = feeds["lengths"] = draw.rng.integers(1, steps + 1, rows)
        expected = outputs_of(model, x, **given)
        assert largest_difference(expected, onnx_runtime(proto, {"x": x, **feeds})) < 1e-5


@pytest.mark.parametrize("seed", SEEDS)
def test_random_models_to_onnx_and_back(seed):
    draw = Draw(seed, nodes=True)
    model, kind = model_of(draw)
    shaken(model, seed)
    again = import_model(export_model(model, None))
    x = inputs_of(draw, kind, 3, 6)
    assert largest_difference(outputs_of(model, x), outputs_of(again, x)) < 1e-5
