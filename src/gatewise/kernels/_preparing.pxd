# The operations of a program, prepared.
from cython cimport floating

from gatewise.kernels._program cimport gw_program
from gatewise.kernels._table cimport gw_table


cdef class Ops:
    cdef object plan, dtype
    cdef Py_ssize_t rows
    cdef list packs, held, buffers, memories
    cdef object memory(self, tuple shape, dtype=*)


cdef object load_ops(Ops self, gw_program[floating] *p, const gw_table[floating] *table)
