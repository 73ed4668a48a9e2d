# The C++ structures of table.h, and the one table that this process uses.
cdef extern from "table.h" nogil:
    ctypedef Py_ssize_t gw_int

    cdef cppclass gw_activation[R]:
        int kind
        R alpha, beta

    cdef cppclass gw_row[R]:
        const R *x
        R *z
        const R *h_in
        const R *h0
        const R *c0
        const R *mask
        R *gates
        R *h1
        R *h_next
        R *y
        R *c1
        const R *dy
        R *dh
        R *dc
        const R *prefetch
        gw_int at
        R *sums
        R *unprojected
        R *d_projected
        R *norm_x
        R *norm_h
        R *norm_scales
        R *scratch

    cdef cppclass gw_cell[R]:
        gw_int inputs, units, width
        const R *weights
        int input_projected, sums_given, reset_after, chung
        gw_activation[R] act, gate, out
        int has_options, gates, at_i, at_f, at_g, at_o, coupled
        int output_gate_inside, candidate, activates_output
        int peepholes, peephole_i, peephole_f, peephole_o
        R clip
        R gate_ends[2]
        R act_ends[2]
        int zoneout_drawn
        unsigned zoneout_key

    bint gw_set_option[R](gw_cell[R] *cell, const char *name, double value)

    cdef cppclass gw_weights[R]:
        const R *w_x
        const R *w_h
        const R *b
        const R *b_h
        const R *peephole
        const R *projection
        const R *vectors

    cdef cppclass gw_gradients[R]:
        R *w_x
        R *w_h
        R *b
        R *b_h
        R *peephole
        R *projection

    cdef cppclass gw_family[R]:
        gw_int block
        int rows_forward, rows_backward
        bint project_rows
        int (*forward_phases)(const gw_cell[R] *) noexcept
        int (*backward_phases)(const gw_cell[R] *) noexcept
        gw_int (*forward_size)(const gw_cell[R] *) noexcept
        gw_int (*backward_size)(const gw_cell[R] *) noexcept
        void (*pack_forward)(const gw_cell[R] *, const gw_weights[R] *, R *packed) noexcept
        void (*pack_backward)(const gw_cell[R] *, const gw_weights[R] *, R *packed) noexcept
        void (*project)(const gw_cell[R] *, const gw_row[R] *rows, gw_int n, gw_int first,
                        gw_int last) noexcept
        void (*forward)(const gw_cell[R] *, const gw_row[R] *rows, gw_int n, gw_int first,
                        gw_int last, int phase) noexcept
        void (*backward)(const gw_cell[R] *, const gw_row[R] *rows, gw_int n, gw_int first,
                         gw_int last, int phase) noexcept

    cdef cppclass gw_piece[R]:
        const R *a
        const R *z
        gw_int n, lda, ldz, rows, columns
        R *w
        R *b
        gw_int ldw

    cdef cppclass gw_scan[R]:
        gw_int steps, length, units, width
        const unsigned char *resets
        const R *h0
        R *n
        R *a
        R *h
        R *y
        R *final_h
        const R *dy
        R *dh
        gw_activation[R] act

    cdef cppclass gw_windows:
        gw_int columns, step, row_step, runs, length
        const gw_int *from_ "from"

    cdef cppclass gw_image:
        gw_int size[2]
        gw_int features
        gw_int front[2]
        gw_int spread[2]
        gw_int width

    cdef cppclass gw_pooling:
        int maximum
        gw_int size[2]
        gw_int features
        gw_int window[2]
        gw_int strides[2]
        gw_int front[2]
        gw_int columns

    cdef cppclass gw_depthwise:
        gw_int features, window, stride, dilation, count

    cdef cppclass gw_conv_lstm[R]:
        gw_cell[R] cell
        gw_windows x_windows, h_windows
        gw_int rows
        const R *x
        const R *h
        const R *c0
        R *gates
        R *c1
        R *h1
        R *y
        R *h_next
        const R *mask
        const R *dy
        R *dh
        R *dc

    cdef enum gw_storage:
        GW_FLOAT32, GW_BFLOAT16, GW_INT8

    cdef cppclass gw_narrow:
        int storage
        gw_int inputs, columns
        const void *panels
        const float *scales
        const int *sums

    cdef cppclass gw_narrow_part:
        const gw_narrow *matrix
        int of_h
        int gives
        gw_int first

    cdef cppclass gw_table[R]:
        gw_family[R] rnn, lstm, gru, normalized_rnn, normalized_lstm, normalized_gru
        void (*scan_gates)(const gw_activation[R] *, int lstm, R *g, R *a, gw_int n,
                           gw_int units) noexcept
        void (*scan_gates_backward)(int lstm, R *g, const R *a, gw_int n, gw_int units) noexcept
        void (*scan_forward)(const gw_scan[R] *, gw_int first, gw_int last) noexcept
        void (*scan_backward)(const gw_scan[R] *, gw_int first, gw_int last) noexcept
        gw_int (*dense_size)(gw_int inputs, gw_int columns) noexcept
        void (*pack_dense)(const R *w, const R *b, gw_int inputs, gw_int columns,
                           R *packed) noexcept
        void (*dense)(const R *x, const R *packed, gw_int n, gw_int inputs, gw_int columns,
                      const gw_activation[R] *, R *y) noexcept
        gw_int (*narrow_columns)() noexcept
        gw_int (*narrow_given)(const gw_narrow *) noexcept
        void (*narrow_give)(const gw_narrow *, const float *x, unsigned char *given) noexcept
        void (*narrow_product)(const gw_narrow *, const unsigned char *given, gw_int stride,
                               gw_int n, float *z, gw_int ldz, int backwards) noexcept
        gw_int (*weight_tiles)(const gw_piece[R] *) noexcept
        void (*weight_gradient)(const gw_piece[R] *, gw_int first_tile, gw_int last_tile) noexcept
        gw_int (*transposed_size)(gw_int columns, gw_int length) noexcept
        void (*pack_transposed)(const R *w, gw_int columns, gw_int length, R *packed) noexcept
        void (*input_gradient)(const R *z, gw_int ldz, gw_int n, gw_int length, const R *packed,
                               gw_int columns, R *out) noexcept
        void (*correlate)(const gw_windows *, const R *x, gw_int rows, const R *packed,
                          gw_int filters, const gw_activation[R] *, R *y) noexcept
        void (*window_gradient)(const gw_windows *, const R *x, gw_int rows, const R *dz,
                                gw_int filters, R *dw, R *db) noexcept
        gw_int (*conv_lstm_size)(gw_int filters, gw_int x_inputs, gw_int h_inputs) noexcept
        void (*conv_lstm_pack)(gw_int filters, gw_int x_inputs, gw_int h_inputs, const R *w_x,
                               const R *w_h, const R *b, R *packed) noexcept
        void (*conv_lstm_forward)(const gw_conv_lstm[R] *) noexcept
        void (*conv_lstm_backward)(const gw_conv_lstm[R] *) noexcept
        void (*pool)(const gw_pooling *, const R *x, gw_int first, gw_int last, R *y) noexcept
        void (*pool_backward)(const gw_pooling *, const R *x, const R *dy, gw_int rows,
                              R *dx) noexcept
        void (*depthwise)(const gw_depthwise *, const R *x, const R *w, const R *b, R *y) noexcept
        void (*depthwise_backward)(const gw_depthwise *, const R *x, const R *w, const R *dz, R *dw,
                                   R *dx) noexcept
        void (*activate)(const gw_activation[R] *, const R *x, R *y, gw_int n) noexcept
        void (*activate_backward)(const gw_activation[R] *, const R *y, const R *dy, R *dx,
                                  gw_int n) noexcept
        void (*softmax)(const R *x, R *y, gw_int n, gw_int columns) noexcept
        void (*softmax_backward)(const R *y, const R *dy, R *dx, gw_int n, gw_int columns) noexcept
        R (*normalize)(const R *x, R *y, gw_int n, R epsilon) noexcept
        void (*add_column_sums)(const R *x, gw_int n, gw_int stride, gw_int columns,
                                R *sums) noexcept
        gw_int (*first_nonfinite)(const R *x, gw_int n) noexcept
        double (*sum_of_squares)(const R *x, gw_int n) noexcept
        void (*dropout_mask)(const float *draws, gw_int n, float rate, R scale, R *keep) noexcept
        void (*zoneout_mask)(unsigned key, gw_int at, R rate, gw_int n, R *kept) noexcept
        double (*squared_error)(const R *y, const R *p, const double *weights, double scale,
                                gw_int n, gw_int columns, R *gradient) noexcept
        double (*absolute_error)(const R *y, const R *p, const double *weights, double scale,
                                 gw_int n, gw_int columns, R *gradient) noexcept
        double (*huber)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                        gw_int columns, R *gradient, double delta) noexcept
        double (*log_cosh)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                           gw_int columns, R *gradient) noexcept
        double (*percentage_error)(const R *y, const R *p, const double *weights, double scale,
                                   gw_int n, gw_int columns, R *gradient) noexcept
        double (*hinge)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                        gw_int columns, R *gradient) noexcept
        double (*squared_hinge)(const R *y, const R *p, const double *weights, double scale,
                                gw_int n, gw_int columns, R *gradient) noexcept
        double (*binary_crossentropy)(const R *y, const R *z, const double *weights, double scale,
                                      gw_int n, gw_int columns, R *gradient) noexcept
        double (*categorical_crossentropy)(const R *y, const R *z, const double *weights,
                                           double scale, gw_int n, gw_int columns,
                                           R *gradient) noexcept
        double (*sparse_crossentropy)(const gw_int *classes, const R *z, const double *weights,
                                      double scale, gw_int n, gw_int columns, R *gradient,
                                      double smoothing) noexcept
        void (*additive_scores)(const R *query, const R *keys, gw_int count, gw_int features,
                                const R *weight, R scale, R *scores) noexcept
        double (*additive_backward)(const R *query, const R *keys, gw_int count, gw_int features,
                                    const R *weight, R scale, const R *d_scores, R *d_query,
                                    R *d_keys, R *d_weight) noexcept
        gw_int (*ctc_size)(gw_int steps, gw_int labels, gw_int columns, int want_gradient) noexcept
        double (*ctc)(const R *z, gw_int steps, gw_int columns, const gw_int *labels, gw_int count,
                      gw_int blank, double scale, R *gradient, double *scratch) noexcept
        gw_int (*fma_loop)(gw_int rounds, R *sink) noexcept
        void (*sgd)(R *p, const R *g, R *v, gw_int n, R lr, R momentum, int nesterov,
                    R decay) noexcept
        void (*rmsprop)(R *p, const R *g, R *v, R *g_mean, R *m, gw_int n, R lr, R rho, R rest,
                        R momentum, R eps, R decay) noexcept
        void (*adam)(R *p, const R *g, R *m, R *v, R *v_max, gw_int n, R lr, R lr_gradient, R beta1,
                     R rest1, R beta2, R rest2, R eps, R decay) noexcept
        void (*adagrad)(R *p, const R *g, R *sum, gw_int n, R lr, R eps, R decay) noexcept
        void (*lion)(R *p, const R *g, R *m, gw_int n, R lr, R beta1, R rest1, R beta2, R rest2,
                     R decay) noexcept
        void (*accumulate)(R *sum, R *g, gw_int n, R steps) noexcept
        void (*average)(R *p, R *mean, gw_int n, R momentum, R rest, int overwrite) noexcept

# Filled once when the module is imported; read-only from then on.
cdef gw_table[float] *table32() noexcept nogil
cdef gw_table[double] *table64() noexcept nogil
