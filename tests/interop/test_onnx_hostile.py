"""ONNX files that are damaged, or made to do harm: errors, in bounded memory and time."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="reading ONNX files needs onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from gatewise.errors import CheckpointError, ConfigError, GatewiseError  # noqa: E402
from gatewise.interop.onnx import Backend, import_model  # noqa: E402

from .onnx_mutations import mutate  # noqa: E402

FILES = sorted((Path(__file__).parents[1] / "files" / "interop").glob("*.onnx"))
SECONDS = 20  # a good file takes some hundredths; the machine may be busy


def peak():
    """The most memory of this process so far, in bytes; None where it is not known."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read(data):
    """Both readers; what they raise is gatewise's."""
    for reader in (Backend.prepare, import_model):
        try:
            reader(data)
        except GatewiseError as error:
            assert str(error)


def attack(count, start=0):
    """Read mutated files."""
    before = peak()
    originals = [path.read_bytes() for path in FILES if path.stat().st_size < 20_000]
    for seed in range(start, start + count):
        data = originals[seed % len(originals)]
        for again in range(1 + seed % 2):
            data = mutate(data, 1000 * seed + again)
        begun = time.monotonic()
        try:
            read(data)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
        assert time.monotonic() - begun < SECONDS, seed
    if before is not None:
        assert peak() - before < 2**30


def test_some_mutations():
    attack(60)


@pytest.mark.long
def test_mutations():
    attack(500, 100)


@pytest.mark.slow
def test_ten_thousand_mutations():
    attack(10_000, 10_000)


def model_of(nodes, inputs, initializers=(), outputs=("y",), **options):
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(initializers),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], **options)


