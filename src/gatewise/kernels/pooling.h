// The maximum or the mean of windows of an image, and of each feature. Padding is in no window. If
// several numbers of a window are its maximum, the gradient goes to the first of them.
#pragma once
#include "tile.h"

namespace GW_ISA {

// One window of a position: rows [top, bottom) and columns [left, right) of the image.
struct Window {
    gw_int top, bottom, left, right;
    Window(const gw_pooling *g, gw_int row, gw_int column) {
        top = row * g->strides[0] - g->front[0], left = column * g->strides[1] - g->front[1];
        bottom = top + g->window[0], right = left + g->window[1];
        top = top < 0 ? 0 : top, left = left < 0 ? 0 : left;
        bottom = bottom < g->size[0] ? bottom : g->size[0];
        right = right < g->size[1] ? right : g->size[1];
    }
    gw_int count() const { return (bottom - top) * (right - left); }
    // f(offset of a position's first feature, its number in the window)
    template <class F>
    inline __attribute__((always_inline)) void each(const gw_pooling *g, F f) const {
        gw_int k = 0;
        for (gw_int r = top; r < bottom; r++)
            for (gw_int c = left; c < right; c++, k++) f((r * g->size[1] + c) * g->features, k);
    }
};

// Lanes of v that replace those of m as the maximum: a NaN stays.
template <class R> GW_INLINE VecInt<R> exceeds(Vec<R> v, Vec<R> m) {
    return (v > m) | ((v != v) & (m == m));
}

template <class R> GW_INLINE Vec<R> pooled(const gw_pooling *g, const Window &w, const R *x,
                                           gw_int lanes) {
    if (g->maximum) {
        Vec<R> m = load_first(x + (w.top * g->size[1] + w.left) * g->features, lanes);
        w.each(g, [&](gw_int at, gw_int) {
            const Vec<R> v = load_first(x + at, lanes);
            m = exceeds<R>(v, m) ? v : m;
        });
        return m;
    }
    Vec<R> sum = {};
    w.each(g, [&](gw_int at, gw_int) { sum += load_first(x + at, lanes); });
    return sum / (R)w.count();
}

// Rows [first, last) of positions of one image: y (rows, columns, features).
template <class R> static void pool(const gw_pooling *g, const R *x, gw_int first, gw_int last,
                                    R *y) {
    for (gw_int row = first; row < last; row++)
        for (gw_int column = 0; column < g->columns; column++, y += g->features) {
            const Window w(g, row, column);
            for (gw_int j = 0; j < g->features; j += LANES<R>) {
                const gw_int lanes = lanes_left<R>(g->features, j);
                store_first(y + j, pooled<R>(g, w, x + j, lanes), lanes);
            }
        }
}

// Of one image: dx += the gradient of its windows.
template <class R> static void pool_backward(const gw_pooling *g, const R *x, const R *dy,
                                             gw_int rows, R *dx) {
    for (gw_int row = 0; row < rows; row++)
        for (gw_int column = 0; column < g->columns; column++, dy += g->features) {
            const Window w(g, row, column);
            for (gw_int j = 0; j < g->features; j += LANES<R>) {
                const gw_int lanes = lanes_left<R>(g->features, j);
                Vec<R> d = load_first(dy + j, lanes);
                VecInt<R> chosen = {};
                if (g->maximum) {
                    Vec<R> m = load_first(x + j + (w.top * g->size[1] + w.left) * g->features,
                                          lanes);
                    w.each(g, [&](gw_int at, gw_int k) {
                        const Vec<R> v = load_first(x + j + at, lanes);
                        const VecInt<R> more = exceeds<R>(v, m);
                        m = more ? v : m;
                        chosen = more ? VecInt<R>{} + (decltype(chosen[0]))k : chosen;
                    });
                } else {
                    d = d / (R)w.count();
                }
                w.each(g, [&](gw_int at, gw_int k) {
                    Vec<R> part = d;
                    if (g->maximum)
                        part = chosen == VecInt<R>{} + (decltype(chosen[0]))k ? d : Vec<R>{};
                    store_first(dx + j + at, load_first(dx + j + at, lanes) + part, lanes);
                });
            }
        }
}

} // namespace GW_ISA
