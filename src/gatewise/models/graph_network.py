"""Passes through a graph of layers, forward and backward, and what training knows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError
from gatewise.layers.alone import shape_text
from gatewise.layers.masks import cleared_ends
from gatewise.layers.tape import Batch
from gatewise.memory import size_error

from .network import Network, nodes_of
from .outputs import last_activation
from .stepping import advanced, last_steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from gatewise._typing import Array, Shape
    from gatewise.layers import Layer
    from gatewise.layers.tape import Tape

    from .stepping import States
    from .tracing import Call, Graph
    from .trained import Trained


class GraphNetwork(Network):
    """A network whose layers read what any layers before them have made.

    A call's number in the graph is its node on the tape.
    """

    _graph: Graph
    _inputs_are: str  # "one", "list" or "dict": how inputs and outputs were given
    _outputs_are: str

    def _set_graph(self, graph: Graph) -> None:
        """Take a graph, and refuse inputs that layers would read in different ways."""
        self._graph = graph
        # of each array, the calls that read it: (call, position)
        self._readers: list[list[tuple[Call, int]]] = [[] for _ in graph.shapes]
        self._makers: dict[int, tuple[Call, int]] = {}
        for call in graph.calls:
            for position, number in enumerate(call.sources):
                self._readers[number].append((call, position))
            for index, number in enumerate(call.outputs):
                self._makers[number] = call, index
        self._wanted: tuple[Trained, list[bool]] | None = None
        for k in range(len(graph.inputs)):
            self._refuse_two_readings(k)
        self._timed_inputs = [k for k in range(len(graph.inputs)) if self._reads_sequences(k)]
        starts = [
            call.layer
            for call in graph.calls
            if call.layer._has_state and len(call.sources) > 1 and not call.layer.several_inputs
        ]
        self._own_start = starts[0] if starts else None

    # ---- inputs

    def _ports(self, k: int) -> list[Any]:
        """Return what reads input `k`."""
        return [
            port
            for call, position in self._readers[k]
            for port in call.layer._input_ports(position)
        ]

    def _port(self, k: int) -> Any:
        """Return what says how input `k` is read; None: as numbers."""
        ports = self._ports(k)
        return next((port for port in ports if _reads_otherwise(port)), ports[0] if ports else None)

    def _refuse_two_readings(self, k: int) -> None:
        ports = self._ports(k)
        special = [port for port in ports if _reads_otherwise(port)]
        if special and len(special) < len(ports):
            other = next(port for port in ports if port not in special)
            raise ConfigError(
                f"model {self.name!r}: input {self._input_names[k]!r} is read by"
                f" {special[0]._title()}, as whole numbers, and by {other._title()}, as numbers;"
                " make an Input for each"
            )

    def _padded_dtype_of(self, k: int = 0) -> str:
        return getattr(self._port(k), "_padded_dtype", None) or self._dtype

    def _read_input(self, x: Any, k: int = 0) -> Array:
        port = self._port(k)
        if port is None or not _reads_otherwise(port):
            return checks.float_array(x, "x", self._dtype, convert=True)
        return port._read_input(x, self._dtype, True)

    def _check_values(self, x: Array, k: int = 0) -> None:
        ports = self._ports(k)
        for port in ports:
            port._check_values(x)
        if not ports:
            checks.finite(x, "x")

    def _compute_mask(self, x: Array, k: int = 0) -> Array | None:
        found: list[tuple[Any, Array | None]] = [
            (port, port.compute_mask(x)) for port in self._ports(k)
        ]
        masks = [(port, mask) for port, mask in found if mask is not None]
        if not masks:
            return None
        first, mask = masks[0]
        for port, other in found:
            if not (mask.all() if other is None else np.array_equal(mask, other)):
                raise ConfigError(
                    f"model {self.name!r}: {first._title()} and {port._title()} read input"
                    f" {self._input_names[k]!r} with different masks; make an Input for each, or"
                    " give all of them the output of the layer that masks"
                )
        return mask

    def _match_input(self, x: Array, k: int = 0) -> Array:
        expected = self._graph.shapes[k]
        if x.ndim == len(expected) - 1 and expected[-1] == 1:
            x = x[..., None]
        elif x.ndim == 3 and x.shape[-1] == 1 and len(expected) == 2:
            x = x[..., 0]
        reads_steps = any(port.reads_steps for port in self._ports(k))
        fits = x.ndim == len(expected) and all(
            want is None or want == extent for want, extent in zip(expected[2:], x.shape[2:])
        )
        if fits and x.ndim > 1 and expected[1] not in (None, x.shape[1]):
            fits = (x.ndim > 2 or reads_steps) and self._takes_any_length
        if not fits:
            raise ShapeError(
                f"x has shape {x.shape}; input {self._input_names[k]!r} expects"
                f" {shape_text(('samples', *expected[1:]))}"
            )
        if reads_steps and x.shape[1] == 0:
            raise ShapeError(f"x has shape {x.shape}: no time steps; expected at least 1")
        return x

    def _reads_sequences(self, k: int = 0) -> bool:
        ports = self._ports(k)
        if any(port.reads_steps for port in ports):
            return True
        if len(self._graph.shapes[k]) < 3:
            return False
        timed = {k}
        for call in self._graph.calls:
            followed = {position for position, n in enumerate(call.sources) if n in timed}
            if not followed:
                continue
            if any(_sees_steps(call.layer, position) for position in followed):
                return True
            timed.update(
                number
                for index, number in enumerate(call.outputs)
                if followed & self._followed_positions(call, index)
            )
        return any(n in timed and len(self._graph.shapes[n]) >= 3 for n in self._graph.results)

    def _followed_positions(self, call: Call, index: int) -> set[int]:
        """Return which inputs of a call may have the time axis of its output `index`."""
        position = call.layer._followed(index)
        if position is None:
            return set()
        if not (call.layer._merges_steps and call.node.listed):
            return {position}
        output = self._graph.shapes[call.outputs[index]]
        shapes = [self._graph.shapes[number] for number in call.sources]
        return {
            position
            for position, shape in enumerate(shapes)
            if len(shape) == len(output) > 2 and shape[1] == output[1]
        }

    # ---- outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for inputs of a shape.

        Parameters
        ----------
        input_shape : tuple, or list of tuple
            (batch, ...), None for free axes; a list if the model has several inputs.

        Returns
        -------
        tuple, or list of tuple
            A list if the model has several outputs.
        """
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        found = self._output_shapes([tuple(shape) for shape in shapes])
        return found if len(found) > 1 else found[0]

    def _output_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        known: dict[int, Any] = dict(enumerate(shapes))
        for call in self._graph.calls:
            given = [known[number] for number in call.sources]
            layer = call.layer
            listed = call.node.listed and layer.several_inputs
            made = layer.compute_output_shape(given if listed else given[0])
            made = list(made) if isinstance(made, list) else [made]
            if len(made) < len(call.outputs):
                made += [(given[0][0], *shape[1:]) for shape in layer._shapes_of_states(given[0])]
            known |= zip(call.outputs, made)
        return [known[number] for number in self._graph.results]

    def _behind(self, outputs: Iterable[int]) -> tuple[dict[Layer, set[str]], set[int]]:
        wanted = {self._graph.results[j] for j in outputs}
        names: dict[Layer, set[str]] = {}
        for call in reversed(self._graph.calls):
            used = {index for index, number in enumerate(call.outputs) if number in wanted}
            if not used:
                continue
            found, positions = call.layer._behind(used)
            names.setdefault(call.layer, set()).update(found)
            wanted.update(
                number
                for position, number in enumerate(call.sources)
                if positions is None or position in positions
            )
        return names, {k for k in range(len(self._graph.inputs)) if k in wanted}

    def _holder(self, j: int = 0) -> Layer | None:
        waiting = [self._graph.results[j]]
        while waiting:
            number = waiting.pop()
            if number not in self._makers:
                continue
            call, index = self._makers[number]
            inner = getattr(call.layer, "_inner", None)
            found = call.layer if call.layer._holds_outputs else inner and inner._holder(index)
            if found is not None:
                return found
            if call.layer.keeps_steps and not call.layer.reads_steps:
                waiting += [call.sources[k] for k in self._followed_positions(call, index)]
        return None

    def _output_lengths(self, lengths: Sequence[Array | None]) -> list[Array | None]:
        known: dict[int, Any] = dict(enumerate(lengths))
        for call in self._graph.calls:
            given = [known[number] for number in call.sources]
            for index, number in enumerate(call.outputs):
                known[number] = self._lengths_after(call, index, given)
        return [
            known[number] if len(self._graph.shapes[number]) >= 3 else None
            for number in self._graph.results
        ]

    @staticmethod
    def _lengths_after(call: Call, index: int, given: list[Array | None]) -> Array | None:
        layer: Any = call.layer
        if call.node.listed and (layer._merges_steps or hasattr(layer, "_inner")):
            found = layer.output_lengths(given)
            return found[index] if isinstance(found, list) else found
        if given[0] is None or index >= layer._output_count:
            return None
        return layer.output_lengths(given[0])

    def _shapes_of_outputs(self) -> list[Shape]:
        return [self._graph.shapes[number] for number in self._graph.results]

    def _followed_input(self, j: int = 0, inputs: Sequence[Batch] = ()) -> int | None:
        candidates = self._followed_inputs(self._graph.results[j])
        given = (k for k in candidates if inputs and inputs[k].steps is not None)
        return next(given, candidates[0] if candidates else None)

    def _followed_inputs(self, number: int) -> list[int]:
        """Return the inputs that have the time axis of an array, in order."""
        if len(self._graph.shapes[number]) < 3:
            return []
        found: list[int] = []
        waiting, seen = [number], set()
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            if number < len(self._graph.inputs):
                reads = any(port.reads_steps for port in self._ports(number))
                if len(self._graph.shapes[number]) >= 3 or reads:
                    found.append(number)
                continue
            call, index = self._makers[number]
            positions = sorted(self._followed_positions(call, index), reverse=True)
            waiting += [call.sources[position] for position in positions]
        return found

    def _score_layer(self, j: int = 0) -> Layer | None:
        number = self._graph.results[j]
        if number not in self._makers or self._readers[number]:
            return None
        call, _ = self._makers[number]
        if call.several or self._graph.results.count(number) > 1:
            return None
        return call.layer if call.layer._gives_scores else None

    def _last_activation(self, j: int = 0) -> str | None:
        return last_activation(self._path(self._graph.results[j]))

    def _path(self, number: int) -> list[Layer]:
        """Return the layers that make an array, back to the last one that reads several arrays."""
        path: list[Layer] = []
        while number in self._makers:
            call, _ = self._makers[number]
            path.insert(0, call.layer)
            if len(call.sources) > 1 or call.several:
                break
            number = call.sources[0]
        return path

    def _as_given(self, outputs: Sequence[Array]) -> Any:
        if self._outputs_are == "dict":
            return dict(zip(self._output_names, outputs))
        return outputs[0] if self._outputs_are == "one" else list(outputs)

    def _nodes(self) -> dict[Hashable, Layer]:
        return nodes_of((node, call.layer) for node, call in enumerate(self._graph.calls))

    # ---- passes

    def _run_layers(
        self, inputs: Sequence[Batch], tape: Tape | None, from_scores: Sequence[bool] = ()
    ) -> list[Batch]:
        if self._loaded_states:
            self._drop_loaded_states(len(inputs[0].values))
        return self._run_calls(
            [self._entering(k, b) for k, b in enumerate(inputs)], tape, from_scores
        )

    def _entering(self, k: int, batch: Batch) -> Batch:
        """Return an input with zeros past the ends of its rows."""
        lengths = batch.lengths
        if lengths is None or batch.values.ndim < 2:
            return batch
        return Batch(cleared_ends(batch.values, lengths), batch.steps)

    def _run_calls(
        self,
        inputs: Iterable[Batch],
        tape: Tape | None,
        from_scores: Sequence[bool] = (),
        key: Hashable = None,
    ) -> list[Batch]:
        """Run all calls; inside the call `key` of another model, nodes are (key, number)."""
        graph = self._graph
        arrays: dict[int, Any] = dict(enumerate(inputs))
        scored = {number for number, flag in zip(graph.results, from_scores) if flag}
        for node, call in enumerate(graph.calls):
            given = (
                [arrays[number] for number in call.sources]
                if call.node.listed
                else arrays[call.sources[0]]
            )
            layer: Any = call.layer
            try:
                run = layer._run_to_scores if call.outputs[0] in scored else layer.run
                if tape is None or call.node.training is None:
                    made = run(given, tape, node if key is None else (key, node))
                else:
                    with tape._at_inference():
                        made = run(given, tape, node if key is None else (key, node))
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r}") from error
            if isinstance(made, list):
                arrays.update(zip(call.outputs, made))
            else:
                arrays[call.outputs[0]] = made
        return [arrays[number] for number in graph.results]

    def _run_layers_backward(
        self,
        gradients: Sequence[Array | None],
        tape: Tape,
        trained: Trained,
        from_scores: Sequence[bool],
    ) -> None:
        if self._wanted is None or self._wanted[0] is not trained:
            self._wanted = trained, self._needed(False)
        self._run_calls_backward(gradients, tape, self._wanted[1], from_scores)
        for layer in self._layers:
            layer._add_penalty_gradients()
            if trained.parts is not None:
                layer._clear_frozen_gradients()

    def _needed(self, of_inputs: bool) -> list[bool]:
        """Return of each array whether its gradient is needed; `of_inputs`: those of the inputs."""
        needed = [of_inputs] * len(self._graph.inputs)
        needed += [False] * (len(self._graph.shapes) - len(needed))
        for call in self._graph.calls:
            found = bool(call.layer._trained_names()) or any(needed[n] for n in call.sources)
            for number in call.outputs:
                needed[number] = found
        return needed

    def _run_calls_backward(
        self,
        gradients: Sequence[Array | None],
        tape: Tape,
        needed: list[bool],
        from_scores: Sequence[bool] = (),
        key: Hashable = None,
    ) -> list[Array | None]:
        """Add the gradients of the parameters; return those of the inputs, None if not needed."""
        graph = self._graph
        sums = _Sums(tape, key)
        for number, gradient in zip(graph.results, gradients):
            sums.add(number, gradient)
        scored = {number for number, flag in zip(graph.results, from_scores) if flag}
        for position in range(len(graph.calls) - 1, -1, -1):
            call = graph.calls[position]
            layer: Any = call.layer
            given = [sums.take(number) for number in call.outputs]
            if not needed[call.outputs[0]] or all(part is None for part in given):
                continue
            wanted = any(needed[number] for number in call.sources)
            node = position if key is None else (key, position)
            try:
                if call.outputs[0] in scored:
                    found = layer._run_backward_from_scores(given[0], tape, node, wanted)
                else:
                    given = given if call.several else given[0]  # type: ignore[assignment]
                    found = layer.run_backward(given, tape, node, wanted)
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r} in training") from error
            if wanted:
                for number, part in zip(
                    call.sources, found if isinstance(found, list) else [found]
                ):
                    if needed[number]:
                        sums.add(number, part)
        return [sums.take(k) for k in range(len(graph.inputs))]

    @property
    def _starts_given(self) -> Layer | None:
        return super()._starts_given if self._own_start is None else self._own_start

    def _advance(
        self, batch: Batch, states: States, scores: bool, only_last: bool
    ) -> tuple[Batch, States]:
        found: States = {}
        (made,) = self._advance_inside([batch], states, found, None, scores)
        follows = self._followed_input() is not None
        return last_steps(made) if only_last and follows else made, found

    def _advance_inside(
        self,
        inputs: Sequence[Batch],
        states: States,
        found: States,
        key: Hashable,
        scores: bool = False,
    ) -> list[Batch]:
        graph = self._graph
        arrays: dict[int, Any] = dict(enumerate(inputs))
        for number, call in enumerate(graph.calls):
            node = number if key is None else (key, number)
            given: Any = [arrays[number] for number in call.sources]
            given = given if call.node.listed else given[0]
            layer: Any = call.layer
            try:
                scored = scores and call.outputs[0] == graph.results[0]
                made = advanced(layer, given, states, found, node, scored)
                if call.several and not isinstance(made, list):
                    made = [made, *(Batch(array) for array in found[node])]
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r}") from error
            if isinstance(made, list):
                arrays.update(zip(call.outputs, made))
            else:
                arrays[call.outputs[0]] = made
        return [arrays[number] for number in graph.results]

    def _run_inside(
        self,
        inputs: Sequence[Batch],
        tape: Tape | None,
        key: Hashable,
        from_scores: Sequence[bool] = (),
    ) -> list[Batch]:
        return self._run_calls(inputs, tape, from_scores, key)

    def _run_backward_inside(
        self,
        gradients: Sequence[Array | None],
        tape: Tape,
        key: Hashable,
        wanted: bool,
        from_scores: Sequence[bool] = (),
    ) -> list[Array | None]:
        return self._run_calls_backward(gradients, tape, self._needed(wanted), from_scores, key)

    def _run(self, inputs: Sequence[Batch], training: bool = False) -> list[Array]:
        batches = self._pass_of(inputs, training)
        found: list[Array] = []
        for j, (number, batch) in enumerate(zip(self._graph.results, batches)):
            y = batch.values
            path = self._path(number)
            if path:
                y = self._steps_back(batch, inputs[0].values, path, j)
            # outputs may be one array, or inputs
            if any(np.may_share_memory(y, other) for other in [b.values for b in inputs] + found):
                y = y.copy()
            found.append(y)
        return found


