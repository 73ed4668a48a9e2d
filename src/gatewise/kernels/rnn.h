// SimpleRNN (Elman 1990).
//
//     F1  h = act(x W + h' U + b)
//     B1  dz = (dh + dy) * act'(h)
//     B2  dh' = dz U^T
//
// Saved for backward: h (units,), which becomes dz.
// Packed forward: for each panel of up to 4 vectors of units: b, then inputs rows of W, then units
// rows of U. Packed backward: see transposed.h.
#pragma once
#include "options.h"
#include "tile.h"
#include "transposed.h"

namespace GW_ISA {

template <class R> static gw_int rnn_forward_size(const gw_cell<R> *cell) {
    return padded<R>(cell->units) * (1 + cell->inputs + cell->units);
}

template <class R> static void rnn_pack_forward(const gw_cell<R> *cell, const gw_weights<R> *w,
                                                R *out) {
    const gw_int H = cell->units;
    for (gw_int j = 0; j < H; j += panel_columns<R>()) {
        int n = panel_vectors<R>(H, j);
        out = pack_row(w->b, H, j, n, out);
        for (gw_int k = 0; k < cell->inputs; k++) out = pack_row(w->w_x + k * H, H, j, n, out);
        for (gw_int k = 0; k < H; k++) out = pack_row(w->w_h + k * H, H, j, n, out);
    }
}

// The sum starts as the fused step starts it, so that both give the same bits.
template <class R> static void rnn_project(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                                           gw_int first, gw_int last) {
    const gw_int I = cell->inputs, H = cell->units, L = LANES<R>;
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first, v; j < last; j += v * L) {
        const PanelPart<R> part(H, j, last);
        v = part.n;
        const R *bias = cell->weights + part.panel * (1 + I + H) + part.offset;
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            Pointers<R> x(rows + r, m, &gw_row<R>::x);
            fill_with_bias(buf, m, v, bias);
            product_of_columns<R>(v, m, buf, {x.p, I, bias + part.stride, part.stride}, {});
            for (gw_int i = 0; i < m; i++)
                for (int s = 0; s < v; s++)
                    store_first(rows[r + i].z + j + s * L, load(buf + (i * v + s) * L),
                                lanes_left<R>(H, j + s * L));
        }
    }
}

template <class R, bool HAS_OPTIONS>
static void rnn_units_forward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                              gw_int last) {
    const gw_int I = cell->inputs, H = cell->units, L = LANES<R>;
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first, v; j < last; j += v * L) {
        const PanelPart<R> part(H, j, last);
        v = part.n;
        const R *bias = cell->weights + part.panel * (1 + I + H) + part.offset,
                *w = bias + part.stride;
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            const gw_row<R> *row = rows + r;
            Pointers<R> x(row, m, &gw_row<R>::x), h(row, m, &gw_row<R>::h_in);
            if (cell->input_projected || cell->sums_given)
                for (gw_int i = 0; i < m; i++)
                    for (int s = 0; s < v; s++)
                        store(buf + (i * v + s) * L,
                              load_first(row[i].z + j + s * L, lanes_left<R>(H, j + s * L)));
            else fill_with_bias(buf, m, v, bias);
            if (!cell->sums_given)
                product_of_columns<R>(v, m, buf,
                                      {x.p, cell->input_projected ? 0 : I, w, part.stride},
                                      {h.p, H, w + I * part.stride, part.stride});
            for (int s = 0; s < v; s++) {
                const gw_int u = j + s * L, lanes = lanes_left<R>(H, u);
                finish_slot<R, HAS_OPTIONS>(cell, buf, m, v, s, cell->act);
                for (gw_int i = 0; i < m; i++) {
                    Vec<R> y = load(buf + (i * v + s) * L);
                    if (row[i].gates) store_first(row[i].gates + u, y, lanes);
                    write_new_state<R, HAS_OPTIONS>(cell, row[i], u, y, lanes);
                }
            }
        }
    }
}

template <class R>
static void rnn_forward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                        gw_int last, int) {
    if (cell->has_options) rnn_units_forward<R, true>(cell, rows, n, first, last);
    else rnn_units_forward<R, false>(cell, rows, n, first, last);
}

template <class R, bool HAS_OPTIONS>
static void rnn_units_backward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                               gw_int first, gw_int last) {
    const gw_int H = cell->units;
    for (gw_int r = 0; r < n; r++)
        for (gw_int u = first; u < last; u += LANES<R>) {
            const gw_int lanes = lanes_left<R>(H, u);
            Vec<R> h = load_first(rows[r].gates + u, lanes);
            const Vec<R> dh = take_gradient_of_h<R, HAS_OPTIONS>(cell, rows[r], u, lanes);
            store_first(rows[r].gates + u,
                        dh * slope_within<R, HAS_OPTIONS>(cell, h, cell->act, cell->act_ends),
                        lanes);
        }
}

template <class R>
static void rnn_backward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                         gw_int last, int phase) {
    if (phase == 1)
        add_recurrent_gradient(cell, 1, rows, n, first, last, cell->weights, 0, cell->units, 0, 0);
    else if (cell->has_options) rnn_units_backward<R, true>(cell, rows, n, first, last);
    else rnn_units_backward<R, false>(cell, rows, n, first, last);
}

template <class R> static gw_family<R> rnn_family() {
    gw_family<R> f = {};
    f.block = LANES<R>;
    f.forward_phases = [](const gw_cell<R> *) { return 1; };
    f.backward_phases = [](const gw_cell<R> *) { return 2; };
    f.forward_size = rnn_forward_size<R>, f.pack_forward = rnn_pack_forward<R>;
    f.backward_size = [](const gw_cell<R> *cell) {
        return transposed_size<R>(cell->units, cell->units);
    };
    f.pack_backward = [](const gw_cell<R> *cell, const gw_weights<R> *w, R *out) {
        pack_transposed<R>(w->w_h, cell->units, cell->units, 0, cell->units, out);
    };
    f.project = rnn_project<R>, f.forward = rnn_forward<R>, f.backward = rnn_backward<R>;
    return f;
}

} // namespace GW_ISA
