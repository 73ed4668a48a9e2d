"""Make the ONNX files of this folder: by PyTorch's two exporters, Keras's, and tf2onnx.

    python tests/files/interop/make_onnx.py torch|keras|tensorflow [folder]

Beside each model is an .npz with inputs x0, x1, ... and the outputs y0, y1, ... of the framework
that made it. "torch" needs torch and onnxscript (written with PyTorch 2.13, onnxscript 0.7),
"keras" Keras on PyTorch (written with Keras 3.15), "tensorflow" TensorFlow and tf2onnx (written
with TensorFlow 2.21, tf2onnx 1.17).
"""

import sys
import warnings
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent


def torch_models():
    """(name, module, example inputs, names of dynamic axes) of each model."""
    import torch
    from torch import nn

    torch.manual_seed(3)

    class Tagger(nn.Module):
        """Tokens, two bidirectional LSTMs, a label for each step."""

        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(11, 5)
            self.lstm = nn.LSTM(5, 6, num_layers=2, bidirectional=True, batch_first=True)
            self.dense = nn.Linear(12, 3)

        def forward(self, tokens):
            return torch.softmax(self.dense(self.lstm(self.embedding(tokens))[0]), -1)

    class LastStep(nn.Module):
        """A GRU, its last step, a hidden layer and classes."""

        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(4, 7, num_layers=2, batch_first=True, dropout=0.1)
            self.hidden = nn.Linear(7, 6)
            self.drop = nn.Dropout(0.2)
            self.classes = nn.Linear(6, 3)

        def forward(self, x):
            y, _ = self.gru(x)
            return torch.softmax(self.classes(self.drop(torch.relu(self.hidden(y[:, -1])))), -1)

    class FinalState(nn.Module):
        """Both directions' final states of an LSTM."""

        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(4, 5, bidirectional=True, batch_first=True)
            self.dense = nn.Linear(10, 2)

        def forward(self, x):
            _, (h, _) = self.lstm(x)
            return self.dense(torch.cat([h[0], h[1]], dim=1))

    class TimeMajor(nn.Module):
        """Steps first, as PyTorch has it by default."""

        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(4, 6, nonlinearity="relu")
            self.norm = nn.LayerNorm(6)
            self.dense = nn.Linear(6, 2)

        def forward(self, x):
            return torch.sigmoid(self.dense(self.norm(self.rnn(x)[0])))

    class Keywords(nn.Module):
        """Convolutions over time, normalization, pooling, a GRU: spotting keywords."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 8, 3, padding=1)
            self.norm = nn.BatchNorm1d(8)
            self.pool = nn.MaxPool1d(2)
            self.gru = nn.GRU(8, 6, batch_first=True)
            self.dense = nn.Linear(6, 3)

        def forward(self, x):
            y = self.pool(torch.relu(self.norm(self.conv(x.transpose(1, 2)))))
            return self.dense(self.gru(y.transpose(1, 2))[0].mean(dim=1))

    class Images(nn.Module):
        """Convolutions over images, rows of which a GRU reads."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3, padding=1)
            self.norm = nn.BatchNorm2d(3)
            self.pool = nn.MaxPool2d(2)
            self.gru = nn.GRU(9, 5, batch_first=True)
            self.dense = nn.Linear(5, 2)

        def forward(self, x):
            y = self.pool(torch.relu(self.norm(self.conv(x))))  # (batch, 3, 4, 3)
            y = y.permute(0, 2, 1, 3).flatten(2)
            return self.dense(self.gru(y)[1][0])

    class Gated(nn.Module):
        """Sums and products of tensors, a residual connection, a mask for a spectrum."""

        def __init__(self):
            super().__init__()
            self.first = nn.Linear(6, 8)
            self.gru = nn.GRU(8, 8, batch_first=True)
            self.last = nn.Linear(16, 6)

        def forward(self, x):
            y = nn.functional.leaky_relu(self.first(x), 0.1)
            y = torch.cat([y, y + self.gru(y)[0]], dim=-1)
            return x * torch.sigmoid(self.last(y))

    x = torch.randn(2, 5, 4)
    tokens = torch.randint(0, 11, (2, 5))
    steps = {0: "batch", 1: "time"}
    models = [
        ("tagger", Tagger(), tokens, steps),
        ("last_step", LastStep(), x, steps),
        ("final_state", FinalState(), x, steps),
        ("time_major", TimeMajor(), x.transpose(0, 1).contiguous(), {0: "time", 1: "batch"}),
        ("keywords", Keywords(), torch.randn(2, 8, 4), {0: "batch"}),
        ("images", Images(), torch.randn(2, 1, 8, 6), {0: "batch"}),
        ("gated", Gated(), torch.randn(2, 5, 6), steps),
    ]
    with torch.no_grad():
        for _, module, *_ in models:
            for part in module.modules():
                if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                    part.running_mean.normal_()
                    part.running_var.uniform_(0.5, 2)
                    part.weight.normal_()
                    part.bias.normal_()
            module.eval()
    return models


