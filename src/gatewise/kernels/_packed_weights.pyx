"""Packed weights that are made once and kept until the weights change.

Compiled because every pass of every layer asks for them.
"""


cdef class PackedWeights:
    """Weights in the form that a kernel reads, kept until the weights change.

    A copy, or one from a pickle, starts empty.
    """

    cdef object version
    # (the version for which something was made, what was made): one object, so that another thread
    # never sees a new version beside old weights.
    cdef tuple kept

    def __init__(self):
        self.forget()

    def __reduce__(self):
        return PackedWeights, ()

    cpdef forget(self):
        """Discard what is kept, since the weights have changed."""
        self.version = object()
        self.kept = (None, None)

    def of(self, layer):
        """What ``layer._pack_now()`` makes of the present weights.

        It is kept for the next call, unless others may write to the layer's weights
        (``layer._views_given``).

        The version is read before the weights. If another thread changes the weights while they are
        packed, the version changes too, and the packed old weights are not used again.
        """
        cdef object version = self.version
        cdef tuple kept = self.kept
        if kept[0] is version:
            return kept[1]
        kept = (version, layer._pack_now())
        if not layer._views_given:
            self.kept = kept
        return kept[1]
