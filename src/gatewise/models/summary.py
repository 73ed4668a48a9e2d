"""The table that summary() prints."""


def summary_lines(model):
    """Lines of text: name and class, output shape and parameters of each layer, and the sum."""
    rows = [("Layer (type)", "Output shape", "Parameters")]
    for layer in model.layers:
        shape = str(layer.output_shape) if layer.built else "not built"
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, f"{layer.count_params():,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    rule = "-" * (sum(widths) + 4)
    lines = [f"Model: {model.name!r}", rule]
    for position, (name, shape, count) in enumerate(rows):
        lines.append(f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}")
        if position == 0:
            lines.append(rule)
    lines.append(rule)
    count = model.count_params()
    size = count * (4 if model.dtype == "float32" else 8)
    lines.append(f"{count:,} parameters, {_bytes_text(size)} in {model.dtype}")
    return lines


def _bytes_text(size):
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
