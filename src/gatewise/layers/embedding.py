"""Vectors for whole numbers: the first layer for text and other symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, ShapeError, StateError
from gatewise.kernels import rows

from .base import Layer, one_shape
from .options import fixed
from .step_ops import LookupOp
from .tape import Batch, Lookup
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, ArrayLike, BoolArray, Config, DType, Shape
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape

    from .weights import ConstraintLike, InitializerLike, RegularizerLike


class Embedding(Layer):
    """Replace each whole number by its vector.

    The first layer of a Sequential: (batch, steps) becomes (batch, steps, output_dim).

    Parameters
    ----------
    input_dim : int
        How many numbers there are, from 1: the inputs are from 0 to ``input_dim - 1``.
    output_dim : int
        Length of the vectors, from 1.
    embeddings_initializer : str, dict or Initializer, default "uniform"
        How the initial vectors are drawn.
    embeddings_regularizer : str, dict or Regularizer, optional
        Penalty on the vectors, added to the loss in training. None: no penalty.
    embeddings_constraint : str, dict or Constraint, optional
        Applied to the vectors after each step of the optimizer. None: no constraint.
    mask_zero : bool, default False
        Whether 0 is padding, at the end of a row or anywhere in it. For all layers, the loss and
        the metrics, a step of 0 then does not exist.
    input_length : int, optional
        Number of steps, if all sequences have the same.
    seed : int, optional
        Seed of the initial vectors of a layer used alone, from 0. None: a random one.
    weights : array_like (input_dim, output_dim), or a list of one such array, optional
        Initial vectors, for example pretrained ones, instead of those of the initializer; row k is
        the vector of the number k. They are rounded to the layer's dtype, and read once, when the
        layer is built. With ``trainable=False`` training does not change them. They are not part of
        the configuration; files hold the layer's weights.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    The input has any integer type, or floats that are whole numbers. It has no gradient:
    :meth:`backward` returns None. Weights: embeddings (input_dim, output_dim).

    Examples
    --------
    >>> from gatewise.layers import Embedding
    >>> layer = Embedding(3, 2, weights=[[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> layer([[2, 1]]).tolist()
    [[[3.0, 4.0], [1.0, 2.0]]]
    """

    _rank, _axes = 2, "(batch, steps) of whole numbers"
    reads_steps = _first_only = True
    # Holds every int32; numbers that are not whole stay so, and _read_input refuses them.
    _padded_dtype = "float64"
    input_dim: int = fixed("_checked_input_dim")
    output_dim: int = fixed("_checked_output_dim")
    mask_zero: bool = fixed(checks.flag)
    _start: Array | None = None  # the given initial vectors, until the layer is built

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: RegularizerLike = None,
        embeddings_constraint: ConstraintLike = None,
        mask_zero: bool = False,
        input_length: int | None = None,
        seed: int | None = None,
        weights: ArrayLike | None = None,
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

    def _checked_input_dim(self, value: Any) -> int:
        return self._checked_extent(value, "input_dim")

    def _checked_output_dim(self, value: Any) -> int:
        return self._checked_extent(value, "output_dim")

    def _checked_extent(self, value: Any, name: str) -> int:
        value = checks.whole_number(value, name)
        if self._start is not None and value != getattr(self, name):
            raise StateError(
                f"layer {self.name!r} was given weights: {name} cannot change any more; make a new"
                " layer"
            )
        return value

    def _checked_start(self, weights: Any, initializer: InitializerLike) -> Array:
        """Return the initial vectors that a user gave, as an array.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        if initializer != "uniform":
            raise ConfigError(
                f"layer {self.name!r}: weights and embeddings_initializer={initializer!r} "
                "are both given, and each sets the initial vectors; leave one of them out"
            )
        # Keras 2 takes the array in a list.
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

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        if len(input_shape) != 2:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch, steps)"
            )
        return [self._weight_options.spec("embeddings", (self.input_dim, self.output_dim))]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    # ---- inputs

    @property
    def _masks_steps(self) -> bool:
        """Whether it finds in the values of x which steps count, bool."""
        return self.mask_zero

    def _read_input(self, x: Any, dtype: DType, convert: bool) -> Array:
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

    def compute_mask(self, x: Array) -> BoolArray | None:
        return x != 0 if self.mask_zero else None

    def _check_shape(self, x: Array) -> None:
        if x.ndim != 2 or x.shape[1] == 0:
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} expects {self._axes}, at least 1 step"
            )

    # ---- running

    def _step_ops(self) -> list[StepOp]:
        table = self._parameters["embeddings"]
        return [LookupOp(name=self.name, inputs=1, width=self.output_dim, table=table)]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        checks.fits_memory(x.size * self.output_dim, self.dtype, "the output of layer", self.name)
        table = self._parameters["embeddings"]
        lookup = Lookup(x if tape is None else x.copy(), table)
        if tape is not None:
            tape.keep(node, lookup)
        return Batch(np.take(table, x, axis=0), inputs.steps, lookup)

    def run_backward(
        self, gradients: Array | None, tape: Tape, node: Hashable, wanted: bool
    ) -> None:
        # None: readers have added the table's gradient to the Lookup.
        lookup = tape.take(node)
        if not self._trainable:
            return
        if lookup.gradient is not None:
            self._gradients["embeddings"] += lookup.gradient
        if gradients is None:
            return
        rows.add_rows(
            lookup.numbers.reshape(-1),
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
