"""The base class of all layers: constructor arguments, copies, pickles and configurations."""

from __future__ import annotations

import copy
import itertools
import re
from typing import TYPE_CHECKING, Any

from gatewise import checks, seeds
from gatewise.attributes import _is_ours
from gatewise.configuration import argument_names, kept_argument
from gatewise.errors import ConfigError
from gatewise.memory import cover
from gatewise.sharing import WeightsGuard

from .alone import UsedAlone, shape_text
from .returned import check_hooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from numpy.typing import DTypeLike

    from gatewise._typing import Config, DType, Shape

    from .symbol import Node


_counters: dict[str, Iterator[int]] = {}


def automatic_name(cls: type) -> str:
    """Return a name made from the class, with a number if it has been used before."""
    base = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", cls.__name__).lower()
    number = next(_counters.setdefault(base, itertools.count()))
    return base if number == 0 else f"{base}_{number}"


class Layer(UsedAlone):
    """Base of all layers.

    A layer alone owns its parameters; in a model they are views of the model's flat buffer. A
    subclass defines :meth:`run` and :meth:`run_backward`; docs/custom-layers.md builds one.

    Parameters
    ----------
    name : str, optional
        Name in summaries and files. None: made from the class.
    dtype : {"float32", "float64"}, optional
        Dtype of parameters and outputs. None: the model's, or float32 for a layer alone.
    input_shape : tuple of int or None, optional
        Shape of one sample, None for axes of any extent, so that a model is built without data.
        None: the shape is taken from the first data.
    batch_input_shape : tuple of int or None, optional
        The same with the axis of the batch in front (Keras 2).
    input_dim : int, optional
        The number of features alone (Keras 2).
    trainable : bool, default True
        False: the layer is frozen, see :attr:`trainable`.
    **others
        Keras's arguments that have no effect in gatewise are accepted at their default; any other
        is refused.

    Raises
    ------
    ConfigError
        An argument has a wrong value.
    ArgumentError
        An argument is not known.
    DTypeError
        The class does not define :meth:`run` or :meth:`run_backward`.

    Examples
    --------
    >>> from gatewise.layers import Layer
    >>> class Double(Layer):
    ...     def run(self, inputs, tape, node):
    ...         return inputs.with_values(2 * inputs.values)
    ...     def run_backward(self, gradients, tape, node, wanted):
    ...         return 2 * gradients
    >>> Double().forward([[1.0, 2.0]])
    array([[2., 4.]], dtype=float32)
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cover(cls, ("forward", "backward", "set_weights"))
        check_hooks(cls)

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        input_shape: Shape | None = None,
        batch_input_shape: Shape | None = None,
        input_dim: int | None = None,
        trainable: bool = True,
        **others: Any,
    ) -> None:
        checks.refuse_unknown_arguments(others, "layer", type(self).__name__, self._argument_names)
        self.name = automatic_name(type(self)) if name in (None, "") else name
        self._named_by_user = bool(name)
        self._trainable = checks.flag(trainable, "trainable")
        self._dtype_given = None if dtype is None else checks.dtype_name(dtype)
        self._dtype: DType = self._dtype_given or "float32"
        shapes = (
            {}
            if input_shape is None
            else {"input_shape": checks.shape_tuple(input_shape, "input_shape")}
        )
        if input_dim is not None:  # Keras 2's argument
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
        self._views_given = False  # the user has views, and may write to the parameters any time
        self._nodes: list[Node] = []
        self._guard = WeightsGuard()  # in a model: the guard of the model

    def _title(self) -> str:
        return f"layer {self.name!r}"

    # ---- copies and files

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles hold.

        The model, the holder and the calls with symbols are left out: a model attaches its layers
        itself. The parameters
        are copied now, because a pickle reads arrays later.
        """
        state = {
            name: value
            for name, value in vars(self).items()
            if name not in ("model", "_holder", "_nodes")
        }
        with self._guard:
            state["_parameters"] = {name: array.copy() for name, array in self._parameters.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, or a layer from a pickle."""
        vars(self).update(state)
        self._nodes = []
        if self.rng is not None:
            seeds.forkable(self.rng)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the weights of one moment, even if other threads change them meanwhile."""
        made = memo[id(self)] = type(self).__new__(type(self))
        with self._using_state(), self._guard:
            state = copy.deepcopy(self.__getstate__(), memo)
        made.__setstate__(state)
        return made

    def __copy__(self) -> Self:
        """Return a deep copy: two layers with shared weights would miss each other's changes."""
        return copy.deepcopy(self)

    def get_config(self) -> Config:
        """Return the constructor's arguments, which :meth:`from_config` reads.

        For a user-defined class, the arguments of its own constructor are read from the attributes
        of the same names. A class without such attributes overrides this method.

        Returns
        -------
        dict
            Arguments by name, as JSON values.

        Raises
        ------
        ConfigError
            A user-defined class has no attribute with the name of an argument.
        """
        config = {"name": self.name, "dtype": self._dtype_given}
        if self._given_input_shape is not None:
            config["input_shape"] = list(self._given_input_shape)
        if not self.trainable:
            config["trainable"] = False
        return config | self._user_arguments(config)

    def _user_arguments(self, known: Config) -> Config:
        """Return the arguments that the constructors of user-defined classes add."""
        found = {}
        for cls in type(self).__mro__:
            if _is_ours(cls.__module__):
                break
            if "__init__" not in vars(cls):
                continue
            for name in argument_names(cls):
                if name not in known and name not in found:
                    found[name] = kept_argument(self, name, cls)
        return found

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make a layer from its configuration.

        Parameters
        ----------
        config : dict
            What :meth:`get_config` has returned.

        Returns
        -------
        Layer
            A new layer of this class, which is not built.
        """
        return cls(**config)

    def _description(self) -> str:
        parts = [f"{type(self).__name__} {self.name!r}"]
        if self.built:
            parts += [f"output {self.output_shape}", f"{self.count_params():,} parameters"]
        else:
            parts.append("not built")
        return f"<{', '.join(parts)}{'' if self.trainable else ', frozen'}>"


def one_shape(shapes: Mapping[str, Shape]) -> Shape | None:
    """Return the shape of one sample that several arguments give.

    Parameters
    ----------
    shapes : dict of str to tuple of int or None
        Shapes by the name of the argument.

    Returns
    -------
    tuple of int or None, or None
        The shape with all known extents. None if there is no argument.

    Raises
    ------
    ConfigError
        The shapes contradict each other.
    """
    merged = None
    for shape in shapes.values():
        known = shape if merged is None else merged
        if len(known) != len(shape) or any(
            None not in pair and pair[0] != pair[1] for pair in zip(known, shape)
        ):
            given = " and ".join(f"{name} {shape_text(each)}" for name, each in shapes.items())
            raise ConfigError(f"{given} give different shapes of one sample; give one of them")
        merged = tuple(a if b is None else b for a, b in zip(known, shape))
    return merged
