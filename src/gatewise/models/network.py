"""A network: what it reads, and the passes through its layers, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ShapeError, StateError
from gatewise.layers.alone import apart
from gatewise.layers.masks import cleared_ends, counted_steps, ends, held
from gatewise.layers.tape import Batch, Steps
from gatewise.memory import size_error

from .buffer import BufferedLayers
from .trained import Trained

if TYPE_CHECKING:
    from gatewise._typing import Array, Shape
    from gatewise.layers import Layer
    from gatewise.layers.tape import Tape
    from gatewise.training.data import Samples


class Network(BufferedLayers):
    """Layers that run one after the other, forward and backward.

    A layer's number is its node on the tape of a training pass.
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for an input of this shape.

        Parameters
        ----------
        input_shape : tuple
            (batch, ...), None for free axes.

        Returns
        -------
        tuple
        """
        shape = tuple(input_shape)
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def _keeps_steps(self) -> bool:
        """Whether the output still has the input's time axis, so that lengths apply to it."""
        return all(layer.keeps_steps for layer in self._layers) and (
            len(self.output_shape) >= 3
            and (len(self.input_shape) >= 3 or self._layers[0].reads_steps)
        )

    def _output_lengths(self, lengths: Array | None) -> Array | None:
        """Return the steps in each row of the output, for these of the input, or None."""
        for layer in self._layers:
            if lengths is None:
                return None
            lengths = layer.output_lengths(lengths)
        return lengths if len(self.output_shape) >= 3 else None

    @property
    def _reads_sequences(self) -> bool:
        """Whether steps are more than features to the model: lengths and resets mean something."""
        return any(layer.reads_steps for layer in self._layers) or self._keeps_steps

    @property
    def _takes_any_length(self) -> bool:
        """Whether sequences may have another number of steps than announced; not with a Flatten."""
        return all(layer.takes_any_length for layer in self._layers)

    def _settle(self, tape: Tape) -> None:
        """Take over what a training pass found for the weights that no optimizer changes."""
        if tape.has_actions:
            with self._guard.writing:
                tape.settle()

    @property
    def _padded_dtype(self) -> str:
        """The dtype in which rows of different lengths are padded."""
        return self._first_layer()._padded_dtype or self._dtype

    def _first_layer(self) -> Layer:
        if not self._layers:
            raise StateError("the model has no layers: add some first")
        return self._layers[0]

    def _read_input(self, x: Any) -> Array:
        """An ndarray of what the user gave, as the first layer reads it."""
        return self._first_layer()._read_input(x, self._dtype, True)

    def _check_values(self, x: Array) -> None:
        """Refuse values that the first layer cannot compute with."""
        return self._layers[0]._check_values(x)

    def _compute_mask(self, x: Array) -> Array | None:
        """Return which steps of x count for the first layer, bool (samples, steps), or None."""
        return self._first_layer().compute_mask(x)

    def _match_input(self, x: Array) -> Array:
        """x with the axes that the model asks for; builds the model where it was not.

        Raises
        ------
        ShapeError
        """
        if self.built and self._fits_already(x.shape):
            return x
        first = self._layers[0]
        axes = (first._rank or x.ndim) if self._input is None else 1 + len(self._input)
        features = self._input[-1] if self._input else None
        if x.ndim == axes - 1 and (features == 1 or (features is None and first._rank == 3)):
            x = x[..., None]
        elif x.ndim == 3 and x.shape[-1] == 1 and self._input is not None and axes == 2:
            x = x[..., 0]
        if not self.built:
            with self._guard.writing:
                if not self.built:  # another thread may have built it meanwhile
                    self.build((None, *x.shape[1:]))
        expected = self.input_shape
        fits = x.ndim == len(expected) and all(
            want is None or want == extent for want, extent in zip(expected[2:], x.shape[2:])
        )
        if fits and expected[1] not in (None, x.shape[1]):
            fits = (x.ndim > 2 or first.reads_steps) and self._takes_any_length
        if not fits:
            raise ShapeError(
                f"x has shape {x.shape}; the model expects (samples, "
                f"{', '.join('any' if extent is None else str(extent) for extent in expected[1:])})"
            )
        if first.reads_steps and x.shape[1] == 0:
            raise ShapeError(f"x has shape {x.shape}: no time steps; expected at least 1")
        return x

    def _fits_already(self, shape: Shape) -> bool:
        """Whether x has exactly the input's axes and extents: the usual case, quickly found."""
        if len(shape) != len(self._input) + 1:
            return False
        for want, extent in zip(self._input, shape[1:]):
            if want is not None and want != extent:
                return False
        return shape[1] > 0 or not self._layers[0].reads_steps

    def _run_layers(self, samples: Samples, tape: Tape | None, stop: int | None = None) -> Batch:
        """Return the output of the layers before number `stop`; a layer's number is its node."""
        x, lengths, resets = samples.x, samples.lengths, samples.resets
        # recurrent layers read nothing past a row's end
        if lengths is not None and x.ndim > 1 and not self._layers[0]._has_state:
            x = cleared_ends(x, lengths)
        if self._loaded_states:
            self._drop_loaded_states(len(x))
        if lengths is None and resets is None:
            batch = Batch(x)
        else:
            batch = Batch(
                x, Steps(lengths, resets, samples.resets_back, samples.places, samples.cleared)
            )
        for node, layer in enumerate(self._layers[:stop]):
            try:
                batch = layer.run(batch, tape, node)
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r}") from error
        return batch

    def _run_layers_backward(
        self, gradient: Array, tape: Tape, trained: Trained, from_scores: bool
    ) -> None:
        """Add the gradients of all trained parameters, from that of the output or of the scores."""
        last = len(self._layers) - 1
        for node in range(last, trained.lowest - 1, -1):
            layer, wanted = self._layers[node], node > trained.lowest
            try:
                if from_scores and node == last:
                    gradient = layer._run_backward_from_scores(gradient, tape, node, wanted)
                else:
                    gradient = layer.run_backward(gradient, tape, node, wanted)
                layer._add_penalty_gradients()
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r} in training") from error
            if trained.parts is not None:
                layer._clear_frozen_gradients()

    def _run(self, samples: Samples, stop: int | None = None, training: bool = False) -> Array:
        """Return the outputs of checked samples, or of the layers before number `stop`.

        Steps are where they were in x.

        They are zero at steps that do not count; if a recurrent layer has
        zero_output_for_mask=False and no layer behind it looks at other steps than its own, what
        the last step that counts gave.
        """
        if not training:
            with self._using_state(), self._guard:
                batch = self._run_layers(samples, None, stop)
        else:
            tape = self._tapes.borrow()
            try:
                with self._using_state(), self._guard:
                    batch = self._run_layers(samples, tape, stop)
                self._settle(tape)
            finally:
                self._tapes.give_back(tape)
        y, steps = batch.values, batch.steps
        if steps is None:
            return apart(y, samples.x)
        layers = self._layers[:stop]
        if steps.places is not None:
            return self._held(steps.places.back(y), steps.places.mask, layers)
        lengths = steps.lengths
        if lengths is not None and any(layer._holds_outputs for layer in layers):
            y = ends(lengths, y.shape[1]).back(y)
            return self._held(y, counted_steps(lengths, y.shape[:2]), layers)
        zeros_there = layers[-1]._has_state  # as recurrent layers leave them
        if lengths is not None and not zeros_there and y.shape[1] > lengths.min(initial=y.shape[1]):
            return ends(lengths, y.shape[1]).back(y)
        return apart(y, samples.x)

    def _held(self, y: Array, mask: Array, layers: list[Layer]) -> Array:
        """Put the last counted output at steps that do not count, if a layer asks for it.

        A layer after it that reads other steps undoes that.
        """
        behind: list[Any] = []
        for layer in reversed(layers):
            if layer._holds_outputs:
                break
            if layer.reads_steps or not layer.keeps_steps:
                return y
            behind.insert(0, layer)
        else:
            return y
        # what the layer gives before the first step that counts
        before = Batch(np.zeros((1, 1, layer.output_shape[-1]), y.dtype))
        with self._guard:
            for other in behind:
                before = other.run(before, None, None)
        return held(y, mask, before.values[0, 0])
