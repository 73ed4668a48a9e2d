"""How many threads, after a fork, beside other threads; and the limit on BLAS, which is the whole process's."""

import concurrent.futures
import os
import threading

import numpy as np
import pytest
import threadpoolctl
from cases import CELLS, as_list, assert_all_same_bits, make, run_python, sequences

import gatewise
from gatewise import GatewiseError
from gatewise.errors import ConfigError, DTypeError
from gatewise.kernels import _table
from gatewise.layers import LSTM, Dense

needs_openmp = pytest.mark.skipif(not _table.HAS_OPENMP, reason="this build has no threads")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


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
        lambda: LSTM(400, seed=1)(np.zeros((8, 50, 300), np.float32)),
    ):
        with pytest.raises(
            ConfigError,
            match="environment variable GATEWISE_NUM_THREADS is .*whole number from 1 to 1024",
        ):
            ask()
    threads.set_num_threads(1)  # who says it in the program need not mend the environment
    assert threads.get_num_threads() == 1


# ---- a system that starts no more threads: OpenMP would end the process


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
            assert "the system starts" in str(warning.message) and "gatewise uses one thread" in str(warning.message)
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


# ---- forks: in a fresh process, so that a child that hangs takes nothing with it

FORK = """
    import multiprocessing, os, signal, sys, threading, time, warnings
    import numpy as np
    from seeds import generator
    import gatewise
    from gatewise import threads
    from gatewise.layers import LSTM, Dense

    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: about forking at all
    gatewise.set_num_threads(2)
    rng = generator()
    x = rng.normal(size=(64, 20, 32)).astype("float32")
    layer, dense = LSTM(64, return_sequences=True, seed=1), Dense(200, "tanh", seed=2)

    def compute(_=None):
        layer.zero_gradients(), dense.built and dense.zero_gradients()
        y = dense.forward(layer.forward(x, training=True), training=True)
        dx = layer.backward(dense.backward(y))
        return b"".join(a.tobytes() for a in (y, dx, *layer.gradients.values(), *dense.gradients.values()))

    def child_agrees(expected, also=lambda: True):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(20)  # a child that hangs is killed, and its status tells
                status = 0 if compute() == expected and also() else 2
            finally:
                os._exit(status)
        return os.waitpid(child, 0)[1]

    assert threads.threads_for(x.shape[0] * x.shape[1] * layer.cell.operations(32)) == 2 or not threads._table.HAS_OPENMP
    expected = compute()
"""


@needs_fork
def test_a_forked_child_computes_the_same_bits():
    run_python(
        FORK
        + """
    def child():
        assert threads.get_num_threads() == 1
        gatewise.set_num_threads(4)
        assert threads.get_num_threads() == 1  # stays: the pool of threads did not survive
        assert threads.threads_for(10**12) == 1
        return compute() == expected and child_agrees(expected) == 0  # and a child of the child

    assert child_agrees(expected, child) == 0
    assert threads.get_num_threads() == (2 if threads._table.HAS_OPENMP else 1)  # the parent goes on as before
    assert compute() == expected
    for _ in range(5):
        assert child_agrees(expected) == 0
        assert compute() == expected
    """
    )


@needs_fork
def test_a_pool_of_forked_workers():
    run_python(
        FORK
        + """
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(result == expected for result in pool.map_async(compute, range(6)).get(timeout=90))
    assert compute() == expected
    """
    )


@needs_fork
def test_a_fork_while_another_thread_computes():
    """The child has that thread's limit on BLAS and may have its lock, but not the thread."""
    run_python(
        FORK
        + """
    inside, leave = threading.Event(), threading.Event()

    def hold_the_limit():
        with threads.single_threaded_blas():
            inside.set()
            leave.wait()

    def hold_the_lock():
        with threads._blas_guard._lock:
            inside.set()
            leave.wait()

    for hold in (hold_the_limit, hold_the_lock):
        inside.clear(), leave.clear()
        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait()
        status = child_agrees(expected)
        leave.set()
        thread.join()
        assert status == 0, (hold.__name__, status)
    """
    )


