"""Files that Keras wrote (tests/files/interop/make_keras*.py), read without Keras."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gatewise import CheckpointError, Model, Sequential, layers
from gatewise.errors import ConfigError, GatewiseError
from gatewise.interop import keras

h5py = pytest.importorskip("h5py", reason="files of Keras need h5py")

FILES = Path(__file__).parents[1] / "files" / "interop"


def agrees(model, x, expected, *names):
    outputs = model.predict(x, verbose=0)
    for output, name in zip(outputs if isinstance(outputs, list) else [outputs], names):
        np.testing.assert_allclose(output, expected[name], rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def keras2():
    return np.load(FILES / "keras2_expected.npz")


@pytest.fixture(scope="module")
def keras3():
    return np.load(FILES / "keras3_expected.npz")


# ---- whole models


def test_sequential_of_keras_2(keras2):
    model = keras.load_model(FILES / "keras2_sequential.h5")
    agrees(model, keras2["tokens"], keras2, "sequential")
    assert type(model.optimizer).__name__ == "Adam"
    # clip(x / 5 + 1 / 2), not the x / 6 of Keras 3
    assert model.layers[2].get_config()["recurrent_activation"] == ["hard_sigmoid", 0.2, 0.5]


def test_functional_of_keras_2(keras2):
    model = keras.load_model(FILES / "keras2_functional.h5")
    agrees(model, [keras2["x"], keras2["h"]], keras2, "functional_0", "functional_1")


def test_layers_for_gpus(keras2):
    agrees(keras.load_model(FILES / "keras2_gpu.h5"), keras2["x"], keras2, "gpu")


@pytest.mark.parametrize("name", ["keras3_sequential.keras", "keras3_sequential.h5"])
def test_sequential_of_keras_3(name, keras3):
    model = keras.load_model(FILES / name)
    agrees(model, keras3["x"], keras3, "sequential")
    assert model.optimizer.learning_rate == pytest.approx(0.01)
    if name.endswith(".keras"):
        assert model.optimizer.iterations == 3
        assert all(slot.any() for slot in model.optimizer.slots().values())
    assert keras.load_model(FILES / name, compile=False).optimizer is None


def test_functional_of_keras_3(keras3):
    model = keras.load_model(FILES / "keras3_functional.keras")
    x = {"x": keras3["x"], "h": keras3["h"]}
    agrees(model, x, keras3, "functional_0", "functional_1")


def test_training_goes_on_after_loading(keras3):
    model = keras.load_model(FILES / "keras3_sequential.keras")
    before = model.get_weights()
    model.fit(keras3["x"], np.zeros((2, 2)), epochs=2, verbose=0)
    assert model.optimizer.iterations == 5
    assert any((a != b).any() for a, b in zip(before, model.get_weights()))


# ---- weights alone


@pytest.mark.parametrize("name", ["keras3.weights.h5", "keras3_sequential.h5"])
def test_weights_of_keras_3(name, keras3):
    model = keras.load_model(FILES / "keras3_sequential.keras", compile=False)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    keras.load_weights(model, FILES / name)
    agrees(model, keras3["x"], keras3, "sequential")


def test_weights_of_keras_2(keras2):
    model = keras.load_model(FILES / "keras2_sequential.h5", compile=False)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    keras.load_weights(model, FILES / "keras2_weights.h5")
    agrees(model, keras2["tokens"], keras2, "sequential")


def test_weights_alone_are_no_model():
    with pytest.raises(CheckpointError, match="weights alone: make the model"):
        keras.load_model(FILES / "keras3.weights.h5")


@pytest.mark.parametrize("name", ["keras3.weights.h5", "keras2_weights.h5"])
def test_the_file_of_another_model(name):
    model = Sequential([layers.Input((6, 4)), layers.LSTM(3), layers.Dense(7)])
    before = model.get_weights()
    with pytest.raises(CheckpointError, match="another model|has no|of shape"):
        keras.load_weights(model, FILES / name)
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))


# ---- there and back


def graph():
    x, h = layers.Input((None, 4), name="x"), layers.Input((3,), name="h")
    y, state = layers.GRU(3, return_sequences=True, return_state=True)(x, initial_state=h)
    inner = Sequential([layers.Input((3,)), layers.Dense(3, "relu"), layers.BatchNormalization()])
    y = layers.LayerNormalization()(1 - y) * 2
    return Model([x, h], [inner(y[:, -1]), inner(state)])


@pytest.mark.parametrize("make", [graph], ids=["graph"])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_there_and_back(make, ending, tmp_path):
    model, draw = make(), np.random.default_rng(0)
    model.set_weights([draw.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    keras.save_model(model, tmp_path / f"m{ending}")
    again = keras.load_model(tmp_path / f"m{ending}")
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)
    x = [draw.normal(size=(2, 5, 4)), draw.normal(size=(2, 3))]
    for a, b in zip(model.predict(x, verbose=0), again.predict(x, verbose=0)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (layers.LSTM(3, peepholes=True), "Keras does not have peepholes=True"),
        (layers.LSTM(3, projection=2), "projection=2"),
        (layers.GRU(3, update="chung"), "update='chung'"),
        (layers.LSTM(3, recurrent_activation=("hard_sigmoid", 0.2, 0.5)), "with constants"),
        (layers.MinGRU(3), "Keras has no such layer"),
    ],
)
def test_what_keras_does_not_have(layer, text, tmp_path):
    model = Sequential([layers.Input((None, 4)), layer])
    with pytest.raises(ConfigError, match=text):
        keras.save_model(model, tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_names_of_files(tmp_path):
    model = Sequential([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(ConfigError, match=r"ends in \.keras or \.h5"):
        keras.save_model(model, tmp_path / "m.bin")
    with pytest.raises(ConfigError, match=r"ends in \.keras or"):
        keras.save_model(model, tmp_path / "m.weights.h5")
    with pytest.raises(ConfigError, match=r"ends in \.weights\.h5"):
        keras.save_weights(model, tmp_path / "m.h5")
    with pytest.raises(ConfigError, match="not built"):
        keras.save_model(Sequential([layers.Dense(2)]), tmp_path / "m.keras")


@pytest.mark.long
def test_no_framework_is_imported():
    program = (
        "import sys; from gatewise.interop import keras;"
        f"keras.load_model({str(FILES / 'keras3_functional.keras')!r});"
        "assert not {'torch', 'keras', 'tensorflow', 'onnx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# ---- configurations


def config_of(*entries, version="3.8.0", kind="Sequential"):
    """A .keras file with these layers, and no weights."""
    start = {"class_name": "InputLayer", "config": {"batch_shape": [None, 6, 4]}}
    config = {"class_name": kind, "config": {"name": "m", "layers": [start, *entries]}}
    return packed(config, version)


def packed(config, version="3.8.0", weights=None, **options):
    if weights is None:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.create_group("layers")
        weights = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    return buffer.getvalue()


def entry(kind, **config):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": "l", **config}}


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (entry("Lambda", function="evil"), "a 'Lambda' of Keras"),
        (entry("GroupNormalization"), "a 'GroupNormalization' of Keras"),
        (entry("Dense", units=3, activation="selu"), "activation 'selu' is not known"),
        (entry("Dense", units=3, dtype="mixed_float16"), "dtype 'mixed_float16'"),
        (entry("Dense", units=3, strange=3), "takes no argument 'strange'"),
        (entry("Dense", units=-3), "units"),
        (entry("Dense", units=2**40), "units|memory|elements"),
        (entry("Conv1D", filters=3, kernel_size=2, data_format="channels_first"), "data_format"),
        (entry("LSTM", units=3, activity_regularizer={"class_name": "L2"}), "activity_regularizer"),
        (entry("RNN", cell=entry("MyCell")), "no cell 'MyCell'"),
        (entry("BatchNormalization", axis=1), "normalises axis 1 of 3"),
        ({"class_name": 3}, "without class_name and config"),
        ("text", "in the place of a layer"),
    ],
)
def test_configurations_that_are_refused(one, text, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(config_of(one))
    with pytest.raises(GatewiseError, match=text):
        keras.load_model(path)


def node(name, number=0, output=0):
    history = {"keras_history": [name, number, output]}
    return {"args": [{"class_name": "__keras_tensor__", "config": history}], "kwargs": {}}


def functional(*entries, inputs=(("x", 0, 0),), outputs=(("l", 0, 0),)):
    start = {
        "class_name": "InputLayer",
        "name": "x",
        "config": {"batch_shape": [None, 4], "name": "x"},
        "inbound_nodes": [],
    }
    config = {"name": "m", "layers": [start, *entries], "input_layers": list(map(list, inputs))}
    config["output_layers"] = list(map(list, outputs))
    return packed({"class_name": "Functional", "config": config})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (functional(entry("Dense", units=2) | {"inbound_nodes": [node("l")]}), "no layer makes"),
        (functional(entry("Dense", units=2) | {"inbound_nodes": [node("y")]}), "no layer makes"),
        (functional(outputs=[("z", 0, 0)]), "has no array"),
        (functional(outputs=[("x",)]), "names the array"),
        (functional(entry("Dense", units=2) | {"inbound_nodes": ["x"]}), "the node 'x'"),
        (functional(entry("Dense", units=2) | {"inbound_nodes": 3}), "without name and nodes"),
        (packed({"class_name": "MyModel", "config": {}}), "subclassed model"),
        (packed({"class_name": "Sequential", "config": {}}), "no list of layers"),
        (packed("[" * 100_000), "no JSON"),
        (packed("[]"), "is no dict"),
        (packed("{"), "no JSON"),
    ],
)
def test_graphs_that_are_none(content, text, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(GatewiseError, match=text):
        keras.load_model(path)


# ---- hostile files


def weights_file(change):
    """The weights of one Dense(2) that reads four features, changed."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"], group["1"] = np.ones((4, 2), "f"), np.zeros(2, "f")
        change(group)
    return buffer.getvalue()


