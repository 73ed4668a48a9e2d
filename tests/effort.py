"""Work counted in calls of functions: unlike seconds, it does not depend on the machine."""

import sys


class Effort:
    """Context manager: how many functions the block calls, those of C included.

    `calls` holds their number afterwards. It says nothing of the work inside one function of C;
    memory that such a function takes is checked apart.
    """

    def __enter__(self):
        self.calls = 0
        self._before = sys.getprofile()
        sys.setprofile(self._count)
        return self

    def __exit__(self, *raised):
        sys.setprofile(self._before)

    def _count(self, frame, event, argument):
        if event in ("call", "c_call"):
            self.calls += 1
