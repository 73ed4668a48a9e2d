"""An encoder and a decoder with attention, as one layer: what a Seq2Seq model is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import checked
from gatewise.errors import ConfigError, ShapeError

from .attention import Attention
from .dense import Dense
from .dropout import Dropout
from .embedding import Embedding
from .recurrent.attending import AttendingDecoder
from .recurrent.bidirectional import Bidirectional
from .recurrent.gru import GRU
from .recurrent.lstm import LSTM
from .recurrent.simple_rnn import SimpleRNN
from .tape import Batch, Steps, draws
from .tied import TiedDense
from .wrappers import Container

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, DType
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Tape

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
ATTENTIONS = ("luong", "bahdanau", None)


@dataclass(slots=True)
class Encoded:
    """What the decoder reads of the source: where it starts, and what it attends to."""

    states: list[list[Batch]]  # of each layer of the decoder
    memory: Batch | None = None  # (batch, source steps, units); None without attention
    keys: Batch | None = None  # of "bahdanau"

    def rows(self, chosen: Array) -> Encoded:
        """The same for some of the rows, in this order."""
        return Encoded(
            self.states_of(chosen).states,
            _rows_of(self.memory, chosen),
            _rows_of(self.keys, chosen),
        )

    def states_of(self, chosen: Array) -> Encoded:
        """The same with the states of other rows, each of which is of the same source."""
        states = [[Batch(state.values[chosen]) for state in states] for states in self.states]
        return Encoded(states, self.memory, self.keys)


def _rows_of(batch: Batch | None, chosen: Array) -> Batch | None:
    if batch is None:
        return None
    lengths = None if batch.lengths is None else batch.lengths[chosen]
    return Batch(batch.values[chosen], None if lengths is None else Steps(lengths))


class EncoderDecoder(Container):
    """Probabilities of each next token of a target, from a source and the target before it.

    Reads ``[target, source]``, both (batch, steps) of whole numbers, and returns (batch, target
    steps, target_size). :class:`gatewise.models.Seq2Seq` is a model of this layer.

    Parameters
    ----------
    source_size, target_size : int
        Numbers of tokens: they are from 0 to size - 1.
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Cell of all recurrent layers.
    units : int, default 128
        Units of each of them.
    embedding : int, default 64
        Length of the vectors of tokens.
    num_layers : int, default 1
        Recurrent layers of the encoder, and of the decoder.
    bidirectional : bool, default True
        Whether the encoder reads the source from both ends. Two dense layers then make the
        decoder's first state of both final ones.
    attention : {"luong", "bahdanau", None}, default "luong"
        "luong": after the decoder, one product over all steps (Luong et al. 2015, general scores).
        "bahdanau": inside each step of the decoder (Bahdanau et al. 2015), which takes longer.
        None: the decoder sees the final state of the encoder alone.
    dropout : float in [0, 1), default 0.0
        Rate of dropout on the inputs of all recurrent layers and of the output layer.
    scheduled_sampling : float in [0, 1], default 0.0
        In training, the share of the target's tokens that are replaced by those that the model
        itself finds most probable there (Bengio et al. 2015). They come from a first pass that
        reads the true tokens (Mihaylova and Martins 2019).
    tie_embeddings : bool, default False
        Whether the output layer's matrix is that of the target's vectors.
    seed : int, optional
        Seed of the initial weights and of training, of a layer used alone. None: a random one.
    **kwargs
        Options of :class:`Layer`.

    Raises
    ------
    ConfigError
        An argument has a wrong value.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import EncoderDecoder
    >>> layer = EncoderDecoder(9, 7, units=8, embedding=4, seed=0)
    >>> layer([np.array([[1, 3, 4]]), np.array([[5, 8, 8, 2]])]).shape
    (1, 3, 7)
    """

    causal = False
    several_inputs = True
    reads_steps = True
    activation = "softmax"
    _padded_dtype = "float64"
    source_size: int
    target_size: int
    units: int
    embedding: int
    num_layers: int
    bidirectional: bool
    tie_embeddings: bool
    cell: str
    attention: str | None
    dropout: float
    scheduled_sampling: float = checked(checks.number, low=0.0, high=1.0)

    def __init__(
        self,
        source_size: int,
        target_size: int,
        cell: str = "lstm",
        units: int = 128,
        embedding: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        attention: str | None = "luong",
        dropout: float = 0.0,
        scheduled_sampling: float = 0.0,
        tie_embeddings: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.source_size = checks.whole_number(source_size, "source_size")
        self.target_size = checks.whole_number(target_size, "target_size")
        self.cell, self.attention = _checked_cell(cell), _checked_attention(attention)
        self.units = checks.whole_number(units, "units")
        self.embedding = checks.whole_number(embedding, "embedding")
        self.num_layers = checks.whole_number(num_layers, "num_layers")
        self.bidirectional = checks.flag(bidirectional, "bidirectional")
        self.dropout = checks.fraction(dropout, "dropout")
        self.tie_embeddings = checks.flag(tie_embeddings, "tie_embeddings")
        self.scheduled_sampling = scheduled_sampling
        super().__init__(self._new_parts(), seed=seed, **kwargs)
        self._trains = threads.OneAtATime(
            f"two threads train layer {self.name!r} at once; give each thread a layer of its own"
        )

    def _new_parts(self) -> dict[str, Any]:
        cell, units = CELLS[self.cell], self.units
        parts: dict[str, Any] = {
            "source_embedding": Embedding(self.source_size, self.embedding),
            "target_embedding": Embedding(self.target_size, self.embedding),
            "dropout": Dropout(self.dropout),
        }
        for k in range(self.num_layers):
            layer = cell(units, return_sequences=True, return_state=True)
            parts[f"encoder_{k}"] = Bidirectional(layer) if self.bidirectional else layer
            if self.bidirectional:
                for state in layer.state_names:
                    parts[f"bridge_{k}_{state}"] = Dense(units, "tanh" if state == "h" else None)
        if self.attention is not None:
            parts["memory"] = Dense(units, use_bias=False)
        if self.attention == "bahdanau":
            parts["keys"] = Dense(units, use_bias=False)
        for k in range(self.num_layers):
            attends = k == 0 and self.attention == "bahdanau"
            layer = cell(units, return_sequences=True, return_state=True)
            parts[f"decoder_{k}"] = AttendingDecoder(layer) if attends else layer
        if self.attention == "luong":
            parts["attention"] = Attention()
        width = self.embedding if self.tie_embeddings else units
        if self.attention is not None or width != units:
            parts["combine"] = Dense(width, "tanh")
        parts["output"] = (
            TiedDense(parts["target_embedding"])
            if self.tie_embeddings
            else Dense(self.target_size, "softmax")
        )
        return parts

    # ---- building

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        shapes = input_shape if isinstance(input_shape, list) else [input_shape] * 2
        if len(shapes) != 2 or any(len(shape) != 2 for shape in shapes):
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected two shapes"
                " (batch, steps): of the target and of the source"
            )
        units, width = self.units, self.units * (2 if self.bidirectional else 1)
        for name, part in self._parts.items():
            kind, _, rest = name.partition("_")
            first = rest.startswith("0")
            if name.endswith("_embedding"):
                shape: Any = (None, None)
            elif kind == "encoder":
                shape = (None, None, self.embedding if first else width)
            elif kind == "bridge":
                shape = (None, 2 * units)
            elif kind == "memory":
                shape = (None, None, width)
            elif kind == "decoder":
                shape = (None, None, self.embedding if first else units)
                if isinstance(part, AttendingDecoder):
                    shape = [shape, (None, None, units), (None, None, units)]
            elif kind == "attention":
                shape = [(None, None, units)] * 2
            elif kind == "combine":
                shape = (None, None, units * (1 if self.attention is None else 2))
            elif kind == "output":
                combined = self._parts.get("combine")
                shape = (None, None, units if combined is None else combined.units)
            else:
                shape = (None, None, units)
            part._describe(shape)
        return self._specs_of_parts()

    def compute_output_shape(self, input_shape: Any) -> Any:
        target = input_shape[0] if isinstance(input_shape, list) else input_shape
        return (*target, self.target_size)

    # ---- inputs

    def _is_several(self, x: Any) -> bool:
        return isinstance(x, list | tuple) and len(x) == 2

    def _read_several(self, x: Sequence[Any], lengths: Any) -> list[Batch]:
        given = [None, None] if lengths is None else checks.listed(lengths, "lengths", "arrays")
        if len(given) != 2:
            raise ShapeError(
                f"lengths has {len(given)} entries; expected two arrays, of target and source"
            )
        if not self.built:
            with self._guard.writing:
                if not self.built:
                    self.build([(None, None)] * 2)
        batches = []
        for part, ends, name in zip(x, given, ("target", "source")):
            tokens = self._checked_tokens(part, name)
            ends = None if ends is None else checks.sequence_lengths(ends, *tokens.shape)
            batches.append(Batch(tokens, None if ends is None else Steps(ends)))
        if len(batches[0].values) != len(batches[1].values):
            raise ShapeError(
                f"target and source have {len(batches[0].values)} and {len(batches[1].values)}"
                " rows; expected the same number"
            )
        return batches

    def _read_input(self, x: Any, dtype: DType, convert: bool) -> Array:
        """Convert what a model was given for one of the inputs."""
        return checks.whole_array(x, "x", f"layer {self.name!r} expects tokens, whole numbers")

    def _check_values(self, x: Array) -> Array:
        """Refuse what is no token of either input; :meth:`run` knows which one it is."""
        size = max(self.source_size, self.target_size)
        if x.size and not (x.min() >= 0 and x.max() < size):
            raise ShapeError(
                f"x holds {int(x.min())} to {int(x.max())}; layer {self.name!r} expects tokens from"
                f" 0 to {size - 1}"
            )
        return x

    def _checked_tokens(self, x: Any, name: str) -> Array:
        embedding = self._parts[f"{name}_embedding"]
        tokens = embedding._read_input(x, self.dtype, False)
        embedding._check_shape(tokens)
        return embedding._check_values(tokens)

    def _checked_input(self, x: Any) -> Array:
        raise ShapeError(
            f"layer {self.name!r} reads two inputs, [target, source]; got one of shape"
            f" {np.shape(x)}"
        )

    def _vectors(self, name: str, tokens: Batch, tape: Tape | None, node: Hashable) -> Batch:
        """The vectors of tokens of the source or target, which one layer reads."""
        x = self._parts[f"{name}_embedding"].run(tokens, tape, (node, name))
        x.lookup.collects = True
        return x

    # ---- the encoder

    def _encode(self, source: Batch, tape: Tape | None = None, node: Hashable = None) -> Encoded:
        """What the decoder reads of the source."""
        p = self._parts
        x = self._vectors("source", source, tape, node)
        starts = []
        for k in range(self.num_layers):
            x = p["dropout"].run(x, tape, (node, "source dropout", k))
            x, *states = p[f"encoder_{k}"].run(x, tape, (node, "encoder", k))
            starts.append(self._bridged(k, states, tape, node))
        if self.attention is None:
            return Encoded(starts)
        memory = p["memory"].run(x, tape, (node, "memory"))
        keys = p["keys"].run(memory, tape, (node, "keys")) if "keys" in p else None
        return Encoded(starts, memory, keys)

    def _bridged(self, k: int, states: list[Batch], tape: Tape | None, node: Hashable) -> Any:
        """The decoder's first states, from the encoder's final ones."""
        if not self.bidirectional:
            return states
        count = len(states) // 2
        return [
            self._parts[f"bridge_{k}_{name}"].run(
                Batch(np.concatenate([states[i].values, states[count + i].values], axis=1)),
                tape,
                (node, "bridge", k, name),
            )
            for i, name in enumerate(("h", "c")[:count])
        ]

    def _encode_backward(
        self, d_states: list[Any], d_memory: Any, d_keys: Any, tape: Tape, node: Hashable
    ) -> None:
        p, dx = self._parts, None
        if d_keys is not None:
            d_memory = d_memory + p["keys"].run_backward(d_keys, tape, (node, "keys"), True)
        if d_memory is not None:
            dx = p["memory"].run_backward(d_memory, tape, (node, "memory"), True)
        for k in range(self.num_layers - 1, -1, -1):
            states = self._bridged_backward(k, d_states[k], tape, node)
            dx = p[f"encoder_{k}"].run_backward([dx, *states], tape, (node, "encoder", k), True)
            dx = p["dropout"].run_backward(dx, tape, (node, "source dropout", k), True)
        p["source_embedding"].run_backward(dx, tape, (node, "source"), False)

    def _bridged_backward(self, k: int, d_states: list[Any], tape: Tape, node: Hashable) -> Any:
        if not self.bidirectional:
            return d_states
        ahead, back = [], []
        for name, gradient in zip(("h", "c"), d_states):
            d = self._parts[f"bridge_{k}_{name}"].run_backward(
                gradient, tape, (node, "bridge", k, name), True
            )
            ahead.append(d[:, : self.units])
            back.append(d[:, self.units :])
        return [*ahead, *back]

    # ---- the decoder

    def _decode(
        self,
        target: Batch,
        encoded: Encoded,
        tape: Tape | None = None,
        node: Hashable = None,
        weights: list[Array] | None = None,
    ) -> tuple[Batch, list[list[Batch]]]:
        """What the output layer reads at each step of the target, and the final states.

        `weights`, if given, receives those of the attention, at inference only.
        """
        p, finals, contexts = self._parts, [], None
        x = self._vectors("target", target, tape, node)
        for k, states in enumerate(encoded.states):
            x = p["dropout"].run(x, tape, (node, "target dropout", k))
            layer, place = p[f"decoder_{k}"], (node, "decoder", k)
            if k == 0 and self.attention == "bahdanau":
                given = [x, encoded.memory, encoded.keys, *states]
                x, contexts, *final = layer.run(given, tape, place, weights)
            else:
                x, *final = layer.run([x, *states], tape, place)
            finals.append(final)
        if self.attention == "luong":
            given = [x, encoded.memory]
            if weights is None:
                contexts = p["attention"].run(given, tape, (node, "attention"))
            else:
                contexts, found = p["attention"].run_with_weights(given)
                weights.append(found)
        if contexts is not None:
            x = x.with_values(np.concatenate([x.values, contexts.values], axis=2))
        if "combine" in p:
            x = p["combine"].run(x, tape, (node, "combine"))
        return p["dropout"].run(x, tape, (node, "output dropout")), finals

    def _scores(self, target: Batch, encoded: Encoded, weights: Any = None) -> tuple[Array, Any]:
        """The output's scores (batch, steps, target_size), and the final states, at inference."""
        x, states = self._decode(target, encoded, weights=weights)
        return self._parts["output"]._run_to_scores(x, None, None).values, states

    def _decode_backward(self, dx: Array, tape: Tape, node: Hashable) -> tuple[Any, Any, Any]:
        """Return the gradients of the first states, of the memory and of the keys."""
        p, d_states, d_memory, d_keys, d_contexts = self._parts, [], None, None, None
        dx = p["dropout"].run_backward(dx, tape, (node, "output dropout"), True)
        if "combine" in p:
            dx = p["combine"].run_backward(dx, tape, (node, "combine"), True)
        if self.attention is not None:
            dx, d_contexts = (
                np.ascontiguousarray(part) for part in np.split(dx, [self.units], axis=2)
            )
        if self.attention == "luong":
            d_query, d_memory = p["attention"].run_backward(
                d_contexts, tape, (node, "attention"), True
            )
            dx += d_query
        for k in range(self.num_layers - 1, -1, -1):
            layer, place = p[f"decoder_{k}"], (node, "decoder", k)
            if k == 0 and self.attention == "bahdanau":
                dx, d_memory, d_keys, *found = layer.run_backward(
                    [dx, d_contexts], tape, place, True
                )
            else:
                nothing = [None] * len(layer.state_names)
                dx, *found = layer.run_backward([dx, *nothing], tape, place, True)
            d_states.insert(0, found)
            dx = p["dropout"].run_backward(dx, tape, (node, "target dropout", k), True)
        p["target_embedding"].run_backward(dx, tape, (node, "target"), False)
        return d_states, d_memory, d_keys

    # ---- passes

    def _run_to_output(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch:
        """What the output layer reads."""
        target, source = inputs
        for name, batch in (("target", target), ("source", source)):
            self._parts[f"{name}_embedding"]._check_values(batch.values)
        encoded = self._encode(source, tape, node)
        if draws(tape) and self.scheduled_sampling:
            target = self._mixed(target, encoded)
        return self._decode(target, encoded, tape, node)[0]

    def _mixed(self, target: Batch, encoded: Encoded) -> Batch:
        """The target with some of its tokens replaced by those that the model finds."""
        found = self._scores(target, encoded)[0].argmax(axis=2)
        tokens = target.values.copy()
        chosen = self.random_generator().random((len(tokens), tokens.shape[1] - 1))
        np.copyto(
            tokens[:, 1:],
            found[:, :-1].astype(tokens.dtype),
            where=chosen < self.scheduled_sampling,
        )
        return target.with_values(tokens)

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "its encoder reads a whole sequence before the first step"

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch:
        x = self._run_to_output(inputs, tape, node)
        return self._parts["output"].run(x, tape, (node, "output"))

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        dx = self._parts["output"].run_backward(gradients, tape, (node, "output"), True)
        return self._backward_from_output(dx, tape, node)

    def _run_to_scores(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch:
        x = self._run_to_output(inputs, tape, node)
        return self._parts["output"]._run_to_scores(x, tape, (node, "output"))

    def _run_backward_from_scores(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Any:
        dx = self._parts["output"]._run_backward_from_scores(
            gradients, tape, (node, "output"), True
        )
        return self._backward_from_output(dx, tape, node)

    def _backward_from_output(self, dx: Array, tape: Tape, node: Hashable) -> list[None]:
        self._encode_backward(*self._decode_backward(dx, tape, node), tape, node)
        return [None, None]

    def _activate_rows(self, z: Array, y: Array) -> Array:
        return self._parts["output"]._activate_rows(z, y)

    # ---- saving

    def get_config(self) -> Config:
        return super().get_config() | {name: getattr(self, name) for name in _ARGUMENTS}


_ARGUMENTS = (
    "source_size",
    "target_size",
    "cell",
    "units",
    "embedding",
    "num_layers",
    "bidirectional",
    "attention",
    "dropout",
    "scheduled_sampling",
    "tie_embeddings",
)


def _checked_cell(value: Any) -> str:
    if not isinstance(value, str) or value not in CELLS:
        raise ConfigError(f"cell is {value!r}; expected 'lstm', 'gru' or 'rnn'")
    return value


def _checked_attention(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or value not in ATTENTIONS):
        raise ConfigError(f"attention is {value!r}; expected 'luong', 'bahdanau' or None")
    return value
