"""What y may be, and the arrays that a loss takes of it."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _num_samples, check_array, column_or_1d

from gatewise.errors import ConfigError, NonFiniteError, ShapeError
from gatewise.estimators.reading.inputs import checked_by_sklearn, unmasked


def read_labels(y, count):
    """(labels (n,), False), or (0 and 1 (n, labels), True) of several labels a sample.

    scikit-learn's ``type_of_target`` calls every integer matrix of at most two values several
    labels, so that one of 1 and 2, or of -1 and 1, would be learned as if its numbers were 0 and 1.
    Such a matrix is refused: which of the two numbers means that a sample has the label is not
    known.

    Raises
    ------
    ConfigError, ShapeError, NonFiniteError
    """
    _check_given(y, count)
    if issparse(y):
        y = y.toarray()
    with checked_by_sklearn():
        # NaN is named before types of targets are
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


def _zeros_and_ones(y):
    """A matrix that says which of several labels each sample has, int64.

    Raises
    ------
    ConfigError
        It holds other numbers than 0 and 1.
    """
    y = np.asarray(y).astype(np.int64)
    found = np.unique(y)
    if not np.isin(found, (0, 1)).all():
        raise ConfigError(
            f"y of shape {y.shape} holds {' and '.join(map(str, found.tolist()))}; a matrix with a"
            " column for each of several labels holds 1 if a sample has the label and 0 if not:"
            f" give (y == {found[-1]}).astype(int), or one label a sample, of shape ({len(y)},)"
        )
    return y


def read_numbers(y, count, *, column=False, unknown=False):
    """ndarray (n,) or (n, outputs) of float64; one of a single column becomes (n,), with a warning, unless `column` lets it be.

    With `unknown` NaN may be among them.

    Raises
    ------
    ConfigError, ShapeError, NonFiniteError
    """
    _check_given(y, count)
    with checked_by_sklearn():
        y = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            input_name="y",
            ensure_all_finite="allow-nan" if unknown else True,
        )
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 and not column else y


def without_unknown(numbers, weights):
    """Numbers with 0 in place of NaN; a NaN counts in nothing.

    Parameters
    ----------
    numbers : ndarray (..., outputs)
    weights : ndarray of the first axes of `numbers`, or of all of them
        0 where NaN may stand.

    Raises
    ------
    NonFiniteError
    """
    unknown = np.isnan(numbers)
    if not unknown.any():
        return numbers
    counted = np.reshape(weights > 0, weights.shape + (1,) * (numbers.ndim - weights.ndim))
    bad = np.argwhere(unknown & counted)
    if len(bad):
        at = tuple(bad[0].tolist())
        raise NonFiniteError(
            f"y contains NaN, at {at[:-1] if numbers.shape[-1] == 1 else at} for example; expected"
            " a number, or a sample_weight of 0 for what is not known"
        )
    return np.where(unknown, 0.0, numbers)


def _check_given(y, count):
    if y is None:
        raise ConfigError("this estimator requires y to be passed, but the target y is None")
    with checked_by_sklearn():
        rows = _num_samples(unmasked(y, "y"))
    if rows != count:
        raise ShapeError(
            f"y has {rows} entries, X has {count} samples: found input variables with inconsistent"
            " numbers of samples"
        )


def class_numbers(labels, classes):
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


def check_classes(labels, classes, warm):
    """Labels of a later call are known ones, and with `warm` all of them.

    Raises
    ------
    ConfigError
    """
    found = np.unique(labels)
    if warm and not np.array_equal(found, classes):
        raise ConfigError(
            "warm_start can only be used where `y` has the same classes as in the previous call to"
            f" fit: before {classes.tolist()!r:.200}, now {found.tolist()!r:.200}"
        )
