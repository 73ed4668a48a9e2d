"""Activations by name: the numbers of vmath.h's ``Activation``, with their constants.

Formulas are Keras 3's: ``hard_sigmoid`` is clip(x/6 + 1/2, 0, 1), ``leaky_relu`` has slope 0.2.
"""

from gatewise.errors import ConfigError, DTypeError

_KINDS = ("linear", "tanh", "sigmoid", "relu", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu",
          "exponential")  # in vmath.h's order
_CONSTANTS = {"hard_sigmoid": (1 / 6, 0.5), "elu": (1.0, 0.0), "leaky_relu": (0.2, 0.0)}

NAMES = frozenset(_KINDS)


def check_name(name, also=()):
    """The activation's name; ``None`` means "linear".

    Raises
    ------
    DTypeError
        Not a string: only named activations run in the kernels.
    ConfigError
        Not a known name.
    """
    if name is None:
        return "linear"
    if not isinstance(name, str):
        raise DTypeError(f"activation is {type(name).__name__}; expected a name, one of {_listed(also)}")
    if name not in NAMES and name not in also:
        raise ConfigError(f"activation {name!r} is not known; choose one of {_listed(also)}")
    return name


def code(name):
    """(kind, alpha, beta) of a name, as the kernels take it."""
    return (_KINDS.index(name), *_CONSTANTS.get(name, (0.0, 0.0)))


def _listed(also):
    return ", ".join(sorted(NAMES.union(also)))
