"""The sdist and the wheel.

What is in them, and that they work where there is neither source tree nor compiler.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long  # what is published is built

ROOT = Path(__file__).parents[1]
SOURCES = [
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    ".ci",
    "src",
    "tests",
    "benchmarks",
    "examples",
    "docs",
]
# What builds and test runs leave behind; none of it may get into what is published.
LITTER = [
    "build/lib/gatewise/gone.py",
    "dist/gatewise-0.0.1.tar.gz",
    "src/gatewise/kernels/_table.cpp",
    "src/gatewise/kernels/dense_pyx.cpp",
    "src/gatewise/kernels/dense.html",
    "src/gatewise/kernels/dense.so",
    "src/gatewise/__pycache__/utils.cpython-311.pyc",
    "src/notes.txt",
    "tests/__pycache__/test_utils.cpython-311.pyc",
    "examples/output/forecast.png",
    ".venv/pyvenv.cfg",
    ".hypothesis/unicode_data/data",
    ".pytest_cache/README.md",
]
SMOKE = """
import os, shutil, sys, tempfile
import numpy as np
import gatewise
from gatewise.layers import GRU, LSTM, Dense, Input, SimpleRNN
from gatewise.models import Sequential

assert gatewise.__file__.startswith(sys.prefix), gatewise.__file__
assert not any(map(shutil.which, ("cc", "c++", "gcc", "g++", "clang"))), os.environ["PATH"]
info = gatewise.build_info()
assert info["isa"] == os.environ.get("GATEWISE_ISA", info["isas_supported"][-1]), info
rng = np.random.default_rng(0)
x = rng.normal(size=(40, 12, 3))
y = x[:, :, 0].sum(axis=1, keepdims=True)
layers = [
    Input((12, 3)),
    LSTM(9, return_sequences=True),
    GRU(7, return_sequences=True),
    SimpleRNN(5),
    Dense(1),
]
model = Sequential(layers, seed=0)
model.compile("adam", "mse")
before, after = model.evaluate(x, y), model.fit(x, y, epochs=10, verbose=0).history["loss"][-1]
assert after < before, (before, after)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model")
    model.save(path)
    assert np.array_equal(gatewise.load_model(path).predict(x), model.predict(x))
print(*info["isas_supported"])
"""


def run(*command, **options):
    """Run a command; what it said, or all it said as the failure's message."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=900, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def new_environment(folder):
    """An empty virtual environment that sees this one's packages, but installs nothing into it.

    Its Python.
    """
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    ours = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(paths["purelib"], "zz_outer.pth").write_text("\n".join(ours) + "\n")
    return Path(paths["scripts"], "python")


def pip(python, *arguments, **options):
    return run(sys.executable, "-m", "pip", "--python", python, *arguments, **options)


@pytest.fixture(scope="session")
def builder(tmp_path_factory):
    """The Python of an environment with what pyproject.toml asks for to build."""
    python = new_environment(tmp_path_factory.mktemp("builder"))
    pip(
        python,
        "install",
        "--quiet",
        *tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"],
    )
    return python


@pytest.fixture(scope="session")
def sdist(builder, tmp_path_factory):
    """The sdist, made from a copy of the tree that builds and tests have littered."""
    tree = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, tree / name)
    for name in LITTER:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("litter")
    out = tmp_path_factory.mktemp("sdist")
    run(builder, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, tree)
    (archive,) = out.iterdir()
    return archive


def unpacked(sdist, folder):
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


def built_wheel(builder, tree, out, **environment):
    pip(
        builder,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        out,
        ".",
        cwd=tree,
        env=os.environ | environment,
    )
    (wheel,) = out.iterdir()
    return wheel


@pytest.fixture(scope="session")
def wheel(builder, sdist, tmp_path_factory):
    """The wheel, built from what the sdist holds and nothing else."""
    return built_wheel(
        builder,
        unpacked(sdist, tmp_path_factory.mktemp("unpacked")),
        tmp_path_factory.mktemp("wheel"),
    )


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """The Python of an environment with the wheel in it."""
    python = new_environment(tmp_path_factory.mktemp("installed"))
    pip(python, "install", "--quiet", "--ignore-installed", "--no-deps", "--no-index", wheel)
    return python


