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
//
// Options (HAS_OPTIONS):
//     peepholes    i and f add p * c' to their sums, o adds p * c (Gers and Schmidhuber 2000);
//                  dC += do * p_o,  dc' += di * p_i + df * p_f,  dp = sum of di c', df c', do c
//     left out     a gate without weights is 1 (Greff et al. 2017); coupled: f = 1 - i, and dC
//                  reaches i through g - c'
//     clip         all sums, peepholes included; cell_clip: c
//     projection   m = o * out(c);  h = m W_r (Sak et al. 2014);  dm = dH W_r^T takes the place of
//                  dH in B1 and B2
//     gate inside  h = out(o * c):  dp = dH * out'(h),  dC = dc + dp * o,  do = dp * c * gate'(o)
//     zoneout      options.h; h comes from the c before zoneout
// A gate that is left out has no block in the weights and is not saved.
//
// Packed forward: gated panels, peepholes in whole vectors, W_r in column panels.
// Packed backward: U^T, peepholes, W_r^T.
#pragma once
#include "gated.h"
#include "options.h"

namespace GW_ISA {

// By the number of gates with weights.
constexpr Gates LSTM_GATES[5] = {{0, 0, 0, 0, false},
                                 {1, 1, 1, 0, false},
                                 {2, 2, 2, 1, false},
                                 {3, 3, 3, 2, false},
                                 {4, 4, 4, 3, true}};

// Which block is whose: known to the compiler where no option can change it.
struct Blocks {
    int count, i, f, g, o;
};
template <class R, bool HAS_OPTIONS> GW_INLINE Blocks lstm_blocks(const gw_cell<R> *cell) {
    return HAS_OPTIONS ? Blocks{cell->gates, cell->at_i, cell->at_f, cell->at_g, cell->at_o}
                       : Blocks{4, 0, 1, 2, 3};
}

// Where the parts of a pack begin.
template <class R> GW_INLINE gw_int peephole_size(const gw_cell<R> *cell) {
    return cell->peepholes * padded<R>(cell->units);
}
template <class R> GW_INLINE gw_int peepholes_at(const gw_cell<R> *cell) {
    return blocks(cell) * gated_panel(cell, LSTM_GATES[cell->gates]);
}
template <class R> GW_INLINE gw_int projection_at(const gw_cell<R> *cell) {
    return peepholes_at(cell) + peephole_size(cell);
}
template <class R> GW_INLINE gw_int peepholes_behind(const gw_cell<R> *cell) {
    return transposed_size<R>(cell->width, cell->gates * cell->units);
}
template <class R> GW_INLINE gw_int projection_behind(const gw_cell<R> *cell) {
    return peepholes_behind(cell) + peephole_size(cell);
}
template <class R> GW_INLINE bool projects(const gw_cell<R> *cell) {
    return cell->width != cell->units;
}

template <class R> static gw_int lstm_forward_size(const gw_cell<R> *cell) {
    return projection_at(cell) + (projects(cell) ? padded<R>(cell->width) * cell->units : 0);
}
template <class R> static gw_int lstm_backward_size(const gw_cell<R> *cell) {
    return projection_behind(cell) +
           (projects(cell) ? transposed_size<R>(cell->units, cell->width) : 0);
}

template <class R> static R *pack_peepholes(const gw_cell<R> *cell, const R *p, R *out) {
    const gw_int H = cell->units;
    for (int k = 0; k < cell->peepholes; k++)
        for (gw_int u = 0; u < H; u += LANES<R>, out += LANES<R>)
            store(out, load_first(p + k * H + u, lanes_left<R>(H, u)));
    return out;
}

template <class R> static void lstm_pack_forward(const gw_cell<R> *cell, const gw_weights<R> *w,
                                                 R *out) {
    const gw_int H = cell->units, P = cell->width;
    const int n = cell->gates;
    const R *b = w->b;
    pack_gated(cell, LSTM_GATES[n], w->w_x, n * H, w->w_h, n * H, [=](gw_int j, R *p) {
        return pack_gates(b, H, j, n, p, fold_of<R>(LSTM_GATES[n], H, j));
    }, out);
    out = pack_peepholes(cell, w->peephole, out + peepholes_at(cell));
    if (projects(cell)) pack_columns(w->projection, P, P, H, out);
}

template <class R> static void lstm_pack_backward(const gw_cell<R> *cell, const gw_weights<R> *w,
                                                  R *out) {
    const gw_int H = cell->units, P = cell->width, columns = cell->gates * H;
    out = pack_transposed<R>(w->w_h, P, columns, 0, columns, out);
    out = pack_peepholes(cell, w->peephole, out);
    if (projects(cell)) pack_transposed<R>(w->projection, H, P, 0, P, out);
}

// ---- forward

// One slot of a tile += p * c, with c (m, LANES) or, where it is NULL, the rows' c'.
template <class R>
static void add_peephole(const gw_row<R> *row, gw_int m, gw_int j, gw_int lanes, const R *p,
                         const R *cell, R *buf, int slots, int slot) {
    const Vec<R> weight = load(p + j);
    for (gw_int r = 0; r < m; r++) {
        R *z = buf + (r * slots + slot) * LANES<R>;
        store(z, fma(weight, cell ? load(cell + r * LANES<R>) : load_first(row[r].c0 + j, lanes),
                     load(z)));
    }
}

// F1 to F3 on a tile's sums.
template <class R, bool HAS_OPTIONS>
GW_INLINE void lstm_cell(const gw_cell<R> *cell, const gw_row<R> *row, gw_int m, gw_int j, R *buf) {
    const gw_int L = LANES<R>, H = cell->units, lanes = lanes_left<R>(H, j);
    const Blocks b = lstm_blocks<R, HAS_OPTIONS>(cell);
    const R *peepholes = cell->weights + (HAS_OPTIONS ? peepholes_at(cell) : 0);
    const bool late = HAS_OPTIONS && cell->peephole_o >= 0; // o waits for c
    if (HAS_OPTIONS && cell->peephole_i >= 0)
        add_peephole<R>(row, m, j, lanes, peepholes + cell->peephole_i * padded<R>(H), nullptr, buf,
                        b.count, b.i);
    if (HAS_OPTIONS && cell->peephole_f >= 0)
        add_peephole<R>(row, m, j, lanes, peepholes + cell->peephole_f * padded<R>(H), nullptr, buf,
                        b.count, b.f);
    if (!HAS_OPTIONS || b.i >= 0)
        finish_slot<R, HAS_OPTIONS>(cell, buf, m, b.count, b.i, cell->gate);
    if (!HAS_OPTIONS || b.f >= 0)
        finish_slot<R, HAS_OPTIONS>(cell, buf, m, b.count, b.f, cell->gate);
    finish_slot<R, HAS_OPTIONS>(cell, buf, m, b.count, b.g, cell->act);
    if (!HAS_OPTIONS || (b.o >= 0 && !late))
        finish_slot<R, HAS_OPTIONS>(cell, buf, m, b.count, b.o, cell->gate);
    alignas(64) R states[GROUP_ROWS * LANES<R>];
    const Vec<R> one = splat(R(1));
    for (gw_int r = 0; r < m; r++) {
        const R *z = buf + r * b.count * L;
        if (!HAS_OPTIONS && row[r].gates)
            for (int g = 0; g < 4; g++)
                store_first(row[r].gates + g * H + j, load(z + g * L), lanes);
        const Vec<R> i = HAS_OPTIONS && b.i < 0 ? one : load(z + b.i * L),
                     before = load_first(row[r].c0 + j, lanes);
        const Vec<R> f =
            HAS_OPTIONS && b.f < 0 ? (cell->coupled ? one - i : one) : load(z + b.f * L);
        Vec<R> state = fma(f, before, i * load(z + b.g * L));
        if (HAS_OPTIONS && cell->cell_clip > 0) state = clipped<R>(state, cell->cell_clip);
        store(states + r * L, state);
        if (HAS_OPTIONS && cell->zoneout_c > 0)
            state = mixed<R>(kept_of_c(cell, row[r], j), before, state);
        store_first(row[r].c1 + j, state, lanes);
    }
    if (late) {
        add_peephole<R>(row, m, j, lanes, peepholes + cell->peephole_o * padded<R>(H), states, buf,
                        b.count, b.o);
        finish_slot<R, HAS_OPTIONS>(cell, buf, m, b.count, b.o, cell->gate);
    }
    const bool inside = HAS_OPTIONS && cell->output_gate_inside;
    if (inside)
        for (gw_int r = 0; r < m; r++)
            store(states + r * L, load(buf + (r * b.count + b.o) * L) * load(states + r * L));
    activate_slot(states, m, 1, 0, cell->out);
    for (gw_int r = 0; r < m; r++) {
        const R *z = buf + r * b.count * L;
        if (HAS_OPTIONS && row[r].gates)
            for (int g = 0; g < b.count; g++)
                store_first(row[r].gates + g * H + j, load(z + g * L), lanes);
        Vec<R> h = load(states + r * L);
        if (!HAS_OPTIONS || (b.o >= 0 && !inside)) h = load(z + b.o * L) * h;
        if (HAS_OPTIONS && projects(cell)) store_first(row[r].unprojected + j, h, lanes);
        else write_new_state<R, HAS_OPTIONS>(cell, row[r], j, h, lanes);
    }
}

// h = m W_r.
template <class R>
static void lstm_project_state(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                               gw_int first, gw_int last) {
    column_product(cell->width, &gw_row<R>::unprojected, 0, 0, rows, n, first, last,
                   cell->weights + projection_at(cell), 0, cell->units, 0, 0,
                   [=](const gw_row<R> &row, gw_int u, Vec<R> h, gw_int lanes) {
        write_new_state<R, true>(cell, row, u, h, lanes);
    });
}

// Fewer gates than four: their tile is a narrower one.
template <class R> static void lstm_product(const gw_cell<R> *cell, const R *w,
                                            const gw_row<R> *rows, gw_int m, gw_int j, R *buf) {
    switch (cell->gates) {
    case 1: return gated_product<R, 1, 1, 1, 0>(cell, w, rows, m, j, buf);
    case 2: return gated_product<R, 2, 2, 2, 1>(cell, w, rows, m, j, buf);
    case 3: return gated_product<R, 3, 3, 3, 2>(cell, w, rows, m, j, buf);
    default: return gated_product<R, 4, 4, 4, 3>(cell, w, rows, m, j, buf);
    }
}

template <class R, bool HAS_OPTIONS>
static void lstm_units_forward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                               gw_int first, gw_int last) {
    const Gates &gates = LSTM_GATES[HAS_OPTIONS ? cell->gates : 4];
    const gw_int L = LANES<R>, panel = gated_panel(cell, gates);
    alignas(64) R buf[BUFFER<R>];
    for (gw_int j = first; j < last; j += L) {
        const R *w = cell->weights + j / L * panel;
        const int fold = cell->sums_given ? 1 : fold_of<R>(gates, cell->units, j);
        for (gw_int r = 0, m; r < n; r += m) {
            m = group_rows(n - r);
            if (HAS_OPTIONS && fold == 1) lstm_product(cell, w, rows + r, m, j, buf);
            else if (fold == 1) gated_product<R, 4, 4, 4, 3>(cell, w, rows + r, m, j, buf);
            else if (fold == 2) folded_product<R, 2>(cell, w, rows + r, m, j, false, buf);
            else folded_product<R, 1>(cell, w, rows + r, m, j, false, buf);
            lstm_cell<R, HAS_OPTIONS>(cell, rows + r, m, j, buf);
        }
    }
}

