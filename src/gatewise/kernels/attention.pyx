"""Attention over the rows of a batch: y = softmax(scores of query and key) value.

F1  s = scale q k^T, or s = sum(weight tanh(scale (q + k)))     query steps x value steps
F2  a = softmax(s) over the row's true value steps, or, if causal, over those up to the query's own
F3  y = (a mask) v
B1  dv = (a mask)^T dy
B2  da = (dy v^T) mask,  ds = a (da - sum(a da))
B3  dq = scale ds k,  dk = scale ds^T q, or the gradients of the sums (attention.h)

A thread takes one row of the batch at a time; forward, QUERIES steps of it. All products are the
tiles of dense.pyx and _products.pyx, over true steps only: a row's bits depend neither on its
neighbours, nor on padding, nor on the number of threads.
"""
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memmove, memset
cimport numpy as cnp

import numpy as np

from gatewise.kernels._lateness cimport gw_note_part, gw_open, gw_remember, gw_watch, lateness
from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._products cimport make_piece
from gatewise.kernels._table cimport gw_activation, gw_int, gw_piece, gw_table, table32, table64
from gatewise.kernels._memory import aligned_empty

cdef extern from "subnormal.h" nogil:
    ctypedef int gw_float_mode
    gw_float_mode gw_flush_subnormals()
    void gw_restore_float_mode(gw_float_mode)

cnp.import_array()

cdef Py_ssize_t QUERIES = 96  # steps of the query that a thread takes at once

cdef struct Shape:
    Py_ssize_t rows, queries, steps, features, width  # width: features of the value
    const gw_int *query_lengths  # NULL: all steps
    const gw_int *value_lengths
    bint causal


def forward(query, value, key, y, weights=None, *, query_lengths=None, value_lengths=None,
            additive=None, double scale=1, bint causal=False, mask=None, scores=None,
            int threads=1):
    """y (B, Q, V) = softmax(scores) value; zero past a row's end.

    Parameters
    ----------
    query : ndarray (B, Q, F), float32 or float64
    value : ndarray (B, T, V)
    key : ndarray (B, T, F)
    y : ndarray (B, Q, V)
        Written.
    weights : ndarray (B, Q, T), optional
        Written: what `backward` needs, one row's (true query steps, true value steps) from the
        beginning of its memory. `spread` puts them into their places.
    query_lengths, value_lengths : intp ndarray (B,), optional
        True steps of each row.
    additive : ndarray (F,), optional
        The scores are sum(additive * tanh(scale * (query + key))) instead of scale * products.
    scale : float
    causal : bool
        Step i attends to steps up to i only.
    mask : ndarray (B, Q, T), optional
        Multipliers of the weights: those of dropout.
    scores : ndarray (B, Q, T), optional
        Written: the products of query and key, before the scale, in the order of `weights`.
    """
    _need_within(query_lengths, query.shape[1])
    _need_within(value_lengths, value.shape[1])
    if query.dtype == np.float32:
        _forward[float](table32(), query, value, key, y, weights, query_lengths, value_lengths,
                        additive, scale, causal, mask, scores, threads)
    else:
        _forward[double](table64(), query, value, key, y, weights, query_lengths, value_lengths,
                         additive, scale, causal, mask, scores, threads)


def backward(query, value, key, weights, dy, d_query, d_value, d_key, *, query_lengths=None,
             value_lengths=None, additive=None, double scale=1, mask=None, d_kept=None,
             d_additive=None, d_scale=None, int threads=1):
    """Write the gradients of query, value and key.

    Arguments as in `forward`. `weights` become the gradients of the scores, before the scale.
    d_kept (B, Q, T), optional, is the gradient of weights * mask, each in its place (`spread`).
    With `additive`, d_additive (B, F) and d_scale (B,), float64, are written: each row's part.
    """
    _need_within(query_lengths, query.shape[1])
    _need_within(value_lengths, value.shape[1])
    if query.dtype == np.float32:
        _backward[float](table32(), query, value, key, weights, dy, d_query, d_value, d_key,
                         query_lengths, value_lengths, additive, scale, mask, d_kept, d_additive,
                         d_scale, threads)
    else:
        _backward[double](table64(), query, value, key, weights, dy, d_query, d_value, d_key,
                          query_lengths, value_lengths, additive, scale, mask, d_kept, d_additive,
                          d_scale, threads)


