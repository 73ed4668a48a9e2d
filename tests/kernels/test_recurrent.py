"""The recurrent kernels, called as the layers call them.

Exact sums, bands of rows, workspaces, guards.
"""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_same_bits, run_python

from gatewise.kernels import activations
from gatewise.kernels._workspace import Workspace
from gatewise.kernels.cell_options import CellOptions
from gatewise.kernels.recurrent import RecurrentKernel
from gatewise.threads import single_threaded_blas

GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru_before": 3}


def build(cell, dtype, inputs, units, act="tanh", gate="sigmoid"):
    options = CellOptions(
        activation=activations.code(act),
        recurrent_activation=activations.code(gate),
        output_activation=activations.code(act),
        reset_after="_" not in cell,
    )
    return RecurrentKernel(cell.split("_")[0], dtype, inputs, units, options)


class Problem:
    """One batch with everything that forward and backward are given."""

    def __init__(
        self,
        rng,
        cell,
        dtype,
        batch=5,
        steps=7,
        inputs=3,
        units=10,
        lengths=None,
        masked=False,
        draw=None,
    ):
        if draw is None:

            def draw(*shape):
                return (0.4 * rng.normal(size=shape)).astype(dtype)

        G = GATES[cell]
        self.cell, self.kernel, self.dtype = (
            cell,
            build(cell, dtype, inputs, units),
            np.dtype(dtype),
        )
        self.w, self.u, self.b = draw(inputs, G * units), draw(units, G * units), draw(G * units)
        self.b_h = draw(G * units) if cell == "gru" else None
        self.x, self.h = draw(batch, steps, inputs), draw(batch, units)
        self.c = draw(batch, units) if cell == "lstm" else None
        self.dy, self.dh = draw(batch, steps, units), draw(batch, units)
        self.dc = draw(batch, units) if cell == "lstm" else None
        self.resets = (rng.random((batch, steps)) < 0.2).astype(np.uint8)
        self.mask = (2 * (rng.random((batch, units)) < 0.5)).astype(dtype) if masked else None
        self.order = self.lengths = None
        if lengths is not None:
            lengths = np.asarray(lengths, np.intp)
            self.order = np.argsort(-lengths, kind="stable")
            self.lengths = lengths[self.order]

    @property
    def weights(self):
        """Parameters by the kernel's names."""
        return {
            "kernel": self.w,
            "recurrent_kernel": self.u,
            "bias": self.b,
            "recurrent_bias": self.b_h,
        }

    def train(self, threads=1, workspace=None):
        """Forward and backward: dict of every result."""
        batch, steps, _ = self.x.shape
        workspace = workspace or Workspace()
        workspace.prepare(self.kernel, batch, steps, self.mask is not None)
        shared = {
            "order": self.order,
            "lengths": self.lengths,
            "resets": self.resets,
            "mask": self.mask,
            "threads": threads,
        }
        y, h = np.full(self.dy.shape, np.nan, self.dtype), np.full(self.h.shape, np.nan, self.dtype)
        c, dh, dc = (None if a is None else a.copy() for a in (self.c, self.dh, self.dc))
        packed = self.kernel.pack_forward(self.weights)
        self.kernel.forward(
            packed, self.x, h, c, y=y, initial_h=self.h, workspace=workspace, **shared
        )
        gradients = {
            name: None if array is None else np.zeros_like(array)
            for name, array in self.weights.items()
        }
        dx = np.full_like(self.x, np.nan)
        with single_threaded_blas():
            self.kernel.backward(
                self.kernel.pack_backward(self.weights),
                self.x,
                self.weights,
                workspace,
                dh,
                dc,
                dy=self.dy,
                gradients=gradients,
                dx=dx,
                **shared,
            )
        results = {
            "y": y,
            "h": h,
            "c": c,
            "dh": dh,
            "dc": dc,
            "dw": gradients["kernel"],
            "du": gradients["recurrent_kernel"],
            "db": gradients["bias"],
            "db_h": gradients["recurrent_bias"],
            "dx": dx,
        }
        return {name: array for name, array in results.items() if array is not None}

    def infer(self, threads=1, with_y=True):
        """Forward alone: (y or None, h, c or None)."""
        y = np.full(self.dy.shape, np.nan, self.dtype) if with_y else None
        h, c = np.full(self.h.shape, np.nan, self.dtype), None if self.c is None else self.c.copy()
        packed = self.kernel.pack_forward(self.weights)
        self.kernel.forward(
            packed,
            self.x,
            h,
            c,
            y=y,
            initial_h=self.h,
            order=self.order,
            lengths=self.lengths,
            resets=self.resets,
            threads=threads,
        )
        return y, h, c


