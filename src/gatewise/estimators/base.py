"""Base of all estimators: a reader of X, a target and a network."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.described import KnownArguments
from gatewise.errors import ConfigError, ShapeError
from gatewise.memory import cover

from .fitted import transaction_of
from .network_training import NetworkTraining
from .reading.groups import split_groups
from .storage import Storage
from .targets.base import Examples, SequenceTarget, counted_rows, without_rows
from .targets.entries import SequenceEntries

if TYPE_CHECKING:
    from typing import Self

    from .reading.sequences import Sequences

# Methods whose name an error names if the system refuses memory.
_PUBLIC = (
    "fit",
    "partial_fit",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "score",
    "generate",
    "perplexity",
    "predict_interval",
    "predict_quantiles",
    "update",
    "backtest",
)


class SequenceEstimator(KnownArguments, NetworkTraining, Storage, abc.ABC):
    """Base of all estimators: see :class:`SequenceClassifier` for the parameters.

    Before it trains, a subclass sets ``_target``, a
    :class:`gatewise.estimators.targets.base.Target`: what the outputs of its network stand for.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cover(cls, _PUBLIC)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error" and self.embedding is None
        return tags


class TargetEstimator(SequenceEstimator):
    """Base of estimators whose `fit` takes X and y."""

    _target: SequenceTarget

    @abc.abstractmethod
    def _new_target(self, y: Any, sequences: Sequences, classes: Any) -> SequenceTarget:
        """The target of a fit from the start. It has not read y yet.

        Parameters
        ----------
        y : array_like or None
            Of samples with a weight above 0.
        sequences : Sequences
            X as it was read.
        classes : array_like or None
            What ``partial_fit`` was given.
        """

    def _continued_target(self) -> SequenceTarget:
        """The target of a fit that continues."""
        return self._target

    def _entries(self) -> SequenceEntries:
        """What reads y and weights: an entry for each sequence, or for each step."""
        return SequenceEntries()

    def _take_target(self, target: Any) -> None:
        """Keep a target that has read y, and what it learned from it."""
        self._target = target

    def _stored_target(self) -> dict[str, Any]:
        return self._target.stored()

    @abc.abstractmethod
    def _restore_target(self, held: dict[str, Any]) -> None:
        """Make the target of what a file holds."""

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        time: Any,
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        """Fit from the start, or go on if `incremental` (for one pass) or `warm_start`."""
        if incremental and self.early_stopping:
            raise ConfigError("partial_fit does not support early_stopping=True")
        goes_on = hasattr(self, "model_") and (
            incremental or checks.flag(self.warm_start, "warm_start")
        )
        with transaction_of(self, with_model=goes_on):
            self._begin(goes_on, incremental)
            if goes_on and classes is not None:
                self._target.expect_classes(classes)
            if not goes_on:
                for attribute in ("feature_means_", "vocabulary_size_"):  # of another X
                    self.__dict__.pop(attribute, None)
            sequences = self._read_X(X, groups, time, reset=not goes_on)
            if not sequences.all_lengths.any():
                raise ShapeError(
                    "X holds no steps: every sequence is empty; expected at least one time step"
                )
            self._read_y_and_train(
                sequences, y, sample_weight, classes, goes_on=goes_on, incremental=incremental
            )
        return self

    def _read_y_and_train(
        self,
        sequences: Sequences,
        y: Any,
        sample_weight: Any,
        classes: Any,
        *,
        goes_on: bool,
        incremental: bool,
    ) -> None:
        """Read y and the weights of samples, steps and classes, then train."""
        entries = self._entries()
        if sequences.groups is not None:
            y = entries.by_sequence(y, sequences.groups, "y")
            sample_weight = entries.by_sequence(sample_weight, sequences.groups, "sample_weight")
        weights = entries.read_weights(sample_weight, sequences)
        if weights is not None:  # a sample of weight 0 is left out
            kept = counted_rows(weights)
            if not kept.all():
                sequences, weights, y = sequences.take(kept), weights[kept], without_rows(y, kept)
        target = self._continued_target() if goes_on else self._new_target(y, sequences, classes)
        targets = target.read(y, sequences, weights, all_classes=not incremental)
        self._take_target(target)
        class_weight = getattr(self, "class_weight", None)
        with np.errstate(over="ignore"):
            weights = target.with_class_weight(
                weights, targets, sequences, class_weight, not incremental
            )
        if weights is not None:
            checks.summable(
                weights,
                "class_weight" if sample_weight is None else "class_weight and sample_weight",
            )
            if not (weights.min() >= 0 and weights.sum() > 0):
                raise ConfigError(
                    "class_weight leaves weights below zero, or none above zero; expected at least"
                    " one sample that counts"
                )
        with self._using_threads():
            self._train(
                Examples(sequences, targets, weights), goes_on=goes_on, incremental=incremental
            )


def by_sequence(X: Any, groups: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """y and weights with an entry for each sequence, for a score."""
    if groups is None:
        return y, sample_weight
    found = split_groups(X, groups)[1]
    assert found is not None
    return found.one_each(y, "y"), found.one_each(sample_weight, "sample_weight")
