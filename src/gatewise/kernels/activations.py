"""Activations by name: the numbers of vmath.h's ``Activation``, with their constants.

Formulas and constants are Keras 3's: ``hard_sigmoid`` is clip(x/6 + 1/2, 0, 1), ``leaky_relu`` has
slope 0.2. Other constants are given with the name, ``("leaky_relu", 0.01)`` or ``("hard_sigmoid",
0.2, 0.5)``, as ONNX has them::

    hard_sigmoid      clip(alpha x + beta, 0, 1)         1/6, 1/2
    elu               x, or alpha (exp(x) - 1) below 0   1
    leaky_relu        x, or alpha x below 0              0.2
    thresholded_relu  x above alpha, else 0              1
    scaled_tanh       alpha tanh(beta x)                 1.7159, 2/3 (LeCun et al. 1998)
    affine            alpha x + beta                     1, 0
"""

from numbers import Real

from gatewise.errors import ConfigError, DTypeError, did_you_mean

_KINDS = (
    "linear",
    "tanh",
    "sigmoid",
    "relu",
    "hard_sigmoid",
    "softsign",
    "softplus",
    "elu",
    "leaky_relu",
    "exponential",
    "thresholded_relu",
    "scaled_tanh",
    "affine",
)  # in vmath.h's order
_CONSTANTS = {
    "hard_sigmoid": (1 / 6, 0.5),
    "elu": (1.0,),
    "leaky_relu": (0.2,),
    "thresholded_relu": (1.0,),
    "scaled_tanh": (1.7159, 2 / 3),
    "affine": (1.0, 0.0),
}

NAMES = frozenset(_KINDS)

#: An activation as kernels take it: its number in vmath.h, and its constants alpha and beta.
ActivationCode = tuple[int, float, float]


def check_name(name, also=()):
    """The activation's name, or (name, constants...) where constants were given; ``None`` means "linear".

    Raises
    ------
    DTypeError
        Neither a string nor a string with numbers: only named activations run in the kernels.
    ConfigError
        Not a known name, or constants that it does not have.
    """
    if name is None:
        return "linear"
    if isinstance(name, list | tuple) and name and isinstance(name[0], str):
        return _with_constants(check_name(name[0]), name[1:])
    if not isinstance(name, str):
        raise DTypeError(
            f"activation is {type(name).__name__}; expected a name, one of {_listed(also)}"
        )
    if name not in NAMES and name not in also:
        raise ConfigError(
            f"activation {name!r} is not known{did_you_mean(name, NAMES | set(also))}; choose one"
            f" of {_listed(also)}"
        )
    return name


def _with_constants(name, given):
    usual = _CONSTANTS.get(name, ())
    if len(given) > len(usual):
        raise ConfigError(
            f"activation {name!r} was given {len(given)} constants; it has {len(usual)}"
        )
    for value in given:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise DTypeError(f"activation {name!r} was given {value!r}; expected a number")
        if not abs(value) < 1e30:
            raise ConfigError(f"activation {name!r} was given {value}; expected a finite number")
    alpha = float(given[0]) if given else None
    # A slope is found from the output, so two inputs of different slopes may not have the same
    # output.
    if name in ("elu", "leaky_relu") and alpha is not None and alpha < 0:
        raise ConfigError(f"activation {name!r} has alpha {alpha}; expected 0 or more")
    if name == "scaled_tanh" and alpha == 0:
        raise ConfigError("activation 'scaled_tanh' has alpha 0: it would be 0 everywhere")
    return (name, *map(float, given), *usual[len(given) :]) if given else name


def code(name):
    """(kind, alpha, beta) of what :func:`check_name` returns, as the kernels take it."""
    name, *constants = (name, *_CONSTANTS.get(name, ())) if isinstance(name, str) else name
    if name in ("elu", "leaky_relu") and constants[0] == 0:
        name = "relu"
    return (_KINDS.index(name), *constants, *(0.0, 0.0)[len(constants) :])


def config(name):
    """What :func:`check_name` reads back, as a JSON value."""
    return name if isinstance(name, str) else list(name)


def _listed(also):
    return ", ".join(sorted(NAMES.union(also)))
