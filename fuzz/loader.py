"""Coverage-guided fuzzing of all that reads checkpoint files: see CONTRIBUTING.md.

    python fuzz/loader.py [folder of inputs] [options of libFuzzer, -max_total_time=600 for
    instance]

The mutator takes a file apart, changes its header, its tensors or its text, and puts it together
under a checksum that is right, so that nearly all inputs get past it. What goes wrong is written to
fuzz/findings, one file for each place in the code, and fuzzing goes on; a time or memory limit of
libFuzzer ends it.
"""

import os
import random
import sys
import tempfile
import traceback
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
with atheris.instrument_imports(include=["gatewise"]):
    import forgery
    import readers

HERE = Path(__file__).resolve().parent
FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None  # no disk in the way
READERS = {name: readers.Readers(name) for name in readers.SUBJECTS}
seen = set()


def mutate(data, max_size, seed):
    """Another file: by our own changes, or by libFuzzer's in the text of the header."""
    draw = random.Random(seed)
    try:
        if draw.randrange(4):
            changed = forgery.forge(data, draw)
        else:
            tensors, text = forgery.take_apart(data)
            changed = forgery.put_together(tensors, atheris.Mutate(text, max(len(text), 4000)))
    except Exception:  # it was no file: nothing to take apart
        changed = atheris.Mutate(data, max_size)
    return changed[:max_size]


def read(data):
    """Every reader, on a file of these bytes."""
    with open(PATH, "wb") as file:
        file.write(data)
    name = next(
        (name for name in READERS if b'\\"name\\":\\"' + name.encode() in data), "Truncated"
    )
    try:
        READERS[name].read(PATH)
    except Exception as error:
        READERS[name].begun.clear()
        report(data, error)


def report(data, error):
    """One file for each kind of error and place where the first of its causes was raised."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    frames = [
        frame for frame in traceback.extract_tb(root.__traceback__) if "gatewise" in frame.filename
    ]
    key = (type(error).__name__, *((frame.filename, frame.lineno) for frame in frames[-1:]))
    if key not in seen:
        seen.add(key)
        (HERE / "findings").mkdir(exist_ok=True)
        path = HERE / "findings" / f"{type(error).__name__}-{len(seen)}"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))
        print(f"finding: {path}: {error!r:.200}", flush=True)


def main():
    """Begin with good files, one from between epochs, one from the middle of one."""
    global PATH
    corpus = Path(
        next(
            (argument for argument in sys.argv[1:] if not argument.startswith("-")), HERE / "corpus"
        )
    )
    corpus.mkdir(exist_ok=True)
    for name, subject in readers.SUBJECTS.items():
        for at in (3, 6):
            subject.saved(corpus / f"{name}-{at}", at)
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        PATH = os.path.join(folder, "file")
        defaults = ["-max_len=60000", "-timeout=10", "-rss_limit_mb=1500"]
        atheris.Setup([sys.argv[0], str(corpus), *defaults, *options], read, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
