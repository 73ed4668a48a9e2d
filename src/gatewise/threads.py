"""How many threads are used, and which Python threads may work at the same time.

The kernels spread work over OpenMP threads; this module tells them how many. BLAS runs inside those
threads and must itself be single-threaded: :func:`single_threaded_blas` limits SciPy's BLAS to one
thread while a public call is at work. The limit applies to the whole process, so it is counted and
locked: the last user restores what the first one found.

After a fork the child uses one thread: the OpenMP pool does not survive a fork, and a worker
process is one of many. A spawned worker starts with one thread too, unless an environment variable
asks for more.
"""

import contextlib
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, StateError
from gatewise.kernels import _lateness, _system_threads, _table
from gatewise.kernels._null_context import NULL_CONTEXT

__all__ = ["get_num_threads", "num_threads", "set_num_threads"]

# Number of elementwise operations below which a second thread costs more than it saves (about 30 us
# of work), and how many operations of a matrix product take as long as one of those.
SMALL_WORK = 600_000
PRODUCT_SPEED = 3
NOTICE_LATENESS = True  # False in tests that need threads whatever the load of the machine

MAX_THREADS = 1024


def is_worker() -> bool:
    """Whether multiprocessing, or a library that uses it, started this process."""
    module = sys.modules.get("multiprocessing.process")  # every such process has imported it
    return module is not None and module.parent_process() is not None


def _available() -> int:
    """Number of threads to start with.

    It is GATEWISE_NUM_THREADS, else OMP_NUM_THREADS, else one in a worker process, else the number
    of processors that this process may use. An empty variable counts as not set. OMP_NUM_THREADS
    belongs to OpenMP and is read as OpenMP reads it: the first number of a list counts, and a value
    that is no number is ignored (OpenMP itself reports it on stderr).

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


def _number_in(text: str) -> int:
    """The whole number in a text of digits, cut off after five of them; 0 for any other text."""
    if not (text.isascii() and text.isdigit()):
        return 0
    # Python refuses to convert thousands of digits.
    return int(text.lstrip("0")[:5] or "0")


# Determined on first use: a spawned worker knows that it is one only after its imports.
_count: int | None = None
_forked = False
_own = threading.local()  # what belongs to one Python thread: its number inside num_threads, ...


def get_num_threads() -> int:
    """Return the number of threads that gatewise uses for large work.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ConfigError
        The number was not set, and the environment variable GATEWISE_NUM_THREADS is no number of
        threads.

    Examples
    --------
    >>> import gatewise
    >>> gatewise.set_num_threads(1)
    >>> gatewise.get_num_threads()
    1
    """
    global _count
    if _count is None:
        _count = _available() if _table.HAS_OPENMP else 1
    count: int = getattr(_own, "count", _count)
    return count


def set_num_threads(count: int) -> None:
    """Set the number of threads that gatewise uses for large work, in this process.

    Results are the same to the bit for any number. A build without OpenMP, and a forked child, stay
    at one thread.

    Parameters
    ----------
    count : int
        1 to 1024. More threads than the machine has cores are allowed, and slower.

    Raises
    ------
    DTypeError, ConfigError
        `count` is no whole number, or out of range.

    Examples
    --------
    >>> import gatewise
    >>> gatewise.set_num_threads(1)
    """
    global _count
    _count = _allowed(count)


def _allowed(count: Any) -> int:
    """A checked number of threads; 1 if this process can have no more."""
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise DTypeError(f"count is {count!r}; expected a whole number of threads, at least 1")
    whole = int(count.__index__())
    if not 1 <= whole <= MAX_THREADS:
        raise ConfigError(f"count is {whole}; expected 1 to {MAX_THREADS} threads")
    return whole if _table.HAS_OPENMP and not _forked else 1


def threads_for(operations: int) -> int:
    """Return how many threads are worth using for this many elementwise operations.

    It is one while threads start late because other programs keep the processor busy
    (kernels/lateness.h).

    Parameters
    ----------
    operations : int
        Floating-point operations.

    Returns
    -------
    int
    """
    if operations < SMALL_WORK or (NOTICE_LATENESS and _lateness.alone()):
        return 1
    count, running = get_num_threads(), vars(_own).get("startable", 1)
    if count == running or count == 1:
        return count
    if count > running:
        return _startable(count)
    _own.startable = count  # OpenMP ends the surplus threads now
    return count


# OpenMP ends the process if the system refuses it a thread. OpenMP starts threads at the first
# parallel work of each Python thread. Before that, gatewise itself starts as many threads and ends
# them again.

REFUSED_FOR = 60.0  # seconds after which gatewise asks a system again that refused threads


def _startable(count: int) -> int:
    """`count` if the system starts this many threads for this Python thread; else 1, and warn."""
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


def _system_threads_now() -> int | None:
    """How many threads the system counts in this process; None if it does not report it."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return None


def _until_ended(before: int | None) -> None:
    """Wait until the system no longer counts threads that have ended against its limits."""
    deadline = time.monotonic() + 0.1
    while before is not None and time.monotonic() < deadline:
        now = _system_threads_now()
        if now is None or now <= before:
            break
        time.sleep(0.0001)


