"""Where batches come from: rows of arrays in some order, or batches that the user makes.

A feed makes a plan for an epoch, with the random numbers of the generator that it receives, and
then the batches of the plan, from any one on. Training that continues in the middle of an epoch
draws the same plan again.
"""

from __future__ import annotations

from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .batches import is_indexed, parts_of
from .class_weights import add_class_weight
from .data import Rows, Samples, batch_bounds
from .mapped import MappedSamples
from .preparing import prepare_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewise._typing import Array, Model


# batches that bucketing sorts by length at a time, so that each batch stays random
POOL = 16


AnySamples = Samples | MappedSamples
# rows, slice of their steps or None for all, whether sequences begin there
Part = tuple[Rows, slice | None, bool]


def _length(source: Any) -> int | None:
    """Return the number of batches that a sequence makes now; None: it has no end.

    ``num_batches`` of Keras's PyDataset is by default its length.
    """
    batches = source.num_batches if hasattr(source, "num_batches") else len(source)
    batches = batches() if callable(batches) else batches
    return None if batches is None else checks.whole_number(batches, "the length of x", 0)


class RowFeed:
    """Batches of the rows of some samples.

    Parameters
    ----------
    samples : Samples or MappedSamples
    batch_size : int
    shuffle : bool
        Draw the order of the rows anew for each epoch.
    bucketing : bool
        Rows of about the same length share a batch. Each batch is then as long as its longest row.
    tbptt_steps : int, optional
        Cut each batch into parts of this many steps.
    """

    samples: AnySamples
    batch_size: int
    shuffle: bool
    bucketing: bool
    tbptt_steps: int | None
    ended: bool

    def __init__(
        self,
        samples: AnySamples,
        batch_size: int,
        shuffle: bool = False,
        bucketing: bool = False,
        tbptt_steps: int | None = None,
    ) -> None:
        self.samples, self.batch_size = samples, batch_size
        self.shuffle, self.bucketing, self.tbptt_steps = shuffle, bucketing, tbptt_steps
        self.ended = False
        if tbptt_steps is not None:
            _need_one_time_axis(samples)

    @property
    def steps(self) -> int | None:
        """Batches in an epoch; None if that depends on which rows are in one batch."""
        batches = len(batch_bounds(len(self.samples), self.batch_size))
        if self.tbptt_steps is None:
            return batches
        return (
            None
            if self.samples.row_lengths is not None
            else batches * -(-self.samples.steps // self.tbptt_steps)
        )

    def describe(self) -> dict[str, Any]:
        """Return what must be equal so that an epoch's plan can be drawn again: JSON values."""
        return {
            "samples": len(self.samples),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "bucketing": self.bucketing,
            "tbptt_steps": self.tbptt_steps,
        }

    def takes_as_many(self, steps: Any) -> bool:
        """Return False: rows are not counted in batches."""
        return False

    def plan(self, rng: np.random.Generator) -> list[Part]:
        """Return the batches: (rows, slice of steps or None, whether sequences begin there)."""
        count = len(self.samples)
        if not self.shuffle:
            batches: list[Rows] = [
                slice(*bounds) for bounds in batch_bounds(count, self.batch_size)
            ]
        elif self.bucketing:
            batches = self._buckets(rng)
        else:
            order = rng.permutation(count)
            batches = [order[first:last] for first, last in batch_bounds(count, self.batch_size)]
        if self.tbptt_steps is None and not self.bucketing:
            return [(rows, None, True) for rows in batches]
        return [
            (rows, steps, steps.start == 0)
            for rows in batches
            for steps in chunks(self.samples.longest(rows), self.tbptt_steps)
        ]

    def _buckets(self, rng: np.random.Generator) -> list[Array]:
        """Return the rows of each batch: rows of about the same length, in random order."""
        order = rng.permutation(len(self.samples))
        lengths: Any = self.samples.row_lengths
        batches = []
        for first, last in batch_bounds(len(order), POOL * self.batch_size):
            pool = order[first:last]
            pool = pool[np.argsort(-lengths[pool], kind="stable")]
            batches += [pool[a:b] for a, b in batch_bounds(len(pool), self.batch_size)]
        return [batches[number] for number in rng.permutation(len(batches))]

    def count(self, plan: list[Part]) -> int | None:
        """Return the number of batches in a plan; None if it is known only at the end."""
        return len(plan)

    def rows_going_on(self, plan: list[Part], number: int) -> int | None:
        """Return how many rows of a batch continue an earlier one; None: none or not known."""
        rows, _, begins = plan[number] if number < len(plan) else (None, None, True)
        return (
            None
            if begins
            else len(range(*rows.indices(len(self.samples))) if isinstance(rows, slice) else rows)
        )

    def batches(self, plan: list[Part], first: int = 0) -> Iterator[tuple[Samples, bool]]:
        """Iterate over a plan's batches from `first` on: (Samples, whether sequences begin)."""
        for rows, steps, begins in plan[first:]:
            yield self.samples.take(rows, steps), begins

    def begin_epoch(self) -> None:
        """Do nothing: arrays stay as they are."""

    end_epoch = begin_epoch

    def all(self) -> Iterator[Samples]:
        """Iterate over the Samples of every batch, in order."""
        if isinstance(self.samples, Samples) and 0 < len(self.samples) <= self.batch_size:
            yield self.samples
            return
        for first, last in batch_bounds(len(self.samples), self.batch_size):
            yield self.samples.take(slice(first, last))


class BatchFeed:
    """Batches that the user makes.

    Parameters
    ----------
    model : Sequential
    source : iterator, iterable or sequence
        An iterator continues from epoch to epoch; anything else starts again in each. Each item is
        what :func:`batches.parts_of` takes; without need_y x alone is enough. The length of a
        sequence is read at the beginning of each epoch, so that it may grow and shrink in between.
    steps : int, optional
        Items in an epoch. None: all there are.
    shuffle : bool
        Draw the order of a sequence's items anew for each epoch.
    tbptt_steps : int, optional
        Cut each batch into parts of this many steps.
    class_weight : dict, optional
    """

    model: Model
    source: Any
    need_y: bool
    items: int | None  # in an epoch
    asked_for: int | None
    shuffle: bool
    tbptt_steps: int | None
    class_weight: Mapping[int, float] | None
    steps_name: str
    indexed: bool
    length: int | None  # batches of a sequence in the current epoch
    once: bool  # whether the source continues from epoch to epoch
    drawn: int  # items taken from it so far
    ended: bool

    def __init__(
        self,
        model: Model,
        source: Any,
        steps: int | None = None,
        shuffle: bool = False,
        tbptt_steps: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        need_y: bool = True,
        steps_name: str = "steps_per_epoch",
    ) -> None:
        self.model, self.source, self.need_y = model, source, need_y
        # what is notified of the beginning and the end of epochs
        self._notified = None if hasattr(source, "__next__") else source
        self.items = self.asked_for = (
            None if steps is None else checks.whole_number(steps, steps_name)
        )
        self.shuffle, self.tbptt_steps, self.class_weight = shuffle, tbptt_steps, class_weight
        self.steps_name = steps_name
        self.indexed = is_indexed(source)
        self.length = None
        if self.indexed:
            self._take_length()
            if steps is not None and self.indexed and self.asked_for > self.length:
                raise ConfigError(
                    f"{steps_name} is {self.asked_for}, and x makes {self.length} batches: leave"
                    " it out"
                )
        self.once = hasattr(self.source, "__next__")
        self.drawn = 0
        self.ended = False
        if not model.built:
            self._build_model()

    def _take_length(self) -> None:
        """Read how many batches a sequence makes in the epoch that begins."""
        self.length = _length(self.source)
        if self.length is None:  # no end: it continues from epoch to epoch like an iterator
            if self.asked_for is None:
                raise ConfigError(
                    "x makes batches without end (its num_batches is None): say with"
                    f" {self.steps_name} how many to take"
                )
            self.indexed, source = False, self.source
            self.source = (source[number] for number in count())
            return
        self.items = self.length if self.asked_for is None else min(self.asked_for, self.length)

    def _build_model(self) -> None:
        """Build the model from the first batch, which is used again when its turn comes."""
        first = (
            [self.source[0]]
            if self.indexed and self.items
            else []
            if self.indexed
            else list(islice(self.source, 1))
        )
        if not first:
            raise ShapeError("x gave no batch: nothing to build the model from")
        if self.once:
            self.source = chain(first, self.source)
        self._samples(first[0])

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, None if not known."""
        return self.items if self.tbptt_steps is None else None

    def describe(self) -> dict[str, Any]:
        """See :meth:`RowFeed.describe`."""
        return {
            "steps_per_epoch": self.asked_for,
            "iterator": self.once,
            "shuffle": self.indexed and self.shuffle,
            "tbptt_steps": self.tbptt_steps,
        }

    def takes_as_many(self, steps: Any) -> bool:
        """Whether `steps` of a saved run means all: older files held the length of a sequence."""
        return self.indexed and self.asked_for is None and steps == self.length

    def plan(self, rng: np.random.Generator) -> Any:
        """Return the numbers of the items, or None: as they come."""
        if not self.indexed:
            return None
        return (rng.permutation(self.length) if self.shuffle else np.arange(self.length))[
            : self.items
        ].tolist()

    def begin_epoch(self) -> None:
        """Notify a source that has such a method (Keras's PyDataset), then read its length."""
        self._notify("on_epoch_begin")
        if not self.indexed:
            return
        self._take_length()
        if self.asked_for is not None and self.items < self.asked_for:
            checks.warn(
                f"x makes {self.items} batches now, and {self.steps_name} asks for"
                f" {self.asked_for}: the epoch has {self.items}; leave it out"
            )

    def end_epoch(self) -> None:
        """Notify a source that has such a method that an epoch has ended."""
        self._notify("on_epoch_end")

    def _notify(self, moment: str) -> None:
        """Call the source's method of this name, if it has one."""
        if hasattr(self._notified, moment):
            getattr(self._notified, moment)()

    def skip(self, items: int) -> None:
        """Skip the items that an earlier run has taken from an iterator."""
        for _ in islice(self.source, items):
            pass
        self.drawn = items

    def count(self, plan: Any) -> int | None:
        """See :meth:`RowFeed.count`."""
        return self.steps

    def rows_going_on(self, plan: Any, number: int) -> int | None:
        """See :meth:`RowFeed.rows_going_on`: it is not known."""

    def batches(self, plan: Any, first: int = 0) -> Iterator[tuple[Samples, bool]]:
        """Iterate over (Samples, whether sequences begin there), from batch `first` on."""
        number = 0
        for item in self._planned_items(plan):
            samples = self._samples(item)
            if self.tbptt_steps is not None:
                _need_one_time_axis(samples)
            parts = (
                [None] if self.tbptt_steps is None else chunks(samples.longest(), self.tbptt_steps)
            )
            for steps in parts:
                if number >= first:
                    part = samples if steps is None else samples.take(slice(None), steps)
                    yield part, steps is None or steps.start == 0
                number += 1

    def _planned_items(self, plan: Any) -> Iterator[Any]:
        """Iterate over what the source gives for a plan."""
        if self.indexed:
            yield from (self.source[number] for number in plan)
            return
        taken = 0
        for item in islice(self.source if self.once else iter(self.source), self.items):
            taken += 1
            self.drawn += 1
            yield item
        # Reached only if the items came to an end, not if the reader stopped.
        self.ended = self.once and (self.items is None or taken < self.items)
        if not self.once and self.items is not None and taken < self.items:
            checks.warn(
                f"x gave {taken} batches, and {self.steps_name} asks for {self.items}: there are no"
                " more; leave it out"
            )
            self.items = taken

    def all(self) -> Iterator[Samples]:
        """Iterate over the Samples of every batch, in order."""
        return (samples for samples, _ in self.batches(range(self.items) if self.indexed else None))

    def _samples(self, item: Any) -> Samples:
        """Return one item of the source as checked samples."""
        given = parts_of(item, "a batch that x gave", self.need_y)
        if not self.need_y:
            given = given._replace(y=None, sample_weight=None)
        samples = prepare_samples(self.model, given, self.need_y)
        if len(samples) == 0:
            raise ShapeError("x gave a batch of 0 samples")
        add_class_weight(self.model, samples, self.class_weight)
        return samples


Feed = RowFeed | BatchFeed


def _need_one_time_axis(samples: AnySamples) -> None:
    """Refuse to cut inputs of different numbers of steps into parts."""
    extents = samples.extents
    if len(set(extents)) > 1:
        raise ConfigError(
            "tbptt_steps cuts all inputs into parts of the same steps; they have"
            f" {', '.join(map(str, extents))} steps: pad them to the same number, or leave"
            " tbptt_steps out"
        )


def chunks(steps: int, size: int | None) -> list[slice]:
    """Return slices of at most `size` steps that cover all of them; None: one slice."""
    size = size or steps
    return [slice(first, min(first + size, steps)) for first in range(0, steps, size)]
