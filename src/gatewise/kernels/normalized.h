// LSTM with layer normalisation (Ba, Kiros and Hinton 2016). Gate order i f g o.
//
//     F1  u = h' U
//     F2  i, f, o = gate(s), g = act(s);  s = z + gain_h * norm(u),  z = gain_x * norm(x W) + b
//     F3  c = f * c' + i * g
//     F4  h = o * out(gain_c * norm(c) + b_c)
//     norm(v) = (v - mean(v)) / sqrt(variance(v) + epsilon), over all gates of a row, or all of its c
//     B1  through F4 to do and dc, through F3 to the other gates and dc'
//     B2  du = norm's way back of gain_h * dz
//     B3  dh' = du U^T
//
// z comes from normalize_rows, for all steps at once. norm needs a whole row, so a step has a phase for tiles, F1 or B3, whose
// parts are units, and one for rows, whose parts are rows.
//
// Saved for backward: gates (they become dz), norm(u) (becomes du) and its scale; c at every step.
// Packed: U as an LSTM's without inputs, or U^T; then gain_h, gain_c, b_c.
#pragma once
#include "arrays.h"
#include "lstm.h"

namespace GW_ISA {

constexpr double NORM_EPSILON = 1e-5;

template <class R> GW_INLINE Vec<R> only_first(Vec<R> v, gw_int lanes) {
    if (lanes == LANES<R>) return v;
    alignas(64) R part[LANES<R>];
    store(part, v);
    return load_part(part, lanes);
}

// The sum of f(i, lanes) over n elements; lanes past the end do not count.
template <class R, class F> GW_INLINE R sum_of(gw_int n, F f) {
    Vec<R> sum = {};
    for_each_vector<R>(n, [&](gw_int i, gw_int lanes) { sum += only_first<R>(f(i, lanes), lanes); });
    return sum_of_lanes<R>(sum);
}

// out = norm(x), which may be x; returns 1 / sqrt(variance + epsilon).
template <class R> static R normalize(const R *x, R *out, gw_int n) {
    const R mean = sum_of<R>(n, [=](gw_int i, gw_int lanes) { return load_first(x + i, lanes); }) / R(n);
    const R variance = sum_of<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(x + i, lanes) - mean;
        return d * d;
    }) / R(n);
    const R scale = R(1) / (R)__builtin_sqrt((double)(variance + R(NORM_EPSILON)));
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) { store_first(out + i, (load_first(x + i, lanes) - mean) * scale, lanes); });
    return scale;
}

// The way back: dx = scale * (d - mean(d) - y * mean(d * y)) for y = norm(x), d = gain * dy. sums += dy * y.
template <class R>
static void normalize_backward(const R *dy, const R *gain, const R *y, R scale, R *dx, gw_int n, R *sums) {
    const R mean = sum_of<R>(n, [=](gw_int i, gw_int lanes) {
        return load_first(dy + i, lanes) * load_first(gain + i, lanes);
    }) / R(n);
    const R along = sum_of<R>(n, [=](gw_int i, gw_int lanes) {
        return load_first(dy + i, lanes) * load_first(gain + i, lanes) * load_first(y + i, lanes);
    }) / R(n);
    for_each_vector<R>(n, [=](gw_int i, gw_int lanes) {
        const Vec<R> d = load_first(dy + i, lanes), v = load_first(y + i, lanes);
        store_first(sums + i, fma(d, v, load_first(sums + i, lanes)), lanes);
        store_first(dx + i, scale * (d * load_first(gain + i, lanes) - mean - v * along), lanes);
    });
}

// ---- rows of x W

