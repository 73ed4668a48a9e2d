"""The one file format: named arrays and a JSON header, written atomically, read without trust.

The file is a safetensors file with one metadata entry; docs/checkpoint-format.md gives it byte by
byte. The safetensors library makes and takes apart the bytes. What it does not do is done here: the
atomic write (its `save_file` makes every file mode 0600 and replaces even a device), the checksum,
and checks that it leaves out. Nothing here knows of layers or models: they check for themselves
that what comes back fits.
"""

import contextlib
import errno
import json
import math
import os
import re
import reprlib
import stat
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gatewise import file_kinds
from gatewise.errors import CheckpointError, ConfigError, DTypeError, SizeError

__all__ = ["FORMAT_VERSION", "CheckpointNotFoundError", "Contents", "read", "write"]

FORMAT_VERSION = 2

MAX_JSON_BYTES = 100_000_000  # safetensors' own limit
MAX_JSON_VALUES = 1_000_000  # a parsed value may take 50 times the memory of its text
MAX_JSON_DEPTH = 65  # a header of 64 levels, in the object that holds it and its version
MAX_NUMBER_LENGTH = 1000  # characters; reading an integer takes time quadratic in its length
MAX_NAME_LENGTH = 1024  # characters
MAX_RANK = 32  # the most that every NumPy can hold

PIECE = 2**20  # bytes that are compared at once after writing

# safetensors code -> NumPy kind and item size, without the byte order, which is little-endian.
_DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "C64": "c8", "BOOL": "b1", "I64": "i8", "I32": "i4",
    "I16": "i2", "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip
_CODES = {text: code for code, text in _DTYPES.items()}
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# What stands in a message is cut short before it is printed: a name may be as long as the file.
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = 100
_short = _repr.repr


class Contents(NamedTuple):
    """What one file holds.

    Attributes
    ----------
    tensors : dict of str to ndarray
        The arrays by name.
    header : dict
        JSON values beside them.
    """

    tensors: dict[str, np.ndarray]
    header: dict[str, Any]


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no file, or no folder to write it in, at the path given."""


class _Refused(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its name."""


def write(path, tensors, header):
    """Write arrays and a header to one file, all or nothing.

    A temporary file in the same folder is written, synced and renamed over `path`: a crash at any
    moment leaves either the old file or the new one, whole. A file that was there keeps its mode
    and, where the system allows, its owner; a symbolic link stays, and its target is replaced. The
    same contents always give the same bytes.

    Parameters
    ----------
    path : str or path-like
    tensors : mapping of str to ndarray
        Arrays of any shape, strides and byte order; bool, integers, float16 to float64 or
        complex64. Never changed. If another thread changes them meanwhile, the file can be read but
        may hold some old and some new numbers.
    header : dict
        Strings, booleans, ``None``, integers up to 1,000 digits, floats (NaN and infinities too),
        lists and dicts with string keys. Tuples come back as lists, NumPy scalars as Python
        numbers, dicts in order of their keys.

    Raises
    ------
    DTypeError, ConfigError, SizeError
        A value has a type that the file cannot hold, a limit of docs/checkpoint-format.md is
        exceeded, or there is no memory to put the file together. No file was touched.
    CheckpointError
        The file could not be written, or what was written is not what the disk gives back;
        ``errno`` and the cause tell why. The old file is unchanged and no temporary is left.
    """
    replace(path, content_of(path, tensors, header))


def content_of(path, tensors, header):
    """The bytes of the file that :func:`write` writes to `path`: what :func:`replace` takes. No file is touched.

    Afterwards the arrays may change.

    Raises
    ------
    DTypeError, ConfigError, SizeError
        As :func:`write`.
    """
    path = _path_text(path)
    try:
        arrays = _storable(tensors)
        content = _file_content(arrays, header)
        # the arrays changed between their checksum and their copy: of copies they cannot
        if content is None:
            content = _file_content({name: array.copy() for name, array in arrays.items()}, header)
    except _Refused as refusal:
        raise ConfigError(f"{path!r} could not be read again: it {refusal}") from None
    except MemoryError as error:
        raise SizeError(f"there is no memory to put {path!r} together: {error}") from error
    return content


