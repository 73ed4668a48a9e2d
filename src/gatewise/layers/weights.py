"""What a user chooses of one parameter: an initializer, a regularizer and a constraint."""

from gatewise import constraints, initializers, regularizers

from .specs import ParameterSpec


class WeightOptions:
    """The arguments ``<prefix>_initializer``, ``<prefix>_regularizer`` and ``<prefix>_constraint`` of a layer."""

    def __init__(self, prefix, initializer, regularizer=None, constraint=None):
        self.prefix = prefix
        self.initializer = initializers.get(initializer, f"{prefix}_initializer")
        self.regularizer = regularizers.get(regularizer, f"{prefix}_regularizer")
        self.constraint = constraints.get(constraint, f"{prefix}_constraint")

    def spec(self, name, shape):
        """The parameter that has them."""
        return ParameterSpec(name, shape, self.initializer, self.regularizer, self.constraint)

    def get_config(self):
        """The arguments, as JSON values."""
        return {
            f"{self.prefix}_initializer": initializers.serialize(self.initializer),
            f"{self.prefix}_regularizer": regularizers.serialize(self.regularizer),
            f"{self.prefix}_constraint": constraints.serialize(self.constraint),
        }
