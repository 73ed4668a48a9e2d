"""How the axes of an array in an ONNX graph belong to those of a symbol.

A layer reads batches first and features last. In ONNX graphs axes are in any order, merged and
divided, so that a value there is a symbol and a *view* of it: for each axis of the value, the atoms
of which it consists. An atom is a factor of an axis of the symbol that is never divided::

    the output of a bidirectional LSTM     symbol (batch, time, 2 * units)
    axes of the symbol                     [batch] [time] [direction, units]
    Y of ONNX, (time, 2, batch, units)     [time] [direction] [batch] [units]
    after Transpose and Reshape            [batch] [time] [direction, units]

Transpose, Reshape, Squeeze and Unsqueeze change the view, and add no layer. Layers are added if
another layer needs an order that the symbol does not have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError
from gatewise.layers import Permute, Reshape

from .sizes import Size, divided, product

if TYPE_CHECKING:
    from collections.abc import Sequence


_MOST_AXES = 32


class Atom:
    """A factor of an axis.

    Parameters
    ----------
    size : int or Size
        Its extent.
    batch : bool, default False
        Whether it is the axis of the batch.
    """

    __slots__ = ("batch", "size")
    size: Any
    batch: bool

    def __init__(self, size: Any, batch: bool = False) -> None:
        self.size, self.batch = size, batch

    def __repr__(self) -> str:
        return f"{'batch ' if self.batch else ''}{self.size}"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the graph that a layer computes."""

    symbol: Any
    axes: tuple[tuple[Atom, ...], ...]  # of the symbol; the first is (batch,)
    view: tuple[tuple[Atom, ...], ...]  # of the value in the graph
    whole: bool = False  # whether it holds whole numbers
    affine: Any = None  # (array, axis, scale, shift) of which it is made, see affine.py
    masked: float | None = None  # what the graph writes over steps past a row's end
    summed: bool = False  # whether it is a mean of steps that the graph divides by lengths later
    natural: bool = False  # whether its numbers are whole ones from 0, of whatever type
    run: Any = None  # the recurrent node of which it has all steps, unchanged
    part: Any = None  # (symbol, first, last) if it is a part of a symbol's last axis
    product: Any = None  # (symbol, matrix) if it is their product, which waits for a bias

    @property
    def shape(self) -> list[Any]:
        """Extents in the graph, list of int or Size."""
        return [product(atom.size for atom in group) for group in self.view]

    @property
    def batch(self) -> Atom:
        """The atom of the batch."""
        return self.axes[0][0]

    def seen(self, view: Sequence[Sequence[Atom]]) -> Tensor:
        """Return the same array with other axes in the graph."""
        return replace(self, view=tuple(tuple(group) for group in few(view)))

    def made(self, symbol: Any, **changes: Any) -> Tensor:
        """Return what a layer made of the array without changing its shape."""
        usual: dict[str, Any] = {"run": None, "part": None, "product": None, "natural": False}
        usual |= {"masked": None, "summed": False, "affine": None}
        return replace(self, symbol=symbol, **(usual | changes))

    def with_features(self, symbol: Any, count: int) -> Tensor:
        """Return what a layer made of the last axis, which is that of the symbol, too."""
        features = (Atom(count),)
        return self.made(symbol, axes=(*self.axes[:-1], features), view=(*self.view[:-1], features))


def few(axes: Sequence[Any]) -> Sequence[Any]:
    """Return axes, if they are not more than an array can have.

    Raises
    ------
    ConfigError
        They are more.
    """
    if len(axes) > _MOST_AXES:
        raise ConfigError(f"an array of {len(axes)} axes")
    return axes


def same(a: Sequence[Atom], b: Sequence[Atom]) -> bool:
    """Return whether two groups are of the same atoms, those of extent 1 left out."""
    a, b = shown(a), shown(b)
    return len(a) == len(b) and all(x is y for x, y in zip(a, b))


def shown(group: Sequence[Atom]) -> list[Atom]:
    """Return the atoms that matter for the order of the numbers: the batch, and those above 1."""
    return [atom for atom in group if atom.batch or atom.size != 1]


def arranged(tensor: Tensor, groups: Sequence[Sequence[Atom]]) -> Tensor:
    """Return the tensor with a symbol whose axes are these groups, the first of them the batch.

    Raises
    ------
    ConfigError
        The groups are not all atoms of the tensor.
    """
    groups = tuple(tuple(group) for group in groups)
    if len(tensor.axes) == len(groups) and all(
        same(a, b) and (bool(a) == bool(b)) for a, b in zip(tensor.axes, groups)
    ):
        return tensor
    now = [atom for group in tensor.axes for atom in shown(group)]
    wanted = [atom for group in groups for atom in shown(group)]
    if not groups or not same(groups[0], tensor.axes[0]):
        raise ConfigError("the axis of the batch is merged with another one, or is missing")
    if {id(atom) for atom in now} != {id(atom) for atom in wanted} or len(now) != len(wanted):
        raise ConfigError(
            f"axes {tensor.shape} do not hold all numbers of {[*map(list, tensor.axes)]}"
        )
    symbol, run = tensor.symbol, None
    if not same(now, wanted):
        symbol = _reshaped(symbol, [[atom] for atom in now])
        order = [next(k for k, each in enumerate(now) if each is atom) for atom in wanted]
        symbol = Permute(tuple(order[1:]))(symbol)
        symbol = _reshaped(symbol, groups, [[atom] for atom in wanted])
    else:
        symbol = _reshaped(symbol, groups, tensor.axes)
    return replace(
        tensor, symbol=symbol, axes=groups, run=run, part=None, product=None, affine=None
    )


