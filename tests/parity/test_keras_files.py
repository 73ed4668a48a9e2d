"""Files of random graphs and of all layers, written by Keras and read here, and the other way."""

import numpy as np
import pytest
from rivals import installed
from seeds import generator

from gatewise import Input, Model, Sequential, layers, optimizers
from gatewise.errors import ConfigError
from gatewise.interop import keras as interop

from .keras_process import WITH_KERAS, ask_keras
from .random_graphs import BUILD, draw

pytestmark = [
    *WITH_KERAS,
    pytest.mark.skipif(not installed("h5py"), reason="files of Keras need h5py"),
]

COUNT, ENDINGS = 30, (".keras", ".h5")

WRITE = (
    BUILD
    + """
import json, os, sys
import numpy as np
import keras

cases, given = json.load(open(sys.argv[1])), np.load(sys.argv[2])
found = {}
for name, graph in cases["graphs"].items():
    model = build(graph, keras.Input, keras.Model, keras.layers)
    weights = [w for w in model.get_weights()]
    model.set_weights([given[f"{name}|w{k}"] for k in range(len(weights))])
    x = [given[f"{name}|x{k}"] for k in range(len(graph["inputs"]))]
    outputs = model.predict(x if len(x) > 1 else x[0], verbose=0)
    for k, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
        found[f"{name}|{k}"] = output
    for ending in cases["endings"]:
        model.save(os.path.join(cases["folder"], name + ending))
    model.save_weights(os.path.join(cases["folder"], name + ".weights.h5"))
np.savez(sys.argv[3], **found)
"""
)

READ = """
import json, os, sys
import numpy as np
import keras

cases, given = json.load(open(sys.argv[1])), np.load(sys.argv[2])
found = {}
for name, count in cases["inputs"].items():
    x = [given[f"{name}|x{k}"] for k in range(count)]
    for ending in cases["endings"]:
        model = keras.models.load_model(os.path.join(cases["folder"], name + ending))
        model.load_weights(os.path.join(cases["folder"], name + ".weights.h5"))
        outputs = model.predict(x if len(x) > 1 else x[0], verbose=0)
        for k, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
            found[f"{name}|{ending}|{k}"] = output
np.savez(sys.argv[3], **found)
"""


def built(graph):
    space = {}
    exec(BUILD, space)
    return space["build"](graph, Input, Model, layers)


def predicted(model, x):
    outputs = model.predict(x if len(x) > 1 else x[0], verbose=0)
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.fixture(scope="module")
def graphs():
    """name -> (graph, our model, x), drawn from one seed."""
    rng, found = generator(42), {}
    for number in range(COUNT):
        graph = draw(rng)
        model = built(graph)
        model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
        shapes = (graph["entries"][int(name.split(".")[0])] for name in graph["inputs"])
        x = [rng.normal(size=(3, *one["options"]["shape"])).astype("float32") for one in shapes]
        found[f"graph_{number}"] = graph, model, x
    return found


def arrays_of(graphs):
    given = {}
    for name, (_, model, x) in graphs.items():
        given |= {f"{name}|w{k}": array for k, array in enumerate(model.get_weights())}
        given |= {f"{name}|x{k}": array for k, array in enumerate(x)}
    return given


def test_files_of_keras(graphs, tmp_path):
    cases = {
        "graphs": {name: graph for name, (graph, *_) in graphs.items()},
        "endings": ENDINGS,
        "folder": str(tmp_path),
    }
    theirs = ask_keras(WRITE, cases, arrays_of(graphs), tmp_path)
    for name, (graph, model, x) in graphs.items():
        weights = built(graph)
        interop.load_weights(weights, tmp_path / f"{name}.weights.h5")
        read = [interop.load_model(tmp_path / f"{name}{ending}") for ending in ENDINGS]
        for other in (weights, *read):
            for ours, written in zip(other.get_weights(), model.get_weights()):
                np.testing.assert_array_equal(ours, written, err_msg=str(graph))
            for k, output in enumerate(predicted(other, x)):
                np.testing.assert_allclose(
                    output, theirs[f"{name}|{k}"], rtol=1e-5, atol=2e-5, err_msg=str(graph)
                )


