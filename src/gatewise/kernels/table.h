// What the orchestration in Cython and the vector code agree on: the structures they share, and one
// table of functions for each dtype and instruction set.
#pragma once
#include <stddef.h>
#include <string.h>

typedef ptrdiff_t gw_int; // every size and index

#define GW_NARROW_BLOCK 512 // inputs whose products of 16 bits with int8 weights add up in 32 bits
#define GW_KEY_OF_C 0x9e3779b9u // zoneout: the draws of c are not those of h

// One activation and its constants (see vmath.h).
template <class R> struct gw_activation {
    int kind = 0;
    R alpha = 0, beta = 0;
};

// Where one row of the batch reads and writes at one time step. The walk moves these pointers from
// step to step; a kernel knows nothing of the batch's layout, lengths or direction. nullptr: there
// is no such array.
template <class R> struct gw_row {
    const R *x = nullptr;    // IN    (inputs,)
    R *z = nullptr;          // (x_gates * units,) x W + b: written by project, read by
                             //       forward if cell.input_projected; or, if cell.sums_given,
                             //       x W + h' U + b
    const R *h_in = nullptr; // IN    (width,) h' as the recurrent product reads it: after dropout
    const R *h0 = nullptr;   // IN    (width,) h' itself
    const R *c0 = nullptr;   // IN    (units,) c' (LSTM)
    const R *mask = nullptr; // IN    (width,) multipliers of recurrent dropout
    R *gates = nullptr;      // OUT   (saved * units,) what backward needs; then dz, in place
    R *h1 = nullptr;         // OUT   (width,) h
    R *h_next = nullptr;     // OUT   (width,) h after recurrent dropout: the next step's h_in
    R *y = nullptr;          // OUT   (width,) h once more, for the caller
    R *c1 = nullptr;         // OUT   (units,) c (LSTM)
    const R *dy = nullptr;   // IN    (width,) gradient of this step's output
    R *dh = nullptr;         // INOUT (width,) gradient of h; after the step that of h'
    R *dc = nullptr;         // INOUT (units,) gradient of c; after the step that of c' (LSTM)
    const R *prefetch = nullptr; // gates of the step that backward visits next
    gw_int at = 0;               // number of the row's step in the batch: what zoneout draws from
    R *sums = nullptr;           // INOUT the row's part of the gradients of peepholes,
                                 //       (peepholes * units,), or of layer normalisation's vectors

    // LSTM with a projection:
    R *unprojected = nullptr; // OUT   (units,) what is projected to h; in backward IN
    R *d_projected = nullptr; // OUT   (width,) gradient of the projected h

    // Layer normalisation:
    R *norm_x = nullptr;      // (gates * units,) x W, normalised; becomes its gradient
    R *norm_h = nullptr;      // (gates * units,) h' U, normalised; becomes its gradient
    R *norm_scales = nullptr; // (4,) what x W and then h' U were multiplied by
    R *scratch = nullptr;     // (2 * units,)
};

// Options that are numbers, by their names in CellOptions (cell_options.py). 0: the plain cell.
#define GW_NUMBER_OPTIONS(OPTION)                                                                  \
    OPTION(clip)      /* sums enter their activations within [-clip, clip] */                      \
    OPTION(cell_clip) /* LSTM: c within [-cell_clip, cell_clip] */                                 \
    OPTION(zoneout_h) /* rate at which h keeps its old value */                                    \
    OPTION(zoneout_c) /* LSTM: rate at which c does */

// GRU: what the gates multiply in the candidate (gru.h); in the order of CANDIDATES in
// cell_options.py.
enum gw_candidate { GW_RESET, GW_COMPLEMENT, GW_SPLIT, GW_INPUT };

