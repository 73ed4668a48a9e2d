"""A lock with many readers or one writer, for Python threads that share weights.

It is compiled for two reasons. A reader pays about a tenth of a microsecond, a tenth of what
Python's own locks take. And no interrupt can arrive between entering and being counted, so that
Ctrl-C never leaves a reader in the list that has already gone.

How it works: a reader first adds its thread to a list, then looks for a writer. A writer first
makes itself known, then waits until the list is empty. Both do it in this order, so at least one
of two sees the other. While a writer is known, readers wait. When it has ended, the waiting readers
go before the next writer, so that neither kind can keep the other out.
"""
from cpython.pythread cimport PyThread_get_thread_ident

from threading import Condition

from gatewise.errors import StateError

# Seconds after which a waiting thread looks again, in case an interrupt has lost a notification.
POLL = 0.05


cdef class Guard:
    """``with guard:`` reads, ``with guard.writing:`` writes.

    Both may be nested in one thread, and a writer may read. A reader that wants to write gets a
    StateError, since it would wait for itself.

    Parameters
    ----------
    message : str
        Text of that StateError.

    Attributes
    ----------
    writing : context manager
        Held while weights are changed.
    """

    cdef object __weakref__
    cdef readonly str message
    cdef readonly _Writing writing
    cdef list readers       # identifier of a thread, once for each time that it has entered
    cdef object writer      # identifier of the writing thread, or None
    cdef int depth          # how many of the writer's blocks are nested
    cdef int waiting        # readers that wait for a writer to end
    cdef object turn        # Condition that notifies waiting threads

    def __init__(self, str message):
        self.message = message
        self.writing = _Writing(self)
        self.readers = []
        self.writer, self.depth, self.waiting, self.turn = None, 0, 0, Condition()

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
        cdef bint entered = False
        try:
            with self.turn:
                self.waiting += 1
                try:
                    self.turn.notify_all()  # a writer may have seen this thread in the list
                    while self.writer is not None:
                        self.turn.wait(POLL)
                    self.readers.append(me)
                    entered = True
                finally:
                    self.waiting -= 1
                    self.turn.notify_all()
        except BaseException:  # Ctrl-C, even as late as in the last line
            if entered:
                self.readers.remove(me)
            raise

    cdef begin_to_write(self):
        cdef object me = <unsigned long>PyThread_get_thread_ident()
        if self.writer == me:
            self.depth += 1
            return
        if me in self.readers:
            raise StateError(self.message)
        try:
            with self.turn:
                while self.writer is not None or self.waiting:
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
        """In a forked child: only the thread that forked exists."""
        cdef object me = <unsigned long>PyThread_get_thread_ident()
        self.readers = [reader for reader in self.readers if reader == me]
        if self.writer != me:
            self.writer, self.depth = None, 0
        self.waiting = 0
        self.turn = Condition()


cdef class _Writing:
    """The context manager of a guard's writer."""

    cdef Guard guard

    def __init__(self, Guard guard):
        self.guard = guard

    def __enter__(self):
        self.guard.begin_to_write()

    def __exit__(self, *_):
        self.guard.end_to_write()
