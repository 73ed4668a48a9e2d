// The large products of the backward pass: sums over all rows and steps.
//
// Weight gradients, w (rows, columns) += a^T z with a (n, rows) and z (n, columns), are tiles of
// GW_TILE_ROWS rows by 4 vectors like every other product, the sum running over n. n is taken in
// blocks: one panel of z, copied together, stays in L1 while all tiles of the panel use it. The
// order of each sum is that of n, whoever computes which tile.
#pragma once
#include "arrays.h"
#include "tile.h"
#include "transposed.h"

namespace GW_ISA {

constexpr gw_int SUM_BLOCK = 96; // 24 KiB of z with AVX-512

// w[r][:] += sum over k < n of a[k][r] * z[k][:], for M rows and N vectors; z lies together.
template <class R, int M, int N>
static void outer_tile(const R *a, gw_int lda, const R *z, gw_int n, gw_int lanes, R *w,
                       gw_int ldw) {
    const gw_int L = LANES<R>;
    Vec<R> acc[M][N] = {};
    for (int r = 0; r < M; r++) // w may be far away: on its way while the sum is made
        for (int v = 0; v < N; v++) __builtin_prefetch(w + r * ldw + v * L, 1);
    for (gw_int k = 0; k < n; k++, a += lda, z += N * L) {
        Vec<R> zv[N];
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) zv[v] = load(z + v * L);
#pragma GCC unroll 6
        for (int r = 0; r < M; r++) {
            Vec<R> s = splat(a[r]);
#pragma GCC unroll 4
            for (int v = 0; v < N; v++) acc[r][v] = fma(s, zv[v], acc[r][v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < M; r++)
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) {
            R *p = w + r * ldw + v * L;
            const gw_int count = v == N - 1 ? lanes : L;
            store_first(p, load_first(p, count) + acc[r][v], count);
        }
}

template <class R, int N>
GW_INLINE void outer_rows(gw_int m, const R *a, gw_int lda, const R *z, gw_int n, gw_int lanes,
                          R *w, gw_int ldw) {
    switch (m) {
    case 1: return outer_tile<R, 1, N>(a, lda, z, n, lanes, w, ldw);
    case 2: return outer_tile<R, 2, N>(a, lda, z, n, lanes, w, ldw);
    case 3: return outer_tile<R, 3, N>(a, lda, z, n, lanes, w, ldw);
#if GW_TILE_ROWS > 3
    case 4: return outer_tile<R, 4, N>(a, lda, z, n, lanes, w, ldw);
    case 5: return outer_tile<R, 5, N>(a, lda, z, n, lanes, w, ldw);
    case 6: return outer_tile<R, 6, N>(a, lda, z, n, lanes, w, ldw);
#endif
    }
}

// Columns [j, j + panel) of n rows of z, together; and their sums.
template <class R, int N>
GW_INLINE void copy_panel(const R *z, gw_int ldz, gw_int n, gw_int lanes, R *panel,
                          Vec<R> (&sums)[4]) {
    for (gw_int k = 0; k < n; k++)
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) {
            Vec<R> x = v == N - 1 ? load_first(z + k * ldz + v * LANES<R>, lanes)
                                  : load(z + k * ldz + v * LANES<R>);
            store(panel + (k * N + v) * LANES<R>, x);
            sums[v] += x;
        }
}

// Tiles of one weight gradient: column panel by column panel, each from its first row to its last.
template <class R> GW_INLINE gw_int tiles_down(const gw_piece<R> *p) {
    return (p->rows + GW_TILE_ROWS - 1) / GW_TILE_ROWS;
}
template <class R> static gw_int weight_tiles(const gw_piece<R> *p) {
    return tiles_down(p) * ((p->columns + panel_columns<R>() - 1) / panel_columns<R>());
}

// Rows [first, last) tiles of one panel of N vectors, over one block of n. The sums go to the bias,
// if this call holds the panel's first tile.
template <class R, int N>
static void weight_panel(const gw_piece<R> *p, gw_int k, gw_int n, gw_int j, gw_int first,
                         gw_int last) {
    const gw_int L = LANES<R>, lanes = lanes_left<R>(p->columns, j + (N - 1) * L);
    alignas(64) R panel[SUM_BLOCK * 4 * LANES<R>];
    Vec<R> sums[4] = {};
    copy_panel<R, N>(p->z + k * p->ldz + j, p->ldz, n, lanes, panel, sums);
    if (p->b && first == 0)
        for (int v = 0; v < N; v++) {
            const gw_int count = v == N - 1 ? lanes : L;
            R *b = p->b + j + v * L;
            store_first(b, load_first(b, count) + sums[v], count);
        }
    for (gw_int tile = first; tile < last; tile++) {
        const gw_int r = tile * GW_TILE_ROWS,
                     m = p->rows - r < GW_TILE_ROWS ? p->rows - r : GW_TILE_ROWS;
        outer_rows<R, N>(m, p->a + k * p->lda + r, p->lda, panel, n, lanes, p->w + r * p->ldw + j,
                         p->ldw);
    }
}

// Tiles [first, last) of one weight gradient.
template <class R> static void weight_gradient(const gw_piece<R> *p, gw_int first, gw_int last) {
    const gw_int down = tiles_down(p);
    for (gw_int k = 0; k < p->n; k += SUM_BLOCK) {
        const gw_int n = p->n - k < SUM_BLOCK ? p->n - k : SUM_BLOCK;
        for (gw_int tile = first, next; tile < last; tile = next) {
            const gw_int panel = tile / down, j = panel * panel_columns<R>(),
                         r = tile - panel * down;
            next = (panel + 1) * down < last ? (panel + 1) * down : last;
            const gw_int r_end = next - panel * down;
            switch (panel_vectors<R>(p->columns, j)) {
            case 1: weight_panel<R, 1>(p, k, n, j, r, r_end); break;
            case 2: weight_panel<R, 2>(p, k, n, j, r, r_end); break;
            case 3: weight_panel<R, 3>(p, k, n, j, r, r_end); break;
            case 4: weight_panel<R, 4>(p, k, n, j, r, r_end); break;
            }
        }
    }
}

// out (n, columns) = z w^T, z (n, length) with ldz, w (columns, length) packed by pack_transposed.
template <class R>
static void input_gradient(const R *z, gw_int ldz, gw_int n, gw_int length, const R *packed,
                           gw_int columns, R *out) {
    const gw_int L = LANES<R>;
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = 0; j < columns; j += panel_columns<R>()) {
        const int v = panel_vectors<R>(columns, j);
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            const R *rows[GROUP_ROWS];
            for (gw_int i = 0; i < m; i++) rows[i] = z + (r + i) * ldz;
            fill_with_zero(buf, m, v);
            product_of_columns<R>(v, m, buf, {rows, length, packed + j * length, v * L}, {});
            for (gw_int i = 0; i < m; i++)
                for (int s = 0; s < v; s++)
                    store_first(out + (r + i) * columns + j + s * L, load(buf + (i * v + s) * L),
                                lanes_left<R>(columns, j + s * L));
        }
    }
}

} // namespace GW_ISA