def replace(path, content):
    """Write what :func:`content_of` gave to the file at `path`, all or nothing.

    Raises
    ------
    CheckpointError
        As :func:`write`.
    """
    _replace_file(_path_text(path), content)


def read(path):
    """Read a file that `write` wrote.

    Every length, name, dtype, shape and bound is checked, then the checksum over all of it. Nothing
    in the file is executed.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    tensors : dict of str to ndarray
        In order of name; each array owns its memory, is writable, C-contiguous and in native byte
        order.
    header : dict
        As it was given to `write`, with the keys of every dict in order.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged, or is not a gatewise checkpoint of a known version;
        where there is no file it is a CheckpointNotFoundError, which is a ``FileNotFoundError``
        too.
    SizeError
        The file and its arrays together do not fit in memory.
    """
    path = _path_text(path)
    try:
        with open(path, "rb", opener=_open_regular) as file:
            return Contents(*_read_file(file, path))
    except _Refused as refusal:
        raise CheckpointError(f"{path!r} {refusal}") from None
    except MemoryError as error:
        raise SizeError(f"{path!r} takes more memory than there is: {error}") from error
    # ValueError: a path with a zero byte or a lone surrogate
    except (OSError, ValueError) as error:
        raise _failure(f"cannot read {path!r}", error) from error


# Reading
# ---------------------------------------------------------------------------------------------------


def _open_regular(path, flags):
    # Looked at first, because opening a device may act on it; opened without blocking, because a
    # pipe may have taken its place, and opening one waits for a writer.
    _require_regular(os.stat(path), path)
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(status, path=None):
    if stat.S_ISDIR(status.st_mode) and path is not None:
        raise _Refused(file_kinds.folder_text(path))
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise _Refused(f"is {kind}, not a file")


def _refuse_foreign(path, file):
    """Say what a file is whose table cannot be ours, if that can be seen; leave the file where it began."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(300)
    file.seek(0)
    if int.from_bytes(start[:8], "little") > min(size - 8, MAX_JSON_BYTES) or start[8:9] != b"{":
        text = file_kinds.foreign_text(path, start, size)
        if text is not None:
            raise _Refused(text)


def _require_memory(size):
    # The library ends the process where an allocation fails. And a sparse file of any size costs
    # its sender nothing: where memory is overcommitted the process would be killed while filling
    # it.
    with contextlib.suppress(AttributeError, ValueError, OSError):  # a platform that does not say
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if size > memory:
            raise MemoryError(f"{size} bytes, of {memory}")
    np.empty(size, np.uint8)  # given back untouched; fails where the process has a limit of its own


def _read_file(file, path):
    """Tensors and header of an open file."""
    from safetensors import SafetensorError, deserialize

    status = os.fstat(file.fileno())
    _require_regular(status)
    _refuse_foreign(path, file)
    start = file.read(8)
    follow, head_size = status.st_size - 8, int.from_bytes(start, "little")
    if head_size > min(follow, MAX_JSON_BYTES):
        raise _Refused(
            "is no safetensors file, or is cut short: its first 8 bytes announce a table of"
            f" {head_size} bytes, {max(follow, 0)} follow, and {MAX_JSON_BYTES} are allowed"
        )
    start += file.read(head_size)
    header, covered, checksum = _parse_head(start[8:])
    _require_memory(2 * status.st_size)
    file.seek(0)
    content = file.read(status.st_size)
    if len(content) != status.st_size or not content.startswith(start):
        raise _Refused("was changed by another program while it was read")
    try:
        table = sorted(deserialize(content), key=lambda tensor: tensor[0])
    except SafetensorError as error:
        raise _Refused(f"is damaged or cut short: {str(error)[:300]}") from None
    del content

    tensors = [(name, tensor["dtype"], tensor["shape"], tensor["data"]) for name, tensor in table]
    for name, code, shape, data in tensors:
        _check_tensor(name, code, shape)
        if code == "BOOL" and data.translate(None, b"\0\1"):
            raise _Refused(
                f"is damaged: tensor {_short(name)} is BOOL and holds a byte other than 0 and 1"
            )
    if checksum != _checksum(covered, tensors):
        raise _Refused("is damaged: its contents do not match its checksum")
    # astype copies, so that each array owns its memory.
    views = (
        (name, np.ndarray(shape, "<" + _DTYPES[code], data)) for name, code, shape, data in tensors
    )
    return {name: view.astype(view.dtype.newbyteorder("=")) for name, view in views}, header


def _parse_head(head):
    """Header, the text that the checksum covers, and the checksum, of a table; the tensors are the library's."""
    if not head.startswith(b"{"):
        raise _Refused("is no safetensors file: its table does not begin with '{'")
    metadata = _parse_json(head, "table").get("__metadata__")
    text = metadata.get("gatewise") if type(metadata) is dict else None
    if type(text) is not str:
        raise _Refused(
            "is a safetensors file but not a gatewise checkpoint: its metadata has no text"
            " 'gatewise'; read its arrays with safetensors.numpy.load_file, and give them to"
            " set_weights"
        )
    document = _parse_json(text, "header")
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise _Refused(
            f"is damaged: its format version is {_short(version)}, not a positive integer"
        )
    if version > FORMAT_VERSION:
        known = f"this one reads up to {FORMAT_VERSION}; update gatewise to read it"
        raise _Refused(
            f"was written by a newer gatewise: format version {_short(version)}, {known}"
        )
    header = _decode(document.get("header"))
    if type(header) is not dict:
        raise _Refused(f"is damaged: its header is {_short(header)}, not a dict")
    return header, text.partition(",")[2], document.get("checksum")


