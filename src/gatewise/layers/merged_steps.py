"""The steps of several sequences that a layer merges into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .masks import cleared_ends
from .tape import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array

    from .tape import Batch


@dataclass(frozen=True)
class MergedSteps:
    """The steps that several sequences have in common.

    Parameters
    ----------
    steps : Steps or None
        Those of the result. None: all steps count.
    moved : list of bool
        For each input, whether its steps must be moved to the front of their rows, because a mask
        has moved those of another input.
    """

    steps: Steps | None
    moved: list[bool]

    def values_of(self, inputs: Sequence[Batch], timed: Sequence[bool]) -> list[Array]:
        """Return the values of the inputs, their steps in the same order and zeros past the ends.

        Parameters
        ----------
        inputs : list of Batch
            The inputs.
        timed : list of bool
            Which of them have the time axis of the result.

        Returns
        -------
        list of ndarray
            Arrays of the shapes of the inputs.
        """
        values = [part.values for part in inputs]
        if self.steps is None or self.steps.lengths is None:
            return values
        return [
            self._to_front(part, moved) if has_steps else part
            for part, moved, has_steps in zip(values, self.moved, timed)
        ]

    def _to_front(self, part: Array, moved: bool) -> Array:
        assert self.steps is not None
        if moved and self.steps.places is not None:
            return self.steps.places.to_front(part)
        return cleared_ends(part, self.steps.lengths)

    def cleared(self, y: Array) -> Array:
        """Return the result, or its gradient, with zeros past the end of each row."""
        return y if self.steps is None else cleared_ends(y, self.steps.lengths)

    def back(self, gradients: Sequence[Array]) -> list[Array]:
        """Return the gradients of the inputs with their steps in the places of the inputs."""
        if self.steps is None or self.steps.places is None:
            return list(gradients)
        return [
            self.steps.places.back(part) if moved else part
            for part, moved in zip(gradients, self.moved)
        ]


def merge_steps(name: str, inputs: Sequence[Batch], timed: Sequence[bool]) -> MergedSteps:
    """Find the steps that all inputs have in common.

    An input without lengths takes those of the others.

    Parameters
    ----------
    name : str
        The layer's name, for messages.
    inputs : list of Batch
        The inputs.
    timed : list of bool
        Which of them have the time axis of the result.

    Returns
    -------
    MergedSteps
        The steps, and what has to be moved.

    Raises
    ------
    ShapeError
        Two inputs have different steps, or one without the time axis has rows that end early.
    """
    known: list[tuple[int, Any]] = []
    for k, (part, has_steps) in enumerate(zip(inputs, timed)):
        if not has_steps:
            refuse_ragged(name, part, f"input {k}")
        elif part.steps is not None:
            known.append((k, part.steps))
    with_lengths = [(k, steps) for k, steps in known if steps.lengths is not None]
    with_resets = [(k, steps) for k, steps in known if steps.resets is not None]
    for group, what in ((with_lengths, "lengths or masks"), (with_resets, "resets")):
        for k, steps in group[1:]:
            first, found = group[0]
            if steps is not found and not _agree(found, steps, what):
                raise ShapeError(
                    f"inputs {first} and {k} of layer {name!r} have different {what}; give both"
                    " the same, or only one of them any"
                )
    if not known:
        return MergedSteps(None, [False] * len(inputs))
    ends = with_lengths[0][1] if with_lengths else Steps()
    resets = with_resets[0][1] if with_resets else Steps()
    if with_resets and resets.places is not ends.places:
        raise ShapeError(
            f"inputs of layer {name!r} have resets and a mask with holes from different inputs of"
            " the model; give both with the same input"
        )
    steps = Steps(ends.lengths, resets.resets, resets.resets_back, ends.places, resets.cleared)
    moved = [has_steps and part.lengths is None for part, has_steps in zip(inputs, timed)]
    return MergedSteps(steps, moved)


def refuse_ragged(name: str, part: Batch, what: str) -> None:
    """Refuse rows that end early in an array whose steps the result of a layer does not have.

    Raises
    ------
    ShapeError
        A row has fewer steps than the array.
    """
    lengths = part.lengths
    if lengths is not None and (lengths < part.values.shape[1]).any():
        raise ShapeError(
            f"{what} of layer {name!r} has rows of different lengths, or a mask, and its steps are"
            " not steps of the output: padding would count as data; reduce them to one vector a"
            " row first, by a recurrent layer or GlobalAveragePooling1D"
        )


def refuse_resets(name: str, steps: Steps | None) -> None:
    """Refuse resets before a layer that changes the steps.

    Raises
    ------
    ConfigError
        There are resets.
    """
    if steps is not None and steps.resets is not None:
        raise ConfigError(
            f"layer {name!r} changes the steps, and resets belong to steps: put it behind the"
            " last recurrent layer, or omit the resets"
        )


def _agree(a: Steps, b: Steps, what: str) -> bool:
    if what == "resets":
        pairs = [(a.resets, b.resets), (a.resets_back, b.resets_back), (a.cleared, b.cleared)]
    else:
        masks = [None if steps.places is None else steps.places.mask for steps in (a, b)]
        pairs = [(a.lengths, b.lengths), (masks[0], masks[1])]
    return all(
        x is y or (x is not None and y is not None and np.array_equal(x, y)) for x, y in pairs
    )
