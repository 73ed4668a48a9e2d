"""The parameters of a layer: values, gradients, freezing, regularizers and constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ShapeError, StateError
from gatewise.memory import names_memory

from .interface import LayerInterface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array
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
    _views_given: bool  # someone outside may write into the parameters at any time
    _guard: WeightsGuard  # of a layer in a model: the model's

    # ---- freezing

    @property
    def trainable(self) -> bool:
        """Whether training changes the parameters, bool.

        May be set at any time but while ``fit`` runs.

        A frozen layer (False) computes what it computed before; its parameters stay as they are,
        and its gradients are zero. The optimizer leaves it out of its step, of weight decay, of the
        norm that ``global_clipnorm`` looks at and of the running mean; what the optimizer has
        accumulated for it is kept. Its regularizers and constraints rest. A frozen
        :class:`BatchNormalization` uses its moving averages in training too, and these stay as they
        are. Dropout still drops.

        In a model, a change holds from the next call of ``fit``, ``train_on_batch`` or
        ``compute_gradients`` on. It need not be compiled again.

        Raises
        ------
        StateError
            Set while the model's ``fit`` runs.
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
        """Whether training changes the parameter of this name, one that optimizers move where
        they may.
        """
        return self._trainable

    def _trained_names(self) -> list[str]:
        """Names of the parameters that training changes, list of str."""
        return [spec.name for spec in self._specs if spec.trained and self._is_trained(spec.name)]

    def _clear_frozen_gradients(self) -> None:
        """Set the gradients of parameters that are frozen to zero."""
        for name, gradient in self._gradients.items():
            if not self._is_trained(name):
                gradient.fill(0)

    # ---- values

    @property
    def parameters(self) -> dict[str, Array]:
        """dict name -> ndarray: views that may be written to."""
        self._expose()
        return dict(self._parameters)

    def _expose(self) -> None:
        """Someone outside may write to the parameters from now on: nothing derived from them is
        kept.
        """
        self._views_given = True
        self._weights_changed()

    @property
    def gradients(self) -> dict[str, Array]:
        """dict name -> ndarray: views.

        Backward ADDS to them, :meth:`zero_gradients` clears them.
        """
        return dict(self._gradients)

    def zero_gradients(self) -> None:
        """Set every gradient to zero."""
        for gradient in self._gradients.values():
            gradient.fill(0)

    def count_params(self, trainable: bool | None = None) -> int:
        """Number of parameters.

        Parameters
        ----------
        trainable : bool, optional
            True: only those that training changes. False: only the others, frozen ones and moving
            averages. None: all of them.
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
        """Number of parameters that optimizers move: what the layer takes of a model's flat
        buffer.
        """
        return sum(spec.size for spec in self._specs if spec.trained)

    def _kept_arrays(self) -> list[Array]:
        """The parameters that no optimizer moves, list of ndarray: the arrays themselves."""
        return [self._parameters[spec.name] for spec in self._specs if not spec.trained]

    @property
    def weights(self) -> list[Array]:
        """Views of the parameters, list of ndarray; they may be written to.

        :meth:`set_weights` takes others.
        """
        return list(self.parameters.values())

    @property
    def trainable_weights(self) -> list[Array]:
        """Views of the parameters that training changes, list of ndarray."""
        chosen = set(self._trained_names())
        return [array for name, array in self.parameters.items() if name in chosen]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """Views of the parameters that training leaves as they are: of a frozen layer, and
        moving averages.
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
        """Copies of the parameters, in Keras's order."""
        with self._guard:
            return [array.copy() for array in self._parameters.values()]

    @names_memory
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy values into the parameters.

        Arrays are checked by their number, shapes and values. What they mean they do not say: the
        weights of a GRU without bias fit one with another ``reset_after`` or ``update``, and those
        of an LSTM without one gate fit one without another.

        Raises
        ------
        StateError
            The layer is not built.
        ShapeError, DTypeError, NonFiniteError
            The arrays do not fit.
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
        """Refuse weights, as many as there are parameters, of which the layer knows better than
        by shapes what is wrong.
        """

    def _weights_changed(self) -> None:
        """Forget what was derived from the weights."""

    # ---- regularizers and constraints

    def penalty(self) -> float:
        """Sum of the regularizers' penalties, of what is trained."""
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

    def _constrain(self) -> None:
        """Bring parameters with a constraint back to what it allows: after every step of an
        optimizer.
        """
        for spec in self._constrained:
            if not self._is_trained(spec.name):
                continue
            array = self._parameters[spec.name]
            array[...] = self._of_shape(spec, "constraint", spec.constraint(array))

    def _of_shape(self, spec: ParameterSpec, what: str, values: Any) -> Any:
        """What an initializer or constraint gave, perhaps one of a user's own."""
        if np.shape(values) != spec.shape:
            raise ShapeError(
                f"{self.name}/{spec.name}: {what} {type(getattr(spec, what)).__name__} gave shape"
                f" {np.shape(values)}; expected {spec.shape}"
            )
        return values

    def _setting_cure(self, name: str) -> str | None:
        if name in (
            "weights",
            "variables",
            *(
                f"{kind}_{what}"
                for kind in ("trainable", "non_trainable")
                for what in ("weights", "variables")
            ),
        ):
            return "set_weights(arrays) takes values of all parameters"
        if name in self._parameters or name in _PARAMETER_NAMES:
            return (
                f"write to the array, layer.parameters[{name!r}][...] = values, or call"
                " set_weights(arrays)"
            )
        if name in ("states", "initial_state"):
            return "set state, of a layer that is stateful, or give initial_state to the call"
        return None
