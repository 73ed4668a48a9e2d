"""C functions that the functions of operations call. A program has those that it needs."""

from __future__ import annotations

from collections.abc import Iterable

# exp(x) for x <= 0 and exp(x) - 1 follow kernels/vmath.h, without fma.
_TEXTS = {
    "clear": """
static void clear(float *y, int n)
{
    int j;
    for (j = 0; j < n; j++) y[j] = 0.0f;
}
""",
    "copy": """
/* Apart from its callers: if GCC 12 knows the numbers, and copies ones followed by zeros with
   AVX-512, it makes wrong code. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 8
__attribute__((noipa))
#endif
static void copy(const float *x, int n, float *y)
{
    int j;
    for (j = 0; j < n; j++) y[j] = x[j];
}
""",
    "add_product": """
/* y += x W; W has n rows of m numbers. Four rows at a time, so that y is read and written less
   often; each sum is made in the order of the rows. */
static void add_product(const float *x, int n, const float *w, int m, float *restrict y)
{
    int i = 0, j;
    for (; i + 4 <= n; i += 4, w += 4 * m) {
        const float *w1 = w + m, *w2 = w1 + m, *w3 = w2 + m;
        const float x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
        for (j = 0; j < m; j++)
            y[j] = y[j] + x0 * w[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j];
    }
    for (; i < n; i++, w += m) {
        const float x0 = x[i];
        for (j = 0; j < m; j++) y[j] = y[j] + x0 * w[j];
    }
}
""",
    "add_product_of_bytes": """
/* y += (x W) scale; W has n rows of m whole numbers, and each column a scale. The sums of up to 64
   columns are made together, in float. */
static void add_product_of_bytes(const float *x, int n, const int8_t *w, const float *scale, int m,
                                 float *restrict y)
{
    int first, i, j;
    for (first = 0; first < m; first += 64) {
        const int columns = m - first < 64 ? m - first : 64;
        const int8_t *row = w + first;
        float sum[64];
        for (j = 0; j < columns; j++) sum[j] = 0.0f;
        for (i = 0; i + 4 <= n; i += 4, row += 4 * m) {
            const int8_t *row1 = row + m, *row2 = row1 + m, *row3 = row2 + m;
            const float x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
            for (j = 0; j < columns; j++)
                sum[j] = sum[j] + x0 * (float)row[j] + x1 * (float)row1[j] + x2 * (float)row2[j] +
                         x3 * (float)row3[j];
        }
        for (; i < n; i++, row += m) {
            const float x0 = x[i];
            for (j = 0; j < columns; j++) sum[j] = sum[j] + x0 * (float)row[j];
        }
        for (j = 0; j < columns; j++) y[first + j] = y[first + j] + scale[first + j] * sum[j];
    }
}
""",
    "exp_parts": """
/* exp(x) = 2^n exp(r) with n = round(x / ln 2), for |x| < 88. Returns exp(r) - 1 and sets *power to
   2^n. ln 2 is split in two so that n times the first part is exact; the polynomial is that of
   Cephes. Adding 1.5 * 2^23 rounds to a whole number, which is then in the low bits. */
static float exp_parts(float x, float *power)
{
    const float shifted = x * 1.44269504f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    uint32_t bits;
    float p = 1.9875691500e-4f;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    memcpy(power, &bits, sizeof bits);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * r * r + r;
}
""",
    "exp_of_negative": """
/* exp(x) for x <= 0; 0 where it is below the smallest normal number. */
static float exp_of_negative(float x)
{
    float power;
    const float p = exp_parts(x < -87.0f ? -87.0f : x, &power);
    return x < -87.0f ? 0.0f : power + power * p;
}
""",
    "sigmoid": """
static float sigmoid(float x)
{
    const float e = exp_of_negative(-fabsf(x));
    const float y = 1.0f / (1.0f + e);
    return x < 0.0f ? e * y : y;
}
""",
    "hyperbolic_tangent": """
/* (e - 1) / (e + 1) with e = exp(2 |x|), and e - 1 made without cancellation. */
static float hyperbolic_tangent(float x)
{
    float power, a = 2.0f * fabsf(x);
    a = a > 20.0f ? 20.0f : a;
    {
        const float p = exp_parts(a, &power);
        const float e_1 = power * p + (power - 1.0f);
        const float y = e_1 / (e_1 + 2.0f);
        return copysignf(y, x);
    }
}
""",
    "settled": """
/* What has faded away is 0: some processors are 30 times slower with the smallest numbers. */
static float settled(float x) { return fabsf(x) < 1e-30f ? 0.0f : x; }
""",
    "relu": """
static float relu(float x) { return x < 0.0f ? 0.0f : x; }
""",
    "hard_sigmoid": """
static float hard_sigmoid(float x, float slope, float offset)
{
    const float y = x * slope + offset;
    return y < 0.0f ? 0.0f : y > 1.0f ? 1.0f : y;
}
""",
    "softsign": """
/* At infinity x / (1 + |x|) would not be a number. */
static float softsign(float x)
{
    const float a = fabsf(x) > 1e30f ? 1e30f : fabsf(x);
    return copysignf(a / (a + 1.0f), x);
}
""",
    "softplus": """
/* max(x, 0) + log(1 + e) with e = exp(-|x|); log(1 + e) = 2 atanh(e / (2 + e)), a series of which
   nine terms are enough. */
static float softplus(float x)
{
    const float e = exp_of_negative(-fabsf(x)), z = e / (e + 2.0f), q = z * z;
    float p = 1.0f / 17.0f;
    p = p * q + 1.0f / 15.0f;
    p = p * q + 1.0f / 13.0f;
    p = p * q + 1.0f / 11.0f;
    p = p * q + 1.0f / 9.0f;
    p = p * q + 1.0f / 7.0f;
    p = p * q + 1.0f / 5.0f;
    p = p * q + 1.0f / 3.0f;
    p = p * q + 1.0f;
    return (x < 0.0f ? 0.0f : x) + 2.0f * z * p;
}
""",
    "exponential": """
/* exp(x); large numbers in two parts, the second of which is exp(40). */
static float exponential(float x)
{
    const float y = x > 80.0f ? x - 40.0f : x < -87.0f ? -87.0f : x;
    float power;
    const float p = exp_parts(y > 80.0f ? 80.0f : y, &power);
    const float e = power + power * p;
    return x > 80.0f ? e * 2.35385267e17f : x < -87.0f ? 0.0f : e;
}
""",
    "elu": """
/* exp(-50) - 1 rounds to -1. */
static float elu(float x, float alpha)
{
    float power;
    const float p = exp_parts(x < -50.0f ? -50.0f : x > 0.0f ? 0.0f : x, &power);
    return x < 0.0f ? alpha * (power * p + (power - 1.0f)) : x;
}
""",
    "leaky_relu": """
static float leaky_relu(float x, float alpha) { return x < 0.0f ? alpha * x : x; }
""",
    "thresholded_relu": """
static float thresholded_relu(float x, float threshold) { return x <= threshold ? 0.0f : x; }
""",
    "clip": """
static float clip(float x, float limit)
{
    return x < -limit ? -limit : x > limit ? limit : x;
}
""",
    "normalize_large": """
/* normalize, for numbers whose sum or variance overflows: they are divided by a power of two. */
static void normalize_large(float *x, int n, float epsilon)
{
    float largest = 0.0f, mean = 0.0f, squares = 0.0f, shrink, scale;
    int j, exponent = 0;
    for (j = 0; j < n; j++) largest = fabsf(x[j]) > largest ? fabsf(x[j]) : largest;
    (void)frexpf(largest, &exponent);
    shrink = ldexpf(1.0f, 2 - exponent);
    for (j = 0; j < n; j++) x[j] *= shrink;
    for (j = 0; j < n; j++) mean += x[j];
    mean /= (float)n;
    for (j = 0; j < n; j++) squares += (x[j] - mean) * (x[j] - mean);
    scale = squares > 0.0f ? 1.0f / sqrtf(squares / (float)n + epsilon * shrink * shrink) : 0.0f;
    for (j = 0; j < n; j++) x[j] = (x[j] - mean) * scale;
}
""",
    "normalize": """
/* x becomes (x - mean(x)) / sqrt(variance(x) + epsilon). */
static void normalize(float *x, int n, float epsilon)
{
    float mean = 0.0f, squares = 0.0f, scale;
    int j;
    for (j = 0; j < n; j++) mean += x[j];
    mean /= (float)n;
    for (j = 0; j < n; j++) squares += (x[j] - mean) * (x[j] - mean);
    if (!(squares <= FLT_MAX)) {
        normalize_large(x, n, epsilon);
        return;
    }
    scale = 1.0f / sqrtf(squares / (float)n + epsilon);
    for (j = 0; j < n; j++) x[j] = (x[j] - mean) * scale;
}
""",
    "put_words": """
/* Words of 32 bits, the least significant byte first. */
static unsigned char *put_words(const void *from, size_t n, unsigned char *to)
{
    const unsigned char *at = from;
    size_t i;
    int k;
    for (i = 0; i < n; i++, at += 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        for (k = 0; k < 4; k++) *to++ = (unsigned char)(word >> 8 * k & 255u);
    }
    return to;
}
""",
    "get_words": """
static const unsigned char *get_words(const unsigned char *from, size_t n, void *to)
{
    unsigned char *at = to;
    size_t i;
    int k;
    for (i = 0; i < n; i++, at += 4) {
        uint32_t word = 0;
        for (k = 0; k < 4; k++) word |= (uint32_t)*from++ << 8 * k;
        memcpy(at, &word, sizeof word);
    }
    return from;
}
""",
}

# Which functions, and names of <float.h>, each of them uses.
_USES = {
    "exp_of_negative": ["exp_parts"],
    "sigmoid": ["exp_of_negative"],
    "hyperbolic_tangent": ["exp_parts"],
    "softplus": ["exp_of_negative"],
    "elu": ["exp_parts"],
    "exponential": ["exp_parts"],
    "normalize": ["normalize_large"],
}


def texts(names: Iterable[str]) -> list[str]:
    """The functions with these names and those that they use, in an order that C accepts.

    Examples
    --------
    >>> len(texts(["sigmoid"]))
    3
    """
    wanted, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += _USES.get(name, [])
    unknown = wanted - _TEXTS.keys()
    if unknown:
        raise AssertionError(f"no C function is named {sorted(unknown)}")
    return [text.strip() for name, text in _TEXTS.items() if name in wanted]