def kernel_sources(*patterns):
    folder = ROOT / "src" / "gatewise" / "kernels"
    return {
        path.relative_to(ROOT).as_posix() for pattern in patterns for path in folder.glob(pattern)
    }


def test_sdist_holds_all_that_a_build_and_a_test_run_need(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert kernel_sources("*.pyx", "*.pxd", "*.pyi", "*.h", "isa_*.cpp", "*.py") <= names
    folders = {
        folder: {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")}
        for folder in ("src", "tests", "benchmarks", "examples")
    }
    for folder, files in folders.items():
        assert files <= names, folder
    data = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "examples" / "data").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert data <= names
    assert {
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        ".ci/run",
        "docs/architecture.md",
        "docs/checkpoint-format.md",
        "src/gatewise/py.typed",
    } <= names


def test_sdist_holds_no_build_products(sdist):
    with tarfile.open(sdist) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    assert not set(LITTER) & set(names)
    assert not [
        name
        for name in names
        if re.search(r"\.(so|pyd|o|html|py[co])$|^(build|dist)(/|$)|__pycache__", name)
    ]
    assert {name for name in names if name.endswith(".cpp")} == kernel_sources("isa_*.cpp")


def test_wheel_is_small_and_holds_only_the_package(wheel):
    assert wheel.stat().st_size <= 5_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    package = {name for name in names if not re.match(r"gatewise-[^/]+\.dist-info/", name)}
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert {name for name in package if name.endswith(".py")} == modules
    compiled = {name for name in package if name.endswith((".so", ".pyd"))}
    assert {name.split(".")[0] for name in compiled} == {
        f"gatewise/kernels/{Path(name).stem}" for name in kernel_sources("*.pyx")
    }
    stubs = {name.removeprefix("src/") for name in kernel_sources("*.pyi")}
    assert package == modules | compiled | stubs | {"gatewise/py.typed"}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_wheel_runs_without_compiler_and_source_on_every_instruction_set(installed, tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GATEWISE_", "PYTHON"))
    }
    environment["PATH"] = str(installed.parent)

    def smoke(**variables):
        return run(
            installed, "-W", "error", "-c", SMOKE, cwd=tmp_path, env=environment | variables
        ).split()

    supported = smoke()
    assert "baseline" in supported
    for isa in supported:
        assert smoke(GATEWISE_ISA=isa) == supported


def test_unknown_instruction_set_is_refused_by_name(installed, tmp_path):
    done = subprocess.run(
        [installed, "-c", "import gatewise; gatewise.build_info()"],
        cwd=tmp_path,
        timeout=120,
        capture_output=True,
        text=True,
        env=os.environ | {"GATEWISE_ISA": "mmx"},
    )
    assert done.returncode != 0
    assert "GATEWISE_ISA is 'mmx'" in done.stderr
    assert "baseline" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_build_without_openmp_says_so_and_stays_on_one_thread(builder, sdist, tmp_path):
    (tmp_path / "tree").mkdir()
    wheel = built_wheel(
        builder, unpacked(sdist, tmp_path / "tree"), tmp_path / "wheel", GATEWISE_OPENMP="0"
    )
    python = new_environment(tmp_path / "environment")
    pip(python, "install", "--quiet", "--ignore-installed", "--no-deps", "--no-index", wheel)
    code = (
        "import gatewise; gatewise.set_num_threads(4); info = gatewise.build_info(); "
        "print(info['openmp'], info['threads'], gatewise.get_num_threads())"
    )
    environment = os.environ | {"PATH": str(python.parent)}
    assert run(python, "-c", code, cwd=tmp_path).split() == ["False", "1", "1"]
    run(python, "-W", "error", "-c", SMOKE, cwd=tmp_path, env=environment)


def test_every_module_of_setup_is_a_file():
    """setup.py names what it compiles: no .pyx is left out, none is named that is not there."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (named,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "MODULES"
    ]
    assert {f"src/gatewise/kernels/{name}.pyx" for name in named} == kernel_sources("*.pyx")