def _check_tensor(name, code, shape):
    """Our limits, and what the library takes and NumPy does not."""
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise _Refused(
            f"has a tensor name of {len(name)} characters; 1 to {MAX_NAME_LENGTH} are allowed"
        )
    if code not in _DTYPES:
        raise _Refused(f"has tensor {_short(name)} of dtype {code}; known are {', '.join(_DTYPES)}")
    if len(shape) > MAX_RANK:
        raise _Refused(
            f"has tensor {_short(name)} of {len(shape)} axes; at most {MAX_RANK} are allowed"
        )
    # NumPy holds the axes that are not empty to its limit even where one that is makes the array
    # empty.
    if (
        math.prod(extent for extent in shape if extent) * np.dtype(_DTYPES[code]).itemsize
        > np.iinfo(np.intp).max
    ):
        raise _Refused(
            f"has tensor {_short(name)} of shape {_short(shape)}, larger than an array can be"
        )


# Writing
# ---------------------------------------------------------------------------------------------------


def _storable(tensors):
    """The arrays as C-contiguous little-endian ndarrays, in order of name."""
    if not isinstance(tensors, Mapping):
        raise DTypeError(f"tensors is a {type(tensors).__name__}, not a mapping of names to arrays")
    for name, array in tensors.items():
        if not isinstance(name, str):
            raise DTypeError(
                f"tensor names are strings; one is {_short(name)} ({type(name).__name__})"
            )
        if name == "__metadata__":
            raise ConfigError(
                "a tensor may not be named '__metadata__': safetensors keeps that name"
            )
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise DTypeError(
                f"tensor {_short(name)} is a {type(array).__name__}, not a plain ndarray"
            )
        # isbuiltin 2: a type that another package registered, whose kind and size may pose as
        # NumPy's.
        if array.dtype.str[1:] not in _CODES or array.dtype.isbuiltin == 2:
            known = "bool, integers, float16, float32, float64 and complex64"
            raise DTypeError(
                f"tensor {_short(name)} has dtype {array.dtype}; a checkpoint holds {known}"
            )
    # asarray, not ascontiguousarray: that one gives a 0-d array an axis.
    ordered = sorted(tensors.items())
    return {
        name: np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        for name, array in ordered
    }


