// Threads of one call on processors of their own.
//
// A scheduler that packs a process which has just woken up may leave two threads of a call on one
// processor beside an idle one, for tens of milliseconds: each call then takes twice its time. A
// thread that finds itself where the first one runs asks to be moved; it may go back at once.
#pragma once
#include "table.h"
#ifdef __linux__
#include <sched.h>
static inline gw_int gw_processor() { return sched_getcpu(); }
static inline void gw_move_from(gw_int processor) {
    cpu_set_t allowed, others;
    if (sched_getcpu() != processor || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    others = allowed;
    CPU_CLR(processor, &others);
    if (CPU_COUNT(&others) == 0) return;
    if (sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
static inline gw_int gw_processor() { return -1; }
static inline void gw_move_from(gw_int) {}
#endif
