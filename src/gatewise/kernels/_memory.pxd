from cython cimport floating
cimport numpy as cnp

cdef void *pointer_to(array, int typenum, int axes, Py_ssize_t n0, Py_ssize_t n1=*,
                      Py_ssize_t n2=*) except? NULL
cdef void *elements_of(array, int typenum, Py_ssize_t count) except? NULL
cdef void *needed_pointer(array, int typenum, int axes, Py_ssize_t n0, Py_ssize_t n1=*,
                          Py_ssize_t n2=*) except NULL
cdef void *needed_elements(array, int typenum, Py_ssize_t count) except NULL


cdef inline int number_of(floating *_) noexcept nogil:
    """NumPy's number of a fused type: number_of(<floating *>NULL)."""
    return cnp.NPY_FLOAT32 if floating is float else cnp.NPY_FLOAT64
