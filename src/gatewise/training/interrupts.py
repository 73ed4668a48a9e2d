"""Ctrl-C while a model trains."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from .callbacks import say


@contextlib.contextmanager
def one_interrupt_waits() -> Iterator[list[int]]:
    """Context manager in which a first Ctrl-C lets the batch end; a second one does not wait.

    It gives a list, which is empty until then.
    """
    asked: list[int] = []
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:  # another thread cannot set a handler; a handler of the program stays
        yield asked
        return

    def remember(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say("interrupted: training ends after this batch; interrupt again to stop at once")

    signal.signal(signal.SIGINT, remember)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
