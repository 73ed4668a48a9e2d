"""Optimizers over one flat vector of parameters. Names, formulas and defaults are Keras's.

An optimizer never sees layers: a step takes the flat parameters and gradients of a model, and the
places and names of its arrays where an option works array by array (``clipnorm``,
``exclude_from_weight_decay``).
"""

import math
import re
import weakref

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import Guarded
from gatewise.configuration import accepts
from gatewise.errors import (
    CheckpointError,
    ConfigError,
    DTypeError,
    GatewiseError,
    StateError,
)
from gatewise.kernels import arrays
from gatewise.kernels import optimizers as kernels
from gatewise.kernels._memory import reserve
from gatewise.registry import Registry

from . import schedules

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "serialize",
]


class _Option:
    """An option that may be set between steps, to what a check lets through.

    What decides which arrays the optimizer accumulates, or how they are read, cannot change after
    the first step.
    """

    def __init__(self, check, *, optional=False, **limits):
        self._check, self._optional, self._limits = check, optional, limits

    def __set_name__(self, owner, name):
        self._name = name

    def __set__(self, optimizer, value):
        if not (value is None and self._optional):
            value = self._check(value, self._name, **self._limits)
        held = vars(optimizer)
        if self._name not in held:  # under construction
            held[self._name] = value
            return
        before, stepped = (
            held[self._name],
            bool(vars(optimizer).get("_slots") or vars(optimizer).get("iterations")),
        )
        slots = self._accumulated(optimizer) if stepped else None
        held[self._name] = value
        try:
            optimizer._check_together()
            if stepped and self._accumulated(optimizer) != slots:
                raise StateError(
                    f"{type(optimizer).__name__}: {self._name} decides what is accumulated from"
                    " step to step, and a step has been made; compile the model with a new one,"
                    f" {type(optimizer).__name__}(..., {self._name}={value!r})"
                )
        except BaseException:
            held[self._name] = before
            raise

    @staticmethod
    def _accumulated(optimizer):
        return (
            optimizer._array_slots(),
            optimizer._number_slots(),
            optimizer.gradient_accumulation_steps,
        )


class _Iterations:
    """The number of steps. A user may set it between two steps: a schedule goes on from there, and so do formulas."""

    def __set__(self, optimizer, value):
        value = checks.whole_number(value, "iterations", 0, 2**53)
        accumulates = optimizer._array_slots() or optimizer._number_slots()
        if accumulates and (not optimizer._slots or value == 0) and value != optimizer.iterations:
            raise StateError(
                f"{type(optimizer).__name__}: iterations is {optimizer.iterations} and cannot"
                f" become {value}: what is accumulated begins with the first step; a new optimizer"
                " begins at 0"
            )
        vars(optimizer)["iterations"] = value


