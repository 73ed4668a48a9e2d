"""Models out to ONNX files, and in from them.

Names load on first use, and need the package onnx.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:  # what static tools see
    from .backend import Backend
    from .exporting import export_model
    from .exporting.converters import register_converters
    from .importing import import_model

__all__ = ["Backend", "export_model", "import_model", "register_converters"]

_NAMES = {
    "Backend": "backend",
    "export_model": "exporting",
    "register_converters": "exporting.converters",
    "import_model": "importing",
}


def __getattr__(name: str) -> object:
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