def spread(weights, query_lengths=None, value_lengths=None):
    """Put the weights of `forward` into their places (B, Q, T), in place; zero elsewhere."""
    cdef Py_ssize_t rows = weights.shape[0], queries = weights.shape[1], steps = weights.shape[2]
    cdef Py_ssize_t size = weights.dtype.itemsize, row, i, n, m
    cdef char *p = <char *>needed_pointer(weights, weights.dtype.num, 3, rows, queries, steps)
    cdef const gw_int *pq = <const gw_int *>pointer_to(query_lengths, cnp.NPY_INTP, 1, rows)
    cdef const gw_int *pv = <const gw_int *>pointer_to(value_lengths, cnp.NPY_INTP, 1, rows)
    _need_within(query_lengths, queries)
    _need_within(value_lengths, steps)
    for row in range(rows):
        n = queries if pq == NULL else pq[row]
        m = steps if pv == NULL else pv[row]
        memset(p + n * steps * size, 0, (queries - n) * steps * size)
        for i in range(n - 1, -1, -1):  # from the last one: none is overwritten before it moved
            memmove(p + i * steps * size, p + i * m * size, m * size)
            memset(p + (i * steps + m) * size, 0, (steps - m) * size)
        p += queries * steps * size


cdef object _need_within(lengths, Py_ssize_t steps):
    if lengths is not None and lengths.size and not (0 <= lengths.min()
                                                     and lengths.max() <= steps):
        raise AssertionError("kernel expects lengths within the steps")


cdef Shape shape_of(query, value, query_lengths, value_lengths, bint causal) except *:
    cdef Shape s
    s.rows, s.queries, s.features = query.shape[0], query.shape[1], query.shape[2]
    s.steps, s.width, s.causal = value.shape[1], value.shape[2], causal
    s.query_lengths = <const gw_int *>pointer_to(query_lengths, cnp.NPY_INTP, 1, s.rows)
    s.value_lengths = <const gw_int *>pointer_to(value_lengths, cnp.NPY_INTP, 1, s.rows)
    return s


cdef inline Py_ssize_t aligned(Py_ssize_t size) noexcept nogil:
    """The next multiple of a cache line, in numbers of either type."""
    return (size + 15) // 16 * 16


