"""Elementwise work over whole arrays, in fixed chunks spread over threads."""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport elements_of, needed_elements, needed_pointer
from gatewise.kernels._memory cimport number_of, pointer_to
from gatewise.kernels._table cimport gw_activation, gw_table, table32, table64

cnp.import_array()

cdef extern from "table.h" nogil:
    unsigned int GW_KEY_OF_C

cdef Py_ssize_t CHUNK = 16384  # elements; a multiple of every vector


def activate(x, y, activation, int threads=1):
    """y = act(x), elementwise; y may be x. activation (kind, alpha, beta)."""
    if x.dtype == np.float32:
        _activate[float](table32(), x, y, None, activation, threads)
    else:
        _activate[double](table64(), x, y, None, activation, threads)


def activate_backward(y, dy, dx, activation, int threads=1):
    """dx = dy * act'(x), from the output y; dx may be dy."""
    if y.dtype == np.float32:
        _activate[float](table32(), y, dx, dy, activation, threads)
    else:
        _activate[double](table64(), y, dx, dy, activation, threads)


def softmax(x, y, int threads=1):
    """y (n, columns) = softmax of each row of x; y may be x."""
    if x.dtype == np.float32:
        _softmax[float](table32(), x, y, None, threads)
    else:
        _softmax[double](table64(), x, y, None, threads)


def normalize(x, y, inverse, double epsilon, int threads=1):
    """Each row of x (n, columns) minus its mean, times 1 / sqrt(its variance + epsilon).

    y (n, columns) receives the rows, inverse (n,) the multipliers; y may be x.
    """
    if x.dtype == np.float32:
        _normalize[float](table32(), x, y, inverse, epsilon, threads)
    else:
        _normalize[double](table64(), x, y, inverse, epsilon, threads)


def softmax_backward(y, dy, dx, int threads=1):
    """dx (n, columns) = y (dy - sum(y dy)), from the output y; dx may be dy."""
    if y.dtype == np.float32:
        _softmax[float](table32(), y, dx, dy, threads)
    else:
        _softmax[double](table64(), y, dx, dy, threads)


def dropout_mask(draws, double rate, dtype, int threads=1):
    """Multipliers of dropout, an ndarray of dtype: 1 / (1 - rate) where draws >= rate, else 0.

    `draws` are float32 in [0, 1). If dtype is float32, they are overwritten and returned.
    """
    keep = draws if np.dtype(dtype) == np.float32 else np.empty(draws.shape, np.float64)
    if keep is draws:
        _dropout_mask[float](table32(), draws, rate, keep, threads)
    else:
        _dropout_mask[double](table64(), draws, rate, keep, threads)
    return keep


def zoneout_mask(shape, double rate, unsigned int key, dtype, bint of_c=False):
    """What zoneout draws for a batch: ndarray of 1 where the old value stays, else 0.

    Parameters
    ----------
    shape : (batch, steps, units)
    rate : float
    key : int
        The `zoneout_key` that the kernel was given.
    dtype : float32 or float64
    of_c : bool
        The draws of c, which differ from those of h.
    """
    kept = np.empty(shape, dtype)
    cdef Py_ssize_t at, n = shape[0] * shape[1], units = shape[2]
    cdef char *p = <char *>cnp.PyArray_DATA(kept)
    key ^= GW_KEY_OF_C if of_c else 0
    for at in range(n):
        if kept.dtype == np.float32:
            table32().zoneout_mask(key, at, rate, units, <float *>p + at * units)
        else:
            table64().zoneout_mask(key, at, rate, units, <double *>p + at * units)
    return kept


def first_nonfinite(x):
    """Flat index of the first NaN or infinity of a C-contiguous float array, or -1."""
    cdef Py_ssize_t n = x.size, at
    if x.dtype == np.float32:
        at = table32().first_nonfinite(<const float *>needed_elements(x, cnp.NPY_FLOAT32, n), n)
    else:
        at = table64().first_nonfinite(<const double *>needed_elements(x, cnp.NPY_FLOAT64, n), n)
    return -1 if at == n else at


def sum_of_squares(x, int threads=1):
    """Sum of squares of a 1-D float array, summed in float64 in an order that n alone decides."""
    if x.dtype == np.float32:
        return _sum_of_squares[float](table32(), x, threads)
    return _sum_of_squares[double](table64(), x, threads)


