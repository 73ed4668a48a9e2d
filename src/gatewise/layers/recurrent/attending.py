"""A decoder that attends to a memory before each of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.layers.attention import AdditiveAttention
from gatewise.layers.dense import Dense
from gatewise.layers.tape import Batch
from gatewise.layers.wrappers import Container

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Tape

    from .base import Recurrent


class AttendingDecoder(Container):
    """A recurrent layer whose step reads x_t and a context (Bahdanau et al. 2015).

    Each step attends with its state h' to a memory by :class:`AdditiveAttention`; the weighted mean
    of the memory, the context, is read beside x_t. The loop over time is in Python; each step is
    four calls of kernels for all rows.

    Parameters
    ----------
    layer : Recurrent
        Its step: with ``return_state=True`` and without ``return_sequences``.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    :meth:`run` takes ``[x, memory, keys, *states]``: x (batch, steps, features), the memory
    (batch, its steps, width), keys (batch, its steps, units) and the initial state of `layer`. It
    returns ``[outputs, contexts, *states]``. Steps of x past a row's end are computed, too.
    """

    causal = False
    several_inputs = True
    _returns_list = True

    def __init__(self, layer: Recurrent, **kwargs: Any) -> None:
        self.layer: Any = layer
        self.query: Dense = Dense(layer.units, use_bias=False, name="query")
        self.attention: AdditiveAttention = AdditiveAttention(name="attention")
        super().__init__(
            {"query": self.query, "attention": self.attention, "layer": layer}, **kwargs
        )

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        x, memory, keys = input_shape[:3]
        units = self.layer.units
        self.query._describe((None, 1, units))
        self.attention._describe([(None, 1, units), memory, keys])
        self.layer._describe((None, 1, x[-1] + memory[-1]))
        return self._specs_of_parts()

    def compute_output_shape(self, input_shape: Any) -> Any:
        x, memory = input_shape[:2]
        return [(*x[:2], self.layer.units), (*x[:2], memory[-1])]

    def run(
        self,
        inputs: Any,
        tape: Tape | None,
        node: Hashable,
        weights: list[Array] | None = None,
    ) -> list[Batch]:
        """Run all steps; `weights`, if given, receives those of each step, at inference only."""
        x, memory, keys, *states = inputs
        batch, steps, features = x.values.shape
        units, width = self.layer.units, memory.values.shape[2]
        outputs = np.empty((batch, steps, units), self.dtype)
        contexts = np.empty((batch, steps, width), self.dtype)
        read = np.empty((steps, batch, 1, features + width), self.dtype)
        for t in range(steps):
            query = self.query.run(Batch(states[0].values[:, None]), tape, (node, "query", t))
            given = [query, memory, keys]
            if weights is None:
                context = self.attention.run(given, tape, (node, "attention", t))
            else:
                context, found = self.attention.run_with_weights(given)
                weights.append(found)
            read[t, :, :, :features] = x.values[:, t : t + 1]
            read[t, :, :, features:] = context.values
            output, *states = self.layer.run([Batch(read[t]), *states], tape, (node, "layer", t))
            outputs[:, t], contexts[:, t] = output.values, context.values[:, 0]
        if tape is not None:
            tape.keep(node, (x.values.shape, memory.values.shape, keys.values.shape))
        return [x.with_values(outputs), x.with_values(contexts), *states]

    def run_backward(self, gradients: Any, tape: Tape, node: Hashable, wanted: bool) -> list[Array]:
        """The gradients of all inputs, whether or not they are wanted."""
        x_shape, memory_shape, keys_shape = tape.take(node)
        d_outputs, d_contexts, *d_states = gradients
        batch, steps, features = x_shape
        dx = np.empty(x_shape, self.dtype)
        d_memory, d_keys = np.zeros(memory_shape, self.dtype), np.zeros(keys_shape, self.dtype)
        sizes = self.layer.state_sizes
        d_states = list(d_states) or [np.zeros((batch, size), self.dtype) for size in sizes]
        for t in range(steps - 1, -1, -1):
            d_read, *d_states = self.layer.run_backward(
                [d_outputs[:, t], *d_states], tape, (node, "layer", t), True
            )
            dx[:, t] = d_read[:, 0, :features]
            d_context = d_read[:, :, features:] + d_contexts[:, t : t + 1]
            d_query, d_value, d_key = self.attention.run_backward(
                d_context, tape, (node, "attention", t), True
            )
            d_memory += d_value
            d_keys += d_key
            d_before = self.query.run_backward(d_query, tape, (node, "query", t), True)
            d_states[0] += d_before[:, 0]
        return [dx, d_memory, d_keys, *d_states]
