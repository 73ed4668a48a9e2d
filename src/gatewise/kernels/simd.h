// One vector register of floats or doubles, and the few operations that need an intrinsic.
//
// Everything else is written with the compiler's own vector types (a + b, a < b ? c : d), so the
// same text serves every instruction set. This header is compiled once for each of them; GW_ISA
// names the set and its namespace, so that no symbol of one build can stand in for another's.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "table.h"
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define GW_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define GW_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define GW_VECTOR_BYTES 32
#else
#define GW_VECTOR_BYTES 16
#endif

// Rows of a tile: 4 vectors a row must stay in registers beside the weights and one broadcast.
#if defined(__AVX512F__) || defined(__aarch64__)
#define GW_TILE_ROWS 6 // 32 registers
#else
#define GW_TILE_ROWS 3 // 16 registers
#endif

namespace GW_ISA {

typedef float vf __attribute__((vector_size(GW_VECTOR_BYTES)));
typedef double vd __attribute__((vector_size(GW_VECTOR_BYTES)));
typedef int32_t vi32 __attribute__((vector_size(GW_VECTOR_BYTES)));
typedef int64_t vi64 __attribute__((vector_size(GW_VECTOR_BYTES)));

template <class R> struct Lanes;
template <> struct Lanes<float> {
    typedef vf V;
    typedef vi32 I;
    typedef vf unaligned __attribute__((aligned(4), may_alias));
};
template <> struct Lanes<double> {
    typedef vd V;
    typedef vi64 I;
    typedef vd unaligned __attribute__((aligned(8), may_alias));
};
template <class R> using Vec = typename Lanes<R>::V;
template <class R> using VecInt = typename Lanes<R>::I;

template <class R> constexpr gw_int LANES = GW_VECTOR_BYTES / (gw_int)sizeof(R);

template <class R> GW_INLINE Vec<R> load(const R *p) {
    return *(const typename Lanes<R>::unaligned *)p;
}
template <class R> GW_INLINE void store(R *p, Vec<R> v) { *(typename Lanes<R>::unaligned *)p = v; }
template <class R> GW_INLINE Vec<R> splat(R a) { return a - Vec<R>{}; }

// Absolute value and sign by bits: NaN stays NaN and -0 keeps its sign.
template <class R> constexpr VecInt<R> sign_bit() {
    return VecInt<R>{} | (sizeof(R) == 4 ? (decltype(VecInt<R>{}[0]))INT32_MIN
                                         : (decltype(VecInt<R>{}[0]))INT64_MIN);
}
template <class R> GW_INLINE Vec<R> absolute(Vec<R> x) {
    return (Vec<R>)((VecInt<R>)x & ~sign_bit<R>());
}
template <class R> GW_INLINE Vec<R> with_sign_of(Vec<R> magnitude, Vec<R> x) {
    return (Vec<R>)((VecInt<R>)magnitude | ((VecInt<R>)x & sign_bit<R>()));
}

// a*b + c, rounded once where the machine can. Always through here: the compiler is told not to
// contract on its own (-ffp-contract=off), so that a tile of 6 rows and one of 1 row round alike.
#if defined(__AVX512F__)
GW_INLINE vf fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
GW_INLINE vd fma(vd a, vd b, vd c) {
    return (vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__FMA__)
GW_INLINE vf fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
GW_INLINE vd fma(vd a, vd b, vd c) {
    return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__aarch64__)
GW_INLINE vf fma(vf a, vf b, vf c) {
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
GW_INLINE vd fma(vd a, vd b, vd c) {
    return (vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
GW_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }
GW_INLINE vd fma(vd a, vd b, vd c) { return a * b + c; }
#endif

// The first n lanes (0 < n <= lanes); the others read as zero and are not written.
#if defined(__AVX512F__)
GW_INLINE vf load_part(const float *p, gw_int n) {
    return (vf)_mm512_maskz_loadu_ps((__mmask16)(0xffffu >> (16 - n)), p);
}
GW_INLINE vd load_part(const double *p, gw_int n) {
    return (vd)_mm512_maskz_loadu_pd((__mmask8)(0xffu >> (8 - n)), p);
}
GW_INLINE void store_part(float *p, vf v, gw_int n) {
    _mm512_mask_storeu_ps(p, (__mmask16)(0xffffu >> (16 - n)), (__m512)v);
}
GW_INLINE void store_part(double *p, vd v, gw_int n) {
    _mm512_mask_storeu_pd(p, (__mmask8)(0xffu >> (8 - n)), (__m512d)v);
}
#elif defined(__AVX2__)
GW_INLINE __m256i first_lanes32(gw_int n) {
    return (__m256i)((vi32){0, 1, 2, 3, 4, 5, 6, 7} < (vi32{} + (int32_t)n));
}
GW_INLINE __m256i first_lanes64(gw_int n) {
    return (__m256i)((vi64){0, 1, 2, 3} < (vi64{} + (int64_t)n));
}
GW_INLINE vf load_part(const float *p, gw_int n) {
    return (vf)_mm256_maskload_ps(p, first_lanes32(n));
}
GW_INLINE vd load_part(const double *p, gw_int n) {
    return (vd)_mm256_maskload_pd(p, first_lanes64(n));
}
GW_INLINE void store_part(float *p, vf v, gw_int n) {
    _mm256_maskstore_ps(p, first_lanes32(n), (__m256)v);
}
GW_INLINE void store_part(double *p, vd v, gw_int n) {
    _mm256_maskstore_pd(p, first_lanes64(n), (__m256d)v);
}
#else
template <class R> GW_INLINE Vec<R> load_part(const R *p, gw_int n) {
    Vec<R> v = {};
    for (gw_int l = 0; l < n; l++) v[l] = p[l];
    return v;
}
GW_INLINE void store_part(float *p, vf v, gw_int n) {
    for (gw_int l = 0; l < n; l++) p[l] = v[l];
}
GW_INLINE void store_part(double *p, vd v, gw_int n) {
    for (gw_int l = 0; l < n; l++) p[l] = v[l];
}
#endif

template <class R> GW_INLINE Vec<R> load_first(const R *p, gw_int n) {
    return n == LANES<R> ? load(p) : load_part(p, n);
}
template <class R> GW_INLINE void store_first(R *p, Vec<R> v, gw_int n) {
    if (n == LANES<R>) store(p, v);
    else store_part(p, v, n);
}

// 1/d for finite d >= 1. AVX-512's estimate has 14 bits; one Newton step gives 28.
#if defined(__AVX512F__)
GW_INLINE vf reciprocal(vf d) {
    vf y = (vf)_mm512_rcp14_ps((__m512)d);
    return y * fma(-d, y, splat<float>(2.f));
}
#else
GW_INLINE vf reciprocal(vf d) { return 1.f / d; }
#endif
GW_INLINE vd reciprocal(vd d) { return 1. / d; }

// v * 2^n for integral n, |n| < 200 (float) or 1200 (double), with gradual underflow. In two
// halves, because 2^n alone may be out of range where v * 2^n is not.
#if defined(__AVX512F__)
GW_INLINE vf scale_by_power_of_2(vf v, vf n) { return (vf)_mm512_scalef_ps((__m512)v, (__m512)n); }
GW_INLINE vd scale_by_power_of_2(vd v, vd n) {
    return (vd)_mm512_scalef_pd((__m512d)v, (__m512d)n);
}
#else
GW_INLINE vf scale_by_power_of_2(vf v, vf n) {
    vi32 k = (vi32)(n + 12582912.f) - 0x4b400000; // 1.5 * 2^23 puts the integer in the low bits
    vi32 half = k >> 1;
    return v * (vf)((half + 127) << 23) * (vf)((k - half + 127) << 23);
}
GW_INLINE vd scale_by_power_of_2(vd v, vd n) {
    vi64 k = (vi64)(n + 6755399441055744.) - 0x4338000000000000; // 1.5 * 2^52
    vi64 half = k >> 1;
    return v * (vd)((half + 1023) << 52) * (vd)((k - half + 1023) << 52);
}
#endif

} // namespace GW_ISA
