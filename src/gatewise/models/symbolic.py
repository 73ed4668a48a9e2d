"""What models and symbols have to do with each other."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from gatewise.configuration import custom_object_scope
from gatewise.errors import ConfigError

from .architecture import architecture_of, build_model
from .nested import ModelLayer
from .shared_buffer import SharedBuffer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gatewise._typing import Config
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

    def get_config(self) -> Config:
        """Return how the model is made, as JSON values: what :meth:`from_config` takes.

        Returns
        -------
        dict
            The layers and how they are connected; no weights, and nothing of ``compile``.
        """
        self._need_layers("get_config")
        return architecture_of(self)

    @classmethod
    def from_config(cls, config: Config, custom_objects: dict[str, type] | None = None) -> Self:
        """Return a new model of a description, with new initial weights; it is not compiled.

        Parameters
        ----------
        config : dict
            As :meth:`get_config` returns it.
        custom_objects : dict of str to class, optional
            User-defined classes by their names. None: there are none.

        Returns
        -------
        Model or Sequential

        Raises
        ------
        ConfigError
            The description is not one of a model of this class, or a class is not known.
        SizeError
            There is not enough memory.

        Examples
        --------
        >>> from gatewise import Model, layers
        >>> x = layers.Input((3,))
        >>> model = Model(x, layers.Dense(2)(x) + 1)
        >>> Model.from_config(model.get_config()).count_params()
        8
        """
        with custom_object_scope(custom_objects or {}):
            model = build_model(config)
        if not isinstance(model, cls):
            raise ConfigError(f"config describes a {type(model).__name__}: call its from_config")
        return model

    @abc.abstractmethod
    def _architecture(self) -> Config:
        """Return what the description has besides name, seed and dtype."""

    @classmethod
    @abc.abstractmethod
    def _from_architecture(cls, description: Config) -> Self:
        """Return the model of a description, without parameters."""

    @abc.abstractmethod
    def _make_parameters(self) -> None:
        """Make the parameters, if the shape of the input is known."""

    def _make_layer(self) -> ModelLayer:
        """Return the layer that this model is inside others."""
        self._need_layers("a call with symbols")
        if self._as_layer is None:
            self._as_layer = ModelLayer(self)
        return self._as_layer

    def _called_with_symbols(self, x: Any, **given: Any) -> Any:
        """Return the symbols of the outputs, as the model returns arrays."""
        found = self._make_layer()(x, **given)
        symbols = found if isinstance(found, list) else [found]
        if self._outputs_are == "list":
            return symbols
        return _as(self._outputs_are, self._output_names, symbols)

    def _call_layers(self) -> None:
        """Call all layers with symbols, if they have not been."""
        self._ends()


def _as(form: str, names: Sequence[str], symbols: list[Symbol]) -> Any:
    if form == "dict":
        return dict(zip(names, symbols))
    return symbols[0] if len(symbols) == 1 else symbols
