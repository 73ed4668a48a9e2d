"""Threads that stop at a chosen place, for the tests of sharing."""

import threading
import time

from gatewise import Sequential
from gatewise.layers import (
    Input,
)

SECONDS = 30  # after which a test that hangs fails


class Caller:
    """A function in a thread of its own, with what it returned or raised."""

    def __init__(self, function):
        self.result = self.error = None
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error

    def get(self):
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the thread hangs"
        if self.error is not None:
            raise self.error
        return self.result


def waits_for_a_writer(guard):
    """Until a thread asks to change the weights of this guard."""
    for _ in range(SECONDS * 1000):
        if guard_is_wanted(guard):
            return
        time.sleep(0.001)
    raise AssertionError("no thread asks to change the weights")


def guard_is_wanted(guard):
    """A reader that enters while a writer waits is held back: seen from a thread that gives up."""
    entered = threading.Event()

    def enter():
        with guard:
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    return not entered.wait(0.02)


def network(*layers, seed=1):
    model = Sequential([Input((4, 3)), *layers], seed=seed)
    model.compile("sgd", "mse")
    return model
