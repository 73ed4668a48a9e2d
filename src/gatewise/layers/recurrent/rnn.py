"""RNN: a recurrent layer around a user's own cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.cells import RNNCell, published
from gatewise.errors import ArgumentError, ConfigError, DTypeError, ShapeError
from gatewise.layers.base import Layer
from gatewise.layers.weights import WeightOptions
from gatewise.registry import Registry

from .stepwise import Stepwise

if TYPE_CHECKING:
    from typing import Self

    from gatewise._typing import Config
    from gatewise.layers.specs import ParameterSpec

CELLS: Registry[RNNCell] = Registry(
    "cell",
    RNNCell,
    [getattr(published, name) for name in published.__all__],
    namespace="gatewise.cells",
)


class RNN(Stepwise):
    """A user's own cell, written in NumPy, walked through time.

    A row of no steps has its initial first state as the output where that is what the cell's output
    is (``output_size`` None), else zeros. The time loop is Python: :class:`LSTM`, :class:`GRU` and
    :class:`SimpleRNN` are far faster.

    Parameters
    ----------
    cell : gatewise.cells.RNNCell
    return_sequences : bool
        Output (batch, steps, units), zeros past a row's end, instead of the last (batch, units).
    return_state : bool
        Return ``[output, *states]``.
    go_backwards : bool
        Visit each row's true steps from last to first; outputs come in that order.
    stateful : bool
        A call starts from the state that the last one left.
    zero_output_for_mask : bool, optional
        See :class:`Recurrent`.
    seed : int, optional
        Of the initial weights of a layer used alone.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(cell, RNNCell):
            raise DTypeError(
                f"cell is {cell!r}; expected an object of a class that derives from"
                " gatewise.cells.RNNCell (for the cells of the library use the layers SimpleRNN,"
                " LSTM and GRU)"
            )
        for name in kwargs.keys() & _OF_KERNEL_LAYERS:
            raise ArgumentError(
                f"RNN takes no argument {name!r}: its cell decides about its parameters, and about"
                " dropout"
            )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            zero_output_for_mask=zero_output_for_mask,
            seed=seed,
            **kwargs,
        )
        self._width = cell.output_width  # raises where the cell's sizes are none

    def _kind(self) -> str | None:
        return None  # nothing is known of a user's cell

    @property
    def units(self) -> int:
        """Width of the output."""
        return self._width

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        shapes, name = self.cell.parameter_shapes(input_shape[-1]), type(self.cell).__name__
        if not isinstance(shapes, dict):
            raise DTypeError(
                f"{name}.parameter_shapes gave {shapes!r}; expected a dict of name to shape"
            )
        for option in ("initializers", "regularizers", "constraints"):
            for parameter in getattr(self.cell, option).keys() - shapes.keys():
                raise ConfigError(
                    f"{name}.{option} names {parameter!r}; expected one of {', '.join(shapes)}"
                )
        return [
            self._spec(parameter, checks.shape_tuple(shape, f"the shape of {parameter}"))
            for parameter, shape in shapes.items()
        ]

    def _spec(self, name: str, shape: tuple[int, ...]) -> ParameterSpec:
        if None in shape:
            raise ShapeError(f"{self.name}/{name} has shape {shape}; expected known extents")
        usual = (
            "zeros"
            if len(shape) < 2
            else "orthogonal"
            if name.startswith("recurrent")
            else "glorot_uniform"
        )
        cell = self.cell
        return WeightOptions(
            name,
            cell.initializers.get(name, usual),
            cell.regularizers.get(name),
            cell.constraints.get(name),
        ).spec(name, shape)

    def get_config(self) -> Config:
        options = ("return_sequences", "return_state", "go_backwards", "stateful", "seed")
        if self.zero_output_for_mask is not None:
            options += ("zero_output_for_mask",)
        return Layer.get_config(self) | {
            "cell": CELLS.serialize(self.cell),
            **{option: getattr(self, option) for option in options},
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """A new layer from :meth:`get_config`.

        A user-defined cell is found by the name of its class among the objects of
        :func:`gatewise.utils.custom_object_scope`.
        """
        return cls(**config | {"cell": CELLS.deserialize(config["cell"])})


_OF_KERNEL_LAYERS = {
    "dropout",
    "recurrent_dropout",
    "learned_initial_state",
    *(
        f"{place}_{kind}"
        for place in ("kernel", "recurrent", "bias")
        for kind in ("initializer", "regularizer", "constraint")
    ),
}
