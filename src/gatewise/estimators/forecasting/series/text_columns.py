"""Advice on frames with columns of dates, text or categories, where numbers are expected."""

from __future__ import annotations

import re
from typing import Any

from gatewise.data.ordering import is_missing


def holds_numbers(values: Any) -> bool:
    """Return whether the first text of a column is a number, and not a date written in digits."""
    first = str(_first(values))
    if re.match(r"(19|20)\d{2}[01]\d", first):
        return False
    try:
        float(first)
    except ValueError:
        return False
    return True


def holds_iso_dates(values: Any) -> bool:
    """Return whether the first text of a column is a date in the form of ISO 8601."""
    return re.match(r"\d{4}-\d{2}-\d{2}", str(_first(values))) is not None


def _first(values: Any) -> Any:
    """Return the first value that is not missing, or ""."""
    return next((value for value in values if not is_missing(value)), "")


def advice_on_columns(
    frame: Any, name: str, kinds: dict[Any, str], written_dates: list[Any]
) -> list[str]:
    """Return what a user can do about columns that hold no numbers.

    Parameters
    ----------
    frame : data frame of pandas or polars
    name : str
        The argument: "y", "X", or one of several, "y[2]".
    kinds : dict of column name to {"dates", "durations", "text", "categories"}
    written_dates : list
        The columns of text in which the text is dates.
    """
    dates = [column for column, kind in kinds.items() if kind == "dates" or column in written_dates]
    numbers = [
        column for column, kind in kinds.items() if kind == "text" and holds_numbers(frame[column])
    ]
    # Next to dates, text that looks like numbers may be the labels of series.
    if numbers and not dates and hasattr(frame, "iloc"):
        made = f"**{{column: pandas.to_numeric({name}[column]) for column in {numbers!r}}}"
        rest = {column: kind for column, kind in kinds.items() if column not in numbers}
        others = advice_on_columns(frame, name, rest, written_dates) if rest else []
        return [f"{name} = {name}.assign({made})", *others]
    texts = [
        column for column, kind in kinds.items() if kind == "text" and column not in written_dates
    ]
    one_date = len(dates) == 1 and len(kinds) == len(dates) + len(texts) <= 2
    if name.startswith("y") and one_date:
        return _advice_on_dates(frame, name, dates[0], texts, bool(written_dates))
    drop = f"columns={list(kinds)!r}" if hasattr(frame, "iloc") else repr(list(kinds))
    advice = [f"{name} = {name}.drop({drop}) leaves out what is no number"]
    if dates:
        advice.append("calendar= makes features of the dates that label the steps of y")
    return advice


def _advice_on_dates(
    frame: Any, name: str, date: Any, texts: list[Any], is_text: bool
) -> list[str]:
    """Return advice on a table of series: a column of dates, and at most one column of text.

    With `is_text` the dates are written as text.
    """
    pandas_like = hasattr(frame, "iloc")
    if name == "y":
        groups = f"groups={texts[0]!r}, " if texts else ""
        advice = [f"fit(y, {groups}time={date!r}) reads such a table"]
        if pandas_like and not is_text:
            index = [*texts, date] if texts else date
            advice.append(f"y = y.set_index({index!r}) makes labels of it")
        return advice
    # one of several series, which need no column of groups
    if not pandas_like:
        return ["concatenate all series to one frame, and name its columns in groups= and time="]
    dropped = f".drop(columns={texts!r})" if texts else ""
    made = f".assign(**{{{date!r}: pandas.to_datetime({name}[{date!r}])}})" if is_text else ""
    return [f"{name} = {name}{dropped}{made}.set_index({date!r}) makes labels of the dates"]
