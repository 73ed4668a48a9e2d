// GRU (Cho et al. 2014). Gate order z r n. Two forms that cannot be turned into one another:
//
//     F1  z, r = gate(x W + h' U + b)
//     F2  reset after:  q = h' U_n + b_r;  n = act(x W_n + b_n + r * q)
//         reset before: q = r * h';        n = act(x W_n + b_n + q U_n)
//     F3  cho:   h = z * h' + (1 - z) * n      chung: h = (1 - z) * h' + z * n
//     B1  dH = dh + dy;  dz = +-dH * (h' - n) * gate'(z);  dn = dH * (1 - z | z) * act'(n)
//     B2  reset after:  dr = dn * q * gate'(r);  dq = dn * r;
//                       dh' = dH * (z | 1 - z) + [dz dr dq] U^T
//         reset before: dq = dn U_n^T;  dr = dq * h' * gate'(r);
//                       dh' = dH * (z | 1 - z) + dq * r + [dz dr] U_zr^T
//
// Saved for backward: z r n q (4 * units), which become dz dr dn and, reset after, dq. Reset before
// keeps q: it is the input of U_n's weight gradient.
//
// The reset-before form needs all of q before any n, so its step runs its tiles twice: the tile of
// F1 makes z, r and x W_n + b_n; then column panels of U_n finish n.
//
// Options (HAS_OPTIONS), with v = x W_n + b_n:
//     complement   1 - r takes the place of r in F2 and B2; dr changes its sign
//     split        reset after:  n = act(r * v + (1 - z) * q);  dv = dn * r,  dq = dn * (1 - z),
//                  dr = dn * v * gate'(r),  dz -= dn * q * gate'(z).  Saved: z r n q v
//     input        n = act(r * v), without U_n;  dv = dn * r,  dr = dn * v * gate'(r)
//                  Saved: z r n v
//     output       y = out(h), and h is the state;  dH = dh + dy * out'(y). y is made again from h.
#pragma once
#include "gated.h"
#include "options.h"

