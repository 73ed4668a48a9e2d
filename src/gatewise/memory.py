"""Memory that the system refuses: a SizeError that says for what, whatever asked for it."""

import functools

from gatewise.errors import SizeError

_CURE = "use smaller batches, fewer or shorter sequences, fewer units, or float32"


def _size_error(error, doing):
    """The SizeError for a MemoryError: it names what was being done, and the array and its size as far as NumPy knows them."""
    what = str(error).strip().rstrip(".") or "the system gave no more memory"
    return SizeError(f"{doing}: {what[0].lower()}{what[1:]}; {_CURE}, or raise the limit of the process (ulimit -v)")


def names_memory(function):
    """Decorator: where the system refuses memory, the call raises a SizeError with the function's name."""
    @functools.wraps(function)
    def named(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except SizeError:  # it says more
            raise
        except MemoryError as error:
            raise _size_error(error, function.__qualname__) from error
    return named


def cover(cls, names):
    """Decorate those of a class's own methods that have one of these names."""
    for name in names:
        method = vars(cls).get(name)
        if type(method) is type(cover):
            setattr(cls, name, names_memory(method))
