"""One call: its arrays, checked, become a gw_sequence; the walk; then the products over all steps at once."""
from cython cimport floating
cimport numpy as cnp

import numpy as np

from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._packing cimport add_to_vectors, blocks_of, vectors_of
from gatewise.kernels._plan cimport PROJECTED_STEPS, choose_plan
from gatewise.kernels._products cimport make_piece, multiply
from gatewise.kernels._sequence cimport gw_sequence
from gatewise.kernels._table cimport gw_cell, gw_family, gw_int, gw_piece, table32, table64
from gatewise.kernels._walk cimport run

cnp.import_array()


cdef int describe(gw_sequence[floating] *s, CompiledCell k, Py_ssize_t batch, Py_ssize_t steps, x, order, lengths,
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


cdef void set_draws(CompiledCell k, gw_cell[floating] *cell, key):
    cell.zoneout_drawn = k.zoned and key is not None
    cell.zoneout_key = key if cell.zoneout_drawn else 0


cdef object forward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *weightless, packed, x,
                    final_h, final_c, order, lengths, resets, initial_h, mask, zoneout_key, y, tuple kept, int threads):
    cdef int R = number_of(<floating *>NULL)
    cdef gw_sequence[floating] s
    cdef gw_cell[floating] cell = weightless[0]
    cdef Py_ssize_t B = x.shape[0], T = x.shape[1], H = k.units, P = k.width
    cdef int n_bands, parts
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
        if kept is None:
            scratch_u = np.empty((B, k.saved * H), k.dtype)
            s.u = <floating *>cnp.PyArray_DATA(scratch_u)
    if kept is None:
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
        if kept is None:
            s.z_steps, s.z_width = min(T, PROJECTED_STEPS), k.x_gates * H
            scratch_z = np.empty((B, s.z_steps, s.z_width), k.dtype)
            s.z = <floating *>cnp.PyArray_DATA(scratch_z)
        else:
            s.z, s.z_steps, s.z_width = s.gates, T, k.saved * H
    run[floating](family, &cell, &s, lengths, n_bands, parts, False)
    return None


cdef object backward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *weightless, packed, x,
                     kernel, tuple kept, dh, dc, order, lengths, resets, mask, zoneout_key, dy, dx, dict gradients,
                     int threads):
    cdef int R = number_of(<floating *>NULL)
    cdef gw_sequence[floating] s
    cdef gw_cell[floating] cell = weightless[0]
    cdef gw_piece[floating] pieces[3]
    cdef Py_ssize_t B = x.shape[0], T = x.shape[1], I = k.inputs, H = k.units, P = k.width, G = k.x_gates
    cdef int n_bands, parts
    if B == 0:
        return None
    if kept is None or (k.family == "lstm" and dc is None):
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