namespace GW_ISA {

// Slots of a tile, reset after: z r n q, and U's third vector goes to q. Reset before, and without
// U_n: z r n, and U's panels hold z and r alone.
constexpr Gates GRU_AFTER = {3, 3, 4, 3, false}, GRU_BEFORE = {3, 2, 3, 1, false};

// Whether the candidate has a recurrent product, and whether it comes after the reset.
template <class R> GW_INLINE bool gru_input_only(const gw_cell<R> *cell) {
    return cell->candidate == GW_INPUT;
}
template <class R> GW_INLINE bool gru_after(const gw_cell<R> *cell) {
    return cell->reset_after && !gru_input_only(cell);
}
template <class R> GW_INLINE bool gru_before(const gw_cell<R> *cell) {
    return !cell->reset_after && !gru_input_only(cell);
}
template <class R> GW_INLINE const Gates &gru_gates(const gw_cell<R> *cell) {
    return gru_after(cell) ? GRU_AFTER : GRU_BEFORE;
}

// Reset before: U_n in column panels follows the gated panels.
template <class R> GW_INLINE gw_int gru_candidate_at(const gw_cell<R> *cell) {
    return blocks(cell) * gated_panel(cell, gru_gates(cell));
}

template <class R> static gw_int gru_forward_size(const gw_cell<R> *cell) {
    return gru_candidate_at(cell) + (gru_before(cell) ? padded<R>(cell->units) * cell->units : 0);
}

template <class R> static void gru_pack_forward(const gw_cell<R> *cell, const gw_weights<R> *w,
                                                R *out) {
    const gw_int H = cell->units, L = LANES<R>;
    const R *w_h = w->w_h, *b = w->b, *b_h = w->b_h;
    const bool after = gru_after(cell);
    const gw_int stride_h = gru_input_only(cell) ? 2 * H : 3 * H;
    pack_gated(cell, gru_gates(cell), w->w_x, 3 * H, w_h, stride_h, [=](gw_int j, R *p) {
        R *z = p, *end = pack_gates(b, H, j, 3, p);
        if (!after) return end;
        R recurrent[3 * LANES<R>];
        pack_gates(b_h, H, j, 3, recurrent);
        for (gw_int l = 0; l < 2 * L; l++) z[l] += recurrent[l];
        for (gw_int l = 0; l < L; l++) *end++ = recurrent[2 * L + l];
        return end;
    }, out);
    if (gru_before(cell)) pack_columns(w_h + 2 * H, 3 * H, H, H, out + gru_candidate_at(cell));
}

// F3 for one vector.
template <class R> GW_INLINE Vec<R> gru_mix(const gw_cell<R> *cell, Vec<R> z, Vec<R> h0, Vec<R> n) {
    return cell->chung ? fma(z, n - h0, h0) : fma(z, h0 - n, n);
}

// Writes the new state, and y.
template <class R, bool HAS_OPTIONS>
GW_INLINE void gru_write(const gw_cell<R> *cell, const gw_row<R> &row, gw_int u, Vec<R> h,
                         gw_int lanes) {
    write_new_state<R, HAS_OPTIONS>(cell, row, u, h, lanes);
    if (HAS_OPTIONS && cell->activates_output && row.y)
        store_first(row.y + u, activated<R>(load_first(row.h1 + u, lanes), cell->out), lanes);
}

// r as the candidate reads it.
template <class R, bool HAS_OPTIONS> GW_INLINE Vec<R> gru_reset(const gw_cell<R> *cell, Vec<R> r) {
    return HAS_OPTIONS && cell->candidate == GW_COMPLEMENT ? R(1) - r : r;
}

template <class R, bool HAS_OPTIONS> GW_INLINE void gru_after_cell(const gw_cell<R> *cell,
                                                                   const gw_row<R> *row, gw_int m,
                                                                   gw_int j, R *buf) {
    const gw_int L = LANES<R>, H = cell->units, lanes = lanes_left<R>(H, j);
    finish_slot<R, HAS_OPTIONS>(cell, buf, m, 4, 0, cell->gate);
    finish_slot<R, HAS_OPTIONS>(cell, buf, m, 4, 1, cell->gate);
    for (gw_int r = 0; r < m; r++) {
        R *z = buf + r * 4 * L;
        const Vec<R> reset = gru_reset<R, HAS_OPTIONS>(cell, load(z + L));
        if (HAS_OPTIONS && cell->candidate == GW_SPLIT) {
            const Vec<R> v = load(z + 2 * L);
            if (row[r].gates) store_first(row[r].gates + 4 * H + j, v, lanes);
            store(z + 2 * L, fma(reset, v, (R(1) - load(z)) * load(z + 3 * L)));
        } else {
            store(z + 2 * L, fma(reset, load(z + 3 * L), load(z + 2 * L)));
        }
    }
    finish_slot<R, HAS_OPTIONS>(cell, buf, m, 4, 2, cell->act);
    for (gw_int r = 0; r < m; r++) {
        const R *z = buf + r * 4 * L;
        if (row[r].gates)
            for (int g = 0; g < 4; g++)
                store_first(row[r].gates + g * H + j, load(z + g * L), lanes);
        gru_write<R, HAS_OPTIONS>(
            cell, row[r], j,
            gru_mix(cell, load(z), load_first(row[r].h0 + j, lanes), load(z + 2 * L)), lanes);
    }
}

// A candidate without a recurrent product; it is an option.
template <class R> static void gru_input_cell(const gw_cell<R> *cell, const gw_row<R> *row,
                                              gw_int m, gw_int j, R *buf) {
    const gw_int L = LANES<R>, H = cell->units, lanes = lanes_left<R>(H, j);
    finish_slot<R, true>(cell, buf, m, 3, 0, cell->gate);
    finish_slot<R, true>(cell, buf, m, 3, 1, cell->gate);
    for (gw_int r = 0; r < m; r++) {
        R *z = buf + r * 3 * L;
        const Vec<R> v = load(z + 2 * L);
        if (row[r].gates) store_first(row[r].gates + 3 * H + j, v, lanes);
        store(z + 2 * L, load(z + L) * v);
    }
    finish_slot<R, true>(cell, buf, m, 3, 2, cell->act);
    for (gw_int r = 0; r < m; r++) {
        const R *z = buf + r * 3 * L;
        if (row[r].gates)
            for (int g = 0; g < 3; g++)
                store_first(row[r].gates + g * H + j, load(z + g * L), lanes);
        gru_write<R, true>(
            cell, row[r], j,
            gru_mix(cell, load(z), load_first(row[r].h0 + j, lanes), load(z + 2 * L)), lanes);
    }
}

// F1 and q = r * h'; n holds x W_n + b_n until the second phase.
template <class R, bool HAS_OPTIONS> GW_INLINE void gru_before_gates(const gw_cell<R> *cell,
                                                                     const gw_row<R> *row, gw_int m,
                                                                     gw_int j, R *buf) {
    const gw_int L = LANES<R>, H = cell->units, lanes = lanes_left<R>(H, j);
    finish_slot<R, HAS_OPTIONS>(cell, buf, m, 3, 0, cell->gate);
    finish_slot<R, HAS_OPTIONS>(cell, buf, m, 3, 1, cell->gate);
    for (gw_int r = 0; r < m; r++) {
        const R *z = buf + r * 3 * L;
        for (int g = 0; g < 3; g++) store_first(row[r].gates + g * H + j, load(z + g * L), lanes);
        store_first(row[r].gates + 3 * H + j,
                    gru_reset<R, HAS_OPTIONS>(cell, load(z + L)) *
                        load_first(row[r].h_in + j, lanes),
                    lanes);
    }
}

template <class R, bool HAS_OPTIONS>
static void gru_before_candidate(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                                 gw_int first, gw_int last) {
    const gw_int L = LANES<R>, H = cell->units;
    alignas(64) R buf[BUFFER<R>];
    const R *w = cell->weights + gru_candidate_at(cell);
    for (gw_int j = first, v; j < last; j += v * L) {
        const PanelPart<R> part(H, j, last);
        v = part.n;
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            const gw_row<R> *row = rows + r;
            Pointers<R> q(row, m, &gw_row<R>::gates, 3 * H);
            for (gw_int i = 0; i < m; i++)
                for (int s = 0; s < v; s++)
                    store(buf + (i * v + s) * L, load_first(row[i].gates + 2 * H + j + s * L,
                                                            lanes_left<R>(H, j + s * L)));
            product_of_columns<R>(v, m, buf, {},
                                  {q.p, H, w + part.panel * H + part.offset, part.stride});
            for (int s = 0; s < v; s++) {
                const gw_int u = j + s * L, lanes = lanes_left<R>(H, u);
                finish_slot<R, HAS_OPTIONS>(cell, buf, m, v, s, cell->act);
                for (gw_int i = 0; i < m; i++) {
                    Vec<R> cand = load(buf + (i * v + s) * L),
                           z = load_first(row[i].gates + u, lanes);
                    store_first(row[i].gates + 2 * H + u, cand, lanes);
                    gru_write<R, HAS_OPTIONS>(
                        cell, row[i], u, gru_mix(cell, z, load_first(row[i].h0 + u, lanes), cand),
                        lanes);
                }
            }
        }
    }
}

