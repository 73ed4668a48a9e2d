"""Weights of classes as weights of samples."""

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from gatewise.estimators.reading.inputs import checked_by_sklearn


def class_weights(class_weight, labels, weights):
    """The weight of each sample's class, ndarray (n,).

    Parameters
    ----------
    class_weight : dict, list of dict, or "balanced"
        "balanced": all classes weigh the same in all. A sample of weight k counts as k samples, as
        in scikit-learn's ``compute_class_weight``, whose ``compute_sample_weight`` knows no weights
        of samples.
    labels : ndarray (n,), or (n, labels) of 0 and 1
        Of samples whose weight is above 0.
    weights : ndarray (n,), or None
        Of samples.

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
