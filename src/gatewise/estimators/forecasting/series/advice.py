"""Code that error messages propose, so that a user can repair a series by copying a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas

# Labels of the steps of a series: a pandas.Index or an ndarray of datetime64. Static tools cannot
# tell the many kinds of index apart, so it is Any to them.
Labels: TypeAlias = Any

# Given a function that turns the code of a series into code of the repaired series, a Fix returns
# the whole statement that replaces the series. Of a variable y: make -> f"y = {make('y')}".
Fix: TypeAlias = Callable[[Callable[[str], str]], str]


def assigned(name: str) -> Fix:
    """Return the :data:`Fix` of a variable: a statement that assigns the repaired series to it."""
    return lambda make: f"{name} = {make(name)}"


def sorting(index: pandas.Index[Any], fix: Fix) -> str:
    """Return code that puts an index in order, with a description of what it does."""
    labels: Labels = index
    if labels.hasnans:
        code = fix(lambda part: f"{part}[{part}.index.notna()]")
        return f"{code} leaves out rows without a label"
    if labels.is_unique:
        return f"{fix(lambda part: f'{part}.sort_index()')} puts them in order"
    code = fix(lambda part: f"{part}.groupby(level=0).mean()")
    advice = f"{code} takes the mean of the rows that have one label, and puts them in order"
    has_no_zone = getattr(labels, "tz", 0) is None
    if has_no_zone and (labels.hour != labels.hour[0]).any():
        advice += (
            " (an hour that comes twice because clocks were set back needs a time zone:"
            " tz_localize(zone, ambiguous='infer'))"
        )
    return advice


def as_periods(index: Labels, fix: Fix) -> str:
    """Return advice for dates of which one is in each week, month, quarter or year, or ""."""
    if not hasattr(index, "tz_localize"):
        return ""
    local = index.tz_localize(None)
    for freq, word in (("W", "week"), ("M", "month"), ("Q", "quarter"), ("Y", "year")):
        if (np.diff(local.to_period(freq).asi8) == 1).all():
            zone = "" if index.tz is None else ".tz_localize(None)"
            code = fix(lambda part: f"{part}{zone}.to_period({freq!r})")
            return f"{code} labels each row with its {word}; or "
    return ""


def resampling(index: Labels, fix: Fix) -> str:
    """Return advice for dates that are on no regular grid: means over intervals of one length."""
    if not hasattr(index, "tz_localize"):
        return ""
    median = float(np.median(np.diff(index.as_unit("ns").asi8))) / 1e9  # seconds
    freq = next(
        (name for name, seconds in (("D", 86400), ("h", 3600), ("min", 60)) if median >= seconds),
        "s",
    )
    if median >= 28 * 86400:
        freq = "MS"
    code = fix(lambda part: f"{part}.resample('{freq}').mean()")
    return (
        f"{code} takes the mean of each {freq!r}, with NaN where there is none, which"
        " missing='forward_fill' fills; or "
    )


def skipped_hours(index: Labels, grid: Labels) -> str:
    """Return a hint about clocks that were set forward, if that may explain all missing steps."""
    if getattr(index, "tz", 0) is not None or len(grid) - len(index) > 4 * (len(grid) // 1000 + 1):
        return ""
    missing = grid[~grid.isin(index)]
    if not ((missing.hour >= 1) & (missing.hour <= 3) & missing.month.isin([3, 4, 9, 10])).all():
        return ""
    return (
        " (an hour that was skipped because clocks were set forward is not missing if the dates"
        " have their time zone: tz_localize(zone))"
    )
