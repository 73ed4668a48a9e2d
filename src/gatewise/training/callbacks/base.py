"""The base of callbacks, several as one, and functions as one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import CheckpointError, ConfigError

from .state import read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

Logs = dict[str, Any]  # names of loss and metrics to values


class Callback(Guarded):
    """Base of all callbacks: override the moments of interest, which do nothing by themselves.

    ``self.model`` and ``self.params`` are set before the run. A callback whose state a resumed run
    needs overrides :meth:`get_state` and :meth:`set_state` too.

    Attributes
    ----------
    model : Sequential
        The model that is trained.
    params : dict
        What :meth:`set_params` was given.
    runs_last : bool
        Whether it is called after all callbacks that do not run last, wherever it is in the list:
        for what reads the others' state, as a checkpoint does.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> from gatewise.callbacks import Callback
    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print("epoch", epoch, sorted(logs))
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> _ = model.fit(x, y, verbose=0, callbacks=[Shout()])
    epoch 0 ['loss']
    """

    model: Any = None
    params: dict[str, Any] = None  # type: ignore[assignment]  # until the run begins
    runs_last: bool = False
    _settable = frozenset({"model", "params", "runs_last"})
    _keeps_public_state = True

    def set_model(self, model: Any) -> None:
        """Called before the run with the model.

        Parameters
        ----------
        model : Sequential
            The model that is trained, evaluated or predicts.
        """
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before the run with ``{"epochs", "initial_epoch", "steps", "verbose"}``.

        steps is None if it is not known. evaluate and predict pass
        ``{"epochs", "steps", "verbose"}``, but not while fit runs.

        Parameters
        ----------
        params : dict
            The arguments of the run.
        """
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch.

        Parameters
        ----------
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; logs are those of the last epoch's end, empty if none ended.

        Parameters
        ----------
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; epochs count from 0.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch; logs holds its loss and metrics, and ``val_`` ones.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch; calls ``on_batch_begin``, its older name.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch; logs holds the means of the epoch so far. Calls ``on_batch_end``.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before evaluation, also that of the validation samples in an epoch.

        Parameters
        ----------
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After evaluation; logs holds the loss and metrics.

        Parameters
        ----------
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of evaluation.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of evaluation; logs holds the means so far.

        ``model.stop_evaluating = True`` ends it here.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before prediction.

        Parameters
        ----------
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After prediction.

        Parameters
        ----------
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of prediction.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of prediction; ``logs["outputs"]`` holds its outputs.

        ``model.stop_predicting = True`` ends it here.

        Parameters
        ----------
        batch : int
            Number of the batch, from 0.
        logs : dict, optional
            Loss and metrics by name, as far as they are known.
        """

    def get_state(self) -> dict[str, Any]:
        """What a resumed run needs, empty by default.

        Returns
        -------
        dict
            JSON values and ndarrays by name, also nested.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`get_state` returned.

        Called after :meth:`on_train_begin` of a resumed run.

        Parameters
        ----------
        state : dict
            It may come from a file of unknown origin.

        Raises
        ------
        CheckpointError
            The state is not one of this callback; nothing has changed.
        """
        read_state(state, type(self).__name__)


class CallbackList(Callback):
    """Several callbacks as one; those that run last are called after the others.

    Parameters
    ----------
    callbacks : list of Callback
        Lists among them are taken apart.

    Attributes
    ----------
    callbacks : list of Callback
        In the order in which they are called.

    Raises
    ------
    ConfigError
        One is no callback.

    Examples
    --------
    >>> from gatewise.callbacks import CallbackList, LambdaCallback
    >>> each = LambdaCallback(on_epoch_end=lambda epoch, logs: print("end of", epoch))
    >>> CallbackList([each, each]).on_epoch_end(3)
    end of 3
    end of 3
    """

    def __init__(self, callbacks: Iterable[Any]) -> None:
        given: list[Any] = []
        for callback in checks.listed(
            callbacks, "callbacks", "gatewise.callbacks.Callback objects"
        ):
            given += callback.callbacks if isinstance(callback, CallbackList) else [callback]
        for callback in given:
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise ConfigError(
                    f"callbacks holds {callback!r}; expected gatewise.callbacks.Callback objects"
                )
        self.callbacks: list[Any] = sorted(
            given, key=lambda callback: bool(getattr(callback, "runs_last", False))
        )
        # numbers of those that have yet to be notified of the end of the present epoch
        self._waiting: list[int] = []

    def set_model(self, model: Any) -> None:
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        for callback in self.callbacks:
            callback.set_params(params)

    def _set_steps(self, steps: int | None) -> None:
        """Set the number of batches of the epoch that begins, in the params of all callbacks."""
        for callback in self.callbacks:
            if isinstance(getattr(callback, "params", None), dict) and "steps" in callback.params:
                callback.params["steps"] = steps

    def on_epoch_end(
        self, epoch: int, logs: Logs | None = None, waiting: Collection[Any] | None = None
    ) -> None:
        """Notify all callbacks, or those whose places are given.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        logs : dict, optional
            Loss and metrics by name.
        waiting : list, optional
            Places of the callbacks to notify. None: all.
        """
        logs = {} if logs is None else logs
        self._waiting = [
            number
            for number, place in enumerate(self._places())
            if waiting is None or place in waiting
        ]
        while self._waiting:
            self.callbacks[self._waiting.pop(0)].on_epoch_end(epoch, logs)

    def _tell_at_once(self, callback: Callback, epoch: int, logs: Logs) -> None:
        """Notify one callback of the epoch's end before its turn, unless it has been notified."""
        number = next(number for number, each in enumerate(self.callbacks) if each is callback)
        if number in self._waiting:
            self._waiting.remove(number)
            callback.on_epoch_end(epoch, logs)

    def _waiting_places(self) -> list[list[Any]]:
        """Places of the callbacks that have yet to be notified of an epoch's end.

        A place is [class name, number among those of its class].
        """
        places = self._places()
        return [places[number] for number in self._waiting]

    def _places(self) -> list[list[Any]]:
        names = [type(callback).__name__ for callback in self.callbacks]
        return [[name, names[:number].count(name)] for number, name in enumerate(names)]

    def _stop(self, stopped: bool) -> bool:
        """Whether a resumed run is at its end.

        A run that was stopped is, unless the callback that stopped it has more patience now.
        """
        lifted = any(getattr(callback, "_lifts_stop", False) for callback in self.callbacks)
        return stopped and (
            not lifted or any(getattr(callback, "stopped_epoch", 0) for callback in self.callbacks)
        )

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Call all of them, even if one raises: bars are closed and best weights restored.

        Parameters
        ----------
        logs : dict, optional
            Loss and metrics by name.
        """
        with contextlib.ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_train_end, {} if logs is None else logs)

    def get_state(self) -> dict[str, Any]:
        """The states of the callbacks by class name, in the order of the list; no empty ones.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        states: dict[str, list[Any]] = {}
        for callback in self._keeping_state():
            states.setdefault(type(callback).__name__, []).append(callback.get_state())
        return {name: kept for name, kept in states.items() if any(kept)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Hand states out by class name and order.

        A callback without a state begins anew; a state without a callback is dropped, with a
        warning.

        Parameters
        ----------
        state : dict
            What :meth:`get_state` returned.

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

    def _keeping_state(self) -> list[Any]:
        """The callbacks that have a state, which one from another library may not."""
        return [
            callback
            for callback in self.callbacks
            if hasattr(callback, "get_state") and hasattr(callback, "set_state")
        ]


def _forward_to_all(name: str) -> Callable[..., None]:
    """A method that calls that of every callback, with positional arguments, as in Keras."""
    if "epoch" in name:

        def call(self: CallbackList, epoch: int, logs: Logs | None = None) -> None:
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, name)(epoch, logs)

    elif "batch" in name:

        def call(  # type: ignore[misc]
            self: CallbackList, batch: int, logs: Logs | None = None
        ) -> None:
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, name)(batch, logs)

    else:

        def call(  # type: ignore[misc]
            self: CallbackList, logs: Logs | None = None
        ) -> None:
            logs = {} if logs is None else logs
            for callback in self.callbacks:
                getattr(callback, name)(logs)

    call.__doc__ = getattr(Callback, name).__doc__
    return call


MOMENTS = [name for name in vars(Callback) if name.startswith("on_")]
for _name in MOMENTS:
    if _name not in vars(CallbackList):
        setattr(CallbackList, _name, _forward_to_all(_name))


class LambdaCallback(Callback):
    """A callback of functions, by the names of the moments.

    Parameters
    ----------
    **functions : callable or None
        Such as ``on_epoch_end=lambda epoch, logs: ...``; None: nothing.

    Raises
    ------
    ConfigError
        There is no such moment, or what is given cannot be called.

    Examples
    --------
    >>> from gatewise.callbacks import LambdaCallback
    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs)).on_epoch_end(0, {"loss": 1.0})
    {'loss': 1.0}
    """

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        for name, function in functions.items():
            if name not in MOMENTS or not (function is None or callable(function)):
                raise ConfigError(
                    f"{name}={function!r}: expected a function for one of"
                    f" {', '.join(sorted(MOMENTS))}"
                )
            if function is not None:
                setattr(self, name, function)
