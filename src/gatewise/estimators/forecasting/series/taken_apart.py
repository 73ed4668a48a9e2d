"""What the readers of panels return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.data.ordering import plain
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from .panel import Panel
    from .reading import Parts


class TakenApart(NamedTuple):
    """A panel taken apart.

    Attributes
    ----------
    panel : Panel
    parts : Parts
        The series.
    rows : list of ndarray of int, or None
        The rows of the panel that each series has; None for a dict, which has no common rows.
    """

    panel: Panel
    parts: Parts
    rows: list[np.ndarray] | None


def rows_by_label(labels: Any, name: str) -> tuple[tuple[Any, ...], list[np.ndarray]]:
    """Return the different labels, in the order of their first rows, and the rows of each.

    Parameters
    ----------
    labels : pandas.Index
        Which series each row belongs to.
    name : str
        The argument, for messages.

    Raises
    ------
    ConfigError
        A row has no label.
    """
    codes, unique = labels.factorize(use_na_sentinel=False)
    missing = np.flatnonzero(labels.to_frame().isna().any(axis=1).to_numpy())
    if missing.size:
        raise ConfigError(
            f"row {missing[0]} of {name} has no label of the series that it belongs to; give it"
            " one, or leave the row out"
        )
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(unique)))[:-1]
    return tuple(plain(key) for key in unique), np.split(order, ends)
