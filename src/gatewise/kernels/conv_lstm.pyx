"""ConvLSTM: the loop over the steps of sequences of images (conv_lstm.h).

An image is a whole world: h' of its places reads that of the places around them. So a thread takes
an image through all its steps and never waits for another one. h' lies in memory with its padding,
and each step writes h where the next one reads it. The gradients of the weights are summed for a
number of shares of the batch that depends on its shape alone, and added in their order.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp
from libc.string cimport memcpy, memset

import numpy as np

from gatewise.kernels._lateness cimport gw_note_part, gw_open, gw_remember, gw_watch, lateness
from gatewise.kernels._memory cimport elements_of, needed_elements, needed_pointer, number_of
from gatewise.kernels._memory cimport pointer_to
from gatewise.kernels._planes cimport Plane, gw_band, gw_image_sequences, gw_pad
from gatewise.kernels._table cimport gw_activation, gw_conv_lstm, gw_table, table32, table64
from gatewise.kernels._memory import aligned_empty
from gatewise.kernels.convolution import shares_of

cnp.import_array()

cdef extern from "subnormal.h" nogil:
    ctypedef int gw_float_mode
    gw_float_mode gw_flush_subnormals()
    void gw_restore_float_mode(gw_float_mode)


class ConvLSTMWorkspace:
    """What a training pass saves: gates, c, and h' with its padding, of all steps."""

    gates = c = h = fits = None

    def __reduce__(self):  # scratch: a copy starts empty
        return ConvLSTMWorkspace, ()

    def prepare(self, batch, steps, Plane h_plane, filters, dtype):
        """Make room for (batch, steps) images with these windows of h'.

        The padding of h' holds zeros, which no pass overwrites. All else is undefined afterwards.
        """
        fits = (batch, steps, filters, np.dtype(dtype), h_plane.size, h_plane.padded)
        if self.fits == fits:
            return
        self.fits = None  # if memory is refused on the way, nothing fits
        places = h_plane.count[0] * h_plane.count[1]
        self.gates = aligned_empty((batch, steps, places, 4 * filters), dtype)
        self.c = aligned_empty((batch, steps + 1, places, filters), dtype)
        self.h = aligned_empty((batch, steps, h_plane.padded, filters), dtype)
        self.h.fill(0)
        self.fits = fits


def pack(kernel, recurrent_kernel, bias):
    """Weights (inputs, 4 * filters) of x and of h', and the bias or None, as `forward` reads them.
    """
    if kernel.dtype == np.float32:
        return _pack[float](table32(), kernel, recurrent_kernel, bias)
    return _pack[double](table64(), kernel, recurrent_kernel, bias)


def forward(x, Plane x_plane, Plane h_plane, packed, h, c, activations, *, y=None, lengths=None,
            resets=None, mask=None, workspace=None, int threads=1):
    """Run all steps.

    Parameters
    ----------
    x : ndarray (batch, steps, height, width, channels)
    x_plane, h_plane : Plane
        Windows of x and of h', whose number of places is the same.
    packed : from `pack`
    h, c : ndarray (batch, places, filters)
        INOUT: the initial states become the final ones.
    activations : (candidate, gates, output), each (kind, alpha, beta)
    y : ndarray (batch, steps, places, filters), optional
        OUT: h of each step; not written past a row's length.
    lengths : intp ndarray (batch,), optional
    resets : uint8 ndarray (batch, steps), optional
    mask : ndarray (batch, places, filters), optional
        Multipliers of h'.
    workspace : ConvLSTMWorkspace, prepared, optional
        OUT: what `backward` needs.
    threads : int
    """
    if x.dtype == np.float32:
        _forward[float](table32(), x, x_plane, h_plane, packed, h, c, activations, y, lengths,
                        resets, mask, workspace, threads)
    else:
        _forward[double](table64(), x, x_plane, h_plane, packed, h, c, activations, y, lengths,
                         resets, mask, workspace, threads)


def backward(x, Plane x_plane, Plane h_plane, Plane dx_plane, Plane dh_plane, turned_x, turned_h,
             workspace, dh, dc, activations, d_kernel, d_recurrent, d_bias, *, dy=None, dx=None,
             lengths=None, resets=None, mask=None, int threads=1):
    """The gradients of `forward`.

    Parameters
    ----------
    x, x_plane, h_plane, activations, lengths, resets, mask, threads
        As `forward` received them.
    dx_plane, dh_plane : Plane
        Windows over dz that give dx and dh'.
    turned_x, turned_h : ndarray
        Their weights; turned_x may be None if dx is.
    workspace : ConvLSTMWorkspace
        INOUT: the gates become dz.
    dh, dc : ndarray (batch, places, filters)
        INOUT: gradients of the final states become those of the initial ones.
    d_kernel, d_recurrent : ndarray (inputs, 4 * filters)
        Added to.
    d_bias : ndarray (4 * filters,), optional
        Added to.
    dy : ndarray (batch, steps, places, filters), optional
        Gradient of y; not read past a row's length.
    dx : ndarray of the shape of x, optional
        OUT; zeros past a row's length.
    """
    if x.dtype == np.float32:
        _backward[float](table32(), x, x_plane, h_plane, dx_plane, dh_plane, turned_x, turned_h,
                         workspace, dh, dc, activations, d_kernel, d_recurrent, d_bias, dy, dx,
                         lengths, resets, mask, threads)
    else:
        _backward[double](table64(), x, x_plane, h_plane, dx_plane, dh_plane, turned_x, turned_h,
                          workspace, dh, dc, activations, d_kernel, d_recurrent, d_bias, dy, dx,
                          lengths, resets, mask, threads)


