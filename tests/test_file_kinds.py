"""Files of other programs: the message says what they are, and what to do."""

import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import safetensors.numpy

import gatewise
from gatewise import SequenceClassifier, Sequential, file_kinds, load_estimator, load_model
from gatewise.callbacks import ModelCheckpoint
from gatewise.errors import CheckpointError
from gatewise.layers import Dense, Input


def zipped(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 200)
    return stream.getvalue()


def saved(function, *arguments):
    stream = io.BytesIO()
    function(stream, *arguments)
    return stream.getvalue()


KERAS = zipped("metadata.json", "config.json", "model.weights.h5")
FILES = {
    "m.keras": (KERAS, r"is a model of Keras .*load_weights"),
    "renamed.safetensors": (KERAS, r"is a model of Keras .*load_weights"),
    "m.h5": (b"\x89HDF\r\n\x1a\n" + bytes(200), "is an HDF5 file.*load_weights"),
    "m.pt": (
        zipped("m/data.pkl", "m/version", "m/data/0"),
        "is a file of PyTorch: .*load_state_dict",
    ),
    "old.pth": (
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(100),
        "is a pickle, .*any code",
    ),
    "m.onnx": (
        b"\x08\x08\x12\x07pytorch\x1a\x052.3.0:" + bytes(100),
        "is an ONNX model.*import_model",
    ),
    "m.npz": (saved(np.savez, np.zeros(3)), r"arrays of NumPy \(.npz\): .*numpy.load"),
    "m.npy": (saved(np.save, np.zeros(3)), r"an array of NumPy \(.npy\): .*numpy.load"),
    "m.pkl": (pickle.dumps({"a": list(range(100))}), "is a pickle, .*any code"),
    "m.zip": (zipped("readme.txt"), "is a zip archive: unpack"),
    "cut.zip": (KERAS[:60], "is a damaged zip archive"),
    "m.gz": (gzip.compress(b"1" * 1000), "compressed with gzip: unpack"),
    "m.tflite": (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite"),
    "m.json": (
        json.dumps({"class_name": "Sequential", "config": [1] * 300}).encode(),
        "is a JSON text, which begins with",
    ),
    "m.csv": (b"time,value\n" + b"1,2\n" * 200, "is a text, which begins with 'time,value"),
    "m.txt": ("größer als nötig ".encode() * 50, "is a text, which begins with 'größer"),
    "short.txt": (b"hi", "is a text, which begins with 'hi'"),
    "empty.safetensors": (b"", "is empty: .*older file"),
    "zeros.safetensors": (bytes(500), "holds zeros only: .*older file"),
    "theirs.safetensors": (
        safetensors.numpy.save({"a": np.zeros(3)}),
        "safetensors file but not a gatewise checkpoint.*load_file",
    ),
}


@pytest.fixture
def model():
    return Sequential([Input((2,)), Dense(1)], seed=1)


@pytest.mark.parametrize("name", FILES)
def test_each_reader_says_what_a_foreign_file_is_and_what_to_do(name, model, tmp_path):
    content, message = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    weights = model._flat_weights()
    model.compile("sgd", "mse")
    x = np.zeros((2, 2))
    for read in (
        load_model,
        load_estimator,
        model.load_weights,
        lambda path: model.fit(x, x[:, :1], verbose=0, resume_from=path),
    ):
        with pytest.raises(CheckpointError, match=message) as caught:
            read(path)
        assert name in str(caught.value) and "bytes, " not in str(caught.value)
    np.testing.assert_array_equal(model._flat_weights(), weights)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder, not a file; give a file that save"):
        load_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(CheckpointError, match="is a folder, a TensorFlow SavedModel"):
        load_model(tmp_path)


def test_a_file_of_gatewise_that_is_cut_short_is_not_taken_for_another(model, tmp_path):
    path = tmp_path / "m.safetensors"
    model.save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError) as caught:
            load_model(path)
        found = [
            kind
            for kind in ("Keras", "PyTorch", "ONNX", "pickle", "NumPy", "zip")
            if kind in str(caught.value)
        ]
        assert not found, (length, str(caught.value))


def test_random_bytes_raise_nothing_else(tmp_path, rng):
    path = tmp_path / "m"
    starts = [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x08\x08\x12", b"\x80\x04", b"{", b"\x1f\x8b"]
    for number in range(140):
        path.write_bytes(starts[number % len(starts)] + rng.bytes(int(rng.integers(0, 400))))
        with pytest.raises(CheckpointError):
            load_model(path)


@pytest.mark.parametrize("ending", file_kinds.FOREIGN_ENDINGS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_names_that_stand_for_other_formats_give_a_warning_with_the_cure(ending, model, tmp_path):
    estimator = SequenceClassifier(max_iter=1, units=2).fit(np.zeros((4, 3, 1)), [0, 1, 0, 1])
    for save, name in ((model.save, "m"), (model.save_weights, "w"), (estimator.save, "e")):
        path = str(tmp_path / f"{name}{ending.upper()}")
        with pytest.warns(UserWarning, match=f"end in '{ending}' .*'.safetensors'") as caught:
            save(path)
        assert [warning.filename for warning in caught] == [__file__]
    load_model(tmp_path / f"m{ending.upper()}")  # it is a file of gatewise all the same


def test_names_that_promise_nothing_else_give_no_warning(model, tmp_path):
    for name in ("m.safetensors", "m", "m.gatewise", ".keras", "m.v1"):
        model.save(tmp_path / name)


def test_a_checkpoint_of_such_a_name_says_so(model, tmp_path):
    model.compile("sgd", "mse")
    x = np.zeros((2, 2))
    with pytest.warns(UserWarning, match="end in '.keras'"):
        model.fit(x, x[:, :1], verbose=0, callbacks=ModelCheckpoint(tmp_path / "best.keras"))
    assert isinstance(gatewise.load_model(tmp_path / "best.keras"), Sequential)
