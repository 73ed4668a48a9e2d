"""How well rows of labels are read: edit distances between what is read and the targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.utils import ctc_decode

from ..losses import CTC, position_weights
from .base import Metric
from .sums import ratio

if TYPE_CHECKING:
    from gatewise._typing import Array, ArrayLike, Config


class LabelErrorRate(Metric):
    """Labels that are wrong, missing or too many, as a share of all labels.

    ``sum of edit distances / sum of labels`` over all rows, with insertions, deletions and
    substitutions counted once each (Levenshtein 1966): the character, phone or word error rate of
    speech and handwriting. It can exceed 1. For models that are trained with
    :class:`gatewise.losses.CTC`.

    Targets (batch, labels) are those of the loss: class numbers, rows filled up with the blank or
    -1, or a list of rows of different lengths. Outputs (batch, steps, classes) are read by
    :func:`gatewise.utils.ctc_decode`.

    Parameters
    ----------
    blank : int, default 0
        Number of the blank class.
    beam_width : int, default 1
        1: the likeliest class of each step. More: a beam search, far slower.
    from_logits : bool, default False
        Whether outputs are scores before a softmax. It makes a difference to beams only.
    name : str, optional
        Default "label_error_rate".

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.metrics import LabelErrorRate
    >>> LabelErrorRate()([[1, 2]], np.eye(3)[None, [1, 0, 1]])  # reads 1, 1
    0.5
    """

    blank: int
    beam_width: int
    from_logits: bool
    default_name = "label_error_rate"
    direction: str | None = "down"
    _per_sequence = True
    _parts = ("edits", "labels")

    def __init__(
        self,
        blank: int = 0,
        beam_width: int = 1,
        from_logits: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.blank = checks.whole_number(blank, "blank", 0)
        self.beam_width = checks.whole_number(beam_width, "beam_width")
        self.from_logits = checks.flag(from_logits, "from_logits")

    def update_state(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> None:
        """Add one batch.

        Parameters
        ----------
        y_true : array_like (batch, labels), int
            Labels of each row.
            Targets.
        y_pred : array_like (batch, steps, classes)
            Outputs.
            Predictions.
        sample_weight : array_like (batch,), optional
            A row of weight 0 is not looked at.
        lengths : array_like (batch,), int, optional
            Steps in each row of y_pred. None: all.

        Raises
        ------
        ShapeError, DTypeError
        """
        outputs = checks.float_array(y_pred, "y_pred", "float64", convert=True)
        labels = CTC(blank=self.blank).prepare(y_true, outputs.shape, "float64")
        steps = checks.sequence_lengths(lengths, *outputs.shape[:2])
        weights: Any = (
            np.ones(len(labels))
            if sample_weight is None
            else position_weights(sample_weight, labels.shape[:1], None)
        )
        counted = weights != 0
        labels, outputs, weights = labels[counted], outputs[counted], weights[counted]
        steps = None if steps is None else steps[counted]
        counts = (labels != self.blank).sum(axis=1)
        read, read_counts = self._read(outputs, steps)
        self._accumulate(
            edits=float(weights @ edit_distances(labels, counts, read, read_counts)),
            labels=float(weights @ counts),
        )

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> float:
        """The rate of one batch alone; arguments as for :meth:`update_state`."""
        self.reset_state()
        self.update_state(y_true, y_pred, sample_weight, lengths)
        return self.result()

    def _read(self, y_pred: Array, lengths: Array | None) -> tuple[Array, Array]:
        """(labels, how many in each row): what the outputs read, intp (n, steps) and (n,)."""
        if self.beam_width > 1:
            rows, _ = ctc_decode(y_pred, lengths, self.beam_width, self.blank, self.from_logits)
            counts = np.array([len(row) for row in rows], np.intp)
            read = np.zeros((len(rows), max(counts, default=0)), np.intp)
            for place, row in zip(read, rows):
                place[: len(row)] = row
            return read, counts
        path = y_pred.argmax(axis=-1)
        kept = path != self.blank
        kept[:, 1:] &= path[:, 1:] != path[:, :-1]
        if lengths is not None:
            kept &= np.arange(path.shape[1]) < lengths[:, None]
        first = np.argsort(~kept, axis=1, kind="stable")  # labels that are kept to the front
        return np.take_along_axis(path, first, axis=1), kept.sum(axis=1)

    def result(self) -> float:
        """The rate so far; 0.0 before any batch, infinity if labels are read and there are none.

        Returns
        -------
        float
            From 0.
        """
        edits, labels = self._sums["edits"], self._sums["labels"]
        return math.inf if edits and not labels else ratio(edits, labels)

    def get_config(self) -> Config:
        return super().get_config() | {
            "blank": self.blank,
            "beam_width": self.beam_width,
            "from_logits": self.from_logits,
        }


def edit_distances(a: Array, a_counts: Array, b: Array, b_counts: Array) -> Array:
    """The least number of insertions, deletions and substitutions between rows, intp ndarray (n,).

    Parameters
    ----------
    a, b : ndarray (n, labels)
    a_counts, b_counts : ndarray (n,), int
        How many labels each row has; what is after them does not matter.
    """
    columns = np.arange(b.shape[1] + 1)
    # between the first i labels of a and the first j of b, for all j
    distances = np.tile(columns, (len(a), 1))
    for i in range(int(max(a_counts, default=0))):
        grown = distances + 1
        grown[:, 1:] = np.minimum(grown[:, 1:], distances[:, :-1] + (a[:, i, None] != b))
        # labels of b that are too many
        grown = np.minimum.accumulate(grown - columns, axis=1) + columns
        distances = np.where((i < a_counts)[:, None], grown, distances)
    return distances[np.arange(len(a)), b_counts]
