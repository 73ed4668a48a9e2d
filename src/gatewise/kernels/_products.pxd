# The large products of a backward pass, shared by threads: our own tiles, or BLAS if it is faster.
from cython cimport floating

from gatewise.kernels._table cimport gw_piece

# Units or inputs from which BLAS is used (BLAS may then run: hold threads.single_threaded_blas()).
cdef enum:
    BLAS_FROM = 512

cdef gw_piece[floating] make_piece(Py_ssize_t n, const floating *a, Py_ssize_t lda, Py_ssize_t rows,
                                   const floating *z, Py_ssize_t ldz, Py_ssize_t columns,
                                   floating *w, Py_ssize_t ldw, floating *b) noexcept nogil
cdef object multiply(gw_piece[floating] *pieces, int count, Py_ssize_t n, const floating *z,
                     Py_ssize_t ldz, Py_ssize_t length, const floating *w, Py_ssize_t columns,
                     floating *dx, int threads)
