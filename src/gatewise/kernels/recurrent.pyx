"""Recurrent cells over whole sequences: forward, and backward through time.

The algorithm is here; the arithmetic of one step is in rnn.h, lstm.h and gru.h, its options in options.h. Rows of the batch are
split into bands, each band runs all its time steps, and bands never wait for each other::

    forward   for each band: for t = 0 .. T-1:  tiles of [x_t, h'] W -> cell -> h
    backward  for each band: for t = T-1 .. 0:  cell backwards -> dz;  dh' = dz U^T
              then dW = x^T dz, dU = h'^T dz, db = sum dz, dx = dz W^T             (_products.pyx)

A band is one thread's, unless it has so few rows that the weights' way from memory is what takes the
time: then several threads share it, each with a range of units, and meet after every phase (meeting.h).
:func:`choose_plan` (_plan.pyx) decides, and decides too whether x W is computed a block of steps ahead.

Rows are visited by falling length, so that those still running at step t are the first ones. A number
is one chain of sums whichever band, range or block it is computed in: any number of threads gives the
same bits.
"""
from cython cimport floating
from cython.parallel cimport parallel, prange
from libc.string cimport memcpy, memset
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._plan cimport PIECE, PROJECTED_STEPS, bands, choose_plan
from gatewise.kernels._products cimport make_piece, multiply
from gatewise.kernels._table cimport gw_activation, gw_family, gw_piece, gw_row, gw_weights, table32, table64
from gatewise.kernels._memory import aligned_empty

cnp.import_array()

cdef extern from "subnormal.h" nogil:
    ctypedef int gw_float_mode
    gw_float_mode gw_flush_subnormals()
    void gw_restore_float_mode(gw_float_mode)

cdef extern from "sequence.h" nogil:
    cdef cppclass gw_sequence[R]:
        gw_int batch, steps, inputs, units, width, saved, sums_width
        const gw_int *order
        const gw_int *lengths
        const unsigned char *resets
        const R *zeros
        const R *x
        R *z
        gw_int z_steps, z_width
        const R *initial_h
        const R *mask
        R *y
        R *final_h
        R *final_c
        R *scratch_h
        R *scratch_gates
        R *m
        R *v
        R *u
        R *scales
        R *gates
        R *h_in
        R *h0
        R *c
        const R *dy
        R *dm
        R *sums
        R *dh
        R *dc

    cdef cppclass gw_counter:
        pass
    bint gw_claim(gw_counter *, int part, gw_int phase)
    void gw_part_done(gw_counter *)
    bint gw_phase_done(gw_counter *, int parts, gw_int phase)
    bint gw_waited_long(int *spins)
    int omp_get_num_threads()
    int omp_get_thread_num()
    gw_int gw_processor()
    void gw_move_from(gw_int processor)

    cdef cppclass gw_band[R]:
        const gw_family[R] *family
        const gw_cell[R] *cell
        const gw_sequence[R] *s
        gw_row[R] *rows
        gw_int begin, end, n
        int part, parts
        gw_counter *counters
        gw_int phase

