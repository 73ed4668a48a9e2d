"""The kinds of values, besides those of JSON, that files of transformers hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.checkpoint.codec import Arrays, Codec, Kind, Packer, Tuples, Unpacker
from gatewise.configuration import custom_objects
from gatewise.errors import CheckpointError, DTypeError

if TYPE_CHECKING:
    from gatewise._typing import Array

SCALERS = ("StandardScaler", "RobustScaler", "MinMaxScaler")  # of scikit-learn


class _Lists(Kind):
    def holds(self, value: Any) -> bool:
        return isinstance(value, list)

    def pack(self, value: list[Any], packer: Packer) -> list[Any]:
        return [packer.pack(part, number) for number, part in enumerate(value)]

    def unpack(self, content: Any, unpacker: Unpacker) -> list[Any]:
        return [unpacker.unpack(part) for part in content]


class _Dicts(Kind):
    """Dicts whose keys are strings."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)

    def pack(self, value: dict[str, Any], packer: Packer) -> dict[str, Any]:
        return {key: packer.pack(part, key) for key, part in value.items()}

    def unpack(self, content: Any, unpacker: Unpacker) -> dict[str, Any]:
        return {key: unpacker.unpack(part) for key, part in content.items()}


class Functions(Kind):
    """Functions of the user by their names; readers find them in `custom_objects`."""

    def holds(self, value: Any) -> bool:
        return callable(value) and not isinstance(value, type)

    def pack(self, value: Any, packer: Packer) -> str:
        name = getattr(value, "__name__", "")  # "<lambda>" is no name
        if not name.isidentifier():
            raise DTypeError(
                f"{packer.name} is {value!r:.80}, which has no name to find it by when the file is"
                " read; expected a function made by def"
            )
        return name

    def unpack(self, content: Any, unpacker: Unpacker) -> Any:
        known: Any = custom_objects()
        if content not in known:
            raise CheckpointError(
                f"it uses the function {content!r:.80}: give it, as load_estimator(path,"
                f" custom_objects={{{content!r:.80}: function}})"
            )
        if not callable(known[content]):
            raise CheckpointError(
                f"custom_objects has {known[content]!r:.80} for {content!r:.80}; expected a"
                " function"
            )
        return known[content]


class Paths(Kind):
    """Paths, as the text of them."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, os.PathLike)

    def pack(self, value: Any, packer: Packer) -> str:
        return os.fspath(value)

    def unpack(self, content: Any, unpacker: Unpacker) -> str:
        if not isinstance(content, str):
            raise CheckpointError("a path is no text")
        return content


class _Texts(Kind):
    """One-dimensional object arrays of strings."""

    def holds(self, value: Any) -> bool:
        return (
            isinstance(value, np.ndarray)
            and value.dtype.kind == "O"
            and value.ndim == 1
            and all(isinstance(part, str) for part in value)
        )

    def pack(self, value: Array, packer: Packer) -> list[str]:
        return value.tolist()

    def unpack(self, content: Any, unpacker: Unpacker) -> Array:
        if not all(isinstance(part, str) for part in content):
            raise CheckpointError("an array of texts holds something else")
        result = np.empty(len(content), object)
        result[:] = content
        return result


class _Scalers(Kind):
    """scikit-learn's fitted scalers: the name of the class, its parameters, its attributes."""

    def holds(self, value: Any) -> bool:
        return type(value).__name__ in SCALERS and type(value).__module__.startswith("sklearn.")

    def pack(self, value: Any, packer: Packer) -> list[Any]:
        # partial_fit reads the shape of NumPy's numbers, so they must be NumPy's again when loaded.
        attributes = {
            name: np.asarray(part) if isinstance(part, np.generic) else part
            for name, part in vars(value).items()
        }
        return [type(value).__name__, value.get_params(), packer.encode(attributes)]

    def unpack(self, content: Any, unpacker: Unpacker) -> Any:
        from sklearn import preprocessing

        name, parameters, packed = content
        if name not in SCALERS:
            raise CheckpointError(f"the scaler is a {name!r:.80}; expected one of {SCALERS}")
        parameters = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in parameters.items()
        }
        scaler = getattr(preprocessing, name)(**parameters)
        for key, value in unpacker.names(packed).items():
            if key not in parameters:
                setattr(scaler, key, _attribute(key, value))
        return scaler


def _attribute(name: str, value: Any) -> Any:
    """The value of a scaler's attribute, if a fitted scaler may have it."""
    known = name.endswith("_") and not name.startswith("__")
    if not known or not isinstance(value, np.ndarray | int | float | None):
        raise CheckpointError(
            f"the scaler has the attribute {name!r:.80}, a {type(value).__name__}"
        )
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


VALUES = Codec(
    Tuples("tuple"),
    _Lists("list"),
    _Dicts("dict"),
    _Texts("texts"),
    Arrays("array"),
    _Scalers("scaler"),
    Functions("function"),
    Paths("path"),
    objects=False,
)
