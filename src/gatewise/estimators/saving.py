"""What of an estimator, a transformer or a pipeline of them is written to a file."""

import contextlib

from sklearn.pipeline import Pipeline

from gatewise import file_kinds
from gatewise.checkpoint.writing import content_of, replace
from gatewise.data.saving import is_transformer, pack_transformer
from gatewise.errors import DTypeError
from gatewise.memory import names_memory
from gatewise.models.saving import at_one_moment, contents_of

from .attributes_in_files import CHECKS
from .packing import pack
from .registry import CLASSES

DEEPEST = 8  # levels of pipelines inside a pipeline


@names_memory
def save_estimator(estimator, path):
    """Write an estimator, a transformer or a pipeline of them to one file, atomically: what :func:`load_estimator` reads.

    Nothing in the file is pickled. A function given as ``architecture`` is not kept, the layers
    that it made are. Requests for metadata are not kept, nor is a pipeline's ``memory``.

    Parameters
    ----------
    estimator : fitted estimator of gatewise, transformer of :mod:`gatewise.data`, or Pipeline
        The steps of a pipeline are estimators and transformers of gatewise, pipelines of them,
        ``"passthrough"`` or None.
    path : str or path-like

    Raises
    ------
    NotFittedError
    CheckpointError
        The file could not be written; an older file of that name is still whole.
    DTypeError
        A step, a parameter or a label is of a kind that files cannot hold; steps are named.
    """
    file_kinds.warn_of_ending(path)
    with contextlib.ExitStack() as moment:
        tensors, header = _contents_of(estimator, "", type(estimator).__name__, moment)
        content = content_of(path, tensors, header)
    replace(path, content)


def _contents_of(estimator, prefix, what, moment):
    """(tensors, header) of an estimator, transformer or pipeline; names of tensors begin with `prefix`.

    Models of it are held as they are until the ExitStack `moment` is left.
    """
    if isinstance(estimator, Pipeline) and type(estimator) is Pipeline:
        return _contents_of_pipeline(estimator, prefix, what, moment)
    if is_transformer(estimator):
        arrays = {}
        return arrays, {"transformer": pack_transformer(estimator, arrays, prefix)}
    if type(estimator) is not CLASSES.get(type(estimator).__name__):
        cure = "; give its best_estimator_" if hasattr(estimator, "best_estimator_") else ""
        raise DTypeError(
            f"{what} is a {type(estimator).__name__}, which files cannot hold; expected an"
            f" estimator or transformer of gatewise, or a pipeline of them{cure}"
        )
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
    arrays = {}
    packed = {
        "class_name": type(estimator).__name__,
        "parameters": {
            name: pack(getattr(estimator, name), arrays, CLASSES, f"{prefix}parameters/{name}")
            for name in names
        },
        "attributes": {
            name: pack(value, arrays, CLASSES, f"{prefix}attributes/{name}")
            for name, value in attributes.items()
        },
        "state": pack(estimator._get_state(), arrays, CLASSES, f"{prefix}state"),
    }
    moment.enter_context(at_one_moment(estimator.model_))
    tensors, header = contents_of(estimator.model_)
    return {f"{prefix}model/{name}": array for name, array in tensors.items()} | arrays, {
        "estimator": packed,
        "model": header,
    }


def _contents_of_pipeline(pipeline, prefix, what, moment):
    if prefix.count("/") > DEEPEST:
        raise DTypeError(
            f"pipelines hold pipelines more than {DEEPEST} levels deep, which files do not hold"
        )
    if getattr(pipeline, "transform_input", None) is not None:
        raise DTypeError(f"{what} has transform_input, which files do not keep; leave it out")
    tensors, steps = {}, []
    for number, (name, step) in enumerate(pipeline.steps):
        header = {"passthrough": step is not None}
        if step is not None and not (isinstance(step, str) and step == "passthrough"):
            arrays, header = _contents_of(step, f"{prefix}step{number}/", f"step {name!r}", moment)
            tensors |= arrays
        steps.append({"name": name} | header)
    return tensors, {"pipeline": {"steps": steps, "verbose": bool(pipeline.verbose)}}
