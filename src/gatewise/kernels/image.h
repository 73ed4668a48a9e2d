// Images with their padding, from which windows are read in place (convolution.h).
#pragma once
#include <string.h>
#include "table.h"

// The windows of one image. An image that needs no padding is read where it is.
struct gw_plane {
    gw_image image;
    gw_windows windows;
    gw_int rows = 0;               // of positions
    gw_int stride = 0, reach = 0;  // rows of the copy from window to window; in one window, less 1
    int in_place = 0;
};

// Rows [first, first + rows) of the padded image: (rows, width, features). `spread` places lie
// between the rows, and the columns, of the image: the others are zeros.
template <class R>
static inline void gw_pad(const gw_image *g, const R *x, gw_int first, gw_int rows, R *out) {
    const gw_int C = g->features, line = g->width * C, left = g->front[1] * C;
    for (gw_int r = first; r < first + rows; r++, out += line) {
        const gw_int from = r - g->front[0], row = from / g->spread[0];
        if (from < 0 || row >= g->size[0] || row * g->spread[0] != from) {
            memset(out, 0, line * sizeof(R));
            continue;
        }
        const R *source = x + row * g->size[1] * C;
        if (g->spread[1] == 1) {
            const gw_int n = g->size[1] * C;
            memset(out, 0, left * sizeof(R));
            memcpy(out + left, source, n * sizeof(R));
            memset(out + left + n, 0, (line - left - n) * sizeof(R));
        } else {
            memset(out, 0, line * sizeof(R));
            for (gw_int c = 0; c < g->size[1]; c++)
                memcpy(out + left + c * g->spread[1] * C, source + c * C, C * sizeof(R));
        }
    }
}

// The rows of an image that windows of `rows` rows of positions need, from position row `first`
// on; `scratch` receives them if they must be copied.
template <class R>
static inline const R *gw_band(const gw_plane *g, const R *x, gw_int first, gw_int rows,
                               R *scratch) {
    if (g->in_place) return x + first * g->windows.row_step;
    gw_pad(&g->image, x, first * g->stride, (rows - 1) * g->stride + g->reach + 1, scratch);
    return scratch;
}

// A batch of sequences of images in a ConvLSTM (conv_lstm.pyx). nullptr: there is no such array.
// An image is `places` positions of `filters` numbers in all but x and dx.
template <class R> struct gw_image_sequences {
    gw_plane x_plane, h_plane, dx_plane, dh_plane;
    gw_int steps = 0, image = 0;  // of a sequence; numbers of one image of x
    gw_int places = 0, padded = 0, filters = 0; // places of an image; of h' with its padding
    const gw_int *lengths = nullptr;            // (batch,)
    const unsigned char *resets = nullptr;      // (batch, steps)
    const R *x = nullptr;                       // (batch, steps, image)
    const R *start = nullptr;                   // (batch, places) the first h', after dropout
    const R *mask = nullptr;                    // (batch, places) multipliers of h'
    const R *zeros = nullptr;                   // (places,)
    R *h = nullptr, *c = nullptr;               // (batch, places) states, or their gradients
    R *y = nullptr;                             // (batch, steps, places)
    const R *dy = nullptr;                      // (batch, steps, places)
    R *gates = nullptr;                         // (batch, steps, places) of 4 * filters
    R *saved_c = nullptr;                       // (batch, steps + 1, places)
    R *saved_h = nullptr;                       // (batch, steps, padded)
    const R *turned_x = nullptr, *turned_h = nullptr; // weights of dx and dh'
    R *dx = nullptr;                            // (batch, steps, image)
};
