"""What a kernel is made for: a cell, its options, dtype and sizes, and its family's functions."""
from cython cimport floating

import numpy as np

from gatewise.kernels._table cimport gw_activation, gw_set_option, table32, table64
from gatewise.kernels.cell_options import CANDIDATES, NUMBER_OPTIONS, CellOptions


cdef class CompiledCell:
    """One cell for one dtype and size.

    Parameters
    ----------
    family : {"rnn", "lstm", "gru"}
    dtype : dtype_like
        float32 or float64.
    inputs, units : int
        Numbers of features of x, and of units.
    options : CellOptions, optional
        None: the plain cell.

    Attributes
    ----------
    width : int
        Number of units of h: `units`, or fewer with a projection.
    x_gates : int
        Blocks of `units` columns in the kernel.
    h_gates : int
        Blocks of `units` columns in the recurrent kernel.
    saved : int
        Numbers that a step keeps in `gates` for the backward pass, per unit.
    has_zoneout, normalized : bool
        Whether the cell has zoneout, and layer normalisation.
    zeros : ndarray of shape (units,)
        The state where there is none.
    """

    def __init__(self, str family, dtype, Py_ssize_t inputs, Py_ssize_t units, options=None):
        options = CellOptions() if options is None else options
        self.family, self.dtype, self.options = family, np.dtype(dtype), options
        self.inputs, self.units = inputs, units
        self.width = units if options.projection is None else options.projection
        self.x_gates = {"rnn": 1, "gru": 3, "lstm": len(options.gates)}[family]
        self.h_gates = 2 if options.candidate == "input" else self.x_gates
        self.normalized = options.layer_normalization
        self.saved = self.x_gates
        if family == "gru" and not self.normalized:
            self.saved = 5 if options.candidate == "split" else 4
        self.has_zoneout = options.zoneout_h > 0 or options.zoneout_c > 0
        self.zeros = np.zeros(units, self.dtype)
        fill_cell(&self.cell32, self)
        fill_cell(&self.cell64, self)


cdef int fill_cell(gw_cell[floating] *cell, CompiledCell compiled) except -1:
    """Write the cell's description. The weights come with each call."""
    options = compiled.options
    cell.inputs, cell.units, cell.width = compiled.inputs, compiled.units, compiled.width
    cell.reset_after, cell.chung = options.reset_after, options.chung
    set_activation(&cell.act, options.activation)
    set_activation(&cell.gate, options.recurrent_activation)
    set_activation(&cell.out, options.output_activation)
    cell.coupled = options.coupled
    cell.gates, cell.peepholes = len(options.gates), len(options.peepholes)
    cell.at_i, cell.at_f, cell.at_g, cell.at_o = positions(options.gates, "ifgo")
    cell.peephole_i, cell.peephole_f, cell.peephole_o = positions(options.peepholes, "ifo")
    cell.output_gate_inside = options.output_gate_inside
    cell.candidate = CANDIDATES.index(options.candidate)
    cell.activates_output = options.activates_output
    cell.has_options = (
        cell.gates != 4 or cell.peepholes > 0 or compiled.width != compiled.units
        or cell.output_gate_inside or cell.candidate != 0 or cell.activates_output
    )
    for name in NUMBER_OPTIONS:
        if not gw_set_option(cell, name.encode(), getattr(options, name)):
            raise AssertionError(f"gw_cell has no option {name}")
    ends_of(&cell.gate, cell.clip, cell.gate_ends)
    ends_of(&cell.act, cell.clip, cell.act_ends)
    return 0


cdef int set_activation(gw_activation[floating] *activation, code) except -1:
    activation.kind, activation.alpha, activation.beta = code
    return 0


cdef list positions(tuple blocks, names):
    """Index of each name among the blocks; -1 if it is not there."""
    return [blocks.index(name) if name in blocks else -1 for name in names]


cdef void ends_of(const gw_activation[floating] *f, floating clip, floating *ends) noexcept:
    """Outputs of an activation at -clip and clip."""
    cdef floating x[2]
    x[0], x[1] = -clip, clip
    if floating is float:
        table32().activate(f, x, ends, 2)
    else:
        table64().activate(f, x, ends, 2)


cdef const gw_family[float] *family32(CompiledCell compiled) noexcept:
    if compiled.family == "lstm":
        return &table32().normalized_lstm if compiled.normalized else &table32().lstm
    if compiled.family == "gru":
        return &table32().normalized_gru if compiled.normalized else &table32().gru
    return &table32().normalized_rnn if compiled.normalized else &table32().rnn


cdef const gw_family[double] *family64(CompiledCell compiled) noexcept:
    if compiled.family == "lstm":
        return &table64().normalized_lstm if compiled.normalized else &table64().lstm
    if compiled.family == "gru":
        return &table64().normalized_gru if compiled.normalized else &table64().gru
    return &table64().normalized_rnn if compiled.normalized else &table64().rnn
