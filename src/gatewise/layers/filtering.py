"""What all convolutions share: bias, activation, and the options of their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.kernels import activations
from gatewise.kernels._packed_weights import PackedWeights

from .activation import Activated, activation_or_softmax
from .options import fixed

if TYPE_CHECKING:
    from gatewise._typing import Config
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.step_ops import StepOp

    from .weights import WeightOptions


def check_layout(data_format: Any, groups: Any = 1) -> None:
    """Refuse the layouts and groups of Keras that gatewise does not have.

    Raises
    ------
    ConfigError
        `data_format` is not "channels_last" or None, or `groups` is not 1.
    """
    if data_format not in (None, "channels_last"):
        raise ConfigError(
            f"data_format is {data_format!r}; expected 'channels_last': move the channels to the"
            " last axis with numpy.moveaxis(x, 1, -1), or behind the steps with"
            " numpy.moveaxis(x, 2, -1)"
        )
    if groups != 1 or groups is True:
        raise ConfigError(f"groups is {groups!r}; expected 1")


class Filtering(Activated):
    """Base of convolutions, beside the class that places their windows."""

    activation: Any = fixed(activation_or_softmax)
    use_bias: bool = fixed(checks.flag)
    _weight_options: dict[str, WeightOptions]  # by the parameter's name
    _packed: PackedWeights
    seed: int | None

    def _take_options(
        self, activation: Any, use_bias: Any, seed: Any, weights: dict[str, WeightOptions]
    ) -> None:
        """Check and store the options of a constructor."""
        self.activation, self.use_bias = activation, use_bias
        self._weight_options = weights
        self.seed = checks.seed(seed)
        self._packed = PackedWeights()

    def _specs_of(self, shapes: dict[str, tuple[int, ...]]) -> list[ParameterSpec]:
        """Describe parameters of these shapes; the bias only if there is one."""
        return [
            self._weight_options[name].spec(name, shape)
            for name, shape in shapes.items()
            if self.use_bias or name != "bias"
        ]

    def _weights_changed(self) -> None:
        self._packed.forget()

    @property
    def _fused_activation(self) -> Any:
        """The activation as kernels take it; a softmax follows the product on its own."""
        return activations.code("linear" if self.activation == "softmax" else self.activation)

    def _softmax_ops(self, width: int) -> list[StepOp]:
        """The softmax behind the product as an operation of a step, if there is one."""
        return self._activation_ops(self.name, width) if self.activation == "softmax" else []

    def _filtering_config(self) -> Config:
        """The arguments that this class takes, as JSON values."""
        config = {
            "activation": self.activation,
            "use_bias": self.use_bias,
            "seed": self.seed,
        }
        for options in self._weight_options.values():
            config |= options.get_config()
        return config
