// A thread that comes late: how a call notices it, and how long later calls then use one thread.
//
// While other programs keep the processor busy, a call of two threads ends only when the later one
// has had its turn, often milliseconds after the work is done. The first thread of a call measures
// how long it waited for the others. If the whole call took longer than one thread alone would have
// taken, calls use one thread for a while: twice as long after each late call, and up to a second.
// Results do not depend on the number of threads, so nothing of this changes a bit.
#pragma once
#include <atomic>
#include <chrono>

#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_num_threads() { return 1; }
static inline int omp_get_thread_num() { return 0; }
#endif

#include "table.h"

// Nanoseconds of waiting below which no call is late: waking a thread takes up to this long.
static const gw_int GW_LATE = 200000;
// Nanoseconds with one thread after the first late call, and at most.
static const gw_int GW_SHORTEST_PAUSE = 20000000, GW_LONGEST_PAUSE = 1000000000;

static inline gw_int gw_nanoseconds() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

// What a process remembers.
struct gw_lateness {
    std::atomic<gw_int> alone_until; // on the clock of gw_nanoseconds
    std::atomic<gw_int> pause;       // of the last late call; shrinks with calls in time
    std::atomic<gw_int> closings;    // meetings that were closed; see meeting.h
    std::atomic<bool> hurries;       // in tests: whoever has to wait closes the meeting at once
};

// What the first thread of a call measures.
struct gw_watch {
    gw_int opened = 0; // when the parallel region began
    gw_int worked = 0; // when the first thread had nothing left to do
    gw_int waited = 0; // how long it waited before that
    gw_int own = 0;    // parts of the work that it did; 0: nothing is known
    gw_int all = 0;    // all parts
};

static inline gw_watch gw_open(gw_int parts) { return {gw_nanoseconds(), 0, 0, 0, parts}; }

// Called by every thread after each part that it has done, where threads do not wait for each
// other.
static inline void gw_note_part(gw_watch *w) {
    if (omp_get_thread_num() > 0) return;
    w->own++;
    w->worked = gw_nanoseconds();
}

static inline bool gw_alone(const gw_lateness *l) {
    gw_int until = l->alone_until.load(std::memory_order_relaxed);
    return until != 0 && gw_nanoseconds() < until;
}

static inline bool gw_hurries(const gw_lateness *l) {
    return l->hurries.load(std::memory_order_relaxed);
}

static inline void gw_count_closing(gw_lateness *l) {
    l->closings.fetch_add(1, std::memory_order_relaxed);
}

// After the region, with the time at which it ended: was a thread late?
static inline bool gw_was_late(const gw_watch *w, gw_int ended) {
    gw_int total = ended - w->opened, useful = w->worked - w->opened - w->waited;
    return w->own > 0 && total - useful > GW_LATE &&
           (double)total > (double)useful * w->all / w->own;
}

static inline void gw_remember(gw_lateness *l, const gw_watch *w) {
    if (w->own <= 0) return;
    gw_int ended = gw_nanoseconds(), pause = l->pause.load(std::memory_order_relaxed);
    if (gw_was_late(w, ended)) {
        pause = pause < GW_SHORTEST_PAUSE ? GW_SHORTEST_PAUSE : 2 * pause;
        if (pause > GW_LONGEST_PAUSE) pause = GW_LONGEST_PAUSE;
        l->alone_until.store(ended + pause, std::memory_order_relaxed);
        l->pause.store(pause, std::memory_order_relaxed);
    } else if (pause > 0) {
        l->pause.store(pause - pause / 8, std::memory_order_relaxed);
    }
}
