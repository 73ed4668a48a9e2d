"""The samples of a call: arrays that fit the model, checked, and parts of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise._typing import IntArray
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.layers.masks import Places, lengths_and_places, moved_resets, step_mask
from gatewise.utils import pad_sequences

from .batches import Given
from .losses import position_weights
from .targets import ROUNDING
from .unknown_targets import (
    counted_steps,
    known_targets,
    without_unknown,
    without_wrong_classes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array, BoolArray, Model

    from .losses import Loss


@dataclass
class Samples:
    """Checked arrays with one row a sample; None for what was not given.

    Attributes
    ----------
    x : ndarray (samples, ...)
    y : ndarray
        Targets in the shape that the loss takes.
    weights : ndarray
        What the loss multiplies by, 0 at padding; of the shape of positions or of y.
    lengths, resets, resets_back, places, cleared
        See :class:`gatewise.layers.tape.Steps`.
    valid : ndarray
        1 at positions that count, 0 at padding: what metrics weigh by.
    per_step : bool
        y, weights and valid have the time axis of x.
    known : ndarray
        0 where a target is NaN, which its weight of 0 allows; of the shape of positions or of y.
    read_lengths : ndarray
        Steps in each row of the output, if the loss has labels of whole rows.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    weights: np.ndarray | None = None
    lengths: np.ndarray | None = None
    resets: np.ndarray | None = None
    valid: np.ndarray | None = None
    per_step: bool = False
    resets_back: np.ndarray | None = None
    places: Places | None = None
    cleared: np.ndarray | None = None
    known: np.ndarray | None = None
    read_lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def count(self) -> float:
        """How many samples count, or steps if y has steps; a fraction if some outputs do not."""
        whole = len(self) * (self.steps if self.per_step else 1)
        return whole if self.valid is None else whole * float(self.valid.mean())

    @property
    def counts(self) -> bool:
        """Whether anything counts in the loss, with a weight other than 0."""
        return self.weights is None or bool(self.weights.any())

    @property
    def empty(self) -> bool:
        """Whether no sequence has a step."""
        return self.lengths is not None and not self.lengths.any()

    @property
    def metric_weights(self) -> Array | None:
        """Weights for metrics: 1 where positions or targets count and are known; None: all 1."""
        if self.known is None or self.valid is None:
            return self.valid if self.known is None else self.known
        return self.known * (
            self.valid if self.known.ndim == self.valid.ndim else self.valid[..., None]
        )

    @property
    def steps(self) -> int:
        """Extent of the time axis; 1 without one."""
        return self.x.shape[1] if self.x.ndim > 1 else 1

    def take(self, rows: Rows, steps: slice | None = None) -> Samples:
        """Return the samples of an index array or slice, and of their steps a slice or all."""
        if steps is None:
            names = (
                "x",
                "y",
                "weights",
                "lengths",
                "resets",
                "valid",
                "resets_back",
                "places",
                "cleared",
                "known",
                "read_lengths",
            )
            return replace(
                self,
                **{
                    name: array[rows]
                    for name in names
                    if (array := getattr(self, name)) is not None
                },
            )
        along_time = dict.fromkeys(
            ("y", "weights", "valid", "known"), self.per_step
        ) | dict.fromkeys(("x", "resets", "resets_back"), True)
        parts = {
            name: np.ascontiguousarray(array[rows, steps] if timed else array[rows])
            for name, timed in along_time.items()
            if (array := getattr(self, name)) is not None
        }
        # Where the steps of such a part came from is not needed: it is trained on, by layers that
        # take any length.
        last = steps.stop is None or steps.stop >= self.steps
        return replace(
            self,
            **parts,
            lengths=part_of_lengths(self.lengths, rows, steps),
            places=None,
            read_lengths=None if self.read_lengths is None else self.read_lengths[rows],
            cleared=self.cleared[rows] if last and self.cleared is not None else None,
        )


