"""RNN: a recurrent layer of a cell: a user-defined one, one of the library's, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.cells import RNNCell, published
from gatewise.errors import ArgumentError, ConfigError, DTypeError, ShapeError
from gatewise.layers.base import Layer
from gatewise.layers.weights import WeightOptions
from gatewise.registry import Registry

from .stacked import StackedRNN, StackedRNNCells
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
    """Recurrent layer of a cell.

    ``RNN(LSTMCell(8))`` makes an ``LSTM(8)``, and so do :class:`GRUCell` and
    :class:`SimpleRNNCell` their layers, which run in the kernels. ``RNN([cell, cell])`` makes a
    :class:`StackedRNN`. All of these are RNNs for ``isinstance``.

    A user-defined cell runs in NumPy, step by step. A row without steps has its initial first state
    as its output if that is what the cell's output is (``output_size`` None), else zeros. The loop
    over time is in Python: the cells of the library are far faster.

    Parameters
    ----------
    cell : gatewise.cells.RNNCell, LSTMCell, GRUCell, SimpleRNNCell, StackedRNNCells, or list
        The cell. A list is several cells, the first of which reads the input.
    return_sequences : bool, default False
        Return the outputs of all steps (batch, steps, units), zeros past a row's end, instead of
        the last output (batch, units).
    return_state : bool, default False
        Return ``[output, *states]``.
    go_backwards : bool, default False
        Visit the steps of each row from last to first; the outputs are in that order.
    stateful : bool, default False
        A call starts from the final state of the last call.
    zero_output_for_mask : bool, optional
        Output at steps that do not count, see :class:`Recurrent`.
    seed : int, optional
        Seed of the initial weights of a layer used alone. None: a random one.
    **kwargs
        Arguments of :class:`Layer`.

    Raises
    ------
    ConfigError
        The cell is that of another layer already.
    DTypeError
        `cell` is not a cell.
    ArgumentError
        An argument is not known, or belongs to the cell.

    Examples
    --------
    >>> from gatewise.cells import FullGateLSTMCell
    >>> from gatewise.layers import RNN
    >>> RNN(FullGateLSTMCell(4)).forward([[[0.5, 1.0]]]).shape
    (1, 4)
    """

    def __new__(
        cls,
        cell: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> Any:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        of_library = hasattr(cell, "_layer") and not isinstance(cell, type)
        if cls is not RNN or not (isinstance(cell, StackedRNNCells) or of_library):
            return super().__new__(cls)  # a user-defined cell, or none: copies come without
        _refuse_options_of_cells(kwargs)
        options: Config = kwargs | {
            "return_sequences": return_sequences,
            "return_state": return_state,
            "go_backwards": go_backwards,
            "stateful": stateful,
            "zero_output_for_mask": zero_output_for_mask,
        }
        if seed is not None:  # else that of the cell
            options["seed"] = seed
        if isinstance(cell, StackedRNNCells):
            return StackedRNN([cls(each) for each in cell.cells], **options)
        return cell._layer(**options)

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
                " gatewise.cells.RNNCell, or a cell of gatewise.layers: LSTMCell, GRUCell,"
                " SimpleRNNCell"
            )
        _refuse_options_of_cells(kwargs)
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
        self._width = cell.output_width  # raises if the cell's sizes are wrong

    def _kind(self) -> str | None:
        return None  # nothing is known about a user-defined cell

    @property
    def units(self) -> int:
        """Width of the output."""
        return self._width

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "its steps are computed in NumPy, not in a kernel"

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        shapes, name = self.cell.parameter_shapes(input_shape[-1]), type(self.cell).__name__
        if not isinstance(shapes, dict):
            raise DTypeError(
                f"{name}.parameter_shapes returned {shapes!r}; expected a dict of name to shape"
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
        """Make a layer from its configuration.

        The class of a user-defined cell is looked up by its name in the objects of
        :func:`gatewise.utils.custom_object_scope`.

        Parameters
        ----------
        config : dict
            What :meth:`get_config` has returned.

        Returns
        -------
        RNN
            A new layer, which is not built.
        """
        arguments: Config = config | {"cell": CELLS.deserialize(config["cell"])}
        return cls(**arguments)


def _refuse_options_of_cells(options: Config) -> None:
    for name in options.keys() & _OF_KERNEL_LAYERS:
        raise ArgumentError(
            f"RNN takes no argument {name!r}: the cell determines its parameters and dropout"
        )


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
