"""The history of a run."""

import html

import numpy as np

from gatewise import checks
from gatewise.checkpoint.codec import is_numeric, storable
from gatewise.errors import CheckpointError, ConfigError, MissingPackageError

from .base import Callback
from .state import read_state


class History(Callback):
    """What happened.

    Attributes
    ----------
    history : dict of str to list
        One value an epoch of the loss, each metric, and ``val_`` of both.
    epoch : list of int
    """

    def __init__(self):
        self.history = {}
        self.epoch = []
        # of each list of history, where in `epoch` its values belong: validation may be in some
        # epochs only
        self._rows = {}

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._rows.setdefault(name, []).append(len(self.epoch))
        self.epoch.append(epoch)

    def _description(self):
        """The last value of each entry."""
        if not self.epoch:
            return "<History, no epoch yet>"
        last = [
            f"{name} {value:.4g}"
            for name, values in self.history.items()
            for value in values[-1:]
            if isinstance(value, int | float)
        ]
        shown = [*last[:8], "..."] if len(last) > 9 else last
        count = len(self.epoch)
        return (
            f"<History, {count}"
            f" {'epoch' if count == 1 else 'epochs'}{': ' * bool(shown)}{', '.join(shown)}>"
        )

    def _repr_html_(self):
        """A table of the last epochs, as notebooks show it."""
        try:
            return self._table()
        except Exception:  # whatever is in the lists
            return f"<pre>{html.escape(repr(self))}</pre>"

    def _table(self, longest=10):
        rows = range(max(0, len(self.epoch) - longest), len(self.epoch))
        values = {
            name: dict(zip(self._rows_of(name), column, strict=True))
            for name, column in self.history.items()
        }
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("epoch", *values))
        body = "".join(
            f"<tr><td>{self.epoch[row] + 1}</td>"
            + "".join(
                f"<td>{html.escape(_cell(column.get(row)))}</td>" for column in values.values()
            )
            + "</tr>"
            for row in rows
        )
        left_out = f"the last {longest} of {len(self.epoch)} epochs" if rows.start else ""
        return (
            f"<div><b>History</b> {left_out}<table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )

    def to_dataframe(self):
        """A pandas DataFrame with a row an epoch and a column for each entry of `history`; NaN where an epoch has none.

        Raises
        ------
        MissingPackageError
        """
        pandas = _load("pandas", "frame")
        columns = {
            name: pandas.Series(values, index=self._rows_of(name))
            for name, values in self.history.items()
        }
        frame = pandas.DataFrame(columns, index=range(len(self.epoch)))
        frame.index = pandas.Index(self.epoch, name="epoch")
        return frame

    def _rows_of(self, name):
        rows = self._rows.get(name, [])
        return rows if len(rows) == len(self.history[name]) else range(len(self.history[name]))

    def plot(self, metrics=None, ax=None):
        """Draw curves over the epochs, which count from 1: training as a line, validation dashed in its colour.

        The loss and the metrics have different units, so each has its own panel unless `ax` is
        given.

        Parameters
        ----------
        metrics : str or list of str, optional
            Names without ``val_``. None: all but the learning rate.
        ax : matplotlib.axes.Axes, optional
            None: of a new figure, with the loss above the metrics.

        Returns
        -------
        matplotlib.axes.Axes, or ndarray of two of them
            Two if there are the loss and metrics to draw and `ax` is None.

        Raises
        ------
        ConfigError, MissingPackageError
        """
        names = self._names_to_plot(metrics)
        parts = [
            part
            for part in (
                ["loss"] if "loss" in names else [],
                [name for name in names if name != "loss"],
            )
            if part
        ]
        if ax is not None or len(parts) < 2:
            axes = [_load("matplotlib.pyplot", "plot").subplots()[1] if ax is None else ax]
            parts = [names]
        else:
            figure, axes = _load("matplotlib.pyplot", "plot").subplots(
                2, sharex=True, layout="constrained"
            )
        for panel, part in zip(axes, parts, strict=True):
            self._draw(panel, part)
        axes[-1].set_xlabel("epoch")
        return axes if len(parts) > 1 else axes[0]

    def _draw(self, ax, names):
        """Curves of `names` and of their ``val_`` in one panel."""
        for name in names:
            colour = None
            for key, style in ((name, "-"), (f"val_{name}", "--")):
                if key in self.history:
                    epochs = [self.epoch[row] + 1 for row in self._rows_of(key)]
                    # A single point draws no line.
                    marker = "o" if len(epochs) == 1 else None
                    lines = ax.plot(
                        epochs, self.history[key], style, color=colour, label=key, marker=marker
                    )
                    colour = lines[0].get_color() if len(lines) == 1 else None
        if len(names) == 1:
            ax.set_ylabel(names[0])
        if names:
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.legend()

    def _names_to_plot(self, metrics):
        known = list(dict.fromkeys(name.removeprefix("val_") for name in self.history))
        if metrics is None:
            return [
                name
                for name in known
                if name != "learning_rate"
                and all(
                    isinstance(value, int | float) or is_numeric(value)
                    for value in self.history.get(name, [])
                )
            ]
        metrics = (
            [metrics] if isinstance(metrics, str) else checks.listed(metrics, "metrics", "names")
        )
        for name in metrics:
            if name not in known:
                raise ConfigError(
                    f"metrics holds {name!r}; expected some of"
                    f" {', '.join(known) or 'nothing: no epoch has ended'}"
                )
        return metrics

    def get_state(self):
        """The epochs, and of each list of `history` its values and their places.

        Floats go into one array, so that a file of many epochs stays small; what no file can hold
        is kept as text.
        """
        return {
            "epoch": np.array(self.epoch, np.int64),
            "names": list(self.history),
            "history": {
                name: {"values": _column(values), "rows": np.array(self._rows_of(name), np.int64)}
                for name, values in self.history.items()
            },
        }

    def set_state(self, state):
        if (
            isinstance(state, dict)
            and "names" not in state
            and isinstance(state.get("history"), dict)
        ):
            # of a file from before the order was kept
            state = state | {"names": list(state["history"])}
        state = read_state(state, "History", epoch=_whole_numbers, history=_curves, names=_names)
        if sorted(state["names"]) != sorted(state["history"]):
            raise CheckpointError(
                "state of History: its names are not those of its curves, each once"
            )
        state["history"] = {name: state["history"][name] for name in state["names"]}
        if any(row >= len(state["epoch"]) for _, rows in state["history"].values() for row in rows):
            raise CheckpointError("state of History: a value belongs to an epoch that is not there")
        self.epoch = state["epoch"]
        self.history = {name: values for name, (values, _) in state["history"].items()}
        self._rows = {name: rows for name, (_, rows) in state["history"].items()}


def _cell(value):
    """A value in a table."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)[:30]


def _load(module, extra):
    """A module that only those who use it need."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{module.partition('.')[0]} is needed here and cannot be imported ({error}); install"
            f" it: python -m pip install 'gatewise[{extra}]'"
        ) from error


