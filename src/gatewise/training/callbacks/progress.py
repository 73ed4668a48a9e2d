"""The progress of a run: a live bar in a terminal or notebook, and one plain line an epoch."""

from __future__ import annotations

import os
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError

from .base import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .base import Logs

INTERVAL = 0.1  # seconds between updates: what is short shows no bar at all
# Parts of a bar in order, in tqdm's words; the texts of loss and metrics follow.
BAR = {
    "heading": "{desc}",
    "bar": "{bar:10}",
    "percent": "{percentage:3.0f}%",
    "count": "{n_fmt}/{total_fmt}",
    "rate": "{rate_fmt}",
    "left": "{remaining} left",
}
BAR_WITHOUT_END = {"heading": "{desc}", "batches": "{n_fmt} batches", "rate": "{rate_fmt}"}
# What a narrow terminal does without, in this order; between "count" and "bar" come the metrics,
# the last one first.
LEFT_OUT_FIRST, LEFT_OUT_LAST = ("in all", "rate", "count"), ("bar", "left", "batches")


def check_verbose(verbose: Any) -> None:
    """Refuse what is not "auto", 0, 1 or 2."""
    if not (isinstance(verbose, str | int) and verbose in ("auto", 0, 1, 2)):
        raise ConfigError(f"verbose is {verbose!r}; expected 'auto', 0, 1 or 2")


def say(text: str) -> None:
    """Print a line at once. A run never fails because there is nothing to print to."""
    if sys.stdout is not None:
        _done(lambda: _print(text))


def _print(text: str) -> None:
    bars: Any = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if getattr(bars, "_instances", None):  # a bar is there: it makes room
        bars.write(text, file=sys.stdout)
    else:
        print(text)
    sys.stdout.flush()


class ProgressBar(Callback):
    """A line for each epoch with the loss, the metrics, batches, rate and seconds; meanwhile a bar.

    The bar has the time left. It is drawn on stderr, or on stdout if only that is a terminal, at
    most ten times a second. Lines are printed to stdout, so that a log file holds them and nothing
    else.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}, default "auto"
        0: nothing. "auto", 1: lines, and in a terminal or notebook the bar. 2: lines only.

    Raises
    ------
    ConfigError
        `verbose` is another value.

    Examples
    --------
    >>> from gatewise.callbacks import ProgressBar
    >>> ProgressBar(2)
    ProgressBar(verbose=2)
    """

    def __init__(self, verbose: str | int = "auto") -> None:
        check_verbose(verbose)
        self.verbose = verbose
        self.bar: Any = None
        self._draws = False
        self._last_seen: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"bar": None}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._draws = self.verbose in ("auto", 1) and _shows_bars()
        self._last_seen = self.params["steps"]
        self._run_began = self._next = time.monotonic()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch, self._seen = epoch, 0
        self._first: int | None = None
        self._epoch_began = self._batch_ended = time.monotonic()
        self._next = max(self._next, self._epoch_began + INTERVAL)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._seen = batch + 1
        if self._first is None:
            self._last_seen = self.params["steps"] or self._last_seen  # a sequence may have grown
            self._first = batch  # not 0 where a run is resumed in the middle of an epoch
        self._batch_ended = now = time.monotonic()
        if self._draws and now >= self._next:
            self._next = now + INTERVAL
            self._draw(logs or {})

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if self.bar is not None:
            self._try(lambda: self._show(f"{self._heading()} validating"))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._close()
        self._last_seen = self._seen
        if self.verbose:
            say(epoch_line(self._heading(), logs, self._pace(), _terminal_width(sys.stdout)))

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def _heading(self) -> str:
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"

    def _pace(self) -> list[str]:
        """["80 batches", "41.2/s", "2.3 s"]: rate of training, time of the whole epoch."""
        count = self._seen - (self._first or 0)
        rate = count / max(self._batch_ended - self._epoch_began, 1e-9)
        seconds = time.monotonic() - self._epoch_began
        return [
            f"{count} batch{'' if count == 1 else 'es'}",
            f"{rate:,.{_decimals(rate)}f}/s",
            f"{seconds:.{_decimals(seconds)}f} s",
        ]

    def _draw(self, logs: Logs) -> None:
        def draw() -> None:
            if self.bar is None:
                # The total is that of the epoch before if nobody knows how many batches will come.
                self.bar = open_bar(total=self._last_seen, initial=self._first)
                self.bar.start_t -= time.monotonic() - self._epoch_began
            self.bar.n = self._seen
            self._texts = self._time_left_in_all() | {
                name: f"{name} {_short(value)}" for name, value in logs.items()
            }
            self._show(self._heading())

        self._try(draw)

    def _show(self, heading: str) -> None:
        """Draw the bar with as much of it as its line has room for."""
        bar = self.bar
        bar.set_description_str(heading, refresh=False)
        metrics = [name for name in self._texts if name not in ("in all", "loss")]
        shown: dict[Any, str] = dict(BAR if bar.total else BAR_WITHOUT_END) | self._texts
        room = bar.format_dict["ncols"]
        for name in (None, *LEFT_OUT_FIRST, *reversed(metrics), *LEFT_OUT_LAST):
            shown.pop(name, None)
            bar.bar_format = (
                " ".join(part for key, part in shown.items() if key not in self._texts)
                + "{postfix}"
            )
            bar.set_postfix_str(
                ", ".join(text for key, text in self._texts.items() if key in shown), refresh=False
            )
            if (
                not isinstance(room, int)
                or len(bar.format_meter(**bar.format_dict | {"ncols": None})) <= room
            ):
                break
        bar.refresh()

    def _time_left_in_all(self) -> dict[str, str]:
        """{"in all": the time that all epochs will take}; empty in the last epoch."""
        to_come = self.params["epochs"] - self._epoch - 1
        if not (to_come and self._last_seen):
            return {}
        done = (
            self._epoch - self.params.get("initial_epoch", 0) + min(self._seen / self._last_seen, 1)
        )
        left = (
            (time.monotonic() - self._run_began)
            / done
            * (to_come + max(1 - self._seen / self._last_seen, 0))
        )
        return {"in all": f"{self.bar.format_interval(left)} in all"}

    def _close(self) -> None:
        if self.bar is not None:
            bar, self.bar = self.bar, None
            bar.total = bar.n  # less than planned is no failure
            self._try(bar.close)

    def _try(self, action: Callable[[], object]) -> None:
        """Draw; if the terminal has gone, continue without."""
        if not _done(action):
            self._draws, self.bar = False, None