@needs_fork
def test_a_fork_while_another_thread_holds_any_lock():
    """Every lock in the package: of layers and models that train, of weights, of the generators of random numbers."""
    run_python(
        FORK
        + """
    import copy, pickle
    from gatewise import Sequential, seeds

    def network():
        model = Sequential([gatewise.layers.Input((20, 32)), LSTM(8, dropout=0.5), Dense(1)], seed=1)
        model.compile("sgd", "mse")
        return model

    y = np.zeros((64, 1), np.float32)
    model, lone = network(), LSTM(8, dropout=0.5, seed=3)
    lone(x)
    models = [model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    layers = [lone, copy.deepcopy(lone), pickle.loads(pickle.dumps(lone))]

    def works():
        for layer in layers:
            layer.backward(layer(x, training=True))
        for model in models:
            model.fit(x, y, verbose=0)
            model.set_weights(model.get_weights())
            model.predict(x)
        return True

    held = [holder._trains for holder in (*models, *layers, *(layer for m in models for layer in m.layers[:1]))]
    held += [holder.rng.bit_generator.lock for holder in (*models, *layers)]
    held += [holder._one_stream for holder in (*models, *layers)]
    held += [guard for holder in (*models, *layers) for guard in (holder._guard.writing, holder._guard)]
    inside, leave = threading.Event(), threading.Event()

    def hold():
        for lock in held:
            lock.__enter__()
        inside.set()
        leave.wait()
        for lock in held:
            lock.__exit__(None, None, None)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    status = child_agrees(expected, works)
    leave.set()
    thread.join()
    assert status == 0, status
    """
    )


@needs_fork
def test_a_fork_while_another_thread_trains():
    """Neither side may hang: BLAS loses its threads at a fork, so nobody may be waiting for them."""
    run_python(
        FORK
        + """
    wide = np.zeros((64, 20, 600), np.float32)  # so wide that BLAS is called
    own, stop, passes = LSTM(64, return_sequences=True, seed=1), False, 0
    own.build((None, None, 600))

    def train_all_the_time():
        global passes
        while not stop:
            own.forward(wide, training=True)
            own.backward(np.ones((64, 20, 64), np.float32))
            passes += 1

    thread = threading.Thread(target=train_all_the_time, daemon=True)
    thread.start()
    for _ in range(10):
        before, deadline = passes, time.monotonic() + 20
        while passes < before + 2:
            assert time.monotonic() < deadline, "the training thread hangs after a fork"
            time.sleep(0.001)
        assert child_agrees(expected) == 0
    stop = True
    thread.join(20)
    assert not thread.is_alive(), "the training thread hangs after a fork"
    assert compute() == expected
    """,
        timeout=100,
    )


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


# ---- the limit on BLAS


def blas_of(package):
    """The BLAS libraries that SciPy or NumPy brought along."""
    import scipy.linalg.cython_blas  # noqa: F401  loads it

    found = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    return [library for library in found if package in os.path.dirname(library.filepath)]


def allow(libraries, counts):
    """Set numbers of threads. threadpoolctl from 3.7 on ignores all Python threads but the first that does so."""
    for library, count in zip(libraries, counts):
        getattr(library, "_real_set_num_threads", library.set_num_threads)(count)
        getattr(library, "clear_controlling_thread", lambda force: None)(force=True)


@pytest.fixture
def blas():
    """SciPy's BLAS, allowed three threads; put back afterwards."""
    libraries = blas_of("scipy")
    if not libraries:
        pytest.skip("SciPy's BLAS is not one of its own that threadpoolctl knows")
    before = [library.get_num_threads() for library in libraries]
    allow(libraries, [3] * len(libraries))
    if any(library.get_num_threads() != 3 for library in libraries):
        pytest.skip("this BLAS does not take three threads")
    yield lambda: {library.get_num_threads() for library in libraries}
    allow(libraries, before)


@pytest.fixture(params=[False, True], ids=["used first here", "used before by the main thread"])
def used_before(request, blas, threads):
    """Who was first must not matter to the others."""
    if request.param:
        with threads.single_threaded_blas():
            assert blas() == {1}
        assert blas() == {3}


def test_blas_is_limited_within_the_block_and_restored(blas, threads):
    others = [library.get_num_threads() for library in blas_of("numpy")]
    with threads.single_threaded_blas():
        assert blas() == {1}
        # the user's, not ours
        assert [library.get_num_threads() for library in blas_of("numpy")] == others
        with threads.single_threaded_blas():
            assert blas() == {1}
        assert blas() == {1}
    assert blas() == {3}
    for _ in range(2):
        with pytest.raises(KeyError), threads.single_threaded_blas():
            raise KeyError
        assert blas() == {3}


