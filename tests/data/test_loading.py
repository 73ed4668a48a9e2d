"""What gatewise.data loads, and when."""

import sys

import pytest
from cases import run_python

import gatewise.data
from gatewise.errors import MissingPackageError


def test_functions_load_numpy_alone():
    output = run_python("""
        import sys
        import numpy as np
        import gatewise.data
        x, y = gatewise.data.windows(np.arange(5.0), 2)
        gatewise.data.fill_forward(x)
        print(*sorted({name.split(".")[0] for name in sys.modules}))
    """)
    assert not set(output.split()) & {"sklearn", "scipy", "pandas"}


def test_every_public_name_resolves():
    for name in gatewise.data.__all__:
        assert getattr(gatewise.data, name).__name__ == name
    assert set(gatewise.data.__all__) <= set(dir(gatewise.data))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        gatewise.data.nonsense  # noqa: B018


def test_without_scikit_learn_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.preprocessing", None)
    monkeypatch.delitem(sys.modules, "gatewise.data.scaler", raising=False)
    with pytest.raises(MissingPackageError, match="SequenceScaler needs scikit-learn"):
        gatewise.data.SequenceScaler  # noqa: B018
