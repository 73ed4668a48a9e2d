// The tile: up to GW_TILE_ROWS rows times up to 4 vectors of columns, held in registers while the
// sum runs over the inputs. Every product with weights that is not a BLAS call is made of it.
//
//     panel of packed weights           tile in registers           buffer in L1
//     k=0  [w w w w]                    row 0  [a a a a]
//     k=1  [w w w w]    x[r][k] *  ->   ...                 ->      m rows x 4 vectors
//     ...                               row m-1[a a a a]
//
// Each element of the tile is one chain of fma over k = 0, 1, 2, ..., whatever the number of rows,
// so a row's result does not depend on how many rows were computed beside it.
//
// Tiles come in groups of rows that share a panel. k is then taken in chunks: a chunk of the panel
// comes from L2 once and stays in L1 while every tile of the group adds it to its buffer. Meanwhile
// they fetch the next chunk, one cache line an input: measured 1.15 times as fast from L2, 1.3
// times from L3.
#pragma once
#include "simd.h"
#include "table.h"
#include "vmath.h"

namespace GW_ISA {

constexpr gw_int GROUP_ROWS = 48;   // 12 KiB of sums with AVX-512
constexpr gw_int CHUNK_INPUTS = 64; // 16 KiB of weights with AVX-512
template <class R> constexpr gw_int BUFFER = GROUP_ROWS * 4 * LANES<R>;
template <class R> constexpr gw_int LINE = 64 / (gw_int)sizeof(R); // elements of a cache line

// Rows of the next group, or tile, when `left` remain: as even as possible, so that no single row
// trails.
template <gw_int MOST> GW_INLINE gw_int even_share(gw_int left) {
    gw_int shares = (left + MOST - 1) / MOST;
    gw_int rows = (left + shares - 1) / shares;
    if (rows > MOST) __builtin_unreachable(); // so that the compiler knows the buffers suffice
    return rows;
}
GW_INLINE gw_int group_rows(gw_int left) { return even_share<GROUP_ROWS>(left); }

// acc[r][v] += sum over k of a[r][k] * w[k][v]; the last vector goes to slot LAST. The cache lines
// from `prefetch` on are fetched meanwhile, one for each k; they may lie past the end of the
// weights.
template <class R, int M, int N, int SLOTS, int LAST>
GW_INLINE void accumulate(Vec<R> (&acc)[M][SLOTS], const R *const (&a)[M], gw_int k_end, const R *w,
                          gw_int stride, const R *prefetch) {
    const gw_int L = LANES<R>;
    for (gw_int k = 0; k < k_end; k++, w += stride, prefetch += LINE<R>) {
        __builtin_prefetch(prefetch);
        Vec<R> wv[N];
#pragma GCC unroll 4
        for (int v = 0; v < N; v++) wv[v] = load(w + v * L);
#pragma GCC unroll 6
        for (int r = 0; r < M; r++) {
            Vec<R> s = splat(a[r][k]);
#pragma GCC unroll 4
            for (int v = 0; v < N; v++) {
                const int slot = v == N - 1 ? LAST : v;
                acc[r][slot] = fma(s, wv[v], acc[r][slot]);
            }
        }
    }
}

// A product of one or two terms, buf[r] += a[r] w_a + b[r] w_b, the terms one after the other.
template <class R> struct Term {
    const R *const *rows; // one pointer a row
    gw_int length;        // 0: the term is absent
    const R *weights;
    gw_int stride;     // elements from one input's weights to the next's
    gw_int from;       // first input
    const R *prefetch; // what is fetched meanwhile
    Term() : Term(nullptr, 0, nullptr, 0) {}
    Term(const R *const *rows, gw_int length, const R *weights, gw_int stride)
        : rows(rows), length(length), weights(weights), stride(stride), from(0),
          prefetch(weights + length * stride) {}

    // For the rows from `row` on.
    Term below(gw_int row) const {
        Term t = *this;
        t.rows += row;
        return t;
    }
    // The inputs [k, k + CHUNK_INPUTS), as the group's tile number `tile` sees them: each fetches
    // its share of the chunk that follows, and those past its end fetch what is there.
    Term chunk(gw_int row, gw_int k, gw_int tile) const {
        Term t = below(row);
        t.from = k, t.length = length - k < CHUNK_INPUTS ? length - k : CHUNK_INPUTS;
        t.weights = weights + k * stride;
        const gw_int size = t.length * stride, share = tile * t.length * LINE<R>;
        t.prefetch = t.weights + (share < size ? size + share : 0);
        return t;
    }
};

template <class R, int M, int NA, int NB, int SLOTS, int LAST_B>
static void product_of(R *buf, const Term<R> &ta, const Term<R> &tb) {
    const gw_int L = LANES<R>;
    Vec<R> acc[M][SLOTS];
#pragma GCC unroll 6
    for (int r = 0; r < M; r++)
#pragma GCC unroll 4
        for (int v = 0; v < SLOTS; v++) acc[r][v] = load(buf + (r * SLOTS + v) * L);
    if (ta.length) {
        const R *a[M];
#pragma GCC unroll 6
        for (int r = 0; r < M; r++) a[r] = ta.rows[r] + ta.from;
        accumulate<R, M, NA, SLOTS, NA - 1>(acc, a, ta.length, ta.weights, ta.stride, ta.prefetch);
    }
    if (tb.length) {
        const R *b[M];
#pragma GCC unroll 6
        for (int r = 0; r < M; r++) b[r] = tb.rows[r] + tb.from;
        accumulate<R, M, NB, SLOTS, LAST_B>(acc, b, tb.length, tb.weights, tb.stride, tb.prefetch);
    }
#pragma GCC unroll 6
    for (int r = 0; r < M; r++)
#pragma GCC unroll 4
        for (int v = 0; v < SLOTS; v++) store(buf + (r * SLOTS + v) * L, acc[r][v]);
}

template <class R, int NA, int NB, int SLOTS, int LAST_B>
GW_INLINE void tile_product(gw_int m, R *buf, const Term<R> &a, const Term<R> &b) {
    switch (m) {
    case 1: product_of<R, 1, NA, NB, SLOTS, LAST_B>(buf, a, b); break;
    case 2: product_of<R, 2, NA, NB, SLOTS, LAST_B>(buf, a, b); break;
    case 3: product_of<R, 3, NA, NB, SLOTS, LAST_B>(buf, a, b); break;
#if GW_TILE_ROWS > 3
    case 4: product_of<R, 4, NA, NB, SLOTS, LAST_B>(buf, a, b); break;
    case 5: product_of<R, 5, NA, NB, SLOTS, LAST_B>(buf, a, b); break;
    case 6: product_of<R, 6, NA, NB, SLOTS, LAST_B>(buf, a, b); break;
#endif
    }
}

// m rows of a group with SLOTS vectors: term a has NA vectors of weights an input, term b has NB,
// of which the last is added to slot LAST_B (the candidate of a reset-after GRU keeps its halves
// apart). fetch(r, n) is called once for each tile, rows [r, r + n), ahead of work that will need
// memory of them.
template <class R, int NA, int NB, int SLOTS, int LAST_B, class Fetch>
GW_INLINE void product(gw_int m, R *buf, const Term<R> &a, const Term<R> &b, Fetch fetch) {
    if (m <= GW_TILE_ROWS || a.length + b.length <= 2 * CHUNK_INPUTS) {
        for (gw_int r = 0, n; r < m; r += n) {
            n = even_share<GW_TILE_ROWS>(m - r);
            fetch(r, n);
            tile_product<R, NA, NB, SLOTS, LAST_B>(n, buf + r * SLOTS * LANES<R>, a.below(r),
                                                   b.below(r));
        }
        return;
    }
    for (gw_int k = 0; k < a.length; k += CHUNK_INPUTS)
        for (gw_int r = 0, n, tile = 0; r < m; r += n, tile++) {
            n = even_share<GW_TILE_ROWS>(m - r);
            if (k == 0) fetch(r, n);
            tile_product<R, NA, NB, SLOTS, LAST_B>(n, buf + r * SLOTS * LANES<R>,
                                                   a.chunk(r, k, tile), {});
        }
    for (gw_int k = 0; k < b.length; k += CHUNK_INPUTS)
        for (gw_int r = 0, n, tile = 0; r < m; r += n, tile++) {
            n = even_share<GW_TILE_ROWS>(m - r);
            if (k == 0 && a.length == 0) fetch(r, n);
            tile_product<R, NA, NB, SLOTS, LAST_B>(n, buf + r * SLOTS * LANES<R>, {},
                                                   b.chunk(r, k, tile));
        }
}
struct FetchNothing {
    void operator()(gw_int, gw_int) const {}
};

// The same for n = 1..4 vectors in each of both terms.
template <class R, class Fetch = FetchNothing>
GW_INLINE void product_of_columns(int n, gw_int m, R *buf, const Term<R> &a, const Term<R> &b,
                                  Fetch fetch = {}) {
    switch (n) {
    case 1: product<R, 1, 1, 1, 0>(m, buf, a, b, fetch); break;
    case 2: product<R, 2, 2, 2, 1>(m, buf, a, b, fetch); break;
    case 3: product<R, 3, 3, 3, 2>(m, buf, a, b, fetch); break;
    case 4: product<R, 4, 4, 4, 3>(m, buf, a, b, fetch); break;
    }
}

// ---- column panels: matrices without gates (SimpleRNN, Dense, everything transposed)

// Columns come in panels of 4 vectors, the last panel as narrow as it can be.
template <class R> GW_INLINE gw_int panel_columns() { return 4 * LANES<R>; }
template <class R> GW_INLINE gw_int padded(gw_int columns) {
    return (columns + LANES<R> - 1) / LANES<R> * LANES<R>;
}
template <class R> GW_INLINE int panel_vectors(gw_int columns, gw_int first) {
    gw_int left = padded<R>(columns - first), most = panel_columns<R>();
    return (int)((left < most ? left : most) / LANES<R>);
}

// The vectors of one panel that lie in columns [u, last).
template <class R> struct PanelPart {
    gw_int panel, offset,
        stride; // the panel's first column; where u is in its rows; elements of a row
    int n;      // vectors
    PanelPart(gw_int columns, gw_int u, gw_int last) {
        panel = u / panel_columns<R>() * panel_columns<R>(), offset = u - panel;
        const int width = panel_vectors<R>(columns, panel);
        const gw_int wanted = padded<R>(last - u) / LANES<R>, rest = width - offset / LANES<R>;
        stride = width * LANES<R>, n = (int)(wanted < rest ? wanted : rest);
    }
};

// Lanes of a vector that starts at column `first` that are true columns.
template <class R> GW_INLINE gw_int lanes_left(gw_int columns, gw_int first) {
    gw_int left = columns - first;
    return left < LANES<R> ? left : LANES<R>;
}

// One row of a panel: n vectors of columns [first, ...) of w, zeros past the last column.
template <class R> GW_INLINE R *pack_row(const R *w, gw_int columns, gw_int first, int n, R *out) {
    for (int v = 0; v < n; v++, first += LANES<R>, out += LANES<R>)
        store(out, w ? load_first(w + first, lanes_left<R>(columns, first)) : Vec<R>{});
    return out;
}

// w (rows, columns), `stride` numbers a row, as column panels; where they end.
template <class R> static R *pack_columns(const R *w, gw_int stride, gw_int columns, gw_int rows,
                                          R *out) {
    for (gw_int j = 0; j < columns; j += panel_columns<R>())
        for (gw_int k = 0; k < rows; k++)
            out = pack_row(w + k * stride, columns, j, panel_vectors<R>(columns, j), out);
    return out;
}

// dst(r, v) = bias(v) for a tile of n vectors.
template <class R> GW_INLINE void fill_with_bias(R *buf, gw_int m, int n, const R *bias) {
    for (gw_int r = 0; r < m; r++)
        for (int v = 0; v < n; v++) store(buf + (r * n + v) * LANES<R>, load(bias + v * LANES<R>));
}

template <class R> GW_INLINE void fill_with_zero(R *buf, gw_int m, int n) {
    for (gw_int i = 0; i < m * n; i++) store(buf + i * LANES<R>, Vec<R>{});
}

// Every element of slot `slot` of a tile through one activation.
template <class R, int KIND> static void activate_slot_as(R *buf, gw_int m, int slots, int slot,
                                                          R alpha, R beta) {
    for (gw_int r = 0; r < m; r++) {
        R *p = buf + (r * slots + slot) * LANES<R>;
        store(p, activation<R, KIND>(load(p), alpha, beta));
    }
}
template <class R> GW_INLINE void activate_slot(R *buf, gw_int m, int slots, int slot,
                                                const gw_activation<R> &f) {
    GW_WITH_ACTIVATION(f.kind, (activate_slot_as<R, KIND>(buf, m, slots, slot, f.alpha, f.beta)))
}

// dy/dx of an activation by its output, one vector; a branch that the caller's loop predicts.
template <class R> GW_INLINE Vec<R> slope(Vec<R> y, const gw_activation<R> &f) {
    Vec<R> s;
    GW_WITH_ACTIVATION(f.kind, (s = activation_slope<R, KIND>(y, f.alpha, f.beta)))
    return s;
}

// Row pointers of a group, one member of gw_row, moved by an offset.
template <class R> struct Pointers {
    const R *p[GROUP_ROWS];
    template <class Member> Pointers(const gw_row<R> *rows, gw_int m, Member member,
                                     gw_int offset = 0) {
        for (gw_int r = 0; r < m; r++) p[r] = rows[r].*member + offset;
    }
};

} // namespace GW_ISA
