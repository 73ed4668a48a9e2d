// What LSTM and GRU share: panels of one vector of units times all gates.
//
// Packed forward: for each block of LANES units, the bias (bias_gates vectors), then a row of x_gates
// vectors for each input, then a row of h_gates vectors for each unit of h'. A tile holds all gates
// of its units, so the cell's arithmetic follows while the sums are still in L1.
#pragma once
#include "tile.h"
#include "transposed.h"

namespace GW_ISA {

struct Gates {
    int x, h, slots;     // vectors a row of W, a row of U, and the bias has in a panel
    int last_h;          // slot that takes the last vector of U
};

template <class R> GW_INLINE gw_int gated_panel(const gw_cell<R> *c, const Gates &g) {
    return LANES<R> * (g.slots + g.x * c->inputs + g.h * c->units);
}
template <class R> GW_INLINE gw_int blocks(const gw_cell<R> *c) { return padded<R>(c->units) / LANES<R>; }

// Gate g of one row of w, units [j, j + LANES), zeros past the last unit.
template <class R> GW_INLINE R *pack_gates(const R *w, gw_int units, gw_int j, int gates, R *out) {
    for (int g = 0; g < gates; g++, out += LANES<R>)
        store(out, w ? load_first(w + g * units + j, lanes_left<R>(units, j)) : Vec<R>{});
    return out;
}

// kernel and recurrent_kernel have `stride` columns a row; the bias is written by the caller's cell.
template <class R, class Bias>
static void pack_gated(const gw_cell<R> *c, const Gates &g, gw_int stride, const R *w_x, const R *w_h, Bias bias, R *out) {
    for (gw_int j = 0; j < c->units; j += LANES<R>) {
        out = bias(j, out);
        for (gw_int k = 0; k < c->inputs; k++) out = pack_gates(w_x + k * stride, c->units, j, g.x, out);
        for (gw_int k = 0; k < c->units; k++) out = pack_gates(w_h + k * stride, c->units, j, g.h, out);
    }
}

// One tile's sums: x W + h' U + b of block q for rows [row, row + m), into buf[m][slots].
template <class R, int X, int H, int SLOTS, int LAST_H>
GW_INLINE void gated_product(const gw_cell<R> *c, const R *panel, const gw_row<R> *row, gw_int m, gw_int j, R *buf) {
    const gw_int L = LANES<R>, I = c->inputs, units = c->units, lanes = lanes_left<R>(units, j);
    Pointers<R> x(row, m, &gw_row<R>::x), h(row, m, &gw_row<R>::h_in);
    fill_with_bias(buf, m, SLOTS, panel);
    if (c->x_done)
        for (gw_int i = 0; i < m; i++)
            for (int g = 0; g < X; g++)
                store(buf + (i * SLOTS + g) * L, load_first(row[i].z + g * units + j, lanes));
    const R *w = panel + SLOTS * L;
    product<R, X, H, SLOTS, LAST_H>(
        m, buf, {x.p, c->x_done ? 0 : I, w, X * L}, {h.p, units, w + I * X * L, H * L}, [=](gw_int r, gw_int n) {
            for (gw_int i = r; i < r + n; i++) // where a training step will write: on its way while the sums are made
                if (row[i].gates) {
                    for (int g = 0; g < 4; g++) __builtin_prefetch(row[i].gates + g * units + j, 1);
                    __builtin_prefetch(row[i].h1 + j, 1);
                    if (row[i].c1) __builtin_prefetch(row[i].c1 + j, 1);
                }
        });
}

// The same sums in the same order as the fused step's, kept in row.z.
template <class R, int X, int SLOTS>
static void gated_project(const gw_cell<R> *c, gw_int panel_size, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last) {
    const gw_int I = c->inputs, units = c->units, L = LANES<R>;
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first; j < last; j += L) {
        const R *panel = c->weights + j / L * panel_size;
        const gw_int lanes = lanes_left<R>(units, j);
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            Pointers<R> x(rows + r, m, &gw_row<R>::x);
            fill_with_bias(buf, m, SLOTS, panel);
            product<R, X, X, SLOTS, X - 1>(m, buf, {x.p, I, panel + SLOTS * L, X * L}, {}, FetchNothing{});
            for (gw_int i = 0; i < m; i++)
                for (int g = 0; g < X; g++)
                    store_first(rows[r + i].z + g * units + j, load(buf + (i * SLOTS + g) * L), lanes);
        }
    }
}

} // namespace GW_ISA
