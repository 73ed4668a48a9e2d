"""What a user may give as one batch, and what looks like batches but is not."""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError


class Given(NamedTuple):
    """What a call, or one batch, was given of samples: as it came, None for what there is not.

    The order is that in which a user gives the parts of a batch by position.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    lengths: Any = None
    mask: Any = None
    resets: Any = None


PARTS = Given._fields
FORMS = (
    "(x, y), followed by sample_weight, lengths, mask and resets as far as they are needed, "
    "with None for what there is not; or a dict with these names"
)


def parts_of(item: Any, name: str, need_y: bool = True) -> Given:
    """The parts of one batch, a :class:`Given`.

    Parameters
    ----------
    item : tuple, list, dict or array
        Parts by position, in the order of `PARTS`, or by name. An array is x itself.
    name : str
        What it is, for messages.
    need_y : bool
        False: x alone is enough, and a list is x itself, as is a dict by the names of inputs.

    Raises
    ------
    ConfigError, DTypeError
    """
    if isinstance(item, dict) and not (not need_y and item and not item.keys() & {*PARTS}):
        unknown = [key for key in item if key not in PARTS]
        missing = [key for key in PARTS[: 2 if need_y else 1] if key not in item]
        if unknown or missing:
            wrong = "has" if unknown else "lacks"
            raise ConfigError(
                f"{name} {wrong} the key {(unknown or missing)[0]!r:.80}; a dict has the keys "
                f"{', '.join(PARTS)}, of which {'x and y are' if need_y else 'x is'} needed"
            )
        return Given(**item)
    if not isinstance(item, tuple | list if need_y else tuple):
        item = (item,)
    if not (2 if need_y else 1) <= len(item) <= len(PARTS):
        parts = f"{len(item)} part{'' if len(item) == 1 else 's'}"
        raise DTypeError(f"{name} has {parts}; expected {FORMS}")
    return Given(*item)


def refuse_uncalled(x: Any, name: str) -> None:
    """Refuse a function or class that makes batches once it is called.

    Raises
    ------
    DTypeError
    """
    if inspect.isclass(x):
        raise DTypeError(
            f"{name} is the class {x.__name__}; pass an object of it: {x.__name__}(...)"
        )
    if inspect.isroutine(x) or isinstance(x, functools.partial):
        called = getattr(x, "__name__", None)
        called = "it" if called is None or not called.isidentifier() else f"{called}()"
        raise DTypeError(
            f"{name} is a function that was not called; pass what it gives: call {called}"
        )


def refuse_pairs(x: Any, name: str, need_y: bool = True) -> None:
    """Refuse a list of (x, y): it is neither an array of samples nor something that makes batches.

    Raises
    ------
    DTypeError
    """
    kinds = tuple | list if need_y else tuple
    if not (isinstance(x, list | tuple) and x):
        return
    if all(
        isinstance(pair, kinds) and 2 <= len(pair) <= len(PARTS) and _is_array(pair[0], need_y)
        for pair in x
    ):
        raise DTypeError(
            f"{name} is a {type(x).__name__} of {len(x)} tuples (x, y); for batches pass what "
            f"makes them, for example the iterator iter({name}), or itertools.cycle({name}) "
            f"with steps_per_epoch; for single samples pass x and y apart: x, y = zip(*{name})"
        )


def _is_array(value: Any, of_samples: bool) -> bool:
    """Whether this may be an x: of at least one sample, or of steps if a row may be a tuple."""
    axes = getattr(value, "ndim", None)
    return axes is not None and checks.whole_number(axes, "ndim", 0) >= (1 if of_samples else 2)


def makes_batches(x: Any, name: str = "x") -> bool:
    """Whether x is a generator or a sequence of batches rather than an array of samples.

    Raises
    ------
    DTypeError
        It is a function or a class that was not called.
    """
    if isinstance(x, np.ndarray):
        return False
    refuse_uncalled(x, name)
    if isinstance(x, list | tuple | str | bytes | dict | set | frozenset) or hasattr(
        x, "__array__"
    ):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or is_indexed(x)


def is_indexed(x: Any) -> bool:
    """Whether x is a sequence of batches: each has a number, and their number is known."""
    return hasattr(x, "__getitem__") and (hasattr(x, "__len__") or hasattr(x, "num_batches"))
