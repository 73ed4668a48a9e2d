"""The seed of all random data in the tests.

``GATEWISE_TEST_SEED=7 pytest`` draws other data; every seed must pass.
"""

import os
import random

import numpy as np

SEED = int(os.environ.get("GATEWISE_TEST_SEED", "20"))


def generator(*keys):
    """A new random generator of this seed; other keys (integers from 0) give other draws."""
    return np.random.default_rng([SEED, *keys])


def plain_generator(*keys):
    """The same of Python's own kind, which draws from long lists and bytes fast."""
    return random.Random(f"{SEED} {keys}")
