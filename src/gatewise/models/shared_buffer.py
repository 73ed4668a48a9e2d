"""Models that share layers: one owns the buffer, the others are views of it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError, StateError
from gatewise.kernels._memory import aligned_empty

from .buffer import BufferedLayers
from .trained import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from gatewise._typing import Array
    from gatewise.layers import Layer


class SharedBuffer(BufferedLayers):
    """Layers in a flat buffer that may be the buffer of another model, the host.

    A view has some of the host's layers: its arrays lie somewhere in the host's buffer, and it
    trains these parts only. A model inside another one, as a layer, has one part of that buffer.
    """

    built: bool
    flat_gradients: Array
    rng: np.random.Generator
    _host: SharedBuffer | None = None
    _views: Any = ()  # a WeakSet once there is a view
    _inner_models: list[SharedBuffer] | None = None  # None: not looked for since layers changed
    _own_parts: list[slice] | None = None  # of the host's buffer; None: all of it is this model's
    _as_layer: Any = None  # the layer that this model is inside others

    # ---- the owner

    def _places(self) -> dict[Any, slice]:
        """Return the place of each layer in the flat buffer, also of those inside models."""
        found = {}
        pieces = self._pieces_of(layer._flat_size() for layer in self._layers)
        for layer, piece in zip(self._layers, pieces):
            found[layer] = piece
            inner = getattr(layer, "_inner", None)
            if inner is not None:
                for part, place in inner._places().items():
                    found[part] = slice(piece.start + place.start, piece.start + place.stop)
        return found

    def _state_layers(self) -> list[Layer]:
        found = []
        for layer in self._layers:
            inner = getattr(layer, "_inner", None)
            found += inner._state_layers() if inner is not None else [layer] * layer._has_state
        return found

    def _state_paths(self) -> dict[Any, tuple[Any, str]]:
        """Return of each layer that may have a state the layer of this model that it is in or is,
        and its path in there.
        """
        found: dict[Any, tuple[Any, str]] = {}
        for layer in self._layers:
            inner = getattr(layer, "_inner", None)
            if inner is None:
                if layer._has_state:
                    found[layer] = layer, ""
                continue
            for part, (outer, path) in inner._state_paths().items():
                found[part] = layer, f"{outer.name}/{path}"
        return found

    def _dependents(self) -> list[SharedBuffer]:
        """Return the views of this model, and the models that are layers of it."""
        if self._inner_models is None or not self.built:
            inner = [getattr(layer, "_inner", None) for layer in self._layers]
            self._inner_models = [model for model in inner if model is not None]
        return [*self._views, *self._inner_models]

    def _others_over_buffer(self) -> list[SharedBuffer]:
        """Return all other models whose parameters lie in the same buffer."""
        if self._host is None and not self._dependents():
            return []
        root = self
        while root._host is not None:
            root = root._host
        found = [root]
        for model in found:  # grows meanwhile
            found += model._dependents()
        return [model for model in found if model is not self]

    def _layers_changed(self) -> None:
        super()._layers_changed()
        self._inner_models = None
        for view in self._views:
            view._follow_host()

    def _trainable_changes(self) -> None:
        super()._trainable_changes()
        for model in self._dependents():
            model._trainable_changes()

    # ---- a view

    def _become_view(self, host: SharedBuffer) -> None:
        """Use the buffer of a model that has all layers of this one."""
        self._host = host
        if not isinstance(host._views, weakref.WeakSet):
            host._views = weakref.WeakSet()
        host._views.add(self)
        views, self._views = list(self._views), ()
        self._follow_host()
        for view in views:
            view._become_view(host)

    def _follow_host(self) -> None:
        """Take the places that the layers have in the host's buffer now."""
        host = self._host
        assert host is not None
        places = host._places()
        self._flat_parameters, self.flat_gradients = host._flat_parameters, host.flat_gradients
        self._room = None
        self._array_pieces, self._array_names = [], []
        for layer in self._layers:
            trained = [spec for spec in layer._specs if spec.trained]
            first = places[layer].start if trained else 0
            self._array_pieces += [
                slice(first + piece.start, first + piece.stop)
                for piece in self._pieces_of(spec.size for spec in trained)
            ]
            self._array_names += [spec.name for spec in trained]
        self._own_parts = joined(self._array_pieces)
        self._dtype = host._dtype
        self._take_over(host)
        self._keeps_state = any(layer.stateful for layer in self._layers)
        self.built = True
        self._layers_changed()

    def _take_over(self, host: SharedBuffer) -> None:
        """Use what all models over one buffer share: the guard, the generator, the lock."""
        self._guard, self.rng, self._trains = host._guard, host.rng, host._trains
        self._one_stream = host._one_stream

    @property
    def _has_whole_buffer(self) -> bool:
        return self._own_parts is None

    def _flat_pieces(self) -> list[Array]:
        if self._own_parts is None:
            return super()._flat_pieces()
        return [self._flat_parameters[part] for part in self._own_parts]

    def _refuse_hosted(self, what: str) -> None:
        if self._host is not None:
            raise StateError(
                f"{what}: the layers of model {self.name!r} belong to model {self._host.name!r},"
                " which was made of them; make a new model"
            )

    # ---- a layer of another model

    def _lie_inside(self, layer: Any, parameters: Array, gradients: Array) -> None:
        """Use a part of the buffer of a model of which this one is the layer."""
        self._host = layer.model
        self._flat_parameters, self.flat_gradients, self._room = parameters, gradients, None
        trained = [spec for each in self._layers for spec in each._specs if spec.trained]
        self._array_pieces = self._pieces_of(spec.size for spec in trained)
        self._array_names = [spec.name for spec in trained]
        self._own_parts = None
        self._keeps_state = any(layer.stateful for layer in self._layers)
        self.built = True
        self._guard = layer._guard
        if layer.model is not None:
            self._take_over(layer.model)
        outgrown = getattr(self, "_outgrown", False)
        self._layers_changed()
        self._outgrown = outgrown  # the layers are the same, in the same order

    # ---- copies

    def _copied_state(self) -> dict[str, Any]:
        state = super()._copied_state() | {"_host": None, "_views": (), "_as_layer": None}
        if self._own_parts is not None:  # a copy has a buffer of its own
            state |= {"_flat_parameters": None, "flat_gradients": None, "_own_parts": None}
        return state

    @staticmethod
    def _is_of_view(state: Any) -> bool:
        """Whether the state of a copy is that of a view, without the host's buffer."""
        return bool(state.get("built")) and state.get("_flat_parameters") is None

    def __setstate__(self, state: Any) -> None:
        if self._is_of_view(state):
            sizes = [layer._flat_size() for layer in state["_layers"]]
            arrays = [aligned_empty((sum(sizes),), state["_dtype"]) for _ in range(2)]
            for layer, piece in zip(state["_layers"], self._pieces_of(sizes)):
                at = piece.start
                for spec in layer._specs:
                    if spec.trained:
                        arrays[0][at : at + spec.size] = layer._parameters[spec.name].ravel()
                        at += spec.size
            arrays[1].fill(0)
            trained = [spec for layer in state["_layers"] for spec in layer._specs if spec.trained]
            state = state | {
                "_flat_parameters": arrays[0],
                "flat_gradients": arrays[1],
                "_array_pieces": self._pieces_of(spec.size for spec in trained),
            }
        super().__setstate__(state)


