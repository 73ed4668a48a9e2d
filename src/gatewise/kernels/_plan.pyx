"""The choice by shape: who computes what of a batch. Nothing here changes a bit of a result."""
import numpy as np

# Bytes of weights that stay in one core's cache from step to step.
cdef Py_ssize_t CACHED_WEIGHTS = 512 * 1024
# Rows that a band needs to repay reading such weights at every step, and larger ones.
cdef Py_ssize_t ROWS_OF_BAND = 4, ROWS_OF_BAND_FAR = 10
# Operations of a step, per part, that repay a meeting.
cdef Py_ssize_t MEETING_OPERATIONS = 40_000
# Bytes of weights, for each row of a band, whose way to the core takes longer than their use.
cdef Py_ssize_t FAR_WEIGHTS = 640 * 1024
# Rows above which a band keeps no products ahead, however large the weights: its tiles are full.
cdef Py_ssize_t MOST_ROWS_AHEAD = 32


cdef tuple choose_plan(Py_ssize_t gates, Py_ssize_t inputs, Py_ssize_t units, Py_ssize_t size,
                       Py_ssize_t batch, Py_ssize_t steps, int threads, Py_ssize_t block):
    """(bands, parts of each band, whether to compute x W ahead), for this many threads.

    Bands come first, since they never wait. But every band reads all weights at every step. So with
    few rows threads share a band, each reading the weights of its units, if a step has work enough
    to repay the meeting. If it has not, every thread gets rows, however few. If few rows use
    weights that come from far away, the input's part of the weights is read once for a block of
    steps.
    Measured on two cores with 2 MB of L2 each.

    Parameters
    ----------
    gates, inputs, units : of the kernels; size : bytes of a number; block : units that go together
    """
    cdef Py_ssize_t weights = gates * units * (inputs + units) * size
    cdef Py_ssize_t rows = ROWS_OF_BAND if weights <= CACHED_WEIGHTS else ROWS_OF_BAND_FAR
    cdef Py_ssize_t n_bands = max(1, min(threads, batch // rows))
    cdef Py_ssize_t step = 2 * (batch // n_bands) * gates * units * units
    cdef Py_ssize_t most_parts = min((units + block - 1) // block, step // MEETING_OPERATIONS)
    cdef Py_ssize_t parts = max(1, min(threads // n_bands, most_parts))
    cdef Py_ssize_t rows_ahead = min(MOST_ROWS_AHEAD, weights // FAR_WEIGHTS)
    if parts == 1:
        n_bands = min(threads, batch)
    return n_bands, parts, steps > 1 and batch // n_bands <= rows_ahead


cdef object bands(Py_ssize_t batch, lengths, int count):
    """Bounds of bands with about the same number of steps each: intp ndarray (count + 1,)."""
    if lengths is None:
        return np.arange(count + 1, dtype=np.intp) * batch // count
    work = np.cumsum(lengths)
    inner = np.searchsorted(work, work[batch - 1] * np.arange(1, count) / count)
    return np.concatenate([[0], inner, [batch]]).astype(np.intp)