def _reshaped(
    symbol: Any,
    groups: Sequence[Sequence[Atom]],
    before: Sequence[Sequence[Atom]] | None = None,
) -> Any:
    """Return a symbol with one axis for each group, whose atoms are in the right order."""
    sizes = [product(atom.size for atom in group) for group in groups[1:]]
    free = [isinstance(size, Size) for size in sizes]
    if sum(free) > 1:
        raise ConfigError(f"{sum(free)} axes of unknown extent are to be arranged anew")
    target = tuple(-1 if unknown else int(size) for size, unknown in zip(sizes, free))
    there = symbol.shape[1:]
    if len(there) == len(target) and all(
        a == b or (a is None and b == -1) for a, b in zip(there, target)
    ):
        return symbol
    return Reshape(target or (1,))(symbol)


def canonical(tensor: Tensor, *, drop: bool = True) -> Tensor:
    """Return the tensor with the batch first and then the axes of the graph, in their order.

    Parameters
    ----------
    tensor : Tensor
        Its batch must be an axis of its own, or of extent 1 and left out.
    drop : bool, default True
        Whether axes of extent 1 that belong to no axis of the symbol are left out.
    """
    return arranged(tensor, canonical_groups(tensor, drop=drop))


def canonical_groups(tensor: Tensor, *, drop: bool = True) -> list[tuple[Atom, ...]]:
    """Return the axes of :func:`canonical`."""
    groups: list[tuple[Atom, ...]] = [(tensor.batch,)]
    for group in tensor.view:
        rest = tuple(atom for atom in group if not atom.batch)
        if len(rest) != len(group) and shown(rest):  # merged with the batch: axes of their own
            if not group[0].batch:
                raise ConfigError("the batch is merged into an axis, and not its first part")
            groups += [(atom,) for atom in rest]
        elif len(rest) == len(group) and (rest or not drop):
            groups.append(rest)
    return groups


def with_last(tensor: Tensor) -> Tensor:
    """Return the tensor with a symbol whose last axis is the last axis in the graph."""
    if not tensor.view:
        raise ConfigError("a single number where an axis is needed")
    last = tensor.view[-1]
    if any(atom.batch for atom in last):
        raise ConfigError("the last axis is that of the batch")
    if shown(last) and same(tensor.axes[-1], last):
        return tensor
    rest = []
    for group in tensor.axes[1:]:
        kept = tuple(atom for atom in shown(group) if not any(atom is each for each in last))
        if kept:
            rest.append(kept)
    return arranged(tensor, [tensor.axes[0], *rest, last])


def reshaped(tensor: Tensor, sizes: Sequence[Any]) -> Tensor:
    """Return the tensor with other extents in the graph; atoms are divided where needed.

    Raises
    ------
    ConfigError
        The extents cannot be made of those that are there.
    """
    few(sizes)
    waiting = [atom for group in tensor.view for atom in group]
    axes = [list(group) for group in tensor.axes]
    view: list[tuple[Atom, ...]] = []
    for size in sizes:
        group: list[Atom] = []
        have: Any = 1
        if size == 1:
            # one atom of extent 1, if it is next
            if waiting and waiting[0].size == 1:
                group.append(waiting.pop(0))
            view.append(tuple(group))
            continue
        while have != size:
            if not waiting:
                raise ConfigError(f"shape {tensor.shape} becomes {list(sizes)}")
            atom = waiting.pop(0)
            if divided(size, have * atom.size) is not None:
                group.append(atom)
                have = have * atom.size
                continue
            part = divided(size, have)
            rest = None if part is None else divided(atom.size, part)
            if rest is None or atom.batch or isinstance(part, Size):
                raise ConfigError(
                    f"shape {tensor.shape} becomes {list(sizes)}, which divides an axis whose"
                    " parts are not known, or the batch"
                )
            first, second = Atom(part), Atom(rest)
            for members in axes:
                for k, each in enumerate(members):
                    if each is atom:
                        members[k : k + 1] = [first, second]
                        break
            group.append(first)
            waiting.insert(0, second)
            have = size
        view.append(tuple(group))
    if any(atom.size != 1 for atom in waiting):
        raise ConfigError(f"shape {tensor.shape} becomes {list(sizes)}")
    return replace(tensor, axes=tuple(map(tuple, axes)), view=tuple(view))