def write_torch(folder):
    """Both exporters of PyTorch; the older one with and without dynamic axes."""
    import onnx
    import torch

    for name, module, x, axes in torch_models():
        with torch.no_grad():
            y = module(x).numpy()
        np.savez(folder / f"torch_{name}.npz", x0=x.numpy(), y0=y)
        for kind in ("script", "fixed", "dynamo"):
            path = folder / f"torch_{name}_{kind}.onnx"
            options = {"input_names": ["x"], "output_names": ["y"], "verbose": False}
            if kind == "dynamo":
                shapes = ({axis: torch.export.Dim(text) for axis, text in axes.items()},)
                options |= {"dynamo": True, "dynamic_shapes": shapes, "external_data": False}
            else:
                options |= {"dynamo": False, "opset_version": 17 if kind == "script" else 13}
                if kind == "script":
                    options["dynamic_axes"] = {"x": axes, "y": {0: "batch"}}
            try:
                torch.onnx.export(module, (x,), str(path), **options)
            except Exception as error:  # which exporter takes which model is their matter
                print(f"{path.name}: {type(error).__name__}: {error!s:.200}")
                continue
            shrink(onnx, path)


def shrink(onnx, path):
    """Leave out what only people read."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.value_info[:]
    del model.metadata_props[:], model.graph.metadata_props[:]
    onnx.save(model, path)


def keras_models():
    """(name, model, input) of each model."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    x = np.random.default_rng(3).standard_normal((2, 5, 4)).astype("float32")
    tokens = np.random.default_rng(4).integers(0, 11, (2, 6)).astype("int32")
    source = layers.Input((5, 4))
    tail = layers.Bidirectional(layers.LSTM(5))(layers.LSTM(6, return_sequences=True)(source))
    functional = keras.Model(source, [layers.Dense(3, "softmax")(tail), layers.Dense(1)(tail)])
    return [
        ("lstm", keras.Sequential([layers.Input((5, 4)), layers.LSTM(6), layers.Dense(2)]), x),
        (
            "gru",
            keras.Sequential(
                [
                    layers.Input((5, 4)),
                    layers.GRU(6, return_sequences=True),
                    layers.LayerNormalization(),
                    layers.GRU(5, reset_after=False),
                    layers.Dense(2, activation="softmax"),
                ]
            ),
            x,
        ),
        (
            "text",
            keras.Sequential(
                [
                    layers.Input((6,), dtype="int32"),
                    layers.Embedding(11, 5),
                    layers.SimpleRNN(6, return_sequences=True),
                    layers.GlobalAveragePooling1D(),
                    layers.Dense(1, activation="sigmoid"),
                ]
            ),
            tokens,
        ),
        ("functional", functional, x),
        (
            "conv",
            keras.Sequential(
                [
                    layers.Input((5, 4)),
                    layers.Conv1D(6, 3, padding="same", activation="relu"),
                    layers.BatchNormalization(),
                    layers.MaxPooling1D(2),
                    layers.GRU(4),
                    layers.Dense(2),
                ]
            ),
            x,
        ),
    ]


def write_keras(folder, prefix):
    """``model.export(format="onnx")``, with Keras on PyTorch or on TensorFlow (by tf2onnx)."""
    import onnx

    for name, model, x in keras_models():
        y = model(x)
        outputs = [
            np.asarray(each.detach() if hasattr(each, "detach") else each)
            for each in (y if isinstance(y, list) else [y])
        ]
        path = folder / f"{prefix}_{name}.onnx"
        try:
            model.export(str(path), format="onnx", verbose=False)
            shrink(onnx, path)
        except Exception as error:  # which of its models Keras exports is its matter
            print(f"{path.name}: {type(error).__name__}: {error!s:.300}")
            continue
        arrays = {f"y{k}": array for k, array in enumerate(outputs)}
        np.savez(folder / f"{prefix}_{name}.npz", x0=x, **arrays)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    into = Path(sys.argv[2]) if len(sys.argv) > 2 else FOLDER
    if sys.argv[1] == "torch":
        write_torch(into)
    else:
        write_keras(into, sys.argv[1])
