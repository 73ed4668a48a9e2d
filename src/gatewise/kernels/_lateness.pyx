"""What the process remembers of threads that were late; see lateness.h."""

cdef extern from "lateness.h" nogil:
    const gw_int GW_LONGEST_PAUSE
    bint gw_alone(const gw_lateness *)
    bint gw_was_late(const gw_watch *, gw_int ended)

cdef extern from *:
    """
    static gw_lateness gw_memory;
    static void gw_set_memory(gw_int until, gw_int pause) {
        gw_memory.alone_until = until;
        gw_memory.pause = pause;
    }
    static gw_int gw_get_pause() { return gw_memory.pause; }
    static gw_int gw_get_closings() { return gw_memory.closings; }
    static void gw_set_hurries(bool hurries) { gw_memory.hurries = hurries; }
    """
    gw_lateness gw_memory
    void gw_set_memory(gw_int until, gw_int pause)
    gw_int gw_get_pause()
    gw_int gw_get_closings()
    void gw_set_hurries(bint hurries)

cdef extern from "meeting.h" nogil:
    bint gw_too_long(gw_int wait, gw_int since_begin, gw_int phases)


cdef gw_lateness *lateness() noexcept nogil:
    return &gw_memory


def alone():
    """Whether calls use one thread now, since threads were late a short time ago."""
    return gw_alone(&gw_memory)


def forget():
    """Forget that threads have been late."""
    gw_set_memory(0, 0)


def pause():
    """Nanoseconds for which calls used one thread after the last late call.

    It shrinks with each call that is not late.
    """
    return gw_get_pause()


def closings():
    """How many times a thread of this process has continued alone in the middle of a call."""
    return gw_get_closings()


def hurry(bint hurries):
    """For tests: let a thread that has to wait for another one continue alone at once, or not.

    Whether one really has to wait so long depends on what else the machine does.
    """
    gw_set_hurries(hurries)


def too_long(gw_int wait, gw_int since_begin, gw_int phases):
    """For tests: whether a wait of this many nanoseconds makes a thread continue alone."""
    return gw_too_long(wait, since_begin, phases)


def remember(gw_int opened, gw_int worked, gw_int waited, gw_int own, gw_int all):
    """For tests: judge a call that ends now, as the kernels do; whether it was late.

    Parameters
    ----------
    opened, worked : int
        Nanoseconds before now when the call's parallel region began, and when its first thread had
        nothing left to do.
    waited : int
        Nanoseconds that this thread had waited until then.
    own, all : int
        Parts of the work that it did, and all parts.
    """
    cdef gw_watch watch
    cdef gw_int now = gw_nanoseconds()
    watch.opened, watch.worked, watch.waited = now - opened, now - worked, waited
    watch.own, watch.all = own, all
    gw_remember(&gw_memory, &watch)
    return gw_was_late(&watch, now)
