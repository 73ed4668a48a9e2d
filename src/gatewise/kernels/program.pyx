"""A model's step as one compiled call: operations between vectors, prepared once (program.h).

A program holds prepared operations and their memory, for a fixed number of rows. A step checks its
array, runs the operations and copies the output, without a Python object in between. One thread at
a time may use a program; another one gets a StateError.
"""
from cython cimport floating
from libc.string cimport memcpy
cimport numpy as cnp

import numpy as np

from gatewise.kernels._cell cimport CompiledCell, family32, family64
from gatewise.kernels._memory cimport needed_elements, needed_pointer, number_of
from gatewise.kernels._program cimport *
from gatewise.kernels._table cimport gw_activation, gw_int, gw_row, gw_table, table32, table64
from gatewise.kernels.narrow cimport NarrowSums
from gatewise.errors import StateError
from gatewise.kernels import activations
from gatewise.kernels.program_parts import (
    CellMemory, RunningMemory, StateMemory, WindowMemory, work_of, zeros,
)

cnp.import_array()

# Operations of a step from which on other Python threads may run meanwhile: giving them the chance
# costs a tenth of a microsecond.
cdef Py_ssize_t RELEASING_OPERATIONS = 200_000

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


# One input or output of `several_step`.
cdef struct Port:
    char *buffer
    void *given        # the data of the array, while it is read or written
    Py_ssize_t width, bytes, size  # size: of whole numbers, else 0


