"""What a call was given, checked and converted to what the model computes with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError
from gatewise.layers.masks import lengths_and_places, moved_resets, step_mask
from gatewise.layers.tape import Batch, Steps
from gatewise.utils import pad_sequences

from .data import Samples, Targets
from .losses import position_weights
from .places import about, by_place, is_plain, title
from .unknown_targets import (
    counted_steps,
    known_targets,
    without_unknown,
    without_wrong_classes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, Model

    from .batches import Given
    from .losses import Loss


# one input: as the layers read it, and its lengths and mask as they were given
_Read = tuple[Batch, Any, Any]


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
    if not is_plain(model, given):
        return prepare_placed(model, by_place(model, given), need_y)
    x, y, sample_weight, lengths, mask, resets = given
    read = _read_input(model, 0, x, lengths, mask, resets)
    samples = Samples([read[0]], (), model._timed_inputs)
    if y is not None:
        samples.targets = _read_all_targets(model, [y], [sample_weight], [read])
    elif need_y:
        _refuse_no_y()
    return samples


def prepare_placed(model: Model, parts: Given, need_y: bool = True) -> Samples:
    """Do what :func:`prepare_samples` does, for lists with an entry for each input or output."""
    inputs = _read_inputs(model, parts)
    samples = Samples([batch for batch, _, _ in inputs], (), model._timed_inputs)
    if any(y is not None for y in parts.y):
        samples.targets = _read_all_targets(model, parts.y, parts.sample_weight, inputs)
    elif need_y:
        _refuse_no_y()
    return samples


def _refuse_no_y() -> NoReturn:
    raise ConfigError("y is missing: give the targets")


# ---- inputs


def _read_inputs(model: Model, parts: Given) -> list[_Read]:
    """Return several inputs, which must have the same number of rows."""
    names = model._input_names
    inputs = [
        _read_input(model, k, *values)
        for k, values in enumerate(zip(parts.x, parts.lengths, parts.mask, parts.resets))
    ]
    counts = [len(batch.values) for batch, _, _ in inputs]
    for k, rows in enumerate(counts):
        if rows != counts[0]:
            raise ShapeError(
                f"{title('x', names, k)} has {rows} rows, {title('x', names, 0)} has {counts[0]};"
                " expected as many in each input"
            )
    return inputs


def _read_input(model: Model, k: int, x: Any, lengths: Any, mask: Any, resets: Any) -> _Read:
    """Return one input, with the steps that count at the front of their rows."""
    names = model._input_names
    if type(x) is not np.ndarray or x.dtype.hasobject:
        x, lengths = _with_equal_rows(model, k, x, lengths)
    with about(names, k, "input"):
        x = model._read_input(x, k)
        if x.ndim == 0:
            raise ShapeError(
                "x is a single number; expected (samples, ...), as the model's input"
                f" {model.input_shape}"
            )
        x = model._match_input(x, k)
        model._check_values(x, k)
        if lengths is not None or mask is not None or resets is not None:
            given = {"lengths": lengths, "resets": resets, "mask": mask}
            _need_sequences(model, k, [name for name in given if given[name] is not None])
            lengths = checks.sequence_lengths(lengths, x.shape[0], x.shape[1] if x.ndim > 1 else 0)
            resets = checks.reset_flags(resets, *x.shape[:2]) if resets is not None else None
            mask = None if mask is None else step_mask(mask, x.shape)
    found = model._compute_mask(x, k)
    mask = found if mask is None else mask if found is None else mask & found
    return _batch_of(x, lengths, mask, resets), lengths, mask


def _with_equal_rows(model: Model, k: int, x: Any, lengths: Any) -> tuple[Any, Any]:
    """Return x and its lengths; sequences of different lengths are padded to one array."""
    if isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1:
        x = list(x)
    if not is_ragged(x):
        return x, lengths
    if lengths is not None:
        raise ConfigError(
            f"{title('lengths', model._input_names, k)} was given beside a list of sequences of"
            " different lengths, which has its own: give one"
        )
    lengths = np.array([len(row) for row in x])
    return pad_sequences(x, dtype=model._padded_dtype_of(k), padding="post"), lengths


def _need_sequences(model: Model, k: int, given: Sequence[str]) -> None:
    """Refuse lengths and the like of an input that has no steps."""
    if not model._reads_sequences(k):
        raise ConfigError(
            f"{given[0]} was given to a model with no recurrent layer and no steps in its output;"
            " leave it out"
        )


def _batch_of(x: Array, lengths: Array | None, mask: Array | None, resets: Array | None) -> Batch:
    """Return an input in which the steps that count are at the front of their rows."""
    if mask is None:
        return Batch(x, None if lengths is None and resets is None else Steps(lengths, resets))
    back = cleared = None
    if resets is not None:
        resets, back, cleared = moved_resets(mask, resets, lengths)
    lengths, places = lengths_and_places(mask, lengths)
    if places is not None:
        x = places.to_front(x)
    if lengths is None and resets is None:
        return Batch(x)
    return Batch(x, Steps(lengths, resets, back, places, cleared))


def is_ragged(x: Any) -> bool:
    """Whether x is a list, or an array of objects, that holds sequences of different lengths."""
    if not (
        isinstance(x, list | tuple)
        or (isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1)
    ):
        return False
    return len({len(row) for row in x if hasattr(row, "__len__") and getattr(row, "ndim", 1)}) > 1


# ---- targets


def _read_all_targets(
    model: Model, y: Sequence[Any], weights: Sequence[Any], inputs: Sequence[_Read]
) -> list[Targets | None]:
    """Return what each output is trained on; None for an output that is not trained."""
    model._check_output()
    shapes = model._output_shapes([batch.values.shape for batch, _, _ in inputs])
    lengths = model._output_lengths([batch.lengths for batch, _, _ in inputs])
    targets: list[Targets | None] = []
    for j, objective in enumerate(model._objectives):
        if objective.loss is None:
            targets.append(None)
            continue
        with about(model._output_names, j):
            targets.append(_read_targets(model, j, y[j], weights[j], inputs, shapes[j], lengths[j]))
    return targets


def _read_targets(
    model: Model,
    j: int,
    y: Any,
    sample_weight: Any,
    inputs: Sequence[_Read],
    shape: tuple[int, ...],
    output_lengths: Array | None,
) -> Targets:
    """Return what output `j` is trained on; `shape` and `output_lengths` are those of the output.

    If the output has the time axis of an input, its targets are moved as the steps of that input.
    """
    objective = model._objectives[j]
    loss: Loss = objective.loss
    follows = None if loss._per_sequence else model._followed_input(j, [read[0] for read in inputs])
    batch, lengths, mask = inputs[follows or 0]
    if follows is not None and lengths is not None:
        steps = batch.values.shape[1]
        y = _pad_beside(y, "y", lengths, steps)
        sample_weight = _pad_beside(sample_weight, "sample_weight", lengths, steps)
    check_rows(y, batch.values)
    positions = shape[:1] if loss._per_sequence else shape[:-1]
    weights = (
        None
        if sample_weight is None
        else position_weights(sample_weight, positions, None, loss, shape[-1])
    )
    if weights is not None:
        checks.summable(weights, "sample_weight", model.dtype)
    y, known = without_unknown(y, weights, positions)
    if loss._sparse and known is None:
        counted = None if follows is None else counted_steps(lengths, mask, positions)
        y, known = without_wrong_classes(y, weights, counted, positions, loss, shape[-1])
    y = loss.prepare(y, shape, model.dtype)
    known = known_targets(loss, y, weights) if known is None else known
    places = None if follows is None or batch.steps is None else batch.steps.places
    if places is not None:
        y, weights, known = (
            None if array is None else places.to_front(array) for array in (y, weights, known)
        )
    targets = Targets(y, weights, known=known, follows=follows)
    if loss._per_sequence:
        targets.read_lengths = output_lengths
        return targets
    _count_positions(loss, targets, positions, output_lengths)
    loss._check_targets(targets.y, targets.weights, places)
    for metric in objective.metrics:
        if metric._takes is not None and targets.y.shape == tuple(shape):
            metric._takes.refuse(
                targets.y, targets.metric_weights, "y", f"metric {metric.name}", places
            )
    return targets


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


def check_rows(y: Any, x: Any) -> None:
    """Refuse targets of which there is not one a sample.

    Raises
    ------
    ShapeError
    """
    rows = len(y) if hasattr(y, "__len__") and getattr(y, "ndim", 1) else None
    if rows != len(x):
        raise ShapeError(f"y has {rows} rows, x has {len(x)}; expected one target a sample")


def _count_positions(
    loss: Loss, targets: Targets, positions: tuple[int, ...], lengths: Array | None
) -> None:
    """Set which positions count: those with steps, and of these what the loss counts."""
    targets.valid = position_weights(None, positions, lengths)
    if targets.valid is not None:
        targets.weights = (
            targets.valid if targets.weights is None else weighted(targets.weights, targets.valid)
        )
    looked_at = loss._counted(targets.y)
    if looked_at is not None:
        targets.weights, targets.valid = (
            looked_at * (1.0 if array is None else array)
            for array in (targets.weights, targets.valid)
        )


def weighted(weights: Array, factors: Array) -> Array:
    """Return weights of positions, or of targets, times factors of positions."""
    return weights * (factors if weights.ndim == factors.ndim else factors[..., None])
