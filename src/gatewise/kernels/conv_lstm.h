// ConvLSTM (Shi et al. 2015): an LSTM at each position of an image, whose products are
// convolutions. One call is one step of one image; the arithmetic of the cell is that of lstm.h.
//
//     F1  i f g o = act(windows(x) W + windows(h') U + b),  h' with padding "same"
//     B1  dz from dh + dy and dc, as in lstm.h, in place of the gates. dh' and dx are convolutions
//         of dz with the turned weights (convolution.h)
//
// Packed: for each vector of filters the bias (4 gates), then 4 vectors for each number of a window
// of x, then for each number of a window of h'.
#pragma once
#include "convolution.h"
#include "lstm.h"

namespace GW_ISA {

template <class R> static gw_int conv_lstm_size(gw_int filters, gw_int x_inputs, gw_int h_inputs) {
    return 4 * padded<R>(filters) * (1 + x_inputs + h_inputs);
}

template <class R>
static void conv_lstm_pack(gw_int filters, gw_int x_inputs, gw_int h_inputs, const R *w_x,
                           const R *w_h, const R *b, R *out) {
    for (gw_int j = 0; j < filters; j += LANES<R>) {
        out = pack_gates(b, filters, j, 4, out);
        for (gw_int k = 0; k < x_inputs; k++)
            out = pack_gates(w_x + k * 4 * filters, filters, j, 4, out);
        for (gw_int k = 0; k < h_inputs; k++)
            out = pack_gates(w_h + k * 4 * filters, filters, j, 4, out);
    }
}

template <class R, int M>
static void conv_lstm_sums(const gw_conv_lstm<R> *s, const R *x, const R *h, const R *w, R *buf) {
    const gw_int L = LANES<R>;
    Vec<R> acc[M][4];
#pragma GCC unroll 6
    for (int p = 0; p < M; p++)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) acc[p][v] = load(w + v * L);
    w += 4 * L;
    add_windows<R, M, 4>(acc, &s->x_windows, x, w);
    add_windows<R, M, 4>(acc, &s->h_windows, h, w + s->x_windows.runs * s->x_windows.length * 4 * L);
#pragma GCC unroll 6
    for (int p = 0; p < M; p++)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) store(buf + (p * 4 + v) * L, acc[p][v]);
}

template <class R, int M>
GW_INLINE void conv_lstm_tile(gw_int m, const gw_conv_lstm<R> *s, const R *x, const R *h,
                              const R *w, R *buf) {
    if (m == M) return conv_lstm_sums<R, M>(s, x, h, w, buf);
    if constexpr (M > 1) conv_lstm_tile<R, M - 1>(m, s, x, h, w, buf);
}

template <class R> static void conv_lstm_forward(const gw_conv_lstm<R> *s) {
    const gw_cell<R> *cell = &s->cell;
    const gw_int L = LANES<R>, F = cell->units, columns = s->h_windows.columns;
    const gw_int inputs = s->x_windows.runs * s->x_windows.length +
                          s->h_windows.runs * s->h_windows.length;
    alignas(64) R buf[GW_TILE_ROWS * 4 * LANES<R>];
    gw_row<R> rows[GW_TILE_ROWS];
    for (gw_int j = 0; j < F; j += L) {
        const R *w = cell->weights + j * 4 * (1 + inputs);
        for (gw_int row = 0; row < s->rows; row++)
            for (gw_int column = 0, m; column < columns; column += m) {
                m = even_share<GW_TILE_ROWS>(columns - column);
                conv_lstm_tile<R, GW_TILE_ROWS>(
                    m, s, s->x + row * s->x_windows.row_step + column * s->x_windows.step,
                    s->h + row * s->h_windows.row_step + column * s->h_windows.step, w, buf);
                for (gw_int i = 0; i < m; i++) {
                    const gw_int p = row * columns + column + i;
                    gw_row<R> &to = rows[i];
                    to.gates = s->gates ? s->gates + p * 4 * F : nullptr;
                    to.c0 = s->c0 + p * F, to.c1 = s->c1 + p * F, to.h1 = s->h1 + p * F;
                    to.y = s->y ? s->y + p * F : nullptr;
                    to.mask = s->mask ? s->mask + p * F : nullptr;
                    to.h_next = s->h_next ? s->h_next + row * s->h_windows.row_step +
                                                (column + i) * F
                                          : nullptr;
                }
                lstm_cell<R, false>(cell, rows, m, j, buf);
            }
    }
}

template <class R> static void conv_lstm_backward(const gw_conv_lstm<R> *s) {
    const gw_int F = s->cell.units, positions = s->rows * s->h_windows.columns;
    gw_row<R> row;
    for (gw_int p = 0; p < positions; p++) {
        row.gates = s->gates + p * 4 * F;
        row.c0 = s->c0 + p * F, row.c1 = s->c1 + p * F;
        row.dy = s->dy ? s->dy + p * F : nullptr;
        row.dh = s->dh + p * F, row.dc = s->dc + p * F;
        for (gw_int u = 0; u < F; u += LANES<R>) {
            const gw_int lanes = lanes_left<R>(F, u);
            lstm_cell_backward<R, false>(&s->cell, row, u, lanes,
                                         take_gradient_of_h<R, false>(&s->cell, row, u, lanes));
        }
    }
}

} // namespace GW_ISA
