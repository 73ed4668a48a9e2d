"""What the docstrings of public objects lack, by numpydoc's own checks.

``python tests/docstrings.py [namespace ...]`` prints it, for example for ``layers``.
"""

import importlib
import inspect
import sys

NAMESPACES = (
    "gatewise.callbacks",
    "gatewise.cells",
    "gatewise.constraints",
    "gatewise.data",
    "gatewise.errors",
    "gatewise.estimators",
    "gatewise.initializers",
    "gatewise.layers",
    "gatewise.losses",
    "gatewise.metrics",
    "gatewise.models",
    "gatewise.optimizers",
    "gatewise.regularizers",
    "gatewise.schedules",
    "gatewise.testing",
    "gatewise.threads",
    "gatewise.utils",
    "gatewise",  # last: it repeats names of the others
)
# Not asked for: a line break after the quotes, an extended summary, cross references, and the
# section order of Attributes, which scikit-learn has elsewhere.
NOT_ASKED_FOR = {"GL01", "GL02", "ES01", "SA01", "GL07"}
NO_EXAMPLE = "EX01"


def public_names(namespace):
    """Names that a namespace offers, list of str."""
    module = importlib.import_module(namespace)
    names = getattr(module, "__all__", None)
    if names is not None:
        return [name for name in names if not name.startswith("__")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == namespace
    ]


def public_objects(namespace, seen):
    """(dotted name, whether it needs an example) of each public object that is not in `seen`."""
    for name in public_names(namespace):
        thing = getattr(importlib.import_module(namespace), name)
        if not callable(thing) or id(thing) in seen:
            continue
        seen.add(id(thing))
        # The library raises errors and warnings; users do not make them.
        yield f"{namespace}.{name}", not (inspect.isclass(thing) and issubclass(thing, Exception))
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                value = getattr(value, "__func__", value)
                if member.startswith("_") or not (
                    inspect.isfunction(value) or isinstance(value, property)
                ):
                    continue
                if value.__doc__ is None and inspect.getdoc(getattr(thing, member)):
                    continue  # a base class documents it
                yield f"{namespace}.{name}.{member}", False


def lacks(namespace, seen):
    """Lines that say what docstrings of a namespace lack, list of str."""
    from numpydoc.validate import validate

    lines = []
    for dotted, example in public_objects(namespace, seen):
        for code, message in validate(dotted)["errors"]:
            if code in NOT_ASKED_FOR or (code == NO_EXAMPLE and not example):
                continue
            lines.append(f"{dotted}: {code} {message}")
    return lines


if __name__ == "__main__":
    chosen = [name if name.startswith("gatewise") else f"gatewise.{name}" for name in sys.argv[1:]]
    objects = set()
    found = [line for namespace in chosen or NAMESPACES for line in lacks(namespace, objects)]
    print(*found, f"{len(found)} findings in docstrings", sep="\n")
    sys.exit(bool(found))
