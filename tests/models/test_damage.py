"""Thousands of damaged and forged files before all that reads them.

See tests/readers.py for what must hold.
"""

import contextlib
from pathlib import Path

import forgery
import pytest
import readers
from effort import Effort
from seeds import plain_generator

MOST_CALLS = 500_000  # of functions, to refuse or read one file; ten times what was seen

try:
    import resource
except ImportError:  # Windows
    resource = None

FOUND = sorted((Path(__file__).parents[1] / "files" / "found").glob("*"))


@contextlib.contextmanager
def little_memory(more=400_000_000):
    """Address space for so many bytes more than the process has now.

    Who asks for a lot gets a MemoryError.
    """
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, AttributeError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def read_all(subject, contents, folder):
    """How often each set of readers took a file."""
    tally, wrong, everyone = {}, {}, readers.Readers(subject)
    path = folder / "file"
    with little_memory():
        for number, content in contents:
            path.write_bytes(content)
            try:
                with Effort() as effort:
                    took = tuple(everyone.read(path))
                tally[took] = tally.get(took, 0) + 1
                if effort.calls > MOST_CALLS:
                    wrong.setdefault("effort", []).append(number)
            except Exception as error:
                everyone.begun.clear()
                wrong.setdefault(f"{type(error).__name__}: {error!s:.100}", []).append(number)
    assert not wrong
    return tally


def forged(subject, folder, seeds, at):
    readers.SUBJECTS[subject].saved(folder / "good", at)
    content = (folder / "good").read_bytes()
    for seed in seeds:
        yield seed, forgery.forge(content, plain_generator(seed))


@pytest.mark.parametrize("subject", readers.SUBJECTS)
def test_the_good_files_and_what_the_forger_makes_without_a_lie(subject, tmp_path):
    """Else the files below would be refused for another reason."""
    for at in (3, 6):
        weights = readers.SUBJECTS[subject].saved(tmp_path / "good", at)
        content = (tmp_path / "good").read_bytes()
        again = forgery.put_together(*forgery.take_apart(content))
        tally = read_all(subject, enumerate([content, again]), tmp_path)
        assert tally == {("load_model", "load_weights", "resume"): 2}
        model = readers.SUBJECTS[subject].model()
        readers.SUBJECTS[subject].fit(model, resume_from=tmp_path / "good")
        assert model.flat_parameters.tobytes() == weights


@pytest.mark.long
@pytest.mark.parametrize("subject", readers.SUBJECTS)
def test_damaged_files(subject, tmp_path):
    tally = read_all(subject, forged(subject, tmp_path, range(700), 3), tmp_path)
    assert tally[()] > 70
    assert tally["load_model", "load_weights", "resume"] > 10  # the changes are no mere noise


@pytest.mark.slow
@pytest.mark.parametrize("at", [3, 5, 6])
@pytest.mark.parametrize("subject", readers.SUBJECTS)
def test_ten_thousand_damaged_files(subject, at, tmp_path):
    read_all(subject, forged(subject, tmp_path, range(1000 * at, 1000 * at + 1700), at), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("subject", readers.SUBJECTS)
def test_every_cut_and_every_byte(subject, tmp_path):
    readers.SUBJECTS[subject].saved(tmp_path / "good", 3)
    content = (tmp_path / "good").read_bytes()
    cuts = ((("cut", end), content[:end]) for end in range(0, len(content), 3))
    flips = (
        (("flip", at), content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        for at in range(0, len(content), 3)
    )
    assert set(read_all(subject, (*cuts, *flips), tmp_path)) == {()}


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_fuzzing_found(path, tmp_path):
    """Inputs that did what no file may, before the code was mended."""
    for subject in readers.SUBJECTS:
        read_all(subject, [(path.name, path.read_bytes())], tmp_path)
