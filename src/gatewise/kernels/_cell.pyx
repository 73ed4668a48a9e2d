"""What a kernel is made for: a cell's options, its dtype and sizes, and the functions of its family."""
from cython cimport floating

import numpy as np

from gatewise.kernels._table cimport gw_activation, table32, table64

# Biases and gains of a normalized cell in the order of normalized.h, and how many times `units` numbers each has.
VECTORS = {
    "rnn": {"bias": 1, "input_gain": 1, "recurrent_gain": 1},
    "lstm": {"bias": 4, "input_gain": 4, "recurrent_gain": 4, "cell_gain": 1, "cell_bias": 1},
    "gru": {"bias": 3, "input_gain": 3, "recurrent_gain": 3, "recurrent_bias": 3},
}


cdef class CompiledCell:
    """One cell for one dtype and size.

    Parameters
    ----------
    family : "rnn", "lstm" or "gru"
    dtype : numpy.dtype, float32 or float64
    inputs, units : int
    act, gate, out : (kind, alpha, beta)
        Activation of the candidate, of the gates, of the cell's output (LSTM); see activations.py.
    reset_after, chung : bool
        The GRU's forms.
    gates : tuple of str
        LSTM: the blocks of its weights, those of "i f g o" that there are.
    coupled : bool
        LSTM: f = 1 - i. Otherwise a gate that is not among `gates` is 1.
    peepholes : tuple of str
        LSTM: gates that see the cell, those of "i f o" that there are; or none.
    clip, cell_clip : float
        Sums, and the LSTM's c, within [-clip, clip]; 0: as they are.
    projection : int, optional
        LSTM: units of h, fewer than those of c.
    zoneout : (float, float)
        Rates of h and c.
    normalized : bool
        With layer normalisation (normalized.h), and no other option; a GRU with reset_after.

    Attributes
    ----------
    inner : frozenset of str
        Parameters that both passes pack.
    """

    def __cinit__(self, str family, dtype, Py_ssize_t inputs, Py_ssize_t units, act, gate, out,
                  bint reset_after=False, bint chung=False, tuple gates=("i", "f", "g", "o"), bint coupled=False,
                  tuple peepholes=(), double clip=0, double cell_clip=0, projection=None, tuple zoneout=(0.0, 0.0),
                  bint normalized=False):
        self.family, self.dtype, self.inputs, self.units = family, np.dtype(dtype), inputs, units
        self.width = units if projection is None else projection
        self.x_gates = {"rnn": 1, "gru": 3, "lstm": len(gates)}[family]
        self.saved = 4 if family == "gru" and not normalized else self.x_gates
        self.zoned, self.normalized = zoneout != (0.0, 0.0), normalized
        self.arguments = (family, self.dtype, inputs, units, act, gate, out, reset_after, chung, gates, coupled, peepholes,
                          clip, cell_clip, projection, zoneout, normalized)
        self.inner = frozenset(("recurrent_kernel", "peephole", "projection_kernel"))
        if normalized:
            self.inner = frozenset(("recurrent_kernel", *VECTORS[family])) - {"bias"}
        self.zeros = np.zeros(units, self.dtype)
        fill_cell(&self.cell32, self)
        fill_cell(&self.cell64, self)


cdef int fill_cell(gw_cell[floating] *cell, CompiledCell k) except -1:
    """The cell's description from the kernel's arguments; the weights come with each call."""
    (_, _, inputs, units, act, gate, out, reset_after, chung, gates, coupled, peepholes, clip, cell_clip, projection,
     zoneout, _) = k.arguments
    cell.inputs, cell.units, cell.width, cell.x_done = inputs, units, k.width, 0
    cell.weights = NULL
    cell.reset_after, cell.chung = reset_after, chung
    cell.act.kind, cell.act.alpha, cell.act.beta = act
    cell.gate.kind, cell.gate.alpha, cell.gate.beta = gate
    cell.out.kind, cell.out.alpha, cell.out.beta = out
    cell.gates, cell.coupled, cell.peepholes = len(gates), coupled, len(peepholes)
    cell.at_i, cell.at_f, cell.at_g, cell.at_o = places_in(gates, "ifgo")
    cell.peephole_i, cell.peephole_f, cell.peephole_o = places_in(peepholes, "ifo")
    cell.clip, cell.cell_clip = clip, cell_clip
    ends_of(&cell.gate, cell.clip, cell.gate_ends)
    ends_of(&cell.act, cell.clip, cell.act_ends)
    cell.zoneout_h, cell.zoneout_c = zoneout
    cell.zoneout_drawn = cell.zoneout_key = 0
    cell.rich = k.zoned or clip > 0 or cell_clip > 0 or cell.gates != 4 or cell.peepholes > 0 or projection is not None
    return 0


cdef list places_in(tuple blocks, names):
    """Where each name stands among the blocks; -1 where it does not."""
    return [blocks.index(name) if name in blocks else -1 for name in names]


cdef void ends_of(const gw_activation[floating] *f, floating clip, floating *ends) noexcept:
    cdef floating x[2]
    x[0], x[1] = -clip, clip
    if floating is float:
        table32().activate(f, x, ends, 2)
    else:
        table64().activate(f, x, ends, 2)


cdef const gw_family[float] *family32(CompiledCell k) noexcept:
    if k.family == "lstm":
        return &table32().normalized_lstm if k.normalized else &table32().lstm
    if k.family == "gru":
        return &table32().normalized_gru if k.normalized else &table32().gru
    return &table32().normalized_rnn if k.normalized else &table32().rnn


cdef const gw_family[double] *family64(CompiledCell k) noexcept:
    if k.family == "lstm":
        return &table64().normalized_lstm if k.normalized else &table64().lstm
    if k.family == "gru":
        return &table64().normalized_gru if k.normalized else &table64().gru
    return &table64().normalized_rnn if k.normalized else &table64().rnn
