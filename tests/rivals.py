"""Other libraries, run beside ours in a process of their own.

One process serves the whole test session: importing Keras takes seconds, and its threads and
warnings stay out of ours. A test sends a function, which must bring its own imports, and plain
arguments.
"""

import atexit
import contextlib
import functools
import importlib.util
import inspect
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading

SECONDS = 900  # ten times what the longest request takes here: the machine may be busy

_SERVE = """
import os, pickle, struct, sys, traceback
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what the libraries print is not an answer
requests = sys.stdin.buffer
while len(head := requests.read(8)) == 8:
    source, name, arguments = pickle.loads(requests.read(struct.unpack("<Q", head)[0]))
    try:
        space = {}
        exec(source, space)
        answer = (True, space[name](*arguments))
    except BaseException:
        answer = (False, traceback.format_exc())
    answer = pickle.dumps(answer)
    answers.write(struct.pack("<Q", len(answer)) + answer)
    answers.flush()
"""


def installed(*names):
    """Whether all of these modules can be imported."""
    return all(importlib.util.find_spec(name) is not None for name in names)


class Rival:
    """The process, and requests to it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        environment = os.environ | {
            "KERAS_BACKEND": "torch",
            "KERAS_HOME": self._folder.name,
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def run(self, function, *arguments):
        """What the function returns over there.

        Raises
        ------
        RuntimeError
            It raised; the message holds its traceback.
        """
        source = textwrap.dedent(inspect.getsource(function))
        request = pickle.dumps((source, function.__name__, arguments))
        clock = threading.Timer(SECONDS, self._process.kill)
        clock.start()
        try:
            self._process.stdin.write(struct.pack("<Q", len(request)) + request)
            self._process.stdin.flush()
            head = self._process.stdout.read(8)
            if len(head) < 8:
                raise RuntimeError(
                    f"the process of the other library ended while it ran {function.__name__}"
                )
            done, answer = pickle.loads(self._process.stdout.read(struct.unpack("<Q", head)[0]))
        finally:
            clock.cancel()
        if not done:
            raise RuntimeError(f"{function.__name__} failed in the other library:\n{answer}")
        return answer

    def close(self):
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


@functools.cache
def rival():
    """The one process of this session."""
    started = Rival()
    atexit.register(started.close)
    return started
