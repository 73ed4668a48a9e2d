"""Whole numbers to vectors: what text and other symbols begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, ShapeError, StateError
from gatewise.kernels import rows

from .base import Layer, one_shape
from .options import fixed
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config, DType
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Batch, Tape


class Embedding(Layer):
    """A vector for each whole number: (batch, steps) to (batch, steps, output_dim).

    The first layer of a Sequential.

    Parameters
    ----------
    input_dim : int
        Numbers are from 0 to ``input_dim - 1``.
    output_dim : int
        Length of the vectors.
    embeddings_initializer : str or Initializer
    embeddings_regularizer : str or Regularizer, optional
    embeddings_constraint : str or Constraint, optional
    mask_zero : bool
        0 stands for no step at all, at the end of a row or anywhere in it: a masked step is as if
        it were not there, to all layers, the loss and the metrics.
    input_length : int, optional
        Steps of a sequence, where they are all of one length.
    seed : int, optional
        Of the initial vectors of a layer used alone.
    weights : array_like (input_dim, output_dim), or a list of one such array, optional
        Vectors to start from, pretrained ones for instance, instead of those of an initializer: row
        k for the number k. Rounded to the layer's dtype; read once, when the layer is built. With
        ``trainable=False`` they stay as they are. A configuration does not hold them; files hold
        the layer's weights.

    Notes
    -----
    x may be of any integer type, or of floats that are whole. There is no gradient with respect to
    it: :meth:`backward` returns None.
    """

    _rank, _axes = 2, "(batch, steps) of whole numbers"
    reads_steps = _first_only = True
    _padded_dtype = "float64"  # holds every int32, and what is not whole, for read_input to find
    input_dim: int = fixed("_checked_input_dim")
    output_dim: int = fixed("_checked_output_dim")
    mask_zero: bool = fixed(checks.flag)
    _start = None  # given vectors, until they have been used

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: int | None = None,
        seed: int | None = None,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        if input_length is not None:
            shapes = {"input_length": (checks.whole_number(input_length, "input_length"),)}
            if kwargs.get("input_shape") is not None:
                shapes["input_shape"] = checks.shape_tuple(kwargs["input_shape"], "input_shape")
            kwargs["input_shape"] = one_shape(shapes)
        super().__init__(**kwargs)
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, mask_zero
        self._weight_options = WeightOptions(
            "embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint
        )
        self.seed: int | None = checks.seed(seed)
        self._start = (
            None if weights is None else self._checked_start(weights, embeddings_initializer)
        )

    def _checked_input_dim(self, value: Any) -> Any:
        return self._checked_extent(value, "input_dim")

    def _checked_output_dim(self, value: Any) -> Any:
        return self._checked_extent(value, "output_dim")

    def _checked_extent(self, value: Any, name: str) -> Any:
        value = checks.whole_number(value, name)
        if self._start is not None and value != getattr(self, name):
            raise StateError(
                f"layer {self.name!r} was given weights: {name} cannot change any more; make a new"
                " layer"
            )
        return value

    def _checked_start(self, weights: Any, initializer: Any) -> Any:
        """The array that a user gave to start from.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        if initializer != "uniform":
            raise ConfigError(
                f"layer {self.name!r}: weights and embeddings_initializer={initializer!r} "
                "are both given; the vectors start as one of them: leave the other out"
            )
        # as in Keras 2
        if isinstance(weights, list | tuple) and len(weights) == 1 and np.ndim(weights[0]) == 2:
            weights = weights[0]
        dtype = "float64" if getattr(weights, "dtype", None) == np.float64 else "float32"
        array = checks.float_array(weights, "weights", dtype, convert=True)
        expected = (self.input_dim, self.output_dim)
        if array.shape != expected:
            turned = array.shape == expected[::-1]
            raise ShapeError(
                f"weights has shape {array.shape}; layer {self.name!r} expects {expected}, "
                "(input_dim, output_dim): a row for each number"
                + ("; give its transpose, weights.T" if turned else "")
            )
        return checks.finite(array, "weights")

    def _initialize(self, rng: np.random.Generator) -> None:
        if self._start is None:
            super()._initialize(rng)
            return
        values = checks.float_array(self._start, "weights", self.dtype, convert=True)
        self._parameters["embeddings"][...] = checks.finite(values, f"weights, in {self.dtype},")
        self._start = None
        self._weights_changed()

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        if len(input_shape) != 2:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch, steps)"
            )
        return [self._weight_options.spec("embeddings", (self.input_dim, self.output_dim))]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    # ---- what it reads

    def _read_input(self, x: Array, dtype: DType, convert: bool) -> Array:
        return checks.whole_array(
            x, "x", f"layer {self.name!r} expects whole numbers from 0 to {self.input_dim - 1}"
        )

    def _check_values(self, x: Array) -> Array:
        if x.size and not (x.min() >= 0 and x.max() < self.input_dim):
            at = tuple(int(i) for i in np.argwhere((x < 0) | (x >= self.input_dim))[0])
            raise ShapeError(
                f"x holds {x[at]} at index {at}; layer {self.name!r} expects 0 to"
                f" {self.input_dim - 1}: its input_dim is one more than the largest number"
            )
        return x

    def compute_mask(self, x: Array) -> Array | None:
        return x != 0 if self.mask_zero else None

    def _check_shape(self, x: Array) -> None:
        if x.ndim != 2 or x.shape[1] == 0:
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} expects {self._axes}, at least 1 step"
            )

    # ---- running

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        checks.fits_memory(x.size * self.output_dim, self.dtype, "the output of layer", self.name)
        if tape is not None:
            tape.keep(node, x.copy())
        return inputs.with_values(np.take(self._parameters["embeddings"], x, axis=0))

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        x = tape.take(node)
        if not self._trainable:
            return
        rows.add_rows(
            x.reshape(-1),
            np.ascontiguousarray(gradients).reshape(-1, self.output_dim),
            self._gradients["embeddings"],
            threads.threads_for(gradients.size),
        )

    def get_config(self) -> Config:
        return (
            super().get_config()
            | self._weight_options.get_config()
            | {
                "input_dim": self.input_dim,
                "output_dim": self.output_dim,
                "mask_zero": self.mask_zero,
                "seed": self.seed,
            }
        )
