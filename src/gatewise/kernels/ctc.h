// Connectionist temporal classification (Graves et al. 2006): one row, forward and backward, in
// logarithms.
//
// The labels l of a row (L of them) are read as S = 2 L + 1 states, a blank before, between and
// after them: l' = b l1 b l2 b ... b. From one step to the next a path stays, advances by one state,
// or by two where it skips a blank between two labels that differ. With y_t the softmax of the
// scores z_t:
//
//   F1  a_t(s) = log y_t(l'_s) + log(exp a_t-1(s) + exp a_t-1(s-1) [+ exp a_t-1(s-2)])
//   F2  log p  = log(exp a_T(S) + exp a_T(S-1))
//   B1  u_t(s) = b_t(s) + log y_t(l'_s)
//   B2  b_t(s) = log(exp u_t+1(s) + exp u_t+1(s+1) [+ exp u_t+1(s+2)]),  b_T(S) = b_T(S-1) = 0
//   B3  d(-log p)/dz_t(k) = y_t(k) - sum of exp(a_t(s) + b_t(s) - log p)
//                           over the states s of class k
//
// The recursions run in double whatever the scores are; -inf is the logarithm of zero. A step's
// states are computed side by side.
#pragma once
#include "arrays.h"
#include <cmath>

namespace GW_ISA {

// log(exp a + exp b). Where both are -inf their difference is NaN, and the answer -inf.
GW_INLINE vd log_add(vd a, vd b) {
    const vd top = a > b ? a : b, sum = top + softplus<double>(-absolute<double>(a - b));
    return top == -INFINITY ? top : sum;
}

// What the row needs of scratch, in doubles. Rows of states have two places of -inf beside them,
// before (a) or after (u), so that no state is a special case.
struct CtcScratch {
    gw_int width;
    double *skip, *log_y, *u, *b, *share, *occupied, *top, *log_sum, *a;
    CtcScratch(double *at, gw_int steps, gw_int states, gw_int columns)
        : width(states + 2), skip(at), log_y(skip + width), u(log_y + width), b(u + width),
          share(b + width), occupied(share + width), top(occupied + columns), log_sum(top + steps),
          a(log_sum + steps) {}
};

static gw_int ctc_size(gw_int steps, gw_int labels, gw_int columns, int want_gradient) {
    const gw_int width = 2 * labels + 3;
    return 5 * width + columns + 2 * steps + width * (want_gradient ? steps : 2);
}

// The class of state s.
GW_INLINE gw_int ctc_class(const gw_int *labels, gw_int blank, gw_int s) {
    return s % 2 ? labels[s / 2] : blank;
}

// log y_t(l'_s) = (z - top) - log sum exp(z - top) for all states. Large scores lose nothing: top
// goes first.
template <class R>
static void ctc_log_y(const R *z, double top, double log_sum, const gw_int *labels, gw_int blank,
                      gw_int states, double *log_y) {
    for (gw_int s = 0; s < states; s++)
        log_y[s] = ((double)z[ctc_class(labels, blank, s)] - top) - log_sum;
}

// F1; `before` is NULL at the first step.
static void ctc_forward_step(const double *before, const double *skip, const double *log_y,
                             gw_int states, double *a) {
    if (!before) {
        fill_with<double>(a, states, -INFINITY);
        for (gw_int s = 0; s < states && s < 2; s++) a[s] = log_y[s];
        return;
    }
    for_each_vector<double>(states, [&](gw_int s, gw_int lanes) {
        const vd one = log_add(load_first(before + s, lanes), load_first(before + s - 1, lanes));
        const vd two =
            log_add(one, load_first(before + s - 2, lanes) + load_first(skip + s, lanes));
        store_first(a + s, two + load_first(log_y + s, lanes), lanes);
    });
}

// B2; `last` at the last step.
static void ctc_backward_step(const double *u, const double *skip, bool last, gw_int states,
                              double *b) {
    if (last) {
        fill_with<double>(b, states, -INFINITY);
        for (gw_int s = states > 1 ? states - 2 : 0; s < states; s++) b[s] = 0;
        return;
    }
    for_each_vector<double>(states, [&](gw_int s, gw_int lanes) {
        const vd one = log_add(load_first(u + s, lanes), load_first(u + s + 1, lanes));
        store_first(b + s,
                    log_add(one, load_first(u + s + 2, lanes) + load_first(skip + s + 2, lanes)),
                    lanes);
    });
}

// -log p of the labels; gradient (steps, columns) = scale times its gradient, or NULL. If there are
// too few steps for the labels, the value is inf and the gradient 0; if a score is not finite, the
// value is NaN. z (steps, columns); labels (count,), each a column that is not the blank; scratch:
// ctc_size doubles.
template <class R>
static double ctc(const R *z, gw_int steps, gw_int columns, const gw_int *labels, gw_int count,
                  gw_int blank, double scale, R *gradient, double *scratch) {
    if (steps == 0) return count ? INFINITY : 0;
    const gw_int states = 2 * count + 1;
    const CtcScratch m(scratch, steps, states, columns);
    const auto a_of = [&](gw_int t) { return m.a + (gradient ? t : t % 2) * m.width + 2; };
    for (gw_int s = 0; s < states + 2; s++) // 0 where s may follow s - 2
        m.skip[s] =
            s % 2 && s > 2 && s < states && labels[s / 2] != labels[s / 2 - 1] ? 0 : -INFINITY;

    double broken = 0;
    for (gw_int t = 0; t < steps; t++) {
        const R *scores = z + t * columns, top = largest(scores, columns);
        const double sum =
            exponentials(scores, top, columns, gradient ? gradient + t * columns : NULL);
        m.top[t] = (double)top, m.log_sum[t] = std::log(sum);
        broken += m.log_sum[t] - m.log_sum[t]; // NaN if a score is
        ctc_log_y(scores, m.top[t], m.log_sum[t], labels, blank, states, m.log_y);
        double *a = a_of(t);
        a[-1] = a[-2] = -INFINITY;
        ctc_forward_step(t ? a_of(t - 1) : NULL, m.skip, m.log_y, states, a);
        if (gradient) { // its row holds exp(z - top)
            R *row = gradient + t * columns;
            const R share = (R)(scale / sum);
            for_each_vector<R>(columns, [&](gw_int j, gw_int lanes) {
                store_first(row + j, load_first(row + j, lanes) * share, lanes);
            });
        }
    }
    const double *end = a_of(steps - 1) + states;
    const double high = end[-1] > end[-2] ? end[-1] : end[-2]; // of one state, end[-2] is -inf
    const double low = end[-1] > end[-2] ? end[-2] : end[-1];
    const double log_p = high == -INFINITY ? high : high + std::log1p(std::exp(low - high)); // F2
    if (broken != 0 || log_p == -INFINITY) {
        if (gradient) fill_with(gradient, steps * columns, R(0));
        return broken != 0 ? NAN : INFINITY;
    }
    if (!gradient) return log_p < 0 ? -log_p : 0; // p rounds to 1 from above, too

    fill_with(m.occupied, columns, 0.);
    for (gw_int t = steps - 1; t >= 0; t--) {
        const double *a = a_of(t);
        ctc_backward_step(m.u, m.skip, t == steps - 1, states, m.b);
        ctc_log_y(z + t * columns, m.top[t], m.log_sum[t], labels, blank, states, m.log_y);
        for_each_vector<double>(states, [&](gw_int s, gw_int lanes) {
            const vd b = load_first(m.b + s, lanes);
            store_first(m.share + s,
                        exponential_of_negative<double>(load_first(a + s, lanes) + b - log_p),
                        lanes);
            store_first(m.u + s, b + load_first(m.log_y + s, lanes), lanes); // B1
        });
        m.u[states] = m.u[states + 1] = -INFINITY;
        for (gw_int s = 0; s < states; s++) m.occupied[ctc_class(labels, blank, s)] += m.share[s];
        for (gw_int s = 0; s < states;
             s++) { // B3; a class that comes again has nothing left to give
            const gw_int k = ctc_class(labels, blank, s);
            gradient[t * columns + k] -= (R)(scale * m.occupied[k]);
            m.occupied[k] = 0;
        }
    }
    return log_p < 0 ? -log_p : 0;
}

} // namespace GW_ISA
