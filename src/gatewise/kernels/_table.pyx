"""The table of vector kernels: which instruction set this process runs.

The fastest set that the processor and the operating system support is chosen when the module is
imported. The environment variable ``GATEWISE_ISA`` (baseline, avx2, avx512) forces another one.
"""
import os
import time

from cython.parallel cimport prange

from gatewise.errors import ConfigError

cdef extern from "dispatch.h" nogil:
    int gw_isa_count()
    const char *gw_isa_name(int)
    int gw_isa_runs(int)
    void gw_isa_fill(int, gw_table[float] *, gw_table[double] *)

cdef extern from *:
    """
    #ifdef _OPENMP
    #define GW_HAS_OPENMP 1
    #else
    #define GW_HAS_OPENMP 0
    #endif
    """
    int GW_HAS_OPENMP

HAS_OPENMP = bool(GW_HAS_OPENMP)

cdef gw_table[float] chosen32
cdef gw_table[double] chosen64

cdef gw_table[float] *table32() noexcept nogil:
    return &chosen32

cdef gw_table[double] *table64() noexcept nogil:
    return &chosen64


def built_isas():
    """Names of the instruction sets in this build, slowest first."""
    return [gw_isa_name(i).decode() for i in range(gw_isa_count())]


def supported_isas():
    """Names of the instruction sets in this build that this machine runs, slowest first."""
    return [gw_isa_name(i).decode() for i in range(gw_isa_count()) if gw_isa_runs(i)]


def _choose():
    supported = supported_isas()
    wanted = os.environ.get("GATEWISE_ISA") or supported[len(supported) - 1]
    if wanted not in supported:
        built = wanted in built_isas()
        known = "this machine does not run it" if built else "this build does not hold it"
        raise ConfigError(
            f"the environment variable GATEWISE_ISA is {wanted!r:.100}: {known}; expected one of "
            f"{', '.join(supported)}, or no such variable, for the fastest of them"
        )
    gw_isa_fill(built_isas().index(wanted), &chosen32, &chosen64)
    return wanted


ISA = _choose()


def fma_peak(int threads, bint double_precision, gw_int rounds):
    """GF/s of `threads` threads that multiply and add on registers alone; for benchmarks."""
    cdef int _
    cdef gw_int operations = 0
    begin = time.perf_counter()
    for _ in prange(threads, num_threads=threads, schedule="static", chunksize=1, nogil=True):
        operations += one_fma_loop(double_precision, rounds)
    return operations / (time.perf_counter() - begin) / 1e9


cdef gw_int one_fma_loop(bint double_precision, gw_int rounds) noexcept nogil:
    cdef float sink32
    cdef double sink64
    if double_precision:
        return chosen64.fma_loop(rounds, &sink64)
    return chosen32.fma_loop(rounds, &sink32)
