"""SequenceTranslator: sequences of tokens from sequences of tokens, by encoder and decoder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from gatewise import checks, threads
from gatewise.checkpoint import Contents
from gatewise.data import Vocabulary
from gatewise.data.loading import unpack_transformer
from gatewise.data.saving import pack_transformer
from gatewise.data.text import listed_texts
from gatewise.data.tokens import check_level
from gatewise.described import KnownArguments
from gatewise.errors import CheckpointError, ConfigError, NotFittedError, ShapeError
from gatewise.memory import cover
from gatewise.models import Seq2Seq
from gatewise.models.loading import model_of
from gatewise.models.saving import at_one_moment, contents_of
from gatewise.training import losses
from gatewise.training.callbacks import EarlyStopping, ProgressBar, check_verbose
from gatewise.transaction import Transaction, attributes_of

from . import parameters, saving
from .packing import VALUES
from .reading.texts import text_weights

if TYPE_CHECKING:
    from typing import Self

    from gatewise._typing import Array, ArrayLike, Config, PathLike

START, END = "<s>", "</s>"
_OF_THE_MODEL = (
    "cell",
    "units",
    "embedding",
    "num_layers",
    "bidirectional",
    "attention",
    "dropout",
    "label_smoothing",
    "scheduled_sampling",
    "tie_embeddings",
)


class SequenceTranslator(KnownArguments, BaseEstimator):
    """Translate texts or rows of tokens: dates into another form, spelling into sound.

    An encoder reads a sequence, and a decoder that attends to it writes another one, token by token
    (:class:`gatewise.models.Seq2Seq`).

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Kind of the recurrent layers: LSTM, GRU or SimpleRNN.
    units : int, default 64
        Number of units in each recurrent layer.
    embedding : int, default 32
        Size of the vectors that tokens become; they are learned.
    num_layers : int, default 1
        Number of recurrent layers of the encoder, and of the decoder.
    bidirectional : bool, default True
        Whether the encoder reads its sequence in both directions.
    attention : {"luong", "bahdanau", None}, default "luong"
        How the decoder attends to the encoder's steps: after its own steps, inside each of them
        (slower), or not at all.
    dropout : float in [0, 1), default 0.0
        Share of the inputs of each layer that are set to zero in training.
    label_smoothing : float in [0, 1), default 0.0
        Share of the target's probability that is spread over all tokens in training.
    scheduled_sampling : float in [0, 1], default 0.0
        Share of the tokens that the decoder reads in training which the network itself chooses.
    tie_embeddings : bool, default False
        Whether the output layer uses the vectors of the target's tokens.
    tokens : str or callable, or a pair of them, default "characters"
        What texts are cut into: "characters", "words" or "subwords", or a function from a text to a
        list of tokens; see :class:`gatewise.data.Vocabulary`. A pair has one for X and one for y.
        Rows that are lists of tokens are taken as they are.
    learning_rate : {"constant", "cosine"}, default "cosine"
        How the learning rate changes. "cosine": it falls along half a cosine over `max_iter`
        passes.
    learning_rate_init : float, default 0.003
        Learning rate of the first step.
    clipnorm : float or None, default 1.0
        Largest norm of the whole gradient; a larger gradient is scaled down to it. None: no limit.
    batch_size : int or "auto", default "auto"
        Pairs in a batch. "auto": 64, but so few that a pass makes 16 steps, and at least 8.
    max_iter : int, default 20
        Largest number of passes over the pairs.
    shuffle : bool, default True
        Whether each pass takes the pairs in a new random order.
    early_stopping : bool, default False
        Whether to hold out part of the pairs, end training when their loss no longer falls, and
        keep the weights that had the least loss.
    validation_fraction : float in (0, 1), default 0.1
        Share of the pairs that `early_stopping` holds out.
    n_iter_no_change : int, default 5
        Training ends after this number of passes in a row without a lower loss, with
        `early_stopping`.
    random_state : int, RandomState or None, default None
        Seed of all random draws: initial weights, held-out pairs, order, dropout. None: other draws
        in each call.
    verbose : bool, 0, 1 or 2, default False
        True or 1: print a line for each pass, and in a terminal or notebook show a bar with the
        time left. 2: lines only. False or 0: nothing.
    n_jobs : int or None, default None
        Number of threads. None: :func:`gatewise.get_num_threads`; -1: all processors. The results
        have the same bits for any number.

    Attributes
    ----------
    model_ : gatewise.models.Seq2Seq
        The network.
    source_vocabulary_, target_vocabulary_ : gatewise.data.Vocabulary
        The tokens of X and of y, and their numbers.
    loss_curve_ : list of float
        Loss of each pass.
    validation_losses_ : list of float or None
        Loss of the held-out pairs after each pass, with `early_stopping`; else None.
    n_iter_ : int
        Number of passes.

    Examples
    --------
    >>> from gatewise import SequenceTranslator
    >>> X = ["abc", "bca", "cab", "ab", "ca", "b"] * 30
    >>> y = [text[::-1].upper() for text in X]
    >>> translator = SequenceTranslator(units=16, max_iter=20, random_state=0).fit(X, y)
    >>> translator.predict(["cab"])
    ['BAC']
    """

    model_: Any
    source_vocabulary_: Any
    target_vocabulary_: Any
    loss_curve_: list[float]
    validation_losses_: list[float] | None
    n_iter_: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cover(cls, ("fit", "predict", "score"))

    def __init__(
        self,
        cell: str = "lstm",
        units: int = 64,
        *,
        embedding: int = 32,
        num_layers: int = 1,
        bidirectional: bool = True,
        attention: str | None = "luong",
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        scheduled_sampling: float = 0.0,
        tie_embeddings: bool = False,
        tokens: Any = "characters",
        learning_rate: str = "cosine",
        learning_rate_init: float = 3e-3,
        clipnorm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 20,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        n_jobs: int | None = None,
    ) -> None:
        self.cell = cell
        self.units = units
        self.embedding = embedding
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.attention = attention
        self.dropout = dropout
        self.label_smoothing = label_smoothing
        self.scheduled_sampling = scheduled_sampling
        self.tie_embeddings = tie_embeddings
        self.tokens = tokens
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.clipnorm = clipnorm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    # ---- fitting

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to pairs of sequences.

        Parameters
        ----------
        X : list of str, or list of list of str
            Texts, or rows of tokens. A row may be empty.
        y : list of str, or list of list of str
            The translation of each.
        sample_weight : array_like (n,), default None
            Weights of the pairs, not negative. None: all are 1.

        Returns
        -------
        SequenceTranslator
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        with Transaction(attributes_of(self)):
            self._fit([*listed_texts(X)], [*listed_texts(y, "y")], sample_weight)
        return self

    def _fit(self, X: list[Any], y: list[Any], sample_weight: Any) -> None:
        if len(X) != len(y):
            raise ShapeError(f"X has {len(X)} rows, y has {len(y)}; expected one y for each X")
        if not X:
            raise ShapeError("X has 0 rows; expected at least one pair")
        weights = text_weights(sample_weight, len(X))
        if weights is not None:  # a pair of weight 0 is left out
            counted = np.flatnonzero(weights)
            weights, X, y = weights[counted], [X[k] for k in counted], [y[k] for k in counted]
        source_tokens, target_tokens = self._levels()
        self.source_vocabulary_ = Vocabulary(source_tokens).fit(X)
        self.target_vocabulary_ = Vocabulary(target_tokens, start=START, end=END)._learn(y, "y")
        sources, targets = self._numbered(X, False), self._numbered(y, True)
        model = self._new_model()
        validation, kept = None, np.arange(len(X))
        check_verbose(self.verbose)
        callbacks: list[Any] = [ProgressBar(self.verbose)]
        if checks.flag(self.early_stopping, "early_stopping"):
            kept, held_out = self._split(len(X))
            validation = [sources[k] for k in held_out], [targets[k] for k in held_out]
            callbacks.append(
                EarlyStopping(
                    patience=checks.whole_number(self.n_iter_no_change, "n_iter_no_change"),
                    restore_best_weights=True,
                )
            )
        batch_size = self._batch_size(len(kept))
        epochs = checks.whole_number(self.max_iter, "max_iter")
        model.compile(
            parameters.optimizer_of(
                "adam",
                parameters.chosen(self.learning_rate, "learning_rate", ("constant", "cosine")),
                self.learning_rate_init,
                self.clipnorm,
                epochs * -(-len(kept) // batch_size),
            ),
            losses.SparseCategoricalCrossentropy(label_smoothing=self.label_smoothing),
        )
        with self._using_threads():
            history = model.fit(
                [sources[k] for k in kept],
                [targets[k] for k in kept],
                batch_size=batch_size,
                epochs=epochs,
                verbose=0,
                callbacks=callbacks,
                validation_data=validation,
                shuffle=checks.flag(self.shuffle, "shuffle"),
                sample_weight=None if weights is None else weights[kept],
            ).history
        model._training_run = None
        self.model_ = model
        self.loss_curve_ = list(history["loss"])
        self.validation_losses_ = list(history["val_loss"]) if validation else None
        self.n_iter_ = len(self.loss_curve_)

    def _levels(self) -> tuple[Any, Any]:
        """What X and y are cut into."""
        pair = self.tokens if isinstance(self.tokens, tuple | list) else (self.tokens, self.tokens)
        if len(pair) != 2:
            raise ConfigError(
                f"tokens is {self.tokens!r:.80}; expected one kind of tokens, or a pair for X and y"
            )
        for level in pair:
            check_level(level, "tokens")
        return pair[0], pair[1]

    def _new_model(self) -> Seq2Seq:
        target = self.target_vocabulary_
        return Seq2Seq(
            len(self.source_vocabulary_),
            len(target),
            **{name: getattr(self, name) for name in _OF_THE_MODEL},
            start=target.start_index_,
            end=target.end_index_,
            seed=parameters.seed_of(self.random_state),
            name=type(self).__name__,
        )

    def _batch_size(self, count: int) -> int:
        if isinstance(self.batch_size, str):
            parameters.chosen(self.batch_size, "batch_size", ("auto",))
            return min(count, 64, max(8, count // 16))
        return min(checks.whole_number(self.batch_size, "batch_size"), count)

    def _split(self, count: int) -> tuple[Array, Array]:
        fraction = checks.number(
            self.validation_fraction, "validation_fraction", 0.0, 1.0, open_low=True, open_high=True
        )
        held_out = max(1, round(fraction * count))
        if held_out >= count:
            raise ConfigError(
                f"early_stopping holds {held_out} of {count} pairs out; give more pairs"
            )
        kept, out = train_test_split(
            np.arange(count),
            test_size=held_out,
            random_state=check_random_state(self.random_state),
        )
        return kept, out

    def _numbered(self, rows: list[Any], of_target: bool) -> list[Array]:
        """Numbers of the tokens of each row, without start and end."""
        vocabulary = self.target_vocabulary_ if of_target else self.source_vocabulary_
        found = []
        for place, given in enumerate(rows):
            name = f"{'y' if of_target else 'X'}[{place}]"
            tokens = vocabulary._cut(given, name)[1]
            numbers = vocabulary._numbered(tokens, start=False, end=False)
            if of_target:
                self._refuse_reserved(numbers, name)
            found.append(numbers)
        return found

    def _refuse_reserved(self, numbers: Array, name: str) -> None:
        """Refuse tokens of y that have another meaning."""
        vocabulary = self.target_vocabulary_
        for number, meaning in (
            (vocabulary.padding_index_, "padding"),
            (vocabulary.start_index_, "the start of a text"),
            (vocabulary.end_index_, "the end of a text"),
        ):
            if (numbers == number).any():
                raise ShapeError(
                    f"{name} holds the token {vocabulary.tokens_[number]!r}, which stands for"
                    f" {meaning}: leave it out, the estimator adds it where it is needed"
                )

    def _using_threads(self) -> Any:
        count = parameters.threads_of(self.n_jobs)
        return contextlib.nullcontext() if count is None else threads.num_threads(count)

    # ---- predicting

    def predict(self, X: Any, beam: int = 1, length_penalty: float = 0.0) -> list[Any]:
        """Translate sequences. A sequence gives the same alone and among others.

        Parameters
        ----------
        X : list of str, or list of list of str
            Texts, or rows of tokens. Tokens that `fit` did not see are read as unknown.
        beam : int, default 1
            Number of hypotheses that beam search follows for each sequence. 1: the most probable
            token is taken at each step.
        length_penalty : float, default 0.0
            With `beam`: log-probabilities are divided by the number of tokens to this power before
            they are compared, so that a larger number gives longer translations.

        Returns
        -------
        list of str, or list of list of str
            Texts if `fit` received texts as y, else rows of tokens. Padding, start and unknown
            tokens are never written.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, DTypeError
            An argument is not as described.
        """
        found = self._generate(X, beam=beam, length_penalty=length_penalty)
        return [self.target_vocabulary_.decode(row) for row in found]

    def _generate(self, X: Any, **options: Any) -> Any:
        self._need_fitted()
        sources = self._numbered([*listed_texts(X)], False)
        target = self.target_vocabulary_
        never = (target.padding_index_, target.unknown_index_)
        with self._using_threads():
            return self.model_._generate(sources, never=never, **options)

    def attention_weights(self, X: Any) -> list[Array]:
        """Return how much each token of the translations attends to each token of the sequences.

        Parameters
        ----------
        X : list of str, or list of list of str
            Texts, or rows of tokens.

        Returns
        -------
        list of ndarray (tokens of the translation, tokens of the sequence)
            For each sequence; the rows are those of ``predict(X)``, and each sums to 1.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError
            It was fitted with ``attention=None``.
        """
        return self._generate(X, return_attention=True)[1]

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, beam: int = 1) -> float:
        """Return the share of sequences whose translation is exactly y.

        Texts are compared as they are cut into tokens: spaces between words do not count.

        Parameters
        ----------
        X, y : list of str, or list of list of str
            Pairs, as in :meth:`fit`.
        sample_weight : array_like (n,), default None
            Weights of the pairs. None: all are 1.
        beam : int, default 1
            As in :meth:`predict`.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X and y have different numbers of rows, or none; or an argument is not as described.
        """
        wanted = [*listed_texts(y, "y")]
        found = self.predict(X, beam)
        if len(found) != len(wanted) or not found:
            raise ShapeError(
                f"X has {len(found)} rows, y has {len(wanted)}; expected as many, at least one"
            )
        weights = text_weights(sample_weight, len(found))
        expected = [self._as_predicted(row, f"y[{k}]") for k, row in enumerate(wanted)]
        right = [given == row for given, row in zip(found, expected)]
        return float(np.average(right, weights=weights))

    def _as_predicted(self, given: Any, name: str) -> Any:
        """The form in which :meth:`predict` returns a row of y."""
        vocabulary = self.target_vocabulary_
        tokens = list(vocabulary._cut(given, name)[1])
        return vocabulary.join_tokens(tokens) if vocabulary._strings else tokens

    def _need_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"this {type(self).__name__} has not been fitted yet; call fit first"
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    # ---- saving

    def save(self, path: PathLike) -> None:
        """Write parameters, vocabularies and the model to one file, atomically.

        :func:`gatewise.load_estimator` reads it. Nothing in it is pickled. Functions given as
        `tokens` are not in the file: give them to ``load_estimator`` as ``custom_objects``.

        Parameters
        ----------
        path : str or path-like
            Name of the file. An existing file of that name is replaced.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        CheckpointError
            The file could not be written; an older file of that name is unchanged.
        """
        saving.save_estimator(self, path)

    def _contents(self, prefix: str, moment: contextlib.ExitStack) -> Contents:
        """Tensors and header of a file."""
        self._need_fitted()
        arrays: dict[str, Array] = {}
        names = [name for name in self._get_param_names() if name != "tokens"]
        packed = {
            "class_name": type(self).__name__,
            "parameters": {
                name: VALUES.encode(getattr(self, name), f"{prefix}parameters/{name}", arrays)
                for name in names
            },
            "pair": isinstance(self.tokens, tuple | list),
            "vocabularies": [
                pack_transformer(vocabulary, arrays, f"{prefix}{which}/")
                for which, vocabulary in (
                    ("source", self.source_vocabulary_),
                    ("target", self.target_vocabulary_),
                )
            ],
            "loss_curve": self.loss_curve_,
            "validation_losses": self.validation_losses_,
        }
        moment.enter_context(at_one_moment(self.model_))
        model = contents_of(self.model_)
        tensors = {f"{prefix}model/{name}": array for name, array in model.tensors.items()}
        return Contents(tensors | arrays, {"estimator": packed, "model": model.header})

    @classmethod
    def _of_contents(
        cls, packed: Config, model_header: Config, tensors: dict[str, Array], prefix: str
    ) -> Self:
        """The estimator of its part of a header, and its tensors."""
        of_model = f"{prefix}model/"
        arrays = {name: array for name, array in tensors.items() if not name.startswith(of_model)}
        given = {name: VALUES.decode(value, arrays) for name, value in packed["parameters"].items()}
        source, target = (unpack_transformer(part, arrays) for part in packed["vocabularies"])
        for vocabulary in (source, target):
            if not isinstance(vocabulary, Vocabulary):
                raise CheckpointError(
                    "a translator has two vocabularies, and here is something else"
                )
        if arrays:
            raise CheckpointError(f"tensor {next(iter(arrays))!r:.200} belongs to nothing")
        tokens = (source.level, target.level) if packed["pair"] else source.level
        estimator = cls(**given, tokens=tokens)
        estimator.source_vocabulary_, estimator.target_vocabulary_ = source, target
        estimator.model_ = model_of(
            {
                name.removeprefix(of_model): array
                for name, array in tensors.items()
                if name.startswith(of_model)
            },
            model_header,
        )
        layer = estimator.model_._layer if isinstance(estimator.model_, Seq2Seq) else None
        if layer is None or [layer.source_size, layer.target_size] != [len(source), len(target)]:
            raise CheckpointError("the model does not fit the vocabularies")
        estimator.loss_curve_ = [float(loss) for loss in packed["loss_curve"]]
        held = packed["validation_losses"]
        estimator.validation_losses_ = None if held is None else [float(loss) for loss in held]
        estimator.n_iter_ = len(estimator.loss_curve_)
        return estimator
