"""Passes through layers in a row, each of which reads the output of the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.errors import ShapeError, StateError
from gatewise.layers.masks import cleared_ends
from gatewise.layers.tape import Batch
from gatewise.memory import size_error

from .network import Network, nodes_of
from .outputs import last_activation
from .stepping import advanced, has_memory, last_steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from gatewise._typing import Array, Shape
    from gatewise.layers import Layer
    from gatewise.layers.tape import Tape

    from .stepping import States
    from .trained import Trained


class Straight(Network):
    """A network with one input and one output, whose layers run in their order.

    A layer's number is its node on the tape.
    """

    # What a small batch need not compute again: shapes of the last input that fitted and of its
    # output, and whether the output has the input's time axis.
    _last_fit: Shape | None = None
    _last_shapes: tuple[Shape, Shape] = (), ()
    _keeps_steps_known: bool | None = None

    def _layers_changed(self) -> None:
        super()._layers_changed()
        self._last_fit, self._last_shapes, self._keeps_steps_known = None, ((), ()), None

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

    def _describe_layers(self, shape: Shape) -> None:
        for layer in self._layers:
            layer._set_dtype(self._dtype)
            layer._describe(shape)
            shape = layer.output_shape
            self._refuse_lists(layer)

    @property
    def _keeps_steps(self) -> bool:
        """Whether the output still has the input's time axis, so that lengths apply to it."""
        if self._keeps_steps_known is None:
            self._keeps_steps_known = all(layer.keeps_steps for layer in self._layers) and (
                len(self._layers[-1].output_shape) >= 3
                and (len(self.input_shape) >= 3 or self._layers[0].reads_steps)
            )
        return self._keeps_steps_known

    def _output_lengths(self, lengths: Sequence[Array | None]) -> list[Array | None]:
        """Return the steps in each row of each output, for these of the inputs; None: all."""
        found = lengths[0]
        for layer in self._layers:
            if found is None:
                return [None]
            found = layer.output_lengths(found)
        return [found if len(self._layers[-1].output_shape) >= 3 else None]

    def _output_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Return the shape of each output, for these of the inputs."""
        given, found = self._last_shapes
        if given != shapes[0]:
            found = self.compute_output_shape(shapes[0])
            self._last_shapes = shapes[0], found
        return [found]

    def _behind(self, outputs: Iterable[int]) -> tuple[dict[Layer, set[str]], set[int]]:
        return {layer: layer._behind({0})[0] for layer in self._layers}, {0}

    def _holder(self, j: int = 0) -> Layer | None:
        for layer in reversed(self._layers):
            inner = getattr(layer, "_inner", None)
            found = layer if layer._holds_outputs else inner and inner._holder()
            if found is not None or layer.reads_steps or not layer.keeps_steps:
                return found
        return None

    def _shapes_of_outputs(self) -> list[Shape]:
        """Return the shape of each output, None for free axes."""
        return [self.output_shape]

    def _followed_input(self, j: int = 0, inputs: Sequence[Batch] = ()) -> int | None:
        """Return the number of the input whose time axis output `j` has, step for step, or None."""
        return 0 if self._keeps_steps else None

    def _score_layer(self, j: int = 0) -> Layer | None:
        """Return the layer from whose scores a loss of output `j` may start, or None."""
        last = self._layers[-1]
        return last if last._gives_scores else None

    def _last_activation(self, j: int = 0) -> str | None:
        """Return the activation that limits output `j`; None: not known."""
        return last_activation(self._layers)

    def _as_given(self, outputs: Sequence[Array]) -> Any:
        """Return outputs as the model was made: the only one, a list, or a dict by name."""
        return outputs[0]

    def _reads_sequences(self, k: int = 0) -> bool:
        """Whether steps of input `k` are more than features: lengths and resets mean something."""
        return any(layer.reads_steps for layer in self._layers) or self._keeps_steps

    def _padded_dtype_of(self, k: int = 0) -> str:
        """Return the dtype in which rows of input `k` of different lengths are padded."""
        return self._first_layer()._padded_dtype or self._dtype

    def _first_layer(self) -> Layer:
        if not self._layers:
            raise StateError("the model has no layers: add some first")
        return self._layers[0]

    def _port(self, k: int = 0) -> Layer:
        """Return the layer that says how input `k` is read."""
        first = self._first_layer()
        inner = getattr(first, "_inner", None)
        return first if inner is None else inner._port(0)

    def _read_input(self, x: Any, k: int = 0) -> Array:
        """An ndarray of what the user gave for input `k`, as the layer there reads it."""
        return self._first_layer()._read_input(x, self._dtype, True)

    def _check_values(self, x: Array, k: int = 0) -> None:
        """Refuse values that the layer at input `k` cannot compute with."""
        return self._layers[0]._check_values(x)

    def _compute_mask(self, x: Array, k: int = 0) -> Array | None:
        """Return which steps of input `k` count by themselves, bool (samples, steps), or None."""
        return self._layers[0].compute_mask(x)

    def _match_input(self, x: Array, k: int = 0) -> Array:
        """x with the axes that input `k` asks for; builds the model where it was not.

        Raises
        ------
        ShapeError
        """
        if x.shape[1:] == self._last_fit and self.built:  # the usual case, quickly found
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
        self._last_fit = x.shape[1:]
        return x

    def _run_layers(
        self,
        inputs: Sequence[Batch],
        tape: Tape | None,
        from_scores: Sequence[bool] = (),
        stop: int | None = None,
    ) -> list[Batch]:
        """Return each output, of the layers before number `stop`; a layer's number is its node.

        Where `from_scores` is true, it is the scores before the output's activation.
        """
        batch = inputs[0]
        x, steps = batch.values, batch.steps
        # recurrent layers read nothing past a row's end
        if (
            steps is not None
            and steps.lengths is not None
            and x.ndim > 1
            and not self._layers[0]._has_state
        ):
            batch = Batch(cleared_ends(x, steps.lengths), steps)
        if self._loaded_states:
            self._drop_loaded_states(len(x))
        scored = len(self._layers) - 1 if from_scores and from_scores[0] else -1
        for node, layer in enumerate(self._layers[:stop]):
            try:
                run = layer._run_to_scores if node == scored else layer.run
                batch = run(batch, tape, node)
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r}") from error
        return [batch]

    def _run_layers_backward(
        self,
        gradients: Sequence[Array | None],
        tape: Tape,
        trained: Trained,
        from_scores: Sequence[bool],
    ) -> None:
        """Add the gradients of all trained parameters, from those of the outputs or scores."""
        last = len(self._layers) - 1
        gradient: Any = gradients[0]
        for node in range(last, trained.lowest - 1, -1):
            layer, wanted = self._layers[node], node > trained.lowest
            try:
                if from_scores[0] and node == last:
                    gradient = layer._run_backward_from_scores(gradient, tape, node, wanted)
                else:
                    gradient = layer.run_backward(gradient, tape, node, wanted)
                layer._add_penalty_gradients()
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r} in training") from error
            if trained.parts is not None:
                layer._clear_frozen_gradients()

    def _run(
        self, inputs: Sequence[Batch], stop: int | None = None, training: bool = False
    ) -> list[Array]:
        """Return the output for a checked input, or of the layers before number `stop`."""
        batches = self._pass_of(inputs, training, stop=stop)
        return [self._steps_back(batches[0], inputs[0].values, self._layers[:stop])]

    def _advance(
        self, batch: Batch, states: States, scores: bool, only_last: bool
    ) -> tuple[Batch, States]:
        """Return (output, new states) for the next steps of sequences.

        With `only_last` the output is that of each row's last step, and layers behind the last one
        that looks at several steps run on this step only.
        """
        last = len(self._layers) - 1
        last_with_memory = max(
            (node for node, layer in enumerate(self._layers) if has_memory(layer)), default=0
        )
        found: States = {}
        for node, layer in enumerate(self._layers):
            try:
                batch = advanced(layer, batch, states, found, node, scores and node == last)
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r}") from error
            if only_last and node == last_with_memory and layer.keeps_steps:
                batch = last_steps(batch)
        return batch, found

    def _advance_inside(
        self,
        inputs: Sequence[Batch],
        states: States,
        found: States,
        key: Hashable,
        scores: bool = False,
    ) -> list[Batch]:
        batch, last = inputs[0], len(self._layers) - 1
        for number, layer in enumerate(self._layers):
            scored = scores and number == last
            batch = advanced(layer, batch, states, found, (key, number), scored)
        return [batch]

    def _ports(self, k: int) -> list[Any]:
        return self._first_layer()._input_ports(0)

    def _describe_inside(self, shapes: Sequence[Shape], dtype: Any) -> None:
        known, given = self._input, shapes[0][1:]
        if known is None:
            self._input = known = given
        elif len(known) != len(given) or any(
            None not in pair and pair[0] != pair[1] for pair in zip(known, given)
        ):
            raise ShapeError(
                f"model {self.name!r} is called with shape {shapes[0]}; its input has"
                f" {self.input_shape}"
            )
        self._dtype = dtype
        self._describe_layers((None, *known))

    def _run_inside(
        self,
        inputs: Sequence[Batch],
        tape: Tape | None,
        key: Hashable,
        from_scores: Sequence[bool] = (),
    ) -> list[Batch]:
        batch: Any = inputs[0]
        scored = len(self._layers) - 1 if any(from_scores) else -1
        for number, layer in enumerate(self._layers):
            run = layer._run_to_scores if number == scored else layer.run
            batch = run(batch, tape, (key, number))
        return [batch]

    def _run_backward_inside(
        self,
        gradients: Sequence[Array | None],
        tape: Tape,
        key: Hashable,
        wanted: bool,
        from_scores: Sequence[bool] = (),
    ) -> list[Array | None]:
        trained = [bool(layer._trained_names()) for layer in self._layers]
        lowest = 0 if wanted else trained.index(True) if any(trained) else len(trained)
        gradient: Any = gradients[0]
        scored = len(self._layers) - 1 if any(from_scores) else -1
        for number in range(len(self._layers) - 1, lowest - 1, -1):
            layer: Any = self._layers[number]
            run = layer._run_backward_from_scores if number == scored else layer.run_backward
            gradient = run(gradient, tape, (key, number), wanted or number > lowest)
        return [gradient if wanted else None]

    def _nodes(self) -> dict[Hashable, Layer]:
        return nodes_of(enumerate(self._layers))
