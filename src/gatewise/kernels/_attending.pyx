"""Attention before each step of a walk, with h' (Bahdanau et al. 2015).

A row attends to a memory of its own, so that a band of rows takes all its steps without waiting, as
in any other walk (_walk.pyx). Step t of a row, for keys k_j and memory m_j, j = 1 .. M:

F1  q = h' W_q
F2  a = softmax over j of sum(v tanh(q + k_j))
F3  context = sum over j of a_j m_j; it is written into x_t, behind what x_t has already
B1  d_context = dz W_c^T + the gradient of the context as an output; W_c: its rows of the kernel
B2  da_j = d_context m_j,  ds = a (da - sum(a da))
B3  dq, and added for all steps: dk_j, dv (attention.h)
B4  dh' += dq W_q^T
After the steps: dm = a^T d_context for each row, dW_q = h'^T dq over all rows.
"""
from cython cimport floating
from libc.string cimport memcpy, memset
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._products cimport make_piece
from gatewise.kernels._sequence cimport gw_attending, gw_sequence
from gatewise.kernels._table cimport gw_activation, gw_int, gw_piece, gw_row, gw_table
from gatewise.kernels._table cimport table32, table64
from gatewise.kernels._memory import aligned_empty

cnp.import_array()


cdef class Attending:
    """What the steps of one call attend to, and what its backward pass finds.

    Parameters
    ----------
    memory : ndarray of shape (B, M, W)
    keys : ndarray of shape (B, M, F)
    lengths : intp ndarray of shape (B,) or None
        Steps of each memory, 0 to M. None: M.
    scale : ndarray of shape (F,)
        v.
    query : ndarray of shape (P, F)
        W_q, with P numbers in h.
    steps : int
        T steps of the call.
    read : int
        Numbers of x before the context, which takes its last W.

    Attributes
    ----------
    weights : ndarray of shape (B, T, M)
        Written by a forward call: a, zeros past the end of the memory.
    d_memory, d_keys, d_query : ndarray
        Written by the backward call: gradients, in the shapes of the arguments.
    d_scale : ndarray of shape (B, F)
        The same of each row.
    """

    def __init__(self, memory, keys, lengths, scale, query, Py_ssize_t steps, Py_ssize_t read):
        self.memory, self.keys, self.lengths, self.scale = memory, keys, lengths, scale
        self.query, self.read, self.held = query, read, []
        batch, most, features = keys.shape
        if lengths is not None and batch and not (0 <= lengths.min() and lengths.max() <= most):
            raise AssertionError(f"kernel expects lengths of 0 to {most}")
        self.weights = np.zeros((batch, steps, most), keys.dtype)
        self.queries = np.empty((batch, steps, features), keys.dtype)

    def begin_backward(self, d_contexts):
        """Make room for gradients; `d_contexts` (B, T, W) is that of the contexts, or None."""
        self.d_contexts = d_contexts
        self.d_memory, self.d_keys = np.zeros_like(self.memory), np.zeros_like(self.keys)
        self.d_scale = np.zeros((len(self.keys), self.keys.shape[2]), self.keys.dtype)
        self.d_query = np.zeros_like(self.query)
        self.d_queries = np.zeros_like(self.queries)


cdef inline gw_table[floating] *table(floating *_) noexcept nogil:
    if floating is float:
        return table32()
    else:
        return table64()


cdef floating *scratch(Attending attention, Py_ssize_t size, floating *_) except NULL:
    """New memory, which lives as long as `attention`."""
    cdef cnp.ndarray memory = aligned_empty((max(size, 1),), attention.keys.dtype)
    attention.held.append(memory)
    return <floating *>cnp.PyArray_DATA(memory)


