"""Wrong orders of calls, gradients and weights.

Types and words of the errors.
"""

import numpy as np
import pytest
from cases import CELLS, make

from gatewise.errors import (
    DTypeError,
    ShapeError,
    StateError,
)
from gatewise.layers import (
    LSTM,
    Activation,
    Dense,
    Dropout,
    Flatten,
    InputLayer,
    Layer,
)

from .error_cases import fails, x_of

# ---- backward


@pytest.mark.parametrize("cell", CELLS)
def test_backward_needs_a_forward(cell, rng):
    layer, x, dy = make(cell, 5, 3, rng, "float32"), x_of(2, 4, 3), x_of(2, 5)
    fails(
        lambda: layer.backward(dy), StateError, "no forward pass to differentiate", "training=True"
    )
    layer.forward(x)
    fails(lambda: layer.backward(dy), StateError, "no forward pass to differentiate")
    layer.forward(x, training=True)
    layer.backward(dy)
    fails(lambda: layer.backward(dy), StateError, "no forward pass to differentiate")


def test_backward_needs_a_forward_in_other_layers():
    for layer in (
        Dense(3),
        Activation("tanh"),
        Activation("softmax"),
        Flatten(),
        Dropout(0.2),
        Dropout(0),
        InputLayer(input_shape=(3,)),
    ):
        fails(
            lambda layer=layer: layer.backward(x_of(2, 3)),
            StateError,
            "no forward pass to differentiate",
            "training=True",
        )
        layer.forward(x_of(2, 3))
        fails(
            lambda layer=layer: layer.backward(x_of(2, 3)),
            StateError,
            "no forward pass to differentiate",
        )
        layer.forward(x_of(2, 3), training=True)
        layer.backward(x_of(2, 3))
        fails(
            lambda layer=layer: layer.backward(x_of(2, 3)),
            StateError,
            "no forward pass to differentiate",
        )


def test_a_wrong_gradient_can_be_put_right(layer):
    """The forward pass is not lost over it."""
    layer.forward(x_of(2, 4, 3), training=True)
    for wrong, error, *words in [
        (x_of(2, 5), ShapeError, r"dy has shape \(2, 5\)", r"\(2, 4, 5\)"),
        (x_of(2, 4, 5, 1), ShapeError, r"dy has shape \(2, 4, 5, 1\)"),
        (x_of(2, 4, 5).astype(complex), DTypeError, "dy holds complex"),
        (None, DTypeError, "dy"),
        ("text", DTypeError, "dy"),
        ([x_of(2, 4, 5), x_of(2, 5)], (ShapeError, DTypeError), "dy"),
    ]:
        fails(lambda wrong=wrong: layer.backward(wrong), error, *words)
    assert layer.backward(x_of(2, 4, 5)).shape == (2, 4, 3)


def test_gradients_of_a_layer_that_returns_its_state(rng):
    layer = make("lstm", 5, 3, rng, "float32", return_state=True)
    layer.forward(x_of(2, 4, 3), training=True)
    for wrong, error, *words in [
        ([x_of(2, 5)] * 2, ShapeError, "dy has 2 arrays", "returns 3"),
        ([x_of(2, 5), x_of(2, 4), None], ShapeError, r"dy\[1\] has shape \(2, 4\)", r"\(2, 5\)"),
        ([x_of(2, 5), None, x_of(2, 5, dtype="float64")], DTypeError, r"dy\[2\] is float64"),
        (x_of(2, 5), ShapeError, "dy"),
    ]:
        fails(lambda wrong=wrong: layer.backward(wrong), error, *words)
    assert layer.backward([None, None, None]).shape == (2, 4, 3)


@pytest.mark.parametrize("wrong", [3, 3.5, object()], ids=["int", "float", "object"])
@pytest.mark.parametrize("what", ["set_weights", "initial_state", "state", "dy"])
def test_things_that_are_no_lists(what, wrong, rng):
    layer = make("lstm", 5, 3, rng, "float32", return_state=True, stateful=True)
    layer.forward(x_of(2, 4, 3), training=True)
    call = {
        "set_weights": lambda: layer.set_weights(wrong),
        "initial_state": lambda: layer.forward(x_of(2, 4, 3), initial_state=wrong),
        "state": lambda: setattr(layer, "state", wrong),
        "dy": lambda: layer.backward(wrong),
    }[what]
    fails(call, (DTypeError, ShapeError))


# ---- weights


def test_set_weights(layer, dense):
    good = layer.get_weights()
    wrong_shape, wrong_kind = list(good), list(good)
    wrong_shape[2] = np.zeros(21)
    wrong_kind[2] = good[2].astype(complex)
    for weights, error, *words in [
        (good[:2], ShapeError, "has 3 weight arrays", "kernel, recurrent_kernel, bias", "got 2"),
        ([*good, good[0]], ShapeError, "got 4"),
        ([], ShapeError, "got 0"),
        (wrong_shape, ShapeError, r"bias has shape \(21,\)", r"\(20,\)"),
        ([good[0].T, *good[1:]], ShapeError, r"kernel has shape \(20, 3\)", r"\(3, 20\)"),
        (wrong_kind, DTypeError, "bias holds complex"),
        ([*good[:2], None], DTypeError, "bias"),
        ([*good[:2], "text"], DTypeError, "bias"),
    ]:
        fails(lambda weights=weights: layer.set_weights(weights), error, *words)
        for now, before in zip(layer.get_weights(), good):  # all or nothing
            np.testing.assert_array_equal(now, before)
    fails(lambda: LSTM(4).set_weights(good), StateError, "not built", "build")
    fails(
        lambda: dense.set_weights([np.zeros((3, 4))]),
        ShapeError,
        "has 2 weight arrays",
        "kernel, bias",
        "got 1",
    )
    fails(lambda: Activation("tanh").set_weights([]), StateError, "not built")


def test_set_weights_rounds_float64(layer):
    """The caller chose the layer's dtype; loading weights into it is not a silent loss."""
    layer.set_weights([w.astype(np.float64) for w in layer.get_weights()])
    assert all(w.dtype == np.float32 for w in layer.get_weights())


def test_a_layer_without_equations():
    class Empty(Layer):
        pass

    with pytest.raises(
        TypeError,
        match=r"layer Empty defines no run\(self, .* and no run_backward\(.*docs/custom-layers.md",
    ):
        Empty()
