"""Fixtures of all tests: random data of one seed, tolerances, threads, and other libraries."""

import signal
import threading

import pytest
import rivals
from seeds import SEED, generator
from tolerances import TOLERANCES

from gatewise import threads as gatewise_threads

# Tests that need threads get them on a busy machine, too; tests/kernels/test_lateness.py turns this
# on again.
gatewise_threads.NOTICE_LATENESS = False


# In a plain run one dtype, so that it ends in three minutes; the other one in that of long tests.
@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.long if name == "float64" else [])
        for name in TOLERANCES
    ]
)
def dtype(request):
    return request.param


@pytest.fixture
def tolerance(dtype):
    return TOLERANCES[dtype]


@pytest.fixture
def rng():
    """A random generator that starts in the same state in every test; any seed must pass."""
    return generator()


@pytest.fixture
def keras_rival():
    """A process with Keras on PyTorch; one serves the whole session."""
    if not rivals.installed("keras", "torch"):
        pytest.skip("Keras with torch is not installed")
    return rivals.rival()


@pytest.fixture
def torch_rival():
    """A process with PyTorch; one serves the whole session."""
    if not rivals.installed("torch"):
        pytest.skip("torch is not installed")
    return rivals.rival()


@pytest.fixture
def threads():
    """``gatewise.threads``; the number of threads is restored afterwards."""
    before = gatewise_threads.get_num_threads()
    yield gatewise_threads
    gatewise_threads.set_num_threads(before)


@pytest.fixture
def forced_threads(threads, monkeypatch):
    """The same, and no work is too small for threads."""
    monkeypatch.setattr(gatewise_threads, "SMALL_WORK", 0)
    return threads


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Hypothesis draws from the tests' seed, and Ctrl-C works in the tests.

    A shell that starts them in the background makes them ignore Ctrl-C.
    """
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)
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