cdef object _forward(gw_table[floating] *table, query, value, key, y, weights, query_lengths,
                     value_lengths, additive, double scale, bint causal, mask, scores, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Shape s = shape_of(query, value, query_lengths, value_lengths, causal)
    cdef const floating *pq = <const floating *>needed_pointer(query, typenum, 3, s.rows, s.queries,
                                                               s.features)
    cdef const floating *pv = <const floating *>needed_pointer(value, typenum, 3, s.rows, s.steps,
                                                               s.width)
    cdef const floating *pk = <const floating *>needed_pointer(key, typenum, 3, s.rows, s.steps,
                                                               s.features)
    cdef floating *py = <floating *>needed_pointer(y, typenum, 3, s.rows, s.queries, s.width)
    cdef floating *pw = <floating *>pointer_to(weights, typenum, 3, s.rows, s.queries, s.steps)
    cdef const floating *pm = <const floating *>pointer_to(mask, typenum, 3, s.rows, s.queries,
                                                           s.steps)
    cdef floating *ps = <floating *>pointer_to(scores, typenum, 3, s.rows, s.queries, s.steps)
    cdef const floating *pa = <const floating *>pointer_to(additive, typenum, 1, s.features)
    cdef Py_ssize_t blocks = (s.queries + QUERIES - 1) // QUERIES, parts = s.rows * blocks, k
    cdef Py_ssize_t keys = aligned(table.transposed_size(s.steps, s.features))
    cdef Py_ssize_t values = aligned(table.dense_size(s.steps, s.width))
    cdef Py_ssize_t block = aligned(min(QUERIES, s.queries) * s.steps), size
    threads = max(1, min(threads, parts))
    size = keys + values + 2 * block
    memory = aligned_empty((threads, size), query.dtype)
    cdef floating *scratch = <floating *>cnp.PyArray_DATA(memory)
    cdef gw_watch watch = gw_open(parts)
    for k in prange(parts, num_threads=threads, use_threads_if=threads > 1, schedule="dynamic",
                    chunksize=1, nogil=True):
        forward_part(table, &s, k // blocks, k % blocks * QUERIES, pq, pv, pk, py, pw, pm, ps, pa,
                     <floating>scale, scratch + threadid() * size, keys, values, block)
        gw_note_part(&watch)
    if threads > 1:
        gw_remember(lateness(), &watch)
    return None


cdef void forward_part(gw_table[floating] *t, const Shape *s, Py_ssize_t row, Py_ssize_t first,
                       const floating *query, const floating *value, const floating *key,
                       floating *y, floating *weights, const floating *mask, floating *scores,
                       const floating *additive, floating scale, floating *packed_keys,
                       Py_ssize_t keys_size, Py_ssize_t values_size,
                       Py_ssize_t block_size) noexcept nogil:
    """Steps [first, first + QUERIES) of one row of the query."""
    cdef Py_ssize_t n = s.queries if s.query_lengths == NULL else s.query_lengths[row]
    cdef Py_ssize_t m = s.steps if s.value_lengths == NULL else s.value_lengths[row]
    cdef Py_ssize_t last = min(first + QUERIES, s.queries), i, seen
    cdef floating *packed_values = packed_keys + keys_size
    cdef floating *a = packed_values + values_size
    cdef floating *kept = a + block_size
    cdef gw_activation[floating] linear
    linear.kind, linear.alpha, linear.beta = 0, 0, 0
    n = min(n, last) - first
    if m == 0 or n < 0:
        n = 0
    y += (row * s.queries + first) * s.width
    memset(y + n * s.width, 0, (last - first - n) * s.width * sizeof(floating))
    if n == 0:
        return
    query += (row * s.queries + first) * s.features
    t.pack_transposed(key + row * s.steps * s.features, m, s.features, packed_keys)
    t.pack_dense(value + row * s.steps * s.width, NULL, m, s.width, packed_values)
    if weights != NULL:
        a = weights + row * s.queries * s.steps + first * m
    # F1
    if additive != NULL:
        for i in range(n):
            t.additive_scores(query + i * s.features, packed_keys, m, s.features, additive, scale,
                              a + i * m)
    else:
        t.input_gradient(query, s.features, n, s.features, packed_keys, m, a)
        if scores != NULL:
            memcpy(scores + row * s.queries * s.steps + first * m, a, n * m * sizeof(floating))
        if scale != 1:
            for i in range(n * m):
                a[i] *= scale
    # F2
    i = 0
    if s.causal:
        while i < n and first + i + 1 < m:
            seen = first + i + 1
            t.softmax(a + i * m, a + i * m, 1, seen)
            memset(a + i * m + seen, 0, (m - seen) * sizeof(floating))
            i += 1
    t.softmax(a + i * m, a + i * m, n - i, m)
    # F3
    if mask != NULL:
        multiply_masked(a, mask + (row * s.queries + first) * s.steps, s.steps, n, m, kept)
        a = kept
    t.dense(a, packed_values, n, m, s.width, &linear, y)


cdef inline void multiply_masked(const floating *a, const floating *mask, Py_ssize_t stride,
                                 Py_ssize_t n, Py_ssize_t m, floating *out) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(n):
        for j in range(m):
            out[i * m + j] = a[i * m + j] * mask[i * stride + j]


cdef object _backward(gw_table[floating] *table, query, value, key, weights, dy, d_query, d_value,
                      d_key, query_lengths, value_lengths, additive, double scale, mask, d_kept,
                      d_additive, d_scale, int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Shape s = shape_of(query, value, query_lengths, value_lengths, False)
    cdef const floating *pq = <const floating *>needed_pointer(query, typenum, 3, s.rows, s.queries,
                                                               s.features)
    cdef const floating *pv = <const floating *>needed_pointer(value, typenum, 3, s.rows, s.steps,
                                                               s.width)
    cdef const floating *pk = <const floating *>needed_pointer(key, typenum, 3, s.rows, s.steps,
                                                               s.features)
    cdef floating *pw = <floating *>needed_pointer(weights, typenum, 3, s.rows, s.queries, s.steps)
    cdef const floating *py = <const floating *>needed_pointer(dy, typenum, 3, s.rows, s.queries,
                                                               s.width)
    cdef floating *pdq = <floating *>needed_pointer(d_query, typenum, 3, s.rows, s.queries,
                                                    s.features)
    cdef floating *pdv = <floating *>needed_pointer(d_value, typenum, 3, s.rows, s.steps, s.width)
    cdef floating *pdk = <floating *>needed_pointer(d_key, typenum, 3, s.rows, s.steps, s.features)
    cdef const floating *pm = <const floating *>pointer_to(mask, typenum, 3, s.rows, s.queries,
                                                           s.steps)
    cdef const floating *pa = <const floating *>pointer_to(additive, typenum, 1, s.features)
    cdef const floating *pd = <const floating *>pointer_to(d_kept, typenum, 3, s.rows, s.queries,
                                                           s.steps)
    cdef floating *pda = NULL
    cdef double *pds = NULL
    if pa != NULL:
        pda = <floating *>needed_pointer(d_additive, typenum, 2, s.rows, s.features)
        pds = <double *>needed_pointer(d_scale, cnp.NPY_FLOAT64, 1, s.rows)
    cdef Py_ssize_t k, packed = aligned(max(table.transposed_size(s.steps, s.width),
                                            table.dense_size(s.steps, s.features)))
    cdef Py_ssize_t size
    threads = max(1, min(threads, s.rows))
    size = packed + aligned(s.queries * s.steps)
    memory = aligned_empty((threads, size), query.dtype)
    cdef floating *scratch = <floating *>cnp.PyArray_DATA(memory)
    cdef gw_watch watch = gw_open(s.rows)
    cdef gw_float_mode mode
    for k in prange(s.rows, num_threads=threads, use_threads_if=threads > 1, schedule="dynamic",
                    chunksize=1, nogil=True):
        mode = gw_flush_subnormals()
        backward_row(table, &s, k, pq, pv, pk, pw, py, pdq, pdv, pdk, pm, pd, pa, <floating>scale,
                     pda, pds, scratch + threadid() * size, packed)
        gw_restore_float_mode(mode)
        gw_note_part(&watch)
    if threads > 1:
        gw_remember(lateness(), &watch)
    return None


cdef void backward_row(gw_table[floating] *t, const Shape *s, Py_ssize_t row, const floating *query,
                       const floating *value, const floating *key, floating *weights,
                       const floating *dy, floating *d_query, floating *d_value, floating *d_key,
                       const floating *mask, const floating *d_kept, const floating *additive,
                       floating scale, floating *d_additive, double *d_scale, floating *packed,
                       Py_ssize_t packed_size) noexcept nogil:
    cdef Py_ssize_t n = s.queries if s.query_lengths == NULL else s.query_lengths[row]
    cdef Py_ssize_t m = s.steps if s.value_lengths == NULL else s.value_lengths[row], i, j
    cdef floating *work = packed + packed_size  # (n, m)
    cdef gw_activation[floating] linear
    cdef gw_piece[floating] piece
    linear.kind, linear.alpha, linear.beta = 0, 0, 0
    query += row * s.queries * s.features
    value += row * s.steps * s.width
    key += row * s.steps * s.features
    weights += row * s.queries * s.steps
    dy += row * s.queries * s.width
    d_query += row * s.queries * s.features
    d_value += row * s.steps * s.width
    d_key += row * s.steps * s.features
    if n == 0 or m == 0:
        n = m = 0
    memset(d_query + n * s.features, 0, (s.queries - n) * s.features * sizeof(floating))
    memset(d_value, 0, s.steps * s.width * sizeof(floating))
    memset(d_key, 0, s.steps * s.features * sizeof(floating))
    if additive != NULL:
        memset(d_additive + row * s.features, 0, s.features * sizeof(floating))
        d_scale[row] = 0
    if n == 0:
        return
    # B1
    if mask != NULL:
        mask += row * s.queries * s.steps
        multiply_masked(weights, mask, s.steps, n, m, work)
    piece = make_piece(n, <const floating *>(weights if mask == NULL else work), m, m, dy, s.width,
                       s.width, d_value, s.width, <floating *>NULL)
    t.weight_gradient(&piece, 0, t.weight_tiles(&piece))
    # B2
    t.pack_transposed(value, m, s.width, packed)
    t.input_gradient(dy, s.width, n, s.width, packed, m, work)
    if d_kept != NULL:
        d_kept += row * s.queries * s.steps
        for i in range(n):
            for j in range(m):
                work[i * m + j] += d_kept[i * s.steps + j]
    if mask != NULL:
        multiply_masked(work, mask, s.steps, n, m, work)
    t.softmax_backward(weights, work, weights, n, m)
    # B3
    if additive != NULL:
        for i in range(n):
            d_scale[row] += t.additive_backward(query + i * s.features, key, m, s.features,
                                                additive, scale, weights + i * m,
                                                d_query + i * s.features, d_key,
                                                d_additive + row * s.features)
        return
    if scale != 1:
        for i in range(n * m):
            work[i] = weights[i] * scale
        weights = work
    t.pack_dense(key, NULL, m, s.features, packed)
    t.dense(weights, packed, n, m, s.features, &linear, d_query)
    piece = make_piece(n, <const floating *>weights, m, m, query, s.features, s.features, d_key,
                       s.features, <floating *>NULL)
    t.weight_gradient(&piece, 0, t.weight_tiles(&piece))
