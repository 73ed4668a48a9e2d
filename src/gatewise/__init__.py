"""Recurrent networks on the CPU, trained and run from NumPy arrays.

    layers       SimpleRNN, LSTM, GRU, Dense, ...: forward, backward, state
    models       Sequential: compile, fit, predict, save
    losses, metrics, optimizers, schedules, callbacks, initializers, regularizers, constraints, utils
    testing      check_gradients

Modules load on first use.
"""

import importlib

__version__ = "0.1.0"

_MODULES = frozenset({
    "callbacks", "cells", "checkpoint", "constraints", "data", "errors", "estimators", "initializers", "kernels", "layers",
    "losses", "metrics", "models", "optimizers", "regularizers", "schedules", "testing", "threads", "training", "utils",
})
_NAMES = {
    "load_model": "models", "Sequential": "models", "Input": "layers",
    "set_num_threads": "threads", "get_num_threads": "threads",
    "build_info": "info",
    "GatewiseError": "errors", "CheckpointError": "errors", "ShapeError": "errors", "NotFittedError": "errors",
    "TrainingWarning": "errors",
    "ForecastDisplay": "estimators", "LearningCurve": "estimators", "SequenceClassifier": "estimators",
    "SequenceEncoder": "estimators", "SequenceForecaster": "estimators", "SequenceRegressor": "estimators",
    "SequenceTagger": "estimators", "load_estimator": "estimators",
}

__all__ = [
    "CheckpointError", "ForecastDisplay", "GatewiseError", "Input", "LearningCurve", "SequenceClassifier", "SequenceEncoder",
    "SequenceForecaster", "SequenceRegressor", "SequenceTagger", "Sequential", "ShapeError", "TrainingWarning", "__version__",
    "build_info", "get_num_threads", "load_estimator", "load_model", "set_num_threads",
]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"gatewise.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"gatewise.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'gatewise' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_MODULES, *_NAMES})
