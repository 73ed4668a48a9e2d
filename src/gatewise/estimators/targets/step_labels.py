"""The target that is a label for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics import accuracy_score

from gatewise.errors import ConfigError, ShapeError

from .classes import class_numbers, class_weights, need_all_classes, read_labels
from .labels import ClassTarget
from .steps import StepTarget, has_steps, in_one, spread

if TYPE_CHECKING:
    from gatewise._typing import Array, BoolArray
    from gatewise.estimators.reading.sequences import Sequences


class StepLabels(StepTarget, ClassTarget):
    """One label for each step; or one for each row, which all its steps have.

    Attributes
    ----------
    label_a_row : bool
        y had a label for each row. None until the first y is read.
    """

    label_a_row: bool | None = None

    @property
    def predicts_steps(self) -> bool:
        """Whether each step has a prediction, see the base."""
        return not self.label_a_row

    def read(
        self, y: Any, sequences: Sequences, weights: Array | None, *, all_classes: bool = True
    ) -> Array:
        """Class numbers (n, steps), 0 at padding, see the base."""
        a_row, flat = _labels_of_steps(y, sequences)
        # A label at a step that counts in nothing may be anything, and makes no class.
        counted = _counted(sequences, weights)
        if not counted.any():
            raise ShapeError(
                "X holds no step that counts: every one is left out or has a weight of 0"
            )
        labels = flat[spread(np.arange(len(flat)), sequences)[counted]]
        labels, _ = read_labels(labels, len(labels))
        if self.label_a_row is None:
            self.label_a_row = a_row
        elif a_row != self.label_a_row:
            raise ConfigError(
                f"y has a label a {'row' if a_row else 'step'}; the first call gave one a "
                f"{'step' if a_row else 'row'}"
            )
        self._learn(labels, all_classes)
        numbers = np.zeros(counted.shape, np.intp)
        numbers[counted] = class_numbers(labels, self.known)
        return numbers

    def with_class_weight(
        self,
        weights: Array | None,
        targets: Array,
        sequences: Sequences,
        class_weight: Any,
        all_classes: bool,
    ) -> Array | None:
        """Weights (n,) or (n, steps), see the base."""
        if self.label_a_row and weights is not None and weights.ndim > 1:
            raise ShapeError(
                f"sample_weight has a weight a step, shape {weights.shape}, and y a label a row;"
                " give a weight a row"
            )
        if class_weight is None:
            return weights
        need_all_classes(class_weight, all_classes)
        by_class, counted = np.zeros(targets.shape), _counted(sequences, weights)
        if weights is not None:
            weights = np.broadcast_to(
                weights if weights.ndim == 2 else weights[:, None], targets.shape
            )
        by_class[counted] = class_weights(
            class_weight,
            self.known[targets[counted]],
            None if weights is None else weights[counted],
        )
        return by_class if weights is None else by_class * weights

    def stratify_by(self, targets: Array) -> Array | None:
        """Class numbers of the rows; None if steps have labels of their own."""
        return targets[:, 0] if self.label_a_row else None

    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """Accuracy over all steps."""
        return accuracy_score(
            targets.ravel(),
            self.decided(scores).ravel(),
            sample_weight=None if sample_weight is None else sample_weight.ravel(),
        )

    def row_means(self, scores: Array, sequences: Sequences, *, log: bool = False) -> Array:
        """Mean of the probabilities over the steps of each row, or its logarithm.

        Parameters
        ----------
        scores : ndarray (n, steps, outputs)
        sequences : Sequences
            In a row without steps all classes have the same probability.
        log : bool

        Returns
        -------
        ndarray (n, n_classes) of float64
        """
        each = self.probabilities(scores, log=True)
        steps, valid = sequences.each_length, sequences.valid
        each[steps == 0] = -np.log(len(self.known))
        valid[steps == 0, 0] = True
        means = (
            logsumexp(np.where(valid[..., None], each, -np.inf), axis=1)
            - np.log(np.maximum(steps, 1))[:, None]
        )
        return means if log else np.exp(means)

    def stored(self) -> dict[str, Any]:
        """See the base."""
        return {"classes_": self.classes, "_label_a_row": self.label_a_row}


def _labels_of_steps(y: Any, sequences: Sequences) -> tuple[bool, Array]:
    """Whether y has a label for each row, and the labels of all steps in one array."""
    lengths = sequences.all_lengths
    if has_steps(y, lengths.max()):
        return False, in_one(y, sequences, "y")
    labels, several = read_labels(y, len(lengths))
    if several:
        raise ConfigError(
            "y is a sparse matrix, which says which of several labels a row has; expected"
            " one label a step, as an array or a list of arrays (y.toarray()), or one label"
            " a row"
        )
    return True, np.repeat(labels, lengths)


def _counted(sequences: Sequences, weights: Array | None) -> BoolArray:
    """Which steps count, (n, steps)."""
    if weights is None:
        return sequences.valid
    return sequences.valid & ((weights if weights.ndim == 2 else weights[:, None]) > 0)
