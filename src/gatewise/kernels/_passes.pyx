"""One call: its arrays, checked, become a gw_sequence; the walk; then the products over all steps.

Letters: B rows, T steps, I inputs, H units, P units of h (fewer than H with a projection), G blocks
of units in the weights.
"""
cimport cython
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._attending cimport prepare_attention, prepare_gradients
from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._packing cimport add_to_vectors, vector_blocks, vectors_of
from gatewise.kernels._plan cimport PIECE, PROJECTED_STEPS, choose_plan
from gatewise.kernels._products cimport make_piece, multiply
from gatewise.kernels._sequence cimport gw_attending, gw_sequence
from gatewise.kernels._table cimport gw_cell, gw_family, gw_gradients, gw_int, gw_piece, gw_row
from gatewise.kernels._table cimport table32, table64
from gatewise.kernels._walk cimport run
from gatewise.kernels._workspace cimport SavedSteps
from gatewise.kernels.rows import add_rows

cnp.import_array()


# Every call makes one, so that its memory is kept for the next one. The garbage collector need not
# know of it: it lives for one call, and holds arrays only.
@cython.freelist(8)
@cython.no_gc
cdef class SequenceCall:
    """Arguments of a call; see _passes.pxd."""


cdef int describe(gw_sequence[floating] *s, CompiledCell compiled, SequenceCall call, Py_ssize_t B,
                  Py_ssize_t T) except -1:
    """The part of a call that forward and backward share."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t H = compiled.units, P = compiled.width
    s.batch, s.steps, s.inputs, s.units, s.width = B, T, compiled.inputs, H, P
    s.saved = compiled.saved
    s.x = <const floating *>needed_pointer(call.x, typenum, 3, B, T, compiled.inputs)
    s.order = <const gw_int *>pointer_to(call.order, cnp.NPY_INTP, 1, B)
    s.lengths = <const gw_int *>pointer_to(call.lengths, cnp.NPY_INTP, 1, B)
    s.resets = <const unsigned char *>pointer_to(call.resets, cnp.NPY_UINT8, 2, B, T)
    s.mask = <const floating *>pointer_to(call.mask, typenum, 2, B, P)
    s.zeros = <floating *>cnp.PyArray_DATA(compiled.zeros)
    if call.saved is not None:
        describe_saved(s, compiled, call.saved)
    if call.numbers is not None:
        s.numbers = <const int *>needed_pointer(call.numbers, cnp.NPY_INT32, 2, B, T)
        if B * T and not (0 <= call.numbers.min() and call.numbers.max() < len(call.table)):
            raise AssertionError(f"kernel expects numbers of {len(call.table)} rows of a table")
    return 0


cdef int describe_saved(gw_sequence[floating] *s, CompiledCell compiled,
                        SavedSteps saved) except -1:
    """The arrays of a workspace."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t B = s.batch, T = s.steps, H = s.units, P = s.width, of_gates = s.saved * s.units
    s.gates = <floating *>needed_pointer(saved.gates, typenum, 3, B, T, of_gates)
    s.h_in = <floating *>needed_pointer(saved.h_in, typenum, 3, B, T, P)
    s.h0 = <floating *>needed_pointer(saved.h0, typenum, 3, B, T, P)
    if compiled.family == "lstm":
        s.c = <floating *>needed_pointer(saved.c, typenum, 3, B, T + 1, H)
    if P != H:
        s.unprojected = <floating *>needed_pointer(saved.unprojected, typenum, 3, B, T, H)
        s.d_projected = <floating *>needed_pointer(saved.d_projected, typenum, 3, B, T, P)
    if compiled.normalized:
        s.norm_x = <floating *>needed_pointer(saved.norm_x, typenum, 3, B, T, of_gates)
        s.norm_h = <floating *>needed_pointer(saved.norm_h, typenum, 3, B, T, of_gates)
        s.norm_scales = <floating *>needed_pointer(saved.norm_scales, typenum, 3, B, T, 4)
    return 0


cdef void set_draws(CompiledCell compiled, gw_cell[floating] *cell, key):
    cell.zoneout_drawn = compiled.has_zoneout and key is not None
    cell.zoneout_key = key if cell.zoneout_drawn else 0


