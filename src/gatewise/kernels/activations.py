"""Activations by name, as kernels take them: numbers of ``Activation`` in vmath.h, with constants.

Formulas and constants are those of Keras 3: ``hard_sigmoid`` is clip(x/6 + 1/2, 0, 1),
``leaky_relu`` has slope 0.2. Other constants are given with the name, ``("leaky_relu", 0.01)`` or
``("hard_sigmoid", 0.2, 0.5)``, as ONNX has them::

    hard_sigmoid      clip(alpha x + beta, 0, 1)         1/6, 1/2
    elu               x, or alpha (exp(x) - 1) below 0   1
    leaky_relu        x, or alpha x below 0              0.2
    thresholded_relu  x above alpha, else 0              1
    scaled_tanh       alpha tanh(beta x)                 1.7159, 2/3 (LeCun et al. 1998)
    affine            alpha x + beta                     1, 0
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any

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
_CONSTANTS: dict[str, tuple[float, ...]] = {
    "hard_sigmoid": (1 / 6, 0.5),
    "elu": (1.0,),
    "leaky_relu": (0.2,),
    "thresholded_relu": (1.0,),
    "scaled_tanh": (1.7159, 2 / 3),
    "affine": (1.0, 0.0),
}

NAMES = frozenset(_KINDS)

# An activation as users give it: a name, a name with constants, or None for "linear".
ActivationLike = str | Sequence[str | float] | None
# As `check_name` returns it: a name, or (name, constants...).
Activation = str | tuple[str | float, ...]
# As kernels take it: its number in vmath.h, and its constants alpha and beta.
ActivationCode = tuple[int, float, float]


def check_name(name: Any, also: Collection[str] = ()) -> Activation:
    """Check an activation that a user has given.

    Parameters
    ----------
    name : str, list, tuple or None
        A name, or a name with its constants. None: "linear".
    also : collection of str
        Other names that are allowed here.

    Returns
    -------
    str or tuple
        The name, or (name, constants...) if constants were given.

    Raises
    ------
    DTypeError
        Neither a string nor a string with numbers: only named activations run in the kernels.
    ConfigError
        The name is not known, or does not have such constants.

    Examples
    --------
    >>> check_name(["leaky_relu", 0.01])
    ('leaky_relu', 0.01)
    """
    if name is None:
        return "linear"
    if isinstance(name, list | tuple) and name and isinstance(name[0], str):
        return _with_constants(str(check_name(name[0])), name[1:])
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


def _with_constants(name: str, given: Sequence[Any]) -> Activation:
    usual = _CONSTANTS.get(name, ())
    if len(given) > len(usual):
        raise ConfigError(
            f"activation {name!r} was given {len(given)} constants; it has {len(usual)}"
        )
    for value in given:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise DTypeError(f"activation {name!r} was given {value!r}; expected a number")
        if not abs(float(value)) < 1e30:
            raise ConfigError(f"activation {name!r} was given {value}; expected a finite number")
    alpha = float(given[0]) if given else None
    # The slope is computed from the output, so two inputs with different slopes must not have the
    # same output.
    if name in ("elu", "leaky_relu") and alpha is not None and alpha < 0:
        raise ConfigError(f"activation {name!r} has alpha {alpha}; expected 0 or more")
    if name == "scaled_tanh" and alpha == 0:
        raise ConfigError("activation 'scaled_tanh' has alpha 0: it would be 0 everywhere")
    return (name, *map(float, given), *usual[len(given) :]) if given else name


def code(name: Activation) -> ActivationCode:
    """An activation as the kernels take it.

    Parameters
    ----------
    name : str or tuple
        What :func:`check_name` has returned.

    Returns
    -------
    kind : int
        Number of the activation in vmath.h.
    alpha, beta : float
        Its constants; 0 if it has none.

    Examples
    --------
    >>> code("tanh")
    (1, 0.0, 0.0)
    """
    if isinstance(name, str):
        kind, constants = name, _CONSTANTS.get(name, ())
    else:
        kind, constants = str(name[0]), tuple(float(constant) for constant in name[1:])
    if kind in ("elu", "leaky_relu") and constants[0] == 0:
        kind = "relu"
    alpha, beta = (*constants, 0.0, 0.0)[:2]
    return _KINDS.index(kind), alpha, beta


def config(name: Activation) -> str | list[str | float]:
    """An activation as a JSON value, which :func:`check_name` accepts.

    Parameters
    ----------
    name : str or tuple
        What :func:`check_name` has returned.
    """
    return name if isinstance(name, str) else list(name)


def _listed(also: Collection[str]) -> str:
    return ", ".join(sorted(NAMES.union(also)))
