"""Panels: indices of several levels, dicts, long tables."""

import copy

import forgery
import numpy as np
import pandas
import pytest
from frame_cases import DATES, LATER, cured, panel, parts, refusal, small
from seeds import generator, plain_generator
from small_sequences import fitted

from gatewise import load_estimator
from gatewise.errors import (
    CheckpointError,
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    ShapeError,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


FORMS = {  # of the same panel; and how a forecast of it is brought to an index (store, date)
    "levels": (lambda frame: frame, lambda given: given),
    "time first": (
        lambda frame: frame.swaplevel().sort_index(level=0, kind="stable", sort_remaining=False),
        lambda given: given.swaplevel(),
    ),
    "mixed rows": (
        lambda frame: frame.iloc[np.argsort(np.tile(np.arange(len(frame) // 2), 2), kind="stable")],
        lambda given: given,
    ),
    "dict": (
        lambda frame: {key: frame.loc[key] for key in ("b", "a")},
        lambda given: pandas.concat(given, names=["store", "date"]),
    ),
    "table": (
        lambda frame: frame.reset_index().sample(frac=1, random_state=0),
        lambda given: given.set_index(["store", "date"]),
    ),
}

CALLS = {"table": {"groups": "store", "time": "date"}}


@pytest.mark.parametrize("form", FORMS)
def test_a_panel_is_a_list_of_its_series(form):
    """Windows, forecasts, scores and backtests equal those of a list, for every form of panel."""
    make, back = FORMS[form]
    y, more, arguments = panel(), panel(LATER), CALLS.get(form, {})
    ours, theirs = small(calendar=["weekday"]), small(calendar=["weekday"])
    ours.fit(make(y), **arguments)
    theirs.fit(parts(y))
    for later in (more, None):
        found = back(ours.predict())
        for key, expected in zip("ba", theirs.predict()):
            pandas.testing.assert_frame_equal(
                found.loc[key], expected, check_freq=False, check_names=False
            )
        if later is not None:
            # the series of a later call may be in another order
            assert ours.score(make(later)) == theirs.score(parts(later))
            ours.update(make(later.loc[["a", "b"]] if form != "dict" else later))
            theirs.update(parts(later))
    backtests = ours.backtest(make(y))
    assert (
        list(backtests) == list(FORMS[form][1](ours.predict()).index.unique("store"))
        or form == "time first"
    )
    for key, expected in zip("ba", theirs.backtest(parts(y))):
        np.testing.assert_array_equal(backtests[key].forecasts, expected.forecasts)
    again = small(calendar=["weekday"]).backtest(make(y), initial=20, **arguments)
    for key, expected in zip("ba", small(calendar=["weekday"]).backtest(parts(y), initial=20)):
        np.testing.assert_array_equal(again[key].forecasts, expected.forecasts)


def test_answers_have_the_form_of_the_panel():
    y = panel()
    found = small().fit(y).predict()
    assert found.index.names == ["store", "date"] and list(found.columns) == ["sales", "visits"]
    assert list(found.index) == [(key, date) for key in "ba" for date in LATER[:2]]
    one = small(distribution="gaussian").fit(y["sales"])
    for given in (
        one.predict(),
        *one.predict_interval(coverage=0.5),
        one.predict_quantiles(quantiles=0.3),
    ):
        assert (
            isinstance(given, pandas.Series)
            and given.name == "sales"
            and given.index.equals(found.index)
        )
    first = small().fit(FORMS["time first"][0](y)).predict()
    assert list(first.index) == [(date, key) for date in LATER[:2] for key in "ba"]
    table = y.reset_index()[["date", "sales", "store", "visits"]]
    found = small().fit(table, groups="store", time="date").predict()
    assert list(found.columns) == ["date", "sales", "store", "visits"] and list(found["store"]) == [
        "b",
        "b",
        "a",
        "a",
    ]
    found = small().fit({1: np.arange(20.0), 2: list(range(15))}).predict()
    assert list(found) == [1, 2] and found[1].shape == (2,)


def test_a_table_of_one_series():
    y = panel().loc["a"].reset_index()
    expected = small().fit(y.set_index("date"))
    forecaster = small().fit(y.sample(frac=1, random_state=0), time="date")
    later = panel(LATER).loc["a"].reset_index()
    assert forecaster.score(later[::-1]) == expected.score(later.set_index("date"))
    found = forecaster.update(later[::-1]).predict()
    assert list(found.columns) == ["date", "sales", "visits"]
    pandas.testing.assert_frame_equal(
        found.set_index("date"),
        expected.update(later.set_index("date")).predict(),
        check_freq=False,
    )
    pandas.testing.assert_frame_equal(
        forecaster.backtest(y).to_frame(), expected.backtest(y.set_index("date")).to_frame()
    )
    text = y.assign(date=y["date"].dt.strftime("%Y-%m-%d"))
    pandas.testing.assert_frame_equal(
        small().fit(text, time="date").predict(), small().fit(y, time="date").predict()
    )


def test_levels_of_several_labels_and_numbers_of_steps():
    y = panel()["sales"]
    deep = pandas.concat({"north": y, "south": y + 1}, names=["land"])
    found = small().fit(deep).predict()
    assert found.index.names == ["land", "store", "date"] and len(found) == 8
    numbered = y.set_axis(pandas.MultiIndex.from_product([[7, 3], range(30)]))
    found = small().fit(numbered).predict()
    assert list(found.index) == [(7, 30), (7, 31), (3, 30), (3, 31)]
    text = y.set_axis(
        pandas.MultiIndex.from_arrays(
            [y.index.get_level_values(0), y.index.get_level_values(1).astype(str)],
            names=["store", "date"],
        )
    )
    message = refusal(lambda: small().fit(text))
    assert "the index of the series 'b' of y holds text" in message
    assert list(small().fit(cured(message, y=text)["y"]).predict()) == ["a", "b"]


@pytest.mark.parametrize(
    "names", [["year", "firm"], ["firm", "year"], ["Time", "firm"], ["firm", "step"], [None, None]]
)
def test_the_level_of_time_has_a_name_or_is_the_last(names):
    """Twelve firms over thirty years; a level of firms was taken for time if it came last."""
    values = generator(0).normal(size=(12, 30))
    expected = small().fit(list(values)).predict()
    first = names[0] in ("year", "Time")
    levels = [range(1990, 2020), range(12)] if first else [range(12), range(1990, 2020)]
    y = pandas.Series(
        (values.T if first else values).ravel(), pandas.MultiIndex.from_product(levels, names=names)
    )
    forecaster = small().fit(y)
    found = forecaster.predict()
    assert found.index.names == names
    table = found.to_numpy().reshape((2, 12) if first else (12, 2))
    np.testing.assert_array_equal(table.T if first else table, expected)
    assert (
        forecaster.update(found)
        .predict()
        .index.equals(
            found.index.set_levels(
                [values + 2 if values.min() > 1000 else values for values in found.index.levels]
            )
        )
    )


def test_levels_that_are_parts_of_one_date_are_refused():
    """They made a series of each year, or of each month."""
    days = pandas.date_range("2000-01-01", periods=1500)
    y = pandas.Series(np.arange(1500.0), days)
    dated = y.rename_axis("date")
    parts_of = [days.year, days.month, days.day]
    for grouped in (
        y.groupby(parts_of[:2]),
        y.groupby(parts_of),
        dated.groupby([dated.index.year, dated.index.month]),
        y.groupby([days.isocalendar().year, days.isocalendar().week]),
        y.groupby([days.year, days.day_of_year]),
        y.groupby([np.arange(1500) % 2, days.year.rename("Year"), days.month.rename("month")]),
    ):
        with pytest.raises(ShapeError, match="seem to be parts of one date"):
            small().fit(grouped.sum())
    series = y.groupby(parts_of[:2]).sum()[:48].rename_axis(["item", "step"])  # which may be meant
    assert len(small().fit(series).predict()) == 2 * 4
    numbered = y[:600].set_axis(pandas.MultiIndex.from_product([range(2001, 2021), range(30)]))
    forecaster = small().fit(numbered)
    forecaster.update(forecaster.predict())  # with steps 30 and 31, beside what could be years


def test_a_zone_and_a_hole_in_one_series():
    zone = pandas.date_range("2024-03-20", periods=480, freq="h", tz="Europe/Berlin")
    y = panel(zone)["sales"]
    forecaster = small(calendar=["hour"]).fit(y[y.index.get_level_values(1) < zone[400]])
    there = y.tz_convert("UTC", level=1)
    forecaster.update(there[there.index.get_level_values(1) >= zone[400]])
    assert str(forecaster.predict().index.get_level_values(1).tz) == "Europe/Berlin"
    holey = panel().drop(("a", DATES[11]))
    message = refusal(lambda: small().fit(holey))
    assert message.startswith("the index of the series 'a' of y has no step Timestamp('2024-01-12")
    assert list(small(missing="mean").fit(cured(message, y=holey)["y"]).predict()) == ["a", "b"]
    table = holey.reset_index()
    message = refusal(lambda: small().fit(table, groups="store", time="date"))
    assert list(small(missing="mean").fit(cured(message, y=table)["y"]).predict()) == ["a", "b"]
    one = table[table["store"] == "a"].drop(columns="store")
    message = refusal(lambda: small().fit(one, time="date"))
    small(missing="mean").fit(cured(message, y=one)["y"])
    unsorted = panel().sample(frac=1, random_state=0)
    message = refusal(lambda: small().fit(unsorted))
    assert "does not rise" in message
    small().fit(cured(message, y=unsorted)["y"])
    given = {"a": panel().loc["a"].drop(DATES[3])}
    message = refusal(lambda: small().fit(given))
    assert message.startswith("the index of y['a'] has no step")
    small(missing="mean").fit(cured(message, y=given)["y"])


@pytest.mark.parametrize("form", FORMS)
def test_features_of_a_panel(form):
    make, back = FORMS[form]
    whole = panel(DATES.append(LATER), columns=("sales", "hot", "rain"))
    when = whole.index.get_level_values("date")
    seen, ahead = whole[when < LATER[0]], whole[when >= LATER[0]][["hot", "rain"]]
    ahead = ahead[ahead.index.get_level_values("date") < LATER[2]]
    options = {"future_features": ["rain"]}
    expected = small(**options).fit(
        [part[["sales"]] for part in parts(seen)], [part[["hot", "rain"]] for part in parts(seen)]
    )
    expected = expected.predict(X_future=parts(ahead))
    given = small(**options).fit(
        make(seen[["sales"]]), make(seen[["hot", "rain"]]), **CALLS.get(form, {})
    )
    futures = [
        make(ahead),
        make(ahead.loc[["a", "b"]]) if form != "dict" else make(ahead),
        parts(ahead),
    ]
    for future in futures:
        found = back(given.predict(X_future=future))
        for key, one in zip("ba", expected):
            pandas.testing.assert_frame_equal(
                found.loc[key], one, check_freq=False, check_names=False
            )
    if form != "dict":  # rows beside the rows of y
        rows = make(seen)[["hot", "rain"]].to_numpy()
        forecaster = small().fit(make(seen[["sales"]]), rows, **CALLS.get(form, {}))
        other = small().fit(
            [part[["sales"]] for part in parts(seen)],
            [part[["hot", "rain"]] for part in parts(seen)],
        )
        for key, one in zip("ba", other.predict()):
            np.testing.assert_array_equal(back(forecaster.predict()).loc[key], one)
        with pytest.raises(ShapeError, match="no panel of the series of y, and has 59 rows"):
            small().fit(make(seen[["sales"]]), rows[1:], **CALLS.get(form, {}))
        with pytest.raises((ShapeError, ConfigError), match="X_future is (no panel|a ndarray)"):
            given.predict(X_future=np.zeros((4, 1)))


@pytest.mark.parametrize("y_form", ["levels", "table", "dict"])
@pytest.mark.parametrize("x_form", ["levels", "table", "dict", "list"])
def test_features_in_another_form_than_the_series(y_form, x_form):
    if x_form == "table" and y_form != "table":
        pytest.skip("nobody named its columns")

    def forms(frame, form):
        given = [frame.loc[key] for key in "ba"] if form == "list" else FORMS[form][0](frame)
        return given.reset_index(drop=True) if form == "table" else given

    def answer(y_form, x_form):
        forecaster = small(future_features=["visits"]).fit(
            forms(panel()[["sales"]], y_form),
            forms(panel()[["visits"]], x_form),
            **CALLS.get(y_form, {}),
        )
        found = forecaster.predict(
            X_future=forms(panel(LATER)[["visits"]].groupby(level=0).head(2), x_form)
        )
        return FORMS[y_form][1](found)["sales"].loc["b"]

    pandas.testing.assert_series_equal(
        answer(y_form, x_form), answer(y_form, "levels"), check_freq=False
    )


def test_panels_that_do_not_fit():
    y, later = panel(), panel(LATER)
    forecaster = small().fit(y)
    for call in (forecaster.update, forecaster.score, forecaster.backtest):
        with pytest.raises(
            ShapeError, match="lacks 'b'; the forecaster was fitted to the 2 series 'b', 'a'"
        ):
            call(later.loc[["a"]])
        with pytest.raises(ShapeError, match="has 'c'"):
            call(panel(LATER, ("a", "b", "c")))
        with pytest.raises(
            ShapeError, match="no panel; the forecaster was fitted to the series 'b', 'a'"
        ):
            call(parts(later))
    with pytest.raises(
        ShapeError, match="y is a panel of 2 series; the forecaster was fitted to a list of series"
    ):
        small().fit(parts(y)).update(later)
    with pytest.raises(ShapeError, match="fitted to one series"):
        small().fit(y.loc["a"]).update(later)
    with pytest.raises(ConfigError, match="times was given, and y is a panel"):
        small().fit(y, times=DATES)
    with pytest.raises(ShapeError, match="empty dict"):
        small().fit({})
    missing = y.set_axis(y.index.set_levels(["b", None], level=0))
    with pytest.raises(ConfigError, match="row .* of y has no label"):
        small().fit(missing)


def test_tables_that_cannot_be_read():
    table = panel().reset_index()
    for arguments, kind, words in (
        (
            {"groups": "shop", "time": "date"},
            ConfigError,
            "groups is 'shop', which is no column of y; there are store, date",
        ),
        ({"groups": "store", "time": "when"}, ConfigError, "time is 'when', which is no column"),
        (
            {"groups": "store"},
            ConfigError,
            "time is None; name the column of y that holds the times",
        ),
        (
            {"time": "date"},
            ConfigError,
            "the column 'date' of y is 2024-01-01 00:00:00 in row 0 and again in row 30.*groups=",
        ),
    ):
        with pytest.raises(kind, match=words):
            small().fit(table, **arguments)
    twice = pandas.concat([table, table[3:4]])
    with pytest.raises(
        ConfigError, match="is 2024-01-04 00:00:00 in row 3 and again in row 60 of group 'b'"
    ):
        small().fit(twice, groups="store", time="date")
    with pytest.raises(DTypeError, match="column 'date' of y holds 'x'.*to_datetime"):
        small().fit(table.assign(date="x"), groups="store", time="date")
    with pytest.raises(DTypeError, match="column 'date' of y holds 1.5"):
        small().fit(table.assign(date=1.5), groups="store", time="date")
    with pytest.raises(NonFiniteError, match="is NaT in row 5"):
        small().fit(
            table.assign(date=table["date"].where(table.index != 5)), groups="store", time="date"
        )
    with pytest.raises(ConfigError, match="y is a ndarray, which has no named columns"):
        small().fit(np.zeros((30, 2)), time=0)
    forecaster = small(warm_start=True).fit(table, groups="store", time="date")
    forecaster.fit(table)
    with pytest.raises(ConfigError, match="fitted with .*leave both out"):
        forecaster.fit(table, groups="date", time="store")


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # of a history too large for float32
@pytest.mark.parametrize("form", FORMS)
def test_panels_from_files(form, tmp_path):
    make, _ = FORMS[form]
    forecaster = fitted(small(), make(panel()), **CALLS.get(form, {}))
    forecaster.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    ours, theirs = (
        again.update(make(panel(LATER))).predict(),
        forecaster.update(make(panel(LATER))).predict(),
    )
    assert str(ours) == str(theirs) and type(ours) is type(theirs)
    content, read, wrong = (tmp_path / "file").read_bytes(), 0, {}
    for seed in range(80):
        (tmp_path / "file").write_bytes(forgery.forge(content, plain_generator(seed)))
        try:
            again = load_estimator(tmp_path / "file")
            read += 1
            again.predict()
        except GatewiseError:
            continue
        except Exception as error:
            wrong[seed] = error
    assert not wrong and read


def test_forged_panels():
    from gatewise.estimators.forecasting.series.panel import Panel

    config = Panel("index", ("b", "a"), ("store",), "date", 1).get_config()
    assert Panel.from_config(copy.deepcopy(config), 2).keys == ("b", "a")
    for change in (
        {"kind": "x"},
        {"keys": ["b"]},
        {"keys": ["b", "b"]},
        {"keys": [("b", 1), "a"]},
        {"keys": 3},
        {"names": []},
        {"at": 7},
        {"at": -1},
        {"library": "os"},
        {"time": []},
        {"columns": ["a"]},
        {"more": 1},
    ):
        with pytest.raises((CheckpointError, ConfigError, DTypeError)):
            Panel.from_config(config | change, 2)
