"""The base of user-defined wrappers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError

from .registry import layer_config, layer_from_config
from .wrappers import Container, kind_inside, layer_of

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Self

    import numpy as np

    from gatewise._typing import Array, Config
    from gatewise.layers.base import Layer
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Tape


class Wrapper(Container):
    """Base of user-defined layers that contain another layer.

    It computes what the layer inside computes; a subclass overrides :meth:`run` and
    :meth:`run_backward`, and calls those of the layer inside. docs/custom-layers.md builds one.
    The parameters of the layer inside are named "layer/kernel" and so on. A subclass may add
    parameters of its own after them, in :meth:`parameter_specs`.

    Parameters
    ----------
    layer : Layer or Model
        A new layer that is not used elsewhere, or a model, which keeps its weights. It is not
        stateful, and not an Embedding or a Masking, nor does it begin with one.
    **kwargs
        `seed`, as the seed of the initial weights and the dropout of a layer used alone, and
        options of :class:`Layer`.

    Raises
    ------
    ConfigError
        The layer is in use already, or of a kind that cannot be inside.
    DTypeError
        `layer` is not a layer.

    Attributes
    ----------
    layer : Layer
        The layer inside; that of a model holds its layers.

    Examples
    --------
    >>> from gatewise.layers import Dense, Wrapper
    >>> class Twice(Wrapper):
    ...     def run(self, inputs, tape, node):
    ...         y = super().run(inputs, tape, node)
    ...         return y.with_values(2 * y.values)
    ...     def run_backward(self, gradients, tape, node, wanted):
    ...         return super().run_backward(2 * gradients, tape, node, wanted)
    >>> Twice(Dense(3, kernel_initializer="ones"))([[1.0, 2.0]])
    array([[6., 6., 6.]], dtype=float32)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        self.layer: Any = layer_of(layer)
        super().__init__({"layer": self.layer}, **kwargs)

    def _check_part(self, part: Layer, name: str) -> None:
        Container._check_part(part, name)
        if part._first_only or part.stateful:
            raise ConfigError(f"{type(self).__name__} takes no {kind_inside(part)}")

    # ---- what the layer inside does with steps, unless a subclass says otherwise

    @property
    def reads_steps(self) -> bool:
        """Whether x needs a time axis with at least one step, bool."""
        return self.layer.reads_steps

    @property
    def keeps_steps(self) -> bool:
        """Whether step t of the output belongs to step t of the input, bool."""
        return self.layer.keeps_steps

    @property
    def causal(self) -> bool:
        """Whether truncated back-propagation through time may split the sequence, bool.

        False if the layer inside has a state, which would not be carried from part to part.
        """
        return self.layer.causal and not self.layer._has_state

    @property
    def takes_any_length(self) -> bool:
        """Whether x may have another number of steps than the layer was built for, bool."""
        return self.layer.takes_any_length

    # ---- passes

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Any:
        return self.layer.run(inputs, tape, (node, "layer"))

    def run_backward(self, gradients: Any, tape: Tape, node: Hashable, wanted: bool) -> Any:
        return self.layer.run_backward(gradients, tape, (node, "layer"), wanted)

    # ---- parameters of its own, after those of the layer inside

    def _own_specs(self) -> list[ParameterSpec]:
        return self._specs[len(self.layer._specs) :]

    def _is_trained(self, name: str) -> bool:
        return super()._is_trained(name) if name.startswith("layer/") else self.trainable

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        own, at = {}, self.layer._flat_size()
        before = dict(self._parameters)
        for spec in self._own_specs():
            if not spec.trained:
                own[spec.name] = self._kept_array(spec, before.get(spec.name)), None
                continue
            piece = slice(at, at + spec.size)
            own[spec.name] = (
                parameters[piece].reshape(spec.shape),
                gradients[piece].reshape(spec.shape),
            )
            at += spec.size
        self._parameters = {name: pair[0] for name, pair in own.items()}
        self._gradients = {name: pair[1] for name, pair in own.items() if pair[1] is not None}
        super()._adopt(parameters, gradients)

    def _take_arrays(self) -> None:
        names = {spec.name for spec in self._own_specs()}
        own = [
            {name: array for name, array in arrays.items() if name in names}
            for arrays in (self._parameters, self._gradients)
        ]
        super()._take_arrays()
        self._parameters |= own[0]
        self._gradients |= own[1]

    def _initialize(self, rng: np.random.Generator) -> None:
        super()._initialize(rng)
        for spec in self._own_specs():
            self._parameters[spec.name][...] = self._of_shape(
                spec, "initializer", spec.initializer(spec.shape, rng, self.dtype)
            )
        self._weights_changed()

    # ---- files

    def get_config(self) -> Config:
        return super().get_config() | {"layer": layer_config(self.layer)}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**config | {"layer": layer_from_config(config.get("layer"), "layer")})
