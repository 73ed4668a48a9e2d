"""What a training pass saves for the backward pass."""
from gatewise.kernels._memory import aligned_empty


cdef class SavedSteps:
    """Arrays of every step, (batch, steps, ...). None: the cell has no such array.

    Attributes
    ----------
    gates : ndarray of shape (batch, steps, saved * units)
        Gates, which the backward pass turns into dz.
    h_in : ndarray of shape (batch, steps, width)
        Input of the recurrent product, after recurrent dropout.
    h0 : ndarray of shape (batch, steps, width)
        The state before each step; `h_in` itself without recurrent dropout.
    c : ndarray of shape (batch, steps + 1, units), LSTM
        c before each step, and after the last one.
    unprojected : ndarray of shape (batch, steps, units), LSTM with a projection
        What is projected to h.
    d_projected : ndarray of shape (batch, steps, width), LSTM with a projection
        Gradient of the projected h.
    norm_x, norm_h : ndarray of shape (batch, steps, saved * units), with layer normalisation
        Normalised sums of x and of h', which the backward pass turns into their gradients.
    norm_scales : ndarray of shape (batch, steps, 4), with layer normalisation
        What the sums of x and then those of h' were multiplied by.
    """

    def __init__(self, CompiledCell compiled, tuple shape, bint has_mask):
        batch, steps = shape
        dtype, units, width = compiled.dtype, compiled.units, compiled.width
        of_gates, of_h = (batch, steps, compiled.saved * units), (batch, steps, width)
        self.gates = aligned_empty(of_gates, dtype)
        self.h_in = aligned_empty(of_h, dtype)
        self.h0 = aligned_empty(of_h, dtype) if has_mask else self.h_in
        if compiled.family == "lstm":
            self.c = aligned_empty((batch, steps + 1, units), dtype)
        if width != units:
            self.unprojected = aligned_empty((batch, steps, units), dtype)
            self.d_projected = aligned_empty(of_h, dtype)
        if compiled.normalized:
            self.norm_x = aligned_empty(of_gates, dtype)
            self.norm_h = aligned_empty(of_gates, dtype)
            self.norm_scales = aligned_empty((batch, steps, 4), dtype)
        self.shape, self.dtype, self.width, self.has_mask = of_gates, dtype, width, has_mask

    cdef bint fits(self, CompiledCell compiled, tuple shape, bint has_mask):
        return (
            self.has_mask == has_mask and self.width == compiled.width
            and self.shape == (*shape, compiled.saved * compiled.units)
            and self.dtype == compiled.dtype
        )


cdef class Workspace:
    """Memory for a training pass: allocated once, reused while shapes last.

    A copy, or one from a pickle, starts empty: what it holds lasts from a forward call to the
    backward call only.

    Attributes
    ----------
    saved : SavedSteps or None
        A call holds this object while it runs, so that another thread that prepares the workspace
        cannot free its arrays.
    """

    def __reduce__(self):
        return Workspace, ()

    def prepare(self, CompiledCell compiled, Py_ssize_t batch, Py_ssize_t steps, bint has_mask):
        """Make room for (batch, steps). Contents are undefined afterwards.

        Parameters
        ----------
        compiled : RecurrentKernel
        batch, steps : int
        has_mask : bool
            Whether h' has recurrent dropout.
        """
        shape = (batch, steps)
        if self.saved is None or not self.saved.fits(compiled, shape, has_mask):
            self.saved = None  # the old arrays are freed before the new ones are allocated
            self.saved = SavedSteps(compiled, shape, has_mask)

    cdef SavedSteps prepared(self):
        """The arrays of a call."""
        if self.saved is None:
            raise AssertionError("kernel expects a workspace that was prepared")
        return self.saved
