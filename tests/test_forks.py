"""Forks in any moment: the child computes, and the same bits."""

import os

import pytest
from cases import run_python

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


# ---- forks: in a fresh process, so that a child that hangs takes nothing with it

FORK = """
    import multiprocessing, os, signal, sys, threading, time, warnings
    import numpy as np
    from seeds import generator
    import gatewise
    from gatewise import threads
    from gatewise.layers import LSTM, Dense

    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of forks
    gatewise.set_num_threads(2)
    rng = generator()
    x = rng.normal(size=(64, 20, 32)).astype("float32")
    layer, dense = LSTM(64, return_sequences=True, seed=1), Dense(200, "tanh", seed=2)

    def compute(_=None):
        layer.zero_gradients(), dense.built and dense.zero_gradients()
        y = dense.forward(layer.forward(x, training=True), training=True)
        dx = layer.backward(dense.backward(y))
        gradients = (*layer.gradients.values(), *dense.gradients.values())
        return b"".join(array.tobytes() for array in (y, dx, *gradients))

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

    work = x.shape[0] * x.shape[1] * layer.cell._operations(32)
    assert threads.threads_for(work) == 2 or not threads._table.HAS_OPENMP
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
    expected_threads = 2 if threads._table.HAS_OPENMP else 1  # the parent is as before
    assert threads.get_num_threads() == expected_threads
    assert compute() == expected
    for _ in range(5):
        assert child_agrees(expected) == 0
        assert compute() == expected
    """
    )


@pytest.mark.long
@needs_fork
def test_a_pool_of_forked_workers():
    run_python(
        FORK
        + """
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map_async(compute, range(6)).get(timeout=90)
        assert all(result == expected for result in results)
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


@pytest.mark.long
@needs_fork
def test_a_fork_while_another_thread_holds_any_lock():
    """Every lock in the package.

    Of layers and models that train, of weights, of the generators of random numbers.
    """
    run_python(
        FORK
        + """
    import copy, pickle
    from gatewise import Sequential, seeds

    def network():
        stack = [gatewise.layers.Input((20, 32)), LSTM(8, dropout=0.5), Dense(1)]
        model = Sequential(stack, seed=1)
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

    first_layers = [layer for model in models for layer in model.layers[:1]]
    held = [holder._trains for holder in (*models, *layers, *first_layers)]
    held += [holder.rng.bit_generator.lock for holder in (*models, *layers)]
    held += [holder._one_stream for holder in (*models, *layers)]
    guards = [holder._guard for holder in (*models, *layers)]
    held += [lock for guard in guards for lock in (guard.writing, guard)]
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


@pytest.mark.long
@needs_fork
def test_a_fork_while_another_thread_trains():
    """Neither side may hang.

    BLAS loses its threads at a fork, so nobody may be waiting for them.
    """
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


@pytest.mark.long
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
        stack = [gatewise.layers.Input((20, 32)), LSTM(8, stateful=stateful), Dense(1)]
        made = Sequential(stack, seed=1)
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