// y = gain * norm(x) + bias; x becomes norm(x). bias may be NULL; scales (n,).
template <class R>
static void normalize_rows(R *x, const R *gain, const R *bias, R *y, R *scales, gw_int n, gw_int columns) {
    for (gw_int r = 0; r < n; r++, x += columns, y += columns) {
        scales[r] = normalize(x, x, columns);
        for_each_vector<R>(columns, [=](gw_int i, gw_int lanes) {
            const Vec<R> b = bias ? load_first(bias + i, lanes) : Vec<R>{};
            store_first(y + i, fma(load_first(x + i, lanes), load_first(gain + i, lanes), b), lanes);
        });
    }
}

// x holds norm(x) and becomes dx; d_gain += dy * norm(x).
template <class R>
static void normalize_rows_backward(const R *dy, const R *gain, const R *scales, R *x, R *d_gain, gw_int n, gw_int columns) {
    for (gw_int r = 0; r < n; r++, x += columns, dy += columns)
        normalize_backward(dy, gain, x, scales[r], x, columns, d_gain);
}

// ---- the step

template <class R> GW_INLINE const R *gains_forward(const gw_cell<R> *c) { return c->weights + lstm_forward_size(c); }
template <class R> GW_INLINE const R *gains_backward(const gw_cell<R> *c) { return c->weights + lstm_backward_size(c); }

template <class R> static void pack_gains(const gw_cell<R> *c, const gw_weights<R> *w, R *out) {
    const gw_int H = c->units;
    for (gw_int i = 0; i < 4 * H; i++) *out++ = w->gain_h[i];
    for (gw_int i = 0; i < H; i++) *out++ = w->gain_c[i];
    for (gw_int i = 0; i < H; i++) *out++ = w->bias_c[i];
}

template <class R>
static void normalized_product(const gw_cell<R> *c, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last) {
    const gw_int L = LANES<R>, H = c->units, panel = gated_panel(c, LSTM_GATES[4]);
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first; j < last; j += L) {
        const R *w = c->weights + j / L * panel;
        const int fold = fold_of<R>(LSTM_GATES[4], H, j);
        const gw_int lanes = lanes_left<R>(H, j);
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            if (fold == 1) gated_product<R, 4, 4, 4, 3>(c, w, rows + r, m, j, buf);
            else if (fold == 2) folded_product<R, 2>(c, w, rows + r, m, j, false, buf);
            else folded_product<R, 1>(c, w, rows + r, m, j, false, buf);
            for (gw_int i = 0; i < m; i++)
                for (int g = 0; g < 4; g++) store_first(rows[r + i].u + g * H + j, load(buf + (i * 4 + g) * L), lanes);
        }
    }
}

// out(gain * norm(c) + bias) into y, norm(c) into normal.
template <class R> GW_INLINE R normalized_output(const gw_cell<R> *c, const R *state, const R *gains, R *normal, R *y) {
    const gw_int H = c->units;
    const R scale = normalize(state, normal, H);
    for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
        store_first(y + i, fma(load_first(normal + i, lanes), load_first(gains + 4 * H + i, lanes), load_first(gains + 5 * H + i, lanes)),
                    lanes);
    });
    activate(&c->out, y, y, H);
    return scale;
}

template <class R> static void normalized_row(const gw_cell<R> *c, const gw_row<R> &row) {
    const gw_int H = c->units;
    const R *gains = gains_forward(c);
    R *z = row.gates, *u = row.u, *y = row.m + H;
    const R scale = normalize(u, u, 4 * H);
    if (row.scale) *row.scale = scale;
    for_each_vector<R>(4 * H, [=](gw_int i, gw_int lanes) {
        store_first(z + i, fma(load_first(u + i, lanes), load_first(gains + i, lanes), load_first(row.z + i, lanes)), lanes);
    });
    activate(&c->gate, z, z, 2 * H);
    activate(&c->act, z + 2 * H, z + 2 * H, H);
    activate(&c->gate, z + 3 * H, z + 3 * H, H);
    for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
        const Vec<R> made = load_first(z + i, lanes) * load_first(z + 2 * H + i, lanes);
        store_first(row.c1 + i, fma(load_first(z + H + i, lanes), load_first(row.c0 + i, lanes), made), lanes);
    });
    normalized_output(c, row.c1, gains, row.m, y);
    for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
        write_state(row, i, load_first(z + 3 * H + i, lanes) * load_first(y + i, lanes), lanes);
    });
}

