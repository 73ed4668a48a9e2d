// Convolutions over images. A window is read in place, from an image that has its padding in
// memory: no matrix of windows is ever made.
//
//     y[p] = act(sum over k of x[at(p) + place(k)] W[k] + b)        correlate
//     dW[k] += sum over p of x[at(p) + place(k)] dz[p]              window_gradient
//
// p is a position of the output, k a number of a window. A tile is a few positions of one row of
// the output times up to 4 vectors of filters. Each sum is one chain of fma over k = 0, 1, 2, ...,
// whatever the tile, so a position's bits do not depend on its neighbours.
#pragma once
#include "arrays.h"
#include "tile.h"

namespace GW_ISA {

// Positions of a tile of N vectors: narrow tiles are longer, so that enough sums run side by side.
template <int N> constexpr int POSITIONS = 4 * GW_TILE_ROWS / N < 12 ? 4 * GW_TILE_ROWS / N : 12;

constexpr gw_int POSITION_BLOCK = 96; // of one sum of window_gradient, at least: 24 KiB of dz

// acc[p] += window of position p times w, with N vectors of w for each number of a window.
template <class R, int M, int N>
GW_INLINE void add_windows(Vec<R> (&acc)[M][N], const gw_windows *g, const R *x, const R *w) {
    const gw_int L = LANES<R>, step = g->step;
    for (gw_int run = 0; run < g->runs; run++) {
        const R *a = x + g->from[run];
        for (gw_int k = 0; k < g->length; k++, a++, w += N * L) {
            Vec<R> wv[N];
#pragma GCC unroll 4
            for (int v = 0; v < N; v++) wv[v] = load(w + v * L);
#pragma GCC unroll 12
            for (int p = 0; p < M; p++) {
                Vec<R> s = splat(a[p * step]);
#pragma GCC unroll 4
                for (int v = 0; v < N; v++) acc[p][v] = fma(s, wv[v], acc[p][v]);
            }
        }
    }
}

// Where a tile of one panel writes.
template <class R> struct Filters {
    const R *bias, *weights;
    gw_int filters, lanes; // of a row of y; true columns of the last vector
    const gw_activation<R> *f;
};

template <class R, int M, int N>
static void correlate_tile(const gw_windows *g, const R *x, const Filters<R> &to, R *y) {
    const gw_int L = LANES<R>;
    Vec<R> acc[M][N];
#pragma GCC unroll 12
    for (int p = 0; p < M; p++)
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) acc[p][v] = load(to.bias + v * L);
    add_windows<R, M, N>(acc, g, x, to.weights);
    alignas(64) R buf[M * N * LANES<R>];
#pragma GCC unroll 12
    for (int p = 0; p < M; p++)
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) store(buf + (p * N + v) * L, acc[p][v]);
    activate_slot(buf, M * N, 1, 0, *to.f);
    for (int p = 0; p < M; p++)
        for (int v = 0; v < N; v++)
            store_first(y + p * to.filters + v * L, load(buf + (p * N + v) * L),
                        v == N - 1 ? to.lanes : L);
}

template <class R, int M, int N>
GW_INLINE void correlate_positions(gw_int m, const gw_windows *g, const R *x, const Filters<R> &to,
                                   R *y) {
    if (m == M) return correlate_tile<R, M, N>(g, x, to, y);
    if constexpr (M > 1) correlate_positions<R, M - 1, N>(m, g, x, to, y);
}

template <class R, int N>
static void correlate_panel(const gw_windows *g, const R *x, gw_int rows, const Filters<R> &to,
                            R *y) {
    for (gw_int row = 0; row < rows; row++, x += g->row_step)
        for (gw_int p = 0, m; p < g->columns; p += m, y += m * to.filters) {
            m = even_share<POSITIONS<N>>(g->columns - p);
            correlate_positions<R, POSITIONS<N>, N>(m, g, x + p * g->step, to, y);
        }
}

// `rows` rows of y (rows, columns, filters); x is the first number of the first window. Weights
// (runs * length, filters) and bias are packed by pack_dense.
template <class R>
static void correlate(const gw_windows *g, const R *x, gw_int rows, const R *packed, gw_int filters,
                      const gw_activation<R> *f, R *y) {
    const gw_int L = LANES<R>, inputs = g->runs * g->length;
    for (gw_int j = 0; j < filters; j += panel_columns<R>()) {
        const int n = panel_vectors<R>(filters, j);
        const R *bias = packed + j * (1 + inputs);
        const Filters<R> to = {bias, bias + n * L, filters,
                               lanes_left<R>(filters, j + (n - 1) * L), f};
        switch (n) {
        case 1: correlate_panel<R, 1>(g, x, rows, to, y + j); break;
        case 2: correlate_panel<R, 2>(g, x, rows, to, y + j); break;
        case 3: correlate_panel<R, 3>(g, x, rows, to, y + j); break;
        case 4: correlate_panel<R, 4>(g, x, rows, to, y + j); break;
        }
    }
}

