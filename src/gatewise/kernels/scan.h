// Cells whose gates see x alone (Feng et al. 2024, "Were RNNs All We Needed?"): minGRU and minLSTM.
//
//     F1  minGRU   z = sigm(x W_z + b_z),                       a = 1 - z
//         minLSTM  f, i = sigm(x W + b),                        a = f / (f + i)
//     F2  n = act(x W_n + b_n)
//     F3  h = a * h' + (1 - a) * n
//     B1  dH = dh + dy;  dn = dH * (1 - a) * act'(n);  da = dH * (h' - n) * a * (1 - a);
//         dh' = dH * a
//     B2  minGRU   dz = -da
//         minLSTM  df = da * (1 - f),  di = -da * (1 - i)
//
// a of minLSTM is sigm(log f - log i), which is accurate even if both gates are close to 0; da is
// the gradient before that sigmoid. x W of all steps is one product (dense.pyx), F1, F2 and B2 are
// for any step alone; only F3 and B1 go through time.
#pragma once
#include "arrays.h"
#include "tile.h"

namespace GW_ISA {

// F1 and F2 of n steps: g (n, width) holds x W + b, blocks z n or f i n; n in place, a (n, units).
template <class R> static void scan_gates(const gw_activation<R> *act, int lstm, R *g, R *a,
                                          gw_int n, gw_int units) {
    const gw_int width = (lstm ? 3 : 2) * units;
    for (gw_int r = 0; r < n; r++, g += width, a += units) {
        for_each_vector<R>(units, [=](gw_int u, gw_int lanes) {
            const Vec<R> z = load_first(g + u, lanes);
            const Vec<R> x =
                lstm ? softplus<R>(-load_first(g + units + u, lanes)) - softplus<R>(-z) : -z;
            store_first(a + u, sigmoid<R>(x), lanes);
        });
        R *candidate = g + width - units;
        activate(act, candidate, candidate, units);
    }
}

// B2 of n steps: a holds da.
template <class R> static void scan_gates_backward(int lstm, R *g, const R *a, gw_int n,
                                                   gw_int units) {
    const gw_int width = (lstm ? 3 : 2) * units;
    for (gw_int r = 0; r < n; r++, g += width, a += units)
        for_each_vector<R>(units, [=](gw_int u, gw_int lanes) {
            const Vec<R> d = load_first(a + u, lanes);
            if (lstm) {
                R *i = g + units + u;
                store_first(g + u, d * sigmoid<R>(-load_first(g + u, lanes)), lanes);
                store_first(i, -d * sigmoid<R>(-load_first(i, lanes)), lanes);
            } else {
                store_first(g + u, -d, lanes);
            }
        });
}

// F3 of one row, units [first, last), at most SCAN_UNITS of them.
constexpr gw_int SCAN_UNITS = 64;

template <class R> static void scan_forward(const gw_scan<R> *s, gw_int first, gw_int last) {
    Vec<R> h[SCAN_UNITS / LANES<R>];
    for (gw_int u = first, v = 0; u < last; u += LANES<R>, v++)
        h[v] = s->h0 ? load_first(s->h0 + u, lanes_left<R>(last, u)) : Vec<R>{};
    for (gw_int t = 0; t < s->length; t++) {
        const R *n = s->n + t * s->width, *a = s->a + t * s->units;
        const bool reset = s->resets && s->resets[t];
        for (gw_int u = first, v = 0; u < last; u += LANES<R>, v++) {
            const gw_int lanes = lanes_left<R>(last, u);
            const Vec<R> at = load_first(a + u, lanes),
                         fresh = (R(1) - at) * load_first(n + u, lanes);
            h[v] = reset ? fresh : fma(at, h[v], fresh);
            if (s->h) store_first(s->h + t * s->units + u, h[v], lanes);
            if (s->y) store_first(s->y + t * s->units + u, h[v], lanes);
        }
    }
    for (gw_int u = first, v = 0; u < last; u += LANES<R>, v++) {
        const gw_int lanes = lanes_left<R>(last, u);
        store_first(s->final_h + u, h[v], lanes);
        for (gw_int t = s->length; s->y && t < s->steps; t++)
            store_first(s->y + t * s->units + u, Vec<R>{}, lanes);
    }
}

// B1 of the same: n becomes dn, a becomes da; dh from that of the last state to that of the first.
template <class R> static void scan_backward(const gw_scan<R> *s, gw_int first, gw_int last) {
    for (gw_int u = first; u < last; u += LANES<R>) {
        const gw_int lanes = lanes_left<R>(last, u);
        Vec<R> d = load_first(s->dh + u, lanes);
        for (gw_int t = s->steps - 1; t >= 0; t--) {
            R *n = s->n + t * s->width + u, *a = s->a + t * s->units + u;
            if (t >= s->length) {
                store_first(n, Vec<R>{}, lanes), store_first(a, Vec<R>{}, lanes);
                continue;
            }
            const bool reset = s->resets && s->resets[t];
            const Vec<R> at = load_first(a, lanes), candidate = load_first(n, lanes);
            Vec<R> before = {};
            if (!reset && t > 0) before = load_first(s->h + (t - 1) * s->units + u, lanes);
            else if (!reset && s->h0) before = load_first(s->h0 + u, lanes);
            if (s->dy) d += load_first(s->dy + t * s->units + u, lanes);
            const Vec<R> fresh = d * (R(1) - at);
            store_first(n, fresh * slope(candidate, s->act), lanes);
            store_first(a, fresh * at * (before - candidate), lanes);
            d = reset ? Vec<R>{} : d * at;
        }
        store_first(s->dh + u, d, lanes);
    }
}

} // namespace GW_ISA
