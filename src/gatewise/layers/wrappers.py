"""Layers that contain layers: the base of all of them, and TimeDistributed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, seeds
from gatewise.errors import ConfigError, DTypeError, ShapeError

from .base import Layer
from .masks import counted_steps, lengths_and_places
from .registry import layer_config, layer_from_config
from .tape import Batch, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import Self

    from gatewise._typing import Array, BoolArray, Config, DType, Shape
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape
    from gatewise.sharing import WeightsGuard


class Container(Layer):
    """Base of layers that contain others.

    The parameters of the layers inside are its own, named ``"part/parameter"``, in order.

    Parameters
    ----------
    parts : dict of str to Layer
        The layers inside, by the name that their parameters begin with.
    dtype : {"float32", "float64"}, optional
        What the layer computes in. None: that of the first layer inside.
    input_shape : tuple of int or None, optional
        Shape of one sample. None: that of the first layer inside.
    seed : int, optional
        Seed of the initial weights and the dropout of a layer used alone, from 0; all layers inside
        draw from one generator. None: the seed of a layer inside, if one has a seed.
    **kwargs
        Options of :class:`Layer`.
    """

    _model: Any = None

    def __init__(
        self,
        parts: dict[str, Any],
        *,
        dtype: DType | None = None,
        input_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self._parts = parts
        for name, part in parts.items():
            self._check_part(part, name)
        self._seed_given = checks.seed(seed)
        self._refuse_several_seeds()
        first = next(iter(parts.values()))
        if not {"batch_input_shape", "input_dim"} & kwargs.keys() and input_shape is None:
            input_shape = self._shape_around(first._given_input_shape)
        super().__init__(
            dtype=first._dtype_given if dtype is None else dtype, input_shape=input_shape, **kwargs
        )
        self._set_dtype(self._dtype)
        self._share_guard(self._guard)
        if not self._trainable:  # True does not unfreeze the layers inside
            self.trainable = False
        for part in parts.values():
            part._holder = self
        self._trains = first._trains

    @staticmethod
    def _shape_around(part_shape: Shape | None) -> Shape | None:
        """Return the shape of a sample, for that of the first layer inside."""
        return part_shape

    @staticmethod
    def _check_part(part: Layer, name: str) -> None:
        if not isinstance(part, Layer):
            raise DTypeError(f"{name} is {part!r}; expected a gatewise.layers object")
        in_use = part.model is not None or part._holder is not None
        if in_use or (part.built and not hasattr(part, "_inner")):
            raise ConfigError(f"{name}: layer {part.name!r} is in use already; give a new layer")

    def _refuse_several_seeds(self) -> None:
        seeds_given = {"seed": self._seed_given} | {
            f"{name}'s seed": part.seed
            for name, part in self._parts.items()
            if hasattr(part, "seed")
        }
        given = {name: seed for name, seed in seeds_given.items() if seed is not None}
        if len(set(given.values())) > 1:
            raise ConfigError(
                f"{type(self).__name__}:"
                f" {' and '.join(f'{name} is {seed}' for name, seed in given.items())}; all layers"
                f" inside draw from one generator: give one seed, to {type(self).__name__}"
            )

    @property
    def seed(self) -> int | None:
        """Seed of the generator of this layer and of those inside, for a layer used alone."""
        if self._seed_given is not None:
            return self._seed_given
        return next(
            (part.seed for part in self._parts.values() if getattr(part, "seed", None) is not None),
            None,
        )

    # ---- freezing

    @property
    def trainable(self) -> bool:
        """Whether training changes parameters of a layer inside; setting it sets all of them.

        See :attr:`Layer.trainable`.
        """
        return any(part.trainable for part in self._parts.values())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for part in self._parts.values():
            part.trainable = value

    def _is_trained(self, name: str) -> bool:
        path, _, inner = name.partition("/")
        return self._parts[path]._is_trained(inner)

    @property
    def model(self) -> Any:
        """The Sequential that the layer and those inside belong to, or None."""
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model
        for part in self._parts.values():
            part.model = model

    # ---- building

    @property
    def rng(self) -> np.random.Generator | None:
        """The generator that the layers inside draw from; None before there is one."""
        return self._rng

    @rng.setter
    def rng(self, rng: np.random.Generator | None) -> None:
        self._rng = rng
        for part in self._parts.values():
            part.rng = rng

    def random_generator(self) -> np.random.Generator:
        if self.rng is None:
            self.rng = seeds.generator(self.seed)
        return self.rng

    def get_config(self) -> Config:
        config = super().get_config()
        return config if self._seed_given is None else config | {"seed": self._seed_given}

    def _share_guard(self, guard: WeightsGuard) -> None:
        super()._share_guard(guard)
        for part in self._parts.values():
            part._share_guard(guard)

    def _kind(self) -> str | None:
        kinds = [
            f"{path}: {part._kind()}"
            for path, part in self._parts.items()
            if part._kind() is not None
        ]
        return "; ".join(kinds) or None

    def _paths(self) -> list[str]:
        return [self.name, *(f"{self.name}/{path}" for path in self._parts)]

    def _set_dtype(self, dtype: DType) -> None:
        super()._set_dtype(dtype)
        for part in self._parts.values():
            part._set_dtype(dtype)

    def _unbuild(self) -> None:
        super()._unbuild()
        for part in self._parts.values():
            part._unbuild()

    def _part_input_shape(self, input_shape: Shape) -> Shape:
        """The input shape of the layers inside for an input of this shape."""
        return input_shape

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        for part in self._parts.values():
            part._describe(self._part_input_shape(input_shape))
        return self._specs_of_parts()

    def _specs_of_parts(self) -> list[ParameterSpec]:
        """The parameters of the layers inside, which have been described."""
        return [
            replace(spec, name=f"{path}/{spec.name}")
            for path, part in self._parts.items()
            for spec in part._specs
        ]

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        at = 0
        for part in self._parts.values():
            piece = slice(at, at + part._flat_size())
            part._adopt(parameters[piece], gradients[piece])
            at = piece.stop
        self._take_arrays()

    def _take_arrays(self) -> None:
        """Use the arrays of the layers inside themselves, not views of them.

        Writing to an array of this layer then writes to that of the layer inside.
        """
        for arrays in ("_parameters", "_gradients"):
            setattr(
                self,
                arrays,
                {
                    f"{path}/{name}": array
                    for path, part in self._parts.items()
                    for name, array in getattr(part, arrays).items()
                },
            )

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_model": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy or an unpickled layer.

        Its arrays may have been copied apart from those of the layers inside, so they are taken
        again.
        """
        super().__setstate__(state)
        for part in self._parts.values():
            part._holder = self
        self._take_arrays()

    def _check_weights(self, weights: Sequence[Any]) -> None:
        at = 0
        for part in self._parts.values():
            part._check_weights(weights[at : at + len(part._parameters)])
            at += len(part._parameters)

    def _initialize(self, rng: np.random.Generator) -> None:
        self.rng = rng
        for part in self._parts.values():
            part._initialize(rng)

    def _expose(self) -> None:
        super()._expose()
        for part in self._parts.values():
            part._expose()

    def _weights_changed(self) -> None:
        for part in self._parts.values():
            part._weights_changed()


