"""A decoder that attends to a memory before each of its steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.kernels._attending import Attending
from gatewise.layers.attention import AdditiveAttention
from gatewise.layers.dense import Dense
from gatewise.layers.tape import Batch, Steps
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
    of the memory, the context, is read beside x_t. The kernel of `layer` runs all of it.

    Parameters
    ----------
    layer : Recurrent
        Its step: an LSTM, GRU or SimpleRNN with ``return_sequences=True``, ``return_state=True``
        and the options that :class:`EncoderDecoder` gives it.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    :meth:`run` takes ``[x, memory, keys, *states]``: x (batch, steps, features), the memory
    (batch, its steps, width), keys (batch, its steps, units) and the initial state of `layer`. It
    returns ``[outputs, contexts, *states]``, zeros past a row's end.
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
        """Run all steps; `weights`, if given, receives an array (batch, steps, memory's steps)."""
        x, memory, keys, *states = inputs
        batch, steps, features = x.values.shape
        shape = (batch, steps, features + memory.values.shape[2])
        checks.fits_memory(
            math.prod(shape) + batch * steps * memory.values.shape[1],
            self.dtype,
            "the contexts of layer",
            self.name,
        )
        read = np.zeros(shape, self.dtype)  # x beside the contexts, which the kernel writes
        read[:, :, :features] = x.values
        attention = Attending(
            memory.values,
            keys.values,
            memory.lengths,
            self.attention._parameters["scale"],
            self.query._parameters["kernel"],
            steps,
            features,
        )
        given = Batch(read, None if x.lengths is None else Steps(x.lengths))
        output, final = self.layer._run_from(given, states, tape, (node, "layer"), attention)
        if weights is not None:
            weights.append(attention.weights)
        if tape is not None:
            tape.keep(node, attention)
        contexts = np.ascontiguousarray(read[:, :, features:])
        return [x.with_values(output.values), x.with_values(contexts), *map(Batch, final)]

    def run_backward(self, gradients: Any, tape: Tape, node: Hashable, wanted: bool) -> list[Array]:
        """The gradients of all inputs, whether or not they are wanted."""
        attention = tape.take(node)
        d_output, d_contexts, *d_states = gradients
        attention.begin_backward(d_contexts)
        d_states = d_states or [None] * len(self.layer.state_names)
        dx, *d_states = self.layer.run_backward([d_output, *d_states], tape, (node, "layer"), True)
        self.query._gradients["kernel"] += attention.d_query
        self.attention._add_gradients(attention.d_scale, 0.0)
        return [dx, attention.d_memory, attention.d_keys, *d_states]