def host_of(name: str, layers: Sequence[Layer]) -> tuple[SharedBuffer | None, list[SharedBuffer]]:
    """Return the model whose view a new model of these layers is, or those that it takes in.

    Returns
    -------
    host : SharedBuffer or None
        The model that has all of the layers. None: there is none.
    taken : list of SharedBuffer
        Models of which the layers are all there.

    Raises
    ------
    ConfigError
        Some layers of another model are there, and others not, or a layer is there twice.
    """
    parts: dict[Any, Any] = {}
    for layer in layers:
        for part in _with_inner(layer):
            if part in parts and is_bound(part):
                raise ConfigError(
                    f"model {name!r} has {part._title()} twice, through {parts[part]._title()} and"
                    f" {layer._title()}"
                )
            parts[part] = layer
    bound = [part for part in parts if part.model is not None and is_bound(part)]
    hosts = list({id(part.model): part.model for part in bound}.values())
    if len(hosts) == 1 and bound:
        places = hosts[0]._places()
        if all(part in places for part in parts if is_bound(part)):
            return hosts[0], []
    for host in hosts:
        missing = [layer for layer in host._layers if is_bound(layer) and layer not in parts]
        if missing:
            shared = next(part for part in bound if part.model is host)
            raise ConfigError(
                f"model {name!r} has {shared._title()} of model {host.name!r}, but not its"
                f" {missing[0]._title()}: two models share a layer only if one of them has all"
                " layers of the other, since its parameters lie in one buffer. Make one model of"
                " all outputs, and the smaller ones of its symbols; or copy the layers:"
                " gatewise.models.clone_model"
            )
    return None, hosts


def is_bound(layer: Any) -> bool:
    """Whether a layer has parameters, a state or random draws, and so belongs to one model."""
    if layer._has_state or hasattr(layer, "seed") or hasattr(layer, "_inner"):
        return True
    return bool(layer._nodes[-1].specs if layer._nodes else layer._specs)


def _with_inner(layer: Any) -> Iterable[Any]:
    """Return a layer, and the layers of the model that it is."""
    yield layer
    inner = getattr(layer, "_inner", None)
    if inner is not None:
        for part in inner._layers:
            yield from _with_inner(part)
