"""Python values to and from JSON values and arrays, without pickle: what files of estimators hold."""

import numpy as np

from gatewise.errors import CheckpointError, ConfigError, DTypeError
from gatewise.training import losses, optimizers

_PLAIN = (type(None), bool, int, float, str)


class LostFunction:
    """Stands where a function stood that a file does not keep.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name):
        self.name = name

    def __call__(self, *arguments):
        raise ConfigError(
            f"the function {self.name!r} is not in the file that the estimator was read from; give"
            " it again, with set_params, to fit anew"
        )

    def __repr__(self):
        return f"<{self.name}, not kept in the file>"

    def __eq__(self, other):
        return isinstance(other, LostFunction) and other.name == self.name

    def __hash__(self):
        return hash(self.name)


def pack(value, arrays, classes, name):
    """`value` as JSON, its arrays put into `arrays`.

    Parameters
    ----------
    value : what Python and NumPy call numbers, text, lists, dicts and arrays; optimizers, losses, RandomState; a function, of which
        the name remains; an object of `classes`
    arrays : dict
        Receives arrays by name.
    classes : dict of str to class
        Whose objects are packed attribute by attribute.
    name : str
        Of the value, for arrays and messages.

    Raises
    ------
    DTypeError
    """

    def inner(part, key):
        return pack(part, arrays, classes, f"{name}/{key}")

    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        parts = [inner(part, number) for number, part in enumerate(value)]
        return parts if isinstance(value, list) else {"$tuple": parts}
    if isinstance(value, dict):
        return {
            "$dict": [
                [inner(key, f"{number}k"), inner(part, number)]
                for number, (key, part) in enumerate(value.items())
            ]
        }
    if isinstance(value, np.ndarray):
        return _pack_array(value, arrays, name)
    if isinstance(value, optimizers.Optimizer):
        return {"$optimizer": inner(optimizers.serialize(value), "optimizer")}
    if isinstance(value, losses.Loss):
        return {"$loss": inner(losses.serialize(value), "loss")}
    if isinstance(value, np.random.RandomState):
        return {"$random_state": inner(value.get_state(legacy=False), "random_state")}
    if type(value).__name__ in classes and type(value) is classes[type(value).__name__]:
        return {"$object": [type(value).__name__, inner(vars(value), "object")]}
    if callable(value):
        return {
            "$function": (
                getattr(value, "__qualname__", None)
                or getattr(value, "name", None)
                or type(value).__name__
            )
        }
    raise DTypeError(f"{name} is a {type(value).__name__}, which files cannot hold")


def _pack_array(value, arrays, name):
    if value.dtype.kind in "OU":
        parts = [
            part.item() if isinstance(part, np.generic) else part for part in value.ravel().tolist()
        ]
        if not all(type(part) in _PLAIN for part in parts):
            raise DTypeError(
                f"{name} is an array of {type(parts[0]).__name__} objects, which files cannot hold;"
                " give labels that are text or numbers"
            )
        return {"$texts": [value.dtype.str, list(value.shape), parts]}
    if value.dtype.kind not in "buif":
        raise DTypeError(f"{name} is an array of {value.dtype}, which files cannot hold")
    arrays[name] = value
    return {"$array": name}


def unpack(packed, arrays, classes):
    """The value that :func:`pack` was given. Each array is taken out of `arrays`.

    Raises
    ------
    CheckpointError, and whatever else a wrong entry leads to
    """

    def inner(part):
        return unpack(part, arrays, classes)

    if isinstance(packed, list):
        return [inner(part) for part in packed]
    if not isinstance(packed, dict):
        return packed
    (kind, content), *others = packed.items()
    if others:
        raise CheckpointError(f"a value has the entries {sorted(packed)!r:.100}; expected one")
    if kind == "$tuple":
        return tuple(inner(content))
    if kind == "$dict":
        return {inner(key): inner(part) for key, part in content}
    if kind == "$array":
        if content not in arrays:
            raise CheckpointError(f"the array {content!r:.80} is missing, or stands elsewhere too")
        return arrays.pop(content)
    if kind == "$texts":
        return _unpack_texts(*content)
    if kind == "$optimizer":
        return optimizers.get(_dict(inner(content)))
    if kind == "$loss":
        return losses.get(_dict(inner(content)))
    if kind == "$random_state":
        state = np.random.RandomState()
        state.set_state(_dict(inner(content)))
        return state
    if kind == "$function":
        return LostFunction(str(content)[:200])
    if kind == "$object":
        name, attributes = content
        value = object.__new__(classes[name])
        vars(value).update(_dict(inner(attributes)))
        return value
    raise CheckpointError(f"a value is of kind {kind!r:.80}, which is not known")


def _unpack_texts(dtype, shape, parts):
    if np.dtype(dtype).kind not in "OU" or not all(type(part) in _PLAIN for part in parts):
        raise CheckpointError(
            f"an array of labels has dtype {dtype!r:.80}, or holds what is no label"
        )
    if dtype != "|O" and not all(isinstance(part, str) for part in parts):
        raise CheckpointError("an array of texts holds something else")
    result = np.empty(len(parts), object)
    result[:] = parts
    result = result.reshape(shape)
    return result if dtype == "|O" else result.astype(np.str_)


def _dict(value):
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise CheckpointError(f"an entry is {value!r:.80}; expected a dict with names")
    return value
