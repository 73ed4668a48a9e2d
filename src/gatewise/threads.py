"""How many threads, and who may use them.

Work is spread over OpenMP threads by the kernels, which are told here how many. BLAS runs inside
those threads and must itself be single-threaded: :func:`single_threaded_blas` holds SciPy's BLAS at
one thread while any public call is at work. The limit is the whole process's, so it is counted and
locked: the last one out restores what was found.

After a fork the child uses one thread: the OpenMP pool does not survive a fork, and a worker
process is one of many. A worker that was spawned starts with one, too, unless the environment says
more.
"""

import contextlib
import os
import re
import sys
import threading
import time
import weakref

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, StateError
from gatewise.kernels import _lateness, _system_threads, _table

# Elementwise operations below which a second thread costs more than it does (about 30 us of work),
# and how many operations of a matrix product are done in the time of one.
SMALL_WORK = 600_000
PRODUCT_SPEED = 3
NOTICE_LATENESS = True  # False in tests that count on threads

MAX_THREADS = 1024


def is_worker():
    """Whether a program with multiprocessing, or a library on top of it, started this process: as one of many."""
    module = sys.modules.get("multiprocessing.process")  # who was started so has it
    return module is not None and module.parent_process() is not None


def _available():
    """Threads to start with: GATEWISE_NUM_THREADS, else OMP_NUM_THREADS, else one in a worker, else the CPUs we may use.

    A variable that is empty counts as not set. OMP_NUM_THREADS belongs to OpenMP and is read as
    OpenMP reads it: the first number of a list, and what is no number is ignored (OpenMP itself
    says so on stderr).

    Raises
    ------
    ConfigError
        GATEWISE_NUM_THREADS is not a whole number from 1 to 1024.
    """
    own = os.environ.get("GATEWISE_NUM_THREADS", "")
    if own:
        count = _number_in(own.strip())
        if not 1 <= count <= MAX_THREADS:
            raise ConfigError(
                f"the environment variable GATEWISE_NUM_THREADS is {own!r:.100}; expected a whole"
                f" number from 1 to {MAX_THREADS}, or no such variable, for as many threads as"
                " there are processors"
            )
        return count
    count = _number_in(
        os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip().removeprefix("+")
    )
    if count:
        return min(count, MAX_THREADS)
    if is_worker():
        return 1
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this platform
        return os.cpu_count() or 1


def _number_in(text):
    """The whole number that a text of digits spells; 0 if it is no such text. Of a long one, the first five digits."""
    if not (text.isascii() and text.isdigit()):
        return 0
    # Python refuses to read a number of thousands of digits
    return int(text.lstrip("0")[:5] or "0")


# found out when first asked for: a worker that was spawned knows that it is one only after its
# imports
_count = None
_forked = False
_own = threading.local()  # the number of one Python thread, inside num_threads


def get_num_threads():
    """Number of threads that gatewise uses for large work.

    Raises
    ------
    ConfigError
        The number was not set, and the environment variable GATEWISE_NUM_THREADS is no number of
        threads.
    """
    global _count
    if _count is None:
        _count = _available() if _table.HAS_OPENMP else 1
    return getattr(_own, "count", _count)


def set_num_threads(count):
    """Set the number of threads that gatewise uses for large work, in this process.

    Results do not depend on it, to the bit. A build without OpenMP, and a forked child, stay at
    one.

    Parameters
    ----------
    count : int
        At least 1. More than the machine has cores is allowed and slower.
    """
    global _count
    _count = _allowed(count)


def _allowed(count):
    """`count`, checked; 1 where there can be no more."""
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise DTypeError(f"count is {count!r}; expected a whole number of threads, at least 1")
    count = count.__index__()
    if not 1 <= count <= MAX_THREADS:
        raise ConfigError(f"count is {count}; expected 1 to {MAX_THREADS} threads")
    return count if _table.HAS_OPENMP and not _forked else 1


def threads_for(operations):
    """Threads worth using for that many elementwise floating-point operations.

    One, while threads come late because other programs keep the processor busy
    (kernels/lateness.h).
    """
    if operations < SMALL_WORK or (NOTICE_LATENESS and _lateness.alone()):
        return 1
    count, running = get_num_threads(), vars(_own).get("startable", 1)
    if count == running or count == 1:
        return count
    if count > running:
        return _startable(count)
    _own.startable = count  # OpenMP ends those that are too many now
    return count


# OpenMP ends the process if the system refuses it a thread. So before the first parallel work of a
# Python thread, which is when OpenMP starts threads for it, as many are started, and ended again,
# by ourselves.

REFUSED_FOR = 60.0  # seconds after which a system that refused threads is asked again


def _startable(count):
    """`count`, if the system starts so many threads for this Python thread; else 1, with a warning."""
    refused_at = vars(_own).get("refused_at")
    if refused_at is not None and time.monotonic() - refused_at < REFUSED_FOR:
        return 1
    before = _system_threads_now()
    started = _system_threads.startable(count - 1, _stack_size())
    if started == count - 1:
        _until_ended(before)
        _own.startable = count
        return count
    _own.refused_at = time.monotonic()
    checks.warn(
        f"the system starts {started} more threads and not {count - 1} (a limit on processes or"
        " memory, such as ulimit -u, ulimit -v or a container's): gatewise uses one thread,"
        " results are the same; raise the limit, or set"
        f" gatewise.set_num_threads({started + 1 if started else 1})",
        RuntimeWarning,
    )
    return 1


