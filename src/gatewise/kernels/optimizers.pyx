"""Optimizer steps over the flat parameter buffer: one pass, in fixed chunks spread over threads.

All arrays are 1-D, of one dtype and length, and updated in place. None leaves an option out.
Constants are computed in double and rounded once. ``decay`` is the weight decay times the learning
rate: p -= decay p comes before the step.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._table cimport gw_table, table32, table64

cnp.import_array()

cdef Py_ssize_t CHUNK = 16384  # elements; a multiple of every vector


def sgd(p, g, v, double lr, double momentum, bint nesterov, double decay=0, int threads=1):
    """v = momentum v - lr g; p += v (nesterov: p += momentum v - lr g); v None: p -= lr g."""
    if p.dtype == np.float32:
        _sgd[float](table32(), p, g, v, lr, momentum, nesterov, decay, threads)
    else:
        _sgd[double](table64(), p, g, v, lr, momentum, nesterov, decay, threads)


def rmsprop(p, g, v, g_mean, m, double lr, double rho, double momentum, double eps, double decay=0,
            int threads=1):
    """p -= lr g / sqrt(v + eps), v the mean square; g_mean: centered; m: with momentum."""
    if p.dtype == np.float32:
        _rmsprop[float](table32(), p, g, v, g_mean, m, lr, rho, 1 - rho, momentum, eps, decay,
                        threads)
    else:
        _rmsprop[double](table64(), p, g, v, g_mean, m, lr, rho, 1 - rho, momentum, eps, decay,
                         threads)


def adam(p, g, m, v, v_max, double lr, double lr_gradient, double beta1, double beta2, double eps,
         double decay=0, int threads=1):
    """p -= (lr m + lr_gradient g) / (sqrt(v) + eps); v_max: amsgrad.

    The rates already include the bias corrections.
    """
    if p.dtype == np.float32:
        _adam[float](table32(), p, g, m, v, v_max, lr, lr_gradient, beta1, 1 - beta1, beta2,
                     1 - beta2, eps, decay, threads)
    else:
        _adam[double](table64(), p, g, m, v, v_max, lr, lr_gradient, beta1, 1 - beta1, beta2,
                      1 - beta2, eps, decay, threads)


def adagrad(p, g, total, double lr, double eps, double decay=0, int threads=1):
    """total += g^2; p -= lr g / sqrt(total + eps)."""
    if p.dtype == np.float32:
        _adagrad[float](table32(), p, g, total, lr, eps, decay, threads)
    else:
        _adagrad[double](table64(), p, g, total, lr, eps, decay, threads)


def lion(p, g, m, double lr, double beta1, double beta2, double decay=0, int threads=1):
    """p -= lr sign(beta1 m + (1 - beta1) g), then m = beta2 m + (1 - beta2) g."""
    if p.dtype == np.float32:
        _lion[float](table32(), p, g, m, lr, beta1, 1 - beta1, beta2, 1 - beta2, decay, threads)
    else:
        _lion[double](table64(), p, g, m, lr, beta1, 1 - beta1, beta2, 1 - beta2, decay, threads)


def accumulate(total, g, int steps=0, int threads=1):
    """total += g; with the last of `steps` gradients, g = (total + g) / steps and total = 0."""
    if g.dtype == np.float32:
        _accumulate[float](table32(), total, g, steps, threads)
    else:
        _accumulate[double](table64(), total, g, steps, threads)


def average(p, mean, double momentum, bint overwrite=False, int threads=1):
    """mean = momentum mean + (1 - momentum) p; overwrite: then p = mean."""
    if p.dtype == np.float32:
        _average[float](table32(), p, mean, momentum, 1 - momentum, overwrite, threads)
    else:
        _average[double](table64(), p, mean, momentum, 1 - momentum, overwrite, threads)


cdef inline floating *part(floating *p, Py_ssize_t k) noexcept nogil:
    return p + k * CHUNK if p != NULL else NULL


cdef object _sgd(gw_table[floating] *table, p, g, v, floating lr, floating momentum, bint nesterov,
                 floating decay, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, typenum, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, typenum, 1, n)
    cdef floating *pv = <floating *>pointer_to(v, typenum, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.sgd(part(pp, k), part(pg, k), part(pv, k), min(CHUNK, n - k * CHUNK), lr, momentum,
                  nesterov, decay)
    return None


cdef object _rmsprop(gw_table[floating] *table, p, g, v, g_mean, m, floating lr, floating rho,
                     floating rest, floating momentum, floating eps, floating decay, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, typenum, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, typenum, 1, n)
    cdef floating *pv = <floating *>needed_pointer(v, typenum, 1, n)
    cdef floating *pc = <floating *>pointer_to(g_mean, typenum, 1, n)
    cdef floating *pm = <floating *>pointer_to(m, typenum, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.rmsprop(part(pp, k), part(pg, k), part(pv, k), part(pc, k), part(pm, k),
                      min(CHUNK, n - k * CHUNK), lr, rho, rest, momentum, eps, decay)
    return None


cdef object _adam(gw_table[floating] *table, p, g, m, v, v_max, floating lr, floating lr_gradient,
                  floating beta1, floating rest1, floating beta2, floating rest2, floating eps,
                  floating decay, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, typenum, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, typenum, 1, n)
    cdef floating *pm = <floating *>needed_pointer(m, typenum, 1, n)
    cdef floating *pv = <floating *>needed_pointer(v, typenum, 1, n)
    cdef floating *px = <floating *>pointer_to(v_max, typenum, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.adam(part(pp, k), part(pg, k), part(pm, k), part(pv, k), part(px, k),
                   min(CHUNK, n - k * CHUNK), lr, lr_gradient, beta1, rest1, beta2, rest2, eps,
                   decay)
    return None


cdef object _adagrad(gw_table[floating] *table, p, g, total, floating lr, floating eps,
                     floating decay, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, typenum, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, typenum, 1, n)
    cdef floating *ps = <floating *>needed_pointer(total, typenum, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.adagrad(part(pp, k), part(pg, k), part(ps, k), min(CHUNK, n - k * CHUNK), lr, eps,
                      decay)
    return None


cdef object _lion(gw_table[floating] *table, p, g, m, floating lr, floating beta1, floating rest1,
                  floating beta2, floating rest2, floating decay, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, typenum, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, typenum, 1, n)
    cdef floating *pm = <floating *>needed_pointer(m, typenum, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.lion(part(pp, k), part(pg, k), part(pm, k), min(CHUNK, n - k * CHUNK), lr, beta1,
                   rest1, beta2, rest2, decay)
    return None


cdef object _accumulate(gw_table[floating] *table, total, g, floating steps, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = g.shape[0], k
    cdef floating *ps = <floating *>needed_pointer(total, typenum, 1, n)
    cdef floating *pg = <floating *>needed_pointer(g, typenum, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.accumulate(part(ps, k), part(pg, k), min(CHUNK, n - k * CHUNK), steps)
    return None


cdef object _average(gw_table[floating] *table, p, mean, floating momentum, floating rest,
                     bint overwrite, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = p.shape[0], k
    cdef floating *pp = <floating *>needed_pointer(p, typenum, 1, n)
    cdef floating *pa = <floating *>needed_pointer(mean, typenum, 1, n)
    for k in prange((n + CHUNK - 1) // CHUNK, num_threads=threads, schedule="static", nogil=True,
                    use_threads_if=threads > 1 and n > CHUNK):
        table.average(part(pp, k), part(pa, k), min(CHUNK, n - k * CHUNK), momentum, rest,
                      overwrite)
    return None
