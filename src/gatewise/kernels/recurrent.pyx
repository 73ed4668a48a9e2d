"""Recurrent cells over whole sequences: forward, and backward through time. What others see of it.

Behind it are the cell with its options (_cell.pyx), packed weights (_packing.pyx), one call (_passes.pyx) and the walk through
time (_walk.pyx). The arithmetic of one step is in rnn.h, lstm.h, gru.h and normalized.h, its options in options.h.
"""
import numpy as np

from gatewise.kernels._cell cimport CompiledCell, family32, family64
from gatewise.kernels._packing cimport pack_backward, pack_forward
from gatewise.kernels._passes cimport backward, forward
from gatewise.kernels._memory import aligned_empty


cdef class RecurrentKernel(CompiledCell):
    """Packs weights, runs sequences forward and backward. It is made as a CompiledCell is."""

    def __reduce__(self):
        return RecurrentKernel, self.arguments

    def workspace(self):
        """What a training pass keeps."""
        return Workspace()

    def pack_forward(self, kernel, recurrent_kernel, bias=None, recurrent_bias=None, peephole=None, projection_kernel=None,
                     input_gain=None, recurrent_gain=None, cell_gain=None, cell_bias=None):
        """Weights as the forward pass reads them: 64-byte-aligned ndarray. None: there is no such parameter."""
        others = {"bias": bias, "recurrent_bias": recurrent_bias, "peephole": peephole, "projection_kernel": projection_kernel,
                  "input_gain": input_gain, "recurrent_gain": recurrent_gain, "cell_gain": cell_gain, "cell_bias": cell_bias}
        if self.dtype == np.float32:
            return pack_forward(self, family32(self), &self.cell32, kernel, recurrent_kernel, others)
        return pack_forward(self, family64(self), &self.cell64, kernel, recurrent_kernel, others)

    def pack_backward(self, recurrent_kernel, peephole=None, projection_kernel=None, recurrent_bias=None, input_gain=None,
                      recurrent_gain=None, cell_gain=None, cell_bias=None):
        """Weights as the backward pass reads them: those of `inner`, the recurrent kernel transposed, in panels."""
        others = {"peephole": peephole, "projection_kernel": projection_kernel, "recurrent_bias": recurrent_bias,
                  "input_gain": input_gain, "recurrent_gain": recurrent_gain, "cell_gain": cell_gain, "cell_bias": cell_bias}
        if self.dtype == np.float32:
            return pack_backward(self, family32(self), &self.cell32, recurrent_kernel, others)
        return pack_backward(self, family64(self), &self.cell64, recurrent_kernel, others)

    def forward(self, packed, x, final_h, final_c=None, *, order=None, lengths=None, resets=None, initial_h=None,
                mask=None, zoneout_key=None, y=None, Workspace workspace=None, int threads=1):
        """Run every row's steps.

        Parameters
        ----------
        packed : from pack_forward
        x : ndarray (B, T, I)
        final_h : ndarray (B, H)
            Written: each row's state after its last step.
        final_c : ndarray (B, H), LSTM only
            Read: the initial c. Written: the final one.
        order, lengths : intp ndarray (B,), optional
            Rows by falling length, and the lengths in that order.
        resets : uint8 ndarray (B, T), optional
            Nonzero: the state is zero before this step.
        initial_h : ndarray (B, H), optional
            None: zeros.
        mask : ndarray (B, H), optional
            Multipliers of h' in the recurrent product. Needs a workspace.
        zoneout_key : int, optional
            Below 2**32: of zoneout's draws. None: their expectation, for inference.
        y : ndarray (B, T, H), optional
            Written: every h, zeros past a row's end.
        workspace : Workspace, optional
            Written: what backward needs. None: inference.
        threads : int
        """
        if self.dtype == np.float32:
            forward(self, family32(self), &self.cell32, packed, x, final_h, final_c, order, lengths, resets,
                    initial_h, mask, zoneout_key, y, arrays_of(workspace), threads)
        else:
            forward(self, family64(self), &self.cell64, packed, x, final_h, final_c, order, lengths, resets,
                    initial_h, mask, zoneout_key, y, arrays_of(workspace), threads)

    def backward(self, packed, x, kernel, Workspace workspace, dh, dc=None, *, order=None, lengths=None, resets=None,
                 mask=None, zoneout_key=None, dy=None, d_kernel, d_recurrent_kernel, d_bias=None, d_recurrent_bias=None,
                 d_peephole=None, d_projection_kernel=None, d_input_gain=None, d_recurrent_gain=None, d_cell_gain=None,
                 d_cell_bias=None, dx=None, int threads=1):
        """Go back over the sequences of the last forward call with this workspace, which is used up.

        Parameters
        ----------
        packed : from pack_backward
        x, order, lengths, resets, mask, zoneout_key
            As given to forward.
        kernel : ndarray (I, gates*H)
        dh, dc : ndarray (B, H)
            Read: gradients of the final state. Written: of the initial state.
        dy : ndarray (B, T, H), optional
            Gradient of y.
        d_kernel, d_recurrent_kernel, d_bias and the like : ndarray
            Gradients are ADDED to these; None: not wanted (biases), or there is no such parameter.
        dx : ndarray (B, T, I), optional
            Written; None: not wanted.
        """
        gradients = {"kernel": d_kernel, "recurrent_kernel": d_recurrent_kernel, "bias": d_bias,
                     "recurrent_bias": d_recurrent_bias, "peephole": d_peephole, "projection_kernel": d_projection_kernel,
                     "input_gain": d_input_gain, "recurrent_gain": d_recurrent_gain, "cell_gain": d_cell_gain,
                     "cell_bias": d_cell_bias}
        if self.dtype == np.float32:
            backward(self, family32(self), &self.cell32, packed, x, kernel, arrays_of(workspace), dh, dc, order, lengths, resets,
                     mask, zoneout_key, dy, dx, gradients, threads)
        else:
            backward(self, family64(self), &self.cell64, packed, x, kernel, arrays_of(workspace), dh, dc, order, lengths, resets,
                     mask, zoneout_key, dy, dx, gradients, threads)


