"""Which other program wrote a file, from its first bytes: for messages that say what to do.

Nothing of such a file is executed, and no more of it is read than names.
"""

from __future__ import annotations

import codecs
import os
import zipfile
from typing import TYPE_CHECKING, NamedTuple

from gatewise import checks

if TYPE_CHECKING:
    from gatewise._typing import PathLike

_KERAS = (
    "gatewise.interop.keras.load_model(path) makes a model of it, and load_weights(model, path)"
    " takes its weights"
)
_SAVED_MODEL = (
    "open it with Keras, and write model.save('model.keras') there, which"
    " gatewise.interop.keras.load_model reads"
)
_TORCH = (
    "make the same model here and call gatewise.interop.torch.load_state_dict(model, path), or"
    " let gatewise.interop.torch.from_state_dict(path) make it"
)
_WHAT_SAVE_WROTE = "give a file that save or save_weights of gatewise wrote"

# Endings of file names that stand for other programs' formats.
FOREIGN_ENDINGS = {
    ".keras": "Keras",
    ".h5": "HDF5 (Keras)",
    ".hdf5": "HDF5 (Keras)",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".ckpt": "TensorFlow or PyTorch",
    ".pb": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".onnx": "ONNX",
    ".npz": "NumPy",
    ".npy": "NumPy",
    ".pkl": "Python's pickle",
    ".pickle": "Python's pickle",
    ".joblib": "joblib",
    ".zip": "a zip archive",
    ".json": "JSON",
    ".csv": "a table",
    ".txt": "text",
}


class Ending(NamedTuple):
    """An ending of file names that stands for another program's format."""

    ending: str  # with its dot, in lower case
    format: str  # for messages


def foreign_ending(path: PathLike) -> Ending | None:
    """Return the ending of a path if it stands for another program's format, else None."""
    ending = os.path.splitext(os.fsdecode(path))[1].lower()
    return Ending(ending, FOREIGN_ENDINGS[ending]) if ending in FOREIGN_ENDINGS else None


def folder_text(path: str) -> str:
    """Return what a folder is and what to do, as the end of a sentence."""
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return f"is a folder, a TensorFlow SavedModel: {_SAVED_MODEL}"
    return f"is a folder, not a file; {_WHAT_SAVE_WROTE}"


def foreign_text(path: str, start: bytes, size: int) -> str | None:
    """Return what a file of another program is and what to do, as the end of a sentence.

    Parameters
    ----------
    path : str
        The file.
    start : bytes
        The file's first bytes, some hundred.
    size : int
        The file's size in bytes.

    Returns
    -------
    str or None
        None: the format is not known.
    """
    if size == 0:
        return (
            "is empty: the program that wrote it was interrupted, or the disk was full; take an"
            " older file"
        )
    if not start.strip(b"\0"):
        return "holds zeros only: the machine stopped before it was written; take an older file"
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return _zip_text(path)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return f"is an HDF5 file, of Keras perhaps: {_KERAS}"
    if start.startswith(b"\x93NUMPY"):
        return (
            "is an array of NumPy (.npy): read it with numpy.load, and give it to set_weights; or"
            f" {_WHAT_SAVE_WROTE}"
        )
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
        return (
            "is a pickle, of Python, joblib or an old PyTorch, which can run any code when it is"
            " opened: if you trust it, open it with the program that wrote it, and save what it"
            f" holds with gatewise; or {_WHAT_SAVE_WROTE}"
        )
    if start[4:8] == b"TFL3":
        return f"is a model of TensorFlow Lite; {_WHAT_SAVE_WROTE}"
    if start.startswith(b"\x1f\x8b"):
        return f"is compressed with gzip: unpack it first, and {_WHAT_SAVE_WROTE}"
    if _is_onnx(path, start):
        return (
            "is an ONNX model: gatewise.interop.onnx.import_model(path) makes a model of it, and"
            f" gatewise.interop.onnx.Backend runs it as it is; or {_WHAT_SAVE_WROTE}"
        )
    return _text_text(start)


def _zip_text(path: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return (
            "is a damaged zip archive, of Keras, PyTorch or NumPy perhaps: take an older file, or"
            f" {_WHAT_SAVE_WROTE}"
        )
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return f"is a model of Keras (.keras): {_KERAS}"
    if any(name.endswith("data.pkl") for name in names):
        return f"is a file of PyTorch: {_TORCH}"
    if names and all(name.endswith(".npy") for name in names):
        return (
            "holds arrays of NumPy (.npz): read them with numpy.load, and give them to set_weights"
            f" in the order of get_weights; or {_WHAT_SAVE_WROTE}"
        )
    return f"is a zip archive: unpack it first, and {_WHAT_SAVE_WROTE}"


def _is_onnx(path: str, start: bytes) -> bool:
    """Whether it begins like ONNX: the first field is a version, a small number, the next text."""
    looks_so = len(start) > 2 and start[0] == 0x08 and start[1] <= 32
    return looks_so and (start[2] in (0x12, 0x1A) or os.path.splitext(path)[1].lower() == ".onnx")


def _text_text(start: bytes) -> str | None:
    """What a file is that begins with text: it decodes, and has no control characters.

    The last character may be cut.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return None
    if not all(character.isprintable() or character in "\r\n\t\f\ufeff" for character in text):
        return None
    kind = "a JSON text" if text.lstrip("\ufeff \r\n\t")[:1] in ("{", "[") else "a text"
    return f"is {kind}, which begins with {text[:40]!r}; {_WHAT_SAVE_WROTE}"


def warn_of_ending(path: PathLike) -> None:
    """Warn if the ending of a file name stands for another program's format.

    The warning points to the program that called the library.
    """
    try:
        found = foreign_ending(path)
    except TypeError:  # it is no path: writing raises
        return
    if found is not None:
        checks.warn(
            f"file names that end in {found.ending!r} stand for {found.format}: the file is in"
            " gatewise's own format, which only gatewise and readers of safetensors open; let the"
            " name end in '.safetensors'",
            UserWarning,
        )