class MappedSamples:
    """Samples whose x stays in its file: it is read, checked and converted a batch at a time."""

    model: Model
    need_y: bool
    class_weight: Mapping[int, float] | None
    x: Any
    y: Array | None
    sample_weight: Array | None
    lengths: Array | None
    resets: BoolArray | None
    mask: Array | None
    per_step: bool

    def __init__(self, model: Model, given: Given, need_y: bool = True) -> None:
        x, y, sample_weight, lengths = given.x, given.y, given.sample_weight, given.lengths
        self.model, self.need_y, self.class_weight = model, need_y, None
        self.x, self.y, self.sample_weight = x, _rows_of(y), _rows_of(sample_weight)
        self.lengths, self.resets, self.mask = None, None, None
        if need_y and y is not None:
            _check_rows(self.y, x)
        if len(x) == 0 or x.ndim < 2:
            # raises, or is empty
            prepare_samples(model, given, need_y)
        if lengths is not None:
            self.lengths = checks.sequence_lengths(lengths, *x.shape[:2])
        if given.resets is not None:
            self.resets = checks.reset_flags(given.resets, *x.shape[:2]).view(np.bool_)
        if given.mask is not None:
            self.mask = step_mask(given.mask, x.shape)
        # builds the model, and finds what cannot fit
        self.per_step = self.take(slice(0, 1)).per_step

    def __len__(self) -> int:
        return len(self.x)

    @property
    def steps(self) -> int:
        """Extent of the time axis."""
        return self.x.shape[1]

    def part(self, rows: slice) -> MappedSamples:
        """Return the samples of a slice, which stay in their file."""
        arrays = (
            None if array is None else array[rows]
            for array in (self.y, self.sample_weight, self.lengths, self.mask, self.resets)
        )
        part = MappedSamples(self.model, Given(self.x[rows], *arrays), self.need_y)
        part.class_weight = self.class_weight
        return part

    def take(self, rows: Rows, steps: slice | None = None) -> Samples:
        """See :meth:`Samples.take`. A slice of steps is one of those in the file, masked or not."""
        y, weights, lengths, resets, mask = (
            None if array is None else array[rows]
            for array in (self.y, self.sample_weight, self.lengths, self.resets, self.mask)
        )
        x = self.x[rows] if steps is None else self.x[rows, steps]
        if steps is not None:
            resets, mask = (None if array is None else array[:, steps] for array in (resets, mask))
            if self.per_step:
                y, weights = (
                    y[:, steps],
                    (weights[:, steps] if weights is not None and weights.ndim > 1 else weights),
                )
            lengths = part_of_lengths(self.lengths, rows, steps)
        try:
            given = Given(x, y, weights, lengths, mask, resets)
            samples = prepare_samples(self.model, given, self.need_y)
        except NonFiniteError as error:
            raise NonFiniteError(
                f"{error} (of a batch, whose rows are {np.arange(len(self))[rows].tolist()!s:.400}"
                " of the memory-mapped array)"
            ) from error
        if self.class_weight is not None:
            add_class_weight(
                samples, self.class_weight, self.model.loss, self.model.output_shape[-1]
            )
        return samples


AnySamples = Samples | MappedSamples
Rows = slice | IntArray  # which rows of samples


def part_of_lengths(lengths: Array | None, rows: Rows, steps: slice) -> Array | None:
    """Return how many of these steps belong to each of the rows; None stays None."""
    return (
        None
        if lengths is None
        else np.clip(lengths[rows] - steps.start, 0, steps.stop - steps.start)
    )