class Optimizer(Guarded):
    """Base of all optimizers.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        A schedule gives the rate of each step from the number of steps before it.
    weight_decay : float, optional
        Before each step every parameter loses `learning_rate * weight_decay` of itself (Loshchilov
        and Hutter 2019).
    clipnorm, clipvalue, global_clipnorm : float, optional
        Scale each array's gradient to at most this norm; clip each element to [-v, v]; scale the
        whole gradient to at most this norm. At most one of them.
    use_ema : bool
        Keep a running mean of the parameters (Polyak and Juditsky 1992), which :meth:`finalize`
        makes the parameters at the end of training.
    ema_momentum : float
        In [0, 1]: what the mean keeps of itself at each step. It starts as the parameters after the
        first step.
    ema_overwrite_frequency : int, optional
        Make the mean the parameters every so many steps.
    name : str, optional
        None: that of the class in small letters; "SGD" of :class:`SGD`, as in Keras.
    gradient_accumulation_steps : int, optional
        At least 2: so many calls of :meth:`step` make one step, with the mean of their gradients.
        As in Keras, a schedule and the running mean count calls, all else counts steps.

    Attributes
    ----------
    iterations : int
        Steps taken.
    """

    weight_decay = _Option(checks.number, optional=True, low=0.0)
    clipnorm = _Option(checks.number, optional=True, low=0.0, open_low=True)
    clipvalue = _Option(checks.number, optional=True, low=0.0, open_low=True)
    global_clipnorm = _Option(checks.number, optional=True, low=0.0, open_low=True)
    use_ema = _Option(checks.flag)
    ema_momentum = _Option(checks.number, low=0.0, high=1.0)
    ema_overwrite_frequency = _Option(checks.whole_number, optional=True, low=1)
    gradient_accumulation_steps = _Option(checks.whole_number, optional=True, low=2)
    iterations = _Iterations()
    _always_shown = ("learning_rate",)
    _and_then = ", and compile the model with it"

    _decayed_of = None  # of pickles that were made before there was this

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        gradient_accumulation_steps=None,
        name=None,
        **others,
    ):
        checks.refuse_unknown_arguments(
            others, "optimizer", type(self).__name__, self._argument_names
        )
        self.name = _default_name(type(self)) if name is None else checks.text(name, "name")
        self._learning_rate = None
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = (
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
        )
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_together()
        vars(self)["iterations"] = 0
        self._not_decayed = []  # expressions that find the names of arrays
        # where the others lie, once a step has looked; in which list
        self._decayed = self._decayed_of = None
        self._slots = {}
        self._model = None  # weak reference to the one it trains

    def _check_together(self):
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

    def _shown_value(self, name):
        return self._learning_rate if name == "learning_rate" else super()._shown_value(name)

    def _setting_cure(self, name):
        if name in ("lr", "rate"):
            return "its name is learning_rate"
        return None

    def __getstate__(self):
        return vars(self) | {"_model": None}

    def bind(self, model):
        """Belong to this model: what an optimizer accumulates fits one model's parameters.

        Raises
        ------
        ConfigError
            It belongs to another.
        """
        other = self._model and self._model()
        if other not in (None, model):
            raise ConfigError(
                f"this {type(self).__name__} trains model {other.name!r}; compile {model.name!r}"
                f" with an optimizer of its own, a new {type(self).__name__}(...)"
            )
        self._model = weakref.ref(model)

    @property
    def learning_rate(self):
        """Learning rate of the next step, a float. May be set between steps: to a number, unless a schedule rules, or to
        a schedule."""
        if isinstance(self._learning_rate, float):
            return self._learning_rate
        return checks.number(
            self._learning_rate(self._calls()), "the learning rate of the schedule", 0.0
        )

    @learning_rate.setter
    def learning_rate(self, value):
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

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Leave arrays out of `weight_decay`, as is usual for biases: ``var_names=["bias"]``. Before the first step.

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
        names = [
            checks.text(name, "var_names")
            for name in checks.listed(var_names, "var_names", "regular expressions")
        ]
        for name in names:
            # A file may hold these: no expression takes long, whatever it is matched with.
            if not re.fullmatch(r"[\w/.*^$|\[\]-]{1,100}", name) or name.count("*") > 3:
                raise ConfigError(
                    f"var_names holds {name!r:.80}; expected letters, digits, _ and at most three"
                    " *, or . ^ $ | []"
                )
            try:
                re.compile(name)
            except re.error as error:
                raise ConfigError(
                    f"var_names holds {name!r}, which is no regular expression: {error}"
                ) from error
        self._not_decayed = names

    # ---- a step

    def step(self, parameters, gradients, pieces, names=(), parts=None):
        """One update, in place.

        Parameters
        ----------
        parameters, gradients : ndarray (n,)
            The flat buffers. Gradients are clipped in place, and with `gradient_accumulation_steps`
            become the mean that a step is made with.
        pieces : list of slice
            Where each array lies in them, without those that are frozen.
        names : list of str
            What each array is called; for :meth:`exclude_from_weight_decay`.
        parts : list of slice, optional
            Where `pieces` lie, those together that touch. All else is frozen: neither it nor what
            has been accumulated for it changes, nor does its gradient count. None: nothing is
            frozen.
        """
        self._prepare(parameters)
        rate, steps_before = self.learning_rate, self.iterations
        decay = rate * (self.weight_decay or 0.0)
        # the only work on the parameters here that takes memory: before it, nothing has changed
        if self._not_decayed and decay:
            reserve(
                2
                * parameters.itemsize
                * max((piece.stop - piece.start for piece in pieces), default=0)
            )
        if self.gradient_accumulation_steps is None or self._accumulate(gradients, parts):
            self._clip(gradients, pieces, parts)
            if self._not_decayed and decay:
                self._decay(parameters, pieces, names, decay)
                decay = 0.0
            vars(self)["iterations"] += 1
            try:
                if parts is None:
                    self._update(
                        parameters,
                        gradients,
                        rate,
                        decay,
                        threads.threads_for(40 * parameters.size),
                    )
                else:
                    self._update_parts(parameters, gradients, rate, decay, parts)
            except BaseException:
                vars(self)["iterations"] = steps_before
                raise
        if self.use_ema:
            self._average(parameters, steps_before, parts)

    def _prepare(self, parameters):
        if not self._slots:
            self._slots = {
                name: _begun(parameters, start) for name, start in self._array_slots().items()
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

    def _array_slots(self):
        """Name and start of each array that is as long as the parameters."""
        slots = dict.fromkeys(self._own_slots(), 0.0)
        if self.gradient_accumulation_steps is not None:
            slots["gradients"] = 0.0
        return slots | ({"average": 0.0} if self.use_ema else {})

    def _own_slots(self):
        """Names of the arrays that the formula needs; they start at zero."""
        return ()

    def _number_slots(self):
        """Name and start of each single number, kept as a float64 array of no axes."""
        return {} if self.gradient_accumulation_steps is None else {"accumulated": 0.0}

    def _calls(self):
        """Calls of :meth:`step` so far."""
        if self.gradient_accumulation_steps is None:
            return self.iterations
        return self.iterations * self.gradient_accumulation_steps + int(
            self._slots.get("accumulated", 0)
        )

    def _accumulate(self, gradients, parts):
        """Take these in; True: they were the last of a step, and now hold the mean of all."""
        held, count = self._slots["accumulated"], self.gradient_accumulation_steps
        last = held == count - 1
        for part in _whole_or(parts):
            total, new = self._slots["gradients"][part], gradients[part]
            kernels.accumulate(total, new, count if last else 0, threads.threads_for(8 * new.size))
        if last and parts is not None:
            self._slots["gradients"].fill(0)  # of what was frozen since the first of them
        held[()] = 0 if last else held + 1
        return last

    def _clip(self, gradients, pieces, parts):
        for part in _whole_or(parts) if self.clipvalue is not None else ():
            np.clip(gradients[part], -self.clipvalue, self.clipvalue, out=gradients[part])
        for piece in pieces if self.clipnorm is not None else ():
            _scale_to_norm([gradients[piece]], self.clipnorm)
        if self.global_clipnorm is not None:
            _scale_to_norm([gradients[part] for part in _whole_or(parts)], self.global_clipnorm)

    def _decay(self, parameters, pieces, names, decay):
        """Take `decay` of themselves from the arrays that decay."""
        if self._decayed is None or self._decayed_of is not pieces:  # others are frozen than before
            self._decayed_of = pieces
            # Bidirectional's are called forward/kernel
            within = [name.rpartition("/")[2] for name in names]
            self._decayed = [
                piece
                for piece, name in zip(pieces, within, strict=True)
                if not any(re.search(expression, name) for expression in self._not_decayed)
            ]
        for piece in self._decayed:
            parameters[piece] -= parameters.dtype.type(decay) * parameters[piece]

    def _update(self, p, g, rate, decay, work):
        """Take `decay` of p from p, then make step number `iterations`, on `work` threads."""
        raise DTypeError(
            f"optimizer {type(self).__name__} defines no _update(self, p, g, rate, decay, work),"
            " which makes one step on the flat parameters p"
        )

    def _update_parts(self, p, g, rate, decay, parts):
        """:meth:`_update` of some parts of the buffers, for which the slots are theirs."""
        whole = self._slots
        numbers = {name: array.copy() for name, array in whole.items() if not array.ndim}
        try:
            if getattr(type(self)._update, "elementwise", False):
                for part in parts:
                    self._slots = {
                        name: array[part] if array.ndim else numbers[name].copy()
                        for name, array in whole.items()
                    }
                    self._update(
                        p[part], g[part], rate, decay, threads.threads_for(40 * p[part].size)
                    )
            elif parts:  # a user's own formula may look at all parameters at once
                at = np.r_[tuple(parts)]
                self._slots = {
                    name: array[at] if array.ndim else array.copy() for name, array in whole.items()
                }
                moved = p[at]
                self._update(moved, g[at], rate, decay, threads.threads_for(40 * moved.size))
                p[at] = moved
                for name, array in whole.items():
                    if array.ndim:
                        array[at] = self._slots[name]
            for name in numbers if parts else ():
                whole[name][()] = self._slots[name]
        finally:
            self._slots = whole

    # ---- the mean of the parameters

    def _average(self, parameters, steps_before, parts):
        """The first step's parameters are the first mean, of frozen ones too: it is there when they are trained."""
        overwrite = (
            self.ema_overwrite_frequency is not None
            and (steps_before + 1) % self.ema_overwrite_frequency == 0
        )
        for part in _whole_or(parts if steps_before else None):
            p = parameters[part]
            kernels.average(
                p,
                self._slots["average"][part],
                self.ema_momentum if steps_before else 0.0,
                overwrite,
                threads.threads_for(8 * p.size),
            )

    @property
    def average(self):
        """ndarray (n,): the running mean of the parameters itself, not a copy; None without one."""
        return self._slots.get("average")

    def finalize(self, parameters, parts=None):
        """Training is over: the running mean, where there is one, becomes the parameters (ndarray (n,), in place).

        `parts` are those that are trained, list of slice; None: all.
        """
        if self.average is not None:
            for part in _whole_or(parts):
                parameters[part] = self.average[part]

    # ---- state

    def slots(self):
        """dict name -> ndarray: what the optimizer has accumulated. Empty before the first step.

        Arrays are flat, as long as the parameters; single numbers are float64 arrays without axes.
        """
        return dict(self._slots)

    def restore(self, iterations, slots, like):
        """Continue from a saved state.

        Parameters
        ----------
        iterations : int
        slots : dict of str to ndarray
            What :meth:`slots` gave.
        like : ndarray (n,)
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
            _check_slot(name, slots[name], shape, dtype)
        self._check_numbers(slots)
        vars(self)["iterations"] = iterations
        self._slots = {
            name: np.array(slots[name]) for name in (*full, *numbers) if name in expected
        }

    def _check_numbers(self, slots):
        held, steps = float(slots.get("accumulated", 0)), self.gradient_accumulation_steps or 1
        if not (held.is_integer() and 0 <= held < steps):
            raise CheckpointError(
                f"optimizer state accumulated is {held}; expected a whole number from 0 to"
                f" {steps - 1}"
            )

    def _snapshot(self, parts=None):
        """What :meth:`_restore` restores; with `parts`, of those alone, since the rest stays frozen."""
        if parts is None:
            return (
                self.iterations,
                {name: array.copy() for name, array in self._slots.items()},
                None,
            )
        held = {
            name: [array[part].copy() for part in parts] if array.ndim else array.copy()
            for name, array in self._slots.items()
        }
        return self.iterations, held, parts

    def _restore(self, snapshot):
        """Forget the steps since the snapshot."""
        iterations, held, parts = snapshot
        vars(self)["iterations"] = iterations
        if parts is None or not held:
            self._slots = {name: array.copy() for name, array in held.items()}
            return
        for name, values in held.items():
            if isinstance(values, list):
                for part, value in zip(parts, values, strict=True):
                    self._slots[name][part] = value
            else:
                self._slots[name][()] = values

    def get_config(self):
        """The arguments, as JSON values."""
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
        return {
            "learning_rate": rate if isinstance(rate, float) else schedules.serialize(rate),
            **{name: getattr(self, name) for name in names},
            **(
                {"name": self.name}
                if self.name != _default_name(type(self)) and accepts(type(self), "name")
                else {}
            ),
            **({"exclude_from_weight_decay": list(self._not_decayed)} if self._not_decayed else {}),
        }

    @classmethod
    def from_config(cls, config):
        """An optimizer from what :meth:`get_config` gave."""
        arguments = dict(config)
        not_decayed = arguments.pop("exclude_from_weight_decay", None)
        optimizer = cls(**arguments)
        if not_decayed is not None:
            optimizer.exclude_from_weight_decay(var_names=not_decayed)
        return optimizer


def _default_name(cls):
    return "SGD" if cls.__name__ == "SGD" else cls.__name__.lower()


def _check_slot(name, array, shape, dtype):
    """The array of a file is what the optimizer would have made. Means of squares are never negative."""
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else repr(array)
        raise CheckpointError(f"optimizer state {name} is {given}; expected {dtype} {shape}")
    try:
        checks.finite(np.ascontiguousarray(array), f"optimizer/{name}")
    except GatewiseError as error:
        raise CheckpointError(str(error)) from error
    if name in ("velocity", "velocity_hat", "accumulator") and (array < 0).any():
        raise CheckpointError(
            f"optimizer state {name} holds {array.min()}; a sum of squares is never negative"
        )


def _begun(parameters, start):
    """An array like the parameters that holds `start`; zeros take no memory until they are written to."""
    return (
        np.full_like(parameters, start) if start else np.zeros(parameters.shape, parameters.dtype)
    )


def _whole_or(parts):
    """Slices to go through: the parts, or one that is all where there are none."""
    return (slice(None),) if parts is None else parts


def _scale_to_norm(gradients, limit):
    """Scale arrays, in place, to at most this norm of all of them together."""
    squares = sum(
        arrays.sum_of_squares(gradient, threads.threads_for(4 * gradient.size))
        for gradient in gradients
    )
    norm = float(np.sqrt(squares))
    if norm > limit:
        for gradient in gradients:
            gradient *= gradient.dtype.type(limit / norm)


class SGD(Optimizer):
    """``v = momentum v - lr g; p += v``, with Nesterov ``p += momentum v - lr g`` (Sutskever et al. 2013)."""

    momentum = _Option(checks.fraction)
    nesterov = _Option(checks.flag)

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum
        self.nesterov = nesterov

    def _own_slots(self):
        return ("momentum",) if self.momentum else ()

    def _update(self, p, g, rate, decay, work):
        kernels.sgd(
            p, g, self._slots.get("momentum"), rate, self.momentum, self.nesterov, decay, work
        )

    def get_config(self):
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}


class RMSprop(Optimizer):
    """``p -= lr g / sqrt(v + epsilon)``, v a running mean of g^2 (Tieleman and Hinton 2012).

    Centered, ``v - mean(g)^2`` stands for v. Where rounding makes that negative it counts as 0
    (Keras: NaN).
    """

    rho = _Option(checks.fraction)
    momentum = _Option(checks.fraction)
    epsilon = _Option(checks.number, low=0.0)
    centered = _Option(checks.flag)

    def __init__(
        self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **kwargs
    ):
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def _own_slots(self):
        return (
            "velocity",
            *(("mean",) if self.centered else ()),
            *(("momentum",) if self.momentum else ()),
        )

    def _update(self, p, g, rate, decay, work):
        slot = self._slots.get
        kernels.rmsprop(
            p,
            g,
            slot("velocity"),
            slot("mean"),
            slot("momentum"),
            rate,
            self.rho,
            self.momentum,
            self.epsilon,
            decay,
            work,
        )

    def get_config(self):
        return super().get_config() | {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


class Adam(Optimizer):
    """``p -= a m / (sqrt(v) + epsilon)``, ``a = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)`` (Kingma and Ba 2015).

    With `amsgrad` the largest v so far stands for v (Reddi et al. 2018).
    """

    beta_1 = _Option(checks.fraction)
    beta_2 = _Option(checks.fraction)
    epsilon = _Option(checks.number, low=0.0)
    amsgrad = _Option(checks.flag)

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False, **kwargs
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def _own_slots(self):
        return "momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ())

    def _update(self, p, g, rate, decay, work):
        t, slots = self.iterations, self._slots
        rate *= math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        kernels.adam(
            p,
            g,
            slots["momentum"],
            slots["velocity"],
            slots.get("velocity_hat"),
            rate,
            0.0,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            decay,
            work,
        )

    def get_config(self):
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam after ``p -= lr weight_decay p`` (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay=0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        **kwargs,
    ):
        weight_decay = checks.number(weight_decay, "weight_decay", 0.0)
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )


class Nadam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2016).

    ``p -= lr (u' m / (1 - U u') + (1 - u) g / (1 - U)) / (sqrt(v / (1 - beta_2^t)) + epsilon)``,
    where ``u = beta_1 (1 - 0.96^t / 2)``, u' is that of the next step, and U the product of all u
    so far.
    """

    beta_1 = _Option(checks.fraction)
    beta_2 = _Option(checks.fraction)
    epsilon = _Option(checks.number, low=0.0)

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def _own_slots(self):
        return "momentum", "velocity"

    def _number_slots(self):
        return super()._number_slots() | {"momentum_product": 1.0}

    def _check_numbers(self, slots):
        super()._check_numbers(slots)
        if "momentum_product" in slots and not 0 <= slots["momentum_product"] <= 1:
            raise CheckpointError(
                f"optimizer state momentum_product is {slots['momentum_product']}; expected 0 to 1"
            )

    def _momentum_at(self, t):
        return self.beta_1 * (1 - 0.5 * 0.96**t)

    def _update(self, p, g, rate, decay, work):
        t, slots = self.iterations, self._slots
        now, following = self._momentum_at(t), self._momentum_at(t + 1)
        product = float(slots["momentum_product"]) * now
        slots["momentum_product"][()] = product
        # Everything is multiplied by the root of v's correction: Adam's kernel then divides by
        # sqrt(v) + epsilon.
        root = math.sqrt(1 - self.beta_2**t)
        kernels.adam(
            p,
            g,
            slots["momentum"],
            slots["velocity"],
            None,
            rate * root * following / (1 - product * following),
            rate * root * (1 - now) / (1 - product),
            self.beta_1,
            self.beta_2,
            self.epsilon * root,
            decay,
            work,
        )

    def get_config(self):
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