cdef object forward(CompiledCell compiled, const gw_family[floating] *family,
                    const gw_cell[floating] *weightless, SequenceCall call):
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_sequence[floating] s
    cdef gw_cell[floating] cell = weightless[0]
    shape = call.x.shape
    cdef Py_ssize_t B = shape[0], T = shape[1], H = compiled.units, P = compiled.width
    cdef int n_bands, parts
    if B == 0:
        return None
    if compiled.family == "lstm" and call.final_c is None:
        raise AssertionError("kernel expects final_c for an LSTM, got None")
    n_bands, parts, cell.input_projected = choose_plan(compiled.x_gates, compiled.inputs, H,
                                                       compiled.dtype.itemsize, B, T, call.threads,
                                                       family.block)
    describe(&s, compiled, call, B, T)
    cell.weights = <const floating *>needed_pointer(
        call.packed, typenum, 1, family.forward_size(&cell)
    )
    set_draws(compiled, &cell, call.zoneout_key)
    s.initial_h = <const floating *>pointer_to(call.initial_h, typenum, 2, B, P)
    s.final_h = <floating *>needed_pointer(call.final_h, typenum, 2, B, P)
    s.final_c = <floating *>pointer_to(call.final_c, typenum, 2, B, H)
    s.y = <floating *>pointer_to(call.y, typenum, 3, B, T, P)
    cdef gw_attending[floating] attention
    if call.attention is not None:  # in every thread whole steps of rows, whose x is not yet known
        n_bands, parts, cell.input_projected = max(1, min(call.threads, B)), 1, 0
        prepare_attention(&attention, &s, call.attention)
    if compiled.normalized:
        cell.input_projected = 1
    if call.numbers is not None:
        cell.input_projected, s.z_width = 1, compiled.x_gates * H
        s.z = <floating *>needed_pointer(call.table, typenum, 2, len(call.table), s.z_width)
    _held = forward_scratch(&s, compiled, family, &cell)
    run[floating](family, &cell, &s, call.lengths, n_bands, parts, False)
    return None


