"""Callbacks about weights: an end of training on NaN, and averaged weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError, ConfigError, StateError

from .base import Callback
from .state import check_array, read_state

if TYPE_CHECKING:
    from gatewise._typing import Array

    from .base import Logs


class TerminateOnNaN(Callback):
    """End training when the loss is NaN or infinite.

    ``fit`` ends by itself then, and restores the last good weights; with this callback, others see
    ``model.stop_training`` in the same batch, or the run fails.

    Parameters
    ----------
    raise_error : bool, default False
        Whether to raise instead of stopping.

    Raises
    ------
    StateError
        From a run, a RuntimeError as in Keras.

    Examples
    --------
    >>> from gatewise.callbacks import TerminateOnNaN
    >>> TerminateOnNaN(raise_error=True)
    TerminateOnNaN(raise_error=True)
    """

    raise_error: bool

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = checks.flag(raise_error, "raise_error")

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise StateError(
                f"the loss became {loss} at batch {batch + 1}; try a smaller learning rate, or"
                " clipnorm; if it is so in the first batch already, check the range of x and y"
            )
        self.model.stop_training = True


class SwapEMAWeights(Callback):
    """Evaluate, and save if asked, with the averaged weights of an optimizer with ``use_ema=True``.

    The training weights come back afterwards. At the end of a run the averaged ones stay.

    Parameters
    ----------
    swap_on_epoch : bool, default False
        False: averaged weights while evaluating and predicting. True: also from the end of an epoch
        to the begin of the next, so that the callbacks of the epoch see them.

    Raises
    ------
    ConfigError
        From a run: the optimizer has no averaged weights.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> from gatewise.callbacks import SwapEMAWeights
    >>> from gatewise.optimizers import SGD
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile(SGD(use_ema=True), "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> _ = model.fit(x, y, verbose=0, callbacks=[SwapEMAWeights()])
    """

    swap_on_epoch: bool

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = checks.flag(swap_on_epoch, "swap_on_epoch")
        # the weights to train on with, while the model holds the averaged ones
        self._training: Array | None = None
        self._for_epoch = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._training, self._for_epoch = None, False
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ConfigError(
                f"SwapEMAWeights needs averaged weights, and {type(optimizer).__name__} keeps none;"
                f" compile with {type(optimizer).__name__}(..., use_ema=True)"
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._swap_back()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap_in()
            self._for_epoch = self._training is not None

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._swap_in()

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._for_epoch:
            self._swap_back()

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end

    def on_train_end(self, logs: Logs | None = None) -> None:
        # the optimizer has made the averaged weights the model's
        self._training, self._for_epoch = None, False

    def _swap_in(self) -> None:
        average = self.model.optimizer.average
        if self._training is None and average is not None:  # None: before the first step
            self._training = self.model._flat_parameters.copy()
            self._put(average)

    def _swap_back(self) -> None:
        if self._training is not None:
            self._put(self._training)
        self._training, self._for_epoch = None, False

    def _put(self, weights: Array) -> None:
        with self.model._guard.writing:
            self.model._flat_parameters[...] = weights
            self.model._weights_changed()

    def get_state(self) -> dict[str, Any]:
        """The training weights, while the model holds the averaged ones.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        return {
            "training": None if self._training is None else self._training.copy(),
            "for_epoch": self._for_epoch,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        state = read_state(
            state, "SwapEMAWeights", training=self._read_weights, for_epoch=checks.flag
        )
        if state["for_epoch"] and state["training"] is None:
            raise CheckpointError("state of SwapEMAWeights: the weights to go on with are missing")
        self._training, self._for_epoch = state["training"], state["for_epoch"]

    def _read_weights(self, value: Any, name: str) -> Array | None:
        if value is None:
            return None
        check_array(value, self.model._flat_parameters, name)
        return np.array(value)
