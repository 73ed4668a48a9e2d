"""Who imports whom: calls go down only (docs/architecture.md)."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from cases import run_python

SOURCE = Path(__file__).parents[1] / "src" / "gatewise"

# Rooms from the bottom up: each may import those before it.
ROOMS = ["kernels", "cells", "layers", "training", "models", "estimators", "interop"]
# Single modules beside the rooms: any room above kernels may import them, and they import none but
# kernels.
LEAVES = {
    "_typing",
    "errors",
    "checks",
    "configuration",
    "registry",
    "seeds",
    "threads",
    "initializers",
    "regularizers",
    "constraints",
    "info",
    "utils",
    "testing",
    "checkpoint",
    "file_kinds",
    "memory",
    "sharing",
    "transaction",
    "attributes",
    "described",
}
# Rooms that stand aside, and modules that repeat the public names of training.
ASIDE = {"data"}
REPEATED = {"losses", "metrics", "optimizers", "callbacks", "schedules"}

ALLOWED = {room: {*ROOMS[: number + 1], *LEAVES} for number, room in enumerate(ROOMS)}
ALLOWED |= {name: {"kernels", *LEAVES} for name in LEAVES}
ALLOWED |= {name: {name, *LEAVES} for name in ASIDE}
ALLOWED |= {name: {"training"} for name in REPEATED}
ALLOWED["kernels"] = {"kernels", "errors", "_typing"}  # checks and threads stand on kernels
ALLOWED["errors"] = {"_typing"}
# arrays and plain values: it knows nothing of layers
ALLOWED["checkpoint"] = {"checkpoint", "errors", "file_kinds", "_typing"}
ALLOWED["estimators"] |= ASIDE
ALLOWED["interop"] |= ASIDE
# the choice of next symbols sees a model's methods, and no model
ALLOWED["generation"] = {"generation", *LEAVES}
ALLOWED["models"] |= {"generation"}
# The printer of C knows what a layer computes at one step, as data, and no model: so models may
# call it. It has a place apart from the rest of its room, which is above them.
APART = {"interop.c"}
ALLOWED["interop.c"] = {"interop.c", "kernels", "layers", *LEAVES}
ALLOWED["models"] |= {"interop.c"}
ALLOWED["estimators"] |= {"generation"}

MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
CYTHON = sorted(path for pattern in ("*.pyx", "*.pxd") for path in SOURCE.rglob(pattern))


def part_of(name):
    """The room or top-level module of a dotted name in gatewise; None for the package itself."""
    parts = name.split(".")
    if ".".join(parts[1:3]) in APART:
        return ".".join(parts[1:3])
    return parts[1] if len(parts) > 1 else None


def name_of(path):
    return ".".join(["gatewise", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(
        ".__init__"
    )


def statements(tree, static):
    """All nodes of a module; unless `static`, without those that only static tools read."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field, children in ast.iter_fields(node):
            only_static = (
                field == "body"
                and isinstance(node, ast.If)
                and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
            )
            if isinstance(children, list) and (static or not only_static):
                waiting += [child for child in children if isinstance(child, ast.AST)]


def imports_of(path, static=True):
    """(base, name or None) of every import of a module, at the top or inside a function."""
    package = ["gatewise", *path.relative_to(SOURCE).parent.parts]
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), static):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            yield from ((base, alias.name) for alias in node.names)


def parts_imported(path):
    # "from gatewise import checks" imports a part; "from gatewise.checks import finite" a name in
    # one.
    names = (
        f"{base}.{name}" if base == "gatewise" and name else base for base, name in imports_of(path)
    )
    return {part_of(name) for name in names if name.partition(".")[0] == "gatewise"} - {
        None,
        "__version__",
    }


def import_graph():
    """dict of module to the modules that it imports when it runs.

    A package that is imported on the way to one of its modules does not count: it would be part of
    a circle with nearly all of its modules.
    """
    modules = {name_of(path): path for path in SOURCE.rglob("*.py")}
    graph = {}
    for module, path in modules.items():
        imported = {
            f"{base}.{name}" if f"{base}.{name}" in modules else base
            for base, name in imports_of(path, static=False)
        }
        graph[module] = imported & modules.keys() - {module}
    return graph


