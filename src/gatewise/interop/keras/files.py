"""Files of Keras: the zip archive of Keras 3, and HDF5 in its two forms."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from gatewise.checkpoint.files import path_text
from gatewise.checkpoint.refusal import Refused, short
from gatewise.checkpoint.writing import replace_file
from gatewise.errors import CheckpointError, GatewiseError, SizeError

from .hdf5 import MAGIC, Tree, content_of
from .layer_configs import json_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise._typing import PathLike

# The version whose form is written.
KERAS_VERSION = "3.8.0"
_MOST_JSON = 100 * 2**20


class Content(NamedTuple):
    """What a file holds."""

    config: dict[str, Any] | None  # of the whole model; None: weights alone
    compiled: dict[str, Any] | None  # what it was compiled with
    weights: Tree
    version: str  # of Keras
    legacy: bool  # whether weights are by names of layers, as in Keras 2

    @property
    def old(self) -> bool:
        """Whether a version of Keras before 3 wrote it."""
        return not self.version.startswith("3")


def read(path: PathLike) -> Content:
    """Return what a file holds.

    Raises
    ------
    CheckpointError
        It cannot be read, or is no file of Keras.
    SizeError
        It does not fit into memory.
    """
    content = content_of(path)
    return refusing(path, lambda: _read(content))


def refusing(path: PathLike, work: Callable[[], Any]) -> Any:
    """Return what a function returns; what goes wrong becomes an error that names the file.

    Raises
    ------
    CheckpointError
        The function refused something, or met a value of a kind that no file of Keras has.
    GatewiseError
        As the function raised it: what the file describes is not in gatewise.
    """
    name = path_text(path)
    try:
        return work()
    except Refused as refusal:
        raise CheckpointError(f"{name!r} {refusal}") from None
    except SizeError:
        raise
    except GatewiseError as error:
        raise type(error)(f"{name!r}: {error!s:.800}") from error
    except (
        *(TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError),
        *(RecursionError, RuntimeError, OSError, zlib.error),
    ) as error:
        raise CheckpointError(
            f"{name!r} is damaged: {type(error).__name__}: {str(error)[:200]}"
        ) from error


def _read(content: bytes) -> Content:
    if content[:4] == b"PK\3\4":
        return _from_zip(content)
    if content[:8] == MAGIC:
        return _from_hdf5(content)
    raise Refused("is no file of Keras: expected .keras, .h5 or .weights.h5")


def _from_zip(content: bytes) -> Content:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        with archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            parts = {
                name: _entry(archive, entries, name, len(content))
                for name in ("metadata.json", "config.json", "model.weights.h5")
            }
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, OverflowError) as error:
        raise Refused(f"is damaged: {str(error)[:200]}") from None
    config = json_text(parts["config.json"], "config.json")
    metadata = json_text(parts["metadata.json"], "metadata.json")
    if not isinstance(config, dict) or not isinstance(metadata, dict):
        raise Refused("is damaged: its configuration is no dict")
    version = str(metadata.get("keras_version", "3"))
    compiled = config.get("compile_config")
    weights = Tree(parts["model.weights.h5"])
    return Content(config, compiled or None, weights, version, legacy=False)


def _entry(archive: zipfile.ZipFile, entries: Any, name: str, size: int) -> bytes:
    entry = entries.get(name)
    if entry is None:
        raise Refused(f"is no file of Keras: the archive has no {name}")
    # Keras does not compress; a configuration may be, if somebody packed the archive again.
    most = size if entry.compress_type == zipfile.ZIP_STORED else min(_MOST_JSON, 100 * size)
    if entry.file_size > most or entry.flag_bits & 1:
        raise Refused(f"has {name} of {entry.file_size} bytes, more than the file can hold")
    with archive.open(entry) as file:
        found = file.read(entry.file_size + 1)
    if len(found) != entry.file_size:
        raise Refused(f"is damaged: {name} has another size than the archive says")
    return found


def _from_hdf5(content: bytes) -> Content:
    tree = Tree(content)
    group = "model_weights" if tree.has_group("model_weights") else ""
    version = tree.text(group, "keras_version") or tree.text("", "keras_version") or "2"
    legacy = bool(group) or bool(tree.texts("", "layer_names"))
    if not legacy and not tree.has_group("layers"):
        raise Refused("is no file of Keras: it has neither layers nor layer_names")
    text, training = tree.text("", "model_config"), tree.text("", "training_config")
    config = None if text is None else json_text(text, "model_config")
    compiled = None if training is None else json_text(training, "training_config")
    if config is not None and not isinstance(config, dict):
        raise Refused("is damaged: its configuration is no dict")
    return Content(config, compiled, tree, version if legacy else "3", legacy)


def write_archive(path: PathLike, config: dict[str, Any], weights: bytes) -> None:
    """Write a .keras file.

    Raises
    ------
    CheckpointError
        It cannot be written; an old file is unchanged.
    """
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": KERAS_VERSION, "date_saved": now}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    replace_file(path_text(path), buffer.getvalue())


__all__ = ["KERAS_VERSION", "Content", "read", "refusing", "short", "write_archive"]
