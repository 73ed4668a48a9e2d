"""Frames with dates, text, categories or labels in their columns and indices."""

import numpy as np
import pandas
import pytest
from frame_cases import DATES, LATER, cured, panel, parts, refusal, small
from seeds import generator
from small_sequences import fitted

from gatewise.errors import (
    ConfigError,
    DTypeError,
    ShapeError,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- frames with columns that are no numbers


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_that_are_no_numbers_are_named(library):
    frames = pytest.importorskip(library)
    make = (
        (lambda table: table)
        if library == "pandas"
        else (lambda table: frames.DataFrame({column: table[column].to_list() for column in table}))
    )
    y = panel().reset_index()
    one = y[y["store"] == "a"].drop(columns="store")
    for frame, words in (
        (
            y,
            r"the column 'store' of text and the column 'date' of dates; "
            r".*fit\(y, groups='store', time='date'\)",
        ),
        (one, r"the column 'date' of dates; expected numbers: fit\(y, " r"time='date'\)"),
        (one[["date"]], "the column 'date' of dates"),
        (one.drop(columns="date").assign(note="x"), "the column 'note' of text"),
    ):
        with pytest.raises(DTypeError, match=words):
            small().fit(make(frame))
    X = one.set_index(one.index)
    with pytest.raises(DTypeError, match="X has the column 'date' of dates"):
        small().fit(one["sales"].to_numpy(), make(X))
    found = small().fit(make(y), groups="store", time="date").predict()
    assert type(found).__module__.startswith(library)
    assert list(found.columns) == ["store", "date", "sales", "visits"]
    expected = small().fit(parts(panel())).predict()
    np.testing.assert_array_equal(
        found["sales"].to_numpy(), np.concatenate([part["sales"] for part in expected])
    )
    assert [str(date)[:10] for date in found["date"].to_list()] == ["2024-01-31", "2024-02-01"] * 2


def test_cures_of_columns_that_are_no_numbers():
    y = panel().reset_index()
    table = cured(refusal(lambda: small().fit(y)), y=y)["y"]
    assert list(small().fit(table).predict().index.names) == ["store", "date"]
    one = y[y["store"] == "a"].drop(columns="store")
    small().fit(cured(refusal(lambda: small().fit(one)), y=one)["y"])
    X = one.assign(kind=pandas.Categorical(["x"] * 30), wait=pandas.Timedelta("1h"))
    message = refusal(lambda: small().fit(one["sales"], X))
    assert "the column 'kind' of categories and the column 'wait' of durations" in message
    assert list(cured(message, X=X)["X"].columns) == ["sales", "visits"]
    forecaster = small(future_features=["hot"]).fit(
        np.arange(30.0), pandas.DataFrame({"hot": np.ones(30)})
    )
    with pytest.raises(DTypeError, match="X_future has the column 'hot' of text"):
        forecaster.predict(X_future=pandas.DataFrame({"hot": ["a", "b"]}))


def test_arrays_of_objects():
    one = panel().loc["a"].reset_index()
    for given, words in (
        (one.to_numpy(), "y holds dates in column 0, for example"),
        (one["date"].astype(object), "y holds dates, for example"),
        (pandas.Series(["1", "2"] * 15), "y holds text, for example '1'"),
    ):
        with pytest.raises(DTypeError, match=words):
            small().fit(given)
    small().fit(one["sales"].to_numpy().astype(object))


def test_numbers_as_text():
    """They can be converted.

    Beside dates they may be labels, and dates in digits are no numbers.
    """
    given = pandas.Series(["1.5", "2"] * 15)
    assert len(small().fit(cured(refusal(lambda: small().fit(given)), y=given)["y"]).predict()) == 2
    frame = pandas.DataFrame({"a": given, "b": 1.0, "c": given})
    assert list(
        small().fit(cured(refusal(lambda: small().fit(frame)), y=frame)["y"]).predict()
    ) == ["a", "b", "c"]
    y = panel(keys=("001", "002")).reset_index()
    assert "fit(y, groups='store', time='date') reads such a table" in refusal(
        lambda: small().fit(y)
    )
    frame = pandas.DataFrame({"day": DATES.strftime("%Y%m%d"), "sales": 1.0})
    assert "to_numeric" not in refusal(lambda: small().fit(frame))


def test_categories_of_numbers_are_numbers():
    """As of hours that were made categories for another library."""
    hours = pandas.DataFrame({"hour": np.arange(30) % 24, "open": np.arange(30) % 24 > 8})
    y = generator(0).normal(size=30)
    expected = small().fit(y, hours).predict()
    np.testing.assert_array_equal(
        small().fit(y, hours.astype({"hour": "category"})).predict(), expected
    )
    with pytest.raises(DTypeError, match="'hour' of categories"):
        small().fit(y, hours.assign(hour=pandas.Categorical(hours["hour"].astype(str))))


def test_times_that_are_floats():
    y = pandas.DataFrame({"year": np.arange(1990.0, 2020.0), "sales": np.arange(30.0)})
    message = refusal(lambda: small().fit(y, time="year"))
    exec(message.split("text: ")[1], {"y": y})
    assert small().fit(y, time="year").predict()["year"].tolist() == [2020, 2021]


def test_an_index_is_called_y():
    with pytest.raises(DTypeError, match="^y holds datetime64"):
        small().fit(DATES)


def test_dates_as_text_in_columns():
    y = panel().reset_index()
    y["date"] = y["date"].dt.strftime("%Y-%m-%d")
    message = refusal(lambda: small().fit(y))
    assert "fit(y, groups='store', time='date') reads such a table" in message
    one = y[y["store"] == "a"]
    assert "fit(y, time='date')" in refusal(lambda: small().fit(one.drop(columns="store")))
    for real in (False, True):
        table = one.assign(date=pandas.to_datetime(one["date"])) if real else one
        message = refusal(lambda table=table: small().fit([table, table]))
        found = cured(message, y=[table, table])["y"]
        assert small().fit(found[:1]).predict()[0].index[0] == LATER[0]


def test_what_is_neither_a_series_nor_a_panel():
    y = panel()
    with pytest.raises(
        DTypeError, match="y is a DataFrameGroupBy; expected the frame itself, with groups="
    ):
        small().fit(y.groupby(level=0))
    with pytest.raises(ShapeError, match=r"y\['a'\] is array\(1.\); expected an array of steps"):
        small().fit({"a": 1.0})
    sales = np.arange(30.0)
    for given, words in (
        (iter(sales), r"y = list\(y\)"),
        ((one for one in sales), r"y = list\(y\)"),
        (lambda: sales, "y is a function that was not called"),
        (None, "array of steps$"),
    ):
        with pytest.raises(ShapeError, match=words):
            small().fit(given)
    with pytest.raises(ShapeError, match=r"X = pandas.DataFrame\(X\)"):
        small().fit(sales, {"visits": sales})
    table = y.reset_index()
    for arguments in (
        {"groups": table["store"], "time": "date"},
        {"groups": "store", "time": table["date"].to_numpy()},
    ):
        with pytest.raises(ConfigError, match="expected the name of a column of y"):
            small().fit(table, **arguments)


def test_panels_inside_lists_and_other_mixtures():
    y = panel()
    for given in ([y, y], {"x": y}):
        with pytest.raises(
            ShapeError,
            match="2 levels, which label several series, and .* is one of several itself",
        ):
            small().fit(given)
    given = [y.loc[["a"]], y.loc[["b"]]]
    message = refusal(lambda: small().fit(given))
    assert "y[0] has 2 levels" in message
    cured(message, y=given)
    assert given[0].index.nlevels == 1
    with pytest.raises(ShapeError, match="X is one DataFrame, and y a list of 2 series"):
        small().fit(parts(y), y)
    table = y.reset_index()
    with pytest.raises(ConfigError, match="groups and time both name the column 'store'"):
        small().fit(table, groups="store", time="store")
    with pytest.raises(ConfigError, match="y has no columns other than 'store', 'date'"):
        small().fit(table[["store", "date"]], groups="store", time="date")
    with pytest.raises(ShapeError, match=r"y has 4 steps .*in the series 'a'; window"):
        small().fit(y.drop([("a", date) for date in DATES[4:]]))


def test_labels_that_files_cannot_hold(tmp_path):
    y = panel()["sales"]
    y.index = y.index.set_levels(pandas.DatetimeIndex(["2020", "2021"]), level=0)
    forecaster = fitted(small(), y)
    assert len(forecaster.predict()) == 4
    with pytest.raises(DTypeError, match="files cannot hold the label Timestamp.*make text of it"):
        forecaster.save(tmp_path / "file")


def test_polars():
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"date": DATES.to_numpy(), "sales": np.arange(30.0)})
    days = table.with_columns(polars.col("date").cast(polars.Date))
    zone = table.with_columns(polars.col("date").dt.replace_time_zone("Europe/Berlin"))
    for given in (table, days, zone):
        found = small().fit(given, time="date").predict()
        assert found["date"].dtype == (
            given["date"].dtype if given is not table else polars.Datetime("us")
        )
        assert [str(date)[:10] for date in found["date"]] == ["2024-01-31", "2024-02-01"]
    for call in (lambda: small().fit(table.lazy()), lambda: small().fit(table.lazy(), time="date")):
        with pytest.raises(DTypeError, match=r"y is a LazyFrame.*y = y.collect\(\)"):
            call()
