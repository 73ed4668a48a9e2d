// Vectorised exp, sigmoid, tanh and the other activations, and their derivatives.
//
// Error bounds (held by tests/kernels/test_vmath.py): 4 ulp in float32, 8 ulp in float64, results
// below the smallest normal number included. Ends are exact: sigmoid(-inf) = 0, tanh(inf) = 1,
// exp(-inf) = 0. NaN gives NaN. Every comparison is written so that a NaN takes the branch that
// keeps it.
//
// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln(2)/2 (Cody and Waite 1980). ln 2 is split
// in two so that n * LN2_HI is exact. The polynomial gives exp(r) - 1, which keeps tanh accurate
// near 0.
#pragma once
#include "simd.h"

namespace GW_ISA {

template <class R> struct Exp;
template <> struct Exp<float> {
    static constexpr float LOG2E = 1.44269504088896341f, LN2_HI = 0.693359375f,
                           LN2_LO = -2.12194440e-4f;
    static constexpr float ROUND = 12582912.f;        // 1.5 * 2^23: adding it rounds to an integer
    static constexpr float LOW = -104.f, HIGH = 89.f; // beyond: 0 and infinity
    static constexpr float TANH_ONE = 20.f;           // tanh(x) rounds to 1 where 2x passes this
    // (exp(r) - 1 - r) / r^2, Cephes expf (Moshier 1992)
    static inline __attribute__((always_inline)) vf tail(vf r) {
        vf p = fma(splat(1.9875691500e-4f), r, splat(1.3981999507e-3f));
        p = fma(p, r, splat(8.3334519073e-3f));
        p = fma(p, r, splat(4.1665795894e-2f));
        p = fma(p, r, splat(1.6666665459e-1f));
        return fma(p, r, splat(5.0000001201e-1f));
    }
};
template <> struct Exp<double> {
    static constexpr double LOG2E = 1.4426950408889634, LN2_HI = 6.93145751953125e-1,
                            LN2_LO = 1.42860682030941723212e-6;
    static constexpr double ROUND = 6755399441055744.;
    static constexpr double LOW = -746., HIGH = 710.;
    static constexpr double TANH_ONE = 40.;
    // The Taylor series to r^13/13!: what is left out is under 1e-17.
    static inline __attribute__((always_inline)) vd tail(vd r) {
        vd p = splat(1. / 6227020800.);
        p = fma(p, r, splat(1. / 479001600.));
        p = fma(p, r, splat(1. / 39916800.));
        p = fma(p, r, splat(1. / 3628800.));
        p = fma(p, r, splat(1. / 362880.));
        p = fma(p, r, splat(1. / 40320.));
        p = fma(p, r, splat(1. / 5040.));
        p = fma(p, r, splat(1. / 720.));
        p = fma(p, r, splat(1. / 120.));
        p = fma(p, r, splat(1. / 24.));
        p = fma(p, r, splat(1. / 6.));
        return fma(p, r, splat(.5));
    }
};

// x = n ln 2 + r; returns exp(r) - 1.
template <class R> GW_INLINE Vec<R> exp_reduced(Vec<R> x, Vec<R> &n) {
    typedef Exp<R> E;
    n = fma(x, splat(E::LOG2E), splat(E::ROUND)) - E::ROUND;
    Vec<R> r = fma(n, splat(-E::LN2_LO), fma(n, splat(-E::LN2_HI), x));
    return fma(E::tail(r) * r, r, r);
}

template <class R> GW_INLINE Vec<R> exponential(Vec<R> x) {
    typedef Exp<R> E;
    x = x < E::LOW ? splat(E::LOW) : x;
    x = x > E::HIGH ? splat(E::HIGH) : x;
    Vec<R> n, p = exp_reduced<R>(x, n);
    return scale_by_power_of_2(p + R(1), n);
}

// exp of a number <= 0, or NaN: no upper end to guard. Where the result is zero it is not computed:
// a scaling that underflows takes the processor 80 ns, and the gates of a saturated network are all
// such.
template <class R> GW_INLINE Vec<R> exponential_of_negative(Vec<R> x) {
    typedef Exp<R> E;
    Vec<R> zero = {}, y = x < E::LOW ? zero : x;
    Vec<R> n, p = exp_reduced<R>(y, n), e = scale_by_power_of_2(p + R(1), n);
    return x < E::LOW ? zero : e;
}

// exp(x) - 1 for x <= 0, or NaN.
template <class R> GW_INLINE Vec<R> expm1_of_negative(Vec<R> x) {
    Vec<R> low = splat(R(-50)); // exp(-50) - 1 rounds to -1
    x = x < low ? low : x;
    Vec<R> n, p = exp_reduced<R>(x, n), s = scale_by_power_of_2(splat(R(1)), n);
    return fma(s, p, s - R(1));
}

// From exp(-|x|), which is in [0, 1]: accurate at both ends, no overflow to guard.
template <class R> GW_INLINE Vec<R> sigmoid(Vec<R> x) {
    Vec<R> e = exponential_of_negative<R>(-absolute<R>(x));
    Vec<R> y = reciprocal(e + R(1));
    return x < R(0) ? e * y : y;
}

// tanh |x| = (e - 1) / (e + 1), e = exp(2|x|), with e - 1 formed without cancellation. Near 1 it is
// 1 - 2 / (e + 1), which rises to 1 and stays there.
template <class R> GW_INLINE Vec<R> hyperbolic_tangent(Vec<R> x) {
    typedef Exp<R> E;
    Vec<R> a = absolute<R>(x);
    a = a + a;
    a = a > E::TANH_ONE ? splat(E::TANH_ONE) : a;
    Vec<R> n, p = exp_reduced<R>(a, n), s = scale_by_power_of_2(splat(R(1)), n);
    Vec<R> m = fma(s, p, s - R(1));
    Vec<R> r = reciprocal(m + R(2));
    Vec<R> y = m > R(16) ? fma(r, splat(R(-2)), splat(R(1))) : m * r;
    return with_sign_of<R>(y, x);
}

// log(1 + e) + offset for e in [0, 1]. log(1 + e) = 2 atanh(e / (2 + e)), whose argument is at most
// 1/3: the series to z^33 (z^17 in float32) leaves out less than half an ulp.
template <class R> GW_INLINE Vec<R> log1p_of_unit(Vec<R> e, Vec<R> offset = Vec<R>{}) {
    const int last = sizeof(R) == 4 ? 17 : 33;
    Vec<R> z = e / (e + R(2)), q = z * z, p = splat(R(1. / last));
    for (int k = last - 2; k > 0; k -= 2) p = fma(p, q, splat(R(1. / k)));
    return fma(z + z, p, offset);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))
