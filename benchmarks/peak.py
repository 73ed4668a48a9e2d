"""The machine's peak: fused multiply-adds on registers alone, all threads at once."""

import statistics

from gatewise.kernels._table import fma_peak


def peak_gflops(threads, dtype="float32"):
    """GF/s: the median of several runs of a few milliseconds."""
    return statistics.median(fma_peak(threads, dtype == "float64", 3_000_000) for _ in range(5))
