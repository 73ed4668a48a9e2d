"""Docstrings of estimators: the text that they share, and examples that run."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

from gatewise import estimators

SCRIPT = Path(__file__).parents[2] / "tools" / "estimator_docstrings.py"
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(estimators.__path__, "gatewise.estimators.")
    if not module.ispkg
)
ESTIMATORS = [getattr(estimators, name) for name in estimators.__all__ if name[:3] == "Seq"]


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("estimator_docstrings", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_sources_have_the_shared_text(script):
    for name in script.FILES:
        source = (script.FOLDER / name).read_text(encoding="utf-8")
        assert script.expanded(source) == source, f"{name}: run python {SCRIPT.name}"


def test_a_source_that_differs_is_written_anew(script):
    source = (script.FOLDER / "tagger.py").read_text(encoding="utf-8")
    older = source.replace("Number of units in each recurrent layer.", "Of each layer.")
    older = older.replace("    dropout : float in [0, 1), default 0.0\n", "")
    assert source != older != script.expanded(older) == source


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_is_described_with_its_default(cls):
    described = inspect.getdoc(cls).partition("Attributes\n---")[0].splitlines()
    names = [line.split(" : ")[0] for line in described if " : " in line and line[0] != " "]
    assert names == list(inspect.signature(cls).parameters)
    heads = [line for line in described if " : " in line and line[0] != " "]
    assert all(", default " in line for line in heads)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("cls", [*ESTIMATORS, estimators.LearningCurve, estimators.get_scorer])
def test_public_names_have_examples(cls):
    assert ">>> " in inspect.getdoc(cls)
