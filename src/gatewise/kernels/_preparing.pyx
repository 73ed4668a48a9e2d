"""Preparing the operations of a program: their memory, and pointers to it (program.h)."""
from cython cimport floating
cimport numpy as cnp

import numpy as np

from gatewise.kernels._cell cimport CompiledCell, family32, family64
from gatewise.kernels._memory cimport needed_elements, needed_pointer, number_of
from gatewise.kernels._program cimport *
from gatewise.kernels._table cimport gw_activation, gw_int, gw_row, gw_table
from gatewise.kernels.narrow cimport NarrowSums
from gatewise.kernels import activations
from gatewise.kernels.program_parts import (
    CellMemory, RunningMemory, StateMemory, WindowMemory, zeros,
)

cnp.import_array()

cdef int EXPONENTIAL = activations.code("exponential")[0]

cdef dict MERGES = {
    "concatenate": GW_CONCATENATE_OP, "add": GW_ADD_OP, "subtract": GW_SUBTRACT_OP,
    "multiply": GW_MULTIPLY_OP, "average": GW_AVERAGE_OP, "maximum": GW_MAXIMUM_OP,
    "minimum": GW_MINIMUM_OP,
}
cdef dict PLAIN = {
    "dense": GW_DENSE_OP, "activation": GW_ACTIVATION_OP, "softmax": GW_SOFTMAX_OP,
    "affine": GW_AFFINE_OP, "normalization": GW_NORMALIZATION_OP, "lookup": GW_LOOKUP_OP,
    "select": GW_SELECT_OP, "quotient": GW_QUOTIENT_OP, "rectifier": GW_RECTIFIER_OP,
    "slopes": GW_SLOPES_OP,
}


cdef class Ops:
    """What the operations of a program point to, and what they remember.

    `buffers` has an array for each vector of the plan; `held` other memory, and `memories` knows
    what of it is state.
    """

    def __init__(self, plan, list packs, Py_ssize_t rows):
        self.plan, self.packs, self.rows = plan, packs, rows
        self.dtype = np.dtype(plan.dtype)
        self.held, self.memories = [], []
        self.buffers = [None] * len(plan.vectors)
        for entry in plan.inputs:
            width = plan.vectors[entry.vector].width
            self.buffers[entry.vector] = (
                zeros((rows, width), self.dtype) if entry.size is None
                else zeros((rows,), np.intp)
            )

    cdef object memory(self, tuple shape, dtype=None):
        """New memory of zeros, which lives as long as the operations; of the program's dtype."""
        array = zeros(shape, self.dtype if dtype is None else dtype)
        self.held.append(array)
        return array


cdef object load_ops(Ops self, gw_program[floating] *p, const gw_table[floating] *table):
    cdef gw_step_op[floating] *o
    cdef Py_ssize_t k
    gw_clear_ops(p)
    p.rows = self.rows
    for k, (planned, packed) in enumerate(zip(self.plan.ops, self.packs)):
        op, vector = planned.op, self.plan.vectors[planned.result]
        source, target = self.buffers[planned.sources[0]], zeros((self.rows, op.width), self.dtype)
        before = self.plan.vectors[planned.sources[0]]
        self.buffers[planned.result] = target
        o = gw_new_op(p)
        o.inputs, o.width = op.inputs, op.width
        o.first, o.every = vector.first, vector.every
        o.in_first, o.in_every = before.first, before.every
        o.in_ = <const floating *>cnp.PyArray_DATA(source)
        o.out = <floating *>cnp.PyArray_DATA(target)
        o.settles = vector.role == "answer" or vector.masked == "last"
        if op.operation == "cell":
            load_cell(self, o, table, k, op, packed)
        elif op.operation == "decayed":
            load_decayed(self, o, table, op, packed)
        elif op.operation in ("convolution", "depthwise", "pooling"):
            load_window(self, o, table, op, packed)
        elif op.operation == "merge":
            load_merge(self, o, op, planned.sources)
        else:
            load_plain(self, o, table, op, packed, source)
    return None