# ---- sums


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1, 1),
        (7, 5, 3, 10),
        (13, 4, 17, 33),
        (2, 9, 1, 70),
        (3, 35, 2, 130),
        (100, 4, 5, 17),
        (2, 3, 520, 10),
        (3, 2, 4, 530),
    ],
    ids=str,
)
def test_a_linear_rnn_is_exact_on_whole_numbers(shape, dtype, rng):
    """No rounding anywhere.

    Every term must be there once, in every tail of rows and units, there and back.
    """
    batch, steps, inputs, units = shape
    p = Problem(rng, "rnn", dtype, *shape, draw=lambda *s: rng.integers(-1, 2, s).astype(dtype))
    p.kernel = build("rnn", dtype, inputs, units, act="linear")
    # a permutation keeps the numbers small over many steps
    p.u = np.eye(units, dtype=dtype)[rng.permutation(units)]
    p.resets = None
    y, h = np.zeros_like(p.dy), p.h
    for t in range(steps):
        y[:, t] = h = p.x[:, t] @ p.w + h @ p.u + p.b
    dz, dh = np.zeros_like(p.dy), p.dh
    for t in reversed(range(steps)):
        dz[:, t] = dh + p.dy[:, t]
        dh = dz[:, t] @ p.u.T
    before = np.concatenate([p.h[:, None], y[:, :-1]], axis=1)
    flat = dz.reshape(-1, units)
    wanted = {
        "y": y,
        "h": y[:, -1],
        "dh": dh,
        "dw": p.x.reshape(-1, inputs).T @ flat,
        "du": before.reshape(-1, units).T @ flat,
        "db": flat.sum(axis=0),
        "dx": dz @ p.w.T,
    }
    for threads in (1, 3):
        results = p.train(threads)
        for name, array in wanted.items():
            np.testing.assert_array_equal(results[name], array, name)


def test_a_long_chain_stays_tight(dtype, tolerance, rng):
    """A linear LSTM with its gates held open adds up its inputs over 1000 steps."""
    steps, units = 1000, 17
    p = Problem(rng, "lstm", dtype, 2, steps, 1, units, draw=lambda *s: np.zeros(s, dtype))
    p.kernel = build("lstm", dtype, 1, units, act="linear", gate="hard_sigmoid")
    p.resets = None
    p.b[: 2 * units] = p.b[3 * units :] = 5  # i, f and o are 1
    p.w[0, 2 * units : 3 * units] = 1
    p.x[:] = rng.integers(-3, 4, p.x.shape)
    p.dy[:] = 1
    results = p.train()
    np.testing.assert_array_equal(results["y"], np.cumsum(p.x, axis=1) * np.ones(units, dtype))
    np.testing.assert_array_equal(results["dx"][0, :, 0], units * np.arange(steps, 0, -1))


# ---- bands of rows


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize(
    "lengths",
    [
        None,
        [0, 0, 0, 0, 0, 0, 0, 0],
        [7, 0, 0, 0, 0, 0, 0, 0],
        [7] * 8,
        [7, 1, 1, 1, 1, 1, 1, 1],
        [3, 0, 7, 5, 1, 1, 6, 2],
    ],
    ids=["full", "all empty", "one row", "all", "one long", "mixed"],
)
def test_bands_do_not_change_a_bit(cell, lengths, dtype, rng):
    p = Problem(rng, cell, dtype, batch=8, lengths=lengths, masked=True)
    one = p.train()
    assert all(np.isfinite(array).all() for array in one.values())
    inferred = p.infer()
    for threads in (2, 3, 4, 5, 7, 8, 9, 40):
        assert_all_same_bits(p.train(threads), one)
        for with_y in (True, False):
            y, h, c = p.infer(threads, with_y)
            assert_same_bits(h, inferred[1])
            assert c is None or not np.isnan(c).any()
            if with_y:
                assert_same_bits(y, inferred[0])
            if c is not None:
                assert_same_bits(c, inferred[2])


