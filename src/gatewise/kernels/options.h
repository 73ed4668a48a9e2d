// Options that every cell takes: clipped sums, and zoneout. A cell function that takes them is a
// template over HAS_OPTIONS; without HAS_OPTIONS nothing of this file is in it.
#pragma once
#include "transposed.h"

namespace GW_ISA {

// ---- clip: sums within [-limit, limit] before their activation; a NaN stays one

template <class R> GW_INLINE Vec<R> clipped(Vec<R> x, R limit) {
    x = x < -limit ? splat(R(-limit)) : x;
    return x > limit ? splat(limit) : x;
}

template <class R> static void clip_slot(R *buf, gw_int m, int slots, int slot, R limit) {
    for (gw_int r = 0; r < m; r++) {
        R *p = buf + (r * slots + slot) * LANES<R>;
        store(p, clipped<R>(load(p), limit));
    }
}

// One vector through an activation.
template <class R> GW_INLINE Vec<R> activated(Vec<R> x, const gw_activation<R> &f) {
    alignas(64) R one[LANES<R>];
    store(one, x);
    activate_slot(one, 1, 1, 0, f);
    return load(one);
}

// Slot `slot` of a tile, clipped if the cell clips, through an activation.
template <class R, bool HAS_OPTIONS>
GW_INLINE void finish_slot(const gw_cell<R> *cell, R *buf, gw_int m, int slots, int slot,
                           const gw_activation<R> &f) {
    if (HAS_OPTIONS && cell->clip > 0) clip_slot(buf, m, slots, slot, cell->clip);
    activate_slot(buf, m, slots, slot, f);
}

// dy/dx by the output. What came out as act(+-clip) was clipped, or within a rounding of it: no
// gradient passes.
template <class R, bool HAS_OPTIONS>
GW_INLINE Vec<R> slope_within(const gw_cell<R> *cell, Vec<R> y, const gw_activation<R> &f,
                              const R (&ends)[2]) {
    Vec<R> s = slope(y, f);
    if (HAS_OPTIONS && cell->clip > 0) s = (y == ends[0]) | (y == ends[1]) ? Vec<R>{} : s;
    return s;
}

// ---- zoneout (Krueger et al. 2017): a unit keeps its old value, by a draw for each unit and step
//
// A draw is a hash of key, step and unit (two rounds of lowbias32, Wellons 2018): the backward pass
// draws the same again, so nothing is kept, and the draws of a row do not depend on threads or
// instruction set. Numbers in a lane are 32 bits wide, in float64 too.

GW_INLINE uint32_t hashed(uint32_t x) {
    x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15, x *= 0x846ca68bu;
    return x ^ x >> 16;
}

template <class R> struct Unsigned;
template <> struct Unsigned<float> {
    typedef uint32_t U __attribute__((vector_size(GW_VECTOR_BYTES)));
};
template <> struct Unsigned<double> {
    typedef uint64_t U __attribute__((vector_size(GW_VECTOR_BYTES)));
};

// 1 where unit u + lane keeps its value at step `at`, else 0.
template <class R> GW_INLINE Vec<R> zoneout_draw(uint32_t key, gw_int at, gw_int u, R rate) {
    typedef typename Unsigned<R>::U U;
    const uint32_t low = hashed((uint32_t)at ^ key),
                   base = hashed(low + (uint32_t)((uint64_t)at >> 32)) + (uint32_t)u;
    U x;
    for (gw_int l = 0; l < LANES<R>; l++) x[l] = (uint32_t)(base + (uint32_t)l);
    const U word = U{} + 0xffffffffu;
    x ^= x >> 16, x = (x * 0x7feb352du) & word, x ^= x >> 15, x = (x * 0x846ca68bu) & word,
                  x ^= x >> 16;
    const VecInt<R> draw = (VecInt<R>)(x >> 8),
                    limit = VecInt<R>{} + (decltype(VecInt<R>{}[0]))(rate * R(16777216));
    return draw < limit ? splat(R(1)) : Vec<R>{};
}

// How much of the old value stays: 0 or 1 in training, the rate at inference.
template <class R> GW_INLINE Vec<R> kept(const gw_cell<R> *cell, R rate, uint32_t key, gw_int at,
                                         gw_int u) {
    return cell->zoneout_drawn ? zoneout_draw<R>(key, at, u, rate) : splat(rate);
}
template <class R> GW_INLINE Vec<R> kept_of_h(const gw_cell<R> *cell, const gw_row<R> &row,
                                              gw_int u) {
    return kept(cell, cell->zoneout_h, cell->zoneout_key, row.at, u);
}
template <class R> GW_INLINE Vec<R> kept_of_c(const gw_cell<R> *cell, const gw_row<R> &row,
                                              gw_int u) {
    return kept(cell, cell->zoneout_c, cell->zoneout_key ^ GW_KEY_OF_C, row.at, u);
}
template <class R> GW_INLINE Vec<R> mixed(Vec<R> kept, Vec<R> before, Vec<R> after) {
    return fma(kept, before, (R(1) - kept) * after);
}

template <class R> static void zoneout_mask(unsigned key, gw_int at, R rate, gw_int n, R *out) {
    for (gw_int u = 0; u < n; u += LANES<R>)
        store_first(out + u, zoneout_draw<R>(key, at, u, rate), lanes_left<R>(n, u));
}

// write_state of h, or of what zoneout makes of it.
template <class R, bool HAS_OPTIONS>
GW_INLINE void write_new_state(const gw_cell<R> *cell, const gw_row<R> &row, gw_int u, Vec<R> h,
                               gw_int lanes) {
    if (HAS_OPTIONS && cell->zoneout_h > 0)
        h = mixed<R>(kept_of_h(cell, row, u), load_first(row.h0 + u, lanes), h);
    write_state(row, u, h, lanes);
}

// From the gradient of h that of the h that the cell made; row.dh becomes the part that goes
// straight to h'.
template <class R, bool HAS_OPTIONS>
GW_INLINE Vec<R> keep_straight_part(const gw_cell<R> *cell, const gw_row<R> &row, gw_int u,
                                    Vec<R> dh, gw_int lanes) {
    Vec<R> straight = {};
    if (HAS_OPTIONS && cell->zoneout_h > 0) {
        const Vec<R> k = kept_of_h(cell, row, u);
        straight = k * dh, dh = (R(1) - k) * dh;
    }
    store_first(row.dh + u, straight, lanes);
    return dh;
}
template <class R, bool HAS_OPTIONS> GW_INLINE Vec<R> take_gradient_of_h(const gw_cell<R> *cell,
                                                                         const gw_row<R> &row,
                                                                         gw_int u, gw_int lanes) {
    return keep_straight_part<R, HAS_OPTIONS>(cell, row, u, gradient_of_h(row, u, lanes), lanes);
}

} // namespace GW_ISA
