"""What the docstrings of gatewise.data show is what happens."""

import doctest
import importlib
from pathlib import Path

import pytest

import gatewise.data

MODULES = sorted(
    path.stem
    for path in Path(gatewise.data.__file__).parent.glob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"gatewise.data.{name}")
    assert doctest.testmod(module).failed == 0


def test_examples_are_found():
    assert doctest.testmod(importlib.import_module("gatewise.data.windows")).attempted >= 3