template <class R, bool HAS_OPTIONS>
static void gru_units_forward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                              gw_int last, int phase) {
    if (phase == 1) return gru_before_candidate<R, HAS_OPTIONS>(cell, rows, n, first, last);
    const gw_int L = LANES<R>, panel = gated_panel(cell, gru_gates(cell));
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first; j < last; j += L)
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            const R *w = cell->weights + j / L * panel;
            if (HAS_OPTIONS && gru_input_only(cell)) {
                gated_product<R, 3, 2, 3, 1>(cell, w, rows + r, m, j, buf);
                gru_input_cell<R>(cell, rows + r, m, j, buf);
            } else if (cell->reset_after) {
                gated_product<R, 3, 3, 4, 3>(cell, w, rows + r, m, j, buf);
                gru_after_cell<R, HAS_OPTIONS>(cell, rows + r, m, j, buf);
            } else {
                gated_product<R, 3, 2, 3, 1>(cell, w, rows + r, m, j, buf);
                gru_before_gates<R, HAS_OPTIONS>(cell, rows + r, m, j, buf);
            }
        }
}

template <class R>
static void gru_forward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                        gw_int last, int phase) {
    if (cell->has_options) gru_units_forward<R, true>(cell, rows, n, first, last, phase);
    else gru_units_forward<R, false>(cell, rows, n, first, last, phase);
}

