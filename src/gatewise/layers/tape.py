"""The data of a pass: batches with their steps, and the tape that the backward pass reads.

A :class:`Batch` holds an array and which of its steps count. A :class:`Tape` holds what a training
pass saves for its backward pass, by node. A layer itself has parameters, and a state if it is
stateful, but stores nothing of a pass. One layer may therefore be at two nodes of a pass, and the
passes of several threads do not share data.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import StateError
from gatewise.kernels._memory import aligned_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from gatewise._typing import Array, DType

    from .masks import Places


@dataclass(slots=True)
class Steps:
    """Which steps of an array (batch, steps, ...) count, and where recurrent state is cleared.

    Parameters
    ----------
    lengths : ndarray of shape (batch,), intp, optional
        Number of steps of each row. None: all steps count.
    resets : ndarray of shape (batch, steps), uint8, optional
        Nonzero: recurrent state is cleared before this step. None: nowhere.
    resets_back : ndarray of shape (batch, steps), uint8, optional
        The resets of layers with ``go_backwards=True``, if a mask makes them differ. None: the
        same as `resets`.
    places : Places, optional
        Original positions of the steps, if a mask moved the steps that count to the front of their
        rows. None: nothing was moved.
    cleared : ndarray of shape (batch, 2), bool, optional
        Rows whose final state is discarded instead of kept for the next call, because the mask
        hides their last reset: in column 0 for layers that go forward, in column 1 for those that
        go backwards. None: no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Steps
    >>> Steps(lengths=np.array([2, 3])).lengths
    array([2, 3])
    """

    lengths: Array | None = None
    resets: Array | None = None
    resets_back: Array | None = None
    places: Places | None = None
    cleared: Array | None = None

    def resets_of(self, backwards: bool) -> Array | None:
        """Return the resets for one direction.

        Parameters
        ----------
        backwards : bool
            Whether the layer visits the steps from last to first.

        Returns
        -------
        ndarray of shape (batch, steps), uint8, or None
            Where state is cleared; None: nowhere.
        """
        return self.resets if self.resets_back is None or not backwards else self.resets_back


@dataclass(slots=True)
class Lookup:
    """Of values that are rows of a table: the table, and the numbers of the rows.

    If there are more steps than rows, a layer computes less with the table than with the values.

    Parameters
    ----------
    numbers : ndarray of shape (batch, steps), int32
        Which row each step is. Must not be changed.
    table : ndarray of shape (rows, features)
        The table, in the dtype of the values.
    collects : bool, default False
        Whether a layer that used the table may return None instead of the gradient of the values,
        and add that of the table to :attr:`gradient`. The values then have one reader.

    Attributes
    ----------
    gradient : ndarray of shape (rows, features), or None
        Gradient of the table, as far as it was added here.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers.tape import Lookup
    >>> lookup = Lookup(np.array([[0, 1, 1]], np.int32), np.ones((2, 4), np.float32))
    >>> lookup.repeats
    True
    """

    numbers: Array
    table: Array
    collects: bool = False
    gradient: Array | None = None

    @property
    def repeats(self) -> bool:
        """Whether there are fewer rows than steps, bool."""
        return len(self.table) < self.numbers.size

    def add(self, gradient: Array) -> None:
        """Add a gradient of the table.

        Parameters
        ----------
        gradient : ndarray of shape (rows, features)
            It may be kept, and must not be changed afterwards.
        """
        self.gradient = gradient if self.gradient is None else self.gradient + gradient


class Batch:
    """An array with one row for each sample, and its steps.

    Parameters
    ----------
    values : ndarray of shape (batch, ...), float32 or float64
        Values in the layer's dtype, C-contiguous. Must not be changed.
    steps : Steps, optional
        Which steps count. None: the array has no time axis, or all steps count and nothing is
        reset.
    lookup : Lookup, optional
        The table whose rows the values are. None: they come from elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Batch, Dense
    >>> layer = Dense(2, kernel_initializer="ones", input_shape=(3,))
    >>> layer.build((None, 3))
    >>> layer.run(Batch(np.ones((1, 3), np.float32)), None, "node").values
    array([[3., 3.]], dtype=float32)
    """

    __slots__ = ("lookup", "steps", "values")

    def __init__(
        self, values: Array, steps: Steps | None = None, lookup: Lookup | None = None
    ) -> None:
        self.values: Array = values
        self.steps: Steps | None = steps
        self.lookup: Lookup | None = lookup

    @property
    def lengths(self) -> Array | None:
        """Number of steps of each row, ndarray of shape (batch,), intp; None: all steps count."""
        return None if self.steps is None else self.steps.lengths

    def with_values(self, values: Array) -> Batch:
        """Return a batch with other values and the same steps.

        Parameters
        ----------
        values : ndarray of shape (batch, ...)
            Values of the new batch.

        Returns
        -------
        Batch
            The values with this batch's steps.
        """
        return Batch(values, self.steps)


class Tape:
    """What one training pass saves for its backward pass, by node.

    A model uses one tape for all its training steps, so that workspaces are reused. Results have
    memory of their own: the caller may keep them.

    Parameters
    ----------
    hands_out : bool, default False
        Whether gradients of inputs are returned to the user, so that each needs new memory.

    Attributes
    ----------
    state_gradients : dict of node to list of ndarray
        Gradients of the initial states of recurrent layers, after the backward pass.
    carried : dict of node to list of ndarray, or None
        For truncated back-propagation through time: the initial state of each recurrent layer and,
        after the pass, its final state. None: no state is carried from batch to batch.
    training : bool
        False while a layer runs that was called with ``training=False``: it computes what it does
        at inference, without dropout for example, and its backward pass follows.

    Examples
    --------
    >>> from gatewise.layers import Tape
    >>> tape = Tape()
    >>> tape.keep("node", {"shape": (2, 3)})
    >>> tape.take("node")
    {'shape': (2, 3)}
    """

    __slots__ = (
        "_actions",
        "_records",
        "_workspaces",
        "carried",
        "hands_out",
        "state_gradients",
        "training",
    )

    def __init__(self, hands_out: bool = False) -> None:
        self.hands_out: bool = hands_out
        self._records: dict[Hashable, Any] = {}
        self._workspaces: dict[Hashable, Any] = {}
        self._actions: list[Callable[[], None]] = []
        self.state_gradients: dict[Hashable, list[Array]] = {}
        self.carried: dict[Hashable, list[Array]] | None = None
        self.training: bool = True

    @contextlib.contextmanager
    def _at_inference(self) -> Iterator[None]:
        """Return a context manager in which :attr:`training` is False."""
        before, self.training = self.training, False
        try:
            yield
        finally:
            self.training = before

    def begin(self, carried: dict[Any, list[Array]] | None = None) -> None:
        """Begin a new pass: discard what the last one saved, except the workspaces.

        Parameters
        ----------
        carried : dict of node to list of ndarray, optional
            States that recurrent layers start from; see :attr:`carried`. None: none is carried.
        """
        self._records.clear()
        self._actions.clear()
        self.state_gradients = {}
        self.carried = carried

    def keep(self, node: Hashable, record: Any) -> None:
        """Save what the backward pass needs at a node.

        Parameters
        ----------
        node : hashable
            The node, as :meth:`Layer.run` received it.
        record : object
            Anything that :meth:`Layer.run_backward` needs.
        """
        self._records[node] = record

    def holds(self, node: Hashable) -> bool:
        """Return whether something is saved for a node.

        Parameters
        ----------
        node : hashable
            The node.

        Returns
        -------
        bool
            True if :meth:`take` would return something.
        """
        return node in self._records

    def look(self, node: Hashable) -> Any:
        """Return what is saved for a node, and keep it on the tape.

        Parameters
        ----------
        node : hashable
            The node.

        Returns
        -------
        object
            What :meth:`keep` received.

        Raises
        ------
        KeyError
            Nothing is saved for this node.
        """
        return self._records[node]

    def take(self, node: Hashable) -> Any:
        """Return what is saved for a node, and remove it from the tape.

        Parameters
        ----------
        node : hashable
            The node.

        Returns
        -------
        object
            What :meth:`keep` received.

        Raises
        ------
        StateError
            Nothing is saved: there was no forward pass, or its backward pass has already run.
        """
        try:
            return self._records.pop(node)
        except KeyError:
            raise StateError(
                f"the tape holds nothing for node {node!r}: run the layer with this tape first;"
                " each forward pass has one backward pass"
            ) from None

    def workspace(self, node: Hashable, make: Callable[[], Any]) -> Any:
        """Return an object that is made once for a node and used again in each pass.

        Parameters
        ----------
        node : hashable
            The node.
        make : callable
            Called without arguments if the node has no workspace yet.

        Returns
        -------
        object
            What `make` returned.
        """
        found = self._workspaces.get(node)
        if found is None:
            found = self._workspaces[node] = make()
        return found

    def scratch(self, node: Hashable, shape: tuple[int, ...], dtype: DType) -> Array:
        """Return an array for the gradient of the inputs; its contents are undefined.

        The next pass uses the same memory again, unless gradients are returned to the user.

        Parameters
        ----------
        node : hashable
            The node.
        shape : tuple of int
            Shape of the array.
        dtype : {"float32", "float64"}
            Its dtype.

        Returns
        -------
        ndarray
            C-contiguous.
        """
        if self.hands_out:
            return np.empty(shape, dtype)
        key = (node, "scratch")
        array = self._workspaces.get(key)
        if array is None or array.shape != tuple(shape) or array.dtype != dtype:
            array = self._workspaces[key] = aligned_empty(shape, dtype)
        return array

    def afterwards(self, action: Callable[[], None]) -> None:
        """Call a function after the forward pass, when no other thread reads the weights.

        For updates of parameters that no optimizer changes, such as moving averages.

        Parameters
        ----------
        action : callable
            Called once, without arguments.
        """
        self._actions.append(action)

    @property
    def has_actions(self) -> bool:
        """Whether :meth:`settle` has something to call, bool."""
        return bool(self._actions)

    def settle(self) -> None:
        """Call the functions that layers gave to :meth:`afterwards`, each once, in order."""
        actions, self._actions = self._actions, []
        for action in actions:
            action()

    def __reduce__(self) -> tuple[Callable[..., Tape], tuple[bool, dict[Hashable, list[Array]]]]:
        """Copy the gradients of states, but nothing of a pass that is running."""
        return _copied, (self.hands_out, self.state_gradients)


def _copied(hands_out: bool, state_gradients: dict[Hashable, list[Array]]) -> Tape:
    tape = Tape(hands_out)
    tape.state_gradients = state_gradients
    return tape


def draws(tape: Tape | None) -> bool:
    """Return whether a layer draws at random, or does anything else that inference does not."""
    return tape is not None and tape.training


class Tapes:
    """The tape of a model between two passes.

    Passes that run at once in several threads have a tape each. A copy of the model starts without
    tapes.
    """

    def __init__(self) -> None:
        self._free: list[Tape] = []

    def borrow(self, carried: dict[Any, list[Array]] | None = None) -> Tape:
        """Return a tape for one pass; see :attr:`Tape.carried`."""
        try:
            tape = self._free.pop()
        except IndexError:
            tape = Tape()
        tape.begin(carried)
        return tape

    def give_back(self, tape: Tape) -> None:
        """End the pass: clear the tape, and keep it for the next pass if no other one is kept."""
        tape.begin()
        if not self._free:
            self._free.append(tape)

    def __reduce__(self) -> tuple[type[Tapes], tuple[()]]:
        return Tapes, ()