cdef int describe_attention(gw_attending[floating] *a, gw_sequence[floating] *s,
                            Attending attention) except -1:
    """The arrays of a call."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef gw_table[floating] *t = table(<floating *>NULL)
    cdef Py_ssize_t B = s.batch, T = s.steps, P = s.width
    cdef Py_ssize_t M = attention.memory.shape[1], W = attention.memory.shape[2]
    cdef Py_ssize_t F = attention.keys.shape[2]
    if attention.read + W != s.inputs:
        raise AssertionError(f"kernel expects {s.inputs - W} numbers before the context")
    attention.held = []
    a.table, a.steps, a.features, a.width, a.read = t, M, F, W, attention.read
    a.memory = <const floating *>needed_pointer(attention.memory, typenum, 3, B, M, W)
    a.keys = <const floating *>needed_pointer(attention.keys, typenum, 3, B, M, F)
    a.scale = <const floating *>needed_pointer(attention.scale, typenum, 1, F)
    a.lengths = <const gw_int *>pointer_to(attention.lengths, cnp.NPY_INTP, 1, B)
    a.weights = <floating *>needed_pointer(attention.weights, typenum, 3, B, T, M)
    a.queries = <floating *>needed_pointer(attention.queries, typenum, 3, B, T, F)
    a.query = <const floating *>needed_pointer(attention.query, typenum, 2, P, F)
    a.h = scratch(attention, B * P, <floating *>NULL)
    a.q = scratch(attention, B * F, <floating *>NULL)
    s.attention = a
    return 0


cdef int prepare_attention(gw_attending[floating] *a, gw_sequence[floating] *s,
                           Attending attention) except -1:
    """What a forward call needs beside."""
    cdef gw_table[floating] *t = table(<floating *>NULL)
    describe_attention(a, s, attention)
    cdef Py_ssize_t B = s.batch, P = s.width, M = a.steps, F = a.features
    a.keys_size, a.memory_size = t.transposed_size(M, F), t.dense_size(M, a.width)
    a.packed_keys = scratch(attention, B * a.keys_size, <floating *>NULL)
    a.packed_memory = scratch(attention, B * a.memory_size, <floating *>NULL)
    cdef floating *packed = scratch(attention, t.dense_size(P, F), <floating *>NULL)
    t.pack_dense(a.query, NULL, P, F, packed)
    a.query = packed
    return 0


cdef int prepare_gradients(gw_attending[floating] *a, gw_sequence[floating] *s,
                           Attending attention, const floating *w_x, Py_ssize_t columns,
                           gw_piece[floating] *piece) except -1:
    """What a backward call needs beside, and the product that is dW_q."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t B = s.batch, T = s.steps, P = s.width
    describe_attention(a, s, attention)
    cdef gw_table[floating] *t = table(<floating *>NULL)
    cdef Py_ssize_t M = a.steps, F = a.features, W = a.width
    a.columns = columns
    a.d_contexts = <const floating *>pointer_to(attention.d_contexts, typenum, 3, B, T, W)
    a.d_memory = <floating *>needed_pointer(attention.d_memory, typenum, 3, B, M, W)
    a.d_keys = <floating *>needed_pointer(attention.d_keys, typenum, 3, B, M, F)
    a.d_scale = <floating *>needed_pointer(attention.d_scale, typenum, 2, B, F)
    a.d_queries = <floating *>needed_pointer(attention.d_queries, typenum, 3, B, T, F)
    a.d_read = scratch(attention, B * T * W, <floating *>NULL)
    a.dz = scratch(attention, B * columns, <floating *>NULL)
    a.dc = scratch(attention, B * W, <floating *>NULL)
    a.ds = scratch(attention, B * M, <floating *>NULL)
    a.memory_size = t.transposed_size(M, W)
    a.packed_memory = scratch(attention, B * a.memory_size, <floating *>NULL)
    cdef floating *packed = scratch(attention, t.transposed_size(P, F), <floating *>NULL)
    t.pack_transposed(a.query, P, F, packed)
    a.query = packed
    packed = scratch(attention, t.transposed_size(W, columns), <floating *>NULL)
    t.pack_transposed(w_x + a.read * columns, W, columns, packed)
    a.w_context = packed
    piece[0] = make_piece(
        B * T, s.h0, P, P, a.d_queries, F, F,
        <floating *>needed_pointer(attention.d_query, typenum, 2, P, F), F, <floating *>NULL,
    )
    return 0


cdef inline Py_ssize_t length_of(const gw_attending[floating] *a, Py_ssize_t b) noexcept nogil:
    return a.lengths[b] if a.lengths != NULL else a.steps


cdef inline Py_ssize_t row_of(const gw_sequence[floating] *s, Py_ssize_t i) noexcept nogil:
    return s.order[i] if s.order != NULL else i


cdef void begin_rows(const gw_sequence[floating] *s, Py_ssize_t begin, Py_ssize_t end,
                     bint backwards) noexcept nogil:
    """Pack the memory and keys of a band's rows."""
    cdef const gw_attending[floating] *a = s.attention
    cdef Py_ssize_t i, b, m
    for i in range(begin, end):
        b = row_of(s, i)
        m = length_of(a, b)
        if m == 0:
            continue
        if backwards:
            a.table.pack_transposed(a.memory + b * a.steps * a.width, m, a.width,
                                    a.packed_memory + b * a.memory_size)
            continue
        a.table.pack_transposed(a.keys + b * a.steps * a.features, m, a.features,
                                a.packed_keys + b * a.keys_size)
        a.table.pack_dense(a.memory + b * a.steps * a.width, NULL, m, a.width,
                           a.packed_memory + b * a.memory_size)


