"""Where the scores of next symbols come from: the interface, and a model as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray

# Steps of prompts that are read in one pass, and numbers in its input; they bound its memory.
PIECE = 1024
PIECE_NUMBERS = 2**22


class Source(Protocol):
    """Sequences that grow by a symbol at a time, in rows.

    What chooses symbols knows no more of a model than this. Scores are logarithms of probabilities,
    float64, minus infinity for what cannot come next.
    """

    def step(self, symbols: IntArray, /) -> Array:
        """Append a symbol to each row; return the scores of the next ones, (rows, symbols)."""
        ...

    def take(self, rows: IntArray, /) -> None:
        """Put rows into another order, repeat or drop some: new row k continues row rows[k]."""
        ...


class ModelSource:
    """A model whose output, after each step, is a distribution over the next symbol.

    Its weights must not change while the source is used.

    Parameters
    ----------
    model : Sequential or Model
        Reads whole numbers (its first layer is an Embedding) or one-hot vectors. Its output has an
        entry for each symbol: probabilities if it ends in a softmax, else their logarithms up to a
        constant.
    never : list of int, optional
        Symbols that never come next.

    Raises
    ------
    ConfigError
        The model does not predict symbols, or one of its layers cannot step.
    DTypeError
        It is not a model.
    StateError
        It is not built.
    """

    def __init__(self, model: Any, never: Sequence[int | None] = ()) -> None:
        if not hasattr(model, "_stepper"):
            raise DTypeError(f"model is {model!r:.80}; expected a gatewise model")
        self._stepper = model._stepper(scores=True, fixed=True)
        self._dtype = model.dtype
        self.symbols: int = model.output_shape[-1]
        self._numbers = self._reads_numbers(model)
        activation = model._last_activation()
        if activation not in (None, "linear", "softmax", "log_softmax"):
            raise ConfigError(
                f"the output of model {model.name!r} is a {activation}; expected a distribution"
                " over the next symbol (softmax) or its scores (linear)"
            )
        self._gives_probabilities = activation == "softmax" and not self._stepper.gives_scores
        # 0 is padding to an Embedding(mask_zero=True): it is never the next symbol
        self.padded: bool = (
            self._numbers and model._compute_mask(np.zeros((1, 1), np.int32)) is not None
        )
        self._never = [*filter(None, never), *([0] if self.padded or 0 in never else [])]

    def _reads_numbers(self, model: Any) -> bool:
        """Whether the model reads whole numbers instead of one-hot vectors; checks its input."""
        shape = model.input_shape
        first = model._port(0)
        if len(shape) == 2 and first.reads_steps:
            read = first.input_dim
        elif len(shape) == 3:
            read = shape[-1]
        else:
            read = None
        if read is None or read < self.symbols:
            reads = f"{read} symbols" if read else "no symbols"
            raise ConfigError(
                f"model {model.name!r} reads {reads} (input {shape}) and predicts {self.symbols}"
                f" (output {model.output_shape}): it has to read what it predicts, as whole numbers"
                " by an Embedding, or as one-hot vectors"
            )
        self._read = read
        return len(shape) == 2

    def begin(self, prompts: Sequence[IntArray]) -> Array:
        """Read a prompt for each row; return the scores of the next symbols, (rows, symbols)."""
        lengths = np.array([len(prompt) for prompt in prompts])
        self._check(prompts)
        rows, longest = len(prompts), int(lengths.max())
        scores = np.empty((rows, self.symbols))
        width = 1 if self._numbers else self._read
        piece = min(PIECE, max(1, PIECE_NUMBERS // (rows * width)))
        for at in range(0, longest, piece):
            counts = np.clip(lengths - at, 0, min(piece, longest - at))
            numbers = np.zeros((rows, counts.max()), np.int32)
            for row, prompt, count in zip(numbers, prompts, counts):
                row[:count] = prompt[at : at + count]
            full = bool(counts.min() == numbers.shape[1])
            output = self._stepper.advance(self._as_input(numbers), None if full else counts)
            ends = (counts > 0) & (lengths <= at + counts)
            if ends.any():
                scores[ends] = self._as_scores(output[ends])
        return scores

    def _check(self, prompts: Sequence[IntArray]) -> None:
        lowest = 1 if self.padded else 0
        for number, prompt in enumerate(prompts):
            if prompt.min() < lowest or prompt.max() >= self._read:
                wrong = prompt[(prompt < lowest) | (prompt >= self._read)][0]
                which = f"prompt {number}" if len(prompts) > 1 else "prompt"
                padding = " (0 is padding to its Embedding)" if self.padded else ""
                raise ShapeError(
                    f"{which} holds {wrong}; the model reads symbols from {lowest} to"
                    f" {self._read - 1}{padding}"
                )

    def step(self, symbols: IntArray, /) -> Array:
        return self._as_scores(self._stepper.advance(self._as_input(symbols[:, None])))

    def take(self, rows: IntArray, /) -> None:
        self._stepper.take(rows)

    def _as_input(self, numbers: IntArray) -> Array:
        if self._numbers:
            return np.ascontiguousarray(numbers, np.int32)
        vectors = np.zeros((*numbers.shape, self._read), self._dtype)
        np.put_along_axis(vectors, numbers[..., None], 1, axis=2)
        return vectors

    def _as_scores(self, output: Array) -> Array:
        scores = output.astype(np.float64)
        if self._gives_probabilities:
            with np.errstate(divide="ignore"):
                scores = np.log(scores)
        else:
            scores = log_softmax(scores)
        return checked_scores(scores, self._never)


def log_softmax(scores: Array) -> Array:
    """Return the logarithms of probabilities, from those up to a constant: (rows, symbols)."""
    with np.errstate(invalid="ignore"):
        # a symbol of one sequence takes microseconds: reduce is faster than max and sum
        scores = scores - np.maximum.reduce(scores, axis=1, keepdims=True)
        return scores - np.log(np.add.reduce(np.exp(scores), axis=1, keepdims=True))


def checked_scores(scores: Array, never: Sequence[int]) -> Array:
    """Return the scores of next symbols, in place minus infinity for those that never come.

    Raises
    ------
    NonFiniteError
        A score is NaN.
    """
    if np.logical_or.reduce(np.isnan(scores), axis=None):
        raise NonFiniteError(
            "the output of the model holds NaN or infinity: its weights cannot be used"
        )
    if never:
        scores[:, never] = -np.inf
    return scores


def read_prompts(prompt: Any) -> tuple[list[IntArray], bool]:
    """Return (prompts, whether it was only one) of what a user gave.

    Raises
    ------
    DTypeError, ShapeError
    """
    if isinstance(prompt, str) or (
        isinstance(prompt, list | tuple) and prompt and isinstance(prompt[0], str)
    ):
        raise DTypeError(
            f"prompt is {prompt!r:.60}; a model reads symbols as whole numbers: encode the text"
            " first (gatewise.data.Vocabulary), or use gatewise.SequenceGenerator"
        )
    if not isinstance(prompt, np.ndarray) or not prompt.ndim:
        prompt = checks.listed(prompt, "prompt", "whole numbers, or of lists of them")
    several = prompt.ndim > 1 if isinstance(prompt, np.ndarray) else _holds_rows(prompt)
    rows = list(prompt) if several else [prompt]
    if not rows:
        raise ShapeError("prompt holds no prompts; give at least one")
    return [
        _read_prompt(row, f"prompt {k}" if several else "prompt") for k, row in enumerate(rows)
    ], not several


def _holds_rows(prompts: list[Any]) -> bool:
    rows = [hasattr(row, "__len__") for row in prompts]
    if any(rows) and not all(rows):
        raise ShapeError(
            "prompt holds both numbers and rows of them; give one row of whole numbers, or a list"
            " of rows"
        )
    return any(rows)


def _read_prompt(row: Any, name: str) -> IntArray:
    if len(row) == 0:
        raise ShapeError(
            f"{name} is empty; give at least one symbol to begin with, such as a start token or a"
            " line break"
        )
    array = checks.whole_array(row, name, "expected symbols as whole numbers")
    if array.ndim != 1:
        raise ShapeError(
            f"{name} has shape {array.shape}; expected whole numbers (symbols,), or a list of such"
            " rows"
        )
    return array
