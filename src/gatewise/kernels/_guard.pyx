"""What Python threads that share weights need: many readers or one writer, and packed weights that are never out of date.

Compiled for two reasons. A reader pays about a tenth of a microsecond, where Python's own locks take ten times as long. And no
interrupt can arrive between entering and being counted, so that Ctrl-C never leaves a reader behind who has gone.

How it works: a reader first writes its thread into a list, then looks for a writer. A writer first makes itself known, then
waits for the list to hold nobody else. Each does both in this order, so that at least one of two sees the other. While a
writer is known, readers wait; when it has ended, they go before the next writer: neither kind can keep the other out.
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
    cdef int waiting        # readers that a writer holds back
    cdef object turn        # what those who wait are notified with

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
        """In a forked child only the thread that forked goes on."""
        cdef object me = <unsigned long>PyThread_get_thread_ident()
        self.readers = [reader for reader in self.readers if reader == me]
        if self.writer != me:
            self.writer, self.depth = None, 0
        self.waiting = 0
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


cdef class PackedWeights:
    """Weights in the form that a kernel reads, kept until the weights change. A copy keeps nothing."""

    cdef object version
    cdef tuple kept         # (the version that something was made for, what was made), in one piece

    def __init__(self):
        self.forget()

    def __reduce__(self):
        return PackedWeights, ()

    cpdef forget(self):
        """The weights have changed."""
        self.version = object()
        self.kept = (None, None)

    def of(self, layer):
        """What ``layer._pack_now()`` makes of the weights as they are.

        It is kept for the next call, unless others may write to the layer's weights (``layer._views_given``).

        The version is read before the weights are. So a change while they are packed, in another thread, is noticed: what
        was made of the weights before it is never taken for what they are after it.
        """
        cdef object version = self.version
        cdef tuple kept = self.kept
        if kept[0] is version:
            return kept[1]
        kept = (version, layer._pack_now())
        if not layer._views_given:
            self.kept = kept
        return kept[1]


cdef class _Nothing:
    """A context manager that does nothing, in less time than contextlib's."""

    def __enter__(self):
        pass

    def __exit__(self, kind, value, trace):
        pass


NOTHING = _Nothing()