cdef object _normalize(gw_table[floating] *table, x, y, inverse, double epsilon, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = x.shape[0], columns = x.shape[1], k
    cdef const floating *px = <const floating *>needed_pointer(x, typenum, 2, n, columns)
    cdef floating *py = <floating *>needed_pointer(y, typenum, 2, n, columns)
    cdef floating *scales = <floating *>needed_pointer(inverse, typenum, 1, n)
    for k in prange(n, num_threads=threads, use_threads_if=threads > 1 and n > 1,
                    schedule="static", nogil=True):
        scales[k] = table.normalize(px + k * columns, py + k * columns, columns, <floating>epsilon)
    return None


cdef object _activate(gw_table[floating] *table, a, out, dy, activation, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = a.size, chunks = (n + CHUNK - 1) // CHUNK, k
    cdef const floating *pa = <const floating *>needed_elements(a, typenum, n)
    cdef const floating *pd = <const floating *>elements_of(dy, typenum, n)
    cdef floating *po = <floating *>needed_elements(out, typenum, n)
    cdef gw_activation[floating] f
    f.kind, f.alpha, f.beta = activation
    for k in prange(chunks, num_threads=threads, use_threads_if=threads > 1 and chunks > 1,
                    schedule="static", nogil=True):
        activate_chunk(table, &f, pa + k * CHUNK, pd + k * CHUNK if pd != NULL else NULL,
                       po + k * CHUNK, min(CHUNK, n - k * CHUNK))
    return None


cdef inline void activate_chunk(gw_table[floating] *table, const gw_activation[floating] *f,
                                const floating *a, const floating *dy, floating *out,
                                Py_ssize_t n) noexcept nogil:
    if dy == NULL:
        table.activate(f, a, out, n)
    else:
        table.activate_backward(f, a, dy, out, n)


cdef object _dropout_mask(gw_table[floating] *table, draws, double rate, keep, int threads):
    cdef Py_ssize_t n = draws.size, chunks = (n + CHUNK - 1) // CHUNK, k
    cdef const float *pd = <const float *>needed_elements(draws, cnp.NPY_FLOAT32, n)
    cdef floating *pk = <floating *>needed_elements(keep, number_of(<floating *>NULL), n)
    for k in prange(chunks, num_threads=threads, use_threads_if=threads > 1 and chunks > 1,
                    schedule="static", nogil=True):
        table.dropout_mask(pd + k * CHUNK, min(CHUNK, n - k * CHUNK), rate,
                           <floating>(1 / (1 - rate)), pk + k * CHUNK)
    return None


cdef object _softmax(gw_table[floating] *table, a, out, dy, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = a.shape[0], columns = a.shape[1], rows = max(1, CHUNK // max(1, columns)), k
    cdef Py_ssize_t chunks = (n + rows - 1) // rows
    cdef const floating *pa = <const floating *>needed_pointer(a, typenum, 2, n, columns)
    cdef const floating *pd = <const floating *>pointer_to(dy, typenum, 2, n, columns)
    cdef floating *po = <floating *>needed_pointer(out, typenum, 2, n, columns)
    for k in prange(chunks, num_threads=threads, use_threads_if=threads > 1 and chunks > 1,
                    schedule="static", nogil=True):
        softmax_rows(table, pa + k * rows * columns,
                     pd + k * rows * columns if pd != NULL else NULL, po + k * rows * columns,
                     min(rows, n - k * rows), columns)
    return None


cdef inline void softmax_rows(gw_table[floating] *table, const floating *a, const floating *dy,
                              floating *out, Py_ssize_t n, Py_ssize_t columns) noexcept nogil:
    if dy == NULL:
        table.softmax(a, out, n, columns)
    else:
        table.softmax_backward(a, dy, out, n, columns)


cdef object _sum_of_squares(gw_table[floating] *table, x, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = x.shape[0], chunks = (n + CHUNK - 1) // CHUNK, k
    cdef const floating *p = <const floating *>needed_pointer(x, typenum, 1, n)
    cdef double[::1] partial = np.zeros(max(1, chunks))
    cdef double total = 0
    for k in prange(chunks, num_threads=threads, use_threads_if=threads > 1 and chunks > 1,
                    schedule="static", nogil=True):
        partial[k] = table.sum_of_squares(p + k * CHUNK, min(CHUNK, n - k * CHUNK))
    for k in range(chunks):
        total += partial[k]
    return total
