"""Checks of what users give: each error states what was given and what was expected."""

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from gatewise._typing import Array, IntArray, Shape
from gatewise.errors import (
    ArgumentError,
    ConfigError,
    DTypeError,
    NonFiniteError,
    ShapeError,
    SizeError,
    TrainingWarning,
    did_you_mean,
)
from gatewise.kernels import arrays

_A = TypeVar("_A", bound=np.ndarray)

DTYPES = ("float32", "float64")
MAX_EXTENT = 2**31 - 1  # BLAS takes extents as C int


def warn(message: str, category: type[Warning] = TrainingWarning) -> None:
    """Warn at the line of the user's program that called gatewise, directly or by scikit-learn."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in (
        "gatewise",
        "sklearn",
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def dtype_name(dtype: Any) -> str:
    """Return "float32" or "float64" for anything that NumPy understands as one of them."""
    try:
        name = np.dtype(dtype).name
    except TypeError as error:
        raise DTypeError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}") from error
    if name not in DTYPES:
        raise DTypeError(f"dtype is {name}; expected one of {', '.join(DTYPES)}")
    return name


def is_integer_type(dtype: Any) -> bool:
    """Whether this is a name or type of NumPy's integers."""
    try:
        return np.dtype(dtype).kind in "ui"
    except TypeError:
        return False


def whole_number(value: Any, name: str, low: int = 1, high: float = MAX_EXTENT) -> int:
    """Return an int in [low, high]; booleans and fractions are refused."""
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
        raise DTypeError(f"{name} is {value!r}; expected a whole number")
    try:
        value = value.__index__()
    except TypeError as error:  # an array of several
        raise DTypeError(f"{name} is {value!r}; expected a whole number") from error
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}; expected {low} to {high}")
    return value


def optional_number(value: Any, name: str, low: int = 1) -> int | None:
    """Return an int from `low` up, or None."""
    return None if value is None else whole_number(value, name, low)


