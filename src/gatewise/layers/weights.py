"""What a user chooses for one parameter: an initializer, a regularizer and a constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise import constraints, initializers, regularizers

from .specs import ParameterSpec

if TYPE_CHECKING:
    from gatewise._typing import Config

    # As users give them: a name, a configuration, a class or an object.
    InitializerLike = str | Config | type[initializers.Initializer] | initializers.Initializer
    RegularizerLike = (
        str | Config | type[regularizers.Regularizer] | regularizers.Regularizer | None
    )
    ConstraintLike = str | Config | type[constraints.Constraint] | constraints.Constraint | None


class WeightOptions:
    """The arguments ``<prefix>_initializer``, ``<prefix>_regularizer`` and
    ``<prefix>_constraint`` of a layer.
    """

    def __init__(
        self,
        prefix: str,
        initializer: InitializerLike,
        regularizer: RegularizerLike = None,
        constraint: ConstraintLike = None,
    ) -> None:
        self.prefix = prefix
        self.initializer: initializers.Initializer = initializers.get(
            initializer, f"{prefix}_initializer"
        )
        self.regularizer: regularizers.Regularizer | None = regularizers.get(
            regularizer, f"{prefix}_regularizer"
        )
        self.constraint: constraints.Constraint | None = constraints.get(
            constraint, f"{prefix}_constraint"
        )

    def spec(self, name: str, shape: tuple[int, ...]) -> ParameterSpec:
        """The parameter that has them."""
        return ParameterSpec(name, shape, self.initializer, self.regularizer, self.constraint)

    def get_config(self) -> Config:
        """The arguments, as JSON values."""
        return {
            f"{self.prefix}_initializer": initializers.serialize(self.initializer),
            f"{self.prefix}_regularizer": regularizers.serialize(self.regularizer),
            f"{self.prefix}_constraint": constraints.serialize(self.constraint),
        }
