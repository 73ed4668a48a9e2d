"""Small callbacks that look after the weights: an end on NaN, and averaged weights."""

import math

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError, ConfigError, StateError

from .base import Callback
from .state import check_array, read_state


class TerminateOnNaN(Callback):
    """End training when the loss is NaN or infinite.

    ``fit`` ends by itself then, and goes back to the last good weights; with this, callbacks of the
    batch see ``model.stop_training``, or the run fails.

    Parameters
    ----------
    raise_error : bool
        Raise instead of stopping.

    Raises
    ------
    StateError
        From a run, a RuntimeError as in Keras.
    """

    def __init__(self, raise_error=False):
        self.raise_error = checks.flag(raise_error, "raise_error")

    def on_batch_end(self, batch, logs=None):
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
    """Evaluate, and with `swap_on_epoch` save, with the averaged weights of an optimizer that has ``use_ema=True``.

    The training weights come back afterwards. At the end of a run the averaged ones stay.

    Parameters
    ----------
    swap_on_epoch : bool
        False: averaged weights while evaluating and predicting. True: also from an epoch's end to
        the next one's begin, so that the callbacks of the epoch see them.
    """

    def __init__(self, swap_on_epoch=False):
        self.swap_on_epoch = checks.flag(swap_on_epoch, "swap_on_epoch")
        self._training = None  # the weights to go on with, while the model holds the averaged ones
        self._for_epoch = False

    def on_train_begin(self, logs=None):
        self._training, self._for_epoch = None, False
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ConfigError(
                f"SwapEMAWeights needs averaged weights, and {type(optimizer).__name__} keeps none;"
                f" compile with {type(optimizer).__name__}(..., use_ema=True)"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._swap_back()

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap_in()
            self._for_epoch = self._training is not None

    def on_test_begin(self, logs=None):
        self._swap_in()

    def on_test_end(self, logs=None):
        if not self._for_epoch:
            self._swap_back()

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end

    def on_train_end(self, logs=None):
        # the optimizer has made the averaged weights the model's
        self._training, self._for_epoch = None, False

    def _swap_in(self):
        average = self.model.optimizer.average
        if self._training is None and average is not None:  # None: before the first step
            self._training = self.model._flat_parameters.copy()
            self._put(average)

    def _swap_back(self):
        if self._training is not None:
            self._put(self._training)
        self._training, self._for_epoch = None, False

    def _put(self, weights):
        with self.model._guard.writing:
            self.model._flat_parameters[...] = weights
            self.model._weights_changed()

    def get_state(self):
        """The training weights, while the model holds the averaged ones."""
        return {
            "training": None if self._training is None else self._training.copy(),
            "for_epoch": self._for_epoch,
        }

    def set_state(self, state):
        state = read_state(
            state, "SwapEMAWeights", training=self._read_weights, for_epoch=checks.flag
        )
        if state["for_epoch"] and state["training"] is None:
            raise CheckpointError("state of SwapEMAWeights: the weights to go on with are missing")
        self._training, self._for_epoch = state["training"], state["for_epoch"]

    def _read_weights(self, value, name):
        if value is None:
            return None
        check_array(value, self.model._flat_parameters, name)
        return np.array(value)
