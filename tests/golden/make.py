"""Write results.json and files/: ``python tests/golden/make.py``.

Run it with the code whose results are to be kept; results.json says which commit that was. With
``--results`` files/ is left alone: old files stay what they are when cases are added.
"""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def _short(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _commit():
    command = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main():
    """Compute everything and write it."""
    from golden import compare, fingerprints, registry, writers

    began = time.perf_counter()
    warnings.simplefilter("ignore")
    if "--results" not in sys.argv:
        writers.write_files(HERE / "files")
    cases = {}
    for module in registry.MODULES:
        start = time.perf_counter()
        for name in registry.load(module):
            cases[name] = fingerprints.fingerprints(registry.results_of(name))
        print(f"{module}: {time.perf_counter() - start:.1f} s")
    lines = ",\n".join(f"{json.dumps(name)}:{_short(case)}" for name, case in cases.items())
    head = f'"commit":{_short(_commit())},\n"environment":{_short(compare.environment())}'
    text = f'{{{head},\n"cases":{{\n{lines}}}}}\n'
    (HERE / "results.json").write_text(text, encoding="utf-8")
    print(f"{len(cases)} cases in {time.perf_counter() - began:.1f} s, {len(text) // 1000} kB")


if __name__ == "__main__":
    main()
