"""What every layer is: a name, a dtype, parameters that live in one flat buffer, forward and
backward.
"""

from __future__ import annotations

import copy
import itertools
import re
from typing import TYPE_CHECKING, Any

from gatewise import checks, seeds
from gatewise.attributes import _is_ours
from gatewise.configuration import argument_names
from gatewise.errors import ConfigError, DTypeError
from gatewise.memory import cover
from gatewise.sharing import WeightsGuard

from .alone import UsedAlone, shape_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from gatewise._typing import Config, Shape


_counters: dict[str, Iterator[int]] = {}


def automatic_name(cls: type) -> str:
    base = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", cls.__name__).lower()
    number = next(_counters.setdefault(base, itertools.count()))
    return base if number == 0 else f"{base}_{number}"


class Layer(UsedAlone):
    """Base of all layers.

    A layer alone owns its parameters; in a model it owns views into the model's flat buffer.

    Parameters
    ----------
    name : str, optional
        Shown in summaries and used in files; made from the class otherwise.
    dtype : {"float32", "float64"}, optional
        What the layer computes in. None: its model's dtype; float32 for a layer alone.
    input_shape : tuple, optional
        Shape of one sample, None for free axes; builds a model without seeing data.
    trainable : bool
        False: the layer is frozen, see :attr:`trainable`.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls.__abstractmethods__:
            raise DTypeError(_undefined(cls))
        return super().__new__(cls, *args, **kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cover(cls, ("forward", "backward", "set_weights"))

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: Any = None,
        input_shape: Any = None,
        batch_input_shape: Any = None,
        input_dim: int | None = None,
        trainable: bool = True,
        **others: Any,
    ) -> None:
        checks.refuse_unknown_arguments(others, "layer", type(self).__name__, self._argument_names)
        self.name = automatic_name(type(self)) if name in (None, "") else name
        self._named_by_user = bool(name)  # by the user
        self._trainable = checks.flag(trainable, "trainable")
        self._dtype_given = None if dtype is None else checks.dtype_name(dtype)
        self._dtype = self._dtype_given or "float32"
        shapes = (
            {}
            if input_shape is None
            else {"input_shape": checks.shape_tuple(input_shape, "input_shape")}
        )
        if input_dim is not None:  # Keras 2's way to say how many features there are
            shapes["input_dim"] = self._shape_of_features(
                checks.whole_number(input_dim, "input_dim")
            )
        if batch_input_shape is not None:
            shapes["batch_input_shape"] = checks.shape_tuple(
                batch_input_shape, "batch_input_shape"
            )[1:]
        self._given_input_shape = one_shape(shapes)
        self.input_shape: Any = None  # (batch, ...) once built
        self.output_shape: Any = None
        self.rng: Any = None
        self._specs = []
        self._penalized = []  # those with a regularizer
        self._constrained = []  # those with a constraint
        self._parameters = {}
        self._gradients = {}
        self._views_given = False  # someone outside may write into our parameters at any time
        self._guard = WeightsGuard()  # of a layer in a model: the model's

    def _title(self) -> str:
        return f"layer {self.name!r}"

    # ---- copies and files

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold.

        Not the layer's model or holder, which take their own layers back themselves. The
        parameters are those of this moment: a pickle reads arrays later.
        """
        state = {
            name: value for name, value in vars(self).items() if name not in ("model", "_holder")
        }
        with self._guard:
            state["_parameters"] = {name: array.copy() for name, array in self._parameters.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or a layer out of a pickle."""
        vars(self).update(state)
        if self.rng is not None:
            seeds.forkable(self.rng)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Of the weights at one moment, whatever other threads do."""
        made = memo[id(self)] = type(self).__new__(type(self))
        with self._alone(), self._guard:
            state = copy.deepcopy(self.__getstate__(), memo)
        made.__setstate__(state)
        return made

    def __copy__(self) -> Self:
        """A layer of its own: two that share their weights would not know of each other's
        changes.
        """
        return copy.deepcopy(self)

    def get_config(self) -> Config:
        """The constructor's arguments as JSON values, dict: what :meth:`from_config` reads.

        For a user-defined class, the arguments of its own constructor are read from the attributes
        of the same names. If it does not keep them so, it defines this method.

        Raises
        ------
        ConfigError
            A user-defined class keeps no attribute of an argument's name.
        """
        config = {"name": self.name, "dtype": self._dtype_given}
        if self._given_input_shape is not None:
            config["input_shape"] = list(self._given_input_shape)
        if not self.trainable:
            config["trainable"] = False
        return config | self._user_arguments(config)

    def _user_arguments(self, known: Config) -> Config:
        """Arguments that constructors of user-defined classes add to those that are known."""
        found = {}
        for cls in type(self).__mro__:
            if _is_ours(cls.__module__):
                break
            if "__init__" not in vars(cls):
                continue
            for name in argument_names(cls):
                if name in known or name in found:
                    continue
                if not hasattr(self, name):
                    raise ConfigError(
                        f"{cls.__name__} keeps no attribute {name!r} for the argument of its"
                        " constructor; keep it, or define get_config"
                    )
                found[name] = getattr(self, name)
        return found

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """A new layer from :meth:`get_config`."""
        return cls(**config)

    def _description(self) -> str:
        parts = [f"{type(self).__name__} {self.name!r}"]
        if self.built:
            parts += [f"output {self.output_shape}", f"{self.count_params():,} parameters"]
        else:
            parts.append("not built")
        return f"<{', '.join(parts)}{'' if self.trainable else ', frozen'}>"


def one_shape(shapes: Mapping[str, Shape]) -> Shape | None:
    """The shape of one sample that several arguments say, a dict of their names to tuples.

    None of an empty one.

    Raises
    ------
    ConfigError
        They say different things.
    """
    merged = None
    for shape in shapes.values():
        known = shape if merged is None else merged
        if len(known) != len(shape) or any(
            None not in pair and pair[0] != pair[1] for pair in zip(known, shape)
        ):
            said = " and ".join(f"{name} says {shape_text(each)}" for name, each in shapes.items())
            raise ConfigError(f"of one sample {said}; give one of them")
        merged = tuple(a if b is None else b for a, b in zip(known, shape))
    return merged


def _undefined(cls: Any) -> str:
    missing = [
        method
        for method in (
            "run(self, inputs, tape, node)",
            "run_backward(self, gradients, tape, node, wanted)",
        )
        if method.partition("(")[0] in cls.__abstractmethods__
    ]
    hint = "; Keras's call gives no gradient" if hasattr(cls, "call") else ""
    return (
        f"layer {cls.__name__} defines no {' and no '.join(missing)}, which every layer"
        f" needs{hint}: docs/custom-layers.md. A recurrent layer is more easily written as a cell"
        " for RNN: docs/custom-cells.md"
    )
