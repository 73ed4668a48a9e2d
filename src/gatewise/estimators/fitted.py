"""What a fit must put back where it fails, and which parameters the fitted network was made with."""

import contextlib

import numpy as np
from sklearn.base import BaseEstimator

from gatewise.errors import ConfigError
from gatewise.training import losses, optimizers

from .packing import LostFunction

# Parameters that describe the network, or how X is read for it. A later fit that goes on cannot
# change them.
OF_THE_NETWORK = (
    "cell",
    "units",
    "num_layers",
    "bidirectional",
    "pooling",
    "dropout",
    "recurrent_dropout",
    "embedding",
    "vocabulary_size",
    "missing",
    "architecture",
    "alpha",
    "dtype",
    "per_step",
    "n_components",
    "objective",
)
# Parameters of the optimizer and the loss. A fit with warm_start makes new ones, partial_fit goes
# on with those it has.
OF_TRAINING = ("optimizer", "learning_rate", "learning_rate_init", "clipnorm", "loss")


def parameters_in_use(estimator):
    """dict of the parameters that a network is made with, as they are now; optimizers and losses as what describes them."""
    return {
        name: _described(getattr(estimator, name))
        for name in (*OF_THE_NETWORK, *OF_TRAINING)
        if name in estimator._get_param_names()
    }


def _described(value):
    """An optimizer or a loss as plain values, since it may change later; anything else as it is."""
    if not isinstance(value, optimizers.Optimizer | losses.Loss):
        return value
    try:
        config = value.get_config()
    except ConfigError:  # of a custom class that describes nothing
        config = {}
    return [type(value).__name__, config]


def refuse_changes(estimator, fitted, incremental):
    """A fit that goes on has the network of the first one, whatever parameters were set since.

    Parameters
    ----------
    estimator : SequenceEstimator
    fitted : dict
        What :func:`parameters_in_use` gave when the network was made.
    incremental : bool
        The call is ``partial_fit``, which keeps the optimizer and the loss as well.

    Raises
    ------
    ConfigError
    """
    names = (*OF_THE_NETWORK, *OF_TRAINING) if incremental else OF_THE_NETWORK
    changed = [
        name
        for name in names
        if name in fitted and not _same(fitted[name], _described(getattr(estimator, name)))
    ]
    if changed:
        cure = "call fit" if incremental else "set warm_start=False"
        raise ConfigError(
            f"{'partial_fit' if incremental else 'warm_start=True'} goes on with the network of the"
            f" last fit, and {', '.join(changed)} changed since; {cure} to make a new one, or set"
            f" {'it' if len(changed) == 1 else 'them'} back to"
            f" {', '.join(repr(fitted[name]) for name in changed)}"
        )


def _same(before, now):
    """Whether two values of a parameter mean the same. A function that a file did not keep may be given again."""
    if before is now or isinstance(before, LostFunction):
        return True
    try:
        return bool(before == now)
    except (TypeError, ValueError):  # arrays have no one answer
        return bool(np.array_equal(before, now))


class Snapshot:
    """An estimator as it is now: :meth:`restore` brings all of it back.

    Attributes are kept as they are, and lists by their contents, since training appends to them. Of
    a model that training goes on with, weights, optimizer, random draws and all that ``compile``
    sets are copied.

    Parameters
    ----------
    estimator : SequenceEstimator
    with_model : bool
        The call changes the estimator's model rather than make a new one.
    """

    def __init__(self, estimator, with_model):
        self._estimator = estimator
        self._attributes = _attributes_of(estimator)
        self._nested = [
            (value, _attributes_of(value))
            for value in vars(estimator).values()
            if isinstance(value, BaseEstimator)
        ]
        state = estimator.random_state
        self._random = (
            (state, state.get_state()) if isinstance(state, np.random.RandomState) else None
        )
        self._model = _ModelSnapshot(estimator.model_) if with_model else None

    def restore(self):
        """Bring everything back."""
        for value, attributes in [(self._estimator, self._attributes), *self._nested]:
            _restore_attributes(value, attributes)
        if self._random is not None:
            self._random[0].set_state(self._random[1])
        if self._model is not None:
            self._model.restore()


class _ModelSnapshot:
    """A model with weights, optimizer, states and random draws as they are now."""

    def __init__(self, model):
        self._model, self._attributes = model, dict(vars(model))
        self._optimizer = None if model.optimizer is None else dict(vars(model.optimizer))
        self._held = model.snapshot() if model.optimizer is not None else model.flat_weights()
        self._random = model.rng.bit_generator.state

    def restore(self):
        model = self._model
        vars(model).clear()
        vars(model).update(self._attributes)
        if self._optimizer is None:
            model.set_flat_weights(self._held)
        else:
            vars(model.optimizer).clear()
            vars(model.optimizer).update(self._optimizer)
            model.go_back(self._held)
        model.rng.bit_generator.state = self._random


def _attributes_of(value):
    return {
        name: (held, list(held) if type(held) is list else None)
        for name, held in vars(value).items()
    }


def _restore_attributes(value, attributes):
    vars(value).clear()
    for name, (held, items) in attributes.items():
        if items is not None:
            held[:] = items
        vars(value)[name] = held


@contextlib.contextmanager
def all_or_nothing(estimator, with_model):
    """A call that fails, for whatever reason, leaves the estimator as it was before it."""
    before = Snapshot(estimator, with_model)
    try:
        yield
    except BaseException:
        before.restore()
        raise
