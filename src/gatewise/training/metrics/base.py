"""The base of all metrics: what they sum over batches, in variables, and their state."""

from __future__ import annotations

import abc
import copy
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.checkpoint.codec import is_numeric, is_storable, storable
from gatewise.configuration import kept_arguments
from gatewise.errors import CheckpointError, ConfigError, ShapeError

from .variables import Variable, lasting, new_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, ArrayLike, Config

    from ..targets import Rule


class Metric(Guarded, abc.ABC):
    """Base of all metrics: sums over any number of batches, and a result of them.

    A user-defined metric defines :meth:`update_state`, :meth:`result` and, unless everything it
    sums is in variables of :meth:`add_variable`, :meth:`reset_state`, as in Keras. Its variables,
    and attributes that are numbers and arrays, go into checkpoints; a metric that has anything else
    also defines :meth:`get_state` and :meth:`set_state`: docs/losses-and-metrics.md.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here are accepted if they have a value that does
        not ask for anything.

    Attributes
    ----------
    name : str
        Default: that of the class.
    dtype : str
        "float64": that of sums and variables.
    direction : {"up", "down"} or None
        Which values are better; None: not known.

    Examples
    --------
    >>> from gatewise.metrics import Metric
    >>> class Largest(Metric):
    ...     def reset_state(self):
    ...         self.largest = 0.0
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest = max(self.largest, abs(y_pred - y_true).max())
    ...     def result(self):
    ...         return float(self.largest)
    >>> import numpy as np
    >>> Largest()(np.array([1.0, 2.0]), np.array([1.5, 4.0]))
    2.0
    """

    default_name: str = ""  # empty: the name of the class in small letters
    name: str
    dtype: str = "float64"
    direction: str | None = None
    # True: targets are class numbers, without the class axis; None: those, or one-hot.
    _sparse: ClassVar[bool | None] = False
    # A rule of training/targets.py for targets that are no class numbers; None: any number.
    _takes: ClassVar[Rule | None] = None
    # Each output is a value of its own: n predictions in one row are n positions of one output.
    _elementwise: ClassVar[bool] = False
    _per_sequence: ClassVar[bool] = False  # targets are one a row of the batch, as for CTC
    _parts: Sequence[str] = ()  # names of the sums
    _and_then = ", and compile the model with it"
    # Of add_variable: pairs of a Variable and the number that it begins with.
    _variables: Any = ()

    def __init__(self, name: str | None = None, **others: Any) -> None:
        checks.refuse_unknown_arguments(others, "metric", type(self).__name__, self._argument_names)
        default = type(self).__name__.lower() if not self.default_name else self.default_name
        self.name = default if name is None else checks.text(name, "name")
        self._variables = []
        self._sums: dict[str, Any] = dict.fromkeys(self._parts, 0.0)
        try:
            self.reset_state()
        except AttributeError:
            if not self._is_user_defined():
                raise  # a user-defined one may reset what its constructor has yet to make

    @classmethod
    def _advice_on_hooks(cls) -> str:
        return ": docs/losses-and-metrics.md shows a user-defined metric"

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: str | float | None = "zeros",
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Add a sum to a user-defined metric, as in Keras.

        It has ``assign``, ``assign_add`` and ``value``.
        ``reset_state`` gives it its first value again, and checkpoints hold it.

        Parameters
        ----------
        shape : tuple of int, default ()
            Shape of the variable; (): one number.
            Shape of the array.
        initializer : {"zeros", "ones"} or float, default "zeros"
            The initializer to describe.
        dtype : dtype, optional
            Variables are float64 whatever it is.
        name : str, optional
            For the reader; nothing depends on it.

        Returns
        -------
        Variable
            An ndarray of `shape`, float64.

        Raises
        ------
        ConfigError, DTypeError
            An argument cannot be used.
        """
        if name is not None:
            checks.text(name, "name")
        variable = new_variable(shape, initializer, dtype)
        self._variables.append((variable, variable.flat[0] if variable.size else 0.0))
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: str | float | None = "zeros",
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """:meth:`add_variable` by its other name.

        Parameters
        ----------
        shape : tuple of int, default ()
            Shape of the variable; (): one number.
        initializer : {"zeros", "ones"} or float, default "zeros"
            Its first value.
        dtype : dtype, optional
            Variables are float64 whatever it is.
        name : str, optional
            For the reader; nothing depends on it.

        Returns
        -------
        Variable
            See :meth:`add_variable`.
        """
        return self.add_variable(shape, initializer, dtype, name)

    @property
    def variables(self) -> list[Variable]:
        """The variables of :meth:`add_variable`."""
        return [variable for variable, _ in self._variables]

    def reset_state(self) -> None:
        """Forget all batches."""
        self._sums = dict.fromkeys(self._parts, 0.0)
        for variable, start in self._variables:
            variable.assign(start)

    @abc.abstractmethod
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add one batch: for subclasses to define.

        Parameters
        ----------
        y_true, y_pred : array_like (..., outputs)
            Targets of one output, and class numbers, may lack the last axis.
        sample_weight : array_like, optional
            A weight for each sample or each position. In ``fit`` it is 0 at padding, where arrays
            may hold anything; None: all count once.
        """

    @abc.abstractmethod
    def result(self) -> Any:
        """The metric of all batches so far: for subclasses to define.

        Returns
        -------
        float or ndarray
            An ndarray if there are several values. The library's metrics return 0.0 before any
            batch.
        """

    def _accumulate(self, **parts: Any) -> None:
        """Add to sums; arrays have one shape from the first batch on."""
        for name, value in parts.items():
            if np.ndim(self._sums[name]) and np.shape(self._sums[name]) != np.shape(value):
                raise ShapeError(
                    f"metric {self.name} has seen batches whose sums have shape"
                    f" {np.shape(self._sums[name])}, this one gives {np.shape(value)}; expected as"
                    " many outputs as before: call reset_state() first"
                )
        for name, value in parts.items():
            self._sums[name] = self._sums[name] + value

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """The result of one batch alone.

        Parameters
        ----------
        y_true, y_pred : array_like (..., outputs)
            Targets and predictions.
        sample_weight : array_like, optional
            A weight for each sample or position; None: all count once.

        Returns
        -------
        float or ndarray
        """
        self.reset_state()
        self.update_state(y_true, y_pred, sample_weight)
        return lasting(self.result())

    def get_state(self) -> dict[str, Any]:
        """The sums so far, from which :meth:`set_state` continues.

        Returns
        -------
        dict
            A float or an ndarray of float64 by name.

        Raises
        ------
        ConfigError
            A user-defined metric has a value that no file can hold.
        """
        sums = {
            name: value.copy() if isinstance(value, np.ndarray) else value
            for name, value in self._sums.items()
        }
        if not self._is_user_defined():
            return sums
        variables = (
            {"variables": [np.array(variable) for variable in self.variables]}
            if self._variables
            else {}
        )
        return {"sums": sums, "attributes": self._attributes(), **variables}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`get_state` returned, perhaps in another process.

        Parameters
        ----------
        state : dict
            What :meth:`get_state` returned.

        Raises
        ------
        CheckpointError
            These are not the sums of such a metric; nothing has changed.
        """
        attributes: dict[str, Any] = {}
        variables: list[Array] = []
        if self._is_user_defined():
            parts = {"sums", "attributes", *(("variables",) if self._variables else ())}
            if not (
                isinstance(state, dict)
                and state.keys() == parts
                and isinstance(state["attributes"], dict)
            ):
                raise CheckpointError(
                    f"state of metric {self.name} is {state!r:.80}; expected"
                    f" {', '.join(sorted(parts))}"
                )
            variables = self._read_variables(state.get("variables", []))
            state, attributes = state["sums"], state["attributes"]
            self._check_attributes(attributes)
        if not isinstance(state, dict) or set(state) != set(self._parts):
            held = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise CheckpointError(
                f"state of metric {self.name} holds {held}; expected {sorted(self._parts)}"
            )
        sums = {name: self._read_sum(value, name) for name, value in state.items()}
        if not self._state_fits(sums):
            raise CheckpointError(
                f"state of metric {self.name} has arrays of shapes"
                f" { ({name: np.shape(value) for name, value in sums.items()}) }, which do not fit"
                " its arguments"
            )
        self._sums = sums
        vars(self).update(attributes)
        for variable, value in zip(self.variables, variables):
            variable.assign(value)

    def _read_variables(self, saved: Any) -> list[Array]:
        shapes = [variable.shape for variable in self.variables]
        good = isinstance(saved, list) and all(
            isinstance(value, np.ndarray) and value.dtype == np.float64 for value in saved
        )
        if not good or [value.shape for value in saved] != shapes:
            raise CheckpointError(
                f"state of metric {self.name} has variables {saved!r:.80}; expected float64 of"
                f" shapes {shapes}"
            )
        return saved

    # ---- user-defined metrics, which may have anything in attributes

    def _is_user_defined(self) -> bool:
        return not type(self).__module__.startswith("gatewise.")

    def _attributes(self) -> dict[str, Any]:
        """dict of name to value of what a file can hold: numbers, text, arrays."""
        kept, changed = {}, None
        for name, value in vars(self).items():
            if name in ("name", "_sums", "_variables") or isinstance(value, Variable):
                continue
            if is_storable(value):
                kept[name] = storable(value)
                continue
            changed = self._changed_by_reset() if changed is None else changed
            if name in changed:
                raise ConfigError(
                    f"metric {self.name} keeps {name}, a {type(value).__name__}, which no"
                    " checkpoint can hold in the middle of an epoch; keep numbers and arrays, or"
                    " define get_state and set_state"
                )
        return kept

    def _changed_by_reset(self) -> set[str]:
        """Names of the attributes that are what has been seen, rather than arguments."""
        fresh = copy.deepcopy(self)
        before = dict(vars(fresh))
        fresh.reset_state()
        return {name for name, value in vars(fresh).items() if value is not before.get(name)}

    def _check_attributes(self, saved: dict[str, Any]) -> None:
        here = vars(self)
        for name, value in saved.items():
            now = here.get(name)
            alike = (
                is_numeric(value) and value.dtype.kind == now.dtype.kind
                if isinstance(now, np.ndarray)
                else (
                    isinstance(value, str)
                    if isinstance(now, str)
                    else now is None
                    or (
                        isinstance(now, bool | int | float | np.generic)
                        and isinstance(value, int | float)
                    )
                )
            )
            kept_elsewhere = name in ("name", "_sums", "_variables") or isinstance(now, Variable)
            if name not in here or kept_elsewhere or not (alike or value is None):
                raise CheckpointError(
                    f"state of metric {self.name}: {name} is {value!r:.80}, which does not"
                    f" fit {now!r:.80}, its value after reset_state"
                )

    def _read_sum(self, value: Any, name: str) -> float | Array:
        if isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim:
            return value.copy()
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                pass
        of_dtype = f" of {value.dtype}" if isinstance(value, np.ndarray) else ""
        raise CheckpointError(
            f"state of metric {self.name}: {name} is a {type(value).__name__}{of_dtype}; expected"
            " float64 numbers"
        )

    def _state_fits(self, sums: dict[str, Any]) -> bool:
        """Whether sums of a file have the shapes that this metric's sums have."""
        return all(np.ndim(value) == 0 for value in sums.values())

    def get_config(self) -> Config:
        """The arguments of the constructor as JSON values.

        Returns
        -------
        dict
            The arguments by name.

        Notes
        -----
        A user-defined class keeps them as attributes of the same names, or overrides this.
        """
        return (
            kept_arguments(self)
            if type(self).get_config is Metric.get_config
            else {"name": self.name}
        )
