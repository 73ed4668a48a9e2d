"""Streams: sequences that continue through a model step by step, in microseconds."""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, DTypeError, ShapeError, StateError
from gatewise.transaction import Transaction

from .step_plan import step_plan
from .stream_inputs import StreamInputs
from .stream_weights import packs_of, storage_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewise._typing import Array, ArrayLike, IntArray
    from gatewise.kernels.narrow import NarrowSums

    from .step_plan import StepPlan


@dataclass(slots=True, weakref_slot=True, eq=False)
class Prepared:
    """A plan and its packed weights, which all streams of a model share until they change."""

    plan: StepPlan
    weights: str
    packs: list[Array | NarrowSums | None]


class Stream(StreamInputs):
    """Sequences that continue through a model step by step; ``model.stream()`` makes it.

    Step t gives what ``predict`` gives at step t of the whole sequence, to the bit; if the model's
    output has no time axis, what ``predict`` gives for the steps so far. The weights are those of
    the moment when the stream was made; :meth:`refresh` takes later ones.

    One thread at a time may use a stream. Any number of streams of one model may run in different
    threads; they share the weights.

    Parameters
    ----------
    model : Sequential or Model
        A built model, each layer of which computes a step from this step and earlier ones.
    batch : int, default 1
        Number of sequences that take their steps together, from 1.
    weights : {"float32", "bfloat16", "int8", "float64"}, optional
        Type in which the weights of products are stored. None: that of the model. bfloat16 and int8
        make steps of wide layers faster, and their outputs less exact; docs/streaming.md has
        figures. x, states and sums stay float32 (int8: 16 bits of x and h are multiplied).
    matmul_precision : None
        There is no other choice.

    Attributes
    ----------
    rows : int
        Number of sequences.

    Raises
    ------
    ConfigError
        A layer needs later steps or the whole sequence, or its step is not computed by a kernel;
        the message names it. Or an argument has a wrong value.
    StateError
        The model is not built.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import Sequential, layers
    >>> model = Sequential([layers.Input((None, 2)), layers.LSTM(4), layers.Dense(1)], seed=0)
    >>> x = np.ones((5, 2), "float32")
    >>> stream = model.stream()
    >>> for step in x:
    ...     y = stream.step(step)
    >>> bool(np.array_equal(y, model.predict(x[None])[0]))
    True
    """

    _prepared: Prepared

    def __init__(
        self,
        model: Any,
        batch: int = 1,
        weights: str | None = None,
        matmul_precision: str | None = None,
    ) -> None:
        rows = checks.whole_number(batch, "batch")
        if matmul_precision is not None:
            raise ConfigError(f"matmul_precision is {matmul_precision!r}; expected None")
        prepared = _prepared_for(model, weights)
        self._model: Any = model
        self._begin(prepared, rows)

    def _begin(self, prepared: Prepared, rows: int) -> None:
        threads.renew_after_fork(self)
        self._prepared = prepared
        self._prepare(prepared, rows)
        self._refuse_masks_of_rows()

    def _prepare(self, prepared: Prepared, rows: int) -> None:
        """Load the operations; all rows begin."""
        size = rows * sum(planned.op.width * 3 for planned in prepared.plan.ops)
        checks.fits_memory(size, prepared.plan.dtype, "the state of a stream of model", self._name)
        self._load(prepared.plan, prepared.packs, rows)

    @property
    def _name(self) -> str:
        return self._prepared.plan.model

    def _at_fork_reinit(self) -> None:
        """In a forked child: no other thread exists."""
        self._leave()

    def _two_threads(self) -> str:
        return (
            f"two threads use one stream of model {self._name!r} at once, so that their sequences"
            " would go through one state; give each thread a stream of its own (model.stream() or"
            " copy.copy(stream)), or let one wait for the other with a lock"
        )

    def _description(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"<Stream of model {self._name!r}, {rows}, {self._prepared.weights}>"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads out."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    # ---- steps

    def _step_other(self, x: Any, out: Any) -> Any:
        """A step whose arguments need conversion, or are refused."""
        with self._alone():
            inputs, single = self._read(x, steps=False)
            targets = self._targets(out, single)
            active = self._active(inputs)
            due = self._count_due(1, active)
            arrays = [
                np.empty((self.rows, count, width), self.dtype)
                for count, width in zip(due, self._output_widths)
            ]
            self._run_block(_with_steps(inputs, self._plan_inputs), 1, arrays, active)
        found: list[Array | None] = []
        for array, target, count in zip(arrays, targets, due):
            y = array[0, 0] if single and count else array[:, 0] if count else None
            if y is not None and target is not None:
                target[...] = y
                y = target
            found.append(y if y is None or target is not None else y.copy())
        return self._as_given(found, out)

    def process(self, block: Any) -> Any:
        """Compute several steps of each sequence.

        Parameters
        ----------
        block : array_like
            The steps as the model reads them: (steps, features) or (rows, steps, features); whole
            numbers (steps,) or (rows, steps). Any number of steps, from 0. A list or dict of arrays
            if the model has several inputs.

        Returns
        -------
        ndarray
            What :meth:`step` gives at each step, (steps, outputs) or (rows, steps, outputs);
            without the steps at which no output is due. A list or dict if the model has several
            outputs.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            The block does not fit; the state is as it was.
        SizeError
            The outputs do not fit into memory.
        StateError
            Another thread uses the stream.

        Examples
        --------
        >>> import numpy as np
        >>> from gatewise import Sequential, layers
        >>> model = Sequential([layers.Input((None, 2)), layers.GRU(4, return_sequences=True)])
        >>> stream = model.stream()
        >>> stream.process(np.ones((3, 2))).shape, stream.process(np.ones((64, 2))).shape
        ((3, 4), (64, 4))
        """
        with self._alone():
            inputs, single = self._read(block, steps=True)
            steps = self._steps_of(inputs)
            active = self._active(inputs)
            arrays = []
            for count, width in zip(self._count_due(steps, active), self._output_widths):
                checks.fits_memory(
                    self.rows * count * width,
                    self.dtype.name,
                    "the output of a stream of model",
                    self._name,
                )
                arrays.append(np.empty((self.rows, count, width), self.dtype))
            self._run_block(inputs, steps, arrays, active)
        return self._as_given([array[0] if single else array for array in arrays])

    # ---- state

    def reset(self, rows: int | Sequence[int] | IntArray | None = None) -> None:
        """Let sequences begin again.

        Parameters
        ----------
        rows : int, or sequence of int, optional
            Numbers of the sequences. None: all.

        Raises
        ------
        ShapeError
            There is no such row.
        ConfigError
            Only some rows are given, and windows with strides or "valid" padding give their outputs
            for all rows at the same steps.
        StateError
            Another thread uses the stream.
        """
        with self._alone():
            numbers = None if rows is None else self._row_numbers(rows, "reset")
            if numbers is not None and len(np.unique(numbers)) == self.rows:
                numbers = None
            if numbers is not None:
                self._refuse_uneven("reset(rows)")
            self._reset_rows(numbers)

    @property
    def state(self) -> dict[str, Array]:
        """What the sequences remember, dict of ndarray (rows, ...), by "layer/array".

        These are copies. They can be pickled, and set in another stream of the same model, in
        another process, too. Recurrent layers have "h", and "c" if there is one; windows
        "window", their last steps, the oldest first; pooling over all steps "maximum" or "sum", and
        "steps", their number.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            What is set is not the state of such a stream; the state is as it was.
        StateError
            Another thread uses the stream.
        """
        with self._alone():
            return self._whole_state()

    @state.setter
    def state(self, value: Mapping[str, ArrayLike]) -> None:
        with self._alone():
            known = self._whole_state()
            arrays = self._checked_state(value, known)
            steps = arrays.pop("steps", None)
            self._write_state(arrays, 0 if steps is None else int(steps))

    def _whole_state(self) -> dict[str, Array]:
        state = self._read_state()
        return state if self._is_even else state | {"steps": np.array(self._steps, np.int64)}

    def _checked_state(self, value: Any, known: dict[str, Array]) -> dict[str, Array]:
        if not hasattr(value, "keys"):
            raise DTypeError(
                f"state is {type(value).__name__}; expected a dict of arrays, as state returns it"
            )
        if set(value) != set(known):
            raise ShapeError(
                f"state has {', '.join(map(str, value)) or 'no arrays'}; the stream of model"
                f" {self._name!r} has {', '.join(known) or 'none'}"
            )
        found = {}
        for name, array in known.items():
            what = f"state {name!r}"
            if array.dtype.kind == "i":
                given = checks.whole_array(value[name], what, "expected numbers of steps")
                if (given < 0).any():
                    raise ShapeError(f"{what} holds {given.min()}; expected 0 or more")
            else:
                given = checks.float_array(value[name], what, array.dtype.name, convert=True)
                checks.finite(given, what)
            if given.shape != array.shape:
                raise ShapeError(f"{what} has shape {given.shape}; expected {array.shape}")
            found[name] = given
        return found

    # ---- sequences that come and go

    def add(self, n: int = 1) -> range:
        """Begin more sequences, behind the others.

        Parameters
        ----------
        n : int, default 1
            How many, from 1.

        Returns
        -------
        range
            Numbers of the new rows.

        Raises
        ------
        ConfigError
            Windows with strides or "valid" padding give their outputs for all rows at the same
            steps, and some have taken steps.
        StateError
            Another thread uses the stream.
        """
        n = checks.whole_number(n, "n")
        with self._alone():
            rows = self.rows
            self._refuse_uneven("add")
            self._take(list(range(rows)), n)
        return range(rows, rows + n)

    def drop(self, rows: int | Sequence[int] | IntArray) -> None:
        """End sequences; those behind them move forward, so that rows are numbered from 0 again.

        Parameters
        ----------
        rows : int, or sequence of int
            Numbers of the sequences. At least one other remains.

        Raises
        ------
        ShapeError
            There is no such row, or none would remain.
        StateError
            Another thread uses the stream.
        """
        with self._alone():
            gone = set(self._row_numbers(rows, "drop").tolist())
            kept = [row for row in range(self.rows) if row not in gone]
            if not kept:
                raise ShapeError(
                    f"drop: none of {self.rows} rows would remain; reset the last one instead"
                )
            self._take(kept, 0)

    def _take(self, kept: list[int] | IntArray, new: int) -> None:
        """Continue with some rows, and begin new ones behind them."""
        prepared, rows, steps = self._prepared, self.rows, self._steps
        state = self._read_state()
        if len(kept) == rows and new == 0:
            self._write_state({name: array[kept] for name, array in state.items()}, steps)
            return
        with Transaction(lambda: self._reload(prepared, rows, state, steps)):
            self._prepare(prepared, len(kept) + new)
            self._refuse_masks_of_rows()
            begun = self._read_state()
            for name, array in begun.items():
                array[: len(kept)] = state[name][kept]
            self._write_state(begun, steps)

    def _reload(self, prepared: Prepared, rows: int, state: dict[str, Array], steps: int) -> None:
        self._load(prepared.plan, prepared.packs, rows)
        self._write_state(state, steps)

    # ---- weights

    def refresh(self, model: Any = None) -> None:
        """Take the present weights of the model; the sequences continue.

        Parameters
        ----------
        model : Sequential or Model, optional
            Another model with the same layers. None: the model that has made the stream.

        Raises
        ------
        ConfigError
            The model has other layers than the stream, or cannot be a stream; the stream is as it
            was.
        StateError
            Another thread uses the stream, or it comes from a pickle and no model is given.
        """
        model = self._model if model is None else model
        if model is None:
            raise StateError(
                "a stream from a pickle has no model to refresh from; give one: refresh(model)"
            )
        with self._alone():
            before, state, steps = self._prepared, self._read_state(), self._steps
            prepared = _prepared_for(model, before.weights)
            difference = _difference(before.plan, prepared.plan)
            if difference:
                raise ConfigError(
                    f"model {model.name!r} is not the one that the stream was made for:"
                    f" {difference}; make a new stream"
                )
            with Transaction(lambda: self._reload(before, self.rows, state, steps)):
                self._reload(prepared, self.rows, state, steps)
            self._prepared, self._model = prepared, model

    # ---- copies

    def __reduce__(self) -> Any:
        with self._alone():
            prepared = self._prepared
            state = self._read_state()
            return _restored, (prepared.plan, prepared.weights, self.rows, state, self._steps)

    def __copy__(self) -> Self:
        with self._alone():
            made = type(self).__new__(type(self))
            made._model = self._model
            made._begin(self._prepared, self.rows)
            made._write_state(self._read_state(), self._steps)
            return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = memo[id(self)] = self.__copy__()
        return made


def stream_of(model: Any, plan: StepPlan, rows: int) -> Stream:
    """Return a stream that runs a plan made of a model's; all rows begin."""
    return _made(model, Prepared(plan, plan.dtype, packs_of(plan, plan.dtype)), rows)


def _made(model: Any, prepared: Prepared, rows: int) -> Stream:
    made = Stream.__new__(Stream)
    made._model = model
    made._begin(prepared, checks.whole_number(rows, "batch"))
    return made


def _restored(
    plan: StepPlan, weights: str, rows: int, state: dict[str, Array], steps: int
) -> Stream:
    """Return a stream from a pickle."""
    made = _made(None, Prepared(plan, weights, packs_of(plan, weights)), rows)
    made._write_state(state, steps)
    return made


def _with_steps(inputs: list[Array], planned: Any) -> list[Array]:
    """Return the arrays of one step as blocks of one step."""
    return [
        array if entry.role == "constant" else np.ascontiguousarray(array[:, None])
        for array, entry in zip(inputs, planned)
    ]


# ---- prepared weights

# The last that were made for a model and a type, as long as a stream uses them.
_last: weakref.WeakKeyDictionary[Any, dict[str, weakref.ref[Prepared]]] = (
    weakref.WeakKeyDictionary()
)


def _prepared_for(model: Any, weights: str | None) -> Prepared:
    """Return the plan and packed weights of a model, those of an older stream if they are equal."""
    if not isinstance(model, MakesStreams):
        raise ConfigError(f"model is a {type(model).__name__}; expected a Sequential or a Model")
    plan = step_plan(model)
    kind = storage_of(plan, weights)
    made = _last.setdefault(model, {})
    known = made.get(kind)
    before = None if known is None else known()
    if before is not None and not _difference(before.plan, plan, values=True):
        return before
    prepared = Prepared(plan, kind, packs_of(plan, kind))
    made[kind] = weakref.ref(prepared)
    return prepared


def _difference(plan: StepPlan, other: StepPlan, values: bool = False) -> str:
    """Return in what two plans differ, or ""; of arrays the shapes, with `values` all."""
    if plan.dtype != other.dtype:
        return f"its dtype is {other.dtype}, not {plan.dtype}"
    kinds = [planned.op.operation for planned in plan.ops]
    others = [planned.op.operation for planned in other.ops]
    if kinds != others:
        return f"its operations are {', '.join(others)}, not {', '.join(kinds)}"
    if plan.inputs != other.inputs or plan.outputs != other.outputs:
        return "its inputs or outputs are others"
    for mine, theirs in zip(plan.ops, other.ops):
        if (mine.sources, mine.result) != (theirs.sources, theirs.result):
            return f"layer {theirs.op.name!r} reads another array"
        for each in fields(mine.op):
            if not _equal(getattr(mine.op, each.name), getattr(theirs.op, each.name), values):
                return f"layer {theirs.op.name!r} has another {each.name}"
    return ""


def _equal(a: Any, b: Any, values: bool) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and (not values or np.array_equal(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key], values) for key in a)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_equal, a, b, [values] * len(a)))
    if hasattr(a, "pack_forward") and type(a) is type(b):
        return _cell_of(a) == _cell_of(b)
    return type(a) is type(b) and a == b


