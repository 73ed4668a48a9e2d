// What the orchestration in Cython and the vector code agree on: the structures they share, and one
// table of functions for each dtype and instruction set.
#pragma once
#include <stddef.h>

typedef ptrdiff_t gw_int; // every size and index

#define GW_KEY_OF_C 0x9e3779b9u // zoneout: the draws of c are not those of h

// One activation and its constants (vmath.h says what they are).
template <class R> struct gw_activation {
    int kind;
    R alpha, beta;
};

// The places that one row of the batch reads and writes at one time step. The orchestration moves
// them from step to step; a kernel never knows the batch's layout, its raggedness or direction.
template <class R> struct gw_row {
    const R *x;     // IN   (inputs,)
    R *z;           // x W + b, (x_gates * units,): written by project, read by forward if cell.x_done
    const R *h_in;  // IN   (units,) h', what the recurrent product reads (after recurrent dropout)
    const R *h0;    // IN   (units,) h' itself
    const R *c0;    // IN   (units,) c' (LSTM)
    const R *mask;  // IN   (units,) recurrent dropout's multipliers, or NULL
    R *gates;       // OUT  (saved * units,) what backward needs, or scratch, or NULL; then dz, in place
    R *h1;          // OUT  (units,) h
    R *h_next;      // OUT  (units,) h after recurrent dropout, or NULL: the next step's h_in
    R *y;           // OUT  (units,) h once more, for the caller, or NULL
    R *c1;          // OUT  (units,) c (LSTM)
    const R *dy;    // IN   (units,) gradient of this step's output, or NULL
    R *dh;          // INOUT (units,) gradient of h; after the step that of h'
    R *dc;          // INOUT (units,) gradient of c; after the step that of c' (LSTM)
    const R *soon;  // gates of the step that backward visits next, or NULL: fetched ahead
    gw_int at;      // number of the row's step in the batch: what zoneout draws from
    R *m;           // OUT  (units,) what is projected to h (LSTM with projection); in backward IN. With layer
                    //      normalisation (2 * units,): scratch of a row
    R *dm;          // OUT  (width,) gradient of the projected h (LSTM with projection)
    R *sums;        // INOUT (peepholes * units,) the row's part of the peepholes' gradient; with layer normalisation of
                    //      its vectors'
    // With layer normalisation:
    R *v, *u;       // (gates * units,) x W and h' U, normalised; become their gradients. At inference v is z
    R *scale;       // (4,) what v and then u were multiplied by, in one span or two each, or NULL
};

// What one step of a cell needs beside the rows. Lengths that are `units` above are `width` for all that
// holds h: narrower than the cell where an LSTM projects.
template <class R> struct gw_cell {
    gw_int inputs, units, width;
    const R *weights;    // packed for this pass: forward or backward
    int x_done;          // row.z holds x W + b: the input product was done ahead
    int reset_after;     // GRU: r multiplies h' U instead of h'
    int chung;           // GRU: h = (1-z) h' + z n instead of z h' + (1-z) n
    gw_activation<R> act, gate, out; // candidate; gates; cell output (LSTM)

    // Options. A cell without any has rich = 0, and runs code that holds none of them.
    int rich;
    int gates;           // LSTM: blocks of units in the weights, 4 if none is left out
    int at_i, at_f, at_g, at_o; // LSTM: which block is whose; -1: left out
    int coupled;         // LSTM: f = 1 - i; else a gate that is left out is 1
    int peepholes;       // LSTM: rows of peephole weights: those of i f o that there are
    int peephole_i, peephole_f, peephole_o; // which row is whose; -1: none
    R clip;              // sums go into activations within [-clip, clip]; 0: as they are
    R gate_ends[2], act_ends[2]; // gate(+-clip), act(+-clip): outputs of this value pass no gradient
    R cell_clip;         // LSTM: c within [-cell_clip, cell_clip]; 0: as it is
    R zoneout_h, zoneout_c; // rates at which h and c keep their old value
    int zoneout_drawn;   // 1: one draw a unit and step; 0: their expectation
    unsigned zoneout_key;
};

// What a pack is made from. w_x (inputs, gates*units), w_h (width, gates*units), b (gates*units,) or NULL,
// b_h (gates*units,) or NULL: recurrent bias of a reset-after GRU; peephole (peepholes, units) or NULL;
// projection (units, width) or NULL.
template <class R> struct gw_weights {
    const R *w_x, *w_h, *b, *b_h, *peephole, *projection;
    const R *vectors; // with layer normalisation: biases and gains side by side (normalized.h)
};

template <class R> struct gw_family {
    // Elements of the packed weights.
    gw_int (*forward_size)(const gw_cell<R> *);
    gw_int (*backward_size)(const gw_cell<R> *);
    void (*pack_forward)(const gw_cell<R> *, const gw_weights<R> *, R *packed);
    void (*pack_backward)(const gw_cell<R> *, const gw_weights<R> *, R *packed);

    // All work below is on units [first, last) of n rows; first is a multiple of `block`. A step is made
    // of phases: a phase may begin when the one before is done for ALL units of these rows. A phase that makes
    // something of the width of h has units [0, width).
    gw_int block;
    int rows_forward = -1, rows_backward = -1; // a phase whose parts are rows, each with all its units; -1: none
    bool project_rows = false;                 // so are those of project
    int (*forward_phases)(const gw_cell<R> *);
    int (*backward_phases)(const gw_cell<R> *);
    void (*project)(const gw_cell<R> *, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last);
    void (*forward)(const gw_cell<R> *, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last, int phase);
    // gates become dz; dh and dc become those of the step before.
    void (*backward)(const gw_cell<R> *, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last, int phase);
};

