// Layer normalisation (Ba, Kiros and Hinton 2016) of the sums of SimpleRNN, LSTM, and GRU with
// reset after.
//
//     F1  v = x W,  u = h' U              (norm(v) and norm(u) are gw_row's norm_x and norm_h)
//     F2  s = gain_x * norm(v) + b + gain_h * norm(u)
//         GRU: one norm of z and r together, one of n; for n, r * (gain_h * norm(u) + b_h) instead
//         of gain_h * norm(u)
//     F3  the cell's gates, and its state; an LSTM's h = o * out(gain_c * norm(c) + b_c)
//     B1  through F3 to ds, and to dh', dc'
//     B2  dv and du: norm's backward of gain_x * ds and gain_h * ds
//     B3  dh' += du U^T
//
// norm needs a whole row. So v is made a block of steps ahead, and a step has a phase for tiles,
// F1's u or B3, whose parts are units, and one for rows, whose parts are rows.
//
// Saved for backward: gates (they become ds), norm(v) (becomes dv), norm(u) (becomes du), what both
// were multiplied by, two numbers each; c at every step. Packed forward: W and U in column panels,
// then the cell's vectors (see the cells below). Packed backward: U^T, the vectors.
#pragma once
#include "gru.h"
#include "norm.h"
#include "transposed.h"

namespace GW_ISA {

// dh' is what comes through u alone.
template <class R> GW_INLINE void clear_gradient_of_h(const gw_row<R> &row, gw_int n) {
    for_each_vector<R>(n,
                       [=](gw_int i, gw_int lanes) { store_first(row.dh + i, Vec<R>{}, lanes); });
}

// ---- cells: what a row does between the normalised sums and its state
//
// p: the vectors, each for all gates: b, gain_x, gain_h, then those that only this cell has.
// row.sums has their gradients in the same order. row.scratch has 2 * units numbers.

// COUNT vectors in all. GATES blocks of sums, of which the first TOGETHER have one norm, and the
// others one more.
template <class R> struct NormalizedRnn {
    static constexpr gw_int GATES = 1, TOGETHER = 1, COUNT = 3;

    static void forward(const gw_cell<R> *cell, const gw_row<R> &row, const R *p) {
        const gw_int H = cell->units;
        R *h = row.gates;
        affine(row.norm_h, p + 2 * H, row.z, h, H);
        activate(&cell->act, h, h, H);
        for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
            write_state(row, i, load_first(h + i, lanes), lanes);
        });
    }

    static void backward(const gw_cell<R> *cell, const gw_row<R> &row, const R *p) {
        const gw_int H = cell->units;
        R *h = row.gates;
        for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
            store_first(h + i,
                        gradient_of_h(row, i, lanes) * slope(load_first(h + i, lanes), cell->act),
                        lanes);
        });
        clear_gradient_of_h(row, H);
        normalize_backward(h, p + 2 * H, row.norm_h, row.norm_scales[2], row.norm_h, H,
                           row.sums + 2 * H, (R *)nullptr);
    }
};

