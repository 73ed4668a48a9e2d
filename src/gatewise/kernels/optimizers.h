// One optimizer step over a piece of the flat parameter buffer. Formulas are Keras's.
#pragma once
#include "arrays.h"

namespace GW_ISA {

// Vector square root: no builtin takes a vector type on every compiler, and the loop vectorises.
GW_INLINE vf square_root(vf v) {
    for (gw_int l = 0; l < LANES<float>; l++) v[l] = __builtin_sqrtf(v[l]);
    return v;
}
GW_INLINE vd square_root(vd v) {
    for (gw_int l = 0; l < LANES<double>; l++) v[l] = __builtin_sqrt(v[l]);
    return v;
}

// Every step first takes decay p from p: weight decay times the learning rate (Loshchilov and
// Hutter 2019). rest is 1 - rate of the running mean x = rate x + rest new, worked out in double
// and rounded once.
template <class R> GW_INLINE Vec<R> decayed(const R *p, gw_int lanes, R decay) {
    const Vec<R> w = load_first(p, lanes);
    return fma(w, splat(-decay), w);
}
template <class R> GW_INLINE Vec<R> move_mean(R *mean, Vec<R> value, gw_int lanes, R rate, R rest) {
    const Vec<R> now = fma(load_first(mean, lanes), splat(rate), value * rest);
    store_first(mean, now, lanes);
    return now;
}
template <class R> GW_INLINE Vec<R> larger(Vec<R> a, Vec<R> b) {
    return a > b ? a : b;
} // NaN of b stays

// v = momentum v - lr g;  p += v, or with Nesterov p += momentum v - lr g. No v without momentum.
template <class R> static void sgd(R *p, const R *g, R *v, gw_int n, R lr, R momentum, int nesterov,
                                   R decay) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        Vec<R> step = load_first(g + i, lanes) * -lr;
        if (v) {
            Vec<R> u = fma(load_first(v + i, lanes), splat(momentum), step);
            store_first(v + i, u, lanes);
            step = nesterov ? fma(u, splat(momentum), step) : u;
        }
        store_first(p + i, decayed(p + i, lanes, decay) + step, lanes);
    });
}

// v = rho v + (1-rho) g^2;  centered: g_mean = rho g_mean + (1-rho) g, and v - g_mean^2 instead of
// v; step = lr g / sqrt(v + eps);  with momentum m = momentum m + step, p -= m.
template <class R>
static void rmsprop(R *p, const R *g, R *v, R *g_mean, R *m, gw_int n, R lr, R rho, R rest,
                    R momentum, R eps, R decay) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(g + i, lanes);
        Vec<R> s = move_mean(v + i, d * d, lanes, rho, rest);
        if (g_mean) {
            const Vec<R> mean = move_mean(g_mean + i, d, lanes, rho, rest);
            s = larger<R>(
                Vec<R>{},
                fma(-mean, mean,
                    s)); // a variance: rounding takes it below zero where g hardly changes
        }
        Vec<R> step = d * lr / square_root(s + eps);
        if (m) {
            step = fma(load_first(m + i, lanes), splat(momentum), step);
            store_first(m + i, step, lanes);
        }
        store_first(p + i, decayed(p + i, lanes, decay) - step, lanes);
    });
}

// m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2;  amsgrad: v_max = max(v_max, v) instead
// of v; p -= (lr m + lr_gradient g) / (sqrt(v) + eps). The rates carry the bias corrections;
// lr_gradient is 0, or Nadam's.
template <class R>
static void adam(R *p, const R *g, R *m, R *v, R *v_max, gw_int n, R lr, R lr_gradient, R beta1,
                 R rest1, R beta2, R rest2, R eps, R decay) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(g + i, lanes);
        const Vec<R> a = move_mean(m + i, d, lanes, beta1, rest1);
        Vec<R> b = move_mean(v + i, d * d, lanes, beta2, rest2);
        if (v_max) {
            b = larger<R>(load_first(v_max + i, lanes), b);
            store_first(v_max + i, b, lanes);
        }
        const Vec<R> step = fma(d, splat(lr_gradient), a * lr) / (square_root(b) + eps);
        store_first(p + i, decayed(p + i, lanes, decay) - step, lanes);
    });
}

// sum += g^2;  p -= lr g / sqrt(sum + eps).
template <class R> static void adagrad(R *p, const R *g, R *sum, gw_int n, R lr, R eps, R decay) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(g + i, lanes), s = fma(d, d, load_first(sum + i, lanes));
        store_first(sum + i, s, lanes);
        store_first(p + i, decayed(p + i, lanes, decay) - d * lr / square_root(s + eps), lanes);
    });
}

// p -= lr sign(beta1 m + (1-beta1) g);  m = beta2 m + (1-beta2) g. The sign of zero is zero, that
// of NaN is NaN.
template <class R> static void lion(R *p, const R *g, R *m, gw_int n, R lr, R beta1, R rest1,
                                    R beta2, R rest2, R decay) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(g + i, lanes), one = splat(R(1)), zero = {};
        const Vec<R> c = fma(load_first(m + i, lanes), splat(beta1), d * rest1);
        const Vec<R> sign = c > zero ? one : (c < zero ? -one : c);
        move_mean(m + i, d, lanes, beta2, rest2);
        store_first(p + i, fma(-sign, splat(lr), decayed(p + i, lanes, decay)), lanes);
    });
}

// sum += g;  or, with the last of `steps` gradients, g = (sum + g) / steps and sum = 0. steps 0:
// not the last.
template <class R> static void accumulate(R *sum, R *g, gw_int n, R steps) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> s = load_first(sum + i, lanes) + load_first(g + i, lanes);
        store_first(sum + i, steps > 0 ? Vec<R>{} : s, lanes);
        if (steps > 0) store_first(g + i, s / steps, lanes);
    });
}

// mean = momentum mean + rest p;  overwrite: p = mean. rest = 1 - momentum.
template <class R> static void average(R *p, R *mean, gw_int n, R momentum, R rest, int overwrite) {
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> a = move_mean(mean + i, load_first(p + i, lanes), lanes, momentum, rest);
        if (overwrite) store_first(p + i, a, lanes);
    });
}

} // namespace GW_ISA
