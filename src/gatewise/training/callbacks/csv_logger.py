"""A table of epochs in a text file."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError, ConfigError, DTypeError

from .base import Callback
from .state import count, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewise._typing import PathLike

    from .base import Logs


class CSVLogger(Callback):
    """Write a row of the logs after each epoch to a text file; epochs count from 0, as in Keras.

    The columns are the names of the first epoch, sorted, with ``val_`` ones if that epoch had none.
    The file is closed between epochs, so that its rows are on the disk. A run that is resumed, or
    that starts at a later epoch with ``append=True``, removes the rows of the epochs that it
    repeats and continues after them.

    Parameters
    ----------
    filename : str or path-like
        Path of the file.
    separator : str, default ","
        One character.
    append : bool, default False
        Whether to continue an existing file, with its columns, instead of writing a new one.

    Raises
    ------
    CheckpointError
        From a run: the file could not be written.
    ConfigError, DTypeError
        An argument cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> from gatewise.callbacks import CSVLogger
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/log.csv"
    ...     _ = model.fit(x, y, verbose=0, callbacks=[CSVLogger(path)])
    ...     Path(path).read_text().splitlines()[0]
    'epoch,loss,val_loss'
    """

    filename: str
    sep: str
    append: bool

    def __init__(self, filename: PathLike, separator: str = ",", append: bool = False) -> None:
        try:
            self.filename = checks.text(os.fspath(filename), "filename")
        except TypeError as error:
            raise DTypeError(f"filename is {filename!r}; expected a path") from error
        self.sep = checks.text(separator, "separator")
        if len(separator) != 1 or separator in '"\r\n':
            raise ConfigError(
                f"separator is {separator!r}; expected one character, no quote and no line end"
            )
        self.append = checks.flag(append, "append")
        self.keys: list[str] | None = None
        # lines of the file that stay when the first row comes; None: as `append` asks
        self._keep: int | None = None
        self._lines = 0  # lines written or kept
        self._begun = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.keys = self._keep = None
        self._begun = False
        self._lines = len(self._guarded(self._lines_that_stay))
        self._guarded(self._touch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._guarded(self._log, epoch, logs or {})

    def _guarded(self, action: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return action(*arguments)
        except (OSError, UnicodeError, csv.Error) as error:
            raise CheckpointError(
                f"cannot write {self.filename!r}: {getattr(error, 'strerror', None) or error}"
            ) from error

    def _touch(self) -> None:
        """A file that cannot be written is reported before an epoch is spent."""
        with open(self.filename, "a", encoding="utf-8"):
            pass

    def _log(self, epoch: int, logs: Logs) -> None:
        if not self._begun:
            self._begin(logs)
        self._write([[epoch, *(_cell(logs.get(key, "NA")) for key in self.keys or ())]])

    def _begin(self, logs: Logs) -> None:
        """Prepare the file: the lines that stay, and the columns."""
        lines = self._lines_that_stay()
        with open(self.filename, "w" if not lines else "r+", encoding="utf-8", newline="") as file:
            if lines:
                file.truncate(len("".join(lines).encode("utf-8")))
        self._lines, self._begun = len(lines), True
        if not lines:
            self.keys = _columns(logs)
            self._write([["epoch", *self.keys]])
            return
        self.keys = next(csv.reader(lines[:1], delimiter=self.sep), [])[1:]
        lost = sorted(set(logs) - set(self.keys))
        if lost:
            checks.warn(
                f"{self.filename} has the columns {self.keys}: {', '.join(lost)} cannot be added to"
                " it; give another file name, or append=False"
            )

    def _lines_that_stay(self) -> list[str]:
        """Whole lines of the file, header included; none: it begins anew."""
        first = self.params.get("initial_epoch", 0) if self.params else 0
        if (self._keep is None and not self.append) or not os.path.exists(self.filename):
            return []
        with open(self.filename, encoding="utf-8", newline="") as file:
            lines = file.readlines()
        if lines and not lines[-1].endswith("\n"):  # a row that was cut short
            lines.pop()
        if self._keep is not None:
            return lines[: self._keep]
        while first and len(lines) > 1 and self._epoch_of(lines[-1]) >= first:
            lines.pop()
        return lines

    def _epoch_of(self, line: str) -> int:
        try:
            return int(line.split(self.sep)[0])
        except ValueError:
            return -1

    def _write(self, rows: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self.sep, lineterminator="\n").writerows(rows)
        with open(self.filename, "a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
        self._lines += len(rows)

    def get_state(self) -> dict[str, Any]:
        """The number of lines of the file.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        return {"lines": self._lines}

    def set_state(self, state: dict[str, Any]) -> None:
        self._keep = read_state(state, "CSVLogger", lines=count)["lines"]


def _columns(logs: Logs) -> list[str]:
    names = sorted(logs)
    return (
        names
        if any(name.startswith("val_") for name in names)
        else [*names, *(f"val_{name}" for name in names)]
    )


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        return f"[{', '.join(map(str, value))}]"
    return value.item() if isinstance(value, np.generic | np.ndarray) else value
