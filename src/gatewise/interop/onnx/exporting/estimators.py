"""Fitted estimators: how X is read, the network, and what its scores mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from gatewise.errors import ConfigError
from gatewise.estimators import SequenceClassifier, SequenceRegressor
from gatewise.estimators.targets.labels import SeveralLabels

from .graph import Timing, Value
from .masks import back, masked, to_front
from .network import Exporter, entering, mask_of

if TYPE_CHECKING:
    from .graph import Builder


class Output(NamedTuple):
    """An output of an estimator.

    Attributes
    ----------
    name : str
        "label" and "probabilities" of a classifier, "prediction" of a regressor.
    value : str
        In the graph.
    kind : int
        Its type in ONNX.
    shape : tuple
        (batch, ...) with None for what is not known.
    """

    name: str
    value: str
    kind: int
    shape: tuple[Any, ...]


def check_exported(estimator: Any) -> None:
    """Refuse what has no form in ONNX.

    Raises
    ------
    ConfigError
        With the reason.
    NotFittedError
        It is not fitted.
    """
    if not isinstance(estimator, SequenceClassifier | SequenceRegressor):
        raise ConfigError(
            f"{type(estimator).__name__} cannot be exported to ONNX: its predictions are more than"
            " numbers and labels of sequences; SequenceClassifier and SequenceRegressor can, and"
            " so can the network of others, estimator.model_"
        )
    estimator._need_fitted()
    missing = estimator._in_use("missing")
    if missing not in ("error", "mean", "mask"):
        _refuse(estimator, f"missing={missing!r} looks at other steps; fit with 'mean' or 'mask'")


def _refuse(estimator: Any, reason: str) -> NoReturn:
    raise ConfigError(f"{type(estimator).__name__} cannot be exported to ONNX: {reason}")


def reads_tokens(estimator: Any) -> bool:
    """Whether X holds whole numbers."""
    return estimator._in_use("embedding") is not None


def input_shape(estimator: Any) -> tuple[Any, ...]:
    """The shape of X, with None for what is free."""
    if estimator._fitted_on_table:
        return (None, estimator.n_features_in_)
    return (None, None) if reads_tokens(estimator) else (None, None, estimator._step_features)


def estimator_outputs(
    b: Builder, estimator: Any, x: str, rank: int, lengths: str | None, numbered: bool = False
) -> list[Output]:
    """Add what an estimator computes.

    Parameters
    ----------
    b : Builder
        Receives the nodes.
    estimator : SequenceClassifier or SequenceRegressor
        Fitted.
    x : str
        X: int64 if there are tokens, else float32.
    rank : int
        Number of its axes, 2 or 3.
    lengths : str or None
        Number of steps of each row.
    numbered : bool
        Whether labels are the numbers of their classes.

    Returns
    -------
    list of Output
    """
    model, tokens = estimator.model_, reads_tokens(estimator)
    if tokens and rank == 3:
        x = b.op("Squeeze", x, b.ints(2))
    elif not tokens and rank == 2:
        x = b.op("Unsqueeze", x, b.ints(2))
    shape = (None, None) if tokens else (None, None, estimator._step_features)
    if estimator._fitted_on_table and not model._takes_any_length:
        shape = (None, estimator.n_features_in_, *shape[2:])
    value = _completed(b, estimator, Value(x, shape), lengths)
    own = mask_of(model._ports(0), value, b)
    if own is not None and value.timing is not None:
        _refuse(estimator, "its architecture masks steps, and so does missing='mask'")
    if value.timing is None:
        value = entering(b, value, own, lengths, tokens)
    e = Exporter(b, False)
    for layer in model._layers[:-1]:
        (value,) = e.call(layer, [value], "")
    if value.timing is not None:
        value = back(b, value)
    if isinstance(estimator, SequenceRegressor):
        return [_numbers(b, estimator, value)]
    return _labels(b, estimator._target, value, numbered)


def _completed(b: Builder, estimator: Any, x: Value, lengths: str | None) -> Value:
    """X without missing values."""
    missing = estimator._in_use("missing")
    if missing == "error":
        return x
    lost = b.op("IsNaN", x.name)
    if missing == "mean":
        means = b.constant(estimator.feature_means_, np.float32, "feature_means")
        return Value(b.op("Where", lost, means, x.name), x.shape)
    some = b.reduce("ReduceMax", b.op("Cast", lost, to=b.onnx.TensorProto.FLOAT), [2], False)
    timing: Timing = masked(b, b.op("Less", some, b.number(0.5)), lengths)
    return to_front(b, x, timing)


def _numbers(b: Builder, estimator: Any, scores: Value) -> Output:
    y, shape = scores.name, scores.shape
    if estimator.out_activation_ == "exponential":
        y = b.op("Exp", y)
    if estimator._target.flat:
        y, shape = b.op("Squeeze", y, b.ints(len(shape) - 1)), shape[:-1]
    return Output("prediction", y, b.onnx.TensorProto.FLOAT, shape)


def _labels(b: Builder, target: Any, scores: Value, numbered: bool) -> list[Output]:
    types, s, classes = b.onnx.TensorProto, scores.name, target.known
    count = len(classes)
    if isinstance(target, SeveralLabels):
        above = b.op("Greater", s, b.number(0))
        label = b.op("Cast", above, to=types.INT64)
        return [
            Output("label", label, types.INT64, (None, count)),
            Output("probabilities", b.op("Sigmoid", s), types.FLOAT, (None, count)),
        ]
    if count == 2:
        decided = b.op("Cast", b.op("Greater", s, b.number(0)), to=types.INT64)
        decided = b.op("Squeeze", decided, b.ints(1))
        probabilities = b.op("Sigmoid", b.op("Concat", b.op("Neg", s), s, axis=1))
    else:
        decided = b.op("ArgMax", s, axis=1, keepdims=0)
        probabilities = b.op("Softmax", s, axis=1)
    labels, kind = _as_labels(b, np.arange(count) if numbered else classes)
    return [
        Output("label", b.op("Gather", labels, decided, axis=0), kind, (None,)),
        Output("probabilities", probabilities, types.FLOAT, (None, count)),
    ]


def _as_labels(b: Builder, classes: Any) -> tuple[str, int]:
    """The classes as a constant, and their type: text, whole numbers or numbers."""
    types = b.onnx.TensorProto
    if classes.dtype.kind in "iub":
        return b.constant(classes.astype(np.int64), name="classes"), types.INT64
    if classes.dtype.kind == "f":
        return b.constant(classes, np.float32, "classes"), types.FLOAT
    if not all(isinstance(each, str) for each in classes.tolist()):
        raise ConfigError(
            f"classes are {classes!r:.200}; ONNX has labels that are text or numbers: fit with such"
        )
    name = b.name("classes")
    texts = [each.encode("utf-8") for each in classes.tolist()]
    b.constants.append(b.onnx.helper.make_tensor(name, types.STRING, [len(texts)], texts))
    return name, types.STRING


def label_kind(estimator: Any) -> str:
    """ "text", "whole" or "number": what the labels of a classifier are."""
    if isinstance(estimator._target, SeveralLabels):
        return "whole"
    kind = estimator._target.known.dtype.kind
    return "whole" if kind in "iub" else "number" if kind == "f" else "text"
