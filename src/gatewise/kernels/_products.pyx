"""The large products of a backward pass.

These are weight gradients, w += a^T z, and the gradient of the input, dx = z w^T. Measured on
Cascade Lake with AVX-512, one core, in GF/s: weight gradients of 64, 128, 256 and 650 rows take 98,
113, 100 and 81 with our tiles, and 48, 61, 77 and 91 with SciPy's OpenBLAS 0.3.30; dx is within
10 % from 128 columns up. OpenBLAS packs both operands of a tall product, while the tiles read them
in place. So tiles are used up to BLAS_FROM rows.

Every tile sums over n in the same order in whichever thread, and a BLAS call has a size that does
not depend on the number of threads.
"""
from cython.parallel cimport prange
cimport numpy as cnp

import numpy as np

from gatewise.kernels._blas cimport gemm_nt, gemm_tn
from gatewise.kernels._memory import BLAS_BUFFER, reserve
from gatewise.kernels._lateness cimport gw_note_part, gw_open, gw_remember, gw_watch, lateness
from gatewise.kernels._table cimport gw_table, table32, table64

cdef extern from "subnormal.h" nogil:
    ctypedef int gw_float_mode
    gw_float_mode gw_flush_subnormals()
    void gw_restore_float_mode(gw_float_mode)

cnp.import_array()

cdef Py_ssize_t BLAS_COLUMNS = 512  # of one BLAS call
cdef Py_ssize_t ROW_BLOCK = 384     # of dx; a multiple of every tile height


# OpenBLAS allocates a buffer for each thread that is in it, at the thread's first product, and
# keeps it. If the system refuses the memory, OpenBLAS tries again for ever, or ends the process. So
# blas_threads makes sure first that there is memory.
cdef bint has_buffer = False     # for one thread
cdef int most_threads = 0, trials = 0
# Number of calls with most_threads threads after which each has met the others in BLAS, so that all
# have their buffers.
cdef int TRIALS = 64


cdef int blas_threads(int threads) except -1:
    """Threads that BLAS has memory for: `threads`, or 1.

    Raises
    ------
    MemoryError
        There is none for one thread.
    """
    global has_buffer, most_threads, trials
    if not has_buffer:
        reserve(BLAS_BUFFER)
        first_product()
        has_buffer = True
    if threads > most_threads:
        most_threads, trials = threads, 0
    if threads > 1 and trials < TRIALS:
        try:
            reserve(threads * BLAS_BUFFER)
        except MemoryError:
            return 1
        if threads == most_threads:
            trials += 1
    return threads


cdef first_product():
    """A product that is too large for the products of small matrices, which take no buffer."""
    cdef float[:, ::1] a = np.ones((160, 160), np.float32), c = np.zeros((160, 160), np.float32)
    gemm_nt[float](160, 160, 160, &a[0, 0], 160, &a[0, 0], 160, 0, &c[0, 0], 160)


def uses_blas(Py_ssize_t inputs, Py_ssize_t units=0):
    """Whether a backward pass of these sizes calls BLAS."""
    return max(inputs, units) >= BLAS_FROM


cdef gw_piece[floating] make_piece(Py_ssize_t n, const floating *a, Py_ssize_t lda, Py_ssize_t rows,
                                   const floating *z, Py_ssize_t ldz, Py_ssize_t columns,
                                   floating *w, Py_ssize_t ldw, floating *b) noexcept nogil:
    """One weight gradient: w (rows, columns) += a^T z, b += column sums of z (NULL: not wanted)."""
    cdef gw_piece[floating] p
    p.n, p.a, p.lda, p.rows = n, a, lda, rows
    p.z, p.ldz, p.columns = z, ldz, columns
    p.w, p.ldw, p.b = w, ldw, b
    return p


cdef inline gw_table[floating] *table(floating *_) noexcept nogil:
    if floating is float:
        return table32()
    else:
        return table64()


