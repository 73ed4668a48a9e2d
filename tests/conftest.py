"""What all tests share: one seed, one table of tolerances, and threads that are put back.

``GATEWISE_TEST_SEED=7 pytest`` draws other data; every seed must pass.
"""

import signal
import threading

import numpy as np
import pytest
from tolerances import SEED, TOLERANCES

from gatewise import threads as gatewise_threads

# Tests that need threads get them on a busy machine, too; tests/kernels/test_lateness.py turns this
# on again.
gatewise_threads.NOTICE_LATENESS = False


@pytest.fixture(params=list(TOLERANCES))
def dtype(request):
    return request.param


@pytest.fixture
def tolerance(dtype):
    return TOLERANCES[dtype]


@pytest.fixture
def rng():
    return np.random.default_rng(SEED)


@pytest.fixture
def threads():
    """``gatewise.threads``; the number of threads is put back afterwards."""
    before = gatewise_threads.get_num_threads()
    yield gatewise_threads
    gatewise_threads.set_num_threads(before)


@pytest.fixture
def forced_threads(threads, monkeypatch):
    """The same, and no work is too small for threads."""
    monkeypatch.setattr(gatewise_threads, "SMALL_WORK", 0)
    return threads


def pytest_configure():
    """Ctrl-C works in the tests, also if a shell started them in the background, which ignores it."""
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        and threading.current_thread() is threading.main_thread()
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header():
    return f"gatewise: GATEWISE_TEST_SEED={SEED}"


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked slow or long, unless ``-m`` chooses or a test is named."""
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    left_out = [
        item for item in items if item.get_closest_marker("slow") or item.get_closest_marker("long")
    ]
    config.hook.pytest_deselected(items=left_out)
    left_out = set(left_out)
    items[:] = [item for item in items if item not in left_out]
