# Windows over images: their geometry, and bands of rows (image.h).
from gatewise.kernels._table cimport gw_image, gw_int, gw_windows

cdef extern from "image.h" nogil:
    cdef cppclass gw_plane:
        gw_image image
        gw_windows windows
        gw_int rows, stride, reach
        int in_place

    cdef cppclass gw_image_sequences[R]:
        gw_plane x_plane, h_plane, dx_plane, dh_plane
        gw_int steps, image, places, padded, filters
        const gw_int *lengths
        const unsigned char *resets
        const R *x
        const R *start
        const R *mask
        const R *zeros
        R *h
        R *c
        R *y
        const R *dy
        R *gates
        R *saved_c
        R *saved_h
        const R *turned_x
        const R *turned_h
        R *dx

    void gw_pad[R](const gw_image *, const R *x, gw_int first, gw_int rows, R *out)
    const R *gw_band[R](const gw_plane *, const R *x, gw_int first, gw_int rows, R *scratch)


cdef class Plane:
    cdef gw_plane plane
    cdef readonly tuple size, count
    cdef readonly Py_ssize_t features, inputs, padded
    cdef Py_ssize_t[::1] places
    cdef Py_ssize_t band_rows(self, Py_ssize_t filters)
    cdef Py_ssize_t scratch_size(self, Py_ssize_t rows)