template <class R>
static void lstm_forward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                         gw_int last, int phase) {
    if (phase == 1) lstm_project_state(cell, rows, n, first, last);
    else if (cell->has_options) lstm_units_forward<R, true>(cell, rows, n, first, last);
    else lstm_units_forward<R, false>(cell, rows, n, first, last);
}

template <class R>
static void lstm_project(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                         gw_int last) {
    const Gates &gates = LSTM_GATES[cell->gates];
    switch (cell->gates) {
    case 1: return gated_project<R, 1, 1>(cell, gates, rows, n, first, last);
    case 2: return gated_project<R, 2, 2>(cell, gates, rows, n, first, last);
    case 3: return gated_project<R, 3, 3>(cell, gates, rows, n, first, last);
    default: return gated_project<R, 4, 4>(cell, gates, rows, n, first, last);
    }
}

// ---- backward

// B1 and B2 for one vector of one row, from the gradient of h (of m, where it is projected).
template <class R, bool HAS_OPTIONS>
GW_INLINE void lstm_cell_backward(const gw_cell<R> *cell, const gw_row<R> &row, gw_int u,
                                  gw_int lanes, Vec<R> dh) {
    const gw_int H = cell->units;
    const Blocks b = lstm_blocks<R, HAS_OPTIONS>(cell);
    const R *peepholes = cell->weights + (HAS_OPTIONS ? peepholes_behind(cell) : 0);
    const Vec<R> one = splat(R(1));
    R *z = row.gates + u;
    const Vec<R> i = HAS_OPTIONS && b.i < 0 ? one : load_first(z + b.i * H, lanes);
    const Vec<R> f =
        HAS_OPTIONS && b.f < 0 ? (cell->coupled ? one - i : one) : load_first(z + b.f * H, lanes);
    const Vec<R> g = load_first(z + b.g * H, lanes),
                 o = HAS_OPTIONS && b.o < 0 ? one : load_first(z + b.o * H, lanes);
    const Vec<R> before = load_first(row.c0 + u, lanes);
    Vec<R> made = load_first(row.c1 + u, lanes); // the c that h came from
    if (HAS_OPTIONS && cell->zoneout_c > 0) {
        made = fma(f, before, i * g);
        if (cell->cell_clip > 0) made = clipped<R>(made, cell->cell_clip);
    }
    const bool inside = HAS_OPTIONS && cell->output_gate_inside;
    const Vec<R> tc = activated<R>(inside ? o * made : made, cell->out), s = slope(tc, cell->out);
    Vec<R> after = load_first(row.dc + u, lanes), straight = {};
    if (HAS_OPTIONS && cell->zoneout_c > 0) {
        const Vec<R> k = kept_of_c(cell, row, u);
        straight = k * after, after = (one - k) * after;
    }
    Vec<R> dc = fma(dh * o, s, after);
    auto add_to_peephole = [&](int k, Vec<R> dz, Vec<R> seen) { // dp += dz * (what it sees), and p
        R *sum = row.sums + k * H + u;
        store_first(sum, fma(dz, seen, load_first(sum, lanes)), lanes);
        return load(peepholes + k * padded<R>(H) + u);
    };
    if (!HAS_OPTIONS || b.o >= 0) {
        const Vec<R> dz = dh * (inside ? made * s : tc) *
                          slope_within<R, HAS_OPTIONS>(cell, o, cell->gate, cell->gate_ends);
        store_first(z + b.o * H, dz, lanes);
        if (HAS_OPTIONS && cell->peephole_o >= 0)
            dc = fma(dz, add_to_peephole(cell->peephole_o, dz, made), dc);
    }
    if (HAS_OPTIONS && cell->cell_clip > 0)
        dc = absolute<R>(made) >= cell->cell_clip ? Vec<R>{} : dc;
    Vec<R> dc0 = dc * f;
    if (HAS_OPTIONS) dc0 += straight;
    if (!HAS_OPTIONS || b.i >= 0) {
        const Vec<R> di = HAS_OPTIONS && cell->coupled ? g - before : g;
        const Vec<R> dz =
            dc * di * slope_within<R, HAS_OPTIONS>(cell, i, cell->gate, cell->gate_ends);
        store_first(z + b.i * H, dz, lanes);
        if (HAS_OPTIONS && cell->peephole_i >= 0)
            dc0 = fma(dz, add_to_peephole(cell->peephole_i, dz, before), dc0);
    }
    if (!HAS_OPTIONS || b.f >= 0) {
        const Vec<R> dz =
            dc * before * slope_within<R, HAS_OPTIONS>(cell, f, cell->gate, cell->gate_ends);
        store_first(z + b.f * H, dz, lanes);
        if (HAS_OPTIONS && cell->peephole_f >= 0)
            dc0 = fma(dz, add_to_peephole(cell->peephole_f, dz, before), dc0);
    }
    store_first(z + b.g * H,
                dc * i * slope_within<R, HAS_OPTIONS>(cell, g, cell->act, cell->act_ends), lanes);
    store_first(row.dc + u, dc0, lanes);
}

