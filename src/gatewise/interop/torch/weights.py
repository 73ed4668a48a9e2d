"""Weights of a layer from those of a module of PyTorch, and the other way.

PyTorch multiplies ``W x``, gatewise ``x W``: matrices are transposed. Windows of convolutions have
their channels last here and second there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.interop.gates import GATES, Biases, joined_bias, reorder, separate_biases

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array

    from .units import Unit

# Of the tensors of a recurrent module, for each direction.
SUFFIXES = ("", "_reverse")
# No weight: how often a BatchNorm was called in training.
COUNTER = "num_batches_tracked"
_NORM = {"gamma": "weight", "beta": "bias"}
_AVERAGES = {"moving_mean": "running_mean", "moving_variance": "running_var"}


def shapes_of(unit: Unit) -> list[dict[str, tuple[int, ...]]]:
    """Return the shapes that the tensors of a module may have for a unit: one dict for each form.

    Names are those of a :class:`gatewise.interop.torch.modules.Module`.
    """
    if unit.kind in ("lstm", "gru", "rnn"):
        return [_recurrent_shapes(unit)]
    if unit.kind == "attention":
        return _attention_shapes(unit)
    if unit.kind == "embedding":
        return [{"weight": _shape(unit, "embeddings")}]
    if unit.kind in ("layer_norm", "batch_norm"):
        averages = _AVERAGES if unit.kind == "batch_norm" else {}
        return [
            {
                theirs: shape
                for ours, theirs in (_NORM | averages).items()
                if (shape := unit.shape(ours)) is not None
            }
        ]
    kernel = _shape(unit, "kernel")
    shapes: dict[str, tuple[int, ...]] = {
        "weight": tuple(kernel[axis] for axis in _AXES[unit.kind])
    }
    if unit.shape("bias") is not None:
        shapes["bias"] = _shape(unit, "bias")
    return [shapes]


# Of a kernel here, in PyTorch's order.
_AXES = {"linear": (1, 0), "conv1d": (2, 1, 0), "conv2d": (3, 2, 0, 1)}


def _shape(unit: Unit, name: str) -> tuple[int, ...]:
    shape = unit.shape(name)
    assert shape is not None, name
    return shape


def _recurrent_shapes(unit: Unit) -> dict[str, tuple[int, ...]]:
    kernel, recurrent = _shape(unit, "kernel"), _shape(unit, "recurrent_kernel")
    shapes: dict[str, tuple[int, ...]] = {}
    for suffix, _ in zip(SUFFIXES, unit.prefixes):
        shapes[f"weight_ih{suffix}"] = kernel[::-1]
        shapes[f"weight_hh{suffix}"] = recurrent[::-1]
        if unit.shape("bias") is not None:
            shapes[f"bias_ih{suffix}"] = shapes[f"bias_hh{suffix}"] = kernel[1:]
        if (projection := unit.shape("projection_kernel")) is not None:
            shapes[f"weight_hr{suffix}"] = projection[::-1]
    return shapes


def _attention_shapes(unit: Unit) -> list[dict[str, tuple[int, ...]]]:
    query, heads, size = _shape(unit, "query_kernel")
    key, value = _shape(unit, "key_kernel")[0], _shape(unit, "value_kernel")
    width = heads * size
    # PyTorch's heads divide the width of the query, and values are as long as keys.
    if value[1:] != (heads, size) or query != width or _shape(unit, "output_kernel")[2] != width:
        return []
    shapes: dict[str, tuple[int, ...]] = {"out_proj.weight": (width, width)}
    if unit.shape("query_bias") is not None:
        shapes |= {"in_proj_bias": (3 * width,), "out_proj.bias": (width,)}
    separate = {
        "q_proj_weight": (width, width),
        "k_proj_weight": (width, key),
        "v_proj_weight": (width, value[0]),
    }
    if key == value[0] == width:
        return [{"in_proj_weight": (3 * width, width)} | shapes, separate | shapes]
    return [separate | shapes]


# ---- from PyTorch


def to_ours(unit: Unit, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the parameters of a unit, by their names in its owner."""
    if unit.kind in ("lstm", "gru", "rnn"):
        return {
            prefix + name: array
            for suffix, prefix in zip(SUFFIXES, unit.prefixes)
            for name, array in _recurrent_to_ours(unit, tensors, suffix).items()
        }
    found = _attention_to_ours if unit.kind == "attention" else _plain_to_ours
    return {unit.prefixes[0] + name: array for name, array in found(unit, tensors).items()}


def _plain_to_ours(unit: Unit, tensors: Mapping[str, Array]) -> dict[str, Array]:
    if unit.kind == "embedding":
        return {"embeddings": tensors["weight"]}
    if unit.kind in ("layer_norm", "batch_norm"):
        return {
            ours: tensors[theirs]
            for ours, theirs in (_NORM | _AVERAGES).items()
            if theirs in tensors
        }
    axes = _AXES[unit.kind]
    weights = {"kernel": tensors["weight"].transpose(np.argsort(axes))}
    return weights | ({"bias": tensors["bias"]} if "bias" in tensors else {})