template <class R> static void normalized_row_backward(const gw_cell<R> *c, const gw_row<R> &row) {
    const gw_int H = c->units;
    const R *gains = gains_backward(c);
    R *z = row.gates, *normal = row.m, *y = row.m + H;
    const R scale = normalized_output(c, row.c1, gains, normal, y);
    // do over o, and the gradient before out over y
    for_each_vector<R>(H, [=](gw_int i, gw_int lanes) {
        const Vec<R> dh = gradient_of_h(row, i, lanes), o = load_first(z + 3 * H + i, lanes), h = load_first(y + i, lanes);
        store_first(row.dh + i, Vec<R>{}, lanes);
        store_first(z + 3 * H + i, dh * h * slope(o, c->gate), lanes);
        const Vec<R> d = dh * o * slope(h, c->out);
        R *bias = row.sums + 5 * H + i;
        store_first(bias, load_first(bias, lanes) + d, lanes);
        store_first(y + i, d, lanes);
    });
    normalize_backward(y, gains + 4 * H, normal, scale, y, H, row.sums + 4 * H);
    for_each_vector<R>(H, [=](gw_int k, gw_int lanes) {
        const Vec<R> i = load_first(z + k, lanes), f = load_first(z + H + k, lanes), g = load_first(z + 2 * H + k, lanes);
        const Vec<R> dc = load_first(row.dc + k, lanes) + load_first(y + k, lanes);
        store_first(z + k, dc * g * slope(i, c->gate), lanes);
        store_first(z + H + k, dc * load_first(row.c0 + k, lanes) * slope(f, c->gate), lanes);
        store_first(z + 2 * H + k, dc * i * slope(g, c->act), lanes);
        store_first(row.dc + k, dc * f, lanes);
    });
    normalize_backward(z, gains, row.u, *row.scale, row.u, 4 * H, row.sums);
}

template <class R>
static void normalized_forward(const gw_cell<R> *c, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last, int phase) {
    if (phase == 0) return normalized_product(c, rows, n, first, last);
    for (gw_int r = 0; r < n; r++) normalized_row(c, rows[r]);
}

template <class R>
static void normalized_backward(const gw_cell<R> *c, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last, int phase) {
    if (phase == 1)
        return add_recurrent_gradient(c, 4, rows, n, first, last, c->weights, 0, 4 * c->units, 0, 0, &gw_row<R>::u);
    for (gw_int r = 0; r < n; r++) normalized_row_backward(c, rows[r]);
}

template <class R> static gw_family<R> normalized_lstm_family() {
    gw_family<R> f = {};
    f.block = LANES<R>, f.rows_forward = 1, f.rows_backward = 0;
    f.forward_phases = f.backward_phases = [](const gw_cell<R> *) { return 2; };
    f.forward_size = [](const gw_cell<R> *c) { return lstm_forward_size(c) + 6 * c->units; };
    f.backward_size = [](const gw_cell<R> *c) { return lstm_backward_size(c) + 6 * c->units; };
    f.pack_forward = [](const gw_cell<R> *c, const gw_weights<R> *w, R *out) {
        lstm_pack_forward(c, w, out);
        pack_gains(c, w, out + lstm_forward_size(c));
    };
    f.pack_backward = [](const gw_cell<R> *c, const gw_weights<R> *w, R *out) {
        lstm_pack_backward(c, w, out);
        pack_gains(c, w, out + lstm_backward_size(c));
    };
    f.project = nullptr; // its input product is made ahead
    f.forward = normalized_forward<R>, f.backward = normalized_backward<R>;
    return f;
}

} // namespace GW_ISA
