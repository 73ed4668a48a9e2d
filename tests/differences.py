"""Central differences, which the gradients of losses and kernels are checked against."""

import numpy as np


def central_differences(function, at, step=1e-4):
    """ndarray of at's shape, float64: the gradient of a number, with an error of fourth order.

    ``function`` takes an array like ``at`` and returns a number.
    """
    at = np.array(at, np.float64)
    slopes = np.empty_like(at)
    for index in np.ndindex(at.shape):
        here = at[index]
        values = []
        for k in (1, -1, 2, -2):
            at[index] = here + k * step
            values.append(function(at))
        at[index] = here
        slopes[index] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step)
    return slopes