class TimeDistributed(Container):
    """Apply a layer to each step by itself: (batch, steps, ...) becomes (batch, steps, ...).

    The layer inside does not see steps past the end of their row; the output is zero there. Dense,
    Dropout and Activation give the same without TimeDistributed. Flatten makes a row of each step.
    A recurrent layer inside reads each step of (batch, outer steps, steps, features) as a sequence;
    all these sequences have the same length. In a model that begins with a Masking or with
    ``Embedding(mask_zero=True)`` each has the steps that count there: a text of (batch, sentences,
    words) has sentences of different lengths.

    Parameters
    ----------
    layer : Layer or Model
        A new layer that is not used elsewhere, or a model, which keeps its weights. It is not
        stateful, and not a TimeDistributed. An Embedding, or a model that begins with one, reads
        whole numbers, which only the input of a model has.
    **kwargs
        `seed`, as the seed of the initial weights and the dropout of a layer used alone, and
        options of :class:`Layer`.

    Raises
    ------
    ConfigError
        The layer is in use already, or of a kind that cannot be inside.
    DTypeError
        `layer` is not a layer.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import LSTM, TimeDistributed
    >>> TimeDistributed(LSTM(4))(np.ones((2, 5, 7, 3), "float32")).shape
    (2, 5, 4)
    """

    @property
    def _limiting_activation(self) -> str | None:
        """That of the layer inside."""
        return self.layer._limiting_activation

    @property
    def _keeps_limits(self) -> bool:
        """That of the layer inside."""
        return self.layer._keeps_limits

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        self.layer: Any = layer_of(layer)
        super().__init__({"layer": self.layer}, **kwargs)

    @staticmethod
    def _shape_around(part_shape: Shape | None) -> Shape | None:
        return None if part_shape is None else (None, *part_shape)

    def _check_part(self, part: Layer, name: str) -> None:
        super()._check_part(part, name)
        if part.stateful:
            raise ConfigError(f"TimeDistributed takes no {kind_inside(part)}")
        if isinstance(part, TimeDistributed):
            raise ConfigError(
                "TimeDistributed takes no TimeDistributed; give it a Model that has one"
            )
        if part._returns_list:
            raise ConfigError(
                f"TimeDistributed: layer {part.name!r} returns a list of outputs; expected one"
            )

    def _part_input_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 3:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch, steps,"
                " ...)"
            )
        return (None, *input_shape[2:])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.layer._masks_steps and self.layer.keeps_steps:
            raise ConfigError(
                f"TimeDistributed: layer {self.layer.name!r} masks steps of each sequence, and its"
                " output still has these steps, so that the mask would be lost; give"
                " TimeDistributed a Model that ends with what reads them, such as an LSTM"
            )
        return (
            *input_shape[:2],
            *self.layer.compute_output_shape(self._part_input_shape(input_shape))[1:],
        )

    def _check_shape(self, x: Array) -> None:
        if x.ndim != len(self.input_shape):
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} expects {len(self.input_shape)} axes, "
                f"{self.input_shape}"
            )
        self.layer._check_shape(self._apart(x))

    # ---- values that only the input of a model has: the layer inside reads them

    @property
    def _first_only(self) -> bool:
        return self.layer._first_only

    @property
    def _padded_dtype(self) -> str | None:
        return self.layer._padded_dtype

    def _read_input(self, x: Any, dtype: DType, convert: bool) -> Array:
        return self.layer._read_input(x, dtype, convert)

    def _check_values(self, x: Array) -> Array:
        return self.layer._check_values(x)

    def _rows(self, x: Array, counted: BoolArray | None) -> Batch:
        """Each step that counts, as a row, whose own steps may not all count."""
        rows = self._apart(x, counted)
        if not self.layer._masks_steps:
            return Batch(rows)
        lengths, places = lengths_and_places(self.layer.compute_mask(rows))
        if lengths is None:
            return Batch(rows)
        if places is not None:
            rows = places.to_front(rows)
        return Batch(rows, Steps(lengths, places=places))

    @staticmethod
    def _apart(x: Array, counted: BoolArray | None = None) -> Array:
        """Each step that counts, as a row."""
        return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) if counted is None else x[counted]

    @staticmethod
    def _as_steps(rows: Array, shape: tuple[int, ...], counted: BoolArray | None = None) -> Array:
        """Rows as steps again, with zeros at the steps that do not count."""
        if counted is None:
            return rows.reshape(*shape[:2], *rows.shape[1:])
        steps = np.zeros((*shape[:2], *rows.shape[1:]), rows.dtype)
        steps[counted] = rows
        return steps

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        if self.layer.reads_steps or len(self.input_shape) != 3:
            return "each of its steps is a sequence or an image, not a vector"
        return self.layer._cannot_stream

    def _step_ops(self) -> list[StepOp]:
        return [replace(op, name=self.name) for op in self.layer._step_ops()]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        return self._run(self.layer.run, inputs, tape, node)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        return self._run_backward(self.layer.run_backward, gradients, tape, node, wanted)

    def _run(
        self, run: Callable[..., Batch], inputs: Batch, tape: Tape | None, node: Hashable
    ) -> Batch:
        """The output for one of the functions `run` and `_run_to_scores` of the layer inside."""
        x, lengths = inputs.values, inputs.lengths
        counted = None if lengths is None else counted_steps(lengths, x.shape[:2])
        carried = None if tape is None else tape.carried
        if tape is not None:
            tape.carried = None  # each step is a sequence of its own, which begins and ends here
        y = run(self._rows(x, counted), tape, (node, "layer")).values
        if tape is not None:
            tape.carried = carried
            tape.keep(node, {"shape": x.shape, "counted": counted})
        return inputs.with_values(self._as_steps(y, x.shape, counted))

    def _run_backward(
        self,
        run_backward: Callable[..., Any],
        gradients: Array,
        tape: Tape,
        node: Hashable,
        wanted: bool,
    ) -> Array | None:
        saved = tape.take(node)
        rows = self._apart(np.ascontiguousarray(gradients), saved["counted"])
        dx = run_backward(rows, tape, (node, "layer"), wanted)
        return self._as_steps(dx, saved["shape"], saved["counted"]) if wanted else None

    # If the layer inside ends in an activation that the loss can include, so does this one.

    @property
    def activation(self) -> Any:
        """The activation of the layer inside; None if it has none."""
        return self.layer.activation if self._gives_scores else None

    @property
    def _gives_scores(self) -> bool:
        return self.layer._gives_scores

    def _run_to_scores(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        return self._run(self.layer._run_to_scores, inputs, tape, node)

    def _run_backward_from_scores(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        return self._run_backward(
            self.layer._run_backward_from_scores, gradients, tape, node, wanted
        )

    def _activate_rows(self, z: Array, y: Array) -> Array:
        return self.layer._activate_rows(z, y)

    def get_config(self) -> Config:
        return super().get_config() | {"layer": layer_config(self.layer)}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**config | {"layer": layer_from_config(config.get("layer"), "layer")})


def kind_inside(part: Layer) -> str:
    """Return what a wrapper does not take, for its message."""
    if part.stateful:
        return "stateful layer"
    if hasattr(part, "_inner"):
        return f"model that begins with an Embedding or a Masking, as {part.name!r} does"
    return type(part).__name__


def layer_of(thing: Any) -> Any:
    """Return the layer that a model is inside others; a layer as it is."""
    make: Any = getattr(thing, "_make_layer", None)
    return thing if make is None else make()