// The gradient of h, from the step after and from y; `h` is what the cell made before zoneout.
template <class R> GW_INLINE Vec<R> gru_gradient_of_h(const gw_cell<R> *cell, const gw_row<R> &row,
                                                      gw_int u, Vec<R> h, gw_int lanes) {
    if (!cell->activates_output || !row.dy) return gradient_of_h(row, u, lanes);
    if (cell->zoneout_h > 0)
        h = mixed<R>(kept_of_h(cell, row, u), load_first(row.h0 + u, lanes), h);
    const Vec<R> dy = load_first(row.dy + u, lanes), y = activated<R>(h, cell->out);
    return fma(dy, slope(y, cell->out), load_first(row.dh + u, lanes));
}

// B1, and B2 of the reset-after form, for one row.
template <class R, bool HAS_OPTIONS> GW_INLINE void gru_cell_backward(const gw_cell<R> *cell,
                                                                      const gw_row<R> &row,
                                                                      gw_int first, gw_int last) {
    const gw_int H = cell->units;
    for (gw_int u = first; u < last; u += LANES<R>) {
        const gw_int lanes = lanes_left<R>(H, u);
        R *s = row.gates + u;
        Vec<R> z = load_first(s, lanes), r = load_first(s + H, lanes),
               n = load_first(s + 2 * H, lanes), q = load_first(s + 3 * H, lanes),
               h0 = load_first(row.h0 + u, lanes);
        Vec<R> dh, one = splat(R(1));
        if (HAS_OPTIONS) {
            dh = gru_gradient_of_h(cell, row, u, gru_mix(cell, z, h0, n), lanes);
            dh = keep_straight_part<R, HAS_OPTIONS>(cell, row, u, dh, lanes);
        } else {
            dh = gradient_of_h(row, u, lanes);
        }
        Vec<R> keep = cell->chung ? one - z : z, difference = cell->chung ? n - h0 : h0 - n;
        Vec<R> dn = dh * (one - keep) *
                    slope_within<R, HAS_OPTIONS>(cell, n, cell->act, cell->act_ends),
               straight = dh * keep;
        if (HAS_OPTIONS) straight += load_first(row.dh + u, lanes);
        store_first(row.dh + u, straight, lanes);
        Vec<R> dz = dh * difference;
        auto slope_of_gate = [=](Vec<R> gate) {
            return slope_within<R, HAS_OPTIONS>(cell, gate, cell->gate, cell->gate_ends);
        };
        if (HAS_OPTIONS && cell->candidate == GW_SPLIT) {
            dz -= dn * q;
            store_first(s + H, dn * load_first(s + 4 * H, lanes) * slope_of_gate(r), lanes);
            store_first(s + 2 * H, dn * r, lanes);
            store_first(s + 3 * H, dn * (one - z), lanes);
        } else if (HAS_OPTIONS && gru_input_only(cell)) {
            store_first(s + H, dn * q * slope_of_gate(r), lanes); // q is v
            store_first(s + 2 * H, dn * r, lanes);
        } else {
            store_first(s + 2 * H, dn, lanes);
            if (cell->reset_after) {
                const bool complement = HAS_OPTIONS && cell->candidate == GW_COMPLEMENT;
                const Vec<R> dr = dn * q * slope_of_gate(r);
                store_first(s + H, complement ? -dr : dr, lanes);
                store_first(s + 3 * H, dn * gru_reset<R, HAS_OPTIONS>(cell, r), lanes);
            }
        }
        store_first(s, dz * slope_of_gate(z), lanes);
    }
}

