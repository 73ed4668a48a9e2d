"""One product of two matrices for each row of a batch: y_r = a_r b_r.

A thread takes a row at a time, with the tiles of dense.pyx: a row's bits depend neither on its
neighbours nor on the number of threads.
"""
from cython cimport floating
from cython.parallel cimport prange, threadid
cimport numpy as cnp

import numpy as np

from gatewise.kernels._lateness cimport gw_note_part, gw_open, gw_remember, gw_watch, lateness
from gatewise.kernels._memory cimport needed_pointer, number_of
from gatewise.kernels._table cimport gw_activation, gw_table, table32, table64
from gatewise.kernels._memory import aligned_empty

cnp.import_array()


def multiply(a, b, y, int threads=1):
    """y (B, n, N) = a (B, n, I) b (B, I, N), row by row of the batch; y is written."""
    if a.dtype == np.float32:
        _multiply[float](table32(), a, b, y, threads)
    else:
        _multiply[double](table64(), a, b, y, threads)


cdef object _multiply(gw_table[floating] *table, a, b, y, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t B = a.shape[0], n = a.shape[1], I = a.shape[2], N = b.shape[2], k
    cdef const floating *pa = <const floating *>needed_pointer(a, typenum, 3, B, n, I)
    cdef const floating *pb = <const floating *>needed_pointer(b, typenum, 3, B, I, N)
    cdef floating *py = <floating *>needed_pointer(y, typenum, 3, B, n, N)
    cdef Py_ssize_t size = (table.dense_size(I, N) + 15) // 16 * 16  # whole cache lines
    cdef gw_activation[floating] linear
    linear.kind, linear.alpha, linear.beta = 0, 0, 0
    threads = max(1, min(threads, B))
    memory = aligned_empty((threads, size), a.dtype)
    cdef floating *packed = <floating *>cnp.PyArray_DATA(memory)
    cdef gw_watch watch = gw_open(B)
    for k in prange(B, num_threads=threads, use_threads_if=threads > 1, schedule="dynamic",
                    chunksize=1, nogil=True):
        table.pack_dense(pb + k * I * N, NULL, I, N, packed + threadid() * size)
        table.dense(pa + k * n * I, packed + threadid() * size, n, I, N, &linear, py + k * n * N)
        gw_note_part(&watch)
    if threads > 1:
        gw_remember(lateness(), &watch)
    return None
