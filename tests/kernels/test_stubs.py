"""The .pyi stubs of compiled modules.

Their names, arguments and defaults are those of the modules.
"""

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "src" / "gatewise" / "kernels"
COMPILED = sorted(path.stem for path in FOLDER.glob("*.pyx"))
SLOT = type(object.__init__)  # a method in C, which has no signature
STUBS = sorted(path.stem for path in FOLDER.glob("*.pyi"))


def made_in(module):
    """Names that a compiled module defines itself, without those that it imports."""
    source = (FOLDER / f"{module.__name__.split('.')[-1]}.pyx").read_text(encoding="utf-8")
    assigned = set(re.findall(r"^(\w+) = ", source, re.MULTILINE))
    return {
        name: value
        for name, value in vars(module).items()
        if not isinstance(value, ModuleType)
        and (name in assigned or getattr(value, "__module__", None) == module.__name__)
    }


def declared(body):
    """Names that a stub, or a class in it, declares: name -> node.

    A Protocol is for the stub alone.
    """
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef) and not any(
            "Protocol" in ast.unparse(b) for b in node.bases
        ):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = node
    return found


def arguments_of(node):
    """Names and kinds of a stub function's arguments, and their default values, in order."""
    return [
        (p.name, p.kind, None if p.default is p.empty else p.default)
        for p in inspect.signature(_function(node)).parameters.values()
    ]


def _function(node):
    plain = ast.FunctionDef(node.name, node.args, [ast.Pass()], [], returns=None)
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    space = {}
    module = ast.fix_missing_locations(ast.Module([plain], []))
    exec(compile(module, "<stub>", "exec"), space)
    return space[node.name]


def compiled_arguments(value):
    return [
        (p.name, p.kind, None if p.default is p.empty else p.default)
        for p in inspect.signature(value).parameters.values()
    ]


def constructor_arguments(cls):
    """Names of the constructor's arguments, from the docstring's first line (embedsignature)."""
    first = re.match(rf"{cls.__name__}\((.*)\)$", (cls.__doc__ or "").split("\n")[0])
    if first is None:
        return None
    return [
        part.split("=")[0].split()[-1] for part in first[1].split(", ") if part not in ("", "*")
    ]


def check_class(cls, node):
    members = declared(node.body)
    for name, member in members.items():
        if not isinstance(member, ast.FunctionDef) and type(cls.__init__) is not type(
            object.__init__
        ):
            continue  # set by a constructor in Python
        assert hasattr(cls, name), f"{cls.__name__}.{name} is in the stub alone"
        if not isinstance(member, ast.FunctionDef) or member.decorator_list:
            continue
        if name == "__init__":
            if isinstance(vars(cls).get("__init__"), SLOT):
                given = constructor_arguments(cls) or []
            else:
                given = [argument for argument, *_ in compiled_arguments(cls.__init__)][1:]
            assert [argument for argument, *_ in arguments_of(member)][1:] == given, cls.__name__
        elif name != "__new__" and not isinstance(vars(cls)[name], SLOT):  # a slot has none
            assert arguments_of(member) == compiled_arguments(vars(cls)[name]), name
    public = {name for name in vars(cls) if not name.startswith("_")}
    assert public <= set(members), f"{cls.__name__} has {public - set(members)}, its stub does not"


@pytest.mark.parametrize("name", COMPILED)
def test_a_module_with_names_for_python_has_a_stub(name):
    public = {
        n for n in made_in(importlib.import_module(f"gatewise.kernels.{name}")) if n[0] != "_"
    }
    assert (name in STUBS) == bool(public), f"{name} has {sorted(public)}"


@pytest.mark.parametrize("name", STUBS)
def test_stubs_agree_with_what_is_compiled(name):
    module = importlib.import_module(f"gatewise.kernels.{name}")
    stub = declared(ast.parse((FOLDER / f"{name}.pyi").read_text(encoding="utf-8")).body)
    there = made_in(module)
    missing = {n for n in there if n[0] != "_"} - set(stub)
    assert not missing, f"{name}.pyi lacks {sorted(missing)}"
    for key, node in stub.items():
        assert key in there, f"{key} is in {name}.pyi alone"
        if isinstance(node, ast.FunctionDef):
            assert arguments_of(node) == compiled_arguments(there[key]), key
        elif isinstance(node, ast.ClassDef):
            check_class(there[key], node)


def test_a_wrong_default_is_seen():
    node = ast.parse("def sgd(p, g, v, lr, momentum, nesterov, decay=1.0, threads=1): ...").body[0]
    optimizers = importlib.import_module("gatewise.kernels.optimizers")
    assert arguments_of(node) != compiled_arguments(optimizers.sgd)
