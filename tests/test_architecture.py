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
ALLOWED["checkpoint"] = {"errors", "file_kinds", "_typing"}
ALLOWED["estimators"] |= ASIDE

MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
CYTHON = sorted(path for pattern in ("*.pyx", "*.pxd") for path in SOURCE.rglob(pattern))


def part_of(name):
    """The room or top-level module of a dotted name in gatewise; None for the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def name_of(path):
    return ".".join(["gatewise", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(
        ".__init__"
    )


def imports_of(path):
    """Every name of gatewise that a module imports, at the top or inside a function."""
    package = ["gatewise", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            # "from gatewise import checks" imports a part; "from gatewise.checks import finite" a
            # name in one.
            yield from (
                [f"gatewise.{alias.name}" for alias in node.names] if base == "gatewise" else [base]
            )


def parts_imported(path):
    names = (
        name for name in imports_of(path) if name == "gatewise" or name.startswith("gatewise.")
    )
    return {part_of(name) for name in names} - {None, "__version__"}


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
    """The imports under TYPE_CHECKING are those that __getattr__ does at run time, and no others."""
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


def test_one_module_knows_blas():
    using = [
        path.name
        for path in [*CYTHON, *SOURCE.rglob("*.h")]
        if "cython_blas" in path.read_text(encoding="utf-8")
    ]
    assert using == ["_blas.pyx"]
