"""What docstrings of training, and of options of weights, show is what happens."""

import pytest
from examples_in_docstrings import check_examples, modules_of, without_example

NAMESPACES = [
    "callbacks",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "optimizers",
    "regularizers",
    "schedules",
]
MODULES = modules_of(
    *(f"gatewise.training.{name}" for name in ("callbacks", "losses", "metrics", "optimizers")),
    *(f"gatewise.{name}" for name in ("constraints", "initializers", "regularizers")),
    "gatewise.configuration",
    "gatewise.training.schedules",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    check_examples(name)


@pytest.mark.parametrize("name", NAMESPACES)
def test_every_public_name_has_an_example(name):
    assert without_example(f"gatewise.{name}") == []
