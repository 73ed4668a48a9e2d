"""What was asked of fit, checked once and read by whoever needs a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gatewise import checks
from gatewise._typing import PathLike
from gatewise.errors import ConfigError

from .batches import Given
from .callbacks import Callback

__all__ = ["FitSetup"]


@dataclass(frozen=True, kw_only=True)
class FitSetup:
    """The arguments of :meth:`gatewise.models.Sequential.fit`, which describes them.

    What can be checked without a model and without data is checked here, and has its final form:
    ``batch_size`` and the like are int or None, ``validation_freq`` is an int or a frozenset.

    Raises
    ------
    ConfigError, DTypeError
    """

    given: Given
    batch_size: int | None = None
    epochs: int = 1
    verbose: str | int = "auto"
    callbacks: Callback | Iterable[Callback] | None = None
    validation_split: float | None = 0.0
    validation_data: Any = None
    shuffle: bool = True
    class_weight: Mapping[int, float] | None = None
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: Any = 1  # a number of epochs, or the epochs themselves
    bucketing: bool | str = "auto"
    tbptt_steps: int | None = None
    resume_from: PathLike | None = None

    def __post_init__(self) -> None:
        set_once = vars(self).update
        set_once(epochs=checks.whole_number(self.epochs, "epochs"))
        set_once(initial_epoch=checks.whole_number(self.initial_epoch, "initial_epoch", 0))
        if self.initial_epoch and self.resume_from is not None:
            raise ConfigError(
                "initial_epoch and resume_from are both given: the saved run knows its epoch, leave"
                " initial_epoch out"
            )
        set_once(validation_freq=_checked_frequency(self.validation_freq))
        for name in ("batch_size", "validation_batch_size"):
            set_once({name: checks.optional_number(getattr(self, name), name)})
        split = 0.0 if self.validation_split is None else self.validation_split
        set_once(validation_split=checks.fraction(split, "validation_split"))
        set_once(shuffle=checks.flag(self.shuffle, "shuffle"))
        set_once(tbptt_steps=checks.optional_number(self.tbptt_steps, "tbptt_steps"))

    def validates_after(self, epochs: int) -> bool:
        """Whether the model is validated after this many epochs."""
        if isinstance(self.validation_freq, frozenset):
            return epochs in self.validation_freq
        return epochs % self.validation_freq == 0

    def warn_if_never_validated(self) -> None:
        """Warn if there are epochs to come and ``validation_freq`` names none of them."""
        to_come = range(self.initial_epoch + 1, self.epochs + 1)
        if to_come and not any(map(self.validates_after, to_come)):
            asked = self.validation_freq
            asked = sorted(asked) if isinstance(asked, frozenset) else asked
            checks.warn(
                f"validation_freq is {asked!r}, and none of the epochs up to {self.epochs} is"
                " validated"
            )


def _checked_frequency(frequency: Any) -> int | frozenset[int]:
    """A number of epochs, or the epochs themselves; an array without axes is a number."""
    if not (getattr(frequency, "ndim", 1) and hasattr(frequency, "__iter__")):
        return checks.whole_number(frequency, "validation_freq")
    return frozenset(
        checks.whole_number(epoch, "an epoch of validation_freq")
        for epoch in checks.listed(frequency, "validation_freq", "epochs, or one number")
    )
