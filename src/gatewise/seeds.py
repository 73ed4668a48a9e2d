"""Where random numbers come from: a seed that is given, else those of set_random_seed, else the system."""

import numpy as np

from gatewise import checks, threads
from gatewise.errors import DTypeError

_root = None  # generator of seeds, once set_random_seed was called


def generator(seed=None):
    """numpy.random.Generator of a seed, a whole number from 0 up, or None."""
    seed = checks.seed(seed)
    if seed is None and _root is not None:
        seed = int(_root.integers(2**63))
    return forkable(np.random.default_rng(seed))


def forkable(rng):
    """The generator itself: in a forked child no thread that does not exist there holds its lock."""
    threads.renew_after_fork(rng.bit_generator.lock)
    return rng


def set_root(seed):
    """From now on generators without a seed follow from this one, in the order in which they are made."""
    global _root
    _root = np.random.default_rng(checks.seed(seed))


def checked_generator(rng, name):
    """A numpy.random.Generator, or None."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise DTypeError(f"{name} is {rng!r:.80}; expected a numpy.random.Generator")
    return rng