def _rows_of(value: Any) -> Array | None:
    """Return an array whose rows can be indexed; rows of different lengths stay objects."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if is_ragged(value):
        rows = np.empty(len(value), object)
        rows[:] = list(value)
        return rows
    return np.asarray(value)


def prepare_samples(model: Model, given: Given, need_y: bool = True) -> Samples:
    """Check what a call of a model was given, and convert it to the model's dtype and shapes.

    x of rank 2 gets the last axis of 1 that a recurrent model of one feature asks for. A list of
    sequences of different lengths becomes an array padded with zeros, and their lengths. The steps
    that a mask leaves are moved to the front of their rows, in all arrays, with lengths. The model
    is built if it was not.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ConfigError
    """
    x, y, sample_weight = given.x, given.y, given.sample_weight
    lengths, resets, mask = given.lengths, given.resets, given.mask
    if _holds_rows(x):
        x = list(x)
    if is_ragged(x):
        if lengths is not None:
            raise ConfigError(
                "lengths was given beside a list of sequences of different lengths, which has its"
                " own: give one"
            )
        lengths = np.array([len(row) for row in x])
        x = pad_sequences(x, dtype=model._padded_dtype, padding="post")
    x = model._read_input(x)
    if x.ndim == 0:
        raise ShapeError(
            "x is a single number; expected (samples, ...), as the model's input"
            f" {model.input_shape}"
        )
    x = model._match_input(x)
    model._check_values(x)
    for name, value in (("lengths", lengths), ("resets", resets), ("mask", mask)):
        if value is not None and not model._reads_sequences:
            raise ConfigError(
                f"{name} was given to a model with no recurrent layer and no steps in its output;"
                " leave it out"
            )
    lengths = checks.sequence_lengths(lengths, x.shape[0], x.shape[1] if x.ndim > 1 else 0)
    resets = checks.reset_flags(resets, *x.shape[:2]) if resets is not None else None
    if y is None:
        if need_y:
            raise ConfigError("y is missing: give the targets")
        return _masked(Samples(x, lengths=lengths, resets=resets), _all_masks(model, x, mask))
    model._check_output()
    shape, per_step = (
        model.compute_output_shape(x.shape),
        model._keeps_steps and not model.loss._per_sequence,
    )
    if lengths is not None and per_step:
        y = _pad_beside(y, "y", lengths, x.shape[1])
        sample_weight = _pad_beside(sample_weight, "sample_weight", lengths, x.shape[1])
    _check_rows(y, x)
    positions = shape[:1] if model.loss._per_sequence else shape[:-1]
    weights = (
        None
        if sample_weight is None
        else position_weights(sample_weight, positions, None, model.loss, shape[-1])
    )
    if weights is not None:
        checks.summable(weights, "sample_weight", model.dtype)
    mask = _all_masks(model, x, mask)
    y, known = without_unknown(y, weights, positions)
    if model.loss._sparse and known is None:
        y, known = without_wrong_classes(
            y,
            weights,
            counted_steps(lengths, mask, positions) if per_step else None,
            positions,
            model.loss,
            shape[-1],
        )
    y = model.loss.prepare(y, shape, model.dtype)
    known = known_targets(model.loss, y, weights) if known is None else known
    samples = Samples(x, y, weights, lengths, resets, per_step=per_step, known=known)
    samples = _masked(samples, mask)
    if model.loss._per_sequence:
        samples.read_lengths = model._output_lengths(samples.lengths)
    else:
        _count_positions(model, samples, positions)
        _check_targets(model, samples, shape)
    return samples


def _all_masks(model: Model, x: Any, mask: Any) -> Array | None:
    """Combine the given mask and that of the first layer, bool (samples, steps); None: neither."""
    mask = None if mask is None else step_mask(mask, x.shape)
    found = model._compute_mask(x)
    return found if mask is None else mask if found is None else mask & found


def _masked(samples: Samples, mask: Array | None) -> Samples:
    """Return samples in which the steps that count are at the front of their rows."""
    if mask is None:
        return samples
    if samples.resets is not None:
        resets, back, cleared = moved_resets(mask, samples.resets, samples.lengths)
        samples = replace(samples, resets=resets, resets_back=back, cleared=cleared)
    lengths, places = lengths_and_places(mask, samples.lengths)
    if places is None:
        return replace(samples, lengths=lengths)
    names = ["x", *(("y", "weights", "known") if samples.per_step else ())]
    moved = {
        name: places.to_front(array)
        for name in names
        if (array := getattr(samples, name)) is not None
    }
    return replace(samples, **moved, lengths=lengths, places=places)


def _count_positions(model: Model, samples: Samples, positions: tuple[int, ...]) -> None:
    """Set which positions count: those with steps, and of these what the loss counts."""
    samples.valid = position_weights(None, positions, model._output_lengths(samples.lengths))
    if samples.valid is not None:
        samples.weights = (
            samples.valid if samples.weights is None else _weighted(samples.weights, samples.valid)
        )
    looked_at = model.loss._counted(samples.y)
    if looked_at is not None:
        samples.weights, samples.valid = (
            looked_at * (1.0 if array is None else array)
            for array in (samples.weights, samples.valid)
        )


def _weighted(weights: Array, factors: Array) -> Array:
    """Return weights of positions, or of targets, times factors of positions."""
    return weights * (factors if weights.ndim == factors.ndim else factors[..., None])


def _check_targets(model: Model, samples: Samples, shape: tuple[int, ...]) -> None:
    """Refuse targets that the loss or a metric cannot have, before anything is trained."""
    places = samples.places if samples.per_step else None
    model.loss._check_targets(samples.y, samples.weights, places)
    for metric in model.metrics:
        if metric._takes is not None and samples.y.shape == tuple(shape):
            metric._takes.refuse(
                samples.y, samples.metric_weights, "y", f"metric {metric.name}", places
            )


def refuse_uncounted(samples: AnySamples, name: str) -> None:
    """Refuse samples of which nothing counts, as far as it is known without reading a file.

    Raises
    ------
    ConfigError
    """
    mapped = isinstance(samples, MappedSamples)
    weights = samples.sample_weight if mapped else samples.weights
    if (samples.lengths is not None and not samples.lengths.any()) or (
        mapped and samples.mask is not None and not samples.mask.any()
    ):
        cause = "every row has 0 steps; check lengths and mask"
    elif not mapped and samples.valid is not None and not samples.valid.any():
        cause = "the loss ignores every target; check ignore_class and the mask"
    elif weights is not None and not np.any(weights):
        cause = "every weight is 0; check sample_weight and class_weight"
    else:
        return
    raise ConfigError(f"nothing in {name} counts: {cause}")


def is_ragged(x: Any) -> bool:
    """Whether x is a list, or an array of objects, that holds sequences of different lengths."""
    if not (
        isinstance(x, list | tuple)
        or (isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1)
    ):
        return False
    return len({len(row) for row in x if hasattr(row, "__len__") and getattr(row, "ndim", 1)}) > 1


def _holds_rows(x: Any) -> bool:
    """Whether x is an array of objects, one a row."""
    return isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1


def _pad_beside(value: Any, name: str, lengths: Array, steps: int) -> Any:
    """Pad a list with an entry for each step of each sequence as x; return others as they are."""
    if not is_ragged(value):
        return value
    for number, (row, length) in enumerate(zip(value, lengths)):
        if len(row) != length:
            raise ShapeError(
                f"{name}[{number}] has {len(row)} steps, x[{number}] has {length}; expected one"
                " entry a step"
            )
    return pad_sequences(value, steps, dtype="float64", padding="post")


def add_class_weight(
    samples: AnySamples, class_weight: Mapping[int, float] | None, loss: Any, outputs: int
) -> None:
    """Multiply the weights of the samples by those of their classes; None changes nothing."""
    if class_weight is None:
        return
    if isinstance(samples, MappedSamples):
        samples.class_weight = class_weight
        return
    by_class = _class_weights(class_weight, samples.y, loss, outputs, samples.weights)
    with np.errstate(over="ignore"):
        weights = by_class if samples.weights is None else _weighted(samples.weights, by_class)
    dtype = "float64" if np.float64 in (samples.x.dtype, samples.y.dtype) else "float32"
    samples.weights = checks.summable(
        weights,
        "class_weight" if samples.weights is None else "class_weight and sample_weight",
        dtype,
    )


def _check_rows(y: Any, x: Any) -> None:
    """Refuse targets of which there is not one a sample."""
    rows = len(y) if hasattr(y, "__len__") and getattr(y, "ndim", 1) else None
    if rows != len(x):
        raise ShapeError(f"y has {rows} rows, x has {len(x)}; expected one target a sample")


def _class_weights(
    class_weight: Mapping[int, float] | None,
    y: Any,
    loss: Loss,
    outputs: int,
    weights: Array | None = None,
) -> Array:
    if not isinstance(class_weight, dict):
        raise DTypeError(
            f"class_weight is {class_weight!r}; expected a dict of class number to weight"
        )
    if loss._per_sequence:
        raise ConfigError(
            f"class_weight needs a class a position; loss {loss.name} has rows of labels: give"
            " sample_weight"
        )
    if loss._sparse:
        classes = y
    elif loss._one_hot:
        classes = y.argmax(axis=-1)
    elif y.shape[-1] == 1:
        classes = np.round(y[..., 0])
        wrong = ~(np.abs(y[..., 0] - classes) <= ROUNDING) | (classes < 0)
        if weights is not None:
            wrong &= weights.reshape(classes.shape) != 0
        if wrong.any():
            raise ConfigError(
                f"class_weight needs the classes 0 and 1, y holds {y[..., 0][wrong][0]:g}; make y"
                " whole numbers from 0 up, or give sample_weight, a weight for each target"
            )
    else:
        raise ConfigError(
            f"class_weight needs class targets; loss {loss.name} has {y.shape[-1]} outputs"
        )
    weights = np.ones(classes.shape)
    for label, weight in class_weight.items():
        checks.whole_number(label, "a class of class_weight", 0, max(2, outputs) - 1)
        weights[classes == label] = checks.number(weight, f"class_weight[{label}]", 0.0)
    return weights


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


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Return (first, last) of each batch."""
    return [(first, min(first + batch_size, count)) for first in range(0, count, batch_size)]
