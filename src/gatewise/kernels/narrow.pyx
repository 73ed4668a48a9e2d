"""Matrices of weights that are narrower than float32, and their products with a few rows."""
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer
from gatewise.kernels._table cimport GW_BFLOAT16, GW_INT8, table32
from gatewise.kernels._memory import aligned_empty
from gatewise.kernels.narrow_weights import bfloat16, int8, panels

cnp.import_array()

cdef extern from "table.h" nogil:
    Py_ssize_t GW_NARROW_BLOCK


cdef class NarrowMatrix:
    """Weights (inputs, columns) of float32, as bfloat16 or int8, packed for products.

    Parameters
    ----------
    w : ndarray of float32, shape (inputs, columns)
    storage : {"bfloat16", "int8"}
    """

    def __init__(self, w, str storage):
        cdef Py_ssize_t columns = table32().narrow_columns()
        self.storage = storage
        self.inputs, self.columns = w.shape
        self.matrix.inputs, self.matrix.columns = self.inputs, self.columns
        if storage == "bfloat16":
            self.matrix.storage = GW_BFLOAT16
            self.panels = _aligned(panels(bfloat16(w), columns, 2))
        else:
            self.matrix.storage = GW_INT8
            numbers, scales = int8(w)
            self.panels = _aligned(panels(numbers, columns, 4))
            width = (self.columns + columns - 1) // columns * columns
            self.scales = np.zeros(width, np.float32)
            self.scales[:self.columns] = scales
            self.sums = _sums(numbers, width)
            self.matrix.scales = <const float *>cnp.PyArray_DATA(self.scales)
            self.matrix.sums = <const int *>cnp.PyArray_DATA(self.sums)
        self.matrix.panels = cnp.PyArray_DATA(self.panels)

    @property
    def nbytes(self):
        """Bytes of the weights, int."""
        return self.panels.nbytes

    def add_product(self, x, z, bint backwards=False):
        """z (n, columns) += x (n, inputs) times the weights; backwards: last panel first."""
        cdef Py_ssize_t n = x.shape[0], stride = table32().narrow_given(&self.matrix), r
        cdef const float *px = <const float *>needed_pointer(x, cnp.NPY_FLOAT32, 2, n, self.inputs)
        cdef float *pz = <float *>needed_pointer(z, cnp.NPY_FLOAT32, 2, n, self.columns)
        given = aligned_empty((n, stride), np.uint8)
        cdef unsigned char *pg = <unsigned char *>cnp.PyArray_DATA(given)
        with nogil:
            for r in range(n):
                table32().narrow_give(&self.matrix, px + r * self.inputs, pg + r * stride)
            table32().narrow_product(&self.matrix, pg, stride, n, pz, self.columns, backwards)


cdef class NarrowSums:
    """Sums b + x W + h' U, whose weights are narrow: parts of their columns one after the other.

    Parameters
    ----------
    parts : list of (ndarray of float32 (inputs, columns), bool, int)
        Weights, at most 3; whether they multiply h' instead of x; the first of their columns.
    bias : ndarray of float32, shape (columns,)
    storage : {"bfloat16", "int8"}
    """

    def __init__(self, list parts, bias, str storage):
        cdef NarrowMatrix matrix
        cdef int k
        self.bias, self.columns, self.count = bias, len(bias), len(parts)
        self.matrices = []
        for k, (w, of_h, first) in enumerate(parts):
            matrix = NarrowMatrix(np.ascontiguousarray(w), storage)
            self.matrices.append(matrix)
            self.parts[k].matrix = &matrix.matrix
            self.parts[k].of_h, self.parts[k].first = of_h, first
            self.parts[k].gives = k == 0 or of_h != parts[k - 1][1]
            self.given = max(self.given, table32().narrow_given(&matrix.matrix))

    @property
    def nbytes(self):
        """Bytes of the weights, int."""
        return sum(matrix.nbytes for matrix in self.matrices)


cdef object _aligned(array):
    """The array on a cache line."""
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


cdef object _sums(numbers, Py_ssize_t width):
    """For each block of inputs, the sums of each column times 32768, in 32 bits."""
    inputs, columns = numbers.shape
    blocks = range(0, inputs, GW_NARROW_BLOCK)
    sums = np.zeros((len(blocks), width), np.int64)
    for k, first in enumerate(blocks):
        sums[k, :columns] = numbers[first:first + GW_NARROW_BLOCK].sum(axis=0, dtype=np.int64)
    return (sums * 32768).astype(np.int32)