class _Sums:
    """The gradients of arrays, each the sum of what its readers give."""

    __slots__ = ("_gradients", "_key", "_own", "_tape")

    def __init__(self, tape: Tape, key: Hashable) -> None:
        self._tape = tape
        self._key = key
        self._gradients: dict[int, Array] = {}
        self._own: set[int] = set()  # whose array was made here: others must not be changed

    def add(self, number: int, gradient: Array | None) -> None:
        """Add a gradient of an array; None adds nothing."""
        if gradient is None:
            return
        before = self._gradients.get(number)
        if before is None:
            self._gradients[number] = gradient
            return
        if number not in self._own:
            place = self._tape.scratch((self._key, "sum", number), before.shape, before.dtype.name)  # type: ignore[arg-type]
            self._own.add(number)
        else:
            place = before
        self._gradients[number] = np.add(before, gradient, out=place)

    def take(self, number: int) -> Array | None:
        """Return the sum, None if nothing was added."""
        found = self._gradients.pop(number, None)
        return None if found is None else np.ascontiguousarray(found)


def _sees_steps(layer: Any, position: int) -> bool:
    """Whether steps of an input are more than features to a layer, or to a model inside."""
    inner = getattr(layer, "_inner", None)
    return layer.reads_steps if inner is None else inner._reads_sequences(position)


def _reads_otherwise(port: Any) -> bool:
    """Whether a layer reads its input in a way of its own, such as whole numbers."""
    return getattr(port, "_padded_dtype", None) is not None
