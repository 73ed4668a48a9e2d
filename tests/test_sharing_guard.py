"""The guard that lets several readers or one writer use a model."""

import copy
import pickle
import threading
import time

import pytest
from sharing_cases import SECONDS, Caller, network, waits_for_a_writer

from gatewise import Sequential
from gatewise.errors import StateError
from gatewise.kernels import _guard
from gatewise.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Input,
)
from gatewise.sharing import WeightsGuard

# ---- the guard


def test_readers_share_and_a_writer_is_alone():
    guard, inside, leave = WeightsGuard(), threading.Barrier(3), threading.Event()

    def read():
        with guard:
            inside.wait(SECONDS)  # the other one and the test: both read at once
            assert leave.wait(SECONDS)

    readers = [Caller(read), Caller(read)]
    inside.wait(SECONDS)
    written = []

    def write():
        with guard.writing:
            written.append(True)

    writer = Caller(write)
    waits_for_a_writer(guard)
    assert not written
    leave.set()
    for caller in (*readers, writer):
        caller.get()
    assert written


def test_blocks_of_one_thread_may_be_nested():
    guard = WeightsGuard()
    with guard.writing, guard, guard.writing, guard:
        pass
    with guard, guard:
        pass
    assert Caller(lambda: guard.writing.__enter__()).get() is None  # free again


def test_a_reader_may_enter_again_while_a_writer_waits():
    guard, asked = WeightsGuard(), []

    def write():
        with guard.writing:
            asked.append(True)

    with guard:
        writer = Caller(write)
        waits_for_a_writer(guard)
        with guard:
            assert not asked
    writer.get()
    assert asked


def test_a_reader_that_changes_weights_is_refused_and_the_guard_stays_usable():
    layer = Dense(2, seed=1)
    layer.build((None, 3))
    for _ in range(2):
        with layer._guard, pytest.raises(StateError, match="before or after the pass"):
            layer.set_weights(layer.get_weights())
    layer.set_weights(layer.get_weights())


@pytest.mark.parametrize("call", [1, 2])
def test_an_interrupt_while_a_reader_waits_leaves_the_guard_free(call, monkeypatch):
    """Ctrl-C may come in any line of the waiting, even when the reader is counted already."""

    class Interrupted(threading.Condition):
        def notify_all(self):
            super().notify_all()
            if threading.current_thread() is reader:
                notices.append(True)
                if len(notices) == call:
                    raise KeyboardInterrupt

    reader, notices = None, []
    monkeypatch.setattr(_guard, "Condition", Interrupted)
    guard = WeightsGuard()

    def read():
        nonlocal reader
        reader = threading.current_thread()
        with guard:
            pass

    with guard.writing:
        reading = Caller(read)
        while not notices:
            time.sleep(0.001)
    with pytest.raises(KeyboardInterrupt):
        reading.get()

    def write():
        with guard.writing:
            return True

    assert Caller(write).get()


def test_exceptions_leave_the_guard_free():
    guard = WeightsGuard()
    for enter in (guard, guard.writing):
        with pytest.raises(KeyError), enter:
            raise KeyError

    def both():
        with guard.writing, guard:
            return True

    assert Caller(both).get()


def test_copies_have_guards_of_their_own():
    model = network(LSTM(3), Dense(1))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other._guard is not model._guard
        assert {id(layer._guard) for layer in other.layers} == {id(other._guard)}
    layer = Bidirectional(GRU(2))
    assert layer.forward_layer._guard is layer._guard is not copy.copy(layer)._guard
    model = Sequential([Input((3, 2)), layer])
    assert layer.forward_layer._guard is layer._guard is model._guard
