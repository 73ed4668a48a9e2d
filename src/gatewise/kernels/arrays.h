// Elementwise work over long arrays, and sums whose order is fixed.
#pragma once
#include "vmath.h"
#include "table.h"

namespace GW_ISA {

// f(i, lanes) for each vector of n elements, the last one partial.
template <class R, class F> GW_INLINE void for_each_vector(gw_int n, F f) {
    gw_int i = 0;
    for (; i + LANES<R> <= n; i += LANES<R>) f(i, LANES<R>);
    if (i < n) f(i, n - i);
}

// Our own, as std::fill_n might be shared with the code for another instruction set.
template <class R> GW_INLINE void fill_with(R *x, gw_int n, R value) {
    for (gw_int i = 0; i < n; i++) x[i] = value;
}

template <class R, int KIND> static void activate_as(const R *x, R *y, gw_int n, R alpha, R beta) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        store_first(y + i, activation<R, KIND>(load_first(x + i, lanes), alpha, beta), lanes);
    });
}
template <class R> static void activate(const gw_activation<R> *f, const R *x, R *y, gw_int n) {
    GW_WITH_ACTIVATION(f->kind, (activate_as<R, KIND>(x, y, n, f->alpha, f->beta)))
}

template <class R, int KIND> static void activate_backward_as(const R *y, const R *dy, R *dx,
                                                              gw_int n, R alpha, R beta) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        Vec<R> s = activation_slope<R, KIND>(load_first(y + i, lanes), alpha, beta);
        store_first(dx + i, load_first(dy + i, lanes) * s, lanes);
    });
}
template <class R> static void activate_backward(const gw_activation<R> *f, const R *y, const R *dy,
                                                 R *dx, gw_int n) {
    GW_WITH_ACTIVATION(f->kind, (activate_backward_as<R, KIND>(y, dy, dx, n, f->alpha, f->beta)))
}

template <class R> GW_INLINE R sum_of_lanes(Vec<R> v) {
    R s = 0;
    for (gw_int l = 0; l < LANES<R>; l++) s += v[l];
    return s;
}

constexpr gw_int SHORT_SUM = 1024; // elements that are summed in R before they go on in double

// The largest of n > 0 numbers. Of a row with a NaN it may be any of them: its softmax is NaN all
// the same.
template <class R> GW_INLINE R largest(const R *x, gw_int n) {
    R top = x[0];
    gw_int j = 1;
    if (n >= LANES<R>) {
        Vec<R> most = load(x);
        for (j = LANES<R>; j + LANES<R> <= n; j += LANES<R>) {
            const Vec<R> v = load(x + j);
            most = v > most ? v : most;
        }
        for (gw_int l = 0; l < LANES<R>; l++) top = most[l] > top ? most[l] : top;
    }
    for (; j < n; j++) top = x[j] > top ? x[j] : top;
    return top;
}

// keep[i] = scale where draws[i] >= rate, else 0: the multipliers of dropout.
template <class R> static void dropout_mask(const float *draws, gw_int n, float rate, R scale,
                                            R *keep) {
    for (gw_int i = 0; i < n; i++) keep[i] = draws[i] >= rate ? scale : R(0);
}

// exp(x - top) into e, which may be NULL, or x; their sum.
template <class R> GW_INLINE double exponentials(const R *x, R top, gw_int columns, R *e) {
    double sum = 0;
    for (gw_int first = 0; first < columns; first += SHORT_SUM) {
        Vec<R> part = {};
        for_each_vector<R>(columns - first < SHORT_SUM ? columns - first : SHORT_SUM,
                           [&](gw_int j, gw_int lanes) {
            const Vec<R> v = exponential_of_negative<R>(load_first(x + first + j, lanes) - top);
            if (lanes == LANES<R>) part += v;
            else
                for (gw_int l = 0; l < lanes; l++) sum += v[l];
            if (e) store_first(e + first + j, v, lanes);
        });
        sum += sum_of_lanes<R>(part);
    }
    return sum;
}

