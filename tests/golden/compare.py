"""When two fingerprints agree: to the bit in one environment, within a tolerance in another."""

import platform

import numpy as np
import scipy

import gatewise

# Of another instruction set or library: part of the sum of absolute values. Training amplifies
# rounding, above all where an optimizer divides by the size of small gradients. Between baseline,
# AVX2 and AVX-512 on one machine, no result differed by more than 1.2e-5.
TOLERANCES = {"short": 1e-4, "training": 1e-3}
TINY = 1e-6  # what may stand where there is nothing but rounding


def environment():
    """What decides on the bits of results."""
    info = gatewise.build_info()
    return {
        "isa": info["isa"],
        "numpy": ".".join(np.__version__.split(".")[:2]),
        "scipy": ".".join(scipy.__version__.split(".")[:2]),
        "blas": info["blas"],
        "machine": platform.machine(),
        "processor": _processor(),
    }


def _processor():
    """Name of the processor, which NumPy and BLAS choose their code by; "" where nobody says."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(
                (x.partition(":")[2].strip() for x in lines if x.startswith("model name")), ""
            )
    except OSError:
        return ""


def difference(expected, found, tolerance, to_the_bit):
    """What is wrong, as text; None: nothing."""
    if expected == found:
        return None
    if to_the_bit or expected is None or found is None or expected[0] == "=" or found[0] == "=":
        return f"expected {expected}, found {found}"
    before, after = expected.split(" "), found.split(" ")
    if before[:2] != after[:2]:
        return f"expected {expected}, found {found}"
    if len(before) < 4:  # texts: which label is the most likely may turn on rounding
        return None
    room = TOLERANCES[tolerance] * abs(float(before[-1])) + TINY
    if all(abs(float(a) - float(b)) <= room for a, b in zip(before[3:], after[3:], strict=True)):
        return None
    return f"expected {expected}, found {found}, further apart than {room:.3g}"


def differences(expected, found, tolerance, to_the_bit):
    """Lines of what is wrong in a case."""
    for path in dict.fromkeys([*expected, *found]):
        wrong = difference(expected.get(path), found.get(path), tolerance, to_the_bit)
        if wrong:
            yield f"{path}: {wrong}"
