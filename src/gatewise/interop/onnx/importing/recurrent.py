"""RNN, GRU and LSTM nodes as layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.interop.onnx.recurrent import directions_of, make_layer, sizes_of, weights_of
from gatewise.layers import Bidirectional, Concatenate

from .builder import Builder, Expanded, Handler, Lengths, Repeated, constant, is_extents
from .shapes import origin, taken
from .sizes import product
from .views import Atom, Tensor, arranged, same

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call


class Half:
    """All steps of one direction of a bidirectional node, which no layer has cut out yet."""

    def __init__(self, run: Run, way: int, whole: Tensor) -> None:
        self.run: Run = run
        self.way: int = way
        self.whole: Tensor = whole
        self.number: int = run.number

    def cut(self, builder: Builder, x: Tensor) -> Tensor:
        """Return the tensor with a symbol of this direction alone."""
        width = self.whole.symbol.shape[-1] // 2
        key = (slice(None), slice(None), slice(self.way * width, (self.way + 1) * width))
        name = ("half", id(self.whole.symbol), self.way)
        if name not in builder.shared:
            builder.shared[name] = self.whole.symbol[key]
        part = (origin(builder, self.whole), self.way * width, (self.way + 1) * width)
        return replace(x, symbol=builder.shared[name], run=None, part=part)

    def last_of(self, builder: Builder, x: Tensor, axis: int, place: int) -> Tensor | None:
        """Return the last output of this direction, if that is what is taken."""
        if not self.run.ends(x.view[axis], self.run.ways[self.way], place):
            return None
        builder.used.setdefault(self.number, set()).add("h")
        final: Tensor = self.run.final
        way, units = final.axes[-1]
        if not same(x.axes[-1], (units,)):
            return None
        whole = final.seen([(way,), *x.view[:axis], *x.view[axis + 1 :]])
        return taken(builder, whole, 0, self.way)


class Run:
    """One recurrent node in the model: the layer's outputs, and which of them are used."""

    def __init__(
        self, number: int, ways: list[bool], time: Atom, features: tuple[Atom, ...]
    ) -> None:
        self.number: int = number
        self.ways: list[bool] = ways  # whether each direction goes backwards
        self.time: Atom = time
        self.features: tuple[Atom, ...] = features
        self.final: Any = None  # the last outputs, as Y_h
        self.visited: Any = None  # the symbol of all steps, in the order of the layer

    def ends(self, group: tuple[Atom, ...], backwards: bool, place: int) -> bool:
        """Return whether a place of an axis is the last step that a direction visits."""
        if len(group) != 1 or group[0] is not self.time:
            return False
        size = self.time.size
        if backwards:
            return place == 0
        return place in (-1, size - 1 if isinstance(size, int) else -1)

    def cut(self, builder: Builder, x: Tensor) -> Tensor:
        """Return the tensor itself: its symbol holds all directions."""
        return x

    def last_of(self, builder: Builder, x: Tensor, axis: int, place: int) -> Tensor | None:
        """Return the last output of a layer with one direction, or one direction of two."""
        group = x.view[axis]
        if len(self.ways) == 2:
            way, units = self.features
            if len(group) != 1 or group[0] is not way or not same(x.axes[-1], (way, units)):
                return None
            half = Half(self, place % 2, x)
            rest = [*x.view[:axis], *x.view[axis + 1 :]]
            return replace(x.seen(rest), axes=(*x.axes[:-1], (units,)), run=half)
        if not self.ends(group, self.ways[0], place):
            return None
        final: Tensor = self.final
        if not same(x.axes[-1], self.features):  # it was divided since
            return None
        builder.used.setdefault(self.number, set()).add("h")
        return final.seen([*x.view[:axis], *x.view[axis + 1 :]])


