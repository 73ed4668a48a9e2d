"""Files written all or nothing, and opened without trust."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from gatewise import file_kinds
from gatewise.errors import CheckpointError, DTypeError, SizeError

from .refusal import Refused

if TYPE_CHECKING:
    from gatewise._typing import PathLike

PIECE = 2**20  # bytes that are compared at once after writing


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no file, or no folder to write it in, at the path given."""


# ---- reading


def open_regular(path: str, flags: int) -> int:
    """Open a file as ``os.open``, but nothing else than a file: an opener for :func:`open`."""
    # The status is read first, because opening a device may act on it. Opening does not block,
    # because a pipe may have taken the file's place, and opening a pipe waits for a writer.
    require_regular(os.stat(path), path)
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def require_regular(status: os.stat_result, path: str | None = None) -> None:
    """Refuse a folder, device, pipe or socket; `path` lets the message describe a folder."""
    if stat.S_ISDIR(status.st_mode) and path is not None:
        raise Refused(file_kinds.folder_text(path))
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise Refused(f"is {kind}, not a file")


# ---- writing


def replace_file(path: str, content: bytes) -> None:
    """Write `content` to a new file and rename it to `path`.

    Raises
    ------
    CheckpointError
        The file could not be written; the old one is unchanged.
    SizeError
        There is no memory.
    """
    try:
        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        # Random, so that writers do not meet; short, so that a name of full length gets one too.
        temporary = os.path.join(folder, f".gatewise-{os.urandom(8).hex()}.tmp")
        if not os.path.basename(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        old = _replaceable(target)
        # What replaces a private file is private from its first byte; a new file's mode is that of
        # the umask.
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
        except BaseException:  # an interrupt, too: no temporary file is left
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except Refused as refusal:
        raise CheckpointError(f"cannot write {path!r}: it {refusal}") from None
    except MemoryError as error:
        raise SizeError(
            f"there is no memory to write {path!r}, what was there before is unchanged: {error}"
        ) from error
    except (OSError, ValueError) as error:
        raise failure(
            f"cannot write {path!r}, what was there before is unchanged", error
        ) from error
    try:
        _sync_folder(folder)
    except OSError as error:
        raise failure(f"{path!r} is written, but a power cut may still undo it", error) from error


def _require_same(path: str, written: bytes) -> None:
    """Refuse a file that has other bytes: a disk may fail, or another program write to the file."""
    content = memoryview(written)
    with open(path, "rb") as file:
        # One more byte is asked for: the file must not be longer than the content.
        for start in range(0, len(content) + 1, PIECE):
            if file.read(PIECE) != content[start : start + PIECE]:
                raise OSError(errno.EIO, "what was written is not what is read back")


def _replaceable(target: str) -> os.stat_result | None:
    """Status of the file that is to be replaced, None if there is none."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    require_regular(old)
    # Renaming needs permission for the folder only; a read-only file is not replaced all the same.
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
    return old


def _keep_permissions(old: os.stat_result, temporary: str) -> None:
    for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
        # Giving a file to another user takes privileges; without them it belongs to its writer.
        # Windows has no chown.
        with contextlib.suppress(OSError, AttributeError):
            os.chown(temporary, owner, group)
    mode = old.st_mode & 0o777
    if os.stat(temporary).st_mode & 0o777 != mode:
        os.chmod(temporary, mode)


def _sync_folder(folder: str) -> None:
    """Make the renaming itself permanent."""
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


# ---- both


def path_text(path: PathLike) -> str:
    """Return a path as text.

    Raises
    ------
    DTypeError
    """
    try:
        return os.fsdecode(path)
    except TypeError:
        raise DTypeError(f"path is a {type(path).__name__}, not a string or path-like") from None


def failure(message: str, cause: BaseException) -> CheckpointError | SizeError:
    """Return the error that reports a cause: its kind, its reason and its ``errno``."""
    if getattr(cause, "errno", None) == errno.ENOMEM:
        return SizeError(f"{message}: there is no memory")
    kind = CheckpointNotFoundError if isinstance(cause, FileNotFoundError) else CheckpointError
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    error = kind(f"{message}: {reason}")
    error.errno = getattr(cause, "errno", None)
    return error
