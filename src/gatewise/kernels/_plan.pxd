cdef enum:
    # steps whose input products are computed at once, where they are computed ahead
    PROJECTED_STEPS = 16
    # units that go together from first to last: a whole panel of every instruction set
    PIECE = 64

cdef tuple choose_plan(Py_ssize_t gates, Py_ssize_t inputs, Py_ssize_t units, Py_ssize_t size,
                       Py_ssize_t batch, Py_ssize_t steps, int threads, Py_ssize_t block)
cdef object bands(Py_ssize_t batch, lengths, int count)
