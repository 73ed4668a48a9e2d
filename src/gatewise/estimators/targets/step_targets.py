"""What estimators share whose targets stand beside steps."""

import numpy as np
from sklearn.utils.validation import check_array

from gatewise.estimators.base import SequenceEstimator, check_weights
from gatewise.estimators.reading import inputs

from .labelled_steps import has_steps, in_one, spread


class StepTargets(SequenceEstimator):
    """Base of an estimator whose targets and weights stand beside steps, where `_per_step` says so."""

    _several_outputs = False  # a step may have several targets, each with its own weight

    def _of_groups(self, y, sample_weight, groups):
        if not self._per_step:
            return super()._of_groups(y, sample_weight, groups)
        return _by_sequence(y, groups, "y"), _by_sequence(sample_weight, groups, "sample_weight")

    def _read_weights(self, sample_weight, sequences):
        """ndarray (n,), or (n, steps) or (n, steps, outputs) with 0 at padding."""
        if not self._per_step or not has_steps(sample_weight, sequences.all_lengths.max()):
            return super()._read_weights(sample_weight, sequences)
        flat = in_one(sample_weight, sequences, "sample_weight", columns=self._several_outputs)
        with inputs.checked_by_sklearn():
            flat = check_array(flat, dtype=np.float64, ensure_2d=False, input_name="sample_weight")
        if flat.ndim == 2 and flat.shape[1] == 1:
            flat = flat[:, 0]
        return spread(check_weights(flat), sequences)

    def _normalized(self, weights, sequences):
        """Weights whose mean, over all steps where targets stand beside steps, is 1."""
        if not self._per_step or weights is None:
            return super()._normalized(weights, sequences)
        weights = _of_steps(weights, sequences)
        outputs = weights.shape[2] if weights.ndim == 3 else 1
        return weights * (outputs * sequences.valid.sum() / weights.sum())

    def _split(self, sequences, targets, weights):
        *training, (held_out, wanted, weights) = super()._split(sequences, targets, weights)
        return *training, (
            held_out,
            wanted,
            _of_steps(weights, held_out) if self._per_step else weights,
        )

    @staticmethod
    def _side_by_side(y, predicted, sample_weight, groups, *, columns=False):
        """(y, predicted, sample_weight) of all steps, one sequence behind the other, as a score takes them."""
        if groups is not None:
            return y, predicted, sample_weight
        steps = [len(row) for row in predicted]
        given = inputs.Sequences(np.empty((len(steps), max(steps))), np.array(steps))
        if sample_weight is not None:
            by_step = has_steps(sample_weight, max(steps))
            sample_weight = (
                in_one(sample_weight, given, "sample_weight", columns=columns)
                if by_step
                else np.repeat(np.ravel(sample_weight), steps)
            )
        return in_one(y, given, "y", columns=columns), np.concatenate(predicted), sample_weight


def _by_sequence(entries, groups, name):
    """Entries a row of a long table as a list, one array a sequence; entries a sequence stay."""
    if entries is None or len(entries) != len(groups.number):
        return groups.one_each(entries, name)
    return groups.sequences(np.asarray(entries))


def _of_steps(weights, sequences):
    """Weights (n, steps) or (n, steps, outputs), 0 at padding, of those of sequences or steps, or of None."""
    if weights is None:
        return sequences.valid.astype(np.float64)
    if weights.ndim == 3:
        return np.where(sequences.valid[..., None], weights, 0.0)
    return np.where(sequences.valid, weights if weights.ndim == 2 else weights[:, None], 0.0)