cdef class Program:
    """Prepared operations and their memory.

    A subclass in models checks what users give. `plan` is a StepPlan (models/step_plan.py), of
    which this class reads attributes only.

    Attributes
    ----------
    rows : int
        Number of sequences.
    plain : bool
        Whether a step reads one array and gives one output each time, without masks.
    several : bool
        Whether it reads or gives more arrays, each time, without masks.
    """

    cdef object __weakref__
    cdef gw_program[float] p32
    cdef gw_program[double] p64
    cdef readonly object plan
    cdef readonly Py_ssize_t rows
    cdef readonly bint plain, several
    cdef bint is64, whole, releases
    cdef int typenum, busy
    cdef list packs, held, buffers, memories  # they own the memory that the operations point to
    cdef Py_ssize_t size                                   # of whole numbers
    cdef Py_ssize_t in_width, out_width, in_bytes, out_bytes
    cdef char *in_data
    cdef char *out_data
    cdef Port *ports               # inputs, then outputs
    cdef list input_names, output_names
    cdef str form

    # ---- one step

    def step(self, x, out=None):
        """Compute one step of each sequence.

        Parameters
        ----------
        x : array_like
            The step as the model reads it: (features,) or (rows, features); whole numbers () or
            (rows,). A list or dict of arrays if the model has several inputs.
        out : ndarray, optional
            Written: the output, (outputs,) or (rows, outputs), C-contiguous and of the model's
            dtype. None: a new array. A list or dict of arrays if the model has several outputs.

        Returns
        -------
        ndarray, or None
            The output, `out` if it was given. None if no output is due at this step. A list or
            dict if the model has several outputs.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            x or out does not fit; the state is as it was.
        StateError
            Another thread uses the stream.
        """
        if not gw_enter(&self.busy):  # before the arguments are looked at: rows may change
            raise StateError(self._two_threads())
        try:
            y = (
                self.quick_step(x, out) if self.plain
                else self.several_step(x, out) if self.several else None
            )
        finally:
            gw_leave(&self.busy)
        return self._step_other(x, out) if y is None else y

    cdef object quick_step(self, x, out):
        """A step whose arrays can be used as they are; None if they cannot."""
        cdef int axes
        cdef cnp.npy_intp shape[2]
        cdef cnp.npy_intp number
        cdef const void *source
        cdef void *target
        if self.whole and type(x) is int and self.rows == 1:
            if not 0 <= x < self.size:
                return None
            number = x
            source, axes = &number, 1
        else:
            axes = self.axes_of(x)
            if axes == 0:
                x = self.narrowed(x)
                axes = 0 if x is None else self.axes_of(x)
            if axes == 0:
                return None
            source = cnp.PyArray_DATA(<cnp.ndarray>x)
        if out is None:
            shape[axes - 1] = self.out_width
            shape[0] = self.out_width if axes == 1 else self.rows
            out = cnp.PyArray_EMPTY(axes, shape, self.typenum, 0)
        elif not self.can_write(out, axes, self.out_width):
            return None
        target = cnp.PyArray_DATA(<cnp.ndarray>out)
        if self.releases:
            with nogil:
                self.run_one(source, target)
        else:
            self.run_one(source, target)
        return out

    cdef object several_step(self, x, out):
        """`quick_step` for several arrays."""
        cdef list given = parts_of(x, self.input_names), made
        cdef Py_ssize_t n_in = len(self.input_names), n_out = len(self.output_names), k
        cdef cnp.npy_intp shape[2]
        cdef int axes = 0, found
        cdef Port *port = self.ports
        if given is None:
            return None
        for k in range(n_in):
            if port[k].size and type(given[k]) is int:
                given[k] = np.array(given[k], np.intp)
            found = self.port_axes(&port[k], given[k])
            if found == 0 and port[k].size == 0:
                given[k] = self.narrowed(given[k])
                found = 0 if given[k] is None else self.port_axes(&port[k], given[k])
            if found == 0 or axes not in (0, found):
                return None
            axes = found
            port[k].given = cnp.PyArray_DATA(<cnp.ndarray>given[k])
        port += n_in
        made = [None] * n_out if out is None else parts_of(out, self.output_names)
        if made is None:
            return None
        for k in range(n_out):
            if out is None:
                shape[axes - 1] = port[k].width
                shape[0] = port[k].width if axes == 1 else self.rows
                made[k] = cnp.PyArray_EMPTY(axes, shape, self.typenum, 0)
            elif not self.can_write(made[k], axes, port[k].width):
                return None
            port[k].given = cnp.PyArray_DATA(<cnp.ndarray>made[k])
        if self.releases:
            with nogil:
                self.run_several(n_in, n_out)
        else:
            self.run_several(n_in, n_out)
        if self.form == "one":
            return made[0]
        if self.form == "list":
            return out if type(out) is list else made
        if type(out) is dict:
            return out
        named = {}
        for k in range(n_out):
            named[self.output_names[k]] = made[k]
        return named

    cdef void run_several(self, Py_ssize_t n_in, Py_ssize_t n_out) noexcept nogil:
        cdef Py_ssize_t k
        for k in range(n_in):
            memcpy(self.ports[k].buffer, self.ports[k].given, self.ports[k].bytes)
        if self.is64:
            gw_run_step(&self.p64, table64())
        else:
            gw_run_step(&self.p32, table32())
        for k in range(n_in, n_in + n_out):
            memcpy(self.ports[k].given, self.ports[k].buffer, self.ports[k].bytes)

    cdef int port_axes(self, Port *port, x) noexcept:
        """`axes_of` for one of several inputs."""
        self.in_width, self.size, self.whole = port.width, port.size, port.size > 0
        return self.axes_of(x)

    cdef int axes_of(self, x) noexcept:
        """Axes of the output for an x that can be read as it is; 0: it cannot."""
        cdef cnp.ndarray a
        cdef Py_ssize_t n, k
        cdef int axes
        cdef const cnp.npy_intp *numbers
        if not cnp.PyArray_CheckExact(x):
            return 0
        a = <cnp.ndarray>x
        axes = cnp.PyArray_NDIM(a)
        if not (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED_RO(a)):
            return 0
        if self.whole:
            if cnp.PyArray_TYPE(a) != cnp.NPY_INTP or axes > 1 or cnp.PyArray_SIZE(a) != self.rows:
                return 0
            numbers = <const cnp.npy_intp *>cnp.PyArray_DATA(a)
            for k in range(self.rows):
                if not 0 <= numbers[k] < self.size:
                    return 0
            return axes + 1
        if cnp.PyArray_TYPE(a) != self.typenum:
            return 0
        if axes == 1:
            if self.rows != 1 or a.shape[0] != self.in_width:
                return 0
        elif axes != 2 or a.shape[0] != self.rows or a.shape[1] != self.in_width:
            return 0
        n = self.rows * self.in_width
        if self.is64:
            return axes if table64().first_nonfinite(<double *>cnp.PyArray_DATA(a), n) == n else 0
        return axes if table32().first_nonfinite(<float *>cnp.PyArray_DATA(a), n) == n else 0

    cdef object narrowed(self, x):
        """A float64 array as the float32 that the model reads; None if x is another one."""
        cdef cnp.ndarray a, made
        cdef const double *source
        cdef float *target
        cdef Py_ssize_t k
        if self.is64 or self.whole or not cnp.PyArray_CheckExact(x):
            return None
        a = <cnp.ndarray>x
        if not (
            cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT64 and cnp.PyArray_IS_C_CONTIGUOUS(a)
            and cnp.PyArray_ISBEHAVED_RO(a)
        ):
            return None
        made = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.NPY_FLOAT32, 0)
        source, target = <const double *>cnp.PyArray_DATA(a), <float *>cnp.PyArray_DATA(made)
        for k in range(cnp.PyArray_SIZE(a)):
            target[k] = <float>source[k]  # infinity, if it is too large: it is refused
        return made

    cdef bint can_write(self, out, int axes, Py_ssize_t width) noexcept:
        """Whether the output, with this number of axes, can be written to `out`."""
        cdef cnp.ndarray a
        if not cnp.PyArray_CheckExact(out):
            return False
        a = <cnp.ndarray>out
        return (
            cnp.PyArray_NDIM(a) == axes and cnp.PyArray_TYPE(a) == self.typenum
            and cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED(a)
            and cnp.PyArray_DIM(a, axes - 1) == width
            and (axes == 1 or cnp.PyArray_DIM(a, 0) == self.rows)
        )

    cdef void run_one(self, const void *x, void *y) noexcept nogil:
        memcpy(self.in_data, x, self.in_bytes)
        if self.is64:
            gw_run_step(&self.p64, table64())
        else:
            gw_run_step(&self.p32, table32())
        memcpy(y, self.out_data, self.out_bytes)

    def _step_other(self, x, out):
        """A step whose arguments need more than a look; models/stream.py defines it."""
        raise NotImplementedError

    def _two_threads(self):
        """The message for a second thread."""
        return "two threads use one stream at once"

    def _enter(self):
        """Take the program for this thread; `_leave` gives it back."""
        if not gw_enter(&self.busy):
            raise StateError(self._two_threads())

    def _leave(self):
        gw_leave(&self.busy)

    # ---- several steps, several arrays

    def _run_block(self, list inputs, Py_ssize_t steps, list outputs, active=None):
        """Run steps with arrays that were checked; the thread has entered.

        Parameters
        ----------
        inputs : list of ndarray
            For each input (rows, steps, width), (rows, steps) of intp, or (rows, width) of what
            does not change.
        steps : int
        outputs : list of ndarray
            Written: for each output (rows, outputs that are due, width).
        active : uint8 ndarray of shape (steps, rows), optional
            0 where a step is masked. If there is one row, such a step does not exist.
        """
        if self.is64:
            run_block[double](self, &self.p64, table64(), inputs, steps, outputs, active)
        else:
            run_block[float](self, &self.p32, table32(), inputs, steps, outputs, active)

    @property
    def _steps(self):
        """Number of steps since the beginning."""
        return self.p64.steps if self.is64 else self.p32.steps

    # ---- preparation

    def _load(self, plan, list packs, Py_ssize_t rows):
        """Prepare the operations of a plan, with weights from `pack`; all rows begin."""
        self.is64 = plan.dtype == "float64"
        self.typenum = cnp.NPY_FLOAT64 if self.is64 else cnp.NPY_FLOAT32
        self.plan, self.packs, self.rows = plan, packs, rows
        self.held, self.memories = [], []
        self.buffers = [None] * len(plan.vectors)
        for entry in plan.inputs:
            width = plan.vectors[entry.vector].width
            self.buffers[entry.vector] = (
                zeros((rows, width), self.dtype) if entry.size is None
                else zeros((rows,), np.intp)
            )
        if self.is64:
            load_ops[double](self, &self.p64, table64())
        else:
            load_ops[float](self, &self.p32, table32())
        first = plan.inputs[0]
        self.whole = first.size is not None
        self.size = first.size if self.whole else 0
        self.in_width = plan.vectors[first.vector].width
        self.in_data = <char *>cnp.PyArray_DATA(self.buffers[first.vector])
        self.in_bytes = self.buffers[first.vector].nbytes
        last = self.buffers[plan.outputs[0].vector]
        self.out_data = <char *>cnp.PyArray_DATA(last)
        self.out_width = last.nbytes // last.dtype.itemsize // rows
        self.out_bytes = last.nbytes
        even = (
            all(entry.mask is None for entry in plan.inputs)
            and all(self.buffers[entry.vector].dtype == self.dtype for entry in plan.outputs)
            and all(vector.first == 0 and vector.every == 1 for vector in plan.vectors)
        )
        self.plain = even and len(plan.inputs) == len(plan.outputs) == 1
        self.several = even and not self.plain
        if self.several:
            self.load_ports()
        work = rows * sum(work_of(planned.op) for planned in plan.ops)
        self.releases = work >= RELEASING_OPERATIONS
        self._reset_rows(None)

    cdef object load_ports(self):
        """Prepare `several_step`."""
        plan = self.plan
        self.form = plan.form
        self.input_names = [entry.name for entry in plan.inputs]
        self.output_names = [entry.name for entry in plan.outputs]
        entries = plan.inputs + plan.outputs
        memory = np.zeros(len(entries) * sizeof(Port), np.uint8)
        self.held.append(memory)
        self.ports = <Port *>cnp.PyArray_DATA(memory)
        for k, entry in enumerate(entries):
            buffer = self.buffers[entry.vector]
            self.ports[k].buffer = <char *>cnp.PyArray_DATA(buffer)
            self.ports[k].bytes = buffer.nbytes
            self.ports[k].width = plan.vectors[entry.vector].width
            self.ports[k].size = (getattr(entry, "size", None) or 0)

    @property
    def dtype(self):
        """Of the arrays."""
        return np.dtype(np.float64 if self.is64 else np.float32)

    cdef object memory(self, tuple shape, dtype=None):
        """New memory of zeros, which lives as long as the operations; of the program's dtype."""
        array = zeros(shape, self.dtype if dtype is None else dtype)
        self.held.append(array)
        return array

    # ---- state

    def _reset_rows(self, rows):
        """Let rows (an index array, or None for all) begin again."""
        where = slice(None) if rows is None else rows
        for memory in self.memories:
            memory.reset(self, where)
        if rows is None:
            self.p32.steps = self.p64.steps = 0
        self.settle()

    def _read_state(self):
        """Copies of what the rows remember, by name."""
        found = {}
        for memory in self.memories:
            found.update(memory.read(self))
        return found

    def _write_state(self, dict state, Py_ssize_t steps):
        """The inverse of `_read_state`, for arrays that were checked."""
        for memory in self.memories:
            memory.write(self, state)
        self.p32.steps = self.p64.steps = steps
        self.settle()

    cdef void settle(self) noexcept:
        """Make the answers that belong to the state."""
        if self.is64:
            gw_settle(&self.p64, table64())
        else:
            gw_settle(&self.p32, table32())

    cpdef _odd(self, Py_ssize_t k):
        """Which of its two places holds the state of cell number k."""
        return gw_op_of(&self.p64, k).odd if self.is64 else gw_op_of(&self.p32, k).odd


