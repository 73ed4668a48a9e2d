"""Keras programs as people write them, run with nothing changed but their imports.

Each file of ``keras_programs`` is a whole program. It runs here with ``keras`` read as
``gatewise``. Where Keras is installed it runs there too, both times from the same start weights and
without shuffling, and the losses of every epoch of every fit must agree.
"""

import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.long

PROGRAMS = {
    path.stem: path.read_text()
    for path in sorted((Path(__file__).parent / "keras_programs").glob("*.py"))
}
# What draws in training, and graph_transfer: Keras 3.15 trains a base called with training=False in
# its training form, other than its guide says. Losses cannot agree.
DIFFERENT = {"gru_dropout", "graph_transfer"}

# Runs a program with `package` for keras; returns the history of every fit, and every evaluate.
# The same text runs in both processes, so it must not know which library it has.
RUNNER = '''
import contextlib
import io
import re

import numpy as np


def start_weights(model):
    """The same for both libraries: drawn from the shapes alone."""
    draws = np.random.default_rng(99)
    weights = []
    for array in model.get_weights():
        scale = 1 / np.sqrt(array.shape[0]) if array.ndim > 1 else 0.1
        values = draws.normal(0, scale, array.shape)
        is_factor = array.ndim == 1 and np.all(np.asarray(array) == 1)  # a gamma or a variance
        weights.append(1 + np.abs(values) if is_factor else values)
    return weights


def copy_states(LSTM):
    """Keras on torch writes a stateful layer's new state over the one that backward needs.

    Give it a copy.
    """
    original = LSTM.call

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if initial_state is None and self.stateful:
            initial_state = [state + 0 for state in self.states]
        return original(self, sequences, initial_state=initial_state, mask=mask, training=training)

    LSTM.call = call


def run_program(source, package, replace_start):
    models = __import__(package + ".models", fromlist=["Sequential", "Model"])
    Sequential, Model = models.Sequential, models.Model
    original_fit, original_evaluate = Sequential.fit, Sequential.evaluate
    assert Model.fit is original_fit and Model.evaluate is original_evaluate
    seen, started, fitting = [], set(), []

    def fit(self, x, y=None, **options):
        if replace_start:
            options["shuffle"] = False
            if id(self) not in started:
                started.add(id(self))
                if not self.built:
                    self.build((None, *np.shape(x)[1:]))
                self.set_weights(start_weights(self))
        fitting.append(True)  # where fit calls evaluate, that is its own business
        history = original_fit(self, x, y, **options)
        fitting.pop()
        numbers = {name: [float(v) for v in values] for name, values in history.history.items()}
        seen.append(("fit", numbers))
        return history

    def evaluate(self, *arguments, **options):
        result = original_evaluate(self, *arguments, **options)
        if not fitting:
            values = sorted(result.items()) if isinstance(result, dict) else [("", result)]
            seen.append(("evaluate", np.concatenate([np.ravel(v) for _, v in values]).tolist()))
        return result

    for cls in (Model, Sequential):
        cls.fit, cls.evaluate = fit, evaluate
    if not hasattr(Sequential, "reset_states"):  # in Keras 3, only layers have it
        Sequential.reset_states = lambda self: [
            layer.reset_state() for layer in self.layers if layer.name[:4] == "lstm"
        ]
        copy_states(__import__(package + ".layers", fromlist=["LSTM"]).LSTM)
    try:
        source = re.sub(r"^import keras$", f"import {package} as keras", source, flags=re.MULTILINE)
        source = re.sub(r"^from keras\\b", "from " + package, source, flags=re.MULTILINE)
        space = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "<program>", "exec"), space)
    finally:
        for cls in (Model, Sequential):
            cls.fit, cls.evaluate = original_fit, original_evaluate
    return seen
'''


def keras_runs(runner, programs):
    import traceback

    space, results = {}, {}
    exec(runner, space)
    for name, source in programs.items():
        try:
            results[name] = space["run_program"](source, "keras", True)
        except Exception:
            results[name] = traceback.format_exc()
    return results


def for_keras_3(source):
    """batch_input_shape became an Input in front."""
    source = re.sub(
        r"^model\.add\((\w+)\((\w+), batch_input_shape=(\([^)]*\)), ",
        r"model.add(__import__('keras').layers.Input(batch_shape=\3))\nmodel.add(\1(\2, ",
        source,
        flags=re.MULTILINE,
    )
    assert "batch_input_shape=" not in source
    return source


def run_here(name, replace_start):
    space = {}
    exec(RUNNER, space)
    return space["run_program"](PROGRAMS[name], "gatewise", replace_start)


_theirs = {}


def theirs(name, rival):
    """What Keras made of this program; all programs run in one request."""
    if not _theirs:
        _theirs.update(
            rival.run(
                keras_runs, RUNNER, {key: for_keras_3(text) for key, text in PROGRAMS.items()}
            )
        )
    return _theirs[name]


@pytest.mark.filterwarnings("ignore:file names that end in")  # programs give Keras's names to files
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_runs(name):
    seen = run_here(name, False)
    assert seen
    for kind, result in seen:
        values = np.concatenate(
            [np.ravel(v) for v in (result.values() if kind == "fit" else [result])]
        )
        assert np.isfinite(values).all()


@pytest.mark.filterwarnings("ignore:file names that end in")  # programs give Keras's names to files
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_does_what_keras_does(name, keras_rival):
    expected = theirs(name, keras_rival)
    assert type(expected) is list, expected
    seen = run_here(name, True)
    assert [kind for kind, _ in seen] == [kind for kind, _ in expected]
    for number, ((kind, ours), (_, keras)) in enumerate(zip(seen, expected)):
        if kind == "fit":
            assert set(ours) == set(keras)
            if name in DIFFERENT:
                assert all(len(ours[key]) == len(keras[key]) for key in keras)
                continue
            for key in keras:
                np.testing.assert_allclose(
                    ours[key], keras[key], rtol=1e-4, atol=1e-4, err_msg=f"fit {number}: {key}"
                )
        else:
            np.testing.assert_allclose(
                ours, keras, rtol=1e-4, atol=1e-4, err_msg=f"evaluate, call {number}"
            )


def test_the_programs_use_keras_alone():
    """Nothing in them knows of us."""
    assert len(PROGRAMS) >= 8
    for name, source in PROGRAMS.items():
        assert "gatewise" not in source, name
        assert re.search(r"^(from|import) keras\b", source, re.MULTILINE), name
