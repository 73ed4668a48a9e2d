"""Layers without memory: Input, Dense, Activation, dropout, Flatten, RepeatVector."""

import math

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, ShapeError
from gatewise.kernels import activations, arrays, dense
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.kernels._products import uses_blas

from .base import Checked, Fixed, Layer
from .masks import counted_steps
from .tape import Batch
from .weights import WeightOptions


def Input(shape=None, batch_shape=None, *, batch_size=None, dtype=None, name=None):
    """The shape of one sample, as the first entry of a Sequential.

    Parameters
    ----------
    shape : tuple, optional
        (steps, features) or whatever one sample has; None for free axes.
    batch_shape : tuple, optional
        The same with the batch in front, as an alternative. The batch size itself is never fixed.
    batch_size : int, optional
        Not needed: a model takes batches of any size. A number is checked, and changes nothing.
    dtype : {"float32", "float64"}, optional
        Of the model. An integer type, in front of an Embedding, says nothing about that.
    """
    if batch_size is not None:
        checks.whole_number(batch_size, "batch_size")
        if batch_shape is not None:
            raise ConfigError(
                "batch_size is given beside batch_shape, which holds it already; leave one of"
                " them out"
            )
    if dtype is not None and checks.is_integer_type(dtype):
        dtype = None
    if (shape is None) == (batch_shape is None):
        raise ConfigError(
            "Input needs either shape, of one sample, or batch_shape, with the batch in front"
        )
    shape = (
        checks.shape_tuple(batch_shape, "batch_shape")[1:]
        if shape is None
        else checks.shape_tuple(shape, "shape")
    )
    return InputLayer(input_shape=shape, dtype=dtype, name=name)


class InputLayer(Layer):
    """Says what one sample looks like and passes it on."""

    def run(self, inputs, tape, node):
        return inputs

    def run_backward(self, gradients, tape, node, wanted):
        return gradients


LINEAR = activations.code("linear")


def activation_or_softmax(value, name):
    """The check of the option `activation` of layers that may end in a softmax."""
    return activations.check_name(value, also=("softmax",))


