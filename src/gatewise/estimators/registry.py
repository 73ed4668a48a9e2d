"""Which classes of estimators files may name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import SequenceEstimator

_classes: dict[str, type[SequenceEstimator]] = {}  # filled once, by the import of the package

CLASSES = MappingProxyType(_classes)  # by name; read only


def register(*classes: type[SequenceEstimator]) -> None:
    """Let files name these classes.

    :mod:`gatewise.estimators` calls this. The classes import the module that saves them, so that
    module cannot import the classes.
    """
    _classes.update({cls.__name__: cls for cls in classes})