EVERY_LAYER = {
    "recurrent": [
        layers.LSTM(3, return_sequences=True, dropout=0.1, recurrent_dropout=0.1),
        layers.GRU(3, reset_after=False, return_sequences=True, go_backwards=True),
        layers.SimpleRNN(3, activation="relu", use_bias=False, kernel_regularizer="l2"),
    ],
    "wrapped": [
        layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum"),
        layers.RNN([layers.LSTMCell(3), layers.GRUCell(2), layers.LSTMCell(4)]),
        layers.RepeatVector(3),
        layers.TimeDistributed(layers.Dense(2, "tanh", kernel_constraint="max_norm")),
    ],
    "model in a wrapper": [
        layers.TimeDistributed(
            Sequential([layers.Input((4,)), layers.Dense(5), layers.BatchNormalization()])
        ),
    ],
    "convolutions": [
        layers.Conv1D(5, 3, padding="same", strides=2, activation="relu"),
        layers.SeparableConv1D(4, 2, depth_multiplier=2),
        layers.DepthwiseConv1D(2),
        layers.Flatten(),
    ],
    "pooling": [
        layers.MaxPooling1D(2),
        layers.AveragePooling1D(2, strides=1, padding="same"),
        layers.ZeroPadding1D((1, 2)),
        layers.Cropping1D(1),
        layers.UpSampling1D(2),
        layers.GlobalAveragePooling1D(),
    ],
    "activations": [
        layers.Activation("elu"),
        layers.ReLU(max_value=1.0),
        layers.LeakyReLU(0.1),
        layers.PReLU(),
        layers.ELU(0.5),
        layers.Softmax(),
    ],
    "normalisation": [
        layers.BatchNormalization(scale=False),
        layers.LayerNormalization(epsilon=1e-4),
        layers.Dropout(0.2),
        layers.SpatialDropout1D(0.2),
        layers.GaussianNoise(0.1),
    ],
    "masked": [layers.Masking(), layers.LSTM(3), layers.Reshape((3, 1)), layers.Permute((2, 1))],
}


def test_files_for_keras(graphs, tmp_path):
    models = {name: (model, x) for name, (_, model, x) in graphs.items()}
    rng = generator(43)
    for name, parts in EVERY_LAYER.items():
        model = Sequential([layers.Input((6, 4)), *parts], name="every")
        model.set_weights([rng.uniform(0.1, 0.9, w.shape) for w in model.get_weights()])
        models[name] = model, [rng.normal(size=(3, 6, 4)).astype("float32")]
    given = {f"{name}|x{k}": one for name, (_, x) in models.items() for k, one in enumerate(x)}
    for name, (model, _) in models.items():
        for ending in ENDINGS:
            interop.save_model(model, tmp_path / f"{name}{ending}")
        interop.save_weights(model, tmp_path / f"{name}.weights.h5")
    cases = {
        "inputs": {name: len(x) for name, (_, x) in models.items()},
        "endings": ENDINGS,
        "folder": str(tmp_path),
    }
    theirs = ask_keras(READ, cases, given, tmp_path)
    for name, (model, x) in models.items():
        for ending in ENDINGS:
            for k, output in enumerate(predicted(model, x)):
                np.testing.assert_allclose(
                    output,
                    theirs[f"{name}|{ending}|{k}"],
                    rtol=1e-5,
                    atol=2e-5,
                    err_msg=f"{name} {ending}",
                )


