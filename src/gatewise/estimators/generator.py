"""SequenceGenerator: texts that continue as those that it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gatewise import checks
from gatewise.data import Vocabulary
from gatewise.data.loading import unpack_transformer
from gatewise.data.saving import pack_transformer
from gatewise.data.text import listed_texts
from gatewise.data.tokens import check_level
from gatewise.errors import CheckpointError, ConfigError, DTypeError, PredictionWarning, ShapeError
from gatewise.generation.choosing import Choice
from gatewise.generation.likelihood import log_likelihoods
from gatewise.generation.sampling import draw
from gatewise.generation.source import ModelSource

from . import parameters
from .base import SequenceEstimator
from .fitted import transaction_of
from .reading.texts import counted_texts, pieces_of, rows_wanted, split_ends
from .targets.base import Examples
from .targets.next_tokens import NextTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from gatewise._typing import ArrayLike, IntArray
    from gatewise.layers import Layer
    from gatewise.regularizers import Regularizer
    from gatewise.training.optimizers import Optimizer

START, END = "<s>", "</s>"


class SequenceGenerator(SequenceEstimator):
    """Generate texts like those that it has read, with a recurrent network.

    The network reads a text token by token and learns the distribution of the next one: an
    embedding, LSTM or GRU layers, and a softmax over all tokens. Long texts are read in parts by
    truncated back-propagation through time. docs/generation.md is about it.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default "lstm"
        Kind of the recurrent layers: LSTM, GRU or SimpleRNN.
    units : int, default 128
        Number of units in each recurrent layer.
    tokens : {"characters", "words", "subwords"}, path or callable, default "characters"
        What texts are cut into, see the `level` of :class:`gatewise.data.Vocabulary`. A callable
        receives a text and returns a list of tokens. Lists of tokens are taken as they are.
    lowercase : bool, default False
        Whether to convert texts to lower case.
    vocabulary_size : int or None, default None
        Largest number of tokens, the 3 or 4 that stand for padding, unknown tokens, start and end
        included; rarer ones are unknown. None: all tokens of the texts.
    end_token : bool, default True
        Whether the end of a text is predicted, too, so that generated texts may end. False: the
        texts are excerpts, of a book for example, whose ends mean nothing.
    num_layers : int, default 2
        Number of recurrent layers, each on top of the one before.
    dropout : float in [0, 1), default 0.1
        Share of the outputs of each recurrent layer that are set to zero in training.
    recurrent_dropout : float in [0, 1), default 0.0
        Share of the state that is set to zero in the recurrent product in training; the same units
        for all steps of a sequence.
    embedding : int or None, default 64
        Size of the vectors that tokens become; they are learned. None: one-hot vectors, which are
        better for the characters of a text of a million of them (docs/generation.md).
    architecture : {"recurrent", "normalization"}, callable or None, default None
        Layers around the recurrent ones. None or "recurrent": those that the parameters describe.
        "normalization": after each of them layer normalization (Ba et al. 2016). A function makes
        all layers behind the embedding itself: it is called with n_steps, n_features (the size of
        the vectors) and n_outputs and returns a list of :mod:`gatewise.layers` objects that ends in
        n_outputs scores. No layer may look at later steps; and if texts are longer than
        `tbptt_steps`, only recurrent layers may look at earlier ones.
    alpha : float, default 0.0
        L2 penalty on kernels: ``alpha / 2`` times the sum of their squares, divided by the number
        of samples in a batch, is added to the loss.
    optimizer : str or Optimizer, default "adam"
        A name in :mod:`gatewise.optimizers`, or an optimizer, of which a copy is used;
        `learning_rate_init` and `clipnorm` have no effect on the latter.
    learning_rate : {"constant", "cosine", "adaptive"}, default "cosine"
        How the learning rate changes. "cosine": it falls along half a cosine over `max_iter`
        passes, all of which are run unless `early_stopping` ends them. "adaptive": it is divided by
        5 each time that training would end. `partial_fit` uses a constant rate with "cosine".
    learning_rate_init : float, default 0.004
        Learning rate of the first step.
    clipnorm : float or None, default 1.0
        Largest norm of the whole gradient; a larger gradient is scaled down to it. None: no limit.
    batch_size : int or "auto", default "auto"
        Rows of text that are trained on together. A text that has more than its share of all
        tokens, for this number of rows, is cut into pieces of at least `tbptt_steps`. "auto": 8 to
        32 pieces of long texts, as many that a pass makes 16 steps; if nothing is cut, as many
        texts.
    tbptt_steps : int, default 64
        Tokens of each row that a step of the optimizer sees. The state continues from part to part
        of a piece; gradients do not (Williams and Peng 1990).
    max_iter : int, default 20
        Largest number of passes over the samples.
    shuffle : bool, default True
        Whether each pass takes the samples in a new random order.
    early_stopping : bool, default False
        Whether to hold out part of the samples, end training when their score no longer rises, and
        keep the weights that had the best score.
    validation_fraction : float in (0, 1), default 0.1
        Share of the samples that `early_stopping` holds out.
    n_iter_no_change : int, default 10
        Training ends after more than this number of passes in a row without an improvement by
        `tol`.
    tol : float, default 0.0001
        Least improvement of the loss, or with `early_stopping` of the score, that counts as one.
    warm_start : bool, default False
        Whether `fit` continues from the weights of the last fit.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the network.
    random_state : int, RandomState or None, default None
        Seed of all random draws: initial weights, held-out samples, order, dropout. None: other
        draws in each call.
    verbose : bool, 0, 1 or 2, default False
        True or 1: print a line for each pass, and in a terminal or notebook show a bar with the
        time left. 2: lines only. False or 0: nothing.
    n_jobs : int or None, default None
        Number of threads. None: :func:`gatewise.get_num_threads`; -1: all processors. The results
        have the same bits for any number.

    Attributes
    ----------
    vocabulary_ : gatewise.data.Vocabulary
        The tokens and their numbers.
    vocabulary_size_ : int
        Number of tokens.
    t_ : int
        Number of rows seen in training, texts or pieces of texts, each pass counted.
    model_ : Sequential
        The network.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        Activation of the output: "identity", "logistic", "softmax" or "exponential".
    loss_ : float
        Loss of the last pass.
    loss_curve_ : list of float
        Loss of each pass.
    best_loss_ : float or None
        Lowest loss of a pass; None with `early_stopping`.
    validation_scores_ : list of float or None
        Score of the held-out samples after each pass, with `early_stopping`; else None.
    best_validation_score_ : float or None
        Highest of these scores, whose weights are kept; None without `early_stopping`.
    n_iter_ : int
        Number of passes of the last fit.

    Examples
    --------
    >>> from gatewise import SequenceGenerator
    >>> names = ["anna", "hanna", "johanna", "susanna", "marianna", "rosanna"] * 4
    >>> options = {"learning_rate_init": 0.02, "max_iter": 30, "random_state": 0}
    >>> generator = SequenceGenerator("gru", 16, num_layers=1, **options).fit(names)
    >>> generator.generate("joh", temperature=0)
    'anna'
    >>> generator.perplexity(["hanna"]) < generator.perplexity(["qbwtz"])
    True
    """

    bidirectional = False
    _needed: ClassVar[tuple[str, ...]] = (
        "n_outputs_",
        "out_activation_",
        "t_",
        "n_iter_",
        "loss_curve_",
        "vocabulary_size_",
    )
    _own_state: ClassVar[tuple[str, ...]] = ("vocabulary_",)
    vocabulary_: Vocabulary
    _target: NextTokens

    def __init__(
        self,
        cell: str = "lstm",
        units: int = 128,
        *,
        tokens: str | Callable[[str], Sequence[str]] = "characters",
        lowercase: bool = False,
        vocabulary_size: int | None = None,
        end_token: bool = True,
        num_layers: int = 2,
        dropout: float = 0.1,
        recurrent_dropout: float = 0.0,
        embedding: int | None = 64,
        architecture: str | Callable[..., list[Layer]] | None = None,
        alpha: float = 0.0,
        optimizer: str | Optimizer = "adam",
        learning_rate: str = "cosine",
        learning_rate_init: float = 4e-3,
        clipnorm: float | None = 1.0,
        batch_size: int | str = "auto",
        tbptt_steps: int = 64,
        max_iter: int = 20,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        n_jobs: int | None = None,
    ) -> None:
        self.cell = cell
        self.units = units
        self.tokens = tokens
        self.lowercase = lowercase
        self.vocabulary_size = vocabulary_size
        self.end_token = end_token
        self.num_layers = num_layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.embedding = embedding
        self.architecture = architecture
        self.alpha = alpha
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.clipnorm = clipnorm
        self.batch_size = batch_size
        self.tbptt_steps = tbptt_steps
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = False
        tags.input_tags.string = True
        return tags

    # ---- fitting

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to texts.

        Parameters
        ----------
        X : sequence of n str, or of n lists of str
            Texts, or lists of their tokens. A single long text is a list of one.
        y : ignored
            Only for the interface of scikit-learn.
        sample_weight : array_like (n,), default None
            Weights of the texts, not negative. A text of weight 0 is left out. None: all are 1.

        Returns
        -------
        SequenceGenerator
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self._fit(X, sample_weight, incremental=False)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one pass over these texts, from the weights that there are.

        The first call decides which tokens there are; others are unknown later.

        Parameters
        ----------
        X : sequence of n str, or of n lists of str
            As in :meth:`fit`.
        y : ignored
            Only for the interface of scikit-learn.
        sample_weight : array_like (n,), default None
            As in :meth:`fit`.

        Returns
        -------
        SequenceGenerator
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self._fit(X, sample_weight, incremental=True)

    def _fit(self, X: Any, sample_weight: Any, *, incremental: bool) -> Self:
        if incremental and self.early_stopping:
            raise ConfigError("partial_fit does not support early_stopping=True")
        goes_on = hasattr(self, "model_") and (
            incremental or checks.flag(self.warm_start, "warm_start")
        )
        with transaction_of(self, with_model=goes_on):
            self._begin(goes_on, incremental)
            texts, weights = counted_texts([*listed_texts(X)], sample_weight)
            if not goes_on:
                self._learn_tokens(texts)
            rows = self.vocabulary_.transform(texts)
            kept = np.array([len(row) > 1 for row in rows])
            if not kept.any():
                raise ShapeError("X holds no tokens to learn from: every text is empty")
            rows = [row for row, keep in zip(rows, kept) if keep]
            part = checks.whole_number(self.tbptt_steps, "tbptt_steps")
            wanted = rows_wanted(sum(map(len, rows)), self.batch_size, part)
            wanted = checks.whole_number(wanted, "batch_size")
            pieces, targets, source = pieces_of(rows, wanted, part)
            weights = None if weights is None else weights[kept][source]
            with self._using_threads():
                self._train(
                    Examples(pieces, targets, weights), goes_on=goes_on, incremental=incremental
                )
        return self

    def _learn_tokens(self, texts: list[Any]) -> None:
        ends = checks.flag(self.end_token, "end_token")
        check_level(self.tokens, "tokens")
        least = 5 if ends else 4  # padding, unknown, start, end, and a token
        checks.optional_number(self.vocabulary_size, "vocabulary_size", least)
        vocabulary = Vocabulary(
            self.tokens,
            lowercase=self.lowercase,
            max_size=self.vocabulary_size,
            start=START,
            end=END if ends else None,
        )
        self.vocabulary_ = vocabulary.fit(texts)
        self.vocabulary_size_: int = len(vocabulary)
        if vocabulary.decode([self.vocabulary_size_ - 1]) in ("", []):
            raise ConfigError(
                "X has no tokens beside those that stand for padding, unknown tokens, start and"
                " end: every text is empty; give texts"
            )
        self._target = NextTokens(self.vocabulary_size_)

    def _vector_size(self) -> int:
        return super()._vector_size() or 0

    def _build(self, examples: Examples, batch_size: int) -> None:
        super()._build(examples, batch_size)
        self.model_._stepper()  # refuses layers that cannot run step by step

    def _layers(
        self, shape: tuple[int, ...], outputs: int, activation: str, penalty: Regularizer | None
    ) -> list[Layer]:
        if isinstance(self.architecture, str):
            parameters.chosen(self.architecture, "architecture", ("recurrent", "normalization"))
        return super()._layers(shape, outputs, activation, penalty)

    def _steps_of_a_part(self, examples: Examples) -> int | None:
        longest = examples.sequences.values.shape[1]
        return self.tbptt_steps if longest > self.tbptt_steps else None

    def _steps_of_a_pass(self, examples: Examples, batch_size: int) -> int:
        lengths = np.sort(examples.sequences.each_length)[::-1]
        return int((-(-lengths[::batch_size] // self.tbptt_steps)).sum())

    def _split(self, examples: Examples) -> tuple[Examples, Examples]:
        """Hold out texts; of texts that are cut into pieces, the last part of each piece."""
        if not getattr(examples.sequences, "cut", False):
            return super()._split(examples)
        fraction = checks.number(
            self.validation_fraction,
            "validation_fraction",
            0.0,
            1.0,
            open_low=True,
            open_high=True,
        )
        return split_ends(examples, fraction)

    def _score_of(self, held_out: Examples) -> float:
        sequences, targets = held_out.sequences, held_out.targets
        lengths = sequences.each_length
        rows = [
            np.concatenate([read[:count], said[count - 1 : count]])
            for read, said, count in zip(sequences.values, targets, lengths)
        ]
        with self._using_threads():
            likelihoods = log_likelihoods(self.model_, rows)
        return self._target.score(lengths, likelihoods, held_out.weights)

    # ---- using it

    def generate(
        self,
        prompt: Any = "",
        steps: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Any:
        """Return how a text continues, by tokens that are drawn one after the other.

        Parameters
        ----------
        prompt : str or list of str, default ""
            What has come before, as an element of X; or a list of them, which are continued
            together. "" begins a text.
        steps : int, default 200
            The largest number of tokens. A text may end before, if `end_token` is True.
        temperature : float, default 1.0
            Above 1 evens the probabilities out, below 1 sharpens them. 0: the most probable token.
        top_k : int or None, default None
            Draw from this number of the most probable tokens. None: all.
        top_p : float in (0, 1] or None, default None
            Draw from the fewest tokens whose probabilities sum to at least `top_p`. None: all.
        random_state : int, RandomState or None, default None
            Seed of the draws. None: other draws in each call.

        Returns
        -------
        str, or list of str
            What follows the prompt, without it: a text if `fit` was given texts, else a list of
            tokens. A list of them if there are several prompts. Padding, start and unknown tokens
            are never drawn.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, DTypeError
            An argument is not as described.
        """
        self._need_fitted()
        choice = Choice.checked(temperature, top_k, top_p)
        steps = checks.whole_number(steps, "steps")
        prompts, single = self._prompts(prompt)
        vocabulary = self.vocabulary_
        rows = [vocabulary.encode(each, end=False) for each in prompts]
        self._warn_of_unknown(rows)
        checks.fits_memory(2 * len(rows) * steps, "float64", "the drawn tokens")
        seed = parameters.seed_of(random_state)
        draws = np.stack(
            [np.random.default_rng((seed, row)).random(steps) for row in range(len(rows))]
        )
        source = ModelSource(
            self.model_,
            never=[vocabulary.padding_index_, vocabulary.unknown_index_, vocabulary.start_index_],
        )
        with self._using_threads(), self.model_.unchanged():
            found = draw(source, source.begin(rows), steps, choice, draws, vocabulary.end_index_)
        texts = [vocabulary.decode(row) for row in found]
        return texts[0] if single else texts

    def _prompts(self, prompt: Any) -> tuple[list[Any], bool]:
        """Return (prompts, whether there is only one)."""
        if isinstance(prompt, str):
            if not self.vocabulary_._strings and prompt:
                raise DTypeError(
                    f"prompt is {prompt!r:.60}; this generator was fitted with lists of tokens:"
                    " give a list of tokens, or a list of such lists"
                )
            return [prompt if self.vocabulary_._strings else []], True
        prompts = checks.listed(prompt, "prompt", "texts, or tokens of one text")
        one = not self.vocabulary_._strings and all(isinstance(each, str) for each in prompts)
        if one:
            return [prompts], True
        if not prompts:
            raise ShapeError("prompt holds no prompts; give at least one, '' begins a text")
        return prompts, False

    def _warn_of_unknown(self, rows: list[IntArray]) -> None:
        count = sum(int((row == self.vocabulary_.unknown_index_).sum()) for row in rows)
        if count:
            checks.warn(
                f"{count} token{'s' if count > 1 else ''} of the prompt did not occur in fit, and"
                " mean nothing to the network",
                PredictionWarning,
            )

    def perplexity(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the perplexity of texts: how many equally probable tokens would be as uncertain.

        It is the exponential of the mean of -log p over all tokens of all texts, of the end of each
        text, too, if `end_token` is True.

        Parameters
        ----------
        X : sequence of n str, or of n lists of str
            Texts, or lists of their tokens.
        sample_weight : array_like (n,), default None
            Weights of the texts, not negative. None: all are 1.

        Returns
        -------
        float
            From 1 up; less is better.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X is not as in `fit`, or holds no tokens.
        """
        return -self.score(X, sample_weight=sample_weight)

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Return minus the perplexity of texts.

        Parameters
        ----------
        X : sequence of n str, or of n lists of str
            Texts, or lists of their tokens.
        y : ignored
            Only for the interface of scikit-learn.
        sample_weight : array_like (n,), default None
            Weights of the texts, not negative. None: all are 1.

        Returns
        -------
        float
            At most -1; more is better.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X is not as in `fit`, or holds no tokens.
        """
        self._need_fitted()
        texts, weights = counted_texts([*listed_texts(X)], sample_weight)
        rows = self.vocabulary_.transform(texts)
        kept = np.array([len(row) > 1 for row in rows])
        if not kept.any():
            raise ShapeError("X holds no tokens: every text is empty")
        rows = [row for row, keep in zip(rows, kept) if keep]
        with self._using_threads():
            likelihoods = log_likelihoods(self.model_, rows)
        counts = np.array([len(row) - 1 for row in rows])
        return self._target.score(counts, likelihoods, None if weights is None else weights[kept])

    # ---- files

    def _get_state(self) -> dict[str, Any]:
        return {"vocabulary": pack_transformer(self.vocabulary_, {})}

    def _set_state(self, state: dict[str, Any]) -> None:
        vocabulary = unpack_transformer(state["vocabulary"], {})
        if not isinstance(vocabulary, Vocabulary) or len(vocabulary) != self.n_outputs_:
            raise CheckpointError(
                f"the state of a {type(self).__name__} holds no vocabulary of the"
                f" {self.n_outputs_} tokens that its model predicts"
            )
        self.vocabulary_ = vocabulary

    def _restore_target(self, held: dict[str, Any]) -> None:
        self._target = NextTokens(held["vocabulary_size_"])
