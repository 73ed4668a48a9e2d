// Products of a vector with weights that are narrower than float32: bfloat16 or int8. A step of one
// sequence reads each weight once, so that its time is that of reading them.
//
// z += x W for a few rows. Columns come in panels of 4 vectors. Inputs come in pairs (bfloat16) or
// in fours (int8), and those of one column lie together, so that one load has all of them for one
// vector of columns:
//
//     bfloat16  [panel][pair of inputs][columns][2]     int8  [panel][four inputs][columns][4]
//
// bfloat16: a weight becomes a float by a shift. Two chains of fma, over even and over odd inputs,
// are added to each other and then to z; x stays float32.
//
// int8: x is rounded to 16 bits by the largest number of its row, q = round(x / step), so that the
// error is that of the weights alone. Sums of q w are exact in 32 bits for BLOCK inputs, whatever
// the instruction; then z += sum * (step * scale of the column). With AVX-512's VNNI q is two
// bytes, 256 a + b - 32768 with a and b from 0 to 255, and the weights' sums correct for 32768.
//
// `narrow_give` brings one row of x into this form, `narrow_product` multiplies.
#pragma once
#include "arrays.h"
#include "tile.h"

namespace GW_ISA {

constexpr gw_int NARROW_AHEAD = 4096; // bytes of weights that are fetched ahead
#if GW_TILE_ROWS > 3
constexpr int NARROW_ROWS = 2; // rows of a tile
#else
constexpr int NARROW_ROWS = 1;
#endif

static gw_int narrow_columns() { return panel_columns<float>(); }
GW_INLINE gw_int in_fours(gw_int n) { return (n + 3) / 4; }
GW_INLINE gw_int in_lines(gw_int bytes) { return (bytes + 63) / 64 * 64; }

// Reads of memory that was written as something else.
typedef vi32 vi32_unaligned __attribute__((aligned(4), may_alias));
typedef int32_t FourBytes __attribute__((may_alias));
typedef int64_t FourWords __attribute__((may_alias));

// The pointers of M rows.
template <int M> struct NarrowRows {
    const unsigned char *given[M];
    float *z[M];
};

// ---- bfloat16


template <int M> static void bfloat16_panel(const gw_narrow *w, gw_int panel, gw_int lanes,
                                            const NarrowRows<M> &rows) {
    const gw_int L = LANES<float>, pairs = (w->inputs + 1) / 2;
    const char *p = (const char *)w->panels + panel * pairs * 4 * GW_VECTOR_BYTES;
    const float *x[M];
    for (int r = 0; r < M; r++) x[r] = (const float *)(rows.given[r] + 64);
    vf even[M][4] = {}, odd[M][4] = {};
    for (gw_int k = 0; k < pairs; k++, p += 4 * GW_VECTOR_BYTES) {
#pragma GCC unroll 4
        for (int b = 0; b < 4 * GW_VECTOR_BYTES; b += 64) __builtin_prefetch(p + b + NARROW_AHEAD);
        vf x0[M], x1[M];
        for (int r = 0; r < M; r++)
            x0[r] = splat(x[r][2 * k]), x1[r] = splat(x[r][2 * k + 1]);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const vi32 two = *(const vi32_unaligned *)(p + v * GW_VECTOR_BYTES);
            const vf first = (vf)(two << 16), second = (vf)(two & (int32_t)0xffff0000);
#pragma GCC unroll 2
            for (int r = 0; r < M; r++) {
                even[r][v] = fma(x0[r], first, even[r][v]);
                odd[r][v] = fma(x1[r], second, odd[r][v]);
            }
        }
    }
    for (int r = 0; r < M; r++)
        for (int v = 0; v * L < lanes; v++) {
            float *z = rows.z[r] + v * L;
            const gw_int count = lanes - v * L < L ? lanes - v * L : L;
            store_first(z, load_first(z, count) + (even[r][v] + odd[r][v]), count);
        }
}

// ---- int8

#if defined(__AVX512F__)
GW_INLINE bool has_vnni() {
    static const bool has = __builtin_cpu_supports("avx512vnni");
    return has;
}
#else
GW_INLINE bool has_vnni() { return false; }
#endif

// z += sum * (step * scale).
GW_INLINE void add_scaled(float *z, vi32 sum, const float *scale, float step, gw_int lanes) {
    const vf by = splat(step) * load(scale);
    store_first(z, fma(__builtin_convertvector(sum, vf), by, load_first(z, lanes)), lanes);
}

