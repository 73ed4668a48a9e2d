"""What a person sees of a run: a live bar in a terminal or notebook, and one plain line an epoch."""

import os
import sys
import time
import warnings

import numpy as np

from gatewise.errors import ConfigError

from .base import Callback

INTERVAL = 0.1  # seconds between updates: what is short shows no bar at all
BAR = "{desc} {bar:10} {percentage:3.0f}% {n_fmt}/{total_fmt} {rate_fmt} {remaining} left{postfix}"
BAR_WITHOUT_END = "{desc} {n_fmt} batches {rate_fmt}{postfix}"


def check_verbose(verbose):
    """Refuse what is not "auto", 0, 1 or 2."""
    if not (isinstance(verbose, str | int) and verbose in ("auto", 0, 1, 2)):
        raise ConfigError(f"verbose is {verbose!r}; expected 'auto', 0, 1 or 2")


def say(text):
    """Print a line at once. Where there is nothing to print to, nothing fails: a run matters more than what it says."""
    if sys.stdout is None:
        return
    try:
        bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
        if getattr(bars, "_instances", None):  # a bar is there: it makes room
            bars.write(text, file=sys.stdout)
            sys.stdout.flush()
        else:
            print(text, flush=True)
    except (OSError, ValueError):  # closed, full, or gone
        pass


class ProgressBar(Callback):
    """One line an epoch with the loss, the metrics, batches, rate and seconds; while it runs, a bar with the time left.

    The bar is drawn on stderr, or on stdout where only that is a terminal, at most ten times a second. Lines are
    printed to stdout, so that a log file holds them and nothing else.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
        0: nothing. "auto", 1: lines, and in a terminal or notebook the bar. 2: lines only.
    """

    def __init__(self, verbose="auto"):
        check_verbose(verbose)
        self.verbose = verbose
        self.bar = None
        self._draws = False
        self._last_seen = None

    def __getstate__(self):
        return vars(self) | {"bar": None}

    def on_train_begin(self, logs=None):
        self._draws = self.verbose in ("auto", 1) and _shows_bars()
        self._last_seen = self.params["steps"]
        self._run_began = self._next = time.monotonic()
        self._epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._seen, self._first = epoch, 0, None
        self._epoch_began = self._batch_ended = time.monotonic()
        self._next = max(self._next, self._epoch_began + INTERVAL)

    def on_train_batch_end(self, batch, logs=None):
        self._seen = batch + 1
        if self._first is None:
            self._first = batch  # not 0 where a run is resumed in the middle of an epoch
        self._batch_ended = now = time.monotonic()
        if self._draws and now >= self._next:
            self._next = now + INTERVAL
            self._draw(logs or {})

    def on_test_begin(self, logs=None):
        if self.bar is not None:
            self._try(lambda: self.bar.set_description_str(f"{self._heading()} validating"))

    def on_epoch_end(self, epoch, logs=None):
        self._close()
        self._last_seen = self._seen
        if self.verbose:
            say(f"{self._heading()}: {summary(logs)} ({self._pace()})" if logs else f"{self._heading()}: {self._pace()}")

    def on_train_end(self, logs=None):
        self._close()

    def _heading(self):
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"

    def _pace(self):
        """"80 batches, 41.2/s, 2.3 s": the rate is that of training, the time that of the whole epoch."""
        count = self._seen - (self._first or 0)
        rate = count / max(self._batch_ended - self._epoch_began, 1e-9)
        seconds = time.monotonic() - self._epoch_began
        return f"{count} batches, {rate:,.{_decimals(rate)}f}/s, {seconds:.{_decimals(seconds)}f} s"

    def _draw(self, logs):
        def draw():
            if self.bar is None:
                total = self._last_seen  # of the epoch before, where nobody knows how many will come
                self.bar = open_bar(total=total, initial=self._first, desc=self._heading(),
                                    bar_format=BAR if total else BAR_WITHOUT_END)
                self.bar.start_t -= time.monotonic() - self._epoch_began
            self.bar.n = self._seen
            self.bar.set_postfix_str(", ".join([*self._time_left_in_all(), summary(logs)]), refresh=False)
            self.bar.refresh()

        self._try(draw)

    def _time_left_in_all(self):
        """The time that all epochs will take, as a list of one text, or of none in the last epoch."""
        to_come = self.params["epochs"] - self._epoch - 1
        if not (to_come and self._last_seen):
            return []
        done = self._epoch - self.params.get("initial_epoch", 0) + min(self._seen / self._last_seen, 1)
        left = (time.monotonic() - self._run_began) / done * (to_come + max(1 - self._seen / self._last_seen, 0))
        return [f"{self.bar.format_interval(left)} in all"]

    def _close(self):
        if self.bar is not None:
            bar, self.bar = self.bar, None
            bar.total = bar.n  # less than planned is no failure
            self._try(bar.close)

    def _try(self, action):
        """Draw; where the terminal has gone, go on without."""
        try:
            action()
        except (OSError, ValueError):
            self._draws, self.bar = False, None


def summary(logs):
    """"loss 0.1234, mae 0.5" of what the logs hold."""
    return ", ".join(f"{name} {_short(value)}" for name, value in (logs or {}).items())


def _decimals(value):
    return 3 if value < 1 else 1 if value < 100 else 0


def _short(value):
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, threshold=8, max_line_width=10**6, separator=" ").replace("\n", "")
    return str(value)


def progress(items, verbose, total=None):
    """The items one by one, with a bar and the time left: in a terminal or notebook, once the work has taken a second."""
    if verbose not in ("auto", 1) or not _shows_bars():
        return items
    return open_bar(items, delay=1, total=total)


def open_bar(items=None, delay=1e-9, **options):
    """A tqdm bar that leaves nothing behind; with a delay it is first drawn when told to."""
    notebook = _in_notebook()
    if notebook:
        with warnings.catch_warnings():  # that ipywidgets are missing: the bar is then made of text
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    stream = sys.stdout if notebook or not _is_terminal(sys.stderr) else sys.stderr
    return tqdm(items, unit=" batch", dynamic_ncols=True, leave=False, delay=delay, file=stream, **options)


def _shows_bars():
    return _in_notebook() or _is_terminal(sys.stderr) or _is_terminal(sys.stdout)


def _is_terminal(stream):
    """Whether a stream is a terminal whose cursor can go back; not one that is closed, or None."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _in_notebook():
    """Whether this is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "ipykernel" in sys.modules and type(shell).__name__ in ("ZMQInteractiveShell", "Shell")  # Shell: Colab's
