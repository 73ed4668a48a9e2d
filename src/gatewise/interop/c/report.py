"""What an export has written, and how large it is."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, repr=False)
class CExport:
    """The files of an exported model and the memory that its program needs.

    Sizes of constants and state are exact. That of the code depends on the compiler:
    :meth:`code_bytes` measures it.

    Attributes
    ----------
    prefix : str
        The beginning of all names in C, made of the model's name.
    header, source : pathlib.Path
        The two files.
    weights : {"float32", "int8"}
        How matrices are stored.
    constant_bytes : int
        Size of the weights.
    state_bytes : int
        Size of the struct that a caller gives to each function.
    saved_bytes : int
        Size of a saved state.
    errors : dict of str to float
        For int8: the largest error of a column of each matrix, as a part of the column's norm.
    """

    prefix: str
    header: Path
    source: Path
    weights: str
    constant_bytes: int
    state_bytes: int
    saved_bytes: int
    errors: Mapping[str, float]

    def __repr__(self) -> str:
        lines = [
            f"{self.header.name} and {self.source.name} in {str(self.header.parent)!r}",
            f"constants  {self.constant_bytes:>12,} bytes, {self.weights}",
            f"state      {self.state_bytes:>12,} bytes; saved in {self.saved_bytes:,}",
            "code       not measured; code_bytes(compiler) measures it",
        ]
        if self.errors:
            worst = max(self.errors, key=lambda name: self.errors[name])
            lines.append(f"largest error of a column {self.errors[worst]:.2%} ({worst})")
        return "\n".join(lines)

    def code_bytes(self, compiler: str = "cc", flags: Sequence[str] = ("-Os",)) -> int:
        """Compile the source, and return the size of its machine code.

        Functions of the C library, which are linked to it, are not counted.

        Parameters
        ----------
        compiler : str, default "cc"
            Name or path of a compiler with the arguments of GCC, for example
            ``"arm-none-eabi-gcc"``.
        flags : sequence of str, default ("-Os",)
            Its options, for example ``("-Os", "-mcpu=cortex-m4", "-mthumb")``.

        Returns
        -------
        int
            Bytes of machine code, without the weights.

        Raises
        ------
        ConfigError
            There is no such compiler, or it fails; or the program ``size`` of binutils is missing.
        """
        with tempfile.TemporaryDirectory() as folder:
            made = str(Path(folder) / "model.o")
            _run([compiler, "-std=c99", *flags, "-c", str(self.source), "-o", made])
            table = _run(["size", "-A", made])
        rows = [line.split() for line in table.splitlines()]
        return sum(int(row[1]) for row in rows if row and row[0].startswith(".text"))


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigError(f"cannot run {command[0]!r}: {error.strerror or error}") from error
    if done.returncode:
        raise ConfigError(f"{command[0]!r} failed: {done.stderr.strip()[:2000]}")
    return done.stdout
