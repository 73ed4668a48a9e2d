"""The public interface gives what it gave: results and files in tests/golden are of earlier code.

In the environment that results.json names, to the bit; in another one, such as another
instruction set, within the tolerances of golden/compare.py. `python tests/golden/make.py` writes
them anew; that is right only where results are meant to change.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from golden import compare, fingerprints, registry

pytestmark = pytest.mark.long

RESULTS = Path(__file__).parent / "golden" / "results.json"


@pytest.fixture(scope="module")
def golden():
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def wrong_in(golden, module):
    """Lines of what is not as it was in the cases of a module."""
    to_the_bit = golden["environment"] == compare.environment()
    for name in registry.load(module):
        found = fingerprints.fingerprints(registry.results_of(name))
        tolerance = registry.CASES[name].tolerance
        for line in compare.differences(golden["cases"][name], found, tolerance, to_the_bit):
            yield f"{name}: {line}"


@pytest.mark.parametrize("module", registry.MODULES)
def test_results_are_as_they_were(golden, module, threads):
    threads.set_num_threads(1)
    wrong = list(wrong_in(golden, module))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", registry.MODULES)
def test_results_of_two_threads_are_as_they_were(golden, module, forced_threads):
    forced_threads.set_num_threads(2)
    wrong = list(wrong_in(golden, module))
    assert not wrong, "\n".join(wrong)


def test_every_case_is_run(golden):
    here = {name for module in registry.MODULES for name in registry.load(module)}
    assert here == golden["cases"].keys()


def test_a_difference_of_one_bit_is_noticed():
    array = np.arange(5, dtype="float32")
    before = fingerprints.fingerprint(array)
    array[3] = np.nextafter(array[3], array[4])
    after = fingerprints.fingerprint(array)
    assert compare.difference(before, after, "short", True)
    assert not compare.difference(before, after, "short", False)
    assert compare.difference(before, fingerprints.fingerprint(array + 0.01), "short", False)
    assert compare.difference(before, fingerprints.fingerprint(array[:4]), "short", False)
