# The one door to BLAS: row-major products of single-threaded calls, safe inside a parallel region.
from cython cimport floating

# c (m, n) = a^T b + beta c;  a (k, m), b (k, n): a sum over rows.
cdef void gemm_tn(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const floating *a, Py_ssize_t lda,
                  const floating *b, Py_ssize_t ldb, floating beta, floating *c,
                  Py_ssize_t ldc) noexcept nogil

# c (m, n) = a b^T + beta c;  a (m, k), b (n, k).
cdef void gemm_nt(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const floating *a, Py_ssize_t lda,
                  const floating *b, Py_ssize_t ldb, floating beta, floating *c,
                  Py_ssize_t ldc) noexcept nogil
