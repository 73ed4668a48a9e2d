"""The one file format: named arrays and a JSON header, written atomically, read without trust.

The file is a safetensors file with one metadata entry; docs/checkpoint-format.md gives it byte by
byte. The safetensors library makes and takes apart the bytes. What it does not do is done here: the
atomic write (its `save_file` makes every file mode 0600 and replaces even a device), the checksum,
and checks that it leaves out. Nothing here knows of layers or models: they check for themselves
that what comes back fits.
"""

from .files import CheckpointNotFoundError
from .layout import FORMAT_VERSION, Contents
from .reading import read
from .writing import write

__all__ = ["FORMAT_VERSION", "CheckpointNotFoundError", "Contents", "read", "write"]
