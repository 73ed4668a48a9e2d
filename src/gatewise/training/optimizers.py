"""Optimizers over one flat vector of parameters. Names, formulas and defaults are Keras's.

An optimizer never sees layers: a step takes the flat parameters and gradients of a model, and the
places of its arrays where an option works array by array (``clipnorm``).
"""

import weakref

import numpy as np

from gatewise import checks, threads
from gatewise.errors import CheckpointError, ConfigError, DTypeError, StateError
from gatewise.kernels import arrays
from gatewise.kernels import optimizers as kernels

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "serialize"]


class Optimizer:
    """Base of all optimizers.

    Parameters
    ----------
    learning_rate : float
    clipnorm, clipvalue, global_clipnorm : float, optional
        Scale each array's gradient to at most this norm; clip each element to [-v, v]; scale the whole
        gradient to at most this norm. At most one of them.

    Attributes
    ----------
    iterations : int
        Steps taken.
    """

    _slot_names = ()

    def __init__(self, learning_rate, clipnorm=None, clipvalue=None, global_clipnorm=None, **others):
        checks.neutral(others, "optimizer", type(self).__name__)
        self.learning_rate = learning_rate
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(value is not None for value in clips.values()) > 1:
            raise ConfigError(f"give at most one of clipnorm, clipvalue and global_clipnorm; got {clips}")
        for name, value in clips.items():
            setattr(self, name, None if value is None else checks.number(value, name, 0.0, open_low=True))
        self.iterations = 0
        self._slots = {}
        self._model = None  # weak reference to the one it trains

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
            raise ConfigError(f"this {type(self).__name__} trains model {other.name!r}; compile {model.name!r} with an "
                              f"optimizer of its own, a new {type(self).__name__}(...)")
        self._model = weakref.ref(model)

    @property
    def learning_rate(self):
        """Current learning rate; may be set between steps."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self._learning_rate = checks.number(value, "learning_rate", 0.0)

    def step(self, parameters, gradients, pieces):
        """One update, in place.

        Parameters
        ----------
        parameters, gradients : ndarray (n,)
            The flat buffers. Gradients are clipped in place.
        pieces : list of slice
            Where each array lies in them.
        """
        if not self._slots:
            self._slots = {name: np.zeros_like(parameters) for name in self._slot_names}
        elif any(slot.shape != parameters.shape or slot.dtype != parameters.dtype for slot in self._slots.values()):
            raise StateError(f"the optimizer has worked on another model, or on this one before it changed; it cannot go on "
                             f"with {parameters.size} parameters of {parameters.dtype}: compile it with a new one")
        self._clip(gradients, pieces)
        self.iterations += 1
        self._update(parameters, gradients, threads.threads_for(40 * parameters.size))

    def _clip(self, gradients, pieces):
        if self.clipvalue is not None:
            np.clip(gradients, -self.clipvalue, self.clipvalue, out=gradients)
        for piece in pieces if self.clipnorm is not None else ():
            _scale_to_norm(gradients[piece], self.clipnorm)
        if self.global_clipnorm is not None:
            _scale_to_norm(gradients, self.global_clipnorm)

    def _update(self, p, g, work):
        raise TypeError(f"{type(self).__name__} defines no update")

    def slots(self):
        """dict name -> flat ndarray: what the optimizer has accumulated. Empty before the first step."""
        return dict(self._slots)

    def restore(self, iterations, slots, like):
        """Continue from a saved state.

        Raises
        ------
        CheckpointError
            The arrays are not this optimizer's.
        """
        expected = set(self._slot_names) if iterations else set()
        if set(slots) != expected:
            raise CheckpointError(f"optimizer state holds {sorted(slots)}; {type(self).__name__} expects {sorted(expected)}")
        for name, array in slots.items():
            if array.shape != like.shape or array.dtype != like.dtype:
                raise CheckpointError(f"optimizer state {name} is {array.dtype} {array.shape}; expected {like.dtype} "
                                      f"{like.shape}")
        self.iterations = checks.whole_number(iterations, "iterations", 0, 2**62)
        self._slots = {name: np.array(array) for name, array in slots.items()}

    def finalize(self, parameters):
        pass

    def snapshot(self):
        """What :meth:`go_back` returns to."""
        return self.iterations, {name: array.copy() for name, array in self._slots.items()}

    def go_back(self, snapshot):
        """Forget the steps since the snapshot."""
        self.iterations, self._slots = snapshot[0], dict(snapshot[1])

    def get_config(self):
        """The arguments, as JSON values."""
        return {"learning_rate": self.learning_rate, "clipnorm": self.clipnorm, "clipvalue": self.clipvalue,
                "global_clipnorm": self.global_clipnorm}


def _scale_to_norm(gradient, limit):
    norm = float(np.sqrt(arrays.sum_of_squares(gradient, threads.threads_for(4 * gradient.size))))
    if norm > limit:
        gradient *= gradient.dtype.type(limit / norm)


class SGD(Optimizer):
    """``v = momentum v - lr g; p += v``, with Nesterov ``p += momentum v - lr g`` (Sutskever et al. 2013)."""

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.momentum = checks.fraction(momentum, "momentum")
        self.nesterov = checks.flag(nesterov, "nesterov")
        self._slot_names = ("momentum",) if self.momentum else ()

    def _update(self, p, g, work):
        kernels.sgd(p, g, self._slots.get("momentum"), self.learning_rate, self.momentum, self.nesterov, work)

    def get_config(self):
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}


class RMSprop(Optimizer):
    """``p -= lr g / sqrt(v + epsilon)``, v a running mean of g^2 (Tieleman and Hinton 2012)."""

    def __init__(self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.rho = checks.fraction(rho, "rho")
        self.momentum = checks.fraction(momentum, "momentum")
        self.epsilon = checks.number(epsilon, "epsilon", 0.0)
        self.centered = checks.flag(centered, "centered")
        self._slot_names = ("velocity", *(("mean",) if centered else ()), *(("momentum",) if self.momentum else ()))

    def _update(self, p, g, work):
        slot = self._slots.get
        kernels.rmsprop(p, g, slot("velocity"), slot("mean"), slot("momentum"), self.learning_rate, self.rho,
                        self.momentum, self.epsilon, work)

    def get_config(self):
        return super().get_config() | {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon,
                                       "centered": self.centered}


class Adam(Optimizer):
    """``p -= a m / (sqrt(v) + epsilon)``, ``a = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)`` (Kingma and Ba 2015)."""

    _slot_names = ("momentum", "velocity")
    weight_decay = 0.0

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = checks.fraction(beta_1, "beta_1")
        self.beta_2 = checks.fraction(beta_2, "beta_2")
        self.epsilon = checks.number(epsilon, "epsilon", 0.0)

    def _update(self, p, g, work):
        t = self.iterations
        lr = self.learning_rate * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        kernels.adam(p, g, self._slots["momentum"], self._slots["velocity"], lr, self.beta_1, self.beta_2, self.epsilon,
                     self.learning_rate * self.weight_decay, work)

    def get_config(self):
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class AdamW(Adam):
    """Adam after ``p -= lr weight_decay p`` (Loshchilov and Hutter 2019)."""

    def __init__(self, learning_rate=0.001, weight_decay=0.004, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.weight_decay = checks.number(weight_decay, "weight_decay", 0.0)

    def get_config(self):
        return super().get_config() | {"weight_decay": self.weight_decay}


_BY_NAME = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def get(identifier):
    """An optimizer from a name, a saved configuration, a class or an optimizer."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    if isinstance(identifier, str):
        if identifier.lower() not in _BY_NAME:
            raise ConfigError(f"optimizer {identifier!r} is not known; choose one of {', '.join(_BY_NAME)}")
        return _BY_NAME[identifier.lower()]()
    if isinstance(identifier, dict):
        classes = _BY_NAME | {cls.__name__: cls for cls in _BY_NAME.values()}
        return checks.from_config(classes, identifier, "optimizer", "optimizers")
    raise DTypeError(f"optimizer is {identifier!r}; expected a name or a gatewise.optimizers object")


def serialize(optimizer):
    """What :func:`get` reads back, as JSON values."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}
