"""Attention over the steps of a sequence: of each step to all, or of one sequence to another."""

from __future__ import annotations

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

    from gatewise._typing import Array, Config
    from gatewise.layers.tape import Tape


class _Attention(SequenceLayer):
    """What the two share: ``softmax(scores of query and key) value``, a row of the batch at a time.

    A row's products run over its true steps alone, so that its result is the same bits however it
    is padded.
    """

    causal = False
    several_inputs = True
    dropout: float = checked(checks.fraction)

    def __init__(self, dropout: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = dropout
        self.seed: int | None = checks.seed(seed)

    def compute_output_shape(self, input_shape: Any) -> Any:
        query, value = (
            input_shape[:2] if isinstance(input_shape, list) else (input_shape, input_shape)
        )
        for shape in (query, value):
            self._check_input_shape(shape, known_features=False)
        return (*query[:-1], value[-1])

    def forward(
        self,
        x: Array,
        lengths: Array | None = None,
        initial_state: Any = None,
        resets: Array | None = None,
        training: bool = False,
        mask: Array = None,
    ) -> Any:
        """Compute the layer's output.

        Parameters
        ----------
        x : array_like (batch, steps, features), or list of ndarray
            A sequence that attends to itself; or ``[query, value]`` or ``[query, value, key]``,
            each (batch, steps, features), steps of value and key, and features of query and key,
            alike. The key is the value unless given.
        lengths : array_like (batch,), int, optional
            Steps in each row; of a list, the list of those of the query and of the value, each an
            array or None. A step past its row's end is not attended to, and its output is zero.
        training : bool
            Keep what :meth:`backward` needs, and apply dropout.
        mask : array_like (batch, steps), bool, optional
            Of a sequence that attends to itself: True where a step counts.

        Returns
        -------
        ndarray (batch, steps of the query, features of the value)
            :meth:`backward` gives the gradient of x, a list where x is one.
        """
        return super().forward(x, lengths, initial_state, resets, training, mask)

    @staticmethod
    def _is_several(x: Array) -> Any:
        return (
            isinstance(x, list | tuple)
            and 2 <= len(x) <= 3
            and all(getattr(part, "ndim", 0) == 3 for part in x)
        )

    def _build_for(self, arrays: Sequence[Array]) -> None:
        self.build((None, *arrays[0].shape[1:]))

    def _read_several(self, x: Array, lengths: Array | None) -> list[Batch]:
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
                " expected one number of rows, as many features of query and key, and as many"
                " steps of value and key"
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
        self, query: Array, value: Any, key: Array, query_ends: Any, value_ends: Any, training: bool
    ) -> Any:
        shape = (query.shape[0], query.shape[1], value.shape[2])
        checks.fits_memory(
            self._elements(query, key) if training else 0,
            self.dtype,
            "a batch in training in layer",
            self.name,
        )
        y, rows, mask = np.zeros(shape, self.dtype), [], None
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

    def _elements(self, query: Array, key: Array) -> Any:
        return query.shape[0] * query.shape[1] * key.shape[1]

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
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
    """``softmax(query key^T) value`` (Luong et al.

    2015): of each step of a sequence to all, or of one to another.

    Names and defaults are Keras's.

    Parameters
    ----------
    use_scale : bool
        The scores are multiplied by a scale that is trained; "concat": the sum in the tanh is.
    score_mode : {"dot", "concat"}
        Product of query and key; or ``w sum(tanh(query + key))``, w trained.
    dropout : float in [0, 1)
        Part of the attention weights set to zero in training.
    seed : int, optional
        Of the dropout of a layer used alone.

    Weights in order: scale and concat_score_weight, single numbers, where there are any.
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
    def _checked_score_mode(value: Any) -> Any:
        if not isinstance(value, str) or value not in ("dot", "concat"):
            raise ConfigError(f"score_mode is {value!r}; expected 'dot' or 'concat'")
        return value

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self.compute_output_shape(input_shape)
        wanted = {"scale": self.use_scale, "concat_score_weight": self.score_mode == "concat"}
        names = [name for name, is_wanted in wanted.items() if is_wanted]
        return [ParameterSpec(name, (), initializers.Ones()) for name in names]

    def _elements(self, query: Array, key: Array) -> Any:
        return super()._elements(query, key) * (1 if self.score_mode == "dot" else query.shape[2])

    def _scores(self, query: Array, key: Array) -> Any:
        p = self._parameters
        if self.score_mode == "concat":
            weight = np.full(query.shape[1], p["concat_score_weight"], query.dtype)
            return _additive_scores(query, key, weight, p.get("scale"))
        products = np.empty((len(query), len(key)), query.dtype)
        _multiply(query, np.ascontiguousarray(key.T), products)
        return (products * p["scale"], products) if self.use_scale else (products, None)

    def _scores_backward(self, d_scores: Array, saved: Any, query: Array, key: Array) -> Any:
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
    """``softmax(sum(scale * tanh(query + key))) value`` (Bahdanau et al. 2015).

    Names and defaults are Keras's. The tanh of every pair of steps is kept in training: batch *
    steps * steps * features numbers.

    Parameters
    ----------
    use_scale : bool
        Whether there is a scale (features,), which is trained.
    dropout : float in [0, 1)
        Part of the attention weights set to zero in training.
    seed : int, optional
        Of the scale and the dropout of a layer used alone.
    """

    use_scale: bool = fixed(checks.flag)

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(dropout, seed, **kwargs)
        self.use_scale = use_scale

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self.compute_output_shape(input_shape)
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

    def _elements(self, query: Array, key: Array) -> Any:
        return super()._elements(query, key) * query.shape[2]

    def _scores(self, query: Array, key: Array) -> Any:
        scale = (
            self._parameters["scale"] if self.use_scale else np.ones(query.shape[1], query.dtype)
        )
        return _additive_scores(query, key, scale, None)

    def _scores_backward(self, d_scores: Array, saved: Any, query: Array, key: Array) -> Any:
        d_query, d_key, d_weight, _ = _additive_scores_backward(d_scores, saved, query, key, None)
        if self.use_scale:
            self._gradients["scale"] += d_weight
        return d_query, d_key

    def get_config(self) -> Config:
        return super().get_config() | {"use_scale": self.use_scale}


def _additive_scores(query: Array, key: Array, weight: Any, scale: Any) -> Any:
    """(sum(weight * tanh(scale (query + key))) of each pair, what the way back needs)."""
    sums = query[:, None] + key
    if scale is not None:
        sums *= scale
    arrays.activate(sums, sums, activations.code("tanh"), threads.threads_for(20 * sums.size))
    scores = np.empty((len(query) * len(key), 1), query.dtype)
    column = np.ascontiguousarray(weight[:, None])
    _multiply(sums.reshape(len(scores), -1), column, scores)
    return scores.reshape(len(query), len(key)), (sums, column)


def _additive_scores_backward(
    d_scores: Array, saved: Any, query: Array, key: Array, scale: Any
) -> Any:
    """Gradients of query, key, weight and scale (None without one)."""
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


def _multiply(a: Any, b: Any, y: Array) -> None:
    """y = a b, in tiles whose sums do not depend on the number of rows."""
    dense.forward(
        a, dense.pack(b), y, LINEAR, threads.threads_for_products(2 * a.size * b.shape[1])
    )


def _multiply_backward(a: Any, b: Any, dy: Array, d_b: Any, d_a: Any) -> None:
    """d_b += a^T dy, d_a = dy b^T."""
    with threads.single_threaded_blas(uses_blas(a.shape[1])):
        dense.backward(
            a, b, dy, d_b, None, d_a, threads.threads_for_products(4 * a.size * b.shape[1])
        )
