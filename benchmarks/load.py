"""Other work on the machine: processes that do nothing but keep a processor busy."""

import contextlib
import subprocess
import sys
import time

SETTLE = 0.5  # seconds until the scheduler has given each of them its place


@contextlib.contextmanager
def busy_processes(count):
    """Context manager: `count` processes run Python loops meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        if loops:
            time.sleep(SETTLE)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
