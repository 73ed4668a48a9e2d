// What LSTM and GRU share: panels of one vector of units times all gates.
//
// Packed forward: for each block of LANES units, the bias (`slots` vectors), then a row of `x`
// vectors for each input, then a row of `h` vectors for each unit of h' (see Gates). A tile holds
// all gates of its units, so the cell's arithmetic follows while the sums are still in L1.
//
// The last block may be half empty, or more. Where the cell allows it, two or four of its gates
// then share a vector (they are folded), and its product costs a half or a quarter.
#pragma once
#include "tile.h"
#include "transposed.h"

namespace GW_ISA {

struct Gates {
    int x, h, slots; // vectors a row of W, a row of U, and the bias has in a panel
    int last_h;      // slot that takes the last vector of U
    bool folds;      // whether x, h and slots are all 4, so that gates can share vectors
};

// Gates that share a vector in the block of units from j on: 1, 2 or 4.
template <class R> GW_INLINE int fold_of(const Gates &g, gw_int units, gw_int j) {
    const gw_int lanes = lanes_left<R>(units, j);
    if (!g.folds || 2 * lanes > LANES<R>) return 1;
    return 4 * lanes > LANES<R> ? 2 : 4;
}

template <class R> GW_INLINE gw_int gated_panel(const gw_cell<R> *cell, const Gates &g) {
    return LANES<R> * (g.slots + g.x * cell->inputs + g.h * cell->width);
}
template <class R> GW_INLINE gw_int blocks(const gw_cell<R> *cell) {
    return padded<R>(cell->units) / LANES<R>;
}

// The gates of one row of w, units [j, j + LANES), zeros past the last unit; `fold` gates a vector.
template <class R> GW_INLINE R *pack_gates(const R *w, gw_int units, gw_int j, int gates, R *out,
                                           int fold = 1) {
    const gw_int lanes = lanes_left<R>(units, j), step = LANES<R> / fold;
    for (int g = 0; g < gates; g++, out += step)
        for (gw_int l = 0; l < step; l++) out[l] = w && l < lanes ? w[g * units + j + l] : R(0);
    return out;
}

// kernel and recurrent_kernel have stride_x and stride_h columns a row; the bias is written by the
// caller's cell.
template <class R, class Bias>
static void pack_gated(const gw_cell<R> *cell, const Gates &g, const R *w_x, gw_int stride_x,
                       const R *w_h, gw_int stride_h, Bias bias, R *out) {
    for (gw_int j = 0; j < cell->units; j += LANES<R>) {
        const int fold = fold_of<R>(g, cell->units, j);
        out = bias(j, out);
        for (gw_int k = 0; k < cell->inputs; k++)
            out = pack_gates(w_x + k * stride_x, cell->units, j, g.x, out, fold);
        for (gw_int k = 0; k < cell->width; k++)
            out = pack_gates(w_h + k * stride_h, cell->units, j, g.h, out, fold);
    }
}

// Where a training step will write for rows [r, r + n): on its way while the sums are made.
template <class R> GW_INLINE void fetch_written(const gw_row<R> *row, gw_int r, gw_int n,
                                                gw_int units, gw_int j) {
    for (gw_int i = r; i < r + n; i++)
        if (row[i].gates) {
            for (int g = 0; g < 4; g++) __builtin_prefetch(row[i].gates + g * units + j, 1);
            __builtin_prefetch(row[i].h1 + j, 1);
            if (row[i].c1) __builtin_prefetch(row[i].c1 + j, 1);
        }
}

// A tile's sums, if they are made already.
template <class R, int SLOTS>
GW_INLINE void load_sums(const gw_row<R> *row, gw_int m, gw_int units, gw_int j, R *buf) {
    const gw_int lanes = lanes_left<R>(units, j);
    for (gw_int i = 0; i < m; i++)
        for (int s = 0; s < SLOTS; s++)
            store(buf + (i * SLOTS + s) * LANES<R>, load_first(row[i].z + s * units + j, lanes));
}

// One tile's sums: x W + h' U + b of block q for rows [row, row + m), into buf[m][slots].
template <class R, int X, int H, int SLOTS, int LAST_H>
GW_INLINE void gated_product(const gw_cell<R> *cell, const R *panel, const gw_row<R> *row, gw_int m,
                             gw_int j, R *buf) {
    const gw_int L = LANES<R>, I = cell->inputs, units = cell->units,
                 lanes = lanes_left<R>(units, j);
    if (cell->sums_given) return load_sums<R, SLOTS>(row, m, units, j, buf);
    Pointers<R> x(row, m, &gw_row<R>::x), h(row, m, &gw_row<R>::h_in);
    fill_with_bias(buf, m, SLOTS, panel);
    if (cell->input_projected)
        for (gw_int i = 0; i < m; i++)
            for (int g = 0; g < X; g++)
                store(buf + (i * SLOTS + g) * L, load_first(row[i].z + g * units + j, lanes));
    const R *w = panel + SLOTS * L;
    product<R, X, H, SLOTS, LAST_H>(
        m, buf, {x.p, cell->input_projected ? 0 : I, w, X * L},
        {h.p, cell->width, w + I * X * L, H * L},
        [=](gw_int r, gw_int n) { fetch_written(row, r, n, units, j); });
}

// A folded block: N vectors a row for four gates. The same sums, spread into the four slots of buf.
template <class R, int N>
static void folded_product(const gw_cell<R> *cell, const R *panel, const gw_row<R> *row, gw_int m,
                           gw_int j, bool only_x, R *buf) {
    const gw_int L = LANES<R>, I = cell->inputs, units = cell->units,
                 lanes = lanes_left<R>(units, j), step = N * L / 4;
    alignas(64) R folded[GROUP_ROWS * N * LANES<R>];
    Pointers<R> x(row, m, &gw_row<R>::x), h(row, m, &gw_row<R>::h_in);
    fill_with_bias(folded, m, N, panel);
    if (cell->input_projected && !only_x)
        for (gw_int i = 0; i < m; i++)
            for (int g = 0; g < 4; g++)
                for (gw_int l = 0; l < lanes; l++)
                    folded[i * N * L + g * step + l] = row[i].z[g * units + j + l];
    const R *w = panel + N * L;
    product<R, N, N, N, N - 1>(m, folded, {x.p, cell->input_projected && !only_x ? 0 : I, w, N * L},
                               {h.p, only_x ? 0 : cell->width, w + I * N * L, N * L},
                               [=](gw_int r, gw_int n) {
        if (!only_x) fetch_written(row, r, n, units, j);
    });
    for (gw_int i = 0; i < m; i++)
        for (int g = 0; g < 4; g++)
            store(buf + (i * 4 + g) * L, load_first(folded + i * N * L + g * step, lanes));
}

// The same sums in the same order as the fused step's, kept in row.z.
template <class R, int X, int SLOTS>
static void gated_project(const gw_cell<R> *cell, const Gates &gates, const gw_row<R> *rows,
                          gw_int n, gw_int first, gw_int last) {
    const gw_int I = cell->inputs, units = cell->units, L = LANES<R>;
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first; j < last; j += L) {
        const R *panel = cell->weights + j / L * gated_panel(cell, gates);
        const int fold = fold_of<R>(gates, units, j);
        const gw_int lanes = lanes_left<R>(units, j);
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            Pointers<R> x(rows + r, m, &gw_row<R>::x);
            if (fold == 1) {
                fill_with_bias(buf, m, SLOTS, panel);
                product<R, X, X, SLOTS, X - 1>(m, buf, {x.p, I, panel + SLOTS * L, X * L}, {},
                                               FetchNothing{});
            } else {
                fold == 2 ? folded_product<R, 2>(cell, panel, rows + r, m, j, true, buf)
                          : folded_product<R, 1>(cell, panel, rows + r, m, j, true, buf);
            }
            for (gw_int i = 0; i < m; i++)
                for (int g = 0; g < X; g++)
                    store_first(rows[r + i].z + g * units + j, load(buf + (i * SLOTS + g) * L),
                                lanes);
        }
    }
}

} // namespace GW_ISA
