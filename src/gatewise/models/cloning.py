"""Models of the same layers with weights of their own."""

from __future__ import annotations

from typing import Any

from gatewise import checks
from gatewise.attributes import _is_ours
from gatewise.described import arguments_of
from gatewise.errors import DTypeError
from gatewise.utils import custom_object_scope

from .architecture import architecture_of, build_model
from .graph import Model


def clone_model(model: Any, **others: Any) -> Any:
    """Return a new model of the same layers, with new initial weights.

    It is not compiled, except for a Seq2Seq, which its constructor compiles.

    For a copy with the same weights call ``copy.deepcopy(model)``.

    Parameters
    ----------
    model : Model or Sequential
        It does not change.
    **others
        Arguments of Keras that change nothing here are accepted if they have their defaults.

    Returns
    -------
    Model or Sequential
        Of the same class and name as `model`.

    Raises
    ------
    DTypeError
        It is no model of these classes.
    ConfigError
        A layer does not say what it was made with.

    Examples
    --------
    >>> from gatewise import Model, layers
    >>> from gatewise.models import clone_model
    >>> x = layers.Input((3,))
    >>> model = Model(x, layers.Dense(2)(x) + 1)
    >>> clone_model(model).count_params()
    8
    """
    checks.refuse_unknown_arguments(
        others, "clone_model", "clone_model", lambda: arguments_of(clone_model)
    )
    if not isinstance(model, Model):
        raise DTypeError(f"clone_model: got {model!r:.80}; expected a Model or a Sequential")
    with custom_object_scope(_classes_of(model)):
        return build_model(architecture_of(model))


def _classes_of(model: Any) -> dict[str, Any]:
    """Return user-defined classes of layers by their names."""
    found = {}
    for layer in model._layers:
        inner = getattr(layer, "_inner", None)
        if inner is not None:
            found |= _classes_of(inner)
        elif not _is_ours(type(layer).__module__):
            found[type(layer).__name__] = type(layer)
    return found