def _column(values):
    if values and all(type(value) is float for value in values):
        return np.array(values)
    return [storable(value) for value in values]


def _whole_numbers(value, name):
    if (
        not isinstance(value, np.ndarray)
        or value.dtype != np.int64
        or value.ndim != 1
        or (value < 0).any()
    ):
        raise CheckpointError(
            f"{name}: expected a one-dimensional array of whole numbers from 0 up"
        )
    return value.tolist()


def _names(value, name):
    return [checks.text(part, name) for part in checks.listed(value, name, "names")]


def _curves(value, name):
    """dict of str to (values, rows)."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise CheckpointError(f"{name}: expected a dict of curves")
    return {key: _curve(curve, key) for key, curve in value.items()}


def _curve(curve, name):
    curve = read_state(curve, f"curve {name!r}", values=_curve_values, rows=_whole_numbers)
    if len(curve["values"]) != len(curve["rows"]):
        raise CheckpointError(
            f"curve {name!r} has {len(curve['values'])} values and {len(curve['rows'])} places"
        )
    return curve["values"], curve["rows"]


def _curve_values(values, name):
    if isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1:
        return values.tolist()
    if not isinstance(values, list) or not all(
        value is None or isinstance(value, bool | int | float | str) or is_numeric(value)
        for value in values
    ):
        raise CheckpointError(f"{name}: expected numbers")
    return list(values)
