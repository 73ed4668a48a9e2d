"""CTC over the rows of a batch: each row is one thread's work from its first step to its last."""
from cython cimport floating
from cython.parallel cimport prange
from libc.math cimport INFINITY
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._table cimport gw_int, gw_table, table32, table64

cnp.import_array()


def scratch_size(Py_ssize_t steps, Py_ssize_t labels, Py_ssize_t columns, bint want_gradient):
    """Number of float64 elements that a thread needs; far below 2**63 for extents below 2**31."""
    return table64().ctc_size(steps, labels, columns, want_gradient)


def values(z, labels, counts, lengths=None, weights=None, Py_ssize_t blank=0,
           bint zero_infinity=False, double scale=1, gradient=None, int threads=1):
    """-log p(labels | z) of each row times its weight, float64 ndarray (B,).

    Parameters
    ----------
    z : ndarray (B, T, C), float32 or float64
        Scores before the softmax.
    labels : intp ndarray (B, L)
        Classes in [0, C), also past a row's count.
    counts : intp ndarray (B,)
        Labels in each row, at most L.
    lengths : intp ndarray (B,), optional
        Steps in each row, at most T.
    weights : float64 ndarray (B,), optional
        A row of weight 0 is not looked at.
    blank : int in [0, C)
    zero_infinity : bool
        A row with too few steps for its labels counts 0 instead of infinity.
    scale : float
    gradient : ndarray like z, optional
        Written: scale times the gradient of the sum of the values; 0 past a row's length.
    """
    if z.dtype == np.float32:
        return _values[float](table32(), z, labels, counts, lengths, weights, blank, zero_infinity,
                              scale, gradient, threads)
    return _values[double](table64(), z, labels, counts, lengths, weights, blank, zero_infinity,
                           scale, gradient, threads)


cdef object _values(gw_table[floating] *table, z, labels, counts, lengths, weights,
                    Py_ssize_t blank, bint zero_infinity, double scale, gradient, int threads):
    cdef int typenum = number_of(<floating *>NULL), k
    cdef Py_ssize_t rows = z.shape[0], steps = z.shape[1], columns = z.shape[2]
    cdef Py_ssize_t width = labels.shape[1], turn, row, size
    cdef const floating *pz = <const floating *>needed_pointer(z, typenum, 3, rows, steps, columns)
    cdef const gw_int *plabels = <const gw_int *>needed_pointer(labels, cnp.NPY_INTP, 2, rows,
                                                                width)
    cdef const gw_int *pcounts = <const gw_int *>needed_pointer(counts, cnp.NPY_INTP, 1, rows)
    cdef const gw_int *plengths = <const gw_int *>pointer_to(lengths, cnp.NPY_INTP, 1, rows)
    cdef const double *pweights = <const double *>pointer_to(weights, cnp.NPY_FLOAT64, 1, rows)
    cdef floating *pgradient = <floating *>pointer_to(gradient, typenum, 3, rows, steps, columns)
    _need_within("classes within the columns", labels, columns - 1)
    _need_within("counts within the labels", counts, width)
    _need_within("lengths within the steps", steps if lengths is None else lengths, steps)
    _need_within("a blank within the columns", blank, columns - 1)
    threads = max(1, min(threads, rows))
    size = table.ctc_size(steps, width, columns, gradient is not None)
    cdef double[:, ::1] scratch = np.empty((threads, size))
    found = np.zeros(rows)
    cdef double[::1] out = found
    for k in prange(threads, num_threads=threads, use_threads_if=threads > 1, schedule="static",
                    chunksize=1, nogil=True):
        for turn in range((rows - 1 - k) // threads + 1):
            row = k + turn * threads
            out[row] = one_row(table, pz + row * steps * columns, steps,
                               steps if plengths == NULL else plengths[row], columns,
                               plabels + row * width, pcounts[row], blank,
                               1 if pweights == NULL else pweights[row], zero_infinity, scale,
                               pgradient, row * steps * columns, &scratch[k, 0])
    return found


cdef object _need_within(what, numbers, Py_ssize_t last):
    numbers = np.asarray(numbers)
    if numbers.size and not (0 <= numbers.min() and numbers.max() <= last):
        raise AssertionError(f"kernel expects {what}")


cdef inline double one_row(gw_table[floating] *t, const floating *z, Py_ssize_t steps,
                           Py_ssize_t length, Py_ssize_t columns, const gw_int *labels,
                           Py_ssize_t count, Py_ssize_t blank, double weight, bint zero_infinity,
                           double scale, floating *gradient, Py_ssize_t at,
                           double *scratch) noexcept nogil:
    cdef Py_ssize_t first = 0 if weight == 0 else length, i
    cdef double value
    if gradient != NULL:
        gradient += at
        for i in range(first * columns, steps * columns):
            gradient[i] = 0
    if weight == 0:
        return 0
    value = t.ctc(z, length, columns, labels, count, blank, weight * scale, gradient, scratch)
    return 0 if zero_infinity and value == INFINITY else weight * value
