// What the orchestration keeps for one call over whole sequences (recurrent.pyx).
#pragma once
#include "apart.h"
#include "meeting.h"
#include "table.h"

// One batch, batch first. T steps, H units, I inputs. NULL where the call has no such array.
template <class R> struct gw_sequence {
    gw_int batch, steps, inputs, units, saved;
    const gw_int *order;   // (batch,) rows by falling length
    const gw_int *lengths; // (batch,) steps of row order[i], falling
    const unsigned char *resets; // (batch, steps)
    const R *zeros;        // (units,)
    const R *x;            // (batch, steps, inputs)
    R *z;                  // (batch, z_steps, z_width) x W + b of the present block of steps
    gw_int z_steps, z_width;
    const R *initial_h;    // (batch, units)
    const R *mask;         // (batch, units) recurrent dropout
    R *y;                  // (batch, steps, units)
    R *final_h, *final_c;  // (batch, units); final_c starts as the initial c
    R *scratch_h;          // (2, batch, units) h between steps where nothing else keeps it
    R *scratch_gates;      // (batch, saved*units) for steps that need their gates in memory

    // Kept for backward; slot t of h_in and h0 is the state before step t.
    R *gates;              // (batch, steps, saved*units); becomes dz
    R *h_in;               // (batch, steps, units) input of the recurrent product
    R *h0;                 // (batch, steps, units) the state; h_in itself without recurrent dropout
    R *c;                  // (batch, steps + 1, units)

    const R *dy;           // (batch, steps, units)
    R *dh, *dc;            // (batch, units) in: gradients of the final state; out: of the initial
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
};