cdef class RecurrentKernel:
    """One cell for one dtype and size: packs weights, runs sequences forward and backward.

    Parameters
    ----------
    family : "rnn", "lstm" or "gru"
    dtype : numpy.dtype, float32 or float64
    inputs, units : int
    act, gate, out : (kind, alpha, beta)
        Activation of the candidate, of the gates, of the cell's output (LSTM); see activations.py.
    reset_after, chung : bool
        The GRU's forms.
    gates : tuple of str
        LSTM: the blocks of its weights, those of "i f g o" that there are.
    coupled : bool
        LSTM: f = 1 - i. Otherwise a gate that is not among `gates` is 1.
    peepholes : tuple of str
        LSTM: gates that see the cell, those of "i f o" that there are; or none.
    clip, cell_clip : float
        Sums, and the LSTM's c, within [-clip, clip]; 0: as they are.
    projection : int, optional
        LSTM: units of h, fewer than those of c.
    zoneout : (float, float)
        Rates of h and c.
    normalized : bool
        With layer normalisation (normalized.h), and no other option; a GRU with reset_after.

    Attributes
    ----------
    inner : frozenset of str
        Parameters that both passes pack.
    """

    def __cinit__(self, str family, dtype, Py_ssize_t inputs, Py_ssize_t units, act, gate, out,
                  bint reset_after=False, bint chung=False, tuple gates=("i", "f", "g", "o"), bint coupled=False,
                  tuple peepholes=(), double clip=0, double cell_clip=0, projection=None, tuple zoneout=(0.0, 0.0), bint normalized=False):
        self.family, self.dtype, self.inputs, self.units = family, np.dtype(dtype), inputs, units
        self.width = units if projection is None else projection
        self.x_gates = {"rnn": 1, "gru": 3, "lstm": len(gates)}[family]
        self.saved = 4 if family == "gru" and not normalized else self.x_gates
        self.zoned, self.normalized = zoneout != (0.0, 0.0), normalized
        self.arguments = (family, self.dtype, inputs, units, act, gate, out, reset_after, chung, gates, coupled, peepholes,
                          clip, cell_clip, projection, zoneout, normalized)
        self.inner = frozenset(("recurrent_kernel", "peephole", "projection_kernel"))
        if normalized:
            self.inner = frozenset(("recurrent_kernel", *VECTORS[family])) - {"bias"}
        self.zeros = np.zeros(units, self.dtype)
        fill_cell(&self.cell32, self)
        fill_cell(&self.cell64, self)

    def __reduce__(self):
        return RecurrentKernel, self.arguments

    def workspace(self):
        """What a training pass keeps."""
        return Workspace()

    def pack_forward(self, kernel, recurrent_kernel, bias=None, recurrent_bias=None, peephole=None, projection_kernel=None,
                     input_gain=None, recurrent_gain=None, cell_gain=None, cell_bias=None):
        """Weights as the forward pass reads them: 64-byte-aligned ndarray. None: there is no such parameter."""
        others = {"bias": bias, "recurrent_bias": recurrent_bias, "peephole": peephole, "projection_kernel": projection_kernel,
                  "input_gain": input_gain, "recurrent_gain": recurrent_gain, "cell_gain": cell_gain, "cell_bias": cell_bias}
        if self.dtype == np.float32:
            return pack_forward(self, family32(self), &self.cell32, kernel, recurrent_kernel, others)
        return pack_forward(self, family64(self), &self.cell64, kernel, recurrent_kernel, others)

    def pack_backward(self, recurrent_kernel, peephole=None, projection_kernel=None, recurrent_bias=None, input_gain=None,
                      recurrent_gain=None, cell_gain=None, cell_bias=None):
        """Weights as the backward pass reads them: those of `inner`, the recurrent kernel transposed, in panels."""
        others = {"peephole": peephole, "projection_kernel": projection_kernel, "recurrent_bias": recurrent_bias,
                  "input_gain": input_gain, "recurrent_gain": recurrent_gain, "cell_gain": cell_gain, "cell_bias": cell_bias}
        if self.dtype == np.float32:
            return pack_backward(self, family32(self), &self.cell32, recurrent_kernel, others)
        return pack_backward(self, family64(self), &self.cell64, recurrent_kernel, others)

    def forward(self, packed, x, final_h, final_c=None, *, order=None, lengths=None, resets=None, initial_h=None,
                mask=None, zoneout_key=None, y=None, Workspace workspace=None, int threads=1):
        """Run every row's steps.

        Parameters
        ----------
        packed : from pack_forward
        x : ndarray (B, T, I)
        final_h : ndarray (B, H)
            Written: each row's state after its last step.
        final_c : ndarray (B, H), LSTM only
            Read: the initial c. Written: the final one.
        order, lengths : intp ndarray (B,), optional
            Rows by falling length, and the lengths in that order.
        resets : uint8 ndarray (B, T), optional
            Nonzero: the state is zero before this step.
        initial_h : ndarray (B, H), optional
            None: zeros.
        mask : ndarray (B, H), optional
            Multipliers of h' in the recurrent product. Needs a workspace.
        zoneout_key : int, optional
            Below 2**32: of zoneout's draws. None: their expectation, for inference.
        y : ndarray (B, T, H), optional
            Written: every h, zeros past a row's end.
        workspace : Workspace, optional
            Written: what backward needs. None: inference.
        threads : int
        """
        if self.dtype == np.float32:
            forward(self, family32(self), &self.cell32, packed, x, final_h, final_c, order, lengths, resets,
                    initial_h, mask, zoneout_key, y, workspace, threads)
        else:
            forward(self, family64(self), &self.cell64, packed, x, final_h, final_c, order, lengths, resets,
                    initial_h, mask, zoneout_key, y, workspace, threads)

    def backward(self, packed, x, kernel, Workspace workspace, dh, dc=None, *, order=None, lengths=None, resets=None,
                 mask=None, zoneout_key=None, dy=None, d_kernel, d_recurrent_kernel, d_bias=None, d_recurrent_bias=None,
                 d_peephole=None, d_projection_kernel=None, d_input_gain=None, d_recurrent_gain=None, d_cell_gain=None,
                 d_cell_bias=None, dx=None, int threads=1):
        """Go back over the sequences of the last forward call with this workspace, which is used up.

        Parameters
        ----------
        packed : from pack_backward
        x, order, lengths, resets, mask, zoneout_key
            As given to forward.
        kernel : ndarray (I, gates*H)
        dh, dc : ndarray (B, H)
            Read: gradients of the final state. Written: of the initial state.
        dy : ndarray (B, T, H), optional
            Gradient of y.
        d_kernel, d_recurrent_kernel, d_bias and the like : ndarray
            Gradients are ADDED to these; None: not wanted (biases), or there is no such parameter.
        dx : ndarray (B, T, I), optional
            Written; None: not wanted.
        """
        gradients = {"kernel": d_kernel, "recurrent_kernel": d_recurrent_kernel, "bias": d_bias,
                     "recurrent_bias": d_recurrent_bias, "peephole": d_peephole, "projection_kernel": d_projection_kernel,
                     "input_gain": d_input_gain, "recurrent_gain": d_recurrent_gain, "cell_gain": d_cell_gain,
                     "cell_bias": d_cell_bias}
        if self.dtype == np.float32:
            backward(self, family32(self), &self.cell32, packed, x, kernel, workspace, dh, dc, order, lengths, resets,
                     mask, zoneout_key, dy, dx, gradients, threads)
        else:
            backward(self, family64(self), &self.cell64, packed, x, kernel, workspace, dh, dc, order, lengths, resets,
                     mask, zoneout_key, dy, dx, gradients, threads)


cdef class Workspace:
    """What a training pass keeps for the backward pass: allocated once, reused while shapes last."""

    def __reduce__(self):  # scratch: a copy starts empty
        return Workspace, ()

    def prepare(self, RecurrentKernel kernel, Py_ssize_t batch, Py_ssize_t steps, bint masked):
        """Make room for (batch, steps); contents are undefined afterwards."""
        shape = (batch, steps, kernel.saved * kernel.units)
        width = kernel.width
        fits = self.gates is not None and self.gates.shape == shape and self.gates.dtype == kernel.dtype
        if not (fits and self.has_mask == masked and self.h_in.shape[2] == width):
            self.gates = aligned_empty(shape, kernel.dtype)
            self.h_in = aligned_empty((batch, steps, width), kernel.dtype)
            self.h0 = aligned_empty((batch, steps, width), kernel.dtype) if masked else self.h_in
            self.c = aligned_empty((batch, steps + 1, kernel.units), kernel.dtype) if kernel.family == "lstm" else None
            projects = width != kernel.units
            self.m = aligned_empty((batch, steps, kernel.units), kernel.dtype) if projects else None
            self.dm = aligned_empty((batch, steps, width), kernel.dtype) if projects else None
            self.v = aligned_empty(shape, kernel.dtype) if kernel.normalized else None
            self.u = aligned_empty(shape, kernel.dtype) if kernel.normalized else None
            self.scales = aligned_empty((batch, steps, 4), kernel.dtype) if kernel.normalized else None
            self.has_mask = masked


