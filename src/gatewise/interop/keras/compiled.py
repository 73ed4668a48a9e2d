"""What a model of Keras was compiled with, and what its optimizer has accumulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.checkpoint.refusal import Refused, short
from gatewise.errors import ConfigError, GatewiseError
from gatewise.interop.moments import AdamState, set_adam_state
from gatewise.training import losses, metrics, optimizers
from gatewise.training.schedules import LearningRateSchedule

if TYPE_CHECKING:
    from .files import Content
    from .graphs import KerasModel
    from .hdf5 import Tree

# Options of Keras's optimizers that change nothing here.
_WITHOUT_EFFECT = {
    "jit_compile",
    "is_legacy_optimizer",
    "loss_scale_factor",
    "decay",
    "weight_decay",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "gradient_accumulation_steps",
}
_NOTHING = (None, False, 0, 0.0)


def compile_as(found: KerasModel, content: Content) -> None:
    """Compile a model as that of Keras was.

    Raises
    ------
    ConfigError
        gatewise has no such optimizer, loss or metric.
    Refused
        The file is damaged.
    """
    config = content.compiled
    if not isinstance(config, dict):
        raise Refused("is damaged: what the model was compiled with is no dict")
    model = found.model
    try:
        model.compile(
            optimizer=_optimizer(config.get("optimizer", config.get("optimizer_config"))),
            loss=_each(config.get("loss"), losses.get),
            metrics=_each(config.get("metrics"), metrics.get),
            loss_weights=config.get("loss_weights"),
            weighted_metrics=_each(config.get("weighted_metrics"), metrics.get),
        )
    except GatewiseError as error:
        raise ConfigError(
            f"the model cannot be compiled as it was in Keras: {error} Load it with compile=False,"
            " and compile it yourself"
        ) from error
    if isinstance(model.optimizer, optimizers.Adam) and not content.legacy:
        _read_adam(found, content.weights)


def _each(value: Any, get: Any) -> Any:
    """Return losses or metrics, alone or in lists and dicts, from those of Keras."""
    if isinstance(value, list | tuple):
        return [_each(one, get) for one in value]
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config")
        if kind == "function" or (isinstance(kind, str) and isinstance(config, str)):
            return config
        if kind == "MeanMetricWrapper" and isinstance(config, dict):
            return config.get("fn")
        if isinstance(kind, str) and isinstance(config, dict):
            plain = {
                k: v for k, v in config.items() if not (k in _LOSS_PLAIN and v in _LOSS_PLAIN[k])
            }
            return get({"class_name": kind, "config": plain})
        return {name: _each(one, get) for name, one in value.items()}
    return value


# Values of options of losses and metrics that say nothing.
_LOSS_PLAIN: dict[str, tuple[Any, ...]] = {
    "dtype": (None, "float32"),
    "reduction": ("sum_over_batch_size", "auto"),
    "axis": (-1,),
    "fn": (),
}


def _optimizer(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    plain = isinstance(value, dict) and isinstance(value.get("class_name"), str)
    if not plain or not isinstance(value.get("config"), dict):
        raise Refused(f"is damaged: its optimizer is {short(value)}")
    # Keras 2 registers its own classes as custom ones
    kind, config = value["class_name"].removeprefix("Custom>"), value["config"]
    arguments = {}
    for option, given in config.items():
        if option in _WITHOUT_EFFECT and any(given is one or given == one for one in _NOTHING):
            continue
        if option in ("ema_momentum", "is_legacy_optimizer", "jit_compile", "name"):
            continue
        if option == "learning_rate" and isinstance(given, dict):
            given = {"class_name": given.get("class_name"), "config": given.get("config")}
        elif option == "learning_rate" and isinstance(given, float):
            given = float(f"{given:.7g}")  # Keras stores a float32
        arguments[option] = given
    return optimizers.get({"class_name": kind, "config": arguments})


def _read_adam(found: KerasModel, tree: Tree) -> None:
    """Give the optimizer what Adam has accumulated, if the file has it."""
    model, start = found.model, "optimizer/vars"
    count = len(tree.names(start))
    # the number of steps, and the rate unless a schedule gives it
    first = 1 if isinstance(model.optimizer._learning_rate, LearningRateSchedule) else 2
    if count <= first:  # not trained yet
        return
    trained = [
        (layer, spec)
        for layer in model._layers
        for spec in layer._specs
        if layer._is_trained(spec.name)
    ]
    each = 3 if model.optimizer.amsgrad else 2
    if count != first + each * len(trained):
        raise Refused(
            f"has {count} arrays of its optimizer; Adam has {first + each * len(trained)} here"
        )
    iterations = int(tree.array(f"{start}/0", ()))
    slots: list[dict[Any, Any]] = [{}, {}, {}]
    for number, (layer, spec) in enumerate(trained):
        pair = first + 2 * number
        numbers = [pair, pair + 1, first + 2 * len(trained) + number]
        for slot, place in zip(slots[:each], numbers):
            slot[layer, spec.name] = tree.array(f"{start}/{place}", spec.shape)
    for held in slots:
        for array in held.values():
            checks.finite(np.asarray(array), "what the optimizer has accumulated")
    betas = model.optimizer.beta_1, model.optimizer.beta_2
    set_adam_state(model, AdamState(iterations, betas, *slots))