template <class R> GW_INLINE Vec<R> softplus(Vec<R> x) {
    return log1p_of_unit<R>(exponential_of_negative<R>(-absolute<R>(x)), x < R(0) ? Vec<R>{} : x);
}

// ---- the activations by name; the numbers are those of kernels/activations.py

enum Activation {
    LINEAR,
    TANH,
    SIGMOID,
    RELU,
    HARD_SIGMOID,
    SOFTSIGN,
    SOFTPLUS,
    ELU,
    LEAKY_RELU,
    EXPONENTIAL,
    THRESHOLDED_RELU,
    SCALED_TANH,
    AFFINE
};

// alpha, beta: slope and offset of hard_sigmoid and affine, alpha of elu and leaky_relu, threshold
// of thresholded_relu, alpha * tanh(beta * x) of scaled_tanh; else unused.
template <class R, int KIND> GW_INLINE Vec<R> activation(Vec<R> x, R alpha, R beta) {
    const R zero = 0, one = 1;
    if (KIND == TANH) return hyperbolic_tangent<R>(x);
    if (KIND == SIGMOID) return sigmoid<R>(x);
    if (KIND == RELU) return x < zero ? Vec<R>{} : x;
    if (KIND == HARD_SIGMOID) {
        Vec<R> y = fma(x, splat(alpha), splat(beta));
        y = y < zero ? Vec<R>{} : y;
        return y > one ? splat(one) : y;
    }
    if (KIND == SOFTSIGN) { // at infinity x / (1 + |x|) would be NaN
        Vec<R> a = absolute<R>(x), big = splat(R(sizeof(R) == 4 ? 1e30 : 1e300));
        a = a > big ? big : a;
        return with_sign_of<R>(a / (a + one), x);
    }
    if (KIND == SOFTPLUS) return softplus<R>(x);
    if (KIND == ELU)
        return x < zero ? splat(alpha) * expm1_of_negative<R>(x < zero ? x : Vec<R>{}) : x;
    if (KIND == LEAKY_RELU) return x < zero ? splat(alpha) * x : x;
    if (KIND == EXPONENTIAL) return exponential<R>(x);
    if (KIND == THRESHOLDED_RELU) return x <= alpha ? Vec<R>{} : x;
    if (KIND == SCALED_TANH) return alpha * hyperbolic_tangent<R>(beta * x);
    if (KIND == AFFINE) return fma(x, splat(alpha), splat(beta));
    return x;
}

