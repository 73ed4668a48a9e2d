"""Published cells without a compiled kernel, for :class:`gatewise.layers.RNN`.

They are written as users write theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from .custom import RNNCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array

__all__ = ["FullGateLSTMCell"]


class FullGateLSTMCell(RNNCell):
    """LSTM with full gate recurrence: FGR in "LSTM: A Search Space Odyssey" (Greff et al. 2017).

    It is the vanilla LSTM with peepholes, whose gates also see all gates of the step before::

        g = tanh(x W + h' U + b)
        i = sigm(x W + h' U + b + p c' + [i' f' o'] R)      f likewise
        c = i g + f c'
        o = sigm(x W + h' U + b + p c + [i' f' o'] R)
        h = o tanh(c)

    Gate order of kernel, recurrent_kernel and bias: i f g o; of peephole (3, units) and gate_kernel
    (3 units, 3 units): i f o. States: h, c, and the three gates side by side.

    Parameters
    ----------
    units : int
        Number of units.

    Examples
    --------
    >>> from gatewise.cells import FullGateLSTMCell
    >>> from gatewise.layers import RNN
    >>> RNN(FullGateLSTMCell(4)).forward([[[0.5, 1.0]]]).shape
    (1, 4)
    """

    def __init__(self, units: int) -> None:
        self.units: Any = checks.whole_number(units, "units")
        self.state_size: int | Sequence[int] | None = [units, units, 3 * units]

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        H = self.units
        return {
            "kernel": (inputs, 4 * H),
            "recurrent_kernel": (H, 4 * H),
            "bias": (4 * H,),
            "peephole": (3, H),
            "gate_kernel": (3 * H, 3 * H),
        }

    def step(
        self, x: Array, states: list[Array], parameters: dict[str, Array]
    ) -> tuple[Array, list[Array], Any]:
        h, c, gates = states
        p_i, p_f, p_o = parameters["peephole"]
        a_i, a_f, a_g, a_o = np.split(
            x @ parameters["kernel"] + h @ parameters["recurrent_kernel"] + parameters["bias"],
            4,
            axis=1,
        )
        r_i, r_f, r_o = np.split(gates @ parameters["gate_kernel"], 3, axis=1)
        i, f, g = _sigmoid(a_i + p_i * c + r_i), _sigmoid(a_f + p_f * c + r_f), np.tanh(a_g)
        new_c = i * g + f * c
        o = _sigmoid(a_o + p_o * new_c + r_o)
        tanh_c = np.tanh(new_c)
        new_h = o * tanh_c
        return (
            new_h,
            [new_h, new_c, np.concatenate([i, f, o], axis=1)],
            (x, h, c, gates, i, f, g, o, new_c, tanh_c),
        )

    def step_backward(
        self,
        d_output: Array,
        d_states: list[Array],
        saved: Any,
        parameters: dict[str, Array],
        gradients: dict[str, Array],
    ) -> tuple[Array, list[Array]]:
        x, h, c, gates, i, f, g, o, new_c, tanh_c = saved
        d_h, d_c, d_gates = d_states
        p_i, p_f, p_o = parameters["peephole"]
        d_i, d_f, d_o = np.split(d_gates, 3, axis=1)
        d_h = d_h + d_output
        # from here on: gradients of the sums before the activations
        a_o = (d_o + d_h * tanh_c) * o * (1 - o)
        d_c = d_c + d_h * o * (1 - tanh_c**2) + a_o * p_o
        a_i, a_f, a_g = (
            (d_i + d_c * g) * i * (1 - i),
            (d_f + d_c * c) * f * (1 - f),
            d_c * i * (1 - g**2),
        )
        a, a_gates = (
            np.concatenate([a_i, a_f, a_g, a_o], axis=1),
            np.concatenate([a_i, a_f, a_o], axis=1),
        )
        gradients["kernel"] += x.T @ a
        gradients["recurrent_kernel"] += h.T @ a
        gradients["bias"] += a.sum(axis=0)
        gradients["peephole"] += [
            (a_i * c).sum(axis=0),
            (a_f * c).sum(axis=0),
            (a_o * new_c).sum(axis=0),
        ]
        gradients["gate_kernel"] += gates.T @ a_gates
        d_c = d_c * f + a_i * p_i + a_f * p_f
        return a @ parameters["kernel"].T, [
            a @ parameters["recurrent_kernel"].T,
            d_c,
            a_gates @ parameters["gate_kernel"].T,
        ]


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))
