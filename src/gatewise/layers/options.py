"""Options of layers that are fixed once the layer is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatewise.errors import StateError


class Fixed:
    """An option that shapes and kernels depend on.

    It cannot be set any more when its layer is built, or is inside another layer. Before that, a
    check is called, ``check(value, name, **limits)``, and its result is stored. The check may be
    the name of a method of the layer, ``method(value)``. The class has no ``__get__``, so that
    Python reads the option from the instance like any attribute.
    """

    def __init__(self, check: Callable[..., Any] | str, **limits: Any) -> None:
        self._check, self._limits = check, limits

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, layer: Any, value: Any) -> None:
        if vars(layer).get("input_shape") is not None:
            raise StateError(
                f"layer {layer.name!r} is built: {self._name} cannot change any more; make a new"
                " layer"
            )
        if layer._holder is not None:
            raise StateError(
                f"layer {layer.name!r} is inside {layer._holder.name!r}: {self._name} cannot change"
                " any more; make both anew"
            )
        if vars(layer).get("_nodes"):
            raise StateError(
                f"layer {layer.name!r} was called with a symbol: {self._name} cannot change any"
                " more; make a new layer"
            )
        if isinstance(self._check, str):
            vars(layer)[self._name] = getattr(layer, self._check)(value)
        else:
            vars(layer)[self._name] = self._check(value, self._name, **self._limits)


def fixed(check: Callable[..., Any] | str, **limits: Any) -> Any:
    """Return a :class:`Fixed`; the class declares the type, as in ``units: int = fixed(...)``."""
    return Fixed(check, **limits)
