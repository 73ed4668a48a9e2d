"""What a call was given, read and checked: the feeds of fit, evaluate and predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .batches import FORMS, PARTS, makes_batches, parts_of, refuse_pairs
from .class_weights import add_class_weight
from .feeds import BatchFeed, RowFeed
from .mapped import MappedSamples
from .preparing import prepare_samples

if TYPE_CHECKING:
    from gatewise._typing import Model

    from .batches import Given
    from .feeds import AnySamples, Feed
    from .setup import FitSetup


DEFAULT_BATCH = 32  # rows


class Feeds(NamedTuple):
    """Where the batches of a fit come from; validation is None if nothing is validated."""

    training: RowFeed | BatchFeed
    validation: RowFeed | BatchFeed | None


def read_feeds(model: Model, setup: FitSetup) -> Feeds:
    """Return the feeds of a fit; the model is built if it was not."""
    if makes_batches(setup.given.x):
        feeds = Feeds(_feed_of_batches(model, setup), None)
    else:
        feeds = _feeds_of_rows(model, setup)
    if setup.validation_data is not None:
        feeds = feeds._replace(validation=_validation_feed(model, setup))
    elif setup.validation_steps is not None:
        raise ConfigError(
            "validation_steps counts batches that validation_data makes; there is none: leave it"
            " out"
        )
    _check_truncated(model, setup.tbptt_steps)
    return feeds


def _shuffles(model: Model, setup: FitSetup) -> bool:
    """Whether the order is drawn; rows of a stateful model continue from batch to batch."""
    return setup.shuffle and not model._is_stateful


def _validation_rows(model: Model, setup: FitSetup) -> int | None:
    """Return the batch size of validation; a stateful model validates all rows at once."""
    if setup.validation_batch_size is None and not model._is_stateful:
        return setup.batch_size
    return setup.validation_batch_size


def _feed_of_batches(model: Model, setup: FitSetup) -> BatchFeed:
    """Return the feed of an x that makes batches."""
    refuse_beside_batches(setup.given, validation_split=setup.validation_split or None)
    _bucketing(model, setup.bucketing, None, False)
    return BatchFeed(
        model,
        setup.given.x,
        setup.steps_per_epoch,
        shuffle=_shuffles(model, setup),
        tbptt_steps=setup.tbptt_steps,
        class_weight=setup.class_weight,
    )


def _feeds_of_rows(model: Model, setup: FitSetup) -> Feeds:
    """Return the feeds of arrays, of which a part may be held out to validate on."""
    if setup.steps_per_epoch is not None:
        raise ConfigError(
            "steps_per_epoch counts batches that x makes itself; x is an array: leave it out"
        )
    samples, validation = samples_of(model, setup.given), None
    if setup.validation_data is None and setup.validation_split:
        samples, held_out = split_off_validation(samples, setup.validation_split)
        refuse_uncounted(held_out, "the validation part")
        rows = _validation_rows(model, setup)
        validation = RowFeed(
            held_out, rows_in_batch(model, rows, len(held_out), "the validation part")
        )
    if len(samples) == 0:
        raise ShapeError("x has 0 samples: nothing to train on")
    if isinstance(samples, MappedSamples):
        samples.class_weight = setup.class_weight
    else:
        add_class_weight(model, samples, setup.class_weight)
    refuse_uncounted(samples, "x")
    shuffle = _shuffles(model, setup)
    training = RowFeed(
        samples,
        rows_in_batch(model, setup.batch_size, len(samples), "x"),
        shuffle=shuffle,
        bucketing=_bucketing(model, setup.bucketing, samples, shuffle),
        tbptt_steps=setup.tbptt_steps,
    )
    return Feeds(training, validation)


def _validation_feed(model: Model, setup: FitSetup) -> Feed:
    """Return the feed of ``validation_data``."""
    data, steps = setup.validation_data, setup.validation_steps
    if makes_batches(data, "validation_data"):
        if hasattr(data, "__next__"):
            if steps is None:
                raise ConfigError(
                    "validation_data is an iterator: give validation_steps, how many batches to"
                    " take each time, or give something that can be gone over again"
                )
        return BatchFeed(model, data, steps, steps_name="validation_steps")
    if isinstance(data, list):
        refuse_pairs(data, "validation_data", need_y=False)
    if not (
        isinstance(data, dict) or (isinstance(data, tuple | list) and 2 <= len(data) <= len(PARTS))
    ):
        raise ConfigError(f"validation_data: expected {FORMS}; or batches")
    feed = feed_of(
        model,
        parts_of(data, "validation_data"),
        batch_size=_validation_rows(model, setup),
        steps=steps,
        steps_name="validation_steps",
        name="validation_data",
    )
    if len(feed.samples):
        refuse_uncounted(feed.samples, "validation_data")
    return feed


def feed_of(
    model: Model,
    given: Given,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    need_y: bool = True,
    steps_name: str = "steps",
    name: str = "x",
) -> Feed:
    """Return the feed of what an evaluation or prediction was given, in order."""
    if makes_batches(given.x, name):
        refuse_beside_batches(given)
        return BatchFeed(model, given.x, steps, need_y=need_y, steps_name=steps_name)
    if steps is not None:
        raise ConfigError(
            f"{steps_name} counts batches that x makes itself; x is an array, which batch_size"
            " divides: leave it out"
        )
    samples = samples_of(model, given, need_y)
    return RowFeed(samples, rows_in_batch(model, batch_size, len(samples), name))


def samples_of(model: Model, given: Given, need_y: bool = True) -> AnySamples:
    """Return checked samples of arrays; those of a memory-mapped x stay in its file."""
    if given.y is None:
        refuse_pairs(given.x, "x", need_y)
    if type(given.x) is not np.ndarray and _is_mapped(given.x):
        return MappedSamples(model, given, need_y)
    return prepare_samples(model, given, need_y)


def _is_mapped(x: Any) -> bool:
    """Whether an input is memory-mapped."""
    parts = x.values() if isinstance(x, dict) else x if isinstance(x, list | tuple) else [x]
    return any(isinstance(part, np.memmap) for part in parts)


def refuse_uncounted(samples: AnySamples, name: str) -> None:
    """Refuse samples of which nothing counts, as far as it is known without reading a file.

    Raises
    ------
    ConfigError
    """
    mapped = isinstance(samples, MappedSamples)
    lengths = samples.lengths if mapped else [batch.lengths for batch in samples.inputs]
    weights = samples.sample_weight if mapped else [each.weights for each in samples.trained]
    if all(each is not None and not each.any() for each in lengths) or (
        mapped and all(mask is not None and not mask.any() for mask in samples.mask)
    ):
        cause = "every row has 0 steps; check lengths and mask"
    elif not mapped and all(
        each.valid is not None and not each.valid.any() for each in samples.trained
    ):
        cause = "the loss ignores every target; check ignore_class and the mask"
    elif all(each is not None and not np.any(each) for each in weights):
        cause = "every weight is 0; check sample_weight and class_weight"
    else:
        return
    raise ConfigError(f"nothing in {name} counts: {cause}")


def split_off_validation(samples: AnySamples, fraction: float) -> tuple[AnySamples, AnySamples]:
    """Split samples into training and validation, which is the last part, before any shuffling."""
    fraction = checks.fraction(fraction, "validation_split")
    at = int(len(samples) * (1 - fraction))
    if at == 0 or at == len(samples):
        raise ShapeError(
            f"validation_split {fraction} of {len(samples)} samples leaves one side empty"
        )
    cut = samples.part if isinstance(samples, MappedSamples) else samples.take
    return cut(slice(None, at)), cut(slice(at, None))


def rows_in_batch(model: Model, batch_size: int | None, count: int, name: str) -> int:
    """Return the number of rows in a batch; the last batch may have fewer.

    Parameters
    ----------
    model : Sequential
    batch_size : int or None
        None: 32, and all rows if a layer of the model is stateful.
    count : int
        Number of rows.
    name : str
        What the rows are, for the message.

    Raises
    ------
    ShapeError
        A layer is stateful and there are more rows than `batch_size`: the second batch would go on
        from the state of the first one, whose rows are others.
    """
    if not model._is_stateful:
        return DEFAULT_BATCH if batch_size is None else batch_size
    if batch_size is None:
        return max(count, 1)
    if count > batch_size:
        layer = next(layer for layer in model._layers if layer.stateful)
        raise ShapeError(
            f"{name} has {count} rows and the batch size is {batch_size}: layer {layer.name!r} is"
            f" stateful, so that row {batch_size} would go on from the state of row 0; leave the"
            f" batch size out, and all {count} rows are one batch; if batches are meant to go on"
            " from one another, pass a generator or a sequence of batches as x"
        )
    return batch_size


def refuse_beside_batches(given: Given, **others: Any) -> None:
    """Refuse what belongs to samples beside an x that makes whole batches."""
    for name, value in (given._asdict() | others).items():
        if name != "x" and value is not None:
            raise ConfigError(
                f"{name} was given beside an x that makes batches; let x give {FORMS}"
            )


def _bucketing(
    model: Model, bucketing: bool | str, samples: AnySamples | None, shuffle: bool
) -> bool:
    """Whether to sort rows into batches by length; "auto": if shuffled rows have lengths."""
    if not (isinstance(bucketing, bool | np.bool_) or bucketing == "auto"):
        raise ConfigError(f"bucketing is {bucketing!r}; expected True, False or 'auto'")
    ragged = samples is not None and samples.row_lengths is not None
    possible = shuffle and ragged and model._takes_any_length and not model._is_stateful
    if bucketing is True and not possible:
        raise ConfigError(
            "bucketing sorts shuffled rows by their lengths: it needs lengths, shuffle=True, no"
            " stateful layer and no Flatten"
        )
    return bool(bucketing) and possible


def _check_truncated(model: Model, tbptt_steps: int | None) -> None:
    """Refuse truncated back-propagation if it cannot go forward in time with a target a step."""
    if tbptt_steps is None:
        return
    nodes = model._nodes().values()
    whole = next((layer for layer in nodes if not layer.causal), None)
    if whole is not None:
        raise ConfigError(
            f"tbptt_steps: layer {whole.name!r} looks at steps of other parts, before or behind its"
            " own, which no state carries from part to part; leave tbptt_steps out"
        )
    if model._starts_given is not None:
        raise ConfigError(
            f"tbptt_steps: layer {model._starts_given.name!r} receives its initial state from other"
            " layers, so that it cannot begin with that of the part before; leave tbptt_steps out"
        )
    steady = all(
        objective.loss is None
        or (model._followed_input(j) is not None and not objective.loss._per_sequence)
        for j, objective in enumerate(model._objectives)
    ) and not any(layer.reads_steps and not layer.keeps_steps for layer in nodes)
    if not steady or not model._takes_any_length:
        raise ConfigError(
            "tbptt_steps needs an output and a target at each step: give every recurrent layer "
            "return_sequences=True, and a loss of single steps"
        )