def _file_content(arrays, header):
    """The bytes of the file, judged as a reader does; None if the arrays changed while they were copied."""
    from safetensors import SafetensorError
    from safetensors.numpy import save

    if not isinstance(header, dict):
        raise DTypeError(f"header is a {type(header).__name__}, not a dict")
    document = {"format_version": FORMAT_VERSION, "header": _encode(header, "header", 2)}
    tensors = [
        (name, _CODES[array.dtype.str[1:]], array.shape, array) for name, array in arrays.items()
    ]
    try:
        covered = json.dumps(document, separators=(",", ":"), ensure_ascii=False, sort_keys=True)[
            1:
        ]
        text = f'{{"checksum":{_checksum(covered, tensors)},{covered}'
    except ValueError as error:  # an integer too long to print, or a string with a lone surrogate
        raise ConfigError(f"a header value or tensor name cannot be stored: {error}") from error
    for name, code, shape, _ in tensors:
        _check_tensor(name, code, shape)
    _require_memory(2 * (len(text) + sum(array.nbytes for array in arrays.values())))
    try:
        content = save(arrays, {"gatewise": text})  # several entries would come in random order
    except SafetensorError as error:
        raise ConfigError(
            f"the safetensors library cannot store these tensors: {str(error)[:300]}"
        ) from error
    head_size = int.from_bytes(content[:8], "little")
    if head_size > MAX_JSON_BYTES:
        taken = (
            f"header and tensor table take {head_size} bytes of JSON, of at most {MAX_JSON_BYTES}"
        )
        raise ConfigError(f"{taken}; keep long lists as tensors")
    # Judged by the reader itself before any file is touched: a valid file is never overwritten by
    # one that cannot be read.
    head = content[8 : 8 + head_size]
    _, covered, checksum = _parse_head(head)
    table, data = _parse_json(head, "table"), memoryview(content)[8 + head_size :]
    copied = [
        (name, code, shape, data[slice(*table[name]["data_offsets"])])
        for name, code, shape, _ in tensors
    ]
    return content if checksum == _checksum(covered, copied) else None


def _replace_file(path, content):
    """Write `content` to a new file and put it in the place of `path`."""
    try:
        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        # Random, so that writers do not meet; short, so that a name of full length gets one too.
        temporary = os.path.join(folder, f".gatewise-{os.urandom(8).hex()}.tmp")
        if not os.path.basename(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        old = _replaceable(target)
        # A private file's successor is private from its first byte; a new one is as the umask has
        # it.
        mode = 0o666 if old is None else 0o600
        try:
            with open(
                temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)
            ) as file:
                if old is not None:
                    _keep_permissions(old, temporary)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _require_same(temporary, content)
            os.replace(temporary, target)
        except BaseException:  # an interrupt too: however the writing ends, nothing is left behind
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except _Refused as refusal:
        raise CheckpointError(f"cannot write {path!r}: it {refusal}") from None
    except MemoryError as error:
        raise SizeError(
            f"there is no memory to write {path!r}, what was there before is unchanged: {error}"
        ) from error
    except (OSError, ValueError) as error:
        raise _failure(
            f"cannot write {path!r}, what was there before is unchanged", error
        ) from error
    try:
        _sync_folder(folder)
    except OSError as error:
        raise _failure(f"{path!r} is written, but a power cut may still undo it", error) from error


def _require_same(path, content):
    """Refuse a file that does not hold these bytes: on a failing disk, or one that another program writes to."""
    content = memoryview(content)
    with open(path, "rb") as file:
        # one byte more: the file ends where the content does
        for start in range(0, len(content) + 1, PIECE):
            if file.read(PIECE) != content[start : start + PIECE]:
                raise OSError(errno.EIO, "what was written is not what is read back")


def _replaceable(target):
    """Status of the file that is to be replaced, ``None`` if there is none."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    _require_regular(old)
    # Renaming asks leave of the folder only; a file that its owner made read-only stays.
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
    return old


def _keep_permissions(old, temporary):
    for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
        # Giving a file to another user takes privileges; without them it belongs to its writer.
        # Windows has no chown.
        with contextlib.suppress(OSError, AttributeError):
            os.chown(temporary, owner, group)
    mode = old.st_mode & 0o777
    if os.stat(temporary).st_mode & 0o777 != mode:
        os.chmod(temporary, mode)


def _sync_folder(folder):
    """Make the renaming itself last."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (PermissionError, AttributeError):
        # a folder that may be written and not read, and every folder of Windows, cannot be synced
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some network file systems
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


# JSON
# ------------------------------------------------------------------------------------------------------


def _encode(value, where, depth):
    """`value` in JSON's terms: NaN and infinities become ``{"$float": "nan"}`` and so on.

    A dict's own key that begins with ``$`` gets a second one, so that nothing can be mistaken for
    that.
    """
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(float(value))}
    if depth > MAX_JSON_DEPTH:
        raise ConfigError(
            f"header is nested deeper than {MAX_JSON_DEPTH - 1} levels, or contains itself"
        )
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise DTypeError(
                    f"{where} has key {_short(key)} ({type(key).__name__}); keys are strings"
                )
            result["$" + key if key.startswith("$") else key] = _encode(
                item, f"{where}[{key!r}]", depth + 1
            )
        return result
    raise DTypeError(
        f"{where} is a {type(value).__name__}; a header holds str, bool, int, float, None, list and"
        " dict"
    )