cdef object multiply(gw_piece[floating] *pieces, int count, Py_ssize_t n, const floating *z,
                     Py_ssize_t ldz, Py_ssize_t length, const floating *w, Py_ssize_t columns,
                     floating *dx, int threads):
    """All weight gradients, then dx (n, columns) = z (n, length) w^T; dx NULL: not wanted."""
    cdef gw_table[floating] *t = table(<floating *>NULL)
    # Two shares for each thread, since threads run unevenly.
    cdef Py_ssize_t shares = threads if threads == 1 else 2 * threads
    cdef Py_ssize_t row_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK if dx != NULL else 0
    cdef Py_ssize_t blas_calls = 0, k
    cdef bint tiled = columns < BLAS_FROM
    cdef floating *packed = NULL
    cdef cnp.ndarray memory
    cdef gw_float_mode mode
    for k in range(count):
        blas_calls += calls_of(&pieces[k])
    if blas_calls or (dx != NULL and not tiled):
        threads = blas_threads(threads)
        shares = threads if threads == 1 else 2 * threads
    if dx != NULL and tiled:
        memory = np.empty(t.transposed_size(columns, length),
                          np.float32 if floating is float else np.float64)
        packed = <floating *>cnp.PyArray_DATA(memory)
        t.pack_transposed(w, columns, length, packed)
    cdef gw_watch watch = gw_open(shares + blas_calls + row_blocks)
    for k in prange(shares + blas_calls + row_blocks, num_threads=threads,
                    use_threads_if=threads > 1, schedule="dynamic", chunksize=1, nogil=True):
        mode = gw_flush_subnormals()
        if k < shares:
            weight_share(t, pieces, count, k, shares)
        elif k < shares + blas_calls:
            weight_call(pieces, k - shares)
        else:
            input_rows(t, k - shares - blas_calls, n, z, ldz, length, w, packed, columns, dx)
        gw_restore_float_mode(mode)
        gw_note_part(&watch)
    if threads > 1:
        gw_remember(lateness(), &watch)
    return None


cdef inline bint is_tiled(const gw_piece[floating] *p) noexcept nogil:
    return p.rows < BLAS_FROM


cdef inline Py_ssize_t calls_of(const gw_piece[floating] *p) noexcept nogil:
    return 0 if is_tiled(p) else (p.columns + BLAS_COLUMNS - 1) // BLAS_COLUMNS


cdef void weight_share(gw_table[floating] *t, const gw_piece[floating] *pieces, int count,
                       Py_ssize_t share, Py_ssize_t shares) noexcept nogil:
    """One of `shares` parts of all tiles, with equally long sums in all."""
    cdef Py_ssize_t total = 0, first, last, begin = 0, tiles, n
    cdef int k
    for k in range(count):
        if is_tiled(&pieces[k]):
            total += t.weight_tiles(&pieces[k]) * max(pieces[k].n, <Py_ssize_t>1)
    first, last = share * total // shares, (share + 1) * total // shares
    for k in range(count):
        if is_tiled(&pieces[k]):
            tiles, n = t.weight_tiles(&pieces[k]), max(pieces[k].n, <Py_ssize_t>1)
            if first < begin + tiles * n and last > begin:
                t.weight_gradient(&pieces[k], max(first - begin, 0) // n,
                                  min((last - begin) // n, tiles))
            begin += tiles * n


cdef void weight_call(const gw_piece[floating] *pieces, Py_ssize_t call) noexcept nogil:
    """Columns of one large weight gradient and of its bias, by BLAS."""
    cdef const gw_piece[floating] *p = pieces
    while call >= calls_of(p):
        call -= calls_of(p)
        p += 1
    cdef Py_ssize_t first = call * BLAS_COLUMNS, columns = min(BLAS_COLUMNS, p.columns - first)
    gemm_tn(p.rows, columns, p.n, p.a, p.lda, p.z + first, p.ldz, <floating>1, p.w + first, p.ldw)
    if p.b != NULL:
        table(<floating *>NULL).add_column_sums(p.z + first, p.n, p.ldz, columns, p.b + first)


cdef void input_rows(gw_table[floating] *t, Py_ssize_t block, Py_ssize_t n, const floating *z,
                     Py_ssize_t ldz, Py_ssize_t length, const floating *w, const floating *packed,
                     Py_ssize_t columns, floating *dx) noexcept nogil:
    """Rows of dx."""
    cdef Py_ssize_t first = block * ROW_BLOCK, rows = min(ROW_BLOCK, n - first)
    if packed != NULL:
        t.input_gradient(z + first * ldz, ldz, rows, length, packed, columns, dx + first * columns)
    else:
        gemm_nt(rows, columns, length, z + first * ldz, ldz, w, length, <floating>0,
                dx + first * columns, columns)
