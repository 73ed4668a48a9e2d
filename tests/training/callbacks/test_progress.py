"""Printed progress: bars in terminals and notebooks, lines in files, nothing without an output."""

import io
import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from gatewise import layers
from gatewise.callbacks import LambdaCallback, ProgressBar
from gatewise.errors import ConfigError
from gatewise.models import Sequential
from gatewise.training.callbacks.progress import epoch_line

pytestmark = pytest.mark.long  # programs in terminals of their own

PROGRAM = textwrap.dedent("""
    import sys, time
    import numpy as np
    from gatewise import layers
    from gatewise.callbacks import LambdaCallback
    from gatewise.models import Sequential
    verbose = sys.argv[1] if sys.argv[1] == "auto" else int(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0
    exec(sys.argv[3] if len(sys.argv) > 3 else "")
    x, y = np.ones((40, 3)), np.ones(40)
    model = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    model.compile("sgd", "mse", metrics=["mae"])
    slow = LambdaCallback(on_batch_end=lambda batch, logs: time.sleep(seconds))
    model.fit(
        x, y, batch_size=4, epochs=3, verbose=verbose, validation_split=0.25, callbacks=[slow]
    )
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
""")
NUMBER = r"[\d.e+-]+"
LINE = (
    rf"epoch (\d)/3: loss {NUMBER}, mae {NUMBER}, val_loss {NUMBER}, val_mae {NUMBER} "
    rf"\(8 batches, [\d,.]+/s, \d+\.\d+ s\)"
)

posix = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")


def run(*arguments, codes=(0,)):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        timeout=100,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode in codes, done.stderr.decode()
    # as it is: "text" would turn returns into line ends
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


@pytest.mark.parametrize("verbose", ["auto", "0", "1", "2"])
def test_a_file_gets_one_plain_line_an_epoch(verbose):
    done = run(verbose)
    assert done.stderr == ""
    assert "\r" not in done.stdout
    lines = done.stdout.splitlines()
    assert [re.fullmatch(LINE, line)[1] for line in lines] == (
        [] if verbose == "0" else ["1", "2", "3"]
    )


