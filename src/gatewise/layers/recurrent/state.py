"""The state of recurrent layers: kept from call to call, set by users, carried between batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ShapeError, StateError
from gatewise.layers.alone import LAYER
from gatewise.layers.sequences import SequenceLayer

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, ArrayLike, Shape
    from gatewise.layers.tape import Batch, Steps, Tape


class HasState(SequenceLayer):
    """A recurrent layer's state."""

    _has_state = True
    cell: Any  # a Cell; an RNNCell in layers whose steps are computed in Python
    go_backwards: bool
    _state: list[Array] | None  # of the last call, if the layer is stateful

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the states: ("h",) or ("h", "c")."""
        return self.cell.states

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Number of units of each state, tuple of int."""
        return self.cell.state_sizes

    def _shapes_of_states(self, input_shape: Shape) -> list[Shape]:
        """Return the shapes (batch, ...) of the states, for inputs of this shape."""
        return [(None, *shape) for shape in self._state_shapes]

    @property
    def _state_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shape of each state of one row; None for an extent that is not known."""
        return tuple((size,) for size in self.state_sizes)

    @property
    def state(self) -> list[Array] | Any:  # Any, not None: whoever unpacks it has made a call
        """State that the next call starts from, list of ndarray of shape (batch, units), or None.

        The list is ``[h]`` or ``[h, c]``; None means zeros. It can be set for any batch size;
        setting None is the same as :meth:`reset_state`. Only a layer with ``stateful=True`` keeps
        its state between calls.

        Raises
        ------
        StateError
            It is set, but the layer is not stateful, or another thread uses it.
        ShapeError
            The arrays that are set do not have the shapes of the states.
        """
        return None if self._state is None else [array.copy() for array in self._state]

    @state.setter
    def state(self, value: ArrayLike | Sequence[ArrayLike] | None) -> None:
        if not self.stateful:
            raise StateError(
                f"layer {self.name!r} keeps no state: construct it with stateful=True, or pass"
                " initial_state"
            )
        state = None if value is None else self._checked_state(value, None, "state")
        with self._using_state():
            self._state = state

    def reset_state(self) -> None:
        """Discard the state: the next call starts from zeros, with any batch size."""
        with self._using_state():
            self._state = None

    reset_states = reset_state  # Keras 2's name

    def _checked_state(self, value: Any, batch: int | None, name: str) -> list[Array]:
        """Return copies of the states, checked; with any number of rows if `batch` is None."""
        names, shapes = self.state_names, self._state_shapes
        axes = 1 + len(shapes[0])
        arrays = (
            [value]
            if isinstance(value, np.ndarray) and value.ndim == axes
            else checks.listed(value, name, "arrays")
        )
        if len(arrays) != len(names):
            raise ShapeError(
                f"{name} has {len(arrays)} arrays; layer {self.name!r} expects {len(names)}:"
                f" {', '.join(names)}, of shapes"
                f" {', '.join(_shape_text('batch', shape) for shape in shapes)}"
            )
        checked = []
        for part, shape, given in zip(names, shapes, arrays):
            array = checks.float_array(given, f"{name} {part}", self.dtype, convert=False)
            rows = array.shape[0] if batch is None and array.ndim == axes else batch
            if array.ndim != axes or any(
                wanted not in (None, extent) for wanted, extent in zip((rows, *shape), array.shape)
            ):
                raise ShapeError(
                    f"{name} {part} has shape {array.shape}; expected "
                    f"{_shape_text('batch' if rows is None else rows, shape)}"
                )
            batch = rows
            checked.append(checks.finite(array, f"{name} {part}").copy())
        return checked

    @property
    def initial_state_gradient(self) -> list[Array] | None:
        """Gradients of the initial states after :meth:`backward`, list of ndarray; None before."""
        return None if self._tape is None else self._tape.state_gradients.get(LAYER)

    def _start(
        self, states: list[Batch], tape: Tape | None, node: Hashable, batch: int
    ) -> list[Array] | None:
        """Return the initial state of a pass; None: zeros.

        It comes with the inputs, as `states`, or is carried from the last batch or the last call.
        """
        if states:
            start = [state.values for state in states]
        elif tape is not None and tape.carried is not None:
            start = tape.carried.get(node)
            if start is None:
                return self._checked_rows_of_state(batch)
        else:
            return self._checked_rows_of_state(batch)
        if start[0].shape[0] != batch:
            raise ShapeError(
                f"layer {self.name!r} continues from the state of {start[0].shape[0]} rows, x has"
                f" {batch}"
            )
        return start

    def _checked_rows_of_state(self, batch: int) -> list[Array] | None:
        """Return the state of the last call, or None; its number of rows is checked."""
        if self._state is not None and self._state[0].shape[0] != batch:
            raise ShapeError(
                f"layer {self.name!r} keeps the state of {self._state[0].shape[0]} rows, x has"
                f" {batch}; call reset_state() before another batch size"
            )
        return self._state

    def _leave(
        self, final: list[Array], steps: Steps | None, tape: Tape | None, node: Hashable
    ) -> None:
        """Keep the final states for the next call, or for the next part of the sequences."""
        if self.stateful:
            cleared = None if steps is None else steps.cleared
            if cleared is None:
                self._state = [state.copy() for state in final]
            else:
                rows = cleared[:, int(self.go_backwards), None]
                self._state = [np.where(rows, state.dtype.type(0), state) for state in final]
        if tape is not None and tape.carried is not None:
            tape.carried[node] = [state.copy() for state in final]


def _shape_text(rows: Any, shape: tuple[int | None, ...]) -> str:
    extents = ("any" if extent is None else str(extent) for extent in shape)
    return f"({rows}, {', '.join(extents)})"
