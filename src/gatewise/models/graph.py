"""Model: a graph of layers between inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.attributes import _is_ours
from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import Symbol
from gatewise.layers.symbol import Node
from gatewise.transaction import Transaction

from .architecture import described, described_graph, read_graph
from .graph_network import GraphNetwork
from .shared_buffer import host_of, is_bound
from .symbolic import Symbolic
from .tracing import Call, Graph, trace
from .trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gatewise._typing import Config, Shape
    from gatewise.layers import Layer

# Methods that subclasses of Keras's Model override.
_KERAS_HOOKS = ("call", "train_step", "test_step", "predict_step", "compute_loss")


@described
class Model(Symbolic, GraphNetwork, Trainer):
    """A model of layers between inputs and outputs, which may branch and join.

    Layers called with symbols, what :func:`~gatewise.layers.Input` and other layers return, give
    symbols; a model is made of those that go in and those that come out.

    Parameters
    ----------
    inputs : Symbol, list or dict of Symbol
        What the model reads. Names of a dict are those of the arrays that ``fit`` is given.
    outputs : Symbol, list or dict of Symbol
        What it returns, in the same form.
    name : str, optional
        None: a name is made from the class.
    seed : int, optional
        Every random draw follows from it: initial weights, shuffling, dropout. None: from
        :func:`gatewise.utils.set_random_seed`, or the system.

    Raises
    ------
    ConfigError
        An output needs an input that is not given, an input is not used, two layers have one name,
        or another model has some of the layers, while this one has not all of its.
    DTypeError
        An input or output is no symbol.

    Notes
    -----
    A model over layers that another one has is a view of it: both have the same weights. If it has
    all layers of another model and more, the other one becomes the view, and what its optimizer
    has accumulated does not fit any more: compile it again. docs/models.md has examples.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import Model, layers
    >>> text = layers.Input((None,), name="text")
    >>> size = layers.Input((2,), name="size")
    >>> x = layers.LSTM(8)(layers.Embedding(100, 4)(text))
    >>> model = Model([text, size], layers.Dense(1)(x) + layers.Dense(1)(size), seed=0)
    >>> model.predict([np.ones((3, 5)), np.ones((3, 2))]).shape
    (3, 1)
    """

    _has_names = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hooks = [name for name in _KERAS_HOOKS if name in vars(cls)]
        if hooks and not _is_ours(cls.__module__):
            raise ConfigError(
                f"class {cls.__name__} overrides {hooks[0]} of Model, which is never called: call"
                " layers with symbols and make Model(inputs, outputs) of them, or write a layer"
                " with run and run_backward (docs/custom-layers.md)"
            )

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        self._begin(inputs, outputs, name, seed)
        self._make_parameters()

    def _begin(self, inputs: Any, outputs: Any, name: str | None, seed: int | None) -> None:
        """Trace the graph; the parameters are not made yet."""
        if inputs is None or outputs is None:
            raise ConfigError(
                f"{type(self).__name__} needs inputs and outputs: call layers with what Input"
                " returns, and make Model(inputs, outputs) of the symbols; a model is no base class"
            )
        Trainer.__init__(self, name, seed)
        self._inputs_are, input_names, given = _parts_of(inputs)
        self._outputs_are, output_names, made = _parts_of(outputs)
        self._unsorted_names = {
            kind: list(dictionary)
            for kind, dictionary in (("input", inputs), ("output", outputs))
            if isinstance(dictionary, dict) and list(dictionary) != sorted(dictionary)
        }
        graph = trace(given, made, self.name)
        self._input_names = input_names or _names_of([each.name for each in graph.input_layers])
        self._output_names = output_names or _names_of([symbol.name for symbol in made])
        self._layers = graph.layers
        self._refuse_equal_names()
        for layer in self._layers:
            if layer._dtype_given:
                self._set_dtype(layer._dtype_given)
            self._dtypes[layer._dtype_given] += 1
        self._set_graph(graph)

    def _architecture(self) -> Config:
        return described_graph(self)

    @classmethod
    def _from_architecture(cls, description: Config) -> Self:
        inputs, outputs, made = read_graph(description)
        model = cls.__new__(cls)
        model._begin(inputs, outputs, description["name"], description["seed"])
        unused = [layer.name for layer in made if layer not in model._layers]
        if unused:
            raise ConfigError(f"no output depends on layer {unused[0]!r}")
        return model

    def _refuse_equal_names(self) -> None:
        names: set[str] = set()
        for layer in self._layers:
            if not names.isdisjoint(layer._paths()):
                raise ConfigError(
                    f"two layers of model {self.name!r} are named {layer.name!r}; give each its own"
                    " name"
                )
            names.update(layer._paths())

    def _make_parameters(self) -> None:
        """Make the parameters, or use those of a model that has all layers."""
        host, taken = host_of(self.name, self._layers)
        if host is not None:
            if self._dtype != host._dtype and any(layer._dtype_given for layer in self._layers):
                self._set_dtype(host._dtype)
            for layer in self._layers:
                if not layer.built:  # without parameters, and so in no buffer
                    layer._set_dtype(host._dtype)
                    layer._describe(self._shape_of(layer))
            self._become_view(host)
            return
        before = [(layer, layer.model) for layer in self._layers]
        with Transaction(lambda: _give_back(before)):
            for layer in self._layers:
                if layer.model is None or is_bound(layer):
                    layer.model = self
                    layer._share_guard(self._guard)
            for model in taken:
                self._set_dtype(model._dtype)
            self.build(self.input_shape)
        for model in taken:
            if model._host is None:  # not a layer of this one
                model._become_view(self)

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: a model of symbols is built when it is made.

        Parameters
        ----------
        input_shape : tuple, or list of tuple, optional
            Must be what the inputs have.

        Raises
        ------
        ShapeError
            The inputs have another shape.
        """
        if not self.built:
            super().build(self._graph.shapes[0])
            return
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        if input_shape is not None and not _agree(shapes, self._graph.shapes[: len(shapes)]):
            raise ShapeError(
                f"build: got {input_shape}; the inputs of model {self.name!r} have"
                f" {self.input_shape}"
            )

    def _describe_layers(self, shape: Any) -> None:
        for layer in self._layers:
            layer._set_dtype(self._dtype)
            layer._describe(self._shape_of(layer))

    def _describe_inside(self, shapes: Sequence[Shape], dtype: Any) -> None:
        expected = self._graph.shapes[: len(shapes)]
        if not _agree(shapes, expected):
            raise ShapeError(
                f"model {self.name!r} is called with shape {', '.join(map(str, shapes))}; its"
                f" inputs have {', '.join(map(str, expected))}"
            )
        self._dtype = dtype
        self._describe_layers(None)

    def _shape_of(self, layer: Layer) -> Any:
        """Return the shape for which a layer is described: with None where its calls differ."""
        shapes = [call.node.input_shape for call in self._graph.calls if call.layer is layer]
        if not shapes:
            return (None, *layer._given_input_shape)  # type: ignore[misc]
        if isinstance(shapes[0], list) or len({len(shape) for shape in shapes}) > 1:
            return shapes[0]
        return tuple(extents[0] if len(set(extents)) == 1 else None for extents in zip(*shapes))

    # ---- what users see

    def _ends(self) -> tuple[list[Symbol], list[Symbol]]:
        return self._graph.inputs, self._graph.outputs

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, list of str."""
        return list(self._input_names)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, list of str."""
        return list(self._output_names)

    @property
    def input_shape(self) -> Any:
        """Shape (batch, ...) of the input, None for free axes; a list if there are several."""
        shapes = self._graph.shapes[: len(self._graph.inputs)]
        return list(shapes) if len(shapes) > 1 else shapes[0]

    @property
    def output_shape(self) -> Any:
        """Shape (batch, ...) of the output, None for free axes; a list if there are several."""
        shapes = self._shapes_of_outputs()
        return shapes if len(shapes) > 1 else shapes[0]

    def _shape_for_one_input(self) -> Shape | None:
        return self._graph.shapes[0][1:] if len(self._graph.inputs) == 1 else None

    # ---- copies: the graph without the symbols, which refer to each other ever deeper

    def _copied_state(self) -> dict[str, Any]:
        state = super()._copied_state()
        for name in ("_graph", "_readers", "_makers", "_wanted"):
            state.pop(name, None)
        return state | {"_flat_graph": flat_graph(self._graph)}

    def __setstate__(self, state: Any) -> None:
        state = dict(state)
        graph = graph_of(state.pop("_flat_graph"), state["_layers"])
        vars(self).update(name=state["name"])
        for name in ("_input_names", "_output_names", "_layers"):
            vars(self)[name] = state[name]
        self._set_graph(graph)
        super().__setstate__(state)


