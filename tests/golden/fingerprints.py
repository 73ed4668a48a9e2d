"""Results as short texts: dtype, shape, hash of the bytes, and two sums that bear rounding."""

import hashlib
import numbers

import numpy as np


def leaves(value, path=""):
    """(path, leaf) of nested dicts and lists; a list of numbers is one leaf."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple) and not all(isinstance(v, numbers.Real) for v in value):
        for number, part in enumerate(value):
            yield from leaves(part, f"{path}.{number}" if path else str(number))
    else:
        yield path, value


def fingerprint(value):
    """One text: of an array "dtype shape hash sum sum-of-absolute-values"; a text stays as it is.

    A single number has no second sum. Hashes are the first 12 digits of the sha256 of the bytes.
    """
    if value is None or isinstance(value, str):
        return f"={value}"
    array = np.asarray(value)
    shape = "x".join(map(str, array.shape)) or "-"
    if array.dtype.kind not in "biuf":
        digest = hashlib.sha256(repr(array.tolist()).encode()).hexdigest()[:12]
        return f"{array.dtype.kind} {shape} {digest}"
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(array.tobytes()).hexdigest()[:12]
    known = array[np.isfinite(array)].astype(np.float64)
    sums = [known.sum()] if array.size == 1 else [known.sum(), np.abs(known).sum()]
    return " ".join(
        [array.dtype.str.lstrip("<|"), shape, digest, *(f"{value:.6g}" for value in sums)]
    )


def fingerprints(results):
    """dict of path to text."""
    return {path: fingerprint(value) for path, value in leaves(results)}
