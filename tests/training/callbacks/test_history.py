"""History as a table and as a picture."""

import copy
import pickle
import sys

import numpy as np
import pytest

from gatewise.callbacks import History
from gatewise.errors import ConfigError, GatewiseError, MissingPackageError


@pytest.fixture
def history():
    made = History()
    for epoch in range(4):
        logs = {"loss": 1 / (epoch + 1), "f1": np.array([0.1, 0.2]) * epoch, "learning_rate": 0.1}
        made.on_epoch_end(
            epoch, logs | ({"val_loss": 0.5 + epoch, "note": "x"} if epoch % 2 else {})
        )
    return made


def test_table(history):
    pytest.importorskip("pandas")
    frame = history.to_dataframe()
    assert list(frame.columns) == ["loss", "f1", "learning_rate", "val_loss", "note"]
    assert frame.index.name == "epoch"
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame["loss"].tolist() == history.history["loss"]
    assert frame["loss"].dtype == np.float64
    # where validation was
    np.testing.assert_array_equal(frame["val_loss"], [np.nan, 1.5, np.nan, 3.5])
    np.testing.assert_array_equal(frame["f1"][2], [0.2, 0.4])
    assert History().to_dataframe().shape == (0, 0)
    history.history["mine"] = [1, 2, 3, 4]
    assert history.to_dataframe()["mine"].tolist() == [1, 2, 3, 4]


def test_table_after_a_state(history):
    pandas = pytest.importorskip("pandas")
    again = History()
    again.set_state(history.get_state())
    pandas.testing.assert_frame_equal(again.to_dataframe(), history.to_dataframe())
    for other in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        pandas.testing.assert_frame_equal(other.to_dataframe(), history.to_dataframe())


def test_values_that_no_file_holds_are_kept_as_text():
    history = History()
    history.on_epoch_end(
        0,
        {
            "a": np.float32(0.5),
            "b": print,
            "c": np.array(["x"]),
            "d": None,
            "e": True,
            "f": float("nan"),
        },
    )
    state = history.get_state()["history"]
    assert [state[name]["values"] for name in "abcde"] == [
        [0.5],
        [str(print)],
        ["['x']"],
        [None],
        [True],
    ]
    assert np.isnan(state["f"]["values"]).all()
    History().set_state(history.get_state())


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_picture(history, pyplot):
    panels = history.plot()
    assert [{line.get_label() for line in ax.get_lines()} for ax in panels] == [
        {"loss", "val_loss"},
        {"f1"},
    ]
    assert panels[1].get_xlabel() == "epoch" and panels[0].get_ylabel() == "loss"
    ax = pyplot.subplots()[1]
    assert history.plot(ax=ax) is ax
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert set(lines) == {"loss", "val_loss", "f1"}  # in one panel, as asked
    assert lines["loss"].get_color() == lines["val_loss"].get_color()
    assert (lines["loss"].get_linestyle(), lines["val_loss"].get_linestyle()) == ("-", "--")
    np.testing.assert_array_equal(lines["loss"].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(lines["val_loss"].get_xdata(), [2, 4])
    np.testing.assert_array_equal(lines["val_loss"].get_ydata(), [1.5, 3.5])
    assert ax.get_legend() is not None
    other = pyplot.subplots()[1]
    assert history.plot("learning_rate", ax=other) is other
    assert [line.get_label() for line in other.get_lines()] == ["learning_rate"]
    assert [line.get_label() for line in history.plot(["loss"]).get_lines()] == ["loss", "val_loss"]
    assert History().plot().get_lines() == []


def test_names_that_are_not_there(history):
    with pytest.raises(
        ConfigError, match="metrics holds 'mae'; expected some of loss, f1, learning_rate, note"
    ):
        history.plot(["mae"])
    with pytest.raises(ConfigError, match="nothing: no epoch has ended"):
        History().plot("loss")


def test_missing_packages(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MissingPackageError,
        match=r"pandas is needed here.*python -m pip install 'gatewise\[frame\]'",
    ) as caught:
        history.to_dataframe()
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, GatewiseError)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        MissingPackageError,
        match=r"matplotlib is needed here.*python -m pip install 'gatewise\[plot\]'",
    ):
        history.plot()
