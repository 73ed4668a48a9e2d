"""Many readers or one writer, by Python thread.

Compiled for two reasons. A reader pays about a tenth of a microsecond, where Python's own locks take ten times as long. And no
interrupt can arrive between entering and being counted, so that Ctrl-C never leaves a reader behind who has gone.

How it works: a reader first writes its thread into a list, then looks for a writer. A writer first makes itself known, then
waits for the list to hold nobody else. Each does both in this order, so that at least one of two sees the other.
"""
from cpython.pythread cimport PyThread_get_thread_ident

from threading import Condition

from gatewise.errors import StateError

POLL = 0.05  # seconds; who waits looks again after these, should a notice have been lost to an interrupt


cdef class Guard:
    """``with guard:`` reads, ``with guard.writing:`` writes.

    Both may be nested in one thread, and a writer may read. A reader that wants to write is refused: it would wait for itself.

    Parameters
    ----------
    message : str
        Of that refusal, a StateError.
    """

    cdef object __weakref__
    cdef readonly str message
    cdef readonly _Writing writing
    cdef list readers       # a thread for each time it entered
    cdef object writer      # a thread; None: nobody writes
    cdef int depth          # of the writer's blocks
    cdef object turn        # what those who wait are notified with

    def __init__(self, str message):
        self.message = message
        self.writing = _Writing(self)
        self.readers = []
        self.writer, self.depth, self.turn = None, 0, Condition()

    def __enter__(self):
        cdef object me = <unsigned long>PyThread_get_thread_ident()
        self.readers.append(me)
        if self.writer is not None and self.writer != me and self.readers.count(me) == 1:
            self.readers.remove(me)
            self.wait_to_read(me)

    def __exit__(self, kind, value, trace):
        self.readers.remove(<unsigned long>PyThread_get_thread_ident())
        if self.writer is not None:
            with self.turn:
                self.turn.notify_all()

    cdef wait_to_read(self, object me):
        with self.turn:
            self.turn.notify_all()  # a writer may have seen this thread in the list
            while self.writer is not None:
                self.turn.wait(POLL)
            self.readers.append(me)

    cdef begin_to_write(self):
        cdef object me = <unsigned long>PyThread_get_thread_ident()
        if self.writer == me:
            self.depth += 1
            return
        if me in self.readers:
            raise StateError(self.message)
        try:
            with self.turn:
                while self.writer is not None:
                    self.turn.wait(POLL)
                self.writer = me
                while self.readers:
                    self.turn.wait(POLL)
        except BaseException:
            if self.writer == me:
                self.writer = None
            raise
        self.depth = 1

    cdef end_to_write(self):
        self.depth -= 1
        if self.depth == 0:
            self.writer = None
            with self.turn:
                self.turn.notify_all()

    def _at_fork_reinit(self):
        """In a forked child only the thread that forked goes on."""
        cdef object me = <unsigned long>PyThread_get_thread_ident()
        self.readers = [reader for reader in self.readers if reader == me]
        if self.writer != me:
            self.writer, self.depth = None, 0
        self.turn = Condition()


cdef class _Writing:
    """The context manager of a Guard's writer."""

    cdef Guard guard

    def __init__(self, Guard guard):
        self.guard = guard

    def __enter__(self):
        self.guard.begin_to_write()

    def __exit__(self, *_):
        self.guard.end_to_write()
