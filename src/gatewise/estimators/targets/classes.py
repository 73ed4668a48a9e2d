"""Labels of y as numbers of classes, and weights of classes as weights of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_array, column_or_1d

from gatewise.errors import ConfigError
from gatewise.estimators.reading.checking import checked_by_sklearn

from .entries import check_given

if TYPE_CHECKING:
    from gatewise._typing import Array


def read_labels(y: Any, count: int) -> tuple[Array, bool]:
    """Labels of y, and whether a sample may have several of them.

    scikit-learn's ``type_of_target`` calls every integer matrix of at most two values several
    labels, so that one of 1 and 2, or of -1 and 1, would be learned as if its numbers were 0 and 1.
    Such a matrix is refused: which of the two numbers means that a sample has the label is not
    known.

    Parameters
    ----------
    y : array_like (n,), or array_like or sparse matrix (n, labels) of 0 and 1
    count : int
        n, the number of samples in X.

    Returns
    -------
    labels : ndarray (n,), or (n, labels) of int64 if there are several
    several : bool

    Raises
    ------
    ConfigError, ShapeError, NonFiniteError
    """
    check_given(y, count)
    if issparse(y):
        matrix: Any = y
        y = matrix.toarray()
    with checked_by_sklearn():
        # before types of targets are looked at, so that the message names NaN
        y = check_array(y, dtype=None, ensure_2d=False, input_name="y")
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            return _zeros_and_ones(y), True
        if kind.endswith("multioutput"):
            raise ConfigError(
                "y has several columns of several classes each; expected one label a sample, or"
                " columns of 0 and 1"
            )
        return column_or_1d(y, warn=True), False


def _zeros_and_ones(y: Any) -> Array:
    """A matrix that says which of several labels each sample has, int64."""
    y = np.asarray(y).astype(np.int64)
    found = np.unique(y)
    if not np.isin(found, (0, 1)).all():
        raise ConfigError(
            f"y of shape {y.shape} holds {' and '.join(map(str, found.tolist()))}; a matrix with a"
            " column for each of several labels holds 1 if a sample has the label and 0 if not:"
            f" give (y == {found[-1]}).astype(int), or one label a sample, of shape ({len(y)},)"
        )
    return y


def given_classes(classes: Any) -> Array:
    """The classes that a user names, in order and each once.

    Raises
    ------
    ConfigError
    """
    with checked_by_sklearn():
        return unique_labels(classes)


def class_numbers(labels: Array, classes: Array) -> Array:
    """Positions of labels (any shape) among the sorted classes, intp ndarray.

    Raises
    ------
    ConfigError
        A label that is none of the classes.
    """
    at = np.searchsorted(classes, labels)
    known = classes[np.minimum(at, len(classes) - 1)] == labels
    if not np.all(known):
        raise ConfigError(
            f"y holds the label {labels[~known].tolist()[0]!r:.80}; known are"
            f" {classes.tolist()!r:.200}"
        )
    return at.astype(np.intp)


def check_same_classes(labels: Array, classes: Array) -> None:
    """Refuse labels of a later ``fit`` whose classes are not those of the first one.

    Raises
    ------
    ConfigError
    """
    found = np.unique(labels)
    if not np.array_equal(found, classes):
        raise ConfigError(
            "warm_start can only be used where `y` has the same classes as in the previous call to"
            f" fit: before {classes.tolist()!r:.200}, now {found.tolist()!r:.200}"
        )


def class_weights(class_weight: Any, labels: Array, weights: Array | None) -> Array:
    """The weight of each sample's class.

    Parameters
    ----------
    class_weight : dict, list of dict, or "balanced"
        "balanced": all classes have the same total weight. A sample of weight k counts as k
        samples, as in scikit-learn's ``compute_class_weight``; its ``compute_sample_weight`` does
        not take weights of samples.
    labels : ndarray (n,), or (n, labels) of 0 and 1
        Of samples whose weight is above 0.
    weights : ndarray (n,), or None
        Of samples.

    Returns
    -------
    ndarray (n,) of float64

    Raises
    ------
    ConfigError
    """
    if not isinstance(class_weight, str) or class_weight != "balanced":
        with checked_by_sklearn():
            return compute_sample_weight(class_weight, labels)
    result = np.ones(len(labels))
    for column in labels.T if labels.ndim == 2 else [labels]:
        classes, at = np.unique(column, return_inverse=True)
        counts = np.bincount(at, weights=weights).astype(np.float64)
        result *= (counts.sum() / (len(classes) * counts))[at]
    return result


def need_all_classes(class_weight: Any, all_classes: bool) -> None:
    """Refuse "balanced" if not all samples are there.

    Raises
    ------
    ConfigError
    """
    if isinstance(class_weight, str) and not all_classes:
        raise ConfigError(
            "class_weight='balanced' needs all samples at once; give partial_fit a dict of weights"
        )
