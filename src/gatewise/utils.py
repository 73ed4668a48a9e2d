"""Labels, ragged lists and seeds, with the names and meaning of Keras's; decoding for CTC."""

import importlib
import operator
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import checks, seeds
from ._typing import Array, ArrayLike, BoolArray
from .configuration import custom_object_scope
from .errors import ConfigError, DTypeError, ShapeError, SizeError
from .memory import names_memory

__all__ = [
    "ctc_decode",
    "custom_object_scope",
    "pad_sequences",
    "plot_model",
    "set_random_seed",
    "to_categorical",
]

if TYPE_CHECKING:
    plot_model: Callable[..., Any]
else:

    def __getattr__(name):
        """Find what Keras has here, and what stands on models, which stand on this module."""
        if name == "plot_model":
            return importlib.import_module("gatewise.models").plot_model
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def set_random_seed(seed: int) -> None:
    """Seed Python's and NumPy's generators, and models and layers made later without a seed.

    ``Sequential(seed=...)`` does the same for one model, whatever else is made.

    Parameters
    ----------
    seed : int
        From 0 to ``2**32 - 1``.

    Raises
    ------
    DTypeError, ConfigError
        `seed` is no whole number, or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.utils import set_random_seed
    >>> set_random_seed(1)
    >>> float(np.random.rand())
    0.417022004702574
    """
    seed = _integer("seed", seed, least=0)
    if seed >= 2**32:
        raise ConfigError(f"seed is {seed}; expected at most {2**32 - 1}")
    random.seed(seed)
    np.random.seed(seed)
    seeds.set_root(seed)


