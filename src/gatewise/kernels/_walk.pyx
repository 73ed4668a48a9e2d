"""The walk through time: bands of rows, the steps of each, and the threads that share them.

Rows of the batch are split into bands. A band runs all its time steps, and bands never wait for
each other::

    forward   for each band: for t = 0 .. T-1:  tiles of [x_t, h'] W -> cell -> h
    backward  for each band: for t = T-1 .. 0:  cell backwards -> dz;  dh' = dz U^T
              then dW = x^T dz, dU = h'^T dz, db = sum dz, dx = dz W^T
              (_passes.pyx, _products.pyx)

One thread runs a band, unless the band has so few rows that reading the weights from memory takes
most of the time. Then several threads share the band: each has a range of units, and they meet
after every phase (meeting.h). :func:`choose_plan` (_plan.pyx) decides this, and also whether x W is
computed a block of steps ahead.

Rows are visited by falling length, so that those still running at step t are the first ones. A
number is one chain of sums in whichever band, range or block it is computed, so that any number of
threads gives the same bits.
"""
from cython cimport floating
from cython.parallel cimport parallel
from libc.string cimport memcpy, memset
cimport numpy as cnp

import numpy as np

from gatewise.kernels._attending cimport attend, attend_backward, begin_rows, end_rows_backward
from gatewise.kernels._lateness cimport gw_count_closing, gw_hurries, gw_nanoseconds
from gatewise.kernels._lateness cimport gw_open, gw_remember, gw_watch, lateness
from gatewise.kernels._plan cimport PIECE, PROJECTED_STEPS, bands
from gatewise.kernels._sequence cimport gw_band, gw_counter, gw_sequence
from gatewise.kernels._table cimport gw_cell, gw_family, gw_int, gw_row
from gatewise.kernels._memory import aligned_empty

cnp.import_array()

cdef extern from "subnormal.h" nogil:
    ctypedef int gw_float_mode
    gw_float_mode gw_flush_subnormals()
    void gw_restore_float_mode(gw_float_mode)

cdef extern from "sequence.h" nogil:
    bint gw_claim(gw_counter *, int part, gw_int phase)
    void gw_part_done(gw_counter *)
    bint gw_phase_done(gw_counter *, int parts, gw_int phase)
    bint gw_close(gw_counter *, int parts)
    bint gw_is_closed(gw_counter *, int parts)
    const int GW_SHORT_WAIT
    bint gw_waited_long(int *spins)
    bint gw_too_long(gw_int wait, gw_int since_begin, gw_int phases)
    int omp_get_num_threads()
    int omp_get_thread_num()
    gw_int gw_processor()
    void gw_move_from(gw_int processor)


# ---- where a row's arrays are at step t

cdef inline void locate_row(const gw_sequence[floating] *s, gw_row[floating] *row, Py_ssize_t b,
                            Py_ssize_t t, bint last) noexcept nogil:
    """Point a row at its arrays at step t. `last`: it is the row's last step."""
    cdef Py_ssize_t at = b * s.steps + t, H = s.units, P = s.width
    row.c0 = row.c1 = NULL
    row.at = at
    row.x = s.x + at * s.inputs
    if s.numbers != NULL:
        row.z = s.z + s.numbers[at] * s.z_width
    else:
        row.z = s.z + (b * s.z_steps + t % s.z_steps) * s.z_width if s.z != NULL else NULL
    row.y = s.y + at * P if s.y != NULL else NULL
    row.mask = s.mask + b * P if s.mask != NULL else NULL
    row.prefetch = NULL
    if s.norm_h != NULL:  # layer normalisation
        row.scratch = s.norm_scratch + b * 2 * H
        row.norm_x = s.norm_x + at * s.saved * H if s.norm_x != NULL else row.z
        row.norm_h = s.norm_h + (at if s.gates != NULL else b) * s.saved * H
        row.norm_scales = s.norm_scales + at * 4 if s.norm_scales != NULL else NULL
    elif s.unprojected != NULL:
        row.unprojected = s.unprojected + (at if s.gates != NULL else b) * H
    if s.gates != NULL:
        row.gates = s.gates + at * s.saved * H
        row.h_in, row.h0 = s.h_in + at * P, s.h0 + at * P
        row.h1 = s.final_h + b * P if last else s.h0 + (at + 1) * P
        row.h_next = s.h_in + (at + 1) * P if s.mask != NULL and not last else NULL
        if s.c != NULL:
            row.c0 = s.c + (b * (s.steps + 1) + t) * H
            row.c1 = s.c + (b * (s.steps + 1) + t + 1) * H
    else:
        row.gates = s.scratch_gates + b * s.saved * H if s.scratch_gates != NULL else NULL
        if t == 0:
            row.h0 = s.initial_h + b * P if s.initial_h != NULL else s.zeros
        elif s.scratch_h == NULL:
            row.h0 = s.y + (at - 1) * P
        else:
            row.h0 = s.scratch_h + (((t - 1) & 1) * s.batch + b) * P
        row.h_in = row.h0
        row.h_next = NULL
        if last or s.scratch_h == NULL:
            row.h1 = s.final_h + b * P
        else:
            row.h1 = s.scratch_h + ((t & 1) * s.batch + b) * P
        if s.final_c != NULL:
            row.c0 = row.c1 = s.final_c + b * H
    if s.resets != NULL and s.resets[at]:
        row.h_in = row.h0 = row.c0 = s.zeros


