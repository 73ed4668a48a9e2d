// norm(x) = (x - mean(x)) / sqrt(variance(x) + epsilon) of one row, and its backward pass.
#pragma once
#include "arrays.h"

namespace GW_ISA {

constexpr double NORM_EPSILON = 1e-5;

template <class R> GW_INLINE Vec<R> only_first(Vec<R> v, gw_int lanes) {
    if (lanes == LANES<R>) return v;
    alignas(64) R part[LANES<R>];
    store(part, v);
    return load_part(part, lanes);
}

// Pairs, pairs of pairs and so on. With the four chains below, norm of 128 numbers takes 27 ns
// instead of 38, of 512 55 instead of 93 (AVX-512, one core).
template <class R> GW_INLINE R tree_of_lanes(Vec<R> v) {
    alignas(64) R part[LANES<R>];
    store(part, v);
    for (gw_int half = LANES<R> / 2; half > 0; half /= 2)
        for (gw_int l = 0; l < half; l++) part[l] += part[l + half];
    return part[0];
}

// The sum of f(i, lanes) over n elements, f being 0 in lanes past the end. Four chains, as one
// would wait for itself.
template <class R, class F> GW_INLINE R sum_of(gw_int n, F f) {
    const gw_int L = LANES<R>;
    Vec<R> a = {}, b = {}, c = {}, d = {};
    gw_int i = 0;
    for (; i + 4 * L <= n; i += 4 * L)
        a += f(i, L), b += f(i + L, L), c += f(i + 2 * L, L), d += f(i + 3 * L, L);
    for (; i < n; i += L) a += f(i, n - i < L ? n - i : L);
    return tree_of_lanes<R>((a + b) + (c + d));
}

// normalize, for numbers whose sum or variance overflows: they are divided by a power of two first.
// This is rare, so that it is written for one number at a time.
template <class R>
__attribute__((noinline)) static R normalize_large(const R *x, R *out, gw_int n, R epsilon) {
    R largest = 0;
    bool constant = true;
    for (gw_int i = 0; i < n; i++) {
        const R size = x[i] < 0 ? -x[i] : x[i];
        largest = size > largest ? size : largest;
        constant = constant && x[i] == x[0];
    }
    if (constant) { // no variance; epsilon, which remains, would be 0 on the scale of x
        for (gw_int i = 0; i < n; i++) out[i] = 0;
        return R(1) / (R)__builtin_sqrt((double)epsilon);
    }
    int exponent = 0;
    __builtin_frexp((double)largest, &exponent);
    const R shrink =
        (R)__builtin_ldexp(1.0, 2 - exponent); // a normal number, whatever x holds; |x| shrink < 4
    R sum = 0, squares = 0;
    for (gw_int i = 0; i < n; i++) sum += x[i] * shrink;
    const R mean = sum / R(n);
    for (gw_int i = 0; i < n; i++) squares += (x[i] * shrink - mean) * (x[i] * shrink - mean);
    const R scale =
        R(1) / (R)__builtin_sqrt((double)(squares / R(n) + epsilon * shrink * shrink));
    for (gw_int i = 0; i < n; i++) out[i] = (x[i] * shrink - mean) * scale;
    return scale * shrink;
}

// out = norm(x), which may be x; returns 1 / sqrt(variance + epsilon).
template <class R>
static R normalize(const R *x, R *out, gw_int n, R epsilon = R(NORM_EPSILON)) {
    const R mean =
        sum_of<R>(n, [=](gw_int i, gw_int lanes) { return load_first(x + i, lanes); }) / R(n);
    const R variance = sum_of<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(x + i, lanes) - mean;
        return only_first<R>(d * d, lanes);
    }) / R(n);
    if (__builtin_expect(!__builtin_isfinite(variance), 0))
        return normalize_large(x, out, n, epsilon);
    const R scale = R(1) / (R)__builtin_sqrt((double)(variance + epsilon));
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        store_first(out + i, (load_first(x + i, lanes) - mean) * scale, lanes);
    });
    return scale;
}

// y = gain * x + bias; y may be x or bias.
template <class R> GW_INLINE void affine(const R *x, const R *gain, const R *bias, R *y, gw_int n) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        store_first(
            y + i,
            fma(load_first(x + i, lanes), load_first(gain + i, lanes), load_first(bias + i, lanes)),
            lanes);
    });
}

// Backward of gain * norm(x) + bias: dx = scale * (d - mean(d) - y * mean(d * y)) for y =
// norm(x), d = gain * dy; dx may be y or dy. d_gain += dy * y, d_bias += dy; d_bias may be NULL.
template <class R>
static void normalize_backward(const R *dy, const R *gain, const R *y, R scale, R *dx, gw_int n,
                               R *d_gain, R *d_bias) {
    const R mean = sum_of<R>(n, [=](gw_int i, gw_int lanes) {
        return load_first(dy + i, lanes) * load_first(gain + i, lanes);
    }) / R(n);
    const R along = sum_of<R>(n, [=](gw_int i, gw_int lanes) {
        return load_first(dy + i, lanes) * load_first(gain + i, lanes) * load_first(y + i, lanes);
    }) / R(n);
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(dy + i, lanes), v = load_first(y + i, lanes);
        store_first(d_gain + i, fma(d, v, load_first(d_gain + i, lanes)), lanes);
        if (d_bias) store_first(d_bias + i, load_first(d_bias + i, lanes) + d, lanes);
        store_first(dx + i, scale * (d * load_first(gain + i, lanes) - mean - v * along), lanes);
    });
}

// ---- a row of sums, normalised in one span or two: [0, first) and [first, n)

template <class R> GW_INLINE void normalize_spans(R *x, gw_int first, gw_int n, R *scales) {
    scales[0] = normalize(x, x, first);
    if (first < n) scales[1] = normalize(x + first, x + first, n - first);
}

// y holds norm(x) and becomes dx.
template <class R>
GW_INLINE void normalize_spans_backward(const R *dy, const R *gain, R *y, gw_int first, gw_int n,
                                        const R *scales, R *d_gain, R *d_bias) {
    normalize_backward(dy, gain, y, scales[0], y, first, d_gain, d_bias);
    if (first < n)
        normalize_backward(dy + first, gain + first, y + first, scales[1], y + first, n - first,
                           d_gain + first, d_bias + first);
}

} // namespace GW_ISA
