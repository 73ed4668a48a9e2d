// One optimizer step over a piece of the flat parameter buffer. Formulas are Keras's.
#pragma once
#include "arrays.h"

namespace GW_ISA {

// Vector square root: no builtin takes a vector type on every compiler, and the loop vectorises.
GW_INLINE vf square_root(vf v) { for (gw_int l = 0; l < LANES<float>; l++) v[l] = __builtin_sqrtf(v[l]); return v; }
GW_INLINE vd square_root(vd v) { for (gw_int l = 0; l < LANES<double>; l++) v[l] = __builtin_sqrt(v[l]); return v; }

// v = momentum v - lr g;  p += v, or with Nesterov p += momentum v - lr g. No v without momentum.
template <class R> static void sgd(R *p, const R *g, R *v, gw_int n, R lr, R momentum, int nesterov) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        Vec<R> step = load_first(g + i, lanes) * -lr;
        if (v) {
            Vec<R> u = fma(load_first(v + i, lanes), splat(momentum), step);
            store_first(v + i, u, lanes);
            step = nesterov ? fma(u, splat(momentum), step) : u;
        }
        store_first(p + i, load_first(p + i, lanes) + step, lanes);
    });
}

// v = rho v + (1-rho) g^2;  centered: g_mean = rho g_mean + (1-rho) g, and v - g_mean^2 instead of v;
// step = lr g / sqrt(v + eps);  with momentum m = momentum m + step, p -= m.
template <class R>
static void rmsprop(R *p, const R *g, R *v, R *g_mean, R *m, gw_int n, R lr, R rho, R momentum, R eps) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        Vec<R> d = load_first(g + i, lanes), rest = splat(R(1) - rho);
        Vec<R> s = fma(load_first(v + i, lanes), splat(rho), rest * d * d);
        store_first(v + i, s, lanes);
        if (g_mean) {
            Vec<R> mean = fma(load_first(g_mean + i, lanes), splat(rho), rest * d);
            store_first(g_mean + i, mean, lanes);
            s = fma(-mean, mean, s);
        }
        Vec<R> step = d * lr / square_root(s + eps);
        if (m) {
            step = fma(load_first(m + i, lanes), splat(momentum), step);
            store_first(m + i, step, lanes);
        }
        store_first(p + i, load_first(p + i, lanes) - step, lanes);
    });
}

// p -= decay p;  m += (1-beta1)(g - m);  v += (1-beta2)(g^2 - v);  p -= lr m / (sqrt(v) + eps).
// lr carries both bias corrections, decay carries its learning rate.
template <class R> static void adam(R *p, const R *g, R *m, R *v, gw_int n, R lr, R beta1, R beta2, R eps, R decay) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        Vec<R> d = load_first(g + i, lanes), a = load_first(m + i, lanes), b = load_first(v + i, lanes);
        a = fma(d - a, splat(R(1) - beta1), a);
        b = fma(d * d - b, splat(R(1) - beta2), b);
        store_first(m + i, a, lanes);
        store_first(v + i, b, lanes);
        Vec<R> w = load_first(p + i, lanes);
        w = fma(w, splat(-decay), w);
        store_first(p + i, w - a * lr / (square_root(b) + eps), lanes);
    });
}

} // namespace GW_ISA
