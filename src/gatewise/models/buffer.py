"""Layers over one flat buffer of parameters: building, weights, states and freezing."""

from __future__ import annotations

import abc
import copy
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, seeds, threads
from gatewise.attributes import LISTS_OF_WEIGHTS, WEIGHTS_CURE, Guarded, checked
from gatewise.errors import CheckpointError, ConfigError, ShapeError, StateError
from gatewise.kernels._memory import aligned_empty
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.layers.base import automatic_name
from gatewise.layers.tape import Tapes
from gatewise.memory import names_memory
from gatewise.sharing import WeightsGuard
from gatewise.transaction import Transaction, attributes_of, value_of

from .trained import Trained

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from typing import Self

    from gatewise._typing import Array, DType, Shape
    from gatewise.layers import Layer

    States = dict[Layer, list[Array] | None]

_CURES = {
    **dict.fromkeys(("optimizer", "loss", "metrics"), "call compile(optimizer, loss, metrics)"),
    **dict.fromkeys(LISTS_OF_WEIGHTS, WEIGHTS_CURE),
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


class BufferedLayers(Guarded, abc.ABC):
    """Layers whose parameters are in one flat buffer.

    Attributes
    ----------
    built : bool
        Whether the parameters exist.
    flat_gradients : ndarray (n,)
        One buffer of all gradients; every layer's gradients are views into it. None before the
        model is built.
    rng : numpy.random.Generator
        The source of all random draws.
    seed : int or None
        What the constructor received.
    """

    built: bool
    flat_gradients: Array
    rng: np.random.Generator
    seed: int | None
    name: str = checked(checks.text)

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
        self._layers: list[Layer] = []
        self.built = False
        self._flat_parameters: Array
        vars(self).update(_flat_parameters=None, flat_gradients=None)
        self._dtype: DType = "float32"
        self._input: Shape | None = None  # of one sample, once given
        # layer to the first array of a state that came from a file, until the first call
        self._loaded_states: dict[Layer, Array] = {}
        self._names: set[str] = set()  # the paths of all layers, as they were when they were added
        self._dtypes: Counter[Any] = Counter()  # how many layers gave each dtype
        # the arrays that the flat buffers are the beginnings of: layers to come have their place
        # there
        self._room: tuple[Array, ...] | None = None
        self._keeps_state = False
        self._array_pieces: list[slice] = []  # the place of each parameter in the flat buffers
        self._array_names: list[str] = []  # the name that its layer has for it
        self._trained_parts: Trained | None = None  # known once a step has needed it
        self._tapes = Tapes()

    # ---- building

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, a copy of the list: :meth:`add` and :meth:`pop` change the model."""
        return list(self._layers)

    def _reserve(self, count: int) -> None:
        """Give the flat buffers this length; if they must move, with room for as much again."""
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
        """Update what depends on which layers there are."""
        self._trained_parts = None
        self._tapes = Tapes()

    def _refuse_in_use(self, layer: Layer) -> None:
        """Refuse a layer that is in use: its parameters are in the buffers of one model."""
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

    def build(self, input_shape: Shape) -> None:
        """Make the parameters for inputs (batch, ...); weights that layers have are kept."""
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

    def _build(self, shape: Shape) -> None:
        self._input = shape[1:]
        kept = {layer: layer.get_weights() for layer in self._layers if layer.built}
        self._describe_layers(shape)
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

    @abc.abstractmethod
    def _describe_layers(self, shape: Shape) -> None:
        """Describe all layers, for an input of this shape where the model does not know it."""

    @staticmethod
    def _refuse_lists(layer: Layer) -> None:
        if layer._returns_list:
            option = "return_state=True" if layer.return_state else "merge_mode=None"
            raise ConfigError(
                f"layer {layer.name!r} has {option}; a Sequential passes on one output"
            )
        if isinstance(layer.output_shape, list):
            raise ConfigError(
                f"layer {layer.name!r} has {len(layer.output_shape)} outputs; a Sequential passes"
                " on one output"
            )

    def _fill(self, layer: Layer, kept: list[Array] | None) -> None:
        """Give a layer the weights that it had, if they fit, or new ones."""
        layer.rng = self.rng
        if kept is not None and [array.shape for array in kept] == [
            spec.shape for spec in layer._specs
        ]:
            layer.set_weights(kept)
        else:
            layer._initialize(self.rng)

    @staticmethod
    def _pieces_of(sizes: Iterable[int]) -> list[slice]:
        """Return slices of these sizes, one after the other."""
        ends = list(itertools.accumulate(sizes, initial=0))
        return [slice(first, last) for first, last in itertools.pairwise(ends)]

    @property
    def _has_whole_buffer(self) -> bool:
        """Whether the flat buffer holds parameters of this model only."""
        return True

    def _copied_state(self) -> dict[str, Any]:
        """Return what copies and pickles hold."""
        return dict(vars(self))

    def _title(self) -> str:
        return f"model {self.name!r}"

    def _setting_cure(self, name: str) -> str | None:
        return _CURES.get(name)

    # ---- freezing

    @property
    def trainable(self) -> bool:
        """Whether training changes any layer.

        Setting it sets :attr:`Layer.trainable` of every layer, which can be changed afterwards.

        Raises
        ------
        StateError
            Set while ``fit`` runs, or before there is a layer.
        """
        return any(layer.trainable for layer in self._layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
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
        """Prepare for a layer that is about to be frozen, or no longer to be."""
        self._trained_parts = None

    def _trained(self) -> Trained:
        """Return which parts of the flat buffer training changes, a :class:`Trained`."""
        if self._trained_parts is None:
            self._trained_parts = Trained.of(
                self._layers,
                self._array_pieces,
                self._array_names,
                self._without_loss(),
                self._has_whole_buffer,
            )
            if self._trained_parts.parts is not None:
                self.flat_gradients.fill(0)  # where a layer is frozen they stay so
        return self._trained_parts

    def _without_loss(self) -> dict[Layer, set[str]]:
        """Return the names of arrays, by layer, that no loss depends on."""
        return {}

    @property
    def trainable_weights(self) -> list[Array]:
        """Views of the parameters that training changes, in order; they may be written to."""
        return [array for layer in self._layers for array in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """Views of the parameters that training does not change: frozen, or moving averages."""
        return [array for layer in self._layers for array in layer.non_trainable_weights]

    @property
    def flat_parameters(self) -> Array:
        """All parameters that optimizers change, ndarray (n,): the buffer; it may be written to."""
        for layer in self._layers:
            layer._expose()
        return self._flat_parameters

    @property
    def dtype(self) -> DType:
        """ "float32" or "float64"."""
        return self._dtype

    @property
    def input_shape(self) -> Shape | None:
        """Shape (batch, ...) of the input, None for free axes; None before it is known."""
        return None if self._input is None else (None, *self._input)

    @property
    def output_shape(self) -> Any:
        """Shape (batch, ...) of the output; None before the model is built."""
        return self._layers[-1].output_shape if self.built else None

    @property
    def _is_stateful(self) -> bool:
        """Whether a layer keeps its state from call to call."""
        return self._keeps_state if self.built else any(layer.stateful for layer in self._layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or number.

        Parameters
        ----------
        name : str, optional
        index : int, optional
            From 0; negative numbers count from the end.

        Returns
        -------
        Layer, or Model
            A model that is a layer of this one is returned itself.

        Raises
        ------
        ConfigError, StateError
            There is no such layer.
        """
        if index is not None:
            last = len(self._layers) - 1
            if last < 0:
                raise StateError("the model has no layers: add some first")
            return self.layers[checks.whole_number(index, "index", -last - 1, last)]
        for layer in self.layers:
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
        """Count parameters.

        Parameters
        ----------
        trainable : bool, optional
            True: those that training changes; False: those that it does not. None: all.

        Returns
        -------
        int
        """
        return sum(layer.count_params(trainable) for layer in self._layers)

    @names_memory
    def get_weights(self) -> list[Array]:
        """Return copies of all parameters, in Keras's order.

        Returns
        -------
        list of ndarray
        """
        self._need_built("get_weights")
        with self._guard:
            return [array for layer in self._layers for array in layer.get_weights()]

    def set_weights(self, weights: Any) -> None:
        """Copy values into all parameters, in Keras's order.

        Nothing changes if one of them does not fit.
        """
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
        """Return all weights as one vector: the flat parameters, then what no optimizer changes."""
        with self._guard:
            kept = [array.ravel() for layer in self._layers for array in layer._kept_arrays()]
            return np.concatenate([*self._flat_pieces(), *kept])

    def _flat_pieces(self) -> list[Array]:
        """Return the parts of the flat buffer that hold the parameters of this model."""
        return [self._flat_parameters]

    def _set_flat_weights(self, weights: Any) -> None:
        """Take what :meth:`_flat_weights` returned."""
        kept = [array for layer in self._layers for array in layer._kept_arrays()]
        arrays = [*self._flat_pieces(), *kept]
        with self._guard.writing:
            for array, piece in zip(arrays, self._pieces_of(array.size for array in arrays)):
                array[...] = weights[piece].reshape(array.shape)
            self._weights_changed()

    def _weights_changed(self) -> None:
        """Tell every layer that the flat buffer was written to."""
        for layer in self._layers:
            layer._weights_changed()

    def unchanged(self) -> AbstractContextManager[Any]:
        """Return a context manager in which no other thread changes the weights.

        A program that makes several passes with the same weights enters it around them. Passes of
        other threads continue. The thread itself cannot change weights inside (StateError).

        Returns
        -------
        context manager
        """
        return self._guard

    def _using_state(self) -> AbstractContextManager[Any]:
        """Return the context manager in which the state of a stateful model is used.

        One thread at a time may be inside. For other models it does nothing.

        Raises
        ------
        StateError
            On entering it while another thread is inside.
        """
        return self._one_stream if self._is_stateful else NULL_CONTEXT

    def __copy__(self) -> Self:
        """A model of its own: two cannot share one buffer."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Of the weights at one moment, whatever other threads do."""
        made = memo[id(self)] = type(self).__new__(type(self))
        with self._using_state(), self._guard:
            state = copy.deepcopy(self._copied_state(), memo)
        made.__setstate__(state)
        return made

    def __setstate__(self, state: Any) -> None:
        """Restore a copy or a pickle: the layers' arrays become views of the buffer again."""
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

    def _checked_rng_state(self, state: Any) -> Any:
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
        with self._using_state():
            for layer in self._state_layers():
                layer.reset_state()

    def _state_layers(self) -> list[Layer]:
        """Return the layers that may have a state, also those of models inside."""
        return [layer for layer in self._layers if layer._has_state]

    def _states(self) -> States:
        """dict of layer to its kept state, None where there is none."""
        return {layer: layer._state for layer in self._state_layers()}

    def _set_states(self, states: States) -> None:
        """Take what :meth:`_states` returned."""
        for layer, state in states.items():
            layer._state = state

    def _states_loaded(self) -> None:
        """Note that the states come from a file: a first call with other rows drops them."""
        self._loaded_states = {layer: state[0] for layer, state in self._states().items() if state}

    def _drop_loaded_states(self, rows: int) -> None:
        """Keep the states of a file at the first call if they have this number of rows."""
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

    def _need_layers(self, what: str) -> None:
        """Refuse a call, by its name, of a model without layers."""
        if not self._layers:
            raise StateError(f"{what}: the model has no layers: add some first")

    def _need_built(self, what: str) -> None:
        """Refuse a call, by its name, of a model that is not built."""
        if not self.built:
            raise StateError(
                f"{what}: the model is not built: give its first layer an input_shape, call "
                "build((None, steps, features)), or fit it"
            )
