// Which instruction sets this build holds and this machine runs.
#pragma once
#include "table.h"

namespace gw_baseline {
void fill(gw_table<float> *, gw_table<double> *);
}
#if defined(__x86_64__)
namespace gw_avx2 {
void fill(gw_table<float> *, gw_table<double> *);
}
namespace gw_avx512 {
void fill(gw_table<float> *, gw_table<double> *);
}
#endif

// Names, slowest first; __builtin_cpu_supports asks the operating system too (XGETBV).
static inline int gw_isa_count() {
#if defined(__x86_64__)
    return 3;
#else
    return 1;
#endif
}
static inline const char *gw_isa_name(int i) {
    static const char *names[] = {"baseline", "avx2", "avx512"};
    return names[i];
}
static inline int gw_isa_runs(int i) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (i == 1) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (i == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               gw_isa_runs(1);
#endif
    return i == 0;
}
static inline void gw_isa_fill(int i, gw_table<float> *f, gw_table<double> *d) {
#if defined(__x86_64__)
    if (i == 1) return gw_avx2::fill(f, d);
    if (i == 2) return gw_avx512::fill(f, d);
#endif
    (void)i;
    gw_baseline::fill(f, d);
}