def _recurrent_to_ours(unit: Unit, tensors: Mapping[str, Array], suffix: str) -> dict[str, Array]:
    orders = GATES["torch"][unit.kind], GATES["gatewise"][unit.kind]
    weights = {
        "kernel": reorder(tensors[f"weight_ih{suffix}"].T, *orders),
        "recurrent_kernel": reorder(tensors[f"weight_hh{suffix}"].T, *orders),
    }
    if f"weight_hr{suffix}" in tensors:
        weights["projection_kernel"] = tensors[f"weight_hr{suffix}"].T
    if f"bias_ih{suffix}" in tensors:
        names = f"bias_ih{suffix}", f"bias_hh{suffix}"
        biases = Biases(*(reorder(tensors[name], *orders) for name in names))
        # The GRU multiplies the product of its state, bias included, by r: its biases stay apart.
        weights["bias"] = np.stack(biases) if unit.kind == "gru" else joined_bias(biases)
    return weights


def _attention_to_ours(unit: Unit, tensors: Mapping[str, Array]) -> dict[str, Array]:
    heads = _shape(unit, "query_kernel")[1:]
    names = ("query", "key", "value")
    if "in_proj_weight" in tensors:
        matrices: Any = np.split(tensors["in_proj_weight"], 3)
    else:
        matrices = [tensors[f"{letter}_proj_weight"] for letter in "qkv"]
    output = tensors["out_proj.weight"].T
    weights = {
        f"{name}_kernel": matrix.T.reshape(-1, *heads) for name, matrix in zip(names, matrices)
    } | {"output_kernel": output.reshape(*heads, -1)}
    if "in_proj_bias" in tensors:
        biases = np.split(tensors["in_proj_bias"], 3)
        weights |= {f"{name}_bias": bias.reshape(heads) for name, bias in zip(names, biases)}
        weights["output_bias"] = tensors["out_proj.bias"]
    return weights


# ---- to PyTorch


def to_torch(unit: Unit, parameters: Mapping[str, Array], names: Any) -> dict[str, Array]:
    """Return the tensors of a module, by its names, from the parameters of a unit's owner.

    Parameters
    ----------
    unit : Unit
        Whose weights.
    parameters : mapping of str to ndarray
        Of the unit's owner.
    names : collection of str
        Which tensors: they tell whether an attention has one matrix or three.
    """
    if unit.kind in ("lstm", "gru", "rnn"):
        return {
            name + suffix: array
            for suffix, prefix in zip(SUFFIXES, unit.prefixes)
            for name, array in _recurrent_to_torch(unit, parameters, prefix).items()
        }
    start = unit.prefixes[0]
    own = {
        name.removeprefix(start): array
        for name, array in parameters.items()
        if name.startswith(start)
    }
    if unit.kind == "embedding":
        return {"weight": own["embeddings"]}
    if unit.kind == "attention":
        return _attention_to_torch(own, "in_proj_weight" in names)
    if unit.kind in ("layer_norm", "batch_norm"):
        tensors = {theirs: own[ours] for ours, theirs in (_NORM | _AVERAGES).items() if ours in own}
        return tensors | ({COUNTER: np.array(0)} if unit.kind == "batch_norm" else {})
    tensors = {"weight": own["kernel"].transpose(_AXES[unit.kind])}
    return tensors | ({"bias": own["bias"]} if "bias" in own else {})


def _recurrent_to_torch(
    unit: Unit, parameters: Mapping[str, Array], prefix: str
) -> dict[str, Array]:
    orders = GATES["gatewise"][unit.kind], GATES["torch"][unit.kind]
    tensors = {
        "weight_ih": reorder(parameters[f"{prefix}kernel"], *orders).T,
        "weight_hh": reorder(parameters[f"{prefix}recurrent_kernel"], *orders).T,
    }
    if f"{prefix}bias" in parameters:
        biases = separate_biases(parameters[f"{prefix}bias"])
        tensors |= {
            "bias_ih": reorder(biases.inputs, *orders),
            "bias_hh": reorder(biases.states, *orders),
        }
    if f"{prefix}projection_kernel" in parameters:
        tensors["weight_hr"] = parameters[f"{prefix}projection_kernel"].T
    return tensors


def _attention_to_torch(own: Mapping[str, Array], packed: bool) -> dict[str, Array]:
    width = own["output_kernel"].shape[-1]
    names = ("query", "key", "value")
    matrices = [own[f"{name}_kernel"].reshape(-1, width).T for name in names]
    tensors = {"out_proj.weight": own["output_kernel"].reshape(width, width).T}
    if packed:
        tensors["in_proj_weight"] = np.concatenate(matrices)
    else:
        tensors |= {f"{letter}_proj_weight": matrix for letter, matrix in zip("qkv", matrices)}
    if "query_bias" in own:
        tensors["in_proj_bias"] = np.concatenate([own[f"{name}_bias"].ravel() for name in names])
        tensors["out_proj.bias"] = own["output_bias"]
    return tensors