@names_memory
def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """Make one-hot rows of class numbers.

    Parameters
    ----------
    x : array_like of int, any shape
        Classes from 0 to ``num_classes - 1``. Floats that hold whole numbers are accepted too.
        A last axis of extent 1 is dropped, unless it is the only one.
    num_classes : int, optional
        Number of classes. None: the largest label plus one.

    Returns
    -------
    ndarray of shape (..., num_classes), float64
        1 at the class, 0 elsewhere; the class axis is last.

    Raises
    ------
    DTypeError
        A label is not a whole number. (Keras cuts fractions off.)
    ShapeError
        A label is negative or too large, or there is none to count the classes from.
    ConfigError
        ``num_classes`` is below 1.
    SizeError
        The result does not fit into memory.

    Examples
    --------
    >>> from gatewise.utils import to_categorical
    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = _labels(x)
    if num_classes is not None:
        num_classes = _integer("num_classes", num_classes, least=1)
    elif labels.size == 0:
        raise ShapeError("x holds no labels to count the classes from; give num_classes")
    else:
        num_classes = max(int(labels.max()), 0) + 1

    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        where = _first(outside)
        raise ShapeError(
            f"label {labels[where]} at {_place(where)} of x is outside 0 to {num_classes - 1}; "
            "number the classes from 0, or give a larger num_classes"
        )

    shape = labels.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    try:
        one_hot = np.zeros((labels.size, num_classes))
    except (MemoryError, ValueError) as error:  # NumPy's word for "too many bytes to address"
        raise SizeError(
            f"{labels.size} labels of {num_classes} classes need {8 * labels.size * num_classes:,}"
            " bytes; a sparse_categorical_crossentropy loss takes the labels as they are"
        ) from error
    one_hot[np.arange(labels.size), labels.ravel()] = 1
    return one_hot.reshape(*shape, num_classes)


def _labels(x: ArrayLike) -> Array:
    """x as int64; values that the conversion would change are refused."""
    try:
        given = np.asarray(x)
    except ValueError as error:
        raise ShapeError(
            "x holds rows of different lengths; labels must form a rectangular array"
        ) from error
    advice = "expected whole numbers from 0; np.unique(x, return_inverse=True) numbers other labels"
    if given.size == 0:
        return given.astype(np.int64)
    if given.dtype.kind not in "biufO":
        raise DTypeError(f"x has dtype {given.dtype}; {advice}")
    try:
        with np.errstate(invalid="ignore"):
            labels = given.astype(np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DTypeError(
            f"x holds labels that are not numbers an int64 can hold; {advice}"
        ) from error
    changed = np.asarray(labels != given)
    if changed.any():
        where = _first(changed)
        raise DTypeError(
            f"label {given[where]!r} at {_place(where)} of x is not a whole number; {advice}"
        )
    return labels


@names_memory
def pad_sequences(
    sequences: Sequence[ArrayLike],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: Literal["pre", "post"] = "pre",
    truncating: Literal["pre", "post"] = "pre",
    value: float | str = 0.0,
) -> Array:
    """Pad or cut sequences of different lengths to one array.

    Parameters
    ----------
    sequences : list of n array_like, each of shape (time, ...)
        All axes after the first must agree. Empty sequences become padding only.
    maxlen : int, optional
        Number of steps in the result. None: those of the longest sequence.
    dtype : str, type or dtype, default "int32"
        Type of the result. The default suits tokens; name a floating type for measurements, and
        ``object`` for strings.
    padding, truncating : {"pre", "post"}, default "pre"
        Which end is filled, and which end is cut. The layers of gatewise take ``lengths`` with
        arrays that are padded at the end: use ``padding="post"`` for those.
    value : number or str, default 0
        Fills the padding.

    Returns
    -------
    ndarray of shape (n, maxlen, ...), dtype ``dtype``
        The sequences, one a row.

    Raises
    ------
    ShapeError
        ``sequences`` is no list of sequences, their trailing shapes differ, or it is empty and
        ``maxlen`` is not given.
    ConfigError
        A word other than "pre" and "post", a negative ``maxlen``, a type that cannot hold
        ``value``.
    DTypeError
        ``dtype`` would change the numbers: fractions or overflow in an integer type. (Keras cuts
        them off.) Floating types may round.
    SizeError
        The result does not fit into memory.

    Examples
    --------
    >>> from gatewise.utils import pad_sequences
    >>> pad_sequences([[1, 2, 3], [4]], padding="post")
    array([[1, 2, 3],
           [4, 0, 0]], dtype=int32)
    """
    for name, word in (("padding", padding), ("truncating", truncating)):
        if not (isinstance(word, str) and word in ("pre", "post")):
            raise ConfigError(f"{name} is {word!r}; expected 'pre' or 'post'")
    try:
        dtype = np.dtype(dtype)
    except TypeError as error:
        raise ConfigError(
            f"dtype is {dtype!r}, unknown to NumPy; expected one like 'int32'"
        ) from error
    if isinstance(value, str | bytes) and dtype.kind not in "OUS":
        raise ConfigError(f"value is {value!r} but dtype is {dtype}; use dtype=object for strings")

    lengths = _lengths(sequences)
    if maxlen is not None:
        maxlen = _integer("maxlen", maxlen, least=0)
    elif lengths:
        maxlen = max(lengths)
    else:
        raise ShapeError("sequences is empty, so there is no longest one; give maxlen")
    arrays = [_sequence(s, dtype, n) for n, s in enumerate(sequences)]

    # The first sequence that has a step gives the trailing axes.
    first = next((n for n, length in enumerate(lengths) if length), None)
    trailing = () if first is None else arrays[first].shape[1:]
    shape = (len(arrays), maxlen, *trailing)
    try:
        padded = np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise SizeError(
            f"an array of shape {shape} and dtype {dtype} does not fit into memory"
        ) from error
    if np.ndim(value):
        raise ShapeError(f"value has shape {np.shape(value)}; expected one number")
    padded[...] = _converted(np.asarray(value), padded.dtype, "value")

    for n, array in enumerate(arrays):
        if not len(array):
            continue
        if array.shape[1:] != trailing:
            raise ShapeError(
                f"sequences[{n}] has steps of shape {array.shape[1:]}, sequences[{first}] of"
                f" {trailing}; every step of every sequence must have one shape"
            )
        steps = min(len(array), maxlen)
        kept = array[len(array) - steps :] if truncating == "pre" else array[:steps]
        kept = _converted(kept, padded.dtype, f"sequences[{n}]")
        start = maxlen - steps if padding == "pre" else 0
        padded[n, start : start + steps] = kept
    return padded


def _lengths(sequences: Any) -> list[int]:
    """Number of steps of each sequence."""
    if not hasattr(sequences, "__len__") or isinstance(sequences, str | bytes):
        raise ShapeError(
            f"sequences is of type {type(sequences).__name__}; expected a list of sequences "
            "(list() makes one of an iterator)"
        )
    lengths = []
    try:
        for s in sequences:
            lengths.append(len(s))
            if isinstance(s, set | frozenset | dict):
                raise TypeError
    except TypeError as error:
        raise ShapeError(
            f"sequences[{len(lengths)}] is of type {type(s).__name__}, not a sequence; "
            "wrap a single sequence in a list: [sequence]"
        ) from error
    return lengths


def _sequence(sequence: ArrayLike, dtype: np.dtype[Any], n: int) -> Array:
    """Sequence number n as an array."""
    try:
        return np.asarray(sequence, dtype=object if dtype.kind == "O" else None)
    except ValueError as error:
        raise ShapeError(
            f"the steps of sequences[{n}] differ in shape; every step of every sequence must have"
            " one shape"
        ) from error


def _converted(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """array as dtype; integers and strings must not change, floating types may round."""
    if dtype.kind == "O":
        return array
    advice = "use dtype=object for strings, a floating or wider dtype for numbers"
    text = array.dtype.kind in "US"
    if text != (dtype.kind in "US") or (array.dtype.kind == "c" and dtype.kind != "c"):
        raise DTypeError(
            f"{name} has dtype {array.dtype}, which dtype {dtype} cannot hold; {advice}"
        )
    try:
        with np.errstate(invalid="ignore"):
            converted = array.astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise DTypeError(
            f"{name} cannot be converted to dtype {dtype}: {error}; {advice}"
        ) from error
    if dtype.kind in "iuUS":
        changed = np.asarray(converted != array)
        if changed.any():
            where = _first(changed)
            raise DTypeError(
                f"{name} holds {array[where]!r}, which dtype {dtype} cannot hold; {advice}"
            )
    return converted


def _integer(name: str, number: Any, least: int) -> int:
    try:
        if isinstance(number, bool | np.bool_):
            raise TypeError
        whole = operator.index(number)
    except TypeError as error:
        raise DTypeError(
            f"{name} is {number!r}; expected an int of at least {least}, or None"
        ) from error
    if whole < least:
        raise ConfigError(f"{name} is {whole}; expected at least {least}, or None")
    return whole


def _first(mask: BoolArray) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _place(where: tuple[int, ...]) -> str:
    """An index as text."""
    return f"index {where[0] if len(where) == 1 else where}" if where else "the one element"


@names_memory
def ctc_decode(
    probabilities: ArrayLike,
    lengths: ArrayLike | None = None,
    beam_width: int = 1,
    blank: int = 0,
    from_logits: bool = False,
) -> tuple[list[list[int]], Array]:
    """Decode the outputs of a model that was trained with CTC.

    Parameters
    ----------
    probabilities : array_like (batch, steps, classes)
        Outputs of a softmax, numbers in [0, 1]. With `from_logits`, its inputs.
    lengths : array_like (batch,), int, optional
        Number of steps in each row; later steps are ignored. None: all.
    beam_width : int, default 1
        1: take the most probable class of each step, merge equal neighbours, drop blanks. More:
        prefix beam search (Hannun et al. 2014), which adds up all alignments of a labelling and
        keeps this many labellings after each step.
    blank : int, default 0
        Number of the blank class.
    from_logits : bool, default False
        True: `probabilities` holds scores, of a model that ends without a softmax.

    Returns
    -------
    labels : list of list of int
        The labels of each row.
    scores : ndarray (batch,), float64
        Logarithm of the probability of the most probable alignment (beam_width 1), or of the
        labelling, over the alignments that were kept.

    Raises
    ------
    ShapeError, DTypeError, ConfigError, NonFiniteError

    Examples
    --------
    >>> from gatewise.utils import ctc_decode
    >>> labels, scores = ctc_decode([[[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]])
    >>> labels
    [[1]]
    """
    p = checks.float_array(probabilities, "probabilities", "float64", convert=True)
    if p.ndim != 3 or p.shape[-1] == 0:
        raise ShapeError(f"probabilities has shape {p.shape}; expected (batch, steps, classes)")
    beam_width = checks.whole_number(beam_width, "beam_width")
    blank = checks.whole_number(blank, "blank", 0)
    if blank >= p.shape[-1]:
        raise ConfigError(
            f"blank is {blank}; there are {p.shape[-1]} classes, 0 to {p.shape[-1] - 1}"
        )
    steps = checks.sequence_lengths(lengths, *p.shape[:2])
    read = _softmax_of if checks.flag(from_logits, "from_logits") else _probabilities_of
    rows = [read(row if steps is None else row[: steps[n]], n) for n, row in enumerate(p)]
    found = [
        _best_path(row, blank) if beam_width == 1 else _best_labelling(row, beam_width, blank)
        for row in rows
    ]
    return [labels for labels, _ in found], np.array([score for _, score in found], np.float64)


def _softmax_of(row: Array, n: int) -> Array:
    """Probabilities for the scores of one row."""
    checks.finite(row, f"scores[{n}]")
    powers: Array = np.exp(row - row.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _probabilities_of(row: Array, n: int) -> Array:
    """The steps of one row; numbers that cannot be probabilities are refused."""
    checks.finite(row, f"probabilities[{n}]")
    bad = (row < 0) | (row > 1 + 1e-4)
    if bad.any():
        where = _first(bad)
        raise ConfigError(
            f"probabilities[{n}] holds {row[where]} at index {where}; expected numbers from 0 to 1:"
            " of scores, give from_logits=True"
        )
    return row


def _best_path(p: Array, blank: int) -> tuple[list[int], float]:
    """(labels, log probability) of the most probable alignment."""
    path = p.argmax(axis=1)
    first = np.ones(len(path), bool)
    first[1:] = path[1:] != path[:-1]
    with np.errstate(divide="ignore"):
        return path[first & (path != blank)].tolist(), float(np.log(p.max(axis=1)).sum())


def _best_labelling(p: Array, width: int, blank: int) -> tuple[list[int], float]:
    """(labels, log probability) of the best labelling, with `width` of them kept at each step.

    A labelling is a tuple of labels with two probabilities: of its alignments that end in a blank,
    and of those that end in its last label. They are scaled to a maximum of 1 at each step.
    """
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    scale = 0.0
    for step in p:
        # Of all continuations of one labelling only the `width` most probable can be kept, besides
        # the one by its last label.
        likely = [k for k in np.argsort(-step, kind="stable")[: width + 2].tolist() if k != blank]
        grown: dict[tuple[int, ...], tuple[float, float]] = {}
        for labels, (blank_end, label_end) in kept.items():
            both = blank_end + label_end
            last = labels[-1] if labels else None
            _add(grown, labels, both * step[blank], label_end * step[last] if labels else 0.0)
            for k in likely:
                _add(grown, (*labels, k), 0.0, (blank_end if k == last else both) * step[k])
        # A kept labelling may also continue another one by an improbable label.
        for labels in kept:
            if labels and labels[:-1] in kept and labels[-1] not in likely:
                blank_end, label_end = kept[labels[:-1]]
                repeated = len(labels) > 1 and labels[-1] == labels[-2]
                _add(
                    grown,
                    labels,
                    0.0,
                    (blank_end if repeated else blank_end + label_end) * step[labels[-1]],
                )
        best = sorted(grown, key=lambda labels: -sum(grown[labels]))[:width]
        top = sum(grown[best[0]])
        if top == 0:
            return list(best[0]), -float("inf")
        kept = {
            labels: (grown[labels][0] / top, grown[labels][1] / top)
            for labels in best
            if sum(grown[labels]) > 0
        }
        scale += float(np.log(top))
    likeliest = max(kept, key=lambda labels: sum(kept[labels]))
    return list(likeliest), scale + float(np.log(sum(kept[likeliest])))


def _add(
    labellings: dict[tuple[int, ...], tuple[float, float]],
    labels: tuple[int, ...],
    blank_end: float,
    label_end: float,
) -> None:
    """Add to the two probabilities of a labelling."""
    before = labellings.get(labels, (0.0, 0.0))
    labellings[labels] = (before[0] + blank_end, before[1] + label_end)
