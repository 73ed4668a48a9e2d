"""What layers hand to each other: arrays with their steps forward, and a tape for the backward
pass.

What belongs to an array travels with it, as a :class:`Batch`: its values, and which of its steps
count. What belongs to a training pass lies on the :class:`Tape` of that pass, under the node that
kept it. A layer itself keeps parameters, and a state if it is stateful, but nothing of a pass. So
one layer may be at two nodes of a pass, and passes of several threads do not meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import StateError
from gatewise.kernels._memory import aligned_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from gatewise._typing import Array

    from .masks import Places


@dataclass(slots=True)
class Steps:
    """Which steps of an array (batch, steps, ...) count, and where recurrent state is cleared.

    Parameters
    ----------
    lengths : ndarray (batch,), intp, optional
        Steps in each row. None: all of them.
    resets : ndarray (batch, steps), uint8, optional
        Nonzero: recurrent state is cleared before this step.
    resets_back : ndarray (batch, steps), uint8, optional
        The same for layers that go backwards, if a mask makes it another. None: as `resets`.
    places : Places, optional
        Where the steps come from, if a mask moved those that count to the front of their rows.
    cleared : ndarray (batch, 2), bool, optional
        Rows whose state is not kept for the next call, by layers that go forward, and backwards: a
        mask hides their last reset.
    """

    lengths: Array | None = None
    resets: Array | None = None
    resets_back: Array | None = None
    places: Places | None = None
    cleared: Array | None = None

    def resets_of(self, backwards: bool) -> Array | None:
        """The resets of a layer that goes backwards, or of one that does not."""
        return self.resets if self.resets_back is None or not backwards else self.resets_back


class Batch:
    """An array with a row for each sample, and its steps.

    Parameters
    ----------
    values : ndarray (batch, ...)
        In the layer's dtype, C-contiguous. Not to be changed.
    steps : Steps, optional
        None: there are none, or all of them count and nothing is reset.
    """

    __slots__ = ("steps", "values")

    def __init__(self, values: Array, steps: Steps | None = None) -> None:
        self.values: Array = values
        self.steps: Steps | None = steps

    @property
    def lengths(self) -> Array | None:
        """Steps in each row, ndarray (batch,) of intp; None: all of them."""
        return None if self.steps is None else self.steps.lengths

    def with_values(self, values: Array) -> Batch:
        """Other values whose steps are those of this batch: what most layers return."""
        return Batch(values, self.steps)


class Tape:
    """What one training pass keeps for its backward pass, by node.

    A model has one tape from one training step to the next, so that workspaces are reused. Results
    are not: whoever gets them may keep them.

    Parameters
    ----------
    hands_out : bool
        Gradients of inputs go to the user, so that each has memory of its own.

    Attributes
    ----------
    state_gradients : dict of node to list of ndarray
        Gradients of the initial states of recurrent layers, after the backward pass.
    carried : dict of node to list of ndarray, or None
        In truncated back-propagation through time: the state that each recurrent layer begins with,
        and, after the pass, the one it ended in. None: nothing is carried.
    """

    __slots__ = ("_actions", "_records", "_workspaces", "carried", "hands_out", "state_gradients")

    def __init__(self, hands_out: bool = False) -> None:
        self.hands_out: bool = hands_out
        self._records: dict[Hashable, Any] = {}
        self._workspaces: dict[Hashable, Any] = {}
        self._actions: list[Callable[[], None]] = []
        self.state_gradients: dict[Hashable, list[Array]] = {}
        self.carried: dict[Hashable, list[Array]] | None = None

    def begin(self, carried: dict[Hashable, list[Array]] | None = None) -> None:
        """Begin another pass: forget what the last one kept, but for the workspaces."""
        self._records.clear()
        self._actions.clear()
        self.state_gradients = {}
        self.carried = carried

    def keep(self, node: Hashable, record: Any) -> None:
        """Keep what the backward pass needs at this node; anything."""
        self._records[node] = record

    def holds(self, node: Hashable) -> bool:
        """Whether something is kept for this node."""
        return node in self._records

    def look(self, node: Hashable) -> Any:
        """What is kept for this node; it stays there."""
        return self._records[node]

    def take(self, node: Hashable) -> Any:
        """What was kept for this node, once.

        Raises
        ------
        StateError
            There is nothing: no forward pass, or its backward pass has been already.
        """
        try:
            return self._records.pop(node)
        except KeyError:
            raise StateError(
                f"the tape holds nothing for node {node!r}: run the layer with this tape first;"
                " each forward pass has one backward pass"
            ) from None

    def workspace(self, node: Hashable, make: Callable[[], Any]) -> Any:
        """The object that `make` made for this node; the same one in each pass."""
        found = self._workspaces.get(node)
        if found is None:
            found = self._workspaces[node] = make()
        return found

    def scratch(self, node: Hashable, shape: Sequence[int], dtype: str) -> Array:
        """An array for a gradient of the inputs, contents undefined.

        The next pass uses it again.
        """
        if self.hands_out:
            return np.empty(shape, dtype)
        key = (node, "scratch")
        array = self._workspaces.get(key)
        if array is None or array.shape != tuple(shape) or array.dtype != dtype:
            array = self._workspaces[key] = aligned_empty(shape, dtype)
        return array

    def afterwards(self, action: Callable[[], None]) -> None:
        """Call `action` when the forward pass is over and no other thread reads the weights.

        For what a pass finds out about parameters that no optimizer moves, such as moving averages.
        """
        self._actions.append(action)

    @property
    def has_actions(self) -> bool:
        """Whether :meth:`settle` has something to do."""
        return bool(self._actions)

    def settle(self) -> None:
        """Do what layers have asked for with :meth:`afterwards`, in order, once."""
        actions, self._actions = self._actions, []
        for action in actions:
            action()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy holds gradients of states, and no pass that is under way."""
        return _copied, (self.hands_out, self.state_gradients)


def _copied(hands_out: bool, state_gradients: dict[Hashable, list[Array]]) -> Tape:
    tape = Tape(hands_out)
    tape.state_gradients = state_gradients
    return tape


class Tapes:
    """The tape of a model between two passes; passes of several threads at once have a tape each.

    A copy has none.
    """

    def __init__(self) -> None:
        self._free: list[Tape] = []

    def borrow(self, carried: dict[Hashable, list[Array]] | None = None) -> Tape:
        """A tape for one pass; see :attr:`Tape.carried`."""
        try:
            tape = self._free.pop()
        except IndexError:
            tape = Tape()
        tape.begin(carried)
        return tape

    def give_back(self, tape: Tape) -> None:
        """The pass is over. The tape forgets it, and is kept if no other one is."""
        tape.begin()
        if not self._free:
            self._free.append(tape)

    def __reduce__(self) -> tuple[Any, ...]:
        return Tapes, ()