cdef object _pack(gw_table[floating] *table, kernel, recurrent_kernel, bias):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t K = kernel.shape[0], U = recurrent_kernel.shape[0], N = kernel.shape[1]
    packed = aligned_empty((table.conv_lstm_size(N // 4, K, U),), kernel.dtype)
    table.conv_lstm_pack(
        N // 4, K, U, <const floating *>needed_pointer(kernel, typenum, 2, K, N),
        <const floating *>needed_pointer(recurrent_kernel, typenum, 2, U, N),
        <const floating *>pointer_to(bias, typenum, 1, N), <floating *>cnp.PyArray_DATA(packed)
    )
    return packed


cdef gw_image_sequences[floating] sequences(x, Plane x_plane, Plane h_plane, h, c, lengths, resets,
                                            mask, const floating *tag) except *:
    """What forward and backward have in common."""
    cdef gw_image_sequences[floating] s
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t B = x.shape[0], T = x.shape[1], F = h.shape[2]
    s.x_plane, s.h_plane = x_plane.plane, h_plane.plane
    s.steps, s.filters, s.padded = T, F, h_plane.padded
    s.image = x_plane.size[0] * x_plane.size[1] * x_plane.features
    s.places = h_plane.count[0] * h_plane.count[1]
    if x_plane.count != h_plane.count or h_plane.size != h_plane.count:
        raise AssertionError("kernel expects h' to have the places of the output")
    if lengths is not None and B and not (0 <= lengths.min() and lengths.max() <= T):
        raise AssertionError(f"kernel expects lengths of 0 to {T}")
    s.lengths = <const Py_ssize_t *>pointer_to(lengths, cnp.NPY_INTP, 1, B)
    s.resets = <const unsigned char *>pointer_to(resets, cnp.NPY_UINT8, 2, B, T)
    s.x = <const floating *>needed_elements(x, typenum, B * T * s.image)
    s.mask = <const floating *>pointer_to(mask, typenum, 3, B, s.places, F)
    s.h = <floating *>needed_pointer(h, typenum, 3, B, s.places, F)
    s.c = <floating *>needed_pointer(c, typenum, 3, B, s.places, F)
    return s


cdef object take_workspace(gw_image_sequences[floating] *s, workspace, Py_ssize_t B):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t N = B * s.steps * s.places * s.filters
    s.gates = <floating *>needed_elements(workspace.gates, typenum, 4 * N)
    s.saved_c = <floating *>needed_elements(workspace.c, typenum, N + B * s.places * s.filters)
    s.saved_h = <floating *>needed_elements(workspace.h, typenum,
                                            B * s.steps * s.padded * s.filters)


cdef gw_conv_lstm[floating] cell_of(const gw_image_sequences[floating] *s, activations) except *:
    """A step without its arrays."""
    cdef gw_conv_lstm[floating] step
    step.cell.units = step.cell.width = s.filters
    step.cell.act.kind, step.cell.act.alpha, step.cell.act.beta = activations[0]
    step.cell.gate.kind, step.cell.gate.alpha, step.cell.gate.beta = activations[1]
    step.cell.out.kind, step.cell.out.alpha, step.cell.out.beta = activations[2]
    step.x_windows, step.h_windows = s.x_plane.windows, s.h_plane.windows
    step.rows = s.h_plane.rows
    return step


cdef object _forward(gw_table[floating] *table, x, Plane x_plane, Plane h_plane, packed, h, c,
                     activations, y, lengths, resets, mask, workspace, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_image_sequences[floating] s = sequences[floating](
        x, x_plane, h_plane, h, c, lengths, resets, mask, NULL
    )
    cdef gw_conv_lstm[floating] step = cell_of[floating](&s, activations)
    cdef Py_ssize_t B = x.shape[0], P = s.places * s.filters, k
    cdef Py_ssize_t shares = min(B, 1 if threads == 1 else 4 * threads)
    cdef Py_ssize_t of_x = x_plane.scratch_size(s.x_plane.rows), size = of_x
    if B == 0:
        return None
    step.cell.weights = <const floating *>needed_pointer(
        packed, typenum, 1, table.conv_lstm_size(s.filters, x_plane.inputs, h_plane.inputs)
    )
    start = h if mask is None else h * mask
    zeros = np.zeros(P, x.dtype)
    s.start = <const floating *>cnp.PyArray_DATA(start)
    s.zeros = <const floating *>cnp.PyArray_DATA(zeros)
    s.y = <floating *>elements_of(y, typenum, B * s.steps * P)
    if workspace is None:
        size += 2 * s.padded * s.filters
    else:
        take_workspace[floating](&s, workspace, B)
    scratch = np.empty(shares * size, x.dtype)
    cdef floating *memory = <floating *>cnp.PyArray_DATA(scratch)
    cdef gw_watch watch = gw_open(shares)
    for k in prange(shares, num_threads=threads, use_threads_if=threads > 1 and shares > 1,
                    schedule="dynamic", chunksize=1, nogil=True):
        images_forward(table, &s, step, k * B // shares, (k + 1) * B // shares, of_x,
                       memory + k * size)
        gw_note_part(&watch)
    if threads > 1 and shares > 1:
        gw_remember(lateness(), &watch)
    return None


cdef void images_forward(gw_table[floating] *table, const gw_image_sequences[floating] *s,
                         gw_conv_lstm[floating] step, Py_ssize_t row, Py_ssize_t end,
                         Py_ssize_t of_x, floating *scratch) noexcept nogil:
    """All steps of the rows [row, end). `scratch`: x with its padding, then h' of two steps."""
    cdef Py_ssize_t P = s.places * s.filters, Q = s.padded * s.filters, t, n, at
    cdef Py_ssize_t inner = (s.h_plane.image.front[0] * s.h_plane.image.width
                             + s.h_plane.image.front[1]) * s.filters
    cdef floating *before
    cdef floating *after
    cdef floating *c
    cdef bint reset
    while row < end:
        n = s.lengths[row] if s.lengths != NULL else s.steps
        at = row * s.steps
        before = s.saved_h + at * Q if s.gates != NULL else scratch + of_x
        after = before + Q
        c = s.c + row * P
        if s.gates != NULL:
            memcpy(s.saved_c + (at + row) * P, c, P * sizeof(floating))
        else:
            memset(after, 0, Q * sizeof(floating))
        if n > 0:
            gw_pad(&s.h_plane.image, s.start + row * P, 0, s.h_plane.rows + s.h_plane.reach, before)
        step.h1 = s.h + row * P
        step.mask = s.mask + row * P if s.mask != NULL else NULL
        for t in range(n):
            reset = s.resets != NULL and s.resets[at + t]
            if reset:
                memset(before, 0, Q * sizeof(floating))
            if s.gates != NULL:
                c = s.saved_c + (at + row + t) * P
                step.gates = s.gates + (at + t) * 4 * P
                step.c1 = c + P
            else:
                step.c1 = c
            step.x = gw_band(&s.x_plane, s.x + (at + t) * s.image, 0, s.x_plane.rows, scratch)
            step.h, step.c0 = before, s.zeros if reset else c
            step.y = s.y + (at + t) * P if s.y != NULL else NULL
            step.h_next = after + inner if t + 1 < n else NULL
            table.conv_lstm_forward(&step)
            if s.gates != NULL:
                before, after = after, after + Q
            else:
                before, after = after, before
        if s.gates != NULL:
            memcpy(s.c + row * P, s.saved_c + (at + row + n) * P, P * sizeof(floating))
        row += 1


cdef object _backward(gw_table[floating] *table, x, Plane x_plane, Plane h_plane, Plane dx_plane,
                      Plane dh_plane, turned_x, turned_h, workspace, dh, dc, activations, d_kernel,
                      d_recurrent, d_bias, dy, dx, lengths, resets, mask, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_image_sequences[floating] s = sequences[floating](
        x, x_plane, h_plane, dh, dc, lengths, resets, mask, NULL
    )
    cdef gw_conv_lstm[floating] step = cell_of[floating](&s, activations)
    cdef Py_ssize_t B = x.shape[0], F = s.filters, P = s.places * F, k
    cdef Py_ssize_t K = x_plane.inputs, U = h_plane.inputs, sums = (K + U + 1) * 4 * F
    cdef Py_ssize_t shares = shares_of(B, sums)
    cdef Py_ssize_t of_x = x_plane.scratch_size(s.x_plane.rows)
    cdef Py_ssize_t of_h = dh_plane.scratch_size(dh_plane.plane.rows), size = of_x + of_h
    if B == 0:
        return None
    needed_pointer(d_kernel, typenum, 2, K, 4 * F)
    needed_pointer(d_recurrent, typenum, 2, U, 4 * F)
    pointer_to(d_bias, typenum, 1, 4 * F)
    zeros = np.zeros(P, x.dtype)
    s.zeros = <const floating *>cnp.PyArray_DATA(zeros)
    take_workspace[floating](&s, workspace, B)
    s.dy = <const floating *>elements_of(dy, typenum, B * s.steps * P)
    s.dh_plane = dh_plane.plane
    s.turned_h = <const floating *>needed_pointer(turned_h, typenum, 1,
                                                  table.dense_size(dh_plane.inputs, F))
    if dx is not None:
        s.dx_plane = dx_plane.plane
        s.dx = <floating *>needed_elements(dx, typenum, B * s.steps * s.image)
        s.turned_x = <const floating *>needed_pointer(
            turned_x, typenum, 1, table.dense_size(dx_plane.inputs, x_plane.features)
        )
        size += dx_plane.scratch_size(dx_plane.plane.rows)
    scratch = np.empty(shares * size, x.dtype)
    partial = np.zeros((shares, K + U + 1, 4 * F), x.dtype)
    cdef floating *memory = <floating *>cnp.PyArray_DATA(scratch)
    cdef floating *gradients = <floating *>cnp.PyArray_DATA(partial)
    cdef gw_watch watch = gw_open(shares)
    for k in prange(shares, num_threads=threads, use_threads_if=threads > 1 and shares > 1,
                    schedule="dynamic", chunksize=1, nogil=True):
        images_backward(table, &s, step, k * B // shares, (k + 1) * B // shares, of_x, of_h,
                        memory + k * size, gradients + k * sums, K, U)
        gw_note_part(&watch)
    if threads > 1 and shares > 1:
        gw_remember(lateness(), &watch)
    for k in range(shares):
        d_kernel += partial[k, :K]
        d_recurrent += partial[k, K:K + U]
        if d_bias is not None:
            d_bias += partial[k, K + U]
    return None


cdef void images_backward(gw_table[floating] *table, const gw_image_sequences[floating] *s,
                          gw_conv_lstm[floating] step, Py_ssize_t row, Py_ssize_t end,
                          Py_ssize_t of_x, Py_ssize_t of_h, floating *scratch, floating *gradients,
                          Py_ssize_t inputs, Py_ssize_t recurrent) noexcept nogil:
    """All steps of the rows [row, end). `scratch`: x with its padding, dz with that of dh' and dx.
    """
    cdef Py_ssize_t F = s.filters, P = s.places * F, Q = s.padded * F, t, n, at, k
    cdef gw_activation[floating] linear
    cdef floating *dz
    cdef floating *d_recurrent = gradients + inputs * 4 * F
    cdef floating *d_bias = d_recurrent + recurrent * 4 * F
    cdef bint reset
    cdef gw_float_mode mode = gw_flush_subnormals()
    while row < end:
        n = s.lengths[row] if s.lengths != NULL else s.steps
        at = row * s.steps
        step.dh, step.dc = s.h + row * P, s.c + row * P
        for t in range(n - 1, -1, -1):
            reset = s.resets != NULL and s.resets[at + t]
            step.gates = dz = s.gates + (at + t) * 4 * P
            step.c1 = s.saved_c + (at + row + t + 1) * P
            step.c0 = s.zeros if reset else s.saved_c + (at + row + t) * P
            step.dy = s.dy + (at + t) * P if s.dy != NULL else NULL
            table.conv_lstm_backward(&step)
            table.window_gradient(
                &s.x_plane.windows,
                gw_band(&s.x_plane, s.x + (at + t) * s.image, 0, s.x_plane.rows, scratch),
                step.rows, dz, 4 * F, gradients, d_bias
            )
            table.window_gradient(&s.h_plane.windows, s.saved_h + (at + t) * Q, step.rows, dz,
                                  4 * F, d_recurrent, NULL)
            if s.dx != NULL:
                table.correlate(
                    &s.dx_plane.windows,
                    gw_band(&s.dx_plane, dz, 0, s.dx_plane.rows, scratch + of_x + of_h),
                    s.dx_plane.rows, s.turned_x, s.x_plane.image.features, &linear,
                    s.dx + (at + t) * s.image
                )
            if reset:
                memset(step.dh, 0, P * sizeof(floating))
                memset(step.dc, 0, P * sizeof(floating))
                continue
            table.correlate(
                &s.dh_plane.windows, gw_band(&s.dh_plane, dz, 0, step.rows, scratch + of_x),
                step.rows, s.turned_h, F, &linear, step.dh
            )
            if s.mask != NULL:
                for k in range(P):
                    step.dh[k] *= s.mask[row * P + k]
        if s.dx != NULL and n < s.steps:
            memset(s.dx + (at + n) * s.image, 0, (s.steps - n) * s.image * sizeof(floating))
        row += 1
    gw_restore_float_mode(mode)