def external(location, **entries):
    """A model whose matrix is in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 2])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return model_of([node], [("x", ["n", 2])], [tensor])


def written(folder, model):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_inside_the_folder(tmp_path):
    w = np.arange(6, dtype=np.float32)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(w.tobytes())
    path = written(tmp_path, external("data/w.bin", offset=8, length=16))
    x = np.eye(2, dtype=np.float32)
    assert import_model(path).predict(x).tolist() == [[2, 3], [4, 5]]
    assert Backend.run_model(path, x)[0].tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("location", "entries", "message"),
    [
        ("/etc/passwd", {}, "only regular files in the folder"),
        ("../secret", {}, "only regular files in the folder"),
        ("data/../../secret", {}, "only regular files in the folder"),
        ("..\\secret", {}, "only regular files in the folder"),
        ("C:\\secret", {}, "only regular files in the folder"),
        ("", {}, "only regular files in the folder"),
        ("w\0.bin", {}, "only regular files in the folder"),
        ("link", {}, "only regular files in the folder"),
        ("linked/secret", {}, "only regular files in the folder"),
        ("data", {}, "only regular files in the folder"),
        ("missing", {}, "cannot be read"),
        ("w.bin", {"offset": 1}, "which has 16"),
        ("w.bin", {"offset": -1}, "which has 16"),
        ("w.bin", {"offset": 2**62}, "which has 16"),
        ("w.bin", {"length": 2**62}, "damaged"),
        ("w.bin", {"offset": "x"}, "no number"),
    ],
)
def test_external_data_elsewhere(tmp_path, location, entries, message):
    folder = tmp_path / "inside"
    (folder / "data").mkdir(parents=True)
    (folder / "w.bin").write_bytes(bytes(16))
    (tmp_path / "secret").write_bytes(bytes(16))
    if "link" in location:
        try:
            os.symlink(tmp_path / "secret", folder / "link")
            os.symlink(tmp_path, folder / "linked")
        except OSError:
            pytest.skip("this system makes no links")
    path = written(folder, external(location, **entries))
    for reader in (import_model, Backend.prepare):
        with pytest.raises(CheckpointError, match=message):
            reader(path)


def test_external_data_need_a_file():
    with pytest.raises(CheckpointError, match="no folder"):
        import_model(external("w.bin"))


def sized(dims, **fields):
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, **fields)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (sized([2**40, 2**20], raw_data=b"1234"), "holds 4 bytes"),
        (sized([2**62, 2**62], raw_data=b""), "holds 0 bytes"),
        (sized([-1], raw_data=b"1234"), "extents from 0"),
        (sized([1] * 100, raw_data=b"1234"), "at most 32 axes"),
        (sized([2, 2], float_data=[1.0]), "holds 1 values"),
        (sized([0, 2**63 - 1], raw_data=b""), "too large"),
    ],
)
def test_tensors_that_are_not_what_they_say(tensor, message):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    with pytest.raises(CheckpointError, match=message):
        import_model(model_of([node], [("x", ["n", 2])], [tensor]))


def relu(a, b):
    return helper.make_node("Relu", [a], [b])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([relu("b", "a"), relu("a", "b"), relu("b", "y")], "no node before it makes"),
        ([relu("y", "y")], "no node before it makes"),
        ([relu("x", "y"), relu("x", "y")], "there already"),
        ([relu("x", "z")], "which no node makes"),
    ],
)
def test_circles_and_missing_values(nodes, message):
    with pytest.raises(CheckpointError, match=message):
        Backend.prepare(model_of(nodes, [("x", ["n", 2])]))


def test_constants_that_grow_are_refused():
    shape = numpy_helper.from_array(np.array([2**20, 2**12]), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("MatMul", ["x", "big"], ["y"]),
    ]
    with pytest.raises(GatewiseError, match="bytes"):
        import_model(model_of(nodes, [("x", ["n", 2**20])], [shape]))
    doubled = [helper.make_node("Concat", ["w", "w"], ["c0"], axis=0)]
    doubled += [
        helper.make_node("Concat", [f"c{k}", f"c{k}"], [f"c{k + 1}"], axis=0) for k in range(60)
    ]
    doubled.append(helper.make_node("Add", ["x", "c60"], ["y"]))
    w = numpy_helper.from_array(np.zeros(8, np.float32), "w")
    with pytest.raises(GatewiseError, match="bytes"):
        import_model(model_of(doubled, [("x", ["n", 2])], [w]))


def test_extents_that_grow_are_refused():
    nodes = [helper.make_node("Shape", ["x"], ["s0"])]
    nodes += [helper.make_node("Mul", [f"s{k}", f"s{k}"], [f"s{k + 1}"]) for k in range(60)]
    nodes.append(helper.make_node("ConstantOfShape", ["s60"], ["z"]))
    nodes.append(helper.make_node("Add", ["x", "z"], ["y"]))
    with pytest.raises(ConfigError, match="too many extents"):
        import_model(model_of(nodes, [("x", ["n", 2])]))


def test_layers_that_grow_are_refused():
    nodes = [helper.make_node("Concat", ["x", "x"], ["c0"], axis=1)]
    nodes += [
        helper.make_node("Concat", [f"c{k}", f"c{k}"], [f"c{k + 1}"], axis=1) for k in range(40)
    ]
    nodes.append(helper.make_node("LayerNormalization", ["c40", "w"], ["y"]))
    w = numpy_helper.from_array(np.ones(1, np.float32), "w")
    with pytest.raises(ConfigError, match="parameters|extent"):
        import_model(model_of(nodes, [("x", ["n", 2])], [w]))


def test_names_that_are_no_text():
    data = model_of([relu("x", "y")], [("x", ["n", 2])]).SerializeToString()
    for place in range(len(data)):
        read(data[:place] + b"\x9f" + data[place + 1 :])


@pytest.mark.parametrize(
    "count", [0, 2, *(pytest.param(k, marks=pytest.mark.long) for k in (1, 3, 4))]
)
def test_any_number_of_inputs_and_outputs(count):
    from gatewise.interop.onnx.operators import OPERATORS

    for op in [*OPERATORS, "If", "Loop"]:
        for outputs in (["y"], ["y", "z"], [""]):
            node = helper.make_node(op, ["x", "w", "x", "w"][:count], outputs)
            last = helper.make_node("Sub", ["x", "x"], ["end"])
            w = numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
            model = model_of([node, last], [("x", ["n", 2])], [w], ["end"])
            read(model.SerializeToString())
            if outputs == ["y"]:
                try:
                    prepared = Backend.prepare(model_of([node], [("x", ["n", 2])], [w]))
                    prepared.run(np.ones((3, 2), np.float32))
                except GatewiseError as error:
                    assert op in str(error)


def test_deep_nesting():
    graph = helper.make_graph([relu("x", "y")], "inner", [], [])
    for _ in range(200):
        node = helper.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "outer", [], [])
        if graph.ByteSize() > 2**20:
            break
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(GatewiseError):
        Backend.prepare(model.SerializeToString())
