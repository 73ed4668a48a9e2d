"""The number of threads: how it is set, what the system allows, and Python threads side by side."""

import concurrent.futures
import os
import threading

import numpy as np
import pytest
from cases import CELLS, assert_all_same_bits, make, run_python, sequences

import gatewise
from gatewise import GatewiseError
from gatewise.errors import ConfigError, DTypeError
from gatewise.kernels import _table
from gatewise.layers import LSTM, Dense

needs_openmp = pytest.mark.skipif(not _table.HAS_OPENMP, reason="this build has no threads")


# ---- the number


@needs_openmp
def test_the_number_of_threads_is_set_and_read(threads):
    for count in (1, 2, 7, 1024, np.int64(3), np.uint8(2)):
        gatewise.set_num_threads(count)
        assert gatewise.get_num_threads() == threads.get_num_threads() == count
        assert type(gatewise.get_num_threads()) is int
        assert gatewise.build_info()["threads"] == count


@pytest.mark.parametrize(
    ("count", "error"),
    [
        (0, ConfigError),
        (-1, ConfigError),
        (1025, ConfigError),
        (2**70, ConfigError),
        (2.0, DTypeError),
        ("2", DTypeError),
        (None, DTypeError),
        (True, DTypeError),
        ([2], DTypeError),
        (float("nan"), DTypeError),
    ],
    ids=str,
)
def test_wrong_numbers_of_threads(threads, count, error):
    before = threads.get_num_threads()
    with pytest.raises(error, match="count is .*; expected") as caught:
        gatewise.set_num_threads(count)
    assert isinstance(caught.value, GatewiseError)
    assert isinstance(caught.value, ValueError if error is ConfigError else TypeError)
    with pytest.raises(error), threads.num_threads(count):
        pass
    assert threads.get_num_threads() == before


@needs_openmp
def test_the_number_within_a_block(threads):
    threads.set_num_threads(4)
    with threads.num_threads(2):
        assert threads.get_num_threads() == 2
        with threads.num_threads(3):
            assert threads.get_num_threads() == 3
        assert threads.get_num_threads() == 2
    assert threads.get_num_threads() == 4
    with pytest.raises(KeyError), threads.num_threads(2):
        raise KeyError
    assert threads.get_num_threads() == 4


@needs_openmp
def test_small_work_stays_on_one_thread(threads):
    threads.set_num_threads(3)
    assert threads.threads_for(0) == threads.threads_for(threads.SMALL_WORK - 1) == 1
    assert threads.threads_for(threads.SMALL_WORK) == threads.threads_for(1e12) == 3


@needs_openmp
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"GATEWISE_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "4"}, "4"),
        ({"OMP_NUM_THREADS": "5,2"}, "5"),
        ({"GATEWISE_NUM_THREADS": "3", "OMP_NUM_THREADS": "4"}, "3"),
        ({"GATEWISE_NUM_THREADS": " 07 "}, "7"),
        ({"OMP_NUM_THREADS": "9999999999"}, "1024"),
        ({"OMP_NUM_THREADS": "0"}, None),
        ({"OMP_NUM_THREADS": "x"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_number_from_the_environment(environment, expected):
    program = "import gatewise; print(gatewise.get_num_threads())"
    environment = {"GATEWISE_NUM_THREADS": "", "OMP_NUM_THREADS": ""} | environment
    if expected is None:
        expected = str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        )
    assert run_python(program, **environment).strip() == expected


@pytest.mark.parametrize(
    "text",
    ["9999999999", "1025", "0", "-1", "x", "2.0", "4,2", " ", "\u0663", "1" * 5000],
    ids=lambda text: repr(text[:10]),
)
def test_a_wrong_number_in_the_environment_is_refused_by_the_name_of_the_variable(
    text, threads, monkeypatch
):
    monkeypatch.setenv("GATEWISE_NUM_THREADS", text)
    monkeypatch.setattr(threads, "_count", None)
    monkeypatch.setattr(_table, "HAS_OPENMP", True)
    for ask in (
        threads.get_num_threads,
        lambda: LSTM(400, recurrent_initializer="zeros", seed=1)(
            np.zeros((8, 50, 300), np.float32)
        ),
    ):
        with pytest.raises(
            ConfigError,
            match="environment variable GATEWISE_NUM_THREADS is .*whole number from 1 to 1024",
        ):
            ask()
    threads.set_num_threads(1)  # who says it in the program need not mend the environment
    assert threads.get_num_threads() == 1


# ---- a system that starts no more threads: OpenMP would end the process


@pytest.mark.long
@needs_openmp
@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"),
    reason="the limit is set by what Linux says of the process",
)
@pytest.mark.parametrize(
    ("count", "room", "allowed"),
    [(2, 4, False), (64, 100, False), (2, 512, True)],
    ids=["no thread more", "some of many", "enough"],
)
def test_too_little_address_space_for_threads(count, room, allowed):
    run_python(
        """
        import resource, sys, warnings
        import numpy as np
        from seeds import generator
        import gatewise
        from gatewise import threads
        from gatewise.layers import LSTM

        count, room, allowed = int(sys.argv[1]), int(sys.argv[2]) << 20, sys.argv[3] == "True"
        threads.NOTICE_LATENESS = False
        x, layer = generator().normal(size=(64, 20, 32)).astype("float32"), LSTM(64, seed=1)
        with threads.num_threads(1):
            wanted = layer(x)
        gatewise.set_num_threads(count)
        with open("/proc/self/status") as file:
            taken = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (taken + room,) * 2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                assert (layer(x) == wanted).all()
            assert (layer.backward(layer(x, training=True)) != 0).any()
        assert len(caught) == (not allowed), caught  # once
        assert threads.threads_for(10**12) == (count if allowed else 1)
        for warning in caught:
            text = str(warning.message)
            assert "the system starts" in text and "gatewise uses one thread" in text
    """,
        count,
        room,
        allowed,
        OMP_STACKSIZE="8M",
        MALLOC_ARENA_MAX="1",
    )