def _system_threads_now():
    """How many threads the system counts in this process; None where it does not say."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return None


def _until_ended(before):
    """Wait until the system has forgotten threads that have ended: till then they count against its limits."""
    deadline = time.monotonic() + 0.1
    while before is not None and _system_threads_now() > before and time.monotonic() < deadline:
        time.sleep(0.0001)


def _stack_size():
    """Bytes of stack that OpenMP gives each thread; 0: as many as the system does."""
    for variable in ("OMP_STACKSIZE", "GOMP_STACKSIZE"):
        found = re.fullmatch(
            r"\s*(\d{1,9})\s*([bkmg]?)\s*", os.environ.get(variable, ""), re.IGNORECASE
        )
        if found:
            return int(found[1]) << {"b": 0, "": 10, "k": 10, "m": 20, "g": 30}[found[2].lower()]
    return 0


def threads_for_products(operations):
    """Threads worth using for matrix products of that many floating-point operations."""
    return threads_for(operations // PRODUCT_SPEED)


_locks = weakref.WeakSet()  # all that a forked child must renew


def renew_after_fork(lock):
    """In a forked child this lock is free: the thread that held it at the fork does not exist there.

    Parameters
    ----------
    lock : threading.Lock, threading.RLock or any other object with the method ``_at_fork_reinit``
        Which the child calls.
    """
    _locks.add(lock)


def _after_fork():
    global _count, _forked, _own, _blas_guard
    _count, _forked, _own = 1, True, threading.local()
    _blas_guard = _BlasGuard()  # a new one: the count of the old one's users is wrong here, too
    for lock in list(_locks):
        lock._at_fork_reinit()  # what threading does with its own locks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _BlasGuard:
    """Reference-counted limit of one thread on the BLAS that SciPy calls."""

    def __init__(self):
        self._lock = threading.Lock()
        self._users = 0
        self._controllers = None
        self._before = []

    def _find(self):
        import scipy.linalg.cython_blas  # noqa: F401  loads the library that is looked for
        from threadpoolctl import ThreadpoolController

        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        of_scipy = [
            library for library in libraries if "scipy" in os.path.dirname(library.filepath)
        ]
        return of_scipy or libraries  # a BLAS of the system is shared by all

    def __enter__(self):
        with self._lock:
            if self._users == 0:
                if self._controllers is None:
                    self._controllers = self._find()
                self._before = [library.get_num_threads() for library in self._controllers]
                for library, before in zip(self._controllers, self._before):
                    if before != 1:
                        _set_threads_of(library, 1)
            self._users += 1

    def __exit__(self, *_):
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for library, before in zip(self._controllers, self._before):
                    if before != 1:
                        _set_threads_of(library, before)


def _set_threads_of(library, count):
    """From any Python thread. threadpoolctl makes the first thread that sets a number OpenBLAS's controlling one and
    ignores all others; the guard counts and locks its users itself, so control is taken, and given
    up at once.
    """
    # since threadpoolctl 3.7, of OpenBLAS
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)
    library.set_num_threads(count)
    if clear is not None:
        clear(force=True)


_blas_guard = _BlasGuard()


def single_threaded_blas(needed=True):
    """Context manager: SciPy's BLAS runs on the calling thread only. May be nested and shared.

    Parameters
    ----------
    needed : bool
        False: nothing is limited; for work that turns out not to call BLAS.
    """
    return _blas_guard if needed else contextlib.nullcontext()


class OneAtATime:
    """Context manager of work that one Python thread at a time may do: a second one is refused, not kept waiting.

    Parameters
    ----------
    message : str
        Of the StateError for who comes second.
    nested : bool
        The thread that is inside may enter again.
    """

    def __init__(self, message, nested=False):
        self._message, self._nested = message, nested
        self._lock = threading.RLock() if nested else threading.Lock()
        renew_after_fork(self._lock)

    def __reduce__(self):  # a copy starts free
        return OneAtATime, (self._message, self._nested)

    def __enter__(self):
        if not self._lock.acquire(blocking=False):
            raise StateError(self._message)

    def __exit__(self, *_):
        self._lock.release()


def one_stream(what):
    """OneAtATime of what keeps a state from call to call: the calls of two threads would go through each other's state."""
    return OneAtATime(
        f"{what} is stateful, and two threads use it at once, so that their sequences would go"
        " through one state; give each thread a copy of its own (copy.deepcopy), or let one wait"
        " for the other with a lock",
        nested=True,
    )


@contextlib.contextmanager
def num_threads(count):
    """Context manager: `count` threads for what this Python thread does inside; other Python threads are not concerned."""
    before = vars(_own).get("count")
    _own.count = _allowed(count)
    try:
        yield
    finally:
        if before is None:
            vars(_own).pop("count", None)  # gone where the block forked
        else:
            _own.count = before


def blas_description():
    """Name and version of the BLAS that SciPy calls."""
    with single_threaded_blas():
        libraries = _blas_guard._controllers
    return (
        ", ".join(f"{library.internal_api} {library.version}" for library in libraries) or "unknown"
    )
