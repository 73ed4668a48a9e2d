"""Files that PyTorch wrote (tests/files/interop/make_torch.py), read without PyTorch."""

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from effort import Effort

from gatewise import CheckpointError, Sequential, layers, optimizers
from gatewise.errors import ConfigError
from gatewise.interop import torch
from gatewise.interop.torch.sources import tensors_of

FILES = Path(__file__).parents[1] / "files" / "interop"
ORDER = ["embedding", "lstm", "gru", "rnn", "norm", "out"]
OPEN = "ignore:a state_dict does not determine:UserWarning"


@pytest.fixture
def expected():
    return np.load(FILES / "torch_expected.npz")


@pytest.mark.filterwarnings(OPEN)
@pytest.mark.parametrize("name", ["torch_zip.pt", "torch_legacy.pt", "torch_checkpoint.pt"])
def test_a_model_is_made_of_a_file(name, expected):
    model = torch.from_state_dict(FILES / name)
    outputs = model.predict(expected["tokens"], verbose=0)
    np.testing.assert_allclose(outputs, expected["outputs"], rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings(OPEN)
def test_safetensors_need_the_order(expected):
    with pytest.raises(ConfigError, match=r"does not tell the order .* order=\['embedding'"):
        torch.from_state_dict(FILES / "torch.safetensors")
    with pytest.raises(ConfigError, match="the modules of the state_dict are"):
        torch.from_state_dict(FILES / "torch.safetensors", order=ORDER[1:])
    model = torch.from_state_dict(FILES / "torch.safetensors", order=ORDER)
    outputs = model.predict(expected["tokens"], verbose=0)
    np.testing.assert_allclose(outputs, expected["outputs"], rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings(OPEN)
def test_bfloat16_becomes_the_same_numbers_in_float32():
    exact = torch.from_state_dict(FILES / "torch_zip.pt")
    rounded = torch.from_state_dict(FILES / "torch_bfloat16.pt")
    for a, b in zip(exact.layers[0].get_weights(), rounded.layers[0].get_weights()):
        assert b.dtype == np.float32 and not (b.view(np.uint32) & 0xFFFF).any()
        np.testing.assert_allclose(a, b, rtol=2**-8)


def test_a_whole_module_is_refused_with_the_line_that_saves_its_state_dict():
    with pytest.raises(CheckpointError, match=r"torch\.save\(module\.state_dict\(\), path\)"):
        torch.from_state_dict(FILES / "torch_module.pt")


@pytest.mark.filterwarnings(OPEN)
def test_adam_goes_on():
    model = torch.from_state_dict(FILES / "torch_checkpoint.pt")
    model.compile(optimizers.Adam(0.01), "mse")
    path = FILES / "torch_checkpoint.pt"
    torch.load_state_dict(model, path, optimizer=path)
    assert model.optimizer.iterations == 3
    assert all(slot.any() for slot in model.optimizer.slots().values())
    model.compile(optimizers.Adam(0.01, beta_1=0.5), "mse")
    with pytest.raises(ConfigError, match=r"beta_1=0\.9, beta_2=0\.999"):
        torch.load_state_dict(model, path, optimizer=path)
    model.compile("sgd", "mse")
    with pytest.raises(ConfigError, match="compiled with SGD"):
        torch.load_state_dict(model, path, optimizer=path)


@pytest.mark.long
def test_no_framework_is_imported():
    program = (
        "import sys; from gatewise.interop import torch;"
        f"torch.from_state_dict({str(FILES / 'torch_zip.pt')!r});"
        "assert not {'torch', 'keras', 'onnx', 'h5py'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-W", OPEN, "-c", program], check=True)


# ---- hostile files


def model():
    return Sequential([layers.Input((3,)), layers.Dense(2)])


class Calls:
    """What a pickle of this class calls when Python reads it."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def zipped(pickled, path, **others):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"data.pkl": pickled, "byteorder": b"little", **others}.items():
            archive.writestr(f"archive/{name}", content)
    return path


@pytest.mark.parametrize("function", [eval, exec, __import__, open, getattr, print, io.open, bytes])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_called(function, protocol, tmp_path):
    mark = tmp_path / "mark"
    pickled = pickle.dumps({"weight": Calls(function, f"open({str(mark)!r}, 'w')")}, protocol)
    for path in (zipped(pickled, tmp_path / "a.pt"), tmp_path / "b.pt"):
        if path.name == "b.pt":
            path.write_bytes(LEGACY + pickled)
        with pytest.raises(CheckpointError, match="no state_dict needs"):
            torch.load_state_dict(model(), path)
    assert not mark.exists()


LEGACY = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))


def body(value):
    """The operations that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def tensor(shape, strides, offset=0, size=6, key="0", kind="FloatStorage"):
    identity = body("storage") + named("torch", kind) + body(key) + body("cpu") + body(size)
    storage = b"(" + identity + b"tQ"
    arguments = [storage, *map(body, (offset, shape, strides, False, {}))]
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + b"".join(arguments) + b"tR"


def state(**tensors):
    pairs = [body(name) + operations for name, operations in tensors.items()]
    return b"\x80\x02}(" + b"".join(pairs) + b"u."


SIX = np.arange(6, dtype="<f4").tobytes()
PLAIN = {"weight": tensor((2, 3), (3, 1)), "bias": tensor((2,), (1,))}


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_file_written_by_hand(order, tmp_path):
    data = np.arange(6, dtype="<f4" if order == "little" else ">f4").tobytes()
    content = {"data/0": data, "byteorder": order.encode()}
    path = zipped(
        state(weight=tensor((2, 3), (1, 2)), bias=PLAIN["bias"]), tmp_path / "a", **content
    )
    used = model()
    torch.load_state_dict(used, path)
    kernel, bias = used.get_weights()
    assert kernel.tolist() == [[0, 1], [2, 3], [4, 5]] and bias.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "size"),
    [
        ((2, 3), (3, 1), 1, 6),
        ((2, 3), (3, 1), -1, 6),
        ((2, 3), (-3, 1), 5, 6),
        ((2**40, 2**40), (0, 0), 0, 6),
        ((2**62, 4), (0, 0), 0, 6),
        ((2, 3), (0, 0), 0, 1),
        ((2, 3), (3,), 0, 6),
        ((2, 3), (3, 1), 0, 2**40),
        ((2, 3), (3, 1), 0, -6),
        ((1,) * 40, (1,) * 40, 0, 6),
        ((True, 3), (3, 1), 0, 6),
        ((2.0, 3), (3, 1), 0, 6),
        ("23", (3, 1), 0, 6),
        (None, (3, 1), 0, 6),
    ],
)
def test_a_tensor_outside_of_its_storage(shape, strides, offset, size, tmp_path):
    content = state(weight=tensor(shape, strides, offset, size), bias=PLAIN["bias"])
    path = zipped(content, tmp_path / "a", **{"data/0": SIX})
    used = model()
    before = used.get_weights()
    with pytest.raises(CheckpointError):
        torch.load_state_dict(used, path)
    assert all((a == b).all() for a, b in zip(used.get_weights(), before))


