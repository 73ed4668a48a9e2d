"""The base of transformers of sequences: reading X, and checking its features."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.base import BaseEstimator, TransformerMixin

from gatewise.described import KnownArguments
from gatewise.errors import ConfigError, NotFittedError, ShapeError
from gatewise.memory import cover

from .columns import check_feature_names
from .saving import Saved
from .sequences import read_sequences

if TYPE_CHECKING:
    from typing import Self

    from .sequences import Sequences

__all__ = ["SequenceTransformer"]


class SequenceTransformer(Saved, KnownArguments, TransformerMixin, BaseEstimator):
    """Base class of transformers that take sequences and return one result for each.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of a table, which are its steps; else number of features of a step.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `fit` was given a frame whose column names are strings.
    """

    _learned: ClassVar[tuple[str, ...]] = ("n_features_in_", "_features", "_table")

    n_features_in_: int
    _features: int  # of a step
    _table: bool  # whether the X of fit was (n, time)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cover(cls, ("fit", "partial_fit", "transform", "inverse_transform"))

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what the transformer needs to know of X."""

    @abstractmethod
    def transform(self, X: Any) -> Any:
        """Return the result for each sequence of X."""

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of :meth:`transform`; sequences do not fit into a frame.

        ``sklearn.set_config(transform_output=...)`` does not change what this transformer returns.

        Parameters
        ----------
        transform : {None, "default"}
            Both mean the containers that :meth:`transform` describes.

        Returns
        -------
        self
            The transformer, unchanged.

        Raises
        ------
        ConfigError
            `transform` is a kind of frame.
        """
        if transform not in (None, "default"):
            raise ConfigError(
                f"transform is {transform!r}; {type(self).__name__} returns sequences, which do not"
                " fit into a frame: call set_output of a step that gives a row for each sequence,"
                " SequenceEncoder for example, or set"
                f" sklearn.set_config(transform_output={transform!r}), which leaves sequences as"
                " they are"
            )
        return self

    def _read(self, X: Any, *, first: bool, arrays_too: bool = False) -> Sequences:
        """Return the sequences of X.

        If `first`, learn their number of features; else X must have the same. If `arrays_too`, do
        not warn that an array has no names: this transformer itself makes arrays from frames.
        """
        sequences = self._sequences(X)
        table = sequences.form == "table"
        nameless = arrays_too and sequences.names is None
        # the columns of a table are steps, those of other frames are features
        if first or (table == self._table and not nameless):
            check_feature_names(self, sequences.names, reset=first)
        given = int(sequences.lengths[0]) if table else sequences.features
        if first:
            self.n_features_in_, self._features, self._table = given, sequences.features, table
        # A table must have the columns of the table of `fit`; otherwise the features of a step
        # count.
        expected = self.n_features_in_ if table and self._table else self._features
        given = given if table and self._table else sequences.features
        if given != expected:
            raise ShapeError(
                f"X has {given} features, but {type(self).__name__} is expecting {expected}"
                " features as input"
            )
        return sequences

    def _sequences(self, X: Any) -> Sequences:
        return read_sequences(X)

    def _fitted(self, learned: str = "n_features_in_") -> None:
        """Raise NotFittedError before fit."""
        if not hasattr(self, learned):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit first")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
