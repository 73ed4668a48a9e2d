"""Estimators in forks, spawned workers and threads.

The same bits, no more threads than are there, and no hang.
"""

import multiprocessing

import joblib
import numpy as np
import pytest
from seeds import generator
from small_sequences import parameters_of, ragged, signs

from gatewise import SequenceClassifier, threads
from gatewise.estimators import parameters

SECONDS = 120


def train(seed):
    """(weights, threads of gatewise here, those of n_jobs=-1)."""
    X = ragged(generator(seed))
    estimator = SequenceClassifier(
        units=4, max_iter=9, tol=10.0, n_iter_no_change=2, random_state=seed
    ).fit(X, signs(X))
    return parameters_of(estimator), threads.get_num_threads(), parameters.threads_of(-1)


def in_processes(method, count):
    with multiprocessing.get_context(method).Pool(count) as pool:
        return pool.map_async(train, range(count), chunksize=1).get(timeout=SECONDS)


def check(method, count, monkeypatch):
    for name in ("OMP_NUM_THREADS", "GATEWISE_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    # OpenMP has run in this process before it forks
    here = [train(seed)[0] for seed in range(count)]
    for seed, (weights, ours, most) in enumerate(in_processes(method, count)):
        np.testing.assert_array_equal(weights, here[seed])
        assert ours == most == 1


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside threads
def test_two_workers(method, forced_threads, monkeypatch):
    forced_threads.set_num_threads(2)
    check(method, 2, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_ten_workers(method, forced_threads, monkeypatch):
    forced_threads.set_num_threads(2)
    check(method, 10, monkeypatch)


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.long), "threading"])
def test_joblib(backend, monkeypatch, threads):
    for name in ("OMP_NUM_THREADS", "GATEWISE_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    threads.set_num_threads(3)
    results = joblib.Parallel(2, backend=backend, timeout=SECONDS)(
        joblib.delayed(train)(seed) for seed in range(2)
    )
    for seed, (weights, _, most) in enumerate(results):
        np.testing.assert_array_equal(weights, train(seed)[0])
        assert most <= max(1, joblib.cpu_count() // 2)
    assert threads.get_num_threads() == 3