def import_circles(graph):
    """Modules on a circle of imports, or on the way from one circle to another, in order of name.

    Modules that import none of the others, and those that none of the others imports, are taken
    away until there is no such module.
    """
    graph = {module: set(imported) for module, imported in graph.items()}
    while ends := {
        module
        for module, imported in graph.items()
        if not imported or not any(module in others for others in graph.values())
    }:
        graph = {
            module: imported - ends for module, imported in graph.items() if module not in ends
        }
    return sorted(graph)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down(path):
    here = part_of(name_of(path))
    assert here in ALLOWED, (
        f"{here} is not in the picture: give it a place here and in docs/architecture.md"
    )
    upward = parts_imported(path) - ALLOWED[here]
    assert not upward, f"{name_of(path)} imports {sorted(upward)}, which stand above {here}"


@pytest.mark.parametrize("path", CYTHON, ids=lambda path: path.name)
def test_kernels_import_only_kernels(path):
    assert path.parent == SOURCE / "kernels"
    lines = re.findall(
        r"^\s*(?:from|c?import)\s+(gatewise[\w.]*|\.)",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert {part_of(name) for name in lines} <= ALLOWED["kernels"]


@pytest.mark.parametrize("name", ["", "data"], ids=["gatewise", "gatewise.data"])
def test_static_tools_see_what_loads_on_first_use(name):
    """The imports under TYPE_CHECKING are exactly those that __getattr__ does at run time."""
    package = importlib.import_module(f"gatewise.{name}".rstrip("."))
    block = next(
        node
        for node in ast.parse(Path(package.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"
    )
    static = {alias.name: node.module for node in block.body for alias in node.names}
    on_first_use = getattr(package, "_ON_FIRST_USE", None)
    if on_first_use is None:
        on_first_use = package._NAMES | dict.fromkeys(package._MODULES)
    assert static == on_first_use
    assert package.TYPE_CHECKING is False


def test_the_package_itself_imports_nothing_of_its_own():
    program = (
        "import sys, gatewise; print(*(name for name in sys.modules if"
        " name.startswith('gatewise.')))"
    )
    assert run_python(program).split() == []


def test_this_test_sees_an_upward_import(tmp_path, monkeypatch):
    room = tmp_path / "layers"
    room.mkdir()
    module = room / "bad.py"
    module.write_text(
        "from ..models import Sequential\n\ndef f():\n    from gatewise import training\n"
    )
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    assert parts_imported(module) == {"models", "training"}
    with pytest.raises(AssertionError, match="stand above layers"):
        test_imports_go_down(module)


def test_no_module_imports_one_that_imports_it():
    graph = import_graph()
    assert len(graph) > 100  # the modules were found
    circles = import_circles(graph)
    assert not circles, f"modules import one another: {circles}"


def test_this_test_sees_a_circle(tmp_path, monkeypatch):
    files = {
        "__init__.py": "",
        "rooms/__init__.py": "from .one import f\n",
        "rooms/one.py": "def f():\n    from .two import g\n",
        "rooms/two.py": "from gatewise.rooms import three\n",
        "rooms/three.py": "from ..rooms.one import f\n",
        "rooms/end.py": "from . import three\n",
        "rooms/apart.py": (
            "from typing import TYPE_CHECKING\n\nfrom .beside import f\n\n"
            "if TYPE_CHECKING:\n    from .two import g\nelse:\n    from .end import h\n"
        ),
        "rooms/beside.py": (
            "import typing\n\nif typing.TYPE_CHECKING:\n    from .apart import f\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    graph = import_graph()
    assert graph["gatewise.rooms.apart"] == {"gatewise.rooms.beside", "gatewise.rooms.end"}
    assert graph["gatewise.rooms.beside"] == set()
    assert import_circles(graph) == [f"gatewise.rooms.{name}" for name in ("one", "three", "two")]


def test_one_module_knows_blas():
    using = [
        path.name
        for path in [*CYTHON, *SOURCE.rglob("*.h")]
        if "cython_blas" in path.read_text(encoding="utf-8")
    ]
    assert using == ["_blas.pyx"]
