"""Small helpers for labels, ragged lists and seeds, with the names and meaning of Keras's; reading what CTC trained."""

import operator
import random

import numpy as np

from . import checks, seeds
from .configuration import custom_object_scope
from .errors import ConfigError, DTypeError, ShapeError, SizeError
from .memory import names_memory

__all__ = [
    "ctc_decode",
    "custom_object_scope",
    "pad_sequences",
    "set_random_seed",
    "to_categorical",
]


def set_random_seed(seed):
    """Seed Python's and NumPy's global generators, and all models and layers made from now on without a seed.

    ``Sequential(seed=...)`` does the same for one model, whatever is made beside it.

    Parameters
    ----------
    seed : int in [0, 2**32 - 1]
    """
    seed = _integer("seed", seed, least=0)
    if seed >= 2**32:
        raise ConfigError(f"seed is {seed}; expected at most {2**32 - 1}")
    random.seed(seed)
    np.random.seed(seed)
    seeds.set_root(seed)


@names_memory
def to_categorical(x, num_classes=None):
    """One-hot rows from class numbers.

    Parameters
    ----------
    x : array-like of int, any shape
        Classes from 0 to ``num_classes - 1``. Whole numbers kept as floats are taken too.
        A last axis of extent 1 is dropped, unless it is the only one.
    num_classes : int, optional
        How many classes there are. ``None``: the largest label plus one.

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


def _labels(x):
    """x as int64, refusing whatever that would change."""
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
    sequences, maxlen=None, dtype="int32", padding="pre", truncating="pre", value=0.0
):
    """Sequences of different lengths as one array.

    Parameters
    ----------
    sequences : list of n array-likes, each of shape (time, ...)
        All axes after the first must agree. Empty sequences become padding only.
    maxlen : int, optional
        Steps in the result. ``None``: those of the longest sequence.
    dtype : str, type or dtype
        Type of the result. The default suits tokens; name a floating type for measurements, and
        ``object`` for strings.
    padding, truncating : {"pre", "post"}
        Which end is filled, and which end is cut. The layers of gatewise take ``lengths`` beside
        arrays padded at the end: use ``padding="post"`` for those.
    value : number or str
        What fills the padding.

    Returns
    -------
    ndarray of shape (n, maxlen, ...), dtype ``dtype``

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


def _lengths(sequences):
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


def _sequence(sequence, dtype, n):
    try:
        return np.asarray(sequence, dtype=object if dtype.kind == "O" else None)
    except ValueError as error:
        raise ShapeError(
            f"the steps of sequences[{n}] differ in shape; every step of every sequence must have"
            " one shape"
        ) from error


def _converted(array, dtype, name):
    """array as dtype; integers and strings must come through whole, floating types may round."""
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


def _integer(name, number, least):
    try:
        if isinstance(number, bool | np.bool_):
            raise TypeError
        number = operator.index(number)
    except TypeError as error:
        raise DTypeError(
            f"{name} is {number!r}; expected an int of at least {least}, or None"
        ) from error
    if number < least:
        raise ConfigError(f"{name} is {number}; expected at least {least}, or None")
    return number


def _first(mask):
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _place(where):
    return f"index {where[0] if len(where) == 1 else where}" if where else "the one element"


@names_memory
def ctc_decode(probabilities, lengths=None, beam_width=1, blank=0, from_logits=False):
    """The labels that a model trained with CTC reads.

    Parameters
    ----------
    probabilities : array_like (batch, steps, classes)
        What a softmax gives: numbers in [0, 1]. With `from_logits` the scores in front of one.
    lengths : array_like (batch,), int, optional
        Steps in each row; what is behind them is not looked at.
    beam_width : int
        1: the likeliest class of each step, equal neighbours read once, blanks dropped. More:
        prefix beam search (Hannun et al. 2014), which adds up all alignments of a reading and keeps
        so many readings after each step.
    blank : int
        Number of the blank class.
    from_logits : bool
        True: of a model that ends without a softmax, whose outputs are scores; their softmax is
        taken here.

    Returns
    -------
    labels : list of list of int
        One for each row.
    scores : ndarray (batch,), float64
        Logarithm of the probability: of the likeliest alignment (beam_width 1), or of the reading,
        over the alignments that were kept.

    Raises
    ------
    ShapeError, DTypeError, ConfigError, NonFiniteError
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
    lengths = checks.sequence_lengths(lengths, *p.shape[:2])
    read = _softmax_of if checks.flag(from_logits, "from_logits") else _probabilities_of
    rows = [read(row if lengths is None else row[: lengths[n]], n) for n, row in enumerate(p)]
    found = [
        _best_path(row, blank) if beam_width == 1 else _best_reading(row, beam_width, blank)
        for row in rows
    ]
    return [labels for labels, _ in found], np.array([score for _, score in found], np.float64)


def _softmax_of(row, n):
    """Probabilities of the scores of one row."""
    checks.finite(row, f"scores[{n}]")
    powers = np.exp(row - row.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _probabilities_of(row, n):
    """The steps of one row, refused where they cannot be probabilities."""
    checks.finite(row, f"probabilities[{n}]")
    bad = (row < 0) | (row > 1 + 1e-4)
    if bad.any():
        where = _first(bad)
        raise ConfigError(
            f"probabilities[{n}] holds {row[where]} at index {where}; expected numbers from 0 to 1:"
            " of scores, give from_logits=True"
        )
    return row


def _best_path(p, blank):
    """(labels, log probability) of the likeliest alignment."""
    path = p.argmax(axis=1)
    first = np.ones(len(path), bool)
    first[1:] = path[1:] != path[:-1]
    with np.errstate(divide="ignore"):
        return path[first & (path != blank)].tolist(), float(np.log(p.max(axis=1)).sum())


def _best_reading(p, width, blank):
    """(labels, log probability) of the likeliest reading among the `width` that are kept after each step.

    A reading is a tuple of labels with two probabilities: of its alignments that end in a blank,
    and of those that end in its last label. They are scaled to a maximum of 1 at each step.
    """
    kept, scale = {(): (1.0, 0.0)}, 0.0
    for step in p:
        # Of the ways to go on from one reading only the likeliest `width` can be kept; its last
        # label comes extra.
        likely = [k for k in np.argsort(-step, kind="stable")[: width + 2].tolist() if k != blank]
        grown = {}
        for labels, (blank_end, label_end) in kept.items():
            both = blank_end + label_end
            last = labels[-1] if labels else None
            _add(grown, labels, both * step[blank], label_end * step[last] if labels else 0.0)
            for k in likely:
                _add(grown, (*labels, k), 0.0, (blank_end if k == last else both) * step[k])
        # a reading that is kept may also come from another one by an unlikely label
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
            return list(best[0]), -np.inf
        kept = {
            labels: (grown[labels][0] / top, grown[labels][1] / top)
            for labels in best
            if sum(grown[labels]) > 0
        }
        scale += float(np.log(top))
    best = max(kept, key=lambda labels: sum(kept[labels]))
    return list(best), scale + float(np.log(sum(kept[best])))


def _add(readings, labels, blank_end, label_end):
    before = readings.get(labels, (0.0, 0.0))
    readings[labels] = (before[0] + blank_end, before[1] + label_end)
