"""How well rows of labels are read: the edit distance between what a model reads and what stands there."""

import math

import numpy as np

from gatewise import checks
from gatewise.utils import ctc_decode

from ..losses import CTC, position_weights
from .base import Metric, ratio


class LabelErrorRate(Metric):
    """Labels that are wrong, missing or too many, as a part of all labels: for models that are trained with ``CTC``.

    ``sum of edit distances / sum of labels`` over all rows, with insertions, deletions and
    substitutions counted once each (Levenshtein 1966): the character, phone or word error rate of
    speech and handwriting. It can exceed 1.

    Targets (batch, labels) are those of :class:`gatewise.losses.CTC`: class numbers, rows filled up
    with the blank or -1, or a list of rows of different lengths. Outputs (batch, steps, classes)
    are read by :func:`gatewise.utils.ctc_decode`.

    Parameters
    ----------
    blank : int
        Number of the blank class.
    beam_width : int
        1: the likeliest class of each step. More: a beam search, far slower.
    from_logits : bool
        Outputs are scores before a softmax. It makes a difference to beams only.
    name : str, optional
    """

    default_name = "label_error_rate"
    direction = "down"
    per_sequence = True
    _parts = ("edits", "labels")

    def __init__(self, blank=0, beam_width=1, from_logits=False, name=None):
        super().__init__(name)
        self.blank = checks.whole_number(blank, "blank", 0)
        self.beam_width = checks.whole_number(beam_width, "beam_width")
        self.from_logits = checks.flag(from_logits, "from_logits")

    def update_state(self, y_true, y_pred, sample_weight=None, lengths=None):
        """Add one batch.

        Parameters
        ----------
        y_true : array_like (batch, labels), int
        y_pred : array_like (batch, steps, classes)
        sample_weight : array_like (batch,), optional
            A row of weight 0 is not looked at.
        lengths : array_like (batch,), int, optional
            Steps in each row of y_pred. None: all.

        Raises
        ------
        ShapeError, DTypeError
        """
        y_pred = checks.float_array(y_pred, "y_pred", "float64", convert=True)
        labels = CTC(blank=self.blank).prepare(y_true, y_pred.shape, "float64")
        lengths = checks.sequence_lengths(lengths, *y_pred.shape[:2])
        weights = (
            np.ones(len(labels))
            if sample_weight is None
            else position_weights(sample_weight, labels.shape[:1], None)
        )
        counted = weights != 0
        labels, y_pred, weights = labels[counted], y_pred[counted], weights[counted]
        lengths = None if lengths is None else lengths[counted]
        counts = (labels != self.blank).sum(axis=1)
        read, read_counts = self._read(y_pred, lengths)
        self._accumulate(
            edits=float(weights @ edit_distances(labels, counts, read, read_counts)),
            labels=float(weights @ counts),
        )

    def __call__(self, y_true, y_pred, sample_weight=None, lengths=None):
        """The rate of one batch alone."""
        self.reset_state()
        self.update_state(y_true, y_pred, sample_weight, lengths)
        return self.result()

    def _read(self, y_pred, lengths):
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

    def result(self):
        """The rate so far, a float; 0.0 before any batch, infinity where labels are read and there are none."""
        edits, labels = self._sums["edits"], self._sums["labels"]
        return math.inf if edits and not labels else ratio(edits, labels)

    def get_config(self):
        return super().get_config() | {
            "blank": self.blank,
            "beam_width": self.beam_width,
            "from_logits": self.from_logits,
        }


def edit_distances(a, a_counts, b, b_counts):
    """The least number of insertions, deletions and substitutions between rows, intp ndarray (n,).

    Parameters
    ----------
    a, b : ndarray (n, labels)
    a_counts, b_counts : ndarray (n,), int
        How many labels each row has; what is behind them does not matter.
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
