"""Making a transformer from its part of a file; every entry is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import CheckpointError

from .packing import SCALERS, VALUES
from .padder import SequencePadder
from .scaler import SequenceScaler
from .stacker import FrameStacker
from .text import Vocabulary
from .windower import Windower

if TYPE_CHECKING:
    from gatewise._typing import Array

CLASSES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (FrameStacker, SequencePadder, SequenceScaler, Vocabulary, Windower)
}


def unpack_transformer(packed: dict[str, Any], arrays: dict[str, Array]) -> Any:
    """Return the transformer that :func:`gatewise.data.saving.pack_transformer` packed.

    Its arrays are removed from `arrays`.

    Raises
    ------
    CheckpointError
        An entry is damaged. Any other exception means the same.
    """
    if packed["class_name"] not in CLASSES:
        raise CheckpointError(
            f"transformer class {packed['class_name']!r:.80} is not known; expected one of"
            f" {sorted(CLASSES)}"
        )
    cls = CLASSES[packed["class_name"]]
    parameters, attributes = (
        {key: VALUES.decode(value, arrays) for key, value in packed[part].items()}
        for part in ("parameters", "attributes")
    )
    transformer = cls(**parameters)
    for key in cls._learned:
        if key not in attributes:
            raise CheckpointError(f"attribute {key!r} of a {cls.__name__} is missing")
    for key, value in attributes.items():
        if not _may_be(cls, key, value, attributes):
            raise CheckpointError(f"attribute {key!r:.80} of a {cls.__name__} is {value!r:.80}")
    vars(transformer).update(attributes)
    return transformer


def _may_be(cls: type, key: str, value: Any, attributes: dict[str, Any]) -> bool:
    """Whether fit could have set an attribute to this value, given the other attributes."""
    if key in ("n_features_in_", "_features", "length_"):
        return type(value) is int and 0 <= value < 2**62
    if key in ("_table", "_strings"):
        return isinstance(value, bool)
    if key == "tokens_":
        texts = isinstance(value, list) and all(isinstance(token, str) for token in value)
        return texts and len(value) > 1
    if key == "_tokenizer":
        return value is None or isinstance(value, str)
    if key == "numbers_":
        return value == {token: number for number, token in enumerate(attributes["tokens_"])}
    if key == "_ends":
        pair = isinstance(value, tuple) and len(value) == 2
        return pair and all(token is None or token in attributes["tokens_"] for token in value)
    if key == "scaler_":
        return _is_scaler_of(value, attributes["_features"])
    return key.isidentifier() and not key.startswith("__") and not hasattr(cls, key)


def _is_scaler_of(scaler: Any, features: int) -> bool:
    """Whether it is a fitted scaler of this number of features."""
    if type(scaler).__name__ not in SCALERS or getattr(scaler, "n_features_in_", None) != features:
        return False
    arrays = [
        value for value in vars(scaler).values() if isinstance(value, np.ndarray) and value.ndim
    ]
    return all(array.shape == (features,) for array in arrays)
