"""Pictures of models, drawn by graphviz."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.described import arguments_of
from gatewise.errors import ConfigError, MissingPackageError

from .summary import kind_of

if TYPE_CHECKING:
    from gatewise._typing import PathLike


def plot_model(
    model: Any,
    to_file: PathLike | None = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    dpi: int = 150,
    **others: Any,
) -> Any:
    """Draw the layers of a model and the arrays between them.

    It needs graphviz: the Python package, and the program `dot` of that name.

    Parameters
    ----------
    model : Model or Sequential
        A built model.
    to_file : str or path-like, optional
        Picture to write; the ending is its format: png, svg or pdf. None: none is written.
    show_shapes : bool, default False
        Write the shapes of the arrays.
    show_layer_names : bool, default True
        Write the names of the layers.
    rankdir : {"TB", "LR"}, default "TB"
        From top to bottom, or from left to right.
    dpi : int, default 150
        Dots per inch of a png.
    **others
        Arguments of Keras that change nothing here are accepted if they have their defaults.

    Returns
    -------
    graphviz.Digraph
        The drawing, which notebooks show. Its ``source`` is text in the language of `dot`.

    Raises
    ------
    MissingPackageError
        The Python package is missing.
    ConfigError
        An argument has a wrong value, or the program `dot` is missing.
    StateError
        The model is not built.

    Examples
    --------
    >>> from gatewise import Model, layers
    >>> from gatewise.models import plot_model
    >>> x = layers.Input((3,), name="x")
    >>> model = Model(x, layers.Dense(2, name="y")(x))
    >>> drawing = plot_model(model, to_file=None)  # doctest: +SKIP
    """
    checks.refuse_unknown_arguments(
        others, "plot_model", "plot_model", lambda: arguments_of(plot_model)
    )
    if rankdir not in ("TB", "LR"):
        raise ConfigError(f"rankdir is {rankdir!r}; expected 'TB' or 'LR'")
    checks.flag(show_shapes, "show_shapes")
    checks.flag(show_layer_names, "show_layer_names")
    model._need_built("plot_model")
    try:
        graphviz: Any = importlib.import_module("graphviz")
    except ImportError as error:
        raise MissingPackageError(
            "plot_model needs the package graphviz, and the program of that name; install it:"
            " python -m pip install 'gatewise[graphviz]'"
        ) from error
    drawing = graphviz.Digraph(
        name=model.name,
        graph_attr={"rankdir": rankdir, "dpi": str(checks.whole_number(dpi, "dpi"))},
        node_attr={"shape": "box", "fontname": "sans-serif", "fontsize": "11"},
        edge_attr={"fontname": "sans-serif", "fontsize": "10"},
    )
    _draw(drawing, model, show_shapes, show_layer_names)
    if to_file is not None:
        _write(graphviz, drawing, Path(to_file))
    return drawing


def _draw(drawing: Any, model: Any, shapes: bool, names: bool) -> None:
    inputs, _ = model._ends()
    numbers = {}
    edges = []
    for symbol in inputs:
        numbers[symbol.node] = len(numbers)
        drawing.node(str(numbers[symbol.node]), _text(symbol.node.layer, names))
    waiting = _nodes_in_order(model)
    for node in waiting:
        numbers[node] = len(numbers)
        drawing.node(str(numbers[node]), _text(node.layer, names))
        edges += [(symbol, node) for symbol in node.inputs]
    for symbol, node in edges:
        label = str(symbol.shape) if shapes else ""
        drawing.edge(str(numbers[symbol.node]), str(numbers[node]), label=label)
    for symbol in model._ends()[1]:
        if shapes:
            place = f"out{len(edges)}"
            edges.append((symbol, symbol.node))
            drawing.node(place, str(symbol.shape), shape="plaintext")
            drawing.edge(str(numbers[symbol.node]), place)


def _nodes_in_order(model: Any) -> list[Any]:
    graph = getattr(model, "_graph", None)
    if graph is not None:
        return [call.node for call in graph.calls]
    return [symbol.node for symbol in model._made[1:]]


def _text(layer: Any, names: bool) -> str:
    return f"{kind_of(layer)}\n{layer.name}" if names else kind_of(layer)


def _write(graphviz: Any, drawing: Any, path: Path) -> None:
    kind = path.suffix.removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise ConfigError(f"to_file is {str(path)!r}; expected a name that ends in png, svg or pdf")
    try:
        content = drawing.pipe(format=kind)
    except graphviz.ExecutableNotFound as error:
        raise ConfigError(
            "plot_model needs the program dot of graphviz, which is not installed: see"
            " graphviz.org/download. With to_file=None the drawing is returned as text"
        ) from error
    path.write_bytes(content)
