"""The values that files of estimators hold beside those of JSON, each kind with its mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise.checkpoint.codec import Arrays, Codec, Kind, Packer, Tuples, Unpacker, is_plain
from gatewise.errors import CheckpointError, ConfigError, DTypeError
from gatewise.training import losses, optimizers

from .registry import CLASSES

if TYPE_CHECKING:
    from gatewise._typing import Array


class LostFunction:
    """Takes the place of a function that a file does not hold; it raises when it is called.

    Parameters
    ----------
    name : str
        The name of the function.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> NoReturn:
        raise ConfigError(
            f"the function {self.name!r} is not in the file that the estimator was read from; give"
            " it again, with set_params, to fit anew"
        )

    def __repr__(self) -> str:
        return f"<{self.name}, not kept in the file>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LostFunction) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


class _Dicts(Kind):
    """Dicts with any keys, as pairs."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, dict)

    def pack(self, value: dict[Any, Any], packer: Packer) -> list[list[Any]]:
        return [
            [packer.pack(key, f"{number}k"), packer.pack(part, number)]
            for number, (key, part) in enumerate(value.items())
        ]

    def unpack(self, content: Any, unpacker: Unpacker) -> dict[Any, Any]:
        return {unpacker.unpack(key): unpacker.unpack(part) for key, part in content}


class _Labels(Kind):
    """Arrays of labels that are text or anything: dtype, shape and a flat list."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, np.ndarray) and value.dtype.kind in "OU"

    def pack(self, value: Array, packer: Packer) -> list[Any]:
        labels = [
            label.item() if isinstance(label, np.generic) else label
            for label in value.ravel().tolist()
        ]
        if not all(is_plain(label) for label in labels):
            raise DTypeError(
                f"{packer.name} is an array of {type(labels[0]).__name__} objects, which files"
                " cannot hold; give labels that are text or numbers"
            )
        return [value.dtype.str, list(value.shape), labels]

    def unpack(self, content: Any, unpacker: Unpacker) -> Array:
        dtype, shape, labels = content
        if np.dtype(dtype).kind not in "OU" or not all(is_plain(label) for label in labels):
            raise CheckpointError(
                f"an array of labels has dtype {dtype!r:.80}, or holds what is no label"
            )
        if dtype != "|O" and not all(isinstance(label, str) for label in labels):
            raise CheckpointError("an array of texts holds something else")
        result = np.empty(len(labels), object)
        result[:] = labels
        result = result.reshape(shape)
        return result if dtype == "|O" else result.astype(np.str_)


class _Optimizers(Kind):
    def holds(self, value: Any) -> bool:
        return isinstance(value, optimizers.Optimizer)

    def pack(self, value: optimizers.Optimizer, packer: Packer) -> Any:
        return packer.pack(optimizers.serialize(value), "optimizer")

    def unpack(self, content: Any, unpacker: Unpacker) -> optimizers.Optimizer:
        return optimizers.get(unpacker.names(content))


class _Losses(Kind):
    def holds(self, value: Any) -> bool:
        return isinstance(value, losses.Loss)

    def pack(self, value: losses.Loss, packer: Packer) -> Any:
        return packer.pack(losses.serialize(value), "loss")

    def unpack(self, content: Any, unpacker: Unpacker) -> losses.Loss:
        return losses.get(unpacker.names(content))


class _RandomStates(Kind):
    def holds(self, value: Any) -> bool:
        return isinstance(value, np.random.RandomState)

    def pack(self, value: np.random.RandomState, packer: Packer) -> Any:
        return packer.pack(value.get_state(legacy=False), "random_state")

    def unpack(self, content: Any, unpacker: Unpacker) -> np.random.RandomState:
        state = np.random.RandomState()
        state.set_state(unpacker.names(content))
        return state


class _Estimators(Kind):
    """An estimator within an estimator: an encoder's file holds what is known of y so."""

    def holds(self, value: Any) -> bool:
        return type(value) is CLASSES.get(type(value).__name__)

    def pack(self, value: Any, packer: Packer) -> list[Any]:
        return [type(value).__name__, packer.pack(vars(value), "object")]

    def unpack(self, content: Any, unpacker: Unpacker) -> Any:
        name, attributes = content
        value: Any = object.__new__(CLASSES[name])
        vars(value).update(unpacker.names(attributes))
        return value


class _Functions(Kind):
    """Functions, of which the name alone is written."""

    def holds(self, value: Any) -> bool:
        return callable(value)

    def pack(self, value: Any, packer: Packer) -> str:
        return (
            getattr(value, "__qualname__", None)
            or getattr(value, "name", None)
            or type(value).__name__
        )

    def unpack(self, content: Any, unpacker: Unpacker) -> LostFunction:
        return LostFunction(str(content)[:200])


VALUES = Codec(
    Tuples("$tuple"),
    _Dicts("$dict"),
    _Labels("$texts"),
    Arrays("$array"),
    _Optimizers("$optimizer"),
    _Losses("$loss"),
    _RandomStates("$random_state"),
    _Estimators("$object"),
    _Functions("$function"),
    objects=False,
)
