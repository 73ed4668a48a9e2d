"""A layer's forward and backward pass, and all that comes of it."""

import numpy as np


def drawn(shape, dtype="float32", seed=0):
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def joined(arrays):
    """Arrays one after the other, or None."""
    arrays = [np.ravel(array) for array in arrays]
    return np.concatenate(arrays) if arrays else None


def built(layer, x, seed=1):
    """Initial weights; afterwards the layer has others, of which none is zero."""
    layer.build((None, *x.shape[1:]))
    initial = layer.get_weights()
    rng = np.random.default_rng(seed)
    layer.set_weights([w + rng.uniform(0.02, 0.2, w.shape).astype(w.dtype) for w in initial])
    return joined(initial)


def gradient_of(y, seed=2):
    """A gradient for each output."""
    if isinstance(y, list):
        return [gradient_of(part, seed + number) for number, part in enumerate(y)]
    return drawn(y.shape, y.dtype, seed)


def same(first, second):
    """Whether outputs are the same to the bit."""
    if isinstance(first, list):
        return all(same(a, b) for a, b in zip(first, second, strict=True))
    return first.tobytes() == second.tobytes()


def passes(layer, x, **call):
    """Inference, training, and the way back over it."""
    found = {"initial": built(layer, x)}
    alone = None if getattr(layer, "stateful", False) else layer.forward(x, **call)
    y = layer.forward(x, training=True, **call)
    found |= {"y": y, "dx": layer.backward(gradient_of(y))}
    if alone is not None:
        found["inference"] = "as y" if same(alone, y) else alone
    found["dw"] = joined(layer.gradients.values())
    state_gradient = getattr(layer, "initial_state_gradient", None)
    if state_gradient is not None:
        found["d state"] = joined(state_gradient)
    kept = getattr(layer, "state", None)
    if kept is not None:
        found["state"] = joined(kept)
    return found
