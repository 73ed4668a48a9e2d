"""ONNX's operators in NumPy and, of recurrent ones, in gatewise's kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, GatewiseError, ShapeError, did_you_mean
from gatewise.interop.onnx.recurrent import FAMILIES, directions_of
from gatewise.interop.onnx.tensors import DTYPES, type_name

from . import elementwise, products, recurrent, reductions, shaping, windows

if TYPE_CHECKING:
    from gatewise.interop.onnx.graphs import Call

    from .helpers import Operator

OPERATORS: dict[str, Operator] = {
    **elementwise.OPERATORS,
    **reductions.OPERATORS,
    **shaping.OPERATORS,
    **products.OPERATORS,
    **windows.OPERATORS,
    **recurrent.OPERATORS,
}


def check_call(call: Call) -> None:
    """Refuse a node that can be seen not to be supported, before anything is computed.

    Raises
    ------
    ConfigError
        The operator, or an attribute of it, is not supported.
    """
    if call.op not in OPERATORS:
        raise ConfigError(
            f"{call.title()}: the operator is not supported{did_you_mean(call.op, OPERATORS)}"
        )
    try:
        to = call.get("to", call.get("dtype"))
        if call.op in ("Cast", "EyeLike") and to is not None and to not in DTYPES:
            raise ConfigError(f"it makes tensors of {type_name(to)}, which are not supported")
        if call.op in FAMILIES:
            directions_of(call)
    except ConfigError as error:
        raise ConfigError(f"{call.title()}: {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{call.title()} has an attribute of a wrong type: {error}") from error


def run_call(call: Call, inputs: list[Any]) -> list[Any]:
    """Return the outputs of one node.

    Parameters
    ----------
    call : Call
        The node.
    inputs : list of ndarray or None
        What it reads; None for an input that is left out.

    Raises
    ------
    ConfigError
        The operator, or an option of it, is not supported.
    ShapeError
        The inputs do not fit.
    GatewiseError
        Other errors of gatewise, with the node's name in front.
    """
    operator = OPERATORS.get(call.op)
    if operator is None:
        raise ConfigError(
            f"{call.title()}: the operator is not supported{did_you_mean(call.op, OPERATORS)}"
        )
    try:
        with np.errstate(all="ignore"):
            return operator(call, inputs)
    except GatewiseError as error:
        raise type(error)(f"{call.title()}: {error}") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        shapes = [None if x is None else f"{x.dtype}{list(x.shape)}" for x in inputs]
        raise ShapeError(
            f"{call.title()} cannot be computed of {', '.join(map(str, shapes))!s:.200}: {error}"
        ) from error
