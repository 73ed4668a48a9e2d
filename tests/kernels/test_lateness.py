"""A busy machine: calls notice threads that come late and use one thread, with the same bits."""

import os

import numpy as np
import pytest
from seeds import generator

from gatewise.kernels import _lateness, _table
from gatewise.layers import GRU, LSTM, SimpleRNN

MS = 1_000_000  # nanoseconds
needs_openmp = pytest.mark.skipif(not _table.HAS_OPENMP, reason="this build has no threads")


@pytest.fixture(autouse=True)
def fresh_memory():
    _lateness.forget()
    yield
    _lateness.forget()
    _lateness.hurry(False)


@pytest.mark.parametrize(
    ("call", "late"),
    [
        # 1 ms of work, then a wait of 4
        ({"opened": 5 * MS, "worked": 4 * MS, "waited": 0, "own": 1, "all": 2}, True),
        # the wait was before the end
        ({"opened": 5 * MS, "worked": 0, "waited": 4 * MS, "own": 100, "all": 200}, True),
        # it did all the work itself
        ({"opened": 5 * MS, "worked": 4 * MS, "waited": 0, "own": 100, "all": 100}, True),
        # 4 ms each: 5 beside 8 alone
        ({"opened": 5 * MS, "worked": 1 * MS, "waited": 0, "own": 1, "all": 2}, False),
        (
            {"opened": 5 * MS, "worked": 2 * MS, "waited": 0, "own": 1, "all": 8},
            False,
        ),  # eight threads
        # too short to say
        ({"opened": MS // 10, "worked": MS // 11, "waited": 0, "own": 1, "all": 2}, False),
        # nothing is known
        ({"opened": 50 * MS, "worked": 49 * MS, "waited": 0, "own": 0, "all": 2}, False),
    ],
)
def test_which_calls_are_late(call, late):
    assert _lateness.remember(**call) is late
    assert _lateness.alone() is late


LATE = {"opened": 5 * MS, "worked": 4 * MS, "waited": 0, "own": 1, "all": 2}
IN_TIME = {"opened": 5 * MS, "worked": 0, "waited": 0, "own": 1, "all": 2}


def test_the_pause_doubles_to_a_second_and_shrinks_with_calls_in_time():
    pauses = []
    for _ in range(8):
        _lateness.remember(**LATE)
        pauses.append(_lateness.pause())
    assert pauses == [20 * MS, 40 * MS, 80 * MS, 160 * MS, 320 * MS, 640 * MS, 1000 * MS, 1000 * MS]
    _lateness.remember(**IN_TIME)
    assert _lateness.pause() == 875 * MS
    for _ in range(200):
        _lateness.remember(**IN_TIME)
    assert _lateness.pause() < 8  # integer division stops there


@needs_openmp
def test_large_work_uses_one_thread_after_a_late_call(threads, monkeypatch):
    monkeypatch.setattr(threads, "NOTICE_LATENESS", True)
    threads.set_num_threads(3)
    assert threads.threads_for(1e9) == threads.threads_for_products(1e9) == 3
    _lateness.remember(**LATE)
    assert threads.threads_for(1e9) == threads.threads_for_products(1e9) == 1
    assert threads.get_num_threads() == 3
    _lateness.forget()
    assert threads.threads_for(1e9) == 3


@pytest.mark.long
@needs_openmp
@pytest.mark.parametrize("cls", [LSTM, GRU, SimpleRNN])
def test_a_thread_that_continues_alone_gives_the_same_bits(cls, forced_threads):
    """Whoever has to wait continues alone at once: each call ends with one thread."""
    rng = generator(0)
    layer = cls(256, return_sequences=True, seed=0)
    x, dy = (
        rng.normal(size=(2, 30, 24)).astype("float32"),
        rng.normal(size=(2, 30, 256)).astype("float32"),
    )
    lengths = [30, 17]
    layer.build((None, None, 24))

    def results():
        layer.zero_gradients()
        y = layer.forward(x, lengths=lengths, training=True)
        dx = layer.backward(dy)
        return [
            layer.forward(x, lengths=lengths),
            y,
            dx,
            *(g.copy() for g in layer.gradients.values()),
        ]

    with forced_threads.num_threads(1):
        expected = results()
    _lateness.hurry(True)
    with forced_threads.num_threads(4 * os.cpu_count()):
        for _ in range(20):
            before = _lateness.closings()
            for one, other in zip(results(), expected, strict=True):
                np.testing.assert_array_equal(one, other)
            assert _lateness.closings() >= before + 3  # the two forward passes, and the backward


@pytest.mark.parametrize(
    ("wait", "since_begin", "phases", "continues_alone"),
    [
        (MS // 10, MS // 5, 0, False),  # waking a thread takes as long
        (MS, 100 * MS, 999, True),  # ten times as long as a phase
        (MS, 100 * MS, 99, False),  # a phase takes 1 ms
        (4 * MS, 100 * MS, 99, True),
    ],
)
def test_when_a_thread_continues_alone(wait, since_begin, phases, continues_alone):
    assert _lateness.too_long(wait, since_begin, phases) is continues_alone
