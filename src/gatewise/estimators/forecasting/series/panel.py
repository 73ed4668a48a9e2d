"""Panel: the form of several series in one object, and forecasts of them in the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gatewise import checks
from gatewise.errors import CheckpointError, DTypeError, ShapeError

from . import polars_frames
from .reading import Parts

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

PanelKind: TypeAlias = Literal["index", "dict", "table"]
KINDS = ("index", "dict", "table")


@dataclass(frozen=True)
class Panel:
    """The form of a panel, without its numbers.

    Attributes
    ----------
    kind : {"index", "dict", "table"}
        A pandas object whose index has levels, a dict of series, or a long table.
    keys : tuple
        A label for each series; a tuple of labels if several levels tell the series apart. Empty
        for a table of one series.
    names : tuple
        The names of the levels in the keys, or of the column of groups.
    time : label or None
        The name of the level or column of time.
    at : int
        The position of time among the levels.
    columns : tuple or None
        All columns of a table.
    library : {"pandas", "polars"}
        What a table was a frame of.
    days : bool
        Whether the times of a polars table are dates without hours.
    """

    kind: PanelKind
    keys: tuple[Hashable, ...]
    names: tuple[Any, ...] = ()
    time: Any = None
    at: int = 0
    columns: tuple[Any, ...] | None = None
    library: str = "pandas"
    days: bool = False

    def write(self, forecasts: Sequence[Any]) -> Any:
        """Return forecasts in the form of the panel.

        Parameters
        ----------
        forecasts : list
            A forecast for each series, in the form of the series.
        """
        if self.kind == "dict":
            return dict(zip(self.keys, forecasts))
        joined = self._joined(forecasts)
        if self.kind == "index":
            return joined
        table = joined.reset_index()
        table = table[[column for column in self.columns or () if column in table.columns]]
        if self.library == "pandas":
            return table
        return polars_frames.to_polars(table, self.time if self.days else None)

    def _joined(self, forecasts: Sequence[Any]) -> Any:
        """Return one pandas object whose index has the levels of the panel."""
        import pandas

        if not self.keys:
            return forecasts[0].rename_axis(self.time)
        joined = pandas.concat(forecasts, keys=list(self.keys), names=[*self.names, self.time])
        if self.at == len(self.names):
            return joined
        # Time is not the last level: rows are in the order of time.
        order = list(range(len(self.names)))
        order.insert(self.at, len(self.names))
        joined = joined.reorder_levels(order)
        return joined.sort_index(level=self.at, sort_remaining=False, kind="stable")

    def ordered(self, keys: Sequence[Hashable], parts: Parts, name: str) -> Parts:
        """Return the series of another panel in the order of this one.

        Parameters
        ----------
        keys : sequence
            The labels of the series in `parts`.
        parts : Parts
        name : str
            The argument, for messages.

        Raises
        ------
        ShapeError
            It has other series than this one.
        """
        position = {key: number for number, key in enumerate(keys)}
        missing, unknown = set(self.keys) - set(position), set(position) - set(self.keys)
        if missing or unknown:
            found = [
                *(f"lacks {key!r}" for key in list(missing)[:3]),
                *(f"has {key!r}" for key in list(unknown)[:3]),
            ]
            raise ShapeError(
                f"{name} {', '.join(found)}; the forecaster was fitted to the {len(self.keys)}"
                f" series {', '.join(map(repr, self.keys[:5]))}"
                f"{', ...' if len(self.keys) > 5 else ''}: give all of these, and no others"
            )
        chosen = [position[key] for key in self.keys]
        return Parts(
            [parts[number] for number in chosen],
            [parts.names[number] for number in chosen],
            [parts.fixes[number] for number in chosen],
        )

    # ---- files

    def get_config(self) -> dict[str, Any]:
        """Return what a file holds of the panel: JSON values and tuples.

        Raises
        ------
        DTypeError
            A label is neither text nor a number.
        """
        config = {
            "kind": self.kind,
            "keys": list(self.keys),
            "names": list(self.names),
            "time": self.time,
            "at": self.at,
            "columns": None if self.columns is None else list(self.columns),
            "library": self.library,
            "days": self.days,
        }
        for label in _labels_in(config):
            if not _is_plain(label):
                raise DTypeError(
                    f"files cannot hold the label {label!r} of a series; make text of it before fit"
                )
        return config

    @classmethod
    def from_config(cls, config: Any, series: int) -> Panel:
        """Return the panel of :meth:`get_config`; the values come from a file of any origin.

        Parameters
        ----------
        config : dict
        series : int
            The number of series that the panel must have.

        Raises
        ------
        CheckpointError
        """
        if not isinstance(config, dict) or set(config) != set(cls.__dataclass_fields__):
            raise CheckpointError(
                f"the panel is {config!r:.80}; expected {sorted(cls.__dataclass_fields__)}"
            )
        columns = config["columns"]
        panel = cls(
            config["kind"],
            tuple(checks.listed(config["keys"], "keys", "labels")),
            names=tuple(checks.listed(config["names"], "names", "labels")),
            time=config["time"],
            at=checks.whole_number(config["at"], "at", 0),
            columns=None if columns is None else tuple(checks.listed(columns, "columns", "names")),
            library=config["library"],
            days=checks.flag(config["days"], "days"),
        )
        if not all(map(_is_plain, _labels_in(config))) or not panel._is_consistent(series):
            raise CheckpointError(
                f"the panel is {config!r:.200}, which does not fit {series} series"
            )
        return panel

    def _is_consistent(self, series: int) -> bool:
        """Return whether the attributes agree with each other and with the number of series."""
        return (
            self.kind in KINDS
            and self.library in ("pandas", "polars")
            and (
                len(self.keys) == series or (not self.keys and series == 1 and self.kind == "table")
            )
            and (self.kind == "dict" or all(self._has_all_levels(key) for key in self.keys))
            and (self.columns is None) == (self.kind != "table")
            and self.at <= len(self.names)
            and len(set(self.keys)) == len(self.keys)
        )

    def _has_all_levels(self, key: Any) -> bool:
        """Return whether a key has a label for each name."""
        return (len(key) if isinstance(key, tuple) else 1) == len(self.names)


def _labels_in(config: dict[str, Any]) -> Iterator[Any]:
    """Yield all labels in the values of a panel."""
    for key in (*config["keys"], *config["names"], *(config["columns"] or ()), config["time"]):
        yield from key if isinstance(key, tuple) else (key,)


def _is_plain(label: Any) -> bool:
    """Return whether a file can hold a label."""
    return label is None or isinstance(label, str | int | float)
