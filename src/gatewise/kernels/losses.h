// Losses: the value of n rows and the gradient of their sum, in one pass.
//
// A row's value is a mean, or a sum, over its columns; it counts `weights[row]` times (NULL: once),
// and a row of weight 0 is not looked at. The gradient is that of `scale` times the weighted sum,
// and NULL if it is not wanted. Values add up in double in the order of the rows.
#pragma once
#include "arrays.h"
#include <cmath>

namespace GW_ISA {

// Whether the row counts in nothing; its gradient is then zero.
template <class R> GW_INLINE bool left_out(const double *weights, gw_int row, gw_int columns,
                                           R *gradient) {
    if (!weights || weights[row] != 0) return false;
    if (gradient) fill_with(gradient + row * columns, columns, R(0));
    return true;
}

// Losses that are a mean over columns of f(y, p), with slope(y, p). Rows without weights are one
// long row; float sums are cut after SHORT_SUM elements.
template <class R, class F, class Slope>
GW_INLINE double elementwise_loss(const R *y, const R *p, const double *weights, double scale,
                                  gw_int n, gw_int columns, R *gradient, F f, Slope slope) {
    const gw_int rows = weights ? n : 1, length = weights ? columns : n * columns;
    double total = 0;
    for (gw_int row = 0; row < rows; row++) {
        if (left_out(weights, row, columns, gradient)) continue;
        const double w = (weights ? weights[row] : 1.0) / (double)columns;
        const R g = (R)(w * scale);
        double sum = 0;
        for (gw_int first = 0; first < length; first += SHORT_SUM) {
            const gw_int at = row * length + first;
            Vec<R> part = {};
            for_each_vector<R>(length - first < SHORT_SUM ? length - first : SHORT_SUM,
                               [&](gw_int j, gw_int lanes) {
                const Vec<R> a = load_first(y + at + j, lanes), b = load_first(p + at + j, lanes),
                             value = f(a, b);
                if (lanes == LANES<R>) part += value;
                else
                    for (gw_int l = 0; l < lanes; l++) sum += value[l];
                if (gradient) store_first(gradient + at + j, slope(a, b) * g, lanes);
            });
            sum += sum_of_lanes<R>(part);
        }
        total += w * sum;
    }
    return total;
}

// (p - y)^2
template <class R>
static double squared_error(const R *y, const R *p, const double *weights, double scale, gw_int n,
                            gw_int columns, R *gradient) {
    const auto value = [](Vec<R> a, Vec<R> b) { return (b - a) * (b - a); };
    const auto slope = [](Vec<R> a, Vec<R> b) { return (b - a) + (b - a); };
    return elementwise_loss(y, p, weights, scale, n, columns, gradient, value, slope);
}

// |p - y|; its slope at 0 is 0
template <class R>
static double absolute_error(const R *y, const R *p, const double *weights, double scale, gw_int n,
                             gw_int columns, R *gradient) {
    const auto value = [](Vec<R> a, Vec<R> b) { return absolute<R>(b - a); };
    // NaN stays NaN.
    const auto slope = [](Vec<R> a, Vec<R> b) {
        return b > a ? splat(R(1)) : b < a ? splat(R(-1)) : b - a;
    };
    return elementwise_loss(y, p, weights, scale, n, columns, gradient, value, slope);
}

// e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2), with e = p - y (Huber 1964)
template <class R>
static double huber(const R *y, const R *p, const double *weights, double scale, gw_int n,
                    gw_int columns, R *gradient, double delta) {
    const R d = (R)delta;
    const auto value = [=](Vec<R> a, Vec<R> b) {
        const Vec<R> e = b - a, size = absolute<R>(e);
        return size <= d ? R(.5) * e * e : d * (size - R(.5) * d);
    };
    const auto slope = [=](Vec<R> a, Vec<R> b) {
        const Vec<R> e = b - a;
        return e > d ? splat(d) : e < -d ? splat(-d) : e;
    };
    return elementwise_loss(y, p, weights, scale, n, columns, gradient, value, slope);
}

// log cosh e, e = p - y: |e| + log(1 + exp(-2|e|)) - log 2, and near 0, where that would cancel,
// log(1 + q) with q = cosh e - 1 = m^2 / (2 (1 + m)), m = exp(-|e|) - 1
template <class R>
static double log_cosh(const R *y, const R *p, const double *weights, double scale, gw_int n,
                       gw_int columns, R *gradient) {
    const auto value = [](Vec<R> a, Vec<R> b) {
        const Vec<R> e = absolute<R>(b - a), near = e < R(1) ? e : Vec<R>{},
                     m = expm1_of_negative<R>(-near);
        const Vec<R> far = softplus<R>(e * R(-2)) + (e - R(0.69314718055994530942));
        return e < R(1) ? log1p_of_unit<R>(m * m / (R(2) + m + m)) : far;
    };
    const auto slope = [](Vec<R> a, Vec<R> b) { return hyperbolic_tangent<R>(b - a); };
    return elementwise_loss(y, p, weights, scale, n, columns, gradient, value, slope);
}

// 100 |p - y| / max(|y|, 1e-7)
template <class R>
static double percentage_error(const R *y, const R *p, const double *weights, double scale,
                               gw_int n, gw_int columns, R *gradient) {
    const auto size = [](Vec<R> a) {
        a = absolute<R>(a);
        return a < R(1e-7) ? splat(R(1e-7)) : a;
    };
    const auto value = [=](Vec<R> a, Vec<R> b) { return R(100) * (absolute<R>(b - a) / size(a)); };
    const auto slope = [=](Vec<R> a, Vec<R> b) {
        const Vec<R> s = R(100) / size(a);
        return b > a ? s : b < a ? -s : b - a;
    };
    return elementwise_loss(y, p, weights, scale, n, columns, gradient, value, slope);
}

// max(1 - y p, 0)
template <class R>
static double hinge(const R *y, const R *p, const double *weights, double scale, gw_int n,
                    gw_int columns, R *gradient) {
    const auto value = [](Vec<R> a, Vec<R> b) {
        const Vec<R> d = R(1) - a * b;
        return d < R(0) ? Vec<R>{} : d;
    };
    // NaN stays NaN.
    const auto slope = [](Vec<R> a, Vec<R> b) {
        const Vec<R> d = R(1) - a * b;
        return d > R(0) ? -a : d <= R(0) ? Vec<R>{} : d;
    };
    return elementwise_loss(y, p, weights, scale, n, columns, gradient, value, slope);
}

// max(1 - y p, 0)^2
template <class R>
static double squared_hinge(const R *y, const R *p, const double *weights, double scale, gw_int n,
                            gw_int columns, R *gradient) {
    const auto value = [](Vec<R> a, Vec<R> b) {
        const Vec<R> d = R(1) - a * b;
        return d < R(0) ? Vec<R>{} : d * d;
    };
    const auto slope = [](Vec<R> a, Vec<R> b) {
        const Vec<R> d = R(1) - a * b;
        return d < R(0) ? Vec<R>{} : R(-2) * a * d;
    };
    return elementwise_loss(y, p, weights, scale, n, columns, gradient, value, slope);
}

// -y log s - (1 - y) log(1 - s) with s = sigmoid(z), from z: log(1 + exp(z)) - y z. It is
// max(z, 0) - y z + log(1 + exp(-|z|)), so that nothing is lost if y is 1 and z large.
template <class R>
static double binary_crossentropy(const R *y, const R *z, const double *weights, double scale,
                                  gw_int n, gw_int columns, R *gradient) {
    const auto value = [](Vec<R> a, Vec<R> b) {
        return ((b < R(0) ? Vec<R>{} : b) - a * b) + softplus<R>(-absolute<R>(b));
    };
    const auto slope = [](Vec<R> a, Vec<R> b) { return sigmoid<R>(b) - a; };
    return elementwise_loss(y, z, weights, scale, n, columns, gradient, value, slope);
}

// -sum y log softmax(z), from z: sum(y) (log sum exp(z)) - y . z. The gradient is
// sum(y) softmax(z) - y.
template <class R>
static double categorical_crossentropy(const R *y, const R *z, const double *weights, double scale,
                                       gw_int n, gw_int columns, R *gradient) {
    double total = 0;
    for (gw_int r = 0; r < n; r++, y += columns, z += columns) {
        if (left_out(weights, r, columns, gradient)) continue;
        const double w = weights ? weights[r] : 1.0;
        const R top = largest(z, columns);
        double mass = 0, dot = 0;
        for (gw_int j = 0; j < columns; j++)
            mass += y[j], dot += (double)y[j] * (double)(z[j] - top);
        const double sum = exponentials(z, top, columns, gradient ? gradient + r * columns : NULL);
        total += w * (mass * std::log(sum) - dot);
        if (!gradient) continue;
        const R share = (R)(w * scale * mass / sum), g = (R)(w * scale);
        R *slopes = gradient + r * columns;
        for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) {
            store_first(slopes + j,
                        load_first(slopes + j, lanes) * share - load_first(y + j, lanes) * g,
                        lanes);
        });
    }
    return total;
}

