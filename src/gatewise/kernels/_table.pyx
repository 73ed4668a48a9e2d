"""The table of vector kernels: which instruction set this process runs.

The fastest set that the processor and the operating system support is chosen when the module is
imported. The environment variable ``GATEWISE_ISA`` (baseline, avx2, avx512) forces another one.
"""
import os

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
        known = "this machine does not run it" if wanted in built_isas() else "this build does not hold it"
        raise ImportError(f"GATEWISE_ISA={wanted!r}: {known}; choose one of {', '.join(supported)}")
    gw_isa_fill(built_isas().index(wanted), &chosen32, &chosen64)
    return wanted


ISA = _choose()
