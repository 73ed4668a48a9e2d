// What the orchestration keeps for one call over whole sequences (_passes.pyx, _walk.pyx).
#pragma once
#include "apart.h"
#include "lateness.h"
#include "meeting.h"
#include "table.h"

// One batch, batch first. h has `width` numbers, all else of the cell `units`. NULL where the call has no such array.
template <class R> struct gw_sequence {
    gw_int batch, steps, inputs, units, width, saved;
    gw_int sums_width;     // of a row's sums
    const gw_int *order;   // (batch,) rows by falling length
    const gw_int *lengths; // (batch,) steps of row order[i], falling
    const unsigned char *resets; // (batch, steps)
    const R *zeros;        // (units,)
    const R *x;            // (batch, steps, inputs)
    R *z;                  // (batch, z_steps, z_width) x W + b of the present block of steps
    gw_int z_steps, z_width;
    const R *initial_h;    // (batch, width)
    const R *mask;         // (batch, width) recurrent dropout
    R *y;                  // (batch, steps, width)
    R *final_h, *final_c;  // (batch, width), (batch, units); final_c starts as the initial c
    R *scratch_h;          // (2, batch, width) h between steps where nothing else keeps it
    R *scratch_gates;      // (batch, saved*units) for steps that need their gates in memory
    R *m;                  // (batch, steps, units) what is projected to h; (batch, units) at inference

    // With layer normalisation; m is (batch, 2*units) scratch then.
    R *v, *u;              // (batch, steps, saved*units); at inference NULL, (batch, saved*units)
    R *scales;             // (batch, steps, 4)

    // Kept for backward; slot t of h_in and h0 is the state before step t.
    R *gates;              // (batch, steps, saved*units); becomes dz
    R *h_in;               // (batch, steps, width) input of the recurrent product
    R *h0;                 // (batch, steps, width) the state; h_in itself without recurrent dropout
    R *c;                  // (batch, steps + 1, units)

    const R *dy;           // (batch, steps, width)
    R *dm;                 // (batch, steps, width) gradient of a projected h
    R *sums;               // (batch, sums_width) each row's part of the peepholes' gradient, or of the normalisation's vectors'
    R *dh, *dc;            // (batch, width), (batch, units) in: gradients of the final state; out: of the initial
};

// What one thread knows of the band that it works on.
template <class R> struct gw_band {
    const gw_family<R> *family;
    const gw_cell<R> *cell;
    const gw_sequence<R> *s;
    gw_row<R> *rows;       // this thread's own
    gw_int begin, end;     // the band's rows, in order of visit
    gw_int n;              // how many of them run in the present phase
    int part, parts;       // this thread's part of the units
    gw_counter *counters;  // of the meeting; see meeting.h
    gw_int phase;          // phases done
    bool alone;            // this thread does all parts: another one was late, and all others have left
    bool left;             // another thread does all parts
    gw_int began;          // when the band was begun, in nanoseconds
    gw_int waited;         // how long this thread has waited for others
    gw_int own;            // parts that it has done
};
