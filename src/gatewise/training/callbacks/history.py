"""The history of a run."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.checkpoint.codec import is_numeric, storable
from gatewise.errors import CheckpointError, ConfigError, MissingPackageError

from .base import Callback
from .state import read_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .base import Logs


class History(Callback):
    """The loss and metrics of each epoch; what ``fit`` returns.

    Attributes
    ----------
    history : dict of str to list
        For each epoch a value of the loss, of each metric, and ``val_`` of both.
    epoch : list of int
        Numbers of the epochs, from 0.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> history = model.fit(x, y, epochs=2, verbose=0)
    >>> history.epoch, list(history.history)
    ([0, 1], ['loss'])
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        # of each list of history, where in `epoch` its values belong: some epochs may have no
        # validation
        self._rows: dict[str, list[int]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._rows.setdefault(name, []).append(len(self.epoch))
        self.epoch.append(epoch)

    def _description(self) -> str:
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

    def _repr_html_(self) -> str:
        """A table of the last epochs, as notebooks show it."""
        try:
            return self._table()
        except Exception:  # whatever is in the lists
            return f"<pre>{html.escape(repr(self))}</pre>"

    def _table(self, longest: int = 10) -> str:
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

    def to_dataframe(self) -> Any:
        """The history as a pandas DataFrame: a row for each epoch, a column for each entry.

        Returns
        -------
        pandas.DataFrame
            NaN if an epoch lacks an entry. The index is called "epoch".

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        pandas = _load("pandas", "frame")
        columns = {
            name: pandas.Series(values, index=self._rows_of(name))
            for name, values in self.history.items()
        }
        frame = pandas.DataFrame(columns, index=range(len(self.epoch)))
        frame.index = pandas.Index(self.epoch, name="epoch")
        return frame

    def _rows_of(self, name: str) -> Sequence[int]:
        rows = self._rows.get(name, [])
        return rows if len(rows) == len(self.history[name]) else range(len(self.history[name]))

    def plot(self, metrics: str | Sequence[str] | None = None, ax: Any = None) -> Any:
        """Draw curves over the epochs: training as a line, validation dashed in the same colour.

        Epochs count from 1. The loss and the metrics have different units, so each has its own
        panel unless `ax` is given.

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
        ConfigError
            A name is not in the history.
        MissingPackageError
            matplotlib is not installed.
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

    def _draw(self, ax: Any, names: Sequence[str]) -> None:
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

    def _names_to_plot(self, metrics: Any) -> list[str]:
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

    def get_state(self) -> dict[str, Any]:
        """The epochs, and of each list of `history` its values and their places.

        Floats go into one array, so that a file of many epochs stays small; what no file can hold
        is kept as text.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        return {
            "epoch": np.array(self.epoch, np.int64),
            "names": list(self.history),
            "history": {
                name: {"values": _column(values), "rows": np.array(self._rows_of(name), np.int64)}
                for name, values in self.history.items()
            },
        }

    def set_state(self, state: dict[str, Any]) -> None:
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
            raise CheckpointError("state of History: a value belongs to an epoch that is missing")
        self.epoch = state["epoch"]
        self.history = {name: values for name, (values, _) in state["history"].items()}
        self._rows = {name: rows for name, (_, rows) in state["history"].items()}


def _cell(value: Any) -> str:
    """A value in a table."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)[:30]


def _load(module: str, extra: str) -> Any:
    """An optional module."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{module.partition('.')[0]} is needed here and cannot be imported ({error}); install"
            f" it: python -m pip install 'gatewise[{extra}]'"
        ) from error


def _column(values: list[Any]) -> Any:
    if values and all(type(value) is float for value in values):
        return np.array(values)
    return [storable(value) for value in values]


def _whole_numbers(value: Any, name: str) -> list[int]:
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


def _names(value: Any, name: str) -> list[str]:
    return [checks.text(part, name) for part in checks.listed(value, name, "names")]


def _curves(value: Any, name: str) -> dict[str, Any]:
    """dict of str to (values, rows)."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise CheckpointError(f"{name}: expected a dict of curves")
    return {key: _curve(curve, key) for key, curve in value.items()}


def _curve(curve: Any, name: str) -> tuple[list[Any], list[int]]:
    curve = read_state(curve, f"curve {name!r}", values=_curve_values, rows=_whole_numbers)
    if len(curve["values"]) != len(curve["rows"]):
        raise CheckpointError(
            f"curve {name!r} has {len(curve['values'])} values and {len(curve['rows'])} places"
        )
    return curve["values"], curve["rows"]


def _curve_values(values: Any, name: str) -> list[Any]:
    if isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1:
        return values.tolist()
    if not isinstance(values, list) or not all(
        value is None or isinstance(value, bool | int | float | str) or is_numeric(value)
        for value in values
    ):
        raise CheckpointError(f"{name}: expected numbers")
    return list(values)
