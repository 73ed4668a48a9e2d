"""What the transformers of sequences share: one reading of X, and scikit-learn's rules about features."""

from typing import ClassVar

from sklearn.base import BaseEstimator, TransformerMixin

from gatewise.described import KnownArguments
from gatewise.errors import ConfigError, NotFittedError, ShapeError
from gatewise.memory import cover

from .columns import check_feature_names
from .saving import Saved
from .sequences import read_sequences

__all__ = ["SequenceTransformer"]


class SequenceTransformer(Saved, KnownArguments, TransformerMixin, BaseEstimator):
    """Base of transformers that take sequences and give one result for each.

    Attributes
    ----------
    n_features_in_ : int
        Columns of a table (its steps), else features of a step.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns, where `fit` was given a frame with text for names.
    """

    _learned: ClassVar[tuple[str, ...]] = ("n_features_in_", "_features", "_table")

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cover(cls, ("fit", "partial_fit", "transform", "inverse_transform"))

    def set_output(self, *, transform=None):
        """scikit-learn's choice of the container of :meth:`transform`: sequences do not fit into a frame.

        With ``sklearn.set_config(transform_output=...)`` this transformer gives what it always
        gives.

        Parameters
        ----------
        transform : {None, "default"}

        Returns
        -------
        self

        Raises
        ------
        ConfigError
            A kind of frame.
        """
        if transform not in (None, "default"):
            raise ConfigError(
                f"transform is {transform!r}; {type(self).__name__} gives sequences, which do not"
                " fit into a frame: call set_output of a step that gives a row for each sequence,"
                " SequenceEncoder for example, or set"
                f" sklearn.set_config(transform_output={transform!r}), which leaves sequences as"
                " they are"
            )
        return self

    def _read(self, X, *, first, arrays_too=False):
        """Sequences of X; `first`: learn their number of features, else hold X to it.

        `arrays_too`: what this transformer made of frames, and so has no names, is read without a
        warning.
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

    def _sequences(self, X):
        return read_sequences(X)

    def _fitted(self, learned="n_features_in_"):
        if not hasattr(self, learned):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit first")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