cdef void attend(const gw_sequence[floating] *s, const gw_row[floating] *rows, Py_ssize_t begin,
                 Py_ssize_t n) noexcept nogil:
    """F1 to F3 for the n rows of a band that have the present step, the first number `begin`."""
    cdef const gw_attending[floating] *a = s.attention
    cdef gw_activation[floating] linear
    cdef Py_ssize_t i, b, m, P = s.width, F = a.features
    cdef floating *h = a.h + begin * P
    cdef floating *q = a.q + begin * F
    cdef floating *weights
    cdef floating *context
    linear.kind, linear.alpha, linear.beta = 0, 0, 0
    for i in range(n):
        memcpy(h + i * P, rows[i].h0, P * sizeof(floating))
    a.table.dense(h, a.query, n, P, F, &linear, q)
    for i in range(n):
        b = rows[i].at // s.steps
        m = length_of(a, b)
        context = <floating *>s.x + rows[i].at * s.inputs + a.read
        if m == 0:
            memset(context, 0, a.width * sizeof(floating))
            continue
        weights = a.weights + rows[i].at * a.steps
        memcpy(a.queries + rows[i].at * F, q + i * F, F * sizeof(floating))
        a.table.additive_scores(q + i * F, a.packed_keys + b * a.keys_size, m, F, a.scale, 1,
                                weights)
        a.table.softmax(weights, weights, 1, m)
        a.table.dense(weights, a.packed_memory + b * a.memory_size, 1, m, a.width, &linear, context)


cdef void attend_backward(const gw_sequence[floating] *s, const gw_row[floating] *rows,
                          Py_ssize_t begin, Py_ssize_t n) noexcept nogil:
    """B1 to B4."""
    cdef const gw_attending[floating] *a = s.attention
    cdef Py_ssize_t i, j, b, m, at, P = s.width, F = a.features, W = a.width, M = a.steps
    cdef floating *dh = a.h + begin * P
    cdef floating *dq = a.q + begin * F
    cdef floating *dz = a.dz + begin * a.columns
    cdef floating *dc = a.dc + begin * W
    cdef floating *ds = a.ds + begin * M
    cdef floating *d_context
    cdef const floating *weights
    for i in range(n):
        memcpy(dz + i * a.columns, rows[i].gates, a.columns * sizeof(floating))
    a.table.input_gradient(dz, a.columns, n, a.columns, a.w_context, W, dc)
    for i in range(n):
        at = rows[i].at
        b = at // s.steps
        m = length_of(a, b)
        d_context, weights = a.d_read + at * W, a.weights + at * M
        memcpy(d_context, dc + i * W, W * sizeof(floating))
        if a.d_contexts != NULL:
            for j in range(W):
                d_context[j] += a.d_contexts[at * W + j]
        if m == 0:
            memset(dq + i * F, 0, F * sizeof(floating))
            continue
        a.table.input_gradient(d_context, W, 1, W, a.packed_memory + b * a.memory_size, m, ds)
        a.table.softmax_backward(weights, ds, ds, 1, m)
        a.table.additive_backward(a.queries + at * F, a.keys + b * M * F, m, F, a.scale, 1, ds,
                                  dq + i * F, a.d_keys + b * M * F, a.d_scale + b * F)
        memcpy(a.d_queries + at * F, dq + i * F, F * sizeof(floating))
    a.table.input_gradient(dq, F, n, F, a.query, P, dh)
    for i in range(n):
        for j in range(P):
            rows[i].dh[j] += dh[i * P + j]


cdef void end_rows_backward(const gw_sequence[floating] *s, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    """The gradient of the memory of a band's rows."""
    cdef const gw_attending[floating] *a = s.attention
    cdef gw_piece[floating] piece
    cdef Py_ssize_t i, b, n, m
    for i in range(begin, end):
        b = row_of(s, i)
        n, m = s.lengths[i] if s.lengths != NULL else s.steps, length_of(a, b)
        piece = make_piece(n, <const floating *>a.weights + b * s.steps * a.steps, a.steps, m,
                           <const floating *>a.d_read + b * s.steps * a.width, a.width, a.width,
                           a.d_memory + b * a.steps * a.width, a.width, <floating *>NULL)
        a.table.weight_gradient(&piece, 0, a.table.weight_tiles(&piece))