def number(
    value: Any,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return a finite float in [low, high], without an end that is marked as open."""
    if isinstance(value, bool | np.bool_ | str) or not hasattr(value, "__float__"):
        raise DTypeError(f"{name} is {value!r}; expected a number")
    try:
        result = float(value)
    except (OverflowError, ValueError, TypeError) as error:
        # Python converts at most 4,300 digits to text.
        huge = isinstance(value, int) and value.bit_length() > 10_000
        raise ConfigError(
            f"{name} is {'a huge whole number' if huge else f'{value!r:.80}'}; expected "
            f"{_numbers(low, high, open_low, open_high)}"
        ) from error
    inside = (low < result if open_low else low <= result) and (
        result < high if open_high else result <= high
    )
    if not (math.isfinite(result) and inside):
        raise ConfigError(
            f"{name} is {result}; expected {_numbers(low, high, open_low, open_high)}"
        )
    return result


def _numbers(low: float, high: float, open_low: bool, open_high: bool) -> str:
    """Text of the expected interval, in which an infinite end is always open."""
    return (
        f"a number in {'(' if open_low or low == -math.inf else '['}{low}, {high}"
        f"{')' if open_high or high == math.inf else ']'}"
    )


def listed(value: Any, name: str, holds: str) -> list[Any]:
    """Return `value` as a list; text, dicts and single values are refused."""
    if (
        isinstance(value, str | bytes | dict)
        or not hasattr(value, "__iter__")
        or getattr(value, "ndim", 1) == 0
    ):
        raise DTypeError(f"{name} is {type(value).__name__}; expected a list of {holds}")
    return list(value)


def text(value: Any, name: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise DTypeError(f"{name} is {value!r}; expected text")
    return value


def seed(value: Any) -> int | None:
    """Return a seed: None or a whole number from 0 up."""
    return None if value is None else whole_number(value, "seed", 0, math.inf)


# Arguments of Keras that gatewise does not need, and those of their values that change no result.
NEUTRAL: dict[str, dict[str, tuple[Any, ...]]] = {
    "layer": {"activity_regularizer": (None,), "autocast": (True,)},
    "recurrent layer": {
        "unroll": (False, True),
        "implementation": (2, 1, 0),
        "use_cudnn": ("auto", False, None),
        "time_major": (False,),
    },
    "attention": {
        "flash_attention": (None, False, True),
        "sliding_window": (None,),
        "use_gate": (False,),
    },
    "optimizer": {"loss_scale_factor": (None,)},
    "loss": {"dtype": (None,), "reduction": ("sum_over_batch_size",), "axis": (-1,)},
    "metric": {"dtype": (None,)},
    "compile": {
        "run_eagerly": (False,),
        "steps_per_execution": (1,),
        "jit_compile": ("auto", None, True, False),
        "auto_scale_loss": (True, False),
    },
    "fit": {},
    "evaluate and predict": {},
    "save": {"overwrite": (True,)},
    "load_model": {"safe_mode": (True,)},
    "clone_model": {
        "input_tensors": (None,),
        "clone_function": (None,),
        "call_function": (None,),
        "recursive": (False,),
    },
    "plot_model": {
        "show_dtype": (False,),
        "expand_nested": (False,),
        "layer_range": (None,),
        "show_layer_activations": (False,),
        "show_trainable": (False,),
    },
}


def _is_one_of(value: Any, allowed: Iterable[Any]) -> bool:
    return any(value is each or (type(value) is type(each) and value == each) for each in allowed)


def refuse_unknown_arguments(
    arguments: Mapping[str, Any],
    kind: str,
    what: str,
    known: Iterable[str] | Callable[[], Iterable[str]] = (),
) -> None:
    """Refuse keyword arguments that are unknown, or that ask for what gatewise does not have.

    Parameters
    ----------
    arguments : dict
        Names and values.
    kind : str
        Key of ``NEUTRAL``, arguments of Keras that are accepted with values that change nothing.
    what : str
        What takes the arguments, for the message.
    known : iterable of str, or callable without arguments that returns one
        Names of the existing arguments, one of which may have been meant.

    Raises
    ------
    ArgumentError, ConfigError
    """
    for name, value in arguments.items():
        if name not in NEUTRAL[kind]:
            known = known() if callable(known) else known
            raise ArgumentError(
                f"{what} takes no argument {name!r}{did_you_mean(name, [*known, *NEUTRAL[kind]])}"
            )
        allowed = NEUTRAL[kind][name]
        if not _is_one_of(value, allowed):
            raise ConfigError(
                f"{what}: {name}={value!r} does not exist in gatewise; leave it out, or give "
                f"{' or '.join(map(repr, allowed))}"
            )


def without_neutral(arguments: Mapping[str, Any], kind: str, what: str) -> dict[str, Any]:
    """Check the arguments of Keras that change no result here, and return the others.

    Raises
    ------
    ConfigError
    """
    for name in arguments.keys() & NEUTRAL[kind].keys():
        value, allowed = arguments[name], NEUTRAL[kind][name]
        if not _is_one_of(value, allowed):
            raise ConfigError(
                f"{what}: {name} is {value!r}; leave it out, or give"
                f" {' or '.join(map(repr, allowed))}, which"
                f" {'change' if len(allowed) > 1 else 'changes'} nothing in gatewise"
            )
    return {name: value for name, value in arguments.items() if name not in NEUTRAL[kind]}


def fraction(value: Any, name: str) -> float:
    """Return a rate in [0, 1)."""
    return number(value, name, 0.0, 1.0, open_high=True)


def flag(value: Any, name: str) -> bool:
    """Return a bool."""
    if not isinstance(value, bool | np.bool_):
        raise DTypeError(f"{name} is {value!r}; expected True or False")
    return bool(value)


def optional_flag(value: Any, name: str) -> bool | None:
    """Return a bool or None."""
    if value is not None and not isinstance(value, bool | np.bool_):
        raise DTypeError(f"{name} is {value!r}; expected True, False or None")
    return None if value is None else bool(value)


def shape_tuple(shape: Any, name: str) -> Shape:
    """Return a tuple of extents, each a positive int, or None for a free axis."""
    if isinstance(shape, int):
        shape = (shape,)
    if isinstance(shape, set | frozenset | dict | str):
        raise DTypeError(f"{name} is {shape!r}; expected a tuple of whole numbers or None")
    try:
        shape = tuple(shape)
    except TypeError as error:
        raise DTypeError(
            f"{name} is {shape!r}; expected a tuple of whole numbers or None"
        ) from error
    return tuple(
        None if extent is None else whole_number(extent, f"an extent of {name}") for extent in shape
    )


_BYTES = {"float32": 4, "float64": 8, "int32": 4}


def fits_memory(elements: int, dtype: Any, what: str, name: str | None = None) -> None:
    """Refuse a size that this machine's memory cannot hold, before any of it is touched.

    Raises
    ------
    SizeError
        More bytes than the machine has memory, or than an index can count.
    """
    if elements < 1_000_000:  # a step takes microseconds, and this check is part of it
        return
    needed = int(elements) * (_BYTES.get(dtype) or np.dtype(dtype).itemsize)
    if needed > _PHYSICAL_MEMORY:
        what = what if name is None else f"{what} {name!r}"
        raise SizeError(
            f"{what} needs {needed / 2**30:,.1f} GiB, this machine has "
            f"{_PHYSICAL_MEMORY / 2**30:,.1f} GiB; use smaller sizes or batches"
        )


def _physical_memory() -> int:
    """Bytes of memory that the machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # This platform does not report it: refuse only what cannot be indexed.
    except (AttributeError, ValueError, OSError):
        return 2**62


_PHYSICAL_MEMORY = _physical_memory()


def float_array(x: Any, name: str, dtype: Any, *, convert: bool) -> Array:
    """Return a C-contiguous ndarray of `dtype` with the values of x, which is never changed.

    Parameters
    ----------
    x : array_like
        Booleans, integers and floats; lists are read in `dtype`.
    convert : bool
        True: float64 may be rounded to float32 (models: the caller chose the model's dtype).
        False: only conversions that lose nothing (layers).

    Raises
    ------
    DTypeError
        Complex, text or object values; or a loss of precision that was not allowed.
    NonFiniteError
        A number that is larger than `dtype` holds.
    """
    given = x
    if type(x) is not np.ndarray:
        x = _given_array(x, name)
    if x.dtype == dtype:
        return (
            x
            if type(x) is np.ndarray and x.flags.c_contiguous and x.flags.aligned
            else _contiguous(x, dtype, name)
        )
    if x.dtype == object and hasattr(given, "iloc"):
        x = of_columns(given, name)
    if x.dtype.kind not in "buif":
        raise DTypeError(f"{name} holds {x.dtype} values; expected numbers that convert to {dtype}")
    if x.dtype.kind == "f" and not (
        convert or np.can_cast(x.dtype, dtype, "safe") or not isinstance(given, np.ndarray)
    ):
        raise DTypeError(
            f"{name} is {x.dtype}, the layer computes in {dtype}, which would lose precision: "
            f"pass {name}.astype({str(dtype)!r})"
            + (
                f", or build the layer with dtype={x.dtype.name!r}"
                if x.dtype.name in DTYPES
                else ""
            )
        )
    try:
        with np.errstate(over="raise"):
            result = _contiguous(x, dtype, name)
    except FloatingPointError:
        raise _overflow(x, dtype, name) from None
    if x.dtype.kind in "ui" and not convert and not _exact(result, x):
        raise DTypeError(
            f"{name} holds integers that {dtype} cannot represent; build the layer with"
            " dtype='float64'"
        )
    return result


def of_columns(given: Any, name: str) -> Array:
    """Return a float64 ndarray for a pandas object with columns of different dtypes or of objects.

    NumPy makes objects of columns of numbers next to columns of booleans. A missing value
    (``pandas.NA``, ``None``) becomes NaN.

    Raises
    ------
    DTypeError
        A column holds something other than numbers.
    """
    try:
        return given.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DTypeError(
            f"{name} holds objects that are no numbers ({error}); leave out dates and "
            "text, or convert them"
        ) from error


def _overflow(x: Array, dtype: Any, name: str) -> NonFiniteError:
    """The error for an array with finite numbers that are too large for `dtype`."""
    with np.errstate(over="ignore"):
        at = np.unravel_index(
            np.flatnonzero(np.isinf(x.astype(dtype)) & np.isfinite(x))[0], x.shape
        )
    wider = (
        "use dtype='float64', which holds it"
        if abs(x[at]) <= np.finfo("float64").max
        else "scale it"
    )
    return NonFiniteError(
        f"{name} holds {x[at]!s} at index {tuple(map(int, at))}, which overflows {dtype}: its"
        f" largest number is {np.finfo(dtype).max:.2g};"
        f" {wider}{', or scale what you give' if wider[0] == 'u' else ''}"
    )


def summable(weights: _A, name: str, dtype: Any = "float64") -> _A:
    """Return weights whose sum `dtype` can hold; otherwise their means would be infinite, or 0.

    Raises
    ------
    ConfigError
    """
    with np.errstate(over="ignore"):
        total = np.abs(weights).sum(dtype=np.float64)
    if total > np.finfo(dtype).max:
        raise ConfigError(
            f"{name}: the sum of the weights overflows {dtype}, the largest is"
            f" {np.abs(weights).max()}; give smaller ones, divided by their largest for instance"
        )
    return weights


def whole_array(x: Any, name: str, expects: str) -> Array:
    """Return a C-contiguous int32 ndarray with the values of x, integers or whole floats.

    Raises
    ------
    DTypeError
        Complex, text or object values; a fraction, NaN, or a number that int32 does not hold.
    """
    x = _given_array(x, name)
    if x.dtype.kind not in "buif":
        raise DTypeError(f"{name} holds {x.dtype} values; {expects}")
    with np.errstate(invalid="ignore"):  # NaN becomes a number, which NaN does not equal
        whole = _contiguous(x, "int32", name)
    if whole is not x and not np.array_equal(whole, x):
        at = tuple(int(i) for i in np.argwhere(whole != x)[0])
        raise DTypeError(f"{name} holds {x[at]} at index {at}; {expects}")
    return whole


def _given_array(x: Any, name: str) -> Array:
    """An ndarray of any dtype with the values of x."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise NonFiniteError(
            f"{name} has masked elements; expected numbers: fill them, with {name}.filled(value)"
            " for example"
        )
    if isinstance(x, np.ndarray):
        return x
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ShapeError(
            f"{name} has rows of different lengths; pad them (gatewise.utils.pad_sequences) and "
            "give their lengths"
        ) from error


def _contiguous(x: Array, dtype: Any, name: str) -> Array:
    """x itself if its layout is the one that kernels need, else a copy, if memory can hold it."""
    if x.dtype != dtype or not (x.flags.c_contiguous and x.flags.aligned):
        fits_memory(x.size, dtype, name)
    try:
        return np.require(x, dtype, ["C", "A"]).view(np.ndarray)
    except MemoryError as error:
        raise SizeError(
            f"{name} has shape {x.shape}; memory does not hold a copy of it: {error}"
        ) from error


def _exact(result: Array, x: Array) -> bool:
    """Whether floats hold the same whole numbers as integers."""
    # Only numbers that are too large for the mantissa must be compared one by one.
    large = np.abs(result) > 2.0 ** np.finfo(result.dtype).nmant
    return all(int(a) == int(b) for a, b in zip(result[large].tolist(), x[large].tolist()))


def finite(x: _A, name: str) -> _A:
    """Return x; NaN and infinity are refused, with the position of the first."""
    at = arrays.first_nonfinite(x)
    if at >= 0:
        position = tuple(int(i) for i in np.unravel_index(at, x.shape))
        raise NonFiniteError(
            f"{name} holds {x[position]} at index {position}; expected finite numbers: "
            "fill or drop missing values first (padding past a row's length must hold numbers, too)"
        )
    return x


def features(x: Array, name: str, expected: int | None, expects: str) -> None:
    """Refuse x if its last axis does not have `expected` features (None: any number)."""
    if expected is not None and x.shape[-1] != expected:
        raise ShapeError(
            f"{name} has {x.shape[-1]} features (shape {x.shape}), {expects} expects {expected}"
        )


def _as_array(values: Any, name: str) -> Array:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{name} has rows of different lengths") from error


def sequence_lengths(lengths: Any, batch: int, steps: int) -> IntArray | None:
    """Return lengths in [0, steps] as an intp ndarray (batch,); None stays None.

    Raises
    ------
    DTypeError, ShapeError
    """
    if lengths is None:
        return None
    given = _as_array(lengths, "lengths")
    if given.dtype.kind not in "ui":
        raise DTypeError(f"lengths holds {given.dtype} values; expected whole numbers of steps")
    if given.shape != (batch,):
        raise ShapeError(f"lengths has shape {given.shape}; expected ({batch},), one length a row")
    bad = np.flatnonzero((given < 0) | (given > steps))
    if bad.size:
        raise ShapeError(
            f"lengths[{bad[0]}] is {given[bad[0]]}; expected 0 to {steps}, the number of steps of x"
        )
    return given.astype(np.intp)


def reset_flags(resets: Any, batch: int, steps: int) -> Array | None:
    """Return a boolean array (batch, steps) as uint8; None stays None."""
    if resets is None:
        return None
    given = _as_array(resets, "resets")
    if given.dtype != np.bool_:
        raise DTypeError(f"resets holds {given.dtype} values; expected booleans")
    if given.shape != (batch, steps):
        raise ShapeError(
            f"resets has shape {given.shape}; expected ({batch}, {steps}), one flag a step"
        )
    return np.ascontiguousarray(given).view(np.uint8)