DAMAGED = {
    "no storage": state(weight=tensor((2, 3), (3, 1), key="1")),
    "a path as a key": state(weight=tensor((2, 3), (3, 1), key="../../etc/passwd")),
    "an unknown type": state(weight=tensor((2, 3), (3, 1), kind="QInt8Storage")),
    "two types": state(a=tensor((2,), (1,)), b=tensor((2,), (1,), kind="IntStorage")),
    "no end": state(**PLAIN)[:-1],
    "nothing": b"",
    "an operation of no state_dict": b"\x80\x02)" + named("a", "B") + b")\x81.",
    "an empty stack": b"\x80\x02tR.",
    "a mark as a value": b"\x80\x02(.",
    "a value never remembered": b"\x80\x02h\x07.",
    "a tuple as a key": b"\x80\x02}" + body((1, 2)) + body(3) + b"s.",
    "a list as a state_dict": b"\x80\x02" + body([1, 2]) + b".",
    "no tensors": b"\x80\x02" + body({"epoch": 3}) + b".",
    "a place far in the memory": b"\x80\x02}r\xff\xff\xff\xff" + b"j\xff\xff\xff\xff0.",
    "a text of no length": b"\x80\x02X\xff\xff\xff\xffabc.",
    "a number of many digits": b"\x80\x02L" + b"9" * 100_000 + b"L\n.",
    "a call of a number": b"\x80\x02" + body(1) + b")R.",
    "deep tuples": b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "tuples of tuples": b"\x80\x02)" + b"q\x00h\x00\x86" * 10_000 + b".",
    "a key of tuples of tuples": b"\x80\x02})" + b"q\x00h\x00\x86" * 100 + b"Ns.",
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_damaged_files(name, form, tmp_path):
    path = tmp_path / "a.pt"
    if form == "zip":
        zipped(DAMAGED[name], path, **{"data/0": SIX})
    else:
        path.write_bytes(LEGACY + DAMAGED[name])
    with pytest.raises(CheckpointError) as raised:
        torch.load_state_dict(model(), path)
    assert str(path) in str(raised.value) and len(str(raised.value)) < 1000


def test_entries_larger_than_the_file(tmp_path):
    """Compressed entries are not opened; entries over each other are counted."""
    path, big = tmp_path / "a.pt", b"\0" * 10**7
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", state(**PLAIN))
        archive.writestr("archive/data/0", big)
    with pytest.raises(CheckpointError, match="compressed"):
        torch.load_state_dict(model(), path)


def test_other_files(tmp_path):
    for name, content, text in (
        ("a.zip", None, "without the entry data.pkl"),
        ("a.pkl", pickle.dumps([1]), "none of torch.save"),
        ("a.txt", b"hello, this is text", "no file of torch.save"),
        ("a.bin", b"", "no file of torch.save"),
        ("a.safetensors", struct.pack("<Q", 10**9) + b'{"a":1}', "damaged or cut short"),
    ):
        path = tmp_path / name
        if content is None:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("other", b"")
        else:
            path.write_bytes(content)
        with pytest.raises(CheckpointError, match=text):
            torch.load_state_dict(model(), path)
    with pytest.raises(FileNotFoundError):
        torch.load_state_dict(model(), tmp_path / "missing.pt")


def test_torchscript_is_named(tmp_path):
    path = zipped(state(**PLAIN), tmp_path / "a.pt", **{"constants.pkl": b""})
    with pytest.raises(CheckpointError, match="TorchScript"):
        torch.load_state_dict(model(), path)


def test_effort_is_linear(tmp_path):
    """Twice as many tensors take at most a little more than twice as many calls."""

    def read(count):
        tensors = {f"a{k}.weight": tensor((2, 3), (3, 1)) for k in range(count)}
        path = zipped(state(**tensors), tmp_path / f"{count}.pt", **{"data/0": SIX})
        with Effort() as effort:
            tensors_of(path)
        return effort.calls

    assert read(400) < 2.5 * read(200)


# ---- mutations


def mutated(content, draw):
    """Bytes changed, removed, doubled or moved."""
    data = bytearray(content)
    for _ in range(draw.integers(1, 6)):
        at, length = int(draw.integers(len(data))), int(draw.integers(1, 9))
        kind = draw.integers(4)
        if kind == 0:
            data[at] = int(draw.integers(256))
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        else:
            data[at : at + length] = draw.integers(0, 256, length, dtype=np.uint8).tobytes()
        if not data:
            return b""
    return bytes(data)


def check_mutations(name, count, tmp_path):
    """Each is refused or read; nothing else happens to the model or the process."""
    content = (FILES / name).read_bytes()
    start = content.index(b"\x80\x02") if name.endswith(".pt") else 0
    used, path = model(), tmp_path / "a.pt"
    draw = np.random.default_rng(len(name))
    refused = 0
    for _ in range(count):
        # most of a file is numbers: half of the changes are in what describes them
        if draw.integers(2) and start:
            changed = content[:start] + mutated(content[start : start + 2500], draw)
            changed += content[start + 2500 :]
        else:
            changed = mutated(content, draw)
        path.write_bytes(changed)
        try:
            for found in tensors_of(path).tensors.values():
                assert found.array().nbytes <= 4 * len(changed)
        except CheckpointError:
            refused += 1
    assert 0 < refused <= count
    assert used.get_weights()


NAMES = ["torch_zip.pt", "torch_legacy.pt", "torch_checkpoint.pt", "torch.safetensors"]


@pytest.mark.parametrize("name", NAMES)
def test_some_mutations(name, tmp_path):
    check_mutations(name, 60, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_more_mutations(name, tmp_path):
    check_mutations(name, 1000, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_mutations(name, tmp_path):
    check_mutations(name, 10_000, tmp_path)