def _recurrent(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    parameters = [inputs[k] if len(inputs) > k else None for k in (1, 2, 3)]
    parameters.append(inputs[7] if len(inputs) > 7 and call.op == "LSTM" else None)
    if not all(each is None or constant(each) for each in parameters):
        raise ConfigError("weights that are computed")
    w, r, b, p = parameters
    batch_first = bool(call.get("layout", 0))
    if not isinstance(x, Tensor) or x.whole or len(x.view) != 3:
        raise ConfigError("X is no array of three axes that a layer computes")
    time, row = (x.view[1], x.view[0]) if batch_first else x.view[:2]
    if not same(row, x.axes[0]):
        raise ConfigError(
            f"X has shape {x.shape}, of which axis {0 if batch_first else 1} is not the batch"
        )
    _refuse_lengths(inputs[4] if len(inputs) > 4 else None, product(a.size for a in time))
    _refuse_rounds(builder, call, product(atom.size for atom in time))
    features, units = sizes_of(call, w, r)
    if x.shape[2] != features:
        raise ConfigError(f"X has {x.shape[2]} features, W has shape {w.shape}")
    x = arranged(builder.use(x), [x.axes[0], time, x.view[2]])
    directions = directions_of(call)
    starts = [
        _start(builder, inputs[k] if len(inputs) > k else None, len(directions), units, batch_first)
        for k in ((5, 6) if call.op == "LSTM" else (5,))
    ]
    number = builder.numbers[id(call)]
    wanted = {"steps", "h", "c"} if builder.plan is None else builder.plan.get(number, set())
    steps, states = "steps" in wanted, "c" in wanted or ("h" in wanted and "steps" in wanted)
    learned = any(isinstance(start, list) and constant(start[0]) for start in starts)
    given = any(isinstance(start, list) and not constant(start[0]) for start in starts)
    if learned and given:
        raise ConfigError("one initial state is a constant, another one is computed")
    layers = []
    for k, direction in enumerate(directions):
        layer = make_layer(
            call,
            direction,
            units,
            b is not None,
            p is not None,
            return_sequences=steps,
            return_state=states,
            go_backwards=direction.backwards,
            learned_initial_state=learned,
        )
        arrays = weights_of(call, k, direction.options, w, r, b, p)
        if learned:
            arrays += [
                np.zeros(units) if start is None else np.asarray(start[k]) for start in starts
            ]
        layers.append((layer, arrays))
    if len(layers) == 2:
        layer = Bidirectional(layers[0][0], backward_layer=layers[1][0])
    else:
        layer = layers[0][0]
    builder.keep(layer, [array for _, arrays in layers for array in arrays])
    reads: Any = x.symbol
    if given:
        reads = [x.symbol]
        for k in range(len(directions)):
            for start in starts:
                if start is None:
                    raise ConfigError("one of two initial states is missing")
                reads.append(start[k].symbol)
    made = layer(reads)
    outputs = list(made) if isinstance(made, list | tuple) else [made]
    return _outputs(builder, call, x, number, outputs, [d.backwards for d in directions], wanted)


def _outputs(
    builder: Builder,
    call: Call,
    x: Tensor,
    number: int,
    outputs: list[Any],
    ways: list[bool],
    wanted: set[str],
) -> list[Any]:
    """Return Y, Y_h and Y_c, as far as they are used."""
    count = 2 if call.op == "LSTM" else 1
    time, units = x.axes[1], Atom(outputs[0].shape[-1] // len(ways))
    way = (Atom(2),) if len(ways) == 2 else ()
    batch_first = bool(call.get("layout", 0))
    states = outputs[1:]
    last = outputs[0] if "steps" not in wanted else None

    def joined(which: int) -> Any:
        if which == 0 and last is not None:
            return last
        parts = states[which::count]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else Concatenate()(parts)

    features = (*way, units)
    run = Run(number, ways, time[0] if time else Atom(1), features)
    view: list[tuple[Atom, ...]] = [x.axes[0], way, (units,)]
    if not batch_first:
        view = [way, x.axes[0], (units,)]
    axes = (x.axes[0], features)
    finals: list[Any] = []
    for which in range(count):
        symbol = joined(which)
        finals.append(None if symbol is None else Tensor(symbol, axes, tuple(view)))
    run.final = finals[0]
    steps = run.visited = outputs[0]
    if ways == [True] and "steps" in wanted:
        steps = steps[:, ::-1]  # in the order of time
    view = [x.axes[0], time, way, (units,)]
    if not batch_first:
        view = [time, way, x.axes[0], (units,)]
    y = Tensor(steps, (x.axes[0], time, features), tuple(view), run=run)
    for which, name in enumerate(("h", "c")[:count]):
        if len(call.outputs) > which + 1 and _is_read(builder, call.outputs[which + 1]):
            builder.used.setdefault(number, set()).add(name)
    return [y, *finals][: max(len(call.outputs), 1)]


def _is_read(builder: Builder, name: str) -> bool:
    return bool(name) and (name in builder.readers or name in builder.outputs)


def _refuse_rounds(builder: Builder, call: Call, steps: Any) -> None:
    """Refuse a loop that ends before the last step."""
    if "rounds" not in call.kept:
        return
    rounds = builder.values.get(call.kept["rounds"])
    if not isinstance(rounds, np.ndarray) or rounds.size != 1 or rounds.reshape(-1)[0] != steps:
        raise ConfigError(f"the loop does not run over all {steps} steps")


def _refuse_lengths(lengths: Any, steps: Any) -> None:
    """Accept lengths that are an input of the model, or all steps."""
    if lengths is None or isinstance(lengths, Lengths):
        return
    if constant(lengths) and not isinstance(steps, int):
        raise ConfigError("sequence_lens is a constant")
    if constant(lengths) and (lengths == steps).all():
        return
    if is_extents(lengths) and all(each == steps for each in lengths.reshape(-1)):
        return
    if isinstance(lengths, Expanded) and lengths.number == steps:
        return
    raise ConfigError("sequence_lens is computed; expected an input of the model")


def _start(
    builder: Builder, given: Any, count: int, units: int, batch_first: bool
) -> list[Any] | None:
    """Return the initial state of each direction: constants or tensors; None if it is zeros."""
    if given is None:
        return None
    if isinstance(given, Expanded):
        if given.number != 0:
            return [np.full(units, given.number) for _ in range(count)]
        return None
    axis = 1 if batch_first else 0
    if isinstance(given, Repeated):
        given = given.array
    if constant(given):
        array: Array = given
        if not array.any():
            return None
        array = array.transpose(1, 0, 2) if batch_first else array
        if array.shape[0] != count or (array != array[:, :1]).any():
            raise ConfigError("the initial state is a constant that differs between rows")
        return [array[k, 0] for k in range(count)]
    if not isinstance(given, Tensor) or len(given.view) != 3 or given.whole:
        raise ConfigError("the initial state is no array of three axes")
    found = []
    for k in range(count):
        one = taken(builder, given, axis, k)
        groups = [one.axes[0], one.view[1]]
        if not same(one.view[0], one.axes[0]):
            raise ConfigError(f"the initial state has shape {given.shape}")
        found.append(arranged(builder.use(one), groups))
    return found


def _reversed(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    """Return steps in the opposite order: of a layer that goes backwards, as it returns them."""
    x, lengths = inputs
    axis = call.get("time_axis", 0)
    if not isinstance(x, Tensor) or axis not in (0, 1) or len(x.view) < 2:
        raise ConfigError("no steps are reversed")
    run = x.run
    if isinstance(run, Run) and run.ways == [True] and same(x.view[axis], (run.time,)):
        return [replace(builder.use(x), symbol=run.visited, run=None)]
    if isinstance(lengths, Lengths):
        raise ConfigError("steps of rows with lengths are reversed")
    _refuse_lengths(lengths, product(atom.size for atom in x.view[axis]))
    return [taken(builder, x, axis, slice(None, None, -1))]


HANDLERS: dict[str, Handler] = dict.fromkeys(
    [f"{op}{of}" for op in ("RNN", "GRU", "LSTM") for of in ("", " of lengths")], _recurrent
)
HANDLERS |= dict.fromkeys(["ReverseSequence", "ReverseSequence of lengths"], _reversed)
