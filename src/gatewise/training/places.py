"""Which input or output each part of what a user gave belongs to.

A model has inputs and outputs in an order, each with a name. What a user gives for them is a list
or tuple in that order, a dict by name, or, if there is one, the array itself.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, DTypeError, GatewiseError, ShapeError, did_you_mean
from gatewise.kernels._null_context import NULL_CONTEXT

from .batches import Given

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewise._typing import Model


def by_place(model: Model, given: Given) -> Given:
    """Return a list with an entry for each input, or each output, of every part.

    Raises
    ------
    ConfigError, DTypeError, ShapeError
        Names or counts are not those of the model.
    """
    if is_plain(model, given):
        return Given(*([part] for part in given))
    x = _inputs_by_place(model, given.x)
    rows = _rows(x[0])
    return Given(
        x,
        _targets_by_place(model, given.y, rows),
        _weights_by_place(model, given.sample_weight, rows),
        *(
            _steps_by_place(model, name, getattr(given, name), axes)
            for name, axes in (("lengths", 1), ("mask", 2), ("resets", 2))
        ),
    )


_NESTS = (list, tuple, dict)


def is_plain(model: Model, given: Given) -> bool:
    """Whether no part can be a list or dict by place: the usual case, quickly found."""
    x, y, sample_weight, lengths, mask, resets = given
    return (
        type(x) not in _NESTS
        and type(y) not in _NESTS
        and type(sample_weight) not in _NESTS
        and type(lengths) not in _NESTS
        and type(mask) not in _NESTS
        and type(resets) not in _NESTS
        and len(model._input_names) == 1 == len(model._output_names)
    )


def _rows(x: Any) -> int | None:
    """Return the rows of an array or list; None: it has none."""
    return len(x) if hasattr(x, "__len__") and getattr(x, "ndim", 1) else None


def _axes(value: Any) -> int:
    """Return the number of axes of an array, or of nested lists."""
    axes = 0
    while isinstance(value, list | tuple):
        axes, value = axes + 1, value[0] if value else None
    return axes + getattr(value, "ndim", 0)


def _lists_places(value: Any, axes: int) -> bool:
    """Whether a list has an array of this many axes, or None, for each place."""
    return (
        isinstance(value, list | tuple)
        and any(entry is not None for entry in value)
        and all(entry is None or _axes(entry) == axes for entry in value)
    )


def _inputs_by_place(model: Model, x: Any) -> list[Any]:
    names = model._input_names
    if isinstance(x, dict) and model._has_names:
        return by_name("x", x, names, "input")
    if len(names) == 1:
        shape = model.input_shape
        alone = (
            isinstance(x, list | tuple)
            and len(x) == 1
            and shape is not None
            and getattr(x[0], "ndim", None) == len(shape)
        )
        return [x[0] if alone else x]
    if isinstance(x, list | tuple):
        refuse_unordered(model, "x", "input")
        _need_count("x", len(x), names, "input")
        return list(x)
    raise DTypeError(
        f"x is {_kind(x)}; the model has {count_text('input', names)}: give a list with an"
        " array for each, in this order, or a dict by name"
    )


def _targets_by_place(model: Model, y: Any, rows: int | None) -> list[Any]:
    names = model._output_names
    if y is None:
        return [None] * len(names)
    trained = [j for j, objective in enumerate(model._objectives) if objective.loss is not None]
    if isinstance(y, dict):
        found = by_name("y", y, names, "output", {names[j] for j in trained})
    elif len(names) == 1:
        return [_unwrapped(y, rows)]
    elif isinstance(y, list | tuple) and len(y) == len(names):
        refuse_unordered(model, "y", "output")
        found = list(y)
    elif isinstance(y, list | tuple) and 1 < len(y) == len(trained):
        found = _spread(y, trained, len(names))
    elif len(trained) == 1 and len(names) > 1:
        found = _spread([y], trained, len(names))
    else:
        given = f"{len(y)} entries" if isinstance(y, list | tuple) else _kind(y)
        raise ShapeError(
            f"y is {given}; the model has {count_text('output', names)}: give a list with"
            " targets for each, in this order, or a dict by name"
        )
    for j in trained:
        if found[j] is None:
            raise ConfigError(
                f"y has no targets for output {names[j]!r}, which has a loss: give them, or compile"
                " the model with loss None for this output"
            )
    return found


def _spread(values: Sequence[Any], places: Sequence[int], count: int) -> list[Any]:
    """Return a list in which the values are at these places, and None at the others."""
    found: list[Any] = [None] * count
    for place, value in zip(places, values):
        found[place] = value
    return found


def _unwrapped(value: Any, rows: int | None) -> Any:
    """Return the array of a list that holds nothing else, if its rows are those of x."""
    if isinstance(value, list | tuple) and len(value) == 1 and rows not in (None, 1):
        entry = value[0]
        if isinstance(entry, np.ndarray) and entry.ndim and len(entry) == rows:
            return entry
    return value


def _weights_by_place(model: Model, weights: Any, rows: int | None) -> list[Any]:
    names = model._output_names
    if isinstance(weights, dict):
        found = by_name("sample_weight", weights, names, "output", ())
        _refuse_untrained(model, found)
        return found
    if len(names) == 1:
        return [_unwrapped(weights, rows)]
    several = isinstance(weights, list | tuple) and any(
        entry is None or _axes(entry) for entry in weights
    )
    if not several:
        return [weights] * len(names)
    refuse_unordered(model, "sample_weight", "output")
    _need_count("sample_weight", len(weights), names, "output")
    _refuse_untrained(model, weights)
    return list(weights)


def _refuse_untrained(model: Model, weights: Sequence[Any]) -> None:
    """Refuse weights of outputs that have no loss."""
    for name, objective, weight in zip(model._output_names, model._objectives, weights):
        if objective.loss is None and weight is not None:
            raise ConfigError(
                f"sample_weight has weights for output {name!r}, which has no loss: leave them out"
            )


def _steps_by_place(model: Model, name: str, value: Any, axes: int) -> list[Any]:
    """Return lengths, masks or resets of the inputs; an array alone is that of the only sequence.

    `axes` is the number of axes of such an array.
    """
    names = model._input_names
    if value is None:
        return [None] * len(names)
    if isinstance(value, dict):
        return by_name(name, value, names, "input", ())
    if _lists_places(value, axes):
        refuse_unordered(model, name, "input")
        _need_count(name, len(value), names, "input")
        return list(value)
    timed = model._timed_inputs
    if len(names) > 1 and len(timed) != 1:
        raise ConfigError(
            f"{name} is one array; the model has {count_text('input', names)}: give a dict by name,"
            f" or a list with an entry for each, None for an input that needs no {name}"
        )
    return _spread([value], timed or [0], len(names))


def by_name(
    what: str,
    given: dict[Any, Any],
    names: Sequence[str],
    kind: str,
    needed: Any = None,
) -> list[Any]:
    """Return the entries of a dict in the order of `names`; None for what is not there.

    Parameters
    ----------
    what : str
        The argument, for messages.
    given : dict
        What the user gave.
    names : sequence of str
        Names of the inputs or outputs.
    kind : {"input", "output"}
        Which of both.
    needed : collection of str, optional
        Names that must be there. None: all.

    Raises
    ------
    ConfigError
    """
    for key in given:
        if key not in names:
            raise ConfigError(
                f"{what} has the key {key!r:.80}; the model has {count_text(kind, names)}"
                f"{did_you_mean(key, names)}"
            )
    for name in names if needed is None else needed:
        if name not in given:
            raise ConfigError(
                f"{what} lacks the key {name!r}; the model has {count_text(kind, names)}"
            )
    return [given.get(name) for name in names]


def refuse_unordered(model: Model, what: str, kind: str) -> None:
    """Refuse a list for inputs or outputs that a dict named in another order than their own.

    Raises
    ------
    ConfigError
        A reader would expect the order of the dict, and Keras takes that of the names.
    """
    written = model._unsorted_names.get(kind)
    if written:
        raise ConfigError(
            f"{what} is a list, and the {kind}s of the model were given as a dict, in the order"
            f" {', '.join(map(repr, written))}, which is not the one of their names: give {what}"
            " as a dict by name"
        )


def _need_count(what: str, count: int, names: Sequence[str], kind: str) -> None:
    if count != len(names):
        raise ShapeError(
            f"{what} has {count} {'entry' if count == 1 else 'entries'}; the model has"
            f" {count_text(kind, names)}: give one for each, in this order, or a dict by name"
        )


def count_text(kind: str, names: Sequence[str]) -> str:
    """Return text for messages, such as "2 inputs, 'a' and 'b'"."""
    if len(names) == 1:
        return f"one {kind}"
    shown = ", ".join(map(repr, names[:-1]))
    return f"{len(names)} {kind}s, {shown} and {names[-1]!r}"


def _kind(value: Any) -> str:
    """Return what a value is, for messages."""
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else f"an array of shape {tuple(shape)}"


def title(what: str, names: Sequence[str], number: int) -> str:
    """Return what a user calls an array: "x", or of several "x['name']"."""
    return what if len(names) == 1 else f"{what}[{names[number]!r}]"


def about(names: Sequence[str], number: int, kind: str = "output") -> AbstractContextManager[Any]:
    """Context manager in which errors name the input or output, if there are several."""
    return NULL_CONTEXT if len(names) == 1 else _named(f"{kind} {names[number]!r}")


@contextlib.contextmanager
def _named(place: str) -> Iterator[None]:
    try:
        yield
    except GatewiseError as error:
        error.args = (f"{place}: {error}",)
        raise
