"""Bidirectional: one recurrent layer for each direction of time."""

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
from gatewise.layers.wrappers import Container

from .base import Recurrent
from .stacked import StackedRNN
from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Self

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.base import Layer
    from gatewise.layers.tape import Tape

MERGE_MODES = ("concat", "sum", "mul", "ave", None)


class Bidirectional(Container, SequenceLayer):
    """Two recurrent layers that read a sequence from both ends (Schuster and Paliwal 1997).

    The backward layer reads the steps of each row from last to first. With ``return_sequences`` its
    outputs are returned in the order of the input, with zeros at steps that do not count, even if
    the layers have ``zero_output_for_mask=False``. Without it, each layer returns its last output,
    which for the backward layer is that of the row's first step.

    Parameters
    ----------
    layer : Recurrent or StackedRNN
        The forward layer. It must not be used elsewhere.
    merge_mode : {"concat", "sum", "mul", "ave", None}, default "concat"
        How to combine the two outputs: concatenate their features, or take the sum, product or
        mean. None: return a list of both, which only a layer used alone can do.
    backward_layer : Recurrent or StackedRNN, optional
        The backward layer, with ``go_backwards=True`` and the same return_sequences, return_state
        and stateful. None: a copy of `layer` that goes backwards.
    **kwargs
        Arguments of :class:`Layer`.

    Raises
    ------
    ConfigError
        The options of the two layers do not fit together.
    DTypeError
        A layer is not recurrent.

    Notes
    -----
    The weights are those of the forward layer, then those of the backward layer: "forward/kernel"
    and so on. States are in the same order, ``[h, h]`` or ``[h, c, h, c]``; with ``return_state``
    they follow the output.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import LSTM, Bidirectional
    >>> Bidirectional(LSTM(4)).forward(np.ones((2, 5, 3), np.float32)).shape
    (2, 8)
    """

    _has_state = True
    causal = False
    forward_layer: Recurrent | StackedRNN
    backward_layer: Recurrent | StackedRNN
    merge_mode: str | None = fixed("_checked_merge_mode")

    def __init__(
        self,
        layer: Recurrent | StackedRNN,
        merge_mode: str | None = "concat",
        backward_layer: Recurrent | StackedRNN | None = None,
        **kwargs: Any,
    ) -> None:
        self._check_part(layer, "layer")
        if layer.go_backwards:
            raise ConfigError(
                f"layer {layer.name!r} has go_backwards=True; Bidirectional makes the backward"
                " layer itself: give a layer that goes forward"
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
        # As in Keras: a repeated output of one direction does not fit a step of the other.
        for part in (layer, backward_layer):
            if part.zero_output_for_mask is False:
                part.zero_output_for_mask = True
        super().__init__({"forward": layer, "backward": backward_layer}, **kwargs)
        if not self._backward_given:  # last, so that a refused layer keeps its name
            layer.name, backward_layer.name = f"forward_{layer.name}", f"backward_{layer.name}"
        self._one_stream = threads.one_stream(f"layer {self.name!r}")
        self.merge_mode = merge_mode

    def _checked_merge_mode(self, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and value in MERGE_MODES):
            raise ConfigError(
                f"merge_mode is {value!r}; expected one of {', '.join(map(repr, MERGE_MODES))}"
            )
        ahead, back = self.forward_layer.output_width, self.backward_layer.output_width
        if value not in ("concat", None) and ahead != back:
            raise ConfigError(
                f"merge_mode {value!r} needs the same number of units in both layers; layer has"
                f" {ahead}, backward_layer has {back}"
            )
        return value

    @staticmethod
    def _check_part(part: Layer, name: str) -> None:
        Container._check_part(part, name)
        if not isinstance(part, Recurrent | StackedRNN):
            raise DTypeError(f"{name} is {part!r}; expected a recurrent layer")

    # ---- properties that models read

    @property
    def return_sequences(self) -> bool:
        """Whether the output has a vector for each step, bool."""
        return self.forward_layer.return_sequences

    @property
    def return_state(self) -> bool:
        """Whether the final states are returned after the output, bool."""
        return self.forward_layer.return_state

    @property
    def stateful(self) -> bool:
        """Whether both layers keep their states from call to call, bool."""
        return self.forward_layer.stateful

    @property
    def keeps_steps(self) -> bool:
        """Whether the output has a vector for each step, bool."""
        return self.return_sequences

    @property
    def _returns_list(self) -> bool:
        """Whether there is more than one output, or states after it."""
        return self.return_state or self.merge_mode is None

    @property
    def _output_count(self) -> int:
        """Number of outputs before the states."""
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
        """Names of the states, "forward/h" and so on, tuple of str."""
        return tuple(
            f"{path}/{name}" for path, part in self._parts.items() for name in part.state_names
        )

    def _shapes_of_states(self, input_shape: Shape) -> list[Shape]:
        """Return the shapes of the states, for inputs of this shape."""
        return [
            shape for part in self._parts.values() for shape in part._shapes_of_states(input_shape)
        ]

    @property
    def state(self) -> list[Array] | Any:  # Any, not None: whoever unpacks it has made a call
        """States that the next call starts from, list of ndarray or None.

        See :attr:`Recurrent.state`; those of the forward layer come first.
        """
        states = self._state
        return None if states is None else [array.copy() for array in states]

    @state.setter
    def state(self, value: Any) -> None:
        values = (
            (None, None)
            if value is None
            else self._halves(self._checked_state(value, None, "state"))
        )
        with self._using_state():
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
        """Discard the states: the next call starts from zeros, with any batch size."""
        with self._using_state():
            self._state = None

    reset_states = reset_state  # Keras 2's name

    @property
    def initial_state_gradient(self) -> list[Array] | None:
        """Gradients of the initial states after :meth:`backward`, list of ndarray; None before."""
        return None if self._tape is None else self._tape.state_gradients.get(LAYER)

    def _checked_state(self, value: Any, batch: int | None, name: str) -> list[Array]:
        """Return copies of the states, checked; with any number of rows if `batch` is None."""
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

    def _halves(self, arrays: Sequence[Any] | None) -> tuple[Any, Any]:
        """Split arrays into those of the forward and of the backward layer; None: none."""
        count = len(self.forward_layer.state_names)
        return (None, None) if arrays is None else (arrays[:count], arrays[count:])

    # ---- running

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "its backward layer begins at the last step of a sequence"

    def run(self, inputs: Any, tape: Tape | None, node: Hashable) -> Batch | Any:
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
        if isinstance(order, slice):
            outputs[1] = outputs[1][:, order]  # copied when it is merged
        elif order is not None:
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

    def _merge(self, ahead: Array, back: Array) -> list[Array]:
        """Combine the outputs of the two layers; return a list of outputs."""
        if self.merge_mode is None:
            return [ahead, np.ascontiguousarray(back)]
        if self.merge_mode == "concat":
            return [np.concatenate([ahead, back], axis=-1)]
        if self.merge_mode == "mul":
            return [ahead * back]
        return [ahead + back if self.merge_mode == "sum" else (ahead + back) / 2]

    def _behind(self, outputs: set[int]) -> tuple[set[str], set[int] | None]:
        parts = list(self._parts)
        used: set[str] = set()
        for index in outputs:
            if index >= self._output_count:  # a state
                half = len(self.state_names) // 2
                used.add(parts[(index - self._output_count) // half])
            else:
                used.update(parts if self.merge_mode is not None else parts[index : index + 1])
        return {spec.name for spec in self._specs if spec.name.partition("/")[0] in used}, None

    def _part_gradients(self, dy: Sequence[Any], outputs: Any) -> list[Any]:
        """Return the gradients of the two outputs, from those of the merged outputs."""
        if self.merge_mode is None:
            return list(dy)
        if dy[0] is None:
            return [None, None]
        if self.merge_mode == "concat":
            return np.split(dy[0], [self.forward_layer.output_width], axis=-1)
        if self.merge_mode == "mul":
            return [dy[0] * outputs[1], dy[0] * outputs[0]]
        return [dy[0] if self.merge_mode == "sum" else dy[0] / 2] * 2

    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
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
            if wanted and found is not None:
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
            # The backward layer is a copy of the forward layer, and was set afterwards.
            config["backward_trainable"] = self.backward_layer.trainable
        return super().get_config() | config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        config = dict(config)
        backward_trainable = config.pop("backward_trainable", None)
        made: Config = {"layer": layer_from_config(config.get("layer"), "layer")}
        if config.get("backward_layer") is not None:
            made["backward_layer"] = layer_from_config(config["backward_layer"], "backward_layer")
        layer = cls(**config | made)
        if backward_trainable is not None:
            layer.backward_layer.trainable = backward_trainable
        return layer
