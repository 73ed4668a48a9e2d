cdef void *pointer_to(array, dtype, tuple shape) except? NULL
