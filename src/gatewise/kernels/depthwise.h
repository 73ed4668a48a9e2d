// Convolution of each feature by itself, over the steps of one padded sequence:
//
//     y[t] = b + sum over k of x[t * stride + k * dilation] w[k]
#pragma once
#include "tile.h"

namespace GW_ISA {

// y (count, features); x (steps, features) with its padding; b may be NULL.
template <class R> static void depthwise(const gw_depthwise *g, const R *x, const R *w, const R *b,
                                         R *y) {
    for (gw_int t = 0; t < g->count; t++)
        for (gw_int j = 0; j < g->features; j += LANES<R>) {
            const gw_int lanes = lanes_left<R>(g->features, j);
            const R *from = x + t * g->stride * g->features + j;
            Vec<R> sum = b ? load_first(b + j, lanes) : Vec<R>{};
            for (gw_int k = 0; k < g->window; k++, from += g->dilation * g->features)
                sum = fma(load_first(from, lanes), load_first(w + k * g->features + j, lanes), sum);
            store_first(y + t * g->features + j, sum, lanes);
        }
}

// dw (window, features) += sum over t; dx (steps, features) += its part, or NULL.
template <class R> static void depthwise_backward(const gw_depthwise *g, const R *x, const R *w,
                                                  const R *dz, R *dw, R *dx) {
    for (gw_int k = 0; k < g->window; k++)
        for (gw_int j = 0; j < g->features; j += LANES<R>) {
            const gw_int lanes = lanes_left<R>(g->features, j);
            const Vec<R> weight = load_first(w + k * g->features + j, lanes);
            Vec<R> sum = {};
            for (gw_int t = 0; t < g->count; t++) {
                const gw_int at = (t * g->stride + k * g->dilation) * g->features + j;
                const Vec<R> d = load_first(dz + t * g->features + j, lanes);
                sum = fma(load_first(x + at, lanes), d, sum);
                if (dx) store_first(dx + at, fma(weight, d, load_first(dx + at, lanes)), lanes);
            }
            R *to = dw + k * g->features + j;
            store_first(to, load_first(to, lanes) + sum, lanes);
        }
}

} // namespace GW_ISA
