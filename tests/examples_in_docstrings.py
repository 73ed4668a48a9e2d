"""The examples in docstrings: what they show is what happens."""

import doctest
import importlib
import inspect
import pkgutil


def modules_of(*packages):
    """Names of the modules of packages, and of modules themselves, sorted."""
    names = set()
    for name in packages:
        package = importlib.import_module(name)
        names.add(name)
        paths = getattr(package, "__path__", [])
        names |= {each.name for each in pkgutil.walk_packages(paths, f"{name}.")}
    return sorted(names)


def check_examples(name):
    """Run every example of a module."""
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


def without_example(namespace):
    """Names of the public classes and functions of a namespace whose docstrings have no example."""
    module = importlib.import_module(namespace)
    public = {name: getattr(module, name) for name in module.__all__}
    return [
        name
        for name, each in public.items()
        if (inspect.isclass(each) or inspect.isroutine(each)) and ">>>" not in (each.__doc__ or "")
    ]
