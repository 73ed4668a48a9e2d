"""Layers in order over one flat buffer of parameters: building, weights, and the way through."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, seeds, threads
from gatewise.attributes import Guarded, checked
from gatewise.errors import CheckpointError, ConfigError, ShapeError, StateError
from gatewise.kernels._memory import aligned_empty
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.layers.alone import apart
from gatewise.layers.base import automatic_name
from gatewise.layers.masks import cleared_ends, counted_steps, ends, held
from gatewise.layers.tape import Batch, Steps, Tapes
from gatewise.memory import names_memory, size_error
from gatewise.sharing import WeightsGuard
from gatewise.transaction import Transaction, attributes_of, value_of

from .trained import Trained

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from gatewise._typing import Array, DType, Shape
    from gatewise.layers.base import Layer
    from gatewise.layers.tape import Tape
    from gatewise.training.data import Samples

_CURES = {
    **dict.fromkeys(("optimizer", "loss", "metrics"), "call compile(optimizer, loss, metrics)"),
    **dict.fromkeys(
        (
            "weights",
            "variables",
            "trainable_weights",
            "non_trainable_weights",
            "trainable_variables",
            "non_trainable_variables",
        ),
        "set_weights(arrays) takes values of all parameters",
    ),
    **dict.fromkeys(
        ("flat_parameters", "flat_gradients"),
        "the layers' arrays are views of this buffer: write into it, [...] =",
    ),
    **dict.fromkeys(
        ("seed", "rng"),
        "the weights are drawn already; make a new model, Sequential(..., seed=...)",
    ),
    **dict.fromkeys(
        ("lr", "learning_rate"), "it belongs to the optimizer, model.optimizer.learning_rate"
    ),
    "layers": "add(layer) and pop() change the layers",
    "dtype": "give dtype= to a layer or to the Input",
    "input_shape": "give it to the Input or to the first layer, or call build",
}


class Network(Guarded):
    """Layers over one flat buffer of parameters: weights, states, and passes through them."""

    name: str = checked(checks.text)
    seed: int | None
    rng: np.random.Generator
    built: bool
    flat_gradients: Any  # ndarray (n,); None before the model is built
    _flat_parameters: Any  # likewise
    _layers: list[Layer]

    def __init__(self, name: str | None = None, seed: int | None = None) -> None:
        self.name = automatic_name(type(self)) if name in (None, "") else checks.text(name, "name")
        self._trains = threads.OneAtATime(
            f"two threads train model {self.name!r} at once; give each thread a model of its own"
        )
        self._guard = WeightsGuard()
        self._one_stream = threads.one_stream(f"model {self.name!r}")
        if seed is not None:
            seed = checks.whole_number(seed, "seed", 0, 2**64 - 1)
        self.seed = seed
        self.rng = seeds.generator(seed)
        self._layers = []
        self.built = False
        self._flat_parameters = self.flat_gradients = None
        self._dtype = "float32"
        self._input = None  # shape of one sample, once given
        # layer to the first array of a state that came from a file, until the first call
        self._loaded_states = {}
        self._names = set()  # the paths of all layers, as they were when they were added
        self._dtypes = Counter()  # how many layers gave each dtype
        # the arrays that the flat buffers are the beginnings of: layers to come have their place
        # there
        self._room = None
        self._keeps_state = False
        self._array_pieces = []  # where each parameter lies in the flat buffers
        self._array_names = []  # what its layer calls it
        self._trained_parts = None  # a Trained, once a step has asked which parameters are frozen
        self._tapes = Tapes()

    # ---- building

    @property
    def layers(self) -> list[Layer]:
        """list of Layer, a copy: :meth:`add` and :meth:`pop` change the model."""
        return list(self._layers)

    def _reserve(self, count: int) -> None:
        """Make the flat buffers so long; if they must move, with room for as much again, so that they seldom do."""
        if self._room is None or len(self._room[0]) < count:
            checks.fits_memory(
                2 * count, self._dtype, f"model {self.name!r} with {count:,} parameters"
            )
            before = self._flat_parameters, self.flat_gradients
            self._room = tuple(aligned_empty((2 * count,), self._dtype) for _ in before)
            for room, array in zip(self._room, before):
                room[: array.size] = array
            for layer, piece in zip(
                self._layers[:-1],
                self._pieces_of(layer._flat_size() for layer in self._layers[:-1]),
            ):
                layer._adopt(self._room[0][piece], self._room[1][piece])
        self._shorten(count)

    def _shorten(self, count: int) -> None:
        """The flat buffers are the first numbers of the room for them."""
        self._flat_parameters, self.flat_gradients = (room[:count] for room in self._room)

    def _layers_changed(self) -> None:
        """What follows from which layers there are is made anew."""
        self._trained_parts = None
        self._tapes = Tapes()

    def _refuse_in_use(self, layer: Any) -> None:
        """Layers cannot be shared: weights, gradients and what backward needs belong to one place in one model."""
        if layer._holder is not None:
            raise ConfigError(
                f"layer {layer.name!r} is inside {layer._holder.name!r} already; make a new layer:"
                " layers cannot be shared"
            )
        if layer.model is self:
            raise ConfigError(
                f"layer {layer.name!r} is in this model already; make a new layer: a layer cannot"
                " be in a model twice"
            )
        if layer.model is not None:
            raise ConfigError(
                f"layer {layer.name!r} belongs to another model; make a new layer: layers cannot be"
                " shared. To begin with its weights, build the new one and give it their copy:"
                " set_weights(layer.get_weights())"
            )

    def _set_dtype(self, dtype: DType) -> None:
        given = {name for name, count in self._dtypes.items() if name and count > 0} | {dtype}
        if len(given) > 1:
            raise ConfigError(
                f"layers have dtypes {sorted(given)}; give all layers of a model one dtype"
            )
        self._dtype = dtype

    def build(self, input_shape: Any) -> None:
        """Make the parameters for inputs (batch, ...); weights that layers already hold are kept."""
        if not self._layers:
            raise StateError("the model has no layers: add some first")
        shape = checks.shape_tuple(input_shape, "input_shape")
        # layers that were built before have their weights, wherever these lie now
        new = [layer for layer in self._layers if not layer.built]
        self.built = False
        with Transaction(
            attributes_of(self, "_input", "built"), *(layer._unbuild for layer in new)
        ):
            self._build(shape)

    def _build(self, shape: tuple[int, ...]) -> None:
        self._input = shape[1:]
        kept = {}
        for layer in self._layers:
            layer._set_dtype(self._dtype)
            if layer.built:
                kept[layer] = layer.get_weights()
            layer._describe(shape)
            shape = layer.output_shape
            self._refuse_lists(layer)
        count = sum(layer._flat_size() for layer in self._layers)
        checks.fits_memory(2 * count, self._dtype, f"model {self.name!r} with {count:,} parameters")
        self._room = tuple(aligned_empty((count,), self._dtype) for _ in range(2))
        self._flat_parameters, self.flat_gradients = self._room
        self._flat_parameters.fill(0)
        self.flat_gradients.fill(0)
        trained = [spec for layer in self._layers for spec in layer._specs if spec.trained]
        self._array_pieces, self._array_names = (
            self._pieces_of(spec.size for spec in trained),
            [spec.name for spec in trained],
        )
        for layer, piece in zip(
            self._layers, self._pieces_of(layer._flat_size() for layer in self._layers)
        ):
            layer._adopt(self._flat_parameters[piece], self.flat_gradients[piece])
            self._fill(layer, kept.get(layer))
        self._keeps_state = any(layer.stateful for layer in self._layers)
        self.built = True
        self._layers_changed()

    @staticmethod
    def _refuse_lists(layer: Any) -> None:
        if layer._returns_list:
            option = "return_state=True" if layer.return_state else "merge_mode=None"
            raise ConfigError(
                f"layer {layer.name!r} has {option}; a Sequential passes on one output"
            )

    def _fill(self, layer: Any, kept: Any) -> None:
        """The weights that a layer held, if they fit, or new ones."""
        layer.rng = self.rng
        if kept is not None and [array.shape for array in kept] == [
            spec.shape for spec in layer._specs
        ]:
            layer.set_weights(kept)
        else:
            layer._initialize(self.rng)

    @staticmethod
    def _pieces_of(sizes: Any) -> list[slice]:
        """Slices of these sizes, one behind the other."""
        ends = list(itertools.accumulate(sizes, initial=0))
        return [slice(first, last) for first, last in itertools.pairwise(ends)]

    def _title(self) -> str:
        return f"model {self.name!r}"

    def _setting_cure(self, name: str) -> str | None:
        return _CURES.get(name)

    # ---- freezing

    @property
    def trainable(self) -> bool:
        """Whether training changes any layer. Setting it sets :attr:`Layer.trainable` of every layer, once: a layer that is set
        afterwards has the last word.

        Raises
        ------
        StateError
            Set while ``fit`` runs, or before there is a layer.
        """
        return any(layer.trainable for layer in self._layers)

    @trainable.setter
    def trainable(self, value: Any) -> None:
        checks.flag(value, "trainable")
        if not self._layers:
            raise StateError(
                "trainable: the model has no layers to freeze yet: add them first, or make them"
                " with trainable=False"
            )
        self._trainable_changes()
        for layer in self._layers:
            layer.trainable = value

    def _trainable_changes(self) -> None:
        """A layer is about to be frozen, or no longer to be."""
        self._trained_parts = None

    def _trained(self) -> Trained:
        """What of the flat buffer training changes, a :class:`Trained`."""
        if self._trained_parts is None:
            self._trained_parts = Trained.of(self._layers, self._array_pieces, self._array_names)
            if self._trained_parts.parts is not None:
                self.flat_gradients.fill(0)  # where a layer is frozen they stay so
        return self._trained_parts

    @property
    def trainable_weights(self) -> list[Array]:
        """Views of the parameters that training changes, in order, list of ndarray; they may be written to."""
        return [array for layer in self._layers for array in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """Views of the parameters that training leaves as they are: of frozen layers, and moving averages."""
        return [array for layer in self._layers for array in layer.non_trainable_weights]

    @property
    def flat_parameters(self) -> Array:
        """All parameters that optimizers move, ndarray (n,): the buffer itself, which may be written to."""
        for layer in self._layers:
            layer._expose()
        return self._flat_parameters

    @property
    def dtype(self) -> DType:
        """ "float32" or "float64"."""
        return self._dtype

    @property
    def input_shape(self) -> Shape | None:
        """(batch, ...) of the input, None for free axes; None before it is known."""
        return None if self._input is None else (None, *self._input)

    @property
    def output_shape(self) -> Any:
        """(batch, ...) of the output; None before the model is built."""
        return self._layers[-1].output_shape if self.built else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for an input of this shape."""
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
        """Steps in each row of the output, for these of the input; None where it has none that depend on them."""
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
        """Whether sequences may have another number of steps than was announced: a Flatten needs that many."""
        return all(layer.takes_any_length for layer in self._layers)

    @property
    def _is_stateful(self) -> bool:
        """Whether a layer keeps its state from call to call."""
        return self._keeps_state if self.built else any(layer.stateful for layer in self._layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or number."""
        if index is not None:
            last = len(self._layers) - 1
            if last < 0:
                raise StateError("the model has no layers: add some first")
            return self._layers[checks.whole_number(index, "index", -last - 1, last)]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise ConfigError(
            f"no layer is named {name!r}; there are"
            f" {', '.join(layer.name for layer in self._layers)}"
        )

    # ---- weights

    @property
    def weights(self) -> list[Array]:
        """Views of all parameters, in order; they may be written to."""
        return [array for layer in self._layers for array in layer.parameters.values()]

    # Keras's other names

    @property
    def variables(self) -> list[Array]:
        """The same as :attr:`weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Array]:
        """The same as :attr:`trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Array]:
        """The same as :attr:`non_trainable_weights`."""
        return self.non_trainable_weights

    def count_params(self, trainable: bool | None = None) -> int:
        """Number of parameters; those that training changes (True), or does not (False). None: all."""
        return sum(layer.count_params(trainable) for layer in self._layers)

    @names_memory
    def get_weights(self) -> list[Array]:
        """Copies of all parameters, in Keras's order."""
        self._need_built("get_weights")
        with self._guard:
            return [array for layer in self._layers for array in layer.get_weights()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy values into all parameters, in Keras's order. Nothing changes if one of them does not fit."""
        self._need_built("set_weights")
        weights = checks.listed(weights, "weights", "arrays")
        counts = [len(layer._specs) for layer in self._layers]
        if len(weights) != sum(counts):
            raise ShapeError(f"the model has {sum(counts)} weight arrays, got {len(weights)}")
        with (
            self._guard.writing,
            Transaction(value_of(self._flat_weights, self._set_flat_weights)),
        ):
            at = 0
            for layer, count in zip(self._layers, counts):
                layer.set_weights(weights[at : at + count])
                at += count

    @names_memory
    def _flat_weights(self) -> Array:
        """A copy of all weights as one vector: the flat parameters, then what no optimizer moves."""
        with self._guard:
            kept = [array.ravel() for layer in self._layers for array in layer._kept_arrays()]
            return np.concatenate([self._flat_parameters, *kept])

    def _set_flat_weights(self, weights: Any) -> None:
        """Take what :meth:`flat_weights` gave."""
        kept = [array for layer in self._layers for array in layer._kept_arrays()]
        sizes = [self._flat_parameters.size, *(array.size for array in kept)]
        with self._guard.writing:
            for array, piece in zip([self._flat_parameters, *kept], self._pieces_of(sizes)):
                array[...] = weights[piece].reshape(array.shape)
            self._weights_changed()

    def _weights_changed(self) -> None:
        """Tell every layer that the flat buffer was written to."""
        for layer in self._layers:
            layer._weights_changed()

    def unchanged(self) -> AbstractContextManager[None]:
        """Context manager: no other thread changes the weights inside it. Passes of other threads go on.

        A program that makes several passes and wants one state of the weights for all of them
        enters it around them. The thread itself cannot change weights inside (StateError).
        """
        return self._guard

    def _alone(self) -> AbstractContextManager[None]:
        """Context manager of what uses the kept state of a stateful model: one thread at a time; of others it does nothing.

        Raises
        ------
        StateError
            On entering it while another thread is inside.
        """
        return self._one_stream if self._is_stateful else NULL_CONTEXT

    def _settle(self, tape: Tape) -> None:
        """Take over what a training pass found for the weights that no optimizer moves: after the pass."""
        if tape.has_actions:
            with self._guard.writing:
                tape.settle()

    def __copy__(self) -> Self:
        """A model of its own: two cannot share one buffer."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Of the weights at one moment, whatever other threads do."""
        made = memo[id(self)] = type(self).__new__(type(self))
        with self._alone(), self._guard:
            state = copy.deepcopy(self._copied_state(), memo)
        made.__setstate__(state)
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or a model out of a pickle: the layers' arrays become views of the buffer again."""
        vars(self).update(state)
        seeds.forkable(self.rng)
        self._trained_parts = None
        self._tapes = Tapes()
        for layer in self._layers:
            layer.model = self
        if self.built:
            for name in ("_flat_parameters", "flat_gradients"):
                copied = getattr(self, name)
                aligned = aligned_empty(copied.shape, self._dtype)
                aligned[...] = copied
                setattr(self, name, aligned)
            for layer, piece in zip(
                self._layers, self._pieces_of(layer._flat_size() for layer in self._layers)
            ):
                layer._adopt(self._flat_parameters[piece], self.flat_gradients[piece])

    def _checked_rng_state(self, state: dict[str, Any]) -> Any:
        """A state of the model's generator, out of a file.

        Raises
        ------
        CheckpointError
            It is none.
        """
        kind = type(self.rng.bit_generator)
        if not isinstance(state, dict) or state.get("bit_generator") != kind.__name__:
            raise CheckpointError(
                f"the generator is {state!r:.80}; expected the state of a {kind.__name__}"
            )
        trial = kind()
        trial.state = state  # raises where the state is none
        if trial.state != state:
            raise CheckpointError(
                f"the generator's state is {state!r:.80}, which no {kind.__name__} can have"
            )
        return state

    def reset_state(self) -> None:
        """Clear the state of every stateful layer."""
        with self._alone():
            for layer in self._layers:
                if layer._has_state:
                    layer.reset_state()

    def _states(self) -> dict[Layer, Any]:
        """dict of layer to its kept state, None where there is none."""
        return {layer: layer._state for layer in self._layers if layer._has_state}

    def _set_states(self, states: dict[Layer, Any]) -> None:
        """Take what :meth:`_states` gave."""
        for layer, state in states.items():
            layer._state = state

    def _states_loaded(self) -> None:
        """Note that the states of the layers come from a file: a first call with another number of rows drops them."""
        self._loaded_states = {layer: state[0] for layer, state in self._states().items() if state}

    def _drop_loaded_states(self, rows: int) -> None:
        """The first call after loading: the states of the file hold if they are those of as many rows."""
        loaded, self._loaded_states = self._loaded_states, {}
        unfit = [
            layer
            for layer, first in loaded.items()
            if layer._state and layer._state[0] is first and len(first) != rows
        ]
        if unfit:
            self._set_states(dict.fromkeys(unfit))
            checks.warn(
                f"model {self.name!r} was saved with the states of {len(loaded[unfit[0]])} rows, x"
                f" has {rows}: its stateful layers start without a state; call reset_state() after"
                " loading to start so on purpose"
            )

    reset_states = reset_state  # Keras 2's name

    # ---- running

    @property
    def _padded_dtype(self) -> str:
        """What rows of different lengths are padded in."""
        return self._first_layer()._padded_dtype or self._dtype

    def _first_layer(self) -> Layer:
        if not self._layers:
            raise StateError("the model has no layers: add some first")
        return self._layers[0]

    def _read_input(self, x: Array) -> Array:
        """An ndarray of what the user gave, as the first layer reads it."""
        return self._first_layer()._read_input(x, self._dtype, True)

    def _check_values(self, x: Array) -> Array:
        """Refuse values that the first layer cannot compute with."""
        return self._layers[0]._check_values(x)

    def _compute_mask(self, x: Array) -> Array | None:
        """Which steps of x count, as far as the first layer knows, bool ndarray (samples, steps); else None."""
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

    def _fits_already(self, shape: tuple[int, ...]) -> bool:
        """Whether x of this shape has the axes of the input, of exactly these extents: the usual case, quickly found."""
        if len(shape) != len(self._input) + 1:
            return False
        for want, extent in zip(self._input, shape[1:]):
            if want is not None and want != extent:
                return False
        return shape[1] > 0 or not self._layers[0].reads_steps

    def _run_layers(self, samples: Samples, tape: Tape | None, stop: int | None = None) -> Batch:
        """Output of the layers before number `stop` for checked samples, a Batch; a layer's number is its node of the tape."""
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
        self, gradient: Any, tape: Tape, trained: Trained, from_scores: bool
    ) -> None:
        """Add the gradients of all parameters that are trained, from that of the output, or of the last layer's scores."""
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
        """Outputs of checked samples, steps where they stood in x; with `stop`, those of the layers before that one.

        They are zero at steps that do not count; if a recurrent layer has
        zero_output_for_mask=False and no layer behind it looks at other steps than its own, what
        the last step that counts gave.
        """
        if not training:
            with self._alone(), self._guard:
                batch = self._run_layers(samples, None, stop)
        else:
            tape = self._tapes.borrow()
            try:
                with self._alone(), self._guard:
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
        """y with the last counted output at the steps that do not count, if a layer asks for it and none behind undoes it."""
        behind = []
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

    def _need_layers(self, what: Any) -> None:
        if not self._layers:
            raise StateError(f"{what}: the model has no layers: add some first")

    def _need_built(self, what: Any) -> None:
        if not self.built:
            raise StateError(
                f"{what}: the model is not built: give its first layer an input_shape, call "
                "build((None, steps, features)), or fit it"
            )