// Row by row: subtract the largest, exponentiate, divide by the sum.
template <class R> static void softmax(const R *x, R *y, gw_int n, gw_int columns) {
    for (gw_int r = 0; r < n; r++, x += columns, y += columns) {
        const R top = largest(x, columns);
        const R scale = (R)(1 / exponentials(x, top, columns, y));
        for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) {
            store_first(y + j, load_first(y + j, lanes) * scale, lanes);
        });
    }
}

// dx = y * (dy - sum(y * dy)).
template <class R> static void softmax_backward(const R *y, const R *dy, R *dx, gw_int n,
                                                gw_int columns) {
    for (gw_int r = 0; r < n; r++, y += columns, dy += columns, dx += columns) {
        Vec<R> dots = {};
        for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) {
            dots = fma(load_first(y + j, lanes), load_first(dy + j, lanes), dots);
        });
        const R dot = sum_of_lanes<R>(dots);
        for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) {
            store_first(dx + j, load_first(y + j, lanes) * (load_first(dy + j, lanes) - dot),
                        lanes);
        });
    }
}

// sums[j] += x[0][j] + x[1][j] + ..., rows in order. x (n, columns) with `stride` elements a row.
template <class R> static void add_column_sums(const R *x, gw_int n, gw_int stride, gw_int columns,
                                               R *sums) {
    const gw_int L = LANES<R>;
    gw_int j = 0;
    for (; j + 4 * L <= columns; j += 4 * L) {
        Vec<R> s[4] = {};
        for (gw_int r = 0; r < n; r++)
            for (int v = 0; v < 4; v++) s[v] += load(x + r * stride + j + v * L);
        for (int v = 0; v < 4; v++) store(sums + j + v * L, load(sums + j + v * L) + s[v]);
    }
    for (; j < columns; j += L) {
        const gw_int lanes = columns - j < L ? columns - j : L;
        Vec<R> s = {};
        for (gw_int r = 0; r < n; r++) s += load_first(x + r * stride + j, lanes);
        store_first(sums + j, load_first(sums + j, lanes) + s, lanes);
    }
}

template <class R> static gw_int first_nonfinite(const R *x, gw_int n) {
    const gw_int block = 64 * LANES<R>; // x - x is 0 where x is finite and NaN elsewhere
    for (gw_int i = 0; i < n; i += block) {
        const gw_int end = i + block < n ? i + block : n;
        Vec<R> bad = {};
        for_each_vector<R>(end - i, [&](gw_int k, gw_int lanes) {
            Vec<R> v = load_first(x + i + k, lanes);
            bad += v - v;
        });
        if (sum_of_lanes<R>(bad) == R(0)) continue;
        for (gw_int k = i; k < end; k++)
            if (!(x[k] - x[k] == R(0))) return k;
    }
    return n;
}

// In double, each lane a chain of its own: the order depends on n alone.
template <class R> static double sum_of_squares(const R *x, gw_int n) {
    double s[8] = {};
    gw_int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) s[l] += (double)x[i + l] * (double)x[i + l];
    for (int l = 0; i < n; i++, l++) s[l] += (double)x[i] * (double)x[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

// Multiply-adds on registers alone, enough chains to hide their latency: the most this machine
// does.
template <class R> static gw_int fma_loop(gw_int rounds, R *sink) {
    const int chains = GW_TILE_ROWS * 4;
    Vec<R> acc[chains], a = splat(R(1)), b = splat(R(1e-30));
    for (int c = 0; c < chains; c++) acc[c] = splat(R(c));
    for (gw_int k = 0; k < rounds; k++)
#pragma GCC unroll 24
        for (int c = 0; c < chains; c++) acc[c] = fma(acc[c], a, b);
    Vec<R> sum = {};
    for (int c = 0; c < chains; c++) sum += acc[c];
    *sink = sum_of_lanes<R>(sum);
    return rounds * chains * LANES<R> * 2;
}

} // namespace GW_ISA
