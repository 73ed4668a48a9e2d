"""Sums of rows: rows added into those of a table, and the mean over the steps of each sequence.

Threads share what is independent, columns or sequences, and every sum is made in the order of its
rows. So the bits do not depend on the number of threads.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp
from libc.stdint cimport int32_t

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to

cnp.import_array()

cdef enum:
    COLUMNS = 16    # of a table that a thread takes at once: one cache line of float32
    FEATURES = 64   # of a sequence that are summed at once


def add_rows(numbers, rows, table, int threads=1):
    """table[numbers[i]] += rows[i] for each i in order.

    Parameters
    ----------
    numbers : int32 ndarray of shape (n,)
    rows : ndarray of shape (n, columns)
    table : ndarray of shape (m, columns)
    threads : int
    """
    cdef Py_ssize_t n = numbers.shape[0], m = table.shape[0], columns = table.shape[1]
    if n and not (0 <= numbers.min() and numbers.max() < m):
        raise AssertionError(
            f"kernel expects numbers of {m} rows, got {numbers.min()} to {numbers.max()}"
        )
    if table.dtype == np.float32:
        _add_rows[float](numbers, rows, table, n, m, columns, threads, NULL)
    else:
        _add_rows[double](numbers, rows, table, n, m, columns, threads, NULL)


cdef object _add_rows(numbers, rows, table, Py_ssize_t n, Py_ssize_t m, Py_ssize_t columns,
                      int threads, const floating *_):
    cdef int typenum = number_of(<floating *>NULL)
    cdef const int32_t *at = <const int32_t *>needed_pointer(numbers, cnp.NPY_INT32, 1, n)
    cdef const floating *source = <const floating *>needed_pointer(rows, typenum, 2, n, columns)
    cdef floating *target = <floating *>needed_pointer(table, typenum, 2, m, columns)
    # one thread reads whole rows
    cdef Py_ssize_t width = max(columns, 1) if threads == 1 else COLUMNS
    cdef Py_ssize_t blocks = (columns + width - 1) // width, k
    for k in prange(blocks, num_threads=threads, use_threads_if=threads > 1 and blocks > 1,
                    schedule="static", nogil=True):
        add_columns(at, source + k * width, target + k * width, n, columns,
                    min(width, columns - k * width))
    return None


cdef void add_columns(const int32_t *at, const floating *source, floating *target, Py_ssize_t n,
                      Py_ssize_t columns, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef floating *row
    for i in range(n):
        row = target + at[i] * columns
        for j in range(width):
            row[j] += source[i * columns + j]


def mean_of_steps(x, lengths, y, int threads=1):
    """Mean over the steps of each sequence.

    Parameters
    ----------
    x : ndarray of shape (batch, steps, features)
    lengths : intp ndarray of shape (batch,), optional
        Number of steps of each row that count, from 0 to steps. None: all steps.
    y : ndarray of shape (batch, features)
        Written: the means; zeros for a row without steps.
    threads : int
    """
    if (
        lengths is not None and lengths.size
        and not (0 <= lengths.min() and lengths.max() <= x.shape[1])
    ):
        raise AssertionError(
            f"kernel expects lengths of 0 to {x.shape[1]}, got {lengths.min()} to {lengths.max()}"
        )
    if x.dtype == np.float32:
        _mean_of_steps[float](x, lengths, y, threads, NULL)
    else:
        _mean_of_steps[double](x, lengths, y, threads, NULL)


cdef object _mean_of_steps(x, lengths, y, int threads, const floating *_):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t B = x.shape[0], T = x.shape[1], F = x.shape[2], b
    cdef const floating *source = <const floating *>needed_pointer(x, typenum, 3, B, T, F)
    cdef const Py_ssize_t *counts = <const Py_ssize_t *>pointer_to(lengths, cnp.NPY_INTP, 1, B)
    cdef floating *target = <floating *>needed_pointer(y, typenum, 2, B, F)
    for b in prange(B, num_threads=threads, use_threads_if=threads > 1 and B > 1, schedule="static",
                    nogil=True):
        mean_of_rows(source + b * T * F, counts[b] if counts != NULL else T, F, target + b * F)
    return None


cdef void mean_of_rows(const floating *x, Py_ssize_t n, Py_ssize_t features,
                       floating *y) noexcept nogil:
    """Summed in double, in the order of the rows."""
    cdef double sums[FEATURES]
    cdef Py_ssize_t block, first, t, j, width
    for block in range((features + FEATURES - 1) // FEATURES):
        first = block * FEATURES
        width = min(<Py_ssize_t>FEATURES, features - first)
        for j in range(width):
            sums[j] = 0
        for t in range(n):
            for j in range(width):
                sums[j] += x[t * features + first + j]
        for j in range(width):
            y[first + j] = <floating>(sums[j] / max(n, <Py_ssize_t>1))