def external_link(group):
    del group["0"]
    group["0"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(group):
    del group["0"]
    group["0"] = h5py.SoftLink("/layers/dense/vars/1")


def external_storage(group):
    del group["0"]
    group.create_dataset("0", (4, 2), "f", external=[("/etc/passwd", 0, 32)])


def virtual(group):
    del group["0"]
    layout = h5py.VirtualLayout((4, 2), "f")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 2))
    group.create_virtual_dataset("0", layout)


def compressed(group):
    del group["0"]
    group.create_dataset("0", (4, 2), "f", compression="gzip")


def huge(group):
    del group["0"]
    group.create_dataset("0", (2**30, 2**20), "f", chunks=(1, 2))


def text(group):
    del group["0"]
    group["0"] = np.full((4, 2), b"x")


def not_finite(group):
    group["0"][0, 0] = np.nan


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (external_link, "is not followed"),
        (soft_link, "is not followed"),
        (external_storage, "stored in another file"),
        (virtual, "stored in another file"),
        (compressed, "compressed"),
        (huge, "larger than the file"),
        (text, "has dtype"),
        (not_finite, "nan"),
    ],
)
def test_hostile_arrays(change, error, tmp_path):
    model = Sequential([layers.Input((4,)), layers.Dense(2)])
    path, before = tmp_path / "m.weights.h5", model.get_weights()
    path.write_bytes(weights_file(lambda group: None))
    keras.load_weights(model, path)
    model.set_weights(before)
    path.write_bytes(weights_file(change))
    with pytest.raises(GatewiseError, match=error):
        keras.load_weights(model, path)
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))


