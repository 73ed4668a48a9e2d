"""Missing values, marked by NaN, before a model sees them."""

import numpy as np

from gatewise.data import missing as tools

from .inputs import Sequences

MISSING = ("error", "forward_fill", "mean", "mask", "indicator", "decay")


def completed(sequences, missing, means):
    """Sequences without NaN.

    Parameters
    ----------
    sequences : Sequences
    missing : one of MISSING
        "forward_fill": the last value that was seen, before the first one the mean. "mean": the
        mean. "mask": steps at which any value is missing are left out. "indicator", "decay": three
        features for each, see :func:`gatewise.data.missing_indicators`.
    means : ndarray (features,)
        Of the training data.

    Returns
    -------
    Sequences
        The same where there is nothing to fill or to leave out. Those of "mask" otherwise know in
        `counted`, bool (n, steps), which steps are left.
    """
    values, lengths = sequences.values, sequences.lengths
    if missing in ("mask", "forward_fill", "mean") and not tools.has_missing(values, lengths):
        return sequences
    if missing == "mask":
        counted = tools.counted_steps(values, lengths)
        values, left = tools.compress(values, counted)
        values = np.ascontiguousarray(values[:, : max(1, left.max(initial=0))])
        return Sequences(
            values, left, sequences.table, sequences.groups, counted, sequences.each_length
        )
    if missing == "forward_fill":
        values = tools.fill_forward(values, lengths, means)
    elif missing == "mean":
        values = tools.fill_mean(values, means, lengths)
    else:
        values = tools.missing_indicators(values, lengths, means=means)
    return Sequences(values, lengths, sequences.table, sequences.groups)
