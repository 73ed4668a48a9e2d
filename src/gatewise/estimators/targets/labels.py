"""Targets that are labels: one for each sequence, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.metrics import accuracy_score

from gatewise.errors import ConfigError
from gatewise.training import losses

from .base import Output, SequenceTarget
from .classes import (
    check_same_classes,
    class_numbers,
    class_weights,
    given_classes,
    need_all_classes,
    read_labels,
)

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.estimators.reading.sequences import Sequences


class ClassTarget(SequenceTarget):
    """Base of targets that are classes; of each sequence or step one class is right.

    Parameters
    ----------
    classes : array_like (n_classes,), optional
        All that there will be. None: those of the first y.

    Attributes
    ----------
    classes : ndarray (n_classes,), or None until they are known
        Sorted, each once.
    """

    score_name = "accuracy"

    def __init__(self, classes: Any = None) -> None:
        self.classes: Array | None = None if classes is None else given_classes(classes)

    @property
    def known(self) -> Array:
        """The classes, once they are known."""
        assert self.classes is not None
        return self.classes

    def expect_classes(self, classes: Any) -> None:
        """Refuse `classes` that are not those of the first call, see the base."""
        given = given_classes(classes)
        if not np.array_equal(given, self.known):
            raise ConfigError(
                f"`classes={classes!r:.200}` is not the same as on last call to partial_fit, was:"
                f" {self.classes!r:.200}"
            )

    def output(self, targets: Array) -> Output:
        """Loss, outputs and activation, see the base."""
        # one column is the score of the second class, or, of one class, of another that never comes
        if len(self.known) <= 2:
            return Output(losses.BinaryCrossentropy(), 1, "sigmoid")
        return Output(losses.SparseCategoricalCrossentropy(), len(self.known), "softmax")

    def decided(self, scores: Array) -> Array:
        """Class numbers (...,) of scores (..., outputs)."""
        if len(self.known) == 2:
            return (scores[..., 0] > 0).astype(np.intp)
        return scores.argmax(axis=-1)

    def labels(self, scores: Array) -> Array:
        """Labels (...,) of scores (..., outputs)."""
        return self.known[self.decided(scores)]

    def decisions(self, scores: Array) -> Array:
        """What ``decision_function`` returns: (...,) of two classes, else (..., n_classes)."""
        return scores[..., 0] if len(self.known) == 2 else scores

    def probabilities(self, scores: Array, *, log: bool = False) -> Array:
        """float64 (..., n_classes): probabilities, or their logarithms, which do not underflow."""
        scores = scores.astype(np.float64)
        if len(self.known) == 2:
            both = np.concatenate([-scores, scores], axis=-1)
            return log_expit(both) if log else expit(both)
        return log_softmax(scores, axis=-1) if log else softmax(scores, axis=-1)

    def _learn(self, labels: Array, all_classes: bool) -> None:
        """Take the classes of the first labels; later ones must have the same if they have all."""
        if self.classes is None:
            self.classes = np.unique(labels)
        elif all_classes:
            check_same_classes(labels, self.classes)


class Labels(ClassTarget):
    """One label for each sequence."""

    def read(
        self, y: Any, sequences: Sequences, weights: Array | None, *, all_classes: bool = True
    ) -> Array:
        """Class numbers (n,), see the base."""
        labels, several = read_labels(y, len(sequences))
        if several:
            raise _other_kind(labels, several, self.known)
        self._learn(labels, all_classes)
        return class_numbers(labels, self.known)

    def with_class_weight(
        self,
        weights: Array | None,
        targets: Array,
        sequences: Sequences,
        class_weight: Any,
        all_classes: bool,
    ) -> Array | None:
        """Weights (n,), see the base."""
        if class_weight is None:
            return weights
        need_all_classes(class_weight, all_classes)
        by_class = class_weights(class_weight, self._labels_of(targets), weights)
        return by_class if weights is None else weights * by_class

    def _labels_of(self, targets: Array) -> Array:
        return self.known[targets]

    def stratify_by(self, targets: Array) -> Array | None:
        """Class numbers (n,), see the base."""
        return targets

    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """Accuracy."""
        return accuracy_score(targets, self.decided(scores), sample_weight=sample_weight)

    def stored(self) -> dict[str, Any]:
        """See the base."""
        return {"classes_": self.classes, "_several": False}


class SeveralLabels(Labels):
    """Several labels for each sequence: y has a column of 0 and 1 for each of them."""

    def read(
        self, y: Any, sequences: Sequences, weights: Array | None, *, all_classes: bool = True
    ) -> Array:
        """0 and 1, int64 (n, labels), see the base."""
        labels, several = read_labels(y, len(sequences))
        if several and self.classes is None:
            self.classes: Array | None = np.arange(labels.shape[1])
        if not several or labels.shape[1] != len(self.known):
            raise _other_kind(labels, several, self.known)
        return labels

    def output(self, targets: Array) -> Output:
        """Loss, outputs and activation, see the base."""
        return Output(losses.BinaryCrossentropy(), len(self.known), "sigmoid")

    def decided(self, scores: Array) -> Array:
        """0 and 1, (n, labels)."""
        return (scores > 0).astype(np.intp)

    def labels(self, scores: Array) -> Array:
        """0 and 1, (n, labels): :meth:`decided`."""
        return self.decided(scores)

    def decisions(self, scores: Array) -> Array:
        """The scores of all labels."""
        return scores

    def probabilities(self, scores: Array, *, log: bool = False) -> Array:
        """float64 (n, labels): probability of each label, or its logarithm."""
        scores = scores.astype(np.float64)
        return log_expit(scores) if log else expit(scores)

    def _labels_of(self, targets: Array) -> Array:
        return targets

    def stratify_by(self, targets: Array) -> Array | None:
        """None: samples with several labels belong to no single class."""
        return None

    def stored(self) -> dict[str, Any]:
        """See the base."""
        return {"classes_": self.classes, "_several": True}


def labels_target(y: Any, count: int, classes: Any = None) -> Labels:
    """The target of a first y of labels, which has one label for each sequence or several.

    Raises
    ------
    ConfigError, ShapeError, NonFiniteError
    """
    _, several = read_labels(y, count)
    return SeveralLabels(classes) if several else Labels(classes)


def stored_labels(held: dict[str, Any]) -> Labels:
    """The target of what :meth:`Labels.stored` returned."""
    target = SeveralLabels() if held["_several"] else Labels()
    target.classes = held["classes_"]
    return target


def _other_kind(labels: Array, several: bool, classes: Array) -> ConfigError:
    return ConfigError(
        f"y has {'several labels' if several else 'one label'} a sample, of shape {labels.shape};"
        f" expected what the first call gave, with {len(classes)} classes"
    )