// What one step of a cell needs beside the rows. Lengths that are `units` above are `width` for all
// that holds h: narrower than the cell where an LSTM projects.
template <class R> struct gw_cell {
    gw_int inputs = 0, units = 0, width = 0;
    const R *weights = nullptr;      // packed for this pass: forward or backward
    int input_projected = 0;         // row.z holds x W + b: the input product was done ahead
    int sums_given = 0;              // row.z holds all sums of a step, (slots * units,)
    int reset_after = 0;             // GRU: r multiplies h' U instead of h'
    int chung = 0;                   // GRU: h = (1-z) h' + z n instead of z h' + (1-z) n
    gw_activation<R> act, gate, out; // candidate; gates; cell output (LSTM), y (GRU)

    // Options. A cell without any has has_options = 0, and runs code that holds none of them.
    int has_options = 0;
    int gates = 4; // LSTM: blocks of units in the weights, 4 if none is left out
    int at_i = 0, at_f = 1, at_g = 2, at_o = 3; // LSTM: which block is whose; -1: left out
    int coupled = 0;   // LSTM: f = 1 - i; else a gate that is left out is 1
    int output_gate_inside = 0; // LSTM: h = out(o * c) instead of o * out(c)
    int candidate = 0;          // GRU: one of gw_candidate
    int activates_output = 0;   // GRU: y = out(h)
    int peepholes = 0; // LSTM: rows of peephole weights: those of i f o that there are
    int peephole_i = -1, peephole_f = -1, peephole_o = -1; // which row is whose; -1: none
#define GW_FIELD(name) R name = 0;
    GW_NUMBER_OPTIONS(GW_FIELD)
#undef GW_FIELD
    R gate_ends[2] = {}, act_ends[2] = {}; // gate(+-clip), act(+-clip): they pass no gradient
    int zoneout_drawn = 0;                 // 1: one draw a unit and step; 0: their expectation
    unsigned zoneout_key = 0;
};

