"""Random generators: from a given seed, else from set_random_seed, else from the system."""

import numpy as np

from gatewise import checks, threads
from gatewise.errors import DTypeError

_root: np.random.Generator | None = None  # draws seeds, once set_random_seed was called


def generator(seed: int | None = None) -> np.random.Generator:
    """Return a generator for a seed.

    Parameters
    ----------
    seed : int, optional
        A whole number from 0 up. None: the next seed after ``set_random_seed``, if it was called,
        else a seed of the system.

    Returns
    -------
    numpy.random.Generator
    """
    seed = checks.seed(seed)
    if seed is None and _root is not None:
        seed = int(_root.integers(2**63))
    return forkable(np.random.default_rng(seed))


def forkable(rng: np.random.Generator) -> np.random.Generator:
    """Return the generator itself, whose lock a forked child finds free.

    Otherwise a thread of the parent, which does not exist in the child, could hold the lock there
    for ever.
    """
    threads.renew_after_fork(rng.bit_generator.lock)
    return rng


def set_root(seed: int) -> None:
    """Derive generators without a seed from this one from now on, in the order they are made."""
    global _root
    _root = np.random.default_rng(checks.seed(seed))


def checked_generator(rng: object, name: str) -> np.random.Generator | None:
    """Return `rng` if it is a numpy.random.Generator or None.

    Raises
    ------
    DTypeError
    """
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise DTypeError(f"{name} is {rng!r:.80}; expected a numpy.random.Generator")
    return rng
