"""What a file holds of a fitted forecaster in addition to its network: values and arrays."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.data.sequences import no_infinity
from gatewise.errors import CheckpointError
from gatewise.estimators.parameters import chosen
from gatewise.estimators.reading.missing import MISSING

from .calendar import calendar_features
from .heads import restored_head
from .history import History
from .preparation import Preparation
from .scaling import checked_scaling
from .seen import SeenSeries
from .series.panel import Panel
from .series.reading import Form
from .series.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .fitting import Fitting

KINDS = ("flat", "table", "series", "frame")


def state_of(forecaster: Fitting) -> dict[str, Any]:
    """Return what :func:`take_state` reads.

    It is what was fitted, even if parameters were set since.
    """
    seen = forecaster._seen
    return {
        "recursive": forecaster._recursive,
        **forecaster._target.stored(),
        "several": seen.several,
        "most_steps": forecaster._most_steps,
        "calendar": list(seen.calendar),
        "automatic_calendar": forecaster._automatic_calendar,
        "x_names": _listed(seen.x_names),
        "preparation": dict(vars(forecaster._preparation)),
        "histories": [
            {
                "y": history.y,
                "x": history.x,
                "calendar": history.calendar,
                "timeline": None if history.timeline is None else history.timeline.get_config(),
                "kind": history.form.kind,
                "names": _listed(history.form.names),
            }
            for history in seen.histories
        ],
        "panel": None if seen.panel is None else seen.panel.get_config(),
    }


def _listed(names: Sequence[Any] | None) -> list[Any] | None:
    return None if names is None else list(names)


def take_state(forecaster: Fitting, state: dict[str, Any]) -> None:
    """Set what :func:`state_of` returned, each part checked.

    Parameters
    ----------
    forecaster : Fitting
        It has its parameters and its model.
    state : dict
        Values from a file of any origin.

    Raises
    ------
    CheckpointError
        A part does not fit to the others.
    ConfigError, ShapeError, DTypeError, NonFiniteError
        A value is not what it must be.
    """
    variables = forecaster.n_features_in_
    forecaster._recursive = checks.flag(state["recursive"], "recursive")
    forecaster._target = restored_head(state["head"], state["loss"], forecaster._recursive)
    forecaster._most_steps = checks.whole_number(state["most_steps"], "most_steps")
    forecaster._automatic_calendar = checks.flag(state["automatic_calendar"], "automatic_calendar")
    forecaster._preparation = _preparation(state["preparation"], variables)
    forecaster._seen = _seen(state, forecaster._preparation, variables)
    forecaster.calendar_ = forecaster._seen.calendar
    _check_horizon(forecaster)
    _check_model(forecaster)


def _seen(state: dict[str, Any], preparation: Preparation, variables: int) -> SeenSeries:
    """Return the series of a state."""
    several = checks.flag(state["several"], "several")
    calendar = checks.listed(state["calendar"], "calendar", "names")
    waves = _waves(calendar)
    features = len(preparation.x_center)
    names = _names(state["x_names"], features)
    histories = [
        _history(part, variables, features, waves, preparation.fills_gaps)
        for part in checks.listed(state["histories"], "histories", "dicts")
    ]
    if len(histories) != len(preparation.center) or (len(histories) > 1 and not several):
        raise CheckpointError(
            f"there are {len(histories)} series, and scales of {len(preparation.center)}"
        )
    if any(len(history) < preparation.context for history in histories):
        raise CheckpointError(
            f"a series has less than the {preparation.context} steps that a forecast depends on"
        )
    config = state.get("panel")  # files of older versions have none
    panel = None if config is None else Panel.from_config(config, len(histories))
    if panel is not None and not (
        several
        and all(
            history.form.kind in ("series", "frame") or panel.kind == "dict"
            for history in histories
        )
    ):
        raise CheckpointError(f"the panel is {config!r:.80}, and its series are not parts of one")
    return SeenSeries(
        histories,
        several=several,
        panel=panel,
        x_names=names,
        calendar=calendar,
        missing=preparation.fills_gaps,
    )


def _waves(calendar: list[str]) -> int:
    """Return the number of calendar features."""
    return calendar_features(np.zeros(1, "datetime64[s]"), calendar).shape[1]


def _check_horizon(forecaster: Fitting) -> None:
    """Check that the network forecasts as many steps as the strategy needs."""
    horizon, recursive = forecaster._preparation.horizon, forecaster._recursive
    if horizon != (1 if recursive else forecaster._most_steps):
        raise CheckpointError(
            f"the network forecasts {horizon} steps, recursive is {recursive} and the horizon"
            f" {forecaster._most_steps}"
        )


def _preparation(given: Any, variables: int) -> Preparation:
    names = {field.name for field in fields(Preparation)}
    if not isinstance(given, dict) or set(given) != names:
        raise CheckpointError(f"the preparation is {given!r:.80}; expected {sorted(names)}")
    center, spread = (
        _numbers(given[name], name, (None, variables)) for name in ("center", "spread")
    )
    x_center, x_spread = (_numbers(given[name], name, (None,)) for name in ("x_center", "x_spread"))
    if center.shape != spread.shape or x_center.shape != x_spread.shape:
        raise CheckpointError(
            f"centers have shapes {center.shape} and {x_center.shape}, spreads {spread.shape} and "
            f"{x_spread.shape}"
        )
    if not ((spread > 0).all() and (x_spread > 0).all()):
        raise CheckpointError("a spread is not above 0")
    past, ahead = (
        [
            checks.whole_number(column, name, 0, len(x_center) - 1)
            for column in checks.listed(given[name], name, "columns")
        ]
        for name in ("past", "ahead")
    )
    if sorted(past + ahead) != list(range(len(x_center))):
        raise CheckpointError(
            f"columns {past} and {ahead} are not all {len(x_center)} columns, each once"
        )
    return Preparation(
        window=checks.whole_number(given["window"], "window"),
        horizon=checks.whole_number(given["horizon"], "horizon"),
        lag=checks.whole_number(given["lag"], "lag", 0),
        center=center,
        spread=spread,
        x_center=x_center,
        x_spread=x_spread,
        past=past,
        ahead=ahead,
        scaling=checked_scaling(given["scaling"]),
        missing=chosen(given["missing"], "missing", sorted({*MISSING} - {"mask"})),
    )


def _history(given: Any, variables: int, features: int, waves: int, gaps: bool) -> History:
    y = _numbers(given["y"], "y", (None, variables), gaps)
    x = None if given["x"] is None else _numbers(given["x"], "x", (len(y), features), gaps)
    calendar = (
        None
        if given["calendar"] is None
        else _numbers(given["calendar"], "calendar", (len(y), waves))
    )
    if (x is None) != (features == 0) or (calendar is None) != (waves == 0):
        raise CheckpointError(
            f"a series has {'no ' if x is None else ''}features and"
            f" {'no ' if calendar is None else ''}calendar; the forecaster has {features} features"
            f" and {waves} of the calendar"
        )
    timeline = None if given["timeline"] is None else Timeline.from_config(given["timeline"])
    names = _names(given["names"], variables)
    in_pandas = timeline is not None and not isinstance(timeline.last, np.ndarray)
    if given["kind"] not in KINDS or (given["kind"] in ("series", "frame") and not in_pandas):
        raise CheckpointError(
            f"a series is of kind {given['kind']!r:.80}, with timeline {given['timeline']!r:.80}"
        )
    if (given["kind"] == "frame" and names is None) or (
        given["kind"] in ("flat", "series") and variables != 1
    ):
        raise CheckpointError(
            f"a series of kind {given['kind']} has {variables} variables, names {names!r:.80}"
        )
    if calendar is not None and timeline is None:
        raise CheckpointError("a series has calendar features and no dates")
    return History(y, x, calendar, timeline, Form(given["kind"], names))


def _names(names: Any, count: int) -> tuple[Any, ...] | None:
    if names is None:
        return None
    names = checks.listed(names, "names", "names")
    # a tuple is the name of a column of several levels
    parts = [part for name in names for part in (name if isinstance(name, tuple) else (name,))]
    if len(names) != count or not all(
        part is None or isinstance(part, str | int | float) for part in parts
    ):
        raise CheckpointError(f"names are {names!r:.80}; expected {count}")
    return tuple(names)


def _numbers(
    array: Any, name: str, shape: tuple[int | None, ...], gaps: bool = False
) -> np.ndarray:
    """Return a float64 ndarray of `shape`, None for any extent; with `gaps` it may hold NaN."""
    if (
        not isinstance(array, np.ndarray)
        or array.dtype != np.float64
        or array.ndim != len(shape)
        or any(expected not in (None, extent) for expected, extent in zip(shape, array.shape))
    ):
        raise CheckpointError(f"{name} is {array!r:.80}; expected float64 numbers of shape {shape}")
    array = np.ascontiguousarray(array)
    return no_infinity(array, name) if gaps else checks.finite(array, name)


def _check_model(forecaster: Fitting) -> None:
    """Check that the network reads and outputs as many numbers as the rest of the state needs."""
    model, preparation = forecaster.model_, forecaster._preparation
    inputs = (
        forecaster.n_features_in_
        + len(preparation.past)
        + _waves(forecaster.calendar_)
        + len(preparation.ahead) * preparation.horizon
    )
    numbers = preparation.horizon * forecaster.n_features_in_
    outputs = forecaster._target.outputs_per_number * numbers
    means = getattr(forecaster, "feature_means_", ())
    if preparation.fills_gaps and len(means) != inputs:
        raise CheckpointError(f"there are {len(means)} means; expected {inputs}")
    if preparation.missing in ("indicator", "decay"):
        inputs *= 3
    if model.input_shape[-1] != inputs or model.output_shape[-1] != outputs:
        raise CheckpointError(
            f"the model reads {model.input_shape[-1]} numbers and outputs"
            f" {model.output_shape[-1]}; expected {inputs} and {outputs}"
        )