cdef int fill_cell(gw_cell[floating] *cell, RecurrentKernel k) except -1:
    """The cell's description from the kernel's arguments; the weights come with each call."""
    (_, _, inputs, units, act, gate, out, reset_after, chung, gates, coupled, peepholes, clip, cell_clip, projection,
     zoneout, _) = k.arguments
    cell.inputs, cell.units, cell.width, cell.x_done = inputs, units, k.width, 0
    cell.weights = NULL
    cell.reset_after, cell.chung = reset_after, chung
    cell.act.kind, cell.act.alpha, cell.act.beta = act
    cell.gate.kind, cell.gate.alpha, cell.gate.beta = gate
    cell.out.kind, cell.out.alpha, cell.out.beta = out
    cell.gates, cell.coupled, cell.peepholes = len(gates), coupled, len(peepholes)
    cell.at_i, cell.at_f, cell.at_g, cell.at_o = places_in(gates, "ifgo")
    cell.peephole_i, cell.peephole_f, cell.peephole_o = places_in(peepholes, "ifo")
    cell.clip, cell.cell_clip = clip, cell_clip
    ends_of(&cell.gate, cell.clip, cell.gate_ends)
    ends_of(&cell.act, cell.clip, cell.act_ends)
    cell.zoneout_h, cell.zoneout_c = zoneout
    cell.zoneout_drawn = cell.zoneout_key = 0
    cell.rich = k.zoned or clip > 0 or cell_clip > 0 or cell.gates != 4 or cell.peepholes > 0 or projection is not None
    return 0


cdef list places_in(tuple blocks, names):
    """Where each name stands among the blocks; -1 where it does not."""
    return [blocks.index(name) if name in blocks else -1 for name in names]


cdef void ends_of(const gw_activation[floating] *f, floating clip, floating *ends) noexcept:
    cdef floating x[2]
    x[0], x[1] = -clip, clip
    if floating is float:
        table32().activate(f, x, ends, 2)
    else:
        table64().activate(f, x, ends, 2)


cdef const gw_family[float] *family32(RecurrentKernel k) noexcept:
    if k.family == "lstm":
        return &table32().normalized_lstm if k.normalized else &table32().lstm
    if k.family == "gru":
        return &table32().normalized_gru if k.normalized else &table32().gru
    return &table32().normalized_rnn if k.normalized else &table32().rnn


cdef const gw_family[double] *family64(RecurrentKernel k) noexcept:
    if k.family == "lstm":
        return &table64().normalized_lstm if k.normalized else &table64().lstm
    if k.family == "gru":
        return &table64().normalized_gru if k.normalized else &table64().gru
    return &table64().normalized_rnn if k.normalized else &table64().rnn


# Biases and gains of a normalized cell in the order of normalized.h, and how many times `units` numbers each has.
VECTORS = {
    "rnn": {"bias": 1, "input_gain": 1, "recurrent_gain": 1},
    "lstm": {"bias": 4, "input_gain": 4, "recurrent_gain": 4, "cell_gain": 1, "cell_bias": 1},
    "gru": {"bias": 3, "input_gain": 3, "recurrent_gain": 3, "recurrent_bias": 3},
}


cdef object pack_forward(RecurrentKernel k, const gw_family[floating] *family, const gw_cell[floating] *cell, kernel,
                         recurrent_kernel, dict others):
    cdef int R = number_of(<floating *>NULL)
    cdef Py_ssize_t columns = k.x_gates * k.units
    cdef gw_weights[floating] w
    packed = aligned_empty((family.forward_size(cell),), k.dtype)
    w.w_x = <const floating *>needed_pointer(kernel, R, 2, k.inputs, columns)
    w.b = <const floating *>pointer_to(others.get("bias"), R, 1, columns)
    w.b_h = <const floating *>pointer_to(others.get("recurrent_bias"), R, 1, columns)
    held = inner_weights(&w, k, cell, recurrent_kernel, others)
    family.pack_forward(cell, &w, <floating *>cnp.PyArray_DATA(packed))
    return packed


cdef object pack_backward(RecurrentKernel k, const gw_family[floating] *family, const gw_cell[floating] *cell,
                          recurrent_kernel, dict others):
    cdef gw_weights[floating] w
    packed = aligned_empty((family.backward_size(cell),), k.dtype)
    w.w_x = w.b = w.b_h = NULL
    held = inner_weights(&w, k, cell, recurrent_kernel, others)
    family.pack_backward(cell, &w, <floating *>cnp.PyArray_DATA(packed))
    return packed


cdef object inner_weights(gw_weights[floating] *w, RecurrentKernel k, const gw_cell[floating] *cell, recurrent_kernel,
                          dict others):
    """The weights that both passes read. What is returned must live as long as they are read."""
    cdef int R = number_of(<floating *>NULL)
    w.w_h = <const floating *>needed_pointer(recurrent_kernel, R, 2, k.width, k.x_gates * k.units)
    w.peephole = w.projection = w.vectors = NULL
    if cell.peepholes:
        w.peephole = <const floating *>needed_pointer(others.get("peephole"), R, 2, cell.peepholes, k.units)
    if k.width != k.units:
        w.projection = <const floating *>needed_pointer(others.get("projection_kernel"), R, 2, k.units, k.width)
    if not k.normalized:
        return None
    joined = np.concatenate([np.zeros(blocks * k.units, k.dtype) if vector is None else vector
                             for blocks, vector in zip(VECTORS[k.family].values(), vectors_of(k, others))])
    if k.family == "gru":
        joined[:2 * k.units] += joined[9 * k.units:11 * k.units]
    w.vectors = <const floating *>needed_pointer(joined, R, 1, blocks_of(k) * k.units)
    return joined


