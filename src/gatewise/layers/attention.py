"""Attention of each step of a sequence to all of its steps, or to those of another sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, initializers, threads
from gatewise.attributes import checked
from gatewise.errors import ConfigError, ShapeError
from gatewise.kernels import arrays, attention

from .options import fixed
from .sequences import SequenceLayer
from .specs import ParameterSpec
from .tape import Batch, Steps, draws

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from gatewise._typing import Array, ArrayLike, Config, Shape
    from gatewise.layers.tape import Tape


class _Attention(SequenceLayer):
    """Base of both layers: ``softmax(scores of query and key) value``, row by row in the kernel.

    The products of a row use its true steps only, so that padding does not change its result by a
    single bit.
    """

    causal = False  # the first step of a later piece would have to attend to those before it
    several_inputs = True
    dropout: float = checked(checks.fraction)
    use_causal_mask: bool = fixed(checks.flag)
    return_attention_scores: bool = fixed(checks.flag)

    def __init__(
        self,
        dropout: float = 0.0,
        seed: int | None = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dropout = dropout
        self.seed: int | None = checks.seed(seed)
        self.use_causal_mask, self.return_attention_scores = (
            use_causal_mask,
            return_attention_scores,
        )

    def _scoring(self, features: int) -> dict[str, Any]:
        """How the kernel computes scores of this many features: its `additive` and `scale`."""
        return {}

    @property
    def _learns_scale(self) -> bool:
        """Whether the backward pass needs the products of query and key."""
        return False

    def _add_gradients(self, d_additive: Array | None, d_scale: float) -> None:
        """Add the gradients of the arguments that :meth:`_scoring` made from parameters."""

    @property
    def _returns_list(self) -> bool:
        return self.return_attention_scores

    @property
    def _output_count(self) -> int:
        return 2 if self.return_attention_scores else 1

    def compute_output_shape(self, input_shape: Shape | list[Shape]) -> Shape | list[Shape]:
        query, value = (
            input_shape[:2] if isinstance(input_shape, list) else (input_shape, input_shape)
        )
        for shape in (query, value):
            self._check_input_shape(shape, known_features=False)
        output = (*query[:-1], value[-1])
        return [output, (*query[:-1], value[1])] if self.return_attention_scores else output

    def forward(
        self,
        x: ArrayLike | Sequence[Array],
        lengths: ArrayLike | Sequence[ArrayLike | None] | None = None,
        initial_state: Any = None,
        resets: ArrayLike | None = None,
        training: bool = False,
        mask: ArrayLike | None = None,
    ) -> Array | list[Array]:
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
        ndarray (batch, steps of the query, features of the value), or list of two ndarray
            In the layer's dtype; a list with ``return_attention_scores``. :meth:`backward` returns
            a list of gradients if x is a list.

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

    def _check_shape(self, x: Array) -> None:
        """Check the shape of the query, or of the only input."""
        if not isinstance(self.input_shape, list):
            super()._check_shape(x)
            return
        built = self.input_shape[0]
        if x.ndim != 3 or not x.shape[1]:
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} reads (batch, steps, features) of at"
                " least 1 step, or a list [query, value] or [query, value, key] of such arrays"
            )
        if built[-1] not in (None, x.shape[-1]):
            checks.features(x, "x", built[-1], f"layer {self.name!r}")

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

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "it looks at all steps of a sequence at once"

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch | list[Batch]:
        saved, query = self._prepared(inputs)
        keeps = tape is not None or self.return_attention_scores
        y = self._attend(saved, tape is not None, keeps, draws(tape))
        if tape is not None:
            tape.keep(node, saved)
        if not self.return_attention_scores:
            return query.with_values(y)
        return [query.with_values(y), query.with_values(saved.shown_weights())]

    def run_with_weights(self, inputs: Any) -> tuple[Batch, Array]:
        """Return the output at inference, and the weights (batch, query steps, value steps)."""
        saved, query = self._prepared(inputs)
        return query.with_values(self._attend(saved, False, True, False)), saved.shown_weights()

    def _prepared(self, inputs: Any) -> tuple[_Saved, Batch]:
        """What a pass starts from, and the query."""
        several = isinstance(inputs, list)
        query, value, key = (
            (inputs[0], inputs[1], inputs[-1]) if several else (inputs, inputs, inputs)
        )
        if self.use_causal_mask and query is not value and _has_holes(query, value):
            raise ConfigError(
                f"layer {self.name!r} has use_causal_mask=True and reads two sequences of which one"
                " has a mask with holes; give lengths instead of a mask"
            )
        saved = _Saved(
            [query.values, value.values, key.values],
            {"query_lengths": query.lengths, "value_lengths": value.lengths},
            self._scoring(query.values.shape[2]),
            len(inputs) if several else 1,
            None if value.steps is None else value.steps.places,
        )
        return saved, query

    def _attend(self, saved: _Saved, training: bool, has_weights: bool, drops: bool) -> Array:
        """The output; the weights are saved if they are needed."""
        query, value, key = saved.inputs
        shape = (*query.shape[:2], value.shape[1])
        learns_scale = training and self._learns_scale
        checks.fits_memory(
            (has_weights + learns_scale) * shape[0] * shape[1] * shape[2],
            self.dtype,
            "a batch in training in layer" if training else "the scores of layer",
            self.name,
        )
        if drops and self.dropout:
            drawn = self.random_generator().random(shape, np.float32)
            saved.mask = arrays.dropout_mask(
                drawn, self.dropout, self.dtype, threads.threads_for(4 * drawn.size)
            )
        y = np.empty((*query.shape[:2], value.shape[2]), self.dtype)
        saved.weights = np.empty(shape, self.dtype) if has_weights else None
        saved.products = np.empty(shape, self.dtype) if learns_scale else None
        attention.forward(
            query,
            value,
            key,
            y,
            saved.weights,
            **saved.lengths,
            **saved.scoring,
            causal=self.use_causal_mask,
            mask=saved.mask,
            scores=saved.products,
            threads=saved.threads(2),
        )
        return y

    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | list[Array]:
        saved = tape.take(node)
        dy, d_kept = gradients if self.return_attention_scores else (gradients, None)
        query, value, key = saved.inputs
        if dy is None:
            dy = np.zeros((*query.shape[:2], value.shape[2]), self.dtype)
        d_query, d_value, d_key = (np.empty_like(part) for part in saved.inputs)
        additive = "additive" in saved.scoring
        d_additive = np.empty((len(query), query.shape[2]), self.dtype) if additive else None
        d_scale = np.empty(len(query)) if additive else None
        attention.backward(
            query,
            value,
            key,
            saved.weights,
            np.ascontiguousarray(dy),
            d_query,
            d_value,
            d_key,
            **saved.lengths,
            **saved.scoring,
            mask=saved.mask,
            d_kept=saved.compact_gradient(d_kept),
            d_additive=d_additive,
            d_scale=d_scale,
            threads=saved.threads(4),
        )
        if d_additive is not None:
            self._add_gradients(d_additive, d_scale.sum())
        elif saved.products is not None:
            self._add_gradients(None, saved.sum_of_products())
        if saved.given == 1:
            return d_query + d_value + d_key
        return [d_query, d_value + d_key] if saved.given == 2 else [d_query, d_value, d_key]

    def get_config(self) -> Config:
        config = super().get_config() | {"dropout": self.dropout, "seed": self.seed}
        for option in ("use_causal_mask", "return_attention_scores"):
            if getattr(self, option):  # absent in files of versions without them
                config[option] = True
        return config


class _Saved:
    """What the backward pass of a layer needs; `weights` are as the kernel writes them."""

    mask: Array | None = None  # multipliers of dropout
    weights: Array | None = None
    products: Array | None = None  # of query and key, for the gradient of a trained scale

    def __init__(
        self,
        inputs: list[Array],
        lengths: dict[str, Array | None],
        scoring: dict[str, Any],
        given: int,
        places: Any,
    ) -> None:
        self.inputs, self.lengths, self.scoring = inputs, lengths, scoring
        self.given = given  # number of arrays that the layer received
        self.places = places  # original positions of the value's steps, if a mask moved them

    def threads(self, products: int) -> int:
        """How many threads are worth using if this many products are computed."""
        query, value, key = self.inputs
        size = query.shape[0] * query.shape[1] * key.shape[1]
        features = query.shape[2] + value.shape[2]
        if "additive" in self.scoring:
            return threads.threads_for(20 * size * features)
        return threads.threads_for_products(products * size * features)

    def shown_weights(self) -> Array:
        """The weights (batch, steps of the query, steps of the value), after dropout."""
        weights = self.weights.copy()
        attention.spread(weights, **self.lengths)
        if self.mask is not None:
            weights *= self.mask
        return weights if self.places is None else _steps_last(weights, self.places.back)

    def compact_gradient(self, gradient: Array | None) -> Array | None:
        """The gradient of :meth:`shown_weights` in the positions in which the kernel reads it."""
        if gradient is None:
            return None
        if self.places is not None:
            gradient = _steps_last(gradient, self.places.to_front)
        return np.ascontiguousarray(gradient)

    def sum_of_products(self) -> Any:
        """The sum of products times their gradients, which the kernel has written into `weights`.

        Each row is summed alone, over its true steps.
        """
        batch, queries, steps = self.weights.shape
        ends = [
            np.full(batch, most) if lengths is None else lengths
            for lengths, most in zip(self.lengths.values(), (queries, steps))
        ]
        return sum(
            (gradients[:size] * products[:size]).sum()
            for gradients, products, size in zip(
                self.weights.reshape(batch, -1),
                self.products.reshape(batch, -1),
                (ends[0] * ends[1]).tolist(),
            )
        )


def _has_holes(*batches: Batch) -> bool:
    return any(batch.steps is not None and batch.steps.places is not None for batch in batches)


def _steps_last(weights: Array, moved: Callable[[Array], Array]) -> Array:
    """Apply a function of arrays (batch, steps, features) to the last axis."""
    return np.ascontiguousarray(
        moved(np.ascontiguousarray(weights.transpose(0, 2, 1))).transpose(0, 2, 1)
    )


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
    use_causal_mask : bool, default False
        Whether step i of the query attends to the value's steps up to i only. Keras takes this and
        the next option when a layer is called.
    return_attention_scores : bool, default False
        Whether the layer returns ``[output, weights]``, with the weights (batch, steps of the
        query, steps of the value) after the softmax and dropout.
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
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout, seed, use_causal_mask, return_attention_scores, **kwargs)
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

    def _scoring(self, features: int) -> dict[str, Any]:
        p = self._parameters
        scoring: dict[str, Any] = {"scale": float(p["scale"])} if self.use_scale else {}
        if self.score_mode == "concat":
            scoring["additive"] = np.full(features, p["concat_score_weight"], self.dtype)
        return scoring

    @property
    def _learns_scale(self) -> bool:
        return self.use_scale and self.score_mode == "dot"

    def _add_gradients(self, d_additive: Array | None, d_scale: float) -> None:
        if d_additive is not None:
            for row in d_additive:
                self._gradients["concat_score_weight"] += row.sum()
        if self.use_scale:
            self._gradients["scale"] += d_scale

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
    use_causal_mask : bool, default False
        Whether step i of the query attends to the value's steps up to i only. Keras takes this and
        the next option when a layer is called.
    return_attention_scores : bool, default False
        Whether the layer returns ``[output, weights]``, with the weights (batch, steps of the
        query, steps of the value) after the softmax and dropout.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import AdditiveAttention
    >>> AdditiveAttention()([[[1.0, 2.0], [1.0, 2.0]]]).tolist()
    [[[1.0, 2.0], [1.0, 2.0]]]
    """

    use_scale: bool = fixed(checks.flag)

    def __init__(
        self,
        use_scale: bool = True,
        dropout: float = 0.0,
        seed: int | None = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout, seed, use_causal_mask, return_attention_scores, **kwargs)
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

    def _scoring(self, features: int) -> dict[str, Any]:
        p = self._parameters
        return {"additive": p["scale"] if self.use_scale else np.ones(features, self.dtype)}

    def _add_gradients(self, d_additive: Array | None, d_scale: float) -> None:
        if self.use_scale and d_additive is not None:
            self._gradients["scale"] += d_additive.sum(axis=0)

    def get_config(self) -> Config:
        return super().get_config() | {"use_scale": self.use_scale}
