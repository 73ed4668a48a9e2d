"""The recurrent kernels, called as the layers call them: exact sums, bands of rows, workspaces, guards."""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_same_bits, run_python

from gatewise.kernels import activations
from gatewise.kernels.recurrent import RecurrentKernel, Workspace
from gatewise.threads import single_threaded_blas

GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru_before": 3}


def build(cell, dtype, inputs, units, act="tanh", gate="sigmoid"):
    act, gate = activations.code(act), activations.code(gate)
    return RecurrentKernel(
        cell.split("_")[0], dtype, inputs, units, act, gate, act, reset_after="_" not in cell
    )


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
        packed = self.kernel.pack_forward(self.w, self.u, self.b, self.b_h)
        self.kernel.forward(
            packed, self.x, h, c, y=y, initial_h=self.h, workspace=workspace, **shared
        )
        d_w, d_u, d_b = np.zeros_like(self.w), np.zeros_like(self.u), np.zeros_like(self.b)
        d_b_h = None if self.b_h is None else np.zeros_like(self.b_h)
        dx = np.full_like(self.x, np.nan)
        with single_threaded_blas():
            self.kernel.backward(
                self.kernel.pack_backward(self.u),
                self.x,
                self.w,
                workspace,
                dh,
                dc,
                dy=self.dy,
                d_kernel=d_w,
                d_recurrent_kernel=d_u,
                d_bias=d_b,
                d_recurrent_bias=d_b_h,
                dx=dx,
                **shared,
            )
        results = {
            "y": y,
            "h": h,
            "c": c,
            "dh": dh,
            "dc": dc,
            "dw": d_w,
            "du": d_u,
            "db": d_b,
            "db_h": d_b_h,
            "dx": dx,
        }
        return {name: array for name, array in results.items() if array is not None}

    def infer(self, threads=1, with_y=True):
        """Forward alone: (y or None, h, c or None)."""
        y = np.full(self.dy.shape, np.nan, self.dtype) if with_y else None
        h, c = np.full(self.h.shape, np.nan, self.dtype), None if self.c is None else self.c.copy()
        packed = self.kernel.pack_forward(self.w, self.u, self.b, self.b_h)
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
    """No rounding anywhere: every term must be there once, in every tail of rows and units, there and back."""
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
    """Many more threads than cores, many steps, many times: threads are taken away between and within phases."""
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
        for array in (workspace.gates, workspace.h_in, workspace.h0, workspace.c):
            if array is not None:
                array.fill(np.nan)
        fresh = p.train()
        assert all(np.isfinite(array).all() for array in fresh.values())
        assert_all_same_bits(p.train(workspace=workspace), fresh)