# Few rows and many units: threads share a band, and input products are computed some steps ahead.
# Wide weights: they share bands of many rows too. The numbers of rows, steps and units stay clear
# of where the plans change.
SHARED = [
    (1, 20, 3, 130),
    (2, 35, 40, 100),
    (5, 17, 3, 128),
    (13, 5, 3, 200),
    (26, 4, 5, 200),
    (40, 3, 1, 17),
]


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("shape", SHARED, ids=str)
@pytest.mark.parametrize("cell", GATES)
def test_shared_bands_do_not_change_a_bit(cell, shape, ragged, masked, dtype, rng):
    batch, steps, _, _ = shape
    p = Problem(
        rng,
        cell,
        dtype,
        *shape,
        lengths=rng.integers(0, steps + 1, batch) if ragged else None,
        masked=masked,
    )
    one, inferred = p.train(), p.infer()
    assert all(np.isfinite(array).all() for array in one.values())
    for threads in (2, 3, 5, 8):
        assert_all_same_bits(p.train(threads), one)
        for with_y in (True, False):
            for got, wanted in zip(p.infer(threads, with_y), inferred):
                if got is not None:
                    assert_same_bits(got, wanted)


@pytest.mark.parametrize("cell", GATES)
def test_threads_that_meet_often_miss_nothing(cell, dtype, rng):
    """Many more threads than cores, many steps, many times.

    Threads are taken away between and within phases.
    """
    p = Problem(rng, cell, dtype, 2, 60, 3, 130)
    one = p.train()
    for _ in range(10):
        assert_all_same_bits(p.train(7), one)


@pytest.mark.parametrize("cell", GATES)
def test_a_band_is_its_rows(cell, dtype, rng):
    """Rows computed alone and together: the same bits forward, and the same state gradients."""
    p = Problem(rng, cell, dtype, batch=9, lengths=[7, 0, 3, 7, 1, 5, 2, 7, 6])
    whole = p.train()
    lengths = np.empty(9, np.intp)
    lengths[p.order] = p.lengths
    full = {name: getattr(p, name) for name in ("x", "h", "c", "dy", "dh", "dc", "resets")}
    for row in range(9):
        for name, array in full.items():
            setattr(p, name, None if array is None else array[row : row + 1].copy())
        p.order, p.lengths = np.zeros(1, np.intp), lengths[row : row + 1].copy()
        alone = p.train()
        for name in {"y", "h", "c", "dh", "dc"} & whole.keys():
            assert_same_bits(alone[name][0], whole[name][row], name)


@pytest.mark.parametrize("cell", GATES)
def test_training_and_inference_give_the_same_bits(cell, dtype, rng):
    p = Problem(rng, cell, dtype, batch=9, units=37, lengths=[7, 0, 3, 7, 1, 5, 2, 7, 6])
    trained = p.train()
    for with_y in (True, False):
        y, h, c = p.infer(with_y=with_y)
        assert_same_bits(h, trained["h"])
        if with_y:
            assert_same_bits(y, trained["y"])
        if c is not None:
            assert_same_bits(c, trained["c"])


# ---- workspaces


@pytest.mark.parametrize("cell", GATES)
def test_a_workspace_serves_changing_shapes(cell, dtype, rng):
    """Longer, shorter, with and without a mask: what an earlier batch left behind is never read."""
    workspace = Workspace()
    for batch, steps, masked in [
        (5, 7, False),
        (3, 4, False),
        (3, 4, True),
        (5, 7, True),
        (5, 7, True),
        (1, 1, False),
        (5, 7, False),
        (8, 20, True),
    ]:
        lengths = rng.integers(0, steps + 1, batch)
        p = Problem(rng, cell, dtype, batch, steps, lengths=lengths, masked=masked)
        workspace.prepare(p.kernel, batch, steps, masked)
        saved = workspace.saved
        for array in (saved.gates, saved.h_in, saved.h0, saved.c):
            if array is not None:
                array.fill(np.nan)
        fresh = p.train()
        assert all(np.isfinite(array).all() for array in fresh.values())
        assert_all_same_bits(p.train(workspace=workspace), fresh)


@pytest.mark.parametrize("cell", GATES)
def test_a_workspace_is_kept_while_shapes_last(cell, dtype, rng):
    kernel, workspace = build(cell, dtype, 3, 10), Workspace()
    workspace.prepare(kernel, 5, 7, False)
    before = workspace.saved
    arrays = before.gates, before.h_in, before.h0, before.c
    assert all(array is None or array.ctypes.data % 64 == 0 for array in arrays)
    workspace.prepare(kernel, 5, 7, False)
    assert workspace.saved is before
    workspace.prepare(kernel, 5, 7, True)
    assert workspace.saved.h0 is not workspace.saved.h_in
    workspace.prepare(kernel, 5, 8, True)
    assert workspace.saved.gates.shape[1] == 8


# ---- the layers' promise is checked again before a pointer is taken