class Adagrad(Optimizer):
    """``a += g^2; p -= lr g / sqrt(a + epsilon)``, a from `initial_accumulator_value` on (Duchi et al. 2011)."""

    initial_accumulator_value = _Option(checks.number, low=0.0)
    epsilon = _Option(checks.number, low=0.0)

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def _array_slots(self):
        return {"accumulator": self.initial_accumulator_value} | super()._array_slots()

    def _update(self, p, g, rate, decay, work):
        kernels.adagrad(p, g, self._slots["accumulator"], rate, self.epsilon, decay, work)

    def get_config(self):
        return super().get_config() | {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


class Lion(Optimizer):
    """``p -= lr sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g`` (Chen et al. 2023)."""

    beta_1 = _Option(checks.number, low=0.0, high=1.0, open_low=True)
    beta_2 = _Option(checks.fraction)

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.99, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1  # at 0 only the sign of g would be left
        self.beta_2 = beta_2

    def _own_slots(self):
        return ("momentum",)

    def _update(self, p, g, rate, decay, work):
        kernels.lion(p, g, self._slots["momentum"], rate, self.beta_1, self.beta_2, decay, work)

    def get_config(self):
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2}


for _each in (SGD, RMSprop, Adam, Nadam, Adagrad, Lion):
    # no element looks at another: parts of the parameters may be updated one by one
    _each._update.elementwise = True

OPTIMIZERS = Registry(
    "optimizer",
    Optimizer,
    (SGD, RMSprop, Adam, AdamW, Adagrad, Nadam, Lion),
    {
        "sgd": SGD,
        "rmsprop": RMSprop,
        "adam": Adam,
        "adamw": AdamW,
        "adagrad": Adagrad,
        "nadam": Nadam,
        "lion": Lion,
    },
    namespace="gatewise.optimizers",
    ignore_case=True,
)


def get(identifier):
    """An optimizer from a name, a saved configuration, a class or an optimizer."""
    return OPTIMIZERS.get(identifier)


def serialize(optimizer):
    """What :func:`get` reads back, as JSON values."""
    return OPTIMIZERS.serialize(optimizer)