cdef list vectors_of(RecurrentKernel k, dict named):
    """The arrays of VECTORS, each checked; None for a bias that there is not."""
    cdef int R = cnp.NPY_FLOAT32 if k.dtype == np.float32 else cnp.NPY_FLOAT64
    vectors = [named.get(name) for name in VECTORS[k.family]]
    for (name, blocks), vector in zip(VECTORS[k.family].items(), vectors):
        if vector is not None or name not in ("bias", "recurrent_bias"):
            needed_pointer(vector, R, 1, blocks * k.units)
    return vectors


cdef Py_ssize_t blocks_of(RecurrentKernel k):
    return sum(VECTORS[k.family].values())


cdef int add_to_vectors(RecurrentKernel k, list vectors, total) except -1:
    """Gradients as normalized.h has them, to those of the parameters."""
    cdef Py_ssize_t at = 0, H = k.units
    if k.family == "gru":  # both biases are added to the sums of z and r
        total[9 * H:11 * H] = total[:2 * H]
    for blocks, vector in zip(VECTORS[k.family].values(), vectors):
        if vector is not None:
            vector += total[at:at + blocks * H]
        at += blocks * H
    return 0


# ---- where a row's arrays are at step t

cdef inline void place(const gw_sequence[floating] *s, gw_row[floating] *row, Py_ssize_t b, Py_ssize_t t,
                       bint last) noexcept nogil:
    cdef Py_ssize_t at = b * s.steps + t, H = s.units, P = s.width
    row.c0 = row.c1 = NULL
    row.at = at
    row.x = s.x + at * s.inputs
    row.z = s.z + (b * s.z_steps + t % s.z_steps) * s.z_width if s.z != NULL else NULL
    row.y = s.y + at * P if s.y != NULL else NULL
    row.mask = s.mask + b * P if s.mask != NULL else NULL
    row.soon = NULL
    if s.u != NULL:  # layer normalisation: m is scratch of a row
        row.m = s.m + b * 2 * H
        row.v = s.v + at * s.saved * H if s.v != NULL else row.z
        row.u = s.u + (at if s.gates != NULL else b) * s.saved * H
        row.scale = s.scales + at * 4 if s.scales != NULL else NULL
    elif s.m != NULL:
        row.m = s.m + (at if s.gates != NULL else b) * H
    if s.gates != NULL:
        row.gates = s.gates + at * s.saved * H
        row.h_in, row.h0 = s.h_in + at * P, s.h0 + at * P
        row.h1 = s.final_h + b * P if last else s.h0 + (at + 1) * P
        row.h_next = s.h_in + (at + 1) * P if s.mask != NULL and not last else NULL
        if s.c != NULL:
            row.c0, row.c1 = s.c + (b * (s.steps + 1) + t) * H, s.c + (b * (s.steps + 1) + t + 1) * H
    else:
        row.gates = s.scratch_gates + b * s.saved * H if s.scratch_gates != NULL else NULL
        if t == 0:
            row.h0 = s.initial_h + b * P if s.initial_h != NULL else s.zeros
        elif s.y != NULL:
            row.h0 = s.y + (at - 1) * P
        else:
            row.h0 = s.scratch_h + (((t - 1) & 1) * s.batch + b) * P
        row.h_in = row.h0
        row.h_next = NULL
        row.h1 = s.final_h + b * P if last or s.y != NULL else s.scratch_h + ((t & 1) * s.batch + b) * P
        if s.final_c != NULL:
            row.c0 = row.c1 = s.final_c + b * H
    if s.resets != NULL and s.resets[at]:
        row.h_in = row.h0 = row.c0 = s.zeros


cdef inline void place_backward(const gw_sequence[floating] *s, gw_row[floating] *row, Py_ssize_t b,
                                Py_ssize_t t) noexcept nogil:
    place(s, row, b, t, False)
    row.dy = s.dy + row.at * s.width if s.dy != NULL else NULL
    row.dh = s.dh + b * s.width
    row.dm = s.dm + row.at * s.width if s.dm != NULL else NULL
    row.sums = s.sums + b * s.sums_width if s.sums != NULL else NULL
    row.dc = s.dc + b * s.units if s.dc != NULL else NULL
    row.soon = row.gates - s.saved * s.units if t > 0 else NULL


