"""The geometry of windows over images."""
import numpy as np

# Numbers of an image and of its output that are computed together: they stay in L2.
cdef Py_ssize_t BAND = 32768


cdef class Plane:
    """Windows over the rows and columns of an image.

    Parameters
    ----------
    size : (int, int)
        Rows and columns of the image.
    features : int
    window, strides, dilation : (int, int)
        Numbers in a window; places from one window to the next, and between two numbers of one.
    front : (int, int)
        Padded rows above the image, and columns before it.
    count : (int, int)
        Rows and columns of windows.
    spread : (int, int)
        1: the image as it is. More: places between the rows, and the columns, of the image, of
        which the others are zeros; the gradient of strided windows reads the output so.

    Attributes
    ----------
    inputs : int
        Numbers of one window.
    padded : int
        Places of the image with its padding.
    """

    def __init__(self, size, Py_ssize_t features, window, strides, dilation, front, count,
                 spread):
        cdef Py_ssize_t k
        self.size, self.count, self.features = tuple(size), tuple(count), features
        self.inputs = window[0] * window[1] * features
        reach = [dilation[k] * (window[k] - 1) for k in range(2)]
        needed = [(count[k] - 1) * strides[k] + reach[k] + 1 for k in range(2)]
        extent = [front[k] + (size[k] - 1) * spread[k] + 1 for k in range(2)]
        width = max(needed[1], extent[1])
        self.padded = needed[0] * width
        joined = dilation[1] == 1  # the columns of a window are one piece
        self.places = np.array(
            [
                (i * dilation[0] * width + j * dilation[1]) * features
                for i in range(window[0]) for j in range(1 if joined else window[1])
            ],
            np.intp,
        )
        for k in range(2):
            self.plane.image.size[k] = size[k]
            self.plane.image.front[k], self.plane.image.spread[k] = front[k], spread[k]
        self.plane.image.features, self.plane.image.width = features, width
        self.plane.windows.columns = count[1]
        self.plane.windows.step = strides[1] * features
        self.plane.windows.row_step = strides[0] * width * features
        self.plane.windows.runs = self.places.shape[0]
        self.plane.windows.length = features * (window[1] if joined else 1)
        self.plane.windows.from_ = &self.places[0]
        self.plane.rows, self.plane.stride, self.plane.reach = count[0], strides[0], reach[0]
        self.plane.in_place = (
            tuple(front) == (0, 0) and tuple(spread) == (1, 1) and width == size[1]
            and needed[0] <= size[0]
        )

    cdef Py_ssize_t band_rows(self, Py_ssize_t filters):
        """Rows of positions that are computed together."""
        row = (self.plane.stride * self.plane.image.width * self.features
               + self.count[1] * filters)
        return max(1, min(self.count[0], BAND // max(1, row)))

    cdef Py_ssize_t scratch_size(self, Py_ssize_t rows):
        """Numbers of the copy of an image that a band of rows of positions needs."""
        if self.plane.in_place:
            return 0
        return (
            ((rows - 1) * self.plane.stride + self.plane.reach + 1) * self.plane.image.width
            * self.features
        )
