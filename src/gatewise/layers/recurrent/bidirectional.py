"""A recurrent layer over the steps from the first to the last, and one from the last to the
first.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers.alone import LAYER
from gatewise.layers.options import fixed
from gatewise.layers.registry import layer_config, layer_from_config
from gatewise.layers.sequences import SequenceLayer
from gatewise.layers.tape import Batch
from gatewise.layers.wrappers import Wrapper

from .base import Recurrent
from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Self

    from gatewise._typing import Array, Config
    from gatewise.layers.base import Layer
    from gatewise.layers.tape import Tape

MERGE_MODES = ("concat", "sum", "mul", "ave", None)


class Bidirectional(Wrapper, SequenceLayer):
    """Two recurrent layers that read a sequence from both ends (Schuster and Paliwal 1997).

    The backward layer reads each row's true steps from the last to the first; with
    ``return_sequences`` its outputs come back in the order of the input, zeros at steps that do not
    count, also where the layers have ``zero_output_for_mask=False``. Without, each layer gives its
    last output: the backward layer's is that of the row's first step.

    Parameters
    ----------
    layer : Recurrent
        The forward layer. Not to be used elsewhere; the backward layer is made like it.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        How the two outputs become one: side by side, their sum, product or mean. None: a list of
        the two, of a layer used alone.
    backward_layer : Recurrent, optional
        With ``go_backwards=True``, and the forward layer's return_sequences, return_state and
        stateful.

    Notes
    -----
    Weights are those of the forward layer, then those of the backward layer: "forward/kernel", ...
    So are states: ``[h, h]``, or ``[h, c, h, c]``; they are read, kept and, with ``return_state``,
    returned after the output.
    """

    _has_state = True
    causal = False
    forward_layer: Recurrent
    backward_layer: Recurrent
    merge_mode: str | None = fixed("_checked_merge_mode")

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        self._check_part(layer, "layer")
        if layer.go_backwards:
            raise ConfigError(
                f"layer {layer.name!r} has go_backwards=True; Bidirectional makes the backward"
                " layer itself: give one that goes forward"
            )
        self._backward_given = backward_layer is not None
        if backward_layer is None:
            backward_layer = copy.deepcopy(layer)
            backward_layer.go_backwards = True
        self._check_part(backward_layer, "backward_layer")
        for option in ("return_sequences", "return_state", "stateful"):
            if getattr(layer, option) != getattr(backward_layer, option):
                raise ConfigError(
                    f"layer has {option}={getattr(layer, option)}, backward_layer has "
                    f"{option}={getattr(backward_layer, option)}; give both the same"
                )
        if not backward_layer.go_backwards:
            raise ConfigError(
                f"backward_layer {backward_layer.name!r} has go_backwards=False; expected True"
            )
        self.forward_layer, self.backward_layer = layer, backward_layer
        self._checked_merge_mode(merge_mode)
        # as in Keras: what one way repeats is nothing beside the other way's step
        for part in (layer, backward_layer):
            if part.zero_output_for_mask is False:
                part.zero_output_for_mask = True
        super().__init__({"forward": layer, "backward": backward_layer}, **kwargs)
        if not self._backward_given:  # last: a layer that is refused keeps its name
            layer.name, backward_layer.name = f"forward_{layer.name}", f"backward_{layer.name}"
        self._one_stream = threads.one_stream(f"layer {self.name!r}")
        self.merge_mode = merge_mode

    def _checked_merge_mode(self, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and value in MERGE_MODES):
            raise ConfigError(
                f"merge_mode is {value!r}; expected one of {', '.join(map(repr, MERGE_MODES))}"
            )
        ahead, back = self.forward_layer.cell.output_width, self.backward_layer.cell.output_width
        if value not in ("concat", None) and ahead != back:
            raise ConfigError(
                f"merge_mode {value!r} needs as many units both ways; layer has {ahead},"
                f" backward_layer has {back}"
            )
        return value

    @staticmethod
    def _check_part(part: Layer, name: str) -> None:
        Wrapper._check_part(part, name)
        if not isinstance(part, Recurrent):
            raise DTypeError(f"{name} is {part!r}; expected a recurrent layer")

    # ---- what it says of itself

    @property
    def return_sequences(self) -> bool:
        """Whether the output has a vector for each step."""
        return self.forward_layer.return_sequences

    @property
    def return_state(self) -> bool:
        """Whether the final states are returned too."""
        return self.forward_layer.return_state

    @property
    def stateful(self) -> bool:
        """Whether both layers keep their states from call to call."""
        return self.forward_layer.stateful

    @property
    def keeps_steps(self) -> bool:
        """Whether the output has a vector for each step."""
        return self.return_sequences

    @property
    def _returns_list(self) -> bool:
        """Whether there is more than one output."""
        return self.return_state or self.merge_mode is None

    @property
    def _output_count(self) -> int:
        """How many outputs come before the states."""
        return 2 if self.merge_mode is None else 1

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = [part.compute_output_shape(input_shape) for part in self._parts.values()]
        if self.merge_mode is None:
            return shapes
        features = (
            sum(shape[-1] for shape in shapes) if self.merge_mode == "concat" else shapes[0][-1]
        )
        return (*shapes[0][:-1], features)

    # ---- states, those of the forward layer first

    @property
    def state_names(self) -> tuple[str, ...]:
        """ "forward/h", ... of the arrays of :attr:`state`."""
        return tuple(
            f"{path}/{name}" for path, part in self._parts.items() for name in part.state_names
        )

    @property
    def state(self) -> list[Array] | None:
        """States that the next call starts from; see :attr:`Recurrent.state`."""
        states = self._state
        return None if states is None else [array.copy() for array in states]

    @state.setter
    def state(self, value: Any) -> None:
        values = (
            (None, None)
            if value is None
            else self._halves(self._checked_state(value, None, "state"))
        )
        with self._alone():
            self.forward_layer.state, self.backward_layer.state = values

    @property
    def _state(self) -> Any:
        if self.forward_layer._state is None:
            return None
        return [*self.forward_layer._state, *self.backward_layer._state]

    @_state.setter
    def _state(self, value: Any) -> None:
        self.forward_layer._state, self.backward_layer._state = self._halves(value)

    def reset_state(self) -> None:
        """Forget the states: the next call starts from zeros, for any batch size."""
        with self._alone():
            self._state = None

    reset_states = reset_state  # Keras 2's name

    @property
    def initial_state_gradient(self) -> list[Array] | None:
        """Gradients of the initial states after :meth:`backward`, list of ndarray; None before."""
        return None if self._tape is None else self._tape.state_gradients.get(LAYER)

    def _checked_state(self, value: Any, batch: int, name: str) -> list[Array]:
        """A list of copies that fit: any number of rows where batch is None."""
        arrays = checks.listed(value, name, "arrays")
        if len(arrays) != len(self.state_names):
            raise ShapeError(
                f"{name} has {len(arrays)} arrays; layer {self.name!r} expects"
                f" {len(self.state_names)}: {', '.join(self.state_names)}"
            )
        first, second = self._halves(arrays)
        first = self.forward_layer._checked_state(first, batch, f"{name} forward")
        return first + self.backward_layer._checked_state(
            second, first[0].shape[0], f"{name} backward"
        )

    def _halves(self, arrays: Sequence[Array]) -> Any:
        """(those of the forward layer, those of the backward layer), each None where there are
        none.
        """
        count = len(self.forward_layer.state_names)
        return (None, None) if arrays is None else (arrays[:count], arrays[count:])

    # ---- running

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Any:
        x, *given = inputs if isinstance(inputs, list) else [inputs]
        outputs, states = [], []
        for (path, part), start in zip(self._parts.items(), self._halves(given or None)):
            found = part.run([x, *start] if start else x, tape, (node, path))
            if self.return_state:
                found, *last = found
                states += last
            outputs.append(found)
        steps = outputs[0].steps
        outputs = [output.values for output in outputs]
        order = backward_order(x.values.shape[1], x.lengths) if self.return_sequences else None
        if order is not None:
            outputs[1] = take_steps(outputs[1], order)
        merged = [Batch(y, steps) for y in self._merge(*outputs)]
        if tape is not None:
            tape.keep(
                node,
                {
                    "order": order,
                    "outputs": outputs if self.merge_mode == "mul" else None,
                    "states_given": bool(given),
                },
            )
        return [*merged, *states] if self._returns_list else merged[0]

    def _merge(self, ahead: Any, back: Any) -> Any:
        """list of the outputs that two make."""
        if self.merge_mode is None:
            return [ahead, back]
        if self.merge_mode == "concat":
            return [np.concatenate([ahead, back], axis=-1)]
        if self.merge_mode == "mul":
            return [ahead * back]
        return [ahead + back if self.merge_mode == "sum" else (ahead + back) / 2]

    def _part_gradients(self, dy: Array, outputs: Any) -> Any:
        """[gradient of the forward output, of the backward output] of a list like the merged
        outputs.
        """
        if self.merge_mode is None:
            return list(dy)
        if dy[0] is None:
            return [None, None]
        if self.merge_mode == "concat":
            return np.split(dy[0], [self.forward_layer.cell.output_width], axis=-1)
        if self.merge_mode == "mul":
            return [dy[0] * outputs[1], dy[0] * outputs[0]]
        return [dy[0] if self.merge_mode == "sum" else dy[0] / 2] * 2

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        saved = tape.take(node)
        dy = gradients if self._returns_list else [gradients]
        of_outputs = self._part_gradients(dy[: self._output_count], saved["outputs"])
        if saved["order"] is not None and of_outputs[1] is not None:
            of_outputs[1] = take_steps(of_outputs[1], saved["order"])
        dx, d_start = None, []
        for (path, part), gradient, states in zip(
            self._parts.items(), of_outputs, self._halves(dy[self._output_count :])
        ):
            gradient = None if gradient is None else np.ascontiguousarray(gradient)
            found = part.run_backward(
                [gradient, *states] if self.return_state else gradient, tape, (node, path), wanted
            )
            found = found[0] if saved["states_given"] else found
            d_start += tape.state_gradients[node, path]
            if wanted:
                dx = found if dx is None else np.add(dx, found, out=dx)
        tape.state_gradients[node] = d_start
        return [dx, *d_start] if saved["states_given"] else dx

    def get_config(self) -> Config:
        config = {
            "layer": layer_config(self.forward_layer),
            "merge_mode": self.merge_mode,
            "backward_layer": layer_config(self.backward_layer) if self._backward_given else None,
        }
        config["layer"]["config"]["name"] = self.forward_layer.name.removeprefix("forward_")
        if (
            self.forward_layer.trainable != self.backward_layer.trainable
            and not self._backward_given
        ):
            # made like the forward layer, and set since
            config["backward_trainable"] = self.backward_layer.trainable
        return super().get_config() | config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        config = dict(config)
        backward_trainable = config.pop("backward_trainable", None)
        made = {"layer": layer_from_config(config.get("layer"), "layer")}
        if config.get("backward_layer") is not None:
            made["backward_layer"] = layer_from_config(config["backward_layer"], "backward_layer")
        layer = cls(**config | made)
        if backward_trainable is not None:
            layer.backward_layer.trainable = backward_trainable
        return layer
