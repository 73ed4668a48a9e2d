"""The one file format: named arrays and a JSON header, written atomically, read without trust.

The file is a safetensors file with four metadata entries; docs/checkpoint-format.md gives it byte
by byte. Nothing here knows of layers or models: they hand over arrays and plain Python values, and
check for themselves that what comes back fits.

Both directions are written here rather than left to the safetensors package (0.8), which the tests
use as the judge of our files. Its writer puts the metadata in random order, so that saving twice gives
two files; it makes every file mode 0600, replaces even a device, and drops the errno of a failure. Its
reader opens the path anew: the file may have been replaced since the checks, and one that shrinks
while it is mapped ends the process.
"""

import contextlib
import errno
import json
import math
import os
import re
import reprlib
import stat
import struct
import sys
import zlib
from collections.abc import Mapping

import numpy as np

from gatewise.errors import CheckpointError, ConfigError, DTypeError, SizeError

__all__ = ["FORMAT_VERSION", "CheckpointNotFoundError", "read", "write"]

FORMAT = "gatewise"
FORMAT_VERSION = 1

MAX_JSON_BYTES = 100_000_000  # safetensors' own limit
MAX_JSON_VALUES = 1_000_000  # a parsed value may take 50 times the memory of its text
MAX_JSON_DEPTH = 64
MAX_NUMBER_LENGTH = 1000  # characters; reading an integer takes time quadratic in its length
MAX_NAME_LENGTH = 1024  # characters
MAX_RANK = 32  # the most that every NumPy can hold
MAX_EXTENT = 2**63 - 1

# safetensors code -> NumPy kind and item size, without the byte order, which is little-endian.
_DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "C64": "c8", "BOOL": "b1",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip
_CODES = {text: code for code, text in _DTYPES.items()}

# What stands in a message is cut short before it is printed: a name may be as long as the file.
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = 100
_short = _repr.repr

_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no file, or no folder to write it in, at the path given."""


class _Refused(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its name."""


def write(path, tensors, header):
    """Write arrays and a header to one file, all or nothing.

    A temporary file in the same folder is written, synced and renamed over `path`: a crash at any
    moment leaves either the old file or the new one, whole. A file that was there keeps its mode and,
    where the system allows, its owner; a symbolic link stays, and its target is replaced. The same
    arrays and header always give the same bytes.

    Parameters
    ----------
    path : str or path-like
        File to write.
    tensors : mapping of str to ndarray
        Arrays of any shape, strides and byte order; bool, integers, float16 to float64 or complex64.
        Never changed, and copied only where not C-contiguous and little-endian. They must not change
        during the call.
    header : dict
        Strings, booleans, ``None``, integers up to 1,000 digits, floats (NaN and infinities too), lists
        and dicts with string keys. Tuples come back as lists, NumPy scalars as Python numbers.

    Raises
    ------
    DTypeError
        An array or header value has a type that the file cannot hold. No file was touched.
    ConfigError
        A limit is exceeded: see docs/checkpoint-format.md. No file was touched.
    CheckpointError
        The file could not be written; ``errno`` and the cause tell why. The old file is unchanged and
        no temporary is left.
    """
    path = _path_text(path)
    arrays = _storable(tensors)
    head, order = _build_head(arrays, header)
    pieces = [struct.pack("<Q", len(head)), head, *(_bytes_of(arrays[name]) for name in order)]
    _replace_file(path, pieces)


def read(path):
    """Read a file that `write` wrote.

    Every length, name, dtype, shape and bound is checked before memory is taken for it, then the
    checksum over all of it. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
        File to read.

    Returns
    -------
    tensors : dict of str to ndarray
        In order of name; each array owns its memory, is writable, C-contiguous and in native byte order.
    header : dict
        As it was given to `write`.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged, or is not a gatewise checkpoint of a known version.
    CheckpointNotFoundError
        There is no such file. Also a ``FileNotFoundError``.
    SizeError
        The arrays do not fit in this machine's memory.
    """
    path = _path_text(path)
    try:
        with open(path, "rb", opener=_open_regular) as file:
            return _read_file(file)
    except _Refused as refusal:
        raise CheckpointError(f"{path!r} {refusal}") from None
    except MemoryError as error:
        raise SizeError(f"{path!r} holds more than this machine's memory: {error}") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte or a lone surrogate
        raise _failure(f"cannot read {path!r}: {_reason(error)}", error) from error