cdef class Workspace:
    """What a training pass keeps for the backward pass: allocated once, reused while shapes last."""

    def __reduce__(self):  # scratch: a copy starts empty
        return Workspace, ()

    def prepare(self, RecurrentKernel kernel, Py_ssize_t batch, Py_ssize_t steps, bint masked):
        """Make room for (batch, steps); contents are undefined afterwards."""
        shape = (batch, steps, kernel.saved * kernel.units)
        width = kernel.width
        fits = self.gates is not None and self.gates.shape == shape and self.gates.dtype == kernel.dtype
        if not (fits and self.has_mask == masked and self.h_in.shape[2] == width):
            # `gates` says what the others fit: if memory is refused on the way, nothing fits.
            self.gates = self.h_in = self.h0 = self.c = self.m = self.dm = self.v = self.u = self.scales = None
            gates = aligned_empty(shape, kernel.dtype)
            self.h_in = aligned_empty((batch, steps, width), kernel.dtype)
            self.h0 = aligned_empty((batch, steps, width), kernel.dtype) if masked else self.h_in
            self.c = aligned_empty((batch, steps + 1, kernel.units), kernel.dtype) if kernel.family == "lstm" else None
            projects = width != kernel.units
            self.m = aligned_empty((batch, steps, kernel.units), kernel.dtype) if projects else None
            self.dm = aligned_empty((batch, steps, width), kernel.dtype) if projects else None
            self.v = aligned_empty(shape, kernel.dtype) if kernel.normalized else None
            self.u = aligned_empty(shape, kernel.dtype) if kernel.normalized else None
            self.scales = aligned_empty((batch, steps, 4), kernel.dtype) if kernel.normalized else None
            self.has_mask = masked
            self.gates = gates


cdef tuple arrays_of(Workspace w):
    """Held for the length of a call: another thread that prepares the workspace cannot free them under it."""
    return None if w is None else (w.gates, w.h_in, w.h0, w.c, w.m, w.dm, w.v, w.u, w.scales)