TRAIN = """
import json, os, sys
import numpy as np
import keras

cases, given = json.load(open(sys.argv[1])), np.load(sys.argv[2])
model = keras.Sequential(
    [keras.Input((6, 4)), keras.layers.LSTM(5), keras.layers.Dense(1)]
)
rate = keras.optimizers.schedules.ExponentialDecay(0.02, 5, 0.9) if cases["schedule"] else 0.01
model.compile(keras.optimizers.Adam(rate, amsgrad=cases["amsgrad"]), "mse")
step = lambda: float(model.train_on_batch(given["x"], given["y"]))
for _ in range(4):
    step()
model.save(os.path.join(cases["folder"], "trained.keras"))
np.savez(sys.argv[3], losses=[step() for _ in range(10)])
"""


@pytest.mark.parametrize(("amsgrad", "schedule"), [(False, False), (True, False), (False, True)])
def test_training_goes_on(amsgrad, schedule, tmp_path):
    """The losses after loading are those of Keras."""
    rng = generator(44)
    given = {
        "x": rng.normal(size=(16, 6, 4)).astype("float32"),
        "y": rng.normal(size=(16, 1)).astype("float32"),
    }
    cases = {"amsgrad": amsgrad, "schedule": schedule, "folder": str(tmp_path)}
    theirs = ask_keras(TRAIN, cases, given, tmp_path)
    model = interop.load_model(tmp_path / "trained.keras")
    assert isinstance(model.optimizer, optimizers.Adam) and model.optimizer.iterations == 4
    ours = [model.train_on_batch(given["x"], given["y"]) for _ in range(10)]
    np.testing.assert_allclose(ours, theirs["losses"], rtol=1e-4)


MASKED = """
import json, os, sys
import numpy as np
import keras

cases, given, k = json.load(open(sys.argv[1])), np.load(sys.argv[2]), keras.layers
tokens, target, x = keras.Input((6,)), keras.Input((6,)), keras.Input((6, 4))
y = k.Bidirectional(k.LSTM(5, return_sequences=True))(k.Embedding(9, 4, mask_zero=True)(tokens))
_, *states = k.LSTM(3, return_state=True)(k.TimeDistributed(k.Dense(3))(k.Dropout(0.1)(y)))
decoded = k.LSTM(3, return_sequences=True)(k.Embedding(9, 2)(target), initial_state=states)
models = {
    "decoder": keras.Model([tokens, target], k.Dense(2)(decoded)),
    "masking": keras.Model(x, k.GRU(2)(k.Masking(-1.0)(x))),
    "foreign": keras.Model([tokens, x], k.GRU(2)(x, mask=keras.ops.not_equal(tokens, 0))),
}
found = {}
for name, model in models.items():
    inputs = {"masking": given["x"], "decoder": [given["tokens"], given["tokens"]]}
    if name in inputs:
        found[name] = model.predict(inputs[name], verbose=0)
    for ending in cases["endings"]:
        model.save(os.path.join(cases["folder"], name + ending))
np.savez(sys.argv[3], **found)
"""


def test_masks_that_keras_writes_into_graphs(tmp_path):
    """As operators and arguments; here they go with their arrays."""
    tokens = np.array([[3, 1, 4, 1, 5, 2], [2, 6, 5, 0, 0, 0], [3, 0, 5, 8, 0, 0]])
    x = generator(45).normal(size=(3, 6, 4)).astype("float32")
    x[1, 3:] = x[2, 1] = -1
    cases = {"endings": ENDINGS, "folder": str(tmp_path)}
    theirs = ask_keras(MASKED, cases, {"tokens": tokens, "x": x}, tmp_path)
    for ending in ENDINGS:
        decoder = interop.load_model(tmp_path / f"decoder{ending}")
        ours = decoder.predict([tokens, tokens], verbose=0)
        np.testing.assert_allclose(ours, theirs["decoder"], rtol=1e-5, atol=1e-5)
        masking = interop.load_model(tmp_path / f"masking{ending}")
        ours = masking.predict(x, verbose=0)
        np.testing.assert_allclose(ours, theirs["masking"], rtol=1e-5, atol=1e-5)
        with pytest.raises(ConfigError, match="a mask that is not that of its input"):
            interop.load_model(tmp_path / f"foreign{ending}")
