"""Preparing sequences for a network: windows, scaling, padding, missing values, text, sound.

The transformers are those of a scikit-learn pipeline, and load scikit-learn on first use. The
functions need only NumPy; those for sound need SciPy, too.
"""

import importlib

from gatewise.errors import MissingPackageError

from .frames import stack_frames
from .missing import (
    compress,
    counted_steps,
    feature_means,
    fill_forward,
    fill_mean,
    missing_indicators,
    scatter,
)
from .windows import windows

TYPE_CHECKING = False
# For static tools; at run time, __getattr__ loads these names on first use.
if TYPE_CHECKING:
    from .audio import deltas, log_mel, mel_filters, mfcc
    from .padder import SequencePadder
    from .scaler import SequenceScaler
    from .stacker import FrameStacker
    from .text import Vocabulary
    from .vectors import WordVectors, load_vectors
    from .windower import Windower

_ON_FIRST_USE = {
    "FrameStacker": "stacker",
    "SequencePadder": "padder",
    "SequenceScaler": "scaler",
    "Vocabulary": "text",
    "Windower": "windower",
    "WordVectors": "vectors",
    "deltas": "audio",
    "load_vectors": "vectors",
    "log_mel": "audio",
    "mel_filters": "audio",
    "mfcc": "audio",
}

__all__ = [
    "FrameStacker",
    "SequencePadder",
    "SequenceScaler",
    "Vocabulary",
    "Windower",
    "WordVectors",
    "compress",
    "counted_steps",
    "deltas",
    "feature_means",
    "fill_forward",
    "fill_mean",
    "load_vectors",
    "log_mel",
    "mel_filters",
    "mfcc",
    "missing_indicators",
    "scatter",
    "stack_frames",
    "windows",
]


def __getattr__(name: str) -> object:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'gatewise.data' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"gatewise.data.{_ON_FIRST_USE[name]}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        raise MissingPackageError(
            f"gatewise.data.{name} needs scikit-learn, which cannot be imported ({error}); install"
            " it: python -m pip install scikit-learn"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE})