// Sets an option that is a number. False: there is none of this name.
template <class R>
static inline bool gw_set_option(gw_cell<R> *cell, const char *name, double value) {
#define GW_SET(option)                                                                             \
    if (strcmp(name, #option) == 0) {                                                              \
        cell->option = (R)value;                                                                   \
        if (value != 0) cell->has_options = 1;                                                     \
        return true;                                                                               \
    }
    GW_NUMBER_OPTIONS(GW_SET)
#undef GW_SET
    return false;
}

// What a pack is made from; nullptr: there is none.
template <class R> struct gw_weights {
    const R *w_x = nullptr;        // (inputs, gates * units)
    const R *w_h = nullptr;        // (width, gates * units); GW_INPUT: (width, 2 * units)
    const R *b = nullptr;          // (gates * units,)
    const R *b_h = nullptr;        // (gates * units,) recurrent bias of a reset-after GRU
    const R *peephole = nullptr;   // (peepholes, units)
    const R *projection = nullptr; // (units, width)
    const R *vectors = nullptr;    // with layer normalisation: biases, gains (normalized.h)
};

// Their gradients, which a backward pass adds to; nullptr: not wanted.
template <class R> struct gw_gradients {
    R *w_x = nullptr, *w_h = nullptr, *b = nullptr, *b_h = nullptr;
    R *peephole = nullptr, *projection = nullptr;
};

template <class R> struct gw_family {
    // Elements of the packed weights.
    gw_int (*forward_size)(const gw_cell<R> *);
    gw_int (*backward_size)(const gw_cell<R> *);
    void (*pack_forward)(const gw_cell<R> *, const gw_weights<R> *, R *packed);
    void (*pack_backward)(const gw_cell<R> *, const gw_weights<R> *, R *packed);

    // All work below is on units [first, last) of n rows; first is a multiple of `block`. A step is
    // made of phases: a phase may begin when the one before is done for ALL units of these rows. A
    // phase that makes something of the width of h has units [0, width).
    gw_int block;
    // A phase whose parts are rows, each with all its units; -1: none. project_rows: so are
    // project's.
    int rows_forward = -1, rows_backward = -1;
    bool project_rows = false;
    int (*forward_phases)(const gw_cell<R> *);
    int (*backward_phases)(const gw_cell<R> *);
    void (*project)(const gw_cell<R> *, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last);
    void (*forward)(const gw_cell<R> *, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last,
                    int phase);
    // gates become dz; dh and dc become those of the step before.
    void (*backward)(const gw_cell<R> *, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last,
                     int phase);
};

// One weight gradient: w (rows, columns) += a^T z, b (columns,) += column sums of z, or NULL.
template <class R> struct gw_piece {
    const R *a = nullptr, *z = nullptr; // (n, rows), (n, columns), lda and ldz elements a row
    gw_int n = 0, lda = 0, ldz = 0, rows = 0, columns = 0;
    R *w = nullptr, *b = nullptr;
    gw_int ldw = 0;
};

// One row of a cell whose gates see x alone (scan.h). NULL where the call has no such array.
template <class R> struct gw_scan {
    gw_int steps = 0, length = 0;          // length: true steps
    gw_int units = 0, width = 0;           // width: of a row of sums, in numbers
    const unsigned char *resets = nullptr; // (steps,)
    const R *h0 = nullptr;                 // (units,)
    R *n = nullptr;                        // (steps, units), width apart: the candidate; becomes dn
    R *a = nullptr;                        // (steps, units) how much of h' stays; becomes da
    R *h = nullptr, *y = nullptr;          // (steps, units) kept for backward; for the caller
    R *final_h = nullptr;                  // (units,)
    const R *dy = nullptr;                 // (steps, units)
    R *dh = nullptr;                       // (units,)
    gw_activation<R> act;                  // of the candidate
};

// Windows of an image that has its padding in memory. A window is `runs` pieces of `length` numbers.
struct gw_windows {
    gw_int columns = 0;             // positions of a row of the output
    gw_int step = 0, row_step = 0;  // numbers from a position to the next one; from row to row
    gw_int runs = 0, length = 0;
    const gw_int *from = nullptr;   // (runs,) where each piece begins
};

// An image, and where its padded copy holds it (image.h).
struct gw_image {
    gw_int size[2] = {}, features = 0;        // rows and columns of the image
    gw_int front[2] = {}, spread[2] = {1, 1}; // of the copy
    gw_int width = 0;                         // columns of the copy
};

// Pooling over windows of an image (pooling.h).
struct gw_pooling {
    int maximum = 0; // else the mean
    gw_int size[2] = {}, features = 0, window[2] = {}, strides[2] = {}, front[2] = {};
    gw_int columns = 0; // positions of a row of the output
};

// Convolution of each feature by itself (depthwise.h).
struct gw_depthwise {
    gw_int features = 0, window = 0, stride = 0, dilation = 0, count = 0;
};

// One step of one image in a ConvLSTM (conv_lstm.h). nullptr: there is no such array.
template <class R> struct gw_conv_lstm {
    gw_cell<R> cell; // units: filters; its weights are packed by conv_lstm_pack
    gw_windows x_windows, h_windows;
    gw_int rows = 0;                      // rows of positions
    const R *x = nullptr, *h = nullptr;   // IN    padded x and h'
    const R *c0 = nullptr;                // IN    (positions, filters)
    R *gates = nullptr;                   // OUT   (positions, 4 * filters); then dz, in place
    R *c1 = nullptr, *h1 = nullptr;       // OUT   (positions, filters)
    R *y = nullptr;                       // OUT   h once more
    R *h_next = nullptr;                  // OUT   h after dropout, in the padded h' of the next step
    const R *mask = nullptr, *dy = nullptr; // IN  (positions, filters)
    R *dh = nullptr, *dc = nullptr;       // INOUT (positions, filters)
};

// A matrix of weights that are narrower than float32, and how they are packed (narrow.h). int8: the
// columns' scales, and for each block of inputs the sums of each column's weights times 32768.
enum gw_storage { GW_FLOAT32, GW_BFLOAT16, GW_INT8 };
struct gw_narrow {
    int storage = GW_BFLOAT16;
    gw_int inputs = 0, columns = 0;
    const void *panels = nullptr;
    const float *scales = nullptr; // (columns, filled up to whole panels)
    const int *sums = nullptr;     // (blocks, columns, filled up to whole panels)
};

// A part of sums b + x W + h' U: columns from `first` on.
struct gw_narrow_part {
    const gw_narrow *matrix = nullptr;
    int of_h = 0;  // it multiplies h', not x
    int gives = 0; // the part before has read another vector
    gw_int first = 0;
};

template <class R> struct gw_table {
    gw_family<R> rnn, lstm, gru, normalized_rnn, normalized_lstm, normalized_gru;

    void (*scan_gates)(const gw_activation<R> *, int lstm, R *g, R *a, gw_int n, gw_int units);
    void (*scan_gates_backward)(int lstm, R *g, const R *a, gw_int n, gw_int units);
    void (*scan_forward)(const gw_scan<R> *, gw_int first, gw_int last);
    void (*scan_backward)(const gw_scan<R> *, gw_int first, gw_int last);

    // y (n, columns) = act(x (n, inputs) w + b), w packed by pack_dense; b may be NULL.
    gw_int (*dense_size)(gw_int inputs, gw_int columns);
    void (*pack_dense)(const R *w, const R *b, gw_int inputs, gw_int columns, R *packed);
    void (*dense)(const R *x, const R *packed, gw_int n, gw_int inputs, gw_int columns,
                  const gw_activation<R> *, R *y);

    // z += x w for n rows, w narrower than float32 (narrow.h); float32 only. narrow_give writes one
    // row of x in the form that products read, in narrow_given bytes, `stride` from row to row.
    gw_int (*narrow_columns)(); // of a panel
    gw_int (*narrow_given)(const gw_narrow *);
    void (*narrow_give)(const gw_narrow *, const float *x, unsigned char *given);
    void (*narrow_product)(const gw_narrow *, const unsigned char *given, gw_int stride, gw_int n,
                           float *z, gw_int ldz, int backwards);

    // Large products of a backward pass; any partition of the tiles, or of the rows, gives the same
    // bits.
    gw_int (*weight_tiles)(const gw_piece<R> *);
    void (*weight_gradient)(const gw_piece<R> *, gw_int first_tile, gw_int last_tile);
    // out (n, columns) = z (n, length) w^T, w (columns, length) packed by pack_transposed.
    gw_int (*transposed_size)(gw_int columns, gw_int length);
    void (*pack_transposed)(const R *w, gw_int columns, gw_int length, R *packed);
    void (*input_gradient)(const R *z, gw_int ldz, gw_int n, gw_int length, const R *packed,
                           gw_int columns, R *out);

    // Convolutions and pooling (convolution.h, conv_lstm.h, pooling.h, depthwise.h).
    void (*correlate)(const gw_windows *, const R *x, gw_int rows, const R *packed, gw_int filters,
                      const gw_activation<R> *, R *y);
    void (*window_gradient)(const gw_windows *, const R *x, gw_int rows, const R *dz,
                            gw_int filters, R *dw, R *db);
    gw_int (*conv_lstm_size)(gw_int filters, gw_int x_inputs, gw_int h_inputs);
    void (*conv_lstm_pack)(gw_int filters, gw_int x_inputs, gw_int h_inputs, const R *w_x,
                           const R *w_h, const R *b, R *packed);
    void (*conv_lstm_forward)(const gw_conv_lstm<R> *);
    void (*conv_lstm_backward)(const gw_conv_lstm<R> *);
    void (*pool)(const gw_pooling *, const R *x, gw_int first, gw_int last, R *y);
    void (*pool_backward)(const gw_pooling *, const R *x, const R *dy, gw_int rows, R *dx);
    void (*depthwise)(const gw_depthwise *, const R *x, const R *w, const R *b, R *y);
    void (*depthwise_backward)(const gw_depthwise *, const R *x, const R *w, const R *dz, R *dw,
                               R *dx);

    // y = act(x); y may be x. So it may in softmax.
    void (*activate)(const gw_activation<R> *, const R *x, R *y, gw_int n);
    void (*activate_backward)(const gw_activation<R> *, const R *y, const R *dy, R *dx, gw_int n);
    void (*softmax)(const R *x, R *y, gw_int n, gw_int columns);
    void (*softmax_backward)(const R *y, const R *dy, R *dx, gw_int n, gw_int columns);
    R (*normalize)(const R *x, R *y, gw_int n, R epsilon); // of one row (norm.h); y may be x
    void (*add_column_sums)(const R *x, gw_int n, gw_int stride, gw_int columns, R *sums);
    gw_int (*first_nonfinite)(const R *x, gw_int n); // n if all are finite
    double (*sum_of_squares)(const R *x, gw_int n);

    // keep may be draws; kept is 1 where step `at` keeps the old value.
    void (*dropout_mask)(const float *draws, gw_int n, float rate, R scale, R *keep);
    void (*zoneout_mask)(unsigned key, gw_int at, R rate, gw_int n, R *kept);

    // Losses (losses.h): sum of weight * value over rows; gradient = scale * its gradient, or NULL.
    double (*squared_error)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                            gw_int columns, R *gradient);
    double (*absolute_error)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                             gw_int columns, R *gradient);
    double (*huber)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                    gw_int columns, R *gradient, double delta);
    double (*log_cosh)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                       gw_int columns, R *gradient);
    double (*percentage_error)(const R *y, const R *p, const double *weights, double scale,
                               gw_int n, gw_int columns, R *gradient);
    double (*hinge)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                    gw_int columns, R *gradient);
    double (*squared_hinge)(const R *y, const R *p, const double *weights, double scale, gw_int n,
                            gw_int columns, R *gradient);
    double (*binary_crossentropy)(const R *y, const R *z, const double *weights, double scale,
                                  gw_int n, gw_int columns, R *gradient);
    double (*categorical_crossentropy)(const R *y, const R *z, const double *weights, double scale,
                                       gw_int n, gw_int columns, R *gradient);
    double (*sparse_crossentropy)(const gw_int *classes, const R *z, const double *weights,
                                  double scale, gw_int n, gw_int columns, R *gradient,
                                  double smoothing);

    // Additive attention of one query (attention.h).
    void (*additive_scores)(const R *query, const R *keys, gw_int count, gw_int features,
                            const R *weight, R scale, R *scores);
    double (*additive_backward)(const R *query, const R *keys, gw_int count, gw_int features,
                                const R *weight, R scale, const R *d_scores, R *d_query, R *d_keys,
                                R *d_weight);

    // CTC of one row (ctc.h).
    gw_int (*ctc_size)(gw_int steps, gw_int labels, gw_int columns, int want_gradient);
    double (*ctc)(const R *z, gw_int steps, gw_int columns, const gw_int *labels, gw_int count,
                  gw_int blank, double scale, R *gradient, double *scratch);

    // For benchmarks: operations of a loop that only multiplies and adds.
    gw_int (*fma_loop)(gw_int rounds, R *sink);

    // Optimizers (optimizers.h): one step over n elements; and sums of gradients, means of
    // parameters.
    void (*sgd)(R *p, const R *g, R *v, gw_int n, R lr, R momentum, int nesterov, R decay);
    void (*rmsprop)(R *p, const R *g, R *v, R *g_mean, R *m, gw_int n, R lr, R rho, R rest,
                    R momentum, R eps, R decay);
    void (*adam)(R *p, const R *g, R *m, R *v, R *v_max, gw_int n, R lr, R lr_gradient, R beta1,
                 R rest1, R beta2, R rest2, R eps, R decay);
    void (*adagrad)(R *p, const R *g, R *sum, gw_int n, R lr, R eps, R decay);
    void (*lion)(R *p, const R *g, R *m, gw_int n, R lr, R beta1, R rest1, R beta2, R rest2,
                 R decay);
    void (*accumulate)(R *sum, R *g, gw_int n, R steps);
    void (*average)(R *p, R *mean, gw_int n, R momentum, R rest, int overwrite);
};
