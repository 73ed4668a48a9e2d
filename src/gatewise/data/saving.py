"""Writing a transformer to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gatewise import checkpoint, file_kinds
from gatewise.errors import DTypeError, NotFittedError

from .packing import VALUES

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike


class Saved:
    """Mixin of transformers that can be written to a file."""

    # Attributes that fit always sets: a file without them is damaged.
    _learned: ClassVar[tuple[str, ...]] = ()

    def save(self, path: PathLike) -> None:
        """Write the parameters and the learned attributes to one file, atomically.

        :func:`gatewise.load_estimator` reads it. Nothing in it is pickled.
        :func:`gatewise.save_estimator` writes a whole pipeline.

        Parameters
        ----------
        path : str or path-like
            The file to write.

        Raises
        ------
        NotFittedError
            The transformer is not fitted.
        CheckpointError
            The file could not be written; an older file of that name is unchanged.
        DTypeError
            A parameter is of a kind that files cannot hold, or the class is a custom one.
        """
        if not is_transformer(self):
            raise DTypeError(
                f"{type(self).__name__} is a custom class, which load_estimator could not find;"
                " expected a transformer of gatewise.data itself"
            )
        file_kinds.warn_of_ending(path)
        arrays: dict[str, Array] = {}
        header = {"transformer": pack_transformer(self, arrays)}
        checkpoint.write(path, arrays, header)


def is_transformer(value: object) -> bool:
    """Whether it is a transformer of :mod:`gatewise.data` itself, not of a derived class."""
    return isinstance(value, Saved) and type(value).__module__.startswith("gatewise.data.")


def pack_transformer(
    transformer: Any, arrays: dict[str, Array], prefix: str = ""
) -> dict[str, Any]:
    """Return a fitted transformer as JSON values.

    Parameters
    ----------
    transformer : Saved
        A transformer of :mod:`gatewise.data`.
    arrays : dict of str to ndarray
        Receives its arrays, by names that begin with `prefix`.
    prefix : str, default ""
        Text before the names of arrays.

    Raises
    ------
    NotFittedError
    DTypeError
        A parameter or attribute is of a kind that files cannot hold.
    """
    name, parameters = type(transformer).__name__, transformer.get_params(deep=False)
    attributes = {
        key: value
        for key, value in vars(transformer).items()
        if key not in parameters and key != "_metadata_request"
    }
    if not set(transformer._learned) <= set(attributes):
        raise NotFittedError(f"this {name} is not fitted; call fit first")
    return {
        "class_name": name,
        "parameters": {
            key: VALUES.encode(value, f"{prefix}parameters/{key}", arrays)
            for key, value in parameters.items()
        },
        "attributes": {
            key: VALUES.encode(value, f"{prefix}attributes/{key}", arrays)
            for key, value in attributes.items()
        },
    }