// B2 of the reset-before form: dq from dn, which gives dr and a part of dh'.
template <class R, bool HAS_OPTIONS>
static void gru_before_reset(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                             gw_int last) {
    const gw_int H = cell->units;
    const R *u_n = cell->weights + transposed_size<R>(H, 2 * H);
    column_product(H, &gw_row<R>::gates, 0, H, rows, n, first, last, u_n, 2 * H, H, 0, 0,
                   [=](const gw_row<R> &row, gw_int u, Vec<R> dq, gw_int lanes) {
        R *s = row.gates + u;
        const bool complement = HAS_OPTIONS && cell->candidate == GW_COMPLEMENT;
        Vec<R> r = load_first(s + H, lanes), d = dq * gru_reset<R, HAS_OPTIONS>(cell, r);
        if (complement) dq = -dq;
        if (row.mask) d *= load_first(row.mask + u, lanes);
        store_first(row.dh + u, load_first(row.dh + u, lanes) + d, lanes);
        store_first(s + H,
                    dq * load_first(row.h_in + u, lanes) *
                        slope_within<R, HAS_OPTIONS>(cell, r, cell->gate, cell->gate_ends),
                    lanes);
    });
}

template <class R, bool HAS_OPTIONS>
static void gru_units_backward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                               gw_int first, gw_int last, int phase) {
    const gw_int H = cell->units;
    if (phase == 0) {
        for (gw_int r = 0; r < n; r++)
            gru_cell_backward<R, HAS_OPTIONS>(cell, rows[r], first, last);
    } else if (gru_after(cell)) {
        add_recurrent_gradient(cell, 4, rows, n, first, last, cell->weights, 0, 2 * H, 3 * H, H);
    } else if (phase == 1 && gru_before(cell)) {
        gru_before_reset<R, HAS_OPTIONS>(cell, rows, n, first, last);
    } else {
        add_recurrent_gradient(cell, 4, rows, n, first, last, cell->weights, 0, 2 * H, 0, 0);
    }
}

template <class R>
static void gru_backward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                         gw_int last, int phase) {
    if (cell->has_options) gru_units_backward<R, true>(cell, rows, n, first, last, phase);
    else gru_units_backward<R, false>(cell, rows, n, first, last, phase);
}

template <class R> static gw_family<R> gru_family() {
    gw_family<R> f = {};
    f.block = LANES<R>;
    f.forward_phases = [](const gw_cell<R> *cell) { return gru_before(cell) ? 2 : 1; };
    f.backward_phases = [](const gw_cell<R> *cell) { return gru_before(cell) ? 3 : 2; };
    f.forward_size = gru_forward_size<R>, f.pack_forward = gru_pack_forward<R>;
    f.backward_size = [](const gw_cell<R> *cell) {
        return transposed_size<R>(cell->units, (gru_input_only(cell) ? 2 : 3) * cell->units);
    };
    // Reset after: [z r n] in one matrix. Reset before: [z r] in one, n in another behind it.
    f.pack_backward = [](const gw_cell<R> *cell, const gw_weights<R> *w, R *out) {
        const gw_int H = cell->units;
        const R *w_h = w->w_h;
        if (gru_input_only(cell)) {
            pack_transposed<R>(w_h, H, 2 * H, 0, 2 * H, out);
        } else if (cell->reset_after) {
            pack_transposed<R>(w_h, H, 3 * H, 0, 3 * H, out);
        } else {
            out = pack_transposed<R>(w_h, H, 3 * H, 0, 2 * H, out);
            pack_transposed<R>(w_h, H, 3 * H, 2 * H, H, out);
        }
    };
    f.project = [](const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                   gw_int last) {
        if (gru_after(cell)) gated_project<R, 3, 4>(cell, GRU_AFTER, rows, n, first, last);
        else gated_project<R, 3, 3>(cell, GRU_BEFORE, rows, n, first, last);
    };
    f.forward = gru_forward<R>, f.backward = gru_backward<R>;
    return f;
}

} // namespace GW_ISA
