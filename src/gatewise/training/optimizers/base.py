"""What all optimizers share: a step over one flat vector, its options, and what is accumulated.

An optimizer never sees layers: a step takes the flat parameters and gradients of a model, and the
places and names of its arrays if an option works array by array (``clipnorm``,
``exclude_from_weight_decay``).
"""

from __future__ import annotations

import abc
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import Guarded
from gatewise.configuration import accepts
from gatewise.errors import CheckpointError, ConfigError, DTypeError, GatewiseError, StateError
from gatewise.kernels._memory import reserve

from .. import schedules
from .accumulation import accumulate
from .averaging import update_average
from .clipping import clip_norm, clip_values
from .decay import checked_expressions, decay_pieces, decaying
from .frozen import update_parts
from .options import iterations, option
from .state import Snapshot, begun, check_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self, TypeVar

    from gatewise._typing import Array, Config

    Update = TypeVar("Update", bound=Callable[..., None])


def elementwise(update: Update) -> Update:
    """Mark an ``update`` in which no element looks at another: it may be done part by part."""
    update.elementwise = True  # type: ignore[attr-defined]
    return update


class Optimizer(Guarded, abc.ABC):
    """Base of all optimizers: the options that all have, and a step over flat vectors.

    A user-defined optimizer defines :meth:`update`, and :meth:`slot_names` if it accumulates
    arrays; its constructor hands ``**kwargs`` on to this one.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        From 0. A schedule gives the rate of each step from the number of steps before it.
    weight_decay : float, optional
        From 0. Before each step every parameter loses `learning_rate * weight_decay` of itself
        (Loshchilov and Hutter 2019). Default None: 0.
    clipnorm, clipvalue, global_clipnorm : float, optional
        Above 0, at most one of them: scale each array's gradient to at most this norm; clip each
        element to [-v, v]; scale the whole gradient to at most this norm. Default None: do not.
    use_ema : bool, default False
        Maintain a running mean of the parameters (Polyak and Juditsky 1992). :meth:`finalize`
        makes it the parameters at the end of training.
    ema_momentum : float, default 0.99
        In [0, 1]: the share of the mean that stays at each step. The mean starts as the parameters
        after the first step.
    ema_overwrite_frequency : int, optional
        Number of steps after which the mean becomes the parameters. None: only at the end.
    gradient_accumulation_steps : int, optional
        At least 2: this many calls of :meth:`step` make one step, with the mean of their
        gradients. As in Keras, a schedule and the running mean count calls, all else counts steps.
        Default None: each call is a step.
    name : str, optional
        Default: the name of the class in small letters; "SGD" of :class:`SGD`, as in Keras.
    **others
        Arguments of Keras that change nothing here are accepted if they have a value that does
        not ask for anything.

    Attributes
    ----------
    learning_rate : float
        Rate of the next step.
    iterations : int
        Number of steps made.

    Raises
    ------
    ConfigError, DTypeError
        An option has a value that cannot be used, or two options exclude each other.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import Optimizer
    >>> class Signs(Optimizer):
    ...     def update(self, p, g, rate, decay, work):
    ...         p -= rate * np.sign(g) + decay * p
    >>> p = np.array([1.0, 2.0])
    >>> Signs(0.5).step(p, np.array([3.0, -4.0]), [slice(0, 2)])
    >>> p
    array([0.5, 2.5])
    """

    weight_decay: float | None = option(checks.number, optional=True, low=0.0)
    clipnorm: float | None = option(checks.number, optional=True, low=0.0, open_low=True)
    clipvalue: float | None = option(checks.number, optional=True, low=0.0, open_low=True)
    global_clipnorm: float | None = option(checks.number, optional=True, low=0.0, open_low=True)
    use_ema: bool = option(checks.flag)
    ema_momentum: float = option(checks.number, low=0.0, high=1.0)
    ema_overwrite_frequency: int | None = option(checks.whole_number, optional=True, low=1)
    gradient_accumulation_steps: int | None = option(checks.whole_number, optional=True, low=2)
    iterations: int = iterations()
    name: str
    _always_shown = ("learning_rate",)
    _and_then = ", and compile the model with it"
    _renamed_hooks: ClassVar[Mapping[str, str]] = {"update": "_update", "slot_names": "_own_slots"}

    _decayed_of: Sequence[slice] | None = None  # of pickles that were made before there was this

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule | Config,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **others: Any,
    ) -> None:
        checks.refuse_unknown_arguments(
            others, "optimizer", type(self).__name__, self._argument_names
        )
        self.name = _default_name(type(self)) if name is None else checks.text(name, "name")
        self._learning_rate: float | schedules.LearningRateSchedule | None = None
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_together()
        vars(self)["iterations"] = 0
        self._not_decayed: list[str] = []  # expressions that find the names of arrays
        # where the arrays that decay lie, once a step has looked; in which list of pieces
        self._decayed: list[slice] | None = None
        self._decayed_of = None
        self._slots: dict[str, Array] = {}
        self._model: weakref.ref[Any] | None = None  # the model that it trains

    def _check_together(self) -> None:
        """Refuse options that do not go together."""
        clips = {name: getattr(self, name) for name in ("clipnorm", "clipvalue", "global_clipnorm")}
        if sum(value is not None for value in clips.values()) > 1:
            raise ConfigError(
                f"give at most one of clipnorm, clipvalue and global_clipnorm; got {clips}"
            )
        if self.ema_overwrite_frequency is not None and not self.use_ema:
            raise ConfigError(
                f"ema_overwrite_frequency is {self.ema_overwrite_frequency}, and there is no mean"
                " to overwrite with: give use_ema=True too"
            )

    def _shown_value(self, name: str) -> Any:
        return self._learning_rate if name == "learning_rate" else super()._shown_value(name)

    def _setting_cure(self, name: str) -> str | None:
        return "its name is learning_rate" if name in ("lr", "rate") else None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_model": None}

    def _bind(self, model: Any) -> None:
        """Belong to this model: what an optimizer accumulates fits one model's parameters.

        Raises
        ------
        ConfigError
            It belongs to another.
        """
        other = None if self._model is None else self._model()
        if other is not None and other is not model:
            raise ConfigError(
                f"this {type(self).__name__} trains model {other.name!r}; compile {model.name!r}"
                f" with an optimizer of its own, a new {type(self).__name__}(...)"
            )
        self._model = weakref.ref(model)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step.

        It may be set between steps: to a schedule, or, unless there is a schedule, to a number.
        """
        if isinstance(self._learning_rate, float):
            return self._learning_rate
        schedule: Any = self._learning_rate
        return checks.number(schedule(self._calls()), "the learning rate of the schedule", 0.0)

    @learning_rate.setter
    def learning_rate(self, value: float | schedules.LearningRateSchedule | Config) -> None:
        if isinstance(value, dict | schedules.LearningRateSchedule):
            self._learning_rate = schedules.get(value)
            return
        if callable(value):
            raise DTypeError(
                f"learning_rate is {value!r}; expected a number or a gatewise.schedules object"
            )
        rate = checks.number(value, "learning_rate", 0.0)
        if not isinstance(self._learning_rate, float | None):
            raise ConfigError(
                f"learning_rate is set to {rate}, and a {type(self._learning_rate).__name__}"
                " schedule rules it; give the optimizer a number as learning_rate, or set another"
                " schedule"
            )
        self._learning_rate = rate

    def exclude_from_weight_decay(
        self, var_list: None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Exclude arrays from `weight_decay`, as is usual for biases; before the first step.

        Parameters
        ----------
        var_list : None
            Keras's argument for variables, which gatewise has none of.
        var_names : list of str
            An array whose name holds one of these (``re.search``) does not decay. Names are kernel,
            recurrent_kernel, bias, gamma and the like, as in Keras; ``. * ^ $ |`` and ``[]`` mean
            what they mean in regular expressions.

        Raises
        ------
        StateError
            A step was made already.
        ConfigError
            One is no such expression.

        Examples
        --------
        >>> from gatewise.optimizers import AdamW
        >>> optimizer = AdamW(weight_decay=0.01)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        """
        if var_list is not None or var_names is None:
            raise ConfigError(
                "exclude_from_weight_decay: give names of arrays, var_names=['bias']; there are no"
                " variables to list"
            )
        if self._slots:
            raise StateError(
                "weight decay has begun: exclude_from_weight_decay comes before the first step, or"
                " with a new optimizer"
            )
        self._not_decayed = checked_expressions(var_names)

    # ---- a step

    def step(
        self,
        parameters: Array,
        gradients: Array,
        pieces: Sequence[slice],
        names: Sequence[str] = (),
        parts: Sequence[slice] | None = None,
    ) -> None:
        """Make one update of the parameters, in place.

        Parameters
        ----------
        parameters, gradients : ndarray of shape (n,), float32 or float64
            The flat buffers. Gradients are clipped in place, and with `gradient_accumulation_steps`
            become the mean that a step is made with.
        pieces : list of slice
            Where each array lies in them, without those that are frozen.
        names : list of str
            What each array is called; for :meth:`exclude_from_weight_decay`.
        parts : list of slice, optional
            Where `pieces` lie, with those that touch as one. All else is frozen: neither it nor
            what has been accumulated for it changes, nor does its gradient count. None: nothing is
            frozen.

        Raises
        ------
        StateError
            The optimizer has worked on parameters of another number or dtype.
        """
        self._prepare(parameters)
        rate, steps_before = self.learning_rate, self.iterations
        decay = rate * (self.weight_decay or 0.0)
        # the only work on the parameters here that takes memory: before it, nothing has changed
        if self._not_decayed and decay:
            largest = max((piece.stop - piece.start for piece in pieces), default=0)
            reserve(2 * parameters.itemsize * largest)
        if self._is_full_step(gradients, parts):
            self._clip(gradients, pieces, parts)
            if self._not_decayed and decay:
                self._decay(parameters, pieces, names, decay)
                decay = 0.0
            vars(self)["iterations"] += 1
            try:
                if parts is None:
                    work = threads.threads_for(40 * parameters.size)
                    self.update(parameters, gradients, rate, decay, work)
                else:
                    update_parts(self, parameters, gradients, rate, decay, parts)
            except BaseException:
                vars(self)["iterations"] = steps_before
                raise
        if self.use_ema:
            self._average(parameters, steps_before, parts)

    def _prepare(self, parameters: Array) -> None:
        """Begin what is accumulated, or check that it fits the parameters."""
        if not self._slots:
            self._slots = {
                name: begun(parameters, start) for name, start in self._array_slots().items()
            }
            self._slots |= {name: np.array(start) for name, start in self._number_slots().items()}
            return
        like = next(iter(self._slots.values()))  # arrays come before numbers
        if like.shape != parameters.shape or like.dtype != parameters.dtype:
            raise StateError(
                "the optimizer has worked on another model, or on this one before it changed; it"
                f" cannot go on with {parameters.size} parameters of {parameters.dtype}: compile it"
                " with a new one"
            )

    def _array_slots(self) -> dict[str, float]:
        """Name and start of each array that is as long as the parameters."""
        slots = dict.fromkeys(self.slot_names(), 0.0)
        if self.gradient_accumulation_steps is not None:
            slots["gradients"] = 0.0
        return slots | ({"average": 0.0} if self.use_ema else {})

    def slot_names(self) -> tuple[str, ...]:
        """Tell the names of the arrays that :meth:`update` accumulates in; they start at zero.

        For subclasses to define. :meth:`slots` has the arrays by these names.

        Returns
        -------
        tuple of str
            Empty by default.
        """
        return ()

    def _number_slots(self) -> dict[str, float]:
        """Name and start of each single number, kept as a float64 array of no axes."""
        return {} if self.gradient_accumulation_steps is None else {"accumulated": 0.0}

    def _calls(self) -> int:
        """Calls of :meth:`step` so far."""
        if self.gradient_accumulation_steps is None:
            return self.iterations
        return self.iterations * self.gradient_accumulation_steps + int(
            self._slots.get("accumulated", 0)
        )

    def _is_full_step(self, gradients: Array, parts: Sequence[slice] | None) -> bool:
        """Whether this call makes a step, with all the gradients that it accumulates."""
        if self.gradient_accumulation_steps is None:
            return True
        return accumulate(
            gradients,
            self._slots["gradients"],
            self._slots["accumulated"],
            self.gradient_accumulation_steps,
            parts,
        )

    def _clip(
        self, gradients: Array, pieces: Sequence[slice], parts: Sequence[slice] | None
    ) -> None:
        if self.clipvalue is not None:
            clip_values([gradients[part] for part in _whole_or(parts)], self.clipvalue)
        elif self.clipnorm is not None:
            for piece in pieces:
                clip_norm([gradients[piece]], self.clipnorm)
        elif self.global_clipnorm is not None:
            clip_norm([gradients[part] for part in _whole_or(parts)], self.global_clipnorm)

    def _decay(
        self, parameters: Array, pieces: Sequence[slice], names: Sequence[str], decay: float
    ) -> None:
        """Weight decay of the arrays that are not excluded."""
        if self._decayed is None or self._decayed_of is not pieces:  # others are frozen than before
            self._decayed_of = pieces
            self._decayed = decaying(pieces, names, self._not_decayed)
        decay_pieces(parameters, self._decayed, decay)

    @abc.abstractmethod
    def update(self, p: Array, g: Array, rate: float, decay: float, work: int) -> None:
        """Decay the parameters, then make a step, in place: for subclasses to define.

        Its number, from 1, is `iterations`.

        Parameters
        ----------
        p : ndarray of shape (n,), float32 or float64
            The parameters that are trained. First they lose the part `decay` of themselves.
        g : ndarray of shape (n,), of the same dtype
            Their gradients.
        rate : float
            Learning rate of this step.
        decay : float
            Part of the parameters that is taken from them.
        work : int
            Number of threads that the step is worth.
        """

    # ---- the mean of the parameters

    def _average(self, parameters: Array, steps_before: int, parts: Sequence[slice] | None) -> None:
        every = self.ema_overwrite_frequency
        update_average(
            parameters,
            self._slots["average"],
            # The first step's parameters are the first mean, of frozen ones too: the mean is there
            # when they are trained later.
            self.ema_momentum if steps_before else 0.0,
            every is not None and (steps_before + 1) % every == 0,
            parts if steps_before else None,
        )

    @property
    def average(self) -> Array | None:
        """Running mean of the parameters, ndarray of shape (n,), not a copy; None without one."""
        return self._slots.get("average")

    def finalize(self, parameters: Array, parts: Sequence[slice] | None = None) -> None:
        """Make the running mean the parameters, at the end of training; without a mean do nothing.

        Parameters
        ----------
        parameters : ndarray of shape (n,)
            Changed in place.
        parts : list of slice, optional
            Those that are trained. None: all.
        """
        average = self.average
        if average is not None:
            for part in _whole_or(parts):
                parameters[part] = average[part]

    # ---- state

    def slots(self) -> dict[str, Array]:
        """What the optimizer has accumulated, by name. Empty before the first step.

        Returns
        -------
        dict of str to ndarray
            Flat arrays, as long as the parameters; single numbers are float64 arrays without axes.
            They are the arrays themselves, not copies.
        """
        return dict(self._slots)

    def _load_slots(self, iterations: int, slots: Mapping[str, Array], like: Array) -> None:
        """Continue from a saved state.

        Parameters
        ----------
        iterations : int
            Number of steps made.
        slots : dict of str to ndarray
            What :meth:`slots` returned.
        like : ndarray of shape (n,)
            The parameters.

        Raises
        ------
        CheckpointError
            The arrays are not this optimizer's.
        """
        try:
            # what a float64 counts
            iterations = checks.whole_number(iterations, "iterations", 0, 2**53)
        except GatewiseError as error:
            raise CheckpointError(f"optimizer state: {error}") from error
        full, numbers = self._array_slots(), self._number_slots()
        expected = (
            {*full, *numbers} if iterations or ("accumulated" in numbers and slots) else set()
        )
        if set(slots) != expected:
            raise CheckpointError(
                f"optimizer state holds {sorted(slots)}; {type(self).__name__} expects"
                f" {sorted(expected)}"
            )
        for name in sorted(expected):
            shape, dtype = (like.shape, like.dtype) if name in full else ((), np.dtype(np.float64))
            check_slot(name, slots[name], shape, dtype)
        self._check_numbers(slots)
        vars(self)["iterations"] = iterations
        self._slots = {
            name: np.array(slots[name]) for name in (*full, *numbers) if name in expected
        }

    def _check_numbers(self, slots: Mapping[str, Array]) -> None:
        """Refuse single numbers of a file that the optimizer could not have made."""
        held, steps = float(slots.get("accumulated", 0)), self.gradient_accumulation_steps or 1
        if not (held.is_integer() and 0 <= held < steps):
            raise CheckpointError(
                f"optimizer state accumulated is {held}; expected a whole number from 0 to"
                f" {steps - 1}"
            )

    def _snapshot(self, parts: Sequence[slice] | None = None) -> Snapshot:
        """What :meth:`_restore` restores; with `parts`, of those alone: the rest is frozen."""
        if parts is None:
            held: dict[str, Any] = {name: array.copy() for name, array in self._slots.items()}
            return Snapshot(self.iterations, held, None)
        held = {
            name: [array[part].copy() for part in parts] if array.ndim else array.copy()
            for name, array in self._slots.items()
        }
        return Snapshot(self.iterations, held, parts)

    def _restore(self, snapshot: Snapshot) -> None:
        """Forget the steps since the snapshot."""
        vars(self)["iterations"] = snapshot.iterations
        if snapshot.parts is None or not snapshot.slots:
            self._slots = {name: array.copy() for name, array in snapshot.slots.items()}
            return
        for name, values in snapshot.slots.items():
            if isinstance(values, list):
                for part, value in zip(snapshot.parts, values, strict=True):
                    self._slots[name][part] = value
            else:
                self._slots[name][()] = values

    def get_config(self) -> Config:
        """The arguments of the constructor as JSON values, which :meth:`from_config` reads.

        Returns
        -------
        dict
            The arguments by name.
        """
        rate = self._learning_rate
        names = (
            "weight_decay",
            "clipnorm",
            "clipvalue",
            "global_clipnorm",
            "use_ema",
            "ema_momentum",
            "ema_overwrite_frequency",
            "gradient_accumulation_steps",
        )
        is_named = self.name != _default_name(type(self)) and accepts(type(self), "name")
        return {
            "learning_rate": (
                schedules.serialize(rate)
                if isinstance(rate, schedules.LearningRateSchedule)
                else rate
            ),
            **{name: getattr(self, name) for name in names},
            **({"name": self.name} if is_named else {}),
            **({"exclude_from_weight_decay": list(self._not_decayed)} if self._not_decayed else {}),
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """A new optimizer with these arguments.

        Parameters
        ----------
        config : dict
            What :meth:`get_config` returned.

        Raises
        ------
        ConfigError, DTypeError
            An argument has a value that cannot be used.
        """
        arguments = dict(config)
        not_decayed = arguments.pop("exclude_from_weight_decay", None)
        optimizer = cls(**arguments)
        if not_decayed is not None:
            optimizer.exclude_from_weight_decay(var_names=not_decayed)
        return optimizer


def _default_name(cls: type[Optimizer]) -> str:
    return "SGD" if cls.__name__ == "SGD" else cls.__name__.lower()


def _whole_or(parts: Sequence[slice] | None) -> Sequence[slice]:
    """The parts, or without any the one slice that is everything."""
    return (slice(None),) if parts is None else parts
