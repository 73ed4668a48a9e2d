// LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000). Gate order i f g o.
//
//     F1  i, f, o = gate(x W + h' U + b);  g = act(x W + h' U + b)
//     F2  c = f * c' + i * g
//     F3  h = o * out(c)
//     B1  dH = dh + dy;  dC = dc + dH * o * out'(c)
//     B2  di = dC * g * gate'(i),  df = dC * c' * gate'(f),  dg = dC * i * act'(g),
//         do = dH * out(c) * gate'(o);  dc' = dC * f
//     B3  dh' = [di df dg do] U^T
//
// Saved for backward: i f g o (4 * units), which become di df dg do; c at every step.
#pragma once
#include "gated.h"

namespace GW_ISA {

constexpr Gates LSTM_GATES = {4, 4, 4, 3, true};

template <class R> static gw_int lstm_forward_size(const gw_cell<R> *c) {
    return blocks(c) * gated_panel(c, LSTM_GATES);
}

template <class R>
static void lstm_pack_forward(const gw_cell<R> *c, const R *w_x, const R *w_h, const R *b, const R *, R *out) {
    const gw_int H = c->units;
    pack_gated(c, LSTM_GATES, 4 * H, w_x, w_h, [=](gw_int j, R *p) {
        return pack_gates(b, H, j, 4, p, fold_of<R>(LSTM_GATES, H, j));
    }, out);
}

// F1 to F3 on a tile's sums.
template <class R> GW_INLINE void lstm_cell(const gw_cell<R> *c, const gw_row<R> *row, gw_int m, gw_int j, R *buf) {
    const gw_int L = LANES<R>, H = c->units, lanes = lanes_left<R>(H, j);
    activate_slot(buf, m, 4, 0, c->gate);
    activate_slot(buf, m, 4, 1, c->gate);
    activate_slot(buf, m, 4, 2, c->act);
    activate_slot(buf, m, 4, 3, c->gate);
    alignas(64) R cells[GROUP_ROWS * LANES<R>];
    for (gw_int r = 0; r < m; r++) {
        const R *z = buf + r * 4 * L;
        if (row[r].gates)
            for (int g = 0; g < 4; g++) store_first(row[r].gates + g * H + j, load(z + g * L), lanes);
        Vec<R> cell = fma(load(z + L), load_first(row[r].c0 + j, lanes), load(z) * load(z + 2 * L));
        store_first(row[r].c1 + j, cell, lanes);
        store(cells + r * L, cell);
    }
    activate_slot(cells, m, 1, 0, c->out);
    for (gw_int r = 0; r < m; r++) write_state(row[r], j, load(buf + (r * 4 + 3) * L) * load(cells + r * L), lanes);
}

template <class R> static void lstm_forward(const gw_cell<R> *c, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last, int) {
    const gw_int L = LANES<R>, panel = gated_panel(c, LSTM_GATES);
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first; j < last; j += L) {
        const R *w = c->weights + j / L * panel;
        const int fold = fold_of<R>(LSTM_GATES, c->units, j);
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            if (fold == 1) gated_product<R, 4, 4, 4, 3>(c, w, rows + r, m, j, buf);
            else if (fold == 2) folded_product<R, 2>(c, w, rows + r, m, j, false, buf);
            else folded_product<R, 1>(c, w, rows + r, m, j, false, buf);
            lstm_cell(c, rows + r, m, j, buf);
        }
    }
}

// B1 and B2 for one row.
template <class R> GW_INLINE void lstm_cell_backward(const gw_cell<R> *c, const gw_row<R> &row, gw_int first, gw_int last) {
    const gw_int H = c->units;
    for (gw_int u = first; u < last; u += LANES<R>) {
        const gw_int lanes = lanes_left<R>(H, u);
        R *z = row.gates + u;
        Vec<R> i = load_first(z, lanes), f = load_first(z + H, lanes), g = load_first(z + 2 * H, lanes),
               o = load_first(z + 3 * H, lanes);
        alignas(64) R cell[LANES<R>];
        store(cell, load_first(row.c1 + u, lanes));
        activate_slot(cell, 1, 1, 0, c->out);
        Vec<R> tc = load(cell), dh = gradient_of_h(row, u, lanes);
        Vec<R> dc = fma(dh * o, slope(tc, c->out), load_first(row.dc + u, lanes));
        store_first(row.dc + u, dc * f, lanes);
        store_first(row.dh + u, Vec<R>{}, lanes);
        store_first(z, dc * g * slope(i, c->gate), lanes);
        store_first(z + H, dc * load_first(row.c0 + u, lanes) * slope(f, c->gate), lanes);
        store_first(z + 2 * H, dc * i * slope(g, c->act), lanes);
        store_first(z + 3 * H, dh * tc * slope(o, c->gate), lanes);
    }
}

template <class R>
static void lstm_backward(const gw_cell<R> *c, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last, int phase) {
    if (phase == 1) return add_recurrent_gradient(c, 4, rows, n, first, last, c->weights, 0, 4 * c->units, 0, 0);
    for (gw_int r = 0; r < n; r++) lstm_cell_backward(c, rows[r], first, last);
}

template <class R> static gw_family<R> lstm_family() {
    gw_family<R> f = {};
    f.x_gates = 4, f.saved = 4, f.block = LANES<R>;
    f.forward_phases = [](const gw_cell<R> *) { return 1; };
    f.backward_phases = [](const gw_cell<R> *) { return 2; };
    f.forward_size = lstm_forward_size<R>, f.pack_forward = lstm_pack_forward<R>;
    f.backward_size = [](const gw_cell<R> *c) { return transposed_size<R>(c->units, 4 * c->units); };
    f.pack_backward = [](const gw_cell<R> *c, const R *w_h, R *out) {
        pack_transposed<R>(w_h, c->units, 4 * c->units, 0, 4 * c->units, out);
    };
    f.project = [](const gw_cell<R> *c, const gw_row<R> *rows, gw_int n, gw_int first, gw_int last) {
        gated_project<R, 4, 4>(c, LSTM_GATES, rows, n, first, last);
    };
    f.forward = lstm_forward<R>, f.backward = lstm_backward<R>;
    return f;
}

} // namespace GW_ISA