// dw[k] += sum over the positions of `rows` rows, for M numbers k of a window and N vectors.
template <class R, int M, int N>
static void window_gradient_tile(const gw_windows *g, const gw_int *places, const R *x, gw_int rows,
                                 const R *dz, gw_int filters, gw_int lanes, R *dw) {
    const gw_int L = LANES<R>;
    Vec<R> acc[M][N] = {};
    for (gw_int row = 0; row < rows; row++, x += g->row_step) {
        const R *a = x;
        for (gw_int p = 0; p < g->columns; p++, a += g->step, dz += filters) {
            Vec<R> zv[N];
#pragma GCC unroll 4
            for (int v = 0; v < N - 1; v++) zv[v] = load(dz + v * L);
            zv[N - 1] = load_first(dz + (N - 1) * L, lanes);
#pragma GCC unroll 12
            for (int k = 0; k < M; k++) {
                Vec<R> s = splat(a[places[k]]);
#pragma GCC unroll 4
                for (int v = 0; v < N; v++) acc[k][v] = fma(s, zv[v], acc[k][v]);
            }
        }
    }
#pragma GCC unroll 12
    for (int k = 0; k < M; k++)
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) {
            R *to = dw + k * filters + v * L;
            const gw_int count = v == N - 1 ? lanes : L;
            store_first(to, load_first(to, count) + acc[k][v], count);
        }
}

template <class R, int M, int N>
GW_INLINE void window_gradient_numbers(gw_int m, const gw_windows *g, const gw_int *places,
                                       const R *x, gw_int rows, const R *dz, gw_int filters,
                                       gw_int lanes, R *dw) {
    if (m == M)
        return window_gradient_tile<R, M, N>(g, places, x, rows, dz, filters, lanes, dw);
    if constexpr (M > 1)
        window_gradient_numbers<R, M - 1, N>(m, g, places, x, rows, dz, filters, lanes, dw);
}

template <class R, int N>
static void window_gradient_panel(const gw_windows *g, const R *x, gw_int rows, const R *dz,
                                  gw_int filters, gw_int lanes, R *dw) {
    const gw_int inputs = g->runs * g->length;
    for (gw_int k = 0, m; k < inputs; k += m) {
        m = even_share<POSITIONS<N>>(inputs - k);
        gw_int places[POSITIONS<N>];
        for (gw_int i = 0; i < m; i++)
            places[i] = g->from[(k + i) / g->length] + (k + i) % g->length;
        window_gradient_numbers<R, POSITIONS<N>, N>(m, g, places, x, rows, dz, filters, lanes,
                                                    dw + k * filters);
    }
}

// dw (runs * length, filters) += the part of `rows` rows of positions, dz (rows, columns, filters);
// db (filters,) += the sums of dz, or NULL. The order of each sum is that of the positions.
template <class R>
static void window_gradient(const gw_windows *g, const R *x, gw_int rows, const R *dz,
                            gw_int filters, R *dw, R *db) {
    const gw_int L = LANES<R>, positions = g->columns > 0 ? g->columns : 1,
                 block = (POSITION_BLOCK + positions - 1) / positions;
    for (gw_int row = 0, n; row < rows;
         row += n, x += n * g->row_step, dz += n * g->columns * filters) {
        n = rows - row < block ? rows - row : block;
        for (gw_int j = 0; j < filters; j += panel_columns<R>()) {
            const int v = panel_vectors<R>(filters, j);
            const gw_int lanes = lanes_left<R>(filters, j + (v - 1) * L);
            switch (v) {
            case 1: window_gradient_panel<R, 1>(g, x, n, dz + j, filters, lanes, dw + j); break;
            case 2: window_gradient_panel<R, 2>(g, x, n, dz + j, filters, lanes, dw + j); break;
            case 3: window_gradient_panel<R, 3>(g, x, n, dz + j, filters, lanes, dw + j); break;
            case 4: window_gradient_panel<R, 4>(g, x, n, dz + j, filters, lanes, dw + j); break;
            }
        }
        if (db) add_column_sums(dz, n * g->columns, filters, filters, db);
    }
}

} // namespace GW_ISA