def in_a_terminal(*arguments, stdout=None, environment=None, columns=160):
    """(what the program wrote to its terminal, its return code)."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, arguments)],
            stdin=theirs,
            stdout=stdout or theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | (environment or {}),
        )
    finally:
        os.close(theirs)
    text = b""
    try:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not piece:
                break
            text += piece
        return text.decode(), process.wait(100)
    finally:
        os.close(ours)
        process.kill()
        process.wait()


def screen(text):
    """The lines that stay on a terminal.

    A carriage return goes back, and what follows is written over.
    """
    rows = []
    for line in text.split("\n"):
        row = ""
        for part in line.removesuffix("\r").split("\r"):
            row = part + row[len(part) :]
        rows.append(row.rstrip())
    return rows


@posix
def test_a_bar_in_a_terminal_ends_as_one_line_an_epoch():
    text, code = in_a_terminal("auto", 0.05)
    assert code == 0
    assert re.search(
        rf"epoch 1/3 \S+ *\d+% \d/8 +{NUMBER} batch/s \d\d:\d\d left, \d\d:\d\d in all, "
        rf"loss {NUMBER}, mae {NUMBER}",
        text,
    )
    assert re.search(rf"epoch 3/3 .* left, loss {NUMBER}", text)  # no more epochs: no other time
    lines = screen(text)
    assert [re.fullmatch(LINE, line)[1] for line in lines[:-1]] == ["1", "2", "3"]
    assert lines[-1] == ""
    assert text.count("\r") < 100  # about ten updates a second


@posix
@pytest.mark.parametrize("columns", [100, 60, 40])
def test_a_narrow_terminal_shows_the_loss_and_no_line_is_longer_than_it_is_wide(columns):
    text, code = in_a_terminal("auto", 0.03, columns=columns)
    assert code == 0
    frames = [frame.rstrip() for frame in re.split(r"[\r\n]", text) if frame.strip()]
    assert max(len(frame) for frame in frames) <= columns
    assert all("loss" in frame for frame in frames if "%" in frame) and any(
        "%" in frame for frame in frames
    )
    lines = [line for line in screen(text) if line]
    assert [line[:9] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all("val_loss" in line for line in lines)


LOGS = {"loss": 0.125, "mae": 0.5, "val_loss": 0.25, "val_mae": 0.75}


@pytest.mark.parametrize(
    ("room", "line"),
    [
        (
            None,
            (
                "epoch 2/9: loss 0.125, mae 0.5, val_loss 0.25, val_mae 0.75 (80 batches, 41.2/s,"
                " 2.3 s)"
            ),
        ),
        (84, "epoch 2/9: loss 0.125, mae 0.5, val_loss 0.25, val_mae 0.75 (80 batches, 2.3 s)"),
        (70, "epoch 2/9: loss 0.125, mae 0.5, val_loss 0.25, val_mae 0.75 (2.3 s)"),
        (60, "epoch 2/9: loss 0.125, mae 0.5, val_loss 0.25, val_mae 0.75"),
        (58, "epoch 2/9: loss 0.125, mae 0.5, val_loss 0.25"),
        (40, "epoch 2/9: loss 0.125, val_loss 0.25"),
        (9, "epoch 2/9: loss 0.125, val_loss 0.25"),  # these two always
    ],
)
def test_what_a_narrow_line_does_without(room, line):
    assert epoch_line("epoch 2/9", LOGS, ["80 batches", "41.2/s", "2.3 s"], room) == line


def test_a_line_without_logs():
    assert epoch_line("epoch 2/9", {}, ["80 batches", "41.2/s", "2.3 s"], 25) == "epoch 2/9: 2.3 s"


@posix
def test_short_epochs_draw_no_bar():
    text, code = in_a_terminal("auto", 0)
    assert code == 0
    assert [re.fullmatch(LINE, line)[1] for line in text.replace("\r\n", "\n").splitlines()] == [
        "1",
        "2",
        "3",
    ]


@posix
def test_lines_alone_in_a_terminal():
    for verbose, terminal in (("2", "xterm"), ("auto", "dumb")):
        text, code = in_a_terminal(verbose, 0.02, environment={"TERM": terminal})
        assert code == 0
        assert len(text.replace("\r\n", "\n").splitlines()) == 3


@posix
def test_quiet_in_a_terminal_when_asked():
    assert in_a_terminal("0", 0.05) == ("", 0)


@posix
def test_the_bar_is_in_the_terminal_and_the_lines_are_in_the_file(tmp_path):
    with open(tmp_path / "log", "w") as file:
        text, code = in_a_terminal("auto", 0.05, stdout=file)
    assert code == 0
    assert "loss" in text
    assert screen(text) == [""]
    lines = (tmp_path / "log").read_text().splitlines()
    assert [re.fullmatch(LINE, line)[1] for line in lines] == ["1", "2", "3"]


@posix
def test_messages_stand_beside_the_bar():
    """What a callback says in the middle of an epoch has a line of its own."""
    text, code = in_a_terminal(
        "auto",
        0.05,
        textwrap.dedent("""
        from gatewise.training.callbacks.progress import say
        LambdaCallback.on_train_batch_begin = (
            lambda self, batch, logs=None: batch == 6 and say("hello")
        )
    """),
    )
    assert code == 0
    assert [line[:7] for line in screen(text)] == [
        "hello",
        "epoch 1",
        "hello",
        "epoch 2",
        "hello",
        "epoch 3",
        "",
    ]


@posix
@pytest.mark.parametrize(
    "broken",
    [
        "sys.stdout = sys.stderr = None",
        "sys.stdout.close(); sys.stderr.close()",
        "sys.stdout = open('/dev/full', 'w'); sys.stderr.close()",
    ],
)
def test_nothing_fails_where_there_is_no_output(broken):
    # 120: Python itself could not flush stdout at its end
    assert in_a_terminal("auto", 0.02, broken)[1] in (0, 120)


@posix
def test_a_terminal_that_goes_away():
    program = """
if True:
    import os
    class Gone:
        encoding = "utf-8"
        isatty = lambda self: True
        fileno = lambda self: 2
        def write(self, text): raise OSError(5, "gone")
        def flush(self): raise OSError(5, "gone")
    sys.stderr = sys.stdout = Gone()
"""
    run("auto", 0.05, program, codes=(0, 120))


NOTEBOOK = """
if True:
    import types
    class ZMQInteractiveShell: pass
    sys.modules["IPython"] = types.SimpleNamespace(get_ipython=ZMQInteractiveShell)
    sys.modules["ipykernel"] = sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel")
