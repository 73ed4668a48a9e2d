"""A transformer to and from plain values and arrays: what is written, and what is believed when it is read."""

import numpy as np

from gatewise import checkpoint, file_kinds
from gatewise.errors import CheckpointError, DTypeError, NotFittedError

# Classes by name, the module that each is in, and the attributes that fit always sets.
CLASSES = {
    "FrameStacker": ("stacker", ("n_features_in_", "_features", "_table")),
    "SequencePadder": ("padder", ("n_features_in_", "_features", "_table", "length_")),
    "SequenceScaler": ("scaler", ("n_features_in_", "_features", "_table", "scaler_")),
    "Vocabulary": ("text", ("tokens_", "numbers_", "_strings", "_ends")),
    "Windower": ("windower", ("n_features_in_", "_features", "_table")),
}
SCALERS = ("StandardScaler", "RobustScaler", "MinMaxScaler")


def is_transformer(value):
    """Whether `value` is one of gatewise's own transformers, not of a class derived from one."""
    return type(value).__name__ in CLASSES and type(value) is _class_of(type(value).__name__)


def _class_of(name):
    from importlib import import_module

    return getattr(import_module(f"gatewise.data.{CLASSES[name][0]}"), name)


class Saved:
    """Mixin of transformers that can be written to a file."""

    def save(self, path):
        """Write parameters and what was learned to one file, atomically: what :func:`gatewise.load_estimator` reads.

        Nothing in it is pickled. :func:`gatewise.save_estimator` writes a whole pipeline.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        NotFittedError
        CheckpointError
            The file could not be written; an older file of that name is still whole.
        DTypeError
            A parameter is of a kind that files cannot hold, or the class is a custom one.
        """
        save(self, path)


def save(transformer, path):
    """See :meth:`Saved.save`."""
    if not is_transformer(transformer):
        raise DTypeError(
            f"{type(transformer).__name__} is a custom class, which load_estimator would not know;"
            f" expected one of {', '.join(sorted(CLASSES))}"
        )
    file_kinds.warn_of_ending(path)
    arrays = {}
    header = {"transformer": pack_transformer(transformer, arrays)}
    checkpoint.write(path, arrays, header)


def pack_transformer(transformer, arrays, prefix=""):
    """A fitted transformer as JSON values, its arrays put into `arrays` by names that begin with `prefix`.

    Raises
    ------
    NotFittedError
    DTypeError
        A parameter or attribute is of a kind that files cannot hold.
    """
    name = type(transformer).__name__
    attributes = {
        key: value
        for key, value in vars(transformer).items()
        if key not in transformer._get_param_names() and key != "_metadata_request"
    }
    if not set(CLASSES[name][1]) <= set(attributes):
        raise NotFittedError(f"this {name} is not fitted; call fit first")
    return {
        "class_name": name,
        "parameters": {
            key: _pack(value, arrays, f"{prefix}parameters/{key}")
            for key, value in transformer.get_params(deep=False).items()
        },
        "attributes": {
            key: _pack(value, arrays, f"{prefix}attributes/{key}")
            for key, value in attributes.items()
        },
    }


def unpack_transformer(packed, arrays):
    """The transformer of what :func:`pack_transformer` gave. Its arrays are taken out of `arrays`.

    Raises
    ------
    CheckpointError, or whatever else a wrong entry leads to
    """
    if packed["class_name"] not in CLASSES:
        raise CheckpointError(
            f"transformer class {packed['class_name']!r:.80} is not known; expected one of"
            f" {sorted(CLASSES)}"
        )
    cls = _class_of(packed["class_name"])
    parameters, attributes = (
        {key: _unpack(value, arrays) for key, value in packed[part].items()}
        for part in ("parameters", "attributes")
    )
    transformer = cls(**parameters)
    for key in CLASSES[cls.__name__][1]:
        if key not in attributes:
            raise CheckpointError(f"attribute {key!r} of a {cls.__name__} is missing")
    for key, value in attributes.items():
        _check(cls, key, value, attributes)
    vars(transformer).update(attributes)
    return transformer


# ---- values


