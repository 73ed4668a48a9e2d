"""y and weights with an entry for each step: read, laid out as the steps are, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_array

from gatewise.data import missing
from gatewise.data.columns import is_frame
from gatewise.data.sequences import container_of
from gatewise.errors import ShapeError
from gatewise.estimators.reading.checking import checked_by_sklearn, unmasked
from gatewise.estimators.reading.sequences import Sequences

from .base import SequenceTarget
from .entries import SequenceEntries, check_weights

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.estimators.reading.groups import Groups


class StepTarget(SequenceTarget):
    """Base of targets of steps: what differs in their weights."""

    per_step = True

    def normalized(self, weights: Array | None, sequences: Sequences) -> Array | None:
        """Weights whose mean over all steps, and all outputs of them, is 1."""
        if weights is None:
            return None
        weights = step_weights(weights, sequences)
        outputs = weights.shape[2] if weights.ndim == 3 else 1
        return weights * (outputs * sequences.valid.sum() / weights.sum())

    def validation_weights(self, weights: Array | None, sequences: Sequences) -> Array:
        """Weights of steps, see :func:`step_weights`."""
        return step_weights(weights, sequences)


class StepEntries(SequenceEntries):
    """y and weights with an entry for each step, or for each sequence and so for all its steps.

    Parameters
    ----------
    columns : bool
        An entry of y may have several columns, each with a weight of its own.
    """

    def by_sequence(self, entries: Any, groups: Groups, name: str) -> Any:
        """list of ndarray of an entry a row of a long table; entries a sequence stay."""
        if entries is None or len(entries) != len(groups.number):
            return groups.one_each(entries, name)
        return groups.sequences(np.asarray(entries))

    def read_weights(self, sample_weight: Any, sequences: Sequences) -> Array | None:
        """ndarray (n,), or (n, steps) or (n, steps, outputs) with 0 at padding; None stays None.

        Raises
        ------
        ConfigError, ShapeError, NonFiniteError
        """
        if not has_steps(sample_weight, sequences.all_lengths.max()):
            return SequenceEntries().read_weights(sample_weight, sequences)
        flat = in_one(sample_weight, sequences, "sample_weight", columns=self.columns)
        with checked_by_sklearn():
            flat = check_array(flat, dtype=np.float64, ensure_2d=False, input_name="sample_weight")
        if flat.ndim == 2 and flat.shape[1] == 1:
            flat = flat[:, 0]
        return spread(check_weights(flat), sequences)

    def side_by_side(self, y: Any, predicted: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """y, predictions and weights of all steps, one sequence behind the other, for a score.

        Parameters
        ----------
        y : array_like (n, time) or list of array_like (time_i,)
        predicted : ndarray (n, time) or list of ndarray (time_i,)
        sample_weight : array_like of sequences or of steps, or None

        Returns
        -------
        y, predicted : ndarray (steps,) or (steps, columns)
        sample_weight : ndarray or None

        Raises
        ------
        ShapeError
        """
        steps = [len(row) for row in predicted]
        given = Sequences(np.empty((len(steps), max(steps))), np.array(steps))
        if sample_weight is not None:
            if has_steps(sample_weight, max(steps)):
                sample_weight = in_one(sample_weight, given, "sample_weight", columns=self.columns)
            else:
                sample_weight = np.repeat(np.ravel(sample_weight), steps)
        return in_one(y, given, "y", columns=self.columns), np.concatenate(predicted), sample_weight


def step_weights(weights: Array | None, sequences: Sequences) -> Array:
    """Weights (n, steps) or (n, steps, outputs), 0 at padding.

    Parameters
    ----------
    weights : ndarray (n,), (n, steps) or (n, steps, outputs), or None
        None: 1 for each step.
    sequences : Sequences
    """
    if weights is None:
        return sequences.valid.astype(np.float64)
    if weights.ndim == 3:
        return np.where(sequences.valid[..., None], weights, 0.0)
    return np.where(sequences.valid, weights if weights.ndim == 2 else weights[:, None], 0.0)


def has_steps(entries: Any, steps: int) -> bool:
    """Whether there is an entry for each step, not for each sequence.

    Parameters
    ----------
    entries : array_like
    steps : int
        Extent of the time axis: a column of one entry a sequence is no sequence of one step.
    """
    if entries is None:
        return False
    if container_of(entries) is not None:
        return True
    shape = np.asarray(entries).shape
    return len(shape) > 1 and not (shape[1] == 1 and steps > 1)


def in_one(entries: Any, sequences: Sequences, name: str, *, columns: bool = False) -> Array:
    """All entries in one array, those of one sequence behind those of another.

    Parameters
    ----------
    entries : array_like (n, time), or list of array_like (time_i,)
    sequences : Sequences
    name : str
        For messages.
    columns : bool
        An entry may have several columns.

    Returns
    -------
    ndarray (steps,), or with `columns` (steps, columns) as well

    Raises
    ------
    ShapeError
        There is not one for each step.
    """
    # iteration goes over columns, or misses rows of other labels
    if is_frame(entries) or hasattr(entries, "iloc"):
        entries = np.asarray(entries)
    rows = [np.asarray(unmasked(row, f"{name}[{number}]")) for number, row in enumerate(entries)]
    lengths = sequences.all_lengths
    if len(rows) != len(lengths):
        raise ShapeError(
            f"{name} has {len(rows)} rows, X has {len(lengths)} sequences; expected one row of"
            " entries each"
        )
    if not columns:
        rows = [row[:, 0] if row.ndim == 2 and row.shape[1] == 1 else row for row in rows]
    each = rows[0].shape[1:2] if columns else ()
    for number, (row, length) in enumerate(zip(rows, lengths)):
        if row.shape != (length, *each):
            raise ShapeError(
                f"{name}[{number}] has shape {row.shape}, X[{number}] has {length} steps; expected"
                " one entry a step" + (f", with the {each[0]} columns of {name}[0]" if each else "")
            )
    return np.concatenate([row for row in rows if len(row)] or rows)


def spread(flat: Array, sequences: Sequences) -> Array:
    """Entries of :func:`in_one`, laid out as the values of the sequences are.

    Parameters
    ----------
    flat : ndarray (steps, ...)
    sequences : Sequences

    Returns
    -------
    ndarray (n, steps, ...)
        Zeros at padding. Without the steps that the sequences leave out.
    """
    lengths = sequences.all_lengths
    steps = sequences.values.shape[1] if sequences.counted is None else sequences.counted.shape[1]
    result = np.zeros((len(lengths), steps, *flat.shape[1:]), flat.dtype)
    result[np.arange(steps) < lengths[:, None]] = flat
    if sequences.counted is None:
        return result
    return np.ascontiguousarray(
        missing.compress(result, sequences.counted)[0][:, : sequences.values.shape[1]]
    )


def as_given(result: Array, X: Any, sequences: Sequences) -> Any:
    """Results of steps in the form of X.

    Parameters
    ----------
    result : ndarray (n, steps, ...)
    X : array_like
        What the user gave.
    sequences : Sequences
        X as it was read. A step that was left out, because values are missing, has the result of
        the last step before it that was not.

    Returns
    -------
    ndarray (n, steps, ...), list of ndarray (time_i, ...), or ndarray (rows, ...) of a long table
    """
    if sequences.counted is not None:
        before = np.maximum(np.cumsum(sequences.counted, axis=1) - 1, 0)
        result = np.take_along_axis(
            result, before.reshape(*before.shape, *(1,) * (result.ndim - 2)), axis=1
        )
    if sequences.groups is None and container_of(X) is None:
        return result
    rows = [row[:length] for row, length in zip(result, sequences.all_lengths)]
    if sequences.groups is None:
        return rows
    flat = np.concatenate(rows)
    in_order = np.empty_like(flat)
    in_order[sequences.groups.order] = flat
    return in_order
