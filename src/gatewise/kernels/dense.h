// Dense: y = act(x W + b). Packed: for each column panel its bias, then inputs rows of W (tile.h).
#pragma once
#include "tile.h"

namespace GW_ISA {

template <class R> static gw_int dense_size(gw_int inputs, gw_int columns) {
    return padded<R>(columns) * (1 + inputs);
}

template <class R> static void pack_dense(const R *w, const R *b, gw_int inputs, gw_int columns,
                                          R *out) {
    for (gw_int j = 0; j < columns; j += panel_columns<R>()) {
        int n = panel_vectors<R>(columns, j);
        out = pack_row(b, columns, j, n, out);
        for (gw_int k = 0; k < inputs; k++) out = pack_row(w + k * columns, columns, j, n, out);
    }
}

template <class R>
static void dense(const R *x, const R *packed, gw_int n, gw_int inputs, gw_int columns,
                  const gw_activation<R> *f, R *y) {
    const gw_int L = LANES<R>;
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = 0; j < columns; j += panel_columns<R>()) {
        const int v = panel_vectors<R>(columns, j);
        const R *bias = packed + j * (1 + inputs), *w = bias + v * L;
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            const R *rows[GROUP_ROWS];
            for (gw_int i = 0; i < m; i++) rows[i] = x + (r + i) * inputs;
            fill_with_bias(buf, m, v, bias);
            product_of_columns<R>(v, m, buf, {rows, inputs, w, v * L}, {});
            for (int s = 0; s < v; s++) activate_slot(buf, m, v, s, *f);
            for (gw_int i = 0; i < m; i++)
                for (int s = 0; s < v; s++)
                    store_first(y + (r + i) * columns + j + s * L, load(buf + (i * v + s) * L),
                                lanes_left<R>(columns, j + s * L));
        }
    }
}

} // namespace GW_ISA
