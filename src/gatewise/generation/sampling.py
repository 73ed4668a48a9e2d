"""Symbols drawn one after the other, or the most probable one at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, seeds
from gatewise.errors import ConfigError, ShapeError
from gatewise.memory import names_memory

from .choosing import Choice
from .source import ModelSource, read_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, ArrayLike, IntArray

    from .source import Source


@names_memory
def sample(
    model: Any,
    prompt: ArrayLike | Sequence[ArrayLike],
    steps: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | Sequence[int] | None = None,
    *,
    end: int | None = None,
) -> Array | Any:
    """Continue sequences by symbols drawn from a model's distributions.

    The scores (logarithms of probabilities) are divided by the temperature; of these, `top_k` keeps
    the highest, and of what remains, `top_p` keeps the most probable (Holtzman et al. 2020). The
    model reads the prompt and then each drawn symbol, in one step each; it and its state do not
    change.

    Parameters
    ----------
    model : Sequential or Model
        Its output is a distribution over the next symbol (softmax) or the scores of one (linear),
        at each step or at the last one. It reads symbols as whole numbers, by an Embedding, or as
        one-hot vectors, which are made from the numbers. All layers are causal.
    prompt : array_like of int, shape (symbols,), or a list of them
        What has come before, at least one symbol; or several prompts of any lengths, which are
        continued together.
    steps : int
        Number of symbols to draw for each prompt.
    temperature : float, default 1.0
        Above 1 evens the probabilities out, below 1 sharpens them. 0: the most probable symbol, as
        :func:`greedy` takes it.
    top_k : int, optional
        Draw from this number of the most probable symbols (more if several are equal to the last
        one). None: all.
    top_p : float in (0, 1], optional
        Draw from the fewest symbols whose probabilities sum to at least `top_p`. None: all.
    seed : int or list of int, optional
        Seed of the draws: those for prompt k follow from ``(seed, k)``; with a list, from
        ``(seed[k], 0)``, so that each prompt has the same continuation alone or beside others.
        None: a random one.
    end : int, optional
        The symbol that ends a sequence. It is not returned. None: there is none.

    Returns
    -------
    ndarray of shape (steps,), int32, or list of them
        The symbols after the prompt, fewer than `steps` if `end` was drawn. A list if there are
        several prompts.

    Raises
    ------
    ConfigError
        An argument has a wrong value, the model does not predict symbols, or one of its layers
        cannot run step by step.
    ShapeError, DTypeError
        A prompt is empty, or does not hold symbols of the model.
    StateError
        The model is not built.

    Examples
    --------
    >>> from gatewise import Sequential, layers
    >>> from gatewise.generation import sample
    >>> model = Sequential(
    ...     [layers.GRU(8, input_shape=(None, 5)), layers.Dense(5, "softmax")], seed=0
    ... )
    >>> model.build((None, None, 5))
    >>> sample(model, [0, 3], 6, temperature=0.8, top_k=3, seed=1).shape
    (6,)
    """
    choice = Choice.checked(temperature, top_k, top_p)
    steps = checks.whole_number(steps, "steps")
    source = ModelSource(model)
    prompts, single = read_prompts(prompt)
    checks.fits_memory(2 * len(prompts) * steps, "float64", "the drawn symbols")
    draws = _draws(seed, len(prompts), steps)
    end = checked_end(end, source.symbols)
    with model.unchanged():
        found = draw(source, source.begin(prompts), steps, choice, draws, end)
    return found[0] if single else found


@names_memory
def greedy(
    model: Any,
    prompt: ArrayLike | Sequence[ArrayLike],
    steps: int,
    *,
    end: int | None = None,
) -> Array | Any:
    """Continue sequences by the most probable symbol at each step.

    Parameters
    ----------
    model : Sequential or Model
        As in :func:`sample`.
    prompt : array_like of int, shape (symbols,), or a list of them
        What has come before, or several prompts.
    steps : int
        Number of symbols for each prompt.
    end : int, optional
        The symbol that ends a sequence. It is not returned. None: there is none.

    Returns
    -------
    ndarray of shape (steps,), int32, or list of them
        The symbols after the prompt, fewer than `steps` if `end` was found. A list if there are
        several prompts. Of equally probable symbols, the one with the lowest number is taken.

    Raises
    ------
    ConfigError, ShapeError, DTypeError, StateError
        As in :func:`sample`.

    Examples
    --------
    >>> from gatewise import Sequential, layers
    >>> from gatewise.generation import greedy
    >>> model = Sequential(
    ...     [layers.GRU(8, input_shape=(None, 5)), layers.Dense(5, "softmax")], seed=0
    ... )
    >>> model.build((None, None, 5))
    >>> [symbols.shape for symbols in greedy(model, [[0, 3], [4]], 6)]
    [(6,), (6,)]
    """
    return sample(model, prompt, steps, temperature=0.0, end=end)


def draw(
    source: Source,
    scores: Array,
    steps: int,
    choice: Choice,
    draws: Array | None = None,
    end: int | None = None,
) -> list[IntArray]:
    """Return the symbols that each row of a source continues with.

    Parameters
    ----------
    source : Source
        Rows of sequences.
    scores : ndarray of shape (rows, symbols), float64
        The scores of the first symbols.
    steps : int
        The largest number of symbols.
    choice : Choice
        How a symbol is chosen.
    draws : ndarray of shape (rows, steps), float64, optional
        Uniform draws from [0, 1). None: none are needed, because the temperature is 0.
    end : int, optional
        The symbol that ends a row; it is left out.
    """
    rows = len(scores)
    if draws is None:
        draws = np.zeros((rows, 1)).repeat(steps, axis=1)
    symbols = np.empty((rows, steps), np.int32)
    counts = np.full(rows, steps)
    running = np.arange(rows)
    for t in range(steps):
        chosen = choice.pick(scores, draws[running, t])
        symbols[running, t] = chosen
        if end is not None:
            ended = chosen == end
            if ended.any():
                counts[running[ended]] = t
                source.take(np.flatnonzero(~ended))
                running, chosen = running[~ended], chosen[~ended]
        if t + 1 == steps or not len(running):
            break
        scores = source.step(chosen)
    return [row[:count].copy() for row, count in zip(symbols, counts)]


def _draws(seed: Any, rows: int, steps: int) -> Array:
    """Return uniform draws (rows, steps), those of a row independent of the number of rows."""
    if seed is None:
        seed = int(seeds.generator().integers(2**63))
    if isinstance(seed, list | tuple | np.ndarray):
        if len(seed) != rows:
            raise ShapeError(f"seed holds {len(seed)} seeds; expected one for each of {rows} rows")
        entropy = [(_given(each), 0) for each in seed]
    else:
        entropy = [(_given(seed), row) for row in range(rows)]
    return np.stack([np.random.default_rng(each).random(steps) for each in entropy])


def _given(seed: Any) -> int:
    found = checks.seed(seed)
    if found is None:
        raise ConfigError("seed holds None; expected whole numbers, or None in place of the list")
    return found


def checked_end(end: Any, symbols: int) -> int | None:
    """Return the symbol that ends a sequence, which must be one of the model's."""
    return None if end is None else checks.whole_number(end, "end", 0, symbols - 1)
