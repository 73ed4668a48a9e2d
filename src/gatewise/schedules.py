"""Public names of gatewise.training.schedules."""

from gatewise.training.schedules import *  # noqa: F403
from gatewise.training.schedules import __all__  # noqa: F401
