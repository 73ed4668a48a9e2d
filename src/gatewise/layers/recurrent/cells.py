"""Keras's cells: the cells of gatewise.cells, and how their weights begin and are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from gatewise import cells
from gatewise.errors import ConfigError

from .gru import GRU
from .lstm import LSTM
from .rnn import RNN
from .simple_rnn import SimpleRNN
from .stacked import StackedRNN

if TYPE_CHECKING:
    from .base import Recurrent


class _MakesLayer:
    """What turns a cell into its layer."""

    _layer_class: ClassVar[type[Any]]
    _arguments: dict[str, Any]  # of the layer
    _made: str | None  # name of the layer that was made
    dropout: float
    recurrent_dropout: float

    def _take(self, arguments: dict[str, Any]) -> None:
        """Check the arguments of the layer, and become a copy of its cell."""
        name = arguments.get("name") or "cell"
        layer = self._layer_class(**arguments | {"name": name})
        vars(self).update(vars(layer.cell))
        self._arguments, self._made = arguments, None
        vars(self).update(dropout=layer.dropout, recurrent_dropout=layer.recurrent_dropout)

    def _layer(self, **options: Any) -> Recurrent:
        """Return a new layer of this cell."""
        if self._made is not None:
            raise ConfigError(
                f"this {type(self).__name__} is the cell of layer {self._made!r} already; a cell"
                " holds no weights, so that two layers cannot share them: make a new cell, or use"
                " the layer twice"
            )
        layer = self._layer_class(**self._arguments | options)
        self._made = layer.name
        return layer

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse a call: a cell has no weights.

        Raises
        ------
        ConfigError
            Always.
        """
        name = type(self).__name__
        raise ConfigError(
            f"{name} holds no weights and cannot be called; RNN({name}(...)) can, also with one"
            " step: x of shape (batch, 1, features) and initial_state"
        )


class LSTMCell(_MakesLayer, cells.LSTMCell):
    """The cell of an LSTM, for :class:`RNN`: ``RNN(LSTMCell(8))`` is ``LSTM(8)``.

    It is a :class:`gatewise.cells.LSTMCell` that also has the arguments of :class:`LSTM` for
    initial values, penalties and dropout. A cell has no weights; the layer that RNN makes has them.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "tanh"
        Activation of the candidate and of the cell's output.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
        Initializers, by default "glorot_uniform", "orthogonal" and "zeros".
    unit_forget_bias : bool, default True
        The forget gate's bias starts at 1.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or Regularizer, optional
        Regularizers. None: no penalty.
    kernel_constraint, recurrent_constraint, bias_constraint : str or Constraint, optional
        Constraints. None: none.
    dropout : float in [0, 1), default 0.0
        Fraction of the inputs that is set to zero in training.
    recurrent_dropout : float in [0, 1), default 0.0
        The same for h' in the recurrent product.
    seed : int, optional
        Seed of initial weights and dropout of a layer used alone. None: a random one.
    **options
        Other options of :class:`LSTM` that belong to its cell.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> from gatewise.layers import RNN, LSTMCell
    >>> RNN(LSTMCell(4), return_sequences=True).forward([[[0.5], [1.0]]]).shape
    (1, 2, 4)
    """

    _layer_class = LSTM

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self._take(
            {
                "units": units,
                "activation": activation,
                "recurrent_activation": recurrent_activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "recurrent_initializer": recurrent_initializer,
                "bias_initializer": bias_initializer,
                "unit_forget_bias": unit_forget_bias,
                "kernel_regularizer": kernel_regularizer,
                "recurrent_regularizer": recurrent_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_constraint": recurrent_constraint,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "seed": seed,
                **options,
            }
        )


class GRUCell(_MakesLayer, cells.GRUCell):
    """The cell of a GRU, for :class:`RNN`: ``RNN(GRUCell(8))`` is ``GRU(8)``.

    It is a :class:`gatewise.cells.GRUCell` that also has the arguments of :class:`GRU` for
    initial values, penalties and dropout. A cell has no weights; the layer that RNN makes has them.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "tanh"
        Activation of the candidate.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
        Initializers, by default "glorot_uniform", "orthogonal" and "zeros".
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or Regularizer, optional
        Regularizers. None: no penalty.
    kernel_constraint, recurrent_constraint, bias_constraint : str or Constraint, optional
        Constraints. None: none.
    dropout : float in [0, 1), default 0.0
        Fraction of the inputs that is set to zero in training.
    recurrent_dropout : float in [0, 1), default 0.0
        The same for h' in the recurrent product.
    reset_after : bool, default True
        Whether the reset gate is applied after the recurrent product.
    seed : int, optional
        Seed of initial weights and dropout of a layer used alone. None: a random one.
    **options
        Other options of :class:`GRU` that belong to its cell.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> from gatewise.layers import RNN, GRUCell
    >>> RNN(GRUCell(4), return_sequences=True).forward([[[0.5], [1.0]]]).shape
    (1, 2, 4)
    """

    _layer_class = GRU

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self._take(
            {
                "units": units,
                "activation": activation,
                "recurrent_activation": recurrent_activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "recurrent_initializer": recurrent_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "recurrent_regularizer": recurrent_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_constraint": recurrent_constraint,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "reset_after": reset_after,
                "seed": seed,
                **options,
            }
        )


class SimpleRNNCell(_MakesLayer, cells.SimpleRNNCell):
    """The cell of a SimpleRNN, for :class:`RNN`: ``RNN(SimpleRNNCell(8))`` is ``SimpleRNN(8)``.

    It is a :class:`gatewise.cells.SimpleRNNCell` that also has the arguments of :class:`SimpleRNN`
    for initial values, penalties and dropout. A cell has no weights; the layer that RNN makes has
    them.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "tanh"
        Activation of h.
    use_bias : bool, default True
        Whether there is a bias.
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
        Initializers, by default "glorot_uniform", "orthogonal" and "zeros".
    kernel_regularizer, recurrent_regularizer, bias_regularizer : str or Regularizer, optional
        Regularizers. None: no penalty.
    kernel_constraint, recurrent_constraint, bias_constraint : str or Constraint, optional
        Constraints. None: none.
    dropout : float in [0, 1), default 0.0
        Fraction of the inputs that is set to zero in training.
    recurrent_dropout : float in [0, 1), default 0.0
        The same for h' in the recurrent product.
    seed : int, optional
        Seed of initial weights and dropout of a layer used alone. None: a random one.
    **options
        Other options of :class:`SimpleRNN` that belong to its cell.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> from gatewise.layers import RNN, SimpleRNNCell
    >>> RNN(SimpleRNNCell(4), return_sequences=True).forward([[[0.5], [1.0]]]).shape
    (1, 2, 4)
    """

    _layer_class = SimpleRNN

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self._take(
            {
                "units": units,
                "activation": activation,
                "use_bias": use_bias,
                "kernel_initializer": kernel_initializer,
                "recurrent_initializer": recurrent_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "recurrent_regularizer": recurrent_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_constraint": recurrent_constraint,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
                "seed": seed,
                **options,
            }
        )


# As in Keras, these are all RNNs for isinstance.
for _class in (SimpleRNN, LSTM, GRU, StackedRNN):
    RNN.register(_class)