def wrong_versions(array):
    """As large as the right one or larger, so that a hole in the guard would not crash."""
    other = {"float32": "int32", "float64": "int64", "int64": "float64", "uint8": "int8"}[
        array.dtype.name
    ]
    yield np.zeros(array.shape, other)
    yield np.zeros((*array.shape[:-1], array.shape[-1] + 1), array.dtype)
    yield np.zeros((array.shape[0] + 1, *array.shape[1:]), array.dtype)
    yield np.zeros((*array.shape, 2), array.dtype)[..., 0]
    if array.ndim > 1:
        yield np.zeros(array.shape, array.dtype, order="F")


@pytest.mark.parametrize("cell", GATES)
def test_wrong_arrays_are_refused(cell, dtype, rng):
    p = Problem(rng, cell, dtype, lengths=[7, 0, 3, 7, 1], masked=True)
    batch, steps, _ = p.x.shape
    kernel, workspace = p.kernel, Workspace()
    workspace.prepare(kernel, batch, steps, True)
    shared = {"order": p.order, "lengths": p.lengths, "resets": p.resets, "mask": p.mask}
    forward = {
        "packed": kernel.pack_forward(p.weights),
        "x": p.x,
        "final_h": p.h.copy(),
        "final_c": p.c,
        "y": p.dy.copy(),
        "initial_h": p.h,
        **shared,
    }
    backward = {
        "packed": kernel.pack_backward(p.weights),
        "x": p.x,
        "dh": p.dh,
        "dc": p.dc,
        "dy": p.dy,
        "dx": p.x.copy(),
        **shared,
    }
    gradients = {name: None if a is None else a.copy() for name, a in p.weights.items()}

    def backward_call(weights, gradients, **arguments):
        kernel.backward(workspace=workspace, weights=weights, gradients=gradients, **arguments)

    calls = [
        (p.weights, lambda a: kernel.pack_forward(a)),
        ({"recurrent_kernel": p.u}, lambda a: kernel.pack_backward(a)),
        (forward, lambda a: kernel.forward(workspace=workspace, **a)),
        (backward, lambda a: backward_call(p.weights, gradients, **a)),
        ({"kernel": p.w}, lambda a: backward_call(a, gradients, **backward)),
        (gradients, lambda a: backward_call(p.weights, a, **backward)),
    ]
    for arguments, call in calls:
        for name, right in arguments.items():
            if right is None:
                continue
            for wrong in wrong_versions(right):
                with pytest.raises(AssertionError, match="kernel expects"):
                    call({**arguments, name: wrong})
                    pytest.fail(
                        f"{name} may be {wrong.dtype} {wrong.shape}, strides {wrong.strides}"
                    )
        call(arguments)  # and the right ones are taken


def test_wrong_arrays_of_options_are_refused(dtype):
    def zeros(*shape):
        return np.zeros(shape, dtype)

    options = CellOptions(gates=("i", "g", "o"), peepholes=("i", "o"), projection=3)
    with_options = RecurrentKernel("lstm", dtype, 2, 10, options)
    weights = {
        "kernel": zeros(2, 30),
        "recurrent_kernel": zeros(3, 30),
        "peephole": zeros(2, 10),
        "projection_kernel": zeros(10, 3),
    }
    inner = {name: array for name, array in weights.items() if name != "kernel"}
    normal = RecurrentKernel("lstm", dtype, 2, 10, CellOptions(layer_normalization=True))
    matrices = {"kernel": zeros(2, 40), "recurrent_kernel": zeros(10, 40)}
    gains = {
        "input_gain": zeros(40),
        "recurrent_gain": zeros(40),
        "cell_gain": zeros(10),
        "cell_bias": zeros(10),
    }
    workspace, x, state = Workspace(), zeros(2, 4, 2), zeros(2, 10)
    workspace.prepare(normal, 2, 4, False)
    packs = normal.pack_forward(matrices | gains), normal.pack_backward(matrices | gains)
    normal.forward(packs[0], x, state, state.copy(), workspace=workspace)
    calls = [
        (weights, lambda a: with_options.pack_forward(a)),
        (inner, lambda a: with_options.pack_backward(a)),
        (gains, lambda a: normal.pack_forward(matrices | a)),
        (gains, lambda a: normal.pack_backward(matrices | a)),
        (
            matrices | gains,
            lambda a: normal.backward(
                packs[1], x, matrices, workspace, state, state.copy(), gradients=a
            ),
        ),
    ]
    for arguments, call in calls:
        for name, right in arguments.items():
            for wrong in [*wrong_versions(right), None]:
                with pytest.raises(AssertionError, match="kernel expects"):
                    call({**arguments, name: wrong})
                    pytest.fail(f"{name} is taken as {wrong}")
        call(arguments)


