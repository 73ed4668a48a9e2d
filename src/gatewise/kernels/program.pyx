"""A model's step as one compiled call: operations between vectors, prepared once (program.h).

A program holds prepared operations and their memory, for a fixed number of rows. A step checks its
array, runs the operations and copies the output, without a Python object in between. One thread at
a time may use a program; another one gets a StateError.
"""
from cython cimport floating
from libc.string cimport memcpy, memset
cimport numpy as cnp

import numpy as np

from gatewise.kernels._memory cimport needed_pointer
from gatewise.kernels._preparing cimport Ops, load_ops
from gatewise.kernels._program cimport *
from gatewise.kernels._table cimport gw_table, table32, table64
from gatewise.errors import StateError
from gatewise.kernels.program_parts import work_of

cnp.import_array()

# Operations of a step from which on other Python threads may run meanwhile: giving them the chance
# costs a tenth of a microsecond.
cdef Py_ssize_t RELEASING_OPERATIONS = 200_000

# One input or output of `several_step`.
cdef struct Port:
    char *buffer
    void *given        # the data of the array, while it is read or written
    Py_ssize_t width, bytes, size  # size: of whole numbers, else 0
    bint masks, zeroes             # an input: it masks steps; an output: it is 0 at masked ones
    double mask


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
        Whether it reads or gives more arrays, or masks steps, each time.
    """

    cdef object __weakref__
    cdef gw_program[float] p32
    cdef gw_program[double] p64
    cdef readonly object plan
    cdef readonly Py_ssize_t rows
    cdef readonly bint plain, several
    cdef bint is64, whole, releases
    cdef int typenum, busy
    cdef Ops ops  # it owns the memory that the operations point to
    cdef object port_memory, flags_memory
    cdef unsigned char *flags      # of each row, 0: its step is masked
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
        cdef Py_ssize_t k, r, size
        cdef bint masked = False
        cdef Port *port
        for k in range(n_in):
            port = &self.ports[k]
            memcpy(port.buffer, port.given, port.bytes)
            if port.masks:
                masked = self.mark(port)
        if not (masked and self.rows == 1):  # a masked step of the only row does not exist
            self.p32.active = self.p64.active = self.flags if masked else NULL
            if self.is64:
                gw_run_step(&self.p64, table64())
            else:
                gw_run_step(&self.p32, table32())
            self.p32.active = self.p64.active = NULL
        for k in range(n_in, n_in + n_out):
            port = &self.ports[k]
            memcpy(port.given, port.buffer, port.bytes)
            if not (masked and port.zeroes):
                continue
            size = port.bytes // self.rows
            for r in range(self.rows):
                if not self.flags[r]:
                    memset(<char *>port.given + r * size, 0, size)

    cdef bint mark(self, Port *port) noexcept nogil:
        """Set the flags of the rows; whether a step is masked."""
        cdef Py_ssize_t r, j, width = port.width
        cdef const double *x64 = <const double *>port.buffer
        cdef const float *x32 = <const float *>port.buffer
        cdef const cnp.npy_intp *numbers = <const cnp.npy_intp *>port.buffer
        cdef bint masked = False, counts
        for r in range(self.rows):
            counts = False
            if port.size:
                counts = numbers[r] != <cnp.npy_intp>port.mask
            elif self.is64:
                for j in range(r * width, (r + 1) * width):
                    counts = counts or x64[j] != port.mask
            else:
                for j in range(r * width, (r + 1) * width):
                    counts = counts or x32[j] != <float>port.mask
            self.flags[r] = counts
            masked = masked or not counts
        return masked

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
        self.plan, self.rows = plan, rows
        self.ops = Ops(plan, packs, rows)
        if self.is64:
            load_ops[double](self.ops, &self.p64, table64())
        else:
            load_ops[float](self.ops, &self.p32, table32())
        first = plan.inputs[0]
        self.whole = first.size is not None
        self.size = first.size if self.whole else 0
        self.in_width = plan.vectors[first.vector].width
        self.in_data = <char *>cnp.PyArray_DATA(self.ops.buffers[first.vector])
        self.in_bytes = self.ops.buffers[first.vector].nbytes
        last = self.ops.buffers[plan.outputs[0].vector]
        self.out_data = <char *>cnp.PyArray_DATA(last)
        self.out_width = last.nbytes // last.dtype.itemsize // rows
        self.out_bytes = last.nbytes
        even = (
            all(self.ops.buffers[entry.vector].dtype == self.dtype for entry in plan.outputs)
            and all(vector.first == 0 and vector.every == 1 for vector in plan.vectors)
        )
        masks = any(entry.mask is not None for entry in plan.inputs)
        self.plain = even and not masks and len(plan.inputs) == len(plan.outputs) == 1
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
        self.port_memory = memory
        self.ports = <Port *>cnp.PyArray_DATA(memory)
        for k, entry in enumerate(entries):
            buffer = self.ops.buffers[entry.vector]
            self.ports[k].buffer = <char *>cnp.PyArray_DATA(buffer)
            self.ports[k].bytes = buffer.nbytes
            self.ports[k].width = plan.vectors[entry.vector].width
            self.ports[k].size = (getattr(entry, "size", None) or 0)
            mask = getattr(entry, "mask", None)
            self.ports[k].masks, self.ports[k].mask = mask is not None, mask or 0
            vector = plan.vectors[entry.vector]
            self.ports[k].zeroes = vector.role == "step" and vector.masked != "last"
        self.flags_memory = np.zeros(self.rows, np.uint8)
        self.flags = <unsigned char *>cnp.PyArray_DATA(self.flags_memory)

    @property
    def dtype(self):
        """Of the arrays."""
        return np.dtype(np.float64 if self.is64 else np.float32)

    # ---- state

    def _reset_rows(self, rows):
        """Let rows (an index array, or None for all) begin again."""
        where = slice(None) if rows is None else rows
        for memory in self.ops.memories:
            memory.reset(self, where)
        if rows is None:
            self.p32.steps = self.p64.steps = 0
        self.settle()

    def _read_state(self):
        """Copies of what the rows remember, by name."""
        found = {}
        for memory in self.ops.memories:
            found.update(memory.read(self))
        return found

    def _write_state(self, dict state, Py_ssize_t steps):
        """The inverse of `_read_state`, for arrays that were checked."""
        for memory in self.ops.memories:
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
    vector, buffer = self.plan.vectors[number], self.ops.buffers[number]
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
