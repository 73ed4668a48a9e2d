"""What README.md and docs/ say: examples run, commands and links are right, names exist."""

import re
import shutil
from pathlib import Path

import pytest
from blocks import blocks, without_blocks

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "gatewise"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("docs/*.md")),
]


def page_name(page):
    return page.relative_to(ROOT).as_posix()


EXAMPLES = [
    pytest.param(page, line, code, id=f"{page_name(page)}:{line}")
    for page in PAGES
    for line, code in blocks(page, "python")
]

OPTIONAL = {
    "onnx": "gatewise.interop.onnx",
    "onnxruntime": "import onnxruntime",
    "skl2onnx": "import to_onnx",
}


@pytest.mark.parametrize(("page", "line", "code"), EXAMPLES)
def test_python_example_runs(page, line, code, tmp_path, monkeypatch):
    for package, used in OPTIONAL.items():
        if used in code:
            pytest.importorskip(package, reason=f"the example needs {package}")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "examples" / "data")
    exec(compile("\n" * (line - 1) + code, page_name(page), "exec"), {"__name__": "__main__"})


def test_readme_shows_an_estimator_a_model_and_a_layer():
    codes = [code for _, code in blocks(ROOT / "README.md", "python")]
    assert len(codes) >= 3
    assert "SequenceClassifier(" in codes[0]
    assert ".fit(" in codes[1]
    assert ".backward(" in codes[2]


def test_first_commands_install_and_run_the_main_job():
    commands = blocks(ROOT / "README.md", "bash")[0][1].splitlines()
    assert commands == ["python -m pip install '.[plot]'", "python examples/forecast.py"]
    assert (ROOT / "examples" / "forecast.py").is_file()


def test_second_commands_install_and_run_the_tests():
    commands = blocks(ROOT / "README.md", "bash")[1][1].splitlines()
    assert commands == ["python -m pip install '.[test]'", "python -m pytest"]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_point_to_files(page):
    targets = [
        target.split("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page))
        if "://" not in target
    ]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert not missing, f"{page_name(page)} links to {missing}"


def test_architecture_lists_every_room():
    rows = re.findall(
        r"^\| `(\w+)/` \|",
        (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert len(rows) == len(set(rows))
    assert set(rows) == folders


def test_architecture_names_exist():
    """Every name that the page gives is in the sources: a renamed function is renamed here too."""
    names = re.findall(
        r"`([\w./]+)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    )
    files = [
        path for pattern in ("*.py", "*.pyx", "*.pxd", "*.h") for path in SOURCE.rglob(pattern)
    ]
    words = set(re.findall(r"\w+", " ".join(path.read_text(encoding="utf-8") for path in files)))
    known = {path.name for path in files} | {path.stem for path in SOURCE.iterdir()}
    known |= {".pyx", ".pyi", ""}
    unknown = [
        name
        for name in names
        if not (
            name.split("/")[-1] in known or name.split(".")[-1] in words or (ROOT / name).exists()
        )
    ]
    assert not unknown