cdef inline Py_ssize_t row_of(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    return s.order[i] if s.order != NULL else i


cdef inline Py_ssize_t length_of(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    return s.lengths[i] if s.lengths != NULL else s.steps


# ---- the two loops over time

cdef void start_row(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    """Initial state into slot 0; zeros into all that lies past the row's end."""
    cdef Py_ssize_t b = row_of(s, i), n = length_of(s, i), T = s.steps, H = s.units, P = s.width, j, at = b * T
    cdef Py_ssize_t size = H * sizeof(floating), size_h = P * sizeof(floating)
    cdef const floating *h = s.initial_h + b * P if s.initial_h != NULL else s.zeros
    if s.y != NULL:
        memset(s.y + (at + n) * P, 0, (T - n) * size_h)
    if n == 0:
        memcpy(s.final_h + b * P, h, size_h)
    if s.gates != NULL:
        memset(s.gates + (at + n) * s.saved * H, 0, (T - n) * s.saved * size)
        memset(s.h_in + (at + n) * P, 0, (T - n) * size_h)
        if s.u != NULL:
            memset(s.v + (at + n) * s.saved * H, 0, (T - n) * s.saved * size)
            memset(s.u + (at + n) * s.saved * H, 0, (T - n) * s.saved * size)
        elif s.m != NULL:
            memset(s.m + (at + n) * H, 0, (T - n) * size)
            memset(s.dm + (at + n) * P, 0, (T - n) * size_h)
        if n > 0:
            memcpy(s.h0 + at * P, h, size_h)
            if s.mask != NULL:
                for j in range(P):
                    s.h_in[at * P + j] = h[j] * s.mask[b * P + j]
        if s.c != NULL:
            memcpy(s.c + b * (T + 1) * H, s.final_c + b * H, size)


cdef void finish_row(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    """The final c out of the workspace."""
    cdef Py_ssize_t b = row_of(s, i), H = s.units
    memcpy(s.final_c + b * H, s.c + (b * (s.steps + 1) + length_of(s, i)) * H, H * sizeof(floating))


cdef void clear_resets(const gw_band[floating] *band, Py_ssize_t t) noexcept nogil:
    """h_in is zero where the state was cleared: the recurrent weight gradient reads it."""
    cdef const gw_sequence[floating] *s = band.s
    cdef Py_ssize_t i, at
    for i in range(band.begin, band.begin + band.n):
        at = row_of(s, i) * s.steps + t
        if s.resets[at]:
            memset(s.h_in + at * s.width, 0, s.width * sizeof(floating))


cdef void cut_at_resets(const gw_band[floating] *band, Py_ssize_t t, int part) noexcept nogil:
    """Nothing flows back past a cleared state."""
    cdef const gw_sequence[floating] *s = band.s
    cdef Py_ssize_t i, b, first, last, first_h, last_h
    unit_range(s.units, band.family.block, part, band.parts, &first, &last)
    unit_range(s.width, band.family.block, part, band.parts, &first_h, &last_h)
    for i in range(band.begin, band.begin + band.n):
        b = row_of(s, i)
        if s.resets[b * s.steps + t]:
            memset(s.dh + b * s.width + first_h, 0, (last_h - first_h) * sizeof(floating))
            if s.dc != NULL:
                memset(s.dc + b * s.units + first, 0, (last - first) * sizeof(floating))


cdef void forward_band(gw_band[floating] *band) noexcept nogil:
    """All steps of a band's rows; with other threads, if it is shared."""
    cdef const gw_sequence[floating] *s = band.s
    cdef Py_ssize_t i, k, t, still = band.end
    cdef int phase, phases = band.family.forward_phases(band.cell)
    together(band, START, 0, 0)
    for t in range(s.steps):
        while still > band.begin and length_of(s, still - 1) <= t:
            still -= 1
        if still == band.begin:
            break
        if band.cell.x_done and t % PROJECTED_STEPS == 0:
            band.n = 0
            for i in range(band.begin, still):
                for k in range(t, min(t + PROJECTED_STEPS, length_of(s, i))):
                    place(s, &band.rows[band.n], row_of(s, i), k, False)
                    band.n += 1
            together(band, PROJECT, t, 0)
        band.n = still - band.begin
        for i in range(band.n):
            place(s, &band.rows[i], row_of(s, band.begin + i), t, length_of(s, band.begin + i) == t + 1)
        for phase in range(phases):
            together(band, FORWARD, t, phase)
    together(band, FINISH, 0, 0)


cdef void backward_band(gw_band[floating] *band) noexcept nogil:
    """All steps of a band's rows from last to first."""
    cdef const gw_sequence[floating] *s = band.s
    cdef Py_ssize_t i, t
    cdef int phase, phases = band.family.backward_phases(band.cell)
    band.n = 0
    for t in range(s.steps - 1, -1, -1):
        while band.begin + band.n < band.end and length_of(s, band.begin + band.n) > t:
            band.n += 1
        for i in range(band.n):
            place_backward(s, &band.rows[i], row_of(s, band.begin + i), t)
        for phase in range(phases):
            together(band, BACKWARD, t, phase)


cdef enum Action:
    START, PROJECT, FORWARD, FINISH, BACKWARD


cdef void do_part(const gw_band[floating] *band, Action action, Py_ssize_t t, int phase, int part) noexcept nogil:
    """One part of the units in one phase. Any thread of the band may do it, one does."""
    cdef const gw_sequence[floating] *s = band.s
    cdef Py_ssize_t i, first, last
    if ((action == FORWARD and phase == band.family.rows_forward)
            or (action == BACKWARD and phase == band.family.rows_backward)
            or (action == PROJECT and band.family.project_rows)):
        rows_of_phase(band, action, t, phase, part)
        return
    unit_range(width_of(s, action, phase), band.family.block, part, band.parts, &first, &last)
    if action == FORWARD:
        if s.resets != NULL and s.gates != NULL and phase == 0 and part == 0:
            clear_resets(band, t)
        to_and_fro(band, action, t, phase, first, last)
    elif action == BACKWARD:
        to_and_fro(band, action, t, phase, first, last)
        if s.resets != NULL and phase == band.family.backward_phases(band.cell) - 1:
            cut_at_resets(band, t, part)
    elif action == PROJECT:
        band.family.project(band.cell, band.rows, band.n, first, last)
    elif part == 0:
        for i in range(band.begin, band.end):
            if action == START:
                start_row(s, i)
            elif s.c != NULL:
                finish_row(s, i)


cdef void rows_of_phase(const gw_band[floating] *band, Action action, Py_ssize_t t, int phase, int part) noexcept nogil:
    """A phase whose parts are rows, each with all of its units."""
    cdef Py_ssize_t first = part * band.n // band.parts, last = (part + 1) * band.n // band.parts
    if action == PROJECT:
        band.family.project(band.cell, band.rows + first, last - first, 0, band.s.units)
    elif action == FORWARD:
        band.family.forward(band.cell, band.rows + first, last - first, 0, band.s.units, phase)
    else:
        band.family.backward(band.cell, band.rows + first, last - first, 0, band.s.units, phase)


cdef inline Py_ssize_t width_of(const gw_sequence[floating] *s, Action action, int phase) noexcept nogil:
    """What a phase has: the units, or, where an LSTM projects and makes h or its gradient, their number in h."""
    if s.width == s.units:
        return s.units
    if action == FORWARD:
        return s.width if phase == 1 else s.units
    return s.width if action == BACKWARD and phase != 1 else s.units


cdef inline void to_and_fro(const gw_band[floating] *band, Action action, Py_ssize_t t, int phase, Py_ssize_t first,
                            Py_ssize_t last) noexcept nogil:
    """A phase of a step for units [first, last), in pieces, of which every other step begins with the last.

    Weights a little larger than a cache would push each other out of it if every step began at the first; so a
    step finds there what the one before has used last.
    """
    cdef Py_ssize_t begin = first // PIECE, end = (last + PIECE - 1) // PIECE, k, here, next
    for k in range(begin, end):
        here = (k if t % 2 == 0 else begin + end - 1 - k) * PIECE
        next = min(last, here + PIECE)
        here = max(first, here)
        if action == FORWARD:
            band.family.forward(band.cell, band.rows, band.n, here, next, phase)
        else:
            band.family.backward(band.cell, band.rows, band.n, here, next, phase)


cdef inline void together(gw_band[floating] *band, Action action, Py_ssize_t t, int phase) noexcept nogil:
    """One phase: my own part first, then, if the others are late, theirs; returns when all are done."""
    cdef int spins = 0, other
    if band.parts == 1:
        do_part(band, action, t, phase, 0)
        return
    if gw_claim(band.counters, band.part, band.phase):
        do_part(band, action, t, phase, band.part)
        gw_part_done(band.counters)
    while not gw_phase_done(band.counters, band.parts, band.phase):
        if gw_waited_long(&spins):
            for other in range(band.parts):
                if gw_claim(band.counters, other, band.phase):
                    do_part(band, action, t, phase, other)
                    gw_part_done(band.counters)
    band.phase += 1


cdef inline void unit_range(Py_ssize_t units, Py_ssize_t block, int part, int parts, Py_ssize_t *first,
                            Py_ssize_t *last) noexcept nogil:
    cdef Py_ssize_t blocks = (units + block - 1) // block
    first[0] = min(units, part * blocks // parts * block)
    last[0] = min(units, (part + 1) * blocks // parts * block)


cdef void work(const gw_band[floating] *template, const Py_ssize_t *bound, int n_bands, Py_ssize_t rows_each,
               bint backwards, int team, int member) noexcept nogil:
    """What one of `team` threads does. With fewer threads than asked for, bands are whole again."""
    cdef gw_band[floating] band = template[0]
    cdef int k = member // band.parts, step = n_bands
    cdef gw_float_mode mode
    band.part = member % band.parts
    if team < n_bands * band.parts:
        k, step = member, team
        band.part, band.parts = 0, 1
    band.rows = template.rows + member * rows_each
    while k < n_bands:
        band.begin, band.end, band.phase = bound[k], bound[k + 1], 0
        if band.parts > 1:
            band.counters = template.counters + k * (1 + band.parts)
        if backwards:
            mode = gw_flush_subnormals()
            backward_band(&band)
            gw_restore_float_mode(mode)
        else:
            forward_band(&band)
        k += step


cdef int run(const gw_family[floating] *family, const gw_cell[floating] *cell, const gw_sequence[floating] *s, lengths,
             int n_bands, int parts, bint backwards) except -1:
    """Spread the bands, and the parts of each, over threads."""
    cdef gw_band[floating] band
    cdef Py_ssize_t whole[2]
    cdef Py_ssize_t *bound = whole
    cdef Py_ssize_t k, rows_each = s.batch
    cdef int count = n_bands * parts
    cdef gw_int first
    cdef cnp.ndarray places, counters
    whole[0], whole[1] = 0, s.batch
    if n_bands > 1:
        places = bands(s.batch, lengths, n_bands)
        bound, rows_each = <Py_ssize_t *>cnp.PyArray_DATA(places), 0
        for k in range(n_bands):
            rows_each = max(rows_each, bound[k + 1] - bound[k])
    if cell.x_done:
        rows_each *= PROJECTED_STEPS
    cdef cnp.ndarray rows = np.empty(count * rows_each * sizeof(gw_row[floating]), np.uint8)
    band.family, band.cell, band.s, band.parts = family, cell, s, parts
    band.counters = NULL
    band.rows = <gw_row[floating] *>cnp.PyArray_DATA(rows)
    if parts > 1:
        counters = aligned_empty((n_bands * (1 + parts) * sizeof(gw_counter),), np.uint8)
        counters.fill(0)
        band.counters = <gw_counter *>cnp.PyArray_DATA(counters)
    if count == 1:
        with nogil:
            work(&band, bound, 1, rows_each, backwards, 1, 0)
    else:
        first = gw_processor()
        with nogil, parallel(num_threads=count):
            if omp_get_thread_num() > 0:
                gw_move_from(first)
            work(&band, bound, n_bands, rows_each, backwards, omp_get_num_threads(), omp_get_thread_num())
    return 0


# ---- one call

cdef int describe(gw_sequence[floating] *s, RecurrentKernel k, Py_ssize_t batch, Py_ssize_t steps, x, order, lengths,
                  resets, mask, tuple kept) except -1:
    """The part of a call that forward and backward share; `kept` are the arrays of a workspace, or None."""
    cdef int R = number_of(<floating *>NULL)
    cdef Py_ssize_t H = k.units, P = k.width
    s.batch, s.steps, s.inputs, s.units, s.width, s.saved = batch, steps, k.inputs, H, P, k.saved
    s.z_steps = s.z_width = 1
    s.sums_width = 0
    s.x = <const floating *>needed_pointer(x, R, 3, batch, steps, k.inputs)
    s.order = <const gw_int *>pointer_to(order, cnp.NPY_INTP, 1, batch)
    s.lengths = <const gw_int *>pointer_to(lengths, cnp.NPY_INTP, 1, batch)
    s.resets = <const unsigned char *>pointer_to(resets, cnp.NPY_UINT8, 2, batch, steps)
    s.mask = <const floating *>pointer_to(mask, R, 2, batch, P)
    s.initial_h = NULL
    s.z = s.y = s.final_h = s.final_c = s.scratch_h = s.scratch_gates = s.gates = s.h_in = s.h0 = s.c = s.dh = s.dc = NULL
    s.m = s.dm = s.sums = s.v = s.u = s.scales = NULL
    s.dy = NULL
    if kept is not None:
        gates, h_in, h0, c, m, dm, v, u, scales = kept
        s.gates = <floating *>needed_pointer(gates, R, 3, batch, steps, k.saved * H)
        s.h_in = <floating *>needed_pointer(h_in, R, 3, batch, steps, P)
        s.h0 = <floating *>needed_pointer(h0, R, 3, batch, steps, P)
        if k.family == "lstm" and c is None:
            raise AssertionError("kernel expects a workspace that was prepared for an LSTM")
        s.c = <floating *>pointer_to(c, R, 3, batch, steps + 1, H)
        if P != H:
            s.m = <floating *>needed_pointer(m, R, 3, batch, steps, H)
            s.dm = <floating *>needed_pointer(dm, R, 3, batch, steps, P)
        if k.normalized:
            s.v = <floating *>needed_pointer(v, R, 3, batch, steps, k.saved * H)
            s.u = <floating *>needed_pointer(u, R, 3, batch, steps, k.saved * H)
            s.scales = <floating *>needed_pointer(scales, R, 3, batch, steps, 4)
    return 0


cdef tuple arrays_of(Workspace w):
    """Held for the length of a call: another thread that prepares the workspace cannot free them under it."""
    return None if w is None else (w.gates, w.h_in, w.h0, w.c, w.m, w.dm, w.v, w.u, w.scales)


cdef void set_draws(RecurrentKernel k, gw_cell[floating] *cell, key):
    cell.zoneout_drawn = k.zoned and key is not None
    cell.zoneout_key = key if cell.zoneout_drawn else 0


cdef object forward(RecurrentKernel k, const gw_family[floating] *family, const gw_cell[floating] *weightless, packed, x,
                    final_h, final_c, order, lengths, resets, initial_h, mask, zoneout_key, y, Workspace w, int threads):
    cdef int R = number_of(<floating *>NULL)
    cdef gw_sequence[floating] s
    cdef gw_cell[floating] cell = weightless[0]
    cdef Py_ssize_t B = x.shape[0], T = x.shape[1], H = k.units, P = k.width
    cdef int n_bands, parts
    cdef tuple kept = arrays_of(w)
    if B == 0:
        return None
    if k.family == "lstm" and final_c is None:
        raise AssertionError("kernel expects final_c for an LSTM, got None")
    n_bands, parts, cell.x_done = choose_plan(k.x_gates, k.inputs, H, k.dtype.itemsize, B, T, threads, family.block)
    describe(&s, k, B, T, x, order, lengths, resets, mask, kept)
    cell.weights = <const floating *>needed_pointer(packed, R, 1, family.forward_size(&cell))
    set_draws(k, &cell, zoneout_key)
    s.initial_h = <const floating *>pointer_to(initial_h, R, 2, B, P)
    s.final_h = <floating *>needed_pointer(final_h, R, 2, B, P)
    s.final_c = <floating *>pointer_to(final_c, R, 2, B, H)
    s.y = <floating *>pointer_to(y, R, 3, B, T, P)
    s.zeros = <floating *>cnp.PyArray_DATA(k.zeros)
    # Scratch that a call holds while it runs. Training has a place for each of these in its workspace.
    scratch_h = scratch_gates = scratch_m = scratch_z = scratch_u = None
    if k.normalized:
        cell.x_done = 1
        scratch_m = np.empty((B, 2 * H), k.dtype)
        s.m = <floating *>cnp.PyArray_DATA(scratch_m)
        if w is None:
            scratch_u = np.empty((B, k.saved * H), k.dtype)
            s.u = <floating *>cnp.PyArray_DATA(scratch_u)
    if w is None:
        if y is None:
            scratch_h = np.empty((2, B, P), k.dtype)
            s.scratch_h = <floating *>cnp.PyArray_DATA(scratch_h)
        if P != H:
            scratch_m = np.empty((B, H), k.dtype)
            s.m = <floating *>cnp.PyArray_DATA(scratch_m)
        elif family.forward_phases(&cell) > 1:
            scratch_gates = np.empty((B, k.saved * H), k.dtype)
            s.scratch_gates = <floating *>cnp.PyArray_DATA(scratch_gates)
    if cell.x_done:
        if w is None:
            s.z_steps, s.z_width = min(T, PROJECTED_STEPS), k.x_gates * H
            scratch_z = np.empty((B, s.z_steps, s.z_width), k.dtype)
            s.z = <floating *>cnp.PyArray_DATA(scratch_z)
        else:
            s.z, s.z_steps, s.z_width = s.gates, T, k.saved * H
    run[floating](family, &cell, &s, lengths, n_bands, parts, False)
    return None


cdef object backward(RecurrentKernel k, const gw_family[floating] *family, const gw_cell[floating] *weightless, packed, x,
                     kernel, Workspace w, dh, dc, order, lengths, resets, mask, zoneout_key, dy, dx, dict gradients,
                     int threads):
    cdef int R = number_of(<floating *>NULL)
    cdef gw_sequence[floating] s
    cdef gw_cell[floating] cell = weightless[0]
    cdef gw_piece[floating] pieces[3]
    cdef Py_ssize_t B = x.shape[0], T = x.shape[1], I = k.inputs, H = k.units, P = k.width, G = k.x_gates
    cdef int n_bands, parts
    cdef tuple kept = arrays_of(w)
    if B == 0:
        return None
    if w is None or (k.family == "lstm" and dc is None):
        raise AssertionError("kernel expects the workspace of a forward call, and dc for an LSTM, got None")
    n_bands, parts, _ = choose_plan(k.x_gates, k.inputs, H, k.dtype.itemsize, B, T, threads, family.block)
    describe(&s, k, B, T, x, order, lengths, resets, mask, kept)
    cell.weights = <const floating *>needed_pointer(packed, R, 1, family.backward_size(&cell))
    set_draws(k, &cell, zoneout_key)
    s.dh = <floating *>needed_pointer(dh, R, 2, B, P)
    s.dc = <floating *>pointer_to(dc, R, 2, B, H)
    s.dy = <const floating *>pointer_to(dy, R, 3, B, T, P)
    s.zeros = <floating *>cnp.PyArray_DATA(k.zeros)
    cdef floating *d_w = <floating *>needed_pointer(gradients.get("kernel"), R, 2, I, G * H)
    cdef floating *d_u = <floating *>needed_pointer(gradients.get("recurrent_kernel"), R, 2, P, G * H)
    cdef floating *d_b = <floating *>pointer_to(gradients.get("bias"), R, 1, G * H)
    cdef floating *d_b_h = <floating *>pointer_to(gradients.get("recurrent_bias"), R, 1, G * H)
    cdef floating *d_p = NULL
    cdef floating *d_r = NULL
    if cell.peepholes:  # sums of each row, then of all
        d_p = <floating *>needed_pointer(gradients.get("peephole"), R, 2, cell.peepholes, H)
        s.sums_width = cell.peepholes * H
        sums = np.zeros((B, s.sums_width), k.dtype)
        s.sums = <floating *>cnp.PyArray_DATA(sums)
    if k.normalized:  # all vectors' gradients likewise
        d_b = d_b_h = NULL
        d_vectors = vectors_of(k, gradients)
        s.sums_width = blocks_of(k) * H
        sums = np.zeros((B, s.sums_width), k.dtype)
        s.sums = <floating *>cnp.PyArray_DATA(sums)
        scratch_m = np.empty((B, 2 * H), k.dtype)
        s.m = <floating *>cnp.PyArray_DATA(scratch_m)
    if P != H:
        d_r = <floating *>needed_pointer(gradients.get("projection_kernel"), R, 2, H, P)
    cdef bint gru = k.family == "gru"
    cdef int n_pieces = weight_gradients(&s, &cell, gru, G, pieces, d_w, d_u, d_b, d_b_h, d_r)
    cdef const floating *w_x = <const floating *>needed_pointer(kernel, R, 2, I, G * H)
    cdef floating *d_x = <floating *>pointer_to(dx, R, 3, B, T, I)
    run[floating](family, &cell, &s, lengths, n_bands, parts, True)
    if d_p != NULL:
        add_column_sums(s.sums, B, s.sums_width, d_p)
    if k.normalized:
        total = np.zeros(s.sums_width, k.dtype)
        add_column_sums(s.sums, B, s.sums_width, <floating *>cnp.PyArray_DATA(total))
        add_to_vectors(k, d_vectors, total)
    multiply(pieces, n_pieces, B * T, pieces[0].z, k.saved * H, G * H, w_x, I, d_x, threads)
    return None


cdef void add_column_sums(const floating *x, Py_ssize_t rows, Py_ssize_t columns, floating *sums) noexcept:
    if floating is float:
        table32().add_column_sums(x, rows, columns, columns, sums)
    else:
        table64().add_column_sums(x, rows, columns, columns, sums)


cdef int weight_gradients(const gw_sequence[floating] *s, const gw_cell[floating] *cell, bint gru, Py_ssize_t G,
                          gw_piece[floating] *p, floating *d_w, floating *d_u, floating *d_b, floating *d_b_h,
                          floating *d_r) noexcept nogil:
    """What to multiply with what; the first is that of x. A GRU's candidate has a recurrent input, or a dz, of its own."""
    cdef Py_ssize_t n = s.batch * s.steps, I = s.inputs, H = s.units, P = s.width, ldz = s.saved * H
    if s.u != NULL:  # layer normalisation
        p[0] = make_piece(n, s.x, I, I, s.v, ldz, G * H, d_w, G * H, d_b)
        p[1] = make_piece(n, s.h_in, H, H, s.u, ldz, G * H, d_u, G * H, d_b_h)
        return 2
    p[0] = make_piece(n, s.x, I, I, s.gates, ldz, G * H, d_w, G * H, d_b)
    p[1] = make_piece(n, s.h_in, P, P, s.gates, ldz, 2 * H if gru else G * H, d_u, G * H, d_b_h)
    if d_r != NULL:
        p[2] = make_piece(n, s.m, H, H, s.dm, P, P, d_r, P, <floating *>NULL)
        return 3
    if not gru:
        return 2
    if cell.reset_after:
        p[2] = make_piece(n, s.h_in, H, H, s.gates + 3 * H, ldz, H, d_u + 2 * H, G * H,
                          d_b_h + 2 * H if d_b_h != NULL else NULL)
    else:
        p[2] = make_piece(n, s.gates + 3 * H, ldz, H, s.gates + 2 * H, ldz, H, d_u + 2 * H, G * H, <floating *>NULL)
    return 3
