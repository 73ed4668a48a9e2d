// One call over whole sequences, and a band of its rows (_passes.pyx, _walk.pyx).
#pragma once
#include "apart.h"
#include "attending.h"
#include "lateness.h"
#include "meeting.h"
#include "table.h"

// One batch, batch first. h has `width` numbers, all else of the cell `units`. nullptr: the call
// has no such array.
template <class R> struct gw_sequence {
    gw_int batch = 0, steps = 0, inputs = 0, units = 0, width = 0, saved = 0;
    const gw_int *order = nullptr;         // (batch,) rows by falling length
    const gw_int *lengths = nullptr;       // (batch,) steps of row order[i], falling
    const unsigned char *resets = nullptr; // (batch, steps)
    const R *zeros = nullptr;              // (units,)
    const R *x = nullptr;                  // (batch, steps, inputs)
    R *z = nullptr;                        // (batch, z_steps, z_width) x W + b of a block of steps
    const int *numbers = nullptr;          // (batch, steps): x is rows of a table, and z (rows,
                                           // z_width) its x W + b
    gw_int z_steps = 1, z_width = 1;
    const gw_attending<R> *attention = nullptr; // before each step; x is then written to
    const R *initial_h = nullptr; // (batch, width)
    const R *mask = nullptr;      // (batch, width) recurrent dropout
    R *y = nullptr;               // (batch, steps, width)
    R *final_h = nullptr;         // (batch, width)
    R *final_c = nullptr;         // (batch, units) starts as the initial c
    R *scratch_h = nullptr;       // (2, batch, width) h between steps if y does not hold it
    R *scratch_gates = nullptr;   // (batch, saved*units) for steps that need their gates in memory

    // Saved for backward; slot t of h_in and h0 is the state before step t.
    R *gates = nullptr; // (batch, steps, saved*units); becomes dz
    R *h_in = nullptr;  // (batch, steps, width) input of the recurrent product
    R *h0 = nullptr;    // (batch, steps, width) h_in itself without recurrent dropout
    R *c = nullptr;     // (batch, steps + 1, units)

    // Backward.
    const R *dy = nullptr; // (batch, steps, width)
    R *dh = nullptr;       // (batch, width) in: gradient of the final state; out: of the initial
    R *dc = nullptr;       // (batch, units) likewise
    R *sums = nullptr;     // (batch, sums_width) each row's part of the gradients of peepholes, or
    gw_int sums_width = 0; // of the vectors of layer normalisation

    // LSTM with a projection.
    R *unprojected = nullptr; // (batch, steps, units) what is projected to h; (batch, units) at
                              // inference
    R *d_projected = nullptr; // (batch, steps, width) gradient of the projected h

    // Layer normalisation.
    R *norm_x = nullptr;       // (batch, steps, saved*units); nullptr at inference
    R *norm_h = nullptr;       // (batch, steps, saved*units); (batch, saved*units) at inference
    R *norm_scales = nullptr;  // (batch, steps, 4)
    R *norm_scratch = nullptr; // (batch, 2*units)
};

// What one thread knows of the band that it works on.
template <class R> struct gw_band {
    const gw_family<R> *family = nullptr;
    const gw_cell<R> *cell = nullptr;
    const gw_sequence<R> *s = nullptr;
    gw_row<R> *rows = nullptr;      // this thread's own
    gw_int begin = 0, end = 0;      // the band's rows, in order of visit
    gw_int n = 0;                   // how many of them run in the present phase
    int part = 0, parts = 1;        // this thread's part of the units
    gw_counter *counters = nullptr; // of the meeting; see meeting.h
    gw_int phase = 0;               // phases done
    bool alone = false;             // this thread does all parts: another one was late, and all
                                    // others have left
    bool left = false;              // another thread does all parts
    gw_int began = 0;               // when the band was begun, in nanoseconds
    gw_int waited = 0;              // how long this thread has waited for others
    gw_int own = 0;                 // parts that it has done
};
