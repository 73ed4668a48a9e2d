"""A context manager that does nothing, in less time than contextlib.nullcontext takes."""


cdef class _NullContext:
    """``with NULL_CONTEXT:`` does nothing."""

    def __enter__(self):
        pass

    def __exit__(self, kind, value, trace):
        pass


NULL_CONTEXT = _NullContext()
