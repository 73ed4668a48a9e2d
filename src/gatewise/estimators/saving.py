"""What of an estimator, a transformer or a pipeline of them is written to a file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sklearn.pipeline import Pipeline

from gatewise import file_kinds
from gatewise.checkpoint import Contents
from gatewise.checkpoint.writing import content_of, replace
from gatewise.data.saving import is_transformer, pack_transformer
from gatewise.errors import DTypeError
from gatewise.memory import names_memory
from gatewise.models.saving import at_one_moment, contents_of

from .attributes_in_files import CHECKS
from .packing import VALUES
from .registry import CLASSES

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike

    from .base import SequenceEstimator

DEEPEST = 8  # levels of pipelines inside a pipeline


@names_memory
def save_estimator(estimator: Any, path: PathLike) -> None:
    """Write an estimator, a transformer or a pipeline of them to one file, atomically.

    :func:`load_estimator` reads it. Nothing in the file is pickled. A function given as
    ``architecture`` is not kept, the layers that it made are. Requests for metadata are not kept,
    nor is a pipeline's ``memory``.

    Parameters
    ----------
    estimator : fitted estimator of gatewise, transformer of :mod:`gatewise.data`, or Pipeline
        The steps of a pipeline are estimators and transformers of gatewise, pipelines of them,
        ``"passthrough"`` or None.
    path : str or path-like
        The file to write.

    Raises
    ------
    NotFittedError
        The estimator or a step has not been fitted.
    CheckpointError
        The file could not be written; an older file of that name is unchanged.
    DTypeError
        A step, a parameter or a label is of a kind that files cannot hold; steps are named.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from gatewise import load_estimator, save_estimator
    >>> from gatewise.data import SequenceScaler
    >>> scaler = SequenceScaler().fit(np.arange(12.0).reshape(2, 3, 2))
    >>> path = os.path.join(tempfile.mkdtemp(), "scaler.safetensors")
    >>> save_estimator(scaler, path)
    >>> load_estimator(path).n_features_in_
    2
    """
    file_kinds.warn_of_ending(path)
    with contextlib.ExitStack() as moment:
        contents = _contents_of(estimator, "", type(estimator).__name__, moment)
        content = content_of(path, contents.tensors, contents.header)
    replace(path, content)


def _contents_of(estimator: Any, prefix: str, what: str, moment: contextlib.ExitStack) -> Contents:
    """Tensors and header of an estimator, transformer or pipeline.

    Names of tensors begin with `prefix`. Models do not change until the stack `moment` is left.
    """
    if isinstance(estimator, Pipeline) and type(estimator) is Pipeline:
        return _contents_of_pipeline(estimator, prefix, what, moment)
    if is_transformer(estimator):
        arrays: dict[str, Array] = {}
        packed = pack_transformer(estimator, arrays, prefix)
        return Contents(arrays, {"transformer": packed})
    if type(estimator) is not CLASSES.get(type(estimator).__name__):
        cure = "; give its best_estimator_" if hasattr(estimator, "best_estimator_") else ""
        raise DTypeError(
            f"{what} is a {type(estimator).__name__}, which files cannot hold; expected an"
            f" estimator or transformer of gatewise, or a pipeline of them{cure}"
        )
    if hasattr(estimator, "_contents"):  # a class with a form of its own
        return estimator._contents(prefix, moment)
    return _contents_of_estimator(estimator, prefix, moment)


def _contents_of_estimator(
    estimator: SequenceEstimator, prefix: str, moment: contextlib.ExitStack
) -> Contents:
    estimator._need_fitted()
    names = estimator._get_param_names()
    apart = (*names, *estimator._own_state, "model_", "_target", "_metadata_request")
    attributes = estimator._stored_target() | {
        name: value for name, value in vars(estimator).items() if name not in apart
    }
    for name in attributes:
        if name not in CHECKS:
            raise DTypeError(
                f"{type(estimator).__name__}.{name} is no attribute that files know of; delete it"
                " before saving"
            )
    arrays: dict[str, Array] = {}
    packed = {
        "class_name": type(estimator).__name__,
        "parameters": {
            name: VALUES.encode(getattr(estimator, name), f"{prefix}parameters/{name}", arrays)
            for name in names
        },
        "attributes": {
            name: VALUES.encode(value, f"{prefix}attributes/{name}", arrays)
            for name, value in attributes.items()
        },
        "state": VALUES.encode(estimator._get_state(), f"{prefix}state", arrays),
    }
    moment.enter_context(at_one_moment(estimator.model_))
    model = contents_of(estimator.model_)
    tensors = {f"{prefix}model/{name}": array for name, array in model.tensors.items()}
    return Contents(tensors | arrays, {"estimator": packed, "model": model.header})


def _contents_of_pipeline(
    pipeline: Pipeline, prefix: str, what: str, moment: contextlib.ExitStack
) -> Contents:
    if prefix.count("/") > DEEPEST:
        raise DTypeError(
            f"pipelines hold pipelines more than {DEEPEST} levels deep, which files do not hold"
        )
    if getattr(pipeline, "transform_input", None) is not None:
        raise DTypeError(f"{what} has transform_input, which files do not keep; leave it out")
    tensors: dict[str, Array] = {}
    steps = []
    for number, (name, step) in enumerate(pipeline.steps):
        if step is None or (isinstance(step, str) and step == "passthrough"):
            header: dict[str, Any] = {"passthrough": step is not None}
        else:
            contents = _contents_of(step, f"{prefix}step{number}/", f"step {name!r}", moment)
            tensors |= contents.tensors
            header = contents.header
        steps.append({"name": name} | header)
    return Contents(tensors, {"pipeline": {"steps": steps, "verbose": bool(pipeline.verbose)}})
