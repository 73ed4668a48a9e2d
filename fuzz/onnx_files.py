"""Coverage-guided fuzzing of what reads ONNX files: see CONTRIBUTING.md.

    python fuzz/onnx_files.py [folder of inputs] [options of libFuzzer, -max_total_time=1800 for
    instance]

The mutator takes a model apart and changes its tensors, nodes, attributes and ports, so that nearly
all inputs are messages that protobuf reads. What goes wrong is written to fuzz/findings, one file
for each place in the code, and fuzzing goes on; a time or memory limit of libFuzzer ends it.
"""

import sys
import traceback
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
sys.path.insert(0, str(TESTS))
with atheris.instrument_imports(include=["gatewise"]):
    from gatewise.errors import GatewiseError
    from gatewise.interop.onnx import Backend, import_model
from interop.onnx_mutations import mutate as changed  # noqa: E402

seen = set()


def mutate(data, max_size, seed):
    """Another model: by our own changes, or by libFuzzer's in the bytes."""
    if seed % 8 == 0:
        return atheris.Mutate(data, max_size)
    return changed(data, seed)[:max_size]


def read(data):
    """Both readers, on these bytes."""
    for reader in (Backend.prepare, import_model):
        try:
            reader(data)
        except GatewiseError:
            continue
        except Exception as error:
            report(data, error)


def report(data, error):
    """One file for each kind of error and place where it was raised."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "gatewise" in frame.filename
    ]
    key = (type(error).__name__, *((frame.filename, frame.lineno) for frame in frames[-1:]))
    if key not in seen:
        seen.add(key)
        (HERE / "findings").mkdir(exist_ok=True)
        path = HERE / "findings" / f"onnx-{type(error).__name__}-{len(seen)}"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))
        print(f"finding: {path}: {error!r:.200}", flush=True)


def main():
    """Begin with the files that the tests read."""
    given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    corpus = Path(given[0] if given else HERE / "corpus-onnx")
    corpus.mkdir(exist_ok=True)
    for path in (TESTS / "files" / "interop").glob("*.onnx"):
        if path.stat().st_size < 20_000:
            (corpus / path.name).write_bytes(path.read_bytes())
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    defaults = ["-max_len=30000", "-timeout=20", "-rss_limit_mb=2000"]
    atheris.Setup([sys.argv[0], str(corpus), *defaults, *options], read, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
