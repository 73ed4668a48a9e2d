"""The maximum or the mean of windows of images (pooling.h); threads share images."""
from cython cimport floating
from cython.parallel cimport prange
cimport numpy as cnp
from libc.string cimport memset

import numpy as np

from gatewise.kernels._memory cimport needed_elements, number_of
from gatewise.kernels._table cimport gw_pooling, gw_table, table32, table64

cnp.import_array()


def pool(x, y, bint maximum, window, strides, front, int threads=1):
    """y (n, rows, columns, features): the maximum or the mean of windows of x.

    x (n, height, width, features). Each window must hold a place of the image; (window, strides,
    front) are pairs, front the padded rows above the image and columns before it.
    """
    if x.dtype == np.float32:
        _pool[float](table32(), x, y, None, maximum, window, strides, front, threads)
    else:
        _pool[double](table64(), x, y, None, maximum, window, strides, front, threads)


def pool_backward(x, dy, dx, bint maximum, window, strides, front, int threads=1):
    """dx = the gradient of x for that of y, dy."""
    if x.dtype == np.float32:
        _pool[float](table32(), x, dy, dx, maximum, window, strides, front, threads)
    else:
        _pool[double](table64(), x, dy, dx, maximum, window, strides, front, threads)


cdef object _pool(gw_table[floating] *table, x, y, dx, bint maximum, window, strides, front,
                  int threads):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t n = x.shape[0], rows = y.shape[1], k
    cdef gw_pooling g
    g.maximum, g.features, g.columns = maximum, x.shape[3], y.shape[2]
    for k in range(2):
        g.size[k], g.window[k] = x.shape[1 + k], window[k]
        g.strides[k], g.front[k] = strides[k], front[k]
        last = (y.shape[1 + k] - 1) * strides[k] - front[k]
        if front[k] >= window[k] or last >= x.shape[1 + k]:
            raise AssertionError("kernel expects no window that is padding alone")
    cdef Py_ssize_t image = g.size[0] * g.size[1] * g.features, of_y = rows * g.columns * g.features
    cdef const floating *px = <const floating *>needed_elements(x, typenum, n * image)
    cdef floating *py = <floating *>needed_elements(y, typenum, n * of_y)
    cdef floating *pd = NULL
    if dx is not None:
        pd = <floating *>needed_elements(dx, typenum, n * image)
    for k in prange(n, num_threads=threads, use_threads_if=threads > 1 and n > 1,
                    schedule="static", nogil=True):
        if pd == NULL:
            table.pool(&g, px + k * image, 0, rows, py + k * of_y)
        else:
            memset(pd + k * image, 0, image * sizeof(floating))
            table.pool_backward(&g, px + k * image, py + k * of_y, rows, pd + k * image)
    return None
