"""Callbacks: what may watch a training run and steer it. Names and arguments are Keras's."""

from .base import Callback, CallbackList, LambdaCallback
from .checkpoints import ModelCheckpoint
from .csv_logger import CSVLogger
from .guards import SwapEMAWeights, TerminateOnNaN
from .history import History
from .monitor import EarlyStopping
from .progress import ProgressBar, check_verbose, progress, say  # noqa: F401  for models, the loop
from .rates import LearningRateScheduler, ReduceLROnPlateau

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TerminateOnNaN",
]
