"""The dense product: y = act(x W + b), and its gradients.

Forward runs our own tiles, whose sums do not depend on the number of rows: a row's output has the
same bits alone and in any batch. The gradients are the large products of _products.pyx.
"""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._lateness cimport gw_note_part, gw_open, gw_remember, gw_watch, lateness
from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._products cimport make_piece, multiply
from gatewise.kernels._table cimport gw_activation, gw_piece, gw_table, table32, table64
from gatewise.kernels._memory import aligned_empty

cnp.import_array()

cdef Py_ssize_t ROW_BLOCK = 384  # rows that a thread takes at once; a multiple of every tile height


def pack(w, b=None):
    """Weights (I, N) and bias (N,) or None as `forward` reads them."""
    if w.dtype == np.float32:
        return _pack[float](table32(), w, b)
    return _pack[double](table64(), w, b)


def forward(x, packed, y, activation, int threads=1):
    """y (n, N) = act(x (n, I) W + b), W and b from `pack`; activation (kind, alpha, beta)."""
    if x.dtype == np.float32:
        _forward[float](table32(), x, packed, y, activation, threads)
    else:
        _forward[double](table64(), x, packed, y, activation, threads)


def backward(x, w, dz, d_w, d_b=None, dx=None, int threads=1):
    """Gradients from dz (n, N), the gradient before the activation.

    d_w (I, N) += x^T dz, d_b (N,) += column sums of dz, dx (n, I) = dz W^T. None: not wanted.
    """
    if x.dtype == np.float32:
        _backward[float](x, w, dz, d_w, d_b, dx, threads)
    else:
        _backward[double](x, w, dz, d_w, d_b, dx, threads)


cdef object _pack(gw_table[floating] *table, w, b):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t I = w.shape[0], N = w.shape[1]
    packed = aligned_empty((table.dense_size(I, N),), w.dtype)
    table.pack_dense(<const floating *>needed_pointer(w, typenum, 2, I, N),
                     <const floating *>pointer_to(b, typenum, 1, N), I, N,
                     <floating *>cnp.PyArray_DATA(packed))
    return packed


cdef object _forward(gw_table[floating] *table, x, packed, y, activation, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = x.shape[0], I = x.shape[1], N = y.shape[1]
    cdef Py_ssize_t blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK, k
    cdef const floating *px = <const floating *>needed_pointer(x, typenum, 2, n, I)
    cdef const floating *pw = <const floating *>needed_pointer(packed, typenum, 1,
                                                               table.dense_size(I, N))
    cdef floating *py = <floating *>needed_pointer(y, typenum, 2, n, N)
    cdef gw_activation[floating] f
    cdef gw_watch watch = gw_open(blocks)
    f.kind, f.alpha, f.beta = activation
    for k in prange(blocks, num_threads=threads, use_threads_if=threads > 1 and blocks > 1,
                    schedule="dynamic", chunksize=1, nogil=True):
        table.dense(px + k * ROW_BLOCK * I, pw, min(ROW_BLOCK, n - k * ROW_BLOCK), I, N, &f,
                    py + k * ROW_BLOCK * N)
        gw_note_part(&watch)
    if threads > 1 and blocks > 1:
        gw_remember(lateness(), &watch)
    return None


cdef object _backward(x, w, dz, d_w, d_b, dx, int threads, floating *tag=NULL):
    cdef int typenum = number_of(tag)
    cdef Py_ssize_t n = x.shape[0], I = w.shape[0], N = w.shape[1]
    cdef const floating *pz = <const floating *>needed_pointer(dz, typenum, 2, n, N)
    cdef gw_piece[floating] piece = make_piece(
        n, <const floating *>needed_pointer(x, typenum, 2, n, I), I, I, pz, N, N,
        <floating *>needed_pointer(d_w, typenum, 2, I, N), N,
        <floating *>pointer_to(d_b, typenum, 1, N)
    )
    multiply(&piece, 1, n, pz, N, N, <const floating *>needed_pointer(w, typenum, 2, I, N), I,
             <floating *>pointer_to(dx, typenum, 2, n, I), threads)
    return None
