"""Which parts of a model's flat buffer training changes: not what is frozen or has no loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewise.layers import Layer


@dataclass(frozen=True)
class Trained:
    """The arrays that an optimizer changes, and their places.

    Attributes
    ----------
    pieces : list of slice
        The place of each array in the flat buffer.
    names : list of str
        The name that its layer has for each.
    parts : list of slice, or None
        Neighbouring pieces joined, in order; None: the whole buffer, since all of it is trained.
    cleared : list of slice, or None
        Where gradients become zero before a pass: the parts, and what no loss depends on.
    lowest : int
        Number of the first layer that the backward pass must reach.
    constrained : int
        Size of the largest array that a constraint is applied to after a step; 0: there is none.
    left : dict of Layer to set of str
        Names of arrays that no loss depends on. Nothing changes them: no decay, no constraint.
    """

    pieces: list[slice]
    names: list[str]
    parts: list[slice] | None
    cleared: list[slice] | None
    lowest: int
    constrained: int
    left: Mapping[Layer, Collection[str]]

    @classmethod
    def of(
        cls,
        layers: Sequence[Layer],
        pieces: list[slice],
        names: list[str],
        left: Mapping[Layer, Collection[str]],
        whole: bool = True,
    ) -> Trained:
        """Return what is trained of these layers, whose arrays are at these pieces.

        `left`: what no loss depends on. `whole`: the buffer holds nothing else.
        """
        owners = [
            (number, layer, spec)
            for number, layer in enumerate(layers)
            for spec in layer._specs
            if spec.trained
        ]
        free = [layer._is_trained(spec.name) for _, layer, spec in owners]
        moved = [
            is_free and spec.name not in left.get(layer, ())
            for is_free, (_, layer, spec) in zip(free, owners)
        ]
        constrained = max((spec.size for _, _, spec in owners if spec.constraint), default=0)
        if whole and all(moved):
            return cls(pieces, names, None, None, 0, constrained, left)
        lowest = next(
            (number for (number, _, _), moves in zip(owners, moved, strict=True) if moves),
            len(layers),
        )
        cleared = joined([piece for piece, is_free in zip(pieces, free, strict=True) if is_free])
        pieces = [piece for piece, moves in zip(pieces, moved, strict=True) if moves]
        names = [name for name, moves in zip(names, moved, strict=True) if moves]
        return cls(pieces, names, joined(pieces), cleared, lowest, constrained, left)


def joined(pieces: list[slice]) -> list[slice]:
    """Slices that touch become one."""
    parts: list[slice] = []
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if parts and parts[-1].stop == piece.start:
            parts[-1] = slice(parts[-1].start, piece.stop)
        else:
            parts.append(piece)
    return parts
