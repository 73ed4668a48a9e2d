"""Public names of gatewise.training.optimizers."""

from gatewise.training import schedules  # noqa: F401  Keras's place for them
from gatewise.training.optimizers import *  # noqa: F403
from gatewise.training.optimizers import __all__  # noqa: F401
