"""Sequences made ready for a network: windows of a long series, missing values."""

from .missing import compress, counted_steps, feature_means, fill_forward, fill_mean, missing_indicators, scatter
from .windows import windows

__all__ = [
    "compress", "counted_steps", "feature_means", "fill_forward", "fill_mean", "missing_indicators", "scatter", "windows",
]
