"""Where random numbers come from: a seed that is given, else those of set_random_seed, else the system."""

import numpy as np

from gatewise import checks

_root = None  # generator of seeds, once set_random_seed was called


def generator(seed=None):
    """numpy.random.Generator of a seed, a whole number from 0 up, or None."""
    seed = checks.seed(seed)
    if seed is None and _root is not None:
        seed = int(_root.integers(2**63))
    return np.random.default_rng(seed)


def set_root(seed):
    """From now on generators without a seed follow from this one, in the order in which they are made."""
    global _root
    _root = np.random.default_rng(checks.seed(seed))
