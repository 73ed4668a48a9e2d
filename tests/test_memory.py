"""Memory that the system refuses: a SizeError names the call and the array; nothing changes."""

import errno
import sys

import pytest
from cases import run_python

import gatewise
from gatewise import memory
from gatewise.errors import CheckpointError, SizeError
from gatewise.memory import cover, names_memory, size_error

# Each call needs an array larger than what the process may take.
PROGRAM = """
import resource
import warnings

import numpy as np

import gatewise
from gatewise.errors import SizeError
from gatewise.data import SequenceScaler, fill_forward, windows
from gatewise.layers import LSTM, Dense, Input
from gatewise.models import Sequential

warnings.simplefilter("ignore")
gatewise.set_num_threads(1)
x, y = np.zeros((2000, 50, 10), np.float32), np.zeros((2000, 1), np.float32)
model = Sequential([Input((None, 10)), LSTM(256), Dense(1)], seed=0)
model.compile("adam", "mse")
model.fit(x[:2], y[:2], verbose=0)
model.save("big.safetensors")
gatewise.load_model("big.safetensors")
layer = LSTM(512, seed=0)
layer(x[:1])
regressor = gatewise.SequenceRegressor("rnn", units=4, max_iter=1).fit(x[:2], y[:2, 0])
scaler = SequenceScaler().fit(x[:2])
series = np.zeros(1_000_000, np.float32)
weights = model.get_weights()

CALLS = {
    "fit": lambda: model.fit(x, y, batch_size=2000, verbose=0),
    "predict": lambda: model.predict(x, 2000, verbose=0),
    "call": lambda: model(x),
    "train_on_batch": lambda: model.train_on_batch(x, y),
    "compute_gradients": lambda: model.compute_gradients(x, y),
    "build": lambda: LSTM(2048).build((None, None, 10)),
    "add": lambda: Sequential([Input((None, 10))]).add(LSTM(2048)),
    "forward": lambda: layer.forward(x, training=True),
    "get_weights": lambda: layer.get_weights(),
    "save": lambda: model.save("other.safetensors"),
    "load_model": lambda: gatewise.load_model("big.safetensors"),
    "load_weights": lambda: model.load_weights("big.safetensors"),
    "estimator": lambda: regressor.predict(x),
    "transform": lambda: scaler.transform(x),
    "windows": lambda: windows(series, 100),
    "fill_forward": lambda: fill_forward(x),
}
for name, call in CALLS.items():
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**19, resource.RLIM_INFINITY))
    try:
        call()
        result = "no error"
    except BaseException as error:
        result = f"{type(error).__name__} {error}"
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(name, result)
print("intact", all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights)))
"""


@pytest.mark.long
@pytest.mark.skipif(
    sys.platform != "linux", reason="limits the address space, and reads its size from /proc"
)
def test_each_call_names_what_it_had_no_memory_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # glibc takes every array from the system, and none from what was freed before.
    *lines, intact = run_python(PROGRAM, MALLOC_MMAP_THRESHOLD_="65536").splitlines()
    assert intact == "intact True"
    results = dict(line.split(" ", 1) for line in lines)
    assert len(results) == 16
    wrong = {
        name: text
        for name, text in results.items()
        if not (text.startswith("SizeError") and "array with shape" in text)
    }
    assert not wrong


def test_a_memory_error_becomes_a_size_error_that_names_the_call():
    @memory.names_memory
    def work(text):
        raise MemoryError(*text)

    with pytest.raises(SizeError, match=r"work: unable to allocate 3 GiB; use smaller"):
        work(["Unable to allocate 3 GiB"])
    with pytest.raises(SizeError, match=r"work: the system gave no more memory; use"):
        work([])  # what Python itself raises


def test_a_size_error_is_passed_on_as_it_is():
    error = SizeError("x has shape (1,)")

    @memory.names_memory
    def work():
        raise error

    with pytest.raises(SizeError) as caught:
        work()
    assert caught.value is error


def test_methods_of_a_subclass_are_covered():
    class Slow(gatewise.SequenceClassifier):
        def predict(self, X):
            raise MemoryError

    with pytest.raises(SizeError, match="Slow.predict"):
        Slow().predict([])


FAMILIES = [
    "train",
    "steps",
    "infer",
    "blas",
    "numpy_blas",
    "build",
    "alone",
    "files",
    pytest.param(
        "prepare",
        marks=pytest.mark.xfail(
            strict=False,
            reason="a reduction of NumPy's ended the process once in ten runs; not found yet where",
        ),
    ),
    "classifier",
    "regressor",
    "tagger",
    "encoder",
    "forecaster",
]


@pytest.mark.skipif(
    sys.platform != "linux", reason="other systems have no RLIMIT_AS or do not keep to it"
)
@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_a_call_works_as_soon_as_there_is_memory_and_changes_nothing_before_on_the_address_space(
    family,
):
    run_python(
        "import sys, starved; starved.run(sys.argv[1])", family, MALLOC_ARENA_MAX="1", timeout=300
    )


@names_memory
def work(error):
    """Work that fails."""
    raise error


class Worker:
    def fit(self, error):
        work(error)

    def other(self, error):
        work(error)


cover(Worker, ("fit", "missing"))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3 GiB for an array"),
        OSError(errno.ENOMEM, "no"),
        ImportError("a.so: failed to map segment: Cannot allocate memory"),
        MemoryError(),
    ],
)
def test_the_call_of_the_user_is_named(error):
    with pytest.raises(SizeError, match=r"^Worker\.fit: .*; use smaller batches") as caught:
        Worker().fit(error)
    assert caught.value.__cause__ is error
    with pytest.raises(SizeError, match="^work: "):
        Worker().other(error)


def test_the_layer_stays_in_the_message():
    inner = size_error(MemoryError("Unable to allocate 3 GiB"), "layer 'a'")
    with pytest.raises(SizeError, match="^Worker.fit, layer 'a': unable to allocate 3 GiB; use"):
        Worker().fit(inner)


@pytest.mark.parametrize(
    "error",
    [
        SizeError("the output of layer 'a' needs 3 GiB"),
        OSError(errno.ENOENT, "no file"),
        CheckpointError("damaged"),
        ImportError("no module"),
    ],
)
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        Worker().fit(error)
    assert caught.value is error


def test_what_is_decorated_keeps_its_name():
    assert (work.__name__, work.__doc__) == ("work", "Work that fails.")
    assert Worker.fit.__qualname__ == "Worker.fit" and not hasattr(Worker.other, "__wrapped__")