def _decode(value):
    """Undo `_encode`. Recursion is bounded by the depth that `_parse_json` allows."""
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$float" in value:
        name = value["$float"]
        if len(value) != 1 or type(name) is not str or name not in _NON_FINITE:
            raise _Refused(f"is damaged: its header has {_short(value)} for a float")
        return _NON_FINITE[name]
    if marks := [key for key in value if key.startswith("$") and not key.startswith("$$")]:
        raise _Refused(f"is damaged: its header has the unknown mark {_short(marks[0])}")
    return {key.removeprefix("$"): _decode(item) for key, item in value.items()}


def _parse_json(data, what):
    """The dict that `data`, text or its bytes, spells, within the limits at the head of this file."""
    try:
        data = data if isinstance(data, bytes) else data.encode()
        # without the escapes that could end a string
        bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Each value has at most two quotation marks around it and two around its key.
        values = max(data.count(b",") + data.count(b"[") + data.count(b"{"), bare.count(b'"') // 4)
        if values > MAX_JSON_VALUES:
            raise _Refused(
                f"has a {what} of about {values} JSON values; at most {MAX_JSON_VALUES} are allowed"
            )
        # The parser recurses, so depth is measured before it: with strings and all else but
        # brackets gone, each pass removes the innermost pairs.
        brackets = re.sub(rb'"[^"]*"|[^][{}"]+', b"", bare).translate(bytes.maketrans(b"{}", b"[]"))
        for _ in range(MAX_JSON_DEPTH):
            brackets = brackets.replace(b"[]", b"")
        if brackets:
            raise _Refused(
                f"has a {what} nested deeper than {MAX_JSON_DEPTH - 1} levels, or with unpaired"
                " brackets"
            )
        numbers = {"parse_int": _number, "parse_float": _number, "parse_constant": _number}
        value = json.loads(data.decode(), object_pairs_hook=_without_duplicates, **numbers)
        # an escape may spell half a character, which cannot be printed or written
        if rb"\ud" in data.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:  # not UTF-8, or not JSON; the cause would keep the whole text alive
        raise _Refused(f"is damaged: its {what} is not JSON in UTF-8: {error}") from None
    if type(value) is not dict:
        raise _Refused(f"is damaged: its {what} is {_short(value)}, not a JSON object")
    return value


def _without_duplicates(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _Refused(f"is damaged: {_short(twice)} occurs twice in one JSON object")
    return result


def _number(text):
    """An integer or a finite float; Python's parser would also take NaN, infinities and any length."""
    if len(text) > MAX_NUMBER_LENGTH + (text[0] == "-"):
        raise _Refused(
            f"has a number of {len(text)} characters; at most {MAX_NUMBER_LENGTH} are allowed"
        )
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise _Refused(f"is damaged: the number {text} is not finite")
    return value


# Both ways
# -------------------------------------------------------------------------------------------------


def _checksum(covered, tensors):
    """CRC-32 of the text that it covers, then of every tensor's name, dtype, shape and bytes, in order of name.

    Not by place in the file: a tool that lays the same tensors out otherwise keeps it valid.
    """
    crc = zlib.crc32(covered.encode())
    for name, code, shape, data in tensors:
        extents = ",".join(map(str, shape))
        crc = zlib.crc32(data, zlib.crc32(f"{name}\0{code}\0{extents}\0".encode(), crc))
    return crc


def _path_text(path):
    try:
        return os.fsdecode(path)
    except TypeError:
        raise DTypeError(f"path is a {type(path).__name__}, not a string or path-like") from None


def _failure(message, cause):
    if getattr(cause, "errno", None) == errno.ENOMEM:
        return SizeError(f"{message}: there is no memory")
    kind = CheckpointNotFoundError if isinstance(cause, FileNotFoundError) else CheckpointError
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    error = kind(f"{message}: {reason}")
    error.errno = getattr(cause, "errno", None)
    return error
