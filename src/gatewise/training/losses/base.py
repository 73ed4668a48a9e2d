"""What every loss shares: its mean over positions, weights, and the way into the kernels."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import Guarded
from gatewise.configuration import accepts, kept_arguments
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels import losses
from gatewise.memory import names_memory

from .weights import position_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewise._typing import Array, ArrayLike, BoolArray, Config

    from ..targets import Rule

EPSILON = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras


class Loss(Guarded, abc.ABC):
    """Base of all losses: the mean over positions of a value at each, and its gradient.

    A user-defined loss defines :meth:`position_values`; weights, padding and the mean are this
    class's work. It keeps the arguments of its constructor as attributes of the same names, so
    that files can hold them.

    Parameters
    ----------
    name : str, optional
        Default: the name of the class.
    **others
        Arguments of Keras that change nothing here are accepted if they have a value that does
        not ask for anything.

    Attributes
    ----------
    name : str
        Default: that of the class.

    Raises
    ------
    ArgumentError, DTypeError
        An argument is not known, or the name is no text.

    Examples
    --------
    >>> from gatewise.losses import Loss
    >>> class Cubic(Loss):
    ...     def position_values(self, y_true, y_pred, want_gradient):
    ...         e = abs(y_pred - y_true)
    ...         gradient = 3 * e * (y_pred - y_true) / e.shape[-1] if want_gradient else None
    ...         return (e**3).mean(axis=-1), gradient
    >>> Cubic()([[1.0, 2.0]], [[2.0, 4.0]])
    4.5
    """

    name: str = ""
    # The activation whose scores `value_and_gradient` takes with ``scores=True``.
    _fuses: ClassVar[str | None] = None
    _sparse: ClassVar[bool] = False  # targets are class numbers, without the class axis
    _one_hot: ClassVar[bool] = False  # targets are a column a class, 1 at the class of the row
    # A rule of training/targets.py: which targets there can be; None: any number.
    _takes: ClassVar[Rule | None] = None
    # A rule of training/outputs.py: which last activations and columns it can learn from; None:
    # any.
    _needs: ClassVar[Any] = None
    # Targets, values and weights are one a row of the batch, whatever its steps are.
    _per_sequence: ClassVar[bool] = False
    # In kernels/losses.pyx: for scores if the loss fuses with an activation, else for predictions.
    _kernel: ClassVar[str | None] = None
    # The value of a position is the mean of a value of each target, so that each target can have a
    # weight of its own. Outputs are the targets, or n times as many of them: all targets' first
    # output, then their second, ...
    _by_target: ClassVar[bool] = False

    _and_then = ", and compile the model with it"
    _renamed_hooks: ClassVar[Mapping[str, str]] = {"position_values": "_positions"}
    _callers_of_hooks: ClassVar[Mapping[str, str]] = {"position_values": "value_and_gradient"}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A class that defines a formula does not use the kernels and rules that it inherits.

        Those belong to another formula. What the class itself defines is used.
        """
        super().__init_subclass__(**kwargs)
        if not cls.name:
            cls.name = cls.__name__
        line = [vars(base) for base in cls.__mro__]
        inherited = {
            "_kernel": None,
            "_fuses": None,
            "_by_target": False,
            "_takes": None,
            "_needs": None,
        }
        first = {
            name: next(i for i, names in enumerate(line) if name in names)
            for name in ("position_values", *inherited)
        }
        for name, without in inherited.items():
            if first["position_values"] < first[name]:
                setattr(cls, name, without)

    @classmethod
    def _advice_on_hooks(cls) -> str:
        call = (
            "; its call(y_true, y_pred), Keras's, gives no gradient" if hasattr(cls, "call") else ""
        )
        return f": docs/losses-and-metrics.md shows a user-defined loss{call}"

    def __init__(self, name: str | None = None, **others: Any) -> None:
        checks.refuse_unknown_arguments(others, "loss", type(self).__name__, self._argument_names)
        if name is not None and name != type(self).name:
            self.name = checks.text(name, "name")

    @property
    def _option(self) -> float:
        """The kernel's number beside the arrays."""
        return 0.0

    @names_memory
    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """The loss of predictions.

        Parameters
        ----------
        y_true : array_like
            Targets, of the shape of the predictions or without a last axis of extent 1.
        y_pred : array_like (..., outputs)
            Predictions.
        sample_weight : array_like, optional
            A weight for each sample or position, or, if the loss is a mean over targets, for each
            target. None: all count once.

        Returns
        -------
        float

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            The arrays do not fit each other.
        ConfigError
            Targets have values that the loss cannot have.
        """
        return self._value_of(y_true, y_pred, sample_weight)

    def _value_of(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None, **call: Any
    ) -> float:
        """The loss of what a user gave; `call` passes it on to value_and_gradient."""
        y_pred = np.require(y_pred, requirements="A")
        if y_pred.dtype.kind not in "buif":
            raise DTypeError(
                f"y_pred holds {y_pred.dtype} values; loss {self.name} expects numbers"
            )
        if y_pred.ndim == 0:
            raise ShapeError(f"y_pred is a single number; loss {self.name} expects (..., outputs)")
        if y_pred.dtype not in (np.float32, np.float64):
            y_pred = y_pred.astype(np.float64)
        if y_pred.ndim == 1 and sample_weight is not None:
            if not self._by_target or np.shape(y_true) not in (y_pred.shape, (*y_pred.shape, 1)):
                raise ShapeError(
                    f"y_pred has shape {y_pred.shape}, which is one row of outputs; with"
                    f" sample_weight loss {self.name} expects (samples, outputs)"
                )
            y_pred = y_pred[:, None]  # samples of one output, of which each can have a weight
        y_true = self.prepare(y_true, y_pred.shape, y_pred.dtype)
        shape = y_pred.shape[:1] if self._per_sequence else y_pred.shape[:-1]
        weights = (
            None
            if sample_weight is None
            else position_weights(sample_weight, shape, None, self, y_pred.shape[-1])
        )
        self._check_targets(y_true, weights)
        return self.value_and_gradient(y_true, y_pred, weights, want_gradient=False, **call)[0]

    def prepare(self, y_true: ArrayLike, shape: Sequence[int], dtype: Any) -> Array:
        """Turn targets into an array that fits predictions of a shape.

        Parameters
        ----------
        y_true : array_like
            Targets.
        shape : tuple of int
            That of the predictions.
        dtype : dtype
            That of the predictions.

        Returns
        -------
        ndarray
            What :meth:`value_and_gradient` takes.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
        """
        y = checks.finite(checks.float_array(y_true, "y", dtype, convert=True), "y")
        expected = (*shape[:-1], self._targets(shape[-1]))
        if y.ndim == len(shape) - 1 and expected[-1] == 1:
            y = y[..., None]
        if y.shape != expected:
            alike = expected == tuple(shape)
            raise ShapeError(
                f"y has shape {y.shape}, the model's output has {tuple(shape)}; loss {self.name}"
                f" expects {'the same shape' if alike else f'targets of shape {expected}'}"
                + self._class_numbers_hint(y, shape)
            )
        return y

    def _class_numbers_hint(self, y: Array, shape: Sequence[int]) -> str:
        """What to do about targets that look like class numbers where rows are expected."""
        alone = y.shape in (tuple(shape[:-1]), (*shape[:-1], 1))
        if not (self._one_hot and alone and y.size and (y == np.round(y)).all() and y.min() >= 0):
            return ""
        return (
            ". y looks like class numbers: take loss 'sparse_categorical_crossentropy', or make"
            f" rows of them, gatewise.utils.to_categorical(y, {shape[-1]})"
        )

    def _check_targets(
        self, y_true: Array, weights: Array | None = None, places: Any = None
    ) -> None:
        """Refuse prepared targets that this loss cannot have, at positions that count.

        See :mod:`gatewise.training.targets`.

        Raises
        ------
        ConfigError
        """
        if self._takes is not None:
            self._takes.check(y_true, weights, "y", f"loss {self.name}", places)

    def _targets(self, outputs: int) -> int:
        """Columns of the targets for this number of outputs."""
        return outputs

    def _counted(self, y_true: Array) -> BoolArray | None:
        """Which positions of prepared targets count; None: all."""
        return None

    def value_and_gradient(
        self,
        y_true: Array,
        y_pred: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        *,
        scores: bool = False,
        want_gradient: bool = True,
    ) -> tuple[float, Array | None]:
        """The loss, and its gradient with respect to the predictions or scores.

        Parameters
        ----------
        y_true : ndarray
            What :meth:`prepare` returned.
        y_pred : ndarray (..., outputs), float32 or float64
            Predictions, or with ``scores=True`` the scores before the activation.
        weights : ndarray of shape y_pred.shape[:-1], optional
            Predictions of weight 0 may be anything: they are not counted, and have a gradient of 0.
            If the loss is a mean over targets, also of the shape of y_true. None: all count once.
        normalizer : float, optional
            What the weighted sum of values is divided by. None: the number of positions.
        scores : bool, default False
            Whether y_pred holds scores: for losses that fuse with an activation, such as softmax.
        want_gradient : bool, default True
            Whether the gradient is wanted.

        Returns
        -------
        value : float
            The loss.
        gradient : ndarray like y_pred, or None
            None if it is not wanted.

        Raises
        ------
        ConfigError
            Scores are given to a loss that starts from predictions.
        """
        if scores and self._fuses is None:
            raise ConfigError(
                f"loss {self.name} starts from predictions; it fuses with no activation"
            )
        if weights is not None and weights.ndim == y_pred.ndim:
            return self._of_each_target(y_true, y_pred, weights, normalizer, scores, want_gradient)
        positions = y_pred.size // y_pred.shape[-1] if y_pred.shape[-1] else 0
        if normalizer is None:
            normalizer = positions
        if normalizer == 0 or positions == 0:  # an empty batch, or every step padded
            return 0.0, np.zeros_like(y_pred) if want_gradient else None
        kernel = self._kernel if scores == (self._fuses is not None) else None
        if kernel is not None:
            gradient = np.empty(y_pred.shape, y_pred.dtype) if want_gradient else None
            rows = (positions, y_pred.shape[-1])
            total = losses.total(
                kernel,
                y_true.reshape(-1) if self._sparse else np.ascontiguousarray(y_true).reshape(rows),
                np.ascontiguousarray(y_pred).reshape(rows),
                None if weights is None else np.ascontiguousarray(weights, np.float64).reshape(-1),
                1 / normalizer,
                None if gradient is None else gradient.reshape(rows),
                threads.threads_for(20 * y_pred.size),
                self._option,
            )
            return total / normalizer, gradient
        # what is not finite shows in the loss, and does not matter past a row's end
        with np.errstate(all="ignore"):
            given: Any = self.position_values(y_true, y_pred, want_gradient)
            values, gradient = given
            if weights is not None:
                values = np.where(weights == 0, 0, np.multiply(values, weights, dtype=np.float64))
                if want_gradient:
                    gradient = np.where(
                        (weights == 0)[..., None],
                        0,
                        gradient * weights[..., None].astype(y_pred.dtype),
                    )
            if want_gradient:
                gradient *= y_pred.dtype.type(1 / normalizer)
        return float(values.sum(dtype=np.float64) / normalizer), gradient

    def _of_each_target(
        self,
        y_true: Array,
        y_pred: Array,
        weights: Array,
        normalizer: float | None,
        scores: bool,
        want_gradient: bool,
    ) -> tuple[float, Array | None]:
        """The same with a weight for each target: each target becomes a position of its own."""
        targets = y_true.shape[-1]
        each = y_pred.shape[-1] // targets
        apart = np.ascontiguousarray(
            y_pred.reshape(*y_pred.shape[:-1], each, targets).swapaxes(-1, -2)
        )
        value, gradient = Loss.value_and_gradient(
            self,
            y_true[..., None],
            apart,
            weights,
            None if normalizer is None else normalizer * targets,
            scores=scores,
            want_gradient=want_gradient,
        )
        return value, None if gradient is None else gradient.swapaxes(-1, -2).reshape(y_pred.shape)

    @abc.abstractmethod
    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        """The value at each position, and the gradient of their sum: for subclasses to define.

        Parameters
        ----------
        y_true : ndarray (..., targets)
            Targets, of the dtype of the predictions.
        y_pred : ndarray (..., outputs), float32 or float64
            Predictions.
        want_gradient : bool
            Whether the gradient is wanted.

        Returns
        -------
        values : ndarray (...)
            One for each position.
        gradient : ndarray like y_pred, or None
            With respect to y_pred; None if it is not wanted.
        """

    def get_config(self) -> Config:
        """The arguments of the constructor as JSON values.

        Returns
        -------
        dict
            The arguments by name.
        """
        kept = kept_arguments(self)
        return kept | self._name_given() if accepts(type(self), "name") else kept

    def _name_given(self) -> Config:
        """{"name": name} if the loss was given one, for :meth:`get_config`."""
        return {"name": self.name} if "name" in vars(self) else {}
