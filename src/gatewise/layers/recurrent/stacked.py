"""Cells on top of each other: StackedRNNCells, and the layer that runs them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gatewise import checks, threads
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError, DTypeError
from gatewise.layers.options import fixed
from gatewise.layers.registry import layer_config, layer_from_config
from gatewise.layers.tape import Batch
from gatewise.layers.wrappers import Container

from .base import Recurrent
from .state import HasState
from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Self

    from gatewise._typing import Array, Config
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape


class StackedRNNCells(Guarded):
    """Several cells as one: each reads the output of the one before, in the same step.

    ``RNN(StackedRNNCells(cells))`` and ``RNN(cells)`` are the same.

    Parameters
    ----------
    cells : list
        Cells for :class:`RNN`, the first one reads the input. A list inside is several cells.

    Attributes
    ----------
    cells : list
        The cells, without lists inside.

    Raises
    ------
    ConfigError
        There is no cell, or one cell is given twice.
    DTypeError
        `cells` is not a list.

    Examples
    --------
    >>> from gatewise.layers import RNN, LSTMCell, StackedRNNCells
    >>> RNN(StackedRNNCells([LSTMCell(8), LSTMCell(4)])).forward([[[0.5, 1.0]]]).shape
    (1, 4)
    """

    def __init__(self, cells: Sequence[Any]) -> None:
        self.cells: list[Any] = []
        for cell in checks.listed(cells, "cells", "cells"):
            inner = StackedRNNCells(cell) if isinstance(cell, list | tuple) else cell
            self.cells += inner.cells if isinstance(inner, StackedRNNCells) else [inner]
        if not self.cells:
            raise ConfigError("cells is empty; expected at least one cell")
        if len({id(cell) for cell in self.cells}) < len(self.cells):
            raise ConfigError(
                "one cell is given twice; cells hold no weights, so that it would not share them:"
                " give a new cell for each place"
            )


class StackedRNN(Container, HasState):
    """Recurrent layers on top of each other as one layer, which ``RNN([cell, cell])`` makes.

    The layers run one after the other, each over all steps. The result is that of cells which run
    together step by step, because no cell reads the output of a later one.

    Parameters
    ----------
    layers : list of Recurrent
        New layers that are not used elsewhere; the first one reads the input. Their options
        ``return_sequences``, ``return_state`` and ``go_backwards`` are set here.
    return_sequences : bool, default False
        Return the last layer's outputs of all steps instead of its last output.
    return_state : bool, default False
        Return ``[output, *states]``, the states of the first layer first: ``[y, h, c, h, c]``.
    go_backwards : bool, default False
        Visit the steps of each row from last to first; the outputs are in that order.
    stateful : bool, default False
        A call starts from the final states of the last call.
    zero_output_for_mask : bool, optional
        Output at steps that do not count, see :class:`Recurrent`.
    **kwargs
        `seed`, as the seed of the initial weights and the dropout of a layer used alone, and
        options of :class:`Layer`.

    Raises
    ------
    ConfigError
        A layer is in use already, or is stateful.
    DTypeError
        A layer is not recurrent.

    Notes
    -----
    The weights are those of the first layer, then those of the second, and so on: "cell_0/kernel",
    "cell_1/kernel". `initial_state` is a list of all states, or of the list of each layer.

    Examples
    --------
    >>> from gatewise.layers import GRU, LSTM, StackedRNN
    >>> StackedRNN([LSTM(8), GRU(4)]).state_names
    ('cell_0/h', 'cell_0/c', 'cell_1/h')
    """

    return_state: bool = fixed(checks.flag)
    go_backwards: bool = fixed("_passed_to_the_first")
    stateful: bool = fixed(checks.flag)

    def __init__(
        self,
        layers: Sequence[Recurrent],
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool | None = None,
        **kwargs: Any,
    ) -> None:
        parts = checks.listed(layers, "layers", "layers")
        if not parts:
            raise ConfigError("layers is empty; expected at least one recurrent layer")
        kwargs = checks.without_neutral(kwargs, "recurrent layer", type(self).__name__)
        for k, part in enumerate(parts):
            self._check_part(part, f"cell_{k}")
            part.return_sequences = part.return_state = True
            part.go_backwards = False
        parts[-1].return_sequences = checks.flag(return_sequences, "return_sequences")
        self._layers: list[Any] = parts
        super().__init__({f"cell_{k}": part for k, part in enumerate(parts)}, **kwargs)
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.zero_output_for_mask: bool | None = checks.optional_flag(
            zero_output_for_mask, "zero_output_for_mask"
        )
        self._state = None
        self._one_stream = threads.one_stream(f"layer {self.name!r}")

    @staticmethod
    def _check_part(part: Any, name: str) -> None:
        Container._check_part(part, name)
        if not isinstance(part, Recurrent):
            raise DTypeError(f"{name} is {part!r}; expected a recurrent layer")
        if part.stateful or part.learned_initial_state:
            raise ConfigError(
                f"{name}: layer {part.name!r} has stateful=True or learned_initial_state=True; the"
                " stack keeps the states: set stateful of the stack"
            )

    def _passed_to_the_first(self, value: Any) -> bool:
        """Return whether to go backwards; the first layer does, and the others in its order."""
        value = checks.flag(value, "go_backwards")
        vars(self._layers[0])["go_backwards"] = value
        return value

    # ---- properties that models read

    @property
    def return_sequences(self) -> bool:
        """Whether the output has a vector for each step, bool."""
        return self._layers[-1].return_sequences

    @property
    def keeps_steps(self) -> bool:
        """Whether the output has a vector for each step, bool."""
        return self.return_sequences

    @property
    def causal(self) -> bool:
        """Whether step t of the output depends on no later step, bool."""
        return not self.go_backwards

    @property
    def _returns_list(self) -> bool:
        return self.return_state

    @property
    def _holds_outputs(self) -> bool:
        return self.return_sequences and self.zero_output_for_mask is False

    @property
    def _limiting_activation(self) -> str | None:
        return self._layers[-1]._limiting_activation

    def _behind(self, outputs: set[int]) -> tuple[set[str], set[int] | None]:
        owners = [k for k, layer in enumerate(self._layers) for _ in layer.state_names]
        last = max(len(self._layers) - 1 if index == 0 else owners[index - 1] for index in outputs)
        used = list(self._parts)[: last + 1]
        return {spec.name for spec in self._specs if spec.name.partition("/")[0] in used}, None

    @property
    def units(self) -> int:
        """Width of the output, int."""
        return self._layers[-1].units

    @property
    def output_width(self) -> int:
        """Width of the output, int."""
        return self._layers[-1].output_width

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the states, "cell_0/h" and so on, tuple of str."""
        return tuple(
            f"{path}/{name}" for path, part in self._parts.items() for name in part.state_names
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Number of units of each state, tuple of int."""
        return tuple(size for part in self._layers for size in part.state_sizes)

    def _checked_state(self, value: Any, batch: int | None, name: str) -> list[Array]:
        """Return copies of the states, checked; they may be grouped by layer."""
        flat = []
        for given in checks.listed(value, name, "arrays"):
            flat += given if isinstance(given, list | tuple) else [given]
        return super()._checked_state(flat, batch, name)

    # ---- shapes

    def parameter_specs(self, input_shape: Any) -> list[Any]:
        specs = []
        for path, part in self._parts.items():
            part._describe(input_shape)
            input_shape = part.output_shape
            specs += [replace(spec, name=f"{path}/{spec.name}") for spec in part._specs]
        return specs

    def compute_output_shape(self, input_shape: Any) -> Any:
        for part in self._layers:
            input_shape = part.compute_output_shape(input_shape)
        return input_shape

    # ---- running

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return next((reason for part in self._layers if (reason := part._cannot_stream)), None)

    def _step_ops(self) -> list[StepOp]:
        return [
            replace(op, name=f"{self.name}/{path}")
            for path, part in self._parts.items()
            for op in part._step_ops()
        ]

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch | Any:
        x, *given = inputs if isinstance(inputs, list) else [inputs]
        start = self._start(given, tape, node, x.values.shape[0])
        output, final = self._through(x, list(start or ()), tape, node)
        if tape is not None:
            tape.keep(node, (start is not None, bool(given)))
        if self.stateful or (tape is not None and tape.carried is not None):
            self._leave([batch.values for batch in final], x.steps, tape, node)
        return [output, *final] if self.return_state else output

    def advance(self, inputs: Batch, state: list[Array] | None) -> tuple[Batch, list[Array]]:
        output, final = self._through(inputs, state or [], None, None)
        return output, [batch.values for batch in final]

    def _through(
        self, x: Batch, states: list[Array], tape: Tape | None, node: Hashable
    ) -> tuple[Batch, list[Batch]]:
        """Return (output, final states) of a pass; `states` may be empty."""
        output, final = x, []
        for k, (path, part) in enumerate(self._parts.items()):
            if k == 1:
                output = Batch(output.values, self._later_steps(x))
            own, states = states[: len(part.state_names)], states[len(part.state_names) :]
            begin = [output, *(Batch(array) for array in own)] if own else output
            output, *last = part.run(begin, tape, (node, path))
            final += last
        return Batch(output.values, x.steps if self.return_sequences else None), final

    def _later_steps(self, x: Batch) -> Any:
        """Return the steps that all layers but the first see, in the order of the first's visit."""
        steps = x.steps
        if steps is None or not self.go_backwards:
            return steps
        resets = steps.resets_of(True)
        if resets is not None:
            resets = take_steps(resets, backward_order(x.values.shape[1], steps.lengths))
        return replace(steps, resets=resets, resets_back=None)

    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
        started, given = tape.take(node)
        gradient, *of_states = gradients if self.return_state else [gradients]
        of_states = of_states or [None] * len(self.state_names)
        d_start: list[Array] = []
        for path, part in reversed(self._parts.items()):
            count = len(part.state_names)
            of_states, own = of_states[:-count], of_states[-count:]
            wanted_here = wanted or part is not self._layers[0]
            gradient = part.run_backward([gradient, *own], tape, (node, path), wanted_here)
            gradient = gradient[0] if started else gradient
            d_start = [*tape.state_gradients[node, path], *d_start]
        tape.state_gradients[node] = d_start
        return [gradient, *d_start] if given else gradient

    # ---- files

    def get_config(self) -> Config:
        options = ("return_sequences", "return_state", "go_backwards", "stateful")
        config = super().get_config() | {option: getattr(self, option) for option in options}
        if self.zero_output_for_mask is not None:
            config["zero_output_for_mask"] = self.zero_output_for_mask
        return config | {"layers": [layer_config(part) for part in self._layers]}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        layers = config.get("layers")
        if not isinstance(layers, list) or not layers:
            raise DTypeError(f"layers is {layers!r:.200}; expected a list of recurrent layers")
        made = [layer_from_config(each, "a layer of the stack") for each in layers]
        return cls(**config | {"layers": made})
