cdef enum:
    PROJECTED_STEPS = 16  # steps whose input products are computed at once, where they are computed ahead
    PIECE = 64            # units that go together from first to last: a whole panel of every instruction set

cdef tuple choose_plan(Py_ssize_t gates, Py_ssize_t inputs, Py_ssize_t units, Py_ssize_t size, Py_ssize_t batch,
                       Py_ssize_t steps, int threads, Py_ssize_t block)
cdef object bands(Py_ssize_t batch, lengths, int count)
