"""Sequences, labels and series for estimators, and estimators that are quickly fitted."""

import numpy as np

QUICK = {"units": 4, "max_iter": 3, "tol": 0.0, "learning_rate_init": 0.02, "random_state": 0}


def lists(n=24, features=2, seed=0):
    """Walks of different lengths."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(steps, features)).cumsum(axis=0) for steps in rng.integers(3, 9, n)]


def block(n=24, steps=6, features=2, seed=0):
    """Sequences of one length."""
    return np.random.default_rng(seed).normal(size=(n, steps, features))


def gaps(seed=0):
    """A block with values missing."""
    x = block(seed=seed)
    x[np.random.default_rng(9).random(x.shape) < 0.25] = np.nan
    x[:, 0] = 0.5
    return x


def ends(X):
    """A number for each sequence."""
    return np.array([np.nansum(x) for x in X])


def names(X):
    """One of three labels for each sequence."""
    return np.array(["low", "middle", "high"])[np.digitize(ends(X), (-1, 1))]


def wave(steps=90, k=1, seed=0):
    """A series with a season."""
    t = np.arange(steps)[:, None] + 3 * np.arange(k)
    y = np.sin(t / 3) + t / 60 + np.random.default_rng(seed).normal(0, 0.1, (steps, k))
    return y[:, 0] if k == 1 else y