@pytest.mark.long
def test_archives_that_unpack_to_more_than_they_are(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(packed("[" + " " * 10**8 + "]", compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match="more than the file can hold"):
        keras.load_model(path)
    for content, message in (
        (b"", "no file of Keras"),
        (b"PK\3\4", "damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged"),
        (b"text", "no file of Keras"),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            keras.load_model(path)
    with pytest.raises(FileNotFoundError):
        keras.load_model(tmp_path / "missing.keras")


def mutated(content, draw):
    """Bytes changed, removed or doubled."""
    data = bytearray(content)
    for _ in range(draw.integers(1, 6)):
        at, length = int(draw.integers(len(data))), int(draw.integers(1, 9))
        if draw.integers(2):
            data[at : at + length] = draw.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif draw.integers(2):
            del data[at : at + length]
        else:
            data[at:at] = data[at : at + length]
    return bytes(data)


def check_mutations(name, count, tmp_path):
    """Each is refused or read, whatever becomes of the HDF5 library's process."""
    path, content = tmp_path / f"m{Path(name).suffix}", (FILES / name).read_bytes()
    draw, refused = np.random.default_rng(1), 0
    for _ in range(count):
        path.write_bytes(mutated(content, draw))
        try:
            keras.load_model(path)
        except GatewiseError:
            refused += 1
    assert 0 < refused <= count


def test_a_file_that_ends_the_process_of_the_hdf5_library():
    """Found by fuzzing: the length of a text is damaged, and the library reads behind its end."""
    with pytest.raises(CheckpointError, match="is damaged"):
        keras.load_model(FILES / "keras_segmentation_fault.h5")


NAMES = ["keras2_sequential.h5", "keras3_sequential.keras", "keras3_sequential.h5"]


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_some_mutations(name, tmp_path):
    check_mutations(name, 25, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_mutations(name, tmp_path):
    check_mutations(name, 1000, tmp_path)
