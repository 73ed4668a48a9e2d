"""Matrix products through SciPy's BLAS.

BLAS is column-major: a row-major (m, n) matrix is its (n, m). Sizes pass as ``int``; the layers
refuse any extent above 2**31 - 1 before a kernel is called.
"""
from scipy.linalg.cython_blas cimport dgemm, sgemm


cdef inline void gemm(char *ta, char *tb, int m, int n, int k, const floating *a, int lda,
                      const floating *b, int ldb, floating beta, floating *c,
                      int ldc) noexcept nogil:
    cdef floating one = 1
    if floating is float:
        sgemm(ta, tb, &m, &n, &k, &one, <float *>a, &lda, <float *>b, &ldb, &beta, c, &ldc)
    else:
        dgemm(ta, tb, &m, &n, &k, &one, <double *>a, &lda, <double *>b, &ldb, &beta, c, &ldc)


cdef void gemm_tn(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const floating *a, Py_ssize_t lda,
                  const floating *b, Py_ssize_t ldb, floating beta, floating *c,
                  Py_ssize_t ldc) noexcept nogil:
    gemm(b"N", b"T", <int>n, <int>m, <int>k, b, <int>ldb, a, <int>lda, beta, c, <int>ldc)


cdef void gemm_nt(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const floating *a, Py_ssize_t lda,
                  const floating *b, Py_ssize_t ldb, floating beta, floating *c,
                  Py_ssize_t ldc) noexcept nogil:
    gemm(b"T", b"N", <int>n, <int>m, <int>k, b, <int>ldb, a, <int>lda, beta, c, <int>ldc)
