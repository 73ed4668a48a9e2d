"""A network: passes through layers over one flat buffer, and what training knows of them."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.layers.alone import apart
from gatewise.layers.masks import counted_steps, ends, held
from gatewise.layers.tape import Batch

from .shared_buffer import SharedBuffer
from .stepping import Stepper
from .stream_stepper import StreamStepper

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from gatewise._typing import Array, Shape
    from gatewise.layers import Layer
    from gatewise.layers.tape import Tape

    from .stepping import States
    from .trained import Trained


class Network(SharedBuffer):
    """Layers that run forward and backward.

    Each place of a layer in a pass has a node on the tape. Inputs and outputs have numbers, too,
    and names for messages: what training knows of them are the methods with a number `k` of an
    input or `j` of an output. :class:`gatewise.models.straight.Straight` has them for layers in a
    row, :class:`gatewise.models.graph_network.GraphNetwork` for any graph.
    """

    _input_names: Sequence[str] = ("x",)
    _output_names: Sequence[str] = ("y",)
    _has_names = False  # whether a user may give dicts by these names
    # of "input" and "output": the names as a dict had them, if not in the order of _input_names
    _unsorted_names: Mapping[str, Sequence[str]] = {}
    _timed_inputs: Sequence[int] = (0,)  # numbers of the inputs that have a time axis

    # ---- inputs

    @abc.abstractmethod
    def _read_input(self, x: Any, k: int = 0) -> Array:
        """An ndarray of what the user gave for input `k`, as the layers there read it."""

    @abc.abstractmethod
    def _match_input(self, x: Array, k: int = 0) -> Array:
        """x with the axes that input `k` asks for; builds the model where it was not.

        Raises
        ------
        ShapeError
        """

    @abc.abstractmethod
    def _check_values(self, x: Array, k: int = 0) -> Any:
        """Refuse values that the layers at input `k` cannot compute with."""

    @abc.abstractmethod
    def _compute_mask(self, x: Array, k: int = 0) -> Array | None:
        """Return which steps of input `k` count by themselves, bool (samples, steps), or None."""

    @abc.abstractmethod
    def _padded_dtype_of(self, k: int = 0) -> str:
        """Return the dtype in which rows of input `k` of different lengths are padded."""

    @abc.abstractmethod
    def _reads_sequences(self, k: int = 0) -> bool:
        """Whether steps of input `k` are more than features: lengths and resets mean something."""

    # ---- outputs

    @abc.abstractmethod
    def _behind(self, outputs: Iterable[int]) -> tuple[dict[Layer, set[str]], set[int]]:
        """Return what outputs, by number, depend on: names of parameters by layer, and inputs."""

    @abc.abstractmethod
    def _holder(self, j: int = 0) -> Layer | None:
        """Return the layer with zero_output_for_mask=False that output `j` comes from, or None.

        There may be layers between them that look at single steps.
        """

    @abc.abstractmethod
    def _output_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Return the shape of each output, for these of the inputs."""

    @abc.abstractmethod
    def _output_lengths(self, lengths: Sequence[Array | None]) -> list[Array | None]:
        """Return the steps in each row of each output, for these of the inputs; None: all."""

    @abc.abstractmethod
    def _shapes_of_outputs(self) -> list[Shape]:
        """Return the shape of each output, None for free axes."""

    @abc.abstractmethod
    def _followed_input(self, j: int = 0, inputs: Sequence[Batch] = ()) -> int | None:
        """Return the number of the input whose time axis output `j` has, step for step, or None.

        Of several with this axis it is the first that has lengths or a mask in `inputs`.
        """

    @abc.abstractmethod
    def _score_layer(self, j: int = 0) -> Layer | None:
        """Return the layer from whose scores a loss of output `j` may start, or None."""

    @abc.abstractmethod
    def _last_activation(self, j: int = 0) -> str | None:
        """Return the activation that limits output `j`; None: not known."""

    @abc.abstractmethod
    def _as_given(self, outputs: Sequence[Array]) -> Any:
        """Return outputs as the model was made: the only one, a list, or a dict by name."""

    @property
    def _takes_any_length(self) -> bool:
        """Whether sequences may have another number of steps than announced; not with a Flatten."""
        return all(layer.takes_any_length for layer in self._layers)

    @abc.abstractmethod
    def _nodes(self) -> dict[Hashable, Layer]:
        """Return the layer at each node of a pass, in the order in which they run."""

    @property
    def _starts_given(self) -> Layer | None:
        """A layer whose initial state the network computes, here or in a model inside; or None."""
        inner = (getattr(layer, "_inner", None) for layer in self._layers)
        starts = (model._starts_given for model in inner if model is not None)
        return next((layer for layer in starts if layer is not None), None)

    # ---- step by step

    def _stepper(self, scores: bool = False, fixed: bool = False) -> Stepper:
        """Return what passes sequences through the network a few steps at a time.

        `fixed`: the weights do not change while it is used.
        """
        return StreamStepper(self, scores) if fixed else Stepper(self, scores)

    def _stepped_layers(self) -> list[Layer]:
        """Return the layers that run at each step, also those of models inside."""
        found: list[Layer] = []
        for layer in self._layers:
            inner = getattr(layer, "_inner", None)
            found += [layer] if inner is None else inner._stepped_layers()
        return found

    @abc.abstractmethod
    def _advance(
        self, batch: Batch, states: States, scores: bool, only_last: bool
    ) -> tuple[Batch, States]:
        """Return (output, new states) for the next steps of sequences.

        With `only_last` the output is that of each row's last step.
        """

    @abc.abstractmethod
    def _advance_inside(
        self,
        inputs: Sequence[Batch],
        states: States,
        found: States,
        key: Hashable,
        scores: bool = False,
    ) -> list[Batch]:
        """Return the outputs, or scores, for the next steps, inside the call `key` of a model.

        The new states are added to `found`.
        """

    # ---- passes

    @abc.abstractmethod
    def _run_layers(
        self, inputs: Sequence[Batch], tape: Tape | None, from_scores: Sequence[bool] = ()
    ) -> list[Batch]:
        """Return each output; where `from_scores` is true, the scores before its activation."""

    @abc.abstractmethod
    def _run_layers_backward(
        self,
        gradients: Sequence[Array | None],
        tape: Tape,
        trained: Trained,
        from_scores: Sequence[bool],
    ) -> None:
        """Add the gradients of all trained parameters, from those of the outputs or scores."""

    @abc.abstractmethod
    def _run_inside(
        self,
        inputs: Sequence[Batch],
        tape: Tape | None,
        key: Hashable,
        from_scores: Sequence[bool] = (),
    ) -> list[Batch]:
        """Return each output, or its scores, inside the call `key` of another model."""

    @abc.abstractmethod
    def _run_backward_inside(
        self,
        gradients: Sequence[Array | None],
        tape: Tape,
        key: Hashable,
        wanted: bool,
        from_scores: Sequence[bool] = (),
    ) -> list[Array | None]:
        """Return the gradients of the inputs, and add those of the parameters."""

    @abc.abstractmethod
    def _describe_inside(self, shapes: Sequence[Shape], dtype: Any) -> None:
        """Describe all layers for inputs of these shapes, inside another model."""

    @abc.abstractmethod
    def _ports(self, k: int) -> list[Any]:
        """Return the layers that read input `k`."""

    @abc.abstractmethod
    def _run(self, inputs: Sequence[Batch], training: bool = False) -> list[Array]:
        """Return the outputs for checked inputs, with steps where they were in x."""

    def _pass_of(self, inputs: Sequence[Batch], training: bool, **options: Any) -> list[Batch]:
        """Return what :meth:`_run_layers` gives in a pass of its own."""
        if not training:
            with self._using_state(), self._guard:
                return self._run_layers(inputs, None, **options)
        tape = self._tapes.borrow()
        try:
            with self._using_state(), self._guard:
                batches = self._run_layers(inputs, tape, **options)
            self._settle(tape)
        finally:
            self._tapes.give_back(tape)
        return batches

    def _settle(self, tape: Tape) -> None:
        """Take over what a training pass found for the weights that no optimizer changes."""
        if tape.has_actions:
            with self._guard.writing:
                tape.settle()

    def _steps_back(self, batch: Batch, x: Array, layers: list[Layer], j: int = 0) -> Array:
        """Return output `j` with its steps where they were in x.

        They are zero at steps that do not count; if a recurrent layer of `layers`, the last of
        which gives the output, has zero_output_for_mask=False and no layer behind it looks at
        other steps than its own, what the last step that counts gave.

        Raises
        ------
        ConfigError
            Such a layer is before one that merges arrays, or in a model inside.
        """
        y, steps = batch.values, batch.steps
        if steps is None:
            return apart(y, x)
        lengths = steps.lengths
        if lengths is not None and lengths.min(initial=y.shape[1]) < y.shape[1]:
            self._refuse_hidden_holder(j, layers)
        if steps.places is not None:
            return self._held(steps.places.back(y), steps.places.mask, layers)
        if lengths is not None and any(layer._holds_outputs for layer in layers):
            y = ends(lengths, y.shape[1]).back(y)
            return self._held(y, counted_steps(lengths, y.shape[:2]), layers)
        zeros_there = layers[-1]._has_state  # as recurrent layers leave them
        if lengths is not None and not zeros_there and y.shape[1] > lengths.min(initial=y.shape[1]):
            return ends(lengths, y.shape[1]).back(y)
        return apart(y, x)

    def _refuse_hidden_holder(self, j: int, layers: list[Layer]) -> None:
        """Refuse to give zeros where a layer that is not among `layers` repeats its outputs."""
        holder = self._holder(j)
        if holder is not None and not any(layer._holds_outputs for layer in layers):
            raise ConfigError(
                f"layer {holder.name!r} has zero_output_for_mask=False, and its outputs are merged"
                f" with others, or it is in a model inside, before they are output"
                f" {self._output_names[j]!r} of model {self.name!r}: what is there at steps that do"
                " not count is not computed; leave the argument out, which gives zeros"
            )

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


def nodes_of(places: Iterable[tuple[Hashable, Layer]]) -> dict[Hashable, Layer]:
    """Return the layers at nodes, those of models that are layers by (node, node in there)."""
    found: dict[Hashable, Layer] = {}
    for node, layer in places:
        inner = getattr(layer, "_inner", None)
        if inner is None:
            found[node] = layer
        else:
            found |= {(node, key): part for key, part in inner._nodes().items()}
    return found
