"""Public names of gatewise.training.losses."""

from gatewise.training.losses import *  # noqa: F403
from gatewise.training.losses import __all__  # noqa: F401
