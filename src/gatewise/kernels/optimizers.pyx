"""Optimizer steps over the flat parameter buffer: one pass, in fixed chunks spread over threads.

All arrays are 1-D, of one dtype and length, updated in place. None leaves an option out.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._table cimport gw_table, table32, table64

cnp.import_array()

cdef Py_ssize_t CHUNK = 16384  # elements; a multiple of every vector


def sgd(p, g, v, double lr, double momentum, bint nesterov, int threads=1):
    """v = momentum v - lr g; p += v (nesterov: p += momentum v - lr g); v None: p -= lr g."""
    if p.dtype == np.float32:
        _sgd[float](table32(), p, g, v, lr, momentum, nesterov, threads)
    else:
        _sgd[double](table64(), p, g, v, lr, momentum, nesterov, threads)


def rmsprop(p, g, v, g_mean, m, double lr, double rho, double momentum, double eps, int threads=1):
    """p -= lr g / sqrt(v + eps), v the mean square; g_mean: centered; m: with momentum."""
    if p.dtype == np.float32:
        _rmsprop[float](table32(), p, g, v, g_mean, m, lr, rho, momentum, eps, threads)
    else:
        _rmsprop[double](table64(), p, g, v, g_mean, m, lr, rho, momentum, eps, threads)


def adam(p, g, m, v, double lr, double beta1, double beta2, double eps, double decay, int threads=1):
    """p -= decay p, then p -= lr m / (sqrt(v) + eps); lr already holds the bias corrections."""
    if p.dtype == np.float32:
        _adam[float](table32(), p, g, m, v, lr, beta1, beta2, eps, decay, threads)
    else:
        _adam[double](table64(), p, g, m, v, lr, beta1, beta2, eps, decay, threads)


cdef inline floating *part(floating *p, Py_ssize_t k) noexcept nogil:
    return p + k * CHUNK if p != NULL else NULL


cdef object _sgd(gw_table[floating] *table, p, g, v, floating lr, floating momentum, bint nesterov, int threads):
    cdef int R = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, R, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, R, 1, n)
    cdef floating *pv = <floating *>pointer_to(v, R, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.sgd(part(pp, k), part(pg, k), part(pv, k), min(CHUNK, n - k * CHUNK), lr, momentum, nesterov)
    return None


cdef object _rmsprop(gw_table[floating] *table, p, g, v, g_mean, m, floating lr, floating rho, floating momentum,
                     floating eps, int threads):
    cdef int R = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, R, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, R, 1, n)
    cdef floating *pv = <floating *>needed_pointer(v, R, 1, n)
    cdef floating *pc = <floating *>pointer_to(g_mean, R, 1, n)
    cdef floating *pm = <floating *>pointer_to(m, R, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.rmsprop(part(pp, k), part(pg, k), part(pv, k), part(pc, k), part(pm, k), min(CHUNK, n - k * CHUNK),
                      lr, rho, momentum, eps)
    return None


cdef object _adam(gw_table[floating] *table, p, g, m, v, floating lr, floating beta1, floating beta2, floating eps,
                  floating decay, int threads):
    cdef int R = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, R, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, R, 1, n)
    cdef floating *pm = <floating *>needed_pointer(m, R, 1, n)
    cdef floating *pv = <floating *>needed_pointer(v, R, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.adam(part(pp, k), part(pg, k), part(pm, k), part(pv, k), min(CHUNK, n - k * CHUNK), lr, beta1, beta2,
                   eps, decay)
    return None
