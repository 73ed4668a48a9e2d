"""Layers from the configurations of Keras, and configurations from layers.

gatewise has Keras's names of layers and of their arguments, so that most pass as they are. What
differs: objects are described in another form, wrappers hold layers in another way, and files of
Keras 2 have names and values of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from gatewise import layers
from gatewise.checkpoint.refusal import short
from gatewise.errors import CheckpointError, ConfigError, GatewiseError
from gatewise.layers.registry import layer_class, layer_config

_MODEL_CLASSES = ("Sequential", "Functional", "Model")
# Keras 2: hard_sigmoid is clip(x / 5 + 1 / 2); since Keras 3 it divides by 6.
_OLD_ACTIVATIONS = {"hard_sigmoid": ("hard_sigmoid", 0.2, 0.5)}
# For one kernel on GPUs; the weights are converted in `legacy_weights`.
_GPU = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
# Arguments of Keras that are no arguments here, with the values that change nothing.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "activity_regularizer": (None,),
    "quantization_config": (None,),
    "batch_input_shape": (),
    "batch_shape": (),
    "input_dim": (),
    "input_length": (),
    "sparse": (False,),
    "ragged": (False,),
    "optional": (False,),
    "lora_rank": (None,),
    "lora_alpha": (None,),
    "attention_axes": (None, [1], [-2]),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "renorm_momentum": (0.99,),
    "fused": (None, True, False),
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "implementation": (0, 1, 2),
    "unroll": (False, True),
    "synchronized": (False,),
    "causal": (False,),
    "rms_scaling": (False,),
    "keepdims": (False,),
    "data_format": ("channels_last", None),
}
# Of these any value may be left out: they only describe the input.
_ANY_VALUE = {"batch_input_shape", "batch_shape", "input_dim", "input_length"}


def dtype_of(policy: Any, name: str) -> str | None:
    """Return the dtype of a policy, "float32" or "float64"; None if it is not given.

    Raises
    ------
    ConfigError
        It is another one.
    """
    if isinstance(policy, dict):
        policy = (policy.get("config") or {}).get("name")
    if policy is None or policy in ("float32", "float64"):
        return policy
    raise ConfigError(
        f"layer {name!r} has dtype {short(policy)}; gatewise computes in float32 or float64"
    )


class Reading(Protocol):
    """How a configuration is read."""

    old: bool  # whether a version of Keras before 3 wrote it
    axes: list[tuple[Any, int]]  # layers and axes that must be their last one, once built

    def model(self, entry: Any) -> Any:
        """Return a model inside another one."""
        ...


def layer_of(entry: Any, reading: Reading) -> Any:
    """Return the layer, or for a model inside a :class:`Model`, of an entry of a configuration.

    Parameters
    ----------
    entry : dict
        With "class_name" and "config". It may come from a damaged file.
    reading : Reading
        How.

    Raises
    ------
    CheckpointError
        It is no entry.
    ConfigError
        gatewise has no such layer, or not with these options.
    """
    kind, config = checked_entry(entry)
    if kind in _MODEL_CLASSES:
        return reading.model(entry)
    name = config.get("name")
    try:
        return _layer(_GPU.get(kind, kind), dict(config), reading, name)
    except GatewiseError as error:
        raise type(error)(f"layer {short(name)}, a {short(kind)} of Keras: {error}") from error


def checked_entry(entry: Any) -> tuple[str, dict[str, Any]]:
    """Return class name and configuration of an entry.

    Raises
    ------
    CheckpointError
        It is no entry.
    """
    if not isinstance(entry, dict):
        raise CheckpointError(f"its configuration has {short(entry)} in the place of a layer")
    kind, config = entry.get("class_name"), entry.get("config")
    if not isinstance(kind, str) or not isinstance(config, dict):
        raise CheckpointError("its configuration has a layer without class_name and config")
    return kind, config


def _layer(kind: str, config: dict[str, Any], reading: Reading, name: Any) -> Any:
    dtype = dtype_of(config.pop("dtype", None), name)
    if kind in ("TimeDistributed", "Bidirectional"):
        config["layer"] = layer_of(config.get("layer"), reading)
        if config.get("backward_layer") is not None:
            config["backward_layer"] = layer_of(config["backward_layer"], reading)
    elif kind == "RNN":
        config["cell"] = _cell(config.get("cell"), reading.old)
    for option, allowed in _WITHOUT_EFFECT.items():
        if option in config and not (kind == "Embedding" and option == "input_dim"):
            value = config.pop(option)
            if option not in _ANY_VALUE and not any(value == each for each in allowed):
                raise ConfigError(f"{option}={short(value)} is not supported")
    axis = None
    if kind in ("BatchNormalization", "LayerNormalization"):
        axis = _only(config.get("axis"))
        if axis is not None:
            config["axis"] = -1
    arguments = {option: _plain(value, option, reading.old) for option, value in config.items()}
    if dtype is not None:
        arguments["dtype"] = dtype
    if kind in _NEGATIVE and "alpha" in arguments:
        arguments[_NEGATIVE[kind]] = arguments.pop("alpha")
    trainable = arguments.pop("trainable", True)
    layer = layer_class(kind)(**arguments)
    if trainable is False:
        layer.trainable = False
    if axis is not None:
        reading.axes.append((layer, axis))
    return layer


def _only(axis: Any) -> int | None:
    """Return the one axis of a normalisation if it counts from the first one."""
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    return axis if type(axis) is int and axis >= 0 else None


# Keras 2's name of the slope.
_NEGATIVE = {"LeakyReLU": "negative_slope"}


def _cell(entry: Any, old: bool) -> Any:
    if isinstance(entry, list):
        return [_cell(each, old) for each in entry]
    kind, config = checked_entry(entry)
    if kind == "StackedRNNCells":
        cells = config.get("cells")
        if not isinstance(cells, list):
            raise CheckpointError("its configuration has stacked cells without a list of cells")
        return [_cell(each, old) for each in cells]
    if kind not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
        raise ConfigError(f"gatewise has no cell {short(kind)}")
    arguments = dict(config)
    dtype_of(arguments.pop("dtype", None), str(config.get("name")))
    for option in ("trainable", "implementation", "name"):
        arguments.pop(option, None)
    plain = {option: _plain(value, option, old) for option, value in arguments.items()}
    return getattr(layers, kind)(**plain)


def _plain(value: Any, option: str, old: bool) -> Any:
    """Return a value of a configuration as gatewise takes it."""
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config")
        if kind == "function" and isinstance(config, str):  # an activation
            value = config
        elif isinstance(kind, str) and isinstance(config, dict):
            return {"class_name": kind, "config": _without_axes(config)}
    if old and "activation" in option and isinstance(value, str):
        return _OLD_ACTIVATIONS.get(value, value)
    return value


def _without_axes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an initializer or the like, without those that say nothing."""
    return {
        name: value
        for name, value in config.items()
        if not (name in ("input_axes", "output_axes", "dtype") and value is None)
        and not (name == "dtype" and value == "float32")
    }


