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
    """A layer's arguments ``<prefix>_initializer``, ``_regularizer`` and ``_constraint``."""

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
        """Describe a parameter with these options."""
        return ParameterSpec(name, shape, self.initializer, self.regularizer, self.constraint)

    def get_config(self) -> Config:
        """Return the arguments, as JSON values."""
        return {
            f"{self.prefix}_initializer": initializers.serialize(self.initializer),
            f"{self.prefix}_regularizer": regularizers.serialize(self.regularizer),
            f"{self.prefix}_constraint": constraints.serialize(self.constraint),
        }
