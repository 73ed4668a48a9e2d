"""The limit on the threads of BLAS, which holds for the whole process.

Set for a call and restored.
"""

import concurrent.futures
import os
import threading

import numpy as np
import pytest
import threadpoolctl
from cases import CELLS, as_list, assert_all_same_bits, make, sequences

from gatewise.layers import Dense

# ---- the limit on BLAS


def blas_of(package):
    """The BLAS libraries that SciPy or NumPy brought along."""
    import scipy.linalg.cython_blas  # noqa: F401  loads it

    found = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    return [library for library in found if package in os.path.dirname(library.filepath)]


def allow(libraries, counts):
    """Set numbers of threads.

    Threadpoolctl from 3.7 on ignores all Python threads but the first that does so.
    """
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
    """A in, B in, A out, B out.

    Two limits that restored what they found would leave it at one for ever.
    """
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
    """After the main thread has trained, other threads of the program can still limit BLAS."""
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
