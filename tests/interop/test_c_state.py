"""States of C programs: saved, read and reset."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gatewise import Sequential, layers

from .c_programs import Program, needs_compiler, randomized, sequential, signal

pytestmark = needs_compiler


def all_states():
    """A model with every kind of state."""
    return sequential(
        layers.Conv1D(5, 3, strides=2),
        layers.LSTM(4, return_sequences=True, learned_initial_state=True),
        layers.Conv1D(4, 2, padding="causal"),
        layers.GRU(3, return_sequences=True),
        layers.GlobalAveragePooling1D(),
        layers.Dense(2),
    )


@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_a_saved_state_continues(steps, tmp_path):
    program = Program(all_states(), folder=tmp_path)
    x = signal(25)
    whole = program.run(x)
    program.call("reset", program.state)
    first = program.run(x[:steps])
    saved = program.save()
    program.run(signal(9, seed=3))
    assert program.load(saved) == 0
    assert program.save() == saved
    assert np.array_equal(np.concatenate([first, program.run(x[steps:])]), whole)


def test_reset_is_a_new_sequence(tmp_path):
    program = Program(all_states(), folder=tmp_path)
    fresh = program.save()
    whole = program.run(signal())
    assert program.save() != fresh
    program.call("reset", program.state)
    assert program.save() == fresh
    assert np.array_equal(program.run(signal()), whole)


def test_a_state_of_another_process(tmp_path):
    """Written by a program in C, and read by another one, which continues."""
    model = all_states()
    program = Program(model, folder=tmp_path)
    x = signal(25)
    whole = program.run(x)
    (tmp_path / "x").write_bytes(x.tobytes())
    code = f"""
import ctypes, numpy as np
library = ctypes.CDLL({str(tmp_path / "model.so")!r})
x = np.fromfile({str(tmp_path / "x")!r}, np.float32).reshape(-1, 3)
state = (ctypes.c_float * {program.export.state_bytes // 4})()
library.net_init(state)
for t in range(11):
    y = np.empty(2, np.float32)
    library.net_step(state, x[t].ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
saved = ctypes.create_string_buffer({program.export.saved_bytes})
assert library.net_save(state, saved, ctypes.c_size_t(len(saved))) == 0
open({str(tmp_path / "saved")!r}, "wb").write(saved.raw)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert program.load((tmp_path / "saved").read_bytes()) == 0
    rest = program.run(x[11:])
    assert np.array_equal(rest, whole[-len(rest) :])


def test_states_move_between_float32_and_int8(tmp_path):
    model = all_states()
    one = Program(model, folder=tmp_path / "one")
    two = Program(model, "int8", folder=tmp_path / "two")
    one.run(signal())
    assert two.load(one.save()) == 0
    assert two.save() == one.save()


@pytest.mark.parametrize(
    "other",
    [
        lambda: sequential(layers.LSTM(4, return_sequences=True)),
        lambda: sequential(layers.GRU(6, return_sequences=True)),
        lambda: sequential(layers.GRU(4, return_sequences=True, reset_after=False)),
        lambda: sequential(layers.GRU(4, return_sequences=True, activation="relu")),
        lambda: sequential(layers.GRU(4, return_sequences=True), features=2),
    ],
    ids=["cell", "size", "form", "activation", "input"],
)
def test_a_state_of_another_architecture_is_refused(other, tmp_path):
    program = Program(sequential(layers.GRU(4, return_sequences=True)), folder=tmp_path / "one")
    program.run(signal())
    before = program.save()
    assert program.load(Program(other(), folder=tmp_path / "two").save()) == -1
    assert program.save() == before


def test_a_state_of_other_weights_is_read(tmp_path):
    one = Program(sequential(layers.GRU(4)), folder=tmp_path / "one")
    two = Program(sequential(layers.GRU(4), seed=5), folder=tmp_path / "two")
    one.run(signal())
    assert two.load(one.save()) == 0


def test_damaged_states_are_refused(tmp_path):
    """No place in a ring, and no number of steps to wait, that would lead outside of the memory."""
    program = Program(all_states(), folder=tmp_path)
    program.run(signal(6))
    before = program.save()
    for content in (b"", before[:-1], before + b"\0", bytes(len(before))):
        assert program.load(content) == -1
        assert program.save() == before
    refused = 0
    for at in range(8, len(before), 4):
        for word in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x09\0\0\0"):
            content = before[:at] + word + before[at + 4 :]
            if program.load(content) == -1:
                refused += 1
                assert program.save() == before
            else:
                assert program.save() == content
                assert program.load(before) == 0
    assert refused >= 3 * 4  # of conv1d's place and waiting time, and of the other ring's place


def test_save_needs_room(tmp_path):
    import ctypes

    program = Program(sequential(layers.GRU(4)), folder=tmp_path)
    room = ctypes.create_string_buffer(b"x" * 100, 100)
    size = program.export.saved_bytes
    assert program.call("save", program.state, room, ctypes.c_size_t(size - 1)) == -1
    assert room.raw == b"x" * 100
    assert program.call("save", program.state, room, ctypes.c_size_t(100)) == 0
    assert room.raw[size:] == b"x" * (100 - size)


def test_a_model_without_state(tmp_path):
    program = Program(sequential(layers.Dense(2)), folder=tmp_path)
    assert program.load(program.save()) == 0
    assert program.load(b"12345678") == -1


def test_the_export_is_that_of_the_moment(tmp_path):
    model = sequential(layers.GRU(4, return_sequences=True))
    program = Program(model, folder=tmp_path / "one")
    before = program.run(signal())
    randomized(model, 9)
    program.call("reset", program.state)
    assert np.array_equal(program.run(signal()), before)
    model.export_c(tmp_path / "two")
    texts = [Path(tmp_path / name / "net.c").read_text() for name in ("one", "two")]
    assert texts[0] != texts[1]


def test_a_stateful_model_starts_anew(tmp_path):
    """What its layers have kept from their last call is not part of the program."""
    model = Sequential([layers.GRU(4, stateful=True, return_sequences=True)], name="net", seed=0)
    x = signal(8)
    expected = model.predict(x[None])[0]
    found = Program(model, folder=tmp_path).run(x)
    assert np.allclose(found, expected, atol=1e-5)
