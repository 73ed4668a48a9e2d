"""Sequences of different lengths as one array."""

import numpy as np

from gatewise.checks import fits_memory, sequence_lengths, whole_number
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.transaction import Transaction, attributes_of

from .sequences import real_array
from .transformer import SequenceTransformer

__all__ = ["SequencePadder"]


class SequencePadder(SequenceTransformer):
    """Bring sequences of any lengths to one: for what takes nothing but arrays.

    gatewise's own estimators take lists as they are and need none of this.

    Parameters
    ----------
    length : int, optional
        Steps of the result. ``None``: those of the longest sequence of `fit`; longer ones are then
        cut in `transform`.
    padding : {"post", "pre"}, default "post"
        Which end is filled.
    truncating : {"post", "pre"}, default "post"
        Which end of a longer sequence is cut off.
    value : float, default 0.0
        What fills the padding. NaN marks it: :class:`SequenceScaler` leaves it out, and
        `inverse_transform` finds it again.

    Attributes
    ----------
    length_ : int
        Steps of the result.
    n_features_in_ : int
        Columns of a table (its steps), else features of a step.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns, where `fit` was given a frame with text for names.

    Notes
    -----
    A transformer hands on one array, and what one call saw must not change what the next one says.
    So lengths are asked for (:meth:`lengths`), or carried by ``value=numpy.nan``.

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

    _learned = (*SequenceTransformer._learned, "length_")

    def __init__(self, length=None, *, padding="post", truncating="post", value=0.0):
        self.length = length
        self.padding = padding
        self.truncating = truncating
        self.value = value

    def fit(self, X, y=None):
        """Learn how many steps the result has.

        Parameters
        ----------
        X : array_like or list of n sequences
            As :class:`SequenceScaler` takes them.
        y : ignored

        Returns
        -------
        self

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

    def transform(self, X):
        """One array of all sequences.

        Parameters
        ----------
        X : array_like or list of n sequences

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

    def lengths(self, X):
        """How many steps of each sequence are in the padded array.

        Parameters
        ----------
        X : array_like or list of n sequences
            What :meth:`transform` is given.

        Returns
        -------
        ndarray of shape (n,), int

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        self._fitted("length_")
        return np.minimum(self._read(X, first=False).lengths, self.length_)

    def inverse_transform(self, X, lengths=None):
        """Sequences without their padding; what was cut off does not come back.

        Parameters
        ----------
        X : array_like of shape (n, time, features)
        lengths : array_like of shape (n,), int, optional
            Steps of each sequence. ``None`` with ``value=numpy.nan``: a sequence ends (or begins,
            padded in front) with the last (first) step that is not NaN in all features.

        Returns
        -------
        list of n ndarrays of shape (time_i, features)

        Raises
        ------
        NotFittedError, DTypeError
        ShapeError
            X has another shape, or `lengths` do not fit it.
        ConfigError
            `lengths` are not given and `value` is a number, which a sequence may hold as well.
        """
        self._fitted("length_")
        value = self._check_options()
        X = real_array(X, "X")
        if X.ndim != 3 or X.shape[2] != self._features:
            raise ShapeError(f"X has shape {X.shape}; expected (n, time, {self._features})")
        if lengths is None:
            if not np.isnan(value):
                raise ConfigError(
                    f"padding of {value} does not say where a sequence ends; give lengths "
                    "(padder.lengths(X) of what was padded), or pad with value=numpy.nan"
                )
            lengths = self._lengths_before_nan(X)
        lengths = sequence_lengths(lengths, *X.shape[:2])
        pre = self.padding == "pre"
        return [
            (row[len(row) - length :] if pre else row[:length]).copy()
            for row, length in zip(X, lengths.tolist())
        ]

    def _lengths_before_nan(self, X):
        held = ~np.isnan(X).all(axis=2)
        held = held if self.padding == "pre" else held[:, ::-1]
        return np.where(held.any(axis=1), X.shape[1] - held.argmax(axis=1), 0)

    def _check_options(self):
        """`value` as a float."""
        for name in ("padding", "truncating"):
            if getattr(self, name) not in ("pre", "post"):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected 'pre' or 'post'")
        if (
            isinstance(self.value, str | bool)
            or not np.isscalar(self.value)
            or not np.isreal(self.value)
        ):
            raise DTypeError(f"value is {self.value!r}; expected a number or NaN")
        return float(self.value)
