"""Building a layer: its parameters are made once the shape of its input is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, seeds
from gatewise.errors import ConfigError, StateError
from gatewise.memory import names_memory

from .parameters import Parameterized

if TYPE_CHECKING:
    from gatewise._typing import Array, DType, Shape
    from gatewise.sharing import WeightsGuard

    from .specs import ParameterSpec


class Buildable(Parameterized):
    """A layer that is built alone, or by its model."""

    input_shape: Any  # (batch, ...) once built, else None; a list of several inputs' shapes
    output_shape: Any  # likewise
    rng: Any
    _given_input_shape: Shape | None  # of one sample, as the constructor was given it

    @names_memory
    def build(self, input_shape: Any) -> None:
        """Make the parameters for inputs of this shape, (batch, ..., features) with None for
        free axes.
        """
        with self._guard.writing:
            if self.built:
                raise StateError(
                    f"layer {self.name!r} is built already, for input shape {self.input_shape}"
                )
            drawn = None if self.rng is None else self.rng.bit_generator.state
            try:
                self._describe(input_shape)
                count = self._flat_size()
                checks.fits_memory(2 * count, self.dtype, f"layer {self.name!r}")
                self._adopt(np.zeros(count, self.dtype), np.zeros(count, self.dtype))
                self._initialize(self.random_generator())
            except BaseException:  # as if nothing had been tried
                self._unbuild()
                if drawn is None:
                    self.rng = None
                else:
                    self.rng.bit_generator.state = drawn
                raise

    def _unbuild(self) -> None:
        """Forget the shapes and the parameters of a build that failed."""
        self.input_shape = self.output_shape = None
        self._specs, self._parameters, self._gradients = [], {}, {}

    def _describe(self, input_shape: Any) -> None:
        """First half of building: check the shape, list the parameters, set the output shape."""
        if isinstance(input_shape, list) and self.several_inputs:
            shape = [checks.shape_tuple(part, "input_shape") for part in input_shape]
        else:
            shape = checks.shape_tuple(input_shape, "input_shape")
        self._specs = list(self.parameter_specs(shape))
        self._penalized = [spec for spec in self._specs if spec.regularizer]
        self._constrained = [spec for spec in self._specs if spec.constraint]
        self.output_shape = self.compute_output_shape(shape)
        self.input_shape = shape

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        """Second half: take this part of a flat buffer, and of its gradients, as the place of
        the parameters.
        """
        before, self._parameters, self._gradients, at = self._parameters, {}, {}, 0
        for spec in self._specs:
            if not spec.trained:
                self._parameters[spec.name] = self._kept_array(spec, before.get(spec.name))
                continue
            piece = slice(at, at + spec.size)
            self._parameters[spec.name] = parameters[piece].reshape(spec.shape)
            self._gradients[spec.name] = gradients[piece].reshape(spec.shape)
            at += spec.size
        self._weights_changed()

    def _kept_array(self, spec: ParameterSpec, before: Array | None) -> Array:
        """The array of a parameter that is not trained: the one from before where it fits."""
        fits = before is not None and before.shape == spec.shape and before.dtype == self.dtype
        return before if fits else np.zeros(spec.shape, self.dtype)

    def _initialize(self, rng: np.random.Generator) -> None:
        """Draw the initial values."""
        for spec in self._specs:
            self._parameters[spec.name][...] = self._of_shape(
                spec, "initializer", spec.initializer(spec.shape, rng, self.dtype)
            )
        self._weights_changed()

    def _share_guard(self, guard: WeightsGuard) -> None:
        """Be read and changed together with whatever else has this guard
        (:mod:`gatewise.sharing`).
        """
        self._guard = guard

    def _set_dtype(self, dtype: DType) -> None:
        """Take the model's dtype; an explicit other one is refused."""
        if self._dtype_given not in (None, dtype):
            raise ConfigError(
                f"layer {self.name!r} has dtype {self._dtype_given}, its model has {dtype}; "
                "give all layers of a model one dtype"
            )
        self._dtype = dtype

    def _kind(self) -> str | None:
        """What the parameters are those of, as text for files, if shapes do not say it.

        Else None.
        """
        return None

    def _paths(self) -> list[str]:
        """Names that files know it by: its own and those of layers that it holds."""
        return [self.name]

    def random_generator(self) -> np.random.Generator:
        """The generator to draw from, numpy.random.Generator: the model's, or that of the layer
        used alone.
        """
        if self.rng is None:
            self.rng = seeds.generator(getattr(self, "seed", None))
        return self.rng

    @staticmethod
    def _shape_of_features(features: int) -> Shape:
        return (features,)
