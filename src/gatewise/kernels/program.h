// One step of a model: operations between vectors (layers/step_ops.py) that are prepared once.
//
// A vector has `rows` rows of `width` numbers in memory of its own. An operation reads the vectors
// of earlier ones and writes its own; what it remembers from step to step is beside it. Products,
// cells and activations are those of the table, so that a row has the bits of a pass over its whole
// sequence. Nothing is allocated in a step.
#pragma once
#include <vector>

#include "table.h"

enum gw_step_kind {
    GW_CELL_OP,
    GW_SCAN_OP,
    GW_DENSE_OP,
    GW_ACTIVATION_OP,
    GW_SOFTMAX_OP,
    GW_AFFINE_OP,
    GW_NORMALIZATION_OP,
    GW_LOOKUP_OP,
    GW_CONVOLUTION_OP,
    GW_DEPTHWISE_OP,
    GW_WINDOW_MAXIMUM_OP,
    GW_WINDOW_MEAN_OP,
    GW_RUNNING_MAXIMUM_OP,
    GW_RUNNING_MEAN_OP,
    GW_CONCATENATE_OP,
    GW_ADD_OP,
    GW_SUBTRACT_OP,
    GW_MULTIPLY_OP,
    GW_AVERAGE_OP,
    GW_MAXIMUM_OP,
    GW_MINIMUM_OP,
    GW_SELECT_OP,
    GW_QUOTIENT_OP,
    GW_RECTIFIER_OP,
    GW_SLOPES_OP,
    GW_DECAYED_OP
};

// The last steps of each row, so that a window is one piece of memory. Steps `dilation` apart are
// side by side, and each is stored twice: a ring of 2 * window places for each of `dilation` turns.
template <class R> struct gw_ring {
    gw_int window = 0, dilation = 0, width = 0;
    R *steps = nullptr;  // (rows, dilation, 2 * window, width)
    gw_int *at = nullptr; // (rows,) steps that a row has seen

    gw_int turn() const { return 2 * window * width; }

    // Where the step number `t` of a row is stored; the second place is window * width further.
    R *place(gw_int row, gw_int t) const {
        return steps + (row * dilation + t % dilation) * turn() +
               t / dilation % window * width;
    }
    // The window that ends at the last step that was pushed.
    const R *last(gw_int row) const { return place(row, at[row] - 1) + width; }
};

template <class R> struct gw_step_op {
    int kind = 0;
    gw_int inputs = 0, width = 0;
    gw_int first = 0, every = 1; // it runs at the steps first, first + every, ...
    gw_int in_first = 0, in_every = 1; // so does what makes its input
    const R *in = nullptr;       // (rows, inputs)
    R *out = nullptr;            // (rows, width)

    const R *packed = nullptr; // weights of a product, or the table of a look-up
    gw_activation<R> act;

    // cells
    const gw_family<R> *family = nullptr;
    gw_cell<R> cell;
    gw_row<R> *before_even = nullptr, *before_odd = nullptr; // (rows,) h is in h[0], in h[1]
    gw_row<R> *chosen = nullptr;                             // (rows,) scratch
    R *h[2] = {}, *c = nullptr;                              // (rows, cell.width), (rows, units)
    int odd = 0;                                             // which of h holds the state

    // sums with narrow weights (narrow.h), float32 only; narrow_count 0: there are none
    const gw_narrow_part *narrow = nullptr;
    int narrow_count = 0;
    const R *bias = nullptr;        // (sum_count,)
    R *z = nullptr;                 // (rows, sum_count) a cell's sums
    gw_int sum_count = 0;
    unsigned char *given = nullptr; // (rows, given_size) x or h' as the products read them
    gw_int given_size = 0;

    // minimal cells
    R *gates = nullptr, *kept = nullptr; // (rows, gates * units), (rows, units)
    int gate_count = 0;

    // a cell with decays: [values, mask, time] come in, of `seen_width` features each
    gw_activation<R> gate_act;
    gw_int seen_width = 0;
    R *seen = nullptr; // (rows, seen_width) the last observed values, minus `mean`
    const R *products[4] = {}; // of the mask, of the time (h decays), of h, of r h
    R *work = nullptr; // see step_of_decayed

    // vectors of an affine operation, or a normalization; nullptr: it has none
    const R *mean = nullptr, *scale = nullptr, *shift = nullptr;
    R number = 0, slope = 0, most = 0; // epsilon, threshold, share of a mean, ...
    int flag = 0;

    gw_ring<R> ring;
    R *windows = nullptr; // (rows, window * inputs), if the rows' windows are not in one piece
    gw_int multiplier = 1;

    double *sums = nullptr;    // (rows, width) of a running mean
    R *most_so_far = nullptr;  // (rows, width) of a running maximum
    gw_int *count = nullptr; // (rows,)

    const R *const *parts = nullptr; // of a merge
    const gw_int *widths = nullptr;
    gw_int part_count = 0;

    const gw_int *columns = nullptr; // (width,)
    const gw_int *numbers = nullptr; // (rows,) of a look-up
    bool settles = false; // it makes an answer, of other vectors alone
};

