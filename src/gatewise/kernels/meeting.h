// Threads that share a band: each does its part of a phase, and nobody begins the next phase before
// all parts of this one are done.
//
// Unlike a plain barrier it does not stand still when the system takes a thread away: who has waited
// for a while does the parts that nobody has begun. A part is claimed by a compare-and-swap, so it is
// done once, and its result does not depend on who did it.
#pragma once
#include <atomic>
#include <sched.h>

#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_num_threads() { return 1; }
static inline int omp_get_thread_num() { return 0; }
#endif

#include "table.h"

struct gw_counter {
    alignas(64) std::atomic<gw_int> value;
};

// counters[0]: parts done since the beginning; counters[1 + p]: phases of part p that were claimed.
// All zero at the start; phases count from 0.
static inline bool gw_claim(gw_counter *counters, int part, gw_int phase) {
    gw_int expected = phase;
    return counters[1 + part].value.compare_exchange_strong(expected, phase + 1, std::memory_order_acq_rel);
}
static inline void gw_part_done(gw_counter *counters) { counters[0].value.fetch_add(1, std::memory_order_acq_rel); }
static inline bool gw_phase_done(gw_counter *counters, int parts, gw_int phase) {
    return counters[0].value.load(std::memory_order_acquire) >= (phase + 1) * parts;
}

// Waits a moment. True when it has been so long that one should help.
static inline bool gw_waited_long(int *spins) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (++*spins < 64) return false; // a few microseconds
    if (*spins > 4096) sched_yield();
    return true;
}
