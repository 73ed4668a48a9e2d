"""What a fitted forecaster knows beside its network, to and from plain values and arrays for its file."""

import numpy as np

from gatewise import checks
from gatewise.data.sequences import no_infinity
from gatewise.errors import CheckpointError
from gatewise.estimators.parameters import chosen
from gatewise.estimators.reading.missing import MISSING

from .calendar import calendar_features
from .heads import head_of
from .history import History
from .panel import Panel
from .preparation import Preparation, checked_scaling
from .series import Form
from .timeline import Timeline

KINDS = ("flat", "table", "series", "frame")


def state_of(forecaster):
    """dict of what :func:`take_state` reads, as it was fitted: parameters may have been set since."""
    histories = [
        {
            "y": history.y,
            "x": history.x,
            "calendar": history.calendar,
            "timeline": None if history.timeline is None else history.timeline.get_config(),
            "kind": history.form.kind,
            "names": _listed(history.form.names),
        }
        for history in forecaster._histories
    ]
    head = forecaster._target
    return {
        "recursive": forecaster._recursive,
        "head": type(head).__name__,
        "loss": head.loss,
        "several": forecaster._several,
        "most_steps": forecaster._most_steps,
        "calendar": list(forecaster.calendar_),
        "automatic_calendar": forecaster._automatic_calendar,
        "x_names": _listed(forecaster._x_names),
        "preparation": dict(vars(forecaster._preparation)),
        "histories": histories,
        "panel": None if forecaster._panel is None else forecaster._panel.get_config(),
    }


def _listed(names):
    return None if names is None else list(names)


def take_state(forecaster, state):
    """Put back what :func:`state_of` gave, each part checked, into a forecaster that has its parameters and its model.

    Raises
    ------
    CheckpointError, or another error that says what does not fit
    """
    recursive = forecaster._recursive = checks.flag(state["recursive"], "recursive")
    forecaster._target = _head(state["head"], state["loss"], recursive)
    forecaster._several = checks.flag(state["several"], "several")
    forecaster._most_steps = checks.whole_number(state["most_steps"], "most_steps")
    forecaster.calendar_ = checks.listed(state["calendar"], "calendar", "names")
    forecaster._automatic_calendar = checks.flag(state["automatic_calendar"], "automatic_calendar")
    waves = calendar_features(np.zeros(1, "datetime64[s]"), forecaster.calendar_).shape[1]
    variables = forecaster.n_features_in_
    preparation = _preparation(state["preparation"], variables)
    features = len(preparation.x_center)
    forecaster._x_names = _names(state["x_names"], features)
    gaps = preparation.missing != "error"
    histories = [
        _history(part, variables, features, waves, gaps)
        for part in checks.listed(state["histories"], "histories", "dicts")
    ]
    if len(histories) != len(preparation.center) or (
        len(histories) > 1 and not forecaster._several
    ):
        raise CheckpointError(
            f"there are {len(histories)} series, and scales of {len(preparation.center)}"
        )
    if any(len(history) < preparation.context for history in histories):
        raise CheckpointError(
            f"a series has less than the {preparation.context} steps that a forecast depends on"
        )
    if preparation.horizon != (1 if recursive else forecaster._most_steps):
        raise CheckpointError(
            f"the network says {preparation.horizon} steps, recursive is {recursive} and the"
            f" horizon {forecaster._most_steps}"
        )
    panel = state.get("panel")  # files of older versions have none
    forecaster._panel = None if panel is None else Panel.from_config(panel, len(histories))
    if panel is not None and not (
        forecaster._several
        and all(
            history.form.kind in ("series", "frame") or forecaster._panel.kind == "dict"
            for history in histories
        )
    ):
        raise CheckpointError(f"the panel is {panel!r:.80}, and its series are no parts of one")
    forecaster._preparation, forecaster._histories = preparation, histories
    _check_model(forecaster, waves)


def _head(name, loss, recursive):
    quantiles = loss.quantiles if name == "QuantileHead" else None
    head = head_of(loss, quantiles, "gaussian" if name == "GaussianHead" else None, recursive)
    if type(head).__name__ != name or type(head.loss) is not type(loss):
        raise CheckpointError(f"the head is {name!r:.80}, with loss {loss!r:.80}")
    return head


def _preparation(given, variables):
    if not isinstance(given, dict) or set(given) != set(Preparation.__dataclass_fields__):
        raise CheckpointError(
            f"the preparation is {given!r:.80}; expected {sorted(Preparation.__dataclass_fields__)}"
        )
    window, horizon = (checks.whole_number(given[name], name) for name in ("window", "horizon"))
    lag = checks.whole_number(given["lag"], "lag", 0)
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
        window,
        horizon,
        lag,
        center,
        spread,
        x_center,
        x_spread,
        past,
        ahead,
        checked_scaling(given["scaling"]),
        chosen(given["missing"], "missing", sorted({*MISSING} - {"mask"})),
    )


def _history(given, variables, features, waves, gaps):
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
            f" {'no ' if calendar is None else ''}calendar; the forecaster knows {features}"
            f" features and {waves} of the calendar"
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


def _names(names, count):
    if names is None:
        return None
    names = checks.listed(names, "names", "names")
    # of columns of several levels
    parts = [part for name in names for part in (name if isinstance(name, tuple) else (name,))]
    if len(names) != count or not all(
        part is None or isinstance(part, str | int | float) for part in parts
    ):
        raise CheckpointError(f"names are {names!r:.80}; expected {count}")
    return tuple(names)


def _numbers(array, name, shape, gaps=False):
    """A finite float64 ndarray of `shape`, None for any extent; with `gaps` NaN may stand in it."""
    if (
        not isinstance(array, np.ndarray)
        or array.dtype != np.float64
        or array.ndim != len(shape)
        or any(expected not in (None, extent) for expected, extent in zip(shape, array.shape))
    ):
        raise CheckpointError(f"{name} is {array!r:.80}; expected float64 numbers of shape {shape}")
    array = np.ascontiguousarray(array)
    return no_infinity(array, name) if gaps else checks.finite(array, name)


def _check_model(forecaster, waves):
    """The network reads and says as many numbers as the rest asks for."""
    model, preparation = forecaster.model_, forecaster._preparation
    read = (
        forecaster.n_features_in_
        + len(preparation.past)
        + waves
        + len(preparation.ahead) * preparation.horizon
    )
    said = forecaster._target.outputs * preparation.horizon * forecaster.n_features_in_
    means = getattr(forecaster, "feature_means_", ())
    if preparation.missing != "error" and len(means) != read:
        raise CheckpointError(f"there are {len(means)} means; expected {read}")
    if preparation.missing in ("indicator", "decay"):
        read *= 3
    if model.input_shape[-1] != read or model.output_shape[-1] != said:
        raise CheckpointError(
            f"the model reads {model.input_shape[-1]} numbers and says {model.output_shape[-1]};"
            f" expected {read} and {said}"
        )