template <class R, bool HAS_OPTIONS>
static void lstm_units_backward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                                gw_int first, gw_int last) {
    for (gw_int r = 0; r < n; r++)
        for (gw_int u = first; u < last; u += LANES<R>) {
            const gw_int lanes = lanes_left<R>(cell->units, u);
            lstm_cell_backward<R, HAS_OPTIONS>(
                cell, rows[r], u, lanes,
                take_gradient_of_h<R, HAS_OPTIONS>(cell, rows[r], u, lanes));
        }
}

// The gradient of a projected h, kept for W_r's.
template <class R>
static void lstm_keep_gradient(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n,
                               gw_int first, gw_int last) {
    for (gw_int r = 0; r < n; r++)
        for (gw_int u = first; u < last; u += LANES<R>) {
            const gw_int lanes = lanes_left<R>(cell->width, u);
            store_first(rows[r].d_projected + u,
                        take_gradient_of_h<R, true>(cell, rows[r], u, lanes), lanes);
        }
}

// Phases: the units, then dh'. With a projection: the gradient of h, dm and the units, then dh'.
template <class R>
static void lstm_backward(const gw_cell<R> *cell, const gw_row<R> *rows, gw_int n, gw_int first,
                          gw_int last, int phase) {
    const int n_gates = cell->gates;
    const gw_int length = n_gates * cell->units;
    if (phase == (projects(cell) ? 2 : 1))
        return add_recurrent_gradient(cell, n_gates, rows, n, first, last, cell->weights, 0, length,
                                      0, 0);
    if (!projects(cell))
        return cell->has_options ? lstm_units_backward<R, true>(cell, rows, n, first, last)
                                 : lstm_units_backward<R, false>(cell, rows, n, first, last);
    if (phase == 0) return lstm_keep_gradient(cell, rows, n, first, last);
    column_product(cell->units, &gw_row<R>::d_projected, 0, cell->units, rows, n, first, last,
                   cell->weights + projection_behind(cell), 0, cell->width, 0, 0,
                   [=](const gw_row<R> &row, gw_int u, Vec<R> dm, gw_int lanes) {
        lstm_cell_backward<R, true>(cell, row, u, lanes, dm);
    });
}

template <class R> static gw_family<R> lstm_family() {
    gw_family<R> f = {};
    f.block = LANES<R>;
    f.forward_phases = [](const gw_cell<R> *cell) { return projects(cell) ? 2 : 1; };
    f.backward_phases = [](const gw_cell<R> *cell) { return projects(cell) ? 3 : 2; };
    f.forward_size = lstm_forward_size<R>, f.pack_forward = lstm_pack_forward<R>;
    f.backward_size = lstm_backward_size<R>, f.pack_backward = lstm_pack_backward<R>;
    f.project = lstm_project<R>, f.forward = lstm_forward<R>, f.backward = lstm_backward<R>;
    return f;
}

} // namespace GW_ISA
