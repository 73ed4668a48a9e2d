"""Checked samples of arrays, as every call of a model makes them, and a look at their arrays."""

from types import SimpleNamespace

from gatewise.layers.tape import Batch, Steps
from gatewise.training.batches import Given
from gatewise.training.data import Samples, Targets
from gatewise.training.preparing import prepare_samples


def samples_of(model, x, y=None, sample_weight=None, need_y=True, **others):
    """Samples of x, y and whatever else belongs to a sample, by name."""
    return prepare_samples(model, Given(x, y, sample_weight, **others), need_y)


def raw_samples(x, y=None, weights=None, lengths=None, resets=None, valid=None, per_step=False):
    """Samples of one input and one output, of arrays as they are."""
    targets = Targets(y, weights, valid, follows=0 if per_step else None)
    return Samples([Batch(x, Steps(lengths, resets))], () if y is None else (targets,))


def arrays_of(samples):
    """The arrays of one input and one output by name."""
    batch = samples.inputs[0]
    steps = batch.steps or Steps()
    targets = samples.targets[0] if samples.targets else Targets(None)
    return SimpleNamespace(
        x=batch.values,
        lengths=steps.lengths,
        resets=steps.resets,
        y=targets.y,
        weights=targets.weights,
        valid=targets.valid,
    )
