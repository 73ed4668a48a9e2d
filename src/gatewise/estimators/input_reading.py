"""The part of an estimator that reads X."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_array

from gatewise import checks, errors
from gatewise.data.columns import check_feature_names, check_kind, names_of
from gatewise.data.missing import feature_means
from gatewise.data.sequences import container_of
from gatewise.errors import ConfigError, ShapeError

from . import parameters
from .declared import Declared
from .reading.checking import axes_of, checked_by_sklearn, unmasked
from .reading.groups import split_groups
from .reading.inputs import FLOATS, read_each, refuse_missing, whole_numbers
from .reading.missing import MISSING, completed
from .reading.sequences import Sequences, padded

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.estimators.reading.groups import Groups


class InputReading(Declared):
    """Reads X, and checks it against the X of the first fit."""

    def _read_X(
        self, X: Any, groups: Any = None, time: Any = None, *, reset: bool = False
    ) -> Sequences:
        """Sequences of X; with `reset`, what the estimator expects from now on."""
        if not reset:
            self._need_fitted()
        X, groups = split_groups(unmasked(X), groups, time)
        missing, embedding = self._in_use("missing"), self._in_use("embedding")
        parameters.chosen(missing, "missing", MISSING)
        if embedding is not None and missing != "error":
            raise ConfigError(
                f"missing is {missing!r}; with embedding X holds whole numbers, of which none can"
                " be missing"
            )
        dtype = FLOATS if embedding is None else None
        check_kind(X, "X")
        one_by_one = groups is None and (container_of(X) is not None or axes_of(X) > 2)
        if one_by_one:
            sequences = read_each(X)
        else:
            sequences = self._read_rows(X, groups, dtype, reset)
        # The columns of a table are steps, those of other frames are features.
        if reset or sequences.table == self._fitted_on_table:
            check_feature_names(self, sequences.names, reset=reset)
        if missing == "error":
            choices = ", ".join(map(repr, MISSING[1:-1])) + f" or {MISSING[-1]!r}"
            refuse_missing(sequences, type(self).__name__, choices if embedding is None else None)
        if embedding is not None:
            return self._checked_tokens(sequences, reset)
        self._check_features(sequences, reset)
        if missing == "error":
            return sequences
        if reset:
            self.feature_means_: Array = feature_means(sequences.values, sequences.lengths)
        return completed(sequences, missing, self.feature_means_)

    def _in_use(self, parameter: str) -> Any:
        """A parameter as the last fit, or the one under way, used it.

        A value that was set since then has no effect before the next fit.
        """
        fitted = self._fitted_parameters
        return (
            fitted[parameter]
            if fitted is not None and parameter in fitted
            else getattr(self, parameter)
        )

    def _read_rows(self, X: Any, groups: Groups | None, dtype: Any, reset: bool) -> Sequences:
        """Sequences of a table, one a row; or of a long table with groups."""
        with checked_by_sklearn():
            rows = check_array(
                X,
                order="C" if groups is None else None,
                dtype=dtype,
                ensure_all_finite="allow-nan",
                input_name="X",
                estimator=self,
            )
        if not reset and (self._fitted_on_table if groups is None else not self._fitted_on_table):
            expected = self.n_features_in_
            if rows.shape[1] != expected:
                raise ShapeError(
                    f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting"
                    f" {expected} features as input"
                )
        if groups is None:
            tokens = self._in_use("embedding") is not None
            return Sequences(rows if tokens else rows[..., None], table=True, names=names_of(X))
        sequences = padded(rows[groups.order], groups.lengths)
        sequences.groups, sequences.names = groups, names_of(X)
        return sequences

    def _remember_input(self, sequences: Sequences, features: int) -> None:
        self._fitted_on_table, self._step_features = sequences.table, features
        self.n_features_in_: int = sequences.values.shape[1] if sequences.table else features

    def _checked_tokens(self, sequences: Sequences, reset: bool) -> Sequences:
        """Sequences of whole numbers below the size of the vocabulary."""
        sequences.values = whole_numbers(sequences.values)
        largest = int(sequences.values.max(initial=0))
        if reset:
            self._remember_input(sequences, 1)
            given = self.vocabulary_size
            self.vocabulary_size_: int = (
                largest + 1 if given is None else checks.whole_number(given, "vocabulary_size")
            )
        if largest >= self.vocabulary_size_:
            raise ConfigError(
                f"X holds the number {largest}; the vocabulary has {self.vocabulary_size_}, 0 to"
                f" {self.vocabulary_size_ - 1}: give vocabulary_size, or a number that stands for"
                " what is unknown"
            )
        return sequences

    def _check_features(self, sequences: Sequences, reset: bool) -> None:
        features = sequences.values.shape[-1]
        if reset:
            self._remember_input(sequences, features)
        elif features != self._step_features:
            hint = ""
            if sequences.table and not self._fitted_on_table:
                hint = (
                    ": each row of a table is a sequence of one feature; put a single sequence into"
                    " a list, [X]"
                )
            elif sequences.values.shape[1] == self._step_features:
                hint = (
                    ": steps come before features, (n, time, features), which X.transpose(0, 2, 1)"
                    " gives"
                )
            raise ShapeError(
                f"X has {features} features a step, but {type(self).__name__} is expecting"
                f" {self._step_features} features a step as input{hint}"
            )

    def _need_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise errors.NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with"
                " appropriate arguments before using this estimator."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")
