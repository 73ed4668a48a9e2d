"""The errors and warnings of gatewise.

Each error derives from :class:`GatewiseError` and from the built-in exception that fits, so that
both ``except GatewiseError`` and ``except ValueError`` do what their reader expects. A message
states what was given, what was expected and what to do.
"""

from collections.abc import Iterable
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time the class is made on first use, by __getattr__
    from sklearn.exceptions import NotFittedError as _SklearnNotFittedError


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return a hint for a message: the known name that is most similar to an unknown one.

    Parameters
    ----------
    name : str
        The unknown name.
    known : iterable of str
        The names to choose from.

    Returns
    -------
    str
        ``"; did you mean 'x'?"``, or nothing if no known name is similar.

    Examples
    --------
    >>> from gatewise.errors import did_you_mean
    >>> did_you_mean("unit", ["units", "activation"])
    "; did you mean 'units'?"
    """
    import difflib  # needed only when something went wrong

    # If several names differ in capitals only, the first one is taken.
    by_lower_case = {str(each).lower(): str(each) for each in reversed(list(known))}
    wanted = str(name).lower()
    initials = [
        each
        for each in by_lower_case
        if "_" in each and "".join(part[:1] for part in each.split("_")) == wanted
    ]
    close = initials or difflib.get_close_matches(wanted, sorted(by_lower_case), 1, 0.65)
    return f"; did you mean {by_lower_case[close[0]]!r}?" if close else ""


class GatewiseError(Exception):
    """Base of every error that gatewise raises on purpose."""


class ConfigError(GatewiseError, ValueError):
    """An option has a value that cannot be used."""


class ShapeError(GatewiseError, ValueError):
    """An array, or a requested size, has the wrong rank, extent or bounds."""


class ArgumentError(ConfigError, TypeError):
    """An argument has a name that the call does not know."""


class DTypeError(GatewiseError, TypeError):
    """An array or argument has a type that cannot be used without losing information."""


class NonFiniteError(GatewiseError, ValueError):
    """An array holds NaN or infinity where numbers are needed."""


class SizeError(GatewiseError, MemoryError):
    """A requested size needs more memory than this machine has."""

    doing: list[str]  # which calls needed the memory, outermost first: see gatewise.memory
    refused: str  # what the system answered


class StateError(GatewiseError, RuntimeError):
    """A call came too early: not built, not compiled, or no forward pass before backward."""


class SettingError(ConfigError, StateError, AttributeError):
    """An attribute was set that cannot be set, or that no code would read."""


class CheckpointError(GatewiseError, OSError):
    """A file is damaged, is not a gatewise checkpoint, or does not fit the model."""


class MissingPackageError(GatewiseError, ImportError):
    """An optional package that this call needs is not installed."""


class TrainingWarning(UserWarning):
    """Training ended early, or in a way that the caller should know about."""


class PredictionWarning(UserWarning):
    """A sequence in which no step counts got a prediction, which carries no information."""


if TYPE_CHECKING:

    class NotFittedError(GatewiseError, _SklearnNotFittedError):
        """An estimator was used before ``fit``."""


def __getattr__(name: str) -> Any:
    if name == "NotFittedError":
        # It derives from scikit-learn's class, so that existing except clauses work; scikit-learn
        # is imported on first use.
        return _not_fitted_error()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _not_fitted_error() -> type:
    from sklearn.exceptions import NotFittedError as SklearnNotFittedError

    class NotFittedError(GatewiseError, SklearnNotFittedError):
        """An estimator was used before ``fit``."""

    NotFittedError.__module__ = __name__
    globals()["NotFittedError"] = NotFittedError
    return NotFittedError