// One weight gradient: w (rows, columns) += a^T z, b (columns,) += column sums of z, or NULL.
template <class R> struct gw_piece {
    const R *a, *z;        // (n, rows), (n, columns), with lda and ldz elements a row
    gw_int n, lda, ldz, rows, columns;
    R *w, *b;
    gw_int ldw;
};

// One row of a cell whose gates see x alone (scan.h). NULL where the call has no such array.
template <class R> struct gw_scan {
    gw_int steps, length, units, width; // length: true steps; width: of a row of sums, in numbers
    const unsigned char *resets; // (steps,)
    const R *h0;           // (units,)
    R *n;                  // (steps, units), width apart: the candidate; becomes its gradient
    R *a;                  // (steps, units) how much of h' stays; becomes its gradient
    R *h, *y;              // (steps, units) kept for backward; for the caller
    R *final_h;            // (units,)
    const R *dy;           // (steps, units)
    R *dh;                 // (units,)
    gw_activation<R> act;  // of the candidate
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
    void (*dense)(const R *x, const R *packed, gw_int n, gw_int inputs, gw_int columns, const gw_activation<R> *, R *y);

    // Large products of a backward pass; any partition of the tiles, or of the rows, gives the same bits.
    gw_int (*weight_tiles)(const gw_piece<R> *);
    void (*weight_gradient)(const gw_piece<R> *, gw_int first_tile, gw_int last_tile);
    // out (n, columns) = z (n, length) w^T, w (columns, length) packed by pack_transposed.
    gw_int (*transposed_size)(gw_int columns, gw_int length);
    void (*pack_transposed)(const R *w, gw_int columns, gw_int length, R *packed);
    void (*input_gradient)(const R *z, gw_int ldz, gw_int n, gw_int length, const R *packed, gw_int columns, R *out);

    void (*activate)(const gw_activation<R> *, const R *x, R *y, gw_int n);        // y = act(x); y may be x
    void (*activate_backward)(const gw_activation<R> *, const R *y, const R *dy, R *dx, gw_int n);
    void (*softmax)(const R *x, R *y, gw_int n, gw_int columns);                     // y may be x
    void (*softmax_backward)(const R *y, const R *dy, R *dx, gw_int n, gw_int columns);
    void (*add_column_sums)(const R *x, gw_int n, gw_int stride, gw_int columns, R *sums);
    gw_int (*first_nonfinite)(const R *x, gw_int n);                                 // n if all are finite
    double (*sum_of_squares)(const R *x, gw_int n);

    void (*dropout_mask)(const float *draws, gw_int n, float rate, R scale, R *keep); // keep may be draws
    void (*zoneout_mask)(unsigned key, gw_int at, R rate, gw_int n, R *kept); // 1 where step `at` keeps the old value

    // Losses (losses.h): sum of weight * value over rows; gradient = scale * its gradient, or NULL.
    double (*squared_error)(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient);
    double (*absolute_error)(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient);
    double (*huber)(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient,
                    double delta);
    double (*log_cosh)(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient);
    double (*percentage_error)(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns,
                               R *gradient);
    double (*hinge)(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient);
    double (*squared_hinge)(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient);
    double (*binary_crossentropy)(const R *y, const R *z, const double *weights, double scale, gw_int n, gw_int columns,
                                  R *gradient);
    double (*categorical_crossentropy)(const R *y, const R *z, const double *weights, double scale, gw_int n, gw_int columns,
                                       R *gradient);
    double (*sparse_crossentropy)(const gw_int *classes, const R *z, const double *weights, double scale, gw_int n,
                                  gw_int columns, R *gradient, double smoothing);

    // CTC of one row (ctc.h).
    gw_int (*ctc_size)(gw_int steps, gw_int labels, gw_int columns, int want_gradient);
    double (*ctc)(const R *z, gw_int steps, gw_int columns, const gw_int *labels, gw_int count, gw_int blank, double scale,
                  R *gradient, double *scratch);

    gw_int (*fma_loop)(gw_int rounds, R *sink);  // for benchmarks: operations of a loop that only multiplies and adds

    // Optimizers (optimizers.h): one step over n elements; and sums of gradients, means of parameters.
    void (*sgd)(R *p, const R *g, R *v, gw_int n, R lr, R momentum, int nesterov, R decay);
    void (*rmsprop)(R *p, const R *g, R *v, R *g_mean, R *m, gw_int n, R lr, R rho, R rest, R momentum, R eps, R decay);
    void (*adam)(R *p, const R *g, R *m, R *v, R *v_max, gw_int n, R lr, R lr_gradient, R beta1, R rest1, R beta2,
                 R rest2, R eps, R decay);
    void (*adagrad)(R *p, const R *g, R *sum, gw_int n, R lr, R eps, R decay);
    void (*lion)(R *p, const R *g, R *m, gw_int n, R lr, R beta1, R rest1, R beta2, R rest2, R decay);
    void (*accumulate)(R *sum, R *g, gw_int n, R steps);
    void (*average)(R *p, R *mean, gw_int n, R momentum, R rest, int overwrite);
};
