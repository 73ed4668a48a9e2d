# The structures of lateness.h, and the one memory of this process.
from gatewise.kernels._table cimport gw_int

cdef extern from "lateness.h" nogil:
    cdef cppclass gw_lateness:
        pass

    cdef cppclass gw_watch:
        gw_int opened, worked, waited, own, all

    gw_int gw_nanoseconds()
    gw_watch gw_open(gw_int parts)
    void gw_note_part(gw_watch *)
    bint gw_hurries(const gw_lateness *)
    void gw_count_closing(gw_lateness *)
    void gw_remember(gw_lateness *, const gw_watch *)

cdef gw_lateness *lateness() noexcept nogil
