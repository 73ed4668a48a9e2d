"""Missing values, marked by NaN, replaced or left out before a model reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise.data import missing as tools

from .sequences import Sequences

if TYPE_CHECKING:
    from gatewise._typing import Array

MISSING = ("error", "forward_fill", "mean", "mask", "indicator", "decay")


def completed(sequences: Sequences, missing: str, means: Array) -> Sequences:
    """Return sequences without NaN.

    Parameters
    ----------
    sequences : Sequences
    missing : {"forward_fill", "mean", "mask", "indicator", "decay"}
        "forward_fill": the last value seen, and the mean before the first one. "mean": the mean.
        "mask": steps with any missing value are left out. "indicator", "decay": three features for
        each, see :func:`gatewise.data.missing_indicators`.
    means : ndarray of shape (features,)
        The means of the features in the training data.

    Returns
    -------
    Sequences
        The same object if there is nothing to fill or to leave out. With "mask", `counted` tells
        which steps were not left out.
    """
    values, lengths = sequences.values, sequences.lengths
    if missing in ("mask", "forward_fill", "mean") and not tools.has_missing(values, lengths):
        return sequences
    if missing == "mask":
        counted = tools.counted_steps(values, lengths)
        values, left = tools.compress(values, counted)
        values = np.ascontiguousarray(values[:, : max(1, left.max(initial=0))])
        return Sequences(
            values,
            left,
            table=sequences.table,
            groups=sequences.groups,
            counted=counted,
            given_lengths=sequences.each_length,
        )
    if missing == "forward_fill":
        values = tools.fill_forward(values, lengths, means)
    elif missing == "mean":
        values = tools.fill_mean(values, means, lengths)
    else:
        values = tools.missing_indicators(values, lengths, means=means)
    return Sequences(values, lengths, table=sequences.table, groups=sequences.groups)