def epoch_line(heading: str, logs: Logs | None, pace: list[str], room: int | None = None) -> str:
    """ "epoch 1/9: loss 0.1234, mae 0.5 (80 batches, 41.2/s, 2.3 s)", or as much as has room.

    Parameters
    ----------
    heading : str
    logs : dict or None
    pace : list of str
        Batches, rate and seconds, which a narrow line does without first: rate, batches, seconds.
    room : int, optional
        Characters of a line. None: any number.
    """
    values: dict[Any, str] = {
        name: f"{name} {_short(value)}" for name, value in (logs or {}).items()
    }
    batches, rate, seconds = pace
    metrics = [name for name in values if name not in ("loss", "val_loss")]
    for left_out in [None, rate, batches, seconds, *reversed(metrics)]:
        values.pop(left_out, None)
        pace = [part for part in pace if part != left_out]
        ending = ", ".join(pace)
        text = ", ".join(values.values())
        line = (
            f"{heading}: {text} ({ending})" if text and ending else f"{heading}: {text or ending}"
        )
        if room is None or len(line) <= room:
            break
    return line


def _terminal_width(stream: Any) -> int | None:
    """Characters of a line of a terminal; None if the stream is not one."""
    try:
        return (
            os.get_terminal_size(stream.fileno()).columns or None if _is_terminal(stream) else None
        )
    except (OSError, ValueError, AttributeError):
        return None


def _decimals(value: float) -> int:
    return 3 if value < 1 else 1 if value < 100 else 0


def _short(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        return np.array2string(
            value, precision=4, threshold=8, max_line_width=10**6, separator=" "
        ).replace("\n", "")
    return str(value)


def progress(items: Iterable[Any], verbose: Any, total: int | None = None) -> Iterable[Any]:
    """The items one by one, with a bar and the time left in a terminal or notebook.

    The bar appears once the work has taken a second. `total` is the number of items, if they have
    no length.
    """
    return _shown(items, total) if verbose in ("auto", 1) and _shows_bars() else items


def _shown(items: Any, total: int | None) -> Iterator[Any]:
    bar = open_bar(total=len(items) if hasattr(items, "__len__") else total, delay=1)
    try:
        for item in items:
            yield item
            if bar is not None and not _done(bar.update):
                bar = None
    finally:
        if bar is not None:
            _done(bar.close)


def _done(action: Callable[[], object]) -> bool:
    """Do it; False if the stream to draw on is closed or gone."""
    try:
        action()
    except (OSError, ValueError):
        return False
    return True


def open_bar(delay: float = 1e-9, **options: Any) -> Any:
    """A tqdm bar that leaves nothing behind; with a delay it is first drawn when told to."""
    notebook = _in_notebook()
    if notebook:
        with warnings.catch_warnings():  # that ipywidgets are missing: the bar is then made of text
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    stream = sys.stdout if notebook or not _is_terminal(sys.stderr) else sys.stderr
    return tqdm(unit=" batch", dynamic_ncols=True, leave=False, delay=delay, file=stream, **options)


def _shows_bars() -> bool:
    return _in_notebook() or _is_terminal(sys.stderr) or _is_terminal(sys.stdout)


def _is_terminal(stream: Any) -> bool:
    """Whether a stream is an open terminal whose cursor can go back."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    # Shell: Colab's
    return "ipykernel" in sys.modules and type(shell).__name__ in ("ZMQInteractiveShell", "Shell")
