"""Losses over rows: the sum of their values, and its gradient.

Threads share fixed blocks of rows, so that the sum does not depend on their number.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._table cimport gw_int, gw_table, table32, table64

cnp.import_array()

cdef Py_ssize_t BLOCK = 16384  # elements, about, that a thread takes at once: whole rows

cdef enum Kind:
    SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, LOG_COSH, PERCENTAGE_ERROR, HINGE, SQUARED_HINGE
    BINARY_CROSSENTROPY, CATEGORICAL_CROSSENTROPY, SPARSE_CROSSENTROPY

KINDS = {"squared_error": SQUARED_ERROR, "absolute_error": ABSOLUTE_ERROR, "huber": HUBER,
         "log_cosh": LOG_COSH, "percentage_error": PERCENTAGE_ERROR, "hinge": HINGE,
         "squared_hinge": SQUARED_HINGE, "binary_crossentropy": BINARY_CROSSENTROPY,
         "categorical_crossentropy": CATEGORICAL_CROSSENTROPY,
         "sparse_crossentropy": SPARSE_CROSSENTROPY}


def total(kind, y, p, weights=None, double scale=1, gradient=None, int threads=1, double option=0):
    """Sum over rows of weight times value, a float.

    Parameters
    ----------
    kind : one of KINDS
        The cross-entropies start from scores.
    y : ndarray like p, or intp ndarray (n,) of classes within the columns for "sparse_crossentropy"
    p : ndarray (n, columns), at least one column
    weights : float64 ndarray (n,), optional
        A row of weight 0 is not looked at.
    scale : float
    gradient : ndarray like p, optional
        Written: scale times the gradient of the sum.
    option : float
        delta of "huber", smoothing of "sparse_crossentropy"; the others have none.
    """
    if p.dtype == np.float32:
        return _total[float](table32(), KINDS[kind], y, p, weights, scale, gradient, threads,
                             option)
    return _total[double](table64(), KINDS[kind], y, p, weights, scale, gradient, threads, option)


cdef object _total(gw_table[floating] *table, Kind kind, y, p, weights, double scale, gradient,
                   int threads, double option):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], columns = p.shape[1], rows = max(1, BLOCK // max(1, columns))
    cdef Py_ssize_t blocks = (n + rows - 1) // rows, k
    cdef const floating *pp = <const floating *>needed_pointer(p, typenum, 2, n, columns)
    cdef const double *pw = <const double *>pointer_to(weights, cnp.NPY_FLOAT64, 1, n)
    cdef floating *pg = <floating *>pointer_to(gradient, typenum, 2, n, columns)
    cdef const floating *py = NULL
    cdef const gw_int *classes = NULL
    if kind == SPARSE_CROSSENTROPY:
        classes = <const gw_int *>needed_pointer(y, cnp.NPY_INTP, 1, n)
        if n and not (0 <= y.min() and y.max() < columns):
            raise AssertionError("kernel expects classes within the columns")
    else:
        py = <const floating *>needed_pointer(y, typenum, 2, n, columns)
    cdef double[::1] parts = np.zeros(max(1, blocks))
    cdef double sum = 0
    for k in prange(blocks, num_threads=threads, use_threads_if=threads > 1 and blocks > 1,
                    schedule="static", nogil=True):
        parts[k] = block_total(table, kind, py, classes, pp, pw, scale, pg, k * rows,
                               min(rows, n - k * rows), columns, option)
    for k in range(blocks):
        sum += parts[k]
    return sum


cdef inline double block_total(gw_table[floating] *t, Kind kind, const floating *y,
                               const gw_int *classes, const floating *p, const double *weights,
                               double scale, floating *gradient, Py_ssize_t first, Py_ssize_t n,
                               Py_ssize_t columns, double option) noexcept nogil:
    cdef Py_ssize_t at = first * columns
    if weights != NULL:
        weights += first
    if gradient != NULL:
        gradient += at
    if kind == SQUARED_ERROR:
        return t.squared_error(y + at, p + at, weights, scale, n, columns, gradient)
    elif kind == ABSOLUTE_ERROR:
        return t.absolute_error(y + at, p + at, weights, scale, n, columns, gradient)
    elif kind == HUBER:
        return t.huber(y + at, p + at, weights, scale, n, columns, gradient, option)
    elif kind == LOG_COSH:
        return t.log_cosh(y + at, p + at, weights, scale, n, columns, gradient)
    elif kind == PERCENTAGE_ERROR:
        return t.percentage_error(y + at, p + at, weights, scale, n, columns, gradient)
    elif kind == HINGE:
        return t.hinge(y + at, p + at, weights, scale, n, columns, gradient)
    elif kind == SQUARED_HINGE:
        return t.squared_hinge(y + at, p + at, weights, scale, n, columns, gradient)
    elif kind == BINARY_CROSSENTROPY:
        return t.binary_crossentropy(y + at, p + at, weights, scale, n, columns, gradient)
    elif kind == CATEGORICAL_CROSSENTROPY:
        return t.categorical_crossentropy(y + at, p + at, weights, scale, n, columns, gradient)
    return t.sparse_crossentropy(classes + first, p + at, weights, scale, n, columns, gradient,
                                 option)
