"""An LSTM with layer normalisation: what its input gives in one go, then the recurrent kernel (normalized.h)."""

import numpy as np

from gatewise.kernels import arrays, dense
from gatewise.kernels._memory import aligned_empty
from gatewise.kernels.recurrent import RecurrentKernel, Workspace

_LINEAR = (0, 0.0, 0.0)


class NormalizedKernel:
    """One normalised LSTM for one dtype and size. Its methods are those of RecurrentKernel.

    ``z = gain_x norm(x W) + b`` is made for all steps at once; a kernel without inputs goes on from there.
    """

    # Parameters that the backward pass packs too.
    inner = frozenset({"recurrent_kernel", "input_gain", "recurrent_gain", "cell_gain", "cell_bias"})
    zoned = False

    def __init__(self, dtype, inputs, units, act, gate, out):
        self.dtype, self.inputs, self.units, self.width, self.saved = np.dtype(dtype), inputs, units, units, 4
        self.recurrence = RecurrentKernel("lstm", dtype, 0, units, act, gate, out, normalized=True)

    def workspace(self):
        """What a training pass keeps."""
        return NormalizedWorkspace()

    def pack_forward(self, kernel, recurrent_kernel, bias, input_gain, recurrent_gain, cell_gain, cell_bias):
        """Weights as the forward pass reads them."""
        recurrence = self.recurrence.pack_forward(
            np.empty((0, 4 * self.units), self.dtype), recurrent_kernel, gains=(recurrent_gain, cell_gain, cell_bias))
        return dense.pack(kernel), recurrence, input_gain, bias

    def pack_backward(self, recurrent_kernel, input_gain, recurrent_gain, cell_gain, cell_bias):
        """Weights as the backward pass reads them."""
        return self.recurrence.pack_backward(recurrent_kernel, gains=(recurrent_gain, cell_gain, cell_bias)), input_gain

    def forward(self, packed, x, final_h, final_c, *, workspace=None, threads=1, zoneout_key=None, **arguments):
        """See RecurrentKernel.forward."""
        batch, steps, inputs = x.shape
        if batch == 0:
            return
        kernel, recurrence, gain, bias = packed
        w = workspace
        if w is None:
            w = NormalizedWorkspace()
            w.prepare_input(self, batch, steps)
            z = w.x  # nobody asks for norm(x W) again
        else:
            z = w.steps.gates
        dense.forward(x.reshape(-1, inputs), kernel, w.x.reshape(batch * steps, -1), _LINEAR, threads)
        arrays.normalize_rows(w.x, gain, bias, z, w.scales, threads)
        self.recurrence.forward(recurrence, np.empty((batch, steps, 0), self.dtype), final_h, final_c, z=z,
                                workspace=None if workspace is None else w.steps, threads=threads, **arguments)

    def backward(self, packed, x, kernel, workspace, dh, dc, *, d_kernel, d_recurrent_kernel, d_bias, d_input_gain,
                 d_recurrent_gain, d_cell_gain, d_cell_bias, dx=None, threads=1, zoneout_key=None, **arguments):
        """See RecurrentKernel.backward."""
        batch, steps, inputs = x.shape
        if batch == 0:
            return
        w, columns = workspace, 4 * self.units
        recurrence, input_gain = packed
        no_x, no_kernel = np.empty((batch, steps, 0), self.dtype), np.empty((0, columns), self.dtype)
        self.recurrence.backward(recurrence, no_x, no_kernel, w.steps, dh, dc, d_kernel=no_kernel,
                                 d_recurrent_kernel=d_recurrent_kernel, d_bias=d_bias,
                                 d_gains=(d_recurrent_gain, d_cell_gain, d_cell_bias), threads=threads, **arguments)
        arrays.normalize_rows_backward(w.steps.gates, input_gain, w.scales, w.x, d_input_gain, threads)
        dense.backward(x.reshape(-1, inputs), kernel, w.x.reshape(batch * steps, columns), d_kernel, None,
                       None if dx is None else dx.reshape(-1, inputs), threads)


class NormalizedWorkspace:
    """What a training pass keeps for the backward pass: norm(x W), its scales, and what the recurrence keeps."""

    x = scales = steps = None

    def __reduce__(self):  # scratch: a copy starts empty
        return NormalizedWorkspace, ()

    def prepare(self, kernel, batch, steps, masked):
        """Make room for (batch, steps); contents are undefined afterwards."""
        self.prepare_input(kernel, batch, steps)
        self.steps = self.steps or Workspace()
        self.steps.prepare(kernel.recurrence, batch, steps, masked)

    def prepare_input(self, kernel, batch, steps):
        """The part that inference needs too."""
        shape = (batch, steps, 4 * kernel.units)
        if self.x is None or self.x.shape != shape or self.x.dtype != kernel.dtype:
            self.x = aligned_empty(shape, kernel.dtype)
            self.scales = aligned_empty((batch * steps,), kernel.dtype)