# Reading -----------------------------------------------------------------------------------------


def _read_file(file):
    """Tensors and header of an open file."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise _Refused(f"is not a checkpoint: it has {size} bytes, and a header alone takes more")
    (head_size,) = struct.unpack("<Q", _read_exactly(file, bytearray(8)))
    if head_size > min(size - 8, MAX_JSON_BYTES):
        raise _Refused(
            f"is not a safetensors file, or is cut short: its first 8 bytes announce a header of "
            f"{head_size} bytes; {size - 8} follow, and {MAX_JSON_BYTES} are allowed"
        )
    head = _read_exactly(file, bytearray(head_size))
    table, header_text, crc = _parse_head(head, size - 8 - head_size)
    header = _parse_header(header_text)
    _check_fits_memory(size)

    arrays = {}
    for name, code, shape in table:
        array = np.empty(shape, dtype=_DTYPES[code])
        data = _read_exactly(file, _bytes_of(array))
        if code == "BOOL" and data.size and data.max() > 1:
            raise _Refused(f"is damaged: tensor {_short(name)} is BOOL and holds {data.max()}, not 0 or 1")
        arrays[name] = array
    if crc != _checksum(header_text, arrays):
        raise _Refused("is damaged: its contents do not match its checksum")
    if sys.byteorder == "big":
        for array in arrays.values():
            array.byteswap(inplace=True)
    return {name: arrays[name] for name in sorted(arrays)}, header


def _parse_head(head, data_size):
    """Check the safetensors header against the size of the data that follows it.

    Returns a list of (name, code, shape) in the order of the data, the JSON text of the header that
    the caller of `write` gave, and the checksum's text.
    """
    if not head.startswith(b"{"):
        raise _Refused("is not a safetensors file: its header does not begin with '{'")
    table = _parse_json(head, "safetensors header")
    metadata = table.pop("__metadata__", {})
    header_text, crc = _check_metadata(metadata)
    tensors = [_check_entry(name, entry) for name, entry in table.items()]

    # A zero-size tensor lies at the beginning of its neighbour: the end decides between them.
    tensors.sort(key=lambda tensor: tensor[3:])
    position = 0
    for name, _, _, begin, end in tensors:
        if begin != position:
            raise _Refused(
                f"is damaged: tensor {_short(name)} begins at byte {_short(begin)} of the data, "
                f"where the one before it ends at {position}"
            )
        position = end
    if position != data_size:
        raise _Refused(
            f"is damaged or cut short: its tensors take {_short(position)} bytes and {data_size} bytes of "
            "data are there"
        )
    return [tensor[:3] for tensor in tensors], header_text, crc


def _check_metadata(metadata):
    """The header text and checksum from the metadata of a file in our format and version."""
    if type(metadata) is not dict:
        raise _Refused(f"is damaged: its __metadata__ is {_short(metadata)}, not an object")
    for key, value in metadata.items():
        if type(value) is not str:
            raise _Refused(f"is damaged: metadata {_short(key)} is {_short(value)}, not a string")
        _check_text(key)
        _check_text(value)
    if metadata.get("format") != FORMAT:
        raise _Refused(
            f"is a safetensors file but not a gatewise checkpoint: its metadata has "
            f"format {_short(metadata.get('format'))}, not {FORMAT!r}"
        )
    version = metadata.get("format_version", "")
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise _Refused(f"is damaged: its format version is {_short(version)}, not a positive integer")
    if int(version) > FORMAT_VERSION:
        raise _Refused(
            f"was written by a newer gatewise: format version {version}, this one reads up to "
            f"{FORMAT_VERSION}; update gatewise to read it"
        )
    for key in ("header", "crc32"):
        if key not in metadata:
            raise _Refused(f"is damaged: its metadata lacks {key!r}")
    return metadata["header"], metadata["crc32"]


def _check_entry(name, entry):
    """One tensor's line of the table as (name, code, shape, begin, end), checked by itself."""
    _check_text(name)
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise _Refused(f"has a tensor name of {len(name)} characters; 1 to {MAX_NAME_LENGTH} are allowed")

    def refuse(problem):
        raise _Refused(f"is damaged: tensor {_short(name)} {problem}")

    if type(entry) is not dict or entry.keys() != {"dtype", "shape", "data_offsets"}:
        refuse("is not described by dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(code) is not str or code not in _DTYPES:
        refuse(f"has dtype {_short(code)}; known are {', '.join(_DTYPES)}")
    if type(shape) is not list or not all(_is_extent(extent) for extent in shape):
        refuse(f"has shape {_short(shape)}, not a list of integers from 0 to 2**63 - 1")
    if len(shape) > MAX_RANK:
        refuse(f"has {len(shape)} axes; at most {MAX_RANK} are allowed")
    if type(offsets) is not list or len(offsets) != 2 or not all(_is_extent(offset) for offset in offsets):
        refuse(f"has data_offsets {_short(offsets)}, not two integers from 0 to 2**63 - 1")

    item_size = np.dtype(_DTYPES[code]).itemsize
    begin, end = offsets
    needed = math.prod(shape) * item_size
    if end - begin != needed:
        refuse(f"of dtype {code} and shape {_short(shape)} takes {needed} bytes, its range has {end - begin}")
    # NumPy holds the axes that are not empty to its limit even where one that is makes the array empty.
    if math.prod(extent for extent in shape if extent) * item_size > np.iinfo(np.intp).max:
        refuse(f"has shape {_short(shape)}, which is larger than an array can be")
    return name, code, tuple(shape), begin, end


def _is_extent(value):
    return type(value) is int and 0 <= value <= MAX_EXTENT  # `type`: a bool is an int to isinstance


def _read_exactly(file, buffer):
    """Fill `buffer` from the file and return it."""
    got = file.readinto(buffer)
    if got != len(buffer):
        raise _Refused(
            f"ended early: another program cut it while it was read ({got} of {len(buffer)} bytes)"
        )
    return buffer


def _open_regular(path, flags):
    """Open a regular file and nothing else.

    Looked at before opening, because opening a device may act on it; opened without blocking and looked
    at again, because a pipe may have taken its place, and opening one waits for a writer.
    """
    _require_regular(os.stat(path))
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        _require_regular(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status):
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise _Refused(f"is {kind}, not a file")


def _check_fits_memory(size):
    # A sparse file of any size costs its sender nothing, and where memory is overcommitted the process
    # would be killed while filling it rather than told.
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return  # the platform does not say; allocation is the test
    if size > memory:
        raise MemoryError(f"{size} bytes, of {memory}")


# Writing -----------------------------------------------------------------------------------------


def _storable(tensors):
    """The arrays as C-contiguous little-endian ndarrays, in order of name."""
    if not isinstance(tensors, Mapping):
        raise DTypeError(f"tensors is a {type(tensors).__name__}, not a mapping of names to arrays")
    for name, array in tensors.items():
        if not isinstance(name, str):
            raise DTypeError(f"tensor names are strings; one is {_short(name)} ({type(name).__name__})")
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise DTypeError(f"tensor {_short(name)} is a {type(array).__name__}, not a plain ndarray")
        # isbuiltin 2: a type that another package registered, whose kind and size may pose as NumPy's.
        if _kind(array) not in _CODES or array.dtype.isbuiltin == 2:
            raise DTypeError(
                f"tensor {_short(name)} has dtype {array.dtype}; a checkpoint holds bool, integers, "
                "float16, float32, float64 and complex64"
            )
        if name == "__metadata__":
            raise ConfigError("a tensor may not be named '__metadata__': safetensors keeps that name")
    # asarray, not ascontiguousarray: that one gives a 0-d array an axis.
    return {
        name: np.asarray(tensors[name], dtype=tensors[name].dtype.newbyteorder("<"), order="C")
        for name in sorted(tensors)
    }


def _build_head(arrays, header):
    """The safetensors header's bytes, and the names in the order of their data."""
    if not isinstance(header, dict):
        raise DTypeError(f"header is a {type(header).__name__}, not a dict")
    encoded = _encode(header, "header", 1)
    try:
        header_text = json.dumps(encoded, separators=(",", ":"), ensure_ascii=False)
        crc = _checksum(header_text, arrays)
    except ValueError as error:  # an integer too long to print, or a string with a lone surrogate
        raise ConfigError(f"a header value or tensor name cannot be stored: {error}") from error
    table = {
        "__metadata__": {
            "format": FORMAT,
            "format_version": str(FORMAT_VERSION),
            "header": header_text,
            "crc32": crc,
        }
    }
    # Wide items first: with the header padded to 8 bytes every tensor is then aligned in the file.
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    position = 0
    for name in order:
        array = arrays[name]
        offsets = [position, position + array.nbytes]
        table[name] = {"dtype": _CODES[_kind(array)], "shape": list(array.shape), "data_offsets": offsets}
        position = offsets[1]
    head = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    if len(head) > MAX_JSON_BYTES:
        raise ConfigError(
            f"header and tensor table take {len(head)} bytes of JSON, of at most {MAX_JSON_BYTES}; "
            "keep long lists as tensors"
        )
    # Judged by the reader itself before any file is touched: no good file makes way for an unreadable one.
    try:
        _parse_head(head, position)
        _parse_header(header_text)
    except _Refused as refusal:
        raise ConfigError(f"the checkpoint could not be read again: it {refusal}") from None
    return head, order


def _replace_file(path, pieces):
    """Write `pieces`, buffers of bytes, to a new file and put it in the place of `path`."""
    try:
        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        # Random, so that writers do not meet; short, so that a name of full length gets one too.
        temporary = os.path.join(folder, f".gatewise-{os.urandom(8).hex()}.tmp")
        if not os.path.basename(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        old = _replaceable(target)
        # A private file's successor is private from its first byte; a new one is as the umask has it.
        mode = 0o666 if old is None else 0o600
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                if old is not None:
                    _keep_permissions(old, temporary)
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:  # an interrupt too: however the writing ends, nothing is left behind
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except _Refused as refusal:
        raise CheckpointError(f"cannot write {path!r}: it {refusal}") from None
    except (OSError, ValueError) as error:
        message = f"cannot write {path!r}: {_reason(error)}; what was there before is unchanged"
        raise _failure(message, error) from error
    try:
        _sync_folder(folder)
    except OSError as error:
        message = f"{path!r} is written, but a power cut may still undo it: {_reason(error)}"
        raise _failure(message, error) from error


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
    if hasattr(os, "chown"):
        for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
            # Giving a file to another user takes privileges; without them it belongs to its writer.
            with contextlib.suppress(OSError):
                os.chown(temporary, owner, group)
    mode = old.st_mode & 0o777
    if os.stat(temporary).st_mode & 0o777 != mode:
        os.chmod(temporary, mode)


def _sync_folder(folder):
    """Make the renaming itself last."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows has no such call
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # a folder may be writable and not readable; then nobody can sync it
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some network file systems
            raise
    finally:
        os.close(descriptor)


# JSON --------------------------------------------------------------------------------------------


def _encode(value, where, depth):
    """`value` in JSON's terms: NaN and infinities become ``{"$float": "nan"}`` and so on.

    A dict's own key that begins with ``$`` gets a second one, so that nothing can be mistaken for that.
    """
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(float(value))}
    if depth > MAX_JSON_DEPTH:
        raise ConfigError(f"header is nested deeper than {MAX_JSON_DEPTH} levels, or contains itself")
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise DTypeError(f"{where} has key {_short(key)} ({type(key).__name__}); keys are strings")
            result["$" + key if key.startswith("$") else key] = _encode(item, f"{where}[{key!r}]", depth + 1)
        return result
    raise DTypeError(
        f"{where} is a {type(value).__name__}; a header holds str, bool, int, float, None, list and dict"
    )


def _parse_header(text):
    header = _decode(_parse_json(text.encode(), "gatewise header"))
    if type(header) is not dict:
        raise _Refused(f"is damaged: its gatewise header is {_short(header)}, not a dict")
    return header


def _decode(value):
    """Undo `_encode`. Recursion is bounded by the depth that `_parse_json` allows."""
    if isinstance(value, str):
        _check_text(value)
        return value
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$float" in value:
        name = value["$float"]
        if len(value) != 1 or type(name) is not str or name not in _NON_FINITE:
            raise _Refused(f"is damaged: its header has {_short(value)} for a float")
        return _NON_FINITE[name]
    result = {}
    for key, item in value.items():
        _check_text(key)
        if key.startswith("$") and not key.startswith("$$"):
            raise _Refused(f"is damaged: its header has the unknown mark {_short(key)}")
        result[key.removeprefix("$")] = _decode(item)
    return result


_BRACKETS_ONLY = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _parse_json(data, what):
    """The dict that `data`, bytes, spell, within the limits at the head of this file."""
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > MAX_JSON_VALUES:
        raise _Refused(f"has a {what} of about {values} JSON values; at most {MAX_JSON_VALUES} are allowed")
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")  # without the escapes that could end a string
    quotes = bare.count(b'"')
    if quotes > 4 * (values + 1):  # each value has two around it and two around its key, at most
        raise _Refused(f"is damaged: its {what} is not JSON: {quotes} quotation marks for {values} values")
    # The parser recurses, so depth is measured before it: with strings and all else but brackets gone,
    # each pass removes the innermost pairs.
    bare = re.sub(b'"[^"]*"', b"", bare)
    brackets = bare.translate(_BRACKETS_ONLY, _NOT_BRACKETS)
    for _ in range(MAX_JSON_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise _Refused(
            f"has a {what} nested deeper than {MAX_JSON_DEPTH} levels, or whose brackets do not match"
        )
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_refuse_constant,
        )
    except ValueError as error:  # not UTF-8, or not JSON; the cause would keep the whole text alive
        raise _Refused(f"is damaged: its {what} is not JSON in UTF-8: {error}") from None
    if type(value) is not dict:
        raise _Refused(f"is damaged: its {what} is {_short(value)}, not a JSON object")
    return value


def _without_duplicates(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _Refused(f"is damaged: {_short(twice)} occurs twice in one JSON object")
    return result


def _parse_int(text):
    _check_number_length(text)
    return int(text)


def _parse_float(text):
    _check_number_length(text)
    value = float(text)
    if not math.isfinite(value):
        raise _Refused(f"is damaged: the number {_short(text)} is beyond float64")
    return value


def _check_number_length(text):
    if len(text) > MAX_NUMBER_LENGTH + (text[0] == "-"):
        raise _Refused(f"has a number of {len(text)} characters; at most {MAX_NUMBER_LENGTH} are allowed")


def _refuse_constant(text):
    raise _Refused(f"is damaged: {text} is not JSON")


# Both ways ---------------------------------------------------------------------------------------


def _checksum(header_text, arrays):
    """CRC-32, in decimal, of the header text and every tensor's name, dtype, shape and bytes.

    By name, not by place in the file: a tool that lays the same tensors out otherwise keeps it valid.
    """
    crc = zlib.crc32(header_text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        shape = ",".join(str(extent) for extent in array.shape)
        crc = zlib.crc32(f"{name}\0{_CODES[_kind(array)]}\0{shape}\0".encode(), crc)
        crc = zlib.crc32(_bytes_of(array), crc)
    return str(crc)


def _kind(array):
    return f"{array.dtype.kind}{array.dtype.itemsize}"


def _bytes_of(array):
    """A view of a C-contiguous array as flat bytes, uint8 of shape (nbytes,)."""
    return array.reshape(-1).view(np.uint8)


def _check_text(text):
    # JSON can spell half of a surrogate pair, which is no character and cannot be printed or written.
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Refused(f"is damaged: {_short(text)} is not Unicode text") from None


def _path_text(path):
    try:
        return os.fsdecode(path)
    except TypeError:
        raise DTypeError(f"path is a {type(path).__name__}, not a string or path-like") from None


def _reason(error):
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _failure(message, cause):
    kind = CheckpointNotFoundError if isinstance(cause, FileNotFoundError) else CheckpointError
    error = kind(message)
    error.errno = getattr(cause, "errno", None)
    return error
