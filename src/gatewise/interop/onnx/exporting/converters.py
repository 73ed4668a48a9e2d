"""What skl2onnx needs to convert a pipeline that holds estimators of gatewise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data import SequenceScaler
from gatewise.errors import ConfigError, MissingPackageError
from gatewise.estimators import SequenceClassifier, SequenceRegressor
from gatewise.estimators.targets.labels import SeveralLabels

from .estimators import check_exported, estimator_outputs, label_kind, reads_tokens
from .graph import OPSETS, Builder

if TYPE_CHECKING:
    from collections.abc import Iterator


def register_converters() -> None:
    """Teach skl2onnx to convert SequenceClassifier, SequenceRegressor and SequenceScaler.

    Afterwards ``skl2onnx.to_onnx`` and ``convert_sklearn`` convert them, alone and in pipelines.
    A classifier gives labels and probabilities. Calling it again changes nothing.

    Raises
    ------
    MissingPackageError
        The package skl2onnx is not installed.

    Notes
    -----
    X is (n, time), or (n, time, features). What is given as float64 is computed in float32.
    skl2onnx puts probabilities into a list of dicts unless it is given
    ``options={"zipmap": False}``. With its option "nocl", labels are the numbers of their classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skl2onnx import to_onnx
    >>> from gatewise import SequenceRegressor
    >>> from gatewise.interop.onnx import register_converters
    >>> register_converters()
    >>> X = np.sin(np.arange(120.0)).reshape(12, 10).astype("float32")
    >>> regressor = SequenceRegressor(units=4, learning_rate="cosine", max_iter=2).fit(X, X[:, 0])
    >>> len(to_onnx(regressor, X[:1], target_opset=17).graph.output)
    1
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise MissingPackageError(
            "converters need the package skl2onnx: pip install gatewise[onnx]"
        ) from error
    update_registered_converter(
        SequenceClassifier,
        "GatewiseSequenceClassifier",
        _classifier_shapes,
        _convert_estimator,
        overwrite=True,
        options={"zipmap": [True, False, "columns"], "nocl": [True, False]},
    )
    update_registered_converter(
        SequenceRegressor,
        "GatewiseSequenceRegressor",
        _regressor_shapes,
        _convert_estimator,
        overwrite=True,
    )
    update_registered_converter(
        SequenceScaler,
        "GatewiseSequenceScaler",
        _scaler_shapes,
        _convert_scaler,
        overwrite=True,
    )


# ---- shapes


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common import data_types

    estimator = operator.raw_operator
    check_exported(estimator)
    batch = operator.inputs[0].get_first_dimension()
    count = len(estimator.classes_)
    several = isinstance(estimator._target, SeveralLabels)
    kind = {
        "whole": data_types.Int64TensorType,
        "text": data_types.StringTensorType,
        "number": data_types.FloatTensorType,
    }["whole" if _numbered(operator.scope_inst, estimator) else label_kind(estimator)]
    operator.outputs[0].type = kind([batch, count] if several else [batch])
    operator.outputs[1].type = data_types.FloatTensorType([batch, count])


def _numbered(scope: Any, estimator: Any) -> bool:
    """Whether labels are the numbers of their classes: skl2onnx's option nocl."""
    return bool(scope.get_options(estimator, {"nocl": False})["nocl"])


def _regressor_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    estimator = operator.raw_operator
    check_exported(estimator)
    target = estimator._target
    shape = [operator.inputs[0].get_first_dimension()]
    if target.per_step:
        shape.append(None)
    if not target.flat:
        shape.append(target.columns)
    operator.outputs[0].type = FloatTensorType(shape)


def _scaler_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    operator.raw_operator._fitted("scaler_")
    operator.outputs[0].type = FloatTensorType(list(operator.inputs[0].type.shape))


# ---- nodes


def _begin(scope: Any, operator: Any, container: Any) -> tuple[Builder, Any]:
    opset = container.target_opset
    if opset not in OPSETS:
        raise ConfigError(
            f"target_opset is {opset}; gatewise writes operators of version {OPSETS[0]} to"
            f" {OPSETS[-1]}: give target_opset"
        )
    prefix = scope.get_unique_operator_name(type(operator.raw_operator).__name__)
    return Builder(opset, f"{prefix}/"), operator.raw_operator


def _as_float(b: Builder, name: str) -> str:
    return b.op("Cast", name, to=b.onnx.TensorProto.FLOAT)


def _convert_estimator(scope: Any, operator: Any, container: Any) -> None:
    b, estimator = _begin(scope, operator, container)
    (given,) = operator.inputs
    x = given.full_name
    if reads_tokens(estimator):
        x = b.op("Cast", x, to=b.onnx.TensorProto.INT64)
    else:
        x = _as_float(b, x)
    numbered = isinstance(estimator, SequenceClassifier) and _numbered(scope, estimator)
    outputs = estimator_outputs(b, estimator, x, len(given.type.shape), None, numbered)
    for output, wanted in zip(outputs, operator.outputs):
        _name_output(b, output.value, wanted.full_name)
    _hand_over(b, container)


def _convert_scaler(scope: Any, operator: Any, container: Any) -> None:
    b, scaler = _begin(scope, operator, container)
    y, made = _as_float(b, operator.inputs[0].full_name), scaler.scaler_
    if scaler.method == "minmax":
        y = b.op("Mul", y, b.constant(made.scale_, np.float32))
        y = b.op("Add", y, b.constant(made.min_, np.float32))
        if scaler.clip:
            low, high = scaler.feature_range
            y = b.op("Clip", y, b.number(low), b.number(high))
    else:
        center = made.mean_ if scaler.method == "standard" else made.center_
        if scaler.with_centering:
            y = b.op("Sub", y, b.constant(center, np.float32))
        if scaler.with_scaling:
            y = b.op("Div", y, b.constant(made.scale_, np.float32))
    _name_output(b, y, operator.outputs[0].full_name)
    _hand_over(b, container)


def _name_output(b: Builder, value: str, name: str) -> None:
    b.nodes.append(b.onnx.helper.make_node("Identity", [value], [name], name=f"{value}/output"))


def _hand_over(b: Builder, container: Any) -> None:
    """Give the nodes and constants to skl2onnx, with the versions of their operators."""
    for constant in b.constants:
        container.initializers.append(constant)
    for node in b.nodes:
        attributes = {each.name: b.onnx.helper.get_attribute_value(each) for each in node.attribute}
        container.add_node(
            node.op_type,
            list(node.input),
            list(node.output),
            op_version=_version(b, node),
            name=node.name,
            **attributes,
        )
        for inner in _inside(node):
            container.node_domain_version_pair_sets.add(("", _version(b, inner)))


def _version(b: Builder, node: Any) -> int:
    return b.onnx.defs.get_schema(node.op_type, b.opset).since_version


def _inside(node: Any) -> Iterator[Any]:
    """The nodes of the subgraphs of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                yield inner
                yield from _inside(inner)
