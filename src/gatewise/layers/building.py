"""Building a layer: its parameters are made when the shape of its input is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, seeds
from gatewise.errors import ConfigError, StateError
from gatewise.memory import names_memory
from gatewise.transaction import Transaction, attributes_of, draws_of

from .parameters import Parameterized
from .returned import checked_output_shape, checked_specs

if TYPE_CHECKING:
    from gatewise._typing import Array, DType, Shape
    from gatewise.sharing import WeightsGuard

    from .specs import ParameterSpec


class Buildable(Parameterized):
    """A layer that is built by itself, or by its model."""

    input_shape: Any  # (batch, ...), or a list of shapes of several inputs; None before building
    output_shape: Any  # likewise, of the outputs
    rng: Any
    _dtype_given: str | None  # the constructor's argument
    _given_input_shape: Shape | None  # of one sample: the constructor's argument

    @names_memory
    def build(self, input_shape: Any) -> None:
        """Make the parameters for inputs of a shape.

        Parameters
        ----------
        input_shape : tuple of int or None, or list of tuple
            Shape (batch, ..., features), None for axes of any extent. A list of shapes if the layer
            has several inputs.

        Raises
        ------
        StateError
            The layer is already built.
        ShapeError
            The layer cannot read inputs of this shape.
        SizeError
            The parameters do not fit into memory.
        """
        with self._guard.writing:
            if self.built:
                raise StateError(
                    f"layer {self.name!r} is already built, for input shape {self.input_shape}"
                )
            draws = attributes_of(self, "rng") if self.rng is None else draws_of(self.rng)
            with Transaction(draws, self._unbuild):
                self._describe(input_shape)
                count = self._flat_size()
                checks.fits_memory(2 * count, self.dtype, f"layer {self.name!r}")
                self._adopt(np.zeros(count, self.dtype), np.zeros(count, self.dtype))
                self._initialize(self.random_generator())

    def _unbuild(self) -> None:
        """Remove the shapes and the parameters of a build that failed."""
        self.input_shape = self.output_shape = None
        self._specs, self._parameters, self._gradients = [], {}, {}

    def _describe(self, input_shape: Any) -> None:
        """First part of building: check the shape, list the parameters, set the output shape."""
        if isinstance(input_shape, list) and self.several_inputs:
            shape = [checks.shape_tuple(part, "input_shape") for part in input_shape]
        else:
            shape = checks.shape_tuple(input_shape, "input_shape")
        self._specs = checked_specs(self, self.parameter_specs(shape))
        self._penalized = [spec for spec in self._specs if spec.regularizer]
        self._constrained = [spec for spec in self._specs if spec.constraint]
        self.output_shape = checked_output_shape(self, self.compute_output_shape(shape), shape)
        self.input_shape = shape

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        """Second part: make parameters and gradients views of these parts of flat buffers."""
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
        """Return the array of a parameter that is not trained: the earlier one if it fits."""
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
        """Use the guard of a model, so that all its weights are read and changed together.

        See :mod:`gatewise.sharing`.
        """
        self._guard = guard

    def _set_dtype(self, dtype: DType) -> None:
        """Take the model's dtype; a different dtype of the layer is refused."""
        if self._dtype_given not in (None, dtype):
            raise ConfigError(
                f"layer {self.name!r} has dtype {self._dtype_given}, its model has {dtype}; "
                "give all layers of a model one dtype"
            )
        self._dtype = dtype

    def _kind(self) -> str | None:
        """Return which kind of layer the weights fit, as text for files.

        None if their shapes tell it.
        """
        return None

    def _paths(self) -> list[str]:
        """Return the names in files: of the layer, and of layers that it contains."""
        return [self.name]

    def random_generator(self) -> np.random.Generator:
        """Return the random generator of the model, or of a layer used alone.

        Returns
        -------
        numpy.random.Generator
            Generator of initial values and dropout.
        """
        if self.rng is None:
            self.rng = seeds.generator(getattr(self, "seed", None))
        return self.rng

    @staticmethod
    def _shape_of_features(features: int) -> Shape:
        return (features,)
