// Threads of one band wait for each other: a few hundred nanoseconds where all of them run.
#pragma once
#include <atomic>
#include <sched.h>

#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_num_threads() { return 1; }
static inline int omp_get_thread_num() { return 0; }
#endif

struct gw_barrier {
    alignas(64) std::atomic<int> arrived;
    alignas(64) std::atomic<int> round;
};

static inline void gw_barrier_wait(gw_barrier *b, int threads) {
    if (threads == 1) return;
    const int round = b->round.load(std::memory_order_relaxed);
    if (b->arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
        b->arrived.store(0, std::memory_order_relaxed);
        b->round.store(round + 1, std::memory_order_release);
        return;
    }
    for (int spins = 0; b->round.load(std::memory_order_acquire) == round; spins++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        if (spins > 4096) sched_yield(); // the other thread is not running: let it
    }
}