cdef object project(CompiledCell compiled, const gw_family[floating] *family,
                    const gw_cell[floating] *weightless, packed, x, z, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_cell[floating] cell = weightless[0]
    cdef gw_row[floating] empty
    cdef Py_ssize_t n = x.shape[0], I = compiled.inputs, H = compiled.units, k
    cdef Py_ssize_t width = compiled.x_gates * H, pieces = (H + PIECE - 1) // PIECE
    cdef const floating *source = <const floating *>needed_pointer(x, typenum, 2, n, I)
    cdef floating *target = <floating *>needed_pointer(z, typenum, 2, n, width)
    cdef cnp.ndarray memory = np.empty(n * sizeof(gw_row[floating]), np.uint8)
    cdef gw_row[floating] *rows = <gw_row[floating] *>cnp.PyArray_DATA(memory)
    cell.weights = <const floating *>needed_pointer(
        packed, typenum, 1, family.forward_size(&cell)
    )
    for k in range(n):
        rows[k] = empty
        rows[k].x, rows[k].z = source + k * I, target + k * width
    for k in prange(pieces, num_threads=threads, use_threads_if=threads > 1 and pieces > 1,
                    schedule="static", nogil=True):
        family.project(&cell, rows, n, k * PIECE, min(H, (k + 1) * PIECE))
    return None


cdef list forward_scratch(gw_sequence[floating] *s, CompiledCell compiled,
                          const gw_family[floating] *family, const gw_cell[floating] *cell):
    """Memory that a forward call needs while it runs. A workspace has a place for most of it."""
    cdef Py_ssize_t B = s.batch, H = s.units, P = s.width
    cdef bint training = s.gates != NULL
    held = []
    if compiled.normalized:
        s.norm_scratch = <floating *>scratch_of(held, (B, 2 * H), compiled.dtype)
    if training:
        if cell.input_projected and s.numbers == NULL:
            s.z, s.z_steps, s.z_width = s.gates, s.steps, s.saved * H
        return held
    if compiled.normalized:
        s.norm_h = <floating *>scratch_of(held, (B, s.saved * H), compiled.dtype)
    if s.y == NULL or cell.activates_output:
        s.scratch_h = <floating *>scratch_of(held, (2, B, P), compiled.dtype)
    if P != H:
        s.unprojected = <floating *>scratch_of(held, (B, H), compiled.dtype)
    elif family.forward_phases(cell) > 1:
        s.scratch_gates = <floating *>scratch_of(held, (B, s.saved * H), compiled.dtype)
    if cell.input_projected and s.numbers == NULL:
        s.z_steps, s.z_width = min(s.steps, <Py_ssize_t>PROJECTED_STEPS), compiled.x_gates * H
        s.z = <floating *>scratch_of(held, (B, s.z_steps, s.z_width), compiled.dtype)
    return held


cdef void *scratch_of(list held, tuple shape, dtype) except NULL:
    """Data of a new array, which `held` keeps alive."""
    array = np.empty(shape, dtype)
    held.append(array)
    return cnp.PyArray_DATA(array)


cdef object backward(CompiledCell compiled, const gw_family[floating] *family,
                     const gw_cell[floating] *weightless, SequenceCall call):
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_sequence[floating] s
    cdef gw_cell[floating] cell = weightless[0]
    shape = call.x.shape
    cdef Py_ssize_t B = shape[0], T = shape[1], I = compiled.inputs
    cdef Py_ssize_t H = compiled.units, P = compiled.width, G = compiled.x_gates
    cdef int n_bands, parts
    if B == 0:
        return None
    if call.saved is None or (compiled.family == "lstm" and call.dc is None):
        raise AssertionError(
            "kernel expects the workspace of a forward call, and dc for an LSTM, got None"
        )
    n_bands, parts, _ = choose_plan(
        compiled.x_gates, I, H, compiled.dtype.itemsize, B, T, call.threads, family.block
    )
    describe(&s, compiled, call, B, T)
    cell.weights = <const floating *>needed_pointer(
        call.packed, typenum, 1, family.backward_size(&cell)
    )
    set_draws(compiled, &cell, call.zoneout_key)
    s.dh = <floating *>needed_pointer(call.dh, typenum, 2, B, P)
    s.dc = <floating *>pointer_to(call.dc, typenum, 2, B, H)
    s.dy = <const floating *>pointer_to(call.dy, typenum, 3, B, T, P)
    cdef gw_gradients[floating] d
    find_gradients(&d, compiled, &cell, call.gradients)
    cdef const floating *w_x = <const floating *>needed_pointer(
        call.weights.get("kernel"), typenum, 2, I, G * H
    )
    cdef Py_ssize_t n = B * T, ldz = s.saved * H, rows
    # of x before a context, whose gradient goes to the memory
    cdef Py_ssize_t wanted = I if call.attention is None else call.attention.read
    cdef floating *dx = <floating *>pointer_to(call.dx, typenum, 3, B, T, wanted)
    cdef bint gru = compiled.family == "gru"
    vectors = vectors_of(compiled, call.gradients) if compiled.normalized else None
    # Peepholes and the vectors of a normalized cell: sums of each row, then of all rows.
    s.sums_width = vector_blocks(compiled) * H if compiled.normalized else cell.peepholes * H
    held = []
    if s.sums_width > 0:
        sums = np.zeros((B, s.sums_width), compiled.dtype)
        s.sums = <floating *>cnp.PyArray_DATA(sums)
    if compiled.normalized:
        s.norm_scratch = <floating *>scratch_of(held, (B, 2 * H), compiled.dtype)
    cdef gw_piece[floating] pieces[4]
    cdef int n_pieces = weight_gradients(&s, &cell, gru, G, compiled.h_gates, &d, pieces)
    cdef gw_attending[floating] attention
    if call.attention is not None:
        n_bands, parts = max(1, min(call.threads, B)), 1
        prepare_gradients(&attention, &s, call.attention, w_x, G * H, &pieces[n_pieces])
        n_pieces += 1
    cdef const floating *dz = pieces[0].z
    cdef const floating *dz_of_rows
    run[floating](family, &cell, &s, call.lengths, n_bands, parts, True)
    if d.peephole != NULL:
        add_column_sums(s.sums, B, s.sums_width, d.peephole)
    if compiled.normalized:
        total = np.zeros(s.sums_width, compiled.dtype)
        add_column_sums(s.sums, B, s.sums_width, <floating *>cnp.PyArray_DATA(total))
        add_to_vectors(compiled, vectors, total)
    if call.numbers is not None:  # dz summed for each row of the table takes the place of dz
        rows = len(call.table)
        summed = np.zeros((rows, ldz), compiled.dtype)
        add_rows(call.numbers.reshape(-1), call.saved.gates.reshape(-1, ldz), summed, call.threads)
        dz_of_rows = <const floating *>cnp.PyArray_DATA(summed)
        pieces[0] = make_piece(
            rows, <const floating *>needed_pointer(call.table, typenum, 2, rows, I), I, I,
            dz_of_rows, ldz, G * H, d.w_x, G * H, d.b,
        )
        if dx == NULL:
            n, dz = rows, dz_of_rows
            dx = <floating *>pointer_to(call.d_table, typenum, 2, rows, I)
    multiply(pieces, n_pieces, n, dz, ldz, G * H, w_x, wanted, dx, call.threads)
    return None


cdef int find_gradients(gw_gradients[floating] *d, CompiledCell compiled,
                        const gw_cell[floating] *cell, dict gradients) except -1:
    """The gradients that matrices and biases are added to. NULL: not wanted, or none."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t H = compiled.units, P = compiled.width, columns = compiled.x_gates * H
    cdef Py_ssize_t columns_h = compiled.h_gates * H
    d.w_x = <floating *>needed_pointer(gradients.get("kernel"), typenum, 2, compiled.inputs,
                                       columns)
    d.w_h = <floating *>needed_pointer(gradients.get("recurrent_kernel"), typenum, 2, P,
                                       columns_h)
    if not compiled.normalized:  # else they are among its vectors
        d.b = <floating *>pointer_to(gradients.get("bias"), typenum, 1, columns)
        d.b_h = <floating *>pointer_to(gradients.get("recurrent_bias"), typenum, 1, columns)
    if cell.peepholes:
        d.peephole = <floating *>needed_pointer(
            gradients.get("peephole"), typenum, 2, cell.peepholes, H
        )
    if P != H:
        d.projection = <floating *>needed_pointer(
            gradients.get("projection_kernel"), typenum, 2, H, P
        )
    return 0


cdef void add_column_sums(const floating *x, Py_ssize_t rows, Py_ssize_t columns,
                          floating *sums) noexcept:
    if floating is float:
        table32().add_column_sums(x, rows, columns, columns, sums)
    else:
        table64().add_column_sums(x, rows, columns, columns, sums)


cdef int weight_gradients(const gw_sequence[floating] *s, const gw_cell[floating] *cell, bint gru,
                          Py_ssize_t G, Py_ssize_t h_gates, const gw_gradients[floating] *d,
                          gw_piece[floating] *piece) noexcept nogil:
    """What to multiply with what, and how many products there are; the first is that of x.

    The candidate of a GRU has a recurrent input, or a dz, that the other gates do not share; or it
    has no recurrent product.
    """
    cdef Py_ssize_t n = s.batch * s.steps, I = s.inputs, H = s.units, P = s.width
    cdef Py_ssize_t columns = G * H, columns_h = h_gates * H, ldz = s.saved * H
    if s.norm_h != NULL:  # layer normalisation
        piece[0] = make_piece(n, s.x, I, I, s.norm_x, ldz, columns, d.w_x, columns, d.b)
        piece[1] = make_piece(n, s.h_in, H, H, s.norm_h, ldz, columns, d.w_h, columns, d.b_h)
        return 2
    piece[0] = make_piece(n, s.x, I, I, s.gates, ldz, columns, d.w_x, columns, d.b)
    piece[1] = make_piece(n, s.h_in, P, P, s.gates, ldz, 2 * H if gru else columns, d.w_h,
                          columns_h, d.b_h)
    if d.projection != NULL:
        piece[2] = make_piece(n, s.unprojected, H, H, s.d_projected, P, P, d.projection, P,
                              <floating *>NULL)
        return 3
    if not gru or h_gates == 2:
        return 2
    if cell.reset_after:
        piece[2] = make_piece(n, s.h_in, H, H, s.gates + 3 * H, ldz, H, d.w_h + 2 * H, columns,
                              d.b_h + 2 * H if d.b_h != NULL else NULL)
    else:
        piece[2] = make_piece(n, s.gates + 3 * H, ldz, H, s.gates + 2 * H, ldz, H, d.w_h + 2 * H,
                              columns, <floating *>NULL)
    return 3
