"""The cases by name: functions that use the public interface and return what is compared."""

import importlib
import warnings
from dataclasses import dataclass

MODULES = (
    "cells",
    "recurrent",
    "sizes",
    "wrappers",
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "rates",
    "weights",
    "training",
    "callbacks",
    "models",
    "estimators",
    "forecaster",
    "data",
    "custom",
    "errors",
    "files",
)


@dataclass(frozen=True)
class Case:
    """A function without arguments, and how near its results must be in another environment."""

    run: object
    tolerance: str


CASES = {}


def case(name, function=None, tolerance="short"):
    """Register a function under a name; a decorator where the function is left out.

    `tolerance` names one of ``compare.TOLERANCES``.
    """
    if function is None:
        return lambda given: case(name, given, tolerance)
    if name in CASES:
        raise ValueError(f"two cases are called {name!r}")
    CASES[name] = Case(function, tolerance)
    return function


def load(module):
    """Names of the cases in ``cases_<module>.py``."""
    importlib.import_module(f"golden.cases_{module}")
    return [name for name in CASES if name.partition("/")[0] == module]


def results_of(name):
    """What a case returns; warnings are no result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CASES[name].run()
