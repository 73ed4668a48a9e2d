"""Frames stacked, as a step of a scikit-learn pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gatewise.checks import whole_number

from .frames import stack_frames
from .transformer import SequenceTransformer

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FrameStacker"]


class FrameStacker(SequenceTransformer):
    """Replace each step of each sequence by the last `frames` steps: :func:`stack_frames` of many.

    Parameters
    ----------
    frames : int, default 4
        Number of steps that are stacked, the oldest first.
    stride : int, default 1
        Steps 0, ``stride``, ``2 * stride``, ... are kept.
    fill : {"first", "zero"}, default "first"
        Values before the first step of a sequence: those of that step, or zeros.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of a table, which are its steps; else number of features of a step.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `fit` was given a frame whose column names are strings.

    Examples
    --------
    >>> import numpy as np
    >>> FrameStacker(frames=2).fit_transform([np.array([1.0, 2.0, 3.0]), np.array([4.0])])
    [array([[1., 1.],
           [1., 2.],
           [2., 3.]]), array([[4., 4.]])]
    """

    def __init__(
        self, frames: int = 4, *, stride: int = 1, fill: Literal["first", "zero"] = "first"
    ) -> None:
        self.frames = frames
        self.stride = stride
        self.fill = fill

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the number of features.

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
        ConfigError, DTypeError
            An option has a value that cannot be used.
        ShapeError, DTypeError, NonFiniteError
            X is not made of sequences of real numbers, or holds infinity.
        """
        stack_frames(np.zeros(0), self.frames, self.stride, self.fill)  # checks the options
        self._read(X, first=True)
        return self

    def transform(self, X: Any) -> Any:
        """Stack the steps of each sequence.

        Parameters
        ----------
        X : array_like or list of n sequences
            As :class:`SequenceScaler` takes them.

        Returns
        -------
        ndarray, list or tuple
            The same kind of container and dtype as X (an object array for a Series), of
            ``(ceil(time_i / stride), frames * features)``. Sequences without an axis of features
            get one, unless ``frames`` is 1.

        Raises
        ------
        NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError, SizeError
        """
        self._fitted()
        sequences = self._read(X, first=False)
        rows = [stack_frames(row, self.frames, self.stride, self.fill) for row in sequences.rows()]
        lengths = -(-sequences.lengths // whole_number(self.stride, "stride"))
        return sequences.rebuilt(np.concatenate(rows), lengths)
