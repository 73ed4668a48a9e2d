"""How many threads the operating system would start now.

OpenMP ends the process if the system refuses it a thread. So `threads.py` asks here first.
"""

cdef extern from *:
    """
    #if defined(_WIN32)
    static int gw_startable(int wanted, size_t stack) { (void)stack; return wanted; }
    #else
    #include <pthread.h>
    #include <stdlib.h>

    static void *gw_wait_at_gate(void *gate) {
        pthread_mutex_lock((pthread_mutex_t *)gate);
        pthread_mutex_unlock((pthread_mutex_t *)gate);
        return NULL;
    }

    // Threads that could be started at once, of those wanted; all of them have ended on return.
    static int gw_startable(int wanted, size_t stack) {
        pthread_t *threads = (pthread_t *)malloc((size_t)wanted * sizeof(pthread_t));
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        pthread_attr_t attributes;
        int started = 0;
        if (!threads) return 0;
        if (pthread_attr_init(&attributes)) { free(threads); return 0; }
        // An impossible size leaves it as it was, which is what OpenMP does too.
        if (stack) pthread_attr_setstacksize(&attributes, stack);
        pthread_mutex_lock(&gate);
        while (started < wanted &&
               !pthread_create(&threads[started], &attributes, gw_wait_at_gate, &gate))
            started++;
        pthread_mutex_unlock(&gate);
        for (int k = 0; k < started; k++) pthread_join(threads[k], NULL);
        pthread_mutex_destroy(&gate);
        pthread_attr_destroy(&attributes);
        free(threads);
        return started;
    }
    #endif
    """
    int gw_startable(int wanted, size_t stack) nogil


def startable(int wanted, size_t stack=0):
    """How many of `wanted` more threads the system would run at once.

    Parameters
    ----------
    wanted : int
    stack : int
        Bytes of each thread's stack. 0: the system's default.
    """
    cdef int started
    if wanted < 1:
        return 0
    with nogil:
        started = gw_startable(wanted, stack)
    return started