cdef object load_cell(Ops self, gw_step_op[floating] *o, const gw_table[floating] *table,
                      Py_ssize_t k, op, packed):
    """A cell of recurrent.pyx, or a minimal one of scan.pyx."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef CompiledCell compiled
    cdef Py_ssize_t n = self.rows, H = op.kernel.units, P = op.kernel.width, r, way
    cdef gw_row[floating] *rows
    h = self.memory((2, n, P))
    o.h[0] = <floating *>cnp.PyArray_DATA(h)
    o.h[1] = o.h[0] + n * P
    o.settles = False
    if not isinstance(op.kernel, CompiledCell):
        o.kind, o.gate_count = GW_SCAN_OP, op.kernel.saved
        load_product(self, o, packed, table.dense_size(op.inputs, o.gate_count * H))
        set_activation(&o.act, op.kernel.act)
        o.gates = <floating *>cnp.PyArray_DATA(self.memory((n, o.gate_count * H)))
        o.kept = <floating *>cnp.PyArray_DATA(self.memory((n, H)))
        self.memories.append(CellMemory(k, op, h, None))
        return None
    compiled = op.kernel
    o.kind = GW_CELL_OP
    if floating is float:
        o.cell, o.family = compiled.cell32, family32(compiled)
    else:
        o.cell, o.family = compiled.cell64, family64(compiled)
    cdef floating *z = NULL
    if isinstance(packed, NarrowSums):
        load_narrow(self, o, <NarrowSums>packed)
        o.z = z = <floating *>cnp.PyArray_DATA(self.memory((n, o.sum_count)))
        o.cell.sums_given, packed = True, packed.floats
    o.cell.weights = <const floating *>needed_pointer(
        packed, typenum, 1, o.family.forward_size(&o.cell)
    )
    o.cell.input_projected = compiled.normalized
    c = self.memory((n, H)) if len(op.state_names) > 1 else None
    self.memories.append(CellMemory(k, op, h, c))
    o.c = <floating *>cnp.PyArray_DATA(c) if c is not None else NULL
    places = self.memory((3, n * sizeof(rows[0])), np.uint8)
    o.before_even = <gw_row[floating] *>cnp.PyArray_DATA(places)
    o.before_odd, o.chosen = o.before_even + n, o.before_even + 2 * n
    cdef floating *norm_h = NULL
    cdef floating *scratch = NULL
    cdef floating *gates = NULL
    cdef floating *unprojected = NULL
    # as forward_scratch in _passes.pyx
    if compiled.normalized:
        z = <floating *>cnp.PyArray_DATA(self.memory((n, compiled.x_gates * H)))
        norm_h = <floating *>cnp.PyArray_DATA(self.memory((n, compiled.saved * H)))
        scratch = <floating *>cnp.PyArray_DATA(self.memory((n, 2 * H)))
    if P != H:
        unprojected = <floating *>cnp.PyArray_DATA(self.memory((n, H)))
    elif o.family.forward_phases(&o.cell) > 1:
        gates = <floating *>cnp.PyArray_DATA(self.memory((n, compiled.saved * H)))
    for way in range(2):
        rows = o.before_odd if way else o.before_even
        for r in range(n):
            rows[r].x = o.in_ + r * compiled.inputs
            rows[r].y = o.out + r * P
            rows[r].h_in = rows[r].h0 = o.h[way] + r * P
            rows[r].h1 = o.h[1 - way] + r * P
            if o.c != NULL:
                rows[r].c0 = rows[r].c1 = o.c + r * H
            if o.cell.sums_given:
                rows[r].z = z + r * o.sum_count
            elif z != NULL:
                rows[r].z = rows[r].norm_x = z + r * compiled.x_gates * H
                rows[r].norm_h = norm_h + r * compiled.saved * H
                rows[r].scratch = scratch + r * 2 * H
            if unprojected != NULL:
                rows[r].unprojected = unprojected + r * H
            if gates != NULL:
                rows[r].gates = gates + r * compiled.saved * H
    return None


cdef object load_decayed(Ops self, gw_step_op[floating] *o, const gw_table[floating] *table,
                         op, packed):
    """GRU-D."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = self.rows, F = op.inputs // 3, H = op.width, k
    o.kind, o.seen_width, o.flag, o.settles = GW_DECAYED_OP, F, EXPONENTIAL, False
    set_activation(&o.act, op.activation)
    set_activation(&o.gate_act, op.recurrent_activation)
    o.mean = <const floating *>numbers_of(op.means, typenum, F)
    o.scale = <const floating *>numbers_of(op.weights["input_decay_kernel"], typenum, F)
    o.shift = <const floating *>numbers_of(op.weights["input_decay_bias"], typenum, F)
    filled, *others = packed
    o.packed = <const floating *>needed_pointer(filled, typenum, 1, table.dense_size(F, 3 * H))
    sizes = (
        table.dense_size(F, 3 * H), table.dense_size(F, H), table.dense_size(H, 2 * H),
        table.dense_size(H, H),
    )
    for k in range(4):
        o.products[k] = <const floating *>needed_pointer(others[k], typenum, 1, sizes[k])
    h, seen = self.memory((n, H)), self.memory((n, F))
    o.h[0] = o.h[1] = <floating *>cnp.PyArray_DATA(h)
    o.seen = <floating *>cnp.PyArray_DATA(seen)
    o.work = <floating *>cnp.PyArray_DATA(self.memory((n * (4 * F + 11 * H),)))
    self.memories.append(StateMemory(op, (h, seen)))
    return None