template <class R> struct gw_program {
    std::vector<gw_step_op<R>> ops;
    gw_int rows = 0;
    gw_int steps = 0;                      // since the beginning
    const unsigned char *active = nullptr; // (rows,) 0: the row has no step now. nullptr: all have
};

// One input or output of a block of steps.
struct gw_strip {
    char *data = nullptr;         // (rows, steps, size), or (rows, size) for what does not change
    char *buffer = nullptr;       // (rows, size) of its vector
    gw_int size = 0;              // bytes of one row
    gw_int row = 0, step = 0;     // bytes from row to row and from step to step of the data
    gw_int first = 0, every = 1;  // when an output is due
    int answers = 0;              // it is due whenever there has been a first one
    int holds = 0;                // at a masked step it is what it was before, not zeros
    gw_int done = 0;              // outputs so far
};

namespace gw_steps {

// The 64 units that go together (_plan.pxd).
constexpr gw_int PIECE = 64;

template <class R> static bool is_active(const gw_program<R> *p, gw_int row) {
    return !p->active || p->active[row];
}

// ---- sums with narrow weights

// out (rows, sum_count) = bias + x W + h U.
template <class R>
static void narrow_sums(const gw_program<R> *p, const gw_step_op<R> &op, const gw_table<R> *table,
                        const R *x, const R *h, R *out) {
    for (gw_int r = 0; r < p->rows; r++)
        memcpy(out + r * op.sum_count, op.bias, op.sum_count * sizeof(R));
    for (int k = 0; k < op.narrow_count; k++) {
        const gw_narrow_part &part = op.narrow[k];
        const R *from = part.of_h ? h : x;
        if (part.gives)
            for (gw_int r = 0; r < p->rows; r++)
                table->narrow_give(part.matrix, (const float *)(from + r * part.matrix->inputs),
                                   op.given + r * op.given_size);
        table->narrow_product(part.matrix, op.given, op.given_size, p->rows,
                              (float *)(out + part.first), op.sum_count, p->steps & 1);
    }
}

// out (rows, columns) = act(x W + b).
template <class R>
static void product(const gw_program<R> *p, const gw_step_op<R> &op, const gw_table<R> *table,
                    const R *x, gw_int inputs, gw_int columns, const gw_activation<R> &act,
                    R *out) {
    if (!op.narrow_count)
        return table->dense(x, op.packed, p->rows, inputs, columns, &act, out);
    narrow_sums(p, op, table, x, x, out);
    table->activate(&act, out, out, p->rows * columns);
}

// ---- cells

// As in _walk.pyx: every other step takes the pieces in reverse, so that it finds in the cache what
// the step before has used last.
template <class R>
static void phase_of_cell(const gw_step_op<R> &op, const gw_row<R> *rows, gw_int n, int phase) {
    const gw_int units = phase == 1 ? op.cell.width : op.cell.units;
    if (phase == op.family->rows_forward)
        return op.family->forward(&op.cell, rows, n, 0, op.cell.units, phase);
    const gw_int pieces = (units + PIECE - 1) / PIECE;
    for (gw_int k = 0; k < pieces; k++) {
        const gw_int first = (op.odd ? pieces - 1 - k : k) * PIECE;
        op.family->forward(&op.cell, rows, n, first,
                           first + PIECE < units ? first + PIECE : units, phase);
    }
}

template <class R>
static void step_of_cell(const gw_program<R> *p, gw_step_op<R> &op, const gw_table<R> *table) {
    if (op.narrow_count) narrow_sums(p, op, table, op.in, op.h[op.odd], op.z);
    const gw_row<R> *rows = op.odd ? op.before_odd : op.before_even;
    gw_int n = p->rows;
    if (p->active) {
        n = 0;
        for (gw_int r = 0; r < p->rows; r++) {
            if (p->active[r]) op.chosen[n++] = rows[r];
            else memcpy(rows[r].h1, rows[r].h0, op.cell.width * sizeof(R));
        }
        rows = op.chosen;
    }
    if (op.cell.input_projected) op.family->project(&op.cell, rows, n, 0, op.cell.units);
    const int phases = op.family->forward_phases(&op.cell);
    for (int phase = 0; phase < phases; phase++) phase_of_cell(op, rows, n, phase);
    op.odd ^= 1;
}

template <class R>
static void step_of_scan(const gw_program<R> *p, gw_step_op<R> &op, const gw_table<R> *table) {
    const gw_int H = op.width, G = op.gate_count * H;
    const gw_activation<R> linear;
    product(p, op, table, op.in, op.inputs, G, linear, op.gates);
    table->scan_gates(&op.act, op.gate_count == 3, op.gates, op.kept, p->rows, H);
    gw_scan<R> s;
    s.steps = s.length = 1, s.units = H, s.width = G, s.act = op.act;
    for (gw_int r = 0; r < p->rows; r++) {
        if (!is_active(p, r)) continue;
        s.h0 = op.h[0] + r * H, s.final_h = op.h[0] + r * H, s.y = op.out + r * H;
        s.n = op.gates + (r + 1) * G - H, s.a = op.kept + r * H;
        for (gw_int first = 0; first < H; first += PIECE)
            table->scan_forward(&s, first, first + PIECE < H ? first + PIECE : H);
    }
}

// GRU-D, as layers/recurrent/grud.py computes it; `packed` is the product of the filled values.
template <class R>
static void step_of_decayed(const gw_program<R> *p, gw_step_op<R> &op, const gw_table<R> *table) {
    const gw_int F = op.seen_width, H = op.width, n = p->rows;
    const gw_activation<R> linear;
    gw_activation<R> exponential;
    exponential.kind = op.flag;
    R *filled = op.work, *mask = filled + n * F, *time = mask + n * F, *decay = time + n * F;
    R *sums = decay + n * F, *of_mask = sums + n * 3 * H, *h = of_mask + n * 3 * H;
    R *gates = h + n * H, *reset = gates + n * 2 * H, *candidate = reset + n * H;
    for (gw_int r = 0; r < n; r++)
        for (gw_int j = 0; j < F; j++) {
            const gw_int i = r * F + j;
            const R *x = op.in + r * op.inputs + j;
            mask[i] = x[F], time[i] = x[2 * F];
            R rate = time[i] * op.scale[j];
            rate = rate + op.shift[j];
            decay[i] = -rate < 0 ? -rate : 0;
        }
    table->activate(&exponential, decay, decay, n * F);
    for (gw_int r = 0; r < n; r++)
        for (gw_int j = 0; j < F; j++) {
            const gw_int i = r * F + j;
            const R value = op.in[r * op.inputs + j];
            const R away = op.mean ? value - op.mean[j] : value;
            const R seen = mask[i] > R(0.5) ? away : op.seen[i];
            if (is_active(p, r)) op.seen[i] = seen;
            const R observed = mask[i] * away, missing = (1 - mask[i]) * decay[i];
            filled[i] = observed + missing * seen;
            if (op.mean) filled[i] = filled[i] + op.mean[j];
        }
    table->dense(filled, op.packed, n, F, 3 * H, &linear, sums);
    table->dense(mask, op.products[0], n, F, 3 * H, &linear, of_mask);
    table->dense(time, op.products[1], n, F, H, &linear, h);
    for (gw_int i = 0; i < n * 3 * H; i++) sums[i] = sums[i] + of_mask[i];
    for (gw_int i = 0; i < n * H; i++) h[i] = -h[i] < 0 ? -h[i] : 0;
    table->activate(&exponential, h, h, n * H);
    for (gw_int i = 0; i < n * H; i++) h[i] = h[i] * op.h[0][i];
    table->dense(h, op.products[2], n, H, 2 * H, &linear, gates);
    for (gw_int r = 0; r < n; r++)
        for (gw_int j = 0; j < 2 * H; j++)
            gates[r * 2 * H + j] = gates[r * 2 * H + j] + sums[r * 3 * H + j];
    table->activate(&op.gate_act, gates, gates, n * 2 * H);
    for (gw_int r = 0; r < n; r++)
        for (gw_int j = 0; j < H; j++)
            reset[r * H + j] = gates[r * 2 * H + H + j] * h[r * H + j];
    table->dense(reset, op.products[3], n, H, H, &linear, candidate);
    for (gw_int r = 0; r < n; r++)
        for (gw_int j = 0; j < H; j++)
            candidate[r * H + j] = candidate[r * H + j] + sums[r * 3 * H + 2 * H + j];
    table->activate(&op.act, candidate, candidate, n * H);
    for (gw_int r = 0; r < n; r++) {
        if (!is_active(p, r)) continue;
        for (gw_int j = 0; j < H; j++) {
            const gw_int i = r * H + j;
            const R change = gates[r * 2 * H + j] * (candidate[i] - h[i]);
            op.out[i] = op.h[0][i] = h[i] + change;
        }
    }
}

// ---- windows

// Store a step of each row, its numbers `multiplier` times each.
template <class R> static void push(const gw_program<R> *p, gw_step_op<R> &op) {
    const gw_ring<R> &ring = op.ring;
    for (gw_int r = 0; r < p->rows; r++) {
        if (!is_active(p, r)) continue;
        R *to = ring.place(r, ring.at[r]), *again = to + ring.window * ring.width;
        const R *x = op.in + r * op.inputs;
        if (op.multiplier == 1) memcpy(to, x, ring.width * sizeof(R));
        else
            for (gw_int j = 0; j < ring.width; j++) to[j] = x[j / op.multiplier];
        memcpy(again, to, ring.width * sizeof(R));
        ring.at[r]++;
    }
}

// The window of a row; a row that has not seen a step has one of zeros.
template <class R> static const R *window_of(const gw_step_op<R> &op, gw_int r) {
    return op.ring.at[r] ? op.ring.last(r) : op.ring.steps + r * op.ring.dilation * op.ring.turn();
}

template <class R>
static void convolve(const gw_program<R> *p, gw_step_op<R> &op, const gw_table<R> *table) {
    const gw_int size = op.ring.window * op.ring.width;
    const R *windows = op.windows;
    if (p->rows == 1) windows = window_of(op, 0);
    else
        for (gw_int r = 0; r < p->rows; r++)
            memcpy(op.windows + r * size, window_of(op, r), size * sizeof(R));
    product(p, op, table, windows, size, op.width, op.act, op.out);
}

template <class R>
static void convolve_each(const gw_program<R> *p, gw_step_op<R> &op, const gw_table<R> *table) {
    gw_depthwise g;
    g.features = op.width, g.window = op.ring.window, g.stride = g.dilation = g.count = 1;
    for (gw_int r = 0; r < p->rows; r++)
        table->depthwise(&g, window_of(op, r), op.packed, op.shift, op.out + r * op.width);
    table->activate(&op.act, op.out, op.out, p->rows * op.width);
}

// The larger one, the first of equal ones; a NaN stays.
template <class R> static R larger(R a, R b) { return a != a || a >= b ? a : b; }

template <class R> static void pool(const gw_program<R> *p, gw_step_op<R> &op, bool maximum) {
    for (gw_int r = 0; r < p->rows; r++) {
        const R *x = window_of(op, r);
        R *y = op.out + r * op.width;
        for (gw_int j = 0; j < op.width; j++) y[j] = maximum ? x[j] : x[j] * op.number;
        for (gw_int k = 1; k < op.ring.window; k++) {
            x += op.width;
            for (gw_int j = 0; j < op.width; j++)
                y[j] = maximum ? larger(y[j], x[j]) : y[j] + x[j] * op.number;
        }
    }
}

// ---- all steps so far

template <class R> static void give_running(const gw_step_op<R> &op, gw_int rows, bool maximum) {
    for (gw_int r = 0; r < rows; r++)
        for (gw_int i = r * op.width; i < (r + 1) * op.width; i++)
            op.out[i] = maximum ? op.most_so_far[i]
                                : (R)(op.sums[i] / (op.count[r] ? op.count[r] : 1));
}

template <class R> static void run_on(const gw_program<R> *p, gw_step_op<R> &op, bool maximum) {
    for (gw_int r = 0; r < p->rows; r++) {
        if (!is_active(p, r)) continue;
        const R *x = op.in + r * op.width;
        const gw_int count = ++op.count[r];
        for (gw_int j = 0; j < op.width; j++)
            if (maximum) {
                R &most = op.most_so_far[r * op.width + j];
                most = count == 1 ? x[j] : larger(most, x[j]);
            } else {
                op.sums[r * op.width + j] += x[j];
            }
    }
    give_running(op, p->rows, maximum);
}

// ---- numbers by themselves

template <class R> static void affine(const gw_step_op<R> &op, gw_int rows) {
    for (gw_int r = 0; r < rows; r++) {
        const R *x = op.in + r * op.width;
        R *y = op.out + r * op.width;
        for (gw_int j = 0; j < op.width; j++) {
            R v = x[j];
            if (op.mean) v = v - op.mean[j];
            if (op.scale) v = v * op.scale[j];
            if (op.shift) v = v + op.shift[j];
            y[j] = v;
        }
    }
}

template <class R>
static void normalize(const gw_step_op<R> &op, gw_int rows, const gw_table<R> *table) {
    for (gw_int r = 0; r < rows; r++)
        table->normalize(op.in + r * op.width, op.out + r * op.width, op.width, op.number);
    for (gw_int r = 0; r < rows; r++) {
        R *y = op.out + r * op.width;
        for (gw_int j = 0; j < op.width; j++) {
            if (op.scale) y[j] = y[j] * op.scale[j];
            if (op.shift) y[j] = y[j] + op.shift[j];
        }
    }
}

template <class R> static R merged(int kind, R a, R b) {
    switch (kind) {
    case GW_SUBTRACT_OP: return a - b;
    case GW_MULTIPLY_OP: return a * b;
    case GW_MAXIMUM_OP: return larger(a, b);
    case GW_MINIMUM_OP: return a != a || a <= b ? a : b;
    default: return a + b;
    }
}

template <class R> static void merge(const gw_step_op<R> &op, gw_int rows) {
    for (gw_int r = 0; r < rows; r++) {
        R *y = op.out + r * op.width;
        for (gw_int k = 0; k < op.part_count; k++) {
            const gw_int n = op.widths[k];
            const R *x = op.parts[k] + r * n;
            if (op.kind == GW_CONCATENATE_OP) {
                memcpy(y, x, n * sizeof(R));
                y += n;
                continue;
            }
            for (gw_int j = 0; j < op.width; j++) {
                const R v = x[n == 1 ? 0 : j];
                y[j] = k == 0 ? v : merged(op.kind, y[j], v);
            }
        }
        if (op.kind == GW_AVERAGE_OP)
            for (gw_int j = 0; j < op.width; j++) y[j] = y[j] / R(op.part_count);
    }
}

template <class R> static void select(const gw_step_op<R> &op, gw_int rows) {
    for (gw_int r = 0; r < rows; r++)
        for (gw_int j = 0; j < op.width; j++)
            op.out[r * op.width + j] = op.in[r * op.inputs + op.columns[j]];
}

template <class R> static void divide(const gw_step_op<R> &op, gw_int n) {
    for (gw_int i = 0; i < n; i++)
        op.out[i] = op.flag ? op.number / op.in[i] : op.in[i] / op.number;
}

template <class R> static void rectify(const gw_step_op<R> &op, gw_int n) {
    for (gw_int i = 0; i < n; i++) {
        const R x = op.in[i];
        const R below = op.slope != 0 ? op.slope * (x - op.number) : op.slope;
        op.out[i] = x > op.number ? (x < op.most ? x : op.most) : below;
    }
}

template <class R> static void slope(const gw_step_op<R> &op, gw_int rows) {
    for (gw_int r = 0; r < rows; r++)
        for (gw_int j = 0; j < op.width; j++) {
            const R x = op.in[r * op.width + j];
            const R below = (x < 0 ? x : 0) * op.scale[j];
            op.out[r * op.width + j] = below + (x > 0 ? x : 0);
        }
}

// ---- a step

template <class R>
static void run_op(const gw_program<R> *p, gw_step_op<R> &op, const gw_table<R> *table) {
    const gw_int n = p->rows * op.width;
    switch (op.kind) {
    case GW_CELL_OP: return step_of_cell(p, op, table);
    case GW_SCAN_OP: return step_of_scan(p, op, table);
    case GW_DENSE_OP:
        return product(p, op, table, op.in, op.inputs, op.width, op.act, op.out);
    case GW_ACTIVATION_OP: return table->activate(&op.act, op.in, op.out, n);
    case GW_SOFTMAX_OP: return table->softmax(op.in, op.out, p->rows, op.width);
    case GW_AFFINE_OP: return affine(op, p->rows);
    case GW_NORMALIZATION_OP: return normalize(op, p->rows, table);
    case GW_LOOKUP_OP:
        for (gw_int r = 0; r < p->rows; r++)
            memcpy(op.out + r * op.width, op.packed + op.numbers[r] * op.width,
                   op.width * sizeof(R));
        return;
    case GW_CONVOLUTION_OP: return convolve(p, op, table);
    case GW_DEPTHWISE_OP: return convolve_each(p, op, table);
    case GW_WINDOW_MAXIMUM_OP: return pool(p, op, true);
    case GW_WINDOW_MEAN_OP: return pool(p, op, false);
    case GW_RUNNING_MAXIMUM_OP: return run_on(p, op, true);
    case GW_RUNNING_MEAN_OP: return run_on(p, op, false);
    case GW_SELECT_OP: return select(op, p->rows);
    case GW_QUOTIENT_OP: return divide(op, n);
    case GW_RECTIFIER_OP: return rectify(op, n);
    case GW_SLOPES_OP: return slope(op, p->rows);
    case GW_DECAYED_OP: return step_of_decayed(p, op, table);
    default: return merge(op, p->rows);
    }
}

static inline bool is_due(gw_int t, gw_int first, gw_int every) {
    return t >= first && (every == 1 || (t - first) % every == 0);
}

// All operations that are due. A window is pushed to whenever its input is.
template <class R> static void run_step(gw_program<R> *p, const gw_table<R> *table) {
    const gw_int t = p->steps++;
    for (gw_step_op<R> &op : p->ops) {
        if (op.ring.steps && is_due(t, op.in_first, op.in_every)) push(p, op);
        if (is_due(t, op.first, op.every)) run_op(p, op, table);
    }
}

// The next output; in rows whose step is masked zeros, or the last output.
template <class R>
static void write_output(const gw_program<R> *p, gw_strip *s, bool skipped) {
    for (gw_int r = 0; r < p->rows; r++) {
        char *to = s->data + r * s->row + s->done * s->step;
        if (!s->answers && !s->holds && (skipped || !is_active(p, r))) memset(to, 0, s->size);
        else memcpy(to, s->buffer + r * s->size, s->size);
    }
    s->done++;
}

// Several steps; active (steps, rows) or nullptr. A masked step of the only row does not exist.
template <class R>
static void run_block(gw_program<R> *p, const gw_table<R> *table, gw_strip *inputs, gw_int n_in,
                      gw_strip *outputs, gw_int n_out, gw_int steps, const unsigned char *active) {
    for (gw_int t = 0; t < steps; t++) {
        for (gw_strip *s = inputs; s < inputs + n_in; s++)
            for (gw_int r = 0; r < p->rows; r++)
                memcpy(s->buffer + r * s->size, s->data + r * s->row + t * s->step, s->size);
        p->active = active ? active + t * p->rows : nullptr;
        const bool skipped = active && p->rows == 1 && !active[t];
        const gw_int now = p->steps;
        if (!skipped) run_step(p, table);
        for (gw_strip *s = outputs; s < outputs + n_out; s++) {
            const bool even = s->first == 0 && s->every == 1;
            const bool due = s->answers ? p->steps > s->first
                                        : even || (!skipped && is_due(now, s->first, s->every));
            if (due) write_output(p, s, skipped);
        }
    }
    p->active = nullptr;
}

// Make the answers that belong to a state.
template <class R> static void settle(gw_program<R> *p, const gw_table<R> *table) {
    for (gw_step_op<R> &op : p->ops) {
        const gw_int n = p->rows * op.width;
        if (op.kind == GW_CELL_OP && op.cell.activates_output)
            table->activate(&op.cell.out, op.h[op.odd], op.out, n);
        else if (op.kind == GW_CELL_OP || op.kind == GW_SCAN_OP || op.kind == GW_DECAYED_OP)
            memcpy(op.out, op.h[op.odd], n * sizeof(R));
        else if (op.kind == GW_RUNNING_MAXIMUM_OP || op.kind == GW_RUNNING_MEAN_OP)
            give_running(op, p->rows, op.kind == GW_RUNNING_MAXIMUM_OP);
        else if (op.settles) run_op(p, op, table);
    }
}

// ---- for program.pyx

// The operations must not move in memory any more once their pointers are taken.
template <class R> static gw_step_op<R> *new_op(gw_program<R> *p) {
    p->ops.emplace_back();
    return &p->ops.back();
}
template <class R> static gw_step_op<R> *op_of(gw_program<R> *p, gw_int k) { return &p->ops[k]; }
template <class R> static void clear(gw_program<R> *p) { *p = gw_program<R>(); }

// One thread at a time.
static inline bool enter(int *busy) { return !__atomic_exchange_n(busy, 1, __ATOMIC_ACQUIRE); }
static inline void leave(int *busy) { __atomic_store_n(busy, 0, __ATOMIC_RELEASE); }

} // namespace gw_steps
