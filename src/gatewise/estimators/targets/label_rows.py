"""The target that is a row of labels for each sequence, without their places in time."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError
from gatewise.training import losses
from gatewise.training.metrics.labels import edit_distances
from gatewise.utils import ctc_decode, pad_sequences

from .base import Output
from .classes import class_numbers
from .entries import SequenceEntries, check_given
from .labels import ClassTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array
    from gatewise.estimators.reading.groups import Groups
    from gatewise.estimators.reading.sequences import Sequences

# Class 0 of the network is the blank of CTC; label k of the known ones is class k + 1.
FIRST_LABEL = 1
ENDED = -1  # follows the last label of a row of targets


class LabelRowEntries(SequenceEntries):
    """y with a row of labels for each sequence."""

    def by_sequence(self, entries: Any, groups: Groups, name: str) -> Any:
        """The rows of labels as they are: a long table has one for each group."""
        if name == "y" and entries is not None and len(entries) != len(groups.lengths):
            raise ShapeError(
                f"y has {len(entries)} rows of labels, and there are {len(groups.lengths)} groups;"
                " expected one row of labels for each group"
            )
        return groups.one_each(entries, name)


class LabelRows(ClassTarget):
    """A row of labels for each sequence: characters of a text, or labels of a list.

    Attributes
    ----------
    texts : bool
        The rows are texts, whose characters are the labels. None until the first y is read.
    """

    score_name = "1 - label error rate"
    per_step = True
    texts: bool | None = None

    def read(
        self, y: Any, sequences: Sequences, weights: Array | None, *, all_classes: bool = True
    ) -> Array:
        """Classes (n, labels), with ENDED after the last label of a row; see the base."""
        rows = self.rows_of(y, len(sequences))
        flat = np.concatenate(rows)
        if not len(flat):
            raise ConfigError("y holds no label: every row is empty; expected at least one label")
        self._learn(flat, all_classes)
        _need_steps(rows, sequences.each_length)
        at = class_numbers(flat, self.known) + FIRST_LABEL
        ends = np.cumsum([len(row) for row in rows])[:-1]
        return pad_sequences(np.split(at, ends), dtype="int64", padding="post", value=ENDED)

    def rows_of(self, y: Any, count: int) -> list[Array]:
        """The labels of each row of y, in the form that the first y had.

        Raises
        ------
        ConfigError, ShapeError
        """
        rows, texts = read_label_rows(y, count)
        if self.texts is None:
            self.texts = texts
        elif texts != self.texts:
            kinds = "texts", "lists of labels"
            raise ConfigError(
                f"y holds {kinds[not texts]}; the first call had {kinds[not self.texts]}"
            )
        return rows

    def output(self, targets: Array) -> Output:
        """The loss of CTC, with an output for the blank and one for each label; see the base."""
        return Output(losses.CTC(), FIRST_LABEL + len(self.known), "softmax")

    def labels_in_rows(self, scores: Array, beam: int = 1) -> list[Array]:
        """The labels (labels_i,) of each row that scores (n, steps, outputs) say."""
        rows, _ = ctc_decode(scores, beam_width=beam, from_logits=True)
        return [self.known[np.array(row, np.intp) - FIRST_LABEL] for row in rows]

    def as_given(self, rows: Sequence[Array]) -> list[Any]:
        """Rows of labels in the form of y: texts or lists."""
        lists = [row.tolist() for row in rows]
        return ["".join(row) for row in lists] if self.texts else lists

    def score(self, targets: Array, scores: Array, sample_weight: Array | None) -> float:
        """1 - label error rate; see the base."""
        true = [self.known[row[row != ENDED] - FIRST_LABEL] for row in targets]
        return 1.0 - label_error_rate(true, self.labels_in_rows(scores), sample_weight)

    def stored(self) -> dict[str, Any]:
        """See the base."""
        return {"classes_": self.classes, "_texts": self.texts}


def read_label_rows(y: Any, count: int) -> tuple[list[Array], bool]:
    """The labels of each row of y, and whether the rows are texts.

    Parameters
    ----------
    y : list of str, or of array_like (labels_i,) of str or int, or array_like (n, labels)
        An entry that is a single label is a row of one.
    count : int
        n, the number of sequences in X.

    Returns
    -------
    rows : list of ndarray (labels_i,)
    texts : bool

    Raises
    ------
    ConfigError, ShapeError
    """
    if isinstance(y, str):
        raise ConfigError(
            f"y is the text {y!r:.60}; expected a list with a text, or a list of labels, for each"
            " sequence"
        )
    check_given(y, count)
    entries = list(y if hasattr(y, "__iter__") else np.asarray(y))
    texts = all(isinstance(entry, str) for entry in entries)
    if texts:
        return [np.array(list(entry), np.str_) for entry in entries], True
    rows = [_labels_of(entry, number) for number, entry in enumerate(entries)]
    kinds = {row.dtype.kind for row in rows if len(row)}
    if len(kinds) > 1:
        raise ConfigError(
            "y holds labels that are text and labels that are numbers; expected labels of one kind"
        )
    dtype = np.str_ if kinds == {"U"} else np.int64
    return [row if len(row) else np.empty(0, dtype) for row in rows], False


def _labels_of(entry: Any, number: int) -> Array:
    """The labels of one entry of y, text or int64; one without labels has any dtype."""
    row = entry if isinstance(entry, np.ndarray) else np.array(entry, object)
    row = row[None] if row.ndim == 0 else row
    if row.ndim != 1:
        raise ShapeError(
            f"y[{number}] has shape {row.shape}; expected a text, or a list of labels, (labels,)"
        )
    if all(isinstance(label, str) for label in row):
        return row.astype(np.str_)
    if all(_is_whole(label) for label in row):
        return row.astype(np.int64)
    raise ConfigError(
        f"y[{number}] is {entry!r:.60}; expected a text, or labels that are all texts or all whole"
        " numbers"
    )


def _is_whole(label: Any) -> bool:
    is_number = isinstance(label, numbers.Real) and not isinstance(label, bool | np.bool_)
    return is_number and label == label // 1


def _need_steps(rows: Sequence[Array], steps: Array) -> None:
    """Refuse rows of labels that do not fit into their sequences.

    CTC needs a step for each label, and one between equal neighbours.
    """
    for number, (row, has) in enumerate(zip(rows, steps)):
        needed = len(row) + int((row[1:] == row[:-1]).sum())
        if needed > has:
            raise ShapeError(
                f"y[{number}] has {len(row)} labels, which need {needed} steps (one for each, and"
                f" one between equal neighbours), and X[{number}] has {has}; leave the sequence"
                " out, or give more frames a second"
            )


def label_error_rate(
    true: Sequence[Array], predicted: Sequence[Array], weights: Array | None = None
) -> float:
    """Sum of edit distances between rows, divided by the number of true labels.

    Parameters
    ----------
    true, predicted : list of ndarray (labels_i,)
        Labels of one kind.
    weights : ndarray (n,), or None
        Of rows. None: all are 1.

    Returns
    -------
    float
        From 0; 1 for each label of `predicted` if there are no true ones.
    """
    rows = [*true, *predicted]
    counts = np.array([len(row) for row in rows], np.intp)
    _, numbers_of = np.unique(np.concatenate(rows), return_inverse=True)
    padded = pad_sequences(
        np.split(numbers_of, np.cumsum(counts)[:-1]), dtype="int64", padding="post", value=ENDED
    )
    half = len(true)
    each = np.ones(half) if weights is None else weights
    edits = float(each @ edit_distances(padded[:half], counts[:half], padded[half:], counts[half:]))
    labels = float(each @ counts[:half])
    return edits / labels if labels else edits