#if defined(__AVX512F__)
// Inputs [4 first, 4 last) in fours; `sums` (columns,) of these weights times 32768.
template <int M> __attribute__((target("avx512vnni"))) static void
int8_block_vnni(const char *p, gw_int first, gw_int last, gw_int inputs, const int32_t *sums,
                const float *scales, gw_int lanes, const NarrowRows<M> &rows) {
    const FourBytes *high[M], *low[M];
    for (int r = 0; r < M; r++) {
        high[r] = (const FourBytes *)(rows.given[r] + 64);
        low[r] = (const FourBytes *)(rows.given[r] + 64 + in_lines(inputs));
    }
    __m512i a[M][4] = {}, b[M][4] = {};
    for (gw_int k = first; k < last; k++, p += 256) {
#pragma GCC unroll 4
        for (int i = 0; i < 256; i += 64) __builtin_prefetch(p + i + NARROW_AHEAD);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const __m512i weights = _mm512_loadu_si512(p + 64 * v);
#pragma GCC unroll 2
            for (int r = 0; r < M; r++) {
                a[r][v] = _mm512_dpbusd_epi32(a[r][v], _mm512_set1_epi32(high[r][k]), weights);
                b[r][v] = _mm512_dpbusd_epi32(b[r][v], _mm512_set1_epi32(low[r][k]), weights);
            }
        }
    }
    for (int r = 0; r < M; r++) {
        const float step = *(const float *)rows.given[r];
        for (int v = 0; v * 16 < lanes; v++) {
            const __m512i whole = _mm512_sub_epi32(
                _mm512_add_epi32(_mm512_slli_epi32(a[r][v], 8), b[r][v]),
                _mm512_loadu_si512(sums + 16 * v));
            add_scaled(rows.z[r] + 16 * v, (vi32)whole, scales + 16 * v, step,
                       lanes - 16 * v < 16 ? lanes - 16 * v : 16);
        }
    }
}
#endif

// The same with q as 16 bits: products of pairs of inputs, added in 32 bits.
#if defined(__AVX2__)
// Sums of the vectors of columns, each in pieces of 32 bytes of weights: 8 columns.
constexpr int PIECES = GW_VECTOR_BYTES / 32;

// (columns 0 to 3, columns 4 to 7), two numbers each: their sums.
GW_INLINE __m256i sums_of_pairs(__m256i low, __m256i high) {
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), 0xd8);
}

template <int M>
static void int8_block(const char *p, gw_int first, gw_int last, const float *scales, gw_int lanes,
                       const NarrowRows<M> &rows) {
    const gw_int L = LANES<float>;
    const FourWords *x[M];
    for (int r = 0; r < M; r++) x[r] = (const FourWords *)(rows.given[r] + 64);
    __m256i low[M][4 * PIECES] = {}, high[M][4 * PIECES] = {};
    for (gw_int k = first; k < last; k++, p += 4 * GW_VECTOR_BYTES)
#pragma GCC unroll 8
        for (int v = 0; v < 4 * PIECES; v++) {
            const __m128i *weights = (const __m128i *)(p + 32 * v);
            const __m256i a = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights)),
                          b = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights + 1));
#pragma GCC unroll 2
            for (int r = 0; r < M; r++) {
                const __m256i q = _mm256_set1_epi64x(x[r][k]);
                low[r][v] = _mm256_add_epi32(low[r][v], _mm256_madd_epi16(q, a));
                high[r][v] = _mm256_add_epi32(high[r][v], _mm256_madd_epi16(q, b));
            }
        }
    for (int r = 0; r < M; r++)
        for (int v = 0; v * L < lanes; v++) {
            vi32 sum;
            for (int i = 0; i < PIECES; i++)
                ((__m256i *)&sum)[i] =
                    sums_of_pairs(low[r][v * PIECES + i], high[r][v * PIECES + i]);
            add_scaled(rows.z[r] + v * L, sum, scales + v * L, *(const float *)rows.given[r],
                       lanes - v * L < L ? lanes - v * L : L);
        }
}
#else
template <int M>
static void int8_block(const char *p, gw_int first, gw_int last, const float *scales, gw_int lanes,
                       const NarrowRows<M> &rows) {
    const gw_int L = LANES<float>;
    const int16_t *x[M];
    for (int r = 0; r < M; r++) x[r] = (const int16_t *)(rows.given[r] + 64);
    int32_t sum[M][4 * LANES<float>] = {};
    for (gw_int k = first; k < last; k++, p += 4 * GW_VECTOR_BYTES)
        for (int r = 0; r < M; r++) {
            const int16_t *q = x[r] + 4 * k;
            const int8_t *w = (const int8_t *)p;
            for (gw_int l = 0; l < 4 * L; l++)
                sum[r][l] += q[0] * w[4 * l] + q[1] * w[4 * l + 1] + q[2] * w[4 * l + 2] +
                             q[3] * w[4 * l + 3];
        }
    for (int r = 0; r < M; r++)
        for (int v = 0; v * L < lanes; v++)
            add_scaled(rows.z[r] + v * L, *(const vi32_unaligned *)(sum[r] + v * L), scales + v * L,
                       *(const float *)rows.given[r], lanes - v * L < L ? lanes - v * L : L);
}
#endif

