"""Convolutions over images, and over each feature of a sequence (convolution.h, depthwise.h).

Threads share bands of rows of the images. Sums over positions, the gradients of weights, are made
for a number of shares of the batch that depends on its shape alone, and added in their order. So
the number of threads changes no bit.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._lateness cimport gw_note_part, gw_open, gw_remember, gw_watch, lateness
from gatewise.kernels._memory cimport needed_elements, needed_pointer, number_of
from gatewise.kernels._memory cimport pointer_to
from gatewise.kernels._planes cimport Plane, gw_band, gw_plane
from gatewise.kernels._table cimport gw_activation, gw_depthwise, gw_table, table32, table64

cnp.import_array()

cdef extern from "subnormal.h" nogil:
    ctypedef int gw_float_mode
    gw_float_mode gw_flush_subnormals()
    void gw_restore_float_mode(gw_float_mode)

cdef Py_ssize_t SHARES = 16           # of the sums over a batch, at most
cdef Py_ssize_t SHARED_SUMS = 1 << 22  # numbers of all their sums, at most, if there are over 2


def correlate(x, Plane plane, packed, y, activation, int threads=1):
    """y (n, rows, columns, filters) = act(windows of x W + b).

    x (n, height, width, features); W (inputs, filters) and b from `dense.pack`; activation (kind,
    alpha, beta).
    """
    if x.dtype == np.float32:
        _correlate[float](table32(), x, plane, packed, y, activation, threads)
    else:
        _correlate[double](table64(), x, plane, packed, y, activation, threads)


def weight_gradient(x, Plane plane, dz, d_w, d_b=None, int threads=1):
    """d_w (inputs, filters) += windows of x^T dz, d_b (filters,) += sums of dz, if it is wanted.

    x (n, height, width, features), dz (n, rows, columns, filters).
    """
    if x.dtype == np.float32:
        _weight_gradient[float](table32(), x, plane, dz, d_w, d_b, threads)
    else:
        _weight_gradient[double](table64(), x, plane, dz, d_w, d_b, threads)


def depthwise(x, w, b, y, Py_ssize_t stride, Py_ssize_t dilation, int threads=1):
    """y (n, count, features) = sum over k of x[:, t * stride + k * dilation] w[k] + b.

    x (n, steps, features) holds its padding; w (window, features), b (features,) or None.
    """
    if x.dtype == np.float32:
        _depthwise[float](table32(), x, w, b, y, stride, dilation, threads)
    else:
        _depthwise[double](table64(), x, w, b, y, stride, dilation, threads)


def depthwise_backward(x, w, dz, d_w, dx, Py_ssize_t stride, Py_ssize_t dilation, int threads=1):
    """d_w (window, features) += sums over rows and steps; dx += the gradient of x, if wanted."""
    if x.dtype == np.float32:
        _depthwise_backward[float](table32(), x, w, dz, d_w, dx, stride, dilation, threads)
    else:
        _depthwise_backward[double](table64(), x, w, dz, d_w, dx, stride, dilation, threads)


def shares_of(Py_ssize_t parts, Py_ssize_t sums):
    """Shares of a batch of so many parts, each of which sums `sums` numbers by itself."""
    return max(1, min(parts, SHARES, max(2, SHARED_SUMS // max(1, sums))))


cdef object _correlate(gw_table[floating] *table, x, Plane plane, packed, y, activation,
                       int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_plane *g = &plane.plane
    cdef Py_ssize_t n = x.shape[0], N = y.shape[3], k
    cdef Py_ssize_t image = plane.size[0] * plane.size[1] * plane.features
    cdef Py_ssize_t band = plane.band_rows(N), bands = (g.rows + band - 1) // band
    cdef Py_ssize_t parts = n * bands, row = g.windows.columns * N
    cdef Py_ssize_t shares = 1 if threads == 1 else min(parts, 4 * threads)
    cdef Py_ssize_t size = plane.scratch_size(band)
    scratch = np.empty(max(1, shares) * size, x.dtype)
    cdef const floating *px = <const floating *>needed_elements(x, typenum, n * image)
    cdef const floating *pw = <const floating *>needed_pointer(
        packed, typenum, 1, table.dense_size(plane.inputs, N)
    )
    cdef floating *py = <floating *>needed_elements(y, typenum, n * g.rows * row)
    cdef floating *ps = <floating *>cnp.PyArray_DATA(scratch)
    cdef gw_activation[floating] f
    cdef gw_watch watch = gw_open(shares)
    f.kind, f.alpha, f.beta = activation
    for k in prange(shares, num_threads=threads, use_threads_if=threads > 1 and shares > 1,
                    schedule="dynamic", chunksize=1, nogil=True):
        correlate_parts(table, g, px, image, pw, N, &f, py, band, bands, k * parts // shares,
                        (k + 1) * parts // shares, ps + k * size)
        gw_note_part(&watch)
    if threads > 1 and shares > 1:
        gw_remember(lateness(), &watch)
    return None


cdef void correlate_parts(gw_table[floating] *table, const gw_plane *g, const floating *x,
                          Py_ssize_t image, const floating *w, Py_ssize_t filters,
                          const gw_activation[floating] *f, floating *y, Py_ssize_t band,
                          Py_ssize_t bands, Py_ssize_t part, Py_ssize_t end,
                          floating *scratch) noexcept nogil:
    """Bands [part, end) of all images."""
    cdef Py_ssize_t row = g.windows.columns * filters, at, first, rows
    while part < end:
        at, first = part // bands, part % bands * band
        rows = min(band, g.rows - first)
        table.correlate(&g.windows, gw_band(g, x + at * image, first, rows, scratch), rows, w,
                        filters, f, y + (at * g.rows + first) * row)
        part += 1


cdef object _weight_gradient(gw_table[floating] *table, x, Plane plane, dz, d_w, d_b, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_plane *g = &plane.plane
    cdef Py_ssize_t n = x.shape[0], K = plane.inputs, N = d_w.shape[1], k
    cdef Py_ssize_t image = plane.size[0] * plane.size[1] * plane.features
    cdef Py_ssize_t band = plane.band_rows(N), bands = (g.rows + band - 1) // band
    cdef Py_ssize_t parts = n * bands, row = g.windows.columns * N, sums = (K + 1) * N
    cdef Py_ssize_t shares = shares_of(parts, sums), size = plane.scratch_size(band)
    needed_pointer(d_w, typenum, 2, K, N)
    pointer_to(d_b, typenum, 1, N)
    if parts == 0:
        return None
    scratch = np.empty(shares * size, x.dtype)
    partial = np.zeros((shares, K + 1, N), x.dtype)
    cdef const floating *px = <const floating *>needed_elements(x, typenum, n * image)
    cdef const floating *pz = <const floating *>needed_elements(dz, typenum, n * g.rows * row)
    cdef floating *ps = <floating *>cnp.PyArray_DATA(scratch)
    cdef floating *pp = <floating *>cnp.PyArray_DATA(partial)
    cdef gw_watch watch = gw_open(shares)
    for k in prange(shares, num_threads=threads, use_threads_if=threads > 1 and shares > 1,
                    schedule="dynamic", chunksize=1, nogil=True):
        gradient_parts(table, g, px, image, pz, N, pp + k * sums, pp + k * sums + K * N, band,
                       bands, k * parts // shares, (k + 1) * parts // shares, ps + k * size)
        gw_note_part(&watch)
    if threads > 1 and shares > 1:
        gw_remember(lateness(), &watch)
    for k in range(shares):
        d_w += partial[k, :K]
        if d_b is not None:
            d_b += partial[k, K]
    return None


cdef void gradient_parts(gw_table[floating] *table, const gw_plane *g, const floating *x,
                         Py_ssize_t image, const floating *dz, Py_ssize_t filters, floating *dw,
                         floating *db, Py_ssize_t band, Py_ssize_t bands, Py_ssize_t part,
                         Py_ssize_t end, floating *scratch) noexcept nogil:
    """The sums of bands [part, end) of all images."""
    cdef Py_ssize_t row = g.windows.columns * filters, at, first, rows
    cdef gw_float_mode mode = gw_flush_subnormals()
    while part < end:
        at, first = part // bands, part % bands * band
        rows = min(band, g.rows - first)
        table.window_gradient(&g.windows, gw_band(g, x + at * image, first, rows, scratch), rows,
                              dz + (at * g.rows + first) * row, filters, dw, db)
        part += 1
    gw_restore_float_mode(mode)


cdef gw_depthwise features_of(Py_ssize_t features, Py_ssize_t window, Py_ssize_t stride,
                              Py_ssize_t dilation, Py_ssize_t count) noexcept nogil:
    cdef gw_depthwise g
    g.features, g.window, g.stride, g.dilation, g.count = features, window, stride, dilation, count
    return g


cdef object check_reach(Py_ssize_t steps, const gw_depthwise *g):
    if g.count and (g.count - 1) * g.stride + g.dilation * (g.window - 1) >= steps:
        raise AssertionError(f"kernel expects windows within {steps} steps")


cdef object _depthwise(gw_table[floating] *table, x, w, b, y, Py_ssize_t stride,
                       Py_ssize_t dilation, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = x.shape[0], T = x.shape[1], F = x.shape[2], count = y.shape[1], k
    cdef gw_depthwise g = features_of(F, w.shape[0], stride, dilation, count)
    check_reach(T, &g)
    cdef const floating *px = <const floating *>needed_pointer(x, typenum, 3, n, T, F)
    cdef const floating *pw = <const floating *>needed_pointer(w, typenum, 2, g.window, F)
    cdef const floating *pb = <const floating *>pointer_to(b, typenum, 1, F)
    cdef floating *py = <floating *>needed_pointer(y, typenum, 3, n, count, F)
    for k in prange(n, num_threads=threads, use_threads_if=threads > 1 and n > 1,
                    schedule="static", nogil=True):
        table.depthwise(&g, px + k * T * F, pw, pb, py + k * count * F)
    return None


cdef object _depthwise_backward(gw_table[floating] *table, x, w, dz, d_w, dx, Py_ssize_t stride,
                                Py_ssize_t dilation, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = x.shape[0], T = x.shape[1], F = x.shape[2], count = dz.shape[1], k
    cdef gw_depthwise g = features_of(F, w.shape[0], stride, dilation, count)
    cdef Py_ssize_t sums = g.window * F, shares = shares_of(n, sums)
    check_reach(T, &g)
    needed_pointer(d_w, typenum, 2, g.window, F)
    if n == 0:
        return None
    partial = np.zeros((shares, g.window, F), x.dtype)
    cdef const floating *px = <const floating *>needed_pointer(x, typenum, 3, n, T, F)
    cdef const floating *pw = <const floating *>needed_pointer(w, typenum, 2, g.window, F)
    cdef const floating *pz = <const floating *>needed_pointer(dz, typenum, 3, n, count, F)
    cdef floating *pd = <floating *>pointer_to(dx, typenum, 3, n, T, F)
    cdef floating *pp = <floating *>cnp.PyArray_DATA(partial)
    for k in prange(shares, num_threads=threads, use_threads_if=threads > 1 and shares > 1,
                    schedule="dynamic", chunksize=1, nogil=True):
        depthwise_rows(table, &g, T, px, pw, pz, pp + k * sums, pd, k * n // shares,
                       (k + 1) * n // shares)
    for k in range(shares):
        d_w += partial[k]
    return None


cdef void depthwise_rows(gw_table[floating] *table, const gw_depthwise *g, Py_ssize_t steps,
                         const floating *x, const floating *w, const floating *dz, floating *dw,
                         floating *dx, Py_ssize_t row, Py_ssize_t end) noexcept nogil:
    cdef gw_float_mode mode = gw_flush_subnormals()
    cdef Py_ssize_t size = steps * g.features
    while row < end:
        table.depthwise_backward(g, x + row * size, w, dz + row * g.count * g.features, dw,
                                 dx + row * size if dx != NULL else NULL)
        row += 1
    gw_restore_float_mode(mode)
