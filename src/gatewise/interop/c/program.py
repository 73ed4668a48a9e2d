"""The program of a model: the sheets of its operations, and the calls of a step."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.layers.step_ops import RecurrentOp

from . import operations
from .identifiers import Names, identifier, prefix_of
from .sheet import Member, Sheet

if TYPE_CHECKING:
    from gatewise.layers.step_ops import StepOp

    from .sheet import Weights


@dataclass(frozen=True)
class Parameter:
    """An input or output of the step function.

    Parameters
    ----------
    name : str
        Its name in C.
    vector : int
        Number of its vector in the plan.
    width : int
        How many numbers it has.
    size : int or None
        An input that is one whole number, from 0 to ``size - 1``.
    mask : float or None
        An input all of whose numbers are this one makes the step a masked one.
    """

    name: str
    vector: int
    width: int
    size: int | None = None
    mask: float | None = None


class Program:
    """What the files of a model are printed from.

    Parameters
    ----------
    plan : StepPlan
        Of :func:`gatewise.models.step_plan.step_plan`.
    weights : {"float32", "int8"}
        How matrices are stored.
    """

    def __init__(self, plan: Any, weights: Weights) -> None:
        self.plan: Any = plan
        self.weights: Weights = weights
        self.prefix: str = prefix_of(plan.model)
        self.inputs: list[Parameter] = [
            Parameter(name, each.vector, plan.vectors[each.vector].width, each.size, each.mask)
            for each, name in zip(plan.inputs, _named(plan.inputs, "x"))
        ]
        self.outputs: list[Parameter] = [
            Parameter(name, each.vector, plan.vectors[each.vector].width)
            for each, name in zip(plan.outputs, _named(plan.outputs, "y"))
        ]
        self._readers = Counter(source for each in plan.ops for source in each.sources)
        self.sheets: list[Sheet] = self._sheets()
        self.vectors: list[Member] = []  # memory of vectors that are neither state nor parameters
        self._places = self._find_places()
        self.work: int = max((sheet.work for sheet in self.sheets), default=0)

    def _sheets(self) -> list[Sheet]:
        names = Names(["work"])  # a member of the state
        sheets: list[Sheet] = []
        seen: set[str] = set()
        shared: dict[str, dict[tuple[str, bytes], str]] = {}
        for planned in self.plan.ops:
            op = planned.op
            kind = type(op).__name__.removesuffix("Op").lower()
            name = identifier(op.name, "layer")
            name = f"{name}_{kind}" if name in seen else name
            seen.add(name)
            # A layer that is called again has ":" and a number after its name.
            arrays = shared.setdefault(re.sub(r":\d+$", "", op.name) + kind, {})
            sheet = Sheet(names.new(name), self.weights, names, arrays)
            operations.write(op, sheet)
            sheets.append(sheet)
        return sheets

    # ---- where vectors are

    def _find_places(self) -> dict[int, str]:
        """The expression of each vector, by number."""
        places = {each.vector: each.name for each in self.inputs}
        last = {each.vector: each.name for each in reversed(self.outputs)}
        names = Names(member.name for sheet in self.sheets for member in sheet.members)
        names.new("work")
        # From the end, as a vector may be where the one that is made of it is.
        for planned, sheet in reversed([*zip(self.plan.ops, self.sheets)]):
            number = planned.result
            if sheet.output:
                places[number] = f"s->{sheet.output}"
            elif number in last:
                places[number] = last[number]
            else:
                after = self._only_reader(number)
                if after is not None and isinstance(after.op, operations.IN_PLACE):
                    places[number] = places[after.result]
                else:
                    name = names.new(f"{sheet.name}_y")
                    member = Member(name, "float", planned.op.width, f"output of {sheet.name}")
                    self.vectors.insert(0, member)
                    places[number] = f"s->{name}"
        return places

    def _only_reader(self, number: int) -> Any:
        if self._readers[number] != 1:
            return None
        return next(each for each in self.plan.ops if number in each.sources)

    # ---- the step

    def calls(self) -> list[str]:
        """The statements of a step, the value that it returns included."""
        conditions: dict[int, tuple[str, ...]] = {each.vector: () for each in self.inputs}
        names = Names(each.name for each in (*self.inputs, *self.outputs))
        lines: list[str] = []
        planned = self.plan.ops
        for k, (each, sheet) in enumerate(zip(planned, self.sheets)):
            above = max((conditions[source] for source in each.sources), key=len)
            call = self._call(each, sheet)
            if not sheet.due:
                conditions[each.result] = above
                lines.append(f"if ({above[-1]}) {call};" if above else f"{call};")
            elif self._all_follow(k):
                conditions[each.result] = above
                lines.append(f"if (!{call}) return 0;")
            else:
                due = names.new(f"{sheet.name}_due")
                conditions[each.result] = (*above, due)
                test = f"{above[-1]} && {call}" if above else call
                lines.append(f"const int {due} = {test};")
        return [*lines, *self._end(conditions)]

    def _call(self, planned: Any, sheet: Sheet) -> str:
        sources = [self._places[number] for number in planned.sources]
        arguments = ["s"] if sheet.members or sheet.work else []
        arguments += sources
        if not sheet.output:
            arguments.append(self._places[planned.result])
        return f"run_{sheet.name}({', '.join(arguments)})"

    def _all_follow(self, k: int) -> bool:
        """Whether everything after operation k, and each output, is made of its result."""
        made = {self.plan.ops[k].result}
        for each in self.plan.ops[k + 1 :]:
            if made.isdisjoint(each.sources):
                return False
            made.add(each.result)
        return all(each.vector in made for each in self.outputs)

    def _end(self, conditions: dict[int, tuple[str, ...]]) -> list[str]:
        lines, flags = [], []
        for k, output in enumerate(self.outputs):
            place, above = self._places[output.vector], conditions[output.vector]
            if place != output.name:
                copied = f"copy({place}, {output.width}, {output.name});"
                lines.append(f"if ({above[-1]}) {copied}" if above else copied)
            flag = above[-1] if above else "1"
            flags.append(flag if k == 0 else f"{flag} << {k}")
        if len(flags) > 1 and all(flag[0] == "1" for flag in flags):
            flags = [str(2 ** len(flags) - 1)]
        return [*lines, f"return {' | '.join(flags)};"]

    @property
    def helpers(self) -> set[str]:
        """Names of the C functions that the program needs."""
        found = {name for sheet in self.sheets for name in sheet.helpers}
        if any(self._places[each.vector] != each.name for each in self.outputs):
            found.add("copy")
        return found | ({"put_words", "get_words"} if self.members else set())

    # ---- state

    @property
    def members(self) -> list[Member]:
        """The state between steps."""
        return [member for sheet in self.sheets for member in sheet.members]

    @property
    def state_bytes(self) -> int:
        """Size of the state's struct."""
        words = sum(member.words for member in (*self.members, *self.vectors)) + self.work
        return 4 * max(words, 1)

    @property
    def saved_bytes(self) -> int:
        """Size of a saved state."""
        return 8 + 4 * sum(member.words for member in self.members)

    @property
    def constant_bytes(self) -> int:
        """Size of the weights."""
        return sum(constant.values.nbytes for sheet in self.sheets for constant in sheet.constants)

    @property
    def stamp(self) -> int:
        """A number of 64 bits that depends on the architecture, and not on the weights."""
        text = "\n".join(_description(each.op) + str(each.sources) for each in self.plan.ops)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _named(ports: list[Any], letter: str) -> list[str]:
    if len(ports) == 1:
        return [letter]
    names = Names()
    return [names.new(f"{letter}_{identifier(port.name, 'array')}") for port in ports]


def _description(op: StepOp) -> str:
    """The kind, the sizes and the options of an operation."""
    found = [type(op).__name__]
    for each in fields(op):
        value: Any = getattr(op, each.name)
        if each.name == "name" or (isinstance(op, RecurrentOp) and each.name == "initial"):
            continue
        if each.name == "kernel" and isinstance(op, RecurrentOp):
            value = (value.family, value.units, getattr(value, "options", None) or value.act)
        found.append(f"{each.name}={_shape_of(value)}")
    return " ".join(found)


def _shape_of(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, dict):
        return {name: _shape_of(part) for name, part in sorted(value.items())}
    return value