// i f g o; then gain_c, b_c.
template <class R> struct NormalizedLstm {
    static constexpr gw_int GATES = 4, TOGETHER = 4, COUNT = 14;

    // norm(c), and out(gain_c * norm(c) + b_c) into y.
    static R output(const gw_cell<R> *cell, const R *state, const R *p, R *normal, R *y) {
        const gw_int H = cell->units;
        const R scale = normalize(state, normal, H);
        affine(normal, p + 12 * H, p + 13 * H, y, H);
        activate(&cell->out, y, y, H);
        return scale;
    }

    static void forward(const gw_cell<R> *cell, const gw_row<R> &row, const R *p) {
        const gw_int H = cell->units;
        R *z = row.gates, *y = row.scratch + H;
        affine(row.norm_h, p + 8 * H, row.z, z, 4 * H);
        activate(&cell->gate, z, z, 2 * H);
        activate(&cell->act, z + 2 * H, z + 2 * H, H);
        activate(&cell->gate, z + 3 * H, z + 3 * H, H);
        for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
            const Vec<R> made = load_first(z + i, lanes) * load_first(z + 2 * H + i, lanes);
            store_first(row.c1 + i,
                        fma(load_first(z + H + i, lanes), load_first(row.c0 + i, lanes), made),
                        lanes);
        });
        output(cell, row.c1, p, row.scratch, y);
        for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
            write_state(row, i, load_first(z + 3 * H + i, lanes) * load_first(y + i, lanes), lanes);
        });
    }

    static void backward(const gw_cell<R> *cell, const gw_row<R> &row, const R *p) {
        const gw_int H = cell->units;
        R *z = row.gates, *normal = row.scratch, *y = row.scratch + H;
        const R scale = output(cell, row.c1, p, normal, y);
        // do over o, and the gradient before out over y
        for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
            const Vec<R> dh = gradient_of_h(row, i, lanes), o = load_first(z + 3 * H + i, lanes),
                         h = load_first(y + i, lanes);
            store_first(z + 3 * H + i, dh * h * slope(o, cell->gate), lanes);
            store_first(y + i, dh * o * slope(h, cell->out), lanes);
        });
        clear_gradient_of_h(row, H);
        normalize_backward(y, p + 12 * H, normal, scale, y, H, row.sums + 12 * H,
                           row.sums + 13 * H);
        for_each_vector<R>(H, [=](gw_int k, gw_int lanes) {
            const Vec<R> i = load_first(z + k, lanes), f = load_first(z + H + k, lanes),
                         g = load_first(z + 2 * H + k, lanes);
            const Vec<R> dc = load_first(row.dc + k, lanes) + load_first(y + k, lanes);
            store_first(z + k, dc * g * slope(i, cell->gate), lanes);
            store_first(z + H + k, dc * load_first(row.c0 + k, lanes) * slope(f, cell->gate),
                        lanes);
            store_first(z + 2 * H + k, dc * i * slope(g, cell->act), lanes);
            store_first(row.dc + k, dc * f, lanes);
        });
        normalize_backward(z, p + 8 * H, row.norm_h, row.norm_scales[2], row.norm_h, 4 * H,
                           row.sums + 8 * H, (R *)nullptr);
    }
};

// z r n; then b_h, of which the blocks of z and r are in b too, and count there.
template <class R> struct NormalizedGru {
    static constexpr gw_int GATES = 3, TOGETHER = 2, COUNT = 12;

    // q = gain_h * norm(u) + b_h of n
    static void recurrent_part(const gw_row<R> &row, const R *p, gw_int H) {
        affine(row.norm_h + 2 * H, p + 8 * H, p + 11 * H, row.scratch, H);
    }

    static void forward(const gw_cell<R> *cell, const gw_row<R> &row, const R *p) {
        const gw_int H = cell->units;
        R *z = row.gates, *n = z + 2 * H, *q = row.scratch;
        affine(row.norm_h, p + 6 * H, row.z, z, 2 * H);
        activate(&cell->gate, z, z, 2 * H);
        recurrent_part(row, p, H);
        affine(q, z + H, row.z + 2 * H, n, H);
        activate(&cell->act, n, n, H);
        for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
            const Vec<R> before = load_first(row.h0 + i, lanes);
            write_state(row, i,
                        gru_mix(cell, load_first(z + i, lanes), before, load_first(n + i, lanes)),
                        lanes);
        });
    }

    static void backward(const gw_cell<R> *cell, const gw_row<R> &row, const R *p) {
        const gw_int H = cell->units;
        R *s = row.gates, *q = row.scratch;
        recurrent_part(row, p, H);
        for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
            const Vec<R> z = load_first(s + i, lanes), r = load_first(s + H + i, lanes),
                         n = load_first(s + 2 * H + i, lanes), h0 = load_first(row.h0 + i, lanes),
                         dh = gradient_of_h(row, i, lanes), one = splat(R(1));
            const Vec<R> keep = cell->chung ? one - z : z,
                         difference = cell->chung ? n - h0 : h0 - n;
            const Vec<R> dn = dh * (one - keep) * slope(n, cell->act);
            store_first(row.dh + i, dh * keep, lanes);
            store_first(s + i, dh * difference * slope(z, cell->gate), lanes);
            store_first(s + H + i, dn * load_first(q + i, lanes) * slope(r, cell->gate), lanes);
            store_first(s + 2 * H + i, dn, lanes);
            store_first(q + i, dn * r, lanes);
        });
        normalize_backward(s, p + 6 * H, row.norm_h, row.norm_scales[2], row.norm_h, 2 * H,
                           row.sums + 6 * H, (R *)nullptr);
        normalize_backward(q, p + 8 * H, row.norm_h + 2 * H, row.norm_scales[3], row.norm_h + 2 * H,
                           H, row.sums + 8 * H, row.sums + 11 * H);
    }
};

// ---- the step