def flat_graph(graph: Graph) -> dict[str, Any]:
    """Return a graph as lists of numbers, layers and shapes.

    A list of calls has for each [layer, numbers of arrays read, whether as a list, shapes made,
    argument training].
    """
    return {
        "inputs": [
            (layer, symbol.shape) for layer, symbol in zip(graph.input_layers, graph.inputs)
        ],
        "calls": [
            (
                call.layer,
                call.sources,
                call.node.listed,
                [symbol.shape for symbol in call.node.outputs],
                call.node.training,
            )
            for call in graph.calls
        ],
        "results": list(graph.results),
    }


def graph_of(flat: dict[str, Any], layers: list[Layer]) -> Graph:
    """Return the graph that :func:`flat_graph` described, with new symbols."""
    symbols: list[Symbol] = []
    graph = Graph([], [], layers=layers)
    for layer, shape in flat["inputs"]:
        node = Node(layer)
        node.outputs = [Symbol(shape, node)]
        layer._nodes.append(node)
        graph.input_layers.append(layer)
        symbols += node.outputs
    graph.inputs = list(symbols)
    for layer, sources, listed, shapes, training in flat["calls"]:
        node = Node(layer, [symbols[k] for k in sources], listed, training)
        node.specs = layer._specs
        node.outputs = [Symbol(shape, node, k) for k, shape in enumerate(shapes)]
        layer._nodes.append(node)
        numbers = list(range(len(symbols), len(symbols) + len(shapes)))
        graph.calls.append(Call(layer, node, list(sources), numbers))
        symbols += node.outputs
    graph.shapes = [symbol.shape for symbol in symbols]
    graph.results = list(flat["results"])
    graph.outputs = [symbols[k] for k in graph.results]
    return graph


def _give_back(before: list[tuple[Any, Any]]) -> None:
    for layer, model in before:
        layer.model = model


def _agree(shapes: Sequence[Any], expected: Sequence[Any]) -> bool:
    return len(shapes) == len(expected) and all(
        len(a) == len(b) and all(None in pair or pair[0] == pair[1] for pair in zip(a[1:], b[1:]))
        for a, b in zip(shapes, expected)
    )


def _parts_of(given: Any) -> tuple[str, list[str] | None, list[Any]]:
    """Return how symbols are given, their names in a dict (else None), and the symbols."""
    if isinstance(given, dict):
        names = sorted(given)
        return "dict", names, [given[name] for name in names]
    if isinstance(given, list | tuple):
        return "list", None, list(given)
    return "one", None, [given]


def _names_of(names: list[str]) -> list[str]:
    """Return names, each made unique by a number."""
    found: list[str] = []
    for name in names:
        number, each = 0, name
        while each in found:
            number += 1
            each = f"{name}_{number}"
        found.append(each)
    return found
