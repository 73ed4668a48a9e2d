"""The text of summary(), and what a terminal or notebook shows of a model."""

from __future__ import annotations

import copy
import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatewise._typing import Shape
    from gatewise.layers import Layer

    from .network import Network


_UNKNOWN = "?"
_HEAD: tuple[str, ...] = ("Layer (type)", "Output shape", "Parameters")


def summary_lines(model: Any) -> list[str]:
    """Return lines of text: name, class, output shape and parameters of each layer, and the sum."""
    rows = [_HEAD, *summary_rows(model)]
    if hasattr(model, "_graph"):
        rows = [(*row, text) for row, text in zip(rows, ["Connected to", *_sources(model)])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    lines = [f"Model: {model.name!r}", rule]
    for position, (name, shape, count, *sources) in enumerate(rows):
        line = f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}"
        lines.append("  ".join([line, *sources]).rstrip())
        if position == 0:
            lines.append(rule)
    return [*lines, rule, *total_lines(model)]


def summary_rows(model: Network) -> list[tuple[str, ...]]:
    """Return (name and class, output shape, parameters) of each layer, as text."""
    rows = []
    for layer, count in zip(model._layers, parameter_counts(model), strict=True):
        frozen = frozen_text(layer)
        name = f"{layer.name} ({kind_of(layer)}{', ' * bool(frozen)}{frozen})"
        shape = str(layer.output_shape) if layer.built else "not built"
        rows.append((name, shape, _UNKNOWN if count is None else f"{count:,}"))
    return rows


def _sources(model: Any) -> list[str]:
    """Return of each layer of a graph the names of those that it reads; calls apart by "|"."""
    found: dict[Any, list[str]] = {layer: [] for layer in model._layers}
    for call in model._graph.calls:
        found[call.layer].append(", ".join(symbol.name for symbol in call.node.inputs))
    return [" | ".join(texts) for texts in found.values()]


def kind_of(layer: Layer) -> str:
    """Return the name of a layer's class, or of the model that it is."""
    return type(getattr(layer, "_inner", layer)).__name__


def total_lines(model: Network) -> list[str]:
    """Return lines on the number of parameters, their memory, and how many are trained."""
    counts = parameter_counts(model)
    count, unknown = sum(count for count in counts if count is not None), counts.count(None)
    size = _bytes_text(count * (4 if model.dtype == "float32" else 8))
    line = f"{count:,} parameters, {size} in {model.dtype}"
    if unknown:
        line += (
            f", and those of {unknown} {'layer' if unknown == 1 else 'layers'} that are known once "
            "the shape of the input is: call build, or fit"
        )
    if not model.built:
        return [line]
    trained = model.count_params(trainable=True)
    if trained == count:
        return [line]
    return [line, f"{trained:,} trainable, {count - trained:,} not trainable"]


def frozen_text(layer: Layer) -> str:
    """Return "frozen", "partly frozen", or nothing."""
    if not layer.trainable:
        return "frozen"
    moved = [layer._is_trained(spec.name) for spec in layer._specs if spec.trained]
    return "" if all(moved) else "partly frozen"


def parameter_counts(model: Network) -> list[int | None]:
    """Return the number of parameters of each layer; None if the shape is not known yet."""
    if model.built:
        return [layer.count_params() for layer in model._layers]
    counts: list[int | None] = []
    shape = model.input_shape
    for layer in model._layers:
        if layer.built:
            counts.append(layer.count_params())
            shape = layer.output_shape
            continue
        if shape is None and not counts:
            shape = (None,) * (layer._rank or 2)
        count, shape = _count_for(layer, shape)
        counts.append(count)
    return counts


def _count_for(layer: Layer, shape: Shape | None) -> tuple[int | None, Shape | None]:
    """Return the parameters and the output shape of a layer that is not built; None: not known."""
    if shape is None:
        return None, None
    try:
        try:
            probe = type(layer).from_config(copy.deepcopy(layer.get_config()))
        except Exception:  # a cell or layer of a user, which no file names
            probe = copy.deepcopy(layer)
    except Exception:
        return None, None
    count = output = None
    try:
        output = probe.compute_output_shape(shape)
        count = sum(spec.size for spec in probe.parameter_specs(shape))
    except Exception:  # the shape does not say enough
        pass
    return count, output if isinstance(output, tuple) else None


def model_text(model: Network) -> str:
    """Return one line: layers, shapes, number of parameters, and how the model is compiled."""
    names = [kind_of(layer) for layer in model._layers]
    layers = ", ".join([*names[:6], "..."] if len(names) > 7 else names)
    parts = [f"{type(model).__name__} {model.name!r}", f"layers {layers}" if names else "no layers"]
    if model.built:
        count, trained = model.count_params(), model.count_params(trainable=True)
        parts += [
            f"input {model.input_shape}",
            f"output {model.output_shape}",
            f"{count:,} parameters",
        ]
        if trained < count:
            parts[-1] += f" ({trained:,} trainable)"
    else:
        parts.append("not built")
    loss = getattr(model, "loss", None)
    parts.append(
        "not compiled" if loss is None else f"compiled with {model.optimizer!r} and {loss!r}"
    )
    return f"<{'; '.join(parts)}>"


def model_html(model: Network) -> str:
    """Return the table of summary() as HTML."""
    left, right = "style='text-align:left'", "style='text-align:right'"
    head = "".join(
        f"<th {left}>{text}</th>" for text in ("Layer (type)", "Output shape", "Parameters")
    )
    rows = "".join(
        f"<tr><td {left}>{html.escape(name)}</td><td {left}>{html.escape(shape)}</td>"
        f"<td {right}>{html.escape(count)}</td></tr>"
        for name, shape, count in summary_rows(model)
    )
    totals = "<br>".join(html.escape(line) for line in total_lines(model))
    return (
        f"<div><b>{html.escape(type(model).__name__)} {html.escape(model.name)}</b>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{totals}</div>"
    )


def _bytes_text(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