template <class R, class Cell> struct Normalized {
    static gw_int columns(const gw_cell<R> *cell) { return Cell::GATES * cell->units; }

    // Where the parts of a pack begin.
    static gw_int recurrent_at(const gw_cell<R> *cell) {
        return padded<R>(columns(cell)) * cell->inputs;
    }
    static gw_int vectors_at(const gw_cell<R> *cell) {
        return padded<R>(columns(cell)) * (cell->inputs + cell->units);
    }
    static gw_int vectors_behind(const gw_cell<R> *cell) {
        return transposed_size<R>(cell->units, columns(cell));
    }

    static void pack_vectors(const gw_cell<R> *cell, const R *vectors, R *out) {
        for (gw_int i = 0; i < Cell::COUNT * cell->units; i++) out[i] = vectors[i];
    }
    static void pack_forward(const gw_cell<R> *cell, const gw_weights<R> *w, R *out) {
        pack_columns(w->w_x, columns(cell), columns(cell), cell->inputs, out);
        pack_columns(w->w_h, columns(cell), columns(cell), cell->units, out + recurrent_at(cell));
        pack_vectors(cell, w->vectors, out + vectors_at(cell));
    }
    static void pack_backward(const gw_cell<R> *cell, const gw_weights<R> *w, R *out) {
        pack_transposed<R>(w->w_h, cell->units, columns(cell), 0, columns(cell), out);
        pack_vectors(cell, w->vectors, out + vectors_behind(cell));
    }

    // z = gain_x * norm(x W) + b of rows, all their units
    static void project(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int, gw_int) {
        const gw_int all = columns(cell);
        const R *p = cell->weights + vectors_at(cell);
        column_product(all, &gw_row<R>::x, 0, 0, rows, n, 0, all, cell->weights, 0, cell->inputs, 0,
                       0, [](const gw_row<R> &row, gw_int j, Vec<R> v, gw_int lanes) {
            store_first(row.norm_x + j, v, lanes);
        });
        for (gw_int r = 0; r < n; r++) {
            R scales[2];
            normalize_spans(rows[r].norm_x, Cell::TOGETHER * cell->units, all,
                            rows[r].norm_scales ? rows[r].norm_scales : scales);
            affine(rows[r].norm_x, p + all, p, rows[r].z, all);
        }
    }

    static void forward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                        gw_int last, int phase) {
        const gw_int H = cell->units, all = columns(cell);
        if (phase == 0)
            return column_product(all, &gw_row<R>::h_in, 0, 0, rows, n, Cell::GATES * first,
                                  Cell::GATES * last, cell->weights + recurrent_at(cell), 0, H, 0,
                                  0, [](const gw_row<R> &row, gw_int j, Vec<R> u, gw_int lanes) {
                store_first(row.norm_h + j, u, lanes);
            });
        for (gw_int r = 0; r < n; r++) {
            R scales[2];
            normalize_spans(rows[r].norm_h, Cell::TOGETHER * H, all,
                            rows[r].norm_scales ? rows[r].norm_scales + 2 : scales);
            Cell::forward(cell, rows[r], cell->weights + vectors_at(cell));
        }
    }

    static void backward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                         gw_int last, int phase) {
        const gw_int H = cell->units, all = columns(cell);
        if (phase == 1)
            return add_recurrent_gradient(cell, Cell::GATES, rows, n, first, last, cell->weights, 0,
                                          all, 0, 0, &gw_row<R>::norm_h);
        const R *p = cell->weights + vectors_behind(cell);
        for (gw_int r = 0; r < n; r++) {
            const gw_row<R> &row = rows[r];
            Cell::backward(cell, row, p);
            normalize_spans_backward(row.gates, p + all, row.norm_x, Cell::TOGETHER * H, all,
                                     row.norm_scales, row.sums + all, row.sums);
        }
    }

    static gw_family<R> family() {
        gw_family<R> f = {};
        f.block = LANES<R>, f.project_rows = true, f.rows_forward = 1, f.rows_backward = 0;
        f.forward_phases = f.backward_phases = [](const gw_cell<R> *) { return 2; };
        f.forward_size = [](const gw_cell<R> *cell) {
            return vectors_at(cell) + Cell::COUNT * cell->units;
        };
        f.backward_size = [](const gw_cell<R> *cell) {
            return vectors_behind(cell) + Cell::COUNT * cell->units;
        };
        f.pack_forward = pack_forward, f.pack_backward = pack_backward;
        f.project = project, f.forward = forward, f.backward = backward;
        return f;
    }
};

} // namespace GW_ISA
