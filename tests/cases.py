"""What the tests of layers share.

The cells in all their forms, random weights, and what the reference says.
"""

import os
import subprocess
import sys
import textwrap

import numpy as np
import reference

from gatewise.layers import GRU, LSTM, SimpleRNN

# Every cell the kernels hold, by a short name.
CELLS = {
    "rnn": (SimpleRNN, {}),
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "gru_before": (GRU, {"reset_after": False}),
    "gru_chung": (GRU, {"update": "chung"}),
    "gru_before_chung": (GRU, {"reset_after": False, "update": "chung"}),
}

ACTIVATIONS = (
    "linear",
    "tanh",
    "sigmoid",
    "relu",
    "hard_sigmoid",
    "softsign",
    "softplus",
    "elu",
    "leaky_relu",
    "exponential",
)

# Around the widths of all vectors (2 to 16 numbers) and panels (up to 4 of them).
UNITS = (1, 10, 16, 17, 33, 37)


def make(cell, units, inputs, rng, dtype="float64", **options):
    """A built layer of one of CELLS with random, unsymmetrical weights."""
    cls, fixed = CELLS[cell]
    # zeros: the weights are drawn below, and an orthogonal matrix takes its time on a busy machine
    layer = cls(units, dtype=dtype, **{"recurrent_initializer": "zeros", **fixed, **options})
    layer.build((None, None, inputs))
    return randomize(layer, rng)


def randomize(layer, rng, scale=0.7):
    """Draw all weights, biases too; the layer."""
    weights = []
    for array in layer.get_weights():
        fan_in = array.shape[0] if array.ndim == 2 and array.shape[0] > 2 else 4
        weights.append(rng.normal(size=array.shape, scale=scale / np.sqrt(fan_in)))
    layer.set_weights(weights)
    return layer


def states_for(layer, batch, rng):
    """A random initial state: [h] or [h, c]."""
    return [
        (0.5 * rng.normal(size=(batch, size))).astype(layer.dtype)
        for size in layer.cell.state_sizes
    ]


def sequences(rng, batch, steps, inputs, dtype="float64"):
    """Random x."""
    return rng.normal(size=(batch, steps, inputs)).astype(dtype)


def ragged(rng, batch, steps):
    """Lengths from 0 to steps, both of them among the first rows, shuffled."""
    lengths = rng.integers(0, steps + 1, batch)
    lengths[:2] = [0, steps][:batch]
    return rng.permutation(lengths)


def expected(layer, x, lengths=None, initial_state=None, resets=None, kept=None):
    """What the layer must return for x without dropout, by the reference.

    An array, or a list with return_state.

    kept: what zoneout keeps of each state; see reference._run.
    """
    weights = {name: array.copy() for name, array in layer._parameters.items()}
    cell = layer.cell
    if cell.family.startswith("min"):
        y, last = reference.minimal(
            x,
            weights["kernel"],
            weights.get("bias"),
            *(initial_state or [None]),
            len(cell.gates),
            lengths=lengths,
            resets=resets,
            activation=cell.activation,
            go_backwards=layer.go_backwards,
        )
        output = y if layer.return_sequences else last[0]
        return [output, *last] if layer.return_state else output
    options = {
        "lengths": lengths,
        "resets": resets,
        "go_backwards": layer.go_backwards,
        "activation": cell.activation,
        "clip": cell.clip,
        "kept": kept,
    }
    if cell.family == "lstm":
        options |= {
            name: getattr(cell, name)
            for name in (
                "gates",
                "coupled",
                "cell_clip",
                "output_activation",
                "output_gate_inside",
            )
        }
        options |= {name: weights.get(name) for name in ("peephole", "projection_kernel")}
    if cell.layer_normalization:
        options["gains"] = [
            array
            for name, array in weights.items()
            if name.endswith("_gain") or name == "cell_bias"
        ]
    if cell.family != "rnn":
        options["recurrent_activation"] = cell.recurrent_activation
    if cell.family == "gru":
        options |= {
            name: getattr(cell, name)
            for name in ("reset_after", "update", "candidate", "output_activation")
        }
    states = initial_state if initial_state is not None else [None] * len(cell.states)
    run = getattr(reference, cell.family)
    y, last = run(
        x, weights["kernel"], weights["recurrent_kernel"], weights.get("bias"), *states, **options
    )
    output = y if layer.return_sequences else last[0]
    if not layer.return_sequences and cell._activation_of_state() is not None:
        # the output is not the state, which a row without steps has, too
        output = reference.activation_of(cell._activation_of_state())(last[0])
        output = output if lengths is None else output * (np.asarray(lengths) > 0)[:, None]
    return [output, *last] if layer.return_state else output


def as_list(result):
    """One array or several as a list."""
    return list(result) if isinstance(result, list | tuple) else [result]


def run(layer, x, dy=None, **arguments):
    """Train on x once: dict of all outputs and gradients, copies.

    dy: list like the outputs, or 1s.
    """
    layer.zero_gradients()
    outputs = [np.array(out) for out in as_list(layer.forward(x, training=True, **arguments))]
    dy = [np.ones_like(out) for out in outputs] if dy is None else dy
    dx = layer.backward(dy if len(outputs) > 1 else dy[0])
    result = {f"output {k}": out for k, out in enumerate(outputs)} | {"x": dx}
    result |= {name: gradient.copy() for name, gradient in layer.gradients.items()}
    for k, gradient in enumerate(getattr(layer, "initial_state_gradient", None) or []):
        result[f"state {k}"] = gradient.copy()
    return result


def assert_close(got, wanted, tolerance, name="result"):
    """Errors relative to the largest value expected, or to one if that is more."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape, f"{name}: shape {got.shape}, expected {wanted.shape}"
    assert np.isfinite(got).all(), f"{name} holds NaN or infinity"
    if not got.size:
        return
    error = np.abs(got.astype(np.float64) - wanted).max() / max(1.0, np.abs(wanted).max())
    assert error <= tolerance, f"{name}: error {error:.2e}, allowed {tolerance:.0e}"


def assert_all_close(got, wanted, tolerance):
    """The same for lists or dicts of arrays."""
    got, wanted = (dict(enumerate(r)) if isinstance(r, list | tuple) else r for r in (got, wanted))
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert_close(got[name], wanted[name], tolerance, name)


def assert_same_bits(got, wanted, name="result"):
    """Bit for bit, signs of zero included."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape and got.dtype == wanted.dtype, name
    same = np.ascontiguousarray(got).view(np.uint8) == np.ascontiguousarray(wanted).view(np.uint8)
    assert same.all(), (
        f"{name} differs, by up to {np.abs(got.astype(np.float64) - wanted).max():.1e}"
    )


def assert_all_same_bits(got, wanted):
    """The same for dicts or lists of arrays."""
    got, wanted = (dict(enumerate(r)) if isinstance(r, list | tuple) else r for r in (got, wanted))
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert_same_bits(got[name], wanted[name], name)


def run_python(program, *arguments, timeout=120, **environment):
    """Run a program in a fresh interpreter that sees this gatewise and tests/.

    Its standard output.
    """
    import gatewise

    folders = [os.path.dirname(os.path.dirname(gatewise.__file__)), os.path.dirname(__file__)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), **environment}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