cdef list parts_of(given, list names):
    """A new list of the arrays for several names; None: they are not as expected."""
    cdef dict named
    cdef Py_ssize_t k, n = len(names)
    cdef list found
    if type(given) is dict:
        named, found = given, [None] * n
        if len(named) != n:
            return None
        for k in range(n):
            if names[k] not in named:
                return None
            found[k] = named[names[k]]
        return found
    if n == 1:
        return [given]
    if not (type(given) is list or type(given) is tuple) or len(given) != n:
        return None
    return list(given)


# ---- preparing operations

cdef object load_ops(Program self, gw_program[floating] *p, const gw_table[floating] *table):
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


cdef object load_cell(Program self, gw_step_op[floating] *o, const gw_table[floating] *table,
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


cdef object load_decayed(Program self, gw_step_op[floating] *o, const gw_table[floating] *table,
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


cdef object load_product(Program self, gw_step_op[floating] *o, packed, Py_ssize_t size):
    """The weights of a product with one matrix."""
    if isinstance(packed, NarrowSums):
        return load_narrow(self, o, <NarrowSums>packed)
    o.packed = <const floating *>needed_pointer(packed, number_of(<floating *>NULL), 1, size)
    return None


cdef object load_narrow(Program self, gw_step_op[floating] *o, NarrowSums sums):
    """Sums with narrow weights, and the memory for what they multiply; float32 only."""
    o.narrow, o.narrow_count, o.sum_count = sums.parts, sums.count, sums.columns
    o.bias = <const floating *>needed_pointer(sums.bias, cnp.NPY_FLOAT32, 1, sums.columns)
    given = zeros((self.rows, sums.given), np.uint8)
    self.held.append(given)
    o.given, o.given_size = <unsigned char *>cnp.PyArray_DATA(given), sums.given
    return None


cdef object load_window(Program self, gw_step_op[floating] *o, const gw_table[floating] *table, op,
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


cdef object load_merge(Program self, gw_step_op[floating] *o, op, sources):
    """Several vectors in one."""
    o.kind, o.part_count = MERGES[op.kind], len(sources)
    widths = np.array(op.widths, np.intp)
    parts = np.zeros(len(sources), np.intp)
    self.held += [widths, parts]
    for k, source in enumerate(sources):
        parts[k] = <Py_ssize_t>cnp.PyArray_DATA(self.buffers[source])
    o.widths = <const gw_int *>cnp.PyArray_DATA(widths)
    o.parts = <const floating **>cnp.PyArray_DATA(parts)


cdef object load_plain(Program self, gw_step_op[floating] *o, const gw_table[floating] *table, op,
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


cdef object load_running(Program self, gw_step_op[floating] *o, op):
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


# ---- blocks of steps

cdef object run_block(Program self, gw_program[floating] *p, const gw_table[floating] *table,
                      list inputs, Py_ssize_t steps, list outputs, active):
    cdef Py_ssize_t n_in = len(inputs), n_out = len(outputs), k
    cdef const unsigned char *flags = NULL
    memory = np.zeros((n_in + n_out) * sizeof(gw_strip), np.uint8)
    cdef gw_strip *strips = <gw_strip *>cnp.PyArray_DATA(memory)
    if active is not None:
        flags = <const unsigned char *>needed_pointer(active, cnp.NPY_UINT8, 2, steps, self.rows)
    for k, (array, entry) in enumerate(zip(inputs, self.plan.inputs)):
        fill_strip(&strips[k], self, array, entry.vector, array.ndim > 2 or entry.size is not None)
    for k, (array, entry) in enumerate(zip(outputs, self.plan.outputs)):
        fill_strip(&strips[n_in + k], self, array, entry.vector, True)
    with nogil:
        gw_run_block(p, table, strips, n_in, strips + n_in, n_out, steps, flags)
    return None


cdef object fill_strip(gw_strip *strip, Program self, array, Py_ssize_t number, bint has_steps):
    vector, buffer = self.plan.vectors[number], self.buffers[number]
    if not (
        array.flags.c_contiguous and array.dtype == buffer.dtype and len(array) == self.rows
        and array.shape[1 + has_steps:] == buffer.shape[1:]
    ):
        raise AssertionError(
            f"kernel expects a C-contiguous array of {buffer.dtype} for {buffer.shape}, got "
            f"{array.dtype} {array.shape}"
        )
    strip.data = <char *>cnp.PyArray_DATA(array)
    strip.buffer = <char *>cnp.PyArray_DATA(buffer)
    strip.size = buffer.nbytes // self.rows
    strip.row = array.nbytes // self.rows
    strip.step = strip.size if has_steps else 0
    strip.every, strip.answers = vector.every, vector.role != "step"
    strip.holds = vector.masked == "last"
    # there is an answer even if all steps were masked
    strip.first = -1 if strip.answers and vector.first == 0 else vector.first
    return None
