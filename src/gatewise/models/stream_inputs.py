"""What users give to a stream and what they get: arrays of a step or of a block, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels.program import Program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray

    from .step_plan import PlannedInput, Vector


class StreamInputs(Guarded, Program):
    """The part of a stream that reads arguments; it looks at the plan, never at the state."""

    _prepared: Any

    # ---- what the plan says

    @property
    def _plan_inputs(self) -> list[Vector]:
        plan = self._prepared.plan
        return [plan.vectors[entry.vector] for entry in plan.inputs]

    @property
    def _plan_outputs(self) -> list[Vector]:
        plan = self._prepared.plan
        return [plan.vectors[entry.vector] for entry in plan.outputs]

    @property
    def _output_widths(self) -> list[int]:
        return [vector.width for vector in self._plan_outputs]

    @property
    def _is_even(self) -> bool:
        """Whether each vector is written at each step."""
        vectors = self._prepared.plan.vectors
        return all(vector.first == 0 and vector.every == 1 for vector in vectors)

    def _refuse_uneven(self, what: str) -> None:
        if not self._is_even and self._steps:
            raise ConfigError(
                f"{what}: windows with strides or 'valid' padding give their outputs for all rows"
                " at the same steps, so that rows begin together; call reset() first, or make"
                " another stream"
            )

    def _refuse_masks_of_rows(self) -> None:
        plan = self._prepared.plan
        if self.rows > 1 and not self._is_even and any(e.mask is not None for e in plan.inputs):
            raise ConfigError(
                f"model {plan.model!r} masks steps and has windows with strides or 'valid'"
                " padding, so that rows would give their outputs at different steps; make a stream"
                " of one row for each sequence"
            )

    # ---- inputs

    def _read(self, x: Any, steps: bool) -> tuple[list[Array], bool]:
        """Return an array for each input, (rows, [steps,] ...), and whether there is no such axis.

        `steps`: the arrays hold several steps.
        """
        plan = self._prepared.plan
        parts = _parts_of(x, [entry.name for entry in plan.inputs], "x", plan.model)
        found, forms = [], []
        for entry, part in zip(plan.inputs, parts):
            name = "x" if len(parts) == 1 else f"input {entry.name!r}"
            vector = plan.vectors[entry.vector]
            array, single = self._read_one(part, name, entry, vector, steps)
            found.append(array)
            forms.append(single)
        return found, all(forms)

    def _read_one(
        self, x: Any, name: str, entry: PlannedInput, vector: Vector, steps: bool
    ) -> tuple[Array, bool]:
        axes = 1 if steps and vector.role != "constant" else 0
        expects = ""
        if entry.size is not None:
            expects = f"model {self._prepared.plan.model!r} expects 0 to {entry.size - 1}"
            array = checks.whole_array(x, name, expects).astype(np.intp)
            shape: tuple[int, ...] = ()
        else:
            array = given = checks.float_array(x, name, self._prepared.plan.dtype, convert=True)
            shape = (vector.width,)
            if vector.width == 1 and array.ndim in (axes, axes + 1) and array.shape[-1:] != (1,):
                array = array[..., None]
        single = array.ndim == axes + len(shape)
        array = array[None] if single else array
        fits = array.shape == (self.rows, *array.shape[1 : 1 + axes], *shape)
        if not (fits and array.ndim == 1 + axes + len(shape)):
            self._refuse_shape(x, name, shape, axes)
        if entry.size is None:
            checks.finite(given, name)  # which names an index of what was given
            return np.ascontiguousarray(array), single
        if array.size and not (array.min() >= 0 and array.max() < entry.size):
            wrong = array[(array < 0) | (array >= entry.size)][0]
            raise ShapeError(f"{name} holds {wrong}; {expects}")
        return np.ascontiguousarray(array), single

    def _refuse_shape(self, x: Any, name: str, shape: tuple[int, ...], axes: int) -> NoReturn:
        block = ("steps",) * axes
        expected = [shape_of_batch((self.rows, *block, *shape))]
        if self.rows == 1:
            expected.insert(0, shape_of_batch((*block, *shape)))
        raise ShapeError(
            f"{name} has shape {np.shape(x)}; the stream of model {self._prepared.plan.model!r}"
            f" expects {' or '.join(expected)}"
        )

    def _steps_of(self, inputs: Sequence[Array]) -> int:
        """Return the number of steps of a block, which all inputs with steps have."""
        planned = zip(inputs, self._plan_inputs)
        counts = [array.shape[1] for array, vector in planned if vector.role != "constant"]
        if len(set(counts)) > 1:
            raise ShapeError(
                f"the inputs have {', '.join(map(str, counts))} steps; expected as many in each"
            )
        return counts[0]

    def _active(self, inputs: Sequence[Array]) -> Array | None:
        """Return which steps are not masked, uint8 (steps, rows), or None for all."""
        for entry, array in zip(self._prepared.plan.inputs, inputs):
            if entry.mask is None:
                continue
            if entry.size is None:
                counted = (array != array.dtype.type(entry.mask)).any(axis=-1)
            else:
                counted = array != entry.mask
            counted = counted.reshape(self.rows, -1)
            return None if counted.all() else np.ascontiguousarray(counted.T, np.uint8)
        return None

    # ---- outputs

    def _count_due(self, steps: int, active: Array | None) -> list[int]:
        """Return for each output how many are due in the next steps."""
        counted = steps
        if active is not None and self.rows == 1:
            counted = int(active.sum())
        found = []
        for vector in self._plan_outputs:
            if vector.role != "step":
                # before the first answer there is none; afterwards each step has one
                found.append(self._answers_due(vector.first, steps, active))
            elif vector.first == 0 and vector.every == 1:
                found.append(steps)
            else:
                begin, end = self._steps - vector.first, self._steps + counted - vector.first
                found.append(_multiples(end, vector.every) - _multiples(begin, vector.every))
        return found

    def _answers_due(self, first: int, steps: int, active: Array | None) -> int:
        if first == 0:  # there is an answer even if all steps were masked
            return steps
        if active is not None and self.rows == 1:
            after = self._steps + np.cumsum(active[:, 0], dtype=np.int64)
            return int((after > first).sum())
        return steps - min(steps, max(0, first - self._steps))

    def _targets(self, out: Any, single: bool) -> list[Any]:
        """Return the arrays to write to, checked; None for each that was not given."""
        plan = self._prepared.plan
        if out is None:
            return [None] * len(plan.outputs)
        names = [entry.name for entry in plan.outputs]
        parts = _parts_of(out, names, "out", plan.model)
        for name, width, part in zip(names, self._output_widths, parts):
            what = "out" if len(parts) == 1 else f"out of {name!r}"
            shape = (width,) if single else (self.rows, width)
            if not isinstance(part, np.ndarray) or part.dtype != plan.dtype:
                given = part.dtype if isinstance(part, np.ndarray) else type(part).__name__
                raise DTypeError(f"{what} is {given}; expected an ndarray of {plan.dtype}")
            if part.shape != shape or not part.flags.c_contiguous:
                raise ShapeError(
                    f"{what} has shape {part.shape}"
                    f"{'' if part.flags.c_contiguous else ', not C-contiguous'}; expected"
                    f" {shape}, C-contiguous"
                )
            if not part.flags.writeable:
                raise DTypeError(f"{what} is read-only; give an array that can be written to")
        return parts

    def _as_given(self, outputs: Sequence[Any], out: Any = None) -> Any:
        """Return outputs as the model returns them: the only one, a list, or a dict by name.

        `out` itself if it has this form and all outputs are due.
        """
        plan = self._prepared.plan
        form = {"dict": dict, "list": list}.get(plan.form)
        if form is not None and type(out) is form and all(y is not None for y in outputs):
            return out
        if plan.form == "dict":
            return dict(zip([entry.name for entry in plan.outputs], outputs))
        return outputs[0] if plan.form == "one" else list(outputs)

    # ---- rows

    def _row_numbers(self, rows: Any, what: str) -> IntArray:
        """Return numbers of rows as an array."""
        given = np.atleast_1d(np.asarray(rows))
        if given.size == 0:
            return np.empty(0, np.intp)
        if given.ndim != 1 or given.dtype.kind not in "iu":
            raise DTypeError(
                f"{what}: rows is {rows!r:.80}; expected a number from 0 to {self.rows - 1}, or a"
                " list of such numbers"
            )
        if not (given.min() >= 0 and given.max() < self.rows):
            wrong = given[(given < 0) | (given >= self.rows)][0]
            raise ShapeError(f"{what}: there is no row {wrong}; the stream has {self.rows}")
        return given.astype(np.intp)


def _multiples(end: int, every: int) -> int:
    """Return how many of 0, every, 2 * every ... are below `end`."""
    return max(0, -(-end // every))


def _parts_of(given: Any, names: list[str], what: str, model: str) -> list[Any]:
    """Return the arrays for several inputs or outputs, by position or by name."""
    if isinstance(given, dict):
        if set(given) != set(names):
            raise ConfigError(
                f"{what} has {', '.join(map(str, given)) or 'no arrays'}; model {model!r} has"
                f" {', '.join(names)}"
            )
        return [given[name] for name in names]
    if len(names) == 1:
        return [given]
    if not isinstance(given, list | tuple) or len(given) != len(names):
        count = len(given) if isinstance(given, list | tuple) else type(given).__name__
        raise ShapeError(
            f"{what} is {count}; model {model!r} expects a list of {len(names)} arrays, for"
            f" {', '.join(names)}"
        )
    return list(given)


def shape_of_batch(shape: Sequence[Any]) -> str:
    """Return a shape for messages."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
