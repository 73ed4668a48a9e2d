"""Public names of gatewise.training.optimizers."""

from gatewise.training.optimizers import *  # noqa: F403
from gatewise.training.optimizers import __all__  # noqa: F401