cdef object load_product(Ops self, gw_step_op[floating] *o, packed, Py_ssize_t size):
    """The weights of a product with one matrix."""
    if isinstance(packed, NarrowSums):
        return load_narrow(self, o, <NarrowSums>packed)
    o.packed = <const floating *>needed_pointer(packed, number_of(<floating *>NULL), 1, size)
    return None


cdef object load_narrow(Ops self, gw_step_op[floating] *o, NarrowSums sums):
    """Sums with narrow weights, and the memory for what they multiply; float32 only."""
    o.narrow, o.narrow_count, o.sum_count = sums.parts, sums.count, sums.columns
    o.bias = <const floating *>needed_pointer(sums.bias, cnp.NPY_FLOAT32, 1, sums.columns)
    given = zeros((self.rows, sums.given), np.uint8)
    self.held.append(given)
    o.given, o.given_size = <unsigned char *>cnp.PyArray_DATA(given), sums.given
    return None


cdef object load_window(Ops self, gw_step_op[floating] *o, const gw_table[floating] *table, op,
                        packed):
    """A convolution or a pooling, with the ring of its last steps."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t width = op.inputs
    o.settles = False
    if op.operation == "depthwise":
        width, o.multiplier = op.width, op.width // op.inputs
    ring = self.memory((self.rows, op.dilation, 2 * op.window, width))
    at = zeros((self.rows,), np.intp)
    self.held.append(at)
    self.memories.append(WindowMemory(op, ring, at))
    o.ring.window, o.ring.dilation, o.ring.width = op.window, op.dilation, width
    o.ring.steps = <floating *>cnp.PyArray_DATA(ring)
    o.ring.at = <gw_int *>cnp.PyArray_DATA(at)
    if op.operation == "pooling":
        o.kind = GW_WINDOW_MAXIMUM_OP if op.maximum else GW_WINDOW_MEAN_OP
        o.number = <floating>(1.0 / op.window)
        return None
    set_activation(&o.act, op.activation)
    if op.operation == "convolution":
        o.kind = GW_CONVOLUTION_OP
        o.windows = <floating *>cnp.PyArray_DATA(self.memory((self.rows, op.window * width)))
        load_product(self, o, packed, table.dense_size(op.window * width, op.width))
    else:
        o.kind = GW_DEPTHWISE_OP
        o.packed = <const floating *>needed_elements(op.kernel, typenum, op.window * width)
        o.shift = <const floating *>numbers_of(op.bias, typenum, op.width)
    return None


cdef object load_merge(Ops self, gw_step_op[floating] *o, op, sources):
    """Several vectors in one."""
    o.kind, o.part_count = MERGES[op.kind], len(sources)
    widths = np.array(op.widths, np.intp)
    parts = np.zeros(len(sources), np.intp)
    self.held += [widths, parts]
    for k, source in enumerate(sources):
        parts[k] = <Py_ssize_t>cnp.PyArray_DATA(self.buffers[source])
    o.widths = <const gw_int *>cnp.PyArray_DATA(widths)
    o.parts = <const floating **>cnp.PyArray_DATA(parts)


cdef object load_plain(Ops self, gw_step_op[floating] *o, const gw_table[floating] *table, op,
                       packed, source):
    """An operation that looks at one vector, or at all steps so far."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef str what = op.operation
    if what == "running":
        return load_running(self, o, op)
    o.kind = PLAIN[what]
    if what == "dense":
        load_product(self, o, packed, table.dense_size(op.inputs, op.width))
        set_activation(&o.act, op.activation)
    elif what == "activation":
        set_activation(&o.act, op.activation)
    elif what == "affine":
        o.mean = <const floating *>numbers_of(op.mean, typenum, op.width)
        o.scale = <const floating *>numbers_of(op.scale, typenum, op.width)
        o.shift = <const floating *>numbers_of(op.shift, typenum, op.width)
    elif what == "normalization":
        o.number = <floating><double>op.epsilon
        o.scale = <const floating *>numbers_of(op.gamma, typenum, op.width)
        o.shift = <const floating *>numbers_of(op.beta, typenum, op.width)
    elif what == "lookup":
        o.packed = <const floating *>needed_elements(op.table, typenum, op.table.size)
        o.numbers = <const gw_int *>needed_pointer(source, cnp.NPY_INTP, 1, self.rows)
    elif what == "select":
        o.columns = <const gw_int *>needed_pointer(op.columns, cnp.NPY_INTP, 1, op.width)
    elif what == "quotient":
        o.flag, o.number = op.number_first, <floating><double>op.number
    elif what == "slopes":
        o.scale = <const floating *>needed_pointer(op.slopes, typenum, 1, op.width)
    elif what == "rectifier":
        o.number, o.slope = <floating><double>op.threshold, <floating><double>op.slope
        o.most = <floating><double>op.most
    return None


cdef object load_running(Ops self, gw_step_op[floating] *o, op):
    """The maximum or the mean of all steps so far."""
    o.kind = GW_RUNNING_MAXIMUM_OP if op.maximum else GW_RUNNING_MEAN_OP
    o.settles = False
    count = zeros((self.rows,), np.intp)
    values = zeros((self.rows, op.width), self.dtype if op.maximum else np.float64)
    self.held += [count, values]
    o.count = <gw_int *>cnp.PyArray_DATA(count)
    if op.maximum:
        o.most_so_far = <floating *>cnp.PyArray_DATA(values)
    else:
        o.sums = <double *>cnp.PyArray_DATA(values)
    self.memories.append(RunningMemory(op, values, count))
    return None


cdef void *numbers_of(array, int typenum, Py_ssize_t width) except? NULL:
    """Data of a vector; NULL for None."""
    return NULL if array is None else needed_pointer(array, typenum, 1, width)


cdef int set_activation(gw_activation[floating] *activation, code) except -1:
    activation.kind, activation.alpha, activation.beta = code
    return 0