// -log softmax(z)[c], c the class of the row. With smoothing, that share of the target is spread
// evenly over all classes: log sum exp(z) - (1 - smoothing) z[c] - smoothing mean(z) (Szegedy et
// al. 2016).
template <class R>
static double sparse_crossentropy(const gw_int *classes, const R *z, const double *weights,
                                  double scale, gw_int n, gw_int columns, R *gradient,
                                  double smoothing) {
    double total = 0;
    const double even = smoothing / (double)columns;
    for (gw_int r = 0; r < n; r++, z += columns) {
        if (left_out(weights, r, columns, gradient)) continue;
        const double w = weights ? weights[r] : 1.0;
        const R top = largest(z, columns);
        R *slopes = gradient ? gradient + r * columns : NULL;
        const double sum = exponentials(z, top, columns, slopes);
        double dot = (1 - smoothing) * (double)(z[classes[r]] - top);
        if (smoothing != 0)
            for (gw_int j = 0; j < columns; j++) dot += even * (double)(z[j] - top);
        total += w * (std::log(sum) - dot);
        if (!gradient) continue;
        const R share = (R)(w * scale / sum), less = (R)(w * scale * even);
        for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) {
            store_first(slopes + j, load_first(slopes + j, lanes) * share - less, lanes);
        });
        slopes[classes[r]] -= (R)(w * scale * (1 - smoothing));
    }
    return total;
}

} // namespace GW_ISA
