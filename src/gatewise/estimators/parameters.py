"""Names that parameters of estimators may have, and the objects that they stand for."""

import numbers

import joblib
from sklearn.utils import check_random_state

from gatewise import checks, layers, regularizers, threads
from gatewise.errors import ConfigError, DTypeError, did_you_mean
from gatewise.training import optimizers, schedules

CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}
RATES = ("constant", "cosine", "adaptive")


def chosen(value, name, options):
    """`value`, if it is one of the options.

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


def seed_of(random_state):
    """A seed of None, an int or a RandomState, which moves on."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def batch_size_of(batch_size, count):
    """Rows in a batch, never more than there are.

    "auto": all of up to 32; of more so many that a pass makes 16 steps, at least 8 and at most 32.
    """
    if isinstance(batch_size, str):
        chosen(batch_size, "batch_size", ("auto",))
        return count if count <= 32 else min(32, max(8, count // 16))
    return min(checks.whole_number(batch_size, "batch_size"), count)


def dtype_of(dtype, whole):
    """What to compute in. "auto": float64 where a batch holds all samples (`whole`), which is little work, else float32."""
    if dtype == "auto":
        return "float64" if whole else "float32"
    return checks.dtype_name(dtype)


def penalty_of(alpha, per_batch):
    """The regularizer of kernels: alpha / 2 times the sum of squares, divided by the samples of a batch as in MLPClassifier."""
    alpha = checks.number(alpha, "alpha", 0.0)
    return regularizers.L2(alpha / (2 * per_batch)) if alpha else None


def optimizer_of(optimizer, rate, initial_rate, clipnorm, steps):
    """A new optimizer: of a name and the learning rate, or like one that was given, which stays as it is."""
    chosen(rate, "learning_rate", RATES)
    if isinstance(optimizer, optimizers.Optimizer):
        return optimizers.get(optimizers.serialize(optimizer))
    if not isinstance(optimizer, str):
        raise DTypeError(
            f"optimizer is {optimizer!r}; expected a name or a gatewise.optimizers object"
        )
    initial_rate = checks.number(initial_rate, "learning_rate_init", 0.0, open_low=True)
    if rate == "cosine":
        initial_rate = schedules.CosineDecay(initial_rate, steps)
    return type(optimizers.get(optimizer))(learning_rate=initial_rate, global_clipnorm=clipnorm)


def threads_of(n_jobs):
    """Threads of n_jobs, or None for gatewise's own number. Whoever works beside others takes no more than a share.

    None: gatewise's own number; -1: all processors that this process may use. One inside a thread
    of joblib's, and in a worker process no more than gatewise's own number there, which follows
    what joblib grants it (OMP_NUM_THREADS).
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


def _is_joblib_thread():
    """Whether joblib runs us in one of several threads of this process."""
    return not threads.is_worker() and joblib.parallel.get_active_backend()[0].nesting_level > 0
