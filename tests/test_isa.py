"""Every instruction set that this machine runs.

Right, and as independent of batch and threads as the best one.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import (
    CELLS,
    assert_close,
    expected,
    make,
    ragged,
    run,
    run_python,
    sequences,
    states_for,
)
from seeds import generator
from tolerances import TOLERANCES

from gatewise import build_info
from gatewise.kernels import _table
from gatewise.layers import Dense

# Options that compute the candidate or the output in another form.
FORMS = [
    ("lstm", {"output_gate_inside": True}),
    ("gru", {"candidate": "complement"}),
    ("gru_before", {"candidate": "complement"}),
    ("gru", {"candidate": "split"}),
    ("gru_chung", {"candidate": "input", "output_activation": "sigmoid"}),
]

SUPPORTED = build_info()["isas_supported"]

PROGRAM = """
    import sys
    import numpy as np
    from test_isa import everything
    from gatewise import build_info

    arrays = everything()
    arrays["isa"] = np.array(build_info()["isa"])
    np.savez(sys.argv[1], **arrays)
"""


def layers_and_inputs(dtype):
    """Each cell and width with an awkward batch: (name, layer, x, arguments)."""
    rng = generator(7)
    for cell in CELLS:
        for units in (1, 5, 16, 33):
            layer = make(cell, units, 3, rng, dtype, return_sequences=True, return_state=True)
            arguments = {
                "lengths": ragged(rng, 7, 5),
                "resets": rng.random((7, 5)) < 0.2,
                "initial_state": states_for(layer, 7, rng),
            }
            yield f"{cell} {units} {dtype}", layer, sequences(rng, 7, 5, 3, dtype), arguments
    for cell, options in FORMS:
        layer = make(cell, 21, 3, rng, dtype, return_sequences=True, return_state=True, **options)
        yield f"{cell} {options} {dtype}", layer, sequences(rng, 7, 5, 3, dtype), {}


def dense_and_input(dtype):
    rng = generator(8)
    for activation in ("tanh", "sigmoid", "softmax", "softplus", "elu", "hard_sigmoid"):
        layer = Dense(37, activation, dtype=dtype, seed=1)
        yield f"dense {activation} {dtype}", layer, rng.normal(size=(9, 5)).astype(dtype)


def everything():
    """All outputs and gradients by name.

    And the identities that hold within one instruction set.
    """
    from gatewise import threads

    threads.SMALL_WORK = 0
    found = {}
    for dtype in TOLERANCES:
        for name, layer, x, arguments in layers_and_inputs(dtype):
            threads.set_num_threads(1)
            results = run(layer, x, **arguments)
            threads.set_num_threads(3)
            for key, array in run(layer, x, **arguments).items():
                np.testing.assert_array_equal(array, results[key], f"{name} {key}: three threads")
            y = layer.forward(x)[0]
            for batch in range(1, 8):
                np.testing.assert_array_equal(
                    layer.forward(x[-batch:])[0], y[-batch:], f"{name}: {batch} rows"
                )
            found |= {f"{name}|{key}": array for key, array in results.items()}
        for name, layer, x in dense_and_input(dtype):
            found |= {f"{name}|{key}": array for key, array in run(layer, x).items()}
    return found


@pytest.fixture(scope="module")
def here():
    from gatewise import threads

    small_work, count = threads.SMALL_WORK, threads.get_num_threads()
    yield everything()
    threads.SMALL_WORK = small_work
    threads.set_num_threads(count)


@pytest.mark.long
@pytest.mark.parametrize("isa", SUPPORTED)
def test_each_instruction_set_is_right(isa, here, tmp_path):
    run_python(PROGRAM, tmp_path / "out.npz", GATEWISE_ISA=isa)
    with np.load(tmp_path / "out.npz") as found:
        assert found["isa"] == isa
        assert set(found.files) == {*here, "isa"}
        for dtype, tolerance in TOLERANCES.items():
            for name, layer, x, arguments in layers_and_inputs(dtype):
                for k, wanted in enumerate(expected(layer, x, **arguments)):
                    assert_close(found[f"{name}|output {k}"], wanted, tolerance.forward, name)
            for key, array in here.items():
                if f" {dtype}|" in key:
                    assert found[key].dtype == dtype
                    assert_close(found[key], array, tolerance.backward, key)


@pytest.mark.long
def test_the_environment_chooses_and_empty_means_the_best():
    program = "import gatewise; print(gatewise.build_info()['isa'])"
    for isa in SUPPORTED:
        assert run_python(program, GATEWISE_ISA=isa).strip() == isa
    assert run_python(program, GATEWISE_ISA="").strip() == SUPPORTED[-1]


@pytest.mark.parametrize("name", ["nonsense", "AVX2", "avx512 ", "0"])
def test_an_unknown_name_is_refused_with_the_choices(name):
    message = run_python(
        """
        from gatewise.errors import ConfigError
        try:
            import gatewise.layers
        except ConfigError as error:
            print(error)
    """,
        GATEWISE_ISA=name,
    )
    assert f"GATEWISE_ISA is {name!r}" in message
    for isa in SUPPORTED:
        assert isa in message


def test_what_is_built_and_what_runs():
    info = build_info()
    assert info["isa"] in info["isas_supported"]
    assert set(info["isas_supported"]) <= set(_table.built_isas())
    assert info["isas_supported"][0] == _table.built_isas()[0]  # the slowest runs anywhere
    assert set(info) >= {"version", "python", "numpy", "scipy", "openmp", "threads", "blas"}


OTHERS = [isa for isa in SUPPORTED if isa != build_info()["isa"]]


@pytest.fixture(scope="module")
def children(tmp_path_factory):
    """{isa: (process, its output)}.

    All tests of the kernels and of what layers compute, with the other sets side by side.
    """
    here, folder = Path(__file__).parent, tmp_path_factory.mktemp("isa")
    files = [
        here / "kernels",
        *(
            path
            for name in ("gradients", "forward", "identities", "options", "minimal")
            for path in sorted(here.glob(f"layers/**/test_{name}*.py"))
        ),
    ]
    assert len(files) > 5
    running = {}
    for isa in OTHERS:
        output = folder / isa
        with open(output, "w") as stream:
            running[isa] = (
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "pytest",
                        "-q",
                        "-x",
                        "-p",
                        "no:cacheprovider",
                        "-n",
                        "0",
                        *files,
                    ],
                    env={**os.environ, "GATEWISE_ISA": isa},
                    stdout=stream,
                    stderr=stream,
                ),
                output,
            )
    yield running
    for process, _ in running.values():
        process.kill()
        process.wait()


@pytest.mark.long
@pytest.mark.parametrize("isa", OTHERS)
def test_the_kernels_tests_pass_with_each(isa, children):
    """Error bounds, tails, guards."""
    process, output = children[isa]
    assert process.wait(timeout=1200) == 0, output.read_text()[-4000:]
