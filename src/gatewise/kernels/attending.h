// A walk whose steps attend to a memory with h' before they read x (_attending.pyx).
#pragma once
#include "table.h"

// One batch; nullptr: the call has no such array. M steps of the memory, F features of its keys, W
// of its values, T steps of the walk, P numbers of h.
template <class R> struct gw_attending {
    const gw_table<R> *table = nullptr;
    gw_int steps = 0, features = 0, width = 0; // M, F, W
    gw_int read = 0;                           // numbers of x before the context
    const gw_int *lengths = nullptr;           // (batch,) steps of each memory
    const R *memory = nullptr, *keys = nullptr, *scale = nullptr; // (batch, M, W), (.., F), (F,)
    const R *query = nullptr;             // W_q packed: as in dense, backward transposed
    R *packed_keys = nullptr;             // (batch, keys_size), forward
    R *packed_memory = nullptr;           // (batch, memory_size); backward transposed
    gw_int keys_size = 0, memory_size = 0;
    R *weights = nullptr;                 // (batch, T, M)
    R *queries = nullptr;                 // (batch, T, F) saved for backward
    R *h = nullptr, *q = nullptr;         // (batch, P), (batch, F) scratch, rows in order of visit

    // Backward.
    const R *w_context = nullptr;         // the context's rows of the kernel, transposed
    gw_int columns = 0;                   // of the kernel
    const R *d_contexts = nullptr;        // (batch, T, W) gradient of the contexts as outputs
    R *d_read = nullptr;                  // (batch, T, W) gradient of the contexts
    R *d_queries = nullptr;               // (batch, T, F)
    R *d_memory = nullptr, *d_keys = nullptr; // like memory and keys
    R *d_scale = nullptr;                 // (batch, F)
    R *dz = nullptr, *dc = nullptr, *ds = nullptr; // (batch, columns), (batch, W), (batch, M) scratch
};
