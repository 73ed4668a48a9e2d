"""The machine's peak: fused multiply-adds on registers alone, all threads at once."""

from gatewise.kernels._table import fma_peak


def peak_gflops(threads, dtype="float32"):
    """GF/s of the best of several short runs."""
    return max(fma_peak(threads, dtype == "float64", 3_000_000) for _ in range(15))
