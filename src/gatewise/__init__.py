"""Recurrent networks on the CPU, trained and run from NumPy arrays.

    layers       SimpleRNN, LSTM, GRU, Dense, ...: forward, backward, state
    models       Sequential: compile, fit, predict, save
    training     losses, metrics, optimizers, schedules, callbacks, each a module of its own here
    generation   sample, greedy, beam_search
    testing      check_gradients

Modules load on first use.
"""

import importlib

TYPE_CHECKING = False
# what static tools see; at run time these names load on first use, by __getattr__
if TYPE_CHECKING:
    from . import callbacks as callbacks
    from . import cells as cells
    from . import checkpoint as checkpoint
    from . import constraints as constraints
    from . import data as data
    from . import errors as errors
    from . import estimators as estimators
    from . import generation as generation
    from . import initializers as initializers
    from . import kernels as kernels
    from . import layers as layers
    from . import losses as losses
    from . import metrics as metrics
    from . import models as models
    from . import optimizers as optimizers
    from . import regularizers as regularizers
    from . import schedules as schedules
    from . import testing as testing
    from . import threads as threads
    from . import training as training
    from . import utils as utils
    from .errors import CheckpointError, GatewiseError, ShapeError, TrainingWarning
    from .errors import NotFittedError as NotFittedError
    from .estimators import (
        ForecastDisplay,
        LearningCurve,
        SequenceClassifier,
        SequenceEncoder,
        SequenceForecaster,
        SequenceGenerator,
        SequenceRegressor,
        SequenceTagger,
        SequenceTranscriber,
        SequenceTranslator,
        load_estimator,
        save_estimator,
    )
    from .info import build_info
    from .layers import Input
    from .models import Model, Sequential, load_model
    from .threads import get_num_threads, set_num_threads

__version__ = "0.1.0"

_MODULES = frozenset(
    {
        "callbacks",
        "cells",
        "checkpoint",
        "constraints",
        "data",
        "errors",
        "estimators",
        "generation",
        "initializers",
        "kernels",
        "layers",
        "losses",
        "metrics",
        "models",
        "optimizers",
        "regularizers",
        "schedules",
        "testing",
        "threads",
        "training",
        "utils",
    }
)
_NAMES = {
    "load_model": "models",
    "Model": "models",
    "Sequential": "models",
    "Input": "layers",
    "set_num_threads": "threads",
    "get_num_threads": "threads",
    "build_info": "info",
    "GatewiseError": "errors",
    "CheckpointError": "errors",
    "ShapeError": "errors",
    "NotFittedError": "errors",
    "TrainingWarning": "errors",
    "ForecastDisplay": "estimators",
    "LearningCurve": "estimators",
    "SequenceClassifier": "estimators",
    "SequenceEncoder": "estimators",
    "SequenceForecaster": "estimators",
    "SequenceGenerator": "estimators",
    "SequenceRegressor": "estimators",
    "SequenceTagger": "estimators",
    "SequenceTranscriber": "estimators",
    "SequenceTranslator": "estimators",
    "load_estimator": "estimators",
    "save_estimator": "estimators",
}

__all__ = [
    "CheckpointError",
    "ForecastDisplay",
    "GatewiseError",
    "Input",
    "LearningCurve",
    "Model",
    "SequenceClassifier",
    "SequenceEncoder",
    "SequenceForecaster",
    "SequenceGenerator",
    "SequenceRegressor",
    "SequenceTagger",
    "SequenceTranscriber",
    "SequenceTranslator",
    "Sequential",
    "ShapeError",
    "TrainingWarning",
    "__version__",
    "build_info",
    "get_num_threads",
    "load_estimator",
    "load_model",
    "save_estimator",
    "set_num_threads",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return importlib.import_module(f"gatewise.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"gatewise.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'gatewise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})