def _pack(value, arrays, name):
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        parts = [_pack(part, arrays, f"{name}/{number}") for number, part in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _pack(part, arrays, f"{name}/{key}") for key, part in value.items()}}
    if (
        isinstance(value, np.ndarray)
        and value.dtype.kind == "O"
        and all(isinstance(part, str) for part in value.ravel())
    ):
        return {"texts": value.tolist()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
        arrays[name] = value
        return {"array": name}
    if type(value).__name__ in SCALERS and type(value).__module__.startswith("sklearn."):
        # partial_fit asks NumPy's own numbers for their shape: they stay what they are.
        attributes = {
            key: np.asarray(part) if isinstance(part, np.generic) else part
            for key, part in vars(value).items()
        }
        return {
            "scaler": [type(value).__name__, value.get_params(), _pack(attributes, arrays, name)]
        }
    raise DTypeError(f"{name} is a {type(value).__name__}, which files cannot hold")


def _unpack(packed, arrays):
    if not isinstance(packed, dict):
        return packed
    if len(packed) != 1:
        raise CheckpointError(f"a value has the entries {sorted(packed)!r:.80}; expected one")
    kind, content = next(iter(packed.items()))
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(_unpack(part, arrays) for part in content)
    if kind == "dict":
        return {key: _unpack(part, arrays) for key, part in content.items()}
    if kind == "texts":
        if not all(isinstance(part, str) for part in content):
            raise CheckpointError("an array of texts holds something else")
        result = np.empty(len(content), object)
        result[:] = content
        return result
    if kind == "array":
        if content not in arrays:
            raise CheckpointError(
                f"the array {content!r:.80} is missing, or belongs to something else too"
            )
        return arrays.pop(content)
    if kind == "scaler":
        return _unpack_scaler(*content, arrays)
    raise CheckpointError(f"a value is of kind {kind!r:.80}, which is not known")


def _unpack_scaler(name, parameters, attributes, arrays):
    from sklearn import preprocessing

    if name not in SCALERS:
        raise CheckpointError(f"the scaler is a {name!r:.80}; expected one of {SCALERS}")
    cls = getattr(preprocessing, name)
    parameters = {
        key: tuple(value) if isinstance(value, list) else value for key, value in parameters.items()
    }
    scaler = cls(**parameters)
    attributes = _unpack(attributes, arrays)
    if not isinstance(attributes, dict):
        raise CheckpointError(f"the scaler's attributes are {attributes!r:.80}; expected a dict")
    for key, value in attributes.items():
        if key in parameters:
            continue
        if (
            not key.endswith("_")
            or key.startswith("__")
            or not isinstance(value, np.ndarray | int | float | None)
        ):
            raise CheckpointError(
                f"the scaler has the attribute {key!r:.80}, a {type(value).__name__}"
            )
        setattr(
            scaler, key, value[()] if isinstance(value, np.ndarray) and not value.ndim else value
        )
    return scaler


# ---- what attributes may be


def _check(cls, key, value, attributes):
    """Refuse an attribute that fit could not have set."""
    counts = {"n_features_in_": 0, "_features": 0, "length_": 0}
    good = True
    if key in counts:
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
    elif key in ("_table", "_strings"):
        good = isinstance(value, bool)
    elif key == "tokens_":
        good = (
            isinstance(value, list)
            and all(isinstance(token, str) for token in value)
            and len(value) > 1
        )
    elif key == "numbers_":
        good = value == {token: number for number, token in enumerate(attributes["tokens_"])}
    elif key == "_ends":
        good = (
            isinstance(value, tuple)
            and len(value) == 2
            and all(token is None or token in attributes["tokens_"] for token in value)
        )
    elif key == "scaler_":
        good = _scales(value, attributes["_features"])
    elif not key.isidentifier() or key.startswith("__") or hasattr(cls, key):
        good = False
    if not good:
        raise CheckpointError(f"attribute {key!r:.80} of a {cls.__name__} is {value!r:.80}")


def _scales(scaler, features):
    """Whether it is a fitted scaler of so many features."""
    if type(scaler).__name__ not in SCALERS or getattr(scaler, "n_features_in_", None) != features:
        return False
    arrays = [
        value for value in vars(scaler).values() if isinstance(value, np.ndarray) and value.ndim
    ]
    return all(array.shape == (features,) for array in arrays)
