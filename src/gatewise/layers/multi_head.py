"""Attention with several heads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import checked
from gatewise.errors import ConfigError, ShapeError
from gatewise.kernels import arrays, attention, dense
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.kernels._products import uses_blas

from .activation import LINEAR
from .masks import cleared_ends
from .merged_steps import MergedSteps, merge_steps
from .options import fixed
from .sequences import SequenceLayer
from .tape import Batch, draws
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Tape

    from .weights import ConstraintLike, InitializerLike, RegularizerLike

_PARTS = ("query", "key", "value", "output")


class MultiHeadAttention(SequenceLayer):
    """Attention with several heads (Vaswani et al. 2017).

    Each head projects query, key and value, and computes
    ``softmax(query key^T / sqrt(key_dim)) value``; the results of all heads are projected together
    to the output (batch, steps of the query, features). The layer is called with a sequence that
    attends to itself, with ``[query, value]`` or with ``[query, value, key]``; as in Keras, also
    with two or three arguments, ``layer(query, value)``. No step attends to one that does not
    count. Without a key, the value is the key. Names and defaults are those of Keras.

    Parameters
    ----------
    num_heads : int
        Number of heads, from 1.
    key_dim : int
        Features of query and key in each head, from 1.
    value_dim : int, optional
        Features of the value in each head. None: `key_dim`.
    dropout : float, default 0.0
        Probability that an attention weight is set to zero in training, in [0, 1).
    use_bias : bool, default True
        Whether the projections have a bias.
    output_shape : int or tuple of int, optional
        Shape of each step of the output. None: the features of the query.
    attention_axes : None or 1, optional
        There is no other choice than the steps.
    kernel_initializer, bias_initializer : str, dict or Initializer
        How initial weights and biases are drawn: "glorot_uniform" and "zeros".
    kernel_regularizer, bias_regularizer : str, dict or Regularizer, optional
        Penalties on weights and biases, added to the loss in training. None: no penalty.
    kernel_constraint, bias_constraint : str, dict or Constraint, optional
        Applied after each step of the optimizer. None: no constraint.
    seed : int, optional
        Seed of the initial weights and the dropout of a layer used alone, from 0. None: a random
        one.
    use_causal_mask : bool, default False
        Whether step i of the query attends to the value's steps up to i only. As in Keras, this and
        the next option can also be given at the first call.
    return_attention_scores : bool, default False
        Whether the layer returns ``[output, weights]``, with the weights (batch, heads, steps of
        the query, steps of the value) after the softmax and dropout.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    Weights, in order: a kernel (features, heads, key_dim) and a bias (heads, key_dim) for the
    query, the same for the key, and for the value with value_dim; for the output a kernel (heads,
    value_dim, features) and a bias (features,).

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import MultiHeadAttention
    >>> query, value = np.ones((2, 3, 8), "float32"), np.ones((2, 6, 5), "float32")
    >>> MultiHeadAttention(num_heads=2, key_dim=4)(query, value).shape
    (2, 3, 8)
    """

    causal = False  # the first step of a later piece would have to attend to those before it
    several_inputs = True
    num_heads: int = fixed(checks.whole_number)
    key_dim: int = fixed(checks.whole_number)
    value_dim: int = fixed(checks.whole_number)
    dropout: float = checked(checks.fraction)
    use_bias: bool = fixed(checks.flag)
    use_causal_mask: bool = fixed(checks.flag)
    return_attention_scores: bool = fixed(checks.flag)

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        seed: int | None = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**checks.without_neutral(kwargs, "attention", type(self).__name__))
        self.num_heads, self.key_dim = num_heads, key_dim
        self.value_dim = key_dim if value_dim is None else value_dim
        self.dropout, self.use_bias = dropout, use_bias
        self.use_causal_mask = use_causal_mask
        self.return_attention_scores = return_attention_scores
        self._step_shape = _checked_step_shape(output_shape)
        if attention_axes not in (None, 1, [1], (1,)):
            raise ConfigError(
                f"attention_axes is {attention_axes!r}; expected None or 1, the steps"
            )
        self._kernel_options = WeightOptions(
            "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        self._bias_options = WeightOptions(
            "bias", bias_initializer, bias_regularizer, bias_constraint
        )
        self.seed: int | None = checks.seed(seed)
        self._packed = PackedWeights()

    # ---- calls

    def __call__(self, x: Any = None, value: Any = None, key: Any = None, **kwargs: Any) -> Any:
        """Call the layer as Keras does: with query, value and key, or with a list of them."""
        x = kwargs.pop("query", None) if x is None else x
        for option in ("use_causal_mask", "return_attention_scores"):
            given = kwargs.pop(option, None)
            if given is not None and given != getattr(self, option):
                self._take_from_call(option, given)
        if "attention_mask" in kwargs and kwargs.pop("attention_mask") is not None:
            raise ConfigError(
                f"layer {self.name!r} is called with attention_mask=; give lengths or mask, which"
                " say what steps count, or use_causal_mask=True"
            )
        if value is None and key is not None:
            raise ConfigError(f"layer {self.name!r} is called with a key and no value; give both")
        if value is not None:
            x = [x, value] if key is None else [x, value, key]
        return super().__call__(x, **kwargs)

    def _take_from_call(self, option: str, value: Any) -> None:
        """Set an option that the first call gives."""
        if self.built or self._nodes:
            raise ConfigError(
                f"layer {self.name!r} is called with {option}={value!r}, and was built with"
                f" {getattr(self, option)}; give {option} to the constructor, or make a layer for"
                " each"
            )
        setattr(self, option, value)

    @property
    def _returns_list(self) -> bool:
        return self.return_attention_scores

    # ---- shapes and parameters

    def _shapes_of(self, input_shape: Any) -> tuple[Shape, Shape, Shape]:
        """Return the shapes of query, value and key."""
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        if not 1 <= len(shapes) <= 3:
            raise ShapeError(
                f"layer {self.name!r} is given {len(shapes)} inputs; expected query, value and key,"
                " or the first two, or one sequence"
            )
        for shape in shapes:
            self._check_input_shape(shape)
        query, value, key = shapes[0], shapes[min(1, len(shapes) - 1)], shapes[-1]
        if None not in (value[1], key[1]) and value[1] != key[1]:
            raise ShapeError(
                f"layer {self.name!r} is given a value of shape {value} and a key of shape {key};"
                " expected the same number of steps"
            )
        return query, value, key

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        specs = []
        for name, (inner, outer) in self._matrices(input_shape).items():
            specs.append(self._kernel_options.spec(f"{name}_kernel", (*inner, *outer)))
            if self.use_bias:
                specs.append(self._bias_options.spec(f"{name}_bias", outer))
        return specs

    def _matrices(self, input_shape: Any) -> dict[str, tuple[Any, Any]]:
        """Return the inner and outer axes of each kernel."""
        query, value, key = self._shapes_of(input_shape)
        heads = self.num_heads
        return {
            "query": ((query[2],), (heads, self.key_dim)),
            "key": ((key[2],), (heads, self.key_dim)),
            "value": ((value[2],), (heads, self.value_dim)),
            "output": ((heads, self.value_dim), self._step_shape or (query[2],)),
        }

    def compute_output_shape(self, input_shape: Any) -> Any:
        query, value, _ = self._shapes_of(input_shape)
        output = (*query[:2], *(self._step_shape or (query[2],)))
        if not self.return_attention_scores:
            return output
        return [output, (query[0], self.num_heads, query[1], value[1])]

    def output_lengths(self, lengths: Any) -> Any:
        return lengths[0] if isinstance(lengths, list) else lengths

    def _check_shape(self, x: Array) -> None:
        """Leave this to :meth:`run`, which checks all inputs together."""

    def _check_features(self, shapes: list[Shape]) -> None:
        """Refuse inputs that do not have the features of the parameters."""
        query, value, key = self._shapes_of(shapes)
        for name, shape in (("query", query), ("value", value), ("key", key)):
            expected = self._parameters[f"{name}_kernel"].shape[0]
            if shape[2] != expected:
                raise ShapeError(
                    f"layer {self.name!r} is given a {name} of shape {shape}; expected {expected}"
                    " features"
                )
            if shape[1] == 0:
                raise ShapeError(
                    f"layer {self.name!r} is given a {name} of shape {shape}: no time steps"
                )

    # ---- projections

    def _weights_changed(self) -> None:
        self._packed.forget()

    def _matrix(self, arrays_of: Any, name: str) -> Array:
        """The kernel of a projection, or its gradient, as a matrix."""
        kernel = arrays_of[f"{name}_kernel"]
        rows = kernel.shape[0] * (kernel.shape[1] if name == "output" else 1)
        return kernel.reshape(rows, -1)

    def _bias(self, arrays_of: Any, name: str) -> Array | None:
        return arrays_of[f"{name}_bias"].reshape(-1) if self.use_bias else None

    def _pack_now(self) -> dict[str, Array]:
        p = self._parameters
        return {name: dense.pack(self._matrix(p, name), self._bias(p, name)) for name in _PARTS}

    def _project(self, name: str, x: Array, packed: dict[str, Array]) -> Array:
        """x (batch, steps, ...) times a kernel, as (batch, steps, numbers)."""
        matrix = self._matrix(self._parameters, name)
        rows = x.reshape(-1, matrix.shape[0])
        y = np.empty((len(rows), matrix.shape[1]), self.dtype)
        work = threads.threads_for_products(2 * y.size * matrix.shape[0])
        dense.forward(rows, packed[name], y, LINEAR, work)
        return y.reshape(*x.shape[:2], -1)

    def _project_backward(self, name: str, x: Array, dy: Array, wanted: bool) -> Array | None:
        """Add the gradients of a projection; return that of x."""
        matrix = self._matrix(self._parameters, name)
        rows = x.reshape(-1, matrix.shape[0])
        dx = np.empty_like(rows) if wanted else None
        with threads.single_threaded_blas(uses_blas(matrix.shape[0])):
            dense.backward(
                rows,
                matrix,
                np.ascontiguousarray(dy).reshape(len(rows), -1),
                self._matrix(self._gradients, name),
                self._bias(self._gradients, name),
                dx,
                threads.threads_for_products(4 * rows.size * matrix.shape[1]),
            )
        return None if dx is None else dx.reshape(x.shape)

    def _of_heads(self, x: Array) -> Array:
        """(batch, steps, heads * features) as (batch * heads, steps, features)."""
        batch, steps, width = x.shape
        parts = x.reshape(batch, steps, self.num_heads, width // self.num_heads)
        return np.ascontiguousarray(parts.transpose(0, 2, 1, 3)).reshape(
            batch * self.num_heads, steps, -1
        )

    def _of_steps(self, x: Array) -> Array:
        """Undo :meth:`_of_heads`."""
        rows, steps, features = x.shape
        parts = x.reshape(rows // self.num_heads, self.num_heads, steps, features)
        return np.ascontiguousarray(parts.transpose(0, 2, 1, 3)).reshape(
            -1, steps, self.num_heads * features
        )

    # ---- passes

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "it looks at all steps of a sequence at once"

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Any:
        given = inputs if isinstance(inputs, list) else [inputs]
        self._check_features([part.values.shape for part in given])
        query, value, key = given[0], given[min(1, len(given) - 1)], given[-1]
        if self.use_causal_mask and query is not value and _has_holes(query, value):
            raise ConfigError(
                f"layer {self.name!r} has use_causal_mask=True and reads two sequences of which one"
                " has a mask with holes; give lengths instead of a mask"
            )
        timed = [True, True]
        merged = merge_steps(self.name, [value, key], timed)
        values = [
            cleared_ends(query.values, query.lengths),
            *merged.values_of([value, key], timed),
        ]
        lengths = [query.lengths, None if merged.steps is None else merged.steps.lengths]
        shape = (len(query.values), self.num_heads, values[0].shape[1], values[1].shape[1])
        keeps = tape is not None or self.return_attention_scores
        checks.fits_memory(
            math.prod(shape) if keeps else 0, self.dtype, "the scores of layer", self.name
        )
        packed = self._packed.of(self)
        saved = _Saved(
            values,
            [
                self._of_heads(self._project(name, x, packed))
                for name, x in zip(("query", "value", "key"), values)
            ],
            {
                name: None if each is None else np.repeat(each, self.num_heads)
                for name, each in zip(("query_lengths", "value_lengths"), lengths)
            },
            len(given),
            merged,
            [None if part is None else part.places for part in (query.steps, merged.steps)],
        )
        context = self._attend(saved, shape, tape is not None, draws(tape))
        y = self._project("output", context, packed)
        y = cleared_ends(y, query.lengths).reshape(*y.shape[:2], *(self._step_shape or y.shape[2:]))
        if tape is not None:
            saved.context = context
            tape.keep(node, saved)
        if not self.return_attention_scores:
            return query.with_values(y)
        return [query.with_values(y), Batch(saved.shown_weights(shape))]

    def _attend(self, saved: _Saved, shape: Any, training: bool, drops: bool) -> Array:
        """The results of all heads, (batch, steps, heads * features)."""
        query, value, key = saved.heads
        scores = (shape[0] * shape[1], *shape[2:])
        if drops and self.dropout:
            drawn = self.random_generator().random(scores, np.float32)
            saved.mask = arrays.dropout_mask(
                drawn, self.dropout, self.dtype, threads.threads_for(4 * drawn.size)
            )
        if training or self.return_attention_scores:
            saved.weights = np.empty(scores, self.dtype)
        y = np.empty((*query.shape[:2], value.shape[2]), self.dtype)
        attention.forward(
            query,
            value,
            key,
            y,
            saved.weights,
            **saved.lengths,
            scale=self.key_dim**-0.5,
            causal=self.use_causal_mask,
            mask=saved.mask,
            threads=saved.threads(2),
        )
        return self._of_steps(y)

    def run_backward(self, gradients: Any, tape: Tape, node: Hashable, wanted: bool) -> Any:
        saved = tape.take(node)
        dy, d_weights = gradients if self.return_attention_scores else (gradients, None)
        lengths = saved.lengths["query_lengths"]
        if dy is None:
            dy = np.zeros((*saved.context.shape[:2], *self.output_shape[0][2:]), self.dtype)
        if lengths is not None:
            dy = cleared_ends(dy, lengths[:: self.num_heads])
        d_context: Any = self._project_backward("output", saved.context, dy, True)
        found = [np.empty_like(part) for part in saved.heads]
        query, value, key = saved.heads
        attention.backward(
            query,
            value,
            key,
            saved.weights,
            self._of_heads(d_context),
            *found,
            **saved.lengths,
            scale=self.key_dim**-0.5,
            mask=saved.mask,
            d_kept=None if d_weights is None else saved.compact(d_weights),
            threads=saved.threads(4),
        )
        dx: list[Any] = [
            self._project_backward(name, x, self._of_steps(d), wanted)
            for name, x, d in zip(("query", "value", "key"), saved.inputs, found)
        ]
        if not wanted:
            return None
        if saved.given == 1:
            return dx[0] + dx[1] + dx[2]
        dx[1:] = saved.merged.back(dx[1:])
        return [dx[0], dx[1] + dx[2]] if saved.given == 2 else dx

    def get_config(self) -> Config:
        shape = None if self._step_shape is None else list(self._step_shape)
        config = super().get_config() | {
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": shape,
            "seed": self.seed,
            "use_causal_mask": self.use_causal_mask,
            "return_attention_scores": self.return_attention_scores,
        }
        return config | self._kernel_options.get_config() | self._bias_options.get_config()


@dataclass(slots=True)
class _Saved:
    """What the backward pass needs; the order is query, value, key."""

    inputs: list[Array]
    heads: list[Array]  # the projections, (batch * heads, steps, features)
    lengths: dict[str, Array | None]
    given: int  # number of arrays that the layer received
    merged: MergedSteps  # the steps of value and key
    places: list[Any]  # original positions of the steps of query and value, if a mask moved them
    context: Any = None
    mask: Array | None = None  # multipliers of dropout
    weights: Array | None = None  # as the kernel writes them

    def threads(self, products: int) -> int:
        """How many threads are worth using if this many products are computed."""
        query, value, key = self.heads
        size = query.shape[0] * query.shape[1] * key.shape[1]
        return threads.threads_for_products(products * size * (query.shape[2] + value.shape[2]))

    def shown_weights(self, shape: tuple[int, ...]) -> Array:
        """The weights (batch, heads, steps of the query, steps of the value), after dropout."""
        assert self.weights is not None
        weights = self.weights.copy()
        attention.spread(weights, **self.lengths)
        if self.mask is not None:
            weights *= self.mask
        weights = weights.reshape(shape)
        for axis, places in zip((2, 3), self.places):
            if places is not None:
                weights = _along(weights, axis, places.back)
        return weights

    def compact(self, gradient: Array) -> Array:
        """The gradient of :meth:`shown_weights` in the positions in which the kernel reads it."""
        for axis, places in zip((2, 3), self.places):
            if places is not None:
                gradient = _along(gradient, axis, places.to_front)
        return np.ascontiguousarray(gradient).reshape(-1, *gradient.shape[2:])


def _along(weights: Array, axis: int, moved: Callable[[Array], Array]) -> Array:
    """Apply a function of arrays (batch, steps, ...) to another axis."""
    turned = np.ascontiguousarray(np.moveaxis(weights, axis, 1))
    return np.ascontiguousarray(np.moveaxis(moved(turned), 1, axis))


def _has_holes(*batches: Batch) -> bool:
    return any(batch.steps is not None and batch.steps.places is not None for batch in batches)


def _checked_step_shape(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    extents = value if isinstance(value, list | tuple) else (value,)
    shape = tuple(checks.whole_number(extent, "output_shape") for extent in extents)
    if not shape:
        raise ConfigError("output_shape is (); expected at least one extent")
    return shape