def _stack_size() -> int:
    """Bytes of stack that OpenMP gives each thread; 0: the system's default."""
    for variable in ("OMP_STACKSIZE", "GOMP_STACKSIZE"):
        found = re.fullmatch(
            r"\s*(\d{1,9})\s*([bkmg]?)\s*", os.environ.get(variable, ""), re.IGNORECASE
        )
        if found:
            return int(found[1]) << {"b": 0, "": 10, "k": 10, "m": 20, "g": 30}[found[2].lower()]
    return 0


def threads_for_products(operations: int) -> int:
    """Return how many threads are worth using for matrix products.

    Parameters
    ----------
    operations : int
        Floating-point operations of the products, additions and multiplications.

    Returns
    -------
    int
    """
    if operations < SMALL_WORK:  # as in most single steps
        return 1
    return threads_for(operations // PRODUCT_SPEED)


_locks: weakref.WeakSet[Any] = weakref.WeakSet()  # all that a forked child must renew


def renew_after_fork(lock: Any) -> None:
    """Make a lock free in forked children: the thread that holds it does not exist there.

    Parameters
    ----------
    lock : threading.Lock, threading.RLock or another object with the method ``_at_fork_reinit``
        The child calls this method.
    """
    _locks.add(lock)


def _after_fork() -> None:
    global _count, _forked, _own, _blas_guard
    _count, _forked, _own = 1, True, threading.local()
    _blas_guard = _BlasGuard()  # a new one: the old one counts users that do not exist here
    for lock in list(_locks):
        lock._at_fork_reinit()  # as threading does with its own locks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _BlasGuard:
    """Reference-counted limit of one thread on the BLAS that SciPy calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._controllers: list[Any] | None = None
        self._before: list[int] = []

    @property
    def controllers(self) -> list[Any]:
        """threadpoolctl's controllers of the BLAS libraries that are limited."""
        if self._controllers is None:
            self._controllers = self._find()
        return self._controllers

    def _find(self) -> list[Any]:
        import scipy.linalg.cython_blas  # noqa: F401  loads the library to be found
        from threadpoolctl import ThreadpoolController

        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        of_scipy = [
            library for library in libraries if "scipy" in os.path.dirname(library.filepath)
        ]
        return of_scipy or libraries  # all packages share a BLAS of the system

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = [library.get_num_threads() for library in self.controllers]
                for library, before in zip(self.controllers, self._before):
                    if before != 1:
                        _set_threads_of(library, 1)
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for library, before in zip(self.controllers, self._before):
                    if before != 1:
                        _set_threads_of(library, before)


def _set_threads_of(library: Any, count: int) -> None:
    """Set the number of threads of a BLAS from any Python thread.

    threadpoolctl lets only the first thread that sets a number of OpenBLAS set it again, and
    ignores all others. The guard counts and locks its users itself, so it takes this control and
    gives it up at once.
    """
    # OpenBLAS, since threadpoolctl 3.7
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)
    library.set_num_threads(count)
    if clear is not None:
        clear(force=True)


_blas_guard = _BlasGuard()


def single_threaded_blas(needed: bool = True) -> AbstractContextManager[None]:
    """Limit SciPy's BLAS to the calling thread, inside a context that may be nested and shared.

    Parameters
    ----------
    needed : bool, default True
        False: nothing is limited; for work that does not call BLAS.

    Returns
    -------
    context manager
    """
    return _blas_guard if needed else NULL_CONTEXT


class OneAtATime:
    """Context manager that refuses a second Python thread, rather than let it wait.

    Parameters
    ----------
    message : str
        Text of the StateError for the second thread.
    nested : bool, default False
        Whether the thread that is inside may enter again.
    """

    def __init__(self, message: str, nested: bool = False) -> None:
        self._message, self._nested = message, nested
        self._lock: Any = threading.RLock() if nested else threading.Lock()
        renew_after_fork(self._lock)

    def __reduce__(self) -> tuple[type["OneAtATime"], tuple[str, bool]]:  # a copy starts free
        return OneAtATime, (self._message, self._nested)

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise StateError(self._message)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def one_stream(what: str) -> OneAtATime:
    """Return the guard of an object that keeps a state between calls: threads would mix it."""
    return OneAtATime(
        f"{what} is stateful, and two threads use it at once, so that their sequences would go"
        " through one state; give each thread a copy of its own (copy.deepcopy), or let one wait"
        " for the other with a lock",
        nested=True,
    )


@contextlib.contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Use another number of threads for the work of this Python thread inside the context.

    Other Python threads are not affected.

    Parameters
    ----------
    count : int
        1 to 1024.

    Yields
    ------
    None
        Nothing: the number holds until the context ends.

    Examples
    --------
    >>> from gatewise import get_num_threads
    >>> from gatewise.threads import num_threads
    >>> with num_threads(1):
    ...     get_num_threads()
    1
    """
    before = vars(_own).get("count")
    _own.count = _allowed(count)
    try:
        yield
    finally:
        if before is None:
            vars(_own).pop("count", None)  # it is gone if the block forked
        else:
            _own.count = before


def blas_description() -> str:
    """Return name and version of the BLAS that SciPy calls."""
    libraries = _blas_guard.controllers
    return (
        ", ".join(f"{library.internal_api} {library.version}" for library in libraries) or "unknown"
    )