class _Activated:
    """What layers that end in an activation share: act(z) forward, dz backward."""

    @property
    def _limiting_activation(self):
        """The activation's name, without its constants."""
        return self.activation if isinstance(self.activation, str) else self.activation[0]

    def _activate_rows(self, z, y):
        """y = act(z), in place if z is y."""
        if z.shape[-1] == 0:
            raise ShapeError(
                f"x has shape {z.shape}: nothing along the last axis; expected at least 1 feature"
            )
        work = threads.threads_for(20 * z.size)
        if self.activation == "softmax":
            if z.size:
                rows = (z.size // z.shape[-1], z.shape[-1])
                arrays.softmax(z.reshape(rows), y.reshape(rows), work)
        elif self.activation != "linear" or z is not y:
            arrays.activate(z, y, activations.code(self.activation), work)
        return y

    def _slope_times(self, y, dy):
        """dz of dy, a new array, or dy itself for a linear layer."""
        if self.activation == "linear":
            return dy
        dz = np.empty_like(dy)
        work = threads.threads_for(4 * y.size)
        if self.activation == "softmax":
            if y.size:
                rows = (y.size // y.shape[-1], y.shape[-1])
                arrays.softmax_backward(y.reshape(rows), dy.reshape(rows), dz.reshape(rows), work)
        else:
            arrays.activate_backward(y, dy, dz, activations.code(self.activation), work)
        return dz


class Dense(_Activated, Layer):
    """``y = act(x W + b)`` over the last axis, for x with any number of axes from 2 up.

    Parameters
    ----------
    units : int
    activation : str, optional
        A name of gatewise.kernels.activations, or "softmax". None: linear.
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
    kernel_constraint, bias_constraint : str or Constraint, optional
    seed : int, optional
        Of the initial weights of a layer used alone.
    """

    units, activation, use_bias = (
        Fixed(checks.whole_number),
        Fixed(activation_or_softmax),
        Fixed(checks.flag),
    )

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units, self.activation, self.use_bias = units, activation, use_bias
        self._weight_options = {
            "kernel": WeightOptions(
                "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
            ),
            "bias": WeightOptions("bias", bias_initializer, bias_regularizer, bias_constraint),
        }
        self.seed = checks.seed(seed)
        self._packed = PackedWeights()

    def parameter_specs(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch, ...,"
                " features) with a known number of features"
            )
        shapes = {"kernel": (input_shape[-1], self.units)} | (
            {"bias": (self.units,)} if self.use_bias else {}
        )
        return [self._weight_options[name].spec(name, shape) for name, shape in shapes.items()]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def _weights_changed(self):
        self._packed.forget()

    def _pack_now(self):
        return dense.pack(self._parameters["kernel"], self._parameters.get("bias"))

    def run(self, inputs, tape, node):
        z = self._product(inputs.values)
        if self.activation != "linear":
            self._activate_rows(z, z)
        if tape is not None:
            # The output may be handed out and changed; a linear layer's backward does not need it.
            y = None if self.activation == "linear" else z.copy()
            tape.keep(node, {"x": inputs.values, "y": y})
        return inputs.with_values(z)

    def _run_to_scores(self, inputs, tape, node):
        """x W + b, without the activation: what a loss that knows the activation starts from."""
        z = self._product(inputs.values)
        if tape is not None:
            tape.keep(node, {"x": inputs.values})
        return inputs.with_values(z)

    def _product(self, x):
        """x W + b."""
        features, units = x.shape[-1], self.units
        rows = x if x.ndim == 2 else x.reshape(-1, features)
        count = len(rows)
        checks.fits_memory(count * units, self._dtype, "the output of layer", self.name)
        z = np.empty((count, units), x.dtype)
        work = threads.threads_for_products(2 * count * units * features)
        dense.forward(rows, self._packed.of(self), z, LINEAR, work)
        return z if x.ndim == 2 else z.reshape(*x.shape[:-1], units)

    def run_backward(self, gradients, tape, node, wanted):
        saved = tape.take(node)
        return self._product_backward(
            saved["x"], self._slope_times(saved["y"], gradients), tape, node, wanted
        )

    def _run_backward_from_scores(self, gradients, tape, node, wanted):
        """As run_backward, from the gradient of what :meth:`_run_to_scores` gave."""
        return self._product_backward(tape.take(node)["x"], gradients, tape, node, wanted)

    def _product_backward(self, x, dz, tape, node, wanted):
        rows = x.reshape(-1, x.shape[-1])
        dx = tape.scratch(node, rows.shape, self.dtype) if wanted else None
        with threads.single_threaded_blas(uses_blas(x.shape[-1])):
            dense.backward(
                rows,
                self._parameters["kernel"],
                np.ascontiguousarray(dz).reshape(-1, self.units),
                self._gradients["kernel"],
                self._gradients.get("bias"),
                dx,
                threads.threads_for_products(4 * rows.shape[0] * x.shape[-1] * self.units),
            )
        return dx.reshape(x.shape) if wanted else None

    def get_config(self):
        config = super().get_config() | {
            "units": self.units,
            "activation": activations.config(self.activation),
            "use_bias": self.use_bias,
            "seed": self.seed,
        }
        for options in self._weight_options.values():
            config |= options.get_config()
        return config


class Activation(_Activated, Layer):
    """One activation, elementwise; "softmax" over the last axis.

    Parameters
    ----------
    activation : str
    """

    activation = Fixed(activation_or_softmax)

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activation

    def run(self, inputs, tape, node):
        x = inputs.values
        y = self._activate_rows(x, np.empty_like(x))
        if tape is not None:
            tape.keep(node, y.copy())
        return inputs.with_values(y)

    def run_backward(self, gradients, tape, node, wanted):
        return self._slope_times(tape.take(node), gradients)

    def _run_to_scores(self, inputs, tape, node):
        """The input itself: what a loss that knows the activation starts from."""
        return inputs

    def _run_backward_from_scores(self, gradients, tape, node, wanted):
        return gradients

    def get_config(self):
        return super().get_config() | {"activation": activations.config(self.activation)}


class Dropout(Layer):
    """In training, a part of the inputs set to zero and the rest scaled by 1 / (1 - rate).

    Parameters
    ----------
    rate : float in [0, 1)
    noise_shape : tuple, optional
        Shape of the draw, 1 for axes that share it, None for the input's own extent.
    seed : int, optional
        Of a layer used alone; in a model the model's generator draws.
    """

    _keeps_limits = True
    rate = Checked(checks.fraction)

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.noise_shape = (
            None if noise_shape is None else checks.shape_tuple(noise_shape, "noise_shape")
        )
        self.seed = checks.seed(seed)

    def run(self, inputs, tape, node):
        if tape is None:
            return inputs
        if self.rate == 0:
            tape.keep(node, None)
            return inputs
        x = inputs.values
        draws = self.random_generator().random(self._draw_shape(x.shape), np.float32)
        mask = arrays.dropout_mask(
            draws, self.rate, self.dtype, threads.threads_for(4 * draws.size)
        )
        tape.keep(node, mask)
        return inputs.with_values(x * mask)

    def _draw_shape(self, shape):
        if self.noise_shape is None:
            return shape
        if len(self.noise_shape) != len(shape):
            raise ShapeError(
                f"noise_shape has {len(self.noise_shape)} axes, x has {len(shape)}: shape {shape}"
            )
        if any(fixed not in (None, 1, extent) for fixed, extent in zip(self.noise_shape, shape)):
            raise ShapeError(
                f"noise_shape is {self.noise_shape}, x has shape {shape}; expected the same"
                " extents, 1 or None"
            )
        return tuple(
            extent if fixed is None else fixed for fixed, extent in zip(self.noise_shape, shape)
        )

    def run_backward(self, gradients, tape, node, wanted):
        mask = tape.take(node)
        return gradients if mask is None else gradients * mask

    def get_config(self):
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return super().get_config() | {"rate": self.rate, "noise_shape": shape, "seed": self.seed}


class SpatialDropout1D(Dropout):
    """Dropout of whole features: in training, a feature is zero at all steps of a row, or at none (Tompson et al. 2015).

    Parameters
    ----------
    rate : float in [0, 1)
    seed : int, optional
        Of a layer used alone; in a model the model's generator draws.
    """

    _rank, _axes = 3, "(batch, steps, features)"

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(rate, (None, 1, None), seed, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["noise_shape"]
        return config


class Flatten(Layer):
    """Every sample as one row: (batch, a, b, ...) to (batch, a*b*...). Steps that do not count are zeros."""

    keeps_steps = takes_any_length = False

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def _check_shape(self, x):
        if x.ndim != len(self.input_shape):
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} expects {self.input_shape}"
            )
        for axis, (extent, expected) in enumerate(zip(x.shape, self.input_shape)):
            if expected is not None and axis and extent != expected:
                raise ShapeError(
                    f"x has shape {x.shape}; layer {self.name!r} expects {self.input_shape}"
                )

    def run(self, inputs, tape, node):
        x, counted = inputs.values, None
        places = None if inputs.steps is None else inputs.steps.places
        if inputs.lengths is not None:
            counted = counted_steps(inputs.lengths, x.shape)
            x = np.where(counted, x, x.dtype.type(0))
        y = (x if places is None else places.back(x)).reshape(x.shape[0], math.prod(x.shape[1:]))
        if tape is not None:
            tape.keep(node, {"shape": x.shape, "counted": counted, "places": places})
        return Batch(y)

    def run_backward(self, gradients, tape, node, wanted):
        saved = tape.take(node)
        dx, counted, places = gradients.reshape(saved["shape"]), saved["counted"], saved["places"]
        if places is not None:
            return places.to_front(dx)
        return dx if counted is None else np.where(counted, dx, dx.dtype.type(0))


class RepeatVector(Layer):
    """One vector a row, ``n`` times over: (batch, features) to (batch, n, features).

    What stands between an encoder, whose last output sums up a sequence, and a decoder that reads
    it at every step.

    Parameters
    ----------
    n : int
        Steps of the output.
    """

    _keeps_limits = True
    _rank, _axes = 2, "(batch, features)"
    n = Fixed(checks.whole_number)

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        self.n = n

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 2:
            hint = (
                "; the recurrent layer before it needs return_sequences=False"
                if len(input_shape) == 3 and self.model
                else ""
            )
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch,"
                f" features){hint}"
            )
        return (input_shape[0], self.n, input_shape[1])

    def run(self, inputs, tape, node):
        x = inputs.values
        count = x.shape[0] * self.n * x.shape[1]
        checks.fits_memory(count, self.dtype, "the output of layer", self.name)
        return inputs.with_values(np.repeat(x[:, None], self.n, axis=1))

    def run_backward(self, gradients, tape, node, wanted):
        return gradients.sum(axis=1)

    def get_config(self):
        return super().get_config() | {"n": self.n}