@pytest.mark.parametrize("name", ["x", "h", "w", "u", "b"])
def test_arrays_of_the_other_byte_order_are_refused(name, dtype, rng):
    p = Problem(rng, "lstm", dtype)
    array = getattr(p, name)
    setattr(p, name, array.astype(array.dtype.newbyteorder()))
    with pytest.raises(AssertionError, match="kernel expects"):
        p.infer()


def test_a_workspace_of_another_shape_is_refused(dtype, rng):
    for cell in GATES:
        p = Problem(rng, cell, dtype)
        for batch, steps, inputs, units in [(5, 6, 3, 10), (4, 7, 3, 10), (5, 7, 3, 11)]:
            workspace = Workspace()
            workspace.prepare(build(cell, dtype, inputs, units), batch, steps, False)
            with pytest.raises(AssertionError, match="kernel expects"):
                p.kernel.forward(
                    p.kernel.pack_forward(p.weights),
                    p.x,
                    p.h.copy(),
                    p.c,
                    workspace=workspace,
                )


def test_an_array_that_is_needed_may_not_be_none():
    """In a child process each: what is not refused ends it."""
    output = run_python("""
        import os, sys
        from functools import partial
        import numpy as np
        from gatewise.kernels import activations, arrays, dense, optimizers
        from gatewise.kernels._workspace import Workspace
        from gatewise.kernels.recurrent import RecurrentKernel

        tanh = activations.code("tanh")
        kernel = RecurrentKernel("lstm", "float64", 3, 10)
        w, u, b, x = np.zeros((3, 40)), np.zeros((10, 40)), np.zeros(40), np.zeros((2, 4, 3))
        h, c = np.zeros((2, 10)), np.zeros((2, 10))
        weights = {"kernel": w, "recurrent_kernel": u, "bias": b}
        packed, back = kernel.pack_forward(weights), kernel.pack_backward(weights)
        workspace = Workspace()
        workspace.prepare(kernel, 2, 4, False)
        forward = dict(packed=packed, x=x, final_h=h, final_c=c)
        backward = dict(packed=back, x=x, weights=weights, workspace=workspace)
        backward |= dict(dh=h, dc=c, gradients=weights)

        def run(**changed):
            return kernel.forward(**forward | changed)

        def run_backward(**changed):
            return kernel.backward(**backward | changed)

        def run_adam(v):
            rates = (0.1, 0.0, 0.9, 0.9, 1e-7)
            return optimizers.adam(flat, flat.copy(), flat.copy(), v, None, *rates)

        flat, of_gru = np.zeros(64), Workspace()
        of_gru.prepare(RecurrentKernel("gru", "float64", 3, 10), 2, 4, False)
        calls = {
            "forward unprepared workspace": lambda: run(workspace=Workspace()),
            "forward workspace of a GRU": lambda: run(workspace=of_gru),
            **{f"forward {n}": partial(run, **{n: None}) for n in forward},
            **{f"backward {n}": partial(run_backward, **{n: None}) for n in backward},
            "pack_forward kernel": lambda: kernel.pack_forward(weights | {"kernel": None}),
            "pack_forward recurrent_kernel": lambda: kernel.pack_forward({"kernel": w}),
            "pack_forward": lambda: kernel.pack_forward(None),
            "pack_backward": lambda: kernel.pack_backward({}),
            "backward kernel": lambda: run_backward(weights={}),
            "backward d_kernel": lambda: run_backward(gradients={}),
            "activate y": lambda: arrays.activate(flat, None, tanh),
            "softmax y": lambda: arrays.softmax(flat.reshape(8, 8), None),
            "dense.forward packed": lambda: dense.forward(x[0], None, np.zeros((4, 5)), tanh),
            "dense.backward d_w": lambda: dense.backward(x[0], w, np.zeros((4, 40)), None),
            "sgd g": lambda: optimizers.sgd(flat, None, None, 0.1, 0.9, False),
            "average mean": lambda: optimizers.average(flat, None, 0.9),
            "accumulate total": lambda: optimizers.accumulate(None, flat),
            "adam v": lambda: run_adam(None),
        }
        for name, call in calls.items():
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    call()
                except Exception:
                    status = 0
                finally:
                    os._exit(status)
            status = os.waitpid(child, 0)[1]
            if status:
                print(name, "dies by signal" if os.WIFSIGNALED(status) else "is accepted", end="; ")
    """)
    assert not output, output
