"""Frames of polars to and from pandas, without the packages that their own conversion needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.errors import MissingPackageError

if TYPE_CHECKING:
    import pandas


def to_pandas(frame: Any, name: str) -> pandas.DataFrame:
    """Return a pandas frame of any frame.

    Parameters
    ----------
    frame : data frame of pandas or polars
        A pandas frame is returned as it is.
    name : str
        The argument, for messages.

    Raises
    ------
    MissingPackageError
    """
    if hasattr(frame, "iloc"):
        return frame
    try:
        import pandas
    except ImportError as error:
        raise MissingPackageError(
            f"{name} with groups= or time= needs pandas: python -m pip install pandas"
        ) from error
    columns = {}
    for column in frame.columns:
        values = frame[column]
        zone = getattr(values.dtype, "time_zone", None)
        made = pandas.Series(values.to_numpy())
        columns[column] = made if zone is None else made.dt.tz_localize("UTC").dt.tz_convert(zone)
    return pandas.DataFrame(columns)


def to_polars(table: pandas.DataFrame, days: Any = None) -> Any:
    """Return a polars frame of a pandas frame.

    Parameters
    ----------
    table : pandas.DataFrame
    days : label, optional
        The column of dates that have no hours.
    """
    import polars

    columns = {}
    for column in table.columns:
        values: Any = table[column]
        zone = getattr(values.dtype, "tz", None)
        if column == days or (zone is None and values.dtype.kind == "M"):
            unit = "datetime64[D]" if column == days else "datetime64[us]"
            columns[column] = polars.Series(values.to_numpy().astype(unit))
        elif zone is None:
            columns[column] = polars.Series(
                values.tolist() if values.dtype.kind == "O" else values.to_numpy()
            )
        else:
            utc = polars.Series(values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
            columns[column] = utc.dt.replace_time_zone("UTC").dt.convert_time_zone(str(zone))
    return polars.DataFrame(columns)