@pytest.fixture
def asked(threads, monkeypatch):
    """How many threads the system was asked for, each time; it starts `asked.allowed`."""

    class Asked(list):
        allowed = 1000

    asked = Asked()
    monkeypatch.setattr(
        threads._system_threads,
        "startable",
        lambda wanted, stack: asked.append(wanted) or min(wanted, asked.allowed),
    )
    monkeypatch.setattr(threads, "_own", threading.local())
    monkeypatch.setattr(threads, "NOTICE_LATENESS", False)
    return asked


@needs_openmp
def test_the_system_is_asked_before_threads_are_started(asked, threads):
    for count, expected in ((1, []), (4, [3]), (4, [3]), (2, [3]), (4, [3, 3]), (6, [3, 3, 5])):
        threads.set_num_threads(count)
        assert threads.threads_for(0) == 1
        assert threads.threads_for(10**12) == count
        assert asked == expected
    # OpenMP starts threads of its own for each Python thread
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(threads.threads_for, 10**12).result() == 6
    assert asked == [3, 3, 5, 5]


@needs_openmp
def test_a_system_that_refused_threads_is_asked_again_after_a_while(asked, threads, monkeypatch):
    threads.set_num_threads(4)
    asked.allowed = 2
    with pytest.warns(
        RuntimeWarning, match=r"starts 2 more threads and not 3 .*set_num_threads\(3\)"
    ):
        assert threads.threads_for(10**12) == 1
    assert threads.threads_for(10**12) == 1 and asked == [3]
    asked.allowed = 3
    monkeypatch.setattr(threads, "REFUSED_FOR", 0.0)
    assert threads.threads_for(10**12) == 4 and asked == [3, 3]


@pytest.mark.parametrize(
    ("environment", "size"),
    [
        ({}, 0),
        ({"OMP_STACKSIZE": "16M"}, 16 << 20),
        ({"OMP_STACKSIZE": " 512 "}, 512 << 10),
        ({"OMP_STACKSIZE": "4096b"}, 4096),
        ({"GOMP_STACKSIZE": "1g"}, 1 << 30),
        ({"OMP_STACKSIZE": "much", "GOMP_STACKSIZE": "2 k"}, 2048),
    ],
    ids=str,
)
def test_the_stack_that_openmp_gives(environment, size, threads, monkeypatch):
    for name in ("OMP_STACKSIZE", "GOMP_STACKSIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert threads._stack_size() == size


# ---- several Python threads


@pytest.mark.parametrize("handed_out", [False, True], ids=["packed once", "views handed out"])
@pytest.mark.parametrize("cell", CELLS)
def test_threads_share_a_layer_for_inference(cell, handed_out, dtype, rng, threads):
    """Other batch sizes at once, starting together on a layer that has packed nothing yet."""
    threads.set_num_threads(2)
    workers, rounds = 6, 4
    layer = make(cell, 33, 5, rng, dtype, return_sequences=True, return_state=True)
    inputs = [sequences(rng, batch, 7, 5, dtype) for batch in (1, 2, 7, 40, 13, 64)]
    wanted = [layer.forward(x) for x in inputs]
    if handed_out:
        layer.parameters["kernel"][0, 0] *= 1
    start = threading.Barrier(workers)

    def work(x):
        results = []
        for _ in range(rounds):
            start.wait(timeout=60)
            results.append(layer.forward(x))
        return results

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        layer._weights_changed()  # the first round packs
        for results, expected in zip(pool.map(work, inputs), wanted):
            for result in results:
                assert_all_same_bits(result, expected)


def test_threads_share_a_dense_layer_for_inference(dtype, rng, threads):
    threads.set_num_threads(2)
    layer = Dense(200, "softmax", dtype=dtype, seed=1)
    inputs = [rng.normal(size=(n, 50)).astype(dtype) for n in (1, 3, 500, 1000)]
    wanted = [layer.forward(x) for x in inputs]
    layer._weights_changed()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert_all_same_bits(list(pool.map(layer.forward, inputs)), wanted)


def test_threads_train_layers_of_their_own(rng, threads):
    threads.set_num_threads(2)
    x = sequences(rng, 40, 9, 5, "float32")

    def train(seed):
        layer = LSTM(33, seed=seed)
        results = []
        for _ in range(3):
            layer.forward(x, training=True)
            results.append(layer.backward(np.ones((40, 33), np.float32)))
        return [*results, *layer.gradients.values()]

    wanted = [train(seed) for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for got, expected in zip(pool.map(train, range(4)), wanted):
            assert_all_same_bits(got, expected)
