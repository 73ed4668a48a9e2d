# The C++ structures of program.h, and what runs them.
from gatewise.kernels._table cimport gw_activation, gw_cell, gw_family, gw_int, gw_narrow_part
from gatewise.kernels._table cimport gw_row, gw_table

cdef extern from "program.h" nogil:
    int GW_CELL_OP, GW_SCAN_OP, GW_DENSE_OP, GW_ACTIVATION_OP, GW_SOFTMAX_OP, GW_AFFINE_OP
    int GW_NORMALIZATION_OP, GW_LOOKUP_OP, GW_CONVOLUTION_OP, GW_DEPTHWISE_OP
    int GW_WINDOW_MAXIMUM_OP, GW_WINDOW_MEAN_OP, GW_RUNNING_MAXIMUM_OP, GW_RUNNING_MEAN_OP
    int GW_CONCATENATE_OP, GW_ADD_OP, GW_SUBTRACT_OP, GW_MULTIPLY_OP, GW_AVERAGE_OP
    int GW_MAXIMUM_OP, GW_MINIMUM_OP, GW_SELECT_OP, GW_QUOTIENT_OP, GW_RECTIFIER_OP
    int GW_SLOPES_OP, GW_DECAYED_OP

    cdef cppclass gw_ring[R]:
        gw_int window, dilation, width
        R *steps
        gw_int *at
        gw_int turn()
        R *place(gw_int row, gw_int t)

    cdef cppclass gw_step_op[R]:
        int kind
        gw_int inputs, width, first, every, in_first, in_every
        const R *in_ "in"
        R *out
        const R *packed
        gw_activation[R] act
        const gw_family[R] *family
        gw_cell[R] cell
        gw_row[R] *before_even
        gw_row[R] *before_odd
        gw_row[R] *chosen
        R *h[2]
        R *c
        int odd
        const gw_narrow_part *narrow
        int narrow_count
        const R *bias
        R *z
        gw_int sum_count
        unsigned char *given
        gw_int given_size
        R *gates
        R *kept
        int gate_count
        gw_activation[R] gate_act
        gw_int seen_width
        R *seen
        const R *products[4]
        R *work
        const R *mean
        const R *scale
        const R *shift
        R number, slope, most
        int flag
        gw_ring[R] ring
        R *windows
        gw_int multiplier
        double *sums
        R *most_so_far
        gw_int *count
        const R **parts
        const gw_int *widths
        gw_int part_count
        const gw_int *columns
        const gw_int *numbers
        bint settles

    cdef cppclass gw_program[R]:
        gw_int rows, steps
        const unsigned char *active

    void gw_run_step "gw_steps::run_step"[R](gw_program[R] *, const gw_table[R] *)
    gw_step_op[R] *gw_new_op "gw_steps::new_op"[R](gw_program[R] *)
    gw_step_op[R] *gw_op_of "gw_steps::op_of"[R](gw_program[R] *, gw_int)
    void gw_clear_ops "gw_steps::clear"[R](gw_program[R] *)
    void gw_settle "gw_steps::settle"[R](gw_program[R] *, const gw_table[R] *)
    bint gw_enter "gw_steps::enter"(int *busy)
    void gw_leave "gw_steps::leave"(int *busy)

    # One input or output of a block of steps.
    cdef struct gw_strip:
        char *data
        char *buffer
        gw_int size, row, step, first, every
        bint answers, holds
        gw_int done

    void gw_run_block "gw_steps::run_block"[R](gw_program[R] *, const gw_table[R] *,
                                               gw_strip *inputs, gw_int n_in, gw_strip *outputs,
                                               gw_int n_out, gw_int steps,
                                               const unsigned char *active)