template <int M> static void int8_panel(const gw_narrow *w, gw_int panel, gw_int lanes,
                                        const NarrowRows<M> &rows) {
    const gw_int columns = narrow_columns(), fours = in_fours(w->inputs),
                 padded_columns = (w->columns + columns - 1) / columns * columns;
    const char *p = (const char *)w->panels + panel * fours * columns * 4;
    const float *scales = w->scales + panel * columns;
    for (gw_int k = 0, block = 0; k < fours; k += GW_NARROW_BLOCK / 4, block++) {
        const gw_int end = k + GW_NARROW_BLOCK / 4 < fours ? k + GW_NARROW_BLOCK / 4 : fours;
        const char *here = p + k * columns * 4;
#if defined(__AVX512F__)
        if (has_vnni()) {
            int8_block_vnni<M>(here, k, end, w->inputs,
                               w->sums + block * padded_columns + panel * columns, scales, lanes,
                               rows);
            continue;
        }
#endif
        int8_block<M>(here, k, end, scales, lanes, rows);
    }
}

// ---- both

static gw_int narrow_given(const gw_narrow *w) {
    const gw_int n = w->inputs;
    return 64 + (w->storage == GW_BFLOAT16 ? in_lines(4 * (n + 1)) : 2 * in_lines(n));
}

typedef unsigned char Bytes __attribute__((vector_size(GW_VECTOR_BYTES / 4)));
typedef int16_t Words __attribute__((vector_size(GW_VECTOR_BYTES / 2)));

static void give_floats(const float *x, gw_int n, float *out) {
    for_each_vector<float>(n, [=](gw_int i, gw_int lanes) {
        store_first(out + i, load_first(x + i, lanes), lanes);
    });
    out[n] = 0; // the second of the last pair
}

// The line of the step, then q as 16 bits, or as two bytes in two places.
static void give_numbers(const float *x, gw_int n, unsigned char *given) {
    vf most = {};
    for_each_vector<float>(n, [&](gw_int i, gw_int lanes) {
        const vf v = absolute<float>(load_first(x + i, lanes));
        most = v > most ? v : most;
    });
    float top = 0;
    for (gw_int l = 0; l < LANES<float>; l++) top = most[l] > top ? most[l] : top;
    // 32767 / top must be finite: smaller numbers count as 0
    const float step = top / 32767, by = top < 1e-30f ? 0 : 32767 / top;
    memcpy(given, &step, sizeof step);
    unsigned char *high = given + 64, *low = high + in_lines(n);
    const bool bytes = has_vnni();
    for_each_vector<float>(n, [=](gw_int i, gw_int lanes) {
        // 1.5 * 2^23 puts the nearest integer in the low bits
        const vf scaled = load_first(x + i, lanes) * splat(by) + 12582912.f;
        const vi32 q = (vi32)scaled - 0x4b400000;
        if (bytes) {
            const Bytes a = __builtin_convertvector((q + 32768) >> 8, Bytes),
                        b = __builtin_convertvector(q + 32768, Bytes);
            memcpy(high + i, &a, sizeof a);
            memcpy(low + i, &b, sizeof b);
        } else {
            const Words a = __builtin_convertvector(q, Words);
            memcpy(given + 64 + 2 * i, &a, sizeof a);
        }
    });
}

static void narrow_give(const gw_narrow *w, const float *x, unsigned char *given) {
    if (w->storage == GW_BFLOAT16) give_floats(x, w->inputs, (float *)(given + 64));
    else give_numbers(x, w->inputs, given);
}

template <int M> static void narrow_rows(const gw_narrow *w, const unsigned char *given,
                                         gw_int stride, float *z, gw_int ldz, int backwards) {
    const gw_int columns = narrow_columns(), panels = (w->columns + columns - 1) / columns;
    for (gw_int i = 0; i < panels; i++) {
        // to and fro, so that a step finds in the cache what the step before has read last
        const gw_int panel = backwards ? panels - 1 - i : i, left = w->columns - panel * columns,
                     lanes = left < columns ? left : columns;
        NarrowRows<M> rows;
        for (int r = 0; r < M; r++)
            rows.given[r] = given + r * stride, rows.z[r] = z + r * ldz + panel * columns;
        if (w->storage == GW_BFLOAT16) bfloat16_panel<M>(w, panel, lanes, rows);
        else int8_panel<M>(w, panel, lanes, rows);
    }
}

static void narrow_product(const gw_narrow *w, const unsigned char *given, gw_int stride, gw_int n,
                           float *z, gw_int ldz, int backwards) {
    gw_int r = 0;
    if (NARROW_ROWS > 1)
        for (; r + NARROW_ROWS <= n; r += NARROW_ROWS)
            narrow_rows<NARROW_ROWS>(w, given + r * stride, stride, z + r * ldz, ldz, backwards);
    for (; r < n; r++) narrow_rows<1>(w, given + r * stride, stride, z + r * ldz, ldz, backwards);
}

} // namespace GW_ISA
