"""Sequences made ready for a network: windows of a long series.

Scaling is scikit-learn's (``StandardScaler``, fitted on the training part alone).
"""

from .windows import windows

__all__ = ["windows"]
