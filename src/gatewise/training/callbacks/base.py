"""The base of callbacks, several as one, and functions as one."""

import contextlib

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import CheckpointError, ConfigError

from .state import read_state


class Callback(Guarded):
    """Base: override the moments of interest. ``self.model`` and ``self.params`` are set before the run.

    A callback whose state a resumed run needs overrides :meth:`get_state` and :meth:`set_state`
    too.

    Attributes
    ----------
    runs_last : bool
        Called after all callbacks that do not run last, wherever it stands in the list: for what
        looks at the others' state, as a checkpoint does.
    """

    model = None
    params = None
    runs_last = False
    _settable = frozenset({"model", "params", "runs_last"})
    _keeps_public_state = True

    def set_model(self, model):
        """Called before the run."""
        self.model = model

    def set_params(self, params):
        """Called before the run with ``{"epochs", "initial_epoch", "steps", "verbose"}``; steps may be None: not known.

        evaluate and predict pass ``{"epochs", "steps", "verbose"}``, but not while fit runs.
        """
        self.params = params

    def on_train_begin(self, logs=None):
        """Before the first epoch."""

    def on_train_end(self, logs=None):
        """After the last epoch; logs holds what the last :meth:`on_epoch_end` received, nothing if no epoch ended."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch; logs holds its loss and metrics, and ``val_`` ones."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a batch; calls ``on_batch_begin``, its older name."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a batch; logs holds the means of the epoch so far. Calls ``on_batch_end``, its older name."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch, logs=None):
        """Before a batch."""

    def on_batch_end(self, batch, logs=None):
        """After a batch."""

    def on_test_begin(self, logs=None):
        """Before evaluation, also that of the validation samples in an epoch."""

    def on_test_end(self, logs=None):
        """After evaluation; logs holds the loss and metrics."""

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of evaluation."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of evaluation; logs holds the means so far. ``model.stop_evaluating = True`` ends it here."""

    def on_predict_begin(self, logs=None):
        """Before prediction."""

    def on_predict_end(self, logs=None):
        """After prediction."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of prediction; ``logs["outputs"]`` is what it gave. ``model.stop_predicting = True`` ends it here."""

    def get_state(self):
        """What a resumed run needs: a dict of JSON values and ndarrays, also nested; empty by default."""
        return {}

    def set_state(self, state):
        """Continue from what :meth:`get_state` gave. Called after :meth:`on_train_begin` of a resumed run.

        Raises
        ------
        CheckpointError
            The state is not one of this callback; nothing has changed. It may come from a file of
            anybody's.
        """
        read_state(state, type(self).__name__)


class CallbackList(Callback):
    """Several callbacks as one; those that run last are called after the others."""

    def __init__(self, callbacks):
        given = []
        for callback in checks.listed(
            callbacks, "callbacks", "gatewise.callbacks.Callback objects"
        ):
            given += callback.callbacks if isinstance(callback, CallbackList) else [callback]
        for callback in given:
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise ConfigError(
                    f"callbacks holds {callback!r}; expected gatewise.callbacks.Callback objects"
                )
        self.callbacks = sorted(
            given, key=lambda callback: bool(getattr(callback, "runs_last", False))
        )
        # numbers of those that have not heard of the end of the epoch that is being told
        self._waiting = []

    def set_model(self, model):
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params):
        for callback in self.callbacks:
            callback.set_params(params)

    def _set_steps(self, steps):
        """Say how many batches the epoch that begins has, in the params that all callbacks were given."""
        for callback in self.callbacks:
            if isinstance(getattr(callback, "params", None), dict) and "steps" in callback.params:
                callback.params["steps"] = steps

    def on_epoch_end(self, epoch, logs=None, waiting=None):
        """To all of them, or to those whose places (:meth:`_waiting_places`) are given."""
        logs = {} if logs is None else logs
        self._waiting = [
            number
            for number, place in enumerate(self._places())
            if waiting is None or place in waiting
        ]
        while self._waiting:
            self.callbacks[self._waiting.pop(0)].on_epoch_end(epoch, logs)

    def _tell_at_once(self, callback, epoch, logs):
        """Let one hear of the epoch's end before its turn, if that is still to come."""
        number = next(number for number, each in enumerate(self.callbacks) if each is callback)
        if number in self._waiting:
            self._waiting.remove(number)
            callback.on_epoch_end(epoch, logs)

    def _waiting_places(self):
        """Places, [class name, number among those of its class], of the callbacks that have yet to hear of an epoch's end."""
        places = self._places()
        return [places[number] for number in self._waiting]

    def _places(self):
        names = [type(callback).__name__ for callback in self.callbacks]
        return [[name, names[:number].count(name)] for number, name in enumerate(names)]

    def _stop(self, stopped):
        """Whether a resumed run is at its end: one that was stopped is, unless what stopped it has more patience now."""
        lifted = any(getattr(callback, "_lifts_stop", False) for callback in self.callbacks)
        return stopped and (
            not lifted or any(getattr(callback, "stopped_epoch", 0) for callback in self.callbacks)
        )

    def on_train_end(self, logs=None):
        """To all of them, also where one raises: bars are closed and best weights come back."""
        with contextlib.ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_train_end, {} if logs is None else logs)

    def get_state(self):
        """dict of class name to the states of its callbacks, in the order of the list; those without state are left out."""
        states = {}
        for callback in self._keeping_state():
            states.setdefault(type(callback).__name__, []).append(callback.get_state())
        return {name: kept for name, kept in states.items() if any(kept)}

    def set_state(self, state):
        """Hand states out by class name and order. A callback with none begins anew; a state without a callback is dropped.

        Raises
        ------
        CheckpointError
        """
        if not (
            isinstance(state, dict) and all(isinstance(states, list) for states in state.values())
        ):
            raise CheckpointError(
                "state of the callbacks: expected a dict of lists, one for each class"
            )
        waiting = {name: list(states) for name, states in state.items()}
        for callback in self._keeping_state():
            states = waiting.get(type(callback).__name__)
            if states:
                callback.set_state(states.pop(0))
        unused = sorted(str(name) for name, states in waiting.items() if any(states))
        if unused:
            checks.warn(
                "the run that is resumed had callbacks that this one lacks, and their state is"
                f" dropped: {', '.join(unused)}; give the same list of callbacks"
            )

    def _keeping_state(self):
        """The callbacks that have a state, which one from another library may not."""
        return [
            callback
            for callback in self.callbacks
            if hasattr(callback, "get_state") and hasattr(callback, "set_state")
        ]


def _forward_to_all(name):
    """A method that calls that of every callback, with arguments by position and logs that are a dict, as in Keras."""
    if "epoch" in name or "batch" in name:

        def call(self, number, logs=None):
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, name)(number, logs)

    else:

        def call(self, logs=None):
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, name)(logs)

    return call


MOMENTS = [name for name in vars(Callback) if name.startswith("on_")]
for _name in MOMENTS:
    if _name not in vars(CallbackList):
        setattr(CallbackList, _name, _forward_to_all(_name))


class LambdaCallback(Callback):
    """Functions for the moments of interest, by keyword: ``on_epoch_end=lambda epoch, logs: ...``. None: nothing."""

    def __init__(self, **functions):
        for name, function in functions.items():
            if name not in MOMENTS or not (function is None or callable(function)):
                raise ConfigError(
                    f"{name}={function!r}: expected a function for one of"
                    f" {', '.join(sorted(MOMENTS))}"
                )
            if function is not None:
                setattr(self, name, function)
