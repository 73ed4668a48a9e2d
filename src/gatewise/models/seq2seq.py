"""Seq2Seq: a model of an encoder and a decoder, from sequences of tokens to such sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import Input
from gatewise.layers.encoder_decoder import EncoderDecoder
from gatewise.memory import names_memory
from gatewise.training import losses, optimizers

from .architecture import described, described_layers
from .decoding import Options, decode
from .graph import Model
from .tokens import padded, token_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from gatewise._typing import Array, Config, PathLike, Shape
    from gatewise.training.callbacks import Callback, History

    from .trainer import Verbose

_OPTIONS = (
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


@described
class Seq2Seq(Model):
    """A model that writes a sequence of tokens for a sequence of tokens: a translation.

    An encoder reads the source; a decoder starts from its final state and writes the target token
    by token, and attends to all steps of the encoder. The model is compiled when it is made, with
    Adam and sparse cross-entropy; :meth:`compile` may be called with others.

    Parameters
    ----------
    source_size, target_size : int
        Numbers of tokens: they are from 0 to size - 1. 0 may be used like any other token, since
        padding is known by lengths.
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Cell of all recurrent layers.
    units : int, default 128
        Units of each of them.
    embedding : int, default 64
        Length of the vectors of tokens.
    num_layers : int, default 1
        Recurrent layers of the encoder, and of the decoder.
    bidirectional : bool, default True
        Whether the encoder reads the source from both ends.
    attention : {"luong", "bahdanau", None}, default "luong"
        "luong": after the decoder, the faster one. "bahdanau": inside each of its steps. None: no
        attention.
    dropout : float in [0, 1), default 0.0
        Rate of dropout on the inputs of all recurrent layers and of the output layer.
    label_smoothing : float in [0, 1), default 0.0
        Share of the target's probability that is spread over all tokens.
    scheduled_sampling : float in [0, 1], default 0.0
        Share of the tokens that the decoder reads in training which the model itself chooses.
    tie_embeddings : bool, default False
        Whether the output layer uses the vectors of the target's tokens.
    start, end : int, default 1 and 2
        Tokens of the target: what the decoder reads first, and what ends a target. :meth:`fit` adds
        them, :meth:`generate` leaves them out.
    seed : int, optional
        Every random draw follows from it. None: from :func:`gatewise.utils.set_random_seed`, or the
        system.
    name : str, optional
        None: a name is made from the class.
    dtype : {"float32", "float64"}, optional
        None: "float32".

    Raises
    ------
    ConfigError
        An argument has a wrong value.

    See Also
    --------
    gatewise.layers.EncoderDecoder : The layer that the model consists of.

    Examples
    --------
    >>> from gatewise.models import Seq2Seq
    >>> sources = [[3, 4, 5], [5, 3], [4, 4, 3, 5]] * 20
    >>> targets = [row[::-1] for row in sources]
    >>> model = Seq2Seq(6, 6, units=16, embedding=8, seed=0)
    >>> history = model.fit(sources, targets, epochs=60, batch_size=20, verbose=0)
    >>> model.generate([[5, 3]])
    [[3, 5]]
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        cell: str = "lstm",
        units: int = 128,
        embedding: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        attention: str | None = "luong",
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        scheduled_sampling: float = 0.0,
        tie_embeddings: bool = False,
        start: int = 1,
        end: int = 2,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        given = {key: value for key, value in locals().items() if key in _OPTIONS}
        layer = EncoderDecoder(
            source_size, target_size, name="encoder_decoder", dtype=dtype, **given
        )
        self._begin_with(layer, start, end, label_smoothing, name, seed)
        self._make_parameters()

    def _begin_with(
        self,
        layer: EncoderDecoder,
        start: int,
        end: int,
        label_smoothing: float,
        name: str | None,
        seed: int | None,
    ) -> None:
        """Become the model of a layer, compiled; the parameters are not made yet."""
        for what, token in {"start": start, "end": end}.items():
            checks.whole_number(token, what, 0, layer.target_size - 1)
        if start == end:
            raise ConfigError(f"start and end are both {start}; expected two different tokens")
        self._start, self._end = int(start), int(end)
        self._label_smoothing = checks.fraction(label_smoothing, "label_smoothing")
        inputs = [Input((None,), name=which) for which in ("target", "source")]
        self._begin(inputs, layer(inputs), name, seed)
        loss = losses.SparseCategoricalCrossentropy(label_smoothing=label_smoothing)
        self.compile(optimizers.Adam(), loss)

    @property
    def start(self) -> int:
        """The token that the decoder reads first, int."""
        return self._start

    @property
    def end(self) -> int:
        """The token that ends a target, int."""
        return self._end

    @property
    def label_smoothing(self) -> float:
        """Share of the target's probability that is spread over all tokens, float."""
        return self._label_smoothing

    @property
    def _layer(self) -> Any:
        return self._layers[-1]

    # ---- what training knows of the two inputs

    def _output_lengths(self, lengths: Sequence[Array | None]) -> list[Array | None]:
        return [lengths[0]]

    def _output_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [(*shapes[0], self._layer.target_size)]

    def _followed_input(self, j: int = 0, inputs: Sequence[Any] = ()) -> int:
        return 0

    def _reads_sequences(self, k: int = 0) -> bool:
        return True

    def _read_input(self, x: Any, k: int = 0) -> Array:
        return self._layer._parts[f"{self._input_names[k]}_embedding"]._read_input(
            x, self._dtype, True
        )

    def _check_values(self, x: Array, k: int = 0) -> None:
        self._layer._parts[f"{self._input_names[k]}_embedding"]._check_values(x)

    def _compute_mask(self, x: Array, k: int = 0) -> None:
        return None

    # ---- what users call

    def _given(self, sources: Any, targets: Any, what: str = "") -> tuple[list[Any], Any, Any]:
        """Return (inputs, y, lengths of the inputs) of pairs."""
        marks = {"start": self._start, "end": self._end}
        rows = token_rows(sources, f"{what}sources", self._layer.source_size, {})
        wanted = token_rows(targets, f"{what}targets", self._layer.target_size, marks)
        if len(rows) != len(wanted):
            raise ShapeError(
                f"{what}sources has {len(rows)} rows, {what}targets has {len(wanted)}; expected a"
                " target for each source"
            )
        source, lengths = padded(rows)
        y, target_lengths = padded([np.append(row, self._end) for row in wanted])
        target = np.empty_like(y)
        target[:, :1], target[:, 1:] = self._start, y[:, :-1]
        return [target, source], y, [target_lengths, lengths]

    @names_memory
    def fit(  # type: ignore[override]
        self,
        sources: Any,
        targets: Any,
        batch_size: int | None = 64,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Iterable[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[Any, Any] | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        validation_freq: int | Iterable[int] = 1,
        bucketing: Any = "auto",
        resume_from: PathLike | None = None,
    ) -> History:
        """Train the model on pairs of sequences; the decoder reads the true target so far.

        Parameters
        ----------
        sources, targets : list of sequences of int
            Tokens, a target for each source, without start and end. Rows have any lengths; padding
            counts in nothing.
        batch_size : int, default 64
            Number of pairs in a batch.
        epochs : int, default 1
            Number of the epoch, counted from 1, after which training ends.
        verbose : {"auto", 0, 1, 2}, default "auto"
            What is shown, see :class:`gatewise.callbacks.ProgressBar`.
        callbacks : list of Callback, optional
            Objects that are called at the moments of training.
        validation_split : float in [0, 1), default 0
            Part of the pairs, from the end, to validate on instead of training.
        validation_data : tuple (sources, targets), optional
            Pairs to validate on.
        shuffle : bool, default True
            Draw a new order of the pairs in each epoch.
        sample_weight : array_like of shape (pairs,), optional
            A weight for each pair. None: 1.
        initial_epoch : int, default 0
            Number of the first epoch, counted from 0.
        validation_freq : int or list of int, default 1
            Validate after every n epochs; or after those of a list, counted from 1.
        bucketing : {"auto", True, False}, default "auto"
            Put pairs of about the same lengths into one batch.
        resume_from : str or path-like, optional
            A file that was saved during a run like this one, which continues to the bit.

        Returns
        -------
        History
            Its ``history`` is a dict of the loss and each metric to a list with a value an epoch.

        Raises
        ------
        ShapeError, DTypeError, ConfigError
            An argument cannot be used; the message names it.
        """
        inputs, y, lengths = self._given(sources, targets)
        if validation_data is not None:
            if not (isinstance(validation_data, tuple | list) and len(validation_data) == 2):
                raise ConfigError("validation_data: expected a tuple (sources, targets)")
            x, goal, ends = self._given(*validation_data, "validation ")
            validation_data = {"x": x, "y": goal, "lengths": ends}  # type: ignore[assignment]
        return super().fit(
            inputs,
            y,
            batch_size,
            epochs,
            verbose,
            callbacks,
            validation_split,
            validation_data,
            shuffle,
            sample_weight=sample_weight,
            lengths=lengths,
            initial_epoch=initial_epoch,
            validation_freq=validation_freq,
            bucketing=bucketing,
            resume_from=resume_from,
        )

    @names_memory
    def evaluate(  # type: ignore[override]
        self,
        sources: Any,
        targets: Any,
        batch_size: int | None = 64,
        verbose: Verbose = "auto",
        sample_weight: Any = None,
        return_dict: bool = False,
        callbacks: Iterable[Callback] | Callback | None = None,
    ) -> Any:
        """Compute the loss and the metrics of pairs, the decoder reading the true target so far.

        Parameters
        ----------
        sources : list of sequences of int
            Tokens of the sources.
        targets : list of sequences of int
            Tokens of the targets, without start and end.
        batch_size : int, default 64
            Number of pairs in a batch.
        verbose : {"auto", 0, 1, 2}, default "auto"
            "auto" and 1 show a bar with the time left if the work takes more than a second.
        sample_weight : array_like of shape (pairs,), optional
            A weight for each pair. None: 1.
        return_dict : bool, default False
            Return all values by name.
        callbacks : list of Callback, optional
            One that sets ``model.stop_evaluating`` to True ends the evaluation after the batch.

        Returns
        -------
        float, list of float or dict of str to float
            The loss if there are no metrics, else ``[loss, *metrics]``; all by name with
            ``return_dict``.
        """
        inputs, y, lengths = self._given(sources, targets)
        return super().evaluate(
            inputs,
            y,
            batch_size,
            verbose,
            sample_weight,
            lengths,
            return_dict=return_dict,
            callbacks=callbacks,
        )

    @names_memory
    def predict(  # type: ignore[override]
        self, sources: Any, targets: Any, batch_size: int | None = 64, verbose: Verbose = "auto"
    ) -> Array:
        """Compute the probabilities of each token of given targets.

        :meth:`generate` finds targets.

        Parameters
        ----------
        sources : list of sequences of int
            Tokens of the sources.
        targets : list of sequences of int
            Tokens of the targets, without start and end.
        batch_size : int, default 64
            Number of pairs in a batch.
        verbose : {"auto", 0, 1, 2}, default "auto"
            "auto" and 1 show a bar with the time left if the work takes more than a second.

        Returns
        -------
        ndarray (pairs, tokens of the longest target and the end, target_size)
            Zero past the end of a target.
        """
        inputs, _, lengths = self._given(sources, targets)
        return super().predict(inputs, batch_size, verbose, lengths=lengths)

    def predict_on_batch(self, sources: Any, targets: Any) -> Array:  # type: ignore[override]
        """Compute the probabilities of each token of given targets, for one batch.

        Parameters
        ----------
        sources : list of sequences of int
            Tokens of the sources.
        targets : list of sequences of int
            Tokens of the targets, without start and end.

        Returns
        -------
        ndarray (pairs, tokens of the longest target and the end, target_size)
            Zero past the end of a target.
        """
        inputs, _, lengths = self._given(sources, targets)
        return super().predict_on_batch(inputs, lengths)

    @names_memory
    def train_on_batch(  # type: ignore[override]
        self, sources: Any, targets: Any, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Make one step of the optimizer on one batch of pairs.

        Parameters
        ----------
        sources : list of sequences of int
            Tokens of the sources.
        targets : list of sequences of int
            Tokens of the targets, without start and end.
        sample_weight : array_like of shape (pairs,), optional
            A weight for each pair. None: 1.
        return_dict : bool, default False
            Return all values by name.

        Returns
        -------
        float, list of float or dict of str to float
            The loss and metrics before the step.
        """
        inputs, y, lengths = self._given(sources, targets)
        return super().train_on_batch(
            inputs, y, sample_weight, lengths=lengths, return_dict=return_dict
        )

    @names_memory
    def test_on_batch(  # type: ignore[override]
        self, sources: Any, targets: Any, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Compute the loss and the metrics of one batch of pairs, without training.

        Parameters
        ----------
        sources : list of sequences of int
            Tokens of the sources.
        targets : list of sequences of int
            Tokens of the targets, without start and end.
        sample_weight : array_like of shape (pairs,), optional
            A weight for each pair. None: 1.
        return_dict : bool, default False
            Return all values by name.

        Returns
        -------
        float, list of float or dict of str to float
            As :meth:`evaluate` returns them.
        """
        inputs, y, lengths = self._given(sources, targets)
        return super().test_on_batch(
            inputs, y, sample_weight, lengths=lengths, return_dict=return_dict
        )

    @names_memory
    def generate(
        self,
        sources: Any,
        beam: int = 1,
        max_steps: int | None = None,
        length_penalty: float = 0.0,
        return_scores: bool = False,
        return_attention: bool = False,
    ) -> Any:
        """Write a target for each source.

        A source gives the same alone and in any batch, to the bit.

        Parameters
        ----------
        sources : list of sequences of int
            Tokens.
        beam : int, default 1
            Number of hypotheses that beam search follows for each source. 1: the most probable
            token is taken at each step.
        max_steps : int, optional
            The most tokens of a target, the end included. None: twice those of its source, and 10.
        length_penalty : float, default 0.0
            Log-probabilities of targets are divided by their number of tokens to this power before
            they are compared: the larger, the longer the targets. Used with ``beam > 1``.
        return_scores : bool, default False
            Whether to return the log-probability of each target too, after the length penalty.
        return_attention : bool, default False
            Whether to return how much each token of a target attends to each token of its source.

        Returns
        -------
        list of list of int, or tuple
            The targets without start, which is never written, and end. A tuple if more is asked
            for: then an ndarray of the scores (rows,), float64, and a list of arrays (target
            tokens, source tokens).

        Raises
        ------
        ConfigError
            An argument has a wrong value, or a model without attention is asked for it.
        ShapeError, DTypeError
            A source is not a sequence of tokens.
        NonFiniteError
            The weights are such that the output is NaN.
        """
        return self._generate(
            sources, beam, max_steps, length_penalty, return_scores, return_attention
        )

    def _generate(
        self,
        sources: Any,
        beam: Any = 1,
        max_steps: Any = None,
        length_penalty: Any = 0.0,
        return_scores: Any = False,
        return_attention: Any = False,
        never: tuple[int, ...] = (),
    ) -> Any:
        """As :meth:`generate`, without the tokens `never`."""
        options = Options(
            self._start,
            self._end,
            checks.whole_number(beam, "beam"),
            checks.optional_number(max_steps, "max_steps"),
            checks.number(length_penalty, "length_penalty", low=0.0),
            checks.flag(return_attention, "return_attention"),
            never,
        )
        if options.attention and self._layer.attention is None:
            raise ConfigError(
                "return_attention=True, but the model has attention=None: make it with"
                " attention='luong' or 'bahdanau'"
            )
        rows = token_rows(sources, "sources", self._layer.source_size, {})
        with self._guard:
            found = decode(self._layer, rows, options)
        results: list[Any] = [[one.tokens for one in found]]
        if checks.flag(return_scores, "return_scores"):
            results.append(np.array([one.score for one in found], np.float64))
        if options.attention:
            results.append(
                [
                    np.array(one.weights, self._dtype).reshape(len(one.tokens), -1)[:, : len(row)]
                    if one.tokens
                    else np.zeros((0, len(row)), self._dtype)
                    for one, row in zip(found, rows)
                ]
            )
        return results[0] if len(results) == 1 else tuple(results)

    # ---- saving

    def _architecture(self) -> Config:
        return {
            "start": self._start,
            "end": self._end,
            "label_smoothing": self._label_smoothing,
            "layers": described_layers(self),
            "trainable": {path: part.trainable for path, part in self._layer._parts.items()},
        }

    @classmethod
    def _from_architecture(cls, description: Config) -> Self:
        (entry,) = description["layers"]
        arguments = {
            name: entry["config"][name]
            for name in ("source_size", "target_size", "dtype", *_OPTIONS)
        }
        model = cls.__new__(cls)
        model._begin_with(
            EncoderDecoder(**arguments, name="encoder_decoder"),
            **{
                name: description[name]
                for name in ("start", "end", "label_smoothing", "name", "seed")
            },
        )
        for path, part in model._layer._parts.items():
            part.trainable = description["trainable"][path]
        return model
