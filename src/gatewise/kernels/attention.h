// Additive attention: scores s[j] = sum over f of weight[f] tanh(scale (query[f] + key[j][f])).
//
// Forward, a vector holds the same feature of several keys, so each score is one chain of fma over
// f, and no lane is summed with another. The backward pass computes tanh again instead of reading
// it from memory; there a vector holds several features of one key.
#pragma once
#include "tile.h"

namespace GW_ISA {

// The scores of V vectors of keys; keys: one panel of `features` rows (tile.h).
template <class R, int V>
static void additive_panel(const R *query, const R *keys, gw_int features, const R *weight, R scale,
                           gw_int count, R *scores) {
    const gw_int L = LANES<R>;
    Vec<R> sums[V] = {};
    for (gw_int f = 0; f < features; f++, keys += V * L)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            const Vec<R> z = (load(keys + v * L) + query[f]) * scale;
            sums[v] = fma(hyperbolic_tangent<R>(z), splat(weight[f]), sums[v]);
        }
    for (int v = 0; v < V; v++)
        store_first(scores + v * L, sums[v], lanes_left<R>(count, v * L));
}

// scores (count,) of one query (features,); keys (count, features) packed by pack_transposed.
template <class R>
static void additive_scores(const R *query, const R *keys, gw_int count, gw_int features,
                            const R *weight, R scale, R *scores) {
    for (gw_int j = 0; j < count; j += panel_columns<R>()) {
        const R *panel = keys + j * features;
        switch (panel_vectors<R>(count, j)) {
        case 1:
            additive_panel<R, 1>(query, panel, features, weight, scale, count - j, scores + j);
            break;
        case 2:
            additive_panel<R, 2>(query, panel, features, weight, scale, count - j, scores + j);
            break;
        case 3:
            additive_panel<R, 3>(query, panel, features, weight, scale, count - j, scores + j);
            break;
        case 4:
            additive_panel<R, 4>(query, panel, features, weight, scale, count - j, scores + j);
            break;
        }
    }
}

// From d_scores (count,) of one query: d_query (features,) is written; d_keys (count, features) and
// d_weight (features,) are added to. Returns the gradient of scale. keys (count, features).
template <class R>
static double additive_backward(const R *query, const R *keys, gw_int count, gw_int features,
                                const R *weight, R scale, const R *d_scores, R *d_query, R *d_keys,
                                R *d_weight) {
    double d_scale = 0;
    for (gw_int f = 0; f < features; f += LANES<R>) {
        const gw_int lanes = lanes_left<R>(features, f);
        const Vec<R> q = load_first(query + f, lanes), w = load_first(weight + f, lanes);
        Vec<R> dq = {}, dw = load_first(d_weight + f, lanes), ds = {};
        for (gw_int j = 0; j < count; j++) {
            R *to = d_keys + j * features + f;
            const Vec<R> sum = load_first(keys + j * features + f, lanes) + q,
                         t = hyperbolic_tangent<R>(sum * scale), d = splat(d_scores[j]);
            const Vec<R> dz = d * w * fma(-t, t, splat(R(1)));
            dw = fma(t, d, dw);
            ds = fma(dz, sum, ds);
            const Vec<R> dk = dz * scale;
            dq += dk;
            store_first(to, load_first(to, lanes) + dk, lanes);
        }
        store_first(d_query + f, dq, lanes);
        store_first(d_weight + f, dw, lanes);
        for (gw_int l = 0; l < lanes; l++) d_scale += ds[l];
    }
    return d_scale;
}

} // namespace GW_ISA
