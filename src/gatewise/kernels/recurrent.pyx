"""Recurrent cells over whole sequences: forward, and backward through time.

This is what layers call. Behind it are the cell with its options (_cell.pyx), packed weights
(_packing.pyx), one call (_passes.pyx) and the walk through time (_walk.pyx). The arithmetic of one
step is in rnn.h, lstm.h, gru.h and normalized.h, its options in options.h.
"""
import numpy as np

from gatewise.kernels._attending cimport Attending
from gatewise.kernels._cell cimport CompiledCell, family32, family64
from gatewise.kernels._packing cimport pack_backward, pack_forward
from gatewise.kernels._passes cimport SequenceCall, backward, forward, project
from gatewise.kernels._workspace cimport Workspace


cdef class RecurrentKernel(CompiledCell):
    """Packs weights, runs sequences forward and backward.

    Its constructor is that of CompiledCell. In all methods B is the number of rows, T of steps, I
    of inputs, H of units of h, G of blocks of units in the weights. Weights and gradients are
    dictionaries of arrays by the kernel's names: kernel (I, G * units), recurrent_kernel
    (H, G * units), bias and recurrent_bias (G * units,), peephole, projection_kernel, input_gain,
    recurrent_gain, cell_gain, cell_bias. None, or no such key: the cell has no such parameter.
    """

    def __reduce__(self):
        return RecurrentKernel, (self.family, self.dtype, self.inputs, self.units, self.options)

    def workspace(self):
        """An empty Workspace for training passes."""
        return Workspace()

    def pack_forward(self, dict weights):
        """Weights as the forward pass reads them: 64-byte-aligned ndarray."""
        if self.dtype == np.float32:
            return pack_forward(self, family32(self), &self.cell32, weights)
        return pack_forward(self, family64(self), &self.cell64, weights)

    def pack_backward(self, dict weights):
        """Weights as the backward pass reads them: the recurrent kernel transposed, in panels."""
        if self.dtype == np.float32:
            return pack_backward(self, family32(self), &self.cell32, weights)
        return pack_backward(self, family64(self), &self.cell64, weights)

    def project(self, packed, x, int threads=1):
        """x W + b of the rows of a table, which forward reads instead of x.

        Each number is the beginning of the sum that forward makes from x itself, so that results
        have the same bits.

        Parameters
        ----------
        packed : ndarray
            From pack_forward. The cell must not be normalized.
        x : ndarray of shape (n, I)
        threads : int

        Returns
        -------
        ndarray of shape (n, G * units)
        """
        z = np.empty((len(x), self.x_gates * self.units), self.dtype)
        if self.dtype == np.float32:
            project(self, family32(self), &self.cell32, packed, x, z, threads)
        else:
            project(self, family64(self), &self.cell64, packed, x, z, threads)
        return z

    def forward(self, packed, x, final_h, final_c=None, *, order=None, lengths=None, resets=None,
                initial_h=None, mask=None, zoneout_key=None, numbers=None, table=None,
                Attending attention=None, y=None, Workspace workspace=None, int threads=1):
        """Run every row's steps.

        Parameters
        ----------
        packed : ndarray
            From pack_forward.
        x : ndarray of shape (B, T, I)
        final_h : ndarray of shape (B, H)
            Written: each row's state after its last step.
        final_c : ndarray of shape (B, units), LSTM only
            Read: the initial c. Written: the final one.
        order, lengths : intp ndarray of shape (B,), optional
            Rows by falling length, and the lengths in that order.
        resets : uint8 ndarray of shape (B, T), optional
            Nonzero: the state is zero before this step.
        initial_h : ndarray of shape (B, H), optional
            None: zeros.
        mask : ndarray of shape (B, H), optional
            Multipliers of h' in the recurrent product. Needs a workspace.
        zoneout_key : int, optional
            Key of zoneout's draws, below 2**32. None: their expectation, for inference.
        numbers, table : int32 ndarray of shape (B, T), and ndarray, optional
            x is rows of a table, of these numbers; `table` is what project makes of it. x is then
            not read.
        attention : Attending, optional
            Each step attends before it reads x, and writes its context into x. Neither resets nor
            numbers may be given, and the cell must not be normalized.
        y : ndarray of shape (B, T, H), optional
            Written: every h, zeros past a row's end.
        workspace : Workspace, optional
            Written: what backward needs. None: inference.
        threads : int
            Threads to use, at most.
        """
        cdef SequenceCall call = SequenceCall.__new__(SequenceCall)
        call.packed, call.x, call.order, call.lengths = packed, x, order, lengths
        call.resets, call.mask, call.zoneout_key = resets, mask, zoneout_key
        call.numbers, call.table, call.attention = numbers, table, attention
        call.final_h, call.final_c, call.initial_h, call.y = final_h, final_c, initial_h, y
        call.threads = threads
        if workspace is not None:
            call.saved = workspace.prepared()
        if self.dtype == np.float32:
            forward(self, family32(self), &self.cell32, call)
        else:
            forward(self, family64(self), &self.cell64, call)

    def backward(self, packed, x, dict weights, Workspace workspace, dh, dc=None, *, order=None,
                 lengths=None, resets=None, mask=None, zoneout_key=None, numbers=None, table=None,
                 Attending attention=None, dy=None, dict gradients, dx=None, d_table=None,
                 int threads=1):
        """The backward pass of the last forward call with this workspace.

        Parameters
        ----------
        packed : ndarray
            From pack_backward.
        x, order, lengths, resets, mask, zoneout_key
            As given to forward.
        weights : dict of str to ndarray
            The kernel is read.
        numbers, table : int32 ndarray of shape (B, T), and ndarray of shape (n, I), optional
            x is rows of this table.
        attention : Attending, optional
            As forward has left it, after ``begin_backward``. dx then has no part of the contexts:
            it has the shape (B, T, attention.read).
        workspace : Workspace
            As forward has left it. Its contents are overwritten.
        dh : ndarray of shape (B, H)
            Read: gradient of the final h. Written: of the initial one.
        dc : ndarray of shape (B, units), LSTM only
            The same of c.
        dy : ndarray of shape (B, T, H), optional
            Gradient of y.
        gradients : dict of str to ndarray
            Gradients of the weights are ADDED to these. A bias may be None: not wanted.
        dx : ndarray of shape (B, T, I), optional
            Written: gradient of x. None: not wanted.
        d_table : ndarray of shape (n, I), optional
            Written, if dx is not wanted: gradient of the table.
        threads : int
            Threads to use, at most.
        """
        cdef SequenceCall call = SequenceCall.__new__(SequenceCall)
        call.packed, call.x, call.order, call.lengths = packed, x, order, lengths
        call.resets, call.mask, call.zoneout_key = resets, mask, zoneout_key
        call.weights, call.gradients = weights, gradients
        call.numbers, call.table, call.d_table = numbers, table, d_table
        call.attention = attention
        call.dh, call.dc, call.dy, call.dx = dh, dc, dy, dx
        call.threads = threads
        if workspace is not None:
            call.saved = workspace.prepared()
        if self.dtype == np.float32:
            backward(self, family32(self), &self.cell32, call)
        else:
            backward(self, family64(self), &self.cell64, call)
