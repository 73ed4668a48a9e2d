"""minGRU and minLSTM over whole sequences (scan.h): one large product, then a scan through time.

The product and the gates are most of the work: threads share blocks of steps. In the scan they
share rows and, if rows are few, vectors of units. There one multiply-add a step waits for the one
before, 20 us in 16,384 steps, so that memory is the limit, and more than two vectors side by side
do not wait. To cut time itself into blocks would read everything twice, and a stream of single
steps would not give the bits of the whole sequence. No sum depends on the number of threads.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._table cimport gw_activation, gw_scan, gw_table, table32, table64
from gatewise.kernels import dense
from gatewise.kernels._memory import aligned_empty

cnp.import_array()

cdef extern from "subnormal.h" nogil:
    ctypedef int gw_float_mode
    gw_float_mode gw_flush_subnormals()
    void gw_restore_float_mode(gw_float_mode)

cdef Py_ssize_t UNITS = 64       # of one scan at most; SCAN_UNITS of scan.h
cdef Py_ssize_t FEWEST = 16      # of one scan: a cache line of float32
cdef Py_ssize_t STEP_BLOCK = 64  # steps whose gates are made together
LINEAR = (0, 0.0, 0.0)


class ScanKernel:
    """One minimal cell for one dtype and size. Its methods are those of RecurrentKernel.

    Parameters
    ----------
    family : "mingru" or "minlstm"
    dtype : numpy.dtype, float32 or float64
    inputs, units : int
    act : (kind, alpha, beta)
        Activation of the candidate.
    """

    has_zoneout = False

    def __init__(self, family, dtype, inputs, units, act):
        self.family, self.dtype, self.act = family, np.dtype(dtype), act
        self.inputs, self.units = inputs, units
        self.width, self.saved = units, {"mingru": 2, "minlstm": 3}[family]

    def workspace(self):
        """An empty ScanWorkspace for training passes."""
        return ScanWorkspace()

    def pack_forward(self, weights):
        """Weights as the forward pass reads them."""
        return dense.pack(weights["kernel"], weights.get("bias"))

    def pack_backward(self, weights):
        """None: there is no recurrent product."""

    def forward(self, packed, x, final_h, final_c=None, *, order=None, lengths=None, resets=None,
                initial_h=None, mask=None, zoneout_key=None, y=None, workspace=None, threads=1):
        """See RecurrentKernel.forward."""
        batch, steps, inputs = x.shape
        if batch == 0:
            return
        keep = workspace is not None
        w = workspace if keep else ScanWorkspace()
        w.prepare(self, batch, steps, False, with_h=keep)
        dense.forward(x.reshape(-1, inputs), packed, w.g.reshape(batch * steps, -1), LINEAR,
                      threads)
        w.initial_h = initial_h
        if self.dtype == np.float32:
            _gates[float](table32(), self, w, True, threads)
            _scan[float](table32(), self, w, order, lengths, resets, y, final_h, None, True,
                         threads)
        else:
            _gates[double](table64(), self, w, True, threads)
            _scan[double](table64(), self, w, order, lengths, resets, y, final_h, None, True,
                          threads)

    def backward(self, packed, x, weights, workspace, dh, dc=None, *, order=None, lengths=None,
                 resets=None, mask=None, zoneout_key=None, dy=None, gradients, dx=None, threads=1):
        """See RecurrentKernel.backward."""
        batch, steps, inputs = x.shape
        if batch == 0:
            return
        w = workspace
        if self.dtype == np.float32:
            _scan[float](table32(), self, w, order, lengths, resets, None, dh, dy, False, threads)
            _gates[float](table32(), self, w, False, threads)
        else:
            _scan[double](table64(), self, w, order, lengths, resets, None, dh, dy, False, threads)
            _gates[double](table64(), self, w, False, threads)
        dense.backward(x.reshape(-1, inputs), weights["kernel"], w.g.reshape(batch * steps, -1),
                       gradients["kernel"], gradients.get("bias"),
                       None if dx is None else dx.reshape(-1, inputs), threads)


class ScanWorkspace:
    """What a training pass saves for the backward pass: sums or gates, a, and h."""

    g = a = h = initial_h = None

    def __reduce__(self):  # scratch: a copy starts empty
        return ScanWorkspace, ()

    def prepare(self, kernel, batch, steps, masked, with_h=True):
        """Make room for (batch, steps); contents are undefined afterwards."""
        shape = (batch, steps, kernel.saved * kernel.units)
        if self.g is None or self.g.shape != shape or self.g.dtype != kernel.dtype:
            # `g` says what the others fit: if memory is refused on the way, nothing fits
            self.g = self.a = self.h = None
            g = aligned_empty(shape, kernel.dtype)
            self.a = aligned_empty((batch, steps, kernel.units), kernel.dtype)
            self.h = aligned_empty((batch, steps, kernel.units), kernel.dtype) if with_h else None
            self.g = g


cdef object _gates(gw_table[floating] *table, kernel, w, bint forward, int threads):
    """Gates of all steps, or their gradients, in blocks of steps."""
    g, a = w.g, w.a
    cdef int typenum = number_of(<floating *>NULL), lstm = kernel.family == "minlstm"
    cdef Py_ssize_t n = g.shape[0] * g.shape[1], H = kernel.units, G = kernel.saved * H
    cdef Py_ssize_t k, first, count
    cdef Py_ssize_t blocks = (n + STEP_BLOCK - 1) // STEP_BLOCK
    cdef floating *pg = <floating *>needed_pointer(g, typenum, 3, g.shape[0], g.shape[1], G)
    cdef floating *pa = <floating *>needed_pointer(a, typenum, 3, g.shape[0], g.shape[1], H)
    cdef gw_activation[floating] act
    cdef gw_float_mode mode
    act.kind, act.alpha, act.beta = kernel.act
    for k in prange(blocks, num_threads=threads, use_threads_if=threads > 1 and blocks > 1,
                    schedule="static", nogil=True):
        first = k * STEP_BLOCK
        count = min(STEP_BLOCK, n - first)
        if forward:
            table.scan_gates(&act, lstm, pg + first * G, pa + first * H, count, H)
        else:
            mode = gw_flush_subnormals()
            table.scan_gates_backward(lstm, pg + first * G, pa + first * H, count, H)
            gw_restore_float_mode(mode)
    return None


cdef object _scan(gw_table[floating] *table, kernel, w, order, lengths, resets, y, state, dy,
                  bint forward, int threads):
    """All rows through time.

    `state` is the final h, which is written; backward it is its gradient, which becomes that of the
    initial h.
    """
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t B = w.g.shape[0], T = w.g.shape[1], H = kernel.units, G = kernel.saved * H, k
    cdef Py_ssize_t size = UNITS, pieces
    cdef const Py_ssize_t *rows = <const Py_ssize_t *>pointer_to(order, cnp.NPY_INTP, 1, B)
    cdef const Py_ssize_t *steps = <const Py_ssize_t *>pointer_to(lengths, cnp.NPY_INTP, 1, B)
    cdef gw_scan[floating] s
    s.steps, s.units, s.width = T, H, G
    s.resets = <const unsigned char *>pointer_to(resets, cnp.NPY_UINT8, 2, B, T)
    s.h0 = <const floating *>pointer_to(w.initial_h, typenum, 2, B, H)
    s.n = <floating *>needed_pointer(w.g, typenum, 3, B, T, G) + G - H
    s.a = <floating *>needed_pointer(w.a, typenum, 3, B, T, H)
    s.h = <floating *>pointer_to(w.h, typenum, 3, B, T, H)
    s.y = <floating *>pointer_to(y, typenum, 3, B, T, H)
    s.dy = <const floating *>pointer_to(dy, typenum, 3, B, T, H)
    s.final_h = s.dh = <floating *>needed_pointer(state, typenum, 2, B, H)
    s.act.kind, s.act.alpha, s.act.beta = kernel.act
    if not forward and s.h == NULL:
        raise AssertionError("kernel expects the workspace of a forward call")
    while size > FEWEST and B * ((H + size - 1) // size) < threads:
        size //= 2
    pieces = (H + size - 1) // size
    for k in prange(B * pieces, num_threads=threads, use_threads_if=threads > 1 and B * pieces > 1,
                    schedule="dynamic", chunksize=1, nogil=True):
        one_scan(table, &s, rows, steps, k // pieces, k % pieces * size, size, forward)
    return None


cdef void one_scan(gw_table[floating] *table, const gw_scan[floating] *batch,
                   const Py_ssize_t *rows, const Py_ssize_t *steps, Py_ssize_t i, Py_ssize_t first,
                   Py_ssize_t size, bint forward) noexcept nogil:
    """Some units of the row that is visited i-th."""
    cdef gw_scan[floating] s = batch[0]
    cdef Py_ssize_t b = rows[i] if rows != NULL else i, last = min(s.units, first + size)
    cdef gw_float_mode mode
    s.length = steps[i] if steps != NULL else s.steps
    s.n += b * s.steps * s.width
    s.a += b * s.steps * s.units
    s.final_h += b * s.units
    s.dh += b * s.units
    if s.resets != NULL:
        s.resets += b * s.steps
    if s.h0 != NULL:
        s.h0 += b * s.units
    if s.h != NULL:
        s.h += b * s.steps * s.units
    if s.y != NULL:
        s.y += b * s.steps * s.units
    if s.dy != NULL:
        s.dy += b * s.steps * s.units
    if forward:
        table.scan_forward(&s, first, last)
    else:
        mode = gw_flush_subnormals()
        table.scan_backward(&s, first, last)
        gw_restore_float_mode(mode)
