"""Small sequences for the tests of estimators."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from gatewise import (
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    SequenceTranscriber,
)

SMALL = {"units": 4, "max_iter": 3, "random_state": 0}


def ragged(rng, count=24, features=3, longest=6):
    """list of ndarray (time_i, features)."""
    return [rng.normal(size=(length, features)) for length in rng.integers(2, longest + 1, count)]


def signs(sequences):
    """Labels, half of each kind: whether the first feature sums up to more than its median."""
    sums = np.array([sequence[:, 0].sum() for sequence in sequences])
    return np.where(sums > np.median(sums), "above", "below")


def fitted(estimator, *arguments, **more):
    """The estimator after a fit that is not to converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*arguments, **more)


def parameters_of(estimator):
    """ndarray: all weights of the network."""
    return np.array(estimator.model_.flat_parameters)


def targets_of(estimator, X):
    """Targets that this class of estimators learns from; None for an encoder."""
    if estimator is SequenceTagger:
        return [np.arange(len(row)) % 2 for row in X]
    return {
        SequenceClassifier: signs(X),
        SequenceRegressor: np.array([row.sum() for row in X]),
        SequenceTranscriber: ["ab"[: 1 + (row[0, 0] > 0)] for row in X],
    }.get(estimator)


class Columns:
    """A table of named columns that is no pandas frame, as polars has."""

    def __init__(self, columns):
        self._columns, self.columns = columns, list(columns)
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, name):
        return (
            Columns({part: self._columns[part] for part in name})
            if isinstance(name, list)
            else self._columns[name]
        )

    def __array__(self, dtype=None, copy=None):
        return np.column_stack(list(self._columns.values())).astype(dtype)
