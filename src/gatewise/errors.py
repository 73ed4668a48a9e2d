"""The errors gatewise raises.

Each derives from :class:`GatewiseError` and from the built-in that fits, so that both
``except GatewiseError`` and ``except ValueError`` do what their reader expects. A message
says what was given, what was expected and what to do.
"""


def did_you_mean(name, known):
    """ "; did you mean 'x'?" of the name that is most like this one; nothing where none is like it.

    Parameters
    ----------
    name : str
    known : iterable of str
    """
    import difflib  # only where something went wrong

    # of names that differ in capitals the first
    known = {str(each).lower(): str(each) for each in reversed(list(known))}
    initials = [
        each
        for each in known
        if "_" in each and "".join(part[:1] for part in each.split("_")) == str(name).lower()
    ]
    close = initials or difflib.get_close_matches(str(name).lower(), sorted(known), 1, 0.65)
    return f"; did you mean {known[close[0]]!r}?" if close else ""


class GatewiseError(Exception):
    """Base of every error that gatewise raises on purpose."""


class ConfigError(GatewiseError, ValueError):
    """An option has a value that cannot be used."""


class ShapeError(GatewiseError, ValueError):
    """An array, or a size asked for, has the wrong rank, extent or bounds."""


class ArgumentError(ConfigError, TypeError):
    """An argument has a name that the call does not know."""


class DTypeError(GatewiseError, TypeError):
    """An array or argument has a type that cannot be used without losing something."""


class NonFiniteError(GatewiseError, ValueError):
    """An array holds NaN or infinity where numbers are needed."""


class SizeError(GatewiseError, MemoryError):
    """A size asked for needs more memory than this machine has."""


class StateError(GatewiseError, RuntimeError):
    """A call came too early: not built, not compiled, or nothing to go back over."""


class SettingError(ConfigError, StateError, AttributeError):
    """An attribute was set that cannot be, or that nobody would read."""


class CheckpointError(GatewiseError, OSError):
    """A file is damaged, is not a gatewise checkpoint, or does not fit the model."""


class MissingPackageError(GatewiseError, ImportError):
    """A package that gatewise needs only here is not installed."""


class TrainingWarning(UserWarning):
    """Training ended early, or in a way that the caller should know of."""


class PredictionWarning(UserWarning):
    """A prediction was made of a sequence in which no step counts: it says nothing of that sequence."""


def __getattr__(name):
    if name == "NotFittedError":
        # scikit-learn's own class, so that its users' except clauses work; imported on first use.
        return _not_fitted_error()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _not_fitted_error():
    from sklearn.exceptions import NotFittedError as SklearnNotFittedError

    class NotFittedError(GatewiseError, SklearnNotFittedError):
        """An estimator was used before ``fit``."""

    NotFittedError.__module__ = __name__
    globals()["NotFittedError"] = NotFittedError
    return NotFittedError
