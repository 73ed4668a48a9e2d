"""What docs/c-export.md shows."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from blocks import blocks

from .c_programs import COMPILER, STRICT, needs_compiler, signal

PAGE = Path(__file__).parents[2] / "docs" / "c-export.md"


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """The names of the page's first example, and what it prints."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(blocks(PAGE, "python")[0][1], names)
    return names, capsys.readouterr().out


def test_the_report(example):
    assert example[1] == blocks(PAGE, "text")[0][1]


@needs_compiler
def test_the_program(example, tmp_path):
    (tmp_path / "main.c").write_text(blocks(PAGE, "c")[0][1])
    command = re.search(r"^    cc (-std=c99 .*)$", PAGE.read_text(), re.MULTILINE).group(1).split()
    subprocess.run([COMPILER, *STRICT, *command], check=True)
    x = signal(30, 1)
    done = subprocess.run(
        ["./tone"],
        input="\n".join(map(str, x[:, 0])),
        capture_output=True,
        text=True,
        check=True,
    )
    found = np.array(done.stdout.split(), np.float32)
    expected = example[0]["model"].predict(x[None])[0, :, 0]
    assert np.abs(found - expected).max() < 1e-5


def test_the_state_is_as_large_as_the_program_says(example):
    shown = int(re.search(r"/\* (\d+) bytes", blocks(PAGE, "c")[0][1]).group(1))
    assert example[0]["export"].state_bytes == shown
