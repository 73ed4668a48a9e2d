"""Entries that stand beside steps, as y does in tagging: read, laid out as the steps are, and given back."""

import numpy as np

from gatewise.data import missing as tools
from gatewise.data.sequences import container_of
from gatewise.errors import ShapeError
from gatewise.estimators.reading.inputs import is_frame, unmasked


def has_steps(entries, steps):
    """Whether there is an entry for each step, rather than for each sequence.

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


def in_one(entries, sequences, name, *, columns=False):
    """ndarray of all entries, those of one sequence behind those of another: (steps,), or with `columns` (steps, columns) as well.

    Raises
    ------
    ShapeError
        Not one for each step.
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


def spread(flat, sequences):
    """ndarray (n, steps, ...) of what :func:`in_one` gave, laid out as the values of the sequences are, zeros at padding."""
    lengths = sequences.all_lengths
    steps = sequences.values.shape[1] if sequences.counted is None else sequences.counted.shape[1]
    result = np.zeros((len(lengths), steps, *flat.shape[1:]), flat.dtype)
    result[np.arange(steps) < lengths[:, None]] = flat
    if sequences.counted is None:
        return result
    return np.ascontiguousarray(
        tools.compress(result, sequences.counted)[0][:, : sequences.values.shape[1]]
    )


def as_given(result, X, sequences):
    """Results (n, steps, ...) in the form of X: an array, a list of arrays, or an entry a row of a long table.

    A step that was left out, as values are missing, has the result of the last one before it that
    was not.
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
