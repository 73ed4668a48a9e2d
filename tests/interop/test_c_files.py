"""What export_c writes, and what it refuses."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.errors import CheckpointError, ConfigError, DTypeError, NonFiniteError, StateError
from gatewise.interop.c.identifiers import identifier, prefix_of

from .c_programs import (
    COMPILER,
    STRICT,
    Program,
    assert_close,
    needs_compiler,
    randomized,
    sequential,
    signal,
)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for weights in ("float32", "int8"):
        texts = []
        for folder in ("one", "two"):
            model = sequential(
                layers.LSTM(5, return_sequences=True, name="lstm"), layers.Dense(2, name="dense")
            )
            export = model.export_c(tmp_path / weights / folder, weights)
            texts.append(export.header.read_bytes() + export.source.read_bytes())
        assert texts[0] == texts[1]
        assert re.sub(rb"[\n -~]", b"", texts[0]) == b""


def test_numbers_are_exact(tmp_path):
    model = sequential(layers.Dense(3))
    kernel = np.array(
        [[0.1, 1e-45, 3.4028235e38], [1, -1e30, 1.1754944e-38], [16777217, -0.3, 2 / 3]], np.float32
    )
    model.set_weights([kernel, np.zeros(3, np.float32)])
    text = model.export_c(tmp_path).source.read_text()
    inside = re.search(r"dense\w*_kernel\[9\] = \{(.*?)\}", text, re.DOTALL).group(1)
    found = [np.float32(word.strip().removesuffix("f")) for word in inside.split(",")[:-1]]
    assert np.array_equal(np.array(found).reshape(3, 3), kernel)


def test_source_grows_linearly(tmp_path):
    sizes = []
    for units in (100, 200):
        model = sequential(layers.Dense(units), features=units)
        sizes.append(len(model.export_c(tmp_path / str(units)).source.read_text()))
    assert 3.5 < sizes[1] / sizes[0] < 4.2


def test_other_files_stay(tmp_path):
    (tmp_path / "main.c").write_text("mine")
    model = sequential(layers.Dense(2))
    model.export_c(tmp_path)
    randomized(model, 3)
    export = model.export_c(str(tmp_path))  # replaces its own files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.c", "net.c", "net.h"]
    assert (tmp_path / "main.c").read_text() == "mine"
    again = randomized(model, 3).export_c(tmp_path / "deep" / "folder")
    assert again.source.read_text() == export.source.read_text()


@pytest.mark.parametrize("name", ["net.c", "net.h"])
def test_a_file_of_somebody_else_is_not_replaced(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(CheckpointError, match="no export to C has written it; give another folder"):
        sequential(layers.Dense(2)).export_c(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_folder(tmp_path):
    model = sequential(layers.Dense(2))
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot make the folder '.*file': File exists"):
        model.export_c(tmp_path / "file")
    with pytest.raises(CheckpointError, match="cannot make the folder .*null byte"):
        model.export_c("a\0b")
    with pytest.raises(DTypeError, match="path is a int"):
        model.export_c(3)
    (tmp_path / "net.c").mkdir()
    with pytest.raises(CheckpointError, match=r"net\.c': Is a directory"):
        model.export_c(tmp_path)


@pytest.mark.parametrize("weights", ["float16", "Int8", None, 8, np.int8, ["int8"]])
def test_weights(weights, tmp_path):
    with pytest.raises(ConfigError, match=r"weights is .*; expected 'float32' or 'int8'"):
        sequential(layers.Dense(2)).export_c(tmp_path, weights)


def test_what_cannot_run_step_by_step(tmp_path):
    model = sequential(layers.Bidirectional(layers.GRU(3), name="both"))
    with pytest.raises(ConfigError, match=r"layer 'both' \(Bidirectional\): "):
        model.export_c(tmp_path / "out")
    model = sequential(layers.GRU(3, go_backwards=True, name="back"))
    with pytest.raises(ConfigError, match=r"layer 'back' \(GRU\): "):
        model.export_c(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_float64(tmp_path):
    model = Sequential([layers.GRU(3, dtype="float64", input_shape=(None, 2))])
    with pytest.raises(ConfigError, match="computes in float64, the C program in float32"):
        model.export_c(tmp_path)


@pytest.mark.parametrize("weights", ["float32", "int8"])
@pytest.mark.parametrize("options", [{}, {"layer_normalization": True}])
def test_biases_whose_sum_is_beyond_float32(options, weights, tmp_path):
    model = sequential(layers.GRU(3, name="wide", **options))
    model.set_weights([np.full_like(array, 3.4e38) for array in model.get_weights()])
    with pytest.raises(NonFiniteError, match="weights wide_bias hold inf"):
        model.export_c(tmp_path / "out", weights)
    assert not (tmp_path / "out").exists()


def test_unbuilt(tmp_path):
    with pytest.raises(StateError, match="export_c: the model is not built"):
        Sequential([layers.GRU(3)]).export_c(tmp_path)


NAMES = {
    "my model": "my_model",
    "2nd": "model_2nd",
    "größe": "gr_e",
    "模型": "model",
    "math": "math_model",
    "String": "String_model",
    "int": "int_model",
    "a*/b": "a_b",
    "__x__": "x",
    "stdio": "stdio_model",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_models(name, tmp_path):
    export = sequential(layers.GRU(3), name=name).export_c(tmp_path)
    assert export.prefix == NAMES[name] == prefix_of(name)
    assert export.header.name == f"{NAMES[name]}.h"
    if COMPILER is not None:
        command = [COMPILER, *STRICT, "-c", str(export.source), "-o", str(tmp_path / "model.o")]
        subprocess.run(command, check=True)


@needs_compiler
@pytest.mark.parametrize(
    "names",
    [
        ("work", "s", "x", "y"),
        ("sigmoid", "add_product", "copy", "clip"),
        ("net_step", "net", "NET_INPUTS", "stamp"),
        ("int", "1", "a-b", "a b"),
        ("main", "gamma", "index", "run_main"),
        ("relu:2", "relu", "relu_2", "relu:3"),
        ("dense", "dense_dense", "dense_softmax", "*/"),
    ],
    ids=" ".join,
)
def test_names_of_layers(names, tmp_path):
    a, b, c, d = names
    model = sequential(
        layers.LSTM(4, name=a, activation="relu", clip=2.0, return_sequences=True),
        layers.Dense(3, "sigmoid", name=b),
        layers.Dense(3, "softmax", name=c),
        layers.GRU(3, name=d, return_sequences=True),
    )
    found = Program(model, folder=tmp_path).run(signal())
    assert_close(found, model.predict(signal()[None])[0])


def test_identifier():
    assert identifier("", "layer") == "layer"
    assert identifier("a--b", "layer") == "a_b"


@needs_compiler
def test_two_models_in_one_program(tmp_path):
    exports = [sequential(layers.GRU(3), name=name).export_c(tmp_path) for name in ("one", "two")]
    library = tmp_path / "both.so"
    sources = [str(export.source) for export in exports]
    command = [COMPILER, *STRICT, "-shared", "-fPIC", *sources, "-o", str(library), "-lm"]
    subprocess.run(command, check=True)
    both = ctypes.CDLL(str(library))
    assert both.one_step and both.two_step


@needs_compiler
def test_the_header_is_for_cpp_too(tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    sequential(layers.GRU(3)).export_c(tmp_path)
    (tmp_path / "main.cpp").write_text('#include "net.h"\nint main() { return sizeof(net_state); }')
    command = [compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", "-c", "main.cpp"]
    subprocess.run(command, check=True, cwd=tmp_path)


@needs_compiler
def test_the_sizes_are_those_of_the_program(tmp_path):
    model = sequential(
        layers.Conv1D(5, 4, strides=2),
        layers.LSTM(6, return_sequences=True),
        layers.GlobalAveragePooling1D(),
    )
    export = model.export_c(tmp_path)
    source = (
        '#include "net.h"\n#include <stdio.h>\n'
        "int main(void) {"
        ' printf("%u %u", (unsigned)sizeof(net_state), NET_SAVED_BYTES); return 0; }'
    )
    (tmp_path / "main.c").write_text(source)
    subprocess.run([COMPILER, "main.c", "-o", "main"], check=True, cwd=tmp_path)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    assert printed == f"{export.state_bytes} {export.saved_bytes}"


def test_report(tmp_path):
    export = sequential(layers.LSTM(16), name="net").export_c(tmp_path, "int8")
    shown = repr(export).splitlines()
    assert shown[0] == f"net.h and net.c in {str(tmp_path)!r}"
    assert shown[1].split() == ["constants", "1,984", "bytes,", "int8"]
    assert shown[2].split() == ["state", "384", "bytes;", "saved", "in", "136"]
    assert "largest error of a column" in shown[-1]
    with pytest.raises(ConfigError, match="cannot run 'no-such-compiler'"):
        export.code_bytes("no-such-compiler")


@needs_compiler
def test_code_bytes(tmp_path):
    if shutil.which("size") is None:
        pytest.skip("there is no program `size`")
    small = sequential(layers.Dense(2)).export_c(tmp_path / "small")
    large = sequential(layers.Dense(2), layers.LSTM(64), layers.Dense(2)).export_c(tmp_path / "big")
    assert 100 < small.code_bytes(COMPILER) < large.code_bytes(COMPILER) < 5000
    with pytest.raises(ConfigError, match="failed"):
        small.code_bytes(COMPILER, ["-no-such-option"])


def test_a_model_without_steps_is_refused(tmp_path):
    x = layers.Input((3,))
    with pytest.raises(ConfigError, match="reads no steps"):
        Model(x, layers.Dense(2)(x)).export_c(tmp_path)


@needs_compiler
def test_lines_can_be_read(tmp_path):
    """No line is longer than 100 characters, for the usual layers and their options."""
    model = sequential(
        layers.Conv1D(8, 3, padding="causal", activation="relu", name="conv"),
        layers.LSTM(16, peepholes=True, clip=3.0, zoneout=0.1, return_sequences=True, name="lstm"),
        layers.GRU(16, return_sequences=True, zoneout=0.1, name="gru"),
        layers.LayerNormalization(name="norm"),
        layers.Dense(3, "softmax", name="dense"),
    )
    export = model.export_c(tmp_path)
    text = export.header.read_text() + export.source.read_text()
    longest = max(text.splitlines(), key=len)
    assert len(longest) <= 100, longest
    assert all(line == line.rstrip() for line in text.splitlines())
