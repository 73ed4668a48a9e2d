"""y and weights with an entry for each sequence, before it is known what y means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_array

from gatewise import checks
from gatewise.data.sequences import container_of
from gatewise.errors import ConfigError, ShapeError
from gatewise.estimators.reading.checking import checked_by_sklearn, unmasked

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.estimators.reading.groups import Groups
    from gatewise.estimators.reading.sequences import Sequences


class SequenceEntries:
    """y and weights with an entry for each sequence.

    Parameters
    ----------
    columns : bool
        y may have several columns, each with weights of its own.
    """

    def __init__(self, columns: bool = False) -> None:
        self.columns = columns

    def by_sequence(self, entries: Any, groups: Groups, name: str) -> Any:
        """An entry for each sequence, of one a sequence or one a row of a long table."""
        return groups.one_each(entries, name)

    def read_weights(self, sample_weight: Any, sequences: Sequences) -> Array | None:
        """ndarray (n,) of float64, or (n, outputs) if there are columns; None stays None.

        Raises
        ------
        ConfigError, ShapeError, NonFiniteError
        """
        if sample_weight is None:
            return None
        unmasked(sample_weight, "sample_weight")
        if self.columns and _columns_of(sample_weight) > 1:
            with checked_by_sklearn():
                weights = check_array(sample_weight, dtype=np.float64, input_name="sample_weight")
            if len(weights) != len(sequences):
                raise ShapeError(
                    f"sample_weight has {len(weights)} rows, X has {len(sequences)} samples;"
                    " expected one row each"
                )
            return check_weights(weights)
        with checked_by_sklearn():
            weights = _check_sample_weight(
                sample_weight, sequences.values, dtype=np.float64, ensure_non_negative=True
            )
        return check_weights(weights)


def _columns_of(weights: Any) -> int:
    """Columns of weights of sequences; 1 if they are no table, which is refused later."""
    shape = getattr(weights, "shape", None)
    if shape is None and container_of(weights) is None:
        shape = np.asarray(weights).shape
    return shape[1] if shape is not None and len(shape) == 2 else 1


def check_weights(weights: Array) -> Array:
    """Weights, none of them negative and not all of them 0.

    Raises
    ------
    ConfigError
    """
    if not weights.size or weights.min() < 0 or not weights.any():
        found = (
            f"the smallest weight is {weights.min()}, the largest {weights.max()}"
            if weights.size
            else "there is none"
        )
        raise ConfigError(
            f"sample_weight: {found}; expected no negative one, and not every weight zero"
        )
    return checks.summable(weights, "sample_weight")


def check_given(y: Any, count: int) -> None:
    """Refuse a y that is missing, masked, or not of `count` entries.

    Raises
    ------
    ConfigError, ShapeError, DTypeError, NonFiniteError
    """
    if y is None:
        raise ConfigError("this estimator requires y to be passed, but the target y is None")
    with checked_by_sklearn():
        rows = _num_samples(unmasked(y, "y"))
    if rows != count:
        raise ShapeError(
            f"y has {rows} entries, X has {count} samples: found input variables with inconsistent"
            " numbers of samples"
        )
