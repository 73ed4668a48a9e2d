"""Sequential: a model of layers in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError, StateError
from gatewise.layers import Input, InputLayer, Layer, Symbol
from gatewise.layers.base import automatic_name
from gatewise.layers.symbol import connect
from gatewise.memory import names_memory
from gatewise.transaction import Transaction

from .architecture import described, described_layers, layers_of
from .graph import Model
from .straight import Straight
from .symbolic import Symbolic
from .trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gatewise._typing import Array, Config


@described
class Sequential(Symbolic, Straight, Trainer):
    """A model of layers in order, each of which reads the output of the one before it.

    Parameters
    ----------
    layers : list of Layer, optional
        More can be added with :meth:`add`. An :class:`~gatewise.layers.Input` may come first.
    name : str, optional
        None: a name is made from the class.
    seed : int, optional
        Every random draw follows from it: initial weights, shuffling, dropout. None: from
        :func:`gatewise.utils.set_random_seed`, or the system.

    Attributes
    ----------
    flat_parameters, flat_gradients : ndarray (n,)
        One buffer each, 64-byte aligned; every layer's arrays are views into them.
    rng : numpy.random.Generator
        The source of all random draws.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import Sequential, layers
    >>> model = Sequential([layers.LSTM(16), layers.Dense(1)], seed=0)
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((32, 10, 3)), np.ones(32), epochs=2, verbose=0)
    >>> model.predict(np.ones((4, 10, 3))).shape
    (4, 1)
    """

    built: bool
    flat_gradients: Array

    def __init__(
        self,
        layers: Sequence[Layer | Symbol | Symbolic] | None = None,
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(name, seed)
        self._entry: Symbol | None = None  # the Input that came first
        self._made: list[Symbol] = []  # the input and what each layer gives, once asked for
        given = checks.listed(layers or [], "layers", "gatewise.layers objects")
        with Transaction(lambda: self._release(given)):
            for layer in given:
                self._append(_layer_of(layer))
            self._make_parameters()

    def _make_parameters(self) -> None:
        if self._layers and self._input is not None:
            self.build((None, *self._input))

    def _architecture(self) -> Config:
        shape = self.input_shape
        return {
            "input_shape": None if shape is None else list(shape[1:]),
            "layers": described_layers(self),
        }

    @classmethod
    def _from_architecture(cls, description: Config) -> Self:
        model = cls(name=description["name"], seed=description["seed"])
        shape = description["input_shape"]
        if shape is not None:
            model._append(_layer_of(Input(shape, dtype=description["dtype"])))
        for layer in layers_of(description):
            model._append(layer)
        return model

    def _release(self, layers: Sequence[object]) -> None:
        """The layers of a model that could not be made are free for another try."""
        for layer in layers:
            layer = _layer_of(layer)
            if isinstance(layer, Layer) and layer.model is self:
                layer.model = None

    @names_memory
    def add(self, layer: Layer | Symbol | Symbolic) -> None:
        """Append a layer. The model is built as soon as the shape of its input is known.

        Adding n layers one by one takes time linear in n.

        Parameters
        ----------
        layer : Layer, or Model
            It must not be in another model, or in this one already. The first one may be an
            :func:`~gatewise.layers.Input`.

        Raises
        ------
        ConfigError, ShapeError
            The layer does not fit. The model is as it was.
        """
        self._refuse_hosted("add")
        was_built, dtype = self.built, self._dtype
        layer = _layer_of(layer)
        self._append(layer)
        if self._layers and self._input is not None and not self.built:
            extends = was_built and dtype == self._dtype
            with Transaction(lambda: self._take_out(extends)):
                if extends:
                    self._extend(layer)
                else:
                    self.build((None, *self._input))

    def _take_out(self, extended: bool) -> None:
        """Undo the failed :meth:`add` of the last layer; `extended`: the others are built still."""
        self._remove_last()
        if extended:
            self.built = True
        elif self._layers:
            self.build((None, *self._input))

    def _extend(self, layer: Layer) -> None:
        """Build the last layer: the others are, and keep their places in the flat buffers."""
        with self._guard.writing:
            layer._set_dtype(self._dtype)
            kept = layer.get_weights() if layer.built else None
            layer._describe(self._layers[-2].output_shape)
            self._refuse_lists(layer)
            first, size = self._flat_parameters.size, layer._flat_size()
            self._reserve(first + size)
            with Transaction(lambda: self._shorten(first)):
                self._flat_parameters[first:], self.flat_gradients[first:] = 0, 0
                layer._adopt(self._flat_parameters[first:], self.flat_gradients[first:])
                self._fill(layer, kept)
            trained = [spec for spec in layer._specs if spec.trained]
            self._array_pieces += [
                slice(first + piece.start, first + piece.stop)
                for piece in self._pieces_of(spec.size for spec in trained)
            ]
            self._array_names += [spec.name for spec in trained]
            self._keeps_state = self._keeps_state or layer.stateful
            self.built = True
            self._layers_changed()

    def _ends(self) -> tuple[list[Symbol], list[Symbol]]:
        self._need_built("the symbols of a Sequential")
        if not self._made:
            entry = self._entry
            self._made = [Input(self.input_shape[1:]) if entry is None else entry]
        for layer in self._layers[len(self._made) - 1 :]:
            found: Any = connect(layer, [self._made[-1]], False)
            self._made.append(found)
        return self._made[:1], self._made[-1:]

    def _shape_for_one_input(self) -> Any:
        return self._input

    def _append(self, layer: Layer) -> None:
        """Append a layer that fits; the model is no longer built."""
        if not isinstance(layer, Layer):
            raise ConfigError(f"add: got {layer!r}; expected a gatewise.layers object")
        self._refuse_in_use(layer)
        if self._layers and isinstance(layer, InputLayer):
            raise ConfigError("an Input can only be the first entry of a Sequential")
        if self._layers and layer._first_only:
            raise ConfigError(
                f"layer {layer.name!r} reads the model's input: it can only be the first layer of a"
                " Sequential"
            )
        while layer.name in self._names and not layer._named_by_user:
            layer.name = automatic_name(type(layer))
        if not self._names.isdisjoint(layer._paths()):
            # some may have another name by now
            self._names = {name for other in self._layers for name in other._paths()}
            if not self._names.isdisjoint(layer._paths()):
                raise ConfigError(f"two layers are named {layer.name!r}; give each its own name")
        if layer._dtype_given:
            self._set_dtype(layer._dtype_given)
        if layer._given_input_shape is not None and not self._layers and self._input is None:
            self._input = layer._given_input_shape
        layer.model = self
        layer._share_guard(self._guard)
        if isinstance(layer, InputLayer):
            self._entry = layer._nodes[0].outputs[0] if layer._nodes else None
            return
        self._layers.append(layer)
        self._names.update(layer._paths())
        self._dtypes[layer._dtype_given] += 1
        self.built = False

    def pop(self) -> None:
        """Remove the last layer.

        If it has parameters and the model has been trained, the model needs a new optimizer:
        compile it.

        Raises
        ------
        StateError
            There is no layer.
        """
        if not self._layers:
            raise StateError("there is no layer to remove")
        self._refuse_hosted("pop")
        before, outgrown = self._flat_parameters, self._outgrown
        self._pop()
        if before is not None and before.size == self._flat_parameters.size:
            self._outgrown = outgrown

    def _pop(self) -> None:
        """Remove the last layer and its place in the flat buffers."""
        was_built = self.built
        layer = self._remove_last()
        self.built = False
        if not (self._layers and self._input is not None):
            return
        if not was_built:
            self.build((None, *self._input))
            return
        with self._guard.writing:
            size, arrays = layer._flat_size(), sum(spec.trained for spec in layer._specs)
            first = self._flat_parameters.size - size
            # the place may be taken again
            layer._adopt(self._flat_parameters[first:].copy(), self.flat_gradients[first:].copy())
            self._flat_parameters, self.flat_gradients = (
                self._flat_parameters[:first],
                self.flat_gradients[:first],
            )
            if arrays:
                del self._array_pieces[-arrays:], self._array_names[-arrays:]
            if layer.stateful:
                self._keeps_state = any(other.stateful for other in self._layers)
            self.built = True
            self._layers_changed()

    def _copied_state(self) -> dict[str, Any]:
        return super()._copied_state() | {"_entry": None, "_made": []}

    def _remove_last(self) -> Layer:
        """Remove the last layer from the list; it may be used in another model."""
        layer = self._layers.pop()
        del self._made[len(self._layers) + 1 :]
        layer.model = None
        self._names.difference_update(layer._paths())
        self._dtypes.subtract([layer._dtype_given])
        return layer


def _layer_of(entry: Any) -> Any:
    """Return the layer of an entry: it may be the symbol that Input returns, or a model."""
    if isinstance(entry, Symbol):
        return entry.node.layer
    return entry._make_layer() if isinstance(entry, Symbolic) else entry


Model.register(Sequential)  # a straight one