def test_overlapping_users_restore_blas(blas, used_before, threads):
    """A in, B in, A out, B out: two limits that restored what they found would leave it at one for ever."""
    order, failures = [threading.Event() for _ in range(4)], []

    def first():
        with threads.single_threaded_blas():
            order[0].set()
            order[1].wait(60)
        order[2].set()

    def second():
        order[0].wait(60)
        try:
            with threads.single_threaded_blas():
                order[1].set()
                order[2].wait(60)
                if blas() != {1}:
                    failures.append(f"B is still inside, and BLAS has {blas()} threads")
                raise KeyError
        except KeyError:
            pass

    workers = [threading.Thread(target=target) for target in (first, second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not failures
    assert blas() == {3}


def test_many_users_restore_blas(blas, used_before, threads):
    def work(k):
        for _ in range(50):
            with threads.single_threaded_blas():
                if blas() != {1}:
                    return "not limited"
        return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) == {None}
    assert blas() == {3}


def in_a_thread(function):
    """Its result, from a Python thread of its own."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(timeout=60)


class Watched:
    """A kernel that looks at the limit; and may fail."""

    def __init__(self, kernel, look, fails):
        self.kernel, self.look, self.fails = kernel, look, fails

    def __getattr__(self, name):
        return getattr(self.kernel, name)

    def backward(self, *arguments, **options):
        self.look()
        if self.fails:
            raise KeyError
        return self.kernel.backward(*arguments, **options)


@pytest.mark.parametrize(
    "run", [lambda function: function(), in_a_thread], ids=["main thread", "another thread"]
)
def test_a_backward_pass_limits_blas_and_restores_it(run, blas, used_before, rng):
    layer = make("lstm", 5, 600, rng, "float32")  # so wide that BLAS is called
    kernel, seen = layer._kernel, []

    def train(fails):
        layer.forward(sequences(rng, 4, 6, 600, "float32"), training=True)
        layer._kernel = Watched(kernel, lambda: seen.append(blas()), fails)
        try:
            layer.backward(np.ones((4, 5), np.float32))
            assert not fails
        except KeyError:
            assert fails
        layer._kernel = kernel

    for fails in (False, True):
        run(lambda fails=fails: train(fails))
        assert blas() == {3}
    assert seen == [{1}, {1}]


def test_the_limit_does_not_disarm_threadpoolctl_elsewhere(blas, threads):
    """After the main thread has trained, other threads of the program can still limit BLAS for themselves."""
    with threads.single_threaded_blas():
        pass

    def limited():
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            return blas()

    assert in_a_thread(limited) == {1}
    assert blas() == {3}


def test_training_in_another_thread_gives_the_same_bits(blas, used_before, rng, threads):
    """The weight gradients are sums that BLAS would split by its own number of threads."""
    threads.set_num_threads(2)
    layer = make("lstm", 64, 600, rng, "float32")
    x = sequences(rng, 64, 20, 600, "float32")

    def train():
        layer.zero_gradients()
        layer.forward(x, training=True)
        return [
            layer.backward(np.ones((64, 64), np.float32)),
            *(g.copy() for g in layer.gradients.values()),
        ]

    assert_all_same_bits(in_a_thread(train), train())


def test_blas_at_one_thread_is_left_there(blas, threads):
    allow(blas_of("scipy"), [1])
    with threads.single_threaded_blas():
        assert blas() == {1}
    assert blas() == {1}


def test_inference_calls_no_blas(blas, rng, threads, monkeypatch):
    """It holds no limit either: a streaming step would pay for it."""

    def forbidden():
        raise AssertionError("the limit on BLAS was asked for")

    monkeypatch.setattr(threads, "single_threaded_blas", forbidden)
    for cell in CELLS:
        layer = make(cell, 5, 3, rng, "float32")
        assert as_list(layer.forward(sequences(rng, 4, 6, 3, "float32")))
    Dense(5).forward(np.zeros((3, 4), np.float32))


@needs_fork
def test_a_fork_while_another_thread_is_in_fit():
    """In the child no fit goes on, so that the model can be trained, and used if it is stateful."""
    run_python(
        FORK
        + """
    import copy
    from gatewise import Sequential
    from gatewise.callbacks import Callback

    inside, leave = threading.Event(), threading.Event()

    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            inside.set()
            leave.wait()

    y = np.zeros((64, 1), np.float32)
    for stateful in (False, True):
        made = Sequential([gatewise.layers.Input((20, 32)), LSTM(8, stateful=stateful), Dense(1)], seed=1)
        made.compile("sgd", "mse")
        for model in (made, copy.deepcopy(made)):  # a copy is told of forks, too
            inside.clear(), leave.clear()
            thread = threading.Thread(target=lambda: model.fit(x, y, verbose=0, callbacks=[Stop()]))
            thread.start()
            inside.wait()

            def works():
                model.predict(x, verbose=0)
                model.fit(x, y, verbose=0)
                model.train_on_batch(x, y)
                return True

            status = child_agrees(expected, works)
            leave.set()
            thread.join()
            assert status == 0, (stateful, status)
            assert works()
    """
    )
