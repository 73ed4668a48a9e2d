"""A layer used alone: it checks its arguments and has a tape of its own for the backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError, StateError
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.memory import names_memory

from . import masks
from .building import Buildable
from .symbol import connect, holds_symbols
from .tape import Batch, Steps, Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from gatewise._typing import Array, ArrayLike, Shape

    from .symbol import Node

# What to do instead of an argument of a call with symbols.
_WITH_SYMBOLS = {
    "mask": " leave it out: masks follow the arrays by themselves; give mask= to the model's call",
}

# Nodes of the tape of a layer used alone: what the layer saves, and an _Outputs.
LAYER, OUTPUTS = "layer", "outputs"


class UsedAlone(Buildable):
    """A layer that is called without a model."""

    def __call__(self, x: ArrayLike | Any, *args: Any, **kwargs: Any) -> Array | Any:
        if holds_symbols(x) or any(map(holds_symbols, (*args, *kwargs.values()))):
            training = self._training_of_call(kwargs.pop("training", None))
            return connect(self, *self._symbols_of(x, *args, **kwargs), training)
        return self.forward(x, *args, **kwargs)

    def _training_of_call(self, training: Any) -> bool | None:
        """Return the argument of a call with a symbol: False, or None for what the model does."""
        if training is None:
            return None
        if not checks.flag(training, "training"):
            return False
        raise ConfigError(
            f"{self._title()} is called with a symbol and training=True; leave it out: the model"
            " knows when it trains. To draw at inference, as for Monte Carlo dropout, call the"
            " model with arrays and training=True"
        )

    def _symbols_of(self, x: Any, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        """Return the symbols that :meth:`run` reads, and whether it receives them as a list.

        They come from the arguments of a call; those that Keras has and that change nothing are
        accepted as None.
        """
        initial_state = kwargs.pop("initial_state", None)
        if self._has_state and args and initial_state is None:
            initial_state, *args = args
        for name in ("mask", "lengths", "resets"):
            if kwargs.pop(name, None) is not None:
                raise ConfigError(
                    f"{self._title()} is called with a symbol and {name}=;"
                    + _WITH_SYMBOLS.get(name, " give it to the model's call, with the arrays")
                )
        if args or kwargs:
            given = ", ".join(kwargs) or f"{len(args) + 1} arguments"
            raise ConfigError(f"{self._title()} is called with a symbol and {given}; it reads x")
        parts = list(x) if isinstance(x, list | tuple) else [x]
        if initial_state is not None:
            if not self._has_state:
                self._refuse_state(initial_state, None)
            states = initial_state if isinstance(initial_state, list | tuple) else [initial_state]
            return [*parts, *states], True
        several = self.several_inputs and (isinstance(x, list | tuple) or len(parts) > 1)
        if len(parts) > 1 and not (self.several_inputs or self._has_state):
            raise ConfigError(
                f"{self._title()} reads one input and is called with {len(parts)} symbols; join"
                " them first, with Concatenate for example"
            )
        return parts, several or len(parts) > 1

    @property
    def output(self) -> Any:
        """The symbol that the layer returned when it was called with one; a list if several.

        Raises
        ------
        StateError
            It was not called with a symbol, or more than once.
        """
        outputs = self._only_node("output").outputs
        return outputs[0] if len(outputs) == 1 else list(outputs)

    @property
    def input(self) -> Any:
        """The symbol that the layer was called with; a list if several.

        Raises
        ------
        StateError
            It was not called with a symbol, or more than once.
        """
        node = self._only_node("input")
        inputs = node.inputs or node.outputs
        return list(inputs) if node.listed else inputs[0]

    def _only_node(self, what: str) -> Node:
        """Return the only call with symbols; a Sequential makes those of its layers when asked."""
        if not self._nodes and self.model is not None:
            self.model._call_layers()
        if len(self._nodes) != 1:
            raise StateError(
                f"{self._title()} has no {what} of its own: it was called"
                f" {len(self._nodes)} times with a symbol; use what the call returned"
            )
        return self._nodes[0]

    @names_memory
    def forward(
        self,
        x: ArrayLike,
        lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        initial_state: ArrayLike | Sequence[ArrayLike] | None = None,
        resets: ArrayLike | None = None,
        training: bool = False,
        mask: ArrayLike | None = None,
    ) -> Array | Any:
        """Compute the layer's output.

        Parameters
        ----------
        x : array_like of shape (batch, ..., features), or list of ndarray
            Inputs; a list if the layer has several inputs. They must have the layer's dtype or
            convert to it without loss, and are not changed. After a call with ``training=True``,
            do not change them before :meth:`backward`, which reads them again.
        lengths : array_like of shape (batch,), int, optional
            Number of steps of each row, 0 to steps. Outputs past the end of a row are zero, and the
            final state of a recurrent layer is that of the row's last step. A list with an array or
            None for each input if the layer has several. None: all steps count.
        initial_state : list of array_like of shape (batch, units), optional
            Initial state of a recurrent layer: ``[h]`` or ``[h, c]``. None: the last state of a
            stateful layer, else zeros.
        resets : array_like of shape (batch, steps), bool, optional
            True: a recurrent layer clears its state before this step. None: nowhere.
        training : bool, default False
            Save what :meth:`backward` needs, and apply dropout.
        mask : array_like of shape (batch, steps), bool, optional
            False: this step is ignored. The state does not change, and the output of the step is
            zero, or the previous output again for a recurrent layer with
            ``zero_output_for_mask=False``. A reset at such a step clears the state before the next
            step that counts, which for a stateful layer may be in the next call. None: all steps
            count.

        Returns
        -------
        ndarray, or list of ndarray
            Outputs in the layer's dtype. A list if the layer has several outputs, such as states.

        Raises
        ------
        ShapeError
            The shapes of the arguments do not fit the layer or each other.
        DTypeError
            An argument has another dtype, or cannot be converted without loss.
        NonFiniteError
            An argument holds NaN or infinity.
        SizeError
            The outputs do not fit into memory.
        StateError
            Another thread trains the layer, or uses the state of a stateful layer.
        ConfigError
            The layer does not take one of the arguments.
        """
        inputs, places, counted = self._read(x, lengths, initial_state, resets, mask)
        tape = self._begin_pass() if training else None
        with self._using_state(), self._guard, self._trains if training else NULL_CONTEXT:
            outputs = self.run(inputs, tape, LAYER)
        values = (
            [output.values for output in outputs] if isinstance(outputs, list) else outputs.values
        )
        if training:
            shapes = [part.shape for part in (values if isinstance(values, list) else [values])]
            tape.keep(OUTPUTS, _Outputs(shapes, isinstance(outputs, list), places, counted))
            if tape.has_actions:
                with self._guard.writing:
                    tape.settle()
        if places is not None:
            values = self._each_step_of(values, places.back)
        if counted is not None:
            values = self._each_step_of(values, lambda part: masks.held(part, counted))
        if isinstance(values, list):
            return values
        for batch in inputs if isinstance(inputs, list) else [inputs]:
            values = apart(values, batch.values)
        return values

    def _begin_pass(self) -> Tape:
        """Return the layer's own tape, ready for a new pass."""
        if self._tape is None:
            self._tape = Tape(hands_out=True)
        self._tape.begin()
        return self._tape

    def _using_state(self) -> AbstractContextManager[None]:
        """Return a context manager that lets one thread at a time use the state.

        It does nothing if the layer is not stateful.

        Raises
        ------
        StateError
            On entering it while another thread is inside.
        """
        return self._one_stream if self.stateful else NULL_CONTEXT

    # ---- inputs

    def _read(
        self, x: Any, lengths: Any, initial_state: Any, resets: Any, mask: Any
    ) -> tuple[Any, Any, Array | None]:
        """Check the arguments of :meth:`forward`.

        Returns
        -------
        inputs : Batch, or list of Batch
            Arguments of :meth:`run`.
        places : Places, Ends or None
            Original positions of the outputs' steps. None: nothing was moved.
        counted : ndarray of shape (batch, steps), bool, or None
            Steps that count, if the output is to be repeated at the others. None: it is not.
        """
        if self.several_inputs and self._is_several(x):
            self._refuse_state(initial_state, resets)
            if mask is not None:
                raise ConfigError(
                    f"layer {self.name!r} takes a mask with one input, not with {len(x)}; give"
                    " lengths"
                )
            return self._read_several(x, lengths), None, None
        x = self._checked_input(x)
        if lengths is not None:
            lengths = checks.sequence_lengths(lengths, x.shape[0], x.shape[1])
        if initial_state is not None or resets is not None:
            if not self._has_state:
                self._refuse_state(initial_state, resets)
            if resets is not None:
                resets = checks.reset_flags(resets, *x.shape[:2])
            if initial_state is not None:
                initial_state = self._checked_state(initial_state, x.shape[0], "initial_state")
        places = counted = None
        if mask is not None or (
            lengths is not None and (self._holds_outputs or not self._has_state)
        ):
            batch, places, counted = self._masked(x, lengths, resets, mask)
        elif lengths is None and resets is None:
            batch = Batch(x)
        else:
            batch = Batch(x, Steps(lengths, resets))
        if initial_state is None:
            return batch, places, counted
        return [batch, *(Batch(state) for state in initial_state)], places, counted

    def _refuse_state(self, initial_state: Any, resets: Any) -> None:
        if initial_state is not None or resets is not None:
            raise ConfigError(
                f"layer {self.name!r} keeps no state: initial_state and resets are for recurrent"
                " layers"
            )

    @staticmethod
    def _is_several(x: Any) -> bool:
        """Return whether x is a list with an array for each input, rather than one nested list."""
        return (
            isinstance(x, list | tuple)
            and len(x) > 1
            and all(isinstance(part, np.ndarray) and part.ndim > 1 for part in x)
        )

    def _build_for(self, arrays: Sequence[Array]) -> None:
        """Build the layer for several inputs of these shapes."""
        self.build([(None, *part.shape[1:]) for part in arrays])

    def _read_several(self, x: Sequence[Array], lengths: Any) -> list[Batch]:
        """Check several inputs; `lengths` is a list with an entry for each, or None."""
        arrays = [
            checks.finite(
                checks.float_array(part, f"x[{k}]", self._dtype, convert=False), f"x[{k}]"
            )
            for k, part in enumerate(x)
        ]
        if len({len(part) for part in arrays}) > 1:
            raise ShapeError(
                f"x holds arrays of shapes {', '.join(str(part.shape) for part in arrays)};"
                " expected the same number of rows in each"
            )
        if not self.built:
            with self._guard.writing:
                if not self.built:
                    self._build_for(arrays)
        given = [None] * len(x) if lengths is None else checks.listed(lengths, "lengths", "arrays")
        if len(given) != len(arrays):
            raise ShapeError(
                f"lengths has {len(given)} entries; expected {len(arrays)}, an array or None for"
                " each input"
            )
        batches = []
        for part, ends in zip(arrays, given):
            ends = None if ends is None else checks.sequence_lengths(ends, *part.shape[:2])
            batches.append(Batch(part, None if ends is None else Steps(ends)))
        return batches

    def _masked(
        self, x: Array, lengths: Array | None, resets: Array | None, mask: Any
    ) -> tuple[Batch, Any, Array | None]:
        """Move the steps that count to the front: (Batch, places, counted), as in :meth:`_read`."""
        places = back = cleared = None
        if x.ndim < 3 and not self.reads_steps:
            raise ShapeError(
                f"{'lengths were' if mask is None else 'mask was'} given with an x of shape"
                f" {x.shape}, which has no steps; omit {'them' if mask is None else 'it'}"
            )
        if mask is not None:
            mask = masks.step_mask(mask, x.shape)
        counted = masks.counted_mask(mask, lengths, x.shape) if self._holds_outputs else None
        if mask is not None:
            if resets is not None:
                resets, back, cleared = masks.moved_resets(mask, resets, lengths)
            lengths, places = masks.lengths_and_places(mask, lengths)
        steps = Steps(lengths, resets, back, places, cleared)
        if places is not None:
            x = places.to_front(x)
        # The outputs past the end are then set to zero, and their gradients are not read.
        elif lengths is not None and not self._has_state:
            x, places = masks.cleared_ends(x, lengths), masks.ends(lengths, x.shape[1])
        return Batch(x, steps), places, counted

    def _checked_input(self, x: Any) -> Array:
        x = self._read_input(x, self._dtype, False)
        if self.input_shape is None:
            if x.ndim < 2 or (self._rank and x.ndim != self._rank) or 0 in x.shape[1:]:
                raise ShapeError(
                    f"x has shape {x.shape}; layer {self.name!r} expects {self._axes}, each axis"
                    " but the first at least 1 long"
                )
            with self._guard.writing:
                if self.input_shape is None:  # another thread may have built it meanwhile
                    self.build((None, *x.shape[1:]))
        self._check_shape(x)
        return self._check_values(x)

    def _check_shape(self, x: Array) -> None:
        if x.ndim != len(self.input_shape):
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} expects {len(self.input_shape)} axes, "
                f"{shape_text(self.input_shape)}"
            )
        if self.input_shape[-1] not in (None, x.shape[-1]):
            checks.features(x, "x", self.input_shape[-1], f"layer {self.name!r}")

    # ---- the backward pass

    @names_memory
    def backward(self, dy: ArrayLike | Sequence[ArrayLike | None]) -> Array | Any | None:
        """Compute the gradients of the last call of ``forward(..., training=True)``.

        The gradients of the parameters are added to :attr:`gradients`.

        Parameters
        ----------
        dy : array_like, or list of array_like or None
            Gradient of the loss with respect to the output, in its shape. A list if the layer
            returned one; with ``return_state`` the gradients of the final h and c follow that of
            the output. None in a list means zeros.

        Returns
        -------
        ndarray, list of ndarray, or None
            Gradient with respect to x; a list if x was one. None if x holds whole numbers.

        Raises
        ------
        StateError
            There was no such call, or its gradients have already been computed.
        ShapeError
            A gradient does not have the shape of its output.
        DTypeError
            A gradient cannot be converted to the layer's dtype without loss.
        """
        tape = self._tape
        if tape is None or not tape.holds(OUTPUTS):
            raise StateError(
                f"layer {self.name!r} has no forward pass to differentiate: call"
                " forward(x, training=True) first"
            )
        outputs = tape.look(OUTPUTS)
        gradients = self._checked_gradients(dy, outputs)
        places, counted = outputs.places, outputs.counted
        if counted is not None:
            gradients = self._each_step_of(
                gradients, lambda part: masks.held_backward(part, counted)
            )
        if places is not None:
            gradients = self._each_step_of(gradients, places.to_front)
        with self._trains, self._guard:
            tape.take(OUTPUTS)
            dx = self.run_backward(gradients, tape, LAYER, True)
            self._clear_frozen_gradients()
        if isinstance(dx, list):
            if self.several_inputs:
                return dx
            dx = dx[0]  # the gradients of the states are in initial_state_gradient
        if dx is None:
            return None
        for part in gradients if isinstance(gradients, list) else [gradients]:
            dx = dx if part is None else apart(dx, part)
        return dx if places is None else places.back(dx)

    def _checked_gradients(self, dy: Any, outputs: _Outputs) -> Any:
        """Check the argument of :meth:`backward` against the outputs."""
        shapes = outputs.shapes
        if not outputs.listed:
            return self._checked_gradient(dy, "dy", shapes[0])
        parts = checks.listed(dy, "dy", "arrays")
        if len(parts) != len(shapes):
            raise ShapeError(
                f"dy has {len(parts)} arrays; layer {self.name!r} returns {len(shapes)}"
            )
        return [
            None if part is None else self._checked_gradient(part, f"dy[{i}]", shape)
            for i, (part, shape) in enumerate(zip(parts, shapes))
        ]

    def _checked_gradient(self, dy: Any, name: str, shape: tuple[int, ...]) -> Array:
        dy = checks.float_array(dy, name, self.dtype, convert=False)
        if dy.shape != shape:
            raise ShapeError(f"{name} has shape {dy.shape}; expected {shape}, the output's")
        return dy

    def _each_step_of(self, y: Any, moved: Callable[[Array], Array]) -> Any:
        """Apply a function to the outputs with steps, or to their gradients."""
        if not self.keeps_steps:
            return y
        if not isinstance(y, list):
            return moved(y)
        return [
            moved(part) if part is not None and k < self._output_count else part
            for k, part in enumerate(y)
        ]


@dataclass(slots=True)
class _Outputs:
    """The outputs of a layer used alone, as its backward pass needs them."""

    shapes: list[tuple[int, ...]]
    listed: bool  # whether the outputs are a list
    places: masks.Places | masks.Ends | None  # as in UsedAlone._read
    counted: Array | None


def shape_text(shape: Shape) -> str:
    """Return a shape for messages."""
    return "(" + ", ".join("any" if extent is None else str(extent) for extent in shape) + ")"


def apart(y: Array, x: Array) -> Array:
    """Return y, or a copy of it if it may share memory with x."""
    if y.base is None and y is not x and x.base is not y:  # the usual case, found 10 times as fast
        return y
    return y.copy() if np.may_share_memory(y, x) else y