# ---- to Keras

_OBJECTS = {
    "initializer": "keras.initializers",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
}
# Arguments of a layer here that Keras does not have, with the values that say nothing.
_OURS: dict[str, tuple[Any, ...]] = {"update": ("cho",)}
# Options that only gatewise has are in a configuration if they were chosen, so that any value of
# them says that Keras cannot compute it.
_ONLY_OURS = {
    *("peepholes", "coupled", "input_gate", "forget_gate", "output_gate", "clip", "cell_clip"),
    *("projection", "zoneout", "layer_normalization", "output_gate_inside", "candidate"),
    *("output_activation", "learned_initial_state"),
}
_UNKNOWN_TO_KERAS = {
    *("GRUD", "MinGRU", "MinLSTM", "EncoderDecoder", "TiedDense", "AttendingDecoder"),
}
# Options that a call has in Keras, not the layer.
_OF_CALLS = {"use_causal_mask", "return_attention_scores"}
_WITH_SEED = {
    *("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "Dropout", "SpatialDropout1D"),
    *("GaussianNoise", "GaussianDropout", "Attention", "AdditiveAttention", "MultiHeadAttention"),
}


def in_keras(kind: str) -> bool:
    """Return whether Keras has a class of layers."""
    return kind not in _UNKNOWN_TO_KERAS and hasattr(layers, kind)


def entry_of(layer: Any) -> dict[str, Any]:
    """Return the entry of a layer in a configuration of Keras 3.

    Raises
    ------
    ConfigError
        Keras has no such layer, or not with these options.
    """
    found = layer_config(layer)
    try:
        return _entry(found)
    except ConfigError as error:
        raise ConfigError(f"layer {layer.name!r}, a {type(layer).__name__}: {error}") from error


def _entry(found: Mapping[str, Any]) -> dict[str, Any]:
    kind, config = found["class_name"], dict(found["config"])
    if not in_keras(kind):
        raise ConfigError("Keras has no such layer")
    if kind == "StackedRNN":
        parts = [_entry(each) for each in config.pop("layers")]
        cells = [
            {
                **_object("keras.layers", f"{part['class_name']}Cell"),
                "config": {k: v for k, v in part["config"].items() if k not in _OF_LAYERS},
            }
            for part in parts
        ]
        config["cell"] = {
            **_object("keras.layers", "StackedRNNCells"),
            "config": {"cells": cells},
        }
        kind = "RNN"
    arguments: dict[str, Any] = {}
    for option, value in config.items():
        if option in _ONLY_OURS or (option in _OURS and value not in _OURS[option]):
            raise ConfigError(f"Keras does not have {option}={value!r}")
        if option in _OURS or (option == "seed" and kind not in _WITH_SEED):
            continue
        if option in _OF_CALLS:
            if value:
                raise ConfigError(f"{option}=True belongs to a call in Keras")
            continue
        arguments[option] = _theirs(option, value)
    if "dtype" in arguments and arguments["dtype"] is None:
        del arguments["dtype"]
    return {**_object("keras.layers", kind), "config": arguments}


# Options of a recurrent layer that its cell does not have.
_OF_LAYERS = {
    *("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask"),
    *("name", "trainable"),
}


def _object(module: str, kind: str) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "registered_name": None}


def _theirs(option: str, value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"l1", "l2"}:
        value = {"class_name": "L1L2", "config": value}
    if isinstance(value, dict) and "class_name" in value:
        module = next((name for end, name in _OBJECTS.items() if option.endswith(end)), None)
        if module is not None:
            return {**_object(module, value["class_name"]), "config": value["config"]}
        if option in ("layer", "backward_layer"):
            return _entry(value)
    if "activation" in option and isinstance(value, list | tuple):
        raise ConfigError(f"Keras does not have {option}={tuple(value)!r}, with constants")
    return value


def json_text(content: bytes | str, what: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    CheckpointError
        It is none, or is nested more deeply than a model can be.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{what} is no JSON: {str(error)[:200]}") from None
