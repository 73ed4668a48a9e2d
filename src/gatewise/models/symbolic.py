"""What models and symbols have to do with each other."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from .nested import ModelLayer
from .shared_buffer import SharedBuffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise.layers import Symbol


class Symbolic(SharedBuffer):
    """A model that has symbols of its inputs and outputs, and can be called with symbols."""

    _inputs_are: str = "one"  # "one", "list" or "dict": how inputs and outputs were given
    _outputs_are: str = "one"
    _input_names: Sequence[str]
    _output_names: Sequence[str]

    @abc.abstractmethod
    def _ends(self) -> tuple[list[Symbol], list[Symbol]]:
        """Return the symbols of the inputs and of the outputs."""

    @property
    def inputs(self) -> list[Symbol]:
        """Symbols of the inputs, list of Symbol."""
        return list(self._ends()[0])

    @property
    def outputs(self) -> list[Symbol]:
        """Symbols of the outputs, list of Symbol."""
        return list(self._ends()[1])

    @property
    def input(self) -> Any:
        """The symbol of the only input; a list, or a dict as the model was given one."""
        return _as(self._inputs_are, self._input_names, self.inputs)

    @property
    def output(self) -> Any:
        """The symbol of the only output; a list, or a dict as the model was given one."""
        return _as(self._outputs_are, self._output_names, self.outputs)

    @property
    def layers(self) -> list[Any]:
        """The layers in order, a copy of the list; a model that is a layer here is itself."""
        return [getattr(layer, "_inner", layer) for layer in self._layers]

    def _make_layer(self) -> ModelLayer:
        """Return the layer that this model is inside others."""
        self._need_layers("a call with symbols")
        if self._as_layer is None:
            self._as_layer = ModelLayer(self)
        return self._as_layer

    def _call_layers(self) -> None:
        """Call all layers with symbols, if they have not been."""
        self._ends()


def _as(form: str, names: Sequence[str], symbols: list[Symbol]) -> Any:
    if form == "dict":
        return dict(zip(names, symbols))
    return symbols[0] if len(symbols) == 1 else symbols
