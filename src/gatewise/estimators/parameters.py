"""Values that parameters of estimators may have, and the objects that are made of them."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import joblib
from sklearn.utils import check_random_state

from gatewise import checks, layers, regularizers, threads
from gatewise.errors import ConfigError, DTypeError, did_you_mean
from gatewise.training import optimizers, schedules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from gatewise.regularizers import Regularizer
    from gatewise.training.optimizers import Optimizer

CELLS: dict[str, Callable[..., layers.Layer]] = {
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "rnn": layers.SimpleRNN,
}
RATES = ("constant", "cosine", "adaptive")


def chosen(value: Any, name: str, options: Collection[str]) -> str:
    """A value, if it is one of the options.

    Parameters
    ----------
    value : object
    name : str
        Of the parameter, for the message.
    options : collection of str

    Returns
    -------
    str
        The value.

    Raises
    ------
    ConfigError
    """
    if not isinstance(value, str) or value not in options:
        raise ConfigError(
            f"{name} is {value!r}; choose one of"
            f" {', '.join(map(repr, options))}{did_you_mean(value, options)}"
        )
    return value


def seed_of(random_state: Any) -> int:
    """A seed drawn from None, an int or a RandomState, which moves on.

    Raises
    ------
    ConfigError
        `random_state` is something else.
    """
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def batch_size_of(batch_size: int | str, count: int) -> int:
    """Number of samples in a batch, at most `count`, the number of all samples.

    "auto": all samples if there are up to 32; else as many that a pass makes 16 steps, but at least
    8 and at most 32.
    """
    if isinstance(batch_size, str):
        chosen(batch_size, "batch_size", ("auto",))
        return count if count <= 32 else min(32, max(8, count // 16))
    return min(checks.whole_number(batch_size, "batch_size"), count)


def dtype_of(dtype: str, whole: bool) -> str:
    """Precision to compute in.

    "auto": float64 if a batch holds all samples (`whole`), since that is little work; else float32.
    """
    if dtype == "auto":
        return "float64" if whole else "float32"
    return checks.dtype_name(dtype)


def penalty_of(alpha: float, per_batch: float) -> Regularizer | None:
    """The regularizer of kernels.

    The penalty is alpha / 2 times the sum of squares, divided by the samples in a batch as in
    MLPClassifier.
    """
    alpha = checks.number(alpha, "alpha", 0.0)
    return regularizers.L2(alpha / (2 * per_batch)) if alpha else None


def optimizer_of(
    optimizer: str | Optimizer,
    rate: str,
    initial_rate: float,
    clipnorm: float | None,
    steps: int,
) -> Optimizer:
    """A new optimizer.

    Parameters
    ----------
    optimizer : str or Optimizer
        A name, or an optimizer of which a copy is made; the other arguments have no effect then.
    rate : {"constant", "cosine", "adaptive"}
    initial_rate : float
    clipnorm : float or None
    steps : int
        Number of steps over which the rate of "cosine" falls.

    Returns
    -------
    Optimizer

    Raises
    ------
    ConfigError, DTypeError
    """
    chosen(rate, "learning_rate", RATES)
    if isinstance(optimizer, optimizers.Optimizer):
        return optimizers.get(optimizers.serialize(optimizer))
    if not isinstance(optimizer, str):
        raise DTypeError(
            f"optimizer is {optimizer!r}; expected a name or a gatewise.optimizers object"
        )
    initial_rate = checks.number(initial_rate, "learning_rate_init", 0.0, open_low=True)
    schedule = schedules.CosineDecay(initial_rate, steps) if rate == "cosine" else initial_rate
    return type(optimizers.get(optimizer))(learning_rate=schedule, global_clipnorm=clipnorm)


def threads_of(n_jobs: int | None) -> int | None:
    """Number of threads for `n_jobs`, or None for gatewise's own number.

    None: gatewise's own number; -1: all processors that this process may use. Inside a thread of
    joblib's it is 1. In a worker process it is at most gatewise's own number there, which follows
    what joblib grants the process (OMP_NUM_THREADS). So the workers together use no more threads
    than there are processors.

    Raises
    ------
    ConfigError
    """
    if n_jobs is None:
        return 1 if _is_joblib_thread() else None
    if not isinstance(n_jobs, numbers.Integral) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise ConfigError(
            f"n_jobs is {n_jobs!r}; expected None, a number of threads, or -1 for all processors"
        )
    if _is_joblib_thread():
        return 1
    count = int(n_jobs) if n_jobs > 0 else max(1, joblib.cpu_count() + 1 + int(n_jobs))
    return min(count, threads.get_num_threads()) if threads.is_worker() else count


def _is_joblib_thread() -> bool:
    """Whether this code runs in one of several threads that joblib made in this process."""
    return not threads.is_worker() and joblib.parallel.get_active_backend()[0].nesting_level > 0
