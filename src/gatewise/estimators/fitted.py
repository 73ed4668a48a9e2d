"""What a forecaster has learnt and remembers, beside its model, as plain values and arrays: what files hold of it."""

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError

from .heads import head_of
from .history import History
from .preparation import Preparation
from .series import Form
from .timeline import Timeline

_COUNTS, _SCALES, _COLUMNS = ("window", "horizon", "lag"), ("center", "spread", "x_center", "x_spread"), ("past", "ahead")


def state_of(forecaster):
    """dict of JSON values, losses and arrays."""
    head = forecaster._head
    return {
        "preparation": {name: getattr(forecaster._preparation, name) for name in (*_COUNTS, *_SCALES, *_COLUMNS)},
        "histories": [{"y": history.y, "x": history.x, "calendar": history.calendar, "kind": history.form.kind,
                       "names": None if history.form.names is None else list(history.form.names),
                       "timeline": None if history.timeline is None else history.timeline.get_config()}
                      for history in forecaster._histories],
        "loss": head.loss, "head": type(head).__name__, "x_names": forecaster._x_names, "recursive": forecaster._recursive,
        "steps": forecaster._most_steps,
    }


def restore(forecaster, state):
    """Put back what :func:`state_of` gave, into a forecaster that has its model and its other attributes.

    Raises
    ------
    CheckpointError, and whatever else a wrong entry leads to
    """
    made = state["preparation"]
    counts = {name: checks.whole_number(made[name], name, 0 if name == "lag" else 1) for name in _COUNTS}
    recursive = checks.flag(state["recursive"], "recursive")
    scales = {name: _floats(made[name], name) for name in _SCALES}
    columns = {name: [checks.whole_number(column, name, 0) for column in made[name]] for name in _COLUMNS}
    variables, features = forecaster.n_features_in_, len(scales["x_center"])
    count = len(state["histories"])
    for name, shape in (("center", (count, variables)), ("spread", (count, variables)), ("x_spread", (features,))):
        _must(scales[name].shape == shape, f"{name} has shape {scales[name].shape}; expected {shape}")
    _must(scales["x_center"].ndim == 1 and sorted(columns["past"] + columns["ahead"]) == list(range(features)),
          f"the columns of X are {columns}; expected {features}, each once")
    _must(all((scales[name] > 0).all() for name in ("spread", "x_spread")), "a spread is not above 0")
    preparation = Preparation(**counts, **scales, **columns)
    calendar = forecaster.calendar_
    histories = [_history(part, preparation, variables, features, len(calendar)) for part in state["histories"]]
    _must(count == 1 or forecaster._several, f"there are {count} series; expected one")
    _must(not recursive or preparation.horizon == 1, "a network that says several steps is called recursive")
    steps = checks.whole_number(state["steps"], "steps")
    _must(recursive or steps == preparation.horizon, "the steps of a forecast are not those that the network says")
    head = _head(state, recursive)
    reads = variables + len(columns["past"]) + 2 * len(calendar) + preparation.horizon * len(columns["ahead"])
    model = forecaster.model_
    _must(model.input_shape == (None, preparation.window, reads),
          f"the model reads {model.input_shape}; expected {(None, preparation.window, reads)}")
    said = head.outputs * preparation.horizon * variables
    _must(model.output_shape == (None, said), f"the model says {model.output_shape}; expected {(None, said)}")
    x_names = state["x_names"]
    _must(x_names is None or (isinstance(x_names, list) and len(x_names) == features), "the names of X do not fit its columns")
    forecaster._preparation, forecaster._histories, forecaster._head = preparation, histories, head
    forecaster._recursive, forecaster._most_steps, forecaster._x_names = recursive, steps, x_names


def _history(part, preparation, variables, features, cycles):
    y = _floats(part["y"], "y")
    steps = len(y)
    _must(y.shape == (steps, variables) and steps >= preparation.context,
          f"y has shape {y.shape}; expected at least {preparation.context} steps of {variables} variables")
    beside = []
    for name, width in (("x", features), ("calendar", 2 * cycles)):
        _must((part[name] is None) == (width == 0), f"{name} is there without need, or missing")
        beside.append(None if width == 0 else _floats(part[name], name))
        _must(width == 0 or beside[-1].shape == (steps, width), f"{name} does not stand beside the steps of y")
    timeline = None if part["timeline"] is None else Timeline.from_config(part["timeline"])
    kind, names = part["kind"], part["names"]
    _must(kind in ("flat", "table", "series", "frame"), f"the form of a series is {kind!r:.80}")
    _must(timeline is not None or (kind in ("flat", "table") and not cycles), "a series with dates has no index")
    _must(kind in ("table", "frame") or variables == 1, f"a {kind} holds {variables} variables")
    _must(kind in ("flat", "table", "series") or names is not None, "a frame has no names")
    _must(names is None or (isinstance(names, list) and len(names) == variables), "the names are not those of the variables")
    return History(y, *beside, timeline, Form(kind, None if names is None else tuple(names)))


def _head(state, recursive):
    loss, name = state["loss"], state["head"]
    quantiles = loss.quantiles if name == "QuantileHead" else None
    head = head_of(loss, quantiles, "gaussian" if name == "GaussianHead" else None, recursive)
    _must(type(head).__name__ == name and type(head.loss) is type(loss), f"the head is {name!r:.80}, with loss {loss!r:.80}")
    return head


def _floats(value, name):
    _must(isinstance(value, np.ndarray) and value.dtype == np.float64, f"{name} is {value!r:.80}; expected an array of float64")
    return checks.finite(np.ascontiguousarray(value), name) if value.size else value


def _must(holds, message):
    if not holds:
        raise CheckpointError(message)
