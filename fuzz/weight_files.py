"""Coverage-guided fuzzing of what reads files of PyTorch and Keras: see CONTRIBUTING.md.

    python fuzz/weight_files.py torch [options of libFuzzer, -max_total_time=1800 for instance]
    python fuzz/weight_files.py keras [...]

The mutator opens archives, changes what is in one entry, the pickle or the configuration for
instance, and packs them again, so that nearly all inputs are archives. What goes wrong is written
to fuzz/findings, one file for each place in the code, and fuzzing goes on; a time or memory limit
of libFuzzer ends it. The HDF5 library reads in a process of its own, once for each file: what is
changed of Keras's files is their configuration.
"""

import functools
import io
import os
import random
import sys
import tempfile
import traceback
import warnings
import zipfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
FILES = HERE.parent / "tests" / "files" / "interop"
FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None  # no disk in the way
with atheris.instrument_imports(include=["gatewise"]):
    from gatewise.errors import GatewiseError
    from gatewise.interop import keras, torch
    from gatewise.interop.keras import hdf5

hdf5._process = functools.lru_cache(hdf5._process)
READERS = {"torch": torch.from_state_dict, "keras": keras.load_model}
PATTERNS = {"torch": ["torch*.pt", "torch*.safetensors"], "keras": ["keras*.keras"]}
seen = set()


def mutate(data, max_size, seed):
    """Another file: one entry of an archive changed, or the bytes."""
    draw = random.Random(seed)
    archived = data[:4] == b"PK\3\4"
    if KIND == "torch" and (not archived or not draw.randrange(6)):
        return atheris.Mutate(data, max_size)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # it was no archive: nothing to take apart
        return atheris.Mutate(data, max_size)
    texts = [name for name in entries if name.endswith((".pkl", ".json"))]
    if not entries:
        return atheris.Mutate(data, max_size)
    if not entries or (KIND == "keras" and not texts):
        return atheris.Mutate(data, max_size)
    others = list(entries) if KIND == "torch" else texts
    name = draw.choice(texts if texts and draw.randrange(4) else others)
    entries[name] = atheris.Mutate(entries[name], len(entries[name]) + 500)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    return buffer.getvalue()[:max_size]


def read(data):
    """The reader, on a file of these bytes."""
    with open(PATH, "wb") as file:
        file.write(data)
    try:
        READER(PATH)
    except GatewiseError:
        return
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
        path = HERE / "findings" / f"{KIND}-{type(error).__name__}-{len(seen)}"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))
        print(f"finding: {path}: {error!r:.200}", flush=True)


def main():
    """Begin with the files that the tests read."""
    corpus = HERE / f"corpus-{KIND}"
    corpus.mkdir(exist_ok=True)
    for pattern in PATTERNS[KIND]:
        for path in FILES.glob(pattern):
            (corpus / path.name).write_bytes(path.read_bytes())
    warnings.simplefilter("ignore")  # of what a state_dict does not determine
    defaults = ["-max_len=90000", "-timeout=20", "-rss_limit_mb=2000"]
    arguments = [sys.argv[0], str(corpus), *defaults, *sys.argv[2:]]
    atheris.Setup(arguments, read, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    KIND = sys.argv[1]
    READER = READERS[KIND]
    PATH = os.path.join(tempfile.mkdtemp(dir=FOLDER), "file")
    main()
