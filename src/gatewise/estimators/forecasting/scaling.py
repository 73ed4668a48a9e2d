"""Centre and spread of the columns that a forecasting network reads."""

from __future__ import annotations

import numpy as np

from gatewise.errors import ConfigError, NonFiniteError

SCALINGS = (None, "standard", "robust", "minmax")


def checked_scaling(scaling: object) -> str | None:
    """Return `scaling` if it is one of `SCALINGS`.

    Raises
    ------
    ConfigError
    """
    if scaling is None or (isinstance(scaling, str) and scaling in SCALINGS):
        return scaling
    raise ConfigError(f"scaling is {scaling!r}; expected 'standard', 'robust', 'minmax' or None")


def scale_of(values: np.ndarray, scaling: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre and the spread of each column, by the rules of scikit-learn's scalers.

    ``(values - center) / spread`` is scaled.

    Parameters
    ----------
    values : ndarray of shape (n, columns)
        NaN is left out.
    scaling : {None, "standard", "robust", "minmax"}
        None: centre 0, spread 1.

    Returns
    -------
    center, spread : ndarray of shape (columns,)
        A column that never changes has a spread of 1.

    Raises
    ------
    NonFiniteError
        A column has no value at all.
    """
    from sklearn import preprocessing

    columns = values.shape[1]
    empty = np.isnan(values).all(axis=0)
    if empty.any():
        raise NonFiniteError(
            f"in the training part every value of column {int(empty.argmax())} is missing, or every"
            " difference; leave the column out"
        )
    if scaling is None:
        return np.zeros(columns), np.ones(columns)
    if scaling == "standard":
        fitted = preprocessing.StandardScaler().fit(values)
        return fitted.mean_, fitted.scale_
    if scaling == "robust":
        fitted = preprocessing.RobustScaler().fit(values)
        return fitted.center_, fitted.scale_
    fitted = preprocessing.MinMaxScaler().fit(values)
    return fitted.data_min_, 1 / fitted.scale_
