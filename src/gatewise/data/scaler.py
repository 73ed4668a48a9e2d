"""Scaling of sequences: scikit-learn's scalers, over all steps of all sequences."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

from sklearn import config_context
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.metaestimators import available_if

from gatewise.checks import flag
from gatewise.errors import ConfigError, ShapeError
from gatewise.transaction import Transaction, attributes_of

from .transformer import SequenceTransformer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from gatewise._typing import Array

__all__ = ["SequenceScaler"]


def _has_partial_fit(scaler: SequenceScaler) -> bool:
    """Whether the method of a scaler can learn from further sequences."""
    return scaler.method in ("standard", "minmax")


class SequenceScaler(SequenceTransformer):
    """Scale each feature by its statistics over all steps of all sequences.

    scikit-learn's ``StandardScaler``, ``RobustScaler`` and ``MinMaxScaler`` do the work, on a table
    with a row for each step. Fit it on training sequences only; the first step of a
    ``Pipeline`` is the best place for it.

    Give sequences of different lengths as a list. In a padded array the padding counts as steps,
    unless it is NaN: nothing is learned from NaN, and NaN stays NaN.

    Parameters
    ----------
    method : {"standard", "robust", "minmax"}, default "standard"
        Mean 0 and variance 1; median 0 and interquartile range 1; or smallest and largest value at
        the ends of `feature_range`.
    with_centering : bool, default True
        Whether to subtract the mean or median. "minmax" always does.
    with_scaling : bool, default True
        Whether to divide by the deviation or range. "minmax" always does.
    feature_range : (float, float), default (0, 1)
        Range to which "minmax" maps the training values.
    quantile_range : (float, float), default (25.0, 75.0)
        Percentiles between which "robust" measures the range.
    clip : bool, default False
        Whether "minmax" clips new values to `feature_range`.

    Attributes
    ----------
    scaler_ : StandardScaler, RobustScaler or MinMaxScaler
        With one number for each feature of a step: ``scaler_.mean_`` and so on.
    n_features_in_ : int
        Number of columns of a table, which are its steps; else number of features of a step.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `fit` was given a frame whose column names are strings.

    Notes
    -----
    X is ``(n, time)`` (one feature: all columns are scaled alike; `fit` and `transform` take the
    same number of columns), ``(n, time, features)``, or a list, tuple, Series or object array of
    ``(time_i, features)`` or ``(time_i,)``. The result is the same kind of container; a frame gives
    an array, a Series an object array. float32 and float64 are kept.

    For a long table, with a row for each step and a column for each feature, use scikit-learn's
    scalers themselves: here its rows would be sequences of one feature.

    Examples
    --------
    >>> import numpy as np
    >>> sequences = [np.array([0.0, 2.0]), np.array([4.0, 6.0, 8.0])]
    >>> SequenceScaler("minmax").fit_transform(sequences)
    [array([0.  , 0.25]), array([0.5 , 0.75, 1.  ])]
    """

    scaler_: Any
    _learned = (*SequenceTransformer._learned, "scaler_")

    def __init__(
        self,
        method: Literal["standard", "robust", "minmax"] = "standard",
        *,
        with_centering: bool = True,
        with_scaling: bool = True,
        feature_range: tuple[float, float] = (0, 1),
        quantile_range: tuple[float, float] = (25.0, 75.0),
        clip: bool = False,
    ) -> None:
        self.method = method
        self.with_centering = with_centering
        self.with_scaling = with_scaling
        self.feature_range = feature_range
        self.quantile_range = quantile_range
        self.clip = clip

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn each feature's location and spread.

        Parameters
        ----------
        X : array_like or list of n sequences
            See the notes of the class.
        y : ignored
            Only for the interface of scikit-learn.

        Returns
        -------
        self
            The transformer, fitted.

        Raises
        ------
        ConfigError
            An option has a value that cannot be used, or that `method` does not know.
        ShapeError, DTypeError, NonFiniteError
            X is not made of sequences of real numbers, holds no step, or holds infinity.
        """
        scaler = self._new_scaler()
        with Transaction(attributes_of(self)):
            self.scaler_ = self._call(scaler.fit, self._steps(X, first=True))
        return self

    @available_if(_has_partial_fit)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from further sequences; only for the methods "standard" and "minmax".

        Parameters
        ----------
        X : array_like or list of n sequences
            See the notes of the class.
        y : ignored
            Only for the interface of scikit-learn.

        Returns
        -------
        self
            The transformer, fitted.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            As in :meth:`fit`.
        """
        first = not hasattr(self, "scaler_")
        scaler = self._new_scaler() if first else copy.deepcopy(self.scaler_)
        with Transaction(attributes_of(self)):
            self.scaler_ = self._call(scaler.partial_fit, self._steps(X, first=first))
        return self

    def transform(self, X: Any) -> Any:
        """Scale sequences.

        Parameters
        ----------
        X : array_like or list of n sequences
            See the notes of the class.

        Returns
        -------
        ndarray, list or tuple
            The same kind of container, shapes and dtype as X.

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        return self._apply(X, "transform")

    def inverse_transform(self, X: Any) -> Any:
        """Restore sequences to what they were before :meth:`transform`.

        Parameters
        ----------
        X : array_like or list of n sequences
            See the notes of the class.

        Returns
        -------
        ndarray, list or tuple
            The same kind of container, shapes and dtype as X.

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        return self._apply(X, "inverse_transform")

    def _apply(self, X: Any, direction: str) -> Any:
        self._fitted("scaler_")
        sequences = self._read(X, first=False, arrays_too=direction == "inverse_transform")
        if len(sequences.steps) == 0:
            return sequences.rebuilt(sequences.steps.copy())
        # an array of all steps, whatever output the user has chosen for transformers
        with config_context(transform_output="default"):
            return sequences.rebuilt(getattr(self.scaler_, direction)(sequences.steps))

    def _steps(self, X: Any, *, first: bool) -> Array:
        steps = self._read(X, first=first).steps
        if len(steps) == 0:
            raise ShapeError("X holds no step; expected at least one sequence that is not empty")
        return steps

    def _call(self, fit: Callable[[Array], Any], steps: Array) -> Any:
        try:
            return fit(steps)
        except ValueError as error:  # about an option, since the steps have been checked
            raise ConfigError(f"SequenceScaler: {error}") from error

    def _new_scaler(self) -> Any:
        """scikit-learn's scaler for the options; those that it lacks must have their defaults."""
        centering, scaling = (
            flag(self.with_centering, "with_centering"),
            flag(self.with_scaling, "with_scaling"),
        )
        clip = flag(self.clip, "clip")
        if self.method == "minmax":
            self._only_default(with_centering=True, with_scaling=True, quantile_range=(25.0, 75.0))
            return MinMaxScaler(feature_range=_pair(self.feature_range, "feature_range"), clip=clip)
        self._only_default(feature_range=(0, 1), clip=False)
        if self.method == "robust":
            return RobustScaler(
                with_centering=centering,
                with_scaling=scaling,
                quantile_range=_pair(self.quantile_range, "quantile_range"),
            )
        self._only_default(quantile_range=(25.0, 75.0))
        if self.method == "standard":
            return StandardScaler(with_mean=centering, with_std=scaling)
        raise ConfigError(f"method is {self.method!r}; expected 'standard', 'robust' or 'minmax'")

    def _only_default(self, **defaults: Any) -> None:
        for name, default in defaults.items():
            value = getattr(self, name)
            if (tuple(value) if isinstance(value, list) else value) != default:
                raise ConfigError(
                    f"{name}={value!r} has no meaning for method {self.method!r}; leave it at"
                    f" {default!r}"
                )


def _pair(value: Any, name: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is {value!r}; expected two numbers") from error
    return low, high
