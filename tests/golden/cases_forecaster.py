"""SequenceForecaster on short series."""

import numpy as np
import pandas as pd

from gatewise import SequenceForecaster
from gatewise.estimators import get_scorer

from .registry import case
from .series import QUICK, wave

WINDOW = {"window": 6, "horizon": 3}
OPTIONS = {
    "direct": {},
    "recursive": {"strategy": "recursive"},
    "gru, two layers": {"cell": "gru", "num_layers": 2},
    "differencing": {"differencing": 1},
    "season": {"differencing": 12, "scaling": "robust"},
    "recursive differencing": {"strategy": "recursive", "differencing": 1, "scaling": "minmax"},
    "no scaling": {"scaling": None, "loss": "mae"},
    "stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "stride": {"stride": 2, "pooling": "mean", "bidirectional": True},
    "attention": {"architecture": "attention"},
    "quantiles": {"quantiles": [0.1, 0.5, 0.9]},
    "gaussian": {"distribution": "gaussian"},
    "recursive gaussian": {"distribution": "gaussian", "strategy": "recursive"},
}


def made(**options):
    """A forecaster that is quickly fitted."""
    return SequenceForecaster(**(QUICK | WINDOW | options))


def of_forecaster(name):
    """A case of forecasters."""
    return lambda function: case(f"forecaster/{name}", function, "training")


def _run(options, k):
    y = wave(k=k)
    forecaster = made(**options).fit(y[:-20])
    found = {"curve": forecaster.loss_curve_, "forecast": forecaster.predict()}
    if options.get("strategy") == "recursive":
        found["far"] = forecaster.predict(7)
    if "quantiles" in options or "distribution" in options:
        found["interval"] = list(forecaster.predict_interval(coverage=0.8, n_paths=50))
        levels = forecaster.predict_quantiles(quantiles=[0.1, 0.5, 0.9], n_paths=50)
        found["quantiles"] = list(levels.values())
    found["score"] = forecaster.score(y[-20:])
    forecaster.update(y[-20:-5])
    return found | {"updated": forecaster.predict()}


for _what, _options in OPTIONS.items():
    for _k in (1, 2):
        case(
            f"forecaster/{_what}/{_k}",
            lambda o=_options, k=_k: _run(o, k),
            "training",
        )


@of_forecaster("beside")
def _beside():
    X = np.random.default_rng(5).normal(size=(90, 2))
    forecaster = made().fit(wave(), X)
    return {"forecast": forecaster.predict()}


@of_forecaster("known ahead")
def _ahead():
    X = np.random.default_rng(5).normal(size=(90, 2))
    found = {}
    for strategy, columns in (("direct", [1]), ("recursive", "all")):
        forecaster = made(future_features=columns, strategy=strategy).fit(wave(80), X[:80])
        future = X[80:83] if columns == "all" else X[80:83, [1]]
        found[strategy] = forecaster.predict(3, X_future=future)
    return found


@of_forecaster("calendar")
def _calendar():
    index = pd.date_range("2024-01-01", periods=90, freq="h")
    y = pd.Series(wave(), index, name="load")
    forecaster = made(calendar=["hour", "weekday"]).fit(y[:-10])
    forecast = forecaster.update(y[-10:]).predict()
    automatic = made(calendar="auto").fit(y)
    return {
        "forecast": forecast.to_numpy(),
        "index": " ".join(map(str, forecast.index)),
        "name": forecast.name,
        "automatic": " ".join(automatic.calendar_),
    }


def _with_gaps():
    y = wave()
    y[np.random.default_rng(6).random(90) < 0.15] = np.nan
    return y


for _missing in ("forward_fill", "mean", "indicator", "decay"):
    case(
        f"forecaster/missing {_missing}",
        lambda m=_missing: {
            "forecast": made(missing=m, cell="gru").fit(_with_gaps()).predict(),
        },
        "training",
    )


@of_forecaster("panel of lists")
def _lists():
    several = [wave(50), wave(60, seed=1) * 10 + 3]
    forecaster = made().fit(several)
    return {"forecast": forecaster.predict(), "updated": forecaster.update(several).predict()}


@of_forecaster("panel of labels")
def _labels():
    several = {"north": wave(50), "south": wave(60, seed=1) * 10 + 3}
    forecast = made(strategy="recursive").fit(several).predict(5)
    return {key: forecast[key] for key in several}


@of_forecaster("long table")
def _table():
    dates = pd.date_range("2024-01-01", periods=40)
    table = pd.DataFrame(
        {
            "store": np.repeat(["north", "south"], 40),
            "date": np.tile(dates, 2),
            "sales": np.concatenate([wave(40), wave(40, seed=1) * 5]),
        }
    ).sample(frac=1, random_state=0)
    forecast = made().fit(table, groups="store", time="date").predict()
    return {
        "sales": forecast["sales"].to_numpy(),
        "stores": " ".join(forecast["store"]),
        "dates": " ".join(map(str, forecast["date"])),
    }


def _tested(found):
    return {
        "origins": found.origins,
        "forecasts": found.forecasts,
        "actuals": found.actuals,
        "errors": [found.mae, found.mse, found.rmse],
    }


@of_forecaster("backtest")
def _backtest():
    y = wave()
    return {
        "once": _tested(made().backtest(y, initial=60, step=7)),
        "anew": _tested(made().backtest(y, initial=70, step=7, refit=True)),
        "fitted": _tested(made().fit(y[:60]).backtest(y, step=20, horizon=2)),
    }


@of_forecaster("scorer and warm start")
def _scorer():
    y = wave()
    forecaster = made(warm_start=True).fit(y[:70])
    first = get_scorer("neg_mean_absolute_error")(forecaster, y[70:])
    return {"first": first, "further": forecaster.fit(y[:70]).predict()}