// dy/dx from the OUTPUT y: nothing but the output needs to be kept for the backward pass.
template <class R, int KIND> GW_INLINE Vec<R> activation_slope(Vec<R> y, R alpha, R beta) {
    const R zero = 0, one = 1;
    (void)beta;
    if (KIND == TANH) return fma(-y, y, splat(one));
    if (KIND == SIGMOID) return fma(-y, y, y);
    if (KIND == RELU) return y > zero ? splat(one) : Vec<R>{};
    if (KIND == HARD_SIGMOID) return (y > zero) & (y < one) ? splat(alpha) : Vec<R>{};
    if (KIND == SOFTSIGN) {
        Vec<R> s = one - absolute<R>(y);
        return s * s;
    }
    if (KIND == SOFTPLUS) return -expm1_of_negative<R>(-y);
    if (KIND == ELU) return y < zero ? y + alpha : splat(one);
    if (KIND == LEAKY_RELU) return y < zero ? splat(alpha) : splat(one);
    if (KIND == EXPONENTIAL) return y;
    if (KIND == THRESHOLDED_RELU) return y == zero ? Vec<R>{} : splat(one);
    if (KIND == SCALED_TANH) return fma(y * (-beta / alpha), y, splat(alpha * beta));
    if (KIND == AFFINE) return splat(alpha);
    return splat(one);
}

// Calls f with the kind as a compile-time constant: one branch a tile, none an element.
#define GW_WITH_ACTIVATION(KIND_VALUE, CALL)                                                       \
    switch (KIND_VALUE) {                                                                          \
    case TANH: {                                                                                   \
        constexpr int KIND = TANH;                                                                 \
        CALL;                                                                                      \
    } break;                                                                                       \
    case SIGMOID: {                                                                                \
        constexpr int KIND = SIGMOID;                                                              \
        CALL;                                                                                      \
    } break;                                                                                       \
    case RELU: {                                                                                   \
        constexpr int KIND = RELU;                                                                 \
        CALL;                                                                                      \
    } break;                                                                                       \
    case HARD_SIGMOID: {                                                                           \
        constexpr int KIND = HARD_SIGMOID;                                                         \
        CALL;                                                                                      \
    } break;                                                                                       \
    case SOFTSIGN: {                                                                               \
        constexpr int KIND = SOFTSIGN;                                                             \
        CALL;                                                                                      \
    } break;                                                                                       \
    case SOFTPLUS: {                                                                               \
        constexpr int KIND = SOFTPLUS;                                                             \
        CALL;                                                                                      \
    } break;                                                                                       \
    case ELU: {                                                                                    \
        constexpr int KIND = ELU;                                                                  \
        CALL;                                                                                      \
    } break;                                                                                       \
    case LEAKY_RELU: {                                                                             \
        constexpr int KIND = LEAKY_RELU;                                                           \
        CALL;                                                                                      \
    } break;                                                                                       \
    case EXPONENTIAL: {                                                                            \
        constexpr int KIND = EXPONENTIAL;                                                          \
        CALL;                                                                                      \
    } break;                                                                                       \
    case THRESHOLDED_RELU: {                                                                       \
        constexpr int KIND = THRESHOLDED_RELU;                                                     \
        CALL;                                                                                      \
    } break;                                                                                       \
    case SCALED_TANH: {                                                                            \
        constexpr int KIND = SCALED_TANH;                                                          \
        CALL;                                                                                      \
    } break;                                                                                       \
    case AFFINE: {                                                                                 \
        constexpr int KIND = AFFINE;                                                               \
        CALL;                                                                                      \
    } break;                                                                                       \
    default: {                                                                                     \
        constexpr int KIND = LINEAR;                                                               \
        CALL;                                                                                      \
    } break;                                                                                       \
    }

} // namespace GW_ISA
