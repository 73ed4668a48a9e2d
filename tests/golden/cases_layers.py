"""Layers that are not recurrent."""

import numpy as np

from gatewise import layers

from .layer_calls import built, drawn, gradient_of, passes
from .registry import case

LENGTHS = [6, 2, 0, 5]
MASK = np.array([[1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 1, 1], [0] * 6, [1, 1, 1, 0, 0, 0]], bool)
ACTIVATIONS = (
    "linear relu sigmoid tanh hard_sigmoid softplus softsign elu exponential leaky_relu affine "
    "scaled_tanh thresholded_relu softmax"
).split()
WITH_STEPS = {
    "SpatialDropout1D": [{"rate": 0.4, "seed": 3}],
    "Dropout": [{"rate": 0.4, "seed": 3}, {"rate": 0.4, "noise_shape": (None, 1, 3), "seed": 3}],
    "LayerNormalization": [{}, {"epsilon": 0.1}, {"center": False}, {"scale": False}],
    "BatchNormalization": [{}, {"momentum": 0.5, "center": False}, {"scale": False}],
    "MaxPooling1D": [{}, {"pool_size": 3, "strides": 2, "padding": "same"}],
    "AveragePooling1D": [{}, {"pool_size": 3, "strides": 2, "padding": "same"}],
    "GlobalMaxPooling1D": [{}],
    "GlobalAveragePooling1D": [{}],
    "Conv1D": [
        {"filters": 4, "kernel_size": 3},
        {"filters": 4, "kernel_size": 3, "padding": "causal", "activation": "relu"},
        {"filters": 5, "kernel_size": 2, "padding": "same", "strides": 2, "use_bias": False},
        {"filters": 4, "kernel_size": 3, "padding": "same", "dilation_rate": 2},
        {"filters": 6, "kernel_size": 2, "activation": "tanh"},
    ],
    "Dense": [{"units": 4, "activation": "softmax"}, {"units": 4, "use_bias": False}],
    "Attention": [
        {},
        {"use_scale": True},
        {"score_mode": "concat"},
        {"dropout": 0.3, "seed": 3},
    ],
    "AdditiveAttention": [{}, {"use_scale": False}, {"dropout": 0.3, "seed": 3}],
    "Masking": [{"mask_value": 0.5}],
    "Flatten": [{}],
}
NO_LENGTHS = {"Masking"}


def _run(kind, options, dtype, call):
    options = dict(options)
    if kind in ("Dense", "Conv1D", "Attention", "AdditiveAttention"):
        options.setdefault("seed", 3)
    return passes(getattr(layers, kind)(dtype=dtype, **options), drawn((4, 6, 3), dtype), **call)


for _kind, _choices in WITH_STEPS.items():
    for _number, _options in enumerate(_choices):
        for _dtype in ("float32", "float64"):
            case(
                f"layers/{_kind}/{_number}/{_dtype}",
                lambda k=_kind, o=_options, d=_dtype: _run(k, o, d, {}),
            )
        if _kind not in NO_LENGTHS:
            case(
                f"layers/{_kind}/{_number}/lengths",
                lambda k=_kind, o=_options: _run(k, o, "float32", {"lengths": LENGTHS}),
            )
            case(
                f"layers/{_kind}/{_number}/mask",
                lambda k=_kind, o=_options: _run(k, o, "float32", {"mask": MASK}),
            )


def _activation(name, dtype):
    x = drawn((4, 6, 3), dtype) * 3
    layer = layers.Activation(name, dtype=dtype)
    y = layer.forward(x, training=True)
    return {"y": y, "dx": layer.backward(drawn(x.shape, dtype, 5))}


for _name in ACTIVATIONS:
    for _dtype in ("float32", "float64"):
        case(f"layers/Activation/{_name}/{_dtype}", lambda n=_name, d=_dtype: _activation(n, d))


@case("layers/Activation/leaky_relu with its constant")
def _leaky():
    return _activation(("leaky_relu", 0.05), "float32")


@case("layers/RepeatVector")
def _repeat():
    return passes(layers.RepeatVector(3), drawn((4, 5)))


@case("layers/Embedding")
def _embedding():
    found = {}
    words = np.random.default_rng(0).integers(0, 7, (4, 6))
    for what, options in {"plain": {}, "zero": {"mask_zero": True}}.items():
        layer = layers.Embedding(7, 5, seed=3, **options)
        y = layer.forward(words, training=True)
        layer.backward(gradient_of(y))
        found[what] = {"y": y, **layer.gradients, "weights": layer.get_weights()}
    given = drawn((7, 3), seed=4)
    layer = layers.Embedding(7, 3, weights=given)
    found["given"] = layer.forward(words, lengths=LENGTHS)
    return found


@case("layers/BatchNormalization/moving averages")
def _moving():
    layer = layers.BatchNormalization(momentum=0.8)
    x = drawn((8, 3)) * 2 + 1
    built(layer, x)
    for seed in range(3):
        layer.forward(drawn((8, 3), seed=seed) * 2 + 1, training=True)
    found = {"weights": layer.get_weights(), "inference": layer.forward(x)}
    layer.trainable = False
    y = layer.forward(x, training=True)
    return found | {"frozen": y, "dx": layer.backward(gradient_of(y)), **layer.gradients}


def _two_inputs(layer, lengths, with_key):
    query, value, key = drawn((3, 4, 5)), drawn((3, 6, 5), seed=1), drawn((3, 6, 5), seed=2)
    given = [query, value, key] if with_key else [query, value]
    y = layer.forward(given, lengths=lengths, training=True)
    return {"y": y, "dx": layer.backward(gradient_of(y)), **layer.gradients}


for _kind in ("Attention", "AdditiveAttention"):
    for _what, _lengths in {"whole": None, "lengths": [[4, 3, 1], [6, 2, 3]]}.items():
        for _with_key in (False, True):
            case(
                f"layers/{_kind}/{'three' if _with_key else 'two'} inputs/{_what}",
                lambda k=_kind, n=_lengths, w=_with_key: _two_inputs(
                    getattr(layers, k)(seed=3), n, w
                ),
            )


@case("layers/regularized and constrained")
def _penalties():
    layer = layers.Dense(
        4, kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="max_norm", seed=3
    )
    return passes(layer, drawn((4, 6, 3)))
