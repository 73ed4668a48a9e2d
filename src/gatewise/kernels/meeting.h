// Threads that share a band: each does its part of a phase, and none begins the next phase before
// all parts of this one are done.
//
// Unlike a plain barrier it does not stand still when the system takes a thread away: a thread that
// has waited for a while does the parts that no other has begun. If it has waited much longer than
// a phase takes, it closes the meeting: it does all further parts, and the others leave. A part is
// claimed by a compare-and-swap, so it is done once, and its result does not depend on the thread
// that did it.
#pragma once
#include <atomic>
#include <sched.h>

#include "lateness.h"
#include "table.h"

struct gw_counter {
    alignas(64) std::atomic<gw_int> value;
};

// counters[0]: parts done since the beginning; counters[1 + p]: phases of part p that were claimed;
// counters[1 + parts]: 1 when the meeting is closed. All zero at the start; phases count from 0.
static inline bool gw_claim(gw_counter *counters, int part, gw_int phase) {
    gw_int expected = phase;
    return counters[1 + part].value.compare_exchange_strong(expected, phase + 1,
                                                            std::memory_order_acq_rel);
}
static inline void gw_part_done(gw_counter *counters) {
    counters[0].value.fetch_add(1, std::memory_order_acq_rel);
}
static inline bool gw_phase_done(gw_counter *counters, int parts, gw_int phase) {
    return counters[0].value.load(std::memory_order_acquire) >= (phase + 1) * parts;
}

// True for the one thread that closes the meeting.
static inline bool gw_close(gw_counter *counters, int parts) {
    gw_int open = 0;
    return counters[1 + parts].value.compare_exchange_strong(open, 1, std::memory_order_acq_rel);
}
static inline bool gw_is_closed(gw_counter *counters, int parts) {
    return counters[1 + parts].value.load(std::memory_order_acquire) != 0;
}

static const int GW_SHORT_WAIT = 64; // spins: a few microseconds
// Waits a moment. True when it has been so long that one should help.
static inline bool gw_waited_long(int *spins) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (++*spins < GW_SHORT_WAIT) return false;
    if (*spins > 4096) sched_yield();
    if (*spins >= 1 << 20) *spins = 1 << 16; // counts on for ever
    return true;
}
// Whether a wait of this many nanoseconds says that another thread does not run: longer than waking
// one takes, and than a few phases take.
static inline bool gw_too_long(gw_int wait, gw_int since_begin, gw_int phases) {
    return wait > GW_LATE && wait > 3 * since_begin / (phases + 1);
}
