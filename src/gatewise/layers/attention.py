"""Attention of each step of a sequence to all of its steps, or to those of another sequence."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, initializers, threads
from gatewise.attributes import checked
from gatewise.errors import ConfigError, ShapeError
from gatewise.kernels import activations, arrays, dense
from gatewise.kernels._products import uses_blas

from .activation import LINEAR
from .options import fixed
from .sequences import SequenceLayer
from .specs import ParameterSpec
from .tape import Batch, Steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, ArrayLike, Config, Shape
    from gatewise.layers.tape import Tape


class _Attention(SequenceLayer):
    """Base of both layers: ``softmax(scores of query and key) value``, one row after the other.

    The products of a row use its true steps only, so that padding does not change its result by a
    single bit.
    """

    causal = False
    several_inputs = True
    dropout: float = checked(checks.fraction)

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = dropout
        self.seed: int | None = checks.seed(seed)

    @abc.abstractmethod
    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        """Scores (query steps, key steps) of one row, and what the backward pass needs."""

    @abc.abstractmethod
    def _scores_backward(
        self, d_scores: Array, saved: Any, query: Array, key: Array
    ) -> tuple[Array, Array]:
        """Gradients of query and key of one row; those of the parameters are added."""

    def compute_output_shape(self, input_shape: Shape | list[Shape]) -> Shape:
        query, value = (
            input_shape[:2] if isinstance(input_shape, list) else (input_shape, input_shape)
        )
        for shape in (query, value):
            self._check_input_shape(shape, known_features=False)
        return (*query[:-1], value[-1])

    def forward(
        self,
        x: ArrayLike | Sequence[Array],
        lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        initial_state: Any = None,
        resets: ArrayLike | None = None,
        training: bool = False,
        mask: ArrayLike | None = None,
    ) -> Array:
        """Compute the layer's output.

        Parameters
        ----------
        x : array_like (batch, steps, features), or list of ndarray
            A sequence that attends to itself, in the layer's dtype; or ``[query, value]`` or
            ``[query, value, key]``, each (batch, steps, features). Value and key have the same
            number of steps, query and key the same number of features. Without a key, the value is
            the key.
        lengths : array_like (batch,), int, or list of two, optional
            Number of steps in each row. If x is a list, a list of the lengths of the query and of
            the value, each an array or None. No step attends to a step past its row's end, and the
            output there is zero. None: every row has all steps.
        initial_state, resets : None
            For recurrent layers only.
        training : bool, default False
            Whether to keep what :meth:`backward` needs, and to apply dropout.
        mask : array_like (batch, steps), bool, optional
            For a sequence that attends to itself: True at the steps that count. None: all of them.

        Returns
        -------
        ndarray (batch, steps of the query, features of the value)
            In the layer's dtype. :meth:`backward` returns a list of gradients if x is a list.

        Raises
        ------
        ConfigError
            A state, or resets, is given; or a mask together with a list.
        ShapeError, DTypeError, NonFiniteError
            x, `lengths` or `mask` does not have these shapes, types or finite values.
        """
        return super().forward(x, lengths, initial_state, resets, training, mask)

    @staticmethod
    def _is_several(x: Any) -> bool:
        return (
            isinstance(x, list | tuple)
            and 2 <= len(x) <= 3
            and all(getattr(part, "ndim", 0) == 3 for part in x)
        )

    def _build_for(self, arrays: Sequence[Array]) -> None:
        self.build((None, *arrays[0].shape[1:]))

    def _read_several(self, x: Sequence[Array], lengths: Any) -> list[Batch]:
        query = self._checked_input(x[0])
        value, *rest = (
            checks.finite(checks.float_array(part, name, self.dtype, convert=False), name)
            for name, part in zip(("value", "key"), x[1:])
        )
        key = rest[0] if rest else value
        if (
            key.shape[:2] != value.shape[:2]
            or key.shape[2] != query.shape[2]
            or len(key) != len(query)
        ):
            raise ShapeError(
                f"query, value and key have shapes {query.shape}, {value.shape} and {key.shape};"
                " expected the same number of rows in all, of features in query and key, and of"
                " steps in value and key"
            )
        lengths = (
            [None, None]
            if lengths is None
            else checks.listed(lengths, "lengths", "two arrays, of query and value")
        )
        if len(lengths) != 2:
            raise ShapeError(
                f"lengths has {len(lengths)} entries; expected two arrays, of query and value"
            )
        ends = [
            None if given is None else Steps(checks.sequence_lengths(given, *part.shape[:2]))
            for given, part in zip(lengths, (query, value))
        ]
        return [Batch(query, ends[0]), *(Batch(part, ends[1]) for part in (value, *rest))]

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch:
        several = isinstance(inputs, list)
        query, value, key = (
            (inputs[0], inputs[1], inputs[-1]) if several else (inputs, inputs, inputs)
        )
        y, saved = self._attend(
            query.values, value.values, key.values, query.lengths, value.lengths, tape is not None
        )
        if tape is not None:
            tape.keep(node, saved | {"given": len(inputs) if several else 1})
        return query.with_values(y)

    def _attend(
        self,
        query: Array,
        value: Array,
        key: Array,
        query_ends: Array | None,
        value_ends: Array | None,
        training: bool,
    ) -> tuple[Array, dict[str, Any]]:
        """The output for rows of these lengths, and what the backward pass needs."""
        shape = (query.shape[0], query.shape[1], value.shape[2])
        checks.fits_memory(
            self._elements(query, key) if training else 0,
            self.dtype,
            "a batch in training in layer",
            self.name,
        )
        y, mask = np.zeros(shape, self.dtype), None
        rows: list[Any] = []
        if training and self.dropout:
            draws = self.random_generator().random((*query.shape[:2], key.shape[1]), np.float32)
            mask = arrays.dropout_mask(
                draws, self.dropout, self.dtype, threads.threads_for(4 * draws.size)
            )
        for row in range(shape[0]):
            here = slice(query.shape[1] if query_ends is None else query_ends[row])
            there = slice(value.shape[1] if value_ends is None else value_ends[row])
            if here.stop == 0 or there.stop == 0:
                rows.append(None)
                continue
            scores, saved = self._scores(query[row, here], key[row, there])
            arrays.softmax(scores, scores, threads.threads_for(20 * scores.size))
            kept = scores if mask is None else scores * mask[row, here, there]
            _multiply(kept, value[row, there], y[row, here])
            rows.append((here, there, saved, scores, kept))
        return y, {"rows": rows, "inputs": (query, value, key), "mask": mask}

    def _elements(self, query: Array, key: Array) -> int:
        """How many numbers a batch keeps for the backward pass."""
        return query.shape[0] * query.shape[1] * key.shape[1]

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | list[Array]:
        saved, dy = tape.take(node), gradients
        query, value, key = saved["inputs"]
        d_query, d_value, d_key = (np.zeros_like(part) for part in (query, value, key))
        for row, kept_row in enumerate(saved["rows"]):
            if kept_row is None:
                continue
            here, there, of_scores, weights, kept = kept_row
            d_weights = np.empty_like(weights)
            _multiply_backward(
                kept,
                value[row, there],
                np.ascontiguousarray(dy[row, here]),
                d_value[row, there],
                d_weights,
            )
            if saved["mask"] is not None:
                d_weights *= saved["mask"][row, here, there]
            arrays.softmax_backward(
                weights, d_weights, d_weights, threads.threads_for(4 * weights.size)
            )
            d_query[row, here], d_key[row, there] = self._scores_backward(
                d_weights, of_scores, query[row, here], key[row, there]
            )
        if saved["given"] == 1:
            return d_query + d_value + d_key
        return [d_query, d_value + d_key] if saved["given"] == 2 else [d_query, d_value, d_key]

    def get_config(self) -> Config:
        return super().get_config() | {"dropout": self.dropout, "seed": self.seed}


class Attention(_Attention):
    """Attention by products, ``softmax(query key^T) value`` (Luong et al. 2015).

    Each step of a sequence attends to all of its steps, or to those of another sequence: see
    :meth:`forward`. Names and defaults are those of Keras.

    Parameters
    ----------
    use_scale : bool, default False
        Whether the scores are multiplied by a trained scale. With "concat", the sum inside the tanh
        is multiplied instead.
    score_mode : {"dot", "concat"}, default "dot"
        "dot": the scores are the products of query and key. "concat": they are
        ``w sum(tanh(query + key))`` with a trained w.
    dropout : float, default 0.0
        Probability that an attention weight is set to zero in training, in [0, 1).
    seed : int, optional
        Seed of the dropout of a layer used alone, from 0. None: a random one.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    Weights, in order: scale and concat_score_weight, one number each, if the options ask for them.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Attention
    >>> query, value = np.ones((2, 3, 4), "float32"), np.ones((2, 6, 4), "float32")
    >>> Attention()([query, value]).shape
    (2, 3, 4)
    """

    use_scale: bool = fixed(checks.flag)
    score_mode: str = fixed("_checked_score_mode")

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout, seed, **kwargs)
        self.use_scale = use_scale
        self.score_mode = score_mode

    @staticmethod
    def _checked_score_mode(value: Any) -> str:
        if not isinstance(value, str) or value not in ("dot", "concat"):
            raise ConfigError(f"score_mode is {value!r}; expected 'dot' or 'concat'")
        return value

    def parameter_specs(self, input_shape: Shape | list[Shape]) -> list[ParameterSpec]:
        self.compute_output_shape(input_shape)
        wanted = {"scale": self.use_scale, "concat_score_weight": self.score_mode == "concat"}
        names = [name for name, is_wanted in wanted.items() if is_wanted]
        return [ParameterSpec(name, (), initializers.Ones()) for name in names]

    def _elements(self, query: Array, key: Array) -> int:
        return super()._elements(query, key) * (1 if self.score_mode == "dot" else query.shape[2])

    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        p = self._parameters
        if self.score_mode == "concat":
            weight = np.full(query.shape[1], p["concat_score_weight"], query.dtype)
            return _additive_scores(query, key, weight, p.get("scale"))
        products = np.empty((len(query), len(key)), query.dtype)
        _multiply(query, np.ascontiguousarray(key.T), products)
        return (products * p["scale"], products) if self.use_scale else (products, None)

    def _scores_backward(
        self, d_scores: Array, saved: Any, query: Array, key: Array
    ) -> tuple[Array, Array]:
        p, g = self._parameters, self._gradients
        if self.score_mode == "concat":
            d_query, d_key, d_weight, d_scale = _additive_scores_backward(
                d_scores, saved, query, key, p.get("scale")
            )
            g["concat_score_weight"] += d_weight.sum()
            if self.use_scale:
                g["scale"] += d_scale
            return d_query, d_key
        if self.use_scale:
            g["scale"] += (d_scores * saved).sum()
            d_scores = d_scores * p["scale"]
        d_query, d_transposed = (
            np.empty_like(query),
            np.zeros((key.shape[1], key.shape[0]), key.dtype),
        )
        _multiply_backward(query, np.ascontiguousarray(key.T), d_scores, d_transposed, d_query)
        return d_query, d_transposed.T

    def get_config(self) -> Config:
        return super().get_config() | {"use_scale": self.use_scale, "score_mode": self.score_mode}


class AdditiveAttention(_Attention):
    """Attention by sums, ``softmax(sum(scale * tanh(query + key))) value`` (Bahdanau et al. 2015).

    Each step of a sequence attends to all of its steps, or to those of another sequence: see
    :meth:`forward`. Names and defaults are those of Keras.

    Parameters
    ----------
    use_scale : bool, default True
        Whether there is a trained scale, of shape (features,). False: the scale is 1.
    dropout : float, default 0.0
        Probability that an attention weight is set to zero in training, in [0, 1).
    seed : int, optional
        Seed of the initial scale and the dropout of a layer used alone, from 0. None: a random one.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    In training, the tanh of every pair of steps is kept: batch * steps * steps * features numbers.

    Examples
    --------
    >>> from gatewise.layers import AdditiveAttention
    >>> AdditiveAttention()([[[1.0, 2.0], [1.0, 2.0]]]).tolist()
    [[[1.0, 2.0], [1.0, 2.0]]]
    """

    use_scale: bool = fixed(checks.flag)

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(dropout, seed, **kwargs)
        self.use_scale = use_scale

    def parameter_specs(self, input_shape: Shape | list[Shape]) -> list[ParameterSpec]:
        self.compute_output_shape(input_shape)
        if isinstance(input_shape, list):  # the query is the first input
            input_shape = input_shape[0]
        if input_shape[-1] is None:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected a known number"
                " of features"
            )
        return (
            [ParameterSpec("scale", (input_shape[-1],), initializers.GlorotUniform())]
            if self.use_scale
            else []
        )

    def _elements(self, query: Array, key: Array) -> int:
        return super()._elements(query, key) * query.shape[2]

    def _scores(self, query: Array, key: Array) -> tuple[Array, Any]:
        scale = (
            self._parameters["scale"] if self.use_scale else np.ones(query.shape[1], query.dtype)
        )
        return _additive_scores(query, key, scale, None)

    def _scores_backward(
        self, d_scores: Array, saved: Any, query: Array, key: Array
    ) -> tuple[Array, Array]:
        d_query, d_key, d_weight, _ = _additive_scores_backward(d_scores, saved, query, key, None)
        if self.use_scale:
            self._gradients["scale"] += d_weight
        return d_query, d_key

    def get_config(self) -> Config:
        return super().get_config() | {"use_scale": self.use_scale}


def _additive_scores(
    query: Array, key: Array, weight: Array, scale: Array | None
) -> tuple[Array, tuple[Array, Array]]:
    """Compute sum(weight * tanh(scale (query + key))) for each pair of steps.

    Returns
    -------
    scores : ndarray (query steps, key steps)
        The sums.
    saved : (ndarray, ndarray)
        What the backward pass needs: the tanh of each pair, and the weight as a column.
    """
    sums = query[:, None] + key
    if scale is not None:
        sums *= scale
    arrays.activate(sums, sums, activations.code("tanh"), threads.threads_for(20 * sums.size))
    scores = np.empty((len(query) * len(key), 1), query.dtype)
    column = np.ascontiguousarray(weight[:, None])
    _multiply(sums.reshape(len(scores), -1), column, scores)
    return scores.reshape(len(query), len(key)), (sums, column)


def _additive_scores_backward(
    d_scores: Array, saved: tuple[Array, Array], query: Array, key: Array, scale: Array | None
) -> tuple[Array, Array, Array, Array | None]:
    """Gradients of query, key, weight and scale; the last is None without a scale."""
    tanh, column = saved
    rows = tanh.reshape(-1, tanh.shape[2])
    d_rows, d_weight = np.empty_like(rows), np.zeros_like(column)
    _multiply_backward(rows, column, d_scores.reshape(-1, 1), d_weight, d_rows)
    d_sums, d_scale = d_rows.reshape(tanh.shape), None
    arrays.activate_backward(
        tanh, d_sums, d_sums, activations.code("tanh"), threads.threads_for(4 * d_sums.size)
    )
    if scale is not None:
        d_scale = (d_sums * (query[:, None] + key)).sum()
        d_sums *= scale
    return d_sums.sum(axis=1), d_sums.sum(axis=0), d_weight[:, 0], d_scale


def _multiply(a: Array, b: Array, y: Array) -> None:
    """Write a b into y, in tiles: the sums do not depend on the number of rows."""
    dense.forward(
        a, dense.pack(b), y, LINEAR, threads.threads_for_products(2 * a.size * b.shape[1])
    )


def _multiply_backward(a: Array, b: Array, dy: Array, d_b: Array, d_a: Array) -> None:
    """Add a^T dy to d_b, and write dy b^T into d_a."""
    with threads.single_threaded_blas(uses_blas(a.shape[1])):
        dense.backward(
            a, b, dy, d_b, None, d_a, threads.threads_for_products(4 * a.size * b.shape[1])
        )