"""


def test_a_notebook_without_widgets_gets_a_bar_of_text():
    done = run("auto", 0.05, NOTEBOOK + "    sys.modules['ipywidgets'] = None")
    assert done.stderr == ""
    assert re.search(r"epoch 1/3 .* left", done.stdout)
    assert [re.fullmatch(LINE, line)[1] for line in screen(done.stdout)[:-1]] == ["1", "2", "3"]


def test_a_notebook_with_widgets_gets_them():
    done = run(
        "auto",
        0.05,
        NOTEBOOK
        + """
    import tqdm
    class Widget(tqdm.tqdm):
        def refresh(self, *a, **k): shown.append((self.n, self.total, self.desc, self.postfix))
    shown = []
    sys.modules["tqdm.auto"] = types.SimpleNamespace(tqdm=Widget)
    import atexit
    atexit.register(lambda: print(shown))
    """,
    )
    shown = eval(done.stdout.splitlines()[-1])
    assert {entry[1] for entry in shown} == {8}
    assert any(entry[2].startswith("epoch 1/3") and "loss" in entry[3] for entry in shown)


# ---- steps that nobody knows, values of all kinds


def play(bar, steps, epochs=2, batches=3, logs=None):
    """The calls of a run, as a terminal would get them."""
    bar.set_params({"epochs": epochs, "initial_epoch": 0, "steps": steps, "verbose": 1})
    bar.on_train_begin()
    for epoch in range(epochs):
        bar.on_epoch_begin(epoch)
        for batch in range(batches):
            bar._next = 0  # every batch draws
            bar.on_train_batch_end(batch, logs)
        bar.on_test_begin()
        bar.on_test_end()
        bar.on_epoch_end(epoch, logs)
    bar.on_train_end()


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self):
        return True


@pytest.fixture
def attach(monkeypatch):
    """A function that puts a Terminal in the place of sys.stderr.

    Pytest puts its own there just before a test.
    """

    def attach():
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        return sys.stderr

    return attach


def test_the_number_of_steps_may_be_unknown(attach, capsys):
    terminal = attach()
    play(ProgressBar(1), None, logs={"loss": 0.5})
    text = terminal.getvalue()
    assert re.search(r"epoch 1/2 2 batches +\S+ batch/s, loss 0\.5", text)
    assert re.search(r"epoch 2/2 \S+ *100% 3/3", text)  # as many as in the epoch before
    assert "validating" in text
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_more_steps_than_said(attach):
    terminal = attach()
    play(ProgressBar(1), 2, batches=5, logs={"loss": 0.5})
    assert "epoch 1/2" in terminal.getvalue()


def test_values_of_all_kinds(attach, capsys):
    attach()
    play(
        ProgressBar("auto"),
        3,
        epochs=1,
        logs={
            "loss": float("nan"),
            "f1": np.linspace(0, 1, 3),
            "n": 3,
            "none": None,
            "text{0}": "a{b}",
            "many": np.zeros(2000),
            "small": np.float32(1e-9),
        },
    )
    line = capsys.readouterr().out
    assert (
        "loss nan, f1 [0.  0.5 1. ], n 3, none None, text{0} a{b}, many [0. 0. 0. ... 0. 0. 0.],"
        " small 1e-09" in line
    )
    assert line.count("\n") == 1
    play(ProgressBar(1), 3, logs=None)


def test_a_bar_is_closed_where_training_fails(attach):
    terminal = attach()
    model = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    model.compile("sgd", "mse")

    def fail(batch, logs):
        import time

        time.sleep(0.11)
        if batch == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(
            np.ones((12, 3)),
            np.ones(12),
            batch_size=2,
            callbacks=[LambdaCallback(on_batch_end=fail)],
        )
    assert screen(terminal.getvalue()) == [""]


def test_evaluation_shows_a_bar_after_a_second(attach, monkeypatch):
    terminal = attach()
    from gatewise.training import callbacks

    assert list(callbacks.progress(range(3), "auto")) == [0, 1, 2]
    assert list(callbacks.progress((n for n in range(3)), 1)) == [0, 1, 2]
    assert terminal.getvalue() in ("", "\r")
    items = [1, 2]
    assert callbacks.progress(items, 0) is items
    assert callbacks.progress(items, 2) is items
    shown = callbacks.progress(items, "auto")
    assert next(shown) == 1
    terminal.close()  # it goes away in the middle
    assert list(shown) == [2]
    monkeypatch.setattr(sys, "stderr", None)
    assert callbacks.progress(items, "auto") is items


def test_other_levels_are_refused():
    model = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(ConfigError, match="verbose is 3; expected 'auto', 0, 1 or 2"):
        ProgressBar(3)
    with pytest.raises(ConfigError, match="verbose is 'loud'"):
        model.fit(np.ones((4, 3)), np.ones(4), verbose="loud")
    model.fit(np.ones((4, 3)), np.ones(4), verbose=False)