def _cell_of(kernel: Any) -> tuple[Any, ...]:
    options = getattr(kernel, "options", None) or kernel.act
    return kernel.family, kernel.dtype, kernel.inputs, kernel.units, options


class MakesStreams:
    """The method of models that makes a stream."""

    def stream(
        self,
        batch: int = 1,
        weights: str | None = None,
        matmul_precision: str | None = None,
    ) -> Stream:
        """Return a stream: sequences that continue through the model step by step.

        A step takes microseconds. docs/streaming.md describes streams. What stateful layers keep is
        neither read nor changed: all sequences begin.

        Parameters
        ----------
        batch, weights, matmul_precision
            As in :class:`gatewise.models.Stream`.

        Returns
        -------
        Stream

        Raises
        ------
        ConfigError
            A layer needs later steps or the whole sequence, or its step is not computed by a
            kernel; the message names it. Or an argument has a wrong value.
        StateError
            The model is not built.

        Examples
        --------
        >>> import numpy as np
        >>> from gatewise import Sequential, layers
        >>> model = Sequential([layers.Input((None, 2)), layers.LSTM(4), layers.Dense(1)])
        >>> stream = model.stream()
        >>> y = np.empty(1, "float32")
        >>> stream.step(np.ones(2, "float32"), out=y) is y
        True
        """
        return Stream(self, batch, weights, matmul_precision)
