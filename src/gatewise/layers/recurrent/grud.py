"""GRU-D: a GRU for series with missing values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, initializers, threads
from gatewise.cells import GRUDCell, RNNCell
from gatewise.errors import ArgumentError, ShapeError, StateError
from gatewise.kernels import activations, arrays, dense
from gatewise.kernels._products import uses_blas
from gatewise.layers.activation import LINEAR
from gatewise.layers.options import fixed
from gatewise.layers.specs import ParameterSpec
from gatewise.layers.step_ops import DecayedOp

from .stepwise import Stepwise

if TYPE_CHECKING:
    from gatewise._typing import Array, Config
    from gatewise.layers.step_ops import StepOp


class GRUD(Stepwise):
    """GRU-D, a recurrent layer for series with missing values (Che et al. 2018).

    A missing value decays from the last observed value to the mean of the feature, and the state
    decays to zero. Training learns how fast, depending on the time since the last observation::

        d_x = exp(-max(0, w * t + b))                       of each feature
        d_h = exp(-max(0, t W_d + b_d))                     of each unit
        x^  = m x + (1 - m) (d_x x' + (1 - d_x) mean)       x' the last observed value, or the mean
        h^  = d_h h'
        z, r = sigm(x^ W + h^ U + m V + b)
        n = tanh(x^ W + (r h^) U + m V + b)
        h = (1 - z) h^ + z n

    The input is (batch, steps, 3 * features): the values (any finite number if missing, such as 0),
    then the mask m (1 observed, 0 missing), then the time t since each feature was last observed,
    as ``gatewise.data.missing_indicators`` computes them. The state is h, and the last observed
    value of each feature minus its mean, so that a series can be given in parts.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str, default "tanh"
        Activation of the candidate n.
    recurrent_activation : str, default "sigmoid"
        Activation of the gates.
    use_bias : bool, default True
        Whether there is b; the decays always have biases.
    means : array_like of shape (features,), float, optional
        Values that missing values decay to: the features' means in the training data. None: zeros,
        which is right for standardised data.
    **kwargs
        Arguments of :class:`Recurrent`, except the dropouts and learned_initial_state, and of
        :class:`Layer`. The options of the kernel also apply to V. Initial values: W_d Glorot
        uniform, w uniform between 0 and 0.1, biases zero.

    Raises
    ------
    ConfigError
        An argument has a wrong value.
    ArgumentError
        An argument is not known, or GRUD does not have it.

    Notes
    -----
    The weights in order are kernel W, recurrent_kernel U, bias b (gates z r h), mask_kernel V,
    input_decay_kernel w and input_decay_bias (features,), hidden_decay_kernel W_d (features, units)
    and hidden_decay_bias (units,).

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import GRUD
    >>> values, mask, time = np.ones((3, 2, 5, 1), np.float32)
    >>> GRUD(4).forward(np.concatenate([values, mask, time], axis=-1)).shape
    (2, 4)
    """

    means: list[float] | None = fixed("_checked_means")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        means: Any = None,
        **kwargs: Any,
    ) -> None:
        for name in kwargs.keys() & {"dropout", "recurrent_dropout", "learned_initial_state"}:
            raise ArgumentError(f"GRUD takes no argument {name!r}")
        super().__init__(GRUDCell(units, activation, recurrent_activation, use_bias), **kwargs)
        self.means = means

    @staticmethod
    def _checked_means(value: Any) -> Any:
        return (
            None
            if value is None
            else [
                checks.number(mean, "a mean") for mean in checks.listed(value, "means", "numbers")
            ]
        )

    @property
    def features(self) -> int | None:
        """Number of features of the series, int; None before the layer is built."""
        return None if self.input_shape is None else self.input_shape[-1] // 3

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.units, self.features

    def _checked_state(self, value: Any, batch: int | None, name: str) -> list[Array]:
        if not self.built:
            raise StateError(
                f"{name}: layer {self.name!r} is not built, so that its number of features is not"
                " known; call build(input_shape) first"
            )
        return super()._checked_state(value, batch, name)

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        if input_shape[-1] % 3:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected 3 * features in"
                " the last axis: values, mask and time since a value was seen"
            )
        if self.means is not None and len(self.means) != input_shape[-1] // 3:
            raise ShapeError(
                f"means has {len(self.means)} numbers; layer {self.name!r} reads"
                f" {input_shape[-1] // 3} features"
            )
        return [
            self._spec(name, shape)
            for name, shape in self.cell.parameter_shapes(input_shape[-1]).items()
        ]

    def _spec(self, name: str, shape: tuple[int, ...]) -> ParameterSpec:
        option = "kernel" if name == "mask_kernel" else name
        if option in self._weight_options:
            return self._weight_options[option].spec(name, shape)
        usual = {
            "input_decay_kernel": initializers.RandomUniform(0.0, 0.1),
            "hidden_decay_kernel": initializers.GlorotUniform(),
        }
        return ParameterSpec(name, shape, usual.get(name, initializers.Zeros()))

    def _step_ops(self) -> list[StepOp]:
        return [
            DecayedOp(
                name=self.name,
                inputs=self.input_shape[-1],
                width=self.units,
                activation=activations.code(self.cell.activation),
                recurrent_activation=activations.code(self.cell.recurrent_activation),
                means=None if self.means is None else np.asarray(self.means, self.dtype),
                weights={"bias": None, **self._parameters},
                state_names=tuple(self.cell.states),
                initial=tuple(state[0] for state in self._first_state((1,))),
            )
        ]

    # ---- computed for all steps at once, because it does not depend on h

    def _before(self, x: Array, start: Any, resets: Array | None) -> Any:
        values, mask, time = (np.ascontiguousarray(part) for part in np.split(x, 3, axis=-1))
        p = self._parameters
        # distance from the mean
        away = values if self.means is None else values - np.asarray(self.means, self.dtype)
        seen, source = _last_seen(away, mask, start[1], resets)
        input_rate = time * p["input_decay_kernel"] + p["input_decay_bias"]
        input_decay = _decay(input_rate)
        filled = mask * away + (1 - mask) * input_decay * seen
        if self.means is not None:
            filled += np.asarray(self.means, self.dtype)
        hidden_rate = _product(time, p["hidden_decay_kernel"], p["hidden_decay_bias"])
        sums = _product(filled, p["kernel"], p.get("bias")) + _product(mask, p["mask_kernel"])
        extra = {
            "mask": mask,
            "time": time,
            "away": away,
            "seen": seen,
            "source": source,
            "input_rate": input_rate,
            "input_decay": input_decay,
            "filled": filled,
            "hidden_rate": hidden_rate,
            "start": start[1],
            "shape": x.shape,
        }
        return np.concatenate([sums, _decay(hidden_rate)], axis=-1), start[:1], extra

    def _new_cell(self) -> Any:
        return _Decayed(self.cell, self._parameters["recurrent_kernel"])

    def _after(self, states: Any, extra: Any, lengths: Array | None) -> Any:
        last = extra["seen"][:, -1]
        if lengths is not None:
            last = extra["seen"][np.arange(len(lengths)), lengths - 1]
            last = np.where(lengths[:, None] > 0, last, extra["start"])
        extra["lengths"] = lengths
        return [states[0], last.copy()]

    def _before_back(self, d_states: Any, extra: Any) -> Any:
        extra["d_last"] = d_states[1]
        return d_states[:1]

    def _after_back(self, d_inputs: Any, d_start: Any, extra: Any, cell: Any, want_dx: bool) -> Any:
        p, g, units = self._parameters, self._gradients, self.units
        with threads.single_threaded_blas(uses_blas(extra["time"].shape[-1], units)):
            cell.add_gradient(g["recurrent_kernel"])
            d_sums = np.ascontiguousarray(d_inputs[..., : 3 * units])
            d_filled = _product_backward(
                extra["filled"], p["kernel"], d_sums, g["kernel"], g.get("bias")
            )
            d_mask = _product_backward(
                extra["mask"], p["mask_kernel"], d_sums, g["mask_kernel"], None, want_dx
            )
            d_hidden_rate = _decay_backward(extra["hidden_rate"], d_inputs[..., 3 * units :])
            d_time = _product_backward(
                extra["time"],
                p["hidden_decay_kernel"],
                d_hidden_rate,
                g["hidden_decay_kernel"],
                g["hidden_decay_bias"],
                want_dx,
            )
        missing = 1 - extra["mask"]
        d_input_rate = _decay_backward(extra["input_rate"], d_filled * missing * extra["seen"])
        g["input_decay_kernel"] += (d_input_rate * extra["time"]).sum(axis=(0, 1), dtype=np.float64)
        g["input_decay_bias"] += d_input_rate.sum(axis=(0, 1), dtype=np.float64)
        d_seen, d_kept = d_filled * missing * extra["input_decay"], np.zeros_like(extra["start"])
        _add_last(d_seen, d_kept, extra["d_last"], extra["lengths"])
        d_away, from_start = _last_seen_backward(d_seen, extra["source"])
        d_start = [d_start[0], d_kept + from_start]
        if not want_dx:
            return None, d_start
        d_values = d_filled * extra["mask"] + d_away
        d_mask += d_filled * (extra["away"] - extra["input_decay"] * extra["seen"])
        d_time += d_input_rate * p["input_decay_kernel"]
        return np.concatenate([d_values, d_mask, d_time], axis=-1), d_start

    def get_config(self) -> Config:
        config = super().get_config() | {
            "activation": self.cell.activation,
            "means": self.means,
            "recurrent_activation": self.cell.recurrent_activation,
        }
        return {
            name: value
            for name, value in config.items()
            if name not in ("dropout", "recurrent_dropout")
        }


class _Decayed(RNNCell):
    """The steps: a GRU with ``reset_after=False``, whose input is [x^ W + m V + b, d_h].

    All products are computed in tiles, so that their sums do not depend on the number of rows.
    """

    def __init__(self, cell: Any, recurrent_kernel: Any) -> None:
        self.units = cell.units
        self._act, self._gate = (
            activations.code(cell.activation),
            activations.code(cell.recurrent_activation),
        )
        gates, candidate = (
            recurrent_kernel[:, : 2 * self.units],
            recurrent_kernel[:, 2 * self.units :],
        )
        self._forward = [dense.pack(np.ascontiguousarray(part)) for part in (gates, candidate)]
        self._back = [np.ascontiguousarray(part.T) for part in (gates, candidate)]
        # Of each step of the backward pass: inputs and result gradients of the recurrent products.
        self._products: list[tuple[Array, Array, Array, Array]] = []

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return no shapes: the layer has the parameters."""
        return {}

    def step(
        self, x: Array, states: list[Array], parameters: dict[str, Array]
    ) -> tuple[Array, list[Array], Any]:
        units, h = self.units, x[:, 3 * self.units :] * states[0]
        gates = _tiles(h, self._forward[0], 2 * units)
        gates += x[:, : 2 * units]
        _activate(gates, self._gate)
        z, r = gates[:, :units], gates[:, units:]
        reset = r * h
        n = _tiles(reset, self._forward[1], units)
        n += x[:, 2 * units : 3 * units]
        _activate(n, self._act)
        new = h + z * (n - h)
        return new, [new], (x, states[0], h, gates, reset, n)

    def step_backward(
        self,
        d_output: Array,
        d_states: list[Array],
        saved: Any,
        parameters: dict[str, Array],
        gradients: dict[str, Array],
    ) -> tuple[Array, list[Array]]:
        x, before, h, gates, reset, n = saved
        units = self.units
        z, r, d = gates[:, :units], gates[:, units:], d_output + d_states[0]
        d_n = d * z
        arrays.activate_backward(n, d_n, d_n, self._act)
        d_reset = _tiles(d_n, self._packed_back(1), units)
        d_gates = np.concatenate([d * (n - h), d_reset * h], axis=1)
        arrays.activate_backward(gates, d_gates, d_gates, self._gate)
        d_h = d * (1 - z) + d_reset * r + _tiles(d_gates, self._packed_back(0), units)
        self._products.append((h, d_gates, reset, d_n))
        return np.concatenate([d_gates, d_n, d_h * before], axis=1), [d_h * x[:, 3 * units :]]

    def _packed_back(self, part: int) -> Any:
        """Return the transposed weights, packed when first used: inference does not need them."""
        if not isinstance(self._back[part], tuple):
            self._back[part] = (dense.pack(self._back[part]),)
        return self._back[part][0]

    def add_gradient(self, gradient: Array) -> None:
        """Add the gradient of the recurrent kernel, of all steps at once."""
        if not self._products:
            return
        h, d_gates, reset, d_n = (np.concatenate(parts) for parts in zip(*self._products))
        for rows, dz, columns in (
            (h, d_gates, slice(0, 2 * self.units)),
            (reset, d_n, slice(2 * self.units, None)),
        ):
            d_w = np.zeros((self.units, dz.shape[1]), dz.dtype)
            dense.backward(
                rows,
                d_w,
                dz,
                d_w,
                threads=threads.threads_for_products(2 * rows.size * dz.shape[1]),
            )
            gradient[:, columns] += d_w


# ---- products over the last axis


def _product(x: Array, w: Array, b: Array | None = None) -> Array:
    y = _tiles(x.reshape(-1, x.shape[-1]), dense.pack(w, b), w.shape[1])
    return y.reshape(*x.shape[:-1], w.shape[1])


def _tiles(x: Array, packed: Any, columns: int) -> Array:
    y = np.empty((len(x), columns), x.dtype)
    dense.forward(x, packed, y, LINEAR, threads.threads_for_products(2 * y.size * x.shape[1]))
    return y


def _product_backward(
    x: Array, w: Array, dz: Array, d_w: Array, d_b: Array | None, want_dx: bool = True
) -> Any:
    """Return dx, or None; the gradients are added to d_w and d_b."""
    rows = x.reshape(-1, x.shape[-1])
    dx = np.empty_like(rows) if want_dx else None
    dense.backward(
        rows,
        w,
        dz.reshape(-1, w.shape[1]),
        d_w,
        d_b,
        dx,
        threads.threads_for_products(4 * rows.size * w.shape[1]),
    )
    return dx.reshape(x.shape) if want_dx else None


def _activate(z: Array, activation: Any) -> None:
    arrays.activate(z, z, activation, threads.threads_for(20 * z.size))


# ---- decay


def _decay(rate: Array) -> Array:
    decay = np.minimum(-rate, 0)
    _activate(decay, activations.code("exponential"))
    return decay


def _decay_backward(rate: Array, d_decay: Array) -> Array:
    """Return the gradient of the rate; that of max(0, .) is 0 at 0."""
    return np.where(rate > 0, -_decay(rate) * d_decay, rate.dtype.type(0))


# ---- the last observed value


def _last_seen(
    values: Array, mask: Array, start: Array, resets: Array | None
) -> tuple[Array, Array]:
    """Return the last observed value at each step, and its source, each (batch, steps, features).

    The source is the index of the step; -1 for the value in `start`; -2 if none was observed since
    a reset, in which case the value is 0.
    """
    steps = np.arange(values.shape[1])[None, :, None]
    source = np.maximum.accumulate(np.where(mask > 0.5, steps, -1), axis=1)
    if resets is not None:
        reset = np.maximum.accumulate(np.where(resets.view(np.bool_)[..., None], steps, -1), axis=1)
        source = np.where(source < reset, -2, source)
    seen = np.take_along_axis(values, np.maximum(source, 0), axis=1)
    seen = np.where(source >= 0, seen, np.where(source == -1, start[:, None], values.dtype.type(0)))
    return seen, source


def _last_seen_backward(d_seen: Array, source: Array) -> tuple[Array, Array]:
    """Return the gradients of the values and of `start`."""
    batch, steps, features = d_seen.shape
    rows = (np.arange(batch)[:, None, None] * steps + source) * features + np.arange(features)
    inside = source >= 0
    d_values = (
        np.bincount(rows[inside], d_seen[inside], minlength=d_seen.size)
        .astype(d_seen.dtype)
        .reshape(d_seen.shape)
    )
    return d_values, np.where(source == -1, d_seen, 0).sum(axis=1, dtype=np.float64).astype(
        d_seen.dtype
    )


def _add_last(d_seen: Array, d_start: Array, d_last: Array, lengths: Array | None) -> None:
    """Add the gradients of the last observed values of each row.

    The final value of a row without steps is its initial one.
    """
    if lengths is None:
        d_seen[:, -1] += d_last
        return
    rows = np.flatnonzero(lengths)
    d_seen[rows, lengths[rows] - 1] += d_last[rows]
    d_start += np.where(lengths[:, None] == 0, d_last, 0)