cdef inline void locate_row_backward(const gw_sequence[floating] *s, gw_row[floating] *row,
                                     Py_ssize_t b, Py_ssize_t t) noexcept nogil:
    """The same, with the arrays of the backward pass."""
    locate_row(s, row, b, t, False)
    row.dy = s.dy + row.at * s.width if s.dy != NULL else NULL
    row.dh = s.dh + b * s.width
    row.d_projected = s.d_projected + row.at * s.width if s.d_projected != NULL else NULL
    row.sums = s.sums + b * s.sums_width if s.sums != NULL else NULL
    row.dc = s.dc + b * s.units if s.dc != NULL else NULL
    row.prefetch = row.gates - s.saved * s.units if t > 0 else NULL


cdef inline Py_ssize_t row_of(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    return s.order[i] if s.order != NULL else i


cdef inline Py_ssize_t length_of(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    return s.lengths[i] if s.lengths != NULL else s.steps


# ---- the two loops over time

cdef void start_row(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    """Copy the initial state into slot 0, and write zeros past the row's end."""
    cdef Py_ssize_t b = row_of(s, i), n = length_of(s, i), T = s.steps, H = s.units, P = s.width
    cdef Py_ssize_t at = b * T, j
    cdef Py_ssize_t size = H * sizeof(floating), size_h = P * sizeof(floating)
    cdef const floating *h = s.initial_h + b * P if s.initial_h != NULL else s.zeros
    if s.y != NULL:
        memset(s.y + (at + n) * P, 0, (T - n) * size_h)
    if n == 0:
        memcpy(s.final_h + b * P, h, size_h)
    if s.gates != NULL:
        memset(s.gates + (at + n) * s.saved * H, 0, (T - n) * s.saved * size)
        memset(s.h_in + (at + n) * P, 0, (T - n) * size_h)
        if s.norm_h != NULL:
            memset(s.norm_x + (at + n) * s.saved * H, 0, (T - n) * s.saved * size)
            memset(s.norm_h + (at + n) * s.saved * H, 0, (T - n) * s.saved * size)
        elif s.unprojected != NULL:
            memset(s.unprojected + (at + n) * H, 0, (T - n) * size)
            memset(s.d_projected + (at + n) * P, 0, (T - n) * size_h)
        if n > 0:
            memcpy(s.h0 + at * P, h, size_h)
            if s.mask != NULL:
                for j in range(P):
                    s.h_in[at * P + j] = h[j] * s.mask[b * P + j]
        if s.c != NULL:
            memcpy(s.c + b * (T + 1) * H, s.final_c + b * H, size)


cdef void finish_row(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    """Copy the final c out of the workspace."""
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
    """No gradient passes a cleared state."""
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
    """All steps of a band's rows. In a shared band: until another thread continues alone."""
    cdef const gw_sequence[floating] *s = band.s
    cdef Py_ssize_t i, k, t, still = band.end
    cdef int phase, phases = band.family.forward_phases(band.cell)
    run_phase(band, START, 0, 0)
    if s.attention != NULL:
        begin_rows(s, band.begin, band.end, False)
    for t in range(s.steps):
        while still > band.begin and length_of(s, still - 1) <= t:
            still -= 1
        if still == band.begin:
            break
        if band.cell.input_projected and s.numbers == NULL and t % PROJECTED_STEPS == 0:
            band.n = 0
            for i in range(band.begin, still):
                for k in range(t, min(t + PROJECTED_STEPS, length_of(s, i))):
                    locate_row(s, &band.rows[band.n], row_of(s, i), k, False)
                    band.n += 1
            run_phase(band, PROJECT, t, 0)
            if band.left:
                return
        band.n = still - band.begin
        for i in range(band.n):
            locate_row(s, &band.rows[i], row_of(s, band.begin + i), t,
                       length_of(s, band.begin + i) == t + 1)
        if s.attention != NULL:
            attend(s, band.rows, band.begin, band.n)
        for phase in range(phases):
            run_phase(band, FORWARD, t, phase)
            if band.left:
                return
    run_phase(band, FINISH, 0, 0)


cdef void backward_band(gw_band[floating] *band) noexcept nogil:
    """All steps of a band's rows from last to first."""
    cdef const gw_sequence[floating] *s = band.s
    cdef Py_ssize_t i, t
    cdef int phase, phases = band.family.backward_phases(band.cell)
    band.n = 0
    if s.attention != NULL:
        begin_rows(s, band.begin, band.end, True)
    for t in range(s.steps - 1, -1, -1):
        while band.begin + band.n < band.end and length_of(s, band.begin + band.n) > t:
            band.n += 1
        for i in range(band.n):
            locate_row_backward(s, &band.rows[i], row_of(s, band.begin + i), t)
        for phase in range(phases):
            run_phase(band, BACKWARD, t, phase)
            if band.left:
                return
        if s.attention != NULL:
            attend_backward(s, band.rows, band.begin, band.n)
    if s.attention != NULL:
        end_rows_backward(s, band.begin, band.end)


cdef enum Action:
    START, PROJECT, FORWARD, FINISH, BACKWARD


cdef void do_part(const gw_band[floating] *band, Action action, Py_ssize_t t, int phase,
                  int part) noexcept nogil:
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
        serpentine(band, action, t, phase, first, last)
    elif action == BACKWARD:
        serpentine(band, action, t, phase, first, last)
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


cdef void rows_of_phase(const gw_band[floating] *band, Action action, Py_ssize_t t, int phase,
                        int part) noexcept nogil:
    """A phase whose parts are rows, each with all of its units."""
    cdef Py_ssize_t first = part * band.n // band.parts, last = (part + 1) * band.n // band.parts
    if action == PROJECT:
        band.family.project(band.cell, band.rows + first, last - first, 0, band.s.units)
    elif action == FORWARD:
        band.family.forward(band.cell, band.rows + first, last - first, 0, band.s.units, phase)
    else:
        band.family.backward(band.cell, band.rows + first, last - first, 0, band.s.units, phase)


cdef inline Py_ssize_t width_of(const gw_sequence[floating] *s, Action action,
                                int phase) noexcept nogil:
    """Number of units that a phase has: of h if an LSTM projects and makes h or its gradient."""
    if s.width == s.units:
        return s.units
    if action == FORWARD:
        return s.width if phase == 1 else s.units
    return s.width if action == BACKWARD and phase != 1 else s.units


cdef inline void serpentine(const gw_band[floating] *band, Action action, Py_ssize_t t, int phase,
                            Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """A phase of a step for units [first, last), in pieces; every other step takes them in reverse.

    If every step began with the first piece, weights a little larger than a cache would push each
    other out of it. In this order a step finds in the cache what the step before has used last.
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


cdef inline void run_phase(gw_band[floating] *band, Action action, Py_ssize_t t,
                           int phase) noexcept nogil:
    """One phase: this thread's part first, then those of threads that are late.

    Returns when all parts are done, or when another thread has taken over all parts (band.left).
    """
    cdef int spins = 0
    cdef gw_int began = 0, now
    if band.parts == 1:
        do_part(band, action, t, phase, 0)
        return
    if gw_is_closed(band.counters, band.parts) and not band.alone:
        band.left = True
        return
    claim_and_do(band, action, t, phase, band.part)
    if band.alone:
        other_parts(band, action, t, phase)
    while not gw_phase_done(band.counters, band.parts, band.phase):
        if gw_hurries(lateness()) and not band.alone:
            close_meeting(band)
        if not gw_waited_long(&spins):
            continue
        other_parts(band, action, t, phase)
        if spins == GW_SHORT_WAIT:
            began = gw_nanoseconds()
        elif spins % GW_SHORT_WAIT == 0 and not band.alone:
            if gw_is_closed(band.counters, band.parts):
                band.left = True
                return
            now = gw_nanoseconds()
            if gw_too_long(now - began, now - band.began, band.phase):
                close_meeting(band)
    if began != 0:
        band.waited += gw_nanoseconds() - began
    band.phase += 1


cdef inline void close_meeting(gw_band[floating] *band) noexcept nogil:
    """This thread does all further parts, unless another one does so already."""
    band.alone = gw_close(band.counters, band.parts)
    if band.alone:
        gw_count_closing(lateness())


cdef inline void other_parts(gw_band[floating] *band, Action action, Py_ssize_t t,
                             int phase) noexcept nogil:
    """The parts of a phase that no thread has begun."""
    cdef int other
    for other in range(band.parts):
        claim_and_do(band, action, t, phase, other)


cdef inline void claim_and_do(gw_band[floating] *band, Action action, Py_ssize_t t, int phase,
                              int part) noexcept nogil:
    if gw_claim(band.counters, part, band.phase):
        do_part(band, action, t, phase, part)
        gw_part_done(band.counters)
        band.own += 1


cdef inline void unit_range(Py_ssize_t units, Py_ssize_t block, int part, int parts,
                            Py_ssize_t *first, Py_ssize_t *last) noexcept nogil:
    cdef Py_ssize_t blocks = (units + block - 1) // block
    first[0] = min(units, part * blocks // parts * block)
    last[0] = min(units, (part + 1) * blocks // parts * block)


cdef void thread_main(const gw_band[floating] *template, const Py_ssize_t *bound, int n_bands,
                      Py_ssize_t rows_each, bint backwards, int team, int member,
                      gw_watch *watch) noexcept nogil:
    """What one of `team` threads does.

    If the system has given fewer threads than asked for, no band is shared. The first thread notes
    in `watch` how long its work took.
    """
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
        band.alone = band.left = False
        if band.parts > 1:
            band.counters = template.counters + k * (2 + band.parts)
            band.began, band.waited, band.own = gw_nanoseconds(), 0, 0
        if backwards:
            mode = gw_flush_subnormals()
            backward_band(&band)
            gw_restore_float_mode(mode)
        else:
            forward_band(&band)
        k += step
    if member == 0 and team > 1:
        watch.worked, watch.waited, watch.own, watch.all = gw_nanoseconds(), 0, 1, team
        if band.parts > 1:
            watch.waited, watch.own, watch.all = band.waited, band.own, band.phase * team


cdef int run(const gw_family[floating] *family, const gw_cell[floating] *cell,
             const gw_sequence[floating] *s, lengths, int n_bands, int parts,
             bint backwards) except -1:
    """Spread the bands, and the parts of each, over threads."""
    cdef gw_band[floating] band
    cdef gw_row[floating] empty
    cdef Py_ssize_t whole[2]
    cdef Py_ssize_t *bound = whole
    cdef Py_ssize_t k, rows_each = s.batch
    cdef int count = n_bands * parts
    cdef gw_int first
    cdef gw_watch watch
    cdef cnp.ndarray places, counters
    whole[0], whole[1] = 0, s.batch
    if n_bands > 1:
        places = bands(s.batch, lengths, n_bands)
        bound, rows_each = <Py_ssize_t *>cnp.PyArray_DATA(places), 0
        for k in range(n_bands):
            rows_each = max(rows_each, bound[k + 1] - bound[k])
    if cell.input_projected and s.numbers == NULL:
        rows_each *= PROJECTED_STEPS
    cdef cnp.ndarray rows = np.empty(count * rows_each * sizeof(gw_row[floating]), np.uint8)
    band.family, band.cell, band.s, band.parts = family, cell, s, parts
    band.rows = <gw_row[floating] *>cnp.PyArray_DATA(rows)
    for k in range(count * rows_each):
        band.rows[k] = empty
    if parts > 1:
        counters = aligned_empty((n_bands * (2 + parts) * sizeof(gw_counter),), np.uint8)
        counters.fill(0)
        band.counters = <gw_counter *>cnp.PyArray_DATA(counters)
    if count == 1:
        with nogil:
            thread_main(&band, bound, 1, rows_each, backwards, 1, 0, NULL)
    else:
        first = gw_processor()
        watch = gw_open(count)
        with nogil, parallel(num_threads=count):
            if omp_get_thread_num() > 0:
                gw_move_from(first)
            thread_main(&band, bound, n_bands, rows_each, backwards, omp_get_num_threads(),
                        omp_get_thread_num(), &watch)
        gw_remember(lateness(), &watch)
    return 0
