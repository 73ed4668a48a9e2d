"""What `import gatewise` loads, and what it does not."""

import pytest
from cases import run_python

import gatewise

PROGRAM = """
    import sys
    import warnings
    warnings.simplefilter("error")
    for name in sys.argv[1].split(","):
        __import__(name)
    print(*sorted({name.split(".")[0] for name in sys.modules}))
"""

NEVER = {
    "sklearn",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "h5py",
    "torch",
    "keras",
    "tensorflow",
    "pandas",
}


def loaded(*names):
    return set(run_python(PROGRAM, ",".join(names)).split())


def test_a_bare_import_loads_next_to_nothing():
    assert not loaded("gatewise") & (
        NEVER | {"tqdm", "threadpoolctl", "safetensors", "numpy", "scipy"}
    )


def test_models_and_layers_load_no_framework():
    names = [
        "models",
        "layers",
        "losses",
        "metrics",
        "optimizers",
        "schedules",
        "callbacks",
        "initializers",
        "regularizers",
        "utils",
        "testing",
        "checkpoint",
        "threads",
        "cells",
    ]
    assert not loaded("gatewise", *(f"gatewise.{name}" for name in names)) & NEVER


def test_working_with_a_layer_loads_no_framework():
    output = run_python("""
        import sys
        import numpy as np
        import gatewise
        layer = gatewise.layers.LSTM(4)
        y = layer(np.zeros((2, 3, 5), np.float32), training=True)
        layer.backward(y)
        gatewise.build_info()
        print(*sorted({name.split(".")[0] for name in sys.modules}))
    """)
    assert not set(output.split()) & (NEVER | {"tqdm", "safetensors"})


def test_estimators_say_that_they_need_scikit_learn():
    output = run_python("""
        import sys
        sys.modules["sklearn"] = None
        import gatewise
        try:
            gatewise.SequenceClassifier
        except gatewise.GatewiseError as error:
            print(type(error).__name__, error)
    """)
    assert output.startswith("MissingPackageError gatewise's estimators need scikit-learn")
    assert "gatewise[sklearn]" in output


def test_every_public_name_resolves():
    for name in gatewise.__all__:
        assert getattr(gatewise, name) is not None, name
    assert set(gatewise.__all__) <= set(dir(gatewise))
    for name in (
        "layers",
        "models",
        "losses",
        "metrics",
        "optimizers",
        "schedules",
        "callbacks",
        "initializers",
        "regularizers",
        "utils",
        "testing",
    ):
        module = getattr(gatewise, name)
        for public in getattr(module, "__all__", []):
            assert hasattr(module, public), f"{name}.{public}"
    with pytest.raises(AttributeError, match="module 'gatewise' has no attribute 'nonsense'"):
        gatewise.nonsense  # noqa: B018


def test_not_fitted_error_is_scikit_learns_too():
    exceptions = pytest.importorskip("sklearn.exceptions")
    assert issubclass(gatewise.NotFittedError, exceptions.NotFittedError)
    assert issubclass(gatewise.NotFittedError, gatewise.GatewiseError)
    assert gatewise.NotFittedError is gatewise.errors.NotFittedError


@pytest.mark.long
@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_every_module_imports_and_works_without_asserts_and_docstrings(option):
    output = run_python(
        """
        import importlib
        import pkgutil
        import subprocess
        import sys

        program = '''if True:
            import importlib
            import pkgutil
            import numpy as np
            import gatewise

            for module in pkgutil.walk_packages(gatewise.__path__, "gatewise."):
                importlib.import_module(module.name)
            metrics = ["accuracy", gatewise.metrics.Precision(), gatewise.metrics.Recall()]
            stack = [gatewise.layers.LSTM(2), gatewise.layers.Dense(1, "sigmoid")]
            model = gatewise.Sequential(stack, seed=1)
            model.compile("adam", "binary_crossentropy", metrics=metrics)
            model.fit(np.zeros((4, 3, 2)), [0, 1, 0, 1], verbose=0)
            classifier = gatewise.SequenceClassifier(max_iter=1)
            classifier.fit(np.zeros((4, 3, 2)), [0, 1, 0, 1])
            classifier._repr_html_()
            documented = (gatewise.metrics.Precision, gatewise.SequenceClassifier)
            print("works", *(each.__doc__ is None for each in documented))
        '''
        command = [sys.executable, sys.argv[1], "-W", "ignore", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True)
        print(done.stdout, done.stderr)
    """,
        option,
    )
    stripped = option == "-OO"
    assert f"works {stripped} {stripped}" in output
