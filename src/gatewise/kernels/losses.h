// Losses: the value of n rows and the gradient of their sum, in one pass.
//
// A row's value is a mean, or a sum, over its columns; it counts `weights[row]` times (NULL: once). The
// gradient is that of `scale` times the weighted sum, and NULL where nobody wants it. Values add up in
// double in the order of the rows.
#pragma once
#include "arrays.h"
#include <cmath>

namespace GW_ISA {

// Losses that are a mean over columns of f(y, p), with slope(y, p). Rows without weights are one long row;
// float sums are cut after SHORT_SUM elements.
template <class R, class F, class Slope>
GW_INLINE double elementwise_loss(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns,
                                  R *gradient, F f, Slope slope) {
    const gw_int rows = weights ? n : 1, length = weights ? columns : n * columns;
    double total = 0;
    for (gw_int row = 0; row < rows; row++) {
        const double w = (weights ? weights[row] : 1.0) / (double)columns;
        const R g = (R)(w * scale);
        double sum = 0;
        for (gw_int first = 0; first < length; first += SHORT_SUM) {
            const gw_int at = row * length + first;
            Vec<R> part = {};
            for_each_vector<R>(length - first < SHORT_SUM ? length - first : SHORT_SUM, [&](gw_int j, gw_int lanes) {
                const Vec<R> a = load_first(y + at + j, lanes), b = load_first(p + at + j, lanes), value = f(a, b);
                if (lanes == LANES<R>) part += value;
                else for (gw_int l = 0; l < lanes; l++) sum += value[l];
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
static double squared_error(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient) {
    return elementwise_loss(y, p, weights, scale, n, columns, gradient,
        [](Vec<R> a, Vec<R> b) { return (b - a) * (b - a); }, [](Vec<R> a, Vec<R> b) { return (b - a) + (b - a); });
}

// |p - y|; its slope at 0 is 0
template <class R>
static double absolute_error(const R *y, const R *p, const double *weights, double scale, gw_int n, gw_int columns, R *gradient) {
    return elementwise_loss(y, p, weights, scale, n, columns, gradient,
        [](Vec<R> a, Vec<R> b) { return absolute<R>(b - a); },
        [](Vec<R> a, Vec<R> b) { return b > a ? splat(R(1)) : b < a ? splat(R(-1)) : b - a; }); // NaN stays NaN
}

// -y log s - (1 - y) log(1 - s) with s = sigmoid(z), from z: log(1 + exp(z)) - y z. The logarithm is taken
// apart, so that nothing is lost where y is 1 and z large.
template <class R>
static double binary_crossentropy(const R *y, const R *z, const double *weights, double scale, gw_int n, gw_int columns,
                                  R *gradient) {
    return elementwise_loss(y, z, weights, scale, n, columns, gradient,
        [](Vec<R> a, Vec<R> b) { return ((b < R(0) ? Vec<R>{} : b) - a * b) + softplus<R>(-absolute<R>(b)); }, [](Vec<R> a, Vec<R> b) { return sigmoid<R>(b) - a; });
}

// -sum y log softmax(z), from z: sum(y) (log sum exp(z)) - y . z. The gradient is sum(y) softmax(z) - y.
template <class R>
static double categorical_crossentropy(const R *y, const R *z, const double *weights, double scale, gw_int n, gw_int columns,
                                       R *gradient) {
    double total = 0;
    for (gw_int r = 0; r < n; r++, y += columns, z += columns) {
        const double w = weights ? weights[r] : 1.0;
        const R top = largest(z, columns);
        double mass = 0, dot = 0;
        for (gw_int j = 0; j < columns; j++) mass += y[j], dot += (double)y[j] * (double)(z[j] - top);
        const double sum = exponentials(z, top, columns, gradient);
        total += w * (mass * std::log(sum) - dot);
        if (!gradient) continue;
        const R share = (R)(w * scale * mass / sum), g = (R)(w * scale);
        for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) {
            store_first(gradient + j, load_first(gradient + j, lanes) * share - load_first(y + j, lanes) * g, lanes);
        });
        gradient += columns;
    }
    return total;
}

// -log softmax(z)[c], c the class of the row.
template <class R>
static double sparse_crossentropy(const gw_int *classes, const R *z, const double *weights, double scale, gw_int n,
                                  gw_int columns, R *gradient) {
    double total = 0;
    for (gw_int r = 0; r < n; r++, z += columns) {
        const double w = weights ? weights[r] : 1.0;
        const R top = largest(z, columns);
        const double sum = exponentials(z, top, columns, gradient);
        total += w * (std::log(sum) - (double)(z[classes[r]] - top));
        if (!gradient) continue;
        const R share = (R)(w * scale / sum);
        for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) { store_first(gradient + j, load_first(gradient + j, lanes) * share, lanes); });
        gradient[classes[r]] -= (R)(w * scale);
        gradient += columns;
    }
    return total;
}

} // namespace GW_ISA
