"""Helpers of the tests of models' errors."""

import numpy as np
import pytest

from gatewise.errors import (
    GatewiseError,
)
from gatewise.layers import (
    LSTM,
    Dense,
)
from gatewise.models import Sequential

X, Y = np.zeros((8, 5, 2)), np.zeros((8, 1))


def model_of(*stack, loss="mse", optimizer="sgd", metric_list=None):
    model = Sequential(
        list(stack) or [LSTM(3, input_shape=(5, 2), name="lstm"), Dense(1, name="dense")],
        name="net",
    )
    model.compile(optimizer, loss, metric_list)
    return model


def refused(error, words, call):
    """The call raises this error, which is a GatewiseError, with these words."""
    assert issubclass(error, GatewiseError)
    with pytest.raises(error, match=words) as caught:
        call()
    message = str(caught.value)
    assert len(message) > 15
    assert message[-1] != " "
