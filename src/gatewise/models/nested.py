"""A model as a layer of other models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import Layer
from gatewise.layers.registry import register
from gatewise.layers.wrappers import Container
from gatewise.training.places import refuse_unordered

from .architecture import architecture_of, unbuilt_model

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Self

    import numpy as np

    from gatewise._typing import Array, Config, DType
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Batch, Tape
    from gatewise.sharing import WeightsGuard


class ModelLayer(Container):
    """What a model is in another one that calls it with symbols: a layer that contains its layers.

    The model stays what it is: its flat buffer becomes a part of that of the other model, so that
    both see the same weights, and either can be trained.

    Parameters
    ----------
    model : Model
        The model inside. It has one such layer, at any number of nodes.
    """

    def __init__(self, model: Any) -> None:
        self._inner = model
        self._seed_given = None
        Layer.__init__(self, name=model.name)
        if model.built or model.dtype == "float64":
            self._dtype_given = model.dtype
            self._set_dtype(model.dtype)
        self._given_input_shape = model._shape_for_one_input()
        for layer in model._layers:
            layer._holder = self
        self._trains = model._trains
        if model.built:
            self._describe(model.input_shape)
            self._take_arrays()
            self._share_guard(model._guard)

    @property
    def _parts(self) -> dict[str, Any]:
        return {layer.name: layer for layer in self._inner._layers}

    @property
    def _name(self) -> str:
        return self._inner.name

    @_name.setter
    def _name(self, value: str) -> None:
        self._inner.name = value

    def _setting_cure(self, name: str) -> str | None:
        return None

    def _is_trained(self, name: str) -> bool:
        """Return whether training changes a parameter; names of layers may hold slashes."""
        for path, part in self._parts.items():
            inner = name.removeprefix(f"{path}/")
            if inner != name and any(spec.name == inner for spec in part._specs):
                return part._is_trained(inner)
        return False

    # ---- properties that models read

    @property
    def several_inputs(self) -> bool:
        """Whether the model inside has several inputs, bool."""
        return len(self._inner._input_names) > 1

    @property
    def reads_steps(self) -> bool:
        """Whether a layer inside reads steps, bool."""
        return any(layer.reads_steps for layer in self._inner._layers)

    @property
    def keeps_steps(self) -> bool:
        """Whether the first output has the time axis of an input, bool."""
        return self._inner._followed_input() is not None

    @property
    def takes_any_length(self) -> bool:
        """Whether x may have another number of steps than announced, bool."""
        return self._inner._takes_any_length

    @property
    def causal(self) -> bool:
        """Whether step t of the output depends on no later step, bool."""
        return all(layer.causal for layer in self._inner._layers)

    @property
    def _cannot_stream(self) -> str | None:
        """None: a stream runs the layers inside."""
        return None

    @property
    def stateful(self) -> bool:
        """Whether a layer inside keeps its state from call to call, bool."""
        return self._inner._is_stateful

    @property
    def _first_only(self) -> bool:
        return any(
            port._first_only
            for position in range(len(self._inner._input_names))
            for port in self._input_ports(position)
        )

    @property
    def _masks_steps(self) -> bool:
        return any(port._masks_steps for port in self._input_ports(0))

    @property
    def _returns_list(self) -> bool:
        return self._output_count > 1

    @property
    def _output_count(self) -> int:
        return len(self._inner._output_names)

    @property
    def _limiting_activation(self) -> str | None:
        return self._inner._last_activation()

    def _input_ports(self, position: int) -> list[Any]:
        return self._inner._ports(position)

    @property
    def _padded_dtype(self) -> str:
        return self._inner._padded_dtype_of()

    def _read_input(self, x: Any, dtype: DType, convert: bool) -> Array:
        return self._inner._read_input(x)

    def _check_values(self, x: Array) -> Array:
        self._inner._check_values(x)
        return x

    def compute_mask(self, x: Array) -> Array | None:
        return self._inner._compute_mask(x)

    def _followed(self, index: int) -> int | None:
        return self._inner._followed_input(index)

    def output_lengths(self, lengths: Any) -> Any:
        given = lengths if isinstance(lengths, list) else [lengths]
        found = self._inner._output_lengths(given)
        return found if isinstance(lengths, list) else found[0]

    def _behind(self, outputs: set[int]) -> tuple[set[str], set[int] | None]:
        names, positions = self._inner._behind(outputs)
        return {
            f"{layer.name}/{name}" for layer, found in names.items() for name in found
        }, positions

    def _kind(self) -> str | None:
        # by number: names of layers differ from one model of the same layers to the next
        kinds = [
            f"{number}: {kind}"
            for number, layer in enumerate(self._inner._layers)
            if (kind := layer._kind()) is not None
        ]
        return "; ".join(kinds) or None

    # ---- building

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self._inner._describe_inside(self._shapes(input_shape), self._dtype)
        return [
            replace(spec, name=f"{layer.name}/{spec.name}")
            for layer in self._inner._layers
            for spec in layer._specs
        ]

    def compute_output_shape(self, input_shape: Any) -> Any:
        found = self._inner._output_shapes(self._shapes(input_shape))
        return found if len(found) > 1 else found[0]

    def _shapes(self, input_shape: Any) -> list[Any]:
        shapes = list(input_shape) if isinstance(input_shape, list) else [tuple(input_shape)]
        if len(shapes) != len(self._inner._input_names):
            raise ShapeError(
                f"model {self.name!r} has {len(self._inner._input_names)} inputs; it is called with"
                f" {len(shapes)}"
            )
        return shapes

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        kept = [array.copy() for array in self._parameters.values()] if self._inner.built else None
        super()._adopt(parameters, gradients)
        if kept is not None:
            for array, value in zip(self._parameters.values(), kept):
                array[...] = value
        self._inner._lie_inside(self, parameters, gradients)

    def _initialize(self, rng: np.random.Generator) -> None:
        """Draw initial weights, unless the model inside has had weights before."""
        self.rng = rng
        if not self._keeps_weights:
            super()._initialize(rng)

    def _unbuild(self) -> None:
        """Remove what a build that failed has made; a model that was built before stays so."""
        if not self._inner.built:
            super()._unbuild()

    def _describe(self, input_shape: Any) -> None:
        self._keeps_weights = self._inner.built
        super()._describe(input_shape)

    @property
    def rng(self) -> Any:
        """The generator that the layers inside draw from; None before there is one."""
        return self._inner.rng if self._inner.built else vars(self).get("_rng")

    @rng.setter
    def rng(self, rng: Any) -> None:
        vars(self)["_rng"] = rng
        if rng is not None:
            self._inner.rng = rng
        for part in self._inner._layers:
            part.rng = rng

    def _share_guard(self, guard: WeightsGuard) -> None:
        super()._share_guard(guard)
        self._inner._guard = guard

    def __setstate__(self, state: dict[str, Any]) -> None:
        inner = state["_inner"]
        inner._as_layer = self
        super().__setstate__(state)

    # ---- calls

    def _symbols_of(self, x: Any, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        if isinstance(x, dict):
            names = list(self._inner._input_names)
            if set(x) != set(names):
                raise ConfigError(
                    f"model {self.name!r} is called with a dict of {', '.join(map(str, x))}; its"
                    f" inputs are {', '.join(names)}"
                )
            x = [x[name] for name in names]
        elif isinstance(x, list | tuple):
            refuse_unordered(self._inner, "x", "input")
        if isinstance(x, list | tuple) and len(x) != len(self._inner._input_names):
            raise ConfigError(
                f"model {self.name!r} has {len(self._inner._input_names)} inputs; it is called"
                f" with {len(x)} symbols"
            )
        return super()._symbols_of(x, *args, **kwargs)

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch | Any:
        given = inputs if isinstance(inputs, list) else [inputs]
        found = self._inner._run_inside(given, tape, node)
        return found if len(found) > 1 else found[0]

    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
        given = gradients if isinstance(gradients, list) else [gradients]
        found = self._inner._run_backward_inside(given, tape, node, wanted)
        return found if self.several_inputs else found[0]

    # ---- if the model inside ends in an activation that a loss can include, so does the layer

    @property
    def _gives_scores(self) -> bool:
        return self._output_count == 1 and self._inner._score_layer() is not None

    @property
    def activation(self) -> Any:
        """The activation of the output if a loss may start before it, else None."""
        return self._inner._score_layer().activation if self._gives_scores else None

    def _run_to_scores(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch:
        given = inputs if isinstance(inputs, list) else [inputs]
        return self._inner._run_inside(given, tape, node, [True])[0]

    def _run_backward_from_scores(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
        found = self._inner._run_backward_inside([gradients], tape, node, wanted, [True])
        return found if self.several_inputs else found[0]

    def _activate_rows(self, z: Array, y: Array) -> Array:
        return self._inner._score_layer()._activate_rows(z, y)

    # ---- files

    def get_config(self) -> Config:
        return {"name": self.name, "model": architecture_of(self._inner)}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return unbuilt_model(config["model"])._make_layer()


register(ModelLayer)
