"""Sequences of different lengths as one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gatewise.checks import fits_memory, sequence_lengths, whole_number
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.transaction import Transaction, attributes_of

from .sequences import real_array
from .transformer import SequenceTransformer

if TYPE_CHECKING:
    from typing import Self

    from gatewise._typing import Array, ArrayLike, IntArray

__all__ = ["SequencePadder"]


class SequencePadder(SequenceTransformer):
    """Pad or cut sequences to one length, for programs that take only arrays.

    The estimators of gatewise take lists and do not need it.

    Parameters
    ----------
    length : int, optional
        Number of steps of the result. ``None``: that of the longest sequence of `fit`; `transform`
        then cuts longer ones.
    padding : {"post", "pre"}, default "post"
        Which end is filled.
    truncating : {"post", "pre"}, default "post"
        Which end of a longer sequence is cut off.
    value : float, default 0.0
        Value of the padding. NaN marks it: :class:`SequenceScaler` ignores it, and
        `inverse_transform` finds it.

    Attributes
    ----------
    length_ : int
        Number of steps of the result.
    n_features_in_ : int
        Number of columns of a table, which are its steps; else number of features of a step.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `fit` was given a frame whose column names are strings.

    Notes
    -----
    `transform` returns the array only, and does not store the lengths of sequences: one call must
    not change the result of the next one. Get them from :meth:`lengths`, or mark the padding with
    ``value=numpy.nan``.

    Examples
    --------
    >>> import numpy as np
    >>> padder = SequencePadder(value=np.nan)
    >>> padded = padder.fit_transform([[1.0, 2.0, 3.0], [4.0]])
    >>> padded[:, :, 0]
    array([[ 1.,  2.,  3.],
           [ 4., nan, nan]])
    >>> [row[:, 0].tolist() for row in padder.inverse_transform(padded)]
    [[1.0, 2.0, 3.0], [4.0]]
    """

    length_: int
    _learned = (*SequenceTransformer._learned, "length_")

    def __init__(
        self,
        length: int | None = None,
        *,
        padding: Literal["post", "pre"] = "post",
        truncating: Literal["post", "pre"] = "post",
        value: float = 0.0,
    ) -> None:
        self.length = length
        self.padding = padding
        self.truncating = truncating
        self.value = value

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the number of steps of the result.

        Parameters
        ----------
        X : array_like or list of n sequences
            As :class:`SequenceScaler` takes them.
        y : ignored
            Only for the interface of scikit-learn.

        Returns
        -------
        self
            The transformer, fitted.

        Raises
        ------
        ConfigError
            An option has a value that cannot be used.
        ShapeError, DTypeError, NonFiniteError
            X is not made of sequences of real numbers, or holds infinity.
        """
        self._check_options()
        with Transaction(attributes_of(self)):
            sequences = self._read(X, first=True)
            self.length_ = (
                int(sequences.lengths.max())
                if self.length is None
                else whole_number(self.length, "length")
            )
        return self

    def transform(self, X: Any) -> Array:
        """Return one array of all sequences.

        Parameters
        ----------
        X : array_like or list of n sequences
            As :class:`SequenceScaler` takes them.

        Returns
        -------
        ndarray of shape (n, length_, features), float32 or float64
            A new array. Sequences without an axis of features have one feature.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
        SizeError
            The array does not fit into memory.
        """
        self._fitted("length_")
        value = self._check_options()
        sequences = self._read(X, first=False)
        shape = (len(sequences.lengths), self.length_, sequences.features)
        fits_memory(int(np.prod(shape, dtype=object)), sequences.steps.dtype, "the padded array")
        result = np.full(shape, value, sequences.steps.dtype)
        for row, steps in zip(result, sequences.rows()):
            kept = min(len(steps), self.length_)
            steps = steps[len(steps) - kept :] if self.truncating == "pre" else steps[:kept]
            start = self.length_ - kept if self.padding == "pre" else 0
            row[start : start + kept] = steps
        return result

    def lengths(self, X: Any) -> IntArray:
        """Return the number of steps of each sequence in the padded array.

        Parameters
        ----------
        X : array_like or list of n sequences
            What :meth:`transform` receives.

        Returns
        -------
        ndarray of shape (n,), int
            At most ``length_``.

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        self._fitted("length_")
        return np.minimum(self._read(X, first=False).lengths, self.length_)

    def inverse_transform(self, X: ArrayLike, lengths: ArrayLike | None = None) -> list[Array]:
        """Remove the padding of sequences; steps that were cut off are not restored.

        Parameters
        ----------
        X : array_like of shape (n, time, features)
            What :meth:`transform` returned, or a result computed from it.
        lengths : array_like of shape (n,), int, optional
            Number of steps of each sequence. ``None``, only with ``value=numpy.nan``: a sequence
            ends with the last step that is not NaN in all features; if padding is in front, it
            begins with the first such step.

        Returns
        -------
        list of n ndarrays of shape (time_i, features)
            Copies.

        Raises
        ------
        NotFittedError, DTypeError
        ShapeError
            X has another shape, or `lengths` do not fit it.
        ConfigError
            `lengths` are not given and `value` is a number, which sequences may contain, too.
        """
        self._fitted("length_")
        value = self._check_options()
        padded = real_array(X, "X")
        if padded.ndim != 3 or padded.shape[2] != self._features:
            raise ShapeError(f"X has shape {padded.shape}; expected (n, time, {self._features})")
        if lengths is None:
            if not np.isnan(value):
                raise ConfigError(
                    f"padding of {value} does not show where a sequence ends; give lengths "
                    "(padder.lengths(X) of what was padded), or pad with value=numpy.nan"
                )
            lengths = self._lengths_before_nan(padded)
        steps: Any = sequence_lengths(lengths, *padded.shape[:2])
        pre = self.padding == "pre"
        return [
            (row[len(row) - length :] if pre else row[:length]).copy()
            for row, length in zip(padded, steps.tolist())
        ]

    def _lengths_before_nan(self, X: Array) -> IntArray:
        """Number of steps of each row without its padding of NaN."""
        held: Any = ~np.isnan(X).all(axis=2)
        held = held if self.padding == "pre" else held[:, ::-1]
        return np.where(held.any(axis=1), X.shape[1] - held.argmax(axis=1), 0)

    def _check_options(self) -> float:
        """Check the options; return `value` as a float."""
        for name in ("padding", "truncating"):
            if getattr(self, name) not in ("pre", "post"):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected 'pre' or 'post'")
        if (
            isinstance(self.value, str | bool)
            or not np.isscalar(self.value)
            or not np.isreal(self.value)
        ):
            raise DTypeError(f"value is {self.value!r}; expected a number or NaN")
        value: Any = self.value
        return float(value)
