"""Models of gatewise as ONNX files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

import gatewise
from gatewise import checks
from gatewise.checkpoint.files import path_text, replace_file
from gatewise.errors import ConfigError, DTypeError
from gatewise.interop.onnx.reading import onnx_package
from gatewise.memory import names_memory
from gatewise.models.step_plan import step_plan

from .graph import OPSETS, Builder, Value
from .masks import back
from .network import Exporter, entering, mask_of
from .steps import StepExporter

if TYPE_CHECKING:
    from gatewise._typing import PathLike

_MOST = 2**31 - 1  # protobuf's limit


@names_memory
def export_model(
    model: Any,
    path: PathLike | None,
    opset: int = 17,
    *,
    lengths: bool = False,
    states: bool = False,
    step: bool = False,
) -> Any:
    """Write a model as an ONNX file that any runtime runs.

    Recurrent layers become nodes RNN, GRU and LSTM; cells with options that these do not have
    (zoneout, layer normalization, projection, limits of the cell state, ...) become a Scan of
    their step. All other layers become standard operators. The file computes what
    :meth:`predict` computes. Its names are those of the model; batch and steps are symbolic.

    Parameters
    ----------
    model : Sequential, Model, SequenceClassifier or SequenceRegressor
        A built model in float32; or a fitted estimator, whose network is exported in float32. Its
        file reads X, (n, time) or (n, time, features), with missing values where `missing` is
        "mean" or "mask"; it has the outputs ``label`` and ``probabilities``, or ``prediction``.
    path : str, os.PathLike or None
        The file, by convention ``.onnx``. It is replaced as a whole, or stays as it was. None: no
        file is written.
    opset : int, default 17
        Version of ONNX's operators, 14 to 24.
    lengths : bool, default False
        Whether the file has an input ``lengths``, int64 (batch,), for each input that is a
        sequence: the number of steps of each row. If there are several, they are
        ``lengths_<name of the input>``. Outputs past a row's end are zero; the last output is that
        of its last step. A layer that masks needs no lengths: the file computes the mask.
    states : bool, default False
        Whether the states of recurrent layers are inputs, ``<layer>/h``, and outputs,
        ``<layer>/h/next``, each (batch, units).
    step : bool, default False
        Whether the file computes one step: inputs are (batch, features), or whole numbers (batch,),
        outputs those of this step, and the states of all layers inputs and outputs as above. The
        metadata ``gatewise.states`` name the states, with the values before the first step if
        these are not zero. Steps that a layer masks must not be given.

    Returns
    -------
    onnx.ModelProto
        The model as it was written, checked by ``onnx.checker`` with shapes.

    Raises
    ------
    ConfigError
        A layer has no form in ONNX, by its name and with the reason; `opset` is another; the model
        computes in float64; the file would have more than 2 GiB; or `step` is given together with
        `lengths` or `states`.
    CheckpointError
        The file cannot be written.
    MissingPackageError
        The package onnx is not installed.
    StateError
        The model is not built.

    Examples
    --------
    >>> import tempfile
    >>> from gatewise import Sequential, layers
    >>> from gatewise.interop.onnx import export_model
    >>> model = Sequential([layers.LSTM(8, input_shape=(None, 3)), layers.Dense(1)], name="tone")
    >>> proto = export_model(model, tempfile.mkdtemp() + "/tone.onnx", lengths=True)
    >>> [value.name for value in proto.graph.input]
    ['x', 'lengths']
    """
    checks.whole_number(opset, "opset")
    if opset not in OPSETS:
        raise ConfigError(f"opset is {opset}; expected a version from {OPSETS[0]} to {OPSETS[-1]}")
    for name, value in (("lengths", lengths), ("states", states), ("step", step)):
        checks.flag(value, name)
    if step and (lengths or states):
        raise ConfigError(
            "a file of one step has no lengths, and always has states: leave out lengths and states"
        )
    estimator = any(cls.__module__.startswith("gatewise.estimators") for cls in type(model).__mro__)
    if not estimator and not hasattr(model, "_run_inside"):
        raise DTypeError(
            f"model is {type(model).__name__}; expected a Sequential, a Model, or a fitted"
            " SequenceClassifier or SequenceRegressor"
        )
    target = None if path is None else path_text(path)
    if estimator:
        if states or step:
            raise ConfigError(
                "an estimator is exported for whole sequences: leave out states and step, or export"
                " its network, estimator.model_"
            )
        proto = _estimator_model(model, opset, lengths)
        _write(proto, target)
        return proto
    model._need_built("export to ONNX")
    if model.dtype != "float32":
        raise ConfigError(
            f"model {model.name!r} computes in {model.dtype}; runtimes have recurrent nodes in"
            " float32 only: make the model with dtype='float32' and give it these weights with"
            " set_weights"
        )
    with model._guard:
        proto = (
            _step_model(model, opset) if step else _sequence_model(model, opset, lengths, states)
        )
    _write(proto, target)
    return proto


def _write(proto: Any, target: str | None) -> None:
    onnx = onnx_package()
    size = proto.ByteSize()
    if size > _MOST:
        raise ConfigError(
            f"the ONNX file would have {size} bytes; protobuf, its format, takes at most {_MOST}"
        )
    onnx.checker.check_model(proto, full_check=True)
    if target is not None:
        replace_file(os.fspath(target), proto.SerializeToString())


def _shapes(model: Any) -> list[tuple[Any, ...]]:
    shapes = model.input_shape
    return shapes if isinstance(shapes, list) else [shapes]


def _sequence_model(model: Any, opset: int, lengths: bool, states: bool) -> Any:
    b = Builder(opset)
    helper, types = b.onnx.helper, b.onnx.TensorProto
    e = Exporter(b, states)
    shapes = _shapes(model)
    reading = [bool(model._reads_sequences(k)) for k in range(len(shapes))]
    inputs, values, symbols = [], [], {}
    for k, name in enumerate(model._input_names):
        ports = model._ports(k)
        whole = any(getattr(port, "_padded_dtype", None) is not None for port in ports)
        shape, dims = _symbolic(model, shapes[k], k, reading)
        symbols[k] = dims
        b.name(name)
        kind = types.INT64 if whole else types.FLOAT
        inputs.append(helper.make_tensor_value_info(name, kind, dims))
        given = None
        if lengths and reading[k]:
            given = b.name("lengths" if sum(reading) == 1 else f"lengths_{name}")
            inputs.append(helper.make_tensor_value_info(given, types.INT64, ["batch"]))
        value = Value(name, shape)
        values.append(entering(b, value, mask_of(ports, value, b), given, whole))
    if lengths and not any(reading):
        raise ConfigError(f"lengths: no input of model {model.name!r} is a sequence")
    names = [b.name(name) for name in model._output_names]
    outputs = []
    for j, (made, value) in enumerate(zip(names, e.network(model, values, ""))):
        value = back(b, value) if value.timing is not None else value
        b.nodes.append(helper.make_node("Identity", [value.name], [made], name=f"{made}/output"))
        followed = model._followed_input(j)
        dims = ["batch" if axis == 0 else extent for axis, extent in enumerate(value.shape)]
        if followed is not None and len(dims) > 2 and dims[1] is None:
            dims[1] = symbols[followed][1]
        outputs.append(helper.make_tensor_value_info(made, types.FLOAT, dims))
    for name, size in e.state_inputs:
        inputs.append(helper.make_tensor_value_info(name, types.FLOAT, ["batch", size]))
    sizes = dict(e.state_inputs)
    for name, made in e.state_outputs:
        b.nodes.append(helper.make_node("Identity", [made], [name], name=f"{name}/output"))
        size = sizes.get(name.removesuffix("/next"))
        outputs.append(helper.make_tensor_value_info(name, types.FLOAT, ["batch", size]))
    return _proto(model, b, inputs, outputs, {"gatewise.kind": "sequences"})


def _symbolic(
    model: Any, shape: tuple[Any, ...], k: int, reading: list[bool]
) -> tuple[tuple[Any, ...], list[Any]]:
    """The shape of an input as far as it is known, and with names in place of what is not."""
    shape = (None, *shape[1:])
    timed = len(shape) > 1 and (len(shape) > 2 or reading[k])
    if timed and reading[k] and model._takes_any_length:
        shape = (None, None, *shape[2:])
    name = model._input_names[k]
    time = "time" if len(reading) == 1 else f"time_{name}"
    dims: list[Any] = ["batch"]
    for axis, extent in enumerate(shape[1:], 1):
        if extent is not None:
            dims.append(extent)
        else:
            dims.append(time if axis == 1 else f"{name}_axis_{axis}")
    return shape, dims


def _step_model(model: Any, opset: int) -> Any:
    plan = step_plan(model)
    b = Builder(opset)
    helper, types = b.onnx.helper, b.onnx.TensorProto
    inputs = []
    for each in plan.inputs:
        width = plan.vectors[each.vector].width
        whole = each.size is not None
        inputs.append(
            helper.make_tensor_value_info(
                b.name(each.name),
                types.INT64 if whole else types.FLOAT,
                ["batch"] if whole else ["batch", width],
            )
        )
    names = [b.name(each.name) for each in plan.outputs]
    e = StepExporter(b, plan)
    found = e.run([each.name for each in plan.inputs])
    outputs = []
    for output, made, value in zip(plan.outputs, names, found):
        b.nodes.append(helper.make_node("Identity", [value], [made], name=f"{made}/output"))
        width = plan.vectors[output.vector].width
        outputs.append(helper.make_tensor_value_info(made, types.FLOAT, ["batch", width]))
    for output, made in zip(plan.outputs, names):
        due = e.due(output.vector)
        if due:
            name = b.name(f"{made}/due")
            b.nodes.append(helper.make_node("Identity", [due], [name], name=f"{name}/output"))
            outputs.append(helper.make_tensor_value_info(name, types.BOOL, ["batch", 1]))
    about = {}
    for name, (start, value) in e.states.items():
        kind, dims = helper.np_dtype_to_tensor_dtype(start.dtype), ["batch", *start.shape]
        kind = types.INT64 if kind == types.INT64 else types.FLOAT
        inputs.append(helper.make_tensor_value_info(name, kind, dims))
        b.nodes.append(
            helper.make_node("Identity", [value], [f"{name}/next"], name=f"{name}/next/output")
        )
        outputs.append(helper.make_tensor_value_info(f"{name}/next", kind, dims))
        about[name] = start.tolist() if np.any(start) else 0
    notes = {"gatewise.kind": "step", "gatewise.states": json.dumps(about)}
    return _proto(model, b, inputs, outputs, notes)


def _estimator_model(estimator: Any, opset: int, lengths: bool) -> Any:
    from .estimators import check_exported, estimator_outputs, input_shape, reads_tokens

    check_exported(estimator)
    b = Builder(opset)
    helper, types = b.onnx.helper, b.onnx.TensorProto
    shape = input_shape(estimator)
    dims = ["batch" if k == 0 else extent or "time" for k, extent in enumerate(shape)]
    kind = types.INT64 if reads_tokens(estimator) else types.FLOAT
    inputs = [helper.make_tensor_value_info(b.name("X"), kind, dims)]
    given = None
    if lengths:
        given = b.name("lengths")
        inputs.append(helper.make_tensor_value_info(given, types.INT64, ["batch"]))
    for name in ("label", "probabilities", "prediction"):
        b.name(name)
    outputs = []
    with estimator.model_._guard:
        found = estimator_outputs(b, estimator, "X", len(shape), given)
    for name, value, output_kind, output_shape in found:
        b.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}/output"))
        made = ["batch" if k == 0 else extent or "time" for k, extent in enumerate(output_shape)]
        outputs.append(helper.make_tensor_value_info(name, output_kind, made))
    return _proto(estimator.model_, b, inputs, outputs, {"gatewise.kind": type(estimator).__name__})


def _proto(
    model: Any, b: Builder, inputs: list[Any], outputs: list[Any], notes: dict[str, str]
) -> Any:
    helper = b.onnx.helper
    graph = b.message(model.name, inputs, outputs)
    opsets = [helper.make_opsetid("", b.opset)]
    proto = helper.make_model(
        graph,
        producer_name="gatewise",
        producer_version=gatewise.__version__,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
    )
    helper.set_model_props(proto, notes)
    return proto