@pytest.mark.parametrize("cell", GATES)
def test_a_workspace_is_kept_while_shapes_last(cell, dtype, rng):
    kernel, workspace = build(cell, dtype, 3, 10), Workspace()
    workspace.prepare(kernel, 5, 7, False)
    before = workspace.gates, workspace.h_in, workspace.h0, workspace.c
    assert all(array is None or array.ctypes.data % 64 == 0 for array in before)
    workspace.prepare(kernel, 5, 7, False)
    assert all(
        a is b for a, b in zip(before, (workspace.gates, workspace.h_in, workspace.h0, workspace.c))
    )
    workspace.prepare(kernel, 5, 7, True)
    assert workspace.h0 is not workspace.h_in
    workspace.prepare(kernel, 5, 8, True)
    assert workspace.gates.shape[1] == 8


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
    packs = {"w_x": p.w, "w_h": p.u, "b": p.b, "b_h": p.b_h}
    forward = {
        "packed": kernel.pack_forward(p.w, p.u, p.b, p.b_h),
        "x": p.x,
        "final_h": p.h.copy(),
        "final_c": p.c,
        "y": p.dy.copy(),
        "initial_h": p.h,
        **shared,
    }
    backward = {
        "packed": kernel.pack_backward(p.u),
        "x": p.x,
        "kernel": p.w,
        "dh": p.dh,
        "dc": p.dc,
        "dy": p.dy,
        "d_kernel": p.w.copy(),
        "d_recurrent_kernel": p.u.copy(),
        "d_bias": p.b.copy(),
        "d_recurrent_bias": p.b_h,
        "dx": p.x.copy(),
        **shared,
    }
    calls = [
        (packs, lambda a: kernel.pack_forward(*a.values())),
        ({"w_h": p.u}, lambda a: kernel.pack_backward(*a.values())),
        (forward, lambda a: kernel.forward(workspace=workspace, **a)),
        (backward, lambda a: kernel.backward(workspace=workspace, **a)),
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
    tanh, zeros = activations.code("tanh"), lambda *shape: np.zeros(shape, dtype)
    rich = RecurrentKernel(
        "lstm",
        dtype,
        2,
        10,
        tanh,
        tanh,
        tanh,
        gates=("i", "g", "o"),
        peepholes=("i", "o"),
        projection=3,
    )
    plain = {
        "kernel": zeros(2, 30),
        "recurrent_kernel": zeros(3, 30),
        "peephole": zeros(2, 10),
        "projection_kernel": zeros(10, 3),
    }
    normal = RecurrentKernel("lstm", dtype, 2, 10, tanh, tanh, tanh, normalized=True)
    gains = {
        "input_gain": zeros(40),
        "recurrent_gain": zeros(40),
        "cell_gain": zeros(10),
        "cell_bias": zeros(10),
    }
    workspace, x, state = Workspace(), zeros(2, 4, 2), zeros(2, 10)
    workspace.prepare(normal, 2, 4, False)
    packs = (
        normal.pack_forward(zeros(2, 40), zeros(10, 40), **gains),
        normal.pack_backward(zeros(10, 40), **gains),
    )
    d = {
        "d_kernel": zeros(2, 40),
        "d_recurrent_kernel": zeros(10, 40),
        **{f"d_{name}": array for name, array in gains.items()},
    }
    normal.forward(packs[0], x, state, state.copy(), workspace=workspace)
    calls = [
        (plain, lambda a: rich.pack_forward(**a)),
        ({n: a for n, a in plain.items() if n != "kernel"}, lambda a: rich.pack_backward(**a)),
        (gains, lambda a: normal.pack_forward(zeros(2, 40), zeros(10, 40), **a)),
        (gains, lambda a: normal.pack_backward(zeros(10, 40), **a)),
        (
            d,
            lambda a: normal.backward(
                packs[1], x, zeros(2, 40), workspace, state, state.copy(), **a
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
                    p.kernel.pack_forward(p.w, p.u, p.b, p.b_h),
                    p.x,
                    p.h.copy(),
                    p.c,
                    workspace=workspace,
                )


def test_an_array_that_is_needed_may_not_be_none():
    """In a child process each: what is not refused ends it."""
    output = run_python("""
        import os, sys
        import numpy as np
        from gatewise.kernels import activations, arrays, dense, optimizers
        from gatewise.kernels.recurrent import RecurrentKernel, Workspace

        tanh = activations.code("tanh")
        kernel = RecurrentKernel("lstm", "float64", 3, 10, tanh, tanh, tanh)
        w, u, b, x = np.zeros((3, 40)), np.zeros((10, 40)), np.zeros(40), np.zeros((2, 4, 3))
        h, c = np.zeros((2, 10)), np.zeros((2, 10))
        packed, back, workspace = kernel.pack_forward(w, u, b), kernel.pack_backward(u), Workspace()
        workspace.prepare(kernel, 2, 4, False)
        forward = dict(packed=packed, x=x, final_h=h, final_c=c)
        backward = dict(packed=back, x=x, kernel=w, workspace=workspace, dh=h, dc=c, d_kernel=w, d_recurrent_kernel=u)
        flat, of_gru = np.zeros(64), Workspace()
        of_gru.prepare(RecurrentKernel("gru", "float64", 3, 10, tanh, tanh, tanh, True), 2, 4, False)
        calls = {
            "forward unprepared workspace": lambda: kernel.forward(**forward, workspace=Workspace()),
            "forward workspace of a GRU": lambda: kernel.forward(**forward, workspace=of_gru),
            **{f"forward {n}": lambda n=n: kernel.forward(**{**forward, n: None}) for n in forward},
            **{f"backward {n}": lambda n=n: kernel.backward(**{**backward, n: None}) for n in backward},
            "pack_forward w_x": lambda: kernel.pack_forward(None, u, b),
            "pack_forward w_h": lambda: kernel.pack_forward(w, None, b),
            "pack_backward w_h": lambda: kernel.pack_backward(None),
            "activate y": lambda: arrays.activate(flat, None, tanh),
            "softmax y": lambda: arrays.softmax(flat.reshape(8, 8), None),
            "dense.forward packed": lambda: dense.forward(x[0], None, np.zeros((4, 5)), tanh),
            "dense.backward d_w": lambda: dense.backward(x[0], w, np.zeros((4, 40)), None),
            "sgd g": lambda: optimizers.sgd(flat, None, None, 0.1, 0.9, False),
            "average mean": lambda: optimizers.average(flat, None, 0.9),
            "accumulate total": lambda: optimizers.accumulate(None, flat),
            "adam v": lambda: optimizers.adam(flat, flat.copy(), flat.copy(), None, None, 0.1, 0.0, 0.9, 0.9, 1e-7),
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
