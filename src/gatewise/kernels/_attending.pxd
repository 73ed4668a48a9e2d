# Attention before each step of a walk.
from cython cimport floating

from gatewise.kernels._sequence cimport gw_attending, gw_sequence
from gatewise.kernels._table cimport gw_int, gw_piece, gw_row


cdef class Attending:
    cdef readonly object memory, keys, lengths, scale, query, weights, queries
    cdef readonly Py_ssize_t read
    cdef readonly object d_memory, d_keys, d_scale, d_query
    cdef object d_contexts, d_queries
    cdef list held

cdef int prepare_attention(gw_attending[floating] *a, gw_sequence[floating] *s,
                           Attending attention) except -1
cdef int prepare_gradients(gw_attending[floating] *a, gw_sequence[floating] *s,
                           Attending attention, const floating *w_x, Py_ssize_t columns,
                           gw_piece[floating] *piece) except -1
cdef void begin_rows(const gw_sequence[floating] *s, Py_ssize_t begin, Py_ssize_t end,
                     bint backwards) noexcept nogil
cdef void attend(const gw_sequence[floating] *s, const gw_row[floating] *rows, Py_ssize_t begin,
                 Py_ssize_t n) noexcept nogil
cdef void attend_backward(const gw_sequence[floating] *s, const gw_row[floating] *rows,
                          Py_ssize_t begin, Py_ssize_t n) noexcept nogil
cdef void end_rows_backward(const gw_sequence[floating] *s, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil
