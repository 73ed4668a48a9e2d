"""The parameters of a layer: values, gradients, freezing, regularizers and constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.attributes import LISTS_OF_WEIGHTS, WEIGHTS_CURE
from gatewise.errors import ShapeError, StateError
from gatewise.memory import names_memory

from .interface import LayerInterface

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatewise._typing import Array, ArrayLike
    from gatewise.sharing import WeightsGuard

    from .specs import ParameterSpec


_PARAMETER_NAMES = (
    "kernel",
    "recurrent_kernel",
    "bias",
    "embeddings",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
)


class Parameterized(LayerInterface):
    """A layer's parameters: views of a flat buffer, its own or its model's."""

    _specs: list[ParameterSpec]
    _penalized: list[ParameterSpec]  # those with a regularizer
    _constrained: list[ParameterSpec]  # those with a constraint
    _parameters: dict[str, Array]
    _gradients: dict[str, Array]
    _views_given: bool  # the user has views, and may write to the parameters at any time
    _guard: WeightsGuard  # in a model: the guard of the model

    # ---- freezing

    @property
    def trainable(self) -> bool:
        """Whether training changes the parameters, bool.

        It can be set at any time, except while ``fit`` runs.

        A frozen layer (False) computes the same outputs; its parameters do not change, and its
        gradients are zero. The optimizer omits it from its step, from weight decay, from the norm
        of ``global_clipnorm`` and from the running mean, but keeps what it has accumulated for it.
        Its regularizers and constraints are not applied. A frozen :class:`BatchNormalization` uses
        its moving averages in training too, and does not update them. Dropout is still applied.

        In a model, a change takes effect at the next call of ``fit``, ``train_on_batch`` or
        ``compute_gradients``. The model need not be compiled again.

        Raises
        ------
        StateError
            It is set while the model's ``fit`` runs.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = checks.flag(value, "trainable")
        if value == self._trainable:
            return
        if self.model is not None:
            self.model._trainable_changes()
        self._trainable = value

    def _is_trained(self, name: str) -> bool:
        """Return whether training changes a parameter that has a gradient."""
        return self._trainable

    def _trained_names(self) -> list[str]:
        """Return the names of the parameters that training changes."""
        return [spec.name for spec in self._specs if spec.trained and self._is_trained(spec.name)]

    def _clear_frozen_gradients(self) -> None:
        """Set the gradients of frozen parameters to zero."""
        for name, gradient in self._gradients.items():
            if not self._is_trained(name):
                gradient.fill(0)

    # ---- values

    @property
    def parameters(self) -> dict[str, Array]:
        """Parameters by name, dict of str to ndarray: views that may be written to."""
        self._expose()
        return dict(self._parameters)

    def _expose(self) -> None:
        """Note that the user may write to the parameters from now on.

        Nothing derived from them is cached any more.
        """
        self._views_given = True
        self._weights_changed()

    @property
    def gradients(self) -> dict[str, Array]:
        """Gradients by name, dict of str to ndarray: views.

        A backward pass ADDS to them; :meth:`zero_gradients` sets them to zero.
        """
        return dict(self._gradients)

    def zero_gradients(self) -> None:
        """Set every gradient to zero."""
        for gradient in self._gradients.values():
            gradient.fill(0)

    def count_params(self, trainable: bool | None = None) -> int:
        """Count the parameters.

        Parameters
        ----------
        trainable : bool, optional
            True: count only those that training changes. False: only the others, which are frozen
            or moving averages. None: all of them.

        Returns
        -------
        int
            Number of elements of the arrays.
        """
        if trainable is None:
            return sum(spec.size for spec in self._specs)
        wanted = checks.flag(trainable, "trainable")
        return sum(
            spec.size
            for spec in self._specs
            if (spec.trained and self._is_trained(spec.name)) == wanted
        )

    def _flat_size(self) -> int:
        """Return the number of parameters with gradients: the layer's part of a flat buffer."""
        return sum(spec.size for spec in self._specs if spec.trained)

    def _kept_arrays(self) -> list[Array]:
        """Return the parameters that no optimizer changes: the arrays themselves."""
        return [self._parameters[spec.name] for spec in self._specs if not spec.trained]

    @property
    def weights(self) -> list[Array]:
        """Views of the parameters, list of ndarray; they may be written to.

        To replace all of them, call :meth:`set_weights`.
        """
        return list(self.parameters.values())

    @property
    def trainable_weights(self) -> list[Array]:
        """Views of the parameters that training changes, list of ndarray."""
        chosen = set(self._trained_names())
        return [array for name, array in self.parameters.items() if name in chosen]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """Views of the parameters that training does not change, list of ndarray.

        These are the parameters of frozen layers, and moving averages.
        """
        chosen = set(self._trained_names())
        return [array for name, array in self.parameters.items() if name not in chosen]

    # Keras's other names

    @property
    def variables(self) -> list[Array]:
        """The same as :attr:`weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Array]:
        """The same as :attr:`trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Array]:
        """The same as :attr:`non_trainable_weights`."""
        return self.non_trainable_weights

    @names_memory
    def get_weights(self) -> list[Array]:
        """Return copies of the parameters, in Keras's order.

        Returns
        -------
        list of ndarray
            Copies in the layer's dtype.
        """
        with self._guard:
            return [array.copy() for array in self._parameters.values()]

    @names_memory
    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy values into the parameters.

        Number, shapes and values of the arrays are checked, but not their meaning: the weights of
        a GRU without bias also fit a GRU with another ``reset_after`` or ``update``, and those of
        an LSTM without one gate fit an LSTM without another.

        Parameters
        ----------
        weights : sequence of array_like
            Values in the order of :meth:`get_weights`. They are converted to the layer's dtype.

        Raises
        ------
        StateError
            The layer is not built.
        ShapeError
            The number of the arrays or a shape is wrong.
        DTypeError
            An array does not hold numbers.
        NonFiniteError
            An array holds NaN or infinity.
        """
        if not self.built:
            raise StateError(
                f"layer {self.name!r} is not built: call build(input_shape) before set_weights"
            )
        weights = checks.listed(weights, "weights", "arrays")
        if len(weights) != len(self._parameters):
            raise ShapeError(
                f"layer {self.name!r} has {len(self._parameters)} weight arrays "
                f"({', '.join(self._parameters) or 'none'}), got {len(weights)}"
            )
        self._check_weights(weights)
        values = []
        for (name, place), given in zip(self._parameters.items(), weights):
            value = checks.float_array(given, f"{self.name}/{name}", self.dtype, convert=True)
            if value.shape != place.shape:
                raise ShapeError(
                    f"{self.name}/{name} has shape {value.shape}; expected {place.shape}"
                )
            values.append(checks.finite(value, f"{self.name}/{name}"))
        with self._guard.writing:
            for place, value in zip(self._parameters.values(), values):
                place[...] = value
            self._weights_changed()

    def _check_weights(self, weights: Sequence[Any]) -> None:
        """Refuse weights of which the layer can say more than that a shape is wrong.

        There are as many arrays as parameters.
        """

    def _weights_changed(self) -> None:
        """Discard what was derived from the weights."""

    # ---- regularizers and constraints

    def penalty(self) -> float:
        """Compute the sum of the regularizers' penalties.

        Returns
        -------
        float
            Penalty of the parameters that are trained.
        """
        return sum(
            [
                spec.regularizer(self._parameters[spec.name])
                for spec in self._penalized
                if self._is_trained(spec.name)
            ]
        )

    def _add_penalty_gradients(self) -> None:
        """Add the regularizers' gradients."""
        for spec in self._penalized:
            if not self._is_trained(spec.name):
                continue
            spec.regularizer.add_gradient(self._parameters[spec.name], self._gradients[spec.name])

    def _constrain(self, left: Collection[str] = ()) -> None:
        """Apply the constraints, except to arrays named in `left`, after an optimizer's step."""
        for spec in self._constrained:
            if spec.name in left or not self._is_trained(spec.name):
                continue
            array = self._parameters[spec.name]
            array[...] = self._of_shape(spec, "constraint", spec.constraint(array))

    def _of_shape(self, spec: ParameterSpec, what: str, values: Any) -> Any:
        """Return the values of an initializer or constraint, perhaps a user-defined one.

        Raises
        ------
        ShapeError
            They have the wrong shape.
        """
        if np.shape(values) != spec.shape:
            raise ShapeError(
                f"{self.name}/{spec.name}: {what} {type(getattr(spec, what)).__name__} returned"
                f" shape {np.shape(values)}; expected {spec.shape}"
            )
        return values

    def _setting_cure(self, name: str) -> str | None:
        if name in LISTS_OF_WEIGHTS:
            return WEIGHTS_CURE
        if name in self._parameters or name in _PARAMETER_NAMES:
            return (
                f"write to the array, layer.parameters[{name!r}][...] = values, or call"
                " set_weights(arrays)"
            )
        if name in ("states", "initial_state"):
            return "set state of a stateful layer, or pass initial_state to the call"
        return None
