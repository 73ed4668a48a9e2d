// The recurrent product backwards, dh' += dz U^T, and what every cell's step shares beside it.
//
// Packed backward: U^T (gates*units, units) in column panels of up to 4 vectors of units (tile.h).
#pragma once
#include "tile.h"

namespace GW_ISA {

// Columns [first, first + count) of w (units, stride), transposed: (count, units) in column panels.
template <class R> GW_INLINE gw_int transposed_size(gw_int units, gw_int count) {
    return padded<R>(units) * count;
}

template <class R> static R *pack_transposed(const R *w, gw_int units, gw_int stride, gw_int first,
                                             gw_int count, R *out) {
    constexpr gw_int RUN = LINE<R>; // a cache line of w at a time
    for (gw_int j = 0; j < units; j += panel_columns<R>()) {
        const gw_int width = panel_vectors<R>(units, j) * LANES<R>,
                     true_width = width < units - j ? width : units - j;
        for (gw_int k = 0; k < count; k += RUN) {
            const gw_int run = RUN < count - k ? RUN : count - k;
            R *to = out + k * width;
            for (gw_int l = 0; l < true_width; l++) {
                const R *from = w + (j + l) * stride + first + k;
                if (run == RUN)
                    for (gw_int i = 0; i < RUN; i++) to[i * width + l] = from[i];
                else
                    for (gw_int i = 0; i < run; i++) to[i * width + l] = from[i];
            }
            for (gw_int l = true_width; l < width; l++)
                for (gw_int i = 0; i < run; i++) to[i * width + l] = R(0);
        }
        out += count * width;
    }
    return out;
}

// The state of one row's units [u, u + lanes) to each place that wants it.
template <class R> GW_INLINE void write_state(const gw_row<R> &row, gw_int u, Vec<R> h,
                                              gw_int lanes) {
    store_first(row.h1 + u, h, lanes);
    if (row.y) store_first(row.y + u, h, lanes);
    if (row.h_next)
        store_first(row.h_next + u, row.mask ? h * load_first(row.mask + u, lanes) : h, lanes);
}

// The gradient that reaches h: from the step after, and from this step's output.
template <class R> GW_INLINE Vec<R> gradient_of_h(const gw_row<R> &row, gw_int u, gw_int lanes) {
    Vec<R> d = load_first(row.dh + u, lanes);
    return row.dy ? d + load_first(row.dy + u, lanes) : d;
}

// sum[r] (units,) = dz[r][a .. a+na) U_a^T + dz[r][b .. b+nb) U_b^T, then finish(row, u, sum,
// lanes); dz is the rows' member `dz`. U^T stands for any matrix in column panels: the weights of
// both terms are packed as one of na + nb rows. `fetched` blocks of the next step's gates, `stride`
// apart, are prefetched meanwhile.
template <class R, class Member, class Finish>
GW_INLINE void column_product(gw_int units, Member dz, gw_int fetched, gw_int stride,
                              const gw_row<R> *rows, gw_int n, gw_int first, gw_int last,
                              const R *w, gw_int a, gw_int na, gw_int b, gw_int nb, Finish finish) {
    const gw_int L = LANES<R>;
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first, v; j < last; j += v * L) {
        const PanelPart<R> part(units, j, last);
        v = part.n;
        const R *panel = w + part.panel * (na + nb) + part.offset;
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            Pointers<R> pa(rows + r, m, dz, a), pb(rows + r, m, dz, b);
            fill_with_zero(buf, m, v);
            const gw_row<R> *group = rows + r;
            product_of_columns<R>(v, m, buf, {pa.p, na, panel, part.stride},
                                  {pb.p, nb, panel + na * part.stride, part.stride},
                                  [=](gw_int begin, gw_int count) {
                for (gw_int i = begin; i < begin + count;
                     i++) // the next step's gates of these units come from far away
                    if (group[i].prefetch)
                        for (gw_int g = 0; g < fetched; g++)
                            for (int s = 0; s < v; s++)
                                __builtin_prefetch(group[i].prefetch + g * stride + j + s * L, 1);
            });
            for (gw_int i = 0; i < m; i++)
                for (int s = 0; s < v; s++) {
                    const gw_int u = j + s * L;
                    finish(rows[r + i], u, load(buf + (i * v + s) * L), lanes_left<R>(units, u));
                }
        }
    }
}

// dh += (dz U^T) * mask: what h' received through the recurrent product.
template <class R>
static void add_recurrent_gradient(const gw_cell<R> *cell, gw_int saved, const gw_row<R> *rows,
                                   gw_int n, gw_int first, gw_int last, const R *w, gw_int a,
                                   gw_int na, gw_int b, gw_int nb,
                                   R *gw_row<R>::*dz = &gw_row<R>::gates) {
    column_product(cell->width, dz, saved, cell->units, rows, n, first, last, w, a, na, b, nb,
                   [](const gw_row<R> &row, gw_int u, Vec<R> d, gw_int lanes) {
        if (row.mask) d *= load_first(row.mask + u, lanes);
        store_first(row.dh + u, load_first(row.dh + u, lanes) + d, lanes);
    });
}

} // namespace GW_ISA
