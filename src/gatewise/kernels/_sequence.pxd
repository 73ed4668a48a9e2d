# The C++ structures of sequence.h: a call over whole sequences, and a band of its rows.
from gatewise.kernels._table cimport gw_cell, gw_family, gw_int, gw_row

from gatewise.kernels._table cimport gw_table

cdef extern from "attending.h" nogil:
    cdef cppclass gw_attending[R]:
        const gw_table[R] *table
        gw_int steps, features, width, read
        const gw_int *lengths
        const R *memory
        const R *keys
        const R *scale
        const R *query
        R *packed_keys
        R *packed_memory
        gw_int keys_size, memory_size
        R *weights
        R *queries
        R *h
        R *q
        const R *w_context
        gw_int columns
        const R *d_contexts
        R *d_read
        R *d_queries
        R *d_memory
        R *d_keys
        R *d_scale
        R *dz
        R *dc
        R *ds

cdef extern from "sequence.h" nogil:
    cdef cppclass gw_sequence[R]:
        gw_int batch, steps, inputs, units, width, saved, sums_width
        const gw_int *order
        const gw_int *lengths
        const unsigned char *resets
        const R *zeros
        const R *x
        R *z
        const int *numbers
        gw_int z_steps, z_width
        const gw_attending[R] *attention
        const R *initial_h
        const R *mask
        R *y
        R *final_h
        R *final_c
        R *scratch_h
        R *scratch_gates
        R *unprojected
        R *d_projected
        R *norm_x
        R *norm_h
        R *norm_scales
        R *norm_scratch
        R *gates
        R *h_in
        R *h0
        R *c
        const R *dy
        R *sums
        R *dh
        R *dc

    cdef cppclass gw_counter:
        pass

    cdef cppclass gw_band[R]:
        const gw_family[R] *family
        const gw_cell[R] *cell
        const gw_sequence[R] *s
        gw_row[R] *rows
        gw_int begin, end, n
        int part, parts
        gw_counter *counters
        gw_int phase
        bint alone, left
        gw_int began, waited, own
