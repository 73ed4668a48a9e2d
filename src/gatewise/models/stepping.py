"""Sequences that continue through a model a few steps at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError
from gatewise.layers.masks import cleared_ends
from gatewise.layers.tape import Batch, Steps

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, IntArray
    from gatewise.layers import Layer

    States = dict[Hashable, list[Array]]  # of the layer at each node; a row for each sequence


class Stepper:
    """Passes sequences through a model a few steps at a time; it holds their state.

    After each call the rows can be put into another order, repeated or dropped. The model does not
    change, nor does the state that its stateful layers keep, and any number of steppers may use one
    model. A row has the same bits as in one pass over all its steps, whatever other rows there are.

    Parameters
    ----------
    model : Sequential or Model
        A built model with one input and one output, each layer of which computes a step from this
        step and earlier ones.
    scores : bool, default False
        Whether to leave out the activation of the last layer, if it can give what comes before.

    Attributes
    ----------
    gives_scores : bool
        Whether the activation is left out.

    Raises
    ------
    ConfigError
        A layer needs later steps, or all of them at once; the message names it. Or the model reads
        no sequences, or several, or computes the initial state of a layer.
    StateError
        The model is not built.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import Sequential, layers
    >>> from gatewise.models.stepping import Stepper
    >>> model = Sequential([layers.GRU(4, input_shape=(None, 2))], seed=0)
    >>> x = np.ones((3, 6, 2), "float32")
    >>> stepper = Stepper(model)
    >>> for t in range(6):
    ...     y = stepper.advance(x[:, t : t + 1])
    >>> bool(np.array_equal(y, model.predict(x)))
    True
    """

    def __init__(self, model: Any, scores: bool = False) -> None:
        model._need_built("Stepper")
        if not model._reads_sequences():
            raise ConfigError(
                f"model {model.name!r} reads no steps: its input is {model.input_shape}; expected"
                " (batch, steps, features), or (batch, steps) of whole numbers"
            )
        if len(model._input_names) > 1 or len(model._output_names) > 1:
            raise ConfigError(
                f"model {model.name!r} has {len(model._input_names)} inputs and"
                f" {len(model._output_names)} outputs; one of each can run step by step"
            )
        if model._starts_given is not None:
            raise ConfigError(
                f"layer {model._starts_given.name!r} starts from a state that model {model.name!r}"
                " computes, which is not known step by step"
            )
        for layer in model._stepped_layers():
            reason = layer._cannot_advance
            if reason is not None:
                raise ConfigError(
                    f"layer {layer.name!r} ({type(layer).__name__}) cannot run one step after the"
                    f" other: {reason}"
                )
        self._model = model
        self._keeps_steps = model._followed_input() is not None
        self.gives_scores: bool = scores and model._score_layer() is not None
        self._states: States = {}
        self._rows: int | None = None

    @property
    def rows(self) -> int | None:
        """Number of sequences, int; None before the first step."""
        return self._rows

    def advance(self, x: Array, lengths: IntArray | None = None) -> Array:
        """Pass the next steps of each sequence through the model.

        Parameters
        ----------
        x : ndarray of shape (rows, steps, features), or (rows, steps) of whole numbers
            The next steps as the model reads them, in its dtype, one or more.
        lengths : ndarray of shape (rows,), intp, optional
            Number of steps in each row, from 0; a row without steps keeps its state. None: all.

        Returns
        -------
        ndarray of shape (rows, outputs)
            The output after the last step of each row, which is undefined for a row without steps.

        Raises
        ------
        ShapeError
            The number of rows is not the one of the last call.
        """
        y = self._pass(x, lengths, only_last=True)
        return y[:, 0] if self._keeps_steps else y

    def run(self, x: Array, lengths: IntArray | None = None) -> Array:
        """Pass the next steps of each sequence through the model, for the outputs of all of them.

        Parameters
        ----------
        x, lengths
            As in :meth:`advance`.

        Returns
        -------
        ndarray of shape (rows, steps, outputs)
            The output after each step, which is undefined past the end of a row.

        Raises
        ------
        ShapeError
            The number of rows is not the one of the last call.
        """
        return self._pass(x, lengths, only_last=False)

    def _pass(self, x: Array, lengths: IntArray | None, *, only_last: bool) -> Array:
        if self._rows not in (None, len(x)):
            raise ShapeError(f"x has {len(x)} rows; the stepper holds the states of {self._rows}")
        model = self._model
        x = np.ascontiguousarray(x)
        batch = Batch(x)
        if lengths is not None:
            batch = Batch(cleared_ends(x, lengths), Steps(lengths))
        with model._guard:
            batch, states = model._advance(batch, self._states, self.gives_scores, only_last)
        # all at once: a call that fails leaves the sequences where they were
        self._states = states
        self._rows = len(x)
        return batch.values

    def take(self, rows: IntArray) -> None:
        """Put the sequences into another order, repeat or drop some.

        Parameters
        ----------
        rows : ndarray of int, shape (new rows,)
            The sequence that each new row continues.
        """
        self._states = {
            node: [np.take(array, rows, axis=0) for array in state]
            for node, state in self._states.items()
        }
        if self._rows is not None:
            self._rows = len(rows)

    def reset(self) -> None:
        """Drop all sequences: the next call begins new ones, any number of them."""
        self._states, self._rows = {}, None


def advanced(
    layer: Any, given: Any, states: States, found: States, node: Hashable, scores: bool
) -> Any:
    """Return what a layer makes of the next steps, or its scores; add its new state to `found`.

    A model that is a layer is opened: nodes inside are (node, number).
    """
    inner = getattr(layer, "_inner", None)
    if inner is not None:
        inputs = given if isinstance(given, list) else [given]
        made = inner._advance_inside(inputs, states, found, node, scores)
        return made if len(made) > 1 else made[0]
    if scores:
        return layer._run_to_scores(given, None, node)
    made, state = layer.advance(given, states.get(node))
    if state:
        found[node] = state
    return made


def has_memory(layer: Layer) -> bool:
    """Whether a layer looks at earlier steps, or makes one vector of all steps."""
    inner = getattr(layer, "_inner", None)
    if inner is not None:
        return not layer.keeps_steps or any(map(has_memory, inner._layers))
    return (layer.reads_steps and not layer._first_only) or not layer.keeps_steps


def last_steps(batch: Batch) -> Batch:
    """Return the last step of each row: (rows, 1, ...)."""
    x, lengths = batch.values, batch.lengths
    if lengths is None:
        return batch if x.shape[1] == 1 else Batch(np.ascontiguousarray(x[:, -1:]))
    return Batch(x[np.arange(len(x)), np.maximum(lengths - 1, 0)][:, None])
