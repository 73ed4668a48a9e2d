"""Checked samples of arrays, as every call of a model makes them."""

from gatewise.training.batches import Given
from gatewise.training.data import prepare_samples


def samples_of(model, x, y=None, sample_weight=None, need_y=True, **others):
    """Samples of x, y and whatever else belongs to a sample, by name."""
    return prepare_samples(model, Given(x, y, sample_weight, **others), need_y)
