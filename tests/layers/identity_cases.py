"""Helpers of the tests of identities."""

from cases import (
    as_list,
    ragged,
    run,
    states_for,
)
from seeds import generator


def everything(layer, rng, batch, steps):
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.1,
        "initial_state": states_for(layer, batch, rng),
    }


def train(layer, x, seed=3, **arguments):
    """All outputs and gradients, with dropout redrawn.

    Gradients of the outputs follow from their shapes.
    """
    layer.rng = generator(seed)
    rng = generator(4)
    dy = [
        rng.normal(size=out.shape).astype(layer.dtype)
        for out in as_list(layer.forward(x, **arguments))
    ]
    if getattr(layer, "stateful", False):
        layer.reset_state()
    return run(layer, x, dy, **arguments)
