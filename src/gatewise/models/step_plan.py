"""What a model computes at one step: operations between vectors, as data.

A stream runs a plan (models/stream.py), and the export to C prints it. Models that are layers are
opened, and layers that change nothing at inference vanish.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from gatewise.attributes import _is_ours
from gatewise.errors import ConfigError
from gatewise.kernels import activations
from gatewise.layers.step_ops import (
    ActivationOp,
    DenseOp,
    RunningOp,
    SelectOp,
    SoftmaxOp,
    StepOp,
    WindowOp,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import DType

LINEAR = activations.code("linear")


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """What an operation writes at a step, or what comes in.

    Parameters
    ----------
    width : int
        How many numbers it has; 1 for a whole number.
    role : {"step", "answer", "constant"}
        "step": it belongs to one step. "answer": it describes all steps so far. "constant": it
        belongs to the whole sequence; only an input without a time axis, and what is made of it.
    first, every : int
        The steps at which it is written: `first`, ``first + every`` and so on.
    steps : int or None
        How many steps the model was built for, if their number is known.
    masked : {"zero", "last", "unknown"}
        What it is at masked steps: zeros, what it was at the last step that counts
        (zero_output_for_mask=False), or made of several of these.
    """

    width: int
    role: str
    first: int = 0
    every: int = 1
    steps: int | None = None
    masked: str = "zero"


@dataclass(frozen=True, slots=True, eq=False)
class PlannedOp:
    """An operation and the numbers of its vectors.

    Parameters
    ----------
    op : StepOp
        What is computed.
    sources : tuple of int
        Vectors that it reads: several for a MergeOp, else one.
    result : int
        The vector that it writes.
    """

    op: StepOp
    sources: tuple[int, ...]
    result: int


class PlannedInput(NamedTuple):
    """An input of the plan.

    Parameters
    ----------
    name : str
        Its name in the model.
    vector : int
        Its number.
    size : int or None
        The input is one whole number from 0 to ``size - 1``. None: a vector of numbers.
    mask : float or None
        A step at which each number has this value is masked. None: no step is.
    """

    name: str
    vector: int
    size: int | None
    mask: float | None


class PlannedOutput(NamedTuple):
    """An output of the plan: its name in the model, and its vector."""

    name: str
    vector: int


@dataclass(frozen=True, slots=True, eq=False)
class StepPlan:
    """What a model computes at one step, with the weights of the moment when it was made.

    Parameters
    ----------
    model : str
        Name of the model.
    dtype : {"float32", "float64"}
        Of all arrays.
    inputs : list of PlannedInput
        In the order of the model.
    outputs : list of PlannedOutput
        In the order of the model.
    vectors : list of Vector
        By number.
    ops : list of PlannedOp
        In an order in which they run.
    form : {"one", "list", "dict"}
        How the model returns its outputs.
    """

    model: str
    dtype: DType
    inputs: list[PlannedInput]
    outputs: list[PlannedOutput]
    vectors: list[Vector]
    ops: list[PlannedOp]
    form: str = "one"


def step_plan(model: Any) -> StepPlan:
    """Return what a model computes at one step.

    Parameters
    ----------
    model : Sequential or Model
        A built model.

    Returns
    -------
    StepPlan
        With copies of the weights.

    Raises
    ------
    ConfigError
        A layer needs later steps or whole sequences, or its step is not computed by a kernel; the
        message names the layer and the reason.
    StateError
        The model is not built.
    """
    model._need_built("a stream")
    with model._guard:
        return _Planner(model).plan


def scores_plan(model: Any) -> StepPlan:
    """Return :func:`step_plan` without the activation of the model's last layer.

    Parameters
    ----------
    model : Sequential or Model
        A built model with one output.

    Returns
    -------
    StepPlan
        Its output is what the last layer computes before its activation, if it has one.

    Raises
    ------
    ConfigError, StateError
        As :func:`step_plan`.
    """
    plan = step_plan(model)
    last = model._score_layer()
    if getattr(last, "activation", None) in (None, "linear") or not plan.ops:
        return plan
    *ops, planned = plan.ops
    if isinstance(planned.op, SoftmaxOp | ActivationOp):
        outputs = [plan.outputs[0]._replace(vector=planned.sources[0])]
        return replace(plan, ops=ops, outputs=outputs)
    if isinstance(planned.op, DenseOp):
        linear = replace(planned, op=replace(planned.op, activation=LINEAR))
        return replace(plan, ops=[*ops, linear])
    return plan


@dataclass(slots=True)
class _Arrow:
    """An array between layers: the number of its vector, or what it is instead of one."""

    vector: int | None
    shape: Any
    instead: str = ""


@dataclass(slots=True)
class _Planner:
    """Makes the plan of one model."""

    model: Any
    vectors: list[Vector] = field(default_factory=list)
    ops: list[PlannedOp] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    plan: StepPlan = field(init=False)

    def __post_init__(self) -> None:
        model = self.model
        for layer in model._stepped_layers():
            reason = _refusal_of(layer, False)
            if reason is not None:
                self._refuse(layer, reason)
        inputs, arrows = [], []
        for k, name in enumerate(model._input_names):
            inputs.append(self._input(k, name))
            arrows.append(_Arrow(inputs[-1].vector, self._shapes_of_inputs()[k]))
        if all(self.vectors[each.vector].role == "constant" for each in inputs):
            raise ConfigError(
                f"model {model.name!r} reads no steps: its input is {model.input_shape}; expected"
                " (batch, steps, features), or (batch, steps) of whole numbers"
            )
        found = self._network(model, arrows, "")
        outputs = [
            PlannedOutput(name, self._vector_of(arrow, f"output {name!r}"))
            for name, arrow in zip(model._output_names, found)
        ]
        form = getattr(model, "_outputs_are", "one")
        self.plan = StepPlan(model.name, model.dtype, inputs, outputs, self.vectors, self.ops, form)
        self._refuse_masks()

    def _refuse_masks(self) -> None:
        """Refuse masked steps where a stream would have to know more than the step."""
        timed = [each for each in self.plan.inputs if self.vectors[each.vector].role == "step"]
        if all(each.mask is None for each in timed):
            return
        if len(timed) > 1:
            raise ConfigError(
                f"model {self.model.name!r} cannot run as a stream: it masks steps of one of"
                f" {len(timed)} sequences"
            )
        for layer in self.model._stepped_layers():
            last = getattr(layer, "_layers", [layer])[-1]
            of_state = getattr(last, "_of_state", None) is not None
            if layer._holds_outputs and (of_state or last.learned_initial_state):
                self._refuse(
                    layer,
                    "at masked steps it repeats outputs that are not its state:"
                    " zero_output_for_mask=False",
                )
        for output in self.plan.outputs:
            if self.vectors[output.vector].masked == "unknown":
                raise ConfigError(
                    f"model {self.model.name!r} cannot run as a stream: a layer with"
                    " zero_output_for_mask=False repeats outputs at masked steps, which are merged"
                    f" with others for output {output.name!r}"
                )

    def _shapes_of_inputs(self) -> list[Any]:
        shapes = self.model.input_shape
        return shapes if isinstance(shapes, list) else [shapes]

    def _input(self, k: int, name: str) -> PlannedInput:
        shape, ports = self._shapes_of_inputs()[k], self.model._ports(k)
        whole = [port for port in ports if port._first_only and port._rank == 2]
        if whole:
            sizes = [port.input_dim for port in whole]
            vector = self._new(Vector(1, "step", steps=shape[1]))
            masks = {0.0 if port.mask_zero else None for port in whole}
            return PlannedInput(name, vector, min(sizes), self._one_mask(masks, name))
        masks = {getattr(port, "mask_value", None) for port in ports}
        if len(shape) == 3:
            vector = self._new(Vector(shape[2], "step", steps=shape[1]))
            return PlannedInput(name, vector, None, self._one_mask(masks, name))
        if len(shape) == 2:
            return PlannedInput(name, self._new(Vector(shape[1], "constant")), None, None)
        raise ConfigError(
            f"model {self.model.name!r} cannot run as a stream: input {name!r} has shape {shape};"
            " expected (batch, steps, features), (batch, steps) of whole numbers, or (batch,"
            " features) for what does not change"
        )

    def _one_mask(self, masks: set[float | None], name: str) -> float | None:
        if len(masks) > 1:
            raise ConfigError(
                f"model {self.model.name!r} cannot run as a stream: layers that read input"
                f" {name!r} mask different steps"
            )
        return masks.pop() if masks else None

    def _new(self, vector: Vector) -> int:
        self.vectors.append(vector)
        return len(self.vectors) - 1

    def _vector_of(self, arrow: _Arrow, reader: str) -> int:
        if arrow.vector is None:
            raise ConfigError(
                f"model {self.model.name!r} cannot run as a stream: {reader} is made of"
                f" {arrow.instead}; read that as stream.state"
            )
        return arrow.vector

    # ---- networks

    def _network(
        self, network: Any, inputs: list[_Arrow], path: str, inside: bool = False
    ) -> list[_Arrow]:
        """Plan all calls of a network; `inside`: each step is a row of its own."""
        graph = getattr(network, "_graph", None)
        if graph is None:
            arrow = inputs[0]
            for layer in network._layers:
                arrow = self._call(layer, [arrow], False, [layer.output_shape], path, inside)[0]
            return [arrow]
        arrows: dict[int, _Arrow] = dict(enumerate(inputs))
        for call in graph.calls:
            made = self._call(
                call.layer,
                [arrows[number] for number in call.sources],
                call.node.listed,
                [graph.shapes[number] for number in call.outputs],
                path,
                inside,
            )
            arrows.update(zip(call.outputs, made))
        return [arrows[number] for number in graph.results]

    def _call(
        self,
        layer: Any,
        sources: list[_Arrow],
        listed: bool,
        shapes: Sequence[Any],
        path: str,
        inside: bool,
    ) -> list[_Arrow]:
        """Plan one call of a layer, and return what it makes."""
        if getattr(layer, "_inner", None) is not None:
            return self._network(layer._inner, sources, f"{path}{layer.name}/", inside)
        reason = _refusal_of(layer, inside)
        if reason is not None:
            self._refuse(layer, reason)
        part: Any = getattr(layer, "layer", None)
        if getattr(part, "_inner", None) is not None:  # TimeDistributed of a model
            return self._network(part._inner, sources, f"{path}{layer.name}/", True)
        numbers = [self._vector_of(arrow, layer._title()) for arrow in sources]
        if layer._has_state and len(numbers) > 1:
            self._refuse(layer, "its initial state comes with the inputs")
        vector = self._merged(layer, numbers)
        ends = not inside and vector.role == "step" and len(shapes[0]) < 3
        ops = layer._step_ops()
        if ends and not ops:  # the last step of a sequence
            ops = [_identity(layer.name, vector.width)]
        name = self._unique(f"{path}{layer.name}")
        for op in ops:
            named = _copied(replace(op, name=name + op.name.removeprefix(layer.name)))
            vector = _after(named, vector)
            if ends:
                vector = replace(vector, role="answer")
            elif not inside and len(shapes[0]) > 2:
                vector = replace(vector, steps=shapes[0][1], masked=_masked(layer, vector.masked))
            self.ops.append(PlannedOp(named, tuple(numbers), self._new(vector)))
            numbers = [self.ops[-1].result]
        states = [
            _Arrow(None, shape, f"the final state of {layer._title()}") for shape in shapes[1:]
        ]
        return [_Arrow(numbers[0], shapes[0]), *states]

    def _merged(self, layer: Any, numbers: Sequence[int]) -> Vector:
        """Return what the vectors that a layer reads have in common."""
        vectors = [self.vectors[number] for number in numbers]
        timed = [vector for vector in vectors if vector.role != "constant"]
        if not timed:
            return vectors[0]
        roles = {vector.role for vector in timed}
        if len(roles) > 1:
            self._refuse(layer, "it joins each step with what is known at the last step only")
        if len({(vector.first, vector.every) for vector in timed}) > 1:
            self._refuse(layer, "the sequences that it joins have different numbers of steps")
        steps = {vector.steps for vector in timed}
        if roles == {"step"} and 1 in steps and len(steps) > 1:
            self._refuse(layer, "it repeats the only step of a sequence")
        if len(timed) > 1 and any(vector.masked != "zero" for vector in timed):
            return replace(timed[0], masked="unknown")
        return timed[0]

    def _unique(self, name: str) -> str:
        """Return the name of a call: a layer that is called again has a number, too."""
        count = self.names[name] = self.names.get(name, 0) + 1
        return name if count == 1 else f"{name}:{count}"

    def _refuse(self, layer: Any, reason: str) -> NoReturn:
        raise ConfigError(
            f"model {self.model.name!r} cannot run as a stream: layer {layer.name!r}"
            f" ({type(layer).__name__}): {reason}"
        )


def _refusal_of(layer: Any, inside: bool) -> str | None:
    """Why a stream cannot run a layer, or None; `inside`: each step is a row of its own."""
    for cls in type(layer).__mro__:
        if _is_ours(cls.__module__) or "_step_ops" in vars(cls):
            break
        if "run" in vars(cls):
            return "it is user-defined and does not say what it computes at one step (_step_ops)"
    if inside and layer.reads_steps:
        return "each step of the model is a sequence for it"
    return layer._cannot_stream


def _masked(layer: Any, before: str) -> str:
    """Return what a layer gives at masked steps, if it is given this."""
    if layer._holds_outputs:
        return "last"
    return "zero" if layer.reads_steps and not layer._first_only else before


def _after(op: StepOp, vector: Vector) -> Vector:
    """Return the vector that an operation writes, for the one that it reads."""
    first, every, role = vector.first, vector.every, vector.role
    if isinstance(op, WindowOp):
        first += 0 if op.padded else (op.window - 1) * op.dilation * every
        every *= op.strides
    elif isinstance(op, RunningOp):
        role = "answer"
    return replace(vector, width=op.width, role=role, first=first, every=every)


def _identity(name: str, width: int) -> SelectOp:
    return SelectOp(name=name, inputs=width, width=width, columns=np.arange(width, dtype=np.intp))


def _copied(op: Any) -> Any:
    """Return an operation with copies of its arrays."""
    return replace(op, **{each.name: _copy(getattr(op, each.name)) for each in fields(op)})


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.array(value, order="C")
    if isinstance(value, tuple):
        return tuple(map(_copy, value))
    return {name: _copy(part) for name, part in value.items()} if isinstance(value, dict) else value
